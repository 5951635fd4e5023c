//! States, rights, policies and acts in plain words.

mod log;
mod policy;

use strongroom_wire::account::{AccountKind, AccountState, Role};
use strongroom_wire::key::{Algorithm, KeyState, Origin, Protection, Releasable, Right};
use strongroom_wire::problem::{Code, Problem};
use strongroom_wire::session::SignInStrength;

pub(crate) use self::log::{act, note};
pub(crate) use self::policy::policy;
use crate::pieces::{Html, Tone, badge};

/// What a reader does about a problem, beside what the problem itself says.
pub(crate) fn advice(problem: &Problem) -> Option<&'static str> {
    Some(match problem.code {
        Code::NotPermitted => "Ask an administrator if you think it should.",
        Code::KeyNotFound => "Check the address, or look for the key in your list.",
        Code::GrantRevoked => "Ask the key's owner if you still need it.",
        Code::AccountNotFound => "Check the spelling.",
        Code::Sealed => "Nothing can be done here until then.",
        Code::HsmUnavailable | Code::Unavailable => "Try again in a moment.",
        Code::IntegrityFailure => {
            "Tell your security officer: somebody may have changed the database."
        }
        Code::TooManyItems => {
            "Nothing went out. A case officer can narrow the order's scope or raise its cap, which has to be approved anew."
        }
        Code::AuthorisationNotInEffect => "Nothing is disclosed while that is so.",
        Code::AuthorisationNotFound | Code::DisclosureNotFound | Code::ProposalNotFound => {
            "It may be over, or for others alone."
        }
        Code::TooManyAttempts => "Wrong tries of anybody at this name or this address count.",
        _ => return None,
    })
}

pub(crate) const fn key_state(state: KeyState) -> (Tone, &'static str) {
    match state {
        KeyState::PreActive => (Tone::Plain, "Pre-active"),
        KeyState::Active => (Tone::Good, "Active"),
        KeyState::Suspended => (Tone::Warn, "Suspended"),
        KeyState::Deactivated => (Tone::Plain, "Deactivated"),
        KeyState::Compromised => (Tone::Bad, "Compromised"),
        KeyState::Destroyed => (Tone::Bad, "Destroyed"),
    }
}

pub(crate) const fn key_state_means(state: KeyState) -> &'static str {
    match state {
        KeyState::PreActive => "Made, and not to be used yet.",
        KeyState::Active => "In use: it protects and opens.",
        KeyState::Suspended => {
            "Out of use for a time: nobody can use it until you make it active again."
        }
        KeyState::Deactivated => "Protects nothing new; what it protected can still be opened.",
        KeyState::Compromised => {
            "Somebody may know it who should not. It protects nothing new, and only you can still open what it protected."
        }
        KeyState::Destroyed => "Every copy is gone. What it protected cannot be opened by anyone.",
    }
}

pub(crate) const fn key_state_value(state: KeyState) -> &'static str {
    match state {
        KeyState::PreActive => "pre-active",
        KeyState::Active => "active",
        KeyState::Suspended => "suspended",
        KeyState::Deactivated => "deactivated",
        KeyState::Compromised => "compromised",
        KeyState::Destroyed => "destroyed",
    }
}

pub(crate) const KEY_STATES: [KeyState; 6] = [
    KeyState::PreActive,
    KeyState::Active,
    KeyState::Suspended,
    KeyState::Deactivated,
    KeyState::Compromised,
    KeyState::Destroyed,
];

pub(crate) fn key_state_badge(state: KeyState) -> Html {
    let (tone, text) = key_state(state);
    badge(tone, text)
}

pub(crate) const fn right_value(right: Right) -> &'static str {
    match right {
        Right::Release => "release",
        Right::Encrypt => "encrypt",
        Right::Decrypt => "decrypt",
        Right::Sign => "sign",
        Right::Verify => "verify",
        Right::Wrap => "wrap",
        Right::Unwrap => "unwrap",
        Right::Derive => "derive",
        Right::Share => "share",
        Right::Destroy => "destroy",
        Right::Administer => "administer",
    }
}

pub(crate) const fn right_means(right: Right) -> &'static str {
    match right {
        Right::Release => "Receive the key on their own device",
        Right::Encrypt => "Have the appliance encrypt with it",
        Right::Decrypt => "Have the appliance decrypt with it",
        Right::Sign => "Have the appliance sign with it",
        Right::Verify => "Have the appliance verify with it",
        Right::Wrap => "Have the appliance wrap other keys under it",
        Right::Unwrap => "Have the appliance unwrap keys under it",
        Right::Derive => "Have the appliance derive keys from it",
        Right::Share => "Share it with others, with no more than their own rights",
        Right::Destroy => "Destroy it for everybody",
        Right::Administer => "Rotate it, change its state, revoke grants",
    }
}

