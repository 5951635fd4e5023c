//! A case in the browser, from its order to what the agency opens, by five people.

use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use strongroom_tests::browser::Settings;
use strongroom_wire::id::AuthorisationId;

use super::bench::{AUDREY, Bench, CARL, ERIN, RICK, RUBEN, RUTH, write};
use super::site::{ALICE, BOB, Visit};

impl Visit {
    /// Puts a value into a field that browsers let people pick, such as a moment.
    pub(super) fn set(&self, name: &str, value: &str) {
        let set = self.run(
            "const field = document.getElementsByName(arguments[0])[0]; field.value = arguments[1]; return field.value",
            &[name.into(), value.into()],
        );
        assert_eq!(set, value, "{name}");
    }

    /// Chooses a file.
    pub(super) fn bring(&self, name: &str, path: &str) {
        self.find(&format!("input[type=file][name={name:?}]"))
            .type_in(path);
    }

    /// Signs out, and in as somebody else.
    pub(super) fn change_to(&self, bench: &Bench, name: &str) {
        self.press("Sign out");
        self.sign_in(name, &bench.site.appliance.password_of(name));
    }

    /// Makes a passkey in the authenticator that is plugged in.
    pub(crate) fn make_passkey(&self) {
        self.open("/security/passkey");
        self.fill("name", "mine");
        self.leave(|| self.find("form[data-passkey] button").click());
        assert_eq!(self.heading(), "Keep these recovery codes");
    }

    /// Waits until this browser has computed what is signed.
    pub(crate) fn checked(&self) {
        let checked = self
            .find("#to-sign[data-checked]")
            .attribute("data-checked");
        assert_eq!(checked.as_deref(), Some("yes"), "{}", self.text());
        self.expect("This browser computed");
    }

    pub(super) fn case(&self) -> AuthorisationId {
        let path = self.path();
        let id = path.split(['/', '?']).nth(2).unwrap();
        id.parse().unwrap()
    }
}

pub(super) fn without_scripts() -> Settings {
    Settings {
        javascript: false,
        ..Settings::default()
    }
}

#[test]
fn a_case_goes_from_its_order_to_the_agency_by_five_people() {
    let mut bench = Bench::start("");
    let mut alice = bench.site.person(ALICE, &[]);
    drop(bench.site.person(BOB, &[]));
    let key = alice.create_key("The plan", &[BOB]).unwrap().key.id;
    let other = alice.create_key("Diary", &[]).unwrap().key.id;
    let _agency = bench.agency();

    // Before anything, the owner's page is empty, and the officers' says what to do first.
    let owner = bench.site.owner(ALICE);
    owner.open("/history");
    owner.press("Disclosures");
    owner.expect("Nothing was disclosed that you may know of");
    let visit = bench.site.officer(CARL);
    assert_eq!(visit.path(), "/cases");
    visit.expect("No cases yet");
    let case = enter(&bench, &visit);

    approve_with_passkey(&bench, case);
    approve_with_a_file(&bench, case);
    let disclosure = execute(&bench, &visit, case);
    release(&mut bench, &visit, case, &disclosure, &key.to_string());
    audit(&bench, &visit, case, &other.to_string());

    // The delay of a second is over.
    let told = (0..200).any(|_| {
        thread::sleep(Duration::from_millis(50));
        owner.open("/disclosures");
        owner.says("GS 17/2027")
    });
    assert!(told, "{}", owner.text());
    owner.expect("The plan");
    owner.expect("StPO 279");
    owner.expect("Staatsanwaltschaft I");
    assert!(!owner.says("Diary"));
    owner.press("The plan");
    owner.press("What was disclosed by lawful order");
}

