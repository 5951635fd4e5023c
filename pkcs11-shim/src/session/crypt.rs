//! Encryption and decryption.

use cryptoki_sys::*;
use zeroize::Zeroizing;

use super::purpose::{Key, Purpose};
use super::{Given, Module, Output, Session};
use crate::error::{CkError, CkResult, fail};
use crate::mechanism::blocks::Blocks;
use crate::mechanism::gcm::{Gcm, collect};
use crate::mechanism::soft::KeyUse;
use crate::mechanism::{Family, Mechanism, Parameter, wrapping};
use crate::object::Record;
use crate::token::{Input, Use};

/// An encryption or decryption under way.
pub(crate) struct Crypt {
    state: State,
    /// Whether parts came: then `C_Encrypt` does not end it.
    parts: bool,
    encrypts: bool,
    /// Whether the application has to sign in first.
    pub(crate) waits: bool,
}

enum State {
    Blocks(Blocks),
    Gcm(Gcm),
    /// RSA and key wrap take the data as a whole.
    Whole {
        data: Zeroizing<Vec<u8>>,
        by: By,
        mechanism: Mechanism,
        most: usize,
    },
}

enum By {
    Public(std::sync::Arc<Record>),
    Other(KeyUse),
}

impl Crypt {
    /// With a secret key.
    pub(crate) fn of_secret(mechanism: Mechanism, key: KeyUse, encrypts: bool) -> CkResult<Self> {
        let state = match mechanism.family {
            Family::AesEcb | Family::AesCbc | Family::AesCbcPad | Family::AesCtr => {
                State::Blocks(Blocks::new(mechanism, key, encrypts)?)
            }
            Family::AesGcm => State::Gcm(Gcm::new(mechanism, key, encrypts)?),
            _ => State::Whole {
                data: Zeroizing::default(),
                by: By::Other(key),
                mechanism,
                most: 0,
            },
        };
        Ok(Self {
            state,
            parts: false,
            encrypts,
            waits: false,
        })
    }

    /// With a key of an RSA pair.
    fn of_pair(mechanism: Mechanism, by: By, encrypts: bool, key: &Key) -> CkResult<Self> {
        let modulus = key.modulus_length();
        let most = modulus.ok_or(CkError::new(
            CKR_KEY_TYPE_INCONSISTENT,
            "the key has no modulus",
        ))?;
        let fits = match (mechanism.family, &mechanism.parameter) {
            (Family::RsaOaep, Parameter::Oaep { .. }) => true,
            (Family::RsaOaep, _) => false,
            (_, parameter) => *parameter == Parameter::None,
        };
        if !fits {
            return fail(
                CKR_MECHANISM_PARAM_INVALID,
                "the mechanism takes another parameter",
            );
        }
        let waits = !encrypts && key.asks_each_time();
        let state = State::Whole {
            data: Zeroizing::default(),
            by,
            mechanism,
            most,
        };
        Ok(Self {
            state,
            parts: false,
            encrypts,
            waits,
        })
    }

    fn update(&mut self, data: &[u8], output: Output<'_>) -> CkResult<Given> {
        self.check_login()?;
        let given = match &mut self.state {
            State::Blocks(blocks) => output.exactly(blocks.update_length(data.len()), |room| {
                blocks.update(data, room)
            }),
            State::Gcm(gcm) => {
                output.exactly(gcm.update_length(data.len()), |room| gcm.update(data, room))
            }
            State::Whole { data: all, .. } => output.exactly(0, |_| collect(all, data)),
        }?;
        self.parts |= given == Given::Outcome;
        Ok(given)
    }

    fn finish(&mut self, output: Output<'_>) -> CkResult<Given> {
        self.check_login()?;
        match &mut self.state {
            State::Blocks(blocks) => {
                output.at_most(blocks.final_length(), |room| blocks.finish(room))
            }
            State::Gcm(gcm) => output.exactly(gcm.final_length()?, |room| gcm.finish(room)),
            State::Whole {
                data,
                by,
                mechanism,
                most,
            } => whole(by, mechanism, self.encrypts, *most, data, output),
        }
    }

    /// Everything at once.
    pub(crate) fn whole(&mut self, data: &[u8], output: Output<'_>) -> CkResult<Given> {
        self.check_login()?;
        match &mut self.state {
            State::Blocks(blocks) => {
                let whole = blocks.update_length(data.len());
                let most = whole + blocks.final_length();
                if output
                    .room()
                    .is_some_and(|room| room < most && room >= whole)
                    && !self.encrypts
                {
                    // The padding may be all that does not fit: known when it was decrypted.
                    let mut all = Zeroizing::new(vec![0; most]);
                    let mut again = blocks.again()?;
                    again.update(data, &mut all[..whole])?;
                    let last = again.finish(&mut all[whole..])?;
                    return output.put(&all[..whole + last]);
                }
                output.at_most(most, |room| {
                    let (first, last) = room.split_at_mut(whole);
                    blocks.update(data, first)?;
                    Ok(whole + blocks.finish(last)?)
                })
            }
            State::Gcm(gcm) => {
                output.exactly(gcm.whole_length(data.len())?, |room| gcm.whole(data, room))
            }
            State::Whole {
                by,
                mechanism,
                most,
                ..
            } => whole(by, mechanism, self.encrypts, *most, data, output),
        }
    }

    fn check_login(&self) -> CkResult<()> {
        if self.waits {
            return fail(
                CKR_USER_NOT_LOGGED_IN,
                "the key asks for a sign-in each time",
            );
        }
        Ok(())
    }
}

