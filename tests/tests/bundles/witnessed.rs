//! What witnesses say of the checkpoints in bundles, and bundles that lack it.

use serde_json::{Value, json};
use strongroom_audit::bundle::{Filter, Line};
use strongroom_audit::cosignature::{self, WitnessKey};

use super::cases::{Case, case};
use super::forge::{Log, key, period, public, written};

/// When the witnesses have seen it, in seconds since 1970.
const SEEN: u64 = 1_795_900_000;

fn witness(name: &str, seed: u8) -> WitnessKey {
    WitnessKey::new(&format!("witness.example/{name}"), public(seed)).unwrap()
}

pub(crate) fn vkey(name: &str, seed: u8) -> String {
    witness(name, seed).to_string()
}

/// The witness's line under a checkpoint.
fn cosignature(note: &str, name: &str, seed: u8, time: u64) -> String {
    let (text, _) = cosignature::split(note).unwrap();
    let signature = key(seed).sign(&cosignature::message(time, text));
    let signature = signature.as_ref().try_into().unwrap();
    cosignature::line(&witness(name, seed), time, &signature)
}

/// The same checkpoint, cosigned.
fn cosigned(note: &str, by: &[(&str, u8)]) -> String {
    let lines = by
        .iter()
        .map(|(name, seed)| cosignature(note, name, *seed, SEEN));
    note.to_owned() + &lines.collect::<String>()
}

/// A bundle of a period of a log of 50 leaves, whose range ends at 41, with these notes as its checkpoint and as that of 45 leaves.
fn bundle(
    what: &'static str,
    newest: &dyn Fn(&str) -> String,
    at_45: &dyn Fn(&str) -> String,
) -> Case {
    let log = Log::new(50);
    let mut lines = log.lines(4..41, &period(5, 40));
    lines[1] = Line::Checkpoint {
        note: newest(&log.checkpoint(50, 1)),
    };
    let Line::Earlier(mut earlier) = log.earlier(45) else {
        unreachable!()
    };
    earlier.note = at_45(&earlier.note);
    lines.insert(2, Line::Earlier(earlier));
    Case {
        witnesses: vec![vkey("w1", 31), vkey("w2", 32), vkey("w3", 33)],
        demanded: 2,
        ..case(what, written(&lines, 1))
    }
}

const W1: (&str, u8) = ("w1", 31);
const W2: (&str, u8) = ("w2", 32);
const W3: (&str, u8) = ("w3", 33);

/// Sound bundles, and which of the witnesses have cosigned what.
pub(crate) fn sound() -> Vec<(Case, Value)> {
    let names = |by: &[(&str, u8)]| -> Vec<String> {
        by.iter().map(|(name, seed)| vkey(name, *seed)).collect()
    };
    let none = |note: &str| note.to_owned();
    let with = |by: &'static [(&str, u8)]| move |note: &str| cosigned(note, by);
    let (one, all) = (with(&[W1]), with(&[W3, W1, W2]));
    vec![
        (
            bundle("two have cosigned", &with(&[W1, W2]), &none),
            json!([{ "size": 50, "witnesses": names(&[W1, W2]) }]),
        ),
        (
            bundle("all had cosigned before", &one, &all),
            json!([
                { "size": 45, "witnesses": names(&[W1, W2, W3]) },
                { "size": 50, "witnesses": names(&[W1]) },
            ]),
        ),
        (
            Case {
                demanded: 0,
                ..bundle("none is demanded", &one, &none)
            },
            json!([{ "size": 50, "witnesses": names(&[W1]) }]),
        ),
        (
            Case {
                demanded: 1,
                ..bundle(
                    "others have cosigned as well",
                    &|note| cosigned(note, &[("w9", 39), W2, ("w1", 38)]),
                    &none,
                )
            },
            json!([{ "size": 50, "witnesses": names(&[W2]) }]),
        ),
        (
            Case {
                witnesses: Vec::new(),
                demanded: 0,
                ..bundle("no witness is known", &all, &all)
            },
            json!([]),
        ),
    ]
}

/// Bundles that two witnesses have not cosigned as they say.
pub(crate) fn by_other_witnesses() -> Vec<Case> {
    let none = |note: &str| note.to_owned();
    let log = Log::new(50);
    let mut early = log.lines(0..50, &Filter::default());
    let Line::Earlier(mut earlier) = log.earlier(45) else {
        unreachable!()
    };
    earlier.note = cosigned(&earlier.note, &[W1, W2]);
    early.insert(2, Line::Earlier(earlier));
    let altered = |note: &str| {
        // The time of the second line is another than the one that was signed.
        let line = cosignature(note, "w2", 32, SEEN);
        let other = cosignature(note, "w2", 32, SEEN + 1);
        let at = line
            .bytes()
            .zip(other.bytes())
            .position(|(one, another)| one != another)
            .unwrap();
        let mixed = other[..=at].to_owned() + &line[at + 1..];
        assert!(mixed != line && mixed != other);
        cosigned(note, &[W1]) + &mixed
    };
    let of_another = |note: &str| {
        let other = Log::new(49).checkpoint(49, 1);
        cosigned(note, &[W1]) + &cosignature(&other, "w2", 32, SEEN)
    };
    let mut cases = vec![
        bundle("no witness has cosigned", &none, &none),
        bundle(
            "one witness has cosigned",
            &|note| cosigned(note, &[W1]),
            &none,
        ),
        bundle(
            "one witness has cosigned twice",
            &|note| cosigned(note, &[W1]) + &cosignature(note, "w1", 31, SEEN + 60),
            &none,
        ),
        bundle(
            "one has cosigned one checkpoint, and another another",
            &|note| cosigned(note, &[W1]),
            &|note| cosigned(note, &[W2]),
        ),
        bundle(
            "a stranger has cosigned under a witness's name",
            &|note| cosigned(note, &[W1, ("w2", 39)]),
            &none,
        ),
        bundle("a cosignature was altered", &altered, &none),
        bundle("a cosignature is of another checkpoint", &of_another, &none),
        bundle(
            "a cosignature under the earlier checkpoint was altered",
            &|note| cosigned(note, &[W1, W2]),
            &altered,
        ),
        Case {
            demanded: 0,
            ..bundle(
                "a cosignature that nobody demands was altered",
                &altered,
                &none,
            )
        },
        Case {
            demanded: 3,
            ..bundle(
                "three are demanded and two have cosigned",
                &|note| cosigned(note, &[W1, W3]),
                &none,
            )
        },
        Case {
            witnesses: vec![vkey("w1", 31), vkey("w2", 32)],
            demanded: 2,
            ..case(
                "what was cosigned ends before the range",
                written(&early, 1),
            )
        },
    ];
    // One witness under two names has cosigned under both.
    let twice = bundle(
        "one witness has cosigned under two names",
        &|note| cosigned(note, &[W1, ("w4", 31)]),
        &none,
    );
    cases.push(Case {
        witnesses: vec![vkey("w1", 31), vkey("w4", 31), vkey("w2", 32)],
        ..twice
    });
    cases
}
