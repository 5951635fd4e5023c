//! Machine and HSM are gone, and the policy in the backup demands that two security officers approve its restoring: the custodians alone do not do it.

use std::fs;
use std::path::Path;
use std::process::ExitStatus;

use serde_json::{Value, json};
use strongroom_tests::{Appliance, Console, Paper, Person};
use strongroom_wire::account::Role;

use super::exports;

const CUSTODIANS: [&str; 2] = ["Ada", "Bruno"];

/// Holds the ceremony of a new appliance.
fn hold(appliance: &mut Appliance) -> [Paper; 2] {
    let mut command = appliance.ceremony();
    command.args(["--operator", "Olga", "--threshold", "2"]);
    for custodian in CUSTODIANS {
        command.args(["--custodian", custodian]);
    }
    let mut console = Console::run(command);
    console.answer("Begin? (yes/no) ", "yes");
    let papers = CUSTODIANS.map(|custodian| console.write_down(custodian));
    for paper in &papers {
        console.give_back(paper);
    }
    let _ = console.expect("enrolment code:   ");
    let code = console.expect("   (shown this once)");
    let (status, said) = console.end();
    assert!(status.success(), "{said}");
    appliance.know_code(&code);
    papers
}

/// Recovers from a backup with both shares, where they are asked for, and these further options.
fn recover(
    appliance: &Appliance,
    backup: &Path,
    papers: &[Paper],
    more: &[&Path],
) -> (ExitStatus, String) {
    let mut command = appliance.recover(backup);
    command.args(["--operator", "Otto"]).args(more);
    let mut console = Console::run(command);
    console.answer("Begin? (yes/no) ", "yes");
    for paper in papers {
        console.give_back(paper);
    }
    console.end()
}

#[test]
fn custodians_recover_a_backup_only_with_the_quorum_that_it_demands() {
    let mut appliance = Appliance::blank();
    let papers = hold(&mut appliance);
    appliance.serve();
    let mut session = appliance.administrator();
    let role = Role::SecurityOfficer;
    let [sam, sue] = ["sam@example.com", "sue@example.com"]
        .map(|name| Person::officer(&appliance, &mut session, name, role));
    let mallory = Person::officer(
        &appliance,
        &mut session,
        "mallory@example.com",
        Role::Auditor,
    );
    let admin = Person::administrator(&appliance);
    let _ = admin.login().success();
    let rule = "domain.restore=2:security-officer:1h";
    let _ = admin
        .run(&["domain", "policy", "set", "--quorum", rule])
        .success();
    let safe = tempfile::tempdir().unwrap();
    let file = safe.path().join("a.backup");
    let mut backup = appliance.strongroomd();
    let output = backup.args(["backup", "--to"]).arg(&file).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    appliance.stop();
    let mut elsewhere = appliance.elsewhere();

    // Both custodians are there, and nobody has approved: nothing is made, and what there is to sign is written down.
    let request = safe.path().join("request.json");
    let asks: [&Path; 2] = ["--quorum-request".as_ref(), &request];
    let (status, said) = recover(&elsewhere, &file, &papers, &asks);
    assert!(!status.success() && said.contains("0 have"), "{said}");
    assert!(said.contains("nothing was recovered"), "{said}");
    assert!(!elsewhere.config().exists());

    let approval = |person: &Person, name: &str| {
        fs::copy(&request, person.file("request.json")).unwrap();
        let words = ["approval-keys", "sign", "request.json", "--key", "key.pem"];
        let words = [&words[..], &["-o", name]].concat();
        let signed = person.run(&words).success();
        assert!(
            signed.stderr.contains("restore the backup of"),
            "{signed:?}"
        );
        person.file(name)
    };
    let (one, two) = (approval(&sam, "one"), approval(&sue, "two"));
    let (again, other) = (approval(&sam, "again"), approval(&mallory, "other"));
    let option: &Path = "--approval".as_ref();
    // One of them, one of them twice, and somebody without the role.
    for few in [
        vec![option, &one],
        vec![option, &one, option, &again],
        vec![option, &one, option, &other],
    ] {
        // The HSM holds the master KEK since the first time, and no share is asked for again.
        let (status, said) = recover(&elsewhere, &file, &[], &few);
        assert!(!status.success() && said.contains("1 have"), "{said}");
        assert!(!elsewhere.config().exists());
    }
    let both = [option, &*one, option, &*two];
    let (status, said) = recover(&elsewhere, &file, &[], &both);
    assert!(status.success(), "{said}");

    // It serves, and the log says who has approved it.
    elsewhere.serve();
    let auditor = Person::at_administration(&elsewhere, "mallory@example.com");
    let _ = auditor.login().success();
    let tail = auditor.json(&["audit", "tail", "-n", "1000"]);
    let restored: Vec<&Value> = tail["records"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|record| record["act"] == "domain.restore")
        .collect();
    let [restored] = restored.as_slice() else {
        panic!("{tail}");
    };
    let note = restored["note"].as_str().unwrap();
    assert!(
        note.contains(" quorum 2 of security-officer evidence "),
        "{note}"
    );
    // Anyone sees it by what was signed, whether or not the bundle has the leaves about these people anyway.
    for words in [&[][..], &["--act", "domain.restore"]] {
        let report = exports::export(&auditor, &format!("{}.bundle", words.len()), words);
        assert_eq!(report["approvals"], 2, "{report}");
        assert_eq!(report["quorums"], 1, "{report}");
        assert_eq!(report["quorums_unjudged"], 0, "{report}");
    }
    let report = elsewhere.verify_audit();
    assert_eq!(report["problems"], json!([]), "{report}");
}
