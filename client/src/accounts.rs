//! Accounts and the members of groups. Accounts are managed at the appliance's administration address.

use serde::Serialize;
use strongroom_wire::account::{
    Account, AccountPage, AddMember, ChangedAccount, CreateAccount, CreatedAccount, Done,
    GroupMembers, UpdateAccount,
};
use strongroom_wire::id::AccountId;

use crate::ClientError;
use crate::api::Call;
use crate::session::Session;
use crate::sign_in::account_name;

/// The most accounts of one page.
const PAGE: u32 = 1000;

#[derive(Serialize)]
struct AccountQuery<'a> {
    after: Option<&'a str>,
    limit: Option<u32>,
}

impl Session {
    /// The account that is signed in, as the appliance has it now.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// let account = session.own_account()?;
    /// println!("{}, with the roles {:?}", account.name, account.roles);
    /// # Ok(())
    /// # }
    /// ```
    pub fn own_account(&self) -> Result<Account, ClientError> {
        self.call(&Call::get("/v1/accounts/me"))
    }

    /// Creates an account. The answer holds the one-time code with which its holder enrols.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_wire::account::{AccountKind, CreateAccount};
    ///
    /// let bob = CreateAccount {
    ///     name: "bob@example.com".to_owned(),
    ///     kind: AccountKind::Person,
    ///     roles: Vec::new(),
    ///     manager: None,
    /// };
    /// let created = session.create_account(&bob)?;
    /// println!("Bob enrols with the code {:?}.", created.enrolment_code);
    /// # Ok(())
    /// # }
    /// ```
    pub fn create_account(&self, account: &CreateAccount) -> Result<CreatedAccount, ClientError> {
        self.call(&Call::post("/v1/accounts").with(account)?)
    }

    /// A page of the accounts by name, after the one with the name `after`; 1 to 1000 of them.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// let page = session.accounts(None, Some(100))?;
    /// let following = session.accounts(page.next.as_deref(), Some(100))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn accounts(
        &self,
        after: Option<&str>,
        limit: Option<u32>,
    ) -> Result<AccountPage, ClientError> {
        self.call(&Call::find("/v1/accounts", &AccountQuery { after, limit }))
    }

    /// All accounts, by name.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_wire::account::AccountState;
    ///
    /// for account in session.all_accounts()? {
    ///     if account.state == AccountState::Pending {
    ///         println!("{} has not enrolled", account.name);
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn all_accounts(&self) -> Result<Vec<Account>, ClientError> {
        let mut accounts = Vec::new();
        let mut after = None;
        loop {
            let page = self.accounts(after.as_deref(), Some(PAGE))?;
            accounts.extend(page.accounts);
            if page.next.is_none() || page.next == after {
                return Ok(accounts);
            }
            after = page.next;
        }
    }

    /// The account with this name, if there is one.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// if let Some(account) = session.find_account("Bob@example.com")? {
    ///     println!("{} since {}", account.name, account.created);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn find_account(&self, name: &str) -> Result<Option<Account>, ClientError> {
        let name = account_name(name);
        let mut accounts = self.all_accounts()?.into_iter();
        Ok(accounts.find(|account| account.name == name))
    }

    /// An account.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, account: strongroom_wire::id::AccountId) -> Result<(), strongroom_client::ClientError> {
    /// println!("{}", session.account_with(account)?.name);
    /// # Ok(())
    /// # }
    /// ```
    pub fn account_with(&self, account: AccountId) -> Result<Account, ClientError> {
        self.call(&Call::get(format!("/v1/accounts/{account}")))
    }

    /// Changes an account's state or roles.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, account: strongroom_wire::id::AccountId) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_wire::account::{AccountState, UpdateAccount};
    ///
    /// let suspend = UpdateAccount { state: Some(AccountState::Suspended), ..UpdateAccount::default() };
    /// session.update_account(account, &suspend)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn update_account(
        &self,
        account: AccountId,
        update: &UpdateAccount,
    ) -> Result<ChangedAccount, ClientError> {
        self.call(&Call::patch(format!("/v1/accounts/{account}")).with(update)?)
    }

    /// Makes a new one-time code for an account whose holder has not enrolled, or shall enrol again.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, account: strongroom_wire::id::AccountId) -> Result<(), strongroom_client::ClientError> {
    /// let invited = session.invite_account(account)?;
    /// println!("{:?}, until {:?}", invited.enrolment_code, invited.enrolment_expires);
    /// # Ok(())
    /// # }
    /// ```
    pub fn invite_account(&self, account: AccountId) -> Result<CreatedAccount, ClientError> {
        self.call(&Call::post(format!("/v1/accounts/{account}/enrolment")))
    }

    /// The members of a group, by name.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, group: strongroom_wire::id::AccountId) -> Result<(), strongroom_client::ClientError> {
    /// for member in session.group_members(group)?.members {
    ///     println!("{}: {:?}", member.name, member.membership);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn group_members(&self, group: AccountId) -> Result<GroupMembers, ClientError> {
        self.call(&Call::get(format!("/v1/groups/{group}/members")))
    }

    /// Adds a member to a group.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, group: strongroom_wire::id::AccountId) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_wire::account::{AddMember, Membership};
    ///
    /// let bob = AddMember { account: "bob@example.com".to_owned(), membership: Membership::Member };
    /// session.add_member(group, &bob)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn add_member(&self, group: AccountId, member: &AddMember) -> Result<Done, ClientError> {
        self.call(&Call::put(format!("/v1/groups/{group}/members")).with(member)?)
    }

    /// Removes a member from a group.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, group: strongroom_wire::id::AccountId) -> Result<(), strongroom_client::ClientError> {
    /// for member in session.group_members(group)?.members {
    ///     if member.name.ends_with("@partner.example") {
    ///         session.remove_member(group, member.account)?;
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn remove_member(&self, group: AccountId, member: AccountId) -> Result<Done, ClientError> {
        self.call(&Call::delete(format!(
            "/v1/groups/{group}/members/{member}"
        )))
    }
}
