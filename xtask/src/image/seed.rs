//! `--sign-seed`: signing what a first start goes by where nobody is to type it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{read, write};
use crate::{process, terminal::shown};

/// What the signature's line begins with. It is the last one, and is not signed itself.
const SIGNATURE: &str = "# signature: ";

/// Signs the text in one file with a key, into another. The text has to begin as a seed does; a signature at its end is replaced.
pub(crate) fn sign(key: &Path, text: &Path, signed: &Path) -> Result<()> {
    let said = read(text)?;
    let said = unsigned(&said);
    let to_sign = signed.with_extension("unsigned");
    write(&to_sign, &said)?;
    let signature = process::answer(
        Command::new("openssl")
            .args(["dgst", "-sha256", "-sign"])
            .arg(key)
            .arg(&to_sign),
    );
    let _ = fs::remove_file(&to_sign);
    let signature = STANDARD.encode(signature?);
    write(signed, format!("{said}{SIGNATURE}{signature}\n"))
}

/// Has `strongroom-setup` look at a seed, as a machine does whose image trusts this key; what it says.
///
/// # Errors
///
/// When such a machine would refuse it.
pub(crate) fn check(setup: &Path, seed: &Path, key: &Path) -> Result<String> {
    let mut check = Command::new(setup);
    check
        .args(["seed", "check"])
        .args([seed, key])
        .env("PATH", with_programs(setup)?);
    let output = check
        .output()
        .with_context(|| process::cannot_start(&check))?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        let why = why.trim();
        bail!("{}", why.strip_prefix("error: ").unwrap_or(why));
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("what was said of {} is no text", shown(seed)))
}

/// Where programs are looked for, first of all beside this one.
fn with_programs(program: &Path) -> Result<std::ffi::OsString> {
    let folder = program.parent().map(Path::to_owned);
    let usual = std::env::var_os("PATH").unwrap_or_default();
    let all = folder.into_iter().chain(std::env::split_paths(&usual));
    std::env::join_paths(all.collect::<Vec<PathBuf>>()).context("PATH cannot be extended")
}

/// A text without its signature, with the end of its last line.
fn unsigned(text: &str) -> String {
    let text = text.trim_end();
    let last = text.rfind('\n').map_or(0, |at| at + 1);
    if text[last..].starts_with(SIGNATURE) {
        return text[..last].to_owned();
    }
    format!("{text}\n")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use strongroom_update::SigningKey;

    use super::super::keys;
    use super::*;

    #[test]
    fn what_is_signed_is_what_a_machine_verifies() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        keys::pair(folder.path(), "seed.key", "seed.pem").unwrap();
        let key = SigningKey::from_pem(&fs::read(at("seed.pem")).unwrap()).unwrap();
        let text = "# Strongroom seed, format 1\nname = \"x\"\n";
        fs::write(at("site.toml"), text).unwrap();
        sign(&at("seed.key"), &at("site.toml"), &at("strongroom.seed")).unwrap();
        // Once more, of what is signed already.
        sign(&at("seed.key"), &at("strongroom.seed"), &at("again.seed")).unwrap();
        for name in ["strongroom.seed", "again.seed"] {
            let signed = fs::read_to_string(at(name)).unwrap();
            let (said, signature) = signed.split_once(SIGNATURE).unwrap();
            assert_eq!(said, text);
            let signature = STANDARD.decode(signature.trim_end()).unwrap();
            assert!(key.has_signed(said.as_bytes(), &signature));
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 5);
    }

    #[test]
    fn a_signature_is_replaced_and_not_signed() {
        let text = "# Strongroom seed, format 1\nname = \"x\"\n";
        assert_eq!(unsigned(text), text);
        assert_eq!(unsigned(text.trim_end()), text);
        assert_eq!(unsigned(&format!("{text}{SIGNATURE}AA==\n\n")), text);
    }
}
