//! Which attributes an object has, which of them may be set when, and what follows from how it was made (PKCS#11 3.0 section 4, the
//! footnotes of table 11).

mod table;

use cryptoki_sys::*;

use self::table::{
    CERTIFICATE, CHANGES, COPIES, DATA, FOLLOWS, KEYS, MATERIAL, OFFICER, ONLY_FALSE, ONLY_TRUE,
    PRIVATE, PUBLIC, RULES, SECRET,
};
use super::{Attributes, Value};
use crate::der;
use crate::error::{CkResult, fail};
use crate::mechanism::curves;

/// How an object comes to be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Origin<'a> {
    /// Its value is given: `C_CreateObject`.
    Created,
    /// Made at random by this mechanism.
    Made(CK_MECHANISM_TYPE),
    /// Unwrapped.
    Unwrapped,
    /// Derived, or agreed upon by encapsulation, from this key.
    Derived(&'a Attributes),
}

fn bit(class: Option<CK_OBJECT_CLASS>) -> CkResult<u8> {
    match class {
        Some(CKO_DATA) => Ok(DATA),
        Some(CKO_CERTIFICATE) => Ok(CERTIFICATE),
        Some(CKO_PUBLIC_KEY) => Ok(PUBLIC),
        Some(CKO_PRIVATE_KEY) => Ok(PRIVATE),
        Some(CKO_SECRET_KEY) => Ok(SECRET),
        Some(_) => fail(
            CKR_ATTRIBUTE_VALUE_INVALID,
            "objects of this class are not kept",
        ),
        None => fail(CKR_TEMPLATE_INCOMPLETE, "the object's class is missing"),
    }
}

/// The notes on an attribute of an object; none where objects of its class and type do not have it.
fn notes(object: &Attributes, attribute: CK_ATTRIBUTE_TYPE, class: u8) -> Option<u8> {
    if attribute == super::CKA_STRONGROOM_OPERATIONS {
        return Some(FOLLOWS);
    }
    if attribute >= CKA_VENDOR_DEFINED {
        return Some(CHANGES);
    }
    let key_type = object.number(CKA_KEY_TYPE);
    if !key_type.is_none_or(|key_type| is_of_type(attribute, class, key_type)) {
        return None;
    }
    let rule = RULES
        .iter()
        .find(|(kind, of, _)| *kind == attribute && of & class != 0);
    rule.map(|(.., notes)| *notes)
}

/// Whether keys of a type have an attribute, where that depends on the type.
fn is_of_type(attribute: CK_ATTRIBUTE_TYPE, class: u8, key_type: CK_KEY_TYPE) -> bool {
    let lattice = matches!(key_type, CKK_ML_KEM | CKK_ML_DSA);
    match attribute {
        CKA_MODULUS | CKA_MODULUS_BITS | CKA_PUBLIC_EXPONENT | CKA_PRIVATE_EXPONENT
        | CKA_PRIME_1 | CKA_PRIME_2 | CKA_EXPONENT_1 | CKA_EXPONENT_2 | CKA_COEFFICIENT => {
            key_type == CKK_RSA
        }
        CKA_EC_PARAMS | CKA_EC_POINT => {
            matches!(key_type, CKK_EC | CKK_EC_EDWARDS | CKK_EC_MONTGOMERY)
        }
        CKA_PARAMETER_SET | CKA_SEED => lattice,
        CKA_VALUE if class == PUBLIC => lattice,
        CKA_VALUE => key_type != CKK_RSA,
        _ => true,
    }
}

/// Whether an attribute is material that an object keeps to itself.
#[must_use]
pub fn is_hidden(attributes: &Attributes, attribute: CK_ATTRIBUTE_TYPE) -> bool {
    is_material(attributes, attribute)
        && (attributes.is(CKA_SENSITIVE) || !attributes.is(CKA_EXTRACTABLE))
}

/// Whether an attribute is material of a private or secret key.
#[must_use]
pub fn is_material(attributes: &Attributes, attribute: CK_ATTRIBUTE_TYPE) -> bool {
    bit(attributes.number(CKA_CLASS))
        .ok()
        .and_then(|class| notes(attributes, attribute, class))
        .is_some_and(|notes| notes & MATERIAL != 0)
}

