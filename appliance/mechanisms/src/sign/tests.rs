#![expect(clippy::unwrap_used, reason = "tests")]

mod vectors;

use proptest::prelude::*;

use super::*;
use crate::material::generate;

const fn of(mechanism: Mechanism, data: &[u8], encoding: SignatureEncoding) -> Signed<'_> {
    Signed {
        mechanism,
        data,
        prehashed: false,
        encoding,
        salt_length: None,
    }
}

/// Every mechanism of signatures with a key for it, of which there is one for each algorithm.
fn pairs() -> impl Iterator<Item = (Algorithm, crate::material::Material)> {
    [
        Algorithm::EcP256,
        Algorithm::EcP384,
        Algorithm::EcP521,
        Algorithm::Ed25519,
        Algorithm::Rsa2048,
        Algorithm::MlDsa65,
    ]
    .into_iter()
    .map(|algorithm| (algorithm, generate(algorithm, None).unwrap()))
}

fn signing() -> impl Iterator<Item = Mechanism> {
    Mechanism::ALL.iter().copied().filter(|mechanism| {
        let name = mechanism.as_str();
        ["ecdsa-", "ed25519", "rsa-pkcs1-", "rsa-pss-", "ml-dsa"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
    })
}

#[test]
fn what_is_signed_verifies_and_nothing_else_does() {
    for (algorithm, key) in pairs() {
        let public_key = key.public_key.unwrap();
        let other = generate(algorithm, None).unwrap().public_key.unwrap();
        for mechanism in signing().filter(|mechanism| mechanism.suits(algorithm)) {
            for encoding in [SignatureEncoding::Der, SignatureEncoding::Fixed] {
                let what = of(mechanism, b"message", encoding);
                let mut signature = sign(algorithm, &key.bytes, what).unwrap();
                assert!(verify(algorithm, &public_key, what, &signature).unwrap());
                assert!(!verify(algorithm, &other, what, &signature).unwrap());
                let else_ = of(mechanism, b"massage", encoding);
                assert!(!verify(algorithm, &public_key, else_, &signature).unwrap());
                let cut = &signature[..signature.len() - 1];
                assert!(!verify(algorithm, &public_key, what, cut).unwrap());
                *signature.last_mut().unwrap() ^= 1;
                assert!(!verify(algorithm, &public_key, what, &signature).unwrap());
            }
        }
        for mechanism in Mechanism::ALL
            .iter()
            .filter(|mechanism| !mechanism.suits(algorithm))
        {
            let refused = sign(
                algorithm,
                &key.bytes,
                of(*mechanism, b"", SignatureEncoding::Der),
            );
            assert!(matches!(refused, Err(Refusal::Unsuitable { .. })));
        }
    }
}

#[test]
fn digests_of_a_wrong_length_and_prehashed_messages_are_refused_where_there_are_none() {
    let rsa = generate(Algorithm::Rsa2048, None).unwrap();
    let ec = generate(Algorithm::EcP256, None).unwrap();
    let ed = generate(Algorithm::Ed25519, None).unwrap();
    let prehashed = |mechanism, data| Signed {
        prehashed: true,
        ..of(mechanism, data, SignatureEncoding::Der)
    };
    for (algorithm, key, what) in [
        (
            Algorithm::Rsa2048,
            &rsa,
            prehashed(Mechanism::RsaPkcs1Sha256, &[0; 48]),
        ),
        (
            Algorithm::Rsa2048,
            &rsa,
            prehashed(Mechanism::RsaPssSha512, &[0; 32]),
        ),
        (
            Algorithm::EcP256,
            &ec,
            prehashed(Mechanism::EcdsaSha256, &[0; 20]),
        ),
        (Algorithm::EcP256, &ec, prehashed(Mechanism::Ecdsa, &[])),
        (
            Algorithm::EcP256,
            &ec,
            prehashed(Mechanism::Ecdsa, &[0; 65]),
        ),
        (
            Algorithm::EcP256,
            &ec,
            of(Mechanism::Ecdsa, &[0; 32], SignatureEncoding::Der),
        ),
        (
            Algorithm::Ed25519,
            &ed,
            prehashed(Mechanism::Ed25519, &[0; 64]),
        ),
    ] {
        let refused = sign(algorithm, &key.bytes, what);
        assert!(matches!(refused, Err(Refusal::Length(_))), "{what:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_digest_of_any_length_is_the_number_that_the_standard_makes_of_it(
        digest in prop::collection::vec(any::<u8>(), 1..=64),
        algorithm in prop::sample::select(vec![Algorithm::EcP256, Algorithm::EcP384, Algorithm::EcP521]),
    ) {
        let key = generate(algorithm, None).unwrap();
        let public_key = key.public_key.unwrap();
        let of = |data| Signed {
            mechanism: Mechanism::Ecdsa, data, prehashed: true, encoding: SignatureEncoding::Fixed, salt_length: None,
        };
        let signature = sign(algorithm, &key.bytes, of(&digest)).unwrap();
        prop_assert!(verify(algorithm, &public_key, of(&digest), &signature).unwrap());
        // Zeros before a short one change nothing, nor does what stands after the curve's length.
        let order = match algorithm { Algorithm::EcP256 => 32, Algorithm::EcP384 => 48, _ => 64 };
        if digest.len() < order {
            let longer = [&[0][..], &digest].concat();
            prop_assert!(verify(algorithm, &public_key, of(&longer), &signature).unwrap());
        } else {
            prop_assert!(verify(algorithm, &public_key, of(&digest[..order]), &signature).unwrap());
        }
    }
}
