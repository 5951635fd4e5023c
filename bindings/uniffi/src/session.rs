//! What can be done in a session, and by a device that signs its requests.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use strongroom_client::object::HttpRange;
use strongroom_client::sign_in::account_name;
use strongroom_client::{ClientError, Protect as _, Roots, message};
use strongroom_wire::id::KeyId;
use strongroom_wire::key::{KeyVersion, ShareKey};

use crate::keys::{identifier, moment, to_rights};
use crate::objects::{self, FromRanges, FromSource, ToSink};
use crate::{
    AccountKind, ByteSink, ByteSource, CreatedKey, Grant, Key, KeyPage, KeyQuery, KeyState,
    Metadata, NewKey, ObjectAt, ObjectReader, ObjectWriter, Obtained, OpenOutcome, Opened,
    Outgoing, Protected, Protection, RangeSource, Released, Right, Sealed, StrongroomError,
    UsagePolicy,
};

/// Who is signed in.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Account {
    /// The account's identifier.
    pub id: String,
    /// Its name in the domain.
    pub name: String,
    /// What it stands for.
    pub kind: AccountKind,
}

impl From<&strongroom_wire::account::Account> for Account {
    fn from(account: &strongroom_wire::account::Account) -> Self {
        Self {
            id: account.id.to_string(),
            name: account.name.clone(),
            kind: account.kind.into(),
        }
    }
}

/// An account signed in at an appliance.
#[derive(uniffi::Object)]
pub struct Session {
    account: Account,
    expires: SystemTime,
    /// None once it was ended.
    inner: RwLock<Option<Arc<strongroom_client::Session>>>,
}

/// A device or service that signs each of its requests with its account's secret. It has no session that could end.
#[derive(uniffi::Object)]
pub struct Device {
    inner: Arc<strongroom_client::Device>,
}

impl Session {
    pub(crate) fn new(session: strongroom_client::Session) -> Arc<Self> {
        Arc::new(Self {
            account: session.account().into(),
            expires: moment(session.expires()),
            inner: RwLock::new(Some(Arc::new(session))),
        })
    }

    pub(crate) fn inner(&self) -> Result<Arc<strongroom_client::Session>, StrongroomError> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        inner.clone().ok_or(ClientError::NotSignedIn.into())
    }
}

impl Device {
    pub(crate) fn new(device: strongroom_client::Device) -> Arc<Self> {
        Arc::new(Self {
            inner: Arc::new(device),
        })
    }

    #[expect(
        clippy::unnecessary_wraps,
        reason = "as a session's, which can have ended"
    )]
    pub(crate) fn inner(&self) -> Result<Arc<strongroom_client::Device>, StrongroomError> {
        Ok(Arc::clone(&self.inner))
    }
}

