//! Signatures.

use std::borrow::Cow;
use std::sync::LazyLock;

use aws_lc_rs::digest::{self, Digest, SHA256, SHA384, SHA512};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING,
    ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA384_FIXED, ECDSA_P384_SHA384_FIXED_SIGNING,
    ECDSA_P521_SHA512_ASN1, ECDSA_P521_SHA512_FIXED, ECDSA_P521_SHA512_FIXED_SIGNING, ED25519,
    EcdsaKeyPair, Ed25519KeyPair, ML_DSA_65, ML_DSA_65_SIGNING, PqdsaKeyPair,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384,
    RSA_PSS_SHA512, RsaEncoding, RsaParameters, RsaPssSaltLength, RsaSignatureEncoding,
    UnparsedPublicKey, VerificationAlgorithm,
};
use strongroom_wire::key::Algorithm;
use strongroom_wire::operation::{Mechanism, SignatureEncoding};

use crate::material::signing_algorithm;
use crate::refusal::{Refusal, unsuitable};
use crate::rsa::{self, Encoding, OldHash};

/// What is signed.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// By which mechanism.
    pub mechanism: Mechanism,
    /// The message, or its digest.
    pub data: &'a [u8],
    /// Whether it is the digest.
    pub prehashed: bool,
    /// How an ECDSA signature is written.
    pub encoding: SignatureEncoding,
    /// RSASSA-PSS: the salt's length in bytes; the digest's where none is said.
    pub salt_length: Option<u16>,
}

/// Signs with material for this algorithm.
///
/// # Errors
/// [`Refusal::Unsuitable`], [`Refusal::Length`] when a digest has not its hash function's length or a salt has none that is possible,
/// [`Refusal::MalformedKey`].
pub fn sign(algorithm: Algorithm, material: &[u8], signed: Signed<'_>) -> Result<Vec<u8>, Refusal> {
    let no_key = |_| Refusal::MalformedKey(algorithm);
    match scheme(algorithm, signed)? {
        Scheme::Ecdsa(digest) => {
            let form = match (algorithm, signed.encoding) {
                (_, SignatureEncoding::Der) => signing_algorithm(algorithm),
                (Algorithm::EcP384, SignatureEncoding::Fixed) => &ECDSA_P384_SHA384_FIXED_SIGNING,
                (Algorithm::EcP521, SignatureEncoding::Fixed) => &ECDSA_P521_SHA512_FIXED_SIGNING,
                (_, SignatureEncoding::Fixed) => &ECDSA_P256_SHA256_FIXED_SIGNING,
            };
            let pair = EcdsaKeyPair::from_pkcs8(form, material).map_err(no_key)?;
            Ok(pair.sign_digest(&digest)?.as_ref().to_vec())
        }
        Scheme::Ed25519 => {
            let pair = Ed25519KeyPair::from_pkcs8(material).map_err(no_key)?;
            Ok(pair.try_sign(signed.data)?.as_ref().to_vec())
        }
        Scheme::MlDsa65 => {
            let pair = PqdsaKeyPair::from_pkcs8(&ML_DSA_65_SIGNING, material).map_err(no_key)?;
            let mut signature = vec![0; ML_DSA_65_SIGNING.signature_len()];
            let length = pair.sign(signed.data, &mut signature)?;
            signature.truncate(length);
            Ok(signature)
        }
        Scheme::RsaItself(encoding, data) => {
            rsa::sign(material, encoding, &data)?.ok_or(Refusal::MalformedKey(algorithm))
        }
        Scheme::Rsa {
            hash,
            encoding,
            verification: _,
        } => {
            let pair = KeyPair::from_pkcs8(material).map_err(no_key)?;
            let mut signature = vec![0; pair.public_modulus_len()];
            if signed.prehashed {
                let digest = imported(hash, signed.data)?;
                pair.sign_digest(encoding, &digest, &mut signature)?;
            } else {
                pair.sign(encoding, &SystemRandom::new(), signed.data, &mut signature)?;
            }
            Ok(signature)
        }
    }
}

