//! Making keys in this process, for session objects: at random, by derivation, and from PKCS #8.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::encoding::AsRawBytes;
use aws_lc_rs::kem::{DecapsulationKey, ML_KEM_768};
use aws_lc_rs::rand;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair, ML_DSA_65_SIGNING, PqdsaKeyPair};
use cryptoki_sys::*;
use zeroize::Zeroizing;

use super::blocks::Blocks;
use super::curves::{self, Curve};
use super::soft::{KeyUse, LONGEST_SECRET};
use super::{Family, Hash, Mechanism, Parameter, mac, rsa};
use crate::der;
use crate::error::{CkError, CkResult, fail};
use crate::object::{Attributes, Value};

/// Random bytes.
pub(crate) fn random(length: usize) -> CkResult<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(vec![0; length]);
    rand::fill(&mut bytes)
        .map_err(|_| CkError::new(CKR_RANDOM_NO_RNG, "the system gives no random numbers"))?;
    Ok(bytes)
}

/// How long a secret key of this template is, in bytes. `natural` is what the mechanism gives by itself, if it does.
pub(crate) fn secret_length(attributes: &Attributes, natural: Option<usize>) -> CkResult<usize> {
    let asked = attributes
        .number(CKA_VALUE_LEN)
        .and_then(|length| usize::try_from(length).ok());
    match (attributes.number(CKA_KEY_TYPE), asked.or(natural)) {
        (_, None) => fail(CKR_TEMPLATE_INCOMPLETE, "the key's length is missing"),
        (Some(CKK_AES), Some(length @ (16 | 24 | 32))) => Ok(length),
        (Some(CKK_AES), Some(_)) if asked.is_none() => {
            fail(CKR_TEMPLATE_INCOMPLETE, "the key's length is missing")
        }
        (Some(CKK_AES), Some(_)) => fail(
            CKR_ATTRIBUTE_VALUE_INVALID,
            "an AES key has 16, 24 or 32 bytes",
        ),
        (_, Some(length)) if (1..=LONGEST_SECRET).contains(&length) => Ok(length),
        _ => fail(CKR_KEY_SIZE_RANGE, "a secret has 1 to 4096 bytes"),
    }
}

/// Makes a key pair: puts the public values into both templates and the private ones into the private one.
pub(crate) fn pair(
    mechanism: &Mechanism,
    public: &mut Attributes,
    private: &mut Attributes,
) -> CkResult<()> {
    match mechanism.family {
        Family::MakePair(CKK_RSA) => rsa_pair(public, private),
        Family::MakePair(key_type @ (CKK_EC | CKK_EC_EDWARDS | CKK_EC_MONTGOMERY)) => {
            public.default_to(CKA_KEY_TYPE, || Value::Number(key_type));
            let curve = curves::of_attributes(public)?;
            let scalar = loop {
                let scalar = random(curve.field())?;
                let scalar = masked(curve, scalar);
                // A number beyond the curve's order is drawn again.
                if curves::public_of(curve, &scalar).is_ok() {
                    break scalar;
                }
            };
            let point = curves::public_of(curve, &scalar)?;
            let parameters = Value::bytes(public.bytes(CKA_EC_PARAMS).unwrap_or_default());
            public.set_bytes(CKA_EC_POINT, &der::element(der::OCTET_STRING, &[&point]));
            private.set(CKA_EC_PARAMS, parameters);
            private.set_bytes(CKA_VALUE, &scalar);
            Ok(())
        }
        Family::MakePair(CKK_ML_KEM) => {
            parameter_set(public, private, CKP_ML_KEM_768)?;
            let key = DecapsulationKey::generate(&ML_KEM_768).map_err(refused)?;
            private.set_bytes(CKA_VALUE, key.key_bytes().map_err(refused)?.as_ref());
            let public_key = key.encapsulation_key().map_err(refused)?;
            public.set_bytes(CKA_VALUE, public_key.key_bytes().map_err(refused)?.as_ref());
            Ok(())
        }
        Family::MakePair(CKK_ML_DSA) => {
            parameter_set(public, private, CKP_ML_DSA_65)?;
            let key = PqdsaKeyPair::generate(&ML_DSA_65_SIGNING).map_err(refused)?;
            let bytes = key.private_key().as_raw_bytes().map_err(refused)?;
            private.set_bytes(CKA_VALUE, bytes.as_ref());
            public.set_bytes(CKA_VALUE, key.public_key().as_ref());
            Ok(())
        }
        _ => fail(CKR_MECHANISM_INVALID, "the mechanism makes no key pair"),
    }
}

