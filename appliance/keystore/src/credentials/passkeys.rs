//! Passkeys: registering them, and signing in with one alone.
//!
//! Such a session's transport key is made by the appliance and sealed to the client's ephemeral key, which the passkey's assertion covers:
//! [`strongroom_session::passkey`].

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use strongroom_approval::webauthn::{self, Expected, Party, Rejected};
use strongroom_session::{TransportKey, passkey};
use strongroom_wire::audit::Act;
use strongroom_wire::credential::{
    FactorAdded, PasskeyAssertion, PasskeyRegistration, PasskeyRequest, RegisterPasskey,
};
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::{AccountId, PasskeyId, RegistrationId, SignInId};
use strongroom_wire::session::{
    FinishPasskeySignIn, PasskeySignInStarted, PasskeySignedIn, SealedTransportKey, SignInStrength,
    StartPasskeySignIn,
};

use super::list::listed_passkey;
use super::second_factor::{self, Factors};
use super::totp::require_person;
use crate::act::{Presented, Scope};
use crate::error::{Answer, Error};
use crate::keystore::{Keystore, PasskeyParty};
use crate::mail::{self, CredentialChange};
use crate::seal;
use crate::sessions;
use crate::store::{PasskeyRecord, StoreError};

/// How long a ceremony may take, in seconds: the specification's recommendation (section 15).
const LIFETIME: u64 = 5 * 60;
/// The most ceremonies of one kind that are under way at once.
const MOST: usize = 10_000;
/// The most passkeys of one account.
const MOST_PASSKEYS: usize = 20;
/// The longest name of a passkey, in characters.
const LONGEST_NAME: usize = 64;

/// The registrations and sign-ins that are under way. They hold one-time values, so they live in memory only.
#[derive(Default)]
pub(crate) struct Ceremonies {
    registrations: Held<RegistrationId, Registration>,
    sign_ins: Held<SignInId, SignIn>,
}

struct Registration {
    account: AccountId,
    challenge: [u8; 32],
}

struct SignIn {
    random: [u8; passkey::RANDOM],
    client_key: Vec<u8>,
}

impl Ceremonies {
    pub(crate) fn forget_expired(&self, now: Timestamp) {
        self.registrations.forget_expired(now);
        self.sign_ins.forget_expired(now);
    }

    pub(crate) fn wipe(&self) {
        self.registrations.held().clear();
        self.sign_ins.held().clear();
    }
}

/// One-time values, each until a moment.
struct Held<K, V>(Mutex<HashMap<K, (V, Timestamp)>>);

impl<K, V> Default for Held<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + std::hash::Hash, V> Held<K, V> {
    fn put(&self, id: K, value: V, expires: Timestamp) -> Result<(), Error> {
        let mut held = self.held();
        if held.len() >= MOST {
            return Err(Error::Store(StoreError::Busy));
        }
        held.insert(id, (value, expires));
        Ok(())
    }

    fn take(&self, id: &K, now: Timestamp) -> Option<V> {
        let (value, expires) = self.held().remove(id)?;
        (now < expires).then_some(value)
    }

    fn forget_expired(&self, now: Timestamp) {
        self.held().retain(|_, (_, expires)| now < *expires);
    }

    fn held(&self) -> MutexGuard<'_, HashMap<K, (V, Timestamp)>> {
        // A panic while the map was held leaves a whole map behind.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keystore {
    /// Begins to register a passkey.
    pub fn start_passkey_registration(&self, caller: &Presented) -> Answer<PasskeyRegistration> {
        let core = &self.core;
        let (account, exclude) = core.look(caller, |view, caller, _| {
            require_person(caller)?;
            let passkeys = Factors::of(view, caller.account.id)?.passkeys;
            if passkeys.len() >= MOST_PASSKEYS {
                return Err(Error::Conflict(format!(
                    "An account has {MOST_PASSKEYS} passkeys at most: remove one first."
                )));
            }
            Ok((caller.account.clone(), identifiers(&passkeys)))
        })?;
        let registration = RegistrationId::generate();
        let challenge = seal::random()?;
        let expires = core.clock.now().plus_seconds(LIFETIME);
        let held = Registration {
            account: account.id,
            challenge,
        };
        core.ceremonies
            .registrations
            .put(registration, held, expires)?;
        Ok(PasskeyRegistration {
            registration,
            challenge: challenge.as_slice().into(),
            rp_id: core.options.passkeys.id.clone(),
            rp_name: core.domain.issuer(),
            user: account.id.as_bytes().as_slice().into(),
            user_name: account.name,
            algorithms: webauthn::ALGORITHMS.to_vec(),
            exclude,
            expires,
        })
    }

