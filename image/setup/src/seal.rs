//! The end of the first start, as root: the HSM's PIN goes out of the service's folder, to where root alone reads it, and the service gets it as a
//! systemd credential. The mark that lets the service start is the last thing that is written.
//!
//! What keeps it from a thief is the data partition's own encryption. Under the TPM by itself systemd would make a key of the TPM's owner at each
//! start, who has a password here (`count`); and its host key is one of the machine's identifier, which is another at each start.

use std::fs;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use zeroize::Zeroizing;

use crate::machine;

/// The PIN, for root alone.
const PIN: &str = "/var/lib/strongroom/hsm-pin";
const CREDENTIAL_NAME: &str = "hsm-pin";

/// Takes the PIN away from the service, and leaves the mark.
pub(crate) fn run() -> Result<()> {
    let pin_file = Path::new(machine::DATA).join("hsm-pin");
    let pin = Zeroizing::new(fs::read(&pin_file).context("the PIN cannot be read")?);
    crate::files::replace(Path::new(PIN), 0o600, pin.trim_ascii())?;
    let config = fs::read_to_string(machine::CONFIG).context("the configuration cannot be read")?;
    // In place, so that it stays the service's own; who is killed meanwhile begins anew.
    write(
        Path::new(machine::CONFIG),
        with_credential(&config)?.as_bytes(),
    )?;
    for secret in [pin_file, Path::new(machine::DATA).join("hsm-so-pin")] {
        forget(&secret).with_context(|| format!("{} cannot be removed", secret.display()))?;
    }
    write(Path::new(machine::PREPARED), b"")?;
    fs::File::open(machine::HOME)
        .and_then(|folder| folder.sync_all())
        .with_context(|| format!("{} cannot be written", machine::HOME))
}

/// The configuration with the PIN from the credential.
fn with_credential(config: &str) -> Result<String> {
    const FROM: &str = "pin = \"file:hsm-pin\"";
    if !config.contains(FROM) {
        bail!("the configuration does not say where the PIN is");
    }
    Ok(config.replace(FROM, &format!("pin = \"credential:{CREDENTIAL_NAME}\"")))
}

/// Overwrites a file and removes it. The partition is encrypted; overwriting is for who reads the free blocks of a running machine.
fn forget(secret: &Path) -> std::io::Result<()> {
    // In place: what truncates first gives the blocks back as they are.
    match fs::OpenOptions::new().write(true).open(secret) {
        Ok(mut file) => {
            let length = file.metadata()?.len();
            io::copy(&mut io::repeat(0).take(length), &mut file)?;
            file.sync_all()?;
            fs::remove_file(secret)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn write(file: &Path, bytes: &[u8]) -> Result<()> {
    fs::File::create(file)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .with_context(|| format!("{} cannot be written", file.display()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn the_configuration_names_the_credential_and_nothing_else_changes() {
        let config = "name = \"x\"\n[hsm]\npin = \"file:hsm-pin\"\n";
        assert_eq!(
            with_credential(config).unwrap(),
            "name = \"x\"\n[hsm]\npin = \"credential:hsm-pin\"\n"
        );
        assert!(with_credential("[hsm]\npin = \"prompt\"\n").is_err());
    }

    #[test]
    fn a_secret_is_forgotten_once_and_twice() {
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("pin");
        fs::write(&secret, "1234").unwrap();
        forget(&secret).unwrap();
        assert!(!secret.exists());
        forget(&secret).unwrap();
    }
}
