//! Lawful access and proposals: people, cases and disclosures in the prepared appliance, edits of their rows, and what these are meant to gain.

mod cases;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};
use strongroom_approval::{ApprovalKey, Decision, Of, Statement};
use strongroom_disclosure::hpke::HpkePrivateKey;
use strongroom_tests::{Appliance, Failed, Session};
use strongroom_wire::account::Role;
use strongroom_wire::approval::{
    ADD_APPROVAL_KEY, AddApprovalKey, ApprovalCredentials, ApprovalKeyAdded, Decide, SignedBy,
};
use strongroom_wire::authorisation::{
    Authorisation, ChangedAuthorisation, DocumentPut, PutDocument,
};
use strongroom_wire::disclosure::{self, ChangedDisclosure, Disclosure, DisclosurePreview};
use strongroom_wire::encoding::{Base64, Timestamp};
use strongroom_wire::id::ApprovalKeyId;
use strongroom_wire::proposal::{ChangedProposal, Proposal, ProposedRequest};

pub(crate) use cases::{CASES, FORBIDDEN, PERMITTED};

use super::world::{Who, enrolled, now};

/// What is attempted of cases.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Lawful {
    /// An officer looks at the case that is in effect.
    Show,
    /// At the one that waits for its second approval.
    ShowWaiting,
    /// The second approver approves that.
    Approve,
    /// The second approver lists their keys.
    ApprovalKeys,
    /// Somebody else lists theirs.
    OthersApprovalKeys,
    /// To execute the case that is in effect.
    Execute,
    /// To execute the one that waits.
    ExecuteWaiting,
    /// To release what was executed.
    Release,
    /// To have what was released.
    Deliver,
    /// What is told to those whom it concerns.
    Notifications(Who),
    /// To look at a proposal.
    Proposal,
    /// To approve it a second time, by somebody else.
    ApproveProposal,
}

struct Officer {
    session: Session,
    pair: Ed25519KeyPair,
    key: ApprovalKeyId,
}

/// The people and what they have done.
pub(crate) struct Law {
    carl: Session,
    ruben: Officer,
    erin: Session,
    rick: Session,
    sue: Officer,
    effect: Authorisation,
    waiting: Authorisation,
    executed: Disclosure,
    released: Disclosure,
    proposal: Proposal,
}

impl Law {
    /// Enters a case that is in effect, executed twice and released once, with keys that a hold keeps; one that waits for its second approval; and a
    /// proposal with one approval of two.
    pub(crate) fn prepare(appliance: &Appliance, admin: &mut Session, alice: &mut Session) -> Self {
        let mut person = |name: &str, role| enrolled(appliance, admin, name, &[role]);
        let mut carl = person("carl@example.com", Role::CaseOfficer);
        let mut erin = person("erin@example.com", Role::Executor);
        let mut rick = person("rick@example.com", Role::Releaser);
        let [mut ruth, mut ruben] = ["ruth@example.com", "ruben@example.com"]
            .map(|name| Officer::new(person(name, Role::LegalApprover)));
        let [mut sam, sue] = ["sam@example.com", "sue@example.com"]
            .map(|name| Officer::new(person(name, Role::SecurityOfficer)));
        let mut key = |label: &str| alice.create_key(label, &["bob@example.com"]);
        let [_, gone] = ["evidence", "evidence"].map(|label| key(label).unwrap().key.id);
        let root = key("root CA").unwrap().key.id;

        let warrant = PutDocument {
            content: b"In the name of the law".as_slice().into(),
        };
        let path = "/v1/authorisations/documents";
        let warrant: DocumentPut = carl.ask("POST", path, &warrant).unwrap();
        let agency = HpkePrivateKey::generate().public_key().to_bytes();
        let order = order(&warrant.sha256, &agency);
        let mut enter =
            || -> ChangedAuthorisation { carl.ask("POST", "/v1/authorisations", &order).unwrap() };
        let (effect, waiting) = (enter().authorisation, enter().authorisation);
        ruth.approve(&effect).unwrap();
        let effect = ruben.approve(&effect).unwrap();
        let waiting = ruth.approve(&waiting).unwrap();
        let path = format!("/v1/authorisations/{}/disclosures", effect.id);
        let mut execute = || {
            erin.ask::<ChangedDisclosure>("POST", &path, &json!({}))
                .unwrap()
        };
        alice.destroy(gone).unwrap();
        let first = execute().disclosure;
        let path = format!("/v1/disclosures/{}/release", first.id);
        let released: ChangedDisclosure = rick.ask("POST", &path, &json!({})).unwrap();
        // What came since is in another disclosure, which is executed and not released.
        let held = alice.create_key("evidence", &[]).unwrap().key.id;
        alice.destroy(held).unwrap();
        let executed = execute().disclosure;

        let rule = json!({ "act": "key.destroy", "label": "root CA", "count": 2, "role": "security-officer", "valid_for": 86_400 });
        let mut policy: Value = admin.get("/v1/domain/policy").unwrap();
        policy["quorums"] = json!([rule]);
        let _: Value = admin.ask("PUT", "/v1/domain/policy", &policy).unwrap();
        let request = ProposedRequest::KeyDestroy { key: root };
        let proposed: ChangedProposal = alice
            .ask("POST", "/v1/proposals", &json!({ "request": request }))
            .unwrap();
        sam.agree(&proposed.proposal).unwrap();
        Self {
            carl,
            ruben,
            erin,
            rick,
            sue,
            effect,
            waiting,
            executed,
            released: released.disclosure,
            proposal: proposed.proposal,
        }
    }

