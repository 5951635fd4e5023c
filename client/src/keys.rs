//! What an account does with its keys: create, obtain, find, share, revoke, rotate, change state, destroy.

use std::fmt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use strongroom_wire::account::Done;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::{GrantId, KeyId};
use strongroom_wire::key::{
    Algorithm, ChangeState, ChangedKey, CreateKeys, CreatedKey, CreatedKeys, Grant, Grants, Key,
    KeyPage, KeyQuery, KeyState, Material, NewKey, ReleaseKey, ShareKey, Shared,
};
use zeroize::Zeroizing;

use crate::ClientError;
use crate::api::Call;
use crate::object::ObjectKey;
use crate::session::Session;

/// Until when released material may be kept: a moment by the clocks of the world, and a span by this device's own, which no setting of a clock
/// lengthens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Keep {
    not_after: Option<Timestamp>,
    deadline: Option<Instant>,
}

impl Keep {
    pub(crate) fn new(not_after: Option<Timestamp>, keep_for: Option<u32>) -> Self {
        let span = keep_for.map(|seconds| Duration::from_secs(seconds.into()));
        Self {
            not_after,
            deadline: span.and_then(|span| Instant::now().checked_add(span)),
        }
    }

    /// The moment by the clocks of the world.
    pub(crate) fn not_after(self) -> Option<Timestamp> {
        self.not_after
    }

    /// Refuses material that may not be kept any more: whoever holds it drops it then.
    pub(crate) fn check(self) -> Result<(), ClientError> {
        let now = now();
        let passed = self.not_after.is_some_and(|moment| moment <= now)
            || self.deadline.is_some_and(|end| end <= Instant::now());
        if passed {
            return Err(ClientError::MaterialExpired(self.not_after.unwrap_or(now)));
        }
        Ok(())
    }
}

