//! A terminal: questions, and secrets that are on the screen for a moment and nowhere afterwards.
//!
//! A share is shown on the terminal's alternate screen, which has no scrollback; then screen and scrollback are cleared. Words that a
//! custodian types are seen one line at a time, and each line is erased when it has been read. Ctrl-C is read like any other key, so that
//! nothing secret stays on the screen when somebody interrupts; a signal from outside clears the screen before the program ends.

use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;
use std::process;
use std::thread;

use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;
use zeroize::Zeroizing;

/// Begins the alternate screen.
const SECRET_SCREEN: &str = "\x1b[?1049h\x1b[H\x1b[2J";
/// Clears the screen and what was scrolled out of it, and goes back to the usual one.
const USUAL_SCREEN: &str = "\x1b[2J\x1b[3J\x1b[H\x1b[?1049l";
/// Goes back to the line before and erases it.
const ERASE_LINE: &str = "\x1b[1A\r\x1b[2K";
/// Ctrl-C, and Ctrl-D at the beginning of a line.
const INTERRUPT: u8 = 3;
/// The longest line that a terminal gives.
const LINE: usize = 4096;

/// Why a terminal is of no use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TerminalError {
    /// Standard input or output is none: people have to be there.
    #[error(
        "this is held at a terminal: run it at the machine's console or in a session of your own, without pipes"
    )]
    None,
    /// The system does not let it be used, or it is gone.
    #[error("the terminal cannot be used: {0}")]
    Unusable(#[from] io::Error),
    /// Somebody pressed Ctrl-C or hung up.
    #[error("it was interrupted")]
    Interrupted,
}

impl From<rustix::io::Errno> for TerminalError {
    fn from(error: rustix::io::Errno) -> Self {
        Self::Unusable(error.into())
    }
}

/// What comes of using a terminal.
type Result<T> = std::result::Result<T, TerminalError>;

/// The terminal, as long as this exists.
pub struct Terminal {
    out: io::Stdout,
    usual: Termios,
    /// What was typed behind the line that was read last.
    pending: Zeroizing<Vec<u8>>,
    signals: signal_hook::iterator::Handle,
}

impl Terminal {
    /// Takes the terminal.
    ///
    /// # Errors
    ///
    /// [`TerminalError::None`], [`TerminalError::Unusable`].
    pub fn open() -> Result<Self> {
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return Err(TerminalError::None);
        }
        let stdin = io::stdin();
        let usual = tcgetattr(stdin.as_fd())?;
        let mut modes = usual.clone();
        modes.local_modes.remove(LocalModes::ISIG);
        modes
            .local_modes
            .insert(LocalModes::ICANON | LocalModes::ECHO);
        modes.special_codes[SpecialCodeIndex::VEOL] = INTERRUPT;
        tcsetattr(stdin.as_fd(), OptionalActions::Now, &modes)?;
        let mut signals = Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM])?;
        let handle = signals.handle();
        let before = usual.clone();
        thread::spawn(move || {
            if signals.forever().next().is_some() {
                leave(&before);
                process::exit(1);
            }
        });
        Ok(Self {
            out: io::stdout(),
            usual,
            pending: Zeroizing::new(Vec::with_capacity(LINE)),
            signals: handle,
        })
    }

    /// Writes something that anybody may read.
    ///
    /// # Errors
    ///
    /// [`TerminalError::Unusable`].
    pub fn say(&mut self, text: &str) -> Result<()> {
        self.out
            .write_all(text.as_bytes())
            .and_then(|()| self.out.flush())?;
        Ok(())
    }

    /// Asks for a line.
    ///
    /// # Errors
    ///
    /// [`TerminalError`].
    pub fn ask(&mut self, question: &str) -> Result<String> {
        self.say(question)?;
        Ok(self.line()?.trim().to_owned())
    }

    /// Waits for Enter.
    ///
    /// # Errors
    ///
    /// [`TerminalError`].
    pub fn wait(&mut self, prompt: &str) -> Result<()> {
        self.ask(prompt).map(drop)
    }

    /// Asks until the answer is yes or no.
    ///
    /// # Errors
    ///
    /// [`TerminalError`].
    pub fn agrees(&mut self, question: &str) -> Result<bool> {
        loop {
            match self.ask(&format!("{question} (yes/no) "))?.as_str() {
                "yes" => return Ok(true),
                "no" => return Ok(false),
                _ => {}
            }
        }
    }

    /// Asks for a line that is erased as soon as it has been read.
    ///
    /// # Errors
    ///
    /// [`TerminalError`].
    pub fn ask_secret(&mut self, question: &str) -> Result<Zeroizing<String>> {
        self.say(question)?;
        let line = self.line();
        self.say(ERASE_LINE)?;
        line
    }

    /// Asks for a line that is not seen.
    ///
    /// # Errors
    ///
    /// [`TerminalError`].
    pub fn ask_hidden(&mut self, question: &str) -> Result<Zeroizing<String>> {
        self.say(question)?;
        let stdin = io::stdin();
        let seen = tcgetattr(stdin.as_fd())?;
        let mut unseen = seen.clone();
        unseen.local_modes.remove(LocalModes::ECHO);
        tcsetattr(stdin.as_fd(), OptionalActions::Now, &unseen)?;
        let line = self.line();
        tcsetattr(stdin.as_fd(), OptionalActions::Now, &seen)?;
        self.say("\n")?;
        line
    }

    /// Shows a secret until Enter is pressed, and clears it.
    ///
    /// # Errors
    ///
    /// [`TerminalError`].
    pub fn show_secret(&mut self, text: &str, prompt: &str) -> Result<()> {
        let shown = self
            .say(SECRET_SCREEN)
            .and_then(|()| self.say(text))
            .and_then(|()| self.wait(prompt));
        self.say(USUAL_SCREEN)?;
        shown
    }

    /// A line as it was typed, without its end.
    fn line(&mut self) -> Result<Zeroizing<String>> {
        let mut buffer = Zeroizing::new([0; LINE]);
        loop {
            let end = |byte: &u8| [b'\n', INTERRUPT].contains(byte);
            if let Some(at) = self.pending.iter().position(end) {
                let interrupted = self.pending.get(at) == Some(&INTERRUPT);
                let rest = Zeroizing::new(self.pending.split_off(at));
                let line = String::from_utf8_lossy(&self.pending).into_owned();
                *self.pending = rest.get(1..).unwrap_or_default().to_vec();
                let line = Zeroizing::new(line);
                if interrupted {
                    return Err(TerminalError::Interrupted);
                }
                return Ok(line);
            }
            let read = match rustix::io::read(io::stdin().as_fd(), &mut *buffer) {
                Err(rustix::io::Errno::INTR) => continue,
                read => read?,
            };
            if read == 0 {
                return Err(TerminalError::Interrupted);
            }
            self.pending
                .extend_from_slice(buffer.get(..read).unwrap_or_default());
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.signals.close();
        let stdin = io::stdin();
        // It is the terminal that was taken; where it is gone there is nothing to put right.
        let _ = tcsetattr(stdin.as_fd(), OptionalActions::Flush, &self.usual);
    }
}

/// Leaves the terminal as it was found, and nothing secret on it.
fn leave(usual: &Termios) {
    let mut out = io::stdout().lock();
    let _ = out
        .write_all(USUAL_SCREEN.as_bytes())
        .and_then(|()| out.flush());
    let _ = tcsetattr(io::stdin().as_fd(), OptionalActions::Flush, usual);
}
