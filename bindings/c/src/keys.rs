//! Keys.

use std::ffi::c_char;
use std::ptr;

use strongroom_client::operations::Operate as _;
use strongroom_client::sign_in::account_name;
use strongroom_client::{ClientError, Protect as _};
use strongroom_wire::id::KeyId;
use strongroom_wire::key::{Algorithm, Key, KeyQuery, KeyState, NewKey, Releasable, ShareKey};

use crate::client::{Who, sr_session, with};
use crate::error::{sr_error, sr_kind};
use crate::ffi::{self, Out, Outcome, entry, invalid, names, optional, shared, text, values};
use crate::messages::{policy, sr_metadata};
use crate::values::{hand_out, sr_bytes, take_back};

/// 32 bytes for AES-256 in an AEAD mode.
pub const SR_AES_256: i32 = 0;
/// 32 bytes for HMAC-SHA-256.
pub const SR_HMAC_SHA_256: i32 = 1;
/// 16 bytes for AES-128.
pub const SR_AES_128: i32 = 2;
/// 24 bytes for AES-192.
pub const SR_AES_192: i32 = 3;
/// Bytes for HMAC, or for whatever an application has them for: sr_new_key says how many.
pub const SR_GENERIC_SECRET: i32 = 4;
/// An RSA key pair with a modulus of 2048 bits.
pub const SR_RSA_2048: i32 = 5;
/// An RSA key pair with a modulus of 3072 bits.
pub const SR_RSA_3072: i32 = 6;
/// An RSA key pair with a modulus of 4096 bits.
pub const SR_RSA_4096: i32 = 7;
/// A key pair on the curve P-256.
pub const SR_EC_P256: i32 = 8;
/// A key pair on the curve P-384.
pub const SR_EC_P384: i32 = 9;
/// A key pair on the curve P-521.
pub const SR_EC_P521: i32 = 10;
/// A key pair for Ed25519.
pub const SR_ED25519: i32 = 11;
/// A key pair for X25519.
pub const SR_X25519: i32 = 12;
/// A key pair for ML-DSA-65.
pub const SR_ML_DSA_65: i32 = 13;
/// A key pair for ML-KEM-768.
pub const SR_ML_KEM_768: i32 = 14;

/// Every algorithm with its number.
const ALGORITHMS: &[(i32, Algorithm)] = &[
    (SR_AES_256, Algorithm::Aes256),
    (SR_HMAC_SHA_256, Algorithm::HmacSha256),
    (SR_AES_128, Algorithm::Aes128),
    (SR_AES_192, Algorithm::Aes192),
    (SR_GENERIC_SECRET, Algorithm::GenericSecret),
    (SR_RSA_2048, Algorithm::Rsa2048),
    (SR_RSA_3072, Algorithm::Rsa3072),
    (SR_RSA_4096, Algorithm::Rsa4096),
    (SR_EC_P256, Algorithm::EcP256),
    (SR_EC_P384, Algorithm::EcP384),
    (SR_EC_P521, Algorithm::EcP521),
    (SR_ED25519, Algorithm::Ed25519),
    (SR_X25519, Algorithm::X25519),
    (SR_ML_DSA_65, Algorithm::MlDsa65),
    (SR_ML_KEM_768, Algorithm::MlKem768),
];

/// A key that is to be made or brought. What is 0 or NULL says nothing: `sr_new_key new = {.algorithm = SR_EC_P256};`.
#[repr(C)]
pub struct sr_new_key {
    /// What it is for: SR_AES_256, SR_EC_P256, SR_ED25519 or another.
    pub algorithm: i32,
    /// Where it is not 0 its material goes to nobody, ever: the appliance uses it for those who may. This cannot be changed later.
    pub no_release: i32,
    /// The length of a generic secret in bytes, 1 to 1024; with 0 it is 32.
    pub length: u16,
    /// The names of the accounts that receive it, besides oneself.
    pub recipients: *const *const c_char,
    /// How many there are.
    pub recipients_count: usize,
    /// Its label and policy; may be NULL.
    pub metadata: *const sr_metadata,
}

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
    /// What it is for, such as SR_AES_256.
    pub algorithm: i32,
    /// Whether its material goes to nobody, ever.
    pub no_release: bool,
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
            algorithm: number_of(key.algorithm),
            no_release: !key.releasable.is_by_policy(),
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