    /// Names for edits.
    pub(crate) fn names(&self) -> Vec<(String, Vec<u8>)> {
        let record = |of: &Authorisation| hex::decode(&of.record_sha256).unwrap();
        [
            ("case.effect", self.effect.id.as_bytes().to_vec()),
            ("case.waiting", self.waiting.id.as_bytes().to_vec()),
            ("record.effect", record(&self.effect)),
            ("record.waiting", record(&self.waiting)),
            ("approval_key.ruben", self.ruben.key.as_bytes().to_vec()),
            ("ruben", self.ruben.session.account.id.as_bytes().to_vec()),
            ("carl", self.carl.account.id.as_bytes().to_vec()),
            ("rick", self.rick.account.id.as_bytes().to_vec()),
            ("disclosure.executed", self.executed.id.as_bytes().to_vec()),
            ("disclosure.released", self.released.id.as_bytes().to_vec()),
            ("proposal", self.proposal.id.as_bytes().to_vec()),
        ]
        .map(|(name, bytes)| (name.to_owned(), bytes))
        .into()
    }

    /// Makes an attempt at a copy of the appliance; `at` has the sessions of the others.
    pub(crate) fn attempt(
        &self,
        appliance: &Appliance,
        attempt: Lawful,
        at: impl Fn(Who) -> Session,
    ) -> Result<(), Failed> {
        let api = appliance.api();
        let case = |of: &Authorisation, what: &str| format!("/v1/authorisations/{}{what}", of.id);
        let show = |of: &Authorisation| {
            let mut carl = self.carl.at(&api);
            carl.get::<Authorisation>(&case(of, "")).map(drop)
        };
        let execute = |of: &Authorisation| {
            let mut erin = self.erin.at(&api);
            let path = case(of, "/disclosures");
            erin.ask::<ChangedDisclosure>("POST", &path, &json!({}))
                .map(drop)
        };
        let keys = |session: &mut Session| {
            session
                .get::<ApprovalCredentials>("/v1/accounts/me/approval-keys")
                .map(drop)
        };
        match attempt {
            Lawful::Show => show(&self.effect),
            Lawful::ShowWaiting => show(&self.waiting),
            Lawful::Approve => {
                let mut session = self.ruben.session.at(&api);
                let decide = self.ruben.decide(&statement_of(&self.waiting));
                let path = case(&self.waiting, "/approvals");
                session
                    .ask::<ChangedAuthorisation>("POST", &path, &decide)
                    .map(drop)
            }
            Lawful::ApprovalKeys => keys(&mut self.ruben.session.at(&api)),
            Lawful::OthersApprovalKeys => keys(&mut at(Who::Mallory)),
            Lawful::Execute => {
                let mut erin = self.erin.at(&api);
                let path = case(&self.effect, "/preview");
                erin.ask::<DisclosurePreview>("POST", &path, &json!({}))
                    .map(drop)
            }
            Lawful::ExecuteWaiting => execute(&self.waiting),
            Lawful::Release => {
                let path = format!("/v1/disclosures/{}/release", self.executed.id);
                let mut rick = self.rick.at(&api);
                rick.ask::<ChangedDisclosure>("POST", &path, &json!({}))
                    .map(drop)
            }
            Lawful::Deliver => deliver(&mut self.rick.at(&api), &self.released),
            Lawful::Notifications(who) => at(who)
                .get::<disclosure::Notifications>("/v1/notifications")
                .map(drop),
            Lawful::Proposal => {
                let path = format!("/v1/proposals/{}", self.proposal.id);
                at(Who::Alice).get::<Proposal>(&path).map(drop)
            }
            Lawful::ApproveProposal => {
                let mut session = self.sue.session.at(&api);
                self.sue.agree_at(&mut session, &self.proposal).map(drop)
            }
        }
    }
}

