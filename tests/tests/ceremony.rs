//! Ceremonies of an appliance that `init` made: custodians come later, the HSM is replaced, a replica gets the keys.

#![expect(clippy::too_many_lines, reason = "tests")]

use std::fs;
use std::process::Stdio;

use strongroom_tests::{Appliance, Console, Failed, Paper, Session, programs};
use strongroom_wire::rotation::{ChangedMasterKek, RotationStatus};

const CUSTODIANS: [&str; 3] = ["Ada", "Bruno", "Chiara"];

/// `strongroomd ceremony` with these words, at a terminal.
fn ceremony(appliance: &Appliance, words: &[&str]) -> Console {
    let mut command = appliance.strongroomd();
    command.arg("ceremony").args(words);
    Console::run(command)
}

/// Gives the appliance custodians, of whom two are needed.
fn renew(appliance: &Appliance) -> Vec<Paper> {
    let mut console = ceremony(appliance, &["renew", "--operator", "Olga"]);
    console.answer("How many custodians get a share? ", "none");
    console.answer("How many custodians get a share? ", "3");
    for (at, custodian) in CUSTODIANS.iter().enumerate() {
        console.answer(&format!("Name of custodian {}: ", at + 1), custodian);
    }
    console.answer("are to be able to recover? ", "2");
    console.answer("Begin? (yes/no) ", "yes");
    let papers = CUSTODIANS
        .map(|custodian| console.write_down(custodian))
        .to_vec();
    console.give_back(&papers[0]);
    console.give_back(&papers[1]);
    let _ = console.expect("The ceremony has ended");
    let (status, said) = console.end();
    assert!(status.success(), "{said}");
    papers
}

fn give(console: &mut Console, papers: &[Paper], custodians: [usize; 2]) {
    for custodian in custodians {
        console.give_back(&papers[custodian]);
    }
}

