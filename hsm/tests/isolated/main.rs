//! What needs a process and a `SoftHSM` of its own: initialising tokens, lost sessions, a token that lacks a mechanism.
//! Each scenario runs in a child of this binary.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

#[path = "../conformance/mod.rs"]
mod conformance;
#[path = "../support/faults.rs"]
mod faults;
#[path = "../support/softhsm.rs"]
mod softhsm_child;
#[path = "../support/mod.rs"]
mod support;

use std::{
    fs::Permissions, os::unix::fs::PermissionsExt as _, path::PathBuf, process::ExitCode, thread,
    time::Duration,
};

use aes_kw::KeyInit as _;
use cryptoki::{session::UserType, types::AuthPin};
use libtest_mimic::{Arguments, Failed, Trial};
use strongroom_hsm::{
    Aes256Key, Hsm, HsmError, MasterKekId, WrapScheme, WrappedKey,
    pkcs11::{PinSource, Pkcs11Config, Pkcs11Hsm, initialise_token},
};
use support::{TestToken, module, pin};

struct Scenario {
    name: &'static str,
    /// The mechanism that its `SoftHSM` has not.
    without: Option<&'static str>,
    run: fn(),
}

/// The mechanisms that the backend needs.
const MECHANISMS: [&str; 4] = [
    "CKM_AES_KEY_GEN",
    "CKM_AES_KEY_WRAP",
    "CKM_EC_EDWARDS_KEY_PAIR_GEN",
    "CKM_EDDSA",
];

const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "a_token_is_initialised_once",
        without: None,
        run: a_token_is_initialised_once,
    },
    Scenario {
        name: "an_interrupted_initialisation_goes_on",
        without: None,
        run: an_interrupted_initialisation_goes_on,
    },
    Scenario {
        name: "tokens_are_initialised_by_many_threads",
        without: None,
        run: tokens_are_initialised_by_many_threads,
    },
    Scenario {
        name: "lost_sessions_are_opened_again",
        without: None,
        run: lost_sessions_are_opened_again,
    },
    Scenario {
        name: "another_mechanism_wraps",
        without: Some("CKM_AES_KEY_WRAP"),
        run: another_mechanism_wraps,
    },
    Scenario {
        name: "a_token_is_named_by_its_serial",
        without: None,
        run: a_token_is_named_by_its_serial,
    },
    Scenario {
        name: "a_token_is_described_and_measured",
        without: None,
        run: a_token_is_described_and_measured,
    },
    Scenario {
        name: "pins_come_from_elsewhere",
        without: None,
        run: pins_come_from_elsewhere,
    },
    Scenario {
        name: "a_missing_wrap_mechanism_is_named",
        without: Some("CKM_AES_KEY_WRAP"),
        run: || a_missing_mechanism_is_named("CKM_AES_KEY_WRAP"),
    },
    Scenario {
        name: "a_missing_signature_mechanism_is_named",
        without: Some("CKM_EDDSA"),
        run: || a_missing_mechanism_is_named("CKM_EDDSA"),
    },
    Scenario {
        name: "a_missing_generation_mechanism_is_named",
        without: Some("CKM_AES_KEY_GEN"),
        run: || a_missing_mechanism_is_named("CKM_AES_KEY_GEN"),
    },
];

