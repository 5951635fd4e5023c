//! The leaves of what became of updates without anybody's order: each once, whoever is told of it how often.

use strongroom_keystore::Keystore;
use strongroom_wire::audit::Act;
use strongroom_wire::update::TrialOutcome;

use super::Updates;

impl Updates {
    /// Records what the image says has become of updates. Nothing is recorded twice.
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
            keystore.record_update_outcome(Act::UpdateInstalled, installed.at, note)?;
            self.forget_installed(&installed.version)?;
        }
        if let Some(refused) = &state.refused {
            let note = format!("version {}: {}", refused.version, refused.why);
            keystore.record_update_outcome(Act::UpdateRefuse, refused.at, note)?;
        }
        if let Some(last) = &state.last {
            let (act, note) = match last.outcome {
                TrialOutcome::Blessed => (Act::UpdateBless, format!("version {}", last.version)),
                TrialOutcome::RolledBack => (Act::UpdateRollBack, self.went_back(last)),
            };
            if let Some(leaf) = keystore.record_update_outcome(act, last.at, note)? {
                tracing::info!(
                    version = last.version,
                    outcome = last.outcome.as_str(),
                    leaf,
                    "a release was on trial"
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
