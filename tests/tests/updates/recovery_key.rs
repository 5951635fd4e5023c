//! The recovery key of the image's data partition: that custodians have one, and that they used it, are leaves.

use serde_json::json;
use strongroom_wire::audit::Act;

use super::{acts, appliance, auditor, told, until};

#[test]
fn a_recovery_key_and_its_use_are_told_once_each() {
    const FIRST: &str = "f25b81471881babd";
    let (mut appliance, image) = appliance();
    appliance.serve();
    let mut admin = appliance.administrator();
    let mut otto = auditor(&appliance, &mut admin);
    assert_eq!(acts(&told(&mut otto)), []);
    // Made while it serves.
    let made = json!({ "made": "2026-12-01T10:00:00Z", "custodians": 3, "threshold": 2, "fingerprint": FIRST });
    image.say_of_recovery(&json!({ "made": made, "used": null }));
    let mut records = until("a leaf of the key", || {
        let records = told(&mut otto);
        (!records.is_empty()).then_some(records)
    });
    let note = records.remove(0);
    assert_eq!((note.act, note.done), (Act::DataRecoveryMake, true));
    assert_eq!(
        note.note.as_deref(),
        Some(
            "fingerprint f25b81471881babd, custodians 3, threshold 2, made 2026-12-01T10:00:00.000Z"
        )
    );

    // Used while it could not serve: its leaf waits in the header of the disk, and is there before anybody is answered.
    appliance.stop();
    let used = json!({ "at": "2026-12-02T10:00:00Z", "fingerprint": FIRST, "times": 1 });
    image.say_of_recovery(&json!({ "made": made, "used": used }));
    appliance.serve();
    let mut otto = otto.at(&appliance.api());
    let records = told(&mut otto);
    let expected = [(Act::DataRecoveryMake, true), (Act::DataRecoveryUse, true)];
    assert_eq!(acts(&records), expected);
    assert_eq!(
        records[1].note.as_deref(),
        Some("fingerprint f25b81471881babd, use 1, at 2026-12-02T10:00:00.000Z")
    );

    // Another key, after which the use of the one before is told as before.
    appliance.stop();
    let made = json!({ "made": "2026-12-03T10:00:00Z", "custodians": 5, "threshold": 3, "fingerprint": "00" });
    image.say_of_recovery(&json!({ "made": made, "used": used }));
    appliance.serve();
    appliance.restart();
    let mut otto = otto.at(&appliance.api());
    let expected = [
        (Act::DataRecoveryMake, true),
        (Act::DataRecoveryUse, true),
        (Act::DataRecoveryMake, true),
    ];
    assert_eq!(acts(&told(&mut otto)), expected);
    assert_eq!(appliance.verify_audit()["verified"], true);
}
