//! Stepping up: whoever holds a session signs in again in it. The session keeps its token and its transport key.

use strongroom_wire::audit::Act;
use strongroom_wire::id::SignInId;
use strongroom_wire::session::{
    FinishSecondFactor, FinishSignIn, SecondFactorNeeded, SignInStarted, SignInStrength,
    StartStepUp, SteppedUp,
};

use crate::act::{Caller, Presented, Proof, Scope};
use crate::credentials::second_factor;
use crate::error::{Answer, Error};
use crate::keystore::Keystore;
use crate::seal;
use crate::store::CredentialKind;

impl Keystore {
    /// Begins to sign in again in the present session, as its account.
    pub fn start_step_up(&self, caller: &Presented, request: StartStepUp) -> Answer<SignInStarted> {
        let (name, session) = self.core.look(caller, |_, caller, _| {
            let session = caller.session.ok_or_else(not_in_session)?;
            Ok((caller.account.name.clone(), session))
        })?;
        self.begin(caller.source, &name, &request.ke1.0, Some(session))
    }

    /// Ends it: when the client proves that it knows the password, the session's sign-in is as of now. Each start is good for one try. An
    /// account with a second factor steps up with that.
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
                if !proved {
                    return Err(Error::SignInRefused);
                }
                let password = scope
                    .view()
                    .credential(caller.account.id, CredentialKind::Opaque)?;
                if password.is_none_or(|password| password.second_factor) {
                    return Err(Error::Conflict(
                        "This account has a second factor: sign in again with that.".to_owned(),
                    ));
                }
                confirm(scope, &presented, &caller, SignInStrength::Password)
            })
    }

    /// Begins to sign in again in the present session with the account's second factor.
    pub fn start_second_factor_step_up(&self, caller: &Presented) -> Answer<SecondFactorNeeded> {
        let (needed, name, session, transport) = self.core.look(caller, |view, caller, _| {
            let needed = second_factor::asked_again(view, caller.account.id)?;
            let session = caller.session.ok_or_else(not_in_session)?;
            let name = caller.account.name.clone();
            Ok((needed, name, session, caller.transport.clone()))
        })?;
        let sign_in = SignInId::generate();
        let source = caller.source;
        Ok(self.wait_for_second_factor(sign_in, name, source, transport, Some(session), needed)?)
    }

    /// Ends it. A wrong one may be tried again, a few times.
    pub fn finish_second_factor_step_up(
        &self,
        caller: &Presented,
        request: FinishSecondFactor,
    ) -> Answer<SteppedUp> {
        let presented = caller.clone();
        self.try_second_factor(
            Act::SessionStepUp,
            caller.source,
            request,
            move |scope, held| {
                let caller = scope.authenticate(&presented)?;
                let held = held.filter(|held| {
                    held.session.is_some()
                        && held.session == caller.session
                        && held.account == caller.account.id
                });
                held.ok_or(Error::SecondFactorRefused)
                    .map(|_| caller.account)
            },
            {
                let presented = caller.clone();
                move |scope, _, _| {
                    let caller = scope.authenticate(&presented)?;
                    confirm(scope, &presented, &caller, SignInStrength::TwoFactor)
                }
            },
        )
    }
}

fn not_in_session() -> Error {
    Error::Invalid("The request is signed and not made in a session.".to_owned())
}

/// The holder of a session has signed in again in it, so strongly.
fn confirm(
    scope: &mut Scope<'_>,
    presented: &Presented,
    caller: &Caller,
    strength: SignInStrength,
) -> Result<SteppedUp, Error> {
    let Proof::Session(token) = &presented.proof else {
        return Err(Error::NotSignedIn);
    };
    let mut session = scope.tx.session(&token.hash())?.ok_or(Error::NotSignedIn)?;
    session.confirmed = scope.now;
    session.strength = session.strength.max(strength);
    let kek = scope.keks.get(session.account, session.kek_version)?;
    session.sealed = seal::seal(&kek, &session.canonical(), caller.transport.as_bytes())?;
    scope.tx.confirm_session(&session)?;
    let leaf = scope.record(Act::SessionStepUp)?;
    Ok(SteppedUp {
        confirmed: session.confirmed,
        strength: session.strength,
        leaf,
    })
}
