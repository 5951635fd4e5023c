//! The end-to-end tests, all in one program: they start the built programs, and talk to them as users do.
//!
//! One file, and where it grew a folder beside it, tells one story. `cargo xtask test -p strongroom-tests -- web::` runs those of one.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod abuse;
mod account_recovery;
mod accounts;
mod api;
mod attestation;
mod attributes_that_bind;
mod backup_target;
mod backups_recorded;
mod bundles;
mod ceremony;
mod certificates;
mod client_library;
mod conditions;
mod devices;
mod directories;
mod disaster;
mod disclosures;
mod domains;
mod domains_apart;
mod domains_kept;
mod durability;
mod estate;
mod exports;
mod first_start;
mod full_disk;
mod guide;
mod hsm_check;
mod invitations;
mod journal;
mod keys_in_hsm;
mod keys_that_stay;
mod lawful;
mod lawful_routes;
mod lifecycle;
mod mail;
mod many_domains;
mod oidc;
mod operations;
mod pairing;
mod passkeys;
mod people;
mod pkcs11;
mod pkcs11_configure;
mod policy;
mod quorum;
mod recovery_quorum;
mod rotation;
mod scenario;
mod scrub;
mod sealing;
mod second_factor;
mod secrets;
mod served_certificate;
mod siem;
mod signed_requests;
mod small_devices;
mod story;
mod strangers;
mod tampering;
mod tenants;
mod token;
mod transport;
mod updates;
mod web;
mod witnesses;
mod yubihsm;
