//! What is asked of the machine.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use sha2::{Digest as _, Sha256};

/// Where the appliance keeps what is its own.
pub(crate) const HOME: &str = "/var/lib/strongroom";
/// The service's data folder.
pub(crate) const DATA: &str = "/var/lib/strongroom/data";
/// The first administrator's enrolment code, until somebody has enrolled.
pub(crate) const ENROLMENT_CODE: &str = "/var/lib/strongroom/enrolment-code";
/// Why the first start was refused, a sentence.
pub(crate) const REFUSED: &str = "/run/strongroom/refused";

/// Whether the firmware checked what it started: the UEFI variable `SecureBoot` (UEFI 2.10 section 3.3), behind 4 bytes of attributes.
pub(crate) fn secure_boot() -> bool {
    const VARIABLE: &str =
        "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
    fs::read(VARIABLE).is_ok_and(|bytes| bytes.get(4) == Some(&1))
}

/// Whether the data partition was unlocked and is mounted.
pub(crate) fn data_is_open() -> bool {
    fs::read_to_string("/proc/self/mounts").is_ok_and(|mounts| {
        mounts
            .lines()
            .any(|line| line.starts_with("/dev/mapper/strongroom-data "))
    })
}

/// The addresses of the machine's network interfaces, each as `NAME ADDRESS`, without the loopback's.
pub(crate) fn addresses() -> Vec<String> {
    let mut found = Vec::new();
    // The routing table of the kernel says each of its own addresses as a local route of 32 bits.
    let table = fs::read_to_string("/proc/net/fib_trie").unwrap_or_default();
    let mut last = "";
    for line in table.lines() {
        let line = line.trim();
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address;
        } else if line.starts_with("/32 host LOCAL") && !last.starts_with("127.") {
            let address = last.to_owned();
            if !found.contains(&address) {
                found.push(address);
            }
        }
    }
    found
}

/// The SHA-256 fingerprint of the server's certificate, in pairs of hexadecimal digits.
pub(crate) fn fingerprint() -> Result<String> {
    let file = Path::new(DATA).join("tls/server.pem");
    let certificate = CertificateDer::from_pem_file(&file)
        .map_err(|error| anyhow::anyhow!("{}: {error}", file.display()))?;
    let digest = Sha256::digest(&certificate);
    let pairs: Vec<String> = digest.iter().map(|byte| format!("{byte:02X}")).collect();
    Ok(pairs.join(":"))
}

/// What systemd says of a unit: `active`, `failed`, `inactive` …
pub(crate) fn unit_state(unit: &str) -> String {
    let output = Command::new("systemctl")
        .args(["is-active", unit])
        .stdin(Stdio::null())
        .output();
    output.map_or_else(
        |_| "unknown".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

/// The newest lines of the appliance's log.
pub(crate) fn log(lines: u32) -> Result<String> {
    let output = Command::new("journalctl")
        .args(["--no-pager", "--output=short-iso", "--unit=strongroomd.service"])
        .arg("--unit=strongroom-prepare.service")
        .arg(format!("--lines={lines}"))
        .stdin(Stdio::null())
        .output()
        .context("the log cannot be read")?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Restarts the machine or turns it off.
pub(crate) fn end(how: End) -> Result<()> {
    let word = match how {
        End::Reboot => "reboot",
        End::PowerOff => "poweroff",
    };
    let status = Command::new("systemctl")
        .args(["--no-block", word])
        .stdin(Stdio::null())
        .status()
        .context("systemd does not answer")?;
    if !status.success() {
        bail!("systemd refused to {word}");
    }
    Ok(())
}

/// How the machine ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It starts again.
    Reboot,
    /// It stays off.
    PowerOff,
}
