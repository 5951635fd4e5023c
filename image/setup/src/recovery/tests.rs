//! Custodians at a terminal of their own, with the real `cryptsetup` and a LUKS header in a file. What takes this machine's TPM and systemd's tools
//! is seen by the image's matrix.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::env;
use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use strongroom_custodians::SHARE_WORDS;

use super::header::Shared;
use super::key::RecoveryKey;
use super::told::{Made, Used};
use super::*;

/// Where a test's disk is, for the program that it starts at a terminal.
const FOLDER: &str = "STRONGROOM_SETUP_TEST_FOLDER";
/// How long somebody waits before the test fails.
const PATIENCE: Duration = Duration::from_mins(2);
const KEY: &[u8] = b"cnlithhu-uevbthif-ucjuidhg-krgbbgre-hnccrrbc-iteuljtl-vgjdhnnd-dvhncrnd";
const OLDER: &[u8] = b"dnlithhu-uevbthif-ucjuidhg-krgbbgre-hnccrrbc-iteuljtl-vgjdhnnd-dvhncrnd";

/// As systemd has it of a TPM.
const TPM_TOKEN: &str = r#"{"type":"systemd-tpm2","keyslots":["0"],"tpm2-blob":"AJ4=","tpm2-pcrs":[7],"tpm2-pcr-bank":"sha256","tpm2-policy-hash":"8b56"}"#;

/// A disk with an encrypted partition, which a first passphrase opens.
struct Disk {
    folder: tempfile::TempDir,
}

impl Disk {
    fn new() -> Self {
        let disk = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let partition = disk.places().partition;
        File::create(&partition).unwrap().set_len(32 << 20).unwrap();
        fs::write(disk.folder.path().join("first"), "first").unwrap();
        disk.cryptsetup(&["luksFormat", "--type", "luks2", "--key-file", "-"], &[]);
        disk
    }

    fn places(&self) -> Places {
        places(self.folder.path())
    }

    /// With a PBKDF that takes no time.
    fn cryptsetup(&self, words: &[&str], more: &[&Path]) {
        let status = Command::new("cryptsetup")
            .args(words)
            .args([
                "--batch-mode",
                "--pbkdf",
                "pbkdf2",
                "--pbkdf-force-iterations",
                "1000",
            ])
            .arg(self.places().partition)
            .args(more)
            .stdin(File::open(self.folder.path().join("first")).unwrap())
            .status()
            .unwrap();
        assert!(status.success(), "{words:?}");
    }

    /// A slot with a recovery key, as `systemd-cryptenroll` leaves it.
    fn add(&self, key: &[u8], slot: &str) {
        let file = self.folder.path().join("passphrase");
        fs::write(&file, key).unwrap();
        self.cryptsetup(
            &["luksAddKey", "--key-file", "-", "--key-slot", slot],
            &[&file],
        );
        self.import(&format!(
            r#"{{"type":"systemd-recovery","keyslots":["{slot}"]}}"#
        ));
    }

    fn import(&self, token: &str) {
        let mut import = Command::new("cryptsetup")
            .args(["token", "import", "--json-file", "-"])
            .arg(self.places().partition)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut to = import.stdin.take().unwrap();
        to.write_all(token.as_bytes()).unwrap();
        drop(to);
        assert!(import.wait().unwrap().success());
    }

    /// Such a slot, whose key waits to be shared.
    fn ready(&self, key: &[u8], slot: &str) {
        self.add(key, slot);
        fs::write(self.places().ready, key).unwrap();
    }

    /// Whether there is this token.
    fn has(&self, token: &str) -> bool {
        let dump = Command::new("cryptsetup")
            .args(["luksDump", "--dump-json-metadata"])
            .arg(self.places().partition)
            .output()
            .unwrap();
        let header: serde_json::Value = serde_json::from_slice(&dump.stdout).unwrap();
        let token: serde_json::Value = serde_json::from_str(token).unwrap();
        let tokens = header["tokens"].as_object().unwrap();
        tokens.values().any(|found| *found == token)
    }

    fn opens(&self, key: &[u8], slot: &str) -> bool {
        let key = RecoveryKey::from_passphrase(key).unwrap();
        self.places().header().opens(&key, slot).is_ok()
    }

