//! The scrub finds rows that were put back, made or taken away without an act, and nothing where there were acts alone.

use std::ops::ControlFlow;
use std::path::Path;

use rusqlite::Connection;
use strongroom_keystore::{ScrubReport, Wrong, scrub};
use strongroom_wire::account::{Role, UpdateAccount};
use strongroom_wire::credential::{CredentialKind, CredentialName};
use strongroom_wire::key::{ChangeState, KeyState, UsagePolicy};
use strongroom_wire::policy::DomainPolicy;

use crate::house::{House, sign_in};
use crate::rotation::{finish, group, id_of, share_with};
use crate::second_factor::set_up;

pub(crate) mod built;
pub(crate) mod large;
pub(crate) mod meanwhile;

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
];

/// Holds the house's database against its log.
pub(crate) fn scrubbed(house: &House) -> ScrubReport {
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
pub(crate) fn attacker(house: &House) -> Connection {
    let rows = Connection::open(house.database()).unwrap();
    rows.busy_timeout(std::time::Duration::from_secs(30))
        .unwrap();
    rows.pragma_update(None, "foreign_keys", false).unwrap();
    rows
}

/// What there is now, for the attacker to put back later.
pub(crate) fn remember(house: &House, to: &Path) {
    attacker(house)
        .execute("VACUUM INTO ?1", [to.to_str().unwrap()])
        .unwrap();
}

/// Replaces the rows of a table by those of an older database, where the condition holds.
pub(crate) fn put_back(house: &House, old: &Path, table: &str, condition: &str) {
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
