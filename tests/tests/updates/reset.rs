//! The factory reset: approved where the policy says so, a leaf that the site's SIEM has before anything is destroyed, and only then an order to those who run as root.

use serde_json::{Value, json};
use strongroom_tests::person::Person;
use strongroom_tests::{Appliance, Syslog};
use strongroom_wire::account::Role;
use strongroom_wire::audit::Act;
use strongroom_wire::problem::Code;

use super::{appliance, auditor};

const ROUTE: &str = "/v1/appliance/reset";
const NAME: &str = "strongroom.local";

#[test]
fn a_reset_takes_its_quorum_and_is_told_to_the_siem_first() {
    let mut syslog = Syslog::new();
    syslog.start();
    let (mut appliance, image) = appliance();
    appliance.configure(&syslog.setting("soc", "rfc5424"));
    appliance.serve();
    let mut session = appliance.administrator();
    let mut otto = auditor(&appliance, &mut session);
    let sam = "sam@example.com";
    let sam = Person::officer(&appliance, &mut session, sam, Role::SecurityOfficer);
    let admin = Person::administrator(&appliance);
    let _ = admin.login().success();
    let rule = "appliance.reset=1:security-officer:1h";
    let _ = admin
        .run(&["domain", "policy", "set", "--quorum", rule])
        .success();

    let reset = ["appliance", "factory-reset", "--name"];
    let other = [&reset[..], &["other.local"]].concat();
    let sentence = admin.refused(&other, "invalid");
    assert!(sentence.contains("nothing was reset"), "{sentence}");
    let reset = [&reset[..], &[NAME]].concat();
    let _ = admin.refused(&reset, "quorum-required");
    let made = admin.json(&["proposals", "make", "appliance-reset"]);
    let proposal = made["proposal"]["id"].as_str().unwrap();
    let by = [&reset[..], &["--proposal", proposal]].concat();
    let _ = admin.refused(&by, "quorum-required");
    let signed = sam
        .run(&["proposals", "approve", proposal, "--key", "key.pem"])
        .success();
    assert!(
        signed
            .stderr
            .contains("all keys and data on it are destroyed"),
        "what is signed is shown: {signed:?}"
    );
    let elsewhere = admin.run(&["proposals", "run", proposal]);
    assert!(
        elsewhere.stderr.contains("factory-reset"),
        "{}",
        elsewhere.stderr
    );
    assert!(!image.inbox("reset").exists());

    let done = admin.json(&by);
    let leaf = done["leaf"].as_u64().unwrap();
    assert_eq!(done["receivers"], json!([{ "name": "soc", "told": true }]));
    let index = format!(" index=\"{leaf}\"");
    let told = syslog.messages();
    let told = told.iter().find(|message| message.contains(&index));
    let told = told.unwrap();
    assert!(told.contains(" appliance.reset "), "{told}");
    assert_eq!(image.take("reset").unwrap(), json!({ "leaf": leaf }));

    let records = otto.records_after(None).unwrap();
    let acts: Vec<_> = (leaf - 1..=leaf)
        .map(|index| {
            let record = records.iter().find(|record| record.index == index).unwrap();
            (record.act, record.done, record.actor)
        })
        .collect();
    let who = Some(session.account.id);
    assert_eq!(
        acts,
        [
            (Act::ProposalUse, true, who),
            (Act::ApplianceReset, true, who)
        ]
    );
    let tried = records
        .iter()
        .filter(|record| record.act == Act::ApplianceReset && !record.done && record.index < leaf);
    assert_eq!(
        tried.count(),
        4,
        "each was tried for a person and for a program"
    );
    assert_eq!(appliance.verify_audit()["verified"], true);
}

#[test]
fn a_receiver_that_is_away_holds_no_reset_up() {
    let syslog = Syslog::new();
    let (mut appliance, image) = appliance();
    appliance.configure(&syslog.setting("soc", "rfc5424"));
    appliance.serve();
    let mut admin = appliance.administrator();
    let mut otto = auditor(&appliance, &mut admin);
    // At the machine's console, whose own units do the rest.
    let recorded = appliance.operate(&["record-reset"], "");
    assert!(recorded.status.success(), "{recorded:?}");
    let said = String::from_utf8(recorded.stdout).unwrap();
    assert!(
        said.contains("\nThe receiver soc does NOT have it."),
        "{said}"
    );
    let mut records = otto.records_after(None).unwrap();
    records.retain(|record| record.act == Act::ApplianceReset);
    assert_eq!(
        records[0].note.as_deref(),
        Some("ordered at the machine's console")
    );
    assert!(records[0].actor.is_none() && !image.inbox("reset").exists());
}

#[test]
fn a_reset_is_of_an_image_and_by_its_own_administrators() {
    let body = json!({ "name": NAME });
    let appliance = Appliance::start();
    let mut admin = appliance.administrator();
    let refused = admin.ask::<Value>("POST", ROUTE, &body).unwrap_err();
    assert_eq!(refused.code(), Code::NotAnImage);
    let console = appliance.operate(&["record-reset"], "");
    assert!(!console.status.success());
    let why = String::from_utf8(console.stderr).unwrap();
    assert!(
        why.contains("does not run from Strongroom's image"),
        "{why}"
    );

    let (mut appliance, image) = super::appliance();
    appliance.serve();
    let mut admin = appliance.administrator();
    let mut otto = auditor(&appliance, &mut admin);
    let refused = otto.ask::<Value>("POST", ROUTE, &body).unwrap_err();
    assert_eq!(refused.code(), Code::NotPermitted);
    let mut other = appliance.new_domain("acme", &[]);
    let refused = other.ask::<Value>("POST", ROUTE, &body).unwrap_err();
    assert_eq!(refused.code(), Code::NotPermitted);
    assert!(!image.inbox("reset").exists());
    let done: Value = admin.ask("POST", ROUTE, &body).unwrap();
    assert_eq!(done["receivers"], json!([]));
    assert!(image.take("reset").is_some());
}
