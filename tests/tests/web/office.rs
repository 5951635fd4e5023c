//! What administrators, security officers and auditors do.

use strongroom_tests::Witness;
use strongroom_tests::browser::Settings;
use strongroom_wire::account::Role;
use strongroom_wire::audit::{Act, CheckpointNote};
use strongroom_wire::operation::Mechanism;
use strongroom_wire::policy::{ChangedDomainPolicy, DomainPolicy};

use super::site::{ALICE, BOB, Site, Visit};

const AUDITOR: &str = "auditor@example.com";
const OFFICER: &str = "officer@example.com";

/// Accounts: created with a code, found, given roles that exclude each other and those that do not, suspended, recovered.
#[test]
fn an_administrator_looks_after_accounts() {
    let mut site = Site::start();
    drop(site.person(BOB, &[]));
    let visit = site.administers();
    visit.open("/accounts");
    visit.press("New account");
    visit.fill("name", ALICE);
    visit.press("Create the account");
    visit.expect("The account is created");
    let code = visit.find(".secret").text();
    let mail = visit.find("a[href^='mailto:']").attribute("href").unwrap();
    assert!(mail.starts_with(&format!("mailto:{ALICE}?")) && mail.contains(&code));
    let password = site.appliance.password_of(ALICE);
    site.appliance.api().enrol(ALICE, &code, &password).unwrap();

    visit.open("/accounts");
    visit.fill("name", "ali");
    visit.press("Search");
    assert!(visit.says(ALICE) && !visit.says(BOB));
    visit.press(ALICE);
    visit.press("Change roles");
    visit.choose("roles", "auditor");
    visit.choose("roles", "administrator");
    visit.press("Save the roles");
    visit.expect("exclude each other: nobody audits themselves");
    visit.choose("roles", "administrator");
    visit.press("Save the roles");
    visit.expect("The account is changed");
    visit.expect("Auditor");

    visit.press("Suspend");
    visit.expect("Its sessions end at once");
    visit.press("Suspend the account");
    visit.expect("Suspended");
    assert!(site.appliance.api().sign_in(ALICE, &password).is_err());
    visit.press("Make active");
    visit.press("Make it active");
    visit.expect("The account is changed");

    // Its KEK gets a new version, and what the old one sealed is moved.
    visit.leave(|| visit.find("a[href$='/rotate']").click());
    visit.expect("gets version 2");
    visit.press("Rotate the KEK");
    visit.expect("The account's KEK has a new version");
    until_gone(&visit, "A rotation is under way");
    let records = site.administrator.records_after(None).unwrap();
    assert!(
        records
            .iter()
            .any(|record| record.act == Act::AccountKekRotate)
    );

    visit.open("/accounts");
    visit.press(BOB);
    visit.press("Recovery");
    visit.press("Start the recovery");
    visit.expect("The recovery is started");
    assert!(visit.find(".secret").text().len() > 8);
    visit.press(BOB);
    visit.expect("A recovery of this account is under way");
    // The last administrator stays one.
    visit.open("/accounts?role=administrator");
    visit.leave(|| visit.find("tbody a").click());
    visit.press("Suspend");
    visit.press("Suspend the account");
    visit.expect("This is the last active administrator");
}

