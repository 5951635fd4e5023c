//! The keystore's acts against a real token: each test has a domain, a database and people of its own.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

#[path = "../../../../hsm/tests/support/softhsm.rs"]
mod softhsm_child;
#[expect(dead_code, reason = "shared with the HSM's own tests")]
#[path = "../../../../hsm/tests/support/mod.rs"]
mod support;

mod account_recovery;
mod account_secrets;
mod accounts;
mod attestation;
mod backups;
mod batch;
mod certificates;
mod console;
mod cosigning;
mod devices;
mod directories;
mod disclosing;
mod exports;
mod groups;
mod house;
mod identities;
mod invitations;
mod keys;
mod lawful;
mod log;
mod objects;
mod operations;
mod pairing;
mod passwords;
mod policies;
mod previews;
mod quorum;
mod recovery;
mod recovery_rotation;
mod rotation;
mod rotation_replay;
mod scrub;
mod searches;
mod second_factor;
mod sessions;
mod signers;
mod updates;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    if support::role().is_none() {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let (code, _) = softhsm_child::run_again("acts", &arguments, "", false);
        return u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from);
    }
    let trials = [
        account_recovery::TRIALS,
        invitations::TRIALS,
        account_secrets::TRIALS,
        accounts::TRIALS,
        backups::TRIALS,
        batch::TRIALS,
        certificates::TRIALS,
        cosigning::TRIALS,
        console::TRIALS,
        updates::TRIALS,
        attestation::TRIALS,
        groups::TRIALS,
        identities::TRIALS,
        devices::TRIALS,
        disclosing::delivering::TRIALS,
        disclosing::keeping::TRIALS,
        disclosing::many::TRIALS,
        disclosing::refusing::TRIALS,
        disclosing::telling::TRIALS,
        directories::groups::TRIALS,
        directories::limits::TRIALS,
        directories::users::TRIALS,
        exports::TRIALS,
        keys::TRIALS,
        lawful::evidence::TRIALS,
        lawful::lifecycle::TRIALS,
        lawful::ending::TRIALS,
        lawful::roles::TRIALS,
        lawful::waiting::TRIALS,
        log::TRIALS,
        objects::TRIALS,
        operations::carrying::TRIALS,
        operations::deciding::TRIALS,
        operations::hardware::TRIALS,
        operations::making::TRIALS,
        operations::performing::TRIALS,
        operations::restricting::TRIALS,
        operations::legacy::TRIALS,
        pairing::TRIALS,
        passwords::TRIALS,
        policies::TRIALS,
        policies::changes::TRIALS,
        previews::TRIALS,
        quorum::TRIALS,
        recovery::TRIALS,
        recovery_rotation::TRIALS,
        rotation::TRIALS,
        rotation_replay::TRIALS,
        scrub::TRIALS,
        scrub::built::TRIALS,
        scrub::large::TRIALS,
        scrub::meanwhile::TRIALS,
        searches::TRIALS,
        second_factor::TRIALS,
        sessions::TRIALS,
    ]
    .concat()
    .into_iter()
    .map(|(name, test)| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    })
    .collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
