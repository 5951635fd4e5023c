//! What the command line makes of several addresses, and of objects in somebody's storage.

use std::fs;
use std::net::TcpListener;

use strongroom_tests::Person;
use strongroom_tests::storage::Storage;

use super::{Scene, objects, scene};

#[test]
fn at_the_command_line_another_address_takes_over() {
    let Scene { appliance, .. } = scene();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let dead = format!("https://{}", listener.local_addr().unwrap());
    let person = Person::new(&appliance, "bob@example.com");
    let (ca, password) = (appliance.ca(), person.password_file());
    let url = appliance.client_url();
    let login = [
        "login",
        "bob@example.com",
        "--server",
        &dead,
        "--server",
        &url,
    ];
    let files = [
        "--ca",
        ca.to_str().unwrap(),
        "--password-file",
        password.to_str().unwrap(),
    ];
    drop(listener);
    let login = person.json(&[&login[..], &files].concat());
    assert_eq!(login["server"], dead, "the first is its name");
    fs::write(person.file("note"), "at noon").unwrap();
    let _ = person.json(&["protect", "note"]);
    let _ = person.json(&["open", "note.sealed", "-o", "again"]);
    assert_eq!(fs::read(person.file("again")).unwrap(), b"at noon");

    // Without the other, the one that is dead does not do.
    let config = person.device().join("home/config.toml");
    let text = fs::read_to_string(&config).unwrap();
    let one: Vec<_> = text
        .lines()
        .filter(|line| !line.starts_with("or_at"))
        .collect();
    assert!(text.contains(&url) && one.len() + 1 == text.lines().count());
    fs::write(&config, one.join("\n")).unwrap();
    let refused = person.run(&["open", "note.sealed", "-o", "gone"]).failure();
    assert_eq!(refused.status.code(), Some(5), "{refused:?}");
}

#[test]
fn parts_are_opened_at_the_command_line() {
    let Scene {
        appliance, alice, ..
    } = scene();
    let object = objects::protect_log(&alice, "bob@example.com", 100_000, Vec::new()).unwrap();
    let storage = Storage::start();
    let url = storage.put("log.sealed", object.clone());
    let bob = Person::new(&appliance, "bob@example.com");
    let _ = bob.login().success();
    fs::write(bob.file("log.sealed"), object).unwrap();
    for source in [url.as_str(), "log.sealed"] {
        let before = storage.sent();
        let part = bob.run(&["open", source, "--offset", "750000", "--length", "30"]);
        assert_eq!(part.success().stdout, "line     50000\nline     50001\n");
        assert!(storage.sent() - before < 150_000);
        let rest = ["open", source, "--offset", "1499985", "-o", "rest"];
        let rest = bob.json(&[&rest[..], &["--force"]].concat());
        assert_eq!(rest["bytes"], 15);
        assert_eq!(rest["content_bytes"], 1_500_000);
        assert_eq!(fs::read(bob.file("rest")).unwrap(), b"line     99999\n");
    }
    let whole = bob.json(&["open", &url, "-o", "whole"]);
    assert_eq!(whole["bytes"], 1_500_000);
    bob.refused(&["open", &url, "--offset", "1500001", "-o", "x"], "usage");
    bob.refused(&["open", "-", "--length", "1", "-o", "x"], "usage");
    assert!(!bob.file("x").exists());

    // The storage alters a chunk: what was authentic before it may stand on standard output, and no file is made.
    let mut altered = fs::read(bob.file("log.sealed")).unwrap();
    altered[1_200_000] ^= 1;
    let url = storage.put("altered", altered);
    let refused = bob.run(&["open", &url, "-o", "x"]).failure();
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(!bob.file("x").exists());
    let before = ["open", &url, "--length", "15"];
    assert_eq!(bob.run(&before).success().stdout, "line         0\n");
}
