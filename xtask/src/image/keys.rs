//! The keys that sign an image: Secure Boot's three, and the one of the policy for PCR 11; and the one that signs seeds, of which the image has the
//! public half.
//!
//! A site keeps its own in a folder of its own and names it with `--keys`. What is made here is for trying.

use std::{fs, os::unix::fs::DirBuilderExt as _, path::Path, process::Command};

use anyhow::{Context, Result};

use super::{Bench, tools::Tools};
use crate::{process, terminal::shown};

/// Where the key and the certificate that sign kernel and boot loader stand in the chroot.
pub(crate) const SIGNING: (&str, &str) = ("/keys/db.key", "/keys/db.pem");

/// The key that signs seeds, in the folder of keys, and its public half.
pub(crate) const SEED: (&str, &str) = ("seed.key", "seed.pem");

/// Whose keys these are, to a firmware that lists them.
pub(crate) const OWNER: &str = "53747267-726f-6f6d-0000-00000000000f";

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
    pair(folder, "pcr.key", "pcr.pub")?;
    pair(folder, SEED.0, SEED.1)
}

/// Makes a key and its public half, where the latter is not there.
pub(crate) fn pair(folder: &Path, private: &str, public: &str) -> Result<()> {
    if folder.join(public).exists() {
        return Ok(());
    }
    let openssl = |arguments: &[&str]| {
        process::answer(Command::new("openssl").args(arguments).current_dir(folder))
    };
    openssl(&["genrsa", "-out", private, "2048"])?;
    openssl(&["rsa", "-in", private, "-pubout", "-out", public]).map(drop)
}

/// Puts beside the image what a machine's firmware takes to enrol our keys: `PK.auth`, `KEK.auth` and `db.auth` (UEFI 2.10 section 8.2.2).
pub(crate) fn enrolment(bench: &Bench, tools: &Tools) -> Result<()> {
    let made = bench.work.join("enrol");
    super::remove(&made)?;
    fs::create_dir_all(&made).with_context(|| format!("{} cannot be made", shown(&made)))?;
    for (name, signer) in [("PK", "PK"), ("KEK", "PK"), ("db", "KEK")] {
        process::answer(
            Command::new("openssl")
                .args(["x509", "-outform", "DER", "-in"])
                .arg(bench.keys.join(format!("{name}.pem")))
                .arg("-out")
                .arg(made.join(format!("{name}.der"))),
        )?;
        tools.sh(
            &format!(
                "cd enrol; sbsiglist --owner {OWNER} --type x509 --output $1.esl $1.der; \
                 faketime -f \"$(date -u -d @{epoch} '+%Y-%m-%d %H:%M:%S')\" sbvarsign --key /keys/$2.key --cert /keys/$2.pem --output $1.auth $1 $1.esl; \
                 rm $1.esl $1.der",
                epoch = super::EPOCH
            ),
            &[name, signer],
        )?;
    }
    let enrol = bench.out.join("enrol");
    super::remove(&enrol)?;
    process::answer(Command::new("cp").arg("-r").arg(&made).arg(&enrol)).map(|_| ())
}
