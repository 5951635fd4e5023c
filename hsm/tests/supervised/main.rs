//! HSMs under supervision: real `SoftHSM` tokens, pulled away and brought back under load, and faults put before them. Each
//! scenario runs in a child of this binary.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

#[path = "../conformance/mod.rs"]
mod conformance;
mod faulty;
mod replica;
#[path = "../support/softhsm.rs"]
mod softhsm_child;
#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "other binaries use more of it")]
mod support;

use std::{
    fs,
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use faulty::{Faulty, Mode};
use libtest_mimic::{Arguments, Trial};
use strongroom_hsm::{
    Aes256Key, Hsm, HsmError, MasterKekId, WrappedKey,
    pkcs11::{Pkcs11Config, Pkcs11Hsm},
    supervised::{Backend, Change, State, Supervised, SupervisedConfig},
};
use support::TestToken;

const SCENARIOS: &[(&str, fn())] = &[
    (
        "the_suite_passes_under_supervision",
        the_suite_passes_under_supervision,
    ),
    ("starting_waits_for_nothing", starting_waits_for_nothing),
    (
        "a_hang_costs_the_deadline_once",
        a_hang_costs_the_deadline_once,
    ),
    (
        "the_replica_takes_over_without_a_failed_call",
        the_replica_takes_over_without_a_failed_call,
    ),
    (
        "a_token_pulled_away_comes_back_by_itself",
        a_token_pulled_away_comes_back_by_itself,
    ),
    (
        "a_refused_pin_is_offered_once",
        a_refused_pin_is_offered_once,
    ),
    ("closed_it_is_logged_out", closed_it_is_logged_out),
    (
        "what_the_caller_did_wrong_changes_nothing",
        what_the_caller_did_wrong_changes_nothing,
    ),
    (
        "a_new_version_waits_for_the_replica",
        replica::a_new_version_waits_for_the_replica,
    ),
    (
        "a_version_is_destroyed_everywhere",
        replica::a_version_is_destroyed_everywhere,
    ),
    (
        "a_named_key_is_not_made_where_there_is_a_replica",
        replica::a_named_key_is_not_made_where_there_is_a_replica,
    ),
];

/// What the appliance has 10 seconds for.
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    if let Some(role) = support::role() {
        if role == replica::ELSEWHERE {
            replica::elsewhere();
            return ExitCode::SUCCESS;
        }
        let scenario = SCENARIOS.iter().find(|(name, _)| *name == role);
        (scenario.unwrap().1)();
        return ExitCode::SUCCESS;
    }
    let trials = SCENARIOS.iter().map(|(name, _)| {
        Trial::test(*name, move || {
            match softhsm_child::run_again(name, &[], "", true) {
                (0, _) => Ok(()),
                (code, output) => Err(format!("exit code {code}\n{output}").into()),
            }
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

fn kek() -> MasterKekId {
    MasterKekId {
        domain: "default".to_owned(),
        version: 1,
    }
}

fn a_key() -> Aes256Key {
    Aes256Key::from_bytes([0x42; 32])
}

fn quick() -> SupervisedConfig {
    SupervisedConfig {
        deadline: Duration::from_millis(400),
        retry: Duration::from_millis(200),
        check: Duration::from_millis(500),
        ..SupervisedConfig::default()
    }
}

/// The states that were told of, as words.
type Told = Arc<Mutex<Vec<String>>>;

fn start(backends: Vec<Backend>, config: SupervisedConfig) -> (Supervised, Told) {
    let told = Told::default();
    let tell = Arc::clone(&told);
    let on_change = Arc::new(move |change: &Change| {
        let text = format!("{} {}", change.name, change.to.word());
        tell.lock().unwrap().push(text);
    });
    (
        Supervised::start(backends, config, on_change).unwrap(),
        told,
    )
}

fn real(token: &TestToken) -> Backend {
    let config = token.config();
    Backend {
        name: format!("SoftHSM, token {}", token.label),
        open: Arc::new(move || Ok(Arc::new(Pkcs11Hsm::open(config.clone())?))),
    }
}

/// A token with a master KEK and a signing key, and an account KEK that it wrapped.
fn a_token() -> (TestToken, Arc<dyn Hsm>, WrappedKey) {
    let token = TestToken::initialise("strongroom");
    let hsm: Arc<dyn Hsm> = Arc::new(token.open());
    hsm.generate_master_kek(&kek()).unwrap();
    hsm.generate_signing_key("checkpoint").unwrap();
    let wrapped = hsm.wrap(&kek(), &a_key()).unwrap();
    (token, hsm, wrapped)
}

/// Ends the threads of a scope, also when the test fails.
struct StopAtTheEnd<'a>(&'a AtomicBool);

impl Drop for StopAtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn the_suite_passes_under_supervision() {
    let cases = conformance::CASES.iter().chain(conformance::named::CASES);
    for (number, (_, case)) in cases.enumerate() {
        let token = TestToken::initialise(&format!("test {number}"));
        let (hsm, _) = start(vec![real(&token)], SupervisedConfig::default());
        assert!(hsm.wait_until_usable(PATIENCE));
        case(&hsm);
        assert_eq!(hsm.status()[0].timed_out, 0);
    }
    for (number, (_, case)) in conformance::recovery::CASES.iter().enumerate() {
        let hsms = ["first", "second"].map(|which| {
            let token = TestToken::initialise(&format!("recovery {number} {which}"));
            let (hsm, _) = start(vec![real(&token)], SupervisedConfig::default());
            assert!(hsm.wait_until_usable(PATIENCE));
            hsm
        });
        case(&hsms[0], &hsms[1]);
    }
}

fn starting_waits_for_nothing() {
    let (_token, real, wrapped) = a_token();
    let slow = Faulty::new(real, Mode::Hangs);
    let config = SupervisedConfig {
        deadline: Duration::from_secs(3),
        ..quick()
    };
    let (hsm, told) = start(vec![slow.backend("slow")], config);
    let error = hsm.unwrap("default", &wrapped).unwrap_err();
    assert!(
        matches!(&error, HsmError::OutOfService { reasons } if reasons.contains("slow")),
        "{error:?}"
    );
    assert!(error.is_transient());
    // The opening was not waited for.
    assert_eq!(hsm.status()[0].state, State::Probing);
    // It is called unusable, and the opening that hangs is not begun again beside it.
    let deadline = Instant::now() + PATIENCE;
    while hsm.status()[0].state == State::Probing {
        assert!(Instant::now() < deadline, "{:?}", hsm.status());
        thread::sleep(Duration::from_millis(5));
    }
    thread::sleep(quick().retry * 4);
    let status = hsm.status().remove(0);
    assert!(
        matches!(
            status.state,
            State::Unusable {
                reason: HsmError::TimedOut { .. }
            }
        ),
        "{status:?}"
    );
    assert_eq!((status.abandoned, status.serving), (1, false));
    slow.set(Mode::Works);
    assert!(hsm.wait_until_usable(PATIENCE));
    hsm.unwrap("default", &wrapped).unwrap();
    assert!(hsm.status()[0].serving);
    assert_eq!(*told.lock().unwrap(), ["slow unusable", "slow usable"]);
}

fn a_hang_costs_the_deadline_once() {
    let (_token, real, wrapped) = a_token();
    let faulty = Faulty::new(real, Mode::Works);
    let (hsm, told) = start(vec![faulty.backend("faulty")], quick());
    assert!(hsm.wait_until_usable(PATIENCE));
    for round in 0..3 {
        faulty.set(Mode::Hangs);
        let longest = thread::scope(|scope| {
            let threads: Vec<_> = (0..6)
                .map(|_| {
                    scope.spawn(|| {
                        let started = Instant::now();
                        let error = hsm.unwrap("default", &wrapped).unwrap_err();
                        assert!(error.is_transient(), "{error:?}");
                        started.elapsed()
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .max()
        });
        assert!(longest.unwrap() < quick().deadline * 2, "{longest:?}");
        // From then on calls fail at once.
        let started = Instant::now();
        let error = hsm.sign("checkpoint", b"m").unwrap_err();
        assert!(matches!(error, HsmError::OutOfService { .. }), "{error:?}");
        assert!(
            error.to_string().contains("faulty did not answer"),
            "{error}"
        );
        assert!(started.elapsed() < quick().deadline / 2);
        faulty.set(Mode::Works);
        assert!(hsm.wait_until_usable(PATIENCE), "round {round}");
        let unwrapped = hsm.unwrap("default", &wrapped).unwrap();
        assert_eq!(unwrapped.as_bytes(), a_key().as_bytes());
    }
    // Every abandoned thread comes back.
    let deadline = Instant::now() + PATIENCE;
    while hsm.status()[0].abandoned > 0 {
        assert!(Instant::now() < deadline);
        thread::sleep(Duration::from_millis(1));
    }
    assert!(hsm.status()[0].timed_out >= 6);
    let words = told.lock().unwrap().len();
    assert_eq!(words, 7, "{told:?}");
}

fn the_replica_takes_over_without_a_failed_call() {
    let (_token, real, wrapped) = a_token();
    let primary = Faulty::new(Arc::clone(&real), Mode::Works);
    let replica = Faulty::new(real, Mode::Works);
    let config = SupervisedConfig {
        deadline: Duration::from_secs(2),
        ..quick()
    };
    let (hsm, _) = start(
        vec![primary.backend("primary"), replica.backend("replica")],
        config,
    );
    let until = |place: usize, what: &dyn Fn(&strongroom_hsm::supervised::MemberStatus) -> bool| {
        let deadline = Instant::now() + PATIENCE;
        while !what(&hsm.status()[place]) {
            assert!(Instant::now() < deadline, "{:?}", hsm.status());
            thread::sleep(Duration::from_millis(5));
        }
    };
    until(0, &|status| status.serving);
    until(1, &|status| status.state == State::Usable);
    let (stop, calls) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let _stop = StopAtTheEnd(&stop);
        for _ in 0..6 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let unwrapped = hsm.unwrap("default", &wrapped).unwrap();
                    assert_eq!(unwrapped.as_bytes(), a_key().as_bytes());
                    hsm.wrap(&kek(), &a_key()).unwrap();
                    calls.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for fault in [Mode::Fails, Mode::Hangs] {
            thread::sleep(Duration::from_millis(200));
            primary.set(fault);
            until(1, &|status| status.serving);
            // A new key is not made on a replica.
            let error = hsm.generate_signing_key("another").unwrap_err();
            assert!(error.is_transient(), "{error:?}");
            let before = calls.load(Ordering::Relaxed);
            thread::sleep(Duration::from_millis(300));
            assert!(calls.load(Ordering::Relaxed) > before);
            primary.set(Mode::Works);
            until(0, &|status| status.serving);
        }
    });
    assert!(calls.load(Ordering::Relaxed) > 100);
}

/// The folder of the token is `SoftHSM`'s device: moved away, the HSM is gone.
fn a_token_pulled_away_comes_back_by_itself() {
    let (token, direct, wrapped) = a_token();
    drop(direct);
    let folder = PathBuf::from(std::env::var_os(softhsm_child::TOKENS).unwrap());
    let away = folder.with_extension("away");
    let (hsm, told) = start(vec![real(&token)], SupervisedConfig::default());
    assert!(hsm.wait_until_usable(PATIENCE));
    let (stop, failed) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let _stop = StopAtTheEnd(&stop);
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let started = Instant::now();
                    match hsm.unwrap("default", &wrapped) {
                        Ok(key) => assert_eq!(key.as_bytes(), a_key().as_bytes()),
                        Err(error) => {
                            assert!(!matches!(error, HsmError::PinIncorrect { .. }), "{error:?}");
                            failed.fetch_add(1, Ordering::Relaxed);
                            thread::sleep(Duration::from_millis(5));
                        }
                    }
                    assert!(started.elapsed() < Duration::from_secs(6));
                }
            });
        }
        for _ in 0..2 {
            thread::sleep(Duration::from_millis(200));
            fs::rename(&folder, &away).unwrap();
            thread::sleep(Duration::from_millis(500));
            fs::rename(&away, &folder).unwrap();
            let back = Instant::now();
            while hsm.unwrap("default", &wrapped).is_err() {
                assert!(back.elapsed() < PATIENCE, "{:?}", hsm.status());
                thread::sleep(Duration::from_millis(20));
            }
        }
    });
    assert!(failed.load(Ordering::Relaxed) > 0);
    let told = told.lock().unwrap();
    assert!(told.iter().any(|change| change.ends_with("unusable")) && hsm.is_usable());
}

