//! Secrets that two agree on: Diffie-Hellman and ML-KEM.

use aws_lc_rs::agreement::{
    self, ECDH_P256, ECDH_P384, ECDH_P521, ParsedPublicKey, UnparsedPublicKey, X25519,
};
use aws_lc_rs::kem::{DecapsulationKey, EncapsulationKey, ML_KEM_768};
use strongroom_wire::key::Algorithm;
use strongroom_wire::operation::Mechanism;
use zeroize::Zeroizing;

use crate::der::ML_KEM_768_PUBLIC;
use crate::material::{ml_kem_private, x25519};
use crate::refusal::{Refusal, unsuitable};

/// The secret that Diffie-Hellman makes of a private key and the other's public key, given as `SubjectPublicKeyInfo` in DER, as a point
/// (SEC 1) or as 32 bytes (RFC 7748).
///
/// # Errors
/// [`Refusal::Unsuitable`]; [`Refusal::MalformedPeer`] when the public key is on another curve, on none, or of a small order.
pub fn agree(
    algorithm: Algorithm,
    material: &[u8],
    peer: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    if !Mechanism::Ecdh.suits(algorithm) {
        return Err(unsuitable(Mechanism::Ecdh, algorithm));
    }
    let curve = match algorithm {
        Algorithm::EcP256 => &ECDH_P256,
        Algorithm::EcP384 => &ECDH_P384,
        Algorithm::EcP521 => &ECDH_P521,
        _ => &X25519,
    };
    let private = if algorithm == Algorithm::X25519 {
        x25519(material)?
    } else {
        agreement::PrivateKey::from_private_key_der(curve, material)
            .map_err(|_| Refusal::MalformedKey(algorithm))?
    };
    let other = Refusal::MalformedPeer(algorithm);
    let peer = ParsedPublicKey::try_from(UnparsedPublicKey::new(curve, peer));
    let peer = peer.map_err(|_| other)?;
    agreement::agree(&private, peer, other, |secret| {
        Ok(Zeroizing::new(secret.to_vec()))
    })
}

/// A secret of 32 bytes, and what the holder of the private key learns it from. `public_key` is `SubjectPublicKeyInfo` in DER.
///
/// # Errors
/// [`Refusal::Unsuitable`], [`Refusal::MalformedKey`].
pub fn encapsulate(
    algorithm: Algorithm,
    public_key: &[u8],
) -> Result<(Vec<u8>, Zeroizing<Vec<u8>>), Refusal> {
    let no_key = Refusal::MalformedKey(algorithm);
    if algorithm != Algorithm::MlKem768 {
        return Err(unsuitable(Mechanism::MlKem768, algorithm));
    }
    let public = ML_KEM_768_PUBLIC.take(public_key).ok_or(no_key)?;
    let public = EncapsulationKey::new(&ML_KEM_768, public).map_err(|_| no_key)?;
    let (ciphertext, secret) = public.encapsulate()?;
    Ok((
        ciphertext.as_ref().to_vec(),
        Zeroizing::new(secret.as_ref().to_vec()),
    ))
}

/// The secret that was encapsulated. What was altered gives another secret, and no error (FIPS 203 section 6.3).
///
/// # Errors
/// [`Refusal::Unsuitable`], [`Refusal::MalformedKey`]; [`Refusal::NotAuthentic`] for a wrong length.
pub fn decapsulate(
    algorithm: Algorithm,
    material: &[u8],
    ciphertext: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    if algorithm != Algorithm::MlKem768 {
        return Err(unsuitable(Mechanism::MlKem768, algorithm));
    }
    let private = DecapsulationKey::new(&ML_KEM_768, ml_kem_private(material)?)
        .map_err(|_| Refusal::MalformedKey(algorithm))?;
    let secret = private
        .decapsulate(ciphertext.into())
        .map_err(|_| Refusal::NotAuthentic)?;
    Ok(Zeroizing::new(secret.as_ref().to_vec()))
}

#[cfg(test)]
mod tests;
