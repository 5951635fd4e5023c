//! What is not disclosed: over the cap, out of time, by the wrong person, under an authorisation that is not in effect, or with altered rows.

use rusqlite::Connection;
use strongroom_disclosure::SealingKey;
use strongroom_keystore::{Error, Presented};
use strongroom_wire::account::{Role, UpdateAccount};
use strongroom_wire::audit::Act;
use strongroom_wire::authorisation::{
    AgencyKey, Authorisation, AuthorisationState, ChangeAuthorisation, Move,
};
use strongroom_wire::problem::Code;

use super::Case;
use crate::house::{PASSWORD, Person, sign_in};
use crate::lawful::DAY;

pub(crate) const TRIALS: &[(&str, fn())] = &[
    (
        "over_the_cap_nothing_goes_out",
        over_the_cap_nothing_goes_out,
    ),
    (
        "only_the_right_people_do_each_thing_and_nobody_two",
        only_the_right_people_do_each_thing_and_nobody_two,
    ),
    (
        "what_is_not_in_effect_lets_nothing_out",
        what_is_not_in_effect_lets_nothing_out,
    ),
    (
        "what_was_stopped_is_let_out_by_no_change_and_by_no_end",
        what_was_stopped_is_let_out_by_no_change_and_by_no_end,
    ),
    (
        "an_emergency_that_is_not_ratified_lets_nothing_more_out",
        an_emergency_that_is_not_ratified_lets_nothing_more_out,
    ),
    (
        "edited_rows_of_disclosures_are_refused",
        edited_rows_of_disclosures_are_refused,
    ),
];

fn over_the_cap_nothing_goes_out() {
    let case = Case::new("cap");
    let bob = case.office.house.person("bob@example.com");
    case.send(&case.office.target, &[&bob]);
    let mut order = case.order();
    order.max_items = 2;
    let approved = case.approved(order);
    let executed = case.execute(&approved);
    case.send(&bob, &[&case.office.target]);
    case.send(&bob, &[&case.office.target]);
    // Made at the same moment as it was executed: now there are three.
    let refused = case.try_release(executed.id).unwrap_err();
    assert!(matches!(refused, Error::TooManyItems(2)), "{refused}");
    case.office
        .expect_refused(Act::DisclosureRelease, "too-many-items case ");
    let refused = case.try_execute(&approved).unwrap_err();
    assert_eq!(refused.code(), Code::TooManyItems);
    assert!(case.try_package(executed.id).is_err());
    // What was delivered counts.
    let case = Case::new("cap2");
    let bob = case.office.house.person("bob@example.com");
    case.send(&case.office.target, &[&bob]);
    let mut order = case.order();
    order.max_items = 1;
    let approved = case.approved(order);
    assert_eq!(case.disclosed(&approved).len(), 1);
    case.office.house.clock.advance(1);
    case.send(&case.office.target, &[&bob]);
    let refused = case.try_execute(&approved).unwrap_err();
    assert!(matches!(refused, Error::TooManyItems(1)), "{refused}");
}

/// Gives somebody other roles, and signs them in again.
fn becomes(case: &Case, person: &Person, roles: &[Role]) -> Person {
    let house = &case.office.house;
    let id = house.keystore.own_account(&person.presented).unwrap().id;
    let request = UpdateAccount {
        state: None,
        roles: Some(roles.to_vec()),
    };
    house
        .keystore
        .update_account(&house.admin.presented, id, request)
        .unwrap();
    sign_in(&house.keystore, &person.name, PASSWORD).unwrap()
}

