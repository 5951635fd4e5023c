//! `cargo xtask bench --pkcs11`: the PKCS#11 module over a real appliance, side by side with `SoftHSM`.
//!
//! Each side is a process of its own, an application with the module loaded, and does the same work through the same calls. The sides take turns in
//! rounds, so that whatever else the machine does meanwhile hits both alike.

#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark: what does not work here ends it"
)]

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::object::{Attribute, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use serde::{Deserialize, Serialize};
use strongroom_tests::legacy::{self, Machine, SignsIn};
use strongroom_tests::{Appliance, programs};

/// The object identifier of P-256, as `CKA_EC_PARAMS` has it.
const P256: [u8; 10] = [6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const SOFTHSM_PIN: &str = "1234";

/// Measures the PKCS#11 module side by side with `SoftHSM`.
#[derive(Debug, Parser)]
#[command(name = "pkcs11_bench")]
struct Arguments {
    /// How long each measurement runs on each side, over all rounds together.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// In how many rounds the sides take turns.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Among how many objects one is found.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    objects: u32,
    /// Print the figures as JSON.
    #[arg(long)]
    json: bool,
    /// Be one of the sides: the path of its module.
    #[arg(long, hide = true, requires = "pin")]
    module: Option<PathBuf>,
    /// The side's PIN.
    #[arg(long, hide = true)]
    pin: Option<String>,
    /// What the side does.
    #[arg(long, hide = true, default_value = "measure")]
    task: Task,
}

/// What a side does.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Task {
    /// Makes the keys and the objects.
    Prepare,
    /// Measures what needs few objects.
    Measure,
    /// Measures finding one object among many.
    Find,
}

/// Something measured, and how often it was done in a second.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Figure {
    what: String,
    /// The module over the appliance.
    per_second: f64,
}

/// A line of the report.
#[derive(Debug, Serialize)]
struct Line {
    what: String,
    strongroom_per_second: f64,
    softhsm_per_second: Option<f64>,
    /// How many times as often Strongroom does it.
    ratio: Option<f64>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let (Some(module), Some(pin)) = (&arguments.module, &arguments.pin) {
        be_a_side(&arguments, module, pin);
        return ExitCode::SUCCESS;
    }
    let lines = measure(&arguments);
    let text = if arguments.json {
        serde_json::to_string_pretty(&lines).unwrap() + "\n"
    } else {
        as_text(&lines)
    };
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// The two sides, alternating.
fn measure(arguments: &Arguments) -> Vec<Line> {
    let appliance = Appliance::start();
    let mut admin = appliance.administrator();
    let sides = ["few", "many"].map(|name| {
        let machine = Machine::new(&appliance, &mut admin, name, SignsIn::ByPin);
        let softhsm = softhsm(machine.folder());
        (machine, softhsm)
    });
    let [(few, few_softhsm), (many, many_softhsm)] = &sides;
    let ours = |machine: &Machine, task: Task, count: u32| {
        let mut command = machine.command(std::env::current_exe().unwrap());
        command.args(["--module", &legacy::module(), "--pin", &machine.pin()]);
        side(&mut command, arguments, task, count)
    };
    let theirs = |configuration: &Path, task: Task, count: u32| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--pin", SOFTHSM_PIN, "--module"])
            .arg(programs::softhsm())
            .env("SOFTHSM2_CONF", configuration);
        side(&mut command, arguments, task, count)
    };
    say("making the keys");
    ours(few, Task::Prepare, 0);
    theirs(few_softhsm, Task::Prepare, 0);
    say(&format!(
        "making {} objects on each side",
        arguments.objects
    ));
    ours(many, Task::Prepare, arguments.objects);
    theirs(many_softhsm, Task::Prepare, arguments.objects);
    let mut figures: [Vec<Figure>; 2] = Default::default();
    for round in 0..arguments.rounds {
        say(&format!("round {} of {}", round + 1, arguments.rounds));
        for (machine, configuration, task) in [
            (few, few_softhsm, Task::Measure),
            (many, many_softhsm, Task::Find),
        ] {
            figures[0].extend(ours(machine, task, arguments.objects));
            figures[1].extend(theirs(configuration, task, arguments.objects));
        }
    }
    let [ours, theirs] = figures.map(|figures| mean(&figures));
    ours.into_iter()
        .map(|figure| {
            let other = theirs.iter().find(|other| other.what == figure.what);
            let other = other.map(|other| other.per_second);
            Line {
                what: figure.what,
                strongroom_per_second: figure.per_second,
                softhsm_per_second: other,
                ratio: other.map(|other| figure.per_second / other),
            }
        })
        .collect()
}

fn say(what: &str) {
    // Progress; where it cannot be shown, the work goes on.
    let _ = writeln!(io::stderr(), "{what}");
}

