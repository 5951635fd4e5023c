//! The desk: what strangers can guess at, with failures counted. The API's routes and the web console's pages stand at the same one.
//!
//! Every function may wait: call them from threads that may.

use std::future::{Ready, ready};
use std::net::IpAddr;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use strongroom_keystore::{Answer, Keystore, Presented};
use strongroom_wire::account::{Done, EnrolmentStarted, FinishEnrolment, StartEnrolment};
use strongroom_wire::credential::{FinishPassword, StartPassword};
use strongroom_wire::device::{DecidePairing, DecidedPairing, Pairing};
use strongroom_wire::oidc::{FinishOidc, OidcSignedIn, OidcStarted, StartOidc};
use strongroom_wire::problem::Code;
use strongroom_wire::recovery::{FinishRecovery, StartRecovery};
use strongroom_wire::session::{
    FinishPasskeySignIn, FinishSecondFactor, FinishSignIn, PasskeySignInStarted, PasskeySignedIn,
    SignInFinished, SignInStarted, SignedIn, StartPasskeySignIn, StartSignIn, StartStepUp,
    SteppedUp,
};

use super::limits::SignInLimits;
use super::oidc::{Oidc, Proved, Unproved};
use super::source_address;
use crate::gate::OpenKeystore;
use crate::problems::Failure;

/// The desk of one request.
pub(crate) struct Desk {
    pub(crate) keystore: OpenKeystore,
    pub(crate) limits: web::Data<SignInLimits>,
    pub(crate) oidc: web::Data<Oidc>,
    pub(crate) source: IpAddr,
}

impl FromRequest for Desk {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let limits = request.app_data::<web::Data<SignInLimits>>().cloned();
        let oidc = request.app_data::<web::Data<Oidc>>().cloned();
        let keystore = OpenKeystore::from_request(request, payload).into_inner();
        ready(keystore.and_then(|keystore| {
            Ok(Self {
                keystore,
                limits: limits.ok_or_else(Failure::internal)?,
                oidc: oidc.ok_or_else(Failure::internal)?,
                source: source_address(request),
            })
        }))
    }
}

impl Desk {
    /// Starts a sign-in. One that worked stays counted until its finish: it let the client try a password.
    pub(crate) fn start_sign_in(&self, request: StartSignIn) -> Result<SignInStarted, Failure> {
        let account = self.keystore.budget(&request.account);
        self.limits.admit(&account, self.source)?;
        let answer = self.keystore.start_sign_in(self.source, request);
        let answer = answer.map_err(Failure::from);
        if answer.as_ref().is_err_and(Failure::is_fault) {
            self.limits.give_back(&account, self.source);
        }
        answer
    }

    /// Finishes a sign-in.
    pub(crate) fn finish_sign_in(&self, request: FinishSignIn) -> Result<SignInFinished, Failure> {
        let account = self.keystore.account_of_sign_in(request.sign_in);
        self.finish(account, |keystore, source| {
            keystore.finish_sign_in(source, request)
        })
    }

    /// Finishes a sign-in with a second factor.
    pub(crate) fn finish_second_factor(
        &self,
        request: FinishSecondFactor,
    ) -> Result<SignedIn, Failure> {
        let account = self.keystore.account_of_sign_in(request.sign_in);
        let account = account.map(|account| self.keystore.budget(&account));
        match &account {
            Some(account) => self.limits.admit(account, self.source)?,
            None => self.limits.admit_source(self.source)?,
        }
        let answer = self.keystore.finish_second_factor(self.source, request);
        let answer = answer.map_err(Failure::from);
        if let Some(account) = account
            && answer.as_ref().err().is_none_or(Failure::is_fault)
        {
            self.limits.give_back(&account, self.source);
        }
        answer
    }

    /// Starts a sign-in with a passkey alone. One that worked stays counted until its finish, so that nobody fills the memory with starts.
    pub(crate) fn start_passkey_sign_in(
        &self,
        request: StartPasskeySignIn,
    ) -> Result<PasskeySignInStarted, Failure> {
        self.limits.admit_source(self.source)?;
        let answer = self.keystore.start_passkey_sign_in(request);
        let answer = answer.map_err(Failure::from);
        if answer.as_ref().is_err_and(Failure::is_fault) {
            self.limits.give_back_source(self.source);
        }
        answer
    }

    /// Finishes a sign-in with a passkey alone.
    pub(crate) fn finish_passkey_sign_in(
        &self,
        request: FinishPasskeySignIn,
    ) -> Result<PasskeySignedIn, Failure> {
        self.limits.admit_source(self.source)?;
        let answer = self.keystore.finish_passkey_sign_in(self.source, request);
        let answer = answer.map_err(Failure::from);
        match &answer {
            // Both its own place and its start's.
            Ok(_) => {
                self.limits.give_back_source(self.source);
                self.limits.give_back_source(self.source);
            }
            Err(failure) if failure.is_fault() => self.limits.give_back_source(self.source),
            Err(_) => {}
        }
        answer
    }

