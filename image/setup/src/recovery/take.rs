//! Custodians bring the recovery key to a machine that does not open the data, and from then on it does.

use anyhow::{Context as _, Result, bail};
use strongroom_custodians::{Awaited, Kind, Terminal, gather};

use super::Places;
use super::key::{RecoveryKey, fingerprint};
use super::told::Used;
use crate::updates::now;

/// What is typed, once the key is there, to open the data for this machine.
const WORD: &str = "open here";

/// Has this machine's TPM open the data, once custodians have brought the key and somebody has typed a word.
///
/// # Errors
/// When it is broken off, the shares are none of this partition, or the TPM does not do it.
pub(super) fn open(terminal: &mut Terminal, places: &Places) -> Result<()> {
    let Some(_alone) = places.lock()? else {
        bail!("somebody is at it at another console");
    };
    let header = places.header();
    let proved = header.proved()?.context(
        "no recovery key of this disk's data partition was ever shared among custodians",
    )?;
    let shared = &proved.shared;
    let (made, set) = (
        &shared.made,
        u16::from_str_radix(&shared.set, 16).context("the set of shares cannot be read")?,
    );
    terminal.say(&format!(
        "\nThe recovery key of the data partition on this disk was shared on {} among {} custodians. Any {} of them open the data for this machine, \
         and for no other from then on: they type their shares, one after another. Ctrl-C ends it.\n",
        made.at, made.custodians, made.threshold
    ))?;
    let custodians: Vec<String> = (1..=made.custodians)
        .map(|number| format!("Custodian {number}"))
        .collect();
    let awaited = Awaited {
        kind: Kind::DataPartition,
        set,
        threshold: made.threshold,
        custodians: &custodians,
        is: &|key| fingerprint(key).is_ok_and(|found| found == made.fingerprint),
    };
    let (key, _) = gather(terminal, &awaited, &|| ())?;
    let key = RecoveryKey::restored(key);
    header.opens(&key, &proved.slot)?;
    let typed = terminal.ask(&format!(
        "\nType \"{WORD}\" to have this machine's TPM open the data; the machine then restarts, and its audit log will say so: "
    ))?;
    if typed != WORD {
        bail!("\"{WORD}\" was not typed");
    }
    // Before it is done: whatever ends this here, the log will say that the key was there.
    let used = Used {
        at: now(),
        fingerprint: made.fingerprint.clone(),
        times: shared.used.as_ref().map_or(0, |used| used.times) + 1,
    };
    header.mark(&proved, used)?;
    header.bind(&key, &places.tpm, &places.signer)?;
    terminal.say(
        "\nThis machine's TPM opens the data from now on. The machine restarts. Share a new recovery key when it serves: the custodians' shares were \
         typed here.\n",
    )?;
    Ok(())
}
