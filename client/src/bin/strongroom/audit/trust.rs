//! Whom bundles, proofs and checkpoints are held against: keys of the log, and checkpoints that are kept in files.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use strongroom_audit::bundle::{LONGEST_LINE, Line, Witnesses};
use strongroom_audit::cosignature::WitnessKey;
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

/// A witness's verifier key on the command line, or the file that has it.
pub(super) fn witness_key(text: &str) -> Result<WitnessKey, String> {
    if let Ok(key) = text.parse() {
        return Ok(key);
    }
    let mut kept = String::new();
    File::open(text)
        .and_then(|file| file.take(LARGEST_NOTE).read_to_string(&mut kept))
        .map_err(|error| {
            format!("it is no verifier key of a witness and no file with one: {error}")
        })?;
    kept.trim()
        .parse()
        .map_err(|error| format!("the file has something else: {error}"))
}

/// The witnesses that were given, of whom so many are demanded.
pub(super) fn witnesses(
    keys: Vec<WitnessKey>,
    demanded: Option<u32>,
) -> Result<Witnesses, Failure> {
    let distinct: BTreeSet<_> = keys.iter().map(WitnessKey::public_key).collect();
    let demanded = demanded.unwrap_or(0);
    if demanded as usize > distinct.len() {
        return Err(Failure::Usage(format!(
            "{demanded} witnesses are demanded, and the keys of {} were given",
            distinct.len()
        )));
    }
    Ok(Witnesses { keys, demanded })
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

    /// The Ed25519 public key of RFC 8032 section 7.1, test 1.
    const WITNESS: &[u8; 32] = &[
        0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07,
        0x3a, 0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07,
        0x51, 0x1a,
    ];

    #[test]
    fn witnesses_are_given_by_key_or_file_and_told_apart_by_their_keys() {
        let key = WitnessKey::new("witness.example/w1", *WITNESS).unwrap();
        let again = WitnessKey::new("witness.example/w2", *WITNESS).unwrap();
        let text = key.to_string();
        assert_eq!(witness_key(&text), Ok(key.clone()));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("witness.pub");
        let file = path.to_str().unwrap();
        assert!(witness_key(file).is_err());
        std::fs::write(&path, format!("{text}\n")).unwrap();
        assert_eq!(witness_key(file), Ok(key.clone()));
        std::fs::write(&path, &text[1..]).unwrap();
        assert!(witness_key(file).is_err());
        // One witness with two names is one.
        let both = || vec![key.clone(), again.clone()];
        assert_eq!(witnesses(both(), Some(1)).unwrap().demanded, 1);
        assert_eq!(witnesses(both(), None).unwrap().demanded, 0);
        assert!(matches!(witnesses(both(), Some(2)), Err(Failure::Usage(_))));
    }

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
