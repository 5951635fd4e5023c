//! Which attributes objects of which classes have, and what is to be known of each.

use cryptoki_sys::*;

pub(super) const DATA: u8 = 1;
pub(super) const CERTIFICATE: u8 = 2;
pub(super) const PUBLIC: u8 = 4;
pub(super) const PRIVATE: u8 = 8;
pub(super) const SECRET: u8 = 16;
pub(super) const KEYS: u8 = PUBLIC | PRIVATE | SECRET;
pub(super) const ALL: u8 = 31;

/// May be changed later.
pub(super) const CHANGES: u8 = 1;
/// May be changed by a copy.
pub(super) const COPIES: u8 = 2;
/// Cannot become false again.
pub(super) const ONLY_TRUE: u8 = 4;
/// Cannot become true again.
pub(super) const ONLY_FALSE: u8 = 8;
/// Follows from how the object was made: no template says it.
pub(super) const FOLLOWS: u8 = 16;
/// True for those whom a security officer trusts: an application cannot say so.
pub(super) const OFFICER: u8 = 32;
/// Material: not shown of keys that are sensitive or not extractable.
pub(super) const MATERIAL: u8 = 64;

pub(super) const fn rule(
    attribute: CK_ATTRIBUTE_TYPE,
    of: u8,
    notes: u8,
) -> (CK_ATTRIBUTE_TYPE, u8, u8) {
    (attribute, of, notes)
}

#[rustfmt::skip]
pub(super) const RULES: &[(CK_ATTRIBUTE_TYPE, u8, u8)] = &[
    rule(CKA_CLASS, ALL, 0),
    rule(CKA_TOKEN, ALL, COPIES),
    rule(CKA_PRIVATE, ALL, COPIES),
    rule(CKA_LABEL, ALL, CHANGES),
    rule(CKA_UNIQUE_ID, ALL, FOLLOWS),
    rule(CKA_MODIFIABLE, ALL, COPIES),
    rule(CKA_COPYABLE, ALL, CHANGES | ONLY_FALSE),
    rule(CKA_DESTROYABLE, ALL, COPIES),
    rule(CKA_APPLICATION, DATA, 0),
    rule(CKA_OBJECT_ID, DATA, 0),
    rule(CKA_VALUE, DATA, 0),
    rule(CKA_VALUE, CERTIFICATE | PUBLIC, 0),
    rule(CKA_VALUE, PRIVATE | SECRET, MATERIAL),
    rule(CKA_CERTIFICATE_TYPE, CERTIFICATE, 0),
    rule(CKA_TRUSTED, CERTIFICATE | PUBLIC | SECRET, OFFICER),
    rule(CKA_CERTIFICATE_CATEGORY, CERTIFICATE, 0),
    rule(CKA_JAVA_MIDP_SECURITY_DOMAIN, CERTIFICATE, 0),
    rule(CKA_CHECK_VALUE, CERTIFICATE | SECRET, 0),
    rule(CKA_START_DATE, CERTIFICATE | KEYS, CHANGES),
    rule(CKA_END_DATE, CERTIFICATE | KEYS, CHANGES),
    rule(CKA_PUBLIC_KEY_INFO, CERTIFICATE | PUBLIC | PRIVATE, 0),
    rule(CKA_SUBJECT, CERTIFICATE | PUBLIC | PRIVATE, CHANGES),
    rule(CKA_ID, CERTIFICATE | KEYS, CHANGES),
    rule(CKA_ISSUER, CERTIFICATE, CHANGES),
    rule(CKA_SERIAL_NUMBER, CERTIFICATE, CHANGES),
    rule(CKA_URL, CERTIFICATE, 0),
    rule(CKA_HASH_OF_SUBJECT_PUBLIC_KEY, CERTIFICATE, 0),
    rule(CKA_HASH_OF_ISSUER_PUBLIC_KEY, CERTIFICATE, 0),
    rule(CKA_NAME_HASH_ALGORITHM, CERTIFICATE, 0),
    rule(CKA_KEY_TYPE, KEYS, 0),
    rule(CKA_LOCAL, KEYS, FOLLOWS),
    rule(CKA_KEY_GEN_MECHANISM, KEYS, FOLLOWS),
    rule(CKA_ALLOWED_MECHANISMS, KEYS, 0),
    rule(CKA_DERIVE, KEYS, CHANGES),
    rule(CKA_ENCRYPT, PUBLIC | SECRET, CHANGES),
    rule(CKA_DECRYPT, PRIVATE | SECRET, CHANGES),
    rule(CKA_SIGN, PRIVATE | SECRET, CHANGES),
    rule(CKA_VERIFY, PUBLIC | SECRET, CHANGES),
    rule(CKA_SIGN_RECOVER, PRIVATE, CHANGES),
    rule(CKA_VERIFY_RECOVER, PUBLIC, CHANGES),
    rule(CKA_WRAP, PUBLIC | SECRET, CHANGES),
    rule(CKA_UNWRAP, PRIVATE | SECRET, CHANGES),
    rule(CKA_ENCAPSULATE, PUBLIC, CHANGES),
    rule(CKA_DECAPSULATE, PRIVATE, CHANGES),
    rule(CKA_SENSITIVE, PRIVATE | SECRET, CHANGES | ONLY_TRUE),
    rule(CKA_EXTRACTABLE, PRIVATE | SECRET, CHANGES | ONLY_FALSE),
    rule(CKA_ALWAYS_SENSITIVE, PRIVATE | SECRET, FOLLOWS),
    rule(CKA_NEVER_EXTRACTABLE, PRIVATE | SECRET, FOLLOWS),
    rule(CKA_WRAP_WITH_TRUSTED, PRIVATE | SECRET, CHANGES | ONLY_TRUE),
    rule(CKA_ALWAYS_AUTHENTICATE, PRIVATE, 0),
    rule(CKA_WRAP_TEMPLATE, PUBLIC | SECRET, 0),
    rule(CKA_UNWRAP_TEMPLATE, PRIVATE | SECRET, 0),
    rule(CKA_DERIVE_TEMPLATE, PRIVATE | SECRET, 0),
    rule(CKA_ENCAPSULATE_TEMPLATE, PUBLIC, 0),
    rule(CKA_DECAPSULATE_TEMPLATE, PRIVATE, 0),
    rule(CKA_MODULUS, PUBLIC | PRIVATE, 0),
    rule(CKA_MODULUS_BITS, PUBLIC, 0),
    rule(CKA_PUBLIC_EXPONENT, PUBLIC | PRIVATE, 0),
    rule(CKA_PRIVATE_EXPONENT, PRIVATE, MATERIAL),
    rule(CKA_PRIME_1, PRIVATE, MATERIAL),
    rule(CKA_PRIME_2, PRIVATE, MATERIAL),
    rule(CKA_EXPONENT_1, PRIVATE, MATERIAL),
    rule(CKA_EXPONENT_2, PRIVATE, MATERIAL),
    rule(CKA_COEFFICIENT, PRIVATE, MATERIAL),
    rule(CKA_EC_PARAMS, PUBLIC | PRIVATE, 0),
    rule(CKA_EC_POINT, PUBLIC, 0),
    rule(CKA_PARAMETER_SET, PUBLIC | PRIVATE, 0),
    rule(CKA_SEED, PRIVATE, MATERIAL),
    rule(CKA_VALUE_LEN, SECRET, 0),
];
