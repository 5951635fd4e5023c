//! The HSM slots: `[hsm]` itself, called `default`, and those of `[hsm.slots]`. Each has one supervision, which all its domains share.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use strongroom_hsm::Hsm;
use strongroom_hsm::supervised::{MemberStatus, Supervised};

use super::registry::DEFAULT_SLOT;
use crate::config::{Config, Member};
use crate::estate::Estate;

/// The HSMs of all slots.
pub(crate) struct Slots {
    hsms: BTreeMap<String, Arc<Supervised>>,
    /// Of all slots but the default one.
    estates: BTreeMap<String, Estate>,
}

impl Slots {
    /// Begins to open all further slots, beside the default one, which is open.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start(config: &Config, default: Arc<Supervised>) -> anyhow::Result<Self> {
        let mut estates = BTreeMap::new();
        let mut hsms = BTreeMap::from([(DEFAULT_SLOT.to_owned(), default)]);
        for (name, settings) in &config.hsm.slots {
            let estate = Estate::new(settings)?;
            let hsm = estate
                .start(Arc::new(|_| {}))
                .with_context(|| format!("the HSM of slot {name} cannot be opened"))?;
            hsms.insert(name.clone(), Arc::new(hsm));
            estates.insert(name.clone(), estate);
        }
        Ok(Self { hsms, estates })
    }

    /// All slots but the default one.
    pub(super) fn further(&self) -> impl Iterator<Item = (&String, &Arc<Supervised>)> {
        self.hsms.iter().filter(|(name, _)| *name != DEFAULT_SLOT)
    }

    /// Each HSM of the slots but the default one, and what it is doing.
    pub(crate) fn status(&self) -> Vec<(&str, &Member, MemberStatus)> {
        let status = self.further().flat_map(|(name, hsm)| {
            let members = self.estates.get(name).into_iter().flat_map(Estate::members);
            members
                .zip(hsm.status())
                .map(|(member, status)| (name.as_str(), member, status))
        });
        status.collect()
    }

    /// The names, the default one's among them.
    pub(crate) fn names(&self) -> impl Iterator<Item = &String> {
        self.hsms.keys()
    }

    /// The HSM of this slot.
    pub(crate) fn hsm(&self, slot: &str) -> anyhow::Result<Arc<dyn Hsm>> {
        let hsm = self.hsms.get(slot);
        hsm.map(|hsm| Arc::clone(hsm) as Arc<dyn Hsm>)
            .with_context(|| format!("the configuration names no HSM slot {slot:?}"))
    }

    /// The HSM of this slot, if a new master KEK can be made in it.
    pub(crate) fn for_new_keys(&self, slot: &str) -> anyhow::Result<Arc<dyn Hsm>> {
        let Some(hsm) = self.hsms.get(slot) else {
            let known: Vec<&str> = self.names().map(String::as_str).collect();
            bail!(
                "the configuration names no HSM slot {slot:?}; there is {}",
                known.join(", ")
            );
        };
        if hsm.status().len() > 1 {
            bail!(
                "slot {slot} has a replica, to which only custodians bring a new domain's master KEK; choose a slot without one"
            );
        }
        if !hsm.is_usable() {
            bail!("the HSM of slot {slot} is not usable now");
        }
        Ok(Arc::clone(hsm) as Arc<dyn Hsm>)
    }

    /// Closes all further slots. The default one is closed by whoever opened it.
    pub(crate) fn close(&self) {
        for (_, hsm) in self.further() {
            hsm.close();
        }
    }
}
