//! Somebody who is signed in, and all that they can ask for.

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;
use strongroom_session::TransportKey;
use strongroom_wire::account::{Account, AccountKind, CreateAccount, CreatedAccount, Done, Role};
use strongroom_wire::audit::{Record, RecordPage};
use strongroom_wire::encoding::Base64;
use strongroom_wire::id::{GrantId, KeyId, SessionId};
use strongroom_wire::key::{
    Algorithm, ChangeState, ChangedKey, CreateKeys, CreatedKey, CreatedKeys, Grants, Key, KeyState,
    Material, NewKey, ReleaseKey, ShareKey, Shared, UsagePolicy,
};
use strongroom_wire::session::SignedIn;
use zeroize::Zeroizing;

use crate::api::{Api, Listener, Result, read};
use crate::http::{Connection, Response};

/// Somebody who is signed in.
pub struct Session {
    /// Whose session it is.
    pub account: Account,
    /// The session's identifier.
    pub id: SessionId,
    /// The leaf of the sign-in.
    pub leaf: u64,
    /// The session's token.
    pub token: Base64,
    api: Api,
    connections: [Option<Connection>; 2],
    transport: TransportKey,
}

impl Session {
    /// The session that a sign-in opened.
    #[must_use]
    pub fn of(api: &Api, signed_in: SignedIn, transport: TransportKey) -> Self {
        Self {
            api: api.clone(),
            connections: [None, None],
            account: signed_in.account,
            id: signed_in.session,
            leaf: signed_in.leaf,
            token: signed_in.token,
            transport,
        }
    }

    /// The same session at another address: that of a copy of the appliance, or of the same one after it was started again.
    #[must_use]
    pub fn at(&self, api: &Api) -> Self {
        Self {
            account: self.account.clone(),
            id: self.id,
            leaf: self.leaf,
            token: self.token.clone(),
            api: api.clone(),
            connections: [None, None],
            transport: self.transport.clone(),
        }
    }

    /// Where it is used.
    #[must_use]
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// The session's transport key.
    #[must_use]
    pub fn transport(&self) -> &TransportKey {
        &self.transport
    }

    /// Makes a request in the session, at the listener that has the address.
    ///
    /// # Errors
    ///
    /// Those of the network; the next request then makes a new connection.
    pub fn send(&mut self, method: &str, path: &str, body: Option<&[u8]>) -> io::Result<Response> {
        let listener = listener_of(path);
        let place = &mut self.connections[usize::from(listener == Listener::Administration)];
        let mut connection = match place.take() {
            Some(connection) => connection,
            None => self.api.connect(listener)?,
        };
        let token = self.token.to_text();
        let response = connection.send(method, path, Some(&token), body)?;
        *place = Some(connection);
        Ok(response)
    }

