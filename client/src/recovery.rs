//! Recovering an account whose holder has lost their password, and inviting an address that has no account.

use strongroom_session::opaque::{identifiers, server_identity};
use strongroom_session::opaque_ke::{
    ClientRegistration, ClientRegistrationFinishParameters, RegistrationResponse,
};
use strongroom_session::{OsRng, Suite};
use strongroom_wire::account::{Done, EnrolmentStarted};
use strongroom_wire::encoding::Base64;
use strongroom_wire::id::AccountId;
use strongroom_wire::invitation::{Invite, Invited};
use strongroom_wire::recovery::{
    FinishRecovery, PresentRecovery, RecoveryCode, SecondCode, StartRecovery,
};

use crate::ClientError;
use crate::api::{Call, Client};
use crate::session::Session;
use crate::sign_in::{account_name, library};

impl Client {
    /// Finishes a recovery of one's own account: sets a new password with the administrator's code and the one from the second hand.
    ///
    /// # Errors
    /// [`ClientError::Refused`] when a code is wrong or the delay is not over.
    pub fn recover(
        &self,
        account: &str,
        code: &str,
        second: &SecondCode,
        password: &[u8],
    ) -> Result<Done, ClientError> {
        let account = account_name(account);
        let start = ClientRegistration::<Suite>::start(&mut OsRng, password).map_err(library)?;
        let started: EnrolmentStarted = self.call(
            &Call::post("/v1/recoveries/start").with(&StartRecovery {
                account: account.clone(),
                code: code.trim().to_owned(),
                second: second.clone(),
                request: Base64(start.message.serialize().to_vec()),
            })?,
            None,
        )?;
        self.check_domain(&started.domain)?;
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
            &Call::post("/v1/recoveries/finish").with(&FinishRecovery {
                account: account.clone(),
                code: code.trim().to_owned(),
                second: second.clone(),
                upload: Base64(finish.message.serialize().to_vec()),
            })?,
            None,
        )
    }
}

impl Session {
    /// The recovery of one's own account that is under way, if one is.
    pub fn own_recovery(&self) -> Result<PresentRecovery, ClientError> {
        self.call(&Call::get("/v1/accounts/me/recovery"))
    }

    /// Cancels the recovery of one's own account.
    pub fn cancel_own_recovery(&self) -> Result<Done, ClientError> {
        self.call(&Call::delete("/v1/accounts/me/recovery"))
    }

    /// Starts the recovery of somebody's account; at the administration address.
    pub fn start_recovery(&self, account: AccountId) -> Result<RecoveryCode, ClientError> {
        self.call(&Call::post(format!("/v1/accounts/{account}/recovery")))
    }

    /// Approves the recovery of somebody's account; at the administration address.
    pub fn approve_recovery(&self, account: AccountId) -> Result<RecoveryCode, ClientError> {
        self.call(&Call::post(format!(
            "/v1/accounts/{account}/recovery/approval"
        )))
    }

    /// The recovery of somebody's account that is under way, if one is; at the administration address.
    pub fn recovery(&self, account: AccountId) -> Result<PresentRecovery, ClientError> {
        self.call(&Call::get(format!("/v1/accounts/{account}/recovery")))
    }

    /// Cancels the recovery of somebody's account; at the administration address.
    pub fn cancel_recovery(&self, account: AccountId) -> Result<Done, ClientError> {
        self.call(&Call::delete(format!("/v1/accounts/{account}/recovery")))
    }

    /// Invites an address that has no account: it gets a pending one, with which keys can be shared at once, and its code by mail.
    pub fn invite(&self, address: &str) -> Result<Invited, ClientError> {
        self.call(&Call::post("/v1/invitations").with(&Invite {
            address: account_name(address),
        })?)
    }
}
