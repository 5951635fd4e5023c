//! Named keys, seen in the token itself.

use cryptoki::object::{Attribute, AttributeType, ObjectClass};
use strongroom_hsm::{Hsm as _, NamedKeyType, NamedMechanism};

use crate::{Case, conformance::named::id, support::TestToken};

pub(crate) const CASES: &[Case] = &[
    (
        "named_keys_are_in_the_token_and_stay_there",
        named_keys_are_in_the_token_and_stay_there,
    ),
    ("all_is_offered", all_is_offered),
];

fn named_keys_are_in_the_token_and_stay_there(token: &TestToken) {
    let hsm = token.open();
    let named = hsm.named().unwrap();
    let session = token.raw_session();
    for (version, key_type) in (1..).zip(NamedKeyType::ALL) {
        let key = id("k", version);
        named.generate_named_key(&key, key_type).unwrap();
        let label = Attribute::Label(key.label().unwrap().into_bytes());
        let class = if key_type.is_pair() {
            ObjectClass::PRIVATE_KEY
        } else {
            ObjectClass::SECRET_KEY
        };
        let found = session
            .find_objects(&[
                label.clone(),
                Attribute::Class(class),
                Attribute::Token(true),
                Attribute::Sensitive(true),
                Attribute::AlwaysSensitive(true),
                Attribute::Extractable(false),
                Attribute::NeverExtractable(true),
                Attribute::Local(true),
                Attribute::Modifiable(false),
            ])
            .unwrap();
        assert_eq!(found.len(), 1, "{key_type}");
        let secret = match key_type {
            NamedKeyType::Rsa2048 | NamedKeyType::Rsa3072 | NamedKeyType::Rsa4096 => {
                AttributeType::PrivateExponent
            }
            _ => AttributeType::Value,
        };
        let read = session.get_attributes(found[0], &[secret]).unwrap();
        assert!(read.is_empty(), "{key_type} shows its {secret:?}");
        named.destroy_named_key(&key).unwrap();
        assert!(session.find_objects(&[label]).unwrap().is_empty());
    }
}

fn all_is_offered(token: &TestToken) {
    let offer = token.open().named().unwrap().named_offer().unwrap();
    assert_eq!(offer.key_types, NamedKeyType::ALL);
    for mechanism in [
        NamedMechanism::RsaPkcs1,
        NamedMechanism::RsaPss,
        NamedMechanism::RsaOaep,
        NamedMechanism::Ecdsa,
        NamedMechanism::Eddsa,
        NamedMechanism::Hmac,
        NamedMechanism::AesGcm,
        NamedMechanism::Ecdh,
    ] {
        assert!(offer.mechanisms.contains(&mechanism), "{mechanism}");
    }
}