fn a_refused_pin_is_offered_once() {
    let (token, direct, wrapped) = a_token();
    drop(direct);
    // Nobody else of this process is logged in, so that the token looks at the PIN.
    let opened = Arc::new(AtomicUsize::new(0));
    let right = Arc::new(AtomicBool::new(false));
    let (counted, good, config) = (Arc::clone(&opened), Arc::clone(&right), token.config());
    let backend = Backend {
        name: "SoftHSM".to_owned(),
        open: Arc::new(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            let pin = if good.load(Ordering::Relaxed) {
                support::PIN
            } else {
                "wrong-horse-1"
            };
            let config = Pkcs11Config {
                pin: support::pin(pin),
                ..config.clone()
            };
            Ok(Arc::new(Pkcs11Hsm::open(config)?))
        }),
    };
    let (hsm, _) = start(vec![backend], quick());
    thread::sleep(quick().retry * 8);
    assert_eq!(opened.load(Ordering::Relaxed), 1);
    let error = hsm.unwrap("default", &wrapped).unwrap_err();
    assert!(error.to_string().contains("CKR_PIN_INCORRECT"), "{error}");
    assert!(!hsm.status()[0].retried);
    // An operator sets it right.
    right.store(true, Ordering::Relaxed);
    hsm.retry_now();
    assert!(hsm.wait_until_usable(PATIENCE));
    hsm.unwrap("default", &wrapped).unwrap();
    assert_eq!(opened.load(Ordering::Relaxed), 2);
}

