//! An account's KEK: a new version, and sealing again what older ones sealed.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use strongroom_audit::Detail;
use strongroom_hsm::Aes256Key;
use strongroom_wire::audit::Act;
use strongroom_wire::id::{AccountId, KeyId};
use strongroom_wire::rotation::RotatedAccountKek;

use super::{Damaged, Found, record_damage, version_note};
use crate::accounts::find;
use crate::act::{Caller, Presented, Scope};
use crate::error::{Answer, Error};
use crate::hierarchy::KekName;
use crate::keystore::{Core, Keystore, LOCALHOST};
use crate::roles::May;
use crate::seal;
use crate::store::{
    AccountKekRecord, AccountRecord, CopyPlace, CopyRecord, GrantRecord, MembershipRecord,
    SessionRecord, Snapshot,
};

/// How many rotations a step looks at in search of one that does not wait.
const MOST_ACCOUNTS: u32 = 100;

/// Where the search for what older versions sealed is, for each account whose rotation is under way.
#[derive(Default)]
pub(super) struct Passes(HashMap<AccountId, Pass>);

#[derive(Default)]
struct Pass {
    /// The version that the pass seals under.
    version: u32,
    copy: Option<CopyPlace>,
    membership: Option<(AccountId, AccountId)>,
    session: Option<[u8; 32]>,
    damaged: Damaged<Place>,
}

/// Where a sealed value stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Place {
    Copy(CopyPlace),
    Membership(AccountId, AccountId),
    Session([u8; 32]),
}

/// A value that an older version sealed.
enum Older {
    Copy(Box<GrantRecord>, CopyRecord),
    Membership(MembershipRecord),
    Session(SessionRecord),
}

/// A value sealed again, to take the place of what is still sealed like this.
enum Resealed {
    Copy(Vec<u8>, CopyRecord),
    Membership(Vec<u8>, MembershipRecord),
    Session(Vec<u8>, SessionRecord),
}

impl Keystore {
    /// Gives an account's KEK a new version, under which everything is sealed from now on; for the account itself and for administrators, who
    /// learn nothing by it. What older versions sealed is sealed again by [`reseal_some`](Self::reseal_some).
    ///
    /// Refused while a rotation before it is under way.
    pub fn rotate_account_kek(
        &self,
        caller: &Presented,
        account: AccountId,
    ) -> Answer<RotatedAccountKek> {
        let core = &self.core;
        let _wrapping = core.rotation.wrapping();
        // The HSM makes the KEK, so it is made before the transaction begins; a refusal lets it fall unused.
        let next = core.look(caller, |view, caller, _| {
            let record = view
                .account(account)?
                .filter(|record| may_rotate(caller, account).is_ok() && !record.is_rotating());
            Ok(record.and_then(|record| record.kek_version.checked_add(1)))
        })?;
        let prepared = next
            .map(|version| core.new_kek(account, version))
            .transpose()?
            .map(|(_, record)| record);
        let presented = caller.clone();
        core.act(Act::AccountKekRotate, caller.source, move |scope| {
            let caller = scope.authenticate(&presented)?;
            scope.detail.subject = Some(account);
            may_rotate(&caller, account)?;
            let record = find(&scope.view(), account)?;
            let kek = prepared
                .as_ref()
                .filter(|kek| {
                    !record.is_rotating() && kek.version.checked_sub(1) == Some(record.kek_version)
                })
                .ok_or_else(|| {
                    Error::Conflict(
                        "A rotation of this account's KEK is under way: let it end first."
                            .to_owned(),
                    )
                })?;
            let leaf = begin_kek_rotation(scope, record, kek)?;
            Ok(RotatedAccountKek {
                account,
                version: kek.version,
                leaf,
            })
        })
    }

    /// Seals again, under the newest version of one account's KEK, at most so many of the values that older versions sealed: copies of keys,
    /// memberships, sessions. Answers how many records it dealt with: 0 when nothing is left or what is left has to wait.
    ///
    /// # Errors
    ///
    /// Those of the HSM and the store. What was not done is done by the next call.
    pub fn reseal_some(&self, limit: u32) -> Result<u32, Error> {
        let core = &self.core;
        let mut passes = core.rotation.account();
        let rotating = core
            .store
            .snapshot()?
            .rotating_accounts(core.domain.number, MOST_ACCOUNTS)?;
        passes
            .0
            .retain(|account, _| rotating.iter().any(|other| other.id == *account));
        let damaged = passes.0.values().map(|pass| pass.damaged.last).sum();
        core.rotation
            .damaged_seals
            .store(damaged, Ordering::Relaxed);
        for account in rotating {
            let pass = passes.0.entry(account.id).or_default();
            if pass.version != account.kek_version {
                *pass = Pass {
                    version: account.kek_version,
                    ..Pass::default()
                };
            }
            if pass.damaged.waits() {
                continue;
            }
            let account = match core.domain.check_account(account) {
                Ok(account) => account,
                Err(error) => {
                    tracing::error!("rotation: {error}");
                    pass.damaged.count += 1;
                    pass.damaged.end_pass();
                    continue;
                }
            };
            let dealt_with = core.reseal_step(&account, pass, limit)?;
            if dealt_with > 0 {
                return Ok(dealt_with);
            }
        }
        Ok(0)
    }
}

