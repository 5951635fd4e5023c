//! The README's story against a machine: what its console shows, its certificate, and the real CLI from outside.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use super::machine::Running;
use crate::{listeners::Listeners, player::Player, process, story::STORY};

/// The first administrator of an image.
pub(crate) const ADMINISTRATOR: &str = "admin";

/// What the console of an appliance that serves shows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    /// The first administrator's one-time enrolment code; empty where there is none.
    pub(crate) code: String,
    /// The SHA-256 fingerprint of the appliance's CA, in pairs of hexadecimal digits.
    pub(crate) authority: String,
}

/// Reads the console: complete as soon as the appliance serves.
pub(crate) fn console(said: &str) -> Option<Shown> {
    // The newest screen; each begins with the name.
    let screen = said
        .rsplit_once("\nStrongroom ")
        .map(|(_, screen)| screen)?;
    if !screen.contains("Service          serving") || !screen.contains("Type and press Enter") {
        return None;
    }
    let after = |mark: &str| {
        let (_, rest) = screen.split_once(mark)?;
        rest.split(['\n', ','])
            .next()
            .map(|word| word.trim().to_owned())
    };
    Some(Shown {
        code: after(", code ").unwrap_or_default(),
        authority: after("Authority        SHA-256 ")?,
    })
}

/// The value of one of the TPM's registers, as the console says it when it is asked.
pub(crate) fn register(said: &str, index: u32) -> Option<String> {
    let (_, rest) = said.split_once(&format!("PCR {index} "))?;
    // Whole once the line is.
    let (value, _) = rest.split_once('\n')?;
    Some(value.trim().to_owned())
}

/// Which TPM the machine has, as the console says it when it is asked what that has measured.
pub(crate) fn tpm(said: &str) -> Option<String> {
    let (_, rest) = said.split_once("\nTPM ")?;
    let (value, _) = rest.split_once('\n')?;
    let value = value.trim();
    (value.len() == 64).then(|| value.to_owned())
}

/// Takes the CA's certificate from the appliance, and holds it against the fingerprint that the console shows.
pub(crate) fn fetch_authority(
    listeners: Listeners,
    shown: &Shown,
    folder: &Path,
) -> Result<PathBuf> {
    const END: &str = "-----END CERTIFICATE-----\n";
    let said = process::answer(
        Command::new("openssl")
            .args(["s_client", "-showcerts", "-connect"])
            .arg(listeners.client.to_string()),
    )?;
    let said = String::from_utf8_lossy(&said);
    let last = said.rfind("-----BEGIN CERTIFICATE-----").and_then(|from| {
        said[from..]
            .find(END)
            .map(|length| &said[from..from + length + END.len()])
    });
    let file = folder.join("ca.pem");
    super::write(&file, last.context("the appliance shows no certificate")?)?;
    let printed = process::answer(
        Command::new("openssl")
            .args(["x509", "-noout", "-fingerprint", "-sha256", "-in"])
            .arg(&file),
    )?;
    let printed = String::from_utf8_lossy(&printed);
    if !printed
        .trim_end()
        .ends_with(&format!("={}", shown.authority))
    {
        bail!(
            "the certificate that the appliance shows is not the one on its console: {}",
            printed.trim_end()
        );
    }
    Ok(file)
}

/// Plays the whole story; how many commands that were.
pub(crate) fn story(
    strongroom: &Path,
    listeners: Listeners,
    shown: &Shown,
    folder: &Path,
) -> Result<usize> {
    let ca = fetch_authority(listeners, shown, folder)?;
    let mut player = Player::new(strongroom, folder.join("devices"), |_| {})?;
    player.know_appliance(listeners, &ca, ADMINISTRATOR, shown.code.clone())?;
    STORY.iter().try_for_each(|act| player.act(act))?;
    Ok(player.commands)
}

/// Signs in as somebody who enrolled in the story, and reads what the audit log says of them.
pub(crate) fn sign_in_again(strongroom: &Path, folder: &Path) -> Result<String> {
    signed_in(
        strongroom,
        folder,
        ("alice", "alice@example.com"),
        &["audit", "tail"],
    )
}

