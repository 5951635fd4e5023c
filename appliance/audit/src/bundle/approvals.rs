//! The approvals in a bundle (`FORMAT.md`, "Approvals"): each verified by its evidence and by what leaves before it say, and the quorums that they make.
//!
//! What is held in memory grows with the people who approve and with the cases, not with the log.

mod problem;
mod restore;
mod terms;

use std::collections::{HashMap, HashSet};

use strongroom_approval::{Approval, Decision, Discount, Evidence, Of, Quorum, Statement};
use strongroom_wire::account::Role;
use strongroom_wire::id::AccountId;

pub use self::problem::ApprovalProblem;
use self::restore::Restore;
use self::terms::{LEAST, Terms};
use super::line::hex;
use super::{Document, DocumentKind, Filter};
use crate::event::Event;

/// What a bundle shows: the leaves from this one on that the filter lets through.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown<'a> {
    pub(super) first: u64,
    pub(super) filter: &'a Filter,
}

/// What was decided on: an authorisation by its identifier, or a proposal by its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Subject {
    Case(String),
    Proposal(String),
}

/// A generation of an authorisation, or a proposal.
#[derive(Debug, Clone)]
struct Matter {
    /// The leaf that made it.
    leaf: u64,
    /// The SHA-256 of its record or request, in hexadecimal.
    sha256: String,
    quorum: Quorum,
    /// The proposed act; none of an authorisation.
    act: Option<String>,
    /// Of an authorisation: what its record says, where the bundle shows it.
    terms: Option<Terms>,
    approvals: Vec<Approval>,
}

/// The leaf of an approval, until its evidence comes.
#[derive(Debug, Clone)]
struct Pending {
    index: u64,
    event: Event,
    subject: Subject,
    generation: u32,
    state: Option<String>,
}

/// What leaves say of people, and the approvals so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Approvals {
    /// The leaves that say which key an account has.
    keys: HashMap<AccountId, Vec<(u64, String)>>,
    /// The leaves that say which credential an account lost; without an identifier, all.
    lost: HashMap<AccountId, Vec<(u64, Option<String>)>>,
    /// The roles that the last leaf about an account gives it.
    roles: HashMap<AccountId, (u64, Vec<String>)>,
    matters: HashMap<(Subject, u32), Matter>,
    /// Who entered, changed or proposed.
    excluded: HashMap<Subject, HashSet<AccountId>>,
    pending: Option<Pending>,
    /// The leaf that entered a generation of a case, until its record comes.
    entered: Option<(u64, Subject, u32)>,
    /// The leaf of a restore that took a quorum, until its documents have come.
    restore: Option<Restore>,
    /// How many approvals hold.
    pub(super) verified: u64,
    /// How many quorums were there as their leaves say.
    pub(super) quorums: u64,
    /// How many quorums cannot be judged: the bundle does not show all that they rest on.
    pub(super) unjudged: u64,
}

impl Approvals {
    /// Takes a leaf that was shown in full, or proved by itself. Answers a quorum that was not there.
    pub(super) fn leaf(
        &mut self,
        index: u64,
        event: &Event,
        shown: Shown<'_>,
    ) -> Option<ApprovalProblem> {
        self.pending = None;
        self.entered = None;
        self.restore = None;
        if !event.done {
            return None;
        }
        let note = event.detail.note.as_deref().unwrap_or_default();
        let words: Vec<&str> = note.split(' ').collect();
        let pending = |subject, generation, state: Option<&str>| Pending {
            index,
            event: event.clone(),
            subject,
            generation,
            state: state.map(str::to_owned),
        };
        match (event.act.as_str(), words.as_slice()) {
            (
                "authorisation.approve" | "authorisation.reject",
                [
                    "case",
                    case,
                    "generation",
                    generation,
                    "evidence",
                    _,
                    rest @ ..,
                ],
            ) => {
                let state = match rest {
                    ["state", state, ..] => Some(*state),
                    _ => None,
                };
                let subject = Subject::Case((*case).to_owned());
                self.pending = Some(pending(subject, generation.parse().ok()?, state));
            }
            ("proposal.approve" | "proposal.reject", ["proposal", id, "evidence", ..]) => {
                let subject = Subject::Proposal((*id).to_owned());
                self.pending = Some(pending(subject, 0, None));
            }
            ("proposal.use", ["proposal", id, ..]) => {
                let subject = Subject::Proposal((*id).to_owned());
                return self.judge(&(subject, 0), event, shown, false);
            }
            ("domain.restore", words) => match Restore::of(index, words) {
                Ok(restore) => self.restore = restore,
                Err(problem) => return Some(problem),
            },
            (act, words) => {
                self.person(index, act, words, event);
                self.matter(index, act, words, event);
            }
        }
        None
    }

