//! What is sealed: a key with the material of its versions.

#![expect(clippy::unwrap_used, reason = "tests")]

use strongroom_disclosure::{DisclosedKey, DisclosedVersion, DisclosureError, key};
use strongroom_wire::encoding::Base64;
use strongroom_wire::id::{DisclosureId, KeyId};
use strongroom_wire::key::Algorithm;

fn key() -> DisclosedKey {
    DisclosedKey {
        format: key::FORMAT.to_owned(),
        reference: "AG 7/2026 \"Ü\"".to_owned(),
        delivery: DisclosureId::generate(),
        sequence: 1,
        key: KeyId::generate(),
        algorithm: Algorithm::Aes256,
        versions: vec![
            DisclosedVersion {
                version: 1,
                material: Base64(vec![7; 32]),
            },
            DisclosedVersion {
                version: 2,
                material: Base64(vec![8; 32]),
            },
        ],
    }
}

#[test]
fn a_key_comes_back_with_its_versions() {
    let key = key();
    let bytes = key.to_bytes().unwrap();
    let document: serde_json::Value = strongroom_approval::canonical::from_slice(&bytes).unwrap();
    assert_eq!(document["versions"][1]["version"], 2);
    let back = DisclosedKey::from_bytes(&bytes).unwrap();
    assert!(back == key);
    assert_eq!(back.material(2), Some([8; 32].as_slice()));
    assert_eq!(back.material(3), None);
    assert!(!format!("{back:?} {:?}", back.versions).contains("Bwc"));
}

#[test]
fn another_document_is_no_disclosed_key() {
    let mut other = key();
    other.format = "strongroom-disclosed-key/2".to_owned();
    let none = key();
    let none = DisclosedKey {
        versions: Vec::new(),
        ..none
    };
    for key in [other, none] {
        let bytes = key.to_bytes().unwrap();
        let refused = DisclosedKey::from_bytes(&bytes).unwrap_err();
        assert_eq!(refused, DisclosureError::NoDisclosedKey);
    }
    assert!(DisclosedKey::from_bytes(b"{}").is_err());
}
