//! What the tests of who may do what start from.

use strongroom_tests::{Appliance, Failed, Session};
use strongroom_wire::problem::Code;

/// An appliance with an administrator and two people.
pub(crate) struct Scene {
    pub(crate) appliance: Appliance,
    pub(crate) admin: Session,
    pub(crate) alice: Session,
    pub(crate) bob: Session,
}

/// Starts it.
pub(crate) fn scene() -> Scene {
    let appliance = Appliance::start();
    let mut admin = appliance.administrator();
    let alice = appliance.person(&mut admin, "alice@example.com");
    let bob = appliance.person(&mut admin, "bob@example.com");
    Scene {
        appliance,
        admin,
        alice,
        bob,
    }
}

/// The act is refused with this code, and the refusal has a leaf, whose index is answered.
#[track_caller]
pub(crate) fn assert_refused<T>(outcome: Result<T, Failed>, code: Code) -> u64 {
    let problem = outcome.map(drop).unwrap_err().problem();
    assert_eq!(problem.code, code, "{}", problem.detail);
    problem.leaf.expect("a refusal has a leaf")
}
