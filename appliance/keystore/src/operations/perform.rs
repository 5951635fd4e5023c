//! What an operation does with the material, once it may.

use strongroom_hsm::{Hsm, HsmError};
use strongroom_mechanisms::wrap::Wrapping;
use strongroom_mechanisms::{Refusal, agree, derive, encrypt, mac, material, sign, wrap};
use strongroom_wire::encoding::Base64;
use strongroom_wire::key::{Algorithm, Origin};
use strongroom_wire::operation::{Kdf, Mechanism, Operation, OperationResult};
use zeroize::Zeroizing;

use super::hardware;
use crate::error::Error;
use crate::keys::{self, Fresh, Hardware, NewRequest};

/// What an operation works with.
pub(super) struct Inputs {
    pub(super) algorithm: Algorithm,
    pub(super) version: u32,
    /// The key's material, or its public key where that does.
    pub(super) key: Zeroizing<Vec<u8>>,
    /// The key in the HSM, where it is there: then `key` is empty.
    pub(super) in_hsm: Option<Hardware>,
    /// The material of the key that is to be wrapped.
    pub(super) other: Option<Zeroizing<Vec<u8>>>,
}

/// What came of an operation.
pub(super) enum Done {
    /// Something that goes to the caller as it is.
    Result(OperationResult),
    /// A secret that goes to the caller under the session's transport key.
    Agreed(Secret),
    /// The material of a new key, and what that is for.
    Key(Fresh, Algorithm),
}

/// A secret, and what the other side learns it from.
pub(super) struct Secret {
    pub(super) secret: Zeroizing<Vec<u8>>,
    pub(super) ciphertext: Option<Vec<u8>>,
}

/// Why an operation was not done.
#[derive(Debug, Clone)]
pub(super) enum Failure {
    /// The mechanism refuses it.
    Mechanism(Refusal),
    /// The HSM did not do it by this mechanism.
    Hsm(HsmError, Mechanism),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Mechanism(refusal)
    }
}

impl Failure {
    pub(super) fn error(&self) -> Error {
        match self {
            Self::Mechanism(refusal) => Error::Mechanism(*refusal),
            Self::Hsm(error, mechanism) => keys::hsm_refusal(
                error.clone(),
                &format!("{mechanism} with keys of the protection level hsm"),
            ),
        }
    }
}

/// Does it.
pub(super) fn perform(
    hsm: &dyn Hsm,
    operation: &Operation,
    new: Option<&NewRequest>,
    inputs: &Inputs,
) -> Result<Done, Failure> {
    match operation {
        Operation::Unwrap { .. }
        | Operation::Derive { .. }
        | Operation::Encapsulate { .. }
        | Operation::Decapsulate { .. } => secret(hsm, operation, new, inputs),
        _ => match &inputs.in_hsm {
            Some(key) => hardware::result(hsm, key, operation).map(Done::Result),
            None => Ok(Done::Result(result(operation, inputs)?)),
        },
    }
}

/// What goes to the caller as it is.
fn result(operation: &Operation, inputs: &Inputs) -> Result<OperationResult, Refusal> {
    let (algorithm, key) = (inputs.algorithm, inputs.key.as_slice());
    Ok(match operation {
        Operation::Sign {
            mechanism,
            data,
            prehashed,
            encoding,
            salt_length,
        } => {
            let signed = sign::Signed {
                mechanism: *mechanism,
                data: &data.0,
                prehashed: *prehashed,
                encoding: *encoding,
                salt_length: *salt_length,
            };
            OperationResult::Signature {
                signature: sign::sign(algorithm, key, signed)?.into(),
            }
        }
        Operation::Verify {
            mechanism,
            data,
            signature,
            prehashed,
            encoding,
            salt_length,
        } => {
            let signed = sign::Signed {
                mechanism: *mechanism,
                data: &data.0,
                prehashed: *prehashed,
                encoding: *encoding,
                salt_length: *salt_length,
            };
            OperationResult::Verified {
                valid: sign::verify(algorithm, key, signed, &signature.0)?,
            }
        }
        Operation::Mac { mechanism, data } => OperationResult::Mac {
            mac: mac::mac(algorithm, key, *mechanism, &data.0)?.into(),
        },
        Operation::VerifyMac {
            mechanism,
            data,
            mac: presented,
            length,
        } => OperationResult::Verified {
            valid: mac::verify(algorithm, key, *mechanism, &data.0, &presented.0, *length)?,
        },
        Operation::Encrypt { .. } | Operation::Decrypt { .. } => ciphered(operation, inputs)?,
        Operation::Wrap {
            mechanism,
            iv,
            associated_data,
            ..
        } => {
            let other = inputs.other.as_ref().ok_or(Refusal::Failed)?;
            let how = wrapping(*mechanism, iv.as_ref(), associated_data.as_ref());
            let made = wrap::wrap(algorithm, key, how, other)?;
            OperationResult::Wrapped {
                wrapped: made.data.into(),
                iv: made.iv.map(Into::into),
            }
        }
        Operation::Unwrap { .. }
        | Operation::Derive { .. }
        | Operation::Encapsulate { .. }
        | Operation::Decapsulate { .. } => return Err(Refusal::Failed),
    })
}

