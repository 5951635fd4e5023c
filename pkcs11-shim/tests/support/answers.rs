//! What the token in memory shows of its objects, and says of failures.

use cryptoki_sys::*;
use strongroom_pkcs11::CkError;
use strongroom_pkcs11::object::rules::is_material;
use strongroom_pkcs11::token::{ObjectId, ObjectRecord, TokenError, TokenErrorKind};

use super::memory::Entry;

/// What others see of an object.
pub fn shown(id: ObjectId, entry: &Entry) -> ObjectRecord {
    let attributes = entry.attributes.iter();
    let attributes =
        attributes.filter(|(attribute, _)| !is_material(&entry.attributes, *attribute));
    ObjectRecord {
        id,
        attributes: attributes
            .map(|(attribute, value)| (attribute, value.clone()))
            .collect(),
        place: entry.place,
    }
}

/// What the appliance would say of a failure.
pub fn refused(error: CkError) -> TokenError {
    use TokenErrorKind as Kind;
    let kind = match error.rv {
        CKR_DATA_LEN_RANGE => Kind::DataLength,
        CKR_DATA_INVALID => Kind::Data,
        CKR_ENCRYPTED_DATA_INVALID => Kind::EncryptedData,
        CKR_ENCRYPTED_DATA_LEN_RANGE => Kind::EncryptedDataLength,
        CKR_SIGNATURE_INVALID => Kind::SignatureInvalid,
        CKR_SIGNATURE_LEN_RANGE => Kind::SignatureLength,
        CKR_MECHANISM_PARAM_INVALID => Kind::MechanismParameter,
        CKR_WRAPPED_KEY_INVALID => Kind::WrappedKey,
        CKR_KEY_SIZE_RANGE => Kind::KeySize,
        CKR_ATTRIBUTE_VALUE_INVALID => Kind::AttributeValue,
        CKR_TEMPLATE_INCOMPLETE => Kind::TemplateIncomplete,
        CKR_KEY_TYPE_INCONSISTENT => Kind::KeyType,
        _ => Kind::Failed,
    };
    TokenError::new(kind, error.to_string())
}
