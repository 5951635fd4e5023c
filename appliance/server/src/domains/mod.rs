//! The domains (tenants) of the appliance: which there are, which are open, and who asks for which.
//!
//! | file | what is in it |
//! |---|---|
//! | `registry` | the file that says which domains there are |
//! | `slots` | the HSM slots, each with one supervision |
//! | `open` | opening and closing one domain |
//! | `beat` | what goes on in domains besides answering requests |
//! | `operate` | what operators do: create, list, suspend, resume, quotas |
//! | `work` | what takes longer and survives a crash: moving to another slot, removing |
//! | `bridge` | two HSMs as one, while a domain moves |
//!
//! Each domain but the first has a folder of its own with its database, its kept checkpoint and nothing of any other domain's. The first domain is
//! where it always was; its log is also the operators'. A domain is opened when somebody asks for it, and closed when there are more open than
//! the configuration says and nobody uses it.
//!
//! What must never happen here: a request that reaches another domain than it asks for; a domain closed while a request uses it; an account's
//! name or a key's label in an answer to operators.

mod beat;
mod bridge;
mod open;
mod operate;
pub(crate) mod registry;
mod slots;
mod work;

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use serde::{Deserialize, Serialize};
use strongroom_keystore::domains::Quotas;
use strongroom_keystore::{Keystore, Refusal};
use strongroom_wire::problem::{Code, Problem};

pub(crate) use beat::Beats;
pub(crate) use operate::{DomainReport, NewDomain};
pub(crate) use slots::Slots;

use crate::config::Config;
use crate::gate::OpenKeystore;
use crate::kept::KeptCheckpoint;
use crate::problems::Failure;
pub(crate) use registry::FIRST;
use registry::{Entry, Registry};

/// How long a request waits for its domain while that is being opened or closed.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a domain that could not be opened is left alone.
const TRY_AGAIN: Duration = Duration::from_secs(2);

/// All domains of the appliance while it serves.
pub(crate) struct Domains {
    config: Config,
    slots: Slots,
    first: Arc<Opened>,
    registry: Mutex<Registry>,
    index: RwLock<Index>,
    /// Counts uses, to tell which domain was used last.
    uses: AtomicU64,
    /// The appliance is being sealed or stopped: no domain is opened any more.
    closing: AtomicBool,
    /// One operator's command at a time.
    operating: Mutex<()>,
}

/// The domains by the names and hosts by which requests ask for them.
#[derive(Default)]
struct Index {
    by_name: HashMap<String, Arc<Domain>>,
    by_host: HashMap<String, Arc<Domain>>,
}

/// A domain other than the first, open or not.
struct Domain {
    number: u32,
    name: String,
    place: Mutex<Place>,
    /// It was opened or closed.
    changed: Condvar,
    /// Nobody is answered: it is suspended, being made or being removed.
    refused: AtomicBool,
    /// It could not be opened, or something in the background fails.
    failing: AtomicBool,
    /// A leaf says that this process serves it.
    served: AtomicBool,
}

/// Where a domain's keystore is.
enum Place {
    /// Closed; if it could not be opened, when that was and why.
    Closed(Option<(Instant, Box<Problem>)>),
    /// Being opened or closed by somebody.
    Busy,
    /// Open.
    Open(Arc<Opened>),
    /// Open for those who use it, and to be closed after them.
    Draining(Arc<Opened>),
}

/// An open domain.
pub(crate) struct Opened {
    number: u32,
    keystore: Arc<Keystore>,
    kept: Arc<KeptCheckpoint>,
    /// The requests that it may make in a second.
    pace: RwLock<Option<DefaultDirectRateLimiter>>,
    used: AtomicU64,
}

impl Opened {
    fn new(
        number: u32,
        keystore: Arc<Keystore>,
        kept: Arc<KeptCheckpoint>,
        quotas: &Quotas,
    ) -> Self {
        Self {
            number,
            keystore,
            kept,
            pace: RwLock::new(pace(quotas)),
            used: AtomicU64::new(0),
        }
    }

    /// The keystore for one request, unless the domain has made as many in this second as it may.
    fn enter(&self) -> Result<OpenKeystore, Failure> {
        let pace = self.pace.read().unwrap_or_else(PoisonError::into_inner);
        if pace.as_ref().is_some_and(|pace| pace.check().is_err()) {
            let mut problem = Problem::new(
                Code::TooManyRequests,
                "The domain has made as many requests in this second as its operators allow it; try again.",
            );
            problem.retry_after = Some(1);
            return Err(problem.into());
        }
        Ok(OpenKeystore::new(self.number, Arc::clone(&self.keystore)))
    }

    fn set_pace(&self, quotas: &Quotas) {
        *self.pace.write().unwrap_or_else(PoisonError::into_inner) = pace(quotas);
    }

