//! `cargo xtask image`: the bootable appliance, from Debian's packages and our programs to a disk image.
//!
//! | file | what lives there |
//! |---|---|
//! | `mod` | the command line, and the steps in their order |
//! | `tools` | the chroot with the tools that build the image, of the image's own Debian release |
//! | `root` | the root file system: packages, our files, what is taken out; squashfs and dm-verity |
//! | `kernel` | kernel, initial RAM disk and the signed unified kernel image |
//! | `keys` | the keys that sign: Secure Boot and the policy of PCR 11 |
//! | `disk` | the EFI system partition and the partition table |
//! | `machine` | booting an image in QEMU, with Secure Boot and a software TPM |
//!
//! No step needs a loop device, the device mapper or KVM. What must never happen here: a private key in the image; a byte of the image
//! that depends on when or where it was built.

mod disk;
mod kernel;
mod keys;
mod machine;
mod root;
mod tools;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{
    packages,
    terminal::{Spinner, duration, say, shown},
    workspace::Workspace,
};

/// The flags of `cargo xtask image`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Boot the image in QEMU afterwards, in the foreground, with Secure Boot and a software TPM.
    #[arg(long)]
    run: bool,
    /// Where the image and what belongs to it is put [default: target/image/out].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The folder with the keys that sign the image; they are made where it is missing [default: target/image/keys].
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
    /// The port of this machine that leads to the appliance's client listener, with --run.
    #[arg(long, value_name = "PORT", default_value_t = 8443)]
    client_port: u16,
    /// The port of this machine that leads to the appliance's administration listener, with --run.
    #[arg(long, value_name = "PORT", default_value_t = 9443)]
    admin_port: u16,
}

/// The moment that stands wherever a time goes into the image: 2025-11-30, in seconds since 1970.
pub(crate) const EPOCH: &str = "1764460800";

/// Where things are built.
pub(crate) struct Bench {
    /// The folder with the image's sources.
    pub(crate) sources: PathBuf,
    /// The folder that holds what is built and can be built again.
    pub(crate) work: PathBuf,
    /// The folder with what comes out.
    pub(crate) out: PathBuf,
    /// The folder with the signing keys.
    pub(crate) keys: PathBuf,
    /// The image's version.
    pub(crate) version: String,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let workspace = Workspace::find()?;
    if !rustix::process::geteuid().is_root() {
        bail!("an image is built as root, as its files belong to several users: run it with sudo");
    }
    packages::ensure(packages::IMAGE)?;
    let [strongroomd, setup] = workspace.build(["strongroomd", "strongroom-setup"])?;
    let work = workspace.target().join("image");
    let absolute = |given: &Option<PathBuf>, usual: &str| -> Result<PathBuf> {
        let path = given.clone().unwrap_or_else(|| work.join(usual));
        std::path::absolute(&path).with_context(|| format!("{} is no folder", shown(&path)))
    };
    let bench = Bench {
        sources: workspace.root().join("image"),
        out: absolute(&options.out, "out")?,
        keys: absolute(&options.keys, "keys")?,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        work,
    };
    for folder in [&bench.work, &bench.out] {
        fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", shown(folder)))?;
    }
    let disk = build(&bench, &strongroomd, &setup)?;
    if options.run {
        packages::ensure(packages::MACHINE)?;
        return machine::run(&bench, &disk, options.client_port, options.admin_port);
    }
    say!("Boot it with: cargo xtask image --run");
    Ok(ExitCode::SUCCESS)
}

/// Builds the disk image and says where it is.
fn build(bench: &Bench, strongroomd: &Path, setup: &Path) -> Result<PathBuf> {
    let began = Instant::now();
    let mut step = Steps::new(7);
    let tools = step.take("the tools, in a chroot", || tools::ensure(bench))?;
    let keys = step.take("the signing keys", || keys::ensure(&bench.keys))?;
    let root = step.take("the root file system", || {
        root::make(bench, &tools, &[strongroomd, setup])
    })?;
    let initrd = step.take("the initial RAM disk", || kernel::initrd(bench, &tools))?;
    let unified = step.take("the signed kernel image", || {
        kernel::unified(bench, &tools, &keys, &root, &initrd)
    })?;
    let system = step.take("the EFI system partition", || {
        disk::system_partition(bench, &tools, &keys, &unified)
    })?;
    let disk = step.take("the disk", || disk::assemble(bench, &root, &system))?;
    say!(
        "{} is built, after {}.",
        shown(&disk),
        duration(began.elapsed())
    );
    Ok(disk)
}

/// Says which step of how many is being done.
struct Steps {
    done: usize,
    all: usize,
}

impl Steps {
    const fn new(all: usize) -> Self {
        Self { done: 0, all }
    }

    fn take<T>(&mut self, what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.done += 1;
        let since = Instant::now();
        let spinner = Spinner::start(format!("[{}/{}] {what}", self.done, self.all));
        let made = work().with_context(|| format!("{what} cannot be made"))?;
        drop(spinner);
        say!(
            "[{}/{}] {what}: {}",
            self.done,
            self.all,
            duration(since.elapsed())
        );
        Ok(made)
    }
}

/// Writes a file, naming it where that fails.
pub(crate) fn write(file: &Path, text: impl AsRef<[u8]>) -> Result<()> {
    fs::write(file, text).with_context(|| format!("{} cannot be written", shown(file)))
}

/// Reads a file, naming it where that fails.
pub(crate) fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("{} cannot be read", shown(file)))
}

/// Removes a folder and all that is in it, if it is there.
pub(crate) fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{} cannot be removed", shown(folder)))
        }
        _ => Ok(()),
    }
}
