//! The HSM's PIN on its way from the console: to the first start, which waits for it at a socket, and to a service that starts sealed, which takes it by
//! `strongroomd unseal`. It is in memory alone, which is cleared when it is freed.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use zeroize::Zeroizing;

use crate::machine;

/// Where the first start waits.
pub(crate) const SOCKET: &str = "/run/strongroom-init/pin";
/// The longest PIN, in bytes.
const LONGEST: usize = 1024;
/// How long the console may take to say the PIN it was given; it asks before it comes.
const TO_BE_SAID: Duration = Duration::from_secs(10);
/// How long the first start may take to say which PIN it wants: longer where it is busy with another.
const TO_BE_ASKED: Duration = Duration::from_secs(2);
/// How long the first start may take with a PIN.
const TO_BE_TAKEN: Duration = Duration::from_mins(10);
/// What the first start says where it took the PIN; what else it says is a sentence.
const TAKEN: &str = "taken\n";

/// Which PIN is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// That of an HSM which has one.
    Existing,
    /// A new one, which a token is made with: typed twice.
    New,
}

impl Asked {
    const fn word(self) -> &'static str {
        match self {
            Self::Existing => "existing\n",
            Self::New => "new\n",
        }
    }
}

/// Waits at a socket until somebody brings a PIN with which the attempt succeeds. Whose PIN does not is told why.
///
/// # Errors
/// When nobody can be waited for.
pub(crate) fn wait<T>(
    socket: &Path,
    asked: Asked,
    mut attempt: impl FnMut(&str) -> Result<T>,
) -> Result<T> {
    let _ = fs::remove_file(socket);
    let listener = UnixListener::bind(socket)
        .and_then(|listener| {
            fs::set_permissions(socket, fs::Permissions::from_mode(0o600))?;
            Ok(listener)
        })
        .context("nobody can be waited for who types the PIN")?;
    loop {
        let (mut stream, _) = listener.accept().context("nobody can bring a PIN")?;
        // Who says nothing, or not all of it, is not waited for.
        let Ok(Some(pin)) = hear(&mut stream, asked) else {
            continue;
        };
        let made = attempt(&pin);
        let answer = match &made {
            Ok(_) => TAKEN.to_owned(),
            Err(error) => format!("{error:#}"),
        };
        let _ = stream.write_all(answer.as_bytes());
        match made {
            Ok(made) => {
                let _ = fs::remove_file(socket);
                return Ok(made);
            }
            Err(error) => {
                let _ = writeln!(io::stderr(), "with that PIN: {error:#}");
            }
        }
    }
}

/// The PIN that whoever has just come brings.
fn hear(stream: &mut UnixStream, asked: Asked) -> io::Result<Option<Zeroizing<String>>> {
    stream.set_read_timeout(Some(TO_BE_SAID))?;
    stream.write_all(asked.word().as_bytes())?;
    // With room for all of it, so that it is never copied.
    let mut line = Zeroizing::new(String::with_capacity(LONGEST + 1));
    BufReader::new(stream.take(LONGEST as u64)).read_line(&mut line)?;
    let pin = line.strip_suffix('\n').filter(|pin| !pin.is_empty());
    Ok(pin.map(|pin| Zeroizing::new(pin.to_owned())))
}

/// A first start that waits for a PIN.
pub(crate) struct Waiting {
    stream: UnixStream,
    /// Which PIN it wants.
    pub(crate) asked: Asked,
}

impl Waiting {
    /// Whether there is one at this socket.
    pub(crate) fn is_at(socket: &Path) -> bool {
        socket.exists()
    }

    /// Comes to the one at this socket; none where nobody waits, or it is busy with another PIN.
    pub(crate) fn at(socket: &Path) -> Option<Self> {
        let stream = UnixStream::connect(socket).ok()?;
        stream.set_read_timeout(Some(TO_BE_ASKED)).ok()?;
        let mut word = String::new();
        BufReader::new((&stream).take(16))
            .read_line(&mut word)
            .ok()?;
        let asked = [Asked::Existing, Asked::New]
            .into_iter()
            .find(|asked| asked.word() == word)?;
        stream.set_read_timeout(Some(TO_BE_TAKEN)).ok()?;
        Some(Self { stream, asked })
    }

