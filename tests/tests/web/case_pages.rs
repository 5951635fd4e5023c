//! The pages of cases, proposals and approval keys: for whom they are, whether everybody can read them, and acts that lead to a proposal.

use serde_json::{Value, json};
use strongroom_tests::browser::Settings;
use strongroom_wire::account::Role;
use strongroom_wire::disclosure::ChangedDisclosure;
use strongroom_wire::id::AuthorisationId;

use super::bench::{AUDREY, Bench, CARL, ERIN, PEOPLE, RICK, RUBEN, RUTH, browse, order};
use super::reading::{EVIL, EVIL_NAME, read_all};
use super::site::{ALICE, BOB, Visit};

const SAM: &str = "sam@example.com";
const SUE: &str = "sue@example.com";

/// Every free text of an order, as somebody writes it who wants to have others' browsers do something.
fn evil(certificate: &[u8]) -> Value {
    let mut order = order(certificate, EVIL_NAME);
    for text in [
        "reference",
        "legal_type",
        "legal_basis",
        "jurisdiction",
        "type_of_case",
        "issuing_authority",
        "validating_authority",
        "necessity",
        "proportionality",
        "notification_delay_basis",
    ] {
        order[text] = json!(EVIL);
    }
    order["notification_delay"] = json!(0);
    order["tasks"][0]["reference"] = json!(EVIL);
    let by_label =
        json!({ "reference": "2", "scope": { "label": { "owner": EVIL_NAME, "label": EVIL } } });
    order["tasks"].as_array_mut().unwrap().push(by_label);
    order
}

/// A case in every state of its pages: approved and released, with evil in each of its texts; and another that awaits approval.
struct Cases {
    released: AuthorisationId,
    disclosure: String,
    waiting: AuthorisationId,
}

fn furnish(bench: &mut Bench) -> Cases {
    drop(bench.site.person(BOB, &[]));
    let mut evil_one = bench.site.person(EVIL_NAME, &[]);
    let _key = evil_one.create_key(EVIL, &[BOB]).unwrap();
    let agency = bench.agency();
    let put = json!({ "content": strongroom_wire::encoding::Base64(b"warrant".to_vec()) });
    let put: Value = bench
        .session(CARL)
        .ask("POST", "/v1/authorisations/documents", &put)
        .unwrap();
    let mut whole = evil(&agency);
    whole["warrant"] = json!({ "name": EVIL, "media_type": EVIL, "sha256": put["sha256"] });
    let released = bench.enter(whole.clone());
    whole["max_items"] = json!(7);
    let change = json!({ "generation": 1, "order": whole });
    let path = format!("/v1/authorisations/{released}");
    let _changed: Value = bench.session(CARL).ask("PUT", &path, &change).unwrap();
    let _one = bench.approve(RUTH, released);
    let _two = bench.approve(RUBEN, released);
    let executed: ChangedDisclosure = bench
        .session(ERIN)
        .ask("POST", &format!("{path}/disclosures"), &json!({}))
        .unwrap();
    let disclosure = executed.disclosure.id;
    let release = format!("/v1/disclosures/{disclosure}/release");
    let _released: Value = bench
        .session(RICK)
        .ask("POST", &release, &json!({}))
        .unwrap();
    let waiting = bench.enter(evil(&agency));
    let suspend = json!({ "to": "suspend", "reason": EVIL });
    let resume = json!({ "to": "resume", "reason": "go on" });
    let state = format!("{path}/state");
    let _moved: Value = bench.session(CARL).ask("POST", &state, &suspend).unwrap();
    let _moved: Value = bench.session(RUTH).ask("POST", &state, &resume).unwrap();
    Cases {
        released,
        disclosure: format!("/cases/{released}/disclosures/{disclosure}"),
        waiting,
    }
}

