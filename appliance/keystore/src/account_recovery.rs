//! Recovery of an account whose holder has lost their password. `docs/decisions/0009-account-recovery.md` says why it is as it is: an
//! administrator alone never comes to anybody's keys.

use std::net::IpAddr;

use strongroom_session::Suite;
use strongroom_session::opaque_ke::{RegistrationRequest, RegistrationUpload, ServerRegistration};
use strongroom_wire::account::{AccountKind, AccountState, Done, EnrolmentStarted};
use strongroom_wire::audit::Act;
use strongroom_wire::id::AccountId;
use strongroom_wire::recovery::{
    FinishRecovery, PresentRecovery, Recovery, RecoveryCode, SecondCode, StartRecovery,
};
use subtle::ConstantTimeEq;

use crate::accounts::{find, normal_name};
use crate::act::{Presented, Scope, View};
use crate::credentials::{code_hash, generate_code, recovery_codes};
use crate::error::{Answer, Error};
use crate::keystore::Keystore;
use crate::mail::{self, MailContent};
use crate::roles::May;
use crate::store::{AccountRecord, AccountRecoveryRecord, CredentialKind, CredentialRecord};

/// How long a recovery can be finished once it is in effect, in seconds.
const LIFETIME: u64 = 7 * 24 * 3600;

impl Keystore {
    /// Starts the recovery of an account; administrators only, and not of their own. Its holder is told.
    pub fn start_recovery(&self, caller: &Presented, account: AccountId) -> Answer<RecoveryCode> {
        let presented = caller.clone();
        self.core
            .act(Act::RecoveryStart, caller.source, move |scope| {
                let caller = scope.authenticate(&presented)?;
                scope.detail.subject = Some(account);
                caller.require(May::ManageAccounts)?;
                caller.require_recent(scope.now)?;
                let recovered = recoverable(&scope.view(), account, caller.account.id)?;
                if scope.view().account_recovery(account)?.is_some() {
                    return Err(Error::Conflict(format!(
                        "A recovery of {} is under way already: cancel that one first.",
                        recovered.name
                    )));
                }
                let code = generate_code()?;
                let effective = scope
                    .now
                    .plus_seconds(caller.policy.accounts.recovery_delay.into());
                let mut recovery = AccountRecoveryRecord {
                    account,
                    started_by: caller.account.id,
                    started: scope.now,
                    code: code_hash(&code),
                    approved_by: None,
                    approval: None,
                    effective,
                    expires: effective.plus_seconds(LIFETIME),
                    mac: [0; 32],
                };
                put(scope, &mut recovery)?;
                let content = MailContent::RecoveryStarted {
                    account: recovered.name.clone(),
                    by: caller.account.name.clone(),
                    effective,
                };
                mail::put(scope, &recovered, &content, recovery.expires)?;
                let leaf = scope.record(Act::RecoveryStart)?;
                let recovery = to_wire(&scope.view(), &recovery)?;
                Ok(RecoveryCode {
                    recovery,
                    code,
                    leaf,
                })
            })
    }

    /// Approves a recovery, in place of the holder's own recovery code; administrators and security officers, and not who started it. The
    /// delay begins anew.
    pub fn approve_recovery(&self, caller: &Presented, account: AccountId) -> Answer<RecoveryCode> {
        let presented = caller.clone();
        self.core
            .act(Act::RecoveryApprove, caller.source, move |scope| {
                let caller = scope.authenticate(&presented)?;
                scope.detail.subject = Some(account);
                caller.require(May::ApproveRecoveries)?;
                caller.require_recent(scope.now)?;
                let recovered = recoverable(&scope.view(), account, caller.account.id)?;
                let mut recovery = scope
                    .view()
                    .account_recovery(account)?
                    .ok_or_else(|| none(&recovered))?;
                if recovery.started_by == caller.account.id {
                    return Err(Error::NotPermitted(
                        "somebody else than the administrator who started the recovery",
                    ));
                }
                let code = generate_code()?;
                let effective = scope
                    .now
                    .plus_seconds(caller.policy.accounts.recovery_delay.into());
                recovery.approved_by = Some(caller.account.id);
                recovery.approval = Some(code_hash(&code));
                recovery.effective = recovery.effective.max(effective);
                recovery.expires = recovery.effective.plus_seconds(LIFETIME);
                put(scope, &mut recovery)?;
                let content = MailContent::RecoveryApproved {
                    account: recovered.name.clone(),
                    by: caller.account.name.clone(),
                    effective: recovery.effective,
                };
                mail::put(scope, &recovered, &content, recovery.expires)?;
                let leaf = scope.record(Act::RecoveryApprove)?;
                let recovery = to_wire(&scope.view(), &recovery)?;
                Ok(RecoveryCode {
                    recovery,
                    code,
                    leaf,
                })
            })
    }

