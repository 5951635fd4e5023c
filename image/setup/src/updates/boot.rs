//! At each start, before the service: what runs, whether it is on trial, and what came of the last update.

use std::fs;

use anyhow::{Context as _, Result, bail};

use super::kernels::{Kernel, Kernels, TRIES, Tries};
use super::slots::Disk;
use super::state::{Fate, Installed, Outcome, Running, State, now};
use super::trial;
use crate::count;
use crate::release::Release;
use crate::tpm::Tpm;

/// Stands once all this is known, since this start: without it the service does not start.
const KNOWN: &str = "/run/strongroom/release";

/// Writes down what runs. A release that is not on trial counts: no older one is started from here on.
///
/// # Errors
/// When the TPM does not count, or nothing can be found out or written down: the service does not start then.
pub(crate) fn boot() -> Result<()> {
    let release = Release::running()?;
    let kernels = Kernels::here();
    let all = kernels.all()?;
    let own = all
        .iter()
        .find(|kernel| kernel.version == release.version)
        .context("the kernel image that runs is not in the EFI system partition")?;
    let trial = own.tries.is_some();
    let before = State::read()?;
    let counted = before
        .as_ref()
        .map_or(0, |before| before.least_security_version);
    count::raise(to_count(release.security_version, trial, counted))?;
    if release.security_version < counted {
        bail!(
            "this release has security version {}, and this appliance has run {counted} with another TPM: start the newer release",
            release.security_version
        );
    }
    let (installed, came) = before.as_ref().map_or((None, None), |before| {
        settle(before.installed.as_ref(), &release, trial, &all)
    });
    if let Some(Outcome {
        fate: Fate::RolledBack,
        version,
        ..
    }) = &came
        && let Some(failed) = kernels.of(version)?
    {
        kernels.remove(&failed)?;
    }
    let came = came.map(|mut outcome| {
        if outcome.fate == Fate::RolledBack {
            outcome.why = trial::failure(&outcome.version).or(outcome.why);
        }
        outcome
    });
    let state = State {
        running: Running {
            version: release.version.clone(),
            security_version: release.security_version,
            slot: Disk::running()?.running,
        },
        trial,
        installed,
        refused: before.as_ref().and_then(|before| before.refused.clone()),
        last: came.or_else(|| before.and_then(|before| before.last)),
        least_security_version: count::least(&mut Tpm::open()?)?,
    };
    state.write()?;
    fs::write(KNOWN, "").with_context(|| format!("{KNOWN} cannot be written"))
}

/// The security version to count up to: on trial none, but what was counted before in another TPM, where this one does not know it since the data
/// partition was recovered. That nobody else can take the count back is seen to at every start.
fn to_count(own: u32, trial: bool, before: u32) -> u32 {
    if trial { before } else { own.max(before) }
}

/// What became of the release that was installed before this start: it may still wait, or be on trial; or it is known what came of it.
fn settle(
    installed: Option<&Installed>,
    running: &Release,
    trial: bool,
    kernels: &[Kernel],
) -> (Option<Installed>, Option<Outcome>) {
    let Some(installed) = installed else {
        return (None, None);
    };
    let outcome = |fate, why: Option<String>| {
        Some(Outcome {
            version: installed.version.clone(),
            fate,
            why,
            at: now(),
        })
    };
    if installed.version == running.version {
        return if trial {
            (Some(installed.clone()), None)
        } else {
            // It was kept, and the machine turned off before that was written down.
            (None, outcome(Fate::Blessed, None))
        };
    }
    let kernel = kernels
        .iter()
        .find(|kernel| kernel.version == installed.version);
    match kernel.map(|kernel| kernel.tries) {
        Some(None | Some(Tries { left: 1.., .. })) => (Some(installed.clone()), None),
        Some(Some(Tries { left: 0, .. })) => {
            let why = format!("it did not come up in {TRIES} tries");
            (None, outcome(Fate::RolledBack, Some(why)))
        }
        None => {
            let why = "its kernel image is gone".to_owned();
            (None, outcome(Fate::RolledBack, Some(why)))
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use strongroom_update::Flavour;

    use super::super::kernels::tests::folder_with;
    use super::*;

    /// What is settled where 0.2.0 was installed, this version runs, and these kernel images are there.
    fn settled(running: &str, names: &[&str]) -> (bool, Option<(Fate, Option<String>)>) {
        let installed = Installed {
            version: "0.2.0".parse().unwrap(),
            security_version: 1,
            at: now(),
        };
        let running = Release {
            version: running.parse().unwrap(),
            security_version: 1,
            flavour: Flavour::Vm,
        };
        let (_folder, kernels) = folder_with(names);
        let all = kernels.all().unwrap();
        let own = all.iter().find(|kernel| kernel.version == running.version);
        let trial = own.unwrap().tries.is_some();
        let (waits, came) = settle(Some(&installed), &running, trial, &all);
        (
            waits.is_some(),
            came.map(|outcome| (outcome.fate, outcome.why)),
        )
    }

    const OLD: &str = "strongroom_0.1.0.efi";

    #[test]
    fn a_release_that_was_installed_waits_or_is_on_trial() {
        assert_eq!(
            settled("0.1.0", &[OLD, "strongroom_0.2.0+3.efi"]),
            (true, None)
        );
        assert_eq!(
            settled("0.2.0", &[OLD, "strongroom_0.2.0+2-1.efi"]),
            (true, None)
        );
    }

    #[test]
    fn what_came_of_it_is_said_once_it_is_known() {
        let kept = Some((Fate::Blessed, None));
        assert_eq!(
            settled("0.2.0", &[OLD, "strongroom_0.2.0.efi"]),
            (false, kept)
        );
        for names in [&[OLD, "strongroom_0.2.0+0-3.efi"][..], &[OLD]] {
            let (waits, came) = settled("0.1.0", names);
            let (fate, why) = came.unwrap();
            assert!(!waits);
            assert_eq!(fate, Fate::RolledBack);
            assert!(why.is_some());
        }
    }

    #[test]
    fn nothing_installed_is_nothing_to_say() {
        let running = Release {
            version: "0.1.0".parse().unwrap(),
            security_version: 1,
            flavour: Flavour::Vm,
        };
        assert_eq!(settle(None, &running, false, &[]), (None, None));
    }

    #[test]
    fn a_count_goes_on_in_another_tpm() {
        assert_eq!(to_count(2, false, 0), 2);
        assert_eq!(to_count(2, false, 2), 2);
        assert_eq!(to_count(2, false, 3), 3);
        assert_eq!(to_count(3, true, 2), 2);
        assert_eq!(to_count(3, true, 0), 0);
    }
}
