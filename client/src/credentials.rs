//! What the caller's own account signs in with beside its password: authenticator apps, passkeys and recovery codes.

use strongroom_wire::account::Done;
use strongroom_wire::credential::{
    ConfirmTotp, CredentialName, Credentials, FactorAdded, RecoveryCodes, TotpStarted,
};

use crate::ClientError;
use crate::api::Call;
use crate::session::Session;

impl Session {
    /// The account's credentials.
    pub fn credentials(&self) -> Result<Credentials, ClientError> {
        self.call(&Call::get("/v1/accounts/me/credentials"))
    }

    /// Removes a credential. The last with which the account can sign in stays.
    pub fn remove_credential(&self, name: CredentialName) -> Result<Done, ClientError> {
        self.call(&Call::delete(format!("/v1/accounts/me/credentials/{name}")))
    }

    /// Begins to set up an authenticator app, whose secret is in the answer.
    pub fn start_totp(&self) -> Result<TotpStarted, ClientError> {
        self.call(&Call::post("/v1/accounts/me/totp/start"))
    }

    /// Sets the authenticator app up with the first code that it shows. From then on the password alone opens no session.
    pub fn confirm_totp(&self, code: &str) -> Result<FactorAdded, ClientError> {
        self.call(&Call::post("/v1/accounts/me/totp").with(&ConfirmTotp {
            code: code.to_owned(),
        })?)
    }

    /// Makes new recovery codes; those before them are void.
    pub fn make_recovery_codes(&self) -> Result<RecoveryCodes, ClientError> {
        self.call(&Call::post("/v1/accounts/me/recovery-codes"))
    }
}
