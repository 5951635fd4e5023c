//! The recovery key goes to custodians, and is kept once they have shown that they have it.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use strongroom_custodians::{
    Awaited, FEWEST_SHARES, Kind, MOST_SHARES, Terminal, ask_number, gather, hand_out, split,
};
use zeroize::Zeroizing;

use super::header::Shared;
use super::key::{RecoveryKey, fingerprint};
use super::told::{self, Made};
use super::{Places, random_set};
use crate::updates::now;

/// Shares the key that waits among custodians, who come to this terminal.
///
/// # Errors
/// When it is broken off, or the header cannot be written. Once somebody has seen a share the key is not shared again.
pub(super) fn share(terminal: &mut Terminal, places: &Places) -> Result<()> {
    let Some(_alone) = places.lock()? else {
        bail!("somebody is at it at another console");
    };
    let header = places.header();
    let slot = header
        .unproved()?
        .context("no key waits to be shared any more")?;
    terminal.say(
        "\nThe recovery key of the data partition: it opens the data where this machine's TPM does not, as the machine is another or its firmware \
         was changed. It is shared among custodians, of whom some together restore it.\n\
         1. Each custodian, alone at the screen, writes down a share: 29 words, shown once.\n\
         2. The rehearsal: some custodians type their shares, which must restore the key.\n\
         3. Only then is it kept, and a recovery key that there was before is removed.\n\
         Ctrl-C ends it. No camera may see the screen or the papers.\n\n",
    )?;
    let count = ask_number(
        terminal,
        "How many custodians get a share?",
        FEWEST_SHARES,
        MOST_SHARES,
    )?;
    let threshold = ask_number(
        terminal,
        "How many of them together are to be able to recover?",
        FEWEST_SHARES,
        count,
    )?;
    if !terminal.agrees("Begin?")? {
        bail!("nothing was begun");
    }
    let custodians: Vec<String> = (1..=count)
        .map(|number| format!("Custodian {number}"))
        .collect();
    let set = random_set()?;
    let (expected, shares) = {
        let key = take(&places.ready)?;
        (
            key.fingerprint()?,
            split(key.shared(), set, threshold, count)?,
        )
        // The key is forgotten: what is proved is what the custodians give back.
    };
    hand_out(
        terminal,
        Kind::DataPartition,
        shares,
        &custodians,
        &mut |_| {},
    )?;
    terminal.say(&format!(
        "\nThe rehearsal: any {threshold} custodians type their shares from their papers, one after another.\n"
    ))?;
    let awaited = Awaited {
        kind: Kind::DataPartition,
        set,
        threshold,
        custodians: &custodians,
        is: &|key| fingerprint(key).is_ok_and(|found| found == expected),
    };
    let (key, _) = gather(terminal, &awaited, &|| ())?;
    header.opens(&RecoveryKey::restored(key), &slot)?;
    let used = header.proved()?.and_then(|before| before.shared.used);
    let shared = Shared {
        made: Made {
            at: now(),
            custodians: count,
            threshold,
            fingerprint: expected,
        },
        set: format!("{set:04x}"),
        used,
    };
    header.prove(&slot, shared)?;
    told::tell(header, &places.told)?;
    terminal.say(&format!(
        "\nThe recovery key is made: any {threshold} of {count} custodians open the data. Custodians seal their papers and keep them apart from \
         each other and from the machine.\n"
    ))?;
    Ok(())
}

/// Takes the key out of memory: from here on it is shared, or lost.
fn take(ready: &Path) -> Result<RecoveryKey> {
    let text = fs::read(ready).map(Zeroizing::new);
    crate::files::forget(ready)?;
    RecoveryKey::from_passphrase(&text.context("no key waits to be shared any more")?)
}
