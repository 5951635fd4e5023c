//! Keys that are wrapped and unwrapped.

use super::*;

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
