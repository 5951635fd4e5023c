//! Attributes: their types, their values, and collections of them.

use std::collections::BTreeMap;
use std::fmt;

use cryptoki_sys::*;
use zeroize::Zeroizing;

use crate::error::{CkResult, fail};

/// The longest value of one attribute, in bytes.
pub const LONGEST_VALUE: usize = 1024 * 1024;

/// A vendor attribute of every key: where its operations are done, as text: `appliance`, `hsm` or `process`.
pub const CKA_STRONGROOM_OPERATIONS: CK_ATTRIBUTE_TYPE = CKA_VENDOR_DEFINED | 0x5352_0001;

/// What the value of an attribute is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A `CK_BBOOL`.
    Bool,
    /// A `CK_ULONG`.
    Number,
    /// An array of `CK_ULONG`.
    Numbers,
    /// An array of attributes.
    Template,
    /// A `CK_DATE`, or nothing.
    Date,
    /// Bytes or text.
    Bytes,
}

/// What kind of value an attribute has. What the standard does not know is bytes.
#[must_use]
pub fn kind_of(attribute: CK_ATTRIBUTE_TYPE) -> Kind {
    match attribute {
        CKA_TOKEN
        | CKA_PRIVATE
        | CKA_TRUSTED
        | CKA_SENSITIVE
        | CKA_ENCRYPT
        | CKA_DECRYPT
        | CKA_WRAP
        | CKA_UNWRAP
        | CKA_SIGN
        | CKA_SIGN_RECOVER
        | CKA_VERIFY
        | CKA_VERIFY_RECOVER
        | CKA_DERIVE
        | CKA_EXTRACTABLE
        | CKA_LOCAL
        | CKA_NEVER_EXTRACTABLE
        | CKA_ALWAYS_SENSITIVE
        | CKA_MODIFIABLE
        | CKA_COPYABLE
        | CKA_DESTROYABLE
        | CKA_ALWAYS_AUTHENTICATE
        | CKA_WRAP_WITH_TRUSTED
        | CKA_ENCAPSULATE
        | CKA_DECAPSULATE => Kind::Bool,
        CKA_CLASS
        | CKA_CERTIFICATE_TYPE
        | CKA_CERTIFICATE_CATEGORY
        | CKA_JAVA_MIDP_SECURITY_DOMAIN
        | CKA_NAME_HASH_ALGORITHM
        | CKA_KEY_TYPE
        | CKA_MODULUS_BITS
        | CKA_VALUE_LEN
        | CKA_KEY_GEN_MECHANISM
        | CKA_PARAMETER_SET => Kind::Number,
        CKA_ALLOWED_MECHANISMS => Kind::Numbers,
        CKA_WRAP_TEMPLATE
        | CKA_UNWRAP_TEMPLATE
        | CKA_DERIVE_TEMPLATE
        | CKA_ENCAPSULATE_TEMPLATE
        | CKA_DECAPSULATE_TEMPLATE => Kind::Template,
        CKA_START_DATE | CKA_END_DATE => Kind::Date,
        _ => Kind::Bytes,
    }
}

/// A value. Bytes may be a key's material: they are overwritten when dropped, and never shown.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// A `CK_BBOOL`.
    Bool(bool),
    /// A `CK_ULONG`.
    Number(CK_ULONG),
    /// An array of `CK_ULONG`.
    Numbers(Vec<CK_ULONG>),
    /// An array of attributes.
    Template(Attributes),
    /// Bytes, text or a date.
    Bytes(Zeroizing<Vec<u8>>),
}

impl Value {
    /// Bytes.
    #[must_use]
    pub fn bytes(bytes: &[u8]) -> Self {
        Self::Bytes(Zeroizing::new(bytes.to_vec()))
    }

