//! What witnesses say of the checkpoints in a bundle (`FORMAT.md`, "Cosignatures").

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::cosignature::{self, Cosignature, WitnessKey, WrongCosignature};

/// The witnesses that one trusts, and how many of them have to have cosigned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Witnesses {
    /// Their keys, obtained from them and not from the appliance.
    pub keys: Vec<WitnessKey>,
    /// How many; with 0, what they say is told and not demanded.
    pub demanded: u32,
}

/// A checkpoint of a bundle and who has cosigned it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cosigned {
    /// The checkpoint's size.
    pub size: u64,
    /// The verifier keys of those of the trusted witnesses that have, in the order in which they were given.
    pub witnesses: Vec<String>,
}

impl Witnesses {
    /// Those that have cosigned this note, with their cosignatures. Witnesses are told apart by their public keys: one with two names is one.
    ///
    /// # Errors
    ///
    /// [`WrongCosignature`] when a line says it is of one of these keys and does not hold.
    pub fn cosignatures(
        &self,
        note: &str,
    ) -> Result<Vec<(&WitnessKey, Cosignature)>, WrongCosignature> {
        let Some((text, lines)) = cosignature::split(note) else {
            return Ok(Vec::new());
        };
        let mut counted = BTreeSet::new();
        let mut found = Vec::new();
        for key in &self.keys {
            if let Some(cosignature) = cosignature::check(text, lines, key)?
                && counted.insert(*key.public_key())
            {
                found.push((key, cosignature));
            }
        }
        Ok(found)
    }
}

/// Who has cosigned which checkpoint, as far as was read.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally(BTreeMap<u64, BTreeSet<usize>>);

impl Tally {
    /// Takes the signature lines of a checkpoint that a key of the log has signed.
    pub(super) fn take(
        &mut self,
        witnesses: &Witnesses,
        size: u64,
        note: &str,
    ) -> Result<(), WrongCosignature> {
        for (key, _) in witnesses.cosignatures(note)? {
            let place = witnesses
                .keys
                .iter()
                .position(|other| other.public_key() == key.public_key());
            self.0.entry(size).or_default().extend(place);
        }
        Ok(())
    }

    /// By size.
    pub(super) fn cosigned(&self, witnesses: &Witnesses) -> Vec<Cosigned> {
        let cosigned = self.0.iter().map(|(size, places)| Cosigned {
            size: *size,
            witnesses: places
                .iter()
                .map(|place| witnesses.keys[*place].to_string())
                .collect(),
        });
        cosigned.collect()
    }

    /// The size of the largest checkpoint that so many have cosigned.
    pub(super) fn largest(&self, demanded: u32) -> Option<u64> {
        let mut enough = self
            .0
            .iter()
            .rev()
            .filter(|(_, places)| places.len() >= demanded as usize);
        enough.next().map(|(size, _)| *size)
    }
}
