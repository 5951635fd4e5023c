//! Which domains the appliance has: a file in the data folder, each change of which is whole and on the disk before it counts.
//!
//! It decides nothing about keys. It says where a domain's database is, which HSM slot holds its master KEK, and what was begun and not
//! finished; that a domain is suspended, and its quotas, stand in its own database, under its own integrity key.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use strongroom_wire::encoding::Timestamp;

use crate::folder::write_whole;

/// In the data folder: the folder of all domains but the first.
pub(crate) const FOLDER: &str = "domains";
/// In that folder.
const FILE: &str = "registry.json";
/// The number of the appliance's first domain.
pub(crate) const FIRST: u32 = 1;
/// The slot of the HSM that `[hsm]` itself names.
pub(crate) const DEFAULT_SLOT: &str = "default";

/// A domain other than the first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    /// Its number, which no other domain of this appliance ever has.
    pub(crate) number: u32,
    /// Its name.
    pub(crate) name: String,
    /// The HSM slot that holds its master KEK.
    pub(crate) slot: String,
    /// The host names by which clients ask for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) hosts: Vec<String>,
    /// When it was made.
    pub(crate) created: Timestamp,
    /// Whether operators have suspended it. Its own record says so as well.
    #[serde(default)]
    pub(crate) suspended: bool,
    /// What was begun and is not finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) work: Option<Work>,
}

/// What was begun with a domain and is not finished.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "do", deny_unknown_fields)]
pub(crate) enum Work {
    /// It is being made. Where that was broken off, it is taken back.
    Create,
    /// Its master KEK moves to this slot.
    Move {
        /// The slot.
        to: String,
    },
    /// It has moved; its keys in this slot are to be destroyed.
    Leave {
        /// The slot.
        from: String,
    },
    /// It is being removed.
    Remove {
        /// Whether the first domain's log says so.
        recorded: bool,
    },
}

/// A domain that was removed. Its name is not given again: it stands in checkpoints that people keep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Removed {
    /// Its number.
    pub(crate) number: u32,
    /// Its name.
    pub(crate) name: String,
    /// When.
    pub(crate) at: Timestamp,
}

/// All domains but the first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Registry {
    /// The number of the next domain.
    next: u32,
    /// The domains, by number.
    pub(crate) domains: Vec<Entry>,
    /// Those that were removed.
    #[serde(default)]
    pub(crate) removed: Vec<Removed>,
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            next: FIRST + 1,
            domains: Vec::new(),
            removed: Vec::new(),
        }
    }
}

impl Registry {
    /// The registry in this data folder; an empty one where there never was any.
    pub(crate) fn read(data: &Path) -> anyhow::Result<Self> {
        let path = path(data);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => {
                return Err(error).with_context(|| format!("{} cannot be read", path.display()));
            }
        };
        serde_json::from_slice(&text)
            .with_context(|| format!("{} cannot be understood", path.display()))
    }

    /// Writes it; the folder is made where it is not there.
    pub(crate) fn write(&self, data: &Path) -> anyhow::Result<()> {
        let path = path(data);
        let text = serde_json::to_vec(self)?;
        super::make_folder(&data.join(FOLDER))
            .and_then(|()| write_whole(&path, &text))
            .with_context(|| format!("{} cannot be written", path.display()))
    }

    /// The domain of this name.
    pub(crate) fn find(&self, name: &str) -> Option<&Entry> {
        self.domains.iter().find(|entry| entry.name == name)
    }

    /// Adds a domain that is being made, and gives its number.
    pub(crate) fn add(
        &mut self,
        name: &str,
        slot: &str,
        hosts: &[String],
        now: Timestamp,
    ) -> Entry {
        let entry = Entry {
            number: self.next,
            name: name.to_owned(),
            slot: slot.to_owned(),
            hosts: hosts.to_vec(),
            created: now,
            suspended: false,
            work: Some(Work::Create),
        };
        self.next += 1;
        self.domains.push(entry.clone());
        entry
    }

    /// Changes the entry with this number.
    pub(crate) fn update(&mut self, number: u32, change: impl FnOnce(&mut Entry)) {
        let entry = self.domains.iter_mut().find(|entry| entry.number == number);
        if let Some(entry) = entry {
            change(entry);
        }
    }

    /// Forgets a domain that has never been one.
    pub(crate) fn forget(&mut self, number: u32) {
        self.domains.retain(|entry| entry.number != number);
    }

    /// A domain is removed.
    pub(crate) fn remove(&mut self, number: u32, now: Timestamp) {
        let gone = self.domains.iter().find(|entry| entry.number == number);
        if let Some(entry) = gone {
            self.removed.push(Removed {
                number,
                name: entry.name.clone(),
                at: now,
            });
        }
        self.forget(number);
    }
}

/// Where it is.
pub(crate) fn path(data: &Path) -> PathBuf {
    data.join(FOLDER).join(FILE)
}

/// Whether `name` can be a domain's: it stands in labels of keys, in paths and in checkpoints.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let sound = (1..=63).contains(&name.len())
        && name.chars().all(good)
        && !name.starts_with('-')
        && !name.ends_with('-');
    if sound {
        return Ok(());
    }
    Err("a domain's name has 1 to 63 lower-case letters, digits and hyphens, with no hyphen at either end".to_owned())
}

/// Whether `host` can be a host name, as it is compared: in lower case.
pub(crate) fn check_host(host: &str) -> Result<(), String> {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
    if (1..=253).contains(&host.len()) && host.chars().all(good) {
        return Ok(());
    }
    Err(
        "a host name has 1 to 253 lower-case letters, digits, dots and hyphens, and no port"
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn it_comes_back_as_it_was_written() {
        let data = tempfile::tempdir().unwrap();
        assert_eq!(Registry::read(data.path()).unwrap(), Registry::default());
        let mut registry = Registry::default();
        let now = Timestamp::from_millis(1_795_445_700_123);
        let hosts = ["keys.acme.example".to_owned()];
        let acme = registry.add("acme", DEFAULT_SLOT, &hosts, now).number;
        let other = registry.add("other", "second", &[], now).number;
        registry.update(acme, |entry| entry.work = None);
        for work in [
            Work::Move { to: "b".to_owned() },
            Work::Leave {
                from: "a".to_owned(),
            },
            Work::Remove { recorded: true },
        ] {
            registry.update(other, |entry| entry.work = Some(work));
            registry.write(data.path()).unwrap();
            assert_eq!(Registry::read(data.path()).unwrap(), registry);
        }
    }

    #[test]
    fn no_number_is_given_twice() {
        let mut registry = Registry::default();
        let now = Timestamp::from_millis(0);
        let first = registry.add("a", DEFAULT_SLOT, &[], now).number;
        assert_eq!(first, 2);
        registry.forget(first);
        assert_eq!(registry.add("a", DEFAULT_SLOT, &[], now).number, 3);
        registry.remove(3, now);
        assert_eq!(registry.add("b", DEFAULT_SLOT, &[], now).number, 4);
        assert_eq!(registry.removed[0].name, "a");
        assert!(registry.find("a").is_none());
    }

    #[test]
    fn names_can_stand_in_paths_and_labels() {
        for good in ["a", "acme", "acme-2", &"x".repeat(63)] {
            check_name(good).unwrap();
        }
        for bad in [
            "",
            "-a",
            "a-",
            "A",
            "a/b",
            "..",
            "a.b",
            "é",
            &"x".repeat(64),
        ] {
            check_name(bad).unwrap_err();
        }
        check_host("keys.acme.example").unwrap();
        for bad in ["", "Keys", "a:8443", "a b"] {
            check_host(bad).unwrap_err();
        }
    }
}
