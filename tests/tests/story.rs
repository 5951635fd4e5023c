//! The story of the README, typed at the command line: two people, a file, and an administrator who reads none of it.

#![expect(clippy::too_many_lines, reason = "tests")]

use std::fs;
use std::path::Path;

use serde_json::Value;
use strongroom_tests::scan::{Secrets, files_below, holds_preimage};
use strongroom_tests::{Appliance, Person};
use strongroom_wire::id::KeyId;

const REPORT: &[u8] = b"%PDF-1.4\nThe patient is well.\n%%EOF\n";

struct Scene {
    appliance: Appliance,
    admin: Person,
    alice: Person,
    bob: Person,
    /// The enrolment codes that were used.
    codes: Vec<String>,
}

/// An appliance with an administrator, alice and bob, each signed in on a device of their own.
fn scene() -> Scene {
    let appliance = Appliance::start();
    let admin = Person::administrator(&appliance);
    let mut codes = vec![appliance.administrator_code().to_owned()];
    let _ = admin.enrol(&codes[0]).success();
    let _ = admin.login().success();
    let mut person = |name: &str| {
        let created = admin.json(&["accounts", "create", name]);
        let code = created["enrolment_code"].as_str().unwrap().to_owned();
        let person = Person::new(&appliance, name);
        let _ = person.enrol(&code).success();
        let _ = person.login().success();
        codes.push(code);
        person
    };
    let alice = person("alice@example.com");
    let bob = person("bob@example.com");
    Scene {
        appliance,
        admin,
        alice,
        bob,
        codes,
    }
}

/// The file reaches the other device, by whichever way.
fn send(from: &Person, to: &Person, name: &str) {
    fs::copy(from.file(name), to.file(name)).unwrap();
}

/// Protects a file for bob and sends it to him; answers the key.
fn protect(alice: &Person, bob: &Person, name: &str, content: &[u8]) -> String {
    fs::write(alice.file(name), content).unwrap();
    let protected = alice.json(&["protect", name, "--to", "bob@example.com"]);
    send(alice, bob, &format!("{name}.sealed"));
    protected["key_id"].as_str().unwrap().to_owned()
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap()
}