    /// The names of the providers from which a browser may come back to this page of the appliance.
    pub(crate) fn oidc_providers(&self, page: &str) -> Vec<String> {
        if !self.oidc.is_page(page) {
            return Vec::new();
        }
        let providers = self.oidc.names(self.keystore.domain()).providers;
        providers
            .into_iter()
            .map(|provider| provider.name)
            .collect()
    }

    /// Starts a sign-in at an OpenID provider. One that worked stays counted until its finish, so that nobody fills the memory with starts.
    pub(crate) fn start_oidc(&self, request: StartOidc) -> Result<OidcStarted, Failure> {
        self.limits.admit_source(self.source)?;
        let answer = self.oidc.start(self.keystore.domain(), request, None);
        if answer.as_ref().is_err_and(Failure::is_fault) {
            self.limits.give_back_source(self.source);
        }
        answer
    }

    /// Finishes a sign-in at an OpenID provider.
    pub(crate) fn finish_oidc(&self, request: FinishOidc) -> Result<OidcSignedIn, Failure> {
        self.limits.admit_source(self.source)?;
        let answer = self.open_by_identity(&request);
        // Both its own place and its start's, unless it was refused.
        if answer.as_ref().err().is_none_or(Failure::is_fault) {
            self.limits.give_back_source(self.source);
            self.limits.give_back_source(self.source);
        }
        answer
    }

    fn open_by_identity(&self, request: &FinishOidc) -> Result<OidcSignedIn, Failure> {
        let Proved {
            client_key,
            claimed,
            rules,
        } = self
            .oidc
            .finish(self.keystore.domain(), request, None)
            .map_err(|unproved| refuse(&self.keystore, self.source, unproved))?;
        let opened = self.keystore.open_by_identity(
            self.source,
            request.sign_in,
            client_key,
            claimed,
            rules,
        );
        opened.map_err(Failure::from)
    }

    /// Starts to link the caller's account with an identity at an OpenID provider.
    pub(crate) fn start_identity_link(
        &self,
        caller: &Presented,
        request: StartOidc,
    ) -> Result<OidcStarted, Failure> {
        let account = self.keystore.begin_identity_link(caller)?;
        self.oidc
            .start(self.keystore.domain(), request, Some(account))
    }

    /// Links the caller's account with the identity that was signed in with, where the caller started it.
    pub(crate) fn finish_identity_link(
        &self,
        caller: &Presented,
        request: FinishOidc,
    ) -> Result<Done, Failure> {
        let account = self.keystore.own_account(caller)?.id;
        let proved = self
            .oidc
            .finish(self.keystore.domain(), &request, Some(account))
            .map_err(|unproved| refuse(&self.keystore, caller.source, unproved))?;
        let linked = self.keystore.link_identity(caller, proved.claimed);
        linked.map_err(Failure::from)
    }

    /// Starts to sign in again in a session. Whoever holds the token alone guesses the password here as they would at a sign-in.
    pub(crate) fn start_step_up(
        &self,
        caller: &Presented,
        request: StartStepUp,
    ) -> Result<SignInStarted, Failure> {
        let account = self
            .keystore
            .budget(&self.keystore.own_account(caller)?.name);
        self.limits.admit(&account, self.source)?;
        let answer = self.keystore.start_step_up(caller, request);
        let answer = answer.map_err(Failure::from);
        if answer.as_ref().is_err_and(Failure::is_fault) {
            self.limits.give_back(&account, self.source);
        }
        answer
    }

    /// Finishes to sign in again in a session.
    pub(crate) fn finish_step_up(
        &self,
        caller: &Presented,
        request: FinishSignIn,
    ) -> Result<SteppedUp, Failure> {
        let account = self.keystore.account_of_sign_in(request.sign_in);
        self.finish(account, |keystore, _| {
            keystore.finish_step_up(caller, request)
        })
    }

    /// Finishes to sign in again in a session with a second factor.
    pub(crate) fn finish_second_factor_step_up(
        &self,
        caller: &Presented,
        request: FinishSecondFactor,
    ) -> Result<SteppedUp, Failure> {
        let account = self.keystore.own_account(caller)?.name;
        self.limited(&account, |keystore, _| {
            keystore.finish_second_factor_step_up(caller, request)
        })
    }

    /// Starts to change the caller's password. One that worked stays counted until its finish: OPAQUE's answer to it is what a password is guessed with,
    /// too, by whoever holds the session alone.
    pub(crate) fn start_password(
        &self,
        caller: &Presented,
        request: StartPassword,
    ) -> Result<EnrolmentStarted, Failure> {
        let account = self.own_budget(caller)?;
        self.limits.admit(&account, self.source)?;
        let answer = self.keystore.start_password(caller, request);
        let answer = answer.map_err(Failure::from);
        if answer.is_err() {
            self.limits.give_back(&account, self.source);
        }
        answer
    }

