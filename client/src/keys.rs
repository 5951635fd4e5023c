//! What an account does with its keys: create, obtain, find, share, revoke, rotate, change state, destroy.
//!
//! | module | what lives there |
//! |---|---|
//! | `released` | material that was released: for how long it may be kept, and the handle by which it is used |
//! | `many` | creating and obtaining many keys in few requests |

mod many;
mod released;

#[cfg(feature = "sessions")]
use strongroom_wire::{
    account::Done,
    id::{GrantId, KeyId},
    key::{
        ChangeState, ChangedKey, CreatedKey, Grant, Grants, Key, KeyPage, KeyQuery, KeyState,
        KeyVersion, NewKey, ShareKey, Shared,
    },
};

#[cfg(feature = "sessions")]
use crate::{ClientError, api::Call, session::Session};

pub(crate) use many::{
    create, create_and_obtain, create_and_obtain_one, create_once, import, obtain, obtain_one,
};
pub use released::Released;
pub(crate) use released::{Keep, unwrap};
#[cfg(test)]
pub(crate) use released::{now, tests};

#[cfg(feature = "sessions")]
impl Session {
    /// Has the appliance make keys. All are created or none.
    ///
    /// Where the answer is lost the request is made again and makes no other keys.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_wire::key::{Algorithm, NewKey};
    ///
    /// let new = NewKey { label: "backups".to_owned(), ..NewKey::new(Algorithm::Aes256) };
    /// for created in session.create_keys(vec![new])? {
    ///     println!("made {}, leaf {} of the audit log", created.key.id, created.leaf);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Refused`] when the appliance does not make them, with the reason.
    pub fn create_keys(&self, keys: Vec<NewKey>) -> Result<Vec<CreatedKey>, ClientError> {
        many::create(self, &keys)
    }

    /// Has the appliance make a key and release it in the same answer.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_wire::key::{Algorithm, NewKey};
    ///
    /// let (created, mut released) = session.create_and_obtain(NewKey::new(Algorithm::Aes256))?;
    /// let material = released.material()?;
    /// println!("encrypt with it, and keep {} beside the ciphertext", created.key.id);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Self::create_keys`]; [`ClientError::AlteredMaterial`] when what came is not what it released.
    pub fn create_and_obtain(&self, key: NewKey) -> Result<(CreatedKey, Released), ClientError> {
        many::create_and_obtain_one(self, key)
    }

    /// Obtains a key: this version of it, or the newest. While the appliance is away, a key that was obtained before is used as long as usage
    /// policies and [`Keeping`](crate::Keeping) allow it.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, key: strongroom_wire::id::KeyId) -> Result<(), strongroom_client::ClientError> {
    /// let mut newest = session.obtain(key, None)?; // to encrypt
    /// let mut first = session.obtain(key, Some(1))?; // to decrypt what was encrypted under version 1
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Refused`] when the appliance does not release it, with the reason;
    /// [`ClientError::AlteredMaterial`] when what came is not what it released.
    pub fn obtain(&self, key: KeyId, version: Option<u32>) -> Result<Released, ClientError> {
        many::obtain_one(self, KeyVersion { key, version })
    }

    /// Obtains many keys in few requests, each as [`Self::obtain`] does: that one is refused stops no other.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, keys: &[strongroom_wire::id::KeyId]) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_wire::key::KeyVersion;
    ///
    /// let newest: Vec<_> = keys.iter().map(|&key| KeyVersion { key, version: None }).collect();
    /// let obtained = session.obtain_keys(&newest)?;
    /// println!("{} of {}", obtained.iter().flatten().count(), keys.len());
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
        many::obtain(self, keys)
    }

    /// What the caller may know of a key.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, key: strongroom_wire::id::KeyId) -> Result<(), strongroom_client::ClientError> {
    /// let key = session.key(key)?;
    /// println!("{} is {:?}, of {}", key.label, key.state, key.owner_name);
    /// # Ok(())
    /// # }
    /// ```
    pub fn key(&self, key: KeyId) -> Result<Key, ClientError> {
        self.call(&Call::get(format!("/v1/keys/{key}")))
    }