#[test]
fn two_people_and_a_file() {
    let Scene {
        mut appliance,
        alice,
        bob,
        ..
    } = scene();
    let key = protect(&alice, &bob, "report.pdf", REPORT);
    let sealed = read(&alice.file("report.pdf.sealed"));
    assert!(!sealed.windows(11).any(|window| window == b"The patient"));

    // Bob opens it on his device, and so does alice, elsewhere.
    let _ = bob.run(&["open", "report.pdf.sealed"]).success();
    assert_eq!(read(&bob.file("report.pdf")), REPORT);
    let _ = alice
        .run(&["open", "report.pdf.sealed", "-o", "again.pdf"])
        .success();
    assert_eq!(read(&alice.file("again.pdf")), REPORT);
    // What is there is not overwritten unasked.
    fs::write(bob.file("report.pdf"), "his own").unwrap();
    let _ = bob.run(&["open", "report.pdf.sealed"]).failure();
    assert_eq!(read(&bob.file("report.pdf")), b"his own");
    fs::remove_file(bob.file("report.pdf")).unwrap();

    let listed = alice.json(&["keys", "list"]);
    assert_eq!(listed["keys"][0]["id"], *key);
    assert_eq!(listed["keys"][0]["label"], "report.pdf");
    let shown = alice.run(&["keys", "show", &key]).success().stdout;
    assert!(shown.contains("bob@example.com"), "{shown}");

    // Revoked: refused by a sentence that says why, and nothing is left of the attempt.
    let _ = alice
        .run(&["keys", "revoke", &key, "--from", "bob@example.com"])
        .success();
    let sentence = bob.refused(&["open", "report.pdf.sealed"], "grant-revoked");
    assert!(sentence.contains("revoked"), "{sentence}");
    assert_eq!(bob.files(), ["report.pdf.sealed"]);

    // The appliance is stopped and started in the middle; nobody has to sign in again, and nothing has changed.
    appliance.restart();
    bob.refused(&["open", "report.pdf.sealed"], "grant-revoked");
    let _ = alice
        .run(&["keys", "share", &key, "--with", "bob@example.com"])
        .success();

    // Rotated: there is a new version, and the old file still opens.
    let _ = alice.run(&["keys", "rotate", &key]).success();
    assert_eq!(alice.json(&["keys", "list"])["keys"][0]["version"], 2);
    let opened = bob.json(&["open", "report.pdf.sealed"]);
    assert_eq!(opened["version"], 1);
    assert_eq!(read(&bob.file("report.pdf")), REPORT);
    fs::remove_file(bob.file("report.pdf")).unwrap();

    // Destroyed: asked first, and where nobody can answer, not done.
    let asked = alice.run(&["keys", "destroy", &key]).failure();
    assert!(asked.stderr.contains("--yes"), "{asked:?}");
    let _ = bob
        .run(&["open", "report.pdf.sealed", "-o", "still.pdf"])
        .success();
    fs::remove_file(bob.file("still.pdf")).unwrap();
    let _ = alice.run(&["keys", "destroy", &key, "--yes"]).success();
    for person in [&bob, &alice] {
        let sentence = person.refused(
            &["open", "report.pdf.sealed", "-o", "last.pdf"],
            "key-destroyed",
        );
        assert!(sentence.contains("destroyed"), "{sentence}");
        assert!(!person.file("last.pdf").exists());
    }
    appliance.restart();
    bob.refused(&["open", "report.pdf.sealed"], "key-destroyed");
    assert_eq!(bob.files(), ["report.pdf.sealed"]);

    // Every act stands in the audit log, the refused ones too, in the order in which they happened.
    let tail = alice.json(&["audit", "tail", "-n", "1000"]);
    let records = tail["records"].as_array().unwrap();
    let acts: Vec<(&str, bool, &str)> = records
        .iter()
        .filter(|record| record["key"] == *key)
        .map(|record| {
            let actor = record["actor_name"].as_str().unwrap();
            (
                record["act"].as_str().unwrap(),
                record["done"].as_bool().unwrap(),
                actor.split('@').next().unwrap(),
            )
        })
        .collect();
    let expected = [
        ("key.create", true, "alice"),
        ("key.release", true, "alice"),
        ("key.release", true, "bob"),
        ("key.release", true, "alice"),
        ("key.revoke", true, "alice"),
        ("key.release", false, "bob"),
        ("key.share", true, "alice"),
        ("key.rotate", true, "alice"),
        ("key.release", true, "bob"),
        ("key.destroy", true, "alice"),
        ("key.release", false, "alice"),
    ];
    // Some commands were refused twice, and `open` may find the output in its way before it asks for the key: the acts above happened
    // in this order, with more of the same kinds between them.
    let mut seen = acts.iter();
    for act in &expected {
        assert!(
            seen.any(|other| other == act),
            "{act:?} is missing in {acts:?}"
        );
    }
    // For people, too.
    let text = alice.run(&["audit", "tail"]).success().stdout;
    for word in [
        "key.create",
        "key.release",
        "key.revoke",
        "key.share",
        "key.rotate",
        "key.destroy",
        "session.open",
    ] {
        assert!(text.contains(word), "{word} is missing in {text}");
    }
    appliance.stop();
    let report = appliance.verify_audit();
    assert_eq!(report["verified"], true, "{report}");
}

