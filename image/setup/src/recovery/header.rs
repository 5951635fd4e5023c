//! The LUKS header of the data partition: which recovery keys open it, and what is done about them.
//!
//! A slot of a recovery key has a token of systemd's, as `systemd-cryptenroll --recovery-key` made it; one that custodians have shown to open the
//! data has a token of ours beside it, which says among how many it is shared.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

use super::key::RecoveryKey;
use super::told::{Made, Used};

/// The types of tokens: ours, and systemd's.
const OURS: &str = "strongroom-recovery";
const RECOVERY: &str = "systemd-recovery";
const TPM: &str = "systemd-tpm2";
/// What opens the data where Secure Boot is as it is now, and a kernel image of ours was started: as `repart.d` has it at the first start.
const MEASURED: [&str; 2] = ["--tpm2-pcrs=7", "--tpm2-public-key-pcrs=11"];

/// The header of a partition.
#[derive(Clone, Copy)]
pub(super) struct Header<'a>(pub(super) &'a Path);

/// A recovery key that custodians have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Proved {
    token: String,
    pub(super) slot: String,
    pub(super) shared: Shared,
}

/// What our token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Shared {
    #[serde(flatten)]
    pub(super) made: Made,
    /// The number of the shares' set, in hexadecimal.
    pub(super) set: String,
    /// The last time that a recovery key of this partition was used: this one, or one before it.
    pub(super) used: Option<Used>,
}

/// A token as LUKS has it.
#[derive(Serialize, Deserialize)]
struct Token {
    #[serde(rename = "type")]
    kind: String,
    keyslots: Vec<String>,
    #[serde(flatten)]
    shared: Shared,
}

impl Header<'_> {
    /// The recovery key that custodians have; the newest, where a change of keys was broken off. None where there is none.
    ///
    /// # Errors
    /// When the header cannot be read.
    pub(super) fn proved(self) -> Result<Option<Proved>> {
        let found = tokens(&self.dump()?, OURS)
            .filter_map(|(id, token)| {
                let token: Token = serde_json::from_value(token.clone()).ok()?;
                Some(Proved {
                    token: id.to_owned(),
                    slot: token.keyslots.into_iter().next()?,
                    shared: token.shared,
                })
            })
            .max_by(|one, other| one.shared.made.at.cmp(&other.shared.made.at));
        Ok(found)
    }

    /// Whether there is a slot of a recovery key that nobody has shown to have.
    pub(super) fn unproved(self) -> Result<Option<String>> {
        let header = self.dump()?;
        let proved: Vec<String> = slots(&header, OURS);
        Ok(slots(&header, RECOVERY)
            .into_iter()
            .find(|slot| !proved.contains(slot)))
    }

    /// Has a slot made whose key the TPM authorises, which takes that it still opens the data.
    ///
    /// # Errors
    /// When it does not, or the header cannot be written.
    pub(super) fn add(self, tpm: &str) -> Result<RecoveryKey> {
        let tpm = format!("--unlock-tpm2-device={tpm}");
        let mut enrol = Command::new("systemd-cryptenroll");
        enrol.args([&tpm, "--recovery-key"]).arg(self.0);
        RecoveryKey::from_passphrase(&run(&mut enrol, b"")?)
    }

    /// Whether a key opens a slot.
    ///
    /// # Errors
    /// When it does not.
    pub(super) fn opens(self, key: &RecoveryKey, slot: &str) -> Result<()> {
        let mut open = cryptsetup(&["open", "--test-passphrase", "--key-slot", slot]);
        open.args(["--key-file", "-"]).arg(self.0);
        run(&mut open, &key.passphrase())
            .map(drop)
            .context("the key does not open the data partition")
    }

    /// Says that custodians have the key of a slot, and removes every other recovery key.
    ///
    /// # Errors
    /// When the header cannot be read or written. Until then the keys before are good.
    pub(super) fn prove(self, slot: &str, shared: Shared) -> Result<()> {
        let before = slots(&self.dump()?, RECOVERY);
        self.import(&[], slot, shared)?;
        for other in before.iter().filter(|other| *other != slot) {
            self.kill(other)?;
        }
        self.forget_empty()
    }

    /// Says that a recovery key is used, before it is.
    ///
    /// # Errors
    /// When the header cannot be written.
    pub(super) fn mark(self, proved: &Proved, used: Used) -> Result<()> {
        let shared = Shared {
            used: Some(used),
            ..proved.shared.clone()
        };
        let replace = ["--token-replace", "--token-id", proved.token.as_str()];
        self.import(&replace, &proved.slot, shared)
    }

    /// Has this machine's TPM open the data from here on, and no other.
    ///
    /// systemd enrols nothing where a token has the same policy, although it is another TPM's. So the tokens before go first, and come back where the
    /// TPM does not do it.
    ///
    /// # Errors
    /// When the TPM does not do it, or the header cannot be read or written.
    pub(super) fn bind(self, key: &RecoveryKey, tpm: &str, signer: &Path) -> Result<()> {
        let header = self.dump()?;
        let before: Vec<(&str, &Value)> = tokens(&header, TPM).collect();
        for (id, _) in &before {
            self.remove(id)?;
        }
        let mut enrol = Command::new("systemd-cryptenroll");
        enrol
            .arg("--unlock-key-file=/proc/self/fd/0")
            .arg(format!("--tpm2-device={tpm}"))
            .arg(format!("--tpm2-public-key={}", signer.display()))
            .args(MEASURED)
            .arg(self.0);
        if let Err(error) = run(&mut enrol, &key.passphrase()) {
            for (_, token) in &before {
                self.write(&[], token)?;
            }
            return Err(error)
                .context("this machine's TPM does not take the key to the data: clear it in the firmware's settings, and try again");
        }
        for (_, token) in &before {
            for slot in keyslots(token) {
                self.kill(slot)?;
            }
        }
        Ok(())
    }

    /// Removes each slot of a recovery key that nobody has shown to have.
    ///
    /// # Errors
    /// When the header cannot be read or written.
    pub(super) fn forget_unproved(self) -> Result<()> {
        let header = self.dump()?;
        let proved: Vec<String> = slots(&header, OURS);
        for slot in slots(&header, RECOVERY) {
            if !proved.contains(&slot) {
                self.kill(&slot)?;
            }
        }
        self.forget_empty()
    }

    /// Removes tokens that have lost their slots.
    fn forget_empty(self) -> Result<()> {
        let header = self.dump()?;
        let both = tokens(&header, RECOVERY).chain(tokens(&header, OURS));
        for (id, token) in both {
            if keyslots(token).next().is_none() {
                self.remove(id)?;
            }
        }
        Ok(())
    }

    fn dump(self) -> Result<Value> {
        let mut dump = cryptsetup(&["luksDump", "--dump-json-metadata"]);
        let said = run(dump.arg(self.0), b"")?;
        serde_json::from_slice(&said).context("the data partition's header cannot be read")
    }

    fn import(self, how: &[&str], slot: &str, shared: Shared) -> Result<()> {
        let token = Token {
            kind: OURS.to_owned(),
            keyslots: vec![slot.to_owned()],
            shared,
        };
        self.write(how, &serde_json::to_value(token)?)
    }

    fn write(self, how: &[&str], token: &Value) -> Result<()> {
        let mut import = cryptsetup(&["token", "import", "--json-file", "-"]);
        import.args(how).arg(self.0);
        run(&mut import, token.to_string().as_bytes()).map(drop)
    }

    fn remove(self, token: &str) -> Result<()> {
        let mut remove = cryptsetup(&["token", "remove", "--token-id", token]);
        run(remove.arg(self.0), b"").map(drop)
    }

    fn kill(self, slot: &str) -> Result<()> {
        let mut kill = cryptsetup(&["luksKillSlot"]);
        run(kill.arg(self.0).arg(slot), b"").map(drop)
    }
}

