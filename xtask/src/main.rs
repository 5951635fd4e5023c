//! `cargo xtask`: every chore of the project as one command, from a machine that has Rust and nothing else.
//!
//! | file | what lives there |
//! |---|---|
//! | `main` | the command line |
//! | `run` | `run`: install, build, initialise, start the appliance in the foreground |
//! | `state` | the state folder, and initialising it |
//! | `listeners` | where the appliance listens, and whether the ports can be had |
//! | `appliance` | `strongroomd` as a child process |
//! | `demo` | `run --demo`: plays the story on an appliance of its own |
//! | `player` | plays the story, and sees that each command comes out as it has to |
//! | `story` | the story of two people and a file, as data |
//! | `test` | `test`: every test with every real part it needs, and where the time went |
//! | `python` | the virtual environment with the other implementation that tests compare against |
//! | `bindings` | `bindings`: the client library for other languages |
//! | `bench` | `bench`: the benchmarks |
//! | `screenshots` | `screenshots`: the pictures of the web interfaces |
//! | `small_device` | the sample sensor, built as for a small device |
//! | `image/` | `image`: the bootable appliance |
//! | `packages` | system packages, by apt |
//! | `workspace` | where the workspace is, and building it with cargo |
//! | `process` | running a command and saying what went wrong in one sentence |
//! | `terminal` | what is printed: lines, paths, command lines, spinners |
//!
//! What must never happen here: a dependency that needs a C compiler or a system package, for this crate is what
//! installs them; an error longer than a sentence; a secret in an environment variable.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod appliance;
mod bench;
mod bindings;
mod demo;
mod image;
mod listeners;
mod packages;
mod player;
mod process;
mod python;
mod run;
mod screenshots;
mod small_device;
mod state;
mod story;
mod terminal;
mod test;
mod workspace;

/// The chores of the Strongroom workspace.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    disable_help_subcommand = true
)]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Install what is missing, build, initialise on the first run, and start the appliance.
    Run(run::Options),
    /// Run every test of the project, with every real part it needs.
    Test(test::Options),
    /// Make the client library for Python, C, Kotlin and Swift.
    Bindings(bindings::Options),
    /// Measure key release and key creation beside a bare HTTPS endpoint.
    Bench(bench::Options),
    /// Build the bootable appliance, and boot it in QEMU.
    Image(image::Options),
    /// Take the pictures of the web interfaces anew, from an appliance with people, keys and devices.
    Screenshots(screenshots::Options),
}

fn main() -> ExitCode {
    let done = match Cli::parse().chore {
        Chore::Run(options) => run::run(&options),
        Chore::Test(options) => test::run(&options),
        Chore::Bindings(options) => bindings::run(&options),
        Chore::Bench(options) => bench::run(&options),
        Chore::Image(options) => image::run(&options),
        Chore::Screenshots(options) => screenshots::run(&options),
    };
    done.unwrap_or_else(|error| match error.downcast_ref() {
        // A process that was ended by a signal could not tell why.
        Some(process::ToldWhy(status)) if status.code().is_some() => process::exit_code(*status),
        _ => {
            terminal::complain!("error: {error:#}");
            ExitCode::FAILURE
        }
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn run_has_the_documented_defaults() {
        let Chore::Run(options) = Cli::try_parse_from(["xtask", "run"]).unwrap().chore else {
            unreachable!("`run` parses as run")
        };
        assert_eq!(options.data, None);
        assert_eq!(options.client_port, None);
        assert_eq!(options.admin_port, None);
        assert!(!options.demo);
    }

    #[test]
    fn a_port_of_zero_is_refused() {
        assert!(Cli::try_parse_from(["xtask", "run", "--client-port", "0"]).is_err());
    }

    #[test]
    fn test_passes_on_what_stands_after_the_dashes() {
        let cli = Cli::try_parse_from(["xtask", "test", "--long", "--", "kill", "--nocapture"]);
        let Chore::Test(options) = cli.unwrap().chore else {
            unreachable!("`test` parses as test")
        };
        assert!(options.long);
        assert_eq!(options.arguments, ["kill", "--nocapture"]);
    }
}
