//! Of whom the appliance is a witness, as a seed says it: its configuration, without what the image decides.

use std::net::{Ipv6Addr, SocketAddr};

use serde::{Deserialize, Serialize};

/// Where a witness listens on a machine of its own network.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V6(Ipv6Addr::UNSPECIFIED), 7443);
/// The longest name, in bytes.
const LONGEST_NAME: usize = 200;

/// The witness that an appliance is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Witness {
    /// Its name, for people and programs to tell it from others: a URL without its scheme.
    pub(crate) name: String,
    #[serde(default = "listen")]
    listen: SocketAddr,
    #[serde(default, rename = "log")]
    logs: Vec<Log>,
}

/// A log that is cosigned.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Log {
    verifier_keys: Vec<String>,
}

/// `strongroom-witness.toml`.
#[derive(Serialize)]
struct Config<'a> {
    listen: SocketAddr,
    tls: Tls,
    log: &'a [Log],
}

#[derive(Serialize)]
struct Tls {
    certificate: &'static str,
    key: &'static str,
}

impl Witness {
    /// Its configuration, with the certificate in these files.
    ///
    /// # Errors
    /// When it cannot be written as TOML.
    pub(crate) fn config(
        &self,
        certificate: &'static str,
        key: &'static str,
    ) -> Result<String, toml::ser::Error> {
        toml::to_string(&Config {
            listen: self.listen,
            tls: Tls { certificate, key },
            log: &self.logs,
        })
    }

    /// Looks whether it can have its name. What else can be wrong, `strongroom-witness` says.
    pub(super) fn check(&self) -> Result<(), String> {
        let good = |c: char| c.is_ascii_graphic() && c != '+';
        if (1..=LONGEST_NAME).contains(&self.name.len()) && self.name.chars().all(good) {
            return Ok(());
        }
        Err(format!(
            "[witness]: {:?} cannot be its name: take one like witness.example.com/w1",
            self.name
        ))
    }
}

const fn listen() -> SocketAddr {
    LISTEN
}
