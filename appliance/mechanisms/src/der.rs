//! The DER around keys whose bytes AWS-LC takes and gives bare: X25519 (RFC 8410) and ML-KEM-768 (RFC 9935).
//!
//! Each structure has one length only, so what stands before the key's bytes is always the same.

use zeroize::Zeroizing;

/// A structure with the key's bytes at its end.
pub(crate) struct Around {
    before: &'static [u8],
    length: usize,
}

/// `PrivateKeyInfo` with an X25519 private key of 32 bytes (RFC 8410 section 7).
pub(crate) const X25519_PRIVATE: Around = Around {
    before: &[
        0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e, 0x04, 0x22, 0x04,
        0x20,
    ],
    length: 32,
};

/// `PrivateKeyInfo` with the expanded decapsulation key of ML-KEM-768, 2400 bytes (RFC 9935 section 6).
pub(crate) const ML_KEM_768_PRIVATE: Around = Around {
    before: &[
        0x30, 0x82, 0x09, 0x78, 0x02, 0x01, 0x00, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
        0x65, 0x03, 0x04, 0x04, 0x02, 0x04, 0x82, 0x09, 0x64, 0x04, 0x82, 0x09, 0x60,
    ],
    length: 2400,
};

/// `SubjectPublicKeyInfo` with an encapsulation key of ML-KEM-768, 1184 bytes (RFC 9935 section 4).
pub(crate) const ML_KEM_768_PUBLIC: Around = Around {
    before: &[
        0x30, 0x82, 0x04, 0xb2, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04,
        0x04, 0x02, 0x03, 0x82, 0x04, 0xa1, 0x00,
    ],
    length: 1184,
};

impl Around {
    /// The structure with these bytes.
    pub(crate) fn put(&self, key: &[u8]) -> Zeroizing<Vec<u8>> {
        let mut der = Zeroizing::new(Vec::with_capacity(self.before.len() + self.length));
        der.extend_from_slice(self.before);
        der.extend_from_slice(key);
        der
    }

    /// The bytes in this structure; none when it is another one.
    pub(crate) fn take<'a>(&self, der: &'a [u8]) -> Option<&'a [u8]> {
        der.strip_prefix(self.before)
            .filter(|key| key.len() == self.length)
    }
}

/// How long the element is with which these bytes begin, its header included (X.690 section 8.1.3); none where that is no length in the definite
/// form of at most two bytes, which a private key has.
pub(crate) fn length(der: &[u8]) -> Option<usize> {
    match *der {
        [_, short @ ..=0x7f, ..] => Some(2 + usize::from(short)),
        [_, 0x81, length, ..] => Some(3 + usize::from(length)),
        [_, 0x82, high, low, ..] => Some(4 + usize::from(u16::from_be_bytes([high, low]))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn the_lengths_in_the_structures_are_right() {
        for around in [X25519_PRIVATE, ML_KEM_768_PRIVATE, ML_KEM_768_PUBLIC] {
            let der = around.put(&vec![7; around.length]);
            assert_eq!(length(&der), Some(der.len()));
            assert_eq!(around.take(&der).unwrap(), vec![7; around.length]);
            assert!(around.take(&der[..der.len() - 1]).is_none());
            assert!(around.take(&[&der[..], &[0]].concat()).is_none());
        }
    }
}
