//! Sealing to an agency, held against `openssl cms -decrypt` and against HPKE of Python's `cryptography`.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use strongroom_disclosure::agency::PRIVATE;
use strongroom_disclosure::cms::SealingCertificate;
use strongroom_disclosure::hpke::HpkePrivateKey;
use strongroom_disclosure::{AgencyKey, DisclosureError, SealedForm, SealingKey};
use strongroom_wire::encoding::Base64;
use tempfile::TempDir;

const CONTENT: &[u8] = b"{\"key\":\"0198d3c1\"}\n\0\xff";

fn openssl(folder: &Path, arguments: &[&str]) -> std::process::Output {
    Command::new("openssl")
        .current_dir(folder)
        .args(arguments)
        .output()
        .unwrap()
}

/// A private key and its certificate, made by openssl with these arguments.
fn agency(arguments: &[&str]) -> (TempDir, SealingKey, AgencyKey) {
    let folder = tempfile::tempdir().unwrap();
    let mut all = vec![
        "req", "-x509", "-nodes", "-days", "30", "-keyout", "key.pem", "-out", "cert.pem",
    ];
    all.extend(["-subj", "/C=DE/O=Pr\\u00fcfstelle/CN=Agency"]);
    all.extend(arguments);
    let made = openssl(folder.path(), &all);
    assert!(made.status.success(), "{made:?}");
    let certificate = fs::read(folder.path().join("cert.pem")).unwrap();
    let key = fs::read(folder.path().join("key.pem")).unwrap();
    let sealing = SealingKey::parse(&certificate).unwrap();
    (folder, sealing, AgencyKey::parse(&key).unwrap())
}

/// What `openssl cms -decrypt` makes of it, with the certificate and without.
fn opened_by_openssl(folder: &Path, sealed: &[u8]) -> Option<Vec<u8>> {
    fs::write(folder.join("sealed.p7m"), sealed).unwrap();
    let mut decrypt = vec!["cms", "-decrypt", "-binary", "-inform", "DER"];
    decrypt.extend(["-in", "sealed.p7m", "-inkey", "key.pem"]);
    let without = openssl(folder, &decrypt);
    decrypt.extend(["-recip", "cert.pem"]);
    let with = openssl(folder, &decrypt);
    assert_eq!(with.status.success(), without.status.success());
    if !with.status.success() {
        return None;
    }
    assert_eq!(with.stdout, without.stdout);
    Some(with.stdout)
}

fn certificate_of(sealing: &SealingKey) -> &SealingCertificate {
    match sealing {
        SealingKey::Certificate(certificate) => certificate,
        SealingKey::Hpke(_) => unreachable!("a certificate"),
    }
}

#[test]
fn openssl_and_we_open_what_is_sealed_to_each_kind_of_certificate() {
    let curve = |name: &'static str| ["-newkey", "ec", "-pkeyopt", name];
    let kinds: [&[&str]; 7] = [
        &["-newkey", "rsa:2048"],
        &["-newkey", "rsa:3072"],
        &["-newkey", "rsa:2048", "-addext", "keyUsage=keyEncipherment"],
        &curve("ec_paramgen_curve:P-256"),
        &curve("ec_paramgen_curve:P-384"),
        &curve("ec_paramgen_curve:P-521"),
        &[
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-addext",
            "keyUsage=keyAgreement",
        ],
    ];
    let (_, stranger, strange_key) = agency(&["-newkey", "rsa:2048"]);
    for kind in kinds {
        let (folder, sealing, key) = agency(kind);
        assert_eq!(sealing.form(), SealedForm::Cms);
        for content in [CONTENT.to_vec(), Vec::new(), vec![7; 100_000]] {
            let sealed = sealing.seal(&content).unwrap();
            let opened = opened_by_openssl(folder.path(), &sealed);
            assert_eq!(opened.as_ref(), Some(&content), "{kind:?}");
            let certificate = certificate_of(&sealing);
            assert_eq!(*key.open(&sealed, Some(certificate)).unwrap(), content);
            assert_eq!(*key.open(&sealed, None).unwrap(), content);
        }
        let sealed = sealing.seal(CONTENT).unwrap();
        assert_ne!(sealed, sealing.seal(CONTENT).unwrap());
        let other = key.open(&sealed, Some(certificate_of(&stranger)));
        assert_eq!(other.unwrap_err(), DisclosureError::NotAuthentic);
        assert!(strange_key.open(&sealed, None).is_err());
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            // The originator's algorithm identifier and the names in the recipient's identifier say nothing that is relied upon.
            if let Ok(opened) = key.open(&altered, Some(certificate_of(&sealing))) {
                assert_eq!(*opened, CONTENT, "{kind:?} {at}");
            }
            assert!(key.open(&sealed[..at], None).is_err());
        }
        // What openssl itself checks: the tag, at the very end.
        let mut altered = sealed;
        *altered.last_mut().unwrap() ^= 1;
        assert_eq!(opened_by_openssl(folder.path(), &altered), None, "{kind:?}");
        assert!(key.open(&altered, None).is_err());
    }
}

