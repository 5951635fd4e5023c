//! What PKCS #11 attributes say of a key, the appliance holds it to: asked by a program that has the account's secret and not the module.

use std::fs;
use std::sync::Arc;

use crate::token;
use cryptoki_sys::*;
use strongroom_client::objects::Objects as _;
use strongroom_client::operations::{Operate as _, Signing};
use strongroom_client::{Client, ClientError, Device, Retries, Roots};
use strongroom_pkcs11::mechanism::Mechanism;
use strongroom_pkcs11::object::{Attributes, Value};
use strongroom_pkcs11::token::{ObjectId, ObjectRecord, Query, RequestId, Token, TokenErrorKind};
use strongroom_tests::{Appliance, Session, legacy};
use strongroom_wire::id::KeyId;
use strongroom_wire::key::{Releasable, UsagePolicy};
use strongroom_wire::operation::{Mechanism as Wire, SignatureEncoding};
use strongroom_wire::policy::{ChangedDomainPolicy, DomainPolicy};
use strongroom_wire::problem::Code;
use tempfile::TempDir;
use uuid::Uuid;

/// A token, and the same account without the module.
struct House {
    _appliance: Appliance,
    admin: Session,
    token: Arc<dyn Token>,
    device: Device,
    _folder: TempDir,
}

impl House {
    fn new() -> Self {
        let appliance = Appliance::start();
        let mut admin = appliance.administrator();
        let service = legacy::service(&mut admin, "web");
        let (token, folder) = token::of(&appliance, &service);
        let roots = Roots::from_pem(&fs::read(appliance.ca()).unwrap()).unwrap();
        let client = Client::new(&appliance.client_url(), &roots)
            .unwrap()
            .retries(Retries::none());
        Self {
            _appliance: appliance,
            admin,
            token,
            device: Device::new(client, service.account, service.secret),
            _folder: folder,
        }
    }

    fn rsa(&self, more: &[(CK_ATTRIBUTE_TYPE, Value)]) -> ObjectId {
        let mut public = Attributes::new();
        public.set_number(CKA_CLASS, CKO_PUBLIC_KEY);
        public.set_number(CKA_KEY_TYPE, CKK_RSA);
        public.set_number(CKA_MODULUS_BITS, 2048);
        let mut private: Attributes = more.iter().cloned().collect();
        private.set_number(CKA_CLASS, CKO_PRIVATE_KEY);
        private.set_number(CKA_KEY_TYPE, CKK_RSA);
        for attribute in [CKA_TOKEN, CKA_SIGN, CKA_DECRYPT, CKA_UNWRAP] {
            private.set_bool(attribute, true);
        }
        let mechanism = Mechanism::plain(CKM_RSA_PKCS_KEY_PAIR_GEN).unwrap();
        let made = self
            .token
            .generate_key_pair(request(), &mechanism, &public, &private);
        made.unwrap().value.1.id
    }

    fn aes(&self) -> ObjectId {
        let mut attributes = Attributes::new();
        attributes.set_number(CKA_CLASS, CKO_SECRET_KEY);
        attributes.set_number(CKA_KEY_TYPE, CKK_AES);
        attributes.set_number(CKA_VALUE_LEN, 32);
        for attribute in [CKA_TOKEN, CKA_ENCRYPT, CKA_DECRYPT, CKA_EXTRACTABLE] {
            attributes.set_bool(attribute, true);
        }
        let mechanism = Mechanism::plain(CKM_AES_KEY_GEN).unwrap();
        let made = self.token.generate_key(request(), &mechanism, &attributes);
        made.unwrap().value.id
    }

    fn set(&self, id: ObjectId, attribute: CK_ATTRIBUTE_TYPE, value: Value) -> ObjectRecord {
        let changes = [(attribute, value)].into_iter().collect();
        self.token.set(id, &changes).unwrap().value
    }

    fn sign(&self, id: ObjectId, mechanism: Wire) -> Result<(), Option<Code>> {
        let signing = Signing {
            mechanism,
            encoding: SignatureEncoding::Der,
        };
        code(self.device.sign(key(id), signing, b"message"))
    }
}

fn request() -> RequestId {
    RequestId(Uuid::now_v7())
}

fn key(id: ObjectId) -> KeyId {
    KeyId::from_bytes(*id.uuid.as_bytes())
}

