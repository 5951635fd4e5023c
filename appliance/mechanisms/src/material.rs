//! A key's material: generated, or brought by somebody and checked.
//!
//! The material of a secret key is its bytes. That of a key pair is its private key as `PrivateKeyInfo` in DER (PKCS #8, RFC 5958).

use aws_lc_rs::agreement;
use aws_lc_rs::digest::{SHA3_256, digest};
use aws_lc_rs::encoding::{AsBigEndian, AsDer, Curve25519SeedBin, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::kem::{self, DecapsulationKey};
use aws_lc_rs::rsa::{self, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
    EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, ML_DSA_65_SIGNING, PqdsaKeyPair,
};
use strongroom_wire::key::{Algorithm, LONGEST_SECRET};
use zeroize::Zeroizing;

use crate::der::{ML_KEM_768_PRIVATE, ML_KEM_768_PUBLIC, X25519_PRIVATE};
use crate::refusal::Refusal;

/// The length of a generic secret where nothing else is said, in bytes.
pub const USUAL_SECRET: u16 = 32;

/// A key.
pub struct Material {
    /// The bytes of a secret key, or the private key in DER.
    pub bytes: Zeroizing<Vec<u8>>,
    /// Of a key pair: the public key as `SubjectPublicKeyInfo` in DER.
    pub public_key: Option<Vec<u8>>,
}

/// A new key for this algorithm. `length` is a generic secret's, in bytes.
///
/// RSA keys take long: a second and more for 4096 bits.
///
/// # Errors
/// [`Refusal::Length`] when a length is given for another algorithm, or is none for a secret.
pub fn generate(algorithm: Algorithm, length: Option<u16>) -> Result<Material, Refusal> {
    check_length(algorithm, length)?;
    let bytes = match algorithm {
        Algorithm::Aes128 | Algorithm::Aes192 | Algorithm::Aes256 | Algorithm::HmacSha256 => {
            random(algorithm.length().unwrap_or_default())?
        }
        Algorithm::GenericSecret => random(length.unwrap_or(USUAL_SECRET).into())?,
        Algorithm::Rsa2048 | Algorithm::Rsa3072 | Algorithm::Rsa4096 => {
            let size = match algorithm {
                Algorithm::Rsa2048 => KeySize::Rsa2048,
                Algorithm::Rsa3072 => KeySize::Rsa3072,
                _ => KeySize::Rsa4096,
            };
            let pair = rsa::KeyPair::generate(size)?;
            let der: Pkcs8V1Der<'_> = pair.as_der()?;
            kept(der.as_ref())
        }
        Algorithm::EcP256 | Algorithm::EcP384 | Algorithm::EcP521 => {
            let pair = EcdsaKeyPair::generate(signing_algorithm(algorithm))?;
            kept(pair.to_pkcs8v1()?.as_ref())
        }
        Algorithm::Ed25519 => kept(Ed25519KeyPair::generate()?.to_pkcs8v1()?.as_ref()),
        Algorithm::X25519 => {
            let private = agreement::PrivateKey::generate(&agreement::X25519)?;
            let seed: Curve25519SeedBin<'_> = private.as_be_bytes()?;
            X25519_PRIVATE.put(seed.as_ref())
        }
        Algorithm::MlDsa65 => {
            let pair = PqdsaKeyPair::generate(&ML_DSA_65_SIGNING)?;
            kept(pair.to_pkcs8v1()?.as_ref())
        }
        Algorithm::MlKem768 => {
            let private = DecapsulationKey::generate(&kem::ML_KEM_768)?;
            ML_KEM_768_PRIVATE.put(private.key_bytes()?.as_ref())
        }
    };
    checked(algorithm, length, bytes)
}

/// Material that somebody brings, as a key for this algorithm: in the one form in which material is kept.
///
/// A private key is taken as `PrivateKeyInfo` with or without its public key, which must belong to it; one on a P curve also as
/// `ECPrivateKey` (RFC 5915) and an RSA key as `RSAPrivateKey` (RFC 8017 appendix A.1.2).
///
/// # Errors
/// [`Refusal::MalformedKey`] when it is none: another algorithm's, another size's, damaged, or with halves that do not belong together.
pub fn import(
    algorithm: Algorithm,
    length: Option<u16>,
    bytes: &[u8],
) -> Result<Material, Refusal> {
    let no_key = |_| Refusal::MalformedKey(algorithm);
    check_length(algorithm, length)?;
    let bytes = match algorithm {
        Algorithm::Rsa2048 | Algorithm::Rsa3072 | Algorithm::Rsa4096 => {
            let pair = rsa::KeyPair::from_pkcs8(bytes).or_else(|_| rsa::KeyPair::from_der(bytes));
            let der: Pkcs8V1Der<'_> = pair.map_err(no_key)?.as_der()?;
            kept(der.as_ref())
        }
        Algorithm::EcP256 | Algorithm::EcP384 | Algorithm::EcP521 => {
            let pair = EcdsaKeyPair::from_private_key_der(signing_algorithm(algorithm), bytes);
            kept(pair.map_err(no_key)?.to_pkcs8v1()?.as_ref())
        }
        Algorithm::Ed25519 => {
            let pair = Ed25519KeyPair::from_pkcs8(bytes);
            kept(pair.map_err(no_key)?.to_pkcs8v1()?.as_ref())
        }
        Algorithm::MlDsa65 => {
            let pair = PqdsaKeyPair::from_pkcs8(&ML_DSA_65_SIGNING, bytes);
            kept(pair.map_err(no_key)?.to_pkcs8v1()?.as_ref())
        }
        _ => kept(bytes),
    };
    checked(algorithm, length, bytes)
}

/// The public key of material for this algorithm, as `SubjectPublicKeyInfo` in DER; none of a secret key.
///
/// # Errors
/// [`Refusal::MalformedKey`] when it is no such material.
pub fn public_key(algorithm: Algorithm, material: &[u8]) -> Result<Option<Vec<u8>>, Refusal> {
    let no_key = |_| Refusal::MalformedKey(algorithm);
    let der: PublicKeyX509Der<'_> = match algorithm {
        Algorithm::Aes128
        | Algorithm::Aes192
        | Algorithm::Aes256
        | Algorithm::HmacSha256
        | Algorithm::GenericSecret => return Ok(None),
        Algorithm::Rsa2048 | Algorithm::Rsa3072 | Algorithm::Rsa4096 => {
            let pair = rsa::KeyPair::from_pkcs8(material).map_err(no_key)?;
            pair.public_key().as_der()?
        }
        Algorithm::EcP256 | Algorithm::EcP384 | Algorithm::EcP521 => {
            let pair = EcdsaKeyPair::from_pkcs8(signing_algorithm(algorithm), material);
            pair.map_err(no_key)?.public_key().as_der()?
        }
        Algorithm::Ed25519 => {
            let pair = Ed25519KeyPair::from_pkcs8(material).map_err(no_key)?;
            pair.public_key().as_der()?
        }
        Algorithm::X25519 => x25519(material)?.compute_public_key()?.as_der()?,
        Algorithm::MlDsa65 => {
            let pair = PqdsaKeyPair::from_pkcs8(&ML_DSA_65_SIGNING, material).map_err(no_key)?;
            pair.public_key().as_der()?
        }
        Algorithm::MlKem768 => {
            let encapsulation = ml_kem_public(ml_kem_private(material)?)?;
            return Ok(Some(ML_KEM_768_PUBLIC.put(encapsulation).to_vec()));
        }
    };
    Ok(Some(der.as_ref().to_vec()))
}