    /// What a leaf says of a person: their keys, and their roles.
    fn person(&mut self, index: u64, act: &str, words: &[&str], event: &Event) -> Option<()> {
        let actor = event.detail.actor;
        match (act, words) {
            ("credential.add", [.., "key", sha256]) => {
                let keys = self.keys.entry(actor?).or_default();
                keys.push((index, (*sha256).to_owned()));
            }
            ("credential.remove", words) => {
                let lost = self.lost.entry(actor?).or_default();
                lost.extend(words.iter().map(|word| (index, Some((*word).to_owned()))));
            }
            ("account-recovery.finish", _) => {
                self.lost.entry(actor?).or_default().push((index, None));
            }
            ("account.create" | "account.update", _) => {
                let note = event.detail.note.as_deref()?;
                let roles = note.split_once("roles [")?.1.strip_suffix(']')?;
                let roles = roles.split(", ").map(str::to_owned).collect();
                let known = self.roles.entry(event.detail.subject?).or_default();
                if index >= known.0 {
                    *known = (index, roles);
                }
            }
            _ => {}
        }
        Some(())
    }

    /// What a leaf says of something to be approved: that it was entered or proposed, and by whom.
    fn matter(&mut self, index: u64, act: &str, words: &[&str], event: &Event) -> Option<()> {
        let (subject, generation, matter) = match (act, words) {
            (
                "authorisation.enter" | "authorisation.change",
                ["case", case, "generation", generation, "record", sha256, ..],
            ) => {
                let quorum = Quorum {
                    count: LEAST,
                    role: Role::LegalApprover,
                };
                let matter = Matter::new(index, sha256, quorum, None);
                (
                    Subject::Case((*case).to_owned()),
                    generation.parse().ok()?,
                    matter,
                )
            }
            (
                "proposal.make",
                [
                    "proposal",
                    id,
                    "act",
                    act,
                    "request",
                    sha256,
                    "quorum",
                    count,
                    "of",
                    role,
                    ..,
                ],
            ) => {
                let role = Role::ALL.into_iter().find(|other| other.as_str() == *role);
                let quorum = Quorum {
                    count: count.parse().ok()?,
                    role: role?,
                };
                let matter = Matter::new(index, sha256, quorum, Some(act));
                (Subject::Proposal((*id).to_owned()), 0, matter)
            }
            _ => return None,
        };
        let excluded = self.excluded.entry(subject.clone()).or_default();
        excluded.extend(event.detail.actor);
        if matter.act.is_none() {
            self.entered = Some((index, subject.clone(), generation));
        }
        self.matters.entry((subject, generation)).or_insert(matter);
        Some(())
    }

