//! The image as an update of one that runs: kernel image, root and tree of hashes in one file, signed by the key that signs the kernel image.

use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use strongroom_update::{Head, Manifest, Parts, SigningKey};

use super::{Bench, root::Root, write};
use crate::{process, terminal::shown};

/// What is wrong with a release on purpose: the matrix sees that a machine goes back from it by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The kernel panics before anything is started.
    Kernel,
    /// The root is not the one that its tree of hashes is over.
    Root,
    /// The service comes up and does not reach its HSM.
    Service,
}

impl Fault {
    /// What is added to the kernel's command line: with neither an initial RAM disk nor a root it panics.
    pub(crate) const fn command_line(self) -> &'static str {
        match self {
            Self::Kernel => " rdinit=/none",
            Self::Root | Self::Service => "",
        }
    }

    /// What is added to the root: files, and what is in each.
    pub(crate) const fn files(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Service => &[
                (
                    "usr/lib/systemd/system/strongroomd.service.d/fault.conf",
                    "[Service]\nEnvironment=SOFTHSM2_CONF=/dev/null\n",
                ),
                // Half of the time that a release has: nobody waits the longer for what will not come.
                (
                    "usr/lib/systemd/system/strongroom-trial.timer.d/fault.conf",
                    "[Timer]\nOnBootSec=\nOnBootSec=5min\n",
                ),
            ],
            Self::Kernel | Self::Root => &[],
        }
    }

    /// What its files' names end with.
    const fn suffix(self) -> &'static str {
        match self {
            Self::Kernel => "_kernel",
            Self::Root => "_root",
            Self::Service => "_service",
        }
    }
}

/// Makes the update of the image that was just built.
pub(crate) fn make(bench: &Bench, unified: &Path, root: &Root) -> Result<PathBuf> {
    let squashfs = match bench.fault {
        Some(Fault::Root) => flipped(bench, &root.squashfs)?,
        _ => root.squashfs.clone(),
    };
    let files = [unified, &squashfs, &root.verity];
    let measure = |file: &Path| {
        strongroom_update::measure(reader(file)?)
            .with_context(|| format!("{} cannot be read", shown(file)))
    };
    let manifest = Manifest::new(
        bench
            .version
            .parse()
            .with_context(|| format!("{} is no version", bench.version))?,
        bench.security_version,
        bench.kernel.flavour(),
        root.hash.parse()?,
        Parts {
            kernel: measure(files[0])?,
            root: measure(files[1])?,
            verity: measure(files[2])?,
        },
    )?;
    write_update(bench, &manifest, files)
}

/// Sees that an update, which is all of an image in its compressed form, is no larger than it may be.
///
/// # Errors
///
/// When it is, with both sizes.
pub(crate) fn see_size(update: &Path, limit: u64) -> Result<()> {
    let size = fs::metadata(update)
        .with_context(|| format!("{} cannot be read", shown(update)))?
        .len();
    if size > limit {
        bail!(
            "{} has {size} bytes, and may have {limit}: take more out of the root (image/taken-out.list)",
            shown(update)
        );
    }
    Ok(())
}

/// Reads the update as a machine does that it is for.
///
/// # Errors
///
/// When a machine that runs this image would refuse it for its signature, its head or a part.
pub(crate) fn check(bench: &Bench) -> Result<Manifest> {
    let pem = super::read(&bench.keys.join("db.pem"))?;
    let key = SigningKey::from_pem(pem.as_bytes())?;
    let update = bench.out.join(format!("{}.update", bench.name()));
    let mut reader = reader(&update)?;
    let head = Head::read(&mut reader, &key)?;
    strongroom_update::verify_parts(reader, &head.manifest().parts, |_, _| Ok(()))?;
    Ok(head.manifest().clone())
}

/// Writes an update with this manifest.
fn write_update(bench: &Bench, manifest: &Manifest, files: [&Path; 3]) -> Result<PathBuf> {
    let suffix = bench.fault.map_or("", Fault::suffix);
    let update = bench.out.join(format!("{}{suffix}.update", bench.name()));
    let to =
        File::create(&update).with_context(|| format!("{} cannot be written", shown(&update)))?;
    let [kernel, root, verity] = files;
    let mut to = BufWriter::new(to);
    strongroom_update::make(
        &mut to,
        manifest,
        [
            &mut reader(kernel)?,
            &mut reader(root)?,
            &mut reader(verity)?,
        ],
        |signed| sign(bench, signed).map_err(io::Error::other),
    )?;
    to.flush()?;
    Ok(update)
}

fn sign(bench: &Bench, signed: &[u8]) -> Result<Vec<u8>> {
    let file = bench.work.join("update.signed");
    write(&file, signed)?;
    process::answer(
        Command::new("openssl")
            .args(["dgst", "-sha256", "-sign"])
            .arg(bench.keys.join("db.key"))
            .arg(&file),
    )
}

fn reader(file: &Path) -> Result<BufReader<File>> {
    File::open(file)
        .map(BufReader::new)
        .with_context(|| format!("{} cannot be read", shown(file)))
}

/// A copy of the root with one bit flipped, in its superblock, which is read at each start.
fn flipped(bench: &Bench, squashfs: &Path) -> Result<PathBuf> {
    let copy = bench.work.join("flipped.squashfs");
    fs::copy(squashfs, &copy).with_context(|| format!("{} cannot be copied", shown(squashfs)))?;
    let mut file = fs::OpenOptions::new().read(true).write(true).open(&copy)?;
    // Bytes 8 to 11 are the time at which it was made.
    let mut byte = [0];
    file.seek(SeekFrom::Start(8))?;
    file.read_exact(&mut byte)?;
    file.seek(SeekFrom::Start(8))?;
    file.write_all(&[byte[0] ^ 1])?;
    Ok(copy)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn an_image_may_be_as_large_as_its_limit_and_no_larger() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(100).unwrap();
        assert!(see_size(file.path(), 100).is_ok());
        let error = see_size(file.path(), 99).unwrap_err();
        assert!(
            error.to_string().contains("has 100 bytes, and may have 99"),
            "{error}"
        );
    }
}
