//! `cargo xtask image --test`: what an image has to do and to refuse, seen on machines in QEMU.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Instant,
};

use anyhow::{Result, bail};

use super::{
    Bench, checks, disk, filter, kernel_log, kvm,
    machine::{Machine, Network, Running},
    papers, platforms, play, scan, scores,
    table::{self, Row},
    tamper, tools,
    update::Fault,
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

/// Which cases are run, and where what they saw is written down.
pub(crate) struct Wanted<'a> {
    pub(crate) extent: Extent,
    /// Those alone that have one of these in their name; all, where there is none.
    pub(crate) only: &'a [String],
    pub(crate) page: &'a Path,
}

/// What the matrix works with.
pub(crate) struct Matrix<'a> {
    pub(crate) bench: &'a Bench,
    /// The image.
    pub(crate) disk: &'a Path,
    /// The programs that are in it.
    pub(crate) inside: &'a [PathBuf],
    /// The command line, as it was built.
    pub(crate) strongroom: &'a Path,
    /// The ports of this machine that lead to the appliance.
    pub(crate) listeners: Listeners,
    /// Builds the image again in another folder.
    pub(crate) build_again: &'a dyn Fn(&Path) -> Result<PathBuf>,
    /// Builds an update.
    pub(crate) build_update: &'a dyn Fn(&Bench) -> Result<PathBuf>,
}

/// The case that leaves the machine which others go on with.
const FIRST_BOOT: &str =
    "first boot: Secure Boot on, data partition made and encrypted, the story from outside";

/// A case: what is seen when it comes out as it has to.
pub(super) type Case<'a> = (&'static str, Box<dyn Fn() -> Result<String> + 'a>);

