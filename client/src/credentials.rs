//! What the caller's own account signs in with beside its password: authenticator apps, passkeys and recovery codes.

use strongroom_wire::account::Done;
use strongroom_wire::credential::{
    ConfirmTotp, CredentialName, Credentials, FactorAdded, FinishPassword, RecoveryCodes,
    StartPassword, TotpStarted,
};

use crate::ClientError;
use crate::api::Call;
use crate::session::Session;

impl Session {
    /// The account's credentials.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// for credential in session.credentials()?.credentials {
    ///     println!("{:?}, last used {:?}", credential.kind, credential.used);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn credentials(&self) -> Result<Credentials, ClientError> {
        self.call(&Call::get("/v1/accounts/me/credentials"))
    }

    /// Removes a credential. The last with which the account can sign in stays.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_wire::credential::CredentialName;
    ///
    /// session.remove_credential(CredentialName::Totp)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn remove_credential(&self, name: CredentialName) -> Result<Done, ClientError> {
        self.call(&Call::delete(format!("/v1/accounts/me/credentials/{name}")))
    }

    /// Changes the account's password, within five minutes of a sign-in in this session. The account's other sessions end.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// session.step_up(b"correct horse battery staple")?;
    /// session.change_password(b"another horse battery staple")?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Refused`] with [`Code::StepUpRequired`](strongroom_wire::problem::Code::StepUpRequired) when the last sign-in is longer ago, with
    /// [`Code::Conflict`](strongroom_wire::problem::Code::Conflict) when the account has no password.
    pub fn change_password(&self, password: &[u8]) -> Result<Done, ClientError> {
        let account = &self.account().name;
        let upload = self.client().register(account, password, |request| {
            let start = Call::post("/v1/accounts/me/password/start");
            self.call(&start.with(&StartPassword { request })?)
        })?;
        self.call(&Call::post("/v1/accounts/me/password").with(&FinishPassword { upload })?)
    }

    /// Begins to set up an authenticator app, whose secret is in the answer.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// let started = session.start_totp()?;
    /// println!("Scan this as a QR code: {}", started.uri);
    /// # Ok(())
    /// # }
    /// ```
    pub fn start_totp(&self) -> Result<TotpStarted, ClientError> {
        self.call(&Call::post("/v1/accounts/me/totp/start"))
    }

    /// Sets the authenticator app up with the first code that it shows. From then on the password alone opens no session.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// let started = session.start_totp()?;
    /// println!("Scan this as a QR code: {}", started.uri);
    /// let added = session.confirm_totp("123456")?; // what the app shows
    /// println!("Keep these: {}", added.recovery_codes.join(" "));
    /// # Ok(())
    /// # }
    /// ```
    pub fn confirm_totp(&self, code: &str) -> Result<FactorAdded, ClientError> {
        self.call(&Call::post("/v1/accounts/me/totp").with(&ConfirmTotp {
            code: code.to_owned(),
        })?)
    }

    /// Makes new recovery codes; those before them are void.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// println!("Keep these: {}", session.make_recovery_codes()?.codes.join(" "));
    /// # Ok(())
    /// # }
    /// ```
    pub fn make_recovery_codes(&self) -> Result<RecoveryCodes, ClientError> {
        self.call(&Call::post("/v1/accounts/me/recovery-codes"))
    }
}
