//! The numbers by which enumerations stand in the canonical encoding and in the database. They are added, never changed.

use strongroom_wire::account::{AccountKind, AccountState, Membership, Role};
use strongroom_wire::approval::Decision;
use strongroom_wire::authorisation::AuthorisationState;
use strongroom_wire::certificate::CertificateNameKind;
use strongroom_wire::key::{
    Algorithm, GrantState, KeyState, Origin, Protection, Releasable, Right,
};
use strongroom_wire::object::ObjectPart;
use strongroom_wire::proposal::ProposalState;
use strongroom_wire::session::SignInStrength;

use super::lawful::DocumentKind;
use super::records::CredentialKind;

/// Writes a pair of functions between a wire enumeration and its number in the canonical encoding and in the database.
macro_rules! numbers {
    ($type:ty, $to:ident, $from:ident, $( $variant:ident = $number:literal ),+ $(,)?) => {
        pub(crate) const fn $to(value: $type) -> u8 {
            match value { $( <$type>::$variant => $number, )+ }
        }

        pub(crate) const fn $from(number: u8) -> Option<$type> {
            match number { $( $number => Some(<$type>::$variant), )+ _ => None }
        }
    };
}

numbers!(
    AccountKind,
    kind_number,
    kind_from,
    Person = 1,
    Device = 2,
    Service = 3,
    Group = 4
);
numbers!(
    AccountState,
    account_state_number,
    account_state_from,
    Pending = 1,
    Active = 2,
    Suspended = 3,
);
numbers!(
    Membership,
    membership_number,
    membership_from,
    Member = 1,
    Manager = 2
);
numbers!(
    CredentialKind,
    credential_number,
    credential_from,
    EnrolmentCode = 1,
    Opaque = 2,
    Totp = 10,
    TotpPending = 11,
    RecoveryCodes = 12,
);
numbers!(
    Decision,
    decision_number,
    decision_from,
    Approve = 1,
    Reject = 2,
);
numbers!(
    AuthorisationState,
    authorisation_state_number,
    authorisation_state_from,
    AwaitingApproval = 1,
    Approved = 2,
    Rejected = 3,
    Suspended = 4,
    Cancelled = 5,
    Expired = 6,
    Invalid = 7,
    EmergencyApproval = 8,
);
numbers!(
    ProposalState,
    proposal_state_number,
    proposal_state_from,
    Open = 1,
    Used = 2,
    Rejected = 3,
    Withdrawn = 4,
    Expired = 5,
);
numbers!(
    DocumentKind,
    document_kind_number,
    document_kind_from,
    Warrant = 1,
    Record = 2,
    Evidence = 3,
    Request = 4,
    Delivery = 5,
    Hold = 6,
);
numbers!(
    CertificateNameKind,
    certificate_name_number,
    certificate_name_from,
    Fingerprint = 1,
    Uri = 2,
    Dns = 3
);
numbers!(
    Algorithm,
    algorithm_number,
    algorithm_from,
    Aes256 = 1,
    HmacSha256 = 2,
    Aes128 = 3,
    Aes192 = 4,
    GenericSecret = 5,
    Rsa2048 = 10,
    Rsa3072 = 11,
    Rsa4096 = 12,
    EcP256 = 20,
    EcP384 = 21,
    EcP521 = 22,
    Ed25519 = 30,
    X25519 = 31,
    MlDsa65 = 40,
    MlKem768 = 41,
);
numbers!(
    ObjectPart,
    object_part_number,
    object_part_from,
    Secret = 1,
    Private = 2,
    Public = 3,
    Object = 4,
);
numbers!(
    Releasable,
    releasable_number,
    releasable_from,
    ByPolicy = 1,
    Never = 2,
    NoMore = 3,
);
numbers!(
    Origin,
    origin_number,
    origin_from,
    Generated = 1,
    Imported = 2,
    Unwrapped = 3,
    Derived = 4,
);
numbers!(
    Protection,
    protection_number,
    protection_from,
    Software = 1,
    Hsm = 2,
);
numbers!(
    KeyState,
    key_state_number,
    key_state_from,
    PreActive = 1,
    Active = 2,
    Suspended = 3,
    Deactivated = 4,
    Compromised = 5,
    Destroyed = 6,
);
numbers!(
    GrantState,
    grant_state_number,
    grant_state_from,
    Active = 1,
    Revoked = 2
);
numbers!(
    SignInStrength,
    strength_number,
    strength_from,
    Secret = 10,
    Password = 20,
    TwoFactor = 30,
    Passkey = 40,
);
numbers!(
    Role,
    role_number,
    role_from,
    Administrator = 0,
    Auditor = 1,
    SecurityOfficer = 2,
    CaseOfficer = 3,
    LegalApprover = 4,
    Executor = 5,
    Releaser = 6,
);

/// The roles as bits, each at its number.
pub(crate) fn roles_bits(roles: &[Role]) -> u32 {
    roles
        .iter()
        .fold(0, |bits, role| bits | 1 << role_number(*role))
}

/// The roles of these bits, sorted; none when a bit has no meaning.
pub(crate) fn roles_from(bits: u32) -> Option<Vec<Role>> {
    (0..32)
        .filter(|bit| bits >> bit & 1 == 1)
        .map(role_from)
        .collect()
}

/// The rights as bits, in the order of [`Right::ALL`].
pub(crate) fn rights_bits(rights: &[Right]) -> u32 {
    Right::ALL
        .iter()
        .enumerate()
        .filter(|(_, right)| rights.contains(right))
        .fold(0, |bits, (position, _)| bits | 1 << position)
}

/// The rights of these bits, sorted; none when a bit has no meaning.
pub(crate) fn rights_from(bits: u32) -> Option<Vec<Right>> {
    if bits >> Right::ALL.len() != 0 {
        return None;
    }
    Some(
        Right::ALL
            .iter()
            .enumerate()
            .filter(|(position, _)| bits >> position & 1 == 1)
            .map(|(_, right)| *right)
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rights_and_roles_round_trip(bits: u32) {
            match rights_from(bits) {
                Some(rights) => prop_assert_eq!(rights_bits(&rights), bits),
                None => prop_assert!(bits >= 1 << Right::ALL.len()),
            }
            if let Some(roles) = roles_from(bits) {
                prop_assert_eq!(roles_bits(&roles), bits);
            }
        }
    }
}
