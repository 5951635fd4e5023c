//! Elliptic curves, and the algorithms that no quantum computer breaks.

use super::*;

fn curve(key_type: CK_KEY_TYPE, parameters: &[u8]) -> Attributes {
    let mut public = Attributes::new();
    public.set_number(CKA_KEY_TYPE, key_type);
    public.set_bytes(CKA_EC_PARAMS, parameters);
    public
}

fn lattice(key_type: CK_KEY_TYPE, set: CK_ULONG) -> Attributes {
    let mut public = Attributes::new();
    public.set_number(CKA_KEY_TYPE, key_type);
    public.set_number(CKA_PARAMETER_SET, set);
    public
}

/// What the process says of a signature with the public half.
fn verifies(public: &ObjectRecord, mechanism: &Mechanism, data: &[u8], signature: &[u8]) -> bool {
    software::verify(&public.attributes, mechanism, data, signature).is_ok()
}

#[test]
fn every_curve_signs_by_every_mechanism() {
    let house = House::new();
    for (parameters, length) in [
        (P256, 64),
        (&[6, 5, 0x2b, 0x81, 4, 0, 0x22][..], 96),
        (&[6, 5, 0x2b, 0x81, 4, 0, 0x23], 132),
    ] {
        let (public, key) = house.pair(CKM_EC_KEY_PAIR_GEN, curve(CKK_EC, parameters));
        for kind in [
            CKM_ECDSA_SHA224,
            CKM_ECDSA_SHA256,
            CKM_ECDSA_SHA384,
            CKM_ECDSA_SHA512,
        ] {
            let mechanism = Mechanism::plain(kind).unwrap();
            let signature = house.operate(&key, Use::Sign, &mechanism, MESSAGE).unwrap();
            assert_eq!(signature.len(), length);
            assert!(
                verifies(&public, &mechanism, MESSAGE, &signature),
                "{kind:#x}"
            );
            assert!(!verifies(&public, &mechanism, b"another", &signature));
        }
        let raw = Mechanism::plain(CKM_ECDSA).unwrap();
        let digest = Hash::Sha256.digest(&[MESSAGE]);
        let signature = house.operate(&key, Use::Sign, &raw, &digest).unwrap();
        assert!(verifies(&public, &raw, &digest, &signature));
    }
    let edwards = curve(CKK_EC_EDWARDS, &[6, 3, 0x2b, 0x65, 0x70]);
    let (public, key) = house.pair(CKM_EC_EDWARDS_KEY_PAIR_GEN, edwards);
    let mechanism = Mechanism::plain(CKM_EDDSA).unwrap();
    let signature = house.operate(&key, Use::Sign, &mechanism, MESSAGE).unwrap();
    assert!(verifies(&public, &mechanism, MESSAGE, &signature));
    assert!(!verifies(&public, &mechanism, b"another", &signature));
    let _ = house.appliance.verify_audit();
}

#[test]
fn x25519_agrees_on_what_the_other_side_agrees_on() {
    let house = House::new();
    let montgomery = || curve(CKK_EC_MONTGOMERY, &[6, 3, 0x2b, 0x65, 0x6e]);
    let [one, other] = [(); 2].map(|()| house.pair(CKM_EC_MONTGOMERY_KEY_PAIR_GEN, montgomery()));
    let agreed = [(&one.1, &other.0), (&other.1, &one.0)].map(|(own, theirs)| {
        let point = theirs.attributes.bytes(CKA_EC_POINT).unwrap();
        let parameter = Parameter::Ecdh {
            kdf: None,
            shared: Vec::new(),
            public: point.to_vec(),
        };
        let mechanism = of(CKM_ECDH1_DERIVE, parameter);
        let outcome = Outcome::Derived { length: None };
        let secret = house.token.secret_of(own.id, outcome, &mechanism, &[]);
        secret.unwrap().value.to_vec()
    });
    assert_eq!(agreed[0].len(), 32);
    assert_eq!(agreed[0], agreed[1]);
}

#[test]
fn ml_dsa_signs_and_ml_kem_opens() {
    let house = House::new();
    let (public, key) = house.pair(CKM_ML_DSA_KEY_PAIR_GEN, lattice(CKK_ML_DSA, CKP_ML_DSA_65));
    let mechanism = Mechanism::plain(CKM_ML_DSA).unwrap();
    let signature = house.operate(&key, Use::Sign, &mechanism, MESSAGE).unwrap();
    assert_eq!(signature.len(), 3309);
    assert!(verifies(&public, &mechanism, MESSAGE, &signature));
    assert!(!verifies(&public, &mechanism, b"another", &signature));

    let (public, key) = house.pair(CKM_ML_KEM_KEY_PAIR_GEN, lattice(CKK_ML_KEM, CKP_ML_KEM_768));
    let (secret, ciphertext) = software::encapsulate(&public.attributes).unwrap();
    let mechanism = Mechanism::plain(CKM_ML_KEM).unwrap();
    let opened = house
        .token
        .secret_of(key.id, Outcome::Decapsulated, &mechanism, &ciphertext);
    assert_eq!(opened.unwrap().value, secret);
    let template = super::secret(CKK_GENERIC_SECRET, Some(32), true);
    let there = house
        .token
        .decapsulate(request(), key.id, &mechanism, &ciphertext, &template)
        .unwrap()
        .value;
    assert_eq!(house.released(&there), *secret);
    let made = house
        .token
        .encapsulate(request(), key.id, &mechanism, &template)
        .unwrap()
        .value;
    let opened = house
        .token
        .secret_of(key.id, Outcome::Decapsulated, &mechanism, &made.ciphertext);
    assert_eq!(*opened.unwrap().value, house.released(&made.object));
    let _ = house.appliance.verify_audit();
}
