//! How authorisations come into effect.

use strongroom_approval::{Decision, Of};
use strongroom_keystore::Error;
use strongroom_wire::account::{Role, UpdateAccount};
use strongroom_wire::audit::Act;
use strongroom_wire::audit::RecordQuery;
use strongroom_wire::authorisation::AuthorisationState::{Approved, AwaitingApproval, Rejected};
use strongroom_wire::authorisation::{
    Authorisation, ChangeAuthorisation, LawfulPolicy, Move, MoveAuthorisation,
};
use strongroom_wire::policy::DomainPolicy;

use super::{DAY, Office, Officer, TARGET, refused};
use crate::house::Person;

pub(crate) const TRIALS: &[(&str, fn())] = &[
    (
        "two_people_put_an_authorisation_into_effect",
        two_people_put_an_authorisation_into_effect,
    ),
    ("a_change_voids_its_approvals", a_change_voids_its_approvals),
    (
        "nobody_approves_what_they_entered",
        nobody_approves_what_they_entered,
    ),
    ("one_person_is_not_two", one_person_is_not_two),
    (
        "an_approval_out_of_date_does_not_count",
        an_approval_out_of_date_does_not_count,
    ),
    (
        "who_lost_the_role_does_not_count",
        who_lost_the_role_does_not_count,
    ),
    ("one_person_rejects_it", one_person_rejects_it),
    (
        "the_policy_says_how_many_approve",
        the_policy_says_how_many_approve,
    ),
    (
        "an_order_names_accounts_and_a_warrant_that_are_there",
        an_order_names_accounts_and_a_warrant_that_are_there,
    ),
    (
        "whom_it_is_about_sees_nothing",
        whom_it_is_about_sees_nothing,
    ),
];

fn two_people_put_an_authorisation_into_effect() {
    let office = Office::new("lawful-two");
    let entered = office.enter(office.order(30));
    assert_eq!((entered.state, entered.generation), (AwaitingApproval, 1));
    assert_eq!(entered.record.persons.len(), 1);
    assert_eq!(entered.record.entered_by_name, office.officer.name);
    let note = office.newest().note.unwrap();
    assert_eq!(
        note,
        format!(
            "case {} generation 1 record {}",
            entered.id, entered.record_sha256
        )
    );

    let first = office.approve(&office.ruth, &entered).unwrap();
    assert_eq!((first.state, first.approvals.len()), (AwaitingApproval, 1));
    let note = office.newest().note.unwrap();
    let evidence = &first.approvals[0].evidence_sha256;
    assert_eq!(
        note,
        format!("case {} generation 1 evidence {evidence}", entered.id)
    );

    let second = office.approve(&office.ruben, &entered).unwrap();
    assert_eq!((second.state, second.approvals.len()), (Approved, 2));
    assert!(office.newest().note.unwrap().ends_with(" state approved"));
    // It is approved: more is not taken.
    let rita = Officer::new(&office.house, "rita@example.com", &[Role::LegalApprover]);
    assert!(matches!(
        office.approve(&rita, &entered),
        Err(Error::Conflict(_))
    ));
}

