//! Which HSM a seed says, and what its module needs besides: variables of the environment, and peers on the network.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::document::is_host;

/// The folder of a seed's files, in the data folder.
pub(crate) const SITE: &str = "site";
/// The longest name and the longest value of a variable, in bytes.
const LONGEST: [usize; 2] = [64, 256];
/// What means something to the service, its libraries or systemd, and is not for a module.
const NOT_FOR_MODULES: [&str; 28] = [
    "BASH_ENV",
    "CACHE_DIRECTORY",
    "CONFIGURATION_DIRECTORY",
    "CREDENTIALS_DIRECTORY",
    "ENV",
    "HOME",
    "HOSTALIASES",
    "IFS",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "LANG",
    "LANGUAGE",
    "LOCALDOMAIN",
    "LOCPATH",
    "LOGNAME",
    "LOGS_DIRECTORY",
    "MAINPID",
    "MANAGERPID",
    "NLSPATH",
    "NOTIFY_SOCKET",
    "PATH",
    "RUNTIME_DIRECTORY",
    "SHELL",
    "STATE_DIRECTORY",
    "TMPDIR",
    "TZ",
    "TZDIR",
    "USER",
];
/// So begin, or end, others of them.
const BEGINNINGS: [&str; 16] = [
    "DBUS_",
    "GCONV_",
    "GLIBC_",
    "LC_",
    "LD_",
    "LISTEN_",
    "MALLOC_",
    "MEMORY_PRESSURE_",
    "OPENSSL_",
    "RES_",
    "RUST",
    "SSL_",
    "STRONGROOM",
    "SYSTEMD",
    "WATCHDOG_",
    "XDG_",
];
const END: &str = "_PROXY";

/// Which HSM an appliance is made with.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Hsm {
    pub(crate) kind: Kind,
    /// The token of a module: its label, or an RFC 7512 URI.
    pub(crate) token: Option<String>,
    /// The variables of the environment by which a module finds its settings.
    pub(super) environment: BTreeMap<String, String>,
    /// Whom a module goes to by itself.
    pub(crate) peers: Vec<Peer>,
    /// The connector of a YubiHSM 2.
    pub(crate) connector: Option<String>,
    /// The number of the appliance's authentication key in a YubiHSM 2.
    pub(crate) auth_key: Option<u16>,
    /// The domain of the YubiHSM 2.
    pub(crate) device_domain: Option<u8>,
    /// Whether keys that a first start which did not end has left in it are taken over.
    pub(crate) adopt_keys: bool,
    pub(crate) pin: PinUse,
}

/// What kind of HSM it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// SoftHSM, whose token is made on the data partition.
    #[default]
    Softhsm,
    /// What the image was built with.
    Module,
    /// A YubiHSM 2 behind its connector.
    Yubihsm,
}

/// What becomes of the HSM's PIN.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PinUse {
    /// It is kept on the data partition, which the TPM opens.
    #[default]
    Kept,
    /// Somebody types it at each start.
    Typed,
}

/// Whom a module goes to: a name or an address, the latter without brackets, and a port.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Peer {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl TryFrom<String> for Peer {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let read = || {
            let (host, port) = text.rsplit_once(':')?;
            let port = port.parse().ok().filter(|port| *port != 0)?;
            let inner = host
                .strip_prefix('[')
                .and_then(|host| host.strip_suffix(']'));
            // Without brackets an address of IPv6 has no end.
            let host = inner.unwrap_or_else(|| if host.contains(':') { "" } else { host });
            is_host(host).then(|| Self {
                host: host.to_owned(),
                port,
            })
        };
        read().ok_or_else(|| {
            format!("peers: {text:?} is no name or address with a port, such as 10.0.5.9:9004")
        })
    }
}

impl Hsm {
    /// The variables of the environment that its module is given, where the service's data is in this folder.
    pub(crate) fn environment(&self, data: &Path) -> impl Iterator<Item = (&str, String)> {
        self.environment.iter().map(|(name, value)| {
            let value = if value == SITE || site_file(value).is_some() {
                data.join(value).display().to_string()
            } else {
                value.clone()
            };
            (name.as_str(), value)
        })
    }

    /// Looks whether all of it belongs together, where the seed brings these files.
    pub(super) fn check(&self, files: &BTreeMap<String, String>) -> Result<(), String> {
        let of_yubihsm =
            self.connector.is_some() || self.auth_key.is_some() || self.device_domain.is_some();
        let of_module =
            self.token.is_some() || !self.environment.is_empty() || !self.peers.is_empty();
        match self.kind {
            Kind::Softhsm if of_module || of_yubihsm => {
                Err("[hsm]: nothing more is said of softhsm, whose token is made here".to_owned())
            }
            Kind::Module if of_yubihsm => {
                Err("[hsm]: connector, auth_key and device_domain belong to a yubihsm".to_owned())
            }
            Kind::Module => self.check_environment(files),
            Kind::Yubihsm if of_module => {
                Err("[hsm]: token, environment and peers belong to a module".to_owned())
            }
            Kind::Yubihsm if self.connector.is_none() => {
                Err("[hsm]: a yubihsm is reached by its connector".to_owned())
            }
            _ => Ok(()),
        }
    }