    /// Cancels a recovery: of the caller's own account from any of its sessions, and of another's as an administrator.
    pub fn cancel_recovery(&self, caller: &Presented, account: Option<AccountId>) -> Answer<Done> {
        let presented = caller.clone();
        self.core
            .act(Act::RecoveryCancel, caller.source, move |scope| {
                let caller = scope.authenticate(&presented)?;
                let account = account.unwrap_or(caller.account.id);
                scope.detail.subject = Some(account);
                if account != caller.account.id {
                    caller.require(May::ManageAccounts)?;
                }
                let recovered = find(&scope.view(), account)?;
                scope
                    .view()
                    .account_recovery(account)?
                    .ok_or_else(|| none(&recovered))?;
                scope.tx.delete_account_recovery(account)?;
                let leaf = scope.record(Act::RecoveryCancel)?;
                Ok(Done { leaf })
            })
    }

    /// The recovery of an account that is under way: of the caller's own, and of another's for those who may start or approve one.
    pub fn present_recovery(
        &self,
        caller: &Presented,
        account: Option<AccountId>,
    ) -> Answer<PresentRecovery> {
        self.core.look(caller, |view, caller, _| {
            let account = account.unwrap_or(caller.account.id);
            if account != caller.account.id && !caller.may(May::ManageAccounts) {
                caller.require(May::ApproveRecoveries)?;
            }
            let recovery = view.account_recovery(account)?;
            let recovery = recovery.map(|recovery| to_wire(view, &recovery));
            Ok(PresentRecovery {
                recovery: recovery.transpose()?,
            })
        })
    }

    /// Begins to finish a recovery: the account's holder chooses a new password.
    pub fn start_recovered_password(
        &self,
        source: IpAddr,
        request: StartRecovery,
    ) -> Answer<EnrolmentStarted> {
        let message =
            RegistrationRequest::<Suite>::deserialize(&request.request.0).map_err(|_| {
                Error::Invalid("The registration request is not one of OPAQUE.".to_owned())
            })?;
        self.core.act(Act::RecoveryFinish, source, move |scope| {
            scope.record_strangers = true;
            // A recovery code is used up by the end, not by this.
            let account = recovering(scope, &request.account, &request.code, &request.second)?;
            let response = ServerRegistration::start(
                &scope.domain.opaque_setup,
                message.clone(),
                account.name.as_bytes(),
            )
            .map_err(|_| Error::RecoveryRefused)?;
            Ok(EnrolmentStarted {
                domain: scope.domain.name.clone(),
                response: response.message.serialize().to_vec().into(),
            })
        })
    }

    /// Finishes a recovery: the account has the new password and nothing else, neither second factors nor approval keys nor identities nor sessions. What it holds of keys
    /// is untouched.
    pub fn finish_recovery(&self, source: IpAddr, request: FinishRecovery) -> Answer<Done> {
        let upload = RegistrationUpload::<Suite>::deserialize(&request.upload.0).map_err(|_| {
            Error::Invalid("The registration record is not one of OPAQUE.".to_owned())
        })?;
        let data = ServerRegistration::finish(upload).serialize().to_vec();
        let core = self.core.clone();
        let (account, done) = self.core.act(Act::RecoveryFinish, source, move |scope| {
            scope.record_strangers = true;
            let account = recovering(scope, &request.account, &request.code, &request.second)?;
            for passkey in scope.tx.passkeys_of(account.id)? {
                scope.tx.delete_passkey(account.id, passkey.id)?;
            }
            for key in scope.tx.approval_keys_of(account.id)? {
                scope.tx.delete_approval_key(account.id, key.id)?;
            }
            for link in scope.tx.identity_links_of(account.id)? {
                scope.tx.delete_identity_link(account.id, &link.issuer)?;
            }
            for kind in [
                CredentialKind::Totp,
                CredentialKind::TotpPending,
                CredentialKind::RecoveryCodes,
            ] {
                scope.tx.delete_credential(account.id, kind)?;
            }
            let mut password = CredentialRecord::new(
                account.id,
                CredentialKind::Opaque,
                data.clone(),
                None,
                scope.now,
            );
            scope.domain.authenticate_credential(&mut password);
            scope.tx.put_credential(&password)?;
            scope.tx.end_sessions(account.id)?;
            scope.tx.delete_account_recovery(account.id)?;
            let content = MailContent::RecoveryFinished {
                account: account.name.clone(),
            };
            mail::put(scope, &account, &content, scope.now.plus_seconds(LIFETIME))?;
            scope.detail.actor = scope.detail.subject.take();
            let leaf = scope.record(Act::RecoveryFinish)?;
            Ok((account.id, Done { leaf }))
        })?;
        // Whoever has proved the old password and has no session yet gets none.
        core.sign_ins.forget_account(account);
        core.waiting.forget_account(account);
        Ok(done)
    }
}

