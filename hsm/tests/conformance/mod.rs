//! What every backend must do: functions over `&dyn Hsm`, each given a token that holds no keys.
//!
//! A test binary of a backend calls each case of [`CASES`] on a fresh token of that backend.

use std::{collections::HashSet, thread};

use ed25519_dalek::{Signature, VerifyingKey};
use strongroom_hsm::{Aes256Key, Hsm, HsmError, MasterKekId, WrappedKey};

#[allow(
    dead_code,
    reason = "only binaries with a process for each fault run it"
)]
pub(crate) mod faults;
#[allow(
    dead_code,
    reason = "only binaries whose HSM is to keep named keys run it"
)]
pub(crate) mod named;
pub(crate) mod recovery;

pub(crate) type Case = (&'static str, fn(&dyn Hsm));

pub(crate) const CASES: &[Case] = &[
    (
        "token_info_describes_the_token",
        token_info_describes_the_token,
    ),
    (
        "a_master_kek_is_generated_once",
        a_master_kek_is_generated_once,
    ),
    (
        "versions_are_sorted_and_of_one_domain",
        versions_are_sorted_and_of_one_domain,
    ),
    ("wrapped_keys_unwrap", wrapped_keys_unwrap),
    ("every_altered_bit_is_noticed", every_altered_bit_is_noticed),
    (
        "another_master_kek_unwraps_nothing",
        another_master_kek_unwraps_nothing,
    ),
    (
        "a_missing_master_kek_is_named",
        a_missing_master_kek_is_named,
    ),
    (
        "a_destroyed_master_kek_unwraps_nothing",
        a_destroyed_master_kek_unwraps_nothing,
    ),
    ("malformed_input_is_refused", malformed_input_is_refused),
    (
        "a_signing_key_is_generated_once",
        a_signing_key_is_generated_once,
    ),
    ("signatures_verify_elsewhere", signatures_verify_elsewhere),
    (
        "a_missing_signing_key_is_named",
        a_missing_signing_key_is_named,
    ),
    ("random_bytes_differ", random_bytes_differ),
    (
        "threads_do_not_disturb_each_other",
        threads_do_not_disturb_each_other,
    ),
    ("one_of_many_generates", one_of_many_generates),
];

fn id(domain: &str, version: u32) -> MasterKekId {
    MasterKekId {
        domain: domain.to_owned(),
        version,
    }
}

fn random_key(hsm: &dyn Hsm) -> Aes256Key {
    let mut bytes = [0; 32];
    hsm.fill_random(&mut bytes).unwrap();
    Aes256Key::from_bytes(bytes)
}

fn token_info_describes_the_token(hsm: &dyn Hsm) {
    let info = hsm.token_info().unwrap();
    assert!(
        !info.label.is_empty() && !info.manufacturer.is_empty(),
        "{info:?}"
    );
    assert!(
        !info.model.is_empty() && !info.serial.is_empty(),
        "{info:?}"
    );
    let (major, minor) = info.firmware.split_once('.').unwrap();
    assert!(
        major.parse::<u8>().is_ok() && minor.parse::<u8>().is_ok(),
        "{info:?}"
    );
}

fn a_master_kek_is_generated_once(hsm: &dyn Hsm) {
    let kek = id("default", 1);
    hsm.generate_master_kek(&kek).unwrap();
    let key = random_key(hsm);
    let wrapped = hsm.wrap(&kek, &key).unwrap();

    let error = hsm.generate_master_kek(&kek).unwrap_err();
    assert!(
        matches!(&error, HsmError::KeyExists { label, .. } if *label == kek.label().unwrap()),
        "{error:?}"
    );
    // The first one is still the one in use.
    let unwrapped = hsm.unwrap("default", &wrapped).unwrap();
    assert_eq!(unwrapped.as_bytes(), key.as_bytes());
}

fn versions_are_sorted_and_of_one_domain(hsm: &dyn Hsm) {
    assert!(hsm.master_kek_versions("default").unwrap().is_empty());
    for version in [10, 2, 1] {
        hsm.generate_master_kek(&id("default", version)).unwrap();
    }
    hsm.generate_master_kek(&id("default2", 7)).unwrap();
    hsm.generate_signing_key("strongroom/default/master-kek/v3")
        .unwrap();
    assert_eq!(hsm.master_kek_versions("default").unwrap(), [1, 2, 10]);
    assert_eq!(hsm.master_kek_versions("default2").unwrap(), [7]);
    assert!(hsm.master_kek_versions("defaul").unwrap().is_empty());
}

fn wrapped_keys_unwrap(hsm: &dyn Hsm) {
    let keks = [id("default", 1), id("default", 2)];
    let mut made = Vec::new();
    for kek in &keks {
        hsm.generate_master_kek(kek).unwrap();
        for _ in 0..20 {
            let key = random_key(hsm);
            let wrapped = hsm.wrap(kek, &key).unwrap();
            assert_eq!(wrapped.master_kek_version, kek.version);
            made.push((key, wrapped));
        }
    }
    for (key, wrapped) in made {
        let stored = WrappedKey::from_bytes(&wrapped.to_bytes()).unwrap();
        assert_eq!(stored, wrapped);
        let unwrapped = hsm.unwrap("default", &stored).unwrap();
        assert_eq!(unwrapped.as_bytes(), key.as_bytes());
    }
}

fn every_altered_bit_is_noticed(hsm: &dyn Hsm) {
    let kek = id("default", 1);
    hsm.generate_master_kek(&kek).unwrap();
    let wrapped = hsm.wrap(&kek, &random_key(hsm)).unwrap();
    for bit in 0..wrapped.blob.len() * 8 {
        let mut altered = wrapped.clone();
        altered.blob[bit / 8] ^= 1 << (bit % 8);
        let error = hsm.unwrap("default", &altered).unwrap_err();
        assert!(
            matches!(&error, HsmError::WrappedKeyRejected { label, .. } if *label == kek.label().unwrap()),
            "bit {bit}: {error:?}"
        );
    }
    hsm.unwrap("default", &wrapped).unwrap();
}

fn another_master_kek_unwraps_nothing(hsm: &dyn Hsm) {
    for kek in [id("default", 1), id("default", 2), id("other", 1)] {
        hsm.generate_master_kek(&kek).unwrap();
    }
    let mut wrapped = hsm.wrap(&id("default", 1), &random_key(hsm)).unwrap();
    let other_domain = hsm.unwrap("other", &wrapped).unwrap_err();
    wrapped.master_kek_version = 2;
    let other_version = hsm.unwrap("default", &wrapped).unwrap_err();
    for error in [other_domain, other_version] {
        assert!(
            matches!(error, HsmError::WrappedKeyRejected { .. }),
            "{error:?}"
        );
    }
}

fn a_missing_master_kek_is_named(hsm: &dyn Hsm) {
    hsm.generate_master_kek(&id("default", 1)).unwrap();
    let key = random_key(hsm);
    let mut wrapped = hsm.wrap(&id("default", 1), &key).unwrap();
    wrapped.master_kek_version = 9;
    for error in [
        hsm.wrap(&id("default", 9), &key).unwrap_err(),
        hsm.unwrap("default", &wrapped).unwrap_err(),
    ] {
        assert!(
            matches!(&error, HsmError::KeyNotFound { label, .. } if label == "strongroom/default/master-kek/v9"),
            "{error:?}"
        );
    }
    // It is found as soon as it is there.
    hsm.generate_master_kek(&id("default", 9)).unwrap();
    hsm.wrap(&id("default", 9), &key).unwrap();
}

fn a_destroyed_master_kek_unwraps_nothing(hsm: &dyn Hsm) {
    let [old, new] = [id("default", 1), id("default", 2)];
    let key = random_key(hsm);
    let wrapped = [&old, &new].map(|kek| {
        hsm.generate_master_kek(kek).unwrap();
        hsm.wrap(kek, &key).unwrap()
    });
    hsm.destroy_master_kek(&old).unwrap();
    assert_eq!(hsm.master_kek_versions("default").unwrap(), [2]);
    for error in [
        hsm.unwrap("default", &wrapped[0]).unwrap_err(),
        hsm.wrap(&old, &key).unwrap_err(),
        hsm.destroy_master_kek(&old).unwrap_err(),
    ] {
        assert!(
            matches!(&error, HsmError::KeyNotFound { label, .. } if *label == old.label().unwrap()),
            "{error:?}"
        );
    }
    let unwrapped = hsm.unwrap("default", &wrapped[1]).unwrap();
    assert_eq!(unwrapped.as_bytes(), key.as_bytes());
    // Another key under the old name does not open what the destroyed one wrapped.
    hsm.generate_master_kek(&old).unwrap();
    let error = hsm.unwrap("default", &wrapped[0]).unwrap_err();
    assert!(
        matches!(error, HsmError::WrappedKeyRejected { .. }),
        "{error:?}"
    );
}

fn malformed_input_is_refused(hsm: &dyn Hsm) {
    let kek = id("default", 1);
    hsm.generate_master_kek(&kek).unwrap();
    let key = random_key(hsm);
    let wrapped = hsm.wrap(&kek, &key).unwrap();
    for len in [
        0,
        1,
        8,
        16,
        wrapped.blob.len() - 8,
        wrapped.blob.len() - 1,
        wrapped.blob.len() + 8,
    ] {
        let mut other = wrapped.clone();
        other.blob.resize(len, 0);
        let error = hsm.unwrap("default", &other).unwrap_err();
        assert!(
            matches!(error, HsmError::Malformed { .. }),
            "{len}: {error:?}"
        );
    }
    for error in [
        hsm.generate_master_kek(&id("a/b", 1)).unwrap_err(),
        hsm.master_kek_versions("").unwrap_err(),
        hsm.wrap(&id("Ä", 1), &key).unwrap_err(),
        hsm.unwrap("a b", &wrapped).unwrap_err(),
        hsm.generate_signing_key("").unwrap_err(),
        hsm.sign(&"x".repeat(129), b"").unwrap_err(),
        hsm.signing_public_key("a\nb").unwrap_err(),
    ] {
        assert!(matches!(error, HsmError::Malformed { .. }), "{error:?}");
    }
}

fn a_signing_key_is_generated_once(hsm: &dyn Hsm) {
    let public = hsm.generate_signing_key("checkpoint").unwrap();
    let error = hsm.generate_signing_key("checkpoint").unwrap_err();
    assert!(
        matches!(&error, HsmError::KeyExists { label, .. } if label == "checkpoint"),
        "{error:?}"
    );
    assert_eq!(hsm.signing_public_key("checkpoint").unwrap(), public);
    assert_ne!(hsm.generate_signing_key("another").unwrap(), public);
    // One that is destroyed signs no more, and its label is free again.
    hsm.destroy_signing_key("another").unwrap();
    for error in [
        hsm.sign("another", b"m").unwrap_err(),
        hsm.destroy_signing_key("another").unwrap_err(),
    ] {
        assert!(matches!(error, HsmError::KeyNotFound { .. }), "{error:?}");
    }
    hsm.generate_signing_key("another").unwrap();
}

fn signatures_verify_elsewhere(hsm: &dyn Hsm) {
    let public = hsm.generate_signing_key("checkpoint").unwrap();
    let verifier = VerifyingKey::from_bytes(&public).unwrap();
    // What every HSM takes, and one that only some do.
    for (len, every) in [
        (0, true),
        (1, true),
        (64, true),
        (1000, true),
        (1900, true),
        (100_000, false),
    ] {
        let mut message = vec![0; len];
        hsm.fill_random(&mut message).unwrap();
        let signature = match hsm.sign("checkpoint", &message) {
            Err(HsmError::MessageTooLong {
                len: named, max, ..
            }) if !every => {
                assert!(named == len && (1900..len).contains(&max), "{max}");
                continue;
            }
            signed => signed.unwrap(),
        };
        verifier
            .verify_strict(&message, &Signature::from_bytes(&signature))
            .unwrap();
        // Ed25519 is deterministic (RFC 8032): whoever signs twice says the same.
        assert_eq!(hsm.sign("checkpoint", &message).unwrap(), signature);
        message.push(0);
        let altered = verifier.verify_strict(&message, &Signature::from_bytes(&signature));
        assert!(altered.is_err());
    }
}

fn a_missing_signing_key_is_named(hsm: &dyn Hsm) {
    for error in [
        hsm.sign("nobody", b"message").unwrap_err(),
        hsm.signing_public_key("nobody").unwrap_err(),
    ] {
        assert!(
            matches!(&error, HsmError::KeyNotFound { label, .. } if label == "nobody"),
            "{error:?}"
        );
    }
}

fn random_bytes_differ(hsm: &dyn Hsm) {
    hsm.fill_random(&mut []).unwrap();
    let mut seen = HashSet::new();
    for len in [16, 17, 1023, 1024, 1025, 5000] {
        let mut bytes = vec![0; len];
        hsm.fill_random(&mut bytes).unwrap();
        // Every part was filled: no sixteen bytes come twice, least of all sixteen zeros.
        for part in bytes.chunks_exact(16) {
            assert!(seen.insert(part.to_vec()));
            assert_ne!(part, [0; 16]);
        }
        assert!(bytes[len - 16..] != [0; 16]);
    }
}

fn threads_do_not_disturb_each_other(hsm: &dyn Hsm) {
    const THREADS: u32 = 8;
    const ROUNDS: usize = 200;
    for version in 1..=2 {
        hsm.generate_master_kek(&id("default", version)).unwrap();
    }
    let public = hsm.generate_signing_key("checkpoint").unwrap();
    let verifier = VerifyingKey::from_bytes(&public).unwrap();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                let kek = id("default", 1 + thread % 2);
                for round in 0..ROUNDS {
                    let key = random_key(hsm);
                    let wrapped = hsm.wrap(&kek, &key).unwrap();
                    let unwrapped = hsm.unwrap("default", &wrapped).unwrap();
                    assert_eq!(unwrapped.as_bytes(), key.as_bytes());
                    if round % 20 == 0 {
                        let signature = hsm.sign("checkpoint", &wrapped.blob).unwrap();
                        verifier
                            .verify_strict(&wrapped.blob, &Signature::from_bytes(&signature))
                            .unwrap();
                        let mut altered = wrapped;
                        altered.blob[0] ^= 1;
                        let error = hsm.unwrap("default", &altered).unwrap_err();
                        assert!(
                            matches!(error, HsmError::WrappedKeyRejected { .. }),
                            "{error:?}"
                        );
                    }
                }
            });
        }
    });
}

fn one_of_many_generates(hsm: &dyn Hsm) {
    let kek = id("default", 1);
    let outcomes = thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| hsm.generate_master_kek(&kek)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect::<Vec<_>>()
    });
    let (generated, refused): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert_eq!(generated.len(), 1);
    for outcome in refused {
        assert!(
            matches!(outcome, Err(HsmError::KeyExists { .. })),
            "{outcome:?}"
        );
    }
    hsm.wrap(&kek, &random_key(hsm)).unwrap();
}
