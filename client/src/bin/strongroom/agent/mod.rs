//! The agent: a background process that holds a session's secrets in memory between commands, so that they never touch
//! the disk. `login` starts it; it ends with the session, on `logout`, or when another one takes its place.
//!
//! | file | what lives there |
//! |---|---|
//! | `message` | what is said between a command and the agent |
//! | `socket` | where the two meet, and that both belong to the same user |
//! | `serve` | the agent itself |
//!
//! The secrets reach the agent through its standard input, which is a socket pair, and leave it through a Unix socket for
//! processes of the same user only.

mod message;
mod serve;
mod socket;
#[cfg(test)]
mod tests;

use std::env;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use strongroom_client::Session;

use crate::failure::Failure;
use crate::home::Home;
pub(crate) use message::Held;
use message::{READY, Request};
pub(crate) use serve::serve;

/// How long the agent has to start or to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Starts an agent that holds this session. What another agent of the same home held is lost to it.
pub(crate) fn start(home: &Home, session: &Session) -> Result<(), Failure> {
    let failed = |error: &io::Error| Failure::local("the agent cannot be started", error);
    home.make()?;
    let path = socket::path(home).map_err(|error| failed(&error))?;
    let program = env::current_exe().map_err(|error| failed(&error))?;
    let (mut ours, theirs) = UnixStream::pair().map_err(|error| failed(&error))?;
    let mut child = Command::new(program)
        .arg("agent")
        .arg(&path)
        .current_dir("/")
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| failed(&error))?;
    let started = hand_over(&mut ours, &Held::of(session));
    if started.is_err() {
        // It may have ended by itself.
        let _ = child.kill();
        let _ = child.wait();
    }
    started.map_err(|error| failed(&error))
}

/// What the agent of this home holds, if there is one.
pub(crate) fn held(home: &Home) -> Result<Option<Held>, Failure> {
    let path = socket::path(home)
        .map_err(|error| Failure::local("the agent cannot be looked for", &error))?;
    socket::connect(&path)
        .and_then(|stream| stream.map(ask).transpose())
        .map_err(|error| Failure::local("the agent does not answer as it should", &error))
}

/// Stops the agent of this home, if there is one.
pub(crate) fn stop(home: &Home) -> Result<(), Failure> {
    let path = socket::path(home)
        .map_err(|error| Failure::local("the agent cannot be looked for", &error))?;
    let stopped = socket::connect(&path).and_then(|stream| match stream {
        None => Ok(()),
        Some(mut stream) => {
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.write_all(&[Request::Stop as u8])?;
            // The agent closes the connection when it has removed its socket.
            stream.read_to_end(&mut Vec::new()).map(drop)
        }
    });
    stopped.map_err(|error| Failure::local("the agent cannot be stopped", &error))
}

fn ask(mut stream: UnixStream) -> io::Result<Held> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&[Request::Held as u8])?;
    Held::read(&mut stream)
}

fn hand_over(stream: &mut UnixStream, held: &Held) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    held.write(stream)?;
    let mut answer = Vec::new();
    stream.take(1024).read_to_end(&mut answer)?;
    if answer == READY {
        return Ok(());
    }
    let reason = String::from_utf8_lossy(&answer).into_owned();
    Err(io::Error::other(if reason.is_empty() {
        "it ended at once".to_owned()
    } else {
        reason
    }))
}
