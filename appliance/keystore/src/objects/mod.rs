//! Objects: certificates, data and public keys of an account, and what it says of the parts of its keys.
//!
//! Of a key either nothing is said, and its parts are shown with what its record says, or something is said of each part. None of it decides
//! what may be done with a key: its record, its grants and usage policies do.
//!
//! | module | what lives there |
//! |---|---|
//! | here | one object: shown, put, removed; what is said of a new key |
//! | `find` | pages of them |

mod find;

use strongroom_wire::audit::Act;
use strongroom_wire::id::{AccountId, KeyId, ObjectId};
use strongroom_wire::key::{Algorithm, Key, KeyState, Right};
use strongroom_wire::object::{
    AccountObject, CIPHERTEXT_HASH, ChangedObject, KeyObject, LONGEST_ATTRIBUTES, LONGEST_NAME,
    ObjectDescription, ObjectPart, RemovedObject, ShownObject,
};
use strongroom_wire::proposal::ProposedRequest;

use crate::act::{Caller, EVERYBODY, Presented, Scope, View};
use crate::domains::Counted;
use crate::error::{Answer, Error};
use crate::keys::access::{self, Standing};
use crate::keys::find::holders;
use crate::keys::{public_key, to_wire};
use crate::keystore::Keystore;
use crate::lawful::hold;
use crate::roles::May;
use crate::seal;
use crate::store::{KeyRecord, ObjectRecord};

const CKO_PUBLIC_KEY: u32 = 2;
const CKO_PRIVATE_KEY: u32 = 3;
const CKO_SECRET_KEY: u32 = 4;

impl Keystore {
    /// One object.
    pub fn object(
        &self,
        caller: &Presented,
        id: ObjectId,
        part: ObjectPart,
    ) -> Answer<ShownObject> {
        self.core.look(caller, |view, caller, _| {
            Ok(ShownObject {
                object: see(view, caller, id, part)?,
                change: change(view, caller)?,
            })
        })
    }

    /// Makes an object with the identifier that the caller chose for it, or says something else of the object, or the part of a key, that has
    /// it. Made again, the request changes nothing.
    pub fn put_object(
        &self,
        caller: &Presented,
        id: ObjectId,
        part: ObjectPart,
        description: ObjectDescription,
    ) -> Answer<ChangedObject> {
        check(&description)?;
        let presented = caller.clone();
        self.core.act(Act::ObjectPut, caller.source, move |scope| {
            let caller = scope.authenticate(&presented)?;
            let owner = caller.account.id;
            let key = key_of(&scope.view(), owner, id, part)?;
            if let Some(key) = &key {
                check_part(key.algorithm, part, &description)?;
                say_something(scope, owner, key)?;
                scope.detail.key = Some(key.id);
                scope.detail.owner = Some(key.owner);
            } else {
                check_own(part, &description)?;
            }
            let existing = scope.tx.object(owner, id, part)?;
            let existing = existing
                .map(|record| scope.domain.check_object(record))
                .transpose()?;
            let tell = caller.may(May::ManageAccounts);
            let bytes = description.attributes.0.len() as u64;
            scope.require_room(Counted::Bytes, bytes.max(1), tell)?;
            let mut record = ObjectRecord {
                owner,
                id,
                part,
                domain: scope.domain.number,
                key: key.map(|key| key.id),
                description: description.clone(),
                gone: false,
                created: existing.map_or(scope.now, |record| record.created),
                updated: scope.now,
                mac: [0; 32],
            };
            put(scope, &mut record)?;
            scope.detail.note = Some(note(id, part));
            let leaf = scope.record(Act::ObjectPut)?;
            Ok(ChangedObject {
                object: see(&scope.view(), &caller, id, part)?,
                change: change(&scope.view(), &caller)?,
                leaf,
            })
        })
    }

