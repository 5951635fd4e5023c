//! A primary and a replica whose keys are not the same: after a rotation, and in the middle of a destruction.

use std::{
    env, slice,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use strongroom_hsm::{
    Aes256Key, Hsm, HsmError, MasterKekId, NamedKeyId, NamedKeyType, NamedKeys as _, NamedWork,
    RecoveryBlob, RecoveryKekId,
    supervised::{State, Supervised, SupervisedConfig},
};

use crate::{
    PATIENCE, a_key,
    faulty::{Faulty, Mode},
    quick, real, start, support,
    support::TestToken,
};

/// Recovers a master KEK into a token in a process of its own, as an operator's command does while the appliance runs.
pub(crate) const ELSEWHERE: &str = "recover_elsewhere";

fn kek(version: u32) -> MasterKekId {
    MasterKekId {
        domain: "default".to_owned(),
        version,
    }
}

fn recovery() -> RecoveryKekId {
    RecoveryKekId {
        domain: "default".to_owned(),
        version: 1,
    }
}

fn shares() -> Aes256Key {
    Aes256Key::from_bytes([0x61; 32])
}

/// In the other process.
pub(crate) fn elsewhere() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [label, version, blob] = arguments.try_into().unwrap();
    let blob = RecoveryBlob::from_bytes(&hex::decode(blob).unwrap()).unwrap();
    let hsm = TestToken { label }.open();
    hsm.recover_master_kek(&kek(version.parse().unwrap()), &shares(), &blob)
        .unwrap();
}

fn recover_elsewhere(token: &TestToken, version: u32, blob: &RecoveryBlob) {
    let arguments = [
        token.label.clone(),
        version.to_string(),
        hex::encode(blob.to_bytes()),
    ];
    let (code, output) = support::run_in(ELSEWHERE, &arguments, &[], true);
    assert_eq!(code, 0, "{output}");
}

