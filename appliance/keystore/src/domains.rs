//! What operators do with a domain: suspend it, set its quotas, move its master KEK to another HSM slot, count what is in it.
//!
//! Operators are no accounts: whoever may open the keystore may do this, and each act leaves a leaf that says who did.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use strongroom_audit::Detail;
use strongroom_hsm::{Hsm, HsmError, MasterKekId, RecoveryKekId};
use strongroom_wire::account::{AccountState, CreatedAccount, Role};
use strongroom_wire::audit::Act;
use strongroom_wire::encoding::Timestamp;

use crate::accounts;
use crate::act::Scope;
use crate::error::{Answer, Error};
use crate::hierarchy::checkpoint_key_label;
use crate::keystore::{Keystore, LOCALHOST};
use crate::store::StoreError;
use crate::store::sqlite::count_database;

/// What a domain's operators have set. It stands in the domain's record, under its MAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DomainSettings {
    /// Nobody is answered.
    pub suspended: bool,
    /// The most that there may be.
    pub quotas: Quotas,
}

/// The most that a domain may have; what is absent is not limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quotas {
    /// Accounts of all kinds, groups included.
    pub accounts: Option<u64>,
    /// Keys that are not destroyed.
    pub keys: Option<u64>,
    /// Sessions that have not ended.
    pub sessions: Option<u64>,
    /// Requests in a second. Whoever serves the keystore sees to it.
    pub requests_per_second: Option<u32>,
    /// Bytes of the database, at which no accounts, keys or grants are made any more; what is done is still recorded.
    pub bytes: Option<u64>,
}

/// What a quota counts in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// Accounts.
    Accounts,
    /// Keys that are not destroyed.
    Keys,
    /// Sessions.
    Sessions,
    /// Bytes.
    Bytes,
}

impl Counted {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accounts => "accounts",
            Self::Keys => "keys",
            Self::Sessions => "sessions",
            Self::Bytes => "bytes",
        }
    }
}

/// A quota that is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Of what.
    pub of: Counted,
    /// The most that there may be.
    pub most: u64,
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.most, self.of.name())
    }
}

/// How much there is in a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DomainCounts {
    /// Accounts of all kinds.
    pub accounts: u64,
    /// Keys that are not destroyed.
    pub keys: u64,
    /// Sessions.
    pub sessions: u64,
    /// Releases since midnight UTC.
    pub releases_today: u64,
    /// Bytes of the database that are in use.
    pub bytes: u64,
}

impl DomainCounts {
    /// Counts what is in the database at `path` of the domain `name`. Needs no HSM.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when it cannot be read.
    pub fn read(path: &Path, name: &str, now: Timestamp) -> Result<Self, StoreError> {
        count_database(path, name, now)
    }
}

/// Destroys every key that the HSM holds for the domain of this name: whatever its databases and backups hold opens never again,
/// unless custodians bring a master KEK back. Repeated, it does what is left. Answers whether the checkpoint key went as well: the
/// appliance's authentication key of a YubiHSM 2 may not delete it, and it opens nothing.
///
/// # Errors
///
/// Those of the HSM.
pub fn destroy_keys(hsm: &dyn Hsm, domain: &str) -> Result<bool, HsmError> {
    let gone = |outcome| match outcome {
        Err(HsmError::KeyNotFound { .. }) => Ok(()),
        outcome => outcome,
    };
    for version in hsm.master_kek_versions(domain)? {
        gone(hsm.destroy_master_kek(&MasterKekId {
            domain: domain.to_owned(),
            version,
        }))?;
    }
    for version in hsm.recovery_kek_versions(domain)? {
        gone(hsm.destroy_recovery_kek(&RecoveryKekId {
            domain: domain.to_owned(),
            version,
        }))?;
    }
    match hsm.named() {
        Err(HsmError::NotOffered { .. }) => {}
        named => {
            let named = named?;
            for key in named.named_keys(domain)? {
                gone(named.destroy_named_key(&key))?;
            }
        }
    }
    match gone(hsm.destroy_signing_key(&checkpoint_key_label(domain))) {
        Err(error) if error.is_transient() => Err(error),
        outcome => Ok(outcome.is_ok()),
    }
}

impl Keystore {
    /// What the domain's operators have set.
    ///
    /// # Errors
    ///
    /// [`Error::Integrity`] when its record was edited; [`Error::Store`].
    pub fn settings(&self) -> Result<DomainSettings, Error> {
        let snapshot = self.core.store.snapshot()?;
        Ok(self.core.domain.record(&*snapshot)?.settings)
    }

    /// Suspends the domain and ends all its sessions; `by` says who did. Whoever serves it answers nobody from then on.
    /// Answers the leaf's index; none where it is suspended already.
    ///
    /// # Errors
    ///
    /// As for [`settings`](Self::settings).
    pub fn suspend(&self, by: &str) -> Result<Option<u64>, Error> {
        let leaf = self.change_settings(Act::DomainSuspend, by.to_owned(), |settings| {
            DomainSettings {
                suspended: true,
                ..settings
            }
        });
        self.wipe();
        leaf
    }

    /// Resumes the domain. Answers the leaf's index; none where it is not suspended.
    ///
    /// # Errors
    ///
    /// As for [`settings`](Self::settings).
    pub fn resume(&self, by: &str) -> Result<Option<u64>, Error> {
        self.change_settings(Act::DomainResume, by.to_owned(), |settings| {
            DomainSettings {
                suspended: false,
                ..settings
            }
        })
    }

