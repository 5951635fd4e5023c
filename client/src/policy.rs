//! Usage policies: the domain's, a key's, a grant's; and what they would decide.

use strongroom_wire::id::{GrantId, KeyId};
use strongroom_wire::key::{Grant, GrantState, Shared, UsagePolicy};
use strongroom_wire::policy::{ChangedDomainPolicy, DomainPolicy, Preview, PreviewQuery};

use crate::ClientError;
use crate::api::Call;
use crate::session::Session;
use crate::sign_in::account_name;

impl Session {
    /// Gives a grant this usage policy in place of the one it has; the key's owner only.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, key: strongroom_wire::id::KeyId) -> Result<(), Box<dyn std::error::Error>> {
    /// use strongroom_wire::key::UsagePolicy;
    ///
    /// let policy = UsagePolicy { networks: Some(vec!["10.0.0.0/8".parse()?]), ..UsagePolicy::default() };
    /// let grant = session.grant_to(key, "bob@example.com")?;
    /// session.set_grant_policy(key, grant.id, &policy)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_grant_policy(
        &self,
        key: KeyId,
        grant: GrantId,
        policy: &UsagePolicy,
    ) -> Result<Shared, ClientError> {
        self.call(&Call::put(format!("/v1/keys/{key}/grants/{grant}/policy")).with(policy)?)
    }

    /// The active grant of this key to the account with this name.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, key: strongroom_wire::id::KeyId) -> Result<(), strongroom_client::ClientError> {
    /// let grant = session.grant_to(key, "bob@example.com")?;
    /// println!("since {}", grant.created);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::NoGrantTo`] when it has none.
    pub fn grant_to(&self, key: KeyId, account: &str) -> Result<Grant, ClientError> {
        let account = account_name(account);
        let grants = self.grants(key)?.grants;
        let found = grants
            .into_iter()
            .find(|grant| grant.state == GrantState::Active && grant.grantee_name == account);
        found.ok_or(ClientError::NoGrantTo(account))
    }

    /// What would be decided for an account and a key: for oneself, or by the key's owner for anybody.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, key: strongroom_wire::id::KeyId) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_wire::policy::{PreviewQuery, Verdict};
    ///
    /// let query = PreviewQuery { account: Some("bob@example.com".to_owned()), ..PreviewQuery::default() };
    /// let preview = session.preview(key, &query)?;
    /// if preview.verdict == Verdict::Refused {
    ///     println!("refused by {:?}", preview.decided_by);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn preview(&self, key: KeyId, query: &PreviewQuery) -> Result<Preview, ClientError> {
        self.call(&Call::find(&format!("/v1/keys/{key}/preview"), query))
    }

    /// The domain's policy, at the appliance's administration address.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// let policy = session.domain_policy()?;
    /// println!("a sign-in is recent for {} seconds", policy.step_up_within);
    /// # Ok(())
    /// # }
    /// ```
    pub fn domain_policy(&self) -> Result<DomainPolicy, ClientError> {
        self.call(&Call::get("/v1/domain/policy"))
    }

    /// Gives the domain this policy in place of the one it has, at the appliance's administration address.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// let mut policy = session.domain_policy()?;
    /// policy.bind_sessions_to_address = true;
    /// session.set_domain_policy(&policy)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_domain_policy(
        &self,
        policy: &DomainPolicy,
    ) -> Result<ChangedDomainPolicy, ClientError> {
        self.call(&Call::put("/v1/domain/policy").with(policy)?)
    }
}
