//! What operators do with domains. They see counts; no account's name and no key's label is ever in an answer.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use strongroom_keystore::domains::{DomainCounts, Quotas};
use strongroom_keystore::store::sqlite::SqliteStore;
use strongroom_keystore::{Clock as _, Keystore, NewDomain as NewKeystore, SystemClock};
use strongroom_wire::account::CreatedAccount;
use strongroom_wire::audit::Act;
use strongroom_wire::encoding::Timestamp;

use super::registry::{self, DEFAULT_SLOT, Entry, FIRST, FOLDER, Work};
use super::{Domain, Domains, Opened, Place, lock, make_folder};
use crate::config;

/// How many domains an appliance has at most.
const MOST: usize = 10_000;

/// A domain to be made.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewDomain {
    /// Its name.
    pub(crate) name: String,
    /// The name of its first administrator's account.
    pub(crate) administrator: String,
    /// The HSM slot.
    pub(crate) slot: Option<String>,
    /// The host names by which clients ask for it.
    pub(crate) hosts: Vec<String>,
    /// The most that it may have.
    pub(crate) quotas: Quotas,
}

/// A domain that was made.
pub(crate) struct Created {
    pub(crate) report: DomainReport,
    pub(crate) account: CreatedAccount,
}

/// What operators see of a domain.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct DomainReport {
    /// Its number.
    pub(crate) number: u32,
    /// Its name, which operators gave it.
    pub(crate) name: String,
    /// `active`, `suspended`, `creating`, `moving`, `leaving` or `removing`.
    pub(crate) state: String,
    /// The HSM slot.
    pub(crate) slot: String,
    /// The host names by which clients ask for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) hosts: Vec<String>,
    /// When it was made; unknown of the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) created: Option<Timestamp>,
    /// Whether it is open.
    pub(crate) open: bool,
    /// Whether it could not be opened, or something that it needs in the background fails.
    pub(crate) failing: bool,
    /// How much is in it; absent where that cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) counts: Option<DomainCounts>,
    /// Its quotas, where they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) quotas: Option<Quotas>,
    /// Keys that are still to be moved, while it moves to another slot or its master KEK rotates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rewraps_left: Option<u64>,
}

impl Domains {
    /// Makes a domain. Where it is there already and its first administrator has yet to enrol, that one gets a new code: so an operator whose
    /// command was broken off asks again.
    pub(crate) fn create(&self, new: &NewDomain) -> anyhow::Result<Created> {
        registry::check_name(&new.name).map_err(anyhow::Error::msg)?;
        for host in &new.hosts {
            registry::check_host(host).map_err(anyhow::Error::msg)?;
        }
        check_quotas(&new.quotas)?;
        let _alone = lock(&self.operating);
        self.check_open()?;
        if new.name == self.config.domain {
            bail!("this is the name of the appliance's first domain");
        }
        if let Some(entry) = self.entry(&new.name) {
            return self.invite_again(&entry, &new.administrator);
        }
        self.check_hosts(&new.hosts, None)?;
        {
            let registry = lock(&self.registry);
            if registry.removed.iter().any(|gone| gone.name == new.name) {
                bail!(
                    "a domain of this name was removed, and people keep checkpoints of its log; choose another name"
                );
            }
            if registry.domains.len() >= MOST {
                bail!("an appliance has {MOST} domains at most");
            }
        }
        let slot = new.slot.as_deref().unwrap_or(DEFAULT_SLOT);
        let hsm = self.slots.for_new_keys(slot)?;
        // What is there is not ours: to take a domain back that was not made to its end is to destroy its keys.
        if !hsm.master_kek_versions(&new.name)?.is_empty() {
            bail!(
                "the HSM of slot {slot} holds a master KEK of a domain of this name, which is not this appliance's; choose another name"
            );
        }
        if self.config.data.join(FOLDER).join(&new.name).exists() {
            bail!(
                "there is a folder for a domain of this name already, which is not in the registry; move it away, or choose another name"
            );
        }
        let entry =
            self.change(|registry| registry.add(&new.name, slot, &new.hosts, SystemClock.now()))?;
        match self.make(&entry, new, hsm) {
            Ok(account) => {
                tracing::info!(domain = entry.number, "a domain was made");
                let mut report = self.report(&self.entry(&new.name).unwrap_or(entry));
                report.quotas = Some(new.quotas);
                Ok(Created { report, account })
            }
            Err(error) => {
                if let Err(error) = self.take_back(&entry) {
                    tracing::error!(
                        domain = entry.number,
                        error = format!("{error:#}"),
                        "a domain that could not be made is taken back later"
                    );
                }
                Err(error)
            }
        }
    }