/// What both can do.
macro_rules! protects {
    ($who:ident) => {
        #[uniffi::export]
        impl $who {
            /// Seals a message for the accounts with these names, and for oneself.
            pub fn seal_message(
                &self,
                plaintext: Vec<u8>,
                recipients: Vec<String>,
                metadata: Metadata,
            ) -> Result<Sealed, StrongroomError> {
                let recipients: Vec<_> = recipients.iter().map(String::as_str).collect();
                let metadata = metadata.try_into()?;
                let sealed = self
                    .inner()?
                    .seal_message(&plaintext, &recipients, &metadata)?;
                Ok(sealed.into())
            }

            /// Seals many messages, each under a key of its own, in few requests: a thousand take one.
            pub fn seal_messages(
                &self,
                messages: Vec<Outgoing>,
            ) -> Result<Vec<Sealed>, StrongroomError> {
                let mut parts = Vec::with_capacity(messages.len());
                for message in &messages {
                    let metadata: strongroom_client::Metadata =
                        message.metadata.clone().try_into()?;
                    let recipients: Vec<_> =
                        message.recipients.iter().map(String::as_str).collect();
                    parts.push((metadata, recipients));
                }
                let outgoing: Vec<_> = messages
                    .iter()
                    .zip(&parts)
                    .map(|(message, (metadata, recipients))| message::Outgoing {
                        plaintext: &message.plaintext,
                        recipients,
                        metadata,
                    })
                    .collect();
                let sealed = self.inner()?.seal_messages(&outgoing)?;
                Ok(sealed.into_iter().map(Into::into).collect())
            }

            /// Opens a message: reads its envelope, obtains its key, and authenticates it.
            pub fn open_message(&self, bytes: Vec<u8>) -> Result<Opened, StrongroomError> {
                Ok(self.inner()?.open_message(&bytes)?.into())
            }

            /// Opens many messages in few requests: a thousand take one. That one of them is refused stops no other.
            pub fn open_messages(
                &self,
                messages: Vec<Vec<u8>>,
            ) -> Result<Vec<OpenOutcome>, StrongroomError> {
                let outcomes = self.inner()?.open_messages(&messages)?;
                let outcome = |outcome: Result<message::Opened, ClientError>| match outcome {
                    Ok(opened) => OpenOutcome::Opened {
                        message: opened.into(),
                    },
                    Err(error) => OpenOutcome::Refused {
                        failure: (&error).into(),
                    },
                };
                Ok(outcomes.into_iter().map(outcome).collect())
            }

            /// Protects all that `source` gives under a new key, and writes the object to `sink`. When it fails, what was written is no object
            /// and is to be discarded; the key, if it was made, is destroyed again.
            pub fn protect(
                &self,
                protection: Protection,
                source: Arc<dyn ByteSource>,
                sink: Arc<dyn ByteSink>,
            ) -> Result<Protected, StrongroomError> {
                let protection = protection.resolve(None)?;
                let (mut source, mut sink) = (FromSource::buffered(source), ToSink::buffered(sink));
                let protected = self.inner()?.protect(&protection, &mut source, &mut sink)?;
                std::io::Write::flush(&mut sink).map_err(StrongroomError::of_stream)?;
                Ok(protected.into())
            }

            /// Makes a key and writes the header of an object under it: what is written to the answer is encrypted into `sink`.
            pub fn writer(
                &self,
                protection: Protection,
                sink: Arc<dyn ByteSink>,
            ) -> Result<Arc<ObjectWriter>, StrongroomError> {
                let protection = protection.resolve(None)?;
                let writer = self.inner()?.writer(&protection, ToSink::buffered(sink))?;
                Ok(ObjectWriter::new(writer))
            }

            /// Protects a file. The object appears under the name `to` when it is complete, and replaces no file.
            pub fn protect_file(
                &self,
                from: String,
                to: String,
                protection: Protection,
            ) -> Result<Protected, StrongroomError> {
                let protection = protection.resolve(Some(Path::new(&from)))?;
                let protected =
                    self.inner()?
                        .protect_file(Path::new(&from), Path::new(&to), &protection)?;
                Ok(protected.into())
            }

            /// Opens an object: reads its header, obtains its key, and gives the reader of its content.
            pub fn open(
                &self,
                source: Arc<dyn ByteSource>,
            ) -> Result<Arc<ObjectReader>, StrongroomError> {
                let object = self.inner()?.open(FromSource::buffered(source))?;
                Ok(ObjectReader::new(object))
            }

            /// Opens an object into a file, which only its owner may read. It appears under the name `to` when the whole object has been
            /// authenticated, and replaces no file. Answers the length in bytes.
            pub fn open_file(&self, from: String, to: String) -> Result<u64, StrongroomError> {
                Ok(self.inner()?.open_file(Path::new(&from), Path::new(&to))?)
            }

            /// Opens an object whose bytes come in ranges. Any part of its content is read without what stands before it.
            pub fn open_at(
                &self,
                source: Arc<dyn RangeSource>,
            ) -> Result<Arc<ObjectAt>, StrongroomError> {
                let object = self
                    .inner()?
                    .open_at(Box::new(FromRanges(source)) as Box<_>)?;
                Ok(ObjectAt::new(object))
            }

            /// Opens an object in a file, to read any part of it.
            pub fn open_file_at(&self, path: String) -> Result<Arc<ObjectAt>, StrongroomError> {
                Ok(ObjectAt::new(self.inner()?.open_at(objects::file(&path)?)?))
            }

            /// Opens an object behind an address that gives ranges, such as somebody's cloud storage, for which the authorities in `ca` (PEM)
            /// vouch: only what is read is fetched.
            pub fn open_url_at(
                &self,
                url: String,
                ca: Vec<u8>,
            ) -> Result<Arc<ObjectAt>, StrongroomError> {
                let source = HttpRange::new(&url, &Roots::from_pem(&ca)?)?;
                Ok(ObjectAt::new(
                    self.inner()?.open_at(Box::new(source) as Box<_>)?,
                ))
            }

            /// Has the appliance make a key and release it in the same answer.
            pub fn create_and_obtain(&self, key: NewKey) -> Result<CreatedKey, StrongroomError> {
                let (created, released) = self.inner()?.create_and_obtain(key.try_into()?)?;
                Ok(CreatedKey {
                    key: created.key.into(),
                    released: Released::new(released),
                })
            }

            /// Obtains a key: this version of it, or the newest. While the appliance is away, a key that was obtained before is used as long as
            /// usage policies allow it.
            #[uniffi::method(default(version = None))]
            pub fn obtain(
                &self,
                key: String,
                version: Option<u32>,
            ) -> Result<Arc<Released>, StrongroomError> {
                let released = self.inner()?.obtain(identifier(&key)?, version)?;
                Ok(Released::new(released))
            }

            /// Obtains the newest versions of many keys in few requests. That one of them is refused stops no other.
            pub fn obtain_keys(&self, keys: Vec<String>) -> Result<Vec<Obtained>, StrongroomError> {
                let wanted = |key: &String| {
                    Ok(KeyVersion {
                        key: identifier(key)?,
                        version: None,
                    })
                };
                let keys: Vec<_> = keys
                    .iter()
                    .map(wanted)
                    .collect::<Result<_, StrongroomError>>()?;
                let obtained = self.inner()?.obtain_keys(&keys)?;
                let outcome =
                    |outcome: Result<strongroom_client::Released, ClientError>| match outcome {
                        Ok(released) => Obtained::Released {
                            released: Released::new(released),
                        },
                        Err(error) => Obtained::Refused {
                            failure: (&error).into(),
                        },
                    };
                Ok(obtained.into_iter().map(outcome).collect())
            }

            /// What the caller may know of a key.
            pub fn key(&self, key: String) -> Result<Key, StrongroomError> {
                Ok(self.inner()?.key(identifier(&key)?)?.into())
            }

            /// A page of the keys that match.
            pub fn find_keys(&self, query: KeyQuery) -> Result<KeyPage, StrongroomError> {
                Ok(self.inner()?.find_keys(&query.try_into()?)?.into())
            }

            /// Changes for how many seconds obtained keys are held for further use: without asking the appliance, and while it is away.
            /// Usage policies come first.
            pub fn keep_keys(&self, fresh_for: u64, at_most: u64) -> Result<(), StrongroomError> {
                self.inner()?.keep_keys(strongroom_client::Keeping {
                    fresh_for: Duration::from_secs(fresh_for),
                    at_most: Duration::from_secs(at_most),
                });
                Ok(())
            }

            /// Overwrites every key that is held, and the material of all that were obtained here.
            pub fn forget(&self) -> Result<(), StrongroomError> {
                self.inner()?.forget();
                Ok(())
            }

            /// The same for one key.
            pub fn forget_key(&self, key: String) -> Result<(), StrongroomError> {
                self.inner()?.forget_key(identifier(&key)?);
                Ok(())
            }
        }
    };
}

