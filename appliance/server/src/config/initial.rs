//! What a new configuration says.

use std::net::SocketAddr;

use serde::Serialize;

use super::Hsm;

/// The few settings that `strongroomd init` writes; all others keep their defaults.
#[derive(Debug, Serialize)]
pub(crate) struct InitialConfig<'a> {
    pub(crate) name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) domain: Option<&'a str>,
    pub(crate) listen: InitialListen,
    pub(crate) hsm: &'a Hsm,
}

/// See [`InitialConfig`].
#[derive(Debug, Serialize)]
pub(crate) struct InitialListen {
    pub(crate) client: SocketAddr,
    pub(crate) admin: SocketAddr,
}
