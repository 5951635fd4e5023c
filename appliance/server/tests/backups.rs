//! The built `strongroomd`, backed up while it serves and restored: what was acknowledged opens again, what was altered does not, and an
//! older database is found.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod site;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use strongroom_client::Session;
use strongroom_wire::account::Role;
use strongroom_wire::audit::{Act, RecordQuery};
use strongroom_wire::id::KeyId;
use strongroom_wire::key::{Algorithm, NewKey};

use site::Site;

fn new_key(session: &Session) -> (KeyId, Vec<u8>) {
    let key = NewKey {
        label: "report.pdf".to_owned(),
        ..NewKey::new(Algorithm::Aes256)
    };
    let (created, mut released) = session.create_and_obtain(key).unwrap();
    (created.key.id, released.material().unwrap().to_vec())
}

/// Makes a backup while sessions make keys as fast as they can. Answers the keys that were acknowledged before it was begun.
fn back_up_under_load(site: &Site, sessions: &[Session], to: &Path) -> BTreeMap<KeyId, Vec<u8>> {
    let stop = AtomicBool::new(false);
    let acknowledged = Mutex::new(BTreeMap::new());
    let before = thread::scope(|scope| {
        for session in sessions {
            let (stop, acknowledged) = (&stop, &acknowledged);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let (key, material) = new_key(session);
                    acknowledged.lock().unwrap().insert(key, material);
                }
            });
        }
        let deadline = Instant::now() + Duration::from_secs(30);
        while acknowledged.lock().unwrap().len() < 50 && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        let before = acknowledged.lock().unwrap().clone();
        let made = site.run(
            &site.config(),
            &["backup", "--json", "--to", to.to_str().unwrap()],
        );
        stop.store(true, Ordering::Relaxed);
        assert!(made.ok, "{}", made.err);
        assert_eq!(made.err, "", "no bar where there is no terminal");
        let made: serde_json::Value = serde_json::from_str(&made.out).unwrap();
        assert_eq!(made["length"], fs::metadata(to).unwrap().len());
        assert!(made["manifest"]["leaves"].as_u64().unwrap() >= 100);
        before
    });
    assert!(before.len() >= 50);
    let during = acknowledged.into_inner().unwrap().len();
    assert!(during > before.len(), "the appliance went on serving");
    before
}

#[test]
fn a_backup_made_under_load_brings_back_all_that_was_acknowledged() {
    let site = Site::initialise();
    let appliance = site.serve(&site.config());
    let admin = appliance.enrol_administrator();
    let alice = appliance.person(&admin, "alice", &[]);
    appliance.person(&admin, "auditor", &[Role::Auditor]);

    let first = site.path("first.backup");
    let sessions = [alice, appliance.sign_in("alice")];
    let before = back_up_under_load(&site, &sessions, &first);
    let (late, _) = new_key(&sessions[0]);
    appliance.stop();

    // Something was done since: the kept checkpoint knows.
    let data = site.path("restored");
    let to = data.to_str().unwrap();
    let restore = ["restore", first.to_str().unwrap(), "--data", to];
    let refused = site.run(&site.config(), &restore);
    assert!(!refused.ok);
    assert!(
        refused.err.contains("older than the checkpoint"),
        "{}",
        refused.err
    );
    assert!(!data.exists());
    let accept = ["--accept-older", "--reason", "the disk burnt"];
    let tried = site.run(
        &site.config(),
        &[&restore[..], &accept, &["--dry-run"]].concat(),
    );
    assert!(tried.ok && !data.exists(), "{}", tried.err);
    let restored = site.run(&site.config(), &[&restore[..], &accept].concat());
    assert!(restored.ok, "{}", restored.err);
    let again = site.run(&site.config(), &restore);
    assert!(again.err.contains("not empty"), "{}", again.err);

    // Without the record of its acceptance the older database is not served.
    let config = site.config_for(&data);
    let record = data.join("restored.json");
    fs::rename(&record, site.path("aside")).unwrap();
    let refused = site.run(&config, &["serve"]);
    assert!(
        !refused.ok && refused.err.contains("rolled back"),
        "{}",
        refused.err
    );
    fs::rename(site.path("aside"), &record).unwrap();

    let appliance = site.serve(&config);
    assert!(!record.exists(), "it counts once");
    let alice = appliance.sign_in("alice");
    for (key, material) in &before {
        let mut released = alice.obtain(*key, None).unwrap();
        assert_eq!(*released.material().unwrap(), *material);
    }
    assert!(
        alice.obtain(late, None).is_err(),
        "it came after the backup"
    );
    let auditor = appliance.sign_in("auditor");
    let records = auditor
        .records(&RecordQuery {
            limit: Some(1000),
            ..RecordQuery::default()
        })
        .unwrap()
        .records;
    let leaf = records
        .iter()
        .find(|record| record.act == Act::DomainRestore)
        .unwrap();
    assert!(
        leaf.note.as_ref().unwrap().ends_with("the disk burnt"),
        "{leaf:?}"
    );
    appliance.stop();
    let verified = site.run(&config, &["audit", "verify"]);
    assert!(verified.ok, "{}", verified.out);
    site.serve(&config).stop();
}

