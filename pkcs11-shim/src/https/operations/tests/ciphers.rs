//! Ciphers, wrapping and derivations.

use super::*;

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
