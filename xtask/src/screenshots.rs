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
    /// Every page, and not only those of the documentation.
    #[arg(long)]
    all: bool,
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
    if options.all {
        command.arg("--all");
    }
    Ok(process::exit_code(process::status(&mut command)?))
}
