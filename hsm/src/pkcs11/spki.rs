//! Public keys of token objects as `SubjectPublicKeyInfo` (RFC 5280 section 4.1) in DER.

/// An RSA public key (RFC 3279 section 2.3.1) of big-endian numbers.
pub(super) fn rsa(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let key = tlv(0x30, &[integer(modulus), integer(exponent)].concat());
    info(
        b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00",
        &key,
    )
}

/// A public key on a named curve (RFC 5480 section 2.1.1).
pub(super) fn ec(curve: &[u8], point: &[u8]) -> Vec<u8> {
    let algorithm = [b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01", curve].concat();
    info(&algorithm, point)
}

/// An Ed25519 public key (RFC 8410 section 4).
pub(super) fn ed25519(point: &[u8; 32]) -> Vec<u8> {
    info(b"\x06\x03\x2b\x65\x70", point)
}

/// The uncompressed point of an attribute `CKA_EC_POINT`: raw, or as a DER octet string (PKCS#11 v2.40, section 2.3.3).
pub(super) fn point(attribute: &[u8], coordinate: usize) -> Option<&[u8]> {
    let len = 1 + 2 * coordinate;
    let wrapping = tlv(0x04, &vec![0; len]).len() - len;
    let raw = match attribute.len() {
        whole if whole == len => attribute,
        whole if whole == len + wrapping => {
            let (header, raw) = attribute.split_at(wrapping);
            if !tlv(0x04, raw).starts_with(header) {
                return None;
            }
            raw
        }
        _ => return None,
    };
    (raw.first() == Some(&0x04)).then_some(raw)
}

fn info(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    let bits = [&[0], key].concat();
    tlv(0x30, &[tlv(0x30, algorithm), tlv(0x03, &bits)].concat())
}

fn integer(number: &[u8]) -> Vec<u8> {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let mut content = number.get(zeros..).unwrap_or_default().to_vec();
    if content.first().is_none_or(|first| *first >= 0x80) {
        content.insert(0, 0);
    }
    tlv(0x02, &content)
}

/// A DER element. No content here reaches 65,536 bytes.
fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let len = u16::try_from(content.len()).unwrap_or(u16::MAX);
    let [high, low] = len.to_be_bytes();
    let mut element = vec![tag];
    match (high, low) {
        (0, 0..=0x7f) => element.push(low),
        (0, _) => element.extend([0x81, low]),
        _ => element.extend([0x82, high, low]),
    }
    element.extend_from_slice(content);
    element
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_written_as_the_standards_do() {
        // RFC 8410 section 10.1.
        let point = [
            0x19, 0xbf, 0x44, 0x09, 0x69, 0x84, 0xcd, 0xfe, 0x85, 0x41, 0xba, 0xc1, 0x67, 0xdc,
            0x3b, 0x96, 0xc8, 0x50, 0x86, 0xaa, 0x30, 0xb6, 0xb6, 0xcb, 0x0c, 0x5c, 0x38, 0xad,
            0x70, 0x31, 0x66, 0xe1,
        ];
        let written = ed25519(&point);
        assert_eq!(
            written[..12],
            *b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00"
        );
        assert_eq!(written[12..], point);
        // A number whose first bit is set gets a zero before it, one with zeros before it loses them.
        assert_eq!(integer(&[0x80]), [2, 2, 0, 0x80]);
        assert_eq!(integer(&[0, 0, 1, 0, 1]), [2, 3, 1, 0, 1]);
        let long = rsa(&[0xff; 256], &[1, 0, 1]);
        assert_eq!(long.len(), 294);
        assert_eq!(long[..4], [0x30, 0x82, 0x01, 0x22]);
    }

    #[test]
    fn a_point_is_read_raw_and_wrapped() {
        for coordinate in [32, 48, 66] {
            let mut raw = vec![7; 1 + 2 * coordinate];
            raw[0] = 4;
            assert_eq!(point(&raw, coordinate), Some(raw.as_slice()));
            let wrapped = tlv(4, &raw);
            assert_eq!(point(&wrapped, coordinate), Some(raw.as_slice()));
            assert_eq!(point(&raw[1..], coordinate), None);
            let mut other = wrapped.clone();
            other[1] ^= 1;
            assert_eq!(point(&other, coordinate), None);
            // Compressed.
            raw[0] = 2;
            assert_eq!(point(&raw, coordinate), None);
        }
    }
}
