//! An appliance that is brought back from a backup, where the seed says so, by those who come to the console: `strongroomd ceremony recover backup`
//! with them, as the service's user, while the first start waits.
//!
//! | | runs in |
//! |---|---|
//! | `wait` | the first start |
//! | `hold` | a unit of its own, which has the console's terminal |

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use strongroom_custodians::Terminal;
use zeroize::Zeroizing;

use crate::init::{self, FirstStart};
use crate::seed::{self, Document, Kind, Restore};
use crate::{files, machine};

/// Where the first start says that it waits, and is told that it need not any more: in its own folder in memory.
const WAITING: &str = "/run/strongroom-init/restore";
const RESTORED: &str = "/run/strongroom-init/restored";
/// What there is to be signed where approvals are missing, and the further settings, while it is done.
const REQUEST: &str = "/run/strongroom-init/request.json";
const SETTINGS: &str = "/run/strongroom-init/settings.toml";

/// How often is looked whether it was done.
const LOOK: Duration = Duration::from_millis(500);

/// Whether a first start waits for this.
pub(crate) fn is_awaited() -> bool {
    Path::new(WAITING).exists()
}

/// Waits until it was done.
///
/// # Errors
/// When nobody can be waited for.
pub(crate) fn wait(restore: &Restore) -> Result<()> {
    fs::write(WAITING, &restore.from).context("nobody can be waited for at the console")?;
    while !Path::new(RESTORED).exists() {
        thread::sleep(LOOK);
    }
    fs::remove_file(WAITING).context("the console cannot be told")
}

/// With those who do it, at this terminal.
///
/// # Errors
/// When it is broken off or refused; they are told why.
pub(crate) fn hold() -> Result<()> {
    let mut terminal = Terminal::open()?;
    let held = bring_back(&mut terminal);
    if let Err(error) = &held {
        let text = format!("{error:#}");
        terminal.say(&format!("\n{}.\n", text.trim_end_matches('.')))?;
    }
    held
}

fn bring_back(terminal: &mut Terminal) -> Result<()> {
    if !is_awaited() {
        bail!("no first start waits for it");
    }
    let home = Path::new(machine::HOME);
    let seed = seed::kept(home)?.context("there is no seed any more")?;
    let document = &seed.document;
    let restore = document
        .restore
        .as_ref()
        .context("the seed says nothing of a backup any more")?;
    let pin = pin(terminal, document)?;
    let addresses = init::addresses();
    let first = FirstStart {
        data: home.join(init::DATA),
        tokens: home.join(init::TOKENS),
        document,
        sha256: Some(&seed.sha256),
        addresses: &addresses,
    };
    first.begin(pin.as_ref().map(|pin| pin.as_str()))?;
    let settings = Path::new(SETTINGS);
    init::write_private(settings, init::settings(document)?.as_bytes())?;
    files::forget(Path::new(REQUEST))?;
    let mut words = arguments(restore, &first.data, &seed.sha256);
    if document.hsm.kind == Kind::Yubihsm {
        // Only they put keys into it.
        let number = terminal.ask(
            "The number of the authentication key of the YubiHSM's administrators, or nothing where it holds the master KEK: ",
        )?;
        if !number.trim().is_empty() {
            words.push(format!("--admin-auth-key={}", number.trim()));
        }
    }
    words.extend(init::site_arguments(document, &first.data, &addresses)?);
    let status = Command::new("strongroomd")
        .args(words)
        .envs(document.hsm.environment(&first.data))
        // On the disk: in memory there is no room for a backup.
        .env("TMPDIR", &first.data)
        .status()
        .context("`strongroomd` cannot be started")?;
    if !status.success() {
        if let Ok(request) = fs::read_to_string(REQUEST) {
            bail!(
                "What is to be signed by those whose approvals are missing:\n\n{request}\n\nBring their approvals in another seed: [restore] approvals"
            );
        }
        bail!("The first start goes on waiting");
    }
    fs::write(RESTORED, b"").context("the first start cannot be told")
}