fn main() -> ExitCode {
    if let Some(role) = support::role() {
        if let Some((_, case)) = conformance::faults::CASES
            .iter()
            .find(|(name, _)| *name == role)
        {
            case(&faults::SoftHsm::new());
            return ExitCode::SUCCESS;
        }
        let scenario = SCENARIOS.iter().find(|scenario| scenario.name == role);
        (scenario.unwrap().run)();
        return ExitCode::SUCCESS;
    }
    let trials = SCENARIOS
        .iter()
        .map(|scenario| Trial::test(scenario.name, || in_child(scenario)));
    let faults = conformance::faults::CASES.iter().map(|(name, _)| {
        Trial::test(
            format!("conformance::faults::{name}"),
            || match softhsm_child::run_again(name, &[], "", true) {
                (0, _) => Ok(()),
                (code, output) => Err(format!("exit code {code}\n{output}").into()),
            },
        )
    });
    let trials = trials.chain(faults).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn in_child(scenario: &Scenario) -> Result<(), Failed> {
    // SoftHSM 2.6.1 ignores a list of what is disabled; one of what is enabled it heeds.
    let configuration = scenario.without.map(|without| {
        let mut others: Vec<_> = MECHANISMS
            .into_iter()
            .filter(|name| *name != without)
            .collect();
        if scenario.name == "another_mechanism_wraps" {
            others.push("CKM_AES_KEY_WRAP_PAD");
        }
        format!("slots.mechanisms = {}", others.join(","))
    });
    let configuration = configuration.unwrap_or_default();
    let (code, output) = softhsm_child::run_again(scenario.name, &[], &configuration, true);
    if code == 0 {
        return Ok(());
    }
    Err(format!("exit code {code}\n{output}").into())
}

fn kek() -> MasterKekId {
    MasterKekId {
        domain: "default".to_owned(),
        version: 1,
    }
}

fn a_token_is_initialised_once() {
    let token = TestToken::initialise("strongroom");
    token.open().generate_master_kek(&kek()).unwrap();
    let again = initialise_token(&module(), "strongroom", &pin("another1"), &pin("another2"));
    let error = again.unwrap_err();
    assert!(
        matches!(&error, HsmError::TokenExists { token, .. } if token == "strongroom"),
        "{error:?}"
    );
    // Its keys and its PIN are what they were.
    assert_eq!(token.open().master_kek_versions("default").unwrap(), [1]);
    for label in ["", " x", "x ", "a\nb", &"x".repeat(33)] {
        let error = initialise_token(&module(), label, &pin("12345678"), &pin("12345678"));
        assert!(
            matches!(error, Err(HsmError::Malformed { .. })),
            "{label:?}"
        );
    }
    let longest = "x".repeat(32);
    TestToken::initialise(&longest).open();
    // SoftHSM takes PINs of four bytes or more.
    let error = initialise_token(&module(), "short", &pin("1"), &pin("12345678")).unwrap_err();
    assert!(
        matches!(&error, HsmError::PinUnusable { code, .. } if code == "CKR_PIN_LEN_RANGE"),
        "{error:?}"
    );
}

fn an_interrupted_initialisation_goes_on() {
    let context = support::context();
    let slot = context.get_slots_with_token().unwrap()[0];
    let so_pin = AuthPin::from("so-pin-1234".to_owned());
    context.init_token(slot, &so_pin, "strongroom").unwrap();
    // No user PIN yet: the token is not usable.
    let token = TestToken {
        label: "strongroom".to_owned(),
    };
    let error = Pkcs11Hsm::open(token.config()).unwrap_err();
    assert!(
        matches!(&error, HsmError::PinUnusable { code, .. } if code == "CKR_USER_PIN_NOT_INITIALIZED"),
        "{error:?}"
    );
    // Only who knows the security officer's PIN goes on.
    let error = initialise_token(&module(), "strongroom", &pin("12345678"), &pin("wrong-so"));
    assert!(
        matches!(error, Err(HsmError::PinIncorrect { .. })),
        "{error:?}"
    );
    let token = TestToken::initialise("strongroom");
    token.open().generate_master_kek(&kek()).unwrap();
    let session = token.raw_session();
    session.logout().unwrap();
    let so = session.login(UserType::So, Some(&so_pin));
    so.unwrap();
}

fn tokens_are_initialised_by_many_threads() {
    thread::scope(|scope| {
        for thread in 0..8 {
            scope.spawn(move || {
                let hsm = TestToken::initialise(&format!("token {thread}")).open();
                hsm.generate_master_kek(&kek()).unwrap();
                assert_eq!(hsm.master_kek_versions("default").unwrap(), [1]);
            });
        }
    });
}

fn lost_sessions_are_opened_again() {
    let token = TestToken::initialise("strongroom");
    let hsm = token.open();
    hsm.generate_master_kek(&kek()).unwrap();
    let public = hsm.generate_signing_key("checkpoint").unwrap();
    let key = Aes256Key::from_bytes([7; 32]);
    let wrapped = hsm.wrap(&kek(), &key).unwrap();
    // The module restarts, and with it every session, handle and login is lost, as when a network HSM restarts. Modules count
    // sessions anew then, so that only one thread may be at work.
    let calls: [&dyn Fn(); 6] = [
        &|| drop(hsm.wrap(&kek(), &key).unwrap()),
        &|| {
            let unwrapped = hsm.unwrap("default", &wrapped).unwrap();
            assert_eq!(unwrapped.as_bytes(), key.as_bytes());
        },
        &|| assert_eq!(hsm.sign("checkpoint", b"message").unwrap().len(), 64),
        &|| assert_eq!(hsm.signing_public_key("checkpoint").unwrap(), public),
        &|| hsm.fill_random(&mut [0; 32]).unwrap(),
        &|| assert_eq!(hsm.master_kek_versions("default").unwrap(), [1]),
    ];
    for call in calls {
        support::context().finalize().unwrap();
        let error = hsm.wrap(&kek(), &key).unwrap_err();
        assert!(
            matches!(&error, HsmError::Unavailable { code, .. } if code == "CKR_CRYPTOKI_NOT_INITIALIZED"),
            "{error:?}"
        );
        support::context();
        call();
        // The next restart meets a session in the pool, not an empty pool.
        hsm.wrap(&kek(), &key).unwrap();
        support::context().finalize().unwrap();
        support::context();
        call();
    }
    // And afterwards the pool serves many threads again.
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..50 {
                    hsm.unwrap("default", &wrapped).unwrap();
                }
            });
        }
    });
}

