//! The `[hsm]` table: one HSM behind a PKCS#11 module or one YubiHSM 2, and a replica of the same shape.

use std::collections::BTreeMap;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use strongroom_hsm::pkcs11::{PinSource, TokenSelector};
use strongroom_hsm::yubihsm::Connection;

/// The port of Yubico's connector.
const CONNECTOR_PORT: u16 = 12345;
const SESSIONS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(7);
const DEADLINE: Duration = Duration::from_secs(5);

/// The table as it stands in the file: which of its settings belong together, [`Hsm::members`] says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Hsm {
    /// The vendor's PKCS#11 module.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) module: Option<PathBuf>,
    /// The token: its label, or an RFC 7512 URI.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<String>,
    /// The most sessions at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sessions: Option<NonZeroUsize>,
    /// The URL of a YubiHSM 2's connector.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) connector: Option<String>,
    /// The serial number of a YubiHSM 2 at a USB port of this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) usb: Option<String>,
    /// The number of the appliance's authentication key in the YubiHSM 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) auth_key: Option<u16>,
    /// The domain of the YubiHSM 2 that holds the appliance's objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) device_domain: Option<u8>,
    /// Where the token's PIN, or the authentication key's password, comes from.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "pin_source",
        serialize_with = "pin_text"
    )]
    pub(crate) pin: Option<PinSource>,
    /// Seconds by which the HSM must have answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) deadline: Option<NonZeroU64>,
    /// A second HSM with the same keys, which takes over when the first is away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) replica: Option<Box<Hsm>>,
    /// Further HSMs, by the names of their slots, for domains that operators put there.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) slots: BTreeMap<String, Hsm>,
}

/// One HSM, its settings complete and consistent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    /// Which of the two it is.
    pub(crate) place: Place,
    /// What it is and how it is reached.
    pub(crate) device: Device,
    /// Where its PIN or password comes from.
    pub(crate) pin: PinSource,
}

/// Which of the two HSMs one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Place {
    /// The one that is used while it works.
    Primary,
    /// The one that takes over.
    Replica,
}

impl Place {
    /// Its name in messages, metrics and commands.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Replica => "replica",
        }
    }

    const fn table(self) -> &'static str {
        match self {
            Self::Primary => "[hsm]",
            Self::Replica => "[hsm.replica]",
        }
    }
}

/// What an HSM is and how it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Device {
    /// A token behind a PKCS#11 module.
    Pkcs11 {
        /// The module.
        module: PathBuf,
        /// Which token.
        token: String,
        /// The most sessions at once.
        sessions: NonZeroUsize,
    },
    /// A YubiHSM 2.
    YubiHsm {
        /// How it is reached.
        connection: Connection,
        /// The number of the appliance's authentication key.
        auth_key: u16,
        /// The device's domain.
        device_domain: u8,
    },
}

impl Hsm {
    /// The HSMs that the table names, the primary first.
    ///
    /// # Errors
    /// One sentence where settings contradict each other or one is missing.
    pub(crate) fn members(&self) -> Result<Vec<Member>, String> {
        let mut members = vec![self.member(Place::Primary)?];
        if let Some(replica) = &self.replica {
            if replica.replica.is_some() || replica.deadline.is_some() || !replica.slots.is_empty()
            {
                return Err(
                    "deadline, replica and slots stand in [hsm], not in [hsm.replica]".to_owned(),
                );
            }
            let replica = replica.member(Place::Replica)?;
            if members
                .iter()
                .any(|primary| primary.device == replica.device)
            {
                return Err("[hsm.replica] is the same HSM as [hsm]; name another one".to_owned());
            }
            members.push(replica);
        }
        Ok(members)
    }

    /// Whether the further slots can be what they are said to be.
    ///
    /// # Errors
    /// One sentence where they cannot.
    pub(crate) fn check_slots(&self) -> Result<(), String> {
        let mut seen = self.members()?;
        for (name, slot) in &self.slots {
            let named = |sentence: String| format!("[hsm.slots.{name}]: {sentence}");
            crate::domains::registry::check_name(name)
                .map_err(|_| named("a slot's name is like a domain's".to_owned()))?;
            if name == crate::domains::registry::DEFAULT_SLOT {
                return Err(named("this is the name of [hsm] itself".to_owned()));
            }
            if !slot.slots.is_empty() {
                return Err(named("a slot has no slots of its own".to_owned()));
            }
            for member in slot.members().map_err(named)? {
                if member.pin == PinSource::Prompt {
                    return Err(named(
                        "the PIN of a further slot comes from a file, a credential or the environment".to_owned(),
                    ));
                }
                if seen.iter().any(|other| other.device == member.device) {
                    return Err(named("this HSM is named twice".to_owned()));
                }
                seen.push(member);
            }
        }
        Ok(())
    }

