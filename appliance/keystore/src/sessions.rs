//! Sign-in by OPAQUE (RFC 9807 section 6) and the sessions that it opens.
//!
//! | module | what lives there |
//! |---|---|
//! | `uses` | when and from where sessions were last used; whether one has ended by idleness |
//! | `step_up` | signing in again in a session |
//! | `presence` | what the web console knows of a session |

mod presence;
mod step_up;
mod uses;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use strongroom_session::opaque::CONTEXT;
use strongroom_session::opaque_ke::{
    CredentialFinalization, CredentialRequest, ServerLogin, ServerLoginParameters,
};
use strongroom_session::{OsRng, Suite, TransportKey};
use strongroom_wire::account::{AccountKind, AccountState, Done};
use strongroom_wire::audit::Act;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::{AccountId, SessionId, SignInId};
use strongroom_wire::session::{
    FinishSignIn, Session, Sessions, SignInFinished, SignInStarted, SignInStrength, SignedIn,
    StartSignIn,
};

pub use presence::Presence;
pub(crate) use uses::{Uses, admit, keep_uses, last_use};

use crate::accounts::{normal_name, to_wire};
use crate::act::{Presented, Scope, SessionToken};
use crate::credentials::{registration, second_factor, with_identifiers};
use crate::domains::Counted;
use crate::error::{Answer, Error};
use crate::keystore::{Keystore, Options};
use crate::roles::{self, May};
use crate::seal;
use crate::store::{AccountRecord, CredentialKind, CredentialRecord, SessionRecord, StoreError};

/// How long a started sign-in waits for its end, in seconds.
const SIGN_IN_LIFETIME: u64 = 60;
/// The most sign-ins that are under way at once.
const MOST_SIGN_INS: usize = 10_000;

/// The sign-ins that have been started and not finished. They hold one-time secrets, so they live in memory only.
#[derive(Default)]
pub(crate) struct SignIns(Mutex<HashMap<SignInId, SignIn>>);

struct SignIn {
    name: String,
    account: Option<AccountId>,
    /// The session that it is to confirm, where it is to open none.
    session: Option<SessionId>,
    source: IpAddr,
    state: ServerLogin<Suite>,
    expires: Timestamp,
}

/// A sign-in that has been finished, well or not.
struct Ended {
    name: String,
    account: Option<AccountId>,
    session: Option<SessionId>,
    /// The transport key, where the client proved that it knows the password.
    proof: Option<TransportKey>,
}

impl SignIns {
    /// Takes out those whose time is over: for whom, and from where.
    pub(crate) fn take_expired(&self, now: Timestamp) -> Vec<(Option<AccountId>, IpAddr)> {
        self.held()
            .extract_if(|_, sign_in| sign_in.expires <= now)
            .map(|(_, sign_in)| (sign_in.account, sign_in.source))
            .collect()
    }

    /// Forgets the sign-ins of an account: their password is not its password any more.
    pub(crate) fn forget_account(&self, account: AccountId) {
        self.held()
            .retain(|_, sign_in| sign_in.account != Some(account));
    }

    pub(crate) fn wipe(&self) {
        self.held().clear();
    }

    fn put(&self, id: SignInId, sign_in: SignIn) -> Result<(), Error> {
        let mut held = self.held();
        if held.len() >= MOST_SIGN_INS {
            return Err(Error::Store(StoreError::Busy));
        }
        held.insert(id, sign_in);
        Ok(())
    }

    fn held(&self) -> MutexGuard<'_, HashMap<SignInId, SignIn>> {
        // A panic while the map was held leaves a whole map behind.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keystore {
    /// Begins a sign-in. The answer is of the same form whether the account exists, has enrolled and may sign in, or not
    /// (RFC 9807 section 6.3.2.2).
    pub fn start_sign_in(&self, source: IpAddr, request: StartSignIn) -> Answer<SignInStarted> {
        self.begin(source, &normal_name(&request.account), &request.ke1.0, None)
    }

