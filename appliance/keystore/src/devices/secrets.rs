//! New secrets of devices and services.

use strongroom_session::AccountSecret;
use strongroom_wire::account::{AccountKind, AccountState};
use strongroom_wire::audit::Act;
use strongroom_wire::device::IssuedSecret;
use strongroom_wire::id::AccountId;

use super::{device_of, seal_secret};
use crate::accounts::find;
use crate::act::{Caller, Presented, Proof, View};
use crate::error::{Answer, Error};
use crate::hierarchy::hsm_random_key;
use crate::keystore::Keystore;
use crate::roles::May;
use crate::store::AccountRecord;

impl Keystore {
    /// Makes a new secret for a device or service. By itself, by who paired it, or, until its first request, by an administrator.
    ///
    /// The secret that signed this very request counts until the new one has been used, so that an answer which gets lost locks nobody
    /// out. All others are void at once.
    pub fn issue_secret(&self, caller: &Presented, account: AccountId) -> Answer<IssuedSecret> {
        let presented = caller.clone();
        // The HSM's share of it is asked for before the transaction begins; a refusal lets it fall unused.
        let secret = self.core.look(caller, |view, caller, _| {
            let record = view.account(account)?;
            let permitted = record
                .map(|record| may_issue(view, caller, &record))
                .transpose()?;
            Ok(permitted.is_some())
        });
        let secret = match secret {
            Ok(true) => Some(AccountSecret::from_bytes(
                *hsm_random_key(self.core.domain.hsm())?.as_bytes(),
            )),
            _ => None,
        };
        self.core
            .act(Act::AccountSecret, caller.source, move |scope| {
                let caller = scope.authenticate(&presented)?;
                scope.detail.subject = Some(account);
                let view = scope.view();
                let record = match find(&view, account) {
                    Err(Error::AccountNotFound(_)) => {
                        caller.require(May::ManageAccounts)?;
                        find(&view, account)?
                    }
                    found => found?,
                };
                may_issue(&view, &caller, &record)?;
                let secret = secret.as_ref().ok_or(Error::Conflict(
                    "The account has just been changed.".to_owned(),
                ))?;
                let signed_with = match &presented.proof {
                    Proof::Signature(admitted) => admitted.generation_of(account),
                    Proof::Session(_) => None,
                };
                let newest = scope.tx.secrets_of(account)?;
                let newest = newest.first().map_or(0, |newest| newest.generation);
                let generation = newest
                    .checked_add(1)
                    .ok_or(Error::Internal("a secret has no next generation"))?;
                let kek = scope.keks.get(account, record.kek_version)?;
                let sealed = seal_secret(
                    secret,
                    account,
                    generation,
                    &kek,
                    record.kek_version,
                    scope.now,
                )?;
                scope.tx.forget_secrets_but(account, signed_with)?;
                scope.tx.add_secret(&sealed)?;
                scope.detail.note = Some(format!("generation {generation}"));
                let leaf = scope.record(Act::AccountSecret)?;
                let wrapped = caller
                    .transport
                    .wrap_secret(account, generation, secret)
                    .map_err(|_| Error::Internal("a secret has the wrong length"))?;
                Ok(IssuedSecret {
                    account,
                    generation,
                    wrapped: wrapped.into(),
                    leaf,
                })
            })
    }
}

/// Whether the caller may give this account a new secret: whoever has it can use the account's keys.
pub(super) fn may_issue(
    view: &View<'_>,
    caller: &Caller,
    account: &AccountRecord,
) -> Result<(), Error> {
    let device = device_of(view, account.id)?;
    let is_own = caller.account.id == account.id;
    let paired_it = device
        .as_ref()
        .is_some_and(|device| device.paired_by == Some(caller.account.id));
    if !is_own && !paired_it {
        caller.require(May::ManageAccounts)?;
    }
    if !matches!(account.kind, AccountKind::Device | AccountKind::Service) {
        return Err(Error::Invalid(
            "Devices and services have secrets; people have passwords.".to_owned(),
        ));
    }
    if device
        .as_ref()
        .is_some_and(|device| device.revoked.is_some())
    {
        return Err(Error::Conflict(
            "The device is revoked for good.".to_owned(),
        ));
    }
    let unused = account.state == AccountState::Pending
        && device.is_none_or(|device| device.admitted.is_none());
    if !is_own && !paired_it && !unused {
        // It would let administrators take the account over, and its keys with it.
        return Err(Error::Conflict(format!(
            "{} has made requests already: only itself, or who paired it, gets it a new secret.",
            account.name
        )));
    }
    Ok(())
}
