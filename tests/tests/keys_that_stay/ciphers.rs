//! Ciphers and MACs.

use super::*;

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