    /// By when a call is answered.
    pub(crate) fn deadline(&self) -> Duration {
        self.deadline
            .map_or(DEADLINE, |seconds| Duration::from_secs(seconds.get()))
    }

    /// Resolves its relative paths against the configuration's folder.
    pub(crate) fn resolve(&mut self, folder: &Path) {
        let path = |path: &mut PathBuf| *path = folder.join(&*path).components().collect();
        self.module.iter_mut().for_each(path);
        // The default is a file, too.
        let mut pin = self.pin.take().unwrap_or_else(default_pin);
        if let PinSource::File(file) = &mut pin {
            path(file);
        }
        self.pin = Some(pin);
        if let Some(replica) = &mut self.replica {
            replica.resolve(folder);
        }
        for slot in self.slots.values_mut() {
            slot.resolve(folder);
        }
    }

    fn member(&self, place: Place) -> Result<Member, String> {
        let table = place.table();
        let device = match (&self.module, &self.connector, &self.usb) {
            (Some(module), None, None) => {
                if self.auth_key.is_some() || self.device_domain.is_some() {
                    return Err(format!(
                        "auth_key and device_domain belong to a YubiHSM 2, and {table} names a PKCS#11 module"
                    ));
                }
                let token = self.token.as_deref().unwrap_or("strongroom").to_owned();
                token
                    .parse::<TokenSelector>()
                    .map_err(|error| format!("{table} token: {error}"))?;
                Device::Pkcs11 {
                    module: module.clone(),
                    token,
                    sessions: self.sessions.unwrap_or(SESSIONS),
                }
            }
            (None, Some(url), None) => self.yubihsm(table, http(table, url)?)?,
            (None, None, Some(serial)) => self.yubihsm(table, usb(table, serial)?)?,
            (None, None, None) => {
                return Err(format!(
                    "{table} names no HSM; give module for one with a PKCS#11 module, or connector for a YubiHSM 2"
                ));
            }
            _ => {
                return Err(format!(
                    "{table} names more than one HSM; keep one of module, connector and usb"
                ));
            }
        };
        Ok(Member {
            place,
            device,
            pin: self.pin.clone().unwrap_or_else(default_pin),
        })
    }

    fn yubihsm(&self, table: &str, connection: Connection) -> Result<Device, String> {
        if self.token.is_some() || self.sessions.is_some() {
            return Err(format!(
                "token and sessions belong to a PKCS#11 module, and {table} names a YubiHSM 2"
            ));
        }
        let auth_key = self.auth_key.ok_or_else(|| {
            format!("{table} lacks auth_key, the number of the appliance's authentication key in the YubiHSM 2")
        })?;
        let device_domain = self.device_domain.unwrap_or(1);
        if !(1..=16).contains(&device_domain) {
            return Err(format!("{table} device_domain must be 1 to 16"));
        }
        Ok(Device::YubiHsm {
            connection,
            auth_key,
            device_domain,
        })
    }
}

fn default_pin() -> PinSource {
    PinSource::File("hsm-pin".into())
}

fn http(table: &str, url: &str) -> Result<Connection, String> {
    let malformed = || {
        format!(
            "{table} connector must be http://HOST:PORT, such as http://127.0.0.1:{CONNECTOR_PORT}"
        )
    };
    let authority = url.strip_prefix("http://").ok_or_else(malformed)?;
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    let (address, port) = match authority.rsplit_once(':') {
        // The last colon of an IPv6 address in brackets.
        Some((_, rest)) if rest.ends_with(']') => (authority, CONNECTOR_PORT),
        Some((address, port)) => (address, port.parse().map_err(|_| malformed())?),
        None => (authority, CONNECTOR_PORT),
    };
    let odd = |c: char| c.is_whitespace() || "/?#@".contains(c);
    if address.is_empty() || address.contains(odd) {
        return Err(malformed());
    }
    Ok(Connection::Http {
        address: address.to_owned(),
        port,
    })
}

#[cfg(feature = "usb")]
fn usb(table: &str, serial: &str) -> Result<Connection, String> {
    if serial.len() != 10 || !serial.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!(
            "{table} usb must be the ten digits of the device's serial number"
        ));
    }
    Ok(Connection::Usb {
        serial: Some(serial.to_owned()),
    })
}

#[cfg(not(feature = "usb"))]
fn usb(table: &str, _: &str) -> Result<Connection, String> {
    Err(format!(
        "{table} usb needs a strongroomd that was built with the feature usb; use Yubico's connector"
    ))
}

