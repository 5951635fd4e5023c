//! Whom bundles, proofs and checkpoints are held against: keys of the log, and checkpoints that are kept in files.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use strongroom_audit::bundle::{LONGEST_LINE, Line};
use strongroom_audit::keys::verify_by;
use strongroom_audit::{Checkpoint, LogKey, checkpoint};

use crate::Context;
use crate::failure::Failure;

/// The largest checkpoint that is read, in bytes: there is room for hundreds of cosignatures.
const LARGEST_NOTE: u64 = 65_536;

/// A verifier key on the command line: `VKEY`, or `VKEY@FROM-` or `VKEY@FROM-TO` with the sizes that it may sign.
pub(super) fn log_key(text: &str) -> Result<LogKey, String> {
    // No key has the sign in its last part, which is base64; a name may.
    let (verifier_key, sizes) = match text.rsplit_once('@') {
        Some((key, sizes)) if !sizes.contains('+') => (key, Some(sizes)),
        _ => (text, None),
    };
    checkpoint::check_verifier_key(verifier_key).map_err(|error| error.to_string())?;
    let mut key = LogKey::only(verifier_key);
    if let Some(sizes) = sizes {
        let wrong = || {
            "the sizes that a key may sign are written as KEY@FROM- or KEY@FROM-TO, such as @0-1234"
                .to_owned()
        };
        let (from, to) = sizes.split_once('-').ok_or_else(wrong)?;
        key.from = from.parse().map_err(|_| wrong())?;
        if !to.is_empty() {
            key.to = Some(to.parse().map_err(|_| wrong())?);
        }
    }
    Ok(key)
}

/// The keys that were given, or else those that this device knows.
pub(super) fn keys(context: &Context, given: Vec<LogKey>) -> Result<Vec<LogKey>, Failure> {
    if !given.is_empty() {
        return Ok(given);
    }
    let known: Vec<LogKey> = context
        .home
        .profile()?
        .map_or_else(Vec::new, |profile| profile.verifier_keys)
        .iter()
        .map(|key| LogKey::only(key))
        .collect();
    if known.is_empty() {
        return Err(Failure::Usage(
            "this device knows no key of the log: give it with --verifier-key, as the transcript of the HSM ceremony has it"
                .to_owned(),
        ));
    }
    Ok(known)
}

/// A checkpoint that is kept in a file, or that of a bundle, and how far the bundle's records went.
pub(super) struct Kept {
    pub(super) checkpoint: Checkpoint,
    pub(super) end: u64,
}

/// Reads a checkpoint, and finds that a key among these has signed it.
pub(super) fn kept(path: &Path, keys: &[LogKey]) -> Result<Kept, Failure> {
    let unreadable = |error| Failure::local(format!("{} cannot be read", path.display()), &error);
    let mut file = BufReader::new(File::open(path).map_err(unreadable)?);
    let is_bundle = file
        .fill_buf()
        .map_err(unreadable)?
        .starts_with(b"{\"type\":\"header\"");
    let (note, end) = if is_bundle {
        let mut line = || {
            let mut bytes = Vec::new();
            (&mut file)
                .take(LONGEST_LINE as u64)
                .read_until(b'\n', &mut bytes)
                .map_err(unreadable)?;
            Line::read(&bytes)
                .map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))
        };
        match (line()?, line()?) {
            (Line::Header(header), Line::Checkpoint { note }) => (note, Some(header.end)),
            _ => return Err(Failure::Failed(format!("{} is no bundle", path.display()))),
        }
    } else {
        let mut note = String::new();
        file.take(LARGEST_NOTE)
            .read_to_string(&mut note)
            .map_err(unreadable)?;
        (note, None)
    };
    let refused = |error| Failure::Failed(format!("{}: {error}", path.display()));
    let (checkpoint, key) = verify_by(&note, keys).map_err(refused)?;
    if !key.may_sign(checkpoint.size) {
        return Err(refused(checkpoint::CheckpointError::KeyNotInForce {
            size: checkpoint.size,
            key: key.verifier_key.clone(),
        }));
    }
    let end = end.unwrap_or(checkpoint.size);
    Ok(Kept { checkpoint, end })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn keys_are_written_with_the_sizes_that_they_may_sign() {
        let vkey = checkpoint::verifier_key("strongroom@example/default", &[1; 32]);
        assert_eq!(log_key(&vkey).unwrap(), LogKey::only(&vkey));
        let key = |from, to| LogKey {
            verifier_key: vkey.clone(),
            from,
            to,
        };
        assert_eq!(log_key(&format!("{vkey}@7-")).unwrap(), key(7, None));
        assert_eq!(log_key(&format!("{vkey}@0-9")).unwrap(), key(0, Some(9)));
        for wrong in [
            "",
            "strongroom",
            &vkey[1..],
            &format!("{vkey}@"),
            &format!("{vkey}@7"),
            &format!("{vkey}@x-9"),
        ] {
            assert!(log_key(wrong).is_err(), "{wrong}");
        }
    }
}
