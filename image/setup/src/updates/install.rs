//! An update into the slot that does not run.
//!
//! What could be started of that slot goes first, and what starts the new release comes last: broken off at any moment, the machine starts the release
//! that runs now.

use std::fs::{self, File};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use strongroom_update::{
    Error as Unreadable, Flavour, Head, Manifest, PartName, SigningKey, verify_parts,
};

use super::kernels::{Kernel, Kernels, TRIES, Tries};
use super::slots::Disk;
use super::state::{Installed, Refused, State, now};
use super::{INBOX, gpt};
use crate::count;
use crate::release::Release;
use crate::tpm::Tpm;

/// Whose key signs updates, in the root.
const SIGNER: &str = "/usr/share/strongroom/updates.pem";

/// Why an update is not installed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// It is not what was signed, or nothing that is signed.
    #[error("{0}")]
    Unreadable(#[from] Unreadable),
    /// It is for other machines.
    #[error("it is for {theirs}, and this machine runs the image for {ours}")]
    Flavour {
        /// Of the update.
        theirs: Flavour,
        /// Of the release that runs.
        ours: Flavour,
    },
    /// The release that runs is as new, or newer.
    #[error("it has version {theirs}, and {ours} runs: only a newer version can be installed")]
    Version {
        /// Of the update.
        theirs: semver::Version,
        /// Of the release that runs.
        ours: semver::Version,
    },
    /// It has flaws that a release had mended which this machine has run.
    #[error("it has security version {theirs}, and this machine starts none below {least}")]
    Downgrade {
        /// Of the update.
        theirs: u32,
        /// The least that this machine starts.
        least: u32,
    },
    /// A part is larger than the partition that it goes into.
    #[error("its {part} has {size} bytes, and there is room for {room}")]
    Room {
        /// Which part.
        part: PartName,
        /// How large it is, in bytes.
        size: u64,
        /// How much room there is, in bytes.
        room: u64,
    },
}

/// Installs what is staged, as the service ordered, and says in the state what came of it.
///
/// # Errors
/// When the order is none, or what came of it cannot be written down. That an update is refused is no error.
pub(crate) fn install() -> Result<()> {
    super::take("install")?;
    let mut state = State::read()?.context("nothing is known of the release that runs")?;
    // From here on the other slot is not to be counted on.
    state.installed = None;
    state.write()?;
    let mut version = None;
    match attempt(&mut version) {
        Ok(manifest) => {
            state.installed = Some(Installed {
                version: manifest.version,
                security_version: manifest.security_version,
                at: now(),
            });
            state.refused = None;
        }
        Err(error) => {
            crate::complain(&format!("the update is not installed: {error:#}"));
            state.refused = Some(Refused {
                version: version.map_or_else(
                    || "unknown".to_owned(),
                    |version: semver::Version| version.to_string(),
                ),
                why: format!("{error:#}"),
                at: now(),
            });
        }
    }
    state.write()
}

fn attempt(version: &mut Option<semver::Version>) -> Result<Manifest> {
    let release = Release::running()?;
    let least = count::least(&mut Tpm::open()?)?;
    let pem = fs::read(SIGNER).with_context(|| format!("{SIGNER} cannot be read"))?;
    let key = SigningKey::from_pem(&pem)?;
    let mut staged = super::open(&Path::new(INBOX).join("staged.update"))
        .context("the staged update cannot be read")?;
    let head = Head::read(&staged, &key)?;
    let manifest = head.manifest();
    *version = Some(manifest.version.clone());
    may_follow(manifest, &release, least)?;
    // Before anything is overwritten; what is written is held against the manifest once more.
    verify_parts(&staged, &manifest.parts, |_, _| Ok(()))?;
    staged
        .seek(SeekFrom::Start(head.length()))
        .context("the staged update cannot be read")?;
    write(&staged, manifest, &release)?;
    Ok(manifest.clone())
}

/// Whether a release may follow the one that runs.
fn may_follow(update: &Manifest, running: &Release, least: u32) -> Result<(), Refusal> {
    if update.flavour != running.flavour {
        return Err(Refusal::Flavour {
            theirs: update.flavour,
            ours: running.flavour,
        });
    }
    let least = least.max(running.security_version);
    if update.security_version < least {
        return Err(Refusal::Downgrade {
            theirs: update.security_version,
            least,
        });
    }
    // The boot loader tries the highest version first.
    if update.version <= running.version {
        return Err(Refusal::Version {
            theirs: update.version.clone(),
            ours: running.version.clone(),
        });
    }
    Ok(())
}

