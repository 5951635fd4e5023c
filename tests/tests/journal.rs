//! The machine's log as a site's syslog server receives it: whoever is away meanwhile, and whatever comes.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use strongroom_tests::{Appliance, Syslog};

/// How long something in the background may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// An entry as journald writes it to the socket of `ForwardToSocket=`.
fn entry(message: &str) -> Vec<u8> {
    let length = u64::try_from(message.len()).unwrap();
    let mut bytes = b"_TRANSPORT=stdout\nPRIORITY=6\nSYSLOG_FACILITY=3\nSYSLOG_IDENTIFIER=strongroom-setup\n_PID=412\n_UID=0\nMESSAGE\n".to_vec();
    bytes.extend(length.to_le_bytes());
    bytes.extend(message.as_bytes());
    bytes.extend(
        b"\n_SYSTEMD_UNIT=strongroom-seal.service\n__REALTIME_TIMESTAMP=1790000000123456\n\n",
    );
    bytes
}

/// Waits until a message that ends so has arrived.
fn arrived(syslog: &Syslog, end: &str) -> String {
    let started = Instant::now();
    loop {
        let messages = syslog.messages();
        if let Some(message) = messages.iter().find(|message| message.ends_with(end)) {
            return message.clone();
        }
        assert!(started.elapsed() < PATIENCE, "{end}: {messages:?}");
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn the_machines_log_arrives_whoever_is_away_meanwhile() {
    let mut syslog = Syslog::new();
    let setting = format!("{}\njournal = true", syslog.setting("soc", "rfc5424"));
    let mut appliance = Appliance::start_with(&setting);
    appliance.stop();
    let socket = appliance.data().join("journal.sock");
    // What a process that was killed left.
    fs::write(&socket, "").unwrap();
    appliance.set_arguments(&["--journal".into(), socket.clone().into()]);
    appliance.serve();
    let mode = fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    // The receiver is away, and journald is read all the same.
    let mut journald = UnixStream::connect(&socket).unwrap();
    for number in 0..5000 {
        journald
            .write_all(&entry(&format!("number {number} of\nthem")))
            .unwrap();
    }
    syslog.start();
    let last = arrived(&syslog, " number 4999 of them");
    assert!(
        last.starts_with("<30>1 2026-09-21T14:13:20.123Z ")
            && last.contains(
                r#" strongroom-setup 412 - [journal@32473 unit="strongroom-seal.service"] "#
            ),
        "{last}"
    );
    let messages = syslog.messages();
    for number in 0..5000 {
        let end = format!(" number {number} of them");
        assert!(
            messages.iter().any(|message| message.ends_with(&end)),
            "{end}"
        );
    }

    // The receiver dies; what comes meanwhile waits for it.
    syslog.kill();
    journald.write_all(&entry("while it was away")).unwrap();
    thread::sleep(Duration::from_secs(2));
    syslog.start();
    arrived(&syslog, " while it was away");

    // What is no entry ends the connection, and nothing else.
    journald.write_all(&vec![b'x'; 70_000]).unwrap();
    assert_eq!(journald.read(&mut [0; 1]).unwrap_or(0), 0);
    let mut journald = UnixStream::connect(&socket).unwrap();
    journald
        .write_all(b"_TRANSPORT=kernel\nPRIORITY=4\nMESSAGE=a word of the kernel\n\n")
        .unwrap();
    let kernel = arrived(&syslog, " a word of the kernel");
    assert!(
        kernel.starts_with("<4>1 - ") && kernel.contains(" kernel - - - "),
        "{kernel}"
    );

    // journald is still there when the appliance stops.
    appliance.stop();
    assert!(!socket.exists());
    drop(journald);
}