fn a_change_voids_its_approvals() {
    let office = Office::new("lawful-change");
    let approved = office.approved();
    let change = |generation, order| {
        let request = ChangeAuthorisation { generation, order };
        let by = &office.officer.presented;
        refused(
            office
                .house
                .keystore
                .change_authorisation(by, approved.id, request),
        )
    };
    let mut order = office.order(31);
    order.max_items = 101;
    let changed = change(1, order.clone()).unwrap();
    assert_eq!((changed.state, changed.generation), (AwaitingApproval, 2));
    assert!(changed.approvals.is_empty());
    // Who has not seen the new generation changes nothing.
    assert!(matches!(change(1, order), Err(Error::Conflict(_))));

    // What was signed about the first generation is worth nothing for the second, whichever way it is put.
    let old = office
        .ruth
        .sign(&office.statement(&approved, Decision::Approve));
    let decide = |request| {
        let by = &office.ruth.person.presented;
        refused(
            office
                .house
                .keystore
                .decide_authorisation(by, approved.id, request),
        )
    };
    assert!(matches!(decide(old), Err(Error::ApprovalRefused(_))));
    office.expect_refused(
        Act::AuthorisationApprove,
        &format!("approval-refused case {}", approved.id),
    );
    let mut mixed = office.statement(&approved, Decision::Approve);
    if let Of::Authorisation { generation, .. } = &mut mixed.of {
        *generation = 2;
    }
    assert!(matches!(
        decide(office.ruth.sign(&mixed)),
        Err(Error::ApprovalRefused(_))
    ));
    // A signature of another statement.
    let mut swapped = office
        .ruth
        .sign(&office.statement(&changed, Decision::Approve));
    swapped.signed_by = office.ruth.sign(&mixed).signed_by;
    assert!(matches!(decide(swapped), Err(Error::ApprovalRefused(_))));
    // Another's key.
    let others = office
        .ruben
        .sign(&office.statement(&changed, Decision::Approve));
    assert!(matches!(decide(others), Err(Error::CredentialNotFound)));

    office.approve(&office.ruth, &changed).unwrap();
    assert_eq!(
        office.approve(&office.ruben, &changed).unwrap().state,
        Approved
    );
}

fn nobody_approves_what_they_entered() {
    let office = Office::new("lawful-entered");
    let entered = office.enter(office.order(30));
    // The case officer becomes a legal approver meanwhile.
    let carl = officer_again(&office, "carl@example.com", &[Role::LegalApprover]);
    let refused = office.approve(&carl, &entered);
    assert!(
        matches!(refused, Err(Error::NotPermitted(_))),
        "{refused:?}"
    );
    office.expect_refused(Act::AuthorisationApprove, "not-permitted case");
    // Not even of a generation that somebody else entered after them.
    let cora = office
        .house
        .person_with("cora@example.com", &[Role::CaseOfficer]);
    let request = ChangeAuthorisation {
        generation: 1,
        order: entered.record.order,
    };
    let changed = office
        .house
        .keystore
        .change_authorisation(&cora.presented, entered.id, request);
    let changed = changed.unwrap().authorisation;
    assert!(matches!(
        office.approve(&carl, &changed),
        Err(Error::NotPermitted(_))
    ));
    assert!(matches!(
        office.decide(&carl, &changed, Decision::Reject),
        Err(Error::NotPermitted(_))
    ));
}

fn one_person_is_not_two() {
    let office = Office::new("lawful-one");
    let entered = office.enter(office.order(30));
    office.approve(&office.ruth, &entered).unwrap();
    let again = office.approve(&office.ruth, &entered);
    assert!(matches!(again, Err(Error::Conflict(_))), "{again:?}");
    // With another key of theirs, neither.
    let another = second_key(&office, &office.ruth.person);
    let again = office.approve(&another, &entered);
    assert!(matches!(again, Err(Error::Conflict(_))), "{again:?}");
    assert_eq!(office.now(&entered).state, AwaitingApproval);
}

fn an_approval_out_of_date_does_not_count() {
    let office = Office::new("lawful-late");
    let entered = office.enter(office.order(30));
    office.approve(&office.ruth, &entered).unwrap();
    office.house.clock.advance(DAY);
    let second = office.approve(&office.ruben, &entered).unwrap();
    assert_eq!(second.state, AwaitingApproval);
    // Who approved in vain approves again.
    let third = office.approve(&office.ruth, &entered).unwrap();
    assert_eq!(third.state, Approved);

    let entered = office.enter(office.order(30));
    let by = office
        .house
        .person_with("late@example.com", &[Role::LegalApprover]);
    let late = second_key(&office, &by);
    let mut statement = office.statement(&entered, Decision::Approve);
    for until in [
        office.house.now(),
        office.house.now().plus_seconds(91 * DAY),
    ] {
        statement.valid_until = until;
        let decide = late.sign(&statement);
        let refused = office
            .house
            .keystore
            .decide_authorisation(&by.presented, entered.id, decide);
        assert!(matches!(
            refused.unwrap_err().error,
            Error::ApprovalRefused(_)
        ));
    }
}