pub(crate) fn algorithm(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Aes256 => "AES-256",
        Algorithm::HmacSha256 => "HMAC-SHA-256",
        Algorithm::Aes128 => "AES-128",
        Algorithm::Aes192 => "AES-192",
        Algorithm::GenericSecret => "Generic secret",
        Algorithm::Rsa2048 => "RSA 2048",
        Algorithm::Rsa3072 => "RSA 3072",
        Algorithm::Rsa4096 => "RSA 4096",
        Algorithm::EcP256 => "EC P-256",
        Algorithm::EcP384 => "EC P-384",
        Algorithm::EcP521 => "EC P-521",
        Algorithm::Ed25519 => "Ed25519",
        Algorithm::X25519 => "X25519",
        Algorithm::MlDsa65 => "ML-DSA-65",
        Algorithm::MlKem768 => "ML-KEM-768",
    }
}

pub(crate) const fn releasable(releasable: Releasable) -> &'static str {
    match releasable {
        Releasable::ByPolicy => "As its usage policy allows",
        Releasable::Never => "Never: the appliance uses it for you",
        Releasable::NoMore => "No more: the appliance uses it for you",
    }
}

pub(crate) const fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Generated => "The appliance generated it",
        Origin::Imported => "It was imported",
        Origin::Unwrapped => "It was unwrapped under another key",
        Origin::Derived => "It was derived from another key",
    }
}

pub(crate) const fn protection(protection: Protection) -> &'static str {
    match protection {
        Protection::Software => "Sealed under the keys of the accounts that have it",
        Protection::Hsm => "In the HSM, which it never leaves",
    }
}

pub(crate) const fn strength(strength: SignInStrength) -> &'static str {
    match strength {
        SignInStrength::Secret => "A machine's secret",
        SignInStrength::Password => "Password",
        SignInStrength::TwoFactor => "Password and second factor",
        SignInStrength::Passkey => "Passkey",
    }
}

pub(crate) const fn strength_value(strength: SignInStrength) -> &'static str {
    match strength {
        SignInStrength::Secret => "secret",
        SignInStrength::Password => "password",
        SignInStrength::TwoFactor => "two-factor",
        SignInStrength::Passkey => "passkey",
    }
}

pub(crate) const KINDS: [AccountKind; 4] = [
    AccountKind::Person,
    AccountKind::Device,
    AccountKind::Service,
    AccountKind::Group,
];

pub(crate) const fn kind(kind: AccountKind) -> &'static str {
    match kind {
        AccountKind::Person => "Person",
        AccountKind::Device => "Device",
        AccountKind::Service => "Service",
        AccountKind::Group => "Group",
    }
}

pub(crate) const fn kind_value(kind: AccountKind) -> &'static str {
    match kind {
        AccountKind::Person => "person",
        AccountKind::Device => "device",
        AccountKind::Service => "service",
        AccountKind::Group => "group",
    }
}

pub(crate) const fn account_state(state: AccountState) -> (Tone, &'static str) {
    match state {
        AccountState::Pending => (Tone::Warn, "Pending"),
        AccountState::Active => (Tone::Good, "Active"),
        AccountState::Suspended => (Tone::Bad, "Suspended"),
    }
}

pub(crate) const fn role(role: Role) -> &'static str {
    match role {
        Role::Administrator => "Administrator",
        Role::Auditor => "Auditor",
        Role::SecurityOfficer => "Security officer",
        Role::CaseOfficer => "Case officer",
        Role::LegalApprover => "Legal approver",
        Role::Executor => "Executor",
        Role::Releaser => "Releaser",
    }
}

/// With a capital letter in front.
pub(crate) fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// `a, b and c`.
pub(crate) fn listed<T: AsRef<str>>(items: &[T], last: &str) -> String {
    match items {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [most @ .., end] => {
            let most: Vec<&str> = most.iter().map(AsRef::as_ref).collect();
            format!("{} {last} {}", most.join(", "), end.as_ref())
        }
    }
}

/// `2 hours`, `90 seconds`.
pub(crate) fn span(seconds: u64) -> String {
    let units = [
        (86_400, "day", "days"),
        (3600, "hour", "hours"),
        (60, "minute", "minutes"),
    ];
    for (length, one, many) in units {
        if seconds >= length && seconds.is_multiple_of(length) {
            return crate::pieces::plural(seconds / length, one, many);
        }
    }
    crate::pieces::plural(seconds, "second", "seconds")
}

/// About how long: `3 days`, `5 hours`.
pub(crate) fn about(seconds: u64) -> String {
    let units = [
        (86_400, "day", "days"),
        (3600, "hour", "hours"),
        (60, "minute", "minutes"),
    ];
    for (length, one, many) in units {
        if seconds >= 2 * length {
            return crate::pieces::plural(seconds / length, one, many);
        }
    }
    crate::pieces::plural(seconds, "second", "seconds")
}
