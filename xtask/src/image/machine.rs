//! Booting an image in QEMU: UEFI with Secure Boot and our keys enrolled, and a software TPM. KVM is used where there is any.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
};

use anyhow::{Context, Result};

use super::{Bench, tools};
use crate::{
    process,
    terminal::{say, shown},
};

/// The firmware that takes only what is signed.
const FIRMWARE: &str = "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd";
/// Its variables before any key is enrolled.
const VARIABLES: &str = "/usr/share/OVMF/OVMF_VARS_4M.fd";

/// A machine: a disk, firmware variables and a TPM, in a folder of its own.
pub(crate) struct Machine {
    folder: PathBuf,
}

impl Machine {
    /// A machine in this folder, made of the image where there is none yet. The image itself is never written to.
    pub(crate) fn at(bench: &Bench, disk: &Path, folder: PathBuf) -> Result<Self> {
        let machine = Self { folder };
        if !machine.disk().exists() {
            fs::create_dir_all(machine.folder.join("tpm"))
                .with_context(|| format!("{} cannot be made", shown(&machine.folder)))?;
            enrol(bench, &machine.variables())?;
            process::answer(
                Command::new("cp")
                    .arg("--sparse=always")
                    .arg(disk)
                    .arg(machine.disk()),
            )?;
        }
        Ok(machine)
    }

    fn disk(&self) -> PathBuf {
        self.folder.join("disk.img")
    }

    fn variables(&self) -> PathBuf {
        self.folder.join("variables.fd")
    }

    /// Starts the TPM and the machine, its serial line on this terminal.
    fn command(&self, client_port: u16, admin_port: u16) -> Command {
        let acceleration = if Path::new("/dev/kvm").exists() {
            "kvm:tcg"
        } else {
            "tcg"
        };
        let mut qemu = Command::new("qemu-system-x86_64");
        qemu.args(["-machine", &format!("q35,smm=on,accel={acceleration}")])
            .args(["-cpu", "max", "-m", "1024", "-smp", "2"])
            .args(["-global", "driver=cfi.pflash01,property=secure,value=on"])
            .args(["-drive", &format!("if=pflash,format=raw,unit=0,readonly=on,file={FIRMWARE}")])
            .arg("-drive")
            .arg(format!("if=pflash,format=raw,unit=1,file={}", self.variables().display()))
            .arg("-chardev")
            .arg(format!("socket,id=tpm,path={}", self.tpm_socket().display()))
            .args(["-tpmdev", "emulator,id=tpm0,chardev=tpm", "-device", "tpm-crb,tpmdev=tpm0"])
            .arg("-drive")
            .arg(format!("file={},format=raw,if=virtio", self.disk().display()))
            .arg("-netdev")
            .arg(format!(
                "user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{client_port}-:8443,hostfwd=tcp:127.0.0.1:{admin_port}-:9443"
            ))
            .args(["-device", "virtio-net-pci,netdev=net", "-device", "virtio-rng-pci"])
            .args(["-display", "none", "-monitor", "none"]);
        qemu
    }

    fn tpm_socket(&self) -> PathBuf {
        self.folder.join("tpm.sock")
    }

    /// The software TPM, which ends when the machine does.
    fn tpm(&self) -> Result<Child> {
        Command::new("swtpm")
            .args(["socket", "--tpm2", "--terminate", "--tpmstate"])
            .arg(format!("dir={}", self.folder.join("tpm").display()))
            .arg("--ctrl")
            .arg(format!("type=unixio,path={}", self.tpm_socket().display()))
            .stdin(Stdio::null())
            .spawn()
            .context("`swtpm` cannot be started")
    }
}

/// Boots the image in the foreground; a machine that was booted before goes on with its data.
pub(crate) fn run(bench: &Bench, disk: &Path, client_port: u16, admin_port: u16) -> Result<ExitCode> {
    let machine = Machine::at(bench, disk, bench.out.join("machine"))?;
    say!(
        "Clients: https://127.0.0.1:{client_port}, administration: https://127.0.0.1:{admin_port}. The machine is in {}; remove that folder for a new one.",
        shown(&machine.folder)
    );
    let mut tpm = machine.tpm()?;
    wait_for(&machine.tpm_socket())?;
    let mut qemu = machine.command(client_port, admin_port);
    qemu.args(["-serial", "mon:stdio"]);
    let status = qemu.status().with_context(|| process::cannot_start(&qemu));
    let _ = tpm.kill();
    let _ = tpm.wait();
    Ok(process::exit_code(status?))
}

fn wait_for(socket: &Path) -> Result<()> {
    for _ in 0..100 {
        if socket.exists() {
            return Ok(());
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    anyhow::bail!("the software TPM does not answer")
}

/// Makes firmware variables with our keys in them and Secure Boot on.
fn enrol(bench: &Bench, variables: &Path) -> Result<()> {
    let tools = tools::ensure(bench)?;
    let blank = bench.work.join("variables.blank");
    fs::copy(VARIABLES, &blank).with_context(|| format!("{VARIABLES} cannot be copied"))?;
    tools.sh(
        "owner=53747267-726f-6f6d-0000-00000000000f; \
         virt-fw-vars -i variables.blank -o variables.enrolled --set-pk $owner /keys/PK.pem --add-kek $owner /keys/KEK.pem \
           --add-db $owner /keys/db.pem --sb >/dev/null 2>&1",
        &[],
    )?;
    fs::copy(bench.work.join("variables.enrolled"), variables)
        .map(|_| ())
        .with_context(|| format!("{} cannot be written", shown(variables)))
}
