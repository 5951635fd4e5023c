//! Named keys: what every backend must do that keeps them. One that does not says so.

use std::collections::HashSet;
use std::slice;

use aws_lc_rs::{
    agreement::{self, ECDH_P256, ECDH_P384, ECDH_P521, UnparsedPublicKey as Peer},
    digest::{SHA256, SHA512, digest},
    rsa::{
        OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey,
    },
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519,
        RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey,
        VerificationAlgorithm,
    },
};
use strongroom_hsm::{
    Hsm, HsmError, NamedHash, NamedKeyId, NamedKeyType as Type, NamedKeys, NamedMechanism as Does,
    NamedWork,
};
use zeroize::Zeroizing;

use super::Case;

pub(crate) const CASES: &[Case] = &[
    (
        "a_named_key_is_generated_once",
        a_named_key_is_generated_once,
    ),
    ("named_keys_are_of_one_domain", named_keys_are_of_one_domain),
    ("named_keys_sign", named_keys_sign),
    ("named_keys_decrypt", named_keys_decrypt),
    ("named_keys_make_macs", named_keys_make_macs),
    ("named_keys_agree", named_keys_agree),
    (
        "named_keys_do_only_what_they_are_for",
        named_keys_do_only_what_they_are_for,
    ),
];

/// `DigestInfo` of SHA-256 (RFC 8017 section 9.2, note 1), without the digest.
const SHA256_INFO: &[u8] =
    b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20";

pub(crate) fn id(key: &str, version: u32) -> NamedKeyId {
    NamedKeyId {
        domain: "default".to_owned(),
        key: key.to_owned(),
        version,
    }
}

/// The HSM's named keys, and what it offers; none where it says that it keeps none.
fn named(hsm: &dyn Hsm) -> Option<(&dyn NamedKeys, Vec<Type>, Vec<Does>)> {
    match hsm.named() {
        Ok(named) => {
            let offer = named.named_offer().unwrap();
            Some((named, offer.key_types, offer.mechanisms))
        }
        Err(error) => {
            assert!(matches!(error, HsmError::NotOffered { .. }), "{error:?}");
            assert!(error.to_string().contains("protection level"), "{error}");
            None
        }
    }
}

fn a_named_key_is_generated_once(hsm: &dyn Hsm) {
    let Some((named, types, _)) = named(hsm) else {
        return;
    };
    for key_type in types {
        if matches!(key_type, Type::Rsa3072 | Type::Rsa4096) {
            continue;
        }
        let [first, second] = [id("a", 1), id("a", 2)];
        let public = named.generate_named_key(&first, key_type).unwrap();
        assert_eq!(public.is_some(), key_type.is_pair());
        let error = named.generate_named_key(&first, key_type).unwrap_err();
        assert!(
            matches!(&error, HsmError::KeyExists { label, .. } if *label == first.label().unwrap()),
            "{error:?}"
        );
        let next = named.generate_named_key(&second, key_type).unwrap();
        if let Some(public) = public {
            assert_eq!(named.named_public_key(&first, key_type).unwrap(), public);
            assert_ne!(next.unwrap(), public);
        }
        assert_eq!(
            named.named_keys("default").unwrap(),
            [first.clone(), second.clone()]
        );
        named.destroy_named_key(&first).unwrap();
        assert_eq!(
            named.named_keys("default").unwrap(),
            slice::from_ref(&second)
        );
        for error in [
            named.destroy_named_key(&first).unwrap_err(),
            named
                .use_named_key(&first, key_type, &something(key_type))
                .unwrap_err(),
        ] {
            assert!(
                matches!(&error, HsmError::KeyNotFound { label, .. } if *label == first.label().unwrap()),
                "{key_type}: {error:?}"
            );
        }
        named
            .use_named_key(&second, key_type, &something(key_type))
            .unwrap();
        named.destroy_named_key(&second).unwrap();
        assert!(named.named_keys("default").unwrap().is_empty());
    }
}

/// Something that a key of the type does.
fn something(key_type: Type) -> NamedWork {
    match key_type {
        Type::Aes256 => encrypt(b"", b"plaintext"),
        Type::HmacSha256 => NamedWork::Hmac {
            message: b"message".to_vec(),
        },
        Type::Ed25519 => NamedWork::Eddsa {
            message: b"message".to_vec(),
        },
        Type::EcP256 | Type::EcP384 | Type::EcP521 => NamedWork::Ecdsa {
            digest: vec![7; 32],
        },
        _ => NamedWork::RsaPkcs1 {
            encoded: [SHA256_INFO, &[7; 32]].concat(),
        },
    }
}

fn encrypt(associated_data: &[u8], plaintext: &[u8]) -> NamedWork {
    NamedWork::GcmEncrypt {
        nonce: [9; 12],
        associated_data: associated_data.to_vec(),
        tag_length: 16,
        plaintext: Zeroizing::new(plaintext.to_vec()),
    }
}

