//! States, rights, policies and acts in plain words.

use strongroom_wire::account::{AccountKind, AccountState, Role};
use strongroom_wire::audit::Act;
use strongroom_wire::key::{Algorithm, KeyState, Origin, Protection, Releasable, Right};
use strongroom_wire::policy::{Hours, UsagePolicy, Weekday};
use strongroom_wire::problem::{Code, Problem};
use strongroom_wire::session::SignInStrength;

use crate::pieces::{Html, Tone, badge, count, utc};

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

const fn weekday(day: Weekday) -> &'static str {
    match day {
        Weekday::Monday => "Monday",
        Weekday::Tuesday => "Tuesday",
        Weekday::Wednesday => "Wednesday",
        Weekday::Thursday => "Thursday",
        Weekday::Friday => "Friday",
        Weekday::Saturday => "Saturday",
        Weekday::Sunday => "Sunday",
    }
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

/// A usage policy, a sentence for each rule.
pub(crate) fn policy(policy: &UsagePolicy) -> Vec<String> {
    let mut sentences = Vec::new();
    if policy.operations_only {
        sentences.push("The key stays in the appliance, which uses it for its holders.".to_owned());
    }
    match (policy.not_before, policy.not_after) {
        (Some(from), Some(until)) => {
            sentences.push(format!("Only from {} until {}.", utc(from).0, utc(until).0));
        }
        (Some(from), None) => sentences.push(format!("Not before {}.", utc(from).0)),
        (None, Some(until)) => sentences.push(format!("Not after {}.", utc(until).0)),
        (None, None) => {}
    }
    if let Some(most) = policy.max_releases {
        sentences.push(match most {
            1 => "Released once.".to_owned(),
            most => format!("Released at most {} times.", count(most)),
        });
    }
    if let Some(networks) = &policy.networks {
        let networks: Vec<String> = networks.iter().map(ToString::to_string).collect();
        sentences.push(format!("Only from {}.", listed(&networks, "or")));
    }
    if let Some(kinds) = &policy.kinds {
        let kinds: Vec<String> = kinds
            .iter()
            .map(|kind| {
                match kind {
                    AccountKind::Person => "people",
                    AccountKind::Device => "devices",
                    AccountKind::Service => "services",
                    AccountKind::Group => "groups",
                }
                .to_owned()
            })
            .collect();
        sentences.push(format!("Only for {}.", listed(&kinds, "and")));
    }
    match policy.min_sign_in {
        None | Some(SignInStrength::Secret) => {}
        Some(SignInStrength::Password) => {
            sentences.push("Only for those who signed in with a password at least.".to_owned());
        }
        Some(SignInStrength::TwoFactor) => sentences
            .push("Only for those who signed in with a second factor or a passkey.".to_owned()),
        Some(SignInStrength::Passkey) => {
            sentences.push("Only for those who signed in with a passkey.".to_owned());
        }
    }
    for hours in &policy.hours {
        sentences.push(hours_sentence(hours));
    }
    if let Some(rights) = &policy.rights {
        let rights: Vec<&str> = rights.iter().map(|right| right_value(*right)).collect();
        sentences.push(if rights.is_empty() {
            "It cannot be used at all.".to_owned()
        } else {
            format!("Only to {}.", listed(&rights, "and"))
        });
    }
    if let Some(mechanisms) = &policy.mechanisms {
        let mechanisms: Vec<&str> = mechanisms
            .iter()
            .map(|mechanism| mechanism.as_str())
            .collect();
        sentences.push(format!(
            "By these mechanisms only: {}.",
            listed(&mechanisms, "and")
        ));
    }
    if let Some(seconds) = policy.keep_for {
        sentences.push(format!(
            "A client forgets it {} after it came.",
            span(seconds.into())
        ));
    }
    sentences
}

fn hours_sentence(hours: &Hours) -> String {
    let days = hours.days.as_ref().map_or_else(
        || "Every day".to_owned(),
        |days| {
            let days: Vec<&str> = days.iter().map(|day| weekday(*day)).collect();
            format!("On {}", listed(&days, "and"))
        },
    );
    format!(
        "{days} from {} to {} ({}).",
        hours.from, hours.until, hours.zone
    )
}

