//! Disclosure: keys on their way to the agency that an authorisation names, and what the agency does with them.
//!
//! | module | what lives there |
//! |---|---|
//! | [`agency`] | the agency's sealing certificate or key, to which keys are sealed; its private key, which opens them |
//! | [`cms`] | sealing to an X.509 certificate: CMS (RFC 5652, RFC 5083) that `openssl cms -decrypt` opens |
//! | [`hpke`] | sealing to a public key: HPKE (RFC 9180) with X-Wing |
//! | [`key`] | what is sealed: a key with its versions' material |
//! | [`record`] | the delivery record of an item: who had what disclosed, under which order, to whom, and where the log says so |
//! | [`package`] | the delivery package: manifest, records and sealed keys in one file |
//!
//! Both the keystore and the client library build on this crate, so that what is sealed is what opens. `FORMAT.md` specifies all of it for
//! agencies that write their own tools.
//!
//! Never in this crate: input or output, a clock, a decision, an account KEK or a master KEK.

#![forbid(unsafe_code)]

pub mod agency;
pub mod cms;
mod error;
pub mod hpke;
pub mod key;
pub mod package;
pub mod record;

pub use agency::{AgencyKey, SealedForm, SealingKey};
pub use error::DisclosureError;
pub use key::{DisclosedKey, DisclosedVersion};
pub use package::{Manifest, ManifestItem, Package, PackageError, PackageWriter};
pub use record::{DeliveryRecord, Matched, Named};