fn named_keys_are_of_one_domain(hsm: &dyn Hsm) {
    let Some((named, ..)) = named(hsm) else {
        return;
    };
    let other = NamedKeyId {
        domain: "default2".to_owned(),
        ..id("a", 1)
    };
    named.generate_named_key(&other, Type::EcP256).unwrap();
    hsm.generate_signing_key("strongroom/default/checkpoint")
        .unwrap();
    assert!(named.named_keys("default").unwrap().is_empty());
    assert_eq!(named.named_keys("default2").unwrap(), [other]);
    let error = named
        .use_named_key(&id("a", 1), Type::EcP256, &something(Type::EcP256))
        .unwrap_err();
    assert!(matches!(error, HsmError::KeyNotFound { .. }), "{error:?}");
    for bad in ["", "A", "a/b", &"a".repeat(65)] {
        let error = named
            .generate_named_key(&id(bad, 1), Type::EcP256)
            .unwrap_err();
        assert!(matches!(error, HsmError::Malformed { .. }), "{error:?}");
    }
}

fn named_keys_sign(hsm: &dyn Hsm) {
    let Some((named, types, does)) = named(hsm) else {
        return;
    };
    let message = b"what is signed".as_slice();
    let (short, long) = (digest(&SHA256, message), digest(&SHA512, message));
    let mut verified = HashSet::new();
    let mut check =
        |name: &str, key_type: Type, work: &NamedWork, by: &'static dyn VerificationAlgorithm| {
            let key = id(name, 1);
            let public = match named.named_public_key(&key, key_type) {
                Err(HsmError::KeyNotFound { .. }) => {
                    named.generate_named_key(&key, key_type).unwrap().unwrap()
                }
                public => public.unwrap(),
            };
            let signature = named.use_named_key(&key, key_type, work).unwrap();
            let verifier = UnparsedPublicKey::new(by, &public);
            verifier.verify(message, &signature).unwrap();
            verifier.verify(b"something else", &signature).unwrap_err();
            verified.insert((key_type, work.mechanism()));
        };
    if types.contains(&Type::Rsa2048) {
        let pkcs1 = NamedWork::RsaPkcs1 {
            encoded: [SHA256_INFO, short.as_ref()].concat(),
        };
        check("rsa", Type::Rsa2048, &pkcs1, &RSA_PKCS1_2048_8192_SHA256);
        if does.contains(&Does::RsaPss) {
            let pss = NamedWork::RsaPss {
                hash: NamedHash::Sha256,
                digest: short.as_ref().to_vec(),
                salt_length: 32,
            };
            check("rsa", Type::Rsa2048, &pss, &RSA_PSS_2048_8192_SHA256);
        }
    }
    let ecdsa = |digest: &[u8]| NamedWork::Ecdsa {
        digest: digest.to_vec(),
    };
    if types.contains(&Type::EcP256) {
        check(
            "p256",
            Type::EcP256,
            &ecdsa(short.as_ref()),
            &ECDSA_P256_SHA256_FIXED,
        );
        let sha384 = digest(&aws_lc_rs::digest::SHA384, message);
        check(
            "p384",
            Type::EcP384,
            &ecdsa(sha384.as_ref()),
            &ECDSA_P384_SHA384_FIXED,
        );
        check(
            "p521",
            Type::EcP521,
            &ecdsa(long.as_ref()),
            &ECDSA_P521_SHA512_FIXED,
        );
        // Of a digest that is longer than the order its leftmost bits count.
        let signature = named
            .use_named_key(&id("p256", 1), Type::EcP256, &ecdsa(long.as_ref()))
            .unwrap();
        let public = named
            .named_public_key(&id("p256", 1), Type::EcP256)
            .unwrap();
        let cut = long.as_ref().get(..32).unwrap();
        let cut = aws_lc_rs::digest::Digest::import_less_safe(cut, &SHA256).unwrap();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &public)
            .verify_digest(&cut, &signature)
            .unwrap();
    }
    let eddsa = NamedWork::Eddsa {
        message: message.to_vec(),
    };
    check("ed", Type::Ed25519, &eddsa, &ED25519);
    assert!(verified.len() >= 5, "{verified:?}");
}

