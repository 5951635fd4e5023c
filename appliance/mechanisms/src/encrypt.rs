//! Encryption: AES in its modes, and RSAES.

use aws_lc_rs::aead::{AES_128_GCM, AES_192_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{
    self, AES_128, AES_192, AES_256, DecryptingKey, DecryptionContext, EncryptingKey,
    EncryptionContext, PaddedBlockDecryptingKey, PaddedBlockEncryptingKey, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OAEP_SHA384_MGF1SHA384, OAEP_SHA512_MGF1SHA512,
    OaepAlgorithm, OaepPrivateDecryptingKey, OaepPublicEncryptingKey, Pkcs1PrivateDecryptingKey,
    Pkcs1PublicEncryptingKey, PrivateDecryptingKey, PublicEncryptingKey,
};
use strongroom_wire::key::Algorithm;
use strongroom_wire::operation::{Mechanism, TAG_LENGTHS};
use zeroize::Zeroizing;

use subtle::ConstantTimeEq;

use crate::refusal::{Refusal, unsuitable};
use crate::rsa;
use crate::wrap::{self, Wrapping};

/// The length of a nonce of AES-GCM, in bytes.
pub const GCM_NONCE: usize = 12;
/// The length of an initialisation vector of AES-CBC and of a counter block of AES-CTR, in bytes.
pub const IV: usize = 16;
/// The length of a tag of AES-GCM, in bytes.
pub const GCM_TAG: usize = 16;
/// A block of AES, in bytes.
const BLOCK: usize = 16;

/// A ciphertext, and what it was made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ciphertext {
    /// The ciphertext; of AES-GCM with the tag.
    pub data: Vec<u8>,
    /// The nonce, initialisation vector or first counter block, where there is one.
    pub iv: Option<Vec<u8>>,
}

/// Encrypts with a secret key's material, or with a public key: `SubjectPublicKeyInfo` in DER. Where no `iv` is given it is drawn.
///
/// # Errors
/// [`Refusal::Unsuitable`]; [`Refusal::Length`].
pub fn encrypt(
    algorithm: Algorithm,
    key: &[u8],
    mechanism: Mechanism,
    plaintext: &[u8],
    iv: Option<&[u8]>,
    associated_data: Option<&[u8]>,
) -> Result<Ciphertext, Refusal> {
    check(algorithm, mechanism, iv, associated_data)?;
    let no_key = |_| Refusal::MalformedKey(algorithm);
    if let Some(hash) = oaep(mechanism) {
        let key = PublicEncryptingKey::from_der(key).map_err(no_key)?;
        let key = OaepPublicEncryptingKey::new(key)?;
        let mut ciphertext = vec![0; key.ciphertext_size()];
        if plaintext.len() > key.max_plaintext_size(hash) {
            return Err(TOO_LONG_FOR_RSA);
        }
        key.encrypt(hash, plaintext, &mut ciphertext, associated_data)?;
        return Ok(without_iv(ciphertext));
    }
    if mechanism == Mechanism::RsaPkcs1 {
        let key = PublicEncryptingKey::from_der(key).map_err(no_key)?;
        let key = Pkcs1PublicEncryptingKey::new(key)?;
        let mut ciphertext = vec![0; key.ciphertext_size()];
        if plaintext.len() > key.max_plaintext_size() {
            return Err(TOO_LONG_FOR_RSA);
        }
        key.encrypt(plaintext, &mut ciphertext)?;
        return Ok(without_iv(ciphertext));
    }
    if mechanism == Mechanism::RsaRaw {
        let raised = rsa::encrypt(key, plaintext)?.ok_or(Refusal::MalformedKey(algorithm))?;
        return Ok(without_iv(raised));
    }
    if mechanism == Mechanism::AesGcm {
        let iv = drawn::<GCM_NONCE>(iv)?;
        let key = gcm(algorithm, key)?;
        let mut data = Vec::with_capacity(plaintext.len() + GCM_TAG);
        data.extend_from_slice(plaintext);
        let aad = Aad::from(associated_data.unwrap_or_default());
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(iv), aad, &mut data)?;
        return Ok(Ciphertext {
            data,
            iv: Some(iv.to_vec()),
        });
    }
    if wrap::is_key_wrap(mechanism) {
        return wrap::wrap(algorithm, key, Wrapping::by(mechanism), plaintext);
    }
    let key =
        UnboundCipherKey::new(aes(algorithm), key).map_err(|_| Refusal::MalformedKey(algorithm))?;
    let mut data = plaintext.to_vec();
    if mechanism == Mechanism::AesEcb {
        whole_blocks(plaintext)?;
        EncryptingKey::ecb(key)?.less_safe_encrypt(&mut data, EncryptionContext::None)?;
        return Ok(without_iv(data));
    }
    let iv = drawn::<IV>(iv)?;
    let context = EncryptionContext::Iv128(FixedLength::from(iv));
    match mechanism {
        Mechanism::AesCbc => {
            whole_blocks(plaintext)?;
            EncryptingKey::cbc(key)?.less_safe_encrypt(&mut data, context)?;
        }
        Mechanism::AesCbcPad => {
            PaddedBlockEncryptingKey::cbc_pkcs7(key)?.less_safe_encrypt(&mut data, context)?;
        }
        Mechanism::AesCtr => {
            EncryptingKey::ctr(key)?.less_safe_encrypt(&mut data, context)?;
        }
        _ => return Err(unsuitable(mechanism, algorithm)),
    }
    Ok(Ciphertext {
        data,
        iv: Some(iv.to_vec()),
    })
}

