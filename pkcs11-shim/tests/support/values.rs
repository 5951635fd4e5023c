//! Templates and mechanisms as they stand in an application's memory.

use std::ptr::null_mut;

use cryptoki_sys::*;

/// A value of a template.
#[derive(Clone)]
pub enum V<'a> {
    Yes,
    No,
    N(CK_ULONG),
    B(&'a [u8]),
}

pub type T<'a> = (CK_ATTRIBUTE_TYPE, V<'a>);

/// A template in memory, and the values it points to.
pub struct Template {
    _values: Vec<Vec<u8>>,
    pub attributes: Vec<CK_ATTRIBUTE>,
}

impl Template {
    pub fn new(template: &[T<'_>]) -> Self {
        let mut values: Vec<Vec<u8>> = template
            .iter()
            .map(|(_, value)| match value {
                V::Yes => vec![CK_TRUE],
                V::No => vec![CK_FALSE],
                V::N(number) => number.to_ne_bytes().to_vec(),
                V::B(bytes) => bytes.to_vec(),
            })
            .collect();
        let attributes = template.iter().zip(&mut values);
        let attributes = attributes.map(|((kind, _), value)| CK_ATTRIBUTE {
            type_: *kind,
            pValue: if value.is_empty() {
                null_mut()
            } else {
                value.as_mut_ptr().cast()
            },
            ulValueLen: value.len() as CK_ULONG,
        });
        Self {
            attributes: attributes.collect(),
            _values: values,
        }
    }

    pub fn parts(&mut self) -> (*mut CK_ATTRIBUTE, CK_ULONG) {
        (
            self.attributes.as_mut_ptr(),
            self.attributes.len() as CK_ULONG,
        )
    }
}

/// A mechanism in memory.
pub struct How {
    parameter: Vec<u8>,
    kind: CK_MECHANISM_TYPE,
}

impl How {
    pub fn plain(kind: CK_MECHANISM_TYPE) -> Self {
        Self {
            kind,
            parameter: Vec::new(),
        }
    }

    pub fn bytes(kind: CK_MECHANISM_TYPE, parameter: &[u8]) -> Self {
        Self {
            kind,
            parameter: parameter.to_vec(),
        }
    }

    /// The parameter as it stands in memory; what it points to has to live as long.
    pub fn of<P: Copy>(kind: CK_MECHANISM_TYPE, parameter: &P) -> Self {
        // SAFETY: the bytes of a plain C structure without padding.
        let bytes = unsafe {
            std::slice::from_raw_parts(std::ptr::from_ref(parameter).cast::<u8>(), size_of::<P>())
        };
        Self {
            kind,
            parameter: bytes.to_vec(),
        }
    }

    pub fn gcm(iv: &[u8], aad: &[u8], tag: usize) -> Self {
        let parameter = CK_GCM_PARAMS {
            pIv: iv.as_ptr().cast_mut(),
            ulIvLen: iv.len() as CK_ULONG,
            ulIvBits: iv.len() as CK_ULONG * 8,
            pAAD: aad.as_ptr().cast_mut(),
            ulAADLen: aad.len() as CK_ULONG,
            ulTagBits: tag as CK_ULONG,
        };
        Self::of(CKM_AES_GCM, &parameter)
    }

    pub fn c(&mut self) -> CK_MECHANISM {
        CK_MECHANISM {
            mechanism: self.kind,
            pParameter: if self.parameter.is_empty() {
                null_mut()
            } else {
                self.parameter.as_mut_ptr().cast()
            },
            ulParameterLen: self.parameter.len() as CK_ULONG,
        }
    }
}