/// An X25519 private key.
pub(crate) fn x25519(material: &[u8]) -> Result<agreement::PrivateKey, Refusal> {
    let no_key = Refusal::MalformedKey(Algorithm::X25519);
    let seed = X25519_PRIVATE.take(material).ok_or(no_key)?;
    agreement::PrivateKey::from_private_key(&agreement::X25519, seed).map_err(|_| no_key)
}

/// The bytes of a decapsulation key of ML-KEM-768.
pub(crate) fn ml_kem_private(material: &[u8]) -> Result<&[u8], Refusal> {
    let no_key = Refusal::MalformedKey(Algorithm::MlKem768);
    ML_KEM_768_PRIVATE.take(material).ok_or(no_key)
}

/// The encapsulation key in a decapsulation key, whose hash of it is right (FIPS 203 section 7.3).
fn ml_kem_public(private: &[u8]) -> Result<&[u8], Refusal> {
    /// Where the parts of a decapsulation key begin (FIPS 203 section 7.1): 384 bytes for each of 3 polynomials, the encapsulation key, its
    /// SHA3-256, and a secret.
    const PUBLIC: usize = 384 * 3;
    const HASH: usize = PUBLIC + 1184;
    let no_key = Refusal::MalformedKey(Algorithm::MlKem768);
    let public = private.get(PUBLIC..HASH).ok_or(no_key)?;
    let hash = private.get(HASH..HASH + 32).ok_or(no_key)?;
    if digest(&SHA3_256, public).as_ref() != hash {
        return Err(no_key);
    }
    Ok(public)
}

