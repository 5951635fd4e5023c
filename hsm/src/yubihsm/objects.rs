//! Objects in the device: their labels, identifiers and capabilities, and finding and checking them.

use ::yubihsm::{Algorithm, Capability, asymmetric, object, wrap};
use sha2::{Digest as _, Sha256};

use super::device::{Device, Failure};
use crate::{HsmError, MasterKekId, RecoveryKekId};

/// What a master KEK may do.
pub(super) const MASTER_KEK: Capability =
    Capability::EXPORT_WRAPPED.union(Capability::IMPORT_WRAPPED);
/// What an object may be able to do that a master KEK wraps: nothing but be wrapped. So no key leaves the device under it.
pub(super) const MASTER_KEK_DELEGATED: Capability = Capability::EXPORTABLE_UNDER_WRAP;
/// What a master KEK may do that can be recovered. It leaves the device only under a key whose delegated capabilities cover its own: the recovery
/// KEK's do, a master KEK's do not.
pub(super) const RECOVERABLE_MASTER_KEK: Capability =
    MASTER_KEK.union(Capability::EXPORTABLE_UNDER_WRAP);
/// What a recovery KEK may do: wrap.
pub(super) const RECOVERY_KEK: Capability = Capability::EXPORT_WRAPPED;
/// What the objects may be able to do that a recovery KEK wraps: what a master KEK does.
pub(super) const RECOVERY_KEK_DELEGATED: Capability =
    RECOVERABLE_MASTER_KEK.union(MASTER_KEK_DELEGATED);
/// What a signing key may do.
pub(super) const SIGNING_KEY: Capability = Capability::SIGN_EDDSA;

/// The identifiers that keys are given. The factory's authentication key has 1; small numbers are left to other uses.
const FIRST_ID: u16 = 0x0100;
const IDS: u16 = 0xf000;

/// The kinds of key that Strongroom keeps in the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    MasterKek,
    RecoveryKek,
    SigningKey,
}

impl Kind {
    pub(super) fn object_type(self) -> object::Type {
        match self {
            Self::MasterKek | Self::RecoveryKek => object::Type::WrapKey,
            Self::SigningKey => object::Type::AsymmetricKey,
        }
    }

    /// The command that makes one.
    pub(super) fn generation(self) -> &'static str {
        match self {
            Self::MasterKek => "GENERATE WRAP KEY",
            Self::RecoveryKek => "PUT WRAP KEY",
            Self::SigningKey => "GENERATE ASYMMETRIC KEY",
        }
    }

    /// Where a device's label has no room for ours: what it begins with instead.
    fn compact_prefix(self) -> &'static str {
        match self {
            Self::MasterKek => "kek",
            Self::RecoveryKek => "rec",
            Self::SigningKey => "key",
        }
    }

    /// Why a key of this kind is not used: it could leave the device, or do more than it is for.
    pub(super) fn flaw(self, info: &object::Info) -> Option<&'static str> {
        use object::Origin;
        const AES256: Algorithm = Algorithm::Wrap(wrap::Algorithm::Aes256Ccm);
        let (algorithm, capabilities, delegated) = match self {
            Self::MasterKek => (AES256, RECOVERABLE_MASTER_KEK, MASTER_KEK_DELEGATED),
            Self::RecoveryKek => (AES256, RECOVERY_KEK, RECOVERY_KEK_DELEGATED),
            Self::SigningKey => (
                Algorithm::Asymmetric(asymmetric::Algorithm::Ed25519),
                SIGNING_KEY,
                Capability::empty(),
            ),
        };
        let origin = match (self, info.origin) {
            (Self::MasterKek | Self::SigningKey, Origin::Generated)
            // Generated in another device, and recovered into this one.
            | (Self::MasterKek, Origin::WrappedGenerated)
            | (Self::RecoveryKek, Origin::Imported) => None,
            (Self::MasterKek | Self::SigningKey, _) => Some("it was not generated in the device"),
            (Self::RecoveryKek, _) => Some("it was not put into the device by a ceremony"),
        };
        if info.algorithm != algorithm {
            Some("it is of another algorithm")
        } else if origin.is_some() {
            origin
        } else if !capabilities.contains(info.capabilities) {
            Some("it has other capabilities than it needs")
        } else if !delegated.contains(info.delegated_capabilities) {
            Some("it may wrap objects that can do more than be wrapped")
        } else {
            None
        }
    }
}

/// The label in the device, which has 40 bytes: our label where it fits, else one with a part of its SHA-256. A KEK's
/// version stays readable.
pub(super) fn label(kind: Kind, label: &str) -> object::Label {
    let text = match kind {
        Kind::MasterKek | Kind::RecoveryKek => match label.rsplit_once("/v") {
            Some((domain, version)) if label.len() > object::LABEL_SIZE => {
                format!("{}{version}", compact_prefix(kind, domain))
            }
            _ => label.to_owned(),
        },
        // Whatever begins like a compact label is made compact, so that no two labels are one.
        Kind::SigningKey if label.len() > object::LABEL_SIZE || label.starts_with("key/") => {
            format!("key/{}", &hash(label)[..36])
        }
        Kind::SigningKey => label.to_owned(),
    };
    let mut bytes = [0; object::LABEL_SIZE];
    let len = text.len().min(bytes.len());
    bytes[..len].copy_from_slice(&text.as_bytes()[..len]);
    object::Label(bytes)
}

