//! The scrub finds rows that were put back, made or taken away without an act, and nothing where there were acts alone.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rusqlite::Connection;
use strongroom_keystore::{ScrubReport, Wrong, scrub};
use strongroom_wire::account::{Role, UpdateAccount};
use strongroom_wire::audit::Act;
use strongroom_wire::credential::{CredentialKind, CredentialName};
use strongroom_wire::key::{ChangeState, KeyState, UsagePolicy};
use strongroom_wire::policy::DomainPolicy;

use crate::house::{House, PASSWORD, sign_in};
use crate::rotation::{finish, group, id_of, share_with};
use crate::second_factor::set_up;

pub(crate) const TRIALS: &[(&str, fn())] = &[
    (
        "acts_alone_leave_nothing_to_find",
        acts_alone_leave_nothing_to_find,
    ),
    (
        "old_rows_of_every_kind_are_found",
        old_rows_of_every_kind_are_found,
    ),
    (
        "rows_made_and_taken_away_are_found",
        rows_made_and_taken_away_are_found,
    ),
    (
        "edited_lists_and_leaves_are_found",
        edited_lists_and_leaves_are_found,
    ),
    (
        "a_log_begun_before_commits_to_what_there_is",
        a_log_begun_before_commits_to_what_there_is,
    ),
    (
        "a_busy_database_is_scrubbed_without_a_finding",
        a_busy_database_is_scrubbed_without_a_finding,
    ),
    ("a_finding_leaves_a_leaf", a_finding_leaves_a_leaf),
    ("what_lapsed_is_not_missed", what_lapsed_is_not_missed),
];

