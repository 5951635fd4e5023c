//! The crate `cryptoki` as an application: it loads a module by its path, and calls every function that it knows.

#![expect(clippy::unwrap_used, unsafe_code, reason = "tests")]

mod support;

use std::thread;
use std::time::Duration;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Function, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::aead::{GcmMessageParams, GcmParams, GeneratorFunction};
use cryptoki::mechanism::elliptic_curve::{EcKdf, Ecdh1DeriveParams};
use cryptoki::mechanism::{Mechanism, MechanismType, MessageParam};
use cryptoki::object::{
    Attribute, AttributeInfo, AttributeType, KeyType, MlKemParameterSetType, ObjectClass,
    ObjectHandle,
};
use cryptoki::session::{Session, SessionState, UserType, ValidationFlagsType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use cryptoki_sys::*;
use support::{Running, compile};

const P256: [u8; 10] = [6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];

/// The module, loaded by its path and initialised, and a session of the account that writes.
struct Application {
    module: Pkcs11,
    slot: Slot,
    session: Session,
    _folder: tempfile::TempDir,
    _running: Running,
}

fn pin() -> AuthPin {
    AuthPin::new(std::str::from_utf8(support::PIN).unwrap().into())
}

impl Application {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let running = support::run();
        let version = CK_VERSION { major: 3, minor: 2 };
        let interface = running.api.interface(Some(version)).unwrap();
        running.api.finalize();
        let bridge = compile(folder.path(), "bridge.c");
        // SAFETY: the bridge that was just compiled, and an interface that is never gone.
        unsafe {
            let library = Box::leak(Box::new(libloading::Library::new(&bridge).unwrap()));
            let set: libloading::Symbol<'_, unsafe extern "C" fn(*mut CK_INTERFACE)> =
                library.get(b"bridge_set").unwrap();
            set(interface);
        }
        // The crate has no place for the reserved string.
        // SAFETY: the test has its turn, and no other reads the environment meanwhile.
        unsafe {
            std::env::set_var(
                strongroom_pkcs11::config::VARIABLE,
                support::configuration(),
            );
        };
        let module = Pkcs11::new(&bridge).unwrap();
        let arguments = CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK);
        module.initialize(arguments).unwrap();
        let slot = module.get_slots_with_token().unwrap()[0];
        let session = module.open_rw_session(slot).unwrap();
        session.login(UserType::User, Some(&pin())).unwrap();
        Self {
            module,
            slot,
            session,
            _folder: folder,
            _running: running,
        }
    }

    fn aes(&self, label: &str) -> ObjectHandle {
        let template = [
            Attribute::Token(true),
            Attribute::ValueLen(32.into()),
            Attribute::Label(label.into()),
            Attribute::Extractable(true),
        ];
        self.session
            .generate_key(&Mechanism::AesKeyGen, &template)
            .unwrap()
    }

    fn pair(&self) -> (ObjectHandle, ObjectHandle) {
        self.session
            .generate_key_pair(
                &Mechanism::EccKeyPairGen,
                &[Attribute::EcParams(P256.to_vec()), Attribute::Token(true)],
                &[Attribute::Token(true), Attribute::Derive(true)],
            )
            .unwrap()
    }
}

/// What the module answered in place of an outcome.
fn rv<T>(outcome: Result<T, Error>) -> Option<RvError> {
    match outcome {
        Err(Error::Pkcs11(rv, _)) => Some(rv),
        _ => None,
    }
}

