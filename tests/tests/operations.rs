//! The appliance uses keys for its clients: what it signs `openssl` verifies, what `openssl` encrypts it opens, and keys that `openssl` made sign
//! there. In sessions, by signed requests and at the command line.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use strongroom_client::operations::{Ciphertext, Operate as _, PublicKey, Signing};
use strongroom_client::{Client, ClientError, Device, ErrorKind, Retries, Roots, Session};
use strongroom_tests::{Appliance, Person};
use strongroom_wire::account::AccountKind;
use strongroom_wire::device::IssuedSecret;
use strongroom_wire::id::KeyId;
use strongroom_wire::key::{Algorithm, KeyState, NewKey, Origin, Releasable};
use strongroom_wire::operation::{
    KeyOperation, Mechanism, Operation, OperationResult, SignatureEncoding,
};
use strongroom_wire::policy::{ChangedDomainPolicy, DomainPolicy};
use strongroom_wire::problem::Code;

const GUIDE: &str = include_str!("../../docs/operations.md");

fn client(appliance: &Appliance) -> Client {
    let roots = Roots::from_pem(&fs::read(appliance.ca()).unwrap()).unwrap();
    Client::new(&appliance.client_url(), &roots)
        .unwrap()
        .retries(Retries::none())
}

fn session(appliance: &Appliance, name: &str) -> Session {
    person(appliance, &mut appliance.administrator(), name)
}

fn person(appliance: &Appliance, admin: &mut strongroom_tests::Session, name: &str) -> Session {
    drop(appliance.person(admin, name));
    let password = appliance.password_of(name);
    client(appliance)
        .sign_in(name, password.as_bytes())
        .unwrap()
}

fn make(session: &Session, new: NewKey) -> KeyId {
    session.create_keys(vec![new]).unwrap().remove(0).key.id
}

/// A key that is never released.
fn kept(session: &Session, algorithm: Algorithm) -> KeyId {
    let new = NewKey {
        releasable: Releasable::Never,
        ..NewKey::new(algorithm)
    };
    make(session, new)
}

fn code<T>(outcome: Result<T, ClientError>) -> Option<Code> {
    outcome.err().and_then(|error| error.code())
}

fn openssl(folder: &Path, words: &[&str]) -> Output {
    let mut command = Command::new("openssl");
    command.current_dir(folder).args(words).output().unwrap()
}

/// Runs `openssl`, which must succeed.
fn does(folder: &Path, words: &[&str]) {
    let output = openssl(folder, words);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {words:?}: {said}");
}

/// The words with which `openssl` verifies `report.sig` of `report`.
fn verification(mechanism: Mechanism) -> Vec<&'static str> {
    let name = mechanism.as_str();
    if mechanism == Mechanism::Ed25519 {
        let words = "pkeyutl -verify -pubin -inkey key.pem -rawin -in report -sigfile report.sig";
        return words.split(' ').collect();
    }
    let hash = match name.rsplit('-').next() {
        Some("1") => "-sha1",
        Some("224") => "-sha224",
        Some("256") => "-sha256",
        Some("384") => "-sha384",
        _ => "-sha512",
    };
    let mut words = vec![
        "dgst",
        hash,
        "-verify",
        "key.pem",
        "-signature",
        "report.sig",
    ];
    if name.starts_with("rsa-pss") {
        words.extend(["-sigopt", "rsa_padding_mode:pss"]);
        words.extend(["-sigopt", "rsa_pss_saltlen:digest"]);
    }
    words.push("report");
    words
}

#[test]
fn openssl_verifies_what_the_appliance_signs() {
    let appliance = Appliance::start();
    let mut admin = appliance.administrator();
    let alice = person(&appliance, &mut admin, "alice@example.com");
    let policy = DomainPolicy {
        legacy_mechanisms: Mechanism::LEGACY.to_vec(),
        ..DomainPolicy::default()
    };
    let _: ChangedDomainPolicy = admin.ask("PUT", "/v1/domain/policy", &policy).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let report = b"The patient is well.\n".repeat(10_000);
    fs::write(place("report"), &report).unwrap();
    let mut checked = 0;
    for algorithm in [
        Algorithm::EcP256,
        Algorithm::EcP384,
        Algorithm::EcP521,
        Algorithm::Rsa2048,
        Algorithm::Rsa3072,
        Algorithm::Ed25519,
    ] {
        let key = kept(&alice, algorithm);
        let public_key: PublicKey = alice.public_key(key, None).unwrap();
        fs::write(place("key.pem"), public_key.pem()).unwrap();
        let mechanisms = Mechanism::ALL.iter().copied().filter(|mechanism| {
            let signing = Signing {
                mechanism: *mechanism,
                encoding: SignatureEncoding::Der,
            };
            mechanism.suits(algorithm)
                && (signing.takes_digest() || *mechanism == Mechanism::Ed25519)
        });
        for mechanism in mechanisms {
            let signing = Signing {
                mechanism,
                encoding: SignatureEncoding::Der,
            };
            let signature = alice.sign(key, signing, &report).unwrap();
            fs::write(place("report.sig"), &signature.bytes).unwrap();
            does(folder.path(), &verification(mechanism));
            assert!(
                public_key
                    .verify(signing, &report, &signature.bytes)
                    .unwrap()
            );
            assert!(
                !public_key
                    .verify(signing, b"else", &signature.bytes)
                    .unwrap()
            );
            checked += 1;
        }
        assert_eq!(code(alice.obtain(key, None)), Some(Code::PolicyRefused));
    }
    assert_eq!(checked, 3 * 5 + 2 * 10 + 1);
    let _ = appliance.verify_audit();
}