/// Holds the house's database against its log.
fn scrubbed(house: &House) -> ScrubReport {
    let folder = house.database().parent().unwrap().to_owned();
    let report = scrub(&*house.store, "default", &folder, &mut |_| {
        ControlFlow::Continue(())
    })
    .unwrap();
    assert!(!report.stopped);
    let left = std::fs::read_dir(&folder).unwrap().flatten();
    let left: Vec<_> = left
        .map(|file| file.file_name())
        .filter(|name| name.to_string_lossy().contains("scrub"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    report
}

fn clean(house: &House, when: &str) {
    let report = scrubbed(house);
    assert_eq!(report.count, 0, "{when}: {:?}", report.findings);
    assert_eq!(report.from, Some(0), "{when}");
    assert!(report.rows > 3, "{when}: {}", report.rows);
}

/// A connection of somebody who can write to the file.
fn attacker(house: &House) -> Connection {
    let rows = Connection::open(house.database()).unwrap();
    rows.busy_timeout(std::time::Duration::from_secs(30))
        .unwrap();
    rows.pragma_update(None, "foreign_keys", false).unwrap();
    rows
}

/// What there is now, for the attacker to put back later.
fn remember(house: &House, to: &Path) {
    attacker(house)
        .execute("VACUUM INTO ?1", [to.to_str().unwrap()])
        .unwrap();
}

/// Replaces the rows of a table by those of an older database, where the condition holds.
fn put_back(house: &House, old: &Path, table: &str, condition: &str) {
    let rows = attacker(house);
    rows.execute("ATTACH ?1 AS old", [old.to_str().unwrap()])
        .unwrap();
    let count = rows
        .execute(
            &format!(
                "INSERT OR REPLACE INTO main.{table} SELECT * FROM old.{table} WHERE {condition}"
            ),
            [],
        )
        .unwrap();
    assert!(count > 0, "{table}");
}

fn acts_alone_leave_nothing_to_find() {
    let house = House::new("scrub-clean");
    clean(&house, "at the beginning");
    let [alice, bob] = ["alice", "bob"].map(|name| house.person(name));
    let limited = UsagePolicy {
        max_releases: Some(3),
        ..UsagePolicy::default()
    };
    let (key, _) = house.key_with(&alice, &[&bob], limited);
    house.release(&bob, key).unwrap();
    house.release(&bob, key).unwrap();
    clean(&house, "after releases that are counted");
    let team = group(&house, &alice, &[&bob]);
    share_with(&house, &alice, key, "team");
    house.keystore.rotate(&alice.presented, key).unwrap();
    house
        .keystore
        .remove_member(&alice.presented, team, id_of(&house, &bob))
        .unwrap();
    finish(&house, 3);
    clean(&house, "after the rotation of a group's KEK");
    house
        .keystore
        .rotate_account_kek(&bob.presented, id_of(&house, &bob))
        .unwrap();
    clean(&house, "while a KEK is rotated");
    finish(&house, 3);
    clean(&house, "after the rotation of an account's KEK");
    house.keystore.destroy(&bob.presented, key).unwrap_err();
    house.keystore.destroy(&alice.presented, key).unwrap();
    house.keystore.start_totp(&alice.presented).unwrap();
    assert!(sign_in(&house.keystore, "alice", "another password").is_none());
    clean(
        &house,
        "after a destruction, refusals and what is not finished",
    );
    house.clock.advance(3600 * 24 * 30);
    house.keystore.forget_expired().unwrap();
    clean(&house, "after everything has lapsed");
    house.keystore.sign_checkpoint().unwrap();
    clean(&house, "after a checkpoint");
}

#[expect(
    clippy::too_many_lines,
    reason = "rows of every kind, one after the other"
)]
fn old_rows_of_every_kind_are_found() {
    let house = House::new("scrub-old");
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| house.person(name));
    let (shared, _) = house.key(&alice, &[&bob]);
    let (doomed, _) = house.key(&alice, &[]);
    let (stopped, _) = house.key(&alice, &[&bob]);
    let limited = UsagePolicy {
        max_releases: Some(1),
        ..UsagePolicy::default()
    };
    let (counted, _) = house.key_with(&alice, &[&bob], limited);
    let (open, _) = house.key(&alice, &[&bob]);
    let team = group(&house, &alice, &[&bob]);
    let roles = |roles: &[Role]| UpdateAccount {
        state: None,
        roles: Some(roles.to_vec()),
    };
    let (bob_id, carol_id) = (id_of(&house, &bob), id_of(&house, &carol));
    house
        .keystore
        .update_account(
            &house.admin.presented,
            carol_id,
            roles(&[Role::Administrator]),
        )
        .unwrap();
    set_up(&house, &carol);
    let strict = DomainPolicy {
        step_up_within: 0,
        bind_sessions_to_address: true,
        ..DomainPolicy::default()
    };
    clean(&house, "before");
    let old = house.database().with_file_name("old.db");
    remember(&house, &old);

    // What takes away.
    let grants = house.keystore.grants(&alice.presented, shared).unwrap();
    let bobs = grants
        .grants
        .iter()
        .find(|grant| grant.grantee == bob_id)
        .unwrap()
        .id;
    house
        .keystore
        .revoke(&alice.presented, shared, bobs)
        .unwrap();
    house.keystore.destroy(&alice.presented, doomed).unwrap();
    let suspend = ChangeState {
        state: KeyState::Suspended,
    };
    house
        .keystore
        .change_state(&alice.presented, stopped, suspend)
        .unwrap();
    house.release(&bob, counted).unwrap();
    let never = UsagePolicy {
        operations_only: true,
        ..UsagePolicy::default()
    };
    house
        .keystore
        .change_key_policy(&alice.presented, open, never)
        .unwrap();
    house
        .keystore
        .update_account(&house.admin.presented, carol_id, roles(&[]))
        .unwrap();
    house
        .keystore
        .set_domain_policy(&house.admin.presented, strict)
        .unwrap();
    house
        .keystore
        .remove_member(&alice.presented, team, bob_id)
        .unwrap();
    let session = house.keystore.sessions(&bob.presented).unwrap().sessions[0].id;
    house
        .keystore
        .end_session(&bob.presented, Some(session))
        .unwrap();
    for factor in house
        .keystore
        .credentials(&carol.presented)
        .unwrap()
        .credentials
    {
        if factor.kind == CredentialKind::Totp {
            house
                .keystore
                .remove_credential(&carol.presented, CredentialName::Totp)
                .unwrap();
        }
    }
    finish(&house, 10);
    clean(&house, "after all acts");

    let id = |bytes: &[u8; 16]| format!("x'{}'", hex::encode(bytes));
    let cases: Vec<(&str, String, &str)> = vec![
        ("grants", format!("id = {}", id(bobs.as_bytes())), "grant"),
        (
            "grant_copies",
            format!("grant_id = {}", id(bobs.as_bytes())),
            "sealed copy",
        ),
        ("keys", format!("id = {}", id(doomed.as_bytes())), "key"),
        ("keys", format!("id = {}", id(stopped.as_bytes())), "key"),
        ("keys", format!("id = {}", id(counted.as_bytes())), "key"),
        ("keys", format!("id = {}", id(open.as_bytes())), "key"),
        (
            "accounts",
            format!("id = {}", id(carol_id.as_bytes())),
            "account",
        ),
        (
            "credentials",
            format!("account = {} AND kind = 10", id(carol_id.as_bytes())),
            "credential",
        ),
        ("domains", "1 = 1".to_owned(), "domain"),
        (
            "memberships",
            format!("member = {}", id(bob_id.as_bytes())),
            "membership",
        ),
        (
            "sessions",
            format!("id = {}", id(session.as_bytes())),
            "session",
        ),
        (
            "account_keks",
            format!("account = {}", id(team.as_bytes())),
            "account KEK",
        ),
    ];
    for (table, condition, what) in cases {
        let now = house.database().with_file_name("now.db");
        remember(&house, &now);
        put_back(&house, &old, table, &condition);
        let report = scrubbed(&house);
        assert_eq!(
            report.count, 1,
            "{table} where {condition}: {:?}",
            report.findings
        );
        let finding = &report.findings[0];
        assert_eq!(finding.what, what);
        assert!(
            matches!(finding.wrong, Wrong::Differs(_) | Wrong::Gone(_)),
            "{finding}"
        );
        restore(&attacker(&house), &now, &[table]);
        std::fs::remove_file(&now).unwrap();
        clean(&house, table);
    }
}