fn who_lost_the_role_does_not_count() {
    let office = Office::new("lawful-lost");
    let entered = office.enter(office.order(30));
    office.approve(&office.ruth, &entered).unwrap();
    set_roles(&office, &office.ruth, &[]);
    assert_eq!(
        office.approve(&office.ruben, &entered).unwrap().state,
        AwaitingApproval
    );
    let rita = Officer::new(&office.house, "rita@example.com", &[Role::LegalApprover]);
    let approved = office.approve(&rita, &entered).unwrap();
    assert_eq!(approved.state, Approved);
    // What was approved stays so, whatever becomes of those who did.
    set_roles(&office, &rita, &[]);
    assert_eq!(office.now(&entered).state, Approved);
}

fn one_person_rejects_it() {
    let office = Office::new("lawful-reject");
    let entered = office.enter(office.order(30));
    office.approve(&office.ruth, &entered).unwrap();
    let rejected = office
        .decide(&office.ruben, &entered, Decision::Reject)
        .unwrap();
    assert_eq!(rejected.state, Rejected);
    assert!(rejected.terminated.is_some());
    let newest = office.newest();
    assert_eq!(newest.act, Act::AuthorisationReject);
    assert!(newest.note.unwrap().ends_with(" state rejected"));
    assert!(matches!(
        office.approve(&office.ruben, &entered),
        Err(Error::Conflict(_))
    ));
    // Only a change brings it back.
    assert!(matches!(
        go(&office, &office.officer, &entered, Move::Cancel),
        Err(Error::Conflict(_))
    ));
    let request = ChangeAuthorisation {
        generation: 1,
        order: entered.record.order,
    };
    let by = &office.officer.presented;
    let changed = refused(
        office
            .house
            .keystore
            .change_authorisation(by, entered.id, request),
    );
    let changed = changed.unwrap();
    assert_eq!(
        (changed.state, changed.terminated),
        (AwaitingApproval, None)
    );
}

fn the_policy_says_how_many_approve() {
    let office = Office::new("lawful-policy");
    let set = |approvals, ratify_within| {
        let policy = DomainPolicy {
            lawful: LawfulPolicy {
                approvals,
                ratify_within,
            },
            ..DomainPolicy::default()
        };
        office
            .house
            .keystore
            .set_domain_policy(&office.house.admin.presented, policy)
    };
    for (approvals, within) in [
        (1, 3600),
        (0, 3600),
        (17, 3600),
        (2, 3599),
        (2, 31 * 24 * 3600),
    ] {
        assert!(matches!(
            set(approvals, within).unwrap_err().error,
            Error::Invalid(_)
        ));
    }
    let before = office.enter(office.order(30));
    set(3, 3600).unwrap();
    let after = office.enter(office.order(30));
    assert_eq!(
        (
            before.record.approvals_needed,
            after.record.approvals_needed
        ),
        (2, 3)
    );
    for (of, expected) in [(&before, Approved), (&after, AwaitingApproval)] {
        office.approve(&office.ruth, of).unwrap();
        assert_eq!(office.approve(&office.ruben, of).unwrap().state, expected);
    }
    let rita = Officer::new(&office.house, "rita@example.com", &[Role::LegalApprover]);
    assert_eq!(office.approve(&rita, &after).unwrap().state, Approved);
}

