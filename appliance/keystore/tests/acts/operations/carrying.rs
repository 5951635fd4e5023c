//! What applications of PKCS #11 ask for: keys that cross wrapped in one mechanism or another, derived secrets, and shortened MACs and tags.

use strongroom_keystore::Error;
use strongroom_mechanisms::derive::derive;
use strongroom_mechanisms::{agree, mac, material};
use strongroom_wire::encoding::Base64;
use strongroom_wire::key::{Algorithm, Key, NewKey, Origin, Right, UsagePolicy};
use strongroom_wire::operation::{
    Hash, Kdf, Mechanism, Operation, OperationResult, SignatureEncoding,
};
use strongroom_wire::problem::Code;

use super::{is_valid, key_for, make, operate, operate_with, secret_of, share, signature_of};
use crate::house::{House, Person};
use crate::policies::set_domain;

pub(crate) const TRIALS: &[(&str, fn())] = &[
    (
        "keys_cross_by_each_mechanism_that_wraps",
        keys_cross_by_each_mechanism_that_wraps,
    ),
    (
        "what_is_unwrapped_may_be_the_answer",
        what_is_unwrapped_may_be_the_answer,
    ),
    (
        "secrets_are_derived_by_x963_and_hkdf",
        secrets_are_derived_by_x963_and_hkdf,
    ),
    (
        "salts_tags_and_macs_have_other_lengths",
        salts_tags_and_macs_have_other_lengths,
    ),
];

/// What was wrapped, and how it is unwrapped into this.
struct Wrapped {
    mechanism: Mechanism,
    bytes: Base64,
    iv: Option<Base64>,
    associated_data: Option<Base64>,
}

impl Wrapped {
    fn unwrap(&self, new: Option<NewKey>, alternatives: &[Algorithm]) -> Operation {
        Operation::Unwrap {
            mechanism: self.mechanism,
            wrapped: self.bytes.clone(),
            iv: self.iv.clone(),
            associated_data: self.associated_data.clone(),
            new: new.map(Box::new),
            alternatives: alternatives.to_vec(),
        }
    }
}

fn wrap(
    house: &House,
    who: &Person,
    with: &Key,
    mechanism: Mechanism,
    key: &Key,
    associated_data: Option<&[u8]>,
) -> Result<Wrapped, Error> {
    let associated_data = associated_data.map(Base64::from);
    let operation = Operation::Wrap {
        mechanism,
        key: key.id,
        version: None,
        iv: None,
        associated_data: associated_data.clone(),
    };
    let OperationResult::Wrapped { wrapped, iv } = operate(house, who, with.id, operation)? else {
        panic!("not wrapped");
    };
    Ok(Wrapped {
        mechanism,
        bytes: wrapped,
        iv,
        associated_data,
    })
}

fn created(result: OperationResult) -> Key {
    match result {
        OperationResult::Created { key } => *key,
        other => panic!("{other:?}"),
    }
}

