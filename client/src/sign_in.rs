//! Enrolment and sign-in by OPAQUE (RFC 9807): the password stays on this side.

use std::fmt;

use strongroom_session::opaque::{CONTEXT, identifiers, server_identity};
use strongroom_session::opaque_ke::errors::ProtocolError;
use strongroom_session::opaque_ke::{
    ClientLogin, ClientLoginFinishParameters, ClientRegistration,
    ClientRegistrationFinishParameters, CredentialResponse, RegistrationResponse,
};
use strongroom_session::{OsRng, Suite, TransportKey};
use strongroom_wire::account::{Done, EnrolmentStarted, FinishEnrolment, StartEnrolment};
use strongroom_wire::credential::SecondFactor;
use strongroom_wire::encoding::Base64;
use strongroom_wire::session::{
    FinishSecondFactor, FinishSignIn, SecondFactorNeeded, SignInFinished, SignInStarted, SignedIn,
    StartSignIn, StartStepUp, SteppedUp,
};
use zeroize::Zeroizing;

pub use crate::requester::account_name;

use crate::ClientError;
use crate::api::{Call, Client};
use crate::session::{Secrets, Session};

/// What OPAQUE gives both ends.
type SessionKey = Zeroizing<Vec<u8>>;

impl Client {
    /// Enrols the holder of `account` with the one-time code that the administrator handed out. From then on the
    /// account signs in with `password`, which the appliance never sees.
    ///
    /// Takes about half a second of computation and 64 MiB of memory (Argon2id), as does [`Self::sign_in`].
    ///
    /// ```no_run
    /// # fn run(client: &strongroom_client::Client) -> Result<(), strongroom_client::ClientError> {
    /// client.enrol("alice@example.com", "ABCD-EFGH-JKLM", b"correct horse battery staple")?;
    /// let session = client.sign_in("alice@example.com", b"correct horse battery staple")?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn enrol(&self, account: &str, code: &str, password: &[u8]) -> Result<Done, ClientError> {
        let account = account_name(account);
        let upload = self.register(&account, password, |request| {
            self.call(
                &Call::post("/v1/enrolments/start").with(&StartEnrolment {
                    account: account.clone(),
                    code: code.trim().to_owned(),
                    request,
                })?,
                None,
            )
        })?;
        self.call(
            &Call::post("/v1/enrolments/finish").with(&FinishEnrolment {
                account: account.clone(),
                code: code.trim().to_owned(),
                upload,
            })?,
            None,
        )
    }

    /// Signs in with a password alone. Both ends prove themselves: only the appliance that the account enrolled at can complete it.
    ///
    /// ```no_run
    /// # fn run(client: &strongroom_client::Client) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_client::ClientError;
    ///
    /// match client.sign_in("alice@example.com", b"correct horse battery staple") {
    ///     Ok(session) => println!("signed in until {}", session.expires()),
    ///     Err(ClientError::WrongPassword) => println!("That is not it."),
    ///     Err(error) => return Err(error),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::WrongPassword`] when the name or the password is wrong; the two look alike.
    /// [`ClientError::SecondFactorNeeded`] when the account has a second factor: [`Self::begin_sign_in`] is for those.
    pub fn sign_in(&self, account: &str, password: &[u8]) -> Result<Session, ClientError> {
        match self.begin_sign_in(account, password)? {
            SignIn::Done(session) => Ok(*session),
            SignIn::SecondFactor(_) => Err(ClientError::SecondFactorNeeded),
        }
    }

    /// Signs in with a password, up to where a second factor is asked for if the account has one.
    ///
    /// ```no_run
    /// # fn run(client: &strongroom_client::Client) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_client::sign_in::SignIn;
    /// use strongroom_wire::credential::SecondFactor;
    ///
    /// let session = match client.begin_sign_in("alice@example.com", b"correct horse battery staple")? {
    ///     SignIn::Done(session) => *session,
    ///     SignIn::SecondFactor(waiting) => waiting.prove(SecondFactor::Totp("123456".to_owned()))?,
    /// };
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::WrongPassword`] when the name or the password is wrong; the two look alike.
    pub fn begin_sign_in(&self, account: &str, password: &[u8]) -> Result<SignIn, ClientError> {
        let account = account_name(account);
        let (proof, session_key) = self.prove(&account, password, |ke1| {
            let request = StartSignIn {
                account: account.clone(),
                ke1,
            };
            self.call(&Call::post("/v1/sessions/start").with(&request)?, None)
        })?;
        let finished: SignInFinished =
            self.call(&Call::post("/v1/sessions/finish").with(&proof)?, None)?;
        let transport_key = TransportKey::derive(&session_key);
        match finished {
            SignInFinished::SignedIn(signed_in) => self
                .session(signed_in, transport_key)
                .map(|session| SignIn::Done(Box::new(session))),
            SignInFinished::SecondFactor { second_factor } => {
                Ok(SignIn::SecondFactor(Box::new(SecondFactorSignIn {
                    client: self.clone(),
                    needed: second_factor,
                    transport_key,
                })))
            }
        }
    }

    pub(crate) fn session(
        &self,
        signed_in: SignedIn,
        transport_key: TransportKey,
    ) -> Result<Session, ClientError> {
        let token = Zeroizing::new(signed_in.token.0);
        let secrets = Secrets::new(&token, transport_key)
            .ok_or_else(|| self.unexpected("a token of another length"))?;
        Ok(Session::resume(
            self.clone(),
            signed_in.session,
            signed_in.account,
            signed_in.expires,
            secrets,
        ))
    }

    /// Registers a password: the last message of a registration (RFC 9807 section 5) that `start` starts with the first.
    pub(crate) fn register(
        &self,
        account: &str,
        password: &[u8],
        start: impl FnOnce(Base64) -> Result<EnrolmentStarted, ClientError>,
    ) -> Result<Base64, ClientError> {
        let registration =
            ClientRegistration::<Suite>::start(&mut OsRng, password).map_err(library)?;
        let started = start(Base64(registration.message.serialize().to_vec()))?;
        self.check_domain(&started.domain)?;
        let server = server_identity(&started.domain);
        let none = || self.unexpected("a registration response that is none");
        let response =
            RegistrationResponse::deserialize(&started.response.0).map_err(|_| none())?;
        let parameters =
            ClientRegistrationFinishParameters::new(identifiers(account, &server), None);
        let finish = registration
            .state
            .finish(&mut OsRng, password, response, parameters)
            .map_err(|_| none())?;
        Ok(Base64(finish.message.serialize().to_vec()))
    }

    /// Proves that one knows the password: the last message of a sign-in that `start` starts with the first, and its session key.
    fn prove(
        &self,
        account: &str,
        password: &[u8],
        start: impl FnOnce(Base64) -> Result<SignInStarted, ClientError>,
    ) -> Result<(FinishSignIn, SessionKey), ClientError> {
        let login = ClientLogin::<Suite>::start(&mut OsRng, password).map_err(library)?;
        let started = start(Base64(login.message.serialize().to_vec()))?;
        self.check_domain(&started.domain)?;
        let server = server_identity(&started.domain);
        let ke2 = CredentialResponse::deserialize(&started.ke2.0)
            .map_err(|_| self.unexpected("a sign-in message that is none"))?;
        let parameters =
            ClientLoginFinishParameters::new(Some(CONTEXT), identifiers(account, &server), None);
        let finish = login
            .state
            .finish(&mut OsRng, password, ke2, parameters)
            .map_err(|error| match error {
                ProtocolError::InvalidLoginError => ClientError::WrongPassword,
                _ => self.unexpected("a sign-in message that is none"),
            })?;
        let proof = FinishSignIn {
            sign_in: started.sign_in,
            ke3: Base64(finish.message.serialize().to_vec()),
        };
        Ok((proof, Zeroizing::new(finish.session_key.to_vec())))
    }
}

impl Session {
    /// Signs in again in this session, which stays what it is: for acts that need a recent sign-in, where the appliance refuses them with
    /// [`Code::StepUpRequired`](strongroom_wire::problem::Code::StepUpRequired).
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, key: strongroom_wire::id::KeyId) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_client::ErrorKind;
    ///
    /// if session.destroy(key).is_err_and(|error| error.kind() == ErrorKind::StepUpRequired) {
    ///     session.step_up(b"correct horse battery staple")?;
    ///     session.destroy(key)?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::WrongPassword`] when the password is wrong. [`ClientError::Refused`] with
    /// [`Code::Conflict`](strongroom_wire::problem::Code::Conflict) when the account has a second factor: it takes that instead, by
    /// [`Self::begin_step_up`].
    pub fn step_up(&self, password: &[u8]) -> Result<SteppedUp, ClientError> {
        let name = &self.account().name;
        let (proof, _) = self.client().prove(name, password, |ke1| {
            let start = Call::post("/v1/sessions/current/step-up/start");
            self.call(&start.with(&StartStepUp { ke1 })?)
        })?;
        self.call(&Call::post("/v1/sessions/current/step-up/finish").with(&proof)?)
    }

    /// Begins to sign in again in this session with the account's second factor.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_wire::credential::SecondFactor;
    ///
    /// let waiting = session.begin_step_up()?;
    /// waiting.prove(SecondFactor::Totp("123456".to_owned()))?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Refused`] with [`Code::Conflict`](strongroom_wire::problem::Code::Conflict) when the account has none: it takes the
    /// password, by [`Self::step_up`].
    pub fn begin_step_up(&self) -> Result<SecondFactorStepUp<'_>, ClientError> {
        let start = Call::post("/v1/sessions/current/step-up/second-factor/start");
        Ok(SecondFactorStepUp {
            needed: self.call(&start)?,
            session: self,
        })
    }
}