impl Matrix<'_> {
    /// Runs the cases, one after another; the exit status says whether all came out as they have to. With `only`, those whose name has one of them in it,
    /// and the first boot before them where there is no machine of it: nothing is written down then.
    pub(crate) fn run(&self, wanted: &Wanted<'_>) -> Result<ExitCode> {
        let Wanted { extent, only, page } = *wanted;
        self.listeners.check_free()?;
        let began = Instant::now();
        let mut cases = self.short();
        if extent == Extent::Whole {
            cases.extend(self.long());
            cases.extend(self.typed());
            cases.extend(self.resets());
            cases.extend(self.seeds());
            cases.extend(self.outgoing());
        }
        if !only.is_empty() {
            let is_wanted = |case: &str| only.iter().any(|text| case.contains(text));
            if let Some(nobody) = only
                .iter()
                .find(|text| !cases.iter().any(|(case, _)| case.contains(*text)))
            {
                bail!("no case has \"{nobody}\" in its name");
            }
            cases.retain(|(case, _)| is_wanted(case));
            if !self.is_settled() && !cases.iter().any(|(case, _)| *case == FIRST_BOOT) {
                self.first_boot()?;
            }
        }
        let written = extent == Extent::Whole && only.is_empty();
        let mut rows: Vec<Row> = Vec::new();
        for (index, case) in cases.iter().enumerate() {
            rows.push(take(case));
            if written {
                // After each, so that a run that is broken off leaves what it saw.
                let missing = cases.iter().skip(index + 1).map(|(case, _)| *case);
                let text = table::page(&rows, missing, &table::this_machine(), began.elapsed());
                super::write(page, text)?;
            }
        }
        if written {
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

    pub(super) fn folder(&self, name: &str) -> PathBuf {
        self.bench.work.join("matrix").join(name)
    }

    pub(super) fn network(&self) -> Network {
        Network::Forwarded(self.listeners)
    }

    /// The story on a machine, and one image that was tampered with.
    fn short(&self) -> Vec<Case<'_>> {
        vec![
            (FIRST_BOOT, Box::new(|| self.first_boot())),
            (
                "a flipped bit in the root: refused",
                Box::new(|| self.flipped_root()),
            ),
        ]
    }

    /// All other cases.
    fn long(&self) -> Vec<Case<'_>> {
        vec![
            (
                "the papers: signature, hashes, bills of materials",
                Box::new(|| papers::check(self.bench)),
            ),
            (
                "exposure of the units (systemd-analyze security)",
                Box::new(|| checks::exposure(self.bench)),
            ),
            (
                "hardening by ANSSI-BP-028, level high (openscap)",
                Box::new(|| scores::check(self.bench)),
            ),
            (
                "no SUID or SGID file, no account that can log in, no shell",
                Box::new(|| checks::files(self.bench)),
            ),
            (
                "the packet filter's rules, with every kind of peer configured (nft -c)",
                Box::new(|| self.packet_filter()),
            ),
            (
                "reboot at the console: data is kept",
                Box::new(|| self.reboot()),
            ),
            (
                "attestation: accepted; refused for a changed image",
                Box::new(|| self.attestation()),
            ),
            (
                "the data partition read without the TPM: encrypted",
                Box::new(|| self.encrypted()),
            ),
            (
                "another TPM: data stays locked, nothing serves",
                Box::new(|| self.foreign_tpm()),
            ),
            (
                "the recovery key shared at the console, and typed at a machine with another TPM: it serves, with all data",
                Box::new(|| self.recovered()),
            ),
            (
                "a flipped bit in the kernel image: refused",
                Box::new(|| self.flipped(&disk::kernel(&self.bench.version))),
            ),
            (
                "a flipped bit in the boot loader: refused",
                Box::new(|| self.flipped(disk::LOADER)),
            ),
            (
                "no Secure Boot at the first boot: no enrolment, and the console says why",
                Box::new(|| self.without_secure_boot()),
            ),
            (
                "an update by the CLI: installed, restarted, kept, with all data; an older release refused",
                Box::new(|| self.good_update()),
            ),
            (
                "the release before the update, started from the disk: the TPM does not open the data",
                Box::new(|| self.older_release()),
            ),
            (
                "an update whose kernel panics: the machine goes back by itself",
                Box::new(|| self.gone_back_from(Fault::Kernel)),
            ),
            (
                "an update with a damaged root: the machine goes back by itself",
                Box::new(|| self.gone_back_from(Fault::Root)),
            ),
            (
                "an update whose service does not reach its HSM: the machine goes back by itself",
                Box::new(|| self.gone_back_from(Fault::Service)),
            ),
            (
                "every TCP port from outside: the two listeners only",
                Box::new(|| self.open_ports()),
            ),
            (
                "Secure Boot turned off later: data stays locked, nothing serves",
                Box::new(|| self.secure_boot_turned_off()),
            ),
            (
                "built twice, in two folders: identical",
                Box::new(|| self.identical()),
            ),
        ]
    }

    /// Whether there is a machine that came up from this very image, and played the story to its end.
    fn is_settled(&self) -> bool {
        let image = papers::sums(self.bench).ok();
        image.is_some() && fs::read_to_string(self.folder("first/image")).ok() == image
    }

    /// The machine of the first boot, which the cases after it go on with.
    pub(super) fn settled(&self) -> Result<Machine> {
        if !self.is_settled() {
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
        let stalls = kernel_log::quiet(&running.said()?, !kvm::works())?;
        let commands = play::story(self.strongroom, self.listeners, &shown, &people)?;
        turn_off(&mut running)?;
        super::write(&self.folder("first/image"), papers::sums(self.bench)?)?;
        let stood_still = match stalls {
            0 => String::new(),
            times => format!(", but that the emulated processor stood still {times} times"),
        };
        Ok(format!(
            "serves after {}; {commands} commands of the CLI; the CA is the one whose fingerprint the console shows; no warning of the kernel{stood_still}",
            crate::terminal::duration(served)
        ))
    }

    fn reboot(&self) -> Result<String> {
        let mut running = self.settled()?.start(self.network())?;
        play::until_it_serves(&mut running)?;
        let measured = self.measured(&mut running)?;
        restart(&mut running)?;
        play::until_it_serves(&mut running)?;
        let leaves = play::sign_in_again(self.strongroom, &self.folder("people"))?;
        if !leaves.contains("key.destroy") {
            bail!("the audit log has lost what was done in the story");
        }
        turn_off(&mut running)?;
        Ok(format!(
            "alice signs in, and her audit log still has the story; {measured}; turned off at the console"
        ))
    }

    /// Holds what the console says of the TPM's registers against what was computed when the image was built.
    fn measured(&self, running: &mut Running) -> Result<String> {
        running.mark()?;
        running.type_line("m")?;
        let predicted = papers::predicted(self.bench)?;
        for (register, value) in [(7, predicted.pcr7), (11, predicted.pcr11)] {
            let measured =
                running.wait_for("a measured value", |said| play::register(said, register))?;
            if measured != value {
                bail!("PCR {register} is {measured}, and {value} was computed");
            }
        }
        Ok("PCR 7 and 11 are as computed".to_owned())
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
    pub(super) fn refuses(&self, machine: &Machine, why: &str) -> Result<String> {
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
            said.contains("Kernel panic")
                .then(|| kernel_log::after_time(line))
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

    fn packet_filter(&self) -> Result<String> {
        let made = filter::check(self.bench, &tools::ensure(self.bench)?, self.inside)?;
        Ok(format!(
            "accepted; {made} rules follow from the configuration"
        ))
    }

    fn identical(&self) -> Result<String> {
        let again = self.bench.work.join("again");
        super::remove(&again)?;
        let second = (self.build_again)(&again)?;
        process::answer(Command::new("cmp").arg(self.disk).arg(&second))?;
        platforms::same(self.bench, &again.join("out"))?;
        super::remove(&again)?;
        Ok(if self.bench.platforms {
            "cmp finds no difference between the two disks, nor between those for hypervisors"
        } else {
            "cmp finds no difference between the two disks"
        }
        .to_owned())
    }
}

fn take(&(case, ref work): &Case<'_>) -> Row {
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
pub(super) fn order(running: &mut Running, key: &str, word: &str) -> Result<()> {
    running.type_line(key)?;
    running.wait_for_words(&format!("Type \"{word}\""))?;
    running.type_line(word)
}

/// Restarts the machine at its console; from there on only what the new start says counts.
pub(super) fn restart(running: &mut Running) -> Result<()> {
    running.mark()?;
    order(running, "r", "restart")?;
    running.wait_for_words(STARTED)?;
    running.mark()
}

/// What the kernel's stub says of each start under Secure Boot.
pub(super) const STARTED: &str = "EFI stub: UEFI Secure Boot is enabled.";

/// Turns the machine off at its console, and waits until it is.
pub(super) fn turn_off(running: &mut Running) -> Result<()> {
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
