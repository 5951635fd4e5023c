//! Figures for those who look after the appliance: how much was done, how far things are. No names, no keys.

use strongroom_audit::keys::verify_by;
use strongroom_audit::tree;
use strongroom_wire::account::{Done, Role};
use strongroom_wire::audit::Act;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::AccountId;

use crate::accounts::find;
use crate::act::{Caller, Presented, View};
use crate::checkpoint_keys;
use crate::cosigning;
use crate::error::{Answer, Error};
use crate::keystore::{Keystore, Statistics};
use crate::roles::{self, May};

/// The most hours that are counted at once: two weeks.
const MOST_HOURS: u64 = 14 * 24;
const HOUR: u64 = 3_600_000;
const NEEDED: &str = "the role administrator, security-officer or auditor";

/// What was done in an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HourCounts {
    /// Keys that came to be.
    pub created: u64,
    /// Releases of keys.
    pub released: u64,
    /// Uses of keys by the appliance.
    pub used: u64,
    /// Sessions that were opened.
    pub sign_ins: u64,
    /// Sign-ins that were refused.
    pub refused_sign_ins: u64,
    /// Everything else that was refused.
    pub refused: u64,
}

/// How the domain is, in figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figures {
    /// The hours, the oldest first, each with its beginning; the last is not over.
    pub hours: Vec<(Timestamp, HourCounts)>,
    /// As for the monitoring.
    pub statistics: Statistics,
    /// The newest checkpoint; none before the first.
    pub checkpoint: Option<CoveredLeaves>,
    /// The witnesses that the configuration names, in its order.
    pub witnesses: Vec<WitnessFigure>,
    /// How many of them must have cosigned a checkpoint over a disclosure before it goes out.
    pub witnesses_demanded: u32,
    /// The appliance's time.
    pub now: Timestamp,
}

/// What a checkpoint covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CoveredLeaves {
    /// How many leaves.
    pub size: u64,
    /// When the last of them was recorded; none where there is none, or none that can be read.
    pub last: Option<Timestamp>,
}

/// How far a witness has cosigned the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessFigure {
    /// Its name.
    pub name: String,
    /// The size of the largest checkpoint that it has cosigned; 0 before the first.
    pub size: u64,
    /// When it did, by its own clock; none where there is no cosignature that holds.
    pub time: Option<Timestamp>,
}

/// How an account's KEK is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountKekFigure {
    /// The version that seals now.
    pub version: u32,
    /// Of a rotation that is under way: how many values are sealed under that version, and how many under older ones.
    pub rotation: Option<(u64, u64)>,
}

/// What two checkpoints of the log have to do with each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// How many leaves the older one covers.
    pub old_size: u64,
    /// Its root hash.
    pub old_root: [u8; 32],
    /// How many leaves the newer one covers.
    pub new_size: u64,
    /// Its root hash.
    pub new_root: [u8; 32],
    /// Whether it is proved that the newer tree begins with the older one.
    pub consistent: bool,
    /// The hashes of the proof (RFC 9162 section 2.1.4).
    pub proof: Vec<[u8; 32]>,
}

impl Keystore {
    /// How the domain is; for administrators, security officers and auditors.
    pub fn figures(&self, caller: &Presented, hours: u64) -> Answer<Figures> {
        let statistics = self.statistics()?;
        self.core.look(caller, |view, caller, _| {
            if ![May::ManageAccounts, May::RotateKeks, May::ReadAudit]
                .into_iter()
                .any(|may| caller.may(may))
            {
                return Err(Error::NotPermitted(NEEDED));
            }
            Ok(Figures {
                hours: count(view, hours.clamp(1, MOST_HOURS))?,
                statistics,
                checkpoint: newest_checkpoint(view)?,
                witnesses: cosigning::figures(view)?,
                witnesses_demanded: caller.policy.witnesses,
                now: view.now,
            })
        })
    }

    /// How an account's KEK is; for its holder, administrators and security officers.
    pub fn account_kek(&self, caller: &Presented, account: AccountId) -> Answer<AccountKekFigure> {
        self.core.look(caller, |view, caller, _| {
            if caller.account.id != account {
                caller.require(May::RotateKeks)?;
            }
            let record = find(view, account)?;
            // Counting takes as long as the account has keys, so it is counted only where there is something to move.
            let rotation = if record.is_rotating() {
                let sealed = view.snapshot.sealed_under(&record)?;
                Some((sealed.newest, sealed.older))
            } else {
                None
            };
            Ok(AccountKekFigure {
                version: record.kek_version,
                rotation,
            })
        })
    }

    /// Records that somebody who looks after the machine has its log say more or less for a time, before it does.
    ///
    /// # Errors
    /// [`Error::NotPermitted`], [`Error::StepUpRequired`] where the domain's policy wants a recent sign-in.
    pub fn record_log_level(&self, caller: &Presented, note: String) -> Answer<Done> {
        let presented = caller.clone();
        self.core
            .act(Act::DomainLogLevel, caller.source, move |scope| {
                let caller = scope.authenticate(&presented)?;
                scope.detail.note = Some(note.clone());
                caller.require(May::RotateKeks)?;
                caller.require_recent(scope.now)?;
                let leaf = scope.record(Act::DomainLogLevel)?;
                Ok(Done { leaf })
            })
    }