/// Fetches a package, whose answer is no JSON.
fn deliver(rick: &mut Session, released: &Disclosure) -> Result<(), Failed> {
    let path = format!("/v1/disclosures/{}/delivery", released.id);
    let answer = rick.send("POST", &path, Some(b"{}")).unwrap();
    if answer.status == 200 {
        return Ok(());
    }
    Err(Failed::Refused(Box::new(
        serde_json::from_slice(&answer.body).unwrap(),
    )))
}

impl Officer {
    fn new(mut session: Session) -> Self {
        let pair = Ed25519KeyPair::generate().unwrap();
        let path = "/v1/accounts/me/approval-keys";
        let known: ApprovalCredentials = session.get(path).unwrap();
        let key = public(&pair);
        let statement = Statement {
            domain_origin: known.domain_origin,
            subject: session.account.id.to_string(),
            of: Of::Request {
                act: ADD_APPROVAL_KEY.to_owned(),
                request_sha256: key.fingerprint(),
            },
            decision: Decision::Approve,
            valid_until: soon(),
        };
        let statement = statement.to_bytes();
        let add = AddApprovalKey {
            name: "a card".to_owned(),
            public_key: key.spki().into(),
            jws: jws(&pair, &statement),
            statement: statement.into(),
        };
        let added: ApprovalKeyAdded = session.ask("POST", path, &add).unwrap();
        Self {
            session,
            pair,
            key: added.key.id,
        }
    }

    fn decide(&self, statement: &Statement) -> Decide {
        let bytes = statement.to_bytes();
        Decide {
            signed_by: SignedBy::ApprovalKey {
                id: self.key,
                jws: jws(&self.pair, &bytes),
            },
            statement: bytes.into(),
        }
    }

    fn approve(&mut self, of: &Authorisation) -> Result<Authorisation, Failed> {
        let decide = self.decide(&statement_of(of));
        let path = format!("/v1/authorisations/{}/approvals", of.id);
        let changed: ChangedAuthorisation = self.session.ask("POST", &path, &decide)?;
        Ok(changed.authorisation)
    }

    fn agree(&mut self, to: &Proposal) -> Result<(), Failed> {
        let mut session = self.session.at(&self.session.api().clone());
        self.agree_at(&mut session, to)
    }

    fn agree_at(&self, session: &mut Session, to: &Proposal) -> Result<(), Failed> {
        let statement = Statement {
            domain_origin: to.domain_origin.clone(),
            subject: to.id.to_string(),
            of: Of::Request {
                act: "key.destroy".to_owned(),
                request_sha256: hex::decode(&to.request_sha256).unwrap().try_into().unwrap(),
            },
            decision: Decision::Approve,
            valid_until: soon(),
        };
        let path = format!("/v1/proposals/{}/approvals", to.id);
        session
            .ask::<ChangedProposal>("POST", &path, &self.decide(&statement))
            .map(drop)
    }
}

fn statement_of(of: &Authorisation) -> Statement {
    Statement {
        domain_origin: of.record.domain_origin.clone(),
        subject: of.id.to_string(),
        of: Of::Authorisation {
            generation: of.generation,
            record_sha256: hex::decode(&of.record_sha256).unwrap().try_into().unwrap(),
        },
        decision: Decision::Approve,
        valid_until: soon(),
    }
}

fn public(pair: &Ed25519KeyPair) -> ApprovalKey {
    let mut der = hex::decode("302a300506032b6570032100").unwrap();
    der.extend(pair.public_key().as_ref());
    ApprovalKey::from_spki(&der).unwrap()
}

fn jws(pair: &Ed25519KeyPair, payload: &[u8]) -> String {
    let key = public(pair);
    let signature = pair.sign(&key.signing_input(payload));
    key.jws(signature.as_ref()).unwrap()
}

fn soon() -> Timestamp {
    Timestamp::from_millis(now() + 3_600_000)
}

/// An order about what alice has labelled as evidence, whose notification is not delayed.
fn order(warrant: &str, agency: &[u8]) -> Value {
    let at = |seconds: i64| {
        let millis = i64::try_from(now()).unwrap() + seconds * 1000;
        Timestamp::from_millis(u64::try_from(millis).unwrap())
    };
    json!({
        "reference": "GS 17/2027",
        "legal_type": "disclosure of stored content",
        "legal_basis": "StPO 269",
        "jurisdiction": "ZH",
        "country_code": "CH",
        "issuing_authority": "Staatsanwaltschaft",
        "timespan": { "start": at(-60), "end": at(86_400) },
        "warrant": { "name": "warrant.txt", "media_type": "text/plain", "sha256": warrant },
        "necessity": "Nothing milder leads there.",
        "proportionality": "A few files.",
        "agency_key": { "hpke": Base64(agency.to_vec()) },
        "max_items": 10,
        "tasks": [{ "reference": "1", "scope": { "label": { "owner": "alice@example.com", "label": "evidence" } } }],
    })
}
