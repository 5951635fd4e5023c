//! `strongroomd restore`: makes a data folder's database from a backup, once all of it has been verified.

use std::fs::{self, File, Permissions};
use std::io::{self, BufReader};
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf, absolute};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Args;
use serde::Serialize;
use strongroom_keystore::backup::{Accepted, Manifest, RestoreApproved, Restored, read_backup};
use strongroom_keystore::quorum::RestoreRefused;
use strongroom_keystore::store::sqlite::SqliteStore;
use strongroom_keystore::{Clock as _, Held, Keystore, Options, SystemClock, hold_against};
use strongroom_wire::id::KeyId;
use strongroom_wire::proposal::{ProposedRequest, SignedApproval};

use super::backup_file::BackupFile;
use super::progress::StageBar;
use crate::config::{self, Config};
use crate::folder::{sync_folder, write_whole};
use crate::kept::{self, KeptCheckpoint, RESTORED};

/// The longest reason in bytes: it stands in a leaf, beside figures.
const LONGEST_REASON: usize = 512;

/// What `restore` takes.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    backup: BackupFile,
    /// The data folder to make; it must not be there, or be empty.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    #[command(flatten)]
    known: KnownCheckpoint,
    #[command(flatten)]
    quorum: RestoreQuorum,
    /// Verify everything and leave nothing behind.
    #[arg(long)]
    dry_run: bool,
    /// The domain; the first one unless it is said.
    #[arg(long, value_name = "NAME")]
    domain: Option<String>,
    /// Print what was restored as JSON.
    #[arg(long)]
    json: bool,
}

/// The newest checkpoint that is known, and what to do with a backup that does not have all of it.
#[derive(Debug, Args)]
pub(super) struct KnownCheckpoint {
    /// The newest checkpoint that is known; the one that the configuration names unless it is said.
    #[arg(long, value_name = "FILE")]
    pub(super) checkpoint: Option<PathBuf>,
    /// Restore although the newest known checkpoint has leaves that the backup does not have: what was done since the backup is lost.
    #[arg(long, requires = "reason")]
    accept_older: bool,
    /// Why; it is recorded in the audit log.
    #[arg(long, value_name = "TEXT", requires = "accept_older")]
    reason: Option<String>,
}

/// The approvals of people, where the policy that is in the backup demands them.
#[derive(Debug, Args)]
pub(super) struct RestoreQuorum {
    /// Somebody's approval, where the backup's policy demands a quorum: what `strongroom approval-keys sign` wrote. May be given several times.
    #[arg(long = "approval", value_name = "FILE")]
    approvals: Vec<PathBuf>,
    /// Where approvals are missing, write what there is to be signed to this file.
    #[arg(long, value_name = "FILE")]
    quorum_request: Option<PathBuf>,
}

impl RestoreQuorum {
    /// Holds the restoring of a database against its own policy. Answers what is to be recorded of the approvals.
    pub(super) fn require(
        &self,
        keystore: &Keystore,
        manifest: &Manifest,
    ) -> anyhow::Result<Option<RestoreApproved>> {
        let approvals = self
            .approvals
            .iter()
            .map(|path| {
                let shown = path.display();
                let text = fs::read(path).with_context(|| format!("{shown} cannot be read"))?;
                serde_json::from_slice(&text).with_context(|| format!("{shown} is no approval"))
            })
            .collect::<anyhow::Result<Vec<SignedApproval>>>()?;
        let request = ProposedRequest::DomainRestore {
            database_sha256: hex::encode(&manifest.database.sha256.0),
            created: manifest.created,
            leaves: manifest.leaves,
        };
        match keystore.require_restore_quorum(request, &approvals) {
            Ok(approved) => Ok(approved),
            Err(refused) => {
                if let (RestoreRefused::Quorum { request, .. }, Some(path)) =
                    (&refused, &self.quorum_request)
                {
                    write_whole(path, &serde_json::to_vec_pretty(request)?)?;
                }
                Err(refused.into())
            }
        }
    }
}

/// What was restored, or would be.
#[derive(Debug, Serialize)]
struct Report<'a> {
    data: &'a Path,
    dry_run: bool,
    manifest: &'a Manifest,
    /// The file with the newest known checkpoint; absent when there is none.
    checkpoint: Option<&'a Path>,
    /// Whether the backup was accepted although it is older than that.
    accepted: bool,
    /// Keys of the protection level `hsm` that the HSM does not hold: no backup has them, and they are lost.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lost_keys: Vec<KeyId>,
}

