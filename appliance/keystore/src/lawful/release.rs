//! Letting a disclosure out: the keys are opened, sealed to the agency, and recorded, inside the releasing transaction.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use strongroom_disclosure::{
    DeliveryRecord, Manifest, ManifestItem, Matched, Named, SealingKey, package, record,
};
use strongroom_wire::audit::Act;
use strongroom_wire::id::AccountId;
use strongroom_wire::key::KeyState;
use zeroize::Zeroizing;

use super::prepared::Sealed;
use super::scope::Item;
use super::{InEffect, case_generation};
use crate::act::{Caller, Scope, View};
use crate::error::Error;
use crate::keys::access::{self, Standing};
use crate::objects;
use crate::seal::{self, hex};
use crate::store::{
    DisclosureItemRecord, DisclosureRecord, DocumentKind, NotificationRecord, ReleasedRecord,
};

pub(super) const CANNOT_BE_WRITTEN: Error =
    Error::Internal("a delivery's document cannot be written");

/// A version of an item's key, and its material.
pub(super) type Version = (u32, Zeroizing<Vec<u8>>);
/// Of each item the versions in order: of a destroyed key those that a hold keeps.
pub(super) type Materials = Vec<Vec<Version>>;

/// Opens the keys: by their owners' own grants, or from the copies that a hold keeps. All KEKs that are missing are asked for at once.
pub(super) fn materials(view: &View<'_>, items: &[Item]) -> Result<Materials, Error> {
    let mut missing = BTreeSet::new();
    let mut materials = Vec::with_capacity(items.len());
    for item in items {
        match material(view, item) {
            Ok(material) => materials.push(material),
            Err(Error::NeedKeks(names)) => missing.extend(names),
            Err(error) => return Err(error),
        }
    }
    if missing.is_empty() {
        Ok(materials)
    } else {
        Err(Error::NeedKeks(missing.into_iter().collect()))
    }
}

fn material(view: &View<'_>, item: &Item) -> Result<Vec<Version>, Error> {
    let key = &item.key;
    if key.state == KeyState::Destroyed {
        return view
            .snapshot
            .held_versions(key.id)?
            .iter()
            .map(|held| Ok((held.version, view.domain.open_held(held, key)?)))
            .collect();
    }
    let Standing::Holds(access) = access::standing(view, key.owner, key.id, None)? else {
        // The owner's own grant ends with the key.
        return Err(Error::Integrity("grant"));
    };
    (1..=key.version)
        .map(|version| Ok((version, access.open(view, version)?)))
        .collect()
}

