//! The client library in every language that it is used from: one scenario, acted out by Rust, C, Python and the command line against one appliance,
//! each opening what each of the others has sealed.
//!
//! | file | what lives there |
//! |---|---|
//! | `../scenario/scenario.toml` | the scenario |
//! | `../scenario/driver.c`, `driver.py` | the drivers in C and Python |
//! | `scenario/rust.rs`, `scenario/command_line.rs` | the drivers in Rust and over the command line |
//! | `scenario/built.rs` | what the drivers are made with: the C compiler, the wheel in a virtual environment of its own |

#![forbid(unsafe_code)]
mod built;
mod command_line;
mod rust;

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::Deserialize;
use strongroom_tests::authenticator_app::AuthenticatorApp;
use strongroom_tests::{Appliance, Person, device, programs};
use tempfile::TempDir;

const PEOPLE: [&str; 3] = ["alice", "bob", "carol"];

/// How a step came out: what was told, or the kind of error.
type Reply = Result<String, String>;

/// Somebody who can act out steps. Whoever cannot do one says nothing.
trait Driver {
    /// Does what these words say, for the person with this name.
    fn act(&mut self, who: &str, words: &[&str]) -> Option<Reply>;
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    part: Vec<Part>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    title: String,
    by: By,
    steps: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum By {
    Makers,
    Everybody,
    Storage,
}

/// A program that is told its steps on standard input.
struct Program {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Program {
    fn start(command: &mut Command, appliance: &Appliance) -> Self {
        let mut child = command
            .arg(appliance.client_url())
            .arg(appliance.ca())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            input: child.stdin.take(),
            output: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }
}

impl Driver for Program {
    fn act(&mut self, who: &str, words: &[&str]) -> Option<Reply> {
        let line = [&[who], words].concat().join("\t");
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
        let mut answer = String::new();
        self.output.read_line(&mut answer).unwrap();
        let (how, what) = answer.trim_end().split_once(' ').unwrap_or((&answer, ""));
        Some(match how.trim_end() {
            "ok" => Ok(what.to_owned()),
            "failed" => Err(what.split(' ').next().unwrap().to_owned()),
            _ => panic!("{line}: {answer:?}"),
        })
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It ends with its input, having ended its sessions and freed what it had.
        drop(self.input.take());
        let status = self.child.wait().unwrap();
        assert!(std::thread::panicking() || status.success(), "{status}");
    }
}

/// What one driver has made.
struct Made {
    folder: PathBuf,
    /// The keys of the items.
    keys: HashMap<String, String>,
    /// What was first obtained of a key.
    material: HashMap<String, Vec<u8>>,
}

struct Play {
    folder: TempDir,
    passed: usize,
    unsupported: usize,
}

impl Play {
    fn plain(&self, name: &str) -> PathBuf {
        self.folder.path().join("plain").join(name)
    }

