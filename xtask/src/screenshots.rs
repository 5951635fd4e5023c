//! `cargo xtask screenshots`: the pictures of the web interfaces, taken from a running appliance.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::Result;
use clap::Args;

use crate::{packages, process, workspace::Workspace};

/// The flags of `cargo xtask screenshots`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Where they go.
    #[arg(long, value_name = "FOLDER", default_value = "docs/pictures")]
    folder: PathBuf,
    /// Only those whose name contains this.
    #[arg(long, value_name = "PART")]
    only: Option<String>,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let workspace = Workspace::find()?;
    packages::ensure(
        packages::BUILD
            .iter()
            .chain([&packages::SOFTHSM])
            .chain(packages::BROWSER),
    )?;
    let [screenshots, ..] = workspace.build(["screenshots", "strongroomd", "strongroom"])?;
    let mut command = Command::new(screenshots);
    command.arg(&options.folder);
    if let Some(only) = &options.only {
        command.arg("--only").arg(only);
    }
    Ok(process::exit_code(process::status(&mut command)?))
}
