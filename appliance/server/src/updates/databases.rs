//! The databases as they stood before a trial's migrations: of the first domain and of every other one.
//!
//! A release on trial answers nobody and acknowledges nothing, so that nothing is lost where its databases are put back. Neither does it sign a
//! checkpoint, so that the one which is kept outside of a database goes with the database that is put back.

use std::path::PathBuf;

use anyhow::Context as _;
use strongroom_keystore::store::sqlite::{
    forget_before_migration, keep_before_migration, put_back as put_back_database,
};
use strongroom_wire::update::{Trial, TrialOutcome};

use crate::config::Config;
use crate::domains::registry::Registry;

/// Every domain's configuration, the first one's first. One whose database is not there is being made or removed; one whose HSM slot the
/// configuration does not name is not served by any release.
pub(super) fn domains(config: &Config) -> anyhow::Result<Vec<Config>> {
    let mut all = vec![config.clone()];
    for entry in &Registry::read(&config.data)?.domains {
        match config.of_domain(entry) {
            Ok(domain) if domain.database().is_file() => all.push(domain),
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(
                    domain = entry.number,
                    error = format!("{error:#}"),
                    "a domain is left as it is"
                );
            }
        }
    }
    Ok(all)
}

/// Keeps each database that this release migrates as it is.
pub(super) fn keep(config: &Config) -> anyhow::Result<()> {
    for path in databases(config)? {
        let kept = keep_before_migration(&path).with_context(|| {
            format!(
                "the database {} cannot be kept as it is before it is migrated",
                path.display()
            )
        })?;
        if let Some(kept) = kept {
            tracing::info!(kept = %kept.display(), "the database is migrated on trial");
        }
    }
    Ok(())
}

/// Puts back what a release has migrated that was on trial last and did not stay, and says how many databases.
pub(super) fn put_back(config: &Config, last: Option<&Trial>) -> anyhow::Result<u32> {
    let Some(last) = last.filter(|last| last.outcome == TrialOutcome::RolledBack) else {
        return Ok(0);
    };
    let mut done = 0;
    for path in databases(config)? {
        let is_back = put_back_database(&path).with_context(|| {
            format!(
                "the database {} cannot be put back as it was before the trial",
                path.display()
            )
        })?;
        if is_back {
            tracing::warn!(database = %path.display(), trial = last.version, "the database is back as it was before the trial, which did not stay");
            done += 1;
        }
    }
    Ok(done)
}

/// Removes the copies of every database that this release can open: they are of no use any more.
pub(super) fn forget(config: &Config) -> anyhow::Result<()> {
    for path in databases(config)? {
        let removed = forget_before_migration(&path)
            .context("a copy of a database from before a migration cannot be removed")?;
        if removed > 0 {
            tracing::info!(database = %path.display(), removed, "copies from before a migration are removed");
        }
    }
    Ok(())
}

fn databases(config: &Config) -> anyhow::Result<Vec<PathBuf>> {
    let domains = domains(config)?.into_iter();
    Ok(domains.map(|domain| domain.database()).collect())
}
