//! RSA: operations of public keys, operations of private keys whose numbers are here, and the encodings of RFC 8017.

use aws_lc_rs::rand;
use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OAEP_SHA384_MGF1SHA384, OAEP_SHA512_MGF1SHA512,
    OaepAlgorithm, OaepPrivateDecryptingKey, Pkcs1PrivateDecryptingKey, PrivateDecryptingKey,
};
use cryptoki_sys::*;
use num_bigint::BigUint;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{Family, Hash, Mechanism, Parameter};
use crate::der;
use crate::error::{CkError, CkResult, fail};
use crate::ffi::RsaKey;
use crate::object::Attributes;

/// Moduli that are served, in bytes.
const LENGTHS: std::ops::RangeInclusive<usize> = 128..=512;

/// The public half of an RSA key pair.
pub(crate) struct Public {
    modulus: BigUint,
    exponent: BigUint,
    length: usize,
}

/// The private half of an RSA key pair.
pub struct Private {
    key: RsaKey,
    decrypting: PrivateDecryptingKey,
}

impl Public {
    pub(crate) fn of(attributes: &Attributes) -> CkResult<Self> {
        let number = |attribute| match attributes.bytes(attribute) {
            Some(number) => Ok(der::trimmed(number)),
            None => fail(
                CKR_TEMPLATE_INCOMPLETE,
                "a number of the RSA key is missing",
            ),
        };
        let (modulus, exponent) = (number(CKA_MODULUS)?, number(CKA_PUBLIC_EXPONENT)?);
        let odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
        if !LENGTHS.contains(&modulus.len()) {
            return fail(CKR_KEY_SIZE_RANGE, "RSA is served with 1024 to 4096 bits");
        }
        if !odd(modulus) || !odd(exponent) || exponent.len() > 8 || exponent == [1] {
            return fail(
                CKR_ATTRIBUTE_VALUE_INVALID,
                "the numbers are no RSA public key's",
            );
        }
        Ok(Self {
            length: modulus.len(),
            modulus: BigUint::from_bytes_be(modulus),
            exponent: BigUint::from_bytes_be(exponent),
        })
    }

    /// The number raised to the public exponent, at the modulus's length.
    fn raise(&self, number: &[u8]) -> Option<Vec<u8>> {
        let number = BigUint::from_bytes_be(number);
        if number >= self.modulus {
            return None;
        }
        let raised = number.modpow(&self.exponent, &self.modulus).to_bytes_be();
        let mut whole = vec![0; self.length];
        whole[self.length - raised.len()..].copy_from_slice(&raised);
        Some(whole)
    }

    /// Verifies a signature. `data` is the digest where the mechanism begins with one.
    pub(crate) fn verify(
        &self,
        mechanism: &Mechanism,
        data: &[u8],
        signature: &[u8],
    ) -> CkResult<()> {
        if signature.len() != self.length {
            return fail(
                CKR_SIGNATURE_LEN_RANGE,
                "an RSA signature is as long as the modulus",
            );
        }
        let encoded = self.raise(signature).ok_or_else(bad_signature)?;
        let good = match mechanism.family {
            Family::RsaPkcs(hash) => {
                let expected = emsa_pkcs1(hash, data, self.length)?;
                bool::from(expected.ct_eq(&encoded))
            }
            Family::RsaPss(hash) => {
                let (hash, mgf, salt) = pss(mechanism, hash, data)?;
                let bits = usize::try_from(self.modulus.bits()).unwrap_or_default();
                is_pss(hash, mgf, salt, data, &encoded, bits - 1)
            }
            Family::RsaRaw => {
                let missing = self.length.checked_sub(data.len());
                let missing = missing.ok_or(CkError::new(CKR_DATA_LEN_RANGE, "too long"))?;
                encoded[..missing].iter().all(|byte| *byte == 0) && encoded[missing..] == *data
            }
            _ => {
                return fail(
                    CKR_KEY_TYPE_INCONSISTENT,
                    "the mechanism is not for RSA keys",
                );
            }
        };
        if good { Ok(()) } else { Err(bad_signature()) }
    }