#[test]
fn who_is_not_a_recipient_opens_nothing_and_learns_nothing() {
    let Scene {
        admin,
        alice,
        bob,
        appliance: _running,
        ..
    } = scene();
    fs::write(alice.file("own.txt"), "for myself").unwrap();
    let _ = alice.run(&["protect", "own.txt"]).success();
    send(&alice, &bob, "own.txt.sealed");
    let sentence = bob.refused(&["open", "own.txt.sealed"], "key-not-found");
    assert!(!sentence.contains("alice"), "{sentence}");
    assert_eq!(bob.files(), ["own.txt.sealed"]);
    // The administrator's home is signed in at the administration address, which serves no keys.
    send(&alice, &admin, "own.txt.sealed");
    let _ = admin.run(&["open", "own.txt.sealed"]).failure();
    assert_eq!(admin.files(), ["own.txt.sealed"]);
    // Signed out, nothing opens.
    let _ = alice.run(&["logout"]).success();
    alice.refused(
        &["open", "own.txt.sealed", "-o", "out.txt"],
        "not-signed-in",
    );
    assert!(!alice.file("out.txt").exists());
    let _ = alice.login().success();
    let _ = alice
        .run(&["open", "own.txt.sealed", "-o", "out.txt"])
        .success();
}

#[test]
fn a_wrong_password_or_code_is_refused() {
    let Scene {
        appliance,
        admin,
        codes,
        ..
    } = scene();
    let stranger = Person::new(&appliance, "alice@example.com");
    fs::write(stranger.password_file(), "a mere guess").unwrap();
    let outcome = stranger.login().failure();
    assert_eq!(outcome.status.code(), Some(3), "{outcome:?}");
    // A code that was used up, and one for somebody else.
    let outcome = stranger.enrol(&codes[1]).failure();
    assert_eq!(outcome.status.code(), Some(3), "{outcome:?}");
    let created = admin.json(&["accounts", "create", "carol@example.com"]);
    let code = created["enrolment_code"].as_str().unwrap();
    let _ = stranger.enrol(code).failure();
    let carol = Person::new(&appliance, "carol@example.com");
    let _ = carol.enrol(code).success();
    let _ = carol.login().success();
}

#[test]
fn altered_files_are_refused_and_leave_nothing() {
    let Scene {
        alice,
        bob,
        appliance: _running,
        ..
    } = scene();
    // Some chunks of 16 KiB and a bit.
    let content: Vec<u8> = (0..70_000_u32)
        .map(|n| n.to_le_bytes()[n as usize % 4])
        .collect();
    protect(&alice, &bob, "data.bin", &content);
    let sealed = read(&bob.file("data.bin.sealed"));
    let length = sealed.len();
    let is_refused = |altered: &[u8], what: &str| {
        fs::write(bob.file("data.bin.sealed"), altered).unwrap();
        let outcome = bob.run(&["open", "data.bin.sealed"]).failure();
        assert_eq!(outcome.stdout, "", "{what}");
        assert_eq!(bob.files(), ["data.bin.sealed"], "{what}: {outcome:?}");
        let temporary = files_below(&bob.device().join("tmp"));
        assert!(temporary.is_empty(), "{what}: {temporary:?}");
    };
    for cut in [
        1,
        16,
        17,
        100,
        16_384,
        16_400,
        length / 2,
        length - 100,
        length - 1,
        length,
    ] {
        is_refused(
            &sealed[..length - cut],
            &format!("the last {cut} bytes cut off"),
        );
    }
    // In the header, the first chunk, at the seams, in the last chunk.
    for place in [
        0,
        1,
        5,
        20,
        60,
        120,
        200,
        1000,
        16_384,
        16_500,
        40_000,
        length - 17,
        length - 16,
        length - 1,
    ] {
        let mut altered = sealed.clone();
        altered[place] ^= 1;
        is_refused(&altered, &format!("byte {place} altered"));
    }
    let mut longer = sealed.clone();
    longer.push(0);
    is_refused(&longer, "a byte added");
    let mut swapped = sealed.clone();
    let (first, second) = swapped.split_at_mut(35_000);
    first[1000..20_000].swap_with_slice(&mut second[1000..20_000]);
    is_refused(&swapped, "parts swapped");
    fs::write(bob.file("data.bin.sealed"), &sealed).unwrap();
    let _ = bob.run(&["open", "data.bin.sealed"]).success();
    assert_eq!(read(&bob.file("data.bin")), content);
}

