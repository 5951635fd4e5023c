//! `witness`: hands over to `strongroom-witness`, a program of its own.
//!
//! A witness is run by another organisation, beside no appliance and without a client: it is a small program that is installed alone. Whoever looks for
//! it here is led there.

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use clap::Args;

use crate::failure::Failure;

const PROGRAM: &str = "strongroom-witness";

/// `strongroom witness`.
#[derive(Args, Debug)]
#[command(disable_help_flag = true)]
pub(crate) struct Witness {
    /// What strongroom-witness takes; --help says what that is.
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGUMENTS"
    )]
    arguments: Vec<OsString>,
}

impl Witness {
    /// Becomes that program: the one beside this, or else the one on the path. It returns only where there is none.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let beside = env::current_exe()
            .ok()
            .map(|own| own.with_file_name(PROGRAM))
            .filter(|program| program.is_file());
        let program = beside.unwrap_or_else(|| PROGRAM.into());
        let error = Command::new(program).args(self.arguments).exec();
        Err(Failure::Failed(match error.kind() {
            io::ErrorKind::NotFound => format!(
                "a witness is a program of its own, {PROGRAM}, which is not installed here: see docs/witnesses.md"
            ),
            _ => format!("{PROGRAM} cannot be started: {error}"),
        }))
    }
}
