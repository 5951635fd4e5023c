//! Rotation and custodians: every version that wraps can be recovered, and one that cannot wraps nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use strongroom_hsm::{
    Aes256Key, Ed25519PublicKey, Hsm, HsmError, MasterKekId, RecoveryBlob, RecoveryKekId,
    TokenInfo, WrappedKey,
};
use strongroom_keystore::recovery::{Established, read_recovery, recover_master_keks};
use strongroom_keystore::store::sqlite::SqliteStore;
use strongroom_keystore::{Error, Keystore, Options};
use strongroom_wire::account::Role;
use strongroom_wire::audit::{Act, RecordQuery};
use strongroom_wire::rotation::MasterKekState;

use crate::backups::{backup, restore};
use crate::house::{House, token};
use crate::recovery::{ceremony, problems, recoverable_house};
use crate::rotation::{finish, status};

pub(crate) const TRIALS: &[(&str, fn())] = &[
    (
        "a_domain_gets_custodians_later",
        a_domain_gets_custodians_later,
    ),
    ("rotation_stays_recoverable", rotation_stays_recoverable),
    (
        "a_new_version_waits_for_the_replica",
        a_new_version_waits_for_the_replica,
    ),
    (
        "removed_records_stop_rotation",
        removed_records_stop_rotation,
    ),
];

fn transcript(made: Established) -> String {
    format!(
        "master KEK {}, recovery KEK {}\n",
        made.master_kek, made.recovery_kek
    )
}

fn a_domain_gets_custodians_later() {
    let mut house = House::new("later");
    let alice = house.person("alice");
    let (key, material) = house.key(&alice, &[]);
    assert_eq!(status(&house).master_keks[0].state, MasterKekState::Newest);
    assert!(!status(&house).master_keks[0].recoverable);

    let attended = house.attended(Arc::clone(&house.store), &house.hsm);
    let (recovery, papers) = ceremony(&*house.hsm);
    let (made, recorded) = attended
        .establish_recovery(&recovery, &mut transcript)
        .unwrap();
    assert_eq!(
        made,
        Established {
            recovery_kek: 1,
            master_kek: 2
        }
    );
    drop(attended);
    house.reopen();
    finish(&house, 2);
    let keks = status(&house).master_keks;
    let keks: Vec<_> = keks
        .iter()
        .map(|kek| (kek.version, kek.state, kek.wrapped, kek.recoverable))
        .collect();
    assert_eq!(
        keks,
        [
            (1, MasterKekState::Older, 0, false),
            (2, MasterKekState::Newest, 3, true)
        ]
    );
    assert_eq!(house.release(&alice, key).unwrap(), material);
    let kek = house.keystore.recovery_keks().unwrap().remove(0);
    assert!(kek.is(&papers.restore(&[2, 3]).unwrap()));
    assert_eq!(kek.custodian(2), Some("Bruno"));

    // Its leaf, and those of the versions.
    let auditor = house.person_with("auditor", &[Role::Auditor]);
    let records = house
        .keystore
        .records(&auditor.presented, RecordQuery::default());
    let records = records.unwrap().records;
    let leaf = records
        .iter()
        .find(|record| record.index == recorded.leaf)
        .unwrap();
    assert_eq!(leaf.act, Act::DomainCeremony);
    let digest = leaf
        .note
        .as_deref()
        .unwrap()
        .strip_prefix("transcript ")
        .unwrap();
    assert_eq!(digest.len(), 64);
    assert!(
        recorded
            .note
            .starts_with("master KEK 2, recovery KEK 1\n\n\u{2014} ")
    );
    house.keystore.sign_checkpoint().unwrap();
    house.reopen();
    let store = SqliteStore::open(&house.database()).unwrap();
    assert_eq!(problems(&store), [""; 0]);

    // Other custodians: the older recovery KEK is gone from the HSM, and the older master KEK still opens with the older shares.
    let (recovery, newer) = ceremony(&*house.hsm);
    let attended = house.attended(Arc::clone(&house.store), &house.hsm);
    let (made, _) = attended
        .establish_recovery(&recovery, &mut transcript)
        .unwrap();
    assert_eq!(
        made,
        Established {
            recovery_kek: 2,
            master_kek: 3
        }
    );
    assert_eq!(house.hsm.recovery_kek_versions("default").unwrap(), [2]);
    let recovery = read_recovery(&*house.store, "default").unwrap();
    assert_eq!(recovery.unrecoverable(), [0; 0]);
    let fresh = token("later-fresh");
    for (kek, papers, master) in [(0, &papers, 2), (1, &newer, 3)] {
        let kek = &recovery.recovery_keks[kek];
        let key = papers.restore(&[1, 3]).unwrap();
        let outcome = recover_master_keks(&*fresh, "default", &recovery, kek, &key).unwrap();
        assert_eq!(outcome.recovered, [master]);
    }

    // A transcript that somebody changes is found.
    rusqlite::Connection::open(house.database())
        .unwrap()
        .execute(
            "UPDATE transcripts SET note = replace(note, 'KEK 3', 'KEK 9')",
            [],
        )
        .unwrap();
    assert_eq!(problems(&store).len(), 1, "{:?}", problems(&store));
}