/// The domain's policy is changed in a form that says what is wrong, and is said in sentences.
#[test]
fn the_domains_policy_is_set() {
    let mut site = Site::start();
    drop(site.person(OFFICER, &[Role::SecurityOfficer]));
    let policy = DomainPolicy {
        legacy_mechanisms: vec![Mechanism::RsaPkcs1Sha1],
        ..DomainPolicy::default()
    };
    let admin = &mut site.administrator;
    let _: ChangedDomainPolicy = admin.ask("PUT", "/v1/domain/policy", &policy).unwrap();
    let visit = site.officer(OFFICER);
    visit.open("/policy");
    visit.expect("rsa-pkcs1-sha-1");
    visit.expect("No limits: each key's owner decides.");
    visit.press("Change the policy");
    visit.choose("kinds", "person");
    visit.choose("min_sign_in", "password");
    visit.fill("recovery_delay", "soon");
    visit.press("See what it changes");
    visit.expect("is no number of seconds");
    visit.fill("recovery_delay", "7200");
    visit.fill("inviters", "*@example.com");
    visit.fill("quorums", "key.destroy two people");
    visit.press("See what it changes");
    visit.expect("is no rule");
    visit.fill("quorums", "key.destroy/root CA=1:administrator:7d");
    visit.fill("approvals", "3");
    visit.fill("ratify_within", "86400");
    visit.fill("witnesses", "1");
    // What it changes, in words; nothing is set before that is confirmed, and what cannot be is said.
    visit.press("See what it changes");
    visit.expect("From now on: A recovery takes effect after 2 hours.");
    visit.expect("No longer: A recovery takes effect after 1 day.");
    visit.expect("From now on: Destroying of keys with the label “root CA” takes 1 approval of administrator");
    visit.expect("From now on: A case takes the approvals of 3 legal approvers.");
    assert!(!visit.says("invitation's code lapses"), "that stays");
    visit.press("Set the policy");
    visit.expect("the appliance is configured with 0");
    visit.fill("witnesses", "0");
    visit.press("See what it changes");
    visit.open("/policy");
    visit.expect("No limits: each key's owner decides.");
    visit.open("/policy/change");
    visit.choose("kinds", "person");
    visit.choose("min_sign_in", "password");
    visit.fill("recovery_delay", "7200");
    visit.fill("inviters", "*@example.com");
    visit.fill("quorums", "key.destroy/root CA=1:administrator:7d");
    visit.fill("approvals", "3");
    visit.fill("ratify_within", "86400");
    visit.press("See what it changes");
    visit.press("Set the policy");
    visit.expect("The domain's policy is changed");
    visit.expect("Destroying of keys with the label “root CA” takes 1 approval of administrator");
    visit.expect("A case takes the approvals of 3 legal approvers.");
    visit.expect("unless it is ratified within 1 day");
    visit.expect("Only for people.");
    visit.expect("A recovery takes effect after 2 hours.");
    visit.expect("Who may invite: *@example.com.");
    // What nobody changed stays as it was.
    let kept: DomainPolicy = site.administrator.get("/v1/domain/policy").unwrap();
    assert_eq!(kept.legacy_mechanisms, policy.legacy_mechanisms);
}

/// The master KEK is rotated, watched, and its old version retired and destroyed.
#[test]
fn the_master_key_is_rotated() {
    let mut site = Site::start();
    drop(site.person(ALICE, &[]));
    let visit = site.administers();
    visit.open("/master-key");
    visit.expect("Version 1");
    visit.press("Rotate the master KEK");
    visit.expect("The HSM makes version 2");
    visit.press("Rotate the master KEK");
    visit.expect("The master KEK has a new version");
    let retire = (0..100).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        visit.reload();
        visit.has("a[href='/master-key/1/retire']")
    });
    assert!(retire, "{}", visit.text());
    visit.leave(|| visit.find("a[href='/master-key/1/retire']").click());
    visit.press("Retire the version");
    visit.expect("Retired");
    visit.leave(|| visit.find("a[href='/master-key/1/destroy']").click());
    visit.fill("confirm", "destroy");
    visit.press("Destroy the version in the HSM");
    visit.expect("The version is destroyed in the HSM");
    assert!(!visit.says("Version 1"));
}

