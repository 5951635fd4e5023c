//! Attributes as the appliance keeps them: of each its type (8 bytes), the kind of its value (1), the value's length (4) and the value; numbers
//! with the highest byte first.

use cryptoki_sys::{CK_ATTRIBUTE_TYPE, CK_ULONG};

use crate::object::{Attributes, Value};

/// Writes attributes.
pub(super) fn encode(attributes: &Attributes) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (attribute, value) in attributes.iter() {
        let (kind, value) = match value {
            Value::Bool(value) => (1, vec![u8::from(*value)]),
            Value::Number(value) => (2, value.to_be_bytes().to_vec()),
            Value::Numbers(values) => {
                let values = values.iter().flat_map(|value| value.to_be_bytes());
                (3, values.collect())
            }
            Value::Template(attributes) => (4, encode(attributes)),
            Value::Bytes(value) => (5, value.to_vec()),
        };
        let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&attribute.to_be_bytes());
        bytes.push(kind);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&value);
    }
    bytes
}

/// Reads what [`encode`] wrote; none where it is something else.
pub(super) fn decode(bytes: &[u8]) -> Option<Attributes> {
    read(bytes, 2)
}

fn read(mut bytes: &[u8], depth: u8) -> Option<Attributes> {
    let mut attributes = Attributes::new();
    while !bytes.is_empty() {
        let (attribute, rest) = bytes.split_first_chunk::<8>()?;
        let (kind, rest) = rest.split_first()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (value, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        bytes = rest;
        let value = match (kind, value) {
            (1, [value]) => Value::Bool(*value != 0),
            (2, value) => Value::Number(CK_ULONG::from_be_bytes(value.try_into().ok()?)),
            (3, value) => {
                let (values, rest) = value.as_chunks::<8>();
                if !rest.is_empty() {
                    return None;
                }
                let values = values.iter().map(|value| CK_ULONG::from_be_bytes(*value));
                Value::Numbers(values.collect())
            }
            (4, value) => Value::Template(read(value, depth.checked_sub(1)?)?),
            (5, value) => Value::bytes(value),
            _ => return None,
        };
        attributes.set(CK_ATTRIBUTE_TYPE::from_be_bytes(*attribute), value);
    }
    Some(attributes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_nothing_else() {
        let mut inner = Attributes::new();
        inner.set_bool(1, true);
        let mut attributes = Attributes::new();
        attributes.set_bool(2, false);
        attributes.set_number(3, 0x1234);
        attributes.set_bytes(4, b"label");
        attributes.set(5, Value::Numbers(vec![1, CK_ULONG::MAX]));
        attributes.set(6, Value::Template(inner));
        let bytes = encode(&attributes);
        assert_eq!(decode(&bytes), Some(attributes));
        for cut in 1..bytes.len() {
            assert!(decode(&bytes[..cut]).is_none_or(|read| read.len() < 5));
        }
    }
}
