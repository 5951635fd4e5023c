//! The keystore: who may have which key, and the keys themselves.
//!
//! | module | what lives there |
//! |---|---|
//! | [`Keystore`] (`keystore`) | opening a domain, figures, what runs in the background, wiping |
//! | `act` | how acts and looks are run: who asks, in which transaction, leaving which leaf |
//! | `accounts`, `groups` | accounts and their roles; groups and their members |
//! | `roles` | what each role may do, and which exclude each other |
//! | `credentials/` | enrolment, second factors, passkeys, recovery codes |
//! | `sessions` | OPAQUE sign-in, sessions, their last use and stepping up |
//! | [`identities`] | sign-in with an identity at an OpenID provider, links, and the memberships that a provider says |
//! | [`domains`] | what operators do with a domain: suspend, quotas, moving to another HSM, counting |
//! | [`devices`] | devices and the secrets of devices and services: import, fleets, pairing, signed requests |
//! | `account_recovery` | recovering the account of somebody who has lost their password |
//! | `invitations`, `mail` | pending accounts for addresses; mail that waits to be sent |
//! | `keys/` | creating, releasing, finding, rotating and destroying keys; `keys/access` is the one way to a key's material |
//! | `objects` | certificates, data, and what accounts say of the parts of keys |
//! | `lawful/` | lawful access: authorisations, their approvals, and the keys that people approve with; disclosures, holds, notifications |
//! | `quorum/` | acts that several people have to approve, because the domain's policy says so; proposals |
//! | `grants` | sharing and revoking |
//! | `policy/` | usage policies: what the domain's, the key's and the grant's allow together; the domain's policy |
//! | `rotation/` | new versions of master KEKs and account KEKs, and moving to them what older ones wrapped and sealed |
//! | [`recovery`] | recovery KEKs, custodians' shares, master KEKs brought into another HSM |
//! | `audit`, `export` | records and their search, checkpoints, proofs, verification; bundles |
//! | `cosigning` | what witnesses are shown of the log, and what their cosignatures are worth |
//! | `scrub` | the whole database held against what the log says happened |
//! | `feed` | the log, leaf by leaf, for receivers outside |
//! | `attestation` | who may have the machine attested, what quotes are bound to, and their leaves |
//! | `updates` | who may order updates of the appliance's image, and what became of them |
//! | `figures` | how much was done and how far things are, for those who look after the appliance; comparing checkpoints |
//! | [`backup`] | backups: made while the appliance serves, verified before they are restored |
//! | `checkpoint_keys` | the keys that sign checkpoints, one for each HSM |
//! | `kept` | the database held against a checkpoint that is kept outside of it |
//! | `hierarchy/` | the domain's keys and the accounts' KEKs, cached in locked memory |
//! | `canonical`, `seal` | the canonical encoding that seals and MACs cover; the seals and MACs |
//! | [`store`] | storage behind one trait; all SQL |
//! | `clock`, `error` | time as a parameter; every refusal and failure |
//!
//! What must never happen here:
//!
//! - an access decision on the database's word: a record counts only after its MAC or seal has been checked;
//! - key material leaving before the leaf that says so is durable;
//! - waiting for the HSM while a transaction is open;
//! - a secret in an error, a log line or a `Debug` output;
//! - HTTP.

#![forbid(unsafe_code)]

mod account_recovery;
mod accounts;
mod act;
mod attestation;
mod audit;
pub mod backup;
mod canonical;
mod checkpoint_keys;
mod clock;
mod cosigning;
mod credentials;
pub mod devices;
pub mod directories;
pub mod domains;
mod error;
mod export;
mod feed;
mod figures;
mod grants;
mod groups;
mod hierarchy;
pub mod identities;
mod invitations;
mod kept;
mod keys;
mod keystore;
mod lawful;
mod mail;
mod objects;
mod operations;
mod policy;
pub mod quorum;
pub mod recovery;
mod reset;
mod roles;
mod rotation;
mod scrub;
mod seal;
mod sessions;
pub mod store;
mod updates;

pub use accounts::AccountSearch;
pub use act::{Presented, Proof, SessionToken};
pub use attestation::LogHead;
pub use audit::{AuditReport, FoundRecords, RecordSearch, verify_audit};
pub use clock::{Clock, SystemClock};
pub use cosigning::Submission;
pub use error::{Answer, Error, Refusal};
pub use export::Export;
pub use feed::FedLeaf;
pub use figures::{
    AccountKekFigure, Comparison, CoveredLeaves, Figures, HourCounts, WitnessFigure,
    role_conflicts, role_powers,
};
pub use groups::OwnGroup;
pub use hierarchy::checkpoint_key_label;
pub use kept::{Held, hold_against};
pub use keys::HardwareReview;
pub use keystore::{Keystore, NewDomain, Options, PasskeyParty, Statistics};
pub use lawful::deliver::Delivery;
pub use lawful::may::CaseAct;
pub use lawful::waiting::{CaseTask, WaitingCase};
pub use mail::{CredentialChange, Mail, MailContent};
pub use scrub::{Finding, Progress, ScrubReport, Wrong, scrub};
pub use sessions::Presence;
pub use strongroom_audit::cosignature::WitnessKey;
