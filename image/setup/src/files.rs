//! Files that are there whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::{Context as _, Result};

/// Puts a file of this mode, whatever the process's mask, in the place of the one of its name, durably: whoever looks meanwhile, or after a loss of power, sees the old one or the new one.
pub(crate) fn replace(file: &Path, mode: u32, bytes: &[u8]) -> Result<()> {
    let new = file.with_extension("new");
    let write = || -> io::Result<()> {
        let mut to = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(mode)
            .open(&new)?;
        // The mask of our units takes others' rights away, and a file that was left may have another mode.
        to.set_permissions(fs::Permissions::from_mode(mode))?;
        to.write_all(bytes)?;
        to.sync_all()?;
        fs::rename(&new, file)?;
        sync_folder_of(file)
    };
    write().with_context(|| format!("{} cannot be written", file.display()))
}

/// Removes a file, where it is there.
pub(crate) fn forget(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{} cannot be removed", file.display()))
        }
        _ => Ok(()),
    }
}

/// Makes durable which files are where this one is.
pub(crate) fn sync_folder_of(file: &Path) -> io::Result<()> {
    File::open(file.parent().unwrap_or(Path::new("/")))?.sync_all()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    /// What the service is told has to be readable by it: our units have a mask under which nothing that they make is.
    #[test]
    fn a_file_has_the_mode_that_was_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("told.json");
        for mode in [0o644, 0o600] {
            // What somebody left has the mode that a mask made of it.
            fs::write(file.with_extension("new"), "left").unwrap();
            fs::set_permissions(
                file.with_extension("new"),
                fs::Permissions::from_mode(0o640),
            )
            .unwrap();
            replace(&file, mode, b"told").unwrap();
            assert_eq!(fs::read(&file).unwrap(), b"told");
            let found = fs::metadata(&file).unwrap().permissions().mode();
            assert_eq!(found & 0o777, mode);
        }
    }
}
