//! What is asked of the machine.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use sha2::{Digest as _, Sha256};

use crate::attest;

/// Where the appliance keeps what is its own.
pub(crate) const HOME: &str = "/var/lib/strongroom";
/// The service's data folder.
pub(crate) const DATA: &str = "/var/lib/strongroom/data";
/// The first administrator's enrolment code, until it is forgotten at the console. It is good once.
pub(crate) const ENROLMENT_CODE: &str = "/var/lib/strongroom/data/enrolment-code";
/// Stands when the first start came to its end.
pub(crate) const PREPARED: &str = "/var/lib/strongroom/prepared";
/// Why the initial RAM disk had the TPM keep the data locked, where it did.
pub(crate) const REFUSED: &str = "/run/strongroom/refused";
/// The data partition.
pub(crate) const PARTITION: &str = "/dev/disk/by-partlabel/strongroom-data";
/// The configuration, which `strongroomd init` writes last.
pub(crate) const CONFIG: &str = "/var/lib/strongroom/data/strongroom.toml";

/// Why no key is kept here, where something is in the way of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Obstacle {
    /// Nobody could tell which software runs.
    #[error(
        "Secure Boot is off, so nobody could tell which software runs here: turn it on in the firmware's settings, with the keys that \
         came with the image, and start again."
    )]
    SecureBootOff,
    /// The TPM has counted a release with a higher security version.
    #[error(
        "This release is older than one that this machine has run, and may have a flaw that was mended since, so the data stays locked: start \
         the newer release."
    )]
    OldRelease,
    /// There is nothing to seal the data to.
    #[error(
        "This machine has no TPM 2.0, or it is off: turn it on in the firmware's settings, and start again."
    )]
    NoTpm,
    /// The first start made no data partition.
    #[error("There is no data partition, and none could be made: the disk needs 4 GiB at least.")]
    NoPartition,
    /// The TPM does not open the data.
    #[error(
        "The data is locked, as this is another machine or another TPM than the one that locked it, or its firmware was changed: put the \
         disk and the settings back as they were, and start again; or type k, where custodians bring the recovery key."
    )]
    Locked,
}

/// What is in the way of serving, of these: the gravest.
pub(crate) fn obstacle() -> Option<Obstacle> {
    if !secure_boot() {
        Some(Obstacle::SecureBootOff)
    } else if !Path::new("/sys/class/tpm/tpm0").exists() {
        Some(Obstacle::NoTpm)
    } else if Path::new(REFUSED).exists() {
        Some(Obstacle::OldRelease)
    } else if data_is_open() {
        None
    } else if Path::new(PARTITION).exists() {
        Some(Obstacle::Locked)
    } else {
        Some(Obstacle::NoPartition)
    }
}

/// Whether the firmware checked what it started: the UEFI variable `SecureBoot` (UEFI 2.10 section 3.3), behind 4 bytes of attributes.
pub(crate) fn secure_boot() -> bool {
    const VARIABLE: &str =
        "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
    fs::read(VARIABLE).is_ok_and(|bytes| bytes.get(4) == Some(&1))
}

/// Whether there is an appliance: its first start has come to its end.
pub(crate) fn is_made() -> bool {
    Path::new(PREPARED).exists()
}

/// Whether the data partition was unlocked and is mounted.
pub(crate) fn data_is_open() -> bool {
    fs::read_to_string("/proc/self/mounts").is_ok_and(|mounts| {
        mounts
            .lines()
            .any(|line| line.starts_with("/dev/mapper/strongroom-data "))
    })
}

/// The addresses of the machine's network interfaces, without the loopback's and those of one link.
pub(crate) fn addresses() -> Vec<IpAddr> {
    let read = |file| fs::read_to_string(file).unwrap_or_default();
    let mut found = v4(&read("/proc/self/net/fib_trie"));
    found.extend(v6(&read("/proc/self/net/if_inet6")));
    found
}

