//! `SoftHSM`'s tokens as folders: one that is moved away is an HSM that is gone, one that is copied is a replica.

use std::fs;
use std::path::{Path, PathBuf};

use crate::appliance::Appliance;
use crate::folders::{copy_folder, make_folder};

/// A token label in a token's file: padded with spaces to 32 bytes.
const LABEL: usize = 32;

/// A token's folder that is somewhere else for the time being.
#[must_use]
pub struct PulledAway {
    place: PathBuf,
    away: PathBuf,
}

impl PulledAway {
    /// Puts it back.
    pub fn put_back(self) {
        fs::rename(&self.away, &self.place).unwrap();
    }
}

/// Moves the token with this label away, from under whoever uses it.
pub fn pull_away(appliance: &Appliance, label: &str) -> PulledAway {
    let place = folder_of(appliance, label);
    let name = place.file_name().unwrap().to_str().unwrap();
    let away = appliance.data().join(format!("away-{name}"));
    fs::rename(&place, &away).unwrap();
    PulledAway { place, away }
}

/// Makes a token with the same keys and PINs, and a serial number of its own, as an HSM's own cloning does.
pub fn clone_token(appliance: &Appliance, label: &str, copy: &str) {
    let from = folder_of(appliance, label);
    let to = from.with_file_name("00000000-0000-0000-0000-0000000000c0");
    make_folder(&to);
    copy_folder(&from, &to);
    let file = to.join("token.object");
    let mut content = fs::read(&file).unwrap();
    let at = position(&content, &padded(label)).expect("the token's file holds its label");
    content[at..at + LABEL].copy_from_slice(&padded(copy));
    let serial = serial_number(&content);
    // A slot is numbered by the end of the serial number.
    content[serial..serial + 16].copy_from_slice(b"00000000000000c0");
    fs::write(&file, content).unwrap();
}

/// Has an appliance's machine reach the HSM of another, whose machine is gone.
pub fn move_tokens(from: &Appliance, to: &Appliance) {
    copy_folder(&from.data().join("tokens"), &to.data().join("tokens"));
}

/// The folder of the token with this label.
fn folder_of(appliance: &Appliance, label: &str) -> PathBuf {
    let tokens = appliance.data().join("tokens");
    let folders = fs::read_dir(&tokens).unwrap();
    let mut folders = folders.map(|entry| entry.unwrap().path());
    folders
        .find(|folder| holds_label(folder, label))
        .unwrap_or_else(|| panic!("there is no token {label} in {}", tokens.display()))
}

fn holds_label(folder: &Path, label: &str) -> bool {
    fs::read(folder.join("token.object"))
        .is_ok_and(|content| position(&content, &padded(label)).is_some())
}

fn padded(label: &str) -> [u8; LABEL] {
    let mut padded = [b' '; LABEL];
    padded[..label.len()].copy_from_slice(label.as_bytes());
    padded
}

/// Where the serial number stands: 16 hexadecimal digits behind their length, eight bytes.
fn serial_number(content: &[u8]) -> usize {
    let length = 16_u64.to_be_bytes();
    let places = content.windows(24).enumerate();
    let mut found = places.filter(|(_, part)| {
        part.starts_with(&length) && part[8..].iter().all(u8::is_ascii_hexdigit)
    });
    found.next().expect("the token's file holds its serial").0 + 8
}

fn position(content: &[u8], part: &[u8]) -> Option<usize> {
    content
        .windows(part.len())
        .position(|window| window == part)
}
