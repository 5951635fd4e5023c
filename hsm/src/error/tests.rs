//! What every error says, and that the README says it, too.

use super::*;

const NAME: &str =
    "the token \"strongroom\" (slot 0x1f2e3d, module /usr/lib/softhsm/libsofthsm2.so)";

/// One of each.
#[expect(clippy::too_many_lines, reason = "one of each")]
fn all() -> Vec<HsmError> {
    let token = || NAME.to_owned();
    let module = || PathBuf::from("/usr/lib/softhsm/libsofthsm2.so");
    let text = |text: &str| text.to_owned();
    let (label, found) = (|| text("strongroom/default/master-kek/v1"), || text("none"));
    let (function, code) = (|| text("C_WrapKey"), || text("CKR_DEVICE_ERROR"));
    let waited = Duration::from_secs(5);
    vec![
        HsmError::ModuleNotFound {
            module: module(),
            reason: text("no such file"),
        },
        HsmError::TokenNotFound {
            module: module(),
            token: text("strongroom"),
            found: found(),
        },
        HsmError::TokenAmbiguous {
            module: module(),
            token: text("strongroom"),
            found: found(),
        },
        HsmError::TokenExists {
            module: module(),
            token: text("strongroom"),
        },
        HsmError::NoUninitialisedToken { module: module() },
        HsmError::PinFile {
            path: "/etc/pin".into(),
            reason: text("it is empty"),
        },
        HsmError::PinSource {
            pin_source: text("environment variable PIN"),
            reason: text("it is not set"),
        },
        HsmError::PinIncorrect { token: token() },
        HsmError::PinLocked { token: token() },
        HsmError::PinUnusable {
            token: token(),
            code: text("CKR_PIN_LEN_RANGE"),
        },
        HsmError::MechanismMissing {
            token: token(),
            mechanism: text("CKM_EDDSA"),
        },
        HsmError::KeyNotFound {
            token: token(),
            label: label(),
        },
        HsmError::KeyExists {
            token: token(),
            label: label(),
        },
        HsmError::KeyAmbiguous {
            token: token(),
            label: label(),
        },
        HsmError::KeyUnprotected {
            token: token(),
            label: label(),
            reason: "it is extractable (CKA_EXTRACTABLE)",
        },
        HsmError::WrappedKeyRejected {
            token: token(),
            label: label(),
            code: code(),
        },
        HsmError::RecoveryBlobRejected {
            token: token(),
            label: label(),
            version: 3,
            code: code(),
        },
        HsmError::Malformed {
            what: "PIN",
            reason: "it is empty",
        },
        HsmError::WrongAnswer {
            token: token(),
            function: "C_Sign",
            reason: "it has no 64 bytes",
        },
        HsmError::Busy {
            token: token(),
            max_sessions: 8,
            waited,
        },
        HsmError::Unavailable {
            token: token(),
            function: function(),
            code: code(),
        },
        HsmError::TimedOut {
            token: token(),
            function: function(),
            waited,
        },
        HsmError::Hanging {
            token: token(),
            abandoned: 12,
        },
        HsmError::OutOfService { reasons: token() },
        HsmError::Refused {
            token: token(),
            function: function(),
            code: code(),
        },
        HsmError::SchemeUnknown {
            token: token(),
            scheme: WrapScheme::AesGcm,
        },
        HsmError::NotOffered {
            token: token(),
            what: text("RSA-OAEP decryption with SHA-256"),
        },
        HsmError::SingleCopy {
            count: 2,
            names: format!("{NAME}; the token \"replica\""),
        },
        HsmError::InputRejected {
            token: token(),
            label: label(),
            code: code(),
        },
        HsmError::MessageTooLong {
            token: token(),
            len: 2000,
            max: 1900,
        },
        HsmError::AuthKeyRefused {
            token: token(),
            auth_key: 2,
        },
        HsmError::FactoryDefault { token: token() },
        HsmError::NoRandomness {
            reason: text("ENOSYS"),
        },
    ]
}

/// Whether the message must name the HSM. The compiler asks for a further error here, and the tests then ask for it in [`all`].
fn names_the_hsm(error: &HsmError) -> bool {
    match error {
        HsmError::ModuleNotFound { .. }
        | HsmError::TokenNotFound { .. }
        | HsmError::TokenAmbiguous { .. }
        | HsmError::TokenExists { .. }
        | HsmError::NoUninitialisedToken { .. }
        | HsmError::PinFile { .. }
        | HsmError::PinSource { .. }
        | HsmError::Malformed { .. }
        | HsmError::NoRandomness { .. } => false,
        HsmError::PinIncorrect { .. }
        | HsmError::PinLocked { .. }
        | HsmError::PinUnusable { .. }
        | HsmError::MechanismMissing { .. }
        | HsmError::KeyNotFound { .. }
        | HsmError::KeyExists { .. }
        | HsmError::KeyAmbiguous { .. }
        | HsmError::KeyUnprotected { .. }
        | HsmError::WrappedKeyRejected { .. }
        | HsmError::RecoveryBlobRejected { .. }
        | HsmError::WrongAnswer { .. }
        | HsmError::Busy { .. }
        | HsmError::Unavailable { .. }
        | HsmError::TimedOut { .. }
        | HsmError::Hanging { .. }
        | HsmError::OutOfService { .. }
        | HsmError::Refused { .. }
        | HsmError::SchemeUnknown { .. }
        | HsmError::NotOffered { .. }
        | HsmError::SingleCopy { .. }
        | HsmError::InputRejected { .. }
        | HsmError::MessageTooLong { .. }
        | HsmError::AuthKeyRefused { .. }
        | HsmError::FactoryDefault { .. } => true,
    }
}

#[test]
fn every_message_is_one_sentence_that_names_the_hsm_and_the_remedy() {
    for error in all() {
        let sentence = error.to_string();
        assert_eq!(names_the_hsm(&error), sentence.contains(NAME), "{sentence}");
        assert!(
            !sentence.contains('\n') && !sentence.ends_with('.'),
            "{sentence}"
        );
        // What is wrong, a colon, what to do.
        let (_, remedy) = sentence.split_once(": ").unwrap_or_default();
        assert!(!remedy.is_empty(), "{sentence}");
        assert!(!sentence.contains("the the"), "{sentence}");
    }
}

#[test]
fn every_error_is_in_the_readme_beside_what_to_do() {
    let readme = include_str!("../../README.md");
    for error in all() {
        let shown = format!("{error:?}");
        let variant = shown.split(' ').next().unwrap_or_default();
        let row = readme
            .lines()
            .find(|line| line.starts_with(&format!("| `{variant}` |")));
        let remedy = row.and_then(|row| row.split('|').nth(3));
        assert!(remedy.is_some_and(|remedy| remedy.len() > 10), "{variant}");
    }
}
