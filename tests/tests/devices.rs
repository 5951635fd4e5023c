//! Devices: made in bulk, changing their secrets, suspended and revoked.

use std::fs;

use serde_json::json;
use strongroom_tests::device::{Device, administrator, import, opened};
use strongroom_tests::{Appliance, Person, long};
use strongroom_wire::problem::Code;

#[test]
fn a_manifest_makes_devices_in_one_call() {
    let appliance = Appliance::start();
    let admin = administrator(&appliance);
    let api = appliance.api();
    let count = if long() { 10_000 } else { 500 };
    let lines: Vec<String> = (0..count).map(|number| format!("SN-{number:06}")).collect();
    let manifest = format!("serial\n{}\n", lines.join("\n"));
    fs::write(admin.file("10000.csv"), &manifest).unwrap();
    let import = ["devices", "import", "10000.csv", "--fleet", "kitchen"];
    let summary = admin.json(&import);
    assert_eq!(summary["created"], count);
    assert_eq!(summary["refused"], 0);
    let devices = opened(&admin, "10000.csv.secrets");
    assert_eq!(devices.len(), count);
    for (_, device) in [&devices[0], &devices[count - 1]] {
        let account = device.own_account(&api).unwrap();
        assert_eq!(account.id, device.account);
        device.create_and_release(&api);
    }
    // Secrets are wrapped: not one of them stands in the file, in the database or in the log.
    let secret = devices[1].1.secret.to_text();
    let file = fs::read_to_string(admin.file("10000.csv.secrets")).unwrap();
    assert!(!file.contains(&*secret) && !appliance.log().contains(&*secret));

    // A file that was cut: what is missing in it gets new secrets, but not the two that were used.
    let cut: Vec<&str> = file.lines().take(count / 2).collect();
    let cut = format!("{}\n{{\"status\":\"cre", cut.join("\n"));
    fs::write(admin.file("10000.csv.secrets"), cut).unwrap();
    let again = admin.json(&import);
    assert_eq!(again["created"], 0);
    assert_eq!(again["existing"], count);
    assert_eq!(again["without_secret"], count - count / 2);
    let replaced = admin.json(&[&import[..], &["--replace-secrets"]].concat());
    assert_eq!(replaced["replaced"], count - 2);
    let devices = opened(&admin, "10000.csv.secrets");
    assert_eq!(
        devices.len(),
        count - 1,
        "the last was used and not in the file"
    );
    devices[count - 2].1.own_account(&api).unwrap();

    // Nobody but the factory opens them.
    let _ = admin
        .run(&["devices", "factory-key", "--out", "other.key"])
        .success();
    let open = [
        "devices",
        "open",
        "--factory-key",
        "other.key",
        "10000.csv.secrets",
    ];
    let refused = admin.run(&open).failure();
    assert!(refused.stderr.contains("not wrapped to this key"));
    assert_eq!(refused.stdout, "");

    let shown = admin.json(&["devices", "show", "SN-000007"]);
    assert_eq!(shown["fleet"], "kitchen");
    assert_eq!(shown["account"]["state"], "pending");
    let listed = admin.json(&["devices", "list", "--fleet", "kitchen"]);
    assert_eq!(listed["devices"].as_array().unwrap().len(), count);
    let revoked = admin.json(&["devices", "revoke", "--fleet", "kitchen", "--yes"]);
    assert_eq!(revoked["changed"], count);
    let problem = devices[0].1.own_account(&api).unwrap_err();
    assert_eq!(problem.code, Code::SignInRefused);
    assert_eq!(appliance.verify_audit()["verified"], true);
}

#[test]
fn a_json_manifest_names_each_device() {
    let appliance = Appliance::start();
    let admin = administrator(&appliance);
    let manifest = json!([
        { "serial": "SN-1", "name": "Oven", "fleet": "kitchen" },
        { "serial": "SN-2" },
        { "serial": "SN-3", "name": "admin@example.com" },
    ]);
    fs::write(admin.file("devices.json"), manifest.to_string()).unwrap();
    let import = [
        "devices",
        "import",
        "devices.json",
        "--factory-key",
        "factory.key.pub",
        "--out",
        "secrets.ndjson",
    ];
    // One name is taken: the others are made all the same.
    let outcome = admin.run(&import).failure();
    assert!(outcome.stderr.contains("SN-3"), "{outcome:?}");
    let listed = admin.json(&["devices", "list"]);
    let names: Vec<&str> = listed["devices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|device| device["account"]["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["oven", "sn-2"]);
    // What cannot be is refused whole.
    for (manifest, code) in [("{", "usage"), ("[{\"serial\":\"a b\"}]", "invalid")] {
        fs::write(admin.file("devices.json"), manifest).unwrap();
        admin.refused(&import, code);
    }
    fs::write(admin.file("devices.json"), "[{\"serail\":\"SN-9\"}]").unwrap();
    admin.refused(&import, "malformed");
    // At the client listener there is nothing of it.
    let bob = Person::new(&appliance, "bob@example.com");
    let created = admin.json(&["accounts", "create", "bob@example.com"]);
    let _ = bob
        .enrol(created["enrolment_code"].as_str().unwrap())
        .success();
    let _ = bob.login().success();
    fs::write(bob.file("devices.csv"), "SN-9").unwrap();
    fs::copy(admin.file("factory.key.pub"), bob.file("factory.key.pub")).unwrap();
    let mut import = import;
    import[2] = "devices.csv";
    let sentence = bob.refused(&import, "method-not-allowed");
    assert!(sentence.contains("administration address"), "{sentence}");
}

#[test]
fn a_device_changes_its_secret_by_itself() {
    let appliance = Appliance::start();
    let admin = administrator(&appliance);
    let api = appliance.api();
    let device = import(&admin, &["SN-1"]).remove(0);
    let path = format!("/v1/accounts/{}/secret", device.account);
    let renew = |device: &Device| {
        let (response, transport) = device.send(&api, "POST", &path, "");
        assert_eq!(response.status, 200, "{}", response.text());
        let issued: strongroom_wire::device::IssuedSecret = response.json();
        let secret = transport
            .unwrap()
            .unwrap_secret(device.account, issued.generation, &issued.wrapped.0)
            .unwrap();
        Device {
            account: device.account,
            secret,
        }
    };
    let lost = renew(&device);
    let next = renew(&device);
    assert!(lost.own_account(&api).is_err());
    device.own_account(&api).unwrap();
    next.own_account(&api).unwrap();
    assert!(device.own_account(&api).is_err());
    // It has made requests, so that no administrator gets a secret for it any more.
    admin.refused(&["devices", "rotate-secret", "SN-1"], "conflict");
    let _ = admin.run(&["devices", "revoke", "SN-1", "--yes"]).success();
    admin.refused(&["devices", "resume", "SN-1"], "conflict");
    assert!(next.own_account(&api).is_err());
}