    fn told(&self) -> Option<Told> {
        let text = fs::read(self.places().told).ok()?;
        Some(serde_json::from_slice(&text).unwrap())
    }

    /// Starts what speaks with custodians, at a terminal.
    fn console(&self, what: &str) -> Console {
        Console::start(self.folder.path(), what)
    }
}

fn places(folder: &Path) -> Places {
    Places {
        partition: folder.join("partition"),
        ready: folder.join("key"),
        told: folder.join("recovery.json"),
        tpm: "none".to_owned(),
        signer: folder.join("signer"),
    }
}

/// What the tests below start at a terminal.
#[test]
#[ignore = "it is started by other tests, at a terminal"]
fn share_at_a_terminal() {
    let mut terminal = Terminal::open().unwrap();
    let shared = make::share(
        &mut terminal,
        &places(Path::new(&env::var(FOLDER).unwrap())),
    );
    terminal.say(&format!("came to: {shared:?}\n")).unwrap();
}

/// What the tests below start at a terminal.
#[test]
#[ignore = "it is started by other tests, at a terminal"]
fn open_at_a_terminal() {
    let mut terminal = Terminal::open().unwrap();
    let opened = take::open(
        &mut terminal,
        &places(Path::new(&env::var(FOLDER).unwrap())),
    );
    terminal.say(&format!("came to: {opened:?}\n")).unwrap();
}

/// A terminal with a program.
struct Console {
    child: Child,
    line: File,
    shown: String,
    read: usize,
}

