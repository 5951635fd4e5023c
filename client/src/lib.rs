//! The client side of Strongroom: sign in, obtain keys, protect and open.
//!
//! | module | what lives there |
//! |---|---|
//! | [`api`] | HTTPS to the appliance: [`Client`], whom it trusts, what failures mean |
//! | [`sign_in`] | enrolment and sign-in by OPAQUE, which make a [`Session`] |
//! | [`session`] | the [`Session`] and its two secrets |
//! | [`credentials`] | authenticator apps, passkeys and recovery codes of the caller's account |
//! | [`passkeys`] | signing in with a passkey, and registering one |
//! | [`oidc`] | signing in at the enterprise's OpenID provider, and linking one's account with an identity there |
//! | [`protection`] | [`Protect`]: protecting and opening messages, files and streams, each under a key of its own |
//! | [`message`] | sealed messages: one COSE envelope each |
//! | [`mail`] | mail: messages sealed for exactly their addressees, and back |
//! | [`keys`] | creating, obtaining, finding, sharing, revoking, rotating and destroying keys |
//! | [`operations`] | using keys that stay in the appliance: signing, encrypting and the like; verifying here |
//! | `pem` | keys as text (RFC 7468) |
//! | [`held`] | keys that were obtained and may be used again |
//! | `secret` | key material in locked memory, overwritten at its end |
//! | `requester` | what messages, objects and keys need of a session or a device |
//! | [`policy`] | usage policies of the domain, of keys and of grants; what they would decide |
//! | [`accounts`] | managing accounts and the members of groups |
//! | [`certificates`] | sign-in by client certificate, and which certificates stand for whom |
//! | [`device`](mod@device) | a device or service that signs its requests with its secret, and is paired |
//! | [`devices`] | looking after devices: import, fleets, pairing; the factory's side of an import |
//! | [`disclosure`] | disclosing keys to an agency, and what the agency does with them |
//! | [`directories`] | registering directories that manage accounts by SCIM |
//! | [`recovery`] | recovering accounts, and inviting addresses that have none |
//! | [`rotation`] | rotating the master KEK and account KEKs |
//! | [`updates`] | updates of the image that the appliance runs from |
//! | [`attestation`] | what the TPM of the appliance's machine has measured |
//! | [`approvals`] | approving: what is signed, and the keys that people approve with |
//! | [`authorisations`] | lawful access: orders and what is decided on them |
//! | [`proposals`] | acts that several people have to approve, because the domain's policy says so |
//! | [`audit`] | the audit log as the caller may see it; bundles of it |
//! | [`report`] | bundles as CSV and PDF |
//! | [`object`] | protected objects: the header that names the key, and the encrypted stream behind it |
//! | [`file`](mod@file) | files that appear only when they are complete |
//! | [`objects`] | certificates, data, and what applications say of keys, as PKCS #11 has them |
//! | [`pkcs11`] | the configuration file of the PKCS #11 module |
//! | [`error`](mod@error) | [`ClientError`]: why something could not be done |
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::path::Path;
//! use strongroom_client::{Client, Metadata, Protect, Protection, Roots};
//!
//! let client = Client::new("https://keys.example.com:8443", &Roots::from_pem(&std::fs::read("ca.pem")?)?)?;
//! let session = client.sign_in("alice@example.com", b"correct horse battery staple")?;
//!
//! let sealed = session.seal_message(b"at noon", &["bob@example.com"], &Metadata::new("meeting"))?;
//! let opened = session.open_message(&sealed.bytes)?;
//!
//! let report = Path::new("report.pdf");
//! session.protect_file(report, Path::new("report.pdf.sealed"), &Protection::of_file(report).to("bob@example.com"))?;
//! session.open_file(Path::new("report.pdf.sealed"), Path::new("report-again.pdf"))?;
//! # Ok(())
//! # }
//! ```
//!
//! Without the feature `sessions` (`default-features = false, features = ["device"]`) what remains is what a small device needs: it signs its requests
//! ([`device`](mod@device)), and protects and opens.
//!
//! The command line `strongroom` lives in `src/bin/strongroom/`.
//!
//! Never in this crate: key material, a token or a password on disk, in a log or in an error; plaintext handed out
//! before it was authenticated; a request to a server because an object names it; a decision that the appliance has
//! to make.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(feature = "sessions"),
    expect(dead_code, reason = "some requests are made in sessions alone")
)]

#[cfg(feature = "sessions")]
pub mod accounts;
pub mod api;
#[cfg(feature = "sessions")]
pub mod approvals;
#[cfg(feature = "sessions")]
pub mod attestation;
#[cfg(feature = "sessions")]
pub mod audit;
#[cfg(feature = "sessions")]
pub mod authorisations;
#[cfg(feature = "sessions")]
pub mod certificates;
#[cfg(feature = "sessions")]
pub mod credentials;
pub mod device;
#[cfg(feature = "sessions")]
pub mod devices;
#[cfg(feature = "sessions")]
pub mod directories;
#[cfg(feature = "disclosure")]
pub mod disclosure;
pub mod error;
pub mod file;
pub mod held;
pub mod keys;
#[cfg(feature = "mail")]
pub mod mail;
pub mod message;
pub mod object;
pub mod objects;
#[cfg(feature = "sessions")]
pub mod oidc;
pub mod operations;
#[cfg(feature = "sessions")]
pub mod passkeys;
mod pem;
#[cfg(feature = "pkcs11")]
pub mod pkcs11;
#[cfg(feature = "sessions")]
pub mod policy;
#[cfg(feature = "sessions")]
pub mod proposals;
pub mod protection;
#[cfg(feature = "sessions")]
pub mod recovery;
#[cfg(feature = "report")]
pub mod report;
mod requester;
#[cfg(feature = "sessions")]
pub mod rotation;
mod secret;
#[cfg(feature = "sessions")]
pub mod session;
#[cfg(feature = "sessions")]
pub mod sign_in;
#[cfg(feature = "sessions")]
pub mod updates;

pub use api::{Client, Identity, Retries, Roots};
pub use device::Device;
pub use error::{ClientError, ErrorKind};
pub use held::Keeping;
pub use keys::Released;
pub use message::Metadata;
pub use protection::{ObjectAt, ObjectWriter, OpenObject, Protect, Protected, Protection};
pub use requester::account_name;
#[cfg(feature = "sessions")]
pub use session::{Secrets, Session};

/// The examples of the guide compile; that they do what they say is seen where the example `guide` runs.
#[cfg(all(doctest, feature = "sessions", feature = "mail"))]
#[doc = include_str!("../README.md")]
struct Guide;
