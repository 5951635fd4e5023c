//! The keystore of one domain: opened once, shared by all who serve it.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use strongroom_audit::Detail;
use strongroom_audit::cosignature::WitnessKey;
use strongroom_hsm::{Aes256Key, Hsm};
use strongroom_wire::account::{AccountKind, AccountState, CreatedAccount, Role};
use strongroom_wire::audit::Act;
use strongroom_wire::id::AccountId;

use crate::accounts;
use crate::act::{Presented, Scope};
use crate::clock::Clock;
use crate::credentials::passkeys::Ceremonies;
use crate::credentials::second_factor::Waiting;
use crate::devices::{Pairings, SpentNonces};
use crate::error::{Answer, Error};
use crate::hierarchy::{Domain, Fetched, Keks};
use crate::lawful::hold::Reviewed;
use crate::recovery::NewRecovery;
use crate::roles::May;
use crate::rotation;
use crate::rotation::Rotation;
use crate::sessions;
use crate::sessions::{SignIns, Uses};
use crate::store::{AccountKekRecord, Store};

/// How many notifications that are due are counted.
const MOST_COUNTED: u32 = 1000;
/// How many sessions' last uses are written in one act.
const USES_AT_ONCE: usize = 500;
/// Where the appliance's own acts come from.
pub(crate) const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A new domain.
#[derive(Debug)]
pub struct NewDomain {
    /// Its name.
    pub name: String,
    /// The origin of its checkpoints (C2SP `tlog-checkpoint`): a schema-less URL that names this log and no other.
    pub origin: String,
    /// The name of its first administrator.
    pub administrator: String,
    /// Whether keys that the HSM holds for a domain of this name are taken over instead of being refused: so when an initialisation that
    /// made them did not end.
    pub adopt_keys: bool,
    /// Whether custodians are to recover its master KEK one day.
    pub recovery: Option<NewRecovery>,
    /// SHA-256 of the seed that says how the appliance is set up, where there is one: its log begins with that.
    pub seed: Option<[u8; 32]>,
}

/// How a keystore behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// The name of the domain it serves.
    pub domain: String,
    /// How long an unwrapped account KEK is kept; 0 sends each use to the HSM.
    pub kek_cache_ttl: Duration,
    /// How many unwrapped account KEKs are kept at most, 32 bytes of locked memory each.
    pub kek_cache_size: usize,
    /// How long a session lasts at most.
    pub session_lifetime: Duration,
    /// How long a session lasts without being used.
    pub session_idle_lifetime: Duration,
    /// How long an enrolment code is good for.
    pub enrolment_lifetime: Duration,
    /// By how much the time of a signed request may differ from the appliance's.
    pub clock_skew: Duration,
    /// Whom passkeys are made for.
    pub passkeys: PasskeyParty,
    /// The witnesses of the log, each key once.
    pub witnesses: Vec<WitnessKey>,
    /// Whether the site has a mail relay, to which whoever serves the keystore hands [`Keystore::due_mail`].
    pub sends_mail: bool,
}

/// Whom passkeys are made for: the relying party of Web Authentication Level 3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasskeyParty {
    /// Its identifier: a domain name. Passkeys that were made for another one are of no use.
    pub id: String,
    /// The origins at which passkeys may be used, such as `https://keys.example.com:8443`.
    pub origins: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            domain: "default".to_owned(),
            kek_cache_ttl: Duration::from_mins(5),
            kek_cache_size: 10_000,
            session_lifetime: Duration::from_hours(8),
            session_idle_lifetime: Duration::from_hours(1),
            enrolment_lifetime: Duration::from_hours(7 * 24),
            clock_skew: Duration::from_mins(5),
            passkeys: PasskeyParty {
                id: "strongroom.local".to_owned(),
                origins: vec!["https://strongroom.local".to_owned()],
            },
            witnesses: Vec::new(),
            sends_mail: false,
        }
    }
}

/// Figures for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statistics {
    /// How many leaves the audit tree has.
    pub tree_size: u64,
    /// How many account KEKs are cached.
    pub cached_keks: u64,
    /// How many acts wait for the writer.
    pub queued_acts: u64,
    /// How many keys are still wrapped by older versions of the master KEK than the newest.
    pub rewraps_left: u64,
    /// How many values are still sealed under older versions of accounts' KEKs, over all rotations that are under way.
    pub reseals_left: u64,
    /// How many of the records that rotation last tried do not match their seals.
    pub rotation_damage: u64,
    /// How many notifications of disclosures are due and have not been sent, as far as 1000.
    pub notifications_due: u64,
}

