//! `strongroomd backup`: makes a backup, beside a running appliance or without one.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;
use clap::Args;
use serde::Serialize;
use strongroom_hsm::Hsm;
use strongroom_keystore::backup::Manifest;
use strongroom_keystore::store::sqlite::SqliteStore;
use strongroom_keystore::{Clock as _, Keystore, SystemClock};
use strongroom_wire::audit::Act;

use super::progress::StageBar;
use crate::backups::{check_target, database_size, leaf_note, make, name};
use crate::config::Config;
use crate::control::{self, Request};
use crate::folder::DataFolder;
use crate::kept::{self, KeptCheckpoint};

/// What `backup` takes.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The file to make, or the folder to make it in under a name with the time.
    #[arg(long, value_name = "FILE_OR_DIR")]
    to: PathBuf,
    /// Check the HSM, the target and the space, and write nothing.
    #[arg(long)]
    dry_run: bool,
    /// The domain; the first one unless it is said.
    #[arg(long, value_name = "NAME")]
    domain: Option<String>,
    /// Print what was made as JSON.
    #[arg(long)]
    json: bool,
}

/// What was made, or would be.
#[derive(Debug, Serialize)]
struct Report {
    path: PathBuf,
    dry_run: bool,
    /// Bytes: of the backup, or at most of the database in a dry run.
    length: u64,
    /// Why no leaf of the audit log says that it was made; absent where one does, and in a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_recorded: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    manifest: Option<Manifest>,
}

pub(crate) fn run(config: &Path, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let site = Config::load(config)?;
    let config = Config::load_domain(config, arguments.domain.as_deref())?;
    let created = SystemClock.now();
    let path = if arguments.to.is_dir() {
        arguments.to.join(name(&config.domain, created))
    } else {
        arguments.to.clone()
    };
    check_target(&config, &path)?;
    let hsm = super::open_hsm(&config.hsm)?;
    let report = if arguments.dry_run {
        Report {
            path,
            dry_run: true,
            length: database_size(&config)?,
            not_recorded: None,
            manifest: None,
        }
    } else {
        let note = leaf_note("an operator", &path);
        let recorded = record(&site, &config, arguments.domain.as_deref(), &hsm, note);
        let mut bar = StageBar::new();
        let made = make(&config, hsm, created, &path, &mut |stage, done, of| {
            bar.show(stage, done, of);
            ControlFlow::Continue(())
        })?;
        Report {
            path: made.path,
            dry_run: false,
            length: made.length,
            not_recorded: recorded.err().map(|error| format!("{error:#}")),
            manifest: Some(made.manifest),
        }
    };
    if arguments.json {
        super::print_json(&report)?;
    } else {
        super::print(&as_text(&report))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Records that the backup is made, so that the leaf is in it: by the appliance, or where none runs, here.
fn record(
    site: &Config,
    config: &Config,
    domain: Option<&str>,
    hsm: &Arc<dyn Hsm>,
    note: String,
) -> anyhow::Result<()> {
    let Ok(_folder) = DataFolder::lock(&site.data) else {
        let domain = domain.map(str::to_owned);
        return control::ask(&site.data, &Request::Backup { domain, note }).map(drop);
    };
    if config.data.join(kept::RESTORED).exists() {
        bail!("the data folder was restored and has not served since");
    }
    let store = Arc::new(SqliteStore::open(&config.database())?);
    let kept = KeptCheckpoint::new(config);
    kept.check(&*store, &config.domain, None)?;
    let options = config.keystore_options();
    let keystore = Keystore::attend(store, Arc::clone(hsm), Arc::new(SystemClock), options)?;
    keystore.record_operation(Act::DomainBackup, note)?;
    keystore.sign_checkpoint()?;
    kept.keep(&keystore)
}

fn as_text(report: &Report) -> String {
    let path = report.path.display();
    let length = report.length;
    let Some(manifest) = &report.manifest else {
        return format!(
            "A backup of up to {length} bytes can be made at {path}. Nothing was written.\n"
        );
    };
    let checkpoint = manifest.checkpoint.as_ref().map_or_else(
        || "no signed checkpoint".to_owned(),
        |checkpoint| format!("the newest checkpoint is signed over {}", checkpoint.size),
    );
    let recorded = report.not_recorded.as_ref().map_or_else(
        || "in the audit log, and in the backup".to_owned(),
        |reason| format!("NOT: {reason}"),
    );
    format!(
        "The backup is made: {path}\nlength:  {length} bytes\nleaves:  {}; {checkpoint}\nrecorded: {recorded}\nwithout its HSM: {}\n",
        manifest.leaves,
        without_hsm(manifest)
    )
}

/// Who opens the backup when its HSM is gone.
fn without_hsm(manifest: &Manifest) -> String {
    let Some(recovery) = &manifest.recovery else {
        return "nobody opens it, as there are no custodians (strongroomd ceremony renew)"
            .to_owned();
    };
    let lost: Vec<String> = recovery
        .unrecoverable()
        .iter()
        .map(u32::to_string)
        .collect();
    if !lost.is_empty() {
        return format!(
            "nobody opens all of it, as some of it is wrapped by version {} of the master KEK, which custodians cannot recover: let the \
             rotation end and make another",
            lost.join(", ")
        );
    }
    let sets: Vec<String> = recovery
        .recovery_keks
        .iter()
        .map(|kek| format!("any {} of {}", kek.threshold, kek.custodians.join(", ")))
        .collect();
    format!("{} open it", sets.join(", together with "))
}
