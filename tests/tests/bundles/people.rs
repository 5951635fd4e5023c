//! A case: an authorisation that one person enters and two approve, and ways in which such a case is not what it says.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use strongroom_approval::evidence::{CredentialKind, Signed};
use strongroom_approval::{Credential, Decision, Evidence, Of, Statement};
use strongroom_audit::bundle::{Document, DocumentKind, Filter, LeafLine, Line};
use strongroom_audit::{Detail, Event, Leaf};
use strongroom_wire::account::Role;
use strongroom_wire::audit::Act;
use strongroom_wire::id::AccountId;

use super::cases::{Case, case};
use super::forge::{Log, ORIGIN, key, public, time, written};
use super::passkeys::{self, Ceremony};

pub(crate) const CASE: &str = "01939c2f-2a00-7a11-8111-111111111111";
const RECORD: &[u8] = br#"{"approvals_needed":2,"approvers":"legal-approver","authorisation":"01939c2f-2a00-7a11-8111-111111111111","domain_origin":"strongroom.example/default","format":"strongroom-authorisation/1","generation":1,"order":{"reference":"LEA-1"}}"#;
/// The approvers, and the officer who enters the authorisation.
pub(crate) const RUTH: u8 = 21;
pub(crate) const THURGOOD: u8 = 22;
pub(crate) const OFFICER: u8 = 23;
/// When approvals are out of date: the time of this leaf.
const VALID: u64 = 500;

/// Acts, each with the documents that its leaf names.
#[derive(Clone)]
pub(crate) struct Story(Vec<(Event, Vec<Document>)>);

/// An approval that is to be given.
#[derive(Clone)]
pub(crate) struct Given {
    pub(crate) person: u8,
    /// Whose leaf it is.
    pub(crate) actor: u8,
    pub(crate) role: Role,
    /// The identifier of what is decided on.
    pub(crate) subject: &'static str,
    /// Of a proposal, its act.
    pub(crate) act: Option<&'static str>,
    pub(crate) generation: u32,
    /// The SHA-256 of the record or of the request.
    pub(crate) record: [u8; 32],
    pub(crate) decision: Decision,
    pub(crate) valid_until: u64,
    /// The leaf whose time the evidence has.
    pub(crate) time: u64,
    pub(crate) state: Option<&'static str>,
    pub(crate) damaged: bool,
    /// Signed with a passkey, by the browser and authenticator as they are.
    pub(crate) passkey: Option<Ceremony>,
}

pub(crate) fn account(person: u8) -> AccountId {
    AccountId::from_bytes([person; 16])
}

