//! Where the built programs are.

use std::env;
use std::path::PathBuf;

/// The appliance.
#[must_use]
pub fn strongroomd() -> PathBuf {
    program("strongroomd")
}

/// The command line.
#[must_use]
pub fn strongroom() -> PathBuf {
    program("strongroom")
}

/// One of the client library's sample programs.
#[must_use]
pub fn example(name: &str) -> PathBuf {
    program(&format!("examples/{name}"))
}

/// `SoftHSM`'s PKCS#11 module: where Debian puts it, or where `STRONGROOM_TEST_PKCS11_MODULE` says.
#[must_use]
pub fn softhsm() -> PathBuf {
    if let Some(path) = env::var_os("STRONGROOM_TEST_PKCS11_MODULE") {
        return path.into();
    }
    let places = [
        "/usr/lib/softhsm/libsofthsm2.so",
        "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
        "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
        "/usr/lib64/pkcs11/libsofthsm2.so",
    ];
    let found = places.iter().map(PathBuf::from).find(|path| path.exists());
    found.expect("SoftHSM 2 is not installed: install the package softhsm2")
}

/// A library of the workspace, such as `libstrongroom.so`.
#[must_use]
pub fn library(name: &str) -> PathBuf {
    program(name)
}

/// A program or library of the workspace: beside this test program, or, as cargo puts test programs into `deps`, one folder up.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let this = env::current_exe().expect("a program knows where it is");
    let found = this
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!(
            "the program {name} is not built: run `cargo xtask test`, or first \
             `cargo build --release -p strongroomd -p strongroom-client --bins --examples`"
        )
    })
}
