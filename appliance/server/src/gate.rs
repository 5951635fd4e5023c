//! The gate: whether requests reach the keystore.
//!
//! ```text
//! sealed    somebody has to do something: no PIN is at hand, the HSM refused it, or an operator sealed the appliance
//! opening   the HSM is not usable yet; it is tried again by itself
//! serving   the keystore is open
//! ```
//!
//! Listeners are up in all three. When the HSM goes away while the appliance serves, the gate stays open: what needs no HSM goes on,
//! such as releases under account KEKs that are cached.

mod guard;
mod showing;
mod shutting;
mod telling;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use strongroom_hsm::pkcs11::Pin;
use strongroom_hsm::supervised::{MemberStatus, State as HsmState, Supervised};
use strongroom_hsm::{Hsm, HsmError};
use strongroom_keystore::store::Store;
use strongroom_keystore::{Clock as _, Error, Keystore, SystemClock};
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::health::State;
use strongroom_wire::problem::{Code, Problem};
use tokio::sync::oneshot;

pub(crate) use guard::{DomainNumber, OpenKeystore, guard};
pub(crate) use showing::View;
pub(crate) use shutting::Sealed;

use showing::complaints;

use crate::attestation::Attestor;
use crate::background::Background;
use crate::config::{Config, Place};
use crate::domains::{Beats, Domains, Slots};
use crate::estate::Estate;
use crate::kept::{self, KeptCheckpoint};
use crate::problems::Failure;
use crate::tls::Renewal;
use crate::updates::{Trial, Updates};
use crate::watch::Watch;

/// How long the gate waits before it tries again to open the keystore with an HSM that is usable.
const TRY_AGAIN: Duration = Duration::from_secs(2);
/// The most that passes before the opening looks at the HSMs again, if nothing tells it of a change.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How long whoever unseals waits to see what becomes of it.
const UNSEAL_PATIENCE: Duration = Duration::from_secs(15);
/// When a client may try again while the appliance is sealed, in seconds: people have to come first.
const RETRY_SEALED: u64 = 30;
/// The same while the HSM is being opened.
const RETRY_OPENING: u64 = 5;

/// The gate.
pub(crate) struct Gate {
    config: Config,
    estate: Estate,
    store: Arc<dyn Store>,
    renewal: Arc<Renewal>,
    kept: Arc<KeptCheckpoint>,
    updates: Option<Arc<Updates>>,
    attestor: Option<Arc<Attestor>>,
    /// What this release has to prove before it opens the keystore.
    trial: Option<Trial>,
    phase: Mutex<Phase>,
    /// The phase changed, or what an HSM is doing.
    changed: Condvar,
    opener: Mutex<Option<JoinHandle<()>>>,
    fatal: Mutex<Option<oneshot::Sender<anyhow::Error>>>,
}

struct Phase {
    name: Name,
    since: Timestamp,
}

enum Name {
    Sealed {
        why: String,
    },
    /// It is being sealed or stopped: what was open is being closed.
    Closing,
    Opening {
        hsm: Arc<Supervised>,
        /// Why it is not open yet, where an HSM is usable.
        reason: Option<String>,
    },
    Serving(Serving),
}

/// All that there is while the appliance serves.
struct Serving {
    /// The first domain's.
    keystore: Arc<Keystore>,
    hsm: Arc<Supervised>,
    background: Background,
    domains: Arc<Domains>,
    beats: Beats,
    watch: Watch,
}

impl Gate {
    /// A gate that is sealed, and what tells of an error after which the appliance cannot go on.
    ///
    /// # Errors
    /// When the database is not the one that the kept checkpoint knows: such an appliance is not to be started.
    pub(crate) fn new(
        config: Config,
        store: Arc<dyn Store>,
        renewal: Arc<Renewal>,
        updates: Option<Arc<Updates>>,
        attestor: Option<Arc<Attestor>>,
        trial: Option<Trial>,
    ) -> anyhow::Result<(Arc<Self>, oneshot::Receiver<anyhow::Error>)> {
        let (fatal, failed) = oneshot::channel();
        let gate = Self {
            estate: Estate::new(&config.hsm)?,
            kept: Arc::new(KeptCheckpoint::new(&config)),
            config,
            store,
            renewal,
            updates,
            attestor,
            trial,
            phase: Mutex::new(Phase::new(Name::Sealed {
                why: "it was just started".to_owned(),
            })),
            changed: Condvar::new(),
            opener: Mutex::default(),
            fatal: Mutex::new(Some(fatal)),
        };
        gate.check_database()?;
        Ok((Arc::new(gate), failed))
    }

