//! The home: a folder with the profile, which says which appliance to talk to and as whom. Never a secret.

use std::env;
use std::fs::{self, DirBuilder};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use strongroom_client::file::NewFile;
use strongroom_client::{Client, Identity, Retries, Roots};

use crate::failure::Failure;

const PROFILE: &str = "config.toml";
const CA: &str = "ca.pem";

/// The home's folder. It is made when there is something to keep in it.
#[derive(Debug)]
pub(crate) struct Home {
    folder: PathBuf,
}

/// Which appliance, and as whom: `config.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    /// The appliance's origin.
    pub(crate) server: String,
    /// The domain of the appliance; absent: the one that the address stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) domain: Option<String>,
    /// The account's name.
    pub(crate) account: String,
    /// The verifier keys of the appliance's audit log: the one that this device saw first, and those that its user has trusted since.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) verifier_keys: Vec<String>,
    /// The fingerprint of the TPM of the appliance's machine: the one that this device saw first, or that its user said since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tpm: Option<String>,
    /// Further addresses at which it is reached, or another appliance that serves the same domain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) or_at: Vec<String>,
    /// Other addresses of the same appliance, under which others protect objects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) also_known_as: Vec<String>,
}

impl Home {
    /// The folder that was given, or else the usual one of this user.
    pub(crate) fn find(given: Option<PathBuf>) -> Result<Self, Failure> {
        let folder = given
            .filter(|folder| !folder.as_os_str().is_empty())
            .or_else(|| usual_folder(env::var_os("XDG_CONFIG_HOME"), env::var_os("HOME")))
            .ok_or_else(|| {
                Failure::Usage(
                    "there is no home folder to keep the profile in: give one with --home"
                        .to_owned(),
                )
            })?;
        let folder = std::path::absolute(&folder).map_err(|error| {
            Failure::local(format!("{} is no usable folder", folder.display()), &error)
        })?;
        Ok(Self { folder })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder, made if it is not there, for its owner alone.
    pub(crate) fn make(&self) -> Result<&Path, Failure> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)
            .map_err(|error| {
                Failure::local(
                    format!("the folder {} cannot be made", self.folder.display()),
                    &error,
                )
            })?;
        Ok(&self.folder)
    }

    /// The profile, if there is one.
    pub(crate) fn profile(&self) -> Result<Option<Profile>, Failure> {
        let path = self.folder.join(PROFILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(Failure::local(
                    format!("{} cannot be read", path.display()),
                    &error,
                ));
            }
        };
        toml::from_str(&text).map(Some).map_err(|error| {
            Failure::Failed(format!(
                "{} cannot be understood: {}",
                path.display(),
                error.message()
            ))
        })
    }

    /// Keeps the profile, and a copy of the certificates that vouch for its appliance.
    pub(crate) fn save(&self, profile: &Profile, ca: &[u8]) -> Result<(), Failure> {
        let text = to_toml(profile)?;
        self.make()?;
        self.write(CA, ca)?;
        self.write(PROFILE, text.as_bytes())
    }

    /// Remembers a verifier key of the appliance's audit log.
    pub(crate) fn remember_verifier_key(&self, key: &str) -> Result<(), Failure> {
        match self.profile()? {
            Some(mut profile) if !profile.verifier_keys.iter().any(|known| known == key) => {
                profile.verifier_keys.push(key.to_owned());
                self.write(PROFILE, to_toml(&profile)?.as_bytes())
            }
            _ => Ok(()),
        }
    }

    /// Remembers which TPM the appliance's machine has.
    pub(crate) fn remember_tpm(&self, fingerprint: &str) -> Result<(), Failure> {
        match self.profile()? {
            Some(profile) if profile.tpm.as_deref() != Some(fingerprint) => {
                let profile = Profile {
                    tpm: Some(fingerprint.to_owned()),
                    ..profile
                };
                self.write(PROFILE, to_toml(&profile)?.as_bytes())
            }
            _ => Ok(()),
        }
    }

    /// The file of the certificates that vouch for the profile's appliance.
    pub(crate) fn ca_file(&self) -> PathBuf {
        self.folder.join(CA)
    }

    /// The certificates that vouch for the profile's appliance, in PEM.
    pub(crate) fn ca(&self) -> Result<Vec<u8>, Failure> {
        let path = self.ca_file();
        fs::read(&path)
            .map_err(|error| Failure::local(format!("{} cannot be read", path.display()), &error))
    }

    /// The profile's appliance.
    pub(crate) fn client(&self, profile: &Profile) -> Result<Client, Failure> {
        client(profile, &self.ca()?, None)
    }

    fn write(&self, name: &str, content: &[u8]) -> Result<(), Failure> {
        let path = self.folder.join(name);
        let written = NewFile::private(&path, true).and_then(|mut file| {
            file.write_all(content)?;
            file.complete()
        });
        written.map(drop).map_err(|error| {
            Failure::local(format!("{} cannot be written", path.display()), &error)
        })
    }
}

