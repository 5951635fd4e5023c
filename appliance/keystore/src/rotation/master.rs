//! The master KEK: a new version, wrapping again what older ones wrapped, retiring and destroying them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use strongroom_audit::Detail;
use strongroom_hsm::{HsmError, RecoveryKekId, WrappedKey};
use strongroom_wire::audit::Act;
use strongroom_wire::id::AccountId;
use strongroom_wire::proposal::ProposedRequest;
use strongroom_wire::rotation::ChangedMasterKek;

use super::{ASK_AGAIN, Damaged, Found, NOT_ASKED, record_damage, version_note};
use crate::act::{Caller, Presented, Scope};
use crate::error::{Answer, Error, Refusal};
use crate::hierarchy::MasterKeks;
use crate::keystore::{Core, Keystore, LOCALHOST};
use crate::quorum;
use crate::roles::May;
use crate::store::{AccountKekRecord, DomainRecord, RecoveryBlobRecord, RetiredMasterKekRecord};

/// Where the search for what older versions wrapped is.
#[derive(Default)]
pub(super) struct Pass {
    after: Option<(AccountId, u32)>,
    damaged: Damaged<(AccountId, u32)>,
    /// When the HSM was last asked for its newest master KEK.
    asked: Option<Instant>,
}

/// A version that was made, with its recovery blob.
pub(crate) type Made = (u32, Option<RecoveryBlobRecord>);

const OTHER_RECOVERY_KEK: &str = "The HSM does not hold the recovery KEK that the database names, so a new master KEK could not be recovered: \
                                  hold the ceremony again (strongroomd ceremony renew).";

fn waits(version: u32) -> String {
    format!(
        "Version {version} of the master KEK was made and waits for the second HSM: give it to that first (strongroomd ceremony replicate)."
    )
}

/// A record that a step found.
enum Item {
    /// To be replaced, if it is still wrapped like this.
    Rewrapped(Vec<u8>, AccountKekRecord),
    /// A version that counts no more, put back by somebody.
    Stray(AccountKekRecord),
}

impl Keystore {
    /// Makes a new version of the master KEK, which wraps all account KEKs from now on; administrators only. What older versions wrapped is
    /// wrapped again by [`rewrap_some`](Self::rewrap_some).
    ///
    /// Refused while a rotation before it is under way.
    pub fn rotate_master_kek(&self, caller: &Presented) -> Answer<ChangedMasterKek> {
        let core = &self.core;
        // Without its quorum nothing is made in the HSM; the act below decides, and records the refusal.
        let permitted = core.look(caller, |view, caller, _| {
            let held = quorum::held(view, caller, &ProposedRequest::MasterKekRotate {}, None);
            Ok(caller.may(May::RotateKeks) && held.is_ok())
        })?;
        let _alone = core.rotation.versions_change();
        let mut made = None;
        let mut conflict = None;
        if permitted {
            match core.make_master_kek()? {
                Ok(version) => made = Some(version),
                Err(reason) => conflict = Some(reason),
            }
        }
        let presented = caller.clone();
        let answer = core.act(Act::MasterKekRotate, caller.source, move |scope| {
            let caller = scope.authenticate(&presented)?;
            caller.require(May::RotateKeks)?;
            if made.is_none() {
                quorum::held(
                    &scope.view(),
                    &caller,
                    &ProposedRequest::MasterKekRotate {},
                    None,
                )?;
            }
            let Some((version, blob)) = &made else {
                let reason = conflict.clone();
                return Err(Error::Conflict(reason.unwrap_or_default()));
            };
            if let Some(blob) = blob {
                scope.tx.put_recovery_blob(blob)?;
            }
            let version = *version;
            scope.detail.note = Some(version_note(version));
            scope.require_quorum(&caller, &ProposedRequest::MasterKekRotate {}, None)?;
            let leaf = scope.record(Act::MasterKekRotate)?;
            Ok(ChangedMasterKek { version, leaf })
        });
        core.rotation.forget_newest();
        answer
    }

