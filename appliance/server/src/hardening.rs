//! What the process denies itself and others before it holds any secret.

use anyhow::Context as _;
use rustix::fs::Mode;
use rustix::process::{DumpableBehavior, Resource, Rlimit};

/// Makes core dumps impossible, keeps other processes of the same user from reading this one's memory, and makes every
/// new file private.
pub(crate) fn harden_process() -> anyhow::Result<()> {
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .context("core dumps cannot be disabled")?;
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    rustix::process::setrlimit(Resource::Core, none).context("core dumps cannot be disabled")?;
    rustix::process::umask(Mode::from_raw_mode(0o077));
    Ok(())
}
