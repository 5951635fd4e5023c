//! The configuration of the PKCS #11 module: one TOML file, which the module reads and `strongroom pkcs11 configure` writes.
//!
//! Looked for in this order, and the first that is there counts: what `C_Initialize` was given as its reserved string
//! (`config=/path/to/file`, or the path alone), the file that `STRONGROOM_PKCS11_CONFIG` names, the user's
//! (`$XDG_CONFIG_HOME/strongroom/pkcs11.toml`, or `~/.config/...`), the system's (`/etc/strongroom/pkcs11.toml`).
//!
//! No secret stands in it: it names the files that hold them.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use strongroom_wire::id::AccountId;
use zeroize::Zeroizing;

use crate::device::AccountSecret;
use crate::{Client, ClientError, Identity, Roots};

/// The environment variable that names the configuration file, where the reserved string does not.
pub const VARIABLE: &str = "STRONGROOM_PKCS11_CONFIG";
/// The system's configuration file.
pub const SYSTEM: &str = "/etc/strongroom/pkcs11.toml";
/// The longest label of a token, in bytes (PKCS #11 3.0 section 3.2, `CK_TOKEN_INFO`).
pub const LONGEST_LABEL: usize = 32;
/// The longest that an object's attributes are taken as current without asking, in milliseconds.
pub const LONGEST_CURRENT: u64 = 1000;

/// The largest configuration file that is read, in bytes.
const LARGEST: u64 = 1024 * 1024;
const BELOW_HOME: &str = "strongroom/pkcs11.toml";

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

/// A token: what one service account sees.
///
/// ```
/// use strongroom_client::pkcs11::TokenConfig;
///
/// let token = TokenConfig {
///     account: Some("01934c1e-7d5a-7cc0-8f3e-0123456789ab".to_owned()),
///     ..TokenConfig::new("web", "https://keys.example.com:8443", "/etc/strongroom/ca.pem")
/// };
/// assert!(!token.signs_in_by_itself(), "its PIN is the account's secret");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TokenConfig {
    /// The name that applications choose it by: at most [`LONGEST_LABEL`] bytes of it are seen.
    pub label: String,
    /// The appliance's addresses, such as `https://keys.example.com:8443`; the first that answers is used.
    pub addresses: Vec<String>,
    /// The file of the certificates that the appliance's is checked against, in PEM.
    pub roots: PathBuf,
    /// The account's identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The file of the client certificate with its chain, in PEM, where the account signs in by that and without a PIN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// The file of the client certificate's private key, in PEM; absent: it stands in the certificate's file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// The file of the account's secret, where the account signs in by that and without a PIN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<PathBuf>,
    /// The appliance's domain, where it has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
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

/// A configuration file, and why it counts.
///
/// ```no_run
/// use strongroom_client::pkcs11::{Found, Place};
///
/// if let Some(Found { place: Place::Variable, path }) = Found::find(None)? {
///     println!("the environment names {}", path.display());
/// }
/// # Ok::<(), strongroom_client::pkcs11::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where it was looked for.
    pub place: Place,
    /// The file.
    pub path: PathBuf,
}

/// Where a configuration file is looked for, in the order in which they count.
///
/// ```
/// use strongroom_client::pkcs11::Place;
///
/// assert!(Place::User < Place::System, "the user's counts before the system's");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The reserved string of `C_Initialize` names it.
    Reserved,
    /// The environment variable [`VARIABLE`] names it.
    Variable,
    /// The user's.
    User,
    /// The system's: [`SYSTEM`].
    System,
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

