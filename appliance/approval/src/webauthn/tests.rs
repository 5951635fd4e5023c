#![expect(clippy::unwrap_used, reason = "tests")]

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RsaKeyPair,
};
use minicbor::Encoder;
use proptest::prelude::*;

use super::*;

const PARTY: Party<'_> = Party {
    id: "example.org",
    origins: &[],
};

/// A registration and an assertion from Web Authentication Level 3 section 16.
struct Vector {
    registration_challenge: &'static str,
    registration_data: &'static str,
    attestation_object: &'static str,
    credential: &'static str,
    challenge: &'static str,
    client_data: &'static str,
    authenticator_data: &'static str,
    signature: &'static str,
    /// Whether the authenticator verified its user when it registered; at neither assertion it did.
    verified: bool,
}

const NONE_ES256: Vector = Vector {
    registration_challenge: "00c30fb78531c464d2b6771dab8d7b603c01162f2fa486bea70f283ae556e130",
    registration_data: "7b2274797065223a22776562617574686e2e637265617465222c226368616c6c656e6765223a22414d4d507434557878475453746e63647134313759447742466938767049612d7077386f4f755657345441222c226f726967696e223a2268747470733a2f2f6578616d706c652e6f7267222c2263726f73734f726967696e223a66616c73652c22657874726144617461223a22636c69656e74446174614a534f4e206d617920626520657874656e6465642077697468206164646974696f6e616c206669656c647320696e20746865206675747572652c207375636820617320746869733a20426b5165446a646354427258426941774a544c453551227d",
    attestation_object: "a363666d74646e6f6e656761747453746d74a068617574684461746158a4bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b559000000008446ccb9ab1db374750b2367ff6f3a1f0020f91f391db4c9b2fde0ea70189cba3fb63f579ba6122b33ad94ff3ec330084be4a5010203262001215820afefa16f97ca9b2d23eb86ccb64098d20db90856062eb249c33a9b672f26df61225820930a56b87a2fca66334b03458abf879717c12cc68ed73290af2e2664796b9220",
    credential: "f91f391db4c9b2fde0ea70189cba3fb63f579ba6122b33ad94ff3ec330084be4",
    challenge: "39c0e7521417ba54d43e8dc95174f423dee9bf3cd804ff6d65c857c9abf4d408",
    client_data: "7b2274797065223a22776562617574686e2e676574222c226368616c6c656e6765223a224f63446e55685158756c5455506f334a5558543049393770767a7a59425039745a63685879617630314167222c226f726967696e223a2268747470733a2f2f6578616d706c652e6f7267222c2263726f73734f726967696e223a66616c73657d",
    authenticator_data: "bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b51900000000",
    signature: "3046022100f50a4e2e4409249c4a853ba361282f09841df4dd4547a13a87780218deffcd380221008480ac0f0b93538174f575bf11a1dd5d78c6e486013f937295ea13653e331e87",
    verified: false,
};

const PACKED_SELF_ES256: Vector = Vector {
    registration_challenge: "7869c2b772d4b58eba9378cf8f29e26cf935aa77df0da89fa99c0bdc0a76f7e5",
    registration_data: "7b2274797065223a22776562617574686e2e637265617465222c226368616c6c656e6765223a2265476e4374334c55745936366b336a506a796e6962506b31716e666644616966715a774c33417032392d55222c226f726967696e223a2268747470733a2f2f6578616d706c652e6f7267222c2263726f73734f726967696e223a66616c73652c22657874726144617461223a22636c69656e74446174614a534f4e206d617920626520657874656e6465642077697468206164646974696f6e616c206669656c647320696e20746865206675747572652c207375636820617320746869733a205539685458764b453255526b4d6e625f307859485667227d",
    attestation_object: "a363666d74667061636b65646761747453746d74a263616c672663736967584630440220067a20754ab925005dbf378097c92120031581c73228d1fb4f5b881bcd7da98302207fc7b147558c7c0eba3af18bd9d121fa3d3a26d17fe3f220272178f473b6006d68617574684461746158a4bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b55d00000000df850e09db6afbdfab51697791506cfc0020455ef34e2043a87db3d4afeb39bbcb6cc32df9347c789a865ecdca129cbef58ca5010203262001215820eb151c8176b225cc651559fecf07af450fd85802046656b34c18f6cf193843c5225820927b8aa427a2be1b8834d233a2d34f61f13bfd44119c325d5896e183fee484f2",
    credential: "455ef34e2043a87db3d4afeb39bbcb6cc32df9347c789a865ecdca129cbef58c",
    challenge: "4478a10b1352348dd160c1353b0d469b5db19eb91c27f7dfa6fed39fe26af20b",
    client_data: "7b2274797065223a22776562617574686e2e676574222c226368616c6c656e6765223a225248696843784e534e493352594d45314f7731476d3132786e726b634a5f6666707637546e2d4a71386773222c226f726967696e223a2268747470733a2f2f6578616d706c652e6f7267222c2263726f73734f726967696e223a66616c73652c22657874726144617461223a22636c69656e74446174614a534f4e206d617920626520657874656e6465642077697468206164646974696f6e616c206669656c647320696e20746865206675747572652c207375636820617320746869733a206754623533727a36456853576f6d58477a696d433151227d",
    authenticator_data: "bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b50900000000",
    signature: "304402203310b9431903c401f1be2bdc8d23a4007682dbbddcf846994947b7f465daf84002204e94dd00047b316061b3b99772b7efd95994a83ef584b3b6b825ea3550251b66",
    verified: true,
};