    /// Finishes to change the caller's password.
    pub(crate) fn finish_password(
        &self,
        caller: &Presented,
        request: FinishPassword,
    ) -> Result<Done, Failure> {
        let account = self.own_budget(caller)?;
        let done = self.keystore.finish_password(caller, request)?;
        self.limits.give_back(&account, self.source);
        Ok(done)
    }

    /// What failures of the caller's account are counted against.
    fn own_budget(&self, caller: &Presented) -> Result<String, Failure> {
        let account = self.keystore.own_account(caller)?;
        Ok(self.keystore.budget(&account.name))
    }

    /// Starts an enrolment.
    pub(crate) fn start_enrolment(
        &self,
        request: StartEnrolment,
    ) -> Result<EnrolmentStarted, Failure> {
        let account = request.account.clone();
        self.limited(&account, |keystore, source| {
            keystore.start_enrolment(source, request)
        })
    }

    /// Finishes an enrolment.
    pub(crate) fn finish_enrolment(&self, request: FinishEnrolment) -> Result<Done, Failure> {
        let account = request.account.clone();
        self.limited(&account, |keystore, source| {
            keystore.finish_enrolment(source, request)
        })
    }

    /// Starts a new password after a recovery.
    pub(crate) fn start_recovered_password(
        &self,
        request: StartRecovery,
    ) -> Result<EnrolmentStarted, Failure> {
        let account = request.account.clone();
        self.limited(&account, |keystore, source| {
            keystore.start_recovered_password(source, request)
        })
    }

    /// Finishes a recovery.
    pub(crate) fn finish_recovery(&self, request: FinishRecovery) -> Result<Done, Failure> {
        let account = request.account.clone();
        self.limited(&account, |keystore, source| {
            keystore.finish_recovery(source, request)
        })
    }

    /// Shows a device that waits to be paired.
    pub(crate) fn pairing(&self, caller: &Presented, code: &str) -> Result<Pairing, Failure> {
        self.guessing(|keystore| keystore.pairing(caller, code))
    }

    /// Approves or denies a device that waits to be paired.
    pub(crate) fn decide_pairing(
        &self,
        caller: &Presented,
        code: &str,
        request: DecidePairing,
    ) -> Result<DecidedPairing, Failure> {
        self.guessing(|keystore| keystore.decide_pairing(caller, code, request))
    }

    /// A finish of what a start has counted already.
    fn finish<T>(
        &self,
        account: Option<String>,
        call: impl FnOnce(&Keystore, IpAddr) -> Answer<T>,
    ) -> Result<T, Failure> {
        let account = account.map(|account| self.keystore.budget(&account));
        if account.is_none() {
            // Its start has not been counted, as there was none.
            self.limits.admit_source(self.source)?;
        }
        let answer = call(&self.keystore, self.source).map_err(Failure::from);
        if let Some(account) = account
            && answer.as_ref().err().is_none_or(Failure::is_fault)
        {
            self.limits.give_back(&account, self.source);
        }
        answer
    }

    /// A call that costs the account and the source an attempt unless it turns out well or fails by no fault of theirs.
    fn limited<T>(
        &self,
        account: &str,
        call: impl FnOnce(&Keystore, IpAddr) -> Answer<T>,
    ) -> Result<T, Failure> {
        let account = self.keystore.budget(account);
        self.limits.admit(&account, self.source)?;
        let answer = call(&self.keystore, self.source).map_err(Failure::from);
        if answer.as_ref().err().is_none_or(Failure::is_fault) {
            self.limits.give_back(&account, self.source);
        }
        answer
    }

    /// A call by which somebody could try codes: a wrong one costs its source an attempt.
    fn guessing<T>(&self, call: impl FnOnce(&Keystore) -> Answer<T>) -> Result<T, Failure> {
        self.limits.admit_source(self.source)?;
        let answer = call(&self.keystore).map_err(Failure::from);
        let guessed = matches!(&answer, Err(failure) if failure.code() == Code::PairingNotFound);
        if !guessed {
            self.limits.give_back_source(self.source);
        }
        answer
    }
}

/// The answer where a provider's word does not hold, once that is recorded.
fn refuse(keystore: &Keystore, source: IpAddr, unproved: Unproved) -> Failure {
    match unproved {
        Unproved::Failure(failure) => failure,
        Unproved::Refused(reason) => match keystore.refuse_identity::<()>(source, reason) {
            Err(refusal) => refusal.into(),
            Ok(()) => Failure::internal(),
        },
    }
}
