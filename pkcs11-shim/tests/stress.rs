//! Many threads and forks at once. `--ignored` runs the long version, under valgrind.

#![expect(clippy::unwrap_used, unsafe_code, reason = "tests")]

mod support;

use std::process::Command;
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cryptoki_sys::*;
use support::api::{How, V, call};
use support::memory::RELEASABLE;
use support::{PIN, Running, run};

const THREADS: usize = 32;

/// What each thread does over and over: sessions, objects, operations here and by the token, searches.
fn work(running: &Running, shared: CK_OBJECT_HANDLE, round: usize) {
    let api = running.api;
    let session = api.open(0, CKF_RW_SESSION).unwrap();
    let how = || How::gcm(&[4; 12], &[], 128);
    let text = vec![7; 1 + round % 2000];
    let sealed = api.encrypt(session, how(), shared, &text).unwrap();
    assert_eq!(api.decrypt(session, how(), shared, &sealed).unwrap(), text);
    let label = round.to_be_bytes();
    let in_token = if round.is_multiple_of(4) {
        V::Yes
    } else {
        V::No
    };
    let template = [
        (CKA_VALUE_LEN, V::N(16)),
        (CKA_LABEL, V::B(&label)),
        (CKA_TOKEN, in_token),
    ];
    let key = api
        .generate(session, How::plain(CKM_AES_KEY_GEN), &template)
        .unwrap();
    let mac = api
        .sign(session, How::plain(CKM_AES_CMAC), key, &text)
        .unwrap();
    api.verify(session, How::plain(CKM_AES_CMAC), key, &text, &mac)
        .unwrap();
    let found = api.find(session, &[(CKA_LABEL, V::B(&label))], 64).unwrap();
    assert!(found.contains(&key));
    api.digest(session, How::plain(CKM_SHA256), &text).unwrap();
    assert_eq!(call!(api, C_DestroyObject(session, key)), CKR_OK);
    assert_eq!(
        call!(api, C_DestroyObject(session, key)),
        CKR_OBJECT_HANDLE_INVALID
    );
    assert_eq!(call!(api, C_CloseSession(session)), CKR_OK);
}

/// What a forked child does: nothing is initialised in it, and then it is.
fn child(running: &Running, session: CK_SESSION_HANDLE) -> bool {
    let api = running.api;
    let mut info = CK_INFO::default();
    let before = call!(api, C_GetInfo(&raw mut info)) == CKR_CRYPTOKI_NOT_INITIALIZED
        && call!(api, C_CloseSession(session)) == CKR_CRYPTOKI_NOT_INITIALIZED
        && api.finalize() == CKR_CRYPTOKI_NOT_INITIALIZED
        && api.initialize(support::configuration()) == CKR_OK;
    let Ok(mine) = api.open(0, CKF_RW_SESSION) else {
        return false;
    };
    let signed_in = api.login(mine, CKU_USER, PIN) == CKR_OK;
    let template = [(CKA_VALUE_LEN, V::N(16)), (CKA_TOKEN, V::Yes)];
    let key = api.generate(mine, How::plain(CKM_AES_KEY_GEN), &template);
    let works = key
        .and_then(|key| api.encrypt(mine, How::bytes(CKM_AES_CBC, &[0; 16]), key, &[0; 16]))
        .is_ok();
    before && signed_in && works && api.finalize() == CKR_OK
}

fn fork(running: &Running, session: CK_SESSION_HANDLE) -> bool {
    // SAFETY: the child calls the module alone, which is what is tested, and leaves by _exit.
    unsafe {
        match libc::fork() {
            0 => {
                // A child that hangs is killed, and has failed.
                libc::alarm(30);
                let good = child(running, session);
                libc::_exit(i32::from(!good));
            }
            -1 => false,
            pid => {
                let mut status = 0;
                libc::waitpid(pid, &raw mut status, 0) == pid && status == 0
            }
        }
    }
}

/// When the process forks.
#[derive(Clone, Copy, PartialEq)]
enum Forks {
    /// While its threads are between two rounds of work.
    BetweenRounds,
    /// At any moment.
    Anytime,
}