    /// Ends a sign-in: opens a session when the client proves that it knows the password, or says what else it takes. Each started
    /// sign-in is good for one try.
    pub fn finish_sign_in(&self, source: IpAddr, request: FinishSignIn) -> Answer<SignInFinished> {
        let core = &self.core;
        // One that was started to confirm a session opens none.
        let ended = self.end(&request).filter(|ended| ended.session.is_none());
        let (account, name, transport) = ended.map_or((None, None, None), |ended| {
            (ended.account, Some(ended.name), ended.proof)
        });
        let (proved, options) = (transport.clone(), core.options.clone());
        let outcome = core.act(Act::SessionOpen, source, move |scope| {
            scope.record_strangers = true;
            scope.detail.subject = account;
            let transport = proved.as_ref().ok_or(Error::SignInRefused)?;
            let account = active(scope, account.ok_or(Error::SignInRefused)?)?;
            let password = scope
                .view()
                .credential(account.id, CredentialKind::Opaque)?
                .ok_or(Error::SignInRefused)?;
            if let Some(needed) = second_factor::needed(&scope.view(), &password)? {
                return Ok(Outcome::SecondFactor(needed));
            }
            password_used(scope, password)?;
            let strength = SignInStrength::Password;
            open(scope, &account, transport, strength, source, &options).map(Outcome::Opened)
        })?;
        match (outcome, name, transport) {
            (Outcome::Opened(signed_in), ..) => Ok(SignInFinished::SignedIn(signed_in)),
            (Outcome::SecondFactor(needed), Some(name), Some(transport)) => {
                let second_factor = self.wait_for_second_factor(
                    request.sign_in,
                    name,
                    source,
                    transport,
                    None,
                    needed,
                )?;
                Ok(SignInFinished::SecondFactor { second_factor })
            }
            // Without a name and a transport key the act was refused.
            _ => Err(Error::SignInRefused.into()),
        }
    }

    /// The name that a started sign-in is for, so that repeated failures can be counted against it.
    #[must_use]
    pub fn account_of_sign_in(&self, sign_in: SignInId) -> Option<String> {
        let started = {
            let held = self.core.sign_ins.held();
            held.get(&sign_in).map(|sign_in| sign_in.name.clone())
        };
        started.or_else(|| self.core.waiting.name_of(sign_in))
    }

    /// The caller's sessions.
    pub fn sessions(&self, caller: &Presented) -> Answer<Sessions> {
        self.core.look(caller, |view, caller, _| {
            let sessions = view
                .snapshot
                .sessions_of(caller.account.id)?
                .into_iter()
                .filter(|session| view.now < session.expires)
                .map(|session| {
                    let kek = view.keks.get(session.account, session.kek_version)?;
                    seal::open(&kek, &session.canonical(), &session.sealed, "session")?;
                    let last = last_use(view, &session)?;
                    Ok(Session {
                        id: session.id,
                        created: session.created,
                        expires: session.expires,
                        source: session.source,
                        strength: session.strength,
                        confirmed: session.confirmed,
                        last_seen: last.at,
                        last_source: last.from.to_string(),
                        idle_expires: view.domain.uses.idle_end(last.at).min(session.expires),
                        current: Some(session.id) == caller.session,
                    })
                })
                .filter(|session| {
                    let ended = |session: &Session| session.idle_expires <= view.now;
                    !session.as_ref().is_ok_and(ended)
                })
                .collect::<Result<_, Error>>()?;
            Ok(Sessions { sessions })
        })
    }

    /// Ends one of the caller's sessions: the present one where none is named. Ending what has ended already is no error.
    pub fn end_session(&self, caller: &Presented, session: Option<SessionId>) -> Answer<Done> {
        let presented = caller.clone();
        self.core.act(Act::SessionEnd, caller.source, move |scope| {
            let caller = scope.authenticate(&presented)?;
            let ended = session.or(caller.session).ok_or_else(|| {
                Error::Invalid("The request is signed and not made in a session.".to_owned())
            })?;
            scope.tx.end_session(caller.account.id, ended)?;
            scope.detail.note = Some(ended.to_string());
            let leaf = scope.record(Act::SessionEnd)?;
            Ok(Done { leaf })
        })
    }

    /// Answers the first message of a sign-in, and holds it until its end.
    fn begin(
        &self,
        source: IpAddr,
        name: &str,
        ke1: &[u8],
        session: Option<SessionId>,
    ) -> Answer<SignInStarted> {
        let core = &self.core;
        let malformed =
            || Error::Invalid("The first sign-in message is not one of OPAQUE.".to_owned());
        let ke1 = CredentialRequest::<Suite>::deserialize(ke1).map_err(|_| malformed())?;
        let (account, record) = self.registration_of(name)?;
        let started = with_identifiers(&core.domain.name, name, |identifiers| {
            ServerLogin::start(
                &mut OsRng,
                &core.domain.opaque_setup,
                record,
                ke1,
                name.as_bytes(),
                ServerLoginParameters {
                    context: Some(CONTEXT),
                    identifiers,
                },
            )
        })
        .map_err(|_| malformed())?;
        let id = SignInId::generate();
        let now = core.clock.now();
        let sign_in = SignIn {
            name: name.to_owned(),
            account,
            session,
            source,
            state: started.state,
            expires: now.plus_seconds(SIGN_IN_LIFETIME),
        };
        core.sign_ins.put(id, sign_in)?;
        Ok(SignInStarted {
            sign_in: id,
            domain: core.domain.name.clone(),
            ke2: started.message.serialize().to_vec().into(),
        })
    }