fn a_missing_mechanism_is_named(missing: &str) {
    let token = TestToken::initialise("strongroom");
    let error = Pkcs11Hsm::open(token.config()).unwrap_err();
    assert!(
        matches!(&error, HsmError::MechanismMissing { mechanism, token: named }
            if mechanism.starts_with(missing) && *named == token.name()),
        "{error:?}"
    );
    assert!(error.to_string().contains(missing));
}

/// Without AES-KW the token wraps by AES-KWP (RFC 5649), held against the `aes-kw` crate; the whole suite passes.
fn another_mechanism_wraps() {
    let tokens: Vec<_> = (0..=conformance::CASES.len())
        .map(|number| TestToken::initialise(&format!("test {number}")))
        .collect();
    for ((_, case), token) in conformance::CASES.iter().zip(&tokens) {
        case(&token.open());
    }
    for (number, (_, case)) in conformance::recovery::CASES.iter().enumerate() {
        let [first, second] =
            [1, 2].map(|which| TestToken::initialise(&format!("recovery {number} {which}")));
        case(&first.open(), &second.open());
    }
    let token = tokens.last().unwrap();
    let kek_value = [0x33; 32];
    support::put_master_kek(&token.raw_session(), &kek(), &kek_value);
    let hsm = token.open();
    assert_eq!(hsm.scheme(), WrapScheme::Rfc5649);
    let wrapped = hsm.wrap(&kek(), &Aes256Key::from_bytes([7; 32])).unwrap();
    assert_eq!(wrapped.to_bytes()[0], 3);
    let oracle = aes_kw::KwpAes256::new_from_slice(&kek_value).unwrap();
    let mut out = [0; 40];
    let opened = oracle.unwrap_key(&wrapped.blob, &mut out).unwrap();
    assert_eq!(opened, [7; 32]);
    // What the mechanism that it lacks made is refused by name.
    let by_another = WrappedKey {
        scheme: WrapScheme::Rfc3394,
        ..wrapped
    };
    let error = hsm.unwrap("default", &by_another).unwrap_err();
    assert!(matches!(error, HsmError::SchemeUnknown { .. }), "{error:?}");
}