/// The custodians who open the one backup that there is.
fn backed_up(appliance: &Appliance) -> Vec<String> {
    let folder = appliance.data().join("backups");
    let mut found = fs::read_dir(folder).unwrap();
    let backup = found.next().unwrap().unwrap().path();
    assert!(found.next().is_none());
    let mut restore = appliance.strongroomd();
    let made = restore.arg("restore").arg(backup).arg("--data");
    let made = made.arg(appliance.data().join("restored"));
    let output = made.args(["--dry-run", "--json"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let custodians = &report["manifest"]["recovery"]["recovery_keks"][0]["custodians"];
    serde_json::from_value(custodians.clone()).unwrap()
}

/// Initialises a second token in the appliance's `SoftHSM`, with the PIN of the first.
fn second_token(appliance: &Appliance, label: &str) {
    let pin = fs::read_to_string(appliance.data().join("hsm-pin")).unwrap();
    let so_pin = fs::read_to_string(appliance.data().join("hsm-so-pin")).unwrap();
    let made = std::process::Command::new("softhsm2-util")
        .args(["--init-token", "--free", "--label", label])
        .args(["--pin", pin.trim(), "--so-pin", so_pin.trim()])
        .env("SOFTHSM2_CONF", appliance.data().join("softhsm2.conf"))
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(made.success());
}

fn rotate(admin: &mut Session) -> Result<ChangedMasterKek, Failed> {
    admin.ask("POST", "/v1/master-kek/rotate", &serde_json::json!({}))
}

fn edit_config(appliance: &Appliance, from: &str, to: &str) {
    let text = fs::read_to_string(appliance.config()).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(appliance.config(), text.replace(from, to)).unwrap();
}

#[test]
fn an_appliance_gets_custodians_another_hsm_and_a_replica() {
    let mut appliance = Appliance::start();
    let mut admin = appliance.administrator();
    let mut alice = appliance.person(&mut admin, "alice@example.com");
    let key = alice.create_key("a key", &[]).unwrap().key.id;
    let (_, material) = alice.release(key).unwrap();

    // Not while it serves.
    let busy = ceremony(&appliance, &["renew", "--operator", "Olga"]);
    let (status, said) = busy.end();
    assert!(
        !status.success() && said.contains("stop it first"),
        "{said}"
    );
    appliance.stop();
    appliance.configure("[backup]\nfolder = \"backups\"");
    let papers = renew(&appliance);
    assert_eq!(backed_up(&appliance), CUSTODIANS);
    let transcripts: Vec<_> = fs::read_dir(appliance.data())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with("ceremony-leaf-")
        })
        .collect();
    let [transcript] = transcripts.as_slice() else {
        unreachable!("one transcript: {transcripts:?}")
    };
    let transcript = fs::read_to_string(transcript).unwrap();
    for said in [
        "operators: Olga",
        "share: 3 Chiara, shown ",
        "master KEK: version 2",
        "\n\u{2014} strongroom.local/default ",
    ] {
        assert!(transcript.contains(said), "{said} in {transcript}");
    }
    assert_eq!(appliance.verify_audit()["verified"], true);

    // The HSM dies. Its successor gets the master KEK from two custodians, and everybody who was signed in goes on.
    second_token(&appliance, "successor");
    edit_config(
        &appliance,
        "token = \"strongroom\"",
        "token = \"successor\"",
    );
    let mut console = ceremony(&appliance, &["recover", "folder", "--operator", "Otto"]);
    console.answer("Begin? (yes/no) ", "yes");
    give(&mut console, &papers, [1, 2]);
    let _ = console.expect("The ceremony has ended");
    assert!(console.end().0.success());
    appliance.serve();
    assert_eq!(alice.at(&appliance.api()).release(key).unwrap().1, material);
    let report = appliance.verify_audit();
    assert_eq!(
        (
            &report["verified"],
            report["verifier_keys"].as_array().unwrap().len()
        ),
        (&true.into(), 2)
    );
    // The next version needs the replica too, once there is one.
    appliance.stop();
    second_token(&appliance, "replica");
    appliance.configure(&format!(
        "[hsm.replica]\nmodule = {:?}\ntoken = \"replica\"\npin = \"file:hsm-pin\"\n",
        programs::softhsm()
    ));
    let mut console = ceremony(&appliance, &["replicate", "--operator", "Otto"]);
    console.answer("Begin? (yes/no) ", "yes");
    give(&mut console, &papers, [0, 2]);
    let _ = console.expect("The ceremony has ended");
    assert!(console.end().0.success());
    appliance.serve();
    let mut admin = admin.at(&appliance.api());
    let made = rotate(&mut admin).unwrap();
    assert_eq!(made.version, 3);
    let status = admin.get::<RotationStatus>("/v1/rotation").unwrap();
    assert_eq!(
        status.left, 0,
        "nothing is wrapped by what the replica does not have: {status:?}"
    );
    assert!(rotate(&mut admin).is_err());
    appliance.stop();
    let mut console = ceremony(&appliance, &["replicate", "--operator", "Otto"]);
    console.answer("Begin? (yes/no) ", "yes");
    give(&mut console, &papers, [1, 0]);
    let _ = console.expect("The ceremony has ended");
    assert!(console.end().0.success());
    appliance.serve();
    let mut admin = admin.at(&appliance.api());
    let started = std::time::Instant::now();
    loop {
        let status = admin.get::<RotationStatus>("/v1/rotation").unwrap();
        let newest = status
            .master_keks
            .iter()
            .find(|kek| kek.version == 3)
            .unwrap();
        if status.left == 0 && newest.wrapped == 3 {
            break;
        }
        assert!(started.elapsed().as_secs() < 60, "{status:?}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(alice.at(&appliance.api()).release(key).unwrap().1, material);
    let _ = appliance.person(&mut admin, "carol@example.com");
    appliance.restart();
    let report = appliance.verify_audit();
    assert_eq!(
        (
            &report["verified"],
            report["verifier_keys"].as_array().unwrap().len()
        ),
        (&true.into(), 3)
    );
}

#[test]
fn a_ceremony_wants_a_terminal_and_can_be_interrupted() {
    let appliance = Appliance::new();
    let piped = appliance
        .strongroomd()
        .args(["ceremony", "renew"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&piped.stderr).into_owned();
    assert!(
        !piped.status.success() && said.contains("held at a terminal"),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");

    let words = [
        "renew",
        "--operator",
        "Olga",
        "--custodian",
        "Ada",
        "--custodian",
        "Bruno",
        "--threshold",
        "2",
    ];
    // Ctrl-C and a signal, each while a share is on the screen.
    for by_signal in [false, true] {
        let mut console = ceremony(&appliance, &words);
        console.answer("Begin? (yes/no) ", "yes");
        console.answer("Ada: press Enter to see your share. ", "");
        let _ = console.expect("Press Enter when that is done: ");
        let (status, said) = if by_signal {
            console.terminate()
        } else {
            console.type_line("\x03");
            console.end()
        };
        assert_eq!(status.code(), Some(1), "{said:?}");
        assert!(
            said.contains("\x1b[2J\x1b[3J"),
            "the screen is cleared: {said:?}"
        );
    }
    // Three wrong shares end it.
    let mut console = ceremony(&appliance, &words);
    console.answer("Begin? (yes/no) ", "yes");
    let paper = console.write_down("Ada");
    let _ = console.write_down("Bruno");
    let mut wrong = paper.clone();
    wrong.0.swap(3, 4);
    wrong.0.swap(5, 9);
    for _ in 0..3 {
        console.give_back(&wrong);
        let _ = console.expect("These words are not a share");
    }
    let (status, said) = console.end();
    assert!(
        !status.success() && said.contains("nothing has been changed"),
        "{said}"
    );
    // None of that has changed anything.
    let database = appliance.database();
    for table in [
        "recovery_keks",
        "recovery_blobs",
        "checkpoint_keys",
        "transcripts",
    ] {
        let rows: u32 = database
            .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| {
                row.get(0)
            })
            .unwrap();
        assert_eq!(rows, 0, "{table}");
    }
}
