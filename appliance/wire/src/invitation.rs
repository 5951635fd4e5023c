//! Invitations: keys shared with an address that has no account yet.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::encoding::Timestamp;
use crate::id::AccountId;

/// How accounts come to be and come back, as far as that is not for administrators alone. A part of the domain's policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AccountPolicy {
    /// Seconds from the start of an account's recovery, and from its approval, until it can be finished; 24 hours by default.
    pub recovery_delay: u32,
    /// Who may invite: patterns of account names, in which `*` stands for anything. None: nobody.
    pub inviters: Vec<String>,
    /// Who may be invited: patterns of addresses. None: nobody.
    pub invitees: Vec<String>,
    /// How many invitations an account may send in 24 hours; 20 by default.
    pub invitations_per_day: u32,
    /// Seconds after which the code of an invitation lapses; 7 days by default.
    pub invitation_lifetime: u32,
}

/// The most patterns of one list.
pub const MOST_PATTERNS: usize = 64;
/// The longest pattern, in bytes.
pub const LONGEST_PATTERN: usize = 254;

impl Default for AccountPolicy {
    fn default() -> Self {
        Self {
            recovery_delay: 24 * 3600,
            inviters: Vec::new(),
            invitees: Vec::new(),
            invitations_per_day: 20,
            invitation_lifetime: 7 * 24 * 3600,
        }
    }
}

/// `POST /v1/invitations`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Invite {
    /// The e-mail address, which becomes the account's name.
    pub address: String,
}

/// The answer to [`Invite`]. The code with which the address' holder enrols goes to the address alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Invited {
    /// The pending account, with which keys can be shared at once.
    pub account: AccountId,
    /// Its name.
    pub name: String,
    /// When the code lapses.
    pub expires: Timestamp,
    /// The index of the audit leaf.
    pub leaf: u64,
}

/// Whether a name fits a pattern, in which `*` stands for anything. The case of ASCII letters does not count.
#[must_use]
pub fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.to_ascii_lowercase(), name.to_ascii_lowercase());
    let mut pieces = pattern.split('*');
    // A split has one piece at least.
    let Some(mut rest) = pieces.next().and_then(|first| name.strip_prefix(first)) else {
        return false;
    };
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else {
        return rest.is_empty();
    };
    for piece in pieces {
        let Some(at) = rest.find(piece) else {
            return false;
        };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, name) in [
            ("alice@example.com", "Alice@example.com"),
            ("*@example.com", "alice@example.com"),
            ("*", "anybody"),
            ("*@*.example.com", "a@b.example.com"),
            ("a*b*c", "abbc"),
            ("**", ""),
            ("a*a", "aa"),
        ] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("", "a"),
            ("*@example.com", "alice@example.com.evil.example"),
            ("*@example.com", "alice@notexample.org"),
            ("*@example.com", "example.com"),
            ("a*a", "a"),
            ("a*b*c", "acb"),
            ("alice@example.com", "alice@example.comm"),
        ] {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }
}
