//! `cargo xtask bench`: builds and runs the benchmarks of the tests crate.

use std::process::{Command, ExitCode};

use anyhow::Result;
use clap::Args;

use crate::{packages, process, small_device, workspace::Workspace};

/// The flags of `cargo xtask bench`.
#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub(crate) struct Options {
    /// How long each of the measurements runs.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    seconds: Option<u32>,
    /// Measure instead whether the time of a sign-in tells which accounts exist.
    #[arg(long, conflicts_with = "seconds")]
    sign_in_timing: bool,
    /// Measure instead how fast objects are protected and opened, side by side with `openssl speed`: fails when that is below 80 % of it.
    #[arg(long, conflicts_with = "sign_in_timing")]
    throughput: bool,
    /// Measure instead how small the client library is on a small device: fails when the sample sensor is larger than 3 MiB, or a run of it takes more
    /// than 8 MiB of memory.
    #[arg(long, conflicts_with_all = ["seconds", "sign_in_timing", "throughput", "operations"])]
    device: bool,
    /// Measure instead signatures and encryption by the appliance, with 1 client and with 16, beside the bare endpoint.
    #[arg(long, conflicts_with_all = ["sign_in_timing", "throughput"])]
    operations: bool,
    /// Measure instead the PKCS#11 module over an appliance, side by side with SoftHSM.
    #[arg(long, conflicts_with_all = ["sign_in_timing", "throughput", "operations", "device"])]
    pkcs11: bool,
    /// Measure instead how long each list and search of the web interfaces waits for the database, where there are a million of everything.
    #[arg(long, conflicts_with_all = ["seconds", "sign_in_timing", "throughput", "operations", "device", "pkcs11"])]
    lists: bool,
    /// Measure instead how long others wait while a disclosure of thousands of items is released.
    #[arg(long, conflicts_with_all = ["sign_in_timing", "throughput", "operations", "device", "pkcs11"])]
    large_release: bool,
    /// Print the figures as JSON.
    #[arg(long)]
    json: bool,
    /// More arguments for the benchmark program.
    #[arg(last = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let workspace = Workspace::find()?;
    if options.throughput {
        // The openssl program is among what the tests need.
        packages::ensure(packages::BUILD.iter().chain(packages::TEST))?;
        let [throughput] = workspace.build(["throughput"])?;
        let status = process::status(Command::new(throughput).args(arguments(options)))?;
        return Ok(process::exit_code(status));
    }
    if options.lists {
        packages::ensure(packages::BUILD)?;
        workspace.build_example("lists")?;
        let lists = workspace.target().join("release/examples/lists");
        let status = process::status(Command::new(lists).args(arguments(options)))?;
        return Ok(process::exit_code(status));
    }
    packages::ensure(packages::BUILD.iter().chain([&packages::SOFTHSM]))?;
    if options.device {
        let sensor = small_device::build_sensor(&workspace)?;
        let [small_device, ..] = workspace.build(["small_device", "strongroomd", "strongroom"])?;
        workspace.build_example("gateway")?;
        let mut command = Command::new(small_device);
        command.arg("--sensor").arg(sensor).args(arguments(options));
        return Ok(process::exit_code(process::status(&mut command)?));
    }
    if options.pkcs11 {
        workspace.build_module()?;
        let [bench, ..] = workspace.build(["pkcs11_bench", "strongroomd", "strongroom"])?;
        let status = process::status(Command::new(bench).args(arguments(options)))?;
        return Ok(process::exit_code(status));
    }
    if options.large_release {
        // The officers' keys are made with the openssl program.
        packages::ensure(packages::TEST)?;
    }
    let program = match options {
        Options {
            sign_in_timing: true,
            ..
        } => "sign_in_timing",
        Options {
            large_release: true,
            ..
        } => "large_release",
        _ => "bench",
    };
    let [bench, ..] = workspace.build([program, "strongroomd", "strongroom"])?;
    let status = process::status(Command::new(bench).args(arguments(options)))?;
    Ok(process::exit_code(status))
}

fn arguments(options: &Options) -> Vec<String> {
    let seconds = options
        .seconds
        .map(|seconds| ["--seconds".to_owned(), seconds.to_string()]);
    let json = options.json.then(|| "--json".to_owned());
    let operations = options.operations.then(|| "--operations".to_owned());
    seconds
        .into_iter()
        .flatten()
        .chain(operations)
        .chain(json)
        .chain(options.arguments.iter().cloned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_passed_on() {
        let options = Options {
            seconds: Some(3),
            sign_in_timing: false,
            throughput: false,
            device: false,
            operations: true,
            pkcs11: false,
            lists: false,
            large_release: false,
            json: true,
            arguments: vec!["release".to_owned()],
        };
        assert_eq!(
            arguments(&options),
            ["--seconds", "3", "--operations", "--json", "release"]
        );
        let options = Options {
            seconds: None,
            sign_in_timing: true,
            throughput: false,
            device: false,
            operations: false,
            pkcs11: false,
            lists: false,
            large_release: false,
            json: false,
            arguments: Vec::new(),
        };
        assert!(arguments(&options).is_empty());
    }
}