    /// What was signed, from the signature.
    pub(crate) fn recover(&self, mechanism: &Mechanism, signature: &[u8]) -> CkResult<Vec<u8>> {
        if signature.len() != self.length {
            return fail(
                CKR_SIGNATURE_LEN_RANGE,
                "an RSA signature is as long as the modulus",
            );
        }
        let encoded = self.raise(signature).ok_or_else(bad_signature)?;
        match mechanism.family {
            Family::RsaRaw => Ok(encoded),
            Family::RsaPkcs(None) => {
                let rest = encoded.strip_prefix(&[0, 1]).ok_or_else(bad_signature)?;
                let padding = rest.iter().take_while(|byte| **byte == 0xff).count();
                match rest[padding..].split_first() {
                    Some((0, data)) if padding >= 8 => Ok(data.to_vec()),
                    _ => Err(bad_signature()),
                }
            }
            _ => fail(CKR_MECHANISM_INVALID, "the mechanism does not recover data"),
        }
    }

    /// Encrypts.
    pub(crate) fn encrypt(
        &self,
        mechanism: &Mechanism,
        data: &[u8],
    ) -> CkResult<Zeroizing<Vec<u8>>> {
        let encoded = match mechanism.family {
            Family::RsaPkcs(None) => eme_pkcs1(data, self.length)?,
            Family::RsaOaep => eme_oaep(mechanism, data, self.length)?,
            Family::RsaRaw => at_length(data, self.length)?,
            _ => {
                return fail(
                    CKR_KEY_TYPE_INCONSISTENT,
                    "the mechanism is not for RSA keys",
                );
            }
        };
        match self.raise(&encoded) {
            Some(encrypted) => Ok(Zeroizing::new(encrypted)),
            None => fail(CKR_DATA_INVALID, "the number is not one of this modulus"),
        }
    }
}

impl Private {
    pub(crate) fn of(attributes: &Attributes) -> CkResult<Self> {
        let der = private_der(attributes)?;
        let key = RsaKey::from_der(&der)?;
        if !LENGTHS.contains(&key.length()) {
            return fail(CKR_KEY_SIZE_RANGE, "RSA is served with 1024 to 4096 bits");
        }
        // AWS-LC's decryption begins at 2048 bits; smaller keys sign alone, which old applications may still need.
        let decrypting = PrivateDecryptingKey::from_pkcs8(&pkcs8_of(&der)).map_err(|_| {
            CkError::new(
                CKR_KEY_SIZE_RANGE,
                "private RSA keys are served from 2048 bits",
            )
        })?;
        Ok(Self { key, decrypting })
    }

    pub(crate) fn sign(&self, mechanism: &Mechanism, data: &[u8]) -> CkResult<Zeroizing<Vec<u8>>> {
        let length = self.key.length();
        let encoded = match mechanism.family {
            Family::RsaPkcs(hash) => emsa_pkcs1(hash, data, length)?,
            Family::RsaPss(hash) => {
                let (hash, mgf, salt) = pss(mechanism, hash, data)?;
                emsa_pss(hash, mgf, salt, data, length)?
            }
            Family::RsaRaw => at_length(data, length)?,
            _ => {
                return fail(
                    CKR_KEY_TYPE_INCONSISTENT,
                    "the mechanism is not for RSA keys",
                );
            }
        };
        self.key.raise(&encoded)
    }

