//! When people are told: when the delay is over, which a later generation of the order may have prolonged.

use strongroom_wire::authorisation::{Authorisation, AuthorisationOrder, ChangeAuthorisation};

use super::Case;
use crate::lawful::DAY;

pub(crate) const TRIALS: &[(&str, fn())] = &[
    (
        "a_longer_delay_that_was_approved_in_time_postpones_the_notification",
        a_longer_delay_that_was_approved_in_time_postpones_the_notification,
    ),
    (
        "a_delay_that_is_not_approved_or_shorter_or_too_late_changes_nothing",
        a_delay_that_is_not_approved_or_shorter_or_too_late_changes_nothing,
    ),
];

/// The case with this delay, in days, from now on in effect if it is approved.
fn changed(case: &Case, of: &Authorisation, days: u64) -> Authorisation {
    let mut order: AuthorisationOrder = of.record.order.clone();
    order.timespan.end = case.now().plus_seconds(40 * DAY);
    order.notification_delay = u32::try_from(days * DAY).unwrap();
    let keystore = &case.office.house.keystore;
    let request = ChangeAuthorisation {
        generation: of.generation,
        order,
    };
    keystore
        .change_authorisation(&case.office.officer.presented, of.id, request)
        .unwrap()
        .authorisation
}

fn approve(case: &Case, of: &Authorisation) {
    case.office.approve(&case.office.ruth, of).unwrap();
    case.office.approve(&case.office.ruben, of).unwrap();
}

/// A case under which something was disclosed of the target's just now, with a delay of 90 days.
fn disclosed(label: &str) -> (Case, Authorisation) {
    let case = Case::new(label);
    let bob = case.office.house.person("bob@example.com");
    let (key, _) = case.send(&case.office.target, &[&bob]);
    let approved = case.approved(case.order());
    assert_eq!(case.disclosed(&approved), [key]);
    (case, approved)
}

/// How many are told now, and whether the target sees it.
fn told(case: &Case) -> (u64, bool) {
    let told = case.office.house.keystore.send_notifications().unwrap();
    (told, !case.notified(&case.office.target).is_empty())
}

fn a_longer_delay_that_was_approved_in_time_postpones_the_notification() {
    let (mut case, first) = disclosed("postponed");
    case.later(60 * DAY);
    let second = changed(&case, &first, 180);
    approve(&case, &second);
    case.later(31 * DAY);
    assert_eq!(told(&case), (0, false));
    // And once more.
    let third = changed(&case, &second, 200);
    approve(&case, &third);
    case.later(90 * DAY);
    assert_eq!(told(&case), (0, false));
    case.later(20 * DAY);
    assert_eq!(told(&case), (1, true));
    assert_eq!(told(&case), (0, true));
    // The rows follow from the log.
    let report = crate::scrub::scrubbed(&case.office.house);
    assert_eq!(report.count, 0, "{:?}", report.findings);
}

fn a_delay_that_is_not_approved_or_shorter_or_too_late_changes_nothing() {
    // By one person alone.
    let (mut case, first) = disclosed("not-postponed");
    case.later(60 * DAY);
    let second = changed(&case, &first, 180);
    case.office.approve(&case.office.ruth, &second).unwrap();
    case.later(31 * DAY);
    assert_eq!(told(&case), (1, true));
    // What was told stays told.
    case.office.approve(&case.office.ruben, &second).unwrap();
    assert_eq!(told(&case), (0, true));

    let (mut case, first) = disclosed("shortened");
    case.later(60 * DAY);
    let second = changed(&case, &first, 1);
    approve(&case, &second);
    assert_eq!(told(&case), (0, false));
    case.later(31 * DAY);
    assert_eq!(told(&case), (1, true));

    // Over before it was approved, and not sent by then.
    let (mut case, first) = disclosed("too-late");
    case.later(91 * DAY);
    let second = changed(&case, &first, 180);
    approve(&case, &second);
    assert_eq!(told(&case), (1, true));
}