/// The algorithm by which AWS-LC reads and writes key pairs on this curve; P-256 for what is none.
pub(crate) const fn signing_algorithm(algorithm: Algorithm) -> &'static EcdsaSigningAlgorithm {
    match algorithm {
        Algorithm::EcP384 => &ECDSA_P384_SHA384_ASN1_SIGNING,
        Algorithm::EcP521 => &ECDSA_P521_SHA512_ASN1_SIGNING,
        _ => &ECDSA_P256_SHA256_ASN1_SIGNING,
    }
}

fn check_length(algorithm: Algorithm, length: Option<u16>) -> Result<(), Refusal> {
    match (algorithm, length) {
        (_, None) | (Algorithm::GenericSecret, Some(1..=LONGEST_SECRET)) => Ok(()),
        (Algorithm::GenericSecret, Some(_)) => {
            Err(Refusal::Length("A generic secret has 1 to 1024 bytes."))
        }
        _ => Err(Refusal::Length(
            "Only a generic secret's length can be chosen.",
        )),
    }
}

/// The material with its public key, once it has proved to be a key for this algorithm.
fn checked(
    algorithm: Algorithm,
    length: Option<u16>,
    bytes: Zeroizing<Vec<u8>>,
) -> Result<Material, Refusal> {
    let no_key = Refusal::MalformedKey(algorithm);
    let fits = match (algorithm, algorithm.length()) {
        (_, Some(fixed)) => bytes.len() == fixed,
        (Algorithm::GenericSecret, None) => {
            (1..=usize::from(LONGEST_SECRET)).contains(&bytes.len())
                && length.is_none_or(|length| bytes.len() == usize::from(length))
        }
        (Algorithm::Rsa2048, None) => modulus(&bytes) == Some(256),
        (Algorithm::Rsa3072, None) => modulus(&bytes) == Some(384),
        (Algorithm::Rsa4096, None) => modulus(&bytes) == Some(512),
        (Algorithm::MlKem768, None) => decapsulates(&bytes)?,
        _ => true,
    };
    if !fits {
        return Err(no_key);
    }
    let public_key = public_key(algorithm, &bytes)?;
    Ok(Material { bytes, public_key })
}

/// The length of an RSA key's modulus, in bytes.
fn modulus(material: &[u8]) -> Option<usize> {
    let pair = rsa::KeyPair::from_pkcs8(material).ok()?;
    // A modulus with leading zero bits would be shorter than it looks.
    let modulus = pair
        .public_key()
        .modulus()
        .big_endian_without_leading_zero()
        .to_vec();
    (modulus.first()? >> 7 == 1).then_some(modulus.len())
}

