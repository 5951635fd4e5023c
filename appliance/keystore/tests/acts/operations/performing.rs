//! What operations do.

use strongroom_mechanisms::sign::{self, Signed};
use strongroom_mechanisms::{agree, material};
use strongroom_wire::key::Algorithm;
use strongroom_wire::operation::{Mechanism, Operation, OperationResult, SignatureEncoding};
use strongroom_wire::problem::Code;

use super::{
    decrypting, encrypting, is_valid, key_for, operate, operate_with, secret_of, signature_of,
    signing, verifying,
};
use crate::house::House;
use crate::policies::allow_legacy;

pub(crate) const TRIALS: &[(&str, fn())] = &[
    (
        "what_the_appliance_signs_verifies_anywhere",
        what_the_appliance_signs_verifies_anywhere,
    ),
    (
        "every_operation_does_what_it_says",
        every_operation_does_what_it_says,
    ),
    (
        "what_makes_no_sense_is_refused_and_says_so",
        what_makes_no_sense_is_refused_and_says_so,
    ),
];

fn what_the_appliance_signs_verifies_anywhere() {
    let house = House::new("signs");
    let alice = house.person("alice");
    allow_legacy(&house, &Mechanism::LEGACY);
    for algorithm in [
        Algorithm::EcP256,
        Algorithm::EcP384,
        Algorithm::EcP521,
        Algorithm::Ed25519,
        Algorithm::Rsa2048,
        Algorithm::MlDsa65,
    ] {
        let key = key_for(&house, &alice, algorithm);
        let public_key = key.public_key.clone().unwrap().0;
        let shown = house
            .keystore
            .public_key(&alice.presented, key.id, None)
            .unwrap();
        assert_eq!(shown.public_key.0, public_key);
        let usable = Mechanism::ALL.iter().copied().filter(|mechanism| {
            let of_signatures = *mechanism == Mechanism::Ed25519
                || *mechanism == Mechanism::MlDsa65
                || mechanism.as_str().contains("-sha-");
            of_signatures && mechanism.suits(algorithm) && !mechanism.as_str().contains("oaep")
        });
        for mechanism in usable {
            let signed = operate(&house, &alice, key.id, signing(mechanism)).unwrap();
            let signature = signature_of(signed);
            let what = Signed {
                mechanism,
                data: b"message",
                prehashed: false,
                encoding: SignatureEncoding::Der,
                salt_length: None,
            };
            assert!(sign::verify(algorithm, &public_key, what, &signature).unwrap());
            let checked = operate(&house, &alice, key.id, verifying(mechanism, &signature));
            assert!(is_valid(&checked.unwrap()));
            let wrong = operate(
                &house,
                &alice,
                key.id,
                verifying(mechanism, b"no signature"),
            );
            assert!(!is_valid(&wrong.unwrap()));
        }
        // What was released is the private key of that public key.
        let released = house.release(&alice, key.id).unwrap();
        let taken = material::import(algorithm, None, &released).unwrap();
        assert_eq!(taken.public_key.unwrap(), public_key);
    }
}

