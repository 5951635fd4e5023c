//! Quorums of more than two people, of proposals, and by passkeys; and quorums that were none.

use std::iter;

use strongroom_approval::Decision;
use strongroom_audit::bundle::DocumentKind;
use strongroom_wire::account::Role;
use strongroom_wire::audit::Act;

use super::cases::Case;
use super::passkeys::Ceremony;
use super::people::{CASE, Given, OFFICER, RUTH, Story, THURGOOD, approved, sha256};

const PROPOSAL: &str = "01939c2f-4a00-7a11-8111-111111111111";
const REQUEST: &[u8] = br#"{"key":"01939c2f-1c00-7c33-8333-333333333333"}"#;
const SONIA: u8 = 24;
/// Who proposes; they have the role as well.
const PROPOSER: u8 = 25;

/// A record of this generation of the case that takes so many approvals.
fn record(generation: u32, count: u32, emergency: bool) -> Vec<u8> {
    format!(
        r#"{{"approvals_needed":{count},"approvers":"legal-approver","authorisation":"{CASE}","domain_origin":"strongroom.example/default","format":"strongroom-authorisation/1","generation":{generation},"order":{{"flags":{{"emergency":{emergency}}},"reference":"LEA-1"}}}}"#
    )
    .into_bytes()
}

/// Three approvers, and a case with this record.
fn case(record: &[u8]) -> Story {
    let mut story = Story::new();
    for approver in [RUTH, THURGOOD, SONIA] {
        story.person(approver, "legal-approver");
    }
    story.person(OFFICER, "case-officer");
    story.enter(record);
    story
}

/// The case with this record, approved by these people; the last brings about this state.
fn approved_by(record: &[u8], people: &[u8], state: &'static str) -> Story {
    let mut story = case(record);
    for (person, last) in people.iter().zip(lasts(people.len())) {
        story.give(&Given {
            record: sha256(record),
            state: last.then_some(state),
            ..approved(*person, story.next())
        });
    }
    story
}

/// Of so many, which is the last.
fn lasts(count: usize) -> impl Iterator<Item = bool> {
    iter::repeat_n(false, count - 1).chain([true])
}

/// An approval of the proposal.
fn agreed(person: u8, at: u64) -> Given {
    Given {
        role: Role::SecurityOfficer,
        subject: PROPOSAL,
        act: Some("key.destroy"),
        record: sha256(REQUEST),
        ..approved(person, at)
    }
}

/// A proposal that takes three security officers.
fn proposed() -> Story {
    let mut story = Story::new();
    for person in [RUTH, THURGOOD, SONIA, PROPOSER] {
        story.person(person, "security-officer");
    }
    story.person(OFFICER, "auditor");
    let note = format!(
        "proposal {PROPOSAL} act key.destroy request {} quorum 3 of security-officer until 2027-01-01T00:00:00.000Z",
        hex::encode(sha256(REQUEST))
    );
    story.act(Act::ProposalMake, PROPOSER, None, note);
    story.document(DocumentKind::Request, REQUEST.to_vec());
    story
}

/// The proposal is carried out.
fn used(mut story: Story, what: &'static str) -> Case {
    let note = format!("proposal {PROPOSAL}");
    story.act(Act::ProposalUse, PROPOSER, None, note);
    story.act(Act::KeyDestroy, PROPOSER, None, String::new());
    story.bundle(what)
}

