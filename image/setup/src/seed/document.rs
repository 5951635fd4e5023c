//! What a seed says: the words of the console and of `strongroomd init`, as TOML.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use toml::value::Datetime;

use super::Refusal;
use super::hsm::{Hsm, Kind, PinUse};
use super::restore::Restore;
use super::witness::Witness;
use crate::network::Network;

/// What a seed says. One that says nothing is a first start without a seed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Document {
    /// From when on it is refused.
    #[serde(deserialize_with = "moment")]
    pub(super) expires: Option<OffsetDateTime>,
    /// For which machines it is.
    pub(super) only: Only,
    /// How the machine is on its network; none leaves what there is, which is DHCP at a first start.
    #[serde(deserialize_with = "network")]
    pub(super) network: Option<Network>,
    /// The servers that the clock is set by; none are those of Debian.
    pub(super) ntp: Vec<String>,
    /// The appliance's name.
    pub(crate) name: Option<String>,
    /// Further names in the server certificate.
    pub(crate) dns_names: Vec<String>,
    /// The account of the first administrator.
    pub(crate) administrator: String,
    /// The HSM.
    pub(crate) hsm: Hsm,
    /// The witness that it is, of other appliances' logs.
    pub(crate) witness: Option<Witness>,
    /// What the configuration says besides.
    pub(crate) strongroomd: toml::Table,
    /// Files that it names, or that the HSM's module reads, in the folder `site` of the data folder.
    pub(crate) files: BTreeMap<String, String>,
    /// The backup of an appliance that is brought back, instead of a new one.
    pub(crate) restore: Option<Restore>,
}

/// For which machines a seed is; where nothing is said, for all.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Only {
    /// Serial numbers, as the firmware says them (SMBIOS, "System Information").
    pub(super) serial: Vec<String>,
    /// TPMs, as the console names them.
    pub(super) tpm: Vec<String>,
}

impl Default for Document {
    fn default() -> Self {
        Self {
            expires: None,
            only: Only::default(),
            network: None,
            ntp: Vec::new(),
            name: None,
            dns_names: Vec::new(),
            administrator: "admin".to_owned(),
            hsm: Hsm::default(),
            witness: None,
            strongroomd: toml::Table::new(),
            files: BTreeMap::new(),
            restore: None,
        }
    }
}

impl Document {
    /// Reads what was signed.
    ///
    /// # Errors
    /// [`Refusal::Malformed`], [`Refusal::Unusable`].
    pub(super) fn read(text: &str) -> Result<Self, Refusal> {
        let document: Self = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            let before = text.get(..at).unwrap_or_default();
            let line = 1 + before.matches('\n').count();
            let reason = error.message().replace('\n', " ");
            Refusal::Malformed(format!("line {line}: {reason}"))
        })?;
        document.check().map_err(Refusal::Unusable)?;
        Ok(document)
    }

    /// Whether somebody has to type the HSM's PIN at the first start: it has one already, or is to have one that is kept nowhere.
    pub(crate) fn asks_for_pin(&self) -> bool {
        self.hsm.kind != Kind::Softhsm || self.hsm.pin == PinUse::Typed
    }

    /// What this text says, for tests.
    #[cfg(test)]
    #[expect(clippy::unwrap_used, reason = "tests")]
    pub(crate) fn of(text: &str) -> Self {
        Self::read(text).unwrap()
    }

    fn check(&self) -> Result<(), String> {
        if let Some(server) = self.ntp.iter().find(|name| !is_host(name)) {
            return Err(format!("ntp: {server:?} is neither a name nor an address"));
        }
        if let Some(name) = self.dns_names.iter().find(|name| !is_host(name)) {
            return Err(format!("dns_names: {name:?} is no name"));
        }
        if let Some(name) = self.files.keys().find(|name| !is_file(name)) {
            return Err(format!(
                "files: {name:?} may have letters, digits, dots, hyphens and underscores, and begin with none of the last three"
            ));
        }
        if self.administrator.trim().is_empty() {
            return Err("administrator is empty".to_owned());
        }
        if let Some(restore) = &self.restore {
            if self.name.is_some() {
                return Err("[restore]: the name is the backup's".to_owned());
            }
            restore.check(&self.files)?;
        }
        self.witness.as_ref().map_or(Ok(()), Witness::check)?;
        self.hsm.check(&self.files)
    }
}

/// Whether it can be a host's name or address: nothing that means something in a file that it is written into.
pub(super) fn is_host(name: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || ".-:".contains(c);
    (1..=253).contains(&name.len()) && name.chars().all(good) && !name.starts_with('-')
}

fn is_file(name: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
    (1..=64).contains(&name.len())
        && name.chars().all(good)
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
}

fn network<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Network>, D::Error> {
    let typed = String::deserialize(from)?;
    let network = typed.parse();
    network
        .map(Some)
        .map_err(|mistake| serde::de::Error::custom(format!("network: {mistake}")))
}

