//! Updates of the image, and what else it tells: sent over the interface and by the command line, refused where they must be, ordered from those who run as root; and a new
//! release, which proves itself before anybody is answered, or leaves everything as it was.

mod recovery_key;
mod reset;
mod trials;

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use strongroom_tests::api::{Failed, read};
use strongroom_tests::image::{Image, RUNNING, Wanted};
use strongroom_tests::person::Person;
use strongroom_tests::{Appliance, Session};
use strongroom_update::Flavour;
use strongroom_wire::account::{Done, Role};
use strongroom_wire::audit::{Act, Record};
use strongroom_wire::problem::{Code, Problem};
use strongroom_wire::update::{ApplianceRelease, OrderedInstall, ReceivedUpdate, Slot};

/// How long anything may take before the test fails.
const PATIENCE: Duration = Duration::from_mins(1);

fn appliance() -> (Appliance, Image) {
    let mut appliance = Appliance::new();
    let image = Image::of(&mut appliance);
    (appliance, image)
}

fn send(session: &mut Session, offset: usize, piece: &[u8]) -> Result<ReceivedUpdate, Failed> {
    let path = format!("/v1/appliance/update?offset={offset}");
    let answer = session.send("PUT", &path, Some(piece))?;
    read(&answer)
}

fn refused(session: &mut Session, offset: usize, piece: &[u8]) -> Problem {
    send(session, offset, piece).unwrap_err().problem()
}

fn release(session: &mut Session) -> ApplianceRelease {
    session.get("/v1/appliance/release").unwrap()
}

fn auditor(appliance: &Appliance, admin: &mut Session) -> Session {
    let name = "otto@example.com";
    let otto = appliance.person(admin, name);
    let path = format!("/v1/accounts/{}", otto.account.id);
    let roles = json!({ "roles": [Role::Auditor.as_str()] });
    let _: Value = admin.ask("PATCH", &path, &roles).unwrap();
    appliance.sign_in(name)
}

/// The leaves about updates and the data partition, the oldest first.
fn told(auditor: &mut Session) -> Vec<Record> {
    let mut records = auditor.records_after(None).unwrap();
    let of_the_image = |act: &str| act.starts_with("update.") || act.starts_with("data-recovery.");
    records.retain(|record| of_the_image(record.act.as_str()));
    records.sort_by_key(|record| record.index);
    records
}

