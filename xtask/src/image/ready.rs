//! What has to be there before anything is begun. What is missing is said in a sentence, with the remedy.

use anyhow::{Context, Result, bail};

use super::Bench;
use crate::terminal::shown;

/// What chroots, root, image and a machine's disk take together, with room for a second build.
const NEEDED: u64 = 6 << 30;

/// Checks what no package brings.
pub(crate) fn check(bench: &Bench) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!("an image is built as root, as its files belong to several users: run it with sudo");
    }
    if std::env::consts::ARCH != "x86_64" {
        bail!("an image is built on the architecture that it is for: run it on an x86-64 machine");
    }
    let about = rustix::fs::statvfs(&bench.work)
        .with_context(|| format!("the file system of {} cannot be asked", shown(&bench.work)))?;
    room(about.f_bavail.saturating_mul(about.f_frsize))
        .with_context(|| format!("there is too little room for {}", shown(&bench.work)))
}

fn room(free: u64) -> Result<()> {
    if free < NEEDED {
        bail!(
            "{} MiB are free and {} MiB are needed: make room, or have cargo build elsewhere with CARGO_TARGET_DIR",
            free >> 20,
            NEEDED >> 20
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn too_little_room_is_said_with_the_remedy() {
        assert!(room(NEEDED).is_ok());
        let said = room(1 << 30).unwrap_err().to_string();
        assert_eq!(
            said,
            "1024 MiB are free and 6144 MiB are needed: make room, or have cargo build elsewhere with CARGO_TARGET_DIR"
        );
    }
}
