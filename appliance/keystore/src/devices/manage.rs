//! Devices and fleets: shown, suspended, revoked, moved.

use strongroom_wire::account::AccountState;
use strongroom_wire::audit::Act;
use strongroom_wire::device::{
    ChangedDevice, ChangedFleet, Device, DevicePage, DeviceQuery, DeviceState, UpdateDevice,
};
use strongroom_wire::id::AccountId;

use super::{check_fleet, device_of, shown};
use crate::accounts::find;
use crate::act::{Caller, Presented, Scope, View};
use crate::error::{Answer, Error};
use crate::keystore::Keystore;
use crate::roles::May;
use crate::store::{CredentialKind, DeviceFilter, DeviceRecord};

/// How many devices a page has by default, and at most.
const PAGE: u32 = 100;
const LONGEST_PAGE: u32 = 1000;

impl Keystore {
    /// A page of devices: for administrators all of them, for others those that they paired.
    pub fn devices(&self, caller: &Presented, query: DeviceQuery) -> Answer<DevicePage> {
        let limit = query.limit.unwrap_or(PAGE).clamp(1, LONGEST_PAGE);
        self.core.look(caller, |view, caller, _| {
            let manages = caller.require(May::ManageAccounts).is_ok();
            let found = match &query.serial {
                Some(serial) => view
                    .snapshot
                    .device_by_serial(view.domain.number, serial)?
                    .into_iter()
                    .collect(),
                None => view.snapshot.devices(
                    view.domain.number,
                    &DeviceFilter {
                        fleet: query.fleet.clone(),
                        paired_by: (!manages).then_some(caller.account.id),
                        after: query.after,
                        limit: limit + 1,
                    },
                )?,
            };
            let mut devices = found
                .into_iter()
                .map(|record| view.domain.check_device(record))
                .filter(|record| {
                    record
                        .as_ref()
                        .map_or(true, |record| may_know(caller, record))
                })
                .map(|record| shown(view, record?))
                .collect::<Result<Vec<_>, Error>>()?;
            let more = devices.len() > limit as usize;
            devices.truncate(limit as usize);
            let next = more
                .then(|| devices.last().map(|device| device.account.id))
                .flatten();
            Ok(DevicePage { devices, next })
        })
    }

    /// One device; for administrators and who paired it.
    pub fn device(&self, caller: &Presented, device: AccountId) -> Answer<Device> {
        self.core.look(caller, |view, caller, _| {
            let record = known(view, caller, device)?;
            shown(view, record)
        })
    }

    /// Changes a device's state or its fleet; administrators, and for its state who paired it.
    ///
    /// Suspending it ends its sessions and refuses its requests. Revoking it deletes its secrets, too, and is for good.
    pub fn update_device(
        &self,
        caller: &Presented,
        device: AccountId,
        request: UpdateDevice,
    ) -> Answer<ChangedDevice> {
        let act = match request.state {
            Some(DeviceState::Revoked) => Act::DeviceRevoke,
            _ => Act::DeviceUpdate,
        };
        let presented = caller.clone();
        self.core.act(act, caller.source, move |scope| {
            let caller = scope.authenticate(&presented)?;
            scope.detail.subject = Some(device);
            let mut record = known(&scope.view(), &caller, device)?;
            if let Some(fleet) = &request.fleet {
                caller.require(May::ManageAccounts)?;
                record.fleet = match fleet.as_str() {
                    "" => None,
                    fleet => Some(check_fleet(fleet)?),
                };
            }
            if let Some(state) = request.state {
                change(scope, &mut record, state)?;
            }
            scope.domain.authenticate_device(&mut record);
            scope.tx.put_device(&record)?;
            scope.detail.note = Some(note(request.state, request.fleet.as_deref()));
            let leaf = scope.record(act)?;
            let device = shown(&scope.view(), record)?;
            Ok(ChangedDevice { device, leaf })
        })
    }