#[test]
fn a_certificate_that_nothing_is_sealed_to_is_refused() {
    let refused = |arguments: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        let mut all = vec![
            "req", "-x509", "-nodes", "-keyout", "key.pem", "-out", "cert.pem",
        ];
        all.extend(["-subj", "/CN=Agency"]);
        all.extend(arguments);
        let made = openssl(folder.path(), &all);
        assert!(made.status.success(), "{made:?}");
        SealingKey::parse(&fs::read(folder.path().join("cert.pem")).unwrap()).unwrap_err()
    };
    let not_taken = DisclosureError::KeyNotTaken;
    assert_eq!(refused(&["-newkey", "rsa:1024"]), not_taken);
    assert_eq!(refused(&["-newkey", "ed25519"]), not_taken);
    let k256 = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp256k1"];
    assert_eq!(refused(&k256), not_taken);
    let signs = [
        "-newkey",
        "rsa:2048",
        "-addext",
        "keyUsage=digitalSignature",
    ];
    assert_eq!(refused(&signs), DisclosureError::KeyUsage);
    for text in [
        "",
        "-----BEGIN CERTIFICATE-----",
        "strongroom-agency-public-key-1:AAAA",
    ] {
        let refused = SealingKey::parse(text.as_bytes()).unwrap_err();
        assert_eq!(refused, DisclosureError::NoSealingKey);
        assert!(AgencyKey::parse(text.as_bytes()).is_err());
    }
}

#[test]
fn the_fingerprint_and_the_validity_are_those_that_openssl_shows() {
    let (folder, sealing, _) = agency(&["-newkey", "rsa:2048"]);
    let shown = openssl(
        folder.path(),
        &[
            "x509",
            "-in",
            "cert.pem",
            "-noout",
            "-fingerprint",
            "-sha256",
        ],
    );
    let shown = String::from_utf8(shown.stdout).unwrap();
    let shown = shown
        .trim()
        .split('=')
        .next_back()
        .unwrap()
        .replace(':', "");
    assert_eq!(hex::encode_upper(sealing.fingerprint()), shown);
    let (from, until) = sealing.validity().unwrap();
    assert_eq!(until, from.plus_seconds(30 * 24 * 3600));
    let kept = SealingKey::parse(&sealing.to_bytes()).unwrap();
    assert_eq!(kept.fingerprint(), sealing.fingerprint());
    assert!(certificate_of(&sealing).subject().contains("CN=Agency"));
}

