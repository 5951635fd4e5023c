//! Digests. Their state can be saved.

use cryptoki_sys::*;
use zeroize::Zeroizing;

use super::{Given, Module, Output};
use crate::error::{CkError, CkResult, fail};
use crate::mechanism::digest::Hasher;
use crate::mechanism::{Family, Hash, Mechanism, Parameter};

/// A digest under way.
pub(crate) struct Digesting {
    hasher: Hasher,
    /// Whether parts came: then `C_Digest` does not end it.
    parts: bool,
}

/// What a saved state begins with.
const MAGIC: &[u8; 8] = b"srdigst1";

impl Digesting {
    fn length(&self) -> usize {
        self.hasher.hash().length()
    }

    /// The state: which digest, and its hasher's.
    pub(crate) fn state(&self) -> Zeroizing<Vec<u8>> {
        let mut state = Zeroizing::new(MAGIC.to_vec());
        state.extend_from_slice(&self.hasher.hash().mechanism().to_be_bytes());
        state.push(u8::from(self.parts));
        state.extend_from_slice(&self.hasher.state());
        let check = Hash::Sha256.digest(&[&state]);
        state.extend_from_slice(&check[..8]);
        state
    }

    pub(crate) fn of_state(state: &[u8]) -> CkResult<Self> {
        let read = || {
            let (state, check) = state.split_last_chunk::<8>()?;
            let (kind, rest) = state.strip_prefix(MAGIC)?.split_first_chunk()?;
            let (parts, hasher) = rest.split_first()?;
            if Hash::Sha256.digest(&[state])[..8] != *check {
                return None;
            }
            let hash = Hash::of_mechanism(CK_MECHANISM_TYPE::from_be_bytes(*kind))?;
            Some(Self {
                hasher: Hasher::of_state(hash, hasher)?,
                parts: *parts != 0,
            })
        };
        read().ok_or(CkError::new(
            CKR_SAVED_STATE_INVALID,
            "this is no state of a digest",
        ))
    }

    pub(crate) fn update(&mut self, data: &[u8]) {
        self.parts = true;
        self.hasher.update(data);
    }
}

impl Module {
    /// `C_DigestInit`.
    pub(crate) fn digest_init(
        &self,
        session: CK_SESSION_HANDLE,
        mechanism: &Mechanism,
    ) -> CkResult<()> {
        let session = self.session(session)?;
        session.digest.check_idle()?;
        let Family::Digest(hash) = mechanism.family else {
            return fail(CKR_MECHANISM_INVALID, "the mechanism makes no digest");
        };
        if mechanism.parameter != Parameter::None {
            return fail(CKR_MECHANISM_PARAM_INVALID, "a digest has no parameter");
        }
        self.served(&*session.slot.info()?, mechanism.kind)?;
        session.digest.begin(Digesting {
            hasher: Hasher::new(hash),
            parts: false,
        })
    }

    /// `C_Digest`.
    pub(crate) fn digest(
        &self,
        session: CK_SESSION_HANDLE,
        data: &[u8],
        output: Output<'_>,
    ) -> CkResult<()> {
        let session = self.session(session)?;
        session.digest.finish(|digest| {
            if digest.parts {
                return fail(CKR_OPERATION_NOT_INITIALIZED, "the digest is made in parts");
            }
            output.exactly(digest.length(), |room| {
                digest.hasher.update(data);
                room.copy_from_slice(&digest.hasher.finish());
                Ok(())
            })
        })
    }

    /// `C_DigestUpdate`.
    pub(crate) fn digest_update(&self, session: CK_SESSION_HANDLE, data: &[u8]) -> CkResult<()> {
        let session = self.session(session)?;
        session.digest.go_on(|digest| {
            digest.update(data);
            Ok(())
        })
    }

    /// `C_DigestKey`: of a secret key whose material may be here.
    pub(crate) fn digest_key(
        &self,
        session: CK_SESSION_HANDLE,
        handle: CK_OBJECT_HANDLE,
    ) -> CkResult<()> {
        let session = self.session(session)?;
        session.digest.go_on(|digest| {
            let (object, record) = self.object(&session, handle, CKR_KEY_HANDLE_INVALID)?;
            if record.attributes.number(CKA_CLASS) != Some(CKO_SECRET_KEY) {
                return fail(CKR_KEY_INDIGESTIBLE, "the object is no secret key");
            }
            match self.released(&session.slot, &object, &record)? {
                Some(key) => digest.update(key.secret()?),
                None => {
                    return fail(
                        CKR_KEY_INDIGESTIBLE,
                        "the key's material stays in the appliance",
                    );
                }
            }
            Ok(())
        })
    }

    /// `C_DigestFinal`.
    pub(crate) fn digest_final(
        &self,
        session: CK_SESSION_HANDLE,
        output: Output<'_>,
    ) -> CkResult<()> {
        let session = self.session(session)?;
        session.digest.finish(|digest| -> CkResult<Given> {
            output.exactly(digest.length(), |room| {
                room.copy_from_slice(&digest.hasher.finish());
                Ok(())
            })
        })
    }
}
