//! The second factor at sign-in: what a right password waits for where the account has an authenticator app or a passkey.
//!
//! Whether a password needs one stands in the password's own record, under its MAC: whoever deletes the other credentials' rows makes
//! sign-in impossible and not easier.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use strongroom_approval::webauthn::Expected;
use strongroom_session::{TransportKey, passkey};
use strongroom_wire::audit::Act;
use strongroom_wire::credential::{CredentialKind as WireKind, SecondFactor};
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::{AccountId, SessionId, SignInId};
use strongroom_wire::session::{FinishSecondFactor, SecondFactorNeeded, SignInStrength, SignedIn};

use super::passkeys::{passkey_request, use_passkey};
use super::{recovery_codes, totp};
use crate::act::{Scope, View};
use crate::error::{Answer, Error, Refusal};
use crate::keystore::{Keystore, PasskeyParty};
use crate::seal;
use crate::sessions;
use crate::store::{AccountRecord, CredentialKind, CredentialRecord, PasskeyRecord, StoreError};

/// How long a sign-in waits for its second factor, in seconds.
const LIFETIME: u64 = 5 * 60;
/// How many tries a sign-in is good for.
const TRIES: u32 = 5;
/// The most sign-ins that wait at once.
const MOST_WAITING: usize = 10_000;

/// The sign-ins that wait for a second factor. They hold transport keys, so they live in memory only.
#[derive(Default)]
pub(crate) struct Waiting(Mutex<HashMap<SignInId, Held>>);

/// A sign-in whose password was right.
#[derive(Clone)]
pub(crate) struct Held {
    pub(crate) name: String,
    pub(crate) account: AccountId,
    pub(crate) source: IpAddr,
    /// The session that it is to confirm, where it is to open none.
    pub(crate) session: Option<SessionId>,
    pub(crate) transport: TransportKey,
    /// What an assertion of a passkey covers besides the transport key.
    random: [u8; passkey::RANDOM],
    tries: u32,
    expires: Timestamp,
}

impl Waiting {
    /// Takes out those whose time is over: for whom, and from where.
    pub(crate) fn take_expired(&self, now: Timestamp) -> Vec<(Option<AccountId>, IpAddr)> {
        self.held()
            .extract_if(|_, held| held.expires <= now)
            .map(|(_, held)| (Some(held.account), held.source))
            .collect()
    }

    /// Forgets the sign-ins of an account: their password is not its password any more.
    pub(crate) fn forget_account(&self, account: AccountId) {
        self.held().retain(|_, held| held.account != account);
    }

    pub(crate) fn wipe(&self) {
        self.held().clear();
    }

    pub(crate) fn name_of(&self, sign_in: SignInId) -> Option<String> {
        self.held().get(&sign_in).map(|held| held.name.clone())
    }

    /// What a passkey signs for a sign-in that waits.
    pub(crate) fn challenge_of(&self, sign_in: SignInId) -> Option<[u8; 32]> {
        let held = self.held();
        let held = held.get(&sign_in)?;
        let binding = held.transport.second_factor_binding();
        Some(passkey::challenge(&held.random, &binding))
    }

    /// Takes a sign-in out for a try, so that no two are made at once.
    fn take(&self, sign_in: SignInId, now: Timestamp) -> Option<Held> {
        self.held()
            .remove(&sign_in)
            .filter(|held| now < held.expires)
    }

    /// Puts a sign-in in, for the first time or after a try that failed.
    fn put(&self, sign_in: SignInId, waiting: Held) -> Result<(), Error> {
        let mut held = self.held();
        if held.len() >= MOST_WAITING {
            return Err(Error::Store(StoreError::Busy));
        }
        held.insert(sign_in, waiting);
        Ok(())
    }

    fn held(&self) -> MutexGuard<'_, HashMap<SignInId, Held>> {
        // A panic while the map was held leaves a whole map behind.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An account's second factors, their records checked.
pub(crate) struct Factors {
    pub(crate) totp: Option<CredentialRecord>,
    pub(crate) passkeys: Vec<PasskeyRecord>,
    pub(crate) recovery_codes: Option<CredentialRecord>,
}

impl Factors {
    pub(crate) fn of(view: &View<'_>, account: AccountId) -> Result<Self, Error> {
        Ok(Self {
            totp: view.credential(account, CredentialKind::Totp)?,
            passkeys: view
                .snapshot
                .passkeys_of(account)?
                .into_iter()
                .map(|passkey| view.domain.check_passkey(passkey))
                .collect::<Result<_, _>>()?,
            recovery_codes: view.credential(account, CredentialKind::RecoveryCodes)?,
        })
    }

