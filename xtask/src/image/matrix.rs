//! `cargo xtask image --test`: what an image has to do and to refuse, seen on machines in QEMU.

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Instant,
};

use anyhow::{Result, bail};

use super::{
    Bench, checks, disk, kvm,
    machine::{Machine, Network, Running},
    play, scan,
    table::{self, Row},
    tamper,
};
use crate::{
    listeners::Listeners,
    process,
    terminal::{Spinner, say},
};

/// How much of the matrix is run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// The story on a machine, and one image that was tampered with.
    Short,
    /// All of it.
    Whole,
}

/// What the matrix works with.
pub(crate) struct Matrix<'a> {
    pub(crate) bench: &'a Bench,
    /// The image.
    pub(crate) disk: &'a Path,
    /// The command line, as it was built.
    pub(crate) strongroom: &'a Path,
    /// The ports of this machine that lead to the appliance.
    pub(crate) listeners: Listeners,
    /// Builds the image again in another folder.
    pub(crate) build_again: &'a dyn Fn(&Path) -> Result<PathBuf>,
}

/// A case: what is seen when it comes out as it has to.
type Case<'a> = (&'static str, &'a dyn Fn() -> Result<String>);

impl Matrix<'_> {
    /// Runs the cases, one after another; the exit status says whether all came out as they have to.
    pub(crate) fn run(&self, extent: Extent, page: &Path) -> Result<ExitCode> {
        self.listeners.check_free()?;
        let began = Instant::now();
        let short: &[Case<'_>] = &[
            (
                "first boot: Secure Boot on, data partition made and encrypted, the story from outside",
                &|| self.first_boot(),
            ),
            ("a flipped bit in the root: refused", &|| {
                self.flipped_root()
            }),
        ];
        let long: &[Case<'_>] = &[
            ("reboot at the console: data is kept", &|| self.reboot()),
            (
                "no Secure Boot at the first boot: no enrolment, and the console says why",
                &|| self.without_secure_boot(),
            ),
            (
                "Secure Boot turned off later: data stays locked, nothing serves",
                &|| self.secure_boot_turned_off(),
            ),
            ("another TPM: data stays locked, nothing serves", &|| {
                self.foreign_tpm()
            }),
            ("a flipped bit in the kernel image: refused", &|| {
                self.flipped(disk::KERNEL)
            }),
            ("a flipped bit in the boot loader: refused", &|| {
                self.flipped(disk::LOADER)
            }),
            (
                "every TCP port from outside: the two listeners only",
                &|| self.open_ports(),
            ),
            (
                "the data partition read without the TPM: encrypted",
                &|| self.encrypted(),
            ),
            ("exposure of the units (systemd-analyze security)", &|| {
                checks::exposure(self.bench)
            }),
            (
                "no SUID or SGID file, no account that can log in, no shell",
                &|| checks::files(self.bench),
            ),
            ("the packet filter's rules (nft -c)", &|| {
                checks::packet_filter(self.bench)
            }),
            ("built twice, in two folders: identical", &|| {
                self.identical()
            }),
        ];
        let long = if extent == Extent::Whole { long } else { &[] };
        let rows: Vec<Row> = short.iter().chain(long).map(|case| take(*case)).collect();
        if extent == Extent::Whole {
            super::write(page, table::page(&rows, &this_machine(), began.elapsed()))?;
            say!("The table is in {}.", crate::terminal::shown(page));
        }
        let failed = rows.iter().filter(|row| row.outcome.is_err()).count();
        say!("{} cases, {failed} failed.", rows.len());
        Ok(if failed == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.bench.work.join("matrix").join(name)
    }

    fn network(&self) -> Network {
        Network::Forwarded(self.listeners)
    }

    /// The machine of the first boot, which the cases after it go on with.
    fn settled(&self) -> Result<Machine> {
        if !self.folder("people/ca.pem").exists() {
            bail!("the first boot did not come to its end");
        }
        Machine::at(self.bench, self.disk, self.folder("first"))
    }

    fn first_boot(&self) -> Result<String> {
        let people = self.folder("people");
        play::fresh(&people)?;
        let machine = Machine::new(self.bench, self.disk, self.folder("first"))?;
        let mut running = machine.start(self.network())?;
        let shown = play::until_it_serves(&mut running)?;
        let served = running.time();
        quiet(&running.said()?)?;
        let commands = play::story(self.strongroom, self.listeners, &shown, &people)?;
        turn_off(&mut running)?;
        Ok(format!(
            "serves after {}; {commands} commands of the CLI; the CA is the one whose fingerprint the console shows; no warning of the kernel",
            crate::terminal::duration(served)
        ))
    }

    fn reboot(&self) -> Result<String> {
        let mut running = self.settled()?.start(self.network())?;
        play::until_it_serves(&mut running)?;
        running.mark()?;
        order(&mut running, "r", "restart")?;
        play::until_it_serves(&mut running)?;
        let leaves = play::sign_in_again(self.strongroom, &self.folder("people"))?;
        if !leaves.contains("key.destroy") {
            bail!("the audit log has lost what was done in the story");
        }
        turn_off(&mut running)?;
        Ok(
            "alice signs in, and her audit log still has the story; turned off at the console"
                .to_owned(),
        )
    }

    fn without_secure_boot(&self) -> Result<String> {
        let machine = Machine::new(self.bench, self.disk, self.folder("blank"))?;
        machine.reset_firmware()?;
        self.refuses(&machine, "Secure Boot is off, so nobody could tell")
    }

    fn secure_boot_turned_off(&self) -> Result<String> {
        let machine = self.settled()?.copy(self.folder("turned-off"))?;
        machine.reset_firmware()?;
        self.refuses(&machine, "Secure Boot is off, so nobody could tell")
    }

    fn foreign_tpm(&self) -> Result<String> {
        let machine = self.settled()?.copy(self.folder("foreign"))?;
        machine.replace_tpm()?;
        self.refuses(&machine, "The data is locked, as this is another machine")
    }

    /// The machine starts, says why it does not serve, and does not.
    fn refuses(&self, machine: &Machine, why: &str) -> Result<String> {
        let mut running = machine.start(self.network())?;
        running.wait_for_words(why)?;
        running.wait_for_words("Service          not started")?;
        let said = running.said()?;
        if said.contains("First enrolment") {
            bail!("the console shows an enrolment code all the same");
        }
        if play::answers(self.listeners) {
            bail!("something answers on the client port all the same");
        }
        Ok(format!(
            "the console says: \"{why} …\"; no answer on the client port"
        ))
    }

    fn flipped_root(&self) -> Result<String> {
        let machine = self.settled()?.copy(self.folder("root"))?;
        tamper::flip_root(&machine)?;
        let mut running = machine.start(self.network())?;
        let seen = running.wait_for("a refusal of dm-verity", |said| {
            let line = said.lines().find(|line| {
                line.contains("device-mapper: verity:") && line.contains("corrupted")
            })?;
            said.contains("Kernel panic").then(|| after_time(line))
        })?;
        never_serves(&running)?;
        Ok(format!("\"{seen}\", and the kernel stops"))
    }

    fn flipped(&self, file: &str) -> Result<String> {
        let machine = self.settled()?.copy(self.folder("flipped"))?;
        tamper::flip_file(self.bench, &machine, file)?;
        let mut running = machine.start(self.network())?;
        let seen = running.wait_for("a refusal of the firmware", |said| {
            said.lines()
                .find(|line| {
                    [
                        "Access Denied",
                        "Access denied",
                        "Security Violation",
                        "Security violation",
                    ]
                    .iter()
                    .any(|words| line.contains(words))
                })
                .map(|line| line.trim().to_owned())
        })?;
        never_serves(&running)?;
        Ok(format!("\"{seen}\""))
    }

    fn open_ports(&self) -> Result<String> {
        let machine = self.settled()?;
        let mut running = machine.start(Network::Interface(scan::INTERFACE))?;
        let open = scan::open_ports(|| play::until_it_serves(&mut running).map(|_| ()))?;
        turn_off(&mut running)?;
        if open != [8443, 9443] {
            bail!("these ports are open: {open:?}");
        }
        Ok("65,535 ports tried over IPv6: 8443 and 9443 are open, nothing else answers".to_owned())
    }

    fn encrypted(&self) -> Result<String> {
        checks::encrypted(self.bench, &self.settled()?)
    }

    fn identical(&self) -> Result<String> {
        let again = self.bench.work.join("again");
        super::remove(&again)?;
        let second = (self.build_again)(&again)?;
        process::answer(Command::new("cmp").arg(self.disk).arg(&second))?;
        super::remove(&again)?;
        Ok("cmp finds no difference between the two disks".to_owned())
    }
}

