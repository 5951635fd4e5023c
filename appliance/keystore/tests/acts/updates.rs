//! Who may order updates of the image, and the leaves that say what became of them.

use strongroom_keystore::Error;
use strongroom_wire::account::Role;
use strongroom_wire::audit::{Act, Record, RecordQuery};
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::policy::DomainPolicy;

use crate::house::{House, Person};

pub(crate) const TRIALS: &[(&str, fn())] = &[
    (
        "updates_are_for_those_who_look_after_the_machine",
        updates_are_for_those_who_look_after_the_machine,
    ),
    (
        "what_became_of_an_update_is_told_once",
        what_became_of_an_update_is_told_once,
    ),
];

/// The leaves about updates, the oldest first.
fn told(house: &House, auditor: &Person) -> Vec<Record> {
    let page = house
        .keystore
        .records(&auditor.presented, RecordQuery::default());
    let mut records = page.unwrap().records;
    records.retain(|record| record.act.as_str().starts_with("update."));
    records.reverse();
    records
}

fn updates_are_for_those_who_look_after_the_machine() {
    let house = House::new("updates");
    let auditor = house.person_with("auditor", &[Role::Auditor]);
    let officer = house.person_with("officer", &[Role::SecurityOfficer]);
    let (keystore, admin) = (&house.keystore, &house.admin.presented);
    keystore.may_update(admin).unwrap();
    keystore.may_update(&officer.presented).unwrap();
    assert!(keystore.may_update(&auditor.presented).is_err());

    let note = || "0.2.0".to_owned();
    let refused = keystore.record_update(&auditor.presented, Act::UpdateInstall, note());
    assert!(refused.is_err());
    let staged = keystore.record_update(admin, Act::UpdateStage, note());
    staged.unwrap();
    let signed = keystore.refuse_update(admin, "It is not signed.".to_owned(), false);
    let signed = signed.unwrap_err();
    assert!(matches!(signed.error, Error::UpdateRefused(_)));
    let older = keystore.refuse_update(admin, "It is older.".to_owned(), true);
    assert!(matches!(older.unwrap_err().error, Error::Downgrade(_)));

    let told = told(&house, &auditor);
    let told: Vec<_> = told
        .iter()
        .map(|record| (record.act, record.done, record.note.as_deref().unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            (Act::UpdateInstall, false, "not-permitted"),
            (Act::UpdateStage, true, "0.2.0"),
            (Act::UpdateStage, false, "update-refused It is not signed."),
            (Act::UpdateStage, false, "downgrade It is older."),
        ]
    );

    // What begins needs a recent sign-in; the end of a long upload does not.
    let policy = DomainPolicy {
        step_up_within: 60,
        ..DomainPolicy::default()
    };
    keystore.set_domain_policy(admin, policy).unwrap();
    house.clock.advance(120);
    let late = keystore.may_update(admin).unwrap_err().error;
    assert!(matches!(late, Error::StepUpRequired(60)), "{late}");
    for act in [Act::UpdateInstall, Act::UpdateRestart, Act::UpdateDrop] {
        let late = keystore.record_update(admin, act, note()).unwrap_err();
        assert!(matches!(late.error, Error::StepUpRequired(60)));
    }
    keystore
        .record_update(admin, Act::UpdateStage, note())
        .unwrap();
}

fn what_became_of_an_update_is_told_once() {
    let house = House::new("outcomes");
    let auditor = house.person_with("auditor", &[Role::Auditor]);
    let at = |millis: u64| Timestamp::from_millis(1_790_000_000_000 + millis);
    let tell = |act, at, note: &str| {
        let leaf = house.keystore.record_outcome(act, at, note.to_owned());
        leaf.unwrap()
    };
    let first = tell(Act::UpdateRollBack, at(0), "0.2.0: panic");
    assert!(first.is_some());
    assert_eq!(tell(Act::UpdateRollBack, at(0), "0.2.0: panic"), None);
    // Another one of its kind, and one of another kind at the same moment.
    assert!(tell(Act::UpdateRollBack, at(5), "0.2.0: again").is_some());
    assert!(tell(Act::UpdateBless, at(5), "0.3.0").is_some());
    // A sentence is cut to what a leaf holds, and between two letters.
    assert!(tell(Act::UpdateRefuse, at(9), &"é".repeat(2000)).is_some());
    let told = told(&house, &auditor);
    let told: Vec<_> = told
        .iter()
        .map(|record| (record.act, record.note.as_deref().unwrap()))
        .collect();
    assert_eq!(told[0], (Act::UpdateRollBack, "0.2.0: panic"));
    assert_eq!(told[2], (Act::UpdateBless, "0.3.0"));
    assert_eq!(told[3].1.chars().count(), 512);
    assert_eq!(told.len(), 4);
}