/// The keystore of one domain. Clones share it. Every method may block: call them from threads that may wait.
#[derive(Clone)]
pub struct Keystore {
    pub(crate) core: Arc<Core>,
}

pub(crate) struct Core {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) domain: Domain,
    pub(crate) options: Options,
    pub(crate) sign_ins: SignIns,
    pub(crate) pairings: Pairings,
    pub(crate) spent_nonces: SpentNonces,
    pub(crate) waiting: Waiting,
    pub(crate) ceremonies: Ceremonies,
    pub(crate) rotation: Rotation,
    pub(crate) reviewed: Reviewed,
    pub(crate) hardware_reviewed: Reviewed,
}

impl Core {
    /// New KEKs, and their records for these accounts. It asks the HSM.
    pub(crate) fn new_keks(
        &self,
        accounts: &[AccountId],
    ) -> Result<Vec<(Aes256Key, AccountKekRecord)>, Error> {
        let snapshot = self.store.snapshot()?;
        self.domain.new_keks(&*snapshot, accounts)
    }

    /// A new KEK, and its record for `account`. It asks the HSM.
    pub(crate) fn new_kek(
        &self,
        account: AccountId,
        version: u32,
    ) -> Result<(Aes256Key, AccountKekRecord), Error> {
        let snapshot = self.store.snapshot()?;
        self.domain.new_kek(&*snapshot, account, version)
    }
}

impl Keystore {
    /// Makes a new domain: its keys, the first leaf of its audit tree and its first administrator, whose one-time enrolment code is in
    /// the answer.
    ///
    /// # Errors
    ///
    /// [`Error::Domain`] when there is such a domain already; those of the HSM and the store.
    pub fn initialise(
        store: &dyn Store,
        hsm: Arc<dyn Hsm>,
        clock: &dyn Clock,
        new: &NewDomain,
        options: &Options,
    ) -> Result<CreatedAccount, Error> {
        if store.snapshot()?.domain(&new.name)?.is_some() {
            return Err(Error::Domain(format!(
                "Domain {:?} is initialised already.",
                new.name
            )));
        }
        let administrator = accounts::check_name(&new.administrator)?;
        let now = clock.now();
        let (record, recoverable) = Domain::initialise(&*hsm, 1, new, now)?;
        let domain = Arc::new(Domain::open(&record, hsm, 0, Duration::ZERO)?);
        let (account, kek) = accounts::new_account(
            &domain,
            &*store.snapshot()?,
            administrator,
            AccountKind::Person,
            AccountState::Pending,
            vec![Role::Administrator],
            now,
        )?;
        let (code, credential) = accounts::new_code(&domain, account.id, now, options)?;
        let expires = credential.expires;
        let wire_account = accounts::to_wire(&account);
        let seed = new
            .seed
            .map(|sha256| format!("seed {}", crate::seal::hex(&sha256)));
        let (answer, answered) = std::sync::mpsc::channel();
        store.write(Box::new(move |tx| {
            let fetched = Fetched::default();
            let keks = Keks::new(&domain, &fetched);
            let outcome = (|| {
                tx.create_domain(&record)?;
                if let Some((kek, blob)) = &recoverable {
                    tx.create_recovery_kek(kek)?;
                    tx.put_recovery_blob(blob)?;
                }
                let mut scope = Scope {
                    tx,
                    domain: &domain,
                    keks: &keks,
                    now,
                    detail: Detail::default(),
                    record_strangers: false,
                    about: None,
                    nonce: None,
                };
                scope.detail.note = seed;
                scope.record(Act::DomainInitialise)?;
                scope.tx.create_account(&account, &kek)?;
                scope.tx.put_credential(&credential)?;
                scope.detail.subject = Some(account.id);
                scope.detail.note = Some(accounts::describe(&account));
                scope.record(Act::AccountCreate)
            })();
            let stays = outcome
                .as_ref()
                .map(|_| ())
                .map_err(|_| crate::store::Abort);
            // Whoever asked waits for the commit, so the channel is there.
            let _ = answer.send(outcome);
            stays
        }))?;
        let leaf = answered
            .recv()
            .map_err(|_| Error::Internal("the act did not answer"))??;
        Ok(CreatedAccount {
            account: wire_account,
            enrolment_code: Some(code),
            enrolment_expires: expires,
            leaf,
        })
    }