fn every_operation_does_what_it_says() {
    let house = House::new("operations");
    let alice = house.person("alice");
    for algorithm in [Algorithm::Aes128, Algorithm::Aes192, Algorithm::Aes256] {
        let key = key_for(&house, &alice, algorithm).id;
        for mechanism in [
            Mechanism::AesGcm,
            Mechanism::AesCbc,
            Mechanism::AesCbcPad,
            Mechanism::AesCtr,
            Mechanism::AesEcb,
        ] {
            let made = operate(&house, &alice, key, encrypting(mechanism)).unwrap();
            let back = operate(&house, &alice, key, decrypting(mechanism, &made)).unwrap();
            let data = b"sixteen bytes...".as_slice().into();
            assert_eq!(back, OperationResult::Plaintext { data });
        }
    }
    let rsa = key_for(&house, &alice, Algorithm::Rsa2048).id;
    for mechanism in [
        Mechanism::RsaOaepSha1,
        Mechanism::RsaOaepSha256,
        Mechanism::RsaPkcs1,
    ] {
        let made = operate(&house, &alice, rsa, encrypting(mechanism)).unwrap();
        let back = operate(&house, &alice, rsa, decrypting(mechanism, &made)).unwrap();
        let data = b"sixteen bytes...".as_slice().into();
        assert_eq!(back, OperationResult::Plaintext { data });
    }
    for (algorithm, mechanism) in [
        (Algorithm::HmacSha256, Mechanism::HmacSha256),
        (Algorithm::GenericSecret, Mechanism::HmacSha1),
        (Algorithm::GenericSecret, Mechanism::HmacSha224),
        (Algorithm::GenericSecret, Mechanism::HmacSha384),
        (Algorithm::GenericSecret, Mechanism::HmacSha512),
        (Algorithm::Aes256, Mechanism::AesCmac),
    ] {
        let key = key_for(&house, &alice, algorithm).id;
        let data = b"message".as_slice().into();
        let made = operate(&house, &alice, key, Operation::Mac { mechanism, data });
        let OperationResult::Mac { mac } = made.unwrap() else {
            panic!("no MAC");
        };
        for (data, valid) in [(b"message".as_slice(), true), (b"massage", false)] {
            let operation = Operation::VerifyMac {
                mechanism,
                data: data.into(),
                mac: mac.clone(),
                length: None,
            };
            let checked = operate(&house, &alice, key, operation).unwrap();
            assert_eq!(is_valid(&checked), valid);
        }
    }
    // Diffie-Hellman with somebody outside, and ML-KEM with oneself: the secret comes under the session's transport key.
    for algorithm in [Algorithm::EcP256, Algorithm::EcP521, Algorithm::X25519] {
        let key = key_for(&house, &alice, algorithm);
        let other = material::generate(algorithm, None).unwrap();
        let operation = Operation::Derive {
            mechanism: Mechanism::Ecdh,
            public_key: Some(other.public_key.clone().unwrap().into()),
            kdf: None,
            length: None,
            new: None,
        };
        let agreed = operate_with(&house, &alice, key.id, None, operation).unwrap();
        let expected = agree::agree(algorithm, &other.bytes, &key.public_key.unwrap().0);
        assert_eq!(secret_of(&alice, &agreed), *expected.unwrap());
    }
    let kem = key_for(&house, &alice, Algorithm::MlKem768).id;
    let mechanism = Mechanism::MlKem768;
    let sent = operate_with(
        &house,
        &alice,
        kem,
        None,
        Operation::Encapsulate { mechanism },
    );
    let sent = sent.unwrap();
    let OperationResult::Secret { ciphertext, .. } = &sent.result else {
        panic!("{sent:?}");
    };
    let data = ciphertext.clone().unwrap();
    let operation = Operation::Decapsulate { mechanism, data };
    let learnt = operate_with(&house, &alice, kem, None, operation).unwrap();
    assert_eq!(secret_of(&alice, &learnt), secret_of(&alice, &sent));
}

fn what_makes_no_sense_is_refused_and_says_so() {
    let house = House::new("senseless-operations");
    let alice = house.person("alice");
    let hmac = key_for(&house, &alice, Algorithm::HmacSha256).id;
    for operation in [
        signing(Mechanism::EcdsaSha256),
        encrypting(Mechanism::AesGcm),
        Operation::Mac {
            mechanism: Mechanism::HmacSha512,
            data: Vec::new().into(),
        },
    ] {
        let refused = operate(&house, &alice, hmac, operation).unwrap_err();
        assert_eq!(refused.code(), Code::Invalid);
    }
    let aes = key_for(&house, &alice, Algorithm::Aes256).id;
    let made = operate(&house, &alice, aes, encrypting(Mechanism::AesGcm)).unwrap();
    let elsewhere = key_for(&house, &alice, Algorithm::Aes256).id;
    let refused = operate(
        &house,
        &alice,
        elsewhere,
        decrypting(Mechanism::AesGcm, &made),
    );
    assert_eq!(refused.unwrap_err().code(), Code::NotAuthentic);
}
