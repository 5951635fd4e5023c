//! Acts that take several people: what the domain's policy demands, and proposals, which wait for their approvals.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::account::Role;
use crate::approval::GivenApproval;
use crate::encoding::{Base64, Timestamp};
use crate::id::{AccountId, KeyId, ProposalId};
use crate::policy::DomainPolicy;

/// The most rules of a domain's policy about quorums.
pub const MOST_QUORUMS: usize = 64;
/// The header of a request that is made with a proposal's approvals.
pub const PROPOSAL_HEADER: &str = "Strongroom-Proposal";

macro_rules! guarded {
    ($( $(#[$doc:meta])* $name:ident = $text:literal; )*) => {
        /// An act that a domain's policy can make take several people, by its name in the audit log.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
        pub enum GuardedAct {
            $( $(#[$doc])* #[serde(rename = $text)] $name, )*
        }

        impl GuardedAct {
            /// Every one.
            pub const ALL: &'static [Self] = &[$( Self::$name, )*];

            /// Its name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$name => $text, )* }
            }
        }
    };
}

guarded! {
    /// Destroying a key.
    KeyDestroy = "key.destroy";
    /// A key's material leaves the appliance, released or wrapped.
    KeyRelease = "key.release";
    /// Changing the domain's policy.
    DomainPolicy = "domain.policy";
    /// Giving an account other roles.
    AccountUpdate = "account.update";
    /// Giving the master KEK a new version.
    MasterKekRotate = "master-kek.rotate";
    /// Taking a version of the master KEK out of use.
    MasterKekRetire = "master-kek.retire";
    /// Destroying a version of the master KEK in the HSM.
    MasterKekDestroy = "master-kek.destroy";
    /// Restoring the domain from a backup.
    DomainRestore = "domain.restore";
    /// Resetting the machine to how it left the factory, over the administration API.
    ApplianceReset = "appliance.reset";
}

/// What a domain's policy demands before an act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuorumRule {
    /// Before which act.
    pub act: GuardedAct,
    /// Of keys: only those with this label; all where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// So many people have to approve it, besides whoever proposes it: 1 to 16.
    pub count: u32,
    /// People of this role.
    pub role: Role,
    /// For so many seconds a proposal can be approved and carried out: a minute to 90 days.
    pub valid_for: u32,
}

/// The exact request that is proposed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all_fields = "snake_case")]
pub enum ProposedRequest {
    /// To destroy this key.
    #[serde(rename = "key.destroy")]
    KeyDestroy {
        /// The key.
        key: KeyId,
    },
    /// To have this key's material, once.
    #[serde(rename = "key.release")]
    KeyRelease {
        /// The key.
        key: KeyId,
    },
    /// To set the domain's policy to this.
    #[serde(rename = "domain.policy")]
    DomainPolicy {
        /// The policy.
        policy: Box<DomainPolicy>,
    },
    /// To give this account these roles and no others.
    #[serde(rename = "account.update")]
    AccountUpdate {
        /// The account.
        account: AccountId,
        /// The roles, sorted.
        roles: Vec<Role>,
    },
    /// To give the master KEK a new version.
    #[serde(rename = "master-kek.rotate")]
    MasterKekRotate {},
    /// To take this version of the master KEK out of use.
    #[serde(rename = "master-kek.retire")]
    MasterKekRetire {
        /// The version.
        version: u32,
    },
    /// To destroy this version of the master KEK in the HSM.
    #[serde(rename = "master-kek.destroy")]
    MasterKekDestroy {
        /// The version.
        version: u32,
    },
    /// To restore the domain from the backup with this database. Proposed and approved beside the appliance, which may be gone.
    #[serde(rename = "domain.restore")]
    DomainRestore {
        /// SHA-256 of the backup's database, in hexadecimal.
        database_sha256: String,
        /// When the backup was made.
        created: Timestamp,
        /// How many leaves its log has.
        leaves: u64,
    },
    /// To destroy all keys and data on the machine.
    #[serde(rename = "appliance.reset")]
    ApplianceReset {},
}

impl ProposedRequest {
    /// The act.
    #[must_use]
    pub const fn act(&self) -> GuardedAct {
        match self {
            Self::KeyDestroy { .. } => GuardedAct::KeyDestroy,
            Self::KeyRelease { .. } => GuardedAct::KeyRelease,
            Self::DomainPolicy { .. } => GuardedAct::DomainPolicy,
            Self::AccountUpdate { .. } => GuardedAct::AccountUpdate,
            Self::MasterKekRotate {} => GuardedAct::MasterKekRotate,
            Self::MasterKekRetire { .. } => GuardedAct::MasterKekRetire,
            Self::MasterKekDestroy { .. } => GuardedAct::MasterKekDestroy,
            Self::DomainRestore { .. } => GuardedAct::DomainRestore,
            Self::ApplianceReset {} => GuardedAct::ApplianceReset,
        }
    }
}

/// `POST /v1/proposals`: an act that waits for its approvals. The caller is the one who carries it out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Propose {
    /// The exact request.
    pub request: ProposedRequest,
}

/// How far a proposal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProposalState {
    /// It can be approved, and carried out once enough people have.
    Open,
    /// It was carried out.
    Used,
    /// Somebody was against it.
    Rejected,
    /// Whoever proposed it has withdrawn it.
    Withdrawn,
    /// It was not carried out in time.
    Expired,
}