    /// Acts out one step over what one driver has made.
    fn step(&mut self, step: &str, name: &str, driver: &mut dyn Driver, made: &mut Made) {
        let (step, expected) = step.split_once(" -> ").unwrap_or((step, "ok"));
        let expected: Vec<_> = expected.split(' ').collect();
        let context = format!("{name} in {}: {step}", made.folder.display());
        let mut words = step.split(' ');
        let who = format!("{}@example.com", words.next().unwrap());
        let act = words.next().unwrap();
        let rest: Vec<&str> = words.collect();
        let seals =
            act.starts_with("seal-") || act.starts_with("protect-") || act.starts_with("create-");
        let output = self.folder.path().join("output");
        fs::remove_file(&output).ok();

        let mut words = vec![act.to_owned()];
        for (index, word) in rest.iter().enumerate() {
            words.push(if let Some(name) = word.strip_prefix("plain/") {
                self.plain(name).to_str().unwrap().to_owned()
            } else if let Some(item) = word.strip_prefix("key:") {
                made.keys[item].clone()
            } else if (index == 0 && takes_file(act))
                || (index == 1 && act.starts_with("seal-"))
                || (index == 1 && act.starts_with("protect-"))
                || (index + 1 == rest.len() && matches!(act, "sign" | "verify"))
            {
                made.folder.join(word).to_str().unwrap().to_owned()
            } else {
                (*word).to_owned()
            });
        }
        if act.starts_with("open-") || act == "read-range" || act == "obtain" {
            words.push(output.to_str().unwrap().to_owned());
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let Some(reply) = driver.act(&who, &words) else {
            self.unsupported += 1;
            return;
        };
        match (expected[0], &reply) {
            ("fails", Err(kind)) => assert_eq!(*kind, expected[1], "{context}"),
            ("is", Ok(_)) => {
                let name = expected[1].strip_prefix("plain/").unwrap();
                let content = fs::read(&output).unwrap();
                assert!(content == fs::read(self.plain(name)).unwrap(), "{context}");
            }
            ("same", Ok(_)) => {
                let material = fs::read(&output).unwrap();
                assert_eq!(material.len(), 32, "{context}");
                let first = made
                    .material
                    .entry(rest[0].to_owned())
                    .or_insert_with(|| material.clone());
                assert!(*first == material, "{context}");
            }
            ("ok", Ok(told)) => {
                if let [_, wanted @ ..] = expected.as_slice()
                    && !wanted.is_empty()
                {
                    assert_eq!(*told, wanted.join(" "), "{context}");
                }
                if seals {
                    let item = rest[usize::from(!act.starts_with("create-"))];
                    made.keys.insert(item.to_owned(), told.clone());
                }
            }
            _ => panic!("{context}: {reply:?}"),
        }
        self.passed += 1;
    }
}

/// Whether an act's first word is a file of the folder.
fn takes_file(act: &str) -> bool {
    act.starts_with("open-") || act == "read-range" || act == "message-header"
}

/// Whoever keeps the bytes changes them.
fn damage(step: &str, made: &Made) {
    let words: Vec<_> = step.split(' ').collect();
    let mut bytes = fs::read(made.folder.join(words[1])).unwrap();
    // Below zero it counts from the end.
    let place = |text: &str| {
        let place: isize = text.parse().unwrap();
        place
            .rem_euclid(isize::try_from(bytes.len()).unwrap())
            .unsigned_abs()
    };
    match words[0] {
        "alter" => {
            let place = place(words[3]);
            bytes[place] ^= 1;
        }
        "cut" => bytes.truncate(place(words[3])),
        "swap" => bytes = fs::read(made.folder.join(words[3])).unwrap(),
        _ => panic!("{step}"),
    }
    fs::write(made.folder.join(words[2]), bytes).unwrap();
}

fn write_plaintexts(folder: &Path) {
    fs::create_dir(folder).unwrap();
    let report: Vec<u8> = (0..200_000_u32)
        .map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[3])
        .collect();
    let readings: Vec<_> = (0..20).map(|n| format!("{n} W\n")).collect();
    let mut opened = readings.clone();
    "altered\n".clone_into(&mut opened[3]);
    let files = [
        ("note", b"at noon, by the river".to_vec()),
        ("empty", Vec::new()),
        ("middle", report[131_072..136_072].to_vec()),
        ("report", report),
        ("readings", readings.concat().into_bytes()),
        ("readings-without-the-third", opened.concat().into_bytes()),
    ];
    for (name, content) in files {
        fs::write(folder.join(name), content).unwrap();
    }
}

#[test]
fn each_language_opens_what_each_has_sealed() {
    let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenario/scenario.toml");
    let scenario: Scenario = toml::from_str(&fs::read_to_string(scenario).unwrap()).unwrap();
    let folder = tempfile::Builder::new()
        .prefix("strongroom-scenario-")
        .tempdir()
        .unwrap();
    let python = built::python(folder.path());
    let c_driver = built::c_program(&built::here("scenario/driver.c"), folder.path());

    let appliance = Appliance::start();
    let mut admin = appliance.administrator();
    for who in PEOPLE {
        drop(appliance.person(&mut admin, &format!("{who}@example.com")));
    }
    let mut python = Command::new(python);
    python.arg(built::here("scenario/driver.py"));
    let mut drivers: Vec<(&str, Box<dyn Driver>)> = vec![
        ("rust", Box::new(rust::Rust::new(&appliance))),
        (
            "c",
            Box::new(Program::start(&mut Command::new(c_driver), &appliance)),
        ),
        ("python", Box::new(Program::start(&mut python, &appliance))),
        (
            "command-line",
            Box::new(command_line::CommandLine::new(&appliance)),
        ),
    ];
    for who in PEOPLE.map(|who| format!("{who}@example.com")) {
        let password = folder.path().join(&who);
        fs::write(&password, appliance.password_of(&who)).unwrap();
        for (name, driver) in &mut drivers {
            let reply = driver.act(&who, &["sign-in", password.to_str().unwrap()]);
            assert!(matches!(reply, Some(Ok(_))), "{name}, {who}: {reply:?}");
        }
    }

    write_plaintexts(&folder.path().join("plain"));
    let mut made: Vec<_> = drivers
        .iter()
        .map(|(name, _)| {
            let folder = folder.path().join(name);
            fs::create_dir(&folder).unwrap();
            Made {
                folder,
                keys: HashMap::new(),
                material: HashMap::new(),
            }
        })
        .collect();
    let mut play = Play {
        folder,
        passed: 0,
        unsupported: 0,
    };
    let mut wanted = 0;
    for part in &scenario.part {
        assert!(!part.title.is_empty());
        for (index, (name, driver)) in drivers.iter_mut().enumerate() {
            for (maker, made) in made.iter_mut().enumerate() {
                match part.by {
                    By::Makers if maker == index => {
                        for step in &part.steps {
                            play.step(step, name, driver.as_mut(), made);
                        }
                    }
                    By::Everybody => {
                        for step in &part.steps {
                            play.step(step, name, driver.as_mut(), made);
                        }
                    }
                    By::Storage if index == 0 => {
                        part.steps.iter().for_each(|step| damage(step, made));
                    }
                    By::Makers | By::Storage => {}
                }
            }
        }
        wanted += part.steps.len()
            * match part.by {
                By::Makers => drivers.len(),
                By::Everybody => drivers.len() * drivers.len(),
                By::Storage => 0,
            };
    }
    assert_eq!(play.passed + play.unsupported, wanted);
    // The command line gives nobody a key's material: five steps over what four have made.
    assert_eq!(play.unsupported, 5 * 4);
    // What the programs still have to say shows in how they end.
    drop(drivers);
    // Nothing of it was sealed in vain: the log holds all of it.
    assert_eq!(appliance.verify_audit()["verified"], true);
}

#[test]
fn the_python_package_is_native_there() {
    let folder = TempDir::new().unwrap();
    let python = built::python(folder.path());
    let program = built::here("scenario/package.py");
    built::check_types(&python, &[&built::here("scenario/driver.py"), &program]);

    let scene = Second::new();
    built::run(scene.arguments(Command::new(python).arg(program), folder.path()));
}

#[test]
fn the_c_library_checks_what_it_is_given() {
    let folder = TempDir::new().unwrap();
    let program = built::c_program(&built::here("scenario/interface.c"), folder.path());
    let scene = Second::new();
    built::run(scene.arguments(&mut Command::new(program), Path::new("")));
}

#[test]
fn the_python_package_is_documented() {
    let folder = TempDir::new().unwrap();
    let python = built::python(folder.path());
    let program = r#"
import inspect, strongroom
public = [getattr(strongroom, name) for name in strongroom.__all__]
missing = [thing.__name__ for thing in public if not inspect.getdoc(thing)]
members = [
    (thing, name)
    for thing in public if inspect.isclass(thing)
    for base in thing.__mro__ if base.__module__.startswith("strongroom")
    for name, member in vars(base).items() if not name.startswith("_") and (callable(member) or isinstance(member, property))
]
assert len(members) > 60, len(members)
missing += [f"{thing.__name__}.{name}" for thing, name in members if not inspect.getdoc(getattr(thing, name))]
assert not missing, missing
assert strongroom.errors.__all__ == sorted(strongroom.errors.__all__)
kinds = {kind for kind in strongroom.errors._CLASSES}
assert kinds == set(strongroom.ErrorKind), kinds
"#;
    built::run(Command::new(python).args(["-c", program]));
}

#[test]
fn kotlin_and_swift_sources_are_made() {
    let folder = TempDir::new().unwrap();
    for (language, file, wanted) in [
        (
            "kotlin",
            "uniffi/strongroom/strongroom.kt",
            "fun `sealMessage`(",
        ),
        (
            "swift",
            "strongroom.swift",
            "func sealMessage(plaintext: Data",
        ),
    ] {
        built::run(
            Command::new(programs::program("strongroom-bindgen"))
                .current_dir(built::repository())
                .args([
                    "generate",
                    "--no-format",
                    "--language",
                    language,
                    "--library",
                ])
                .arg(programs::library("libstrongroom_bindings.so"))
                .arg("--out-dir")
                .arg(folder.path()),
        );
        let source = fs::read_to_string(folder.path().join(file)).unwrap();
        assert!(source.contains(wanted), "{language}");
        let comment = "Seals a message for the accounts with these names, and for oneself.";
        assert!(source.contains(comment), "{language}");
    }
}

/// An appliance, alice with a second factor, and a thermometer.
struct Second {
    appliance: Appliance,
    alice: Person,
    recovery_code: String,
    thermometer: strongroom_tests::Device,
}

impl Second {
    fn new() -> Self {
        let appliance = Appliance::start();
        let admin = device::administrator(&appliance);
        let thermometer = device::import(&admin, &["SN-1"]).remove(0);
        let created = admin.json(&["accounts", "create", "alice@example.com"]);
        let alice = Person::new(&appliance, "alice@example.com");
        let code = created["enrolment_code"].as_str().unwrap();
        let _ = alice.enrol(code).success();
        let _ = alice.login().success();
        let started = alice.json(&["second-factor", "set-up"]);
        let app = AuthenticatorApp::new(started["secret"].as_str().unwrap());
        let added = alice.json(&["second-factor", "confirm", &app.shows(0)]);
        let code = added["recovery_codes"][0].as_str().unwrap();
        Self {
            recovery_code: code.to_owned(),
            appliance,
            alice,
            thermometer,
        }
    }

