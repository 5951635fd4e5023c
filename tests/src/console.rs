//! A program at a terminal of its own, and people who type there.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};

/// How long somebody waits for the program before the test fails.
const PATIENCE: Duration = Duration::from_mins(1);

/// A program that runs at a pseudo-terminal. Dropping it kills it.
pub struct Console {
    child: Child,
    typing: File,
    shown: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
    /// How much of what was shown has been read.
    read: usize,
}

/// A custodian's paper: the words of a share.
#[derive(Clone)]
pub struct Paper(pub Vec<String>);

impl Console {
    /// Starts a program there.
    #[must_use]
    pub fn run(mut command: Command) -> Self {
        let master =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let terminal = File::from(ioctl_tiocgptpeer(&master, flags).unwrap());
        let child = command
            .stdin(terminal.try_clone().unwrap())
            .stdout(terminal.try_clone().unwrap())
            .stderr(terminal)
            .spawn()
            .expect("the program starts");
        // It holds the terminal's other end as well: as long as it is there, reading does not end.
        drop(command);
        let typing = File::from(master);
        let shown = Arc::new(Mutex::new(Vec::new()));
        let reader = {
            let (mut screen, shown) = (typing.try_clone().unwrap(), Arc::clone(&shown));
            thread::spawn(move || {
                let mut part = [0; 4096];
                // Reading fails when the program has ended.
                while let Ok(read @ 1..) = screen.read(&mut part) {
                    shown.lock().unwrap().extend_from_slice(&part[..read]);
                }
            })
        };
        Self {
            child,
            typing,
            shown,
            reader: Some(reader),
            read: 0,
        }
    }

    /// Waits until this is shown, and answers what was shown before it since the last time.
    pub fn expect(&mut self, text: &str) -> String {
        let started = Instant::now();
        loop {
            let shown = self.shown();
            let unread = &shown[self.read..];
            if let Some(at) = unread.find(text) {
                self.read += at + text.len();
                return unread[..at].to_owned();
            }
            let over = started.elapsed() > PATIENCE;
            assert!(!over, "{text:?} is not shown: {unread:?}");
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Types a line.
    pub fn type_line(&mut self, line: &str) {
        self.typing
            .write_all(format!("{line}\n").as_bytes())
            .unwrap();
    }

    /// Answers a question.
    pub fn answer(&mut self, question: &str, line: &str) {
        let _ = self.expect(question);
        self.type_line(line);
    }

    /// The custodian whose turn it is reads a share off the screen and writes it down.
    pub fn write_down(&mut self, custodian: &str) -> Paper {
        self.answer(&format!("{custodian}: press Enter to see your share. "), "");
        let screen = self.expect("Press Enter when that is done: ");
        assert!(
            screen.contains("\x1b[?1049h"),
            "on a screen without scrollback: {screen:?}"
        );
        let (_, table) = screen.split_once(" shares recover").unwrap();
        let (table, _) = table.split_once("Write down").unwrap();
        let parts: Vec<&str> = table.split_whitespace().collect();
        let mut words: Vec<(usize, String)> = parts
            .chunks(2)
            .map(|pair| (pair[0].parse().unwrap(), pair[1].to_owned()))
            .collect();
        words.sort_unstable();
        assert_eq!(words.len(), 29, "{screen:?}");
        self.type_line("");
        let cleared = self.expect("\x1b[?1049l");
        assert!(
            cleared.contains("\x1b[2J\x1b[3J"),
            "screen and scrollback are cleared: {cleared:?}"
        );
        Paper(words.into_iter().map(|(_, word)| word).collect())
    }

    /// A custodian types a share.
    pub fn give_back(&mut self, paper: &Paper) {
        self.answer("comes to the terminal alone and presses Enter. ", "");
        for (at, word) in paper.0.iter().enumerate() {
            self.answer(&format!("word {:2} of 29: ", at + 1), word);
            let _ = self.expect("\x1b[2K");
        }
    }

    /// All that was ever on the screen.
    #[must_use]
    pub fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned()
    }

    /// Kills the program, as a power failure would.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends the program SIGTERM and waits until it has ended.
    pub fn terminate(mut self) -> (ExitStatus, String) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.wait()
    }

    /// Waits until the program has ended; answers how, and what was shown since the last time.
    #[must_use]
    pub fn end(mut self) -> (ExitStatus, String) {
        self.wait()
    }

    fn wait(&mut self) -> (ExitStatus, String) {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            let over = started.elapsed() > PATIENCE;
            assert!(!over, "it does not end: {:?}", &self.shown()[self.read..]);
            thread::sleep(Duration::from_millis(2));
        };
        self.reader.take().unwrap().join().unwrap();
        (status, self.shown().split_off(self.read))
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
