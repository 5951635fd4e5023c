//! The token of the PKCS#11 module over a real appliance, with keys that stay there: what it signs, opens, wraps and derives is what the
//! standard, `openssl`, SoftHSM and the module's own cryptography say.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod token;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::Mechanism as Theirs;
use cryptoki::mechanism::elliptic_curve::{EcKdf, Ecdh1DeriveParams};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass};
use cryptoki::session::UserType;
use cryptoki::types::AuthPin;
use cryptoki_sys::*;
use strongroom_pkcs11::mechanism::{Hash, Iv, Mechanism, Parameter, software};
use strongroom_pkcs11::object::Attributes;
use strongroom_pkcs11::token::{
    Input, ObjectRecord, Outcome, RequestId, Token, TokenErrorKind, Use,
};
use strongroom_tests::{Appliance, legacy};
use tempfile::TempDir;
use uuid::Uuid;

const SOFTHSM: &str = "/usr/lib/softhsm/libsofthsm2.so";
const P256: &[u8] = &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
/// NIST CAVP, KAS ECC CDH on P-256, count 0: the private key, the other's point, the secret.
const OWN: &str = "7d7dc5f71eb29ddaf80d6214632eeae03d9058af1fb6d22ed80badb62bc1a534";
const THEIRS: &str = "04700c48f77f56584c5cc632ca65640db91b6bacce3a4df6b42ce7cc838833d287\
                      db71e509e3fd9b060ddb20ba5c51dcc5948d46fbf640dfe0441782cab85fa4ac";
const AGREED: &str = "46fc62106420ff012e54a434fbdd2d25ccc5852060561e68040dd7778997bd7b";

/// A token that is signed in by itself.
struct House {
    appliance: Appliance,
    token: Arc<dyn Token>,
    _folder: TempDir,
}

impl House {
    fn new() -> Self {
        let appliance = Appliance::start();
        let mut admin = appliance.administrator();
        let service = legacy::service(&mut admin, "web");
        let (token, folder) = token::of(&appliance, &service);
        Self {
            appliance,
            token,
            _folder: folder,
        }
    }

    fn secret(&self, key_type: CK_KEY_TYPE, length: CK_ULONG, extractable: bool) -> ObjectRecord {
        let attributes = secret(key_type, Some(length), extractable);
        let mechanism = Mechanism::plain(CKM_AES_KEY_GEN).unwrap();
        let made = self.token.generate_key(request(), &mechanism, &attributes);
        made.unwrap().value
    }

    fn pair(&self, kind: CK_MECHANISM_TYPE, public: Attributes) -> (ObjectRecord, ObjectRecord) {
        let mut public = public;
        public.set_number(CKA_CLASS, CKO_PUBLIC_KEY);
        let key_type = public.number(CKA_KEY_TYPE).unwrap();
        let private = private(key_type, true);
        let mechanism = Mechanism::plain(kind).unwrap();
        let made = self
            .token
            .generate_key_pair(request(), &mechanism, &public, &private);
        made.unwrap().value
    }

    fn rsa(&self) -> (ObjectRecord, ObjectRecord) {
        let mut public = Attributes::new();
        public.set_number(CKA_KEY_TYPE, CKK_RSA);
        public.set_number(CKA_MODULUS_BITS, 2048);
        self.pair(CKM_RSA_PKCS_KEY_PAIR_GEN, public)
    }

    fn operate(
        &self,
        key: &ObjectRecord,
        what: Use,
        mechanism: &Mechanism,
        data: &[u8],
    ) -> Result<Vec<u8>, TokenErrorKind> {
        let done = self
            .token
            .operate(key.id, what, mechanism, Input::Data(data));
        done.map(|answer| answer.value.to_vec())
            .map_err(|error| error.kind)
    }

    fn released(&self, key: &ObjectRecord) -> Vec<u8> {
        self.token.release(key.id).unwrap().value.material.to_vec()
    }
}

fn request() -> RequestId {
    RequestId(Uuid::now_v7())
}

fn of(kind: CK_MECHANISM_TYPE, parameter: Parameter) -> Mechanism {
    Mechanism {
        parameter,
        ..Mechanism::plain(kind).unwrap()
    }
}

