//! Who may have the machine attested, what a quote is bound to, and the leaves of the quotes that nobody asked for.

use strongroom_audit::checkpoint::verify;
use strongroom_keystore::Error;
use strongroom_wire::account::Role;
use strongroom_wire::audit::{Act, RecordQuery};
use strongroom_wire::policy::DomainPolicy;

use crate::house::House;

pub(crate) const TRIALS: &[(&str, fn())] = &[
    (
        "attestation_is_for_auditors_and_who_looks_after_the_machine",
        attestation_is_for_auditors_and_who_looks_after_the_machine,
    ),
    (
        "a_quote_and_a_failed_one_leave_leaves",
        a_quote_and_a_failed_one_leave_leaves,
    ),
];

fn attestation_is_for_auditors_and_who_looks_after_the_machine() {
    let house = House::new("attestation");
    let keystore = &house.keystore;
    let admin = &house.admin.presented;
    for role in [Role::Auditor, Role::SecurityOfficer] {
        let person = house.person_with(role.as_str(), &[role]);
        keystore.may_attest(&person.presented).unwrap();
    }
    keystore.may_attest(admin).unwrap();
    for (name, roles) in [("owner", &[][..]), ("executor", &[Role::Executor][..])] {
        let person = house.person_with(name, roles);
        let refused = keystore.may_attest(&person.presented).unwrap_err();
        assert!(matches!(refused.error, Error::NotPermitted(_)), "{name}");
    }
    // It reads, and needs no recent sign-in.
    let policy = DomainPolicy {
        step_up_within: 60,
        ..DomainPolicy::default()
    };
    keystore.set_domain_policy(admin, policy).unwrap();
    house.clock.advance(120);
    keystore.may_attest(admin).unwrap();
}

fn a_quote_and_a_failed_one_leave_leaves() {
    let house = House::new("quotes");
    let keystore = &house.keystore;
    let auditor = house.person_with("auditor", &[Role::Auditor]);
    let size = keystore.sign_checkpoint().unwrap().unwrap();
    let head = keystore.log_head().unwrap();
    assert_eq!(head.size, size);
    let shown = keystore.checkpoint(&auditor.presented).unwrap();
    let signed = verify(&shown.note, &shown.verifier_key).unwrap();
    assert_eq!(
        (signed.origin, signed.size, signed.root.0),
        (head.origin.clone(), head.size, head.root)
    );

    let quoted = keystore.record_attestation(Ok("release 0.1.0".to_owned()));
    assert_eq!(quoted.unwrap(), Some(size));
    let failed = keystore.record_attestation(Err("The TPM does not answer.".to_owned()));
    assert_eq!(failed.unwrap(), Some(size + 1));
    // What was signed stays what it was until the next checkpoint.
    assert_eq!(keystore.log_head().unwrap(), head);
    let page = keystore.records(&auditor.presented, RecordQuery::default());
    let told: Vec<_> = page
        .unwrap()
        .records
        .into_iter()
        .filter(|record| record.act == Act::ApplianceAttest)
        .map(|record| (record.done, record.actor, record.note.unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            (
                false,
                None,
                "not-attested The TPM does not answer.".to_owned()
            ),
            (true, None, "release 0.1.0".to_owned()),
        ]
    );
}
