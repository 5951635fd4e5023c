//! The configuration of the PKCS #11 module: one TOML file, which the module reads and `strongroom pkcs11 configure` writes.
//!
//! Looked for in this order, and the first that is there counts: what `C_Initialize` was given as its reserved string
//! (`config=/path/to/file`, or the path alone), the file that `STRONGROOM_PKCS11_CONFIG` names, the user's
//! (`$XDG_CONFIG_HOME/strongroom/pkcs11.toml`, or `~/.config/...`), the system's (`/etc/strongroom/pkcs11.toml`).
//!
//! No secret stands in it: it names the files that hold them.

mod found;
#[cfg(test)]
mod tests;
mod token;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use found::{Found, Place, SYSTEM, VARIABLE};
pub use token::{ANSWERS_WITHIN, LONGEST_ANSWERS_WITHIN, LONGEST_LABEL, TokenConfig};

use crate::ClientError;

/// The longest that an object's attributes are taken as current without asking, in milliseconds.
pub const LONGEST_CURRENT: u64 = 1000;

/// The largest configuration file that is read, in bytes.
const LARGEST: u64 = 1024 * 1024;

/// The configuration of the module.
///
/// ```
/// use strongroom_client::pkcs11::{Config, Hidden, Level};
///
/// let config = Config::from_toml(r#"
///     [[token]]
///     label = "web"
///     addresses = ["https://keys-1.example.com:8443", "https://keys-2.example.com:8443"]
///     roots = "/etc/strongroom/ca.pem"
///     account = "01934c1e-7d5a-7cc0-8f3e-0123456789ab"
///     [log]
///     syslog = true
///     level = "info"
///     [compatibility]
///     hide = ["edwards"]
/// "#)?;
/// assert_eq!(config.tokens[0].label, "web");
/// assert_eq!(config.log.level, Level::Info);
/// assert_eq!(config.compatibility.hide, [Hidden::Edwards]);
/// # Ok::<(), strongroom_client::pkcs11::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// For how long an object's attributes are taken as current without asking, in milliseconds: at most [`LONGEST_CURRENT`].
    #[serde(default = "current_for", skip_serializing_if = "is_current_for")]
    pub current_for: u64,
    /// The tokens, one slot each, in this order.
    #[serde(default, rename = "token", skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<TokenConfig>,
    /// The log.
    #[serde(default, skip_serializing_if = "is_default")]
    pub log: LogConfig,
    /// What old applications need hidden or changed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub compatibility: Compatibility,
}

/// Where the log goes. It is off where nothing is said.
///
/// ```
/// use strongroom_client::pkcs11::{Config, LogConfig};
///
/// let silent = LogConfig::default();
/// assert!(silent.file.is_none() && !silent.syslog);
/// assert_eq!(Config::default().log, silent);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LogConfig {
    /// Lines are added to this file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// Lines go to the system's log.
    #[serde(default, skip_serializing_if = "is_default")]
    pub syslog: bool,
    /// What is logged.
    #[serde(default, skip_serializing_if = "is_default")]
    pub level: Level,
}

/// What is logged.
///
/// ```
/// use strongroom_client::pkcs11::Level;
///
/// assert!(Level::Error < Level::Debug, "each level has what those before it have");
/// assert_eq!(Level::Info.as_str(), "info");
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
///
/// ```
/// use strongroom_client::pkcs11::{Compatibility, Hidden};
///
/// let debian_12 = Compatibility { hide: vec![Hidden::Edwards] };
/// assert_ne!(debian_12, Compatibility::default());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Compatibility {
    /// Objects of these key types are not found, and their mechanisms not listed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hide: Vec<Hidden>,
}

/// A key type that an old application cannot live with.
///
/// ```
/// use strongroom_client::pkcs11::Hidden;
///
/// assert_eq!(Hidden::ALL.map(Hidden::as_str), ["edwards", "montgomery", "post-quantum"]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hidden {
    /// Ed25519 keys: libp11 before 0.4.13 fails on all keys when it meets one.
    Edwards,
    /// X25519 keys.
    Montgomery,
    /// ML-KEM and ML-DSA keys.
    PostQuantum,
}

/// Why a configuration cannot be had.
///
/// ```
/// use strongroom_client::pkcs11::{Config, ConfigError};
///
/// let error = Config::from_toml("[[token]]\nlabel = \"web\"\nadresses = []\n").unwrap_err();
/// assert!(matches!(error, ConfigError::NotUnderstood { line: Some(3), .. }), "{error}");
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// What `C_Initialize` was given as its reserved string names no file.
    #[error("the reserved string is no absolute path")]
    NotAbsolute,
    /// The file is not there, or this process may not read it.
    #[error("the configuration {} cannot be used: {error}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file is larger than any configuration.
    #[error("the configuration {} cannot be used: it is larger than 1 MiB", .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The text is no TOML, or says something that no configuration says.
    #[error(
        "the configuration{} cannot be used: {}{why}",
        .path.as_ref().map(|path| format!(" {}", path.display())).unwrap_or_default(),
        .line.map(|line| format!("line {line}: ")).unwrap_or_default()
    )]
    NotUnderstood {
        /// The file, where it was one.
        path: Option<PathBuf>,
        /// The line, from 1, where it is one line's fault.
        line: Option<usize>,
        /// What is wrong with it, in one line.
        why: String,
    },
}