fn spki(person: u8) -> Vec<u8> {
    let mut der = hex::decode("302a300506032b6570032100").unwrap();
    der.extend(public(person));
    der
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

pub(crate) fn approved(person: u8, at: u64) -> Given {
    Given {
        person,
        actor: person,
        role: Role::LegalApprover,
        subject: CASE,
        act: None,
        generation: 1,
        record: sha256(RECORD),
        decision: Decision::Approve,
        valid_until: VALID,
        time: at,
        state: None,
        damaged: false,
        passkey: None,
    }
}

impl Given {
    pub(crate) fn evidence(&self) -> Vec<u8> {
        let statement = Statement {
            domain_origin: ORIGIN.to_owned(),
            subject: self.subject.to_owned(),
            of: match self.act {
                None => Of::Authorisation {
                    generation: self.generation,
                    record_sha256: self.record,
                },
                Some(act) => Of::Request {
                    act: act.to_owned(),
                    request_sha256: self.record,
                },
            },
            decision: self.decision,
            valid_until: time(self.valid_until),
        };
        let who = (
            account(self.person),
            format!("person-{}@example.com", self.person),
            self.role,
        );
        if let Some(ceremony) = &self.passkey {
            let credential = Credential {
                id: format!("01939c2f-3b00-7a11-8111-1111111111{}", self.person),
                kind: CredentialKind::Passkey,
                public_key: passkeys::public_key(self.person).into(),
            };
            let signed = ceremony.sign(self.person, &statement.to_bytes(), self.damaged);
            let time = time(self.time);
            return Evidence::new(&statement, who, credential, signed, time).to_bytes();
        }
        let header = URL_SAFE_NO_PAD.encode(br#"{"alg":"EdDSA"}"#);
        let payload = URL_SAFE_NO_PAD.encode(statement.to_bytes());
        let signed = key(self.person).sign(format!("{header}.{payload}").as_bytes());
        let mut signature = signed.as_ref().to_vec();
        signature[9] ^= u8::from(self.damaged);
        let jws = format!("{header}..{}", URL_SAFE_NO_PAD.encode(signature));
        let credential = Credential {
            id: format!("01939c2f-3a00-7a11-8111-1111111111{}", self.person),
            kind: CredentialKind::ApprovalKey,
            public_key: spki(self.person).into(),
        };
        Evidence::new(
            &statement,
            who,
            credential,
            Signed::Jws(jws),
            time(self.time),
        )
        .to_bytes()
    }
}

impl Story {
    pub(crate) fn act(&mut self, act: Act, actor: u8, subject: Option<u8>, note: String) {
        let index = self.0.len() as u64;
        let event = Event {
            time: time(index),
            act,
            done: true,
            detail: Detail {
                actor: Some(account(actor)),
                subject: subject.map(account),
                note: Some(note),
                ..Detail::default()
            },
        };
        self.0.push((event, Vec::new()));
    }

    pub(crate) fn document(&mut self, kind: DocumentKind, content: Vec<u8>) {
        let (_, documents) = self.0.last_mut().unwrap();
        documents.push(Document::new(kind, content));
    }

    /// A person with an approval key and a passkey.
    pub(crate) fn person(&mut self, person: u8, roles: &str) {
        let note = format!("state active, roles [{roles}]");
        self.act(Act::AccountCreate, 99, Some(person), note);
        let note = format!(
            "passkey 01939c2f-3b00-7a11-8111-1111111111{person} key {}",
            hex::encode(sha256(&passkeys::public_key(person)))
        );
        self.act(Act::CredentialAdd, person, None, note);
        let note = format!(
            "approval-key 01939c2f-3a00-7a11-8111-1111111111{person} key {}",
            hex::encode(sha256(&spki(person)))
        );
        self.act(Act::CredentialAdd, person, None, note);
    }

    pub(crate) fn enter(&mut self, record: &[u8]) {
        let sha256 = hex::encode(sha256(record));
        let note = format!("case {CASE} generation 1 record {sha256}");
        self.act(Act::AuthorisationEnter, OFFICER, None, note);
        self.document(DocumentKind::Record, record.to_vec());
    }

    /// Where the next leaf goes.
    pub(crate) fn next(&self) -> u64 {
        self.0.len() as u64
    }

    pub(crate) fn give(&mut self, given: &Given) {
        let evidence = given.evidence();
        let state = given.state.map(|state| format!(" state {state}"));
        let subject = match given.act {
            None => format!("case {CASE} generation 1"),
            Some(_) => format!("proposal {}", given.subject),
        };
        let note = format!(
            "{subject} evidence {}{}",
            hex::encode(sha256(&evidence)),
            state.unwrap_or_default()
        );
        let act = match (given.decision, given.act) {
            (Decision::Approve, None) => Act::AuthorisationApprove,
            (Decision::Reject, None) => Act::AuthorisationReject,
            (Decision::Approve, Some(_)) => Act::ProposalApprove,
            (Decision::Reject, Some(_)) => Act::ProposalReject,
        };
        self.act(act, given.actor, None, note);
        self.document(DocumentKind::Evidence, evidence);
    }

    /// The people, with their keys and roles, and the authorisation that is entered.
    fn begun() -> Self {
        let mut story = Self::new();
        story.person(RUTH, "legal-approver");
        story.person(THURGOOD, "auditor, legal-approver");
        story.person(OFFICER, "case-officer");
        story.enter(RECORD);
        story
    }

    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    fn log(&self) -> Log {
        Log::of(self.0.iter().map(|(event, _)| Leaf::seal(event, [5; 32])))
    }

    /// The lines of a bundle of all of it.
    fn lines(&self, log: &Log, first: u64, filter: &Filter) -> Vec<Line> {
        let mut lines = log.lines(log.size()..log.size(), filter);
        let Line::Header(header) = &mut lines[0] else {
            unreachable!()
        };
        header.first = first;
        header.keys.truncate(1);
        lines.truncate(2);
        lines.extend(log.hidden(0..first));
        for (index, (event, documents)) in (0..).zip(&self.0) {
            if index < first {
                continue;
            }
            let leaf = log.leaf(index);
            if filter.takes(event) {
                lines.push(Line::Leaf(LeafLine::full(index, leaf)));
                lines.extend(documents.iter().cloned().map(Line::Document));
            } else {
                lines.push(Line::Leaf(LeafLine::redacted(index, leaf)));
            }
        }
        lines
    }

    pub(crate) fn bundle(&self, what: &'static str) -> Case {
        let lines = self.lines(&self.log(), 0, &Filter::default());
        case(what, written(&lines, 1))
    }
}

/// The people, with their keys and roles, and an authorisation that takes two of them.
pub(crate) fn begun() -> Story {
    Story::begun()
}

/// The honest case.
fn whole() -> Story {
    let mut story = Story::begun();
    story.give(&approved(RUTH, story.next()));
    story.give(&Given {
        state: Some("approved"),
        ..approved(THURGOOD, story.next())
    });
    story
}

/// Sound bundles with approvals, and how many of these, how many quorums, and how many that cannot be judged they have.
pub(crate) fn sound() -> Vec<(Case, [u64; 3])> {
    let story = whole();
    let log = story.log();
    let of_case = Filter {
        case: Some(CASE.to_owned()),
        ..Filter::default()
    };
    // What the approvals rest on is proved beside, as it does not belong to the case, or stands before the range.
    let beside = |first: u64, filter: &Filter| {
        let mut lines = story.lines(&log, first, filter);
        let at = lines
            .iter()
            .position(|line| matches!(line, Line::Leaf(_)))
            .unwrap();
        for leaf in 0..6 {
            lines.insert(at, log.proven(leaf, leaf));
        }
        lines
    };
    let mut rejected = Story::begun();
    rejected.give(&Given {
        decision: Decision::Reject,
        state: Some("rejected"),
        ..approved(RUTH, rejected.next())
    });
    // Approved once more, as the first time does not count any more.
    let mut again = Story::begun();
    again.give(&Given {
        valid_until: again.next() + 1,
        ..approved(RUTH, again.next())
    });
    again.give(&approved(RUTH, again.next()));
    again.give(&Given {
        state: Some("approved"),
        ..approved(THURGOOD, again.next())
    });
    vec![
        (story.bundle("a case"), [2, 1, 0]),
        (
            case("a case alone", written(&beside(0, &of_case), 1)),
            [2, 1, 0],
        ),
        (
            case(
                "the end of a case",
                written(&beside(10, &Filter::default()), 1),
            ),
            [2, 0, 1],
        ),
        (rejected.bundle("a case that is rejected"), [1, 0, 0]),
        (again.bundle("an approval that was renewed"), [3, 1, 0]),
    ]
}

/// Cases in which the appliance let people approve who may not, rightly signed by its log.
pub(crate) fn by_the_wrong_people() -> Vec<Case> {
    let mut cases = Vec::new();
    // Ruth approves; then somebody else, so that there seem to be two.
    let mut second = |what: &'static str, change: &dyn Fn(&mut Given)| {
        let mut story = Story::begun();
        story.give(&approved(RUTH, story.next()));
        let mut given = Given {
            state: Some("approved"),
            ..approved(THURGOOD, story.next())
        };
        change(&mut given);
        story.give(&given);
        cases.push(story.bundle(what));
    };
    second("one person approved twice", &|given| {
        given.person = RUTH;
        given.actor = RUTH;
    });
    second("an approval has another's evidence", &|given| {
        given.person = RUTH;
    });
    second("whoever entered it approved it", &|given| {
        given.person = OFFICER;
        given.actor = OFFICER;
        given.role = Role::CaseOfficer;
    });
    second(
        "an approval is in a role that the person has not",
        &|given| {
            given.role = Role::Releaser;
        },
    );
    second("an approval is in another role", &|given| {
        given.role = Role::Auditor;
    });
    second("an approval's signature is wrong", &|given| {
        given.damaged = true;
    });
    second("an approval is of another generation", &|given| {
        given.generation = 2;
    });
    second("an approval is of another record", &|given| {
        given.record = [9; 32];
    });
    second("an approval is a rejection", &|given| {
        given.decision = Decision::Reject;
    });
    second("an approval was out of date", &|given| {
        given.valid_until = 3;
    });
    second("an approval is of another moment", &|given| given.time = 3);

    let mut swapped = whole();
    let (event, documents) = swapped.0.last_mut().unwrap();
    documents[0] = Document::new(
        DocumentKind::Evidence,
        Given {
            decision: Decision::Reject,
            ..approved(THURGOOD, 11)
        }
        .evidence(),
    );
    let note = format!(
        "case {CASE} generation 1 evidence {} state approved",
        documents[0].sha256
    );
    event.detail.note = Some(note);
    cases.push(swapped.bundle("the evidence says the opposite of the leaf"));

    let mut alone = Story::begun();
    alone.give(&Given {
        state: Some("approved"),
        ..approved(RUTH, alone.next())
    });
    cases.push(alone.bundle("one approval was enough"));

    let mut without_key = whole();
    without_key.0[5].0.act = Act::SessionOpen;
    cases.push(without_key.bundle("no leaf says whose key it is"));

    let mut lost = Story::begun();
    let note = format!("approval-key 01939c2f-3a00-7a11-8111-1111111111{THURGOOD}");
    lost.act(Act::CredentialRemove, THURGOOD, None, note);
    lost.give(&approved(RUTH, lost.next()));
    lost.give(&Given {
        state: Some("approved"),
        ..approved(THURGOOD, lost.next())
    });
    cases.push(lost.bundle("the key was removed before"));

    let mut demoted = Story::begun();
    let note = "state active, roles []".to_owned();
    demoted.act(Act::AccountUpdate, 99, Some(THURGOOD), note);
    demoted.give(&approved(RUTH, demoted.next()));
    demoted.give(&Given {
        state: Some("approved"),
        ..approved(THURGOOD, demoted.next())
    });
    cases.push(demoted.bundle("the role was taken away before"));

    let mut lines = whole().lines(&whole().log(), 0, &Filter::default());
    lines.pop();
    cases.push(case("the evidence is left out", written(&lines, 1)));
    cases
}