/// The machine: what it is, what it counts, its backups, certificates and settings.
#[test]
fn the_machine_is_seen() {
    let mut site = Site::start();
    let folder = site.appliance.data().join("backups");
    std::fs::create_dir(&folder).unwrap();
    site.appliance.configure("[backup]\nfolder = \"backups\"");
    let note: CheckpointNote = site.administrator.get("/v1/audit/checkpoint").unwrap();
    let mut witness = Witness::of("witness.example/w1", &[&note.verifier_key]);
    witness.start();
    site.appliance.configure(&witness.setting());
    site.appliance.restart();
    let mut alice = site.person(ALICE, &[]);
    let key = alice.create_key("Report", &[]).unwrap();
    alice.release(key.key.id).unwrap();
    let visit = site.administers();
    visit.expect("Serving");
    visit.expect("Keys: releases and creations");
    assert!(visit.all("svg.chart[role=img]").len() >= 2);
    visit.find("details.more summary").click();
    let table = visit.find("figure table").text();
    assert!(table.contains('1'), "{table}");

    how_far_things_are(&visit);

    visit.open("/hsm");
    visit.expect("Primary HSM");
    visit.expect("Answers");
    visit.expect("libsofthsm2.so");
    visit.expect("What the primary offers");
    visit.expect("CKM_AES_KEY_WRAP");
    visit.expect("Versions and rotation");
    visit.open("/backups");
    visit.expect("--dry-run");
    visit.press("Make a backup now");
    visit.expect("The backup is made");
    assert!(std::fs::read_dir(&folder).unwrap().count() >= 1);
    // Who had it made stands in the log. The schedule, whose folder is the same, may have made one as well.
    let records = site
        .administrator
        .at(&site.appliance.api())
        .records_after(None)
        .unwrap();
    let by = Some(site.administrator.account.id);
    assert!(
        records
            .iter()
            .any(|record| record.act == Act::DomainBackup && record.done && record.actor == by),
        "{records:?}"
    );
    visit.open("/certificates");
    visit.expect("strongroom.local");
    visit.expect("more");
    visit.open("/configuration");
    visit.expect("[keystore]");
    visit.expect("session_lifetime");
    visit.choose("level", "debug");
    visit.press("Change the log level");
    visit.expect("The log level is changed");
    visit.expect("Recorded as leaf");
    visit.expect("Until");
    assert!(site.appliance.log().contains(" DEBUG strongroomd"));
    visit.choose("level", "info");
    visit.press("Change the log level");
    assert!(!visit.says("Until"), "it is as configured");
    visit.open("/roles");
    visit.expect("nobody audits themselves");
    what_the_scrub_found(&site, &visit);
}

/// The text of a card.
fn card(visit: &Visit, title: &str) -> String {
    let all = visit.all("section");
    let texts = all.iter().map(strongroom_tests::browser::Element::text);
    texts
        .into_iter()
        .find(|text| text.starts_with(title))
        .unwrap_or_else(|| panic!("no card {title}: {}", visit.text()))
}

/// Loads the page until it does not say this.
fn until_gone(visit: &Visit, words: &str) {
    let gone = (0..300).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        visit.reload();
        !visit.says(words)
    });
    assert!(gone, "{}", visit.text());
}

/// Checkpoint and witnesses, and rotations, as the dashboard shows them, each with its table.
fn how_far_things_are(visit: &Visit) {
    until_gone(visit, "It has cosigned nothing yet");
    for summary in visit.all("details.more summary") {
        summary.click();
    }
    let checkpoints = card(visit, "Checkpoint and witnesses");
    for words in [
        "Newest checkpoint",
        " ago",
        "Witness witness.example/w1",
        "Works",
    ] {
        assert!(checkpoints.contains(words), "{words}: {checkpoints}");
    }
    let rotation = card(visit, "Rotation");
    assert!(
        rotation.contains("Keys wrapped by the master KEK"),
        "{rotation}"
    );
    assert!(visit.all("svg.chart rect").len() >= 4, "a bar for each");
    let scrub = card(visit, "Scrub");
    assert!(scrub.contains("None has ended since the start"), "{scrub}");
}