/// Every page of cases, and the roles for which there is one: who sees the case and may do what it is for.
fn pages(cases: &Cases) -> Vec<(String, &'static [Role])> {
    use Role::{Auditor, CaseOfficer, Executor, LegalApprover, Releaser};
    let Cases {
        released,
        disclosure,
        waiting,
    } = cases;
    let all: &[Role] = &[CaseOfficer, LegalApprover, Executor, Releaser, Auditor];
    let of_waiting: &[Role] = &[CaseOfficer, LegalApprover, Auditor];
    vec![
        ("/cases".to_owned(), all),
        ("/cases/new".to_owned(), &[CaseOfficer]),
        ("/cases/new/file".to_owned(), &[CaseOfficer]),
        (format!("/cases/{released}"), all),
        (format!("/cases/{waiting}"), of_waiting),
        (format!("/cases/{released}/hold"), all),
        (format!("/cases/{waiting}/hold"), of_waiting),
        (format!("/cases/{released}/order.json"), all),
        (format!("/cases/{waiting}/order.json"), of_waiting),
        (format!("/cases/{released}/change"), &[CaseOfficer]),
        (format!("/cases/{waiting}/decide"), &[LegalApprover]),
        (
            format!("/cases/{released}/state?to=suspend"),
            &[CaseOfficer, LegalApprover],
        ),
        (
            format!("/cases/{released}/state?to=cancel"),
            &[CaseOfficer, LegalApprover],
        ),
        (
            format!("/cases/{released}/state?to=resume"),
            &[LegalApprover],
        ),
        (format!("/cases/{released}/preview"), &[Executor, Releaser]),
        (format!("/cases/{released}/execute"), &[Executor]),
        (disclosure.clone(), all),
        (format!("{disclosure}/release"), &[Releaser]),
    ]
}

