//! RSASSA-PKCS1-v1_5 of what the caller has encoded, usually a `DigestInfo` (RFC 8017 section 9.2): the mechanism `CKM_RSA_PKCS` of PKCS #11.
//! aws-lc-rs pads digests alone, so that AWS-LC is called by itself.

#![expect(
    unsafe_code,
    reason = "AWS-LC's own interface, where aws-lc-rs has none: decision 18"
)]

use std::mem::MaybeUninit;
use std::ptr::NonNull;

use aws_lc_sys::{
    CBS, CBS_init, EVP_PKEY, EVP_PKEY_free, EVP_PKEY_get0_RSA, EVP_parse_private_key,
    EVP_parse_public_key, RSA, RSA_PKCS1_PADDING, RSA_sign_raw, RSA_size, RSA_verify_raw,
};
use subtle::ConstantTimeEq as _;

use crate::refusal::Refusal;

/// What the padding of RFC 8017 section 9.2 takes at least, in bytes.
const PADDING: usize = 11;

/// The signature with a key as PKCS #8 in DER; none where that is no RSA key.
///
/// # Errors
/// [`Refusal::Length`] when the modulus has no room for so much.
pub(super) fn sign(material: &[u8], encoded: &[u8]) -> Result<Option<Vec<u8>>, Refusal> {
    let Some(key) = Key::parse(material, EVP_parse_private_key) else {
        return Ok(None);
    };
    if encoded.len() + PADDING > key.length() {
        return Err(Refusal::Length(
            "What is signed by RSA has at least 11 bytes less than the modulus.",
        ));
    }
    let mut signature = vec![0; key.length()];
    let mut length = 0;
    // SAFETY: the key is there as long as `key` is; at most `signature.len()` bytes are written, and `encoded` is read alone.
    let done = unsafe {
        RSA_sign_raw(
            key.rsa.as_ptr(),
            &raw mut length,
            signature.as_mut_ptr(),
            signature.len(),
            encoded.as_ptr(),
            encoded.len(),
            RSA_PKCS1_PADDING,
        )
    };
    Ok((done == 1 && length == signature.len()).then_some(signature))
}

/// Whether a signature is right by a key as `SubjectPublicKeyInfo` in DER; none where that is no RSA key.
pub(super) fn verify(public_key: &[u8], encoded: &[u8], signature: &[u8]) -> Option<bool> {
    let key = Key::parse(public_key, EVP_parse_public_key)?;
    let mut signed = vec![0; key.length()];
    let mut length = 0;
    // SAFETY: as in `sign`.
    let done = unsafe {
        RSA_verify_raw(
            key.rsa.as_ptr(),
            &raw mut length,
            signed.as_mut_ptr(),
            signed.len(),
            signature.as_ptr(),
            signature.len(),
            RSA_PKCS1_PADDING,
        )
    };
    let signed = signed.get(..length).filter(|_| done == 1);
    Some(signed.is_some_and(|signed| signed.ct_eq(encoded).into()))
}

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

    use super::super::{Signed, sign, verify};
    use super::*;
    use crate::material;

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
}