    /// Registers a passkey. From now on the password alone opens no session, and the passkey does.
    pub fn register_passkey(
        &self,
        caller: &Presented,
        request: RegisterPasskey,
    ) -> Answer<FactorAdded> {
        let name = check_name(&request.name)?;
        let core = &self.core;
        let held = core
            .ceremonies
            .registrations
            .take(&request.registration, core.clock.now());
        let (presented, party) = (caller.clone(), core.options.passkeys.clone());
        core.act(Act::CredentialAdd, caller.source, move |scope| {
            let caller = scope.authenticate(&presented)?;
 caller.require_recent(scope.now)?;
            let account = caller.account.id;
            let held = held
                .as_ref()
                .filter(|held| held.account == account)
                .ok_or_else(|| {
                    Error::Conflict(
                        "This registration is not under way, or was begun too long ago: begin again."
                            .to_owned(),
                    )
                })?;
            let expected = Expected {
                party: party.as_party(),
                challenge: &held.challenge,
                user_verified: true,
            };
            let registered = webauthn::register(
                &expected,
                &request.client_data.0,
                &request.attestation_object.0,
            )
            .map_err(refused)?;
            if scope.tx.passkey(&registered.credential)?.is_some() {
                return Err(Error::Conflict(
                    "This passkey is registered already.".to_owned(),
                ));
            }
            let mut passkey = PasskeyRecord {
                id: PasskeyId::generate(),
                account,
                credential: registered.credential,
                public_key: registered.public_key,
                sign_count: registered.sign_count,
                name: name.clone(),
                created: scope.now,
                used: None,
                mac: [0; 32],
            };
            scope.domain.authenticate_passkey(&mut passkey);
            scope.tx.put_passkey(&passkey)?;
            let recovery_codes = second_factor::added(scope, account)?;
            scope.detail.note = Some(format!(
                "passkey {} key {}",
                passkey.id,
                seal::hex(&seal::sha256(&passkey.public_key))
            ));
            mail::tell_of_change(scope, &caller, CredentialChange::PasskeyAdded(name.clone()));
            let leaf = scope.record(Act::CredentialAdd)?;
            Ok(FactorAdded {
                credential: listed_passkey(&passkey),
                recovery_codes,
                leaf,
            })
        })
    }

    /// Begins a sign-in with a passkey alone. Nobody is named: the answer is the same for everyone, and the passkey says whose it is.
    pub fn start_passkey_sign_in(
        &self,
        request: StartPasskeySignIn,
    ) -> Answer<PasskeySignInStarted> {
        if !passkey::is_public_key(&request.client_key.0) {
            return Err(Error::Invalid(
                "The client's ephemeral key is no X-Wing public key.".to_owned(),
            )
            .into());
        }
        let core = &self.core;
        let sign_in = SignInId::generate();
        let random = seal::random()?;
        let expires = core.clock.now().plus_seconds(LIFETIME);
        let held = SignIn {
            random,
            client_key: request.client_key.0,
        };
        core.ceremonies.sign_ins.put(sign_in, held, expires)?;
        Ok(PasskeySignInStarted {
            sign_in,
            suite: passkey::SUITE.to_owned(),
            request: passkey_request(&core.options.passkeys, &random, Vec::new()),
            expires,
        })
    }