fn until(hsm: &Supervised, place: usize, word: &str) {
    let started = Instant::now();
    while hsm.status()[place].state.word() != word {
        assert!(started.elapsed() < PATIENCE, "{:?}", hsm.status());
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

/// A primary with a recovery KEK and version 1 of the master KEK, and a replica without keys.
struct Pair {
    primary: Arc<dyn Hsm>,
    replica: Arc<dyn Hsm>,
    replica_token: TestToken,
    faults: [Arc<Faulty>; 2],
    hsm: Supervised,
}

fn pair() -> (Pair, RecoveryBlob) {
    let (first, replica_token) = (
        TestToken::initialise("strongroom"),
        TestToken::initialise("strongroom replica"),
    );
    let primary: Arc<dyn Hsm> = Arc::new(first.open());
    let replica: Arc<dyn Hsm> = Arc::new(replica_token.open());
    let faults = [&primary, &replica].map(|hsm| Faulty::new(Arc::clone(hsm), Mode::Works));
    let (hsm, _) = start(
        vec![faults[0].backend("primary"), faults[1].backend("replica")],
        quick(),
    );
    for place in [0, 1] {
        until(&hsm, place, "usable");
    }
    hsm.put_recovery_kek(&recovery(), &shares()).unwrap();
    let blob = hsm
        .generate_recoverable_master_kek(&kek(1), &recovery())
        .unwrap();
    let pair = Pair {
        primary,
        replica,
        replica_token,
        faults,
        hsm,
    };
    (pair, blob)
}

pub(crate) fn a_new_version_waits_for_the_replica() {
    let (pair, first) = pair();
    let hsm = &pair.hsm;
    let versions = || hsm.master_kek_versions("default").unwrap();
    // Keys are put into the primary only. A replica without any is none yet.
    assert_eq!(versions(), [1]);
    assert!(
        pair.replica
            .master_kek_versions("default")
            .unwrap()
            .is_empty()
    );
    assert!(
        pair.replica
            .recovery_kek_versions("default")
            .unwrap()
            .is_empty()
    );
    assert_eq!(hsm.recovery_kek_versions("default").unwrap(), [1]);
    recover_elsewhere(&pair.replica_token, 1, &first);
    assert_eq!(versions(), [1]);

    let second = hsm
        .generate_recoverable_master_kek(&kek(2), &recovery())
        .unwrap();
    assert_eq!(versions(), [1]);
    // The replica does not answer: what it last said counts.
    pair.faults[1].set(Mode::Fails);
    assert_eq!(versions(), [1]);
    until(hsm, 1, "unusable");
    assert_eq!(versions(), [1]);
    pair.faults[1].set(Mode::Works);
    until(hsm, 1, "usable");

    // It gets the key from another process; nothing is restarted, and nothing remembers that it was not there.
    let wrapped = pair.primary.wrap(&kek(2), &a_key()).unwrap();
    let error = pair.replica.unwrap("default", &wrapped).unwrap_err();
    assert!(matches!(error, HsmError::KeyNotFound { .. }), "{error:?}");
    recover_elsewhere(&pair.replica_token, 2, &second);
    assert_eq!(versions(), [1, 2]);
    pair.faults[0].set(Mode::Fails);
    let unwrapped = hsm.unwrap("default", &wrapped).unwrap();
    assert_eq!(unwrapped.as_bytes(), a_key().as_bytes());
    assert_eq!(versions(), [1, 2]);
    // Where nobody answers, nothing is known.
    pair.faults[1].set(Mode::Fails);
    let error = hsm.master_kek_versions("default").unwrap_err();
    assert!(error.is_transient(), "{error:?}");
}

pub(crate) fn a_version_is_destroyed_everywhere() {
    let (pair, first) = pair();
    let hsm = &pair.hsm;
    let second = hsm
        .generate_recoverable_master_kek(&kek(2), &recovery())
        .unwrap();
    for (version, blob) in [(1, &first), (2, &second)] {
        pair.replica
            .recover_master_kek(&kek(version), &shares(), blob)
            .unwrap();
    }
    // While one cannot be asked, nothing is destroyed.
    pair.faults[1].set(Mode::Fails);
    until(hsm, 1, "unusable");
    let error = hsm.destroy_master_kek(&kek(1)).unwrap_err();
    assert!(
        matches!(&error, HsmError::OutOfService { reasons } if reasons.contains("replica")),
        "{error:?}"
    );
    assert_eq!(pair.primary.master_kek_versions("default").unwrap(), [1, 2]);
    pair.faults[1].set(Mode::Works);
    until(hsm, 1, "usable");
    // As after a call that failed half-way: the version is still listed, so that the call can be repeated.
    pair.primary.destroy_master_kek(&kek(1)).unwrap();
    assert_eq!(hsm.master_kek_versions("default").unwrap(), [1, 2]);
    hsm.destroy_master_kek(&kek(1)).unwrap();
    for one in [&pair.primary, &pair.replica] {
        assert_eq!(one.master_kek_versions("default").unwrap(), [2]);
    }
    let error = hsm.destroy_master_kek(&kek(1)).unwrap_err();
    assert!(matches!(error, HsmError::KeyNotFound { .. }), "{error:?}");
    // And where both hold it.
    let third = hsm
        .generate_recoverable_master_kek(&kek(3), &recovery())
        .unwrap();
    pair.replica
        .recover_master_kek(&kek(3), &shares(), &third)
        .unwrap();
    hsm.destroy_master_kek(&kek(2)).unwrap();
    assert_eq!(hsm.master_kek_versions("default").unwrap(), [3]);
    assert_eq!(pair.replica.master_kek_versions("default").unwrap(), [3]);
}

/// A key that one HSM generates would be missing in the other: it is not made, and one that was made before is looked for where it is.
pub(crate) fn a_named_key_is_not_made_where_there_is_a_replica() {
    let key = NamedKeyId {
        domain: "default".to_owned(),
        key: "a".to_owned(),
        version: 1,
    };
    let work = NamedWork::Ecdsa {
        digest: vec![7; 32],
    };
    let (primary, replica) = (
        TestToken::initialise("first"),
        TestToken::initialise("second"),
    );
    let made = primary.open();
    let named = made.named().unwrap();
    named
        .generate_named_key(&key, NamedKeyType::EcP256)
        .unwrap();
    let (hsm, _) = start(
        vec![real(&replica), real(&primary)],
        SupervisedConfig::default(),
    );
    let usable = |hsm: &Supervised| hsm.status().iter().all(|row| row.state == State::Usable);
    let until = Instant::now() + PATIENCE;
    while !usable(&hsm) && Instant::now() < until {
        thread::sleep(Duration::from_millis(20));
    }
    let other = NamedKeyId {
        version: 2,
        ..key.clone()
    };
    let error = hsm
        .generate_named_key(&other, NamedKeyType::EcP256)
        .unwrap_err();
    assert!(
        matches!(&error, HsmError::SingleCopy { count: 2, names } if names.contains("first") && names.contains("second")),
        "{error:?}"
    );
    assert!(hsm.named_offer().unwrap().key_types.is_empty());
    hsm.use_named_key(&key, NamedKeyType::EcP256, &work)
        .unwrap();
    assert_eq!(hsm.named_keys("default").unwrap(), slice::from_ref(&key));
    let error = hsm
        .use_named_key(&other, NamedKeyType::EcP256, &work)
        .unwrap_err();
    assert!(matches!(error, HsmError::KeyNotFound { .. }), "{error:?}");
    hsm.destroy_named_key(&key).unwrap();
    assert!(named.named_keys("default").unwrap().is_empty());
}
