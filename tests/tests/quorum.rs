//! What takes several people, at the command line: roles, destroying a key, restoring a backup.

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};
use strongroom_tests::{Appliance, Person};
use strongroom_wire::account::Role;

fn approve(by: &[&Person], proposal: &str) {
    for person in by {
        let _ = person
            .run(&["proposals", "approve", proposal, "--key", "key.pem"])
            .success();
    }
}

fn made(person: &Person, words: &[&str]) -> String {
    let made = person.json(&[&["proposals", "make"], words].concat());
    made["proposal"]["id"].as_str().unwrap().to_owned()
}

#[test]
fn roles_and_keys_of_a_label_take_several_people() {
    let mut appliance = Appliance::start();
    let mut session = appliance.administrator();
    let sam = Person::officer(
        &appliance,
        &mut session,
        "sam@example.com",
        Role::SecurityOfficer,
    );
    let sue = Person::officer(
        &appliance,
        &mut session,
        "sue@example.com",
        Role::SecurityOfficer,
    );
    let mut alice = appliance.person(&mut session, "alice@example.com");
    let key = alice.create_key("root CA", &[]).unwrap().key.id.to_string();
    let alice = Person::new(&appliance, "alice@example.com");
    let _ = alice.login().success();

    let admin = Person::administrator(&appliance);
    let _ = admin.login().success();
    let set = [
        "domain",
        "policy",
        "set",
        "--quorum",
        "account.update=1:security-officer:1d",
        "--quorum",
        "key.destroy/root CA=2:security-officer:1h",
        "--quorum",
        "domain.policy=2:security-officer:1h",
    ];
    let shown = admin.run(&set).success().stdout;
    assert!(
        shown.contains("key.destroy of keys \"root CA\": 2"),
        "{shown}"
    );

    // Roles.
    let give = [
        "accounts",
        "roles",
        "alice@example.com",
        "--role",
        "auditor",
    ];
    let sentence = admin.refused(&give, "quorum-required");
    assert!(sentence.contains("security-officer"), "{sentence}");
    let proposal = made(&admin, &["roles", "alice@example.com", "--role", "auditor"]);
    let _ = admin.refused(&["proposals", "run", &proposal], "quorum-required");
    let listed = sam.json(&["proposals", "list", "--open"]);
    assert_eq!(listed["proposals"][0]["id"], *proposal);
    let signed = sam
        .run(&["proposals", "approve", &proposal, "--key", "key.pem"])
        .success();
    assert!(
        signed.stderr.contains("the roles [auditor]"),
        "what is signed is shown: {signed:?}"
    );
    let _ = admin.run(&["proposals", "run", &proposal]).success();
    let account = admin.json(&["accounts", "show", "alice@example.com"]);
    assert_eq!(account["roles"], json!(["auditor"]));
    // It is used up, and of no use for other roles.
    let more = [
        "accounts",
        "roles",
        "alice@example.com",
        "--role",
        "releaser",
    ];
    let more = [&more[..], &["--proposal", &proposal]].concat();
    let _ = admin.refused(&more, "quorum-required");

    // A key: with the command that does it.
    let destroy = ["keys", "destroy", &key, "--yes"];
    let _ = alice.refused(&destroy, "quorum-required");
    let proposal = made(&alice, &["key-destroy", &key]);
    approve(&[&sam], &proposal);
    let by = [&destroy[..], &["--proposal", &proposal]].concat();
    let _ = alice.refused(&by, "quorum-required");
    approve(&[&sue], &proposal);
    let _ = alice.run(&by).success();

    // And the policy that demands it.
    let loosen = ["domain", "policy", "set", "--no-quorum", "account.update"];
    let _ = admin.refused(&loosen, "quorum-required");
    let mut policy = admin.json(&["domain", "policy", "show"]);
    policy["quorums"] = json!([]);
    fs::write(admin.file("policy.json"), policy.to_string()).unwrap();
    let proposal = made(&admin, &["domain-policy", "policy.json"]);
    approve(&[&sam, &sue], &proposal);
    let _ = admin.run(&["proposals", "run", &proposal]).success();
    let _ = admin
        .run(&["accounts", "roles", "alice@example.com"])
        .success();
    appliance.stop();
}

fn restore(appliance: &Appliance, backup: &Path, to: &Path, more: &[&Path]) -> Output {
    let mut command = appliance.strongroomd();
    command.arg("restore").arg(backup).arg("--data").arg(to);
    command.args(more).output().unwrap()
}

#[test]
fn a_backup_is_restored_by_several_people() {
    let mut appliance = Appliance::start();
    let mut session = appliance.administrator();
    let sam = Person::officer(
        &appliance,
        &mut session,
        "sam@example.com",
        Role::SecurityOfficer,
    );
    let sue = Person::officer(
        &appliance,
        &mut session,
        "sue@example.com",
        Role::SecurityOfficer,
    );
    let admin = Person::administrator(&appliance);
    let _ = admin.login().success();
    let rule = "domain.restore=2:security-officer:1h";
    let _ = admin
        .run(&["domain", "policy", "set", "--quorum", rule])
        .success();

    let folder = tempfile::tempdir().unwrap();
    let (file, data) = (folder.path().join("a.backup"), folder.path().join("data"));
    let mut backup = appliance.strongroomd();
    let output = backup.args(["backup", "--to"]).arg(&file).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    appliance.stop();

    let request = folder.path().join("request.json");
    let refused = restore(
        &appliance,
        &file,
        &data,
        &["--quorum-request".as_ref(), &request],
    );
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && said.contains("0 have"),
        "{said}"
    );
    assert!(!data.exists());

    // They sign beside the appliance, which does not run.
    let approval = |person: &Person, name: &str| {
        fs::copy(&request, person.file("request.json")).unwrap();
        let signed = person
            .run(&[
                "approval-keys",
                "sign",
                "request.json",
                "--key",
                "key.pem",
                "-o",
                name,
            ])
            .success();
        assert!(
            signed.stderr.contains("restore the backup of"),
            "{signed:?}"
        );
        person.file(name)
    };
    let (one, two) = (approval(&sam, "one"), approval(&sue, "two"));
    let again = approval(&sam, "again");
    let option: &Path = "--approval".as_ref();
    for few in [vec![option, &one], vec![option, &one, option, &again]] {
        let refused = restore(&appliance, &file, &data, &few);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(
            !refused.status.success() && said.contains("1 have"),
            "{said}"
        );
        assert!(!data.exists());
    }
    // An approval that somebody has edited.
    let text = fs::read_to_string(&two).unwrap();
    let edited: Value = serde_json::from_str(&text).unwrap();
    let jws = edited["jws"].as_str().unwrap();
    let forged = folder.path().join("forged");
    // Not its last letter, of which only two bits count.
    let (begin, end) = jws.split_at(jws.len() - 10);
    let letter = if end.starts_with('A') { 'B' } else { 'A' };
    fs::write(
        &forged,
        text.replace(jws, &format!("{begin}{letter}{}", &end[1..])),
    )
    .unwrap();
    let refused = restore(&appliance, &file, &data, &[option, &one, option, &forged]);
    assert!(!refused.status.success());

    let restored = restore(&appliance, &file, &data, &[option, &one, option, &two]);
    assert!(restored.status.success(), "{restored:?}");
    assert!(data.join("strongroom.db").exists());
}
