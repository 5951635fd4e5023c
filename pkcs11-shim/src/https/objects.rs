//! Objects of the appliance as PKCS #11 attributes, and back. What the appliance decides stands above what an application said.

use cryptoki_sys::*;
use strongroom_wire::id::ObjectId as WireId;
use strongroom_wire::key::{
    Algorithm, Key, KeyState, NewKey, Origin, Protection, Releasable, Right, UsagePolicy,
};
use strongroom_wire::object::{AccountObject as Object, KeyObject, ObjectDescription, ObjectPart};
use uuid::Uuid;

use super::failure::failed;
use super::{encoding, policy};
use crate::der;
use crate::mechanism::curves::{self, Curve};
use crate::object::{Attributes, Value};
use crate::token::{ObjectId, ObjectRecord, Part, Place, TokenError, TokenErrorKind, TokenResult};

/// The right that each usage attribute of a private or secret key needs.
const USES: [(CK_ATTRIBUTE_TYPE, Right); 9] = [
    (CKA_ENCRYPT, Right::Encrypt),
    (CKA_DECRYPT, Right::Decrypt),
    (CKA_DECAPSULATE, Right::Decrypt),
    (CKA_SIGN, Right::Sign),
    (CKA_VERIFY, Right::Verify),
    (CKA_WRAP, Right::Wrap),
    (CKA_UNWRAP, Right::Unwrap),
    (CKA_DERIVE, Right::Derive),
    (CKA_ENCAPSULATE, Right::Encrypt),
];

pub(super) const fn part_to_wire(part: Part) -> ObjectPart {
    match part {
        Part::Secret => ObjectPart::Secret,
        Part::Private => ObjectPart::Private,
        Part::Public => ObjectPart::Public,
        Part::Object => ObjectPart::Object,
    }
}

/// `CKA_UNIQUE_ID`: the appliance's identifier and the part of it.
fn unique_id(id: WireId, part: ObjectPart) -> String {
    let part = match part {
        ObjectPart::Secret => "secret",
        ObjectPart::Private => "private",
        ObjectPart::Public => "public",
        ObjectPart::Object => "object",
    };
    format!("{id} {part}")
}

/// The object of a `CKA_UNIQUE_ID`, if it is one of this module's.
pub(super) fn of_unique_id(unique: &[u8]) -> Option<(WireId, ObjectPart)> {
    let (id, _) = std::str::from_utf8(unique).ok()?.split_once(' ')?;
    let id = id.parse().ok()?;
    let parts = [
        ObjectPart::Secret,
        ObjectPart::Private,
        ObjectPart::Public,
        ObjectPart::Object,
    ];
    let part = parts
        .into_iter()
        .find(|part| unique_id(id, *part).as_bytes() == unique)?;
    Some((id, part))
}

/// What an application says of an object. What the appliance knows by itself, and material, is left out.
pub(super) fn describe(attributes: &Attributes) -> ObjectDescription {
    let class = attributes.number(CKA_CLASS).unwrap_or(CKO_DATA);
    let secret = class == CKO_SECRET_KEY || class == CKO_PRIVATE_KEY;
    let kind = attributes
        .number(CKA_KEY_TYPE)
        .or_else(|| attributes.number(CKA_CERTIFICATE_TYPE));
    let bytes = |attribute| attributes.bytes(attribute).unwrap_or_default().into();
    let material = [
        CKA_VALUE,
        CKA_PRIVATE_EXPONENT,
        CKA_PRIME_1,
        CKA_PRIME_2,
        CKA_EXPONENT_1,
        CKA_EXPONENT_2,
        CKA_COEFFICIENT,
        CKA_SEED,
    ];
    let kept = attributes.iter().filter(|(attribute, _)| {
        let elsewhere = matches!(*attribute, CKA_CLASS | CKA_LABEL | CKA_ID | CKA_UNIQUE_ID);
        let secret = secret && material.contains(attribute);
        !elsewhere && !secret
    });
    let kept: Attributes = kept
        .map(|(attribute, value)| (attribute, value.clone()))
        .collect();
    ObjectDescription {
        class: u32::try_from(class).unwrap_or(u32::MAX),
        kind: kind.and_then(|kind| u32::try_from(kind).ok()),
        label: bytes(CKA_LABEL),
        id: bytes(CKA_ID),
        attributes: encoding::encode(&kept).into(),
    }
}