/// Whether a signature is right by this public key, `SubjectPublicKeyInfo` in DER.
///
/// # Errors
/// As [`sign`]. A signature of a wrong form or length is not right, and no error.
pub fn verify(
    algorithm: Algorithm,
    public_key: &[u8],
    signed: Signed<'_>,
    signature: &[u8],
) -> Result<bool, Refusal> {
    let right = match scheme(algorithm, signed)? {
        Scheme::Ecdsa(digest) => {
            let form: &'static dyn VerificationAlgorithm = match (algorithm, signed.encoding) {
                (Algorithm::EcP384, SignatureEncoding::Der) => &ECDSA_P384_SHA384_ASN1,
                (Algorithm::EcP521, SignatureEncoding::Der) => &ECDSA_P521_SHA512_ASN1,
                (_, SignatureEncoding::Der) => &ECDSA_P256_SHA256_ASN1,
                (Algorithm::EcP384, SignatureEncoding::Fixed) => &ECDSA_P384_SHA384_FIXED,
                (Algorithm::EcP521, SignatureEncoding::Fixed) => &ECDSA_P521_SHA512_FIXED,
                (_, SignatureEncoding::Fixed) => &ECDSA_P256_SHA256_FIXED,
            };
            parsed(algorithm, form, public_key)?.verify_digest_sig(&digest, signature)
        }
        Scheme::Ed25519 => {
            parsed(algorithm, &ED25519, public_key)?.verify_sig(signed.data, signature)
        }
        Scheme::MlDsa65 => {
            parsed(algorithm, &ML_DSA_65, public_key)?.verify_sig(signed.data, signature)
        }
        Scheme::RsaItself(encoding, data) => {
            let right = rsa::verify(public_key, encoding, &data, signature)?;
            return right.ok_or(Refusal::MalformedKey(algorithm));
        }
        Scheme::Rsa {
            hash, verification, ..
        } => {
            let key = parsed(algorithm, verification, public_key)?;
            if signed.prehashed {
                key.verify_digest_sig(&imported(hash, signed.data)?, signature)
            } else {
                key.verify_sig(signed.data, signature)
            }
        }
    };
    Ok(right.is_ok())
}

enum Scheme<'a> {
    Ecdsa(Digest),
    Ed25519,
    MlDsa65,
    /// By AWS-LC itself, of this.
    RsaItself(Encoding, Cow<'a, [u8]>),
    Rsa {
        hash: &'static digest::Algorithm,
        encoding: &'static dyn RsaEncoding,
        verification: &'static dyn VerificationAlgorithm,
    },
}