    /// Removes an object. To remove a secret key, or the private half of a key pair, is to destroy the key; its public half stays. To remove that
    /// is to see it no more.
    pub fn remove_object(
        &self,
        caller: &Presented,
        id: ObjectId,
        part: ObjectPart,
    ) -> Answer<RemovedObject> {
        let act = match part {
            ObjectPart::Secret | ObjectPart::Private => Act::KeyDestroy,
            ObjectPart::Public | ObjectPart::Object => Act::ObjectRemove,
        };
        let presented = caller.clone();
        let answer = self.core.act(act, caller.source, move |scope| {
            let caller = scope.authenticate(&presented)?;
            let owner = caller.account.id;
            // There has to be one.
            see(&scope.view(), &caller, id, part)?;
            match key_of(&scope.view(), owner, id, part)? {
                Some(key) => remove_part(scope, &caller, &key, part)?,
                None => scope.tx.delete_object(owner, id, part)?,
            }
            if act == Act::ObjectRemove {
                scope.detail.note = Some(note(id, part));
            }
            let leaf = scope.record(act)?;
            Ok(RemovedObject {
                change: change(&scope.view(), &caller)?,
                leaf,
            })
        });
        self.core.destroy_doomed();
        answer
    }
}

/// Records what an application says of a new key's parts.
pub(crate) fn describe(
    scope: &mut Scope<'_>,
    owner: AccountId,
    key: &KeyRecord,
    objects: &[KeyObject],
) -> Result<(), Error> {
    for object in objects {
        let mut record = of_key(owner, key, object.part);
        record.description = object.description.clone();
        put(scope, &mut record)?;
    }
    Ok(())
}

/// The SHA-256 of what a key protects, where its owner has told it.
pub(crate) fn told_ciphertext(view: &View<'_>, key: &KeyRecord) -> Result<Option<String>, Error> {
    let id = ObjectId::from_bytes(*key.id.as_bytes());
    let told = view.snapshot.object(key.owner, id, ObjectPart::Object)?;
    let Some(record) = told else { return Ok(None) };
    let description = view.domain.check_object(record)?.description;
    let tells = description.class == class_of(ObjectPart::Object)
        && description.label.0 == CIPHERTEXT_HASH.as_bytes()
        && description.id.0.len() == 32;
    Ok(tells.then(|| seal::hex(&description.id.0)))
}

/// Whether these can be said of a new key's parts.
pub(crate) fn check_of_key(algorithm: Algorithm, objects: &[KeyObject]) -> Result<(), Error> {
    if objects.is_empty() {
        return Ok(());
    }
    let said: Vec<ObjectPart> = objects.iter().map(|object| object.part).collect();
    let all = parts_of(algorithm);
    if said.len() != all.len() || !all.iter().all(|part| said.contains(part)) {
        return Err(invalid("Something is said of each part of a key, once."));
    }
    for object in objects {
        check(&object.description)?;
        check_part(algorithm, object.part, &object.description)?;
    }
    Ok(())
}

fn change(view: &View<'_>, caller: &Caller) -> Result<u64, Error> {
    let mut seen_by = holders(view, caller)?;
    // What the domain's policy allows of the keys.
    seen_by.push(EVERYBODY);
    Ok(view.snapshot.change(&seen_by)?)
}

