//! `cargo xtask image`: the bootable appliance, from Debian's packages and our programs to a disk image.
//!
//! | file | what lives there |
//! |---|---|
//! | `mod` | the command line, and the steps in their order |
//! | `tools` | the chroot with the tools that build the image, of the image's own Debian release |
//! | `root` | the root file system: packages, our files, what is taken out; squashfs and dm-verity |
//! | `hsm_module` | a vendor's PKCS#11 module that a site has in its image |
//! | `kernel` | kernel, initial RAM disk and the signed unified kernel image |
//! | `keys` | the keys that sign: Secure Boot and the policy of PCR 11, and seeds |
//! | `seed` | `--sign-seed`: signing what a first start goes by |
//! | `update` | the image as an update of one that runs |
//! | `disk` | the EFI system partition and the partition table |
//! | `platforms` | the disk for hypervisors: qcow2 and OVA |
//! | `measured` | what a TPM will have measured: PCR 7 and 11, computed |
//! | `papers` | what lies beside the image: bills of materials, those values, hashes and their signature |
//! | `filter` | the packet filter's rules, checked |
//! | `lock` | which packages, of which version and with which hash |
//! | `ready` | what has to be there before anything is begun |
//! | `firmware` | QEMU's UEFI firmware, with our keys or without |
//! | `kvm` | whether KVM can be used |
//! | `machine` | a machine in QEMU, with Secure Boot and a software TPM |
//! | `play` | the README's story against a machine |
//! | `matrix` | `--test`: what an image has to do and to refuse |
//! | `updates`, `recovery`, `typed`, `reset`, `seeds` | the matrix's cases of updates, of the data partition's recovery key, of what is typed at the console, of factory resets, and of seeds |
//! | `scores` | how the root does by a hardening guide |
//! | `attestation` | the matrix's case of attestation |
//! | `kernel_log` | what the kernel says while it does |
//! | `tamper`, `scan`, `checks` | what the matrix changes on a disk, asks from outside, and looks at without starting |
//! | `table` | what the matrix saw |
//!
//! No step needs a loop device, the device mapper or KVM. What must never happen here: a private key in the image; a byte of the image
//! that depends on when or where it was built.

mod attestation;
mod checks;
mod disk;
mod filter;
mod firmware;
mod hsm_module;
mod kernel;
mod kernel_log;
mod keys;
mod kvm;
mod lock;
mod machine;
mod matrix;
mod measured;
mod outgoing;
mod outside;
mod papers;
mod platforms;
mod play;
mod ready;
mod recovery;
mod reset;
mod root;
mod scan;
mod scores;
mod seed;
mod seeds;
mod table;
mod tamper;
mod tools;
mod typed;
mod update;
mod updates;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use anyhow::{Context, Result};
use clap::Args;

use crate::{
    listeners::Listeners,
    packages, process,
    terminal::{Steps, duration, say, shown},
    workspace::Workspace,
};
use hsm_module::HsmModule;
use kernel::Flavour;
use machine::{Machine, Network};
use matrix::{Extent, Matrix, Wanted};
use update::Fault;

