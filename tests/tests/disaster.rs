//! Machine and HSM are gone. Two custodians of three and one backup bring everything back that was acknowledged before it.

#![expect(clippy::too_many_lines, reason = "tests")]

use std::fs;
use std::path::Path;

use serde_json::Value;
use strongroom_tests::scan::files_below;
use strongroom_tests::{Appliance, Console, Paper, Person};

const CUSTODIANS: [&str; 3] = ["Ada", "Bruno", "Chiara"];

/// Begins a ceremony for a new appliance, up to the first share.
fn begin(appliance: &Appliance) -> Console {
    let mut command = appliance.ceremony();
    command.args(["--operator", "Olga", "--threshold", "2"]);
    for custodian in CUSTODIANS {
        command.args(["--custodian", custodian]);
    }
    let mut console = Console::run(command);
    console.answer("Begin? (yes/no) ", "perhaps");
    console.answer("Begin? (yes/no) ", "yes");
    console
}

/// Holds a ceremony in which nothing goes wrong but one paper.
fn hold(appliance: &mut Appliance) -> Vec<Paper> {
    let mut console = begin(appliance);
    let papers = CUSTODIANS
        .map(|custodian| console.write_down(custodian))
        .to_vec();

    // Bruno has written down one word wrongly. That it is his share, nobody can tell; that it is wrong, everybody can.
    let mut wrong = papers[1].clone();
    let other = if wrong.0[11] == "zoo" {
        "abandon"
    } else {
        "zoo"
    };
    other.clone_into(&mut wrong.0[11]);
    console.give_back(&wrong);
    let _ = console.expect("These words are not a share");
    // He types a word that is none, goes back one, and types it right, the first letters only.
    let mut again = papers[1].clone();
    let right = again.0[0]
        .chars()
        .take(4)
        .collect::<String>()
        .to_uppercase();
    right.clone_into(&mut again.0[0]);
    console.answer("comes to the terminal alone and presses Enter. ", "");
    console.answer("word  1 of 29: ", "strongroom");
    console.answer(
        "not a word of the list, again: word  1 of 29: ",
        "abandon <",
    );
    for (at, word) in again.0.iter().enumerate() {
        console.answer(&format!("word {:2} of 29: ", at + 1), word);
    }
    let _ = console.expect("Share 2, Bruno's, is right.");
    // The same once more does not help.
    console.give_back(&papers[1]);
    let _ = console.expect("Share 2 was given already");
    console.give_back(&papers[2]);
    let _ = console.expect("Share 3, Chiara's, is right.");
    let _ = console.expect("its check value is right");

    let _ = console.expect("enrolment code:   ");
    let code = console.expect("   (shown this once)");
    let shown = console.shown();
    let (status, _) = console.end();
    assert!(status.success());
    appliance.know_code(&code);
    assert_no_share(&shown, &papers);
    // Nor does any file have a share: not the database, not the transcript, not the token.
    for file in files_below(&appliance.data()) {
        let content = fs::read(&file).unwrap_or_default();
        let content = String::from_utf8_lossy(&content).to_lowercase();
        for paper in &papers {
            for three in paper.0.windows(3) {
                assert!(!content.contains(&three.join(" ")), "{}", file.display());
            }
        }
    }
    papers
}

/// Nothing but the screens that were cleared has two words of a share after each other.
fn assert_no_share(shown: &str, papers: &[Paper]) {
    let mut left = String::new();
    for part in shown.split("\x1b[?1049h") {
        left.push_str(
            part.split_once("\x1b[?1049l")
                .map_or(part, |(_, rest)| rest),
        );
    }
    for paper in papers {
        for pair in paper.0.windows(2) {
            assert!(!left.contains(&pair.join(" ")), "{pair:?} in {left:?}");
        }
    }
}

fn person(admin: &Person, appliance: &Appliance, name: &str) -> Person {
    let created = admin.json(&["accounts", "create", name]);
    let person = Person::new(appliance, name);
    let _ = person
        .enrol(created["enrolment_code"].as_str().unwrap())
        .success();
    let _ = person.login().success();
    person
}

/// Protects a file for bob, and has it with him.
fn protect(alice: &Person, bob: &Person, name: &str) {
    fs::write(alice.file(name), format!("the content of {name}")).unwrap();
    let _ = alice.json(&["protect", name, "--to", "bob@example.com"]);
    let sealed = format!("{name}.sealed");
    fs::copy(alice.file(&sealed), bob.file(&sealed)).unwrap();
}