/// Runs a side to its end.
fn side(command: &mut Command, arguments: &Arguments, task: Task, objects: u32) -> Vec<Figure> {
    let task = task.to_possible_value().expect("it has a name");
    // Each round its part, in seconds of at least one.
    let seconds = (arguments.seconds / arguments.rounds).max(1);
    let output = command
        .args(["--task", task.get_name(), "--seconds", &seconds.to_string()])
        .args(["--objects", &objects.max(1).to_string()])
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), "a side has failed");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A configuration of `SoftHSM`, in a folder of its own beside the machine's files.
fn softhsm(folder: &Path) -> PathBuf {
    let tokens = folder.join("softhsm");
    fs::create_dir(&tokens).unwrap();
    let configuration = folder.join("softhsm.conf");
    let text = format!("directories.tokendir = {}\n", tokens.display());
    fs::write(&configuration, text).unwrap();
    configuration
}

/// The mean of each thing's figures, in the order in which they came first.
fn mean(figures: &[Figure]) -> Vec<Figure> {
    let mut means: Vec<Figure> = Vec::new();
    for figure in figures {
        if means.iter().any(|mean| mean.what == figure.what) {
            continue;
        }
        let all = figures.iter().filter(|other| other.what == figure.what);
        let (sum, count) = all.fold((0.0, 0_u32), |(sum, count), figure| {
            (sum + figure.per_second, count + 1)
        });
        means.push(Figure {
            what: figure.what.clone(),
            per_second: sum / f64::from(count),
        });
    }
    means
}

fn as_text(lines: &[Line]) -> String {
    let mut text = format!(
        "{:<44} {:>14} {:>14} {:>8}\n",
        "a second", "Strongroom", "SoftHSM", "ratio"
    );
    for line in lines {
        let optional = |number: Option<f64>, digits: usize| {
            number.map_or_else(|| "-".to_owned(), |number| format!("{number:.digits$}"))
        };
        let _ = writeln!(
            text,
            "{:<44} {:>14.1} {:>14} {:>8}",
            line.what,
            line.strongroom_per_second,
            optional(line.softhsm_per_second, 1),
            optional(line.ratio, 2)
        );
    }
    text
}

/// An application.
struct Application {
    context: Pkcs11,
    slot: Slot,
    session: Session,
}

impl Application {
    fn start(module: &Path, pin: &str) -> Self {
        let context = Pkcs11::new(module).unwrap();
        context
            .initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))
            .unwrap();
        let slot = context.get_slots_with_token().unwrap()[0];
        let session = context.open_rw_session(slot).unwrap();
        session
            .login(UserType::User, Some(&AuthPin::new(pin.into())))
            .unwrap();
        Self {
            context,
            slot,
            session,
        }
    }

    fn find(&self, label: &str, private: bool) -> ObjectHandle {
        let class = if private {
            Attribute::Sign(true)
        } else {
            Attribute::Encrypt(true)
        };
        self.session
            .find_objects(&[Attribute::Label(label.into()), class])
            .unwrap()[0]
    }
}

fn be_a_side(arguments: &Arguments, module: &Path, pin: &str) {
    let figures = match arguments.task {
        Task::Prepare => {
            prepare(module, pin, arguments.objects);
            Vec::new()
        }
        Task::Measure => work(module, pin, Duration::from_secs(arguments.seconds.into())),
        Task::Find => find(module, pin, arguments),
    };
    serde_json::to_writer(io::stdout(), &figures).unwrap();
}

/// Makes what is measured with: the keys, or so many objects where it is more than one.
fn prepare(module: &Path, pin: &str, objects: u32) {
    if module == programs::softhsm() {
        let context = Pkcs11::new(module).unwrap();
        context
            .initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))
            .unwrap();
        let slot = context.get_all_slots().unwrap()[0];
        let pin = AuthPin::new(SOFTHSM_PIN.into());
        context.init_token(slot, &pin, "bench").unwrap();
        let session = context.open_rw_session(slot).unwrap();
        session.login(UserType::So, Some(&pin)).unwrap();
        session.init_pin(&pin).unwrap();
        // The module is loaded once a process.
        drop(session);
        context.finalize().unwrap();
    }
    let application = Application::start(module, pin);
    if objects > 1 {
        thread::scope(|scope| {
            for part in 0..16 {
                let (context, slot) = (&application.context, application.slot);
                scope.spawn(move || {
                    let session = context.open_rw_session(slot).unwrap();
                    for number in (part..objects).step_by(16) {
                        let template = [
                            Attribute::Class(cryptoki::object::ObjectClass::DATA),
                            Attribute::Token(true),
                            Attribute::Private(true),
                            Attribute::Label(label(number).into()),
                            Attribute::Value(vec![7; 32]),
                        ];
                        let _ = session.create_object(&template).unwrap();
                    }
                });
            }
        });
        return;
    }
    let session = &application.session;
    let private = |label: &str| {
        vec![
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Sign(true),
            Attribute::Label(label.into()),
        ]
    };
    let public = |more: Vec<Attribute>| {
        [vec![Attribute::Token(true), Attribute::Verify(true)], more].concat()
    };
    session
        .generate_key_pair(
            &Mechanism::EccKeyPairGen,
            &public(vec![Attribute::EcParams(P256.to_vec())]),
            &private("p256"),
        )
        .unwrap();
    session
        .generate_key_pair(
            &Mechanism::RsaPkcsKeyPairGen,
            &public(vec![
                Attribute::ModulusBits(2048.into()),
                Attribute::PublicExponent(vec![1, 0, 1]),
            ]),
            &private("rsa"),
        )
        .unwrap();
    for (label, extractable) in [("released", true), ("kept", false)] {
        session
            .generate_key(
                &Mechanism::AesKeyGen,
                &[
                    Attribute::Token(true),
                    Attribute::Private(true),
                    Attribute::ValueLen(32.into()),
                    Attribute::Encrypt(true),
                    Attribute::Decrypt(true),
                    Attribute::Sensitive(true),
                    Attribute::Extractable(extractable),
                    Attribute::Label(label.into()),
                ],
            )
            .unwrap();
    }
}

