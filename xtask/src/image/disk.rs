//! The EFI system partition and the partition table, written into files: no loop device.

use std::{
    fs::{self, File},
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    ops::Range,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::{Bench, keys, root::Root, tools::Tools, write};
use crate::{process, terminal::shown};

const MIB: u64 = 1 << 20;
/// The sizes of the partitions, in bytes. There are two roots: an update goes into the one that is not in use.
pub(crate) const SYSTEM: u64 = 256 * MIB;
const ROOT: u64 = 384 * MIB;
const VERITY: u64 = 16 * MIB;
/// The least that is left for data on the disk that is built; on a larger one it takes all there is.
const DATA: u64 = 768 * MIB;
/// Where the EFI system partition begins, and the first root.
pub(crate) const SYSTEM_AT: u64 = MIB;
pub(crate) const ROOT_AT: u64 = SYSTEM_AT + SYSTEM;
/// The boot loader in the EFI system partition.
pub(crate) const LOADER: &str = "/EFI/BOOT/BOOTX64.EFI";

/// The unified kernel image of a version in the EFI system partition, once it has proved itself.
pub(crate) fn kernel(version: &str) -> String {
    format!("/EFI/Linux/strongroom_{version}.efi")
}

/// The EFI system partition: boot loader and unified kernel image.
pub(crate) fn system_partition(bench: &Bench, tools: &Tools, unified: &Path) -> Result<PathBuf> {
    let (key, certificate) = keys::SIGNING;
    let size = unified
        .metadata()
        .with_context(|| format!("{} is missing", shown(unified)))?
        .len();
    if size * 2 + 8 * MIB > SYSTEM {
        bail!("two kernel images of {size} bytes do not fit into the EFI system partition");
    }
    write(&bench.work.join("loader.conf"), "timeout 0\neditor no\n")?;
    tools.sh(
        &format!(
            "rm -f system.img; truncate -s {SYSTEM} system.img; mkfs.vfat --invariant -i 53545247 -n STRONGROOM system.img >/dev/null; \
             faketime -f \"$(date -u -d @{epoch} '+%Y-%m-%d %H:%M:%S')\" sbsign --key {key} --cert {certificate} --output loader.efi \
               /usr/lib/systemd/boot/efi/systemd-bootx64.efi >/dev/null 2>&1; \
             mmd -i system.img ::/EFI ::/EFI/BOOT ::/EFI/Linux ::/loader; \
             touch -d @{epoch} loader.efi strongroom.efi loader.conf; \
             mcopy -m -i system.img loader.efi ::{LOADER}; \
             mcopy -m -i system.img strongroom.efi ::{kernel}; \
             mcopy -m -i system.img loader.conf ::/loader/loader.conf",
            kernel = kernel(&bench.version),
            epoch = super::EPOCH
        ),
        &[],
    )?;
    Ok(bench.work.join("system.img"))
}

/// Puts the partitions together. The root and its hash tree have the identifiers that follow from the root hash, by which the
/// kernel's command line finds them (systemd-veritysetup-generator(8)).
pub(crate) fn assemble(bench: &Bench, root: &Root, system: &Path) -> Result<PathBuf> {
    let disk = bench.out.join(format!("{}.img", bench.name()));
    let _ = fs::remove_file(&disk);
    let parts = [
        (
            "C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
            "53747267-0000-0000-0000-000000000001",
            "strongroom-efi",
            SYSTEM,
        ),
        (
            "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709",
            &uuid(&root.hash[..32]),
            "strongroom-root-a",
            ROOT,
        ),
        (
            "2C7357ED-EBD2-46D9-AEC1-23D437EC2BF5",
            &uuid(&root.hash[32..]),
            "strongroom-verity-a",
            VERITY,
        ),
        (
            "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709",
            "53747267-0000-0000-0000-000000000002",
            "strongroom-root-b",
            ROOT,
        ),
        (
            "2C7357ED-EBD2-46D9-AEC1-23D437EC2BF5",
            "53747267-0000-0000-0000-000000000003",
            "strongroom-verity-b",
            VERITY,
        ),
    ];
    let mut table = String::from(
        "label: gpt\nlabel-id: 53747267-726f-6f6d-0000-000000000000\nfirst-lba: 2048\n",
    );
    for (kind, id, name, size) in &parts {
        use std::fmt::Write as _;
        writeln!(
            table,
            "size={}, type={kind}, uuid={id}, name=\"{name}\"",
            size / 512
        )?;
    }
    let size = SYSTEM_AT + parts.iter().map(|(.., size)| size).sum::<u64>() + DATA + MIB;
    let mut file =
        File::create(&disk).with_context(|| format!("{} cannot be written", shown(&disk)))?;
    file.set_len(size)?;
    partition(&disk, &table)?;
    let mut at = SYSTEM_AT;
    for (content, (.., size)) in [Some(system), Some(&root.squashfs), Some(&root.verity)]
        .into_iter()
        .zip(&parts)
    {
        if let Some(content) = content {
            put(&mut file, at, content, *size)?;
        }
        at += size;
    }
    file.sync_all()?;
    Ok(disk)
}

fn partition(disk: &Path, table: &str) -> Result<()> {
    use std::process::Stdio;
    let mut sfdisk = Command::new("sfdisk")
        .args(["--quiet", "--no-reread", "--no-tell-kernel"])
        .arg(disk)
        .stdin(Stdio::piped())
        .spawn()
        .context("`sfdisk` cannot be started")?;
    sfdisk
        .stdin
        .take()
        .context("`sfdisk` takes no input")?
        .write_all(table.as_bytes())?;
    if !sfdisk.wait()?.success() {
        bail!("`sfdisk` did not take the partition table");
    }
    Ok(())
}

/// Writes a file into the disk at this offset. Blocks of zeros stay holes.
fn put(disk: &mut File, at: u64, content: &Path, room: u64) -> Result<()> {
    let mut from =
        File::open(content).with_context(|| format!("{} cannot be read", shown(content)))?;
    if from.metadata()?.len() > room {
        bail!(
            "{} is larger than its partition of {room} bytes",
            shown(content)
        );
    }
    let mut block = vec![0; 1 << 20];
    let mut offset = at;
    loop {
        let read = from.read(&mut block)?;
        if read == 0 {
            return Ok(());
        }
        if block[..read].iter().any(|byte| *byte != 0) {
            disk.seek(SeekFrom::Start(offset))?;
            disk.write_all(&block[..read])?;
        }
        offset += read as u64;
    }
}

/// Where the data partition is on a disk that was booted from: its bytes.
pub(crate) fn data_partition(disk: &Path) -> Result<Range<u64>> {
    #[derive(Deserialize)]
    struct Listing {
        partitiontable: Table,
    }
    #[derive(Deserialize)]
    struct Table {
        partitions: Vec<Partition>,
    }
    #[derive(Deserialize)]
    struct Partition {
        start: u64,
        size: u64,
        name: Option<String>,
    }
    let listing = process::answer(Command::new("sfdisk").arg("--json").arg(disk))?;
    let listing: Listing =
        serde_json::from_slice(&listing).context("what `sfdisk` printed cannot be read")?;
    let partitions = listing.partitiontable.partitions;
    let data = partitions
        .iter()
        .find(|partition| partition.name.as_deref() == Some("strongroom-data"))
        .context("the disk has no data partition")?;
    Ok(data.start * 512..(data.start + data.size) * 512)
}

/// 32 hexadecimal digits as a UUID.
fn uuid(digits: &str) -> String {
    [0..8, 8..12, 12..16, 16..20, 20..32]
        .map(|part| &digits[part])
        .join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_of_the_root_hash_is_a_uuid() {
        assert_eq!(
            uuid("655d04b6db072073f16a46554b373888"),
            "655d04b6-db07-2073-f16a-46554b373888"
        );
    }
}