    fn make(
        &self,
        entry: &Entry,
        new: &NewDomain,
        hsm: Arc<dyn strongroom_hsm::Hsm>,
    ) -> anyhow::Result<CreatedAccount> {
        let config = self.config.of_domain(entry)?;
        make_folder(&config.data)?;
        let store = SqliteStore::create(&config.database())?;
        let options = config.keystore_options();
        let keystore = NewKeystore {
            name: new.name.clone(),
            origin: config::origin(&config.name, &new.name),
            administrator: new.administrator.clone(),
            adopt_keys: false,
            seed: None,
            recovery: None,
        };
        let account =
            Keystore::initialise(&store, Arc::clone(&hsm), &SystemClock, &keystore, &options)?;
        let clock = Arc::new(SystemClock);
        let keystore = Keystore::attend(Arc::new(store), hsm, clock, options)?;
        keystore.set_quotas("an operator", new.quotas)?;
        drop(keystore);
        crate::folder::sync_folder(&config.database())?;
        crate::folder::sync_folder(&config.data)?;
        let note = format!("domain {}, slot {}", entry.number, entry.slot);
        self.first
            .keystore
            .record_operation(Act::DomainCreate, note)?;
        self.change(|registry| registry.update(entry.number, |entry| entry.work = None))?;
        Ok(account)
    }

    fn invite_again(&self, entry: &Entry, administrator: &str) -> anyhow::Result<Created> {
        if entry.work.is_some() {
            bail!(
                "there is a domain of this name already, and it is {}",
                state(entry)
            );
        }
        let domain = self.require(&entry.name)?;
        let opened = self.opened(&domain)?;
        let account = opened
            .keystore
            .invite_first_administrator(administrator)
            .map_err(|refusal| refusal.error)?;
        drop(opened);
        let report = self.show(&entry.name)?;
        Ok(Created { report, account })
    }

    /// All domains, the first one first.
    pub(crate) fn list(&self) -> Vec<DomainReport> {
        let entries = lock(&self.registry).domains.clone();
        let mut reports = vec![self.report_of_first()];
        reports.extend(entries.iter().map(|entry| self.report(entry)));
        reports
    }

    /// One domain, with its quotas.
    pub(crate) fn show(&self, name: &str) -> anyhow::Result<DomainReport> {
        if name == self.config.domain {
            let mut report = self.report_of_first();
            report.quotas = Some(self.first.keystore.settings()?.quotas);
            return Ok(report);
        }
        let entry = self
            .entry(name)
            .with_context(|| format!("this appliance has no domain {name:?}"))?;
        let mut report = self.report(&entry);
        if !matches!(entry.work, Some(Work::Create | Work::Remove { .. })) {
            let domain = self.require(name)?;
            let opened = self.opened(&domain)?;
            report.quotas = Some(opened.keystore.settings()?.quotas);
            let left = opened.keystore.statistics()?.rewraps_left;
            report.rewraps_left = (left > 0 || entry.work.is_some()).then_some(left);
            report.open = true;
        }
        Ok(report)
    }

    /// Suspends a domain: its sessions end, and nobody is answered.
    pub(crate) fn suspend(&self, name: &str, by: &str) -> anyhow::Result<DomainReport> {
        let _alone = lock(&self.operating);
        let entry = self.other(name, "seal the appliance instead (strongroomd seal)")?;
        if let Some(work) = &entry.work
            && *work != Work::Create
        {
            bail!("the domain is {}; let that end first", state(&entry));
        }
        let domain = self.require(name)?;
        let opened = self.opened(&domain)?;
        // From here on nobody new is let in.
        self.change(|registry| registry.update(entry.number, |entry| entry.suspended = true))?;
        opened.keystore.suspend(by)?;
        drop(opened);
        // Who is still being answered is done in a moment; the leaf is signed then.
        drop(domain.hold());
        tracing::warn!(domain = entry.number, by, "a domain was suspended");
        self.show(name)
    }