    /// Sets the domain's quotas. What there is beyond them stays. Answers the leaf's index; none where they are these already.
    ///
    /// # Errors
    ///
    /// As for [`settings`](Self::settings).
    pub fn set_quotas(&self, by: &str, quotas: Quotas) -> Result<Option<u64>, Error> {
        let set = serde_json::to_string(&quotas).unwrap_or_default();
        self.change_settings(Act::DomainQuotas, format!("{by}: {set}"), move |settings| {
            DomainSettings { quotas, ..settings }
        })
    }

    /// Records an act of operators on a domain, by a note of at most 1024 bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Store`].
    pub fn record_operation(&self, act: Act, note: String) -> Result<u64, Error> {
        self.core
            .act(act, LOCALHOST, move |scope| {
                note_and_record(scope, act, &note)
            })
            .map_err(|refusal| refusal.error)
    }

    /// Begins to move the master KEK to another HSM: makes its next version, in the HSM that the keystore was opened with, which must be one that
    /// unwraps by the old HSM what older versions wrapped and does everything else by the new one. Where that version is there already, it is
    /// used. [`rewrap_some`](Self::rewrap_some) then moves everything, while everything goes on. From now on the new HSM signs checkpoints.
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`] when a rotation is under way, or the new HSM lacks the domain's recovery KEK; those of HSM and store.
    pub fn begin_move(&self, note: &str, has_begun: bool) -> Result<(), Error> {
        let core = &self.core;
        let _alone = core.rotation.versions_change();
        if !has_begun {
            let (version, blob) = core.make_master_kek()?.map_err(Error::Conflict)?;
            let note = format!("{note}, version {version}");
            core.act(Act::DomainMove, LOCALHOST, move |scope| {
                if let Some(blob) = &blob {
                    scope.tx.put_recovery_blob(blob)?;
                }
                note_and_record(scope, Act::DomainMove, &note)
            })
            .map_err(|refusal| refusal.error)?;
        }
        core.rotation.forget_newest();
        self.adopt_checkpoint_key(Some(&[])).map(drop)
    }

    /// A new one-time code for the domain's first administrator, who has not used the one before: for operators who did not get to see it.
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`] when there is no administrator of this name who has yet to enrol.
    pub fn invite_first_administrator(&self, name: &str) -> Answer<CreatedAccount> {
        let core = &self.core;
        let name = accounts::check_name(name)?;
        let no = || {
            Error::Conflict(
                "There is a domain of this name already, and its first administrator is another one or has enrolled."
                    .to_owned(),
            )
        };
        let account = core
            .glance(|view| view.account_by_name(&name))?
            .filter(|account| account.roles.contains(&Role::Administrator))
            .ok_or_else(no)?;
        let (code, credential) =
            accounts::new_code(&core.domain, account.id, core.clock.now(), &core.options)?;
        let expires = credential.expires;
        core.act(Act::AccountInvite, LOCALHOST, move |scope| {
            scope.detail = Detail::default();
            let account = scope.view().account(account.id)?.ok_or_else(no)?;
            if account.state != AccountState::Pending {
                return Err(no());
            }
            scope.detail.subject = Some(account.id);
            scope.tx.put_credential(&credential)?;
            let leaf = scope.record(Act::AccountInvite)?;
            Ok(CreatedAccount {
                account: accounts::to_wire(&account),
                enrolment_code: Some(code.clone()),
                enrolment_expires: expires,
                leaf,
            })
        })
    }

    fn change_settings(
        &self,
        act: Act,
        note: String,
        change: impl Fn(DomainSettings) -> DomainSettings + Send + Sync + 'static,
    ) -> Result<Option<u64>, Error> {
        let done = self.core.act(act, LOCALHOST, move |scope| {
            let mut record = scope.domain.record(scope.tx.as_snapshot())?;
            let settings = change(record.settings);
            if settings == record.settings {
                return Ok(None);
            }
            if settings.suspended {
                scope.tx.end_all_sessions(scope.domain.number)?;
            }
            record.settings = settings;
            scope.domain.authenticate_domain(&mut record);
            if !scope.tx.set_domain_settings(&record)? {
                return Err(Error::Internal("the domain has no record"));
            }
            note_and_record(scope, act, &note).map(Some)
        });
        done.map_err(|refusal| refusal.error)
    }
}

fn note_and_record(scope: &mut Scope<'_>, act: Act, note: &str) -> Result<u64, Error> {
    scope.detail = Detail {
        note: Some(note.to_owned()),
        ..Detail::default()
    };
    scope.record(act)
}

impl Scope<'_> {
    /// Refuses what would make more of something than the domain's quotas allow; where `tell`, saying which.
    pub(crate) fn require_room(&self, of: Counted, more: u64, tell: bool) -> Result<(), Error> {
        let snapshot = self.tx.as_snapshot();
        let quotas = self.domain.record(snapshot)?.settings.quotas;
        let most = match of {
            Counted::Accounts => quotas.accounts,
            Counted::Keys => quotas.keys,
            Counted::Sessions => quotas.sessions,
            Counted::Bytes => quotas.bytes,
        };
        if let Some(most) = most
            && snapshot.count(self.domain.number, of)?.saturating_add(more) > most
        {
            let quota = Quota { of, most };
            return Err(Error::QuotaExceeded { quota, tell });
        }
        Ok(())
    }
}