fn acts(records: &[Record]) -> Vec<(Act, bool)> {
    let acts = records.iter().map(|record| (record.act, record.done));
    acts.collect()
}

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "in vain: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn an_update_is_sent_in_pieces_and_goes_on_where_it_was_cut_off() {
    let (mut appliance, image) = appliance();
    appliance.serve();
    let mut admin = appliance.administrator();
    let otto = auditor(&appliance, &mut admin);
    let update = image.update(Wanted::default());

    let before = release(&mut admin);
    assert_eq!(before.running.version, RUNNING);
    assert_eq!((before.running.slot, before.trial), (Slot::A, false));
    assert!(before.receiving.is_none() && before.staged.is_none());

    let received = send(&mut admin, 0, &update[..5000]).unwrap();
    assert_eq!((received.offset, received.leaf), (5000, None));
    assert_eq!(received.length, update.len() as u64);
    // It was cut off, and the appliance was started again: it knows how far it is.
    appliance.restart();
    let mut admin = admin.at(&appliance.api());
    let receiving = release(&mut admin).receiving.unwrap();
    assert_eq!(
        (receiving.offset, receiving.version.as_str()),
        (5000, "0.2.0")
    );
    for wrong in [4999, 5001, 60_000] {
        let problem = refused(&mut admin, wrong, &update[wrong..wrong + 10]);
        assert_eq!(problem.code, Code::Conflict);
        assert!(problem.detail.contains("offset 5000"), "{}", problem.detail);
    }
    let received = send(&mut admin, 5000, &update[5000..60_000]).unwrap();
    assert_eq!(received.offset, 60_000);
    assert!(!image.inbox("staged.update").exists());
    let received = send(&mut admin, 60_000, &update[60_000..]).unwrap();
    let leaf = received.leaf.unwrap();
    assert_eq!(fs::read(image.inbox("staged.update")).unwrap(), update);
    assert!(!image.inbox("incoming").exists());
    let staged = release(&mut admin).staged.unwrap();
    assert_eq!(
        (staged.version.as_str(), staged.security_version),
        ("0.2.0", 3)
    );

    // Installing and restarting are orders to those who run as root.
    let ordered: OrderedInstall = admin
        .ask("POST", "/v1/appliance/update/install", &json!({}))
        .unwrap();
    assert_eq!(ordered.version, "0.2.0");
    for (method, path) in [
        ("POST", "/v1/appliance/update/install"),
        ("POST", "/v1/appliance/restart"),
        ("DELETE", "/v1/appliance/update"),
    ] {
        let busy = admin.ask::<Value>(method, path, &json!({})).unwrap_err();
        assert_eq!(busy.code(), Code::Conflict, "{method} {path}");
    }
    assert_eq!(
        image.take("install").unwrap(),
        json!({ "version": "0.2.0" })
    );
    // It is begun with, and nobody has said what came of it.
    assert!(release(&mut admin).installing);
    image.say(&json!({ "installed": null }));
    assert!(release(&mut admin).installing);
    let at = "2026-12-01T10:00:00Z";
    let installed = json!({ "version": "0.2.0", "security_version": 3, "at": at });
    image.say(&json!({ "installed": installed }));
    let now = release(&mut admin);
    assert!(!now.installing);
    assert_eq!(now.installed.unwrap().version, "0.2.0");
    until("what is installed is not staged", || {
        (!image.inbox("staged.update").exists()).then_some(())
    });
    let _: Done = admin
        .ask("POST", "/v1/appliance/restart", &json!({}))
        .unwrap();
    assert!(release(&mut admin).restarting);
    assert_eq!(
        image.take("restart").unwrap(),
        json!({ "version": "0.2.0" })
    );

    let mut otto = otto.at(&appliance.api());
    let records = told(&mut otto);
    assert_eq!(
        acts(&records),
        [
            (Act::UpdateStage, true),
            (Act::UpdateInstall, true),
            (Act::UpdateInstalled, true),
            (Act::UpdateRestart, true),
        ]
    );
    assert_eq!(records[0].index, leaf);
    let sha256 = hex::encode(aws_lc_rs::digest::digest(
        &aws_lc_rs::digest::SHA256,
        &update,
    ));
    assert_eq!(
        records[0].note.as_deref(),
        Some(format!("version 0.2.0, security version 3, sha256 {sha256}").as_str())
    );
    assert!(records[1].actor.is_some() && records[2].actor.is_none());
}

#[test]
fn what_is_no_update_for_this_machine_is_refused_before_a_byte_is_written() {
    let (mut appliance, image) = appliance();
    appliance.serve();
    let mut admin = appliance.administrator();
    let mut otto = auditor(&appliance, &mut admin);
    let good = image.update(Wanted::default());
    let elsewhere = Image::of(&mut Appliance::blank());
    let mut tampered = good.clone();
    tampered[40] ^= 1;

    let cases: [(&str, Vec<u8>, Code); 9] = [
        (
            "no update",
            b"#!/bin/sh\nrm -rf /\n".repeat(5000),
            Code::UpdateRefused,
        ),
        (
            "another key",
            elsewhere.update(Wanted::default()),
            Code::UpdateRefused,
        ),
        ("a changed head", tampered, Code::UpdateRefused),
        (
            "another flavour",
            image.update(Wanted {
                flavour: Flavour::Metal,
                ..Wanted::default()
            }),
            Code::UpdateRefused,
        ),
        (
            "a lower security version",
            image.update(Wanted {
                security_version: 2,
                ..Wanted::default()
            }),
            Code::Downgrade,
        ),
        (
            "the version that runs",
            image.update(Wanted {
                version: RUNNING,
                ..Wanted::default()
            }),
            Code::Downgrade,
        ),
        (
            "an older version",
            image.update(Wanted {
                version: "0.1.0-rc.1",
                ..Wanted::default()
            }),
            Code::Downgrade,
        ),
        ("half a head", good[..200].to_vec(), Code::Invalid),
        (
            "more than the disk has",
            image.promise(1 << 60),
            Code::StorageFull,
        ),
    ];
    for (what, update, code) in &cases {
        let problem = refused(&mut admin, 0, update);
        assert_eq!(problem.code, *code, "{what}: {}", problem.detail);
        let leaf = matches!(code, Code::UpdateRefused | Code::Downgrade);
        assert_eq!(problem.leaf.is_some(), leaf, "{what}");
        assert!(
            fs::read_dir(image.inbox("")).unwrap().next().is_none(),
            "{what}"
        );
    }
    // What the TPM counts is more than what runs says.
    image.say(&json!({ "least_security_version": 4 }));
    let problem = refused(&mut admin, 0, &good);
    assert_eq!(problem.code, Code::Downgrade);
    assert!(
        problem.detail.contains("nothing below 4"),
        "{}",
        problem.detail
    );
    image.say(&json!({}));
    let records = told(&mut otto);
    assert_eq!(acts(&records), [(Act::UpdateStage, false); 8]);
}

