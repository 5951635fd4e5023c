//! Random sequences of calls, made of the module and of SoftHSM: both answer the same, but where the standard leaves a choice.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::match_same_arms,
    unsafe_code,
    reason = "tests"
)]

mod sides;
mod support;

use std::cell::RefCell;
use std::process::Command;
use std::ptr::null_mut;

use cryptoki_sys::*;
use proptest::prelude::TestCaseError;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use sides::{Call, Side, What, calls};
use strongroom_pkcs11::ffi::table;

const SOFTHSM: &str = "/usr/lib/softhsm/libsofthsm2.so";

/// Where SoftHSM answers otherwise, and why the module does not follow it. `logged_out` says whether somebody has: then operations may be over
/// by the standard, and are here.
fn differs_with_reason(call: &Call, ours: CK_RV, theirs: CK_RV, logged_out: bool) -> bool {
    match (ours, theirs) {
        // A key that is none is the key's fault by the standard; SoftHSM blames the object.
        (CKR_KEY_HANDLE_INVALID, CKR_OBJECT_HANDLE_INVALID) => true,
        // What is no key at all is not one by the standard; SoftHSM says that it may not.
        (CKR_KEY_HANDLE_INVALID, CKR_KEY_FUNCTION_NOT_PERMITTED) => true,
        // An object that is not for this session is no object (the standard); SoftHSM says why.
        (CKR_OBJECT_HANDLE_INVALID | CKR_KEY_HANDLE_INVALID, CKR_USER_NOT_LOGGED_IN) => true,
        // One operation at a time, of whatever kind, is SoftHSM's own limit.
        (_, CKR_OPERATION_ACTIVE) => true,
        // Nobody signed in: the standard says so; SoftHSM lets it pass.
        (CKR_USER_NOT_LOGGED_IN, CKR_OK) => matches!(call, Call::Logout(_)),
        // An elliptic-curve key does not encrypt: here its attribute says so, in SoftHSM the mechanism finds out.
        (CKR_KEY_FUNCTION_NOT_PERMITTED, CKR_KEY_TYPE_INCONSISTENT | CKR_MECHANISM_INVALID) => true,
        // SoftHSM begins ECDSA with any key.
        (CKR_KEY_TYPE_INCONSISTENT, CKR_OK) => matches!(call, Call::Init { .. }),
        // What came in parts is not ended by C_Digest and its like, by the standard; in SoftHSM some of it is.
        (CKR_OPERATION_NOT_INITIALIZED, CKR_OK | CKR_BUFFER_TOO_SMALL)
            if matches!(call, Call::Whole { .. }) =>
        {
            true
        }
        // Raw ECDSA is served in parts here.
        (CKR_OK | CKR_SIGNATURE_LEN_RANGE, CKR_OPERATION_NOT_INITIALIZED) => {
            matches!(call, Call::Update { .. } | Call::Final { .. })
        }
        // A question for the length of decrypted data is answered with the most that there may be, and the data not looked at.
        (CKR_OK, CKR_OK | CKR_ENCRYPTED_DATA_LEN_RANGE) => {
            matches!(
                call,
                Call::Whole {
                    what: What::Decrypt,
                    room: None,
                    ..
                } | Call::Final {
                    what: What::Decrypt,
                    room: None,
                    ..
                }
            )
        }
        // To set what is so already changes nothing.
        (CKR_OK, CKR_ATTRIBUTE_READ_ONLY) => matches!(call, Call::Set { .. }),
        // Nothing cannot be decrypted with padding; SoftHSM wants a buffer of less than nothing for it.
        (CKR_ENCRYPTED_DATA_LEN_RANGE, CKR_BUFFER_TOO_SMALL) => matches!(call, Call::Final { .. }),
        (CKR_OPERATION_NOT_INITIALIZED, _) => logged_out,
        _ => false,
    }
}

