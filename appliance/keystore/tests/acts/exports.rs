//! Bundles of the audit log: what each account gets, and that a case has in it all that its approvals rest on.

use strongroom_audit::bundle::{BundleReport, BundleVerifier, Line, Trust};
use strongroom_audit::keys::verify_by;
use strongroom_keystore::Error;
use strongroom_wire::audit::{Act, ConsistencyQuery, ExportQuery};

use crate::house::{House, Person};
use crate::lawful::Office;

pub(crate) const TRIALS: &[(&str, fn())] = &[
    (
        "an_export_of_a_case_has_what_its_approvals_rest_on",
        an_export_of_a_case_has_what_its_approvals_rest_on,
    ),
    (
        "the_target_of_a_case_exports_nothing_of_it",
        the_target_of_a_case_exports_nothing_of_it,
    ),
    (
        "an_export_is_written_in_pieces_while_the_log_goes_on",
        an_export_is_written_in_pieces_while_the_log_goes_on,
    ),
    (
        "questions_that_make_no_sense_are_refused_with_a_leaf",
        questions_that_make_no_sense_are_refused_with_a_leaf,
    ),
];

/// What somebody exports, and what a verifier finds in it.
fn export(house: &House, by: &Person, query: ExportQuery) -> (String, BundleReport) {
    let mut export = house.keystore.export_audit(&by.presented, query).unwrap();
    let mut bundle = Vec::new();
    while let Some(piece) = export.next(&house.keystore).unwrap() {
        bundle.extend(piece);
    }
    let mut verifier = BundleVerifier::new(Trust {
        keys: house.keystore.verifier_keys().unwrap(),
        previous: None,
    });
    for line in bundle.split_inclusive(|byte| *byte == b'\n') {
        let _ = verifier.line(line);
    }
    (String::from_utf8(bundle).unwrap(), verifier.finish())
}

fn an_export_of_a_case_has_what_its_approvals_rest_on() {
    let office = Office::new("exported-case");
    let case = office.approved();
    let of_case = ExportQuery {
        case: Some(case.id.to_string()),
        ..ExportQuery::default()
    };
    let (bundle, report) = export(&office.house, &office.auditor, of_case.clone());
    assert_eq!(report.problems, []);
    assert_eq!((report.approvals, report.quorums), (2, 1), "{report:?}");
    assert_eq!(report.quorums_unjudged, 0);
    // The leaves of two people's keys and roles are not of the case, and proved beside it.
    assert_eq!(report.proven, 4);
    // The record, and two pieces of evidence.
    assert_eq!((report.full, report.documents), (3, 3), "{bundle}");

    // In an export of all, they stand in their places.
    let (_, whole) = export(&office.house, &office.auditor, ExportQuery::default());
    assert_eq!(whole.problems, []);
    assert_eq!((whole.approvals, whole.quorums, whole.proven), (2, 1, 0));

    // Of one act alone, the approvals hold, and whether they were enough is not to be told.
    let approvals = ExportQuery {
        act: Some(Act::AuthorisationApprove),
        ..ExportQuery::default()
    };
    let (_, report) = export(&office.house, &office.auditor, approvals);
    assert_eq!(report.problems, []);
    assert_eq!((report.approvals, report.proven), (2, 4));
    assert_eq!((report.quorums, report.quorums_unjudged), (0, 1));
}

fn the_target_of_a_case_exports_nothing_of_it() {
    let office = Office::new("exported-target");
    let case = office.approved();
    let (bundle, report) = export(&office.house, &office.target, ExportQuery::default());
    assert_eq!(report.problems, []);
    assert!(report.full > 0 && report.hidden > 0, "{report:?}");
    assert_eq!(
        (report.documents, report.proven, report.redacted),
        (0, 0, 0)
    );
    for name in [&office.officer.name, &office.auditor.name] {
        assert!(!bundle.contains(name.as_str()), "{bundle}");
    }
    assert!(!bundle.contains(&case.id.to_string()), "{bundle}");
}

