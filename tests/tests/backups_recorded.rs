//! Whoever makes a backup, by the command line, by the schedule or from the console, leaves a leaf, which is in the backup.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use strongroom_tests::{Appliance, Session};
use strongroom_wire::account::{AccountKind, Role};
use strongroom_wire::audit::{Act, Record};

fn auditor(appliance: &Appliance, admin: &mut Session) -> Session {
    let name = "otto@example.com";
    let created = admin.create_account(name, AccountKind::Person, &[Role::Auditor], None);
    let code = created.unwrap().enrolment_code.unwrap();
    let password = appliance.password_of(name);
    appliance.api().enrol(name, &code, &password).unwrap();
    appliance.sign_in(name)
}

fn back_up(appliance: &Appliance, to: &Path) -> Value {
    let mut backup = appliance.strongroomd();
    let output = backup
        .args(["backup", "--json", "--to"])
        .arg(to)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn recorded(auditor: &mut Session) -> Vec<Record> {
    let records = auditor.records_after(None).unwrap();
    let backups = records
        .into_iter()
        .filter(|record| record.act == Act::DomainBackup);
    backups.collect()
}

#[test]
fn backups_leave_a_leaf_which_is_in_them() {
    let mut appliance = Appliance::start();
    let mut admin = appliance.administrator();
    let mut otto = auditor(&appliance, &mut admin);
    let folder = tempfile::tempdir().unwrap();

    // Beside the appliance.
    let made = back_up(&appliance, &folder.path().join("one.backup"));
    assert_eq!(made.get("not_recorded"), None, "{made}");
    let found = recorded(&mut otto);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        found[0].note.as_deref(),
        Some("by an operator file one.backup")
    );
    assert!(found[0].done && found[0].actor.is_none());
    assert!(made["manifest"]["leaves"].as_u64().unwrap() > found[0].index);

    // Without one that runs.
    appliance.stop();
    let made = back_up(&appliance, &folder.path().join("two.backup"));
    assert_eq!(made.get("not_recorded"), None, "{made}");
    let report = appliance.verify_audit();
    assert_eq!(report["problems"], json!([]), "{report}");
    // And it is restored where nothing has happened since.
    let data = folder.path().join("data");
    let mut restore = appliance.strongroomd();
    restore.arg("restore").arg(folder.path().join("two.backup"));
    let output = restore.arg("--data").arg(&data).output().unwrap();
    assert!(output.status.success(), "{output:?}");

    // By the schedule, at once, as there is none yet.
    let scheduled = folder.path().join("scheduled");
    std::fs::create_dir(&scheduled).unwrap();
    appliance.configure(&format!("[backup]\nfolder = {scheduled:?}"));
    appliance.serve();
    let mut otto = otto.at(&appliance.api());
    let started = Instant::now();
    let found = loop {
        let found = recorded(&mut otto);
        if found.len() == 3 {
            break found;
        }
        assert!(started.elapsed() < Duration::from_mins(2), "{found:?}");
        thread::sleep(Duration::from_millis(200));
    };
    let notes: Vec<&str> = found
        .iter()
        .map(|record| record.note.as_deref().unwrap())
        .collect();
    assert!(
        notes[0].starts_with("by the schedule file strongroom-default-"),
        "{notes:?}"
    );
    assert_eq!(notes[1], "by an operator file two.backup");

    // A sealed one is backed up all the same, and nothing can record it.
    let sealed = appliance.operate(&["seal"], "");
    assert!(sealed.status.success(), "{sealed:?}");
    let made = back_up(&appliance, &folder.path().join("three.backup"));
    assert!(made["not_recorded"].is_string(), "{made}");
}