/// An operation on the whole of the data. The outcome of a decryption may be shorter than the longest there is: a buffer is too short only
/// where that outcome does not fit.
fn whole(
    by: &By,
    mechanism: &Mechanism,
    encrypts: bool,
    most: usize,
    data: &[u8],
    output: Output<'_>,
) -> CkResult<Given> {
    let wraps = matches!(mechanism.family, Family::AesKw | Family::AesKwp);
    let most = match (wraps, encrypts) {
        (true, true) => wrapping::wrapped_length(mechanism.family, data.len()),
        (true, false) => data.len().saturating_sub(8),
        (false, _) => most,
    };
    if output.room().is_none() || encrypts && output.room().is_some_and(|room| room < most) {
        return output.exactly(most, |_| Ok(()));
    }
    let outcome = match by {
        By::Public(key) => key.public()?.encrypt(mechanism, data)?,
        By::Other(KeyUse::Here(key)) => match (wraps, encrypts) {
            (true, true) => wrapping::wrap(mechanism, key, data)?,
            (true, false) => wrapping::unwrap(mechanism, key, data)?,
            (false, _) => key.decrypt(mechanism, data)?,
        },
        By::Other(KeyUse::There(key)) => {
            if !wraps && data.len() != most {
                return fail(CKR_ENCRYPTED_DATA_LEN_RANGE, "it is as long as the modulus");
            }
            let what = if encrypts { Use::Encrypt } else { Use::Decrypt };
            key.operate(what, mechanism, Input::Data(data))?
        }
    };
    output.put(&outcome)
}

impl Module {
    fn crypting(
        &self,
        session: &Session,
        mechanism: Mechanism,
        handle: CK_OBJECT_HANDLE,
        purpose: Purpose,
    ) -> CkResult<Crypt> {
        let encrypts = purpose == Purpose::Encrypt;
        let key = self.key(session, handle, &mechanism, purpose)?;
        if key.is_public() {
            key.record.public()?;
            let by = By::Public(std::sync::Arc::clone(&key.record));
            return Crypt::of_pair(mechanism, by, encrypts, &key);
        }
        let place = self.key_use(session, &key, &mechanism)?;
        if key.attributes().number(CKA_CLASS) == Some(CKO_PRIVATE_KEY) {
            return Crypt::of_pair(mechanism, By::Other(place), encrypts, &key);
        }
        Crypt::of_secret(mechanism, place, encrypts)
    }

    /// `C_EncryptInit`.
    pub(crate) fn encrypt_init(
        &self,
        session: CK_SESSION_HANDLE,
        mechanism: Mechanism,
        key: CK_OBJECT_HANDLE,
    ) -> CkResult<()> {
        let session = self.session(session)?;
        session.encrypt.check_idle()?;
        session
            .encrypt
            .begin(self.crypting(&session, mechanism, key, Purpose::Encrypt)?)
    }

    /// `C_Encrypt`.
    pub(crate) fn encrypt(
        &self,
        session: CK_SESSION_HANDLE,
        data: &[u8],
        output: Output<'_>,
    ) -> CkResult<()> {
        self.session(session)?
            .encrypt
            .finish(|crypt| once(crypt, data, output))
    }

    /// `C_EncryptUpdate`.
    pub(crate) fn encrypt_update(
        &self,
        session: CK_SESSION_HANDLE,
        data: &[u8],
        output: Output<'_>,
    ) -> CkResult<()> {
        self.session(session)?
            .encrypt
            .go_on(|crypt| crypt.update(data, output))
            .map(|_| ())
    }

    /// `C_EncryptFinal`.
    pub(crate) fn encrypt_final(
        &self,
        session: CK_SESSION_HANDLE,
        output: Output<'_>,
    ) -> CkResult<()> {
        self.session(session)?
            .encrypt
            .finish(|crypt| crypt.finish(output))
    }

    /// `C_DecryptInit`.
    pub(crate) fn decrypt_init(
        &self,
        session: CK_SESSION_HANDLE,
        mechanism: Mechanism,
        key: CK_OBJECT_HANDLE,
    ) -> CkResult<()> {
        let session = self.session(session)?;
        session.decrypt.check_idle()?;
        session
            .decrypt
            .begin(self.crypting(&session, mechanism, key, Purpose::Decrypt)?)
    }

    /// `C_Decrypt`.
    pub(crate) fn decrypt(
        &self,
        session: CK_SESSION_HANDLE,
        data: &[u8],
        output: Output<'_>,
    ) -> CkResult<()> {
        let session = self.session(session)?;
        session
            .decrypt
            .finish(|crypt| once(crypt, data, output).map_err(of_encrypted))
    }

    /// `C_DecryptUpdate`.
    pub(crate) fn decrypt_update(
        &self,
        session: CK_SESSION_HANDLE,
        data: &[u8],
        output: Output<'_>,
    ) -> CkResult<()> {
        self.session(session)?
            .decrypt
            .go_on(|crypt| crypt.update(data, output))
            .map(|_| ())
    }

    /// `C_DecryptFinal`.
    pub(crate) fn decrypt_final(
        &self,
        session: CK_SESSION_HANDLE,
        output: Output<'_>,
    ) -> CkResult<()> {
        self.session(session)?
            .decrypt
            .finish(|crypt| crypt.finish(output).map_err(of_encrypted))
    }
}

fn once(crypt: &mut Crypt, data: &[u8], output: Output<'_>) -> CkResult<Given> {
    if crypt.parts {
        return fail(CKR_OPERATION_NOT_INITIALIZED, "the data comes in parts");
    }
    crypt.whole(data, output)
}

/// What is wrong with data is told as what is wrong with encrypted data.
fn of_encrypted(error: CkError) -> CkError {
    error
        .told_as(CKR_DATA_LEN_RANGE, CKR_ENCRYPTED_DATA_LEN_RANGE)
        .told_as(CKR_DATA_INVALID, CKR_ENCRYPTED_DATA_INVALID)
}
