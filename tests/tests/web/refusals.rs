//! What cases say where something is refused, and orders that come from files.

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use strongroom_tests::accounts::ADMINISTRATOR;
use strongroom_tests::witness::Witness;
use strongroom_wire::authorisation::Authorisation;
use strongroom_wire::disclosure::{ChangedDisclosure, DisclosureState, Disclosures};
use strongroom_wire::id::AuthorisationId;

use super::bench::{AUDREY, Bench, CARL, ERIN, RICK, RUBEN, RUTH, browse, order, write};
use super::cases::without_scripts;
use super::site::{ALICE, BOB, Visit};

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