/// The case officer enters the order by the form, whose mistakes are said, and which loses nothing that was brought.
pub(super) fn enter(bench: &Bench, visit: &Visit) -> AuthorisationId {
    let warrant = write(
        &bench.file("warrant 17.pdf"),
        b"%PDF-1.7 In the name of the law",
    );
    let agency = bench.file("agency.pem").display().to_string();
    visit.press("Enter an order");
    for (name, text) in [
        ("reference", "GS 17/2027"),
        ("issuing_authority", "Staatsanwaltschaft I"),
        ("validating_authority", "Zwangsmassnahmengericht"),
        ("jurisdiction", "ZH"),
        ("country_code", "ch"),
        ("legal_type", "disclosure of stored content"),
        ("legal_basis", "StPO 269"),
        ("necessity", "Nothing milder leads there."),
        ("proportionality", "A month of mail with one person."),
        ("delay", "1"),
        ("delay_basis", "StPO 279"),
        ("max_items", "10"),
        ("person-1", ALICE),
        ("counterparts-1", "nobody@example.com"),
    ] {
        visit.fill(name, text);
    }
    visit.choose("delay_unit", "seconds");
    visit.choose("priority", "urgent");
    for (name, moment) in [
        ("start", "2026-01-01T00:00"),
        ("end", "2090-01-01T00:00"),
        ("from-1", "2026-01-01T00:00"),
        ("until-1", "2090-01-01T00:00"),
    ] {
        visit.set(name, moment);
    }
    visit.bring("warrant", &warrant);
    visit.bring("agency_file", &agency);
    visit.press("Enter the order");
    visit.expect("No such account");
    // The warrant is up, and the certificate in sight.
    visit.expect("warrant 17.pdf");
    assert!(visit.source().contains("-----BEGIN CERTIFICATE-----"));
    visit.press("Add another task");
    visit.expect("Task 2");
    visit.fill("counterparts-1", BOB);
    visit.choose("scope-2", "label");
    visit.fill("person-2", ALICE);
    visit.fill("label-2", "no such label");
    visit.press("Enter the order");
    visit.expect("The case is entered");
    visit.expect("Awaiting approval");
    visit.expect("Every message to or from alice@example.com, with bob@example.com");
    visit.expect("Every item of alice@example.com with the label “no such label”");
    visit.expect("Nobody has decided yet");
    let case = visit.case();
    let warrant = visit.find("a[href*='/documents/']").attribute("href");
    let fetched = bench.get(CARL, warrant.unwrap().trim_start_matches(&visit.at));
    assert_eq!(fetched.body, b"%PDF-1.7 In the name of the law");
    assert!(
        fetched
            .header("content-disposition")
            .unwrap()
            .contains("\"warrant_17.pdf\"")
    );
    case
}

/// A legal approver finds the case among their tasks and signs on the page what this browser computes.
fn approve_with_passkey(bench: &Bench, case: AuthorisationId) {
    let visit = bench.site.officer(RUTH);
    let _authenticator = visit.plug_authenticator();
    visit.open(&format!("/cases/{case}/decide"));
    visit.expect("You have nothing to sign with yet");
    visit.make_passkey();
    visit.open("/approval-keys");
    visit.expect("You have 1 passkey");
    visit.open("/cases");
    visit.expect("Your tasks");
    visit.expect("Approve or reject it");
    visit.press("GS 17/2027");
    visit.press("Approve");
    visit.expect("It takes more than your approval");
    visit.checked();
    visit.press("30 days");
    visit.checked();
    visit.press("Approve the case");
    visit.expect("Your approval is recorded");
    visit.expect("Awaiting approval");
    visit.open("/cases");
    visit.expect("Nothing waits for you");
    // Once is enough.
    visit.open(&format!("/cases/{case}/decide"));
    visit.checked();
    visit.press("Approve the case");
    visit.expect("This account's decision is approve already");
}

