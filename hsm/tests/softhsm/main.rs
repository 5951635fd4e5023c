//! The PKCS#11 backend over `SoftHSM`: the conformance suite, known answers, and what only this backend does.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

#[path = "../conformance/mod.rs"]
mod conformance;
mod known_answers;
mod named;
mod pkcs11;
mod recovery;
#[path = "../support/softhsm.rs"]
mod softhsm_child;
#[path = "../support/mod.rs"]
mod support;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use support::TestToken;

/// A test's name, and what it does with a token of its own.
type Case = (&'static str, fn(&TestToken));

fn main() -> ExitCode {
    if support::role().is_none() {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let (code, _) = softhsm_child::run_again("tests", &arguments, "", false);
        return ExitCode::from(u8::try_from(code).unwrap_or(1));
    }
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    // A token for each test, all before the first test runs: SoftHSM's table of slots has no lock of its own, and
    // the tests' raw sessions do not take the backend's.
    let token = || TestToken::initialise(&format!("test {}", trials_so_far()));
    for (name, case) in conformance::CASES.iter().chain(conformance::named::CASES) {
        let token = token();
        trials.push(Trial::test(format!("conformance::{name}"), move || {
            case(&token.open());
            Ok(())
        }));
    }
    for (name, case) in conformance::recovery::CASES {
        let (first, second) = (token(), token());
        trials.push(Trial::test(
            format!("conformance::recovery::{name}"),
            move || {
                case(&first.open(), &second.open());
                Ok(())
            },
        ));
    }
    for (name, case) in known_answers::CASES
        .iter()
        .chain(known_answers::PADDED)
        .chain(pkcs11::CASES)
        .chain(recovery::CASES)
        .chain(named::CASES)
    {
        let token = token();
        trials.push(Trial::test(*name, move || {
            case(&token);
            Ok(())
        }));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Counts the tokens, so that each has its own label.
fn trials_so_far() -> usize {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    COUNT.fetch_add(1, Ordering::Relaxed)
}