impl ProposalState {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Used => "used",
            Self::Rejected => "rejected",
            Self::Withdrawn => "withdrawn",
            Self::Expired => "expired",
        }
    }
}

/// A proposal as those see it who have to do with it: whoever made it, and people of the role that approves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Proposal {
    /// Its identifier.
    pub id: ProposalId,
    /// How far it is.
    pub state: ProposalState,
    /// The exact request.
    pub request: ProposedRequest,
    /// SHA-256 of the request's canonical JSON (RFC 8785), in hexadecimal: what approvals name.
    pub request_sha256: String,
    /// The origin of the domain's log, which approvals name.
    pub domain_origin: String,
    /// Of a key: its label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Who made it, and carries it out.
    pub proposed_by: AccountId,
    /// Their name.
    pub proposed_by_name: String,
    /// When.
    pub created: Timestamp,
    /// Until when it can be approved and carried out.
    pub expires: Timestamp,
    /// How many people have to approve it.
    pub count: u32,
    /// Of which role.
    pub role: Role,
    /// Whether enough have.
    pub approved: bool,
    /// What was decided, the oldest first.
    pub approvals: Vec<GivenApproval>,
}

/// The answer to an act on a proposal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangedProposal {
    /// The proposal.
    pub proposal: Proposal,
    /// The index of the audit leaf.
    pub leaf: u64,
}

/// `GET /v1/proposals`: which.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ProposalQuery {
    /// Only those that are open.
    #[serde(default)]
    pub open: bool,
    /// Only those made before this one: what [`ProposalPage::next`] said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<ProposalId>,
}

/// A page of proposals, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProposalPage {
    /// The proposals.
    pub proposals: Vec<Proposal>,
    /// Given to `before` it brings the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<ProposalId>,
}

/// What `strongroomd restore` asks people to sign where the backup's policy demands a quorum, as a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestoreRequest {
    /// The origin of the domain's log.
    pub domain_origin: String,
    /// What approvals name as their subject: the backup's database, by its SHA-256.
    pub subject: String,
    /// The exact request.
    pub request: ProposedRequest,
}

/// An approval that was signed beside the appliance, as a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedApproval {
    /// The bytes of the statement.
    pub statement: Base64,
    /// The approval key: `SubjectPublicKeyInfo` in DER.
    pub public_key: Base64,
    /// The detached JWS over the statement.
    pub jws: String,
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::audit::Act;

    #[test]
    fn guarded_acts_are_called_as_in_the_log() {
        for act in GuardedAct::ALL {
            let json = serde_json::to_string(act).unwrap();
            assert_eq!(json, format!("{:?}", act.as_str()));
            assert!(Act::ALL.iter().any(|known| known.as_str() == act.as_str()));
        }
    }

    #[test]
    fn a_misspelt_request_is_an_error() {
        let version = r#"{"master-kek.retire":{"version":3}}"#;
        let request: ProposedRequest = serde_json::from_str(version).unwrap();
        assert_eq!(request.act(), GuardedAct::MasterKekRetire);
        assert_eq!(serde_json::to_string(&request).unwrap(), version);
        for wrong in [
            r#"{"master-kek.retire":{"version":3,"also":4}}"#,
            r#"{"master-kek.rotate":{"version":3}}"#,
            r#"{"key.create":{}}"#,
        ] {
            assert!(
                serde_json::from_str::<ProposedRequest>(wrong).is_err(),
                "{wrong}"
            );
        }
        assert!(serde_json::from_str::<ProposedRequest>(r#"{"master-kek.rotate":{}}"#).is_ok());
    }
}