#[test]
fn what_was_altered_or_is_of_another_hsm_is_refused() {
    let site = Site::initialise();
    site.serve(&site.config()).stop();
    let dry = site.run(
        &site.config(),
        &[
            "backup",
            "--dry-run",
            "--to",
            site.path("").to_str().unwrap(),
        ],
    );
    assert!(
        dry.ok && dry.out.contains("Nothing was written"),
        "{}",
        dry.err
    );
    let backup = site.path("whole.backup");
    let made = site.run(
        &site.config(),
        &["backup", "--to", backup.to_str().unwrap()],
    );
    assert!(made.ok, "{}", made.err);
    let over = site.run(
        &site.config(),
        &["backup", "--to", backup.to_str().unwrap()],
    );
    assert!(over.err.contains("already"), "{}", over.err);

    let whole = fs::read(&backup).unwrap();
    let data = site.path("restored");
    let altered = site.path("altered.backup");
    let restore = [
        "restore",
        altered.to_str().unwrap(),
        "--data",
        data.to_str().unwrap(),
    ];
    let refused = |content: &[u8], why: &str| {
        fs::write(&altered, content).unwrap();
        let refused = site.run(&site.config(), &restore);
        assert!(!refused.ok && refused.err.contains(why), "{}", refused.err);
        assert_eq!(refused.err.lines().count(), 1, "{}", refused.err);
        assert!(!data.exists());
    };
    let mut middle = whole.clone();
    middle[whole.len() / 2] ^= 1;
    refused(&middle, "altered");
    // A digit of the manifest's first figure.
    let at = whole
        .windows(9)
        .position(|part| part == b"\"leaves\":")
        .unwrap()
        + 9;
    let mut manifest = whole.clone();
    manifest[at] ^= 1;
    refused(&manifest, "altered");
    refused(&whole[..whole.len() - 1], "truncated");
    refused(&whole[..100], "beginning of one");
    refused(b"something else", "not a Strongroom backup");
    let left: Vec<_> = fs::read_dir(site.path(""))
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    assert!(
        left.iter()
            .all(|name| !name.to_string_lossy().contains("strongroom-restore")),
        "{left:?}"
    );

    let other = Site::initialise();
    fs::write(&altered, &whole).unwrap();
    let foreign = other.run(&other.config(), &restore);
    assert!(
        !foreign.ok && foreign.err.contains("this HSM does not open the backup"),
        "{}",
        foreign.err
    );
    let restored = site.run(&site.config(), &restore);
    assert!(
        restored.ok && restored.out.contains("everything"),
        "{}",
        restored.err
    );
    site.serve(&site.config_for(&data)).stop();
}

#[test]
fn a_database_that_was_rolled_back_is_refused_at_start() {
    let site = Site::initialise();
    site.serve(&site.config()).stop();
    let database = site.data().join("strongroom.db");
    let earlier = fs::read(&database).unwrap();
    let appliance = site.serve(&site.config());
    appliance.enrol_administrator();
    appliance.stop();
    let newest = fs::read(&database).unwrap();

    fs::write(&database, earlier).unwrap();
    let refused = site.run(&site.config(), &["serve"]);
    assert!(
        !refused.ok && refused.err.contains("rolled back or cut"),
        "{}",
        refused.err
    );
    assert_eq!(refused.err.lines().count(), 1, "{}", refused.err);
    let verified = site.run(&site.config(), &["audit", "verify"]);
    assert!(
        !verified.ok && verified.out.contains("rolled back or cut"),
        "{}",
        verified.out
    );
    fs::write(&database, newest).unwrap();
    site.serve(&site.config()).stop();
}

#[test]
fn the_schedule_makes_backups_and_keeps_the_newest() {
    let site = Site::initialise();
    let folder = site.path("backups");
    fs::create_dir(&folder).unwrap();
    for name in [
        "strongroom-default-20200101T000000Z.backup",
        "strongroom-default-20210101T000000Z.backup",
        "notes.txt",
    ] {
        fs::write(folder.join(name), "old").unwrap();
    }
    let settings = format!("\n[backup]\nfolder = \"{}\"\nkeep = 2\n", folder.display());
    let text = fs::read_to_string(site.config()).unwrap();
    fs::write(site.config(), text + &settings).unwrap();
    let appliance = site.serve(&site.config());
    let names = || {
        let entries = fs::read_dir(&folder).unwrap().flatten();
        let mut names: Vec<String> = entries
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    let deadline = Instant::now() + Duration::from_mins(1);
    while names().contains(&"strongroom-default-20200101T000000Z.backup".to_owned())
        && Instant::now() < deadline
    {
        thread::sleep(Duration::from_millis(100));
    }
    appliance.stop();
    let names = names();
    assert_eq!(names.len(), 3, "{names:?}");
    assert_eq!(
        names[..2],
        ["notes.txt", "strongroom-default-20210101T000000Z.backup"]
    );
    let (made, data) = (folder.join(&names[2]), site.path("restored"));
    let restored = site.run(
        &site.config(),
        &[
            "restore",
            made.to_str().unwrap(),
            "--data",
            data.to_str().unwrap(),
            "--dry-run",
            "--accept-older",
            "--reason",
            "a test",
        ],
    );
    assert!(restored.ok, "{}", restored.err);
}
