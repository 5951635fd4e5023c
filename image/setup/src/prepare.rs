//! The first start: makes the appliance on this machine's data partition.
//!
//! `strongroomd init` makes token, keys, certificates and the first administrator. Then the PIN goes into a systemd credential that only this
//! machine's TPM opens, and out of the data folder. Killed at any moment, it is done again from the beginning at the next start:
//! `strongroomd init` throws away what it had not finished, and the configuration is the last thing that is written.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::machine;

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
const ADMINISTRATOR: &str = "admin";
/// Where the appliance's configuration stands, and while it is not whole yet.
const CONFIG: &str = "/var/lib/strongroom/data/strongroom.toml";
/// The PIN, opened by this machine's TPM only.
const CREDENTIAL: &str = "/var/lib/strongroom/hsm-pin.cred";
const CREDENTIAL_NAME: &str = "hsm-pin";
const NO_SECURE_BOOT: &str = "Secure Boot is off, so nobody could tell which software runs here: turn it on in the firmware's settings, with the keys that came with the image, and start again.";

/// What `strongroomd init --json` says.
#[derive(Deserialize)]
struct Made {
    enrolment_code: String,
}

/// Makes the appliance.
pub(crate) fn run() -> Result<()> {
    let _ = fs::remove_file(machine::REFUSED);
    if !machine::secure_boot() {
        return refuse(NO_SECURE_BOOT);
    }
    if !machine::data_is_open() {
        return refuse("The data partition is not open, so there is no place for keys.");
    }
    let (user, group) = service_user(&read("/etc/passwd")?)?;
    let made = initialise(user, group)?;
    seal_pin()?;
    write_private(machine::ENROLMENT_CODE, made.enrolment_code.as_bytes())
}

fn refuse(why: &str) -> Result<()> {
    let folder = Path::new(machine::REFUSED).parent();
    if let Some(folder) = folder {
        fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    }
    fs::write(machine::REFUSED, why).context("the reason cannot be kept")?;
    bail!("{why}")
}

/// Runs `strongroomd init` as the service's user.
fn initialise(user: u32, group: u32) -> Result<Made> {
    for folder in [machine::DATA, "/var/lib/strongroom/tokens"] {
        fs::create_dir_all(folder).with_context(|| format!("{folder} cannot be made"))?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
            .with_context(|| format!("{folder} cannot be made private"))?;
        chown(folder, Some(user), Some(group))
            .with_context(|| format!("{folder} cannot be given to the service"))?;
    }
    let mut names = machine::addresses();
    names.insert(0, "strongroom.local".to_owned());
    let mut init = Command::new("strongroomd");
    init.args(["init", "--json", "--data", machine::DATA])
        .args(["--module", MODULE, "--token", "strongroom", "--initialise-token"])
        .args(["--client-listen", "[::]:8443", "--admin-listen", "[::]:9443"])
        .args(["--admin-account", ADMINISTRATOR]);
    for name in names {
        init.args(["--hostname", &name]);
    }
    let output = init
        .uid(user)
        .gid(group)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("`strongroomd` cannot be started")?;
    if !output.status.success() {
        bail!("`strongroomd init` did not succeed");
    }
    serde_json::from_slice(&output.stdout).context("what `strongroomd init` said cannot be read")
}

/// Moves the PIN from its file into a credential, and names that in the configuration.
fn seal_pin() -> Result<()> {
    let file = Path::new(machine::DATA).join("hsm-pin");
    let pin = fs::read(&file).context("the PIN cannot be read")?;
    let mut creds = Command::new("systemd-creds")
        .args(["encrypt", "--with-key=tpm2", "--tpm2-pcrs=7"])
        .arg(format!("--name={CREDENTIAL_NAME}"))
        .args(["-", CREDENTIAL])
        .stdin(Stdio::piped())
        .spawn()
        .context("`systemd-creds` cannot be started")?;
    creds
        .stdin
        .take()
        .context("`systemd-creds` takes no input")?
        .write_all(trimmed(&pin))
        .context("the PIN cannot be handed over")?;
    if !creds.wait().context("`systemd-creds` was lost")?.success() {
        bail!("the TPM did not take the PIN");
    }
    let config = read(CONFIG)?;
    replace(CONFIG, &with_credential(&config)?)?;
    // The partition is encrypted; overwriting is for who reads the free blocks of a running machine.
    for secret in [file, Path::new(machine::DATA).join("hsm-so-pin")] {
        match fs::metadata(&secret) {
            Ok(about) => {
                let zeros = vec![0; usize::try_from(about.len()).unwrap_or_default()];
                fs::write(&secret, zeros)
                    .and_then(|()| fs::remove_file(&secret))
                    .context("the PIN's file cannot be removed")?;
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error).context("the PIN's file cannot be removed"),
        }
    }
    Ok(())
}

fn trimmed(pin: &[u8]) -> &[u8] {
    pin.trim_ascii()
}

/// The configuration with the PIN from the credential.
fn with_credential(config: &str) -> Result<String> {
    const FROM: &str = "pin = \"file:hsm-pin\"";
    if !config.contains(FROM) {
        bail!("the configuration does not say where the PIN is");
    }
    Ok(config.replace(FROM, &format!("pin = \"credential:{CREDENTIAL_NAME}\"")))
}

/// The service's user and group, of the text of `/etc/passwd`.
fn service_user(passwd: &str) -> Result<(u32, u32)> {
    passwd
        .lines()
        .find_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            match fields.as_slice() {
                ["strongroom", _, user, group, ..] => {
                    Some((user.parse().ok()?, group.parse().ok()?))
                }
                _ => None,
            }
        })
        .context("this machine has no user strongroom")
}

fn read(file: &str) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("{file} cannot be read"))
}

fn write_private(file: &str, bytes: &[u8]) -> Result<()> {
    fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(file)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .with_context(|| format!("{file} cannot be written"))
}

/// Replaces a file's text in one step; owner and mode stay.
fn replace(file: &str, text: &str) -> Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let about = fs::metadata(file).with_context(|| format!("{file} cannot be read"))?;
    let new = format!("{file}.new");
    write_private(&new, text.as_bytes())?;
    chown(&new, Some(about.uid()), Some(about.gid()))
        .and_then(|()| fs::set_permissions(&new, about.permissions()))
        .and_then(|()| fs::rename(&new, file))
        .with_context(|| format!("{file} cannot be replaced"))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn the_services_user_is_found_by_its_name() {
        let passwd = "root:x:0:0::/:/usr/sbin/nologin\nstrongroom:x:998:997::/:/usr/sbin/nologin\n";
        assert_eq!(service_user(passwd).unwrap(), (998, 997));
        assert!(service_user("root:x:0:0::/:/bin/sh\n").is_err());
    }

    #[test]
    fn the_configuration_names_the_credential_and_nothing_else_changes() {
        let config = "name = \"x\"\n[hsm]\npin = \"file:hsm-pin\"\n";
        assert_eq!(
            with_credential(config).unwrap(),
            "name = \"x\"\n[hsm]\npin = \"credential:hsm-pin\"\n"
        );
        assert!(with_credential("[hsm]\npin = \"prompt\"\n").is_err());
    }
}