/// The attributes of a new object: those of the template, the standard's defaults, and what follows from its making.
///
/// # Errors
/// As the standard says of templates.
pub(crate) fn complete(mut object: Attributes, origin: Origin<'_>) -> CkResult<Attributes> {
    let class = bit(object.number(CKA_CLASS))?;
    for (attribute, value) in object.iter() {
        check_first(&object, attribute, value, class)?;
    }
    let created = matches!(origin, Origin::Created);
    if class & KEYS != 0 {
        if !object.has(CKA_KEY_TYPE) {
            return fail(CKR_TEMPLATE_INCOMPLETE, "the key's type is missing");
        }
        if !key_type_is_of_class(&object) {
            return fail(
                CKR_TEMPLATE_INCONSISTENT,
                "there are no such keys of this class",
            );
        }
        if !created
            && class != PUBLIC
            && RULES.iter().any(|(kind, of, notes)| {
                notes & MATERIAL != 0 && of & class != 0 && object.has(*kind)
            })
        {
            return fail(
                CKR_TEMPLATE_INCONSISTENT,
                "the key's value is not for the template to say",
            );
        }
        if created {
            check_value(&mut object)?;
        }
    }
    if class == CERTIFICATE {
        check_certificate(&object)?;
    }
    defaults(&mut object, class);
    if class & (PRIVATE | SECRET) != 0 {
        let (sensitive, extractable) = (object.is(CKA_SENSITIVE), object.is(CKA_EXTRACTABLE));
        let (always, never) = match origin {
            Origin::Made(_) => (sensitive, !extractable),
            Origin::Derived(base) => (
                sensitive && base.is(CKA_ALWAYS_SENSITIVE),
                !extractable && base.is(CKA_NEVER_EXTRACTABLE),
            ),
            Origin::Created | Origin::Unwrapped => (false, false),
        };
        object.set_bool(CKA_ALWAYS_SENSITIVE, always);
        object.set_bool(CKA_NEVER_EXTRACTABLE, never);
    }
    if class & KEYS != 0 {
        let made_by = match origin {
            Origin::Made(mechanism) => mechanism,
            _ => CK_UNAVAILABLE_INFORMATION,
        };
        object.set_bool(CKA_LOCAL, matches!(origin, Origin::Made(_)));
        object.set_number(CKA_KEY_GEN_MECHANISM, made_by);
    }
    Ok(object)
}

fn check_first(
    object: &Attributes,
    attribute: CK_ATTRIBUTE_TYPE,
    value: &Value,
    class: u8,
) -> CkResult<()> {
    match notes(object, attribute, class) {
        None => fail(
            CKR_ATTRIBUTE_TYPE_INVALID,
            "objects of this class have no such attribute",
        ),
        Some(notes) if notes & FOLLOWS != 0 => fail(
            CKR_ATTRIBUTE_READ_ONLY,
            "the attribute follows from the object's making",
        ),
        Some(notes) if notes & OFFICER != 0 && *value == Value::Bool(true) => fail(
            CKR_ATTRIBUTE_READ_ONLY,
            "whom to trust is not for an application to say",
        ),
        Some(_) => Ok(()),
    }
}

fn key_type_is_of_class(object: &Attributes) -> bool {
    let secret = object.number(CKA_CLASS) == Some(CKO_SECRET_KEY);
    match object.number(CKA_KEY_TYPE) {
        Some(CKK_RSA | CKK_EC | CKK_EC_EDWARDS | CKK_EC_MONTGOMERY | CKK_ML_KEM | CKK_ML_DSA) => {
            !secret
        }
        Some(key_type) => secret && is_secret(key_type),
        None => false,
    }
}

/// Whether keys of this type are secret bytes.
pub(crate) fn is_secret(key_type: CK_KEY_TYPE) -> bool {
    matches!(
        key_type,
        CKK_AES
            | CKK_GENERIC_SECRET
            | CKK_SHA_1_HMAC
            | CKK_SHA224_HMAC
            | CKK_SHA256_HMAC
            | CKK_SHA384_HMAC
            | CKK_SHA512_HMAC
            | CKK_HKDF
    )
}

