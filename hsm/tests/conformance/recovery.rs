//! What every backend must do for recovery: functions over two HSMs that hold no keys, the first in use, the second the one that replaces it.

use strongroom_hsm::{Aes256Key, Hsm, HsmError, MasterKekId, RecoveryBlob, RecoveryKekId};

use super::{id, random_key};

pub(crate) type Case = (&'static str, fn(&dyn Hsm, &dyn Hsm));

pub(crate) const CASES: &[Case] = &[
    ("a_recovery_kek_is_put_once", a_recovery_kek_is_put_once),
    (
        "a_second_hsm_opens_what_the_first_wrapped",
        a_second_hsm_opens_what_the_first_wrapped,
    ),
    ("other_shares_recover_nothing", other_shares_recover_nothing),
    (
        "altered_blobs_recover_nothing",
        altered_blobs_recover_nothing,
    ),
    (
        "what_exists_or_is_missing_is_named",
        what_exists_or_is_missing_is_named,
    ),
    (
        "a_destroyed_recovery_kek_still_recovers",
        a_destroyed_recovery_kek_still_recovers,
    ),
];

fn recovery(domain: &str, version: u32) -> RecoveryKekId {
    RecoveryKekId {
        domain: domain.to_owned(),
        version,
    }
}

/// As the ceremony makes one.
fn recovery_kek(hsm: &dyn Hsm, id: &RecoveryKekId) -> Aes256Key {
    let key = random_key(hsm);
    hsm.put_recovery_kek(id, &key).unwrap();
    key
}

fn a_recovery_kek_is_put_once(hsm: &dyn Hsm, _: &dyn Hsm) {
    assert!(hsm.recovery_kek_versions("default").unwrap().is_empty());
    for version in [12, 1] {
        recovery_kek(hsm, &recovery("default", version));
    }
    recovery_kek(hsm, &recovery("default2", 3));
    // Whatever has such a name: neither kind of KEK is taken for the other.
    hsm.generate_master_kek(&id("default", 7)).unwrap();
    assert_eq!(hsm.recovery_kek_versions("default").unwrap(), [1, 12]);
    assert_eq!(hsm.recovery_kek_versions("default2").unwrap(), [3]);
    assert!(hsm.recovery_kek_versions("defaul").unwrap().is_empty());
    assert_eq!(hsm.master_kek_versions("default").unwrap(), [7]);
    let again = recovery("default", 1);
    let error = hsm.put_recovery_kek(&again, &random_key(hsm)).unwrap_err();
    assert!(
        matches!(&error, HsmError::KeyExists { label, .. } if *label == again.label().unwrap()),
        "{error:?}"
    );
    hsm.destroy_recovery_kek(&again).unwrap();
    assert_eq!(hsm.recovery_kek_versions("default").unwrap(), [12]);
    let error = hsm.destroy_recovery_kek(&again).unwrap_err();
    assert!(
        matches!(&error, HsmError::KeyNotFound { label, .. } if *label == again.label().unwrap()),
        "{error:?}"
    );
    for error in [
        hsm.recovery_kek_versions("a/b").unwrap_err(),
        hsm.put_recovery_kek(&recovery("", 1), &random_key(hsm))
            .unwrap_err(),
        hsm.destroy_recovery_kek(&recovery("A", 1)).unwrap_err(),
    ] {
        assert!(matches!(error, HsmError::Malformed { .. }), "{error:?}");
    }
}

fn a_second_hsm_opens_what_the_first_wrapped(first: &dyn Hsm, second: &dyn Hsm) {
    let under = recovery("default", 4);
    let shares = recovery_kek(first, &under);
    let mut kept = Vec::new();
    for version in [1, 2, 30] {
        let kek = id("default", version);
        let blob = first.generate_recoverable_master_kek(&kek, &under).unwrap();
        assert_eq!(blob.recovery_kek_version, 4);
        let key = random_key(first);
        let wrapped = first.wrap(&kek, &key).unwrap();
        let unwrapped = first.unwrap("default", &wrapped).unwrap();
        assert_eq!(unwrapped.as_bytes(), key.as_bytes());
        kept.push((kek, blob.to_bytes(), key, wrapped));
    }
    assert_eq!(first.master_kek_versions("default").unwrap(), [1, 2, 30]);

    for (kek, blob, key, wrapped) in kept.iter().rev() {
        let blob = RecoveryBlob::from_bytes(blob).unwrap();
        second.recover_master_kek(kek, &shares, &blob).unwrap();
        let unwrapped = second.unwrap("default", wrapped).unwrap();
        assert_eq!(unwrapped.as_bytes(), key.as_bytes());
        // And the other way round: it is the same key.
        let other = random_key(second);
        let wrapped = second.wrap(kek, &other).unwrap();
        let unwrapped = first.unwrap("default", &wrapped).unwrap();
        assert_eq!(unwrapped.as_bytes(), other.as_bytes());
    }
    assert_eq!(second.master_kek_versions("default").unwrap(), [1, 2, 30]);
    // The second HSM did not keep the recovery KEK.
    assert!(second.recovery_kek_versions("default").unwrap().is_empty());
    second.destroy_master_kek(&kept[0].0).unwrap();
    assert_eq!(second.master_kek_versions("default").unwrap(), [2, 30]);
}

fn rejected(second: &dyn Hsm, kek: &MasterKekId, shares: &Aes256Key, blob: &RecoveryBlob) {
    let error = second.recover_master_kek(kek, shares, blob).unwrap_err();
    assert!(
        matches!(&error, HsmError::RecoveryBlobRejected { label, version: 1, .. } if *label == kek.label().unwrap()),
        "{error:?}"
    );
}

fn other_shares_recover_nothing(first: &dyn Hsm, second: &dyn Hsm) {
    let (kek, under) = (id("default", 1), recovery("default", 1));
    let shares = recovery_kek(first, &under);
    let blob = first.generate_recoverable_master_kek(&kek, &under).unwrap();
    rejected(second, &kek, &random_key(first), &blob);
    let mut near = *shares.as_bytes();
    near[31] ^= 1;
    rejected(second, &kek, &Aes256Key::from_bytes(near), &blob);
    assert!(second.master_kek_versions("default").unwrap().is_empty());
    // Nothing is in the way of the right ones.
    second.recover_master_kek(&kek, &shares, &blob).unwrap();
    assert_eq!(second.master_kek_versions("default").unwrap(), [1]);
}

fn altered_blobs_recover_nothing(first: &dyn Hsm, second: &dyn Hsm) {
    let (kek, under) = (id("default", 1), recovery("default", 1));
    let shares = recovery_kek(first, &under);
    let blob = first.generate_recoverable_master_kek(&kek, &under).unwrap();
    for byte in 0..blob.blob.len() {
        let mut altered = blob.clone();
        altered.blob[byte] ^= 1 << (byte % 8);
        rejected(second, &kek, &shares, &altered);
    }
    for len in [0, 12, 39, 41, 300] {
        let mut altered = blob.clone();
        altered.blob.resize(len, 0);
        let error = second.recover_master_kek(&kek, &shares, &altered);
        let error = error.unwrap_err();
        assert!(matches!(error, HsmError::Malformed { .. }), "{error:?}");
    }
    assert!(second.master_kek_versions("default").unwrap().is_empty());
    second.recover_master_kek(&kek, &shares, &blob).unwrap();
}

fn what_exists_or_is_missing_is_named(first: &dyn Hsm, second: &dyn Hsm) {
    let (kek, under) = (id("default", 1), recovery("default", 1));
    let error = first
        .generate_recoverable_master_kek(&kek, &under)
        .unwrap_err();
    assert!(
        matches!(&error, HsmError::KeyNotFound { label, .. } if *label == under.label().unwrap()),
        "{error:?}"
    );
    let shares = recovery_kek(first, &under);
    let error = first
        .generate_recoverable_master_kek(&id("other", 1), &under)
        .unwrap_err();
    assert!(matches!(error, HsmError::Malformed { .. }), "{error:?}");
    assert!(first.master_kek_versions("default").unwrap().is_empty());
    assert!(first.master_kek_versions("other").unwrap().is_empty());

    let blob = first.generate_recoverable_master_kek(&kek, &under).unwrap();
    let wrapped = first.wrap(&kek, &random_key(first)).unwrap();
    second.generate_master_kek(&kek).unwrap();
    for error in [
        first
            .generate_recoverable_master_kek(&kek, &under)
            .unwrap_err(),
        first.generate_master_kek(&kek).unwrap_err(),
        second.recover_master_kek(&kek, &shares, &blob).unwrap_err(),
    ] {
        assert!(
            matches!(&error, HsmError::KeyExists { label, .. } if *label == kek.label().unwrap()),
            "{error:?}"
        );
    }
    // The one that was there is the one that is there.
    first.unwrap("default", &wrapped).unwrap();
    let error = second.unwrap("default", &wrapped).unwrap_err();
    assert!(
        matches!(error, HsmError::WrappedKeyRejected { .. }),
        "{error:?}"
    );
}

fn a_destroyed_recovery_kek_still_recovers(first: &dyn Hsm, second: &dyn Hsm) {
    let (kek, under) = (id("default", 1), recovery("default", 1));
    let shares = recovery_kek(first, &under);
    let blob = first.generate_recoverable_master_kek(&kek, &under).unwrap();
    let key = random_key(first);
    let wrapped = first.wrap(&kek, &key).unwrap();
    first.destroy_recovery_kek(&under).unwrap();
    let error = first
        .generate_recoverable_master_kek(&id("default", 2), &under)
        .unwrap_err();
    assert!(matches!(error, HsmError::KeyNotFound { .. }), "{error:?}");
    second.recover_master_kek(&kek, &shares, &blob).unwrap();
    let unwrapped = second.unwrap("default", &wrapped).unwrap();
    assert_eq!(unwrapped.as_bytes(), key.as_bytes());
}
