//! The client library's guide: what its README shows is a program, word for word, and that program does what the README says.

use std::fs;
use std::path::Path;
use std::process::Command;

use strongroom_client::{Client, Roots};
use strongroom_tests::proxy::Proxy;
use strongroom_tests::storage::Storage;
use strongroom_tests::{Appliance, programs};
use strongroom_wire::account::AccountKind;

const PASSWORD: &str = "correct horse battery staple";

/// A file of the client library.
fn file(name: &str) -> String {
    fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../client")
            .join(name),
    )
    .unwrap()
}

/// The guide's examples in Rust, without the lines that are not shown.
fn examples(guide: &str) -> Vec<String> {
    let blocks = guide.split("```rust").skip(1);
    blocks
        .map(|block| {
            let block = block.split_once("```").unwrap().0;
            let lines = block.lines().skip(1);
            let shown = lines.filter(|line| *line != "#" && !line.starts_with("# "));
            shown.collect::<Vec<_>>().join("\n")
        })
        .collect()
}

fn without_space(text: &str) -> String {
    text.split_whitespace().collect()
}

#[test]
fn the_guide_is_a_program_word_for_word() {
    let program = without_space(&file("examples/guide.rs"));
    let examples = examples(&file("README.md"));
    assert!(examples.len() >= 7, "{examples:?}");
    for example in examples {
        assert!(
            program.contains(&without_space(&example)),
            "not in examples/guide.rs: {example}"
        );
    }
}

#[test]
fn the_guide_does_what_it_says() {
    let mut appliance = Appliance::blank();
    let module = programs::softhsm();
    appliance.initialise(&[
        "--module",
        module.to_str().unwrap(),
        "--initialise-token",
        "--hostname",
        "keys.example.com",
    ]);
    appliance.serve();
    let ca = fs::read(appliance.ca()).unwrap();
    let client = Client::new(&appliance.client_url(), &Roots::from_pem(&ca).unwrap()).unwrap();
    let mut admin = appliance.administrator();
    for name in ["alice@example.com", "bob@example.com"] {
        let created = admin.create_account(name, AccountKind::Person, &[], None);
        let code = created.unwrap().enrolment_code.unwrap();
        client.enrol(name, &code, PASSWORD.as_bytes()).unwrap();
    }

    let folder = tempfile::tempdir().unwrap();
    let film: Vec<u8> = (0..600_000_u32).flat_map(u32::to_le_bytes).collect();
    fs::write(folder.path().join("film.mp4"), &film).unwrap();
    fs::write(folder.path().join("ca.pem"), &ca).unwrap();
    let storage = Storage::of(folder.path());
    let proxy = Proxy::leading("keys.example.com:8443", appliance.api().client);
    let output = Command::new(programs::example("guide"))
        .arg(storage.url("film.mp4.sealed"))
        .current_dir(folder.path())
        .env("HTTPS_PROXY", proxy.url())
        .env("NO_PROXY", "127.0.0.1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let printed = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<_> = printed.lines().collect();
    let [opened, damaged, mail] = lines.as_slice() else {
        panic!("{printed}");
    };
    assert_eq!([*opened, damaged], ["7 bytes", "fetch it again"]);
    assert!(mail.ends_with(" bytes of mail for bob@example.com"));

    let made = |name: &str| fs::read(folder.path().join(name)).unwrap();
    assert!(made("again.mp4") == film);
    assert!(made("scene") == film[1_000_000..1_065_536]);
    assert!(storage.sent() < 150_000, "{} bytes", storage.sent());
    let sealed = made("log.sealed");
    assert!(!sealed.windows(7).any(|bytes| bytes == b"started"));
    // The first address answered each time.
    let asked = proxy.asked();
    assert!(!asked.is_empty() && asked.iter().all(|asked| asked == "keys.example.com:8443"));
    assert_eq!(appliance.verify_audit()["verified"], true);
}