fn secret(key_type: CK_KEY_TYPE, length: Option<CK_ULONG>, extractable: bool) -> Attributes {
    let mut attributes = Attributes::new();
    attributes.set_number(CKA_CLASS, CKO_SECRET_KEY);
    attributes.set_number(CKA_KEY_TYPE, key_type);
    if let Some(length) = length {
        attributes.set_number(CKA_VALUE_LEN, length);
    }
    for attribute in [
        CKA_ENCRYPT,
        CKA_DECRYPT,
        CKA_SIGN,
        CKA_VERIFY,
        CKA_WRAP,
        CKA_UNWRAP,
        CKA_DERIVE,
        CKA_TOKEN,
    ] {
        attributes.set_bool(attribute, true);
    }
    attributes.set_bool(CKA_EXTRACTABLE, extractable);
    attributes
}

fn private(key_type: CK_KEY_TYPE, extractable: bool) -> Attributes {
    let mut attributes = secret(key_type, None, extractable);
    attributes.set_number(CKA_CLASS, CKO_PRIVATE_KEY);
    attributes
}

fn ecdh(kdf: Option<Hash>, shared: &[u8]) -> Mechanism {
    let parameter = Parameter::Ecdh {
        kdf,
        shared: shared.to_vec(),
        public: hex::decode(THEIRS).unwrap(),
    };
    of(CKM_ECDH1_DERIVE, parameter)
}

#[test]
fn an_agreed_secret_is_cut_alike_in_the_process_in_the_appliance_and_in_softhsm() {
    let house = House::new();
    let mut base = private(CKK_EC, false);
    base.set_bytes(CKA_EC_PARAMS, P256);
    base.set_bytes(CKA_VALUE, &hex::decode(OWN).unwrap());
    let there = house.token.create(request(), &base).unwrap().value;
    let agreed = hex::decode(AGREED).unwrap();
    let lengths = [16, 24, 32];
    let softhsm = softhsm(&lengths);
    for (length, theirs) in lengths.into_iter().zip(softhsm) {
        // PKCS #11 3.1 section 2.3.18: bytes are removed from the leading end.
        let expected = &agreed[agreed.len() - length..];
        let mechanism = ecdh(None, b"");
        let here = software::derive(&base, &mechanism, Some(length)).unwrap();
        let template = secret(CKK_AES, Some(length as CK_ULONG), true);
        let derived = house
            .token
            .derive(request(), there.id, &mechanism, &template)
            .unwrap()
            .value;
        assert_eq!(here.as_slice(), expected, "in the process");
        assert_eq!(house.released(&derived), expected, "in the appliance");
        assert_eq!(theirs, expected, "in SoftHSM");
    }
    // As it is, and through a function; into a key, and for a session.
    for (mechanism, length, whole) in [
        (ecdh(None, b""), None, 32),
        (ecdh(Some(Hash::Sha256), b"both know"), Some(100), 100),
        (ecdh(Some(Hash::Sha512), b""), None, 64),
        (ecdh(Some(Hash::Sha1), b""), Some(24), 24),
    ] {
        let here = software::derive(&base, &mechanism, length).unwrap();
        assert_eq!(here.len(), whole);
        let asked = length.map(|length| length as CK_ULONG);
        let template = secret(CKK_GENERIC_SECRET, asked, true);
        let derived = house
            .token
            .derive(request(), there.id, &mechanism, &template)
            .unwrap()
            .value;
        assert_eq!(house.released(&derived), *here);
        let outcome = Outcome::Derived { length };
        let answered = house.token.secret_of(there.id, outcome, &mechanism, &[]);
        assert_eq!(answered.unwrap().value, here);
    }
    let mut elsewhere = ecdh(None, b"");
    if let Parameter::Ecdh { public, .. } = &mut elsewhere.parameter {
        public[40] ^= 1;
    }
    let template = secret(CKK_AES, Some(16), true);
    let refused = house
        .token
        .derive(request(), there.id, &elsewhere, &template);
    assert_eq!(
        refused.unwrap_err().kind,
        TokenErrorKind::MechanismParameter
    );
}

