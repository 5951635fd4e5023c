//! `pkcs11`: setting up the PKCS #11 module for legacy applications.
//!
//! | file | what lives there |
//! |---|---|
//! | `configure` | `pkcs11 configure`: writes the configuration and registers the module |
//! | `credentials` | what `accounts secret --json` and the like left |
//! | `document` | changing a configuration file that is there, comments and all |
//! | `p11_kit` | p11-kit's module files, and where the module itself is |
//! | `doctor` | `pkcs11 doctor`: looks for what is wrong |

mod configure;
mod credentials;
mod doctor;
mod document;
mod p11_kit;

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use clap::Subcommand;
use strongroom_client::file::NewFile;

use crate::Context;
use crate::failure::Failure;

/// `strongroom pkcs11`.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Write the module's configuration for a service account, and register the module with p11-kit.
    Configure(Box<configure::Configure>),
    /// Look for what is wrong with the module's configuration, its files, the appliance, the account and the module itself.
    Doctor(doctor::Doctor),
}

impl Command {
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::Configure(configure) => configure.run(context),
            Self::Doctor(doctor) => doctor.run(context),
        }
    }
}

/// A new file that others may read as far as the umask lets them, and nobody else may change whatever it lets them.
fn readable(path: &Path, replace: bool) -> io::Result<NewFile> {
    let new = NewFile::shared(path, replace)?;
    let mode = fs::metadata(new.temporary_path())?.permissions().mode();
    let mode = fs::Permissions::from_mode(mode & 0o755);
    fs::set_permissions(new.temporary_path(), mode)?;
    Ok(new)
}
