//! Updates that are whole, and everything that may be wrong with one.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::Read;
use std::sync::OnceLock;

use proptest::prelude::*;
use rand_core::OsRng;
use rsa::pkcs8::{EncodePrivateKey as _, EncodePublicKey as _, LineEnding};
use rsa::{Pkcs1v15Sign, RsaPrivateKey};
use rustls_pki_types::PrivatePkcs8KeyDer;
use sha2::{Digest as _, Sha256};

use crate::*;

const KERNEL: &[u8] = b"a kernel";
const ROOT: &[u8] = &[7; 300_000];
const VERITY: &[u8] = b"a tree of hashes";

/// Somebody who signs.
struct Signer(RsaPrivateKey);

impl Signer {
    fn ours() -> &'static Self {
        static OURS: OnceLock<Signer> = OnceLock::new();
        OURS.get_or_init(|| Self::new(2048))
    }

    fn other() -> &'static Self {
        static OTHER: OnceLock<Signer> = OnceLock::new();
        OTHER.get_or_init(|| Self::new(2048))
    }

    fn new(bits: usize) -> Self {
        Self(RsaPrivateKey::new(&mut OsRng, bits).unwrap())
    }

    fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        let scheme = Pkcs1v15Sign::new::<Sha256>();
        self.0.sign(scheme, &Sha256::digest(bytes)).unwrap()
    }

    fn pem(&self) -> String {
        let key = self.0.to_public_key();
        key.to_public_key_pem(LineEnding::LF).unwrap()
    }

    fn key(&self) -> SigningKey {
        SigningKey::from_pem(self.pem().as_bytes()).unwrap()
    }
}

fn manifest() -> Manifest {
    let parts = Parts {
        kernel: measure(KERNEL).unwrap(),
        root: measure(ROOT).unwrap(),
        verity: measure(VERITY).unwrap(),
    };
    let version = "0.2.0".parse().unwrap();
    Manifest::new(version, 2, Flavour::Vm, Sha256Hash([0xab; 32]), parts).unwrap()
}

fn made() -> Vec<u8> {
    made_of(&manifest(), [KERNEL, ROOT, VERITY]).unwrap()
}

fn made_of(manifest: &Manifest, parts: [&[u8]; 3]) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let [mut kernel, mut root, mut verity] = parts;
    let parts: [&mut dyn Read; 3] = [&mut kernel, &mut root, &mut verity];
    make(&mut bytes, manifest, parts, |signed| {
        Ok(Signer::ours().sign(signed))
    })?;
    Ok(bytes)
}

/// A head with this manifest, signed whatever it says.
fn signed(json: &str) -> Vec<u8> {
    let beginning = crate::head::beginning(json.as_bytes());
    let signature = Signer::ours().sign(&beginning);
    let length = u16::try_from(signature.len()).unwrap().to_be_bytes();
    [beginning.as_slice(), &length, &signature].concat()
}

/// Reads a whole update; gives what its parts hold.
fn read(bytes: &[u8]) -> Result<(Head, [Vec<u8>; 3]), Error> {
    let mut reader = bytes;
    let head = Head::read(&mut reader, &Signer::ours().key())?;
    assert_eq!(head.length(), (bytes.len() - reader.len()) as u64);
    let mut parts = [const { Vec::new() }; 3];
    verify_parts(&mut reader, &head.manifest().parts, |name, piece| {
        parts[name as usize].extend(piece);
        Ok(())
    })?;
    Ok((head, parts))
}

#[test]
fn what_was_made_is_read() {
    let bytes = made();
    let (head, parts) = read(&bytes).unwrap();
    assert_eq!(*head.manifest(), manifest());
    assert_eq!(head.total(), bytes.len() as u64);
    assert_eq!(parts.each_ref().map(Vec::as_slice), [KERNEL, ROOT, VERITY]);
    assert_eq!(head.manifest().file_name(), "strongroom_0.2.0.update");
    // So that the same image makes the same update.
    assert_eq!(made(), bytes);
}