/// An object as PKCS #11 has it.
pub(super) fn record(object: &Object) -> TokenResult<ObjectRecord> {
    let said = &object.description;
    let mut attributes = encoding::decode(&said.attributes.0)
        .ok_or_else(|| failed("an object's attributes cannot be read"))?;
    attributes.set_number(CKA_CLASS, CK_ULONG::from(said.class));
    attributes.set_bytes(CKA_LABEL, &said.label.0);
    attributes.set_bool(CKA_TOKEN, true);
    let unique = unique_id(object.id, object.part);
    attributes.set_bytes(CKA_UNIQUE_ID, unique.as_bytes());
    let part = match object.part {
        ObjectPart::Secret => Part::Secret,
        ObjectPart::Private => Part::Private,
        ObjectPart::Public => Part::Public,
        ObjectPart::Object => Part::Object,
    };
    if part != Part::Object || !said.id.0.is_empty() {
        attributes.set_bytes(CKA_ID, &said.id.0);
    }
    for attribute in [CKA_MODIFIABLE, CKA_COPYABLE, CKA_DESTROYABLE] {
        attributes.default_to(attribute, || Value::Bool(true));
    }
    attributes.default_to(CKA_PRIVATE, || {
        Value::Bool(matches!(part, Part::Secret | Part::Private))
    });
    let mut place = Place::Process;
    if part != Part::Object {
        if let Some(kind) = said.kind {
            attributes.set_number(CKA_KEY_TYPE, CK_ULONG::from(kind));
        }
        if let Some(key) = &object.key {
            place = of_key(key, part, &mut attributes)?;
        }
    }
    Ok(ObjectRecord {
        id: ObjectId {
            uuid: Uuid::from_bytes(*object.id.as_bytes()),
            part,
        },
        attributes,
        place,
    })
}

fn of_key(key: &Key, part: Part, attributes: &mut Attributes) -> TokenResult<Place> {
    let generated = key.origin == Origin::Generated;
    attributes.set_bool(CKA_LOCAL, generated);
    attributes.set_number(CKA_KEY_GEN_MECHANISM, made_by(key, attributes));
    for attribute in [CKA_START_DATE, CKA_END_DATE] {
        attributes.default_to(attribute, || Value::bytes(&[]));
    }
    if let Some(public_key) = &key.public_key {
        public_values(&public_key.0, part, attributes)
            .ok_or_else(|| failed("a public key cannot be read"))?;
    }
    let may = |right: Right| {
        let policy = key
            .policy
            .as_ref()
            .and_then(|policy| policy.rights.as_ref());
        key.rights.contains(&right) && policy.is_none_or(|rights| rights.contains(&right))
    };
    if part == Part::Public {
        for attribute in [CKA_ENCRYPT, CKA_VERIFY, CKA_WRAP] {
            attributes.default_to(attribute, || Value::Bool(true));
        }
        for attribute in [CKA_VERIFY_RECOVER, CKA_DERIVE, CKA_TRUSTED] {
            attributes.default_to(attribute, || Value::Bool(false));
        }
        return Ok(Place::Process);
    }
    let uses: &[CK_ATTRIBUTE_TYPE] = if part == Part::Secret {
        &[
            CKA_ENCRYPT,
            CKA_DECRYPT,
            CKA_SIGN,
            CKA_VERIFY,
            CKA_WRAP,
            CKA_UNWRAP,
            CKA_DERIVE,
        ]
    } else {
        &[CKA_DECRYPT, CKA_SIGN, CKA_UNWRAP, CKA_DERIVE]
    };
    for (attribute, right) in USES {
        if uses.contains(&attribute) {
            attributes.default_to(attribute, || Value::Bool(true));
        }
        if attributes.is(attribute) && !(may(right) && key.state != KeyState::Destroyed) {
            attributes.set_bool(attribute, false);
        }
    }
    let released = key.releasable == Releasable::ByPolicy
        && may(Right::Release)
        && !key
            .policy
            .as_ref()
            .is_some_and(|policy| policy.operations_only);
    attributes.default_to(CKA_SENSITIVE, || Value::Bool(true));
    attributes.default_to(CKA_EXTRACTABLE, || Value::Bool(released));
    if !released {
        attributes.set_bool(CKA_EXTRACTABLE, false);
    }
    let never = key.releasable == Releasable::Never && generated;
    attributes.set_bool(CKA_NEVER_EXTRACTABLE, never);
    let sensitive = attributes.is(CKA_SENSITIVE);
    // What came from elsewhere was known there, whatever anybody says of it; what was derived is as its base was.
    let outside = matches!(key.origin, Origin::Imported | Origin::Unwrapped);
    attributes.default_to(CKA_ALWAYS_SENSITIVE, || Value::Bool(sensitive && generated));
    if outside || !sensitive {
        attributes.set_bool(CKA_ALWAYS_SENSITIVE, false);
    }
    attributes.default_to(CKA_WRAP_WITH_TRUSTED, || Value::Bool(false));
    if part == Part::Private {
        // Nothing is signed so in the appliance.
        attributes.set_bool(CKA_SIGN_RECOVER, false);
        attributes.set_bool(CKA_ALWAYS_AUTHENTICATE, key.authenticate_each);
    } else {
        attributes.default_to(CKA_TRUSTED, || Value::Bool(false));
        let length = key
            .length
            .map(usize::from)
            .or_else(|| key.algorithm.length());
        if let Some(length) = length {
            attributes.set_number(CKA_VALUE_LEN, length as CK_ULONG);
        }
    }
    Ok(match (key.protection, part) {
        (Protection::Hsm, _) => Place::Hsm,
        (Protection::Software, Part::Secret) if released => Place::Process,
        (Protection::Software, _) => Place::Appliance,
    })
}

