//! `cargo xtask test`: every test of the project with every real part it needs, and where the time went.

use std::{
    env,
    io::{self, BufRead as _, BufReader},
    num::NonZero,
    process::{Command, ExitCode, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use clap::Args;

use crate::{
    bindings, image, packages, process, python,
    terminal::{duration, say},
    workspace::Workspace,
};

/// The flags of `cargo xtask test`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Run the long versions of the tests that have one, such as a hundred rounds of killing the server, and those over Kryoptic,
    /// which is built first (seven minutes on two cores).
    #[arg(long)]
    pub(crate) long: bool,
    /// Test the appliance's image instead, in QEMU: build, boot, the story from outside, and one that was tampered with. It needs root.
    #[arg(long, conflicts_with_all = ["long", "package", "arguments"])]
    pub(crate) image: bool,
    /// Test only this package of the workspace.
    #[arg(short, long, value_name = "NAME")]
    pub(crate) package: Vec<String>,
    /// A filter and other arguments for the test programs.
    #[arg(last = true)]
    pub(crate) arguments: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let workspace = Workspace::find()?;
    if options.image {
        return image::test_short(&workspace);
    }
    let mut clock = Clock::new();
    packages::ensure(
        packages::BUILD
            .iter()
            .chain([&packages::SOFTHSM])
            .chain(packages::TEST),
    )?;
    clock.lap("system packages");
    let python = python::environment(&workspace.target().join("test-venv"))?;
    clock.lap("Python environment");
    // All of it, so that the tests find the programs they start, and nothing is built twice.
    process::succeed(workspace.cargo().args([
        "build",
        "--release",
        "--workspace",
        "--all-targets",
    ]))?;
    clock.lap("build");
    let wheel = bindings::wheel(&workspace, &python, &workspace.target().join("test-wheel"))?;
    clock.lap("Python package");
    if options.long {
        packages::ensure(packages::KRYOPTIC)?;
        process::succeed(workspace.cargo().args([
            "run",
            "--release",
            "--package",
            "strongroom-hsm",
            "--example",
            "build_kryoptic",
        ]))?;
        clock.lap("Kryoptic");
    }

    let mut cargo = workspace.cargo();
    cargo
        .args(["test", "--release", "--no-fail-fast", "--color=never"])
        .args(selection(&options.package));
    cargo.arg("--").args(&options.arguments);
    // Tests wait for appliances and browsers about as much as they compute.
    if env::var_os("RUST_TEST_THREADS").is_none() {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        cargo.env("RUST_TEST_THREADS", (2 * cores).to_string());
    }
    cargo.env("STRONGROOM_TEST_PYTHON", python);
    cargo.env("STRONGROOM_TEST_WHEEL", wheel);
    if options.long {
        cargo.env("STRONGROOM_LONG", "1");
    }
    let (status, tally) = run_and_tally(&mut cargo, |line| say!("{line}"))?;
    clock.lap("tests");

    say!("\nWhere the time went:");
    for (step, time) in &clock.laps {
        say!("  {:>12}  {step}", duration(*time));
    }
    for (program, time) in tally.longest_first().iter().take(12) {
        say!("  {:>12}    {program}", duration(*time));
    }
    say!("\n{}", tally.summary());
    Ok(process::exit_code(status))
}

fn selection(packages: &[String]) -> Vec<String> {
    if packages.is_empty() {
        vec!["--workspace".to_owned()]
    } else {
        packages
            .iter()
            .map(|package| format!("--package={package}"))
            .collect()
    }
}

/// Runs the tests, passing on what they print line by line and counting along.
fn run_and_tally(
    cargo: &mut Command,
    mut pass_on: impl FnMut(&str),
) -> Result<(ExitStatus, Tally)> {
    let (reader, writer) = io::pipe().context("a pipe cannot be made")?;
    let errors = writer.try_clone().context("a pipe cannot be made")?;
    cargo.stdin(Stdio::null()).stdout(writer).stderr(errors);
    let mut child = cargo.spawn().context("`cargo` cannot be started")?;
    // The command holds the pipe's other end open until it gets something else.
    cargo.stdout(Stdio::null()).stderr(Stdio::null());
    let mut tally = Tally::default();
    for line in BufReader::new(reader).split(b'\n') {
        let line = line.context("what the tests print cannot be read")?;
        let line = String::from_utf8_lossy(&line);
        pass_on(&line);
        tally.read(&line);
    }
    Ok((child.wait()?, tally))
}

/// What cargo's output says of each test program.
#[derive(Debug, Default)]
struct Tally {
    current: String,
    programs: Vec<(String, Duration)>,
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Tally {
    fn read(&mut self, line: &str) {
        let line = line.trim();
        if let Some(program) = line.strip_prefix("Running ") {
            program.clone_into(&mut self.current);
        } else if line.starts_with("Doc-tests ") {
            line.clone_into(&mut self.current);
        } else if let Some(result) = line.strip_prefix("test result: ") {
            self.read_result(result);
        }
    }

    /// Reads `ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.25s`.
    fn read_result(&mut self, result: &str) {
        let (_, counts) = result.split_once(". ").unwrap_or_default();
        for part in counts.split("; ") {
            if let Some(seconds) = part.strip_prefix("finished in ") {
                let seconds = seconds.trim_end_matches('s').parse().unwrap_or_default();
                let time = Duration::try_from_secs_f64(seconds).unwrap_or_default();
                self.programs.push((self.current.clone(), time));
            } else if let Some((number, what)) = part.split_once(' ') {
                let number = number.parse::<u64>().unwrap_or_default();
                match what {
                    "passed" => self.passed += number,
                    "failed" => self.failed += number,
                    "ignored" => self.ignored += number,
                    _ => {}
                }
            }
        }
    }

    fn longest_first(&self) -> Vec<(&str, Duration)> {
        let mut programs: Vec<_> = self
            .programs
            .iter()
            .map(|(name, time)| (name.as_str(), *time))
            .collect();
        programs.retain(|(_, time)| *time >= Duration::from_millis(10));
        programs.sort_by_key(|(_, time)| std::cmp::Reverse(*time));
        programs
    }

    fn summary(&self) -> String {
        format!(
            "{} passed, {} failed, {} skipped",
            self.passed, self.failed, self.ignored
        )
    }
}

/// How long each step took.
struct Clock {
    since: Instant,
    laps: Vec<(&'static str, Duration)>,
}

impl Clock {
    fn new() -> Self {
        Self {
            since: Instant::now(),
            laps: Vec::new(),
        }
    }

    fn lap(&mut self, step: &'static str) {
        self.laps.push((step, self.since.elapsed()));
        self.since = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    const OUTPUT: &str = "\
     Running unittests src/lib.rs (target/release/deps/strongroom_hsm-0123)

running 2 tests
test tests::one ... ok
test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.25s

     Running tests/kill.rs (target/release/deps/kill-4567)
test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured; 5 filtered out; finished in 12.50s
   Doc-tests strongroom_hsm
test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

    #[test]
    fn the_output_of_cargo_is_counted() {
        let mut tally = Tally::default();
        OUTPUT.lines().for_each(|line| tally.read(line));
        assert_eq!(tally.summary(), "6 passed, 1 failed, 1 skipped");
        let longest = tally.longest_first();
        assert_eq!(
            longest.len(),
            2,
            "what took no time is left out: {longest:?}"
        );
        assert_eq!(
            longest[0],
            (
                "tests/kill.rs (target/release/deps/kill-4567)",
                Duration::from_millis(12_500)
            )
        );
        assert_eq!(longest[1].1, Duration::from_millis(250));
    }

    #[test]
    fn both_streams_are_counted_and_the_status_is_the_childs() {
        let script = "echo '   Running a' >&2; echo 'test result: ok. 4 passed; finished in 1.00s'; exit 101";
        let mut lines = 0;
        let counted = run_and_tally(Command::new("sh").args(["-c", script]), |_| lines += 1);
        let (status, tally) = counted.unwrap();
        assert_eq!(lines, 2);
        assert_eq!(status.code(), Some(101));
        assert_eq!(tally.passed, 4);
        assert_eq!(tally.longest_first(), [("a", Duration::from_secs(1))]);
    }

    #[test]
    fn packages_narrow_the_selection() {
        assert_eq!(selection(&[]), ["--workspace"]);
        assert_eq!(
            selection(&["strongroom-hsm".to_owned()]),
            ["--package=strongroom-hsm"]
        );
    }
}
