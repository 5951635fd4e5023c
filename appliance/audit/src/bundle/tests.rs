//! A sound bundle passes; what is wrong with another is found and named, even where the log's own key has signed it.

#![expect(clippy::unwrap_used, reason = "tests")]

mod log;

use proptest::prelude::*;
use strongroom_wire::audit::Act;
use strongroom_wire::id::{AccountId, KeyId};
use tlog_tiles::Hash;

use self::log::*;
use super::*;
use crate::Checkpoint;
use crate::keys::{KeyChange, LogKey};
use crate::leaf::Leaf;
use crate::tree::prove_inclusion;

#[test]
fn sound_bundles_pass() {
    let log = Log::new(50);
    let releases = Filter {
        act: Some(Act::KeyRelease),
        ..Filter::default()
    };
    let case = Filter {
        case: Some("1".to_owned()),
        ..Filter::default()
    };
    let key = Filter {
        key: Some(KeyId::from_bytes([7; 16])),
        ..Filter::default()
    };
    for (range, filter, full, redacted) in [
        (0..50, Filter::default(), 50, 0),
        (20..41, Filter::default(), 21, 0),
        (19..41, period(20, 40), 20, 2),
        (0..50, releases.clone(), 18, 32),
        (0..50, key, 18, 32),
        (0..50, case, 9, 41),
        (50..50, Filter::default(), 0, 0),
    ] {
        let report = verify(&written(&log.lines(range.clone(), &filter), 1), trust());
        assert_eq!(report.problems, [], "{range:?}");
        assert_eq!(
            (report.full, report.redacted),
            (full, redacted),
            "{filter:?}"
        );
        assert_eq!(report.checkpoint.unwrap().size, 50);
        assert_eq!(report.range, Some((range.start, range.end)));
        assert_eq!(report.hidden, 0);
    }
    let own = Filter {
        concerning: Some(AccountId::from_bytes([1; 16])),
        ..Filter::default()
    };
    let report = verify(&written(&log.lines(0..50, &own), 1), trust());
    assert_eq!(report.problems, []);
    assert_eq!((report.full, report.hidden), (17, 33));
    let empty = verify(&written(&Log::new(0).lines(0..0, &own), 1), trust());
    assert_eq!(empty.problems, []);
}

#[test]
fn what_the_lines_say_comes_out() {
    let log = Log::new(12);
    let mut lines = log.lines(7..10, &Filter::default());
    let account = AccountId::from_bytes([1; 16]);
    let name = NameLine {
        account,
        name: "alice@example.com".to_owned(),
    };
    lines.insert(at(&lines, 7), Line::Name(name.clone()));
    let mut verifier = BundleVerifier::new(trust());
    let seen: Vec<Seen> = written(&lines, 1)
        .iter()
        .map(|line| verifier.line(line))
        .collect();
    assert!(matches!(&seen[0], Seen::Header(header) if header.first == 7));
    assert!(matches!(&seen[1], Seen::Checkpoint(checkpoint) if checkpoint.size == 12));
    assert!(seen.contains(&Seen::Name(name)));
    for index in 7..10 {
        let event = event(index);
        assert!(seen.contains(&Seen::Record { index, event }));
    }
    let document = Document::new(DocumentKind::Transcript, TRANSCRIPT.to_vec());
    assert!(seen.contains(&Seen::Document(document)));
    assert!(seen.contains(&Seen::Hidden { index: 0, count: 4 }));
    assert_eq!(seen.last(), Some(&Seen::End));
    assert_eq!(verifier.position(), 12);
    let report = verifier.finish();
    assert_eq!(report.problems, []);
    assert_eq!(report.documents, 1);
    assert_eq!(report.times, Some((time(7), time(9))));
    assert_eq!(report.refused, 1);
}

