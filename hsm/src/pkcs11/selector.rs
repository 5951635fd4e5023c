//! Which token is meant: its label, or an RFC 7512 URI.

use std::{fmt, str::FromStr};

use cryptoki::slot::TokenInfo;

use crate::HsmError;

/// Says which token is meant, as it stands in [`Pkcs11Config::token_label`](super::Pkcs11Config): a label, or a URI by RFC 7512 such as
/// `pkcs11:token=strongroom;serial=0123456789abcdef` of the attributes `token`, `serial`, `manufacturer` and `model`. All that are
/// given must fit.
///
/// A slot's number is refused: it changes. What follows a `?` is looked at only to refuse a PIN there (`pin-value`): the module and the source of
/// the PIN are configured beside it, so `module-path`, `module-name` and `pin-source` are ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSelector {
    text: String,
    attributes: Vec<(Attribute, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attribute {
    Token,
    Serial,
    Manufacturer,
    Model,
}

impl TokenSelector {
    /// Whether it is this token.
    pub(super) fn fits(&self, info: &TokenInfo) -> bool {
        info.token_initialized()
            && self.attributes.iter().all(|(attribute, wanted)| {
                let found = match attribute {
                    Attribute::Token => info.label(),
                    Attribute::Serial => info.serial_number(),
                    Attribute::Manufacturer => info.manufacturer_id(),
                    Attribute::Model => info.model(),
                };
                found == wanted
            })
    }
}

impl fmt::Display for TokenSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for TokenSelector {
    type Err = HsmError;

    fn from_str(text: &str) -> Result<Self, HsmError> {
        // RFC 3986 section 3.1: a scheme's case does not matter.
        let scheme = text.get(..7);
        let Some(uri) = scheme
            .filter(|scheme| scheme.eq_ignore_ascii_case("pkcs11:"))
            .and_then(|_| text.get(7..))
        else {
            return Ok(Self {
                text: text.to_owned(),
                attributes: vec![(Attribute::Token, text.to_owned())],
            });
        };
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        if query.split('&').any(|part| part.starts_with("pin-value")) {
            return Err(malformed(
                "a PIN does not belong into it: configure where the PIN is read from",
            ));
        }
        let mut attributes: Vec<(Attribute, String)> = Vec::new();
        for part in path.split(';').filter(|part| !part.is_empty()) {
            let (name, value) = part
                .split_once('=')
                .ok_or_else(|| malformed("each attribute needs a name, '=' and a value"))?;
            let attribute = match name {
                "token" => Attribute::Token,
                "serial" => Attribute::Serial,
                "manufacturer" => Attribute::Manufacturer,
                "model" => Attribute::Model,
                "slot-id" | "slot-description" | "slot-manufacturer" => {
                    return Err(malformed(
                        "slots change their numbers: name the token by token= or serial=",
                    ));
                }
                _ => {
                    return Err(malformed(
                        "of its attributes, only token, serial, manufacturer and model name a token",
                    ));
                }
            };
            if attributes.iter().any(|(known, _)| *known == attribute) {
                return Err(malformed("an attribute stands in it twice"));
            }
            attributes.push((attribute, percent_decoded(value)?));
        }
        if attributes.is_empty() {
            return Err(malformed("it names no token: give token= or serial="));
        }
        Ok(Self {
            text: text.to_owned(),
            attributes,
        })
    }
}

fn percent_decoded(value: &str) -> Result<String, HsmError> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = rest
            .split_at_checked(2)
            .filter(|(digits, _)| digits.iter().all(u8::is_ascii_hexdigit));
        let Some((digits, after)) = digits else {
            return Err(malformed("after '%' stand two hexadecimal digits"));
        };
        let digit = |digit: u8| (char::from(digit).to_digit(16).unwrap_or(0) & 0xf) as u8;
        bytes.push(digit(digits[0]) << 4 | digit(digits[1]));
        rest = after;
    }
    String::from_utf8(bytes).map_err(|_| malformed("a value is not UTF-8"))
}

fn malformed(reason: &'static str) -> HsmError {
    HsmError::Malformed {
        what: "token's URI (RFC 7512)",
        reason,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Result<Vec<(Attribute, String)>, HsmError> {
        text.parse::<TokenSelector>()
            .map(|selector| selector.attributes)
    }

    /// The examples of RFC 7512 section 3 that name a token.
    #[test]
    fn the_examples_of_the_rfc_are_read() {
        let text = "pkcs11:token=The%20Software%20PKCS%2311%20Softtoken;manufacturer=Snake%20Oil,%20Inc.;model=1.0?pin-source=file:/etc/token_pin";
        let expected = [
            (Attribute::Token, "The Software PKCS#11 Softtoken"),
            (Attribute::Manufacturer, "Snake Oil, Inc."),
            (Attribute::Model, "1.0"),
        ];
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(attribute, value)| (attribute, value.to_owned()))
            .collect();
        assert_eq!(parsed(text).unwrap(), expected);
        // "Software PKCS#11 Softtoken" in another alphabet.
        assert_eq!(
            parsed("pkcs11:token=name%20with%20a%20small%20A%20with%20acute:%20%C3%A1").unwrap(),
            [(
                Attribute::Token,
                "name with a small A with acute: á".to_owned()
            )]
        );
    }

    #[test]
    fn what_is_no_uri_is_a_label() {
        for label in ["strongroom", "pkcs11", "a;b=c", "%41", ""] {
            assert_eq!(
                parsed(label).unwrap(),
                [(Attribute::Token, label.to_owned())]
            );
        }
        assert_eq!(
            parsed("PKCS11:serial=1").unwrap(),
            [(Attribute::Serial, "1".to_owned())]
        );
    }

    #[test]
    fn what_names_no_token_is_refused() {
        for bad in [
            "pkcs11:",
            "pkcs11:token",
            "pkcs11:slot-id=1",
            "pkcs11:object=key;token=t",
            "pkcs11:token=a;token=b",
            "pkcs11:token=%4",
            "pkcs11:token=%+4",
            "pkcs11:token=%zz",
            "pkcs11:token=%ff",
            "pkcs11:token=t?pin-value=1234",
        ] {
            let error = parsed(bad).unwrap_err();
            assert!(!error.to_string().contains("1234"));
            assert!(matches!(error, HsmError::Malformed { .. }), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn encoded_values_read_back(label in "\\PC{1,32}") {
            use std::fmt::Write as _;
            let mut uri = "pkcs11:token=".to_owned();
            for byte in label.bytes() {
                write!(uri, "%{byte:02X}").unwrap();
            }
            prop_assert_eq!(parsed(&uri).unwrap(), [(Attribute::Token, label)]);
        }

        #[test]
        fn nothing_panics(text in "pkcs11:[ -~é%]{0,40}") {
            let _ = parsed(&text);
        }
    }
}
