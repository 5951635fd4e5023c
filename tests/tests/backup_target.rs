//! Backups are sent to a store of the site's, and an appliance is made of one that is there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::thread;
use std::time::{Duration, Instant};

use strongroom_tests::backup_store::BackupStore;
use strongroom_tests::{Appliance, Console, Person, tokens};

/// How long something in the background may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

fn wait_until(what: &str, appliance: &Appliance, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(
            started.elapsed() < PATIENCE,
            "{what}: {}",
            appliance.status()
        );
        thread::sleep(Duration::from_millis(100));
    }
}

/// The backups in a folder.
fn backups(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let backups = paths.filter(|path| path.extension().is_some_and(|end| end == "backup"));
    backups.collect()
}

/// An appliance that sends its backups to a store, and the store.
fn appliance() -> (Appliance, BackupStore) {
    let mut appliance = Appliance::new();
    let store = BackupStore::new(&appliance.ca());
    // In the data folder, where it is made; elsewhere a folder that is missing is a disk that is missing.
    appliance.configure(&store.settings(&appliance.data().join("backups")));
    appliance.serve();
    (appliance, store)
}

fn target(appliance: &Appliance) -> serde_json::Value {
    appliance.status()["watch"]["backup_targets"][0].clone()
}

fn restore(appliance: &Appliance, url: &str, to: &Path, trust: &[&str]) -> Output {
    let mut restore = appliance.strongroomd();
    restore.args(["restore", url, "--data"]).arg(to).args(trust);
    restore.output().unwrap()
}

#[test]
fn each_backup_is_sent_and_restored_from_there() {
    let (mut appliance, mut store) = appliance();
    // Nobody is there yet.
    wait_until("the failure is told", &appliance, || {
        target(&appliance)["failing"]["reason"].is_string()
    });
    let folder = appliance.data().join("backups");
    wait_until("the schedule makes one", &appliance, || {
        backups(&folder).len() == 1
    });
    store.start();
    wait_until("it is sent", &appliance, || {
        let target = target(&appliance);
        target["failing"].is_null() && target["behind"] == 0 && target["leaves"] == 1
    });
    let made = backups(&folder).remove(0);
    let name = made.file_name().unwrap().to_str().unwrap().to_owned();
    assert_eq!(
        fs::read(&made).unwrap(),
        fs::read(store.kept().join(&name)).unwrap()
    );
    let said = appliance.strongroomd().arg("status").output().unwrap();
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(
        said.contains("backup target 127.0.0.1 at https://127.0.0.1")
            && said.contains("has 1 backups"),
        "{said}"
    );

    // What an operator makes in that folder is sent as well, and what was sent is not sent again.
    fs::remove_file(store.kept().join(&name)).unwrap();
    thread::sleep(Duration::from_millis(1100));
    let mut backup = appliance.strongroomd();
    let output = backup.args(["backup", "--to"]).arg(&folder).output();
    assert!(output.unwrap().status.success());
    wait_until("the second is sent", &appliance, || {
        target(&appliance)["leaves"] == 2
    });
    let there = backups(&store.kept());
    assert_eq!(there.len(), 1, "{there:?}");
    let newest = there[0].file_name().unwrap().to_str().unwrap().to_owned();
    appliance.stop();

    // Whom nobody vouches for is not asked, and what is not there is not restored.
    let made = tempfile::tempdir().unwrap();
    let data = made.path().join("data");
    let url = format!("{}{newest}", store.url());
    let ca = store.ca().display().to_string();
    let tls = appliance.data().join("tls");
    let [certificate, key] =
        ["outgoing.pem", "outgoing.key"].map(|name| tls.join(name).display().to_string());
    let own = ["--from-certificate", &certificate, "--from-key", &key];
    let trusted = [&["--from-ca", &ca][..], &own].concat();
    let untrusted = ["--from-ca", &certificate];
    for (url, trust, complaint) in [
        (&url, &[&untrusted[..], &own].concat(), "cannot be had"),
        (&url, &vec!["--from-ca", &ca], "status 400"),
        (&format!("{}none", store.url()), &trusted, "status 404"),
        (&url.replace("https", "http"), &trusted, "cannot be had"),
    ] {
        let output = restore(&appliance, url, &data, trust);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && said.contains(complaint),
            "{said}"
        );
        assert!(!data.exists());
    }
    let output = restore(&appliance, &url, &data, &trusted);
    assert!(output.status.success(), "{output:?}");
    assert!(data.join("strongroom.db").exists());
}

/// An HSM that is still there needs no custodian, whoever made the appliance: what is gone is the machine.
#[test]
fn an_appliance_is_made_anew_beside_the_hsm_that_it_had() {
    let (mut appliance, mut store) = appliance();
    store.start();
    let admin = Person::administrator(&appliance);
    let _ = admin.enrol(appliance.administrator_code()).success();
    wait_until("a backup is sent", &appliance, || {
        target(&appliance)["leaves"] == 1
    });
    appliance.stop();
    let kept = backups(&store.kept()).remove(0);
    let kept = kept.file_name().unwrap().to_str().unwrap();
    let url = format!("{}{kept}", store.url());

    let mut elsewhere = appliance.elsewhere();
    let tls = appliance.data().join("tls");
    let recover = |elsewhere: &Appliance, hsm: &[String]| {
        let mut recover = elsewhere.recover_with(hsm, Path::new(&url));
        recover
            .args(["--operator", "Otto", "--seed-sha256", &"0a".repeat(32)])
            .arg("--from-ca")
            .arg(store.ca())
            .arg("--from-certificate")
            .arg(tls.join("outgoing.pem"))
            .arg("--from-key")
            .arg(tls.join("outgoing.key"));
        let mut console = Console::run(recover);
        console.answer("Begin? (yes/no) ", "yes");
        console.end()
    };
    // Another HSM does not open it.
    let module = strongroom_tests::programs::softhsm().display().to_string();
    let blank = [
        "--initialise-token".to_owned(),
        format!("--module={module}"),
    ];
    let (status, said) = recover(&elsewhere, &blank);
    assert!(
        !status.success() && said.contains("nothing was recovered"),
        "{said}"
    );
    assert!(!elsewhere.config().exists());

    // The one that made it does.
    elsewhere = appliance.elsewhere();
    tokens::move_tokens(&appliance, &elsewhere);
    let pin = appliance.data().join("hsm-pin");
    let own = [
        format!("--module={module}"),
        "--token=strongroom".to_owned(),
        format!("--pin=file:{}", pin.display()),
    ];
    let (status, said) = recover(&elsewhere, &own);
    assert!(
        status.success() && said.contains("The appliance is recovered"),
        "{said}"
    );
    let mut files = fs::read_dir(elsewhere.data())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let transcript = files.find(|file| file.to_string_lossy().contains("ceremony-leaf-"));
    let transcript = fs::read_to_string(transcript.unwrap()).unwrap();
    let seed = format!("SHA-256 {}", "0a".repeat(32));
    assert!(transcript.contains(&seed), "{transcript}");
    elsewhere.serve();
    let again = Person::administrator(&elsewhere);
    let _ = again.login().success();
    assert_eq!(elsewhere.verify_audit()["verified"], true);
}
