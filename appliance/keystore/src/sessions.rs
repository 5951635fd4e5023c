//! Sign-in by OPAQUE (RFC 9807 section 6) and the sessions that it opens.

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
    FinishSignIn, Session, Sessions, SignInStarted, SignedIn, StartSignIn,
};

use crate::accounts::{normal_name, to_wire};
use crate::act::{Presented, Scope, SessionToken};
use crate::credentials::{registration, with_identifiers};
use crate::error::{Answer, Error};
use crate::keystore::{Keystore, Options};
use crate::seal;
use crate::store::{AccountRecord, SessionRecord, StoreError};

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
    source: IpAddr,
    state: ServerLogin<Suite>,
    expires: Timestamp,
}

impl SignIns {
    /// Takes out those whose time is over: for whom, and from where.
    pub(crate) fn take_expired(&self, now: Timestamp) -> Vec<(Option<AccountId>, IpAddr)> {
        self.held()
            .extract_if(|_, sign_in| sign_in.expires <= now)
            .map(|(_, sign_in)| (sign_in.account, sign_in.source))
            .collect()
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
        let core = &self.core;
        let ke1 = CredentialRequest::<Suite>::deserialize(&request.ke1.0).map_err(|_| {
            Error::Invalid("The first sign-in message is not one of OPAQUE.".to_owned())
        })?;
        let name = normal_name(&request.account);
        let (account, record) = self.registration_of(&name)?;
        let started = with_identifiers(&core.domain.name, &name, |identifiers| {
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
        .map_err(|_| {
            Error::Invalid("The first sign-in message is not one of OPAQUE.".to_owned())
        })?;
        let id = SignInId::generate();
        let now = core.clock.now();
        let sign_in = SignIn {
            name,
            account,
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

    /// Ends a sign-in: opens a session when the client proves that it knows the password. Each started sign-in is good for one try.
    pub fn finish_sign_in(&self, source: IpAddr, request: FinishSignIn) -> Answer<SignedIn> {
        let core = self.core.clone();
        let sign_in = core.sign_ins.held().remove(&request.sign_in);
        let now = core.clock.now();
        let account = sign_in.as_ref().and_then(|sign_in| sign_in.account);
        let transport = sign_in
            .filter(|sign_in| now < sign_in.expires)
            .and_then(|sign_in| {
                let ke3 = CredentialFinalization::<Suite>::deserialize(&request.ke3.0).ok()?;
                with_identifiers(&core.domain.name, &sign_in.name, |identifiers| {
                    sign_in.state.finish(
                        ke3,
                        ServerLoginParameters {
                            context: Some(CONTEXT),
                            identifiers,
                        },
                    )
                })
                .ok()
            })
            .map(|finished| TransportKey::derive(&finished.session_key));
        self.core.act(Act::SessionOpen, source, move |scope| {
            scope.record_strangers = true;
            scope.detail.subject = account;
            let transport = transport.as_ref().ok_or(Error::SignInRefused)?;
            let account = account.ok_or(Error::SignInRefused)?;
            let account = scope
                .view()
                .account(account)?
                .filter(|account| account.state == AccountState::Active)
                .ok_or(Error::SignInRefused)?;
            open(scope, &account, transport, source, &core.options)
        })
    }

    /// The name that a started sign-in is for, so that repeated failures can be counted against it.
    #[must_use]
    pub fn account_of_sign_in(&self, sign_in: SignInId) -> Option<String> {
        let held = self.core.sign_ins.held();
        held.get(&sign_in).map(|sign_in| sign_in.name.clone())
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
                    Ok(Session {
                        id: session.id,
                        created: session.created,
                        expires: session.expires,
                        source: session.source,
                        current: Some(session.id) == caller.session,
                    })
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

/// Opens a session for an account whose holder has shown who they are.
pub(crate) fn open(
    scope: &mut Scope<'_>,
    account: &AccountRecord,
    transport: &TransportKey,
    source: IpAddr,
    options: &Options,
) -> Result<SignedIn, Error> {
    scope.detail.actor = Some(account.id);
    scope.detail.subject = None;
    let kek = scope.keks.get(account.id, account.kek_version)?;
    let token = SessionToken::generate()?;
    let mut session = SessionRecord {
        token_hash: token.hash(),
        id: SessionId::generate(),
        account: account.id,
        created: scope.now,
        expires: scope.now.plus_seconds(options.session_lifetime.as_secs()),
        source: source.to_string(),
        kek_version: account.kek_version,
        sealed: Vec::new(),
    };
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
