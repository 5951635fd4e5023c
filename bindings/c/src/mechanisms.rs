//! Mechanisms: their numbers in C, and what a signature is made by.

use strongroom_client::ClientError;
use strongroom_client::operations::Signing;
use strongroom_wire::key::Algorithm;
use strongroom_wire::operation::{Mechanism, SignatureEncoding};

use crate::ffi::{Outcome, invalid};

/// For signatures: the mechanism that keys for the same algorithm sign by where nothing else is said. When the appliance is to sign it is asked
/// what the key is for.
pub const SR_MECHANISM_OF_KEY: i32 = 0;
/// ECDSA (FIPS 186-5) of a digest that the caller has made: sr_sign_digest. Of a digest longer than the curve's order its leftmost bits
/// count, as FIPS 186-5 section 6.4.1 says.
pub const SR_MECHANISM_ECDSA: i32 = 1;
/// ECDSA with SHA-256.
pub const SR_MECHANISM_ECDSA_SHA_256: i32 = 2;
/// ECDSA with SHA-384.
pub const SR_MECHANISM_ECDSA_SHA_384: i32 = 3;
/// ECDSA with SHA-512.
pub const SR_MECHANISM_ECDSA_SHA_512: i32 = 4;
/// Ed25519 (RFC 8032), of the message itself.
pub const SR_MECHANISM_ED25519: i32 = 5;
/// RSASSA-PKCS1-v1_5 (RFC 8017 section 8.2) with SHA-256.
pub const SR_MECHANISM_RSA_PKCS1_SHA_256: i32 = 6;
/// RSASSA-PKCS1-v1_5 with SHA-384.
pub const SR_MECHANISM_RSA_PKCS1_SHA_384: i32 = 7;
/// RSASSA-PKCS1-v1_5 with SHA-512.
pub const SR_MECHANISM_RSA_PKCS1_SHA_512: i32 = 8;
/// RSASSA-PSS (RFC 8017 section 8.1) with SHA-256, MGF1 with the same, and a salt of 32 bytes.
pub const SR_MECHANISM_RSA_PSS_SHA_256: i32 = 9;
/// RSASSA-PSS with SHA-384, MGF1 with the same, and a salt of 48 bytes.
pub const SR_MECHANISM_RSA_PSS_SHA_384: i32 = 10;
/// RSASSA-PSS with SHA-512, MGF1 with the same, and a salt of 64 bytes.
pub const SR_MECHANISM_RSA_PSS_SHA_512: i32 = 11;
/// ML-DSA-65 (FIPS 204), of the message itself, with an empty context.
pub const SR_MECHANISM_ML_DSA_65: i32 = 12;
/// HMAC (RFC 2104) with SHA-256.
pub const SR_MECHANISM_HMAC_SHA_256: i32 = 13;
/// HMAC with SHA-384.
pub const SR_MECHANISM_HMAC_SHA_384: i32 = 14;
/// HMAC with SHA-512.
pub const SR_MECHANISM_HMAC_SHA_512: i32 = 15;
/// CMAC with AES (NIST SP 800-38B).
pub const SR_MECHANISM_AES_CMAC: i32 = 16;
/// AES-GCM (NIST SP 800-38D) with a nonce of 12 bytes and a tag of 16, which follows the ciphertext. Where the caller gives no nonce the
/// appliance draws it; one key makes at most 2^32 ciphertexts so (section 8.3).
pub const SR_MECHANISM_AES_GCM: i32 = 17;
/// AES-CBC (NIST SP 800-38A) of whole blocks. Nothing tells of an alteration.
pub const SR_MECHANISM_AES_CBC: i32 = 18;
/// AES-CBC with the padding of PKCS #7 (RFC 5652 section 6.3). Nothing tells of an alteration.
pub const SR_MECHANISM_AES_CBC_PAD: i32 = 19;
/// AES-CTR with a first counter block of 16 bytes. Nothing tells of an alteration, and a counter block that comes twice reveals what it
/// protects.
pub const SR_MECHANISM_AES_CTR: i32 = 20;
/// AES-ECB of whole blocks: equal blocks are seen to be equal. For applications that build on it.
pub const SR_MECHANISM_AES_ECB: i32 = 21;
/// RSAES-OAEP (RFC 8017 section 7.1) with SHA-1 and MGF1 with SHA-1, as many applications have it.
pub const SR_MECHANISM_RSA_OAEP_SHA_1: i32 = 22;
/// RSAES-OAEP with SHA-256 and MGF1 with the same.
pub const SR_MECHANISM_RSA_OAEP_SHA_256: i32 = 23;
/// RSAES-OAEP with SHA-384 and MGF1 with the same.
pub const SR_MECHANISM_RSA_OAEP_SHA_384: i32 = 24;
/// RSAES-OAEP with SHA-512 and MGF1 with the same.
pub const SR_MECHANISM_RSA_OAEP_SHA_512: i32 = 25;
/// RSAES-PKCS1-v1_5 (RFC 8017 section 7.2). Whoever may have chosen ciphertexts decrypted can decrypt and sign: for applications that have
/// nothing else.
pub const SR_MECHANISM_RSA_PKCS1: i32 = 26;
/// AES-KW (RFC 3394): of material whose length is a multiple of 8 bytes.
pub const SR_MECHANISM_AES_KW: i32 = 27;
/// AES-KWP (RFC 5649).
pub const SR_MECHANISM_AES_KWP: i32 = 28;
/// Elliptic-curve Diffie-Hellman: on the P curves the x-coordinate (NIST SP 800-56A section 5.7.1.2), or X25519 (RFC 7748).
pub const SR_MECHANISM_ECDH: i32 = 29;
/// ML-KEM-768 (FIPS 203).
pub const SR_MECHANISM_ML_KEM_768: i32 = 30;
/// HMAC with SHA-1, as old applications have it. Its weakness to collisions does not concern MACs (NIST SP 800-131A).
pub const SR_MECHANISM_HMAC_SHA_1: i32 = 31;
/// HMAC with SHA-224.
pub const SR_MECHANISM_HMAC_SHA_224: i32 = 32;
/// HKDF (RFC 5869) of a secret key.
pub const SR_MECHANISM_HKDF: i32 = 33;
/// Legacy, and refused unless the domain's policy allows it: RSA of a number, without an encoding (RFC 8017 sections 5.1 and 5.2).
pub const SR_MECHANISM_RSA_RAW: i32 = 34;
/// Legacy likewise: RSASSA-PKCS1-v1_5 with SHA-1.
pub const SR_MECHANISM_RSA_PKCS1_SHA_1: i32 = 35;
/// Legacy likewise: RSASSA-PKCS1-v1_5 with SHA-224.
pub const SR_MECHANISM_RSA_PKCS1_SHA_224: i32 = 36;
/// Legacy likewise: RSASSA-PSS with SHA-1, MGF1 with the same, and a salt of 20 bytes.
pub const SR_MECHANISM_RSA_PSS_SHA_1: i32 = 37;
/// Legacy likewise: RSASSA-PSS with SHA-224, MGF1 with the same, and a salt of 28 bytes.
pub const SR_MECHANISM_RSA_PSS_SHA_224: i32 = 38;
/// Legacy likewise: ECDSA with SHA-1.
pub const SR_MECHANISM_ECDSA_SHA_1: i32 = 39;
/// Legacy likewise: ECDSA with SHA-224.
pub const SR_MECHANISM_ECDSA_SHA_224: i32 = 40;
/// An ECDSA signature in DER (RFC 3279 section 2.2.3): what OpenSSL, X.509 and TLS take.
pub const SR_ENCODING_DER: i32 = 0;
/// An ECDSA signature as r and s, each as long as the curve's order, one after the other: what PKCS #11 and JWS (RFC 7518) take.
pub const SR_ENCODING_FIXED: i32 = 1;

