//! The little of DER (X.690) that keys need.

use zeroize::Zeroizing;

pub(crate) const INTEGER: u8 = 2;
pub(crate) const BIT_STRING: u8 = 3;
pub(crate) const OCTET_STRING: u8 = 4;
pub(crate) const SEQUENCE: u8 = 0x30;

/// An element: its tag, its content and what follows it. None when there is no whole one.
pub(crate) fn read(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match *first {
        short @ 0..=0x7f => (usize::from(short), rest),
        long => {
            let count = usize::from(long & 0x7f);
            let (bytes, rest) = rest.split_at_checked(count)?;
            let minimal =
                count == 1 && bytes.first()? >= &0x80 || count > 1 && bytes.first()? != &0;
            if count > 4 || !minimal {
                return None;
            }
            let length = bytes
                .iter()
                .fold(0, |length, byte| length << 8 | usize::from(*byte));
            (length, rest)
        }
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

/// The content of an element with this tag, and what follows it.
pub(crate) fn expect(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    read(bytes)
        .filter(|(found, ..)| *found == tag)
        .map(|(_, content, rest)| (content, rest))
}

/// The content of what is one octet string and nothing else.
pub(crate) fn octet_string(bytes: &[u8]) -> Option<&[u8]> {
    expect(OCTET_STRING, bytes)
        .filter(|(_, rest)| rest.is_empty())
        .map(|(content, _)| content)
}

/// An unsigned integer without the zeros in front of it, and what follows it.
pub(crate) fn unsigned(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (content, rest) = expect(INTEGER, bytes)?;
    let negative = content.first().is_none_or(|first| *first >= 0x80);
    (!negative).then(|| (trimmed(content), rest))
}

/// A number without the zeros in front of it.
pub(crate) fn trimmed(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

/// An element of these parts.
pub(crate) fn element(tag: u8, parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut element = Zeroizing::new(Vec::with_capacity(length + 6));
    element.push(tag);
    let bytes = length.to_be_bytes();
    let bytes = trimmed(&bytes);
    if let Ok(short @ 0..=0x7f) = u8::try_from(length) {
        element.push(short);
    } else {
        element.push(0x80 | u8::try_from(bytes.len()).unwrap_or(8));
        element.extend_from_slice(bytes);
    }
    for part in parts {
        element.extend_from_slice(part);
    }
    element
}

/// An unsigned integer.
pub(crate) fn integer(number: &[u8]) -> Zeroizing<Vec<u8>> {
    let number = trimmed(number);
    match number.first() {
        Some(0..=0x7f) => element(INTEGER, &[number]),
        _ => element(INTEGER, &[&[0], number]),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(content in proptest::collection::vec(any::<u8>(), 0..70_000), rest in any::<[u8; 3]>()) {
            let mut bytes = element(OCTET_STRING, &[&content]);
            prop_assert_eq!(octet_string(&bytes), Some(&content[..]));
            bytes.extend_from_slice(&rest);
            prop_assert_eq!(read(&bytes), Some((OCTET_STRING, &content[..], &rest[..])));
            prop_assert_eq!(octet_string(&bytes), None);
        }

        #[test]
        fn any_bytes_are_an_element_or_not(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Some((tag, content, rest)) = read(&bytes) {
                let mut again = element(tag, &[content]);
                again.extend_from_slice(rest);
                prop_assert_eq!(&*again, &bytes);
            }
        }
    }

    #[test]
    fn numbers_are_unsigned() {
        assert_eq!(*integer(&[0, 0x80]), [2, 2, 0, 0x80]);
        assert_eq!(*integer(&[]), [2, 1, 0]);
        let (number, rest) = unsigned(&[2, 2, 0, 0x80]).unwrap();
        assert_eq!((number, rest), (&[0x80][..], &[][..]));
        assert!(unsigned(&[2, 1, 0x80]).is_none());
    }
}
