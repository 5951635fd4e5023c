//! What the two ends of a session share: the OPAQUE suite, the transport key, how material travels under it, how devices and services sign
//! requests, and how devices' secrets travel to their factory.
//!
//! | module | what lives there |
//! |---|---|
//! | [`opaque`] | the one OPAQUE (RFC 9807) cipher suite of Strongroom and its key stretching |
//! | [`passkey`] | what a passkey signs, and the transport key of the session that it opens |
//! | [`oidc`] | what an ID token's nonce commits to, and the transport key of the session that it opens |
//! | [`signature`] | requests that devices and services sign with their accounts' secrets: RFC 9421, `hmac-sha256` |
//! | [`certificate`] | the transport key of a session that a client certificate opened |
//! | [`factory`] | new devices' secrets, wrapped to the key of the factory that builds the devices: HPKE (RFC 9180) with X-Wing |
//! | [`transport`] | the session's transport key and AES-KWP (RFC 5649) of material under it |
//!
//! Both the keystore and the client library build on this crate, so that the two ends cannot differ. Never in this crate: input or
//! output, a decision, anything that only one end needs.

#![forbid(unsafe_code)]

pub mod certificate;
pub mod factory;
pub mod oidc;
pub mod opaque;
pub mod passkey;
pub mod signature;
pub mod transport;

pub use factory::{FactoryKey, FactoryPublicKey, WrappedFor};
pub use opaque::Suite;
/// The implementation of OPAQUE, in the version that [`Suite`] is for.
pub use opaque_ke;
/// The operating system's random generator, of the `rand_core` generation that [`opaque_ke`] takes.
pub use rand_core::OsRng;
pub use signature::{AccountSecret, RequestSignature, SignatureError};
pub use transport::{TransportKey, UnwrapError};
