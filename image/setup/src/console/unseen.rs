//! What is typed and not shown: a terminal without its echo.

use std::io;
use std::os::fd::AsFd as _;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// The console's terminal does not show what is typed for as long as this exists.
pub(super) struct Unseen(Option<Termios>);

impl Unseen {
    /// Begins it. What is no terminal shows nothing either.
    pub(super) fn begin() -> Self {
        let stdin = io::stdin();
        let Ok(usual) = tcgetattr(stdin.as_fd()) else {
            return Self(None);
        };
        let mut modes = usual.clone();
        modes.local_modes.remove(LocalModes::ECHO);
        let begun = tcsetattr(stdin.as_fd(), OptionalActions::Now, &modes);
        Self(begun.ok().map(|()| usual))
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        if let Some(usual) = &self.0 {
            let _ = tcsetattr(io::stdin().as_fd(), OptionalActions::Now, usual);
        }
    }
}
