//! The log: a file or the system's log, off by default. Nothing is written anywhere else.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::config::{Level, LogConfig};

const SYSTEM_LOG: &str = "/dev/log";
/// The longest line, in bytes.
const LONGEST: usize = 4096;

/// Where lines go.
pub(crate) struct Log {
    level: Level,
    file: Option<File>,
    system: Option<UnixDatagram>,
}

impl Log {
    /// A log that cannot be opened stays off: the application works without it.
    pub(crate) fn open(config: &LogConfig) -> Self {
        Self::open_with(config, SYSTEM_LOG)
    }

    fn open_with(config: &LogConfig, system_log: &str) -> Self {
        let file = config.file.as_ref().and_then(|path| {
            let mut options = OpenOptions::new();
            options
                .append(true)
                .create(true)
                .mode(0o600)
                .open(path)
                .ok()
        });
        let system = config.syslog.then(|| {
            let socket = UnixDatagram::unbound().ok()?;
            socket.connect(system_log).ok()?;
            socket.set_nonblocking(true).ok()?;
            Some(socket)
        });
        Self {
            level: config.level,
            file,
            system: system.flatten(),
        }
    }

    /// Whether a line of this level goes anywhere.
    pub(crate) fn takes(&self, level: Level) -> bool {
        level <= self.level && (self.file.is_some() || self.system.is_some())
    }

    /// One line. What has line breaks in it becomes one line all the same.
    pub(crate) fn line(&self, level: Level, text: fmt::Arguments<'_>) {
        if !self.takes(level) {
            return;
        }
        let mut text: String = text.to_string();
        text.truncate(text.floor_char_boundary(LONGEST));
        let text = text.replace(|c: char| c.is_control(), " ");
        let process = std::process::id();
        if let Some(mut file) = self.file.as_ref() {
            let now = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default();
            let name = match level {
                Level::Error => "error",
                Level::Info => "info",
                Level::Debug => "debug",
            };
            let line = format!(
                "{}.{:03} [{process}] {name}: {text}\n",
                now.as_secs(),
                now.subsec_millis()
            );
            // One write of a file that is appended to: lines of many threads do not get mixed up. A full disk is not the application's trouble.
            let _ = file.write_all(line.as_bytes());
        }
        if let Some(system) = &self.system {
            // Facility user (1), RFC 5424 severities.
            let priority = 8 + match level {
                Level::Error => 3,
                Level::Info => 6,
                Level::Debug => 7,
            };
            let line = format!("<{priority}>strongroom-pkcs11[{process}]: {text}");
            let _ = system.send(line.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn lines_go_where_they_are_wanted_and_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let (file, socket) = (folder.path().join("log"), folder.path().join("socket"));
        let system = UnixDatagram::bind(&socket).unwrap();
        system.set_nonblocking(true).unwrap();
        let heard = || {
            let mut line = [0; 2 * LONGEST];
            let length = system.recv(&mut line).ok()?;
            Some(String::from_utf8(line[..length].to_vec()).unwrap())
        };
        let socket = socket.to_str().unwrap();
        // Off by default.
        let off = Log::open_with(&LogConfig::default(), socket);
        off.line(Level::Error, format_args!("unheard"));
        assert!(!off.takes(Level::Error) && heard().is_none());

        let config = LogConfig {
            file: Some(file.clone()),
            syslog: true,
            level: Level::Info,
        };
        let log = Log::open_with(&config, socket);
        log.line(Level::Debug, format_args!("too much"));
        log.line(Level::Error, format_args!("C_Sign: of two\nlines"));
        let process = std::process::id();
        let expected = format!("<11>strongroom-pkcs11[{process}]: C_Sign: of two lines");
        assert_eq!(heard(), Some(expected));
        assert_eq!(heard(), None);
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(
            text.ends_with(&format!(" [{process}] error: C_Sign: of two lines\n")),
            "{text}"
        );
        assert_eq!(text.lines().count(), 1);
        // A system's log that has gone, or a line beyond all measure, is not the application's trouble.
        drop(system);
        log.line(Level::Info, format_args!("{}", "x".repeat(3 * LONGEST)));
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.lines().nth(1).unwrap().len() < LONGEST + 100);
    }
}
