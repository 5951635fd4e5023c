//! Custodians bring a domain's master KEK into another HSM: some of them can, fewer cannot.

use std::sync::Arc;

use strongroom_audit::note;
use strongroom_custodians::{Kind, Share, ShareError, SharedKey, Shares, split};
use strongroom_hsm::{Aes256Key, Hsm, RecoveryKekId};
use strongroom_keystore::backup::{BackupError, Restored};
use strongroom_keystore::recovery::{
    NewRecovery, Recovered, Recovery, new_recovery_kek, read_recovery, recover_master_keks,
};
use strongroom_keystore::store::sqlite::SqliteStore;
use strongroom_keystore::{Error, Held, Keystore, Options, hold_against, verify_audit};
use strongroom_wire::audit::Act;
use strongroom_wire::key::ReleaseKey;

use crate::backups::{backup, restore};
use crate::house::{House, token};

pub(crate) const TRIALS: &[(&str, fn())] = &[
    (
        "two_custodians_of_three_recover_a_domain",
        two_custodians_of_three_recover_a_domain,
    ),
    (
        "what_is_not_right_recovers_nothing",
        what_is_not_right_recovers_nothing,
    ),
    (
        "two_hsms_sign_with_keys_of_their_own",
        two_hsms_sign_with_keys_of_their_own,
    ),
];

/// What custodians went home with: their shares, as words on paper.
pub(crate) struct Papers(Vec<String>);

impl Papers {
    /// The key that these custodians restore, counted from 1.
    pub(crate) fn restore(&self, custodians: &[usize]) -> Result<Aes256Key, ShareError> {
        let mut shares = Shares::default();
        for custodian in custodians {
            shares.add(Share::from_words(Kind::RecoveryKek, &self.0[custodian - 1]).unwrap())?;
        }
        let key = shares.restore()?;
        Ok(Aes256Key::from_bytes(key.as_bytes().try_into().unwrap()))
    }
}

/// Splits a new recovery KEK among Ada, Bruno and Chiara, of whom two are needed.
pub(crate) fn ceremony(hsm: &dyn Hsm) -> (NewRecovery, Papers) {
    let (key, set) = new_recovery_kek(hsm).unwrap();
    let shared = SharedKey::from_bytes(key.as_bytes());
    let shares = split(&shared, set, 2, 3).unwrap();
    let papers = shares.iter().map(|share| {
        let words = share.to_words(Kind::RecoveryKek);
        words.iter().collect::<Vec<_>>().join(" ")
    });
    let custodians = ["Ada", "Bruno", "Chiara"].map(str::to_owned).to_vec();
    let papers = Papers(papers.collect());
    (NewRecovery::new(key, set, 2, custodians).unwrap(), papers)
}

pub(crate) fn recoverable_house(label: &str) -> (House, Papers) {
    let hsm = token(label);
    let (recovery, papers) = ceremony(&*hsm);
    let house = House::on(hsm, label, Options::default(), Some(recovery));
    (house, papers)
}

pub(crate) fn problems(store: &SqliteStore) -> Vec<String> {
    verify_audit(store, "default", &mut |_, _| {})
        .unwrap()
        .problems
}

