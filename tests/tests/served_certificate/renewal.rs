//! The appliance's own authority makes another certificate: when the old one grows old, and when it is to be for other names. One that a site brought stays.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{CertificateParams, KeyPair};
use rustix::process::Signal;
use serde_json::{Value, json};
use strongroom_tests::Appliance;
use strongroom_wire::account::Role;
use strongroom_wire::audit::{Act, Record};
use strongroom_wire::encoding::Timestamp;

use super::{files, issue, put, wait_until};

/// What every appliance's certificate is for.
const ALWAYS: [&str; 4] = ["127.0.0.1", "::1", "localhost", "strongroom.local"];

/// What an operator is told of the certificate.
fn told(appliance: &Appliance, words: &[&str]) -> Result<Value, String> {
    let output = appliance.operate(&[&["certificate"], words, &["--json"]].concat(), "");
    if output.stdout.is_empty() {
        return Err(String::from_utf8(output.stderr).unwrap());
    }
    Ok(serde_json::from_slice(&output.stdout).unwrap())
}

fn shown(appliance: &Appliance) -> Value {
    told(appliance, &["show"]).unwrap()
}

fn and_always(names: &[&str]) -> Value {
    let mut all = [&ALWAYS, names].concat();
    all.sort_unstable();
    json!(all)
}

/// The leaves of renewals, the oldest first.
fn renewals(appliance: &Appliance) -> Vec<Record> {
    let mut admin = appliance.administrator();
    let name = "otto@example.com";
    let otto = appliance.person(&mut admin, name);
    let path = format!("/v1/accounts/{}", otto.account.id);
    let roles = json!({ "roles": [Role::Auditor.as_str()] });
    let _: Value = admin.ask("PATCH", &path, &roles).unwrap();
    let mut records = appliance.sign_in(name).records_after(None).unwrap();
    records.retain(|record| record.act == Act::CertificateRenew);
    records.sort_by_key(|record| record.index);
    records
}

#[test]
fn it_is_for_the_names_that_the_configuration_says() {
    let mut appliance = Appliance::new();
    let [certificate, key] = files(&appliance);
    let key_before = fs::read(&key).unwrap();
    appliance.serve();
    let before = shown(&appliance);
    assert_eq!(before["names"], and_always(&[]));
    assert_eq!(before["own"], true);
    appliance.stop();

    appliance.configure("[tls]\nnames = [\"Keys.example.com\", \"2001:db8::7\"]");
    appliance.serve();
    wait_until(&appliance, || {
        shown(&appliance)["names"] == and_always(&["keys.example.com", "2001:db8::7"])
    });
    let now = shown(&appliance);
    assert_ne!(now["fingerprint"], before["fingerprint"]);
    assert_eq!(fs::read(&key).unwrap(), key_before, "the key stays");
    let mode = fs::metadata(&certificate).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let records = renewals(&appliance);
    let [record] = records.as_slice() else {
        panic!("{records:?}")
    };
    assert!(record.done && record.actor.is_none());
    let note = record.note.as_deref().unwrap();
    let expected = format!(
        "fingerprint {}, until ",
        now["fingerprint"].as_str().unwrap()
    );
    assert!(note.starts_with(&expected), "{note}");
    assert!(note.contains("keys.example.com"), "{note}");

    // Names by hand would be taken back at once.
    let refused = told(&appliance, &["renew", "--name", "other.example"]).unwrap_err();
    assert!(
        refused.contains("[tls] names of the configuration"),
        "{refused}"
    );
    let again = told(&appliance, &["renew"]).unwrap();
    assert_ne!(again["fingerprint"], now["fingerprint"]);
    assert_eq!(again["names"], now["names"]);
}