    fn check_environment(&self, files: &BTreeMap<String, String>) -> Result<(), String> {
        let [longest_name, longest_value] = LONGEST;
        for (name, value) in &self.environment {
            let good = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if !(1..=longest_name).contains(&name.len())
                || !name.chars().all(good)
                || !name.starts_with(|c: char| c.is_ascii_alphabetic())
            {
                return Err(format!(
                    "[hsm]: environment: {name:?} may have letters, digits and underscores, and begins with a letter"
                ));
            }
            if is_not_for_modules(name) {
                return Err(format!("[hsm]: environment: {name} is not for a module"));
            }
            // What systemd's files of variables take as it stands, between double quotes.
            let good = |c: char| (c.is_ascii_graphic() || c == ' ') && !"\"\\`$".contains(c);
            if !(1..=longest_value).contains(&value.len()) || !value.chars().all(good) {
                return Err(format!(
                    "[hsm]: environment: {name} has 1 to {longest_value} printable characters of ASCII, and no quote, backslash, backtick or dollar sign"
                ));
            }
            if site_file(value).is_some_and(|file| !files.contains_key(file)) {
                return Err(format!(
                    "[hsm]: environment: {name} is {value}, which is not among [files]"
                ));
            }
        }
        Ok(())
    }
}

/// The file of a seed that a value names.
pub(super) fn site_file(value: &str) -> Option<&str> {
    value.strip_prefix(SITE)?.strip_prefix('/')
}

fn is_not_for_modules(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    NOT_FOR_MODULES.contains(&name.as_str())
        || BEGINNINGS.iter().any(|begin| name.starts_with(begin))
        || name.ends_with(END)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::super::Document;
    use super::*;

    fn module(more: &str) -> Result<Document, String> {
        let text = format!("[hsm]\nkind = \"module\"\n{more}\n[files]\n\"hsm.cfg\" = \"x\"");
        Document::read(&text).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn a_module_finds_its_settings_by_its_environment() {
        let more = "environment = { CS_PKCS11_R3_CFG = \"site/hsm.cfg\", ChrystokiConfigurationPath = \"site\", CKNFAST_LOADSHARING = \"1\" }";
        let document = module(more).unwrap();
        let given: Vec<_> = document.hsm.environment(Path::new("/d")).collect();
        let given: Vec<_> = given
            .iter()
            .map(|(name, value)| (*name, &**value))
            .collect();
        assert_eq!(
            given,
            [
                ("CKNFAST_LOADSHARING", "1"),
                ("CS_PKCS11_R3_CFG", "/d/site/hsm.cfg"),
                ("ChrystokiConfigurationPath", "/d/site"),
            ]
        );
    }

    #[test]
    fn what_is_not_for_a_module_is_refused() {
        for (pair, expected) in [
            (
                "LD_PRELOAD = \"site/hsm.cfg\"",
                "LD_PRELOAD is not for a module",
            ),
            ("Path = \"/\"", "Path is not for a module"),
            ("SYSTEMD_LOG_LEVEL = \"debug\"", "not for a module"),
            ("OPENSSL_CONF = \"site/hsm.cfg\"", "not for a module"),
            ("GLIBC_TUNABLES = \"x\"", "not for a module"),
            ("NOTIFY_SOCKET = \"x\"", "not for a module"),
            ("https_proxy = \"x\"", "not for a module"),
            ("\"A B\" = \"x\"", "letters, digits and underscores"),
            ("\"1A\" = \"x\"", "begins with a letter"),
            ("A = \"\"", "printable characters"),
            ("A = \"a\\nLD_PRELOAD=b\"", "printable characters"),
            ("A = \"\\\"\"", "no quote"),
            ("A = \"site/other.cfg\"", "not among [files]"),
            ("A = \"site/../hsm-pin\"", "not among [files]"),
        ] {
            let refusal = module(&format!("environment = {{ {pair} }}")).unwrap_err();
            assert!(refusal.contains(expected), "{pair}: {refusal}");
        }
    }

    #[test]
    fn a_peer_has_a_port() {
        let document =
            module("peers = [\"10.0.5.9:9004\", \"[fd00::9]:1\", \"hsm.example.com:1792\"]");
        let peers = document.unwrap().hsm.peers;
        let peers: Vec<_> = peers.iter().map(|peer| (&*peer.host, peer.port)).collect();
        assert_eq!(
            peers,
            [
                ("10.0.5.9", 9004),
                ("fd00::9", 1),
                ("hsm.example.com", 1792)
            ]
        );
        for wrong in [
            "10.0.5.9",
            "10.0.5.9:0",
            "fd00::9:1",
            ":1",
            "a b:1",
            "a:65536",
        ] {
            let refusal = module(&format!("peers = [{wrong:?}]")).unwrap_err();
            assert!(refusal.contains("such as 10.0.5.9:9004"), "{refusal}");
        }
    }
}
