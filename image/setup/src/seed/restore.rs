//! What a seed says of a backup: from where an appliance is brought back.

use std::collections::BTreeMap;

use serde::Deserialize;
use url::Url;

use super::hsm::site_file;

/// From which backup an appliance is brought back.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Restore {
    /// Its https URL.
    pub(crate) from: String,
    /// The file of `[files]` with the authorities that vouch for its server.
    pub(crate) ca: String,
    /// The file with the newest checkpoint that is known.
    pub(crate) checkpoint: Option<String>,
    /// Why a backup is taken that is older than that.
    pub(crate) accept_older: Option<String>,
    /// The files with approvals, where the backup's policy demands some.
    #[serde(default)]
    pub(crate) approvals: Vec<String>,
}

impl Restore {
    /// The host that it is fetched from, without brackets, and the port.
    pub(crate) fn server(&self) -> Option<(String, u16)> {
        let url = Url::parse(&self.from).ok()?;
        let plain = url.scheme() == "https" && url.username().is_empty();
        let host = url.host_str().filter(|_| plain)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Some((host.to_owned(), url.port_or_known_default()?))
    }

    pub(super) fn check(&self, files: &BTreeMap<String, String>) -> Result<(), String> {
        if self.server().is_none() {
            return Err("[restore]: from is the https URL of a backup".to_owned());
        }
        let named = [Some(&self.ca), self.checkpoint.as_ref()];
        let mut named = named.into_iter().flatten().chain(&self.approvals);
        let is_there = |file: &String| site_file(file).is_some_and(|name| files.contains_key(name));
        if let Some(file) = named.find(|file| !is_there(file)) {
            return Err(format!(
                "[restore]: {file:?} is no file of [files], such as \"site/ca.pem\""
            ));
        }
        if self.accept_older.is_some() && self.checkpoint.is_none() {
            return Err("[restore]: accept_older is given without a checkpoint".to_owned());
        }
        Ok(())
    }
}
