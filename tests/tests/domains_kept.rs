//! What must not be lost of a domain, whatever befalls it: while it is closed, moves to another HSM, when the appliance is killed meanwhile, when
//! another domain fails, and by its backups.

use std::fs;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use strongroom_tests::{Appliance, programs};
use strongroom_wire::account::Account;
use strongroom_wire::key::{Algorithm, CreateKeys, NewKey, Protection, Releasable};
use strongroom_wire::problem::Code;

use crate::tenants::{folder_of, names};

/// Puts another token into the appliance's `SoftHSM`, and names it as slot `second`.
fn second_slot(appliance: &Appliance) {
    let folder = appliance.data().join("second");
    let module = programs::softhsm();
    let mut init = appliance.strongroomd();
    let output = init
        .args([
            "init",
            "--initialise-token",
            "--token",
            "second",
            "--module",
        ])
        .arg(&module)
        .args(["--admin-account", "nobody@example.com", "--data"])
        .arg(&folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    appliance.configure(&format!(
        "[hsm.slots.second]\nmodule = \"{}\"\ntoken = \"second\"\npin = \"file:second/hsm-pin\"",
        module.display()
    ));
}

#[test]
fn a_rotation_goes_on_in_a_domain_also_when_it_is_closed() {
    let mut appliance = Appliance::new();
    appliance.configure("[domains]\nopen = 1");
    appliance.serve();
    let mut admin = appliance.new_domain("acme", &[]);
    let mut alice = appliance.person(&mut admin, "alice@example.com");
    let key = alice.create_key("kept", &[]).unwrap().key.id;
    let rotated: Value = admin
        .ask("POST", "/v1/master-kek/rotate", &serde_json::json!({}))
        .unwrap();
    assert_eq!(rotated["version"], 2);
    // Another takes its place in memory.
    let _other = appliance.new_domain("brand", &[]);
    let database = folder_of(&appliance, "acme").join("strongroom.db");
    let started = Instant::now();
    loop {
        // The second to the fifth byte of what is wrapped is the version of the master KEK that wrapped it.
        let database = rusqlite::Connection::open(&database).unwrap();
        let old: u32 = database
            .query_row(
                "SELECT count(*) FROM account_keks WHERE substr(wrapped, 2, 4) < x'00000002'",
                [],
                |row| row.get(0),
            )
            .unwrap();
        if old == 0 {
            break;
        }
        assert!(
            started.elapsed() < Duration::from_secs(30),
            "{}",
            appliance.log()
        );
        thread::sleep(Duration::from_millis(200));
    }
    alice.release(key).unwrap();
    appliance.stop();
}

#[test]
fn a_domain_moves_to_another_slot_while_it_serves() {
    let mut appliance = Appliance::new();
    second_slot(&appliance);
    appliance.serve();
    let mut admin = appliance.new_domain("acme", &[]);
    let mut alice = appliance.person(&mut admin, "alice@example.com");
    let key = alice.create_key("before", &[]).unwrap().key.id;
    let material = alice.release(key).unwrap().1;
    let refused = appliance.domain(&["move", "acme", "--to-slot", "third"]);
    assert!(refused.unwrap_err().contains("no HSM slot"));
    // A key inside the HSM would be lost.
    let request = CreateKeys {
        keys: vec![NewKey {
            protection: Protection::Hsm,
            releasable: Releasable::Never,
            ..NewKey::new(Algorithm::EcP256)
        }],
        release: false,
    };
    let stays = alice.create(&request).unwrap().keys.remove(0).key.id;
    let refused = appliance.domain(&["move", "acme", "--to-slot", "second"]);
    let refused = refused.unwrap_err();
    assert!(refused.contains("never leave it"), "{refused}");
    let shown = appliance.domain(&["show", "acme"]).unwrap();
    assert_eq!(
        (&shown["state"], &shown["slot"]),
        (&"active".into(), &"default".into())
    );
    alice.rotate(stays).unwrap();
    alice.destroy(stays).unwrap();

    let mut released = 0;
    let mut moving = appliance.strongroomd();
    let mut moving = moving
        .args(["domain", "move", "acme", "--to-slot", "second"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let started = Instant::now();
    let status = loop {
        // Requests wait for moments at most; none is refused.
        assert_eq!(alice.release(key).unwrap().1, material);
        released += 1;
        if let Some(status) = moving.try_wait().unwrap() {
            break status;
        }
        assert!(
            started.elapsed() < Duration::from_mins(1),
            "{}",
            appliance.log()
        );
    };
    assert!(status.success(), "{}", appliance.log());
    assert!(released > 10);
    let shown = appliance.domain(&["show", "acme"]).unwrap();
    assert_eq!(
        (&shown["state"], &shown["slot"]),
        (&"active".into(), &"second".into())
    );
    appliance.restart();
    let mut alice = alice.at(alice.api());
    assert_eq!(alice.release(key).unwrap().1, material);
    alice.create_key("after", &[]).unwrap();
    thread::sleep(Duration::from_millis(1500));
    let mut verify = appliance.strongroomd();
    let verified = verify.args(["audit", "verify", "--domain", "acme", "--json"]);
    let report: Value = serde_json::from_slice(&verified.output().unwrap().stdout).unwrap();
    assert_eq!(report["verified"], true, "{report}");
    // The old slot's key ended; the new one's signs.
    assert_eq!(
        report["verifier_keys"].as_array().unwrap().len(),
        2,
        "{report}"
    );
    // It can come back, as nothing of it is left there.
    appliance
        .domain(&["move", "acme", "--to-slot", "default"])
        .unwrap();
    assert_eq!(alice.release(key).unwrap().1, material);
    appliance.stop();
}

#[test]
fn what_a_kill_breaks_off_is_finished_or_taken_back() {
    let mut appliance = Appliance::new();
    second_slot(&appliance);
    appliance.serve();
    let mut admin = appliance.new_domain("kept", &[]);
    let mut alice = appliance.person(&mut admin, "alice@example.com");
    let key = alice.create_key("kept", &[]).unwrap().key.id;
    let material = alice.release(key).unwrap().1;

    // While domains are made, at moments all over it.
    for (round, delay) in [1_u64, 4, 8, 12, 16, 20, 25, 30, 40]
        .into_iter()
        .enumerate()
    {
        let name = format!("made-{round}");
        let mut create = appliance.strongroomd();
        let mut create = create
            .args([
                "domain",
                "create",
                &name,
                "--admin-account",
                "x@example.com",
                "--json",
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(Duration::from_millis(delay));
        appliance.kill();
        let told = create.wait().unwrap().success();
        appliance.serve();
        // Whole or not at all, and if it was told it is there.
        settled(&appliance);
        let there = names(&appliance).contains(&name);
        assert!(there || !told, "{name}: {}", appliance.log());
        assert_eq!(folder_of(&appliance, &name).exists(), there, "{name}");
        let made = appliance.domain(&["create", &name, "--admin-account", "x@example.com"]);
        assert!(made.is_ok(), "{name}: {made:?}");
    }

    // While a domain moves.
    let mut slots = Vec::new();
    for delay in [2_u64, 10, 30, 100, 400] {
        let shown = appliance.domain(&["show", "kept"]).unwrap();
        let to = if shown["slot"] == "default" {
            "second"
        } else {
            "default"
        };
        let mut command = appliance.strongroomd();
        let mut moving = command
            .args(["domain", "move", "kept", "--no-wait", "--to-slot", to])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(Duration::from_millis(delay));
        appliance.kill();
        moving.wait().unwrap();
        appliance.serve();
        settled(&appliance);
        let shown = appliance.domain(&["show", "kept"]).unwrap();
        assert_eq!(shown["state"], "active", "{}", appliance.log());
        slots.push(shown["slot"].to_string());
        let mut alice = alice.at(alice.api());
        assert_eq!(alice.release(key).unwrap().1, material);
    }
    assert!(slots.contains(&"\"second\"".to_owned()), "{slots:?}");

    // While domains are removed.
    for (round, delay) in [1_u64, 3, 6, 9, 14, 20].into_iter().enumerate() {
        let name = format!("made-{round}");
        appliance.domain(&["suspend", &name]).unwrap();
        let mut command = appliance.strongroomd();
        let mut removing = command
            .args(["domain", "remove", &name, "--confirm", &name])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(Duration::from_millis(delay));
        appliance.kill();
        let told = removing.wait().unwrap().success();
        appliance.serve();
        settled(&appliance);
        let there = names(&appliance).contains(&name);
        assert!(!there || !told, "{name}");
        assert_eq!(folder_of(&appliance, &name).exists(), there, "{name}");
        if there {
            appliance
                .domain(&["remove", &name, "--confirm", &name])
                .unwrap();
        }
    }
    assert_eq!(alice.at(alice.api()).release(key).unwrap().1, material);
    assert_eq!(appliance.verify_audit()["verified"], true);
    appliance.stop();
}

/// Waits until nothing that was begun with a domain is left to do.
fn settled(appliance: &Appliance) {
    let started = Instant::now();
    loop {
        let list = appliance.domain(&["list"]).unwrap();
        let busy =
            |domain: &&Value| !["active", "suspended"].contains(&domain["state"].as_str().unwrap());
        let Some(domain) = list.as_array().unwrap().iter().find(busy).cloned() else {
            return;
        };
        assert!(
            started.elapsed() < Duration::from_secs(30),
            "{domain}: {}",
            appliance.log()
        );
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_domain_that_fails_concerns_itself_only() {
    let mut appliance = Appliance::start();
    let acme = appliance.new_domain("acme", &[]);
    let brand = appliance.new_domain("brand", &[]);
    appliance.stop();
    fs::write(
        folder_of(&appliance, "acme").join("strongroom.db"),
        "no database",
    )
    .unwrap();
    appliance.serve();
    let mut brand = brand.at(brand.api());
    brand.get::<Account>("/v1/accounts/me").unwrap();
    let refused = acme.at(acme.api()).get::<Account>("/v1/accounts/me");
    let problem = refused.unwrap_err().problem();
    assert_eq!(problem.code, Code::Unavailable);
    assert!(problem.retry_after.is_some());
    let health = appliance.api().health().unwrap();
    assert_eq!(health.failing_domains, 1);
    assert_eq!(health.status, strongroom_wire::health::Status::Ok);
    assert!(!appliance.log().contains("acme\""), "{}", appliance.log());
    appliance.stop();
}

#[test]
fn each_domain_is_backed_up_and_restored_by_itself() {
    let mut appliance = Appliance::start();
    let mut acme = appliance.new_domain("acme", &[]);
    let mut alice = appliance.person(&mut acme, "alice@example.com");
    let key = alice.create_key("kept", &[]).unwrap().key.id;
    let material = alice.release(key).unwrap().1;
    thread::sleep(Duration::from_millis(1500));
    let folder = tempfile::tempdir().unwrap();
    let backup = folder.path().join("acme.backup");
    let mut command = appliance.strongroomd();
    let made = command
        .args(["backup", "--domain", "acme", "--to"])
        .arg(&backup)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    // It is no backup of the first domain.
    let mut command = appliance.strongroomd();
    let elsewhere = folder.path().join("first");
    let other = command
        .arg("restore")
        .arg(&backup)
        .arg("--data")
        .arg(&elsewhere)
        .output()
        .unwrap();
    assert!(!other.status.success(), "{other:?}");

    appliance.stop();
    let here = folder_of(&appliance, "acme");
    fs::rename(&here, folder.path().join("lost")).unwrap();
    let mut command = appliance.strongroomd();
    let restored = command
        .args(["restore", "--domain", "acme"])
        .arg(&backup)
        .arg("--data")
        .arg(&here)
        .output()
        .unwrap();
    assert!(restored.status.success(), "{restored:?}");
    appliance.serve();
    let mut alice = alice
        .api()
        .sign_in(
            "alice@example.com",
            &appliance.password_of("alice@example.com"),
        )
        .unwrap();
    assert_eq!(alice.release(key).unwrap().1, material);
    appliance.stop();
}