impl sr_new_key {
    /// # Safety
    /// It is NULL or as the header says.
    unsafe fn read(new: *const Self) -> Outcome<NewKey> {
        // SAFETY: as this function's.
        unsafe {
            let new = shared(new, "the new key")?;
            let metadata = sr_metadata::read(new.metadata)?;
            let recipients = names(new.recipients, new.recipients_count)?;
            let releasable = match new.no_release {
                0 => Releasable::ByPolicy,
                _ => Releasable::Never,
            };
            Ok(NewKey {
                label: metadata.label,
                content_type: metadata.content_type,
                recipients: recipients.into_iter().map(account_name).collect(),
                policy: metadata.policy,
                releasable,
                length: (new.length > 0).then_some(new.length),
                ..NewKey::new(algorithm(new.algorithm)?)
            })
        }
    }
}

fn algorithm(number: i32) -> Outcome<Algorithm> {
    let known = ALGORITHMS.iter().find(|(known, _)| *known == number);
    known
        .map(|(_, algorithm)| *algorithm)
        .ok_or_else(|| invalid("there is no such algorithm"))
}

/// The number of an algorithm; -1 for one that this list has not.
pub(crate) fn number_of(algorithm: Algorithm) -> i32 {
    let known = ALGORITHMS.iter().find(|(_, known)| *known == algorithm);
    known.map_or(-1, |(number, _)| *number)
}

/// # Safety
/// As [`ffi::text`].
pub(crate) unsafe fn identifier(key: *const c_char) -> Outcome<KeyId> {
    // SAFETY: as this function's.
    let key = unsafe { text(key, "the key") }?.trim().parse();
    key.map_err(|_| invalid("that is no key's identifier"))
}

/// Has the appliance make a key. `key` receives its identifier, freed with sr_text_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_key_create(
    session: *const sr_session,
    new_key: *const sr_new_key,
    key: *mut *mut c_char,
    error: *mut *mut sr_error,
) -> sr_kind {
    // SAFETY: the caller keeps to the header's rules.
    unsafe {
        entry(error, || {
            let out = Out::new(key, ptr::null_mut())?;
            let new = sr_new_key::read(new_key)?;
            let made = match &shared(session, "the session")?.0 {
                Who::Session(session) => session.create_keys(vec![new])?,
                Who::Device(device) => device.create_keys(&[new])?,
            };
            let made = made.first().ok_or(ClientError::Library)?;
            out.set(|| hand_out(&made.key.id.to_string()));
            Ok(())
        })
    }
}

/// Brings an existing key: the bytes of a secret key, or a private key as PKCS #8 in DER. It is checked, and recorded as brought. On its way it
/// is wrapped under the transport key. `key` receives its identifier, freed with sr_text_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_key_import(
    session: *const sr_session,
    new_key: *const sr_new_key,
    material: *const u8,
    material_length: usize,
    key: *mut *mut c_char,
    error: *mut *mut sr_error,
) -> sr_kind {
    // SAFETY: the caller keeps to the header's rules.
    unsafe {
        entry(error, || {
            let out = Out::new(key, ptr::null_mut())?;
            let new = sr_new_key::read(new_key)?;
            let material = values(material, material_length, "the material")?;
            let session = shared(session, "the session")?;
            let made = with!(session, |who| who.import_key(new, material))?;
            out.set(|| hand_out(&made.key.id.to_string()));
            Ok(())
        })
    }
}

/// Obtains a key: this version of it, or with 0 the newest.
///
/// `material` receives its bytes, which sr_bytes_free overwrites: free it as soon as it was used, and no later than the usage policy says.
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn each_algorithm_has_a_number() {
        assert_eq!(ALGORITHMS.len(), Algorithm::ALL.len());
        for &wanted in Algorithm::ALL {
            assert_eq!(algorithm(number_of(wanted)).unwrap(), wanted);
        }
        assert!(algorithm(-1).is_err());
        assert!(algorithm(i32::MAX).is_err());
    }
}
