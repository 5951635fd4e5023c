//! A machine in QEMU: UEFI, Secure Boot with our keys or without, a software TPM. KVM is used where there is any.

use std::{
    fs,
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use super::{Bench, firmware, kvm, remove};
use crate::{listeners::Listeners, process, terminal::shown};

/// A machine that is off: its disk, firmware variables and TPM, in a folder of its own.
pub(crate) struct Machine {
    folder: PathBuf,
}

/// What the machine's network card leads to.
#[derive(Clone, Copy)]
pub(crate) enum Network {
    /// Nowhere, but that these ports of this machine lead to the appliance's listeners.
    Forwarded(Listeners),
    /// The same, to a machine with this address.
    ForwardedTo(Listeners, &'static str),
    /// As the first, and that this port of this machine leads to that of a witness.
    Witness(Listeners, u16),
    /// As the first, and to this port of this machine from [`HOST`].
    Reaching(Listeners, u16),
    /// An interface of this name on this machine.
    Interface(&'static str),
}

/// Where a machine's witness listens.
pub(crate) const WITNESS: u16 = 7443;

/// Where machines reach this one, if they do: an address and a port.
pub(crate) const HOST: &str = "10.0.2.100:6443";

impl Machine {
    /// A new machine in this folder, with a new TPM and a copy of the disk image.
    pub(crate) fn new(bench: &Bench, disk: &Path, folder: PathBuf) -> Result<Self> {
        remove(&folder)?;
        let machine = Self { folder };
        machine.replace_tpm()?;
        machine.enrol(bench)?;
        copy_sparse(disk, &machine.disk())?;
        Ok(machine)
    }

    /// The machine in this folder, which goes on with its data; a new one where there is none.
    pub(crate) fn at(bench: &Bench, disk: &Path, folder: PathBuf) -> Result<Self> {
        let machine = Self { folder };
        if machine.disk().exists() {
            return Ok(machine);
        }
        Self::new(bench, disk, machine.folder)
    }

    /// A copy of this machine with all it has, its TPM's state included, in another folder.
    pub(crate) fn copy(&self, folder: PathBuf) -> Result<Self> {
        remove(&folder)?;
        process::answer(
            Command::new("cp")
                .args(["-a", "--sparse=always"])
                .arg(&self.folder)
                .arg(&folder),
        )?;
        Ok(Self { folder })
    }

    /// Puts our keys into the firmware and turns Secure Boot on.
    pub(crate) fn enrol(&self, bench: &Bench) -> Result<()> {
        firmware::enrolled(bench, &self.variables())
    }

    /// Puts the firmware back to how it came from its maker: no key, Secure Boot off.
    pub(crate) fn reset_firmware(&self) -> Result<()> {
        firmware::blank(&self.variables())
    }

    /// Puts another TPM in the place of the one that is there.
    pub(crate) fn replace_tpm(&self) -> Result<()> {
        let folder = self.folder.join("tpm");
        remove(&folder)?;
        fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", shown(&folder)))
    }

    /// The folder that holds it.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its disk.
    pub(crate) fn disk(&self) -> PathBuf {
        self.folder.join("disk.img")
    }

    fn variables(&self) -> PathBuf {
        self.folder.join("variables.fd")
    }

    /// Everything its serial line said since it was last started.
    pub(crate) fn serial_log(&self) -> PathBuf {
        self.folder.join("serial.log")
    }

    /// Starts it in the background.
    pub(crate) fn start(&self, network: Network) -> Result<Running> {
        self.start_with(network, &[])
    }

    /// Starts it in the background, with more that QEMU gives a machine.
    pub(crate) fn start_with(&self, network: Network, more: &[String]) -> Result<Running> {
        let sockets = sockets()?;
        let line = sockets.path().join("serial");
        let tpm = self.tpm(sockets.path())?;
        // QEMU comes to us, so that nothing is said to nobody.
        let listener = UnixListener::bind(&line)
            .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
            .context("the machine's serial line cannot be laid")?;
        let mut qemu = self.qemu(sockets.path(), network);
        qemu.args(more)
            .arg("-chardev")
            .arg(format!("socket,id=line,path={},server=off", line.display()))
            .args(["-serial", "chardev:line"])
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let qemu = Guard(qemu.spawn().with_context(|| process::cannot_start(&qemu))?);
        let line = accept(&listener)?;
        // Not QEMU's own log, which has what it could not send at once twice.
        let mut said = line.try_clone().context("the machine has no serial line")?;
        let mut log = fs::File::create(self.serial_log())
            .context("the serial line's log cannot be written")?;
        thread::spawn(move || io::copy(&mut said, &mut log));
        Ok(Running {
            qemu,
            line,
            log: self.serial_log(),
            mark: 0,
            began: Instant::now(),
            _tpm: tpm,
            _sockets: sockets,
        })
    }

    /// Runs it in the foreground, its serial line on this terminal.
    pub(crate) fn run(&self, network: Network) -> Result<ExitStatus> {
        let sockets = sockets()?;
        let _tpm = self.tpm(sockets.path())?;
        let mut qemu = self.qemu(sockets.path(), network);
        qemu.args(["-serial", "mon:stdio"]);
        qemu.status().with_context(|| process::cannot_start(&qemu))
    }

    fn qemu(&self, sockets: &Path, network: Network) -> Command {
        // Emulated, a processor that clears memory byte by byte (ERMS) stands still for half a minute where a kernel clears much.
        let (acceleration, processor, processors) = if kvm::works() {
            ("kvm", "max", "2")
        } else {
            ("tcg", "max,-erms,-fsrm", "1")
        };
        let network = match network {
            Network::Forwarded(to) => forwarded(to, ""),
            Network::ForwardedTo(to, address) => forwarded(to, address),
            Network::Witness(to, port) => format!(
                "{},hostfwd=tcp:127.0.0.1:{port}-:{WITNESS}",
                forwarded(to, "")
            ),
            // A process for each connection: QEMU by itself forwards no more than one.
            Network::Reaching(to, port) => format!(
                "{},guestfwd=tcp:{HOST}-cmd:socat STDIO TCP4:127.0.0.1:{port}",
                forwarded(to, "")
            ),
            Network::Interface(name) => format!("tap,id=net,ifname={name},script=no,downscript=no"),
        };
        let mut qemu = Command::new("qemu-system-x86_64");
        qemu.args(["-machine", &format!("q35,smm=on,accel={acceleration}")])
            .args([
                "-nodefaults",
                "-cpu",
                processor,
                "-m",
                "1024",
                "-smp",
                processors,
            ])
            .args(["-global", "driver=cfi.pflash01,property=secure,value=on"])
            .arg("-drive")
            .arg(format!(
                "if=pflash,format=raw,unit=0,readonly=on,file={}",
                firmware::CODE
            ))
            .arg("-drive")
            .arg(format!(
                "if=pflash,format=raw,unit=1,file={}",
                self.variables().display()
            ))
            .arg("-chardev")
            .arg(format!(
                "socket,id=tpm,path={}",
                tpm_socket(sockets).display()
            ))
            .args([
                "-tpmdev",
                "emulator,id=tpm0,chardev=tpm",
                "-device",
                "tpm-crb,tpmdev=tpm0",
            ])
            .arg("-drive")
            .arg(format!(
                "file={},format=raw,if=virtio",
                self.disk().display()
            ))
            .args(["-netdev", &network])
            .args([
                "-device",
                &format!("virtio-net-pci,netdev=net,mac={HARDWARE_ADDRESS}"),
            ])
            .args([
                "-device",
                "virtio-rng-pci",
                "-display",
                "none",
                "-monitor",
                "none",
            ]);
        qemu
    }

    /// The software TPM, which ends when the machine does.
    fn tpm(&self, sockets: &Path) -> Result<Guard> {
        let socket = tpm_socket(sockets);
        let mut swtpm = Command::new("swtpm");
        swtpm
            .args(["socket", "--tpm2", "--terminate", "--tpmstate"])
            .arg(format!("dir={}", self.folder.join("tpm").display()))
            .arg("--ctrl")
            .arg(format!("type=unixio,path={}", socket.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let child = swtpm
            .spawn()
            .with_context(|| process::cannot_start(&swtpm))?;
        let guard = Guard(child);
        wait_for(&socket, "the software TPM")?;
        Ok(guard)
    }
}

/// Without an address it is the one that QEMU's DHCP gives.
fn forwarded(to: Listeners, address: &str) -> String {
    format!(
        "user,id=net,restrict=on,hostfwd=tcp:{}-{address}:8443,hostfwd=tcp:{}-{address}:9443",
        to.client, to.admin
    )
}

/// The network card's hardware address: one of those that nobody is given.
pub(crate) const HARDWARE_ADDRESS: &str = "52:54:00:53:74:72";

/// A folder for sockets, whose paths may be only 107 bytes long.
fn sockets() -> Result<tempfile::TempDir> {
    tempfile::Builder::new()
        .prefix("strongroom-image-")
        .tempdir()
        .context("a temporary folder cannot be made")
}

fn tpm_socket(sockets: &Path) -> PathBuf {
    sockets.join("tpm")
}

fn copy_sparse(from: &Path, to: &Path) -> Result<()> {
    process::answer(Command::new("cp").arg("--sparse=always").arg(from).arg(to)).map(|_| ())
}

fn wait_for(socket: &Path, who: &str) -> Result<()> {
    for _ in 0..200 {
        if socket.exists() {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(50));
    }
    bail!("{who} does not answer")
}

/// The line of the machine that is just being started.
fn accept(listener: &UnixListener) -> Result<UnixStream> {
    for _ in 0..600 {
        match listener.accept() {
            Ok((line, _)) => {
                line.set_nonblocking(false)
                    .context("the machine's serial line cannot be used")?;
                return Ok(line);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                thread::sleep(Duration::from_millis(50));
            }
            Err(error) => return Err(error).context("the machine has no serial line"),
        }
    }
    bail!("QEMU does not answer")
}

/// A child process that ends with its owner.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A machine that is on. Dropping it pulls its plug.
pub(crate) struct Running {
    qemu: Guard,
    line: UnixStream,
    log: PathBuf,
    /// Up to where the log was read and is not looked at again.
    mark: u64,
    began: Instant,
    _tpm: Guard,
    _sockets: tempfile::TempDir,
}

impl Running {
    /// Since when it is on.
    pub(crate) fn time(&self) -> Duration {
        self.began.elapsed()
    }

    /// What the serial line said since the last mark.
    pub(crate) fn said(&self) -> Result<String> {
        let mut bytes = Vec::new();
        let mut log = fs::File::open(&self.log).context("the serial line's log is missing")?;
        log.seek(SeekFrom::Start(self.mark))?;
        log.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).replace('\r', ""))
    }

    /// From here on only what is said later counts.
    pub(crate) fn mark(&mut self) -> Result<()> {
        self.mark = fs::metadata(&self.log)?.len();
        Ok(())
    }

    /// Types a line at the console.
    pub(crate) fn type_line(&mut self, line: &str) -> Result<()> {
        writeln!(self.line, "{line}").context("the machine's serial line is gone")
    }

    /// Waits until what the serial line says is what is looked for, and gives what was found in it.
    ///
    /// # Errors
    ///
    /// When it is not said in time, or the machine ends; with the last that was said.
    pub(crate) fn wait_for<T>(
        &mut self,
        what: &str,
        found: impl Fn(&str) -> Option<T>,
    ) -> Result<T> {
        /// An emulated machine beside others is many times as slow as one that is alone.
        const LIMIT: Duration = Duration::from_mins(15);
        let since = Instant::now();
        loop {
            let said = self.said()?;
            if let Some(found) = found(&said) {
                return Ok(found);
            }
            let last = said.trim_end().lines().next_back().unwrap_or("nothing");
            if let Some(status) = self.qemu.0.try_wait()? {
                bail!(
                    "{what} was not seen before the machine {}; the last that it said is: {last}",
                    process::ended(status)
                );
            }
            if since.elapsed() > LIMIT {
                bail!(
                    "{what} was not seen within {} s; the last that the machine said is: {last}",
                    LIMIT.as_secs()
                );
            }
            thread::sleep(Duration::from_millis(250));
        }
    }

    /// Waits for words on the serial line.
    pub(crate) fn wait_for_words(&mut self, words: &str) -> Result<()> {
        self.wait_for(&format!("\"{words}\""), |said| {
            said.contains(words).then_some(())
        })
    }

    /// Waits until the machine has turned itself off.
    pub(crate) fn wait_until_off(&mut self) -> Result<()> {
        const LIMIT: Duration = Duration::from_mins(10);
        let since = Instant::now();
        while self.qemu.0.try_wait()?.is_none() {
            if since.elapsed() > LIMIT {
                bail!("the machine did not turn off within {} s", LIMIT.as_secs());
            }
            thread::sleep(Duration::from_millis(250));
        }
        Ok(())
    }
}
