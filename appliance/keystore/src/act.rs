//! How acts and looks are run: who asks, with which keys, in which transaction, leaving which leaf.
//!
//! An *act* runs inside one transaction of the writer, decides there, and appends its leaves in the same transaction; its answer leaves
//! the keystore only once all that is durable. A refused act is undone, and a leaf that records the refusal takes its place. A *look* reads
//! a snapshot and leaves no leaf, unless it meets a record that does not match its seal, or a token from where its session does not hold.
//!
//! Neither waits for the HSM while a transaction is open: when a KEK is not at hand the run ends with
//! [`Error::NeedKeks`], the KEKs are fetched, and it is run again.

mod caller;
mod refusing;
mod view;

use std::cell::RefCell;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use strongroom_audit::{Detail, Event};
use strongroom_wire::audit::Act;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::{AccountId, KeyId, SessionId};

pub(crate) use caller::Caller;
pub use caller::{Presented, Proof, SessionToken};
pub(crate) use view::View;

use self::refusing::{append_refusal, leaves_leaf, undo};
use crate::error::{Answer, Error, Refusal};
use crate::hierarchy::{Domain, Fetched, KekName, Keks};
use crate::keystore::Core;
use crate::seal;
use crate::store::{Abort, SpentNonce, StoreError, Transaction};

/// How often a run may ask for KEKs. Every time it gets further, so a run that needs more is a defect.
const MOST_RUNS: usize = 16;

/// An act that is running.
pub(crate) struct Scope<'a> {
    pub(crate) tx: &'a mut dyn Transaction,
    pub(crate) domain: &'a Domain,
    pub(crate) keks: &'a Keks<'a>,
    pub(crate) now: Timestamp,
    /// What the next leaf says.
    pub(crate) detail: Detail,
    /// Whether a refusal leaves a leaf although nobody is signed in: so for sign-in and enrolment.
    pub(crate) record_strangers: bool,
    /// What the leaf of a refusal says after the code, such as the case that it is about.
    pub(crate) about: Option<String>,
    /// The nonce of the request, where it is signed: it becomes durable with what the act does, or with the leaf of its refusal.
    pub(crate) nonce: Option<SpentNonce>,
}

impl Scope<'_> {
    pub(crate) fn view(&self) -> View<'_> {
        View {
            snapshot: self.tx.as_snapshot(),
            domain: self.domain,
            keks: self.keks,
            now: self.now,
        }
    }

    /// Finds out who presents this, and says so in the leaves to come.
    pub(crate) fn authenticate(&mut self, presented: &Presented) -> Result<Caller, Error> {
        let caller = self.view().authenticate(presented)?;
        self.detail.actor = Some(caller.account.id);
        self.detail.session = caller.session;
        if let Proof::Signature(admitted) = &presented.proof {
            self.tx.keep_nonce(&admitted.nonce)?;
            self.nonce = Some(admitted.nonce.clone());
        }
        Ok(caller)
    }

    /// Appends the leaf of an act that was done.
    pub(crate) fn record(&mut self, act: Act) -> Result<u64, Error> {
        append(self.tx, self.domain, self.now, act, true, &self.detail)
    }

    /// Appends the leaf of an attempt that came to nothing before this act.
    pub(crate) fn record_refused(&mut self, act: Act) -> Result<u64, Error> {
        append(self.tx, self.domain, self.now, act, false, &self.detail)
    }

    /// Records that one of several things which an act does is refused; the others go on. An error that is no refusal is passed on.
    pub(crate) fn refuse(&mut self, act: Act, error: Error) -> Result<Refusal, Error> {
        if !leaves_leaf(&error, true) {
            return Err(error);
        }
        // By which mechanism it was attempted, where it was by one, stays in the note.
        let mechanism = self.detail.note.take();
        let leaf = append_refusal(
            self.tx,
            self.domain,
            self.now,
            act,
            &error,
            mechanism.as_deref(),
            &mut self.detail,
        )?;
        Ok(Refusal {
            error,
            leaf: Some(leaf),
        })
    }
}