/// The HSM's PIN, where somebody has to type one: that of the HSM, or one for the token that is made, typed twice.
fn pin(terminal: &mut Terminal, document: &Document) -> Result<Option<Zeroizing<String>>> {
    if !document.asks_for_pin() {
        return Ok(None);
    }
    if document.hsm.kind != Kind::Softhsm {
        return Ok(Some(
            terminal.ask_hidden("The HSM's PIN, which is not shown: ")?,
        ));
    }
    let pin = terminal.ask_hidden(
        "A PIN for the HSM's new token, which is not shown: it is typed at each start, and nobody can tell it again: ",
    )?;
    if pin.is_empty() || terminal.ask_hidden("The same again: ")? != pin {
        bail!("Nothing was done, as no PIN was typed, or not the same twice");
    }
    Ok(Some(pin))
}

/// What `strongroomd` is told beside where the appliance is made. A value never stands alone, so that none is taken for a flag.
fn arguments(restore: &Restore, data: &Path, sha256: &str) -> Vec<String> {
    let file = |name: &String| data.join(name).display().to_string();
    let mut words: Vec<String> = ["ceremony", "recover", "backup"].map(str::to_owned).into();
    words.push(restore.from.clone());
    words.push(format!("--from-ca={}", file(&restore.ca)));
    words.push(format!("--seed-sha256={sha256}"));
    words.push(format!("--settings={SETTINGS}"));
    words.push(format!("--quorum-request={REQUEST}"));
    let checkpoint = restore.checkpoint.iter();
    words.extend(checkpoint.map(|name| format!("--checkpoint={}", file(name))));
    if let Some(reason) = &restore.accept_older {
        words.push("--accept-older".to_owned());
        words.push(format!("--reason={reason}"));
    }
    let approvals = restore.approvals.iter();
    words.extend(approvals.map(|name| format!("--approval={}", file(name))));
    words
}

/// Gives the terminal to a ceremony of the appliance, which is stopped meanwhile: custodians get shares of its recovery KEK, by which they open its
/// backups without its HSM.
///
/// # Errors
/// When it is broken off or refused; they were told why.
pub(crate) fn ceremony() -> Result<()> {
    let mut terminal = Terminal::open()?;
    let mut words = vec![
        "--config".to_owned(),
        machine::CONFIG.to_owned(),
        "ceremony".to_owned(),
        "renew".to_owned(),
    ];
    let seed = seed::kept(Path::new(machine::HOME))?;
    if seed.is_some_and(|seed| seed.document.hsm.kind == Kind::Yubihsm) {
        let number = terminal
            .ask("The number of the authentication key of the YubiHSM's administrators: ")?;
        words.push(format!("--admin-auth-key={}", number.trim()));
    }
    drop(terminal);
    let status = Command::new("strongroomd")
        .args(words)
        .status()
        .context("`strongroomd` cannot be started")?;
    if !status.success() {
        bail!("the ceremony was not held to its end");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_seed_says_all_that_a_recovery_takes() {
        let document = Document::of(
            "[restore]\nfrom = \"https://store.example.com/b.backup\"\nca = \"site/ca.pem\"\ncheckpoint = \"site/checkpoint\"\n\
             accept_older = \"--the disk burnt\"\napprovals = [\"site/a.json\"]\n\
             [files]\n\"ca.pem\" = \"\"\ncheckpoint = \"\"\n\"a.json\" = \"\"",
        );
        let restore = document.restore.unwrap();
        assert_eq!(
            arguments(&restore, Path::new("/d"), "0a1b").join(" "),
            "ceremony recover backup https://store.example.com/b.backup --from-ca=/d/site/ca.pem --seed-sha256=0a1b \
             --settings=/run/strongroom-init/settings.toml --quorum-request=/run/strongroom-init/request.json \
             --checkpoint=/d/site/checkpoint --accept-older --reason=--the disk burnt --approval=/d/site/a.json"
        );
        assert_eq!(
            restore.server(),
            Some(("store.example.com".to_owned(), 443))
        );
    }
}
