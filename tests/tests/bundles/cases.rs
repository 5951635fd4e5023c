//! Bundles with which something is wrong.

use strongroom_audit::bundle::{
    Document, DocumentKind, Filter, Footer, Hidden, LeafLine, Line, NameLine,
};
use strongroom_audit::{KeyChange, Leaf};
use strongroom_wire::audit::Act;
use strongroom_wire::encoding::Base64;
use strongroom_wire::id::AccountId;

use super::forge::{CEREMONY, KEY_BEGINS, Log, event, period, place, vkey, written};

/// A bundle, what it is held against, and what is wrong with it.
pub(crate) struct Case {
    pub(crate) what: &'static str,
    pub(crate) file: Vec<u8>,
    /// The key that is trusted.
    pub(crate) key: String,
    /// A checkpoint that is known.
    pub(crate) previous: Option<String>,
}

pub(crate) fn case(what: &'static str, file: Vec<Vec<u8>>) -> Case {
    Case {
        what,
        file: file.concat(),
        key: vkey(1),
        previous: None,
    }
}

/// What is done to the lines of a file.
type Change<'a> = &'a dyn Fn(&mut Vec<Vec<u8>>);

/// What somebody without the log's key can do to a file.
#[expect(clippy::too_many_lines, reason = "a list")]
pub(crate) fn by_anyone() -> Vec<Case> {
    let log = Log::new(50);
    let mut lines = log.lines(4..41, &period(5, 40));
    lines.insert(2, log.earlier(30));
    let file = written(&lines, 1);
    let at = place(&lines, 20);
    let last = file.len() - 1;
    // One line of the file made into another.
    let with = |what, at: usize, line: Line| {
        let mut file = file.clone();
        file[at] = line.to_bytes();
        case(what, file)
    };
    // The file as text, changed.
    let text = |what, from: &str, to: &str| {
        let whole = String::from_utf8(file.concat()).unwrap();
        assert!(whole.contains(from), "{from}");
        case(what, vec![whole.replacen(from, to, 1).into_bytes()])
    };
    let Line::Leaf(leaf) = &lines[at] else {
        unreachable!()
    };
    let envelope = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut leaf = leaf.clone();
        change(&mut leaf.envelope.0);
        Line::Leaf(leaf)
    };
    let mut edited = leaf.clone();
    let detail = edited.detail.as_mut().unwrap();
    let end = detail.0.len() - 1;
    detail.0[end] ^= 1;
    let mut cases = vec![
        with("a record's detail was edited", at, Line::Leaf(edited)),
        with(
            "a refusal was made an act",
            place(&lines, 24),
            Line::Leaf(LeafLine {
                index: 24,
                envelope: Base64(
                    log.leaf(24)
                        .envelope
                        .iter()
                        .map(|byte| if *byte == 0xf4 { 0xf5 } else { *byte })
                        .collect(),
                ),
                ..LeafLine::full(24, log.leaf(24))
            }),
        ),
        with(
            "a record was dated back",
            at,
            envelope(&|envelope| envelope[10] ^= 1),
        ),
        with(
            "a record was redacted",
            at,
            Line::Leaf(LeafLine::redacted(20, log.leaf(20))),
        ),
        with(
            "a name was changed",
            lines
                .iter()
                .position(|line| matches!(line, Line::Name(_)))
                .unwrap(),
            Line::Name(NameLine {
                account: AccountId::from_bytes([1; 16]),
                name: "mallory@example.com".to_owned(),
            }),
        ),
        with(
            "the checkpoint is an older one",
            1,
            Line::Checkpoint {
                note: log.checkpoint(49, 1),
            },
        ),
        with(
            "the footer is that of another bundle",
            last,
            Line::read(
                written(&log.lines(4..40, &period(5, 39)), 1)
                    .last()
                    .unwrap(),
            )
            .unwrap(),
        ),
        with(
            "the footer is a checkpoint",
            last,
            Line::Footer(Footer {
                note: log.checkpoint(50, 1),
            }),
        ),
        text(
            "the period was changed",
            "\"to\":\"2026-11-27T18:40:00",
            "\"to\":\"2026-11-27T18:30:00",
        ),
        text(
            "white space was put in",
            "{\"type\":\"leaf\",",
            "{\"type\":\"leaf\", ",
        ),
        text(
            "a member stands twice",
            "\"index\":20,",
            "\"index\":20,\"index\":20,",
        ),
        text(
            "a member is unknown",
            "\"index\":20,",
            "\"index\":20,\"x\":1,",
        ),
        text("lines end as on Windows", "\n", "\r\n"),
    ];
    let changes: [(&str, Change<'_>); 14] = [
        ("a record was removed", &|file| drop(file.remove(at))),
        ("the first record was removed", &|file| {
            drop(file.remove(place(&lines, 4)));
        }),
        ("the last record was removed", &|file| {
            drop(file.remove(place(&lines, 40)));
        }),
        ("two records were swapped", &|file| file.swap(at, at + 1)),
        ("a record was moved to the end", &|file| {
            let line = file.remove(at);
            file.insert(place(&lines, 40), line);
        }),
        ("a record stands twice", &|file| {
            file.insert(at, file[at].clone());
        }),
        ("a record was made up", &|file| {
            let leaf = Leaf::seal(&event(99), [4; 32]);
            file.insert(at, Line::Leaf(LeafLine::full(20, &leaf)).to_bytes());
        }),
        ("a document was removed", &|file| {
            drop(file.remove(place(&lines, CEREMONY) + 1));
        }),
        ("a document was replaced", &|file| {
            let other = Document::new(DocumentKind::Transcript, b"another".to_vec());
            file[place(&lines, CEREMONY) + 1] = Line::Document(other).to_bytes();
        }),
        ("the earlier checkpoint was removed", &|file| {
            drop(file.remove(2));
        }),
        ("the file was cut within a line", &|file| {
            file.truncate(at + 1);
            file[at].truncate(40);
        }),
        ("the file was cut between lines", &|file| file.truncate(at)),
        ("the footer was removed", &|file| drop(file.pop())),
        ("something follows the footer", &|file| {
            file.push(file[at].clone());
        }),
    ];
    for (what, change) in changes {
        let mut file = file.clone();
        change(&mut file);
        cases.push(case(what, file));
    }
    cases
}