/// Whether a decapsulation key learns what is encapsulated to its encapsulation key (FIPS 203 section 7.1, pair-wise consistency).
fn decapsulates(material: &[u8]) -> Result<bool, Refusal> {
    let private = ml_kem_private(material)?;
    let no_key = |_| Refusal::MalformedKey(Algorithm::MlKem768);
    let public = kem::EncapsulationKey::new(&kem::ML_KEM_768, ml_kem_public(private)?);
    let (ciphertext, sent) = public.map_err(no_key)?.encapsulate()?;
    let private = DecapsulationKey::new(&kem::ML_KEM_768, private).map_err(no_key)?;
    Ok(private.decapsulate(ciphertext)?.as_ref() == sent.as_ref())
}

fn kept(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(bytes.to_vec())
}

fn random(length: usize) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let mut bytes = Zeroizing::new(vec![0; length]);
    aws_lc_rs::rand::fill(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    /// Every algorithm but the long RSA keys, which take long to find.
    fn quick() -> impl Iterator<Item = Algorithm> {
        let slow = [Algorithm::Rsa3072, Algorithm::Rsa4096];
        Algorithm::ALL
            .iter()
            .copied()
            .filter(move |algorithm| !slow.contains(algorithm))
    }

    #[test]
    fn what_is_generated_is_taken_back_and_has_a_public_key_if_it_is_a_pair() {
        for algorithm in quick() {
            let made = generate(algorithm, None).unwrap();
            let taken = import(algorithm, None, &made.bytes).unwrap();
            assert_eq!(taken.bytes, made.bytes, "{algorithm:?}");
            assert_eq!(taken.public_key, made.public_key, "{algorithm:?}");
            assert_eq!(made.public_key.is_some(), algorithm.is_pair());
            let other = generate(algorithm, None).unwrap();
            assert_ne!(other.bytes, made.bytes);
        }
    }

    #[test]
    fn no_key_is_taken_for_another_algorithms() {
        let made: Vec<_> = quick()
            .map(|algorithm| (algorithm, generate(algorithm, None).unwrap()))
            .collect();
        for (algorithm, material) in &made {
            for wanted in Algorithm::ALL.iter().filter(|other| *other != algorithm) {
                // Bytes are bytes: a secret of the right length is one.
                let is_secret = !wanted.is_pair();
                let fits = wanted
                    .length()
                    .is_none_or(|length| length == material.bytes.len());
                let too_long = material.bytes.len() > usize::from(LONGEST_SECRET);
                let taken = import(*wanted, None, &material.bytes).is_ok();
                assert_eq!(
                    taken,
                    is_secret && fits && !too_long,
                    "{algorithm:?} as {wanted:?}"
                );
            }
        }
    }

    #[test]
    fn a_generic_secret_has_the_length_that_was_asked_for() {
        for length in [1, 7, 64, LONGEST_SECRET] {
            let made = generate(Algorithm::GenericSecret, Some(length)).unwrap();
            assert_eq!(made.bytes.len(), usize::from(length));
        }
        for length in [0, LONGEST_SECRET + 1] {
            assert!(generate(Algorithm::GenericSecret, Some(length)).is_err());
        }
        assert!(generate(Algorithm::Aes256, Some(32)).is_err());
        assert!(import(Algorithm::GenericSecret, Some(3), &[1, 2]).is_err());
        assert!(import(Algorithm::GenericSecret, None, &[]).is_err());
    }

    proptest! {
        #[test]
        fn a_damaged_private_key_is_refused_or_is_the_same_key(
            algorithm in prop::sample::select(vec![
                Algorithm::EcP256, Algorithm::Ed25519, Algorithm::X25519, Algorithm::MlDsa65, Algorithm::MlKem768,
            ]),
            place: prop::sample::Index, bit in 0..8_u32,
        ) {
            let made = generate(algorithm, None).unwrap();
            let mut damaged = made.bytes.to_vec();
            let place = place.index(damaged.len());
            damaged[place] ^= 1 << bit;
            // Not every bit is checked by something: but what is taken is a whole key, whose two halves belong together.
            if let Ok(taken) = import(algorithm, None, &damaged) {
                prop_assert_eq!(public_key(algorithm, &taken.bytes).unwrap(), taken.public_key);
            }
            prop_assert!(import(algorithm, None, &made.bytes[..made.bytes.len() - 1]).is_err());
        }
    }
}
