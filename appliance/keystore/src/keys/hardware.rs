//! Keys of the protection level `hsm`: generated in the HSM, which never gives them.
//!
//! What a grant seals of such a key is no material, but the name of the object in the HSM and the digest of its public key. So everything that
//! holds for grants holds for them, and nobody who can write to the database can have one key used in another's place.
//!
//! The HSM takes part in no transaction: a key is generated there before the act that makes it, and destroyed after the act that destroys it.
//! What is left over of either is found again: [`review`](Core::review_hardware).

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use strongroom_hsm::{HsmError, NamedKeyId, NamedKeyType};
use strongroom_mechanisms::{Refusal, material};
use strongroom_wire::id::KeyId;
use strongroom_wire::key::{Algorithm, KeyState, Origin, Protection};
use zeroize::Zeroizing;

use super::access::Access;
use super::fresh::Fresh;
use crate::act::View;
use crate::error::{Answer, Error};
use crate::keystore::{Core, Keystore};
use crate::seal;

/// What the content of a grant begins with.
const FORMAT: &[u8] = b"strongroom/key-in-hsm/1\0";
/// How many names are tried for a version, where others are taken by what was left over.
const MOST_TRIED: u32 = 16;
/// How often what the HSM holds is held against the keys that there are, in seconds.
const REVIEW_EVERY: u64 = 24 * 3600;

/// A version of a key in the HSM.
#[derive(Debug, Clone)]
pub(crate) struct Hardware {
    pub(crate) id: NamedKeyId,
    pub(crate) key_type: NamedKeyType,
    pub(crate) algorithm: Algorithm,
}

/// What was generated in the HSM for a key's version.
#[derive(Debug, Clone)]
pub(crate) struct InHsm {
    pub(crate) key: KeyId,
    pub(crate) version: u32,
    id: NamedKeyId,
}

/// What the HSM holds of named keys and the database does not explain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HardwareReview {
    /// Objects of keys that were destroyed, which are destroyed with them now.
    pub destroyed: usize,
    /// Objects that no key of the database has: of an act that was broken off, or of keys that a newer database had. They are left alone.
    pub unknown: Vec<String>,
    /// Keys that the database has and of which the HSM holds nothing: they were lost with another HSM, or destroyed there.
    pub lost: Vec<KeyId>,
}

/// Keys that were generated in the HSM and belong to nothing yet. What is not kept by then is destroyed with this.
pub(super) struct Pending {
    core: Arc<Core>,
    made: Vec<InHsm>,
}

/// What keys for this are in the HSM.
pub(crate) const fn key_type(algorithm: Algorithm) -> Option<NamedKeyType> {
    Some(match algorithm {
        Algorithm::Aes256 => NamedKeyType::Aes256,
        Algorithm::HmacSha256 => NamedKeyType::HmacSha256,
        Algorithm::Rsa2048 => NamedKeyType::Rsa2048,
        Algorithm::Rsa3072 => NamedKeyType::Rsa3072,
        Algorithm::Rsa4096 => NamedKeyType::Rsa4096,
        Algorithm::EcP256 => NamedKeyType::EcP256,
        Algorithm::EcP384 => NamedKeyType::EcP384,
        Algorithm::EcP521 => NamedKeyType::EcP521,
        Algorithm::Ed25519 => NamedKeyType::Ed25519,
        _ => return None,
    })
}

/// The refusal of what an HSM does not do. Which HSM it is stands in the appliance's own log alone.
pub(crate) fn refusal(error: HsmError, what: &str) -> Error {
    match error {
        HsmError::NotOffered { .. } => {
            tracing::info!("{error}");
            Error::Invalid(format!(
                "This appliance's HSM does not offer {what}: use a key of the protection level software for that."
            ))
        }
        HsmError::SingleCopy { .. } => {
            tracing::info!("{error}");
            Error::Invalid(
                "A key that an HSM generates exists in that HSM alone, and this domain's HSM has a replica that would not have it: use the protection level software."
                    .to_owned(),
            )
        }
        HsmError::InputRejected { .. } => Error::Mechanism(Refusal::NotAuthentic),
        HsmError::KeyNotFound { .. } => {
            tracing::error!("{error}");
            Error::Conflict(
                "The HSM does not hold this key any more: it was lost with another HSM, or destroyed there."
                    .to_owned(),
            )
        }
        error => Error::Hsm(error),
    }
}

impl Hardware {
    /// The version of a key in the HSM that a grant names; none where the key is kept in software.
    pub(crate) fn of(
        view: &View<'_>,
        access: &Access,
        version: u32,
    ) -> Result<Option<Self>, Error> {
        const WHAT: &str = "grant";
        if access.key.traits.protection != Protection::Hsm {
            return Ok(None);
        }
        let content = access.open(view, version)?;
        let (id, digest) = read(&content, &view.domain.name).ok_or(Error::Integrity(WHAT))?;
        let algorithm = access.key.algorithm;
        let key_type = key_type(algorithm).ok_or(Error::Integrity(WHAT))?;
        let public_key = if key_type.is_pair() {
            super::public_key(view, &access.key, version)?
        } else {
            Vec::new()
        };
        if id.key != access.key.id.to_string() || digest != seal::sha256(&public_key) {
            return Err(Error::Integrity(WHAT));
        }
        Ok(Some(Self {
            id,
            key_type,
            algorithm,
        }))
    }
}

