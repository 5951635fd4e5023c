//! The agent itself.

use std::fs::{self, Permissions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::process::{Uid, getuid, setsid};
use strongroom_wire::encoding::Timestamp;

use super::message::{Held, READY, Request};
use super::socket::check_peer;
use crate::failure::Failure;
use crate::moment;

/// How long one command may take to say what it wants.
const ONE_COMMAND: Duration = Duration::from_secs(2);
/// How often the agent looks at the clock, which goes on while the machine sleeps, and at its socket.
const ROUND: Duration = Duration::from_secs(20);

/// The hidden subcommand `agent`: reads what to hold from standard input, says [`READY`] there, and holds it.
pub(crate) fn serve(socket: &Path) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::local("the agent cannot serve", &error);
    let stdin = io::stdin().as_fd().try_clone_to_owned().map_err(failed)?;
    let mut starter = UnixStream::from(stdin);
    check_peer(&starter, getuid()).map_err(failed)?;
    // Away from the terminal, whose signals and closing shall not end it. Fails only where it leads a session already.
    let _ = setsid();
    let held = Held::read(&mut starter).map_err(failed)?;
    let agent = match Agent::bind(socket) {
        Ok(agent) => agent,
        Err(error) => {
            let reason = format!("{}: {error}", socket.display());
            starter.write_all(reason.as_bytes()).map_err(failed)?;
            return Err(failed(error));
        }
    };
    starter.write_all(READY).map_err(failed)?;
    // Standard input stays open as a descriptor: only this tells the other end that nothing more comes.
    starter.shutdown(std::net::Shutdown::Both).map_err(failed)?;
    drop(starter);
    // Where the limit on locked memory is too low, the secrets are held all the same.
    let lock = region::lock(held.secrets().as_ptr(), held.secrets().len());
    agent.hold(&held, &moment::now, ROUND);
    // Zeroised before their page is unlocked.
    drop(held);
    drop(lock);
    Ok(())
}

/// A socket with its name. Dropping it removes the name, unless another agent has taken it over.
pub(super) struct Agent {
    listener: UnixListener,
    path: PathBuf,
    inode: u64,
    uid: Uid,
}

impl Agent {
    /// Listens at `path`, in the place of whatever stood there.
    pub(super) fn bind(path: &Path) -> io::Result<Self> {
        let mut unnamed = path.as_os_str().to_owned();
        unnamed.push(format!(".{}", std::process::id()));
        let unnamed = PathBuf::from(unnamed);
        // Left behind by an agent with the same number that was killed at this point.
        let _ = fs::remove_file(&unnamed);
        let listener = UnixListener::bind(&unnamed)?;
        let named = fs::set_permissions(&unnamed, Permissions::from_mode(0o600))
            .and_then(|()| Ok(fs::symlink_metadata(&unnamed)?.ino()))
            .and_then(|inode| fs::rename(&unnamed, path).map(|()| inode));
        if named.is_err() {
            // Its own error says more.
            let _ = fs::remove_file(&unnamed);
        }
        Ok(Self {
            listener,
            path: path.to_owned(),
            inode: named?,
            uid: getuid(),
        })
    }

    /// Takes processes of another user for its own, to see what it does with the rest.
    #[cfg(test)]
    pub(super) fn of_user(mut self, uid: Uid) -> Self {
        self.uid = uid;
        self
    }

    /// Answers until the session expires, a command says stop, or another agent stands in this one's place.
    pub(super) fn hold(self, held: &Held, now: &dyn Fn() -> Timestamp, round: Duration) {
        loop {
            let left = held.expires().as_millis().saturating_sub(now().as_millis());
            if left == 0 || !self.is_in_place() {
                return;
            }
            let wait = round.min(Duration::from_millis(left));
            if set_socket_timeout(&self.listener, Timeout::Recv, Some(wait)).is_err() {
                return;
            }
            match self.listener.accept() {
                Ok((stream, _)) => match self.answer(stream, held) {
                    // A command that breaks off, says nonsense or is another user's is no reason to end.
                    Ok(None | Some(Request::Held)) | Err(_) => {}
                    Ok(Some(Request::Stop)) => return,
                },
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock
                            | io::ErrorKind::TimedOut
                            | io::ErrorKind::Interrupted
                            | io::ErrorKind::ConnectionAborted
                    ) => {}
                Err(_) => return,
            }
        }
    }

    /// Answers one command. Before a stop is acknowledged the socket is removed.
    fn answer(&self, mut stream: UnixStream, held: &Held) -> io::Result<Option<Request>> {
        check_peer(&stream, self.uid)?;
        stream.set_read_timeout(Some(ONE_COMMAND))?;
        stream.set_write_timeout(Some(ONE_COMMAND))?;
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        let request = Request::from_byte(byte[0]);
        match request {
            Some(Request::Held) => held.write(&mut stream)?,
            Some(Request::Stop) => self.remove(),
            None => {}
        }
        Ok(request)
    }

    fn is_in_place(&self) -> bool {
        fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode)
    }

    fn remove(&self) {
        if self.is_in_place() {
            // Whoever finds the name without a listener takes it for none.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.remove();
    }
}
