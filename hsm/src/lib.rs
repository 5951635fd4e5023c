//! The hardware security module (HSM): the one place where master KEKs live and are used.
//!
//! ```text
//! lib.rs       the [`Hsm`] trait: all that the rest of Strongroom may ask of an HSM
//! named.rs     the [`NamedKeys`] trait: named keys that the HSM generates and uses
//! types.rs     what goes in and comes out: AES-256 keys, wrapped keys, names of master KEKs
//! error.rs     everything that can go wrong, in words an operator can act on
//! pkcs11/      the backend for every HSM with a PKCS#11 module
//!   mod.rs       configuration and the trait's implementation
//!   module.rs    the loaded module: one for each process; slots; initialising a token
//!   token.rs     one token: finding it by its label, opening a session, logging in
//!   pool.rs      the logged-in sessions shared by all threads, and what happens when one fails
//!   keys.rs      templates, finding keys by label, checking that they are protected
//!   recovery.rs  recovery KEKs, master KEKs wrapped under them, and the way back
//!   named.rs     named keys: using, finding and destroying them
//!   named/       named keys as they are made
//!   spki.rs      public keys as `SubjectPublicKeyInfo`
//!   pin.rs       the PIN and its file
//!   rv.rs        CKR codes: their names and what each means for us
//!   selector.rs  which token is meant: a label or an RFC 7512 URI
//!   wrapping.rs  the mechanisms that wrap, the best first
//!   report.rs    what a token offers and how fast it is
//! supervised/  one or two HSMs that may come and go, as one `Hsm` that never hangs
//!   mod.rs       configuration and the trait's implementation: which HSM a call goes to
//!   member.rs    one HSM: its state, opening and probing it
//!   runner.rs    bounded threads for calls that may never come back
//!   named.rs     named keys, of which each is in one HSM
//!   versions.rs  which versions of a master KEK are in service, where HSMs do not hold the same
//!   status.rs    what an HSM is doing, for logs, metrics and health
//! yubihsm/     the backend for the YubiHSM 2 (feature `yubihsm`, on by default; `usb`, off)
//!   mod.rs       configuration and the trait's implementation
//!   device.rs    the connection, the session, the device's errors
//!   objects.rs   labels, identifiers and capabilities of objects; finding and checking them
//!   passing.rs   wrapping and unwrapping: account KEKs pass through as opaque objects
//!   recovery.rs  recovery KEKs, master KEKs wrapped under them, and the way back
//!   log.rs       the device's own log
//!   provision.rs authentication keys: the appliance's own, and the end of the factory's
//! ```
//!
//! A further backend is a sibling of `pkcs11/` which implements [`Hsm`] and passes `tests/conformance` unchanged.
//!
//! What must never happen here:
//! - a master KEK or a signing key leaves the HSM, or one that could leave it is used;
//! - a key, a PIN or a wrapped key's content stands in an error, a log line or a `Debug` output;
//! - a wrong PIN is tried twice: an HSM locks itself after a few;
//! - this crate knows of accounts, grants or any other thing above it.

#![forbid(unsafe_code)]

mod error;
mod named;
pub mod pkcs11;
pub mod supervised;
mod types;
#[cfg(feature = "yubihsm")]
pub mod yubihsm;

pub use error::HsmError;
pub use named::{
    NamedHash, NamedKeyId, NamedKeyType, NamedKeys, NamedMechanism, NamedOffer, NamedWork,
};
pub use types::{
    AES256_KEY_LEN, Aes256Key, DeviceLog, DeviceLogEntry, Ed25519PublicKey, MasterKekId,
    RecoveryBlob, RecoveryKekId, TokenInfo, WrapScheme, WrappedKey,
};

/// What Strongroom asks of an HSM.
///
/// Every call may block for as long as the HSM takes: call it from a thread that may wait. All methods may be
/// called from many threads at once.
pub trait Hsm: Send + Sync {
    /// Describes the token in use. It asks the HSM each time, so it also tells whether the HSM is there.
    fn token_info(&self) -> Result<TokenInfo, HsmError>;

    /// Generates a master KEK inside the HSM: AES-256, sensitive, non-extractable, for wrapping and unwrapping only.
    ///
    /// # Errors
    /// [`HsmError::KeyExists`] when that version exists; it is never replaced.
    fn generate_master_kek(&self, id: &MasterKekId) -> Result<(), HsmError>;

    /// The versions of the master KEK that the HSM holds for `domain`, in ascending order; empty when there is none.
    fn master_kek_versions(&self, domain: &str) -> Result<Vec<u32>, HsmError>;

    /// Destroys a master KEK inside the HSM. What it wrapped can then be unwrapped by nobody: call it only once nothing is left.
    ///
    /// # Errors
    /// [`HsmError::KeyNotFound`] when the HSM does not hold that version.
    fn destroy_master_kek(&self, id: &MasterKekId) -> Result<(), HsmError>;

    /// Wraps `key` under the master KEK `kek`, inside the HSM.
    fn wrap(&self, kek: &MasterKekId, key: &Aes256Key) -> Result<WrappedKey, HsmError>;

