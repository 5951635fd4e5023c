#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

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
fn mechanisms_with_a_hash_send_the_digest() {
    for (mechanism, hash, wire) in [
        (plain(CKM_ECDSA_SHA224), Hash::Sha224, Wire::Ecdsa),
        (plain(CKM_ECDSA_SHA256), Hash::Sha256, Wire::EcdsaSha256),
        (plain(CKM_ECDSA_SHA384), Hash::Sha384, Wire::EcdsaSha384),
        (plain(CKM_ECDSA_SHA512), Hash::Sha512, Wire::EcdsaSha512),
        (
            plain(CKM_SHA256_RSA_PKCS),
            Hash::Sha256,
            Wire::RsaPkcs1Sha256,
        ),
        (
            plain(CKM_SHA384_RSA_PKCS),
            Hash::Sha384,
            Wire::RsaPkcs1Sha384,
        ),
        (
            plain(CKM_SHA512_RSA_PKCS),
            Hash::Sha512,
            Wire::RsaPkcs1Sha512,
        ),
        (
            pss(CKM_SHA256_RSA_PKCS_PSS, Hash::Sha256, Hash::Sha256, 32),
            Hash::Sha256,
            Wire::RsaPssSha256,
        ),
        (
            pss(CKM_SHA384_RSA_PKCS_PSS, Hash::Sha384, Hash::Sha384, 48),
            Hash::Sha384,
            Wire::RsaPssSha384,
        ),
        (
            pss(CKM_SHA512_RSA_PKCS_PSS, Hash::Sha512, Hash::Sha512, 64),
            Hash::Sha512,
            Wire::RsaPssSha512,
        ),
    ] {
        let digest = hash.digest(&[MESSAGE]).to_vec();
        let expected = Ok((wire, digest.clone(), true, None));
        assert_eq!(signed(&mechanism, Input::Data(MESSAGE)), expected);
        // What came in parts was hashed meanwhile.
        assert_eq!(signed(&mechanism, Input::Digest(&digest)), expected);
    }
    for kind in [CKM_SHA1_RSA_PKCS, CKM_SHA224_RSA_PKCS] {
        let refused = signed(&plain(kind), Input::Data(MESSAGE));
        assert_eq!(refused, Err(TokenErrorKind::Mechanism));
    }
    for mechanism in [
        pss(CKM_SHA1_RSA_PKCS_PSS, Hash::Sha1, Hash::Sha1, 20),
        pss(CKM_SHA224_RSA_PKCS_PSS, Hash::Sha224, Hash::Sha224, 28),
        pss(CKM_SHA256_RSA_PKCS_PSS, Hash::Sha256, Hash::Sha1, 32),
        pss(CKM_SHA256_RSA_PKCS_PSS, Hash::Sha512, Hash::Sha512, 32),
        pss(CKM_SHA256_RSA_PKCS_PSS, Hash::Sha256, Hash::Sha256, 1 << 16),
        plain(CKM_SHA256_RSA_PKCS_PSS),
    ] {
        let refused = signed(&mechanism, Input::Data(MESSAGE));
        assert_eq!(
            refused,
            Err(TokenErrorKind::MechanismParameter),
            "{mechanism:?}"
        );
    }
}