#[test]
fn a_bundle_continues_an_earlier_one() {
    let log = Log::new(50);
    let known = |size, root| Trust {
        previous: Some(Checkpoint {
            origin: ORIGIN.to_owned(),
            size,
            root,
        }),
        ..trust()
    };
    let root = |size| crate::tree::root(size, &log.nodes).unwrap();
    let mut lines = log.lines(30..50, &Filter::default());
    lines.insert(2, log.earlier(30));
    lines.insert(3, log.earlier(33));
    let file = written(&lines, 1);
    for size in [30, 33, 50] {
        let report = verify(&file, known(size, root(size)));
        assert_eq!(report.problems, [], "{size}");
        assert_eq!(report.earlier, [30, 33]);
        let forked = verify(&file, known(size, Hash([9; 32]))).problems;
        assert_eq!(forked, [BundleProblem::Forked { size }]);
    }
    let unknown = verify(&file, known(7, root(7))).problems;
    assert_eq!(unknown, [BundleProblem::Unconnected { size: 7 }]);
    let cut = verify(&file, known(51, Hash([9; 32]))).problems;
    assert_eq!(
        cut,
        [BundleProblem::Shorter {
            size: 50,
            known: 51
        }]
    );
    // A size that the leaves pass is held against them, proof or none.
    let passed = verify(&file, known(40, Hash([9; 32]))).problems;
    assert!(
        passed.contains(&BundleProblem::Forked { size: 40 }),
        "{passed:?}"
    );
    // Another history up to there, rightly signed by the same key.
    let other = Log::of((0..30).map(|index| event(index + u64::from(index == 4))));
    lines[2] = other.earlier(30);
    let Line::Earlier(earlier) = &mut lines[2] else {
        unreachable!()
    };
    let Line::Earlier(honest) = log.earlier(30) else {
        unreachable!()
    };
    earlier.hashes = honest.hashes;
    let forked = problems(&lines);
    assert_eq!(forked, [BundleProblem::Consistency { size: 30 }]);
}

#[test]
fn leaves_that_the_log_key_itself_misrepresents_are_found() {
    let log = Log::new(50);
    let lines = log.lines(19..41, &period(20, 40));
    let sound = || lines.clone();
    let place = at(&lines, 25);

    let mut edited = sound();
    let mut other = event(25);
    other.detail.note = Some("something else".to_owned());
    edited[place] = Line::Leaf(LeafLine::full(25, &Leaf::seal(&other, [3; 32])));
    assert_eq!(problems(&edited), [BundleProblem::Root { size: 50 }]);

    let mut removed = sound();
    removed.remove(place);
    assert_eq!(
        problems(&removed),
        [BundleProblem::Missing { from: 25, to: 25 }]
    );

    let mut twice = sound();
    twice.insert(place, lines[place].clone());
    assert_eq!(problems(&twice), [BundleProblem::Order { index: 25 }]);

    let mut swapped = sound();
    swapped.swap(place, place + 1);
    assert!(problems(&swapped).contains(&BundleProblem::Order { index: 25 }));

    // Renumbered, so that they look in order.
    let (Line::Leaf(one), Line::Leaf(two)) = (&lines[place], &lines[place + 1]) else {
        unreachable!()
    };
    let mut moved = sound();
    moved[place] = Line::Leaf(LeafLine {
        index: 25,
        ..two.clone()
    });
    moved[place + 1] = Line::Leaf(LeafLine {
        index: 26,
        ..one.clone()
    });
    assert_eq!(problems(&moved), [BundleProblem::Root { size: 50 }]);

    let mut redacted = sound();
    redacted[place] = Line::Leaf(LeafLine::redacted(25, log.leaf(25)));
    assert_eq!(problems(&redacted), [BundleProblem::LeftOut { index: 25 }]);

    let mut hidden = sound();
    hidden.splice(place..=place, log.hidden(25..26));
    assert_eq!(
        problems(&hidden),
        [BundleProblem::HiddenInRange { from: 25, to: 25 }]
    );

    // The range is drawn narrower than the period.
    let narrow = log.lines(22..41, &period(20, 40));
    assert_eq!(problems(&narrow), [BundleProblem::Edge { index: 22 }]);
    let narrow = log.lines(19..38, &period(20, 40));
    assert_eq!(problems(&narrow), [BundleProblem::Edge { index: 37 }]);

    let mut outside = sound();
    let Line::Header(header) = &mut outside[0] else {
        unreachable!()
    };
    header.first = 20;
    assert!(problems(&outside).contains(&BundleProblem::OutOfRange { index: 19 }));

    let mut salted = sound();
    let Line::Leaf(leaf) = &mut salted[place] else {
        unreachable!()
    };
    leaf.salt = Some([4; 32].as_slice().into());
    assert_eq!(
        problems(&salted),
        [BundleProblem::Leaf {
            index: 25,
            error: crate::LeafError::Commitment
        }]
    );

    let mut short = sound();
    short.pop();
    assert!(matches!(
        problems(&short)[..],
        [BundleProblem::Missing { to: 49, .. }]
    ));
}