/// P-521's orders have 521 bits of 528.
fn masked(curve: Curve, mut scalar: Zeroizing<Vec<u8>>) -> Zeroizing<Vec<u8>> {
    if let (Curve::P521, Some(first)) = (curve, scalar.first_mut()) {
        *first &= 1;
    }
    scalar
}

fn parameter_set(
    public: &mut Attributes,
    private: &mut Attributes,
    served: CK_ULONG,
) -> CkResult<()> {
    match public.number(CKA_PARAMETER_SET) {
        Some(asked) if asked == served => {
            private.set_number(CKA_PARAMETER_SET, served);
            Ok(())
        }
        Some(_) => fail(
            CKR_PARAMETER_SET_NOT_SUPPORTED,
            "ML-KEM-768 and ML-DSA-65 are served",
        ),
        None => fail(CKR_TEMPLATE_INCOMPLETE, "the parameter set is missing"),
    }
}

fn rsa_pair(public: &mut Attributes, private: &mut Attributes) -> CkResult<()> {
    let size = match public.number(CKA_MODULUS_BITS) {
        Some(2048) => KeySize::Rsa2048,
        Some(3072) => KeySize::Rsa3072,
        Some(4096) => KeySize::Rsa4096,
        Some(_) => {
            return fail(
                CKR_KEY_SIZE_RANGE,
                "RSA keys are made with 2048, 3072 or 4096 bits",
            );
        }
        None => return fail(CKR_TEMPLATE_INCOMPLETE, "the modulus's length is missing"),
    };
    if public
        .bytes(CKA_PUBLIC_EXPONENT)
        .is_some_and(|asked| der::trimmed(asked) != [1, 0, 1])
    {
        return fail(
            CKR_ATTRIBUTE_VALUE_INVALID,
            "RSA keys are made with the exponent 65537",
        );
    }
    let pair = RsaKeyPair::generate(size).map_err(refused)?;
    let pkcs8: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().map_err(refused)?;
    let mut made = Attributes::new();
    of_pkcs8(pkcs8.as_ref(), &mut made)?;
    for attribute in [CKA_MODULUS, CKA_PUBLIC_EXPONENT] {
        public.set_bytes(attribute, made.bytes(attribute).unwrap_or_default());
    }
    made.remove(CKA_KEY_TYPE);
    private.extend(made);
    Ok(())
}

