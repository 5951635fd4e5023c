//! The sections of the configuration that every appliance has, with their defaults.

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::path::PathBuf;

use serde::Deserialize;

use super::{at_least_one, seconds};

/// Where to listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Listen {
    /// For clients.
    pub(crate) client: SocketAddr,
    /// For administrators and the monitoring.
    pub(crate) admin: SocketAddr,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            client: SocketAddr::from(([127, 0, 0, 1], 8443)),
            admin: SocketAddr::from(([127, 0, 0, 1], 9443)),
        }
    }
}

/// The certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Tls {
    /// The certificate chain in PEM, the server's own certificate first.
    pub(crate) certificate: PathBuf,
    /// Its private key in PEM.
    pub(crate) key: PathBuf,
    /// Host names and addresses that the certificate is to be for, beside the appliance's own, where its own authority made it; empty: it keeps those that it
    /// has.
    pub(crate) names: Vec<String>,
    /// The certificates, in PEM, of the authorities that vouch for those of clients; empty: clients present none.
    pub(crate) client_ca: PathBuf,
    /// Their revocation lists in PEM; empty: none are asked for.
    pub(crate) client_crl: PathBuf,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            certificate: "tls/server.pem".into(),
            key: "tls/server.key".into(),
            names: Vec::new(),
            client_ca: PathBuf::new(),
            client_crl: PathBuf::new(),
        }
    }
}

/// Lifetimes and the cache of account KEKs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Keystore {
    /// Seconds that an unwrapped account KEK stays in memory; 0 sends each use to the HSM.
    pub(crate) kek_cache_ttl: u64,
    /// Account KEKs in memory at most.
    pub(crate) kek_cache_size: NonZeroUsize,
    /// Seconds after which a session ends by itself, however much it is used.
    pub(crate) session_lifetime: NonZeroU64,
    /// Seconds without a request after which a session ends by itself.
    pub(crate) session_idle_lifetime: NonZeroU64,
    /// Seconds after which an enrolment code lapses.
    pub(crate) enrolment_lifetime: NonZeroU64,
    /// Seconds by which the time of a signed request may differ from the appliance's.
    pub(crate) clock_skew: NonZeroU64,
    /// How many records a rotation moves to a new KEK in a second.
    pub(crate) rotation_rate: NonZeroU32,
}

impl Default for Keystore {
    fn default() -> Self {
        Self {
            kek_cache_ttl: 300,
            kek_cache_size: at_least_one(10_000),
            session_lifetime: seconds(8 * 3600),
            session_idle_lifetime: seconds(3600),
            enrolment_lifetime: seconds(7 * 24 * 3600),
            clock_skew: seconds(300),
            rotation_rate: NonZeroU32::MIN.saturating_add(499),
        }
    }
}

/// The audit log.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Audit {
    /// Where the newest checkpoint is kept outside of the database; empty: `kept/checkpoint` in the data folder.
    pub(crate) checkpoint_file: PathBuf,
    /// Hours from one scrub to the next; 0: none runs by itself.
    pub(crate) scrub_every_hours: u32,
}

impl Default for Audit {
    fn default() -> Self {
        Self {
            checkpoint_file: PathBuf::new(),
            scrub_every_hours: 24,
        }
    }
}

/// Domains beside the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Domains {
    /// How many are kept open at a time.
    pub(crate) open: NonZeroUsize,
}

impl Default for Domains {
    fn default() -> Self {
        Self {
            open: at_least_one(64),
        }
    }
}