#[test]
fn hkdf_is_the_same_in_the_process_and_in_the_appliance() {
    let house = House::new();
    let mut base = secret(CKK_GENERIC_SECRET, None, false);
    base.set_bytes(CKA_VALUE, b"an older application's secret");
    let there = house.token.create(request(), &base).unwrap().value;
    for (extract, expand, hash, length) in [
        (true, true, Hash::Sha256, 77),
        (true, true, Hash::Sha1, 16),
        (false, true, Hash::Sha384, 32),
        (true, false, Hash::Sha512, 64),
    ] {
        let parameter = Parameter::Hkdf {
            extract,
            expand,
            hash,
            salt: b"salt".to_vec(),
            info: b"info".to_vec(),
        };
        let mechanism = of(CKM_HKDF_DERIVE, parameter);
        let here = software::derive(&base, &mechanism, Some(length)).unwrap();
        let template = secret(CKK_GENERIC_SECRET, Some(length as CK_ULONG), true);
        let derived = house
            .token
            .derive(request(), there.id, &mechanism, &template)
            .unwrap()
            .value;
        assert_eq!(house.released(&derived), *here, "{mechanism:?}");
        let outcome = Outcome::Derived {
            length: Some(length),
        };
        let answered = house.token.secret_of(there.id, outcome, &mechanism, &[]);
        assert_eq!(answered.unwrap().value, here);
    }
}

