//! Templates and mechanisms made of any bytes, as a fuzzer gives them: every pointer is null or points to as many bytes as it says, or says more than
//! any memory has.

use std::ptr::null_mut;

use cryptoki_sys::*;
use strongroom_pkcs11::object::{Kind, kind_of};

/// Bytes that are read from the front; noughts where there are no more.
pub struct Bytes<'a>(pub &'a [u8]);

impl Bytes<'_> {
    pub fn byte(&mut self) -> u8 {
        self.0.split_off_first().copied().unwrap_or_default()
    }

    fn number(&mut self) -> CK_ULONG {
        CK_ULONG::from_ne_bytes(std::array::from_fn(|_| self.byte()))
    }

    fn some(&mut self) -> Vec<u8> {
        let length = usize::from(self.byte() % 48).min(self.0.len());
        self.0.split_off(..length).unwrap_or_default().to_vec()
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::from(self.byte()) % all.len()]
    }
}

/// Lengths that no memory has.
const ABSURD: [CK_ULONG; 4] = [CK_ULONG::MAX, CK_ULONG::MAX - 7, 1 << 63, (1 << 63) + 24];

/// A place and a length of it, and the memory.
struct Place {
    at: *mut u8,
    length: CK_ULONG,
    memory: Vec<u8>,
}

fn place(bytes: &mut Bytes<'_>) -> Place {
    let mut memory = bytes.some();
    let (at, length) = (memory.as_mut_ptr(), memory.len() as CK_ULONG);
    let (at, length) = match bytes.byte() % 8 {
        0 => (null_mut(), 0),
        1 => (null_mut(), length),
        2 => (at, bytes.one_of(&ABSURD)),
        3 => (null_mut(), bytes.one_of(&ABSURD)),
        _ => (at, length),
    };
    Place { at, length, memory }
}

/// A template in memory.
#[derive(Default)]
pub struct AnyTemplate {
    pub attributes: Vec<CK_ATTRIBUTE>,
    places: Vec<Place>,
    nested: Vec<AnyTemplate>,
}

const KNOWN: [CK_ATTRIBUTE_TYPE; 40] = [
    CKA_CLASS,
    CKA_TOKEN,
    CKA_PRIVATE,
    CKA_LABEL,
    CKA_ID,
    CKA_KEY_TYPE,
    CKA_VALUE,
    CKA_VALUE_LEN,
    CKA_CERTIFICATE_TYPE,
    CKA_SUBJECT,
    CKA_ISSUER,
    CKA_SERIAL_NUMBER,
    CKA_SENSITIVE,
    CKA_EXTRACTABLE,
    CKA_ENCRYPT,
    CKA_SIGN,
    CKA_WRAP,
    CKA_DERIVE,
    CKA_MODULUS,
    CKA_MODULUS_BITS,
    CKA_PUBLIC_EXPONENT,
    CKA_PRIVATE_EXPONENT,
    CKA_PRIME_1,
    CKA_EC_PARAMS,
    CKA_EC_POINT,
    CKA_START_DATE,
    CKA_LOCAL,
    CKA_UNIQUE_ID,
    CKA_TRUSTED,
    CKA_ALLOWED_MECHANISMS,
    CKA_ALWAYS_AUTHENTICATE,
    CKA_PARAMETER_SET,
    CKA_WRAP_TEMPLATE,
    CKA_UNWRAP_TEMPLATE,
    CKA_DERIVE_TEMPLATE,
    CKA_ENCAPSULATE_TEMPLATE,
    CKA_OBJECT_ID,
    CKA_APPLICATION,
    CKA_VENDOR_DEFINED | 1,
    CKA_VENDOR_DEFINED | 0x5352_0001,
];

impl AnyTemplate {
    pub fn of(bytes: &mut Bytes<'_>) -> Self {
        Self::below(bytes, 0)
    }

