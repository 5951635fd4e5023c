//! The configuration: `strongroom.toml`.
//!
//! `strongroom.example.toml` holds every setting with its default and what it means; a test holds the two together.

mod backup;
mod connections;
mod hsm;
mod initial;
mod limits;
mod oidc;
mod outside;
mod people;
mod sections;

use std::fs;
use std::io;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use serde::Deserialize;
use strongroom_keystore::Options;

pub(crate) use backup::{Backup, BackupTarget};
pub(crate) use connections::Connections;
pub(crate) use hsm::{Device, Hsm, Member, Place};
pub(crate) use initial::{InitialConfig, InitialListen, Settings};
pub(crate) use limits::Limits;
pub(crate) use oidc::OidcProvider;
pub(crate) use outside::{Siem, SiemFormat, Witness};
pub(crate) use people::{Mail, MailTls, Passkeys};
pub(crate) use sections::{Audit, Domains, Keystore, Listen, Tls};

use crate::domains::registry::{self, Entry, Registry};
use crate::tls::canonical;

/// In the data folder: the database, and the kept checkpoint where the configuration names no other.
pub(crate) const DATABASE: &str = "strongroom.db";
pub(crate) const CHECKPOINT: &str = "kept/checkpoint";

/// What a budget of failures can be made of: their product has to be a time.
const MOST_FAILURES: u32 = 100_000;
const SECONDS_OF_A_DAY: u32 = 24 * 60 * 60;

/// The least account KEKs in memory of a domain other than the first.
const LEAST_KEKS: usize = 128;

/// The whole configuration. Its paths are absolute or relative to the working folder once [`Config::load`] has resolved them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The folder with the database, the state lock and the file of addresses.
    #[serde(default = "default_data")]
    pub(crate) data: PathBuf,
    /// The appliance's name: `audit verify` expects it in the log's origin.
    #[serde(default = "default_name")]
    pub(crate) name: String,
    /// The domain that is served.
    #[serde(default = "default_domain")]
    pub(crate) domain: String,
    /// Where to listen.
    #[serde(default)]
    pub(crate) listen: Listen,
    /// The certificate and its key.
    #[serde(default)]
    pub(crate) tls: Tls,
    /// The HSM, and its replica where there is one.
    pub(crate) hsm: Hsm,
    /// Lifetimes and the cache of account KEKs.
    #[serde(default)]
    pub(crate) keystore: Keystore,
    /// What one request or one failing client may cost.
    #[serde(default)]
    pub(crate) limits: Limits,
    /// Whom passkeys are made for.
    #[serde(default)]
    pub(crate) passkeys: Passkeys,
    /// The site's mail relay.
    #[serde(default)]
    pub(crate) mail: Mail,
    /// The OpenID providers at which people sign in.
    #[serde(default)]
    pub(crate) oidc: Vec<OidcProvider>,
    /// The audit log.
    #[serde(default)]
    pub(crate) audit: Audit,
    /// The witnesses of the logs.
    #[serde(default)]
    pub(crate) witness: Vec<Witness>,
    /// The receivers of the logs.
    #[serde(default)]
    pub(crate) siem: Vec<Siem>,
    /// Scheduled backups.
    #[serde(default)]
    pub(crate) backup: Backup,
    /// Domains beside the first.
    #[serde(default)]
    pub(crate) domains: Domains,
    /// The log.
    #[serde(default)]
    pub(crate) log: Log,
}

/// The log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Log {
    /// What is logged.
    pub(crate) level: Level,
    /// How it looks.
    pub(crate) format: Format,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// Faults of the appliance.
    Error,
    /// Also what an operator should look at.
    Warn,
    /// Also start, stop and refusals.
    #[default]
    Info,
    /// Also a line for each request.
    Debug,
}

impl Level {
    const ALL: [Self; 4] = [Self::Error, Self::Warn, Self::Info, Self::Debug];

    /// Its name, as in the configuration.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }

