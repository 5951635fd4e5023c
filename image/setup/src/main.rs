//! `strongroom-setup`: what the image does beside serving.
//!
//! | file | what lives there |
//! |---|---|
//! | `main` | the command line |
//! | `seed/` | the first start's settings, signed, where nobody is to type them |
//! | `init` | the first start: token, keys, certificates, the first administrator |
//! | `pin` | the HSM's PIN, where somebody types it |
//! | `seal` | the end of the first start: the PIN out of the service's folder |
//! | `witness` | the witness that the appliance is, where its seed says so |
//! | `filter` | the part of the packet filter that follows from the configuration |
//! | `network`, `clock` | how the machine is on its network, as typed at the console or said by a seed; by whom its clock is set |
//! | `names` | what the certificate is to be for: the machine's addresses, and names that were typed at the console |
//! | `updates/` | updates of the image: into the other slot, on trial, kept or gone back from |
//! | `release` | which release this is |
//! | `attest` | the TPM's quotes, for the service and the console |
//! | `count`, `tpm` | the count of releases, which the TPM keeps: an older one does not open the data |
//! | `reset` | the factory reset |
//! | `restore` | at the console: an appliance brought back from a backup, and the ceremony that makes backups open without their HSM |
//! | `recovery/` | the recovery key of the data partition, shared among custodians |
//! | `console` | what stands on the screen and the serial line, and what may be done there |
//! | `machine` | what is asked of the machine: addresses, Secure Boot, units, logs |
//! | `files` | files that are there whole or not at all |
//!
//! What must never happen here: a shell; a secret in a log or on the screen, but for the enrolment code and custodians' shares, which are there to be
//! read.

#![forbid(unsafe_code)]

mod attest;
mod clock;
mod console;
mod count;
mod files;
mod filter;
mod init;
mod machine;
mod names;
mod network;
mod pin;
mod recovery;
mod release;
mod reset;
mod restore;
mod seal;
mod seed;
mod tpm;
mod updates;
mod witness;

use std::io::Write as _;
use std::process::ExitCode;

/// Every piece of memory is zeroised when it is freed: PINs and shares that are typed, and what libraries copied of them.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> =
    zeroizing_alloc::ZeroAlloc(std::alloc::System);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["seed"] => seed::run(),
        ["seed", "check", file, key] => seed::check(file, key),
        ["init"] => init::run(None),
        ["init", elsewhere] => init::run(Some(elsewhere)),
        ["seal"] => seal::run(None),
        ["seal", elsewhere] => seal::run(Some(elsewhere)),
        ["network"] => network::run().and_then(|()| clock::run()),
        ["names"] => names::run(),
        ["reset"] => reset::run(),
        ["filter"] => filter::run(),
        ["filter", "first"] => filter::first(),
        ["filter", "print"] => filter::print(),
        ["console", terminal] => console::run(terminal),
        ["slot"] => recovery::prepare(),
        ["slot", "end"] => recovery::end(),
        ["restore"] => restore::hold(),
        ["ceremony"] => restore::ceremony(),
        ["recovery"] => recovery::hold(),
        ["recovery", "tidy"] => recovery::tidy(),
        ["count"] => count::check(),
        ["quote"] => attest::run(None),
        ["quote", software] => attest::run(Some(software)),
        ["boot"] => updates::boot(),
        ["install"] => updates::install(),
        ["restart"] => updates::restart(),
        ["bless"] => updates::bless(),
        ["expire"] => updates::expire(),
        _ => {
            complain(
                "usage: strongroom-setup seed [check FILE KEY] | init [FOLDER] | seal [FOLDER] | network | names | filter [first | print] | reset | console TERMINAL | slot [end] | restore | ceremony | recovery [tidy] | count | quote [SOCKET] | boot | install | restart | bless | expire",
            );
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Says a line on standard error. Where nobody hears it there is nobody left to tell.
fn complain(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
