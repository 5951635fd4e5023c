//! Where a configuration file is looked for.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::ConfigError;

/// The environment variable that names the configuration file, where the reserved string does not.
///
/// ```
/// use strongroom_client::pkcs11::VARIABLE;
///
/// println!("{VARIABLE} is {:?}", std::env::var_os(VARIABLE));
/// ```
pub const VARIABLE: &str = "STRONGROOM_PKCS11_CONFIG";
/// The system's configuration file.
///
/// ```
/// use strongroom_client::pkcs11::SYSTEM;
///
/// println!("services are set up in {SYSTEM}");
/// ```
pub const SYSTEM: &str = "/etc/strongroom/pkcs11.toml";

const BELOW_HOME: &str = "strongroom/pkcs11.toml";

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

    pub(super) fn places_by(variable: impl Fn(&str) -> Option<OsString>) -> Vec<Self> {
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