#[test]
fn slots_tokens_and_sessions() {
    let application = Application::start();
    let (module, slot) = (&application.module, application.slot);
    let info = module.get_library_info().unwrap();
    assert_eq!(info.manufacturer_id(), "Strongroom");
    assert!(module.is_fn_supported(Function::EncapsulateKey));
    assert_eq!(module.get_all_slots().unwrap(), [slot]);
    assert_eq!(module.get_slots_with_initialized_token().unwrap(), [slot]);
    assert!(module.get_slot_info(slot).unwrap().token_present());
    assert_eq!(module.get_token_info(slot).unwrap().label(), "memory");
    // Those that the crate knows.
    let mechanisms = module.get_mechanism_list(slot).unwrap();
    assert!(mechanisms.len() > 45, "{mechanisms:?}");
    let gcm = module.get_mechanism_info(slot, MechanismType::AES_GCM);
    assert!(gcm.unwrap().encrypt());
    assert!(module.get_slot_event().unwrap().is_none());

    let session = &application.session;
    let info = session.get_session_info().unwrap();
    assert_eq!(info.session_state(), SessionState::RwUser);
    let reads = module.open_ro_session(slot).unwrap();
    let template = [Attribute::Token(true), Attribute::ValueLen(32.into())];
    let refused = rv(reads.generate_key(&Mechanism::AesKeyGen, &template));
    assert_eq!(refused, Some(RvError::SessionReadOnly));
    reads.close().unwrap();
    let refused = rv(module.init_token(slot, &pin(), "another"));
    assert_eq!(refused, Some(RvError::FunctionNotSupported));
    let refused = rv(session.init_pin(&pin()));
    assert_eq!(refused, Some(RvError::FunctionNotSupported));
    let short = AuthPin::new("no".into());
    let refused = rv(session.set_pin(&pin(), &short));
    assert_eq!(refused, Some(RvError::PinLenRange));
    let flags = session.get_validation_flags(ValidationFlagsType::VALIDATION_OK);
    assert_eq!(flags.unwrap(), 0);
    session.logout().unwrap();
    assert_eq!(rv(session.logout()), Some(RvError::UserNotLoggedIn));
    assert!(session.find_objects(&[]).unwrap().is_empty());

    // A wait lasts until the module ends.
    let waits = module.clone();
    let waiting = thread::spawn(move || rv(waits.wait_for_slot_event()));
    thread::sleep(Duration::from_millis(100));
    assert!(!waiting.is_finished());
    let Application {
        module,
        session,
        _running,
        ..
    } = application;
    drop(session);
    module.finalize().unwrap();
    let ended = waiting.join().unwrap();
    assert_eq!(ended, Some(RvError::CryptokiNotInitialized));
}

#[test]
fn objects() {
    let application = Application::start();
    let session = &application.session;
    let key = application.aes("crate");
    let found = session.find_objects(&[Attribute::Label(b"crate".to_vec())]);
    assert_eq!(found.unwrap(), [key]);
    let one_by_one = session.iter_objects_with_cache_size(
        &[Attribute::Label(b"crate".to_vec())],
        1.try_into().unwrap(),
    );
    let found: Result<Vec<_>, _> = one_by_one.unwrap().collect();
    assert_eq!(found.unwrap(), [key]);
    let wanted = [
        AttributeType::Sensitive,
        AttributeType::Value,
        AttributeType::Local,
    ];
    let given = session.get_attributes(key, &wanted).unwrap();
    assert_eq!(given, [Attribute::Sensitive(true), Attribute::Local(true)]);
    let about = session.get_attribute_info(key, &wanted).unwrap();
    assert!(matches!(
        about[..],
        [
            AttributeInfo::Available(1),
            AttributeInfo::Sensitive,
            AttributeInfo::Available(1)
        ]
    ));
    let renamed = Attribute::Label(b"renamed".to_vec());
    session
        .update_attributes(key, std::slice::from_ref(&renamed))
        .unwrap();
    let given = session.get_attributes(key, &[AttributeType::Label]);
    assert_eq!(given.unwrap(), [renamed]);

    let data = session
        .create_object(&[
            Attribute::Class(ObjectClass::DATA),
            Attribute::Token(true),
            Attribute::Value(b"a note".to_vec()),
        ])
        .unwrap();
    let copy = session.copy_object(data, &[Attribute::Label(b"copy".to_vec())]);
    let copy = copy.unwrap();
    let given = session.get_attributes(copy, &[AttributeType::Value]);
    assert_eq!(given.unwrap(), [Attribute::Value(b"a note".to_vec())]);
    for object in [data, copy, key] {
        session.destroy_object(object).unwrap();
        let gone = rv(session.destroy_object(object));
        assert_eq!(gone, Some(RvError::ObjectHandleInvalid));
    }
    let mut random = [0; 16];
    session.generate_random_slice(&mut random).unwrap();
    assert_ne!(random.to_vec(), session.generate_random_vec(16).unwrap());
    let refused = rv(session.seed_random(&random));
    assert_eq!(refused, Some(RvError::RandomSeedNotSupported));
}

