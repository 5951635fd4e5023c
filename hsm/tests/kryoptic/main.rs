//! The PKCS#11 backend over Kryoptic, a PKCS#11 3.x module that is stricter than `SoftHSM`: the conformance suite with each
//! mechanism that wraps, known answers, and what only this backend does.
//!
//! Kryoptic is built by `cargo run --release -p strongroom-hsm --example build_kryoptic`. Where it is not there, the tests say so
//! and are ignored.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

#[path = "../conformance/mod.rs"]
mod conformance;
#[path = "../softhsm/known_answers.rs"]
mod known_answers;
#[path = "../softhsm/pkcs11.rs"]
mod pkcs11;
#[path = "../support/mod.rs"]
mod support;

use std::{
    env,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use cryptoki::{
    error::{Error, RvError},
    session::UserType,
    types::AuthPin,
};
use libtest_mimic::{Arguments, Trial};
use strongroom_hsm::{HsmError, WrapScheme, pkcs11::Pkcs11Hsm};
use support::TestToken;

/// A test's name, and what it does with a token of its own.
type Case = (&'static str, fn(&TestToken));

/// The mechanisms that tokens lack, and how they then wrap.
const VARIANTS: [(&str, &[&str], WrapScheme); 2] = [
    ("AES-KW", &[], WrapScheme::Rfc3394),
    ("AES-GCM", &["CKM_AES_KEY_WRAP"], WrapScheme::AesGcm),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let module = module();
    if let Some(role) = support::role() {
        let (_, _, scheme) = *VARIANTS.iter().find(|(name, ..)| *name == role).unwrap();
        return libtest_mimic::run(&Arguments::from_args(), trials(&role, scheme)).exit_code();
    }
    if !module.exists() {
        let all = VARIANTS.map(|(name, ..)| {
            Trial::test(
                format!("{name}: Kryoptic is not at {}", module.display()),
                || Err("Kryoptic is not there".into()),
            )
            .with_ignored_flag(true)
        });
        return libtest_mimic::run(&Arguments::from_args(), all.into()).exit_code();
    }
    for (name, without, _) in VARIANTS {
        let folder = tempfile::tempdir().unwrap();
        let configuration = configure(folder.path(), without);
        let environment = [
            ("KRYOPTIC_CONF", configuration.as_path()),
            (support::MODULE, module.as_path()),
        ];
        let (code, _) = support::run_in(name, &arguments, &environment, false);
        if code != 0 {
            return ExitCode::from(u8::try_from(code).unwrap_or(1));
        }
    }
    ExitCode::SUCCESS
}

/// Beside the other things that cargo builds, unless the environment says otherwise.
fn module() -> PathBuf {
    if let Some(path) = env::var_os("STRONGROOM_TEST_KRYOPTIC") {
        return path.into();
    }
    let own = env::current_exe().unwrap();
    let target = own.ancestors().nth(3).unwrap();
    target.join("kryoptic/libkryoptic_pkcs11.so")
}

/// Kryoptic's configuration: a slot for each test.
fn configure(folder: &Path, without: &[&str]) -> PathBuf {
    let mut content = String::new();
    for slot in 0..cases() {
        let database = folder.join(format!("{slot}.sql"));
        write!(
            content,
            "[[slots]]\nslot = {slot}\ndbtype = \"sqlite\"\ndbargs = \"{}\"\n",
            database.display()
        )
        .unwrap();
        if !without.is_empty() {
            writeln!(
                content,
                "mechanisms = [\"DENY\", \"{}\"]",
                without.join("\", \"")
            )
            .unwrap();
        }
    }
    let path = folder.join("token.conf");
    fs::write(&path, content).unwrap();
    path
}

fn cases() -> usize {
    conformance::CASES.len()
        + 2 * conformance::recovery::CASES.len()
        + known_answers::CASES.len()
        + pkcs11::CASES.len()
        + 2
}

fn trials(variant: &str, scheme: WrapScheme) -> Vec<Trial> {
    let mut trials = Vec::new();
    let tokens = std::cell::Cell::new(0);
    let token = || {
        tokens.set(tokens.get() + 1);
        TestToken::initialise(&format!("test {}", tokens.get()))
    };
    let first = token();
    trials.push(Trial::test(
        format!("{variant}::is_what_the_token_wraps_by"),
        move || {
            assert_eq!(first.open().scheme(), scheme);
            Ok(())
        },
    ));
    let locked = token();
    trials.push(Trial::test(
        format!("{variant}::a_locked_pin_is_named"),
        move || {
            a_locked_pin_is_named(&locked);
            Ok(())
        },
    ));
    for (name, case) in conformance::CASES {
        let token = token();
        trials.push(Trial::test(
            format!("{variant}::conformance::{name}"),
            move || {
                case(&token.open());
                Ok(())
            },
        ));
    }
    for (name, case) in conformance::recovery::CASES {
        let (first, second) = (token(), token());
        trials.push(Trial::test(
            format!("{variant}::conformance::recovery::{name}"),
            move || {
                case(&first.open(), &second.open());
                Ok(())
            },
        ));
    }
    let known: &[Case] = match scheme {
        WrapScheme::Rfc3394 => known_answers::CASES,
        _ => &[],
    };
    // Kryoptic 1.5.4 may deadlock where one session logs out while others unwrap.
    let pkcs11 = pkcs11::CASES
        .iter()
        .filter(|(name, _)| *name != "pkcs11::many_threads_survive_logouts");
    for (name, case) in known.iter().chain(pkcs11) {
        let token = token();
        trials.push(Trial::test(format!("{variant}::{name}"), move || {
            case(&token);
            Ok(())
        }));
    }
    trials
}

fn a_locked_pin_is_named(token: &TestToken) {
    let session = token.raw_session();
    session.logout().unwrap();
    let wrong = AuthPin::from("wrong-horse-1".to_owned());
    let locked = |_| {
        let refused = session.login(UserType::User, Some(&wrong)).unwrap_err();
        matches!(refused, Error::Pkcs11(RvError::PinLocked, _))
    };
    assert!((0..30).any(locked));
    let error = Pkcs11Hsm::open(token.config()).unwrap_err();
    assert!(
        matches!(&error, HsmError::PinLocked { token: named } if *named == token.name()),
        "{error:?}"
    );
}