impl Config {
    /// The configuration that counts, and where it stood. Without a file there are no tokens.
    ///
    /// ```no_run
    /// use strongroom_client::pkcs11::Config;
    ///
    /// let (config, file) = Config::load(Some("config=/srv/web/pkcs11.toml"))?;
    /// println!("{} tokens by {file:?}", config.tokens.len());
    /// # Ok::<(), strongroom_client::pkcs11::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// As [`Found::find`] and [`Self::read`].
    pub fn load(reserved: Option<&str>) -> Result<(Self, Option<PathBuf>), ConfigError> {
        match Found::find(reserved)? {
            Some(found) => Ok((Self::read(&found.path)?, Some(found.path))),
            None => Ok((Self::default(), None)),
        }
    }

    /// The configuration in this file.
    ///
    /// ```no_run
    /// use std::path::Path;
    /// use strongroom_client::pkcs11::{Config, SYSTEM};
    ///
    /// for token in Config::read(Path::new(SYSTEM))?.tokens {
    ///     println!("{} at {}", token.label, token.addresses.join(" or "));
    /// }
    /// # Ok::<(), strongroom_client::pkcs11::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// [`ConfigError::Unreadable`], [`ConfigError::TooLarge`] and [`ConfigError::NotUnderstood`], which name the file.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |error| ConfigError::Unreadable {
            path: path.to_owned(),
            error,
        };
        let length = std::fs::metadata(path).map_err(unreadable)?.len();
        if length > LARGEST {
            return Err(ConfigError::TooLarge {
                path: path.to_owned(),
            });
        }
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        Self::from_toml(&text).map_err(|error| match error {
            ConfigError::NotUnderstood { line, why, .. } => ConfigError::NotUnderstood {
                path: Some(path.to_owned()),
                line,
                why,
            },
            other => other,
        })
    }

    /// The configuration that this text is.
    ///
    /// ```
    /// use strongroom_client::pkcs11::Config;
    ///
    /// assert_eq!(Config::from_toml("")?, Config::default());
    /// # Ok::<(), strongroom_client::pkcs11::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// [`ConfigError::NotUnderstood`].
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        let wrong = |line, why| ConfigError::NotUnderstood {
            path: None,
            line,
            why,
        };
        // The parser's whole message has lines of the text in it; a log's line is one line.
        let config: Self = toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start));
            let line = before.map(|before| before.matches('\n').count() + 1);
            wrong(line, error.message().replace('\n', " "))
        })?;
        if config.current_for > LONGEST_CURRENT {
            let why = format!("current-for is at most {LONGEST_CURRENT}");
            return Err(wrong(None, why));
        }
        let answers = 1..=LONGEST_ANSWERS_WITHIN;
        if config
            .tokens
            .iter()
            .any(|token| !answers.contains(&token.answers_within))
        {
            let why = format!("answers-within is 1 to {LONGEST_ANSWERS_WITHIN}");
            return Err(wrong(None, why));
        }
        Ok(config)
    }

    /// The text of a file that says this.
    ///
    /// ```
    /// use strongroom_client::pkcs11::{Config, TokenConfig};
    ///
    /// let token = TokenConfig::new("web", "https://keys.example.com:8443", "/etc/strongroom/ca.pem");
    /// let config = Config { tokens: vec![token], ..Config::default() };
    /// assert_eq!(Config::from_toml(&config.to_toml()?)?, config);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Setup`] when a path in it is no text.
    pub fn to_toml(&self) -> Result<String, ClientError> {
        toml::to_string(self)
            .map_err(|error| ClientError::Setup(format!("this is no configuration: {error}")))
    }

    /// For how long an object's attributes are taken as current without asking.
    ///
    /// ```
    /// use std::time::Duration;
    /// use strongroom_client::pkcs11::Config;
    ///
    /// assert_eq!(Config::default().freshness(), Duration::from_secs(1));
    /// ```
    #[must_use]
    pub fn freshness(&self) -> Duration {
        Duration::from_millis(self.current_for)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            current_for: current_for(),
            tokens: Vec::new(),
            log: LogConfig::default(),
            compatibility: Compatibility::default(),
        }
    }
}

impl Level {
    /// Every level, from the fewest lines to the most.
    pub const ALL: [Self; 3] = [Self::Error, Self::Info, Self::Debug];

    /// Its name in the file.
    ///
    /// ```
    /// use strongroom_client::pkcs11::Level;
    ///
    /// assert_eq!(Level::ALL.map(Level::as_str), ["error", "info", "debug"]);
    /// ```
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

impl Hidden {
    /// Every key type that can be hidden.
    pub const ALL: [Self; 3] = [Self::Edwards, Self::Montgomery, Self::PostQuantum];

    /// Its name in the file.
    ///
    /// ```
    /// use strongroom_client::pkcs11::Hidden;
    ///
    /// assert_eq!(Hidden::PostQuantum.as_str(), "post-quantum");
    /// ```
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Edwards => "edwards",
            Self::Montgomery => "montgomery",
            Self::PostQuantum => "post-quantum",
        }
    }
}

const fn current_for() -> u64 {
    LONGEST_CURRENT
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
const fn is_current_for(millis: &u64) -> bool {
    *millis == current_for()
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
