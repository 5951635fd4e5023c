//! Secrets that are agreed on and derived.

use super::*;

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

/// What SoftHSM derives at each length. It is asked by a process of its own, whose environment says where its tokens are.
fn softhsm(lengths: &[usize]) -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let configuration = folder.path().join("softhsm2.conf");
    let tokens = folder.path().display();
    let content = format!("directories.tokendir = {tokens}\nobjectstore.backend = file\n");
    fs::write(&configuration, content).unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "keys_that_stay::agreement::softhsm_derives",
            "--ignored",
            "--nocapture",
        ])
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
