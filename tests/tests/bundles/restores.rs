//! Restores that take a quorum, whose approvals stand in one leaf; and those that had none.

use strongroom_approval::Decision;
use strongroom_audit::bundle::DocumentKind;
use strongroom_wire::account::Role;
use strongroom_wire::audit::Act;

use super::cases::Case;
use super::passkeys::Ceremony;
use super::people::{Given, OFFICER, RUTH, Story, THURGOOD, approved, sha256};

const DATABASE: &str = "5c5e1d2f7f1c4a8bb1b0d0a3b7b4f0d95c5e1d2f7f1c4a8bb1b0d0a3b7b4f0d9";
const REQUEST: &str = r#"{"domain.restore":{"created":"2026-11-27T18:00:00.000Z","database_sha256":"5c5e1d2f7f1c4a8bb1b0d0a3b7b4f0d95c5e1d2f7f1c4a8bb1b0d0a3b7b4f0d9","leaves":12}}"#;
const BACKUP: &str = "backup of 2026-11-27T18:00:00.000Z with 12 leaves";
const OF_TWO: &str = "quorum 2 of security-officer";

/// The leaf of a restore, and what it names.
struct Restore {
    request: String,
    backup: &'static str,
    quorum: &'static str,
    given: Vec<Given>,
    more: String,
}

/// Somebody's approval, given when the third leaf was made.
fn agreed(person: u8) -> Given {
    Given {
        role: Role::SecurityOfficer,
        subject: DATABASE,
        act: Some("domain.restore"),
        record: sha256(REQUEST.as_bytes()),
        ..approved(person, 3)
    }
}

/// A restore that two have approved.
fn honest() -> Restore {
    Restore {
        request: REQUEST.to_owned(),
        backup: BACKUP,
        quorum: OF_TWO,
        given: vec![agreed(RUTH), agreed(THURGOOD)],
        more: String::new(),
    }
}

fn people() -> Story {
    let mut story = Story::new();
    story.person(RUTH, "security-officer");
    story.person(THURGOOD, "security-officer");
    story.person(OFFICER, "auditor");
    story
}

impl Restore {
    fn bundle(&self, what: &'static str) -> Case {
        let evidence: Vec<Vec<u8>> = self.given.iter().map(Given::evidence).collect();
        let evidence = [b"[", evidence.join(&b","[..]).as_slice(), b"]"].concat();
        let note = format!(
            "{} request {} {} evidence {}{}",
            self.backup,
            hex::encode(sha256(self.request.as_bytes())),
            self.quorum,
            hex::encode(sha256(&evidence)),
            self.more
        );
        let mut story = people();
        story.act(Act::DomainRestore, 99, None, note);
        story.document(DocumentKind::Request, self.request.as_bytes().to_vec());
        story.document(DocumentKind::Evidence, evidence);
        story.bundle(what)
    }
}

/// Sound bundles, with how many approvals, quorums, and quorums that cannot be judged they have.
pub(crate) fn sound() -> Vec<(Case, [u64; 3])> {
    let more = format!(
        " accepted in spite of a checkpoint of 20 leaves: see evidence {}",
        "ab".repeat(32)
    );
    let older = Restore { more, ..honest() };
    let mut by_passkey = honest();
    by_passkey.given[1].passkey = Some(Ceremony::honest());
    let mut no_rule = people();
    no_rule.act(Act::DomainRestore, 99, None, BACKUP.to_owned());
    vec![
        (honest().bundle("a restore that takes two"), [2, 1, 0]),
        (older.bundle("an older backup that takes two"), [2, 1, 0]),
        (
            by_passkey.bundle("a restore approved by a passkey"),
            [2, 1, 0],
        ),
        (no_rule.bundle("a restore that takes nobody"), [0, 0, 0]),
    ]
}

/// Restores that by their leaf were approved, and by what was signed were not.
pub(crate) fn that_were_not_approved() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut other = |what: &'static str, change: &dyn Fn(&mut Restore)| {
        let mut restore = honest();
        change(&mut restore);
        cases.push(restore.bundle(what));
    };
    other("one approved a restore that takes two", &|restore| {
        restore.given.truncate(1);
    });
    other("nobody approved a restore that takes two", &|restore| {
        restore.given.clear();
    });
    other("a restore takes three, and two approved it", &|restore| {
        restore.quorum = "quorum 3 of security-officer";
    });
    other(
        "a restore takes people of a role that there is not",
        &|restore| {
            restore.quorum = "quorum 2 of sorcerer";
        },
    );
    other("one approved a restore twice", &|restore| {
        restore.given[1] = restore.given[0].clone();
    });
    other(
        "one approved a restore with a key and a passkey",
        &|restore| {
            restore.given[1] = Given {
                passkey: Some(Ceremony::honest()),
                ..restore.given[0].clone()
            };
        },
    );
    other(
        "an auditor approved a restore as what they are not",
        &|restore| {
            restore.given[1] = agreed(OFFICER);
        },
    );
    other("an auditor approved a restore", &|restore| {
        restore.given[1] = Given {
            role: Role::Auditor,
            ..agreed(OFFICER)
        };
    });
    other("somebody unknown approved a restore", &|restore| {
        restore.given[1] = agreed(77);
    });
    other("a signature under a restore is wrong", &|restore| {
        restore.given[1].damaged = true;
    });
    other("one was against a restore", &|restore| {
        restore.given[1].decision = Decision::Reject;
    });
    other("one approved the restore of another backup", &|restore| {
        restore.given[1].subject = "00";
    });
    other("one approved another request for a restore", &|restore| {
        restore.given[1].record = [9; 32];
    });
    other("one approved another act than a restore", &|restore| {
        restore.given[1].act = Some("domain.policy");
    });
    other(
        "one approved a restore until before the other did",
        &|restore| {
            restore.given[0].time = 1;
            restore.given[0].valid_until = 2;
        },
    );
    other(
        "the request is for another backup than the leaf says",
        &|restore| {
            restore.backup = "backup of 2026-11-27T18:00:00.000Z with 11 leaves";
        },
    );
    other(
        "the request is for a backup of another moment",
        &|restore| {
            restore.backup = "backup of 2026-11-27T18:00:01.000Z with 12 leaves";
        },
    );
    other(
        "the request is for something else than a restore",
        &|restore| {
            r#"{"key.destroy":{"key":"01939c2f-1c00-7c33-8333-333333333333"}}"#
                .clone_into(&mut restore.request);
        },
    );
    let mut unnamed = people();
    let request = hex::encode(sha256(REQUEST.as_bytes()));
    let note = format!("{BACKUP} request {request} {OF_TWO}");
    unnamed.act(Act::DomainRestore, 99, None, note);
    unnamed.document(DocumentKind::Request, REQUEST.as_bytes().to_vec());
    cases.push(unnamed.bundle("a restore takes two, and names no evidence"));
    cases
}