    /// Gives it the PIN, and waits until the appliance is made with it.
    ///
    /// # Errors
    /// When it is not: the sentence why.
    pub(crate) fn give(mut self, pin: &str) -> Result<()> {
        let line = Zeroizing::new(format!("{pin}\n"));
        self.stream
            .write_all(line.as_bytes())
            .context("the first start does not wait any more")?;
        let mut answer = String::new();
        self.stream
            .take(4096)
            .read_to_string(&mut answer)
            .context("the first start does not answer")?;
        match answer.as_str() {
            TAKEN => Ok(()),
            "" => bail!("the first start has ended: see the log"),
            why => bail!("{}", why.trim()),
        }
    }
}

/// Gives the PIN to a service that is sealed.
///
/// # Errors
/// When it does not take it: the sentence why.
pub(crate) fn unseal(pin: &str) -> Result<String> {
    let mut unseal = Command::new("strongroomd")
        .args(["--config", machine::CONFIG, "unseal", "--ask"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("`strongroomd` cannot be started")?;
    let line = Zeroizing::new(format!("{pin}\n"));
    let said = unseal
        .stdin
        .take()
        .context("`strongroomd` takes no input")?
        .write_all(line.as_bytes());
    let output = unseal
        .wait_with_output()
        .context("`strongroomd` was lost")?;
    if !output.status.success() {
        bail!("{}", last_sentence(&output.stderr));
    }
    said.context("`strongroomd` did not hear the PIN")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The last that `strongroomd` complained of, without its name; of an argument that it does not take, what is wrong with it.
pub(crate) fn last_sentence(stderr: &[u8]) -> String {
    let said = String::from_utf8_lossy(stderr);
    let lines = || said.trim().lines();
    let argument = lines().find_map(|line| line.strip_prefix("error: "));
    let last = argument.or_else(|| lines().next_back()).unwrap_or_default();
    let last = last.strip_prefix("strongroomd: ").unwrap_or(last);
    if last.is_empty() {
        return "`strongroomd` did not succeed".to_owned();
    }
    last.to_owned()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

    use std::thread;

    use super::*;

    fn come(socket: &Path) -> Waiting {
        for _ in 0..3000 {
            if let Some(waiting) = Waiting::at(socket) {
                return waiting;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("nobody waits");
    }

    #[test]
    fn a_wrong_pin_is_answered_and_the_next_one_taken() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("pin");
        assert!(Waiting::at(&socket).is_none());
        let first_start = {
            let socket = socket.clone();
            thread::spawn(move || {
                let mut tries = 0;
                wait(&socket, Asked::New, |pin| {
                    tries += 1;
                    if pin != "correct horse" {
                        bail!("the token refuses it");
                    }
                    Ok(tries)
                })
                .unwrap()
            })
        };
        // Who comes and says nothing stops nobody.
        drop(come(&socket));
        let wrong = come(&socket).give("battery staple").unwrap_err();
        assert_eq!(wrong.to_string(), "the token refuses it");
        let waiting = come(&socket);
        assert_eq!(waiting.asked, Asked::New);
        waiting.give("correct horse").unwrap();
        assert_eq!(first_start.join().unwrap(), 2);
        assert!(!socket.exists(), "nobody waits any more");
    }

    #[test]
    fn what_strongroomd_complains_of_is_one_sentence() {
        let said = b"progress\nstrongroomd: the HSM refuses the PIN\n";
        assert_eq!(last_sentence(said), "the HSM refuses the PIN");
        let said = b"error: invalid value '9443' for '--admin-listen'\n\nFor more information, try '--help'.\n";
        assert_eq!(
            last_sentence(said),
            "invalid value '9443' for '--admin-listen'"
        );
        assert_eq!(last_sentence(b""), "`strongroomd` did not succeed");
    }
}
