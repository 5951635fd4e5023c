//! One or two HSMs that may come and go, as one [`Hsm`] that never hangs.
//!
//! [`Supervised::start`] returns at once. Each HSM is then opened, and opened again whenever it was lost, by a thread of its own; calls go to the
//! first one that is usable. They are made on bounded threads, and a caller gets its answer or an error by the deadline, whatever the
//! HSM's module does.

mod member;
mod named;
mod runner;
mod status;
mod versions;

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

pub use self::status::{Change, MemberStatus, State};
use self::{member::Member, runner::Missed};
use crate::{
    Aes256Key, DeviceLog, Ed25519PublicKey, Hsm, HsmError, MasterKekId, NamedKeys, RecoveryBlob,
    RecoveryKekId, TokenInfo, WrappedKey,
};

/// How long dropping waits for calls to end.
const FAREWELL: Duration = Duration::from_secs(1);

/// Opens an HSM. It is called on a thread that may wait, again each time the HSM was lost: it reads the PIN anew.
pub type Opener = dyn Fn() -> Result<Arc<dyn Hsm>, HsmError> + Send + Sync;

/// What is told of every change of state. It is called on the threads that notice one, and must return soon.
pub type OnChange = dyn Fn(&Change) + Send + Sync;

/// One HSM: the primary, or a replica that holds the same keys.
#[derive(Clone)]
pub struct Backend {
    /// Its name in messages: the module and the token, so that an operator knows which one is meant.
    pub name: String,
    /// How it is opened.
    pub open: Arc<Opener>,
}

/// How long calls may take, and how many may be at work.
#[derive(Clone, Debug)]
pub struct SupervisedConfig {
    /// By when a call is answered: 5 seconds.
    pub deadline: Duration,
    /// How many calls may be at work in one HSM: 32. Others wait, up to the deadline.
    pub max_calls: usize,
    /// How many calls that never came back may be left behind in one HSM before none is made any more: 16.
    pub max_abandoned: usize,
    /// How long to wait between two attempts to reach an HSM that is unusable: 2 seconds, and up to half as long again at random.
    pub retry: Duration,
    /// How long an HSM that is usable goes unprobed: 10 seconds.
    pub check: Duration,
}

impl Default for SupervisedConfig {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(5),
            max_calls: 32,
            max_abandoned: 16,
            retry: Duration::from_secs(2),
            check: Duration::from_secs(10),
        }
    }
}

/// HSMs under supervision. Dropping it ends the supervision; calls that hang go on until the module lets go of them.
pub struct Supervised {
    members: Vec<Arc<Member>>,
    deadline: Duration,
}

impl Supervised {
    /// Begins to open the HSMs, the primary first, and returns at once. Until one is open calls fail with
    /// [`HsmError::OutOfService`].
    ///
    /// # Errors
    /// [`HsmError::Malformed`] when no HSM is given, and when the system gives no thread.
    pub fn start(
        backends: Vec<Backend>,
        config: SupervisedConfig,
        on_change: Arc<OnChange>,
    ) -> Result<Self, HsmError> {
        if backends.is_empty() {
            return Err(HsmError::Malformed {
                what: "list of HSMs",
                reason: "it is empty",
            });
        }
        let supervised = Self {
            deadline: config.deadline,
            members: backends
                .into_iter()
                .map(|backend| Member::new(backend, config.clone(), Arc::clone(&on_change)))
                .collect(),
        };
        for member in &supervised.members {
            Member::supervise(member)?;
        }
        Ok(supervised)
    }

    /// What each HSM is doing, the primary first.
    #[must_use]
    pub fn status(&self) -> Vec<MemberStatus> {
        let mut rows: Vec<MemberStatus> =
            self.members.iter().map(|member| member.status()).collect();
        if let Some(row) = rows.iter_mut().find(|row| row.state == State::Usable) {
            row.serving = true;
        }
        rows
    }

