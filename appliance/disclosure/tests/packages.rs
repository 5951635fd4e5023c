//! The delivery package: what is written comes back, any `tar` unpacks it, and nothing else is taken for one.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::process::Command;

use aws_lc_rs::digest::{SHA256, digest};
use proptest::prelude::*;
use strongroom_disclosure::package::FORMAT;
use strongroom_disclosure::{
    DeliveryRecord, Manifest, ManifestItem, Matched, Named, Package, PackageError, SealedForm,
    record,
};
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::{AccountId, AuthorisationId, DisclosureId, KeyId};
use strongroom_wire::key::Algorithm;

fn hash(bytes: &[u8]) -> String {
    hex::encode(digest(&SHA256, bytes))
}

fn named(name: &str) -> Named {
    Named {
        account: AccountId::generate(),
        name: name.to_owned(),
    }
}

/// A package with these sealed keys.
fn package(sealed: &[Vec<u8>], form: SealedForm, label: &str) -> Package {
    let mut manifest = Manifest {
        format: FORMAT.to_owned(),
        domain_origin: "keys.example.com/default".to_owned(),
        authorisation: AuthorisationId::generate(),
        generation: 2,
        authorisation_sha256: hex::encode([1; 32]),
        reference: "AG 7/2026".to_owned(),
        delivery: DisclosureId::generate(),
        released: Timestamp::from_millis(1_790_000_000_000),
        form,
        sealing_key_sha256: hex::encode([2; 32]),
        items: Vec::new(),
    };
    let last = u32::try_from(sealed.len()).unwrap();
    let mut items = Vec::new();
    for (position, sealed) in sealed.iter().enumerate() {
        let sequence = u32::try_from(position).unwrap() + 1;
        let record = DeliveryRecord {
            format: record::FORMAT.to_owned(),
            domain_origin: manifest.domain_origin.clone(),
            authorisation: manifest.authorisation,
            generation: 2,
            authorisation_sha256: manifest.authorisation_sha256.clone(),
            reference: manifest.reference.clone(),
            delivery: manifest.delivery,
            sequence,
            last_sequence: last,
            item: KeyId::generate(),
            algorithm: Algorithm::Aes256,
            versions: 1,
            label: label.to_owned(),
            content_type: (position % 2 == 0).then(|| "message/rfc822".to_owned()),
            created: Timestamp::from_millis(1_780_000_000_000),
            owner: named("alice@example.com"),
            sender: named("alice@example.com"),
            recipients: vec![named("bob@example.com")],
            matched: Matched {
                task: 1,
                predicate: "from alice@example.com".to_owned(),
                person: Some(named("alice@example.com")),
            },
            ciphertext_sha256: None,
            sealing_key_sha256: manifest.sealing_key_sha256.clone(),
            sealed_sha256: hash(sealed),
            executor: named("erin@example.com"),
            executed: Timestamp::from_millis(1_789_000_000_000),
            releaser: named("rick@example.com"),
            released: manifest.released,
            leaf: 100 + u64::from(sequence),
        };
        let record = record.to_bytes().unwrap();
        manifest.items.push(ManifestItem {
            record_sha256: hash(&record),
            sealed_sha256: hash(sealed),
        });
        items.push((record, sealed.clone()));
    }
    Package { manifest, items }
}

fn written(package: &Package) -> Vec<u8> {
    let mut bytes = Vec::new();
    package.write(&mut bytes).unwrap();
    bytes
}