fn scheme(algorithm: Algorithm, signed: Signed<'_>) -> Result<Scheme<'_>, Refusal> {
    let mechanism = signed.mechanism;
    if !mechanism.suits(algorithm) {
        return Err(unsuitable(mechanism, algorithm));
    }
    if let Some(length) = signed.salt_length {
        return salted(algorithm, signed, length);
    }
    macro_rules! rsa {
        ($hash:ident, $encoding:ident, $verification:ident) => {
            Scheme::Rsa {
                hash: &$hash,
                encoding: &$encoding,
                verification: &$verification,
            }
        };
    }
    let scheme = match mechanism {
        Mechanism::Ecdsa if !signed.prehashed => {
            return Err(Refusal::Length(
                "ECDSA without a hash function signs a digest: say that the data is prehashed.",
            ));
        }
        Mechanism::Ecdsa => Scheme::Ecdsa(scalar(algorithm, signed.data)?),
        Mechanism::EcdsaSha1 => {
            Scheme::Ecdsa(hashed(algorithm, OldHash::Sha1.algorithm(), signed)?)
        }
        Mechanism::EcdsaSha224 => {
            Scheme::Ecdsa(hashed(algorithm, OldHash::Sha224.algorithm(), signed)?)
        }
        Mechanism::EcdsaSha256 => Scheme::Ecdsa(hashed(algorithm, &SHA256, signed)?),
        Mechanism::EcdsaSha384 => Scheme::Ecdsa(hashed(algorithm, &SHA384, signed)?),
        Mechanism::EcdsaSha512 => Scheme::Ecdsa(hashed(algorithm, &SHA512, signed)?),
        Mechanism::Ed25519 | Mechanism::MlDsa65 if signed.prehashed => {
            return Err(Refusal::Length(
                "This mechanism signs the message itself, not its digest.",
            ));
        }
        Mechanism::Ed25519 => Scheme::Ed25519,
        Mechanism::MlDsa65 => Scheme::MlDsa65,
        Mechanism::RsaPkcs1 if !signed.prehashed => {
            return Err(Refusal::Length(
                "RSA without a hash function signs what the caller has hashed and encoded: say that the data is prehashed.",
            ));
        }
        Mechanism::RsaRaw if !signed.prehashed => {
            return Err(Refusal::Length(
                "RSA without an encoding signs what the caller has encoded: say that the data is prehashed.",
            ));
        }
        Mechanism::RsaPkcs1 => Scheme::RsaItself(Encoding::Padded, Cow::Borrowed(signed.data)),
        Mechanism::RsaRaw => Scheme::RsaItself(Encoding::Bare, Cow::Borrowed(signed.data)),
        Mechanism::RsaPkcs1Sha1 => old(Encoding::Pkcs1(OldHash::Sha1), OldHash::Sha1, signed)?,
        Mechanism::RsaPkcs1Sha224 => {
            old(Encoding::Pkcs1(OldHash::Sha224), OldHash::Sha224, signed)?
        }
        Mechanism::RsaPssSha1 => old(Encoding::Pss(OldHash::Sha1, 20), OldHash::Sha1, signed)?,
        Mechanism::RsaPssSha224 => {
            old(Encoding::Pss(OldHash::Sha224, 28), OldHash::Sha224, signed)?
        }
        Mechanism::RsaPkcs1Sha256 => rsa!(SHA256, RSA_PKCS1_SHA256, RSA_PKCS1_2048_8192_SHA256),
        Mechanism::RsaPkcs1Sha384 => rsa!(SHA384, RSA_PKCS1_SHA384, RSA_PKCS1_2048_8192_SHA384),
        Mechanism::RsaPkcs1Sha512 => rsa!(SHA512, RSA_PKCS1_SHA512, RSA_PKCS1_2048_8192_SHA512),
        Mechanism::RsaPssSha256 => rsa!(SHA256, RSA_PSS_SHA256, RSA_PSS_2048_8192_SHA256),
        Mechanism::RsaPssSha384 => rsa!(SHA384, RSA_PSS_SHA384, RSA_PSS_2048_8192_SHA384),
        Mechanism::RsaPssSha512 => rsa!(SHA512, RSA_PSS_SHA512, RSA_PSS_2048_8192_SHA512),
        _ => return Err(unsuitable(mechanism, algorithm)),
    };
    Ok(scheme)
}

/// RSASSA-PSS of one hash function, with a salt of each length that the longest modulus leaves room for. AWS-LC takes these from places that
/// last.
struct Salts {
    hash: &'static digest::Algorithm,
    signing: Vec<RsaSignatureEncoding>,
    verifying: Vec<RsaParameters>,
}

/// The longest modulus, in bytes.
const LONGEST_MODULUS: u16 = 512;

static SALTS: LazyLock<[Salts; 3]> = LazyLock::new(|| {
    macro_rules! salts {
        ($hash:ident, $signing:ident, $verifying:ident) => {
            Salts {
                hash: &$hash,
                signing: (0..LONGEST_MODULUS)
                    .map(|length| $signing.with_pss_salt_length(RsaPssSaltLength::Custom(length)))
                    .collect(),
                verifying: (0..LONGEST_MODULUS)
                    .map(|length| $verifying.with_pss_salt_length(RsaPssSaltLength::Custom(length)))
                    .collect(),
            }
        };
    }
    [
        salts!(SHA256, RSA_PSS_SHA256, RSA_PSS_2048_8192_SHA256),
        salts!(SHA384, RSA_PSS_SHA384, RSA_PSS_2048_8192_SHA384),
        salts!(SHA512, RSA_PSS_SHA512, RSA_PSS_2048_8192_SHA512),
    ]
});

/// RSASSA-PSS with a salt of this length.
fn salted(algorithm: Algorithm, signed: Signed<'_>, length: u16) -> Result<Scheme<'_>, Refusal> {
    let old_hash = match signed.mechanism {
        Mechanism::RsaPssSha1 => Some(OldHash::Sha1),
        Mechanism::RsaPssSha224 => Some(OldHash::Sha224),
        _ => None,
    };
    if let Some(hash) = old_hash {
        check_salt(algorithm, hash.algorithm(), length)?;
        return old(Encoding::Pss(hash, length), hash, signed);
    }
    let [sha_256, sha_384, sha_512] = &*SALTS;
    let salts = match signed.mechanism {
        Mechanism::RsaPssSha256 => sha_256,
        Mechanism::RsaPssSha384 => sha_384,
        Mechanism::RsaPssSha512 => sha_512,
        _ => return Err(Refusal::Length("This mechanism has no salt.")),
    };
    check_salt(algorithm, salts.hash, length)?;
    let length = usize::from(length);
    match (salts.signing.get(length), salts.verifying.get(length)) {
        (Some(encoding), Some(verification)) => Ok(Scheme::Rsa {
            hash: salts.hash,
            encoding,
            verification,
        }),
        _ => Err(TOO_LONG_A_SALT),
    }
}

const TOO_LONG_A_SALT: Refusal = Refusal::Length("The modulus leaves no room for so long a salt.");

/// RFC 8017 section 9.1.1: the encoded message has the salt, a digest and two bytes.
fn check_salt(
    algorithm: Algorithm,
    hash: &'static digest::Algorithm,
    length: u16,
) -> Result<(), Refusal> {
    let modulus = match algorithm {
        Algorithm::Rsa2048 => 256,
        Algorithm::Rsa3072 => 384,
        _ => usize::from(LONGEST_MODULUS),
    };
    if usize::from(length) + hash.output_len() + 2 <= modulus {
        Ok(())
    } else {
        Err(TOO_LONG_A_SALT)
    }
}

/// RSA with a hash function that aws-lc-rs does not sign with.
fn old(encoding: Encoding, hash: OldHash, signed: Signed<'_>) -> Result<Scheme<'_>, Refusal> {
    let hash = hash.algorithm();
    let digest = if signed.prehashed {
        imported(hash, signed.data)?
    } else {
        digest::digest(hash, signed.data)
    };
    Ok(Scheme::RsaItself(
        encoding,
        Cow::Owned(digest.as_ref().to_vec()),
    ))
}

/// The digest of the message by this hash function, as ECDSA on this curve takes it.
fn hashed(
    algorithm: Algorithm,
    hash: &'static digest::Algorithm,
    signed: Signed<'_>,
) -> Result<Digest, Refusal> {
    if signed.prehashed {
        scalar(algorithm, imported(hash, signed.data)?.as_ref())
    } else {
        scalar(algorithm, digest::digest(hash, signed.data).as_ref())
    }
}

/// A digest of any length as the one that AWS-LC takes with keys on this curve. FIPS 186-5 section 6.4.1 makes a number of it: of a longer
/// digest than the curve's order the leftmost bits, of a shorter one all of it, which zeros before it do not change.
fn scalar(algorithm: Algorithm, digest: &[u8]) -> Result<Digest, Refusal> {
    let hash = match algorithm {
        Algorithm::EcP384 => &SHA384,
        Algorithm::EcP521 => &SHA512,
        _ => &SHA256,
    };
    let length = hash.output_len();
    if digest.is_empty() || digest.len() > 64 {
        return Err(Refusal::Length("A digest has 1 to 64 bytes."));
    }
    let fitting = if digest.len() < length {
        let mut padded = vec![0; length - digest.len()];
        padded.extend_from_slice(digest);
        Cow::Owned(padded)
    } else {
        Cow::Borrowed(&digest[..length])
    };
    Ok(Digest::import_less_safe(&fitting, hash)?)
}

/// A digest that the caller has made.
fn imported(hash: &'static digest::Algorithm, digest: &[u8]) -> Result<Digest, Refusal> {
    Digest::import_less_safe(digest, hash)
        .map_err(|_| Refusal::Length("The digest does not have the length of its hash function's."))
}

fn parsed(
    algorithm: Algorithm,
    form: &'static dyn VerificationAlgorithm,
    public_key: &[u8],
) -> Result<aws_lc_rs::signature::ParsedPublicKey, Refusal> {
    UnparsedPublicKey::new(form, public_key)
        .parse()
        .map_err(|_| Refusal::MalformedKey(algorithm))
}

#[cfg(test)]
mod tests;
