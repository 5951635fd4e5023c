//! Everything that can go wrong with an HSM.

use std::{path::PathBuf, time::Duration};

use crate::WrapScheme;

/// Why an HSM did not do what it was asked.
///
/// Each message is one sentence for an operator, which names the HSM, the key that it concerns, the PKCS#11 return code where there is one, and
/// what to do. `README.md` lists them all. No message holds a secret.
///
/// The field `token` is the HSM's full name, as it stands in a sentence: `the token "strongroom" (slot 0x1f2e3d, module
/// /usr/lib/softhsm/libsofthsm2.so)`, `the YubiHSM 2 at http://127.0.0.1:12345`, or what the supervision was told to call it. The slot is in it
/// as soon as the token was found once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HsmError {
    /// The PKCS#11 module is not there, or is not a PKCS#11 module.
    #[error(
        "the PKCS#11 module {} cannot be loaded ({reason}): install the HSM's client software or correct the module's path",
        module.display()
    )]
    ModuleNotFound {
        /// The path that was configured.
        module: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// No token behind the module has the configured label.
    #[error(
        "the PKCS#11 module {} shows no token \"{token}\" (it shows: {found}): correct the token's label or URI, or check the HSM's connection and the module's own configuration",
        module.display()
    )]
    TokenNotFound {
        /// The module that was asked.
        module: PathBuf,
        /// The label or URI that was looked for.
        token: String,
        /// The tokens that it does show, with their serial numbers and slots, for the operator to compare.
        found: String,
    },
    /// Several tokens have the configured label, so that it is not known which one is meant.
    #[error(
        "the PKCS#11 module {} shows more than one token \"{token}\" ({found}): give each its own label, or name one by its serial number",
        module.display()
    )]
    TokenAmbiguous {
        /// The module that was asked.
        module: PathBuf,
        /// The label or URI that fits several tokens.
        token: String,
        /// Those tokens, with their serial numbers and slots.
        found: String,
    },
    /// A token was to be initialised under a label that is taken.
    #[error(
        "the PKCS#11 module {} already shows a token labelled \"{token}\": use that one, or choose another label",
        module.display()
    )]
    TokenExists {
        /// The module that was asked.
        module: PathBuf,
        /// The label that is taken.
        token: String,
    },
    /// A token was to be initialised, but every slot has an initialised one.
    #[error(
        "the PKCS#11 module {} shows no uninitialised token: create a partition or a slot with the HSM's own tools",
        module.display()
    )]
    NoUninitialisedToken {
        /// The module that was asked.
        module: PathBuf,
    },
    /// The file that holds the PIN cannot be used.
    #[error(
        "the PIN file {} cannot be used ({reason}): it holds the PIN alone, belongs to the service's account and has mode 600",
        path.display()
    )]
    PinFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The PIN cannot be read from where it should come from.
    #[error(
        "the PIN cannot be read from the {pin_source} ({reason}): set it for the service, or name another source of the PIN"
    )]
    PinSource {
        /// Where it should come from.
        pin_source: String,
        /// What is wrong.
        reason: String,
    },
    /// The token refused the PIN (`CKR_PIN_INCORRECT`). Nothing tries it again: a token locks itself after a few wrong PINs.
    #[error(
        "{token} refused the PIN (C_Login answered CKR_PIN_INCORRECT): correct the PIN where it is configured, then restart or unseal; it is not tried again, because the token locks after a few wrong PINs"
    )]
    PinIncorrect {
        /// The HSM's name.
        token: String,
    },
    /// The token locked its PIN after too many wrong ones (`CKR_PIN_LOCKED`).
    #[error(
        "the PIN of {token} is locked (CKR_PIN_LOCKED): the security officer sets a new one with the HSM's own tools"
    )]
    PinLocked {
        /// The HSM's name.
        token: String,
    },
    /// The token wants another PIN: one of another length, a stronger one, a changed one, or it has none yet.
    #[error(
        "{token} does not accept the PIN ({code}): set a user PIN that meets its rules with the HSM's own tools"
    )]
    PinUnusable {
        /// The HSM's name.
        token: String,
        /// The PKCS#11 return code.
        code: String,
    },
    /// The HSM lacks a mechanism that Strongroom needs.
    #[error(
        "{token} lacks the mechanism {mechanism}: enable it in the HSM's policy, update its firmware, or use another HSM"
    )]
    MechanismMissing {
        /// The HSM's name.
        token: String,
        /// The PKCS#11 mechanism.
        mechanism: String,
    },
    /// The HSM holds no key under the label.
    #[error(
        "{token} holds no key labelled \"{label}\": check that it is the right HSM; if it is, recover the key with its custodians or from the HSM's own backup"
    )]
    KeyNotFound {
        /// The HSM's name.
        token: String,
        /// The key's label.
        label: String,
    },
    /// A key was to be generated under a label that is taken.
    #[error(
        "{token} already holds a key labelled \"{label}\", which is not replaced: use that one, or remove it with the HSM's own tools once it is certain that nothing is wrapped or signed by it"
    )]
    KeyExists {
        /// The HSM's name.
        token: String,
        /// The key's label.
        label: String,
    },
    /// Several keys have the label, so that it is not known which one is meant.
    #[error(
        "{token} holds more than one key labelled \"{label}\": find out where the others come from and rename or remove them with the HSM's own tools"
    )]
    KeyAmbiguous {
        /// The HSM's name.
        token: String,
        /// The key's label.
        label: String,
    },
    /// The key in the HSM could leave it, or serve another purpose, so it is not used.
    #[error(
        "the key \"{label}\" of {token} is not used because {reason}: replace it by one that the HSM or a ceremony made"
    )]
    KeyUnprotected {
        /// The HSM's name.
        token: String,
        /// The key's label.
        label: String,
        /// Which protection it lacks.
        reason: &'static str,
    },
    /// The integrity check of a wrapped key failed.
    #[error(
        "the master KEK \"{label}\" of {token} did not wrap this key, or the wrapped key was altered ({code}): check that the HSM is the one that wrapped it, and restore the row from a backup"
    )]
    WrappedKeyRejected {
        /// The HSM's name.
        token: String,
        /// The label of the master KEK that the wrapped key names.
        label: String,
        /// What the HSM answered, such as `C_UnwrapKey answered CKR_WRAPPED_KEY_INVALID`.
        code: String,
    },
    /// The integrity check of a recovery blob failed.
    #[error(
        "the recovery blob does not give {token} the master KEK \"{label}\" ({code}): compare the version on the shares, which must be of recovery KEK version {version}, and take the blob from another backup"
    )]
    RecoveryBlobRejected {
        /// The HSM's name.
        token: String,
        /// The label of the master KEK that was to be recovered.
        label: String,
        /// The version of the recovery KEK that the blob names.
        version: u32,
        /// What the HSM answered.
        code: String,
    },
    /// A value does not have the form that it must have, before or after the HSM saw it.
    #[error("the {what} is malformed: {reason}")]
    Malformed {
        /// What it is.
        what: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The HSM gave what it must not give: its maker's mistake.
    #[error(
        "{token} answered {function} wrongly ({reason}): update the HSM's firmware and client software, and tell its maker"
    )]
    WrongAnswer {
        /// The HSM's name.
        token: String,
        /// The PKCS#11 function or the device's command.
        function: &'static str,
        /// What is wrong with the answer.
        reason: &'static str,
    },
    /// All sessions stayed in use for as long as a caller may wait.
    #[error(
        "all {max_sessions} sessions with {token} stayed in use for {} ms: allow more sessions if the HSM does, or lower the load",
        waited.as_millis()
    )]
    Busy {
        /// The HSM's name.
        token: String,
        /// How many sessions there may be.
        max_sessions: usize,
        /// How long the caller waited.
        waited: Duration,
    },
    /// The HSM is out of reach or failed. It is safe to try again later.
    #[error(
        "{token} does not work ({function} answered {code}): check the HSM, its connection and its own log; sessions are opened again by themselves"
    )]
    Unavailable {
        /// The HSM's name, or the module's where no token is known yet.
        token: String,
        /// The PKCS#11 function.
        function: String,
        /// The PKCS#11 return code.
        code: String,
    },
    /// The HSM did not answer in time. The call was abandoned; whether the HSM carries it out is not known.
    #[error(
        "{token} did not answer {function} within {} ms: check the HSM and its connection, and set time-outs in its client software; the appliance connects again by itself",
        waited.as_millis()
    )]
    TimedOut {
        /// The HSM's name.
        token: String,
        /// What it was asked.
        function: String,
        /// How long it had.
        waited: Duration,
    },
    /// So many calls never came back that no more are made.
    #[error(
        "{abandoned} calls to {token} have not come back, so no more are made: check the HSM; if it works again and this stays, its client software holds on to them: restart the appliance"
    )]
    Hanging {
        /// The HSM's name.
        token: String,
        /// How many calls have not come back.
        abandoned: usize,
    },
    /// No HSM is usable at this moment.
    #[error(
        "no HSM is usable ({reasons}): try again in a few seconds; the appliance connects again by itself"
    )]
    OutOfService {
        /// What is the matter with each.
        reasons: String,
    },
    /// The HSM works, but refused the call. Trying again does not help.
    #[error(
        "{token} refused {function} ({code}): compare the HSM's policy with what README.md says Strongroom needs"
    )]
    Refused {
        /// The HSM's name.
        token: String,
        /// The PKCS#11 function.
        function: String,
        /// The PKCS#11 return code.
        code: String,
    },
    /// The key was wrapped by a scheme that this HSM does not have: another HSM wrapped it.
    #[error(
        "the wrapped key was made by {scheme}, which {token} does not offer: check that the HSM is the one that wrapped it, or enable the mechanism"
    )]
    SchemeUnknown {
        /// The HSM's name.
        token: String,
        /// What wrapped the key.
        scheme: WrapScheme,
    },
    /// The HSM does not keep such named keys, or does not do this with them.
    #[error(
        "{token} does not offer {what}: use the protection level software, another algorithm or mechanism, or another HSM"
    )]
    NotOffered {
        /// The HSM's name.
        token: String,
        /// What was asked for.
        what: String,
    },
    /// A named key was to be generated in one HSM of several that are to hold the same keys.
    #[error(
        "a key that an HSM generates exists in that HSM alone, and here {count} HSMs are to hold the same keys ({names}): use the protection level software, or a domain whose HSM has no replica"
    )]
    SingleCopy {
        /// How many HSMs there are.
        count: usize,
        /// Their names.
        names: String,
    },
    /// The HSM did not decrypt what it was given, or could not agree on a secret with it: it was altered, or is not for this key.
    #[error(
        "{token} did not accept what it was to process with the key \"{label}\" ({code}): it was altered, or was made for another key"
    )]
    InputRejected {
        /// The HSM's name.
        token: String,
        /// The key's label.
        label: String,
        /// What the HSM answered.
        code: String,
    },
    /// The HSM takes a message in one piece, and this one is too long.
    #[error(
        "{token} signs messages of at most {max} bytes, and this one has {len}: use an HSM that signs longer ones"
    )]
    MessageTooLong {
        /// The HSM's name.
        token: String,
        /// The message's length in bytes.
        len: usize,
        /// What the HSM takes.
        max: usize,
    },
    /// A YubiHSM 2 refused the authentication key or its password.
    #[error(
        "{token} refused authentication key {auth_key} (authentication failed): correct the key's number and password, or provision the key in a ceremony"
    )]
    AuthKeyRefused {
        /// The HSM's name.
        token: String,
        /// The number of the authentication key.
        auth_key: u16,
    },
    /// A YubiHSM 2 still has the factory's authentication key, whose password everybody knows.
    #[error(
        "{token} still has the factory's authentication key (number 1): hold the ceremony, which gives the device keys of its own and removes that one"
    )]
    FactoryDefault {
        /// The HSM's name.
        token: String,
    },
    /// The operating system gave no random bytes.
    #[error(
        "the operating system gave no random bytes ({reason}): restart the machine, and replace it if this stays"
    )]
    NoRandomness {
        /// What the system said.
        reason: String,
    },
}

impl HsmError {
    /// Whether the same call may succeed a few seconds later without anybody doing anything: a server answers 503 with Retry-After.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Busy { .. }
                | Self::Unavailable { .. }
                | Self::TimedOut { .. }
                | Self::Hanging { .. }
                | Self::OutOfService { .. }
        )
    }
}

#[cfg(test)]
mod tests;