    /// Resumes a domain.
    pub(crate) fn resume(&self, name: &str, by: &str) -> anyhow::Result<DomainReport> {
        let _alone = lock(&self.operating);
        let entry = self.other(name, "it is never suspended")?;
        if entry.work.is_some() {
            bail!("the domain is {}", state(&entry));
        }
        let domain = self.require(name)?;
        let opened = self.opened(&domain)?;
        opened.keystore.resume(by)?;
        self.change(|registry| registry.update(entry.number, |entry| entry.suspended = false))?;
        tracing::info!(domain = entry.number, by, "a domain was resumed");
        drop(opened);
        self.show(name)
    }

    /// Records that a backup of a domain is made: of the first one unless it is said.
    pub(crate) fn record_backup(&self, name: Option<&str>, note: String) -> anyhow::Result<()> {
        match name.filter(|name| *name != self.config.domain) {
            None => self
                .first
                .keystore
                .record_operation(Act::DomainBackup, note)?,
            Some(name) => {
                let domain = self.require(name)?;
                let opened = self.opened(&domain)?;
                opened.keystore.record_operation(Act::DomainBackup, note)?
            }
        };
        self.make_room();
        Ok(())
    }

    /// Sets a domain's quotas.
    pub(crate) fn set_quotas(
        &self,
        name: &str,
        quotas: Quotas,
        by: &str,
    ) -> anyhow::Result<DomainReport> {
        check_quotas(&quotas)?;
        let _alone = lock(&self.operating);
        if name == self.config.domain {
            self.first.keystore.set_quotas(by, quotas)?;
            self.first.set_pace(&quotas);
        } else {
            let domain = self.require(name)?;
            let opened = self.opened(&domain)?;
            opened.keystore.set_quotas(by, quotas)?;
            opened.set_pace(&quotas);
        }
        self.show(name)
    }

    /// Sets the host names by which clients ask for a domain.
    pub(crate) fn set_hosts(&self, name: &str, hosts: &[String]) -> anyhow::Result<DomainReport> {
        for host in hosts {
            registry::check_host(host).map_err(anyhow::Error::msg)?;
        }
        let _alone = lock(&self.operating);
        let entry = self.other(
            name,
            "it is asked for by all names that are no other domain's",
        )?;
        self.check_hosts(hosts, Some(entry.number))?;
        self.change(|registry| {
            registry.update(entry.number, |entry| entry.hosts = hosts.to_vec());
        })?;
        // Whom passkeys are made for follows from the host.
        let domain = self.require(name)?;
        drop(domain.hold());
        self.show(name)
    }

    /// Begins to move a domain's master KEK to another slot. The domain goes on serving.
    pub(crate) fn move_to(&self, name: &str, to: &str, by: &str) -> anyhow::Result<DomainReport> {
        let _alone = lock(&self.operating);
        self.check_open()?;
        let entry = self.other(name, "its HSM is the one that [hsm] names")?;
        if entry.work.is_some() {
            bail!("the domain is {} already", state(&entry));
        }
        if entry.slot == to {
            bail!("the domain is in slot {to} already");
        }
        if entry.suspended {
            bail!("the domain is suspended; resume it first");
        }
        let hsm = self.slots.for_new_keys(to)?;
        if !hsm.master_kek_versions(name)?.is_empty() {
            bail!(
                "the HSM of slot {to} holds a master KEK of a domain of this name, which is not this appliance's"
            );
        }
        let moving = Work::Move { to: to.to_owned() };
        self.change(|registry| {
            registry.update(entry.number, |entry| entry.work = Some(moving));
        })?;
        tracing::warn!(
            domain = entry.number,
            by,
            to,
            "a domain moves to another HSM slot"
        );
        if let Err(error) = self.begin_move(&entry, to) {
            // Where the new master KEK was made, the slot's thread goes on with it.
            if hsm.master_kek_versions(name)?.is_empty() {
                self.change(|registry| registry.update(entry.number, |entry| entry.work = None))?;
                drop(self.require(name)?.hold());
                return Err(error);
            }
            tracing::error!(
                domain = entry.number,
                error = format!("{error:#}"),
                "a domain's move is gone on with later"
            );
        }
        self.show(name)
    }

