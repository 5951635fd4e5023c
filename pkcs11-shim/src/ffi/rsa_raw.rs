//! The private RSA operation without an encoding, which aws-lc-rs has no call for: `CKM_RSA_PKCS` signs what the application encoded,
//! `CKM_RSA_X_509` has no encoding at all, and PSS has salts of any length.

use std::ptr::NonNull;

use aws_lc_sys::{
    RSA, RSA_NO_PADDING, RSA_free, RSA_private_key_from_bytes, RSA_sign_raw, RSA_size,
};
use cryptoki_sys::*;
use zeroize::Zeroizing;

use crate::error::{CkError, CkResult, fail};

/// The private half of an RSA key pair. AWS-LC blinds its operations and overwrites it at its end.
pub(crate) struct RsaKey(NonNull<RSA>);

// SAFETY: AWS-LC's RSA objects may be used by many threads at once as long as none changes them; this type changes none.
unsafe impl Send for RsaKey {}
// SAFETY: as above.
unsafe impl Sync for RsaKey {}

impl RsaKey {
    /// From an `RSAPrivateKey` (RFC 8017 appendix A.1.2). AWS-LC checks that its numbers belong together.
    pub(crate) fn from_der(der: &[u8]) -> CkResult<Self> {
        // SAFETY: the pointer and the length are of one slice, which is read alone.
        let key = unsafe { RSA_private_key_from_bytes(der.as_ptr(), der.len()) };
        match NonNull::new(key) {
            Some(key) => Ok(Self(key)),
            None => fail(
                CKR_ATTRIBUTE_VALUE_INVALID,
                "the numbers are no RSA key pair's",
            ),
        }
    }

    /// The length of the modulus, in bytes.
    pub(crate) fn length(&self) -> usize {
        // SAFETY: the key is there as long as this is.
        unsafe { RSA_size(self.0.as_ptr()) as usize }
    }

    /// The number raised to the private exponent. It has the modulus's length and is smaller.
    pub(crate) fn raise(&self, number: &[u8]) -> CkResult<Zeroizing<Vec<u8>>> {
        let mut raised = Zeroizing::new(vec![0; self.length()]);
        let mut length = 0;
        // SAFETY: the key is there; AWS-LC writes at most as many bytes as `raised` has, and reads `number` alone.
        let done = unsafe {
            RSA_sign_raw(
                self.0.as_ptr(),
                &raw mut length,
                raised.as_mut_ptr(),
                raised.len(),
                number.as_ptr(),
                number.len(),
                RSA_NO_PADDING,
            )
        };
        if done != 1 || length != raised.len() {
            return Err(CkError::new(
                CKR_DATA_INVALID,
                "the number is not one of this modulus",
            ));
        }
        Ok(raised)
    }
}

impl Drop for RsaKey {
    fn drop(&mut self) {
        // SAFETY: this one's own, and not used again.
        unsafe { RSA_free(self.0.as_ptr()) };
    }
}