impl Console {
    fn start(folder: &Path, test: &str) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let line = openpt(flags).unwrap();
        grantpt(&line).unwrap();
        unlockpt(&line).unwrap();
        let terminal = ioctl_tiocgptpeer(&line, flags).unwrap();
        let mut modes = tcgetattr(&terminal).unwrap();
        modes.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&terminal, OptionalActions::Now, &modes).unwrap();
        let terminal = File::from(terminal);
        let child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "--ignored", "--nocapture"])
            .arg(format!("recovery::tests::{test}"))
            .env(FOLDER, folder)
            .stdin(terminal.try_clone().unwrap())
            .stdout(terminal)
            .spawn()
            .unwrap();
        rustix::io::ioctl_fionbio(&line, true).unwrap();
        Self {
            child,
            line: File::from(line),
            shown: String::new(),
            read: 0,
        }
    }

    /// Reads what there is; whether the terminal still has a program.
    fn look(&mut self) -> bool {
        let mut part = [0; 4096];
        match self.line.read(&mut part) {
            Ok(read) => {
                self.shown += &String::from_utf8_lossy(&part[..read]);
                true
            }
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        }
    }

    /// Waits until this is shown, and answers what was shown before it since the last time.
    fn expect(&mut self, text: &str) -> String {
        let since = Instant::now();
        loop {
            let unread = &self.shown[self.read..];
            if let Some(at) = unread.find(text) {
                let before = unread[..at].to_owned();
                self.read += at + text.len();
                return before;
            }
            assert!(since.elapsed() < PATIENCE, "{text:?} is not in {unread:?}");
            assert!(
                self.look(),
                "{text:?} is not in {:?}",
                &self.shown[self.read..]
            );
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn answer(&mut self, question: &str, line: &str) {
        let _ = self.expect(question);
        writeln!(self.line, "{line}").unwrap();
    }

    fn begin(&mut self, custodians: u8, threshold: u8) {
        self.answer("How many custodians get a share? ", &custodians.to_string());
        self.answer("are to be able to recover? ", &threshold.to_string());
        self.answer("Begin? (yes/no) ", "yes");
    }

    /// A custodian's share, off the screen.
    fn write_down(&mut self, custodian: u8) -> Vec<String> {
        self.answer(
            &format!("Custodian {custodian}: press Enter to see your share. "),
            "",
        );
        let screen = self.expect("Press Enter when that is done: ");
        assert!(
            screen.contains("of a data partition's recovery key"),
            "{screen:?}"
        );
        let (_, table) = screen.split_once(" shares recover").unwrap();
        let (table, _) = table.split_once("Write down").unwrap();
        let parts: Vec<&str> = table.split_whitespace().collect();
        let mut words: Vec<(usize, String)> = parts
            .chunks(2)
            .map(|pair| (pair[0].parse().unwrap(), pair[1].to_owned()))
            .collect();
        words.sort_unstable();
        assert_eq!(words.len(), SHARE_WORDS);
        writeln!(self.line).unwrap();
        let _ = self.expect("\x1b[2J\x1b[3J");
        words.into_iter().map(|(_, word)| word).collect()
    }

    fn give_back(&mut self, words: &[String]) {
        self.answer("comes to the terminal alone and presses Enter. ", "");
        for (at, word) in words.iter().enumerate() {
            self.answer(&format!("word {:2} of 29: ", at + 1), word);
        }
    }

    /// What it came to.
    fn end(mut self) -> String {
        let _ = self.expect("came to: ");
        let came = self.expect("\n");
        while self.look() && self.child.try_wait().unwrap().is_none() {
            thread::sleep(Duration::from_millis(2));
        }
        came
    }

    /// Sends the program a signal, as systemd does, and waits until it has ended.
    fn terminate(mut self) -> ExitStatus {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        loop {
            self.look();
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn shared(fingerprint: String, set: &str) -> Shared {
    Shared {
        made: Made {
            at: "2026-11-29T12:00:00Z".to_owned(),
            custodians: 2,
            threshold: 2,
            fingerprint,
        },
        set: set.to_owned(),
        used: Some(Used {
            at: "2026-11-29T13:00:00Z".to_owned(),
            fingerprint: "0011223344556677".to_owned(),
            times: 4,
        }),
    }
}

#[test]
fn custodians_get_a_key_and_open_with_it() {
    let disk = Disk::new();
    disk.import(TPM_TOKEN);
    // There was one before, and one whose sharing was broken off.
    disk.add(OLDER, "1");
    let header = disk.places();
    let header = header.header();
    let older = RecoveryKey::from_passphrase(OLDER).unwrap();
    header
        .prove("1", shared(older.fingerprint().unwrap(), "0001"))
        .unwrap();
    disk.ready(KEY, "2");

    let mut console = disk.console("share_at_a_terminal");
    console.begin(3, 2);
    let papers = [1, 2, 3].map(|custodian| {
        let paper = console.write_down(custodian);
        // From here on it is shared, or lost.
        assert!(!disk.places().ready.exists());
        paper
    });
    console.give_back(&papers[2]);
    let _ = console.expect("Share 3, Custodian 3's, is right.");
    assert!(
        disk.opens(OLDER, "1"),
        "before it is proved, the one before is good"
    );
    console.give_back(&papers[0]);
    let _ = console.expect("any 2 of 3 custodians open the data");
    assert!(console.end().starts_with("Ok"), "it is made");

    assert!(disk.opens(KEY, "2"));
    assert!(!disk.opens(OLDER, "1"), "the one before is gone");
    let made = header.proved().unwrap().unwrap();
    assert_eq!((made.slot.as_str(), made.shared.made.custodians), ("2", 3));
    let told = disk.told().unwrap();
    assert_eq!((told.made.custodians, told.made.threshold), (3, 2));
    let key = RecoveryKey::from_passphrase(KEY).unwrap();
    assert_eq!(told.made.fingerprint, key.fingerprint().unwrap());
    // What is still to become a leaf goes on.
    assert_eq!(told.used.unwrap().times, 4);
    disk.places().tidy().unwrap();
    assert!(disk.opens(KEY, "2"), "a proved one stays");

    // Another machine: two of them bring it, and nobody types the word.
    let mut console = disk.console("open_at_a_terminal");
    let _ = console.expect("among 3 custodians. Any 2 of them open the data");
    console.give_back(&papers[1]);
    let _ = console.expect("Share 2, Custodian 2's, is right.");
    console.give_back(&papers[2]);
    console.answer("Type \"open here\"", "yes");
    let came = console.end();
    assert!(came.contains("was not typed"), "{came}");
    assert_eq!(header.proved().unwrap().unwrap(), made, "nothing was done");

    // With the word it is marked, before this machine's TPM is asked, which there is none of here.
    let mut console = disk.console("open_at_a_terminal");
    console.give_back(&papers[0]);
    console.give_back(&papers[1]);
    console.answer("Type \"open here\"", "open here");
    let came = console.end();
    assert!(came.contains("TPM does not take the key"), "{came}");
    assert!(disk.has(TPM_TOKEN), "the TPM of before still opens it");
    told::tell(header, &disk.places().told).unwrap();
    let used = disk.told().unwrap().used.unwrap();
    assert_eq!(
        (used.times, used.fingerprint),
        (5, key.fingerprint().unwrap())
    );
    assert!(disk.opens(KEY, "2"));
}

#[test]
fn what_was_broken_off_leaves_no_slot() {
    let disk = Disk::new();
    disk.ready(KEY, "1");
    // Before anybody has seen a share, it still waits.
    let mut console = disk.console("share_at_a_terminal");
    console.answer("How many custodians get a share? ", "1");
    let _ = console.expect("A number from 2 to 16, please.");
    console.answer("How many custodians get a share? ", "\x03");
    let came = console.end();
    assert!(came.contains("interrupted"), "{came}");
    disk.places().tidy().unwrap();
    assert!(disk.opens(KEY, "1"));

    // While somebody is at it, nothing is tidied and nobody else begins.
    let mut console = disk.console("share_at_a_terminal");
    console.begin(2, 2);
    let _ = console.write_down(1);
    disk.places().tidy().unwrap();
    assert!(disk.opens(KEY, "1"));
    let second = disk.console("share_at_a_terminal").end();
    assert!(second.contains("at another console"), "{second}");
    assert!(!console.terminate().success());
    disk.places().tidy().unwrap();
    assert!(!disk.opens(KEY, "1"), "somebody has seen a share");
    assert_eq!(disk.places().header().unproved().unwrap(), None);
    assert_eq!(disk.told(), None);
}

#[test]
fn wrong_shares_keep_nothing_and_open_nothing() {
    let disk = Disk::new();
    disk.ready(KEY, "1");
    let mut console = disk.console("share_at_a_terminal");
    console.begin(2, 2);
    let papers = [1, 2].map(|custodian| console.write_down(custodian));
    let mut wrong = papers[0].clone();
    wrong.swap(3, 4);
    for times in 1..=3 {
        console.give_back(&wrong);
        let _ = console.expect("one of them is wrong, or two have changed places");
        assert!(times < 3 || console.expect("came to: Err").contains('\n'));
    }
    drop(console);
    disk.places().tidy().unwrap();
    assert!(!disk.opens(KEY, "1"));

    let nothing = disk.console("open_at_a_terminal").end();
    assert!(nothing.contains("was ever shared"), "{nothing}");
}

#[test]
fn a_share_of_the_recovery_kek_is_refused_with_a_sentence() {
    use strongroom_custodians::{Kind, SharedKey, split};
    let disk = Disk::new();
    disk.add(KEY, "1");
    let key = RecoveryKey::from_passphrase(KEY).unwrap();
    let header = disk.places();
    header
        .header()
        .prove("1", shared(key.fingerprint().unwrap(), "1f2e"))
        .unwrap();
    let of_kek = split(&SharedKey::from_bytes(&[7; 32]), 0x1f2e, 2, 2).unwrap();
    let words = of_kek[0].to_words(Kind::RecoveryKek);
    let words: Vec<String> = words.iter().map(str::to_owned).collect();
    let mut console = disk.console("open_at_a_terminal");
    console.give_back(&words);
    let _ = console.expect(
        "This is a share of a recovery KEK, and one of a data partition's recovery key is needed.",
    );
}

#[test]
fn what_can_be_done_follows_from_what_is_in_the_way() {
    assert_eq!(possible(None, true), Possible::Make);
    assert_eq!(possible(None, false), Possible::MakeAfterRestart);
    assert_eq!(possible(Some(Obstacle::Locked), false), Possible::Take);
    // Neither another's kernel nor an older release of ours gets the shares.
    for obstacle in [
        Obstacle::SecureBootOff,
        Obstacle::OldRelease,
        Obstacle::NoTpm,
    ] {
        assert_eq!(possible(Some(obstacle), true), Possible::Nothing(obstacle));
    }
}
