//! Enrolment and sign-in by OPAQUE (RFC 9807): the password stays on this side.

use strongroom_session::opaque::{CONTEXT, identifiers, server_identity};
use strongroom_session::opaque_ke::errors::ProtocolError;
use strongroom_session::opaque_ke::{
    ClientLogin, ClientLoginFinishParameters, ClientRegistration,
    ClientRegistrationFinishParameters, CredentialResponse, RegistrationResponse,
};
use strongroom_session::{OsRng, Suite, TransportKey};
use strongroom_wire::account::{Done, EnrolmentStarted, FinishEnrolment, StartEnrolment};
use strongroom_wire::encoding::Base64;
use strongroom_wire::session::{
    FinishSignIn, SignInStarted, SignedIn, StartSignIn, StartStepUp, SteppedUp,
};
use zeroize::Zeroizing;

use crate::ClientError;
use crate::api::{Call, Client};
use crate::session::{Secrets, Session};

/// What OPAQUE gives both ends.
type SessionKey = Zeroizing<Vec<u8>>;

/// An account's name as both ends write it: without surrounding space, in lower case.
#[must_use]
pub fn account_name(text: &str) -> String {
    text.trim().to_lowercase()
}

impl Client {
    /// Enrols the holder of `account` with the one-time code that the administrator handed out. From then on the
    /// account signs in with `password`, which the appliance never sees.
    ///
    /// Takes about half a second of computation and 64 MiB of memory (Argon2id), as does [`Self::sign_in`].
    pub fn enrol(&self, account: &str, code: &str, password: &[u8]) -> Result<Done, ClientError> {
        let account = account_name(account);
        let start = ClientRegistration::<Suite>::start(&mut OsRng, password).map_err(library)?;
        let started: EnrolmentStarted = self.call(
            &Call::post("/v1/enrolments/start").with(&StartEnrolment {
                account: account.clone(),
                code: code.trim().to_owned(),
                request: Base64(start.message.serialize().to_vec()),
            })?,
            None,
        )?;
        let server = server_identity(&started.domain);
        let response = RegistrationResponse::deserialize(&started.response.0)
            .map_err(|_| self.unexpected("a registration response that is none"))?;
        let parameters =
            ClientRegistrationFinishParameters::new(identifiers(&account, &server), None);
        let finish = start
            .state
            .finish(&mut OsRng, password, response, parameters)
            .map_err(|_| self.unexpected("a registration response that is none"))?;
        self.call(
            &Call::post("/v1/enrolments/finish").with(&FinishEnrolment {
                account: account.clone(),
                code: code.trim().to_owned(),
                upload: Base64(finish.message.serialize().to_vec()),
            })?,
            None,
        )
    }

    /// Signs in. Both ends prove themselves: only the appliance that the account enrolled at can complete it.
    ///
    /// # Errors
    /// [`ClientError::WrongPassword`] when the name or the password is wrong; the two look alike.
    pub fn sign_in(&self, account: &str, password: &[u8]) -> Result<Session, ClientError> {
        let account = account_name(account);
        let (proof, session_key) = self.prove(&account, password, |ke1| {
            let request = StartSignIn {
                account: account.clone(),
                ke1,
            };
            self.call(&Call::post("/v1/sessions/start").with(&request)?, None)
        })?;
        let signed_in: SignedIn =
            self.call(&Call::post("/v1/sessions/finish").with(&proof)?, None)?;
        let token = Zeroizing::new(signed_in.token.0);
        let secrets = Secrets::new(&token, TransportKey::derive(&session_key))
            .ok_or_else(|| self.unexpected("a token of another length"))?;
        Ok(Session::resume(
            self.clone(),
            signed_in.session,
            signed_in.account,
            signed_in.expires,
            secrets,
        ))
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
    /// # Errors
    /// [`ClientError::WrongPassword`] when the password is wrong.
    pub fn step_up(&self, password: &[u8]) -> Result<SteppedUp, ClientError> {
        let name = &self.account().name;
        let (proof, _) = self.client().prove(name, password, |ke1| {
            let start = Call::post("/v1/sessions/current/step-up/start");
            self.call(&start.with(&StartStepUp { ke1 })?)
        })?;
        self.call(&Call::post("/v1/sessions/current/step-up/finish").with(&proof)?)
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
