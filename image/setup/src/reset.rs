//! The factory reset: the data partition's key slots are destroyed, and the next start makes a new one. What was on it is then noise, to whoever has
//! the disk and this machine, too.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::count;
use crate::machine::{self, End};

/// By this variable systemd-repart, in the initial RAM disk, is asked to make anew what is marked `FactoryReset=` (repart.d(5)).
const REQUEST: &str = "/sys/firmware/efi/efivars/FactoryReset-8cf2644b-4b0b-428f-9387-6d876050dc67";
/// The variable lasts, and is there for the boot's services and for the system (UEFI 2.10 section 8.2.1).
const ATTRIBUTES: u32 = 0x7;

/// Asks for the reset, destroys the key slots, and restarts. Broken off after the request, it is done by the next start.
pub(crate) fn run() -> Result<()> {
    if machine::data_is_open() {
        // Its password goes with the data. Broken off here, the next start gives it one again.
        count::release_owner()?;
    }
    fs::write(REQUEST, request()).context("the firmware does not take the request")?;
    if Path::new(machine::PARTITION).exists() {
        let status = Command::new("cryptsetup")
            .args(["luksErase", "--batch-mode", machine::PARTITION])
            .stdin(Stdio::null())
            .status()
            .context("`cryptsetup` cannot be started")?;
        if !status.success() {
            bail!("the key slots could not be destroyed");
        }
    }
    machine::end(End::Reboot)
}

/// The variable's attributes and its value, `yes` in UTF-16 with its end.
fn request() -> Vec<u8> {
    let value = "yes\0".encode_utf16().flat_map(u16::to_le_bytes);
    ATTRIBUTES.to_le_bytes().into_iter().chain(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_is_what_a_firmware_keeps() {
        assert_eq!(request(), b"\x07\0\0\0y\0e\0s\0\0\0");
    }
}
