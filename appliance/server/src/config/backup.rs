//! The settings of backups: when they are made, and where they are sent.

use std::num::NonZeroU32;
use std::path::PathBuf;

use serde::Deserialize;
use url::Url;

/// Scheduled backups.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Backup {
    /// The folder they are made in; empty: none are made.
    pub(crate) folder: PathBuf,
    /// Hours from one to the next.
    pub(crate) every_hours: NonZeroU32,
    /// How many are kept.
    pub(crate) keep: NonZeroU32,
    /// Where each is sent; none: they stay in the folder.
    pub(crate) target: Option<BackupTarget>,
}

/// Where backups are sent: a server that keeps what it is sent by `PUT` (RFC 9110 section 9.3.4) over HTTPS, as `WebDAV` servers do.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BackupTarget {
    /// The folder there, to whose URL the name of a backup is added.
    pub(crate) url: String,
    /// The certificates of the authorities that vouch for it, in PEM.
    #[serde(default = "super::outside::default_ca")]
    pub(crate) ca: PathBuf,
    /// The certificate chain that the appliance shows to it, in PEM; empty: none.
    #[serde(default)]
    pub(crate) certificate: PathBuf,
    /// Its private key in PEM.
    #[serde(default)]
    pub(crate) key: PathBuf,
    /// Whether the appliance shows a certificate that its own authority makes for that.
    #[serde(default)]
    pub(crate) own_certificate: bool,
}

impl Default for Backup {
    fn default() -> Self {
        Self {
            folder: PathBuf::new(),
            every_hours: NonZeroU32::MIN.saturating_add(23),
            keep: NonZeroU32::MIN.saturating_add(13),
            target: None,
        }
    }
}

impl Backup {
    /// The files and folders that it names.
    pub(super) fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let target = self.target.iter_mut();
        std::iter::once(&mut self.folder).chain(
            target.flat_map(|target| [&mut target.ca, &mut target.certificate, &mut target.key]),
        )
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let Some(target) = &self.target else {
            return Ok(());
        };
        if self.folder.as_os_str().is_empty() {
            return Err("backup.target is given without backup.folder, where a backup is made before it is sent".to_owned());
        }
        let plain = Url::parse(&target.url).is_ok_and(|url| {
            url.scheme() == "https"
                && url.host().is_some()
                && url.path().ends_with('/')
                && url.query().is_none()
                && url.fragment().is_none()
                && url.username().is_empty()
                && url.password().is_none()
        });
        if !plain {
            return Err(
                "backup.target.url must be like https://store.example.com/backups/".to_owned(),
            );
        }
        if target.certificate.as_os_str().is_empty() != target.key.as_os_str().is_empty() {
            return Err("certificate and key of backup.target go together".to_owned());
        }
        if target.own_certificate && !target.key.as_os_str().is_empty() {
            return Err(
                "backup.target has a certificate of its own and one of the appliance's authority: choose one"
                    .to_owned(),
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn said(text: &str) -> Result<(), String> {
        toml::from_str::<Backup>(text).unwrap().check()
    }

    #[test]
    fn a_target_that_cannot_work_is_said_at_start() {
        let good = "folder = \"b\"\ntarget.url = \"https://store.example.com/b/\"";
        said("").unwrap();
        said(good).unwrap();
        for (text, complaint) in [
            (
                "target.url = \"https://store.example.com/b/\"",
                "without backup.folder",
            ),
            (
                "folder = \"b\"\ntarget.url = \"http://store.example.com/b/\"",
                "must be like",
            ),
            (
                "folder = \"b\"\ntarget.url = \"https://store.example.com/b\"",
                "must be like",
            ),
            (
                "folder = \"b\"\ntarget.url = \"https://a:b@store.example.com/b/\"",
                "must be like",
            ),
            (
                "folder = \"b\"\ntarget.url = \"https://store.example.com/b/?key=1\"",
                "must be like",
            ),
            (&format!("{good}\ntarget.key = \"k\""), "go together"),
            (
                &format!(
                    "{good}\ntarget.key = \"k\"\ntarget.certificate = \"c\"\ntarget.own_certificate = true"
                ),
                "choose one",
            ),
        ] {
            let refusal = said(text).unwrap_err();
            assert!(refusal.contains(complaint), "{refusal}");
        }
    }
}