protects!(Session);
protects!(Device);

#[uniffi::export]
impl Session {
    /// Who is signed in.
    #[must_use]
    pub fn account(&self) -> Account {
        self.account.clone()
    }

    /// When the session ends by itself.
    #[must_use]
    pub fn expires(&self) -> SystemTime {
        self.expires
    }

    /// Signs in again in this session, where something needs a recent sign-in.
    pub fn step_up(&self, password: Vec<u8>) -> Result<(), StrongroomError> {
        self.inner()?.step_up(&password)?;
        Ok(())
    }

    /// Has the appliance make keys. All are created or none.
    pub fn create_keys(&self, keys: Vec<NewKey>) -> Result<Vec<Key>, StrongroomError> {
        let created = self.inner()?.create_keys(new_keys(keys)?)?;
        Ok(created
            .into_iter()
            .map(|created| created.key.into())
            .collect())
    }

    /// Gives an account a sealed copy of the key. Where no rights are named it may open what the key protects, and nothing more.
    #[uniffi::method(default(rights = None, policy = None))]
    pub fn share(
        &self,
        key: String,
        grantee: String,
        rights: Option<Vec<Right>>,
        policy: Option<UsagePolicy>,
    ) -> Result<Grant, StrongroomError> {
        let share = ShareKey {
            grantee: account_name(&grantee),
            rights: rights.map(to_rights),
            policy: policy.unwrap_or_default().try_into()?,
        };
        Ok(self.inner()?.share(identifier(&key)?, &share)?.grant.into())
    }

