//! Requests that created keys and are remembered for a while: their record, and the part of the traits that they need.

use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::{AccountId, IdempotencyKey, KeyId};

use super::StoreError;
use crate::canonical::Canonical;

/// A request that created keys.
#[derive(Debug, Clone)]
pub struct RequestRecord {
    /// Who made it.
    pub account: AccountId,
    /// The name that they gave it.
    pub idempotency_key: IdempotencyKey,
    /// SHA-256 of the request.
    pub digest: [u8; 32],
    /// What it created, in the order asked for.
    pub keys: Vec<CreatedThen>,
    /// From when on it is not remembered any more.
    pub expires: Timestamp,
    /// HMAC over the rest.
    pub mac: [u8; 32],
}

/// A key that a request created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreatedThen {
    /// The key.
    pub key: KeyId,
    /// The index of the leaf of its creation.
    pub leaf: u64,
}

impl CreatedThen {
    /// How many bytes it takes in a database.
    const LEN: usize = 24;

    /// Several, one after the other: the key's identifier, and the leaf's index in 8 bytes, big-endian.
    pub(crate) fn pack(keys: &[Self]) -> Vec<u8> {
        keys.iter()
            .flat_map(|then| {
                then.key
                    .as_bytes()
                    .iter()
                    .copied()
                    .chain(then.leaf.to_be_bytes())
            })
            .collect()
    }

    /// What [`Self::pack`] made; none where it made nothing like it.
    pub(crate) fn unpack(bytes: &[u8]) -> Option<Vec<Self>> {
        let whole = bytes.chunks_exact(Self::LEN);
        if !whole.remainder().is_empty() {
            return None;
        }
        whole
            .map(|one| {
                let (key, leaf) = one.split_first_chunk::<16>()?;
                Some(Self {
                    key: KeyId::from_bytes(*key),
                    leaf: u64::from_be_bytes(leaf.try_into().ok()?),
                })
            })
            .collect()
    }
}

impl RequestRecord {
    /// What the MAC covers.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        Canonical::new("request", 5)
            .bytes(self.account.as_bytes())
            .bytes(self.idempotency_key.as_bytes())
            .bytes(&self.digest)
            .bytes(&CreatedThen::pack(&self.keys))
            .time(self.expires)
            .finish()
    }
}

/// Reading remembered requests.
pub trait ReadRequests {
    /// The account's request of this name.
    fn request(
        &self,
        account: AccountId,
        idempotency_key: IdempotencyKey,
    ) -> Result<Option<RequestRecord>, StoreError>;
}

/// Remembering requests.
pub trait WriteRequests {
    /// A request, in place of one of the same name that has lapsed.
    fn remember_request(&mut self, request: &RequestRecord) -> Result<(), StoreError>;
    /// Requests whose time was over before `now` are forgotten.
    fn forget_requests(&mut self, now: Timestamp) -> Result<(), StoreError>;
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn created_keys_survive_their_bytes() {
        let keys = [3, u64::MAX].map(|leaf| CreatedThen {
            key: KeyId::generate(),
            leaf,
        });
        let packed = CreatedThen::pack(&keys);
        assert_eq!(CreatedThen::unpack(&packed).unwrap(), keys);
        assert_eq!(CreatedThen::unpack(&[]).unwrap(), []);
        assert_eq!(CreatedThen::unpack(&packed[1..]), None);
    }
}
