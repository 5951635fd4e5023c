//! An account's credentials as its holder sees them, and removing one.

use strongroom_wire::account::Done;
use strongroom_wire::audit::Act;
use strongroom_wire::credential::{
    Credential, CredentialKind as WireKind, CredentialName, Credentials,
};
use strongroom_wire::id::AccountId;

use super::{recovery_codes, second_factor};
use crate::act::{Presented, Scope, View};
use crate::credentials::second_factor::Factors;
use crate::error::{Answer, Error};
use crate::keystore::Keystore;
use crate::mail::{self, CredentialChange};
use crate::store::{CredentialKind, CredentialRecord, PasskeyRecord};

impl Keystore {
    /// The caller's credentials.
    pub fn credentials(&self, caller: &Presented) -> Answer<Credentials> {
        self.core.look(caller, |view, caller, _| {
            let account = caller.account.id;
            let factors = Factors::of(view, account)?;
            let kept = [
                view.credential(account, CredentialKind::Opaque)?,
                factors.totp,
                factors.recovery_codes,
            ];
            let credentials = kept
                .iter()
                .flatten()
                .map(listed)
                .chain(factors.passkeys.iter().map(listed_passkey))
                .collect();
            Ok(Credentials { credentials })
        })
    }

    /// Removes one of the caller's credentials. The last with which a session can be opened stays.
    pub fn remove_credential(&self, caller: &Presented, name: CredentialName) -> Answer<Done> {
        let presented = caller.clone();
        self.core
            .act(Act::CredentialRemove, caller.source, move |scope| {
                let caller = scope.authenticate(&presented)?;
                caller.require_recent(scope.now)?;
                scope.detail.note = Some(name.to_string());
                remove(scope, caller.account.id, name)?;
                second_factor::update_password(scope, caller.account.id)?;
                let change = CredentialChange::Removed(name.to_string());
                mail::tell_of_change(scope, &caller, change);
                let leaf = scope.record(Act::CredentialRemove)?;
                Ok(Done { leaf })
            })
    }
}

fn remove(scope: &mut Scope<'_>, account: AccountId, name: CredentialName) -> Result<(), Error> {
    let kind = match name {
        CredentialName::Password => CredentialKind::Opaque,
        CredentialName::Totp => CredentialKind::Totp,
        CredentialName::RecoveryCodes => CredentialKind::RecoveryCodes,
        CredentialName::Passkey(passkey) => {
            let passkeys = Factors::of(&scope.view(), account)?.passkeys;
            if !passkeys.iter().any(|held| held.id == passkey) {
                return Err(Error::CredentialNotFound);
            }
            if passkeys.len() == 1 && !has_password(&scope.view(), account)? {
                return Err(last());
            }
            return Ok(scope.tx.delete_passkey(account, passkey)?);
        }
    };
    if scope.view().credential(account, kind)?.is_none() {
        return Err(Error::CredentialNotFound);
    }
    if kind == CredentialKind::Opaque && Factors::of(&scope.view(), account)?.passkeys.is_empty() {
        return Err(last());
    }
    Ok(scope.tx.delete_credential(account, kind)?)
}

fn has_password(view: &View<'_>, account: AccountId) -> Result<bool, Error> {
    Ok(view.credential(account, CredentialKind::Opaque)?.is_some())
}

fn last() -> Error {
    Error::Conflict(
        "This is the last credential with which this account can sign in: add another one first."
            .to_owned(),
    )
}

/// A credential as its holder sees it.
pub(super) fn listed(record: &CredentialRecord) -> Credential {
    let (kind, left) = match record.kind {
        CredentialKind::EnrolmentCode | CredentialKind::Opaque => (WireKind::Password, None),
        CredentialKind::Totp | CredentialKind::TotpPending => (WireKind::Totp, None),
        CredentialKind::RecoveryCodes => {
            (WireKind::RecoveryCodes, Some(recovery_codes::left(record)))
        }
    };
    Credential {
        kind,
        passkey: None,
        name: None,
        created: record.created,
        used: record.used,
        left,
    }
}

/// A passkey as its holder sees it.
pub(super) fn listed_passkey(passkey: &PasskeyRecord) -> Credential {
    Credential {
        kind: WireKind::Passkey,
        passkey: Some(passkey.id),
        name: Some(passkey.name.clone()),
        created: Some(passkey.created),
        used: passkey.used,
        left: None,
    }
}
