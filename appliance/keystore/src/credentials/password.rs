//! Another password: its holder takes one in a session, after signing in again in it.

use strongroom_session::Suite;
use strongroom_session::opaque_ke::{RegistrationRequest, RegistrationUpload, ServerRegistration};
use strongroom_wire::account::{Done, EnrolmentStarted};
use strongroom_wire::audit::Act;
use strongroom_wire::credential::{CredentialName, FinishPassword, StartPassword};
use strongroom_wire::encoding::Timestamp;

use crate::act::{Caller, Presented, View};
use crate::error::{Answer, Error};
use crate::keystore::Keystore;
use crate::mail::{self, CredentialChange};
use crate::store::{CredentialKind, CredentialRecord};

/// A password is changed at most so many seconds after a sign-in, whatever the domain's policy says: whoever finds a session open does not get
/// to keep the account.
const RECENT: u32 = 300;

impl Keystore {
    /// Begins to change the caller's password.
    ///
    /// # Errors
    /// [`Error::StepUpRequired`] where the last sign-in in the session is more than five minutes ago; [`Error::Conflict`] where the account has no
    /// password.
    pub fn start_password(
        &self,
        caller: &Presented,
        request: StartPassword,
    ) -> Answer<EnrolmentStarted> {
        let message =
            RegistrationRequest::<Suite>::deserialize(&request.request.0).map_err(|_| {
                Error::Invalid("The registration request is not one of OPAQUE.".to_owned())
            })?;
        self.core.look(caller, |view, caller, _| {
            present(view, caller, view.now)?;
            let response = ServerRegistration::start(
                &view.domain.opaque_setup,
                message.clone(),
                caller.account.name.as_bytes(),
            )
            .map_err(|_| Error::Internal("OPAQUE cannot answer a registration request"))?;
            Ok(EnrolmentStarted {
                domain: view.domain.name.clone(),
                response: response.message.serialize().to_vec().into(),
            })
        })
    }

    /// Changes the caller's password. Second factors stay; every other session of the account ends, and so does every sign-in with the old password
    /// that is under way.
    ///
    /// # Errors
    /// As [`Self::start_password`].
    pub fn finish_password(&self, caller: &Presented, request: FinishPassword) -> Answer<Done> {
        let upload = RegistrationUpload::<Suite>::deserialize(&request.upload.0).map_err(|_| {
            Error::Invalid("The registration record is not one of OPAQUE.".to_owned())
        })?;
        let data = ServerRegistration::finish(upload).serialize().to_vec();
        let presented = caller.clone();
        let (account, done) =
            self.core
                .act(Act::CredentialChange, caller.source, move |scope| {
                    let caller = scope.authenticate(&presented)?;
                    let account = caller.account.id;
                    scope.detail.note = Some(CredentialName::Password.to_string());
                    let old = present(&scope.view(), &caller, scope.now)?;
                    let mut password = CredentialRecord::new(
                        account,
                        CredentialKind::Opaque,
                        data.clone(),
                        None,
                        scope.now,
                    );
                    password.second_factor = old.second_factor;
                    scope.domain.authenticate_credential(&mut password);
                    scope.tx.put_credential(&password)?;
                    for session in scope.tx.sessions_of(account)? {
                        if Some(session.id) != caller.session {
                            scope.tx.end_session(account, session.id)?;
                        }
                    }
                    mail::tell_of_change(scope, &caller, CredentialChange::Password);
                    let leaf = scope.record(Act::CredentialChange)?;
                    Ok((account, Done { leaf }))
                })?;
        self.core.sign_ins.forget_account(account);
        self.core.waiting.forget_account(account);
        Ok(done)
    }
}

/// The caller's password as it is, if they may change it now.
fn present(view: &View<'_>, caller: &Caller, now: Timestamp) -> Result<CredentialRecord, Error> {
    if caller.session.is_none() {
        return Err(Error::Invalid(
            "The request is signed and not made in a session.".to_owned(),
        ));
    }
    let password = view.credential(caller.account.id, CredentialKind::Opaque)?;
    let password = password.ok_or_else(|| {
        Error::Conflict(
            "This account has no password: it signs in with a passkey or at an OpenID provider."
                .to_owned(),
        )
    })?;
    caller.require_recent(now)?;
    if now < caller.confirmed.plus_seconds(RECENT.into()) {
        Ok(password)
    } else {
        Err(Error::StepUpRequired(RECENT))
    }
}