    /// Opens the keystore of the domain that `options` names.
    ///
    /// # Errors
    ///
    /// [`Error::Domain`] when there is no such domain; [`Error::Integrity`] when its record was edited; those of the HSM and the store.
    pub fn open(
        store: Arc<dyn Store>,
        hsm: Arc<dyn Hsm>,
        clock: Arc<dyn Clock>,
        options: Options,
    ) -> Result<Self, Error> {
        let keystore = Self::attend(store, hsm, clock, options)?;
        keystore.record_serve()?;
        Ok(keystore)
    }

    /// Records that the appliance begins to serve the domain, as [`open`](Self::open) does.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when the store does not take it.
    pub fn record_serve(&self) -> Result<u64, Error> {
        // A rotation may have been begun before, and not come to its first step.
        self.core.rotation.forget_newest();
        self.core
            .act(Act::DomainServe, LOCALHOST, |scope| {
                scope.detail = Detail::default();
                scope.record(Act::DomainServe)
            })
            .map_err(|refusal| refusal.error)
    }

    /// Opens the keystore as [`open`](Self::open) does, for whoever does not serve it, such as a ceremony. It leaves no leaf, unless
    /// the log is one that an older version began: then it has it commit to rows.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open).
    pub fn attend(
        store: Arc<dyn Store>,
        hsm: Arc<dyn Hsm>,
        clock: Arc<dyn Clock>,
        options: Options,
    ) -> Result<Self, Error> {
        let record = store.snapshot()?.domain(&options.domain)?.ok_or_else(|| {
            Error::Domain(format!("Domain {:?} is not initialised.", options.domain))
        })?;
        let mut domain = Domain::open(&record, hsm, options.kek_cache_size, options.kek_cache_ttl)?;
        {
            // What was edited here is to be found before somebody relies on it.
            let snapshot = store.snapshot()?;
            domain.checkpoint_keys(&*snapshot)?;
            domain.recovery_blobs(&*snapshot)?;
        }
        domain.uses = Uses::new(options.session_idle_lifetime);
        domain.sends_mail = options.sends_mail;
        domain.witnesses.clone_from(&options.witnesses);
        let known = store.snapshot()?.spent_nonces(clock.now())?;
        let core = Arc::new(Core {
            spent_nonces: SpentNonces::new(options.clock_skew, &known),
            store,
            clock,
            domain,
            options,
            sign_ins: SignIns::default(),
            pairings: Pairings::default(),
            waiting: Waiting::default(),
            ceremonies: Ceremonies::default(),
            rotation: Rotation::default(),
            reviewed: Reviewed::default(),
            hardware_reviewed: Reviewed::default(),
        });
        let keystore = Self { core };
        // Before any act of this version, so that it finds all rows told.
        keystore.begin_rows()?;
        Ok(keystore)
    }