/// Decrypts with a key's material.
///
/// # Errors
/// [`Refusal::Unsuitable`]; [`Refusal::Length`] for an `iv` of a wrong length; [`Refusal::NotAuthentic`] for everything that is wrong with the
/// ciphertext.
pub fn decrypt(
    algorithm: Algorithm,
    material: &[u8],
    mechanism: Mechanism,
    ciphertext: &[u8],
    iv: Option<&[u8]>,
    associated_data: Option<&[u8]>,
) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    check(algorithm, mechanism, iv, associated_data)?;
    let no_key = |_| Refusal::MalformedKey(algorithm);
    let refused = |_| Refusal::NotAuthentic;
    if let Some(hash) = oaep(mechanism) {
        let key = PrivateDecryptingKey::from_pkcs8(material).map_err(no_key)?;
        let key = OaepPrivateDecryptingKey::new(key)?;
        let mut plaintext = Zeroizing::new(vec![0; key.min_output_size()]);
        let length = key
            .decrypt(hash, ciphertext, &mut plaintext, associated_data)
            .map_err(refused)?
            .len();
        plaintext.truncate(length);
        return Ok(plaintext);
    }
    if mechanism == Mechanism::RsaPkcs1 {
        let key = PrivateDecryptingKey::from_pkcs8(material).map_err(no_key)?;
        let key = Pkcs1PrivateDecryptingKey::new(key)?;
        let mut plaintext = Zeroizing::new(vec![0; key.min_output_size()]);
        let length = key
            .decrypt(ciphertext, &mut plaintext)
            .map_err(refused)?
            .len();
        plaintext.truncate(length);
        return Ok(plaintext);
    }
    if mechanism == Mechanism::RsaRaw {
        return rsa::decrypt(material, ciphertext)?.ok_or(Refusal::MalformedKey(algorithm));
    }
    if wrap::is_key_wrap(mechanism) {
        return wrap::unwrap(algorithm, material, Wrapping::by(mechanism), ciphertext);
    }
    let mut data = Zeroizing::new(ciphertext.to_vec());
    if mechanism == Mechanism::AesGcm {
        let key = gcm(algorithm, material)?;
        let nonce = Nonce::assume_unique_for_key(given::<GCM_NONCE>(iv)?);
        let aad = Aad::from(associated_data.unwrap_or_default());
        let length = key
            .open_in_place(nonce, aad, &mut data)
            .map_err(refused)?
            .len();
        data.truncate(length);
        return Ok(data);
    }
    let key = UnboundCipherKey::new(aes(algorithm), material)
        .map_err(|_| Refusal::MalformedKey(algorithm))?;
    let whole = ciphertext.len().is_multiple_of(BLOCK);
    if mechanism == Mechanism::AesEcb {
        if !whole {
            return Err(Refusal::NotAuthentic);
        }
        DecryptingKey::ecb(key)?.decrypt(&mut data, DecryptionContext::None)?;
        return Ok(data);
    }
    let context = DecryptionContext::Iv128(FixedLength::from(given::<IV>(iv)?));
    match mechanism {
        Mechanism::AesCbc if whole => {
            DecryptingKey::cbc(key)?.decrypt(&mut data, context)?;
        }
        Mechanism::AesCbcPad if whole && !ciphertext.is_empty() => {
            let key = PaddedBlockDecryptingKey::cbc_pkcs7(key)?;
            let length = key.decrypt(&mut data, context).map_err(refused)?.len();
            data.truncate(length);
        }
        Mechanism::AesCtr => {
            DecryptingKey::ctr(key)?.decrypt(&mut data, context)?;
        }
        Mechanism::AesCbc | Mechanism::AesCbcPad => return Err(Refusal::NotAuthentic),
        _ => return Err(unsuitable(mechanism, algorithm)),
    }
    Ok(data)
}