#[test]
fn openssl_verifies_what_is_signed() {
    let house = House::new();
    let folder = tempfile::tempdir().unwrap();
    let verifies = |public: &ObjectRecord, signature: &[u8], words: &[&str]| {
        let key = public.attributes.bytes(CKA_PUBLIC_KEY_INFO).unwrap();
        for (name, bytes) in [
            ("key.der", key),
            ("message", MESSAGE),
            ("signature", signature),
        ] {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        openssl(folder.path(), words)
    };
    let dgst = [
        "dgst",
        "-keyform",
        "DER",
        "-verify",
        "key.der",
        "-signature",
        "signature",
    ];
    let (public, key) = house.rsa();
    let info = |head: &str, hash: Hash| {
        [&hex::decode(head).unwrap()[..], &hash.digest(&[MESSAGE])].concat()
    };
    for (mechanism, data, hash) in [
        (
            CKM_RSA_PKCS,
            info("3031300d060960864801650304020105000420", Hash::Sha256),
            "-sha256",
        ),
        (
            CKM_RSA_PKCS,
            info("3051300d060960864801650304020305000440", Hash::Sha512),
            "-sha512",
        ),
        (CKM_SHA384_RSA_PKCS, MESSAGE.to_vec(), "-sha384"),
    ] {
        let mechanism = Mechanism::plain(mechanism).unwrap();
        let signature = house.operate(&key, Use::Sign, &mechanism, &data).unwrap();
        let words = [&dgst[..], &[hash, "message"]].concat();
        assert!(verifies(&public, &signature, &words));
    }
    let digest = Hash::Sha256.digest(&[MESSAGE]).to_vec();
    for salt in [0, 20, 32, 222] {
        let parameter = Parameter::Pss {
            hash: Hash::Sha256,
            mgf: Hash::Sha256,
            salt,
        };
        let plain = of(CKM_RSA_PKCS_PSS, parameter.clone());
        let hashing = of(CKM_SHA256_RSA_PKCS_PSS, parameter);
        let option = format!("rsa_pss_saltlen:{salt}");
        let words = [
            "-sha256",
            "-sigopt",
            "rsa_padding_mode:pss",
            "-sigopt",
            &option,
            "message",
        ];
        for (mechanism, data) in [(plain, &digest[..]), (hashing, MESSAGE)] {
            let signature = house.operate(&key, Use::Sign, &mechanism, data).unwrap();
            assert!(verifies(&public, &signature, &[&dgst[..], &words].concat()));
        }
    }
    let parameter = Parameter::Pss {
        hash: Hash::Sha256,
        mgf: Hash::Sha256,
        salt: 223,
    };
    let too_long = of(CKM_RSA_PKCS_PSS, parameter);
    let refused = house.operate(&key, Use::Sign, &too_long, &digest);
    assert_eq!(refused, Err(TokenErrorKind::Data));
    let md5_and_sha_1 = Mechanism::plain(CKM_RSA_PKCS).unwrap();
    let signature = house.operate(&key, Use::Sign, &md5_and_sha_1, &[7; 36]);
    fs::write(folder.path().join("digests"), [7; 36]).unwrap();
    let words = "pkeyutl -verify -pubin -keyform DER -inkey key.der -sigfile signature -in digests";
    let words: Vec<&str> = words.split(' ').collect();
    assert!(verifies(&public, &signature.unwrap(), &words));
    let refused = house.operate(&key, Use::Sign, &md5_and_sha_1, &[7; 246]);
    assert_eq!(refused, Err(TokenErrorKind::Data));
    let _ = house.appliance.verify_audit();
}

#[test]
fn keys_cross_without_their_size_being_said() {
    let house = House::new();
    let kek = house.secret(CKK_AES, 32, false);
    let mut on_p384 = Attributes::new();
    on_p384.set_number(CKA_KEY_TYPE, CKK_EC);
    on_p384.set_bytes(CKA_EC_PARAMS, &[6, 5, 0x2b, 0x81, 4, 0, 0x22]);
    let (_, on_p384) = house.pair(CKM_EC_KEY_PAIR_GEN, on_p384);
    let (_, rsa) = house.rsa();
    let inner = [
        (house.secret(CKK_AES, 16, true), secret(CKK_AES, None, true)),
        (house.secret(CKK_AES, 24, true), secret(CKK_AES, None, true)),
        (
            house.secret(CKK_GENERIC_SECRET, 20, true),
            secret(CKK_GENERIC_SECRET, Some(20), true),
        ),
        (on_p384, private(CKK_EC, true)),
        (rsa, private(CKK_RSA, true)),
    ];
    let gcm = Parameter::Gcm {
        iv: Iv::new(&[1; 12]).unwrap(),
        aad: b"beside".to_vec(),
        tag_bits: 128,
    };
    for mechanism in [
        Mechanism::plain(CKM_AES_KEY_WRAP_PAD).unwrap(),
        Mechanism::plain(CKM_AES_KEY_WRAP_KWP).unwrap(),
        of(CKM_AES_CBC_PAD, Parameter::Block([1; 16])),
        of(CKM_AES_CBC, Parameter::Block([1; 16])),
        of(CKM_AES_GCM, gcm),
    ] {
        for (key, template) in &inner {
            let fills = mechanism.kind == CKM_AES_CBC;
            if fills && key.attributes.number(CKA_VALUE_LEN) == Some(24) {
                // Filled up to 32 bytes it would be taken for another key, as the standard has it.
                continue;
            }
            let wrapped = house.token.wrap(kek.id, &mechanism, key.id).unwrap().value;
            let unwrap = |wrapped: &[u8]| {
                house
                    .token
                    .unwrap(request(), kek.id, &mechanism, wrapped, template)
            };
            let again = unwrap(&wrapped).unwrap().value;
            let own = house.released(key);
            assert_eq!(house.released(&again), own, "{mechanism:?}");
            for attribute in [CKA_VALUE_LEN, CKA_MODULUS, CKA_EC_PARAMS] {
                let (one, other) = (&again.attributes, &key.attributes);
                assert_eq!(one.get(attribute), other.get(attribute), "{attribute:#x}");
            }
            let answered = house
                .token
                .secret_of(kek.id, Outcome::Unwrapped, &mechanism, &wrapped)
                .unwrap()
                .value;
            assert_eq!(answered[..own.len()], own);
            if !matches!(mechanism.kind, CKM_AES_CBC | CKM_AES_CBC_PAD) {
                let mut altered = wrapped.to_vec();
                altered[5] ^= 1;
                let refused = unwrap(&altered).unwrap_err();
                assert_eq!(refused.kind, TokenErrorKind::WrappedKey);
            }
        }
    }
    // To say another size than it has is a mistake.
    let mechanism = Mechanism::plain(CKM_AES_KEY_WRAP_KWP).unwrap();
    let wrapped = house.token.wrap(kek.id, &mechanism, inner[0].0.id);
    let wrapped = wrapped.unwrap().value;
    let template = secret(CKK_AES, Some(32), true);
    let refused = house
        .token
        .unwrap(request(), kek.id, &mechanism, &wrapped, &template);
    assert_eq!(refused.unwrap_err().kind, TokenErrorKind::WrappedKey);
}

#[test]
fn what_openssl_encrypts_to_an_rsa_key_is_opened_and_unwrapped() {
    let house = House::new();
    let folder = tempfile::tempdir().unwrap();
    let (public, key) = house.rsa();
    let spki = public.attributes.bytes(CKA_PUBLIC_KEY_INFO).unwrap();
    fs::write(folder.path().join("key.der"), spki).unwrap();
    let aes = [6; 24];
    fs::write(folder.path().join("aes"), aes).unwrap();
    let oaep = |hash| Parameter::Oaep {
        hash,
        mgf: hash,
        label: Vec::new(),
    };
    for (options, mechanism) in [
        (
            "rsa_padding_mode:pkcs1",
            Mechanism::plain(CKM_RSA_PKCS).unwrap(),
        ),
        (
            "rsa_padding_mode:oaep",
            of(CKM_RSA_PKCS_OAEP, oaep(Hash::Sha1)),
        ),
        (
            "rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256",
            of(CKM_RSA_PKCS_OAEP, oaep(Hash::Sha256)),
        ),
    ] {
        let words = format!(
            "pkeyutl -encrypt -pubin -keyform DER -inkey key.der -in aes -out wrapped -pkeyopt {options}"
        );
        assert!(openssl(
            folder.path(),
            &words.split(' ').collect::<Vec<_>>()
        ));
        let wrapped = fs::read(folder.path().join("wrapped")).unwrap();
        let opened = house.operate(&key, Use::Decrypt, &mechanism, &wrapped);
        assert_eq!(opened.unwrap(), aes);
        let template = secret(CKK_AES, None, true);
        let made = house
            .token
            .unwrap(request(), key.id, &mechanism, &wrapped, &template)
            .unwrap()
            .value;
        assert_eq!(made.attributes.number(CKA_VALUE_LEN), Some(24));
        assert_eq!(house.released(&made), aes);
        let refused = house
            .token
            .unwrap(request(), key.id, &mechanism, &[7; 256], &template);
        assert_eq!(refused.unwrap_err().kind, TokenErrorKind::WrappedKey);
    }
}

#[test]
fn ciphers_and_macs_are_the_same_in_the_process_and_in_the_appliance() {
    let house = House::new();
    let mut aes = secret(CKK_AES, None, false);
    aes.set_bytes(CKA_VALUE, &[7; 32]);
    let mut generic = secret(CKK_GENERIC_SECRET, None, false);
    generic.set_bytes(CKA_VALUE, &[9; 21]);
    let there = |attributes| house.token.create(request(), attributes).unwrap().value;
    let (aes_there, generic_there) = (there(&aes), there(&generic));
    let gcm = |tag_bits| Parameter::Gcm {
        iv: Iv::new(&[1; 12]).unwrap(),
        aad: b"beside".to_vec(),
        tag_bits,
    };
    let counter = Parameter::Counter {
        bits: 64,
        block: [1; 16],
    };
    for mechanism in [
        Mechanism::plain(CKM_AES_ECB).unwrap(),
        of(CKM_AES_CBC, Parameter::Block([1; 16])),
        of(CKM_AES_CBC_PAD, Parameter::Block([1; 16])),
        of(CKM_AES_CTR, counter),
        of(CKM_AES_GCM, gcm(128)),
        of(CKM_AES_GCM, gcm(120)),
        of(CKM_AES_GCM, gcm(96)),
        Mechanism::plain(CKM_AES_KEY_WRAP).unwrap(),
        Mechanism::plain(CKM_AES_KEY_WRAP_PAD).unwrap(),
    ] {
        let data = [5; 48];
        let here = software::operate(&aes, Use::Encrypt, &mechanism, Input::Data(&data)).unwrap();
        let made = house.operate(&aes_there, Use::Encrypt, &mechanism, &data);
        assert_eq!(made.unwrap(), *here, "{mechanism:?}");
        let opened = house.operate(&aes_there, Use::Decrypt, &mechanism, &here);
        assert_eq!(opened.unwrap(), data);
        if matches!(mechanism.kind, CKM_AES_GCM | CKM_AES_KEY_WRAP) {
            let mut altered = here.to_vec();
            altered[1] ^= 1;
            let refused = house.operate(&aes_there, Use::Decrypt, &mechanism, &altered);
            assert_eq!(refused, Err(TokenErrorKind::EncryptedData));
        }
    }
    for (key, record, mechanism) in [
        (&aes, &aes_there, Mechanism::plain(CKM_AES_CMAC).unwrap()),
        (
            &aes,
            &aes_there,
            of(CKM_AES_CMAC_GENERAL, Parameter::Length(8)),
        ),
        (
            &generic,
            &generic_there,
            Mechanism::plain(CKM_SHA_1_HMAC).unwrap(),
        ),
        (
            &generic,
            &generic_there,
            Mechanism::plain(CKM_SHA224_HMAC).unwrap(),
        ),
        (
            &generic,
            &generic_there,
            Mechanism::plain(CKM_SHA256_HMAC).unwrap(),
        ),
        (
            &generic,
            &generic_there,
            of(CKM_SHA512_HMAC_GENERAL, Parameter::Length(33)),
        ),
    ] {
        let here = software::operate(key, Use::Sign, &mechanism, Input::Data(MESSAGE)).unwrap();
        let made = house
            .operate(record, Use::Sign, &mechanism, MESSAGE)
            .unwrap();
        assert_eq!(made, *here, "{mechanism:?}");
        house
            .token
            .verify(record.id, &mechanism, MESSAGE, &made)
            .unwrap();
        let mut other = made;
        other[0] ^= 1;
        let refused = house
            .token
            .verify(record.id, &mechanism, MESSAGE, &other)
            .unwrap_err();
        assert_eq!(refused.kind, TokenErrorKind::SignatureInvalid);
    }
}

const MESSAGE: &[u8] = b"the message";

fn openssl(folder: &Path, words: &[&str]) -> bool {
    let output = Command::new("openssl")
        .current_dir(folder)
        .args(words)
        .output()
        .unwrap();
    output.status.success()
}

/// What SoftHSM derives at each length. It is asked by a process of its own, whose environment says where its tokens are.
fn softhsm(lengths: &[usize]) -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let configuration = folder.path().join("softhsm2.conf");
    let tokens = folder.path().display();
    let content = format!("directories.tokendir = {tokens}\nobjectstore.backend = file\n");
    fs::write(&configuration, content).unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "softhsm_derives", "--ignored", "--nocapture"])
        .env("SOFTHSM2_CONF", configuration)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}");
    let derived = |length: &usize| {
        let start = format!("derived {length} ");
        let line = said.lines().find_map(|line| line.split_once(&start));
        let (_, value) = line.unwrap_or_else(|| panic!("{said}"));
        hex::decode(value.trim()).unwrap()
    };
    lengths.iter().map(derived).collect()
}