impl View<'_> {
    /// The recovery of an account that is under way, its record checked.
    pub(crate) fn account_recovery(
        &self,
        account: AccountId,
    ) -> Result<Option<AccountRecoveryRecord>, Error> {
        self.snapshot
            .account_recovery(account)?
            .map(|recovery| self.domain.check_account_recovery(recovery))
            .transpose()
            .map(|recovery| recovery.filter(|recovery| self.now < recovery.expires))
    }
}

/// The account that is recovered with these codes. One error for every reason why not, but for the delay, which whoever has the codes may
/// know.
fn recovering(
    scope: &mut Scope<'_>,
    name: &str,
    code: &str,
    second: &SecondCode,
) -> Result<AccountRecord, Error> {
    let account = scope
        .view()
        .account_by_name(&normal_name(name))?
        .ok_or(Error::RecoveryRefused)?;
    scope.detail.subject = Some(account.id);
    let recovery = scope
        .view()
        .account_recovery(account.id)?
        .ok_or(Error::RecoveryRefused)?;
    let same = |hash: &[u8; 32], code: &str| bool::from(hash.ct_eq(&code_hash(code)));
    let second = match second {
        SecondCode::RecoveryCode(code) => {
            scope.detail.note = Some("recovery code".to_owned());
            recovery_codes::holds(&scope.view(), account.id, code)?
        }
        SecondCode::ApprovalCode(code) => {
            let by = recovery.approved_by.map(|by| format!("approved by {by}"));
            scope.detail.note = by;
            recovery.approval.is_some_and(|hash| same(&hash, code))
        }
    };
    if !same(&recovery.code, code) || !second || account.state != AccountState::Active {
        return Err(Error::RecoveryRefused);
    }
    if scope.now < recovery.effective {
        return Err(Error::RecoveryTooEarly(recovery.effective));
    }
    Ok(account)
}

/// The account, if it can be recovered by this administrator.
fn recoverable(
    view: &View<'_>,
    account: AccountId,
    administrator: AccountId,
) -> Result<AccountRecord, Error> {
    let record = find(view, account)?;
    if account == administrator {
        return Err(Error::NotPermitted(
            "another administrator: nobody recovers their own account",
        ));
    }
    match (record.kind, record.state) {
        (AccountKind::Person, AccountState::Active) => Ok(record),
        (AccountKind::Person, AccountState::Pending) => Err(Error::Conflict(format!(
            "{} has not enrolled yet: a new enrolment code is what they need.",
            record.name
        ))),
        (AccountKind::Person, AccountState::Suspended) => Err(Error::Conflict(format!(
            "{} is suspended: activate the account first.",
            record.name
        ))),
        _ => Err(Error::Invalid(
            "Only people's accounts are recovered.".to_owned(),
        )),
    }
}

fn none(account: &AccountRecord) -> Error {
    Error::Conflict(format!("No recovery of {} is under way.", account.name))
}

fn put(scope: &mut Scope<'_>, recovery: &mut AccountRecoveryRecord) -> Result<(), Error> {
    scope.domain.authenticate_account_recovery(recovery);
    Ok(scope.tx.put_account_recovery(recovery)?)
}

fn to_wire(view: &View<'_>, recovery: &AccountRecoveryRecord) -> Result<Recovery, Error> {
    Ok(Recovery {
        account: recovery.account,
        account_name: view.name_of(recovery.account)?,
        started_by: recovery.started_by,
        started_by_name: view.name_of(recovery.started_by)?,
        started: recovery.started,
        approved_by: recovery.approved_by,
        approved_by_name: recovery
            .approved_by
            .map(|by| view.name_of(by))
            .transpose()?,
        effective: recovery.effective,
        expires: recovery.expires,
    })
}