/// Encrypts by AES-GCM with a tag of so many bytes, one of [`TAG_LENGTHS`]: the first ones of the whole tag (NIST SP 800-38D section 7.1).
///
/// # Errors
/// As [`encrypt`].
pub fn seal(
    algorithm: Algorithm,
    key: &[u8],
    plaintext: &[u8],
    iv: Option<&[u8]>,
    associated_data: Option<&[u8]>,
    tag_length: u8,
) -> Result<Ciphertext, Refusal> {
    let cut = GCM_TAG - tag(tag_length)?;
    let mechanism = Mechanism::AesGcm;
    let mut made = encrypt(algorithm, key, mechanism, plaintext, iv, associated_data)?;
    made.data.truncate(made.data.len() - cut);
    Ok(made)
}

/// Decrypts what [`seal`] has encrypted.
///
/// # Errors
/// As [`decrypt`].
pub fn open(
    algorithm: Algorithm,
    material: &[u8],
    ciphertext: &[u8],
    iv: Option<&[u8]>,
    associated_data: Option<&[u8]>,
    tag_length: u8,
) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let length = tag(tag_length)?;
    let gcm = Mechanism::AesGcm;
    if length == GCM_TAG {
        return decrypt(algorithm, material, gcm, ciphertext, iv, associated_data);
    }
    let nonce = given::<GCM_NONCE>(iv)?;
    check(algorithm, gcm, iv, associated_data)?;
    let (text, presented) = ciphertext
        .len()
        .checked_sub(length)
        .and_then(|at| ciphertext.split_at_checked(at))
        .ok_or(Refusal::NotAuthentic)?;
    // AWS-LC opens with whole tags only. Its counter mode undoes the encryption, whose first counter block is 2 (section 7.2); encrypted once
    // more, the plaintext gives the whole tag, of which the first bytes must be those that came.
    let mut counter = [0; IV];
    counter[..GCM_NONCE].copy_from_slice(&nonce);
    counter[IV - 1] = 2;
    let ctr = Mechanism::AesCtr;
    let plaintext = decrypt(algorithm, material, ctr, text, Some(&counter), None)?;
    let again = encrypt(algorithm, material, gcm, &plaintext, iv, associated_data)?;
    let right = &again.data[text.len()..text.len() + length];
    if bool::from(right.ct_eq(presented)) {
        Ok(plaintext)
    } else {
        Err(Refusal::NotAuthentic)
    }
}