/// What a template of `C_CreateObject` has to say of a key's value; and what follows from that.
fn check_value(object: &mut Attributes) -> CkResult<()> {
    let needed: &[CK_ATTRIBUTE_TYPE] = match (object.number(CKA_CLASS), object.number(CKA_KEY_TYPE))
    {
        (Some(CKO_SECRET_KEY), _) => &[CKA_VALUE],
        (Some(CKO_PUBLIC_KEY), Some(CKK_RSA)) => &[CKA_MODULUS, CKA_PUBLIC_EXPONENT],
        (_, Some(CKK_RSA)) => &crate::mechanism::rsa::NUMBERS,
        (Some(CKO_PUBLIC_KEY), Some(CKK_EC | CKK_EC_EDWARDS | CKK_EC_MONTGOMERY)) => {
            &[CKA_EC_PARAMS, CKA_EC_POINT]
        }
        (_, Some(CKK_EC | CKK_EC_EDWARDS | CKK_EC_MONTGOMERY)) => &[CKA_EC_PARAMS, CKA_VALUE],
        _ => &[CKA_PARAMETER_SET, CKA_VALUE],
    };
    if !needed.iter().all(|attribute| object.has(*attribute)) {
        return fail(
            CKR_TEMPLATE_INCOMPLETE,
            "a part of the key's value is missing",
        );
    }
    if object.has(CKA_EC_PARAMS) {
        let curve = curves::of_attributes(object)?;
        if let Some(point) = object.bytes(CKA_EC_POINT) {
            let Some(point) = curve.point(point) else {
                return fail(
                    CKR_ATTRIBUTE_VALUE_INVALID,
                    "the point is none of this curve",
                );
            };
            let point = der::element(der::OCTET_STRING, &[point]);
            object.set_bytes(CKA_EC_POINT, &point);
        }
    }
    if object.number(CKA_CLASS) == Some(CKO_SECRET_KEY) {
        let length = object.bytes(CKA_VALUE).map_or(0, <[u8]>::len);
        let length = crate::session::ulong(length);
        if object
            .number(CKA_VALUE_LEN)
            .is_some_and(|said| said != length)
        {
            return fail(
                CKR_TEMPLATE_INCONSISTENT,
                "the value has another length than the template says",
            );
        }
        object.set_number(CKA_VALUE_LEN, length);
    }
    if let (Some(CKO_PUBLIC_KEY), Some(modulus)) =
        (object.number(CKA_CLASS), object.bytes(CKA_MODULUS))
    {
        let modulus = der::trimmed(modulus);
        let unused = modulus.first().map_or(0, |first| first.leading_zeros());
        let bits = crate::session::ulong(modulus.len()) * 8 - CK_ULONG::from(unused);
        object.set_number(CKA_MODULUS_BITS, bits);
    }
    Ok(())
}

fn check_certificate(object: &Attributes) -> CkResult<()> {
    match object.number(CKA_CERTIFICATE_TYPE) {
        Some(CKC_X_509) => {}
        Some(_) => {
            return fail(
                CKR_ATTRIBUTE_VALUE_INVALID,
                "X.509 certificates alone are kept",
            );
        }
        None => return fail(CKR_TEMPLATE_INCOMPLETE, "the certificate's type is missing"),
    }
    if !object.has(CKA_SUBJECT) || !(object.has(CKA_VALUE) || object.has(CKA_URL)) {
        return fail(
            CKR_TEMPLATE_INCOMPLETE,
            "a certificate needs its subject and its value",
        );
    }
    Ok(())
}

/// The standard's defaults, and ours where it leaves them to the token.
fn defaults(object: &mut Attributes, class: u8) {
    let no = || Value::Bool(false);
    let yes = || Value::Bool(true);
    object.default_to(CKA_TOKEN, no);
    let keeps = class & (PRIVATE | SECRET) != 0;
    object.default_to(CKA_PRIVATE, || Value::Bool(keeps));
    for attribute in [CKA_MODIFIABLE, CKA_COPYABLE, CKA_DESTROYABLE] {
        object.default_to(attribute, yes);
    }
    let key_type = object.number(CKA_KEY_TYPE);
    let pair_signs = matches!(
        key_type,
        Some(CKK_RSA | CKK_EC | CKK_EC_EDWARDS | CKK_ML_DSA)
    );
    let rsa = key_type == Some(CKK_RSA);
    let kem = key_type == Some(CKK_ML_KEM);
    for (attribute, of, notes) in RULES {
        if of & class == 0 || notes & (FOLLOWS | MATERIAL) != 0 || object.has(*attribute) {
            continue;
        }
        let value = match *attribute {
            CKA_SENSITIVE => Value::Bool(true),
            CKA_SIGN | CKA_VERIFY => Value::Bool(class == SECRET || pair_signs),
            CKA_ENCRYPT | CKA_DECRYPT | CKA_WRAP | CKA_UNWRAP => {
                Value::Bool(class == SECRET || rsa)
            }
            CKA_ENCAPSULATE | CKA_DECAPSULATE => Value::Bool(kem),
            CKA_SIGN_RECOVER | CKA_VERIFY_RECOVER => Value::Bool(rsa),
            CKA_TRUSTED
            | CKA_EXTRACTABLE
            | CKA_WRAP_WITH_TRUSTED
            | CKA_ALWAYS_AUTHENTICATE
            | CKA_DERIVE => Value::Bool(false),
            CKA_CERTIFICATE_CATEGORY | CKA_JAVA_MIDP_SECURITY_DOMAIN => Value::Number(0),
            CKA_NAME_HASH_ALGORITHM => Value::Number(CKM_SHA_1),
            CKA_LABEL
            | CKA_ID
            | CKA_SUBJECT
            | CKA_START_DATE
            | CKA_END_DATE
            | CKA_APPLICATION
            | CKA_OBJECT_ID
            | CKA_ISSUER
            | CKA_SERIAL_NUMBER
            | CKA_URL
            | CKA_HASH_OF_SUBJECT_PUBLIC_KEY
            | CKA_HASH_OF_ISSUER_PUBLIC_KEY => Value::bytes(&[]),
            CKA_VALUE if class & (DATA | CERTIFICATE) != 0 => Value::bytes(&[]),
            _ => continue,
        };
        object.set(*attribute, value);
    }
}