/// Sound bundles, with how many approvals, quorums, and quorums that cannot be judged they have.
pub(crate) fn sound() -> Vec<(Case, [u64; 3])> {
    let three = record(1, 3, false);
    let of_three = approved_by(&three, &[RUTH, THURGOOD, SONIA], "approved");
    // One puts an emergency into effect, and another ratifies it.
    let urgent = record(1, 2, true);
    let mut emergency = approved_by(&urgent, &[RUTH], "emergency-approval");
    emergency.give(&Given {
        record: sha256(&urgent),
        state: Some("approved"),
        ..approved(THURGOOD, emergency.next())
    });
    let mut agreed_by_three = proposed();
    for person in [RUTH, THURGOOD, SONIA] {
        agreed_by_three.give(&agreed(person, agreed_by_three.next()));
    }
    let mut rejected = proposed();
    rejected.give(&Given {
        decision: Decision::Reject,
        ..agreed(RUTH, rejected.next())
    });
    let mut by_passkeys = case(&three);
    for (person, last) in [RUTH, THURGOOD, SONIA].into_iter().zip(lasts(3)) {
        by_passkeys.give(&Given {
            record: sha256(&three),
            passkey: Some(Ceremony::honest()),
            state: last.then_some("approved"),
            ..approved(person, by_passkeys.next())
        });
    }
    vec![
        (of_three.bundle("a case that takes three"), [3, 1, 0]),
        (
            emergency.bundle("an emergency that was ratified"),
            [2, 2, 0],
        ),
        (by_passkeys.bundle("a case approved by passkeys"), [3, 1, 0]),
        (
            used(agreed_by_three, "a proposal that takes three"),
            [3, 1, 0],
        ),
        (rejected.bundle("a proposal that was rejected"), [1, 0, 0]),
    ]
}

/// Bundles in which by a leaf enough people had approved, and by their signatures they had not.
pub(crate) fn that_were_not() -> Vec<Case> {
    let three = record(1, 3, false);
    let two = approved_by(&three, &[RUTH, THURGOOD], "approved");
    let repeated = approved_by(&three, &[RUTH, THURGOOD, RUTH], "approved");
    let wrong = approved_by(&three, &[RUTH, THURGOOD, OFFICER], "approved");
    let urgent = record(1, 3, true);
    let mut ratified = approved_by(&urgent, &[RUTH], "emergency-approval");
    ratified.give(&Given {
        record: sha256(&urgent),
        state: Some("approved"),
        ..approved(THURGOOD, ratified.next())
    });
    let ordinary = approved_by(&record(1, 2, false), &[RUTH], "emergency-approval");
    // A record by which one person is enough.
    let one = approved_by(&record(1, 1, false), &[RUTH], "approved");
    let other = approved_by(&record(2, 2, false), &[RUTH, THURGOOD], "approved");
    let mut cases = vec![
        two.bundle("two approved a case that takes three"),
        repeated.bundle("two approved a case that takes three, one twice"),
        wrong.bundle("the officer approved as the third"),
        ratified.bundle("two ratified an emergency that takes three"),
        ordinary.bundle("one approved what is no emergency"),
        one.bundle("by the record one person is enough"),
        other.bundle("the record is of another generation"),
        case(&record(1, 2, false)[1..]).bundle("the record cannot be read"),
    ];
    // Ruth and Thurgood agree; then somebody else, and it is carried out.
    let mut third = |what: &'static str, change: &dyn Fn(&mut Given)| {
        let mut story = proposed();
        story.give(&agreed(RUTH, story.next()));
        story.give(&agreed(THURGOOD, story.next()));
        let mut given = agreed(SONIA, story.next());
        change(&mut given);
        story.give(&given);
        cases.push(used(story, what));
    };
    third("a third agreed to another request", &|given| {
        given.record = [9; 32];
    });
    third("a third agreed to another act", &|given| {
        given.act = Some("key.release");
    });
    third("a third was against it", &|given| {
        given.decision = Decision::Reject;
    });
    third("the third is whoever proposed it", &|given| {
        given.person = PROPOSER;
        given.actor = PROPOSER;
    });
    third("the third has another role", &|given| {
        given.person = OFFICER;
        given.actor = OFFICER;
        given.role = Role::Auditor;
    });
    third("the third has not the role", &|given| {
        given.person = OFFICER;
        given.actor = OFFICER;
    });
    third("the third is one of the two", &|given| {
        given.person = RUTH;
        given.actor = RUTH;
    });
    third(
        "the third agreed with a passkey of one of the two",
        &|given| {
            given.person = THURGOOD;
            given.passkey = Some(Ceremony::honest());
        },
    );
    third(
        "the third agreed until before it was carried out",
        &|given| {
            given.valid_until = given.time + 1;
        },
    );

    let mut few = proposed();
    few.give(&agreed(RUTH, few.next()));
    few.give(&agreed(THURGOOD, few.next()));
    cases.push(used(few, "two agreed to what takes three"));
    cases.push(used(proposed(), "nobody agreed to what takes three"));
    cases
}