#[test]
fn hidden_leaves_are_subtrees_of_the_log() {
    let log = Log::new(50);
    let lines = log.lines(20..50, &Filter::default());
    let Some(Line::Hidden(hidden)) = lines.get(2).cloned() else {
        unreachable!()
    };
    assert_eq!((hidden.index, hidden.count), (0, 16));
    for (count, expected) in [
        (15, BundleProblem::Subtree { index: 0 }),
        (0, BundleProblem::Subtree { index: 0 }),
        (64, BundleProblem::Subtree { index: 0 }),
        (1 << 63, BundleProblem::Subtree { index: 0 }),
        (8, BundleProblem::Missing { from: 8, to: 15 }),
    ] {
        let mut changed = lines.clone();
        changed[2] = Line::Hidden(Hidden {
            count,
            ..hidden.clone()
        });
        assert_eq!(problems(&changed)[0], expected, "{count}");
    }
    let mut other = lines.clone();
    other[2] = Line::Hidden(Hidden {
        hash: [1; 32].as_slice().into(),
        ..hidden.clone()
    });
    assert_eq!(problems(&other), [BundleProblem::Root { size: 50 }]);
    other[2] = Line::Hidden(Hidden {
        hash: [1; 31].as_slice().into(),
        ..hidden
    });
    assert!(matches!(
        problems(&other)[..],
        [BundleProblem::Line { line: 3, .. }]
    ));
}

#[test]
fn documents_are_there_and_themselves() {
    let log = Log::new(12);
    let lines = log.lines(0..12, &Filter::default());
    let place = at(&lines, 8) + 1;
    let document = Document::new(DocumentKind::Transcript, TRANSCRIPT.to_vec());
    assert_eq!(lines[place], Line::Document(document.clone()));

    let mut missing = lines.clone();
    missing.remove(place);
    let expected = BundleProblem::DocumentMissing {
        index: 8,
        kind: DocumentKind::Transcript,
        sha256: document.sha256.clone(),
    };
    assert_eq!(problems(&missing), std::slice::from_ref(&expected));

    let altered = BundleProblem::DocumentAltered {
        line: place as u64 + 1,
    };
    let mut other = lines.clone();
    other[place] = Line::Document(Document::new(DocumentKind::Transcript, b"other".to_vec()));
    assert_eq!(problems(&other), std::slice::from_ref(&altered));
    other[place] = Line::Document(Document {
        content: b"other".as_slice().into(),
        ..document.clone()
    });
    assert_eq!(problems(&other), std::slice::from_ref(&altered));
    let mut late = lines.clone();
    late.swap(place, place + 1);
    assert_eq!(problems(&late)[0], expected);
    let mut unnamed = lines;
    unnamed.insert(place + 1, Line::Document(document));
    assert!(matches!(
        problems(&unnamed)[..],
        [BundleProblem::DocumentAltered { .. }]
    ));
}

#[test]
fn a_leaf_is_proved_by_itself() {
    let log = Log::new(50);
    let mut lines = log.lines(20..30, &Filter::default());
    let proven = |index: u64, of: u64| {
        let leaf = log.leaf(of);
        let hashes = prove_inclusion(50, index, &log.nodes).unwrap();
        Line::Proven(Proven {
            index,
            envelope: leaf.envelope.as_slice().into(),
            salt: leaf.salt.as_slice().into(),
            detail: leaf.detail.as_slice().into(),
            hashes: hashes.iter().map(|hash| hash.0.as_slice().into()).collect(),
        })
    };
    lines.push(proven(3, 3));
    let report = verify(&written(&lines, 1), trust());
    assert_eq!((report.problems, report.proven), (vec![], 1));
    lines.push(proven(4, 5));
    assert_eq!(problems(&lines), [BundleProblem::NotProven { index: 4 }]);
}

#[test]
fn keys_that_are_not_trusted_or_not_in_force_sign_nothing() {
    let log = Log::new(50);
    let lines = log.lines(0..50, &Filter::default());
    let file = written(&lines, 1);
    let with = |key: LogKey| Trust {
        keys: vec![key],
        previous: None,
    };
    let wrong = verify(&file, with(LogKey::only(&vkey(7)))).problems;
    assert!(matches!(
        wrong[0],
        BundleProblem::Checkpoint { line: 2, .. }
    ));
    assert!(wrong.contains(&BundleProblem::FooterSignature));
    // A key that is known to have ended.
    let ended = LogKey {
        to: Some(40),
        ..LogKey::only(&vkey(1))
    };
    let ended = verify(&file, with(ended)).problems;
    assert!(matches!(
        ended[0],
        BundleProblem::Checkpoint { line: 2, .. }
    ));
    // A footer by another key than those that are trusted.
    let footer = verify(&written(&lines, 2), trust()).problems;
    assert_eq!(footer, [BundleProblem::FooterSignature]);
    // By the header, or by a leaf, the key may not sign such a tree.
    let not_in_force = [BundleProblem::KeyNotInForce {
        key: vkey(1),
        size: 50,
    }];
    let mut said = lines.clone();
    let Line::Header(header) = &mut said[0] else {
        unreachable!()
    };
    header.keys[0].to = Some(49);
    assert_eq!(problems(&said), not_in_force);
    let ends = Log::of((0..50).map(|index| {
        let mut event = event(index);
        if index == 10 {
            event.detail.note = Some(KeyChange::Ends(vkey(1)).to_string());
        }
        event
    }));
    let releases = Filter {
        act: Some(Act::KeyRelease),
        ..Filter::default()
    };
    assert_eq!(problems(&ends.lines(0..50, &releases)), not_in_force);
    // Of another log.
    let mut elsewhere = lines;
    let Line::Header(header) = &mut elsewhere[0] else {
        unreachable!()
    };
    header.origin = "strongroom.example/other".to_owned();
    assert!(problems(&elsewhere).contains(&BundleProblem::HeaderCheckpoint));
}