#[test]
fn a_digest_info_is_signed_by_its_hash() {
    // RFC 8017 section 9.2, note 1, as applications have it written out.
    let digest = Hash::Sha256.digest(&[MESSAGE]).to_vec();
    let prefix = hex::decode("3031300d060960864801650304020105000420").unwrap();
    let info = [&prefix[..], &digest].concat();
    let asked = signed(&plain(CKM_RSA_PKCS), Input::Data(&info));
    assert_eq!(
        asked,
        Ok((Wire::RsaPkcs1Sha256, digest.clone(), true, None))
    );
    for (hash, wire) in [
        (Hash::Sha256, Wire::RsaPkcs1Sha256),
        (Hash::Sha384, Wire::RsaPkcs1Sha384),
        (Hash::Sha512, Wire::RsaPkcs1Sha512),
    ] {
        let digest = hash.digest(&[MESSAGE]).to_vec();
        let info = [rsa::digest_info(hash), digest.clone()].concat();
        let asked = signed(&plain(CKM_RSA_PKCS), Input::Data(&info));
        assert_eq!(asked, Ok((wire, digest, true, None)));
        for other in [
            &info[1..],
            &info[..info.len() - 1],
            &[&info[..], &[0]].concat(),
        ] {
            let asked = signed(&plain(CKM_RSA_PKCS), Input::Data(other));
            assert_eq!(asked, Ok((Wire::RsaPkcs1, other.to_vec(), true, None)));
        }
    }
    // TLS 1.0 signed the digests by MD5 and SHA-1 one after the other: whatever it is, it is signed as it is.
    let sha_1 = [rsa::digest_info(Hash::Sha1), vec![0; 20]].concat();
    let sha_224 = [rsa::digest_info(Hash::Sha224), vec![0; 28]].concat();
    let sha3 = [rsa::digest_info(Hash::Sha3_256), vec![0; 32]].concat();
    for data in [&[0; 36][..], &digest, &[], &sha_1, &sha_224, &sha3] {
        let asked = signed(&plain(CKM_RSA_PKCS), Input::Data(data));
        assert_eq!(asked, Ok((Wire::RsaPkcs1, data.to_vec(), true, None)));
    }
}

#[test]
fn digests_go_as_they_are_where_the_mechanism_has_no_hash() {
    for length in [1, 20, 28, 32, 48, 64] {
        let digest = vec![7; length];
        let asked = signed(&plain(CKM_ECDSA), Input::Data(&digest));
        assert_eq!(asked, Ok((Wire::Ecdsa, digest, true, None)));
    }
    for length in [0, 65] {
        let refused = signed(&plain(CKM_ECDSA), Input::Data(&vec![7; length]));
        assert_eq!(refused, Err(TokenErrorKind::DataLength));
    }
    for (salt, asked) in [(32, None), (0, Some(0)), (20, Some(20)), (222, Some(222))] {
        let mechanism = pss(CKM_RSA_PKCS_PSS, Hash::Sha256, Hash::Sha256, salt);
        let signed = signed(&mechanism, Input::Data(&[7; 32]));
        assert_eq!(signed, Ok((Wire::RsaPssSha256, vec![7; 32], true, asked)));
    }
    let mechanism = pss(CKM_RSA_PKCS_PSS, Hash::Sha256, Hash::Sha256, 32);
    let refused = signed(&mechanism, Input::Data(&[7; 48]));
    assert_eq!(refused, Err(TokenErrorKind::DataLength));
}

#[test]
fn messages_go_whole_where_they_are_signed_whole() {
    let context = |prehash, context: &[u8]| Parameter::Context {
        prehash,
        context: context.to_vec(),
    };
    for (kind, wire) in [(CKM_EDDSA, Wire::Ed25519), (CKM_ML_DSA, Wire::MlDsa65)] {
        for parameter in [Parameter::None, context(false, b"")] {
            let asked = signed(&of(kind, parameter), Input::Data(MESSAGE));
            assert_eq!(asked, Ok((wire, MESSAGE.to_vec(), false, None)));
        }
        for parameter in [
            context(true, b""),
            context(false, b"x"),
            Parameter::Length(1),
        ] {
            let refused = signed(&of(kind, parameter), Input::Data(MESSAGE));
            assert_eq!(refused, Err(TokenErrorKind::MechanismParameter));
        }
    }
}