/// SoftHSM with a token of its own, in its own folder.
fn softhsm(folder: &std::path::Path) -> Option<Side> {
    let configuration = folder.join("softhsm2.conf");
    let tokens = folder.join("tokens");
    std::fs::create_dir(&tokens).unwrap();
    std::fs::write(
        &configuration,
        format!(
            "directories.tokendir = {}\nlog.level = ERROR\n",
            tokens.display()
        ),
    )
    .unwrap();
    let made = Command::new("softhsm2-util")
        .env("SOFTHSM2_CONF", &configuration)
        .args([
            "--init-token",
            "--free",
            "--label",
            "model",
            "--pin",
            "1234",
            "--so-pin",
            "1234",
        ])
        .output()
        .ok()?;
    assert!(made.status.success());
    // SAFETY: this is the only test of the program, and no other thread reads the environment meanwhile.
    unsafe { std::env::set_var("SOFTHSM2_CONF", &configuration) };
    // SAFETY: SoftHSM, and calls as the standard has them.
    unsafe {
        let library = Box::leak(Box::new(libloading::Library::new(SOFTHSM).ok()?));
        let get: libloading::Symbol<'_, unsafe extern "C" fn(*mut *mut CK_FUNCTION_LIST) -> CK_RV> =
            library.get(b"C_GetFunctionList").unwrap();
        let mut list = null_mut();
        assert_eq!(get(&raw mut list), CKR_OK);
        let list = &*list;
        assert_eq!(list.C_Initialize.unwrap()(null_mut()), CKR_OK);
        let (mut slots, mut count) = ([0; 4], 4);
        assert_eq!(
            list.C_GetSlotList.unwrap()(CK_TRUE, slots.as_mut_ptr(), &raw mut count),
            CKR_OK
        );
        Some(Side {
            list,
            slot: slots[0],
            sessions: Vec::new(),
            objects: Vec::new(),
            outcome: Vec::new(),
        })
    }
}

#[test]
fn the_module_answers_as_softhsm_does() {
    let folder = tempfile::tempdir().unwrap();
    let theirs = RefCell::new(softhsm(folder.path()).unwrap());
    let running = support::run();
    running.token.use_pin(b"1234");
    let ours = RefCell::new(Side {
        list: &table::LIST_2_40,
        slot: 0,
        sessions: Vec::new(),
        objects: Vec::new(),
        outcome: Vec::new(),
    });
    // The same sequences each time, but where more are asked for.
    let asked = std::env::var("STRONGROOM_MODEL_CASES");
    let cases = asked.as_ref().map_or(600, |cases| cases.parse().unwrap());
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 400,
        ..Config::default()
    };
    let mut runner = match asked {
        Ok(_) => TestRunner::new(config),
        Err(_) => {
            TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
        }
    };
    runner
        .run(&calls(), |calls| {
            let (mut ours, mut theirs) = (ours.borrow_mut(), theirs.borrow_mut());
            ours.clear();
            theirs.clear();
            let mut logged_out = false;
            for (at, call) in calls.iter().enumerate() {
                logged_out |= matches!(call, Call::Logout(_));
                let (one, other) = (ours.make(call), theirs.make(call));
                // SoftHSM answers a question for the length of nothing with the length of less than nothing.
                if one.0 == other.0 && other.1 == CK_ULONG::MAX {
                    continue;
                }
                if one != other && !differs_with_reason(call, one.0, other.0, logged_out) {
                    let [one_name, other_name] =
                        [one, other].map(|(rv, _)| strongroom_pkcs11::error::name(rv));
                    return Err(TestCaseError::fail(format!(
                        "call {at}, {call:?}: {one_name} {} here, {other_name} {} of SoftHSM",
                        one.1, other.1
                    )));
                }
                // What one made or ended and the other did not would not compare any more.
                let apart = [CKR_OK, CKR_OPERATION_NOT_INITIALIZED, CKR_BUFFER_TOO_SMALL];
                if one.0 != other.0 && (apart.contains(&one.0) || apart.contains(&other.0)) {
                    return Ok(());
                }
            }
            Ok(())
        })
        .unwrap();
}