/// Whether this is what has to be found wrong.
type Expected = fn(&Wrong) -> bool;

fn rows_made_and_taken_away_are_found() {
    let house = House::new("scrub-made");
    let [alice, bob] = ["alice", "bob"].map(|name| house.person(name));
    let (key, _) = house.key(&alice, &[&bob]);
    let rows = attacker(&house);
    let cases: [(&str, &str, Expected); 6] = [
        (
            "DELETE FROM grants WHERE key = ?1 AND grantee <> granted_by",
            "grant",
            |wrong| matches!(wrong, Wrong::Missing(_)),
        ),
        (
            "DELETE FROM credentials WHERE account = (SELECT owner FROM keys WHERE id = ?1)",
            "credential",
            |wrong| matches!(wrong, Wrong::Missing(_)),
        ),
        (
            "INSERT INTO grants SELECT zeroblob(16), key, grantee, granted_by, state, rights, not_before, not_after, max_releases, releases, created, mac, restrictions FROM grants WHERE key = ?1 LIMIT 1",
            "grant",
            |wrong| *wrong == Wrong::Untold,
        ),
        (
            "INSERT INTO account_keks SELECT account, 7, wrapped, mac FROM account_keks WHERE account = (SELECT owner FROM keys WHERE id = ?1)",
            "account KEK",
            |wrong| *wrong == Wrong::Untold,
        ),
        (
            "UPDATE keys SET label = 'another' WHERE id = ?1",
            "key",
            |wrong| matches!(wrong, Wrong::Differs(_)),
        ),
        (
            "UPDATE accounts SET mac = zeroblob(32) WHERE id = (SELECT owner FROM keys WHERE id = ?1)",
            "account",
            |wrong| matches!(wrong, Wrong::Differs(_)),
        ),
    ];
    let good = house.database().with_file_name("good.db");
    remember(&house, &good);
    for (edit, what, expected) in cases {
        assert_eq!(rows.execute(edit, [key.as_bytes()]).unwrap(), 1, "{edit}");
        let report = scrubbed(&house);
        assert_eq!(report.count, 1, "{edit}: {:?}", report.findings);
        assert_eq!(report.findings[0].what, what);
        assert!(
            expected(&report.findings[0].wrong),
            "{}",
            report.findings[0]
        );
        restore(
            &rows,
            &good,
            &["grants", "credentials", "account_keks", "keys", "accounts"],
        );
        clean(&house, edit);
    }
}