fn append(
    tx: &mut dyn Transaction,
    domain: &Domain,
    time: Timestamp,
    act: Act,
    done: bool,
    detail: &Detail,
) -> Result<u64, Error> {
    let event = Event {
        time,
        act,
        done,
        detail: detail.clone(),
    };
    let index = tx.append_leaf(domain.number, event, seal::random()?)?;
    tx.count_leaf(
        domain.number,
        time.as_millis() / 3_600_000,
        act.number(),
        done,
    )?;
    if done && act == Act::DomainPolicy {
        tx.note_change(&[EVERYBODY], index + 1)?;
    }
    if done && changes_what_is_seen(act) {
        let mut concerned: Vec<AccountId> = [detail.actor, detail.subject, detail.owner]
            .into_iter()
            .flatten()
            .collect();
        if let Some(key) = detail.key {
            let grants = tx.grants_of(key)?;
            concerned.extend(grants.iter().map(|grant| grant.grantee));
        }
        concerned.sort_unstable();
        concerned.dedup();
        tx.note_change(&concerned, index + 1)?;
    }
    Ok(index)
}

/// Stands for every account of the domain where a change is noted that all of them see. No account has this identifier: theirs have a version.
pub(crate) const EVERYBODY: AccountId = AccountId::from_bytes([0; 16]);

/// Whether an act changes what the accounts that it concerns see of keys and objects.
const fn changes_what_is_seen(act: Act) -> bool {
    matches!(
        act,
        Act::KeyCreate
            | Act::KeyImport
            | Act::KeyShare
            | Act::KeyRevoke
            | Act::KeyRotate
            | Act::KeyState
            | Act::KeyDestroy
            | Act::KeyPolicy
            | Act::KeyTighten
            | Act::GrantPolicy
            | Act::AccountUpdate
            | Act::GroupAdd
            | Act::GroupRemove
            | Act::IdentityGroupAdd
            | Act::IdentityGroupRemove
            | Act::ObjectPut
            | Act::ObjectRemove
    )
}

impl Core {
    /// Runs an act. `act` names it in the leaf of a refusal; the leaves of what was done are recorded by `run`.
    pub(crate) fn act<T: Send + 'static>(
        self: &Arc<Self>,
        act: Act,
        source: IpAddr,
        run: impl Fn(&mut Scope<'_>) -> Result<T, Error> + Send + Sync + 'static,
    ) -> Answer<T> {
        let run = Arc::new(run);
        let mut fetched = Arc::new(Fetched::default());
        for _ in 0..MOST_RUNS {
            let outcome = Arc::new(Mutex::new(None));
            let now = self.clock.now();
            let job = {
                let (core, run) = (Arc::clone(self), Arc::clone(&run));
                let (fetched, outcome) = (Arc::clone(&fetched), Arc::clone(&outcome));
                move |tx: &mut dyn Transaction| {
                    let (answer, stays) = core.run_act(tx, act, source, now, &fetched, &*run);
                    *outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
                    stays
                }
            };
            // What the act answered holds only if this says that it was committed.
            let written = self.store.write(Box::new(job));
            let answer = outcome
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            if let Err(error) = written {
                return match answer {
                    // What the act itself met says more.
                    Some(Err(Refusal {
                        error: full @ Error::Store(StoreError::Full),
                        ..
                    })) => Err(full.into()),
                    _ => Err(Error::from(error).into()),
                };
            }
            let answer = answer.ok_or(Error::Store(StoreError::ActFailed))?;
            match answer {
                Err(Refusal {
                    error: Error::NeedKeks(names),
                    ..
                }) => {
                    let mut more = fetched.copy();
                    self.fetch(&names, &mut more)?;
                    fetched = Arc::new(more);
                }
                answer => return answer,
            }
        }
        Err(Error::Internal("an act asked for account KEKs without end").into())
    }