fn keys_cross_by_each_mechanism_that_wraps() {
    let house = House::new("crossing");
    let alice = house.person("alice");
    let kek = key_for(&house, &alice, Algorithm::Aes256);
    let rsa = key_for(&house, &alice, Algorithm::Rsa2048);
    let secret = NewKey {
        length: Some(21),
        ..NewKey::new(Algorithm::GenericSecret)
    };
    let inner = [
        key_for(&house, &alice, Algorithm::Aes128),
        make(&house, &alice, secret).unwrap(),
        key_for(&house, &alice, Algorithm::EcP384),
        key_for(&house, &alice, Algorithm::Ed25519),
        rsa.clone(),
    ];
    let mut crossed = 0;
    for (with, mechanism, label) in [
        (&kek, Mechanism::AesKwp, None),
        (&kek, Mechanism::AesGcm, Some(b"from here".as_slice())),
        (&kek, Mechanism::AesGcm, None),
        (&kek, Mechanism::AesCbcPad, None),
        (&kek, Mechanism::AesCbc, None),
        (&kek, Mechanism::AesEcb, None),
        (&rsa, Mechanism::RsaPkcs1, None),
        (&rsa, Mechanism::RsaOaepSha256, Some(b"label")),
        (&rsa, Mechanism::RsaOaepSha1, None),
    ] {
        for key in &inner {
            let wrapped = match wrap(&house, &alice, with, mechanism, key, label) {
                Ok(wrapped) => wrapped,
                Err(error) => {
                    // Too long for RSA.
                    assert_eq!(error.code(), Code::Invalid, "{mechanism}");
                    assert!(with.id == rsa.id && key.algorithm.is_pair());
                    continue;
                }
            };
            // It is not known beforehand which key of its kind comes.
            let (said, others): (_, &[Algorithm]) = match key.algorithm {
                Algorithm::Aes128 => (Algorithm::Aes256, &[Algorithm::Aes192, Algorithm::Aes128]),
                Algorithm::Rsa2048 => (Algorithm::Rsa4096, &[Algorithm::Rsa2048]),
                Algorithm::EcP384 => (Algorithm::EcP521, &[Algorithm::EcP256, Algorithm::EcP384]),
                other => (other, &[]),
            };
            let new = NewKey {
                length: key.length,
                ..NewKey::new(said)
            };
            let operation = wrapped.unwrap(Some(new), others);
            let again = created(operate(&house, &alice, with.id, operation).unwrap());
            assert_eq!(
                (again.algorithm, again.length, &again.public_key),
                (key.algorithm, key.length, &key.public_key),
                "{mechanism}"
            );
            assert_eq!(again.origin, Origin::Unwrapped);
            let own = house.release(&alice, key.id).unwrap();
            assert_eq!(house.release(&alice, again.id).unwrap(), own);
            crossed += 1;
            let mut altered = wrapped;
            altered.bytes.0[3] ^= 1;
            let new = NewKey::new(Algorithm::Ed25519);
            let refused = operate(&house, &alice, with.id, altered.unwrap(Some(new), &[]));
            let code = refused.unwrap_err().code();
            assert!(matches!(code, Code::NotAuthentic | Code::Invalid), "{code}");
        }
    }
    assert!(crossed >= 6 * 5 + 3 * 2, "{crossed}");
    // What wraps nothing, and alternatives of another nature.
    let refused = wrap(&house, &alice, &kek, Mechanism::AesCtr, &inner[0], None);
    assert!(refused.is_err_and(|error| error.code() == Code::Invalid));
    let wrapped = wrap(&house, &alice, &kek, Mechanism::AesKwp, &inner[0], None).unwrap();
    for operation in [
        wrapped.unwrap(Some(NewKey::new(Algorithm::Aes128)), &[Algorithm::EcP256]),
        wrapped.unwrap(None, &[Algorithm::Aes128]),
        wrapped.unwrap(Some(NewKey::new(Algorithm::Aes256)), &[Algorithm::Aes192]),
    ] {
        let request = strongroom_wire::operation::Operate {
            operation,
            version: None,
        };
        let refused = house.keystore.operate(&alice.presented, kek.id, request);
        assert_eq!(refused.unwrap_err().error.code(), Code::Invalid);
    }
}

fn what_is_unwrapped_may_be_the_answer() {
    let house = House::new("unwrapped-answer");
    let [alice, bob] = ["alice", "bob"].map(|name| house.person(name));
    let kek = key_for(&house, &alice, Algorithm::Aes256);
    let key = key_for(&house, &alice, Algorithm::EcP256);
    let wrapped = wrap(&house, &alice, &kek, Mechanism::AesKwp, &key, None).unwrap();
    let answer = || wrapped.unwrap(None, &[]);
    let performed = operate_with(&house, &alice, kek.id, None, answer()).unwrap();
    assert_eq!(
        secret_of(&alice, &performed),
        house.release(&alice, key.id).unwrap()
    );
    share(&house, &alice, kek.id, &bob, &[Right::Decrypt]);
    let refused = operate(&house, &bob, kek.id, answer()).unwrap_err();
    assert!(matches!(refused, Error::NotPermitted(_)));
    // Where the domain releases nothing, what was unwrapped stays as well.
    set_domain(
        &house,
        UsagePolicy {
            operations_only: true,
            ..UsagePolicy::default()
        },
    );
    let refused = operate(&house, &alice, kek.id, answer()).unwrap_err();
    assert_eq!(refused.code(), Code::PolicyRefused);
    let new = wrapped.unwrap(Some(NewKey::new(Algorithm::EcP256)), &[]);
    let kept = created(operate(&house, &alice, kek.id, new).unwrap());
    assert!(house.release(&alice, kept.id).is_err());
}

