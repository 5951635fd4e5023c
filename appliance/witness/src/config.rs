//! The configuration: which logs the witness knows, and where it listens.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use strongroom_audit::checkpoint;

/// The configuration of a witness, as `strongroom-witness.toml` says it. Paths are relative to the file's folder.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where it listens.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// The file with its private key.
    #[serde(default = "default_key")]
    pub key: PathBuf,
    /// The file with the last tree of each log.
    #[serde(default = "default_state")]
    pub state: PathBuf,
    /// Its certificate, if it speaks TLS itself and not through a proxy.
    pub tls: Option<Tls>,
    /// The logs that it cosigns.
    #[serde(default, rename = "log")]
    pub logs: Vec<Log>,
}

/// The certificate of the witness's listener.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate chain in PEM, its own certificate first.
    pub certificate: PathBuf,
    /// Its private key in PEM.
    pub key: PathBuf,
}

/// A log that is cosigned.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// The keys that it may sign with (C2SP `signed-note`, `vkey`), all of one name: the log's origin.
    pub verifier_keys: Vec<String>,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the configuration {path} is not valid: {reason}")]
pub struct ConfigError {
    path: PathBuf,
    reason: String,
}

/// What a new witness is configured with.
pub const EXAMPLE: &str = include_str!("../strongroom-witness.example.toml");

impl Config {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// When it cannot be read, has unknown settings, or names keys that cannot be used.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let wrong = |reason: String| ConfigError {
            path: path.to_owned(),
            reason,
        };
        let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        let mut config: Self = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let tls = config.tls.iter_mut();
        let tls = tls.flat_map(|tls| [&mut tls.certificate, &mut tls.key]);
        for path in [&mut config.key, &mut config.state].into_iter().chain(tls) {
            *path = folder.join(&*path);
        }
        config.keys().map_err(wrong)?;
        Ok(config)
    }

    /// The keys of each log, by its origin.
    ///
    /// # Errors
    ///
    /// One sentence, when a key cannot be used or two entries are of one log.
    pub fn keys(&self) -> Result<BTreeMap<String, Vec<String>>, String> {
        let mut logs = BTreeMap::new();
        for log in &self.logs {
            let mut origin = None;
            for key in &log.verifier_keys {
                checkpoint::check_verifier_key(key).map_err(|error| format!("{key}: {error}"))?;
                let name = key.split('+').next().unwrap_or_default();
                if origin.is_some_and(|origin| origin != name) {
                    return Err(format!("the keys of one log have one name, unlike {key}"));
                }
                origin = Some(name);
            }
            let origin = origin.ok_or("a log has no verifier key")?;
            let before = logs.insert(origin.to_owned(), log.verifier_keys.clone());
            if before.is_some() {
                return Err(format!("the log {origin} stands there twice"));
            }
        }
        Ok(logs)
    }
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 7443))
}

fn default_key() -> PathBuf {
    "witness.key".into()
}

fn default_state() -> PathBuf {
    "witness-state.json".into()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn load(text: &str) -> Result<Config, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.toml");
        fs::write(&path, text).unwrap();
        Config::load(&path)
    }

    #[test]
    fn the_example_is_the_default() {
        let config = load(EXAMPLE).unwrap();
        let default = load("").unwrap();
        assert_eq!(config.listen, default.listen);
        assert_eq!(config.key.file_name(), default.key.file_name());
        assert_eq!(config.state.file_name(), default.state.file_name());
        assert!(config.logs.is_empty() && config.tls.is_none());
    }

    #[test]
    fn logs_are_known_by_their_keys() {
        let one = checkpoint::verifier_key("log.example/a", &[1; 32]);
        let two = checkpoint::verifier_key("log.example/a", &[9; 32]);
        let text = format!("[[log]]\nverifier_keys = [{one:?}, {two:?}]");
        let keys = load(&text).unwrap().keys().unwrap();
        assert_eq!(keys["log.example/a"], [one.clone(), two]);
        let other = checkpoint::verifier_key("log.example/b", &[1; 32]);
        for text in [
            format!("[[log]]\nverifier_keys = [{one:?}, {other:?}]"),
            format!("[[log]]\nverifier_keys = [{one:?}]\n[[log]]\nverifier_keys = [{one:?}]"),
            "[[log]]\nverifier_keys = []".to_owned(),
            "[[log]]\nverifier_keys = ['x']".to_owned(),
            "[[log]]\nverifier_key = 'x'".to_owned(),
            "listens = '127.0.0.1:1'".to_owned(),
        ] {
            assert!(load(&text).is_err(), "{text}");
        }
    }
}
