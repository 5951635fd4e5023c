//! `cargo xtask bench --pkcs11`: the PKCS#11 module over a real appliance, side by side with `SoftHSM`.
//!
//! Each side is a process of its own, an application with the module loaded, and does the same work through the same calls. The sides take turns in
//! rounds, so that whatever else the machine does meanwhile hits both alike. So do the yardsticks, which say what a signature by the appliance
//! cannot do without, and what `openssl speed` makes of AES-GCM.

#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark: what does not work here ends it"
)]

mod side;
mod yardsticks;

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use clap::{Parser, ValueEnum};
use serde::{Deserialize, Serialize};
use strongroom_tests::legacy::{self, Machine, SignsIn};
use strongroom_tests::yardsticks::serve_bare;
use strongroom_tests::{Appliance, programs};

use side::be_a_side;
use yardsticks::{Beside, Yardsticks};

const SIGNATURE: &str = "P-256 signature, 1 thread";
const GCM_OF_A_MEBIBYTE: &str = "AES-256-GCM of 1 MiB, key in the process";
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
    /// Be the bare endpoint, with the certificate and key in this folder.
    #[arg(long, hide = true)]
    bare_endpoint: Option<PathBuf>,
}

impl Arguments {
    /// How long each measurement runs in a round, in seconds of at least one.
    fn a_round(&self) -> u32 {
        (self.seconds / self.rounds).max(1)
    }
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

/// What a run has found.
#[derive(Debug, Serialize)]
struct Report {
    lines: Vec<Line>,
    yardsticks: Yardsticks,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(folder) = &arguments.bare_endpoint {
        serve_bare(folder).expect("the bare endpoint serves");
        return ExitCode::SUCCESS;
    }
    if let (Some(module), Some(pin)) = (&arguments.module, &arguments.pin) {
        be_a_side(&arguments, module, pin);
        return ExitCode::SUCCESS;
    }
    let report = measure(&arguments);
    let text = if arguments.json {
        serde_json::to_string_pretty(&report).unwrap() + "\n"
    } else {
        format!(
            "{}\n{}",
            as_text(&report.lines),
            report.yardsticks.as_text(&report.lines)
        )
    };
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// The two sides, alternating.
fn measure(arguments: &Arguments) -> Report {
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
    let mut yardsticks = Vec::new();
    let beside = Beside::start(&appliance);
    for round in 0..arguments.rounds {
        say(&format!("round {} of {}", round + 1, arguments.rounds));
        for (machine, configuration, task) in [
            (few, few_softhsm, Task::Measure),
            (many, many_softhsm, Task::Find),
        ] {
            figures[0].extend(ours(machine, task, arguments.objects));
            figures[1].extend(theirs(configuration, task, arguments.objects));
        }
        yardsticks.push(beside.measure(arguments.a_round()));
    }
    let [ours, theirs] = figures.map(|figures| mean(&figures));
    let lines = ours
        .into_iter()
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
        .collect();
    Report {
        lines,
        yardsticks: Yardsticks::mean(&yardsticks),
    }
}

fn say(what: &str) {
    // Progress; where it cannot be shown, the work goes on.
    let _ = writeln!(io::stderr(), "{what}");
}

/// Runs a side to its end.
fn side(command: &mut Command, arguments: &Arguments, task: Task, objects: u32) -> Vec<Figure> {
    let task = task.to_possible_value().expect("it has a name");
    let seconds = arguments.a_round();
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