/// A ciphertext, or the plaintext of one.
fn ciphered(operation: &Operation, inputs: &Inputs) -> Result<OperationResult, Refusal> {
    let (algorithm, key) = (inputs.algorithm, inputs.key.as_slice());
    Ok(match operation {
        Operation::Encrypt {
            mechanism,
            data,
            iv,
            associated_data,
            tag_length,
        } => {
            let (iv, associated_data) = (bytes(iv.as_ref()), bytes(associated_data.as_ref()));
            let made = match tag_length {
                None => encrypt::encrypt(algorithm, key, *mechanism, &data.0, iv, associated_data)?,
                Some(length) => {
                    suited(*mechanism, Mechanism::AesGcm, algorithm)?;
                    encrypt::seal(algorithm, key, &data.0, iv, associated_data, *length)?
                }
            };
            OperationResult::Ciphertext {
                data: made.data.into(),
                iv: made.iv.map(Into::into),
            }
        }
        Operation::Decrypt {
            mechanism,
            data,
            iv,
            associated_data,
            tag_length,
        } => {
            let (iv, associated_data) = (bytes(iv.as_ref()), bytes(associated_data.as_ref()));
            let opened = match tag_length {
                None => encrypt::decrypt(algorithm, key, *mechanism, &data.0, iv, associated_data)?,
                Some(length) => {
                    suited(*mechanism, Mechanism::AesGcm, algorithm)?;
                    encrypt::open(algorithm, key, &data.0, iv, associated_data, *length)?
                }
            };
            OperationResult::Plaintext {
                data: opened.as_slice().into(),
            }
        }
        _ => return Err(Refusal::Failed),
    })
}

/// A secret, or the key that comes of one.
fn secret(
    hsm: &dyn Hsm,
    operation: &Operation,
    new: Option<&NewRequest>,
    inputs: &Inputs,
) -> Result<Done, Failure> {
    if inputs.in_hsm.is_some() && !matches!(operation, Operation::Derive { .. }) {
        return Err(hardware::not_offered(operation.mechanism()));
    }
    let (algorithm, key) = (inputs.algorithm, inputs.key.as_slice());
    let (secret, ciphertext) = match operation {
        Operation::Unwrap {
            mechanism,
            wrapped,
            iv,
            associated_data,
            alternatives,
            ..
        } => {
            let how = wrapping(*mechanism, iv.as_ref(), associated_data.as_ref());
            let brought = wrap::unwrap(algorithm, key, how, &wrapped.0)?;
            if let Some(request) = new {
                return Ok(unwrapped(request, alternatives, *mechanism, &brought)?);
            }
            (brought, None)
        }
        Operation::Derive {
            mechanism,
            public_key,
            kdf,
            length,
            ..
        } => {
            let base = base(hsm, *mechanism, public_key.as_ref(), kdf.as_ref(), inputs)?;
            let Some(request) = new else {
                let secret = outcome(base, kdf.as_ref(), *length)?;
                return Ok(Done::Agreed(Secret {
                    secret,
                    ciphertext: None,
                }));
            };
            if length.is_some() {
                return Err(Refusal::Length("A new key says its own length.").into());
            }
            return Ok(derived(request, base, kdf.as_ref())?);
        }
        Operation::Encapsulate { mechanism } => {
            suited(*mechanism, Mechanism::MlKem768, algorithm)?;
            let (ciphertext, secret) = agree::encapsulate(algorithm, key)?;
            (secret, Some(ciphertext))
        }
        Operation::Decapsulate { mechanism, data } => {
            suited(*mechanism, Mechanism::MlKem768, algorithm)?;
            (agree::decapsulate(algorithm, key, &data.0)?, None)
        }
        _ => return Err(Refusal::Failed.into()),
    };
    Ok(Done::Agreed(Secret { secret, ciphertext }))
}

