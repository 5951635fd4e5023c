//! Opening and closing one domain.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use strongroom_hsm::Hsm;
use strongroom_keystore::store::sqlite::SqliteStore;
use strongroom_keystore::{Error, Keystore, SystemClock};
use strongroom_wire::problem::{Code, Problem};

use super::bridge::Bridge;
use super::registry::{Entry, Work};
use super::{Domain, Domains, Opened, PATIENCE, Place, TRY_AGAIN, lock};
use crate::kept::{self, KeptCheckpoint};
use crate::problems::Failure;

/// How often is looked whether those who use a domain are done.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

impl Domains {
    /// Opens a domain that is closed; one thread does, and others wait for it.
    pub(super) fn open(&self, domain: &Domain) -> Result<Arc<Opened>, Failure> {
        let deadline = Instant::now() + PATIENCE;
        let mut place = lock(&domain.place);
        loop {
            match &*place {
                Place::Open(opened) => return Ok(Arc::clone(opened)),
                Place::Closed(Some((since, problem))) if since.elapsed() < TRY_AGAIN => {
                    return Err((**problem).clone().into());
                }
                Place::Closed(_) => break,
                Place::Busy | Place::Draining(_) => {}
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(busy().into());
            }
            let waited = domain.changed.wait_timeout(place, left);
            place = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        // Looked at while nobody else can: closing sets it before it looks at the places.
        if self.closing.load(Ordering::SeqCst) {
            return Err(busy().into());
        }
        *place = Place::Busy;
        drop(place);

        let opened = self.open_now(domain);
        let mut place = lock(&domain.place);
        let answer = match opened {
            // Whoever closes all domains has passed this one: it was busy.
            Ok(opened) if self.closing.load(Ordering::SeqCst) => {
                close(domain, &opened);
                *place = Place::Closed(None);
                Err(busy().into())
            }
            Ok(opened) => {
                domain.failing.store(false, Ordering::Relaxed);
                let opened = Arc::new(opened);
                *place = Place::Open(Arc::clone(&opened));
                Ok(opened)
            }
            Err(error) => {
                let failed_before = domain.failing.swap(true, Ordering::Relaxed);
                if !failed_before {
                    tracing::error!(
                        domain = domain.number,
                        error = format!("{error:#}"),
                        "a domain cannot be opened"
                    );
                }
                let problem = problem(&error);
                *place = Place::Closed(Some((Instant::now(), Box::new(problem.clone()))));
                Err(problem.into())
            }
        };
        drop(place);
        domain.changed.notify_all();
        answer
    }

    fn open_now(&self, domain: &Domain) -> anyhow::Result<Opened> {
        let entry = self
            .entry(&domain.name)
            .context("the domain is not in the registry any more")?;
        let config = self.config.of_domain(&entry)?;
        let database = config.database();
        let store = SqliteStore::open(&database)
            .with_context(|| format!("the database {} cannot be opened", database.display()))?;
        let store = Arc::new(store);
        let kept = Arc::new(KeptCheckpoint::new(&config));
        let restored = kept::restored(&config, &*store)?;
        kept.check(&*store, &config.domain, restored.as_ref())?;
        let hsm = self.hsm_of(&entry)?;
        let (clock, options) = (Arc::new(SystemClock), config.keystore_options());
        let keystore = Keystore::attend(store, hsm, clock, options)?;
        if let Some(restored) = restored {
            kept::record(&config, &keystore, &kept, &restored)?;
        }
        let settings = keystore.settings()?;
        if settings.suspended {
            // The registry may have been put back; the record cannot be edited.
            domain.refused.store(true, Ordering::Release);
        }
        Ok(Opened::new(
            domain.number,
            Arc::new(keystore),
            kept,
            &settings.quotas,
        ))
    }

    /// The HSM of a domain: of two slots, while it moves.
    fn hsm_of(&self, entry: &Entry) -> anyhow::Result<Arc<dyn Hsm>> {
        let from = self.slots.hsm(&entry.slot)?;
        Ok(match &entry.work {
            Some(Work::Move { to }) => Arc::new(Bridge::new(from, self.slots.hsm(to)?)),
            _ => from,
        })
    }

    /// Closes the domains that were used longest ago until no more than the configuration says are open. Those in use stay.
    pub(crate) fn make_room(&self) {
        let most = self.config.domains.open.get();
        let mut open: Vec<_> = self
            .all()
            .into_iter()
            .filter_map(|domain| {
                let used = match &*lock(&domain.place) {
                    Place::Open(opened) => opened.used.load(Ordering::Relaxed),
                    _ => return None,
                };
                Some((used, domain))
            })
            .collect();
        if open.len() <= most {
            return;
        }
        open.sort_unstable_by_key(|(used, _)| *used);
        let mut too_many = open.len() - most;
        for (_, domain) in open {
            if too_many == 0 {
                return;
            }
            too_many -= usize::from(domain.close_unused());
        }
    }

    /// Closes all domains but the first, for good: nobody opens one any more. Where `sealed`, a leaf in each says by whom.
    pub(crate) fn close_all(&self, sealed: Option<&str>) {
        self.closing.store(true, Ordering::SeqCst);
        let all = self.all();
        for domain in &all {
            if let Place::Open(opened) = &*lock(&domain.place) {
                // Requests that are under way can still fetch a few KEKs: those go at the end.
                opened.keystore.wipe();
            }
        }
        for domain in &all {
            let opened = {
                let mut place = lock(&domain.place);
                match std::mem::replace(&mut *place, Place::Busy) {
                    Place::Open(opened) | Place::Draining(opened) => opened,
                    other => {
                        *place = other;
                        continue;
                    }
                }
            };
            if let Some(by) = sealed
                && let Err(error) = opened.keystore.record_seal(by)
            {
                tracing::error!(domain = domain.number, %error, "no leaf says that the domain was sealed");
            }
            shut(domain, opened);
        }
        self.slots.close();
    }
}

impl Domain {
    /// Closes a domain unless somebody uses it. Answers whether it did.
    pub(super) fn close_unused(&self) -> bool {
        let opened = {
            let mut place = lock(&self.place);
            match std::mem::replace(&mut *place, Place::Busy) {
                Place::Open(opened) if !Opened::is_used(&opened) => opened,
                other => {
                    *place = other;
                    return false;
                }
            }
        };
        shut(self, opened);
        true
    }