pub(crate) fn run(config: &Path, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let config = Config::load_domain(config, arguments.domain.as_deref())?;
    arguments.known.check()?;
    let data = absolute(&arguments.data).context("the data folder's path cannot be resolved")?;
    check_empty(&data)?;
    let hsm = super::open_hsm(&config.hsm)?;

    // Beside the target, so that it becomes the target in one step when it is whole.
    let parent = data
        .parent()
        .context("the data folder cannot be the root")?;
    let backup = arguments.backup.open(parent)?;
    let making = tempfile::Builder::new()
        .prefix(".strongroom-restore-")
        .tempdir_in(parent)
        .with_context(|| format!("nothing can be written in {}", parent.display()))?;
    fs::set_permissions(making.path(), Permissions::from_mode(0o700))?;
    let database = making.path().join(config::DATABASE);
    let manifest = {
        let mut bar = StageBar::new();
        read_backup(
            &mut BufReader::new(backup),
            Arc::clone(&hsm),
            &config.domain,
            &database,
            &mut |stage, done, of| {
                bar.show(stage, done, of);
                ControlFlow::Continue(())
            },
        )?
    };

    let kept = arguments
        .known
        .checkpoint
        .clone()
        .map_or_else(|| KeptCheckpoint::new(&config), KeptCheckpoint::at);
    let note = kept.read()?;
    if arguments.known.checkpoint.is_some() && note.is_none() {
        bail!("there is no checkpoint at {}", kept.path().display());
    }
    let accepted = match &note {
        Some(note) => {
            let store = SqliteStore::open(&database)?;
            arguments
                .known
                .hold(&store, &config.domain, note, kept.path())?
        }
        None => None,
    };
    let older = accepted.is_some();
    let (approved, lost_keys) = {
        let options = Options {
            domain: config.domain.clone(),
            ..Options::default()
        };
        let store = Arc::new(SqliteStore::open(&database)?);
        let keystore = Keystore::attend(store, Arc::clone(&hsm), Arc::new(SystemClock), options)?;
        let approved = arguments.quorum.require(&keystore, &manifest)?;
        (approved, keystore.keys_lost_with_hsm()?)
    };

    if !arguments.dry_run {
        // The checkpoint that is known stays known: an older database is served only together with the record of its acceptance.
        let newest = note.as_deref().or_else(|| {
            let checkpoint = manifest.checkpoint.as_ref();
            checkpoint.map(|checkpoint| checkpoint.note.as_str())
        });
        if let Some(note) = newest {
            kept::write(&making.path().join(config::CHECKPOINT), note)?;
        }
        let record = Restored {
            restored: SystemClock.now(),
            created: manifest.created,
            leaves: manifest.leaves,
            accepted,
            approved,
        };
        let record = record.to_file(&*hsm, &config.domain)?;
        write_whole(&making.path().join(RESTORED), &record)?;
        File::open(making.path())?.sync_all()?;
        let made = making.keep();
        fs::rename(&made, &data)
            .with_context(|| format!("{} cannot become {}", made.display(), data.display()))?;
        sync_folder(&data)?;
    }

    let report = Report {
        data: &data,
        dry_run: arguments.dry_run,
        manifest: &manifest,
        checkpoint: note.is_some().then(|| kept.path()),
        accepted: older,
        lost_keys,
    };
    if arguments.json {
        super::print_json(&report)?;
    } else {
        super::print(&as_text(&report))?;
    }
    Ok(ExitCode::SUCCESS)
}