    /// Ends a sign-in with a passkey alone. Each started one is good for one try.
    pub fn finish_passkey_sign_in(
        &self,
        source: IpAddr,
        request: FinishPasskeySignIn,
    ) -> Answer<PasskeySignedIn> {
        let core = &self.core;
        let held = core
            .ceremonies
            .sign_ins
            .take(&request.sign_in, core.clock.now());
        let options = core.options.clone();
        core.act(Act::SessionOpen, source, move |scope| {
            scope.record_strangers = true;
            let held = held.as_ref().ok_or(Error::SignInRefused)?;
            let assertion = &request.assertion;
            let passkey = scope
                .tx
                .passkey(&assertion.credential.0)?
                .ok_or(Error::SignInRefused)?;
            let passkey = scope.domain.check_passkey(passkey)?;
            scope.detail.subject = Some(passkey.account);
            let account = sessions::active(scope, passkey.account)?;
            let challenge = passkey::challenge(&held.random, &held.client_key);
            let expected = Expected {
                party: options.passkeys.as_party(),
                challenge: &challenge,
                user_verified: true,
            };
            use_passkey(scope, &expected, passkey, assertion).map_err(|error| match error {
                Error::SecondFactorRefused => Error::SignInRefused,
                error => error,
            })?;
            let transport = TransportKey::from_bytes(seal::random()?);
            let signed_in = {
                let strength = SignInStrength::Passkey;
                sessions::open(scope, &account, &transport, strength, source, &options)?
            };
            let sealed = passkey::seal(
                &held.client_key,
                request.sign_in,
                signed_in.session,
                &transport,
            )
            .map_err(|_| Error::SignInRefused)?;
            Ok(PasskeySignedIn {
                signed_in,
                transport_key: SealedTransportKey {
                    suite: passkey::SUITE.to_owned(),
                    encapsulated: sealed.encapsulated.into(),
                    ciphertext: sealed.ciphertext.into(),
                },
            })
        })
    }
}

impl PasskeyParty {
    pub(crate) fn as_party(&self) -> Party<'_> {
        Party {
            id: &self.id,
            origins: &self.origins,
        }
    }
}

/// What to ask an authenticator for.
pub(super) fn passkey_request(
    party: &PasskeyParty,
    random: &[u8; passkey::RANDOM],
    allow: Vec<Vec<u8>>,
) -> PasskeyRequest {
    PasskeyRequest {
        random: random.as_slice().into(),
        rp_id: party.id.clone(),
        allow: allow.into_iter().map(Into::into).collect(),
    }
}

/// Verifies a passkey's assertion and keeps its new counter.
///
/// # Errors
///
/// [`Error::SecondFactorRefused`] when it does not hold.
pub(crate) fn use_passkey(
    scope: &mut Scope<'_>,
    expected: &Expected<'_>,
    mut passkey: PasskeyRecord,
    assertion: &PasskeyAssertion,
) -> Result<(), Error> {
    if let Some(handle) = &assertion.user_handle
        && handle.0 != passkey.account.as_bytes()
    {
        return Err(Error::SecondFactorRefused);
    }
    passkey.sign_count = webauthn::assert(
        expected,
        &passkey.public_key,
        passkey.sign_count,
        &assertion.client_data.0,
        &assertion.authenticator_data.0,
        &assertion.signature.0,
    )
    .map_err(refused)?;
    passkey.used = Some(scope.now);
    scope.domain.authenticate_passkey(&mut passkey);
    Ok(scope.tx.put_passkey(&passkey)?)
}

/// Why is for the log: it helps whoever sets a site up, and would help whoever tries to get in.
fn refused(reason: Rejected) -> Error {
    tracing::info!(%reason, "a passkey was refused");
    Error::SecondFactorRefused
}

fn identifiers(passkeys: &[PasskeyRecord]) -> Vec<strongroom_wire::encoding::Base64> {
    passkeys
        .iter()
        .map(|passkey| passkey.credential.clone().into())
        .collect()
}

/// What a holder calls a credential, if it can be called so.
pub(crate) fn check_name(name: &str) -> Result<String, Error> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control)
    {
        return Err(Error::Invalid(format!(
            "A credential's name has 1 to {LONGEST_NAME} characters, none of them control characters."
        )));
    }
    Ok(name.to_owned())
}