/// Whether these attributes of an object may be set to this: later, or by a copy.
///
/// # Errors
/// `CKR_ATTRIBUTE_READ_ONLY`, `CKR_ATTRIBUTE_TYPE_INVALID`.
pub(crate) fn check_changes(
    object: &Attributes,
    changes: &Attributes,
    copies: bool,
) -> CkResult<()> {
    let class = bit(object.number(CKA_CLASS))?;
    let may = if copies { CHANGES | COPIES } else { CHANGES };
    for (attribute, value) in changes.iter() {
        let Some(notes) = notes(object, attribute, class) else {
            return fail(
                CKR_ATTRIBUTE_TYPE_INVALID,
                "objects of this class have no such attribute",
            );
        };
        let same = object.get(attribute) == Some(value);
        let back = notes & ONLY_TRUE != 0 && *value == Value::Bool(false)
            || notes & ONLY_FALSE != 0 && *value == Value::Bool(true);
        if notes & may == 0 || back && !same {
            return fail(
                CKR_ATTRIBUTE_READ_ONLY,
                "the attribute cannot be set to this any more",
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn aes(more: &[(CK_ATTRIBUTE_TYPE, Value)]) -> Attributes {
        let mut key: Attributes = more.iter().cloned().collect();
        key.set_number(CKA_CLASS, CKO_SECRET_KEY);
        key.set_number(CKA_KEY_TYPE, CKK_AES);
        key
    }

    #[test]
    fn what_follows_from_the_making_is_not_for_templates() {
        let yes = Value::Bool(true);
        for attribute in [CKA_LOCAL, CKA_ALWAYS_SENSITIVE, CKA_NEVER_EXTRACTABLE] {
            let template = aes(&[
                (attribute, yes.clone()),
                (CKA_VALUE, Value::bytes(&[7; 16])),
            ]);
            assert_eq!(
                complete(template, Origin::Created).unwrap_err().rv,
                CKR_ATTRIBUTE_READ_ONLY
            );
        }
        let made = complete(aes(&[]), Origin::Made(CKM_AES_KEY_GEN)).unwrap();
        assert!(
            made.is(CKA_LOCAL) && made.is(CKA_ALWAYS_SENSITIVE) && made.is(CKA_NEVER_EXTRACTABLE)
        );
        assert_eq!(made.number(CKA_KEY_GEN_MECHANISM), Some(CKM_AES_KEY_GEN));

        let created = aes(&[(CKA_VALUE, Value::bytes(&[7; 16]))]);
        let created = complete(created, Origin::Created).unwrap();
        assert!(
            !created.is(CKA_LOCAL)
                && created.is(CKA_SENSITIVE)
                && !created.is(CKA_ALWAYS_SENSITIVE)
        );
        assert_eq!(created.number(CKA_VALUE_LEN), Some(16));
        let derived = complete(aes(&[]), Origin::Derived(&created)).unwrap();
        assert!(
            !derived.is(CKA_ALWAYS_SENSITIVE),
            "its base was known to the application"
        );
    }

    #[test]
    fn sensitive_stays_sensitive() {
        let key = complete(aes(&[]), Origin::Made(CKM_AES_KEY_GEN)).unwrap();
        let change =
            |attribute, value| -> Attributes { [(attribute, value)].into_iter().collect() };
        for (attribute, value) in [(CKA_SENSITIVE, false), (CKA_EXTRACTABLE, true)] {
            let change = change(attribute, Value::Bool(value));
            assert_eq!(
                check_changes(&key, &change, true).unwrap_err().rv,
                CKR_ATTRIBUTE_READ_ONLY
            );
        }
        let label = change(CKA_LABEL, Value::bytes(b"x"));
        assert!(check_changes(&key, &label, false).is_ok());
        let token = change(CKA_TOKEN, Value::Bool(true));
        assert!(check_changes(&key, &token, false).is_err());
        assert!(check_changes(&key, &token, true).is_ok());
    }
}
