#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use rustix::process::{Uid, getuid};
use serde_json::json;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::{AccountId, SessionId};

use super::serve::Agent;
use super::*;
use crate::moment;

/// What an agent reads from the command that starts it.
fn message(expires: Timestamp) -> Vec<u8> {
    let description = json!({
        "server": "https://keys.example.com:8443",
        "session": SessionId::generate(),
        "account": {
            "id": AccountId::generate(),
            "name": "alice@example.com",
            "kind": "person",
            "state": "active",
            "roles": [],
            "created": "2026-11-27T18:00:00Z",
        },
        "expires": expires,
    })
    .to_string();
    let mut message = b"strongroom-agent/1\n".to_vec();
    message.extend_from_slice(&u32::try_from(description.len()).unwrap().to_be_bytes());
    message.extend_from_slice(description.as_bytes());
    message.extend_from_slice(&[7; 32]);
    message.extend_from_slice(&[9; 32]);
    message
}

fn in_an_hour() -> Timestamp {
    moment::now().plus_seconds(3600)
}

struct Running {
    _folder: tempfile::TempDir,
    path: PathBuf,
    thread: JoinHandle<()>,
}

fn run(expires: Timestamp, uid: Uid) -> Running {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agent");
    let agent = Agent::bind(&path).unwrap().of_user(uid);
    let held = Held::read(&mut message(expires).as_slice()).unwrap();
    let thread = thread::spawn(move || agent.hold(&held, &moment::now, Duration::from_millis(50)));
    Running {
        _folder: folder,
        path,
        thread,
    }
}

fn connect(path: &Path) -> UnixStream {
    socket::connect(path).unwrap().unwrap()
}

fn stop(running: Running) {
    connect(&running.path)
        .write_all(&[Request::Stop as u8])
        .unwrap();
    running.thread.join().unwrap();
}

#[test]
fn what_is_held_is_given_to_the_same_user_until_stopped() {
    let running = run(in_an_hour(), getuid());
    for _ in 0..3 {
        let held = ask(connect(&running.path)).unwrap();
        assert_eq!(held.server(), "https://keys.example.com:8443");
        assert_eq!(held.account(), "alice@example.com");
        assert_eq!(held.secrets()[..32], [7; 32]);
        assert_eq!(held.secrets()[32..], [9; 32]);
        let shown = format!("{held:?}");
        assert!(
            !shown.contains("7, 7") && !shown.contains("9, 9"),
            "{shown}"
        );
    }
    let mut stream = connect(&running.path);
    stream.write_all(&[Request::Stop as u8]).unwrap();
    assert_eq!(stream.read_to_end(&mut Vec::new()).unwrap(), 0);
    assert!(!running.path.exists());
    running.thread.join().unwrap();
    assert!(socket::connect(&running.path).unwrap().is_none());
}

#[test]
fn another_user_gets_nothing_and_cannot_stop_it() {
    let running = run(in_an_hour(), Uid::from_raw(getuid().as_raw() + 1));
    assert!(ask(connect(&running.path)).is_err());
    let mut stream = connect(&running.path);
    // The agent may have closed its end already.
    let _ = stream.write_all(&[Request::Stop as u8]);
    let _ = stream.read_to_end(&mut Vec::new());
    thread::sleep(Duration::from_millis(120));
    assert!(!running.thread.is_finished());
    std::fs::remove_file(&running.path).unwrap();
    running.thread.join().unwrap();
}

#[test]
fn nonsense_and_silence_do_not_end_it() {
    let running = run(in_an_hour(), getuid());
    connect(&running.path).write_all(b"?").unwrap();
    drop(connect(&running.path));
    assert!(ask(connect(&running.path)).is_ok());
    stop(running);
}

#[test]
fn it_ends_with_the_session_and_removes_its_socket() {
    let begun = Instant::now();
    let expires = Timestamp::from_millis(moment::now().as_millis() + 300);
    let running = run(expires, getuid());
    assert!(ask(connect(&running.path)).is_ok());
    running.thread.join().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert!(moment::now() >= expires);
    assert!(!running.path.exists());
}

#[test]
fn an_agent_that_was_replaced_ends_and_leaves_the_new_one_its_socket() {
    let running = run(in_an_hour(), getuid());
    let replacement = Agent::bind(&running.path).unwrap();
    running.thread.join().unwrap();
    assert!(running.path.exists());
    drop(replacement);
    assert!(!running.path.exists());
}

#[test]
fn a_session_survives_the_message_and_altered_ones_are_refused() {
    let whole = message(in_an_hour());
    let held = Held::read(&mut whole.as_slice()).unwrap();
    let mut again = Vec::new();
    held.write(&mut again).unwrap();
    let reread = Held::read(&mut again.as_slice()).unwrap();
    assert_eq!(format!("{reread:?}"), format!("{held:?}"));
    assert_eq!(reread.secrets(), held.secrets());

    for length in 0..whole.len() {
        assert!(Held::read(&mut &whole[..length]).is_err(), "{length} bytes");
    }
    let mut other = whole.clone();
    other[17] = b'2';
    let error = Held::read(&mut other.as_slice()).unwrap_err();
    assert_eq!(error.to_string(), "the agent is of another version");
    let mut long = whole;
    long[19..23].copy_from_slice(&u32::MAX.to_be_bytes());
    assert!(Held::read(&mut long.as_slice()).is_err());
}
