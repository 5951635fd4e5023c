//! The settings of sign-in at the enterprise's OpenID providers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::Deserialize;
use strongroom_keystore::identities::IdentityRules;
use url::Url;

/// The longest name of a provider, in bytes.
const LONGEST_NAME: usize = 64;
/// The most seconds that a sign-in at the provider may lie back where a limit is set.
const LONGEST_AGE: u32 = 30 * 24 * 3600;

/// A provider at which people sign in.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OidcProvider {
    /// The domain whose people sign in there; empty: the appliance's first.
    #[serde(default)]
    pub(crate) domain: String,
    /// What people call it.
    pub(crate) name: String,
    /// Its issuer identifier: a URL below which `/.well-known/openid-configuration` is.
    pub(crate) issuer: String,
    /// The appliance's identifier there.
    pub(crate) client_id: String,
    /// The file with the secret that goes with it; empty: the appliance is a public client.
    #[serde(default)]
    pub(crate) client_secret_file: PathBuf,
    /// What is asked for beside `openid`.
    #[serde(default = "default_scopes")]
    pub(crate) scopes: Vec<String>,
    /// The claim that is the account's name.
    #[serde(default = "default_name_claim")]
    pub(crate) name_claim: String,
    /// Patterns of the names that it may give accounts by, such as `*@example.com`.
    #[serde(default = "default_names")]
    pub(crate) names: Vec<String>,
    /// The claim with the groups.
    #[serde(default = "default_groups_claim")]
    pub(crate) groups_claim: String,
    /// Whether who has no account gets one.
    #[serde(default)]
    pub(crate) create: Create,
    /// Which accounts that there are it may give to whoever has their name.
    #[serde(default)]
    pub(crate) link: Link,
    /// Values of `acr` that stand for more than a password.
    #[serde(default)]
    pub(crate) two_factor_acr: Vec<String>,
    /// Seconds that the sign-in at the provider may lie back; 0: it does not matter.
    #[serde(default)]
    pub(crate) max_age: u32,
    /// The certificates of the authorities that vouch for it, in PEM.
    #[serde(default = "default_ca")]
    pub(crate) ca: PathBuf,
    /// Where it may send browsers back to beside the loopback addresses of native clients.
    #[serde(default)]
    pub(crate) redirect_uris: Vec<String>,
    /// Groups here by the provider's names of groups.
    #[serde(default)]
    pub(crate) groups: BTreeMap<String, String>,
}

/// Whether accounts are made for those who have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Create {
    /// No.
    #[default]
    Off,
    /// At the first sign-in.
    On,
}

/// Which accounts a provider may give to whoever has their name there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Link {
    /// None: their holders link them.
    Off,
    /// Those that an administrator made and nobody has held, without roles.
    #[default]
    Pending,
}

impl OidcProvider {
    /// What its word is good for.
    pub(crate) fn rules(&self) -> IdentityRules {
        IdentityRules {
            create: self.create == Create::On,
            link_pending: self.link == Link::Pending,
        }
    }

    /// The files that it names.
    pub(super) fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        [&mut self.client_secret_file, &mut self.ca].into_iter()
    }

    fn check(&self) -> Result<(), String> {
        let name = &self.name;
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(good) {
            return Err(format!(
                "an oidc.name must have 1 to {LONGEST_NAME} small letters, digits and hyphens"
            ));
        }
        let plain = Url::parse(&self.issuer).is_ok_and(|issuer| {
            issuer.scheme() == "https"
                && issuer.host().is_some()
                && issuer.query().is_none()
                && issuer.fragment().is_none()
                && issuer.username().is_empty()
        });
        if !plain {
            return Err(format!(
                "the issuer of the OpenID provider {name} must be like https://login.example.com/realm"
            ));
        }
        for (setting, value) in [
            ("client_id", &self.client_id),
            ("name_claim", &self.name_claim),
            ("groups_claim", &self.groups_claim),
        ] {
            if value.is_empty() {
                return Err(format!("{setting} of the OpenID provider {name} is empty"));
            }
        }
        if self.max_age > LONGEST_AGE {
            return Err(format!(
                "max_age of the OpenID provider {name} is more than 30 days"
            ));
        }
        if self.groups.values().any(|group| group.trim().is_empty()) {
            return Err(format!(
                "a group of the OpenID provider {name} is mapped to nothing"
            ));
        }
        let of_https = |uri: &String| {
            Url::parse(uri).is_ok_and(|uri| uri.scheme() == "https" && uri.fragment().is_none())
        };
        if !self.redirect_uris.iter().all(of_https) {
            return Err(format!(
                "a redirect URI of the OpenID provider {name} is not like https://keys.example.com/signed-in"
            ));
        }
        Ok(())
    }
}

/// Whether these providers can be told from each other, and each can be used.
pub(super) fn check(providers: &[OidcProvider]) -> Result<(), String> {
    let (mut names, mut issuers) = (BTreeSet::new(), BTreeSet::new());
    for provider in providers {
        provider.check()?;
        let domain = &provider.domain;
        if !names.insert((domain, &provider.name)) || !issuers.insert((domain, &provider.issuer)) {
            return Err(format!(
                "the OpenID provider {} has the name or the issuer of another one",
                provider.name
            ));
        }
    }
    Ok(())
}

fn default_scopes() -> Vec<String> {
    ["profile", "email"].map(str::to_owned).into()
}

fn default_name_claim() -> String {
    "preferred_username".to_owned()
}

fn default_names() -> Vec<String> {
    vec!["*".to_owned()]
}

fn default_groups_claim() -> String {
    "groups".to_owned()
}

fn default_ca() -> PathBuf {
    "/etc/ssl/certs/ca-certificates.crt".into()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    const LEAST: &str =
        "name = \"corp\"\nissuer = \"https://login.example.com\"\nclient_id = \"strongroom\"\n";

    fn parse(text: &str) -> OidcProvider {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn by_default_a_provider_makes_no_accounts() {
        let provider = parse(LEAST);
        check(std::slice::from_ref(&provider)).unwrap();
        let rules = provider.rules();
        assert!(!rules.create && rules.link_pending);
        assert_eq!(provider.name_claim, "preferred_username");
    }

    #[test]
    fn what_cannot_work_is_said_at_start() {
        let with = |line: &str| parse(&format!("{LEAST}{line}"));
        let mut no_tls = parse(LEAST);
        no_tls.issuer = "http://login.example.com".to_owned();
        let mut named = parse(LEAST);
        named.name = "Our provider".to_owned();
        for (provider, complaint) in [
            (no_tls, "must be like https://"),
            (named, "small letters"),
            (with("name_claim = \"\""), "name_claim"),
            (with("max_age = 99999999"), "more than 30 days"),
            (with("groups = { admins = \" \" }"), "mapped to nothing"),
            (
                with("redirect_uris = [\"http://keys.example.com\"]"),
                "redirect URI",
            ),
        ] {
            let said = check(&[provider]).unwrap_err();
            assert!(said.contains(complaint), "{said}");
        }
        let twice = check(&[parse(LEAST), parse(LEAST)]).unwrap_err();
        assert!(twice.contains("of another one"), "{twice}");
        toml::from_str::<OidcProvider>(&format!("{LEAST}creat = \"on\"")).unwrap_err();
    }
}
