//! The configuration: one TOML file.
//!
//! Looked for in this order, and the first that is there counts: what `C_Initialize` was given as its reserved string
//! (`config=/path/to/file`, or the path alone), the file that `STRONGROOM_PKCS11_CONFIG` names, the user's
//! (`$XDG_CONFIG_HOME/strongroom/pkcs11.toml`, or `~/.config/...`), the system's (`/etc/strongroom/pkcs11.toml`).

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cryptoki_sys::{CKR_ARGUMENTS_BAD, CKR_FUNCTION_FAILED};
use serde::Deserialize;

use crate::error::{CkError, CkResult, fail};

/// Names the configuration file, where the reserved string does not.
pub const VARIABLE: &str = "STRONGROOM_PKCS11_CONFIG";
const SYSTEM: &str = "/etc/strongroom/pkcs11.toml";
const BELOW_HOME: &str = "strongroom/pkcs11.toml";
const LARGEST: u64 = 1024 * 1024;

/// The configuration.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// The tokens, one slot each, in this order.
    #[serde(default, rename = "token")]
    pub tokens: Vec<TokenConfig>,
    /// The log.
    #[serde(default)]
    pub log: LogConfig,
    /// What old applications need hidden or changed.
    #[serde(default)]
    pub compatibility: Compatibility,
    /// For how long an object's attributes are taken as current without asking, in milliseconds: at most 1000.
    #[serde(default = "current_for")]
    pub current_for: u64,
}

/// A token: what one service account sees.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TokenConfig {
    /// The name that applications choose it by.
    pub label: String,
    /// The appliance's addresses, such as `https://keys.example.com:8443`; the first that answers is used.
    pub addresses: Vec<String>,
    /// The file of the certificates that the appliance's is checked against, in PEM.
    pub roots: PathBuf,
    /// The account's identifier.
    #[serde(default)]
    pub account: Option<String>,
    /// The file of the client certificate and its key, in PEM, where the account signs in by that and without a PIN.
    #[serde(default)]
    pub certificate: Option<PathBuf>,
}

/// Where the log goes. It is off where nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LogConfig {
    /// Lines are added to this file.
    #[serde(default)]
    pub file: Option<PathBuf>,
    /// Lines go to the system's log.
    #[serde(default)]
    pub syslog: bool,
    /// What is logged.
    #[serde(default)]
    pub level: Level,
}

/// What is logged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// What failed, and why.
    #[default]
    Error,
    /// Also what the module did with keys, and where.
    Info,
    /// Also every call.
    Debug,
}

/// What old applications need hidden or changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Compatibility {
    /// Objects of these key types are not found, and their mechanisms not listed.
    #[serde(default)]
    pub hide: Vec<Hidden>,
}

/// A key type that an old application cannot live with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hidden {
    /// Ed25519 keys: libp11 before 0.4.13 fails on all keys when it meets one.
    Edwards,
    /// X25519 keys.
    Montgomery,
    /// ML-KEM and ML-DSA keys.
    PostQuantum,
}

const fn current_for() -> u64 {
    1000
}

impl Config {
    /// The configuration, and where it stood. Without a file there are no tokens.
    ///
    /// # Errors
    /// `CKR_ARGUMENTS_BAD` when the reserved string names no file; `CKR_FUNCTION_FAILED` when a file cannot be read or is no configuration.
    pub fn load(reserved: Option<&str>) -> CkResult<(Self, Option<PathBuf>)> {
        let named = reserved.map(str::trim).filter(|text| !text.is_empty());
        if let Some(text) = named {
            let path = Path::new(text.strip_prefix("config=").unwrap_or(text));
            if !path.is_absolute() {
                return fail(CKR_ARGUMENTS_BAD, "the reserved string is no absolute path");
            }
            return Ok((Self::read(path)?, Some(path.to_owned())));
        }
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        if let Some(path) = variable(VARIABLE) {
            return Ok((Self::read(Path::new(&path))?, Some(path.into())));
        }
        let home = variable("HOME").map(|home| Path::new(&home).join(".config"));
        let users = variable("XDG_CONFIG_HOME").map(PathBuf::from).or(home);
        let users = users
            .filter(|path| path.is_absolute())
            .map(|path| path.join(BELOW_HOME));
        let found = users
            .into_iter()
            .chain([PathBuf::from(SYSTEM)])
            .find(|path| path.exists());
        match found {
            Some(path) => Ok((Self::read(&path)?, Some(path))),
            None => Ok((
                Self {
                    current_for: current_for(),
                    ..Self::default()
                },
                None,
            )),
        }
    }

    fn read(path: &Path) -> CkResult<Self> {
        let failed = |why: &dyn std::fmt::Display| CkError {
            what: format!("the configuration {} cannot be used: {why}", path.display()).into(),
            ..CkError::new(CKR_FUNCTION_FAILED, "")
        };
        let length = std::fs::metadata(path)
            .map_err(|error| failed(&error))?
            .len();
        if length > LARGEST {
            return Err(failed(&"it is larger than 1 MiB"));
        }
        let text = std::fs::read_to_string(path).map_err(|error| failed(&error))?;
        // The parser's message has lines of the file in it; there are no secrets in there, but a log's line is one line.
        let config: Self = toml::from_str(&text).map_err(|error| failed(&error.message()))?;
        if config.current_for > current_for() {
            return Err(failed(&"current-for is at most 1000"));
        }
        Ok(config)
    }

    /// For how long an object's attributes are taken as current without asking.
    #[must_use]
    pub fn freshness(&self) -> Duration {
        Duration::from_millis(self.current_for)
    }
}

/// A path's text, for the log.
pub(crate) fn shown(path: Option<&Path>) -> String {
    path.map_or(OsStr::new("no file"), Path::as_os_str)
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_file_is_read_whole_or_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pkcs11.toml");
        let text = r#"
            current-for = 500
            [[token]]
            label = "web"
            addresses = ["https://a.example:8443", "https://b.example:8443"]
            roots = "/etc/strongroom/ca.pem"
            account = "01934c1e-7d5a-7cc0-8f3e-0123456789ab"
            [log]
            file = "/var/log/strongroom-pkcs11.log"
            level = "info"
            [compatibility]
            hide = ["edwards"]
        "#;
        std::fs::write(&path, text).unwrap();
        let reserved = format!("config={}", path.display());
        let (config, from) = Config::load(Some(&reserved)).unwrap();
        assert_eq!(from, Some(path.clone()));
        assert_eq!(config.tokens[0].addresses.len(), 2);
        assert_eq!(config.log.level, Level::Info);
        assert_eq!(config.compatibility.hide, [Hidden::Edwards]);
        assert_eq!(config.freshness(), Duration::from_millis(500));

        std::fs::write(&path, "secret = 1").unwrap();
        let error = Config::load(path.to_str()).unwrap_err();
        assert_eq!(error.rv, CKR_FUNCTION_FAILED);
        assert!(
            error.to_string().contains("pkcs11.toml cannot be used"),
            "{error}"
        );
        std::fs::write(&path, "current-for = 2000").unwrap();
        assert!(Config::load(path.to_str()).is_err());
        let error = Config::load(Some("library parameters of another module")).unwrap_err();
        assert_eq!(error.rv, CKR_ARGUMENTS_BAD);
    }
}
