//! What the console asks for beyond a choice: a network, the HSM's PIN.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use zeroize::Zeroizing;

use super::Typed;
use super::status::is_sealed;
use super::unseen::Unseen;
use crate::machine;
use crate::network::{EXAMPLES, Network};
use crate::pin::{Asked, SOCKET, Waiting, unseal};

/// Asks how the machine is to be on its network, and keeps it for the next start.
pub(super) fn network(typed: &Typed, out: &mut impl Write) -> Result<String> {
    if !machine::data_is_open() {
        return Ok("There is no place to keep it in, as the data is not open.".to_owned());
    }
    writeln!(
        out,
        "The network is: {}\nType what it is to be, such as one of these, or nothing:\n  {}",
        Network::kept()?,
        EXAMPLES
    )?;
    out.flush()?;
    let Ok(line) = typed.recv_timeout(Duration::from_mins(5)) else {
        return Ok("Nothing was done.".to_owned());
    };
    if line.trim().is_empty() {
        return Ok("Nothing was done.".to_owned());
    }
    match line.parse::<Network>() {
        Ok(network) => {
            network.keep()?;
            Ok(format!("From the next start the network is: {network}"))
        }
        Err(mistake) => Ok(format!("Nothing was done: {mistake}.")),
    }
}

/// Asks for the HSM's PIN, unseen, where the first start or a service that is sealed waits for it.
pub(super) fn pin(typed: &Typed, out: &mut impl Write) -> Result<String> {
    if Waiting::is_at(Path::new(SOCKET)) {
        let Some(waiting) = Waiting::at(Path::new(SOCKET)) else {
            return Ok("The first start is trying a PIN already.".to_owned());
        };
        let asked = waiting.asked;
        drop(waiting);
        let Some(typed) = typed_pin(asked, typed, out)? else {
            return Ok(untyped(asked).to_owned());
        };
        writeln!(out, "The appliance is being made with it.")?;
        let given = match Waiting::at(Path::new(SOCKET)) {
            Some(waiting) => waiting.give(&typed),
            None => return Ok("The first start does not wait any more.".to_owned()),
        };
        return Ok(match given {
            Ok(()) => "The PIN is right, and the appliance is made.".to_owned(),
            Err(why) => format!("That was not done: {why:#}."),
        });
    }
    if !machine::status().is_some_and(|report| is_sealed(&report)) {
        return Ok("Nobody waits for a PIN.".to_owned());
    }
    let Some(typed) = typed_pin(Asked::Existing, typed, out)? else {
        return Ok(untyped(Asked::Existing).to_owned());
    };
    Ok(unseal(&typed).unwrap_or_else(|why| format!("That was not done: {why:#}.")))
}

const fn untyped(asked: Asked) -> &'static str {
    match asked {
        Asked::Existing => "Nothing was done, as no PIN was typed.",
        Asked::New => "Nothing was done, as no PIN was typed, or not the same twice.",
    }
}

/// A PIN that is typed unseen; a new one twice. None where nobody types one, or not the same.
fn typed_pin(
    asked: Asked,
    typed: &Typed,
    out: &mut impl Write,
) -> Result<Option<Zeroizing<String>>> {
    let unseen = Unseen::begin();
    let mut ask = |question: &str| -> Result<Option<Zeroizing<String>>> {
        write!(out, "{question}: ")?;
        out.flush()?;
        let line = typed.recv_timeout(Duration::from_mins(5)).ok();
        writeln!(out)?;
        let line = line.map(|line| Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned()));
        Ok(line.filter(|line| !line.is_empty()))
    };
    let pin = match asked {
        Asked::Existing => ask("The HSM's PIN, which is not shown")?,
        Asked::New => {
            let pin = ask(
                "A PIN for the HSM's new token, which is not shown: it is typed at each start, and nobody can tell it again",
            )?;
            let again = ask("The same again")?;
            pin.filter(|pin| again.as_ref() == Some(pin))
        }
    };
    drop(unseen);
    Ok(pin)
}