    fn run_act<T>(
        &self,
        tx: &mut dyn Transaction,
        act: Act,
        source: IpAddr,
        now: Timestamp,
        fetched: &Fetched,
        run: &dyn Fn(&mut Scope<'_>) -> Result<T, Error>,
    ) -> (Answer<T>, Result<(), Abort>) {
        let keks = Keks::new(&self.domain, fetched);
        let mut scope = Scope {
            tx,
            domain: &self.domain,
            keks: &keks,
            now,
            detail: Detail {
                source: Some(source),
                ..Detail::default()
            },
            record_strangers: false,
            about: None,
            nonce: None,
        };
        let error = match run(&mut scope) {
            Ok(value) => return (Ok(value), Ok(())),
            Err(error) => error,
        };
        if let Error::SessionElsewhere(account, session) = error {
            // Whoever it was, its holder learns of it.
            scope.detail.subject = Some(account);
            scope.detail.session = Some(session);
        }
        let known = scope.detail.actor.is_some() || scope.record_strangers;
        if !leaves_leaf(&error, known) {
            return (Err(error.into()), Err(Abort));
        }
        let (mut detail, about, nonce) = (scope.detail, scope.about, scope.nonce);
        let recorded = undo(tx, nonce.as_ref()).and_then(|()| {
            append_refusal(
                tx,
                &self.domain,
                now,
                act,
                &error,
                about.as_deref(),
                &mut detail,
            )
        });
        match recorded {
            Ok(leaf) => {
                let leaf = Some(leaf);
                (Err(Refusal { error, leaf }), Ok(()))
            }
            Err(failure) => (Err(failure.into()), Err(Abort)),
        }
    }

    /// Runs a look. `act` names it in the leaf of a record that does not match its seal.
    pub(crate) fn look<T>(
        self: &Arc<Self>,
        presented: &Presented,
        run: impl Fn(&View<'_>, &Caller, &Damage) -> Result<T, Error>,
    ) -> Answer<T> {
        let mut fetched = Fetched::default();
        for _ in 0..MOST_RUNS {
            let damage = Damage::default();
            let mut actor = None;
            let result = {
                let snapshot = self.store.snapshot().map_err(Error::from)?;
                let keks = Keks::new(&self.domain, &fetched);
                let view = View {
                    snapshot: &*snapshot,
                    domain: &self.domain,
                    keks: &keks,
                    now: self.clock.now(),
                };
                view.authenticate(presented).and_then(|caller| {
                    actor = Some((caller.account.id, caller.session));
                    run(&view, &caller, &damage)
                })
            };
            let found = damage.0.into_inner();
            if !found.is_empty() {
                self.record_damage(presented.source, actor, found)?;
            }
            match result {
                Err(Error::NeedKeks(names)) => self.fetch(&names, &mut fetched)?,
                Err(error) if error.is_tampering() => {
                    let leaf = self.record_damage(
                        presented.source,
                        actor,
                        vec![(None, error.code().as_str())],
                    )?;
                    return Err(Refusal { error, leaf });
                }
                Err(Error::SessionElsewhere(account, session)) => {
                    return self.record_elsewhere(presented.source, account, session);
                }
                result => return result.map_err(Refusal::from),
            }
        }
        Err(Error::Internal("a look asked for account KEKs without end").into())
    }

    /// Runs what prepares an act, on a snapshot beside the writer. Nothing it finds counts, and nothing it meets leaves a leaf: the act looks at all of it again.
    /// None where there is nothing to be prepared.
    pub(crate) fn foresee<T>(
        &self,
        presented: &Presented,
        run: impl Fn(&View<'_>, &Caller) -> Result<T, Error>,
    ) -> Option<T> {
        let mut fetched = Fetched::default();
        for _ in 0..MOST_RUNS {
            let result = self.glimpse(&fetched, |view| {
                view.authenticate(presented)
                    .and_then(|caller| run(view, &caller))
            });
            match result {
                Ok(value) => return Some(value),
                Err(Error::NeedKeks(names)) => self.fetch(&names, &mut fetched).ok()?,
                Err(_) => return None,
            }
        }
        None
    }

    /// Looks at rows of which some may have been read before. It does not wait for the HSM: [`Error::NeedKeks`] where it would have to.
    pub(crate) fn glimpse<T>(
        &self,
        fetched: &Fetched,
        run: impl FnOnce(&View<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let snapshot = self.store.glimpse()?;
        let keks = Keks::new(&self.domain, fetched);
        run(&View {
            snapshot: &*snapshot,
            domain: &self.domain,
            keks: &keks,
            now: self.clock.now(),
        })
    }

    /// Reads on nobody's behalf: what sign-in needs to know of an account.
    pub(crate) fn glance<T>(
        &self,
        run: impl FnOnce(&View<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let snapshot = self.store.snapshot()?;
        let fetched = Fetched::default();
        let keks = Keks::new(&self.domain, &fetched);
        run(&View {
            snapshot: &*snapshot,
            domain: &self.domain,
            keks: &keks,
            now: self.clock.now(),
        })
    }

    /// Records that a session's token was presented from elsewhere, and refuses it.
    fn record_elsewhere<T>(
        self: &Arc<Self>,
        source: IpAddr,
        account: AccountId,
        session: SessionId,
    ) -> Answer<T> {
        let refused = self.act(Act::SessionUse, source, move |_| {
            Err::<(), _>(Error::SessionElsewhere(account, session))
        });
        match refused {
            Err(refusal) => Err(refusal),
            Ok(()) => Err(Error::SessionElsewhere(account, session).into()),
        }
    }

    /// Records that records were met which do not match their seals. Answers the last leaf's index.
    pub(crate) fn record_damage(
        self: &Arc<Self>,
        source: IpAddr,
        actor: Option<(AccountId, Option<SessionId>)>,
        found: Vec<(Option<KeyId>, &'static str)>,
    ) -> Result<Option<u64>, Refusal> {
        self.act(Act::KeyRead, source, move |scope| {
            let mut last = None;
            for (key, what) in &found {
                let detail = Detail {
                    actor: actor.map(|(account, _)| account),
                    session: actor.and_then(|(_, session)| session),
                    source: Some(source),
                    key: *key,
                    note: Some((*what).to_owned()),
                    ..Detail::default()
                };
                last = Some(append(
                    scope.tx,
                    scope.domain,
                    scope.now,
                    Act::KeyRead,
                    false,
                    &detail,
                )?);
            }
            Ok(last)
        })
    }

    /// Fetches KEKs from the HSM. One whose record does not count, or no more, is noted as refused: a run that still asks for it is
    /// refused, and one that began before the end of that KEK's rotation asks for another.
    fn fetch(&self, names: &[KekName], into: &mut Fetched) -> Result<(), Error> {
        let cached_from = self.domain.kek_epoch();
        let snapshot = self.store.snapshot()?;
        for (account, version) in names {
            let kek = self
                .domain
                .unwrap_kek(&*snapshot, cached_from, *account, *version);
            match kek {
                Ok(kek) => into.put((*account, *version), kek),
                Err(error) if error.is_tampering() => into.refuse((*account, *version)),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Keys that a look met whose records do not match their seals, and left out.
#[derive(Default)]
pub(crate) struct Damage(RefCell<Vec<(Option<KeyId>, &'static str)>>);

impl Damage {
    /// Takes the result of a key, or of what is none: notes damage and answers nothing, passes everything else on.
    pub(crate) fn leave_out<T>(
        &self,
        key: impl Into<Option<KeyId>>,
        result: Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.is_tampering() => {
                self.0
                    .borrow_mut()
                    .push((key.into(), error.code().as_str()));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}
