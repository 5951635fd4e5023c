//! What is sealed to the agency before the releasing transaction, which decides what of it goes out.
//!
//! Sealing thousands of keys takes seconds, in which the one writer would do nothing else. It depends on nothing that may change: the order's generation, the
//! delivery, an item's place in it, and the versions of its key, of which none is ever another. So the transaction takes what was sealed for exactly what it
//! found itself, and seals what is missing, such as a key that got a version in between.

use std::borrow::Cow;
use std::collections::HashMap;

use strongroom_disclosure::{DisclosedKey, DisclosedVersion, SealingKey, key};
use strongroom_wire::encoding::Base64;
use strongroom_wire::id::{DisclosureId, KeyId};

use super::InEffect;
use super::disclose::number;
use super::release::{CANNOT_BE_WRITTEN, Materials, Version, materials};
use super::scope::Item;
use crate::act::View;
use crate::error::Error;

/// An item's key with its versions, sealed to the agency.
#[derive(Debug, Clone)]
pub(super) struct Sealed {
    pub(super) bytes: Vec<u8>,
    /// How many versions are in it.
    pub(super) versions: u32,
}

/// Of which key, up to which version, at which place of the delivery.
type Place = (KeyId, u32, u32);

/// What was sealed beforehand, for one delivery.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    /// The generation of the order whose agency it is sealed to.
    generation: u32,
    sealed: HashMap<Place, Sealed>,
}

impl Prepared {
    /// Seals items, of which it goes without those that cannot be.
    pub(super) fn seal(
        sealing: &SealingKey,
        order: &InEffect,
        delivery: DisclosureId,
        items: &[Item],
        materials: &Materials,
    ) -> Self {
        let places = items.iter().zip(materials).zip(1_u32..);
        let sealed = places.filter_map(|((item, versions), sequence)| {
            let place = (item.key.id, item.key.version, sequence);
            let sealed = seal_item(sealing, order, delivery, item, versions, sequence).ok()?;
            Some((place, sealed))
        });
        Self {
            generation: order.record.generation,
            sealed: sealed.collect(),
        }
    }

    /// The items sealed, in order: as they were beforehand, and now where they were not.
    pub(super) fn complete<'a>(
        &'a self,
        view: &View<'_>,
        sealing: &SealingKey,
        order: &InEffect,
        delivery: DisclosureId,
        items: &[Item],
    ) -> Result<Vec<Cow<'a, Sealed>>, Error> {
        let found: Vec<Option<&Sealed>> = items
            .iter()
            .zip(1_u32..)
            .map(|(item, sequence)| {
                let place = (item.key.id, item.key.version, sequence);
                let sealed = self.sealed.get(&place);
                sealed.filter(|_| self.generation == order.record.generation)
            })
            .collect();
        let missing: Vec<Item> = items
            .iter()
            .zip(&found)
            .filter(|(_, found)| found.is_none())
            .map(|(item, _)| item.clone())
            .collect();
        // Asks for all KEKs that are missing at once.
        let mut opened = materials(view, &missing)?.into_iter();
        let mut all = Vec::with_capacity(items.len());
        for ((item, found), sequence) in items.iter().zip(found).zip(1_u32..) {
            all.push(if let Some(sealed) = found {
                Cow::Borrowed(sealed)
            } else {
                let versions = opened
                    .next()
                    .ok_or(Error::Internal("an item has no material"))?;
                Cow::Owned(seal_item(
                    sealing, order, delivery, item, &versions, sequence,
                )?)
            });
        }
        Ok(all)
    }
}

/// The item's key with all its versions that there are, sealed to the agency.
fn seal_item(
    sealing: &SealingKey,
    order: &InEffect,
    delivery: DisclosureId,
    item: &Item,
    versions: &[Version],
    sequence: u32,
) -> Result<Sealed, Error> {
    let disclosed = DisclosedKey {
        format: key::FORMAT.to_owned(),
        reference: order.record.order.reference.clone(),
        delivery,
        sequence,
        key: item.key.id,
        algorithm: item.key.algorithm,
        versions: versions
            .iter()
            .map(|(version, material)| DisclosedVersion {
                version: *version,
                material: Base64(material.to_vec()),
            })
            .collect(),
    };
    let content = disclosed.to_bytes().map_err(|_| CANNOT_BE_WRITTEN)?;
    let bytes = sealing
        .seal(&content)
        .map_err(|_| Error::Internal("a key could not be sealed to the agency"))?;
    Ok(Sealed {
        bytes,
        versions: number(versions),
    })
}
