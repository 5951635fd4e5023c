//! What needs a process and a `SoftHSM` of its own: initialising tokens, lost sessions, a token that lacks a mechanism.
//! Each scenario runs in a child of this binary.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

#[path = "../support/mod.rs"]
mod support;

use std::{process::ExitCode, thread};

use cryptoki::{session::UserType, types::AuthPin};
use libtest_mimic::{Arguments, Failed, Trial};
use strongroom_hsm::{
    Aes256Key, Hsm, HsmError, MasterKekId,
    pkcs11::{Pkcs11Hsm, initialise_token},
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
        let scenario = SCENARIOS.iter().find(|scenario| scenario.name == role);
        (scenario.unwrap().run)();
        return ExitCode::SUCCESS;
    }
    let trials = SCENARIOS
        .iter()
        .map(|scenario| Trial::test(scenario.name, || in_child(scenario)))
        .collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn in_child(scenario: &Scenario) -> Result<(), Failed> {
    // SoftHSM 2.6.1 ignores a list of what is disabled; one of what is enabled it heeds.
    let configuration = scenario.without.map(|without| {
        let others = MECHANISMS.into_iter().filter(|name| *name != without);
        format!(
            "slots.mechanisms = {}",
            others.collect::<Vec<_>>().join(",")
        )
    });
    let configuration = configuration.unwrap_or_default();
    let (code, output) = support::run_again(scenario.name, &[], &configuration, true);
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
    let error = Pkcs11Hsm::open(TestToken::initialise("strongroom").config()).unwrap_err();
    assert!(
        matches!(&error, HsmError::MechanismMissing { mechanism, .. } if mechanism == missing),
        "{error:?}"
    );
    assert!(error.to_string().contains(missing));
}