    /// Wraps again, by the newest master KEK, at most so many of the keys that older versions wrapped. Answers how many records it dealt with:
    /// 0 when nothing is left or what is left has to wait.
    ///
    /// # Errors
    ///
    /// Those of the HSM and the store. What was not done is done by the next call.
    pub fn rewrap_some(&self, limit: u32) -> Result<u32, Error> {
        let core = &self.core;
        let mut pass = core.rotation.master();
        let newest = core.newest_master_kek(&mut pass)?;
        if !core.is_wrapped_before(newest)? {
            core.rotation.damaged_keks.store(0, Ordering::Relaxed);
            pass.after = None;
            return Ok(0);
        }
        if pass.damaged.waits() {
            return Ok(0);
        }
        let domain_key = core.rewrap_domain_key(newest)?;
        let records = core.store.snapshot()?.account_keks_wrapped_before(
            core.domain.number,
            newest,
            pass.after,
            limit,
        )?;
        let mut items = Vec::with_capacity(records.len());
        let mut found = Vec::new();
        let mut failure = None;
        let mut dealt_with = 0;
        for record in records {
            let place = (record.account, record.version);
            match core.rewrap(newest, record) {
                Ok(item) => items.push(item),
                Err(error) if error.is_tampering() => {
                    if pass.damaged.note(place) {
                        found.push(Found {
                            account: Some(place.0),
                            key: None,
                            what: "account KEK",
                        });
                    }
                }
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
            pass.after = Some(place);
            dealt_with += 1;
        }
        if dealt_with == 0 && failure.is_none() {
            pass.after = None;
            pass.damaged.end_pass();
            core.rotation
                .damaged_keks
                .store(pass.damaged.last, Ordering::Relaxed);
        }
        dealt_with += u32::from(domain_key.is_some());
        if dealt_with > 0 {
            core.replace(newest, domain_key, items, found)?;
        }
        failure.map_or(Ok(dealt_with), Err)
    }

    /// As [`rewrap_some`](Self::rewrap_some), for one of many keystores that share an HSM: unless a rotation may be under way, the HSM is not asked.
    ///
    /// # Errors
    ///
    /// As for [`rewrap_some`](Self::rewrap_some).
    pub fn rewrap_some_if_rotating(&self, limit: u32) -> Result<u32, Error> {
        let core = &self.core;
        let may_rotate = &core.rotation.may_rotate;
        if !may_rotate.load(Ordering::Relaxed) {
            // The domain key goes first: what is behind it is what a process that ended has left.
            let version = {
                let snapshot = core.store.snapshot()?;
                core.domain.domain_key(&*snapshot)?.1.master_kek_version
            };
            if !core.is_wrapped_before(version)? {
                return Ok(0);
            }
        }
        may_rotate.store(false, Ordering::Relaxed);
        let dealt_with = self.rewrap_some(limit).inspect_err(|_| {
            may_rotate.store(true, Ordering::Relaxed);
        })?;
        if dealt_with > 0 {
            may_rotate.store(true, Ordering::Relaxed);
        }
        Ok(dealt_with)
    }

    /// Takes an older version of the master KEK out of use; administrators only. Refused while anything is wrapped by it. What
    /// somebody puts back that it wrapped is refused from then on.
    pub fn retire_master_kek(&self, caller: &Presented, version: u32) -> Answer<ChangedMasterKek> {
        let core = &self.core;
        let permitted = self.is_administrator(caller)?;
        let _alone = core.rotation.versions_change();
        let versions = core.versions_for(permitted)?;
        let presented = caller.clone();
        core.act(Act::MasterKekRetire, caller.source, move |scope| {
            let caller = check_unused(scope, &presented, version, versions.as_ref())?;
            if scope.domain.is_retired(scope.tx.as_snapshot(), version)? {
                return Err(Error::Conflict(format!(
                    "Version {version} of the master KEK is retired already."
                )));
            }
            let mut retired = RetiredMasterKekRecord {
                domain: scope.domain.number,
                version,
                retired: scope.now,
                mac: [0; 32],
            };
            scope.domain.authenticate_retired(&mut retired);
            scope.tx.retire_master_kek(&retired)?;
            let proposed = ProposedRequest::MasterKekRetire { version };
            scope.require_quorum(&caller, &proposed, None)?;
            let leaf = scope.record(Act::MasterKekRetire)?;
            Ok(ChangedMasterKek { version, leaf })
        })
    }

    /// Destroys a retired version of the master KEK in the HSM; administrators only. Whatever it wrapped, in old backups too, opens never again,
    /// unless custodians bring it back: an old backup has its recovery blob.
    ///
    /// Its leaf is durable before the HSM is asked. Where the HSM fails, another leaf says so, and the call can be repeated.
    pub fn destroy_master_kek(&self, caller: &Presented, version: u32) -> Answer<ChangedMasterKek> {
        let core = &self.core;
        let permitted = self.is_administrator(caller)?;
        let _alone = core.rotation.versions_change();
        let versions = core.versions_for(permitted)?;
        let presented = caller.clone();
        let changed = core.act(Act::MasterKekDestroy, caller.source, move |scope| {
            let caller = check_unused(scope, &presented, version, versions.as_ref())?;
            if !scope.domain.is_retired(scope.tx.as_snapshot(), version)? {
                return Err(Error::Conflict(format!(
                    "Version {version} of the master KEK is in use: retire it first."
                )));
            }
            // The backups that follow are not to carry it on.
            scope
                .tx
                .forget_recovery_blob(scope.domain.number, version)?;
            let proposed = ProposedRequest::MasterKekDestroy { version };
            scope.require_quorum(&caller, &proposed, None)?;
            let leaf = scope.record(Act::MasterKekDestroy)?;
            Ok(ChangedMasterKek { version, leaf })
        })?;
        let master = core.domain.master_kek(version);
        let Err(error) = core.domain.hsm().destroy_master_kek(&master) else {
            return Ok(changed);
        };
        let error = Error::from(error);
        let note = format!("{}: {}", version_note(version), error.code());
        let presented = caller.clone();
        let leaf = core.act(Act::MasterKekDestroy, caller.source, move |scope| {
            scope.authenticate(&presented)?;
            scope.detail.note = Some(note.clone());
            scope.record_refused(Act::MasterKekDestroy)
        })?;
        let leaf = Some(leaf);
        Err(Refusal { error, leaf })
    }

    /// Whether the caller may ask this of the HSM. The act that follows decides, and records the refusal.
    pub(super) fn is_administrator(&self, caller: &Presented) -> Answer<bool> {
        self.core
            .look(caller, |_, caller, _| Ok(caller.may(May::RotateKeks)))
    }
}

impl Core {
    /// The versions of the master KEK. Whoever may not know does not get to ask the HSM, and is refused by the act.
    fn versions_for(&self, permitted: bool) -> Result<Option<MasterKeks>, Error> {
        if !permitted {
            return Ok(None);
        }
        let snapshot = self.store.snapshot()?;
        self.domain.master_keks(&*snapshot).map(Some)
    }