/// Derives a secret from a key: all that the mechanism gives, or `length` bytes of it.
pub(crate) fn derive(
    mechanism: &Mechanism,
    key: &KeyUse,
    length: Option<usize>,
) -> CkResult<Zeroizing<Vec<u8>>> {
    let KeyUse::Here(soft) = key else {
        return fail(
            CKR_KEY_UNEXTRACTABLE,
            "the key's material stays in the appliance",
        );
    };
    let whole = match (mechanism.family, &mechanism.parameter) {
        (
            Family::Ecdh,
            Parameter::Ecdh {
                kdf,
                shared,
                public,
            },
        ) => {
            let secret = soft.agree(public)?;
            match kdf {
                None => secret,
                Some(hash) => x963(*hash, &secret, shared, length.unwrap_or(hash.length())),
            }
        }
        (Family::AesEncryptData, Parameter::Data { iv, data }) => {
            let (kind, parameter) = match iv {
                Some(iv) => (CKM_AES_CBC, Parameter::Block(*iv)),
                None => (CKM_AES_ECB, Parameter::None),
            };
            let mechanism = Mechanism {
                kind,
                family: super::family_of(kind)?,
                parameter,
            };
            let mut blocks = Blocks::new(mechanism, key.clone(), true)?;
            if !data.len().is_multiple_of(16) || data.is_empty() {
                return fail(CKR_DATA_LEN_RANGE, "these are no whole blocks");
            }
            let mut encrypted = Zeroizing::new(vec![0; data.len()]);
            blocks.update(data, &mut encrypted)?;
            encrypted
        }
        (Family::Concatenate, Parameter::Data { data, .. }) => {
            let base = soft.secret()?;
            let parts = if mechanism.kind == CKM_CONCATENATE_BASE_AND_DATA {
                [base, data]
            } else {
                [data, base]
            };
            Zeroizing::new(parts.concat())
        }
        (
            Family::Hkdf,
            Parameter::Hkdf {
                extract,
                expand,
                hash,
                salt,
                info,
            },
        ) => hkdf(
            *hash,
            soft.secret()?,
            (*extract, *expand),
            salt,
            info,
            length,
        )?,
        _ => {
            return fail(
                CKR_MECHANISM_PARAM_INVALID,
                "the mechanism takes another parameter",
            );
        }
    };
    match length {
        Some(length) if length > whole.len() => fail(
            CKR_KEY_SIZE_RANGE,
            "the mechanism does not give so many bytes",
        ),
        // ECDH without a key derivation function: the standard truncates from the left end, so that the last bytes stay.
        Some(length) if matches!(mechanism.parameter, Parameter::Ecdh { kdf: None, .. }) => {
            Ok(Zeroizing::new(whole[whole.len() - length..].to_vec()))
        }
        Some(length) => Ok(Zeroizing::new(whole[..length].to_vec())),
        None => Ok(whole),
    }
}

/// The key derivation function of ANSI X9.63.
fn x963(hash: Hash, secret: &[u8], shared: &[u8], length: usize) -> Zeroizing<Vec<u8>> {
    let mut whole = Zeroizing::new(Vec::with_capacity(length + hash.length()));
    for counter in 1_u32.. {
        if whole.len() >= length {
            break;
        }
        whole.extend_from_slice(&hash.digest(&[secret, &counter.to_be_bytes(), shared]));
    }
    whole
}

/// HKDF (RFC 5869).
fn hkdf(
    hash: Hash,
    key: &[u8],
    (extract, expand): (bool, bool),
    salt: &[u8],
    info: &[u8],
    length: Option<usize>,
) -> CkResult<Zeroizing<Vec<u8>>> {
    let prk = if extract {
        let zeros = [0; 64];
        let salt = if salt.is_empty() {
            &zeros[..hash.length()]
        } else {
            salt
        };
        Zeroizing::new(mac::hmac_of(hash, salt, &[key])?.as_ref().to_vec())
    } else {
        Zeroizing::new(key.to_vec())
    };
    if !expand {
        return Ok(prk);
    }
    let length = length.unwrap_or(hash.length());
    if length > 255 * hash.length() {
        return fail(CKR_KEY_SIZE_RANGE, "HKDF does not give so many bytes");
    }
    let mut whole = Zeroizing::new(Vec::with_capacity(length + hash.length()));
    let mut last = Zeroizing::new(Vec::new());
    for counter in 1_u8..=255 {
        if whole.len() >= length {
            break;
        }
        last = Zeroizing::new(
            mac::hmac_of(hash, &prk, &[&last, info, &[counter]])?
                .as_ref()
                .to_vec(),
        );
        whole.extend_from_slice(&last);
    }
    Ok(whole)
}

const EC_PUBLIC_KEY: &[u8] = &[6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];