    /// Whether there is one that a password shall not be enough without.
    pub(crate) fn are_any(&self) -> bool {
        self.totp.is_some() || !self.passkeys.is_empty()
    }

    fn kinds(&self) -> Vec<WireKind> {
        let codes = self.recovery_codes.as_ref();
        let mut kinds = Vec::new();
        if !self.passkeys.is_empty() {
            kinds.push(WireKind::Passkey);
        }
        if self.totp.is_some() {
            kinds.push(WireKind::Totp);
        }
        if codes.is_some_and(|codes| recovery_codes::left(codes) > 0) {
            kinds.push(WireKind::RecoveryCodes);
        }
        kinds
    }
}

/// What a try came to. Also a refusal is committed: it counts.
enum Outcome<T> {
    Done(T),
    Refused(Error, u64),
}

impl Keystore {
    /// Ends a sign-in that waits for a second factor. A wrong one may be tried again, a few times.
    pub fn finish_second_factor(
        &self,
        source: IpAddr,
        request: FinishSecondFactor,
    ) -> Answer<SignedIn> {
        let options = self.core.options.clone();
        self.try_second_factor(
            Act::SessionOpen,
            source,
            request,
            |scope, held| {
                scope.record_strangers = true;
                // One that was started to confirm a session opens none.
                let held = held.filter(|held| held.session.is_none());
                let held = held.ok_or(Error::SecondFactorRefused)?;
                scope.detail.subject = Some(held.account);
                sessions::active(scope, held.account)
            },
            move |scope, held, account| {
                if let Some(password) = scope
                    .view()
                    .credential(account.id, CredentialKind::Opaque)?
                {
                    sessions::password_used(scope, password)?;
                }
                let strength = SignInStrength::TwoFactor;
                sessions::open(scope, account, &held.transport, strength, source, &options)
            },
        )
    }

