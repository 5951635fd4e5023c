//! Many devices made in one call, their secrets wrapped to the factory's key.

use std::collections::HashSet;
use std::sync::Arc;

use strongroom_session::factory::SUITE;
use strongroom_session::{AccountSecret, FactoryPublicKey, WrappedFor};
use strongroom_wire::account::{AccountKind, AccountState};
use strongroom_wire::audit::Act;
use strongroom_wire::device::{
    ImportDevices, ImportLine, ImportedDevice, MOST_IMPORTED, NewDevice,
};
use strongroom_wire::id::AccountId;
use strongroom_wire::problem::Code;

use super::{check_fleet, check_serial, seal_secret};
use crate::accounts::{account_record, check_name, find, normal_name};
use crate::act::{Presented, Scope, View};
use crate::domains::Counted;
use crate::error::{Answer, Error};
use crate::hierarchy::hsm_random_keys;
use crate::keystore::{Core, Keystore};
use crate::roles::May;
use crate::store::{AccountKekRecord, AccountRecord, AccountSecretRecord, DeviceRecord};

/// How many devices are made in one act: so many share a commit, and others wait for the writer no longer than that takes.
const CHUNK: usize = 250;

/// An import that is under way. Each device has a leaf of its own.
pub struct DeviceImport {
    presented: Presented,
    factory: Arc<FactoryPublicKey>,
    replace_secrets: bool,
    devices: std::vec::IntoIter<Wanted>,
}

/// A device to be made, checked.
struct Wanted {
    serial: String,
    name: String,
    fleet: Option<String>,
}

/// What became of a device before its act.
enum Prepared {
    /// There is none with this serial number.
    New(Box<New>),
    /// There is one, which gets this secret if it may.
    Replacement {
        serial: String,
        account: AccountId,
        secret: AccountSecret,
        wrapped: Wrapped,
    },
    /// There is one, which keeps its secret.
    Existing { serial: String, account: AccountId },
}

struct New {
    account: AccountRecord,
    kek: AccountKekRecord,
    secret: AccountSecretRecord,
    device: DeviceRecord,
    serial: String,
    wrapped: Wrapped,
}

/// A secret as the factory gets it.
struct Wrapped {
    generation: u32,
    encapsulated: Vec<u8>,
    sealed: Vec<u8>,
}

impl Keystore {
    /// Begins to make devices; administrators only. The whole manifest is checked first.
    ///
    /// A device that exists with one of the serial numbers is left as it is, so that an import which was interrupted goes on when it is sent
    /// again; with `replace_secrets` it gets a new secret, unless it has made a request already.
    pub fn import_devices(
        &self,
        caller: &Presented,
        request: ImportDevices,
    ) -> Answer<DeviceImport> {
        self.core
            .look(caller, |_, caller, _| caller.require(May::ManageAccounts))?;
        let factory = FactoryPublicKey::from_bytes(&request.factory_key.0).map_err(|_| {
            Error::Invalid("The factory's public key is no key of X-Wing.".to_owned())
        })?;
        Ok(DeviceImport {
            presented: caller.clone(),
            factory: Arc::new(factory),
            replace_secrets: request.replace_secrets,
            devices: check(&request)?.into_iter(),
        })
    }
}

impl DeviceImport {
    /// How many devices are left.
    #[must_use]
    pub fn len(&self) -> usize {
        self.devices.len()
    }

    /// Whether none is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes the next devices, and tells what became of each. Nothing when none is left.
    pub fn next(&mut self, keystore: &Keystore) -> Answer<Vec<ImportLine>> {
        let wanted: Vec<Wanted> = self.devices.by_ref().take(CHUNK).collect();
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let core = &keystore.core;
        let _wrapping = core.rotation.wrapping();
        let prepared = self.prepare(core, wanted)?;
        let presented = self.presented.clone();
        core.act(Act::DeviceImport, self.presented.source, move |scope| {
            scope
                .authenticate(&presented)?
                .require(May::ManageAccounts)?;
            require_keks(scope, &prepared)?;
            prepared
                .iter()
                .map(|prepared| match prepared {
                    Prepared::New(new) => make(scope, new),
                    Prepared::Replacement {
                        serial,
                        account,
                        secret,
                        wrapped,
                    } => replace(scope, serial, *account, secret, wrapped),
                    Prepared::Existing { serial, account } => Ok(ImportLine::Existing {
                        serial: serial.clone(),
                        account: *account,
                    }),
                })
                .collect()
        })
    }