/// Every mechanism with its number.
const MECHANISMS: &[(i32, Mechanism)] = &[
    (SR_MECHANISM_ECDSA, Mechanism::Ecdsa),
    (SR_MECHANISM_ECDSA_SHA_256, Mechanism::EcdsaSha256),
    (SR_MECHANISM_ECDSA_SHA_384, Mechanism::EcdsaSha384),
    (SR_MECHANISM_ECDSA_SHA_512, Mechanism::EcdsaSha512),
    (SR_MECHANISM_ED25519, Mechanism::Ed25519),
    (SR_MECHANISM_RSA_PKCS1_SHA_256, Mechanism::RsaPkcs1Sha256),
    (SR_MECHANISM_RSA_PKCS1_SHA_384, Mechanism::RsaPkcs1Sha384),
    (SR_MECHANISM_RSA_PKCS1_SHA_512, Mechanism::RsaPkcs1Sha512),
    (SR_MECHANISM_RSA_PSS_SHA_256, Mechanism::RsaPssSha256),
    (SR_MECHANISM_RSA_PSS_SHA_384, Mechanism::RsaPssSha384),
    (SR_MECHANISM_RSA_PSS_SHA_512, Mechanism::RsaPssSha512),
    (SR_MECHANISM_ML_DSA_65, Mechanism::MlDsa65),
    (SR_MECHANISM_HMAC_SHA_256, Mechanism::HmacSha256),
    (SR_MECHANISM_HMAC_SHA_384, Mechanism::HmacSha384),
    (SR_MECHANISM_HMAC_SHA_512, Mechanism::HmacSha512),
    (SR_MECHANISM_AES_CMAC, Mechanism::AesCmac),
    (SR_MECHANISM_AES_GCM, Mechanism::AesGcm),
    (SR_MECHANISM_AES_CBC, Mechanism::AesCbc),
    (SR_MECHANISM_AES_CBC_PAD, Mechanism::AesCbcPad),
    (SR_MECHANISM_AES_CTR, Mechanism::AesCtr),
    (SR_MECHANISM_AES_ECB, Mechanism::AesEcb),
    (SR_MECHANISM_RSA_OAEP_SHA_1, Mechanism::RsaOaepSha1),
    (SR_MECHANISM_RSA_OAEP_SHA_256, Mechanism::RsaOaepSha256),
    (SR_MECHANISM_RSA_OAEP_SHA_384, Mechanism::RsaOaepSha384),
    (SR_MECHANISM_RSA_OAEP_SHA_512, Mechanism::RsaOaepSha512),
    (SR_MECHANISM_RSA_PKCS1, Mechanism::RsaPkcs1),
    (SR_MECHANISM_AES_KW, Mechanism::AesKw),
    (SR_MECHANISM_AES_KWP, Mechanism::AesKwp),
    (SR_MECHANISM_ECDH, Mechanism::Ecdh),
    (SR_MECHANISM_ML_KEM_768, Mechanism::MlKem768),
    (SR_MECHANISM_HMAC_SHA_1, Mechanism::HmacSha1),
    (SR_MECHANISM_HMAC_SHA_224, Mechanism::HmacSha224),
    (SR_MECHANISM_HKDF, Mechanism::Hkdf),
    (SR_MECHANISM_RSA_RAW, Mechanism::RsaRaw),
    (SR_MECHANISM_RSA_PKCS1_SHA_1, Mechanism::RsaPkcs1Sha1),
    (SR_MECHANISM_RSA_PKCS1_SHA_224, Mechanism::RsaPkcs1Sha224),
    (SR_MECHANISM_RSA_PSS_SHA_1, Mechanism::RsaPssSha1),
    (SR_MECHANISM_RSA_PSS_SHA_224, Mechanism::RsaPssSha224),
    (SR_MECHANISM_ECDSA_SHA_1, Mechanism::EcdsaSha1),
    (SR_MECHANISM_ECDSA_SHA_224, Mechanism::EcdsaSha224),
];

