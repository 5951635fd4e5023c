//! Export bundles: two verifiers that share no code find the same in them, and refuse every one that was tampered with.

mod cases;
mod forge;
mod passkeys;
mod people;
mod quorums;
mod restores;
mod witnessed;

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;

use serde_json::Value;
use strongroom_audit::bundle::{Filter, Line};
use strongroom_tests::programs;
use strongroom_wire::audit::Act;
use strongroom_wire::id::AccountId;

use cases::Case;
use forge::{Log, period, place, vkey, written};

/// The verifiers, and a folder for what they are given.
struct Verifiers {
    folder: tempfile::TempDir,
    python: PathBuf,
    script: PathBuf,
}

impl Verifiers {
    fn new() -> Self {
        let python = env::var_os("STRONGROOM_TEST_PYTHON").unwrap_or_else(|| "python3".into());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("verifier/verify_bundle.py");
        assert!(script.is_file());
        Self {
            folder: tempfile::tempdir().unwrap(),
            python: python.into(),
            script,
        }
    }

    /// What both say of a case: ours, and the one in Python.
    fn both(&self, case: &Case) -> [(i32, Value); 2] {
        let name: String = case
            .what
            .chars()
            .map(|c| if c.is_alphanumeric() { c } else { '-' })
            .collect();
        let bundle = self.folder.path().join(format!("{name}.bundle"));
        fs::write(&bundle, &case.file).unwrap();
        let mut arguments = vec![
            bundle.display().to_string(),
            "--json".to_owned(),
            "--verifier-key".to_owned(),
            case.key.clone(),
        ];
        if let Some(previous) = &case.previous {
            let file = self.folder.path().join(format!("{name}.checkpoint"));
            fs::write(&file, previous).unwrap();
            arguments.extend(["--previous".to_owned(), file.display().to_string()]);
        }
        for witness in &case.witnesses {
            arguments.extend(["--witness-key".to_owned(), witness.clone()]);
        }
        if case.demanded > 0 {
            arguments.extend(["--witnesses".to_owned(), case.demanded.to_string()]);
        }
        let [ours, theirs] = self
            .programs()
            .map(|mut program| program.args(&arguments).output().unwrap());
        [answer(case, &ours), answer(case, &theirs)]
    }

    /// Ours, and the one in Python.
    fn programs(&self) -> [Command; 2] {
        let mut ours = Command::new(programs::strongroom());
        ours.args(["audit", "verify"])
            .env_clear()
            .env("STRONGROOM_HOME", self.folder.path().join("home"));
        let mut theirs = Command::new(&self.python);
        theirs.arg("-I").arg(&self.script);
        [ours, theirs]
    }
}

fn answer(case: &Case, output: &Output) -> (i32, Value) {
    let report = serde_json::from_slice(&output.stdout);
    let report = report.unwrap_or_else(|error| panic!("{}: {error}: {output:?}", case.what));
    (output.status.code().unwrap(), report)
}

fn sound(what: &'static str, lines: &[Line]) -> Case {
    cases::case(what, written(lines, 1))
}

#[test]
fn both_verifiers_find_the_same_in_sound_bundles() {
    let verifiers = Verifiers::new();
    let log = Log::new(50);
    let releases = Filter {
        act: Some(Act::KeyRelease),
        ..Filter::default()
    };
    let own = Filter {
        concerning: Some(AccountId::from_bytes([1; 16])),
        ..Filter::default()
    };
    let mut proven = log.lines(20..30, &Filter::default());
    proven.insert(place(&proven, 25), log.proven(3, 3));
    let mut continued = log.lines(30..50, &Filter::default());
    continued.insert(2, log.earlier(30));
    continued.insert(3, log.earlier(0));
    let continued = Case {
        previous: Some(log.checkpoint(30, 1)),
        ..sound("it continues another", &continued)
    };
    let limited = Case {
        key: format!("{}@0-50", vkey(1)),
        ..sound("of a key with sizes", &log.lines(0..50, &releases))
    };
    let cases = [
        (
            sound("the whole log", &log.lines(0..50, &Filter::default())),
            50,
            0,
            0,
        ),
        (
            sound("a period", &log.lines(4..41, &period(5, 40))),
            35,
            2,
            0,
        ),
        (sound("an act", &log.lines(0..50, &releases)), 18, 32, 0),
        (sound("one account's", &log.lines(0..50, &own)), 17, 0, 33),
        (
            sound("nothing of it", &log.lines(50..50, &Filter::default())),
            0,
            0,
            0,
        ),
        (
            sound("an empty log", &Log::new(0).lines(0..0, &own)),
            0,
            0,
            0,
        ),
        (sound("a leaf beside", &proven), 10, 0, 0),
        (continued, 20, 0, 0),
        (limited, 18, 32, 0),
    ];
    for (case, records, redacted, hidden) in cases {
        let both = verifiers.both(&case);
        for (who, (status, report)) in ["ours", "theirs"].iter().zip(&both) {
            let what = format!("{who}: {}: {report}", case.what);
            assert_eq!(*status, 0, "{what}");
            assert_eq!(report["verified"], true, "{what}");
            assert_eq!(report["records"], records, "{what}");
            assert_eq!(report["redacted"], redacted, "{what}");
            assert_eq!(report["hidden"], hidden, "{what}");
        }
        let [(_, ours), (_, theirs)] = both;
        for member in [
            "root",
            "size",
            "refused",
            "documents",
            "proven",
            "earlier",
            "verifier_key",
        ] {
            assert_eq!(ours[member], theirs[member], "{}: {member}", case.what);
        }
    }
}