    /// Makes a request with a JSON body and reads the answer.
    ///
    /// # Errors
    ///
    /// As [`Failed`] says.
    pub fn ask<T: DeserializeOwned>(
        &mut self,
        method: &str,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T> {
        let body = serde_json::to_vec(body).unwrap();
        read(&self.send(method, path, Some(&body))?)
    }

    /// Makes a GET request and reads the answer.
    ///
    /// # Errors
    ///
    /// As [`Failed`] says.
    pub fn get<T: DeserializeOwned>(&mut self, path: &str) -> Result<T> {
        read(&self.send("GET", path, None)?)
    }

    /// Makes a DELETE request and reads the answer.
    ///
    /// # Errors
    ///
    /// As [`Failed`] says.
    pub fn delete<T: DeserializeOwned>(&mut self, path: &str) -> Result<T> {
        read(&self.send("DELETE", path, None)?)
    }

    /// Creates keys.
    ///
    /// # Errors
    ///
    /// As [`Failed`] says.
    pub fn create(&mut self, request: &CreateKeys) -> Result<CreatedKeys> {
        self.ask("POST", "/v1/keys", request)
    }

    /// Creates a key that these accounts receive.
    ///
    /// # Errors
    ///
    /// As [`Failed`] says.
    pub fn create_key(&mut self, label: &str, recipients: &[&str]) -> Result<CreatedKey> {
        let request = CreateKeys {
            keys: vec![new_key(label, recipients)],
            release: false,
        };
        Ok(self.create(&request)?.keys.remove(0))
    }

    /// Has the newest version of a key released and unwraps it.
    ///
    /// # Errors
    ///
    /// As [`Failed`] says.
    pub fn release(&mut self, key: KeyId) -> Result<(Material, Zeroizing<Vec<u8>>)> {
        self.release_version(key, None)
    }

    /// Has a version of a key released and unwraps it.
    ///
    /// # Errors
    ///
    /// As [`Failed`] says.
    pub fn release_version(
        &mut self,
        key: KeyId,
        version: Option<u32>,
    ) -> Result<(Material, Zeroizing<Vec<u8>>)> {
        let path = format!("/v1/keys/{key}/release");
        let material: Material = self.ask("POST", &path, &ReleaseKey { version })?;
        let bytes = self.unwrap(&material);
        Ok((material, bytes))
    }

    /// Unwraps what was released in this session.
    #[must_use]
    pub fn unwrap(&self, material: &Material) -> Zeroizing<Vec<u8>> {
        let unwrapped = self
            .transport
            .unwrap(material.key, material.version, &material.wrapped.0);
        unwrapped.expect("the material is wrapped under this session's transport key")
    }

    /// Shares a key with the usual rights.
    ///
    /// # Errors
    ///
    /// As [`Failed`] says.
    pub fn share(&mut self, key: KeyId, grantee: &str) -> Result<Shared> {
        let path = format!("/v1/keys/{key}/grants");
        let request = ShareKey {
            grantee: grantee.to_owned(),
            rights: None,
            policy: UsagePolicy::default(),
        };
        self.ask("POST", &path, &request)
    }

    /// The key's grants.
    ///
    /// # Errors
    ///
    /// As [`Failed`] says.
    pub fn grants(&mut self, key: KeyId) -> Result<Grants> {
        self.get(&format!("/v1/keys/{key}/grants"))
    }

    /// Revokes a grant.
    ///
    /// # Errors
    ///
    /// As [`Failed`] says.
    pub fn revoke(&mut self, key: KeyId, grant: GrantId) -> Result<Done> {
        self.delete(&format!("/v1/keys/{key}/grants/{grant}"))
    }

    /// Rotates a key.
    ///
    /// # Errors
    ///
    /// As [`Failed`] says.
    pub fn rotate(&mut self, key: KeyId) -> Result<ChangedKey> {
        read(&self.send("POST", &format!("/v1/keys/{key}/rotate"), None)?)
    }

    /// Changes a key's state.
    ///
    /// # Errors
    ///
    /// As [`Failed`] says.
    pub fn change_state(&mut self, key: KeyId, state: KeyState) -> Result<ChangedKey> {
        let request = ChangeState { state };
        self.ask("POST", &format!("/v1/keys/{key}/state"), &request)
    }

    /// Destroys a key.
    ///
    /// # Errors
    ///
    /// As [`Failed`] says.
    pub fn destroy(&mut self, key: KeyId) -> Result<ChangedKey> {
        self.delete(&format!("/v1/keys/{key}"))
    }

    /// A key's metadata.
    ///
    /// # Errors
    ///
    /// As [`Failed`] says.
    pub fn key(&mut self, key: KeyId) -> Result<Key> {
        self.get(&format!("/v1/keys/{key}"))
    }

    /// All records above this index that the caller may see, or from the very first one on, the newest first.
    ///
    /// # Errors
    ///
    /// As [`Failed`] says.
    pub fn records_after(&mut self, after: Option<u64>) -> Result<Vec<Record>> {
        let mut all = Vec::new();
        let mut before = None;
        loop {
            let member = |name: &str, index: Option<u64>| {
                index.map_or_else(String::new, |index| format!("&{name}={index}"))
            };
            let path = format!(
                "/v1/audit?limit=1000{}{}",
                member("after", after),
                member("before", before)
            );
            let page: RecordPage = self.get(&path)?;
            all.extend(page.records);
            match page.next {
                Some(next) => before = Some(next),
                None => return Ok(all),
            }
        }
    }

    /// Creates an account.
    ///
    /// # Errors
    ///
    /// As [`Failed`] says.
    pub fn create_account(
        &mut self,
        name: &str,
        kind: AccountKind,
        roles: &[Role],
        manager: Option<&str>,
    ) -> Result<CreatedAccount> {
        let request = CreateAccount {
            name: name.to_owned(),
            kind,
            roles: roles.to_vec(),
            manager: manager.map(str::to_owned),
        };
        self.ask("POST", "/v1/accounts", &request)
    }
}

/// An AES-256 key with this label for these recipients.
#[must_use]
pub fn new_key(label: &str, recipients: &[&str]) -> NewKey {
    NewKey {
        label: label.to_owned(),
        recipients: recipients.iter().map(|&name| name.to_owned()).collect(),
        ..NewKey::new(Algorithm::Aes256)
    }
}

/// The listener at which an address is.
fn listener_of(path: &str) -> Listener {
    let managed = (path.starts_with("/v1/accounts") && !path.starts_with("/v1/accounts/me"))
        || path == "/v1/devices/import"
        || path.starts_with("/v1/fleets")
        || path.starts_with("/v1/directories")
        || path.starts_with("/v1/authorisations")
        || path.starts_with("/v1/disclosures");
    let rotation = path.starts_with("/v1/master-kek") || path == "/v1/rotation";
    let domain = path.starts_with("/v1/domain") || path.starts_with("/v1/appliance");
    if managed || rotation || domain || path == "/metrics" {
        Listener::Administration
    } else {
        Listener::Client
    }
}
