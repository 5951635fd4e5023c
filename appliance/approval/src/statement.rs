//! What a person signs: the exact act, in a form that has one spelling.

use serde::{Deserialize, Serialize};
pub use strongroom_wire::approval::Decision;
use strongroom_wire::encoding::Timestamp;

use crate::canonical::{self, CanonicalError};
use crate::{digest, sha256};

/// The format's name; the number rises when its meaning changes.
const FORMAT: &str = "strongroom-statement/1";

/// What exactly is decided on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Of {
    /// One generation of an authorisation: act `authorisation.approve`.
    Authorisation {
        /// The generation; the first is 1.
        generation: u32,
        /// SHA-256 of the authorisation record's bytes.
        record_sha256: [u8; 32],
    },
    /// A proposed request.
    Request {
        /// The act's name as in leaves, such as `key.destroy`.
        act: String,
        /// SHA-256 of the canonical JSON of the exact request.
        request_sha256: [u8; 32],
    },
}

impl Of {
    /// The act's name.
    #[must_use]
    pub fn act(&self) -> &str {
        match self {
            Self::Authorisation { .. } => AUTHORISATION,
            Self::Request { act, .. } => act,
        }
    }
}

/// The act of approving an authorisation.
const AUTHORISATION: &str = "authorisation.approve";

/// A statement: somebody decides so on this act, until then.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Statement {
    /// The origin of the domain's log, which names the domain and no other.
    pub domain_origin: String,
    /// The identifier of the authorisation or of the proposal.
    pub subject: String,
    /// What is decided on.
    pub of: Of,
    /// How.
    pub decision: Decision,
    /// Until when the signature counts towards a quorum that is not reached yet.
    pub valid_until: Timestamp,
}

/// The statement as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    act: String,
    decision: Decision,
    domain_origin: String,
    format: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    generation: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    record_sha256: Option<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request_sha256: Option<Digest>,
    subject: String,
    valid_until: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Digest(#[serde(with = "digest")] [u8; 32]);

impl Statement {
    /// Its bytes: JSON in the form of RFC 8785. These are signed.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let (generation, record_sha256, request_sha256) = match &self.of {
            Of::Authorisation {
                generation,
                record_sha256,
            } => (Some(*generation), Some(Digest(*record_sha256)), None),
            Of::Request { request_sha256, .. } => (None, None, Some(Digest(*request_sha256))),
        };
        let written = Written {
            act: self.of.act().to_owned(),
            decision: self.decision,
            domain_origin: self.domain_origin.clone(),
            format: FORMAT.to_owned(),
            generation,
            record_sha256,
            request_sha256,
            subject: self.subject.clone(),
            valid_until: self.valid_until.as_millis(),
        };
        // Strings and whole numbers below 2^53, as timestamps are, have a canonical form.
        canonical::to_vec(&written).unwrap_or_default()
    }

    /// Reads a statement's bytes.
    ///
    /// # Errors
    ///
    /// [`CanonicalError`] where [`to_bytes`](Self::to_bytes) cannot have made them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CanonicalError> {
        let written: Written = canonical::from_slice(bytes)?;
        let of = match (
            written.generation,
            written.record_sha256,
            written.request_sha256,
        ) {
            (Some(generation), Some(record), None) if written.act == AUTHORISATION => {
                Of::Authorisation {
                    generation,
                    record_sha256: record.0,
                }
            }
            (None, None, Some(request)) if written.act != AUTHORISATION => Of::Request {
                act: written.act,
                request_sha256: request.0,
            },
            _ => return Err(CanonicalError::Shape),
        };
        let statement = Self {
            domain_origin: written.domain_origin,
            subject: written.subject,
            of,
            decision: written.decision,
            valid_until: Timestamp::from_millis(written.valid_until),
        };
        // A moment past the year 9999 reads as another one.
        if written.format != FORMAT || statement.to_bytes() != bytes {
            return Err(CanonicalError::Shape);
        }
        Ok(statement)
    }

    /// What a passkey is asked to sign: SHA-256 of the statement's bytes, as the challenge.
    #[must_use]
    pub fn challenge(&self) -> [u8; 32] {
        sha256(&self.to_bytes())
    }

    /// Whether another statement decides on the very same act, however it decides and for however long.
    #[must_use]
    pub fn same_act(&self, other: &Self) -> bool {
        (&self.domain_origin, &self.subject, &self.of)
            == (&other.domain_origin, &other.subject, &other.of)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    pub(crate) fn statements() -> impl Strategy<Value = Statement> {
        let of = prop_oneof![
            (any::<u32>(), any::<[u8; 32]>()).prop_map(|(generation, record_sha256)| {
                Of::Authorisation {
                    generation,
                    record_sha256,
                }
            }),
            ("[a-z-]{1,12}\\.[a-z-]{1,7}", any::<[u8; 32]>()).prop_map(|(act, request_sha256)| {
                Of::Request {
                    act,
                    request_sha256,
                }
            }),
        ];
        let decision = prop_oneof![Just(Decision::Approve), Just(Decision::Reject)];
        (
            any::<String>(),
            any::<String>(),
            of,
            decision,
            0..=253_402_300_799_999_u64,
        )
            .prop_map(|(domain_origin, subject, of, decision, until)| Statement {
                domain_origin,
                subject,
                of,
                decision,
                valid_until: Timestamp::from_millis(until),
            })
    }

    proptest! {
        #[test]
        fn a_statement_reads_back_and_has_one_spelling(statement in statements(), at: prop::sample::Index, to: u8) {
            let bytes = statement.to_bytes();
            prop_assert_eq!(Statement::from_bytes(&bytes).unwrap(), statement.clone());
            let mut other = bytes.clone();
            let at = at.index(other.len());
            other[at] ^= to.max(1);
            if let Ok(read) = Statement::from_bytes(&other) {
                prop_assert_ne!(&read, &statement);
                prop_assert_eq!(read.to_bytes(), other);
            }
        }
    }

    #[test]
    fn what_is_no_statement_is_refused() {
        let good = |rest: &str| {
            format!(
                r#"{{"act":"key.destroy","decision":"approve","domain_origin":"o","format":"strongroom-statement/1",{rest}"subject":"s","valid_until":5}}"#
            )
        };
        let digest = "ab".repeat(32);
        let right = good(&format!(r#""request_sha256":"{digest}","#));
        assert!(Statement::from_bytes(right.as_bytes()).is_ok(), "{right}");
        for wrong in [
            good(""),
            good(&format!(r#""generation":1,"record_sha256":"{digest}","#)),
            good(&format!(r#""request_sha256":"{}","#, digest.to_uppercase())),
            good(&format!(r#""request_sha256":"{}","#, &digest[2..])),
            right.replace("/1", "/2"),
            right.replace("\"subject\"", "\"note\":\"x\",\"subject\""),
            right.replace("key.destroy", AUTHORISATION),
            right.replace("approve", "abstain"),
            right.replace(":5}", ":253402300800000}"),
        ] {
            assert!(Statement::from_bytes(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