    pub(crate) fn decrypt(
        &self,
        mechanism: &Mechanism,
        data: &[u8],
    ) -> CkResult<Zeroizing<Vec<u8>>> {
        if data.len() != self.key.length() {
            return fail(CKR_ENCRYPTED_DATA_LEN_RANGE, "it is as long as the modulus");
        }
        let bad = |_| {
            CkError::new(
                CKR_ENCRYPTED_DATA_INVALID,
                "it was not encrypted to this key",
            )
        };
        let mut decrypted = Zeroizing::new(vec![0; data.len()]);
        let length = match (mechanism.family, &mechanism.parameter) {
            (Family::RsaPkcs(None), _) => {
                let key = Pkcs1PrivateDecryptingKey::new(self.decrypting.clone()).map_err(bad)?;
                key.decrypt(data, &mut decrypted).map_err(bad)?.len()
            }
            (Family::RsaOaep, Parameter::Oaep { hash, mgf, label }) => {
                let algorithm = oaep_algorithm(*hash, *mgf).ok_or(CkError::new(
                    CKR_MECHANISM_PARAM_INVALID,
                    "session keys take OAEP with one hash for label and mask: SHA-1, SHA-256, SHA-384, SHA-512",
                ))?;
                let key = OaepPrivateDecryptingKey::new(self.decrypting.clone()).map_err(bad)?;
                let label = Some(&label[..]).filter(|label| !label.is_empty());
                key.decrypt(algorithm, data, &mut decrypted, label)
                    .map_err(bad)?
                    .len()
            }
            (Family::RsaRaw, _) => {
                return self
                    .key
                    .raise(data)
                    .map_err(|_| bad(aws_lc_rs::error::Unspecified));
            }
            _ => {
                return fail(
                    CKR_KEY_TYPE_INCONSISTENT,
                    "the mechanism is not for RSA keys",
                );
            }
        };
        decrypted.truncate(length);
        Ok(decrypted)
    }
}

fn oaep_algorithm(hash: Hash, mgf: Hash) -> Option<&'static OaepAlgorithm> {
    match hash {
        _ if hash != mgf => None,
        Hash::Sha1 => Some(&OAEP_SHA1_MGF1SHA1),
        Hash::Sha256 => Some(&OAEP_SHA256_MGF1SHA256),
        Hash::Sha384 => Some(&OAEP_SHA384_MGF1SHA384),
        Hash::Sha512 => Some(&OAEP_SHA512_MGF1SHA512),
        _ => None,
    }
}

/// The numbers of a private key in the order of `RSAPrivateKey`.
pub(crate) const NUMBERS: [CK_ATTRIBUTE_TYPE; 8] = [
    CKA_MODULUS,
    CKA_PUBLIC_EXPONENT,
    CKA_PRIVATE_EXPONENT,
    CKA_PRIME_1,
    CKA_PRIME_2,
    CKA_EXPONENT_1,
    CKA_EXPONENT_2,
    CKA_COEFFICIENT,
];

/// `RSAPrivateKey` (RFC 8017 appendix A.1.2) of a key's attributes.
pub(crate) fn private_der(attributes: &Attributes) -> CkResult<Zeroizing<Vec<u8>>> {
    let mut numbers = vec![der::integer(&[])];
    for attribute in NUMBERS {
        match attributes.bytes(attribute) {
            Some(number) => numbers.push(der::integer(number)),
            None => {
                return fail(
                    CKR_TEMPLATE_INCOMPLETE,
                    "an RSA key needs all of its numbers",
                );
            }
        }
    }
    let numbers: Vec<&[u8]> = numbers.iter().map(|number| &number[..]).collect();
    Ok(der::element(der::SEQUENCE, &numbers))
}

/// The attributes that an `RSAPrivateKey` gives.
pub(crate) fn numbers_of(private: &[u8]) -> Option<[&[u8]; 8]> {
    let (content, _) = der::expect(der::SEQUENCE, private)?;
    let (_version, mut rest) = der::unsigned(content)?;
    let mut numbers = [&[][..]; 8];
    for number in &mut numbers {
        (*number, rest) = der::unsigned(rest)?;
    }
    Some(numbers)
}

/// `AlgorithmIdentifier` of `rsaEncryption`.
pub(crate) const ALGORITHM: &[u8] = &[
    0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0,
];

/// PKCS #8 (RFC 5208) of an `RSAPrivateKey`.
pub(crate) fn pkcs8_of(private: &[u8]) -> Zeroizing<Vec<u8>> {
    let key = der::element(der::OCTET_STRING, &[private]);
    der::element(der::SEQUENCE, &[&der::integer(&[]), ALGORITHM, &key])
}