fn a_token_is_named_by_its_serial() {
    let token = TestToken::initialise("strongroom one");
    TestToken::initialise("strongroom two");
    let serial = token.open().token_info().unwrap().serial;
    let open = |uri: &str| {
        Pkcs11Hsm::open(Pkcs11Config {
            token_label: uri.to_owned(),
            ..token.config()
        })
    };
    for uri in [
        format!("pkcs11:serial={serial}"),
        format!("pkcs11:token=strongroom%20one;serial={serial}?module-path=/elsewhere.so"),
        "pkcs11:manufacturer=SoftHSM%20project;token=strongroom%20one".to_owned(),
    ] {
        let info = open(&uri).unwrap().token_info().unwrap();
        assert_eq!(info.label, "strongroom one");
    }
    let error = open(&format!("pkcs11:token=strongroom%20two;serial={serial}")).unwrap_err();
    assert!(
        matches!(&error, HsmError::TokenNotFound { found, .. } if found.contains(&serial)),
        "{error:?}"
    );
    let error = open("pkcs11:manufacturer=SoftHSM%20project").unwrap_err();
    assert!(
        matches!(error, HsmError::TokenAmbiguous { .. }),
        "{error:?}"
    );
    let error = open("pkcs11:slot-id=1").unwrap_err();
    assert!(matches!(error, HsmError::Malformed { .. }), "{error:?}");
}

fn a_token_is_described_and_measured() {
    let token = TestToken::initialise("strongroom");
    let hsm = token.open();
    let report = hsm.report(Duration::from_millis(50)).unwrap();
    assert_eq!(report.module, module());
    assert_eq!(report.token, hsm.token_info().unwrap());
    assert_eq!(report.scheme, WrapScheme::Rfc3394);
    let used = |name| {
        let row = report.mechanisms.iter().find(|row| row.mechanism == name);
        row.map(|row| (row.offered, row.used)).unwrap()
    };
    for name in MECHANISMS {
        assert_eq!(used(name), (true, true), "{name}");
    }
    assert_eq!(used("CKM_AES_KEY_WRAP_PAD"), (true, false));
    assert_eq!(report.recovery, None);
    let measured = report.measured;
    for rate in [measured.wraps, measured.unwraps, measured.signs] {
        assert!(rate > 10.0 && rate.is_finite(), "{measured:?}");
    }
    // Its keys were the session's.
    assert_eq!(token.raw_session().find_objects(&[]).unwrap().len(), 0);
}

/// In a child, whose environment is its own.
fn pins_come_from_elsewhere() {
    let token = TestToken::initialise("strongroom");
    let folder = PathBuf::from(std::env::var_os("CREDENTIALS_DIRECTORY").unwrap());
    let file = folder.join("hsm-pin");
    std::fs::write(&file, support::PIN).unwrap();
    // As systemd has it: its access list for the service shows as a right of the group.
    std::fs::set_permissions(&file, Permissions::from_mode(0o440)).unwrap();
    for source in ["env:STRONGROOM_HSM_TEST_PIN", "credential:hsm-pin"] {
        let source: PinSource = source.parse().unwrap();
        let pin = source.read().unwrap().unwrap();
        Pkcs11Hsm::open(Pkcs11Config {
            pin,
            ..token.config()
        })
        .unwrap();
    }
    assert!(
        "prompt"
            .parse::<PinSource>()
            .unwrap()
            .read()
            .unwrap()
            .is_none()
    );
    for (source, named) in [
        ("env:STRONGROOM_NO_SUCH_PIN", "STRONGROOM_NO_SUCH_PIN"),
        ("credential:missing", "missing"),
        ("file:/nonexistent/pin", "/nonexistent/pin"),
    ] {
        let error = source.parse::<PinSource>().unwrap().read().unwrap_err();
        assert!(error.to_string().contains(named), "{error}");
    }
    for bad in [
        "",
        "file:",
        "env:",
        "credential:../x",
        "credential:a/b",
        "stdin",
    ] {
        assert!(bad.parse::<PinSource>().is_err(), "{bad}");
    }
}