    /// The domain's name.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.core.domain.name
    }

    /// Refuses who may not seal the appliance: administrators and security officers do, with a sign-in as recent as the domain's policy wants it. Says for the
    /// leaf who it is.
    ///
    /// # Errors
    ///
    /// [`Error::NotPermitted`], [`Error::StepUpRequired`].
    pub fn may_seal(&self, caller: &Presented) -> Answer<String> {
        self.core.look(caller, |view, caller, _| {
            caller.require(May::RotateKeks)?;
            caller.require_recent(view.now)?;
            Ok(format!("{}, from {}", caller.account.name, caller.source))
        })
    }

    /// Records that the appliance is being sealed; `by` says by whom. Needs no HSM.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when the store does not take it.
    pub fn record_seal(&self, by: &str) -> Result<u64, Error> {
        let note = Some(by.to_owned());
        self.core
            .act(Act::DomainSeal, LOCALHOST, move |scope| {
                scope.detail = Detail {
                    note: note.clone(),
                    ..Detail::default()
                };
                scope.record(Act::DomainSeal)
            })
            .map_err(|refusal| refusal.error)
    }

    /// Records what an HSM's own log says, a leaf for each note (1 to 1024 bytes). Once it answers the leaves are durable. Needs no HSM.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] when a note is too long, [`Error::Store`] when the store does not take it.
    pub fn record_device_log(&self, notes: Vec<String>) -> Result<(), Error> {
        if notes.iter().any(|note| note.len() > Detail::NOTE_MAX) {
            return Err(Error::Invalid("A note is too long for a leaf.".to_owned()));
        }
        self.core
            .act(Act::HsmDeviceLog, LOCALHOST, move |scope| {
                for note in &notes {
                    scope.detail = Detail {
                        note: Some(note.clone()),
                        ..Detail::default()
                    };
                    scope.record(Act::HsmDeviceLog)?;
                }
                Ok(())
            })
            .map_err(|refusal| refusal.error)
    }

    /// Figures for metrics.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when the store cannot be read.
    pub fn statistics(&self) -> Result<Statistics, Error> {
        let core = &self.core;
        let left = rotation::left(core)?;
        let due = core.store.snapshot()?.notifications_due(
            core.domain.number,
            core.clock.now(),
            MOST_COUNTED,
        )?;
        Ok(Statistics {
            notifications_due: due.len() as u64,
            rewraps_left: left.rewraps,
            reseals_left: left.reseals,
            rotation_damage: left.damaged,
            tree_size: core.store.snapshot()?.tree_size(core.domain.number)?,
            cached_keks: core.domain.cached_keks() as u64,
            queued_acts: core.store.queued(),
        })
    }

    /// Ends authorisations whose time is over, forgets sessions, sign-ins, enrolment codes, pairings, spent nonces and cached KEKs whose time is over, keeps when sessions were last used, records sign-ins that were started and not
    /// finished, tells people of disclosures whose delay is over, and deletes what no hold keeps any more; says how many sessions and codes there were.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when the store does not take it.
    pub fn forget_expired(&self) -> Result<u64, Error> {
        self.core.domain.forget_expired_keks();
        // A client sees by itself that a password is wrong and then does not finish: this is where that is recorded.
        let now = self.core.clock.now();
        self.core.pairings.forget_expired(now);
        let mut abandoned = self.core.sign_ins.take_expired(now);
        abandoned.extend(self.core.waiting.take_expired(now));
        self.core.ceremonies.forget_expired(now);
        self.keep_uses()?;
        self.end_authorisations()?;
        self.send_notifications()?;
        self.review_holds()?;
        self.core.review_hardware();
        self.core
            .act(Act::SessionOpen, LOCALHOST, move |scope| {
                for (account, source) in &abandoned {
                    scope.detail = Detail {
                        subject: *account,
                        source: Some(*source),
                        note: Some("abandoned".to_owned()),
                        ..Detail::default()
                    };
                    scope.record_refused(Act::SessionOpen)?;
                }
                scope.tx.forget_nonces(scope.now)?;
                scope.tx.forget_requests(scope.now)?;
                // Whatever was used since is not forgotten.
                let uses = scope.domain.uses.unkept();
                sessions::keep_uses(scope, &uses)?;
                let idle_since = scope.domain.uses.idle_since(scope.now);
                Ok(scope.tx.forget_expired(scope.now, idle_since)?)
            })
            .map_err(|refusal| refusal.error)
    }

    /// Writes when sessions were last used, some at a time, so that nobody waits long behind them.
    fn keep_uses(&self) -> Result<(), Error> {
        let core = &self.core;
        for uses in core.domain.uses.unkept().chunks(USES_AT_ONCE) {
            let kept = uses.to_vec();
            core.act(Act::SessionUse, LOCALHOST, move |scope| {
                sessions::keep_uses(scope, &kept)
            })
            .map_err(|refusal| refusal.error)?;
            core.domain.uses.were_kept(uses);
        }
        core.domain.uses.forget_ended(core.clock.now());
        Ok(())
    }

    /// Forgets every cached KEK and every sign-in that is under way.
    pub fn wipe(&self) {
        self.core.domain.wipe();
        self.core.sign_ins.wipe();
        self.core.pairings.wipe();
        self.core.waiting.wipe();
        self.core.ceremonies.wipe();
    }
}
