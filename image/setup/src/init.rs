//! The first start, as the service's user: `strongroomd init` makes token, keys, certificates and the first administrator.
//!
//! Killed at any moment, it is done again from the beginning at the next start: nothing serves before `seal` has left its mark, and what
//! there is without it is thrown away.

use std::fs;
use std::io::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::machine;

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
const ADMINISTRATOR: &str = "admin";
const TOKENS: &str = "/var/lib/strongroom/tokens";

/// What `strongroomd init --json` says.
#[derive(Deserialize)]
struct Made {
    enrolment_code: String,
}

/// Makes the appliance.
pub(crate) fn run() -> Result<()> {
    if let Some(obstacle) = machine::obstacle() {
        bail!("{obstacle}");
    }
    // Nothing has served from them: they are what a start left that was broken off.
    for folder in [machine::DATA, TOKENS] {
        empty(Path::new(folder)).with_context(|| format!("{folder} cannot be emptied"))?;
    }
    let made = initialise()?;
    present_authority()?;
    write_private(
        Path::new(machine::ENROLMENT_CODE),
        made.enrolment_code.as_bytes(),
    )
}

/// Removes all that is in a folder, and leaves the folder.
fn empty(folder: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn initialise() -> Result<Made> {
    let mut init = Command::new("strongroomd");
    init.args(["init", "--json", "--data", machine::DATA])
        .args([
            "--module",
            MODULE,
            "--token",
            "strongroom",
            "--initialise-token",
        ])
        .args([
            "--client-listen",
            "[::]:8443",
            "--admin-listen",
            "[::]:9443",
        ])
        .args(["--admin-account", ADMINISTRATOR]);
    for address in addresses() {
        init.args(["--hostname", &address.to_string()]);
    }
    let output = init
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("`strongroomd` cannot be started")?;
    if !output.status.success() {
        bail!("`strongroomd init` did not succeed");
    }
    serde_json::from_slice(&output.stdout).context("what `strongroomd init` said cannot be read")
}

/// The machine's addresses, as soon as it has one: they stand in the certificate, so that without one nobody could come. Where there is no DHCP,
/// somebody types one at the console and restarts.
fn addresses() -> Vec<IpAddr> {
    loop {
        let found = machine::addresses();
        if !found.is_empty() {
            return found;
        }
        thread::sleep(Duration::from_millis(200));
    }
}

/// Has the server send the CA's certificate after its own: whoever comes for the first time holds it against the console's fingerprint.
fn present_authority() -> Result<()> {
    let tls = Path::new(machine::DATA).join("tls");
    let read = |name: &str| {
        fs::read_to_string(tls.join(name))
            .with_context(|| format!("the certificate {name} cannot be read"))
    };
    let chain = format!("{}{}", read("server.pem")?, read("ca.pem")?);
    write_private(&tls.join("server.pem"), chain.as_bytes())
}

/// Writes a file, readable by nobody else where it is new.
fn write_private(file: &Path, bytes: &[u8]) -> Result<()> {
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
        .with_context(|| format!("{} cannot be written", file.display()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_folder_is_emptied_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("tls/more")).unwrap();
        write_private(&folder.path().join("tls/key"), b"secret").unwrap();
        write_private(&folder.path().join("pin"), b"1234").unwrap();
        empty(folder.path()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