    /// Makes the next version in the HSM, recoverable where the domain has a recovery KEK, or says why that is not to be.
    ///
    /// A recoverable version is used once the act has recorded its recovery blob. Where that fails it is held and wraps nothing. A version
    /// of a domain without a recovery KEK is in use at once; its leaf is then that of the rewrapping.
    pub(crate) fn make_master_kek(&self) -> Result<Result<Made, String>, Error> {
        let (domain, hsm) = (&self.domain, self.domain.hsm());
        let (keks, recovery) = {
            let snapshot = self.store.snapshot()?;
            (
                domain.master_keks(&*snapshot)?,
                domain.recovery_keks(&*snapshot)?.pop(),
            )
        };
        if let Some(waiting) = keks.waiting() {
            return Ok(Err(waits(waiting)));
        }
        if self.is_wrapped_before(keks.newest)? {
            return Ok(Err(
                "A rotation of the master KEK is under way: let it end first.".to_owned(),
            ));
        }
        let version = keks.next().ok_or(Error::Internal(
            "the master KEK has as many versions as there can be",
        ))?;
        let held = hsm.recovery_kek_versions(&domain.name)?;
        let Some(recovery) = recovery else {
            if !held.is_empty() {
                return Ok(Err(OTHER_RECOVERY_KEK.to_owned()));
            }
            return match hsm.generate_master_kek(&domain.master_kek(version)) {
                Ok(()) => Ok(Ok((version, None))),
                Err(HsmError::KeyExists { .. }) => Ok(Err(waits(version))),
                Err(error) => Err(error.into()),
            };
        };
        if !held.contains(&recovery.version) {
            return Ok(Err(OTHER_RECOVERY_KEK.to_owned()));
        }
        let id = RecoveryKekId {
            domain: domain.name.clone(),
            version: recovery.version,
        };
        let blob = domain.new_recoverable_master_kek(&id, version)?;
        Ok(Ok((blob.master_kek, Some(blob))))
    }

    /// The newest version of the master KEK. The HSM is asked now and then.
    fn newest_master_kek(&self, pass: &mut Pass) -> Result<u32, Error> {
        let known = self.rotation.newest.load(Ordering::Relaxed);
        let lately = pass.asked.is_some_and(|asked| asked.elapsed() < ASK_AGAIN);
        if known != NOT_ASKED && lately {
            return Ok(known);
        }
        let snapshot = self.store.snapshot()?;
        let newest = self.domain.master_keks(&*snapshot)?.newest;
        self.rotation.newest.store(newest, Ordering::Relaxed);
        pass.asked = Some(Instant::now());
        Ok(newest)
    }

    /// Whether anything is wrapped by a version of the master KEK before this one.
    fn is_wrapped_before(&self, version: u32) -> Result<bool, Error> {
        let snapshot = self.store.snapshot()?;
        Ok(
            self.domain.domain_key(&*snapshot)?.1.master_kek_version < version
                || snapshot.is_account_kek_wrapped_before(self.domain.number, version)?,
        )
    }