/// Whether the owner says something of the key with this identifier.
fn parts_said(view: &View<'_>, owner: AccountId, id: ObjectId) -> Result<bool, Error> {
    for part in [ObjectPart::Secret, ObjectPart::Private, ObjectPart::Public] {
        let record = view.snapshot.object(owner, id, part)?;
        if record.is_some_and(|record| record.key.is_some()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// One object of the caller's.
fn see(
    view: &View<'_>,
    caller: &Caller,
    id: ObjectId,
    part: ObjectPart,
) -> Result<AccountObject, Error> {
    let owner = caller.account.id;
    if let Some(record) = view.snapshot.object(owner, id, part)? {
        let record = Some(record).filter(|record| !record.gone);
        let record = record.ok_or(Error::ObjectNotFound)?;
        return show(view, caller, record)?.ok_or(Error::ObjectNotFound);
    }
    if parts_said(view, owner, id)? {
        return Err(Error::ObjectNotFound);
    }
    let key = key_of(view, owner, id, part)?.ok_or(Error::ObjectNotFound)?;
    if key.state == KeyState::Destroyed || !parts_of(key.algorithm).contains(&part) {
        return Err(Error::ObjectNotFound);
    }
    show(view, caller, authenticated(view, of_key(owner, &key, part)))?.ok_or(Error::ObjectNotFound)
}

fn authenticated(view: &View<'_>, mut record: ObjectRecord) -> ObjectRecord {
    view.domain.authenticate_object(&mut record);
    record
}

/// An object as the API shows it, its record checked; none where it is a part of a key that the caller lost.
fn show(
    view: &View<'_>,
    caller: &Caller,
    record: ObjectRecord,
) -> Result<Option<AccountObject>, Error> {
    let record = view.domain.check_object(record)?;
    let Some(id) = record.key else {
        return Ok(Some(to_object(record, None)));
    };
    let key = match access::standing(view, caller.account.id, id, None) {
        Ok(Standing::Holds(access)) => to_wire(view, &access.key, &access.grant.rights)?,
        // The public half outlives the key.
        Ok(Standing::Lost(key)) if record.part == ObjectPart::Public => {
            let mut shown = to_wire(view, &key, &[])?;
            shown.public_key = Some(public_key(view, &key, key.version)?.into());
            shown
        }
        Ok(Standing::Lost(_)) | Err(Error::KeyNotFound) => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(Some(to_object(record, Some(key))))
}

fn to_object(record: ObjectRecord, key: Option<Key>) -> AccountObject {
    AccountObject {
        id: record.id,
        part: record.part,
        description: record.description,
        key,
        created: record.created,
        updated: record.updated,
    }
}

/// The key that has this identifier, if the account has or had a grant to it.
fn key_of(
    view: &View<'_>,
    account: AccountId,
    id: ObjectId,
    part: ObjectPart,
) -> Result<Option<KeyRecord>, Error> {
    if part == ObjectPart::Object {
        return Ok(None);
    }
    match access::standing(view, account, KeyId::from_bytes(*id.as_bytes()), None) {
        Ok(Standing::Holds(access)) => Ok(Some(access.key)),
        Ok(Standing::Lost(key)) => Ok(Some(*key)),
        Err(Error::KeyNotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Destroys the key, or takes its public half from what the caller sees.
fn remove_part(
    scope: &mut Scope<'_>,
    caller: &Caller,
    key: &KeyRecord,
    part: ObjectPart,
) -> Result<(), Error> {
    let owner = caller.account.id;
    scope.detail.key = Some(key.id);
    scope.detail.owner = Some(key.owner);
    let id = ObjectId::from_bytes(*key.id.as_bytes());
    if part != ObjectPart::Public {
        let mut access = access::require(&scope.view(), caller, key.id, Right::Destroy)?;
        scope.detail.grant = Some(access.grant.id);
        access.allow(caller, Right::Destroy, scope.now)?;
        caller.require_recent(scope.now)?;
        say_something(scope, owner, &access.key)?;
        hold::destroy(scope, &mut access)?;
        let (id, label) = (access.key.id, access.key.label.as_str());
        return scope.require_quorum(
            caller,
            &ProposedRequest::KeyDestroy { key: id },
            Some(label),
        );
    }
    if key.state == KeyState::Destroyed {
        return Ok(scope.tx.delete_object(owner, id, part)?);
    }
    say_something(scope, owner, key)?;
    let mut record = of_key(owner, key, part);
    record.gone = true;
    put(scope, &mut record)
}

/// Writes down what the records say of a key's parts, where nothing is said of them.
fn say_something(scope: &mut Scope<'_>, owner: AccountId, key: &KeyRecord) -> Result<(), Error> {
    let id = ObjectId::from_bytes(*key.id.as_bytes());
    if parts_said(&scope.view(), owner, id)? {
        return Ok(());
    }
    for part in parts_of(key.algorithm) {
        let mut record = of_key(owner, key, *part);
        put(scope, &mut record)?;
    }
    Ok(())
}

fn put(scope: &mut Scope<'_>, record: &mut ObjectRecord) -> Result<(), Error> {
    scope.domain.authenticate_object(record);
    Ok(scope.tx.put_object(record)?)
}

/// A part of a key, as the key's record describes it.
fn of_key(owner: AccountId, key: &KeyRecord, part: ObjectPart) -> ObjectRecord {
    ObjectRecord {
        owner,
        id: ObjectId::from_bytes(*key.id.as_bytes()),
        part,
        domain: key.domain,
        key: Some(key.id),
        description: ObjectDescription {
            class: class_of(part),
            kind: Some(kind_of(key.algorithm)),
            label: key.label.clone().into_bytes().into(),
            id: key.id.as_bytes().as_slice().into(),
            attributes: Vec::new().into(),
        },
        gone: false,
        created: key.created,
        updated: key.created,
        mac: [0; 32],
    }
}

const fn parts_of(algorithm: Algorithm) -> &'static [ObjectPart] {
    if algorithm.is_pair() {
        &[ObjectPart::Private, ObjectPart::Public]
    } else {
        &[ObjectPart::Secret]
    }
}

const fn class_of(part: ObjectPart) -> u32 {
    match part {
        ObjectPart::Secret => CKO_SECRET_KEY,
        ObjectPart::Private => CKO_PRIVATE_KEY,
        ObjectPart::Public => CKO_PUBLIC_KEY,
        ObjectPart::Object => 0,
    }
}

/// The `CKK_...` of an algorithm.
const fn kind_of(algorithm: Algorithm) -> u32 {
    match algorithm {
        Algorithm::Rsa2048 | Algorithm::Rsa3072 | Algorithm::Rsa4096 => 0,
        Algorithm::EcP256 | Algorithm::EcP384 | Algorithm::EcP521 => 3,
        Algorithm::GenericSecret | Algorithm::HmacSha256 => 0x10,
        Algorithm::Aes128 | Algorithm::Aes192 | Algorithm::Aes256 => 0x1f,
        Algorithm::Ed25519 => 0x40,
        Algorithm::X25519 => 0x41,
        Algorithm::MlKem768 => 0x49,
        Algorithm::MlDsa65 => 0x4a,
    }
}

fn check(description: &ObjectDescription) -> Result<(), Error> {
    if description.label.0.len() > LONGEST_NAME || description.id.0.len() > LONGEST_NAME {
        return Err(invalid(
            "An object's label and identifier have at most 1024 bytes each.",
        ));
    }
    if description.attributes.0.len() > LONGEST_ATTRIBUTES {
        return Err(invalid("An object's attributes have at most 262144 bytes."));
    }
    Ok(())
}

fn check_part(
    algorithm: Algorithm,
    part: ObjectPart,
    description: &ObjectDescription,
) -> Result<(), Error> {
    if !parts_of(algorithm).contains(&part) || description.class != class_of(part) {
        return Err(invalid(
            "The key has no such part, or it is of another class.",
        ));
    }
    Ok(())
}

/// Whether an object that is no part of a key can be like this. Secret and private keys are made as keys.
fn check_own(part: ObjectPart, description: &ObjectDescription) -> Result<(), Error> {
    let key = [CKO_PUBLIC_KEY, CKO_PRIVATE_KEY, CKO_SECRET_KEY].contains(&description.class);
    match part {
        ObjectPart::Secret | ObjectPart::Private => Err(Error::ObjectNotFound),
        ObjectPart::Public if description.class != CKO_PUBLIC_KEY => {
            Err(invalid("A public key is of class 2."))
        }
        ObjectPart::Object if key => Err(invalid("An object of this class is a key.")),
        ObjectPart::Public | ObjectPart::Object => Ok(()),
    }
}

fn invalid(text: &str) -> Error {
    Error::Invalid(text.to_owned())
}

fn note(id: ObjectId, part: ObjectPart) -> String {
    format!("{id} {part:?}").to_lowercase()
}