#[test]
fn it_is_renewed_by_hand_and_for_what_a_file_says() {
    let mut appliance = Appliance::start();
    let by_hand = told(&appliance, &["renew", "--name", "keys.example.com"]).unwrap();
    assert_eq!(by_hand["names"], and_always(&["keys.example.com"]));
    // It keeps them.
    let again = told(&appliance, &["renew"]).unwrap();
    assert_eq!(again["names"], by_hand["names"]);
    let wrong = told(&appliance, &["renew", "--name", "keys example"]).unwrap_err();
    assert!(
        wrong.contains("neither a host name nor an address"),
        "{wrong}"
    );
    assert_eq!(renewals(&appliance).len(), 2);
    appliance.stop();

    let said = appliance.data().join("said");
    let arguments: [OsString; 2] = ["--names".into(), said.clone().into()];
    appliance.set_arguments(&arguments);
    appliance.serve();
    assert_eq!(
        shown(&appliance)["names"],
        by_hand["names"],
        "nothing is said"
    );
    for names in ["192.0.2.7\nkeys.example.com\n", "192.0.2.9\n"] {
        fs::write(&said, names).unwrap();
        let expected = and_always(&names.split_whitespace().collect::<Vec<_>>());
        wait_until(&appliance, || shown(&appliance)["names"] == expected);
    }
    let refused = told(&appliance, &["renew", "--name", "other.example"]).unwrap_err();
    assert!(refused.contains(said.to_str().unwrap()), "{refused}");
}

#[test]
fn an_old_one_is_renewed_with_what_is_sent_behind_it() {
    let mut appliance = Appliance::new();
    let files = files(&appliance);
    let mut params = CertificateParams::new(ALWAYS.map(str::to_owned)).unwrap();
    set_life(&mut params, 300, 100);
    let [pem, key] = issue(&appliance, params);
    let authority = fs::read_to_string(appliance.ca()).unwrap();
    put(&files, &[pem + &authority, key]);
    appliance.serve();
    wait_until(&appliance, || lapses_in_days(&appliance) > 300);
    let chain = fs::read_to_string(&files[0]).unwrap();
    assert_eq!(chain.matches("BEGIN CERTIFICATE").count(), 2);
    let same = |text: &str| text.replace("\r\n", "\n");
    assert!(same(&chain).ends_with(&same(&authority)), "{chain}");
    assert!((395..=397).contains(&lapses_in_days(&appliance)));
    assert_eq!(renewals(&appliance).len(), 1);
}

/// It was valid for so many days, and is for so many more.
fn set_life(params: &mut CertificateParams, past: u64, left: u64) {
    let days = |number: u64| Duration::from_hours(24 * number);
    params.not_before = (SystemTime::now() - days(past)).into();
    params.not_after = (SystemTime::now() + days(left)).into();
}

fn lapses_in_days(appliance: &Appliance) -> u64 {
    let lapses: Timestamp = serde_json::from_value(shown(appliance)["lapses"].clone()).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    (lapses.as_millis() / 1000).saturating_sub(now.as_secs()) / (24 * 3600)
}

/// The tests' own clients believe the appliance's authority alone: what there is to see here operators are told.
#[test]
fn one_that_a_site_brought_is_never_touched() {
    let mut appliance = Appliance::start();
    let files = files(&appliance);
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["keys.example.com".to_owned()]).unwrap();
    // It is older than any that the appliance would keep.
    set_life(&mut params, 300, 20);
    let brought = params.self_signed(&key).unwrap().pem();
    put(&files, &[brought.clone(), key.serialize_pem()]);
    appliance.signal(Signal::HUP);
    wait_until(&appliance, || shown(&appliance)["own"] == false);
    let refused = told(&appliance, &["renew"]).unwrap_err();
    assert!(
        refused.contains("it is whoever made it who renews it"),
        "{refused}"
    );
    appliance.stop();
    appliance.configure("[tls]\nnames = [\"other.example.com\"]");
    appliance.listen().unwrap();
    wait_until(&appliance, || appliance.status()["state"] == "serving");
    let refused = told(&appliance, &["renew"]).unwrap_err();
    assert!(
        refused.contains("it is whoever made it who renews it"),
        "{refused}"
    );
    // Longer than the appliance waits between two looks.
    thread::sleep(Duration::from_secs(7));
    assert_eq!(fs::read_to_string(&files[0]).unwrap(), brought);
}