impl KnownCheckpoint {
    /// Whether the reason can stand in a leaf.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        check_reason(self.reason.as_deref())
    }

    /// Holds a restored database against a checkpoint, the newest that is known. Answers what was accepted, if it is older.
    pub(super) fn hold(
        &self,
        store: &SqliteStore,
        domain: &str,
        note: &str,
        path: &Path,
    ) -> anyhow::Result<Option<Accepted>> {
        let shown = path.display();
        let held = hold_against(store, domain, note)
            .with_context(|| format!("the backup cannot be held against {shown}"))?;
        let (known, what) = match held {
            Held::Continues => return Ok(None),
            Held::Behind { leaves, known } => (
                known,
                format!(
                    "the backup is older than the checkpoint in {shown}: it has {leaves} of {known} leaves"
                ),
            ),
            Held::Diverges { known } => (
                known,
                format!(
                    "the backup has another history than the checkpoint of {known} leaves in {shown} is signed over"
                ),
            ),
        };
        match (&self.reason, self.accept_older) {
            (Some(reason), true) => Ok(Some(Accepted {
                reason: reason.clone(),
                checkpoint: note.to_owned(),
                known,
            })),
            _ => bail!(
                "{what}; use a newer backup, or say --accept-older --reason TEXT if there is none and what was done since is to be lost"
            ),
        }
    }
}

fn check_reason(reason: Option<&str>) -> anyhow::Result<()> {
    match reason {
        Some(reason) if reason.trim().is_empty() || reason.len() > LONGEST_REASON => {
            bail!("the reason must have 1 to {LONGEST_REASON} bytes")
        }
        _ => Ok(()),
    }
}

fn check_empty(folder: &Path) -> anyhow::Result<()> {
    let shown = folder.display();
    match fs::read_dir(folder) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => bail!("{shown} is not empty; choose a new folder"),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| format!("{shown} cannot be used")),
    }
}

fn as_text(report: &Report<'_>) -> String {
    let manifest = report.manifest;
    let mut text = format!(
        "The backup of {} is whole: {} leaves of the log {}.\n",
        manifest.created, manifest.leaves, manifest.origin
    );
    text += match (report.checkpoint, report.accepted) {
        (None, _) => {
            "No newer checkpoint is known, so whether it is the newest backup cannot be told.\n"
        }
        (Some(_), false) => "It has everything that the newest known checkpoint is signed over.\n",
        (Some(_), true) => {
            "It is OLDER than the newest known checkpoint; that it was accepted will be recorded.\n"
        }
    };
    if !report.lost_keys.is_empty() {
        text += &report.lost_keys.len().to_string();
        text += " of its keys were generated inside an HSM, which this HSM is not or which destroyed them: they are lost.\n";
    }
    if report.dry_run {
        text += "Nothing was restored.\n";
    } else {
        text.extend([
            "It is restored to ",
            &report.data.display().to_string(),
            "; name that folder as data in the configuration and start the appliance.\n",
        ]);
    }
    text
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct CommandLine {
        #[command(flatten)]
        arguments: Arguments,
    }

    #[test]
    fn accepting_an_older_backup_needs_a_reason() {
        let parse = |more: &[&str]| {
            let all = ["restore", "f", "--data", "d"].iter().chain(more);
            CommandLine::try_parse_from(all).map(|line| line.arguments)
        };
        assert!(parse(&[]).is_ok());
        assert!(parse(&["--accept-older"]).is_err());
        assert!(parse(&["--reason", "x"]).is_err());
        assert!(
            parse(&["--accept-older", "--reason", "x"])
                .unwrap()
                .known
                .accept_older
        );
        assert!(check_reason(Some(" ")).is_err());
        assert!(check_reason(Some(&"x".repeat(513))).is_err());
        assert!(check_reason(Some("the disk burnt")).is_ok());
    }

    #[test]
    fn the_console_says_how_a_backup_is_verified() {
        let said = strongroom_console::host::VERIFY_BACKUP;
        let words = said.strip_prefix("strongroomd ").unwrap().split(' ');
        let line = CommandLine::try_parse_from(words).unwrap();
        assert!(line.arguments.dry_run);
        assert!(said.starts_with("strongroomd restore "));
    }

    #[test]
    fn the_kept_checkpoint_is_named_so_alone() {
        let parse = |name| CommandLine::try_parse_from(["restore", "f", "--data", "d", name, "c"]);
        assert!(parse("--checkpoint").is_ok());
        assert!(parse("--witness").is_err());
    }

    #[test]
    fn only_an_empty_folder_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        check_empty(folder.path()).unwrap();
        check_empty(&folder.path().join("new")).unwrap();
        fs::write(folder.path().join("f"), "").unwrap();
        assert!(check_empty(folder.path()).is_err());
    }
}