#[test]
fn what_is_not_what_was_signed_is_refused_when_it_is_whole() {
    let (mut appliance, image) = appliance();
    appliance.serve();
    let mut admin = appliance.administrator();
    let mut otto = auditor(&appliance, &mut admin);
    let good = image.update(Wanted::default());

    // A part that is not the one which was signed shows at the end, and nothing of the update stays.
    for (place, part) in [(good.len() - 1, "verity"), (good.len() - 50_000, "root")] {
        let mut altered = good.clone();
        altered[place] ^= 0x10;
        send(&mut admin, 0, &altered[..60_000]).unwrap();
        let problem = refused(&mut admin, 60_000, &altered[60_000..]);
        assert_eq!(problem.code, Code::UpdateRefused);
        assert!(problem.detail.contains(part), "{}", problem.detail);
        assert!(fs::read_dir(image.inbox("")).unwrap().next().is_none());
    }
    // Neither does anything follow the last part.
    send(&mut admin, 0, &good[..60_000]).unwrap();
    let longer = [&good[60_000..], b"x"].concat();
    assert_eq!(
        refused(&mut admin, 60_000, &longer).code,
        Code::UpdateRefused
    );
    let too_much = vec![0; strongroom_wire::update::PIECE_MAX + 1];
    assert_eq!(refused(&mut admin, 60_000, &too_much).code, Code::TooLarge);
    let records = told(&mut otto);
    assert_eq!(acts(&records), [(Act::UpdateStage, false); 3]);
}

#[test]
fn who_does_not_look_after_the_machine_neither_sends_nor_orders_anything() {
    let (mut appliance, image) = appliance();
    appliance.serve();
    let mut admin = appliance.administrator();
    let mut otto = auditor(&appliance, &mut admin);
    let good = image.update(Wanted::default());
    send(&mut admin, 0, &good[..60_000]).unwrap();
    let mut alice = appliance.person(&mut admin, "alice@example.com");
    for session in [&mut alice, &mut otto] {
        assert_eq!(refused(session, 0, &good).code, Code::NotPermitted);
        for (method, path) in [
            ("POST", "/v1/appliance/update/install"),
            ("POST", "/v1/appliance/restart"),
            ("DELETE", "/v1/appliance/update"),
            ("GET", "/v1/appliance/release"),
        ] {
            let no = session.send(method, path, None).unwrap().problem();
            assert_eq!(no.code, Code::NotPermitted, "{method} {path}");
        }
    }
    let _: Done = admin.delete("/v1/appliance/update").unwrap();
    assert!(release(&mut admin).receiving.is_none());
    let none = admin.delete::<Done>("/v1/appliance/update").unwrap_err();
    assert_eq!(none.code(), Code::Conflict);
    // Of those who may not: what they tried to drop, and the restart.
    let records = told(&mut otto);
    let tried = [(Act::UpdateRestart, false), (Act::UpdateDrop, false)];
    let tried = [tried, tried].concat();
    assert_eq!(
        acts(&records),
        [tried, vec![(Act::UpdateDrop, true)]].concat()
    );
}

