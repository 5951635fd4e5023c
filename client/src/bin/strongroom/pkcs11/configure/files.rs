//! The files that a token needs beside the configuration.

use std::fs::{self, DirBuilder};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use strongroom_client::file::NewFile;
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::pkcs11::readable;

/// A file to be written beside the configuration.
pub(super) struct Beside {
    pub(super) path: PathBuf,
    pub(super) content: Zeroizing<Vec<u8>>,
    pub(super) is_secret: bool,
}

impl Beside {
    /// Writes it. One that is there is written anew where `replace`, and left where it is the same and no secret.
    pub(super) fn write(&self, replace: bool) -> Result<(), Failure> {
        let present = match fs::read(&self.path) {
            Ok(present) => Some(Zeroizing::new(present)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(self.failed(&error)),
        };
        if present.as_ref() == Some(&self.content) && !self.is_secret {
            return Ok(());
        }
        if present.is_some() && !replace {
            return Err(Failure::Failed(format!(
                "{} is there already: give --replace to have it written anew",
                self.path.display()
            )));
        }
        let new = if self.is_secret {
            NewFile::private(&self.path, replace)
        } else {
            readable(&self.path, replace)
        };
        new.and_then(|mut new| {
            new.write_all(&self.content)?;
            new.complete().map(drop)
        })
        .map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &io::Error) -> Failure {
        Failure::local(format!("{} cannot be written", self.path.display()), error)
    }
}

/// The file of the token beside the configuration.
pub(super) fn beside_of(config: &Path, label: &str, ending: &str) -> PathBuf {
    let name: String = label
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    config.with_file_name(format!("{name}.{ending}"))
}

/// Makes the configuration's folder, if it is not there: the system's for all to see, a user's for them alone.
pub(super) fn make_folder(file: &Path, of_system: bool) -> Result<(), Failure> {
    let folder = file.parent().unwrap_or(Path::new("/"));
    let mode = if of_system { 0o755 } else { 0o700 };
    DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(folder)
        .map_err(|error| {
            Failure::local(
                format!("the folder {} cannot be made", folder.display()),
                &error,
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_token_have_its_name_and_stay_in_the_folder() {
        let path = beside_of(Path::new("/e/pkcs11.toml"), "../pay roll@x", "secret");
        assert_eq!(path, Path::new("/e/---pay-roll-x.secret"));
    }
}
