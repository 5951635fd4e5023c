//! Signatures and MACs.

use super::*;

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
