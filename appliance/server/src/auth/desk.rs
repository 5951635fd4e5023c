//! The desk: what strangers can guess at, with failures counted. The API's routes and the web console's pages stand at the same one.
//!
//! Every function may wait: call them from threads that may.

use std::future::{Ready, ready};
use std::net::IpAddr;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use strongroom_keystore::{Answer, Keystore, Presented};
use strongroom_wire::account::{Done, EnrolmentStarted, FinishEnrolment, StartEnrolment};
use strongroom_wire::device::{DecidePairing, DecidedPairing, Pairing};
use strongroom_wire::problem::Code;
use strongroom_wire::recovery::{FinishRecovery, StartRecovery};
use strongroom_wire::session::{
    FinishPasskeySignIn, FinishSecondFactor, FinishSignIn, PasskeySignInStarted, PasskeySignedIn,
    SignInFinished, SignInStarted, SignedIn, StartPasskeySignIn, StartSignIn, StartStepUp,
    SteppedUp,
};

use super::limits::SignInLimits;
use super::source_address;
use crate::gate::OpenKeystore;
use crate::problems::Failure;

/// The desk of one request.
pub(crate) struct Desk {
    pub(crate) keystore: OpenKeystore,
    pub(crate) limits: web::Data<SignInLimits>,
    pub(crate) source: IpAddr,
}

impl FromRequest for Desk {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let limits = request.app_data::<web::Data<SignInLimits>>().cloned();
        let keystore = OpenKeystore::from_request(request, payload).into_inner();
        ready(keystore.and_then(|keystore| {
            Ok(Self {
                keystore,
                limits: limits.ok_or_else(Failure::internal)?,
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
