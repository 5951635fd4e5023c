//! The end of the first start, as root: the HSM's PIN goes out of the service's folder, to where root alone reads it, and the service gets it as a
//! systemd credential; or it goes nowhere, and the service starts sealed until somebody types it. The mark that lets the service start is the last
//! thing that is written.
//!
//! What keeps it from a thief is the data partition's own encryption. Under the TPM by itself systemd would make a key of the TPM's owner at each
//! start, who has a password here (`count`); and its host key is one of the machine's identifier, which is another at each start.

use std::fs;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use zeroize::Zeroizing;

use crate::seed::{self, Document, Hsm, PinUse};
use crate::{machine, names, witness};

/// The mark, where `machine` looks for it.
const PREPARED: &str = "prepared";
/// The PIN's file, in the data folder and then beside it, for root alone; and the credential.
const PIN: &str = "hsm-pin";
/// What lies in the PIN's place where somebody types it at each start: systemd gives the service a credential from there, which it does not read.
const NONE: &[u8] = b"It is typed at each start.\n";
/// Beside the data folder: the variables by which the HSM's module finds its settings, for the service's unit.
const ENVIRONMENT: &str = "hsm-environment";

/// Takes the PIN away from the service, and leaves the mark, in the folder that is given where it is not this machine's own.
pub(crate) fn run(elsewhere: Option<&str>) -> Result<()> {
    let home = Path::new(elsewhere.unwrap_or(machine::HOME));
    let document = seed::kept(home)?.map_or_else(Document::default, |seed| seed.document);
    take_pin(home, document.hsm.pin)?;
    keep_environment(home, &document.hsm)?;
    names::begin_with(home, &document.dns_names)?;
    if let Some(made) = &document.witness {
        witness::make(home, made)?;
    }
    write(&home.join(PREPARED), b"")?;
    fs::File::open(home)
        .and_then(|folder| folder.sync_all())
        .with_context(|| format!("{} cannot be written", home.display()))
}

fn take_pin(home: &Path, pin_use: PinUse) -> Result<()> {
    let data = home.join("data");
    let pin_file = data.join(PIN);
    let pin = Zeroizing::new(fs::read(&pin_file).context("the PIN cannot be read")?);
    let (kept, source) = match pin_use {
        PinUse::Kept => (pin.trim_ascii(), format!("credential:{PIN}")),
        PinUse::Typed => (NONE, "prompt".to_owned()),
    };
    crate::files::replace(&home.join(PIN), 0o600, kept)?;
    let config_file = data.join("strongroom.toml");
    let config = fs::read_to_string(&config_file).context("the configuration cannot be read")?;
    // In place, so that it stays the service's own; who is killed meanwhile begins anew.
    let config = with_source(&config, &pin_file, &source)?;
    write(&config_file, config.as_bytes())?;
    for secret in [pin_file, data.join("hsm-so-pin")] {
        forget(&secret).with_context(|| format!("{} cannot be removed", secret.display()))?;
    }
    Ok(())
}

/// Keeps the variables for the module, in the form of systemd's `EnvironmentFile=`.
fn keep_environment(home: &Path, hsm: &Hsm) -> Result<()> {
    // Values were looked at when the seed was read: nothing in them means something between quotes.
    let data = home.join("data");
    let lines = hsm
        .environment(&data)
        .map(|(name, value)| format!("{name}=\"{value}\"\n"));
    let text: String = lines.collect();
    crate::files::replace(&home.join(ENVIRONMENT), 0o600, text.as_bytes())
}

/// The configuration with the PIN from another source than the file in which it is.
fn with_source(config: &str, pin_file: &Path, source: &str) -> Result<String> {
    let line = |source: &str| format!("pin = \"{source}\"\n");
    let from = [
        line(&format!("file:{PIN}")),
        line(&format!("file:{}", pin_file.display())),
    ];
    match from.iter().find(|from| config.contains(*from)) {
        Some(from) => Ok(config.replacen(from, &line(source), 1)),
        None => bail!("the configuration does not say where the PIN is"),
    }
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

    /// A folder as init leaves it.
    fn made(pin_line: &str) -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        let data = home.path().join("data");
        fs::create_dir(&data).unwrap();
        fs::write(data.join("hsm-pin"), "correct horse\n").unwrap();
        fs::write(data.join("hsm-so-pin"), "another").unwrap();
        let config = format!("name = \"x\"\n[hsm]\n{pin_line}[log]\nlevel = \"warn\"\n");
        fs::write(data.join("strongroom.toml"), config).unwrap();
        home
    }

    fn read(home: &tempfile::TempDir, name: &str) -> String {
        fs::read_to_string(home.path().join(name)).unwrap()
    }

    #[test]
    fn the_mark_stands_where_it_is_looked_for() {
        let mark = Path::new(machine::HOME).join(PREPARED);
        assert_eq!(mark, Path::new(machine::PREPARED));
    }

    #[test]
    fn a_pin_that_is_kept_becomes_a_credential_and_nothing_else_changes() {
        let home = made("pin = \"file:hsm-pin\"\n");
        take_pin(home.path(), PinUse::Kept).unwrap();
        assert_eq!(read(&home, "hsm-pin"), "correct horse");
        assert_eq!(
            read(&home, "data/strongroom.toml"),
            "name = \"x\"\n[hsm]\npin = \"credential:hsm-pin\"\n[log]\nlevel = \"warn\"\n"
        );
        assert!(!home.path().join("data/hsm-pin").exists());
        assert!(!home.path().join("data/hsm-so-pin").exists());
    }

    #[test]
    fn a_pin_that_is_typed_is_nowhere() {
        let home = made("");
        // As init writes it where it was told a file.
        let line = format!(
            "pin = \"file:{}\"\n",
            home.path().join("data/hsm-pin").display()
        );
        let config = read(&home, "data/strongroom.toml").replace("[log]", &format!("{line}[log]"));
        fs::write(home.path().join("data/strongroom.toml"), config).unwrap();
        take_pin(home.path(), PinUse::Typed).unwrap();
        assert!(read(&home, "data/strongroom.toml").contains("[hsm]\npin = \"prompt\"\n"));
        assert!(!home.path().join("data/hsm-pin").exists());
        assert!(!read(&home, "hsm-pin").contains("horse"));
    }

    #[test]
    fn a_configuration_without_that_file_is_refused() {
        let home = made("pin = \"env:PIN\"\n");
        assert!(take_pin(home.path(), PinUse::Kept).is_err());
    }

    #[test]
    fn what_the_module_goes_by_is_kept_for_the_unit() {
        let home = made("");
        let unit = include_str!("../../root/usr/lib/systemd/system/strongroomd.service");
        let file = Path::new(machine::HOME).join(ENVIRONMENT);
        let line = format!("\nEnvironmentFile=-{}\n", file.display());
        assert!(unit.contains(&line));
        keep_environment(home.path(), &Hsm::default()).unwrap();
        assert_eq!(read(&home, ENVIRONMENT), "");
        let seed = "[hsm]\nkind = \"module\"\nenvironment = { B = \"site/b.cfg\", A = \"1 2\" }\n[files]\n\"b.cfg\" = \"\"";
        keep_environment(home.path(), &Document::of(seed).hsm).unwrap();
        let data = home.path().join("data");
        assert_eq!(
            read(&home, ENVIRONMENT),
            format!("A=\"1 2\"\nB=\"{}/site/b.cfg\"\n", data.display())
        );
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