fn stress(duration: Duration, threads: usize, forks_come: Forks) {
    let running = run();
    let session = running.session();
    let template = [
        (CKA_VALUE_LEN, V::N(32)),
        (CKA_TOKEN, V::Yes),
        (CKA_LABEL, V::B(RELEASABLE)),
    ];
    let shared = running
        .api
        .generate(session, How::plain(CKM_AES_KEY_GEN), &template)
        .unwrap();
    // Released material ends again and again meanwhile.
    running.token.keep_for.store(20, Ordering::SeqCst);
    let (over, rounds) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut forks = 0;
    let rest = RwLock::new(());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let _working = rest.read().unwrap();
                    work(&running, shared, rounds.fetch_add(1, Ordering::Relaxed));
                }
            });
        }
        let begin = Instant::now();
        let mut good = true;
        while begin.elapsed() < duration && good {
            let _resting = (forks_come == Forks::BetweenRounds).then(|| rest.write().unwrap());
            good = fork(&running, session);
            forks += 1;
        }
        over.store(true, Ordering::Relaxed);
        assert!(good, "a child failed after {forks} forks");
    });
    let mut info = CK_SESSION_INFO::default();
    let known = call!(running.api, C_GetSessionInfo(session, &raw mut info));
    assert_eq!(known, CKR_OK, "the parent goes on as if nothing had been");
    assert!(rounds.load(Ordering::Relaxed) > threads);
}

#[test]
fn threads_and_forks() {
    stress(Duration::from_secs(3), THREADS, Forks::BetweenRounds);
}

/// A fork waits until no thread works inside: a child that inherited the lock of AWS-LC's random number generator as held would wait for ever.
#[test]
fn threads_and_forks_at_any_moment() {
    stress(Duration::from_secs(3), THREADS, Forks::Anytime);
}

/// Run by [`without_an_error_under_valgrind`], and fast without.
#[test]
fn a_few_forks_at_any_moment() {
    stress(Duration::from_millis(300), THREADS, Forks::Anytime);
}

/// Forks a child that ends at once, and says how long the fork took.
fn time_of_a_fork() -> Duration {
    let begin = Instant::now();
    // SAFETY: the child does nothing but end.
    unsafe {
        match libc::fork() {
            0 => libc::_exit(0),
            pid => {
                let took = begin.elapsed();
                assert!(pid > 0);
                libc::waitpid(pid, std::ptr::null_mut(), 0);
                took
            }
        }
    }
}

#[test]
fn a_fork_waits_for_who_works_inside_and_not_for_who_waits() {
    let running = run();
    let (api, session) = (running.api, running.session());
    running.token.delay.store(500, Ordering::SeqCst);
    let works = std::thread::spawn(move || api.find(session, &[], 5).map(|_| ()));
    std::thread::sleep(Duration::from_millis(100));
    let took = time_of_a_fork();
    assert!(took > Duration::from_millis(200), "{took:?}");
    running.token.heal();
    works.join().unwrap().unwrap();

    let waits = std::thread::spawn(move || {
        let mut slot = 0;
        call!(
            api,
            C_WaitForSlotEvent(0, &raw mut slot, std::ptr::null_mut())
        )
    });
    std::thread::sleep(Duration::from_millis(100));
    let took = time_of_a_fork();
    assert!(took < Duration::from_millis(900), "{took:?}");
    drop(running);
    assert_eq!(waits.join().unwrap(), CKR_CRYPTOKI_NOT_INITIALIZED);
}

#[test]
fn after_the_end_there_is_no_thread() {
    let running = run();
    let session = running.session();
    running.token.keep_for.store(60_000, Ordering::SeqCst);
    let template = [
        (CKA_VALUE_LEN, V::N(32)),
        (CKA_TOKEN, V::Yes),
        (CKA_LABEL, V::B(RELEASABLE)),
    ];
    let key = running
        .api
        .generate(session, How::plain(CKM_AES_KEY_GEN), &template)
        .unwrap();
    running
        .api
        .encrypt(session, How::gcm(&[4; 12], &[], 128), key, b"x")
        .unwrap();
    let reapers = || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let names =
            tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
        names
            .filter(|name| name.starts_with("strongroom-reap"))
            .count()
    };
    let begin = Instant::now();
    while reapers() != 1 {
        // A thread says its name when it first runs.
        assert!(begin.elapsed() < Duration::from_secs(5));
        std::thread::yield_now();
    }
    assert_eq!(running.api.finalize(), CKR_OK);
    assert_eq!(reapers(), 0);
}

#[test]
#[ignore = "long: valgrind"]
fn without_an_error_under_valgrind() {
    let output = Command::new("valgrind")
        .args(["--error-exitcode=9", "--leak-check=full", "--errors-for-leak-kinds=none", "--trace-children=no", "--fair-sched=yes"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "a_few_forks_at_any_moment", "--test-threads=1"])
        // aws-lc chooses its code by what the processor says it has; valgrind has not all of that.
        .env("OPENSSL_ia32cap", "~0x0:~0x0")
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert!(errors.contains("ERROR SUMMARY: 0 errors"), "{errors}");
    // What the stacks of other threads held is lost in a forked child, which has not these threads. The last summary is the parent's.
    let lost = errors.rsplit("definitely lost: ").next().unwrap();
    assert!(lost.starts_with("0 bytes"), "{errors}");
}
