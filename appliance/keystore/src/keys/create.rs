//! New keys.

use strongroom_hsm::Aes256Key;
use strongroom_wire::audit::Act;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::{GrantId, IdempotencyKey, KeyId};
use strongroom_wire::key::{
    Algorithm, CreateKeys, CreatedKey, CreatedKeys, GrantState, KeyState, LONGEST_CONTENT_TYPE,
    LONGEST_LABEL, MOST_HSM_KEYS_A_REQUEST, MOST_KEYS_A_REQUEST, MOST_RECIPIENTS,
    MOST_RSA_KEYS_A_REQUEST, NewKey, Origin, Protection, Releasable, Right, UsagePolicy,
};

use super::access::{self, Standing};
use super::fresh::{self, Fresh};
use super::once::Once;
use super::{IN_HSM, RECIPIENT_RIGHTS, release, seal_copy, to_wire};
use crate::act::{Caller, Presented, Scope};
use crate::domains::Counted;
use crate::error::{Answer, Error};
use crate::keystore::Keystore;
use crate::objects;
use crate::policy;
use crate::policy::decide::{Attempt, Policies, decide};
use crate::roles::May;
use crate::store::{AccountRecord, GrantRecord, KeyRecord, KeyTraits, PublicKeyRecord};

impl Keystore {
    /// Creates keys owned by the caller, shared with their recipients, and releases them to the caller if it asked for that: so that
    /// something can be protected now that is to be opened later, or once, such a release is held against the domain's policy only, and
    /// not counted. All are created or none.
    pub fn create_keys(&self, caller: &Presented, request: CreateKeys) -> Answer<CreatedKeys> {
        self.create(caller, request, None)
    }

    /// The same, and when the request is made again with this idempotency key within [`REMEMBERED_FOR`](strongroom_wire::key::REMEMBERED_FOR)
    /// seconds it makes no other keys.
    pub fn create_keys_once(
        &self,
        caller: &Presented,
        request: CreateKeys,
        once: IdempotencyKey,
    ) -> Answer<CreatedKeys> {
        self.create(caller, request, Some(once))
    }

    fn create(
        &self,
        caller: &Presented,
        mut request: CreateKeys,
        once: Option<IdempotencyKey>,
    ) -> Answer<CreatedKeys> {
        check(&mut request)?;
        let presented = caller.clone();
        let once = once.map(|once| Once::new(once, &request)).transpose()?;
        let (fresh, pending) = fresh::of_request(&self.core, caller, &request.keys)?;
        let answer = self.core.act(Act::KeyCreate, caller.source, move |scope| {
            let caller = scope.authenticate(&presented)?;
            if let Some(once) = &once
                && let Some(keys) = once.repeat(scope, &caller, request.release)?
            {
                return Ok(CreatedKeys { keys });
            }
            let recipients = recipients(scope, &caller, &request.keys)?;
            if request.release {
                allow(&caller, Right::Release, scope.now)?;
            }
            if recipients
                .iter()
                .flatten()
                .any(|recipient| recipient.id != caller.account.id)
            {
                allow(&caller, Right::Share, scope.now)?;
            }
            let tell = caller.may(May::ManageAccounts);
            scope.require_room(Counted::Keys, request.keys.len() as u64, tell)?;
            scope.require_room(Counted::Bytes, 1, tell)?;
            let mut keys = Vec::with_capacity(request.keys.len());
            for ((new, recipients), fresh) in request.keys.iter().zip(&recipients).zip(&fresh) {
                let fresh = fresh
                    .as_ref()
                    .map_err(|refusal| Error::Mechanism(*refusal))?;
                let (key, leaf) = create(scope, &caller, new, recipients, fresh)?;
                let material = if request.release {
                    let view = scope.view();
                    let Standing::Holds(access) =
                        access::standing(&view, caller.account.id, key.id, Some(Right::Release))?
                    else {
                        return Err(Error::Internal("a new key has no grant"));
                    };
                    Some(release::release(scope, &caller, &access, key.version)?)
                } else {
                    None
                };
                let key = to_wire(&scope.view(), &key, &Right::ALL)?;
                keys.push(CreatedKey {
                    key,
                    material,
                    leaf,
                });
            }
            if let Some(once) = &once {
                once.remember(scope, &caller, &keys)?;
            }
            Ok(CreatedKeys { keys })
        });
        pending.settle(&answer, |created: &CreatedKeys, key| {
            created.keys.iter().any(|created| created.key.id == key)
        });
        answer
    }
}

