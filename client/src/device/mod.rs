//! A device or service that signs its requests with its account's secret (RFC 9421): no session, and a transport key for each request.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let key = "01934c1e-7d5a-7cc0-8f3e-0123456789ab".parse()?;
//! use strongroom_client::device::{AccountSecret, Device};
//! use strongroom_client::{Client, Roots};
//!
//! let client = Client::new("https://keys.example.com:8443", &Roots::from_pem(&std::fs::read("ca.pem")?)?)?;
//! let account = std::fs::read_to_string("account")?.trim().parse()?;
//! let secret = AccountSecret::from_text(&std::fs::read_to_string("secret")?).ok_or("no secret")?;
//! let device = Device::new(client, account, secret);
//! let released = device.obtain(key, None)?;
//! # Ok(())
//! # }
//! ```

mod pairing;

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::de::DeserializeOwned;
use strongroom_session::signature::{
    CONTENT_DIGEST, Covered, RESPONSE_NONCE, SIGNATURE, SIGNATURE_INPUT, content_digest,
};
use strongroom_session::{RequestSignature, TransportKey};
use strongroom_wire::account::Account;
use strongroom_wire::device::IssuedSecret;
use strongroom_wire::encoding::{Base64, Timestamp};
use strongroom_wire::id::{AccountId, KeyId};
use strongroom_wire::key::{CreatedKey, Key, KeyPage, KeyQuery, KeyVersion, NewKey};
use strongroom_wire::problem::{Code, Problem};

pub use pairing::{Paired, PairingCodes, PairingRefused};
pub use strongroom_session::AccountSecret;

use crate::ClientError;
use crate::api::{Call, Client};
use crate::held::HeldKeys;
use crate::keys::{self, Released};
use crate::requester::Requester;

/// A device or service that signs its requests.
///
/// ```no_run
/// # fn run(client: &strongroom_client::Client) -> Result<(), Box<dyn std::error::Error>> {
/// use strongroom_client::device::{AccountSecret, Device};
/// use strongroom_client::{Metadata, Protect};
///
/// let account = std::fs::read_to_string("account")?.trim().parse()?;
/// let secret = AccountSecret::from_text(&std::fs::read_to_string("secret")?).ok_or("no secret")?;
/// let meter = Device::new(client.clone(), account, secret);
/// meter.seal_message(b"4711 W", &["meters@example.com"], &Metadata::new("meter reading"))?;
/// # Ok(())
/// # }
/// ```
pub struct Device {
    client: Client,
    account: AccountId,
    secret: AccountSecret,
    /// By how many seconds the appliance's clock is ahead of this one's, as far as is known.
    clock_offset: AtomicI64,
    held: HeldKeys,
}

/// A secret that takes the place of the one that asked for it.
///
/// ```no_run
/// # fn run(device: &strongroom_client::Device) -> Result<(), Box<dyn std::error::Error>> {
/// let new = device.new_secret()?;
/// std::fs::write("secret.new", &*new.secret.to_text())?; // in the device's protected storage
/// println!("generation {}", new.generation);
/// # Ok(())
/// # }
/// ```
pub struct NewSecret {
    /// Its generation.
    pub generation: u32,
    /// The secret.
    pub secret: AccountSecret,
    /// The index of the audit leaf.
    pub leaf: u64,
}

