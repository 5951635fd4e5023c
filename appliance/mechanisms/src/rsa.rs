//! RSA where aws-lc-rs has no call for it, so that AWS-LC is called by itself: RSASSA-PKCS1-v1_5 of what the caller has encoded, usually a
//! `DigestInfo` (RFC 8017 section 9.2; `CKM_RSA_PKCS` of PKCS #11); RSA without an encoding (`CKM_RSA_X_509`); and signatures with the hash
//! functions with which aws-lc-rs does not sign any more, SHA-1 and SHA-224.

#![expect(
    unsafe_code,
    reason = "AWS-LC's own interface, where aws-lc-rs has none: decision 18"
)]

use std::borrow::Cow;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

use aws_lc_rs::digest;
use aws_lc_sys::{
    CBS, CBS_init, EVP_MD, EVP_PKEY, EVP_PKEY_free, EVP_PKEY_get0_RSA, EVP_parse_private_key,
    EVP_parse_public_key, EVP_sha1, EVP_sha224, NID_sha1, NID_sha224, RSA, RSA_NO_PADDING,
    RSA_PKCS1_PADDING, RSA_decrypt, RSA_encrypt, RSA_sign, RSA_sign_pss_mgf1, RSA_sign_raw,
    RSA_size, RSA_verify, RSA_verify_pss_mgf1, RSA_verify_raw,
};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::refusal::Refusal;

/// What the padding of RFC 8017 section 9.2 takes at least, in bytes.
const PADDING: usize = 11;

/// A hash function with which aws-lc-rs does not sign any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OldHash {
    Sha1,
    Sha224,
}

impl OldHash {
    pub(crate) fn algorithm(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha224 => &digest::SHA224,
        }
    }

    const fn nid(self) -> i32 {
        match self {
            Self::Sha1 => NID_sha1,
            Self::Sha224 => NID_sha224,
        }
    }

    fn md(self) -> *const EVP_MD {
        // SAFETY: they take nothing, and give a table that lasts as long as the program.
        unsafe {
            match self {
                Self::Sha1 => EVP_sha1(),
                Self::Sha224 => EVP_sha224(),
            }
        }
    }
}

/// What the private key's operation is done with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// What the caller has encoded, with the padding of RFC 8017 section 9.2.
    Padded,
    /// The number that the caller gives, with zeros before it.
    Bare,
    /// A digest, by RSASSA-PKCS1-v1_5.
    Pkcs1(OldHash),
    /// A digest, by RSASSA-PSS with a salt of so many bytes.
    Pss(OldHash, u16),
}

/// The signature with a key as PKCS #8 in DER; none where that is no RSA key.
///
/// # Errors
/// [`Refusal::Length`] when the modulus has no room for so much, or a number is not smaller than the modulus.
pub(crate) fn sign(
    material: &[u8],
    encoding: Encoding,
    data: &[u8],
) -> Result<Option<Vec<u8>>, Refusal> {
    let Some(key) = Key::parse(material, EVP_parse_private_key) else {
        return Ok(None);
    };
    let rsa = key.rsa.as_ptr();
    let (data, padding) = match encoding {
        Encoding::Padded if data.len() + PADDING > key.length() => {
            return Err(Refusal::Length(
                "What is signed by RSA has at least 11 bytes less than the modulus.",
            ));
        }
        Encoding::Padded | Encoding::Pkcs1(_) | Encoding::Pss(..) => {
            (Cow::Borrowed(data), RSA_PKCS1_PADDING)
        }
        Encoding::Bare => (key.number(data)?, RSA_NO_PADDING),
    };
    let mut signature = vec![0; key.length()];
    let (out, room) = (signature.as_mut_ptr(), signature.len());
    let mut length = 0;
    // SAFETY: the key is there as long as `key` is; at most `room` bytes are written, for which `RSA_sign` needs as many as the modulus has, and
    // `data` is read alone.
    let done = unsafe {
        match encoding {
            Encoding::Padded | Encoding::Bare => RSA_sign_raw(
                rsa,
                &raw mut length,
                out,
                room,
                data.as_ptr(),
                data.len(),
                padding,
            ),
            Encoding::Pkcs1(hash) => {
                let mut written = 0;
                let (digest, of) = (data.as_ptr(), data.len());
                let done = RSA_sign(hash.nid(), digest, of, out, &raw mut written, rsa);
                length = written as usize;
                done
            }
            Encoding::Pss(hash, salt) => RSA_sign_pss_mgf1(
                rsa,
                &raw mut length,
                out,
                room,
                data.as_ptr(),
                data.len(),
                hash.md(),
                hash.md(),
                salt.into(),
            ),
        }
    };
    if done == 1 && length == signature.len() {
        return Ok(Some(signature));
    }
    if encoding == Encoding::Bare {
        return Err(NOT_SMALLER);
    }
    Ok(None)
}

