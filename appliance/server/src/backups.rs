//! Making backups: where they go, one at a time, by hand or by the schedule, and which of them are kept. That they are sent elsewhere is of
//! `watch/deposits.rs`.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::ops::ControlFlow;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use strongroom_hsm::Hsm;
use strongroom_keystore::backup::{BackupSource, Manifest, Progress, write_backup};
use strongroom_keystore::{Clock as _, SystemClock};
use strongroom_wire::encoding::Timestamp;

use crate::config::Config;
use crate::folder::{sync_folder, write_whole};
use crate::metrics;

const PARTIAL: &str = ".partial";
const EXTENSION: &str = ".backup";
/// How long the schedule waits after a failure.
const TRY_AGAIN: Duration = Duration::from_mins(10);
/// How often one of many domains is looked at: an hour is the shortest interval of backups.
const LOOK_AGAIN: Duration = Duration::from_mins(5);
/// A backup is larger than its database by 16 bytes for each 16 KiB and its header.
const OVERHEAD: u64 = 1024 * 1024;

/// A backup that was made.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) path: PathBuf,
    pub(crate) length: u64,
    pub(crate) manifest: Manifest,
}

/// Makes a backup at `to`, which is there only once it is complete and on the disk.
pub(crate) fn make(
    config: &Config,
    hsm: Arc<dyn Hsm>,
    created: Timestamp,
    to: &Path,
    progress: Progress<'_>,
) -> anyhow::Result<Made> {
    check_target(config, to)?;
    let work = WorkFolder::take(&config.data)?;
    let folder = folder_of(to);
    let mut file = tempfile::Builder::new()
        .prefix(".strongroom-")
        .suffix(PARTIAL)
        .tempfile_in(folder)
        .with_context(|| format!("nothing can be written in {}", folder.display()))?;
    let database = config.database();
    let source = BackupSource {
        database: &database,
        domain: &config.domain,
        work: &work.path,
    };
    let mut out = BufWriter::new(file.as_file_mut());
    let manifest = write_backup(source, hsm, created, &mut out, progress)?;
    out.flush().context("the backup cannot be written")?;
    drop(out);
    file.as_file()
        .sync_all()
        .context("the backup cannot be written")?;
    let length = file.as_file().metadata()?.len();
    file.persist_noclobber(to)
        .map_err(|error| error.error)
        .with_context(|| format!("{} cannot be made", to.display()))?;
    sync_folder(to)?;
    Ok(Made {
        path: to.to_owned(),
        length,
        manifest,
    })
}

/// Makes the folder for the scheduled backups of a domain.
pub(crate) fn make_folder_of(config: &Config) -> anyhow::Result<()> {
    let folder = &config.backup.folder;
    fs::DirBuilder::new()
        .mode(0o700)
        .recursive(true)
        .create(folder)
        .with_context(|| format!("the folder {} cannot be made", folder.display()))
}

/// Makes that folder where it is in the data folder: elsewhere one that is missing is a disk that is missing.
pub(crate) fn prepare_folder(config: &Config) -> anyhow::Result<()> {
    if config.backup.folder.starts_with(&config.data) {
        make_folder_of(config)?;
    }
    Ok(())
}

/// Whether a backup could be made at `to`: nothing is there, and there is space for it and for the copy that it is made from.
pub(crate) fn check_target(config: &Config, to: &Path) -> anyhow::Result<()> {
    if to.exists() {
        bail!("there is a file at {} already", to.display());
    }
    let needed = database_size(config)?;
    for folder in [folder_of(to), &config.data] {
        let found = rustix::fs::statvfs(folder)
            .with_context(|| format!("the folder {} cannot be used", folder.display()))?;
        let free = found.f_bavail.saturating_mul(found.f_frsize);
        if free < needed + OVERHEAD {
            bail!(
                "the backup needs {needed} bytes in {}, where {free} are free",
                folder.display()
            );
        }
    }
    Ok(())
}

/// The most bytes that a copy of the database has.
pub(crate) fn database_size(config: &Config) -> anyhow::Result<u64> {
    let database = config.database();
    let length = fs::metadata(&database)
        .with_context(|| format!("there is no database at {}", database.display()))?
        .len();
    let log = fs::metadata(config.data.join("strongroom.db-wal"));
    Ok(length + log.map_or(0, |log| log.len()))
}

/// The name of a backup that is begun at this moment.
pub(crate) fn name(domain: &str, created: Timestamp) -> String {
    format!("{}{}{EXTENSION}", prefix(domain), stamp(created))
}

fn prefix(domain: &str) -> String {
    format!("strongroom-{domain}-")
}