impl Device {
    /// The device or service with this account and secret. Nothing is asked of the appliance yet.
    ///
    /// ```no_run
    /// # fn run(client: &strongroom_client::Client, paired: strongroom_client::device::Paired) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_client::Device;
    ///
    /// let device = Device::new(client.clone(), paired.account, paired.secret);
    /// println!("this is {}", device.own_account()?.name);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn new(client: Client, account: AccountId, secret: AccountSecret) -> Self {
        Self {
            client,
            account,
            secret,
            clock_offset: AtomicI64::new(0),
            held: HeldKeys::default(),
        }
    }

    /// Its account.
    ///
    /// ```no_run
    /// # fn run(device: &strongroom_client::Device) -> Result<(), strongroom_client::ClientError> {
    /// println!("account {}", device.account());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// Its account, as the appliance has it now.
    ///
    /// ```no_run
    /// # fn run(device: &strongroom_client::Device) -> Result<(), strongroom_client::ClientError> {
    /// let account = device.own_account()?;
    /// println!("{} is {:?}", account.name, account.state);
    /// # Ok(())
    /// # }
    /// ```
    pub fn own_account(&self) -> Result<Account, ClientError> {
        Ok(self.call(&Call::get("/v1/accounts/me"))?.0)
    }

    /// Obtains a key: this version of it, or the newest. As [`Session::obtain`](crate::Session::obtain).
    ///
    /// ```no_run
    /// # fn run(device: &strongroom_client::Device, key: strongroom_wire::id::KeyId) -> Result<(), strongroom_client::ClientError> {
    /// let mut released = device.obtain(key, None)?;
    /// let material = released.material()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn obtain(&self, key: KeyId, version: Option<u32>) -> Result<Released, ClientError> {
        keys::obtain_one(self, KeyVersion { key, version })
    }

    /// Obtains many keys in few requests. As [`Session::obtain_keys`](crate::Session::obtain_keys).
    ///
    /// ```no_run
    /// # fn run(device: &strongroom_client::Device, key: strongroom_wire::id::KeyId, other: strongroom_wire::id::KeyId) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_wire::key::KeyVersion;
    ///
    /// let wanted = [key, other].map(|key| KeyVersion { key, version: None });
    /// for obtained in device.obtain_keys(&wanted)? {
    ///     println!("version {}", obtained?.version());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When a request as a whole fails.
    pub fn obtain_keys(
        &self,
        keys: &[KeyVersion],
    ) -> Result<Vec<Result<Released, ClientError>>, ClientError> {
        keys::obtain(self, keys)
    }

    /// Has the appliance make keys. As [`Session::create_keys`](crate::Session::create_keys).
    ///
    /// ```no_run
    /// # fn run(device: &strongroom_client::Device) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_wire::key::{Algorithm, NewKey};
    ///
    /// let new = NewKey { label: "readings".to_owned(), ..NewKey::new(Algorithm::Aes256) };
    /// let created = device.create_keys(&[new])?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Refused`] when the appliance does not make them, with the reason.
    pub fn create_keys(&self, keys: &[NewKey]) -> Result<Vec<CreatedKey>, ClientError> {
        keys::create(self, keys)
    }

    /// Has the appliance make a key and release it in the same answer. As
    /// [`Session::create_and_obtain`](crate::Session::create_and_obtain).
    ///
    /// ```no_run
    /// # fn run(device: &strongroom_client::Device) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_wire::key::{Algorithm, NewKey};
    ///
    /// let (created, mut released) = device.create_and_obtain(NewKey::new(Algorithm::Aes256))?;
    /// let material = released.material()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn create_and_obtain(&self, key: NewKey) -> Result<(CreatedKey, Released), ClientError> {
        keys::create_and_obtain_one(self, key)
    }

    /// What it may know of a key.
    ///
    /// ```no_run
    /// # fn run(device: &strongroom_client::Device, key: strongroom_wire::id::KeyId) -> Result<(), strongroom_client::ClientError> {
    /// println!("{}", device.key(key)?.label);
    /// # Ok(())
    /// # }
    /// ```
    pub fn key(&self, key: KeyId) -> Result<Key, ClientError> {
        Ok(self.call(&Call::get(format!("/v1/keys/{key}")))?.0)
    }

    /// A page of the keys that match.
    ///
    /// ```no_run
    /// # fn run(device: &strongroom_client::Device) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_wire::key::KeyQuery;
    ///
    /// let query = KeyQuery { label: Some("configuration".to_owned()), ..KeyQuery::default() };
    /// for key in device.find_keys(&query)?.keys {
    ///     println!("{} {}", key.created, key.id);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn find_keys(&self, query: &KeyQuery) -> Result<KeyPage, ClientError> {
        Ok(self.call(&Call::find("/v1/keys", query))?.0)
    }

    /// Has the appliance make a new secret. Keep it first and use it then, by a [`Device`] with it: the old one counts until the new
    /// one has been used.
    ///
    /// ```no_run
    /// # fn run(device: &strongroom_client::Device) -> Result<(), Box<dyn std::error::Error>> {
    /// use strongroom_client::Device;
    ///
    /// let new = device.new_secret()?;
    /// std::fs::write("secret.new", &*new.secret.to_text())?; // first kept, then used
    /// # let client: strongroom_client::Client = todo!();
    /// let device = Device::new(client, device.account(), new.secret);
    /// device.own_account()?; // from here on, the old one does not count
    /// # Ok(())
    /// # }
    /// ```
    pub fn new_secret(&self) -> Result<NewSecret, ClientError> {
        let account = self.account;
        let call = Call::post(format!("/v1/accounts/{account}/secret"));
        let (issued, transport): (IssuedSecret, _) = self.call(&call)?;
        if issued.account != account {
            return Err(ClientError::AlteredMaterial);
        }
        Ok(NewSecret {
            generation: issued.generation,
            secret: transport.unwrap_secret(account, issued.generation, &issued.wrapped.0)?,
            leaf: issued.leaf,
        })
    }

    /// Makes a signed request. Where this device's clock is wrong, it is made again by the appliance's, which is then known.
    fn call<A: DeserializeOwned>(&self, call: &Call<'_>) -> Result<(A, TransportKey), ClientError> {
        // Each attempt is signed by itself: a signature counts once.
        self.client
            .attempt(|address| match self.call_once(address, call) {
                Err(ClientError::Refused(problem)) if problem.code == Code::ClockSkew => {
                    self.learn_time(&problem);
                    self.call_once(address, call)
                }
                answer => answer,
            })
    }

    fn call_once<A: DeserializeOwned>(
        &self,
        address: &str,
        call: &Call<'_>,
    ) -> Result<(A, TransportKey), ClientError> {
        let digest = content_digest(call.body());
        let (path, query) = call.path_and_query();
        let covered = Covered {
            method: call.method(),
            path,
            query,
            content_digest: &digest,
        };
        let nonce = random_nonce()?;
        let (input, signature) =
            RequestSignature::sign(&self.secret, self.account, self.now(), &nonce, &covered)
                .map_err(|_| ClientError::Library)?;
        let headers = [
            (CONTENT_DIGEST, digest.clone()),
            (SIGNATURE_INPUT, input),
            (SIGNATURE, signature),
        ];
        let (answer, response_nonce) =
            self.client
                .call_with(address, call, &headers, RESPONSE_NONCE)?;
        let response_nonce = response_nonce.ok_or_else(|| {
            self.client
                .unexpected("an answer without the header strongroom-nonce")
        })?;
        Ok((answer, self.secret.transport_key(&nonce, &response_nonce)))
    }

    /// The appliance's time, as far as is known.
    fn now(&self) -> u64 {
        local_seconds().saturating_add_signed(self.clock_offset.load(Ordering::Relaxed))
    }

    fn learn_time(&self, problem: &Problem) {
        if let Some(time) = problem.time.map(Timestamp::as_millis) {
            let offset = i128::from(time / 1000) - i128::from(local_seconds());
            let offset = i64::try_from(offset).unwrap_or_default();
            self.clock_offset.store(offset, Ordering::Relaxed);
        }
    }
}

impl Requester for Device {
    fn client(&self) -> &Client {
        &self.client
    }

    fn account_id(&self) -> AccountId {
        self.account
    }

    fn held(&self) -> &HeldKeys {
        &self.held
    }

    fn import_key(&self) -> TransportKey {
        self.secret.import_key()
    }

    fn request<A: DeserializeOwned>(
        &self,
        call: &Call<'_>,
    ) -> Result<(A, TransportKey), ClientError> {
        self.call(call)
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device")
            .field("client", &self.client)
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for NewSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewSecret")
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

fn local_seconds() -> u64 {
    // A clock before 1970 is as wrong as one that stands at it.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// 16 random bytes in base64url.
fn random_nonce() -> Result<String, ClientError> {
    let mut nonce = vec![0; 16];
    aws_lc_rs::rand::fill(&mut nonce).map_err(|_| ClientError::Library)?;
    Ok(Base64(nonce).to_text())
}
