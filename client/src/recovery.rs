//! Recovering an account whose holder has lost their password, and inviting an address that has no account.

use strongroom_wire::account::Done;
use strongroom_wire::id::AccountId;
use strongroom_wire::invitation::{Invite, Invited};
use strongroom_wire::recovery::{
    FinishRecovery, PresentRecovery, RecoveryCode, SecondCode, StartRecovery,
};

use crate::ClientError;
use crate::api::{Call, Client};
use crate::session::Session;
use crate::sign_in::account_name;

impl Client {
    /// Finishes a recovery of one's own account: sets a new password with the administrator's code and the one from the second hand.
    ///
    /// ```no_run
    /// # fn run(client: &strongroom_client::Client) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_wire::recovery::SecondCode;
    ///
    /// let own = SecondCode::RecoveryCode("JKLM-NPQR".to_owned());
    /// client.recover("alice@example.com", "ABCD-EFGH", &own, b"another horse battery staple")?;
    /// # Ok(())
    /// # }
    /// ```
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
        let upload = self.register(&account, password, |request| {
            self.call(
                &Call::post("/v1/recoveries/start").with(&StartRecovery {
                    account: account.clone(),
                    code: code.trim().to_owned(),
                    second: second.clone(),
                    request,
                })?,
                None,
            )
        })?;
        self.call(
            &Call::post("/v1/recoveries/finish").with(&FinishRecovery {
                account: account.clone(),
                code: code.trim().to_owned(),
                second: second.clone(),
                upload,
            })?,
            None,
        )
    }
}

impl Session {
    /// The recovery of one's own account that is under way, if one is.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// if let Some(recovery) = session.own_recovery()?.recovery {
    ///     println!("{} recovers your account; cancel it before {}", recovery.started_by_name, recovery.effective);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn own_recovery(&self) -> Result<PresentRecovery, ClientError> {
        self.call(&Call::get("/v1/accounts/me/recovery"))
    }

    /// Cancels the recovery of one's own account.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// if session.own_recovery()?.recovery.is_some() {
    ///     session.cancel_own_recovery()?; // nobody was asked to do that
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn cancel_own_recovery(&self) -> Result<Done, ClientError> {
        self.call(&Call::delete("/v1/accounts/me/recovery"))
    }

    /// Starts the recovery of somebody's account; at the administration address.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, account: strongroom_wire::id::AccountId) -> Result<(), strongroom_client::ClientError> {
    /// let started = session.start_recovery(account)?;
    /// println!("Give its holder the code {}; it counts from {}.", started.code, started.recovery.effective);
    /// # Ok(())
    /// # }
    /// ```
    pub fn start_recovery(&self, account: AccountId) -> Result<RecoveryCode, ClientError> {
        self.call(&Call::post(format!("/v1/accounts/{account}/recovery")))
    }

    /// Approves the recovery of somebody's account; at the administration address.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, account: strongroom_wire::id::AccountId) -> Result<(), strongroom_client::ClientError> {
    /// let approved = session.approve_recovery(account)?; // as a second administrator
    /// println!("Give its holder the code {}.", approved.code);
    /// # Ok(())
    /// # }
    /// ```
    pub fn approve_recovery(&self, account: AccountId) -> Result<RecoveryCode, ClientError> {
        self.call(&Call::post(format!(
            "/v1/accounts/{account}/recovery/approval"
        )))
    }

    /// The recovery of somebody's account that is under way, if one is; at the administration address.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, account: strongroom_wire::id::AccountId) -> Result<(), strongroom_client::ClientError> {
    /// if let Some(recovery) = session.recovery(account)?.recovery {
    ///     println!("started by {} at {}", recovery.started_by_name, recovery.started);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn recovery(&self, account: AccountId) -> Result<PresentRecovery, ClientError> {
        self.call(&Call::get(format!("/v1/accounts/{account}/recovery")))
    }

    /// Cancels the recovery of somebody's account; at the administration address.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, account: strongroom_wire::id::AccountId) -> Result<(), strongroom_client::ClientError> {
    /// session.cancel_recovery(account)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn cancel_recovery(&self, account: AccountId) -> Result<Done, ClientError> {
        self.call(&Call::delete(format!("/v1/accounts/{account}/recovery")))
    }

    /// Invites an address that has no account: it gets a pending one, with which keys can be shared at once, and its code by mail.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, key: strongroom_wire::id::KeyId) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_wire::key::{ShareKey, UsagePolicy};
    ///
    /// let invited = session.invite("dora@partner.example")?;
    /// let share = ShareKey { grantee: invited.name, rights: None, policy: UsagePolicy::default() };
    /// session.share(key, &share)?; // hers when she has enrolled
    /// # Ok(())
    /// # }
    /// ```
    pub fn invite(&self, address: &str) -> Result<Invited, ClientError> {
        self.call(&Call::post("/v1/invitations").with(&Invite {
            address: account_name(address),
        })?)
    }
}