/// The key of that kind and label, after checking what it may do.
pub(super) fn find(
    device: &Device,
    kind: Kind,
    label: &str,
) -> Result<Option<object::Id>, Failure> {
    let filters = || {
        [
            object::Filter::Type(kind.object_type()),
            object::Filter::Label(self::label(kind, label)),
        ]
    };
    let found = device.run("LIST OBJECTS", |client| client.list_objects(&filters()))?;
    let id = match *found.as_slice() {
        [] => return Ok(None),
        [ref only] => only.object_id,
        _ => {
            return Err(Failure::Known(HsmError::KeyAmbiguous {
                token: device.name().to_owned(),
                label: label.to_owned(),
            }));
        }
    };
    let info = device.run("GET OBJECT INFO", |client| {
        client.get_object_info(id, kind.object_type())
    })?;
    match kind.flaw(&info) {
        None => Ok(Some(id)),
        Some(reason) => Err(Failure::Known(HsmError::KeyUnprotected {
            token: device.name().to_owned(),
            label: label.to_owned(),
            reason,
        })),
    }
}

/// The first free identifier from that on which follows from the label.
pub(super) fn free_id(device: &Device, kind: Kind, label: &str) -> Result<object::Id, Failure> {
    let taken = device.run("LIST OBJECTS", |client| {
        client.list_objects(&[object::Filter::Type(kind.object_type())])
    })?;
    let digest = Sha256::digest(label.as_bytes());
    let start = u16::from_be_bytes([digest[0], digest[1]]) % IDS;
    // The device holds 256 objects: one of so many identifiers is free.
    let free = (start..IDS)
        .chain(0..start)
        .map(|offset| FIRST_ID + offset)
        .find(|id| taken.iter().all(|entry| entry.object_id != *id));
    free.ok_or_else(|| {
        Failure::Known(HsmError::Refused {
            token: device.name().to_owned(),
            function: kind.generation().to_owned(),
            code: "no free object identifier".to_owned(),
        })
    })
}

/// The versions of the master KEK or the recovery KEK of `domain`, in ascending order.
pub(super) fn versions(device: &Device, kind: Kind, domain: &str) -> Result<Vec<u32>, Failure> {
    let (named, version) = (domain.to_owned(), 1);
    // Checks the domain's name before the device is asked.
    let (first, version_in_label): (_, fn(&str, &str) -> _) = match kind {
        Kind::RecoveryKek => {
            let domain = named;
            let id = RecoveryKekId { domain, version };
            (id.label()?, RecoveryKekId::version_in_label)
        }
        Kind::MasterKek | Kind::SigningKey => {
            let domain = named;
            let id = MasterKekId { domain, version };
            (id.label()?, MasterKekId::version_in_label)
        }
    };
    let compact = compact_prefix(kind, first.strip_suffix("/v1").unwrap_or(&first));
    let entries = device.run("LIST OBJECTS", |client| {
        client.list_objects(&[object::Filter::Type(kind.object_type())])
    })?;
    let mut versions = Vec::new();
    for entry in entries {
        let info = device.run("GET OBJECT INFO", |client| {
            client.get_object_info(entry.object_id, entry.object_type)
        })?;
        let Ok(label) = info.label.try_as_str() else {
            continue;
        };
        versions.extend(match label.strip_prefix(&compact) {
            Some(digits) => canonical(digits),
            None => version_in_label(domain, label)?,
        });
    }
    versions.sort_unstable();
    versions.dedup();
    Ok(versions)
}

/// Before the version of a label that is too long for the device: 30 bytes, so that with ten digits it has 40.
fn compact_prefix(kind: Kind, domain_label: &str) -> String {
    format!("{}/{}/v", kind.compact_prefix(), &hash(domain_label)[..24])
}

fn canonical(digits: &str) -> Option<u32> {
    let version = digits.parse::<u32>().ok()?;
    (digits == version.to_string()).then_some(version)
}

fn hash(text: &str) -> String {
    use std::fmt::Write as _;
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(text.as_bytes()) {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(kind: Kind, label: &str) -> String {
        super::label(kind, label).try_as_str().unwrap().to_owned()
    }

    #[test]
    fn labels_that_fit_are_kept() {
        let label = "strongroom/default/master-kek/v4294967";
        assert_eq!(text(Kind::MasterKek, label), label);
        assert_eq!(text(Kind::SigningKey, "checkpoint"), "checkpoint");
        let recovery = "strongroom/default/recovery-kek/v12345";
        assert_eq!(text(Kind::RecoveryKek, recovery), recovery);
    }

    #[test]
    fn long_labels_keep_their_version_and_differ() {
        let long = |domain: &str, version| {
            let id = MasterKekId {
                domain: domain.to_owned(),
                version,
            };
            text(Kind::MasterKek, &id.label().unwrap())
        };
        let (a, b) = ("a".repeat(64), format!("{}b", "a".repeat(63)));
        assert!(long(&a, u32::MAX).ends_with("/v4294967295"));
        assert_eq!(long(&a, u32::MAX).len(), 40);
        assert_ne!(long(&a, 1), long(&b, 1));
        let recovery = RecoveryKekId {
            domain: a.clone(),
            version: 1,
        };
        let recovery = text(Kind::RecoveryKek, &recovery.label().unwrap());
        assert!(recovery.starts_with("rec/") && recovery[4..] != long(&a, 1)[4..]);
        assert_eq!(long(&a, 1).strip_suffix('1'), long(&a, 2).strip_suffix('2'));
        let (x, y) = (
            text(Kind::SigningKey, &"x".repeat(128)),
            text(Kind::SigningKey, &"x".repeat(127)),
        );
        assert!(x != y && x.len() == 40);
        // Nobody chooses the compact label of another.
        assert_ne!(text(Kind::SigningKey, &x), x);
    }

    proptest! {
        #[test]
        fn labels_fit(label in "[a-z/]{0,128}", version: u32) {
            text(Kind::SigningKey, &label);
            text(Kind::MasterKek, &format!("{label}/v{version}"));
        }
    }
}