    /// Reads a value that is no template, as it stands in memory.
    ///
    /// # Errors
    /// `CKR_ATTRIBUTE_VALUE_INVALID` when it is no value of the attribute.
    pub fn decode(attribute: CK_ATTRIBUTE_TYPE, bytes: &[u8]) -> CkResult<Self> {
        if bytes.len() > LONGEST_VALUE {
            return fail(CKR_ATTRIBUTE_VALUE_INVALID, "a value is too long");
        }
        let numbers = || {
            let (numbers, rest) = bytes.as_chunks::<{ size_of::<CK_ULONG>() }>();
            rest.is_empty().then(|| {
                numbers
                    .iter()
                    .map(|number| CK_ULONG::from_ne_bytes(*number))
            })
        };
        let value = match kind_of(attribute) {
            Kind::Bool => match bytes {
                [CK_FALSE] => Some(Self::Bool(false)),
                // Some applications write true as another number than 1.
                [_] => Some(Self::Bool(true)),
                _ => None,
            },
            Kind::Number => numbers()
                .filter(|numbers| numbers.len() == 1)
                .and_then(|mut numbers| numbers.next())
                .map(Self::Number),
            Kind::Numbers => numbers().map(|numbers| Self::Numbers(numbers.collect())),
            Kind::Date if bytes.is_empty() || is_date(bytes) => Some(Self::bytes(bytes)),
            Kind::Bytes => Some(Self::bytes(bytes)),
            Kind::Date | Kind::Template => None,
        };
        match value {
            Some(value) => Ok(value),
            None => fail(
                CKR_ATTRIBUTE_VALUE_INVALID,
                "a value is not of its attribute's type",
            ),
        }
    }

    /// How the value stands in memory. Nothing for a template, which the C table lays out.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        match self {
            Self::Bool(value) => Zeroizing::new(vec![u8::from(*value)]),
            Self::Number(value) => Zeroizing::new(value.to_ne_bytes().to_vec()),
            Self::Numbers(values) => Zeroizing::new(
                values
                    .iter()
                    .flat_map(|value| value.to_ne_bytes())
                    .collect(),
            ),
            Self::Template(_) => Zeroizing::default(),
            Self::Bytes(bytes) => bytes.clone(),
        }
    }

    /// How many bytes it takes in memory.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Self::Bool(_) => 1,
            Self::Number(_) => size_of::<CK_ULONG>(),
            Self::Numbers(values) => size_of_val(values.as_slice()),
            Self::Template(attributes) => attributes.len() * size_of::<CK_ATTRIBUTE>(),
            Self::Bytes(bytes) => bytes.len(),
        }
    }
}

fn is_date(bytes: &[u8]) -> bool {
    bytes.len() == 8 && bytes.iter().all(u8::is_ascii_digit)
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(value) => write!(f, "{value:#x}"),
            Self::Numbers(values) => write!(f, "{values:x?}"),
            Self::Template(attributes) => write!(f, "{attributes:?}"),
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
        }
    }
}

/// Attributes by their type, each once.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Attributes(BTreeMap<CK_ATTRIBUTE_TYPE, Value>);

impl Attributes {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// The value of an attribute.
    #[must_use]
    pub fn get(&self, attribute: CK_ATTRIBUTE_TYPE) -> Option<&Value> {
        self.0.get(&attribute)
    }

    /// Whether there is this attribute.
    #[must_use]
    pub fn has(&self, attribute: CK_ATTRIBUTE_TYPE) -> bool {
        self.0.contains_key(&attribute)
    }

    /// A `CK_BBOOL`; false where there is none.
    #[must_use]
    pub fn is(&self, attribute: CK_ATTRIBUTE_TYPE) -> bool {
        matches!(self.get(attribute), Some(Value::Bool(true)))
    }

    /// A `CK_ULONG`.
    #[must_use]
    pub fn number(&self, attribute: CK_ATTRIBUTE_TYPE) -> Option<CK_ULONG> {
        match self.get(attribute) {
            Some(Value::Number(number)) => Some(*number),
            _ => None,
        }
    }

    /// An array of `CK_ULONG`.
    #[must_use]
    pub fn numbers(&self, attribute: CK_ATTRIBUTE_TYPE) -> Option<&[CK_ULONG]> {
        match self.get(attribute) {
            Some(Value::Numbers(numbers)) => Some(numbers),
            _ => None,
        }
    }

    /// Bytes.
    #[must_use]
    pub fn bytes(&self, attribute: CK_ATTRIBUTE_TYPE) -> Option<&[u8]> {
        match self.get(attribute) {
            Some(Value::Bytes(bytes)) => Some(bytes),
            _ => None,
        }
    }

    /// An array of attributes.
    #[must_use]
    pub fn template(&self, attribute: CK_ATTRIBUTE_TYPE) -> Option<&Self> {
        match self.get(attribute) {
            Some(Value::Template(attributes)) => Some(attributes),
            _ => None,
        }
    }

    /// Sets a value.
    pub fn set(&mut self, attribute: CK_ATTRIBUTE_TYPE, value: Value) {
        self.0.insert(attribute, value);
    }