/// Writes the records and leaves of sealed items, the manifest and whom to tell of it.
pub(super) fn deliver<'a>(
    scope: &mut Scope<'_>,
    caller: &Caller,
    order: &InEffect,
    sealing: &SealingKey,
    mut disclosure: DisclosureRecord,
    items: impl ExactSizeIterator<Item = (&'a Item, Cow<'a, Sealed>)>,
) -> Result<(DisclosureRecord, u64), Error> {
    let last_sequence = u32::try_from(items.len()).unwrap_or(u32::MAX);
    let mut manifest = Manifest {
        format: package::FORMAT.to_owned(),
        domain_origin: scope.domain.origin.clone(),
        authorisation: disclosure.authorisation,
        generation: disclosure.generation,
        authorisation_sha256: hex(&order.row.record),
        reference: order.record.order.reference.clone(),
        delivery: disclosure.id,
        released: scope.now,
        form: sealing.form(),
        sealing_key_sha256: hex(&sealing.fingerprint()),
        items: Vec::with_capacity(items.len()),
    };
    let mut names = Names::default();
    let mut concerned = BTreeSet::new();
    for ((item, sealed), sequence) in items.zip(1_u32..) {
        let leaf = scope.tx.tree_size(scope.domain.number)?;
        let mut about = describe(&scope.view(), &mut names, &manifest, item)?;
        about.sequence = sequence;
        about.last_sequence = last_sequence;
        about.versions = sealed.versions;
        about.sealed_sha256 = hex(&seal::sha256(&sealed.bytes));
        about.executor = names.of(&scope.view(), disclosure.executor)?;
        about.executed = disclosure.executed;
        about.releaser = names.of(&scope.view(), caller.account.id)?;
        about.leaf = leaf;
        let document = about.to_bytes().map_err(|_| CANNOT_BE_WRITTEN)?;
        let record = scope.put_document(DocumentKind::Delivery, &document)?;
        scope.detail.note = Some(format!(
            "{} disclosure {} item {sequence} record {}",
            case_generation(&order.row),
            disclosure.id,
            hex(&record)
        ));
        if scope.record(Act::DisclosureItem)? != leaf {
            return Err(Error::Internal("a leaf has another index than was said"));
        }
        manifest.items.push(ManifestItem {
            record_sha256: hex(&record),
            sealed_sha256: about.sealed_sha256,
        });
        let mut row = DisclosureItemRecord {
            disclosure: disclosure.id,
            sequence,
            authorisation: disclosure.authorisation,
            generation: disclosure.generation,
            key: item.key.id,
            version: item.key.version,
            record,
            sealed: sealed.into_owned().bytes,
            mac: [0; 32],
        };
        scope.domain.authenticate_disclosure_item(&mut row);
        scope.tx.add_disclosure_item(&row)?;
        concerned.insert(item.key.owner);
        concerned.extend(item.matched.person);
    }
    let document = manifest.to_bytes().map_err(|_| CANNOT_BE_WRITTEN)?;
    let sha256 = scope.put_document(DocumentKind::Delivery, &document)?;
    scope.detail.note = Some(format!(
        "{} disclosure {} items {last_sequence} manifest {}",
        case_generation(&order.row),
        disclosure.id,
        hex(&sha256)
    ));
    let leaf = scope.record(Act::DisclosureRelease)?;
    disclosure.release = Some(ReleasedRecord {
        releaser: caller.account.id,
        released: scope.now,
        manifest: sha256,
        leaf,
    });
    disclosure.items = last_sequence;
    scope.domain.authenticate_disclosure(&mut disclosure);
    scope.tx.put_disclosure(&disclosure)?;
    let delay = order.record.order.notification_delay;
    for account in concerned {
        let mut notification = NotificationRecord {
            account,
            disclosure: disclosure.id,
            domain: scope.domain.number,
            due: scope.now.plus_seconds(delay.into()),
            told: None,
            mac: [0; 32],
        };
        scope.domain.authenticate_notification(&mut notification);
        scope.tx.put_notification(&notification)?;
    }
    Ok((disclosure, leaf))
}

/// The delivery record of an item, as far as it follows from the item.
fn describe(
    view: &View<'_>,
    names: &mut Names,
    manifest: &Manifest,
    item: &Item,
) -> Result<DeliveryRecord, Error> {
    let key = &item.key;
    let owner = names.of(view, key.owner)?;
    Ok(DeliveryRecord {
        format: record::FORMAT.to_owned(),
        domain_origin: manifest.domain_origin.clone(),
        authorisation: manifest.authorisation,
        generation: manifest.generation,
        authorisation_sha256: manifest.authorisation_sha256.clone(),
        reference: manifest.reference.clone(),
        delivery: manifest.delivery,
        sequence: 0,
        last_sequence: 0,
        item: key.id,
        algorithm: key.algorithm,
        versions: 0,
        label: key.label.clone(),
        content_type: key.content_type.clone(),
        created: key.created,
        sender: names.of(view, key.sender)?,
        recipients: key
            .recipients
            .iter()
            .map(|recipient| names.of(view, *recipient))
            .collect::<Result<_, _>>()?,
        matched: Matched {
            task: u32::try_from(item.matched.task + 1).unwrap_or(u32::MAX),
            predicate: item.matched.predicate.clone(),
            person: item
                .matched
                .person
                .map(|person| names.of(view, person))
                .transpose()?,
        },
        ciphertext_sha256: objects::told_ciphertext(view, key)?,
        sealing_key_sha256: manifest.sealing_key_sha256.clone(),
        sealed_sha256: String::new(),
        executor: owner.clone(),
        executed: manifest.released,
        releaser: owner.clone(),
        owner,
        released: manifest.released,
        leaf: 0,
    })
}

/// The names of accounts, each looked up once.
#[derive(Default)]
pub(super) struct Names(BTreeMap<AccountId, String>);

impl Names {
    pub(super) fn of(&mut self, view: &View<'_>, account: AccountId) -> Result<Named, Error> {
        let name = match self.0.get(&account) {
            Some(name) => name.clone(),
            None => view.name_of(account)?,
        };
        self.0.insert(account, name.clone());
        Ok(Named { account, name })
    }
}