/// The key that was unwrapped: for what its request says, or for the first of the alternatives that it fits.
fn unwrapped(
    request: &NewRequest,
    alternatives: &[Algorithm],
    mechanism: Mechanism,
    bytes: &[u8],
) -> Result<Done, Refusal> {
    let new = request.key();
    let candidates = [new.algorithm].into_iter().chain(alternatives.to_vec());
    for algorithm in candidates {
        let length = new
            .length
            .filter(|_| algorithm == Algorithm::GenericSecret || algorithm == new.algorithm);
        let own = wrap::without_filling(mechanism, algorithm, length, bytes);
        if let Ok(material) = material::import(algorithm, length, own) {
            let origin = Origin::Unwrapped;
            return Ok(Done::Key(
                Fresh {
                    material,
                    origin,
                    in_hsm: None,
                },
                algorithm,
            ));
        }
    }
    Err(Refusal::MalformedKey(new.algorithm))
}

/// What a secret is derived from: an agreed secret, or the key itself.
fn base(
    hsm: &dyn Hsm,
    mechanism: Mechanism,
    public_key: Option<&Base64>,
    kdf: Option<&Kdf>,
    inputs: &Inputs,
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    if mechanism == Mechanism::Hkdf {
        if inputs.in_hsm.is_some() {
            return Err(hardware::not_offered(mechanism));
        }
        suited(mechanism, Mechanism::Hkdf, inputs.algorithm)?;
        return match (public_key, kdf) {
            (None, Some(Kdf::Hkdf { .. })) => Ok(inputs.key.clone()),
            _ => Err(Refusal::Length(
                "HKDF takes its own parameters as the function, and no public key.",
            )
            .into()),
        };
    }
    suited(mechanism, Mechanism::Ecdh, inputs.algorithm)?;
    let public_key = public_key.ok_or(Refusal::Length(
        "To agree on a secret the other public key is needed.",
    ))?;
    match &inputs.in_hsm {
        Some(key) => hardware::agree(hsm, key, &public_key.0),
        None => Ok(agree::agree(inputs.algorithm, &inputs.key, &public_key.0)?),
    }
}

/// What comes of a derivation for the caller.
fn outcome(
    base: Zeroizing<Vec<u8>>,
    kdf: Option<&Kdf>,
    length: Option<u16>,
) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    match (kdf, length) {
        (Some(kdf), _) => derive::derive(kdf, &base, length),
        (None, None) => Ok(base),
        (None, Some(_)) => Err(Refusal::Length(
            "An agreed secret has the length that the curve gives it.",
        )),
    }
}

/// The key that comes of a derivation. Of an agreed secret that no function makes longer or shorter the last bytes stay: PKCS #11 3.1 section 2.3.18
/// removes them from its leading end.
fn derived(
    request: &NewRequest,
    base: Zeroizing<Vec<u8>>,
    kdf: Option<&Kdf>,
) -> Result<Done, Refusal> {
    let new = request.key();
    if new.algorithm.is_pair() {
        return Err(Refusal::MalformedKey(new.algorithm));
    }
    let known = new
        .algorithm
        .length()
        .and_then(|length| u16::try_from(length).ok());
    let wanted = known.or(new.length);
    let secret = match (kdf, wanted) {
        (Some(kdf), wanted) => derive::derive(kdf, &base, wanted)?,
        (None, None) => base,
        (None, Some(wanted)) => {
            let cut = base.len().checked_sub(wanted.into());
            let last = cut.and_then(|cut| base.get(cut..));
            Zeroizing::new(last.map(<[u8]>::to_vec).ok_or(Refusal::Length(
                "The agreed secret is shorter than the key that is to come of it.",
            ))?)
        }
    };
    let material = material::import(new.algorithm, new.length, &secret)?;
    let origin = Origin::Derived;
    Ok(Done::Key(
        Fresh {
            material,
            origin,
            in_hsm: None,
        },
        new.algorithm,
    ))
}

fn wrapping<'a>(
    mechanism: Mechanism,
    iv: Option<&'a Base64>,
    associated_data: Option<&'a Base64>,
) -> Wrapping<'a> {
    Wrapping {
        mechanism,
        iv: bytes(iv),
        associated_data: bytes(associated_data),
    }
}

fn suited(mechanism: Mechanism, only: Mechanism, algorithm: Algorithm) -> Result<(), Refusal> {
    if mechanism == only && mechanism.suits(algorithm) {
        return Ok(());
    }
    Err(Refusal::Unsuitable {
        mechanism,
        algorithm,
    })
}

fn bytes(value: Option<&Base64>) -> Option<&[u8]> {
    value.map(|value| value.0.as_slice())
}