    /// Takes a document that the leaf before names. Answers the leaf's index and what is wrong with its approval.
    pub(super) fn document(
        &mut self,
        document: &Document,
        origin: &str,
        shown: Shown<'_>,
    ) -> Option<(u64, ApprovalProblem)> {
        if let Some(restore) = self.restore.take() {
            return self.restored(restore, document, origin);
        }
        match document.kind {
            DocumentKind::Record => return self.record(&document.content.0, origin),
            DocumentKind::Evidence => {}
            _ => return None,
        }
        let pending = self.pending.take()?;
        let index = pending.index;
        if let Err(problem) = self.verify(&pending, &document.content.0, origin) {
            return Some((index, problem));
        }
        self.verified += 1;
        let at_first = match pending.state.as_deref() {
            Some("approved") => false,
            Some("emergency-approval") => true,
            _ => return None,
        };
        let matter = (pending.subject, pending.generation);
        let judged = self.judge(&matter, &pending.event, shown, at_first);
        judged.map(|problem| (index, problem))
    }

    /// Takes the record of the generation that the leaf before has entered.
    fn record(&mut self, bytes: &[u8], origin: &str) -> Option<(u64, ApprovalProblem)> {
        let (index, subject, generation) = self.entered.take()?;
        let Subject::Case(case) = &subject else {
            return None;
        };
        let Some(terms) = Terms::read(bytes, origin, case, generation) else {
            return Some((index, ApprovalProblem::Terms));
        };
        if let Some(matter) = self.matters.get_mut(&(subject, generation))
            && matter.leaf == index
        {
            matter.terms = Some(terms);
        }
        None
    }

    /// Verifies an approval, and counts it among those of what it decides on.
    fn verify(
        &mut self,
        pending: &Pending,
        evidence: &[u8],
        origin: &str,
    ) -> Result<(), ApprovalProblem> {
        let Pending {
            index,
            event,
            subject,
            generation,
            ..
        } = pending;
        let unfit = |error: strongroom_approval::EvidenceError| {
            ApprovalProblem::Evidence(error.to_string())
        };
        let evidence = Evidence::from_bytes(evidence).map_err(unfit)?;
        let approval = evidence.verify().map_err(unfit)?;
        let statement = &approval.statement;
        let decision = if event.act.as_str().ends_with(".reject") {
            Decision::Reject
        } else {
            Decision::Approve
        };
        let (id, sha256) = match (subject, &statement.of) {
            (
                Subject::Case(id),
                Of::Authorisation {
                    generation: signed,
                    record_sha256,
                },
            ) if signed == generation => (id, record_sha256),
            (Subject::Proposal(id), Of::Request { request_sha256, .. }) => (id, request_sha256),
            _ => return Err(ApprovalProblem::Statement),
        };
        if statement.domain_origin != origin
            || statement.subject != *id
            || statement.decision != decision
        {
            return Err(ApprovalProblem::Statement);
        }
        if approval.time != event.time {
            return Err(ApprovalProblem::Time);
        }
        if event.detail.actor != Some(approval.account) {
            return Err(ApprovalProblem::Account);
        }
        if !self.has_key(&approval, &evidence.credential.id, *index) {
            return Err(ApprovalProblem::Key);
        }
        if !self.has_role(&approval, *index) {
            return Err(ApprovalProblem::Role);
        }
        let excluded = self.excluded(subject);
        let Some(matter) = self.matters.get_mut(&(subject.clone(), *generation)) else {
            // What made it is not shown. Who entered it may be, by an earlier generation.
            return if excluded.contains(&approval.account) {
                Err(ApprovalProblem::Excluded)
            } else {
                Ok(())
            };
        };
        let act_differs = matter
            .act
            .as_deref()
            .is_some_and(|act| act != statement.of.act());
        if hex(sha256) != matter.sha256 || act_differs {
            return Err(ApprovalProblem::Record);
        }
        let act = statement.clone();
        let place = matter.approvals.len();
        matter.approvals.push(approval);
        let tally = matter
            .quorum
            .tally(&act, &matter.approvals, &excluded, event.time);
        let discount = tally
            .discounted
            .iter()
            .find(|(position, _)| *position == place)
            .map(|(_, discount)| *discount);
        let problem = match discount {
            Some(Discount::Excluded) => ApprovalProblem::Excluded,
            Some(Discount::Repeated | Discount::SharedKey) => ApprovalProblem::Repeated,
            Some(Discount::AnotherRole) => ApprovalProblem::Role,
            _ => return Ok(()),
        };
        matter.approvals.pop();
        Err(problem)
    }

