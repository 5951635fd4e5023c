//! Accounts, their kinds, states and roles; enrolment; members of groups.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::encoding::{Base64, Timestamp};
use crate::id::AccountId;

/// What an account stands for.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum AccountKind {
    /// A human being.
    Person,
    /// A machine that holds a secret of its own.
    Device,
    /// An application, such as one that uses the PKCS#11 module.
    Service,
    /// A set of accounts that share one KEK. Nobody signs in as a group.
    Group,
}

/// Whether an account may act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AccountState {
    /// Created; its holder has not enrolled yet. Keys can be shared with it.
    Pending,
    /// Enrolled.
    Active,
    /// May not sign in, and its sessions are refused.
    Suspended,
}

/// What an account may do beyond its own keys.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Manages accounts, the domain's policy and KEKs. Can read no key by it.
    Administrator,
    /// Reads the whole audit log.
    Auditor,
    /// Sets the domain's policy and looks after KEKs.
    SecurityOfficer,
    /// Enters authorisations.
    CaseOfficer,
    /// Approves authorisations.
    LegalApprover,
    /// Carries out disclosures that were approved.
    Executor,
    /// Hands out disclosures that were carried out.
    Releaser,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 7] = [
        Self::Administrator,
        Self::Auditor,
        Self::SecurityOfficer,
        Self::CaseOfficer,
        Self::LegalApprover,
        Self::Executor,
        Self::Releaser,
    ];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Administrator => "administrator",
            Self::Auditor => "auditor",
            Self::SecurityOfficer => "security-officer",
            Self::CaseOfficer => "case-officer",
            Self::LegalApprover => "legal-approver",
            Self::Executor => "executor",
            Self::Releaser => "releaser",
        }
    }
}

/// An account as its administrators and its holder see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Account {
    /// Its identifier.
    pub id: AccountId,
    /// Its name in the domain, lower-case, usually an e-mail address.
    pub name: String,
    /// What it stands for.
    pub kind: AccountKind,
    /// Whether it may act.
    pub state: AccountState,
    /// Its roles, sorted.
    pub roles: Vec<Role>,
    /// When it was created.
    pub created: Timestamp,
}

/// `POST /v1/accounts`: a new account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateAccount {
    /// 1 to 254 characters, no white space or control characters; kept in lower case.
    pub name: String,
    /// What it stands for.
    pub kind: AccountKind,
    /// Its roles; people only.
    #[serde(default)]
    pub roles: Vec<Role>,
    /// Groups only, and there required: the account that manages the group's members from the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manager: Option<String>,
}

/// The answer to [`CreateAccount`] and to a new enrolment code.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreatedAccount {
    /// The account.
    pub account: Account,
    /// The one-time code with which its holder enrols; shown this once. None for groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrolment_code: Option<String>,
    /// When the code lapses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrolment_expires: Option<Timestamp>,
    /// The index of the audit leaf.
    pub leaf: u64,
}

/// `PATCH /v1/accounts/{id}`: what an administrator can change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateAccount {
    /// `active` or `suspended`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<AccountState>,
    /// The roles it shall have from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<Role>>,
}

/// An account after an act on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangedAccount {
    /// The account.
    pub account: Account,
    /// The index of the audit leaf.
    pub leaf: u64,
}

/// `GET /v1/accounts`: a page of accounts, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AccountPage {
    /// The accounts.
    pub accounts: Vec<Account>,
    /// Given to `after` it brings the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// `POST /v1/enrolments/start`: an OPAQUE registration request (RFC 9807 section 5.1) with a one-time code.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StartEnrolment {
    /// The account's name.
    pub account: String,
    /// The one-time code.
    pub code: String,
    /// `RegistrationRequest`.
    pub request: Base64,
}

/// The answer to [`StartEnrolment`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EnrolmentStarted {
    /// The domain, which both ends bind into the registration.
    pub domain: String,
    /// `RegistrationResponse`.
    pub response: Base64,
}

/// `POST /v1/enrolments/finish`: the OPAQUE registration record. Uses the code up.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FinishEnrolment {
    /// The account's name.
    pub account: String,
    /// The one-time code.
    pub code: String,
    /// `RegistrationUpload`.
    pub upload: Base64,
}

/// Whether a member of a group manages its members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Membership {
    /// Uses the group's keys.
    Member,
    /// Also adds and removes members.
    Manager,
}

/// `PUT /v1/groups/{group}/members`: a new member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddMember {
    /// The account's name.
    pub account: String,
    /// As what.
    pub membership: Membership,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GroupMember {
    /// The account.
    pub account: AccountId,
    /// Its name.
    pub name: String,
    /// As what.
    pub membership: Membership,
}

/// `GET /v1/groups/{group}/members`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GroupMembers {
    /// The members, by name.
    pub members: Vec<GroupMember>,
}

/// The answer to an act that has nothing to show but its leaf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Done {
    /// The index of the audit leaf.
    pub leaf: u64,
}
