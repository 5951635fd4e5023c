//! Signing in with a passkey (Web Authentication Level 3), and registering one.
//!
//! This library talks to the appliance; whoever uses it talks to the authenticator, by the means that its platform has.

use strongroom_session::TransportKey;
use strongroom_session::passkey::{self, EphemeralKey, RANDOM, SealedTransportKey};
use strongroom_wire::credential::{
    FactorAdded, PasskeyAssertion, PasskeyRegistration, PasskeyRequest, RegisterPasskey,
};
use strongroom_wire::encoding::Base64;
use strongroom_wire::session::{
    FinishPasskeySignIn, PasskeySignInStarted, PasskeySignedIn, SecondFactorNeeded,
    StartPasskeySignIn,
};

use crate::ClientError;
use crate::api::{Call, Client};
use crate::session::Session;
use crate::sign_in::{SecondFactorSignIn, SecondFactorStepUp};

impl Client {
    /// Signs in with a passkey alone. `ask` hands the request and the challenge to an authenticator, which must verify its user, and
    /// answers what it said.
    ///
    /// The challenge covers a key that this end has made for this sign-in, to which the appliance seals the session's transport key:
    /// a proxy between the two ends can neither read what is released in the session nor put its own key in.
    ///
    /// ```no_run
    /// # fn run(client: &strongroom_client::Client) -> Result<(), strongroom_client::ClientError> {
    /// # use strongroom_wire::credential::{PasskeyAssertion, PasskeyRequest};
    /// # fn authenticator(_: &PasskeyRequest, _: &[u8; 32]) -> Result<PasskeyAssertion, strongroom_client::ClientError> { todo!() }
    /// // The function asks the platform's authenticator, which verifies its user.
    /// let session = client.sign_in_with_passkey(|request, challenge| authenticator(request, challenge))?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of `ask`. [`ClientError::Refused`] when the appliance knows no such passkey. [`ClientError::UnexpectedAnswer`] when the
    /// transport key was not sealed to this end.
    pub fn sign_in_with_passkey(
        &self,
        ask: impl FnOnce(&PasskeyRequest, &[u8; 32]) -> Result<PasskeyAssertion, ClientError>,
    ) -> Result<Session, ClientError> {
        let key = EphemeralKey::generate();
        let started: PasskeySignInStarted = self.call(
            &Call::post("/v1/sessions/passkey/start").with(&StartPasskeySignIn {
                client_key: Base64(key.public().to_vec()),
            })?,
            None,
        )?;
        if started.suite != passkey::SUITE {
            return Err(self.unexpected("a suite that this client does not know"));
        }
        let challenge = self.challenge(&started.request, key.public())?;
        let assertion = ask(&started.request, &challenge)?;
        let answer: PasskeySignedIn = self.call(
            &Call::post("/v1/sessions/passkey/finish").with(&FinishPasskeySignIn {
                sign_in: started.sign_in,
                assertion,
            })?,
            None,
        )?;
        let sealed = SealedTransportKey {
            encapsulated: answer.transport_key.encapsulated.0,
            ciphertext: answer.transport_key.ciphertext.0,
        };
        let transport_key: TransportKey = key
            .open(started.sign_in, answer.signed_in.session, &sealed)
            .map_err(|_| self.unexpected("a transport key that was not sealed to this client"))?;
        self.session(answer.signed_in, transport_key)
    }

    fn challenge(&self, request: &PasskeyRequest, binding: &[u8]) -> Result<[u8; 32], ClientError> {
        let random = <&[u8; RANDOM]>::try_from(request.random.0.as_slice())
            .map_err(|_| self.unexpected("a passkey request of another form"))?;
        Ok(passkey::challenge(random, binding))
    }
}

impl SecondFactorSignIn {
    /// What to ask an authenticator for, and the challenge, where the account has a passkey. What it answers is a
    /// [`SecondFactor::Passkey`](strongroom_wire::credential::SecondFactor::Passkey).
    ///
    /// ```no_run
    /// # fn run(waiting: strongroom_client::sign_in::SecondFactorSignIn) -> Result<(), strongroom_client::ClientError> {
    /// # use strongroom_wire::credential::{PasskeyAssertion, PasskeyRequest};
    /// # fn authenticator(_: &PasskeyRequest, _: &[u8; 32]) -> PasskeyAssertion { todo!() }
    /// use strongroom_wire::credential::SecondFactor;
    ///
    /// if let Some((request, challenge)) = waiting.passkey()? {
    ///     let session = waiting.prove(SecondFactor::Passkey(authenticator(request, &challenge)))?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn passkey(&self) -> Result<Option<(&PasskeyRequest, [u8; 32])>, ClientError> {
        second_factor(self.client(), self.needed(), self.transport_key())
    }
}

impl SecondFactorStepUp<'_> {
    /// As [`SecondFactorSignIn::passkey`].
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// # use strongroom_wire::credential::{PasskeyAssertion, PasskeyRequest};
    /// # fn authenticator(_: &PasskeyRequest, _: &[u8; 32]) -> PasskeyAssertion { todo!() }
    /// use strongroom_wire::credential::SecondFactor;
    ///
    /// let waiting = session.begin_step_up()?;
    /// if let Some((request, challenge)) = waiting.passkey()? {
    ///     waiting.prove(SecondFactor::Passkey(authenticator(request, &challenge)))?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn passkey(&self) -> Result<Option<(&PasskeyRequest, [u8; 32])>, ClientError> {
        let session = self.session();
        second_factor(session.client(), self.needed(), session.transport_key())
    }
}

fn second_factor<'a>(
    client: &Client,
    needed: &'a SecondFactorNeeded,
    transport_key: &TransportKey,
) -> Result<Option<(&'a PasskeyRequest, [u8; 32])>, ClientError> {
    let Some(request) = &needed.passkey else {
        return Ok(None);
    };
    let challenge = client.challenge(request, &transport_key.second_factor_binding())?;
    Ok(Some((request, challenge)))
}

impl Session {
    /// Begins to register a passkey: what to ask an authenticator for.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// let registration = session.start_passkey_registration()?;
    /// println!("for {} at {}", registration.user_name, registration.rp_id);
    /// # Ok(())
    /// # }
    /// ```
    pub fn start_passkey_registration(&self) -> Result<PasskeyRegistration, ClientError> {
        self.call(&Call::post("/v1/accounts/me/passkeys/start"))
    }

    /// Registers the passkey that an authenticator has made. From then on it opens sessions, and the password alone does not.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, client_data: Vec<u8>, attestation_object: Vec<u8>) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_wire::credential::RegisterPasskey;
    ///
    /// let begun = session.start_passkey_registration()?; // what the authenticator is asked for
    /// let made = RegisterPasskey {
    ///     registration: begun.registration,
    ///     name: "blue security key".to_owned(),
    ///     client_data: client_data.into(), // what it answered
    ///     attestation_object: attestation_object.into(),
    /// };
    /// session.register_passkey(&made)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn register_passkey(&self, made: &RegisterPasskey) -> Result<FactorAdded, ClientError> {
        self.call(&Call::post("/v1/accounts/me/passkeys").with(made)?)
    }
}