/// What an appliance could sign that is not true.
#[expect(clippy::too_many_lines, reason = "a list")]
pub(crate) fn by_the_log() -> Vec<Case> {
    let log = Log::new(50);
    let lines = log.lines(4..41, &period(5, 40));
    let at = place(&lines, 20);
    let signed = |what, change: &dyn Fn(&mut Vec<Line>)| {
        let mut lines = lines.clone();
        change(&mut lines);
        case(what, written(&lines, 1))
    };
    let other_at_20 = {
        let mut event = event(20);
        event.detail.note = Some("another".to_owned());
        Leaf::seal(&event, [3; 32])
    };
    let other_history = Log::of((0..50).map(|index| {
        if index == 20 {
            other_at_20.clone()
        } else {
            log.leaf(index).clone()
        }
    }));
    let mut cases = vec![
        signed("a record was edited and all signed again", &|lines| {
            lines[at] = Line::Leaf(LeafLine::full(20, &other_at_20));
        }),
        signed("a record was removed and all signed again", &|lines| {
            drop(lines.remove(at));
        }),
        signed("a record was put in, the others renumbered", &|lines| {
            lines.insert(at, Line::Leaf(LeafLine::full(20, &other_at_20)));
            for (line, index) in lines[at..].iter_mut().zip(20..) {
                if let Line::Leaf(leaf) = line {
                    leaf.index = index;
                }
            }
        }),
        signed("two records were swapped and renumbered", &|lines| {
            lines[at] = Line::Leaf(LeafLine::full(20, log.leaf(21)));
            lines[at + 1] = Line::Leaf(LeafLine::full(21, log.leaf(20)));
        }),
        signed("a record of the period is redacted", &|lines| {
            lines[at] = Line::Leaf(LeafLine::redacted(20, log.leaf(20)));
        }),
        signed("a record of the range is hidden", &|lines| {
            lines.splice(at..=at, log.hidden(20..21));
        }),
        signed("a hidden subtree is another", &|lines| {
            let hidden = lines
                .iter_mut()
                .find(|line| matches!(line, Line::Hidden(_)))
                .unwrap();
            *hidden = Line::Hidden(Hidden {
                index: 0,
                count: 4,
                hash: Base64(vec![9; 32]),
            });
        }),
        signed("hidden leaves are no subtree", &|lines| {
            let hidden = lines
                .iter_mut()
                .find_map(|line| match line {
                    Line::Hidden(hidden) => Some(hidden),
                    _ => None,
                })
                .unwrap();
            hidden.count = 3;
        }),
        signed("the end of the log is missing", &|lines| drop(lines.pop())),
        signed("a commitment does not match", &|lines| {
            let Line::Leaf(leaf) = &mut lines[at] else {
                unreachable!()
            };
            leaf.salt = Some(Base64(vec![4; 32]));
        }),
        signed("a salt is missing", &|lines| {
            let Line::Leaf(leaf) = &mut lines[at] else {
                unreachable!()
            };
            leaf.salt = None;
        }),
        signed("a document that a leaf names is left out", &|lines| {
            drop(lines.remove(place(lines, CEREMONY) + 1));
        }),
        signed("a document is not the one that is named", &|lines| {
            let other = Document::new(DocumentKind::Transcript, b"another".to_vec());
            let at = place(lines, CEREMONY) + 1;
            lines[at] = Line::Document(other);
        }),
        signed("a leaf is proved by another's proof", &|lines| {
            lines.push(log.proven(2, 3));
        }),
        signed("by the header the key has ended", &|lines| {
            let Line::Header(header) = &mut lines[0] else {
                unreachable!()
            };
            header.keys[0].to = Some(49);
        }),
        signed("the header lacks the key", &|lines| {
            let Line::Header(header) = &mut lines[0] else {
                unreachable!()
            };
            drop(header.keys.remove(0));
        }),
        signed("the header is of another log", &|lines| {
            let Line::Header(header) = &mut lines[0] else {
                unreachable!()
            };
            "strongroom.example/other".clone_into(&mut header.origin);
        }),
        signed("an earlier checkpoint is of another history", &|lines| {
            let Line::Earlier(mut earlier) = log.earlier(30) else {
                unreachable!()
            };
            earlier.note = other_history.checkpoint(30, 1);
            lines.insert(2, Line::Earlier(earlier));
        }),
        signed("an earlier checkpoint is of the future", &|lines| {
            let Line::Earlier(mut earlier) = log.earlier(30) else {
                unreachable!()
            };
            earlier.note = Log::new(60).checkpoint(55, 1);
            lines.insert(2, Line::Earlier(earlier));
        }),
        case(
            "the range begins after the period does",
            written(&log.lines(6..41, &period(5, 40)), 1),
        ),
        case(
            "the range ends before the period does",
            written(&log.lines(4..39, &period(5, 40)), 1),
        ),
        case(
            "the range is drawn too wide by the header",
            written(
                &{
                    let mut lines = log.lines(4..41, &period(5, 40));
                    let Line::Header(header) = &mut lines[0] else {
                        unreachable!()
                    };
                    header.first = 5;
                    lines
                },
                1,
            ),
        ),
    ];
    // A leaf in another spelling, of which the tree has the hash.
    let odd = Leaf {
        envelope: {
            let mut envelope = log.leaf(20).envelope.clone();
            // The act in two bytes in place of one.
            let act = envelope.iter().rposition(|byte| *byte == 0xf5).unwrap() - 1;
            envelope.splice(act..=act, [0x19, 0x00, envelope[act]]);
            envelope
        },
        ..log.leaf(20).clone()
    };
    let with_odd = Log::of((0..50).map(|index| {
        if index == 20 {
            odd.clone()
        } else {
            log.leaf(index).clone()
        }
    }));
    let mut lines_with_odd = log.lines(4..41, &period(5, 40));
    lines_with_odd[1] = Line::Checkpoint {
        note: with_odd.checkpoint(50, 1),
    };
    lines_with_odd[at] = Line::Leaf(LeafLine::full(20, &odd));
    cases.push(case(
        "an envelope is in another spelling",
        written(&lines_with_odd, 1),
    ));
    // A key that a leaf has ended.
    let ends = Log::of((0..50).map(|index| {
        let mut event = event(index);
        if index == KEY_BEGINS {
            event.detail.note = Some(KeyChange::Ends(vkey(1)).to_string());
        }
        Leaf::seal(&event, [3; 32])
    }));
    let releases = Filter {
        act: Some(Act::KeyRelease),
        ..Filter::default()
    };
    cases.push(case(
        "by a leaf the key has ended",
        written(&ends.lines(0..50, &releases), 1),
    ));
    cases
}

