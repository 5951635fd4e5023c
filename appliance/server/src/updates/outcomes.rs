//! The leaves of what became of updates, and of the data partition's recovery key, without anybody's order to the service: each once, whoever is told of
//! it how often.

use strongroom_keystore::Keystore;
use strongroom_wire::audit::Act;
use strongroom_wire::update::TrialOutcome;

use super::Updates;
use super::recovery::RecoveryKey;

impl Updates {
    /// Records what the image says has become of updates and of the recovery key. Nothing is recorded twice.
    ///
    /// # Errors
    /// When the image's state cannot be read, or the store does not take a leaf.
    pub(crate) fn record_outcomes(&self, keystore: &Keystore) -> anyhow::Result<()> {
        let state = self.state()?;
        if let Some(installed) = &state.installed {
            let note = format!(
                "version {}, security version {}",
                installed.version, installed.security_version
            );
            keystore.record_outcome(Act::UpdateInstalled, installed.at, note)?;
            self.forget_installed(&installed.version)?;
        }
        if let Some(refused) = &state.refused {
            let note = format!("version {}: {}", refused.version, refused.why);
            keystore.record_outcome(Act::UpdateRefuse, refused.at, note)?;
        }
        if let Some(last) = &state.last {
            let (act, note) = match last.outcome {
                TrialOutcome::Blessed => (Act::UpdateBless, format!("version {}", last.version)),
                TrialOutcome::RolledBack => (Act::UpdateRollBack, self.went_back(last)),
            };
            if let Some(leaf) = keystore.record_outcome(act, last.at, note)? {
                tracing::info!(
                    version = last.version,
                    outcome = last.outcome.as_str(),
                    leaf,
                    "a release was on trial"
                );
            }
        }
        self.record_recovery(keystore)
    }

    fn record_recovery(&self, keystore: &Keystore) -> anyhow::Result<()> {
        let Some(RecoveryKey { made, used }) = RecoveryKey::read(&self.outbox)? else {
            return Ok(());
        };
        let note = format!(
            "fingerprint {}, custodians {}, threshold {}, made {}",
            made.fingerprint, made.custodians, made.threshold, made.at
        );
        keystore.record_outcome(Act::DataRecoveryMake, made.at, note)?;
        if let Some(used) = used {
            let note = format!(
                "fingerprint {}, use {}, at {}",
                used.fingerprint, used.times, used.at
            );
            if let Some(leaf) = keystore.record_outcome(Act::DataRecoveryUse, used.at, note)? {
                tracing::warn!(
                    fingerprint = used.fingerprint,
                    leaf,
                    "the data partition was opened for this machine by its recovery key"
                );
            }
        }
        Ok(())
    }

    fn went_back(&self, last: &strongroom_wire::update::Trial) -> String {
        let why = last.why.as_deref().unwrap_or("it did not prove itself");
        let databases = match self.put_back {
            0 => String::new(),
            1 => "; the database was put back as it was before".to_owned(),
            count => format!("; {count} databases were put back as they were before"),
        };
        format!("version {}: {why}{databases}", last.version)
    }
}