#[test]
fn the_appliance_opens_what_openssl_encrypts_and_signs_with_keys_that_openssl_made() {
    let appliance = Appliance::start();
    let alice = session(&appliance, "alice@example.com");
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    fs::write(place("secret"), b"at noon").unwrap();

    let key = kept(&alice, Algorithm::Rsa3072);
    fs::write(place("key.pem"), alice.public_key(key, None).unwrap().pem()).unwrap();
    for (mechanism, padding) in [
        (Mechanism::RsaOaepSha1, &["rsa_padding_mode:oaep"][..]),
        (
            Mechanism::RsaOaepSha256,
            &["rsa_padding_mode:oaep", "rsa_oaep_md:sha256"],
        ),
        (Mechanism::RsaPkcs1, &["rsa_padding_mode:pkcs1"]),
    ] {
        let words = "pkeyutl -encrypt -pubin -inkey key.pem -in secret -out sealed";
        let mut words: Vec<&str> = words.split(' ').collect();
        for option in padding {
            words.extend(["-pkeyopt", option]);
        }
        does(folder.path(), &words);
        let mut sealed = Ciphertext {
            data: fs::read(place("sealed")).unwrap(),
            iv: None,
        };
        let opened = alice.decrypt(key, None, mechanism, &sealed, None);
        assert_eq!(*opened.unwrap(), b"at noon");
        sealed.data[10] ^= 1;
        let refused = alice.decrypt(key, None, mechanism, &sealed, None);
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Altered);
    }

    for (algorithm, words) in [
        (
            Algorithm::EcP256,
            "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -outform DER -out own",
        ),
        (
            Algorithm::Rsa2048,
            "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -outform DER -out own",
        ),
        (
            Algorithm::Ed25519,
            "genpkey -algorithm ed25519 -outform DER -out own",
        ),
    ] {
        does(folder.path(), &words.split(' ').collect::<Vec<_>>());
        let own = fs::read(place("own")).unwrap();
        let words = "pkey -inform DER -in own -pubout -out key.pem";
        does(folder.path(), &words.split(' ').collect::<Vec<_>>());
        let new = NewKey {
            releasable: Releasable::Never,
            ..NewKey::new(algorithm)
        };
        let brought = alice.import_key(new.clone(), &own).unwrap().key;
        assert_eq!(brought.origin, Origin::Imported);
        let signing = Signing::new(algorithm).unwrap();
        fs::write(place("report"), b"report").unwrap();
        let signature = alice.sign(brought.id, signing, b"report").unwrap();
        fs::write(place("report.sig"), signature.bytes).unwrap();
        does(folder.path(), &verification(signing.mechanism));
        let cut = alice.import_key(new, &own[..own.len() - 1]);
        assert_eq!(code(cut), Some(Code::Invalid));
    }
}

