//! The servers that the clock is set by, where a seed names some: kept on the data partition, and at each start a file of systemd-timesyncd.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::files;

/// The servers, a space between them.
const KEPT: &str = "/var/lib/strongroom/ntp";
/// Where systemd-timesyncd looks before it looks into the image.
const FOLDER: &str = "/run/systemd/timesyncd.conf.d";

/// Keeps them for this start and all others; where there are none, Debian's stay.
pub(crate) fn keep(servers: &[String]) -> Result<()> {
    match servers {
        [] => files::forget(Path::new(KEPT)),
        _ => files::replace(Path::new(KEPT), 0o600, servers.join(" ").as_bytes()),
    }
}

/// Makes the file of systemd-timesyncd from what is kept.
pub(crate) fn run() -> Result<()> {
    let servers = match fs::read_to_string(KEPT) {
        Ok(servers) => servers,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("{KEPT} cannot be read")),
    };
    write_file(Path::new(FOLDER), &servers).with_context(|| format!("{FOLDER} cannot be written"))
}

fn write_file(folder: &Path, servers: &str) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    // With none to fall back to: whoever names servers means these.
    let text = format!("[Time]\nNTP={servers}\nFallbackNTP=\n");
    fs::write(folder.join("strongroom.conf"), text)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn the_file_names_the_servers_and_no_others() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("timesyncd.conf.d");
        write_file(&folder, "ntp1.example.com 10.0.5.2").unwrap();
        let text = fs::read_to_string(folder.join("strongroom.conf")).unwrap();
        assert_eq!(
            text,
            "[Time]\nNTP=ntp1.example.com 10.0.5.2\nFallbackNTP=\n"
        );
    }
}
