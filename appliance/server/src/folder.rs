//! The data folder: who may use it at a time, and the file that says where the appliance listens.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// The data folder, locked: no other `strongroomd` serves or initialises it while this exists, even after a crash of
/// the other, as the system drops a dead process's lock.
#[derive(Debug)]
pub(crate) struct DataFolder {
    path: PathBuf,
    _lock: File,
}

/// Why the data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FolderError {
    /// Another process has the lock.
    #[error("another strongroomd is using the data folder {path}; stop it first")]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The folder is missing or not writable.
    #[error("the data folder {path} cannot be used: {source}")]
    Unusable {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Where the appliance listens: the content of `addresses.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Addresses {
    /// The client listener.
    pub(crate) client: SocketAddr,
    /// The administration listener.
    pub(crate) admin: SocketAddr,
}

impl DataFolder {
    /// Takes the folder's lock.
    ///
    /// # Errors
    /// [`FolderError::InUse`] when somebody has it.
    pub(crate) fn lock(path: &Path) -> Result<Self, FolderError> {
        let unusable = |source| FolderError::Unusable {
            path: path.to_owned(),
            source,
        };
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.join("lock"))
            .map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(FolderError::InUse {
                path: path.to_owned(),
            }),
            Err(TryLockError::Error(source)) => Err(unusable(source)),
        }
    }

    /// Writes `addresses.json`: whoever reads it sees all of it or none.
    pub(crate) fn publish(&self, addresses: Addresses) -> Result<(), FolderError> {
        let json = serde_json::to_vec(&addresses).map_err(io::Error::from);
        json.and_then(|json| write_whole(&self.addresses(), &json))
            .map_err(|source| FolderError::Unusable {
                path: self.path.clone(),
                source,
            })
    }

    /// Removes `addresses.json`; that it is not there is no error.
    pub(crate) fn withdraw(&self) {
        if let Err(error) = fs::remove_file(self.addresses())
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "addresses.json could not be removed");
        }
    }

    fn addresses(&self) -> PathBuf {
        self.path.join("addresses.json")
    }
}

/// Writes a file of mode 0600 so that after a crash it has either its old content or all of the new.
pub(crate) fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let beside = path.with_added_extension("new");
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    sync_folder(path)
}

/// Makes the entry of `path` in its folder durable.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_folder_has_one_user_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let first = DataFolder::lock(folder.path()).unwrap();
        let refused = DataFolder::lock(folder.path()).unwrap_err();
        assert!(matches!(refused, FolderError::InUse { .. }), "{refused}");
        drop(first);
        DataFolder::lock(folder.path()).unwrap();
    }

    #[test]
    fn addresses_are_published_and_withdrawn() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataFolder::lock(folder.path()).unwrap();
        let addresses = Addresses {
            client: "127.0.0.1:8443".parse().unwrap(),
            admin: "[::1]:9443".parse().unwrap(),
        };
        data.publish(addresses).unwrap();
        let text = fs::read_to_string(folder.path().join("addresses.json")).unwrap();
        assert_eq!(text, r#"{"client":"127.0.0.1:8443","admin":"[::1]:9443"}"#);
        data.withdraw();
        data.withdraw();
        let mut left = fs::read_dir(folder.path()).unwrap();
        assert_eq!(left.next().unwrap().unwrap().file_name(), "lock");
        assert!(left.next().is_none());
    }
}