/// Another one, without scripts: the key is registered and the case approved in two steps each, with openssl.
fn approve_with_a_file(bench: &Bench, case: AuthorisationId) {
    let visit = bench
        .site
        .signed_in(&bench.site.office, RUBEN, without_scripts());
    let _key =
        bench.openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ruben.pem");
    let _public = bench.openssl("pkey -in ruben.pem -pubout -out ruben.pub");
    let sign = |visit: &Visit| {
        let fetch = visit
            .find("a[href*='/approval-keys/to-sign']")
            .attribute("href");
        let fetch = fetch.unwrap();
        let fetched = bench.get(RUBEN, fetch.trim_start_matches(&visit.at));
        assert_eq!(fetched.status, 200, "{}", fetched.text());
        let _file = write(&bench.file("to-sign"), &fetched.body);
        let _signature = bench.openssl("dgst -sha256 -sign ruben.pem -out signature to-sign");
        bench.file("signature").display().to_string()
    };
    visit.open("/approval-keys");
    visit.expect("No approval key yet");
    visit.press("Add an approval key");
    visit.fill("name", "a file");
    visit.bring("key_file", &bench.file("ruben.pem").display().to_string());
    visit.press("Go on");
    visit.expect("That is a private key");
    visit.fill("name", "a file");
    visit.bring("key_file", &bench.file("ruben.pub").display().to_string());
    visit.press("Go on");
    assert_eq!(visit.heading(), "Sign with the new key");
    visit.press("Add the approval key");
    visit.expect("Bring the signature");
    let signature = sign(&visit);
    visit.bring("signature_file", &signature);
    visit.press("Add the approval key");
    visit.expect("The approval key is added");

    visit.open(&format!("/cases/{case}"));
    visit.press("Approve");
    visit.expect("Yours is the last approval that it takes");
    visit.expect("You have no passkey here");
    // A signature over something else is none of this.
    visit.bring("signature_file", &signature);
    visit.press("Approve the case");
    visit.expect("The approval was refused");
    let signature = sign(&visit);
    visit.bring("signature_file", &signature);
    visit.press("Approve the case");
    visit.expect("Your approval is recorded");
    visit.expect("In effect within its timespan");
    // The evidence is a file that verifies by itself.
    let evidence = visit
        .find("a[href*='/documents/']:has(.unseen)")
        .attribute("href");
    let evidence = bench.get(RUBEN, evidence.unwrap().trim_start_matches(&visit.at));
    let evidence = strongroom_approval::Evidence::from_bytes(&evidence.body).unwrap();
    assert!(evidence.verify().is_ok());
    visit.open("/approval-keys");
    visit.press("Remove a file");
    visit.press("Remove the approval key");
    visit.expect("What was approved with it stays approved");
}

/// The executor sees counts first.
fn execute(bench: &Bench, visit: &Visit, case: AuthorisationId) -> String {
    visit.change_to(bench, ERIN);
    assert_eq!(visit.path(), "/cases");
    visit.expect("Preview and execute it");
    visit.press("GS 17/2027");
    visit.expect("Nothing was disclosed");
    visit.press("Preview");
    visit.press("Show what it reaches");
    visit.expect("The plan");
    visit.expect("would be delivered now");
    assert!(!visit.says("Diary"));
    visit.press("Execute it");
    visit.expect("Nothing goes out by this");
    visit.press("Execute the disclosure");
    visit.expect("The disclosure is executed");
    let link = visit.find("a[href*='/disclosures/']").attribute("href");
    let link = link.unwrap().trim_start_matches(&visit.at).to_owned();
    // They let nothing out themselves.
    visit.open(&link);
    visit.expect("Nothing has gone out");
    assert!(!visit.says("Release it"));
    visit.open(&format!("{link}/release"));
    visit.expect("it needs the role releaser");
    visit.open(&format!("/cases/{case}"));
    link
}