impl Pending {
    pub(super) fn new(core: &Arc<Core>) -> Self {
        Self {
            core: Arc::clone(core),
            made: Vec::new(),
        }
    }

    /// Generates a version of a key in the HSM.
    pub(super) fn generate(
        &mut self,
        key: KeyId,
        version: u32,
        algorithm: Algorithm,
    ) -> Result<Fresh, Error> {
        let what = format!("keys for {}", algorithm.as_str());
        let key_type = key_type(algorithm).ok_or_else(|| {
            Error::Invalid(format!(
                "There are no {what} of the protection level hsm: use the protection level software."
            ))
        })?;
        let domain = &self.core.domain;
        let named = domain
            .hsm()
            .named()
            .map_err(|error| refusal(error, &what))?;
        let mut id = NamedKeyId {
            domain: domain.name.clone(),
            key: key.to_string(),
            version,
        };
        // A name that is taken is that of something left over, or of a newer database than this one: it is not touched.
        let last = version.saturating_add(MOST_TRIED);
        let public_key = loop {
            match named.generate_named_key(&id, key_type) {
                Err(HsmError::KeyExists { .. }) if id.version < last => id.version += 1,
                made => break made.map_err(|error| refusal(error, &what))?,
            }
        };
        let bytes = content(&id, public_key.as_deref().unwrap_or_default())?;
        let in_hsm = InHsm { key, version, id };
        self.made.push(in_hsm.clone());
        Ok(Fresh {
            material: material::Material { bytes, public_key },
            origin: Origin::Generated,
            in_hsm: Some(in_hsm),
        })
    }

    /// Keeps what belongs to something now, and destroys the rest.
    pub(super) fn settle<T>(mut self, answer: &Answer<T>, kept: impl Fn(&T, KeyId) -> bool) {
        match answer {
            Ok(done) => self.made.retain(|made| !kept(done, made.key)),
            // It may be durable all the same. What is not is found by the review.
            Err(refusal) if matches!(refusal.error, Error::Store(_) | Error::Internal(_)) => {
                for made in self.made.drain(..) {
                    tracing::warn!(
                        key = %made.key,
                        "a key was generated in the HSM, and it is not known whether it was recorded"
                    );
                }
            }
            Err(_) => {}
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        for made in self.made.drain(..) {
            let named = self.core.domain.hsm().named();
            if let Err(error) = named.and_then(|named| named.destroy_named_key(&made.id)) {
                tracing::warn!(key = %made.key, %error, "a key that was not made stays in the HSM");
            }
        }
    }
}

impl Core {
    /// Destroys in the HSM the keys that acts have destroyed. What the HSM does not do now is done later.
    pub(crate) fn destroy_doomed(&self) {
        let doomed = {
            let mut doomed = self
                .domain
                .doomed
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *doomed)
        };
        if doomed.is_empty() {
            return;
        }
        if let Err(error) = self.destroy_in_hsm(Some(&doomed)) {
            tracing::warn!(%error, "destroyed keys stay in the HSM until it can be asked again");
            self.domain
                .doomed
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend(doomed);
        }
    }

    /// Holds what the HSM holds against the keys that there are: of all keys, or of these.
    fn destroy_in_hsm(&self, only: Option<&BTreeSet<KeyId>>) -> Result<HardwareReview, Error> {
        let mut review = HardwareReview::default();
        let named = match self.domain.hsm().named() {
            Err(HsmError::NotOffered { .. }) => {
                review.lost = self.store.snapshot()?.keys_in_hsm(self.domain.number)?;
                return Ok(review);
            }
            named => named?,
        };
        let snapshot = self.store.snapshot()?;
        let held = named.named_keys(&self.domain.name)?;
        if only.is_none() {
            review.lost = lost(snapshot.keys_in_hsm(self.domain.number)?, &held);
        }
        for id in held {
            let key = id.key.parse::<KeyId>().ok();
            if only.is_some_and(|only| key.is_none_or(|key| !only.contains(&key))) {
                continue;
            }
            let record = match key {
                Some(key) => snapshot.key(key)?,
                None => None,
            };
            let Some(record) = record else {
                review.unknown.push(format!("{} v{}", id.key, id.version));
                continue;
            };
            let record = self.domain.check_key(record)?;
            if record.state == KeyState::Destroyed && record.domain == self.domain.number {
                match named.destroy_named_key(&id) {
                    Err(HsmError::KeyNotFound { .. }) => {}
                    destroyed => destroyed?,
                }
                review.destroyed += 1;
            }
        }
        Ok(review)
    }