pub(crate) fn now() -> Timestamp {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
    let millis = elapsed.map_or(0, |elapsed| elapsed.as_millis());
    Timestamp::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

/// A key's material, released by the appliance for use on this device. Zeroised when dropped, and when it is asked for after it may not be kept
/// any more.
pub struct Released {
    key: KeyId,
    version: u32,
    algorithm: Algorithm,
    material: Zeroizing<Vec<u8>>,
    keep: Keep,
    leaf: u64,
}

impl Released {
    /// The key.
    #[must_use]
    pub fn key(&self) -> KeyId {
        self.key
    }

    /// The version, from 1.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// What it is for.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The material itself: 32 bytes for either algorithm.
    ///
    /// # Errors
    /// [`ClientError::MaterialExpired`] when usage policies do not allow to keep it any more: it has been forgotten.
    pub fn material(&mut self) -> Result<&[u8], ClientError> {
        self.keep
            .check()
            .inspect_err(|_| self.material = Zeroizing::default())?;
        Ok(&self.material)
    }

    /// The material as the key of protected objects.
    ///
    /// # Errors
    /// [`ClientError::AlteredMaterial`] when the key is for something else; else as [`Self::material`].
    pub fn object_key(&mut self) -> Result<ObjectKey, ClientError> {
        if self.algorithm != Algorithm::Aes256 {
            return Err(ClientError::AlteredMaterial);
        }
        ObjectKey::from_slice(self.material()?).map_err(|_| ClientError::AlteredMaterial)
    }

    /// When the material must be forgotten, if there is such a moment: whoever holds a copy of it must drop it then.
    #[must_use]
    pub fn not_after(&self) -> Option<Timestamp> {
        self.keep.not_after()
    }

    pub(crate) fn keep(&self) -> Keep {
        self.keep
    }

    /// The index of the release's leaf in the audit log.
    #[must_use]
    pub fn leaf(&self) -> u64 {
        self.leaf
    }
}

impl fmt::Debug for Released {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Released")
            .field("key", &self.key)
            .field("version", &self.version)
            .field("leaf", &self.leaf)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// Has the appliance make keys. All are created or none.
    pub fn create_keys(&self, keys: Vec<NewKey>) -> Result<Vec<CreatedKey>, ClientError> {
        let asked = keys.len();
        let created = self.create(keys, false)?;
        if created.len() != asked {
            return Err(self.client().unexpected("another number of keys"));
        }
        Ok(created)
    }

    /// Has the appliance make a key and release it in the same answer.
    pub fn create_and_obtain(&self, key: NewKey) -> Result<(CreatedKey, Released), ClientError> {
        let algorithm = key.algorithm;
        let mut created = self.create(vec![key], true)?;
        let (Some(mut created), true) = (created.pop(), created.is_empty()) else {
            return Err(self.client().unexpected("another number of keys"));
        };
        let material = created
            .material
            .take()
            .ok_or_else(|| self.client().unexpected("a key without its material"))?;
        let released = self.unwrap(material, created.key.id, Some(created.key.version))?;
        if released.algorithm != algorithm {
            return Err(ClientError::AlteredMaterial);
        }
        Ok((created, released))
    }

    /// Obtains a key: this version of it, or the newest.
    ///
    /// # Errors
    /// [`ClientError::Refused`] when the appliance does not release it, with the reason;
    /// [`ClientError::AlteredMaterial`] when what came is not what it released.
    pub fn obtain(&self, key: KeyId, version: Option<u32>) -> Result<Released, ClientError> {
        let call = Call::post(format!("/v1/keys/{key}/release")).with(&ReleaseKey { version })?;
        let material: Material = self.call(&call)?;
        self.unwrap(material, key, version)
    }

    /// What the caller may know of a key.
    pub fn key(&self, key: KeyId) -> Result<Key, ClientError> {
        self.call(&Call::get(format!("/v1/keys/{key}")))
    }

    /// A page of the keys that match; [`KeyPage::next`] goes into [`KeyQuery::after`] for the next one.
    pub fn find_keys(&self, query: &KeyQuery) -> Result<KeyPage, ClientError> {
        self.call(&Call::find("/v1/keys", query))
    }

    /// All keys that match, page by page as they are taken. Ends after the first error.
    pub fn all_keys(&self, query: KeyQuery) -> impl Iterator<Item = Result<Key, ClientError>> {
        let mut next = Some(query);
        let pages = std::iter::from_fn(move || {
            let mut query = next.take()?;
            Some(self.find_keys(&query).map(|page| {
                if page.next.is_some() && page.next != query.after {
                    query.after = page.next;
                    next = Some(query);
                }
                page.keys
            }))
        });
        pages.flat_map(|page| match page {
            Ok(keys) => keys.into_iter().map(Ok).collect::<Vec<_>>(),
            Err(error) => vec![Err(error)],
        })
    }

    /// Gives an account a sealed copy of the key.
    pub fn share(&self, key: KeyId, share: &ShareKey) -> Result<Shared, ClientError> {
        self.call(&Call::post(format!("/v1/keys/{key}/grants")).with(share)?)
    }

    /// Who has the key, the owner first.
    pub fn grants(&self, key: KeyId) -> Result<Grants, ClientError> {
        self.call(&Call::get(format!("/v1/keys/{key}/grants")))
    }

    /// Takes a grant back: its sealed copy is deleted.
    pub fn revoke(&self, key: KeyId, grant: GrantId) -> Result<Done, ClientError> {
        self.call(&Call::delete(format!("/v1/keys/{key}/grants/{grant}")))
    }

    /// Takes the key back from the account with this name.
    ///
    /// # Errors
    /// [`ClientError::NoGrantTo`] when it has no active grant.
    pub fn revoke_from(&self, key: KeyId, account: &str) -> Result<(Grant, Done), ClientError> {
        let grant = self.grant_to(key, account)?;
        let done = self.revoke(key, grant.id)?;
        Ok((grant, done))
    }

    /// Makes a new version of the key. What was protected under earlier versions still opens.
    pub fn rotate(&self, key: KeyId) -> Result<ChangedKey, ClientError> {
        self.call(&Call::post(format!("/v1/keys/{key}/rotate")))
    }

    /// Changes the key's state.
    pub fn change_state(&self, key: KeyId, state: KeyState) -> Result<ChangedKey, ClientError> {
        self.call(&Call::post(format!("/v1/keys/{key}/state")).with(&ChangeState { state })?)
    }

    /// Destroys the key with every copy of it. What it protects can never be opened again.
    pub fn destroy(&self, key: KeyId) -> Result<ChangedKey, ClientError> {
        self.call(&Call::delete(format!("/v1/keys/{key}")))
    }

    fn create(&self, keys: Vec<NewKey>, release: bool) -> Result<Vec<CreatedKey>, ClientError> {
        let created: CreatedKeys =
            self.call(&Call::post("/v1/keys").with(&CreateKeys { keys, release })?)?;
        Ok(created.keys)
    }

    /// Opens what came under the transport key, and holds it against what was asked for.
    fn unwrap(
        &self,
        material: Material,
        key: KeyId,
        version: Option<u32>,
    ) -> Result<Released, ClientError> {
        if material.key != key || version.is_some_and(|version| version != material.version) {
            return Err(ClientError::AlteredMaterial);
        }
        Ok(Released {
            key,
            version: material.version,
            algorithm: material.algorithm,
            material: self
                .transport_key()
                .unwrap(key, material.version, &material.wrapped.0)?,
            keep: Keep::new(material.not_after, material.keep_for),
            leaf: material.leaf,
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use strongroom_session::TransportKey;
    use strongroom_wire::encoding::Base64;

    use super::*;
    use crate::session::tests::session;

    fn material(key: KeyId, session: &Session) -> Material {
        Material {
            key,
            version: 3,
            algorithm: Algorithm::Aes256,
            wrapped: Base64(session.transport_key().wrap(key, 3, &[7; 32]).unwrap()),
            not_after: None,
            keep_for: None,
            leaf: 41,
        }
    }

    #[test]
    fn material_that_was_asked_for_is_unwrapped() {
        let (session, key) = (session(), KeyId::generate());
        for version in [None, Some(3)] {
            let mut released = session
                .unwrap(material(key, &session), key, version)
                .unwrap();
            assert_eq!(released.material().unwrap(), [7; 32]);
            assert_eq!((released.version(), released.leaf()), (3, 41));
            assert!(released.object_key().is_ok());
            assert!(!format!("{released:?}").contains("7, 7"));
        }
    }

    #[test]
    fn material_is_forgotten_when_it_may_not_be_kept() {
        let (session, key) = (session(), KeyId::generate());
        for (not_after, keep_for) in [
            (Some(Timestamp::from_millis(now().as_millis() - 1)), None),
            (
                Some(Timestamp::from_millis(now().as_millis() - 1)),
                Some(60),
            ),
            // Whatever the clock says.
            (Some(now().plus_seconds(60)), Some(0)),
            (None, Some(0)),
        ] {
            let mut kept = material(key, &session);
            (kept.not_after, kept.keep_for) = (not_after, keep_for);
            let mut released = session.unwrap(kept, key, None).unwrap();
            let error = released.material().unwrap_err();
            assert!(matches!(error, ClientError::MaterialExpired(_)));
            assert!(released.material.is_empty());
            assert!(released.object_key().is_err());
        }
        let mut kept = material(key, &session);
        (kept.not_after, kept.keep_for) = (Some(now().plus_seconds(60)), Some(60));
        let mut released = session.unwrap(kept, key, None).unwrap();
        assert_eq!(released.material().unwrap(), [7; 32]);
    }

    #[test]
    fn material_of_anything_else_is_refused() {
        let (session, key) = (session(), KeyId::generate());
        let refused = |material: Material, key, version| {
            let error = session.unwrap(material, key, version).unwrap_err();
            assert!(matches!(error, ClientError::AlteredMaterial), "{error:?}");
        };
        refused(material(KeyId::generate(), &session), key, None);
        refused(material(key, &session), key, Some(2));
        let mut altered = material(key, &session);
        altered.wrapped.0[9] ^= 1;
        refused(altered, key, None);
        let mut swapped = material(key, &session);
        swapped.wrapped = material(KeyId::generate(), &session).wrapped;
        refused(swapped, key, None);
        let mut foreign = material(key, &session);
        foreign.wrapped.0 = TransportKey::from_bytes([3; 32])
            .wrap(key, 3, &[7; 32])
            .unwrap();
        refused(foreign, key, None);
    }

    #[test]
    fn a_key_for_something_else_protects_no_object() {
        let (session, key) = (session(), KeyId::generate());
        let mut other = material(key, &session);
        other.algorithm = Algorithm::HmacSha256;
        let mut released = session.unwrap(other, key, None).unwrap();
        assert!(released.object_key().is_err());
        let mut short = material(key, &session);
        short.wrapped.0 = session.transport_key().wrap(key, 3, &[7; 16]).unwrap();
        let mut released = session.unwrap(short, key, None).unwrap();
        assert!(released.object_key().is_err());
    }
}