/// The mechanism that made a key: what the application asked for, where the appliance made such a key; none where it made none.
fn made_by(key: &Key, attributes: &Attributes) -> CK_MECHANISM_TYPE {
    if key.origin != Origin::Generated {
        return CK_UNAVAILABLE_INFORMATION;
    }
    match key.algorithm {
        Algorithm::Aes128 | Algorithm::Aes192 | Algorithm::Aes256 => CKM_AES_KEY_GEN,
        Algorithm::Rsa2048 | Algorithm::Rsa3072 | Algorithm::Rsa4096 => CKM_RSA_PKCS_KEY_PAIR_GEN,
        Algorithm::EcP256 | Algorithm::EcP384 | Algorithm::EcP521 => CKM_EC_KEY_PAIR_GEN,
        Algorithm::Ed25519 => CKM_EC_EDWARDS_KEY_PAIR_GEN,
        Algorithm::X25519 => CKM_EC_MONTGOMERY_KEY_PAIR_GEN,
        Algorithm::MlKem768 => CKM_ML_KEM_KEY_PAIR_GEN,
        Algorithm::MlDsa65 => CKM_ML_DSA_KEY_PAIR_GEN,
        // A secret of any length is made by several.
        _ => match attributes.number(CKA_KEY_GEN_MECHANISM) {
            Some(said @ (CKM_SHA256_KEY_GEN | CKM_SHA512_KEY_GEN)) => said,
            _ => CKM_GENERIC_SECRET_KEY_GEN,
        },
    }
}

/// The numbers of a `SubjectPublicKeyInfo`.
fn public_values(spki: &[u8], part: Part, attributes: &mut Attributes) -> Option<()> {
    let (content, _) = der::expect(der::SEQUENCE, spki)?;
    let (algorithm, content) = der::expect(der::SEQUENCE, content)?;
    let (bits, _) = der::expect(der::BIT_STRING, content)?;
    let (_unused, bits) = bits.split_first()?;
    attributes.set_bytes(CKA_PUBLIC_KEY_INFO, spki);
    match attributes.number(CKA_KEY_TYPE)? {
        CKK_RSA => {
            let (numbers, _) = der::expect(der::SEQUENCE, bits)?;
            let (modulus, rest) = der::unsigned(numbers)?;
            let (exponent, _) = der::unsigned(rest)?;
            attributes.set_bytes(CKA_MODULUS, modulus);
            attributes.set_bytes(CKA_PUBLIC_EXPONENT, exponent);
            if part == Part::Public {
                attributes.set_number(CKA_MODULUS_BITS, (modulus.len() * 8) as CK_ULONG);
            }
        }
        CKK_EC | CKK_EC_EDWARDS | CKK_EC_MONTGOMERY => {
            let (_, _, parameters) = der::read(algorithm)?;
            let curve = Curve::of_parameters(if parameters.is_empty() {
                algorithm
            } else {
                parameters
            })?;
            attributes.default_to(CKA_EC_PARAMS, || Value::bytes(curve.identifier()));
            if part == Part::Public {
                attributes.set_bytes(CKA_EC_POINT, &der::element(der::OCTET_STRING, &[bits]));
            }
        }
        kind @ (CKK_ML_KEM | CKK_ML_DSA) => {
            let set = if kind == CKK_ML_KEM {
                CKP_ML_KEM_768
            } else {
                CKP_ML_DSA_65
            };
            attributes.set_number(CKA_PARAMETER_SET, set);
            if part == Part::Public {
                attributes.set_bytes(CKA_VALUE, bits);
            }
        }
        _ => {}
    }
    Some(())
}