/// The flags of `cargo xtask image`.
#[derive(Args, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "flags, each of which is there or not"
)]
pub(crate) struct Options {
    /// Boot the image in QEMU afterwards, in the foreground, with Secure Boot and a software TPM.
    #[arg(long, conflicts_with = "test")]
    run: bool,
    /// Try in QEMU afterwards what the image has to do and to refuse, and write docs/IMAGE-TESTS.md.
    #[arg(long)]
    test: bool,
    /// With --test, only the cases whose name contains this, or one of these; they go on with the machine that an earlier run left, where it is of this image.
    #[arg(long, value_name = "TEXT", requires = "test")]
    case: Vec<String>,
    /// Fetch Debian's packages anew, and write down their versions and hashes in image/packages.lock.
    #[arg(long)]
    update_lock: bool,
    /// Where the image and what belongs to it is put [default: target/image/out].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The folder with the keys that sign the image; they are made where it is missing [default: target/image/keys].
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
    /// The public key, or a certificate with it, whose signature on seeds the image trusts [default: seed.pem in the folder of keys].
    #[arg(long, value_name = "FILE")]
    seed_key: Option<PathBuf>,
    /// Build nothing but sign a seed with seed.key of the folder of keys: strongroom.seed beside this file.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["run", "test", "update_lock", "platforms"])]
    sign_seed: Option<PathBuf>,
    /// Make the image for hypervisors as well, beside the raw one: as qcow2 and as OVA.
    #[arg(long)]
    platforms: bool,
    /// The PKCS#11 module of the HSM's vendor: it goes into the image, where the service can load it.
    #[arg(long, value_name = "FILE")]
    hsm_module: Option<PathBuf>,
    /// Which kernel it has.
    #[arg(long, value_enum, default_value_t)]
    kernel: Flavour,
    /// The port of this machine that leads to the appliance's client listener, with --run and --test.
    #[arg(long, value_name = "PORT", default_value_t = 8443)]
    client_port: u16,
    /// The port of this machine that leads to the appliance's administration listener, with --run and --test.
    #[arg(long, value_name = "PORT", default_value_t = 9443)]
    admin_port: u16,
}

/// The moment that stands wherever a time goes into the image: 2025-11-30, in seconds since 1970.
pub(crate) const EPOCH: &str = "1764460800";

/// Where things are built.
#[derive(Clone)]
pub(crate) struct Bench {
    /// The folder with the image's sources.
    pub(crate) sources: PathBuf,
    /// The folder that holds what is built and can be built again.
    pub(crate) work: PathBuf,
    /// The folder with the chroots and what was written down of them; that of `work`, but for builds that share them.
    pub(crate) chroots: PathBuf,
    /// The folder with what comes out.
    pub(crate) out: PathBuf,
    /// The folder with the signing keys.
    pub(crate) keys: PathBuf,
    /// The public key whose signature on seeds it trusts.
    pub(crate) seed_key: PathBuf,
    /// The image's version.
    pub(crate) version: String,
    /// What is raised when older releases are no longer to start.
    pub(crate) security_version: u32,
    /// Which kernel it has.
    pub(crate) kernel: Flavour,
    /// The module of the HSM's vendor that is in it.
    pub(crate) hsm_module: Option<HsmModule>,
    /// Whether it is made for hypervisors as well.
    pub(crate) platforms: bool,
    /// What is wrong with it on purpose, for the matrix.
    pub(crate) fault: Option<Fault>,
}

/// The programs that the image is made of, and the one that is used from outside.
struct Programs {
    inside: [PathBuf; 3],
    strongroom: PathBuf,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let workspace = Workspace::find()?;
    if let Some(text) = &options.sign_seed {
        return sign_seed(&workspace, options, text);
    }
    let (bench, programs) = prepare(&workspace, options)?;
    let listeners = Listeners::local(options.client_port, options.admin_port);
    if options.update_lock {
        for stamp in ["tools.stamp", "base.stamp"] {
            let _ = fs::remove_file(bench.work.join(stamp));
        }
    }
    let disk = build(&bench, &programs, options.update_lock)?;
    if options.test {
        let page = workspace.root().join("docs/IMAGE-TESTS.md");
        let wanted = Wanted {
            extent: Extent::Whole,
            only: &options.case,
            page: &page,
        };
        return matrix(&bench, &programs, &disk, listeners, &wanted);
    }
    if options.run {
        return boot(&bench, &disk, listeners);
    }
    say!("Boot it with: cargo xtask image --run");
    Ok(ExitCode::SUCCESS)
}

/// The short form of the matrix, for `cargo xtask test --image`.
pub(crate) fn test_short(workspace: &Workspace) -> Result<ExitCode> {
    let options = Options {
        run: false,
        test: true,
        case: Vec::new(),
        update_lock: false,
        out: None,
        keys: None,
        seed_key: None,
        sign_seed: None,
        platforms: false,
        hsm_module: None,
        kernel: Flavour::default(),
        client_port: 8443,
        admin_port: 9443,
    };
    let (bench, programs) = prepare(workspace, &options)?;
    let disk = build(&bench, &programs, false)?;
    let listeners = Listeners::local(options.client_port, options.admin_port);
    let wanted = Wanted {
        extent: Extent::Short,
        only: &[],
        page: Path::new("/dev/null"),
    };
    matrix(&bench, &programs, &disk, listeners, &wanted)
}

