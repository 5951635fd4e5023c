//! Strongroom's client library for C: `strongroom-client` behind the C ABI. `include/strongroom.h` is made from this crate by cbindgen.
//!
//! | file | what lives there |
//! |---|---|
//! | `ffi` | what every entry does: nulls and lengths are checked, panics are caught, errors are handed out |
//! | `error` | `sr_kind`, `sr_error` |
//! | `values` | bytes, text and lists that are handed out |
//! | `client` | whom to talk to; signing in |
//! | `messages` | sealing and opening messages |
//! | `objects` | protecting and opening files, streams and ranges |
//! | `keys` | keys |
//! | `mechanisms` | the numbers of the mechanisms |
//! | `operations` | using keys that stay in the appliance; public keys |
//!
//! This crate and the scaffolding of `strongroom-bindings` are where `unsafe` stands on the client's side, beside the PKCS#11 module's `ffi`
//! (`docs/decisions/0016-bindings.md`): whatever comes from C is turned into a reference, a slice or a text in `ffi`, once, and the rest of the
//! crate works with those.
//!
//! Never in this crate: cryptography, requests, decisions; a panic that leaves it; a pointer that is kept after a call, but for those of streams
//! that the caller gave for keeping.

#![expect(
    non_camel_case_types,
    reason = "the names of the header, which is made from them"
)]
#![expect(
    clippy::missing_safety_doc,
    reason = "what the caller must keep to is the same for all, and stands at the head of the header"
)]
#![expect(
    clippy::doc_markdown,
    reason = "the comments are those of the header, where nobody reads Markdown"
)]

mod client;
mod error;
mod ffi;
mod keys;
mod mechanisms;
mod messages;
mod objects;
mod operations;
mod values;

pub use client::*;
pub use error::*;
pub use keys::*;
pub use mechanisms::*;
pub use messages::*;
pub use objects::*;
pub use operations::*;
pub use values::*;

/// Every piece of memory on this side is zeroised when it is freed: passwords and plaintext pass through it.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> =
    zeroizing_alloc::ZeroAlloc(std::alloc::System);
