//! Problem documents (RFC 9457) and their stable codes.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::encoding::Timestamp;

/// The media type of a problem document.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// A problem document (RFC 9457 section 3): the body of every response whose status is 400 or above.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// `urn:strongroom:problem:` and the code.
    #[serde(rename = "type")]
    pub problem_type: String,
    /// What kind of problem it is, for people; always the same for one code.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What to branch on.
    pub code: Code,
    /// One sentence about this occurrence, for people.
    pub detail: String,
    /// The index of the audit leaf that records the refusal, where one was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaf: Option<u64>,
    /// The rule that decided, such as `policy:key:not-after`, where a usage policy refuses and the caller may know by which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Seconds after which trying again makes sense, where it does; also sent as `Retry-After`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// The appliance's time, where the client's clock is the problem.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
}

impl Problem {
    /// The problem document of `code` with this sentence.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            problem_type: format!("urn:strongroom:problem:{code}"),
            title: code.title().to_owned(),
            status: code.status(),
            code,
            detail: detail.into(),
            leaf: None,
            rule: None,
            retry_after: None,
            time: None,
        }
    }
}

macro_rules! codes {
    ($( $(#[$doc:meta])* $name:ident = $text:literal, $status:literal, $title:literal; )*) => {
        /// The stable code of a problem. Codes are added, never renamed or given another meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
        #[non_exhaustive]
        pub enum Code {
            $( $(#[$doc])* #[serde(rename = $text)] $name, )*
            /// A code of a newer appliance.
            #[serde(other)]
            #[serde(rename = "unknown")]
            Unknown,
        }

        impl Code {
            /// Every code that the appliance answers.
            pub const ALL: &'static [Self] = &[$( Self::$name, )*];

            /// The code as it stands in a problem document.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$name => $text, )* Self::Unknown => "unknown" }
            }

            /// The HTTP status that goes with the code.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $( Self::$name => $status, )* Self::Unknown => 500 }
            }

            /// What the code means, for people.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $( Self::$name => $title, )* Self::Unknown => "Unknown problem" }
            }
        }
    };
}

codes! {
    /// The request cannot be read: a missing or unknown field, a malformed value.
    Malformed = "malformed", 400, "The request cannot be read";
    /// A value is well-formed and not acceptable, such as an empty window.
    Invalid = "invalid", 422, "The request asks for something that cannot be";
    /// What was to be decrypted or unwrapped was not made under this key, or was altered.
    NotAuthentic = "not-authentic", 422, "It was not made under this key, or was altered";
    /// The body is larger than the route takes.
    TooLarge = "too-large", 413, "The request is too large";
    /// There is no such route.
    NoSuchRoute = "no-such-route", 404, "There is nothing at this address";
    /// The route exists and does not take this method.
    MethodNotAllowed = "method-not-allowed", 405, "This address does not take this method";
    /// No session token, or one that is unknown, ended or expired.
    NotSignedIn = "not-signed-in", 401, "Sign in first";
    /// The sign-in failed. Says nothing about whether the account exists.
    SignInRefused = "sign-in-refused", 401, "The sign-in was refused";
    /// A signed request is of another time than the appliance's clock permits; [`Problem::time`] says which that is.
    ClockSkew = "clock-skew", 401, "The clocks of client and appliance differ too much";
    /// A signed request has been made before.
    Replayed = "replayed", 401, "The request has been made before";
    /// The enrolment failed. Says nothing about whether the account exists.
    EnrolmentRefused = "enrolment-refused", 401, "The enrolment was refused";
    /// The password was right and the second factor was not, or the sign-in has waited too long or been tried too often.
    SecondFactorRefused = "second-factor-refused", 401, "The second factor was refused";
    /// The recovery failed. Says nothing about whether the account exists or a recovery of it is under way.
    RecoveryRefused = "recovery-refused", 401, "The recovery was refused";
    /// The codes of the recovery are right, and its delay is not over.
    RecoveryTooEarly = "recovery-too-early", 403, "The recovery has not taken effect yet";
    /// The account has sent as many invitations today as the domain's policy allows.
    InvitationsUsedUp = "invitations-used-up", 403, "The invitations of today are used up";
    /// Too many failures from this source or for this account.
    TooManyAttempts = "too-many-attempts", 429, "Too many attempts";
    /// The account is signed in and its roles or rights do not cover the act.
    NotPermitted = "not-permitted", 403, "This account may not do that";
    /// There is no key with this identifier that the caller has, or ever had, a grant to.
    KeyNotFound = "key-not-found", 404, "No such key";
    /// The caller has no such object.
    ObjectNotFound = "object-not-found", 404, "No such object";
    /// The caller's grant to the key has been revoked.
    GrantRevoked = "grant-revoked", 403, "Access to the key was revoked";
    /// The key is destroyed.
    KeyDestroyed = "key-destroyed", 410, "The key is destroyed";
    /// The key's state (pre-active, suspended, deactivated, compromised) does not allow the act.
    KeyStateForbids = "key-state-forbids", 409, "The key's state does not allow that";
    /// The usage policy allows it only later.
    PolicyNotYetValid = "policy-not-yet-valid", 403, "The usage policy does not allow it yet";
    /// The usage policy allowed it only until a moment that has passed.
    PolicyExpired = "policy-expired", 403, "The usage policy does not allow it any more";
    /// The usage policy's number of releases is used up.
    PolicyReleasesUsedUp = "policy-releases-used-up", 403, "The usage policy's releases are used up";
    /// A usage policy does not allow it, by a rule that the key's owner sees in the audit log.
    PolicyRefused = "policy-refused", 403, "The usage policy does not allow it";
    /// A usage policy allows the key, or the domain, other mechanisms only.
    MechanismRefused = "mechanism-refused", 403, "Mechanism refused";
    /// The act needs a more recent sign-in than the session's: sign in again in the session, then repeat it.
    StepUpRequired = "step-up-required", 403, "Sign in again first";
    /// The session was opened from another network address, and the domain binds sessions to their address.
    SessionElsewhere = "session-elsewhere", 401, "The session was opened from another address";
    /// There is no grant with this identifier on this key.
    GrantNotFound = "grant-not-found", 404, "No such grant";
    /// The caller may know accounts of the domain, and there is none with this name or identifier.
    AccountNotFound = "account-not-found", 404, "No such account";
    /// The caller has no such credential.
    CredentialNotFound = "credential-not-found", 404, "No such credential";
    /// There is an account with this name already.
    AccountExists = "account-exists", 409, "There is an account with this name already";
    /// There is no device with this identifier or serial number.
    DeviceNotFound = "device-not-found", 404, "No such device";
    /// No device waits to be paired with this code, or it has lapsed.
    PairingNotFound = "pairing-not-found", 404, "No such pairing";
    /// The account is not known by this name in certificates.
    CertificateNotFound = "certificate-not-found", 404, "No such certificate";
    /// The account is linked with no such identity.
    IdentityNotFound = "identity-not-found", 404, "No such identity";
    /// There is no OpenID provider with this name.
    ProviderNotFound = "provider-not-found", 404, "No such OpenID provider";
    /// The appliance serves no such domain, or its operators have suspended it: which of the two, only they know.
    DomainUnavailable = "domain-unavailable", 404, "The appliance does not serve this domain";
    /// The domain has as much of something as its operators allow it.
    QuotaExceeded = "quota-exceeded", 403, "A quota of the domain is used up";
    /// The domain has made as many requests in this second as its operators allow it.
    TooManyRequests = "too-many-requests", 429, "The domain makes too many requests";
    /// There is no disclosure with this identifier.
    DisclosureNotFound = "disclosure-not-found", 404, "No such disclosure";
    /// The scope has more items than the order caps its disclosures at: nothing is disclosed.
    TooManyItems = "too-many-items", 409, "More items than the order allows";
    /// There is no directory with this identifier, or it does not manage this account.
    DirectoryNotFound = "directory-not-found", 404, "No such directory";
    /// There is no authorisation with this identifier that the caller has to do with.
    AuthorisationNotFound = "authorisation-not-found", 404, "No such authorisation";
    /// The authorisation is not in effect: it awaits approval, is suspended, or has ended.
    AuthorisationNotInEffect = "authorisation-not-in-effect", 409, "The authorisation is not in effect";
    /// There is no document with this SHA-256 that belongs here.
    DocumentNotFound = "document-not-found", 404, "No such document";
    /// There is no proposal with this identifier that the caller has to do with.
    ProposalNotFound = "proposal-not-found", 404, "No such proposal";
    /// The domain's policy demands that several people approve this first: make a proposal of it.
    QuorumRequired = "quorum-required", 403, "Several people have to approve it first";
    /// What was signed is not what stands here now, or the signature does not hold.
    ApprovalRefused = "approval-refused", 403, "The approval was refused";
    /// The resource is not the one that the request's `If-Match` names any more.
    ChangedMeanwhile = "changed-meanwhile", 412, "The resource has changed meanwhile";
    /// The act would contradict the present state, such as sharing twice with one account.
    Conflict = "conflict", 409, "This contradicts the present state";
    /// The idempotency key was used for another request.
    IdempotencyKeyReused = "idempotency-key-reused", 409, "The idempotency key was used for another request";
    /// The appliance does not run from an image of ours, and only images are updated and attested.
    NotAnImage = "not-an-image", 404, "Only an appliance image does that";
    /// The update is none that this appliance takes: not signed by its key, altered, or for another kind of machine.
    UpdateRefused = "update-refused", 422, "The update was refused";
    /// The update is older than what the appliance still starts.
    Downgrade = "downgrade", 409, "The update is older than what runs";
    /// The machine's TPM gives no quote, or none that holds.
    NotAttested = "not-attested", 503, "The machine's TPM does not attest";
    /// A stored record does not match its seal. The act was refused and logged.
    IntegrityFailure = "integrity-failure", 500, "A stored record does not match its seal";
    /// The HSM cannot be reached; nothing was done.
    HsmUnavailable = "hsm-unavailable", 503, "The HSM cannot be reached";
    /// The OpenID provider cannot be reached or does not answer as it should; nothing was done.
    ProviderUnavailable = "provider-unavailable", 503, "The OpenID provider cannot be reached";
    /// The appliance is sealed: it answers nothing else until its operators unseal it.
    Sealed = "sealed", 503, "The appliance is sealed";
    /// The storage does not take writes, or the appliance is overloaded or stopping; nothing was done.
    Unavailable = "unavailable", 503, "The appliance cannot do that now";
    /// There is no room left on the appliance's disk for what this would have to record; nothing was done. What needs no record goes on.
    StorageFull = "storage-full", 503, "The appliance's disk is full";
    /// A fault of the appliance. Its log says more.
    Internal = "internal", 500, "The appliance failed";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn every_code_is_spelt_alike_everywhere() {
        for code in Code::ALL {
            let json = serde_json::to_string(code).unwrap();
            assert_eq!(json, format!("\"{code}\""));
            assert_eq!(serde_json::from_str::<Code>(&json).unwrap(), *code);
            assert!((400..600).contains(&code.status()));
        }
    }

    #[test]
    fn a_newer_code_is_unknown_and_no_error() {
        let code: Code = serde_json::from_str("\"invented-next-year\"").unwrap();
        assert_eq!(code, Code::Unknown);
    }
}
