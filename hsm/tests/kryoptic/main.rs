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
mod faults;
#[path = "../softhsm/known_answers.rs"]
mod known_answers;
#[path = "../softhsm/pkcs11.rs"]
mod pkcs11;
#[path = "../softhsm/recovery.rs"]
mod recovery;
#[path = "../support/mod.rs"]
mod support;

use std::{
    env,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use libtest_mimic::{Arguments, Trial};
use strongroom_hsm::WrapScheme;
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
        if let Some((_, case)) = conformance::faults::CASES
            .iter()
            .find(|(name, _)| *name == role)
        {
            case(&faults::Kryoptic::new());
            return ExitCode::SUCCESS;
        }
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
    let faults = conformance::faults::CASES.iter().map(|(name, _)| {
        let module = module.clone();
        Trial::test(format!("conformance::faults::{name}"), move || {
            let folder = tempfile::tempdir().unwrap();
            let configuration = configure(folder.path(), &[]);
            let environment = [
                ("KRYOPTIC_CONF", configuration.as_path()),
                (support::MODULE, module.as_path()),
                (faults::FOLDER, folder.path()),
            ];
            match support::run_in(name, &[], &environment, true) {
                (0, _) => Ok(()),
                (code, output) => Err(format!("exit code {code}\n{output}").into()),
            }
        })
    });
    let conclusion = libtest_mimic::run(&Arguments::from_args(), faults.collect());
    if conclusion.has_failed() {
        return conclusion.exit_code();
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
        + conformance::named::CASES.len()
        + 2 * conformance::recovery::CASES.len()
        + known_answers::CASES.len()
        + pkcs11::CASES.len()
        + recovery::CASES.len()
        + 1
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
            let hsm = first.open();
            assert_eq!(hsm.scheme(), scheme);
            let report = hsm.report(Duration::from_millis(1)).unwrap();
            assert_eq!(report.recovery, None);
            Ok(())
        },
    ));
    for (name, case) in conformance::CASES.iter().chain(conformance::named::CASES) {
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
    for (name, case) in known.iter().chain(pkcs11).chain(recovery::CASES) {
        let token = token();
        trials.push(Trial::test(format!("{variant}::{name}"), move || {
            case(&token);
            Ok(())
        }));
    }
    trials
}
