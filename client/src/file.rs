//! Files that appear under their name only when they are complete.

use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// A file being written. Until [`Self::complete`] it has a temporary name beside the one it shall have, and
/// dropping it removes it: whoever finds the file under its name finds all of it.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::io::Write;
/// use strongroom_client::file::NewFile;
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("report.txt");
/// let mut file = NewFile::private(&path, false)?;
/// file.write_all(b"the report")?;
/// assert!(!path.exists());
/// file.complete()?;
/// assert_eq!(std::fs::read(&path)?, b"the report");
/// # Ok(())
/// # }
/// ```
pub struct NewFile {
    temporary: NamedTempFile,
    path: PathBuf,
    replace: bool,
}

impl NewFile {
    /// A new file that only its owner may read.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use strongroom_client::file::NewFile;
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("report.txt");
    /// NewFile::private(&path, false)?.complete()?;
    /// assert!(NewFile::private(&path, false).is_err()); // there is one
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] when there is one with this name and `replace` is false.
    pub fn private(path: &Path, replace: bool) -> io::Result<Self> {
        Self::with_mode(path, replace, 0o600)
    }

    /// A new file that others may read as far as the process's umask lets them.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use strongroom_client::file::NewFile;
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("report.txt.sealed");
    /// NewFile::shared(&path, false)?.complete()?;
    /// NewFile::shared(&path, true)?.complete()?; // replaces it
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Self::private`].
    pub fn shared(path: &Path, replace: bool) -> io::Result<Self> {
        Self::with_mode(path, replace, 0o666)
    }

    /// Where the file is until it is complete.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use strongroom_client::file::NewFile;
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("report.txt");
    /// let file = NewFile::private(&path, false)?;
    /// let temporary = file.temporary_path().to_owned();
    /// drop(file); // given up
    /// assert!(!temporary.exists());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn temporary_path(&self) -> &Path {
        self.temporary.path()
    }

    /// Gives the file its name, once its bytes are on the disk.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::io::Write;
    /// use strongroom_client::file::NewFile;
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("report.txt");
    /// let mut file = NewFile::private(&path, false)?;
    /// write!(file, "the report")?;
    /// let length = file.complete()?.metadata()?.len();
    /// assert_eq!(length, 10);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] when a file with this name appeared meanwhile.
    pub fn complete(self) -> io::Result<File> {
        self.temporary.as_file().sync_data()?;
        let renamed = if self.replace {
            self.temporary.persist(&self.path)
        } else {
            self.temporary.persist_noclobber(&self.path)
        };
        renamed.map_err(|error| error.error)
    }

    fn with_mode(path: &Path, replace: bool, mode: u32) -> io::Result<Self> {
        if !replace && path.symlink_metadata().is_ok() {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "a file with this name exists",
            ));
        }
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let temporary = tempfile::Builder::new()
            .prefix(".strongroom-")
            .suffix(".part")
            .permissions(Permissions::from_mode(mode))
            .tempfile_in(folder)?;
        Ok(Self {
            temporary,
            path: path.to_owned(),
            replace,
        })
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.temporary.as_file_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.temporary.as_file_mut().flush()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::fs;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn a_file_appears_when_it_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.pdf");
        let mut file = NewFile::private(&path, false).unwrap();
        file.write_all(b"half").unwrap();
        assert!(!path.exists());
        assert!(file.temporary_path().exists());
        file.write_all(b" and half").unwrap();
        file.complete().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"half and half");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(names(folder.path()), ["report.pdf"]);
    }

    #[test]
    fn an_abandoned_file_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = NewFile::shared(&folder.path().join("a"), false).unwrap();
        file.write_all(b"half").unwrap();
        drop(file);
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn an_existing_file_is_replaced_only_on_request() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "old").unwrap();
        let error = NewFile::shared(&path, false).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        let mut file = NewFile::shared(&path, true).unwrap();
        file.write_all(b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        file.complete().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }

    #[test]
    fn a_file_that_appeared_meanwhile_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let file = NewFile::private(&path, false).unwrap();
        fs::write(&path, "theirs").unwrap();
        assert!(file.complete().is_err());
        assert_eq!(fs::read(&path).unwrap(), b"theirs");
        assert_eq!(names(folder.path()), ["a"]);
    }
}
