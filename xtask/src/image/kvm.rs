//! Whether KVM can run a machine with Secure Boot: one with System Management Mode, which a hypervisor below this one may not offer.

use std::{
    path::Path,
    process::{Command, Stdio},
    sync::OnceLock,
};

/// Whether it can; tried once, with a machine that is never started.
pub(crate) fn works() -> bool {
    static WORKS: OnceLock<bool> = OnceLock::new();
    *WORKS.get_or_init(|| Path::new("/dev/kvm").exists() && tried())
}

fn tried() -> bool {
    let quit = Command::new("sh")
        .args(["-c", "echo quit | qemu-system-x86_64 \"$@\"", "sh"])
        .args(["-machine", "q35,smm=on,accel=kvm", "-cpu", "max", "-S"])
        .args(["-nodefaults", "-display", "none", "-monitor", "stdio"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    quit.is_ok_and(|status| status.success())
}

/// A sentence where it cannot.
pub(crate) fn remark() -> Option<&'static str> {
    const NONE: &str =
        "There is no /dev/kvm, so the machine is emulated and takes a minute or more to start.";
    const UNUSABLE: &str = "This machine's KVM cannot run Secure Boot's firmware, so the machine is emulated and takes a minute or more to start.";
    match (works(), Path::new("/dev/kvm").exists()) {
        (true, _) => None,
        (false, true) => Some(UNUSABLE),
        (false, false) => Some(NONE),
    }
}