fn label(number: u32) -> String {
    format!("object {number}")
}

/// How often something is done in a second, by so many threads at once, each with a session.
fn rate(
    application: &Application,
    threads: u32,
    during: Duration,
    done: impl Fn(&Session) + Sync,
) -> f64 {
    let began = Instant::now();
    let counts: Vec<u32> = thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|_| {
                let (done, context, slot) = (&done, &application.context, application.slot);
                scope.spawn(move || {
                    let session = context.open_rw_session(slot).unwrap();
                    let mut count = 0;
                    while began.elapsed() < during {
                        done(&session);
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        running
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    let count: u32 = counts.into_iter().sum();
    f64::from(count) / began.elapsed().as_secs_f64()
}

fn work(module: &Path, pin: &str, during: Duration) -> Vec<Figure> {
    let began = Instant::now();
    let application = Application::start(module, pin);
    let p256 = application.find("p256", true);
    let sign = |key: ObjectHandle, mechanism: fn() -> Mechanism<'static>| {
        move |session: &Session| {
            assert!(session.sign(&mechanism(), key, &[7; 32]).unwrap().len() >= 64);
        }
    };
    sign(p256, || Mechanism::Ecdsa)(&application.session);
    let first = began.elapsed();
    let mut figures = vec![Figure {
        what: "start to first P-256 signature".to_owned(),
        per_second: 1.0 / first.as_secs_f64(),
    }];
    let mut measure = |what: &str, threads: u32, done: &(dyn Fn(&Session) + Sync)| {
        figures.push(Figure {
            what: what.to_owned(),
            per_second: rate(&application, threads, during, done),
        });
    };
    let rsa = application.find("rsa", true);
    for threads in [1, 16] {
        measure(
            &format!("P-256 signature, {threads} threads"),
            threads,
            &sign(p256, || Mechanism::Ecdsa),
        );
        measure(
            &format!("RSA-2048 signature, {threads} threads"),
            threads,
            &sign(rsa, || Mechanism::Sha256RsaPkcs),
        );
    }
    for (place, size, name) in [
        ("released", 1024, "AES-256-GCM of 1 KiB, key in the process"),
        (
            "released",
            1024 * 1024,
            "AES-256-GCM of 1 MiB, key in the process",
        ),
        ("kept", 1024, "AES-256-GCM of 1 KiB, key stays"),
        ("kept", 1024 * 1024, "AES-256-GCM of 1 MiB, key stays"),
    ] {
        let key = application.find(place, false);
        let data = vec![7; size];
        measure(name, 1, &|session| {
            let mut nonce = [0; 12];
            getrandom::fill(&mut nonce).unwrap();
            let parameters = GcmParams::new(&mut nonce, &[], 128.into()).unwrap();
            let sealed = session
                .encrypt(&Mechanism::AesGcm(parameters), key, &data)
                .unwrap();
            assert_eq!(sealed.len(), size + 16);
        });
    }
    figures
}

/// Finds one object among many, each time another.
fn find(module: &Path, pin: &str, arguments: &Arguments) -> Vec<Figure> {
    let application = Application::start(module, pin);
    let mut next = arguments.objects / 2;
    let mut count = 0_u32;
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(arguments.seconds.into()) {
        next = (next * 7 + 13) % arguments.objects;
        let found = application
            .session
            .find_objects(&[Attribute::Label(label(next).into())]);
        assert_eq!(found.unwrap().len(), 1);
        count += 1;
    }
    vec![Figure {
        what: format!("one of {} objects found by its label", arguments.objects),
        per_second: f64::from(count) / began.elapsed().as_secs_f64(),
    }]
}