fn two_custodians_of_three_recover_a_domain() {
    let (house, papers) = recoverable_house("recovered");
    let alice = house.person("alice");
    let (key, material) = house.key(&alice, &[]);
    house.keystore.sign_checkpoint().unwrap();
    let (file, manifest) = backup(&house);
    let recovery = manifest.recovery.unwrap();
    assert_eq!(recovery.unrecoverable(), [0; 0]);
    assert_eq!(
        recovery.recovery_keks[0].custodians,
        ["Ada", "Bruno", "Chiara"]
    );

    // Another HSM: the backup opens only once it has the master KEK.
    let fresh = token("recovered-fresh");
    let refused = restore(&file, &fresh).unwrap_err();
    assert!(matches!(refused, BackupError::WrongHsm(_)), "{refused}");
    let kek = &recovery.recovery_keks[0];
    let restored = papers.restore(&[3, 1]).unwrap();
    let recovered = recover_master_keks(&*fresh, "default", &recovery, kek, &restored).unwrap();
    assert_eq!(
        recovered,
        Recovered {
            recovered: vec![1],
            held: vec![]
        }
    );
    // Killed there and done again.
    let again = recover_master_keks(&*fresh, "default", &recovery, kek, &restored).unwrap();
    assert_eq!(again.held, [1]);

    let (folder, _) = restore(&file, &fresh).unwrap();
    let path = folder.path().join("strongroom.db");
    let store = Arc::new(SqliteStore::open(&path).unwrap());
    let attended = house.attended(store.clone(), &fresh);
    // The HSM's own key does not sign yet.
    assert!(attended.record_ceremony(Act::DomainRecover, "x\n").is_err());
    let changes = attended.adopt_checkpoint_key(Some(&[])).unwrap();
    assert_eq!(changes.len(), 2, "{changes:?}");
    assert_eq!(attended.adopt_checkpoint_key(Some(&[])).unwrap(), []);
    let record = Restored {
        restored: manifest.created,
        created: manifest.created,
        leaves: manifest.leaves,
        accepted: None,
        approved: None,
    };
    attended.record_restore(&record).unwrap();
    let recorded = attended
        .record_ceremony(Act::DomainRecover, "Ada and Chiara\n")
        .unwrap();
    attended.sign_checkpoint().unwrap().unwrap();
    drop(attended);

    let report = verify_audit(&*store, "default", &mut |_, _| {}).unwrap();
    assert_eq!(report.problems, [""; 0]);
    let [former, present] = report.verifier_keys.as_slice() else {
        panic!("{:?}", report.verifier_keys);
    };
    assert_eq!(
        (former.from, former.to.is_some(), present.to),
        (0, true, None)
    );
    assert!(note::verify(&recorded.note, &present.verifier_key).is_ok());

    // Everything that was acknowledged opens, and the log goes on.
    let served = Keystore::open(
        store.clone(),
        fresh,
        house.clock.clone(),
        Options::default(),
    )
    .unwrap();
    let released = served.release(&alice.presented, key, ReleaseKey::default());
    assert_eq!(alice.unwrap(&released.unwrap()), material);
    served.rotate_master_kek(&house.admin.presented).unwrap();
    while served.rewrap_some(10).unwrap() > 0 {}
    let keks = served
        .rotation_status(&house.admin.presented)
        .unwrap()
        .master_keks;
    assert!(keks.iter().all(|kek| kek.recoverable), "{keks:?}");

    // Whoever has the lost HSM and the old database signs another history, which shows.
    for _ in 0..20 {
        house.key(&alice, &[]);
    }
    house.keystore.sign_checkpoint().unwrap();
    let (_, stolen) = house.keystore.newest_checkpoint().unwrap().unwrap();
    served.sign_checkpoint().unwrap();
    assert_ne!(
        hold_against(&*store, "default", &stolen).unwrap(),
        Held::Continues
    );
    assert_eq!(problems(&store), [""; 0]);
}

