//! Identifiers: `UUIDv7` (RFC 9562 section 5.7), 16 bytes, in their usual hyphenated text form.
//!
//! A newtype for each kind, so that a key's identifier cannot stand where an account's is meant.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
        #[serde(transparent)]
        #[schema(value_type = String, format = Uuid)]
        pub struct $name(Uuid);

        impl $name {
            /// A new identifier: time-ordered, with 74 random bits.
            #[must_use]
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }

            /// The identifier with these 16 bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// The identifier's 16 bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl FromStr for $name {
            type Err = MalformedIdentifier;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::try_parse(text).map(Self).map_err(|_| MalformedIdentifier)
            }
        }
    };
}

identifier!(
    /// An account: a person, a device, a service or a group.
    AccountId
);
identifier!(
    /// A session that an account opened by signing in. Not the session's token.
    SessionId
);
identifier!(
    /// A disclosure: the running of an approved authorisation, and what it delivers.
    DisclosureId
);
identifier!(
    /// A key, over all its versions.
    KeyId
);
identifier!(
    /// A grant: one account's sealed copy of one key.
    GrantId
);
identifier!(
    /// A sign-in that has been started and not finished.
    SignInId
);
identifier!(
    /// A passkey of an account. Not the authenticator's own credential identifier.
    PasskeyId
);
identifier!(
    /// A piece of mail that waits to be sent.
    MailId
);
identifier!(
    /// A client's own name of a request that it may have to make again.
    IdempotencyKey
);
identifier!(
    /// A directory that manages accounts. It acts, but is no account: it owns nothing and cannot sign in.
    DirectoryId
);
identifier!(
    /// An object of an account: a certificate, data, or a part of a key, whose identifier it then is.
    ObjectId
);
identifier!(
    /// A registration of a passkey that has been started and not finished.
    RegistrationId
);
identifier!(
    /// An authorisation: an order of lawful access, over all its generations.
    AuthorisationId
);
identifier!(
    /// A public key that an account approves with.
    ApprovalKeyId
);
identifier!(
    /// An act that was proposed and waits for its approvals.
    ProposalId
);

/// The text is no identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an identifier is a UUID such as 01934c1e-7d5a-7cc0-8f3e-0123456789ab")]
pub struct MalformedIdentifier;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn text_and_bytes_round_trip() {
        let id = KeyId::generate();
        assert_eq!(id.to_string().parse::<KeyId>().unwrap(), id);
        assert_eq!(KeyId::from_bytes(*id.as_bytes()), id);
        assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{id}\""));
    }

    #[test]
    fn later_identifiers_sort_later() {
        let ids: Vec<KeyId> = (0..100).map(|_| KeyId::generate()).collect();
        assert!(ids.is_sorted());
    }

    #[test]
    fn what_is_no_uuid_is_refused() {
        assert_eq!("report.pdf".parse::<KeyId>(), Err(MalformedIdentifier));
    }
}