    /// Who has the key, the owner first.
    pub fn grants(&self, key: String) -> Result<Vec<Grant>, StrongroomError> {
        let grants = self.inner()?.grants(identifier(&key)?)?.grants;
        Ok(grants.into_iter().map(Into::into).collect())
    }

    /// Takes the key back from the account with this name.
    pub fn revoke_from(&self, key: String, account: String) -> Result<Grant, StrongroomError> {
        let key = identifier(&key)?;
        let (grant, _) = self.inner()?.revoke_from(key, &account_name(&account))?;
        Ok(grant.into())
    }

    /// Makes a new version of the key. What was protected under earlier versions still opens.
    pub fn rotate(&self, key: String) -> Result<Key, StrongroomError> {
        Ok(self.inner()?.rotate(identifier(&key)?)?.key.into())
    }

    /// Changes the key's state.
    pub fn change_state(&self, key: String, state: KeyState) -> Result<Key, StrongroomError> {
        let key: KeyId = identifier(&key)?;
        Ok(self.inner()?.change_state(key, state.into())?.key.into())
    }

    /// Destroys the key with every copy of it. What it protects can never be opened again.
    pub fn destroy_key(&self, key: String) -> Result<Key, StrongroomError> {
        Ok(self.inner()?.destroy(identifier(&key)?)?.key.into())
    }

    /// Ends the session at the appliance and forgets its secrets and keys. What is still being read or written goes on.
    pub fn end(&self) -> Result<(), StrongroomError> {
        let inner = self
            .inner
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(session) = inner {
            session.forget();
            session.end_session(session.id())?;
        }
        Ok(())
    }
}

#[uniffi::export]
impl Device {
    /// Its account, as the appliance has it now.
    pub fn account(&self) -> Result<Account, StrongroomError> {
        Ok((&self.inner.own_account()?).into())
    }

    /// Has the appliance make keys. All are created or none.
    pub fn create_keys(&self, keys: Vec<NewKey>) -> Result<Vec<Key>, StrongroomError> {
        let created = self.inner.create_keys(&new_keys(keys)?)?;
        Ok(created
            .into_iter()
            .map(|created| created.key.into())
            .collect())
    }
}

fn new_keys(keys: Vec<NewKey>) -> Result<Vec<strongroom_wire::key::NewKey>, StrongroomError> {
    keys.into_iter().map(TryInto::try_into).collect()
}
