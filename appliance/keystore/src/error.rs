//! Everything that an act can be refused for or fail at, and the problem code of each.

use strongroom_hsm::HsmError;
use strongroom_scim::ScimType;
use strongroom_wire::account::Role;
use strongroom_wire::authorisation::AuthorisationState;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::{AccountId, SessionId};
use strongroom_wire::key::KeyState;
use strongroom_wire::policy::RuleName;
use strongroom_wire::problem::{Code, Problem};

use crate::domains::Quota;
use crate::store::StoreError;

/// The answer to an act: what it brought, or why it was refused.
pub type Answer<T> = Result<T, Refusal>;

/// Why an act was refused, and the leaf that records it.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Refusal {
    /// Why.
    #[source]
    pub error: Error,
    /// The index of the leaf that records the refusal. None when there is nothing to record: the caller is not known, or the
    /// storage failed.
    pub leaf: Option<u64>,
}

impl Refusal {
    /// The problem document that the caller gets. What only operators should know is not in it.
    #[must_use]
    pub fn problem(&self) -> Problem {
        let code = self.error.code();
        let detail = match &self.error {
            Error::Hsm(_) => {
                "The HSM cannot be reached; nothing was done. Try again later.".to_owned()
            }
            Error::Store(StoreError::Full) => {
                "The appliance's disk is full, and nothing is done that cannot be recorded; nothing was done. Its operators have to make room."
                    .to_owned()
            }
            Error::Store(_) => {
                "The appliance's storage does not take this now; nothing was done.".to_owned()
            }
            Error::Internal(_) => {
                "The appliance failed; nothing was done. Its log says more.".to_owned()
            }
            error => error.to_string(),
        };
        let mut problem = Problem::new(code, detail);
        problem.leaf = self.leaf;
        if let Error::ClockSkew(now) = self.error {
            problem.time = Some(now);
        }
        if let Error::PolicyRefused { rule, tell: true } = &self.error {
            problem.rule = Some(rule.to_string());
        }
        problem.retry_after = match self.error {
            Error::SecondFactorLocked(seconds) => Some(seconds),
            _ => matches!(
                code,
                Code::HsmUnavailable | Code::Unavailable | Code::StorageFull
            )
            .then_some(5),
        };
        problem
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self { error, leaf: None }
    }
}