#[test]
fn a_large_file_takes_little_memory() {
    const SIZE: usize = 64 * 1024 * 1024;
    const MOST_KIB: u64 = 48 * 1024;
    let Scene {
        alice,
        bob,
        appliance: _running,
        ..
    } = scene();
    let mut content = vec![0; SIZE];
    for (place, block) in content.chunks_mut(8).enumerate() {
        block.copy_from_slice(&place.to_le_bytes());
    }
    fs::write(alice.file("large.bin"), &content).unwrap();
    let protected = alice
        .run(&["protect", "large.bin", "--to", "bob@example.com"])
        .success();
    assert!(protected.peak_kib < MOST_KIB, "{} KiB", protected.peak_kib);
    fs::rename(alice.file("large.bin.sealed"), bob.file("large.bin.sealed")).unwrap();
    let opened = bob.run(&["open", "large.bin.sealed"]).success();
    assert!(opened.peak_kib < MOST_KIB, "{} KiB", opened.peak_kib);
    assert!(opened.peak_kib > 1024, "the memory was not seen");
    // Not a terminal: no progress bar.
    assert_eq!(opened.stderr, "");
    assert!(
        read(&bob.file("large.bin")) == content,
        "the content differs"
    );
}

#[test]
fn no_secret_touches_the_disk_of_a_device() {
    let Scene {
        appliance,
        admin,
        alice,
        bob,
        codes,
    } = scene();
    let key = protect(&alice, &bob, "report.pdf", REPORT);
    let _ = bob.run(&["open", "report.pdf.sealed"]).success();
    let _ = alice.run(&["keys", "rotate", &key]).success();
    let _ = bob.run(&["keys", "list"]).success();

    let mut secrets = Secrets::new();
    let mut session = appliance.sign_in("alice@example.com");
    let id: KeyId = key.parse().unwrap();
    for version in [1, 2] {
        let (_, material) = session.release_version(id, Some(version)).unwrap();
        secrets.add_bytes(&format!("version {version} of the key"), &material);
    }
    for person in [&admin, &alice, &bob] {
        secrets.add_text("a password", &appliance.password_of(&person.name));
    }
    for code in &codes {
        secrets.add_text("an enrolment code", code);
        secrets.add_text("an enrolment code", &code.replace('-', ""));
    }
    let database = appliance.database();
    let mut statement = database.prepare("SELECT token_hash FROM sessions").unwrap();
    let hashes: Vec<[u8; 32]> = statement
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert!(hashes.len() >= 4, "there are sessions");

    for person in [&admin, &alice, &bob] {
        let files = files_below(&person.device());
        assert!(
            files.iter().any(|file| file.ends_with("home/config.toml")),
            "{files:?}"
        );
        secrets.assert_absent_from_files(&files);
        for file in files {
            assert!(
                !holds_preimage(&read(&file), &hashes),
                "{} holds a session token",
                file.display()
            );
        }
    }
}

#[test]
fn usage_errors_and_absent_appliances_are_said_in_one_sentence() {
    let Scene {
        mut appliance,
        alice,
        ..
    } = scene();
    let outcome = alice.run(&["open", "no-such-file.sealed"]).failure();
    assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
    assert!(
        outcome.stderr.contains("no-such-file.sealed"),
        "{outcome:?}"
    );
    fs::write(alice.file("no-object.sealed"), "not an object at all").unwrap();
    let outcome = alice.run(&["open", "no-object.sealed"]).failure();
    assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
    let sentence = alice.refused(
        &[
            "keys",
            "share",
            &KeyId::generate().to_string(),
            "--with",
            "bob@example.com",
        ],
        "key-not-found",
    );
    assert!(!sentence.is_empty());
    let refused = alice.run(&["keys", "list"]).success();
    assert_eq!(refused.stdout.trim(), "No keys.");

    appliance.stop();
    let outcome = alice.run(&["keys", "list", "--json"]).failure();
    let problem: Value = outcome.problem();
    assert_eq!(problem["code"], "unreachable");
    assert_eq!(outcome.status.code(), Some(5));
    appliance.serve();
    let _ = alice.run(&["keys", "list"]).success();
}