fn secrets_are_derived_by_x963_and_hkdf() {
    let house = House::new("derivations");
    let alice = house.person("alice");
    let pair = key_for(&house, &alice, Algorithm::EcP256);
    let secret = key_for(&house, &alice, Algorithm::GenericSecret);
    let other = material::generate(Algorithm::EcP256, None).unwrap();
    let theirs: Base64 = other.public_key.clone().unwrap().into();
    let own = pair.public_key.clone().unwrap();
    let agreed = agree::agree(Algorithm::EcP256, &other.bytes, &own.0).unwrap();
    let secret_bytes = house.release(&alice, secret.id).unwrap();
    let x963 = Kdf::X963 {
        hash: Hash::Sha256,
        shared_info: Some(b"both know".as_slice().into()),
    };
    let hkdf = Kdf::Hkdf {
        hash: Hash::Sha384,
        extract: true,
        expand: true,
        salt: Some(b"salt".as_slice().into()),
        info: Some(b"for backups".as_slice().into()),
    };
    let (ecdh, by_hkdf) = (Mechanism::Ecdh, Mechanism::Hkdf);
    let (theirs, none) = (Some(&theirs), None);
    let derivation = |mechanism, public_key: Option<&Base64>, kdf: Option<&Kdf>, length, new| {
        Operation::Derive {
            mechanism,
            public_key: public_key.cloned(),
            kdf: kdf.cloned(),
            length,
            new: Option::map(new, |algorithm| Box::new(NewKey::new(algorithm))),
        }
    };
    for (key, base, mechanism, public_key, kdf) in [
        (pair.id, &agreed[..], ecdh, theirs, &x963),
        (pair.id, &agreed[..], ecdh, theirs, &hkdf),
        (secret.id, &secret_bytes[..], by_hkdf, none, &hkdf),
    ] {
        for length in [None, Some(1), Some(100)] {
            let operation = derivation(mechanism, public_key, Some(kdf), length, None);
            let performed = operate_with(&house, &alice, key, None, operation).unwrap();
            let expected = derive(kdf, base, length).unwrap();
            assert_eq!(secret_of(&alice, &performed), *expected);
        }
        let operation = derivation(
            mechanism,
            public_key,
            Some(kdf),
            None,
            Some(Algorithm::Aes128),
        );
        let made = created(operate(&house, &alice, key, operation).unwrap());
        assert_eq!(made.origin, Origin::Derived);
        let expected = derive(kdf, base, Some(16)).unwrap();
        assert_eq!(house.release(&alice, made.id).unwrap(), *expected);
    }
    let aes = key_for(&house, &alice, Algorithm::Aes256);
    let generic = Some(Algorithm::GenericSecret);
    for (key, operation) in [
        (pair.id, derivation(ecdh, none, Some(&x963), None, generic)),
        (pair.id, derivation(ecdh, theirs, None, Some(16), None)),
        (
            pair.id,
            derivation(ecdh, theirs, Some(&x963), Some(16), generic),
        ),
        (
            pair.id,
            derivation(ecdh, theirs, Some(&x963), Some(1025), None),
        ),
        (pair.id, derivation(by_hkdf, none, Some(&hkdf), None, None)),
        (
            secret.id,
            derivation(by_hkdf, none, Some(&x963), None, None),
        ),
        (secret.id, derivation(by_hkdf, none, None, None, None)),
        (
            secret.id,
            derivation(by_hkdf, theirs, Some(&hkdf), None, None),
        ),
        (
            secret.id,
            derivation(by_hkdf, none, Some(&hkdf), None, Some(Algorithm::EcP256)),
        ),
        (aes.id, derivation(by_hkdf, none, Some(&hkdf), None, None)),
    ] {
        let refused = operate(&house, &alice, key, operation.clone()).unwrap_err();
        assert_eq!(refused.code(), Code::Invalid, "{operation:?}");
    }
}