#[test]
fn keys_stay_and_survive_while_their_uses_are_recorded() {
    let mut appliance = Appliance::start();
    let alice = session(&appliance, "alice@example.com");
    let aes = kept(&alice, Algorithm::Aes256);
    let ec = kept(&alice, Algorithm::EcP256);
    let sealed = alice.encrypt(aes, Mechanism::AesGcm, b"at noon", Some(b"to bob"));
    let sealed = sealed.unwrap();
    let signing = Signing::new(Algorithm::EcP256).unwrap();
    let first = alice.sign(ec, signing, b"report").unwrap();
    appliance.restart();
    let password = appliance.password_of("alice@example.com");
    let alice = client(&appliance)
        .sign_in("alice@example.com", password.as_bytes())
        .unwrap();
    let open = |aad: &[u8]| alice.decrypt(aes, None, Mechanism::AesGcm, &sealed, Some(aad));
    assert_eq!(*open(b"to bob").unwrap(), b"at noon");
    assert_eq!(open(b"to eve").unwrap_err().kind(), ErrorKind::Altered);

    // A new version signs, the old one's signatures still verify by its own public key.
    let old = alice.public_key(ec, None).unwrap();
    assert_eq!(alice.rotate(ec).unwrap().key.version, 2);
    let second = alice.sign(ec, signing, b"report").unwrap();
    assert_eq!((first.version, second.version), (1, 2));
    let new = alice.public_key(ec, None).unwrap();
    assert_eq!(alice.public_key(ec, Some(1)).unwrap(), old);
    for (key, signature, valid) in [
        (&old, &first, true),
        (&old, &second, false),
        (&new, &second, true),
    ] {
        assert_eq!(
            key.verify(signing, b"report", &signature.bytes).unwrap(),
            valid
        );
    }

    // Many at once: each is decided by itself.
    let sign = |key| KeyOperation {
        key,
        operation: Operation::Sign {
            mechanism: Mechanism::EcdsaSha256,
            data: b"report".as_slice().into(),
            prehashed: false,
            encoding: SignatureEncoding::Fixed,
            salt_length: None,
        },
        version: None,
    };
    let mut wanted = vec![sign(ec); 1100];
    wanted[3] = sign(aes);
    wanted[1001] = sign(KeyId::generate());
    let made = alice.operate_many(wanted).unwrap();
    assert_eq!(made.len(), 1100);
    let refused: Vec<usize> = (0..1100).filter(|at| made[*at].is_err()).collect();
    assert_eq!(refused, [3, 1001]);
    let fixed = Signing {
        encoding: SignatureEncoding::Fixed,
        ..signing
    };
    for performed in made.iter().flatten() {
        let OperationResult::Signature { signature } = &performed.result else {
            panic!("{performed:?}");
        };
        assert_eq!(signature.0.len(), 64);
        assert!(new.verify(fixed, b"report", &signature.0).unwrap());
    }

    // Out of use: it signs no more, and what it signed stays verifiable.
    alice.change_state(ec, KeyState::Deactivated).unwrap();
    assert_eq!(
        code(alice.sign(ec, signing, b"report")),
        Some(Code::KeyStateForbids)
    );
    assert!(new.verify(signing, b"report", &second.bytes).unwrap());
    alice.destroy(aes).unwrap();
    assert_eq!(code(open(b"to bob")), Some(Code::KeyDestroyed));
    let _ = appliance.verify_audit();
}

#[test]
fn a_service_uses_and_brings_keys_by_signed_requests() {
    let appliance = Appliance::start();
    let mut admin = appliance.administrator();
    let service = admin
        .create_account("backup", AccountKind::Service, &[], None)
        .unwrap();
    let path = format!("/v1/accounts/{}/secret", service.account.id);
    let issued: IssuedSecret = admin.ask("POST", &path, &json!({})).unwrap();
    let secret = admin
        .transport()
        .unwrap_secret(issued.account, issued.generation, &issued.wrapped.0)
        .unwrap();
    let service = Device::new(client(&appliance), service.account.id, secret);
    let brought = service
        .import_key(
            NewKey::new(Algorithm::GenericSecret),
            b"an older application's secret",
        )
        .unwrap()
        .key;
    assert_eq!(
        (brought.origin, brought.length),
        (Origin::Imported, Some(29))
    );
    let mac = service.mac(brought.id, Mechanism::HmacSha512, b"message");
    let mac = mac.unwrap();
    assert_eq!(mac.len(), 64);
    for (message, valid) in [(&b"message"[..], true), (b"massage", false)] {
        let checked = service.verify_mac(brought.id, None, Mechanism::HmacSha512, message, &mac);
        assert_eq!(checked.unwrap(), valid);
    }
    let new = [
        Algorithm::X25519,
        Algorithm::MlKem768,
        Algorithm::Aes256,
        Algorithm::EcP256,
    ];
    let made = service.create_keys(&new.map(NewKey::new)).unwrap();
    let [x25519, kem, kek, ec] = [0, 1, 2, 3].map(|at: usize| made[at].key.clone());
    let own = service.agree(x25519.id, &x25519.public_key.unwrap().0);
    assert_eq!(own.unwrap().len(), 32);
    let (ciphertext, sent) = service.encapsulate(kem.id).unwrap();
    assert_eq!(
        service.decapsulate(kem.id, None, &ciphertext).unwrap(),
        sent
    );
    let wrapped = service.wrap(kek.id, Mechanism::AesKwp, ec.id).unwrap();
    let unwrap = |wrapped: &[u8]| {
        let new = NewKey::new(Algorithm::EcP256);
        service.unwrap(kek.id, Mechanism::AesKwp, wrapped, new)
    };
    let again = unwrap(&wrapped).unwrap();
    assert_eq!(
        (again.public_key, again.origin),
        (ec.public_key, Origin::Unwrapped)
    );
    assert_eq!(
        unwrap(&wrapped[8..]).unwrap_err().kind(),
        ErrorKind::Altered
    );
    assert_eq!(
        code(service.public_key(kek.id, None)),
        Some(Code::Invalid),
        "a secret key has none"
    );
}