fn an_order_names_accounts_and_a_warrant_that_are_there() {
    let office = Office::new("lawful-names");
    let enter = |order| {
        let entered = office
            .house
            .keystore
            .enter_authorisation(&office.officer.presented, order);
        entered
            .map(|entered| entered.authorisation)
            .map_err(|refusal| refusal.error)
    };
    let mut order = office.order(30);
    order.warrant.as_mut().unwrap().sha256 = "00".repeat(32);
    assert!(matches!(enter(order), Err(Error::DocumentNotFound)));
    let text = serde_json::to_string(&office.order(30)).unwrap();
    let unknown = text.replace(TARGET, "nobody@example.com");
    assert!(matches!(
        enter(serde_json::from_str(&unknown).unwrap()),
        Err(Error::AccountNotFound(_))
    ));
    let mut over = office.order(30);
    over.timespan.end = office.house.now();
    over.timespan.start = office.house.now().minus_seconds(1);
    assert!(matches!(enter(over), Err(Error::Invalid(_))));
    office.expect_refused(Act::AuthorisationEnter, "invalid");
}

fn whom_it_is_about_sees_nothing() {
    let office = Office::new("lawful-target");
    let before = concerning(&office, &office.target);
    let approved = office.approved();
    go(&office, &office.officer, &approved, Move::Suspend).unwrap();
    go(&office, &office.ruth.person, &approved, Move::Resume).unwrap();
    go(&office, &office.officer, &approved, Move::Cancel).unwrap();
    assert_eq!(concerning(&office, &office.target), before);
    // Nor does the log name them to anybody.
    let target = office
        .house
        .keystore
        .own_account(&office.target.presented)
        .unwrap()
        .id;
    for record in office.records() {
        if record
            .note
            .as_deref()
            .is_some_and(|note| note.contains("case "))
        {
            let says = serde_json::to_string(&record).unwrap();
            assert!(
                !says.contains(&target.to_string()) && !says.contains(TARGET),
                "{says}"
            );
        }
    }
    let seen = office
        .house
        .keystore
        .authorisation(&office.target.presented, approved.id);
    assert!(matches!(seen.unwrap_err().error, Error::NotPermitted(_)));
}

/// The indexes of the leaves that somebody sees.
fn concerning(office: &Office, person: &Person) -> Vec<u64> {
    let records = office
        .house
        .keystore
        .records(&person.presented, RecordQuery::default());
    records
        .unwrap()
        .records
        .iter()
        .map(|record| record.index)
        .collect()
}

pub(super) fn go(
    office: &Office,
    by: &Person,
    of: &Authorisation,
    to: Move,
) -> Result<Authorisation, Error> {
    let request = MoveAuthorisation {
        to,
        reason: "because".to_owned(),
    };
    refused(
        office
            .house
            .keystore
            .move_authorisation(&by.presented, of.id, request),
    )
}

fn set_roles(office: &Office, of: &Officer, roles: &[Role]) {
    let request = UpdateAccount {
        state: None,
        roles: Some(roles.to_vec()),
    };
    office
        .house
        .keystore
        .update_account(&office.house.admin.presented, of.account, request)
        .unwrap();
}

/// Somebody who is there already, with other roles and an approval key.
fn officer_again(office: &Office, name: &str, roles: &[Role]) -> Officer {
    let person =
        crate::house::sign_in(&office.house.keystore, name, crate::house::PASSWORD).unwrap();
    let officer = second_key(office, &person);
    set_roles(office, &officer, roles);
    officer
}

/// Somebody with another approval key.
fn second_key(office: &Office, person: &Person) -> Officer {
    let pair = aws_lc_rs::signature::Ed25519KeyPair::generate().unwrap();
    let account = office
        .house
        .keystore
        .own_account(&person.presented)
        .unwrap()
        .id;
    let add = super::add_key(&office.house, account, &pair);
    let added = office
        .house
        .keystore
        .add_approval_key(&person.presented, add)
        .unwrap();
    Officer {
        person: Person {
            name: person.name.clone(),
            presented: person.presented.clone(),
            transport: person.transport.clone(),
        },
        account,
        key: added.key.id,
        pair,
    }
}