#[test]
fn macs_are_made_whole_and_verified_at_their_length() {
    for (kind, general, wire, whole) in [
        (CKM_SHA_1_HMAC, CKM_SHA_1_HMAC_GENERAL, Wire::HmacSha1, 20),
        (
            CKM_SHA224_HMAC,
            CKM_SHA224_HMAC_GENERAL,
            Wire::HmacSha224,
            28,
        ),
        (
            CKM_SHA256_HMAC,
            CKM_SHA256_HMAC_GENERAL,
            Wire::HmacSha256,
            32,
        ),
        (
            CKM_SHA384_HMAC,
            CKM_SHA384_HMAC_GENERAL,
            Wire::HmacSha384,
            48,
        ),
        (
            CKM_SHA512_HMAC,
            CKM_SHA512_HMAC_GENERAL,
            Wire::HmacSha512,
            64,
        ),
        (CKM_AES_CMAC, CKM_AES_CMAC_GENERAL, Wire::AesCmac, 16),
    ] {
        let short = of(general, Parameter::Length(12));
        for mechanism in [plain(kind), short.clone()] {
            let made = operation(Use::Sign, &mechanism, Input::Data(MESSAGE)).unwrap();
            let expected = Operation::Mac {
                mechanism: wire,
                data: MESSAGE.into(),
            };
            assert_eq!(made, expected);
        }
        let mac = vec![7; whole];
        for (mechanism, mac, length) in
            [(plain(kind), &mac[..], None), (short, &mac[..12], Some(12))]
        {
            let expected = Operation::VerifyMac {
                mechanism: wire,
                data: MESSAGE.into(),
                mac: mac.into(),
                length,
            };
            assert_eq!(verification(&mechanism, MESSAGE, mac).unwrap(), expected);
            let refused = verification(&mechanism, MESSAGE, &mac[1..]).unwrap_err();
            assert_eq!(refused.kind, TokenErrorKind::SignatureLength);
        }
        let tiny = of(general, Parameter::Length(3));
        let refused = verification(&tiny, MESSAGE, &mac[..3]).unwrap_err();
        assert_eq!(refused.kind, TokenErrorKind::MechanismParameter);
    }
}

#[test]
fn ciphers_have_their_parameters() {
    let counter = |bits| Parameter::Counter {
        bits,
        block: [3; 16],
    };
    let cases = [
        (plain(CKM_AES_ECB), Cipher::plain(Wire::AesEcb)),
        (
            of(CKM_AES_CBC, Parameter::Block([3; 16])),
            Cipher::with_iv(Wire::AesCbc, &[3; 16]),
        ),
        (
            of(CKM_AES_CBC_PAD, Parameter::Block([3; 16])),
            Cipher::with_iv(Wire::AesCbcPad, &[3; 16]),
        ),
        (
            of(CKM_AES_CTR, counter(128)),
            Cipher::with_iv(Wire::AesCtr, &[3; 16]),
        ),
        (
            of(CKM_AES_CTR, counter(32)),
            Cipher::with_iv(Wire::AesCtr, &[3; 16]),
        ),
        (
            gcm(&[3; 12], 128),
            Cipher::with_iv(Wire::AesGcm, &[3; 12]).beside(b"aad"),
        ),
        (
            gcm(&[3; 12], 96),
            Cipher {
                tag_length: Some(12),
                ..Cipher::with_iv(Wire::AesGcm, &[3; 12]).beside(b"aad")
            },
        ),
        (plain(CKM_RSA_PKCS), Cipher::plain(Wire::RsaPkcs1)),
        (
            oaep(Hash::Sha1, Hash::Sha1, b""),
            Cipher::plain(Wire::RsaOaepSha1),
        ),
        (
            oaep(Hash::Sha256, Hash::Sha256, b"l"),
            Cipher::plain(Wire::RsaOaepSha256).beside(b"l"),
        ),
        (
            oaep(Hash::Sha384, Hash::Sha384, b""),
            Cipher::plain(Wire::RsaOaepSha384),
        ),
        (
            oaep(Hash::Sha512, Hash::Sha512, b""),
            Cipher::plain(Wire::RsaOaepSha512),
        ),
        (plain(CKM_AES_KEY_WRAP), Cipher::plain(Wire::AesKw)),
        (plain(CKM_AES_KEY_WRAP_PAD), Cipher::plain(Wire::AesKwp)),
        (plain(CKM_AES_KEY_WRAP_KWP), Cipher::plain(Wire::AesKwp)),
        (
            of(CKM_AES_KEY_WRAP, Parameter::WrapIv(vec![0xa6; 8])),
            Cipher::plain(Wire::AesKw),
        ),
    ];
    for (mechanism, expected) in cases {
        assert_eq!(cipher(&mechanism).unwrap(), expected, "{mechanism:?}");
        let (iv, associated_data) = (
            expected.iv.clone().map(Into::into),
            expected.associated_data.clone().map(Into::into),
        );
        let decrypt = Operation::Decrypt {
            mechanism: expected.mechanism,
            data: MESSAGE.into(),
            iv,
            associated_data,
            tag_length: expected.tag_length,
        };
        let made = operation(Use::Decrypt, &mechanism, Input::Data(MESSAGE)).unwrap();
        assert_eq!(made, decrypt);
        let wraps = wrapping_cipher(&mechanism).is_ok();
        assert_eq!(wraps, expected.tag_length.is_none());
    }
    // Of longer data with padding the blocks before the last have none.
    let padded = of(CKM_AES_CBC_PAD, Parameter::Block([3; 16]));
    let made = operation(Use::Encrypt, &padded, Input::Blocks(&[0; 32])).unwrap();
    assert_eq!(made.mechanism(), Wire::AesCbc);
    let whole = operation(Use::Encrypt, &padded, Input::Data(&[0; 32])).unwrap();
    assert_eq!(whole.mechanism(), Wire::AesCbcPad);
    for mechanism in [
        gcm(&[3; 16], 128),
        gcm(&[3; 8], 128),
        gcm(&[3; 12], 64),
        gcm(&[3; 12], 100),
        gcm(&[3; 12], 136),
        oaep(Hash::Sha256, Hash::Sha1, b""),
        oaep(Hash::Sha224, Hash::Sha224, b""),
        of(CKM_AES_KEY_WRAP, Parameter::WrapIv(vec![0; 8])),
        of(CKM_AES_KEY_WRAP_KWP, Parameter::WrapIv(vec![0xa6; 8])),
        plain(CKM_AES_CBC),
        plain(CKM_AES_GCM),
    ] {
        let refused = cipher(&mechanism).unwrap_err().kind;
        assert_eq!(refused, TokenErrorKind::MechanismParameter, "{mechanism:?}");
    }
    let raw = operation(Use::Decrypt, &plain(CKM_RSA_X_509), Input::Data(&[0; 256]));
    assert_eq!(raw.unwrap_err().kind, TokenErrorKind::Mechanism);
}