#[test]
fn ciphers_and_digests() {
    let application = Application::start();
    let session = &application.session;
    let key = application.aes("cipher");
    let mut nonce = [3; 12];
    let gcm = Mechanism::AesGcm(GcmParams::new(&mut nonce, b"aad", 128.into()).unwrap());
    let sealed = session.encrypt(&gcm, key, b"by the crate").unwrap();
    assert_eq!(
        session.decrypt(&gcm, key, &sealed).unwrap(),
        b"by the crate"
    );
    let mut altered = sealed;
    altered[0] ^= 1;
    assert!(session.decrypt(&gcm, key, &altered).is_err());

    let cbc = Mechanism::AesCbcPad([5; 16]);
    let whole = session.encrypt(&cbc, key, &[7; 40]).unwrap();
    session.encrypt_init(&cbc, key).unwrap();
    let mut parts = session.encrypt_update(&[7; 33]).unwrap();
    parts.extend(session.encrypt_update(&[7; 7]).unwrap());
    parts.extend(session.encrypt_final().unwrap());
    assert_eq!(parts, whole);
    session.decrypt_init(&cbc, key).unwrap();
    let mut opened = session.decrypt_update(&whole).unwrap();
    opened.extend(session.decrypt_final().unwrap());
    assert_eq!(opened, [7; 40]);

    let whole = session.digest(&Mechanism::Sha256, b"abc").unwrap();
    session.digest_init(&Mechanism::Sha256).unwrap();
    for part in [b"a", b"b", b"c"] {
        session.digest_update(part).unwrap();
    }
    assert_eq!(session.digest_final().unwrap(), whole);
    session.digest_init(&Mechanism::Sha256).unwrap();
    // The key's bytes are not this process's to hash, or they are: the standard leaves that to the token.
    let hashed = rv(session.digest_key(key));
    assert!(matches!(hashed, None | Some(RvError::KeyIndigestible)));

    // What is not served says so.
    let refused = Some(RvError::FunctionNotSupported);
    let (mut iv, mut tag) = ([0; 12], [0; 16]);
    let message = || {
        let (iv, tag) = (Box::leak(Box::new([0; 12])), Box::leak(Box::new([0; 16])));
        let generator = GeneratorFunction::NoGenerate;
        let params = GcmMessageParams::new(iv, 0.into(), generator, tag);
        MessageParam::AesGcmMessage(params.unwrap())
    };
    let generator = GeneratorFunction::NoGenerate;
    let params = GcmMessageParams::new(&mut iv, 0.into(), generator, &mut tag).unwrap();
    let mechanism = Mechanism::AesGcmMessage(params);
    assert_eq!(rv(session.message_encrypt_init(&mechanism, key)), refused);
    assert_eq!(rv(session.encrypt_message(&message(), &[], &[])), refused);
    assert_eq!(rv(session.encrypt_message_begin(message(), &[])), refused);
    let next = session.encrypt_message_next(message(), &[], true);
    assert_eq!(rv(next), refused);
    assert_eq!(rv(session.message_encrypt_final()), refused);
    assert_eq!(rv(session.message_decrypt_init(&mechanism, key)), refused);
    assert_eq!(rv(session.decrypt_message(&message(), &[], &[])), refused);
    assert_eq!(rv(session.decrypt_message_begin(message(), &[])), refused);
    let next = session.decrypt_message_next(message(), &[], true);
    assert_eq!(rv(next), refused);
    assert_eq!(rv(session.message_decrypt_final()), refused);
}