fn code<T>(outcome: Result<T, ClientError>) -> Result<(), Option<Code>> {
    outcome.map(drop).map_err(|error| error.code())
}

#[test]
fn a_key_works_by_its_allowed_mechanisms_alone() {
    let house = House::new();
    let allowed = Value::Numbers(vec![CKM_SHA256_RSA_PKCS]);
    let id = house.rsa(&[(CKA_ALLOWED_MECHANISMS, allowed)]);
    assert_eq!(house.sign(id, Wire::RsaPkcs1Sha256), Ok(()));
    for other in [Wire::RsaPkcs1Sha512, Wire::RsaPssSha256] {
        assert_eq!(house.sign(id, other), Err(Some(Code::MechanismRefused)));
    }
    // Changed as any attribute is.
    let allowed = Value::Numbers(vec![CKM_RSA_PKCS_PSS]);
    let record = house.set(id, CKA_ALLOWED_MECHANISMS, allowed);
    assert_eq!(
        record.attributes.numbers(CKA_ALLOWED_MECHANISMS),
        Some(&[CKM_RSA_PKCS_PSS][..])
    );
    assert_eq!(house.sign(id, Wire::RsaPssSha256), Ok(()));
    assert_eq!(
        house.sign(id, Wire::RsaPkcs1Sha256),
        Err(Some(Code::MechanismRefused))
    );
}

#[test]
fn a_key_is_for_what_its_usage_attributes_say() {
    let house = House::new();
    let id = house.rsa(&[]);
    assert_eq!(house.sign(id, Wire::RsaPkcs1Sha256), Ok(()));
    let record = house.set(id, CKA_SIGN, Value::Bool(false));
    assert!(!record.attributes.is(CKA_SIGN) && record.attributes.is(CKA_DECRYPT));
    assert_eq!(
        house.sign(id, Wire::RsaPkcs1Sha256),
        Err(Some(Code::PolicyRefused))
    );
    let record = house.set(id, CKA_SIGN, Value::Bool(true));
    assert!(record.attributes.is(CKA_SIGN));
    assert_eq!(house.sign(id, Wire::RsaPkcs1Sha256), Ok(()));
}

#[test]
fn what_is_extractable_no_more_never_is_again() {
    let house = House::new();
    let id = house.aes();
    assert_eq!(code(house.device.release_once(key(id))), Ok(()));
    let record = house.set(id, CKA_EXTRACTABLE, Value::Bool(false));
    assert!(!record.attributes.is(CKA_EXTRACTABLE));
    assert!(!record.attributes.is(CKA_NEVER_EXTRACTABLE), "it was once");
    assert_eq!(
        code(house.device.release_once(key(id))),
        Err(Some(Code::PolicyRefused))
    );
    // Nor by a policy that the account gives the key itself.
    let lifted = house
        .device
        .set_key_policy(key(id), &UsagePolicy::default());
    assert_eq!(code(lifted), Err(Some(Code::Conflict)));
    let shown = house.device.key(key(id)).unwrap();
    assert_eq!(shown.releasable, Releasable::NoMore);
    assert_eq!(
        code(house.device.release_once(key(id))),
        Err(Some(Code::PolicyRefused))
    );
}

#[test]
fn what_the_appliance_judges_each_time_is_released_for_one_use() {
    let mut house = House::new();
    let id = house.aes();
    let asks_again = |house: &House| {
        let released = house.token.release(id).map(|answer| answer.value.ask_again);
        released.map_err(|error| error.kind)
    };
    assert_eq!(asks_again(&house), Ok(false));
    let change = house.token.change().unwrap();
    let counted = UsagePolicy {
        max_releases: Some(2),
        ..UsagePolicy::default()
    };
    house.device.set_key_policy(key(id), &counted).unwrap();
    // The module, which holds what was released before, hears that something is otherwise.
    assert_ne!(house.token.change().unwrap(), change);
    assert_eq!([(); 2].map(|()| asks_again(&house)), [Ok(true); 2]);
    assert_eq!(asks_again(&house), Err(TokenErrorKind::PolicyRefused));
    // The domain's policy says from where keys are used, and everybody hears of that.
    let change = house.token.change().unwrap();
    let here = UsagePolicy {
        networks: Some(vec!["127.0.0.0/8".parse().unwrap()]),
        ..UsagePolicy::default()
    };
    let policy = DomainPolicy {
        usage: here,
        ..DomainPolicy::default()
    };
    let _: ChangedDomainPolicy = house
        .admin
        .ask("PUT", "/v1/domain/policy", &policy)
        .unwrap();
    assert_ne!(house.token.change().unwrap(), change);
    let nothing = UsagePolicy::default();
    house.device.set_key_policy(key(id), &nothing).unwrap();
    assert_eq!(asks_again(&house), Ok(true));
}