/// Tables become again what they were.
fn restore(rows: &Connection, from: &Path, tables: &[&str]) {
    rows.execute("ATTACH ?1 AS good", [from.to_str().unwrap()])
        .unwrap();
    for table in tables {
        rows.execute(&format!("DELETE FROM main.{table}"), [])
            .unwrap();
        rows.execute(
            &format!("INSERT INTO main.{table} SELECT * FROM good.{table}"),
            [],
        )
        .unwrap();
    }
    rows.execute_batch("DETACH good").unwrap();
}

fn edited_lists_and_leaves_are_found() {
    let house = House::new("scrub-lists");
    let alice = house.person("alice");
    house.key(&alice, &[]);
    house.keystore.sign_checkpoint().unwrap();
    clean(&house, "before");
    let rows = attacker(&house);
    for (edit, sentence) in [
        (
            "UPDATE leaf_rows SET rows = CAST(rows || x'00' AS BLOB) WHERE idx = 0",
            "is not the one",
        ),
        ("DELETE FROM leaf_rows WHERE idx = 1", "is missing"),
        (
            "INSERT INTO leaf_rows VALUES (1, (SELECT max(idx) FROM leaves) + 5, x'00')",
            "",
        ),
        (
            "UPDATE leaves SET salt = zeroblob(32) WHERE idx = 2",
            "leaf 2",
        ),
        (
            "DELETE FROM leaves WHERE idx = (SELECT max(idx) FROM leaves)",
            "leaves",
        ),
    ] {
        let now = house.database().with_file_name("now.db");
        remember(&house, &now);
        assert_eq!(rows.execute(edit, []).unwrap(), 1, "{edit}");
        let report = scrubbed(&house);
        if sentence.is_empty() {
            // Behind the end of the log: it will be met by the leaf that comes there, whose insertion it cannot stop from being noticed.
            assert_eq!(report.count, 0, "{:?}", report.findings);
        } else {
            assert!(report.count > 0, "{edit}");
            let said = report.note();
            assert!(said.contains(sentence), "{edit}: {said}");
        }
        restore(&rows, &now, &["leaf_rows", "leaves"]);
        std::fs::remove_file(&now).unwrap();
        clean(&house, edit);
    }
}

fn a_log_begun_before_commits_to_what_there_is() {
    let mut house = House::new("scrub-before");
    let [alice, bob] = ["alice", "bob"].map(|name| house.person(name));
    let (key, _) = house.key(&alice, &[&bob]);
    // As an older version wrote it: leaves that commit to no rows. Their hashes are others, so that the tree is made anew.
    older(&house);
    let before = scrubbed(&house);
    assert_eq!(before.from, None);
    house.reopen();
    let report = scrubbed(&house);
    assert_eq!(report.count, 0, "{:?}", report.findings);
    assert!(
        report.from.is_some_and(|from| from > 0),
        "{:?}",
        report.from
    );
    assert!(report.rows > 5);
    assert_eq!(house.keystore.begin_rows().unwrap(), 0, "once");
    let old = house.database().with_file_name("old.db");
    remember(&house, &old);
    let grants = house.keystore.grants(&alice.presented, key).unwrap();
    let bobs = grants
        .grants
        .iter()
        .find(|grant| grant.grantee == id_of(&house, &bob))
        .unwrap()
        .id;
    house.keystore.revoke(&alice.presented, key, bobs).unwrap();
    put_back(&house, &old, "grants", "granted_by <> grantee");
    let report = scrubbed(&house);
    assert_eq!(report.count, 1, "{:?}", report.findings);
}

