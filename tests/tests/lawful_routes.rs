//! Every route of lawful access and of proposals, by every role and by nobody in particular: whoever acts in a role that they do not hold is refused, and a leaf
//! says who tried what. The routes are those of the appliance's own API document, so that none is forgotten.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use strongroom_approval::{Decision, Of, Statement};
use strongroom_tests::{Appliance, Session};
use strongroom_wire::account::{AccountKind, Role};
use strongroom_wire::audit::Act;
use strongroom_wire::encoding::{Base64, Timestamp};
use strongroom_wire::id::{ApprovalKeyId, DisclosureId};
use strongroom_wire::problem::{Code, Problem};

/// Who may make a request.
#[derive(Clone, Copy)]
enum Open {
    /// These.
    To(&'static [Role]),
    /// Everybody who is signed in: they see and do what is their own.
    ToAll,
}

use Open::{To, ToAll};
use Role::{Auditor, CaseOfficer, Executor, LegalApprover, Releaser, SecurityOfficer};

/// A request.
struct Route {
    method: &'static str,
    /// As the API document has it.
    path: &'static str,
    open: Open,
    /// What the leaf of a refusal says was tried.
    act: Act,
    body: Body,
}

/// What goes with a request.
#[derive(Clone, Copy)]
enum Body {
    None,
    Order,
    Change,
    Document,
    Decision,
    Move(&'static str),
    ProposalDecision,
    Propose,
}

const SEEING: Open = To(&[CaseOfficer, LegalApprover, Executor, Releaser, Auditor]);

const fn route(
    method: &'static str,
    path: &'static str,
    open: Open,
    act: Act,
    body: Body,
) -> Route {
    Route {
        method,
        path,
        open,
        act,
        body,
    }
}

/// Every operation with one of the tags below; one with a body that says what is done stands here once for each.
#[rustfmt::skip]
const ROUTES: &[Route] = &[
    route("POST", "/v1/authorisations", To(&[CaseOfficer]), Act::AuthorisationEnter, Body::Order),
    route("GET", "/v1/authorisations", SEEING, Act::AuthorisationRead, Body::None),
    route("POST", "/v1/authorisations/documents", To(&[CaseOfficer]), Act::AuthorisationDocument, Body::Document),
    route("GET", "/v1/authorisations/{authorisation}", SEEING, Act::AuthorisationRead, Body::None),
    route("PUT", "/v1/authorisations/{authorisation}", To(&[CaseOfficer]), Act::AuthorisationChange, Body::Change),
    route("POST", "/v1/authorisations/{authorisation}/approvals", To(&[LegalApprover]), Act::AuthorisationApprove, Body::Decision),
    route("POST", "/v1/authorisations/{authorisation}/state", To(&[CaseOfficer, LegalApprover]), Act::AuthorisationSuspend, Body::Move("suspend")),
    route("POST", "/v1/authorisations/{authorisation}/state", To(&[LegalApprover]), Act::AuthorisationResume, Body::Move("resume")),
    route("POST", "/v1/authorisations/{authorisation}/state", To(&[CaseOfficer, LegalApprover]), Act::AuthorisationCancel, Body::Move("cancel")),
    route("GET", "/v1/authorisations/{authorisation}/documents/{sha256}", SEEING, Act::AuthorisationRead, Body::None),
    route("POST", "/v1/authorisations/{authorisation}/preview", To(&[Executor, Releaser]), Act::DisclosurePreview, Body::None),
    route("POST", "/v1/authorisations/{authorisation}/disclosures", To(&[Executor]), Act::DisclosureExecute, Body::None),
    route("GET", "/v1/authorisations/{authorisation}/disclosures", SEEING, Act::AuthorisationRead, Body::None),
    route("GET", "/v1/authorisations/{authorisation}/generations", SEEING, Act::AuthorisationRead, Body::None),
    route("GET", "/v1/authorisations/{authorisation}/hold", SEEING, Act::AuthorisationRead, Body::None),
    route("GET", "/v1/disclosures/{disclosure}", SEEING, Act::AuthorisationRead, Body::None),
    route("POST", "/v1/disclosures/{disclosure}/release", To(&[Releaser]), Act::DisclosureRelease, Body::None),
    route("POST", "/v1/disclosures/{disclosure}/delivery", To(&[Releaser]), Act::DisclosureDeliver, Body::None),
    route("GET", "/v1/notifications", ToAll, Act::Unknown, Body::None),
    route("POST", "/v1/proposals", ToAll, Act::Unknown, Body::Propose),
    route("GET", "/v1/proposals", ToAll, Act::Unknown, Body::None),
    route("GET", "/v1/proposals/{proposal}", To(&[SecurityOfficer, Auditor]), Act::AuthorisationRead, Body::None),
    route("POST", "/v1/proposals/{proposal}/approvals", To(&[SecurityOfficer]), Act::ProposalApprove, Body::ProposalDecision),
    route("DELETE", "/v1/proposals/{proposal}", To(&[]), Act::ProposalWithdraw, Body::None),
];

const TAGS: [&str; 3] = ["authorisations", "disclosures", "proposals"];

/// The appliance, a case that awaits approval, and a proposal of somebody else's.
struct Scene {
    appliance: Appliance,
    auditor: Session,
    case: Value,
    proposal: Value,
    key: String,
}

impl Scene {
    fn new() -> (Self, Vec<(Option<Role>, Session)>) {
        let appliance = Appliance::start();
        let mut admin = appliance.administrator();
        let mut people = vec![(None, person(&appliance, &mut admin, "none", &[]))];
        for role in Role::ALL {
            let session = person(&appliance, &mut admin, role.as_str(), &[role]);
            people.push((Some(role), session));
        }
        let auditor = person(&appliance, &mut admin, "otto", &[Auditor]);
        let mut carl = person(&appliance, &mut admin, "carl", &[CaseOfficer]);
        let mut alice = person(&appliance, &mut admin, "alice", &[]);
        let entered: Value = carl.ask("POST", "/v1/authorisations", &order()).unwrap();
        let mut policy: Value = admin.get("/v1/domain/policy").unwrap();
        policy["quorums"] = json!([
            { "act": "key.destroy", "label": "root CA", "count": 1, "role": "security-officer", "valid_for": 86_400 }
        ]);
        let _: Value = admin.ask("PUT", "/v1/domain/policy", &policy).unwrap();
        let key = alice.create_key("root CA", &[]).unwrap().key.id.to_string();
        let proposed: Value = alice.ask("POST", "/v1/proposals", &propose(&key)).unwrap();
        let scene = Self {
            appliance,
            auditor,
            case: entered["authorisation"].clone(),
            proposal: proposed["proposal"].clone(),
            key,
        };
        (scene, people)
    }