#[test]
fn whoever_has_no_key_alters_nothing() {
    let log = Log::new(12);
    let file = written(&log.lines(2..9, &Filter::default()), 1);
    for line in 0..file.len() {
        let mut removed = file.clone();
        removed.remove(line);
        assert!(!verify(&removed, trust()).passed(), "without line {line}");
        let mut twice = file.clone();
        twice.insert(line, file[line].clone());
        assert!(!verify(&twice, trust()).passed(), "line {line} twice");
        if line > 0 {
            let mut swapped = file.clone();
            swapped.swap(line - 1, line);
            assert!(!verify(&swapped, trust()).passed(), "line {line} earlier");
            assert!(!verify(&file[..line], trust()).passed(), "cut at {line}");
        }
        let mut cut = file.clone();
        cut[line].pop();
        assert!(!verify(&cut, trust()).passed(), "line {line} without end");
    }
    let mut more = file.clone();
    more.push(
        Line::Footer(Footer {
            note: String::new(),
        })
        .to_bytes(),
    );
    assert!(!verify(&more, trust()).passed());
    assert!(!verify(&[], trust()).passed());
    // The footer of another bundle of the same log.
    let mut other = file.clone();
    let last = other.len() - 1;
    other[last] = written(&log.lines(2..8, &Filter::default()), 1)
        .pop()
        .unwrap();
    assert_eq!(verify(&other, trust()).problems, [BundleProblem::Altered]);
    // A checkpoint is no footer.
    other[last] = Line::Footer(Footer {
        note: log.checkpoint(12, 1),
    })
    .to_bytes();
    assert_eq!(verify(&other, trust()).problems, [BundleProblem::Altered]);
}

#[test]
fn a_line_has_one_spelling() {
    let line = Line::Hidden(Hidden {
        index: 0,
        count: 1,
        hash: [1; 32].as_slice().into(),
    });
    let text = String::from_utf8(line.to_bytes()).unwrap();
    assert_eq!(Line::read(text.as_bytes()).unwrap(), line);
    for (other, error) in [
        (text.replace("\":", "\": "), LineError::Spelling),
        (
            text.replace("index\":0,\"count\":1", "count\":1,\"index\":0"),
            LineError::Spelling,
        ),
        (text.replace("hidden", "hidd\\u0065n"), LineError::Spelling),
        (text.replace(":0,", ":0,\"more\":1,"), LineError::Form),
        (text.replace(":0,", ":0,\"index\":0,"), LineError::Form),
        (text.replace(":0,", ":0.0,"), LineError::Form),
        (text.replace("\"index\":0,", ""), LineError::Form),
        (text.trim_end().to_owned(), LineError::Cut),
        (format!("[{}]\n", text.trim_end()), LineError::Form),
        (" ".repeat(LONGEST_LINE) + "\n", LineError::Length),
    ] {
        assert_eq!(Line::read(other.as_bytes()), Err(error), "{other:.100}");
    }
}

proptest! {
    #[test]
    fn no_byte_can_be_changed(at: prop::sample::Index, value in 1u8..) {
        let log = Log::new(12);
        let file = written(&log.lines(2..9, &period(3, 8)), 1).concat();
        let mut altered = file.clone();
        let at = at.index(altered.len());
        altered[at] ^= value;
        let mut verifier = BundleVerifier::new(trust());
        for line in altered.split_inclusive(|byte| *byte == b'\n') {
            let _ = verifier.line(line);
        }
        prop_assert!(!verifier.finish().passed(), "{at}");
    }

    #[test]
    fn no_bytes_make_it_fail_otherwise(line: Vec<u8>) {
        let mut verifier = BundleVerifier::new(trust());
        let _ = verifier.line(&line);
        prop_assert!(!verifier.finish().passed());
    }
}