fn pin_source<'de, D: Deserializer<'de>>(from: D) -> Result<Option<PinSource>, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map(Some).map_err(serde::de::Error::custom)
}

#[expect(clippy::ref_option, reason = "serde calls it so")]
fn pin_text<S: Serializer>(pin: &Option<PinSource>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_some(&pin.as_ref().map(ToString::to_string))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn members(text: &str) -> Result<Vec<Member>, String> {
        let mut hsm: Hsm = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        hsm.resolve(Path::new("/etc/strongroom"));
        hsm.members()
    }

    #[test]
    fn a_token_and_a_replica_are_read() {
        let read = members(
            "module = \"lib/a.so\"\ntoken = \"pkcs11:token=one;serial=7\"\npin = \"prompt\"\nsessions = 3\n\
             [replica]\nmodule = \"/b.so\"",
        )
        .unwrap();
        let [primary, replica] = read.as_slice() else {
            unreachable!("two of them: {read:?}")
        };
        assert_eq!(
            (primary.place, replica.place),
            (Place::Primary, Place::Replica)
        );
        assert_eq!(
            primary.device,
            Device::Pkcs11 {
                module: "/etc/strongroom/lib/a.so".into(),
                token: "pkcs11:token=one;serial=7".to_owned(),
                sessions: NonZeroUsize::new(3).unwrap(),
            }
        );
        assert_eq!(primary.pin, PinSource::Prompt);
        assert_eq!(
            replica.device,
            Device::Pkcs11 {
                module: "/b.so".into(),
                token: "strongroom".to_owned(),
                sessions: SESSIONS,
            }
        );
        assert_eq!(
            replica.pin,
            PinSource::File("/etc/strongroom/hsm-pin".into())
        );
    }

    #[test]
    fn a_yubihsm_is_read() {
        for (url, address, port) in [
            ("http://127.0.0.1:12345", "127.0.0.1", 12345),
            ("http://hsm.example.com:80/", "hsm.example.com", 80),
            ("http://localhost", "localhost", CONNECTOR_PORT),
            ("http://[::1]:9", "[::1]", 9),
            ("http://[::1]", "[::1]", CONNECTOR_PORT),
        ] {
            let read = members(&format!(
                "connector = \"{url}\"\nauth_key = 2\npin = \"credential:hsm\""
            ))
            .unwrap();
            assert_eq!(
                read[0].device,
                Device::YubiHsm {
                    connection: Connection::Http {
                        address: address.to_owned(),
                        port
                    },
                    auth_key: 2,
                    device_domain: 1,
                }
            );
            assert_eq!(read[0].pin, PinSource::Credential("hsm".to_owned()));
        }
    }

    #[test]
    fn what_contradicts_itself_is_refused_in_one_sentence() {
        for (text, expected) in [
            ("", "names no HSM"),
            (
                "module = \"a\"\nconnector = \"http://h\"",
                "more than one HSM",
            ),
            ("module = \"a\"\nauth_key = 2", "belong to a YubiHSM 2"),
            (
                "module = \"a\"\ntoken = \"pkcs11:slot-id=1\"",
                "[hsm] token",
            ),
            ("module = \"a\"\npin = \"8642\"", "source of the PIN"),
            ("connector = \"http://h\"", "lacks auth_key"),
            (
                "connector = \"http://h\"\nauth_key = 2\ntoken = \"t\"",
                "belong to a PKCS#11 module",
            ),
            (
                "connector = \"http://h\"\nauth_key = 2\ndevice_domain = 17",
                "1 to 16",
            ),
            (
                "connector = \"https://h\"\nauth_key = 2",
                "http://HOST:PORT",
            ),
            (
                "connector = \"http://h:x\"\nauth_key = 2",
                "http://HOST:PORT",
            ),
            (
                "connector = \"http://:1\"\nauth_key = 2",
                "http://HOST:PORT",
            ),
            ("module = \"a\"\n[replica]\nmodule = \"a\"", "same HSM"),
            ("module = \"a\"\n[replica]\n", "[hsm.replica] names no HSM"),
            (
                "module = \"a\"\n[replica]\nmodule = \"b\"\ndeadline = 1",
                "stand in [hsm]",
            ),
        ] {
            let reason = members(text).unwrap_err();
            assert!(reason.contains(expected), "{reason}");
            assert!(
                !reason.contains('\n') && !reason.contains("8642"),
                "{reason}"
            );
        }
    }

    #[cfg(not(feature = "usb"))]
    #[test]
    fn usb_says_what_it_needs() {
        let reason = members("usb = \"0123456789\"\nauth_key = 2").unwrap_err();
        assert!(reason.contains("feature usb"), "{reason}");
    }
}