/// EMSA-PKCS1-v1_5 (RFC 8017 section 9.2); without a hash, of what the application encoded.
fn emsa_pkcs1(hash: Option<Hash>, data: &[u8], length: usize) -> CkResult<Zeroizing<Vec<u8>>> {
    let prefix = match hash {
        Some(hash) => digest_info(hash),
        None => Vec::new(),
    };
    let padding = length
        .checked_sub(prefix.len() + data.len() + 3)
        .filter(|padding| *padding >= 8);
    let Some(padding) = padding else {
        return fail(CKR_DATA_LEN_RANGE, "the data is too long for the modulus");
    };
    let mut encoded = Zeroizing::new(vec![0xff; length]);
    encoded[0] = 0;
    encoded[1] = 1;
    encoded[2 + padding] = 0;
    encoded[3 + padding..3 + padding + prefix.len()].copy_from_slice(&prefix);
    encoded[length - data.len()..].copy_from_slice(data);
    Ok(encoded)
}

/// What stands before the digest in a `DigestInfo`.
pub(crate) fn digest_info(hash: Hash) -> Vec<u8> {
    let identifier: &[u8] = match hash {
        Hash::Sha1 => &[6, 5, 0x2b, 14, 3, 2, 26],
        Hash::Sha224 => &[6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 4],
        Hash::Sha256 => &[6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1],
        Hash::Sha384 => &[6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 2],
        Hash::Sha512 => &[6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 3],
        Hash::Sha512_224 => &[6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 5],
        Hash::Sha512_256 => &[6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 6],
        Hash::Sha3_224 => &[6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 7],
        Hash::Sha3_256 => &[6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 8],
        Hash::Sha3_384 => &[6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 9],
        Hash::Sha3_512 => &[6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 10],
    };
    let algorithm = der::element(der::SEQUENCE, &[identifier, &[5, 0]]);
    let digest = vec![0; hash.length()];
    let whole = der::element(
        der::SEQUENCE,
        &[&algorithm, &der::element(der::OCTET_STRING, &[&digest])],
    );
    whole[..whole.len() - hash.length()].to_vec()
}

/// The hashes and the salt's length of PSS, and whether the digest fits.
fn pss(
    mechanism: &Mechanism,
    prehash: Option<Hash>,
    digest: &[u8],
) -> CkResult<(Hash, Hash, usize)> {
    match mechanism.parameter {
        Parameter::Pss { hash, mgf, salt } if prehash.is_none_or(|prehash| prehash == hash) => {
            if digest.len() == hash.length() {
                Ok((hash, mgf, salt))
            } else {
                fail(CKR_DATA_LEN_RANGE, "PSS signs a digest of its hash")
            }
        }
        _ => fail(CKR_MECHANISM_PARAM_INVALID, "PSS takes another parameter"),
    }
}

/// MGF1 (RFC 8017 appendix B.2.1), over the bytes that are there.
fn mask(hash: Hash, seed: &[u8], bytes: &mut [u8]) {
    for (counter, chunk) in (0_u32..).zip(bytes.chunks_mut(hash.length())) {
        let digest = hash.digest(&[seed, &counter.to_be_bytes()]);
        chunk
            .iter_mut()
            .zip(digest.iter())
            .for_each(|(byte, mask)| *byte ^= mask);
    }
}

/// EMSA-PSS encoding (RFC 8017 section 9.1.1) for a modulus whose highest bit is set.
fn emsa_pss(
    hash: Hash,
    mgf: Hash,
    salt: usize,
    digest: &[u8],
    length: usize,
) -> CkResult<Zeroizing<Vec<u8>>> {
    if length < hash.length() + salt + 2 {
        return fail(CKR_KEY_SIZE_RANGE, "the modulus is too short for this salt");
    }
    let mut salt = vec![0; salt];
    rand::fill(&mut salt).map_err(|_| CkError::new(CKR_RANDOM_NO_RNG, "no random numbers"))?;
    let h = hash.digest(&[&[0; 8], digest, &salt]);
    let block = length - hash.length() - 1;
    let mut encoded = Zeroizing::new(vec![0; length]);
    encoded[block - salt.len() - 1] = 1;
    encoded[block - salt.len()..block].copy_from_slice(&salt);
    mask(mgf, &h, &mut encoded[..block]);
    encoded[0] &= 0x7f;
    encoded[block..length - 1].copy_from_slice(&h);
    encoded[length - 1] = 0xbc;
    Ok(encoded)
}

