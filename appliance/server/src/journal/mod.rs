//! The machine's log, forwarded: what journald hands over at a socket goes to the receivers of the configuration that want it.
//!
//! | file | what is in it |
//! |---|---|
//! | `export` | reading the Journal Export Format |
//! | `entry` | an entry, and the message of RFC 5424 that it becomes |
//! | `waiting` | the entries that wait for a receiver |
//!
//! Whatever the receivers do, the socket is read: journald waits for whoever does not read. So entries wait in memory, as many as there is room for, and
//! what is lost is counted. What has to last is the audit log, not this.
//!
//! It runs from the start of the process to its end: an appliance that does not serve is when its machine's log is wanted most.

mod entry;
mod export;
mod waiting;

use std::fs;
use std::io::{self, BufReader, Write as _};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Context as _;
use strongroom_keystore::{Clock as _, SystemClock};

use crate::background::Threads;
use crate::config::{Config, Siem};
use crate::syslog::{Receiver, finish};
use crate::watch::{BackOff, OutsideReport};
use entry::Style;
use waiting::Waiting;

/// How often is looked whether there are new entries.
const EVERY: Duration = Duration::from_secs(1);
/// How many entries one connection carries: what is sent again at most.
const MOST_ENTRIES: usize = 2000;

const WHAT: &str = "a receiver of the machine's log";

/// What forwards.
pub(crate) struct Journal {
    socket: PathBuf,
    shared: Arc<Shared>,
    listening: JoinHandle<()>,
    threads: Threads,
}

struct Shared {
    stopping: AtomicBool,
    waiting: Vec<Arc<Waiting>>,
    /// Who hands over; more than one only while journald connects anew.
    connections: Mutex<Vec<UnixStream>>,
}

impl Journal {
    /// Listens at this socket, for the service's own user and root, and forwards what comes to the receivers that want it.
    ///
    /// # Errors
    /// When it cannot listen, or what the configuration names cannot be used.
    pub(crate) fn start(socket: &Path, config: &Config) -> anyhow::Result<Self> {
        let shown = socket.display();
        // What a process that was killed left.
        match fs::remove_file(socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("{shown} cannot be replaced"));
            }
            _ => {}
        }
        let listener = UnixListener::bind(socket)
            .with_context(|| format!("journald cannot be listened for at {shown}"))?;
        fs::set_permissions(socket, fs::Permissions::from_mode(0o600))
            .with_context(|| format!("the mode of {shown} cannot be set"))?;
        let receivers: Vec<_> = config.siem.iter().filter(|siem| siem.journal).collect();
        let mut feeds = Vec::new();
        for receiver in receivers {
            feeds.push(Feed::new(receiver, &config.name)?);
        }
        let shared = Arc::new(Shared {
            stopping: AtomicBool::new(false),
            waiting: feeds.iter().map(|feed| Arc::clone(&feed.waiting)).collect(),
            connections: Mutex::default(),
        });
        let mut threads = Threads::default();
        for (number, mut feed) in feeds.into_iter().enumerate() {
            let started = threads.every(&format!("journal-{number}"), EVERY, move || feed.round());
            if let Err(error) = started {
                threads.stop();
                return Err(error).context("a background thread cannot be started");
            }
        }
        let reader = Arc::clone(&shared);
        let listening = thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || reader.listen(&listener))
            .context("a background thread cannot be started")?;
        Ok(Self {
            socket: socket.to_owned(),
            shared,
            listening,
            threads,
        })
    }

    /// Stops, each thread after what it is doing.
    pub(crate) fn stop(self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        // The listening thread is woken by being called.
        let woken = UnixStream::connect(&self.socket).is_ok();
        let _ = fs::remove_file(&self.socket);
        for connection in self.shared.connections().drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
        if woken {
            // It catches what goes wrong in its connections; a panic has been reported by the hook.
            let _ = self.listening.join();
        }
        self.threads.stop();
    }
}

impl Shared {
    fn connections(&self) -> std::sync::MutexGuard<'_, Vec<UnixStream>> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads from one connection at a time: journald has one.
    fn listen(&self, listener: &UnixListener) {
        for connection in listener.incoming() {
            if self.stopping.load(Ordering::Relaxed) {
                return;
            }
            let read = connection.and_then(|connection| {
                self.connections().push(connection.try_clone()?);
                self.read(connection)
            });
            self.connections().clear();
            if let Err(error) = read {
                // journald connects again with its next entry.
                tracing::warn!(%error, "the machine's log was handed over in a form that is not known");
                thread::sleep(EVERY);
            }
        }
    }

    fn read(&self, connection: UnixStream) -> io::Result<()> {
        let mut reader = BufReader::new(connection);
        while let Some(entry) = export::next(&mut reader)? {
            let entry = Arc::new(entry);
            for waiting in &self.waiting {
                waiting.push(Arc::clone(&entry));
            }
        }
        Ok(())
    }
}

/// Feeds one receiver.
struct Feed {
    receiver: Receiver,
    style: Style,
    waiting: Arc<Waiting>,
    back_off: BackOff,
    report: OutsideReport,
}

impl Feed {
    fn new(siem: &Siem, host: &str) -> anyhow::Result<Self> {
        Ok(Self {
            receiver: Receiver::new(siem)?,
            style: Style::new(host),
            waiting: Arc::default(),
            back_off: BackOff::default(),
            report: OutsideReport {
                name: siem.name.clone(),
                address: siem.address.clone(),
                ..OutsideReport::default()
            },
        })
    }

    /// Sends what waits, as far as one connection carries it.
    fn round(&mut self) {
        if self.back_off.waits() {
            return;
        }
        let batch = self.waiting.first(MOST_ENTRIES);
        if batch.entries.is_empty() && batch.lost == 0 {
            return;
        }
        let ended = self.send(&batch).inspect(|()| self.waiting.sent(&batch));
        self.report.tell(WHAT, ended, &mut self.back_off);
    }

    fn send(&self, batch: &waiting::Batch) -> anyhow::Result<()> {
        let mut frames = Vec::new();
        if batch.lost > 0 {
            frames.extend(self.style.lost(batch.lost, SystemClock.now()));
        }
        for entry in &batch.entries {
            frames.extend(self.style.frame(entry));
        }
        let mut connection = self.receiver.connect()?;
        connection
            .write_all(&frames)
            .context("it does not take what is sent")?;
        finish(connection).context("it does not confirm that it has read what was sent")
    }
}