fn named_keys_decrypt(hsm: &dyn Hsm) {
    let Some((named, types, _)) = named(hsm) else {
        return;
    };
    let rejected = |error: HsmError| {
        assert!(matches!(error, HsmError::InputRejected { .. }), "{error:?}");
        assert!(!error.is_transient());
    };
    let aes = id("aes", 1);
    named.generate_named_key(&aes, Type::Aes256).unwrap();
    for plaintext in [b"".as_slice(), b"x", &[7; 1000]] {
        let work = encrypt(b"associated", plaintext);
        let encrypted = named.use_named_key(&aes, Type::Aes256, &work).unwrap();
        assert_eq!(encrypted.len(), plaintext.len() + 16);
        let decrypt = |associated_data: &[u8], ciphertext: &[u8]| {
            let work = NamedWork::GcmDecrypt {
                nonce: [9; 12],
                associated_data: associated_data.to_vec(),
                tag_length: 16,
                ciphertext: ciphertext.to_vec(),
            };
            named.use_named_key(&aes, Type::Aes256, &work)
        };
        let decrypted = decrypt(b"associated", &encrypted).unwrap();
        assert_eq!(decrypted.as_slice(), plaintext);
        let mut altered = encrypted.to_vec();
        altered[0] ^= 1;
        rejected(decrypt(b"associated", &altered).unwrap_err());
        rejected(decrypt(b"other", &encrypted).unwrap_err());
        rejected(decrypt(b"associated", b"short").unwrap_err());
    }
    if !types.contains(&Type::Rsa2048) {
        return;
    }
    let rsa = id("rsa", 1);
    let public = named.generate_named_key(&rsa, Type::Rsa2048).unwrap();
    let public = PublicEncryptingKey::from_der(&public.unwrap()).unwrap();
    let public = OaepPublicEncryptingKey::new(public).unwrap();
    let mut offered = 0;
    for (hash, with) in [
        (NamedHash::Sha1, &OAEP_SHA1_MGF1SHA1),
        (NamedHash::Sha256, &OAEP_SHA256_MGF1SHA256),
    ] {
        let mut ciphertext = vec![0; 256];
        public
            .encrypt(with, b"secret", &mut ciphertext, None)
            .unwrap();
        let decrypt = |ciphertext: &[u8]| {
            let work = NamedWork::RsaOaep {
                hash,
                ciphertext: ciphertext.to_vec(),
            };
            named.use_named_key(&rsa, Type::Rsa2048, &work)
        };
        match decrypt(&ciphertext) {
            Err(HsmError::NotOffered { what, .. }) => {
                assert!(what.contains(&hash.to_string()), "{what}");
            }
            decrypted => {
                assert_eq!(decrypted.unwrap().as_slice(), b"secret");
                ciphertext[100] ^= 1;
                rejected(decrypt(&ciphertext).unwrap_err());
                offered += 1;
            }
        }
    }
    assert!(offered > 0);
}

fn named_keys_make_macs(hsm: &dyn Hsm) {
    let Some((named, ..)) = named(hsm) else {
        return;
    };
    let keys = [id("one", 1), id("two", 1)];
    let mac = |key: &NamedKeyId, message: &[u8]| {
        let work = NamedWork::Hmac {
            message: message.to_vec(),
        };
        let mac = named.use_named_key(key, Type::HmacSha256, &work).unwrap();
        assert_eq!(mac.len(), 32);
        mac.to_vec()
    };
    for key in &keys {
        named.generate_named_key(key, Type::HmacSha256).unwrap();
    }
    let [one, two] = &keys;
    assert_eq!(mac(one, b"message"), mac(one, b"message"));
    assert_ne!(mac(one, b"message"), mac(one, b"massage"));
    assert_ne!(mac(one, b"message"), mac(two, b"message"));
}

fn named_keys_agree(hsm: &dyn Hsm) {
    let Some((named, _, does)) = named(hsm) else {
        return;
    };
    if !does.contains(&Does::Ecdh) {
        return;
    }
    for (name, key_type, curve) in [
        ("p256", Type::EcP256, &ECDH_P256),
        ("p384", Type::EcP384, &ECDH_P384),
        ("p521", Type::EcP521, &ECDH_P521),
    ] {
        let key = id(name, 1);
        let public = named.generate_named_key(&key, key_type).unwrap().unwrap();
        // Now and then a secret begins with a zero, which stays.
        for _ in 0..20 {
            let other = agreement::PrivateKey::generate(curve).unwrap();
            let point = other.compute_public_key().unwrap();
            let work = NamedWork::Ecdh {
                point: point.as_ref().to_vec(),
            };
            let ours = named.use_named_key(&key, key_type, &work).unwrap();
            let theirs = agreement::agree(&other, Peer::new(curve, &public), "refused", |secret| {
                Ok(secret.to_vec())
            });
            assert_eq!(theirs.unwrap(), ours.as_slice());
        }
        let off_the_curve = NamedWork::Ecdh {
            point: [&[4][..], &[1; 64]].concat(),
        };
        let error = named
            .use_named_key(&key, key_type, &off_the_curve)
            .unwrap_err();
        assert!(matches!(error, HsmError::InputRejected { .. }), "{error:?}");
    }
}

fn named_keys_do_only_what_they_are_for(hsm: &dyn Hsm) {
    let Some((named, ..)) = named(hsm) else {
        return;
    };
    let key = id("a", 1);
    named.generate_named_key(&key, Type::EcP256).unwrap();
    for other in [Type::Aes256, Type::HmacSha256, Type::Rsa2048, Type::Ed25519] {
        let error = named
            .use_named_key(&key, Type::EcP256, &something(other))
            .unwrap_err();
        assert!(matches!(error, HsmError::Malformed { .. }), "{error:?}");
    }
    // What is asked for as a key of another type is not there, or does not do that.
    named
        .use_named_key(&key, Type::Aes256, &something(Type::Aes256))
        .unwrap_err();
    named
        .use_named_key(&key, Type::Ed25519, &something(Type::Ed25519))
        .unwrap_err();
    // The key still works.
    named
        .use_named_key(&key, Type::EcP256, &something(Type::EcP256))
        .unwrap();
}