    /// Keeps everybody out of a domain, waits for those who use it, and closes it. While the answer exists nobody opens it. None when
    /// somebody goes on using it.
    pub(super) fn hold(&self) -> Option<Held<'_>> {
        let deadline = Instant::now() + PATIENCE;
        let mut place = lock(&self.place);
        loop {
            match std::mem::replace(&mut *place, Place::Busy) {
                Place::Closed(_) => return Some(Held(self)),
                Place::Open(opened) | Place::Draining(opened) => {
                    if !Opened::is_used(&opened) {
                        drop(place);
                        close(self, &opened);
                        drop(opened);
                        return Some(Held(self));
                    }
                    *place = if Instant::now() < deadline {
                        Place::Draining(opened)
                    } else {
                        Place::Open(opened)
                    };
                }
                Place::Busy => {}
            }
            if Instant::now() >= deadline {
                self.changed.notify_all();
                return None;
            }
            let waited = self.changed.wait_timeout(place, LOOK_AGAIN);
            place = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// A domain that is closed and stays so while this exists.
pub(super) struct Held<'a>(&'a Domain);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        *lock(&self.0.place) = Place::Closed(None);
        self.0.changed.notify_all();
    }
}

/// Closes a domain whose place is busy, and says that it is closed.
fn shut(domain: &Domain, opened: Arc<Opened>) {
    close(domain, &opened);
    drop(opened);
    drop(Held(domain));
}

/// Signs and keeps the last checkpoint, and wipes what is open.
fn close(domain: &Domain, opened: &Opened) {
    // Of a rotation that has just begun, the first step: from then on the records tell whoever opens it next.
    if let Err(error) = opened.keystore.rewrap_some_if_rotating(1) {
        tracing::warn!(domain = domain.number, %error, "a rotation makes no progress");
    }
    let signed = opened
        .keystore
        .sign_checkpoint()
        .map_err(anyhow::Error::from);
    if let Err(error) = signed.and_then(|_| opened.kept.keep(&opened.keystore)) {
        tracing::error!(
            domain = domain.number,
            error = format!("{error:#}"),
            "the last checkpoint of a domain was not signed"
        );
    }
    opened.keystore.wipe();
}

fn busy() -> Problem {
    let mut problem = Problem::new(
        Code::Unavailable,
        "The domain is being opened or closed; try again.",
    );
    problem.retry_after = Some(1);
    problem
}

/// What whoever asked is told: no more than that it does not work now.
fn problem(error: &anyhow::Error) -> Problem {
    let code = match error.downcast_ref() {
        Some(Error::Hsm(_)) => Code::HsmUnavailable,
        _ => Code::Unavailable,
    };
    let mut problem = Problem::new(
        code,
        "The domain cannot be opened now; nothing was done. The appliance's log says more.",
    );
    problem.retry_after = Some(5);
    problem
}
