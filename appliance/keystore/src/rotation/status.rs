//! How far rotations are.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use strongroom_wire::rotation::{AccountKekRotation, MasterKek, MasterKekState, RotationStatus};

use crate::act::{Presented, View};
use crate::error::{Answer, Error};
use crate::keystore::{Core, Keystore};
use crate::roles::May;

/// The most accounts that the status names.
const MOST_ACCOUNTS: u32 = 100;

/// What is left to do.
pub(crate) struct Left {
    pub(crate) rewraps: u64,
    pub(crate) reseals: u64,
    pub(crate) damaged: u64,
}

impl Keystore {
    /// How far the rotations are that are under way; administrators only.
    pub fn rotation_status(&self, caller: &Presented) -> Answer<RotationStatus> {
        let core = &self.core;
        // Whoever may not know does not get to ask the HSM.
        core.look(caller, |_, caller, _| caller.require(May::RotateKeks))?;
        let snapshot = core.store.snapshot().map_err(Error::from)?;
        let keks = core.domain.master_keks(&*snapshot)?;
        drop(snapshot);
        core.look(caller, |view, caller, _| {
            caller.require(May::RotateKeks)?;
            let newest = keks.newest;
            let listed = keks.held.iter().copied().chain(keks.waiting());
            let mut wrapped: BTreeMap<u32, u64> = listed.map(|version| (version, 0)).collect();
            wrapped.extend(wrapped_by_each(view)?);
            let master_keks = wrapped
                .into_iter()
                .map(|(version, wrapped)| {
                    let state = if keks.waiting() == Some(version) {
                        MasterKekState::Waiting
                    } else if !keks.held.contains(&version) {
                        MasterKekState::Missing
                    } else if version > newest {
                        MasterKekState::Unused
                    } else if version == newest {
                        MasterKekState::Newest
                    } else if view.domain.is_retired(view.snapshot, version)? {
                        MasterKekState::Retired
                    } else {
                        MasterKekState::Older
                    };
                    Ok(MasterKek {
                        version,
                        state,
                        wrapped,
                        recoverable: keks.recoverable.contains(&version),
                    })
                })
                .collect::<Result<Vec<_>, Error>>()?;
            let left = master_keks
                .iter()
                .filter(|kek| kek.version < newest)
                .map(|kek| kek.wrapped)
                .sum();
            let accounts = view
                .snapshot
                .rotating_accounts(view.domain.number, MOST_ACCOUNTS)?
                .into_iter()
                // One that does not match its seal is counted among the damaged.
                .filter_map(|account| view.domain.check_account(account).ok())
                .map(|account| {
                    let sealed = view.snapshot.sealed_under(&account)?;
                    Ok(AccountKekRotation {
                        account: account.id,
                        name: account.name,
                        version: account.kek_version,
                        done: sealed.newest,
                        left: sealed.older,
                    })
                })
                .collect::<Result<_, Error>>()?;
            Ok(RotationStatus {
                master_keks,
                left,
                accounts,
                accounts_under_way: view.snapshot.count_rotating_accounts(view.domain.number)?,
                damaged: damaged(core),
            })
        })
    }
}

/// What is left to do, for the metrics.
pub(crate) fn left(core: &Core) -> Result<Left, Error> {
    core.glance(|view| {
        let newest = core.rotation.newest.load(Ordering::Relaxed);
        let domain_key = view.domain.domain_key(view.snapshot)?.1;
        let rewraps = u64::from(domain_key.master_kek_version < newest)
            + view
                .snapshot
                .count_account_keks_wrapped_before(view.domain.number, newest)?;
        let mut reseals = 0;
        for account in view
            .snapshot
            .rotating_accounts(view.domain.number, MOST_ACCOUNTS)?
        {
            reseals += view.snapshot.sealed_under(&account)?.older;
        }
        Ok(Left {
            rewraps,
            reseals,
            damaged: damaged(core),
        })
    })
}

/// How many keys this version of the master KEK wraps.
pub(super) fn wrapped_by(view: &View<'_>, version: u32) -> Result<u64, Error> {
    Ok(wrapped_by_each(view)?
        .get(&version)
        .copied()
        .unwrap_or_default())
}

/// How many keys each version of the master KEK wraps: account KEKs, and the domain key.
fn wrapped_by_each(view: &View<'_>) -> Result<BTreeMap<u32, u64>, Error> {
    let counts = view
        .snapshot
        .account_keks_by_master_kek(view.domain.number)?;
    let mut counts: BTreeMap<u32, u64> = counts.into_iter().collect();
    let domain_key = view.domain.domain_key(view.snapshot)?.1;
    *counts.entry(domain_key.master_kek_version).or_default() += 1;
    Ok(counts)
}

fn damaged(core: &Core) -> u64 {
    let rotation = &core.rotation;
    rotation.damaged_keks.load(Ordering::Relaxed) + rotation.damaged_seals.load(Ordering::Relaxed)
}
