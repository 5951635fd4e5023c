//! Disclosures: what a scope reaches, who lets it out, what is kept, and who is told when.

pub(crate) mod delivering;
pub(crate) mod keeping;
pub(crate) mod refusing;

use strongroom_disclosure::hpke::HpkePrivateKey;
use strongroom_disclosure::{AgencyKey, DeliveryRecord, DisclosedKey, Package};
use strongroom_keystore::Error;
use strongroom_wire::account::Role;
use strongroom_wire::authorisation::{
    AgencyKey as SealedTo, Authorisation, AuthorisationOrder, LdTask, Move, MoveAuthorisation,
    Scope, Timespan,
};
use strongroom_wire::disclosure::{Disclosure, DisclosurePreview, Notification};
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::{DisclosureId, KeyId};
use strongroom_wire::key::{CreateKeys, NewKey};

use crate::house::{PASSWORD, Person, new_key, sign_in};
use crate::lawful::{Office, TARGET};

/// An office with people who execute and release, and an agency with a key.
pub(crate) struct Case {
    pub(crate) office: Office,
    pub(crate) executor: Person,
    pub(crate) releaser: Person,
    pub(crate) agency: HpkePrivateKey,
}

impl Case {
    pub(crate) fn new(label: &str) -> Self {
        let office = Office::new(label);
        Self {
            executor: office
                .house
                .person_with("erin@example.com", &[Role::Executor]),
            releaser: office
                .house
                .person_with("rick@example.com", &[Role::Releaser]),
            office,
            agency: HpkePrivateKey::generate(),
        }
    }

    /// An order about the target's messages of an hour before now and an hour after, either way.
    pub(crate) fn order(&self) -> AuthorisationOrder {
        let now = self.office.house.now();
        let mut order = self.office.order(30);
        order.agency_key = SealedTo::Hpke(self.agency.public_key().to_bytes().into());
        order.tasks = vec![task(Scope::Messages {
            person: TARGET.to_owned(),
            direction: strongroom_wire::authorisation::Direction::ToOrFrom,
            counterparts: None,
            window: Timespan {
                start: now.minus_seconds(3600),
                end: now.plus_seconds(3600),
            },
        })];
        order
    }

    /// An authorisation for this in effect.
    pub(crate) fn approved(&self, order: AuthorisationOrder) -> Authorisation {
        let entered = self.office.enter(order);
        self.office.approve(&self.office.ruth, &entered).unwrap();
        self.office.approve(&self.office.ruben, &entered).unwrap()
    }

    pub(crate) fn preview(&self, of: &Authorisation) -> DisclosurePreview {
        let keystore = &self.office.house.keystore;
        keystore
            .preview_disclosure(&self.executor.presented, of.id)
            .unwrap()
    }

    pub(crate) fn try_execute(&self, of: &Authorisation) -> Result<Disclosure, Error> {
        let keystore = &self.office.house.keystore;
        keystore
            .execute_disclosure(&self.executor.presented, of.id)
            .map(|done| done.disclosure)
            .map_err(|refusal| refusal.error)
    }

    pub(crate) fn execute(&self, of: &Authorisation) -> Disclosure {
        self.try_execute(of).unwrap()
    }

    pub(crate) fn try_release(&self, id: DisclosureId) -> Result<Disclosure, Error> {
        let keystore = &self.office.house.keystore;
        keystore
            .release_disclosure(&self.releaser.presented, id)
            .map(|done| done.disclosure)
            .map_err(|refusal| refusal.error)
    }

    pub(crate) fn try_package(&self, id: DisclosureId) -> Result<Package, Error> {
        let keystore = &self.office.house.keystore;
        keystore
            .delivery(&self.releaser.presented, id)
            .map(|delivery| Package::read(&delivery.package).unwrap())
            .map_err(|refusal| refusal.error)
    }

    /// What the agency has of a delivery: the records, and the keys that it opens.
    pub(crate) fn opened(&self, id: DisclosureId) -> Vec<(DeliveryRecord, DisclosedKey)> {
        let private = HpkePrivateKey::from_bytes(&*self.agency.to_bytes()).unwrap();
        let agency = AgencyKey::Hpke(Box::new(private));
        let package = self.try_package(id).unwrap();
        package
            .items
            .iter()
            .map(|(record, sealed)| {
                let key = agency.open(sealed, None).unwrap();
                (
                    DeliveryRecord::from_bytes(record).unwrap(),
                    DisclosedKey::from_bytes(&key).unwrap(),
                )
            })
            .collect()
    }

    /// Runs an authorisation to its end: the keys that the agency has, in order.
    pub(crate) fn disclosed(&self, of: &Authorisation) -> Vec<KeyId> {
        let executed = self.execute(of);
        let released = self.try_release(executed.id).unwrap();
        let opened = self.opened(released.id);
        opened.into_iter().map(|(_, key)| key.key).collect()
    }

    pub(crate) fn move_to(&self, of: &Authorisation, to: Move) {
        let by = match to {
            Move::Resume => &self.office.ruth.person,
            Move::Suspend | Move::Cancel => &self.office.officer,
        };
        let request = MoveAuthorisation {
            to,
            reason: "an appeal".to_owned(),
        };
        let keystore = &self.office.house.keystore;
        keystore
            .move_authorisation(&by.presented, of.id, request)
            .unwrap();
    }

    /// Time passes, and everybody signs in again.
    pub(crate) fn later(&mut self, seconds: u64) {
        let house = &mut self.office.house;
        house.clock.advance(seconds);
        house.admin = sign_in(&house.keystore, &house.admin.name, PASSWORD).unwrap();
        for person in [
            &mut self.office.target,
            &mut self.office.officer,
            &mut self.office.auditor,
            &mut self.office.ruth.person,
            &mut self.office.ruben.person,
            &mut self.executor,
            &mut self.releaser,
        ] {
            *person = sign_in(&self.office.house.keystore, &person.name, PASSWORD).unwrap();
        }
    }

    pub(crate) fn notified(&self, person: &Person) -> Vec<Notification> {
        let keystore = &self.office.house.keystore;
        keystore
            .notifications(&person.presented)
            .unwrap()
            .notifications
    }

    /// A message of this key.
    pub(crate) fn send(&self, from: &Person, to: &[&Person]) -> (KeyId, Vec<u8>) {
        self.office.house.key(from, to)
    }

    /// A key of somebody's own.
    pub(crate) fn own(&self, owner: &Person, new: NewKey) -> KeyId {
        let request = CreateKeys {
            keys: vec![new],
            release: false,
        };
        let keystore = &self.office.house.keystore;
        let mut created = keystore.create_keys(&owner.presented, request).unwrap();
        created.keys.remove(0).key.id
    }

    pub(crate) fn labelled(&self, owner: &Person, label: &str) -> KeyId {
        self.own(owner, new_key(label))
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.office.house.now()
    }
}

pub(crate) fn task(scope: Scope) -> LdTask {
    LdTask {
        reference: "LD1".to_owned(),
        scope,
    }
}