/// What was done, in a few words.
pub(crate) fn act(act: Act) -> String {
    match act {
        Act::DomainInitialise => "Domain initialised",
        Act::DomainServe => "Appliance began to serve",
        Act::AccountCreate => "Account created",
        Act::AccountUpdate => "Account changed",
        Act::AccountInvite => "Enrolment code made",
        Act::AccountEnrol => "Enrolled",
        Act::GroupAdd => "Group member added",
        Act::GroupRemove => "Group member removed",
        Act::SessionOpen => "Signed in",
        Act::SessionEnd => "Session ended",
        Act::SessionStepUp => "Signed in again",
        Act::SessionUse => "Session used from elsewhere",
        Act::KeyCreate => "Key created",
        Act::KeyImport => "Key brought in",
        Act::KeyRelease => "Key released",
        Act::KeyShare => "Key shared",
        Act::KeyRevoke => "Grant revoked",
        Act::KeyRotate => "Key rotated",
        Act::KeyState => "Key's state changed",
        Act::KeyDestroy => "Key destroyed",
        Act::KeyRead => "Damaged record met",
        Act::KeyPolicy => "Key's policy changed",
        Act::KeyTighten => "Key restricted",
        Act::GrantPolicy => "Grant's policy changed",
        Act::KeySign => "Signed with a key",
        Act::KeyVerify => "Verified with a key",
        Act::KeyEncrypt => "Encrypted with a key",
        Act::KeyDecrypt => "Decrypted with a key",
        Act::KeyWrap => "Wrapped a key",
        Act::KeyUnwrap => "Unwrapped a key",
        Act::KeyDerive => "Derived with a key",
        Act::MasterKekRotate => "Master KEK rotated",
        Act::MasterKekRewrapped => "Master KEK's rotation done",
        Act::MasterKekRetire => "Master KEK version retired",
        Act::MasterKekDestroy => "Master KEK version destroyed",
        Act::AccountKekRotate => "Account KEK rotated",
        Act::AccountKekResealed => "Account KEK's rotation done",
        Act::DomainRestore => "Restored from a backup",
        Act::DomainSeal => "Appliance sealed",
        Act::DomainPolicy => "Domain policy changed",
        Act::DomainCheckpointKey => "Checkpoint key changed",
        Act::DeviceImport => "Device imported",
        Act::DeviceUpdate => "Device changed",
        Act::DeviceRevoke => "Device revoked",
        Act::DevicePair => "Device pairing decided",
        Act::AccountSecret => "New account secret",
        Act::CredentialAdd => "Credential added",
        Act::CredentialRemove => "Credential removed",
        Act::RecoveryStart => "Account recovery started",
        Act::RecoveryApprove => "Account recovery approved",
        Act::RecoveryCancel => "Account recovery cancelled",
        Act::RecoveryFinish => "Account recovered",
        Act::MailSend => "Mail sent",
        other => return in_words(other.as_str()),
    }
    .to_owned()
}

/// `hsm.device-log` as `Hsm: device log`.
fn in_words(name: &str) -> String {
    let (subject, what) = name.split_once('.').unwrap_or((name, ""));
    let text = format!("{}: {}", subject.replace('-', " "), what.replace('-', " "));
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// A leaf's note for people: a refusal's code as its title.
pub(crate) fn note(note: &str, done: bool) -> String {
    if done {
        // The notes of changed policies are the policies themselves.
        return match serde_json::from_str::<UsagePolicy>(note) {
            Ok(set) => match policy(&set) {
                rules if rules.is_empty() => "No limits.".to_owned(),
                rules => rules.join(" "),
            },
            Err(_) => note.to_owned(),
        };
    }
    let (code, rest) = note.split_once(' ').unwrap_or((note, ""));
    let known = Code::ALL
        .iter()
        .find(|known| known.as_str() == code.trim_end_matches(':'));
    match known {
        Some(code) if rest.is_empty() => code.title().to_owned(),
        Some(code) => format!("{} ({rest})", code.title()),
        None => note.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn policies_are_said_in_sentences() {
        assert!(policy(&UsagePolicy::default()).is_empty());
        let whole: UsagePolicy = serde_json::from_str(
            r#"{"not_before":"2026-11-01T00:00:00Z","not_after":"2026-12-01T08:30:00Z","max_releases":3,"networks":["10.0.0.0/8","2001:db8::/32"],
            "kinds":["person","device"],"min_sign_in":"two-factor","hours":[{"days":["monday","tuesday"],"from":"08:00","until":"18:00","zone":"Europe/Zurich"}],
            "rights":["release","decrypt"],"operations_only":true,"mechanisms":["aes-gcm"],"keep_for":7200}"#,
        )
        .unwrap();
        let said = policy(&whole).join(" ");
        for part in [
            "Only from 1 Nov 2026, 00:00 UTC until 1 Dec 2026, 08:30 UTC.",
            "at most 3 times",
            "10.0.0.0/8 or 2001:db8::/32",
            "Only for people and devices.",
            "second factor",
            "On Monday and Tuesday from 08:00 to 18:00 (Europe/Zurich).",
            "Only to release and decrypt.",
            "stays in the appliance",
            "aes-gcm",
            "2 hours after it came",
        ] {
            assert!(said.contains(part), "{part} in {said}");
        }
    }

    #[test]
    fn every_act_has_words() {
        for known in Act::ALL {
            let words = act(*known);
            assert!(words.len() > 3 && !words.contains('.'), "{words}");
        }
        assert_eq!(note("key-not-found", false), "No such key");
        assert_eq!(
            note("policy-refused policy:key:networks", false),
            "The usage policy does not allow it (policy:key:networks)"
        );
        assert_eq!(note("state active", true), "state active");
        assert_eq!(note(r#"{"max_releases":1}"#, true), "Released once.");
        assert_eq!(note("{}", true), "No limits.");
    }
}