/// Refuses what comes with a new key and the domain's policy does not allow, whatever the key's own is to be.
pub(crate) fn allow(caller: &Caller, right: Right, now: Timestamp) -> Result<(), Error> {
    let none = UsagePolicy::default();
    let policies = Policies {
        domain: &caller.policy.usage,
        key: &none,
        grant: &none,
        legacy: &caller.policy.legacy_mechanisms,
    };
    let attempt = Attempt {
        right,
        mechanism: None,
        kind: caller.account.kind,
        strength: Some(caller.strength),
        source: Some(caller.source),
        at: now,
        releases_of_key: 0,
        releases_under_grant: 0,
    };
    decide(&policies, &attempt).map_err(|rule| Error::PolicyRefused { rule, tell: true })
}

/// Makes one key with the owner's grant and one for each recipient.
fn create(
    scope: &mut Scope<'_>,
    caller: &Caller,
    new: &NewKey,
    recipients: &[AccountRecord],
    fresh: &Fresh,
) -> Result<(KeyRecord, u64), Error> {
    let owner = &caller.account;
    let mut key = KeyRecord {
        id: fresh
            .in_hsm
            .as_ref()
            .map_or_else(KeyId::generate, |made| made.key),
        domain: scope.domain.number,
        owner: owner.id,
        sender: owner.id,
        recipients: recipients.iter().map(|account| account.id).collect(),
        algorithm: new.algorithm,
        state: new.state,
        label: new.label.clone(),
        content_type: new.content_type.clone(),
        version: 1,
        policy: new.policy.clone(),
        releases: 0,
        created: scope.now,
        traits: KeyTraits {
            length: (new.algorithm == Algorithm::GenericSecret).then(|| fresh.length()),
            releasable: new.releasable,
            origin: fresh.origin,
            protection: new.protection,
            authenticate_each: new.authenticate_each,
        },
        mac: [0; 32],
    };
    key.recipients.sort_unstable();
    scope.domain.authenticate_key(&mut key);
    scope.tx.create_key(&key)?;
    add_public_key(scope, &key, fresh)?;
    let material = &fresh.material.bytes;
    let everything = UsagePolicy::default();
    give(
        scope,
        &key,
        owner,
        owner,
        &Right::ALL,
        &everything,
        &[(1, material.as_slice())],
    )?;
    let mut rights = RECIPIENT_RIGHTS.to_vec();
    rights.retain(|right| *right != Right::Release || new.releasable.is_by_policy());
    for recipient in recipients
        .iter()
        .filter(|recipient| recipient.id != owner.id)
    {
        give(
            scope,
            &key,
            owner,
            recipient,
            &rights,
            &everything,
            &[(1, material.as_slice())],
        )?;
    }
    objects::describe(scope, owner.id, &key, &new.objects)?;
    scope.detail.key = Some(key.id);
    scope.detail.key_version = Some(1);
    scope.detail.owner = Some(owner.id);
    scope.detail.grant = None;
    let note = scope.detail.note.clone();
    if fresh.in_hsm.is_some() {
        scope.detail.note = Some(IN_HSM.to_owned());
    }
    let leaf = scope.record(match fresh.origin {
        Origin::Generated => Act::KeyCreate,
        Origin::Imported | Origin::Unwrapped | Origin::Derived => Act::KeyImport,
    })?;
    scope.detail.note = note;
    Ok((key, leaf))
}

/// Records the public key of a key pair's newest version.
pub(super) fn add_public_key(
    scope: &mut Scope<'_>,
    key: &KeyRecord,
    fresh: &Fresh,
) -> Result<(), Error> {
    let Some(public_key) = &fresh.material.public_key else {
        return Ok(());
    };
    let mut record = PublicKeyRecord {
        key: key.id,
        version: key.version,
        public_key: public_key.clone(),
        mac: [0; 32],
    };
    scope.domain.authenticate_public_key(&mut record);
    Ok(scope.tx.add_public_key(&record)?)
}