fn tag(length: u8) -> Result<usize, Refusal> {
    if TAG_LENGTHS.contains(&length) {
        Ok(length.into())
    } else {
        Err(Refusal::Length("A tag of AES-GCM has 12 to 16 bytes."))
    }
}

/// Whether it is one of RSAES-OAEP.
pub(crate) fn is_oaep(mechanism: Mechanism) -> bool {
    oaep(mechanism).is_some()
}

const TOO_LONG_FOR_RSA: Refusal =
    Refusal::Length("This is too long to be encrypted with an RSA key: encrypt a key with it.");

fn check(
    algorithm: Algorithm,
    mechanism: Mechanism,
    iv: Option<&[u8]>,
    associated_data: Option<&[u8]>,
) -> Result<(), Refusal> {
    if !mechanism.suits(algorithm) {
        return Err(unsuitable(mechanism, algorithm));
    }
    let takes_iv = matches!(
        mechanism,
        Mechanism::AesGcm | Mechanism::AesCbc | Mechanism::AesCbcPad | Mechanism::AesCtr
    );
    if iv.is_some() && !takes_iv {
        return Err(Refusal::Length(
            "This mechanism takes no initialisation vector.",
        ));
    }
    let takes_data = mechanism == Mechanism::AesGcm || is_oaep(mechanism);
    if associated_data.is_some() && !takes_data {
        return Err(Refusal::Length("This mechanism takes no associated data."));
    }
    Ok(())
}

const fn oaep(mechanism: Mechanism) -> Option<&'static OaepAlgorithm> {
    match mechanism {
        Mechanism::RsaOaepSha1 => Some(&OAEP_SHA1_MGF1SHA1),
        Mechanism::RsaOaepSha256 => Some(&OAEP_SHA256_MGF1SHA256),
        Mechanism::RsaOaepSha384 => Some(&OAEP_SHA384_MGF1SHA384),
        Mechanism::RsaOaepSha512 => Some(&OAEP_SHA512_MGF1SHA512),
        _ => None,
    }
}

const fn aes(algorithm: Algorithm) -> &'static cipher::Algorithm {
    match algorithm {
        Algorithm::Aes128 => &AES_128,
        Algorithm::Aes192 => &AES_192,
        _ => &AES_256,
    }
}

fn gcm(algorithm: Algorithm, key: &[u8]) -> Result<LessSafeKey, Refusal> {
    let cipher = match algorithm {
        Algorithm::Aes128 => &AES_128_GCM,
        Algorithm::Aes192 => &AES_192_GCM,
        _ => &AES_256_GCM,
    };
    UnboundKey::new(cipher, key)
        .map(LessSafeKey::new)
        .map_err(|_| Refusal::MalformedKey(algorithm))
}

fn given<const N: usize>(iv: Option<&[u8]>) -> Result<[u8; N], Refusal> {
    iv.and_then(|iv| iv.try_into().ok()).ok_or(Refusal::Length(
        "A nonce of AES-GCM has 12 bytes; an initialisation vector or counter block has 16.",
    ))
}

fn drawn<const N: usize>(iv: Option<&[u8]>) -> Result<[u8; N], Refusal> {
    if iv.is_some() {
        return given(iv);
    }
    let mut drawn = [0; N];
    aws_lc_rs::rand::fill(&mut drawn)?;
    Ok(drawn)
}

const fn whole_blocks(plaintext: &[u8]) -> Result<(), Refusal> {
    if plaintext.len().is_multiple_of(BLOCK) {
        Ok(())
    } else {
        Err(Refusal::Length(
            "This mechanism takes whole blocks of 16 bytes.",
        ))
    }
}

const fn without_iv(data: Vec<u8>) -> Ciphertext {
    Ciphertext { data, iv: None }
}

#[cfg(test)]
mod tests;
