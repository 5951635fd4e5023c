//! What witnesses are shown, and what their cosignatures are worth.

use ed25519_dalek::{Signer as _, SigningKey};
use rusqlite::Connection;
use strongroom_audit::cosignature::{self, WitnessKey};
use strongroom_audit::{checkpoint, tree};
use strongroom_keystore::{Error, Options};
use strongroom_wire::policy::DomainPolicy;

use crate::house::House;

pub(crate) const TRIALS: &[(&str, fn())] = &[
    (
        "a_leaf_is_cosigned_once_as_many_witnesses_have_as_the_policy_demands",
        cosigned_by_enough,
    ),
    (
        "a_submission_proves_that_the_tree_grew",
        a_submission_proves_that_the_tree_grew,
    ),
    (
        "the_database_is_not_believed_about_cosignatures",
        the_database_is_not_believed,
    ),
];

fn signer(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn witness(seed: u8, name: &str) -> WitnessKey {
    WitnessKey::new(name, signer(seed).verifying_key().to_bytes()).unwrap()
}

fn house(label: &str, witnesses: Vec<WitnessKey>) -> House {
    House::with(
        label,
        Options {
            witnesses,
            ..Options::default()
        },
    )
}

/// The cosignature line of a witness over a checkpoint.
fn line(seed: u8, name: &str, note: &str, time: u64) -> String {
    let (text, _) = cosignature::split(note).unwrap();
    let signature = signer(seed).sign(&cosignature::message(time, text));
    cosignature::line(&witness(seed, name), time, &signature.to_bytes())
}

fn demand(house: &House, witnesses: u32) -> Result<(), Error> {
    let policy = DomainPolicy {
        witnesses,
        ..DomainPolicy::default()
    };
    let set = house
        .keystore
        .set_domain_policy(&house.admin.presented, policy);
    set.map(drop).map_err(|refusal| refusal.error)
}

fn cosigned_by_enough() {
    let (one, two) = (witness(1, "w1"), witness(2, "w2"));
    let house = house("cosigned", vec![one.clone(), two.clone()]);
    let alice = house.person("alice");
    house.key(&alice, &[]);
    assert!(matches!(demand(&house, 3), Err(Error::Invalid(_))));
    assert!(
        house.keystore.is_cosigned(0).unwrap(),
        "nothing is demanded"
    );
    demand(&house, 2).unwrap();
    let size = house.keystore.sign_checkpoint().unwrap().unwrap();
    let note = house.keystore.newest_checkpoint().unwrap().unwrap().1;
    assert!(!house.keystore.is_cosigned(0).unwrap());

    // What another key made, or was made over another text, counts for nothing.
    for wrong in [
        line(3, "w1", &note, 7),
        line(1, "other", &note, 7),
        line(1, "w1", &note.replacen("strongroom", "weakroom", 1), 7),
        String::new(),
    ] {
        let refused = house.keystore.record_cosignature(&one, size, &wrong);
        assert!(matches!(refused, Err(Error::Invalid(_))), "{wrong}");
    }
    let time = house
        .keystore
        .record_cosignature(&one, size, &line(1, "w1", &note, 1_800_000_007))
        .unwrap();
    assert_eq!(time.as_millis(), 1_800_000_007_000);
    assert_eq!(house.keystore.cosigned_size(&one).unwrap(), size);
    assert_eq!(house.keystore.cosigned_size(&two).unwrap(), 0);
    assert!(!house.keystore.is_cosigned(size - 1).unwrap(), "one of two");
    let shown = house.keystore.checkpoint(&alice.presented).unwrap();
    assert_eq!(shown.witnesses.len(), 1);
    assert_eq!(shown.cosigned, None);
    house
        .keystore
        .record_cosignature(&two, size, &line(2, "w2", &note, 9))
        .unwrap();
    assert!(house.keystore.is_cosigned(size - 1).unwrap());
    assert!(house.keystore.is_cosigned(0).unwrap());
    assert!(
        !house.keystore.is_cosigned(size).unwrap(),
        "a leaf that came later"
    );
    let shown = house.keystore.checkpoint(&alice.presented).unwrap();
    let names: Vec<_> = shown
        .witnesses
        .iter()
        .map(|witness| witness.name.as_str())
        .collect();
    assert_eq!(names, ["w1", "w2"]);
    assert_eq!(
        checkpoint::verify(&shown.note, &shown.verifier_key)
            .unwrap()
            .size,
        size
    );

    // What the dashboard shows of it.
    let figures = |house: &House| {
        let figures = house.keystore.figures(&house.admin.presented, 1).unwrap();
        let witnesses: Vec<_> = figures
            .witnesses
            .into_iter()
            .map(|witness| {
                let time = witness
                    .time
                    .map(strongroom_wire::encoding::Timestamp::as_millis);
                (witness.name, witness.size, time)
            })
            .collect();
        (figures.witnesses_demanded, witnesses)
    };
    let both = vec![
        ("w1".to_owned(), size, Some(1_800_000_007_000)),
        ("w2".to_owned(), size, Some(9_000)),
    ];
    assert_eq!(figures(&house), (2, both));

    // The next checkpoint has none yet: the one that has enough is shown beside it.
    house.key(&alice, &[]);
    house.keystore.sign_checkpoint().unwrap();
    let shown = house.keystore.checkpoint(&alice.presented).unwrap();
    assert!(shown.witnesses.is_empty());
    let cosigned = shown.cosigned.unwrap();
    assert_eq!(
        checkpoint::verify(&cosigned, &shown.verifier_key)
            .unwrap()
            .size,
        size
    );
    assert!(cosigned.contains("\u{2014} w1 ") && cosigned.contains("\u{2014} w2 "));
}

fn a_submission_proves_that_the_tree_grew() {
    let house = house("submission", vec![witness(1, "w1")]);
    assert_eq!(house.keystore.submission(0).unwrap(), None);
    let first = house.keystore.sign_checkpoint().unwrap().unwrap();
    let submission = house.keystore.submission(0).unwrap().unwrap();
    assert_eq!(
        (submission.old, submission.size, submission.proof.len()),
        (0, first, 0)
    );
    assert!(
        submission
            .to_body()
            .starts_with("old 0\n\nstrongroom.test/submission\n")
    );
    house.person("alice");
    let second = house.keystore.sign_checkpoint().unwrap().unwrap();
    let next = house.keystore.submission(first).unwrap().unwrap();
    let admin = house.keystore.checkpoint(&house.admin.presented).unwrap();
    let root = |note: &str| checkpoint::verify(note, &admin.verifier_key).unwrap().root;
    tree::verify_consistency(
        first,
        second,
        &root(&submission.checkpoint),
        &root(&next.checkpoint),
        &next.proof,
    )
    .unwrap();
    assert!(matches!(
        house.keystore.submission(second + 1),
        Err(Error::Invalid(_))
    ));
}

fn the_database_is_not_believed() {
    // One witness under two names is one.
    let (one, again) = (witness(1, "w1"), witness(1, "w1b"));
    let house = house("not-believed", vec![one.clone(), again.clone()]);
    demand(&house, 2).unwrap();
    let size = house.keystore.sign_checkpoint().unwrap().unwrap();
    let note = house.keystore.newest_checkpoint().unwrap().unwrap().1;
    house
        .keystore
        .record_cosignature(&one, size, &line(1, "w1", &note, 7))
        .unwrap();
    house
        .keystore
        .record_cosignature(&again, size, &line(1, "w1b", &note, 7))
        .unwrap();
    assert!(!house.keystore.is_cosigned(0).unwrap());
    demand(&house, 1).unwrap();
    assert!(house.keystore.is_cosigned(0).unwrap());

    let rows = Connection::open(house.database()).unwrap();
    for edit in [
        "UPDATE cosignatures SET line = replace(line, 'A', 'B')",
        "UPDATE cosignatures SET size = size + 1",
        "UPDATE checkpoints SET note = replace(note, 'strongroom', 'weakroom')",
        "DELETE FROM checkpoints",
        "DELETE FROM cosignatures",
    ] {
        assert!(rows.execute(edit, []).unwrap() > 0, "{edit}");
        assert!(!house.keystore.is_cosigned(0).unwrap(), "{edit}");
        // As it was.
        rows.execute_batch("DELETE FROM cosignatures; DELETE FROM checkpoints")
            .unwrap();
        rows.execute(
            "INSERT INTO checkpoints VALUES (1, ?1, ?2)",
            rusqlite::params![i64::try_from(size).unwrap(), note],
        )
        .unwrap();
        house
            .keystore
            .record_cosignature(&one, size, &line(1, "w1", &note, 7))
            .unwrap();
        assert!(house.keystore.is_cosigned(0).unwrap(), "{edit}");
    }
}