fn an_export_is_written_in_pieces_while_the_log_goes_on() {
    let house = House::new("pieces");
    let alice = house.person("alice");
    let auditor = house.person_with("auditor", &[strongroom_wire::account::Role::Auditor]);
    let (key, _) = house.key(&alice, &[]);
    // More than one piece.
    for _ in 0..1100 {
        house.release(&alice, key).unwrap();
    }
    let query = ExportQuery::default();
    let mut export = house
        .keystore
        .export_audit(&auditor.presented, query)
        .unwrap();
    let mut verifier = BundleVerifier::new(Trust {
        keys: house.keystore.verifier_keys().unwrap(),
        previous: None,
    });
    let mut pieces = 0;
    let mut bundle = Vec::new();
    while let Some(piece) = export.next(&house.keystore).unwrap() {
        pieces += 1;
        bundle.extend(piece);
        // What happens meanwhile is not in it, and does not harm it.
        house.release(&alice, key).unwrap();
        house.keystore.sign_checkpoint().unwrap();
    }
    for line in bundle.split_inclusive(|byte| *byte == b'\n') {
        let _ = verifier.line(line);
    }
    let report = verifier.finish();
    assert_eq!(report.problems, []);
    assert!(pieces >= 4, "{pieces}");
    assert_eq!(report.checkpoint.unwrap().size, export.leaf() + 1);
    assert_eq!(report.full, export.leaf() + 1);

    // The log as it is now continues the one that was exported.
    let old = export.leaf() + 1;
    let query = ConsistencyQuery { old, new: None };
    let proof = house
        .keystore
        .consistency_proof(&alice.presented, query)
        .unwrap();
    let newest = proof.checkpoint.unwrap();
    let keys = house.keystore.verifier_keys().unwrap();
    let (newest, _) = verify_by(&newest.note, &keys).unwrap();
    assert_eq!((proof.old, proof.new), (old, newest.size));
    let Line::Checkpoint { note } = Line::read(
        bundle
            .split_inclusive(|byte| *byte == b'\n')
            .nth(1)
            .unwrap(),
    )
    .unwrap() else {
        panic!("the second line is the checkpoint")
    };
    let (exported, _) = verify_by(&note, &keys).unwrap();
    let hashes: Vec<strongroom_audit::Hash> = proof
        .hashes
        .iter()
        .map(|hash| strongroom_audit::Hash(hash.0.as_slice().try_into().unwrap()))
        .collect();
    strongroom_audit::tree::verify_consistency(
        old,
        newest.size,
        &exported.root,
        &newest.root,
        &hashes,
    )
    .unwrap();
    let beyond = ConsistencyQuery {
        old: newest.size + 1,
        new: None,
    };
    let refused = house.keystore.consistency_proof(&alice.presented, beyond);
    assert!(matches!(refused.unwrap_err().error, Error::Invalid(_)));
}

fn questions_that_make_no_sense_are_refused_with_a_leaf() {
    let house = House::new("questions");
    let alice = house.person("alice");
    let time = |text: &str| Some(text.parse().unwrap());
    let none = ExportQuery::default;
    for query in [
        ExportQuery {
            from: time("2026-11-02T00:00:00Z"),
            to: time("2026-11-01T00:00:00Z"),
            ..none()
        },
        ExportQuery {
            from: time("2026-11-02T00:00:00Z"),
            first: Some(0),
            ..none()
        },
        ExportQuery {
            case: Some("a b".to_owned()),
            ..none()
        },
        ExportQuery {
            act: Some(Act::Unknown),
            ..none()
        },
    ] {
        let refused = house.keystore.export_audit(&alice.presented, query.clone());
        let refusal = refused.map(|_| ()).unwrap_err();
        assert!(matches!(refusal.error, Error::Invalid(_)), "{query:?}");
        assert!(refusal.leaf.is_some(), "{query:?}");
    }
    // An earlier size at which nothing was signed.
    let query = ExportQuery {
        previous: Some(99_999),
        ..none()
    };
    let refused = house.keystore.export_audit(&alice.presented, query);
    assert!(matches!(
        refused.map(|_| ()).unwrap_err().error,
        Error::Invalid(_)
    ));
    // A leaf's index beyond the log's end: nothing of it.
    let query = ExportQuery {
        first: Some(u64::MAX),
        ..none()
    };
    let (_, report) = export(&house, &alice, query);
    assert_eq!((report.problems.len(), report.full), (0, 0));
}
