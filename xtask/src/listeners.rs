//! Where the appliance listens, and whether the ports can be had.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr, TcpListener},
};

use anyhow::{Result, bail};
use serde::Deserialize;

/// Where the appliance listens: the `[listen]` table of strongroom.toml.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(default)]
pub(crate) struct Listeners {
    /// For clients.
    pub(crate) client: SocketAddr,
    /// For administration.
    pub(crate) admin: SocketAddr,
}

impl Listeners {
    /// On this machine only.
    pub(crate) fn local(client: u16, admin: u16) -> Self {
        let here = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self {
            client: here(client),
            admin: here(admin),
        }
    }

    /// Sees that both ports can be had, before anything is started.
    pub(crate) fn check_free(self) -> Result<()> {
        if self.client == self.admin {
            bail!(
                "clients and administration cannot share port {}",
                self.client.port()
            );
        }
        // Both are held while both are tried.
        let _client = bind(self.client, "--client-port")?;
        let _admin = bind(self.admin, "--admin-port")?;
        Ok(())
    }

    pub(crate) fn client_url(self) -> String {
        format!("https://{}", self.client)
    }

    pub(crate) fn admin_url(self) -> String {
        format!("https://{}", self.admin)
    }
}

impl Default for Listeners {
    fn default() -> Self {
        Self::local(8443, 9443)
    }
}

fn bind(address: SocketAddr, flag: &str) -> Result<TcpListener> {
    let port = address.port();
    TcpListener::bind(address).map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => {
            anyhow::anyhow!("port {port} is in use: stop what uses it, or choose another with {flag}")
        }
        ErrorKind::PermissionDenied => {
            anyhow::anyhow!("port {port} needs rights this user does not have: choose one above 1023 with {flag}")
        }
        _ => anyhow::anyhow!("port {port} cannot be listened on ({error}): choose another with {flag}"),
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_port_in_use_is_named_with_its_flag() {
        let holder = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let taken = holder.local_addr().unwrap();
        let message = bind(taken, "--client-port").unwrap_err().to_string();
        let port = taken.port();
        assert_eq!(
            message,
            format!(
                "port {port} is in use: stop what uses it, or choose another with --client-port"
            )
        );
    }

    #[test]
    fn one_port_cannot_serve_both() {
        assert!(Listeners::local(8443, 8443).check_free().is_err());
    }
}