    /// The domain key wrapped again, with what it replaces; none when the newest version wraps it.
    fn rewrap_domain_key(&self, newest: u32) -> Result<Option<(Vec<u8>, DomainRecord)>, Error> {
        let (mut record, wrapped) = self.domain.domain_key(&*self.store.snapshot()?)?;
        if wrapped.master_kek_version >= newest {
            return Ok(None);
        }
        let again = self.wrap_again(newest, &wrapped)?;
        let before = std::mem::replace(&mut record.domain_key, again);
        self.domain.authenticate_domain(&mut record);
        Ok(Some((before, record)))
    }

    fn rewrap(&self, newest: u32, mut record: AccountKekRecord) -> Result<Item, Error> {
        let wrapped = {
            let snapshot = self.store.snapshot()?;
            let account = snapshot
                .account(record.account)?
                .ok_or(Error::Integrity("account"))?;
            if !self
                .domain
                .check_account(account)?
                .kek_counts(record.version)
            {
                return Ok(Item::Stray(record));
            }
            self.domain.check_account_kek(&*snapshot, &record)?
        };
        let again = self.wrap_again(newest, &wrapped)?;
        let before = std::mem::replace(&mut record.wrapped, again);
        self.domain.authenticate_account_kek(&mut record);
        Ok(Item::Rewrapped(before, record))
    }

    /// Wraps a key by the newest master KEK. What the HSM would not give back takes nothing's place.
    fn wrap_again(&self, newest: u32, wrapped: &WrappedKey) -> Result<Vec<u8>, Error> {
        let (domain, hsm) = (&self.domain, self.domain.hsm());
        let key = hsm.unwrap(&domain.name, wrapped)?;
        let again = hsm.wrap(&domain.master_kek(newest), &key)?;
        if hsm.unwrap(&domain.name, &again)?.as_bytes() != key.as_bytes() {
            return Err(Error::Internal("the HSM wrapped a key wrongly"));
        }
        Ok(again.to_bytes())
    }

    /// The act of a step: replaces what is still as it was read, and records the end when nothing is left.
    fn replace(
        self: &Arc<Self>,
        newest: u32,
        domain_key: Option<(Vec<u8>, DomainRecord)>,
        items: Vec<Item>,
        found: Vec<Found>,
    ) -> Result<(), Error> {
        let done = self.act(Act::MasterKekRewrapped, LOCALHOST, move |scope| {
            scope.detail = Detail::default();
            record_damage(scope, Act::MasterKekRewrapped, &found)?;
            let mut changed = false;
            if let Some((before, record)) = &domain_key {
                changed |= scope.tx.rewrap_domain_key(before, record)?;
            }
            for item in &items {
                changed |= match item {
                    Item::Rewrapped(before, record) => {
                        scope.tx.rewrap_account_kek(before, record)?
                    }
                    Item::Stray(record) => forget_stray(scope, record)?,
                };
            }
            let snapshot = scope.tx.as_snapshot();
            let left = scope.domain.domain_key(snapshot)?.1.master_kek_version < newest
                || snapshot.is_account_kek_wrapped_before(scope.domain.number, newest)?;
            if changed && !left {
                scope.detail.note = Some(version_note(newest));
                scope.record(Act::MasterKekRewrapped)?;
            }
            Ok(())
        });
        done.map_err(|refusal| refusal.error)
    }
}

/// Deletes a version of an account's KEK that counts no more.
fn forget_stray(scope: &mut Scope<'_>, record: &AccountKekRecord) -> Result<bool, Error> {
    let counts = scope
        .view()
        .account(record.account)?
        .is_none_or(|account| account.kek_counts(record.version));
    if counts {
        return Ok(false);
    }
    tracing::warn!(account = %record.account, version = record.version, "a retired account KEK was put back; it is deleted again");
    scope
        .tx
        .forget_account_kek(record.account, record.version)?;
    Ok(true)
}

/// Refuses unless an administrator asks for an older version of the master KEK that wraps nothing.
fn check_unused(
    scope: &mut Scope<'_>,
    presented: &Presented,
    version: u32,
    versions: Option<&MasterKeks>,
) -> Result<Caller, Error> {
    let caller = scope.authenticate(presented)?;
    scope.detail.note = Some(version_note(version));
    caller.require(May::RotateKeks)?;
    let versions = versions.ok_or(Error::NotPermitted(May::RotateKeks.needs()))?;
    if !versions.held.contains(&version) {
        return Err(Error::Invalid(format!(
            "The HSM holds no version {version} of the master KEK."
        )));
    }
    if version >= versions.newest {
        return Err(Error::Conflict(format!(
            "Version {version} of the master KEK is not older than the one in use: rotate first."
        )));
    }
    let left = super::status::wrapped_by(&scope.view(), version)?;
    if left > 0 {
        return Err(Error::Conflict(format!(
            "Version {version} of the master KEK still wraps {left} keys: let the rotation end first."
        )));
    }
    Ok(caller)
}