/// The kernel's routing table says each of its own addresses as a local route of 32 bits, in each of two tables.
fn v4(table: &str) -> Vec<IpAddr> {
    let mut found: Vec<IpAddr> = Vec::new();
    let mut last: Option<Ipv4Addr> = None;
    for line in table.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse().ok();
        } else if line.starts_with("/32 host LOCAL") {
            let address = last.filter(|address| !address.is_loopback() && !address.is_link_local());
            found.extend(
                address
                    .map(IpAddr::from)
                    .filter(|address| !found.contains(address)),
            );
        }
    }
    found
}

/// A line for each address: 32 hexadecimal digits, index, length of the prefix, scope (0 is global), flags, name.
fn v6(table: &str) -> Vec<IpAddr> {
    table
        .lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [digits, _, _, "00", ..] = fields.as_slice() else {
                return None;
            };
            let bits = u128::from_str_radix(digits, 16).ok()?;
            Some(IpAddr::from(Ipv6Addr::from(bits)))
        })
        .collect()
}

/// The SHA-256 fingerprint of one of the appliance's own certificates, in pairs of hexadecimal digits.
pub(crate) fn fingerprint(of: &str) -> Result<String> {
    let file = Path::new(DATA).join("tls").join(of);
    let certificate = CertificateDer::from_pem_file(&file)
        .map_err(|error| anyhow::anyhow!("{}: {error}", file.display()))?;
    let digest = Sha256::digest(&certificate);
    let pairs: Vec<String> = digest.iter().map(|byte| format!("{byte:02X}")).collect();
    Ok(pairs.join(":"))
}