    fn below(bytes: &mut Bytes<'_>, depth: u8) -> Self {
        let mut template = Self::default();
        for _ in 0..bytes.byte() % 10 {
            let kind = match bytes.byte() % 6 {
                0 => bytes.number(),
                _ => bytes.one_of(&KNOWN),
            };
            let mut place = place(bytes);
            match kind_of(kind) {
                Kind::Template => {
                    // Its bytes are attributes, whose pointers are promised to be good: no others are tried.
                    let mut nested = if depth < 6 {
                        Self::below(bytes, depth + 1)
                    } else {
                        Self::default()
                    };
                    place.at = nested.attributes.as_mut_ptr().cast();
                    let whole = nested.attributes.len() * size_of::<CK_ATTRIBUTE>();
                    let cut = usize::from(bytes.byte().is_multiple_of(4));
                    place.length = whole.saturating_sub(cut) as CK_ULONG;
                    template.nested.push(nested);
                }
                Kind::Bool if !bytes.byte().is_multiple_of(4) => {
                    place = Place::of(vec![bytes.byte() % 2]);
                }
                Kind::Number if !bytes.byte().is_multiple_of(4) => {
                    let number = match bytes.byte() % 4 {
                        0 => bytes.number(),
                        _ => CK_ULONG::from(bytes.byte() % 40),
                    };
                    place = Place::of(number.to_ne_bytes().to_vec());
                }
                _ => {}
            }
            template.attributes.push(CK_ATTRIBUTE {
                type_: kind,
                pValue: place.at.cast(),
                ulValueLen: place.length,
            });
            template.places.push(place);
        }
        template
    }

    /// Places to read values into: as long as they say, with what must not be written behind them.
    pub fn to_fill(bytes: &mut Bytes<'_>) -> (Self, impl Fn(&Self) -> bool + use<>) {
        let mut template = Self::default();
        for _ in 0..=bytes.byte() % 10 {
            let kind = match bytes.byte() % 6 {
                0 => bytes.number(),
                _ => bytes.one_of(&KNOWN),
            };
            let room = if kind_of(kind) == Kind::Template {
                0
            } else {
                usize::from(bytes.byte() % 80)
            };
            let mut place = Place::of(vec![0xa5; room + 16]);
            place.length = room as CK_ULONG;
            template.attributes.push(CK_ATTRIBUTE {
                type_: kind,
                pValue: if room == 0 {
                    null_mut()
                } else {
                    place.at.cast()
                },
                ulValueLen: place.length,
            });
            template.places.push(place);
        }
        let kept = |template: &Self| {
            template.places.iter().all(|place| {
                let (_, behind) = place.memory.split_at(place.length as usize);
                behind.iter().all(|byte| *byte == 0xa5)
            })
        };
        (template, kept)
    }

    pub fn parts(&mut self) -> (*mut CK_ATTRIBUTE, CK_ULONG) {
        (
            self.attributes.as_mut_ptr(),
            self.attributes.len() as CK_ULONG,
        )
    }
}

impl Place {
    fn of(mut memory: Vec<u8>) -> Self {
        Self {
            at: memory.as_mut_ptr(),
            length: memory.len() as CK_ULONG,
            memory,
        }
    }
}

/// A mechanism in memory.
pub struct AnyMechanism {
    pub mechanism: CK_MECHANISM,
    parameter: Vec<u8>,
    places: [Place; 2],
}

const WITH_POINTERS: [CK_MECHANISM_TYPE; 11] = [
    CKM_AES_GCM,
    CKM_RSA_PKCS_OAEP,
    CKM_ECDH1_DERIVE,
    CKM_ECDH1_COFACTOR_DERIVE,
    CKM_EDDSA,
    CKM_ML_DSA,
    CKM_AES_ECB_ENCRYPT_DATA,
    CKM_AES_CBC_ENCRYPT_DATA,
    CKM_CONCATENATE_BASE_AND_DATA,
    CKM_CONCATENATE_DATA_AND_BASE,
    CKM_HKDF_DERIVE,
];

/// The bytes of a structure of C.
fn raw<T: Copy>(parameter: &T) -> Vec<u8> {
    let at = std::ptr::from_ref(parameter).cast::<u8>();
    // SAFETY: the structure's own bytes; those that fill it up are zero, as each is made of zeros first.
    unsafe { std::slice::from_raw_parts(at, size_of::<T>()) }.to_vec()
}

