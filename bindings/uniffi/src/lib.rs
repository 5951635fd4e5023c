//! Strongroom's client library for Python, Kotlin and Swift: `strongroom-client` in the shape that `UniFFI` can carry over.
//!
//! | file | what lives there |
//! |---|---|
//! | `client` | whom to talk to; signing in |
//! | `session` | what a signed-in session and a device that signs its requests can do |
//! | `messages` | what goes into sealing and comes out of opening a message |
//! | `objects` | objects as streams and by ranges; the traits by which the other language reads and writes |
//! | `keys` | keys, grants, and material that was obtained |
//! | `operations` | using keys that stay in the appliance: signing, encrypting and the like; public keys |
//! | `policy` | usage policies |
//! | `error` | [`StrongroomError`] |
//!
//! Each item says in other words what the Rust item of the same name says; its comment is what the other language's reader sees. What is
//! idiomatic in one language alone (Python's context managers and file objects) stands in that language, in `python/strongroom`.
//!
//! Never in this crate: cryptography, requests, decisions. It translates.
//!
//! `UniFFI`'s scaffolding exports functions of the C ABI, which is why this crate does not forbid `unsafe`
//! (`docs/decisions/0016-bindings.md`). No line of it is written by hand.

mod client;
mod error;
mod keys;
mod messages;
mod objects;
mod operations;
mod policy;
mod session;

pub use client::{Client, ClientSettings, Identity, SecondFactorSignIn, SignIn};
pub use error::{ErrorKind, Failure, StreamError, StrongroomError};
pub use keys::{
    Algorithm, CreatedKey, Grant, Key, KeyPage, KeyQuery, KeyState, NewKey, Obtained, Origin,
    Releasable, Released, Right,
};
pub use messages::{MessageHeader, Metadata, OpenOutcome, Opened, Outgoing, Sealed};
pub use objects::{
    ByteSink, ByteSource, ObjectAt, ObjectHeader, ObjectReader, ObjectWriter, Protected,
    Protection, RangeSource,
};
pub use operations::{
    Ciphertext, Mechanism, PublicKey, Signature, SignatureEncoding, mechanism_of_signatures,
    private_key_from_pem,
};
pub use policy::{AccountKind, Hours, SignInStrength, UsagePolicy, Weekday};
pub use session::{Account, Device, Session};

/// Every piece of memory on this side is zeroised when it is freed: plaintext and passwords pass through buffers that neither side looks after.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> =
    zeroizing_alloc::ZeroAlloc(std::alloc::System);

uniffi::setup_scaffolding!("strongroom");
