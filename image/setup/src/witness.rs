//! The witness that the appliance is, where its seed says so: made at the end of the first start, as root, for a user of its own.
//!
//! Its certificate is by the appliance's own authority, whose fingerprint is on the console; its verifier key is there as well.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::seed::{Refusal, Witness};
use crate::{files, init, pin};

/// The witness's folder and its verifier key, in the appliance's; the configuration, in its folder.
const FOLDER: &str = "witness";
const VERIFIER_KEY: &str = "witness-key";
const CONFIG: &str = "strongroom-witness.toml";
/// Its certificate and that one's key, in its folder.
const CERTIFICATE: [&str; 2] = ["server.pem", "server.key"];
/// How long the certificate is valid, in days: as long as the authority's at the most, as nobody renews it.
const DAYS: &str = "3650";

/// Looks whether the configuration that a seed leads to is one, and makes nothing.
///
/// # Errors
/// [`Refusal::Settings`].
pub(crate) fn check(witness: &Witness) -> Result<(), Refusal> {
    let ask = || -> Result<Output> {
        let mut asked = Command::new("strongroom-witness")
            .args(["--config", "/dev/stdin", "connections"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("`strongroom-witness` cannot be started")?;
        let mut input = asked
            .stdin
            .take()
            .context("`strongroom-witness` takes no input")?;
        // Who did not want to hear it says why.
        let _ = input.write_all(config(witness)?.as_bytes());
        drop(input);
        asked
            .wait_with_output()
            .context("`strongroom-witness` was lost")
    };
    let output = ask().map_err(|error| Refusal::Settings(format!("[witness]: {error:#}")))?;
    if output.status.success() {
        return Ok(());
    }
    let why = pin::last_sentence(&output.stderr);
    let why = why.strip_prefix("strongroom-witness: ").unwrap_or(&why);
    let why = why
        .strip_prefix("the configuration /dev/stdin is not valid: ")
        .unwrap_or(why);
    Err(Refusal::Settings(format!("[witness]: {why}")))
}

/// Makes the witness of the appliance in this folder. Done again, it is another one: nobody has been told of the one before.
pub(crate) fn make(home: &Path, witness: &Witness) -> Result<()> {
    let folder = home.join(FOLDER);
    init::empty(&folder).with_context(|| format!("{} cannot be emptied", folder.display()))?;
    let config_file = folder.join(CONFIG);
    let key = run(Command::new("strongroom-witness")
        .arg("--config")
        .arg(&config_file)
        .args(["init", "--", &witness.name]))?;
    let [certificate, _] = CERTIFICATE;
    run(Command::new("strongroomd")
        .arg("--config")
        .arg(home.join("data/strongroom.toml"))
        .args(["issue", "--server", "--days", DAYS])
        .arg(format!("--name={}", witness.name))
        .arg("--out")
        .arg(folder.join(certificate).with_extension("")))?;
    files::replace(&config_file, 0o644, config(witness)?.as_bytes())?;
    give(&folder).with_context(|| format!("{} cannot be given away", folder.display()))?;
    files::replace(&home.join(VERIFIER_KEY), 0o644, key.trim().as_bytes())
}

/// The verifier key of the witness that the appliance in this folder is, where it is one.
pub(crate) fn verifier_key(home: &Path) -> Option<String> {
    fs::read_to_string(home.join(VERIFIER_KEY)).ok()
}

fn config(witness: &Witness) -> Result<String> {
    let [certificate, key] = CERTIFICATE;
    witness
        .config(certificate, key)
        .context("the witness's configuration cannot be written")
}

/// Gives what is in a folder to whom the folder belongs to.
fn give(folder: &Path) -> std::io::Result<()> {
    let owner = fs::metadata(folder)?;
    for entry in fs::read_dir(folder)? {
        chown(entry?.path(), Some(owner.uid()), Some(owner.gid()))?;
    }
    Ok(())
}

fn run(program: &mut Command) -> Result<String> {
    let name = program.get_program().to_string_lossy().into_owned();
    let output = program
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("`{name}` cannot be started"))?;
    if !output.status.success() {
        bail!("no witness is made: {}", pin::last_sentence(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