    /// Makes what the acts need, outside of any transaction: KEKs wrapped by the HSM, secrets wrapped to the factory's key.
    fn prepare(&self, core: &Arc<Core>, wanted: Vec<Wanted>) -> Answer<Vec<Prepared>> {
        let existing: Vec<Option<(AccountId, Option<u32>)>> =
            core.look(&self.presented, |view, caller, _| {
                caller.require(May::ManageAccounts)?;
                wanted
                    .iter()
                    .map(|wanted| existing(view, &wanted.serial))
                    .collect()
            })?;
        let secrets = hsm_random_keys(core.domain.hsm(), wanted.len())?;
        let ids: Vec<AccountId> = existing
            .iter()
            .filter(|existing| existing.is_none())
            .map(|_| AccountId::generate())
            .collect();
        let mut keks = ids.iter().zip(core.new_keks(&ids)?);
        let mut prepared = Vec::with_capacity(wanted.len());
        for ((wanted, existing), secret) in wanted.into_iter().zip(existing).zip(secrets) {
            let secret = AccountSecret::from_bytes(*secret.as_bytes());
            prepared.push(match existing {
                Some((account, Some(newest))) if self.replace_secrets => {
                    let wrapped = self.wrap(core, &secret, account, newest + 1, &wanted.serial)?;
                    Prepared::Replacement {
                        serial: wanted.serial,
                        account,
                        secret,
                        wrapped,
                    }
                }
                Some((account, _)) => Prepared::Existing {
                    serial: wanted.serial,
                    account,
                },
                None => {
                    let (id, (kek, record)) = keks
                        .next()
                        .ok_or(Error::Internal("too few KEKs were made"))?;
                    let now = core.clock.now();
                    let account = account_record(
                        &core.domain,
                        *id,
                        wanted.name,
                        AccountKind::Device,
                        AccountState::Pending,
                        Vec::new(),
                        now,
                    );
                    let mut device = DeviceRecord {
                        account: *id,
                        domain: core.domain.number,
                        serial: Some(wanted.serial.clone()),
                        fleet: wanted.fleet,
                        paired_by: None,
                        admitted: None,
                        revoked: None,
                        mac: [0; 32],
                    };
                    core.domain.authenticate_device(&mut device);
                    Prepared::New(Box::new(New {
                        account,
                        kek: record,
                        secret: seal_secret(&secret, *id, 1, &kek, 1, now)?,
                        device,
                        wrapped: self.wrap(core, &secret, *id, 1, &wanted.serial)?,
                        serial: wanted.serial,
                    }))
                }
            });
        }
        Ok(prepared)
    }

    fn wrap(
        &self,
        core: &Core,
        secret: &AccountSecret,
        account: AccountId,
        generation: u32,
        serial: &str,
    ) -> Result<Wrapped, Error> {
        let wrapped_for = WrappedFor {
            domain: &core.domain.name,
            account,
            generation,
            serial,
        };
        let (encapsulated, sealed) = self
            .factory
            .wrap(secret, &wrapped_for)
            .map_err(|_| Error::Internal("nothing can be wrapped to the factory's key"))?;
        Ok(Wrapped {
            generation,
            encapsulated,
            sealed,
        })
    }
}

/// The device with this serial number; with the generation of its secret where it may get another.
fn existing(view: &View<'_>, serial: &str) -> Result<Option<(AccountId, Option<u32>)>, Error> {
    let Some(device) = view.snapshot.device_by_serial(view.domain.number, serial)? else {
        return Ok(None);
    };
    let device = view.domain.check_device(device)?;
    let account = find(view, device.account)?;
    let unused = account.state == AccountState::Pending
        && device.admitted.is_none()
        && device.revoked.is_none();
    let secrets = view.snapshot.secrets_of(device.account)?;
    let newest = secrets.first().map_or(0, |secret| secret.generation);
    Ok(Some((device.account, unused.then_some(newest))))
}

/// The KEKs of all devices that get another secret, asked for together.
fn require_keks(scope: &Scope<'_>, prepared: &[Prepared]) -> Result<(), Error> {
    let accounts = prepared
        .iter()
        .filter_map(|prepared| match prepared {
            Prepared::Replacement { account, .. } => Some(find(&scope.view(), *account)),
            _ => None,
        })
        .collect::<Result<Vec<_>, _>>()?;
    scope.keks.require(&accounts.iter().collect::<Vec<_>>())
}

