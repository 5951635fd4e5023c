//! The material of new keys and versions: generated, or brought by the caller. It is made before the act, which waits for nothing: an RSA key
//! takes a second and more.

use std::sync::Arc;

use strongroom_mechanisms::{Refusal, material};
use strongroom_wire::id::KeyId;
use strongroom_wire::key::{Algorithm, NewKey, Origin, Protection, Right};

use super::access;
use super::hardware::{InHsm, Pending};
use crate::act::{Caller, Presented};
use crate::error::{Answer, Error};
use crate::keystore::Core;

/// The material of a new key or version.
pub(crate) struct Fresh {
    pub(crate) material: material::Material,
    pub(crate) origin: Origin,
    /// What was generated in the HSM: then the material only names it.
    pub(crate) in_hsm: Option<InHsm>,
}

impl Fresh {
    pub(super) fn generate(algorithm: Algorithm, length: Option<u16>) -> Result<Self, Refusal> {
        Ok(Self {
            material: material::generate(algorithm, length)?,
            origin: Origin::Generated,
            in_hsm: None,
        })
    }

    /// Its length in bytes.
    pub(super) fn length(&self) -> u16 {
        // A secret has 1024 bytes at most.
        u16::try_from(self.material.bytes.len()).unwrap_or(u16::MAX)
    }
}

/// The material of each key of a request: generated, or what the caller brought, or why that is none.
///
/// Where it costs something it is made for somebody who is signed in only.
pub(super) fn of_request(
    core: &Arc<Core>,
    caller: &Presented,
    keys: &[NewKey],
) -> Answer<(Vec<Result<Fresh, Refusal>>, Pending)> {
    let mut pending = Pending::new(core);
    let cheap = |new: &NewKey| {
        new.material.is_none() && !new.algorithm.is_pair() && new.protection == Protection::Software
    };
    if keys.iter().all(cheap) {
        return Ok((keys.iter().map(|new| made(new, None)).collect(), pending));
    }
    let caller = core.look(caller, |view, _, _| view.authenticate(caller))?;
    let mut fresh = Vec::with_capacity(keys.len());
    for new in keys {
        fresh.push(match new.protection {
            Protection::Software => made(new, Some(&caller)),
            Protection::Hsm => Ok(pending.generate(KeyId::generate(), 1, new.algorithm)?),
        });
    }
    Ok((fresh, pending))
}

fn made(new: &NewKey, caller: Option<&Caller>) -> Result<Fresh, Refusal> {
    let (Some(wrapped), Some(caller)) = (&new.material, caller) else {
        return Fresh::generate(new.algorithm, new.length);
    };
    let brought = caller
        .import
        .unwrap_import(&wrapped.0)
        .map_err(|_| Refusal::NotAuthentic)?;
    Ok(Fresh {
        material: material::import(new.algorithm, new.length, &brought)?,
        origin: Origin::Imported,
        in_hsm: None,
    })
}

/// The material of a key's next version, where the caller may know what the key is for. Whoever may not is refused by the act.
pub(super) fn of_version(
    core: &Arc<Core>,
    caller: &Presented,
    key: KeyId,
) -> Answer<(Option<Fresh>, Pending)> {
    let mut pending = Pending::new(core);
    let wanted = core.look(caller, |view, caller, _| {
        match access::require(view, caller, key, Right::Administer) {
            Ok(access) => Ok(Some(access.key)),
            Err(needs @ Error::NeedKeks(_)) => Err(needs),
            // The act says why, and leaves the leaf.
            Err(_) => Ok(None),
        }
    })?;
    let fresh = match wanted {
        Some(key) if key.traits.protection == Protection::Hsm => {
            Some(pending.generate(key.id, key.version.saturating_add(1), key.algorithm)?)
        }
        Some(key) => Fresh::generate(key.algorithm, key.traits.length).ok(),
        None => None,
    };
    Ok((fresh, pending))
}
