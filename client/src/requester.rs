//! Whoever makes requests of an account: what messages, objects and keys need, of a session or a device that signs alike.

use serde::de::DeserializeOwned;
use strongroom_session::TransportKey;
use strongroom_wire::id::AccountId;

use crate::ClientError;
use crate::api::{Call, Client};
use crate::held::HeldKeys;

/// An account's name as both ends write it: without surrounding space, in lower case.
///
/// ```
/// use strongroom_client::account_name;
///
/// assert_eq!(account_name(" Alice@Example.com\n"), "alice@example.com");
/// ```
#[must_use]
pub fn account_name(text: &str) -> String {
    text.trim().to_lowercase()
}

/// A signed-in session, or a device that signs its requests.
pub(crate) trait Requester {
    /// The appliance.
    fn client(&self) -> &Client;
    /// The account.
    fn account_id(&self) -> AccountId;
    /// The keys that it holds.
    fn held(&self) -> &HeldKeys;
    /// The transport key of what the account brings.
    fn import_key(&self) -> TransportKey;
    /// Makes a request; answers the transport key of the answer, too.
    fn request<A: DeserializeOwned>(
        &self,
        call: &Call<'_>,
    ) -> Result<(A, TransportKey), ClientError>;
}
