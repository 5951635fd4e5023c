//! Keys.

use std::ffi::c_char;
use std::ptr;

use strongroom_client::Protect as _;
use strongroom_client::sign_in::account_name;
use strongroom_wire::id::KeyId;
use strongroom_wire::key::{Algorithm, Key, KeyQuery, KeyState, NewKey, ShareKey};

use crate::client::{sr_session, with};
use crate::error::{sr_error, sr_kind};
use crate::ffi::{self, Out, Outcome, entry, invalid, names, optional, shared, text};
use crate::messages::{policy, sr_metadata};
use crate::values::{hand_out, sr_bytes, take_back};

/// 32 bytes for AES-256 in an AEAD mode.
pub const SR_AES_256: i32 = 0;
/// 32 bytes for HMAC-SHA-256.
pub const SR_HMAC_SHA_256: i32 = 1;

/// A key as an account with a grant to it sees it.
#[repr(C)]
pub struct sr_key {
    /// Its identifier.
    pub id: *mut c_char,
    /// Its state (NIST SP 800-57), such as `active`.
    pub state: *mut c_char,
    /// The name for people.
    pub label: *mut c_char,
    /// The owner's name.
    pub owner: *mut c_char,
    /// The name of who created it: the sender of what it protects.
    pub sender: *mut c_char,
    /// The newest version; the first is 1.
    pub version: u32,
    /// When it was created, in milliseconds since 1970.
    pub created: u64,
}

/// A page of keys, the newest first. Freed with sr_keys_free.
#[repr(C)]
pub struct sr_keys {
    /// The keys; they are freed with the page.
    pub keys: *mut sr_key,
    /// How many there are.
    pub count: usize,
    /// Given as `after` it brings the next page; NULL on the last.
    pub next: *mut c_char,
}

/// Which keys to find. What is not NULL must all match.
#[repr(C)]
pub struct sr_key_query {
    /// The label contains this.
    pub label: *const c_char,
    /// The sender's name is this.
    pub sender: *const c_char,
    /// One of the recipients' names is this.
    pub recipient: *const c_char,
    /// Go on after this key: what the page before said.
    pub after: *const c_char,
}

impl sr_key {
    fn new(key: &Key) -> Self {
        Self {
            id: hand_out(&key.id.to_string()),
            state: hand_out(state(key.state)),
            label: hand_out(&key.label),
            owner: hand_out(&key.owner_name),
            sender: hand_out(&key.sender),
            version: key.version,
            created: key.created.as_millis(),
        }
    }
}

impl Drop for sr_key {
    fn drop(&mut self) {
        for text in [self.id, self.state, self.label, self.owner, self.sender] {
            // SAFETY: they were handed out by `new`, and are taken back here alone.
            unsafe { take_back(text) };
        }
    }
}

impl Drop for sr_keys {
    fn drop(&mut self) {
        // SAFETY: both are what `sr_keys_find` made of a box and a text.
        unsafe {
            if !self.keys.is_null() {
                let keys = ptr::slice_from_raw_parts_mut(self.keys, self.count);
                drop(Box::from_raw(keys));
            }
            take_back(self.next);
        }
    }
}

fn state(state: KeyState) -> &'static str {
    match state {
        KeyState::PreActive => "pre-active",
        KeyState::Active => "active",
        KeyState::Suspended => "suspended",
        KeyState::Deactivated => "deactivated",
        KeyState::Compromised => "compromised",
        KeyState::Destroyed => "destroyed",
    }
}

/// # Safety
/// As [`ffi::text`].
unsafe fn identifier(key: *const c_char) -> Outcome<KeyId> {
    // SAFETY: as this function's.
    let key = unsafe { text(key, "the key") }?.trim().parse();
    key.map_err(|_| invalid("that is no key's identifier"))
}

/// Has the appliance make a key: SR_AES_256 or SR_HMAC_SHA_256. `metadata` says its label and policy. `key` receives its identifier, freed with
/// sr_text_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_key_create(
    session: *const sr_session,
    algorithm: i32,
    recipients: *const *const c_char,
    recipients_count: usize,
    metadata: *const sr_metadata,
    key: *mut *mut c_char,
    error: *mut *mut sr_error,
) -> sr_kind {
    // SAFETY: the caller keeps to the header's rules.
    unsafe {
        entry(error, || {
            let out = Out::new(key, ptr::null_mut())?;
            let metadata = sr_metadata::read(metadata)?;
            let recipients = names(recipients, recipients_count)?;
            let algorithm = match algorithm {
                SR_AES_256 => Algorithm::Aes256,
                SR_HMAC_SHA_256 => Algorithm::HmacSha256,
                _ => return Err(invalid("there is no such algorithm")),
            };
            let new = NewKey {
                label: metadata.label,
                content_type: metadata.content_type,
                recipients: recipients.into_iter().map(account_name).collect(),
                policy: metadata.policy,
                ..NewKey::new(algorithm)
            };
            let session = shared(session, "the session")?;
            let (created, _) = with!(session, |who| who.create_and_obtain(new))?;
            out.set(|| hand_out(&created.key.id.to_string()));
            Ok(())
        })
    }
}

