//! Witnesses: they cosign what continues what they saw, and nothing else; whoever is away holds nobody up.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use strongroom_tests::accounts::ADMINISTRATOR;
use strongroom_tests::{Appliance, Session, Witness, programs};
use strongroom_wire::audit::CheckpointNote;
use strongroom_wire::policy::{ChangedDomainPolicy, DomainPolicy};
use strongroom_wire::problem::Code;

/// How long something in the background may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// An appliance that does not serve yet, and two witnesses of its log that do not run yet.
fn scene() -> (Appliance, [Witness; 2]) {
    let appliance = Appliance::new();
    let report = appliance.verify_audit();
    let key = report["verifier_key"].as_str().unwrap();
    let witnesses =
        ["witness.example/w1", "witness.example/w2"].map(|name| Witness::of(name, &[key]));
    for witness in &witnesses {
        appliance.configure(&witness.setting());
    }
    (appliance, witnesses)
}

fn wait_until(what: &str, appliance: &Appliance, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(
            started.elapsed() < PATIENCE,
            "{what}: {}",
            appliance.status()
        );
        thread::sleep(Duration::from_millis(100));
    }
}

fn checkpoint(session: &mut Session) -> CheckpointNote {
    session.get("/v1/audit/checkpoint").unwrap()
}

/// How many leaves a checkpoint is over: its second line.
fn size(note: &CheckpointNote) -> u64 {
    note.note.lines().nth(1).unwrap().parse().unwrap()
}

fn names(note: &CheckpointNote) -> Vec<&str> {
    note.witnesses
        .iter()
        .map(|witness| witness.name.as_str())
        .collect()
}

/// Whether a new export is whole by both verifiers, where so many witnesses are demanded, and what ours says of it.
fn verified(session: &mut Session, witnesses: [&Witness; 2], demanded: u32) -> (bool, Value) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.bundle");
    let bundle = session.send("GET", "/v1/audit/export", None).unwrap();
    fs::write(&path, &bundle.body).unwrap();
    let python = env::var_os("STRONGROOM_TEST_PYTHON").unwrap_or_else(|| "python3".into());
    let mut theirs = Command::new(python);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("verifier/verify_bundle.py");
    theirs.arg("-I").arg(script);
    let mut ours = Command::new(programs::strongroom());
    ours.args(["audit", "verify"])
        .env("STRONGROOM_HOME", folder.path());
    let key = checkpoint(session).verifier_key;
    let [ours, theirs] = [ours, theirs].map(|mut program| {
        program.arg(&path).args(["--json", "--verifier-key"]);
        program.arg(&key);
        program.args(["--witnesses", &demanded.to_string()]);
        for witness in witnesses {
            program.args(["--witness-key", witness.key()]);
        }
        let output = program.output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.success(), report)
    });
    assert_eq!(ours.0, theirs.0, "{ours:?} {theirs:?}");
    assert_eq!(ours.1["cosigned"], theirs.1["cosigned"]);
    ours
}

/// What `status` says of a witness that fails; none where it works.
fn failing(appliance: &Appliance, place: usize) -> Option<String> {
    let status = appliance.status();
    let failing = &status["watch"]["witnesses"][place]["failing"];
    failing["reason"].as_str().map(str::to_owned)
}

