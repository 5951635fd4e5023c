//! What goes wrong when an appliance is set up or started gives one clear sentence and an exit status of 1.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

use strongroom_tests::Appliance;

/// The one sentence with which a program failed.
fn sentence(output: &Output) -> String {
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(output.stdout, b"", "{said}");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 1, "one sentence: {said}");
    let sentence = lines[0].strip_prefix("strongroomd: ").unwrap();
    assert!(sentence.len() < 400, "{sentence}");
    assert!(!sentence.contains("Error {"), "{sentence}");
    sentence.to_owned()
}

fn run(command: &mut Command) -> Output {
    command.output().unwrap()
}

/// The one sentence with which an appliance does not start.
fn does_not_serve(appliance: &mut Appliance) -> String {
    let ended = appliance.try_serve().unwrap_err();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.log);
    let last = ended.log.lines().last().unwrap();
    last.strip_prefix("strongroomd: ").unwrap().to_owned()
}

#[track_caller]
fn assert_says(sentence: &str, words: &[&str]) {
    for word in words {
        assert!(sentence.contains(word), "{word:?} is not in {sentence:?}");
    }
}

#[test]
fn what_is_initialised_is_not_initialised_again() {
    let mut appliance = Appliance::new();
    let files = strongroom_tests::scan::files_below(&appliance.data());
    let database = fs::read(appliance.data().join("strongroom.db")).unwrap();
    let said = sentence(&run(&mut appliance.init()));
    assert_says(
        &said,
        &["is initialised already", appliance.data().to_str().unwrap()],
    );
    assert_eq!(
        strongroom_tests::scan::files_below(&appliance.data()),
        files
    );
    assert_eq!(
        fs::read(appliance.data().join("strongroom.db")).unwrap(),
        database
    );
    appliance.serve();
    let _ = appliance.administrator();
}

#[test]
fn a_module_that_is_missing_or_is_none_is_named_and_init_can_be_run_again() {
    let appliance = Appliance::blank();
    let no_module = appliance.data().join("softhsm2.conf");
    for (module, words) in [
        (Path::new("/nowhere/libhsm.so"), &["/nowhere/libhsm.so"][..]),
        (no_module.as_path(), &["softhsm2.conf"][..]),
    ] {
        let mut init = appliance.strongroomd();
        init.args(["init", "--initialise-token", "--admin-account", "admin"])
            .args([
                "--client-listen",
                "127.0.0.1:0",
                "--admin-listen",
                "127.0.0.1:0",
            ])
            .arg("--data")
            .arg(appliance.data())
            .arg("--module")
            .arg(module);
        assert_says(&sentence(&run(&mut init)), words);
        assert!(!appliance.config().exists());
    }
    let output = run(&mut appliance.init());
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_port_in_use_is_named() {
    let appliance = Appliance::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for flag in ["--client-listen", "--admin-listen"] {
        let output = run(appliance.strongroomd().args(["serve", flag, &address]));
        assert_says(&sentence(&output), &["cannot listen", &address]);
    }
}

#[test]
fn a_folder_has_one_appliance_at_a_time() {
    let mut appliance = Appliance::start();
    let said = sentence(&run(appliance.strongroomd().arg("serve")));
    assert_says(
        &said,
        &["another strongroomd", appliance.data().to_str().unwrap()],
    );
    // The one that serves is not disturbed, and after a crash its lock is gone.
    let _ = appliance.administrator();
    appliance.kill();
    appliance.serve();
}

#[test]
fn a_newer_schema_is_refused() {
    let mut appliance = Appliance::new();
    let database = appliance.database();
    let version: i64 = database
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    database
        .pragma_update(None, "user_version", version + 1)
        .unwrap();
    drop(database);
    let said = does_not_serve(&mut appliance);
    assert_says(&said, &["strongroom.db", "newer"]);
    let verify = sentence(&run(appliance.strongroomd().args(["audit", "verify"])));
    assert_says(&verify, &["newer"]);
}

#[test]
fn what_is_missing_or_misspelt_in_the_folder_is_named() {
    let mut appliance = Appliance::new();
    let config = fs::read_to_string(appliance.config()).unwrap();
    fs::write(
        appliance.config(),
        format!("{config}\n[limits]\nbodi = 1\n"),
    )
    .unwrap();
    assert_says(
        &does_not_serve(&mut appliance),
        &["strongroom.toml", "bodi"],
    );
    fs::write(appliance.config(), config).unwrap();

    for file in [
        "tls/server.pem",
        "tls/server.key",
        "strongroom.db",
        "strongroom.toml",
    ] {
        let (path, away) = (appliance.data().join(file), appliance.data().join("away"));
        fs::rename(&path, &away).unwrap();
        assert_says(&does_not_serve(&mut appliance), &[file]);
        assert!(!path.exists(), "{file} was made anew");
        fs::rename(&away, &path).unwrap();
    }
    appliance.serve();
}

#[test]
fn another_sites_database_or_token_does_not_fit() {
    let mut appliance = Appliance::new();
    let other = Appliance::new();
    fs::copy(
        other.data().join("strongroom.db"),
        appliance.data().join("strongroom.db"),
    )
    .unwrap();
    assert_says(
        &does_not_serve(&mut appliance),
        &["master-kek", "did not wrap"],
    );
}