    /// Sets a `CK_BBOOL`.
    pub fn set_bool(&mut self, attribute: CK_ATTRIBUTE_TYPE, value: bool) {
        self.set(attribute, Value::Bool(value));
    }

    /// Sets a `CK_ULONG`.
    pub fn set_number(&mut self, attribute: CK_ATTRIBUTE_TYPE, value: CK_ULONG) {
        self.set(attribute, Value::Number(value));
    }

    /// Sets bytes.
    pub fn set_bytes(&mut self, attribute: CK_ATTRIBUTE_TYPE, value: &[u8]) {
        self.set(attribute, Value::bytes(value));
    }

    /// Sets a value where there is none.
    pub fn default_to(&mut self, attribute: CK_ATTRIBUTE_TYPE, value: impl FnOnce() -> Value) {
        self.0.entry(attribute).or_insert_with(value);
    }

    /// Takes an attribute out.
    pub fn remove(&mut self, attribute: CK_ATTRIBUTE_TYPE) -> Option<Value> {
        self.0.remove(&attribute)
    }

    /// Adds an attribute of a template.
    ///
    /// # Errors
    /// `CKR_TEMPLATE_INCONSISTENT` when it is there with another value.
    pub fn add(&mut self, attribute: CK_ATTRIBUTE_TYPE, value: Value) -> CkResult<()> {
        match self.0.insert(attribute, value) {
            Some(before) if self.0.get(&attribute) != Some(&before) => fail(
                CKR_TEMPLATE_INCONSISTENT,
                "an attribute is there twice with different values",
            ),
            _ => Ok(()),
        }
    }

    /// Whether every attribute of `template` is here with the same value.
    #[must_use]
    pub fn matches(&self, template: &Self) -> bool {
        template
            .iter()
            .all(|(attribute, value)| self.get(attribute) == Some(value))
    }

    /// All of them, by their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (CK_ATTRIBUTE_TYPE, &Value)> {
        self.0.iter().map(|(attribute, value)| (*attribute, value))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self
            .iter()
            .map(|(attribute, value)| (format!("{attribute:#x}"), value));
        f.debug_map().entries(entries).finish()
    }
}

impl FromIterator<(CK_ATTRIBUTE_TYPE, Value)> for Attributes {
    fn from_iter<I: IntoIterator<Item = (CK_ATTRIBUTE_TYPE, Value)>>(attributes: I) -> Self {
        Self(attributes.into_iter().collect())
    }
}

impl Extend<(CK_ATTRIBUTE_TYPE, Value)> for Attributes {
    fn extend<I: IntoIterator<Item = (CK_ATTRIBUTE_TYPE, Value)>>(&mut self, attributes: I) {
        self.0.extend(attributes);
    }
}

impl IntoIterator for Attributes {
    type Item = (CK_ATTRIBUTE_TYPE, Value);
    type IntoIter = std::collections::btree_map::IntoIter<CK_ATTRIBUTE_TYPE, Value>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_a_value_or_refused(attribute in prop_oneof![0_u64..2000, any::<u64>()], bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            match Value::decode(attribute, &bytes) {
                Ok(Value::Bool(_)) => prop_assert_eq!(bytes.len(), 1),
                Ok(value) => {
                    prop_assert_eq!(value.size(), bytes.len());
                    prop_assert_eq!(&*value.encode(), &bytes);
                    prop_assert_eq!(Value::decode(attribute, &value.encode()).unwrap(), value);
                }
                Err(error) => prop_assert_eq!(error.rv, CKR_ATTRIBUTE_VALUE_INVALID),
            }
        }
    }

    #[test]
    fn a_template_says_a_thing_once() {
        let mut attributes = Attributes::new();
        attributes.add(CKA_LABEL, Value::bytes(b"a")).unwrap();
        attributes.add(CKA_LABEL, Value::bytes(b"a")).unwrap();
        let error = attributes.add(CKA_LABEL, Value::bytes(b"b")).unwrap_err();
        assert_eq!(error.rv, CKR_TEMPLATE_INCONSISTENT);
    }

    #[test]
    fn material_is_never_shown() {
        let mut attributes = Attributes::new();
        attributes.set_bytes(CKA_VALUE, b"swordfish");
        assert_eq!(format!("{attributes:?}"), "{\"0x11\": 9 bytes}");
    }
}
