//! Stepping up: whoever holds a session signs in again in it. The session keeps its token and its transport key.

use strongroom_wire::audit::Act;
use strongroom_wire::session::{
    FinishSignIn, SignInStarted, SignInStrength, StartStepUp, SteppedUp,
};

use crate::act::{Presented, Proof};
use crate::error::{Answer, Error};
use crate::keystore::Keystore;
use crate::seal;

impl Keystore {
    /// Begins to sign in again in the present session, as its account.
    pub fn start_step_up(&self, caller: &Presented, request: StartStepUp) -> Answer<SignInStarted> {
        let (name, session) = self.core.look(caller, |_, caller, _| {
            let session = caller.session.ok_or_else(|| {
                Error::Invalid("The request is signed and not made in a session.".to_owned())
            })?;
            Ok((caller.account.name.clone(), session))
        })?;
        self.begin(caller.source, &name, &request.ke1.0, Some(session))
    }

    /// Ends it: when the client proves that it knows the password, the session's sign-in is as of now. Each start is good for one try.
    pub fn finish_step_up(&self, caller: &Presented, request: FinishSignIn) -> Answer<SteppedUp> {
        let ended = self.end(&request);
        let presented = caller.clone();
        self.core
            .act(Act::SessionStepUp, caller.source, move |scope| {
                let caller = scope.authenticate(&presented)?;
                let proved = ended.as_ref().is_some_and(|ended| {
                    ended.proof.is_some()
                        && ended.session.is_some()
                        && ended.session == caller.session
                        && ended.account == Some(caller.account.id)
                });
                let Proof::Session(token) = &presented.proof else {
                    return Err(Error::SignInRefused);
                };
                if !proved {
                    return Err(Error::SignInRefused);
                }
                let mut session = scope.tx.session(&token.hash())?.ok_or(Error::NotSignedIn)?;
                session.confirmed = scope.now;
                session.strength = session.strength.max(SignInStrength::Password);
                let kek = scope.keks.get(session.account, session.kek_version)?;
                session.sealed =
                    seal::seal(&kek, &session.canonical(), caller.transport.as_bytes())?;
                scope.tx.confirm_session(&session)?;
                let leaf = scope.record(Act::SessionStepUp)?;
                Ok(SteppedUp {
                    confirmed: session.confirmed,
                    strength: session.strength,
                    leaf,
                })
            })
    }
}