/// Obtains a key: this version of it, or with 0 the newest.
///
/// `material` receives its 32 bytes, which sr_bytes_free overwrites: free it as soon as it was used, and no later than the usage policy says.
/// `obtained_version` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_key_obtain(
    session: *const sr_session,
    key: *const c_char,
    version: u32,
    material: *mut sr_bytes,
    obtained_version: *mut u32,
    error: *mut *mut sr_error,
) -> sr_kind {
    // SAFETY: the caller keeps to the header's rules.
    unsafe {
        entry(error, || {
            let out = Out::new(material, sr_bytes::NONE)?;
            let out_version = Out::optional(obtained_version, 0);
            let key = identifier(key)?;
            let version = (version > 0).then_some(version);
            let session = shared(session, "the session")?;
            let mut released = with!(session, |who| who.obtain(key, version))?;
            out_version.set(|| released.version());
            let mut material = released.material()?;
            out.set(|| sr_bytes::new(std::mem::take(&mut *material)));
            Ok(())
        })
    }
}

/// Gives an account the key: what it protects may be opened then, under `policy_json` (the JSON object UsagePolicy), which may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_key_share(
    session: *const sr_session,
    key: *const c_char,
    grantee: *const c_char,
    policy_json: *const c_char,
    error: *mut *mut sr_error,
) -> sr_kind {
    // SAFETY: the caller keeps to the header's rules.
    unsafe {
        entry(error, || {
            let share = ShareKey {
                grantee: account_name(text(grantee, "the grantee")?),
                rights: None,
                policy: policy(policy_json)?,
            };
            let key = identifier(key)?;
            shared(session, "the session")?
                .signed_in()?
                .share(key, &share)?;
            Ok(())
        })
    }
}

/// Takes the key back from the account with this name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_key_revoke(
    session: *const sr_session,
    key: *const c_char,
    account: *const c_char,
    error: *mut *mut sr_error,
) -> sr_kind {
    // SAFETY: the caller keeps to the header's rules.
    unsafe {
        entry(error, || {
            let (key, account) = (
                identifier(key)?,
                account_name(text(account, "the account")?),
            );
            shared(session, "the session")?
                .signed_in()?
                .revoke_from(key, &account)?;
            Ok(())
        })
    }
}

/// Makes a new version of the key. What was protected under earlier versions still opens. `version`, which may be NULL, receives its number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_key_rotate(
    session: *const sr_session,
    key: *const c_char,
    version: *mut u32,
    error: *mut *mut sr_error,
) -> sr_kind {
    // SAFETY: the caller keeps to the header's rules.
    unsafe {
        entry(error, || {
            let out = Out::optional(version, 0);
            let key = identifier(key)?;
            let changed = shared(session, "the session")?.signed_in()?.rotate(key)?;
            out.set(|| changed.key.version);
            Ok(())
        })
    }
}

/// Destroys the key with every copy of it. What it protects can never be opened again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_key_destroy(
    session: *const sr_session,
    key: *const c_char,
    error: *mut *mut sr_error,
) -> sr_kind {
    // SAFETY: the caller keeps to the header's rules.
    unsafe {
        entry(error, || {
            let key = identifier(key)?;
            shared(session, "the session")?.signed_in()?.destroy(key)?;
            Ok(())
        })
    }
}

/// A page of the keys that match `query`, or of all where it is NULL. Free it with sr_keys_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_keys_find(
    session: *const sr_session,
    query: *const sr_key_query,
    keys: *mut *mut sr_keys,
    error: *mut *mut sr_error,
) -> sr_kind {
    // SAFETY: the caller keeps to the header's rules.
    unsafe {
        entry(error, || {
            let out = Out::new(keys, ptr::null_mut())?;
            let mut wanted = KeyQuery::default();
            if let Some(query) = query.as_ref() {
                wanted.label = optional(query.label, "the label")?.map(str::to_owned);
                wanted.sender = optional(query.sender, "the sender")?.map(account_name);
                wanted.recipient = optional(query.recipient, "the recipient")?.map(account_name);
                if !query.after.is_null() {
                    wanted.after = Some(identifier(query.after)?);
                }
            }
            let session = shared(session, "the session")?;
            let page = with!(session, |who| who.find_keys(&wanted))?;
            let found: Box<[sr_key]> = page.keys.iter().map(sr_key::new).collect();
            out.set(|| {
                let count = found.len();
                let keys = Box::leak(found).as_mut_ptr();
                let next = page.next.map(|key| hand_out(&key.to_string()));
                Box::into_raw(Box::new(sr_keys {
                    keys,
                    count,
                    next: next.unwrap_or(ptr::null_mut()),
                }))
            });
            Ok(())
        })
    }
}

/// Frees a page of keys.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_keys_free(keys: *mut sr_keys) {
    // SAFETY: the caller keeps to the header's rules.
    unsafe { ffi::free(keys) };
}

/// Overwrites the key with this identifier where it is held here, or with NULL all keys that are.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_forget(
    session: *const sr_session,
    key: *const c_char,
    error: *mut *mut sr_error,
) -> sr_kind {
    // SAFETY: the caller keeps to the header's rules.
    unsafe {
        entry(error, || {
            let session = shared(session, "the session")?;
            if key.is_null() {
                with!(session, |who| who.forget());
            } else {
                let key = identifier(key)?;
                with!(session, |who| who.forget_key(key));
            }
            Ok(())
        })
    }
}