fn write(staged: &File, manifest: &Manifest, release: &Release) -> Result<()> {
    let disk = Disk::running()?;
    let slot = disk.running.other().letter();
    let root = disk.partition(&format!("strongroom-root-{slot}"))?;
    let verity = disk.partition(&format!("strongroom-verity-{slot}"))?;
    let (mut to_root, mut to_verity) = (root.open()?, verity.open()?);
    fits(PartName::Root, manifest.parts.root.size, &mut to_root)?;
    fits(PartName::Verity, manifest.parts.verity.size, &mut to_verity)?;

    let kernels = Kernels::here();
    kernels.clear_incoming()?;
    for kernel in kernels.all()? {
        if kernel.version != release.version {
            kernels.remove(&kernel)?;
        }
    }
    let incoming = kernels.incoming();
    let mut to_kernel = File::create(&incoming)
        .with_context(|| format!("{} cannot be written", incoming.display()))?;
    verify_parts(staged, &manifest.parts, |part, piece| {
        match part {
            PartName::Kernel => &mut to_kernel,
            PartName::Root => &mut to_root,
            PartName::Verity => &mut to_verity,
        }
        .write_all(piece)
    })?;
    for (name, file) in [
        ("the kernel image", &to_kernel),
        ("the root", &to_root),
        ("the tree of hashes", &to_verity),
    ] {
        file.sync_all()
            .with_context(|| format!("{name} cannot be written"))?;
    }
    disk.identify(&identifiers(manifest, root.number, verity.number))?;
    let tries = Tries {
        left: TRIES,
        done: 0,
    };
    kernels.arrive(&Kernel {
        version: manifest.version.clone(),
        tries: Some(tries),
    })
}

/// The identifiers by which the kernel image finds its root: the two halves of the root hash (systemd-veritysetup-generator(8)).
fn identifiers(manifest: &Manifest, root: u32, verity: u32) -> [(u32, [u8; 16]); 2] {
    let (mut first, mut second) = ([0; 16], [0; 16]);
    let (half, other) = manifest.root_hash.0.split_at(16);
    first.copy_from_slice(half);
    second.copy_from_slice(other);
    [(root, gpt::id(first)), (verity, gpt::id(second))]
}

fn fits(part: PartName, size: u64, partition: &mut File) -> Result<()> {
    let measure = |partition: &mut File| -> io::Result<u64> {
        let room = partition.seek(SeekFrom::End(0))?;
        partition.rewind()?;
        Ok(room)
    };
    let room = measure(partition).context("a partition cannot be measured")?;
    if size > room {
        return Err(Refusal::Room { part, size, room }.into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use strongroom_update::{Part, Parts, Sha256Hash};

    use super::*;

    fn update(version: &str, security_version: u32) -> Manifest {
        let part = Part {
            size: 1,
            sha256: Sha256Hash([0; 32]),
        };
        let mut hash = [0; 32];
        (0..).zip(&mut hash).for_each(|(index, byte)| *byte = index);
        Manifest::new(
            version.parse().unwrap(),
            security_version,
            Flavour::Vm,
            Sha256Hash(hash),
            Parts {
                kernel: part,
                root: part,
                verity: part,
            },
        )
        .unwrap()
    }

    fn running() -> Release {
        Release {
            version: "0.2.0".parse().unwrap(),
            security_version: 2,
            flavour: Flavour::Vm,
        }
    }

    #[test]
    fn only_what_is_newer_and_as_secure_may_follow() {
        assert!(may_follow(&update("0.2.1", 2), &running(), 2).is_ok());
        assert!(may_follow(&update("0.3.0", 3), &running(), 0).is_ok());
        for version in ["0.2.0", "0.1.9", "0.2.0-rc.1"] {
            let refused = may_follow(&update(version, 2), &running(), 2);
            assert!(matches!(refused, Err(Refusal::Version { .. })), "{version}");
        }
        let refused = may_follow(&update("0.2.1", 1), &running(), 0);
        assert!(matches!(refused, Err(Refusal::Downgrade { least: 2, .. })));
        let refused = may_follow(&update("0.2.1", 2), &running(), 3);
        assert!(matches!(refused, Err(Refusal::Downgrade { least: 3, .. })));
        let metal = Release {
            flavour: Flavour::Metal,
            ..running()
        };
        let refused = may_follow(&update("0.2.1", 2), &metal, 2);
        assert!(matches!(refused, Err(Refusal::Flavour { .. })));
    }

    #[test]
    fn partitions_are_named_by_the_halves_of_the_root_hash() {
        let [(root, first), (verity, second)] = identifiers(&update("0.2.1", 2), 4, 5);
        assert_eq!((root, verity), (4, 5));
        // 00010203-0405-0607-0809-0a0b0c0d0e0f, as it stands in the table.
        assert_eq!(first[..8], [3, 2, 1, 0, 5, 4, 7, 6]);
        assert_eq!(first[8..], [8, 9, 10, 11, 12, 13, 14, 15]);
        assert_eq!(second[..4], [19, 18, 17, 16]);
    }

    #[test]
    fn what_is_larger_than_its_partition_is_refused() {
        let mut partition = tempfile::tempfile().unwrap();
        partition.set_len(10).unwrap();
        assert!(fits(PartName::Root, 10, &mut partition).is_ok());
        assert!(fits(PartName::Root, 11, &mut partition).is_err());
        assert_eq!(partition.stream_position().unwrap(), 0);
    }
}
