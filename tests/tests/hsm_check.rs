//! `strongroomd hsm check` tells an operator what an HSM offers and how fast it is, also where the appliance cannot use it.

use std::fs;
use std::process::Output;

use serde_json::Value;
use strongroom_tests::{Appliance, programs};

fn check(appliance: &Appliance, arguments: &[&str], input: &str) -> Output {
    let all = ["hsm", "check", "--seconds", "0.05"];
    let all: Vec<&str> = all.iter().chain(arguments).copied().collect();
    appliance.operate(&all, input)
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.clone(), output.stderr.clone()].concat()).into_owned()
}

/// The row of the table that begins with this mechanism.
fn row<'a>(text: &'a str, mechanism: &str) -> Vec<&'a str> {
    let mut rows = text.lines().map(str::split_whitespace);
    let row = rows.find(|row| row.clone().next() == Some(mechanism));
    row.unwrap().collect()
}

fn files(appliance: &Appliance) -> Vec<std::path::PathBuf> {
    strongroom_tests::scan::files_below(&appliance.data().join("tokens"))
}

#[test]
fn a_token_is_described_and_measured_and_nothing_is_left_in_it() {
    let appliance = Appliance::new();
    let before = files(&appliance);
    let checked = check(&appliance, &[], "");
    let said = text(&checked);
    assert!(checked.status.success(), "{said}");
    for words in [
        "the primary HSM (token \"strongroom\")",
        "SoftHSM",
        "wraps by    AES-KW (RFC 3394)",
        "The appliance can use it.",
    ] {
        assert!(said.contains(words), "{words:?} is not in {said}");
    }
    assert_eq!(row(&said, "CKM_AES_KEY_WRAP")[1..3], ["yes", "yes"]);
    assert_eq!(row(&said, "CKM_AES_KEY_WRAP_PAD")[1..3], ["yes", "no"]);
    assert_eq!(files(&appliance), before);

    // The same, named at the command line, as JSON.
    let (module, pin) = (
        programs::softhsm(),
        format!("file:{}", appliance.data().join("hsm-pin").display()),
    );
    let named = [
        "--module",
        module.to_str().unwrap(),
        "--pin",
        &pin,
        "--json",
    ];
    let checked = check(&appliance, &named, "");
    assert!(checked.status.success(), "{}", text(&checked));
    let report: Value = serde_json::from_slice(&checked.stdout).unwrap();
    let hsm = &report["hsms"][0];
    assert_eq!(hsm["module"], module.to_str().unwrap());
    assert_eq!(hsm["token"]["label"], "strongroom");
    assert_eq!(hsm["mechanisms"].as_array().unwrap().len(), 6);
    let kept = hsm["named_keys"].as_array().unwrap();
    for key_type in ["RSA-4096", "P-256", "Ed25519", "AES-256", "HMAC-SHA-256"] {
        assert!(kept.contains(&key_type.into()), "{hsm}");
    }
    for figure in ["wraps", "unwraps", "signatures"] {
        assert!(hsm[figure].as_f64().unwrap() > 10.0, "{hsm}");
    }
    assert_eq!(hsm["problem"], Value::Null);

    // With the PIN typed.
    let pin = fs::read_to_string(appliance.data().join("hsm-pin")).unwrap();
    let asked = ["--module", module.to_str().unwrap(), "--pin", "prompt"];
    let checked = check(&appliance, &asked, &pin);
    assert!(checked.status.success(), "{}", text(&checked));
}

#[test]
fn what_is_missing_is_named_with_what_there_is() {
    let appliance = Appliance::new();
    let softhsm = appliance.data().join("softhsm2.conf");
    let settings = fs::read_to_string(&softhsm).unwrap();
    let (generate, pairs) = ("CKM_AES_KEY_GEN", "CKM_EC_EDWARDS_KEY_PAIR_GEN");
    for (enabled, words) in [
        ([generate, pairs, "CKM_AES_KEY_WRAP"], &["CKM_EDDSA"][..]),
        (
            [generate, pairs, "CKM_EDDSA"],
            &["CKM_AES_KEY_WRAP", "CKM_AES_KEY_WRAP_PAD", "CKM_AES_GCM"],
        ),
    ] {
        // SoftHSM 2.6.1 heeds a list of what is enabled, and not one of what is disabled.
        let enabled = format!("{settings}slots.mechanisms = {}\n", enabled.join(","));
        fs::write(&softhsm, enabled).unwrap();
        let checked = check(&appliance, &[], "");
        let said = text(&checked);
        assert_eq!(checked.status.code(), Some(1), "{said}");
        let problem = said.lines().last().unwrap();
        assert!(problem.contains("cannot use it"), "{said}");
        for word in words {
            assert!(problem.contains(word), "{word} is not in {problem}");
        }
        assert_eq!(row(&said, words[0])[1..3], ["no", "no"]);
        assert_eq!(row(&said, "CKM_AES_KEY_GEN")[1..3], ["yes", "yes"]);
    }
    fs::write(&softhsm, &settings).unwrap();

    fs::write(appliance.data().join("hsm-pin"), "wrong-pin-81723").unwrap();
    let checked = check(&appliance, &[], "");
    let said = text(&checked);
    assert_eq!(checked.status.code(), Some(1), "{said}");
    assert!(said.contains("CKR_PIN_INCORRECT") && said.contains("CKM_EDDSA"));
    assert!(!said.contains("wrong-pin-81723"), "{said}");

    let checked = check(&appliance, &["--module", "/nowhere/libhsm.so"], "");
    assert_eq!(checked.status.code(), Some(1));
    assert!(text(&checked).contains("/nowhere/libhsm.so"));
}
