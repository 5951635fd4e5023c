//! What is said of recovery KEKs and recovery blobs, in the database and in backups' headers. None of it is a secret.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use strongroom_hsm::{Aes256Key, RecoveryBlob};
use strongroom_wire::encoding::{Base64, Timestamp};
use subtle::ConstantTimeEq;

use crate::error::Error;
use crate::seal::MacKey;
use crate::store::RecoveryKekRecord;

/// By which a restored recovery KEK is known: the first 8 bytes of HMAC-SHA-256 under it over `strongroom/v1/recovery-check`.
pub type CheckValue = [u8; 8];

const CONTEXT: &[u8] = b"strongroom/v1/recovery-check";

/// The check value of a recovery KEK.
#[must_use]
pub fn check_value(key: &Aes256Key) -> CheckValue {
    let mac = MacKey::new(*key.as_bytes()).mac(CONTEXT);
    let mut value = [0; 8];
    value.copy_from_slice(mac.split_at(8).0);
    value
}

/// A version of a domain's recovery KEK, as it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecoveryKek {
    /// The version; the first is 1.
    pub version: u32,
    /// The number of the set that the custodians' shares belong to.
    pub set: u16,
    /// How many of them restore the key.
    pub threshold: u8,
    /// The custodians' names, in the order of their shares.
    pub custodians: Vec<String>,
    /// Its [`CheckValue`].
    pub check_value: Base64,
    /// When it was made.
    pub created: Timestamp,
}

impl RecoveryKek {
    /// Whether this is the key.
    #[must_use]
    pub fn is(&self, key: &Aes256Key) -> bool {
        self.check_value
            .0
            .as_slice()
            .ct_eq(&check_value(key))
            .into()
    }

    /// The name of the custodian who has the share of this index.
    #[must_use]
    pub fn custodian(&self, index: u8) -> Option<&str> {
        let at = usize::from(index).checked_sub(1)?;
        self.custodians.get(at).map(String::as_str)
    }
}

impl From<&RecoveryKekRecord> for RecoveryKek {
    fn from(record: &RecoveryKekRecord) -> Self {
        Self {
            version: record.version,
            set: record.set,
            threshold: record.threshold,
            custodians: record.custodians.clone(),
            check_value: record.check_value.to_vec().into(),
            created: record.created,
        }
    }
}

/// A version of the master KEK, and what custodians recover it from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MasterKekBackup {
    /// The version.
    pub version: u32,
    /// The recovery blob ([`RecoveryBlob::to_bytes`]); absent when no custodian can recover this version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blob: Option<Base64>,
}

impl MasterKekBackup {
    /// The recovery blob, if there is one.
    ///
    /// # Errors
    ///
    /// [`Error::Integrity`] when it is malformed.
    pub fn blob(&self) -> Result<Option<RecoveryBlob>, Error> {
        let blob = self
            .blob
            .as_ref()
            .map(|blob| RecoveryBlob::from_bytes(&blob.0));
        blob.transpose()
            .map_err(|_| Error::Integrity("recovery blob"))
    }
}

/// What custodians need to bring the master KEKs of a database into another HSM.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recovery {
    /// The versions of the recovery KEK that wrap any of the blobs, in ascending order.
    pub recovery_keks: Vec<RecoveryKek>,
    /// The versions of the master KEK that wrap anything, in ascending order.
    pub master_keks: Vec<MasterKekBackup>,
}

impl Recovery {
    /// Puts together what is needed for these versions of the master KEK.
    pub(crate) fn of(
        keks: &[RecoveryKekRecord],
        blobs: &[(u32, RecoveryBlob)],
        needed: &BTreeSet<u32>,
    ) -> Self {
        let blob = |version| blobs.iter().find(|(of, _)| *of == version);
        let wrapping: BTreeSet<u32> = needed
            .iter()
            .filter_map(|version| blob(*version))
            .map(|(_, blob)| blob.recovery_kek_version)
            .collect();
        Self {
            recovery_keks: keks
                .iter()
                .filter(|kek| wrapping.contains(&kek.version))
                .map(RecoveryKek::from)
                .collect(),
            master_keks: needed
                .iter()
                .map(|version| MasterKekBackup {
                    version: *version,
                    blob: blob(*version).map(|(_, blob)| blob.to_bytes().into()),
                })
                .collect(),
        }
    }

    /// The versions of the master KEK that are needed and that no custodian can recover.
    #[must_use]
    pub fn unrecoverable(&self) -> Vec<u32> {
        let lost = self.master_keks.iter().filter(|kek| kek.blob.is_none());
        lost.map(|kek| kek.version).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_is_the_documented_one() {
        // printf strongroom/v1/recovery-check | openssl dgst -sha256 -mac HMAC -macopt hexkey:0101…01
        let value = check_value(&Aes256Key::from_bytes([1; 32]));
        assert_eq!(hex::encode(value), "7357b4a17df2a82d");
        assert_ne!(value, check_value(&Aes256Key::from_bytes([2; 32])));
    }
}
