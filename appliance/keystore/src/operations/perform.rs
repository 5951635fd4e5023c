//! What an operation does with the material, once it may.

use strongroom_mechanisms::{Refusal, agree, encrypt, mac, material, sign, wrap};
use strongroom_wire::encoding::Base64;
use strongroom_wire::key::{Algorithm, Origin};
use strongroom_wire::operation::{Mechanism, Operation, OperationResult};
use zeroize::Zeroizing;

use crate::keys::{Fresh, NewRequest};

/// What an operation works with.
pub(super) struct Inputs {
    pub(super) algorithm: Algorithm,
    pub(super) version: u32,
    /// The key's material, or its public key where that does.
    pub(super) key: Zeroizing<Vec<u8>>,
    /// The material of the key that is to be wrapped.
    pub(super) other: Option<Zeroizing<Vec<u8>>>,
}

/// What came of an operation.
pub(super) enum Done {
    /// Something that goes to the caller as it is.
    Result(OperationResult),
    /// A secret that goes to the caller under the session's transport key.
    Agreed(Secret),
    /// The material of a new key.
    Key(Fresh),
}

/// A secret, and what the other side learns it from.
pub(super) struct Secret {
    pub(super) secret: Zeroizing<Vec<u8>>,
    pub(super) ciphertext: Option<Vec<u8>>,
}

/// Does it.
pub(super) fn perform(
    operation: &Operation,
    new: Option<&NewRequest>,
    inputs: &Inputs,
) -> Result<Done, Refusal> {
    match operation {
        Operation::Unwrap { .. }
        | Operation::Derive { .. }
        | Operation::Encapsulate { .. }
        | Operation::Decapsulate { .. } => secret(operation, new, inputs),
        _ => result(operation, inputs).map(Done::Result),
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
        } => {
            let signed = sign::Signed {
                mechanism: *mechanism,
                data: &data.0,
                prehashed: *prehashed,
                encoding: *encoding,
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
        } => {
            let signed = sign::Signed {
                mechanism: *mechanism,
                data: &data.0,
                prehashed: *prehashed,
                encoding: *encoding,
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
        } => OperationResult::Verified {
            valid: mac::verify(algorithm, key, *mechanism, &data.0, &presented.0)?,
        },
        Operation::Encrypt {
            mechanism,
            data,
            iv,
            associated_data,
        } => {
            let (iv, associated_data) = (bytes(iv.as_ref()), bytes(associated_data.as_ref()));
            let made = encrypt::encrypt(algorithm, key, *mechanism, &data.0, iv, associated_data)?;
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
        } => {
            let (iv, associated_data) = (bytes(iv.as_ref()), bytes(associated_data.as_ref()));
            let opened =
                encrypt::decrypt(algorithm, key, *mechanism, &data.0, iv, associated_data)?;
            OperationResult::Plaintext {
                data: opened.as_slice().into(),
            }
        }
        Operation::Wrap { mechanism, .. } => {
            let other = inputs.other.as_ref().ok_or(Refusal::Failed)?;
            OperationResult::Wrapped {
                wrapped: wrap::wrap(algorithm, key, *mechanism, other)?.into(),
            }
        }
        Operation::Unwrap { .. }
        | Operation::Derive { .. }
        | Operation::Encapsulate { .. }
        | Operation::Decapsulate { .. } => return Err(Refusal::Failed),
    })
}

/// A secret, or the key that comes of one.
fn secret(
    operation: &Operation,
    new: Option<&NewRequest>,
    inputs: &Inputs,
) -> Result<Done, Refusal> {
    let (algorithm, key) = (inputs.algorithm, inputs.key.as_slice());
    let (secret, ciphertext) = match operation {
        Operation::Unwrap {
            mechanism, wrapped, ..
        } => {
            let brought = wrap::unwrap(algorithm, key, *mechanism, &wrapped.0)?;
            return key_of(new, &brought, Origin::Unwrapped);
        }
        Operation::Derive {
            mechanism,
            public_key,
            ..
        } => {
            suited(*mechanism, Mechanism::Ecdh, algorithm)?;
            let secret = agree::agree(algorithm, key, &public_key.0)?;
            if let Some(request) = new {
                return key_of(new, beginning(request, &secret)?, Origin::Derived);
            }
            (secret, None)
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
        _ => return Err(Refusal::Failed),
    };
    Ok(Done::Agreed(Secret { secret, ciphertext }))
}

/// The key that these bytes become.
fn key_of(new: Option<&NewRequest>, bytes: &[u8], origin: Origin) -> Result<Done, Refusal> {
    let new = new.ok_or(Refusal::Failed)?.key();
    let material = material::import(new.algorithm, new.length, bytes)?;
    Ok(Done::Key(Fresh { material, origin }))
}

/// As many of an agreed secret's first bytes as the new key has.
fn beginning<'a>(request: &NewRequest, secret: &'a [u8]) -> Result<&'a [u8], Refusal> {
    let new = request.key();
    if new.algorithm.is_pair() {
        return Err(Refusal::MalformedKey(new.algorithm));
    }
    let wanted = new.length.map(usize::from);
    let length = new.algorithm.length().or(wanted).unwrap_or(secret.len());
    secret.get(..length).ok_or(Refusal::Length(
        "The agreed secret is shorter than the key that is to come of it.",
    ))
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
