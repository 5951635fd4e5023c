//! Reading mechanisms and their parameters.

use cryptoki_sys::*;

use super::pointers::bytes;
use crate::error::{CkError, CkResult, fail};
use crate::mechanism::{Family, Hash, Iv, Mechanism, Parameter, listed};

/// Associated data, labels and the like are not longer, in bytes.
const LONGEST: CK_ULONG = 1 << 24;

/// A mechanism.
///
/// # Safety
/// `mechanism` is null, or points to a mechanism whose parameter is null or points to as many bytes as it says; and where the mechanism's
/// parameter has pointers, those do likewise.
pub(super) unsafe fn mechanism(mechanism: *const CK_MECHANISM) -> CkResult<Mechanism> {
    if mechanism.is_null() {
        return fail(CKR_ARGUMENTS_BAD, "the mechanism is null");
    }
    // SAFETY: not null; promised by the caller.
    let given = unsafe { mechanism.read_unaligned() };
    let Some(listed) = listed(given.mechanism) else {
        return fail(CKR_MECHANISM_INVALID, "there is no such mechanism");
    };
    let raw = Raw {
        at: given.pParameter.cast(),
        length: given.ulParameterLen,
    };
    if raw.at.is_null() && raw.length != 0 {
        return fail(
            CKR_MECHANISM_PARAM_INVALID,
            "the parameter is null, and its length is not",
        );
    }
    // SAFETY: promised by the caller.
    let parameter = unsafe { raw.parameter(given.mechanism, listed.family) };
    let parameter =
        parameter.map_err(|error| error.told_as(CKR_ARGUMENTS_BAD, CKR_MECHANISM_PARAM_INVALID))?;
    Ok(Mechanism {
        kind: given.mechanism,
        family: listed.family,
        parameter,
    })
}

/// A parameter as it stands in memory.
struct Raw {
    at: *const u8,
    length: CK_ULONG,
}

impl Raw {
    /// # Safety
    /// As [`mechanism`].
    unsafe fn parameter(&self, kind: CK_MECHANISM_TYPE, family: Family) -> CkResult<Parameter> {
        if self.length == 0 {
            return match family {
                Family::AesCbc
                | Family::AesCbcPad
                | Family::AesCtr
                | Family::AesGcm
                | Family::RsaPss(_)
                | Family::RsaOaep
                | Family::Ecdh
                | Family::Hkdf
                | Family::AesEncryptData
                | Family::Concatenate
                | Family::Hmac { general: true, .. }
                | Family::Cmac { general: true } => bad(),
                _ => Ok(Parameter::None),
            };
        }
        // SAFETY: promised by the caller.
        unsafe {
            match family {
                Family::AesCbc | Family::AesCbcPad => Ok(Parameter::Block(self.whole()?)),
                Family::AesCtr => {
                    let CK_AES_CTR_PARAMS { ulCounterBits, cb } = self.whole()?;
                    match u32::try_from(ulCounterBits) {
                        Ok(bits @ 1..=128) => Ok(Parameter::Counter { bits, block: cb }),
                        _ => bad(),
                    }
                }
                Family::AesGcm => self.gcm(),
                Family::Hmac { general: true, .. } | Family::Cmac { general: true } => {
                    let length: CK_ULONG = self.whole()?;
                    Ok(Parameter::Length(
                        usize::try_from(length).unwrap_or(usize::MAX),
                    ))
                }
                Family::RsaPss(_) => {
                    let given: CK_RSA_PKCS_PSS_PARAMS = self.whole()?;
                    Ok(Parameter::Pss {
                        hash: hash(given.hashAlg)?,
                        mgf: mgf(given.mgf)?,
                        salt: usize::try_from(given.sLen)
                            .ok()
                            .filter(|salt| *salt <= 512)
                            .ok_or_else(wrong)?,
                    })
                }
                Family::RsaOaep => self.oaep(),
                Family::Ecdh => self.ecdh(),
                Family::Eddsa => {
                    let given: CK_EDDSA_PARAMS = self.whole()?;
                    let context = data(given.pContextData, given.ulContextDataLen)?;
                    Ok(Parameter::Context {
                        prehash: given.phFlag != CK_FALSE,
                        context,
                    })
                }
                Family::MlDsa => {
                    let given: CK_SIGN_ADDITIONAL_CONTEXT = self.whole()?;
                    let context = data(given.pContext, given.ulContextLen)?;
                    Ok(Parameter::Context {
                        prehash: false,
                        context,
                    })
                }
                Family::AesKw | Family::AesKwp => {
                    Ok(Parameter::WrapIv(bytes(self.at, self.length)?.to_vec()))
                }
                Family::AesEncryptData if kind == CKM_AES_CBC_ENCRYPT_DATA => {
                    let given: CK_AES_CBC_ENCRYPT_DATA_PARAMS = self.whole()?;
                    let data = data(given.pData, given.length)?;
                    Ok(Parameter::Data {
                        iv: Some(given.iv),
                        data,
                    })
                }
                Family::AesEncryptData | Family::Concatenate => {
                    let given: CK_KEY_DERIVATION_STRING_DATA = self.whole()?;
                    Ok(Parameter::Data {
                        iv: None,
                        data: data(given.pData, given.ulLen)?,
                    })
                }
                Family::Hkdf => self.hkdf(),
                _ => bad(),
            }
        }
    }