    /// Tries a second factor for what waits for it: `admit` says whose it must be, `then` what it brings.
    pub(crate) fn try_second_factor<T: Send + 'static>(
        &self,
        act: Act,
        source: IpAddr,
        request: FinishSecondFactor,
        admit: impl Fn(&mut Scope<'_>, Option<&Held>) -> Result<AccountRecord, Error>
        + Send
        + Sync
        + 'static,
        then: impl Fn(&mut Scope<'_>, &Held, &AccountRecord) -> Result<T, Error> + Send + Sync + 'static,
    ) -> Answer<T> {
        let core = &self.core;
        let held = core.waiting.take(request.sign_in, core.clock.now());
        let outcome = {
            let (held, party) = (held.clone(), core.options.passkeys.clone());
            core.act(act, source, move |scope| {
                let account = admit(scope, held.as_ref())?;
                let held = held.as_ref().ok_or(Error::SecondFactorRefused)?;
                if let Err(error) = check(scope, held, &account, &party, &request.proof)? {
                    scope.detail.note = Some(error.code().as_str().to_owned());
                    let leaf = scope.record_refused(act)?;
                    return Ok(Outcome::Refused(error, leaf));
                }
                then(scope, held, &account).map(Outcome::Done)
            })
        };
        let refusal = match outcome {
            Ok(Outcome::Done(brought)) => return Ok(brought),
            Ok(Outcome::Refused(error, leaf)) => Refusal {
                error,
                leaf: Some(leaf),
            },
            Err(refusal) => refusal,
        };
        if let Some(mut held) = held {
            held.tries = held.tries.saturating_sub(1);
            if held.tries > 0 {
                core.waiting.put(request.sign_in, held)?;
            }
        }
        Err(refusal)
    }

    /// Lets a sign-in whose password was right, or a session that is to be confirmed, wait for a second factor.
    pub(crate) fn wait_for_second_factor(
        &self,
        sign_in: SignInId,
        name: String,
        source: IpAddr,
        transport: TransportKey,
        session: Option<SessionId>,
        needed: Needed,
    ) -> Result<SecondFactorNeeded, Error> {
        let expires = self.core.clock.now().plus_seconds(LIFETIME);
        let random = seal::random()?;
        let held = Held {
            name,
            account: needed.account,
            source,
            session,
            transport,
            random,
            tries: TRIES,
            expires,
        };
        self.core.waiting.put(sign_in, held)?;
        Ok(SecondFactorNeeded {
            sign_in,
            kinds: needed.kinds,
            passkey: (!needed.passkeys.is_empty())
                .then(|| passkey_request(&self.core.options.passkeys, &random, needed.passkeys)),
            tries: TRIES,
            expires,
        })
    }
}

/// What it takes beside the password.
pub(crate) struct Needed {
    account: AccountId,
    kinds: Vec<WireKind>,
    passkeys: Vec<Vec<u8>>,
}

/// What it takes beside this password to sign in; nothing where it is enough.
pub(crate) fn needed(
    view: &View<'_>,
    password: &CredentialRecord,
) -> Result<Option<Needed>, Error> {
    if !password.second_factor {
        return Ok(None);
    }
    needed_of(view, password.account).map(Some)
}

/// What it takes to confirm a session of an account that has a second factor.
pub(crate) fn asked_again(view: &View<'_>, account: AccountId) -> Result<Needed, Error> {
    let password = view.credential(account, CredentialKind::Opaque)?;
    if password.is_some_and(|password| !password.second_factor) {
        return Err(Error::Conflict(
            "This account has no second factor: sign in again with the password.".to_owned(),
        ));
    }
    needed_of(view, account)
}

fn needed_of(view: &View<'_>, account: AccountId) -> Result<Needed, Error> {
    let factors = Factors::of(view, account)?;
    Ok(Needed {
        account,
        kinds: factors.kinds(),
        passkeys: factors
            .passkeys
            .into_iter()
            .map(|passkey| passkey.credential)
            .collect(),
    })
}

/// An account got a second factor: its password is not enough from now on. Answers recovery codes where there were none.
pub(super) fn added(scope: &mut Scope<'_>, account: AccountId) -> Result<Vec<String>, Error> {
    update_password(scope, account)?;
    let codes = Factors::of(&scope.view(), account)?.recovery_codes;
    if codes.is_some_and(|codes| recovery_codes::left(&codes) > 0) {
        return Ok(Vec::new());
    }
    recovery_codes::make(scope, account)
}

/// Says in the record of the password whether it needs a second factor.
pub(super) fn update_password(scope: &mut Scope<'_>, account: AccountId) -> Result<(), Error> {
    let view = scope.view();
    let Some(mut password) = view.credential(account, CredentialKind::Opaque)? else {
        return Ok(());
    };
    let needed = Factors::of(&view, account)?.are_any();
    if password.second_factor != needed {
        password.second_factor = needed;
        scope.domain.authenticate_credential(&mut password);
        scope.tx.put_credential(&password)?;
    }
    Ok(())
}

/// Looks at a proof. The inner result is the verdict, which is to be committed either way.
fn check(
    scope: &mut Scope<'_>,
    held: &Held,
    account: &AccountRecord,
    party: &PasskeyParty,
    proof: &SecondFactor,
) -> Result<Result<(), Error>, Error> {
    let factors = Factors::of(&scope.view(), account.id)?;
    match proof {
        SecondFactor::Totp(code) => match factors.totp {
            Some(record) => totp::try_code(scope, record, code),
            None => Ok(Err(Error::SecondFactorRefused)),
        },
        SecondFactor::RecoveryCode(code) => {
            if recovery_codes::take(scope, account.id, code)? {
                scope.detail.note = Some("recovery code".to_owned());
                Ok(Ok(()))
            } else {
                Ok(Err(Error::SecondFactorRefused))
            }
        }
        SecondFactor::Passkey(assertion) => {
            let mut passkeys = factors.passkeys.into_iter();
            let Some(passkey) =
                passkeys.find(|passkey| passkey.credential == assertion.credential.0)
            else {
                return Ok(Err(Error::SecondFactorRefused));
            };
            let binding = held.transport.second_factor_binding();
            let expected = Expected {
                party: party.as_party(),
                challenge: &passkey::challenge(&held.random, &binding),
                // The password is the factor that the person knows.
                user_verified: false,
            };
            match use_passkey(scope, &expected, passkey, assertion) {
                Err(Error::SecondFactorRefused) => Ok(Err(Error::SecondFactorRefused)),
                used => used.map(Ok),
            }
        }
    }
}