fn make(scope: &mut Scope<'_>, new: &New) -> Result<ImportLine, Error> {
    scope.detail.subject = None;
    // Somebody may have made it since it was prepared.
    let since = scope
        .tx
        .device_by_serial(scope.domain.number, &new.serial)?;
    if let Some(device) = since {
        return Ok(ImportLine::Existing {
            serial: new.serial.clone(),
            account: device.account,
        });
    }
    if scope.view().account_by_name(&new.account.name)?.is_some() {
        scope.detail.note = Some(format!("{}: {}", Code::AccountExists, new.serial));
        scope.record_refused(Act::DeviceImport)?;
        return Ok(ImportLine::Refused {
            serial: new.serial.clone(),
            code: Code::AccountExists,
            detail: Error::AccountExists(new.account.name.clone()).to_string(),
        });
    }
    scope.require_room(Counted::Accounts, 1, true)?;
    scope.require_room(Counted::Bytes, 1, true)?;
    scope.tx.create_account(&new.account, &new.kek)?;
    scope.tx.put_device(&new.device)?;
    scope.tx.add_secret(&new.secret)?;
    scope.detail.subject = Some(new.account.id);
    scope.detail.note = Some(match &new.device.fleet {
        Some(fleet) => format!("serial {}, fleet {fleet}", new.serial),
        None => format!("serial {}", new.serial),
    });
    let leaf = scope.record(Act::DeviceImport)?;
    Ok(ImportLine::Created(imported(
        scope,
        &new.account,
        &new.serial,
        &new.wrapped,
        leaf,
    )))
}

fn replace(
    scope: &mut Scope<'_>,
    serial: &str,
    account: AccountId,
    secret: &AccountSecret,
    wrapped: &Wrapped,
) -> Result<ImportLine, Error> {
    let still = existing(&scope.view(), serial)?.filter(|(_, newest)| {
        newest.and_then(|newest| newest.checked_add(1)) == Some(wrapped.generation)
    });
    if still.is_none() {
        return Ok(ImportLine::Existing {
            serial: serial.to_owned(),
            account,
        });
    }
    let record = find(&scope.view(), account)?;
    let kek = scope.keks.get(account, record.kek_version)?;
    let sealed = seal_secret(
        secret,
        account,
        wrapped.generation,
        &kek,
        record.kek_version,
        scope.now,
    )?;
    scope.tx.forget_secrets_but(account, None)?;
    scope.tx.add_secret(&sealed)?;
    scope.detail.subject = Some(account);
    scope.detail.note = Some(format!(
        "serial {serial}, generation {}",
        wrapped.generation
    ));
    let leaf = scope.record(Act::AccountSecret)?;
    Ok(ImportLine::Replaced(imported(
        scope, &record, serial, wrapped, leaf,
    )))
}

fn imported(
    scope: &Scope<'_>,
    account: &AccountRecord,
    serial: &str,
    wrapped: &Wrapped,
    leaf: u64,
) -> ImportedDevice {
    ImportedDevice {
        serial: serial.to_owned(),
        account: account.id,
        name: account.name.clone(),
        domain: scope.domain.name.clone(),
        generation: wrapped.generation,
        suite: SUITE.to_owned(),
        encapsulated: wrapped.encapsulated.clone().into(),
        sealed: wrapped.sealed.clone().into(),
        leaf,
    }
}

/// The devices of a manifest, if all of it can be.
fn check(request: &ImportDevices) -> Result<Vec<Wanted>, Error> {
    if request.devices.is_empty() || request.devices.len() > MOST_IMPORTED {
        return Err(Error::Invalid(format!(
            "One import makes 1 to {MOST_IMPORTED} devices."
        )));
    }
    let fleet = request.fleet.as_deref().map(check_fleet).transpose()?;
    let (mut serials, mut names) = (HashSet::new(), HashSet::new());
    let mut wanted = Vec::with_capacity(request.devices.len());
    for (index, device) in request.devices.iter().enumerate() {
        let device = check_device(device, fleet.as_ref()).map_err(|error| {
            Error::Invalid(format!("Device {} of the manifest: {error}", index + 1))
        })?;
        if !serials.insert(device.serial.clone()) || !names.insert(device.name.clone()) {
            return Err(Error::Invalid(format!(
                "Device {} of the manifest has the serial number or the name of one before it.",
                index + 1
            )));
        }
        wanted.push(device);
    }
    Ok(wanted)
}

fn check_device(device: &NewDevice, fleet: Option<&String>) -> Result<Wanted, Error> {
    let given = |text: &Option<String>| {
        text.as_deref()
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    };
    let serial = check_serial(&device.serial)?;
    let name = given(&device.name).unwrap_or_else(|| normal_name(&serial));
    Ok(Wanted {
        name: check_name(&name)?,
        fleet: match given(&device.fleet) {
            Some(fleet) => Some(check_fleet(&fleet)?),
            None => fleet.cloned(),
        },
        serial,
    })
}