    /// Begins to open, if a PIN is at hand. It waits for nothing.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start(self: &Arc<Self>) -> Result<(), HsmError> {
        let mut phase = self.lock();
        match self.estate.check_pins() {
            Ok(()) => self.begin(&mut phase),
            Err(error) => {
                self.seal_because(&mut phase, error.to_string());
                Ok(())
            }
        }
    }

    /// Opens a sealed gate with the PINs given, or with those that the configured sources have now, and waits for a while to see what
    /// becomes of it. Where it is open already, HSMs that refused their PIN are tried again.
    ///
    /// # Errors
    /// One sentence when there is no PIN, or it is being closed.
    pub(crate) fn unseal(self: &Arc<Self>, pins: Vec<(Place, Pin)>) -> Result<View, String> {
        let mut phase = self.lock();
        if matches!(phase.name, Name::Closing) {
            return Err(
                "the appliance is being sealed or stopped; try again in a moment".to_owned(),
            );
        }
        // A PIN that nothing waits for is not taken: it would be offered to the HSM one day, right or wrong.
        let wanted = phase
            .hsm()
            .is_none_or(|hsm| hsm.status().iter().any(|member| !member.serving));
        for (place, pin) in pins.into_iter().filter(|_| wanted) {
            if !self.estate.give(place, pin) {
                return Err(format!("there is no {} HSM", place.name()));
            }
        }
        match &phase.name {
            Name::Sealed { .. } => {
                self.estate
                    .check_pins()
                    .map_err(|error| error.to_string())?;
                self.begin(&mut phase).map_err(|error| error.to_string())?;
            }
            Name::Opening { hsm, .. } | Name::Serving(Serving { hsm, .. }) => hsm.retry_now(),
            Name::Closing => {}
        }
        let deadline = Instant::now() + UNSEAL_PATIENCE;
        while phase.is_undecided() && Instant::now() < deadline {
            phase = self.wait(phase, LOOK_AGAIN);
        }
        drop(phase);
        Ok(self.view())
    }

    /// The domains, if the gate is open.
    ///
    /// # Errors
    /// The problem that answers a request which needs one.
    pub(crate) fn domains(&self) -> Result<Arc<Domains>, Failure> {
        let (code, detail, seconds) = match &self.lock().name {
            Name::Serving(serving) => return Ok(Arc::clone(&serving.domains)),
            Name::Sealed { .. } | Name::Closing => (
                Code::Sealed,
                "The appliance is sealed; its operators must unseal it first.",
                RETRY_SEALED,
            ),
            Name::Opening { .. } => (
                Code::HsmUnavailable,
                "The appliance has not reached its HSM yet; nothing was done. Try again later.",
                RETRY_OPENING,
            ),
        };
        let mut problem = Problem::new(code, detail);
        problem.retry_after = Some(seconds);
        Err(problem.into())
    }

    /// Goes from sealed to opening.
    fn begin(self: &Arc<Self>, phase: &mut Phase) -> Result<(), HsmError> {
        let watched = Arc::downgrade(self);
        let hsm = self.estate.start(Arc::new(move |_| {
            if let Some(gate) = watched.upgrade() {
                gate.changed.notify_all();
            }
        }))?;
        let hsm = Arc::new(hsm);
        let (gate, opening) = (Arc::clone(self), Arc::clone(&hsm));
        let opener = thread::Builder::new()
            .name("opening".to_owned())
            .spawn(move || gate.open(&opening))
            .map_err(|error| HsmError::Unavailable {
                token: "the HSM".to_owned(),
                function: "the system".to_owned(),
                code: format!("no thread: {error}"),
            })?;
        *lock(&self.opener) = Some(opener);
        *phase = Phase::new(Name::Opening { hsm, reason: None });
        tracing::info!("opening the HSM");
        self.changed.notify_all();
        Ok(())
    }

    /// Waits for an HSM, opens the keystore, and has it served. It ends early when the gate was closed meanwhile.
    fn open(self: &Arc<Self>, hsm: &Arc<Supervised>) {
        loop {
            if !self.wait_until_usable(hsm) {
                return;
            }
            let opened = match self.pass_trial(hsm) {
                Ok(true) => self.open_keystore(hsm),
                Ok(false) => return,
                Err(error) => Err(error),
            };
            let error = match opened {
                Ok(keystore) => {
                    match self.serve(keystore, hsm) {
                        Ok(()) => {}
                        Err(error) => self.fail(error),
                    }
                    return;
                }
                Err(error) => error,
            };
            match error.downcast_ref() {
                Some(Error::Hsm(reason)) if comes_by_itself(reason) => {
                    if !self.not_yet(hsm, reason.to_string()) {
                        return;
                    }
                }
                _ => {
                    self.fail(error);
                    return;
                }
            }
        }
    }

    /// Waits until an HSM is usable. False when the gate was closed, or is sealed now because every HSM refused its PIN.
    fn wait_until_usable(&self, hsm: &Arc<Supervised>) -> bool {
        let mut phase = self.lock();
        loop {
            if !phase.is_opening(hsm) {
                return false;
            }
            let status = hsm.status();
            if status.iter().any(|member| member.serving) {
                return true;
            }
            if status.iter().all(|member| !member.retried) {
                self.estate.forget();
                self.seal_because(&mut phase, complaints(&status));
                drop(phase);
                hsm.close();
                return false;
            }
            phase = self.wait(phase, LOOK_AGAIN);
        }
    }

    /// Notes why it is not open although an HSM is usable, and waits. False when the gate was closed.
    fn not_yet(&self, hsm: &Arc<Supervised>, why: String) -> bool {
        let mut phase = self.lock();
        if let Name::Opening { reason, .. } = &mut phase.name
            && reason.as_ref() != Some(&why)
        {
            tracing::error!(reason = why, "the keystore cannot be opened yet");
            *reason = Some(why);
        }
        let again = Instant::now() + TRY_AGAIN;
        loop {
            let left = again.saturating_duration_since(Instant::now());
            if !phase.is_opening(hsm) || left.is_zero() {
                return phase.is_opening(hsm);
            }
            phase = self.wait(phase, left);
        }
    }

    /// Whether the release has passed its trial, if it is on one. False when the gate was closed meanwhile.
    fn pass_trial(&self, hsm: &Arc<Supervised>) -> anyhow::Result<bool> {
        let Some(trial) = &self.trial else {
            return Ok(true);
        };
        if trial.is_under_way()
            && let Name::Opening { reason, .. } = &mut self.lock().name
        {
            *reason = Some("the release is on trial, and nobody is answered yet".to_owned());
        }
        let shared: Arc<dyn Hsm> = Arc::clone(hsm) as _;
        trial.prove(&self.config, &self.store, &shared, || {
            self.lock().is_opening(hsm)
        })
    }

    fn check_database(&self) -> anyhow::Result<()> {
        let restored = kept::restored(&self.config, &*self.store)?;
        self.kept
            .check(&*self.store, &self.config.domain, restored.as_ref())
    }

    /// Opens the keystore, unless its database was rolled back, and records a restore.
    fn open_keystore(&self, hsm: &Arc<Supervised>) -> anyhow::Result<Keystore> {
        // Again: it may have been sealed for long.
        self.check_database()?;
        let restored = kept::restored(&self.config, &*self.store)?;
        let keystore = Keystore::open(
            Arc::clone(&self.store),
            Arc::clone(hsm) as _,
            Arc::new(SystemClock),
            self.config.keystore_options(),
        )?;
        if let Some(restored) = restored {
            kept::record(&self.config, &keystore, &self.kept, &restored)?;
        }
        Ok(keystore)
    }

    fn serve(&self, keystore: Keystore, hsm: &Arc<Supervised>) -> anyhow::Result<()> {
        let keystore = Arc::new(keystore);
        let slots = Slots::start(&self.config, Arc::clone(hsm))?;
        let kept = Arc::clone(&self.kept);
        let domains = Domains::new(&self.config, slots, Arc::clone(&keystore), kept)?;
        let background = Background::start(
            &self.config,
            Arc::clone(&keystore),
            Arc::clone(hsm),
            Arc::clone(&self.kept),
            self.updates.clone(),
            self.attestor.clone(),
            Arc::clone(&self.renewal),
        )?;
        let beats = match Beats::start(&domains) {
            Ok(beats) => beats,
            Err(error) => {
                background.stop();
                return Err(error);
            }
        };
        let watch = match Watch::start(&self.config, &domains) {
            Ok(watch) => watch,
            Err(error) => {
                beats.stop();
                background.stop();
                return Err(error);
            }
        };
        let mut phase = self.lock();
        if !phase.is_opening(hsm) {
            drop(phase);
            watch.stop();
            beats.stop();
            domains.close_all(None);
            background.stop();
            return Ok(());
        }
        *phase = Phase::new(Name::Serving(Serving {
            keystore,
            hsm: Arc::clone(hsm),
            background,
            domains,
            beats,
            watch,
        }));
        self.changed.notify_all();
        tracing::info!("serving");
        Ok(())
    }

    fn seal_because(&self, phase: &mut Phase, why: String) {
        tracing::warn!(reason = why, "the appliance is sealed");
        *phase = Phase::new(Name::Sealed { why });
        self.changed.notify_all();
    }

    fn fail(&self, error: anyhow::Error) {
        if let Some(fatal) = lock(&self.fatal).take() {
            // Nobody listens once the appliance is being stopped.
            let _ = fatal.send(error);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Phase> {
        lock(&self.phase)
    }

    fn wait<'a>(&self, phase: MutexGuard<'a, Phase>, most: Duration) -> MutexGuard<'a, Phase> {
        let waited = self.changed.wait_timeout(phase, most);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Phase {
    fn new(name: Name) -> Self {
        Self {
            name,
            since: SystemClock.now(),
        }
    }

    fn state(&self) -> State {
        match self.name {
            Name::Sealed { .. } | Name::Closing => State::Sealed,
            Name::Opening { .. } => State::Opening,
            Name::Serving(_) => State::Serving,
        }
    }

    fn hsm(&self) -> Option<&Arc<Supervised>> {
        match &self.name {
            Name::Sealed { .. } | Name::Closing => None,
            Name::Opening { hsm, .. } | Name::Serving(Serving { hsm, .. }) => Some(hsm),
        }
    }

    /// Whether it is opening and an HSM may still turn out to be usable, or all to refuse their PINs, in a moment.
    fn is_undecided(&self) -> bool {
        let Name::Opening { hsm, .. } = &self.name else {
            return false;
        };
        let status = hsm.status();
        let away = |member: &MemberStatus| matches!(member.state, HsmState::Unusable { .. });
        !status.iter().all(away) || status.iter().all(|member| !member.retried)
    }

    /// Whether it is the opening that is tried with these HSMs.
    fn is_opening(&self, by: &Arc<Supervised>) -> bool {
        matches!(&self.name, Name::Opening { hsm, .. } if Arc::ptr_eq(hsm, by))
    }
}

/// Whether waiting may help. A domain key that this HSM's master KEK did not wrap stays what it is.
fn comes_by_itself(error: &HsmError) -> bool {
    !matches!(
        error,
        HsmError::WrappedKeyRejected { .. } | HsmError::Malformed { .. }
    )
}

/// Takes a lock whose data no panic can leave half-changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
