//! Signatures and MACs.

use cryptoki_sys::*;
use zeroize::Zeroizing;

use super::purpose::{Key, Purpose};
use super::{Given, Module, Output, Session};
use crate::error::{CkError, CkResult, fail};
use crate::mechanism::digest::Hasher;
use crate::mechanism::gcm::collect;
use crate::mechanism::mac::{self, Mac};
use crate::mechanism::soft::KeyUse;
use crate::mechanism::{Family, Mechanism, Parameter, curves};
use crate::token::{Input, Use};

/// A signature under way.
pub(crate) struct Sign {
    mechanism: Mechanism,
    key: KeyUse,
    what: Use,
    length: usize,
    state: State,
    /// Whether parts came: then `C_Sign` does not end it.
    parts: bool,
    /// Whether the application has to sign in first.
    pub(crate) waits: bool,
}

/// What of the data is kept until the signature is made.
#[expect(
    clippy::large_enum_variant,
    reason = "kept in place: no allocation for each signature"
)]
enum State {
    /// A MAC that is made here.
    Mac(Option<Mac>),
    /// The digest that the mechanism begins with.
    Digest(Hasher),
    /// All of it.
    Whole(Zeroizing<Vec<u8>>),
}

impl Sign {
    fn new(
        mechanism: Mechanism,
        key: KeyUse,
        what: Use,
        length: usize,
        waits: bool,
    ) -> CkResult<Self> {
        let is_mac = matches!(mechanism.family, Family::Hmac { .. } | Family::Cmac { .. });
        let state = match (&key, mechanism.prehash()) {
            (KeyUse::Here(key), _) if is_mac => State::Mac(Some(Mac::new(&mechanism, key)?)),
            (_, Some(hash)) => State::Digest(Hasher::new(hash)),
            _ => State::Whole(Zeroizing::default()),
        };
        Ok(Self {
            mechanism,
            key,
            what,
            length,
            state,
            parts: false,
            waits,
        })
    }

    fn update(&mut self, data: &[u8]) -> CkResult<()> {
        self.parts = true;
        match &mut self.state {
            State::Mac(mac) => mac.as_mut().map_or_else(gone, |mac| mac.update(data)),
            State::Digest(hasher) => {
                hasher.update(data);
                Ok(())
            }
            State::Whole(all) => collect(all, data),
        }
    }

    /// The signature of what came, and of this.
    fn finish(&mut self, last: &[u8], output: Output<'_>) -> CkResult<Given> {
        if self.waits {
            return fail(
                CKR_USER_NOT_LOGGED_IN,
                "the key asks for a sign-in each time",
            );
        }
        output.exactly(self.length, |room| {
            let signature = match &mut self.state {
                State::Mac(mac) => {
                    let Some(mut mac) = mac.take() else {
                        return gone();
                    };
                    mac.update(last)?;
                    return mac.sign(room);
                }
                State::Digest(hasher) => {
                    hasher.update(last);
                    let digest = hasher.finish();
                    self.make(Input::Digest(&digest))?
                }
                State::Whole(all) if all.is_empty() => self.make(Input::Data(last))?,
                State::Whole(all) => {
                    let mut all = std::mem::take(all);
                    collect(&mut all, last)?;
                    self.make(Input::Data(&all))?
                }
            };
            if signature.len() != room.len() {
                return fail(
                    CKR_DEVICE_ERROR,
                    "the signature has another length than such signatures have",
                );
            }
            room.copy_from_slice(&signature);
            Ok(())
        })
    }

    fn make(&self, input: Input<'_>) -> CkResult<Zeroizing<Vec<u8>>> {
        match &self.key {
            KeyUse::Here(key) => key.sign(&self.mechanism, input),
            KeyUse::There(key) => {
                if let Input::Data(data) = input {
                    check_length(&self.mechanism, data, self.length)?;
                }
                key.operate(self.what, &self.mechanism, input)
            }
        }
    }
}

/// How long the signatures of a key by a mechanism are.
pub(crate) fn signature_length(mechanism: &Mechanism, key: &Key) -> CkResult<usize> {
    match mechanism.family {
        Family::Hmac { .. } | Family::Cmac { .. } => mac::length(mechanism),
        Family::RsaPkcs(_) | Family::RsaPss(_) | Family::RsaRaw => {
            check_parameter(mechanism)?;
            key.modulus_length().ok_or(CkError::new(
                CKR_KEY_TYPE_INCONSISTENT,
                "the key has no modulus",
            ))
        }
        Family::Ecdsa(_) => {
            check_parameter(mechanism)?;
            Ok(2 * curves::of_attributes(key.attributes())?.field())
        }
        Family::Eddsa => {
            curves::pure_eddsa(mechanism)?;
            Ok(64)
        }
        Family::MlDsa => Ok(3309),
        _ => fail(CKR_MECHANISM_INVALID, "the mechanism makes no signature"),
    }
}