    /// Holds what the HSM holds of named keys against the database, once a day.
    pub(crate) fn review_hardware(&self) {
        self.destroy_doomed();
        let now = self.clock.now();
        if !self.hardware_reviewed.is_due(now, REVIEW_EVERY) {
            return;
        }
        match self.destroy_in_hsm(None) {
            Ok(review) => {
                self.hardware_reviewed.was_done(now);
                if review.destroyed > 0 {
                    tracing::info!(
                        objects = review.destroyed,
                        "what was left in the HSM of destroyed keys was destroyed"
                    );
                }
                if !review.lost.is_empty() {
                    let keys: Vec<String> = review.lost.iter().map(ToString::to_string).collect();
                    tracing::error!(
                        keys = keys.join(", "),
                        "the HSM does not hold keys that were generated in an HSM: they are lost"
                    );
                }
                if !review.unknown.is_empty() {
                    tracing::warn!(
                        objects = review.unknown.join(", "),
                        "the HSM holds keys that this database does not know: of acts that were broken off, or of a newer database; they are left alone"
                    );
                }
            }
            // It is asked again when it is back; that it is away is told elsewhere.
            Err(Error::Hsm(error)) if error.is_transient() => {
                tracing::debug!(%error, "what the HSM holds is reviewed later");
            }
            Err(error) => tracing::warn!(%error, "what the HSM holds could not be reviewed"),
        }
    }
}

impl Keystore {
    /// Holds what the HSM holds of named keys against the database: destroys what is left of destroyed keys, and says what it cannot explain.
    ///
    /// # Errors
    ///
    /// [`Error::Hsm`] when the HSM cannot be asked, [`Error::Store`], [`Error::Integrity`] when a key's record was edited.
    pub fn review_hardware(&self) -> Result<HardwareReview, Error> {
        self.core.destroy_in_hsm(None)
    }

    /// The keys that were generated in an HSM which is not the domain's any more, or were destroyed there: nothing brings them back.
    ///
    /// # Errors
    ///
    /// [`Error::Hsm`] when the HSM cannot be asked, [`Error::Store`].
    pub fn keys_lost_with_hsm(&self) -> Result<Vec<KeyId>, Error> {
        let domain = &self.core.domain;
        let keys = self.core.store.snapshot()?.keys_in_hsm(domain.number)?;
        match domain.hsm().named() {
            _ if keys.is_empty() => Ok(keys),
            Err(HsmError::NotOffered { .. }) => Ok(keys),
            named => Ok(lost(keys, &named?.named_keys(&domain.name)?)),
        }
    }

    /// How many named keys the domain's HSM holds, which cannot leave it.
    ///
    /// # Errors
    ///
    /// [`Error::Hsm`] when the HSM cannot be asked.
    pub fn keys_in_hsm(&self) -> Result<usize, Error> {
        let domain = &self.core.domain;
        match domain.hsm().named() {
            Err(HsmError::NotOffered { .. }) => Ok(0),
            named => Ok(named?.named_keys(&domain.name)?.len()),
        }
    }
}

/// Those keys of which the HSM holds no version.
fn lost(mut keys: Vec<KeyId>, held: &[NamedKeyId]) -> Vec<KeyId> {
    let held: BTreeSet<&str> = held.iter().map(|id| id.key.as_str()).collect();
    keys.retain(|key| !held.contains(key.to_string().as_str()));
    keys
}

/// What a grant seals.
fn content(id: &NamedKeyId, public_key: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut bytes = FORMAT.to_vec();
    bytes.extend(seal::sha256(public_key));
    bytes.extend(id.label()?.into_bytes());
    Ok(Zeroizing::new(bytes))
}

/// The object that a grant names, and the digest of its public key.
fn read(content: &[u8], domain: &str) -> Option<(NamedKeyId, [u8; 32])> {
    let (digest, label) = content.strip_prefix(FORMAT)?.split_first_chunk::<32>()?;
    let label = std::str::from_utf8(label).ok()?;
    let id = NamedKeyId::of_label(domain, label).ok()??;
    Some((id, *digest))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn what_a_grant_names_reads_back_and_nothing_else_does() {
        let id = NamedKeyId {
            domain: "default".to_owned(),
            key: KeyId::generate().to_string(),
            version: 3,
        };
        let bytes = content(&id, b"public").unwrap();
        let (read_back, digest) = read(&bytes, "default").unwrap();
        assert_eq!((read_back, digest), (id, seal::sha256(b"public")));
        assert!(read(&bytes, "other").is_none());
        assert!(read(&[7; 32], "default").is_none());
        assert!(read(&bytes[..bytes.len() - 1], "default").is_none());
        assert!(read(FORMAT, "default").is_none());
    }
}
