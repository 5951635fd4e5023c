//! The scrub beside everything else: a log that began before, a database that is busy, what lapses, and the leaf of what is found.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use strongroom_wire::account::Role;
use strongroom_wire::audit::Act;

use super::{attacker, clean, put_back, remember, scrubbed};
use crate::house::{House, PASSWORD, sign_in};
use crate::rotation::id_of;

pub(crate) const TRIALS: &[(&str, fn())] = &[
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
        note.starts_with("1 row does not follow from the log of ")
            && note.contains(" leaves: account "),
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
