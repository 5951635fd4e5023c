//! Directories that manage accounts by SCIM, as administrators look after them, at the appliance's administration address. What a directory
//! itself asks for is plain SCIM and needs nothing of this crate.

use strongroom_wire::account::Done;
use strongroom_wire::directory::{
    AddDirectory, AdoptAccount, AdoptedAccount, Directories, DirectoryWithToken, RenewToken,
};
use strongroom_wire::id::{AccountId, DirectoryId};

use crate::ClientError;
use crate::api::Call;
use crate::session::Session;

/// Where directories find the appliance's SCIM endpoints, below its administration address.
///
/// ```no_run
/// # fn run(client: &strongroom_client::Client) -> Result<(), strongroom_client::ClientError> {
/// use strongroom_client::directories::SCIM_PATH;
///
/// println!("Give the directory the address {}{SCIM_PATH}.", client.origin());
/// # Ok(())
/// # }
/// ```
pub const SCIM_PATH: &str = "/scim/v2";

impl Session {
    /// Every directory, by name. For administrators.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// for directory in session.directories()?.directories {
    ///     println!("{}: {} users, {} groups", directory.name, directory.users, directory.groups);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn directories(&self) -> Result<Directories, ClientError> {
        self.call(&Call::get("/v1/directories"))
    }

    /// Registers a directory. For administrators. The answer holds its token, which is shown this once.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), Box<dyn std::error::Error>> {
    /// use strongroom_wire::directory::AddDirectory;
    ///
    /// let directory = AddDirectory {
    ///     name: "corporate".to_owned(),
    ///     expires: Some("2027-12-31T23:59:59Z".parse()?),
    ///     networks: vec!["10.1.0.0/16".parse()?],
    /// };
    /// let added = session.add_directory(&directory)?;
    /// println!("Give it the token {}.", added.token);
    /// # Ok(())
    /// # }
    /// ```
    pub fn add_directory(
        &self,
        directory: &AddDirectory,
    ) -> Result<DirectoryWithToken, ClientError> {
        self.call(&Call::post("/v1/directories").with(directory)?)
    }

    /// Makes a new token for a directory; the one before it is void. For administrators.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, directory: strongroom_wire::id::DirectoryId) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_wire::directory::RenewToken;
    ///
    /// let renewed = session.renew_directory_token(directory, &RenewToken::default())?;
    /// println!("Give it the token {}.", renewed.token);
    /// # Ok(())
    /// # }
    /// ```
    pub fn renew_directory_token(
        &self,
        directory: DirectoryId,
        token: &RenewToken,
    ) -> Result<DirectoryWithToken, ClientError> {
        self.call(&Call::post(format!("/v1/directories/{directory}/token")).with(token)?)
    }

    /// Removes a directory. For administrators. Its users and groups stay as they are.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, directory: strongroom_wire::id::DirectoryId) -> Result<(), strongroom_client::ClientError> {
    /// session.remove_directory(directory)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn remove_directory(&self, directory: DirectoryId) -> Result<Done, ClientError> {
        self.call(&Call::delete(format!("/v1/directories/{directory}")))
    }

    /// Puts a person's account under a directory's management. For administrators.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, directory: strongroom_wire::id::DirectoryId) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_wire::directory::AdoptAccount;
    ///
    /// session.adopt_account(directory, &AdoptAccount { account: "bob@example.com".to_owned() })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn adopt_account(
        &self,
        directory: DirectoryId,
        account: &AdoptAccount,
    ) -> Result<AdoptedAccount, ClientError> {
        self.call(&Call::post(format!("/v1/directories/{directory}/users")).with(account)?)
    }

    /// Takes an account from a directory's management; it stays as it is. For administrators.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, directory: strongroom_wire::id::DirectoryId, account: strongroom_wire::id::AccountId) -> Result<(), strongroom_client::ClientError> {
    /// session.release_account(directory, account)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn release_account(
        &self,
        directory: DirectoryId,
        account: AccountId,
    ) -> Result<Done, ClientError> {
        self.call(&Call::delete(format!(
            "/v1/directories/{directory}/users/{account}"
        )))
    }
}