fn only_the_right_people_do_each_thing_and_nobody_two() {
    let mut case = Case::new("who-discloses");
    let bob = case.office.house.person("bob@example.com");
    case.send(&case.office.target, &[&bob]);
    let order = case.order();
    let approved = case.approved(order);
    let executed = case.execute(&approved);
    let keystore = case.office.house.keystore.clone();
    let expect = |act: Act| case.office.expect_refused(act, "not-permitted");
    let everybody: [(&str, &Presented); 7] = [
        ("bob", &bob.presented),
        ("admin", &case.office.house.admin.presented),
        ("officer", &case.office.officer.presented),
        ("approver", &case.office.ruth.person.presented),
        ("auditor", &case.office.auditor.presented),
        ("executor", &case.executor.presented),
        ("releaser", &case.releaser.presented),
    ];
    for (who, presented) in everybody {
        if !["executor", "releaser"].contains(&who) {
            let refused = keystore.preview_disclosure(presented, approved.id);
            assert_eq!(
                refused.unwrap_err().error.code(),
                Code::NotPermitted,
                "{who}"
            );
            expect(Act::DisclosurePreview);
        }
        if who != "executor" {
            let refused = keystore.execute_disclosure(presented, approved.id);
            assert_eq!(
                refused.unwrap_err().error.code(),
                Code::NotPermitted,
                "{who}"
            );
            expect(Act::DisclosureExecute);
        }
        if who != "releaser" {
            let refused = keystore.release_disclosure(presented, executed.id);
            assert_eq!(
                refused.unwrap_err().error.code(),
                Code::NotPermitted,
                "{who}"
            );
            expect(Act::DisclosureRelease);
            let refused = keystore.delivery(presented, executed.id);
            assert_eq!(
                refused.unwrap_err().error.code(),
                Code::NotPermitted,
                "{who}"
            );
            expect(Act::DisclosureDeliver);
        }
        if ["bob", "admin"].contains(&who) {
            assert!(keystore.disclosures(presented, approved.id).is_err());
            expect(Act::AuthorisationRead);
            assert!(keystore.disclosure(presented, executed.id).is_err());
            expect(Act::AuthorisationRead);
            assert!(keystore.hold(presented, approved.id).is_err());
            expect(Act::AuthorisationRead);
        } else {
            assert_eq!(
                keystore.disclosure(presented, executed.id).unwrap(),
                executed
            );
            assert!(keystore.hold(presented, approved.id).unwrap().in_force);
        }
    }
    // Whoever had another part in it has no further one, whatever their roles have become.
    let executor = becomes(&case, &case.executor, &[Role::Releaser]);
    let refused = keystore.release_disclosure(&executor.presented, executed.id);
    assert_eq!(refused.unwrap_err().error.code(), Code::NotPermitted);
    let officer = becomes(&case, &case.office.officer, &[Role::Releaser]);
    let refused = keystore.release_disclosure(&officer.presented, executed.id);
    assert!(
        refused
            .unwrap_err()
            .error
            .to_string()
            .contains("who entered")
    );
    let approver = becomes(&case, &case.office.ruth.person, &[Role::Executor]);
    let refused = keystore.execute_disclosure(&approver.presented, approved.id);
    assert!(
        refused
            .unwrap_err()
            .error
            .to_string()
            .contains("who approved")
    );
    assert_eq!(case.try_release(executed.id).unwrap().items, 1);
    assert!(
        case.try_release(executed.id).is_err(),
        "it is released once"
    );
    case.executor = executor;
}

fn what_is_not_in_effect_lets_nothing_out() {
    let mut case = Case::new("effect");
    let bob = case.office.house.person("bob@example.com");
    case.send(&case.office.target, &[&bob]);
    let entered = case.office.enter(case.order());
    let refused = case.try_execute(&entered).unwrap_err();
    assert_eq!(refused.code(), Code::AuthorisationNotInEffect);
    let says = |refused: Error, state: AuthorisationState| {
        assert!(
            matches!(refused, Error::AuthorisationNotInEffect(said) if said == state),
            "{refused}"
        );
    };
    case.office.approve(&case.office.ruth, &entered).unwrap();
    says(
        case.try_execute(&entered).unwrap_err(),
        AuthorisationState::AwaitingApproval,
    );
    let approved = case.office.approve(&case.office.ruben, &entered).unwrap();
    let executed = case.execute(&approved);

    case.move_to(&approved, Move::Suspend);
    says(
        case.try_release(executed.id).unwrap_err(),
        AuthorisationState::Suspended,
    );
    case.office
        .expect_refused(Act::DisclosureRelease, "authorisation-not-in-effect case ");
    says(
        case.try_execute(&approved).unwrap_err(),
        AuthorisationState::Suspended,
    );
    case.move_to(&approved, Move::Resume);
    let released = case.try_release(executed.id).unwrap();
    assert!(case.try_package(released.id).is_ok());
    // What is out at the appliance and not with the agency stays there.
    case.move_to(&approved, Move::Suspend);
    says(
        case.try_package(released.id).unwrap_err(),
        AuthorisationState::Suspended,
    );
    case.move_to(&approved, Move::Resume);
    assert!(case.try_package(released.id).is_ok());
    case.move_to(&approved, Move::Cancel);
    says(
        case.try_package(released.id).unwrap_err(),
        AuthorisationState::Cancelled,
    );

    // Another generation: what was executed under the one before is not released, whoever approves it.
    let approved = case.approved(case.order());
    let executed = case.execute(&approved);
    let change = ChangeAuthorisation {
        generation: 1,
        order: case.order(),
    };
    let changed = case
        .office
        .house
        .keystore
        .change_authorisation(&case.office.officer.presented, approved.id, change)
        .unwrap()
        .authorisation;
    says(
        case.try_release(executed.id).unwrap_err(),
        AuthorisationState::AwaitingApproval,
    );
    case.office.approve(&case.office.ruth, &changed).unwrap();
    case.office.approve(&case.office.ruben, &changed).unwrap();
    let refused = case.try_release(executed.id).unwrap_err();
    assert_eq!(refused.code(), Code::Conflict);
    let again = case.execute(&approved);
    case.try_release(again.id).unwrap();

    // Its time ends between execution and release.
    let approved = case.approved(case.order());
    let executed = case.execute(&approved);
    case.later(31 * DAY);
    says(
        case.try_release(executed.id).unwrap_err(),
        AuthorisationState::Expired,
    );
    // What was released in time can still be fetched.
    assert!(case.try_package(again.id).is_ok());

    // The agency's certificate has to be good.
    let mut order = case.order();
    order.agency_key = AgencyKey::Certificate(vec![0x30, 0].into());
    let keystore = &case.office.house.keystore;
    let refused = keystore.enter_authorisation(&case.office.officer.presented, order);
    assert_eq!(refused.unwrap_err().error.code(), Code::Invalid);
    let expired = include_bytes!("../../../../disclosure/testdata/p256.cert.pem");
    let expired = SealingKey::parse(expired).unwrap().to_bytes();
    let mut order = case.order();
    order.agency_key = AgencyKey::Certificate(expired.into());
    order.tasks[0].scope = strongroom_wire::authorisation::Scope::Label {
        owner: case.office.target.name.clone(),
        label: "report.pdf".to_owned(),
        window: None,
    };
    let approved = case.approved(order);
    let refused = case.try_execute(&approved).unwrap_err();
    assert_eq!(refused.code(), Code::Conflict, "{refused}");
    assert!(refused.to_string().contains("expired"), "{refused}");
}