#[test]
#[expect(clippy::too_many_lines, reason = "one appliance for several stories")]
fn pages_of_cases_are_for_their_roles_and_can_be_read_by_everybody() {
    let mut bench = Bench::start("");
    drop(bench.site.person(SAM, &[Role::SecurityOfficer]));
    let cases = furnish(&mut bench);

    // For whom.
    let pages = pages(&cases);
    for (path, roles) in &pages {
        for (name, role) in PEOPLE {
            let response = bench.get(name, path);
            let sees = response.status == 200;
            assert_eq!(
                sees,
                roles.contains(&role),
                "{path} {role:?}: {}",
                response.text()
            );
            if !sees {
                assert!(
                    [403, 404].contains(&response.status),
                    "{path} {role:?} {}",
                    response.status
                );
                assert!(!response.text().contains("&lt;img"), "{path} {role:?}");
            }
        }
        // Nobody else sees any, and strangers sign in first.
        let administrator = format!(
            "__Host-strongroom-administration={}",
            bench.site.administrator.token.to_text()
        );
        let response = browse(&bench.site, &administrator, "GET", path, "", b"");
        assert_eq!(response.status, 403, "{path}");
        let response = browse(&bench.site, "", "GET", path, "", b"");
        assert_eq!(response.status, 303, "{path}");
    }
    // What a page would not offer is refused all the same, with a leaf: forms go to the keystore as who sends them.
    let (released, waiting) = (cases.released, cases.waiting);
    for (name, to, fields) in [
        (CARL, format!("/cases/{released}/execute"), &[][..]),
        (RUTH, format!("/cases/{released}/execute"), &[]),
        (AUDREY, format!("/cases/{released}/preview"), &[]),
        (ERIN, format!("{}/release", cases.disclosure), &[]),
        (CARL, format!("{}/release", cases.disclosure), &[]),
        (RICK, format!("/cases/{released}/execute"), &[]),
        (
            AUDREY,
            format!("/cases/{released}/state"),
            &[("to", "cancel"), ("reason", "x")],
        ),
        (
            CARL,
            format!("/cases/{released}/state"),
            &[("to", "resume"), ("reason", "x")],
        ),
    ] {
        let response = bench.post(name, "/sessions", &to, fields);
        assert_eq!(response.status, 403, "{name} {to}: {}", response.text());
        assert!(
            response.text().contains("The attempt is recorded as leaf"),
            "{name} {to}"
        );
    }

    // Whether everybody can read them: light, dark, and on a phone, with evil in every text.
    let mut wrong = Vec::new();
    let own = [
        "/disclosures",
        "/proposals",
        "/approval-keys",
        "/approval-keys/new",
    ];
    for (dark, window) in [
        (false, (1280, 900)),
        (true, (1280, 900)),
        (false, (390, 844)),
    ] {
        let settings = Settings {
            dark,
            window,
            ..Settings::default()
        };
        let visit = Visit::new(bench.site.browser(settings), &bench.site.office);
        visit.open("/sign-in");
        if dark {
            visit.run("localStorage.setItem('theme', 'dark')", &[]);
        }
        let of = |names: &[&str]| -> Vec<String> {
            names.iter().map(|name| (*name).to_owned()).collect()
        };
        let case = format!("/cases/{released}");
        for (name, paths) in [
            (
                CARL,
                vec![
                    "/cases".to_owned(),
                    "/cases/new".to_owned(),
                    "/cases/new/file".to_owned(),
                    format!("{case}/change"),
                    format!("{case}/state?to=cancel"),
                ],
            ),
            (
                RUTH,
                vec![
                    case.clone(),
                    format!("/cases/{waiting}/decide"),
                    format!("/cases/{waiting}/decide?decision=reject"),
                    "/approval-keys".to_owned(),
                ],
            ),
            (
                ERIN,
                vec![format!("{case}/preview"), format!("{case}/execute")],
            ),
            (
                RICK,
                vec![
                    cases.disclosure.clone(),
                    format!("{}/release", cases.disclosure),
                ],
            ),
            (
                AUDREY,
                vec![
                    "/cases?words=%22%3E%3Cimg%2Fsrc%3Dx%3E&state=%3Cb%3E".to_owned(),
                    case.clone(),
                    format!("{case}/hold"),
                    "/export?case=%22%3E%3Cimg%2Fsrc%3Dx%3E&as=%22".to_owned(),
                ],
            ),
            (SAM, of(&own[1..])),
        ] {
            visit.sign_in(name, &bench.site.appliance.password_of(name));
            read_all(&visit, &paths, &mut wrong);
            visit.press("Sign out");
        }
        let visit = visit.over_to(&bench.site.owners);
        visit.sign_in(EVIL_NAME, &bench.site.appliance.password_of(EVIL_NAME));
        read_all(&visit, &of(&own), &mut wrong);
        visit.open("/disclosures");
        visit.expect(EVIL);
    }
    assert!(
        wrong.is_empty(),
        "{} things are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );

    // And without scripts all of it is there.
    let visit = bench.site.signed_in(
        &bench.site.office,
        AUDREY,
        Settings {
            javascript: false,
            ..Settings::default()
        },
    );
    visit.open(&format!("/cases/{released}"));
    for said in [
        EVIL,
        "Generation 2",
        "10 → 7",
        "Evidence",
        "Disclosure released",
    ] {
        visit.expect(said);
    }
    visit.open("/export");
    visit.expect("What it holds");
}

/// The domain's policy wants several people for an act: the page of the act leads to a proposal, an officer approves it, and whoever proposed it carries it out.
#[test]
fn acts_that_take_several_people_lead_to_a_proposal() {
    let mut bench = Bench::start("");
    drop(bench.site.person(SAM, &[Role::SecurityOfficer]));
    drop(bench.site.person(SUE, &[Role::SecurityOfficer]));
    let mut alice = bench.site.person(ALICE, &[]);
    let key = alice.create_key(EVIL, &[]).unwrap().key.id;
    let rule = |act: &str| json!({ "act": act, "count": 1, "role": "security-officer", "valid_for": 86_400 });
    let policy = json!({ "quorums": [rule("key.destroy"), rule("domain.policy"), rule("master-kek.rotate"), rule("account.update")] });
    let admin = &mut bench.site.administrator;
    let _set: Value = admin.ask("PUT", "/v1/domain/policy", &policy).unwrap();

    let owner = bench.site.owner(ALICE);
    owner.open(&format!("/keys/{key}/destroy"));
    owner.fill("confirm", "destroy");
    owner.press("Destroy the key for good");
    owner.expect("Several people have to approve it first");
    owner.press("Make a proposal of it");
    owner.expect("The proposal is made");
    owner.expect("Nobody has decided yet");
    let proposal = owner.path();
    let proposal = proposal.split('?').next().unwrap().to_owned();

    // Sam approves it with a passkey; neither he nor anybody else carries it out.
    let visit = bench.site.officer(SAM);
    let _authenticator = visit.plug_authenticator();
    visit.make_passkey();
    visit.open("/proposals");
    visit.expect("You decide");
    visit.expect(EVIL);
    visit.press("Destroy a key");
    assert!(!visit.says("Carry it out"));
    visit.press("Approve");
    visit.checked();
    visit.press("Approve the proposal");
    visit.expect("Your approval is recorded");
    visit.open(&format!("{proposal}/run"));
    assert_eq!(visit.path(), proposal);
    let wrong = visit.accessibility();
    assert!(wrong.is_empty(), "{wrong:?}");

    owner.open("/proposals");
    owner.expect("Carry it out");
    owner.press("Destroy a key");
    let wrong = owner.accessibility();
    assert!(wrong.is_empty(), "{wrong:?}");
    owner.press("Carry it out");
    owner.expect("can never be opened again");
    owner.press("Carry it out");
    owner.expect("It is carried out");
    owner.open(&format!("/keys/{key}"));
    owner.expect("Every copy is gone");

    // A change of the policy, proposed from its form, and rejected; and a rotation, withdrawn.
    visit.open("/policy/change");
    visit.fill("recovery_delay", "7200");
    visit.press("See what it changes");
    visit.press("Set the policy");
    visit.press("Make a proposal of it");
    visit.expect("Change the domain's policy");
    let proposal = visit.path();
    let proposal = proposal.split('?').next().unwrap().to_owned();
    visit.find("details summary").click();
    visit.expect("\"recovery_delay\": 7200");
    visit.open(&format!("{proposal}/decide"));
    visit.expect("There is nothing for you to decide");
    visit.open("/master-key/rotate");
    visit.press("Rotate the master KEK");
    visit.press("Make a proposal of it");
    visit.press("Withdraw the proposal");
    visit.expect("The proposal is withdrawn");

    let other = bench.site.officer(SUE);
    let _authenticator = other.plug_authenticator();
    other.make_passkey();
    other.open(&proposal);
    other.press("Reject");
    other.checked();
    other.press("Reject the proposal");
    other.expect("The proposal is rejected");
    other.open("/proposals");
    other.expect("No open proposals");
    other.press("Show those that are over, too");
    other.expect("Rejected");

    // The administrator gives roles: the same way.
    let administrator = bench.site.administers();
    let account = alice.account.id;
    administrator.open(&format!("/accounts/{account}/roles"));
    administrator.choose("roles", "auditor");
    administrator.press("Save the roles");
    administrator.press("Make a proposal of it");
    administrator.expect("Give an account roles");
    // Others have nothing to do with it.
    let path = administrator.path();
    let path = path.split('?').next().unwrap();
    assert_eq!(bench.get(CARL, path).status, 404);
    assert_eq!(bench.get(AUDREY, path).status, 200);
    let decide = bench.get(AUDREY, &format!("{path}/decide")).text();
    assert!(decide.contains("There is nothing for you to decide"));
    let run = bench.post(AUDREY, "/sessions", &format!("{path}/run"), &[]);
    assert_eq!(run.status, 403, "{}", run.text());
}
