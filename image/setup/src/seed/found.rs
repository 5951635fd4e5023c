//! Where a seed may be. Two are what a hypervisor or a management controller gives a machine, under the names by which systemd takes credentials; we
//! read this one of them ourselves, as systemd would take others as well, and among those are units to be started.
//!
//! | place | what |
//! |---|---|
//! | SMBIOS, type 11 ("OEM Strings") | `io.systemd.credential:strongroom.seed=TEXT`, `io.systemd.credential.binary:strongroom.seed=BASE64` |
//! | `fw_cfg` of QEMU | `opt/io.systemd.credentials/strongroom.seed` |
//! | a stick | the file `strongroom.seed` on a vfat file system with the label `STRONGSEED` |

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Refusal, bounded};
use crate::machine;

/// The structures of SMBIOS, by type and number.
const SMBIOS: &str = "/sys/firmware/dmi/entries";
const FW_CFG: &str =
    "/sys/firmware/qemu_fw_cfg/by_name/opt/io.systemd.credentials/strongroom.seed/raw";
const STICK: &str = "/dev/disk/by-label/STRONGSEED";
/// The unit by which the stick is mounted, and where.
const MOUNT: &str = "run-strongseed.mount";
const MOUNTED: &str = "/run/strongseed/strongroom.seed";
/// How long a stick may take to be there once everything else is: it is asked who it is, and waited for.
const PATIENCE: Duration = Duration::from_secs(8);

/// The seed, if there is one: by SMBIOS before `fw_cfg` before the stick.
///
/// # Errors
/// [`Refusal::Unreadable`], [`Refusal::TooLong`] where there is one that cannot be read.
pub(super) fn seed() -> Result<Option<Vec<u8>>, Refusal> {
    settle();
    if let Some(seed) = in_smbios(Path::new(SMBIOS))? {
        return Ok(Some(seed));
    }
    if let Some(seed) = in_file(Path::new(FW_CFG))? {
        return Ok(Some(seed));
    }
    let since = Instant::now();
    while !Path::new(STICK).exists() {
        if since.elapsed() > PATIENCE {
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(200));
    }
    on_stick()
}

/// Waits until the drivers of what was there at the start are loaded. Where that goes wrong, what is there by then counts.
fn settle() {
    let _ = Command::new("udevadm")
        .args(["settle", "--timeout=120"])
        .stdin(Stdio::null())
        .status();
}

fn on_stick() -> Result<Option<Vec<u8>>, Refusal> {
    let unreadable = |error: &dyn std::fmt::Display| {
        Refusal::Unreadable(format!("the stick STRONGSEED: {error}"))
    };
    machine::start_unit(MOUNT).map_err(|_| {
        unreadable(&"it cannot be mounted, which takes a vfat file system: see the log")
    })?;
    let seed = in_file(Path::new(MOUNTED));
    // It is read-only: who pulls it out meanwhile harms nothing.
    let _ = machine::stop_unit(MOUNT);
    match seed? {
        Some(seed) => Ok(Some(seed)),
        None => Err(unreadable(&"there is no file strongroom.seed on it")),
    }
}

fn in_file(file: &Path) -> Result<Option<Vec<u8>>, Refusal> {
    match fs::File::open(file) {
        Ok(file) => bounded(file).map(Some),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Refusal::Unreadable(format!(
            "{} cannot be read: {error}",
            file.display()
        ))),
    }
}

/// Among the strings of the machine's maker, where hypervisors put their own.
fn in_smbios(folder: &Path) -> Result<Option<Vec<u8>>, Refusal> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(None);
    };
    for entry in entries.flatten() {
        if !entry.file_name().to_string_lossy().starts_with("11-") {
            continue;
        }
        if let Some(structure) = in_file(&entry.path().join("raw"))?
            && let Some(seed) = in_structure(&structure)?
        {
            return Ok(Some(seed));
        }
    }
    Ok(None)
}

/// The strings follow the formatted area, whose length is the structure's second byte; a zero ends each (SMBIOS 3.7, sections 6.1.3 and 7.12).
fn in_structure(structure: &[u8]) -> Result<Option<Vec<u8>>, Refusal> {
    const PLAIN: &[u8] = b"io.systemd.credential:strongroom.seed=";
    const BASE64: &[u8] = b"io.systemd.credential.binary:strongroom.seed=";
    let Some(strings) = structure
        .get(1)
        .and_then(|length| structure.get(usize::from(*length)..))
    else {
        return Ok(None);
    };
    for string in strings.split(|byte| *byte == 0) {
        if let Some(plain) = string.strip_prefix(PLAIN) {
            return Ok(Some(plain.to_owned()));
        }
        if let Some(encoded) = string.strip_prefix(BASE64) {
            let seed = STANDARD.decode(encoded.trim_ascii()).map_err(|_| {
                Refusal::Unreadable("what SMBIOS says is not base64, or was cut off".to_owned())
            })?;
            return Ok(Some(seed));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    /// A structure of type 11 with these strings.
    fn structure(strings: &[&str]) -> Vec<u8> {
        let mut bytes = vec![11, 5, 0x00, 0x0b, u8::try_from(strings.len()).unwrap()];
        for string in strings {
            bytes.extend(string.as_bytes());
            bytes.push(0);
        }
        bytes.push(0);
        bytes
    }

    #[test]
    fn a_seed_is_found_among_a_makers_strings() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(in_smbios(&folder.path().join("none")).unwrap(), None);
        let entry = |name: &str, bytes: Vec<u8>| {
            fs::create_dir(folder.path().join(name)).unwrap();
            fs::write(folder.path().join(name).join("raw"), bytes).unwrap();
        };
        entry(
            "0-0",
            structure(&["io.systemd.credential:strongroom.seed=no"]),
        );
        entry(
            "11-0",
            structure(&["Maker's own", "io.systemd.credential:other=x"]),
        );
        assert_eq!(in_smbios(folder.path()).unwrap(), None);
        let given = format!(
            "io.systemd.credential.binary:strongroom.seed={}",
            STANDARD.encode("a\nseed")
        );
        entry("11-1", structure(&["Maker's own", &given]));
        assert_eq!(
            in_smbios(folder.path()).unwrap().as_deref(),
            Some(b"a\nseed".as_slice())
        );
    }

    #[test]
    fn what_is_cut_off_is_refused_and_not_passed_over() {
        let cut = structure(&["io.systemd.credential.binary:strongroom.seed=YQp"]);
        assert!(matches!(in_structure(&cut), Err(Refusal::Unreadable(_))));
        let plain = structure(&["io.systemd.credential:strongroom.seed=# Strongroom"]);
        assert_eq!(
            in_structure(&plain).unwrap().as_deref(),
            Some(b"# Strongroom".as_slice())
        );
        // A structure that says it is longer than it is.
        for broken in [&[][..], &[11], &[11, 200, 0, 0, 1]] {
            assert_eq!(in_structure(broken).unwrap(), None);
        }
    }

    #[test]
    fn a_file_is_read_to_its_bound() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("strongroom.seed");
        assert!(in_file(&file).unwrap().is_none());
        let longest = usize::try_from(super::super::LONGEST).unwrap();
        fs::write(&file, vec![b'#'; longest]).unwrap();
        assert_eq!(in_file(&file).unwrap().unwrap().len(), longest);
        fs::write(&file, vec![b'#'; longest + 1]).unwrap();
        assert!(matches!(in_file(&file), Err(Refusal::TooLong)));
    }
}
