//! Whoever can write to the database, but not use the HSM, gains nothing by it.
//!
//! One appliance is prepared and stopped. Each case edits a copy of its database, starts an appliance on it and attempts what the edit was
//! meant to gain: that must be refused, and a leaf must say so. The same attempts on a copy that was not edited show that they were
//! refused because of the edit.

pub(crate) mod cases;
pub(crate) mod law;
pub(crate) mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use strongroom_tests::Appliance;
use strongroom_wire::problem::Code;

use self::cases::{Attempt, CASES, Case, Outcome};
use self::world::World;

/// How many appliances run at once.
const AT_ONCE: usize = 3;

#[test]
fn an_edited_database_grants_nothing() {
    let world = World::prepare();
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    let all: Vec<&Case> = CASES.iter().chain(law::CASES).collect();
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(case) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(failure) = run(&world, case) {
                        failures
                            .lock()
                            .unwrap()
                            .push(format!("{}: {failure}", case.name));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(
        failures.is_empty(),
        "{} of {} cases failed:\n{}",
        failures.len(),
        all.len(),
        failures.join("\n")
    );
}

/// Runs a case; an error says what the edit gained, or what is missing of the refusal.
fn run(world: &World, case: &Case) -> Result<(), String> {
    let mut appliance = world.appliance.copy();
    edit(world, &appliance, case)?;
    if let Err(ended) = appliance.try_serve() {
        let says_why = ended.status.code() == Some(1) && ended.log.contains("strongroomd: ");
        return match case.outcome {
            Outcome::DoesNotServe if says_why => Ok(()),
            _ => Err(format!("the appliance does not serve: {}", ended.log)),
        };
    }
    if matches!(case.outcome, Outcome::DoesNotServe) {
        return Err("the appliance serves".to_owned());
    }
    let mut auditor = world.auditor.at(&appliance.api());
    let before = auditor
        .records_after(Some(world.newest_leaf))
        .map_err(|failed| format!("the log cannot be read: {failed}"))?;
    let before = before
        .first()
        .map_or(world.newest_leaf, |record| record.index);

    let attempted = world.attempt(&appliance, &case.attempt);
    if matches!(case.outcome, Outcome::Scrubbed) {
        return scrubbed(&appliance);
    }
    let Err(problem) = attempted else {
        return Err("the attempt succeeds".to_owned());
    };
    let records = auditor
        .records_after(Some(before))
        .map_err(|failed| format!("the log cannot be read any more: {failed}"))?;
    // Of a case the code is followed by which case it is. Where the answer names a leaf, it is that one.
    let refused = |code: &str| {
        let of = |record: &&strongroom_wire::audit::Record| {
            let note = record.note.as_deref().unwrap_or_default();
            !record.done && note.split(' ').next() == Some(code)
        };
        let mut all = records.iter().filter(of).map(|record| record.index);
        let named = problem
            .leaf
            .filter(|leaf| all.clone().any(|index| index == *leaf));
        named.or_else(|| all.next())
    };
    match case.outcome {
        Outcome::Refused(code) => {
            if problem.code != code {
                return Err(format!("refused with {}, not {code}", problem.code));
            }
            let leaf = refused(code.as_str())
                .ok_or_else(|| format!("no leaf says that it was refused ({records:?})"))?;
            // The answer names the leaf, so that the client can hold the appliance to it.
            if problem.leaf != Some(leaf) {
                return Err(format!(
                    "the answer names leaf {:?}, not {leaf}",
                    problem.leaf
                ));
            }
        }
        Outcome::SignInRefused => {
            if problem.code != Code::SignInRefused {
                return Err(format!("refused with {}", problem.code));
            }
            refused(Code::SignInRefused.as_str())
                .ok_or("no leaf says that the sign-in was refused")?;
            if !appliance.log().contains("does not match its seal") {
                return Err("the log does not say that a record was edited".to_owned());
            }
        }
        Outcome::LeftOut => {
            refused(Code::IntegrityFailure.as_str()).ok_or("no leaf says that it was left out")?;
        }
        Outcome::NothingMore | Outcome::DoesNotServe | Outcome::Scrubbed => {}
    }
    // The refusals themselves are in good order.
    appliance.stop();
    let report = appliance.verify_audit();
    if report["verified"] != true {
        return Err(format!("the audit log is damaged: {report}"));
    }
    Ok(())
}

/// The scrub finds what was edited.
fn scrubbed(appliance: &Appliance) -> Result<(), String> {
    let mut command = appliance.strongroomd();
    let output = command.args(["audit", "scrub", "--json"]).output();
    let output = output.map_err(|error| error.to_string())?;
    let report: serde_json::Value =
        serde_json::from_slice(&output.stdout).map_err(|error| format!("{error}: {output:?}"))?;
    if report["count"].as_u64().is_some_and(|count| count > 0) {
        Ok(())
    } else {
        Err(format!("the scrub finds nothing: {report}"))
    }
}

/// Makes the case's edit; each of its statements must change something.
fn edit(world: &World, appliance: &Appliance, case: &Case) -> Result<(), String> {
    let database = appliance.database();
    for statement in case.edit.split(';').filter(|text| !text.trim().is_empty()) {
        let statement = world.fill_in(statement);
        let changed = database
            .execute(&statement, [])
            .map_err(|error| format!("{error} in {statement}"))?;
        if changed == 0 {
            return Err(format!("nothing was edited by {statement}"));
        }
    }
    Ok(())
}

#[test]
fn without_an_edit_the_attempts_come_out_as_they_should() {
    use self::world::Who::{Admin, Alice, Bob, Mallory};
    let world = World::prepare();
    let mut appliance = world.appliance.copy();
    appliance.serve();
    // Before it is approved by a second person, as it is below.
    for attempt in law::FORBIDDEN {
        let refused = world.attempt(&appliance, &Attempt::Law(*attempt));
        let code = refused.map_err(|problem| problem.code);
        assert_eq!(code, Err(Code::AuthorisationNotInEffect), "{attempt:?}");
    }
    // What is permitted.
    for attempt in [
        Attempt::Release(Alice, "shared"),
        Attempt::Release(Bob, "shared"),
        Attempt::Release(Bob, "rotated"),
        Attempt::Release(Bob, "for_group"),
        Attempt::Release(Mallory, "mallorys"),
        Attempt::Show(Bob, "shared"),
        Attempt::List(Bob, "shared"),
        Attempt::Share(Alice, "other", "bob@example.com"),
        Attempt::Rotate(Alice, "shared"),
        Attempt::Accounts(Admin),
        Attempt::OwnAccount(Mallory),
        Attempt::Grants(Alice, "shared"),
        Attempt::ShowObject(Alice),
        Attempt::FindObject(Alice),
        Attempt::PutObject(Alice),
        Attempt::Sessions(Mallory),
        Attempt::Members(Bob),
        Attempt::SignIn("mallory@example.com", "mallory@example.com"),
        Attempt::Enrol("carol@example.com", "carol@example.com"),
    ] {
        if let Err(problem) = world.attempt(&appliance, &attempt) {
            panic!("{attempt:?}: {}: {}", problem.code, problem.detail);
        }
    }
    for attempt in law::PERMITTED {
        if let Err(problem) = world.attempt(&appliance, &Attempt::Law(*attempt)) {
            panic!("{attempt:?}: {}: {}", problem.code, problem.detail);
        }
    }
    // What is not.
    for (attempt, code) in forbidden() {
        let refused = world.attempt(&appliance, &attempt);
        assert_eq!(
            refused.map_err(|problem| problem.code),
            Err(code),
            "{attempt:?}"
        );
    }
}

/// What nobody may do in the world as it was made, and how it is refused.
fn forbidden() -> Vec<(Attempt, Code)> {
    use self::world::Who::{Bob, Mallory};
    vec![
        (Attempt::Release(Mallory, "shared"), Code::KeyNotFound),
        (Attempt::Show(Mallory, "shared"), Code::KeyNotFound),
        (Attempt::Release(Mallory, "for_group"), Code::KeyNotFound),
        (Attempt::Show(Mallory, "once_groups"), Code::KeyNotFound),
        (Attempt::Release(Bob, "revoked"), Code::GrantRevoked),
        (Attempt::Release(Bob, "destroyed"), Code::KeyDestroyed),
        (Attempt::Release(Bob, "suspended"), Code::KeyStateForbids),
        (Attempt::Release(Bob, "compromised"), Code::KeyStateForbids),
        (Attempt::Release(Bob, "too_early"), Code::PolicyNotYetValid),
        (Attempt::Release(Bob, "too_late"), Code::PolicyExpired),
        (Attempt::Release(Bob, "used_up"), Code::PolicyReleasesUsedUp),
        (Attempt::Release(Bob, "elsewhere"), Code::PolicyRefused),
        (
            Attempt::Release(Bob, "grant_elsewhere"),
            Code::PolicyRefused,
        ),
        (
            Attempt::Release(Bob, "grant_too_early"),
            Code::PolicyNotYetValid,
        ),
        (Attempt::Release(Bob, "grant_too_late"), Code::PolicyExpired),
        (
            Attempt::Release(Bob, "grant_used_up"),
            Code::PolicyReleasesUsedUp,
        ),
        (Attempt::ShowObject(Mallory), Code::ObjectNotFound),
        (Attempt::FindObject(Mallory), Code::ObjectNotFound),
        (Attempt::FindObject(Bob), Code::ObjectNotFound),
        (Attempt::Destroy(Bob, "shared"), Code::NotPermitted),
        (Attempt::Accounts(Mallory), Code::NotPermitted),
        (Attempt::Audit(Mallory), Code::NotPermitted),
        (
            Attempt::AddMember(Bob, "mallory@example.com"),
            Code::NotPermitted,
        ),
        (
            Attempt::SignIn("alice@example.com", "mallory@example.com"),
            Code::SignInRefused,
        ),
        (
            Attempt::SignIn("suspended@example.com", "suspended@example.com"),
            Code::SignInRefused,
        ),
        (
            Attempt::SignIn("team", "mallory@example.com"),
            Code::SignInRefused,
        ),
        (
            Attempt::Enrol("alice@example.com", "carol@example.com"),
            Code::EnrolmentRefused,
        ),
        (
            Attempt::Enrol("late@example.com", "late@example.com"),
            Code::EnrolmentRefused,
        ),
    ]
}

#[test]
fn an_edited_audit_log_is_found_out() {
    let world = World::prepare();
    for (name, statement) in [
        (
            "a leaf's envelope",
            "UPDATE leaves SET envelope = CAST(substr(envelope, 1, length(envelope) - 8) || x'5a5a5a5a5a5a5a5a' AS BLOB) WHERE idx = 5",
        ),
        (
            "a leaf's detail",
            "UPDATE leaves SET detail = (SELECT detail FROM leaves WHERE idx = 6) WHERE idx = 5",
        ),
        (
            "a leaf's salt",
            "UPDATE leaves SET salt = zeroblob(length(salt)) WHERE idx = 5",
        ),
        (
            "leaves swapped",
            "UPDATE leaves SET idx = CASE idx WHEN 5 THEN -6 ELSE -5 END WHERE idx IN (5, 6);UPDATE leaves SET idx = -idx WHERE idx < 0",
        ),
        ("a leaf removed", "DELETE FROM leaves WHERE idx = 5"),
        (
            "the newest leaf removed",
            "DELETE FROM leaves WHERE idx = (SELECT max(idx) FROM leaves)",
        ),
        (
            "the newest leaf and its nodes removed",
            "DELETE FROM tree_nodes WHERE idx = (SELECT max(idx) FROM tree_nodes);DELETE FROM leaves WHERE idx = (SELECT max(idx) FROM leaves)",
        ),
        (
            "a node of the tree",
            "UPDATE tree_nodes SET hash = zeroblob(32) WHERE idx = 4",
        ),
        (
            "a checkpoint",
            "UPDATE checkpoints SET note = replace(note, 'strongroom', 'weakroom') WHERE size = (SELECT max(size) FROM checkpoints)",
        ),
        (
            "a checkpoint of another size",
            "UPDATE checkpoints SET size = size + 1 WHERE size = (SELECT max(size) FROM checkpoints)",
        ),
    ] {
        let appliance = world.appliance.copy();
        assert_eq!(appliance.verify_audit()["verified"], true, "{name}");
        let database = appliance.database();
        for statement in statement.split(';') {
            assert!(database.execute(statement, []).unwrap() > 0, "{name}");
        }
        drop(database);
        let report = appliance.verify_audit();
        assert_eq!(report["verified"], false, "{name}");
        let problems = report["problems"].as_array().unwrap();
        assert!(!problems.is_empty(), "{name}: {report}");
    }
}