fn signed_in(appliance: &Appliance) -> Person {
    let admin = Person::administrator(appliance);
    let _ = admin.enrol(appliance.administrator_code()).success();
    let _ = admin.login().success();
    let created = admin.json(&["accounts", "create", "alice@example.com"]);
    let alice = Person::new(appliance, "alice@example.com");
    let _ = alice
        .enrol(created["enrolment_code"].as_str().unwrap())
        .success();
    let _ = alice.login().success();
    alice
}

#[test]
fn files_are_signed_at_the_command_line() {
    let appliance = Appliance::start();
    let alice = signed_in(&appliance);
    let created = alice.json(&["keys", "create", "--algorithm", "ec-p256", "--no-release"]);
    let key = created["key"]["id"].as_str().unwrap();
    assert_eq!(created["key"]["releasable"], "never");
    fs::write(alice.file("report"), "The patient is well.\n").unwrap();
    let signed = alice.run(&["sign", key, "report"]).success();
    assert!(signed.stdout.contains("ecdsa-sha-256"), "{signed:?}");
    let public = alice.run(&["keys", "public", key]).success();
    fs::write(alice.file("key.pem"), &public.stdout).unwrap();
    let folder = alice.file("");
    does(&folder, &verification(Mechanism::EcdsaSha256));
    // The guide's own words.
    for line in GUIDE.lines().filter(|line| line.starts_with("openssl ")) {
        let words: Vec<&str> = line.split(' ').skip(1).collect();
        if words.contains(&"-sha256") && !words.contains(&"-sigopt") {
            does(&folder, &words);
        }
    }
    let verified = alice.json(&["verify", key, "report"]);
    assert_eq!(verified["valid"], Value::Bool(true));

    let refused = alice.run(&["sign", key, "report"]).failure();
    assert!(refused.stderr.contains("--force"), "{refused:?}");
    let again = alice.json(&["sign", key, "report", "--force", "--encoding", "fixed"]);
    assert_eq!(again["mechanism"], "ecdsa-sha-256");
    assert_eq!(fs::read(alice.file("report.sig")).unwrap().len(), 64);
    let _ = alice
        .run(&["verify", key, "report", "--encoding", "fixed"])
        .success();
    fs::write(alice.file("report"), "The patient is ill.\n").unwrap();
    let forged = alice
        .run(&["verify", key, "report", "--encoding", "fixed"])
        .failure();
    assert!(forged.stderr.contains("is not the signature"), "{forged:?}");
    assert_eq!(forged.stdout, "");

    does(
        &folder,
        &"genpkey -algorithm ed25519 -out own.pem"
            .split(' ')
            .collect::<Vec<_>>(),
    );
    let words = [
        "keys",
        "import",
        "own.pem",
        "--algorithm",
        "ed25519",
        "--label",
        "own",
    ];
    let imported = alice.json(&words);
    assert_eq!(imported["key"]["origin"], "imported");
    let key = imported["key"]["id"].as_str().unwrap();
    let signed = alice.json(&["sign", key, "report", "--force"]);
    assert_eq!(signed["mechanism"], "ed25519");
    does(
        &folder,
        &"pkey -in own.pem -pubout -out key.pem"
            .split(' ')
            .collect::<Vec<_>>(),
    );
    does(&folder, &verification(Mechanism::Ed25519));
    let wrong = ["keys", "import", "own.pem", "--algorithm", "ec-p384"];
    let sentence = alice.refused(&wrong, "invalid");
    assert!(sentence.contains("no key for ec-p384"), "{sentence}");
    let aes = alice.json(&["keys", "create"]);
    let aes = aes["key"]["id"].as_str().unwrap();
    alice.refused(&["keys", "public", aes], "invalid");
    let no = alice.run(&["sign", aes, "report"]).failure();
    assert!(no.stderr.contains("do not sign"), "{no:?}");
}