    /// Unwraps `wrapped`, inside the HSM, under the version of the master KEK of `domain` that it names.
    ///
    /// # Errors
    /// [`HsmError::WrappedKeyRejected`] when the integrity check fails: the wrapped key was altered, or another
    /// domain's or version's master KEK made it.
    fn unwrap(&self, domain: &str, wrapped: &WrappedKey) -> Result<Aes256Key, HsmError>;

    /// Puts a recovery KEK into the HSM, where it may wrap master KEKs and do nothing else: AES-256, sensitive, non-extractable. Its bytes came
    /// from a ceremony that split them among custodians; the caller forgets them.
    ///
    /// # Errors
    /// [`HsmError::KeyExists`] when that version exists; it is never replaced.
    fn put_recovery_kek(&self, id: &RecoveryKekId, key: &Aes256Key) -> Result<(), HsmError>;

    /// The versions of the recovery KEK that the HSM holds for `domain`, in ascending order; empty when there is none.
    fn recovery_kek_versions(&self, domain: &str) -> Result<Vec<u32>, HsmError>;

    /// Destroys a recovery KEK inside the HSM. What it wrapped still opens with its custodians' shares.
    ///
    /// # Errors
    /// [`HsmError::KeyNotFound`] when the HSM does not hold that version.
    fn destroy_recovery_kek(&self, id: &RecoveryKekId) -> Result<(), HsmError>;

    /// Generates a master KEK inside the HSM as [`generate_master_kek`](Self::generate_master_kek) does, and gives it wrapped under `recovery`,
    /// once and never again: where the caller loses the recovery blob before it is durable, destroy that version and generate it anew.
    /// After an error the HSM holds no new key, unless the error is one after which nothing is known
    /// ([`is_transient`](HsmError::is_transient)).
    ///
    /// # Errors
    /// [`HsmError::KeyExists`] when that version exists, [`HsmError::KeyNotFound`] when the HSM does not hold the recovery KEK,
    /// [`HsmError::Malformed`] when it is another domain's.
    fn generate_recoverable_master_kek(
        &self,
        id: &MasterKekId,
        recovery: &RecoveryKekId,
    ) -> Result<RecoveryBlob, HsmError>;

    /// Brings a master KEK into this HSM: unwraps `blob` inside it, under the recovery KEK that custodians' shares gave. The HSM keeps the
    /// master KEK, as protected as one that it generated, and not the recovery KEK.
    ///
    /// # Errors
    /// [`HsmError::KeyExists`] when the HSM holds that version, [`HsmError::RecoveryBlobRejected`] when the blob was altered or the shares are
    /// another recovery KEK's.
    fn recover_master_kek(
        &self,
        id: &MasterKekId,
        recovery_kek: &Aes256Key,
        blob: &RecoveryBlob,
    ) -> Result<(), HsmError>;

    /// Generates a non-extractable Ed25519 key pair inside the HSM under `label` (1 to 128 bytes).
    ///
    /// # Errors
    /// [`HsmError::KeyExists`] when a signing key has that label; it is never replaced.
    fn generate_signing_key(&self, label: &str) -> Result<Ed25519PublicKey, HsmError>;

    /// Destroys the signing key `label`, both halves. What it signed stays verifiable by whoever knows the public half.
    ///
    /// # Errors
    /// [`HsmError::KeyNotFound`] when the HSM does not hold it.
    fn destroy_signing_key(&self, label: &str) -> Result<(), HsmError>;

    /// The public half of the signing key `label`.
    fn signing_public_key(&self, label: &str) -> Result<Ed25519PublicKey, HsmError>;

    /// Signs `message` with the signing key `label`: pure Ed25519, RFC 8032 section 5.1.6.
    ///
    /// # Errors
    /// [`HsmError::MessageTooLong`] from an HSM that takes the message in one piece; every HSM takes 1,900 bytes.
    fn sign(&self, label: &str, message: &[u8]) -> Result<[u8; 64], HsmError>;

    /// Its named keys: keys that it generates and uses for clients.
    ///
    /// # Errors
    /// [`HsmError::NotOffered`] from an HSM that keeps none.
    fn named(&self) -> Result<&dyn NamedKeys, HsmError> {
        Err(HsmError::NotOffered {
            token: "this HSM".to_owned(),
            what: "keys of the protection level hsm".to_owned(),
        })
    }

    /// Fills `out` from the HSM's random number generator.
    fn fill_random(&self, out: &mut [u8]) -> Result<(), HsmError>;

    /// Reads the log that the HSM itself keeps; none from an HSM whose log this interface does not reach. It changes nothing: what is read
    /// is there until it is acknowledged.
    fn device_log(&self) -> Result<Option<DeviceLog>, HsmError> {
        Ok(None)
    }

    /// Frees the HSM's log up to the entry `number`: after its entries are durable elsewhere.
    fn acknowledge_device_log(&self, number: u16) -> Result<(), HsmError> {
        let _ = number;
        Ok(())
    }
}