    /// Whether anybody but the list of domains has it.
    fn is_used(opened: &Arc<Self>) -> bool {
        Arc::strong_count(opened) > 1 || Arc::strong_count(&opened.keystore) > 1
    }
}

fn pace(quotas: &Quotas) -> Option<DefaultDirectRateLimiter> {
    let most = std::num::NonZeroU32::new(quotas.requests_per_second?);
    // Nobody sets none at all: that is what suspending is for.
    Some(RateLimiter::direct(Quota::per_second(most?)))
}

/// By what a request asks for a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// By its name, in the header.
    Name(String),
    /// By the host name that the request was sent to.
    Host(String),
}

impl Domains {
    /// The domains of an appliance whose first domain is open.
    ///
    /// # Errors
    /// When the registry cannot be read or the first domain's record was edited.
    pub(crate) fn new(
        config: &Config,
        slots: Slots,
        keystore: Arc<Keystore>,
        kept: Arc<KeptCheckpoint>,
    ) -> anyhow::Result<Arc<Self>> {
        let quotas = keystore.settings()?.quotas;
        let registry = Registry::read(&config.data)?;
        let domains = Self {
            config: config.clone(),
            slots,
            first: Arc::new(Opened::new(FIRST, keystore, kept, &quotas)),
            index: RwLock::new(Index::of(&registry)),
            registry: Mutex::new(registry),
            uses: AtomicU64::new(1),
            closing: AtomicBool::new(false),
            operating: Mutex::default(),
        };
        Ok(Arc::new(domains))
    }

    /// The domain that a request asks for, if that can be said without waiting: it is open, or it is refused.
    pub(crate) fn at_hand(&self, wanted: Option<&Wanted>) -> Option<Result<OpenKeystore, Failure>> {
        let domain = match self.find(wanted) {
            Ok(None) => return Some(self.first.enter()),
            Ok(Some(domain)) => domain,
            Err(failure) => return Some(Err(failure)),
        };
        if domain.refused.load(Ordering::Acquire) {
            return Some(Err(unavailable()));
        }
        match &*lock(&domain.place) {
            Place::Open(opened) if domain.served.load(Ordering::Relaxed) => {
                self.touch(opened);
                Some(opened.enter())
            }
            _ => None,
        }
    }

    /// The domain that a request asks for, opened if need be. It may wait.
    ///
    /// # Errors
    /// The problem that answers the request.
    pub(crate) fn enter(&self, wanted: Option<&Wanted>) -> Result<OpenKeystore, Failure> {
        let Some(domain) = self.find(wanted)? else {
            return self.first.enter();
        };
        if domain.refused.load(Ordering::Acquire) {
            return Err(unavailable());
        }
        let opened = self.open(&domain)?;
        if domain.refused.load(Ordering::Acquire) {
            // Its own record says so, or it was suspended meanwhile.
            return Err(unavailable());
        }
        if !domain.served.swap(true, Ordering::Relaxed)
            && let Err(error) = opened.keystore.record_serve()
        {
            domain.served.store(false, Ordering::Relaxed);
            return Err(Refusal::from(error).into());
        }
        self.touch(&opened);
        let entered = opened.enter();
        drop(opened);
        self.make_room();
        entered
    }

    /// The numbers of the domains that are open, the first one among them; where names are given, of those alone.
    pub(crate) fn open_ones(&self, only: &[String]) -> Vec<u32> {
        let wanted = |name: &String| only.is_empty() || only.contains(name);
        let mut open = Vec::new();
        if wanted(&self.config.domain) {
            open.push(FIRST);
        }
        let all = self.all().into_iter();
        let others = all.filter(|domain| wanted(&domain.name) && domain.is_open());
        open.extend(others.map(|domain| domain.number));
        open
    }

    /// The keystore of a domain that is open. Whoever has it keeps the domain open, and lets go of it soon.
    pub(crate) fn open_one(&self, number: u32) -> Option<Arc<Keystore>> {
        if number == FIRST {
            return Some(Arc::clone(&self.first.keystore));
        }
        let domain = self
            .all()
            .into_iter()
            .find(|domain| domain.number == number)?;
        match &*lock(&domain.place) {
            Place::Open(opened) => Some(Arc::clone(&opened.keystore)),
            _ => None,
        }
    }

    /// Whether a domain is open, and nobody waits for it to be closed.
    pub(crate) fn is_open(&self, number: u32) -> bool {
        let mut all = self.all().into_iter();
        number == FIRST || all.any(|domain| domain.number == number && domain.is_open())
    }

    /// The number of the domain of this name.
    pub(crate) fn number_of(&self, name: &str) -> Option<u32> {
        if name == self.config.domain {
            return Some(FIRST);
        }
        self.known(name).map(|domain| domain.number)
    }