/// Makes the house's log one that an older version wrote.
fn older(house: &House) {
    use strongroom_audit::{Event, Leaf, RightEdge};

    let rows = attacker(house);
    let mut leaves = Vec::new();
    {
        let mut statement = rows
            .prepare("SELECT envelope, salt, detail FROM leaves ORDER BY idx")
            .unwrap();
        let mut found = statement.query([]).unwrap();
        while let Some(row) = found.next().unwrap() {
            let leaf = Leaf {
                envelope: row.get(0).unwrap(),
                salt: row.get(1).unwrap(),
                detail: row.get(2).unwrap(),
            };
            let mut event: Event = leaf.open().unwrap();
            event.detail.rows = None;
            leaves.push(Leaf::seal(&event, leaf.salt));
        }
    }
    rows.execute_batch("DELETE FROM leaf_rows; DELETE FROM tree_nodes; DELETE FROM checkpoints")
        .unwrap();
    let mut edge = RightEdge::empty();
    for (index, leaf) in leaves.iter().enumerate() {
        rows.execute(
            "UPDATE leaves SET envelope = ?2, detail = ?3 WHERE idx = ?1",
            rusqlite::params![i64::try_from(index).unwrap(), leaf.envelope, leaf.detail],
        )
        .unwrap();
        for (at, hash) in edge.append(&[leaf.hash()]) {
            rows.execute(
                "INSERT INTO tree_nodes VALUES (1, ?1, ?2)",
                rusqlite::params![i64::try_from(at).unwrap(), hash.0],
            )
            .unwrap();
        }
    }
}

fn a_busy_database_is_scrubbed_without_a_finding() {
    let house = House::new("scrub-busy");
    let [alice, bob] = ["alice", "bob"].map(|name| house.person(name));
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let (key, _) = house.key(&alice, &[&bob]);
                    house.release(&bob, key).unwrap();
                    house.keystore.rotate(&alice.presented, key).unwrap();
                    house.keystore.destroy(&alice.presented, key).unwrap();
                    let again = sign_in(&house.keystore, "bob", PASSWORD).unwrap();
                    house.keystore.end_session(&again.presented, None).unwrap();
                }
            });
        }
        // Whatever comes of this, the others come to their end.
        let _over = Over(&over);
        let (mut rows, before) = (0, scrubbed(&house).leaves);
        let mut leaves = before;
        // At least ten times, and until they have done something.
        let (mut times, began) = (0, std::time::Instant::now());
        while times < 10 || leaves < before + 20 {
            times += 1;
            assert!(began.elapsed().as_secs() < 120, "they do nothing");
            let report = scrubbed(&house);
            assert_eq!(report.count, 0, "{:?}", report.findings);
            (rows, leaves) = (report.rows, report.leaves);
        }
        assert!(rows > 10, "{rows}");
    });
}

/// Says that it is over when it is dropped.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn a_finding_leaves_a_leaf() {
    let house = House::new("scrub-leaf");
    house.person_with("auditor", &[Role::Auditor]);
    let folder = house.database().parent().unwrap().to_owned();
    let none = house
        .keystore
        .scrub(&folder, &mut |_| ControlFlow::Continue(()))
        .unwrap();
    assert_eq!(none.count, 0);
    attacker(&house)
        .execute("UPDATE accounts SET roles = 255 WHERE name = 'auditor'", [])
        .unwrap();
    let found = house
        .keystore
        .scrub(&folder, &mut |_| ControlFlow::Continue(()))
        .unwrap();
    assert_eq!(found.count, 1);
    let mut leaves = house
        .store
        .snapshot()
        .unwrap()
        .leaves_from(1, 0, 10_000)
        .unwrap();
    let last = leaves.pop().unwrap().leaf.open().unwrap();
    assert_eq!((last.act, last.done), (Act::AuditScrub, true));
    let note = last.detail.note.unwrap();
    assert!(
        note.starts_with("1 row does not follow from the log: account "),
        "{note}"
    );
    let stopped = house
        .keystore
        .scrub(&folder, &mut |_| ControlFlow::Break(()))
        .unwrap();
    assert!(stopped.stopped && stopped.count == 0);
}

fn what_lapsed_is_not_missed() {
    let house = House::new("scrub-lapsed");
    house.invite("late", &[]);
    let alice = id_of(&house, &house.person("alice"));
    house.clock.advance(3600 * 24 * 60);
    house.keystore.forget_expired().unwrap();
    clean(&house, "lapsed");
    // But a password does not lapse.
    let rows = attacker(&house);
    rows.execute(
        "DELETE FROM credentials WHERE account = ?1 AND kind = 2",
        [alice.as_bytes()],
    )
    .unwrap();
    assert_eq!(scrubbed(&house).count, 1);
}