/// Whether a signature is right by a key as `SubjectPublicKeyInfo` in DER; none where that is no RSA key.
///
/// # Errors
/// [`Refusal::Length`] when a number is longer than the modulus.
pub(crate) fn verify(
    public_key: &[u8],
    encoding: Encoding,
    data: &[u8],
    signature: &[u8],
) -> Result<Option<bool>, Refusal> {
    let Some(key) = Key::parse(public_key, EVP_parse_public_key) else {
        return Ok(None);
    };
    let rsa = key.rsa.as_ptr();
    let (sig, sig_len) = (signature.as_ptr(), signature.len());
    let (digest, of) = (data.as_ptr(), data.len());
    let (expected, padding) = match encoding {
        Encoding::Padded => (Cow::Borrowed(data), RSA_PKCS1_PADDING),
        Encoding::Bare => (key.number(data)?, RSA_NO_PADDING),
        Encoding::Pkcs1(hash) => {
            // SAFETY: as in `sign`; nothing is written.
            let right = unsafe { RSA_verify(hash.nid(), digest, of, sig, sig_len, rsa) };
            return Ok(Some(right == 1));
        }
        Encoding::Pss(hash, salt) => {
            let md = hash.md();
            // SAFETY: as in `sign`; nothing is written.
            let right =
                unsafe { RSA_verify_pss_mgf1(rsa, digest, of, md, md, salt.into(), sig, sig_len) };
            return Ok(Some(right == 1));
        }
    };
    let mut signed = vec![0; key.length()];
    let (out, room) = (signed.as_mut_ptr(), signed.len());
    let mut length = 0;
    // SAFETY: as in `sign`.
    let done = unsafe { RSA_verify_raw(rsa, &raw mut length, out, room, sig, sig_len, padding) };
    let signed = signed.get(..length).filter(|_| done == 1);
    Ok(Some(
        signed.is_some_and(|signed| signed.ct_eq(&expected).into()),
    ))
}

/// The number raised to the public exponent, with a key as `SubjectPublicKeyInfo` in DER; none where that is no RSA key.
///
/// # Errors
/// [`Refusal::Length`] when the number is not smaller than the modulus.
pub(crate) fn encrypt(public_key: &[u8], number: &[u8]) -> Result<Option<Vec<u8>>, Refusal> {
    let Some(key) = Key::parse(public_key, EVP_parse_public_key) else {
        return Ok(None);
    };
    let number = key.number(number)?;
    let mut raised = vec![0; key.length()];
    let mut length = 0;
    // SAFETY: as in `sign`.
    let done = unsafe {
        RSA_encrypt(
            key.rsa.as_ptr(),
            &raw mut length,
            raised.as_mut_ptr(),
            raised.len(),
            number.as_ptr(),
            number.len(),
            RSA_NO_PADDING,
        )
    };
    if done == 1 && length == raised.len() {
        Ok(Some(raised))
    } else {
        Err(NOT_SMALLER)
    }
}

/// The number raised to the private exponent, at the modulus's length, with a key as PKCS #8 in DER; none where that is no RSA key.
///
/// # Errors
/// [`Refusal::NotAuthentic`] when it is no ciphertext of this key's.
pub(crate) fn decrypt(
    material: &[u8],
    ciphertext: &[u8],
) -> Result<Option<Zeroizing<Vec<u8>>>, Refusal> {
    let Some(key) = Key::parse(material, EVP_parse_private_key) else {
        return Ok(None);
    };
    let mut raised = Zeroizing::new(vec![0; key.length()]);
    let mut length = 0;
    // SAFETY: as in `sign`.
    let done = unsafe {
        RSA_decrypt(
            key.rsa.as_ptr(),
            &raw mut length,
            raised.as_mut_ptr(),
            raised.len(),
            ciphertext.as_ptr(),
            ciphertext.len(),
            RSA_NO_PADDING,
        )
    };
    if done == 1 && length == raised.len() {
        Ok(Some(raised))
    } else {
        Err(Refusal::NotAuthentic)
    }
}