    /// How many domains there are, how many are open, and how many fail; the first one counted.
    pub(crate) fn tally(&self) -> Tally {
        let mut tally = Tally {
            domains: 1,
            open: 1,
            failing: 0,
            suspended: 0,
        };
        for domain in self.all() {
            tally.domains += 1;
            tally.open += u64::from(matches!(*lock(&domain.place), Place::Open(_)));
            tally.failing += u64::from(domain.failing.load(Ordering::Relaxed));
            tally.suspended += u64::from(domain.refused.load(Ordering::Relaxed));
        }
        tally
    }

    /// The HSM slots.
    pub(crate) fn slots(&self) -> &Slots {
        &self.slots
    }

    /// The domain; none for the first.
    fn find(&self, wanted: Option<&Wanted>) -> Result<Option<Arc<Domain>>, Failure> {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        match wanted {
            Some(Wanted::Name(name)) if *name == self.config.domain => Ok(None),
            Some(Wanted::Name(name)) => {
                let found = index.by_name.get(name).cloned();
                found.map(Some).ok_or_else(unavailable)
            }
            Some(Wanted::Host(host)) => Ok(index.by_host.get(host).cloned()),
            None => Ok(None),
        }
    }

    fn all(&self) -> Vec<Arc<Domain>> {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = index.by_name.values().cloned().collect();
        all.sort_unstable_by_key(|domain| domain.number);
        all
    }

    fn touch(&self, opened: &Opened) {
        let now = self.uses.fetch_add(1, Ordering::Relaxed);
        opened.used.store(now, Ordering::Relaxed);
    }

    /// Changes the registry: what it says then is on the disk.
    fn change<T>(&self, change: impl FnOnce(&mut Registry) -> T) -> anyhow::Result<T> {
        let mut registry = lock(&self.registry);
        let mut changed = registry.clone();
        let answer = change(&mut changed);
        changed.write(&self.config.data)?;
        *registry = changed;
        let known = self.all();
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        index.follow(&registry, &known);
        Ok(answer)
    }

    /// The domain of this name, the first one excepted.
    fn known(&self, name: &str) -> Option<Arc<Domain>> {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        index.by_name.get(name).cloned()
    }

    fn require(&self, name: &str) -> anyhow::Result<Arc<Domain>> {
        self.known(name)
            .with_context(|| format!("this appliance has no domain {name:?}"))
    }

    fn entry(&self, name: &str) -> Option<Entry> {
        lock(&self.registry).find(name).cloned()
    }
}

/// How many domains there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// All of them.
    pub(crate) domains: u64,
    /// Those that are open.
    pub(crate) open: u64,
    /// Those that could not be opened, or lack something in the background.
    pub(crate) failing: u64,
    /// Suspended, or being made or removed.
    pub(crate) suspended: u64,
}

impl Index {
    fn of(registry: &Registry) -> Self {
        let mut index = Self::default();
        index.follow(registry, &[]);
        index
    }

    /// Becomes what the registry says; domains that are known stay the same.
    fn follow(&mut self, registry: &Registry, known: &[Arc<Domain>]) {
        self.by_name.clear();
        self.by_host.clear();
        let known: HashMap<u32, &Arc<Domain>> =
            known.iter().map(|domain| (domain.number, domain)).collect();
        for entry in &registry.domains {
            let domain = known
                .get(&entry.number)
                .map_or_else(|| Arc::new(Domain::of(entry)), |domain| Arc::clone(domain));
            domain.refused.store(is_refused(entry), Ordering::Release);
            for host in &entry.hosts {
                self.by_host.insert(host.clone(), Arc::clone(&domain));
            }
            self.by_name.insert(entry.name.clone(), domain);
        }
    }
}

impl Domain {
    fn is_open(&self) -> bool {
        matches!(*lock(&self.place), Place::Open(_))
    }

    fn of(entry: &Entry) -> Self {
        Self {
            number: entry.number,
            name: entry.name.clone(),
            place: Mutex::new(Place::Closed(None)),
            changed: Condvar::new(),
            refused: AtomicBool::new(is_refused(entry)),
            failing: AtomicBool::new(false),
            served: AtomicBool::new(false),
        }
    }
}

fn is_refused(entry: &Entry) -> bool {
    use registry::Work::{Create, Remove};
    entry.suspended || matches!(entry.work, Some(Create | Remove { .. }))
}

/// The answer for a domain that there is not, and for one that is suspended: alike.
fn unavailable() -> Failure {
    Failure::new(
        Code::DomainUnavailable,
        "This appliance does not serve that domain: the name is wrong, or its operators have suspended it.",
    )
}

fn make_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .mode(0o700)
        .recursive(true)
        .create(path)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