/// `20261123T145500Z`: as text in the order of time.
fn stamp(time: Timestamp) -> String {
    let text = time.to_string();
    let second: String = text
        .chars()
        .take(19)
        .filter(|c| !"-:".contains(*c))
        .collect();
    second + "Z"
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// The folder for the plain copy, which is empty and whose content is deleted at the end. Only one process has it at a time.
struct WorkFolder {
    path: PathBuf,
    _lock: File,
}

impl WorkFolder {
    fn take(data: &Path) -> anyhow::Result<Self> {
        let path = data.join("backup-work");
        let unusable = || format!("the folder {} cannot be used", path.display());
        fs::DirBuilder::new()
            .mode(0o700)
            .recursive(true)
            .create(&path)
            .with_context(unusable)?;
        let lock = File::open(&path).with_context(unusable)?;
        if lock.try_lock().is_err() {
            bail!("another backup is being made; try again when it is done");
        }
        let folder = Self { path, _lock: lock };
        // What a backup that was killed left.
        folder.clear();
        Ok(folder)
    }

    fn clear(&self) {
        for entry in fs::read_dir(&self.path).into_iter().flatten().flatten() {
            // What stays is in the way of the next backup, which then says so.
            let _ = fs::remove_file(entry.path());
        }
    }
}

impl Drop for WorkFolder {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Records in the domain's log that a backup is made, in a leaf with this note.
pub(crate) type Record<'a> = &'a dyn Fn(String) -> anyhow::Result<()>;

/// What the leaf of a backup says that nobody asked for in a session.
pub(crate) fn leaf_note(by: &str, to: &Path) -> String {
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    // No file's name is longer than 255 bytes.
    format!("by {by} file {name}")
}

/// Backups at intervals, of which so many are kept.
pub(crate) struct Schedule {
    config: Config,
    hsm: Arc<dyn Hsm>,
    not_before: Mutex<Option<Instant>>,
    stop: Arc<AtomicBool>,
}

impl Schedule {
    /// The schedule that the configuration asks for, if it does. It ends a backup that is being made when `stop` is set.
    pub(crate) fn new(config: &Config, hsm: Arc<dyn Hsm>, stop: Arc<AtomicBool>) -> Option<Self> {
        (!config.backup.folder.as_os_str().is_empty()).then(|| Self {
            config: config.clone(),
            hsm,
            not_before: Mutex::default(),
            stop,
        })
    }

    /// As [`run`](Self::run), for one of many domains: between two looks into its folder some time passes.
    pub(crate) fn run_one_of_many(&self, record: Record<'_>) {
        self.run(record);
        let mut not_before = self
            .not_before
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if not_before.is_none_or(|moment| moment < Instant::now()) {
            *not_before = Instant::now().checked_add(LOOK_AGAIN);
        }
    }

    /// Makes a backup if one is due, which is recorded first, and deletes those that are not to be kept.
    pub(crate) fn run(&self, record: Record<'_>) {
        let mut not_before = self
            .not_before
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if not_before.is_some_and(|moment| Instant::now() < moment) {
            return;
        }
        match self.run_if_due(SystemClock.now(), record) {
            Ok(()) => *not_before = None,
            Err(error) => {
                *not_before = Instant::now().checked_add(TRY_AGAIN);
                tracing::error!(
                    error = format!("{error:#}"),
                    "no backup could be made; it is tried again in 10 minutes"
                );
            }
        }
    }

    fn run_if_due(&self, now: Timestamp, record: Record<'_>) -> anyhow::Result<()> {
        let settings = &self.config.backup;
        prepare_folder(&self.config)?;
        let before = self.backups()?;
        let interval = u64::from(settings.every_hours.get()) * 3_600_000;
        let since = Timestamp::from_millis(now.as_millis().saturating_sub(interval));
        let newest = before.last().map(String::as_str).unwrap_or_default();
        if newest > name(&self.config.domain, since).as_str() {
            return Ok(());
        }
        let to = settings.folder.join(name(&self.config.domain, now));
        record(leaf_note("the schedule", &to))?;
        let hsm = Arc::clone(&self.hsm);
        let made = make(&self.config, hsm, now, &to, &mut |_, _, _| {
            if self.stop.load(Ordering::Relaxed) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        metrics::backup(now);
        tracing::info!(path = %made.path.display(), leaves = made.manifest.leaves, "a backup was made");
        let all = self.backups()?;
        let keep = usize::try_from(settings.keep.get()).unwrap_or(usize::MAX);
        for old in all.iter().rev().skip(keep) {
            let path = settings.folder.join(old);
            fs::remove_file(&path)
                .with_context(|| format!("the old backup {} cannot be deleted", path.display()))?;
            Sent::forget(&path);
        }
        Ok(())
    }

    /// The names of the backups that are there, the oldest first.
    fn backups(&self) -> anyhow::Result<Vec<String>> {
        made(&self.config.backup.folder, &self.config.domain)
    }
}

/// The names of a domain's backups in a folder, the oldest first.
pub(crate) fn made(folder: &Path, domain: &str) -> anyhow::Result<Vec<String>> {
    let entries = fs::read_dir(folder)
        .with_context(|| format!("the folder {} cannot be read", folder.display()))?;
    let prefix = prefix(domain);
    let mut found: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| {
            name.strip_prefix(&prefix)
                .and_then(|rest| rest.strip_suffix(EXTENSION))
                .is_some_and(is_stamp)
        })
        .collect();
    found.sort_unstable();
    Ok(found)
}

/// That a backup was sent to a target: a file beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sent {
    /// The URL of the target's folder.
    pub(crate) to: String,
    /// When it had taken all of it.
    pub(crate) at: Timestamp,
    /// When the file had last been written that was sent, in milliseconds since 1970: the registry of domains is written again.
    written: u64,
}

impl Sent {
    const EXTENSION: &str = "sent";

    /// Whether the backup at this path was sent there, as it is.
    pub(crate) fn of(backup: &Path, target: &str) -> Option<Self> {
        let text = fs::read(backup.with_added_extension(Self::EXTENSION)).ok()?;
        let sent: Self = serde_json::from_slice(&text).ok()?;
        (sent.to == target && sent.written == written(backup).ok()?).then_some(sent)
    }

    /// Keeps that the target has taken what was written then.
    pub(crate) fn keep(backup: &Path, to: &str, written: u64) -> anyhow::Result<()> {
        let sent = Self {
            to: to.to_owned(),
            at: SystemClock.now(),
            written,
        };
        let file = backup.with_added_extension(Self::EXTENSION);
        write_whole(&file, &serde_json::to_vec(&sent)?)
            .with_context(|| format!("{} cannot be written", file.display()))
    }

    /// What is left where that fails is a small file that nobody reads.
    fn forget(backup: &Path) {
        let _ = fs::remove_file(backup.with_added_extension(Self::EXTENSION));
    }
}

/// When a file was last written, in milliseconds since 1970.
pub(crate) fn written(file: &Path) -> io::Result<u64> {
    let since = fs::metadata(file)?.modified()?.duration_since(UNIX_EPOCH);
    let millis = since.map_or(0, |since| since.as_millis());
    Ok(u64::try_from(millis).unwrap_or(u64::MAX))
}

/// Whether this is what [`stamp`] makes, so that no other file is taken for a backup and deleted.
fn is_stamp(text: &str) -> bool {
    let digits =
        |part: &str, length| part.len() == length && part.bytes().all(|b| b.is_ascii_digit());
    text.strip_suffix('Z')
        .and_then(|text| text.split_once('T'))
        .is_some_and(|(day, time)| digits(day, 8) && digits(time, 6))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn names_sort_by_time_and_are_known_again() {
        let moment = Timestamp::from_millis(1_795_445_700_123);
        assert_eq!(
            name("default", moment),
            "strongroom-default-20261123T145500Z.backup"
        );
        assert!(is_stamp(&stamp(moment)));
        assert!(stamp(moment) < stamp(moment.plus_seconds(1)));
        for foreign in [
            "",
            "20261123T1455Z",
            "20261123T145500",
            "2026112aT145500Z",
            "x20261123T145500Z",
        ] {
            assert!(!is_stamp(foreign), "{foreign}");
        }
    }

    #[test]
    fn what_was_written_again_or_goes_elsewhere_was_not_sent() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.backup");
        fs::write(&file, "1").unwrap();
        assert_eq!(Sent::of(&file, "https://a/"), None);
        Sent::keep(&file, "https://a/", written(&file).unwrap()).unwrap();
        assert!(Sent::of(&file, "https://a/").is_some());
        assert_eq!(Sent::of(&file, "https://b/"), None);
        // Whatever the clock said meanwhile.
        let earlier = UNIX_EPOCH + Duration::from_secs(1);
        let opened = File::options().write(true).open(&file).unwrap();
        opened.set_modified(earlier).unwrap();
        assert_eq!(Sent::of(&file, "https://a/"), None);
        Sent::keep(&file, "https://a/", written(&file).unwrap()).unwrap();
        assert!(Sent::of(&file, "https://a/").is_some());
        Sent::forget(&file);
        assert_eq!(Sent::of(&file, "https://a/"), None);
    }

    #[test]
    fn one_backup_is_made_at_a_time_and_leaves_nothing() {
        let data = tempfile::tempdir().unwrap();
        let work = WorkFolder::take(data.path()).unwrap();
        fs::write(work.path.join("copy.db"), "x").unwrap();
        assert!(WorkFolder::take(data.path()).is_err());
        let path = work.path.clone();
        drop(work);
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
        fs::write(path.join("copy.db"), "of a killed one").unwrap();
        let again = WorkFolder::take(data.path()).unwrap();
        assert_eq!(fs::read_dir(&again.path).unwrap().count(), 0);
    }
}