fn rotation_stays_recoverable() {
    let (house, papers) = recoverable_house("stays");
    let rotated = house
        .keystore
        .rotate_master_kek(&house.admin.presented)
        .unwrap();
    assert_eq!(rotated.version, 2);
    finish(&house, 10);

    // Killed between the HSM and the commit: the version is there, unused and seen, and the next rotation passes it over.
    let id = |version| MasterKekId {
        domain: "default".to_owned(),
        version,
    };
    let recovery = RecoveryKekId {
        domain: "default".to_owned(),
        version: 1,
    };
    drop(
        house
            .hsm
            .generate_recoverable_master_kek(&id(3), &recovery)
            .unwrap(),
    );
    house.person("alice");
    let states = |house: &House| {
        let keks = status(house).master_keks;
        let keks = keks
            .iter()
            .map(|kek| (kek.version, kek.state, kek.recoverable));
        keks.collect::<Vec<_>>()
    };
    assert_eq!(
        states(&house),
        [
            (1, MasterKekState::Older, true),
            (2, MasterKekState::Newest, true),
            (3, MasterKekState::Unused, false)
        ]
    );
    assert_eq!(status(&house).master_keks[2].wrapped, 0);
    let retire = |version| {
        house
            .keystore
            .retire_master_kek(&house.admin.presented, version)
    };
    assert!(matches!(retire(3).unwrap_err().error, Error::Conflict(_)));
    let rotated = house
        .keystore
        .rotate_master_kek(&house.admin.presented)
        .unwrap();
    assert_eq!(rotated.version, 4);
    finish(&house, 10);
    for version in [1, 3] {
        retire(version).unwrap();
        let destroy = house
            .keystore
            .destroy_master_kek(&house.admin.presented, version);
        destroy.unwrap();
    }
    assert_eq!(
        states(&house),
        [
            (2, MasterKekState::Older, true),
            (4, MasterKekState::Newest, true)
        ]
    );
    // What was destroyed is not handed on, and what is in use can be recovered.
    let recovery = read_recovery(&*house.store, "default").unwrap();
    let versions: Vec<u32> = recovery.master_keks.iter().map(|kek| kek.version).collect();
    assert_eq!((versions, recovery.unrecoverable()), (vec![2, 4], vec![]));
    let fresh = token("stays-fresh");
    let key = papers.restore(&[2, 1]).unwrap();
    let kek = &recovery.recovery_keks[0];
    let outcome = recover_master_keks(&*fresh, "default", &recovery, kek, &key).unwrap();
    assert_eq!(outcome.recovered, [2, 4]);
    let (file, manifest) = backup(&house);
    let carried = manifest.recovery.unwrap().master_keks;
    assert_eq!(carried.len(), 1, "only what the backup needs: {carried:?}");
    drop(restore(&file, &fresh).unwrap());
}

/// An HSM beside which there is a replica, which does not have the newest versions yet: they are not listed.
struct Lagging {
    hsm: Arc<dyn Hsm>,
    /// The newest version that the replica has.
    replica: AtomicU32,
}

