//! What the commands that hand out an account's secret printed.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::Deserialize;
use strongroom_client::device::AccountSecret;
use strongroom_wire::id::AccountId;
use zeroize::Zeroizing;

use crate::failure::Failure;

/// The longest that is read, in bytes.
const LONGEST: u64 = 64 * 1024;

/// An account and its secret.
#[derive(Debug)]
pub(super) struct Credentials {
    pub(super) account: AccountId,
    /// Its name, where it was said.
    pub(super) name: Option<String>,
    pub(super) secret: AccountSecret,
}

/// The members that count: of `accounts secret`, `devices rotate-secret`, `devices open`, and of the answer to a pairing (RFC 8628).
#[derive(Deserialize)]
struct Printed<'a> {
    account: AccountId,
    name: Option<String>,
    serial: Option<String>,
    #[serde(borrow, alias = "access_token")]
    secret: &'a str,
}

impl Credentials {
    /// Those in this file, or on standard input for `-`.
    pub(super) fn read(file: &Path) -> Result<Self, Failure> {
        let mut text = Zeroizing::new(String::with_capacity(4096));
        let read = if file == Path::new("-") {
            io::stdin().lock().take(LONGEST).read_to_string(&mut text)
        } else {
            File::open(file).and_then(|file| file.take(LONGEST).read_to_string(&mut text))
        };
        read.map_err(|error| Failure::local(format!("{} cannot be read", file.display()), &error))?;
        Self::parse(&text).ok_or_else(|| {
            Failure::Usage(format!(
                "{} is not what strongroom accounts secret ACCOUNT --json prints",
                file.display()
            ))
        })
    }

    fn parse(text: &str) -> Option<Self> {
        // The error of serde_json can quote the text, which holds a secret.
        let printed: Printed<'_> = serde_json::from_str(text).ok()?;
        Some(Self {
            account: printed.account,
            name: printed.name.or(printed.serial),
            secret: AccountSecret::from_text(printed.secret)?,
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn what_each_command_prints_is_taken() {
        let account = "01934c1e-7d5a-7cc0-8f3e-0123456789ab";
        let secret = AccountSecret::from_bytes([7; 32]).to_text();
        let secret = secret.as_str();
        for (text, name) in [
            (
                format!(
                    r#"{{"account":"{account}","name":"web","generation":1,"secret":"{secret}","leaf":7}}"#
                ),
                Some("web"),
            ),
            (
                format!(r#"{{"serial":"SN-1","account":"{account}","secret":"{secret}"}}"#),
                Some("SN-1"),
            ),
            (
                format!(r#"{{"access_token":"{secret}","token_type":"x","account":"{account}"}}"#),
                None,
            ),
        ] {
            let read = Credentials::parse(&text).unwrap();
            assert_eq!(read.account.to_string(), account);
            assert_eq!(read.name.as_deref(), name);
            assert_eq!(*read.secret.to_text(), secret);
        }
    }

    #[test]
    fn what_is_none_is_refused_and_not_repeated() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for text in [
            "",
            "not-json-and-secret",
            r#"{"secret":"not-json-and-secret"}"#,
        ] {
            std::fs::write(file.path(), text).unwrap();
            let sentence = Credentials::read(file.path()).unwrap_err().sentence();
            assert!(sentence.contains("accounts secret"), "{sentence}");
            assert!(!sentence.contains("not-json-and-secret"), "{sentence}");
        }
    }
}
