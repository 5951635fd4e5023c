//! Directories: what of an enterprise manages accounts by SCIM 2.0 (RFC 7644), with a token and never a session.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::account::Account;
use crate::encoding::Timestamp;
use crate::id::DirectoryId;
use crate::policy::Network;

/// A directory, as administrators see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Directory {
    /// Its identifier, which stands in the audit log as that of who acted.
    pub id: DirectoryId,
    /// Its name.
    pub name: String,
    /// When it was registered.
    pub created: Timestamp,
    /// When its token was made.
    pub token_created: Timestamp,
    /// When its token lapses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// The networks from which its token may be used; any where it is empty.
    pub networks: Vec<Network>,
    /// How many users it manages.
    pub users: u64,
    /// How many groups it manages.
    pub groups: u64,
}

/// `GET /v1/directories`: every directory, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Directories {
    /// The directories.
    pub directories: Vec<Directory>,
}

/// `POST /v1/directories`: a new directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddDirectory {
    /// Its name: 1 to 254 printable ASCII characters without spaces; kept in lower case.
    pub name: String,
    /// When its token lapses; never where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// The networks from which its token may be used, 64 at most; any where it is empty.
    #[serde(default)]
    pub networks: Vec<Network>,
}

/// `POST /v1/directories/{directory}/token`: a new token in place of the one that the directory has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RenewToken {
    /// When it lapses; never where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

/// A directory and its token, which is shown this once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DirectoryWithToken {
    /// The directory.
    pub directory: Directory,
    /// The token: `srd_` and 32 bytes in base64url.
    pub token: String,
    /// The index of the audit leaf.
    pub leaf: u64,
}

impl fmt::Debug for DirectoryWithToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectoryWithToken")
            .field("directory", &self.directory)
            .field("token", &"hidden")
            .field("leaf", &self.leaf)
            .finish()
    }
}

/// `POST /v1/directories/{directory}/users`: puts an account under the directory's management.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AdoptAccount {
    /// The account's name: a person's without a role.
    pub account: String,
}

/// The answer to [`AdoptAccount`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AdoptedAccount {
    /// The account.
    pub account: Account,
    /// The index of the audit leaf.
    pub leaf: u64,
}
