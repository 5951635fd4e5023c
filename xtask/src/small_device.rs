//! The client library's sample sensor, built as for a small device.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use crate::{
    packages::{self, Package, Sign},
    process,
    terminal::say,
    workspace::Workspace,
};

/// The C compiler for programs that need nothing of the system but the kernel.
const MUSL: Package = Package {
    purpose: "the C library that a static program has in itself",
    debian: "musl-tools",
    sign: Sign::Command("musl-gcc"),
};

/// Builds the sensor, optimised for size and stripped: statically linked where Rust has the target for it, else against this system's C library.
pub(crate) fn build_sensor(workspace: &Workspace) -> Result<PathBuf> {
    let target = format!("{}-unknown-linux-musl", env::consts::ARCH);
    let mut cargo = workspace.cargo();
    // One package and its own features: the sizes are those that a user of the library gets.
    cargo.args(["build", "--profile", "device"]);
    cargo.args(["--package", "strongroom-client", "--example", "sensor"]);
    cargo.args(["--no-default-features", "--features", "device"]);
    let mut folder = workspace.target().to_path_buf();
    if has_target(&target) {
        packages::ensure([&MUSL])?;
        cargo.args(["--target", &target]);
        folder.push(target);
    } else {
        say!("Not statically linked: for that, run `rustup target add {target}` and try again.");
    }
    process::succeed(&mut cargo)?;
    Ok(folder.join("device/examples/sensor"))
}

/// Whether Rust's standard library is installed for this target.
fn has_target(target: &str) -> bool {
    let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    let folder = process::answer(rustc.args(["--print", "target-libdir", "--target", target]));
    folder.is_ok_and(|folder| Path::new(String::from_utf8_lossy(&folder).trim()).is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_installed_targets_are_built_for() {
        assert!(!has_target("pdp11-unknown-unix"));
        let host = format!("{}-unknown-linux-gnu", env::consts::ARCH);
        assert!(has_target(&host) || cfg!(not(target_env = "gnu")));
    }
}