/// The same at an appliance that was brought back: from a device that knows its new authority.
pub(crate) fn sign_in_elsewhere(
    strongroom: &Path,
    listeners: Listeners,
    folder: &Path,
    ca: &Path,
) -> Result<String> {
    let device = folder.join("devices/alice");
    let run = |words: &[&str]| on_device(strongroom, &device, "another-device", words);
    let (server, ca) = (listeners.client_url(), ca.display().to_string());
    let account = ["login", "alice@example.com", "--server", &server];
    run(&[&account[..], &["--ca", &ca, "--password-file", "password"]].concat())?;
    let said = run(&["audit", "tail"]);
    run(&["logout"])?;
    Ok(String::from_utf8_lossy(&said?).into_owned())
}

/// Has the administrator of the story sign in, and say this.
pub(crate) fn as_administrator(strongroom: &Path, folder: &Path, words: &[&str]) -> Result<String> {
    signed_in(strongroom, folder, ("admin", ADMINISTRATOR), words)
}

/// What the CLI prints on somebody's device, between signing in and out.
fn signed_in(
    strongroom: &Path,
    folder: &Path,
    (device, account): (&str, &str),
    words: &[&str],
) -> Result<String> {
    let device = folder.join("devices").join(device);
    let run = |words: &[&str]| on_device(strongroom, &device, ".strongroom", words);
    run(&["login", account, "--password-file", "password"])?;
    let said = run(words);
    // Where the machine restarts by now, there is nobody to sign out from.
    let _ = run(&["logout"]);
    Ok(String::from_utf8_lossy(&said?).into_owned())
}

/// What the CLI prints on this device, with its profile in a folder there.
fn on_device(strongroom: &Path, device: &Path, profile: &str, words: &[&str]) -> Result<Vec<u8>> {
    process::answer(
        Command::new(strongroom)
            .args(words)
            .current_dir(device)
            .env("HOME", device)
            .env("STRONGROOM_HOME", device.join(profile)),
    )
}

/// Whether somebody answers as an appliance does on the client port. That the port is open says nothing: QEMU holds it.
pub(crate) fn answers(listeners: Listeners) -> bool {
    Command::new("openssl")
        .args(["s_client", "-connect"])
        .arg(listeners.client.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Waits until the appliance serves, and gives what its console shows.
pub(crate) fn until_it_serves(machine: &mut Running) -> Result<Shown> {
    machine.wait_for("an appliance that serves", console)
}

/// Makes an empty folder.
pub(crate) fn fresh(folder: &Path) -> Result<()> {
    super::remove(folder)?;
    fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_register_is_read_once_its_line_is_whole() {
        assert_eq!(register("m\nPCR 7   00aa", 7), None);
        let said = "m\nPCR 7   00aa\nPCR 11  11bb\n";
        assert_eq!(register(said, 7).as_deref(), Some("00aa"));
        assert_eq!(register(said, 11).as_deref(), Some("11bb"));
        let fingerprint = "ab".repeat(32);
        let said = format!("{said}TPM     {fingerprint}");
        assert_eq!(tpm(&said), None);
        assert_eq!(tpm(&format!("{said}\n")), Some(fingerprint));
        assert_eq!(
            tpm("PCR 11  11bb\nTPM     not known: nobody asks the TPM\n"),
            None
        );
    }

    #[test]
    fn the_console_is_read_once_it_is_whole() {
        let screen = "\nStrongroom 0.1.0\n  Service          starting\n\nStrongroom 0.1.0\n  Service          serving since 1\n  \
                      Authority        SHA-256 AA:BB\n  First enrolment  account admin, code 12-34, good once\n";
        assert_eq!(console(screen), None);
        let whole = format!("{screen}\nType and press Enter:");
        let shown = Shown {
            code: "12-34".to_owned(),
            authority: "AA:BB".to_owned(),
        };
        assert_eq!(console(&whole), Some(shown));
    }
}