#[test]
fn a_certificate_is_as_good_as_its_key() {
    let der = Signer::ours().0.to_pkcs8_der().unwrap();
    let der = PrivatePkcs8KeyDer::from(der.as_bytes());
    let key = rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&der, &rcgen::PKCS_RSA_SHA256).unwrap();
    let certificate = rcgen::CertificateParams::default()
        .self_signed(&key)
        .unwrap();
    let ours = SigningKey::from_pem(certificate.pem().as_bytes()).unwrap();
    assert_eq!(ours, Signer::ours().key());
    Head::read(made().as_slice(), &ours).unwrap();
}

#[test]
fn keys_that_are_none_are_refused() {
    let short = Signer::new(1024);
    let elliptic = rcgen::KeyPair::generate().unwrap();
    for pem in [
        String::new(),
        "no PEM".to_owned(),
        short.pem(),
        elliptic.public_key_pem(),
        elliptic.serialize_pem(),
        Signer::ours().pem().replace('B', ""),
    ] {
        let refused = SigningKey::from_pem(pem.as_bytes());
        assert!(matches!(refused, Err(Error::Key)), "{pem}: {refused:?}");
    }
}

#[test]
fn another_key_signs_nothing() {
    let refused = Head::read(made().as_slice(), &Signer::other().key());
    assert!(matches!(refused, Err(Error::Signature)), "{refused:?}");
}

#[test]
fn no_bit_of_the_head_can_be_changed() {
    let bytes = made();
    let (head, _) = read(&bytes).unwrap();
    let length = usize::try_from(head.length()).unwrap();
    for place in 0..length {
        let mut changed = bytes.clone();
        changed[place] ^= 1 << (place % 8);
        let refused = Head::read(changed.as_slice(), &Signer::ours().key());
        assert!(refused.is_err(), "byte {place}");
    }
}

#[test]
fn a_changed_part_is_named() {
    let bytes = made();
    let (head, _) = read(&bytes).unwrap();
    let mut place = usize::try_from(head.length()).unwrap();
    for (name, length) in [
        (PartName::Kernel, KERNEL.len()),
        (PartName::Root, ROOT.len()),
        (PartName::Verity, VERITY.len()),
    ] {
        for changed_at in [place, place + length - 1] {
            let mut changed = bytes.clone();
            changed[changed_at] ^= 0x80;
            let refused = read(&changed);
            assert!(matches!(refused, Err(Error::Altered(of)) if of == name));
        }
        place += length;
        let refused = read(&bytes[..place - 1]);
        assert!(matches!(refused, Err(Error::CutOff(of)) if of == name));
    }
}

#[test]
fn nothing_may_follow_and_nothing_may_be_missing() {
    let mut bytes = made();
    let (head, _) = read(&bytes).unwrap();
    for length in 0..usize::try_from(head.length()).unwrap() {
        let refused = Head::read(&bytes[..length], &Signer::ours().key());
        assert!(matches!(refused, Err(Error::HeadCutOff)), "{length} bytes");
    }
    bytes.push(0);
    assert!(matches!(read(&bytes), Err(Error::Trailing)));
}

#[test]
fn lengths_that_promise_too_much_are_refused_before_anything_is_read() {
    let key = Signer::ours().key();
    let mut bytes = made();
    bytes[8..12].copy_from_slice(&(MANIFEST_MAX + 1).to_be_bytes());
    let refused = Head::read(bytes.as_slice(), &key);
    assert!(matches!(refused, Err(Error::ManifestTooLong)));

    let mut bytes = signed("{}");
    bytes[14..16].copy_from_slice(&(SIGNATURE_MAX + 1).to_be_bytes());
    let refused = Head::read(bytes.as_slice(), &key);
    assert!(matches!(refused, Err(Error::SignatureTooLong)));

    let refused = Head::read(&b"SQLite format 3\0"[..], &key);
    assert!(matches!(refused, Err(Error::NotAnUpdate)));
}

