//! Making a backup.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use strongroom_cobblestone::{CobblestoneError, EncryptWriter, ObjectKey};
use strongroom_hsm::{Hsm, HsmError, MasterKekId};
use strongroom_wire::encoding::Timestamp;

use super::manifest::Header;
use super::{BackupError, Manifest, ManifestDatabase, Progress, Stage, go_on, io};
use crate::error::Error;
use crate::hierarchy::{Domain, hsm_random_key};
use crate::kept;
use crate::recovery::{Recovery, wrapping_versions};
use crate::store::Store as _;
use crate::store::sqlite::{SqliteStore, check_database, copy_database};

/// How much is read at once.
pub(super) const PIECE: usize = 256 * 1024;

/// What is backed up.
#[derive(Debug, Clone, Copy)]
pub struct BackupSource<'a> {
    /// The database, which may be in use by this or another process.
    pub database: &'a Path,
    /// The domain.
    pub domain: &'a str,
    /// A folder for the plain copy, which is to be private and empty: its content is the caller's to delete.
    pub work: &'a Path,
}

/// Writes a backup to `out`, and answers its manifest. On an error what was written is no backup.
///
/// The backup key is made for this backup and wrapped by the newest version of the domain's master KEK; the HSM must be the one that
/// the database belongs to.
///
/// # Errors
///
/// When the database is not whole or not of this HSM, the HSM fails, a file cannot be read or written, or `progress` asked to stop.
pub fn write_backup(
    source: BackupSource<'_>,
    hsm: Arc<dyn Hsm>,
    created: Timestamp,
    out: &mut impl Write,
    progress: Progress<'_>,
) -> Result<Manifest, BackupError> {
    let path = source.work.join("copy.db");
    go_on(copy_database(source.database, &path, &mut |done, of| {
        progress(Stage::Copying, done, of)
    })?)?;
    let (mut manifest, newest) = describe(&path, source.domain, Arc::clone(&hsm), created)?;

    let mut copy = File::open(&path).map_err(io("the database's copy cannot be read"))?;
    let (length, sha256) = digest(&mut copy)?;
    manifest.database = ManifestDatabase {
        length,
        sha256: sha256.to_vec().into(),
    };
    let key = hsm_random_key(&*hsm)?;
    let wrapped = hsm.wrap(&newest, &key).map_err(BackupError::Hsm)?;
    let header = Header::new(wrapped, manifest)?;
    out.write_all(&header.bytes)
        .map_err(io("the backup cannot be written"))?;
    let key = ObjectKey::from_slice(key.as_bytes()).map_err(stream)?;
    let mut encrypted = EncryptWriter::new(&key, &header.context(), out).map_err(stream)?;
    let mut piece = vec![0; PIECE];
    let mut done = 0;
    loop {
        let read = copy
            .read(&mut piece)
            .map_err(io("the database's copy cannot be read"))?;
        if read == 0 {
            break;
        }
        encrypted
            .write_all(piece.get(..read).unwrap_or_default())
            .map_err(io("the backup cannot be written"))?;
        done += read as u64;
        go_on(progress(Stage::Encrypting, done, length))?;
    }
    encrypted.finish().map_err(stream)?;
    Ok(header.manifest)
}

/// Opens the copy as the keystore would, which shows that it is this HSM's, and says what is in it.
fn describe(
    path: &Path,
    domain: &str,
    hsm: Arc<dyn Hsm>,
    created: Timestamp,
) -> Result<(Manifest, MasterKekId), BackupError> {
    let schema = check_database(path)?;
    let store = SqliteStore::open(path)?;
    let (record, leaves) = {
        let snapshot = store.snapshot()?;
        let record = snapshot
            .domain(domain)?
            .ok_or_else(|| Error::Domain(format!("Domain {domain:?} is not initialised.")))?;
        let leaves = snapshot.tree_size(record.number)?;
        (record, leaves)
    };
    let checkpoint = kept::newest_checkpoint(&store, &record)?;
    let opened = Domain::open(&record, hsm, 0, Duration::ZERO)?;
    let snapshot = store.snapshot()?;
    let newest = opened.master_keks(&*snapshot)?.newest;
    let mut versions = wrapping_versions(&*snapshot, &record)?;
    versions.insert(newest);
    let keks = opened.recovery_keks(&*snapshot)?;
    let blobs = opened.recovery_blobs(&*snapshot)?;
    let manifest = Manifest {
        recovery: (!keks.is_empty()).then(|| Recovery::of(&keks, &blobs, &versions)),
        domain: record.name,
        origin: record.origin,
        strongroom: env!("CARGO_PKG_VERSION").to_owned(),
        schema,
        created,
        leaves,
        checkpoint,
        database: ManifestDatabase {
            length: 0,
            sha256: Vec::new().into(),
        },
    };
    Ok((manifest, opened.master_kek(newest)))
}

/// The length and SHA-256 of a file, which is left at its beginning.
fn digest(file: &mut File) -> Result<(u64, [u8; 32]), BackupError> {
    let what = "the database's copy cannot be read";
    let mut digest = Sha256::new();
    let mut piece = vec![0; PIECE];
    let mut length = 0;
    loop {
        let read = file.read(&mut piece).map_err(io(what))?;
        if read == 0 {
            break;
        }
        digest.update(piece.get(..read).unwrap_or_default());
        length += read as u64;
    }
    file.rewind().map_err(io(what))?;
    Ok((length, digest.finalize().into()))
}

fn stream(error: CobblestoneError) -> BackupError {
    BackupError::Io {
        what: "the backup cannot be written",
        source: error.into(),
    }
}

impl From<HsmError> for BackupError {
    fn from(error: HsmError) -> Self {
        Self::Hsm(error)
    }
}
