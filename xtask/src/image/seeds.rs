//! The matrix's cases of seeds: a first start without a hand at the console, and seeds that are refused.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, bail};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    Bench, keys,
    machine::{Machine, Network, Running},
    matrix::{Case, Matrix, STARTED, order, turn_off},
    outside, play, seed, tools,
};
use crate::process;

/// The network that the seed says: with the address to which QEMU forwards, and a prefix that no DHCP server there gives.
const NETWORK: &str = "10.0.2.15/25 via 10.0.2.2 dns 10.0.2.3";
/// What the seed says: all of it is seen from outside.
const TEXT: &str = "# Strongroom seed, format 1\n\
    network = \"10.0.2.15/25 via 10.0.2.2 dns 10.0.2.3\"\nntp = [\"10.0.2.9\"]\n\
    name = \"keys.example.com\"\ndns_names = [\"vault.example.com\"]\nadministrator = \"ann@example.com\"\n\
    [strongroomd.log]\nformat = \"json\"\n";
/// The verifier key of a log that a witness knows.
const LOG_KEY: &str =
    "strongroom.example/default+f1779fd8+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c";
/// The PIN that somebody types in the case of one that is kept nowhere.
const PIN: &str = "correct horse battery";

impl Matrix<'_> {
    /// The cases of seeds.
    pub(super) fn seeds(&self) -> Vec<Case<'_>> {
        vec![
            (
                "a signed seed by fw_cfg: set up without a hand at the console",
                Box::new(|| self.seeded(Place::FwCfg)),
            ),
            (
                "a signed seed by SMBIOS: set up without a hand at the console",
                Box::new(|| self.seeded(Place::Smbios)),
            ),
            (
                "a signed seed on a stick: set up without a hand at the console",
                Box::new(|| self.seeded(Place::Stick)),
            ),
            (
                "a seed that makes the machine a witness: a third port, by the appliance's authority",
                Box::new(|| self.witness()),
            ),
            (
                "a stick with a seed that another key signed: nothing is made, and the console says why",
                Box::new(|| self.foreign_seed()),
            ),
            (
                "a PIN that is typed at each start: sealed until it is",
                Box::new(|| self.typed_pin()),
            ),
        ]
    }

    fn seeded(&self, place: Place) -> Result<String> {
        let machine = Machine::new(self.bench, self.disk, self.folder("seeded"))?;
        let seed = machine.folder().join("strongroom.seed");
        sign(&self.bench.keys.join(keys::SEED.0), TEXT, &seed)?;
        let mut running = machine.start_with(self.network(), &place.give(self.bench, &seed)?)?;
        let shown = play::until_it_serves(&mut running)?;
        let served = running.time();
        let sha256 = process::answer(Command::new("sha256sum").arg(&seed))?;
        let sha256 = String::from_utf8_lossy(&sha256);
        let sha256 = sha256.split_whitespace().next().unwrap_or_default();
        running.wait_for_words(&format!("Seed             SHA-256 {sha256}\n"))?;
        running.wait_for_words("Addresses        10.0.2.15\n")?;
        running.type_line("n")?;
        running.wait_for_words(&format!("The network is: {NETWORK}\n"))?;
        running.type_line("")?;
        running.wait_for_words("First enrolment  account ann@example.com, code ")?;
        let people = self.folder("seeded-people");
        play::fresh(&people)?;
        play::fetch_authority(self.listeners, &shown, &people)?;
        self.has_names(&people)?;
        turn_off(&mut running)?;
        drop(running);

        // It is read at the first start and not later: without it the appliance is the same.
        let mut running = machine.start(self.network())?;
        let again = play::until_it_serves(&mut running)?;
        if again != shown {
            bail!("after a start without the seed it is another appliance");
        }
        // Its names are wanted later, too, so that a renewal does not drop them.
        running.type_line("d")?;
        running.wait_for_words("and these names: vault.example.com\n")?;
        running.type_line("")?;
        self.has_names(&people)?;
        turn_off(&mut running)?;
        Ok(format!(
            "serves after {}, with the seed's address, names and first administrator; the same at a start without it",
            crate::terminal::duration(served)
        ))
    }

    /// Sees that the certificate is for the names that the seed says.
    fn has_names(&self, folder: &Path) -> Result<()> {
        let names = self.certificate_names(folder)?;
        for name in ["keys.example.com", "vault.example.com", "10.0.2.15"] {
            if !names.contains(name) {
                bail!("{name} is not in the server certificate: {names}");
            }
        }
        Ok(())
    }

    fn witness(&self) -> Result<String> {
        // One of those that the appliance's certificates are for.
        const NAME: &str = "keys.example.com";
        let port = outside::free_port()?;
        let machine = Machine::new(self.bench, self.disk, self.folder("witness"))?;
        let seed = machine.folder().join("strongroom.seed");
        let text = format!(
            "{TEXT}[witness]\nname = \"{NAME}/w1\"\n[[witness.log]]\nverifier_keys = [\"{LOG_KEY}\"]\n"
        );
        sign(&self.bench.keys.join(keys::SEED.0), &text, &seed)?;
        let more = Place::FwCfg.give(self.bench, &seed)?;
        let mut running = machine.start_with(Network::Witness(self.listeners, port), &more)?;
        let shown = play::until_it_serves(&mut running)?;
        let key = running.wait_for("the witness's verifier key", |said| {
            let (_, rest) = said.split_once(&format!(" {NAME}/w1+"))?;
            let (key, _) = rest.split_once('\n')?;
            Some(key.trim().to_owned())
        })?;
        let people = self.folder("witness-people");
        play::fresh(&people)?;
        let ca = play::fetch_authority(self.listeners, &shown, &people)?;
        // A checkpoint of a log that it does not know.
        let ask = || {
            process::answer(
                Command::new("curl")
                    .args(["--silent", "--show-error", "--max-time", "30", "--output"])
                    .arg("/dev/null")
                    .args(["--write-out", "%{http_code}", "--cacert"])
                    .arg(&ca)
                    .args(["--resolve", &format!("{NAME}:{port}:127.0.0.1")])
                    .args(["--data-binary", "old 0\n\nnobody/knows\n1\nAAAA\n\n"])
                    .arg(format!("https://{NAME}:{port}/add-checkpoint")),
            )
        };
        let status = running.wait_for("an answer of the witness", |_| ask().ok())?;
        let status = String::from_utf8_lossy(&status).into_owned();
        if !status.starts_with('4') {
            bail!("a log that it does not know is answered with {status}");
        }
        turn_off(&mut running)?;
        Ok(format!(
            "the console shows its verifier key, {NAME}/w1+{key}; a log that it does not know is answered with {status}"
        ))
    }

    fn foreign_seed(&self) -> Result<String> {
        let machine = Machine::new(self.bench, self.disk, self.folder("foreign-seed"))?;
        keys::pair(machine.folder(), "other.key", "other.pem")?;
        let seed = machine.folder().join("strongroom.seed");
        sign(&machine.folder().join("other.key"), TEXT, &seed)?;
        let why = "refused: it is not signed by the key that this image trusts for seeds";
        let mut running =
            machine.start_with(self.network(), &Place::Stick.give(self.bench, &seed)?)?;
        running.wait_for_words(why)?;
        running.wait_for_words("Service          not started, as the seed is refused")?;
        if running.said()?.contains("First enrolment") || play::answers(self.listeners) {
            bail!("an appliance was made all the same");
        }
        // Without the stick the first start is one at the console.
        running.mark()?;
        order(&mut running, "o", "turn off")?;
        running.wait_until_off()?;
        drop(running);
        let mut running = machine.start(self.network())?;
        play::until_it_serves(&mut running)?;
        running.wait_for_words("First enrolment  account admin, code ")?;
        turn_off(&mut running)?;
        Ok(format!(
            "the console says: \"{why} …\"; without the stick it is set up as usual"
        ))
    }

    fn typed_pin(&self) -> Result<String> {
        let machine = Machine::new(self.bench, self.disk, self.folder("typed-pin"))?;
        let seed = machine.folder().join("strongroom.seed");
        let text = format!("{TEXT}[hsm]\npin = \"typed\"\n");
        sign(&self.bench.keys.join(keys::SEED.0), &text, &seed)?;
        let mut running =
            machine.start_with(self.network(), &Place::FwCfg.give(self.bench, &seed)?)?;
        running.wait_for_words("waiting for the HSM's PIN: type p")?;
        type_pin(
            &mut running,
            &["A PIN for the HSM's new token", "The same again"],
            PIN,
        )?;
        // The service starts, sealed.
        running.wait_for_words("whoever has the HSM's PIN types p")?;
        type_pin(
            &mut running,
            &["The HSM's PIN, which"],
            "wrong horse battery",
        )?;
        running.wait_for_words("That was not done")?;
        type_pin(&mut running, &["The HSM's PIN, which"], PIN)?;
        play::until_it_serves(&mut running)?;
        running.mark()?;
        order(&mut running, "r", "restart")?;
        running.wait_for_words(STARTED)?;
        running.mark()?;
        running.wait_for_words("whoever has the HSM's PIN types p")?;
        type_pin(&mut running, &["The HSM's PIN, which"], PIN)?;
        play::until_it_serves(&mut running)?;
        let said = fs::read_to_string(machine.serial_log())?;
        if said.contains(PIN) {
            bail!("the PIN was shown");
        }
        turn_off(&mut running)?;
        Ok("the token made with the PIN that was typed twice; sealed at each start until it is typed, a wrong one refused; never shown".to_owned())
    }

    /// What the server's certificate is for, as openssl shows it.
    pub(super) fn certificate_names(&self, folder: &Path) -> Result<String> {
        let said = process::answer(
            Command::new("openssl")
                .args(["s_client", "-connect"])
                .arg(self.listeners.client.to_string()),
        )?;
        let file = folder.join("server.pem");
        super::write(&file, said)?;
        let names = process::answer(
            Command::new("openssl")
                .args(["x509", "-noout", "-ext", "subjectAltName", "-in"])
                .arg(&file),
        )?;
        Ok(String::from_utf8_lossy(&names).into_owned())
    }
}