/// PKCS #8 of a private key's attributes.
pub(crate) fn pkcs8(attributes: &Attributes) -> CkResult<Zeroizing<Vec<u8>>> {
    match attributes.number(CKA_KEY_TYPE) {
        Some(CKK_RSA) => Ok(rsa::pkcs8_of(&rsa::private_der(attributes)?)),
        Some(CKK_EC | CKK_EC_EDWARDS | CKK_EC_MONTGOMERY) => {
            let curve = curves::of_attributes(attributes)?;
            let scalar = attributes
                .bytes(CKA_VALUE)
                .and_then(|scalar| curve.scalar(scalar));
            let Some(scalar) = scalar else {
                return fail(CKR_TEMPLATE_INCOMPLETE, "the key's value is missing");
            };
            let octets = der::element(der::OCTET_STRING, &[&scalar]);
            let (algorithm, key) = if curve.signing().is_some() {
                let point = curves::public_of(curve, &scalar)?;
                let point = der::element(der::BIT_STRING, &[&[0], &point]);
                let point = der::element(0xa1, &[&point]);
                let key = der::element(der::SEQUENCE, &[&der::integer(&[1]), &octets, &point]);
                (
                    der::element(der::SEQUENCE, &[EC_PUBLIC_KEY, curve.identifier()]),
                    key,
                )
            } else {
                (der::element(der::SEQUENCE, &[curve.identifier()]), octets)
            };
            let key = der::element(der::OCTET_STRING, &[&key]);
            Ok(der::element(
                der::SEQUENCE,
                &[&der::integer(&[]), &algorithm, &key],
            ))
        }
        _ => fail(
            CKR_KEY_NOT_WRAPPABLE,
            "keys of this type have no PKCS #8 here",
        ),
    }
}

/// Puts what a PKCS #8 private key says into attributes: the key's type, and its numbers.
pub(crate) fn of_pkcs8(pkcs8: &[u8], attributes: &mut Attributes) -> CkResult<()> {
    let bad = CkError::new(
        CKR_WRAPPED_KEY_INVALID,
        "what was wrapped is no PKCS #8 private key",
    );
    read_pkcs8(pkcs8, attributes).ok_or(bad)
}

fn read_pkcs8(pkcs8: &[u8], attributes: &mut Attributes) -> Option<()> {
    let (content, rest) = der::expect(der::SEQUENCE, pkcs8)?;
    // A block cipher's padding may follow.
    if rest.len() >= 16 {
        return None;
    }
    let (_version, content) = der::unsigned(content)?;
    let (algorithm, content) = der::expect(der::SEQUENCE, content)?;
    let (key, _attributes) = der::expect(der::OCTET_STRING, content)?;
    if algorithm == &rsa::ALGORITHM[2..] {
        attributes.set_number(CKA_KEY_TYPE, CKK_RSA);
        for (attribute, number) in rsa::NUMBERS.into_iter().zip(rsa::numbers_of(key)?) {
            attributes.set_bytes(attribute, number);
        }
        return Some(());
    }
    let (curve, scalar) = if let Some(parameters) = algorithm.strip_prefix(EC_PUBLIC_KEY) {
        let (content, _) = der::expect(der::SEQUENCE, key)?;
        let (_version, content) = der::unsigned(content)?;
        let (scalar, _) = der::expect(der::OCTET_STRING, content)?;
        (Curve::of_parameters(parameters)?, scalar)
    } else {
        (Curve::of_parameters(algorithm)?, der::octet_string(key)?)
    };
    attributes.set_number(CKA_KEY_TYPE, curve.key_type());
    attributes.default_to(CKA_EC_PARAMS, || Value::bytes(curve.identifier()));
    attributes.set_bytes(CKA_VALUE, &curve.scalar(scalar)?);
    Some(())
}

fn refused<E>(_: E) -> CkError {
    CkError::new(CKR_FUNCTION_FAILED, "AWS-LC made no key")
}