    /// The one with this name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == name)
    }
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file is not there.
    #[error(
        "there is no configuration at {path}; run `strongroomd init` first or name the file with --config"
    )]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The file is there and cannot be read.
    #[error("the configuration {path} cannot be read: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file has an unknown or malformed setting, or lacks one.
    #[error("the configuration {path} is not valid (line {line}): {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line that it is about; the first is 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// A setting has a value that cannot work.
    #[error("the configuration {path} is not valid: {reason}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl Config {
    /// Reads the file and resolves the paths in it against the file's folder.
    pub(crate) fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => ConfigError::Missing {
                path: path.to_owned(),
            },
            _ => ConfigError::Unreadable {
                path: path.to_owned(),
                source,
            },
        })?;
        Self::read(&text, path)
    }

    /// What this text says, if it were the file.
    pub(crate) fn read(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let mut config: Self = toml::from_str(text).map_err(|error| ConfigError::Malformed {
            path: path.to_owned(),
            line: line_of(text, error.span().map_or(0, |span| span.start)),
            reason: error.message().replace('\n', " "),
        })?;
        config.resolve(path.parent().unwrap_or(Path::new("")));
        config.check().map_err(|reason| ConfigError::Invalid {
            path: path.to_owned(),
            reason,
        })?;
        Ok(config)
    }

    /// The same for the domain of this name, which need not be the first: its database, its kept checkpoint, its backups and its HSM.
    pub(crate) fn load_domain(path: &Path, domain: Option<&str>) -> anyhow::Result<Self> {
        let config = Self::load(path)?;
        let Some(name) = domain.filter(|name| *name != config.domain) else {
            return Ok(config);
        };
        let registry = Registry::read(&config.data)?;
        let entry = registry
            .find(name)
            .with_context(|| format!("this appliance has no domain {name:?}"))?;
        config.of_domain(entry)
    }

    /// The configuration of a domain other than the first.
    ///
    /// # Errors
    /// When its HSM slot is not configured.
    pub(crate) fn of_domain(&self, entry: &Entry) -> anyhow::Result<Self> {
        let mut config = self.clone();
        let name = &entry.name;
        name.clone_into(&mut config.domain);
        config.data = self.data.join(registry::FOLDER).join(name);
        if entry.slot != registry::DEFAULT_SLOT {
            let slot = self.hsm.slots.get(&entry.slot);
            let slot = slot
                .with_context(|| format!("the configuration names no HSM slot {:?}", entry.slot))?;
            config.hsm = slot.clone();
        }
        config.hsm.slots.clear();
        if !self.audit.checkpoint_file.as_os_str().is_empty() {
            config.audit.checkpoint_file = self.audit.checkpoint_file.with_added_extension(name);
        }
        if !self.backup.folder.as_os_str().is_empty() {
            config.backup.folder = self.backup.folder.join(name);
        }
        if let Some(host) = entry.hosts.first() {
            config.passkeys = self.passkeys.at(host, &self.listen);
        }
        // Locked memory, which all domains share.
        let share = self.keystore.kek_cache_size.get() / self.domains.open;
        config.keystore.kek_cache_size = at_least_one(share.max(LEAST_KEKS));
        Ok(config)
    }

    /// The name under which the checkpoints of the domain's audit log are signed (C2SP `tlog-checkpoint`, "origin").
    pub(crate) fn origin(&self) -> String {
        origin(&self.name, &self.domain)
    }

    /// The database.
    pub(crate) fn database(&self) -> PathBuf {
        self.data.join(DATABASE)
    }

    /// Where the newest checkpoint is kept outside of the database.
    pub(crate) fn kept_checkpoint(&self) -> PathBuf {
        if self.audit.checkpoint_file.as_os_str().is_empty() {
            self.data.join(CHECKPOINT)
        } else {
            self.audit.checkpoint_file.clone()
        }
    }

    /// What the keystore wants to know.
    pub(crate) fn keystore_options(&self) -> Options {
        Options {
            domain: self.domain.clone(),
            kek_cache_ttl: Duration::from_secs(self.keystore.kek_cache_ttl),
            kek_cache_size: self.keystore.kek_cache_size.get(),
            session_lifetime: Duration::from_secs(self.keystore.session_lifetime.get()),
            session_idle_lifetime: Duration::from_secs(self.keystore.session_idle_lifetime.get()),
            enrolment_lifetime: Duration::from_secs(self.keystore.enrolment_lifetime.get()),
            clock_skew: Duration::from_secs(self.keystore.clock_skew.get()),
            passkeys: self.passkeys.party(&self.name, &self.listen),
            // Each was read before: see `check`.
            witnesses: self
                .witness
                .iter()
                .filter(|witness| {
                    witness.domains.is_empty() || witness.domains.contains(&self.domain)
                })
                .filter_map(|witness| witness.key().ok())
                .collect(),
            sends_mail: !self.mail.relay.is_empty(),
        }
    }

    fn check(&self) -> Result<(), String> {
        check_name(&self.name)?;
        if self.tls.client_ca.as_os_str().is_empty() && !self.tls.client_crl.as_os_str().is_empty()
        {
            return Err("client_crl is given without client_ca".to_owned());
        }
        if self.domain.is_empty() {
            return Err("domain is empty".to_owned());
        }
        if self.keystore.clock_skew.get() > 24 * 3600 {
            return Err("clock_skew is more than a day".to_owned());
        }
        if let Some(name) = self.tls.names.iter().find(|name| canonical(name).is_none()) {
            return Err(format!(
                "{name:?} among names of [tls] is neither a host name nor an address"
            ));
        }
        self.passkeys.check()?;
        self.mail.check()?;
        oidc::check(&self.oidc)?;
        outside::check(&self.witness, &self.siem)?;
        self.backup.check()?;
        if self.limits.body < 1024 || self.limits.keys_body < 1024 {
            return Err("a limit of request bodies is below 1024 bytes".to_owned());
        }
        let limits = &self.limits;
        if limits.account_failures.max(limits.address_failures).get() > MOST_FAILURES {
            return Err(format!("a limit of failures is above {MOST_FAILURES}"));
        }
        let seconds = limits.account_failure_seconds;
        if seconds.max(limits.address_failure_seconds).get() > SECONDS_OF_A_DAY {
            return Err(
                "the seconds after which there is one more try are more than a day".to_owned(),
            );
        }
        self.hsm.check_slots()
    }

    fn resolve(&mut self, folder: &Path) {
        for path in [
            &mut self.data,
            &mut self.tls.certificate,
            &mut self.tls.key,
            &mut self.mail.ca,
            &mut self.mail.password_file,
        ] {
            // Without the "." that stands for the folder itself.
            *path = folder.join(&*path).components().collect();
        }
        for path in [
            &mut self.audit.checkpoint_file,
            &mut self.tls.client_ca,
            &mut self.tls.client_crl,
        ]
        .into_iter()
        .chain(self.oidc.iter_mut().flat_map(OidcProvider::paths))
        .chain(self.witness.iter_mut().flat_map(Witness::paths))
        .chain(self.siem.iter_mut().flat_map(Siem::paths))
        .chain(self.backup.paths())
        {
            if !path.as_os_str().is_empty() {
                *path = folder.join(&*path).components().collect();
            }
        }
        for provider in &mut self.oidc {
            if provider.domain.is_empty() {
                provider.domain.clone_from(&self.domain);
            }
        }
        self.hsm.resolve(folder);
    }
}

/// The domain that there is where nothing else is said.
pub(crate) fn default_domain() -> String {
    "default".to_owned()
}

/// The origin of the checkpoints of `domain` on the appliance `name`.
pub(crate) fn origin(name: &str, domain: &str) -> String {
    format!("{name}/{domain}")
}

/// Whether `name` can be the appliance's: it stands in checkpoints and in the certificate.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    if name.is_empty() || name.len() > 253 || !name.chars().all(good) {
        return Err("name must have 1 to 253 letters, digits, dots and hyphens".to_owned());
    }
    Ok(())
}

fn default_data() -> PathBuf {
    ".".into()
}

fn default_name() -> String {
    "strongroom.local".to_owned()
}

fn at_least_one(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).unwrap_or(NonZeroUsize::MIN)
}

fn seconds(number: u64) -> NonZeroU64 {
    NonZeroU64::new(number).unwrap_or(NonZeroU64::MIN)
}

/// The line on which byte `at` stands.
fn line_of(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

#[cfg(test)]
mod tests;
