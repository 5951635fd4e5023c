//! Keys that come out of keys: wrapped, unwrapped, derived, agreed on.

use cryptoki_sys::*;
use strongroom_client::operations::Operate;
use strongroom_wire::key::{Algorithm, NewKey};
use strongroom_wire::operation::{Operation, OperationResult};
use zeroize::Zeroizing;

use super::failure::{failed, of_wrapped, told};
use super::keys::public_half;
use super::{HttpsToken, key, objects, operations};
use crate::mechanism::{Mechanism, making};
use crate::object::Attributes;
use crate::token::{
    Answer, Encapsulated, ObjectId, ObjectRecord, Outcome, Part, RequestId, TokenError,
    TokenErrorKind as Kind, TokenResult,
};

impl HttpsToken {
    /// Has a key wrap another one.
    pub(super) fn wrap_key(
        &self,
        wrapping: ObjectId,
        mechanism: &Mechanism,
        other: ObjectId,
    ) -> TokenResult<Answer<Zeroizing<Vec<u8>>>> {
        let cipher = operations::wrapping_cipher(mechanism)?;
        let operation = Operation::Wrap {
            mechanism: cipher.mechanism,
            key: key(other),
            version: None,
            iv: cipher.iv.map(Into::into),
            associated_data: cipher.associated_data.map(Into::into),
        };
        let done = ask!(self, who => who.operate(key(wrapping), None, operation.clone()))
            .map_err(|error| told(error, Kind::Data, Kind::KeySize))?;
        match done.result {
            OperationResult::Wrapped { wrapped, .. } => self.answer(Zeroizing::new(wrapped.0)),
            _ => Err(failed("the appliance answers something else")),
        }
    }

    /// Has a key unwrap another one.
    pub(super) fn unwrap_key(
        &self,
        request: RequestId,
        unwrapping: ObjectId,
        mechanism: &Mechanism,
        wrapped: &[u8],
        attributes: &Attributes,
    ) -> TokenResult<Answer<ObjectRecord>> {
        let kinds = operations::kinds(attributes)?;
        let (first, alternatives) = kinds.split_first().ok_or_else(|| failed("no key"))?;
        let length = attributes
            .number(CKA_VALUE_LEN)
            .and_then(|length| usize::try_from(length).ok());
        let half = public_half(attributes);
        let parts = [(Part::Public, &half), (Part::Private, attributes)];
        let secret = [(Part::Secret, attributes)];
        let (part, parts) = if first.is_pair() {
            (Part::Private, &parts[..])
        } else {
            (Part::Secret, &secret[..])
        };
        let new = objects::new_key_for(*first, parts, length)?;
        let new = Some(Box::new(new));
        let operation = unwrapping_of(mechanism, wrapped, new, alternatives)?;
        self.key_of(request, unwrapping, operation, part)
            .map_err(of_wrapped)
    }

    /// Has a key derived.
    pub(super) fn derive_key(
        &self,
        request: RequestId,
        base: ObjectId,
        mechanism: &Mechanism,
        attributes: &Attributes,
    ) -> TokenResult<Answer<ObjectRecord>> {
        let derivation = operations::derivation(mechanism)?;
        let length = attributes
            .number(CKA_VALUE_LEN)
            .and_then(|length| usize::try_from(length).ok());
        // Of a generic secret the mechanism says the length where the template does not.
        if attributes.number(CKA_KEY_TYPE) == Some(CKK_AES) || length.is_some() {
            making::secret_length(attributes, None).map_err(|error| {
                let kind = match error.rv {
                    CKR_TEMPLATE_INCOMPLETE => Kind::TemplateIncomplete,
                    CKR_ATTRIBUTE_VALUE_INVALID => Kind::AttributeValue,
                    _ => Kind::KeySize,
                };
                TokenError::new(kind, error.what)
            })?;
        }
        let kinds = operations::kinds(attributes)?;
        let first = kinds.first().ok_or_else(|| failed("no key"))?;
        let new = objects::new_key_for(*first, &[(Part::Secret, attributes)], length)?;
        let operation = derivation_of(derivation, None, Some(Box::new(new)));
        self.key_of(request, base, operation, Part::Secret)
            .map_err(|error| told(error, Kind::Data, Kind::MechanismParameter))
    }

    /// Has a shared secret made and encapsulated.
    pub(super) fn encapsulate_to(
        &self,
        request: RequestId,
        public: ObjectId,
        attributes: &Attributes,
    ) -> TokenResult<Answer<Encapsulated>> {
        let (ciphertext, secret) = ask!(self, who => who.encapsulate(key(public)))?;
        let made = self.import(request, attributes, &secret)?;
        Ok(Answer {
            value: Encapsulated {
                object: made.value,
                ciphertext,
            },
            change: made.change,
        })
    }

    /// Has a shared secret decapsulated.
    pub(super) fn decapsulate_with(
        &self,
        request: RequestId,
        private: ObjectId,
        ciphertext: &[u8],
        attributes: &Attributes,
    ) -> TokenResult<Answer<ObjectRecord>> {
        let secret = ask!(self, who => who.decapsulate(key(private), None, ciphertext))?;
        self.import(request, attributes, &secret)
    }

    /// What a key derives, decapsulates or unwraps, for this process.
    pub(super) fn secret_from(
        &self,
        id: ObjectId,
        outcome: Outcome,
        mechanism: &Mechanism,
        data: &[u8],
    ) -> TokenResult<Answer<Zeroizing<Vec<u8>>>> {
        let secret = match outcome {
            Outcome::Derived { length } => {
                let derivation = operations::derivation(mechanism)?;
                // An agreed secret has its own length; what is too long of it is cut off here.
                let length = length
                    .filter(|_| derivation.kdf.is_some())
                    .map(|length| u16::try_from(length).unwrap_or(u16::MAX));
                let operation = derivation_of(derivation, length, None);
                ask!(self, who => who.secret(key(id), None, operation.clone()))
                    .map_err(|error| told(error, Kind::Data, Kind::MechanismParameter))?
            }
            Outcome::Decapsulated => ask!(self, who => who.decapsulate(key(id), None, data))?,
            Outcome::Unwrapped => {
                let operation = unwrapping_of(mechanism, data, None, &[])?;
                ask!(self, who => who.secret(key(id), None, operation.clone()))
                    .map_err(of_wrapped)?
            }
        };
        self.answer(secret)
    }
}

fn unwrapping_of(
    mechanism: &Mechanism,
    wrapped: &[u8],
    new: Option<Box<NewKey>>,
    alternatives: &[Algorithm],
) -> TokenResult<Operation> {
    let cipher = operations::wrapping_cipher(mechanism)?;
    Ok(Operation::Unwrap {
        mechanism: cipher.mechanism,
        wrapped: wrapped.into(),
        iv: cipher.iv.map(Into::into),
        associated_data: cipher.associated_data.map(Into::into),
        new,
        alternatives: alternatives.to_vec(),
    })
}

fn derivation_of(
    derivation: operations::Derivation,
    length: Option<u16>,
    new: Option<Box<NewKey>>,
) -> Operation {
    Operation::Derive {
        mechanism: derivation.mechanism,
        public_key: derivation.public_key.map(Into::into),
        kdf: derivation.kdf,
        length,
        new,
    }
}