/// A checked request for one key that comes of an operation.
#[derive(Clone)]
pub(crate) struct NewRequest([NewKey; 1]);

impl NewRequest {
    /// The request for this key, whose material is not to be brought.
    pub(crate) fn new(new: NewKey) -> Result<Self, Error> {
        if new.material.is_some() {
            return Err(Error::Invalid(
                "The material of this key comes of the operation.".to_owned(),
            ));
        }
        if new.protection == Protection::Hsm {
            return Err(Error::Invalid(
                "A key of the protection level hsm is generated in the HSM, and comes of no operation."
                    .to_owned(),
            ));
        }
        let mut request = CreateKeys {
            keys: vec![new],
            release: false,
        };
        check(&mut request)?;
        let keys = <[NewKey; 1]>::try_from(request.keys);
        keys.map(Self)
            .map_err(|_| Error::Internal("a request for one key has one"))
    }

    pub(crate) const fn key(&self) -> &NewKey {
        &self.0[0]
    }

    /// The same request for a key for this.
    pub(crate) fn of(&self, algorithm: Algorithm) -> Self {
        let mut other = self.clone();
        let [new] = &mut other.0;
        if new.algorithm != algorithm {
            new.algorithm = algorithm;
            new.length = None;
        }
        other
    }
}

/// Makes the key that comes of an operation.
pub(crate) fn one(
    scope: &mut Scope<'_>,
    caller: &Caller,
    request: &NewRequest,
    fresh: &Fresh,
) -> Result<(KeyRecord, u64), Error> {
    let recipients = recipients(scope, caller, &request.0)?;
    if recipients
        .iter()
        .flatten()
        .any(|recipient| recipient.id != caller.account.id)
    {
        allow(caller, Right::Share, scope.now)?;
    }
    let tell = caller.may(May::ManageAccounts);
    scope.require_room(Counted::Keys, 1, tell)?;
    scope.require_room(Counted::Bytes, 1, tell)?;
    let recipients = recipients.first().map(Vec::as_slice).unwrap_or_default();
    create(scope, caller, request.key(), recipients, fresh)
}

/// Gives an account a grant: seals the versions' material for it.
pub(crate) fn give(
    scope: &mut Scope<'_>,
    key: &KeyRecord,
    giver: &AccountRecord,
    grantee: &AccountRecord,
    rights: &[Right],
    policy: &UsagePolicy,
    versions: &[(u32, &[u8])],
) -> Result<GrantRecord, Error> {
    let mut rights = rights.to_vec();
    rights.sort_unstable();
    rights.dedup();
    let mut grant = GrantRecord {
        id: GrantId::generate(),
        key: key.id,
        grantee: grantee.id,
        granted_by: giver.id,
        state: GrantState::Active,
        rights,
        policy: policy.clone(),
        releases: 0,
        created: scope.now,
        mac: [0; 32],
    };
    scope.domain.authenticate_grant(&mut grant);
    let kek: Aes256Key = scope.keks.get(grantee.id, grantee.kek_version)?;
    let copies = versions
        .iter()
        .map(|(version, material)| {
            seal_copy(key, &grant, *version, &kek, grantee.kek_version, material)
        })
        .collect::<Result<Vec<_>, _>>()?;
    scope.tx.create_grant(&grant, &copies)?;
    Ok(grant)
}

/// The recipients of each key, sorted and without doubles, whose KEKs are at hand.
fn recipients(
    scope: &Scope<'_>,
    caller: &Caller,
    keys: &[NewKey],
) -> Result<Vec<Vec<AccountRecord>>, Error> {
    let view = scope.view();
    let all = keys
        .iter()
        .map(|new| {
            let mut recipients = new
                .recipients
                .iter()
                .map(|name| view.require_account(name))
                .collect::<Result<Vec<_>, _>>()?;
            recipients.sort_by_key(|account| account.id);
            recipients.dedup_by_key(|account| account.id);
            Ok(recipients)
        })
        .collect::<Result<Vec<_>, Error>>()?;
    let needed: Vec<&AccountRecord> = all.iter().flatten().chain([&caller.account]).collect();
    scope.keks.require(&needed)?;
    Ok(all)
}