    /// What the programs are told: for the Python one, a folder of its own besides.
    fn arguments<'a>(&self, command: &'a mut Command, folder: &Path) -> &'a mut Command {
        command
            .arg(self.appliance.client_url())
            .arg(self.appliance.ca())
            .arg(self.alice.password_file())
            .arg(self.thermometer.account.to_string())
            .arg(&*self.thermometer.secret.to_text())
            .args(Some(folder).filter(|folder| folder.is_absolute()))
            .arg(&self.recovery_code)
    }
}

/// The C program of the guide, by a device's secret: no byte of it leaks, and no memory is used wrongly, where valgrind is there to say so.
#[test]
fn the_c_library_leaks_nothing() {
    let folder = TempDir::new().unwrap();
    let example = built::repository().join("bindings/c/examples/sensor.c");
    let program = built::c_program(&example, folder.path());
    let appliance = Appliance::start();
    let admin = device::administrator(&appliance);
    let sensor = device::import(&admin, &["SN-1"]).remove(0);
    let mut command = built::watched(&program);
    command
        .arg(appliance.client_url())
        .arg(appliance.ca())
        .arg(sensor.account.to_string());
    let output = built::run_with_input(&mut command, &sensor.secret.to_text());
    assert_eq!(output, "21.5 C\nrefused: altered\n");
}
