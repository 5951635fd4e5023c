//! JSON in the one spelling of RFC 8785 (JSON Canonicalization Scheme).
//!
//! Documents that are signed or named by their digest hold no fractions, so numbers here are whole, from -(2^53 - 1) to 2^53 - 1 (RFC 7493
//! section 2.2), which the scheme writes in decimal. Everything else is as the RFC has it: members sorted by their names' UTF-16 code units
//! (section 3.2.3), strings with no escape that is not needed (section 3.2.2.2), no white space.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The largest whole number that every JSON implementation reads exactly: 2^53 - 1.
pub const LARGEST: u64 = (1 << 53) - 1;

/// Why a document is none in canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CanonicalError {
    /// It holds a fraction, or a whole number beyond 2^53 - 1.
    #[error("the document holds a number that is not whole or too large")]
    Number,
    /// It is no JSON, or says the same in another spelling.
    #[error("the document is not in the canonical form of RFC 8785")]
    Spelling,
    /// It lacks a member, or has one that is not known.
    #[error("the document does not have the members that it should")]
    Shape,
}

/// The canonical bytes of what serialises to JSON.
///
/// # Errors
///
/// [`CanonicalError::Number`]; [`CanonicalError::Shape`] for what has no JSON, such as a map whose keys are no strings.
pub fn to_vec(value: &impl Serialize) -> Result<Vec<u8>, CanonicalError> {
    let value = serde_json::to_value(value).map_err(|_| CanonicalError::Shape)?;
    let mut bytes = Vec::new();
    write(&value, &mut bytes)?;
    Ok(bytes)
}

/// Reads a document that is in canonical form and in no other. Two documents of the same JSON are the same bytes; what a type reads from several
/// strings, as an identifier from capitals, its own reader has to hold against how it is written.
///
/// # Errors
///
/// As [`CanonicalError`] says.
pub fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CanonicalError> {
    let value: Value = serde_json::from_slice(bytes).map_err(|_| CanonicalError::Spelling)?;
    let mut again = Vec::with_capacity(bytes.len());
    write(&value, &mut again)?;
    if again != bytes {
        return Err(CanonicalError::Spelling);
    }
    T::deserialize(value).map_err(|_| CanonicalError::Shape)
}

fn write(value: &Value, into: &mut Vec<u8>) -> Result<(), CanonicalError> {
    match value {
        Value::Null => into.extend_from_slice(b"null"),
        Value::Bool(true) => into.extend_from_slice(b"true"),
        Value::Bool(false) => into.extend_from_slice(b"false"),
        Value::Number(number) => {
            let whole = number.as_i64().ok_or(CanonicalError::Number)?;
            if whole.unsigned_abs() > LARGEST {
                return Err(CanonicalError::Number);
            }
            into.extend_from_slice(whole.to_string().as_bytes());
        }
        Value::String(text) => write_string(text, into),
        Value::Array(items) => {
            into.push(b'[');
            for (position, item) in items.iter().enumerate() {
                if position > 0 {
                    into.push(b',');
                }
                write(item, into)?;
            }
            into.push(b']');
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by(|(one, _), (other, _)| one.encode_utf16().cmp(other.encode_utf16()));
            into.push(b'{');
            for (position, (name, value)) in members.into_iter().enumerate() {
                if position > 0 {
                    into.push(b',');
                }
                write_string(name, into);
                into.push(b':');
                write(value, into)?;
            }
            into.push(b'}');
        }
    }
    Ok(())
}

fn write_string(text: &str, into: &mut Vec<u8>) {
    into.push(b'"');
    for character in text.chars() {
        match character {
            '"' => into.extend_from_slice(b"\\\""),
            '\\' => into.extend_from_slice(b"\\\\"),
            '\u{8}' => into.extend_from_slice(b"\\b"),
            '\t' => into.extend_from_slice(b"\\t"),
            '\n' => into.extend_from_slice(b"\\n"),
            '\u{c}' => into.extend_from_slice(b"\\f"),
            '\r' => into.extend_from_slice(b"\\r"),
            character if character < ' ' => {
                into.extend_from_slice(format!("\\u{:04x}", u32::from(character)).as_bytes());
            }
            character => {
                into.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
    }
    into.push(b'"');
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// The example of RFC 8785 section 3.2.2, without its array of fractions.
    #[test]
    fn the_rfcs_example_is_written_as_the_rfc_does() {
        let value: Value = serde_json::from_str(
            r#"{ "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/", "literals": [null, true, false] }"#,
        )
        .unwrap();
        let expected =
            "{\"literals\":[null,true,false],\"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}";
        assert_eq!(to_vec(&value).unwrap(), expected.as_bytes());
    }

    /// The example of RFC 8785 section 3.2.3: an emoji sorts before a letter of the Hebrew presentation forms, by UTF-16 code units.
    #[test]
    fn members_are_sorted_by_utf_16() {
        let value = json!({
            "\u{20ac}": "Euro Sign",
            "\r": "Carriage Return",
            "\u{fb33}": "Hebrew Letter Dalet With Dagesh",
            "1": "One",
            "\u{1f600}": "Emoji: Grinning Face",
            "\u{80}": "Control",
            "\u{f6}": "Latin Small Letter O With Diaeresis",
        });
        let text = String::from_utf8(to_vec(&value).unwrap()).unwrap();
        let order = [
            "Carriage Return",
            "One",
            "Control",
            "Latin Small Letter O With Diaeresis",
            "Euro Sign",
            "Emoji: Grinning Face",
            "Hebrew Letter Dalet With Dagesh",
        ];
        let places: Vec<_> = order.iter().map(|name| text.find(name).unwrap()).collect();
        assert!(places.is_sorted(), "{text}");
    }

    #[test]
    fn numbers_are_whole_and_exact() {
        assert_eq!(to_vec(&LARGEST).unwrap(), b"9007199254740991");
        assert_eq!(to_vec(&-1).unwrap(), b"-1");
        for text in ["9007199254740992", "-9007199254740992", "1.5", "1e3", "1.0"] {
            let value: Value = serde_json::from_str(text).unwrap();
            assert_eq!(to_vec(&value), Err(CanonicalError::Number), "{text}");
        }
    }

    #[test]
    fn another_spelling_is_refused() {
        assert_eq!(
            from_slice::<Value>(br#"{"a":1,"b":"x"}"#).unwrap(),
            json!({"a": 1, "b": "x"})
        );
        for other in [
            r#"{"b":"x","a":1}"#,
            r#"{"a":1, "b":"x"}"#,
            r#"{"a":1,"a":1,"b":"x"}"#,
            r#"{"a":1,"b":"\u0078"}"#,
            r#"{"a":01,"b":"x"}"#,
            r#"{"a":-0,"b":"x"}"#,
            "{\"a\":1,\"b\":\"x\"}\n",
            "",
        ] {
            assert!(from_slice::<Value>(other.as_bytes()).is_err(), "{other}");
        }
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (0..=LARGEST).prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::hash_map(any::<String>(), inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_and_has_one_spelling(value in values()) {
            let bytes = to_vec(&value).unwrap();
            prop_assert_eq!(from_slice::<Value>(&bytes).unwrap(), value.clone());
            // In whichever order the members came.
            let again: Value = serde_json::from_slice(&serde_json::to_vec_pretty(&value).unwrap()).unwrap();
            prop_assert_eq!(to_vec(&again).unwrap(), bytes);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            if let Ok(value) = from_slice::<Value>(&bytes) {
                prop_assert_eq!(to_vec(&value).unwrap(), bytes);
            }
        }
    }
}