fn closed_it_is_logged_out() {
    let (token, direct, wrapped) = a_token();
    drop(direct);
    let (hsm, told) = start(vec![real(&token)], quick());
    assert!(hsm.wait_until_usable(PATIENCE));
    // Twice does no harm, and whoever still holds it gets nothing more.
    hsm.close();
    hsm.close();
    assert!(!hsm.is_usable());
    let error = hsm.unwrap("default", &wrapped).unwrap_err();
    assert!(
        matches!(&error, HsmError::OutOfService { reasons } if reasons.contains("closed")),
        "{error:?}"
    );
    hsm.retry_now();
    thread::sleep(quick().retry * 4);
    assert!(!hsm.is_usable());
    assert_eq!(told.lock().unwrap().len(), 1, "only that it was usable");
    // A PIN is looked at only where nobody of the process is logged in.
    let wrong = Pkcs11Config {
        pin: support::pin("wrong-horse-1"),
        ..token.config()
    };
    let error = Pkcs11Hsm::open(wrong).unwrap_err();
    assert!(matches!(error, HsmError::PinIncorrect { .. }), "{error:?}");
}

fn what_the_caller_did_wrong_changes_nothing() {
    let (token, direct, wrapped) = a_token();
    drop(direct);
    let (hsm, told) = start(vec![real(&token)], quick());
    assert!(hsm.wait_until_usable(PATIENCE));
    let mut altered = wrapped;
    altered.blob[3] ^= 1;
    for _ in 0..20 {
        let error = hsm.unwrap("default", &altered).unwrap_err();
        assert!(
            matches!(error, HsmError::WrappedKeyRejected { .. }),
            "{error:?}"
        );
        let error = hsm.sign("nobody", b"m").unwrap_err();
        assert!(matches!(error, HsmError::KeyNotFound { .. }), "{error:?}");
    }
    assert_eq!(told.lock().unwrap().len(), 1);
    assert!(hsm.is_usable());
}
