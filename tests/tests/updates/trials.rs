//! A release on trial proves itself before anybody is answered; where it does not stay, its migrations are undone.

use std::fs;
use std::path::PathBuf;

use serde_json::json;
use strongroom_tests::image::{RUNNING, before_schema};
use strongroom_tests::{Appliance, Session};
use strongroom_wire::audit::{Act, Record};

use super::{acts, appliance, auditor, told, until};

/// The schema of the database as SQLite has it.
fn schema(appliance: &Appliance) -> u32 {
    let database = appliance.database();
    database
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap()
}

fn database(appliance: &Appliance) -> PathBuf {
    appliance.data().join("strongroom.db")
}

/// Takes the newest migration back, as a database of the release before has it. Gives its number.
fn age(appliance: &Appliance) -> u32 {
    let database = appliance.database();
    database
        .execute_batch(
            "DROP TABLE spent_nonces;
             CREATE TABLE spent_nonces (account BLOB NOT NULL, nonce BLOB NOT NULL, expires INTEGER NOT NULL, PRIMARY KEY (account, nonce)) STRICT, WITHOUT ROWID;
             CREATE INDEX spent_nonces_by_expiry ON spent_nonces (expires);",
        )
        .unwrap();
    let older = schema(appliance) - 1;
    database.pragma_update(None, "user_version", older).unwrap();
    older
}

#[test]
fn a_release_on_trial_answers_nobody_before_it_is_blessed() {
    let (mut appliance, image) = appliance();
    appliance.serve();
    let mut admin = appliance.administrator();
    let mut otto = auditor(&appliance, &mut admin);
    let key = admin.create_key("kept", &[]).unwrap().key.id;
    let leaves = otto.records_after(None).unwrap().len();
    appliance.stop();
    let older = age(&appliance);
    let kept = before_schema(&database(&appliance), older);

    let written = || {
        let leaves: u32 = appliance
            .database()
            .query_row("SELECT count(*) FROM leaves", [], |row| row.get(0))
            .unwrap();
        let checkpoint = fs::read(appliance.data().join("kept/checkpoint")).unwrap();
        (leaves, checkpoint)
    };
    let before = written();
    image.say(&json!({ "trial": true }));
    let trial = image.try_out(&appliance);
    let healthy = until("it proves itself", || image.take("healthy"));
    assert_eq!(healthy["version"], RUNNING);
    let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    assert_eq!(healthy["boot_id"], boot_id.trim());
    // It has kept what was before and migrated, and listens nowhere; it writes nothing that would have to stay.
    assert_eq!(written(), before);
    assert!(kept.is_file());
    assert_eq!(schema(&appliance), older + 1);
    assert!(!trial.listens());
    assert!(!appliance.data().join("addresses.json").exists());
    let last = json!({ "version": RUNNING, "outcome": "blessed", "at": "2026-12-01T10:00:00Z" });
    image.say(&json!({ "last": last }));
    until("it listens", || trial.listens().then_some(()));
    trial.stop();
    appliance.serve();
    assert!(!kept.exists());
    assert_eq!(schema(&appliance), older + 1);
    let mut admin = admin.at(&appliance.api());
    admin.release(key).unwrap();
    let mut otto = otto.at(&appliance.api());
    assert!(otto.records_after(None).unwrap().len() > leaves);
    assert_eq!(acts(&told(&mut otto)), [(Act::UpdateBless, true)]);
    // Once, however often it is started.
    appliance.restart();
    assert_eq!(
        acts(&told(&mut otto.at(&appliance.api()))),
        [(Act::UpdateBless, true)]
    );
    assert_eq!(appliance.verify_audit()["verified"], true);
}

#[test]
fn a_release_that_finds_the_audit_log_changed_does_not_pass_its_trial() {
    let (mut appliance, image) = appliance();
    appliance.serve();
    let mut admin = appliance.administrator();
    drop(admin.create_key("kept", &[]));
    appliance.stop();
    appliance
        .database()
        .execute_batch("UPDATE leaves SET envelope = zeroblob(length(envelope)) WHERE idx = 2")
        .unwrap();
    image.say(&json!({ "trial": true }));
    assert!(!image.try_out(&appliance).wait().success());
    let log = image.log();
    assert!(log.contains("does not pass"), "{log}");
    assert!(log.contains("audit log"), "{log}");
    assert!(image.take("healthy").is_none());
}

#[test]
fn what_a_release_migrated_that_did_not_stay_is_put_back() {
    let (mut appliance, image) = appliance();
    appliance.serve();
    let mut admin = appliance.administrator();
    let mut otto = auditor(&appliance, &mut admin);
    let key = admin.create_key("kept", &[]).unwrap().key.id;
    appliance.stop();
    let before = told_all(&mut appliance, &mut otto);
    // What a newer release does on its trial: it keeps the database and migrates it.
    let (database, schema) = (database(&appliance), schema(&appliance));
    let kept = before_schema(&database, schema);
    fs::copy(&database, &kept).unwrap();
    let newer = appliance.database();
    newer
        .execute_batch("CREATE TABLE newer (n INTEGER); DROP TABLE keys;")
        .unwrap();
    newer
        .pragma_update(None, "user_version", schema + 1)
        .unwrap();
    drop(newer);

    // Nobody says that it went back: then it is refused, and everything left as it is.
    let refused = appliance.try_serve().unwrap_err();
    assert!(refused.log.contains("newer version"), "{}", refused.log);
    assert!(kept.is_file());

    let last = json!({
        "version": "0.2.0", "outcome": "rolled-back", "why": "it was not blessed in time", "at": "2026-12-01T10:00:00Z",
    });
    image.say(&json!({ "last": last }));
    appliance.serve();
    assert!(!kept.exists());
    let mut admin = admin.at(&appliance.api());
    admin.release(key).unwrap();
    let mut otto = otto.at(&appliance.api());
    let records = told(&mut otto);
    assert_eq!(acts(&records), [(Act::UpdateRollBack, true)]);
    assert_eq!(
        records[0].note.as_deref(),
        Some(
            "version 0.2.0: it was not blessed in time; the database was put back as it was before"
        )
    );
    // All that was acknowledged before is there.
    let now = otto.records_after(None).unwrap();
    assert!(before.iter().all(|record| now.contains(record)));
    assert!(
        appliance
            .log()
            .contains("the database is back as it was before the trial")
    );
    appliance.restart();
    assert_eq!(told(&mut otto.at(&appliance.api())).len(), 1);
    assert_eq!(appliance.verify_audit()["verified"], true);
}

/// All records, of an appliance that is started for that and stopped again.
fn told_all(appliance: &mut Appliance, otto: &mut Session) -> Vec<Record> {
    appliance.serve();
    let records = otto.at(&appliance.api()).records_after(None).unwrap();
    appliance.stop();
    records
}