fn bytes(digits: &str) -> Vec<u8> {
    hex::decode(digits).unwrap()
}

#[test]
fn the_vectors_of_the_specification_hold() {
    let origins = ["https://example.org".to_owned()];
    let party = Party {
        origins: &origins,
        ..PARTY
    };
    for vector in [NONE_ES256, PACKED_SELF_ES256] {
        let challenge = bytes(vector.registration_challenge);
        let mut expected = Expected {
            party,
            challenge: &challenge,
            user_verified: vector.verified,
        };
        let (data, object) = (
            bytes(vector.registration_data),
            bytes(vector.attestation_object),
        );
        let registered = register(&expected, &data, &object).unwrap();
        assert_eq!(registered.credential, bytes(vector.credential));
        assert_eq!(registered.sign_count, 0);
        if !vector.verified {
            expected.user_verified = true;
            assert_eq!(register(&expected, &data, &object), Err(Rejected::User));
        }

        let challenge = bytes(vector.challenge);
        let expected = Expected {
            party,
            challenge: &challenge,
            user_verified: false,
        };
        let (data, authenticator) = (bytes(vector.client_data), bytes(vector.authenticator_data));
        let mut signature = bytes(vector.signature);
        let check = |expected: &Expected<'_>, signature: &[u8]| {
            let key = &registered.public_key;
            assert(expected, key, 0, &data, &authenticator, signature)
        };
        assert_eq!(check(&expected, &signature), Ok(0));
        let strict = Expected {
            user_verified: true,
            ..expected
        };
        assert_eq!(check(&strict, &signature), Err(Rejected::User));
        let elsewhere = Expected {
            party: PARTY,
            ..expected
        };
        assert_eq!(check(&elsewhere, &signature), Err(Rejected::Origin));
        let other = Expected {
            party: Party {
                id: "example.com",
                ..party
            },
            ..expected
        };
        assert_eq!(check(&other, &signature), Err(Rejected::Party));
        let late = Expected {
            challenge: &[7; 32],
            ..expected
        };
        assert_eq!(check(&late, &signature), Err(Rejected::Challenge));
        *signature.last_mut().unwrap() ^= 1;
        assert_eq!(check(&expected, &signature), Err(Rejected::Signature));
    }
}

/// Signs as an authenticator of each kind does: its `COSE_Key` and what it signs with.
type Signer = Box<dyn Fn(&[u8]) -> Vec<u8>>;

fn es256() -> (Vec<u8>, Signer) {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let point = pair.public_key().as_ref().to_vec();
    let mut cose = Encoder::new(Vec::new());
    let key = cose.map(5).unwrap().u8(1).unwrap().u8(2).unwrap();
    let key = key
        .u8(3)
        .unwrap()
        .i8(-7)
        .unwrap()
        .i8(-1)
        .unwrap()
        .u8(1)
        .unwrap();
    let key = key.i8(-2).unwrap().bytes(&point[1..33]).unwrap();
    key.i8(-3).unwrap().bytes(&point[33..]).unwrap();
    let signer = move |message: &[u8]| {
        let signature = pair.sign(&SystemRandom::new(), message).unwrap();
        signature.as_ref().to_vec()
    };
    (cose.into_writer(), Box::new(signer))
}

fn eddsa() -> (Vec<u8>, Signer) {
    let pair = Ed25519KeyPair::generate().unwrap();
    let mut cose = Encoder::new(Vec::new());
    let key = cose.map(4).unwrap().u8(1).unwrap().u8(1).unwrap();
    let key = key
        .u8(3)
        .unwrap()
        .i8(-8)
        .unwrap()
        .i8(-1)
        .unwrap()
        .u8(6)
        .unwrap();
    let public = pair.public_key().as_ref();
    key.i8(-2).unwrap().bytes(public).unwrap();
    let signer = move |message: &[u8]| pair.sign(message).as_ref().to_vec();
    (cose.into_writer(), Box::new(signer))
}