impl TokenConfig {
    /// The token of an account at this address of the appliance, vouched for by the certificates in the file `roots`.
    ///
    /// ```
    /// use strongroom_client::pkcs11::TokenConfig;
    ///
    /// let mut token = TokenConfig::new("web", "https://keys-1.example.com:8443", "/etc/strongroom/ca.pem");
    /// token.addresses.push("https://keys-2.example.com:8443".to_owned());
    /// token.certificate = Some("/etc/strongroom/web.pem".into());
    /// assert!(token.signs_in_by_itself());
    /// ```
    #[must_use]
    pub fn new(
        label: impl Into<String>,
        address: impl Into<String>,
        roots: impl Into<PathBuf>,
    ) -> Self {
        Self {
            label: label.into(),
            addresses: vec![address.into()],
            roots: roots.into(),
            account: None,
            certificate: None,
            key: None,
            secret: None,
            domain: None,
        }
    }

    /// Whether nobody has to give a PIN: the account signs in by its certificate or the file of its secret.
    ///
    /// ```
    /// use strongroom_client::pkcs11::TokenConfig;
    ///
    /// let token = TokenConfig::new("web", "https://keys.example.com:8443", "/etc/strongroom/ca.pem");
    /// assert!(!token.signs_in_by_itself());
    /// ```
    #[must_use]
    pub fn signs_in_by_itself(&self) -> bool {
        self.certificate.is_some() || self.secret.is_some()
    }

    /// A client that is set up with the token's addresses, roots, certificate and domain. Reads their files; asks nothing of the appliance.
    ///
    /// ```no_run
    /// # fn run(token: &strongroom_client::pkcs11::TokenConfig) -> Result<(), strongroom_client::ClientError> {
    /// println!("{:?}", token.client()?.health()?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Setup`] when there is no address, one of them or the domain is none, or a file cannot be read or is not what it should be.
    pub fn client(&self) -> Result<Client, ClientError> {
        self.client_at(&self.addresses)
    }

    /// The same with these addresses in place of the token's.
    ///
    /// ```no_run
    /// # fn run(token: &strongroom_client::pkcs11::TokenConfig) -> Result<(), strongroom_client::ClientError> {
    /// for address in &token.addresses {
    ///     println!("{address}: {:?}", token.client_at(&[address])?.health());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Self::client`].
    pub fn client_at(&self, addresses: &[impl AsRef<str>]) -> Result<Client, ClientError> {
        let (first, others) = addresses
            .split_first()
            .ok_or_else(|| ClientError::Setup("it has no address".to_owned()))?;
        let roots = Roots::from_pem(&read(&self.roots)?)?;
        let mut client = match self.identity()? {
            None => Client::new(first.as_ref(), &roots),
            Some(identity) => Client::with_identity(first.as_ref(), &roots, &identity),
        }?;
        for other in others {
            client = client.or_at(other.as_ref())?;
        }
        match &self.domain {
            Some(domain) => client.in_domain(domain),
            None => Ok(client),
        }
    }