#[test]
fn what_is_sealed_to_a_public_key_opens_for_its_private_key_alone() {
    let private = HpkePrivateKey::generate();
    let text = format!(
        "{PRIVATE}{}\n",
        Base64(private.to_bytes().to_vec()).to_text()
    );
    let key = AgencyKey::parse(text.as_bytes()).unwrap();
    let sealing = SealingKey::Hpke(Box::new(private.public_key()));
    let sealing = SealingKey::parse(&sealing.to_bytes()).unwrap();
    assert_eq!(
        (sealing.form(), sealing.validity()),
        (SealedForm::Hpke, None)
    );
    let sealed = sealing.seal(CONTENT).unwrap();
    assert_eq!(*key.open(&sealed, None).unwrap(), CONTENT);
    let stranger = AgencyKey::Hpke(Box::new(HpkePrivateKey::generate()));
    let refused = stranger.open(&sealed, None).unwrap_err();
    assert_eq!(refused, DisclosureError::NotAuthentic);
    for at in 0..sealed.len() {
        let mut altered = sealed.clone();
        altered[at] ^= 1;
        assert!(key.open(&altered, None).is_err(), "{at}");
    }
    let (_, certificate, _) = agency(&["-newkey", "rsa:2048"]);
    assert!(key.open(&certificate.seal(CONTENT).unwrap(), None).is_err());
    assert!(!format!("{key:?} {private:?}").contains("AgencyKey(["));
}

#[test]
fn another_implementation_opens_what_is_sealed_to_a_public_key_and_seals_what_we_open() {
    const PROGRAM: &str = "
import base64, hashlib, json, sys
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

def decode(text):
    return base64.urlsafe_b64decode(text + '=' * (-len(text) % 4))

def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b'=').decode()

sealed = json.load(sys.stdin)
expanded = hashlib.shake_256(decode(sys.argv[1])).digest(96)
key = hpke.MLKEM768X25519PrivateKey(
    MLKEM768PrivateKey.from_seed_bytes(expanded[:64]), X25519PrivateKey.from_private_bytes(expanded[64:]))
suite = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA512, hpke.AEAD.AES_256_GCM)
info = b'strongroom/v1/disclosure'
assert sealed['suite'] == 'x-wing/hkdf-sha-512/aes-256-gcm'
content = suite.decrypt(decode(sealed['encapsulated']) + decode(sealed['sealed']), key, info)
back = suite.encrypt(content + b' and back', key.public_key(), info)
sealed['encapsulated'], sealed['sealed'] = encode(back[:1120]), encode(back[1120:])
sys.stdout.write(json.dumps(sealed, sort_keys=True, separators=(',', ':')))
";
    let private = HpkePrivateKey::generate();
    let sealed = private.public_key().seal(CONTENT).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sealed.hpke");
    fs::write(&file, sealed).unwrap();
    let python = env::var_os("STRONGROOM_TEST_PYTHON").unwrap_or_else(|| "python3".into());
    let answer = Command::new(python)
        .args(["-c", PROGRAM])
        .arg(Base64(private.to_bytes().to_vec()).to_text())
        .stdin(fs::File::open(file).unwrap())
        .output()
        .unwrap();
    assert!(
        answer.status.success(),
        "{}",
        String::from_utf8_lossy(&answer.stderr)
    );
    let opened = private.open(&answer.stdout).unwrap();
    assert_eq!(*opened, [CONTENT, b" and back"].concat());
}

/// Sealed on the day this was written: what was delivered once opens for ever.
#[test]
fn what_was_sealed_once_still_opens() {
    let key = format!("{PRIVATE}{}", Base64((0..32).collect()).to_text());
    let key = AgencyKey::parse(key.as_bytes()).unwrap();
    let sealed =
        &fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/sealed.hpke")).unwrap();
    assert_eq!(**key.open(sealed, None).unwrap(), *b"a key");
    for curve in ["p256", "p384", "rsa"] {
        let read = |name: &str| {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
            fs::read(folder.join(format!("{curve}.{name}"))).unwrap()
        };
        let key = AgencyKey::parse(&read("key.pem")).unwrap();
        let certificate = SealingCertificate::from_der(
            &CertificateDer::from_pem_slice(&read("cert.pem")).unwrap(),
        )
        .unwrap();
        let opened = key.open(&read("p7m"), Some(&certificate)).unwrap();
        assert_eq!(**opened, *b"a key", "{curve}");
    }
}
