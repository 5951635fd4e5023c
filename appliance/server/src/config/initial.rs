//! What a new configuration says.

use std::fs;
use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::path::Path;

use serde::Serialize;
use toml::{Table, Value};

use super::Hsm;

/// The longest file of further settings, in bytes.
const LONGEST: u64 = 256 * 1024;
/// What whoever makes an appliance decides by arguments, and by nothing else.
const DECIDED: [&str; 13] = [
    "data",
    "domain",
    "hsm.auth_key",
    "hsm.connector",
    "hsm.device_domain",
    "hsm.module",
    "hsm.pin",
    "hsm.token",
    "hsm.usb",
    "listen",
    "name",
    "tls.certificate",
    "tls.key",
];

/// The few settings that `strongroomd init` writes; all others keep their defaults, but for those of a file of further settings.
#[derive(Debug, Serialize)]
pub(crate) struct InitialConfig<'a> {
    pub(crate) name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) domain: Option<&'a str>,
    pub(crate) listen: InitialListen,
    pub(crate) hsm: &'a Hsm,
}

/// See [`InitialConfig`].
#[derive(Debug, Serialize)]
pub(crate) struct InitialListen {
    pub(crate) client: SocketAddr,
    pub(crate) admin: SocketAddr,
}

/// Further settings of a new configuration, in its form.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings(Table);

/// Why further settings are of no use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    /// The file cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// The file is longer than any may be.
    #[error("it is longer than {LONGEST} bytes")]
    TooLong,
    /// The file is not TOML.
    #[error("it is no TOML: {0}")]
    Malformed(String),
    /// The file says what arguments decide.
    #[error("{0} is decided by an argument and cannot stand in it")]
    Decided(&'static str),
}

impl InitialConfig<'_> {
    /// The text of the configuration, with further settings.
    ///
    /// # Errors
    /// When it cannot be written as TOML.
    pub(crate) fn text(&self, more: &Settings) -> Result<String, toml::ser::Error> {
        let said = if more.0.is_empty() {
            toml::to_string(self)?
        } else {
            let mut all = Table::try_from(self)?;
            merge(&mut all, &more.0);
            toml::to_string(&all)?
        };
        Ok(format!(
            "# strongroomd's configuration. What is not said here keeps its default; strongroom.example.toml lists every setting.\n{said}"
        ))
    }
}

impl Settings {
    /// Reads them from a file; `-` is standard input. Whether they are settings at all says the configuration that is made with them.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub(crate) fn from_file(file: &Path) -> Result<Self, SettingsError> {
        let mut text = String::new();
        if file == Path::new("-") {
            io::stdin().take(LONGEST + 1).read_to_string(&mut text)?;
        } else {
            let opened = fs::File::open(file)?;
            opened.take(LONGEST + 1).read_to_string(&mut text)?;
        }
        if text.len() as u64 > LONGEST {
            return Err(SettingsError::TooLong);
        }
        Self::from_text(&text)
    }

    fn from_text(text: &str) -> Result<Self, SettingsError> {
        let table: Table = toml::from_str(text)
            .map_err(|error| SettingsError::Malformed(error.message().replace('\n', " ")))?;
        match DECIDED.into_iter().find(|path| says(&table, path)) {
            Some(decided) => Err(SettingsError::Decided(decided)),
            None => Ok(Self(table)),
        }
    }
}

fn says(table: &Table, path: &str) -> bool {
    match path.split_once('.') {
        None => table.contains_key(path),
        Some((name, rest)) => table
            .get(name)
            .and_then(Value::as_table)
            .is_some_and(|inner| says(inner, rest)),
    }
}

/// Adds what is not there yet. Both have nothing in common but tables, as what arguments decide was refused.
fn merge(into: &mut Table, more: &Table) {
    for (name, value) in more {
        if let (Some(Value::Table(there)), Value::Table(value)) = (into.get_mut(name), value) {
            merge(there, value);
        } else {
            into.entry(name).or_insert_with(|| value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::super::Config;
    use super::*;

    fn made_with(more: &str) -> String {
        let hsm = Hsm {
            module: Some("/m.so".into()),
            ..Hsm::default()
        };
        let initial = InitialConfig {
            name: "keys.example.com",
            domain: None,
            listen: InitialListen {
                client: "[::]:8443".parse().unwrap(),
                admin: "[::]:9443".parse().unwrap(),
            },
            hsm: &hsm,
        };
        initial.text(&Settings::from_text(more).unwrap()).unwrap()
    }

    #[test]
    fn further_settings_stand_beside_those_that_init_writes() {
        let text = made_with(
            "[hsm]\ndeadline = 9\n[tls]\nclient_ca = \"tls/ca.pem\"\n[[siem]]\nname = \"soc\"\naddress = \"siem.example.com:6514\"\n",
        );
        let config = Config::read(&text, Path::new("/data/strongroom.toml")).unwrap();
        assert_eq!(config.name, "keys.example.com");
        assert_eq!(config.hsm.module.as_deref(), Some(Path::new("/m.so")));
        assert_eq!(config.hsm.deadline().as_secs(), 9);
        assert_eq!(config.tls.client_ca, Path::new("/data/tls/ca.pem"));
        assert_eq!(config.siem[0].address, "siem.example.com:6514");
        // A setting that there is none of is found when the configuration is read.
        let text = made_with("[keystore]\nsession_lifetimes = 1\n");
        let error = Config::read(&text, Path::new("/data/strongroom.toml")).unwrap_err();
        assert!(error.to_string().contains("session_lifetimes"), "{error}");
    }

    #[test]
    fn what_arguments_decide_is_refused() {
        for (text, named) in [
            ("name = \"other\"", "name"),
            ("data = \"/\"", "data"),
            ("[listen]\nclient = \"[::]:1\"", "listen"),
            ("[hsm]\npin = \"env:PIN\"", "hsm.pin"),
            ("[tls]\nkey = \"k\"", "tls.key"),
        ] {
            let error = Settings::from_text(text).unwrap_err();
            assert!(
                matches!(error, SettingsError::Decided(decided) if decided == named),
                "{error}"
            );
        }
        assert!(matches!(
            Settings::from_text("no"),
            Err(SettingsError::Malformed(_))
        ));
    }
}