/// What a key of these attributes is for; `length` is a secret's in bytes.
fn algorithm(attributes: &Attributes, length: Option<usize>) -> TokenResult<Algorithm> {
    let no = |kind, what: &'static str| Err(TokenError::new(kind, what));
    match attributes.number(CKA_KEY_TYPE) {
        Some(CKK_AES) => match length {
            Some(16) => Ok(Algorithm::Aes128),
            Some(24) => Ok(Algorithm::Aes192),
            Some(32) => Ok(Algorithm::Aes256),
            _ => no(TokenErrorKind::KeySize, "an AES key has 16, 24 or 32 bytes"),
        },
        Some(CKK_RSA) => {
            let bits = attributes
                .number(CKA_MODULUS_BITS)
                .or_else(|| Some(attributes.bytes(CKA_MODULUS)?.len() as CK_ULONG * 8));
            match bits {
                Some(2048) => Ok(Algorithm::Rsa2048),
                Some(3072) => Ok(Algorithm::Rsa3072),
                Some(4096) => Ok(Algorithm::Rsa4096),
                _ => no(
                    TokenErrorKind::KeySize,
                    "RSA keys have 2048, 3072 or 4096 bits",
                ),
            }
        }
        Some(CKK_EC | CKK_EC_EDWARDS | CKK_EC_MONTGOMERY) => {
            let curve = curves::of_attributes(attributes)
                .map_err(|error| TokenError::new(TokenErrorKind::AttributeValue, error.what))?;
            Ok(match curve {
                Curve::P256 => Algorithm::EcP256,
                Curve::P384 => Algorithm::EcP384,
                Curve::P521 => Algorithm::EcP521,
                Curve::Ed25519 => Algorithm::Ed25519,
                Curve::X25519 => Algorithm::X25519,
            })
        }
        Some(CKK_ML_KEM) => Ok(Algorithm::MlKem768),
        Some(CKK_ML_DSA) => Ok(Algorithm::MlDsa65),
        Some(_) if length.is_some() => Ok(Algorithm::GenericSecret),
        _ => no(TokenErrorKind::KeyType, "keys of this type are not served"),
    }
}

/// The usage policy of a key of these attributes: what it is for, whether it is extractable, and by which mechanisms.
pub(super) fn usage_policy(algorithm: Algorithm, own: &Attributes) -> UsagePolicy {
    let mut rights: Vec<Right> = USES
        .into_iter()
        .filter(|(attribute, _)| own.is(*attribute))
        .map(|(_, right)| right)
        .collect();
    if algorithm.is_pair() {
        rights.extend([Right::Verify, Right::Encrypt, Right::Wrap]);
    }
    rights.extend([Right::Share, Right::Destroy]);
    if own.is(CKA_EXTRACTABLE) {
        rights.push(Right::Release);
    }
    rights.sort_unstable();
    rights.dedup();
    // An empty list is no limit.
    let mechanisms = own
        .numbers(CKA_ALLOWED_MECHANISMS)
        .filter(|kinds| !kinds.is_empty());
    UsagePolicy {
        rights: Some(rights),
        mechanisms: mechanisms.map(policy::allowed),
        ..UsagePolicy::default()
    }
}

/// The request for a key with these parts: a secret key, or the public and the private half.
pub(super) fn new_key(parts: &[(Part, &Attributes)], length: Option<usize>) -> TokenResult<NewKey> {
    let merged = parts
        .iter()
        .fold(Attributes::new(), |mut merged, (_, part)| {
            merged.extend((*part).clone());
            merged
        });
    new_key_for(algorithm(&merged, length)?, parts, length)
}

/// The request for a key that is generated, kept as the token's configuration says where it is never extractable.
pub(super) fn kept(new: NewKey, protection: Protection) -> NewKey {
    if new.releasable != Releasable::Never {
        return new;
    }
    NewKey { protection, ..new }
}

/// The request for a key that is known to be for this.
pub(super) fn new_key_for(
    algorithm: Algorithm,
    parts: &[(Part, &Attributes)],
    length: Option<usize>,
) -> TokenResult<NewKey> {
    let Some((_, own)) = parts.last() else {
        return Err(failed("a key has parts"));
    };
    let extractable = own.is(CKA_EXTRACTABLE);
    let label = own.bytes(CKA_LABEL).unwrap_or_default();
    let label = std::str::from_utf8(label).unwrap_or_default();
    let label = if label.chars().any(char::is_control) {
        ""
    } else {
        label
    };
    let objects = parts.iter().map(|(part, attributes)| KeyObject {
        part: part_to_wire(*part),
        description: describe(attributes),
    });
    Ok(NewKey {
        label: label.to_owned(),
        policy: usage_policy(algorithm, own),
        authenticate_each: own.is(CKA_ALWAYS_AUTHENTICATE),
        releasable: if extractable {
            Releasable::ByPolicy
        } else {
            Releasable::Never
        },
        length: length
            .filter(|_| algorithm == Algorithm::GenericSecret)
            .and_then(|length| u16::try_from(length).ok()),
        objects: objects.collect(),
        ..NewKey::new(algorithm)
    })
}
