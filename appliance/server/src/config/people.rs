//! The settings of people's sign-in: passkeys, and mail to account holders.

use std::num::NonZeroU16;
use std::path::PathBuf;

use serde::Deserialize;
use strongroom_keystore::PasskeyParty;

use super::Listen;

/// Whom passkeys are made for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Passkeys {
    /// The relying party's identifier, a domain name; empty: the appliance's name.
    pub(crate) rp_id: String,
    /// The origins at which passkeys may be used; empty: the appliance's name with the ports of both listeners.
    pub(crate) origins: Vec<String>,
}

/// The site's mail relay.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Mail {
    /// Its name or address; empty: no mail is sent.
    pub(crate) relay: String,
    /// Its port.
    pub(crate) port: NonZeroU16,
    /// How the connection is protected.
    pub(crate) tls: MailTls,
    /// The certificates of the authorities that vouch for it, in PEM.
    pub(crate) ca: PathBuf,
    /// The sender's address.
    pub(crate) from: String,
    /// The name to sign in with; empty: without signing in.
    pub(crate) user: String,
    /// The file with the password that goes with it.
    pub(crate) password_file: PathBuf,
}

/// How the connection to the mail relay is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MailTls {
    /// By `STARTTLS` (RFC 3207), which must work.
    #[default]
    StartTls,
    /// From the first byte (RFC 8314).
    Tls,
    /// Not at all: for a relay on this machine only.
    None,
}

impl Default for Mail {
    fn default() -> Self {
        Self {
            relay: String::new(),
            port: NonZeroU16::MIN.saturating_add(586),
            tls: MailTls::default(),
            ca: "/etc/ssl/certs/ca-certificates.crt".into(),
            from: String::new(),
            user: String::new(),
            password_file: "mail-password".into(),
        }
    }
}

impl Passkeys {
    /// Whom passkeys are made for at the appliance of this name.
    pub(super) fn party(&self, name: &str, listen: &Listen) -> PasskeyParty {
        let id = match self.rp_id.as_str() {
            "" => name,
            id => id,
        };
        let mut origins = self.origins.clone();
        if origins.is_empty() {
            let ports = [listen.client.port(), listen.admin.port()];
            origins = ports.map(|port| format!("https://{name}:{port}")).into();
            // Browsers leave out the port of HTTPS.
            origins.push(format!("https://{name}"));
        }
        PasskeyParty {
            id: id.to_owned(),
            origins,
        }
    }

    /// The same for a domain that clients reach by this host name.
    pub(super) fn at(&self, host: &str, listen: &Listen) -> Self {
        let party = Self {
            rp_id: self.rp_id.clone(),
            origins: Vec::new(),
        }
        .party(host, listen);
        Self {
            rp_id: party.id,
            origins: party.origins,
        }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let of_https = |origin: &String| {
            origin
                .strip_prefix("https://")
                .is_some_and(|host| !host.is_empty() && !host.contains('/'))
        };
        if self.origins.iter().all(of_https) {
            return Ok(());
        }
        Err("an origin of passkeys is not like https://keys.example.com:8443".to_owned())
    }
}

impl Mail {
    pub(super) fn check(&self) -> Result<(), String> {
        if !self.relay.is_empty() && !self.from.contains('@') {
            return Err("mail.from must be the address that mail comes from".to_owned());
        }
        let on_this_machine = ["localhost", "127.0.0.1", "::1"].contains(&self.relay.as_str());
        if !self.relay.is_empty() && self.tls == MailTls::None && !on_this_machine {
            return Err(
                "mail.tls may be none for a relay on this machine only: mail holds one-time codes"
                    .to_owned(),
            );
        }
        Ok(())
    }
}