/// The tokens of a type, by their numbers.
fn tokens<'a>(header: &'a Value, kind: &'a str) -> impl Iterator<Item = (&'a str, &'a Value)> {
    let all = header.get("tokens").and_then(Value::as_object);
    all.into_iter()
        .flatten()
        .filter(move |(_, token)| token.get("type").and_then(Value::as_str) == Some(kind))
        .map(|(id, token)| (id.as_str(), token))
}

fn keyslots(token: &Value) -> impl Iterator<Item = &str> {
    let slots = token.get("keyslots").and_then(Value::as_array);
    slots.into_iter().flatten().filter_map(Value::as_str)
}

/// The slots that have a token of a type.
fn slots(header: &Value, kind: &str) -> Vec<String> {
    tokens(header, kind)
        .flat_map(|(_, token)| keyslots(token))
        .map(str::to_owned)
        .collect()
}

fn cryptsetup(words: &[&str]) -> Command {
    let mut command = Command::new("cryptsetup");
    command.args(words).arg("--batch-mode");
    command
}

/// Runs a program with something to read, and answers what it says. Neither may be seen by others.
fn run(command: &mut Command, input: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("`{name}` cannot be started"))?;
    // What is written is shorter than a pipe holds. Dropping its end ends it.
    let written = child
        .stdin
        .take()
        .map_or(Ok(()), |mut to| to.write_all(input));
    let output = child.wait_with_output();
    let output = output.with_context(|| format!("`{name}` cannot be waited for"))?;
    let said = Zeroizing::new(output.stdout);
    if !output.status.success() {
        bail!("`{name}` did not succeed: the log says why");
    }
    ensure!(written.is_ok(), "`{name}` did not read what it was given");
    Ok(said)
}