    fn path(&self, path: &str) -> String {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        path.replace("{authorisation}", &text(&self.case["id"]))
            .replace("{sha256}", &text(&self.case["record_sha256"]))
            .replace("{disclosure}", &DisclosureId::generate().to_string())
            .replace("{proposal}", &text(&self.proposal["id"]))
    }

    fn body(&self, body: Body) -> Option<Value> {
        let digest = |of: &Value, what: &str| -> [u8; 32] {
            let text = of[what].as_str().unwrap();
            hex::decode(text).unwrap().try_into().unwrap()
        };
        let decide = |subject: &Value, of: Of| {
            let statement = Statement {
                domain_origin: "strongroom.example/default".to_owned(),
                subject: subject["id"].as_str().unwrap().to_owned(),
                of,
                decision: Decision::Approve,
                valid_until: soon(),
            };
            json!({
                "statement": Base64(statement.to_bytes()),
                "signed_by": { "approval-key": { "id": ApprovalKeyId::generate(), "jws": "e30..AAAA" } },
            })
        };
        Some(match body {
            Body::None => return None,
            Body::Order => order(),
            Body::Change => json!({ "generation": 1, "order": order() }),
            Body::Document => json!({ "content": "YQ" }),
            Body::Decision => decide(
                &self.case,
                Of::Authorisation {
                    generation: 1,
                    record_sha256: digest(&self.case, "record_sha256"),
                },
            ),
            Body::Move(to) => json!({ "to": to, "reason": "because" }),
            Body::ProposalDecision => decide(
                &self.proposal,
                Of::Request {
                    act: "key.destroy".to_owned(),
                    request_sha256: digest(&self.proposal, "request_sha256"),
                },
            ),
            Body::Propose => propose(&self.key),
        })
    }
}

fn propose(key: &str) -> Value {
    json!({ "request": { "key.destroy": { "key": key } } })
}

fn person(appliance: &Appliance, admin: &mut Session, name: &str, roles: &[Role]) -> Session {
    let name = format!("{name}@example.com");
    let created = admin.create_account(&name, AccountKind::Person, roles, None);
    let code = created.unwrap().enrolment_code.unwrap();
    let password = appliance.password_of(&name);
    appliance.api().enrol(&name, &code, &password).unwrap();
    appliance.sign_in(&name)
}

fn soon() -> Timestamp {
    "2080-01-01T00:00:00Z".parse().unwrap()
}

/// An emergency, which is without a warrant.
fn order() -> Value {
    let agency = strongroom_disclosure::hpke::HpkePrivateKey::generate();
    json!({
        "reference": "GS 17/2027",
        "legal_type": "disclosure of stored content",
        "legal_basis": "StPO 269",
        "jurisdiction": "ZH",
        "country_code": "CH",
        "issuing_authority": "Staatsanwaltschaft",
        "flags": { "emergency": true },
        "timespan": { "start": "2020-01-01T00:00:00Z", "end": soon() },
        "necessity": "Nothing milder leads there.",
        "proportionality": "A few files.",
        "agency_key": { "hpke": Base64(agency.public_key().to_bytes()) },
        "max_items": 10,
        "tasks": [{ "reference": "1", "scope": { "label": { "owner": "alice@example.com", "label": "evidence" } } }],
    })
}

/// The operations of the API document that have one of the tags.
fn documented(session: &mut Session) -> BTreeSet<(String, String)> {
    let document: Value = session.get("/v1/openapi.json").unwrap();
    let mut found = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let tags = operation["tags"].as_array();
            let tagged = tags.into_iter().flatten().filter_map(Value::as_str);
            if tagged.into_iter().any(|tag| TAGS.contains(&tag)) {
                found.insert((method.to_uppercase(), path.clone()));
            }
        }
    }
    found
}