    /// Whether the leaf of what needs a quorum comes when there is one; `at_first` of an emergency, which one person puts into effect.
    fn judge(
        &mut self,
        matter: &(Subject, u32),
        event: &Event,
        shown: Shown<'_>,
        at_first: bool,
    ) -> Option<ApprovalProblem> {
        let subject = matter.0.clone();
        let excluded = self.excluded(&subject);
        let Some(matter) = self.matters.get(matter) else {
            self.unjudged += 1;
            return None;
        };
        let quorum = Quorum {
            count: match (at_first, matter.terms) {
                (true, _) => 1,
                (false, Some(terms)) => terms.count,
                (false, None) => matter.quorum.count,
            },
            ..matter.quorum
        };
        let met = matter.approvals.last().is_some_and(|last| {
            let act: &Statement = &last.statement;
            quorum.met(act, &matter.approvals, &excluded, event.time)
        });
        match (&matter.act, matter.terms) {
            // How many it takes stands in a record that the bundle does not show.
            (None, None) if met => {
                self.unjudged += 1;
                return None;
            }
            (_, Some(terms)) if at_first && !terms.emergency => {
                return Some(ApprovalProblem::Quorum);
            }
            _ if met => {
                self.quorums += 1;
                return None;
            }
            _ => {}
        }
        if shown.is_all_of(&subject, matter) {
            return Some(ApprovalProblem::Quorum);
        }
        self.unjudged += 1;
        None
    }

    fn excluded(&self, subject: &Subject) -> Vec<AccountId> {
        let excluded = self.excluded.get(subject);
        excluded.map_or_else(Vec::new, |accounts| accounts.iter().copied().collect())
    }

    /// Whether the last leaf before this one that gives the account roles gives it this.
    fn has_role(&self, approval: &Approval, index: u64) -> bool {
        let roles = self.roles.get(&approval.account);
        let role = approval.role.as_str();
        roles
            .is_some_and(|(since, roles)| *since < index && roles.iter().any(|other| other == role))
    }

    /// Whether leaves say that the key was the account's before this one.
    fn has_key(&self, approval: &Approval, credential: &str, index: u64) -> bool {
        let sha256 = hex(&approval.key);
        let keys = self.keys.get(&approval.account);
        let added = keys
            .into_iter()
            .flatten()
            .filter(|(at, key)| *at < index && *key == sha256)
            .map(|(at, _)| *at)
            .max();
        let Some(added) = added else { return false };
        let lost = self.lost.get(&approval.account);
        !lost.into_iter().flatten().any(|(at, which)| {
            added < *at && *at < index && which.as_deref().is_none_or(|which| which == credential)
        })
    }
}

impl Matter {
    fn new(leaf: u64, sha256: &str, quorum: Quorum, act: Option<&str>) -> Self {
        Self {
            leaf,
            sha256: sha256.to_owned(),
            quorum,
            act: act.map(str::to_owned),
            terms: None,
            approvals: Vec::new(),
        }
    }
}

impl Shown<'_> {
    /// Whether the bundle shows every leaf of the matter, up to one in its range.
    fn is_all_of(self, subject: &Subject, matter: &Matter) -> bool {
        let filter = self.filter;
        let is_of_case = match (&filter.case, subject) {
            (None, _) => true,
            (Some(case), Subject::Case(id)) => case == id,
            (Some(_), Subject::Proposal(_)) => false,
        };
        is_of_case
            && filter.act.is_none()
            && filter.account.is_none()
            && filter.key.is_none()
            && filter.concerning.is_none()
            && matter.leaf >= self.first
            && (filter.from.is_none() || matter.leaf > self.first)
    }
}