/// The releaser, another person, sees what will go out, lets it out, and fetches what the agency opens.
fn release(bench: &mut Bench, visit: &Visit, case: AuthorisationId, link: &str, key: &str) {
    visit.change_to(bench, RICK);
    visit.expect("Release what was executed");
    visit.press("GS 17/2027");
    visit.leave(|| visit.find("a[href*='/disclosures/']").click());
    visit.expect("Nothing has gone out");
    visit.press("Release it");
    visit.expect("This cannot be undone");
    visit.expect("1 item when erin@example.com executed it");
    visit.press("Release the disclosure");
    visit.expect("The disclosure is released");
    let fetched = bench.post(RICK, link, &format!("{link}/delivery"), &[]);
    assert_eq!(fetched.header("content-type"), Some("application/x-tar"));
    let _file = write(&bench.file("delivery.tar"), &fetched.body);
    let unpacked = Command::new("tar")
        .args(["-xf", "delivery.tar"])
        .current_dir(bench.file("."))
        .status();
    assert!(unpacked.unwrap().success());
    let opened = bench.openssl(
        "cms -decrypt -binary -inform DER -in 00001.p7m -recip agency.pem -inkey agency.key",
    );
    let opened: Value = serde_json::from_slice(&opened.stdout).unwrap();
    assert!(opened.to_string().contains(key), "{opened}");
    // Nobody else fetches it.
    let erin = bench.post(ERIN, "/sessions", &format!("{link}/delivery"), &[]);
    assert_eq!(erin.status, 403);
    // It was suspended before it could be fetched again: it stays where it is.
    let carl = bench.session(CARL);
    let suspend = json!({ "to": "suspend", "reason": "an appeal" });
    let path = format!("/v1/authorisations/{case}/state");
    let _moved: Value = carl.ask("POST", &path, &suspend).unwrap();
    let refused = bench.post(RICK, "/sessions", &format!("{link}/delivery"), &[]);
    assert_eq!(refused.status, 404);
}

/// The auditor sees all of it, changes nothing, and exports it with progress or without.
fn audit(bench: &Bench, visit: &Visit, case: AuthorisationId, other: &str) {
    visit.change_to(bench, AUDREY);
    visit.open(&format!("/cases/{case}"));
    for said in [
        "Suspended",
        "Reason: an appeal",
        "ruth@example.com",
        "Released",
        "Disclosure released",
        "Item disclosed",
        "Case approved",
    ] {
        visit.expect(said);
    }
    for act in [
        "Approve",
        "Reject",
        "Suspend",
        "Cancel the case",
        "Resume",
        "Preview",
        "Change the order",
    ] {
        let buttons = visit.all("main .head .button");
        assert!(buttons.iter().all(|button| button.text() != act), "{act}");
    }
    visit.press("Export this case");
    assert_eq!(
        visit.find("[name=case]").attribute("value"),
        Some(case.to_string())
    );
    visit.find("form[data-export] button[type=submit]").click();
    let done = (0..400).any(|_| {
        thread::sleep(Duration::from_millis(50));
        visit.says("Done: ")
    });
    assert!(done, "{}", visit.text());
    assert!(visit.named("Save the bundle").is_shown());
    // Without scripts it is a download.
    let bundle = bench.post(AUDREY, "/export", "/export", &[("case", &case.to_string())]);
    assert_eq!(bundle.status, 200, "{}", bundle.text());
    let lines: Vec<Value> = bundle
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["filter"]["case"], json!(case.to_string()));
    assert_eq!(lines[lines.len() - 1]["type"], "footer");
    assert!(!bundle.text().contains(other));
    let csv = bench.post(
        AUDREY,
        "/export",
        "/export",
        &[("as", "csv"), ("case", &case.to_string())],
    );
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    assert!(csv.text().starts_with("index,time,act,"), "{}", csv.text());
    assert!(csv.text().contains(",disclosure.release,"));
    let pdf = bench.post(
        AUDREY,
        "/export",
        "/export",
        &[("as", "pdf"), ("case", &case.to_string())],
    );
    assert!(pdf.body.starts_with(b"%PDF-") && pdf.body.len() > 10_000);
    let refused = bench.post(AUDREY, "/export", "/export", &[("account", "nobody")]);
    assert_eq!(refused.status, 422);
    assert!(refused.text().contains("“Account” cannot be read: nobody"));
}
