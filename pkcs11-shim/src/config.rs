//! The configuration, as the client library has it ([`strongroom_client::pkcs11`]): here is what its errors are to an application.

use std::ffi::OsStr;
use std::path::Path;

use cryptoki_sys::{CKR_ARGUMENTS_BAD, CKR_FUNCTION_FAILED};
pub use strongroom_client::pkcs11::{
    Compatibility, Config, ConfigError, Hidden, Level, LogConfig, TokenConfig, VARIABLE,
};

use crate::error::CkError;

/// `CKR_ARGUMENTS_BAD` when the reserved string names no file; `CKR_FUNCTION_FAILED` when a file cannot be read or is no configuration.
impl From<ConfigError> for CkError {
    fn from(error: ConfigError) -> Self {
        let rv = match error {
            ConfigError::NotAbsolute => CKR_ARGUMENTS_BAD,
            _ => CKR_FUNCTION_FAILED,
        };
        Self {
            what: error.to_string().into(),
            ..Self::new(rv, "")
        }
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
    fn an_application_is_told_whose_fault_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pkcs11.toml");
        let loaded = |reserved: &str| Config::load(Some(reserved)).map_err(CkError::from);
        let error = loaded(path.to_str().unwrap()).unwrap_err();
        assert_eq!(error.rv, CKR_FUNCTION_FAILED, "it is not there");
        std::fs::write(&path, "secret = 1").unwrap();
        let error = loaded(path.to_str().unwrap()).unwrap_err();
        assert_eq!(error.rv, CKR_FUNCTION_FAILED);
        assert!(
            error.to_string().contains("pkcs11.toml cannot be used"),
            "{error}"
        );
        let error = loaded("library parameters of another module").unwrap_err();
        assert_eq!(error.rv, CKR_ARGUMENTS_BAD);
        std::fs::write(&path, "").unwrap();
        let (config, from) = loaded(&format!("config={}", path.display())).unwrap();
        assert_eq!((config, from), (Config::default(), Some(path)));
    }
}