fn take((case, work): Case<'_>) -> Row {
    let since = Instant::now();
    let spinner = Spinner::start(case);
    let outcome = work().map_err(|error| format!("{error:#}"));
    drop(spinner);
    let row = Row {
        case,
        outcome,
        time: since.elapsed(),
    };
    table::tell(&row);
    row
}

/// Gives an order at the console, and the word that confirms it.
fn order(running: &mut Running, key: &str, word: &str) -> Result<()> {
    running.type_line(key)?;
    running.wait_for_words(&format!("Type \"{word}\""))?;
    running.type_line(word)
}

/// Turns the machine off at its console, and waits until it is.
fn turn_off(running: &mut Running) -> Result<()> {
    running.mark()?;
    order(running, "o", "turn off")?;
    running.wait_until_off()
}

/// A tampered image was refused; it has not gone on nevertheless.
fn never_serves(running: &Running) -> Result<()> {
    if running.said()?.contains("Strongroom's setup console")
        || play::console(&running.said()?).is_some()
    {
        bail!("the appliance starts all the same");
    }
    Ok(())
}

/// The kernel says nothing at or above the level of a warning, but for what is known and not ours.
fn quiet(said: &str) -> Result<()> {
    let warning = said.lines().find(|line| {
        is_kernel_line(line)
            && !checks::KNOWN_WARNINGS
                .iter()
                .any(|known| line.contains(known))
    });
    match warning {
        Some(line) => bail!("the kernel warns: {}", line.trim()),
        None => Ok(()),
    }
}

/// `[    1.234567] …`
fn is_kernel_line(line: &str) -> bool {
    line.strip_prefix('[')
        .and_then(|line| line.split_once(']'))
        .is_some_and(|(time, _)| time.trim().parse::<f64>().is_ok())
}

fn after_time(line: &str) -> String {
    line.split_once(']')
        .map_or(line, |(_, rest)| rest)
        .trim()
        .to_owned()
}

/// What the measurements depend on.
fn this_machine() -> String {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let how = if kvm::works() {
        "KVM"
    } else {
        "QEMU's emulation, as KVM cannot be used there"
    };
    format!("a machine with {processors} processors, by {how}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_of_the_kernel_is_found() {
        assert!(quiet("Strongroom 0.1.0\n  Service\n").is_ok());
        assert!(quiet("[    1.250000] something is wrong\n").is_err());
    }
}