/// Sees that all is there, builds the programs, and makes the folders.
fn prepare(workspace: &Workspace, options: &Options) -> Result<(Bench, Programs)> {
    let machine: &[packages::Package] = if options.run || options.test {
        packages::MACHINE
    } else {
        &[]
    };
    let work = workspace.target().join("image");
    let keys = absolute(options.keys.as_deref(), &work.join("keys"))?;
    let bench = Bench {
        sources: workspace.root().join("image"),
        out: absolute(options.out.as_deref(), &work.join("out"))?,
        seed_key: absolute(options.seed_key.as_deref(), &keys.join(keys::SEED.1))?,
        keys,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        security_version: security_version(&workspace.root().join("image"))?,
        kernel: options.kernel,
        hsm_module: options
            .hsm_module
            .as_deref()
            .map(HsmModule::read)
            .transpose()?,
        platforms: options.platforms,
        fault: None,
        chroots: work.clone(),
        work,
    };
    bench.make()?;
    ready::check(&bench)?;
    let outside: &[packages::Package] = if options.test { packages::OUTSIDE } else { &[] };
    packages::ensure(packages::IMAGE.iter().chain(machine).chain(outside))?;
    let [strongroomd, setup, witness, strongroom] = workspace.build([
        "strongroomd",
        "strongroom-setup",
        "strongroom-witness",
        "strongroom",
    ])?;
    let programs = Programs {
        inside: [strongroomd, setup, witness],
        strongroom,
    };
    Ok((bench, programs))
}

/// Signs a seed, and has it looked at as a machine does.
fn sign_seed(workspace: &Workspace, options: &Options, text: &Path) -> Result<ExitCode> {
    let keys = workspace.target().join("image/keys");
    let keys = absolute(options.keys.as_deref(), &keys)?;
    let trusted = absolute(options.seed_key.as_deref(), &keys.join(keys::SEED.1))?;
    let [_, setup, _] =
        workspace.build(["strongroomd", "strongroom-setup", "strongroom-witness"])?;
    keys::ensure(&keys)?;
    let signed = text.with_file_name("strongroom.seed");
    seed::sign(&keys.join(keys::SEED.0), text, &signed)?;
    let said = seed::check(&setup, &signed, &trusted).inspect_err(|_| {
        // What no machine takes is not left lying about.
        let _ = fs::remove_file(&signed);
    })?;
    say!("{} is signed. {}", shown(&signed), said.trim_end());
    Ok(ExitCode::SUCCESS)
}

fn absolute(given: Option<&Path>, usual: &Path) -> Result<PathBuf> {
    let path = given.unwrap_or(usual);
    std::path::absolute(path).with_context(|| format!("{} is no path", shown(path)))
}

fn matrix(
    bench: &Bench,
    programs: &Programs,
    disk: &Path,
    listeners: Listeners,
    wanted: &Wanted<'_>,
) -> Result<ExitCode> {
    let build_again = |folder: &Path| {
        let again = Bench {
            work: folder.to_owned(),
            chroots: folder.to_owned(),
            out: folder.join("out"),
            ..bench.clone()
        };
        again.make()?;
        build(&again, programs, false)
    };
    let build_update = |newer: &Bench| build_update(newer, programs);
    Matrix {
        bench,
        disk,
        inside: &programs.inside,
        strongroom: &programs.strongroom,
        listeners,
        build_again: &build_again,
        build_update: &build_update,
    }
    .run(wanted)
}