    unsafe fn gcm(&self) -> CkResult<Parameter> {
        /// As it was before 2.40 erratum 1, and as some applications still have it.
        #[repr(C)]
        #[derive(Clone, Copy)]
        struct WithoutBits {
            iv: *const u8,
            iv_length: CK_ULONG,
            aad: *const u8,
            aad_length: CK_ULONG,
            tag_bits: CK_ULONG,
        }
        // SAFETY: promised by the caller.
        unsafe {
            let short = self.length == size_of::<WithoutBits>() as CK_ULONG;
            let (iv, iv_length, aad, aad_length, tag) = if short {
                let given: WithoutBits = self.whole()?;
                (
                    given.iv,
                    given.iv_length,
                    given.aad,
                    given.aad_length,
                    given.tag_bits,
                )
            } else {
                let given: CK_GCM_PARAMS = self.whole()?;
                (
                    given.pIv.cast_const(),
                    given.ulIvLen,
                    given.pAAD.cast_const(),
                    given.ulAADLen,
                    given.ulTagBits,
                )
            };
            Ok(Parameter::Gcm {
                iv: Iv::new(bytes(iv, iv_length)?).ok_or_else(wrong)?,
                aad: data(aad, aad_length)?,
                tag_bits: u32::try_from(tag).map_err(|_| wrong())?,
            })
        }
    }

    unsafe fn oaep(&self) -> CkResult<Parameter> {
        // SAFETY: promised by the caller.
        unsafe {
            let given: CK_RSA_PKCS_OAEP_PARAMS = self.whole()?;
            // Some applications leave the source out where there is no label.
            if given.source != CKZ_DATA_SPECIFIED && given.ulSourceDataLen != 0 {
                return bad();
            }
            Ok(Parameter::Oaep {
                hash: hash(given.hashAlg)?,
                mgf: mgf(given.mgf)?,
                label: data(given.pSourceData.cast(), given.ulSourceDataLen)?,
            })
        }
    }

    unsafe fn ecdh(&self) -> CkResult<Parameter> {
        // SAFETY: promised by the caller.
        unsafe {
            let given: CK_ECDH1_DERIVE_PARAMS = self.whole()?;
            let kdf = match given.kdf {
                CKD_NULL => None,
                CKD_SHA1_KDF => Some(Hash::Sha1),
                CKD_SHA224_KDF => Some(Hash::Sha224),
                CKD_SHA256_KDF => Some(Hash::Sha256),
                CKD_SHA384_KDF => Some(Hash::Sha384),
                CKD_SHA512_KDF => Some(Hash::Sha512),
                _ => return bad(),
            };
            let shared = data(given.pSharedData, given.ulSharedDataLen)?;
            if kdf.is_none() && !shared.is_empty() {
                return bad();
            }
            let public = data(given.pPublicData, given.ulPublicDataLen)?;
            Ok(Parameter::Ecdh {
                kdf,
                shared,
                public,
            })
        }
    }

    unsafe fn hkdf(&self) -> CkResult<Parameter> {
        // SAFETY: promised by the caller.
        unsafe {
            let given: CK_HKDF_PARAMS = self.whole()?;
            let salt = match given.ulSaltType {
                CKF_HKDF_SALT_NULL => Vec::new(),
                CKF_HKDF_SALT_DATA => data(given.pSalt, given.ulSaltLen)?,
                _ => return bad(),
            };
            let (extract, expand) = (given.bExtract != CK_FALSE, given.bExpand != CK_FALSE);
            if !extract && !expand {
                return bad();
            }
            Ok(Parameter::Hkdf {
                extract,
                expand,
                hash: hash(given.prfHashMechanism)?,
                salt,
                info: data(given.pInfo, given.ulInfoLen)?,
            })
        }
    }