/// Why an act is refused or fails.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The session token is unknown, ended or expired, or its account may not act. Sign in again.
    #[error("Sign in first: there is no session with this token, or it has ended.")]
    NotSignedIn,
    /// The token is that of a session which was opened from another address, and the domain binds sessions to their address.
    #[error(
        "This session was opened from another network address, and it holds from there only. Sign in from here."
    )]
    SessionElsewhere(AccountId, SessionId),
    /// The act needs a sign-in at most so many seconds ago.
    #[error(
        "This needs a sign-in within the last {0} seconds: sign in again in this session, and repeat it."
    )]
    StepUpRequired(u32),
    /// The sign-in failed, for whatever reason: the caller learns no more.
    #[error(
        "The sign-in was refused: the account or the password is wrong, or the account may not sign in."
    )]
    SignInRefused,
    /// The signed request is refused, for whatever reason: the caller learns no more.
    #[error(
        "The request's signature was refused: the account or its secret is wrong, or the account may not sign requests."
    )]
    SignatureRefused,
    /// The certificate is refused, for whatever reason: the caller learns no more.
    #[error(
        "The sign-in was refused: the certificate stands for no account that may sign in with one."
    )]
    CertificateRefused,
    /// The sign-in at an OpenID provider is refused. Why is for the log and the leaf: the caller learns no more.
    #[error(
        "The sign-in was refused: the OpenID provider's answer does not hold, or no account that may sign in goes with it."
    )]
    IdentityRefused(&'static str),
    /// The signed request is too old, or of the future.
    #[error(
        "The request was signed at another time than it is here: it is {0}. Set the clock and sign again."
    )]
    ClockSkew(Timestamp),
    /// The nonce of the signed request was used before.
    #[error(
        "A request with this nonce has been made already; each request needs a nonce of its own."
    )]
    Replayed,
    /// The enrolment failed, for whatever reason: the caller learns no more.
    #[error(
        "The enrolment was refused: the account or the code is wrong, or the code has been used or has lapsed."
    )]
    EnrolmentRefused,
    /// The password was right and the second factor was not, or the sign-in has waited too long or been tried too often.
    #[error(
        "The second factor was refused: the code is wrong, was used already or has lapsed, or this sign-in has been tried too often."
    )]
    SecondFactorRefused,
    /// Too many wrong codes in a row: none is looked at for so many seconds.
    #[error(
        "Too many wrong codes of the authenticator app were given; try again in {0} s, or use a recovery code."
    )]
    SecondFactorLocked(u64),
    /// The recovery failed, for whatever reason: the caller learns no more.
    #[error(
        "The recovery was refused: the account or a code is wrong, or no recovery of it is under way."
    )]
    RecoveryRefused,
    /// Both codes of a recovery are right, and its delay is not over.
    #[error("The recovery takes effect at {0}; until then its holder can cancel it.")]
    RecoveryTooEarly(Timestamp),
    /// The account has sent as many invitations as the domain's policy allows in 24 hours.
    #[error("This account may send {0} invitations in 24 hours, and has.")]
    InvitationsUsedUp(u32),
    /// The caller's role or rights do not cover the act.
    #[error("This account may not do that: it needs {0}.")]
    NotPermitted(&'static str),
    /// The caller has and had no grant to such a key.
    #[error("There is no such key among those that this account may use.")]
    KeyNotFound,
    /// The caller has no such object.
    #[error("There is no such object.")]
    ObjectNotFound,
    /// The caller's grant has been revoked.
    #[error("Access to this key was revoked by its owner.")]
    GrantRevoked,
    /// The key is destroyed.
    #[error("This key was destroyed: what it protected can no longer be opened by anyone.")]
    KeyDestroyed,
    /// The key has no such version.
    #[error("This key has no version {0}.")]
    NoSuchVersion(u32),
    /// The key's state does not allow the act.
    #[error("This key is {}, which does not allow that.", state_name(*.0))]
    KeyStateForbids(KeyState),
    /// A usage policy's rule refuses it. Only the key's owner is told which.
    #[error("{}{}.", policy_sentence(.rule.rule.code()), if *.tell { format!(", by the rule {rule}") } else { String::new() })]
    PolicyRefused {
        /// The rule.
        rule: RuleName,
        /// Whether the caller is told it.
        tell: bool,
    },
    /// The key has no such grant.
    #[error("This key has no such grant.")]
    GrantNotFound,
    /// There is no account with this name.
    #[error("There is no account {0:?} in this domain.")]
    AccountNotFound(String),
    /// The caller has no such credential.
    #[error("This account has no such credential.")]
    CredentialNotFound,
    /// There is an account with this name already.
    #[error("There is an account {0:?} already.")]
    AccountExists(String),
    /// There is no such device that the caller may know of.
    #[error("There is no such device.")]
    DeviceNotFound,
    /// No device waits with this code.
    #[error("No device waits to be paired with this code, or the code has lapsed.")]
    PairingNotFound,
    /// The account is not known by this name in certificates.
    #[error("The account is not known by this name in certificates.")]
    CertificateNotFound,
    /// The caller's account is linked with no such identity.
    #[error("This account is linked with no identity of this issuer.")]
    IdentityNotFound,
    /// The domain has as much of something as its operators allow it. Only its administrators are told of what.
    #[error("The domain's operators allow it {}, and it has.", if *.tell { .quota.to_string() } else { "no more".to_owned() })]
    QuotaExceeded {
        /// Which quota.
        quota: Quota,
        /// Whether the caller is told it.
        tell: bool,
    },
    /// There is no such disclosure.
    #[error("There is no such disclosure.")]
    DisclosureNotFound,
    /// The scope has more items than the order allows.
    #[error(
        "The scope has more items than the order caps its disclosures at, {0}: nothing is disclosed."
    )]
    TooManyItems(u32),
    /// There is no such directory, or it does not manage this account.
    #[error("There is no such directory, or it does not manage this account.")]
    DirectoryNotFound,
    /// The directory's token has lapsed, or is presented from where it may not be used.
    #[error("This directory's token has lapsed, or may not be used from this network.")]
    DirectoryRefused,
    /// The resource is not the one that the directory has seen.
    #[error("The resource has changed since it was read: read it again.")]
    ChangedMeanwhile,
    /// A directory's request is refused by SCIM's own rules.
    #[error(transparent)]
    Scim(#[from] strongroom_scim::ScimError),
    /// There is no such authorisation that the caller has to do with.
    #[error("There is no such authorisation among those that this account has to do with.")]
    AuthorisationNotFound,
    /// The authorisation is not in effect.
    #[error("This authorisation is {0}, so that nothing may be done under it now.")]
    AuthorisationNotInEffect(AuthorisationState),
    /// There is no such document of this case.
    #[error("There is no such document here.")]
    DocumentNotFound,
    /// There is no such proposal that the caller has to do with.
    #[error("There is no such proposal among those that this account has to do with.")]
    ProposalNotFound,
    /// The policy demands a quorum.
    #[error("The domain's policy demands that {count} people of the role {} approve this first: {why}.", .role.as_str())]
    QuorumRequired {
        /// How many.
        count: u32,
        /// Of which role.
        role: Role,
        /// What is missing.
        why: &'static str,
    },
    /// An approval does not hold.
    #[error("The approval was refused: {0}.")]
    ApprovalRefused(&'static str),
    /// The act would contradict the present state.
    #[error("{0}")]
    Conflict(String),
    /// An update of the image is none that this appliance takes.
    #[error("{0}")]
    UpdateRefused(String),
    /// An update of the image is older than what the appliance still starts.
    #[error("{0}")]
    Downgrade(String),
    /// The machine's TPM gives no quote that holds.
    #[error("{0}")]
    NotAttested(String),
    /// The idempotency key was used for another request.
    #[error(
        "This idempotency key was used for another request: each request needs one of its own."
    )]
    IdempotencyKeyReused,
    /// A value is not acceptable.
    #[error("{0}")]
    Invalid(String),
    /// A mechanism does not do what it is asked for.
    #[error("{}.", mechanism_sentence(.0))]
    Mechanism(strongroom_mechanisms::Refusal),
    /// A stored record does not match its seal or MAC.
    #[error(
        "The stored {0} does not match its seal, so the appliance refuses to act on it; the refusal is logged."
    )]
    Integrity(&'static str),
    /// The HSM failed.
    #[error(transparent)]
    Hsm(#[from] HsmError),
    /// The storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The domain is not initialised, or initialised already.
    #[error("{0}")]
    Domain(String),
    /// A defect or an exhausted system.
    #[error("{0}")]
    Internal(&'static str),
    /// Not an outcome: the act needs these accounts' KEKs before it can be decided.
    #[error("account KEKs are needed")]
    #[doc(hidden)]
    NeedKeks(Vec<(AccountId, u32)>),
}

impl Error {
    /// The problem code that goes with it.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::NotSignedIn | Self::DirectoryRefused => Code::NotSignedIn,
            Self::SessionElsewhere(..) => Code::SessionElsewhere,
            Self::StepUpRequired(_) => Code::StepUpRequired,
            Self::SignInRefused
            | Self::SignatureRefused
            | Self::CertificateRefused
            | Self::IdentityRefused(_) => Code::SignInRefused,
            Self::ClockSkew(_) => Code::ClockSkew,
            Self::Replayed => Code::Replayed,
            Self::EnrolmentRefused => Code::EnrolmentRefused,
            Self::SecondFactorRefused => Code::SecondFactorRefused,
            Self::SecondFactorLocked(_) => Code::TooManyAttempts,
            Self::RecoveryRefused => Code::RecoveryRefused,
            Self::RecoveryTooEarly(_) => Code::RecoveryTooEarly,
            Self::InvitationsUsedUp(_) => Code::InvitationsUsedUp,
            Self::NotPermitted(_) => Code::NotPermitted,
            Self::KeyNotFound => Code::KeyNotFound,
            Self::ObjectNotFound => Code::ObjectNotFound,
            Self::GrantRevoked => Code::GrantRevoked,
            Self::KeyDestroyed => Code::KeyDestroyed,
            Self::KeyStateForbids(_) => Code::KeyStateForbids,
            Self::PolicyRefused { rule, .. } => rule.rule.code(),
            Self::GrantNotFound => Code::GrantNotFound,
            Self::AccountNotFound(_) => Code::AccountNotFound,
            Self::CredentialNotFound => Code::CredentialNotFound,
            Self::AccountExists(_) => Code::AccountExists,
            Self::DeviceNotFound => Code::DeviceNotFound,
            Self::PairingNotFound => Code::PairingNotFound,
            Self::CertificateNotFound => Code::CertificateNotFound,
            Self::IdentityNotFound => Code::IdentityNotFound,
            Self::QuotaExceeded { .. } => Code::QuotaExceeded,
            Self::DisclosureNotFound => Code::DisclosureNotFound,
            Self::TooManyItems(_) => Code::TooManyItems,
            Self::DirectoryNotFound => Code::DirectoryNotFound,
            Self::ChangedMeanwhile => Code::ChangedMeanwhile,
            Self::Scim(error) => match error.kind {
                ScimType::Uniqueness => Code::Conflict,
                ScimType::InvalidSyntax => Code::Malformed,
                _ => Code::Invalid,
            },
            Self::AuthorisationNotFound => Code::AuthorisationNotFound,
            Self::AuthorisationNotInEffect(_) => Code::AuthorisationNotInEffect,
            Self::DocumentNotFound => Code::DocumentNotFound,
            Self::ProposalNotFound => Code::ProposalNotFound,
            Self::QuorumRequired { .. } => Code::QuorumRequired,
            Self::ApprovalRefused(_) => Code::ApprovalRefused,
            Self::Conflict(_) => Code::Conflict,
            Self::UpdateRefused(_) => Code::UpdateRefused,
            Self::Downgrade(_) => Code::Downgrade,
            Self::NotAttested(_) => Code::NotAttested,
            Self::IdempotencyKeyReused => Code::IdempotencyKeyReused,
            Self::Mechanism(strongroom_mechanisms::Refusal::NotAuthentic) => Code::NotAuthentic,
            Self::Domain(_)
            | Self::Internal(_)
            | Self::NeedKeks(_)
            | Self::Mechanism(strongroom_mechanisms::Refusal::Failed) => Code::Internal,
            Self::Invalid(_) | Self::NoSuchVersion(_) | Self::Mechanism(_) => Code::Invalid,
            Self::Integrity(_) | Self::Store(StoreError::MalformedRow(_)) => Code::IntegrityFailure,
            Self::Hsm(_) => Code::HsmUnavailable,
            Self::Store(StoreError::Full) => Code::StorageFull,
            Self::Store(_) => Code::Unavailable,
        }
    }

    /// What the leaf of the refusal says: the code, and the rule where a usage policy refused, or what was wrong with an identity.
    pub(crate) fn note(&self) -> String {
        match self {
            Self::PolicyRefused { rule, .. } => format!("{} {rule}", self.code()),
            Self::IdentityRefused(reason) => format!("{}: {reason}", self.code()),
            Self::QuotaExceeded { quota, .. } => format!("{} {}", self.code(), quota.of.name()),
            _ => self.code().to_string(),
        }
    }

    /// Whether a refused attempt leaves a leaf even when it is not known who made it.
    pub(crate) const fn is_tampering(&self) -> bool {
        matches!(self.code(), Code::IntegrityFailure)
    }
}

/// The sentence of a mechanism's refusal, without its full stop.
fn mechanism_sentence(refusal: &strongroom_mechanisms::Refusal) -> String {
    let text = refusal.to_string();
    let text = text.strip_suffix('.').unwrap_or(&text);
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}

const fn policy_sentence(code: Code) -> &'static str {
    match code {
        Code::PolicyNotYetValid => "A usage policy does not allow this yet",
        Code::PolicyExpired => "A usage policy does not allow this any more",
        Code::PolicyReleasesUsedUp => {
            "A usage policy limits the key's releases, and they are used up"
        }
        Code::MechanismRefused => "A usage policy does not allow this mechanism",
        _ => "A usage policy does not allow this",
    }
}

const fn state_name(state: KeyState) -> &'static str {
    match state {
        KeyState::PreActive => "pre-active",
        KeyState::Active => "active",
        KeyState::Suspended => "suspended",
        KeyState::Deactivated => "deactivated",
        KeyState::Compromised => "compromised",
        KeyState::Destroyed => "destroyed",
    }
}
