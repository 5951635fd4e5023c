//! What the end-to-end tests and the benchmark share: real appliances, people at the command line, and a client made from scratch.
//!
//! | module | what lives there |
//! |---|---|
//! | [`programs`] | where the built `strongroomd` and `strongroom` are |
//! | [`appliance`] | a `strongroomd` of one's own on a SoftHSM of its own: initialised, started, stopped, killed, copied, edited |
//! | [`accounts`] | its people, enrolled and signed in |
//! | `making` | the commands that make an appliance |
//! | [`console`] | a program at a terminal of its own, and people who type there |
//! | [`person`] | somebody with a device: the `strongroom` command line with a home folder of its own |
//! | [`authenticator_app`] | the codes of a second factor |
//! | [`passkey`] | an authenticator in software: passkeys |
//! | [`authenticator`] | the authenticator of Chromium, which is a second implementation of passkeys |
//! | [`browser`] | Chromium before the pages of the web interfaces |
//! | [`http`] | HTTP/1.1 over TLS 1.3 as bytes, so that tests can send what no proper client would |
//! | [`api`] | the HTTP interface from a client's side: requests, enrolment and sign-in by OPAQUE |
//! | `stretching` | what a password was stretched to, remembered |
//! | [`session`] | somebody who is signed in, and all that they can ask for |
//! | [`relay`] | a site's mail relay |
//! | [`mail_server`] | a mail server that keeps what it is handed, and its sendmail |
//! | [`identity_provider`] | an OpenID provider of one's own, and a browser for it |
//! | [`tokens`] | SoftHSM's tokens pulled away and cloned |
//! | [`device`] | a device that signs its requests with its secret |
//! | [`directory`] | a directory that manages accounts by SCIM |
//! | [`legacy`] | a machine with the PKCS#11 module, on which legacy applications run |
//! | [`storage`] | a store that can read nothing |
//! | [`proxy`] | a forward proxy that leads names of documents to what runs in the test |
//! | [`witness`] | a witness of its log |
//! | [`backup_store`] | a site's store for backups |
//! | [`syslog`] | a syslog server with TLS that keeps what it receives |
//! | [`wire_cutter`] | a wire between client and appliance that breaks when it is told to |
//! | [`yardsticks`] | what benchmarks measure beside ours in the same run |
//! | [`image`] | the image that an appliance runs from, its updates, and what root does on it |
//! | [`software_tpm`] | the TPM of its machine, and the unit of the image that has it attest |
//! | `folders` | making, reading and copying them |
//! | [`scan`] | looking for secrets where none may be |
//!
//! The stories themselves are in `tests/`, one file each; the benchmark is `src/bin/bench.rs`.
//!
//! Never in this crate: a stand-in for a part of the appliance, a fixed port, a folder that outlives its test, a change of the
//! process's own environment. Everything here panics when something is not as it must be: it is there for tests.

#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    reason = "a harness for tests: what does not work here fails the test"
)]

pub mod accounts;
pub mod api;
pub mod appliance;
pub mod authenticator;
pub mod authenticator_app;
pub mod backup_store;
pub mod browser;
pub mod console;
pub mod device;
pub mod directory;
mod folders;
pub mod http;
pub mod identity_provider;
pub mod image;
pub mod legacy;
pub mod mail_server;
mod making;
pub mod passkey;
pub mod person;
pub mod programs;
pub mod proxy;
pub mod relay;
pub mod scan;
pub mod session;
pub mod software_tpm;
pub mod storage;
mod stretching;
pub mod syslog;
pub mod tokens;
pub mod wire_cutter;
pub mod witness;
pub mod yardsticks;

pub use api::{Api, Entered, Failed};
pub use appliance::Appliance;
pub use console::{Console, Paper};
pub use device::Device;
pub use person::{Outcome, Person};
pub use session::Session;
pub use syslog::Syslog;
pub use witness::Witness;

/// Whether the long versions of the tests are asked for: the environment variable `STRONGROOM_LONG` is set and not empty.
#[must_use]
pub fn long() -> bool {
    std::env::var_os("STRONGROOM_LONG").is_some_and(|value| !value.is_empty())
}

/// A password that nobody has ever had: 32 random hexadecimal digits after the name of whose it is.
#[must_use]
pub fn new_password(name: &str) -> String {
    let mut random = [0; 16];
    getrandom::fill(&mut random).expect("the system has random numbers");
    format!("{name} {}", hex::encode(random))
}