/// A row that somebody took out of the database is found by the scrub, and said.
fn what_the_scrub_found(site: &Site, visit: &Visit) {
    let rows = site.appliance.database();
    for table in ["grant_copies", "grants"] {
        assert!(rows.execute(&format!("DELETE FROM {table}"), []).unwrap() > 0);
    }
    // Whoever scrubs beside an appliance that serves has it scrub, too, where something is found.
    let found = site.appliance.operate(&["audit", "scrub"], "");
    assert!(!found.status.success());
    visit.open("/overview");
    until_gone(visit, "None has ended since the start");
    visit.expect("The scrub found rows that do not follow from the log");
    let scrub = card(visit, "Scrub");
    assert!(
        scrub.contains("The first of them") || scrub.contains("grant"),
        "{scrub}"
    );
}

/// Devices come in by a list, with a bar that shows how far it is, or, without scripts, as a file.
#[test]
fn devices_are_imported() {
    let site = Site::start();
    let factory = strongroom_session::FactoryKey::generate();
    let key = strongroom_wire::encoding::Base64(factory.public_key().to_bytes()).to_text();
    let visit = site.administers();
    visit.open("/fleet");
    visit.expect("No devices yet");
    visit.press("Import devices");
    visit.fill("factory_key", &key);
    visit.fill("fleet", "kitchen");
    visit.fill("manifest", "SN-1\nSN-2,oven\nSN-3,,garden\n");
    visit.named("Import").click();
    let done = (0..200).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        visit.says("Done: 3 made")
    });
    assert!(done, "{}", visit.text());
    assert!(visit.named("Save the devices and their secrets").is_shown());
    visit.open("/fleet?fleet=kitchen");
    visit.expect("oven");
    assert!(!visit.says("SN-3"));
    visit.press("oven");
    visit.expect("SN-2");
    visit.open("/fleet?fleet=kitchen");
    visit.press("Suspend or revoke this fleet");
    visit.choose("state", "suspended");
    visit.press("Change the whole fleet");
    visit.expect("The fleet is changed");
    visit.expect("Suspended");
}

/// A directory is registered, and its token shown once.
#[test]
fn directories_are_registered() {
    let site = Site::start();
    let visit = site.administers();
    visit.open("/directories");
    visit.press("Register a directory");
    visit.fill("name", "entra");
    visit.fill("networks", "10.0.0.0/8");
    visit.press("Register it");
    assert!(visit.find(".secret").text().starts_with("srd_"));
    visit.open("/directories");
    visit.expect("entra");
    assert!(!visit.says("srd_"));
    visit.leave(|| visit.find("a[href$='/remove']").click());
    visit.press("Remove the directory");
    visit.expect("No directory yet");
}

/// An auditor searches the log, sees a record proved, and holds two checkpoints against each other.
#[test]
fn an_auditor_reads_the_log() {
    let mut site = Site::start();
    drop(site.person(AUDITOR, &[Role::Auditor]));
    let mut alice = site.person(ALICE, &[]);
    let key = alice.create_key("Report", &[]).unwrap().key.id;
    let visit = site.signed_in(&site.office, AUDITOR, Settings::default());
    visit.expect("Records in the log");
    visit.open("/checkpoints");
    let old = visit.find("pre").text();
    alice.release(key).unwrap();
    alice.release(key).unwrap();
    let newer = (0..100).find_map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        visit.reload();
        let newest = visit.find("pre").text();
        (newest != old).then_some(newest)
    });
    let newer = newer.unwrap();
    visit.fill("old", &old);
    visit.fill("new", &newer);
    visit.press("Compare them");
    visit.expect("They belong together");
    visit.fill("old", &newer);
    visit.fill("new", &old);
    visit.press("Compare them");
    visit.expect("change their places");
    visit.fill("new", &newer.replace("strongroom", "stronghold"));
    visit.press("Compare them");
    visit.expect("none that this log's key has signed");

    visit.open("/log");
    visit.choose("what", "releases");
    visit.fill("account", ALICE);
    visit.press("Search");
    assert_eq!(visit.all("tbody tr").len(), 2, "{}", visit.text());
    visit.leave(|| visit.find("tbody a").click());
    visit.expect("Key released");
    visit.expect("The tree is signed");
    visit.open("/log?outcome=refused&account=nobody@example.com");
    visit.expect("No record matches");
}