fn what_is_not_right_recovers_nothing() {
    let (house, papers) = recoverable_house("not-right");
    let (_, strangers) = ceremony(&*house.hsm);
    let recovery = read_recovery(&*house.store, "default").unwrap();
    let kek = &recovery.recovery_keks[0];
    let fresh = token("not-right-fresh");
    let nothing = |hsm: &dyn Hsm| {
        assert_eq!(hsm.master_kek_versions("default").unwrap(), [0; 0]);
        assert_eq!(hsm.recovery_kek_versions("default").unwrap(), [0; 0]);
    };

    // One custodian of two.
    assert_eq!(
        papers.restore(&[2]).unwrap_err(),
        ShareError::TooFew {
            given: 1,
            needed: 2
        }
    );
    // Two, of another ceremony.
    let other = strangers.restore(&[1, 2]).unwrap();
    assert!(!kek.is(&other));
    let refused = recover_master_keks(&*fresh, "default", &recovery, kek, &other).unwrap_err();
    assert!(matches!(refused, Error::Invalid(_)), "{refused}");
    nothing(&*fresh);
    // The right ones, and a blob in which one bit is another: every byte of it.
    let right = papers.restore(&[1, 2]).unwrap();
    let blob = recovery.master_keks[0].blob.as_ref().unwrap().0.clone();
    for at in 0..blob.len() {
        let mut altered: Recovery = recovery.clone();
        altered.master_keks[0].blob.as_mut().unwrap().0[at] ^= 1;
        // One that names another recovery KEK is nobody's; every other is refused by the HSM.
        match recover_master_keks(&*fresh, "default", &altered, kek, &right) {
            Ok(outcome) => {
                assert_eq!(outcome, Recovered::default(), "byte {at}");
                let id = RecoveryKekId {
                    domain: "default".to_owned(),
                    version: 1,
                };
                fresh.destroy_recovery_kek(&id).unwrap();
            }
            Err(Error::Integrity(_) | Error::Hsm(_)) => {}
            Err(other) => panic!("byte {at}: {other}"),
        }
        nothing(&*fresh);
    }
    recover_master_keks(&*fresh, "default", &recovery, kek, &right).unwrap();

    let names = |count: usize| vec!["x".to_owned(); count];
    let key = || Aes256Key::from_bytes([1; 32]);
    for (threshold, custodians) in [
        (1, names(3)),
        (4, names(3)),
        (2, names(17)),
        (2, vec!["a".to_owned(), " ".to_owned()]),
        (2, vec!["a".to_owned(), "b\nc".to_owned()]),
        (2, vec!["a".to_owned(), "b".repeat(65)]),
    ] {
        assert!(NewRecovery::new(key(), 0, threshold, custodians).is_err());
    }
}

fn two_hsms_sign_with_keys_of_their_own() {
    let (house, papers) = recoverable_house("pair");
    house.keystore.sign_checkpoint().unwrap();
    let recovery = read_recovery(&*house.store, "default").unwrap();
    let kek = &recovery.recovery_keks[0];
    let key = papers.restore(&[1, 2]).unwrap();
    let replica = token("pair-replica");
    recover_master_keks(&*replica, "default", &recovery, kek, &key).unwrap();
    let beside = house.attended(Arc::clone(&house.store), &replica);
    let changes = beside.adopt_checkpoint_key(None).unwrap();
    assert_eq!(changes.len(), 1, "the first key goes on: {changes:?}");
    // Now one signs, now the other; the log has one history.
    for keystore in [&beside, &house.keystore, &beside] {
        house.person(&format!("p{}", keystore.statistics().unwrap().tree_size));
        let size = keystore.sign_checkpoint().unwrap().unwrap();
        let shown = house.keystore.checkpoint(&house.admin.presented).unwrap();
        let checkpoint = strongroom_audit::checkpoint::verify(&shown.note, &shown.verifier_key);
        assert_eq!(checkpoint.unwrap().size, size);
        assert_eq!(
            hold_against(&*house.store, "default", &shown.note).unwrap(),
            Held::Continues
        );
    }
    let report = verify_audit(&*house.store, "default", &mut |_, _| {}).unwrap();
    assert_eq!(report.problems, [""; 0]);
    assert_eq!(report.verifier_keys.len(), 2);

    // The first HSM is taken away: its key signs nothing more, and never comes back.
    beside.adopt_checkpoint_key(Some(&[])).unwrap();
    assert!(house.keystore.sign_checkpoint().is_err());
    let refused = house.keystore.adopt_checkpoint_key(None).unwrap_err();
    assert!(matches!(refused, Error::Domain(_)), "{refused}");
    beside.sign_checkpoint().unwrap().unwrap();
    let report = verify_audit(&*house.store, "default", &mut |_, _| {}).unwrap();
    assert_eq!(report.problems, [""; 0]);
}