/// A structure whose members are all set afterwards.
fn zeros<T: Copy>() -> T {
    // SAFETY: numbers, bytes and pointers, which may all be zero.
    unsafe { std::mem::zeroed() }
}

impl AnyMechanism {
    pub fn of(bytes: &mut Bytes<'_>, known: &[CK_MECHANISM_TYPE]) -> Self {
        let kind = match bytes.byte() % 8 {
            0 => bytes.number(),
            1..4 => bytes.one_of(&WITH_POINTERS),
            _ => bytes.one_of(known),
        };
        let places = [place(bytes), place(bytes)];
        let [one, other] = &places;
        let hash = bytes.one_of(&[CKM_SHA256, CKM_SHA_1, CKM_SHA512, CKM_MD5, 0]);
        let parameter = match kind {
            CKM_AES_GCM => raw(&CK_GCM_PARAMS {
                pIv: one.at,
                ulIvLen: one.length,
                ulIvBits: bytes.number(),
                pAAD: other.at,
                ulAADLen: other.length,
                ulTagBits: CK_ULONG::from(bytes.byte()),
            }),
            CKM_RSA_PKCS_OAEP => raw(&CK_RSA_PKCS_OAEP_PARAMS {
                hashAlg: hash,
                mgf: CK_ULONG::from(bytes.byte() % 9),
                source: CK_ULONG::from(bytes.byte() % 3),
                pSourceData: one.at.cast(),
                ulSourceDataLen: one.length,
            }),
            CKM_ECDH1_DERIVE | CKM_ECDH1_COFACTOR_DERIVE => raw(&CK_ECDH1_DERIVE_PARAMS {
                kdf: CK_ULONG::from(bytes.byte() % 10),
                ulSharedDataLen: one.length,
                pSharedData: one.at,
                ulPublicDataLen: other.length,
                pPublicData: other.at,
            }),
            CKM_EDDSA => {
                let mut given: CK_EDDSA_PARAMS = zeros();
                given.phFlag = bytes.byte() % 3;
                given.ulContextDataLen = one.length;
                given.pContextData = one.at;
                raw(&given)
            }
            CKM_ML_DSA => {
                let mut given: CK_SIGN_ADDITIONAL_CONTEXT = zeros();
                given.hedgeVariant = CK_ULONG::from(bytes.byte() % 4);
                given.pContext = one.at;
                given.ulContextLen = one.length;
                raw(&given)
            }
            CKM_AES_CBC_ENCRYPT_DATA => {
                let mut given: CK_AES_CBC_ENCRYPT_DATA_PARAMS = zeros();
                given.pData = one.at;
                given.length = one.length;
                raw(&given)
            }
            CKM_AES_ECB_ENCRYPT_DATA
            | CKM_CONCATENATE_BASE_AND_DATA
            | CKM_CONCATENATE_DATA_AND_BASE => raw(&CK_KEY_DERIVATION_STRING_DATA {
                pData: one.at,
                ulLen: one.length,
            }),
            CKM_HKDF_DERIVE => {
                let mut given: CK_HKDF_PARAMS = zeros();
                given.bExtract = bytes.byte() % 2;
                given.bExpand = bytes.byte() % 2;
                given.prfHashMechanism = hash;
                given.ulSaltType = CK_ULONG::from(bytes.byte() % 5);
                given.pSalt = one.at;
                given.ulSaltLen = one.length;
                given.pInfo = other.at;
                given.ulInfoLen = other.length;
                raw(&given)
            }
            _ => bytes.some(),
        };
        let mut this = Self {
            mechanism: CK_MECHANISM {
                mechanism: kind,
                pParameter: null_mut(),
                ulParameterLen: 0,
            },
            parameter,
            places,
        };
        let length = this.parameter.len() as CK_ULONG;
        let (at, length) = match bytes.byte() % 8 {
            0 => (null_mut(), length),
            // What is cut off has no whole structure in it.
            1 => (this.parameter.as_mut_ptr(), length.saturating_sub(1)),
            _ => (this.parameter.as_mut_ptr(), length),
        };
        this.mechanism.pParameter = at.cast();
        this.mechanism.ulParameterLen = length;
        this
    }
}
