#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod ciphers;
mod signing;

use super::*;
use crate::mechanism::{Iv, list};
use Algorithm as A;

fn of(kind: CK_MECHANISM_TYPE, parameter: Parameter) -> Mechanism {
    Mechanism::plain(kind).unwrap().with(parameter)
}

fn plain(kind: CK_MECHANISM_TYPE) -> Mechanism {
    of(kind, Parameter::None)
}

fn pss(kind: CK_MECHANISM_TYPE, hash: Hash, mgf: Hash, salt: usize) -> Mechanism {
    of(kind, Parameter::Pss { hash, mgf, salt })
}

fn gcm(iv: &[u8], tag_bits: u32) -> Mechanism {
    let iv = Iv::new(iv).unwrap();
    let aad = b"aad".to_vec();
    of(CKM_AES_GCM, Parameter::Gcm { iv, aad, tag_bits })
}

fn oaep(hash: Hash, mgf: Hash, label: &[u8]) -> Mechanism {
    let label = label.to_vec();
    of(CKM_RSA_PKCS_OAEP, Parameter::Oaep { hash, mgf, label })
}

fn ecdh(kdf: Option<Hash>, shared: &[u8]) -> Mechanism {
    let (shared, public) = (shared.to_vec(), [&[4, 65][..], &[7; 65]].concat());
    let parameter = Parameter::Ecdh {
        kdf,
        shared,
        public,
    };
    of(CKM_ECDH1_DERIVE, parameter)
}

/// What a signature is asked for as: the mechanism, the data, whether that is a digest, the salt's length.
type Asked = (Wire, Vec<u8>, bool, Option<u16>);

fn signed(mechanism: &Mechanism, input: Input<'_>) -> Result<Asked, TokenErrorKind> {
    match operation(Use::Sign, mechanism, input).map_err(|error| error.kind)? {
        Operation::Sign {
            mechanism,
            data,
            prehashed,
            encoding: SignatureEncoding::Fixed,
            salt_length,
        } => Ok((mechanism, data.0, prehashed, salt_length)),
        other => panic!("{other:?}"),
    }
}

const MESSAGE: &[u8] = b"the message";

#[test]
fn a_template_says_what_a_key_may_be_for() {
    let template = |class, key_type, more: &[(CK_ATTRIBUTE_TYPE, CK_ULONG)]| {
        let mut attributes = Attributes::new();
        attributes.set_number(CKA_CLASS, class);
        attributes.set_number(CKA_KEY_TYPE, key_type);
        for (attribute, value) in more {
            attributes.set_number(*attribute, *value);
        }
        attributes
    };
    let length = |length| [(CKA_VALUE_LEN, length)];
    for (attributes, expected) in [
        (
            template(CKO_SECRET_KEY, CKK_AES, &[]),
            vec![A::Aes256, A::Aes192, A::Aes128],
        ),
        (
            template(CKO_SECRET_KEY, CKK_AES, &length(16)),
            vec![A::Aes128],
        ),
        (
            template(CKO_SECRET_KEY, CKK_AES, &length(24)),
            vec![A::Aes192],
        ),
        (
            template(CKO_SECRET_KEY, CKK_AES, &length(32)),
            vec![A::Aes256],
        ),
        (
            template(CKO_SECRET_KEY, CKK_GENERIC_SECRET, &[]),
            vec![A::GenericSecret],
        ),
        (
            template(CKO_SECRET_KEY, CKK_SHA256_HMAC, &length(20)),
            vec![A::GenericSecret],
        ),
        (
            template(CKO_PRIVATE_KEY, CKK_RSA, &[]),
            vec![A::Rsa2048, A::Rsa3072, A::Rsa4096],
        ),
        (
            template(CKO_PRIVATE_KEY, CKK_EC, &[]),
            vec![A::EcP256, A::EcP384, A::EcP521],
        ),
        (
            template(CKO_PRIVATE_KEY, CKK_EC_EDWARDS, &[]),
            vec![A::Ed25519],
        ),
        (
            template(CKO_PRIVATE_KEY, CKK_EC_MONTGOMERY, &[]),
            vec![A::X25519],
        ),
        (template(CKO_PRIVATE_KEY, CKK_ML_DSA, &[]), vec![A::MlDsa65]),
        (
            template(CKO_PRIVATE_KEY, CKK_ML_KEM, &[]),
            vec![A::MlKem768],
        ),
    ] {
        assert_eq!(kinds(&attributes).unwrap(), expected);
    }
    let mut on_a_curve = template(CKO_PRIVATE_KEY, CKK_EC, &[]);
    on_a_curve.set_bytes(CKA_EC_PARAMS, curves::Curve::P384.identifier());
    assert_eq!(kinds(&on_a_curve).unwrap(), vec![A::EcP384]);
    on_a_curve.set_bytes(CKA_EC_PARAMS, b"none");
    assert!(kinds(&on_a_curve).is_err());
    assert!(kinds(&template(CKO_SECRET_KEY, CKK_AES, &length(17))).is_err());
    assert!(kinds(&template(CKO_PUBLIC_KEY, CKK_RSA, &[])).is_err());
}

#[test]
fn every_mechanism_in_the_list_is_an_operation_or_is_refused_as_one_that_is_none() {
    // With no parameter at all: what wants one says so, and nothing fails in another way.
    for line in list::ALL {
        let mechanism = plain(line.kind);
        for what in [Use::Sign, Use::SignRecover, Use::Encrypt, Use::Decrypt] {
            if let Err(error) = operation(what, &mechanism, Input::Data(&[0; 32])) {
                assert!(
                    matches!(
                        error.kind,
                        TokenErrorKind::Mechanism
                            | TokenErrorKind::MechanismParameter
                            | TokenErrorKind::Data
                    ),
                    "{:#x}: {error:?}",
                    line.kind
                );
            }
        }
    }
}

#[test]
fn allowed_mechanisms_are_those_that_are_asked_for_later() {
    assert_eq!(
        super::super::policy::allowed(&[CKM_ECDSA_SHA256, CKM_ECDSA_SHA256]),
        [Wire::EcdsaSha256]
    );
    assert!(super::super::policy::allowed(&[CKM_SHA256, CKM_DES3_CBC]).is_empty());
    for (mechanism, hash, wire) in [
        (plain(CKM_ECDSA_SHA384), Hash::Sha384, Wire::EcdsaSha384),
        (
            plain(CKM_SHA512_RSA_PKCS),
            Hash::Sha512,
            Wire::RsaPkcs1Sha512,
        ),
    ] {
        let asked = signed(&mechanism, Input::Data(MESSAGE)).unwrap();
        assert_eq!((asked.0, asked.1), (wire, hash.digest(&[MESSAGE]).to_vec()));
        assert_eq!(super::super::policy::allowed(&[mechanism.kind]), [wire]);
    }
}