    /// Removes a suspended domain for good. Answers whether its checkpoint key in the HSM went as well.
    pub(crate) fn remove(&self, name: &str, by: &str) -> anyhow::Result<bool> {
        let _alone = lock(&self.operating);
        let entry = self.other(name, "it holds the operators' log")?;
        match &entry.work {
            None if !entry.suspended => {
                bail!(
                    "the domain is not suspended: suspend it first (strongroomd domain suspend {name})"
                )
            }
            None | Some(Work::Remove { .. }) => {}
            Some(_) => bail!("the domain is {}; let that end first", state(&entry)),
        }
        tracing::warn!(domain = entry.number, by, "removing a domain");
        if entry.work.is_none() {
            let remove = Work::Remove { recorded: false };
            self.change(|registry| {
                registry.update(entry.number, |entry| entry.work = Some(remove));
            })?;
        }
        let entry = self.entry(name).context("the domain is gone")?;
        self.finish_removal(&entry)
            .context("the removal has begun, cannot be taken back, and is finished as soon as that is possible")
    }

    /// The domain open, whatever state it is in; as operators need it.
    fn opened(&self, domain: &Domain) -> anyhow::Result<Arc<Opened>> {
        self.open(domain)
            .map_err(|failure| anyhow::anyhow!("{failure}"))
    }

    /// The entry of a domain that is not the first.
    fn other(&self, name: &str, first: &str) -> anyhow::Result<Entry> {
        if name == self.config.domain {
            bail!("{name} is the appliance's first domain: {first}");
        }
        self.entry(name)
            .with_context(|| format!("this appliance has no domain {name:?}"))
    }

    fn check_open(&self) -> anyhow::Result<()> {
        if self.closing.load(std::sync::atomic::Ordering::SeqCst) {
            bail!("the appliance is being sealed or stopped");
        }
        Ok(())
    }

    fn check_hosts(&self, hosts: &[String], own: Option<u32>) -> anyhow::Result<()> {
        let registry = lock(&self.registry);
        for entry in &registry.domains {
            if Some(entry.number) != own
                && let Some(host) = entry.hosts.iter().find(|host| hosts.contains(host))
            {
                bail!("{host} is a host name of another domain");
            }
        }
        Ok(())
    }

    fn report_of_first(&self) -> DomainReport {
        let database = self.config.database();
        let counts = DomainCounts::read(&database, &self.config.domain, SystemClock.now());
        DomainReport {
            number: FIRST,
            name: self.config.domain.clone(),
            state: "active".to_owned(),
            slot: DEFAULT_SLOT.to_owned(),
            hosts: Vec::new(),
            created: None,
            open: true,
            failing: counts.is_err(),
            counts: counts.ok(),
            quotas: None,
            rewraps_left: None,
        }
    }

    fn report(&self, entry: &Entry) -> DomainReport {
        let domain = self.known(&entry.name);
        let open = domain
            .as_ref()
            .is_some_and(|domain| matches!(*lock(&domain.place), Place::Open(_)));
        let failing =
            domain.is_some_and(|domain| domain.failing.load(std::sync::atomic::Ordering::Relaxed));
        let counts = self.config.of_domain(entry).ok().and_then(|config| {
            DomainCounts::read(&config.database(), &entry.name, SystemClock.now()).ok()
        });
        DomainReport {
            number: entry.number,
            name: entry.name.clone(),
            state: state(entry).to_owned(),
            slot: entry.slot.clone(),
            hosts: entry.hosts.clone(),
            created: Some(entry.created),
            open,
            failing,
            counts,
            quotas: None,
            rewraps_left: None,
        }
    }
}

fn state(entry: &Entry) -> &'static str {
    match &entry.work {
        Some(Work::Create) => "creating",
        Some(Work::Move { .. }) => "moving",
        Some(Work::Leave { .. }) => "leaving",
        Some(Work::Remove { .. }) => "removing",
        None if entry.suspended => "suspended",
        None => "active",
    }
}

fn check_quotas(quotas: &Quotas) -> anyhow::Result<()> {
    if quotas.requests_per_second == Some(0) {
        bail!("a domain that may make no requests at all is a suspended one");
    }
    Ok(())
}
