//! Objects: certificates, data and public keys of an account, and what it says of the parts of its keys.
//!
//! Of a key either nothing is said, and its parts are shown with what its record says, or something is said of each part. None of it decides
//! what may be done with a key: its record, its grants and usage policies do.

use strongroom_wire::audit::Act;
use strongroom_wire::id::{AccountId, KeyId, ObjectId};
use strongroom_wire::key::{Algorithm, Key, KeyState, Right};
use strongroom_wire::object::{
    AccountObject, ChangedObject, KeyObject, LONGEST_ATTRIBUTES, LONGEST_NAME, ObjectDescription,
    ObjectPage, ObjectPart, ObjectQuery, RemovedObject, ShownObject,
};

use crate::act::{Caller, Presented, Scope, View};
use crate::domains::Counted;
use crate::error::{Answer, Error};
use crate::keys::access::{self, Standing};
use crate::keys::find::holders;
use crate::keys::{public_key, to_wire};
use crate::keystore::Keystore;
use crate::roles::May;
use crate::store::{KeyRecord, ObjectFilter, ObjectRecord, object_part_from, object_part_number};

/// How many objects a page has by default, and at most.
const PAGE: u32 = 100;
const LONGEST_PAGE: u32 = 1000;

const CKO_PUBLIC_KEY: u32 = 2;
const CKO_PRIVATE_KEY: u32 = 3;
const CKO_SECRET_KEY: u32 = 4;

impl Keystore {
    /// A page of the objects that the caller has, whole, and the state of all that it sees. What does not match its seal is left out, and a leaf
    /// says so.
    pub fn objects(&self, caller: &Presented, query: ObjectQuery) -> Answer<ObjectPage> {
        let limit = query.limit.unwrap_or(PAGE).min(LONGEST_PAGE);
        let after = query
            .after
            .as_deref()
            .map(|text| Place::parse(text).ok_or_else(|| invalid("This is no place in a list.")))
            .transpose()?;
        self.core.look(caller, |view, caller, damage| {
            let change = change(view, caller)?;
            let mut page = ObjectPage {
                objects: Vec::new(),
                next: None,
                change,
            };
            if limit == 0 {
                return Ok(page);
            }
            let mut after_key = None;
            if let Some(Place::Key(key)) = after {
                after_key = key;
            } else {
                let filter = ObjectFilter {
                    class: query.class,
                    kind: query.kind,
                    label: query.label.as_ref().map(|label| label.0.clone()),
                    cka_id: query.id.as_ref().map(|id| id.0.clone()),
                    after: match after {
                        Some(Place::Object(id, part)) => Some((id, part)),
                        _ => None,
                    },
                    limit: limit + 1,
                };
                let mut found = view.snapshot.find_objects(caller.account.id, &filter)?;
                let more = found.len() > limit as usize;
                found.truncate(limit as usize);
                if more {
                    let last = found.last().map(|last| Place::Object(last.id, last.part));
                    page.next = last.map(|last| last.to_text());
                }
                for record in found {
                    let shown = damage.leave_out(record.key, show(view, caller, record))?;
                    page.objects.extend(shown.flatten());
                }
                if more {
                    return Ok(page);
                }
            }
            plain_keys(view, caller, damage, &query, after_key, limit, &mut page)?;
            Ok(page)
        })
    }

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
        self.core.act(act, caller.source, move |scope| {
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
        })
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

/// A place in the list: after an object, or among the keys of which nothing is said.
enum Place {
    Object(ObjectId, ObjectPart),
    Key(Option<KeyId>),
}

impl Place {
    fn to_text(&self) -> String {
        match self {
            Self::Object(id, part) => format!("o{id}.{}", object_part_number(*part)),
            Self::Key(Some(key)) => format!("k{key}"),
            Self::Key(None) => "k".to_owned(),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        if let Some(key) = text.strip_prefix('k') {
            return match key {
                "" => Some(Self::Key(None)),
                key => Some(Self::Key(Some(key.parse().ok()?))),
            };
        }
        let (id, part) = text.strip_prefix('o')?.split_once('.')?;
        Some(Self::Object(
            id.parse().ok()?,
            object_part_from(part.parse().ok()?)?,
        ))
    }
}

/// Adds the parts of keys of which nothing is said.
fn plain_keys(
    view: &View<'_>,
    caller: &Caller,
    damage: &crate::act::Damage,
    query: &ObjectQuery,
    after: Option<KeyId>,
    limit: u32,
    page: &mut ObjectPage,
) -> Result<(), Error> {
    let room = limit.saturating_sub(u32::try_from(page.objects.len()).unwrap_or(u32::MAX));
    if room == 0 {
        page.next = Some(Place::Key(after).to_text());
        return Ok(());
    }
    let label = query
        .label
        .as_ref()
        .map(|label| std::str::from_utf8(&label.0));
    let label = match label {
        // Labels of keys are text.
        Some(Err(_)) => return Ok(()),
        Some(Ok(label)) => Some(label),
        None => None,
    };
    let keys = [CKO_PUBLIC_KEY, CKO_PRIVATE_KEY, CKO_SECRET_KEY];
    if query.class.is_some_and(|class| !keys.contains(&class)) {
        return Ok(());
    }
    let owner = caller.account.id;
    let mut found = if let Some(id) = &query.id {
        // The identifier of a key of which nothing is said is its CKA_ID.
        let Ok(bytes) = <[u8; 16]>::try_from(id.0.as_slice()) else {
            return Ok(());
        };
        let id = ObjectId::from_bytes(bytes);
        let said = parts_said(view, owner, id)?;
        if said {
            return Ok(());
        }
        vec![KeyId::from_bytes(bytes)]
    } else {
        let holders = holders(view, caller)?;
        view.snapshot
            .find_plain_keys(&holders, owner, label, after, room + 1)?
    };
    if found.len() > room as usize {
        found.truncate(room as usize);
        page.next = Some(Place::Key(found.last().copied()).to_text());
    }
    for id in found {
        let key = match access::standing(view, owner, id, None) {
            Ok(Standing::Holds(access)) => {
                let shown = to_wire(view, &access.key, &access.grant.rights)?;
                Some((access.key, shown))
            }
            Ok(Standing::Lost(_)) | Err(Error::KeyNotFound) => None,
            Err(error) => {
                damage.leave_out::<()>(id, Err(error))?;
                None
            }
        };
        let Some((record, key)) = key else { continue };
        for part in parts_of(record.algorithm) {
            let object = of_key(owner, &record, *part);
            let said = &object.description;
            if query.class.is_none_or(|class| class == said.class)
                && query.kind.is_none_or(|kind| said.kind == Some(kind))
                && query
                    .label
                    .as_ref()
                    .is_none_or(|label| *label == said.label)
            {
                page.objects.push(to_object(object, Some(key.clone())));
            }
        }
    }
    Ok(())
}

fn change(view: &View<'_>, caller: &Caller) -> Result<u64, Error> {
    Ok(view.snapshot.change(&holders(view, caller)?)?)
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
        let access = access::require(&scope.view(), caller, key.id, Right::Destroy)?;
        scope.detail.grant = Some(access.grant.id);
        access.allow(caller, Right::Destroy, scope.now)?;
        caller.require_recent(scope.now)?;
        say_something(scope, owner, &access.key)?;
        let mut key = access.key;
        key.state = KeyState::Destroyed;
        scope.domain.authenticate_key(&mut key);
        return Ok(scope.tx.destroy_key(&key)?);
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