fn salts_tags_and_macs_have_other_lengths() {
    let house = House::new("lengths");
    let alice = house.person("alice");
    let rsa = key_for(&house, &alice, Algorithm::Rsa2048).id;
    let sign = |salt_length| Operation::Sign {
        mechanism: Mechanism::RsaPssSha256,
        data: b"message".as_slice().into(),
        prehashed: false,
        encoding: SignatureEncoding::Der,
        salt_length,
    };
    for length in [0, 20, 222] {
        let signature = signature_of(operate(&house, &alice, rsa, sign(Some(length))).unwrap());
        for (salt_length, valid) in [(Some(length), true), (None, false)] {
            let operation = Operation::Verify {
                mechanism: Mechanism::RsaPssSha256,
                data: b"message".as_slice().into(),
                signature: signature.as_slice().into(),
                prehashed: false,
                encoding: SignatureEncoding::Der,
                salt_length,
            };
            let checked = operate(&house, &alice, rsa, operation).unwrap();
            assert_eq!(is_valid(&checked), valid);
        }
    }
    let refused = operate(&house, &alice, rsa, sign(Some(223))).unwrap_err();
    assert_eq!(refused.code(), Code::Invalid);

    let aes = key_for(&house, &alice, Algorithm::Aes256).id;
    let encrypt = |mechanism, tag_length| Operation::Encrypt {
        mechanism,
        data: b"sixteen bytes...".as_slice().into(),
        iv: None,
        associated_data: None,
        tag_length,
    };
    let made = operate(&house, &alice, aes, encrypt(Mechanism::AesGcm, Some(12))).unwrap();
    let OperationResult::Ciphertext { data, iv } = made else {
        panic!("{made:?}");
    };
    assert_eq!(data.0.len(), 16 + 12);
    for (tag_length, code) in [
        (Some(12), None),
        (Some(13), Some(Code::NotAuthentic)),
        (None, Some(Code::NotAuthentic)),
        (Some(11), Some(Code::Invalid)),
    ] {
        let operation = Operation::Decrypt {
            mechanism: Mechanism::AesGcm,
            data: data.clone(),
            iv: iv.clone(),
            associated_data: None,
            tag_length,
        };
        let opened = operate(&house, &alice, aes, operation);
        assert_eq!(opened.err().map(|error| error.code()), code);
    }
    for operation in [
        encrypt(Mechanism::AesGcm, Some(17)),
        encrypt(Mechanism::AesCbc, Some(16)),
    ] {
        let refused = operate(&house, &alice, aes, operation).unwrap_err();
        assert_eq!(refused.code(), Code::Invalid);
    }

    let secret = key_for(&house, &alice, Algorithm::GenericSecret);
    let bytes = house.release(&alice, secret.id).unwrap();
    let hmac = Mechanism::HmacSha1;
    let whole = mac::mac(secret.algorithm, &bytes, hmac, b"message").unwrap();
    let verify = |mac: &[u8], length| Operation::VerifyMac {
        mechanism: hmac,
        data: b"message".as_slice().into(),
        mac: mac.into(),
        length,
    };
    for (mac, length, valid) in [
        (&whole[..], None, true),
        (&whole[..], Some(20), true),
        (&whole[..12], Some(12), true),
        (&whole[..12], None, false),
        (&whole[..11], Some(12), false),
    ] {
        let checked = operate(&house, &alice, secret.id, verify(mac, length)).unwrap();
        assert_eq!(is_valid(&checked), valid, "{length:?}");
    }
    let refused = operate(&house, &alice, secret.id, verify(&whole[..3], Some(3)));
    assert_eq!(refused.unwrap_err().code(), Code::Invalid);
}