    /// The parameter as a T, where it is as long as one.
    ///
    /// # Safety
    /// As [`mechanism`]; and any bytes are a T.
    unsafe fn whole<T: Copy>(&self) -> CkResult<T> {
        if self.length != size_of::<T>() as CK_ULONG {
            return bad();
        }
        // SAFETY: as long as a T, and not null, as the length is not 0.
        Ok(unsafe { self.at.cast::<T>().read_unaligned() })
    }
}

/// # Safety
/// As [`bytes`].
unsafe fn data(at: *const u8, length: CK_ULONG) -> CkResult<Vec<u8>> {
    if length > LONGEST {
        return bad();
    }
    // SAFETY: promised by the caller.
    unsafe { bytes(at, length) }.map(<[u8]>::to_vec)
}

fn hash(mechanism: CK_MECHANISM_TYPE) -> CkResult<Hash> {
    Hash::of_mechanism(mechanism).ok_or_else(wrong)
}

fn mgf(mgf: CK_RSA_PKCS_MGF_TYPE) -> CkResult<Hash> {
    Hash::of_mgf(mgf).ok_or_else(wrong)
}

fn wrong() -> CkError {
    CkError::new(
        CKR_MECHANISM_PARAM_INVALID,
        "the mechanism takes another parameter",
    )
}

fn bad<T>() -> CkResult<T> {
    Err(wrong())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mechanism::list::ALL;

    /// Parameters without pointers in them: any bytes may be one.
    fn is_flat(family: Family) -> bool {
        !matches!(
            family,
            Family::AesGcm
                | Family::RsaOaep
                | Family::Ecdh
                | Family::Eddsa
                | Family::MlDsa
                | Family::AesEncryptData
                | Family::Concatenate
                | Family::Hkdf
        )
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_parameter_or_refused(at in 0..ALL.len(), mut parameter in proptest::collection::vec(any::<u8>(), 0..64)) {
            let listed = &ALL[at];
            prop_assume!(is_flat(listed.family));
            let given = CK_MECHANISM {
                mechanism: listed.kind,
                pParameter: parameter.as_mut_ptr().cast(),
                ulParameterLen: parameter.len() as CK_ULONG,
            };
            // SAFETY: the parameter is as long as it says, and has no pointers in it.
            match unsafe { mechanism(&raw const given) } {
                Ok(mechanism) => prop_assert_eq!(mechanism.kind, listed.kind),
                Err(error) => prop_assert_eq!(error.rv, CKR_MECHANISM_PARAM_INVALID),
            }
        }

        #[test]
        fn any_lengths_are_refused_or_read(iv in 0_usize..300, aad in 0_usize..40, null in any::<[bool; 2]>(), tag in any::<u64>(), length in 0_u64..64) {
            let mut iv = vec![7; iv];
            let mut aad = vec![8; aad];
            let pointer = |null: bool, bytes: &mut Vec<u8>| if null { std::ptr::null_mut() } else { bytes.as_mut_ptr() };
            let mut given = CK_GCM_PARAMS {
                pIv: pointer(null[0], &mut iv),
                ulIvLen: iv.len() as CK_ULONG,
                ulIvBits: 0,
                pAAD: pointer(null[1], &mut aad),
                ulAADLen: aad.len() as CK_ULONG,
                ulTagBits: tag,
            };
            let whole = CK_MECHANISM {
                mechanism: CKM_AES_GCM,
                pParameter: (&raw mut given).cast(),
                ulParameterLen: size_of::<CK_GCM_PARAMS>() as CK_ULONG,
            };
            // SAFETY: every pointer is null or points to as many bytes as it says.
            let read = unsafe { mechanism(&raw const whole) };
            let good = !null[0] && !iv.is_empty() && (!null[1] || aad.is_empty()) && u32::try_from(tag).is_ok();
            prop_assert_eq!(read.is_ok(), good);
            let cut = CK_MECHANISM { ulParameterLen: length, ..whole };
            if length != size_of::<CK_GCM_PARAMS>() as CK_ULONG && length != 40 {
                // SAFETY: as above; the parameter is longer than it says or refused.
                let read = unsafe { mechanism(&raw const cut) };
                prop_assert!(read.is_err());
            }
        }
    }
}