    /// Takes a started sign-in and looks whether its last message proves that the client knows the password.
    fn end(&self, request: &FinishSignIn) -> Option<Ended> {
        let core = &self.core;
        let sign_in = core.sign_ins.held().remove(&request.sign_in)?;
        let (account, session) = (sign_in.account, sign_in.session);
        let in_time = core.clock.now() < sign_in.expires;
        let ke3 = CredentialFinalization::<Suite>::deserialize(&request.ke3.0).ok();
        let proof = ke3.filter(|_| in_time).and_then(|ke3| {
            with_identifiers(&core.domain.name, &sign_in.name, |identifiers| {
                let parameters = ServerLoginParameters {
                    context: Some(CONTEXT),
                    identifiers,
                };
                sign_in.state.finish(ke3, parameters)
            })
            .ok()
        });
        Some(Ended {
            name: sign_in.name,
            account,
            session,
            proof: proof.map(|finished| TransportKey::derive(&finished.session_key)),
        })
    }

    /// The account of this name and its OPAQUE record, if it may sign in. A record that does not match its seal counts as none, and
    /// is logged.
    fn registration_of(
        &self,
        name: &str,
    ) -> Result<
        (
            Option<AccountId>,
            Option<strongroom_session::opaque_ke::ServerRegistration<Suite>>,
        ),
        Error,
    > {
        let found = self.core.glance(|view| {
            let Some(account) = view.account_by_name(name)? else {
                return Ok((None, None));
            };
            if account.state != AccountState::Active || account.kind == AccountKind::Group {
                return Ok((Some(account.id), None));
            }
            Ok((Some(account.id), registration(view, &account)?))
        });
        match found {
            Err(error) if error.is_tampering() => {
                tracing::error!("sign-in: {error}");
                Ok((None, None))
            }
            found => found,
        }
    }
}

/// What the end of a sign-in by password comes to.
enum Outcome {
    Opened(SignedIn),
    SecondFactor(second_factor::Needed),
}

/// The account, if it may sign in.
pub(crate) fn active(scope: &Scope<'_>, account: AccountId) -> Result<AccountRecord, Error> {
    scope
        .view()
        .account(account)?
        .filter(|account| account.state == AccountState::Active)
        .ok_or(Error::SignInRefused)
}

/// Notes that a password has been used.
pub(crate) fn password_used(
    scope: &mut Scope<'_>,
    mut password: CredentialRecord,
) -> Result<(), Error> {
    password.used = Some(scope.now);
    scope.domain.authenticate_credential(&mut password);
    Ok(scope.tx.put_credential(&password)?)
}

/// Opens a session of an account whose holder has proved who they are.
pub(crate) fn open(
    scope: &mut Scope<'_>,
    account: &AccountRecord,
    transport: &TransportKey,
    strength: SignInStrength,
    source: IpAddr,
    options: &Options,
) -> Result<SignedIn, Error> {
    let proved = (strength, scope.now);
    open_proved(scope, account, transport, proved, source, options)
}

/// As [`open`], of an account whose holder has proved who they are so strongly, at that moment.
pub(crate) fn open_proved(
    scope: &mut Scope<'_>,
    account: &AccountRecord,
    transport: &TransportKey,
    (strength, confirmed): (SignInStrength, Timestamp),
    source: IpAddr,
    options: &Options,
) -> Result<SignedIn, Error> {
    scope.detail.actor = Some(account.id);
    scope.detail.subject = None;
    let tell = roles::allow(&account.roles, May::ManageAccounts);
    scope.require_room(Counted::Sessions, 1, tell)?;
    let kek = scope.keks.get(account.id, account.kek_version)?;
    let token = SessionToken::generate()?;
    let mut session = SessionRecord {
        token_hash: token.hash(),
        id: SessionId::generate(),
        account: account.id,
        created: scope.now,
        expires: scope.now.plus_seconds(options.session_lifetime.as_secs()),
        source: source.to_string(),
        strength,
        confirmed,
        kek_version: account.kek_version,
        sealed: Vec::new(),
        seen: scope.now,
        seen_from: source.to_string(),
        seen_mac: [0; 32],
    };
    scope.domain.authenticate_session_use(&mut session);
    session.sealed = seal::seal(&kek, &session.canonical(), transport.as_bytes())?;
    scope.tx.open_session(&session)?;
    scope.detail.session = Some(session.id);
    let leaf = scope.record(Act::SessionOpen)?;
    Ok(SignedIn {
        session: session.id,
        token: token.as_bytes().as_slice().into(),
        account: to_wire(account),
        expires: session.expires,
        leaf,
    })
}