    /// The client certificate and its key, if the account signs in by one. Reads their files.
    ///
    /// ```no_run
    /// # fn run(token: &strongroom_client::pkcs11::TokenConfig) -> Result<(), strongroom_client::ClientError> {
    /// if token.identity()?.is_none() {
    ///     println!("{} signs in by the account's secret", token.label);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Setup`] when a file cannot be read or is not what it should be.
    pub fn identity(&self) -> Result<Option<Identity>, ClientError> {
        match (&self.certificate, &self.key) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(ClientError::Setup(
                "it has a private key and no certificate".to_owned(),
            )),
            (Some(certificate), key) => {
                let certificate = read(certificate)?;
                let key = key.as_deref().map(read).transpose()?;
                let key = key.as_ref().unwrap_or(&certificate);
                Identity::from_pem(&certificate, key).map(Some)
            }
        }
    }

    /// The account.
    ///
    /// ```
    /// use strongroom_client::pkcs11::TokenConfig;
    ///
    /// let token = TokenConfig::new("web", "https://keys.example.com:8443", "/etc/strongroom/ca.pem");
    /// assert!(token.account_id().is_err(), "without a certificate, it must be said whose secret the PIN is");
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Setup`] when it is no identifier, or there is none and no certificate that stands for one.
    pub fn account_id(&self) -> Result<Option<AccountId>, ClientError> {
        match &self.account {
            Some(account) => account.parse().map(Some).map_err(|_| {
                ClientError::Setup(format!("{account:?} is no identifier of an account"))
            }),
            None if self.certificate.is_some() => Ok(None),
            None => Err(ClientError::Setup("it names no account".to_owned())),
        }
    }

    /// The account's secret, if a file is named that holds it.
    ///
    /// ```no_run
    /// # fn run(token: &strongroom_client::pkcs11::TokenConfig) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_client::Device;
    ///
    /// if let (Some(account), Some(secret)) = (token.account_id()?, token.read_secret()?) {
    ///     println!("{}", Device::new(token.client()?, account, secret).own_account()?.name);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Setup`] when the file cannot be read or holds no secret of an account.
    pub fn read_secret(&self) -> Result<Option<AccountSecret>, ClientError> {
        let Some(path) = &self.secret else {
            return Ok(None);
        };
        let text = read(path)?;
        let secret = std::str::from_utf8(&text).ok();
        let secret = secret.and_then(|text| AccountSecret::from_text(text.trim()));
        secret.map(Some).ok_or_else(|| {
            ClientError::Setup(format!("{} holds no secret of an account", path.display()))
        })
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

impl Found {
    /// The configuration that counts, for a process that gives `C_Initialize` this reserved string. None where there is none.
    ///
    /// ```
    /// use std::path::Path;
    /// use strongroom_client::pkcs11::{Found, Place};
    ///
    /// let found = Found::find(Some("config=/srv/web/pkcs11.toml"))?.ok_or("there is one")?;
    /// assert_eq!((found.place, found.path.as_path()), (Place::Reserved, Path::new("/srv/web/pkcs11.toml")));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ConfigError::NotAbsolute`] when the reserved string names no file.
    pub fn find(reserved: Option<&str>) -> Result<Option<Self>, ConfigError> {
        let named = reserved.map(str::trim).filter(|text| !text.is_empty());
        if let Some(text) = named {
            let path = Path::new(text.strip_prefix("config=").unwrap_or(text));
            if !path.is_absolute() {
                return Err(ConfigError::NotAbsolute);
            }
            return Ok(Some(Self {
                place: Place::Reserved,
                path: path.to_owned(),
            }));
        }
        // What the variable names counts even where it is not there: nobody means another file then.
        let found = Self::places()
            .into_iter()
            .find(|found| found.place == Place::Variable || found.path.exists());
        Ok(found)
    }

    /// Where a configuration is looked for without a reserved string, in the order in which they count, whether it is there or not.
    ///
    /// ```
    /// use strongroom_client::pkcs11::{Found, Place, SYSTEM};
    ///
    /// let last = Found::places().pop().ok_or("there is always the system's")?;
    /// assert_eq!(last, Found { place: Place::System, path: SYSTEM.into() });
    /// # Ok::<(), &str>(())
    /// ```
    #[must_use]
    pub fn places() -> Vec<Self> {
        Self::places_by(|name| std::env::var_os(name))
    }

    fn places_by(variable: impl Fn(&str) -> Option<OsString>) -> Vec<Self> {
        let variable = |name| variable(name).filter(|value| !value.is_empty());
        let named = variable(VARIABLE).map(|path| (Place::Variable, PathBuf::from(path)));
        let home = variable("HOME").map(|home| Path::new(&home).join(".config"));
        let users = variable("XDG_CONFIG_HOME").map(PathBuf::from).or(home);
        let users = users
            .filter(|path| path.is_absolute())
            .map(|path| (Place::User, path.join(BELOW_HOME)));
        let system = (Place::System, PathBuf::from(SYSTEM));
        named
            .into_iter()
            .chain(users)
            .chain([system])
            .map(|(place, path)| Self { place, path })
            .collect()
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

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, ClientError> {
    std::fs::read(path)
        .map(Zeroizing::new)
        .map_err(|error| ClientError::Setup(format!("{} cannot be read: {error}", path.display())))
}

#[cfg(test)]
mod tests;