/// What the service says of itself (`strongroomd status`): a line for its state, and a few for each HSM.
pub(crate) fn status() -> Option<String> {
    let output = Command::new("strongroomd")
        .args(["--config", CONFIG, "status"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (!text.is_empty()).then_some(text)
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

/// The services whose log the console shows: ours, but for the console itself.
const LOGGED: [&str; 20] = [
    "strongroomd.service",
    "strongroom-bless.service",
    "strongroom-filter.service",
    "strongroom-first-filter.service",
    "strongroom-init.service",
    "strongroom-install.service",
    "strongroom-names.service",
    "strongroom-network.service",
    "strongroom-release.service",
    "strongroom-reset.service",
    "strongroom-restart.service",
    "strongroom-seal.service",
    "strongroom-seed.service",
    "strongroom-trial.service",
    "strongroom-witness.service",
    "strongroom-attest@*.service",
    "strongroom-ceremony@*.service",
    "strongroom-recovery@*.service",
    "strongroom-restore@*.service",
    "strongroom-slot.service",
];

/// The newest lines of the appliance's log.
pub(crate) fn log(lines: u32) -> Result<String> {
    let output = Command::new("journalctl")
        .args(["--no-pager", "--output=short-iso"])
        .args(LOGGED.map(|unit| format!("--unit={unit}")))
        .arg(format!("--lines={lines}"))
        .stdin(Stdio::null())
        .output()
        .context("the log cannot be read")?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What the TPM has measured (bank of SHA-256): Secure Boot and its keys (PCR 7), and the kernel image and how far it came (PCR 11). The values
/// that belong to an image lie beside it. Then which TPM it is, as `strongroom appliance attest` names it.
pub(crate) fn measured() -> Result<String> {
    let register = |index: u32| {
        let file = format!("/sys/class/tpm/tpm0/pcr-sha256/{index}");
        let value = fs::read_to_string(&file).with_context(|| format!("{file} cannot be read"))?;
        let name = format!("PCR {index}");
        anyhow::Ok(format!("{name:<7} {}", value.trim().to_lowercase()))
    };
    let tpm = attest::fingerprint().unwrap_or_else(|error| format!("not known: {error:#}"));
    Ok(format!(
        "{}\n{}\nTPM     {tpm}",
        register(7)?,
        register(11)?
    ))
}

/// Removes the first administrator's enrolment code.
pub(crate) fn forget_enrolment_code() -> Result<()> {
    match fs::remove_file(ENROLMENT_CODE) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).context("the enrolment code cannot be removed")
        }
        _ => Ok(()),
    }
}

/// Restarts the machine, turns it off, or has all data destroyed.
pub(crate) fn end(how: End) -> Result<()> {
    systemctl(match how {
        End::Reboot => &["reboot"],
        End::PowerOff => &["poweroff"],
        End::Reset => &["start", "strongroom-reset.service"],
    })
}

/// Has said what the certificate is to be for.
pub(crate) fn say_names() -> Result<()> {
    systemctl(&["start", "strongroom-names.service"])
}

/// Has the service record that the machine is reset, and tell the receivers of its log; what there is to say of that.
pub(crate) fn record_reset() -> String {
    let output = Command::new("strongroomd")
        .args(["--config", CONFIG, "record-reset"])
        .stdin(Stdio::null())
        .output();
    let why = match output {
        Ok(output) if output.status.success() => {
            return String::from_utf8_lossy(&output.stdout)
                .trim_end()
                .to_owned();
        }
        Ok(output) => String::from_utf8_lossy(&output.stderr)
            .trim_end()
            .to_owned(),
        Err(error) => format!("`strongroomd` cannot be started: {error}"),
    };
    format!("It is done without a record of it in the audit log: {why}.")
}

/// Gives the terminal of a console to others, until they have ended: `recovery`, `restore` or `ceremony`.
pub(crate) fn give_to(whom: &str, terminal: &str) -> Result<()> {
    let unit = format!("strongroom-{whom}@{terminal}.service");
    systemctl(&["start", &unit])
}

/// Starts a unit, and waits until it is.
pub(crate) fn start_unit(unit: &str) -> Result<()> {
    ask_systemd(&["start", unit])
}

/// Stops a unit, and waits until it is.
pub(crate) fn stop_unit(unit: &str) -> Result<()> {
    ask_systemd(&["stop", unit])
}

fn systemctl(words: &[&str]) -> Result<()> {
    ask_systemd(&[&["--no-block"], words].concat())
}

fn ask_systemd(words: &[&str]) -> Result<()> {
    let status = Command::new("systemctl")
        .args(words)
        .stdin(Stdio::null())
        .status()
        .context("systemd does not answer")?;
    if !status.success() {
        bail!("systemd refused to {}", words.join(" "));
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
    /// All data is destroyed, and it starts again as a new one.
    Reset,
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn own_addresses_are_read_once_and_without_the_loopbacks() {
        let table = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     +-- 10.0.2.0/24 2 0 2\n\
                     \x20       |-- 10.0.2.15\n           /32 host LOCAL\n        |-- 127.0.0.1\n           /32 host LOCAL\n\
                     Local:\n        |-- 10.0.2.15\n           /32 host LOCAL\n        |-- 169.254.3.4\n           /32 host LOCAL\n";
        assert_eq!(v4(table), [IpAddr::from([10, 0, 2, 15])]);
    }

    #[test]
    fn addresses_of_one_link_are_left_out() {
        let table = "20010db8000000000000000000000007 02 40 00 80     eth0\nfe80000000000000505400fffe123456 02 40 20 80     eth0\n\
                     00000000000000000000000000000001 01 80 10 80       lo\n";
        let seven = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7);
        assert_eq!(v6(table), [IpAddr::from(seven)]);
    }

    /// The image's units, by name, with what is in each.
    fn units() -> Vec<(String, String)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../root/usr/lib/systemd/system");
        let mut found = Vec::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if name.starts_with("strongroom") && name.ends_with(".service") {
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
        found
    }

    #[test]
    fn the_log_is_that_of_all_our_services() {
        for (name, _) in units() {
            let console = name.starts_with("strongroom-console@");
            // Of a template, each instance.
            let logged = name.replace("@.", "@*.");
            assert!(console || LOGGED.contains(&logged.as_str()), "{name}");
        }
    }

    #[test]
    fn who_uses_the_tpm_can_open_it() {
        let mut users = 0;
        for (name, unit) in units() {
            if unit.contains("DeviceAllow=/dev/tpmrm0") {
                // It belongs to the user tss, and root without this capability is anybody.
                assert!(
                    unit.contains("CapabilityBoundingSet=CAP_DAC_OVERRIDE"),
                    "{name}"
                );
                users += 1;
            }
        }
        assert_eq!(
            users, 8,
            "release, install, bless, reset, attest, slot, recovery and seed"
        );
    }
}