impl Pass {
    /// What the next step deals with.
    fn next(
        &self,
        snapshot: &dyn Snapshot,
        account: &AccountRecord,
        limit: u32,
    ) -> Result<Vec<Older>, Error> {
        let mut found: Vec<Older> = snapshot
            .older_copies(account, self.copy, limit)?
            .into_iter()
            .map(|(grant, copy)| Older::Copy(Box::new(grant), copy))
            .collect();
        let room =
            |found: &Vec<Older>| limit.saturating_sub(u32::try_from(found.len()).unwrap_or(limit));
        let memberships = snapshot.older_memberships(account, self.membership, room(&found))?;
        found.extend(memberships.into_iter().map(Older::Membership));
        let sessions = snapshot.older_sessions(account, self.session, room(&found))?;
        found.extend(sessions.into_iter().map(Older::Session));
        Ok(found)
    }

    /// The next step begins after this one.
    fn go_past(&mut self, place: Place) {
        match place {
            Place::Copy(place) => self.copy = Some(place),
            Place::Membership(group, member) => self.membership = Some((group, member)),
            Place::Session(hash) => self.session = Some(hash),
        }
    }

    /// The next step begins from the first.
    fn end(&mut self) {
        (self.copy, self.membership, self.session) = (None, None, None);
        self.damaged.end_pass();
    }
}

impl Older {
    fn place(&self) -> Place {
        match self {
            Self::Copy(grant, copy) => Place::Copy((grant.key, grant.id, copy.version)),
            Self::Membership(membership) => Place::Membership(membership.group, membership.member),
            Self::Session(session) => Place::Session(session.token_hash),
        }
    }

    fn found(&self, account: AccountId) -> Found {
        let (key, what): (Option<KeyId>, _) = match self {
            Self::Copy(grant, _) => (Some(grant.key), "grant"),
            Self::Membership(_) => (None, "membership"),
            Self::Session(_) => (None, "session"),
        };
        Found {
            account: Some(account),
            key,
            what,
        }
    }
}

