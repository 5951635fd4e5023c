//! Edits of the rows of lawful access and proposals, and what each is meant to gain.

use super::super::cases::{Attempt, Case, FOUND, Outcome, case};
use super::super::world::Who;
use super::Lawful;

use Lawful::{
    ApprovalKeys, Approve, ApproveProposal, Deliver, Execute, ExecuteWaiting, Notifications,
    OthersApprovalKeys, Release, Show, ShowWaiting,
};
use Outcome::Scrubbed;
use Who::{Alice, Bob};

const fn law(name: &'static str, edit: &'static str, attempt: Lawful, outcome: Outcome) -> Case {
    case(name, edit, Attempt::Law(attempt), outcome)
}

/// Every case.
#[rustfmt::skip]
pub(crate) const CASES: &[Case] = &[
    // Documents: records, evidence, warrants, deliveries.
    law("document.sealed of another", "UPDATE documents SET sealed = (SELECT sealed FROM documents WHERE sha256 = {record.effect}) WHERE sha256 = {record.waiting}", ShowWaiting, FOUND),
    law("document.sha256 of another", "DELETE FROM documents WHERE sha256 = {record.waiting}; UPDATE documents SET sha256 = {record.waiting} WHERE sha256 = {record.effect}", ShowWaiting, FOUND),
    law("document.kind is another", "UPDATE documents SET kind = 1 WHERE sha256 = {record.effect}", Show, FOUND),
    law("document.created is another", "UPDATE documents SET created = created - 1 WHERE sha256 = {record.effect}", Execute, FOUND),
    law("document removed", "DELETE FROM documents WHERE sha256 = {record.effect}", Execute, FOUND),
    law("evidence removed", "DELETE FROM documents WHERE sha256 IN (SELECT evidence FROM approvals WHERE subject = {case.effect})", Execute, FOUND),
    law("evidence of another approval", "UPDATE documents SET sealed = (SELECT sealed FROM documents WHERE sha256 = (SELECT min(evidence) FROM approvals WHERE subject = {case.effect})) WHERE sha256 = (SELECT max(evidence) FROM approvals WHERE subject = {case.effect})", Execute, FOUND),

    // Approval keys.
    law("approval_key.account is mallory", "UPDATE approval_keys SET account = {mallory} WHERE id = {approval_key.ruben}", OthersApprovalKeys, FOUND),
    law("approval_key.public_key is another", "UPDATE approval_keys SET public_key = CAST(substr(public_key, 1, 12) || randomblob(32) AS BLOB) WHERE id = {approval_key.ruben}", Approve, FOUND),
    law("approval_key.id is another", "UPDATE approval_keys SET id = {new} WHERE id = {approval_key.ruben}", ApprovalKeys, FOUND),
    law("approval_key.name is another", "UPDATE approval_keys SET name = 'harmless' WHERE id = {approval_key.ruben}", ApprovalKeys, FOUND),
    law("approval_key.created earlier", "UPDATE approval_keys SET created = created - 1 WHERE id = {approval_key.ruben}", Approve, FOUND),
    law("approval_key.mac of another", "UPDATE approval_keys SET mac = (SELECT mac FROM approval_keys WHERE id <> {approval_key.ruben} LIMIT 1) WHERE id = {approval_key.ruben}", Approve, FOUND),
    law("approval_key removed", "DELETE FROM approval_keys WHERE id = {approval_key.ruben}", ApprovalKeys, Scrubbed),

    // Authorisations.
    law("authorisation.state is approved", "UPDATE authorisations SET state = 2 WHERE id = {case.waiting}", ExecuteWaiting, FOUND),
    law("authorisation.state and authorisation.mac are those of one that is approved", "UPDATE authorisations SET (state, mac) = (SELECT state, mac FROM authorisations WHERE id = {case.effect}) WHERE id = {case.waiting}", ExecuteWaiting, FOUND),
    law("authorisation.state has no meaning", "UPDATE authorisations SET state = 99 WHERE id = {case.waiting}", ShowWaiting, FOUND),
    law("authorisation.id is that of one that waits", "DELETE FROM authorisations WHERE id = {case.waiting}; UPDATE authorisations SET id = {case.waiting} WHERE id = {case.effect}", ExecuteWaiting, FOUND),
    law("authorisation.record of one that is approved", "UPDATE authorisations SET record = {record.effect} WHERE id = {case.waiting}", Approve, FOUND),
    law("authorisation.record of one that waits", "UPDATE authorisations SET record = {record.waiting} WHERE id = {case.effect}", Execute, FOUND),
    law("authorisation.generation is another", "UPDATE authorisations SET generation = 2 WHERE id = {case.effect}", Execute, FOUND),
    law("authorisation.domain is another", "UPDATE authorisations SET domain = 2 WHERE id = {case.effect}", Show, FOUND),
    law("authorisation.ends later", "UPDATE authorisations SET ends = ends + 31536000000 WHERE id = {case.effect}", Execute, FOUND),
    law("authorisation.since is another", "UPDATE authorisations SET since = since - 1 WHERE id = {case.effect}", Show, FOUND),
    law("authorisation.resumes_to is approved", "UPDATE authorisations SET resumes_to = 2 WHERE id = {case.waiting}", ShowWaiting, FOUND),
    law("authorisation.reason is another", "UPDATE authorisations SET reason = 'harmless' WHERE id = {case.effect}", Show, FOUND),
    law("authorisation.ratify_by is another", "UPDATE authorisations SET ratify_by = 1 WHERE id = {case.effect}", Execute, FOUND),
    law("authorisation.terminated is another", "UPDATE authorisations SET terminated = 1 WHERE id = {case.effect}", Show, FOUND),
    law("authorisation.mac is another", "UPDATE authorisations SET mac = zeroblob(32) WHERE id = {case.effect}", Execute, FOUND),
    law("authorisation removed", "DELETE FROM authorisations WHERE id = {case.waiting}", Show, Scrubbed),

    // Generations: who entered them may not approve.
    law("generation.entered_by is mallory", "UPDATE authorisation_generations SET entered_by = {mallory} WHERE authorisation = {case.waiting}", Approve, FOUND),
    law("generation.record is another", "UPDATE authorisation_generations SET record = {record.effect} WHERE authorisation = {case.waiting}", Approve, FOUND),
    law("generation.generation is another", "UPDATE authorisation_generations SET generation = 2 WHERE authorisation = {case.waiting}", Approve, FOUND),
    law("generation.entered is another", "UPDATE authorisation_generations SET entered = entered - 1 WHERE authorisation = {case.effect}", Execute, FOUND),
    law("generation.authorisation is another", "DELETE FROM authorisation_generations WHERE authorisation = {case.effect}; UPDATE authorisation_generations SET authorisation = {case.effect} WHERE authorisation = {case.waiting}", Execute, FOUND),
    law("generation.mac is another", "UPDATE authorisation_generations SET mac = zeroblob(32) WHERE authorisation = {case.effect}", Execute, FOUND),
    law("generation removed", "DELETE FROM authorisation_generations WHERE authorisation = {case.waiting}", ShowWaiting, Scrubbed),

    // Approvals.
    law("approval.subject is one that waits", "UPDATE approvals SET subject = {case.waiting} WHERE subject = {case.effect} AND account = {ruben}", Approve, FOUND),
    law("approval copied to one that waits", "INSERT INTO approvals SELECT {case.waiting}, generation, account, decision, time, valid_until, evidence, mac FROM approvals WHERE subject = {case.effect} AND account = {ruben}", ShowWaiting, FOUND),
    law("approval removed", "DELETE FROM approvals WHERE subject = {case.effect} AND account = {ruben}", Execute, FOUND),
    law("approval.generation is another", "UPDATE approvals SET generation = 2 WHERE subject = {case.effect} AND account = {ruben}", Execute, FOUND),
    law("approval.account is carl", "UPDATE approvals SET account = {carl} WHERE subject = {case.effect} AND account = {ruben}", Execute, FOUND),
    law("approval.decision is another", "UPDATE approvals SET decision = 3 - decision WHERE subject = {case.effect} AND account = {ruben}", Execute, FOUND),
    law("approval.time is another", "UPDATE approvals SET time = time - 1 WHERE subject = {case.effect} AND account = {ruben}", Execute, FOUND),
    law("approval.valid_until later", "UPDATE approvals SET valid_until = valid_until + 31536000000 WHERE subject = {case.effect} AND account = {ruben}", Execute, FOUND),
    law("approval.evidence of another", "UPDATE approvals SET evidence = (SELECT evidence FROM approvals WHERE subject = {case.effect} AND account <> {ruben}) WHERE subject = {case.effect} AND account = {ruben}", Execute, FOUND),
    law("approval.mac is another", "UPDATE approvals SET mac = zeroblob(32) WHERE subject = {case.effect} AND account = {ruben}", Execute, FOUND),

    // Proposals.
    law("proposal.state is another", "UPDATE proposals SET state = 3 WHERE id = {proposal}", Lawful::Proposal, FOUND),
    law("proposal.count lower", "UPDATE proposals SET count = 1 WHERE id = {proposal}", ApproveProposal, FOUND),
    law("proposal.role is another", "UPDATE proposals SET role = 0 WHERE id = {proposal}", Lawful::Proposal, FOUND),
    law("proposal.request is another", "UPDATE proposals SET request = {record.effect} WHERE id = {proposal}", ApproveProposal, FOUND),
    law("proposal.proposed_by is mallory", "UPDATE proposals SET proposed_by = {mallory} WHERE id = {proposal}", ApproveProposal, FOUND),
    law("proposal.created is another", "UPDATE proposals SET created = created - 1 WHERE id = {proposal}", Lawful::Proposal, FOUND),
    law("proposal.expires later", "UPDATE proposals SET expires = expires + 31536000000 WHERE id = {proposal}", ApproveProposal, FOUND),
    law("proposal.domain is another", "UPDATE proposals SET domain = 2 WHERE id = {proposal}", Lawful::Proposal, FOUND),
    law("proposal.mac is another", "UPDATE proposals SET mac = zeroblob(32) WHERE id = {proposal}", ApproveProposal, FOUND),
    law("proposal removed", "DELETE FROM proposals WHERE id = {proposal}", Show, Scrubbed),

    // Disclosures.
    law("disclosure.executor is another", "UPDATE disclosures SET executor = {mallory} WHERE id = {disclosure.executed}", Release, FOUND),
    law("disclosure.executed later", "UPDATE disclosures SET executed = executed + 1000000 WHERE id = {disclosure.executed}", Release, FOUND),
    law("disclosure.generation is another", "UPDATE disclosures SET generation = 2 WHERE id = {disclosure.executed}", Release, FOUND),
    law("disclosure.authorisation is another", "UPDATE disclosures SET authorisation = {case.waiting} WHERE id = {disclosure.executed}", Release, FOUND),
    law("disclosure.domain is another", "UPDATE disclosures SET domain = 2 WHERE id = {disclosure.executed}", Release, FOUND),
    law("disclosure.items is another", "UPDATE disclosures SET items = 9 WHERE id = {disclosure.executed}", Release, FOUND),
    law("disclosure.digest is another", "UPDATE disclosures SET digest = zeroblob(32) WHERE id = {disclosure.executed}", Release, FOUND),
    law("disclosure.releaser is another", "UPDATE disclosures SET releaser = executor WHERE id = {disclosure.released}", Deliver, FOUND),
    law("disclosure.released is another", "UPDATE disclosures SET released = released + 1 WHERE id = {disclosure.released}", Deliver, FOUND),
    law("disclosure.manifest is another", "UPDATE disclosures SET manifest = {record.effect} WHERE id = {disclosure.released}", Deliver, FOUND),
    law("disclosure.leaf is another", "UPDATE disclosures SET leaf = leaf - 1 WHERE id = {disclosure.released}", Deliver, FOUND),
    law("disclosure.release of another", "UPDATE disclosures SET (releaser, released, manifest, leaf) = (SELECT releaser, released, manifest, leaf FROM disclosures WHERE id = {disclosure.released}) WHERE id = {disclosure.executed}", Release, FOUND),
    law("disclosure.mac is another", "UPDATE disclosures SET mac = zeroblob(32) WHERE id = {disclosure.released}", Deliver, FOUND),
    law("disclosure removed", "DELETE FROM disclosures WHERE id = {disclosure.executed}", Show, Scrubbed),

    // Their items.
    law("item.key is another", "UPDATE disclosure_items SET key = {key.shared} WHERE disclosure = {disclosure.released} AND sequence = 1", Deliver, FOUND),
    law("item.version is another", "UPDATE disclosure_items SET version = 9 WHERE disclosure = {disclosure.released} AND sequence = 1", Deliver, FOUND),
    law("item.record is another", "UPDATE disclosure_items SET record = {record.effect} WHERE disclosure = {disclosure.released} AND sequence = 1", Deliver, FOUND),
    law("item.sealed is another", "UPDATE disclosure_items SET sealed = zeroblob(90) WHERE disclosure = {disclosure.released} AND sequence = 1", Deliver, FOUND),
    law("item.sealed of another", "UPDATE disclosure_items SET sealed = (SELECT sealed FROM disclosure_items WHERE sequence = 2) WHERE disclosure = {disclosure.released} AND sequence = 1", Deliver, FOUND),
    law("item.generation is another", "UPDATE disclosure_items SET generation = 2 WHERE disclosure = {disclosure.released} AND sequence = 1", Deliver, FOUND),
    law("item.authorisation is another", "UPDATE disclosure_items SET authorisation = {case.waiting} WHERE disclosure = {disclosure.released} AND sequence = 1", Deliver, FOUND),
    law("item.sequence is another", "UPDATE disclosure_items SET sequence = 3 WHERE disclosure = {disclosure.released} AND sequence = 2", Deliver, FOUND),
    law("item.disclosure is another", "UPDATE disclosure_items SET disclosure = {disclosure.executed} WHERE disclosure = {disclosure.released} AND sequence = 2", Deliver, FOUND),
    law("item.mac is another", "UPDATE disclosure_items SET mac = zeroblob(32) WHERE disclosure = {disclosure.released} AND sequence = 1", Deliver, FOUND),
    law("item removed", "DELETE FROM disclosure_items WHERE disclosure = {disclosure.released} AND sequence = 2", Deliver, FOUND),

    // Copies that holds keep.
    law("held_key.sealed is another", "UPDATE held_keys SET sealed = zeroblob(60)", Release, FOUND),
    law("held_key.sealed of another", "UPDATE held_keys SET sealed = (SELECT sealed FROM held_keys ORDER BY key LIMIT 1) WHERE key = (SELECT max(key) FROM held_keys)", Release, FOUND),
    law("held_key.version is another", "UPDATE held_keys SET version = 9", Release, FOUND),
    law("held_key.held is another", "UPDATE held_keys SET held = held + 1", Release, FOUND),
    law("held_key.domain is another", "UPDATE held_keys SET domain = 2", Release, FOUND),
    law("held_key.key is another", "UPDATE held_keys SET key = {key.destroyed} WHERE key = (SELECT max(key) FROM held_keys)", Show, Scrubbed),
    law("held_key removed", "DELETE FROM held_keys", Show, Scrubbed),

    // Notifications.
    law("notification.due later", "UPDATE notifications SET due = due + 31536000000 WHERE account = {alice}", Notifications(Alice), FOUND),
    law("notification.told is another", "UPDATE notifications SET told = 5 WHERE account = {alice}", Notifications(Alice), FOUND),
    law("notification.account is bob", "UPDATE notifications SET account = {bob} WHERE account = {alice}", Notifications(Bob), FOUND),
    law("notification.disclosure is another", "UPDATE notifications SET disclosure = {disclosure.executed} WHERE account = {alice}", Notifications(Alice), FOUND),
    law("notification.domain is another", "UPDATE notifications SET domain = 2 WHERE account = {alice}", Notifications(Alice), FOUND),
    law("notification.mac is another", "UPDATE notifications SET mac = zeroblob(32) WHERE account = {alice}", Notifications(Alice), FOUND),
    law("notification removed", "DELETE FROM notifications WHERE account = {alice}", Notifications(Alice), Scrubbed),
];

/// What comes out as it should where nothing is edited, in this order.
pub(crate) const PERMITTED: &[Lawful] = &[
    Show,
    ShowWaiting,
    ApprovalKeys,
    OthersApprovalKeys,
    Execute,
    Release,
    Deliver,
    Notifications(Alice),
    Notifications(Bob),
    Lawful::Proposal,
    ApproveProposal,
    Approve,
];

/// What does not, without a single edit.
pub(crate) const FORBIDDEN: &[Lawful] = &[ExecuteWaiting];