    /// Changes the state of all devices of a fleet in one act; administrators only. Each device that was changed has a leaf of its own, before
    /// that of the fleet.
    pub fn update_fleet(
        &self,
        caller: &Presented,
        fleet: String,
        state: DeviceState,
    ) -> Answer<ChangedFleet> {
        let act = match state {
            DeviceState::Revoked => Act::DeviceRevoke,
            _ => Act::DeviceUpdate,
        };
        let presented = caller.clone();
        self.core.act(act, caller.source, move |scope| {
            scope
                .authenticate(&presented)?
                .require(May::ManageAccounts)?;
            let fleet = check_fleet(&fleet)?;
            let mut filter = DeviceFilter {
                fleet: Some(fleet.clone()),
                limit: LONGEST_PAGE,
                ..DeviceFilter::default()
            };
            let (mut changed, mut found) = (0, 0_u64);
            loop {
                let records = scope.tx.devices(scope.domain.number, &filter)?;
                let Some(last) = records.last() else {
                    break;
                };
                filter.after = Some(last.account);
                for record in records {
                    found += 1;
                    let mut record = scope.domain.check_device(record)?;
                    if record.revoked.is_some() || !change(scope, &mut record, state)? {
                        continue;
                    }
                    scope.domain.authenticate_device(&mut record);
                    scope.tx.put_device(&record)?;
                    scope.detail.subject = Some(record.account);
                    scope.detail.note = Some(note(Some(state), Some(&fleet)));
                    scope.record(act)?;
                    changed += 1;
                }
            }
            if found == 0 {
                return Err(Error::DeviceNotFound);
            }
            scope.detail.subject = None;
            scope.detail.note = Some(format!(
                "{}: {changed} devices",
                note(Some(state), Some(&fleet))
            ));
            let leaf = scope.record(act)?;
            Ok(ChangedFleet { changed, leaf })
        })
    }
}

/// The record of a device, if the caller may know of it.
fn known(view: &View<'_>, caller: &Caller, device: AccountId) -> Result<DeviceRecord, Error> {
    device_of(view, device)?
        .filter(|record| may_know(caller, record))
        .ok_or(Error::DeviceNotFound)
}

fn may_know(caller: &Caller, record: &DeviceRecord) -> bool {
    caller.require(May::ManageAccounts).is_ok() || record.paired_by == Some(caller.account.id)
}

/// Changes a device's account, and the record where that is revoked. Answers whether anything is different.
fn change(
    scope: &mut Scope<'_>,
    record: &mut DeviceRecord,
    state: DeviceState,
) -> Result<bool, Error> {
    let mut account = find(&scope.view(), record.account)?;
    if record.revoked.is_some() {
        return Err(Error::Conflict(format!(
            "{} is revoked for good.",
            account.name
        )));
    }
    let before = account.state;
    account.state = match (state, before) {
        (DeviceState::Active, AccountState::Suspended) => {
            let enrolled = scope
                .tx
                .credential(account.id, CredentialKind::Opaque)?
                .is_some();
            if record.admitted.is_some() || enrolled {
                AccountState::Active
            } else {
                AccountState::Pending
            }
        }
        (DeviceState::Active, before) => before,
        (DeviceState::Suspended | DeviceState::Revoked, _) => AccountState::Suspended,
    };
    if state == DeviceState::Revoked {
        record.revoked = Some(scope.now);
        scope.tx.forget_secrets_but(account.id, None)?;
        scope.tx.forget_certificate_names(account.id)?;
        for kind in [CredentialKind::Opaque, CredentialKind::EnrolmentCode] {
            scope.tx.delete_credential(account.id, kind)?;
        }
    }
    if account.state != before {
        scope.domain.authenticate_account(&mut account);
        scope.tx.update_account(&account)?;
    }
    if account.state == AccountState::Suspended {
        scope.tx.end_sessions(account.id)?;
    }
    Ok(account.state != before || state == DeviceState::Revoked)
}

/// What was changed, for the leaf.
fn note(state: Option<DeviceState>, fleet: Option<&str>) -> String {
    let state = state.map(|state| match state {
        DeviceState::Active => "state active".to_owned(),
        DeviceState::Suspended => "state suspended".to_owned(),
        DeviceState::Revoked => "revoked".to_owned(),
    });
    let fleet = fleet.map(|fleet| format!("fleet {fleet:?}"));
    let parts: Vec<String> = [state, fleet].into_iter().flatten().collect();
    parts.join(", ")
}