#[test]
fn what_the_domain_forbids_is_not_in_the_mechanism_list() {
    let mut house = House::new();
    let forbids = |house: &House, kind| house.token.info().unwrap().value.forbidden.contains(&kind);
    assert!(!forbids(&house, CKM_AES_CBC));
    assert!(forbids(&house, CKM_RSA_X_509), "nobody allowed it");
    let mechanisms = Wire::ALL
        .iter()
        .copied()
        .filter(|wire| *wire != Wire::AesCbc);
    let policy = DomainPolicy {
        usage: UsagePolicy {
            mechanisms: Some(mechanisms.collect()),
            ..UsagePolicy::default()
        },
        ..DomainPolicy::default()
    };
    let _: ChangedDomainPolicy = house
        .admin
        .ask("PUT", "/v1/domain/policy", &policy)
        .unwrap();
    let allowed = house.device.allowed_mechanisms().unwrap();
    assert!(!allowed.contains(&Wire::AesCbc));
    assert!(forbids(&house, CKM_AES_CBC));
    assert!(!forbids(&house, CKM_AES_CBC_PAD) && !forbids(&house, CKM_SHA256));
}

#[test]
fn how_a_key_came_to_be_is_not_for_the_account_to_say() {
    let house = House::new();
    let mut brought = Attributes::new();
    brought.set_number(CKA_CLASS, CKO_SECRET_KEY);
    brought.set_number(CKA_KEY_TYPE, CKK_AES);
    brought.set_bytes(CKA_VALUE, &[7; 32]);
    // What the module refuses of an application, and a program without the module may well say.
    for attribute in [CKA_LOCAL, CKA_ALWAYS_SENSITIVE, CKA_NEVER_EXTRACTABLE] {
        brought.set_bool(attribute, true);
    }
    brought.set_bool(CKA_SENSITIVE, true);
    brought.set_number(CKA_KEY_GEN_MECHANISM, CKM_AES_KEY_GEN);
    brought.set_bytes(CKA_UNIQUE_ID, b"another's");
    let brought = house.token.create(request(), &brought).unwrap().value;
    for attribute in [CKA_LOCAL, CKA_ALWAYS_SENSITIVE, CKA_NEVER_EXTRACTABLE] {
        assert!(!brought.attributes.is(attribute), "{attribute:#x}");
    }
    let made_by = |record: &ObjectRecord| record.attributes.number(CKA_KEY_GEN_MECHANISM);
    assert_eq!(made_by(&brought), Some(CK_UNAVAILABLE_INFORMATION));

    let made = house.rsa(&[(CKA_KEY_GEN_MECHANISM, Value::Number(CKM_AES_KEY_GEN))]);
    let made = house.token.object(made).unwrap().value;
    assert!(made.attributes.is(CKA_LOCAL) && made.attributes.is(CKA_NEVER_EXTRACTABLE));
    assert_eq!(made_by(&made), Some(CKM_RSA_PKCS_KEY_PAIR_GEN));

    // Each object has an identifier of its own, by which it is found.
    for record in [&brought, &made] {
        let unique = record.attributes.get(CKA_UNIQUE_ID).cloned().unwrap();
        let template: Attributes = [(CKA_UNIQUE_ID, unique)].into_iter().collect();
        let found = find(&house, &template);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].id, record.id);
    }
    let others = Value::bytes(b"another's");
    let template: Attributes = [(CKA_UNIQUE_ID, others)].into_iter().collect();
    assert!(find(&house, &template).is_empty());
}

fn find(house: &House, template: &Attributes) -> Vec<ObjectRecord> {
    let query = Query {
        template,
        private: true,
        limit: 10,
        after: None,
    };
    house.token.find(&query).unwrap().value.objects
}
