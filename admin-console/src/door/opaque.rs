//! The client's side of OPAQUE (RFC 9807), run here on the password of a form.
//!
//! The session key that sign-in gives both ends is dropped here: without it nobody can unwrap what the appliance would release in the session.

use std::time::Duration;

use strongroom_session::opaque::{CONTEXT, identifiers, server_identity};
use strongroom_session::opaque_ke::errors::ProtocolError;
use strongroom_session::opaque_ke::{
    ClientLogin, ClientLoginFinishParameters, ClientRegistration,
    ClientRegistrationFinishParameters, CredentialResponse, RegistrationResponse,
};
use strongroom_session::{OsRng, Suite};
use strongroom_wire::account::EnrolmentStarted;
use strongroom_wire::encoding::Base64;
use strongroom_wire::problem::{Code, Problem};
use strongroom_wire::session::{FinishSignIn, SignInStarted};
use tokio::sync::{Semaphore, SemaphorePermit};
use zeroize::Zeroizing;

use crate::reader::failed;

/// How many passwords are stretched at once: each takes 64 MiB and a few tenths of a second of several processors.
const AT_ONCE: usize = 3;
/// How long one waits for a place.
const PATIENCE: Duration = Duration::from_secs(20);

static PLACES: Semaphore = Semaphore::const_new(AT_ONCE);

/// A place among those that are stretched at once.
pub(super) async fn place() -> Result<SemaphorePermit<'static>, Problem> {
    if let Ok(Ok(place)) = tokio::time::timeout(PATIENCE, PLACES.acquire()).await {
        Ok(place)
    } else {
        let mut problem = Problem::new(
            Code::Unavailable,
            "Many people are signing in at this moment; nothing was done. Try again in a minute.",
        );
        problem.retry_after = Some(60);
        Err(problem)
    }
}

/// An account's name as it is kept.
pub(super) fn account_name(name: &str) -> String {
    name.trim().to_lowercase()
}

/// Proves that one knows the password: the last message of a sign-in that `start` starts with the first.
pub(super) fn prove(
    account: &str,
    password: &Zeroizing<String>,
    start: impl FnOnce(Base64) -> Result<SignInStarted, Problem>,
) -> Result<FinishSignIn, Problem> {
    let password = password.as_bytes();
    let login = ClientLogin::<Suite>::start(&mut OsRng, password).map_err(|_| failed())?;
    let started = start(Base64(login.message.serialize().to_vec()))?;
    let server = server_identity(&started.domain);
    let ke2 = CredentialResponse::deserialize(&started.ke2.0).map_err(|_| failed())?;
    let parameters =
        ClientLoginFinishParameters::new(Some(CONTEXT), identifiers(account, &server), None);
    let finish = login
        .state
        .finish(&mut OsRng, password, ke2, parameters)
        .map_err(|error| match error {
            ProtocolError::InvalidLoginError => Problem::new(
                Code::SignInRefused,
                "The name or the password is wrong, or the account may not sign in.",
            ),
            _ => failed(),
        })?;
    Ok(FinishSignIn {
        sign_in: started.sign_in,
        ke3: Base64(finish.message.serialize().to_vec()),
    })
}

/// Registers a password: what `start` answers to the first message, made into the record that the appliance keeps.
pub(super) fn register(
    account: &str,
    password: &Zeroizing<String>,
    start: impl FnOnce(Base64) -> Result<EnrolmentStarted, Problem>,
) -> Result<Base64, Problem> {
    let password = password.as_bytes();
    let begun = ClientRegistration::<Suite>::start(&mut OsRng, password).map_err(|_| failed())?;
    let started = start(Base64(begun.message.serialize().to_vec()))?;
    let server = server_identity(&started.domain);
    let response = RegistrationResponse::deserialize(&started.response.0).map_err(|_| failed())?;
    let parameters = ClientRegistrationFinishParameters::new(identifiers(account, &server), None);
    let finish = begun
        .state
        .finish(&mut OsRng, password, response, parameters)
        .map_err(|_| failed())?;
    Ok(Base64(finish.message.serialize().to_vec()))
}
