//! A release on trial: kept once the service has proved itself, and gone back from where it has not in time.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use semver::Version;
use serde::{Deserialize, Serialize};

use super::kernels::{Kernels, Tries};
use super::state::{Fate, Outcome, State, now};
use crate::count;
use crate::machine::{self, End};
use crate::release::Release;
use crate::tpm::Tpm;

/// Why a release was gone back from, for the one that comes after it.
const FAILURE: &str = "/var/lib/strongroom/updates/outbox/failure.json";

/// What the service says once it has proved itself.
#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Healthy {
    version: Version,
    /// This start of the machine, and no other.
    boot_id: String,
}

/// Why this version was gone back from.
#[derive(Debug, Serialize, Deserialize)]
struct Failure {
    version: Version,
    why: String,
}

/// Keeps the release on trial, as its service has proved itself: from here on it is started without a count, and no release before its security version.
///
/// # Errors
/// When the service speaks of another release or start, or what it takes cannot be done.
pub(crate) fn bless() -> Result<()> {
    let said = super::take("healthy")?;
    let release = Release::running()?;
    let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .context("the kernel does not say which start this is")?;
    let own = Healthy {
        version: release.version.clone(),
        boot_id: boot_id.trim().to_owned(),
    };
    if !speaks_of(&said, &own) {
        bail!("what the service says of its health is not of this release and this start");
    }
    let mut state = State::read()?.context("nothing is known of the release that runs")?;
    let kernels = Kernels::here();
    let kernel = kernels
        .of(&release.version)?
        .context("the kernel image that runs is not in the EFI system partition")?;
    if kernel.tries.is_none() && !state.trial {
        return Ok(());
    }
    // In this order: broken off in between, the next start counts.
    if kernel.tries.is_some() {
        kernels.count(&kernel, None)?;
    }
    count::raise(release.security_version)?;
    state.trial = false;
    state.installed = None;
    state.least_security_version = count::least(&mut Tpm::open()?)?;
    state.last = Some(Outcome {
        version: release.version,
        fate: Fate::Blessed,
        why: None,
        at: now(),
    });
    state.write()
}

fn speaks_of(said: &[u8], own: &Healthy) -> bool {
    serde_json::from_slice::<Healthy>(said).is_ok_and(|said| said == *own)
}

/// The time of a trial is over: a release that is still on trial is not started again, and the machine goes back to the one before.
///
/// # Errors
/// When that cannot be done.
pub(crate) fn expire() -> Result<()> {
    let release = Release::running()?;
    let kernels = Kernels::here();
    let Some(kernel) = kernels.of(&release.version)? else {
        return Ok(());
    };
    let Some(tries) = kernel.tries else {
        return Ok(());
    };
    let spent = Tries {
        left: 0,
        done: tries.done,
    };
    kernels.count(&kernel, Some(spent))?;
    // Where the data is locked there is nowhere to say it.
    if machine::data_is_open() {
        let failure = Failure {
            version: release.version,
            why: format!(
                "its service had not proved itself in time: {}",
                machine::unit_state("strongroomd.service")
            ),
        };
        let text = serde_json::to_vec(&failure).context("the failure cannot be written")?;
        crate::files::replace(Path::new(FAILURE), 0o644, &text)?;
    }
    machine::end(End::Reboot)
}

/// Why this release was gone back from, where it could still say so; it is told once.
pub(super) fn failure(version: &Version) -> Option<String> {
    let failure = fs::read(FAILURE)
        .ok()
        .and_then(|text| serde_json::from_slice::<Failure>(&text).ok());
    match fs::remove_file(FAILURE) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            crate::complain(&format!("{FAILURE} cannot be removed: {error}"));
        }
        _ => {}
    }
    failure
        .filter(|failure| failure.version == *version)
        .map(|failure| failure.why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_release_in_this_start_is_kept() {
        let own = Healthy {
            version: Version::new(0, 2, 0),
            boot_id: "b1".to_owned(),
        };
        assert!(speaks_of(br#"{"version":"0.2.0","boot_id":"b1"}"#, &own));
        for other in [
            r#"{"version":"0.2.0","boot_id":"b0"}"#,
            r#"{"version":"0.1.0","boot_id":"b1"}"#,
            r#"{"version":"0.2.0"}"#,
            "",
        ] {
            assert!(!speaks_of(other.as_bytes(), &own), "{other}");
        }
    }
}
