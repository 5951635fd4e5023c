//! What administrators, security officers and auditors do.

use strongroom_tests::browser::Settings;
use strongroom_wire::account::Role;

use super::site::{ALICE, BOB, Site};

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
    let visit = site.officer(OFFICER);
    visit.open("/policy");
    visit.expect("No limits: each key's owner decides.");
    visit.press("Change the policy");
    visit.choose("kinds", "person");
    visit.choose("min_sign_in", "password");
    visit.fill("recovery_delay", "soon");
    visit.press("Set the policy");
    visit.expect("is no number of seconds");
    visit.fill("recovery_delay", "7200");
    visit.fill("inviters", "*@example.com");
    visit.press("Set the policy");
    visit.expect("The usage policy is changed");
    visit.expect("Only for people.");
    visit.expect("A recovery takes effect after 2 hours.");
    visit.expect("Who may invite: *@example.com.");
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

    visit.open("/hsm");
    visit.expect("Primary HSM");
    visit.expect("Answers");
    visit.expect("libsofthsm2.so");
    visit.open("/backups");
    visit.press("Make a backup now");
    visit.expect("The backup is made");
    assert!(std::fs::read_dir(&folder).unwrap().count() >= 1);
    visit.open("/certificates");
    visit.expect("strongroom.local");
    visit.expect("more");
    visit.open("/configuration");
    visit.expect("[keystore]");
    visit.expect("session_lifetime");
    visit.open("/roles");
    visit.expect("nobody audits themselves");
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
