//! Material that was released: for how long it may be kept, and the handle by which it is used.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use strongroom_session::TransportKey;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::{AccountId, KeyId};
use strongroom_wire::key::{Algorithm, Material};
use zeroize::Zeroizing;

use crate::ClientError;
use crate::object::ObjectKey;
use crate::secret::Secret;

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

    /// When it ends by this device's own clock, if it does.
    pub(crate) fn end(self) -> Option<Instant> {
        let left = self.not_after.map(|moment| {
            let left = moment.as_millis().saturating_sub(now().as_millis());
            Duration::from_millis(left)
        });
        let moment = left.and_then(|left| Instant::now().checked_add(left));
        [moment, self.deadline].into_iter().flatten().min()
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

/// A key's material, released by the appliance for use on this device: an envelope key for an application that does its own encryption, or
/// what this library opens with.
///
/// ```no_run
/// # fn run(session: &strongroom_client::Session, key: strongroom_wire::id::KeyId) -> Result<(), strongroom_client::ClientError> {
/// let mut released = session.obtain(key, None)?;
/// let material = released.material()?; // 32 bytes; gone when this copy and the handle are dropped
/// # assert_eq!(material.len(), 32);
/// # Ok(())
/// # }
/// ```
///
/// It is held in locked memory, and overwritten when it is dropped, when usage policies do not allow to keep it any more, and by
/// [`Protect::forget`](crate::Protect::forget).
pub struct Released {
    key: KeyId,
    version: u32,
    algorithm: Algorithm,
    sender: AccountId,
    secret: Arc<Secret>,
    keep: Keep,
    ask_again: bool,
    leaf: u64,
}

impl Released {
    /// The key.
    ///
    /// ```no_run
    /// # fn run(released: &strongroom_client::Released) -> Result<(), strongroom_client::ClientError> {
    /// println!("version {} of {}", released.version(), released.key());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn key(&self) -> KeyId {
        self.key
    }

    /// The version, from 1.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, key: strongroom_wire::id::KeyId) -> Result<(), strongroom_client::ClientError> {
    /// let newest = session.obtain(key, None)?.version();
    /// let first = session.obtain(key, Some(1))?;
    /// assert!(first.version() <= newest);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// What it is for.
    ///
    /// ```no_run
    /// # fn run(released: &strongroom_client::Released) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_wire::key::Algorithm;
    ///
    /// assert_eq!(released.algorithm(), Algorithm::Aes256);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Who created the key, as the appliance has it.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, released: &strongroom_client::Released) -> Result<(), strongroom_client::ClientError> {
    /// if released.sender() == session.account().id {
    ///     println!("This is a key of one's own.");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn sender(&self) -> AccountId {
        self.sender
    }

    /// A copy of the material: 32 bytes for either algorithm. Drop it when it has been used.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, key: strongroom_wire::id::KeyId) -> Result<(), strongroom_client::ClientError> {
    /// let mut released = session.obtain(key, None)?;
    /// let material = released.material()?; // overwritten when dropped
    /// println!("{} bytes", material.len());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::MaterialExpired`] when usage policies do not allow to keep it any more, or it was forgotten.
    pub fn material(&mut self) -> Result<Zeroizing<Vec<u8>>, ClientError> {
        self.keep.check().inspect_err(|_| self.wipe())?;
        self.secret.copy().ok_or_else(|| {
            let end = self.keep.not_after();
            ClientError::MaterialExpired(end.unwrap_or_else(now))
        })
    }

    /// The material as the key of protected objects and messages.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, key: strongroom_wire::id::KeyId, sealed: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
    /// let object = strongroom_client::object::open(sealed)?;
    /// let mut released = session.obtain(object.header().key(), Some(object.header().key_version()))?;
    /// let mut reader = object.with_key(&released.object_key()?)?;
    /// std::io::copy(&mut reader, &mut std::io::sink())?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::AlteredMaterial`] when the key is for something else; else as [`Self::material`].
    pub fn object_key(&mut self) -> Result<ObjectKey, ClientError> {
        if self.algorithm != Algorithm::Aes256 {
            return Err(ClientError::AlteredMaterial);
        }
        ObjectKey::from_slice(&self.material()?).map_err(|_| ClientError::AlteredMaterial)
    }

    /// When the material must be forgotten, if there is such a moment: whoever holds a copy of it must drop it then.
    ///
    /// ```no_run
    /// # fn run(released: &strongroom_client::Released) -> Result<(), strongroom_client::ClientError> {
    /// if let Some(moment) = released.not_after() {
    ///     println!("to be forgotten at {moment}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn not_after(&self) -> Option<Timestamp> {
        self.keep.not_after()
    }

    pub(crate) fn keep(&self) -> Keep {
        self.keep
    }

    /// The index of the release's leaf in the audit log.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, released: &strongroom_client::Released) -> Result<(), strongroom_client::ClientError> {
    /// let proof = session.inclusion_proof(released.leaf())?; // that the release is in the audit log
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn leaf(&self) -> u64 {
        self.leaf
    }

    /// Another handle of the same material.
    pub(crate) fn another(&self) -> Self {
        Self {
            secret: Arc::clone(&self.secret),
            ..*self
        }
    }

    /// Whether its time is not over.
    pub(crate) fn may_be_used(&self) -> bool {
        self.keep.check().is_ok()
    }

    /// Whether usage policies say what only the appliance can judge, so that it has to be asked for each further use.
    pub(crate) fn must_ask_again(&self) -> bool {
        self.ask_again
    }

    pub(crate) fn is_locked(&self) -> bool {
        self.secret.is_locked()
    }

    /// Overwrites the material, for all handles of it.
    pub(crate) fn wipe(&self) {
        self.secret.wipe();
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

/// Opens what came under the transport key, and holds it against what was asked for.
pub(crate) fn unwrap(
    transport_key: &TransportKey,
    material: Material,
    key: KeyId,
    version: Option<u32>,
) -> Result<Released, ClientError> {
    if material.key != key || version.is_some_and(|version| version != material.version) {
        return Err(ClientError::AlteredMaterial);
    }
    let keep = Keep::new(material.not_after, material.keep_for);
    let unwrapped = transport_key.unwrap(key, material.version, &material.wrapped.0)?;
    Ok(Released {
        key,
        version: material.version,
        algorithm: material.algorithm,
        sender: material.sender,
        secret: Secret::new(&unwrapped, keep.end()),
        keep,
        ask_again: material.ask_again,
        leaf: material.leaf,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use strongroom_wire::encoding::Base64;

    use super::*;
    use crate::session::Session;
    use crate::session::tests::session;

    fn material(key: KeyId, session: &Session) -> Material {
        Material {
            key,
            version: 3,
            algorithm: Algorithm::Aes256,
            sender: session.account().id,
            wrapped: Base64(session.transport_key().wrap(key, 3, &[7; 32]).unwrap()),
            not_after: None,
            keep_for: None,
            ask_again: false,
            leaf: 41,
        }
    }

    fn unwrap_in(
        session: &Session,
        material: Material,
        key: KeyId,
        version: Option<u32>,
    ) -> Result<Released, ClientError> {
        unwrap(session.transport_key(), material, key, version)
    }

    /// Material of a key that may be kept for so many seconds.
    pub(crate) fn released(key: KeyId, version: u32, keep_for: Option<u32>) -> Released {
        let keep = Keep::new(None, keep_for);
        Released {
            key,
            version,
            algorithm: Algorithm::Aes256,
            sender: AccountId::generate(),
            secret: Secret::new(&[7; 32], keep.end()),
            keep,
            ask_again: false,
            leaf: 41,
        }
    }

    /// Material whose policy the appliance alone can judge.
    pub(crate) fn released_once(key: KeyId, version: u32) -> Released {
        Released {
            ask_again: true,
            ..released(key, version, None)
        }
    }

    #[test]
    fn material_that_was_asked_for_is_unwrapped() {
        let (session, key) = (session(), KeyId::generate());
        for version in [None, Some(3)] {
            let mut released = unwrap_in(&session, material(key, &session), key, version).unwrap();
            assert_eq!(*released.material().unwrap(), [7; 32]);
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
            let mut released = unwrap_in(&session, kept, key, None).unwrap();
            let error = released.material().unwrap_err();
            assert!(matches!(error, ClientError::MaterialExpired(_)));
            assert!(released.secret.copy().is_none());
            assert!(released.object_key().is_err());
        }
        let mut kept = material(key, &session);
        (kept.not_after, kept.keep_for) = (Some(now().plus_seconds(60)), Some(60));
        let mut released = unwrap_in(&session, kept, key, None).unwrap();
        assert_eq!(*released.material().unwrap(), [7; 32]);
    }

    #[test]
    fn material_of_anything_else_is_refused() {
        let (session, key) = (session(), KeyId::generate());
        let refused = |material: Material, key, version| {
            let error = unwrap_in(&session, material, key, version).unwrap_err();
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
        let mut released = unwrap_in(&session, other, key, None).unwrap();
        assert!(released.object_key().is_err());
        let mut short = material(key, &session);
        short.wrapped.0 = session.transport_key().wrap(key, 3, &[7; 16]).unwrap();
        let mut released = unwrap_in(&session, short, key, None).unwrap();
        assert!(released.object_key().is_err());
    }
}