/// The mechanism with this number.
pub(crate) fn mechanism(number: i32) -> Outcome<Mechanism> {
    let known = MECHANISMS.iter().find(|(known, _)| *known == number);
    known
        .map(|(_, mechanism)| *mechanism)
        .ok_or_else(|| invalid("there is no such mechanism"))
}

/// What was asked for, or what keys for this algorithm do where nothing was.
pub(crate) fn signing(
    number: i32,
    encoding: i32,
    algorithm: impl FnOnce() -> Result<Algorithm, ClientError>,
) -> Outcome<Signing> {
    let encoding = match encoding {
        SR_ENCODING_DER => SignatureEncoding::Der,
        SR_ENCODING_FIXED => SignatureEncoding::Fixed,
        _ => return Err(invalid("there is no such encoding of signatures")),
    };
    let mechanism = match number {
        SR_MECHANISM_OF_KEY => Signing::new(algorithm()?)?.mechanism,
        number => mechanism(number)?,
    };
    Ok(Signing {
        mechanism,
        encoding,
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn each_mechanism_has_a_number() {
        assert_eq!(MECHANISMS.len(), Mechanism::ALL.len());
        for &wanted in Mechanism::ALL {
            let found = MECHANISMS.iter().find(|(_, known)| *known == wanted);
            assert_eq!(mechanism(found.unwrap().0).unwrap(), wanted);
        }
        for number in [-1, SR_MECHANISM_OF_KEY, i32::MAX] {
            assert!(mechanism(number).is_err());
        }
    }

    #[test]
    fn what_is_not_named_is_the_keys() {
        let of_key = |algorithm| signing(SR_MECHANISM_OF_KEY, SR_ENCODING_FIXED, || Ok(algorithm));
        let made = of_key(Algorithm::EcP384).unwrap();
        assert_eq!(made.mechanism, Mechanism::EcdsaSha384);
        assert_eq!(made.encoding, SignatureEncoding::Fixed);
        assert!(of_key(Algorithm::Aes256).is_err());
        let not_asked = || Err(ClientError::NotSignedIn);
        let named = signing(SR_MECHANISM_ED25519, SR_ENCODING_DER, not_asked).unwrap();
        assert_eq!(named.mechanism, Mechanism::Ed25519);
        assert!(signing(SR_MECHANISM_ED25519, 2, not_asked).is_err());
    }
}