#[test]
fn what_is_signed_may_still_be_of_no_use() {
    let key = Signer::ours().key();
    let good = serde_json::to_string(&manifest()).unwrap();
    Head::read(signed(&good).as_slice(), &key).unwrap();
    let refused = |from: &str, to: &str| {
        assert!(good.contains(from), "{from} is not in {good}");
        let bytes = signed(&good.replacen(from, to, 1));
        Head::read(bytes.as_slice(), &key).unwrap_err()
    };
    assert!(matches!(
        refused(r#""format":1"#, r#""format":2,"new":0"#),
        Error::Format(2)
    ));
    assert!(matches!(
        refused(r#""format":1"#, r#""format":1,"new":0"#),
        Error::Manifest(_)
    ));
    assert!(matches!(refused("\"vm\"", "\"cloud\""), Error::Manifest(_)));
    assert!(matches!(refused("abab", "ABab"), Error::Manifest(_)));
    assert!(matches!(refused("abab", "ab"), Error::Manifest(_)));
    assert!(matches!(refused("verity", "varity"), Error::Manifest(_)));
    assert!(matches!(refused("0.2.0", "0.2"), Error::Manifest(_)));
    assert!(matches!(refused("0.2.0", "0.2.0+3"), Error::Unusable(_)));
    assert!(matches!(
        refused(r#""security_version":2"#, r#""security_version":0"#),
        Error::Unusable(_)
    ));
    assert!(matches!(
        refused(r#""size":8"#, r#""size":0"#),
        Error::Unusable(_)
    ));
    assert!(matches!(
        refused(r#""size":8"#, r#""size":18446744073709551615"#),
        Error::Unusable(_)
    ));
}

#[test]
fn parts_that_the_manifest_is_not_about_make_no_update() {
    let manifest = manifest();
    let altered = made_of(&manifest, [b"a colonel", ROOT, VERITY]);
    assert!(matches!(altered, Err(Error::Altered(PartName::Kernel))));
    let longer = made_of(&manifest, [KERNEL, &vec![7; 300_001], VERITY]);
    assert!(matches!(longer, Err(Error::Altered(PartName::Root))));
    let shorter = made_of(&manifest, [KERNEL, ROOT, b"a tree"]);
    assert!(matches!(shorter, Err(Error::CutOff(PartName::Verity))));
}

proptest! {
    #[test]
    fn every_manifest_is_read_as_it_was_written(
        version in (0_u64..1000, 0_u64..1000, 0_u64..1000),
        security_version in 1_u32..,
        metal: bool,
        root_hash: [u8; 32],
        contents in prop::array::uniform3(prop::collection::vec(any::<u8>(), 1..2000)),
    ) {
        let [kernel, root, verity] = contents.each_ref().map(|part| measure(part.as_slice()).unwrap());
        let flavour = if metal { Flavour::Metal } else { Flavour::Vm };
        let manifest = Manifest::new(
            semver::Version::new(version.0, version.1, version.2),
            security_version,
            flavour,
            Sha256Hash(root_hash),
            Parts { kernel, root, verity },
        ).unwrap();
        let bytes = made_of(&manifest, contents.each_ref().map(Vec::as_slice)).unwrap();
        let (head, parts) = read(&bytes).unwrap();
        prop_assert_eq!(head.manifest(), &manifest);
        prop_assert_eq!(head.total(), bytes.len() as u64);
        prop_assert_eq!(parts, contents);
    }

    #[test]
    fn bytes_of_strangers_are_no_update(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let key = Signer::ours().key();
        prop_assert!(Head::read(bytes.as_slice(), &key).is_err());
        prop_assert!(Head::read([MAGIC.as_slice(), &bytes].concat().as_slice(), &key).is_err());
    }
}
