//! `FORMAT.md` says what this crate does: its example and its table of acts are read from it and checked.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::convert::Infallible;

use ed25519_dalek::{Signer, SigningKey};
use strongroom_audit::bundle::{BundleVerifier, Line, Trust, Writer};
use strongroom_audit::{
    Detail, Event, Hash, Leaf, LogKey, RightEdge, Verifier, checkpoint, note, tree,
};
use strongroom_wire::audit::Act;
use strongroom_wire::encoding::Timestamp;

const FORMAT: &str = include_str!("../FORMAT.md");
const ORIGIN: &str = "strongroom.example/default";

/// The fenced block that is introduced by this info string.
fn block(info: &str) -> &'static str {
    let fence = format!("```{info}\n");
    let (_, from) = FORMAT.split_once(&fence).unwrap();
    from.split_once("```").unwrap().0
}

/// The bytes of a fenced block of hexadecimal with a comment after each `#`.
fn hex_block(info: &str) -> Vec<u8> {
    let mut digits = String::new();
    for line in block(info).lines() {
        let code = line.split('#').next().unwrap();
        digits.extend(code.chars().filter(|digit| !digit.is_whitespace()));
    }
    hex::decode(digits).unwrap()
}

fn hash_block(info: &str) -> Hash {
    Hash(hex_block(info).try_into().unwrap())
}

fn leaf(number: u8) -> Leaf {
    Leaf {
        envelope: hex_block(&format!("text envelope-{number}")),
        salt: hex_block(&format!("text salt-{number}"))
            .try_into()
            .unwrap(),
        detail: hex_block(&format!("text detail-{number}")),
    }
}

fn event() -> Event {
    Event {
        time: "2026-11-27T18:00:00.123Z".parse().unwrap(),
        act: Act::KeyRelease,
        done: true,
        detail: Detail {
            actor: Some("01939c2f-1a00-7a11-8111-111111111111".parse().unwrap()),
            session: Some("01939c2f-1b00-7b22-8222-222222222222".parse().unwrap()),
            source: Some("192.0.2.7".parse().unwrap()),
            subject: None,
            key: Some("01939c2f-1c00-7c33-8333-333333333333".parse().unwrap()),
            key_version: Some(2),
            owner: Some("01939c2f-1d00-7d44-8444-444444444444".parse().unwrap()),
            grant: Some("01939c2f-1e00-7e55-8555-555555555555".parse().unwrap()),
            note: Some("à bientôt".to_owned()),
            rows: None,
        },
    }
}

fn refused() -> Event {
    Event {
        time: Timestamp::from_millis(event().time.as_millis() + 1),
        act: Act::SessionOpen,
        done: false,
        detail: Detail::default(),
    }
}

#[test]
fn the_example_leaves_are_what_this_crate_seals() {
    let salt = std::array::from_fn(|at| u8::try_from(at).unwrap());
    assert_eq!(leaf(0), Leaf::seal(&event(), salt));
    assert_eq!(leaf(0).open().unwrap(), event());
    assert_eq!(leaf(1), Leaf::seal(&refused(), [0xff; 32]));
    assert_eq!(leaf(1).open().unwrap(), refused());
}

#[test]
fn the_example_tree_is_what_this_crate_builds() {
    let (one, two) = (leaf(0).hash(), leaf(1).hash());
    let nodes = [
        (0, hash_block("text node-0")),
        (1, hash_block("text node-1")),
        (2, hash_block("text node-2")),
    ];
    assert_eq!(RightEdge::empty().append(&[one, two]), nodes);
    tree::verify_inclusion(2, 0, &one, &[two], &nodes[2].1).unwrap();
}

#[test]
fn the_example_checkpoint_is_what_this_crate_signs_and_verifies() {
    let key = SigningKey::from_bytes(&[1; 32]);
    let public = key.verifying_key().to_bytes();
    let verifier_key = checkpoint::verifier_key(ORIGIN, &public);
    assert_eq!(block("text verifier-key"), format!("{verifier_key}\n"));
    let root = hash_block("text node-2");
    let note = checkpoint::sign(ORIGIN, 2, &root, &[public], |text| {
        Ok::<_, Infallible>(key.sign(text).to_bytes())
    });
    assert_eq!(block("text checkpoint"), note.unwrap());

    let mut verifier = Verifier::new(&verifier_key, ORIGIN).unwrap();
    verifier.checkpoint(block("text checkpoint"));
    verifier.leaf(0, &leaf(0));
    verifier.leaf(1, &leaf(1));
    for index in 0..3 {
        verifier.node(index, &hash_block(&format!("text node-{index}")));
    }
    let report = verifier.finish();
    assert_eq!(report.problems, []);
    assert_eq!((report.checkpoints, report.nodes), (1, 3));
}

#[test]
fn the_example_bundle_is_what_this_crate_writes_and_verifies() {
    let key = SigningKey::from_bytes(&[1; 32]);
    let public = key.verifying_key().to_bytes();
    let verifier_key = checkpoint::verifier_key(ORIGIN, &public);
    let trust = Trust {
        keys: vec![LogKey::only(&verifier_key)],
        previous: None,
    };
    let mut verifier = BundleVerifier::new(trust);
    let mut writer = Writer::new();
    let mut written = String::new();
    for line in block("text bundle").split_inclusive('\n') {
        let _ = verifier.line(line.as_bytes());
        let line = Line::read(line.as_bytes()).unwrap();
        if !matches!(line, Line::Footer(_)) {
            written += &String::from_utf8(writer.line(&line)).unwrap();
        }
    }
    let text = writer.footer(ORIGIN).to_text();
    let note = note::sign(ORIGIN, &text, &[public], |text| {
        Ok::<_, Infallible>(key.sign(text).to_bytes())
    });
    written += &String::from_utf8(writer.finish(note.unwrap())).unwrap();
    assert_eq!(block("text bundle"), written);
    let report = verifier.finish();
    assert_eq!(report.problems, []);
    assert_eq!((report.full, report.redacted), (1, 1));
}

#[test]
fn the_table_of_acts_is_complete() {
    let (_, acts) = FORMAT.split_once("| number | act |").unwrap();
    let rows: Vec<&str> = acts
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .collect();
    assert_eq!(rows.len(), Act::ALL.len());
    for (row, act) in rows.iter().zip(Act::ALL) {
        let start = format!("| {} | `{act}` | ", act.number());
        assert!(row.starts_with(&start), "{row}");
    }
}