impl Hsm for Lagging {
    fn token_info(&self) -> Result<TokenInfo, HsmError> {
        self.hsm.token_info()
    }
    fn generate_master_kek(&self, id: &MasterKekId) -> Result<(), HsmError> {
        self.hsm.generate_master_kek(id)
    }
    fn master_kek_versions(&self, domain: &str) -> Result<Vec<u32>, HsmError> {
        let replica = self.replica.load(Ordering::Relaxed);
        let mut versions = self.hsm.master_kek_versions(domain)?;
        versions.retain(|version| *version <= replica);
        Ok(versions)
    }
    fn destroy_master_kek(&self, id: &MasterKekId) -> Result<(), HsmError> {
        self.hsm.destroy_master_kek(id)
    }
    fn wrap(&self, kek: &MasterKekId, key: &Aes256Key) -> Result<WrappedKey, HsmError> {
        self.hsm.wrap(kek, key)
    }
    fn unwrap(&self, domain: &str, wrapped: &WrappedKey) -> Result<Aes256Key, HsmError> {
        self.hsm.unwrap(domain, wrapped)
    }
    fn put_recovery_kek(&self, id: &RecoveryKekId, key: &Aes256Key) -> Result<(), HsmError> {
        self.hsm.put_recovery_kek(id, key)
    }
    fn recovery_kek_versions(&self, domain: &str) -> Result<Vec<u32>, HsmError> {
        self.hsm.recovery_kek_versions(domain)
    }
    fn destroy_recovery_kek(&self, id: &RecoveryKekId) -> Result<(), HsmError> {
        self.hsm.destroy_recovery_kek(id)
    }
    fn generate_recoverable_master_kek(
        &self,
        id: &MasterKekId,
        recovery: &RecoveryKekId,
    ) -> Result<RecoveryBlob, HsmError> {
        self.hsm.generate_recoverable_master_kek(id, recovery)
    }
    fn recover_master_kek(
        &self,
        id: &MasterKekId,
        recovery_kek: &Aes256Key,
        blob: &RecoveryBlob,
    ) -> Result<(), HsmError> {
        self.hsm.recover_master_kek(id, recovery_kek, blob)
    }
    fn generate_signing_key(&self, label: &str) -> Result<Ed25519PublicKey, HsmError> {
        self.hsm.generate_signing_key(label)
    }
    fn destroy_signing_key(&self, label: &str) -> Result<(), HsmError> {
        self.hsm.destroy_signing_key(label)
    }
    fn signing_public_key(&self, label: &str) -> Result<Ed25519PublicKey, HsmError> {
        self.hsm.signing_public_key(label)
    }
    fn sign(&self, label: &str, message: &[u8]) -> Result<[u8; 64], HsmError> {
        self.hsm.sign(label, message)
    }
    fn fill_random(&self, out: &mut [u8]) -> Result<(), HsmError> {
        self.hsm.fill_random(out)
    }
}

fn a_new_version_waits_for_the_replica() {
    for recoverable in [true, false] {
        let hsm = token(if recoverable { "lags" } else { "lags-alone" });
        let lagging = Arc::new(Lagging {
            hsm,
            replica: AtomicU32::new(1),
        });
        let recovery = recoverable.then(|| ceremony(&*lagging).0);
        let shared: Arc<dyn Hsm> = lagging.clone();
        let mut house = House::on(shared, "lags", Options::default(), recovery);
        let alice = house.person("alice");
        let (key, material) = house.key(&alice, &[]);
        let rotate = |house: &House| house.keystore.rotate_master_kek(&house.admin.presented);
        assert_eq!(rotate(&house).unwrap().version, 2);
        // Nothing is wrapped by it, and there is no further one.
        finish(&house, 10);
        house.person("bob");
        let keks = status(&house).master_keks;
        assert_eq!(keks[0].wrapped, 4, "{keks:?}");
        assert!(
            keks.iter()
                .skip(1)
                .all(|kek| kek.state == MasterKekState::Waiting && kek.wrapped == 0)
        );
        let refused = rotate(&house).unwrap_err().error.to_string();
        assert!(refused.contains("waits for the second HSM"), "{refused}");

        lagging.replica.store(2, Ordering::Relaxed);
        house.reopen();
        finish(&house, 10);
        let keks = status(&house).master_keks;
        let keks: Vec<_> = keks.iter().map(|kek| (kek.state, kek.wrapped)).collect();
        assert_eq!(
            keks,
            [(MasterKekState::Older, 0), (MasterKekState::Newest, 4)]
        );
        assert_eq!(house.release(&alice, key).unwrap(), material);
    }
}

fn removed_records_stop_rotation() {
    let (mut house, _) = recoverable_house("removed");
    let edit = |house: &House, sql: &str| {
        let database = rusqlite::Connection::open(house.database()).unwrap();
        database.execute_batch(sql).unwrap();
    };
    edit(
        &house,
        "DELETE FROM recovery_blobs; DELETE FROM recovery_keks",
    );
    house.reopen();
    let refused = house
        .keystore
        .rotate_master_kek(&house.admin.presented)
        .unwrap_err();
    assert!(
        refused
            .error
            .to_string()
            .contains("hold the ceremony again"),
        "{refused}"
    );
    assert_eq!(house.hsm.master_kek_versions("default").unwrap(), [1]);
    // The ceremony makes it good.
    let (recovery, _) = ceremony(&*house.hsm);
    let (made, _) = house
        .keystore
        .establish_recovery(&recovery, &mut transcript)
        .unwrap();
    assert_eq!(
        made,
        Established {
            recovery_kek: 2,
            master_kek: 2
        }
    );
    house
        .keystore
        .rotate_master_kek(&house.admin.presented)
        .unwrap_err();
    finish(&house, 10);
    house
        .keystore
        .rotate_master_kek(&house.admin.presented)
        .unwrap();

    // What was edited is not believed.
    edit(&house, "UPDATE recovery_keks SET threshold = 1");
    let store = Arc::new(SqliteStore::open(&house.database()).unwrap());
    let opened = Keystore::open(
        store,
        house.hsm.clone(),
        house.clock.clone(),
        Options::default(),
    );
    assert!(matches!(
        opened.err(),
        Some(Error::Integrity("recovery KEK"))
    ));
}