    /// Whether a call would be made now.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.members.iter().any(|member| member.usable().is_some())
    }

    /// Waits until an HSM is usable: for operators' commands, which have nothing to do without one. A server does not wait.
    #[must_use]
    pub fn wait_until_usable(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while !self.is_usable() {
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        true
    }

    /// Tries again at once to open HSMs that are unusable, also those that refused the PIN: after an operator set it right.
    pub fn retry_now(&self) {
        for member in &self.members {
            member.retry_now();
        }
    }

    /// The log that one of the HSMs keeps itself, and which HSM that is; `place` counts from 0, the primary. Otherwise as
    /// [`Hsm::device_log`].
    pub fn device_log_of(&self, place: usize) -> Result<Option<(TokenInfo, DeviceLog)>, HsmError> {
        self.on(place, "device_log", |hsm| {
            let Some(log) = hsm.device_log()? else {
                return Ok(None);
            };
            Ok(Some((hsm.token_info()?, log)))
        })
    }

    /// Frees the log of one of the HSMs, as [`Hsm::acknowledge_device_log`].
    pub fn acknowledge_device_log_of(&self, place: usize, number: u16) -> Result<(), HsmError> {
        self.on(place, "acknowledge_device_log", move |hsm| {
            hsm.acknowledge_device_log(number)
        })
    }

    /// Ends the supervision and, with the sessions, the logins: from now on calls fail with [`HsmError::OutOfService`]. Waits for a second
    /// at most; what hangs in a module stays there until the module lets go of it.
    pub fn close(&self) {
        for member in &self.members {
            member.close(FAREWELL);
        }
        let deadline = Instant::now() + FAREWELL;
        for member in &self.members {
            member.settle(deadline);
        }
    }

    /// A call that may be made again, on the next HSM where one does not answer.
    fn anywhere<T: Send + 'static>(
        &self,
        function: &'static str,
        act: impl Fn(&dyn Hsm) -> Result<T, HsmError> + Send + Sync + 'static,
    ) -> Result<T, HsmError> {
        let act = Arc::new(act);
        let usable: Vec<_> = self
            .members
            .iter()
            .filter_map(|member| Some((member, member.usable()?)))
            .collect();
        let mut first_error = None;
        let mut time = Shares::new(self.deadline, usable.len());
        for (place, (member, hsm)) in usable.iter().enumerate() {
            let (act, hsm) = (Arc::clone(&act), Arc::clone(hsm));
            match member.call(function, time.next(), move || act(hsm.as_ref())) {
                Err(error) if member::another_may_do_it(&error) => {
                    if place + 1 < usable.len() {
                        tracing::warn!(%error, hsm = member.name(), "asking the other HSM");
                    }
                    first_error.get_or_insert(error);
                }
                answer => return answer,
            }
        }
        Err(first_error.unwrap_or_else(|| self.out_of_service()))
    }

    /// A call that changes what an HSM holds: made once, on the primary. Replicas get new keys from their custodians or by the HSM's own means.
    fn on_primary<T: Send + 'static>(
        &self,
        function: &'static str,
        act: impl Fn(&dyn Hsm) -> Result<T, HsmError> + Send + Sync + 'static,
    ) -> Result<T, HsmError> {
        self.on(0, function, act)
    }

    /// A call that is made once, on this HSM.
    fn on<T: Send + 'static>(
        &self,
        place: usize,
        function: &'static str,
        act: impl Fn(&dyn Hsm) -> Result<T, HsmError> + Send + Sync + 'static,
    ) -> Result<T, HsmError> {
        let usable = self
            .members
            .get(place)
            .and_then(|member| Some((member, member.usable()?)));
        let Some((member, hsm)) = usable else {
            return Err(self.out_of_service());
        };
        member.call(function, self.deadline, move || act(hsm.as_ref()))
    }

    /// Destroys a key in every HSM that holds it. All must be usable: otherwise one that is away would bring it back.
    fn destroy_everywhere(
        &self,
        function: &'static str,
        destroy: impl Fn(&dyn Hsm) -> Result<(), HsmError> + Clone + Send + Sync + 'static,
    ) -> Result<(), HsmError> {
        let usable: Option<Vec<_>> = self
            .members
            .iter()
            .map(|member| Some((member, member.usable()?)))
            .collect();
        let usable = usable.ok_or_else(|| self.out_of_service())?;
        let (mut destroyed, mut missing) = (false, None);
        let mut time = Shares::new(self.deadline, usable.len());
        for (member, hsm) in usable {
            let destroy = destroy.clone();
            match member.call(function, time.next(), move || destroy(hsm.as_ref())) {
                Ok(()) => destroyed = true,
                Err(error @ HsmError::KeyNotFound { .. }) => {
                    missing.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        match missing {
            Some(error) if !destroyed => Err(error),
            _ => Ok(()),
        }
    }

    fn out_of_service(&self) -> HsmError {
        let reasons: Vec<String> = self
            .members
            .iter()
            .map(|member| member.complaint())
            .collect();
        HsmError::OutOfService {
            reasons: reasons.join("; "),
        }
    }
}

/// Shares one deadline among HSMs that are asked one after another: each has its part of the time that is left.
struct Shares {
    until: Instant,
    left: usize,
}

impl Shares {
    fn new(deadline: Duration, among: usize) -> Self {
        Self {
            until: Instant::now() + deadline,
            left: among,
        }
    }

    fn next(&mut self) -> Duration {
        let among = u32::try_from(self.left).unwrap_or(1).max(1);
        self.left = self.left.saturating_sub(1);
        self.until.saturating_duration_since(Instant::now()) / among
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Supervised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervised")
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

impl Hsm for Supervised {
    fn token_info(&self) -> Result<TokenInfo, HsmError> {
        self.anywhere("token_info", |hsm| hsm.token_info())
    }

    fn generate_master_kek(&self, id: &MasterKekId) -> Result<(), HsmError> {
        let id = id.clone();
        self.on_primary("generate_master_kek", move |hsm| {
            hsm.generate_master_kek(&id)
        })
    }

    /// Those that all HSMs hold, and older ones that any holds (`versions.rs` says why). An HSM that does not answer counts with what it last said,
    /// one that never did or that holds none does not count.
    fn master_kek_versions(&self, domain: &str) -> Result<Vec<u32>, HsmError> {
        let mut lists = Vec::new();
        let (mut answered, mut first_error) = (false, None);
        let mut time = Shares::new(self.deadline, self.members.len());
        for member in &self.members {
            let share = time.next();
            let asked = member.usable().map(|hsm| {
                let domain = domain.to_owned();
                member.call("master_kek_versions", share, move || {
                    hsm.master_kek_versions(&domain)
                })
            });
            match asked {
                Some(Ok(versions)) => {
                    answered = true;
                    member.remember_versions(domain, &versions);
                    lists.push(versions);
                }
                Some(Err(error)) if !member::another_may_do_it(&error) => return Err(error),
                silent => {
                    if let Some(Err(error)) = silent {
                        first_error.get_or_insert(error);
                    }
                    lists.extend(member.remembered_versions(domain));
                }
            }
        }
        if !answered {
            return Err(first_error.unwrap_or_else(|| self.out_of_service()));
        }
        Ok(versions::in_service(&lists))
    }

    /// In every HSM, all of which must be usable: what is destroyed is to be gone everywhere. One that does not hold it any more is passed over, so
    /// that a call that failed half-way can be repeated.
    fn destroy_master_kek(&self, id: &MasterKekId) -> Result<(), HsmError> {
        let id = id.clone();
        self.destroy_everywhere("destroy_master_kek", move |hsm| hsm.destroy_master_kek(&id))
    }

    fn wrap(&self, kek: &MasterKekId, key: &Aes256Key) -> Result<WrappedKey, HsmError> {
        let (kek, key) = (kek.clone(), Aes256Key::from_bytes(*key.as_bytes()));
        self.anywhere("wrap", move |hsm| hsm.wrap(&kek, &key))
    }

    fn unwrap(&self, domain: &str, wrapped: &WrappedKey) -> Result<Aes256Key, HsmError> {
        let (domain, wrapped) = (domain.to_owned(), wrapped.clone());
        self.anywhere("unwrap", move |hsm| hsm.unwrap(&domain, &wrapped))
    }

    fn put_recovery_kek(&self, id: &RecoveryKekId, key: &Aes256Key) -> Result<(), HsmError> {
        let (id, key) = (id.clone(), Aes256Key::from_bytes(*key.as_bytes()));
        self.on_primary("put_recovery_kek", move |hsm| {
            hsm.put_recovery_kek(&id, &key)
        })
    }

    /// Those of the primary, where master KEKs are generated.
    fn recovery_kek_versions(&self, domain: &str) -> Result<Vec<u32>, HsmError> {
        let domain = domain.to_owned();
        self.on_primary("recovery_kek_versions", move |hsm| {
            hsm.recovery_kek_versions(&domain)
        })
    }

    fn destroy_recovery_kek(&self, id: &RecoveryKekId) -> Result<(), HsmError> {
        let id = id.clone();
        self.on_primary("destroy_recovery_kek", move |hsm| {
            hsm.destroy_recovery_kek(&id)
        })
    }

    fn generate_recoverable_master_kek(
        &self,
        id: &MasterKekId,
        recovery: &RecoveryKekId,
    ) -> Result<RecoveryBlob, HsmError> {
        let (id, recovery) = (id.clone(), recovery.clone());
        self.on_primary("generate_recoverable_master_kek", move |hsm| {
            hsm.generate_recoverable_master_kek(&id, &recovery)
        })
    }

    fn recover_master_kek(
        &self,
        id: &MasterKekId,
        recovery_kek: &Aes256Key,
        blob: &RecoveryBlob,
    ) -> Result<(), HsmError> {
        let (id, blob) = (id.clone(), blob.clone());
        let recovery_kek = Aes256Key::from_bytes(*recovery_kek.as_bytes());
        self.on_primary("recover_master_kek", move |hsm| {
            hsm.recover_master_kek(&id, &recovery_kek, &blob)
        })
    }

    fn generate_signing_key(&self, label: &str) -> Result<Ed25519PublicKey, HsmError> {
        let label = label.to_owned();
        self.on_primary("generate_signing_key", move |hsm| {
            hsm.generate_signing_key(&label)
        })
    }

    fn destroy_signing_key(&self, label: &str) -> Result<(), HsmError> {
        let label = label.to_owned();
        self.destroy_everywhere("destroy_signing_key", move |hsm| {
            hsm.destroy_signing_key(&label)
        })
    }

    fn signing_public_key(&self, label: &str) -> Result<Ed25519PublicKey, HsmError> {
        let label = label.to_owned();
        self.anywhere("signing_public_key", move |hsm| {
            hsm.signing_public_key(&label)
        })
    }

    fn sign(&self, label: &str, message: &[u8]) -> Result<[u8; 64], HsmError> {
        let (label, message) = (label.to_owned(), message.to_vec());
        self.anywhere("sign", move |hsm| hsm.sign(&label, &message))
    }

    fn named(&self) -> Result<&dyn NamedKeys, HsmError> {
        Ok(self)
    }

    fn fill_random(&self, out: &mut [u8]) -> Result<(), HsmError> {
        let len = out.len();
        let random = self.anywhere("fill_random", move |hsm| {
            let mut random = zeroize::Zeroizing::new(vec![0; len]);
            hsm.fill_random(&mut random)?;
            Ok(random)
        })?;
        out.copy_from_slice(&random);
        Ok(())
    }

    /// The primary's; [`device_log_of`](Supervised::device_log_of) reads any.
    fn device_log(&self) -> Result<Option<DeviceLog>, HsmError> {
        Ok(self.device_log_of(0)?.map(|(_, log)| log))
    }

    fn acknowledge_device_log(&self, number: u16) -> Result<(), HsmError> {
        self.acknowledge_device_log_of(0, number)
    }
}

impl Missed {
    fn explain(self, name: &str, function: &str, waited: Duration, max_calls: usize) -> HsmError {
        let token = name.to_owned();
        match self {
            Self::Deadline => HsmError::TimedOut {
                token,
                function: function.to_owned(),
                waited,
            },
            Self::Busy => HsmError::Busy {
                token,
                max_sessions: max_calls,
                waited,
            },
            Self::Hanging { abandoned } => HsmError::Hanging { token, abandoned },
            Self::Panicked | Self::NoThread => HsmError::Unavailable {
                token,
                function: function.to_owned(),
                code: match self {
                    Self::NoThread => "no answer: the system gives no more threads".to_owned(),
                    _ => "no answer: its client software failed in the call".to_owned(),
                },
            },
        }
    }
}