fn moment<'de, D: Deserializer<'de>>(from: D) -> Result<Option<OffsetDateTime>, D::Error> {
    let written = Datetime::deserialize(from)?.to_string();
    OffsetDateTime::parse(&written, &Rfc3339)
        .map(Some)
        .map_err(|_| {
            serde::de::Error::custom(
                "expires: a date, a time and where that holds are wanted, such as 2027-01-31T12:00:00Z",
            )
        })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::path::Path;

    use super::*;

    #[test]
    fn the_example_of_the_manual_is_read() {
        let readme = include_str!("../../../README.md");
        let (_, from) = readme.split_once("```toml\n# Strongroom seed").unwrap();
        let (example, _) = from.split_once("```").unwrap();
        let document = Document::read(&format!("# Strongroom seed{example}")).unwrap();
        assert!(document.network.is_some() && document.expires.is_some());
        assert_eq!(document.hsm.kind, Kind::Yubihsm);
        assert!(document.asks_for_pin());
        let siem = &document.strongroomd["siem"][0];
        let ca = siem["ca"].as_str().unwrap();
        assert!(
            document
                .files
                .contains_key(ca.strip_prefix("site/").unwrap())
        );
    }

    #[test]
    fn the_module_of_the_manual_is_read() {
        let readme = include_str!("../../../README.md");
        let (_, from) = readme.split_once("```toml\n[hsm]").unwrap();
        let (example, _) = from.split_once("```").unwrap();
        let document = Document::read(&format!("[hsm]{example}")).unwrap();
        assert_eq!(document.hsm.kind, Kind::Module);
        let given = document.hsm.environment(Path::new("/d"));
        let given: Vec<String> = given.map(|(_, value)| value).collect();
        assert_eq!(given, ["/d/site/cs_pkcs11.cfg"]);
        assert_eq!(document.hsm.peers[0].port, 9004);
    }

    #[test]
    fn what_says_nothing_is_a_first_start_without_a_seed() {
        let document = Document::read("# Strongroom seed, format 1\n").unwrap();
        assert_eq!(document.administrator, "admin");
        assert!(document.network.is_none() && !document.asks_for_pin());
        assert_eq!(
            format!("{document:?}"),
            format!("{:?}", Document::default())
        );
    }

    #[test]
    fn what_cannot_be_is_refused_in_one_sentence() {
        for (text, expected) in [
            ("networks = \"dhcp\"", "unknown field `networks`"),
            ("network = \"10.0.0.1\"", "begin with dhcp"),
            ("a = 1\nb", "line 2"),
            ("expires = 2027-01-31", "such as 2027-01-31T12:00:00Z"),
            ("expires = \"2027-01-31T12:00:00Z\"", "line 1"),
            ("ntp = [\"a\\nNTP=b\"]", "neither a name"),
            ("dns_names = [\"--data\"]", "no name"),
            ("administrator = \" \"", "administrator is empty"),
            ("[files]\n\"../x\" = \"\"", "\"../x\" may have"),
            ("[files]\n\".x\" = \"\"", "\".x\" may have"),
            ("[witness]\nname = \"a+b\"", "cannot be its name"),
            (
                "[witness]\nname = \"w\"\nkey = \"k\"",
                "unknown field `key`",
            ),
            ("[only]\nmac = [\"00\"]", "unknown field `mac`"),
            ("[hsm]\nkind = \"cloud\"", "unknown variant `cloud`"),
            ("[hsm]\npin = \"1234\"", "unknown variant"),
            ("[hsm]\ntoken = \"t\"", "softhsm"),
            ("[hsm]\npeers = [\"h:1\"]", "softhsm"),
            (
                "[hsm]\nkind = \"module\"\nauth_key = 2",
                "belong to a yubihsm",
            ),
            (
                "[hsm]\nkind = \"yubihsm\"\nauth_key = 2",
                "by its connector",
            ),
            (
                "[restore]\nfrom = \"http://h/b\"\nca = \"site/c\"\n[files]\nc = \"\"",
                "the https URL",
            ),
            (
                "[restore]\nfrom = \"https://h/b\"\nca = \"/etc/c\"\n[files]\nc = \"\"",
                "no file of [files]",
            ),
            (
                "name = \"x\"\n[restore]\nfrom = \"https://h/b\"\nca = \"site/c\"\n[files]\nc = \"\"",
                "the backup's",
            ),
            (
                "[hsm]\nkind = \"yubihsm\"\nconnector = \"http://h\"\ntoken = \"t\"",
                "belong to a module",
            ),
        ] {
            let refusal = Document::read(text).unwrap_err().to_string();
            assert!(refusal.contains(expected), "{refusal}");
            assert!(!refusal.contains('\n'), "{refusal}");
        }
    }
}