/// A session in which its holder signs in again with a second factor.
///
/// ```no_run
/// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
/// use strongroom_wire::credential::SecondFactor;
///
/// let waiting = session.begin_step_up()?;
/// println!("One of {:?}, please.", waiting.needed().kinds);
/// let stepped_up = waiting.prove(SecondFactor::Totp("123456".to_owned()))?;
/// println!("confirmed at {}", stepped_up.confirmed);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct SecondFactorStepUp<'a> {
    session: &'a Session,
    needed: SecondFactorNeeded,
}

impl SecondFactorStepUp<'_> {
    /// What is asked for.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// let waiting = session.begin_step_up()?;
    /// println!("{} tries are left.", waiting.needed().tries);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn needed(&self) -> &SecondFactorNeeded {
        &self.needed
    }

    pub(crate) fn session(&self) -> &Session {
        self.session
    }

    /// Proves a second factor.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_wire::credential::SecondFactor;
    ///
    /// session.begin_step_up()?.prove(SecondFactor::RecoveryCode("ABCD-EFGH".to_owned()))?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`SecondFactorSignIn::prove`].
    pub fn prove(&self, proof: SecondFactor) -> Result<SteppedUp, ClientError> {
        let finish = Call::post("/v1/sessions/current/step-up/second-factor/finish");
        self.session.call(&finish.with(&FinishSecondFactor {
            sign_in: self.needed.sign_in,
            proof,
        })?)
    }
}