    /// Refuses who does not look after the machine: administrators and security officers do.
    pub fn may_see_machine(&self, caller: &Presented) -> Answer<()> {
        self.core
            .look(caller, |_, caller, _| caller.require(May::RotateKeks))
    }

    /// Records that whoever looks after the machine has a backup made, which is then in it; refused to everybody else.
    ///
    /// # Errors
    /// [`Error::NotPermitted`] for who does not look after the machine.
    pub fn begin_backup(&self, caller: &Presented) -> Answer<u64> {
        let presented = caller.clone();
        self.core
            .act(Act::DomainBackup, caller.source, move |scope| {
                let caller = scope.authenticate(&presented)?;
                caller.require(May::RotateKeks)?;
                scope.record(Act::DomainBackup)
            })
    }

    /// Holds two checkpoints of this log against each other; auditors only.
    ///
    /// # Errors
    /// [`Error::Invalid`] where one is none of this log's, or they are in the wrong order.
    pub fn compare_checkpoints(
        &self,
        caller: &Presented,
        old: &str,
        new: &str,
    ) -> Answer<Comparison> {
        self.core.look(caller, |view, caller, _| {
            caller.require(May::ReadAudit)?;
            let keys =
                checkpoint_keys::log_keys(view.snapshot, &view.domain.domain_key(view.snapshot)?.0)?;
            let verified = |which: &str, note: &str| {
                verify_by(note, &keys)
                    .map(|(checkpoint, _)| checkpoint)
                    .map_err(|_| {
                        Error::Invalid(format!(
                            "The {which} checkpoint is none that this log's key has signed."
                        ))
                    })
            };
            let (old, new) = (verified("older", old)?, verified("newer", new)?);
            if old.size > new.size {
                return Err(Error::Invalid(
                    "The older checkpoint covers more leaves than the newer one: change their places."
                        .to_owned(),
                ));
            }
            let number = view.domain.number;
            let size = view.snapshot.tree_size(number)?;
            if new.size > size {
                // The database has lost leaves that a checkpoint covers.
                return Err(Error::Integrity("audit tree"));
            }
            let proof =
                tree::prove_consistency(old.size, new.size, &*view.snapshot.nodes(number))
                    .map_err(|_| Error::Integrity("audit tree"))?;
            let consistent =
                tree::verify_consistency(old.size, new.size, &old.root, &new.root, &proof).is_ok();
            Ok(Comparison {
                old_size: old.size,
                old_root: old.root.0,
                new_size: new.size,
                new_root: new.root.0,
                consistent,
                proof: proof.iter().map(|hash| hash.0).collect(),
            })
        })
    }

    /// The signed checkpoints that are kept, the newest first: size and note. Auditors only.
    pub fn recent_checkpoints(&self, caller: &Presented, limit: u32) -> Answer<Vec<(u64, String)>> {
        self.core.look(caller, |view, caller: &Caller, _| {
            caller.require(May::ReadAudit)?;
            Ok(view
                .snapshot
                .recent_checkpoints(view.domain.number, limit.min(1000))?)
        })
    }
}

/// What each role may do, in words, for whoever gives roles.
#[must_use]
pub fn role_powers() -> Vec<(Role, Vec<&'static str>)> {
    roles::powers()
}

/// Which roles no account has both of, and why.
#[must_use]
pub fn role_conflicts() -> Vec<(Role, Role, &'static str)> {
    roles::conflicts()
}

fn newest_checkpoint(view: &View<'_>) -> Result<Option<CoveredLeaves>, Error> {
    let number = view.domain.number;
    let Some((size, _)) = view.snapshot.newest_checkpoint(number)? else {
        return Ok(None);
    };
    let last = match size.checked_sub(1) {
        Some(index) => view.snapshot.leaf(number, index)?,
        None => None,
    };
    let event = last.and_then(|last| last.leaf.open().ok());
    Ok(Some(CoveredLeaves {
        size,
        last: event.map(|event| event.time),
    }))
}

fn count(view: &View<'_>, hours: u64) -> Result<Vec<(Timestamp, HourCounts)>, Error> {
    let last = view.now.as_millis() / HOUR;
    let first = last.saturating_sub(hours - 1);
    let mut counted: Vec<(Timestamp, HourCounts)> = (first..=last)
        .map(|hour| (Timestamp::from_millis(hour * HOUR), HourCounts::default()))
        .collect();
    for row in view.snapshot.leaf_counts(view.domain.number, first)? {
        let Some(at) = row.hour.checked_sub(first) else {
            continue;
        };
        let counts = usize::try_from(at).ok().and_then(|at| counted.get_mut(at));
        let (Some((_, counts)), Some(act)) = (counts, Act::from_number(row.act)) else {
            continue;
        };
        let member = match (act, row.done) {
            (Act::SessionOpen, false) => &mut counts.refused_sign_ins,
            (_, false) => &mut counts.refused,
            (Act::KeyCreate | Act::KeyImport, true) => &mut counts.created,
            (Act::KeyRelease, true) => &mut counts.released,
            (
                Act::KeySign
                | Act::KeyVerify
                | Act::KeyEncrypt
                | Act::KeyDecrypt
                | Act::KeyWrap
                | Act::KeyUnwrap
                | Act::KeyDerive,
                true,
            ) => &mut counts.used,
            (Act::SessionOpen, true) => &mut counts.sign_ins,
            (_, true) => continue,
        };
        *member += row.count;
    }
    Ok(counted)
}