const NOT_SMALLER: Refusal =
    Refusal::Length("What goes through RSA without an encoding is a number below the modulus.");

/// An RSA key of AWS-LC, which overwrites it at its end.
struct Key {
    whole: NonNull<EVP_PKEY>,
    rsa: NonNull<RSA>,
}

impl Key {
    fn parse(der: &[u8], parse: unsafe extern "C" fn(*mut CBS) -> *mut EVP_PKEY) -> Option<Self> {
        let mut cursor = MaybeUninit::<CBS>::uninit();
        // SAFETY: `CBS_init` fills the cursor, which is of `der` and used while that is there; what is parsed is this one's own.
        let whole = unsafe {
            CBS_init(cursor.as_mut_ptr(), der.as_ptr(), der.len());
            NonNull::new(parse(cursor.as_mut_ptr()))?
        };
        // SAFETY: the key is there; its RSA key, if it is one, is there as long.
        let rsa = NonNull::new(unsafe { EVP_PKEY_get0_RSA(whole.as_ptr()) });
        let Some(rsa) = rsa else {
            // SAFETY: this one's own, and not used again.
            unsafe { EVP_PKEY_free(whole.as_ptr()) };
            return None;
        };
        Some(Self { whole, rsa })
    }

    /// A number at the modulus's length.
    fn number<'a>(&self, bytes: &'a [u8]) -> Result<Cow<'a, [u8]>, Refusal> {
        match self.length().checked_sub(bytes.len()) {
            None => Err(NOT_SMALLER),
            Some(0) => Ok(Cow::Borrowed(bytes)),
            Some(missing) => {
                let mut whole = vec![0; missing];
                whole.extend_from_slice(bytes);
                Ok(Cow::Owned(whole))
            }
        }
    }

    /// The length of the modulus, in bytes.
    fn length(&self) -> usize {
        // SAFETY: the key is there.
        unsafe { RSA_size(self.rsa.as_ptr()) as usize }
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        // SAFETY: this one's own, and not used again.
        unsafe { EVP_PKEY_free(self.whole.as_ptr()) };
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use strongroom_wire::key::Algorithm;
    use strongroom_wire::operation::{Mechanism, SignatureEncoding};

    use super::Refusal;
    use crate::encrypt::{decrypt, encrypt};
    use crate::material;
    use crate::sign::{Signed, sign, verify};

    fn signed(mechanism: Mechanism, data: &[u8]) -> Signed<'_> {
        Signed {
            mechanism,
            data,
            prehashed: true,
            encoding: SignatureEncoding::Der,
            salt_length: None,
        }
    }

    #[test]
    fn a_digest_info_is_signed_as_its_digest_is() {
        let algorithm = Algorithm::Rsa2048;
        let made = material::generate(algorithm, None).unwrap();
        let (key, public_key) = (made.bytes, made.public_key.unwrap());
        let digest = [7; 32];
        let head = "3031300d060960864801650304020105000420";
        let info = [hex::decode(head).unwrap(), digest.to_vec()].concat();
        let by_info = sign(algorithm, &key, signed(Mechanism::RsaPkcs1, &info)).unwrap();
        let by_digest = sign(algorithm, &key, signed(Mechanism::RsaPkcs1Sha256, &digest)).unwrap();
        assert_eq!(by_info, by_digest);
        for (data, right) in [(&info[..], true), (&info[1..], false), (&[][..], false)] {
            let said = verify(
                algorithm,
                &public_key,
                signed(Mechanism::RsaPkcs1, data),
                &by_info,
            );
            assert_eq!(said.unwrap(), right);
        }
        let mut altered = by_info;
        altered[100] ^= 1;
        for signature in [&altered[..], &altered[1..], &[]] {
            let said = verify(
                algorithm,
                &public_key,
                signed(Mechanism::RsaPkcs1, &info),
                signature,
            );
            assert!(!said.unwrap());
        }
    }

    #[test]
    fn as_much_is_signed_as_the_modulus_has_room_for() {
        let algorithm = Algorithm::Rsa2048;
        let made = material::generate(algorithm, None).unwrap();
        let (key, public_key) = (made.bytes, made.public_key.unwrap());
        for length in [0, 1, 36, 245] {
            let data = vec![0x5a; length];
            let signature = sign(algorithm, &key, signed(Mechanism::RsaPkcs1, &data)).unwrap();
            assert!(
                verify(
                    algorithm,
                    &public_key,
                    signed(Mechanism::RsaPkcs1, &data),
                    &signature
                )
                .unwrap()
            );
        }
        let long = vec![0x5a; 246];
        assert!(matches!(
            sign(algorithm, &key, signed(Mechanism::RsaPkcs1, &long)),
            Err(Refusal::Length(_))
        ));
        let elliptic = material::generate(Algorithm::EcP256, None).unwrap().bytes;
        assert!(matches!(
            sign(algorithm, &elliptic, signed(Mechanism::RsaPkcs1, &[7])),
            Err(Refusal::MalformedKey(_))
        ));
    }

    #[test]
    fn without_an_encoding_a_number_is_raised_and_no_more() {
        let algorithm = Algorithm::Rsa2048;
        let made = material::generate(algorithm, None).unwrap();
        let (key, public_key) = (made.bytes, made.public_key.unwrap());
        let raw = Mechanism::RsaRaw;
        // What is signed without an encoding is what whoever encodes by themselves signs with one.
        let digest = [7; 32];
        let head = "3031300d060960864801650304020105000420";
        let info = [hex::decode(head).unwrap(), digest.to_vec()].concat();
        let ones = vec![0xff; 256 - 3 - info.len()];
        let encoded = [&[0, 1][..], &ones, &[0], &info].concat();
        let by_hand = sign(algorithm, &key, signed(raw, &encoded)).unwrap();
        let usual = sign(algorithm, &key, signed(Mechanism::RsaPkcs1Sha256, &digest)).unwrap();
        assert_eq!(by_hand, usual);
        let right = |data: &[u8], signature: &[u8]| {
            verify(algorithm, &public_key, signed(raw, data), signature)
        };
        assert!(right(&encoded, &usual).unwrap());
        // Zeros stand before what is shorter.
        assert!(right(&encoded[1..], &usual).unwrap());
        assert!(!right(&encoded[2..], &usual).unwrap());
        for wrong in [&usual[1..], &[0; 256], &[0xff; 256], &[]] {
            assert!(!right(&encoded, wrong).unwrap());
        }

        let sealed = encrypt(algorithm, &public_key, raw, b"number", None, None).unwrap();
        assert_eq!((sealed.data.len(), sealed.iv), (256, None));
        let opened = decrypt(algorithm, &key, raw, &sealed.data, None, None).unwrap();
        assert_eq!(*opened, [&[0; 250][..], b"number"].concat());
        // To decrypt is to sign.
        let decrypted = decrypt(algorithm, &key, raw, &encoded, None, None).unwrap();
        assert_eq!(*decrypted, by_hand);

        for much in [&[0xff; 256][..], &[0; 257]] {
            let length = |refused: Option<Refusal>| matches!(refused, Some(Refusal::Length(_)));
            assert!(length(sign(algorithm, &key, signed(raw, much)).err()));
            let refused = encrypt(algorithm, &public_key, raw, much, None, None).err();
            assert!(length(refused));
            let refused = decrypt(algorithm, &key, raw, much, None, None);
            assert_eq!(refused.err(), Some(Refusal::NotAuthentic));
        }
        let short = decrypt(algorithm, &key, raw, &sealed.data[1..], None, None);
        assert_eq!(short.err(), Some(Refusal::NotAuthentic));
        let whole = Signed {
            prehashed: false,
            ..signed(raw, &encoded)
        };
        let refused = sign(algorithm, &key, whole).err();
        assert!(matches!(refused, Some(Refusal::Length(_))));
        assert!(encrypt(algorithm, &public_key, raw, b"a", Some(&[0; 16]), None).is_err());
    }
}
