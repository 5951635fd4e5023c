//! The keys that sign an image: Secure Boot's three, and the one of the policy for PCR 11.
//!
//! A site keeps its own in a folder of its own and names it with `--keys`. What is made here is for trying.

use std::{fs, os::unix::fs::DirBuilderExt as _, path::Path, process::Command};

use anyhow::{Context, Result};

use crate::{process, terminal::shown};

/// Where the key and the certificate that sign kernel and boot loader stand in the chroot.
pub(crate) const SIGNING: (&str, &str) = ("/keys/db.key", "/keys/db.pem");

/// Makes the keys that are not there yet.
pub(crate) fn ensure(folder: &Path) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("{} cannot be made", shown(folder)))?;
    for name in ["PK", "KEK", "db"] {
        if folder.join(format!("{name}.pem")).exists() {
            continue;
        }
        // RSA, as that is what every firmware takes (UEFI 2.10 section 32.4.1).
        process::answer(
            Command::new("openssl")
                .args(["req", "-x509", "-newkey", "rsa:2048", "-noenc", "-sha256"])
                .args(["-days", "3650", "-subj"])
                .arg(format!("/CN=Strongroom {name}"))
                .args(["-keyout", &format!("{name}.key")])
                .args(["-out", &format!("{name}.pem")])
                .current_dir(folder),
        )?;
    }
    if !folder.join("pcr.pub").exists() {
        let openssl = |arguments: &[&str]| {
            process::answer(
                Command::new("openssl")
                    .args(arguments)
                    .current_dir(folder),
            )
        };
        openssl(&["genrsa", "-out", "pcr.key", "2048"])?;
        openssl(&["rsa", "-in", "pcr.key", "-pubout", "-out", "pcr.pub"])?;
    }
    Ok(())
}
