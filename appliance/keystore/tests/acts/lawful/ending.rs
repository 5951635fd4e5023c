//! How authorisations lapse, end, and stop for a while.

use strongroom_keystore::Error;
use strongroom_wire::account::Role;
use strongroom_wire::audit::Act;
use strongroom_wire::authorisation::AuthorisationState::{
    Approved, AwaitingApproval, Cancelled, EmergencyApproval, Expired, Invalid, Suspended,
};
use strongroom_wire::authorisation::{
    Authorisation, AuthorisationQuery, ChangeAuthorisation, Move,
};

use super::lifecycle::go;
use super::{DAY, Office};
use crate::house::Person;

pub(crate) const TRIALS: &[(&str, fn())] = &[
    (
        "an_emergency_lapses_unless_it_is_ratified",
        an_emergency_lapses_unless_it_is_ratified,
    ),
    (
        "changes_give_an_emergency_no_more_time",
        changes_give_an_emergency_no_more_time,
    ),
    ("time_ends_an_authorisation", time_ends_an_authorisation),
    (
        "it_is_suspended_resumed_and_cancelled",
        it_is_suspended_resumed_and_cancelled,
    ),
];

fn an_emergency_lapses_unless_it_is_ratified() {
    let office = Office::new("lawful-emergency");
    // Without its warrant, which comes later.
    let mut order = office.emergency(30);
    order.warrant = None;
    let entered = office.enter(order.clone());
    let first = office.approve(&office.ruth, &entered).unwrap();
    assert_eq!(first.state, EmergencyApproval);
    let by = first.ratify_by.unwrap();
    assert_eq!(by, office.house.now().plus_seconds(2 * DAY));
    // The others ratify it.
    let ratified = office.approve(&office.ruben, &entered).unwrap();
    assert_eq!((ratified.state, ratified.ratify_by), (Approved, None));
    office.house.clock.advance(3 * DAY);
    assert_eq!(office.now(&entered).state, Approved);

    let entered = office.enter(order);
    office.approve(&office.ruth, &entered).unwrap();
    office.house.clock.advance(2 * DAY - 1);
    assert_eq!(office.now(&entered).state, EmergencyApproval);
    office.house.clock.advance(1);
    let lapsed = office.now(&entered);
    assert_eq!(lapsed.state, Invalid);
    assert!(lapsed.reason.unwrap().contains("not ratified"));
    assert!(matches!(
        office.approve(&office.ruben, &entered),
        Err(Error::Conflict(_))
    ));
    // The background says so in the log, once.
    assert_eq!(office.house.keystore.end_authorisations().unwrap(), 1);
    assert_eq!(office.house.keystore.end_authorisations().unwrap(), 0);
    let newest = office.newest();
    assert_eq!((newest.act, newest.actor), (Act::AuthorisationEnd, None));
    assert!(newest.note.unwrap().ends_with(" state invalid"));
    assert_eq!(office.now(&entered).state, Invalid);
}

fn changes_give_an_emergency_no_more_time() {
    let office = Office::new("lawful-emergency-changed");
    let change = |of: &Authorisation| {
        let request = ChangeAuthorisation {
            generation: of.generation,
            order: office.emergency(30),
        };
        let changed =
            office
                .house
                .keystore
                .change_authorisation(&office.officer.presented, of.id, request);
        changed.unwrap().authorisation
    };
    let entered = office.enter(office.emergency(30));
    let first = office.approve(&office.ruth, &entered).unwrap();
    office.house.clock.advance(DAY);
    let second = change(&first);
    assert_eq!((second.state, second.ratify_by), (AwaitingApproval, None));
    let again = office.approve(&office.ruth, &second).unwrap();
    assert_eq!(again.state, EmergencyApproval);
    assert_eq!(again.ratify_by, first.ratify_by, "a day is over");
    office.house.clock.advance(DAY);
    assert_eq!(office.now(&again).state, Invalid);
    // From now on it takes as many as any other case.
    let third = change(&office.now(&again));
    let one = office.approve(&office.ruth, &third).unwrap();
    assert_eq!(one.state, AwaitingApproval);
    assert_eq!(office.house.keystore.end_authorisations().unwrap(), 0);
    let both = office.approve(&office.ruben, &third).unwrap();
    assert_eq!((both.state, both.ratify_by), (Approved, None));
}

fn time_ends_an_authorisation() {
    let office = Office::new("lawful-time");
    let approved = office.approved();
    let waiting = office.enter(office.order(30));
    let of = |person: &Person| {
        let page = office
            .house
            .keystore
            .authorisations(&person.presented, AuthorisationQuery::default());
        page.unwrap().authorisations
    };
    let executor = office
        .house
        .person_with("ex@example.com", &[Role::Executor]);
    let seen = of(&executor);
    assert_eq!(seen.len(), 1, "what waits is none of theirs: {seen:?}");
    assert_eq!((seen[0].id, seen[0].approved_by), (approved.id, 2));
    office.house.clock.advance(30 * DAY);
    let executor = crate::house::sign_in(
        &office.house.keystore,
        "ex@example.com",
        crate::house::PASSWORD,
    )
    .unwrap();
    let officer = crate::house::sign_in(
        &office.house.keystore,
        "carl@example.com",
        crate::house::PASSWORD,
    )
    .unwrap();
    assert!(of(&executor).is_empty());
    let seen = of(&officer);
    assert_eq!(
        seen.iter().map(|one| one.state).collect::<Vec<_>>(),
        [Expired, Expired]
    );
    assert_eq!(office.house.keystore.end_authorisations().unwrap(), 2);
    for id in [approved.id, waiting.id] {
        let ended = office
            .house
            .keystore
            .authorisation(&officer.presented, id)
            .unwrap();
        assert_eq!(
            (ended.state, ended.terminated),
            (Expired, Some(ended.record.order.timespan.end))
        );
    }
}

fn it_is_suspended_resumed_and_cancelled() {
    let office = Office::new("lawful-moves");
    let approved = office.approved();
    let suspended = go(&office, &office.officer, &approved, Move::Suspend).unwrap();
    assert_eq!(
        (suspended.state, suspended.reason.as_deref()),
        (Suspended, Some("because"))
    );
    assert!(office.newest().note.unwrap().ends_with(" because"));
    // Who entered it does not resume it: that takes a legal approver.
    let refused = go(&office, &office.officer, &approved, Move::Resume);
    assert!(
        matches!(refused, Err(Error::NotPermitted(_))),
        "{refused:?}"
    );
    office.expect_refused(Act::AuthorisationResume, "not-permitted case");
    let resumed = go(&office, &office.ruth.person, &approved, Move::Resume).unwrap();
    assert_eq!(
        (resumed.state, resumed.reason, resumed.approvals.len()),
        (Approved, None, 2)
    );
    let cancelled = go(&office, &office.ruben.person, &approved, Move::Cancel).unwrap();
    assert_eq!(cancelled.state, Cancelled);
    assert!(cancelled.terminated.is_some());
    let request = ChangeAuthorisation {
        generation: 1,
        order: approved.record.order.clone(),
    };
    let changed =
        office
            .house
            .keystore
            .change_authorisation(&office.officer.presented, approved.id, request);
    assert!(matches!(changed.unwrap_err().error, Error::Conflict(_)));
    for to in [Move::Suspend, Move::Resume, Move::Cancel] {
        assert!(matches!(
            go(&office, &office.ruth.person, &approved, to),
            Err(Error::Conflict(_))
        ));
    }
}
