//! A backup opens with its HSM, whole and unaltered, or not at all; an older database shows.

use std::ops::ControlFlow;
use std::sync::Arc;

use strongroom_hsm::Hsm;
use strongroom_keystore::backup::{
    Accepted, BackupError, BackupSource, Manifest, Restored, Stage, read_backup, read_manifest,
    write_backup,
};
use strongroom_keystore::store::sqlite::SqliteStore;
use strongroom_keystore::{Held, hold_against};
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::key::ReleaseKey;

use crate::house::House;

pub(crate) const TRIALS: &[(&str, fn())] = &[
    (
        "a_backup_has_all_that_was_there",
        a_backup_has_all_that_was_there,
    ),
    ("no_altered_backup_opens", no_altered_backup_opens),
    ("an_older_database_shows", an_older_database_shows),
];

pub(crate) fn backup(house: &House) -> (Vec<u8>, Manifest) {
    let work = tempfile::tempdir().unwrap();
    let source = BackupSource {
        database: &house.database(),
        domain: "default",
        work: work.path(),
    };
    let mut file = Vec::new();
    let created = Timestamp::from_millis(1_800_000_000_000);
    let manifest = write_backup(
        source,
        Arc::clone(&house.hsm),
        created,
        &mut file,
        &mut |_, _, _| ControlFlow::Continue(()),
    )
    .unwrap();
    (file, manifest)
}

pub(crate) fn restore(
    mut file: &[u8],
    hsm: &Arc<dyn Hsm>,
) -> Result<(tempfile::TempDir, Manifest), BackupError> {
    let folder = tempfile::tempdir().unwrap();
    let manifest = read_backup(
        &mut file,
        Arc::clone(hsm),
        "default",
        &folder.path().join("strongroom.db"),
        &mut |_, _, _| ControlFlow::Continue(()),
    )?;
    Ok((folder, manifest))
}

fn a_backup_has_all_that_was_there() {
    let house = House::new("backup");
    let alice = house.person("alice");
    let (key, material) = house.key(&alice, &[]);
    let size = house.keystore.sign_checkpoint().unwrap().unwrap();
    let (file, manifest) = backup(&house);
    assert_eq!(manifest.leaves, size);
    assert_eq!(manifest.checkpoint.as_ref().unwrap().size, size);
    assert_eq!(read_manifest(&mut file.as_slice()).unwrap(), manifest);
    // What comes later is not in it.
    house.key(&alice, &[]);

    let (folder, restored) = restore(&file, &house.hsm).unwrap();
    assert_eq!(restored, manifest);
    let store = SqliteStore::open(&folder.path().join("strongroom.db")).unwrap();
    let again = house.reopened(Arc::new(store));
    let released = again
        .release(&alice.presented, key, ReleaseKey::default())
        .unwrap();
    assert_eq!(alice.unwrap(&released), material);
}

fn no_altered_backup_opens() {
    let house = House::new("backup-altered");
    house.keystore.sign_checkpoint().unwrap();
    let (file, manifest) = backup(&house);
    let header = file.len() - usize::try_from(manifest.database.length).unwrap();
    // Every byte of the header and of the payload's start, and some of each chunk.
    let altered = (0..header)
        .step_by(7)
        .chain((header..file.len()).step_by(9001));
    for at in altered.chain([file.len() - 1]) {
        let mut altered = file.clone();
        altered[at] ^= 1;
        assert!(restore(&altered, &house.hsm).is_err(), "byte {at}");
    }
    for length in (0..file.len()).step_by(16_400).chain([file.len() - 1]) {
        assert!(
            restore(&file[..length], &house.hsm).is_err(),
            "{length} bytes"
        );
    }
    assert!(restore(&[&file[..], b"x"].concat(), &house.hsm).is_err());

    let other = House::new("backup-other");
    let refused = restore(&file, &other.hsm).unwrap_err();
    assert!(matches!(refused, BackupError::WrongHsm(_)), "{refused}");
    let stopped = write_backup(
        BackupSource {
            database: &house.database(),
            domain: "default",
            work: tempfile::tempdir().unwrap().path(),
        },
        Arc::clone(&house.hsm),
        Timestamp::from_millis(0),
        &mut Vec::new(),
        &mut |stage, _, _| match stage {
            Stage::Encrypting => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        },
    );
    assert!(matches!(stopped, Err(BackupError::Stopped)));
    let foreign = write_backup(
        BackupSource {
            database: &house.database(),
            domain: "default",
            work: tempfile::tempdir().unwrap().path(),
        },
        Arc::clone(&other.hsm),
        Timestamp::from_millis(0),
        &mut Vec::new(),
        &mut |_, _, _| ControlFlow::Continue(()),
    );
    assert!(foreign.is_err(), "an HSM backs up its own database only");
}

fn an_older_database_shows() {
    let house = House::new("kept");
    house.keystore.sign_checkpoint().unwrap();
    let (_, early) = house.keystore.newest_checkpoint().unwrap().unwrap();
    let (file, manifest) = backup(&house);
    house.person("alice");
    house.keystore.sign_checkpoint().unwrap();
    let (known, late) = house.keystore.newest_checkpoint().unwrap().unwrap();
    let held = |store: &dyn strongroom_keystore::store::Store, note: &str| {
        hold_against(store, "default", note)
    };
    assert_eq!(held(&*house.store, &early).unwrap(), Held::Continues);
    assert_eq!(held(&*house.store, &late).unwrap(), Held::Continues);

    let (folder, _) = restore(&file, &house.hsm).unwrap();
    let path = folder.path().join("strongroom.db");
    let old: Arc<SqliteStore> = Arc::new(SqliteStore::open(&path).unwrap());
    assert_eq!(held(&*old, &early).unwrap(), Held::Continues);
    let leaves = manifest.leaves;
    assert_eq!(held(&*old, &late).unwrap(), Held::Behind { leaves, known });

    // Another history grows past it.
    let again = house.reopened(Arc::<SqliteStore>::clone(&old));
    let accepted = Accepted {
        reason: "the newer one burnt".to_owned(),
        checkpoint: late.clone(),
        known,
    };
    let record = Restored {
        restored: Timestamp::from_millis(1),
        created: manifest.created,
        leaves,
        accepted: Some(accepted),
        approved: None,
    };
    while again.record_restore(&record).unwrap() < known {}
    assert_eq!(held(&*old, &late).unwrap(), Held::Diverges { known });
    let other = House::new("kept-other");
    other.keystore.sign_checkpoint().unwrap();
    let (_, foreign) = other.keystore.newest_checkpoint().unwrap().unwrap();
    assert!(held(&*house.store, &foreign).is_err());

    // The record counts as this HSM signed it.
    let file = record.to_file(&*house.hsm, "default").unwrap();
    assert_eq!(
        Restored::from_file(&file, &*old, "default").unwrap(),
        record
    );
    let altered = String::from_utf8(file.clone())
        .unwrap()
        .replace("burnt", "learnt");
    assert!(Restored::from_file(altered.as_bytes(), &*old, "default").is_err());
    let theirs = record.to_file(&*other.hsm, "default").unwrap();
    assert!(Restored::from_file(&theirs, &*old, "default").is_err());
}