fn backup(appliance: &Appliance, to: &Path) -> Value {
    let output = appliance
        .strongroomd()
        .args(["backup", "--json", "--to"])
        .arg(to)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

fn begin_recovery(appliance: &Appliance, backup: &Path) -> Console {
    let mut command = appliance.recover(backup);
    command.args(["--operator", "Otto"]);
    let mut console = Console::run(command);
    console.answer("Begin? (yes/no) ", "yes");
    console
}

#[test]
fn two_custodians_and_a_backup_bring_everything_back() {
    // A ceremony that is killed in the middle is held again from its beginning.
    let mut appliance = Appliance::blank();
    let mut killed = begin(&appliance);
    let _ = killed.write_down(CUSTODIANS[0]);
    killed.kill();
    let papers = hold(&mut appliance);
    appliance.serve();
    let admin = Person::administrator(&appliance);
    let _ = admin.enrol(appliance.administrator_code()).success();
    let _ = admin.login().success();
    let alice = person(&admin, &appliance, "alice@example.com");
    let bob = person(&admin, &appliance, "bob@example.com");
    protect(&alice, &bob, "before.txt");
    // The next master KEK needs no custodian.
    let _ = admin.run(&["rotation", "start-master"]).success();
    let _ = admin.run(&["rotation", "status", "--follow"]).success();
    let status = admin.json(&["rotation", "status"]);
    for kek in status["master_keks"].as_array().unwrap() {
        assert_eq!(kek["recoverable"], true, "{status}");
    }
    protect(&alice, &bob, "after.txt");
    let safe = tempfile::tempdir().unwrap();
    let file = safe.path().join("a.backup");
    let made = backup(&appliance, &file);
    assert_eq!(
        made["manifest"]["recovery"]["recovery_keks"][0]["custodians"][2],
        "Chiara"
    );
    appliance.stop();

    // The machine burns, and the HSM in it.
    let mut elsewhere = appliance.elsewhere();
    drop(appliance);

    // One custodian is not enough, however often.
    let mut alone = begin_recovery(&elsewhere, &file);
    alone.give_back(&papers[0]);
    let _ = alone.expect("Share 1, Ada's, is right.");
    for _ in 0..3 {
        alone.give_back(&papers[0]);
        let _ = alone.expect("Share 1 was given already");
    }
    let (status, said) = alone.end();
    assert!(
        !status.success() && said.contains("nothing was recovered"),
        "{said}"
    );
    assert!(!elsewhere.config().exists());

    // A backup in whose recovery blob a letter is another is refused.
    let altered = safe.path().join("altered.backup");
    let mut content = fs::read(&file).unwrap();
    let blob = made["manifest"]["recovery"]["master_keks"][0]["blob"]
        .as_str()
        .unwrap();
    let at = content
        .windows(blob.len())
        .position(|part| part == blob.as_bytes())
        .unwrap()
        + blob.len() / 2;
    content[at] = if content[at] == b'A' { b'B' } else { b'A' };
    fs::write(&altered, content).unwrap();
    let mut refused = begin_recovery(&elsewhere, &altered);
    refused.give_back(&papers[0]);
    refused.give_back(&papers[2]);
    let (status, said) = refused.end();
    assert!(
        !status.success() && said.contains("recovery blob"),
        "{said}"
    );
    assert!(!elsewhere.config().exists());

    // Killed once the HSM has keys, and done again.
    let mut killed = begin_recovery(&elsewhere, &file);
    killed.give_back(&papers[1]);
    killed.give_back(&papers[0]);
    let _ = killed.expect("Recovered into the HSM");
    killed.kill();
    let mut console = begin_recovery(&elsewhere, &file);
    let _ = console.expect("The HSM holds every master KEK");
    let _ = console.expect("The appliance is recovered");
    let shown = console.shown();
    let (status, _) = console.end();
    assert!(status.success());
    assert_no_share(&shown, &papers);

    // Everything opens, in the hands of the same people on other devices, and the log goes on.
    elsewhere.serve();
    let again = Person::new(&elsewhere, "bob@example.com");
    let _ = again.login().success();
    for name in ["before.txt", "after.txt"] {
        let sealed = format!("{name}.sealed");
        fs::copy(bob.file(&sealed), again.file(&sealed)).unwrap();
        let _ = again.run(&["open", &sealed]).success();
        let opened = fs::read_to_string(again.file(name)).unwrap();
        assert_eq!(opened, format!("the content of {name}"));
    }
    let owner = Person::new(&elsewhere, "alice@example.com");
    let _ = owner.login().success();
    protect(&owner, &again, "new.txt");
    let _ = again.run(&["open", "new.txt.sealed"]).success();
    let report = elsewhere.verify_audit();
    assert_eq!(report["verified"], true, "{report}");
    let keys = report["verifier_keys"].as_array().unwrap();
    assert_eq!(keys.len(), 2, "{report}");
    assert!(keys[0]["to"].as_u64().unwrap() >= made["manifest"]["leaves"].as_u64().unwrap());
    assert_eq!(report["verifier_key"], keys[1]["key"]);
    assert!(keys[1]["to"].is_null());
    // And the next master KEK, and the next backup, are recoverable again.
    let admin = Person::administrator(&elsewhere);
    let _ = admin.login().success();
    let _ = admin.run(&["rotation", "start-master"]).success();
    let _ = admin.run(&["rotation", "status", "--follow"]).success();
    let made = backup(&elsewhere, &safe.path().join("next.backup"));
    let needed = made["manifest"]["recovery"]["master_keks"]
        .as_array()
        .unwrap();
    assert!(needed.iter().all(|kek| kek["blob"].is_string()), "{made}");
    elsewhere.restart();
    assert_eq!(elsewhere.verify_audit()["verified"], true);
}