/// What was released and stopped before it was fetched stays there, whatever the case officer or time does.
fn what_was_stopped_is_let_out_by_no_change_and_by_no_end() {
    let mut case = Case::new("stopped");
    let bob = case.office.house.person("bob@example.com");
    case.send(&case.office.target, &[&bob]);
    let released = |case: &Case, of: &Authorisation| {
        let executed = case.execute(of);
        case.try_release(executed.id).unwrap().id
    };
    let stays = |case: &Case, id| {
        let refused = case.try_package(id).map(|_| ()).unwrap_err();
        let (code, stopped) = (refused.code(), Code::AuthorisationNotInEffect);
        assert!(code == stopped || code == Code::Conflict, "{refused}");
        case.office
            .expect_refused(Act::DisclosureDeliver, code.as_str());
    };
    let change = |case: &Case, of: &Authorisation| {
        let request = ChangeAuthorisation {
            generation: of.generation,
            order: case.order(),
        };
        let officer = &case.office.officer.presented;
        let keystore = &case.office.house.keystore;
        let changed = keystore.change_authorisation(officer, of.id, request);
        changed.unwrap().authorisation
    };

    // Suspended, and changed by one person: not while that awaits approval, and not when others have approved what it orders now.
    let first = case.approved(case.order());
    let package = released(&case, &first);
    case.move_to(&first, Move::Suspend);
    let changed = change(&case, &first);
    stays(&case, package);
    case.office.approve(&case.office.ruth, &changed).unwrap();
    case.office.approve(&case.office.ruben, &changed).unwrap();
    stays(&case, package);
    let anew = released(&case, &first);
    assert!(case.try_package(anew).is_ok());

    // An emergency that lapsed, and was changed.
    let mut order = case.order();
    order.flags.emergency = true;
    let entered = case.office.enter(order);
    let emergency = case.office.approve(&case.office.ruth, &entered).unwrap();
    let lapsed = released(&case, &emergency);
    case.later(3 * DAY);
    let _ = change(&case, &emergency);
    stays(&case, lapsed);

    case.send(&case.office.target, &[&bob]);
    // One that is suspended when its time ends, and an emergency that ends before anybody had to ratify it.
    let suspended = case.approved(case.order());
    let package = released(&case, &suspended);
    case.move_to(&suspended, Move::Suspend);
    let mut order = case.order();
    order.flags.emergency = true;
    order.timespan.end = case.now().plus_seconds(DAY);
    let entered = case.office.enter(order);
    let emergency = case.office.approve(&case.office.ruth, &entered).unwrap();
    let unratified = released(&case, &emergency);
    assert!(case.try_package(unratified).is_ok());
    case.later(DAY);
    stays(&case, unratified);
    case.later(31 * DAY);
    case.office.house.keystore.end_authorisations().unwrap();
    stays(&case, unratified);
    stays(&case, package);
    // What nobody has stopped is still there.
    assert!(case.try_package(anew).is_ok());
}