#[test]
fn signatures() {
    let application = Application::start();
    let session = &application.session;
    let (public, private) = application.pair();
    let ecdsa = Mechanism::EcdsaSha256;
    let signature = session.sign(&ecdsa, private, b"signed").unwrap();
    session
        .verify(&ecdsa, public, b"signed", &signature)
        .unwrap();
    let refused = rv(session.verify(&ecdsa, public, b"singed", &signature));
    assert_eq!(refused, Some(RvError::SignatureInvalid));
    session.sign_init(&ecdsa, private).unwrap();
    session.sign_update(b"sig").unwrap();
    session.sign_update(b"ned").unwrap();
    let signature = session.sign_final().unwrap();
    session.verify_init(&ecdsa, public).unwrap();
    session.verify_update(b"signed").unwrap();
    session.verify_final(&signature).unwrap();
    let begin = || session.verify_signature_init(&ecdsa, public, &signature);
    begin().unwrap();
    session.verify_signature(b"signed").unwrap();
    begin().unwrap();
    session.verify_signature_update(b"sig").unwrap();
    session.verify_signature_update(b"ned").unwrap();
    session.verify_signature_final().unwrap();
}

#[test]
fn keys_from_keys() {
    let application = Application::start();
    let session = &application.session;
    let (kek, key) = (application.aes("kek"), application.aes("key"));
    let secret = [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::AES),
        Attribute::Sensitive(false),
        Attribute::Extractable(true),
    ];
    for mechanism in [Mechanism::AesKeyWrap, Mechanism::AesKeyWrapPad] {
        let wrapped = session.wrap_key(&mechanism, kek, key).unwrap();
        let again = session.unwrap_key(&mechanism, kek, &wrapped, &secret);
        let cbc = Mechanism::AesCbcPad([5; 16]);
        assert_eq!(
            session.encrypt(&cbc, again.unwrap(), b"x").unwrap(),
            session.encrypt(&cbc, key, b"x").unwrap()
        );
    }
    let value = |key| {
        let given = session.get_attributes(key, &[AttributeType::Value]);
        given.unwrap()
    };
    let of_16 = [&secret[..], &[Attribute::ValueLen(16.into())]].concat();
    let (one, other) = (application.pair(), application.pair());
    let agreed = [(one.0, other.1), (other.0, one.1)].map(|(public, private)| {
        let point = session.get_attributes(public, &[AttributeType::EcPoint]);
        let Attribute::EcPoint(point) = point.unwrap().remove(0) else {
            unreachable!("it was asked for");
        };
        let parameters = Ecdh1DeriveParams::new(EcKdf::null(), &point);
        let derived = session.derive_key(&Mechanism::Ecdh1Derive(parameters), private, &of_16);
        value(derived.unwrap())
    });
    assert_eq!(agreed[0], agreed[1]);
    assert_eq!(agreed[0].len(), 1);

    let set = Attribute::ParameterSet(MlKemParameterSetType::ML_KEM_768.into());
    let (public, private) = session
        .generate_key_pair(
            &Mechanism::MlKemKeyPairGen,
            &[set, Attribute::Token(true), Attribute::Encapsulate(true)],
            &[Attribute::Token(true), Attribute::Decapsulate(true)],
        )
        .unwrap();
    let (ciphertext, here) = session
        .encapsulate_key(&Mechanism::MlKem, public, &secret)
        .unwrap();
    assert_eq!(ciphertext.len(), 1088);
    let there = session.decapsulate_key(&Mechanism::MlKem, private, &secret, &ciphertext);
    assert_eq!(value(here), value(there.unwrap()));
}
