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
pub const SCIM_PATH: &str = "/scim/v2";

impl Session {
    /// Every directory, by name. For administrators.
    pub fn directories(&self) -> Result<Directories, ClientError> {
        self.call(&Call::get("/v1/directories"))
    }

    /// Registers a directory. For administrators. The answer holds its token, which is shown this once.
    pub fn add_directory(
        &self,
        directory: &AddDirectory,
    ) -> Result<DirectoryWithToken, ClientError> {
        self.call(&Call::post("/v1/directories").with(directory)?)
    }

    /// Makes a new token for a directory; the one before it is void. For administrators.
    pub fn renew_directory_token(
        &self,
        directory: DirectoryId,
        token: &RenewToken,
    ) -> Result<DirectoryWithToken, ClientError> {
        self.call(&Call::post(format!("/v1/directories/{directory}/token")).with(token)?)
    }

    /// Removes a directory. For administrators. Its users and groups stay as they are.
    pub fn remove_directory(&self, directory: DirectoryId) -> Result<Done, ClientError> {
        self.call(&Call::delete(format!("/v1/directories/{directory}")))
    }

    /// Puts a person's account under a directory's management. For administrators.
    pub fn adopt_account(
        &self,
        directory: DirectoryId,
        account: &AdoptAccount,
    ) -> Result<AdoptedAccount, ClientError> {
        self.call(&Call::post(format!("/v1/directories/{directory}/users")).with(account)?)
    }

    /// Takes an account from a directory's management; it stays as it is. For administrators.
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