#[test]
fn an_appliance_without_an_image_says_so() {
    let appliance = Appliance::start();
    let mut admin = appliance.administrator();
    for (method, path) in [
        ("GET", "/v1/appliance/release"),
        ("PUT", "/v1/appliance/update?offset=0"),
        ("DELETE", "/v1/appliance/update"),
        ("POST", "/v1/appliance/update/install"),
        ("POST", "/v1/appliance/restart"),
    ] {
        let problem = admin.send(method, path, Some(b"{}")).unwrap().problem();
        assert_eq!(problem.code, Code::NotAnImage, "{method} {path}");
    }
}

#[test]
fn the_machine_is_not_the_business_of_another_domain() {
    let (mut appliance, image) = appliance();
    appliance.serve();
    let mut admin = appliance.new_domain("acme", &[]);
    let update = image.update(Wanted::default());
    assert_eq!(refused(&mut admin, 0, &update).code, Code::NotPermitted);
    let no = admin.get::<Value>("/v1/appliance/release").unwrap_err();
    assert_eq!(no.code(), Code::NotPermitted);
}

#[test]
fn the_command_line_sends_installs_and_restarts() {
    let (mut appliance, image) = appliance();
    appliance.serve();
    let admin = Person::administrator(&appliance);
    let mut session = appliance.administrator();
    let _ = admin.login().success();
    // More than one piece; the first was sent before.
    let update = image.update(Wanted {
        root: 20 * 1024 * 1024,
        ..Wanted::default()
    });
    fs::write(admin.file("new.update"), &update).unwrap();
    let sent = 3 * 1024 * 1024;
    send(&mut session, 0, &update[..sent]).unwrap();
    let shown = admin.run(&["appliance", "release"]);
    let text = shown.success().stdout.clone();
    assert!(
        text.contains(&format!("0.2.0, {sent} of {} bytes", update.len())),
        "{text}"
    );

    let answer = thread::scope(|scope| {
        let ran = scope.spawn(|| {
            let line = [
                "appliance",
                "update",
                "new.update",
                "--install",
                "--restart",
                "--json",
            ];
            admin.run(&line)
        });
        // Root's part.
        until("an order to install", || image.take("install"));
        assert_eq!(fs::read(image.inbox("staged.update")).unwrap(), update);
        let installed =
            json!({ "version": "0.2.0", "security_version": 3, "at": "2026-12-01T10:00:00Z" });
        image.say(&json!({ "installed": installed }));
        let ran = ran.join().unwrap();
        serde_json::from_str::<Value>(&ran.success().stdout).unwrap()
    });
    assert_eq!(answer["version"], "0.2.0");
    assert_eq!(answer["installed"]["at"], "2026-12-01T10:00:00.000Z");
    assert!(answer["staged_leaf"].as_u64() < answer["install_leaf"].as_u64());
    assert!(answer["install_leaf"].as_u64() < answer["restart_leaf"].as_u64());
    assert!(image.take("restart").is_some());

    // Another update is not gone on with where this one was; and one that root refuses is an error.
    let other = image.update(Wanted {
        version: "0.3.0",
        ..Wanted::default()
    });
    let third = image.update(Wanted {
        version: "0.4.0",
        ..Wanted::default()
    });
    send(&mut session, 0, &third[..50_000]).unwrap();
    fs::write(admin.file("other.update"), &other).unwrap();
    let failed = thread::scope(|scope| {
        let ran = scope.spawn(|| admin.run(&["appliance", "update", "other.update", "--install"]));
        until("an order to install", || image.take("install"));
        assert_eq!(fs::read(image.inbox("staged.update")).unwrap(), other);
        let refused =
            json!({ "version": "0.3.0", "why": "the disk fails", "at": "2026-12-01T11:00:00Z" });
        image.say(&json!({ "refused": refused }));
        ran.join().unwrap()
    });
    assert!(!failed.status.success());
    assert!(
        failed.stderr.contains("the disk fails"),
        "{}",
        failed.stderr
    );
    let _ = admin.run(&["appliance", "drop"]).success();
    assert!(!image.inbox("staged.update").exists());
}