/// Refuses what cannot be in the HSM.
fn check_in_hsm(new: &NewKey, release: bool) -> Result<(), Error> {
    if new.material.is_some() {
        return Err(Error::Invalid(
            "A key of the protection level hsm is generated in the HSM: none is brought."
                .to_owned(),
        ));
    }
    if release || new.releasable != Releasable::Never {
        return Err(Error::Invalid(
            "A key of the protection level hsm never leaves the HSM: say that it is released never."
                .to_owned(),
        ));
    }
    Ok(())
}

fn check(request: &mut CreateKeys) -> Result<(), Error> {
    let invalid = |text: String| Err(Error::Invalid(text));
    if request.keys.is_empty() || request.keys.len() > MOST_KEYS_A_REQUEST {
        return invalid(format!(
            "One request creates 1 to {MOST_KEYS_A_REQUEST} keys."
        ));
    }
    let is_rsa = |new: &&NewKey| {
        new.material.is_none()
            && matches!(
                new.algorithm,
                Algorithm::Rsa2048 | Algorithm::Rsa3072 | Algorithm::Rsa4096
            )
    };
    if request.keys.iter().filter(is_rsa).count() > MOST_RSA_KEYS_A_REQUEST {
        return invalid(format!(
            "One request generates at most {MOST_RSA_KEYS_A_REQUEST} RSA keys: they take long to find."
        ));
    }
    let in_hsm = |new: &&NewKey| new.protection == Protection::Hsm;
    if request.keys.iter().filter(in_hsm).count() > MOST_HSM_KEYS_A_REQUEST {
        return invalid(format!(
            "One request generates at most {MOST_HSM_KEYS_A_REQUEST} keys in the HSM."
        ));
    }
    for new in &mut request.keys {
        if new.protection == Protection::Hsm {
            check_in_hsm(new, request.release)?;
        }
        match new.releasable {
            Releasable::ByPolicy if new.authenticate_each => {
                return invalid(
                    "A key whose every use is authenticated is never released: say so of it."
                        .to_owned(),
                );
            }
            Releasable::ByPolicy => {}
            Releasable::Never => new.policy.operations_only = true,
            Releasable::NoMore => {
                return invalid("A new key is released by policy, or never.".to_owned());
            }
        }
        if new.label.len() > LONGEST_LABEL || new.label.chars().any(char::is_control) {
            return invalid(format!(
                "A label has at most {LONGEST_LABEL} bytes and no control characters."
            ));
        }
        let content_type = new.content_type.as_deref().unwrap_or_default();
        if content_type.len() > LONGEST_CONTENT_TYPE
            || !content_type
                .chars()
                .all(|c| c == ' ' || c.is_ascii_graphic())
        {
            return invalid(format!(
                "A content type has at most {LONGEST_CONTENT_TYPE} printable ASCII characters."
            ));
        }
        if new.recipients.len() > MOST_RECIPIENTS {
            return invalid(format!("A key has at most {MOST_RECIPIENTS} recipients."));
        }
        objects::check_of_key(new.algorithm, &new.objects)?;
        if !matches!(new.state, KeyState::PreActive | KeyState::Active) {
            return invalid("A new key is pre-active or active.".to_owned());
        }
        if request.release && new.state == KeyState::PreActive {
            return invalid("A pre-active key cannot be released.".to_owned());
        }
        new.policy = policy::checked(std::mem::take(&mut new.policy))?;
        let rights = new.policy.rights.as_ref();
        let releasable = !new.policy.operations_only
            && rights.is_none_or(|rights| rights.contains(&Right::Release));
        if request.release && !releasable {
            return invalid(
                "A key that its usage policy never releases cannot be released when it is created."
                    .to_owned(),
            );
        }
    }
    Ok(())
}