/// Where a sign-in has come to.
///
/// ```no_run
/// # fn run(client: &strongroom_client::Client) -> Result<(), strongroom_client::ClientError> {
/// use strongroom_client::sign_in::SignIn;
///
/// match client.begin_sign_in("alice@example.com", b"correct horse battery staple")? {
///     SignIn::Done(session) => println!("welcome, {}", session.account().name),
///     SignIn::SecondFactor(waiting) => println!("one of {:?}, please", waiting.needed().kinds),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub enum SignIn {
    /// The session is open.
    Done(Box<Session>),
    /// The password was right, and the account has a second factor.
    SecondFactor(Box<SecondFactorSignIn>),
}

/// A sign-in whose password was right and that waits for a second factor.
///
/// ```no_run
/// # fn run(client: &strongroom_client::Client) -> Result<(), strongroom_client::ClientError> {
/// use strongroom_client::sign_in::SignIn;
/// use strongroom_wire::credential::SecondFactor;
///
/// if let SignIn::SecondFactor(waiting) = client.begin_sign_in("alice@example.com", b"correct horse")? {
///     let session = waiting.prove(SecondFactor::Totp("123456".to_owned()))?;
/// }
/// # Ok(())
/// # }
/// ```
pub struct SecondFactorSignIn {
    client: Client,
    needed: SecondFactorNeeded,
    transport_key: TransportKey,
}

impl SecondFactorSignIn {
    /// What is asked for.
    ///
    /// ```no_run
    /// # fn run(waiting: strongroom_client::sign_in::SecondFactorSignIn) -> Result<(), strongroom_client::ClientError> {
    /// println!("One of {:?} by {}, please.", waiting.needed().kinds, waiting.needed().expires);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn needed(&self) -> &SecondFactorNeeded {
        &self.needed
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn transport_key(&self) -> &TransportKey {
        &self.transport_key
    }

    /// Proves a second factor and opens the session.
    ///
    /// ```no_run
    /// # fn run(waiting: strongroom_client::sign_in::SecondFactorSignIn) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_wire::credential::SecondFactor;
    ///
    /// let session = waiting.prove(SecondFactor::Totp("123456".to_owned()))?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Refused`] with [`Code::SecondFactorRefused`](strongroom_wire::problem::Code::SecondFactorRefused) when it is wrong:
    /// as long as [`SecondFactorNeeded::tries`] are left, it may be tried again.
    pub fn prove(&self, proof: SecondFactor) -> Result<Session, ClientError> {
        let signed_in: SignedIn = self.client.call(
            &Call::post("/v1/sessions/second-factor").with(&FinishSecondFactor {
                sign_in: self.needed.sign_in,
                proof,
            })?,
            None,
        )?;
        self.client.session(signed_in, self.transport_key.clone())
    }
}

impl fmt::Debug for SecondFactorSignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecondFactorSignIn")
            .field("needed", &self.needed)
            .finish_non_exhaustive()
    }
}

fn library(_: ProtocolError) -> ClientError {
    ClientError::Library
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_alike_at_both_ends() {
        assert_eq!(account_name(" Alice@Example.COM\n"), "alice@example.com");
        assert_eq!(account_name("ÉMILE"), "émile");
    }
}
