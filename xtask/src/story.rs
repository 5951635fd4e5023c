//! The story that `cargo xtask run --demo` plays, as data: two people, a file, and what each command has to do.

/// Who types a command. Each has a device, which is a home folder of its own.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Person {
    Admin,
    Alice,
    Bob,
}

impl Person {
    /// As it stands before the prompt and in the name of the device's folder.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Alice => "alice",
            Self::Bob => "bob",
        }
    }
}

/// One act of the story. `{name}` in a word stands for something that was learnt before.
pub(crate) enum Act {
    /// What the reader should know about what comes next.
    Tell(&'static str),
    /// `strongroom` with these words, separated by spaces, and how it has to come out.
    Type(Person, &'static str, Expect),
    /// A file goes from one device to another, by whichever way.
    Send(Person, Person, &'static str),
    /// The file is the same on both devices.
    Same(Person, Person, &'static str),
    /// The person removes a file.
    Remove(Person, &'static str),
    /// The file is not on the person's device, not even in part.
    Absent(Person, &'static str),
}

/// How a command has to come out.
pub(crate) enum Expect {
    /// It succeeds, and what it prints names each of these.
    Success(&'static [&'static str]),
    /// It succeeds, and the field of the JSON it prints is learnt under this name.
    Learn {
        field: &'static str,
        name: &'static str,
    },
    /// It is refused, and the sentence that says why has this word.
    Refusal(&'static str),
}

use Act::{Absent, Remove, Same, Send, Tell, Type};
use Expect::{Learn, Refusal, Success};
use Person::{Admin, Alice, Bob};

/// It succeeds.
pub(crate) const DONE: Expect = Success(&[]);

/// The file alice protects, a whole PDF with one empty page.
pub(crate) const REPORT: &[u8] = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n\
    2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n\
    3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]>>endobj\n\
    trailer<</Root 1 0 R>>\n%%EOF\n";

/// The story. What is learnt from the start: `client_url`, `admin_url`, `ca`, `password` (a file), `admin` and `admin_code`.
pub(crate) const STORY: &[Act] = &[
    Tell("The administrator enrols with the one-time code and creates two accounts."),
    Type(
        Admin,
        "enrol {admin} --server {admin_url} --ca {ca} --code {admin_code} --password-file {password}",
        DONE,
    ),
    Type(Admin, "login {admin} --password-file {password}", DONE),
    Type(
        Admin,
        "accounts create alice@example.com --json",
        Learn {
            field: "/enrolment_code",
            name: "alice_code",
        },
    ),
    Type(
        Admin,
        "accounts create bob@example.com --json",
        Learn {
            field: "/enrolment_code",
            name: "bob_code",
        },
    ),
    Tell(
        "Alice and bob enrol, each on a device of their own. The appliance never sees a password.",
    ),
    Type(
        Alice,
        "enrol alice@example.com --server {client_url} --ca {ca} --code {alice_code} --password-file {password}",
        DONE,
    ),
    Type(
        Bob,
        "enrol bob@example.com --server {client_url} --ca {ca} --code {bob_code} --password-file {password}",
        DONE,
    ),
    Type(
        Alice,
        "login alice@example.com --password-file {password}",
        DONE,
    ),
    Type(
        Bob,
        "login bob@example.com --password-file {password}",
        DONE,
    ),
    Tell("Alice protects a report for bob and sends it to him. Bob opens it."),
    Type(
        Alice,
        "protect report.pdf --to bob@example.com --json",
        Learn {
            field: "/key_id",
            name: "key",
        },
    ),
    Send(Alice, Bob, "report.pdf.sealed"),
    Type(Bob, "open report.pdf.sealed", DONE),
    Same(Alice, Bob, "report.pdf"),
    Remove(Bob, "report.pdf"),
    Tell("Alice looks after the report's key."),
    Type(Alice, "keys list", Success(&["{key}"])),
    Type(
        Alice,
        "keys show {key}",
        Success(&["{key}", "bob@example.com"]),
    ),
    Tell("She takes it back from bob: his open is refused, and nothing is left of the attempt."),
    Type(Alice, "keys revoke {key} --from bob@example.com", DONE),
    Type(Bob, "open report.pdf.sealed", Refusal("revoked")),
    Absent(Bob, "report.pdf"),
    Tell(
        "She shares it again and rotates it. What was protected under the old version still opens.",
    ),
    Type(Alice, "keys share {key} --with bob@example.com", DONE),
    Type(Alice, "keys rotate {key}", DONE),
    Type(Bob, "open report.pdf.sealed", DONE),
    Same(Alice, Bob, "report.pdf"),
    Remove(Bob, "report.pdf"),
    Tell("She destroys the key: now nobody can open the report, not even she."),
    Type(Alice, "keys destroy {key} --yes", DONE),
    Type(Bob, "open report.pdf.sealed", Refusal("destroyed")),
    Absent(Bob, "report.pdf"),
    Type(
        Alice,
        "open report.pdf.sealed -o report-again.pdf",
        Refusal("destroyed"),
    ),
    Absent(Alice, "report-again.pdf"),
    Tell(
        "Every act left a leaf in the audit log, the refused ones too. Alice sees what concerns her and her keys.",
    ),
    Type(
        Alice,
        "audit tail",
        Success(&[
            "{key}",
            "key.create",
            "key.release",
            "key.revoke",
            "key.share",
            "key.rotate",
            "key.destroy",
        ]),
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn nothing_is_used_before_it_is_learnt() {
        let mut known = BTreeSet::from([
            "client_url",
            "admin_url",
            "ca",
            "password",
            "admin",
            "admin_code",
        ]);
        for act in STORY {
            let Type(_, words, expect) = act else {
                continue;
            };
            let named: &[&str] = if let Success(names) = expect {
                names
            } else {
                &[]
            };
            for word in words
                .split(' ')
                .chain(named.iter().copied())
                .filter(|word| word.starts_with('{'))
            {
                assert!(
                    known.contains(&word[1..word.len() - 1]),
                    "{word} in `{words}`"
                );
            }
            if let Learn { name, .. } = expect {
                assert!(words.contains("--json"), "{words}");
                known.insert(name);
            }
        }
    }

    #[test]
    fn the_story_has_every_command_of_the_readme() {
        let typed: Vec<&str> = STORY
            .iter()
            .filter_map(|act| {
                if let Type(_, words, _) = act {
                    Some(*words)
                } else {
                    None
                }
            })
            .collect();
        for command in [
            "enrol",
            "login",
            "accounts create",
            "protect",
            "open",
            "keys list",
            "keys show",
            "keys share",
            "keys revoke",
            "keys rotate",
            "keys destroy",
            "audit tail",
        ] {
            assert!(
                typed.iter().any(|words| words.starts_with(command)),
                "{command}"
            );
        }
        let refused = STORY
            .iter()
            .filter(|act| matches!(act, Type(_, _, Refusal(_))))
            .count();
        assert_eq!(refused, 3);
    }
}
