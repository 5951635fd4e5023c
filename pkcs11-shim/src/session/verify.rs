//! Verifying signatures, with public keys always in this process, and MACs.

use std::sync::Arc;

use cryptoki_sys::*;
use zeroize::Zeroizing;

use super::purpose::Purpose;
use super::sign::signature_length;
use super::{Given, Module, Output, Session};
use crate::error::{CkResult, fail};
use crate::mechanism::digest::Hasher;
use crate::mechanism::gcm::collect;
use crate::mechanism::mac::Mac;
use crate::mechanism::soft::{KeyUse, Remote};
use crate::mechanism::{Mechanism, mac};
use crate::object::Record;
use crate::token::Input;

/// A verification under way.
pub(crate) struct Verify {
    mechanism: Mechanism,
    state: State,
    parts: bool,
    /// The signature, where the application gave it first (`C_VerifySignatureInit`).
    signature: Option<Vec<u8>>,
}

#[expect(
    clippy::large_enum_variant,
    reason = "kept in place: no allocation for each verification"
)]
enum State {
    /// A MAC that is made here.
    Mac(Option<Mac>),
    /// A public key, and the digest that the mechanism begins with.
    Digest(Arc<Record>, Hasher),
    /// A public key, and all of the data.
    Whole(Arc<Record>, Zeroizing<Vec<u8>>),
    /// A secret key of the token, and all of the data.
    There(Arc<dyn Remote>, Zeroizing<Vec<u8>>),
}

impl Verify {
    fn update(&mut self, data: &[u8]) -> CkResult<()> {
        self.parts = true;
        match &mut self.state {
            State::Mac(Some(mac)) => mac.update(data),
            State::Mac(None) => fail(CKR_OPERATION_NOT_INITIALIZED, "the MAC was verified"),
            State::Digest(_, hasher) => {
                hasher.update(data);
                Ok(())
            }
            State::Whole(_, all) | State::There(_, all) => collect(all, data),
        }
    }

    fn finish(&mut self, last: &[u8], signature: &[u8]) -> CkResult<()> {
        self.update(last)?;
        match &mut self.state {
            State::Mac(mac) => match mac.take() {
                Some(mac) => mac.verify(signature),
                None => fail(CKR_OPERATION_NOT_INITIALIZED, "the MAC was verified"),
            },
            State::Digest(key, hasher) => {
                let digest = hasher.finish();
                key.public()?
                    .verify(&self.mechanism, Input::Digest(&digest), signature)
            }
            State::Whole(key, data) => {
                key.public()?
                    .verify(&self.mechanism, Input::Data(data), signature)
            }
            State::There(key, data) => {
                if signature.len() != mac::length(&self.mechanism)? {
                    return fail(
                        CKR_SIGNATURE_LEN_RANGE,
                        "a MAC of this mechanism is not so long",
                    );
                }
                key.verify(&self.mechanism, data, signature)
            }
        }
    }
}

impl Module {
    fn verifying(
        &self,
        session: &Session,
        mechanism: Mechanism,
        handle: CK_OBJECT_HANDLE,
        purpose: Purpose,
    ) -> CkResult<Verify> {
        let key = self.key(session, handle, &mechanism, purpose)?;
        signature_length(&mechanism, &key)?;
        let state = if key.is_public() {
            key.record.public()?;
            match mechanism.prehash() {
                Some(hash) => State::Digest(key.record, Hasher::new(hash)),
                None => State::Whole(key.record, Zeroizing::default()),
            }
        } else {
            match self.key_use(session, &key, &mechanism)? {
                KeyUse::Here(key) => State::Mac(Some(Mac::new(&mechanism, &key)?)),
                KeyUse::There(key) => State::There(key, Zeroizing::default()),
            }
        };
        Ok(Verify {
            mechanism,
            state,
            parts: false,
            signature: None,
        })
    }

    /// `C_VerifyInit`.
    pub(crate) fn verify_init(
        &self,
        session: CK_SESSION_HANDLE,
        mechanism: Mechanism,
        key: CK_OBJECT_HANDLE,
    ) -> CkResult<()> {
        let session = self.session(session)?;
        session.verify.check_idle()?;
        session
            .verify
            .begin(self.verifying(&session, mechanism, key, Purpose::Verify)?)
    }

    /// `C_Verify`.
    pub(crate) fn verify(
        &self,
        session: CK_SESSION_HANDLE,
        data: &[u8],
        signature: &[u8],
    ) -> CkResult<()> {
        self.session(session)?.verify.finish(|verify| {
            if verify.parts || verify.signature.is_some() {
                return fail(
                    CKR_OPERATION_NOT_INITIALIZED,
                    "the verification is made in parts",
                );
            }
            verify.finish(data, signature).map(|()| Given::Outcome)
        })
    }

    /// `C_VerifyUpdate`.
    pub(crate) fn verify_update(&self, session: CK_SESSION_HANDLE, data: &[u8]) -> CkResult<()> {
        self.session(session)?
            .verify
            .go_on(|verify| verify.update(data))
    }

    /// `C_VerifyFinal`.
    pub(crate) fn verify_final(
        &self,
        session: CK_SESSION_HANDLE,
        signature: &[u8],
    ) -> CkResult<()> {
        self.session(session)?.verify.finish(|verify| {
            if verify.signature.is_some() {
                return fail(
                    CKR_OPERATION_NOT_INITIALIZED,
                    "the signature was given first",
                );
            }
            verify.finish(&[], signature).map(|()| Given::Outcome)
        })
    }

    /// `C_VerifySignatureInit`: the signature first.
    pub(crate) fn verify_signature_init(
        &self,
        session: CK_SESSION_HANDLE,
        mechanism: Mechanism,
        key: CK_OBJECT_HANDLE,
        signature: &[u8],
    ) -> CkResult<()> {
        let session = self.session(session)?;
        session.verify.check_idle()?;
        let mut verify = self.verifying(&session, mechanism, key, Purpose::Verify)?;
        verify.signature = Some(signature.to_vec());
        session.verify.begin(verify)
    }

    /// `C_VerifySignature`, and with no data `C_VerifySignatureFinal`.
    pub(crate) fn verify_signature(&self, session: CK_SESSION_HANDLE, data: &[u8]) -> CkResult<()> {
        self.session(session)?.verify.finish(|verify| {
            let Some(signature) = verify.signature.take() else {
                return fail(
                    CKR_OPERATION_NOT_INITIALIZED,
                    "the signature was not given first",
                );
            };
            verify.finish(data, &signature).map(|()| Given::Outcome)
        })
    }

    /// `C_VerifyRecoverInit`.
    pub(crate) fn verify_recover_init(
        &self,
        session: CK_SESSION_HANDLE,
        mechanism: Mechanism,
        key: CK_OBJECT_HANDLE,
    ) -> CkResult<()> {
        let session = self.session(session)?;
        session.verify_recover.check_idle()?;
        let verify = self.verifying(&session, mechanism, key, Purpose::VerifyRecover)?;
        session.verify_recover.begin(verify)
    }

    /// `C_VerifyRecover`.
    pub(crate) fn verify_recover(
        &self,
        session: CK_SESSION_HANDLE,
        signature: &[u8],
        output: Output<'_>,
    ) -> CkResult<()> {
        self.session(session)?
            .verify_recover
            .finish(|verify| match &verify.state {
                // A question for the length is answered by doing it: that is cheap, and nothing here is secret.
                State::Whole(key, _) => {
                    output.put(&key.public()?.recover(&verify.mechanism, signature)?)
                }
                _ => fail(CKR_MECHANISM_INVALID, "the mechanism does not recover data"),
            })
    }
}