/// Bundles that are sound in themselves, and not what they are held against.
pub(crate) fn against_what_is_known() -> Vec<Case> {
    let log = Log::new(50);
    let mut lines = log.lines(4..41, &period(5, 40));
    let plain = written(&lines, 1);
    lines.insert(2, log.earlier(30));
    let file = written(&lines, 1);
    let mut changed = event(7);
    changed.done = !changed.done;
    let fork = Log::of((0..60).map(|index| {
        if index == 7 {
            Leaf::seal(&changed, [3; 32])
        } else {
            Leaf::seal(&event(index), [3; 32])
        }
    }));
    let held = |what, file: &[Vec<u8>], previous: String| Case {
        previous: Some(previous),
        ..case(what, file.to_vec())
    };
    vec![
        Case {
            key: vkey(7),
            ..case("the key that is trusted is another", file.clone())
        },
        Case {
            key: format!("{}@0-40", vkey(1)),
            ..case("the key is known to have ended", file.clone())
        },
        case(
            "all is signed with another key",
            written(
                &{
                    let mut lines = log.lines(4..41, &period(5, 40));
                    lines[1] = Line::Checkpoint {
                        note: log.checkpoint(50, 9),
                    };
                    lines
                },
                9,
            ),
        ),
        case(
            "the footer is signed with another key",
            written(&log.lines(4..41, &period(5, 40)), 2),
        ),
        held(
            "the log is forked before the known checkpoint",
            &file,
            fork.checkpoint(30, 1),
        ),
        held(
            "the log is forked at its end",
            &plain,
            fork.checkpoint(50, 1),
        ),
        held(
            "the log is shorter than it was",
            &file,
            Log::new(60).checkpoint(60, 1),
        ),
        held(
            "how it continues is not proved",
            &plain,
            log.checkpoint(3, 1),
        ),
        held(
            "the range passes a known checkpoint of another history",
            &plain,
            fork.checkpoint(20, 1),
        ),
    ]
}
