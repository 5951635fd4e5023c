//! What an authorisation record says of who has to approve it.

use serde::Deserialize;
use strongroom_approval::canonical;
use strongroom_wire::account::Role;
use strongroom_wire::authorisation::RECORD_FORMAT;

/// The least number of legal approvers by whom an authorisation is approved, whatever its record says.
pub(super) const LEAST: u32 = 2;

/// How many have to approve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) count: u32,
    /// Whether one is enough at first.
    pub(super) emergency: bool,
}

/// The members of a record that matter here.
#[derive(Deserialize)]
struct Record {
    format: String,
    authorisation: String,
    generation: u32,
    domain_origin: String,
    approvals_needed: u32,
    approvers: Role,
    order: Order,
}

#[derive(Deserialize)]
struct Order {
    #[serde(default)]
    flags: Flags,
}

#[derive(Default, Deserialize)]
struct Flags {
    #[serde(default)]
    emergency: bool,
}

impl Terms {
    /// The terms in these bytes, if they are the record of this generation of this case.
    pub(super) fn read(bytes: &[u8], origin: &str, case: &str, generation: u32) -> Option<Self> {
        let record: Record = canonical::from_slice(bytes).ok()?;
        let is_of_it = record.format == RECORD_FORMAT
            && record.authorisation == case
            && record.generation == generation
            && record.domain_origin == origin
            && record.approvers == Role::LegalApprover;
        is_of_it.then_some(Self {
            count: record.approvals_needed.max(LEAST),
            emergency: record.order.flags.emergency,
        })
    }
}