fn to_toml(profile: &Profile) -> Result<String, Failure> {
    toml::to_string(profile)
        .map_err(|error| Failure::Failed(format!("the profile cannot be written: {error}")))
}

/// The profile's appliance, vouched for by these certificates; with this certificate for itself, if it has one.
pub(crate) fn client(
    profile: &Profile,
    ca: &[u8],
    identity: Option<&Identity>,
) -> Result<Client, Failure> {
    let (server, roots) = (&profile.server, Roots::from_pem(ca)?);
    let client = match identity {
        Some(identity) => Client::with_identity(server, &roots, identity)?,
        None => Client::new(server, &roots)?,
    };
    // Whoever types commands makes them again, or does not.
    let mut client = client.retries(Retries::none());
    for other in &profile.or_at {
        client = client.or_at(other)?;
    }
    if let Some(domain) = &profile.domain {
        client = client.in_domain(domain)?;
    }
    for other in &profile.also_known_as {
        client = client.also_known_as(other)?;
    }
    Ok(client)
}

fn usual_folder(
    config: Option<std::ffi::OsString>,
    home: Option<std::ffi::OsString>,
) -> Option<PathBuf> {
    let absolute = |folder: std::ffi::OsString| {
        Some(PathBuf::from(folder)).filter(|folder| folder.is_absolute())
    };
    config
        .and_then(absolute)
        .or_else(|| home.and_then(absolute).map(|home| home.join(".config")))
        .map(|config| config.join("strongroom"))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn home() -> (tempfile::TempDir, Home) {
        let temp = tempfile::tempdir().unwrap();
        let home = Home::find(Some(temp.path().join("a/b"))).unwrap();
        (temp, home)
    }

    #[test]
    fn a_profile_is_kept_for_its_owner_alone() {
        let (_temp, home) = home();
        assert_eq!(home.profile().unwrap(), None);
        let profile = Profile {
            verifier_keys: vec!["strongroom.example/default+1234+AAAA".to_owned()],
            server: "https://keys.example.com:8443".to_owned(),
            domain: Some("acme".to_owned()),
            tpm: None,
            account: "alice@example.com".to_owned(),
            or_at: vec!["https://keys-2.example.com:8443".to_owned()],
            also_known_as: vec!["https://10.0.0.5:8443".to_owned()],
        };
        home.save(&profile, b"certificate").unwrap();
        assert_eq!(home.profile().unwrap(), Some(profile.clone()));
        assert_eq!(home.ca().unwrap(), b"certificate");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(home.folder()), 0o700);
        assert_eq!(mode(&home.folder().join(PROFILE)), 0o600);

        let other = Profile {
            also_known_as: Vec::new(),
            ..profile
        };
        home.save(&other, b"another").unwrap();
        assert_eq!(home.profile().unwrap(), Some(other));
        assert_eq!(fs::read_dir(home.folder()).unwrap().count(), 2);

        home.remember_tpm("ab").unwrap();
        assert_eq!(home.profile().unwrap().unwrap().tpm.unwrap(), "ab");
    }

    #[test]
    fn a_profile_that_cannot_be_understood_says_which() {
        let (_temp, home) = home();
        home.make().unwrap();
        for text in [
            "server = 1",
            "server = \"a\"\naccount = \"b\"\nsurver = \"c\"",
            "{",
        ] {
            fs::write(home.folder().join(PROFILE), text).unwrap();
            let sentence = home.profile().unwrap_err().sentence();
            assert!(sentence.contains("config.toml"), "{sentence}");
        }
    }

    #[test]
    fn the_usual_folder_follows_the_environment() {
        let folder = |config: &str, home: &str| {
            let given = |text: &str| (!text.is_empty()).then(|| text.into());
            usual_folder(given(config), given(home))
        };
        assert_eq!(folder("/c", "/h"), Some("/c/strongroom".into()));
        assert_eq!(folder("", "/h"), Some("/h/.config/strongroom".into()));
        assert_eq!(
            folder("relative", "/h"),
            Some("/h/.config/strongroom".into())
        );
        assert_eq!(folder("", ""), None);
    }
}
