//! Figures for those who look after the appliance: how much was done, how far things are. No names, no keys.

use strongroom_audit::keys::verify_by;
use strongroom_audit::tree;
use strongroom_wire::account::Role;
use strongroom_wire::audit::Act;
use strongroom_wire::encoding::Timestamp;

use crate::act::{Caller, Presented, View};
use crate::checkpoint_keys;
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
    /// How many leaves the newest checkpoint covers; none before the first.
    pub checkpoint: Option<u64>,
    /// The appliance's time.
    pub now: Timestamp,
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
            let number = view.domain.number;
            Ok(Figures {
                hours: count(view, hours.clamp(1, MOST_HOURS))?,
                statistics,
                checkpoint: view
                    .snapshot
                    .newest_checkpoint(number)?
                    .map(|(size, _)| size),
                now: view.now,
            })
        })
    }

    /// Refuses who does not look after the machine: administrators and security officers do.
    pub fn may_see_machine(&self, caller: &Presented) -> Answer<()> {
        self.core
            .look(caller, |_, caller, _| caller.require(May::RotateKeks))
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
