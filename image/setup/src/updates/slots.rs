//! The two roots. Which of them runs is what the device mapper has put together.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::gpt;
use super::state::Slot;

const DEVICES: &str = "/sys/class/block";

/// The disk that runs, with the root of it that does.
pub(crate) struct Disk {
    /// Its name to the kernel, such as `vda`.
    name: String,
    /// The folder in which the kernel shows it.
    shown: PathBuf,
    pub(crate) running: Slot,
}

/// A partition of it.
pub(crate) struct Partition {
    pub(crate) number: u32,
    device: PathBuf,
}

impl Disk {
    /// The disk with the root that runs.
    pub(crate) fn running() -> Result<Self> {
        Self::shown_in(Path::new(DEVICES))
    }

    fn shown_in(devices: &Path) -> Result<Self> {
        let root = children(devices)?
            .into_iter()
            .find(|device| {
                fs::read_to_string(device.join("dm/name")).is_ok_and(|name| name.trim() == "root")
            })
            .context("the root is not checked by dm-verity")?;
        for below in children(&root.join("slaves"))? {
            let partition = fs::canonicalize(&below)
                .with_context(|| format!("{} leads nowhere", below.display()))?;
            let running = match about(&partition, "PARTNAME").as_deref() {
                Some("strongroom-root-a") => Slot::A,
                Some("strongroom-root-b") => Slot::B,
                _ => continue,
            };
            let shown = partition
                .parent()
                .context("a partition has no disk")?
                .to_owned();
            let name = about(&shown, "DEVNAME").context("the disk has no name")?;
            return Ok(Self {
                name,
                shown,
                running,
            });
        }
        bail!("the root that runs is in neither of the two slots")
    }

    /// A partition by its name, such as `strongroom-root-b`.
    pub(crate) fn partition(&self, name: &str) -> Result<Partition> {
        for shown in children(&self.shown)? {
            if about(&shown, "PARTNAME").as_deref() != Some(name) {
                continue;
            }
            let number = about(&shown, "PARTN").and_then(|number| number.parse().ok());
            let device = about(&shown, "DEVNAME");
            return Ok(Partition {
                number: number.context("a partition has no number")?,
                device: Path::new("/dev").join(device.context("a partition has no device")?),
            });
        }
        bail!("the disk {} has no partition {name}", self.name)
    }

    /// Gives partitions other identifiers.
    pub(crate) fn identify(&self, partitions: &[(u32, [u8; 16])]) -> Result<()> {
        let device = Path::new("/dev").join(&self.name);
        let mut disk = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&device)
            .with_context(|| format!("{} cannot be opened", device.display()))?;
        gpt::identify(&mut disk, partitions)?;
        disk.sync_all()
            .with_context(|| format!("{} cannot be written", device.display()))
    }
}

impl Partition {
    /// Opens it for writing, from its beginning.
    pub(crate) fn open(&self) -> Result<File> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .open(&self.device)
            .with_context(|| format!("{} cannot be opened", self.device.display()))
    }
}

fn children(folder: &Path) -> Result<Vec<PathBuf>> {
    let cannot = || format!("{} cannot be read", folder.display());
    fs::read_dir(folder)
        .with_context(cannot)?
        .map(|entry| Ok(entry.with_context(cannot)?.path()))
        .collect()
}

/// What the kernel says of a device, in its `uevent`.
fn about(device: &Path, key: &str) -> Option<String> {
    let said = fs::read_to_string(device.join("uevent")).ok()?;
    said.lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::os::unix::fs::symlink;

    use super::*;

    /// The kernel's folders as a machine has them that runs from its second slot.
    fn machine() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let write = |name: &str, text: &str| {
            fs::create_dir_all(path(name).parent().unwrap()).unwrap();
            fs::write(path(name), text).unwrap();
        };
        write(
            "devices/vda/uevent",
            "MAJOR=254\nDEVNAME=vda\nDEVTYPE=disk\n",
        );
        let names = ["efi", "root-a", "verity-a", "root-b", "verity-b"];
        for (number, name) in (1..).zip(names) {
            write(
                &format!("devices/vda/vda{number}/uevent"),
                &format!(
                    "DEVNAME=vda{number}\nDEVTYPE=partition\nPARTN={number}\nPARTNAME=strongroom-{name}\n"
                ),
            );
        }
        write("block/dm-1/dm/name", "strongroom-data\n");
        write("block/dm-0/dm/name", "root\n");
        fs::create_dir_all(path("block/dm-0/slaves")).unwrap();
        for partition in ["vda4", "vda5"] {
            symlink(
                path("devices/vda").join(partition),
                path("block/dm-0/slaves").join(partition),
            )
            .unwrap();
        }
        folder
    }

    #[test]
    fn the_slot_that_runs_and_the_others_partitions_are_found() {
        let machine = machine();
        let disk = Disk::shown_in(&machine.path().join("block")).unwrap();
        assert_eq!(disk.running, Slot::B);
        let root = disk.partition("strongroom-root-a").unwrap();
        assert_eq!(root.number, 2);
        assert_eq!(root.device, Path::new("/dev/vda2"));
        assert!(disk.partition("strongroom-root-c").is_err());
    }

    #[test]
    fn a_root_that_nothing_checks_is_no_slot() {
        let machine = machine();
        fs::write(machine.path().join("block/dm-0/dm/name"), "other\n").unwrap();
        assert!(Disk::shown_in(&machine.path().join("block")).is_err());
    }
}