/// Boots the image in the foreground; a machine that was booted before goes on with its data.
fn boot(bench: &Bench, disk: &Path, listeners: Listeners) -> Result<ExitCode> {
    listeners.check_free()?;
    let machine = Machine::at(bench, disk, bench.out.join("machine"))?;
    if let Some(remark) = kvm::remark() {
        say!("{remark}");
    }
    say!(
        "Clients: {}, administration: {}. The machine is in {}; remove that folder for a new one.\n\
         Its console follows, with the first enrolment code. Ctrl-A X pulls its plug.",
        listeners.client_url(),
        listeners.admin_url(),
        shown(machine.folder())
    );
    Ok(process::exit_code(
        machine.run(Network::Forwarded(listeners))?,
    ))
}

/// Builds the disk image and says where it is.
fn build(bench: &Bench, programs: &Programs, update_lock: bool) -> Result<PathBuf> {
    let began = Instant::now();
    let mut step = Steps::new(if bench.platforms { 11 } else { 10 });
    let tools = step.take("the tools, in a chroot", || {
        keys::ensure(&bench.keys)?;
        tools::ensure(bench)
    })?;
    step.take("what enrols the signing keys", || {
        keys::enrolment(bench, &tools)
    })?;
    let base = step.take("Debian's packages", || {
        kernel::kernel(bench, &tools)?;
        let base = root::base(bench)?;
        lock::hold(bench, &tools, update_lock)?;
        Ok(base)
    })?;
    let root = step.take("the root file system", || {
        filter::check(bench, &tools, &programs.inside)?;
        root::make(bench, &tools, &base, &programs.inside)
    })?;
    step.take("the initial RAM disk", || {
        kernel::initrd(bench, &tools, programs.setup())
    })?;
    let unified = step.take("the signed kernel image", || {
        kernel::unified(bench, &tools, &root)
    })?;
    let system = step.take("the EFI system partition", || {
        disk::system_partition(bench, &tools, &unified)
    })?;
    let disk = step.take("the disk", || disk::assemble(bench, &root, &system))?;
    let update = step.take("the update", || {
        let update = update::make(bench, &unified, &root)?;
        // What a site adds is no reason to take out what others need.
        let module = bench.hsm_module.as_ref().map_or(0, HsmModule::length);
        update::see_size(&update, bench.kernel.limit() + module)?;
        Ok(update)
    })?;
    let mut others = vec![update];
    for file in platforms::files(bench) {
        let _ = fs::remove_file(file);
    }
    if bench.platforms {
        others.extend(step.take("other platforms' disks", || platforms::make(bench, &disk))?);
    }
    step.take("the papers", || {
        papers::make(bench, &tools, &disk, &others, &unified)
    })?;
    say!(
        "{} is built, after {}.",
        shown(&disk),
        duration(began.elapsed())
    );
    Ok(disk)
}

/// Builds the image as an update alone.
fn build_update(bench: &Bench, programs: &Programs) -> Result<PathBuf> {
    bench.make()?;
    let tools = tools::ensure(bench)?;
    let root = root::make(bench, &tools, &root::base(bench)?, &programs.inside)?;
    kernel::initrd(bench, &tools, programs.setup())?;
    let unified = kernel::unified(bench, &tools, &root)?;
    update::make(bench, &unified, &root)
}

/// The number in `image/security-version`.
fn security_version(sources: &Path) -> Result<u32> {
    let file = sources.join("security-version");
    let text = read(&file)?;
    text.trim()
        .parse()
        .with_context(|| format!("{} is no number", shown(&file)))
}

impl Programs {
    /// The one that the initial RAM disk has, too.
    fn setup(&self) -> &Path {
        let [_, setup, _] = &self.inside;
        setup
    }
}

impl Bench {
    /// What the image's files begin with.
    pub(crate) fn name(&self) -> String {
        let module = if self.hsm_module.is_some() {
            "_hsm"
        } else {
            ""
        };
        format!(
            "strongroom_{}{}{module}",
            self.version,
            self.kernel.suffix()
        )
    }

    fn make(&self) -> Result<()> {
        for folder in [&self.work, &self.out] {
            fs::create_dir_all(folder)
                .with_context(|| format!("{} cannot be made", shown(folder)))?;
        }
        Ok(())
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
