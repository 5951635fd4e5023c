//! Whoever acts in a role that they do not hold is refused, and the log says so: a table over roles and acts.

use strongroom_approval::{Decision, Statement};
use strongroom_keystore::{Answer, Error, Keystore, Presented};
use strongroom_wire::account::Role;
use strongroom_wire::audit::Act;
use strongroom_wire::authorisation::{
    Authorisation, AuthorisationQuery, ChangeAuthorisation, Move, MoveAuthorisation, PutDocument,
};

use super::{Office, Officer};

pub(crate) const TRIALS: &[(&str, fn())] = &[(
    "acts_in_a_role_that_one_does_not_hold_are_refused_and_logged",
    acts_in_a_role_that_one_does_not_hold_are_refused_and_logged,
)];

/// What somebody tries with: the office, the case, and themselves.
type Attempt = fn(&Keystore, &Presented, &Trying<'_>) -> Answer<()>;

struct Trying<'a> {
    office: &'a Office,
    case: &'a Authorisation,
    officer: &'a Officer,
}

impl Trying<'_> {
    fn statement(&self, decision: Decision) -> Statement {
        self.office.statement(self.case, decision)
    }

    fn change(&self) -> ChangeAuthorisation {
        ChangeAuthorisation {
            generation: self.case.generation,
            order: self.case.record.order.clone(),
        }
    }
}

const CASE_OFFICER: &[Role] = &[Role::CaseOfficer];
const LEGAL_APPROVER: &[Role] = &[Role::LegalApprover];
const BOTH: &[Role] = &[Role::CaseOfficer, Role::LegalApprover];
const SEEING: &[Role] = &[
    Role::CaseOfficer,
    Role::LegalApprover,
    Role::Executor,
    Role::Releaser,
    Role::Auditor,
];

/// Each act, who may do it, and the leaf of a refusal.
const ATTEMPTS: &[(&str, &[Role], Act, Attempt)] = &[
    (
        "enter",
        CASE_OFFICER,
        Act::AuthorisationEnter,
        |keystore, by, trying| {
            keystore
                .enter_authorisation(by, trying.case.record.order.clone())
                .map(drop)
        },
    ),
    (
        "change",
        CASE_OFFICER,
        Act::AuthorisationChange,
        |keystore, by, trying| {
            keystore
                .change_authorisation(by, trying.case.id, trying.change())
                .map(drop)
        },
    ),
    (
        "document",
        CASE_OFFICER,
        Act::AuthorisationDocument,
        |keystore, by, _| {
            let content = b"a warrant".as_slice().into();
            keystore.put_warrant(by, PutDocument { content }).map(drop)
        },
    ),
    (
        "approve",
        LEGAL_APPROVER,
        Act::AuthorisationApprove,
        |keystore, by, trying| {
            let decide = trying.officer.sign(&trying.statement(Decision::Approve));
            keystore
                .decide_authorisation(by, trying.case.id, decide)
                .map(drop)
        },
    ),
    (
        "reject",
        LEGAL_APPROVER,
        Act::AuthorisationReject,
        |keystore, by, trying| {
            let decide = trying.officer.sign(&trying.statement(Decision::Reject));
            keystore
                .decide_authorisation(by, trying.case.id, decide)
                .map(drop)
        },
    ),
    (
        "suspend",
        BOTH,
        Act::AuthorisationSuspend,
        |keystore, by, trying| go(keystore, by, trying, Move::Suspend),
    ),
    (
        "resume",
        LEGAL_APPROVER,
        Act::AuthorisationResume,
        |keystore, by, trying| go(keystore, by, trying, Move::Resume),
    ),
    (
        "cancel",
        BOTH,
        Act::AuthorisationCancel,
        |keystore, by, trying| go(keystore, by, trying, Move::Cancel),
    ),
    ("list", SEEING, Act::AuthorisationRead, |keystore, by, _| {
        keystore
            .authorisations(by, AuthorisationQuery::default())
            .map(drop)
    }),
    (
        "show",
        SEEING,
        Act::AuthorisationRead,
        |keystore, by, trying| keystore.authorisation(by, trying.case.id).map(drop),
    ),
    (
        "read a document",
        SEEING,
        Act::AuthorisationRead,
        |keystore, by, trying| {
            let record = &trying.case.record_sha256;
            keystore
                .document_of_authorisation(by, trying.case.id, record)
                .map(drop)
        },
    ),
];

fn go(keystore: &Keystore, by: &Presented, trying: &Trying<'_>, to: Move) -> Answer<()> {
    let reason = "because".to_owned();
    let request = MoveAuthorisation { to, reason };
    keystore
        .move_authorisation(by, trying.case.id, request)
        .map(drop)
}

fn acts_in_a_role_that_one_does_not_hold_are_refused_and_logged() {
    let office = Office::new("lawful-roles");
    let keystore = &office.house.keystore;
    let mut people = vec![(None, Officer::new(&office.house, "none@example.com", &[]))];
    for role in Role::ALL {
        let name = format!("{}@example.com", role.as_str());
        people.push((Some(role), Officer::new(&office.house, &name, &[role])));
    }
    for (what, permitted, act, attempt) in ATTEMPTS {
        for (role, officer) in &people {
            // A case of their own each, so that nothing hangs on what was done before.
            let case = office.enter(office.order(30));
            let trying = Trying {
                office: &office,
                case: &case,
                officer,
            };
            let outcome = attempt(keystore, &officer.person.presented, &trying);
            let may = role.is_some_and(|role| permitted.contains(&role));
            match outcome {
                Err(refusal) if !may => {
                    let error = &refusal.error;
                    assert!(
                        matches!(error, Error::NotPermitted(_)),
                        "{what} {role:?}: {error:?}"
                    );
                    let newest = office.newest();
                    assert_eq!((newest.act, newest.done), (*act, false), "{what} {role:?}");
                    assert_eq!(newest.actor, Some(officer.account), "{what} {role:?}");
                    assert!(
                        newest.note.unwrap().starts_with("not-permitted"),
                        "{what} {role:?}"
                    );
                    assert_eq!(refusal.leaf, Some(newest.index), "{what} {role:?}");
                }
                Ok(()) => assert!(may, "{what} {role:?}"),
                // It may, and the case is not where that could be done or be seen.
                Err(refusal) => assert!(
                    matches!(
                        refusal.error,
                        Error::Conflict(_) | Error::AuthorisationNotFound
                    ),
                    "{what} {role:?}: {refusal:?}"
                ),
            }
            assert!(may || office.now(&case) == case, "{what} {role:?}");
        }
    }
}
