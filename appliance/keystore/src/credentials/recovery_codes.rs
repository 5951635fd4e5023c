//! Recovery codes: ten one-time codes, each good in place of the second factor once. Kept as SHA-256 of 120 random bits each, so that
//! nobody who reads the database finds one by trying.

use strongroom_wire::audit::Act;
use strongroom_wire::credential::RecoveryCodes;
use strongroom_wire::id::AccountId;
use subtle::ConstantTimeEq;

use super::totp::require_person;
use super::{code_hash, generate_code};
use crate::act::{Presented, Scope, View};
use crate::error::{Answer, Error};
use crate::keystore::Keystore;
use crate::mail::{self, CredentialChange};
use crate::store::{CredentialKind, CredentialRecord};

/// How many codes an account gets.
const CODES: usize = 10;

impl Keystore {
    /// Makes new recovery codes; those before them are void.
    pub fn make_recovery_codes(&self, caller: &Presented) -> Answer<RecoveryCodes> {
        let presented = caller.clone();
        self.core
            .act(Act::CredentialAdd, caller.source, move |scope| {
                let caller = scope.authenticate(&presented)?;
                caller.require_recent(scope.now)?;
                require_person(&caller)?;
                let codes = make(scope, caller.account.id)?;
                scope.detail.note = Some("recovery-codes".to_owned());
                mail::tell_of_change(scope, &caller, CredentialChange::RecoveryCodes);
                let leaf = scope.record(Act::CredentialAdd)?;
                Ok(RecoveryCodes { codes, leaf })
            })
    }
}

/// Makes new codes in place of those that there are.
pub(super) fn make(scope: &mut Scope<'_>, account: AccountId) -> Result<Vec<String>, Error> {
    let codes = (0..CODES)
        .map(|_| generate_code())
        .collect::<Result<Vec<_>, _>>()?;
    let data = codes.iter().flat_map(|code| code_hash(code)).collect();
    let mut record = CredentialRecord::new(
        account,
        CredentialKind::RecoveryCodes,
        data,
        None,
        scope.now,
    );
    scope.domain.authenticate_credential(&mut record);
    scope.tx.put_credential(&record)?;
    Ok(codes)
}

/// Whether this is a code that is left.
pub(crate) fn holds(view: &View<'_>, account: AccountId, code: &str) -> Result<bool, Error> {
    let given = code_hash(code);
    let record = view.credential(account, CredentialKind::RecoveryCodes)?;
    let data = record.map(|record| record.data).unwrap_or_default();
    let (hashes, _) = data.as_chunks::<32>();
    // Every one is looked at, so that the time it takes does not say which fits.
    Ok(hashes
        .iter()
        .fold(false, |found, hash| found | bool::from(hash.ct_eq(&given))))
}

/// Uses a code up. Answers whether it is one.
pub(super) fn take(scope: &mut Scope<'_>, account: AccountId, code: &str) -> Result<bool, Error> {
    let Some(mut record) = scope
        .view()
        .credential(account, CredentialKind::RecoveryCodes)?
    else {
        return Ok(false);
    };
    let given = code_hash(code);
    let (hashes, _) = record.data.as_chunks::<32>();
    // Every one is looked at, so that the time it takes does not say which fits.
    let mut left = Vec::with_capacity(record.data.len());
    for hash in hashes {
        if !bool::from(hash.ct_eq(&given)) {
            left.extend_from_slice(hash);
        }
    }
    if left.len() == record.data.len() {
        return Ok(false);
    }
    record.data = left;
    record.used = Some(scope.now);
    scope.domain.authenticate_credential(&mut record);
    scope.tx.put_credential(&record)?;
    Ok(true)
}

/// How many codes a record still holds.
pub(super) fn left(record: &CredentialRecord) -> u32 {
    u32::try_from(record.data.len() / 32).unwrap_or(u32::MAX)
}
