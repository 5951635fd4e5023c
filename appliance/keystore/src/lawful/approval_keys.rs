//! The keys that people approve with: public keys whose private halves lie in cards, tokens or files of their own.

use strongroom_approval::{ApprovalKey as PublicKey, Decision, Of};
use strongroom_wire::account::Done;
use strongroom_wire::approval::{
    ADD_APPROVAL_KEY, AddApprovalKey, ApprovalCredentials, ApprovalKey, ApprovalKeyAdded,
    MOST_APPROVAL_KEYS,
};
use strongroom_wire::audit::Act;
use strongroom_wire::id::{AccountId, ApprovalKeyId};

use super::approvals::{check_validity, read_statement};
use crate::act::{Presented, View};
use crate::credentials::passkeys::check_name;
use crate::credentials::require_person;
use crate::error::{Answer, Error};
use crate::keystore::Keystore;
use crate::seal;
use crate::store::ApprovalKeyRecord;

impl Keystore {
    /// What the caller can approve with.
    pub fn approval_credentials(&self, caller: &Presented) -> Answer<ApprovalCredentials> {
        let party = &self.core.options.passkeys;
        self.core.look(caller, |view, caller, _| {
            let account = caller.account.id;
            let passkeys = view
                .snapshot
                .passkeys_of(account)?
                .into_iter()
                .map(|passkey| Ok(view.domain.check_passkey(passkey)?.credential.into()))
                .collect::<Result<Vec<_>, Error>>()?;
            let keys = view.approval_keys(account)?;
            Ok(ApprovalCredentials {
                account,
                domain_origin: view.domain.origin.clone(),
                keys: keys.iter().map(to_wire).collect(),
                rp_id: party.id.clone(),
                passkeys,
            })
        })
    }

    /// Adds an approval key of the caller's, who shows by it that they have its private half.
    pub fn add_approval_key(
        &self,
        caller: &Presented,
        request: AddApprovalKey,
    ) -> Answer<ApprovalKeyAdded> {
        let name = check_name(&request.name)?;
        let key = PublicKey::from_spki(&request.public_key.0)
            .map_err(|error| Error::Invalid(sentence(&error)))?;
        let statement = read_statement(&request.statement)?;
        let presented = caller.clone();
        self.core
            .act(Act::CredentialAdd, caller.source, move |scope| {
                let caller = scope.authenticate(&presented)?;
                require_person(&caller)?;
                caller.require_recent(scope.now)?;
                let account = caller.account.id;
                let of = Of::Request {
                    act: ADD_APPROVAL_KEY.to_owned(),
                    request_sha256: key.fingerprint(),
                };
                if statement.domain_origin != scope.domain.origin
                    || statement.subject != account.to_string()
                    || statement.of != of
                    || statement.decision != Decision::Approve
                {
                    return Err(Error::ApprovalRefused(
                        "the statement is not that of adding this key to this account",
                    ));
                }
                check_validity(scope.now, statement.valid_until)?;
                key.verify(&request.jws, &request.statement.0)
                    .map_err(|_| Error::ApprovalRefused("the signature is not that of this key"))?;
                if scope.tx.approval_key(key.spki())?.is_some() {
                    return Err(Error::Conflict(
                        "This key is somebody's approval key already.".to_owned(),
                    ));
                }
                if scope.view().approval_keys(account)?.len() >= MOST_APPROVAL_KEYS {
                    return Err(Error::Conflict(format!(
                        "An account has {MOST_APPROVAL_KEYS} approval keys at most: remove one first."
                    )));
                }
                let mut record = ApprovalKeyRecord {
                    id: ApprovalKeyId::generate(),
                    account,
                    public_key: key.spki().to_vec(),
                    name: name.clone(),
                    created: scope.now,
                    mac: [0; 32],
                };
                scope.domain.authenticate_approval_key(&mut record);
                scope.tx.put_approval_key(&record)?;
                scope.detail.note = Some(format!(
                    "approval-key {} key {}",
                    record.id,
                    seal::hex(&key.fingerprint())
                ));
                let leaf = scope.record(Act::CredentialAdd)?;
                Ok(ApprovalKeyAdded {
                    key: to_wire(&record),
                    leaf,
                })
            })
    }

    /// Removes an approval key of the caller's. What was approved with it stays approved.
    pub fn remove_approval_key(&self, caller: &Presented, key: ApprovalKeyId) -> Answer<Done> {
        let presented = caller.clone();
        self.core
            .act(Act::CredentialRemove, caller.source, move |scope| {
                let caller = scope.authenticate(&presented)?;
                caller.require_recent(scope.now)?;
                let account = caller.account.id;
                let keys = scope.view().approval_keys(account)?;
                if !keys.iter().any(|held| held.id == key) {
                    return Err(Error::CredentialNotFound);
                }
                scope.tx.delete_approval_key(account, key)?;
                scope.detail.note = Some(key.to_string());
                let leaf = scope.record(Act::CredentialRemove)?;
                Ok(Done { leaf })
            })
    }
}

impl View<'_> {
    /// An account's approval keys, their records checked.
    pub(crate) fn approval_keys(
        &self,
        account: AccountId,
    ) -> Result<Vec<ApprovalKeyRecord>, Error> {
        let keys = self.snapshot.approval_keys_of(account)?;
        keys.into_iter()
            .map(|key| self.domain.check_approval_key(key))
            .collect()
    }
}

fn to_wire(record: &ApprovalKeyRecord) -> ApprovalKey {
    ApprovalKey {
        id: record.id,
        name: record.name.clone(),
        public_key: record.public_key.clone().into(),
        sha256: seal::hex(&seal::sha256(&record.public_key)),
        created: record.created,
    }
}

/// An error as a sentence.
fn sentence(error: &impl ToString) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    format!("{}{}.", first.unwrap_or_default(), letters.as_str())
}
