//! A seed: what somebody would otherwise do at the console of a first start, signed beforehand by the key that the image trusts for that.
//!
//! | file | what lives there |
//! |---|---|
//! | `mod` | the first start's step: found, believed, kept |
//! | `found` | where one may be: SMBIOS, `fw_cfg`, a stick |
//! | `signed` | whose signature counts |
//! | `document` | what one says |
//! | `hsm`, `restore`, `witness` | of its HSM, of the backup that it is made of, and of the witness that it is |
//! | `machine` | whether it is for this machine, now |
//!
//! A seed that is there and not good stops the first start: nothing is made of half of it, nor without it. What must never happen here: a byte of a
//! seed read as settings before its signature was verified; a secret in one.

mod document;
mod found;
mod hsm;
mod machine;
mod restore;
mod signed;
mod witness;

use std::fs;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};
use strongroom_update::SigningKey;

pub(crate) use document::Document;
pub(crate) use hsm::{Hsm, Kind, PinUse, SITE};
pub(crate) use restore::Restore;
pub(crate) use witness::Witness;

use crate::machine::HOME;
use crate::{clock, files, init};

/// The longest seed, in bytes.
const LONGEST: u64 = 256 * 1024;
/// Whose signature counts: in the root, which the kernel checks block by block.
const KEY: &str = "/usr/share/strongroom/seed.pem";
/// The seed that this appliance was made by, in its folder.
const KEPT: &str = "seed";
/// Why a seed was refused, for the console.
const REFUSED: &str = "/run/strongroom-seed/refused";

/// Why a seed is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// It is longer than any may be.
    #[error("it is longer than {LONGEST} bytes")]
    TooLong,
    /// It does not begin as a seed does.
    #[error("it does not begin with \"{}\"", signed::BEGINNING)]
    NotASeed,
    /// It has no signature at its end.
    #[error("it is not signed")]
    Unsigned,
    /// It was changed after it was signed, or signed by another key.
    #[error("it is not signed by the key that this image trusts for seeds, or was changed since")]
    Foreign,
    /// It is signed and of a format that this release does not know.
    #[error("it has format {0}, and this release reads format {format}", format = signed::FORMAT)]
    Format(String),
    /// It is signed and cannot be read.
    #[error("it cannot be read: {0}")]
    Malformed(String),
    /// It is signed and says something that cannot be.
    #[error("{0}")]
    Unusable(String),
    /// It has expired.
    #[error(
        "it expired {0}, by this machine's clock: bring a newer one, or set the clock in the firmware's settings"
    )]
    Expired(String),
    /// It is for other machines.
    #[error("it is for other machines: this one's {what} is {is}")]
    OtherMachine {
        /// By what machines are told apart.
        what: &'static str,
        /// What that is here.
        is: String,
    },
    /// The settings lead to no configuration.
    #[error("{0}")]
    Settings(String),
    /// It, or what it is held against, is there and cannot be read.
    #[error("{0}")]
    Unreadable(String),
}

/// A seed that was believed.
pub(crate) struct Seed {
    /// What it says.
    pub(crate) document: Document,
    /// SHA-256 of its file, in hexadecimal: what `sha256sum` says.
    pub(crate) sha256: String,
}

/// The step of the first start, as root: looks for a seed, and keeps what init goes by. Without one nothing is done.
///
/// # Errors
/// When there is one and it is refused.
pub(crate) fn run() -> Result<()> {
    match take() {
        Ok(Some(seed)) => {
            say(&format!("set up by the seed with SHA-256 {}", seed.sha256));
            Ok(())
        }
        Ok(None) => Ok(()),
        Err(error) => {
            let why = format!("{error:#}");
            files::replace(Path::new(REFUSED), 0o644, why.as_bytes())?;
            Err(error.context("the seed is refused, and nothing was made from it"))
        }
    }
}

/// Says whether a machine with this key would take a seed, as far as that does not depend on the machine.
///
/// # Errors
/// When it would not.
pub(crate) fn check(file: &str, key: &str) -> Result<()> {
    let opened = fs::File::open(file).with_context(|| format!("{file} cannot be opened"))?;
    let bytes = bounded(opened).with_context(|| format!("{file} is refused"))?;
    let seed = believe(&bytes, Path::new(key))
        .and_then(|seed| init::check(&seed.document).map(|()| seed))
        .with_context(|| format!("{file} is refused"))?;
    writeln!(
        io::stdout(),
        "A machine whose image trusts {key} is set up by this seed.\nSHA-256 {}",
        seed.sha256
    )
    .context("standard output cannot be written")
}

/// Why a seed was refused at this start.
pub(crate) fn refused() -> Option<String> {
    fs::read_to_string(REFUSED).ok()
}

/// The seed that the appliance in this folder is, or was, made by. It was believed when it was put there, where root alone writes.
///
/// # Errors
/// When it is damaged.
pub(crate) fn kept(home: &Path) -> Result<Option<Seed>> {
    let file = home.join(KEPT);
    let bytes = match fs::read(&file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(error).with_context(|| format!("{} cannot be read", file.display()));
        }
    };
    let document = signed::Parts::of(&bytes)
        .and_then(|parts| Document::read(parts.text))
        .with_context(|| format!("{} is damaged", file.display()))?;
    Ok(Some(Seed {
        document,
        sha256: sha256(&bytes),
    }))
}

/// Looks for a seed, and puts what it says where it is used. One of a first start that was broken off counts where no other is there.
fn take() -> Result<Option<Seed>> {
    let Some(bytes) = found::seed()? else {
        return kept(Path::new(HOME));
    };
    let seed = believe(&bytes, Path::new(KEY))?;
    machine::fits(&seed.document)?;
    init::check_module(&seed.document)?;
    init::check(&seed.document)?;
    if let Some(network) = &seed.document.network {
        network.keep()?;
    }
    clock::keep(&seed.document.ntp)?;
    // Last: where it lies, all of it was done.
    files::replace(&kept_at(), 0o644, &bytes)?;
    Ok(Some(seed))
}

fn kept_at() -> PathBuf {
    Path::new(HOME).join(KEPT)
}

/// What was signed by the key in this file.
fn believe(bytes: &[u8], key: &Path) -> Result<Seed, Refusal> {
    let unreadable = |error: &dyn std::fmt::Display| {
        Refusal::Unreadable(format!(
            "the key for seeds, {}, cannot be read: {error}",
            key.display()
        ))
    };
    let pem = fs::read(key).map_err(|error| unreadable(&error))?;
    let key = SigningKey::from_pem(&pem).map_err(|error| unreadable(&error))?;
    let text = signed::verified(bytes, &key)?;
    let document = Document::read(text)?;
    Ok(Seed {
        document,
        sha256: sha256(bytes),
    })
}

/// All of a file that is not too long to be a seed.
fn bounded(from: impl io::Read) -> Result<Vec<u8>, Refusal> {
    let mut bytes = Vec::new();
    from.take(LONGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Refusal::Unreadable(format!("it cannot be read: {error}")))?;
    if bytes.len() as u64 > LONGEST {
        return Err(Refusal::TooLong);
    }
    Ok(bytes)
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// A line of the log. Where nobody hears it there is nobody left to tell.
fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}
