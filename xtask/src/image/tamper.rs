//! What somebody with the disk in their hands might change.

use std::{
    fs,
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    path::Path,
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::{Bench, disk, machine::Machine, tools};
use crate::process;

/// Flips a bit of the root file system: in its superblock, which is read at each start.
pub(crate) fn flip_root(machine: &Machine) -> Result<()> {
    let disk = machine.disk();
    let mut file = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(&disk)
        .context("the machine's disk cannot be opened")?;
    // Bytes 8 to 11 are the time at which it was made: to squashfs alone, any value is right.
    let at = disk::ROOT_AT + 8;
    let mut byte = [0];
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut byte)?;
    file.seek(SeekFrom::Start(at))?;
    file.write_all(&[byte[0] ^ 1])?;
    file.sync_all()
        .context("the machine's disk cannot be written")
}

/// Removes one of the files of the EFI system partition.
pub(crate) fn remove_file(bench: &Bench, machine: &Machine, file: &str) -> Result<()> {
    let system = bench.work.join("tampered.system");
    cut(&machine.disk(), &system, disk::SYSTEM_AT, disk::SYSTEM)?;
    tools::ensure(bench)?.sh("mdel -i tampered.system \"::$1\"", &[file])?;
    paste(&system, &machine.disk(), disk::SYSTEM_AT)
}

/// Flips a bit in the middle of one of the files of the EFI system partition.
pub(crate) fn flip_file(bench: &Bench, machine: &Machine, file: &str) -> Result<()> {
    let work = &bench.work;
    let (system, taken) = (work.join("tampered.system"), work.join("tampered.file"));
    cut(&machine.disk(), &system, disk::SYSTEM_AT, disk::SYSTEM)?;
    let tools = tools::ensure(bench)?;
    tools.sh(
        "rm -f tampered.file; mcopy -i tampered.system \"::$1\" tampered.file",
        &[file],
    )?;
    let mut bytes = fs::read(&taken).with_context(|| format!("{file} cannot be read"))?;
    let middle = bytes.len() / 2;
    let Some(byte) = bytes.get_mut(middle) else {
        bail!("{file} is empty");
    };
    *byte ^= 1;
    super::write(&taken, bytes)?;
    tools.sh(
        "mcopy -o -i tampered.system tampered.file \"::$1\"",
        &[file],
    )?;
    paste(&system, &machine.disk(), disk::SYSTEM_AT)
}

fn cut(disk: &Path, to: &Path, at: u64, size: u64) -> Result<()> {
    let mib = |bytes: u64| (bytes >> 20).to_string();
    process::answer(
        Command::new("dd")
            .arg(format!("if={}", disk.display()))
            .arg(format!("of={}", to.display()))
            .args([
                "bs=1M",
                &format!("skip={}", mib(at)),
                &format!("count={}", mib(size)),
            ]),
    )
    .map(|_| ())
}

fn paste(from: &Path, disk: &Path, at: u64) -> Result<()> {
    process::answer(
        Command::new("dd")
            .arg(format!("if={}", from.display()))
            .arg(format!("of={}", disk.display()))
            .args(["bs=1M", "conv=notrunc", &format!("seek={}", at >> 20)]),
    )
    .map(|_| ())
}