/// Signs what a seed says.
pub(super) fn sign(key: &Path, text: &str, seed: &Path) -> Result<()> {
    let unsigned = seed.with_extension("toml");
    super::write(&unsigned, text)?;
    seed::sign(key, &unsigned, seed)
}

/// By what a machine gets a seed.
#[derive(Clone, Copy)]
pub(super) enum Place {
    FwCfg,
    Smbios,
    /// A disk of its own, which a cloud kernel has a driver for: a stick at a USB port needs the kernel for servers.
    Stick,
}

impl Place {
    /// What QEMU is told, for the seed in this file.
    pub(super) fn give(self, bench: &Bench, seed: &Path) -> Result<Vec<String>> {
        let words = match self {
            Self::FwCfg => [
                "-fw_cfg".to_owned(),
                format!(
                    "name=opt/io.systemd.credentials/strongroom.seed,file={}",
                    seed.display()
                ),
            ],
            Self::Smbios => [
                "-smbios".to_owned(),
                format!(
                    "type=11,value=io.systemd.credential.binary:strongroom.seed={}",
                    STANDARD.encode(fs::read(seed)?)
                ),
            ],
            Self::Stick => [
                "-drive".to_owned(),
                format!(
                    "file={},format=raw,if=virtio,readonly=on",
                    make_stick(bench, seed)?.display()
                ),
            ],
        };
        Ok(words.to_vec())
    }
}

/// Makes the image of a stick with a seed: a vfat file system of 8 MiB.
fn make_stick(bench: &Bench, seed: &Path) -> Result<PathBuf> {
    fs::copy(seed, bench.work.join("stick.seed"))?;
    tools::ensure(bench)?.sh(
        "rm -f stick.img; truncate -s 8M stick.img; mkfs.vfat -n STRONGSEED stick.img >&2; mcopy -i stick.img stick.seed ::strongroom.seed",
        &[],
    )?;
    Ok(bench.work.join("stick.img"))
}

/// Types the HSM's PIN at the console, once for each question.
fn type_pin(running: &mut Running, questions: &[&str], pin: &str) -> Result<()> {
    running.mark()?;
    running.type_line("p")?;
    for question in questions {
        running.wait_for_words(question)?;
        running.mark()?;
        running.type_line(pin)?;
    }
    Ok(())
}