#[test]
fn the_verifier_in_python_knows_every_act() {
    let verifiers = Verifiers::new();
    let program = "import importlib.util, json, sys; \
        spec = importlib.util.spec_from_file_location('verify_bundle', sys.argv[1]); \
        module = importlib.util.module_from_spec(spec); \
        sys.dont_write_bytecode = True; \
        spec.loader.exec_module(module); \
        print(json.dumps(module.ACTS))";
    let output = Command::new(&verifiers.python)
        .args(["-c", program])
        .arg(&verifiers.script)
        .output()
        .unwrap();
    let known: BTreeMap<String, String> = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let acts = Act::ALL.iter();
    let acts: BTreeMap<String, String> = acts
        .map(|act| (act.number().to_string(), act.to_string()))
        .collect();
    assert_eq!(known, acts);
}

#[test]
fn both_verifiers_find_the_same_approvals() {
    let verifiers = Verifiers::new();
    let cases = people::sound().into_iter();
    let cases = cases.chain(quorums::sound()).chain(restores::sound());
    for (case, [approvals, quorums, unjudged]) in cases {
        for (who, (status, report)) in ["ours", "theirs"].iter().zip(verifiers.both(&case)) {
            let what = format!("{who}: {}: {report}", case.what);
            assert_eq!(status, 0, "{what}");
            assert_eq!(report["approvals"], approvals, "{what}");
            assert_eq!(report["quorums"], quorums, "{what}");
            assert_eq!(report["quorums_unjudged"], unjudged, "{what}");
        }
    }
}

#[test]
fn both_verifiers_find_the_same_cosignatures() {
    let verifiers = Verifiers::new();
    for (case, cosigned) in witnessed::sound() {
        for (who, (status, report)) in ["ours", "theirs"].iter().zip(verifiers.both(&case)) {
            let what = format!("{who}: {}: {report}", case.what);
            assert_eq!(status, 0, "{what}");
            assert_eq!(report["cosigned"], cosigned, "{what}");
        }
    }
}

#[test]
fn more_witnesses_than_are_known_cannot_be_demanded() {
    let verifiers = Verifiers::new();
    let one = witnessed::vkey("w1", 1);
    let bundle = verifiers.folder.path().join("no.bundle");
    fs::write(&bundle, "no bundle\n").unwrap();
    for witnesses in [&[][..], &["--witness-key", &one]] {
        for mut program in verifiers.programs() {
            program.arg(&bundle);
            program.args(["--verifier-key", &vkey(1), "--witnesses", "2"]);
            let output = program.args(witnesses).output().unwrap();
            assert_eq!(output.status.code(), Some(2), "{output:?}");
        }
    }
}

#[test]
fn both_verifiers_refuse_every_tampered_bundle() {
    let verifiers = Verifiers::new();
    let mut cases = cases::by_anyone();
    cases.extend(cases::by_the_log());
    cases.extend(cases::against_what_is_known());
    cases.extend(people::by_the_wrong_people());
    cases.extend(quorums::that_were_not());
    cases.extend(restores::that_were_not_approved());
    cases.extend(passkeys::that_do_not_hold());
    cases.extend(witnessed::by_other_witnesses());
    let names: BTreeSet<&str> = cases.iter().map(|case| case.what).collect();
    assert_eq!(names.len(), cases.len(), "two cases have one name");
    assert!(cases.len() >= 100, "only {} cases", cases.len());
    // Most of the time is that of starting Python.
    let workers = 4;
    thread::scope(|scope| {
        for worker in 0..workers {
            let (cases, verifiers) = (&cases, &verifiers);
            scope.spawn(move || {
                for case in cases.iter().skip(worker).step_by(workers) {
                    for (who, (status, report)) in
                        ["ours", "theirs"].iter().zip(verifiers.both(case))
                    {
                        let what = format!("{who}: {}: {report}", case.what);
                        assert_eq!(status, 1, "{what}");
                        assert_eq!(report["verified"], false, "{what}");
                        assert!(!report["problems"].as_array().unwrap().is_empty(), "{what}");
                    }
                }
            });
        }
    });
}
