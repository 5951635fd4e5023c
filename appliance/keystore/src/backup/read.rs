//! Opening a backup: nothing of it is believed before all of it has been verified.

use std::fs::OpenOptions;
use std::io::{Read, Write as _};
use std::ops::ControlFlow;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use strongroom_cobblestone::{CobblestoneError, DecryptReader, ObjectKey};
use strongroom_hsm::{Hsm, HsmError};

use super::manifest::Header;
use super::write::PIECE;
use super::{BackupError, Manifest, Progress, Stage, go_on, io};
use crate::audit::verify_audit;
use crate::hierarchy::Domain;
use crate::kept;
use crate::store::Store as _;
use crate::store::sqlite::{SqliteStore, check_database};

/// What a backup says of itself. It is a claim until [`read_backup`] has succeeded.
///
/// # Errors
///
/// When the file is no backup.
pub fn read_manifest(backup: &mut impl Read) -> Result<Manifest, BackupError> {
    Header::read(backup).map(|header| header.manifest)
}

/// Opens a backup of `domain` into a new database at `into`, and answers its manifest once everything has been verified: the payload and
/// the manifest against the HSM's key, the database against the manifest and the HSM, the audit tree from its first leaf to its last.
/// On an error the caller deletes what there is at `into`.
///
/// # Errors
///
/// Whatever is not as it was written.
pub fn read_backup(
    backup: &mut impl Read,
    hsm: Arc<dyn Hsm>,
    domain: &str,
    into: &Path,
    progress: Progress<'_>,
) -> Result<Manifest, BackupError> {
    let header = Header::read(backup)?;
    if header.manifest.domain != domain {
        return Err(BackupError::Domain {
            found: header.manifest.domain,
            expected: domain.to_owned(),
        });
    }
    let key = hsm
        .unwrap(domain, &header.key)
        .map_err(|error| match error {
            HsmError::WrappedKeyRejected { .. } | HsmError::KeyNotFound { .. } => {
                BackupError::WrongHsm(error)
            }
            error => BackupError::Hsm(error),
        })?;
    let key = ObjectKey::from_slice(key.as_bytes()).map_err(BackupError::Altered)?;
    decrypt(&header, &key, backup, into, progress)?;
    verify(&header.manifest, hsm, into, progress)?;
    Ok(header.manifest)
}

/// Decrypts the payload, and holds it against the manifest.
fn decrypt(
    header: &Header,
    key: &ObjectKey,
    backup: &mut impl Read,
    into: &Path,
    progress: Progress<'_>,
) -> Result<(), BackupError> {
    let what = "the restored database cannot be written";
    let mut payload =
        DecryptReader::new(key, &header.context(), backup).map_err(BackupError::Altered)?;
    let mut database = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(into)
        .map_err(io(what))?;
    let expected = &header.manifest.database;
    let mut digest = Sha256::new();
    let mut piece = vec![0; PIECE];
    let mut length = 0;
    loop {
        let read =
            payload
                .read(&mut piece)
                .map_err(|error| match CobblestoneError::refusal(&error) {
                    Some(refusal) => BackupError::Altered(refusal.into()),
                    None => io("the backup cannot be read")(error),
                })?;
        if read == 0 {
            break;
        }
        let part = piece.get(..read).unwrap_or_default();
        digest.update(part);
        database.write_all(part).map_err(io(what))?;
        length += read as u64;
        go_on(progress(Stage::Decrypting, length, expected.length))?;
    }
    database.sync_all().map_err(io(what))?;
    if length != expected.length || digest.finalize().as_slice() != expected.sha256.0 {
        return Err(BackupError::OtherDatabase);
    }
    Ok(())
}

/// Holds the database against manifest, HSM and itself.
fn verify(
    manifest: &Manifest,
    hsm: Arc<dyn Hsm>,
    database: &Path,
    progress: Progress<'_>,
) -> Result<(), BackupError> {
    check_database(database)?;
    let store = SqliteStore::open(database)?;
    let record = store
        .snapshot()?
        .domain(&manifest.domain)?
        .ok_or(BackupError::OtherDatabase)?;
    let checkpoint = kept::newest_checkpoint(&store, &record)?;
    Domain::open(&record, hsm, 0, Duration::ZERO)?;

    let mut answer = ControlFlow::Continue(());
    let report = verify_audit(&store, &manifest.domain, &mut |done, of| {
        answer = progress(Stage::Verifying, done, of);
    })?;
    go_on(answer)?;
    if let Some(problem) = report.problems.first() {
        return Err(BackupError::Audit(problem.clone()));
    }
    if report.leaves != manifest.leaves
        || checkpoint != manifest.checkpoint
        || record.origin != manifest.origin
    {
        return Err(BackupError::OtherDatabase);
    }
    Ok(())
}
