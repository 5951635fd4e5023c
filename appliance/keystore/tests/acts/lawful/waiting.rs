//! What waits for somebody is found among however many cases that do not.

use strongroom_approval::Decision;
use strongroom_keystore::{CaseTask, Presented};
use strongroom_wire::account::Role;
use strongroom_wire::authorisation::{AuthorisationQuery, AuthorisationState, Move};
use strongroom_wire::id::AuthorisationId;

use super::lifecycle::go;
use super::{DAY, Office};

pub(crate) const TRIALS: &[(&str, fn())] = &[
    (
        "what_waits_is_found_behind_very_many_that_do_not",
        what_waits_is_found_behind_very_many_that_do_not,
    ),
    ("each_role_has_its_own_tasks", each_role_has_its_own_tasks),
    (
        "a_list_of_one_state_goes_on_where_it_ended",
        a_list_of_one_state_goes_on_where_it_ended,
    ),
];

/// As many as a page of cases has at most, and more.
const MANY: usize = 205;

fn tasks(office: &Office, of: &Presented) -> Vec<(CaseTask, AuthorisationId)> {
    let found = office.house.keystore.waiting_cases(of, 20).unwrap();
    found
        .iter()
        .map(|waiting| (waiting.task, waiting.case.id))
        .collect()
}

fn what_waits_is_found_behind_very_many_that_do_not() {
    let office = Office::new("lawful-waiting");
    let waiting = office.enter(office.order(30));
    let order = office.order(20);
    for _ in 0..MANY {
        let entered = office.enter(order.clone());
        office.approve(&office.ruth, &entered).unwrap();
    }
    let ruth = &office.ruth.person.presented;
    assert_eq!(tasks(&office, ruth), [(CaseTask::Decide, waiting.id)]);
    // Who has approved none has as many as are asked for, and what ends first comes first.
    let of_ruben = tasks(&office, &office.ruben.person.presented);
    assert_eq!(of_ruben.len(), 20);
    assert!(!of_ruben.contains(&(CaseTask::Decide, waiting.id)));
    // When an approval is over, it waits again; what has ended waits for nobody.
    office.house.clock.advance(DAY + 1);
    assert_eq!(tasks(&office, ruth).len(), 20);
    office.house.clock.advance(20 * DAY);
    assert_eq!(tasks(&office, ruth), [(CaseTask::Decide, waiting.id)]);
    office.house.clock.advance(20 * DAY);
    assert_eq!(tasks(&office, ruth), []);
}

fn each_role_has_its_own_tasks() {
    let office = Office::new("lawful-tasks");
    let carl = &office.officer.presented;
    let executor = office
        .house
        .person_with("ex@example.com", &[Role::Executor]);
    let other = office
        .house
        .person_with("other@example.com", &[Role::CaseOfficer]);
    let approved = office.approved();
    let urgent = office.enter(office.emergency(40));
    office.approve(&office.ruth, &urgent).unwrap();
    let rejected = office.enter(office.order(30));
    office
        .decide(&office.ruben, &rejected, Decision::Reject)
        .unwrap();
    assert_eq!(
        tasks(&office, &executor.presented),
        [
            (CaseTask::Execute, urgent.id),
            (CaseTask::Execute, approved.id)
        ]
    );
    assert_eq!(
        tasks(&office, &office.ruben.person.presented),
        [(CaseTask::Ratify, urgent.id)]
    );
    assert_eq!(
        tasks(&office, carl),
        [(CaseTask::ChangeRejected, rejected.id)]
    );
    assert_eq!(tasks(&office, &other.presented), []);
    // What is suspended waits until it is resumed.
    go(&office, &office.ruth.person, &approved, Move::Suspend).unwrap();
    assert_eq!(
        tasks(&office, &executor.presented),
        [(CaseTask::Execute, urgent.id)]
    );
    // Two days later the emergency has lapsed, which its officer is told.
    office.house.clock.advance(2 * DAY);
    assert_eq!(tasks(&office, &executor.presented), []);
    office.house.keystore.end_authorisations().unwrap();
    // What it was to reach goes on: an order that is changed needs an end in the future, which this one has.
    assert_eq!(
        tasks(&office, carl),
        [
            (CaseTask::ChangeRejected, rejected.id),
            (CaseTask::ChangeInvalid, urgent.id)
        ]
    );
}

fn a_list_of_one_state_goes_on_where_it_ended() {
    let office = Office::new("lawful-states");
    let order = office.order(5);
    let mut entered = Vec::new();
    for number in 0..30 {
        let case = office.enter(order.clone());
        if number % 3 == 0 {
            office
                .decide(&office.ruth, &case, Decision::Reject)
                .unwrap();
        }
        entered.push(case.id);
    }
    let auditor = &office.auditor.presented;
    let listed = |state: AuthorisationState| {
        let (mut found, mut before) = (Vec::new(), None);
        loop {
            let query = AuthorisationQuery {
                state: Some(state),
                before,
                limit: Some(4),
            };
            let page = office
                .house
                .keystore
                .authorisations(auditor, query)
                .unwrap();
            found.extend(page.authorisations.iter().map(|case| case.id));
            before = page.next;
            if before.is_none() {
                return found;
            }
        }
    };
    let expected = |rejected: bool| -> Vec<AuthorisationId> {
        let newest = entered.iter().enumerate().rev();
        newest
            .filter(|(number, _)| (number % 3 == 0) == rejected)
            .map(|(_, id)| *id)
            .collect()
    };
    assert_eq!(listed(AuthorisationState::Rejected), expected(true));
    assert_eq!(
        listed(AuthorisationState::AwaitingApproval),
        expected(false)
    );
    assert_eq!(listed(AuthorisationState::Expired), []);
    // Time alone makes them expire, before anybody writes so.
    office.house.clock.advance(6 * DAY);
    assert_eq!(listed(AuthorisationState::AwaitingApproval), []);
    assert_eq!(listed(AuthorisationState::Expired), expected(false));
}
