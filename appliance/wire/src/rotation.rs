//! Rotation of master KEKs and account KEKs, and how far it is.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::AccountId;

/// What a version of the master KEK is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum MasterKekState {
    /// It wraps and unwraps: the newest version.
    Newest,
    /// It only unwraps, what has not been wrapped again yet or nothing any more.
    Older,
    /// It is used for nothing and waits to be destroyed.
    Retired,
    /// Something is said to be wrapped by it, and the HSM does not hold it.
    Missing,
    /// It wraps as soon as the appliance's second HSM has it too.
    Waiting,
    /// The act that made it did not end, so that it cannot be recovered: it wraps nothing, and the next rotation makes another.
    Unused,
}

/// A version of the master KEK.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MasterKek {
    /// The version; the first is 1.
    pub version: u32,
    /// What it is used for.
    pub state: MasterKekState,
    /// How many keys are wrapped by it: account KEKs, and the domain key.
    pub wrapped: u64,
    /// Whether custodians can recover it into another HSM.
    #[serde(default)]
    pub recoverable: bool,
}

/// How far the rotation of one account's KEK is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AccountKekRotation {
    /// The account.
    pub account: AccountId,
    /// Its name, for people.
    pub name: String,
    /// The version that seals now.
    pub version: u32,
    /// How many values are sealed under that version: copies of keys, memberships, sessions.
    pub done: u64,
    /// How many are sealed under older ones.
    pub left: u64,
}

/// `GET /v1/rotation`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RotationStatus {
    /// The versions of the master KEK, in ascending order. Those that have been destroyed are not among them.
    pub master_keks: Vec<MasterKek>,
    /// How many keys are still wrapped by older versions than the newest.
    pub left: u64,
    /// The accounts whose KEK's rotation is under way: the first 100.
    pub accounts: Vec<AccountKekRotation>,
    /// How many such accounts there are.
    pub accounts_under_way: u64,
    /// How many of the records that were last tried do not match their seals. They keep their rotation from ending, and are in the audit log.
    pub damaged: u64,
}

/// The answer to an act on a version of the master KEK.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangedMasterKek {
    /// The version that was made, retired or destroyed.
    pub version: u32,
    /// The index of the audit leaf.
    pub leaf: u64,
}

/// The answer to the start of an account KEK's rotation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RotatedAccountKek {
    /// The account.
    pub account: AccountId,
    /// The KEK's new version.
    pub version: u32,
    /// The index of the audit leaf.
    pub leaf: u64,
}