/// An identifier in capitals is the same one, and another document all the same.
#[test]
fn an_identifier_in_capitals_is_refused() {
    let mut package = package(&[vec![7; 700]], SealedForm::Cms, "Re: plans");
    package.manifest.authorisation = AuthorisationId::from_bytes([0xab; 16]);
    let (mut record, _) = package.items.remove(0);
    let manifest = String::from_utf8(package.manifest.to_bytes().unwrap()).unwrap();
    assert!(Manifest::from_bytes(manifest.as_bytes()).is_ok());
    let capitals = manifest.replace("abab", "ABAB");
    assert_ne!(capitals, manifest);
    assert!(Manifest::from_bytes(capitals.as_bytes()).is_err());

    let mut read = DeliveryRecord::from_bytes(&record).unwrap();
    read.item = KeyId::from_bytes([0xcd; 16]);
    record = read.to_bytes().unwrap();
    assert!(DeliveryRecord::from_bytes(&record).is_ok());
    let capitals = String::from_utf8(record).unwrap().replace("cdcd", "CDCD");
    assert!(DeliveryRecord::from_bytes(capitals.as_bytes()).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_package_comes_back_as_it_was_written(
        sealed in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..1500), 0..5),
        hpke: bool, label: String,
    ) {
        let form = if hpke { SealedForm::Hpke } else { SealedForm::Cms };
        let package = package(&sealed, form, &label);
        let bytes = written(&package);
        let manifest = package.manifest.to_bytes().unwrap().len();
        let lengths = package.items.iter().flat_map(|(record, sealed)| [record.len(), sealed.len()]);
        prop_assert_eq!(bytes.len() as u64, Manifest::package_length(manifest, lengths));
        prop_assert_eq!(Package::read(&bytes).unwrap(), package);
    }

    #[test]
    fn a_package_with_another_bit_or_byte_is_refused(at in any::<proptest::sample::Index>(), bit in 0..8_u8, cut in any::<proptest::sample::Index>()) {
        let bytes = written(&package(&[vec![7; 700], vec![8; 512]], SealedForm::Cms, "Re: plans"));
        let mut altered = bytes.clone();
        altered[at.index(bytes.len())] ^= 1 << bit;
        prop_assert!(Package::read(&altered).is_err());
        prop_assert!(Package::read(&bytes[..cut.index(bytes.len())]).is_err());
        let longer = [&bytes[..], &[0]].concat();
        prop_assert!(Package::read(&longer).is_err());
    }

    #[test]
    fn whatever_it_is_reading_it_ends(bytes: Vec<u8>) {
        prop_assert!(Package::read(&bytes).is_err());
    }
}

#[test]
fn any_tar_unpacks_it() {
    let package = package(&[vec![7; 700], Vec::new()], SealedForm::Hpke, "Re: plans");
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("delivery.tar"), written(&package)).unwrap();
    let unpacked = Command::new("tar")
        .current_dir(folder.path())
        .args(["--extract", "--verbose", "--file", "delivery.tar"])
        .output()
        .unwrap();
    assert!(unpacked.status.success(), "{unpacked:?}");
    assert!(unpacked.stderr.is_empty(), "{unpacked:?}");
    let listed = String::from_utf8(unpacked.stdout).unwrap();
    let listed: Vec<&str> = listed.lines().collect();
    let members = [
        "manifest.json",
        "00001.record.json",
        "00001.hpke",
        "00002.record.json",
        "00002.hpke",
    ];
    assert_eq!(listed, members);
    let read = |name: &str| fs::read(folder.path().join(name)).unwrap();
    assert_eq!(read("manifest.json"), package.manifest.to_bytes().unwrap());
    assert_eq!(read("00001.record.json"), package.items[0].0);
    assert_eq!(read("00001.hpke"), package.items[0].1);
}

#[test]
fn items_that_are_missing_more_or_of_another_delivery_are_refused() {
    let good = package(&[vec![7; 10], vec![8; 10]], SealedForm::Cms, "");
    let mut swapped = good.clone();
    swapped.items.swap(0, 1);
    let mut missing = good.clone();
    missing.items.pop();
    let mut more = good.clone();
    more.items.push(more.items[0].clone());
    for other in [swapped, missing, more] {
        let refused = other.write(Vec::new()).unwrap_err();
        assert!(matches!(refused, PackageError::Differs(_)), "{refused}");
    }
    // A record that is in the manifest, and is of another delivery or another place.
    let mut other = good.clone();
    other.manifest.delivery = DisclosureId::generate();
    assert!(other.write(Vec::new()).is_err());
    let mut turned = good.clone();
    turned.items.swap(0, 1);
    turned.manifest.items.swap(0, 1);
    assert!(turned.write(Vec::new()).is_err());
    // A manifest that says more than it should, or in another way.
    let bytes = good.manifest.to_bytes().unwrap();
    let text = String::from_utf8(bytes).unwrap();
    assert!(Manifest::from_bytes(text.as_bytes()).is_ok());
    for other in [
        text.replace("\"format\"", " \"format\""),
        text.replace("strongroom-delivery/1", "strongroom-delivery/2"),
        text.replace("{\"authorisation\"", "{\"a\":1,\"authorisation\""),
    ] {
        assert!(Manifest::from_bytes(other.as_bytes()).is_err(), "{other}");
    }
}