fn rs256() -> (Vec<u8>, Signer) {
    let pair = RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let mut cose = Encoder::new(Vec::new());
    let public = pair.public_key();
    let key = cose.map(4).unwrap().u8(1).unwrap().u8(3).unwrap();
    let key = key.u8(3).unwrap().i16(-257).unwrap().i8(-1).unwrap();
    let key = key.bytes(public.modulus().big_endian_without_leading_zero());
    let exponent = public.exponent();
    let exponent = exponent.big_endian_without_leading_zero();
    key.unwrap().i8(-2).unwrap().bytes(exponent).unwrap();
    let signer = move |message: &[u8]| {
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(
            &RSA_PKCS1_SHA256,
            &SystemRandom::new(),
            message,
            &mut signature,
        )
        .unwrap();
        signature
    };
    (cose.into_writer(), Box::new(signer))
}

fn assertion_data(flags: u8, count: u32) -> Vec<u8> {
    let mut data = sha256(PARTY.id.as_bytes()).to_vec();
    data.push(flags);
    data.extend_from_slice(&count.to_be_bytes());
    data
}

#[test]
fn every_algorithm_signs_in_and_counters_go_up() {
    let origins = ["https://example.org".to_owned()];
    let expected = Expected {
        party: Party {
            origins: &origins,
            ..PARTY
        },
        challenge: &[9; 32],
        user_verified: true,
    };
    let client_data = format!(
        r#"{{"type":"webauthn.get","challenge":"{}","origin":"https://example.org"}}"#,
        URL_SAFE_NO_PAD.encode([9; 32])
    );
    for (key, sign) in [es256(), eddsa(), rs256()] {
        let check = |count, before| {
            let data = assertion_data(USER_PRESENT | USER_VERIFIED, count);
            let signature = sign(&[&data[..], &sha256(client_data.as_bytes())].concat());
            let client_data = client_data.as_bytes();
            assert(&expected, &key, before, client_data, &data, &signature)
        };
        assert_eq!(check(0, 0), Ok(0));
        assert_eq!(check(8, 7), Ok(8));
        for count in [0, 6, 7] {
            assert_eq!(check(count, 7), Err(Rejected::Counter), "{count}");
        }
        let other = es256().0;
        let data = assertion_data(USER_PRESENT | USER_VERIFIED, 1);
        let signature = sign(&[&data[..], &sha256(client_data.as_bytes())].concat());
        let forged = assert(
            &expected,
            &other,
            0,
            client_data.as_bytes(),
            &data,
            &signature,
        );
        assert_eq!(forged, Err(Rejected::Signature));
    }
    for flags in [0, USER_VERIFIED, USER_PRESENT] {
        let data = assertion_data(flags, 1);
        let outcome = assert(&expected, &es256().0, 0, client_data.as_bytes(), &data, &[]);
        assert_eq!(outcome, Err(Rejected::User), "{flags}");
    }
    let data = assertion_data(USER_PRESENT | USER_VERIFIED | BACKED_UP, 1);
    let outcome = assert(&expected, &es256().0, 0, client_data.as_bytes(), &data, &[]);
    assert_eq!(outcome, Err(Rejected::AuthenticatorData));
}

#[test]
fn weak_and_unknown_keys_are_not_taken() {
    let (good, _) = es256();
    assert!(PublicKey::read(&good).is_some());
    // Another curve, another algorithm, a short coordinate, nothing.
    for (at, value) in [(6, 2), (4, 0x27)] {
        let mut other = good.clone();
        other[at] = value;
        assert!(PublicKey::read(&other).is_none(), "{at}");
    }
    assert!(PublicKey::read(&good[..good.len() - 1]).is_none());
    assert!(PublicKey::read(&[]).is_none());
    let mut short = Encoder::new(Vec::new());
    let key = short.map(4).unwrap().u8(1).unwrap().u8(3).unwrap();
    let key = key.u8(3).unwrap().i16(-257).unwrap().i8(-1).unwrap();
    let key = key.bytes(&[0xff; 128]).unwrap().i8(-2).unwrap();
    key.bytes(&[1, 0, 1]).unwrap();
    assert!(PublicKey::read(&short.into_writer()).is_none());
}

proptest! {
    #[test]
    fn what_strangers_send_is_refused_and_never_a_panic(object: Vec<u8>, cut in 0_usize..200) {
        let origins = ["https://example.org".to_owned()];
        let challenge = bytes(NONE_ES256.registration_challenge);
        let expected = Expected {
            party: Party { origins: &origins, ..PARTY },
            challenge: &challenge,
            user_verified: false,
        };
        let data = bytes(NONE_ES256.registration_data);
        prop_assert!(register(&expected, &data, &object).is_err());
        let whole = bytes(NONE_ES256.attestation_object);
        let part = &whole[..cut.min(whole.len() - 1)];
        prop_assert!(register(&expected, &data, part).is_err());
        prop_assert!(register(&expected, &object, &whole).is_err());
        let _ = PublicKey::read(&object);
        let _ = AuthenticatorData::read(&object);
    }
}