/// EMSA-PSS verification (RFC 8017 section 9.1.2), `bits` being the encoded message's.
fn is_pss(hash: Hash, mgf: Hash, salt: usize, digest: &[u8], whole: &[u8], bits: usize) -> bool {
    let length = bits.div_ceil(8);
    let (front, encoded) = whole.split_at(whole.len() - length);
    if front.iter().any(|byte| *byte != 0)
        || length < hash.length() + salt + 2
        || encoded.last() != Some(&0xbc)
    {
        return false;
    }
    let block = length - hash.length() - 1;
    let h = &encoded[block..length - 1];
    let unused = 0xff_u8
        .checked_shl(u32::try_from(8 - (8 * length - bits)).unwrap_or(8))
        .unwrap_or(0);
    if encoded[0] & unused != 0 {
        return false;
    }
    let mut data = encoded[..block].to_vec();
    mask(mgf, h, &mut data);
    data[0] &= !unused;
    let (padding, salt) = data.split_at(block - salt);
    let Some((1, zeros)) = padding.split_last() else {
        return false;
    };
    zeros.iter().all(|byte| *byte == 0) && hash.digest(&[&[0; 8], digest, salt])[..] == *h
}

/// EME-PKCS1-v1_5 encoding (RFC 8017 section 7.2.1).
fn eme_pkcs1(data: &[u8], length: usize) -> CkResult<Zeroizing<Vec<u8>>> {
    let Some(padding) = length
        .checked_sub(data.len() + 3)
        .filter(|padding| *padding >= 8)
    else {
        return fail(CKR_DATA_LEN_RANGE, "the data is too long for the modulus");
    };
    let mut encoded = Zeroizing::new(vec![0; length]);
    encoded[1] = 2;
    for byte in &mut encoded[2..2 + padding] {
        while *byte == 0 {
            rand::fill(std::slice::from_mut(byte))
                .map_err(|_| CkError::new(CKR_RANDOM_NO_RNG, "no random numbers"))?;
        }
    }
    encoded[length - data.len()..].copy_from_slice(data);
    Ok(encoded)
}

/// EME-OAEP encoding (RFC 8017 section 7.1.1).
fn eme_oaep(mechanism: &Mechanism, data: &[u8], length: usize) -> CkResult<Zeroizing<Vec<u8>>> {
    let Parameter::Oaep { hash, mgf, label } = &mechanism.parameter else {
        return fail(CKR_MECHANISM_PARAM_INVALID, "OAEP takes another parameter");
    };
    if length < data.len() + 2 * hash.length() + 2 {
        return fail(CKR_DATA_LEN_RANGE, "the data is too long for the modulus");
    }
    let mut encoded = Zeroizing::new(vec![0; length]);
    let (seed, block) = encoded[1..].split_at_mut(hash.length());
    rand::fill(seed).map_err(|_| CkError::new(CKR_RANDOM_NO_RNG, "no random numbers"))?;
    block[..hash.length()].copy_from_slice(&hash.digest(&[label]));
    let start = block.len() - data.len();
    block[start - 1] = 1;
    block[start..].copy_from_slice(data);
    mask(*mgf, seed, block);
    mask(*mgf, block, seed);
    Ok(encoded)
}

/// A number at the modulus's length.
fn at_length(data: &[u8], length: usize) -> CkResult<Zeroizing<Vec<u8>>> {
    let Some(missing) = length.checked_sub(data.len()) else {
        return fail(CKR_DATA_LEN_RANGE, "the data is longer than the modulus");
    };
    let mut whole = Zeroizing::new(vec![0; length]);
    whole[missing..].copy_from_slice(data);
    Ok(whole)
}

fn bad_signature() -> CkError {
    CkError::new(
        CKR_SIGNATURE_INVALID,
        "the signature is of other data or of another key",
    )
}