#[test]
fn derivations_have_their_functions() {
    let point = Some(vec![7; 65]);
    let x963 = |hash, shared: Option<&[u8]>| {
        Some(Kdf::X963 {
            hash,
            shared_info: shared.map(Into::into),
        })
    };
    for (mechanism, kdf) in [
        (ecdh(None, b""), None),
        (ecdh(Some(Hash::Sha1), b""), x963(WireHash::Sha1, None)),
        (ecdh(Some(Hash::Sha224), b""), x963(WireHash::Sha224, None)),
        (
            ecdh(Some(Hash::Sha256), b"s"),
            x963(WireHash::Sha256, Some(b"s")),
        ),
        (ecdh(Some(Hash::Sha384), b""), x963(WireHash::Sha384, None)),
        (ecdh(Some(Hash::Sha512), b""), x963(WireHash::Sha512, None)),
    ] {
        let expected = Derivation {
            mechanism: Wire::Ecdh,
            public_key: point.clone(),
            kdf,
        };
        assert_eq!(derivation(&mechanism).unwrap(), expected);
    }
    let hkdf = |hash| {
        let parameter = Parameter::Hkdf {
            extract: true,
            expand: false,
            hash,
            salt: b"salt".to_vec(),
            info: Vec::new(),
        };
        derivation(&of(CKM_HKDF_DERIVE, parameter))
    };
    let expected = Derivation {
        mechanism: Wire::Hkdf,
        public_key: None,
        kdf: Some(Kdf::Hkdf {
            hash: WireHash::Sha512,
            extract: true,
            expand: false,
            salt: Some(b"salt".as_slice().into()),
            info: None,
        }),
    };
    assert_eq!(hkdf(Hash::Sha512).unwrap(), expected);
    for refused in [
        hkdf(Hash::Sha224),
        hkdf(Hash::Sha3_256),
        derivation(&ecdh(Some(Hash::Sha3_256), b"")),
        derivation(&plain(CKM_ECDH1_DERIVE)),
    ] {
        assert_eq!(
            refused.unwrap_err().kind,
            TokenErrorKind::MechanismParameter
        );
    }
    for kind in [
        CKM_AES_ECB_ENCRYPT_DATA,
        CKM_AES_CBC_ENCRYPT_DATA,
        CKM_CONCATENATE_BASE_AND_DATA,
        CKM_CONCATENATE_DATA_AND_BASE,
    ] {
        let refused = derivation(&plain(kind)).unwrap_err();
        assert_eq!(refused.kind, TokenErrorKind::Mechanism);
    }
}

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
