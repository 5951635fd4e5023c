//! The requests that operations are, and what of their answers is taken.

use strongroom_wire::id::{IdempotencyKey, KeyId};
use strongroom_wire::key::{Key, NewKey};
use strongroom_wire::operation::{
    KeyOperation, MOST_OPERATIONS_A_REQUEST, Mechanism, Operate as OperateRequest, OperateMany,
    OperateQuery, Operated, Operation, OperationOutcome, OperationResult, Performed,
    PublicKeyQuery,
};
use zeroize::Zeroizing;

use super::{Ciphertext, Operate, PublicKey, Signature, Signing};
use crate::ClientError;
use crate::api::Call;

pub(super) fn operate(
    requester: &impl Operate,
    key: KeyId,
    version: Option<u32>,
    operation: Operation,
) -> Result<Performed, ClientError> {
    let request = OperateRequest { operation, version };
    let call = Call::post(format!("/v1/keys/{key}/operations")).with(&request)?;
    let (performed, _) = requester.request::<Performed>(&call)?;
    Ok(performed)
}

pub(super) fn operate_many(
    requester: &impl Operate,
    operations: Vec<KeyOperation>,
) -> Result<Vec<Result<Performed, ClientError>>, ClientError> {
    let mut outcomes = Vec::with_capacity(operations.len());
    for part in operations.chunks(MOST_OPERATIONS_A_REQUEST) {
        let request = OperateMany {
            operations: part.to_vec(),
        };
        let call = Call::post("/v1/keys/operations").with(&request)?;
        let (operated, _) = requester.request::<Operated>(&call)?;
        if operated.operations.len() != part.len() {
            return Err(requester
                .client()
                .unexpected("another number of operations"));
        }
        outcomes.extend(
            operated
                .operations
                .into_iter()
                .map(|outcome| match outcome {
                    OperationOutcome::Done(performed) => Ok(*performed),
                    OperationOutcome::Refused(problem) => Err(ClientError::Refused(problem)),
                }),
        );
    }
    Ok(outcomes)
}

pub(super) fn public_key(
    requester: &impl Operate,
    key: KeyId,
    version: Option<u32>,
) -> Result<PublicKey, ClientError> {
    let call = Call::find(
        &format!("/v1/keys/{key}/public"),
        &PublicKeyQuery { version },
    );
    let (found, _) = requester.request::<strongroom_wire::operation::PublicKey>(&call)?;
    if found.key != key || version.is_some_and(|version| version != found.version) {
        return Err(requester.client().unexpected("another key's public key"));
    }
    Ok(PublicKey {
        key,
        version: found.version,
        algorithm: found.algorithm,
        der: found.public_key.0,
    })
}

pub(super) fn mac(
    requester: &impl Operate,
    key: KeyId,
    mechanism: Mechanism,
    message: &[u8],
) -> Result<Vec<u8>, ClientError> {
    let data = message.into();
    match requester
        .operate(key, None, Operation::Mac { mechanism, data })?
        .result
    {
        OperationResult::Mac { mac } => Ok(mac.0),
        _ => Err(requester.client().unexpected("something else than a MAC")),
    }
}

pub(super) fn verify_mac(
    requester: &impl Operate,
    key: KeyId,
    version: Option<u32>,
    mechanism: Mechanism,
    message: &[u8],
    mac: &[u8],
) -> Result<bool, ClientError> {
    let operation = Operation::VerifyMac {
        mechanism,
        data: message.into(),
        mac: mac.into(),
        length: None,
    };
    match requester.operate(key, version, operation)?.result {
        OperationResult::Verified { valid } => Ok(valid),
        _ => Err(requester
            .client()
            .unexpected("something else than a verdict")),
    }
}

pub(super) fn encrypt(
    requester: &impl Operate,
    key: KeyId,
    mechanism: Mechanism,
    plaintext: &[u8],
    associated_data: Option<&[u8]>,
) -> Result<Ciphertext, ClientError> {
    let operation = Operation::Encrypt {
        mechanism,
        data: plaintext.into(),
        iv: None,
        associated_data: associated_data.map(Into::into),
        tag_length: None,
    };
    match requester.operate(key, None, operation)?.result {
        OperationResult::Ciphertext { data, iv } => Ok(Ciphertext {
            data: data.0,
            iv: iv.map(|iv| iv.0),
        }),
        _ => Err(requester
            .client()
            .unexpected("something else than a ciphertext")),
    }
}

pub(super) fn decrypt(
    requester: &impl Operate,
    key: KeyId,
    version: Option<u32>,
    mechanism: Mechanism,
    ciphertext: &Ciphertext,
    associated_data: Option<&[u8]>,
) -> Result<Zeroizing<Vec<u8>>, ClientError> {
    let operation = Operation::Decrypt {
        mechanism,
        data: ciphertext.data.as_slice().into(),
        iv: ciphertext.iv.as_deref().map(Into::into),
        associated_data: associated_data.map(Into::into),
        tag_length: None,
    };
    match requester.operate(key, version, operation)?.result {
        OperationResult::Plaintext { data } => Ok(Zeroizing::new(data.0)),
        _ => Err(requester
            .client()
            .unexpected("something else than a plaintext")),
    }
}