#[test]
#[ignore = "run by another test, with SoftHSM's configuration"]
#[expect(clippy::print_stdout, reason = "to that test")]
fn softhsm_derives() {
    let context = Pkcs11::new(SOFTHSM).unwrap();
    let arguments = CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK);
    context.initialize(arguments).unwrap();
    let slot = context.get_all_slots().unwrap()[0];
    let pin = AuthPin::new("1234".into());
    context.init_token(slot, &pin, "test").unwrap();
    let session = context.open_rw_session(slot).unwrap();
    session.login(UserType::So, Some(&pin)).unwrap();
    session.init_pin(&pin).unwrap();
    session.logout().unwrap();
    session.login(UserType::User, Some(&pin)).unwrap();
    let base = session
        .create_object(&[
            Attribute::Class(ObjectClass::PRIVATE_KEY),
            Attribute::KeyType(KeyType::EC),
            Attribute::EcParams(P256.to_vec()),
            Attribute::Value(hex::decode(OWN).unwrap()),
            Attribute::Derive(true),
        ])
        .unwrap();
    let theirs = hex::decode(THEIRS).unwrap();
    for length in [16_usize, 24, 32] {
        let parameters = Ecdh1DeriveParams::new(EcKdf::null(), &theirs);
        let derived = session
            .derive_key(
                &Theirs::Ecdh1Derive(parameters),
                base,
                &[
                    Attribute::Class(ObjectClass::SECRET_KEY),
                    Attribute::KeyType(KeyType::AES),
                    Attribute::ValueLen(length.try_into().unwrap()),
                    Attribute::Sensitive(false),
                    Attribute::Extractable(true),
                ],
            )
            .unwrap();
        let value = session.get_attributes(derived, &[AttributeType::Value]);
        let Attribute::Value(value) = &value.unwrap()[0] else {
            panic!("no value");
        };
        println!("derived {length} {}", hex::encode(value));
    }
}
