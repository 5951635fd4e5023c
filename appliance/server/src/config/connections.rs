//! Where the appliance listens, and whom it goes to: what a packet filter has to let through, in the appliance or in front of it.

use std::net::SocketAddr;

use serde::Serialize;
use strongroom_hsm::yubihsm::Connection;
use url::Url;

use super::{Config, Device, Hsm};

/// All TCP connections that follow from a configuration. DNS, time and addresses are the system's.
#[derive(Debug, Serialize, PartialEq, Eq)]
pub(crate) struct Connections {
    /// Where it listens.
    pub(crate) listen: Vec<Listener>,
    /// Whom it goes to.
    pub(crate) outgoing: Vec<Peer>,
}

/// Where it listens.
#[derive(Debug, Serialize, PartialEq, Eq)]
pub(crate) struct Listener {
    /// Who comes there.
    pub(crate) what: &'static str,
    /// The address; the unspecified one stands for all.
    pub(crate) address: SocketAddr,
}

/// Whom it goes to.
#[derive(Debug, Serialize, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Peer {
    /// What that is.
    pub(crate) what: String,
    /// Its name or address, the latter without brackets.
    pub(crate) host: String,
    /// Its port.
    pub(crate) port: u16,
}

impl Config {
    /// What has to be let through. A PKCS#11 module that goes over the network itself is not known here.
    pub(crate) fn connections(&self) -> Connections {
        let mut outgoing = Vec::new();
        let mut add = |what: String, host: &str, port: u16| {
            let host = host
                .trim_start_matches('[')
                .trim_end_matches(']')
                .to_owned();
            outgoing.push(Peer { what, host, port });
        };
        for (what, url) in self
            .oidc
            .iter()
            .map(|provider| ("OpenID provider", &provider.issuer))
            .chain(self.witness.iter().map(|witness| ("witness", &witness.url)))
            .chain(
                self.backup
                    .target
                    .iter()
                    .map(|target| ("backup target", &target.url)),
            )
        {
            // They were checked when the file was read.
            if let Ok(url) = Url::parse(url)
                && let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default())
            {
                add(format!("{what} {host}"), host, port);
            }
        }
        for siem in &self.siem {
            if let Some((host, port)) = siem.address.rsplit_once(':')
                && let Ok(port) = port.parse()
            {
                add(format!("SIEM {}", siem.name), host, port);
            }
        }
        if !self.mail.relay.is_empty() {
            add(
                "mail relay".to_owned(),
                &self.mail.relay,
                self.mail.port.get(),
            );
        }
        for hsm in std::iter::once(&self.hsm).chain(self.hsm.slots.values()) {
            for (address, port) in connectors(hsm) {
                add("YubiHSM connector".to_owned(), &address, port);
            }
        }
        outgoing.sort();
        outgoing.dedup();
        Connections {
            listen: vec![
                Listener {
                    what: "clients",
                    address: self.listen.client,
                },
                Listener {
                    what: "administration",
                    address: self.listen.admin,
                },
            ],
            outgoing,
        }
    }
}

/// The connectors by which a table's HSMs are reached.
fn connectors(hsm: &Hsm) -> Vec<(String, u16)> {
    // What cannot be used was refused when the file was read.
    let members = hsm.members().unwrap_or_default();
    let reached = members
        .into_iter()
        .filter_map(|member| match member.device {
            Device::YubiHsm {
                connection: Connection::Http { address, port },
                ..
            } => Some((address, port)),
            _ => None,
        });
    reached.collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn whoever_is_configured_is_named_and_nobody_else() {
        let least = "[hsm]\nmodule = \"m\"\ntoken = \"t\"\n";
        let config: Config = toml::from_str(least).unwrap();
        assert_eq!(config.connections().outgoing, []);
        let config: Config = toml::from_str(
            "[listen]\nclient = \"0.0.0.0:443\"\nadmin = \"[fd00::1]:9443\"\n\
             [hsm]\nmodule = \"m\"\ntoken = \"t\"\n\
             [hsm.replica]\nconnector = \"http://[fd00::2]:12346\"\nauth_key = 2\n\
             [mail]\nrelay = \"mail.example.com\"\n\
             [backup]\nfolder = \"b\"\ntarget.url = \"https://store.example.com:8443/b/\"\n\
             [[oidc]]\nname = \"corp\"\nissuer = \"https://login.example.com/realm\"\nclient_id = \"s\"\n\
             [[witness]]\nurl = \"http://192.0.2.7:8080/w\"\nverifier_key = \"k\"\n\
             [[siem]]\nname = \"soc\"\naddress = \"[2001:db8::1]:6514\"\n",
        )
        .unwrap();
        let connections = config.connections();
        let peers: Vec<(&str, u16)> = connections
            .outgoing
            .iter()
            .map(|peer| (peer.host.as_str(), peer.port))
            .collect();
        assert_eq!(
            peers,
            [
                ("login.example.com", 443),
                ("2001:db8::1", 6514),
                ("fd00::2", 12346),
                ("store.example.com", 8443),
                ("mail.example.com", 587),
                ("192.0.2.7", 8080),
            ]
        );
        let ports: Vec<u16> = connections
            .listen
            .iter()
            .map(|listener| listener.address.port())
            .collect();
        assert_eq!(ports, [443, 9443]);
    }
}