pub(super) fn wrap(
    requester: &impl Operate,
    key: KeyId,
    mechanism: Mechanism,
    other: KeyId,
) -> Result<Vec<u8>, ClientError> {
    let operation = Operation::Wrap {
        mechanism,
        key: other,
        version: None,
        iv: None,
        associated_data: None,
    };
    match requester.operate(key, None, operation)?.result {
        OperationResult::Wrapped { wrapped, .. } => Ok(wrapped.0),
        _ => Err(requester
            .client()
            .unexpected("something else than a wrapped key")),
    }
}

pub(super) fn unwrap(
    requester: &impl Operate,
    key: KeyId,
    mechanism: Mechanism,
    wrapped: &[u8],
    new: NewKey,
) -> Result<Key, ClientError> {
    let operation = Operation::Unwrap {
        mechanism,
        wrapped: wrapped.into(),
        iv: None,
        associated_data: None,
        new: Some(Box::new(new)),
        alternatives: Vec::new(),
    };
    match once(requester, key, operation)?.result {
        OperationResult::Created { key } => Ok(*key),
        _ => Err(requester.client().unexpected("something else than a key")),
    }
}

pub(super) fn agree(
    requester: &impl Operate,
    key: KeyId,
    public_key: &[u8],
) -> Result<Zeroizing<Vec<u8>>, ClientError> {
    let operation = Operation::Derive {
        mechanism: Mechanism::Ecdh,
        public_key: Some(public_key.into()),
        kdf: None,
        length: None,
        new: None,
    };
    Ok(agreed(requester, key, None, operation)?.secret)
}

pub(super) fn derive(
    requester: &impl Operate,
    key: KeyId,
    public_key: &[u8],
    new: NewKey,
) -> Result<Key, ClientError> {
    let operation = Operation::Derive {
        mechanism: Mechanism::Ecdh,
        public_key: Some(public_key.into()),
        kdf: None,
        length: None,
        new: Some(Box::new(new)),
    };
    match once(requester, key, operation)?.result {
        OperationResult::Created { key } => Ok(*key),
        _ => Err(requester.client().unexpected("something else than a key")),
    }
}

pub(super) fn encapsulate(
    requester: &impl Operate,
    key: KeyId,
) -> Result<(Vec<u8>, Zeroizing<Vec<u8>>), ClientError> {
    let mechanism = Mechanism::MlKem768;
    let made = agreed(requester, key, None, Operation::Encapsulate { mechanism })?;
    let ciphertext = made.ciphertext;
    let ciphertext = ciphertext.ok_or_else(|| {
        requester
            .client()
            .unexpected("a secret without a ciphertext")
    })?;
    Ok((ciphertext, made.secret))
}

pub(super) fn decapsulate(
    requester: &impl Operate,
    key: KeyId,
    version: Option<u32>,
    ciphertext: &[u8],
) -> Result<Zeroizing<Vec<u8>>, ClientError> {
    let operation = Operation::Decapsulate {
        mechanism: Mechanism::MlKem768,
        data: ciphertext.into(),
    };
    Ok(agreed(requester, key, version, operation)?.secret)
}

/// An operation that makes one key, however often it has to be asked for.
fn once(
    requester: &impl Operate,
    key: KeyId,
    operation: Operation,
) -> Result<Performed, ClientError> {
    let query = OperateQuery {
        idempotency_key: Some(IdempotencyKey::generate()),
    };
    let request = OperateRequest {
        operation,
        version: None,
    };
    let path = format!("/v1/keys/{key}/operations");
    let call = Call::post_with(&path, &query).with(&request)?;
    let (performed, _) = requester.request::<Performed>(&call.repeatable())?;
    Ok(performed)
}

pub(super) fn signature(
    requester: &impl Operate,
    key: KeyId,
    signing: Signing,
    data: &[u8],
    prehashed: bool,
) -> Result<Signature, ClientError> {
    let operation = Operation::Sign {
        mechanism: signing.mechanism,
        data: data.into(),
        prehashed,
        encoding: signing.encoding,
        salt_length: None,
    };
    let performed = requester.operate(key, None, operation)?;
    match performed.result {
        OperationResult::Signature { signature } => Ok(Signature {
            bytes: signature.0,
            version: performed.version,
            leaf: performed.leaf,
        }),
        _ => Err(requester
            .client()
            .unexpected("something else than a signature")),
    }
}

pub(super) fn secret(
    requester: &impl Operate,
    key: KeyId,
    version: Option<u32>,
    operation: Operation,
) -> Result<Zeroizing<Vec<u8>>, ClientError> {
    Ok(agreed(requester, key, version, operation)?.secret)
}

/// A secret that came under the transport key, and the ciphertext beside it.
fn agreed(
    requester: &impl Operate,
    key: KeyId,
    version: Option<u32>,
    operation: Operation,
) -> Result<Secret, ClientError> {
    let request = OperateRequest { operation, version };
    let call = Call::post(format!("/v1/keys/{key}/operations")).with(&request)?;
    let (performed, transport) = requester.request::<Performed>(&call)?;
    let OperationResult::Secret {
        wrapped,
        ciphertext,
    } = performed.result
    else {
        return Err(requester
            .client()
            .unexpected("something else than a secret"));
    };
    let secret = transport
        .unwrap_agreed(key, performed.version, &wrapped.0)
        .map_err(|_| ClientError::AlteredMaterial)?;
    Ok(Secret {
        secret,
        ciphertext: ciphertext.map(|ciphertext| ciphertext.0),
    })
}

/// A secret, and what the other side learns it from.
struct Secret {
    secret: Zeroizing<Vec<u8>>,
    ciphertext: Option<Vec<u8>>,
}