#[test]
fn witnesses_cosign_and_one_that_is_away_holds_nobody_up() {
    let (mut appliance, [mut first, mut second]) = scene();
    first.start();
    appliance.serve();
    let mut admin = appliance.administrator();
    let mut alice = appliance.person(&mut admin, "alice@example.com");

    // The first cosigns; the second is not there.
    let mut shown = checkpoint(&mut alice);
    wait_until("the first witness cosigns", &appliance, || {
        shown = checkpoint(&mut alice);
        names(&shown) == ["witness.example/w1"]
    });
    wait_until("the second fails", &appliance, || {
        failing(&appliance, 1).is_some()
    });
    assert_eq!(failing(&appliance, 0), None);
    let health = appliance.api().health().unwrap();
    assert_eq!(health.failing_witnesses, 1);
    let metrics = appliance.metrics();
    for line in [
        r#"strongroom_witness_up{place="1"} 1"#,
        r#"strongroom_witness_up{place="2"} 0"#,
    ] {
        assert!(
            metrics.lines().any(|shown| shown == line),
            "{line} in {metrics}"
        );
    }
    assert!(
        shown.note.contains("\u{2014} witness.example/w1 "),
        "{}",
        shown.note
    );
    assert_eq!(shown.witnesses[0].verifier_key, first.key());
    assert_eq!(shown.cosigned, None);

    // A policy that demands both: the newest that has both is shown, as soon as there is one.
    let mut policy: DomainPolicy = admin.get("/v1/domain/policy").unwrap();
    policy.witnesses = 3;
    let put = |admin: &mut Session, policy: &DomainPolicy| {
        admin.ask::<ChangedDomainPolicy>("PUT", "/v1/domain/policy", policy)
    };
    let refused = put(&mut admin, &policy).unwrap_err();
    assert_eq!(refused.code(), Code::Invalid);
    policy.witnesses = 2;
    put(&mut admin, &policy).unwrap();
    let key = alice.create_key("report.pdf", &[]).unwrap().key.id;
    let started = Instant::now();
    for _ in 0..20 {
        alice.release(key).unwrap();
    }
    assert!(
        started.elapsed() < Duration::from_secs(20),
        "{:?}",
        started.elapsed()
    );
    second.start();
    wait_until("both cosign", &appliance, || {
        let shown = checkpoint(&mut alice);
        names(&shown).len() == 2
            || shown
                .cosigned
                .is_some_and(|note| note.contains("witness.example/w2"))
    });
    wait_until("nobody fails", &appliance, || {
        appliance.api().health().unwrap().failing_witnesses == 0
    });

    // What both have seen they remember, killed and started again.
    second.kill();
    alice.release(key).unwrap();
    second.start();
    wait_until("the second goes on", &appliance, || {
        names(&checkpoint(&mut alice)).len() == 2
    });
    let status = second.program().arg("status").output().unwrap();
    let status = String::from_utf8(status.stdout).unwrap();
    assert!(status.contains("/default"), "{status}");
    // An export waits for both, as far as it waits; both verifiers find their cosignatures.
    let both = [&first, &second];
    wait_until("both cosign an export", &appliance, || {
        verified(&mut admin, both, 2).0
    });
    // Without the second, the newest checkpoint that it has cosigned is in the bundle, too.
    second.kill();
    alice.release(key).unwrap();
    wait_until("the first cosigns an export", &appliance, || {
        let (whole, report) = verified(&mut admin, [&first, &second], 1);
        let cosigned = report["cosigned"].as_array().unwrap();
        let counts = cosigned
            .iter()
            .map(|cosigned| cosigned["witnesses"].as_array().unwrap().len());
        whole && counts.eq([2, 1])
    });
    assert!(!verified(&mut admin, [&first, &second], 2).0);
    // A verifier that knows nothing of witnesses reads the note all the same.
    appliance.stop();
    assert_eq!(appliance.verify_audit()["verified"], true);
}

#[test]
fn a_forked_and_a_rolled_back_log_are_refused() {
    let (mut appliance, [mut first, mut second]) = scene();
    first.start();
    second.start();
    appliance.serve();
    let mut admin = appliance.administrator();
    wait_until("both cosign", &appliance, || {
        names(&checkpoint(&mut admin)).len() == 2
    });
    appliance.stop();
    let [mut fork, mut behind] = [appliance.copy(), appliance.copy()];

    // The true log goes on, and both see it.
    appliance.serve();
    let mut admin = appliance.sign_in(ADMINISTRATOR);
    let mut last = 0;
    for number in 0..12 {
        let created = admin.create_key(&format!("key {number}"), &[]).unwrap();
        last = last.max(created.leaf);
    }
    wait_until("both cosign again", &appliance, || {
        let newest = checkpoint(&mut admin);
        size(&newest) > last && names(&newest).len() == 2
    });
    appliance.stop();

    // A database that was put back, together with the checkpoint that is kept beside it, finds itself behind what they saw.
    behind.serve();
    wait_until("the roll-back is found", &behind, || {
        failing(&behind, 0).is_some_and(|reason| reason.contains("rolled back"))
    });
    assert!(behind.log().contains("rolled back"));
    behind.stop();

    // One that went another way since is longer, and continues nothing.
    fork.serve();
    let mut admin = fork.sign_in(ADMINISTRATOR);
    for number in 0..40 {
        admin
            .create_key(&format!("another key {number}"), &[])
            .unwrap();
    }
    for place in [0, 1] {
        wait_until("the fork is found", &fork, || {
            failing(&fork, place).is_some_and(|reason| reason.contains("two histories"))
        });
    }
    assert!(names(&checkpoint(&mut admin)).is_empty());
    let evidence = fs::read_to_string(first.file("witness-state.json.evidence")).unwrap();
    let evidence: Value = serde_json::from_str(evidence.lines().next().unwrap()).unwrap();
    assert!(
        evidence["submission"].as_str().unwrap().starts_with("old "),
        "{evidence}"
    );
    fork.stop();

    // The true one is still theirs.
    appliance.serve();
    let mut admin = appliance.sign_in(ADMINISTRATOR);
    admin.create_key("one more", &[]).unwrap();
    wait_until("the true log goes on", &appliance, || {
        names(&checkpoint(&mut admin)).len() == 2
    });
}

#[test]
fn the_command_line_leads_to_the_witness() {
    let program = programs::strongroom();
    let shown = Command::new(program)
        .args(["witness", "--help"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&shown.stdout);
    assert!(
        shown.status.success() && text.contains("strongroom-witness"),
        "{text}"
    );
}