#[test]
fn whoever_acts_in_a_role_that_they_do_not_hold_is_refused_and_logged() {
    let (mut scene, mut people) = Scene::new();
    let known: BTreeSet<_> = ROUTES
        .iter()
        .map(|route| (route.method.to_owned(), route.path.to_owned()))
        .collect();
    assert_eq!(documented(&mut scene.auditor), known);
    let mut refusals = 0;
    for route in ROUTES {
        let (path, body) = (scene.path(route.path), scene.body(route.body));
        let body = body.map(|body| serde_json::to_vec(&body).unwrap());
        for (role, session) in &mut people {
            let what = format!("{} {path} by {role:?}", route.method);
            let may = match route.open {
                ToAll => true,
                To(roles) => role.is_some_and(|role| roles.contains(&role)),
            };
            let newest = scene.auditor.records_after(None).unwrap()[0].index;
            let answer = session.send(route.method, &path, body.as_deref()).unwrap();
            let records = scene.auditor.records_after(Some(newest)).unwrap();
            if answer.status < 400 {
                assert!(may, "{what} is done");
                continue;
            }
            let problem: Problem = serde_json::from_slice(&answer.body)
                .unwrap_or_else(|error| panic!("{what}: {error}"));
            if may {
                // It may, and there is nothing there that it could be done to.
                assert_ne!(
                    problem.code,
                    Code::NotPermitted,
                    "{what}: {}",
                    problem.detail
                );
                continue;
            }
            assert!(
                matches!(problem.code, Code::NotPermitted | Code::ProposalNotFound),
                "{what}: {}: {}",
                problem.code,
                problem.detail
            );
            // The answer names the leaf, and that says who tried what.
            let leaf = records
                .iter()
                .find(|record| Some(record.index) == problem.leaf)
                .unwrap_or_else(|| panic!("{what}: leaf {:?} of {records:?}", problem.leaf));
            assert_eq!((leaf.act, leaf.done), (route.act, false), "{what}");
            assert_eq!(leaf.actor, Some(session.account.id), "{what}");
            let note = leaf.note.as_deref().unwrap();
            assert!(note.starts_with(problem.code.as_str()), "{what}: {note}");
            refusals += 1;
        }
    }
    // Seven roles and none, at each of the routes that are not open to all.
    assert!(refusals > 100, "{refusals}");
    scene.appliance.stop();
    assert_eq!(scene.appliance.verify_audit()["verified"], true);
}
