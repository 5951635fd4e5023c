//! Keys: made by the appliance, released to those who hold a grant, rotated, taken out of use and destroyed.
//!
//! | module | what lives there |
//! |---|---|
//! | [`access`] | whether, and by which grant, an account may do something with a key: the one way to a key's material |
//! | `create` | new keys |
//! | `release` | a key's material goes to a client |
//! | `batch` | the material of many keys goes to a client |
//! | `hardware` | keys in the HSM: what grants seal of them, generating and destroying them |
//! | `fresh` | the material of new keys and versions: generated or brought, before the act |
//! | `once` | requests that create keys and are made again |
//! | `preview` | what would be decided, and by which rule |
//! | `find` | metadata: one key, or lists by label, sender, recipient, state and time |
//! | `change` | rotation, states, usage policies and destruction |

pub(crate) mod access;
mod batch;
mod change;
mod create;
pub(crate) mod find;
mod fresh;
mod hardware;
mod once;
mod preview;
pub(crate) mod release;

pub(crate) use change::changed_meanwhile;
pub(crate) use create::{NewRequest, allow, give, one};
pub(crate) use fresh::Fresh;
pub use hardware::HardwareReview;
pub(crate) use hardware::{Hardware, refusal as hsm_refusal};
pub(crate) use once::Once;

use strongroom_hsm::Aes256Key;
use strongroom_wire::key::{Key, Right};

use crate::act::View;
use crate::error::Error;
use crate::seal;
use crate::store::{CopyRecord, GrantRecord, KeyRecord};

/// What the leaf says of an act that the HSM did, or whose key it made.
pub(crate) const IN_HSM: &str = "in the HSM";

/// What a recipient or grantee may do where nothing else is said.
pub(crate) const RECIPIENT_RIGHTS: [Right; 3] = [Right::Release, Right::Decrypt, Right::Verify];

/// Seals a version's material for a grant.
pub(crate) fn seal_copy(
    key: &KeyRecord,
    grant: &GrantRecord,
    version: u32,
    kek: &Aes256Key,
    kek_version: u32,
    material: &[u8],
) -> Result<CopyRecord, Error> {
    let data = grant.copy_canonical(key, version, kek_version);
    Ok(CopyRecord {
        grant: grant.id,
        version,
        kek_version,
        sealed: seal::seal(kek, &data, material)?,
    })
}

/// A key as the API shows it to somebody with these rights.
pub(crate) fn to_wire(view: &View<'_>, key: &KeyRecord, rights: &[Right]) -> Result<Key, Error> {
    let owner_name = view.name_of(key.owner)?;
    let sender = if key.sender == key.owner {
        owner_name.clone()
    } else {
        view.name_of(key.sender)?
    };
    let sees_policy = rights.contains(&Right::Administer);
    let counted = key.policy.max_releases.is_some() || key.releases > 0;
    let public_key = if key.algorithm.is_pair() && !rights.is_empty() {
        Some(public_key(view, key, key.version)?.into())
    } else {
        None
    };
    Ok(Key {
        id: key.id,
        algorithm: key.algorithm,
        state: key.state,
        label: key.label.clone(),
        content_type: key.content_type.clone(),
        owner: key.owner,
        owner_name,
        sender,
        recipients: key
            .recipients
            .iter()
            .map(|recipient| view.name_of(*recipient))
            .collect::<Result<_, _>>()?,
        version: key.version,
        policy: sees_policy.then(|| key.policy.clone()),
        releases: (sees_policy && counted).then_some(key.releases),
        created: key.created,
        rights: rights.to_vec(),
        length: key.traits.length,
        releasable: key.traits.releasable,
        authenticate_each: key.traits.authenticate_each,
        origin: key.traits.origin,
        protection: key.traits.protection,
        public_key,
    })
}

/// The public key of one version of a key pair, its record checked.
pub(crate) fn public_key(view: &View<'_>, key: &KeyRecord, version: u32) -> Result<Vec<u8>, Error> {
    let record = view
        .snapshot
        .public_key(key.id, version)?
        .ok_or(Error::Integrity("public key"))?;
    Ok(view.domain.check_public_key(record)?.public_key)
}
