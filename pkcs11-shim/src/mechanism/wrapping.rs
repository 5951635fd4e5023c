//! AES key wrap: RFC 3394 (KW) and RFC 5649 (KWP; `CKM_AES_KEY_WRAP_KWP`, and `CKM_AES_KEY_WRAP_PAD` as applications know it).

use aes_kw::{KeyInit, KwAes128, KwAes192, KwAes256, KwpAes128, KwpAes192, KwpAes256};
use cryptoki_sys::*;
use zeroize::Zeroizing;

use super::soft::SoftKey;
use super::{Family, Mechanism, Parameter};
use crate::error::{CkError, CkResult, fail};

/// The longest that is wrapped, in bytes.
const LONGEST: usize = 64 * 1024;

/// How long what wraps so many bytes is.
pub(crate) fn wrapped_length(family: Family, length: usize) -> usize {
    match family {
        Family::AesKw => length + 8,
        _ => length.next_multiple_of(8) + 8,
    }
}

macro_rules! with_key {
    ($material:expr, $c128:ident, $c192:ident, $c256:ident, |$cipher:ident| $body:expr) => {{
        let wrong = |_| {
            CkError::new(
                CKR_WRAPPING_KEY_SIZE_RANGE,
                "an AES key has 16, 24 or 32 bytes",
            )
        };
        match $material.len() {
            16 => {
                let $cipher = $c128::new_from_slice($material).map_err(wrong)?;
                $body
            }
            24 => {
                let $cipher = $c192::new_from_slice($material).map_err(wrong)?;
                $body
            }
            _ => {
                let $cipher = $c256::new_from_slice($material).map_err(wrong)?;
                $body
            }
        }
    }};
}

pub(crate) fn wrap(
    mechanism: &Mechanism,
    key: &SoftKey,
    data: &[u8],
) -> CkResult<Zeroizing<Vec<u8>>> {
    standard_iv(mechanism)?;
    let material = key.aes()?.material();
    let fits = match mechanism.family {
        Family::AesKw => data.len().is_multiple_of(8) && data.len() >= 16,
        _ => !data.is_empty(),
    };
    if !fits || data.len() > LONGEST {
        return fail(CKR_DATA_LEN_RANGE, "what is wrapped cannot be so long");
    }
    let mut wrapped = Zeroizing::new(vec![0; wrapped_length(mechanism.family, data.len())]);
    let done = if mechanism.family == Family::AesKw {
        with_key!(material, KwAes128, KwAes192, KwAes256, |cipher| cipher
            .wrap_key(data, &mut wrapped)
            .is_ok())
    } else {
        with_key!(material, KwpAes128, KwpAes192, KwpAes256, |cipher| cipher
            .wrap_key(data, &mut wrapped)
            .is_ok())
    };
    if done {
        Ok(wrapped)
    } else {
        fail(CKR_DATA_LEN_RANGE, "what is wrapped cannot be so long")
    }
}

pub(crate) fn unwrap(
    mechanism: &Mechanism,
    key: &SoftKey,
    wrapped: &[u8],
) -> CkResult<Zeroizing<Vec<u8>>> {
    standard_iv(mechanism)?;
    let material = key.aes()?.material();
    let least = if mechanism.family == Family::AesKw {
        24
    } else {
        16
    };
    if !wrapped.len().is_multiple_of(8) || wrapped.len() < least || wrapped.len() > LONGEST + 16 {
        return fail(
            CKR_ENCRYPTED_DATA_LEN_RANGE,
            "what was wrapped cannot be so long",
        );
    }
    let mut data = Zeroizing::new(vec![0; wrapped.len()]);
    let length = if mechanism.family == Family::AesKw {
        with_key!(material, KwAes128, KwAes192, KwAes256, |cipher| cipher
            .unwrap_key(wrapped, &mut data)
            .map(<[u8]>::len)
            .ok())
    } else {
        with_key!(material, KwpAes128, KwpAes192, KwpAes256, |cipher| cipher
            .unwrap_key(wrapped, &mut data)
            .map(<[u8]>::len)
            .ok())
    };
    match length {
        Some(length) => {
            data.truncate(length);
            Ok(data)
        }
        None => fail(
            CKR_ENCRYPTED_DATA_INVALID,
            "this was not wrapped by this key",
        ),
    }
}

/// Whether this is the initial value that RFC 3394 or RFC 5649 has.
pub(crate) fn is_standard_iv(family: Family, iv: &[u8]) -> bool {
    match family {
        Family::AesKw => iv == [0xa6; 8],
        _ => iv == [0xa6, 0x59, 0x59, 0xa6],
    }
}

fn standard_iv(mechanism: &Mechanism) -> CkResult<()> {
    match (&mechanism.parameter, mechanism.family) {
        (Parameter::None, _) => Ok(()),
        (Parameter::WrapIv(iv), family) if is_standard_iv(family, iv) => Ok(()),
        _ => fail(
            CKR_MECHANISM_PARAM_INVALID,
            "the initial value of the standard alone is served",
        ),
    }
}