fn check_parameter(mechanism: &Mechanism) -> CkResult<()> {
    let good = match (mechanism.family, &mechanism.parameter) {
        (Family::RsaPss(prehash), Parameter::Pss { hash, .. }) => {
            prehash.is_none_or(|prehash| prehash == *hash)
        }
        (Family::RsaPss(_), _) => false,
        (_, parameter) => *parameter == Parameter::None,
    };
    if good {
        Ok(())
    } else {
        fail(
            CKR_MECHANISM_PARAM_INVALID,
            "the mechanism takes another parameter",
        )
    }
}

/// Refuses data that the mechanism cannot sign, before the appliance is asked.
fn check_length(mechanism: &Mechanism, data: &[u8], length: usize) -> CkResult<()> {
    let fits = match (mechanism.family, &mechanism.parameter) {
        (Family::RsaPkcs(None), _) => data.len() + 11 <= length,
        (Family::RsaRaw, _) => data.len() <= length,
        (Family::RsaPss(None), Parameter::Pss { hash, .. }) => data.len() == hash.length(),
        (Family::Ecdsa(None), _) => !data.is_empty() && data.len() <= 64,
        _ => true,
    };
    if fits {
        Ok(())
    } else {
        fail(
            CKR_DATA_LEN_RANGE,
            "the mechanism does not sign so much, or so little",
        )
    }
}

fn gone<T>() -> CkResult<T> {
    fail(CKR_OPERATION_NOT_INITIALIZED, "the MAC has been made")
}

impl Module {
    fn signing(
        &self,
        session: &Session,
        mechanism: Mechanism,
        handle: CK_OBJECT_HANDLE,
        purpose: Purpose,
    ) -> CkResult<Sign> {
        let key = self.key(session, handle, &mechanism, purpose)?;
        let length = signature_length(&mechanism, &key)?;
        let place = self.key_use(session, &key, &mechanism)?;
        let what = if purpose == Purpose::Sign {
            Use::Sign
        } else {
            Use::SignRecover
        };
        Sign::new(mechanism, place, what, length, key.asks_each_time())
    }

    /// `C_SignInit`.
    pub(crate) fn sign_init(
        &self,
        session: CK_SESSION_HANDLE,
        mechanism: Mechanism,
        key: CK_OBJECT_HANDLE,
    ) -> CkResult<()> {
        let session = self.session(session)?;
        session.sign.check_idle()?;
        session
            .sign
            .begin(self.signing(&session, mechanism, key, Purpose::Sign)?)
    }

    /// `C_Sign`.
    pub(crate) fn sign(
        &self,
        session: CK_SESSION_HANDLE,
        data: &[u8],
        output: Output<'_>,
    ) -> CkResult<()> {
        let session = self.session(session)?;
        session.sign.finish(|sign| {
            if sign.parts {
                return fail(
                    CKR_OPERATION_NOT_INITIALIZED,
                    "the signature is made in parts",
                );
            }
            sign.finish(data, output)
        })
    }

    /// `C_SignUpdate`.
    pub(crate) fn sign_update(&self, session: CK_SESSION_HANDLE, data: &[u8]) -> CkResult<()> {
        self.session(session)?.sign.go_on(|sign| sign.update(data))
    }

    /// `C_SignFinal`.
    pub(crate) fn sign_final(
        &self,
        session: CK_SESSION_HANDLE,
        output: Output<'_>,
    ) -> CkResult<()> {
        self.session(session)?
            .sign
            .finish(|sign| sign.finish(&[], output))
    }

    /// `C_SignRecoverInit`.
    pub(crate) fn sign_recover_init(
        &self,
        session: CK_SESSION_HANDLE,
        mechanism: Mechanism,
        key: CK_OBJECT_HANDLE,
    ) -> CkResult<()> {
        let session = self.session(session)?;
        session.sign_recover.check_idle()?;
        let sign = self.signing(&session, mechanism, key, Purpose::SignRecover)?;
        session.sign_recover.begin(sign)
    }

    /// `C_SignRecover`.
    pub(crate) fn sign_recover(
        &self,
        session: CK_SESSION_HANDLE,
        data: &[u8],
        output: Output<'_>,
    ) -> CkResult<()> {
        self.session(session)?
            .sign_recover
            .finish(|sign| sign.finish(data, output))
    }
}