    /// A page of the keys that match; [`KeyPage::next`] goes into [`KeyQuery::after`] for the next one.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_wire::key::KeyQuery;
    ///
    /// let query = KeyQuery { sender: Some("bob@example.com".to_owned()), limit: Some(20), ..KeyQuery::default() };
    /// for key in session.find_keys(&query)?.keys {
    ///     println!("{} {}", key.created, key.label);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn find_keys(&self, query: &KeyQuery) -> Result<KeyPage, ClientError> {
        self.call(&Call::find("/v1/keys", query))
    }

    /// All keys that match, page by page as they are taken. Ends after the first error.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_wire::key::{KeyQuery, KeyState};
    ///
    /// let suspended = KeyQuery { state: Some(KeyState::Suspended), ..KeyQuery::default() };
    /// for key in session.all_keys(suspended) {
    ///     println!("{}", key?.label);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn all_keys(&self, query: KeyQuery) -> impl Iterator<Item = Result<Key, ClientError>> {
        let mut next = Some(query);
        let pages = std::iter::from_fn(move || {
            let mut query = next.take()?;
            Some(self.find_keys(&query).map(|page| {
                if page.next.is_some() && page.next != query.after {
                    query.after = page.next;
                    next = Some(query);
                }
                page.keys
            }))
        });
        pages.flat_map(|page| match page {
            Ok(keys) => keys.into_iter().map(Ok).collect::<Vec<_>>(),
            Err(error) => vec![Err(error)],
        })
    }

    /// Gives an account a sealed copy of the key.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, key: strongroom_wire::id::KeyId) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_wire::key::{Right, ShareKey, UsagePolicy};
    ///
    /// let share = ShareKey {
    ///     grantee: "bob@example.com".to_owned(),
    ///     rights: Some(vec![Right::Release]),
    ///     policy: UsagePolicy { max_releases: Some(3), ..UsagePolicy::default() },
    /// };
    /// let shared = session.share(key, &share)?;
    /// println!("grant {}", shared.grant.id);
    /// # Ok(())
    /// # }
    /// ```
    pub fn share(&self, key: KeyId, share: &ShareKey) -> Result<Shared, ClientError> {
        self.call(&Call::post(format!("/v1/keys/{key}/grants")).with(share)?)
    }

    /// Who has the key, the owner first.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, key: strongroom_wire::id::KeyId) -> Result<(), strongroom_client::ClientError> {
    /// for grant in session.grants(key)?.grants {
    ///     println!("{}: {:?}", grant.grantee_name, grant.rights);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn grants(&self, key: KeyId) -> Result<Grants, ClientError> {
        self.call(&Call::get(format!("/v1/keys/{key}/grants")))
    }

    /// Takes a grant back: its sealed copy is deleted.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, key: strongroom_wire::id::KeyId) -> Result<(), strongroom_client::ClientError> {
    /// for grant in session.grants(key)?.grants.into_iter().skip(1) {
    ///     session.revoke(key, grant.id)?; // everybody's but the owner's
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn revoke(&self, key: KeyId, grant: GrantId) -> Result<Done, ClientError> {
        self.call(&Call::delete(format!("/v1/keys/{key}/grants/{grant}")))
    }

    /// Takes the key back from the account with this name.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, key: strongroom_wire::id::KeyId) -> Result<(), strongroom_client::ClientError> {
    /// session.revoke_from(key, "bob@example.com")?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::NoGrantTo`] when it has no active grant.
    pub fn revoke_from(&self, key: KeyId, account: &str) -> Result<(Grant, Done), ClientError> {
        let grant = self.grant_to(key, account)?;
        let done = self.revoke(key, grant.id)?;
        Ok((grant, done))
    }

    /// Makes a new version of the key. What was protected under earlier versions still opens.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, key: strongroom_wire::id::KeyId) -> Result<(), strongroom_client::ClientError> {
    /// let rotated = session.rotate(key)?;
    /// println!("now at version {}", rotated.key.version);
    /// # Ok(())
    /// # }
    /// ```
    pub fn rotate(&self, key: KeyId) -> Result<ChangedKey, ClientError> {
        self.call(&Call::post(format!("/v1/keys/{key}/rotate")))
    }

    /// Changes the key's state.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, key: strongroom_wire::id::KeyId) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_wire::key::KeyState;
    ///
    /// session.change_state(key, KeyState::Suspended)?; // nobody obtains it
    /// session.change_state(key, KeyState::Active)?; // until now
    /// # Ok(())
    /// # }
    /// ```
    pub fn change_state(&self, key: KeyId, state: KeyState) -> Result<ChangedKey, ClientError> {
        self.call(&Call::post(format!("/v1/keys/{key}/state")).with(&ChangeState { state })?)
    }

    /// Destroys the key with every copy of it. What it protects can never be opened again.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, key: strongroom_wire::id::KeyId) -> Result<(), strongroom_client::ClientError> {
    /// let destroyed = session.destroy(key)?;
    /// println!("{} opens nothing any more", destroyed.key.label);
    /// # Ok(())
    /// # }
    /// ```
    pub fn destroy(&self, key: KeyId) -> Result<ChangedKey, ClientError> {
        self.call(&Call::delete(format!("/v1/keys/{key}")))
    }
}
