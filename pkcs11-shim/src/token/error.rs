//! Why the token did not do something, and what the application is told.

use std::borrow::Cow;
use std::fmt;

use cryptoki_sys::*;
use strongroom_wire::problem::{Code, Problem};

/// Why the token did not do something. Carries nothing secret.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenError {
    /// What to branch on.
    pub kind: TokenErrorKind,
    /// One sentence, for the log.
    pub what: Cow<'static, str>,
    /// What the appliance said, if it was asked and answered.
    pub problem: Option<Box<Problem>>,
}

/// What kind of failure it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenErrorKind {
    /// No address of the appliance answered in time. It may have done what was asked.
    Unreachable,
    /// The appliance answered that it does nothing now: it is sealed, overloaded or without its HSM.
    Unavailable,
    /// The configuration does not let a token be reached.
    Configuration,
    /// The account has not signed in, or the session has ended.
    NotSignedIn,
    /// The PIN is wrong.
    PinIncorrect,
    /// Too many wrong PINs: the account is locked for a time.
    PinLocked,
    /// The PIN is too short or too long, or the account's secret cannot be changed to it.
    PinUnsuitable,
    /// The account's rights do not cover it.
    NotPermitted,
    /// A usage policy does not allow it: by time, number, network or purpose.
    PolicyRefused,
    /// There is no such object, or not any more.
    NoSuchObject,
    /// The key's state does not allow it: suspended, deactivated, compromised.
    KeyState,
    /// The key is not for this, by its rights or attributes.
    KeyUse,
    /// The key is of another type than the mechanism needs.
    KeyType,
    /// The key's size is not one that is served.
    KeySize,
    /// The key's material stays in the appliance.
    Unextractable,
    /// The mechanism is not served, or not allowed.
    Mechanism,
    /// The mechanism's parameter is none.
    MechanismParameter,
    /// The data cannot be worked on.
    Data,
    /// The data has a length that the mechanism does not take.
    DataLength,
    /// The encrypted data is none of this key.
    EncryptedData,
    /// The encrypted data has a length that it cannot have.
    EncryptedDataLength,
    /// The signature or MAC is another's.
    SignatureInvalid,
    /// The signature has a length that it cannot have.
    SignatureLength,
    /// The wrapped key is none of this key.
    WrappedKey,
    /// The attributes contradict each other or the mechanism.
    Template,
    /// An attribute that is needed is missing.
    TemplateIncomplete,
    /// An attribute cannot be set, or not to this.
    AttributeReadOnly,
    /// An attribute's value is none.
    AttributeValue,
    /// The object cannot be copied or destroyed.
    Prohibited,
    /// A quota of the domain is used up.
    Quota,
    /// The appliance failed, or answered what it should not.
    Failed,
}

impl TokenErrorKind {
    /// What the application is told.
    #[must_use]
    pub const fn rv(self) -> CK_RV {
        match self {
            Self::Unreachable | Self::Unavailable | Self::Failed => CKR_DEVICE_ERROR,
            Self::Configuration => CKR_TOKEN_NOT_PRESENT,
            Self::NotSignedIn => CKR_USER_NOT_LOGGED_IN,
            Self::PinIncorrect => CKR_PIN_INCORRECT,
            Self::PinLocked => CKR_PIN_LOCKED,
            Self::PinUnsuitable => CKR_PIN_INVALID,
            Self::NotPermitted | Self::PolicyRefused | Self::KeyState | Self::KeyUse => {
                CKR_KEY_FUNCTION_NOT_PERMITTED
            }
            Self::NoSuchObject => CKR_OBJECT_HANDLE_INVALID,
            Self::KeyType => CKR_KEY_TYPE_INCONSISTENT,
            Self::KeySize => CKR_KEY_SIZE_RANGE,
            Self::Unextractable => CKR_KEY_UNEXTRACTABLE,
            Self::Mechanism => CKR_MECHANISM_INVALID,
            Self::MechanismParameter => CKR_MECHANISM_PARAM_INVALID,
            Self::Data => CKR_DATA_INVALID,
            Self::DataLength => CKR_DATA_LEN_RANGE,
            Self::EncryptedData => CKR_ENCRYPTED_DATA_INVALID,
            Self::EncryptedDataLength => CKR_ENCRYPTED_DATA_LEN_RANGE,
            Self::SignatureInvalid => CKR_SIGNATURE_INVALID,
            Self::SignatureLength => CKR_SIGNATURE_LEN_RANGE,
            Self::WrappedKey => CKR_WRAPPED_KEY_INVALID,
            Self::Template => CKR_TEMPLATE_INCONSISTENT,
            Self::TemplateIncomplete => CKR_TEMPLATE_INCOMPLETE,
            Self::AttributeReadOnly => CKR_ATTRIBUTE_READ_ONLY,
            Self::AttributeValue => CKR_ATTRIBUTE_VALUE_INVALID,
            Self::Prohibited => CKR_ACTION_PROHIBITED,
            Self::Quota => CKR_DEVICE_MEMORY,
        }
    }
}

impl TokenError {
    /// A failure that the appliance did not explain.
    #[must_use]
    pub fn new(kind: TokenErrorKind, what: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            what: what.into(),
            problem: None,
        }
    }
}

/// What a problem document of the appliance means here. Where the request says more (which argument was wrong), the caller sets the kind.
impl From<Box<Problem>> for TokenError {
    fn from(problem: Box<Problem>) -> Self {
        use TokenErrorKind as Kind;
        let kind = match problem.code {
            Code::NotSignedIn
            | Code::SessionElsewhere
            | Code::StepUpRequired
            | Code::ClockSkew
            | Code::Replayed => Kind::NotSignedIn,
            Code::SignInRefused | Code::SecondFactorRefused => Kind::PinIncorrect,
            Code::TooManyAttempts => Kind::PinLocked,
            Code::NotPermitted | Code::GrantRevoked => Kind::NotPermitted,
            Code::KeyNotFound | Code::ObjectNotFound | Code::KeyDestroyed => Kind::NoSuchObject,
            Code::KeyStateForbids => Kind::KeyState,
            Code::PolicyNotYetValid
            | Code::PolicyExpired
            | Code::PolicyReleasesUsedUp
            | Code::PolicyRefused => Kind::PolicyRefused,
            Code::MechanismRefused => Kind::Mechanism,
            Code::QuotaExceeded => Kind::Quota,
            Code::TooManyRequests
            | Code::HsmUnavailable
            | Code::ProviderUnavailable
            | Code::Sealed
            | Code::StorageFull
            | Code::Unavailable => Kind::Unavailable,
            Code::DomainUnavailable => Kind::Configuration,
            _ => Kind::Failed,
        };
        Self {
            kind,
            what: Cow::Borrowed("the appliance refused"),
            problem: Some(problem),
        }
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for TokenError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CkError;

    #[test]
    fn the_log_learns_what_the_appliance_said() {
        let mut problem = Problem::new(Code::PolicyRefused, "not from this network");
        problem.rule = Some("policy:domain:networks".to_owned());
        problem.leaf = Some(71);
        let error = CkError::from(TokenError::from(Box::new(problem)));
        assert_eq!(error.rv, CKR_KEY_FUNCTION_NOT_PERMITTED);
        assert_eq!(
            error.to_string(),
            "CKR_KEY_FUNCTION_NOT_PERMITTED: the appliance refused; the appliance says policy-refused (403): \
             not from this network; by the rule policy:domain:networks; leaf 71"
        );
    }
}
