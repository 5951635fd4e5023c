//! The kept checkpoint: the newest one, in a file outside of the database, against which a database that was rolled back or cut shows
//! when the appliance starts.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, bail};
use strongroom_keystore::backup::Restored;
use strongroom_keystore::store::Store;
use strongroom_keystore::{Held, Keystore, hold_against};

use crate::config::Config;
use crate::folder::write_whole;

/// In the data folder: what a restore left for the first `serve`.
pub(crate) const RESTORED: &str = "restored.json";

/// The file with the kept checkpoint.
#[derive(Debug)]
pub(crate) struct KeptCheckpoint {
    path: PathBuf,
    /// The size of the checkpoint that this process has written.
    kept: Mutex<Option<u64>>,
}

impl KeptCheckpoint {
    /// The configuration's.
    pub(crate) fn new(config: &Config) -> Self {
        Self::at(config.kept_checkpoint())
    }

    pub(crate) fn at(path: PathBuf) -> Self {
        Self {
            path,
            kept: Mutex::default(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The checkpoint that was kept; none where none ever was.
    pub(crate) fn read(&self) -> anyhow::Result<Option<String>> {
        match fs::read_to_string(&self.path) {
            Ok(note) => Ok(Some(note)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| {
                format!("the kept checkpoint {} cannot be read", self.path.display())
            }),
        }
    }

    /// Refuses a database that does not have what the kept checkpoint is signed over, unless a restore has had it accepted.
    pub(crate) fn check(
        &self,
        store: &dyn Store,
        domain: &str,
        restored: Option<&Restored>,
    ) -> anyhow::Result<()> {
        let Some(note) = self.read()? else {
            // A new appliance has none yet.
            let snapshot = store.snapshot()?;
            let signed = match snapshot.domain(domain)? {
                Some(record) => snapshot.newest_checkpoint(record.number)?,
                None => None,
            };
            if signed.is_some() {
                tracing::warn!(
                    "there is no kept checkpoint: whether the database was rolled back cannot be told this time"
                );
            }
            return Ok(());
        };
        let shown = self.path.display();
        let held = hold_against(store, domain, &note)
            .with_context(|| format!("the database cannot be held against {shown}"))?;
        let accepted = restored
            .and_then(|restored| restored.accepted.as_ref())
            .is_some_and(|accepted| accepted.checkpoint == note);
        match held {
            Held::Continues => {}
            _ if accepted => {
                tracing::warn!("an older database is served, as its restore was told to accept it");
            }
            Held::Behind { leaves, known } => bail!(
                "the database was rolled back or cut: it has {leaves} leaves, and the checkpoint in {shown} is signed over {known}; restore the newest backup"
            ),
            Held::Diverges { known } => bail!(
                "the database has another history than the checkpoint of {known} leaves in {shown} is signed over; restore the newest backup"
            ),
        }
        Ok(())
    }

    /// Keeps the newest checkpoint, if this process has not yet. An older one is gone only once the newer one is on the disk.
    pub(crate) fn keep(&self, keystore: &Keystore) -> anyhow::Result<()> {
        let Some((size, note)) = keystore.newest_checkpoint()? else {
            return Ok(());
        };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if *kept != Some(size) {
            write(&self.path, &note)
                .with_context(|| format!("{} cannot be written", self.path.display()))?;
            *kept = Some(size);
        }
        Ok(())
    }
}

/// Writes a kept checkpoint and, if need be, its folder.
pub(crate) fn write(path: &Path, note: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::DirBuilder::new()
            .mode(0o700)
            .recursive(true)
            .create(folder)?;
    }
    write_whole(path, note.as_bytes())
}

/// What a restore left in the data folder, if this appliance's HSM has signed it.
pub(crate) fn restored(config: &Config, store: &dyn Store) -> anyhow::Result<Option<Restored>> {
    let path = config.data.join(RESTORED);
    let file = match fs::read(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(error).with_context(|| format!("{} cannot be read", path.display()));
        }
    };
    let restored = Restored::from_file(&file, store, &config.domain)
        .with_context(|| format!("{} cannot be used", path.display()))?;
    Ok(Some(restored))
}

/// Records a restore as a leaf, has that signed and the checkpoint kept, and only then forgets it.
pub(crate) fn record(
    config: &Config,
    keystore: &Keystore,
    kept: &KeptCheckpoint,
    restored: &Restored,
) -> anyhow::Result<()> {
    let leaf = keystore
        .record_restore(restored)
        .map_err(|refusal| refusal.error)
        .context("the restore cannot be recorded")?;
    tracing::warn!(leaf, "the database was restored from a backup");
    keystore.sign_checkpoint()?;
    kept.keep(keystore)?;
    let path = config.data.join(RESTORED);
    fs::remove_file(&path).with_context(|| format!("{} cannot be removed", path.display()))
}