fn an_emergency_that_is_not_ratified_lets_nothing_more_out() {
    let mut case = Case::new("emergency");
    let bob = case.office.house.person("bob@example.com");
    case.send(&case.office.target, &[&bob]);
    let mut order = case.order();
    order.flags.emergency = true;
    let entered = case.office.enter(order);
    let emergency = case.office.approve(&case.office.ruth, &entered).unwrap();
    assert_eq!(emergency.state, AuthorisationState::EmergencyApproval);
    let executed = case.execute(&emergency);
    let released = case.try_release(executed.id).unwrap();
    assert!(case.try_package(released.id).is_ok());
    case.later(3 * DAY);
    for refused in [
        case.try_package(released.id).map(|_| ()),
        case.try_execute(&emergency).map(|_| ()),
    ] {
        assert!(matches!(
            refused,
            Err(Error::AuthorisationNotInEffect(AuthorisationState::Invalid))
        ));
    }
}

fn edited_rows_of_disclosures_are_refused() {
    let mut case = Case::new("edited-case");
    let bob = case.office.house.person("bob@example.com");
    let (key, _) = case.send(&case.office.target, &[&bob]);
    let (gone, _) = case.send(&case.office.target, &[&bob]);
    let approved = case.approved(case.order());
    let target = case.office.target.presented.clone();
    case.office.house.keystore.destroy(&target, gone).unwrap();
    let executed = case.execute(&approved);
    let attempt = |case: &Case| case.try_release(executed.id).map(|_| ());
    let database = Connection::open(case.office.house.database()).unwrap();
    database.pragma_update(None, "foreign_keys", "OFF").unwrap();
    let edited = |sql: &str| assert!(database.execute(sql, []).unwrap() > 0, "{sql}");
    let keep = |table: &str| {
        database
            .execute_batch(&format!(
                "DROP TABLE IF EXISTS temp.kept; CREATE TEMP TABLE kept AS SELECT * FROM {table}"
            ))
            .unwrap();
    };
    let back = |table: &str| {
        database
            .execute_batch(&format!(
                "DELETE FROM {table}; INSERT INTO {table} SELECT * FROM temp.kept"
            ))
            .unwrap();
    };
    // An execution by somebody else, of another time, generation or authorisation; a copy of another key, owner or time.
    let other = format!("X'{}'", "11".repeat(16));
    let before_release = [
        (
            "disclosures",
            "executor = (SELECT id FROM accounts WHERE name = 'bob@example.com')".to_owned(),
        ),
        ("disclosures", "executed = executed + 1000000".to_owned()),
        ("disclosures", "generation = 2".to_owned()),
        ("disclosures", "items = 9".to_owned()),
        ("disclosures", "digest = zeroblob(32)".to_owned()),
        ("disclosures", format!("authorisation = {other}")),
        ("held_keys", "held = held + 1".to_owned()),
        ("held_keys", "sealed = zeroblob(60)".to_owned()),
    ];
    for (table, change) in before_release {
        keep(table);
        edited(&format!("UPDATE {table} SET {change}"));
        let refused = attempt(&case).unwrap_err();
        assert_eq!(refused.code(), Code::IntegrityFailure, "{table} {change}");
        case.office
            .expect_refused(Act::DisclosureRelease, "integrity-failure");
        back(table);
    }
    // A grant that says that the target got somebody else's key.
    keep("grants");
    edited(&format!(
        "UPDATE grants SET created = created - 1 WHERE key = X'{}'",
        hex::encode(key.as_bytes())
    ));
    assert_eq!(attempt(&case).unwrap_err().code(), Code::IntegrityFailure);
    back("grants");

    let released = case.try_release(executed.id).unwrap();
    assert_eq!(released.items, 2);
    for (table, change) in [
        ("disclosure_items", "record = zeroblob(32)"),
        ("disclosure_items", "sealed = zeroblob(40)"),
        ("disclosure_items", "version = 9"),
        ("disclosure_items", "generation = generation + 1"),
        ("disclosures", "manifest = zeroblob(32)"),
        ("disclosures", "releaser = executor"),
        ("disclosures", "released = released + 1"),
        ("disclosures", "leaf = leaf - 1"),
        ("documents", "sealed = zeroblob(90)"),
    ] {
        keep(table);
        edited(&format!("UPDATE {table} SET {change}"));
        let refused = case.try_package(released.id).unwrap_err();
        assert_eq!(refused.code(), Code::IntegrityFailure, "{table} {change}");
        back(table);
    }
    // An item that is missing, or in another place.
    keep("disclosure_items");
    edited("DELETE FROM disclosure_items WHERE sequence = 2");
    assert!(case.try_package(released.id).is_err());
    back("disclosure_items");
    assert!(case.try_package(released.id).is_ok());
    // Who is told when.
    for change in ["due = due - 8000000000", "told = 5"] {
        keep("notifications");
        edited(&format!("UPDATE notifications SET {change}"));
        let refused = case
            .office
            .house
            .keystore
            .notifications(&target)
            .unwrap_err();
        assert_eq!(refused.error.code(), Code::IntegrityFailure, "{change}");
        back("notifications");
    }
    case.later(91 * DAY);
    assert_eq!(case.notified(&case.office.target).len(), 1);
}