impl Core {
    fn reseal_step(
        self: &Arc<Self>,
        account: &AccountRecord,
        pass: &mut Pass,
        limit: u32,
    ) -> Result<u32, Error> {
        let older = pass.next(&*self.store.snapshot()?, account, limit)?;
        if older.is_empty() {
            pass.end();
            let ended = self.end_kek_rotation(account.id, account.kek_version)?;
            return Ok(u32::from(ended));
        }
        let mut keks = HashMap::new();
        let (mut resealed, mut found) = (Vec::new(), Vec::new());
        let (mut failure, mut dealt_with) = (None, 0);
        for value in older {
            let place = value.place();
            let about = value.found(account.id);
            match self.reseal(account, value, &mut keks) {
                Ok(value) => resealed.push(value),
                Err(error) if error.is_tampering() => {
                    if pass.damaged.note(place) {
                        found.push(about);
                    }
                }
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
            pass.go_past(place);
            dealt_with += 1;
        }
        let done = self.act(Act::AccountKekResealed, LOCALHOST, move |scope| {
            scope.detail = Detail::default();
            record_damage(scope, Act::AccountKekResealed, &found)?;
            for value in &resealed {
                // What was changed meanwhile is left to its change, or to the next pass.
                match value {
                    Resealed::Copy(before, copy) => scope.tx.reseal_copy(before, copy)?,
                    Resealed::Membership(before, membership) => {
                        scope.tx.reseal_membership(before, membership)?
                    }
                    Resealed::Session(before, session) => {
                        scope.tx.reseal_session(before, session)?
                    }
                };
            }
            Ok(())
        });
        done.map_err(|refusal| refusal.error)?;
        failure.map_or(Ok(dealt_with), Err)
    }

    fn reseal(
        &self,
        account: &AccountRecord,
        value: Older,
        keks: &mut HashMap<KekName, Aes256Key>,
    ) -> Result<Resealed, Error> {
        let newest = account.kek_version;
        match value {
            Older::Copy(grant, mut copy) => {
                let key = self
                    .store
                    .snapshot()?
                    .key(grant.key)?
                    .ok_or(Error::Integrity("key"))?;
                let data = |version| grant.copy_canonical(&key, copy.version, version);
                let old = self.kek(keks, (account.id, copy.kek_version))?;
                let material = seal::open(&old, &data(copy.kek_version), &copy.sealed, "grant")?;
                let new = self.kek(keks, (account.id, newest))?;
                let again = seal::seal(&new, &data(newest), &material)?;
                let before = std::mem::replace(&mut copy.sealed, again);
                copy.kek_version = newest;
                Ok(Resealed::Copy(before, copy))
            }
            Older::Membership(membership) => self.reseal_membership(membership, keks),
            Older::Session(mut session) => {
                let old = self.kek(keks, (account.id, session.kek_version))?;
                let transport = seal::open(&old, &session.canonical(), &session.sealed, "session")?;
                session.kek_version = newest;
                let new = self.kek(keks, (account.id, newest))?;
                let again = seal::seal(&new, &session.canonical(), &transport)?;
                let before = std::mem::replace(&mut session.sealed, again);
                Ok(Resealed::Session(before, session))
            }
        }
    }

    /// The newest version of the group's KEK, sealed under the newest of the member's, whichever of the two is being rotated.
    fn reseal_membership(
        &self,
        mut membership: MembershipRecord,
        keks: &mut HashMap<KekName, Aes256Key>,
    ) -> Result<Resealed, Error> {
        const WHAT: &str = "membership";
        let [group, member] = {
            let snapshot = self.store.snapshot()?;
            let record = |id| -> Result<AccountRecord, Error> {
                let record = snapshot.account(id)?.ok_or(Error::Integrity(WHAT))?;
                self.domain.check_account(record)
            };
            [record(membership.group)?, record(membership.member)?]
        };
        if !group.kek_counts(membership.group_kek_version) {
            return Err(Error::Integrity(WHAT));
        }
        let old = self.kek(keks, (member.id, membership.member_kek_version))?;
        // Whoever is sealed in as a member stays one, and nobody else becomes one.
        seal::open(&old, &membership.canonical(), &membership.sealed, WHAT)?;
        membership.group_kek_version = group.kek_version;
        membership.member_kek_version = member.kek_version;
        let group_kek = self.kek(keks, (group.id, group.kek_version))?;
        let new = self.kek(keks, (member.id, member.kek_version))?;
        let again = seal::seal(&new, &membership.canonical(), group_kek.as_bytes())?;
        let before = std::mem::replace(&mut membership.sealed, again);
        Ok(Resealed::Membership(before, membership))
    }

    /// A KEK for a step: had for it already, cached, or from the HSM.
    fn kek(
        &self,
        keks: &mut HashMap<KekName, Aes256Key>,
        name: KekName,
    ) -> Result<Aes256Key, Error> {
        let copy = |kek: &Aes256Key| Aes256Key::from_bytes(*kek.as_bytes());
        if let Some(kek) = keks.get(&name) {
            return Ok(copy(kek));
        }
        let kek = if let Some(kek) = self.domain.cached_kek(name.0, name.1) {
            kek
        } else {
            let cached_from = self.domain.kek_epoch();
            let snapshot = self.store.snapshot()?;
            self.domain
                .unwrap_kek(&*snapshot, cached_from, name.0, name.1)?
        };
        keks.insert(name, copy(&kek));
        Ok(kek)
    }

    /// Ends a rotation, if nothing is left under older versions: they are deleted. Answers whether it did.
    fn end_kek_rotation(self: &Arc<Self>, account: AccountId, version: u32) -> Result<bool, Error> {
        let ended = self.act(Act::AccountKekResealed, LOCALHOST, move |scope| {
            scope.detail = Detail::default();
            end_kek_rotation(scope, account, version)
        });
        let ended = ended.map_err(|refusal| refusal.error)?;
        if ended {
            self.domain.forget_keks_before(account, version);
        }
        Ok(ended)
    }
}

/// Gives an account's KEK the version that was prepared for it. What older versions sealed is sealed again in the background.
pub(crate) fn begin_kek_rotation(
    scope: &mut Scope<'_>,
    mut record: AccountRecord,
    kek: &AccountKekRecord,
) -> Result<u64, Error> {
    record.kek_version = kek.version;
    scope.domain.authenticate_account(&mut record);
    scope.tx.begin_kek_rotation(&record, kek)?;
    scope.detail.subject = Some(record.id);
    scope.detail.note = Some(version_note(kek.version));
    scope.record(Act::AccountKekRotate)
}

fn end_kek_rotation(
    scope: &mut Scope<'_>,
    account: AccountId,
    version: u32,
) -> Result<bool, Error> {
    let mut record = find(&scope.view(), account)?;
    let left = scope.tx.sealed_under(&record)?.older;
    if record.kek_version != version || !record.is_rotating() || left > 0 {
        return Ok(false);
    }
    record.oldest_kek_version = version;
    scope.domain.authenticate_account(&mut record);
    scope.tx.end_kek_rotation(&record)?;
    scope.detail.subject = Some(account);
    scope.detail.note = Some(version_note(version));
    scope.record(Act::AccountKekResealed)?;
    Ok(true)
}

fn may_rotate(caller: &Caller, account: AccountId) -> Result<(), Error> {
    if caller.account.id == account {
        return Ok(());
    }
    caller.require(May::RotateKeks)
}
