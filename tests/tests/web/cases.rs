//! A case in the browser, from its order to what the agency opens, by five people; and what is said where something is refused.

use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use strongroom_tests::accounts::ADMINISTRATOR;
use strongroom_tests::browser::Settings;
use strongroom_tests::witness::Witness;
use strongroom_wire::authorisation::Authorisation;
use strongroom_wire::disclosure::{ChangedDisclosure, DisclosureState, Disclosures};
use strongroom_wire::id::AuthorisationId;

use super::bench::{AUDREY, Bench, CARL, ERIN, RICK, RUBEN, RUTH, browse, order, write};
use super::site::{ALICE, BOB, Visit};

impl Visit {
    /// Puts a value into a field that browsers let people pick, such as a moment.
    fn set(&self, name: &str, value: &str) {
        let set = self.run(
            "const field = document.getElementsByName(arguments[0])[0]; field.value = arguments[1]; return field.value",
            &[name.into(), value.into()],
        );
        assert_eq!(set, value, "{name}");
    }

    /// Chooses a file.
    fn bring(&self, name: &str, path: &str) {
        self.find(&format!("input[type=file][name={name:?}]"))
            .type_in(path);
    }

    /// Signs out, and in as somebody else.
    fn change_to(&self, bench: &Bench, name: &str) {
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

    fn case(&self) -> AuthorisationId {
        let path = self.path();
        let id = path.split(['/', '?']).nth(2).unwrap();
        id.parse().unwrap()
    }
}

fn without_scripts() -> Settings {
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
fn enter(bench: &Bench, visit: &Visit) -> AuthorisationId {
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

/// A change voids what was approved and says what it changed; one rejection ends it; an emergency is ratified; over the cap nothing goes out; and what was released
/// waits for the witnesses that the policy demands.
#[test]
#[expect(clippy::too_many_lines, reason = "one appliance for several stories")]
fn what_is_refused_is_said_in_plain_words() {
    let witness = Witness::of("witness.example/w1", &[]);
    let mut bench = Bench::start(&witness.setting());
    let mut alice = bench.site.person(ALICE, &[]);
    drop(bench.site.person(BOB, &[]));
    for label in ["First", "Second"] {
        let _key = alice.create_key(label, &[BOB]).unwrap();
    }
    let agency = bench.agency();
    let mut cap = order(&agency, ALICE);
    cap["max_items"] = json!(1);
    let case = bench.enter(cap);
    let _one = bench.approve(RUTH, case);
    let approved = bench.approve(RUBEN, case);
    assert!(approved.state.is_in_effect());

    // Over the cap.
    let visit = bench
        .site
        .signed_in(&bench.site.office, ERIN, without_scripts());
    visit.open(&format!("/cases/{case}/preview"));
    visit.press("Show what it reaches");
    visit.expect("It reaches more than the order allows");
    assert!(!visit.has("a[href$='/execute']"));
    visit.open(&format!("/cases/{case}/execute"));
    visit.press("Execute the disclosure");
    visit.expect("More items than the order allows");
    visit.expect("Nothing went out.");
    visit.expect("The attempt is recorded as leaf");

    // The case officer raises it: approvals are void, and everybody sees what changed.
    visit.change_to(&bench, CARL);
    visit.open(&format!("/cases/{case}"));
    visit.press("Change the order");
    visit.expect("What 2 people have decided on the present generation is void at once");
    assert_eq!(
        visit.find("[name=max_items]").attribute("value").as_deref(),
        Some("1")
    );
    visit.fill("max_items", "5");
    visit.press("Change the order");
    visit.expect("The case has a new generation");
    visit.expect("Generation 2");
    visit.expect("1 → 5");
    visit.expect("Nobody has decided yet");
    visit.expect("by ruth@example.com");

    // Approved anew, and executed.
    let _one = bench.approve(RUTH, case);
    let _two = bench.approve(RUBEN, case);
    let path = format!("/v1/authorisations/{case}/disclosures");
    let executed: ChangedDisclosure = bench.session(ERIN).ask("POST", &path, &json!({})).unwrap();
    let disclosure = executed.disclosure.id;
    let link = format!("/cases/{case}/disclosures/{disclosure}");

    // Suspended: neither executed nor released.
    visit.open(&format!("/cases/{case}"));
    visit.press("Suspend");
    visit.fill("reason", " ");
    visit.press("Suspend the case");
    visit.expect("The reason has 1 to 256 bytes");
    visit.fill("reason", "an appeal");
    visit.press("Suspend the case");
    visit.expect("Reason: an appeal");
    let refused = bench.get(RICK, &link);
    assert_eq!(refused.status, 404);
    visit.change_to(&bench, RUTH);
    visit.open(&format!("/cases/{case}"));
    visit.press("Resume");
    visit.fill("reason", "the appeal failed");
    visit.press("Resume the case");
    visit.expect("The case is resumed");

    // Released, and nothing is handed out until the witnesses have seen it.
    let mut policy = json!({ "witnesses": 1, "step_up_within": 5 });
    let mut fresh = bench.site.appliance.sign_in(ADMINISTRATOR);
    let _set: Value = fresh.ask("PUT", "/v1/domain/policy", &policy).unwrap();
    visit.change_to(&bench, RICK);
    visit.open(&link);
    // Whoever signed in too long ago does so again.
    thread::sleep(Duration::from_millis(5100));
    visit.press("Release it");
    assert_eq!(visit.heading(), "Is it still you?");
    policy["step_up_within"] = json!(0);
    let mut fresh = bench.site.appliance.sign_in(ADMINISTRATOR);
    let _set: Value = fresh.ask("PUT", "/v1/domain/policy", &policy).unwrap();
    visit.step_up(&bench.site.appliance.password_of(RICK));
    visit.press("Release the disclosure");
    visit.expect("The disclosure is released");
    visit.press("Fetch the package");
    visit.expect("No checkpoint with enough cosignatures covers this disclosure yet");
    let found: Disclosures = bench.session(AUDREY).get(&path).unwrap();
    assert_eq!(found.disclosures[0].state, DisclosureState::Released);

    // An emergency, in effect by one, and ratified; and a rejection, which ends a case.
    let mut emergency = order(&agency, ALICE);
    emergency["reference"] = json!("Emergency 1");
    emergency["flags"] = json!({ "emergency": true });
    let emergency = bench.enter(emergency);
    let one = bench.approve(RUTH, emergency);
    assert!(one.ratify_by.is_some());
    let mut doubtful = order(&agency, ALICE);
    doubtful["reference"] = json!("Doubtful 1");
    let doubtful = bench.enter(doubtful);
    let visit = bench.site.officer(RUBEN);
    let _authenticator = visit.plug_authenticator();
    visit.make_passkey();
    visit.open("/cases");
    visit.expect("Ratify it, or reject it");
    visit.press("Emergency 1");
    visit.expect("It lapses unless it is ratified by");
    visit.press("Ratify");
    visit.checked();
    visit.press("Ratify the case");
    visit.expect("In effect within its timespan");
    visit.open("/cases");
    visit.press("Doubtful 1");
    visit.press("Reject");
    visit.expect("One rejection ends it");
    visit.checked();
    visit.press("Reject the case");
    visit.expect("The case is rejected");
    visit.expect("Only a change brings it back");
    visit.open(&format!("/cases/{doubtful}/decide"));
    visit.expect("There is nothing to decide");
    visit.open("/cases?state=rejected");
    visit.expect("Doubtful 1");
    assert!(!visit.says("Emergency 1"));
    visit.open("/cases?words=emerg");
    visit.expect("Emergency 1");
    assert!(!visit.says("Doubtful 1"));
    visit.open("/cases?words=nothing+like+it");
    visit.expect("No case matches");

    // Cancelling ends it, after a fresh sign-in where the last one is old.
    visit.cancel(&bench, emergency);
    let last: Authorisation = bench
        .session(AUDREY)
        .get(&format!("/v1/authorisations/{emergency}"))
        .unwrap();
    assert!(last.state.has_ended());
}

impl Visit {
    fn cancel(&self, bench: &Bench, case: AuthorisationId) {
        self.open(&format!("/cases/{case}"));
        self.press("Cancel the case");
        self.expect("This cannot be undone");
        self.expect("no change brings it back");
        self.fill("reason", "withdrawn by the authority");
        self.press("Cancel the case for good");
        self.expect("The case is cancelled");
        assert!(!self.has(".head .button.danger"));
        let carl = bench.get(CARL, &format!("/cases/{case}"));
        assert!(carl.text().contains("Ended for good"));
        assert!(!carl.text().contains("Change the order"));
    }
}

/// An order as a file, without scripts, and what the keystore says of one that cannot be.
#[test]
fn orders_come_from_files() {
    let mut bench = Bench::start("");
    drop(bench.site.person(ALICE, &[]));
    let agency = bench.agency();
    let visit = bench
        .site
        .signed_in(&bench.site.office, CARL, without_scripts());
    visit.open("/cases/new");
    visit.press("From a file");
    visit.press("Enter the order");
    visit.expect("This is no order in JSON");
    let whole = order(&agency, ALICE);
    let path = write(&bench.file("order.json"), whole.to_string().as_bytes());
    visit.bring("order_file", &path);
    visit.press("Enter the order");
    visit.expect("Only an emergency may be without its warrant");
    let warrant = write(&bench.file("w.txt"), b"In the name of the law");
    visit.bring("order_file", &path);
    visit.bring("warrant", &warrant);
    visit.press("Enter the order");
    visit.expect("The case is entered");
    // What comes out can go in again.
    let case = visit.case();
    let file = bench.get(CARL, &format!("/cases/{case}/order.json"));
    let file: Value = file.json();
    let person = |order: &Value| order["tasks"][0]["scope"]["messages"]["person"].clone();
    assert_eq!(person(&file), person(&whole));
    // The form itself, without scripts: what is missing is said, and what was typed stays.
    visit.open(&format!("/cases/{case}/change"));
    visit.fill("reference", "GS 18/2027");
    visit.fill("item-1", "x");
    visit.choose("scope-1", "item");
    visit.press("Change the order");
    visit.expect("Task 1: the item's identifier is none of a key.");
    assert_eq!(
        visit.find("[name=reference]").attribute("value").as_deref(),
        Some("GS 18/2027")
    );
    visit.choose("scope-1", "messages");
    visit.press("Change the order");
    visit.expect("GS 17/2027 → GS 18/2027");
    // A form with files from elsewhere, or without its token, is not looked at.
    let body = b"--x\r\ncontent-disposition: form-data; name=\"order\"\r\n\r\n{}\r\n--x--\r\n";
    let cookie = format!(
        "__Host-strongroom-administration={}",
        bench.session(CARL).token.to_text()
    );
    let kind = "multipart/form-data; boundary=x";
    let refused = browse(&bench.site, &cookie, "POST", "/cases/new/file", kind, body);
    assert_eq!(refused.status, 403);
    assert!(refused.text().contains("The form is too old"));
}
