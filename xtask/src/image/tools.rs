//! The chroot with the tools that build the image.
//!
//! They are of the image's own Debian release, so that a machine with an older one builds the same image.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result};

use super::{Bench, read, remove, write};
use crate::process;

/// Debian's release that the image is made of.
pub(crate) const SUITE: &str = "trixie";

/// The chroot.
pub(crate) struct Tools {
    folder: PathBuf,
    work: PathBuf,
    keys: PathBuf,
}

/// The package names in a list: a line each, `#` begins a comment.
pub(crate) fn names(list: &str) -> Vec<&str> {
    list.lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .filter(|name| !name.is_empty())
        .collect()
}

/// The chroot, made where it is missing or its list of packages has changed.
pub(crate) fn ensure(bench: &Bench) -> Result<Tools> {
    chroot(bench, "tools")
}

/// The chroot with what judges an image and builds none of it.
pub(crate) fn judges(bench: &Bench) -> Result<Tools> {
    chroot(bench, "scores")
}

/// The chroot with what turns the image into other platforms' disks.
pub(crate) fn converter(bench: &Bench) -> Result<Tools> {
    chroot(bench, "platforms")
}

fn chroot(bench: &Bench, name: &str) -> Result<Tools> {
    let folder = bench.chroots.join(name);
    let list = read(&bench.sources.join(format!("{name}.packages")))?;
    let stamp = bench.chroots.join(format!("{name}.stamp"));
    let of = made_of(&list);
    if fs::read_to_string(&stamp).ok().as_ref() != Some(&of) {
        remove(&folder)?;
        bootstrap(&folder, "apt", &names(&list))?;
        write(&stamp, of)?;
    }
    Ok(Tools {
        folder,
        work: bench.work.clone(),
        keys: bench.keys.clone(),
    })
}

/// What dpkg leaves out of Debian's packages, and what of that it keeps.
const FILES: [&str; 7] = [
    "path-exclude=/usr/share/doc/*",
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/bug/*",
    "path-exclude=/usr/share/lintian/*",
    "path-include=/usr/share/doc/*/copyright",
];

/// What a chroot with these packages is made of, for its stamp.
pub(crate) fn made_of(list: &str) -> String {
    format!("{list}{}\n", FILES.join("\n"))
}

/// Makes a Debian root in a folder.
pub(crate) fn bootstrap(folder: &Path, variant: &str, packages: &[&str]) -> Result<()> {
    let mut command = Command::new("mmdebstrap");
    command
        .args(["--quiet", "--mode=root", "--format=directory"])
        .arg(format!("--variant={variant}"))
        .arg(format!("--include={}", packages.join(",")))
        .args(FILES.map(|option| format!("--dpkgopt={option}")))
        .args(["--aptopt=APT::Install-Recommends \"false\"", SUITE])
        .arg(folder)
        .env("SOURCE_DATE_EPOCH", super::EPOCH);
    process::answer(&mut command).map(|_| ()).context(
        "Debian's packages cannot be fetched: see that this machine reaches deb.debian.org, or name a proxy in http_proxy",
    )
}

impl Tools {
    /// Runs a script of `sh` in the chroot, there with the bench as `/bench` and the signing keys as `/keys`. The mounts end with it. Gives what it printed.
    ///
    /// # Errors
    ///
    /// The script's last words where it fails.
    pub(crate) fn sh(&self, script: &str, arguments: &[&str]) -> Result<String> {
        const ENTER: &str = "set -eu; tools=$1; work=$2; keys=$3; script=$4; shift 4; cd /; mkdir -p $tools/bench $tools/keys; \
             mount --bind $work $tools/bench; mount --bind $keys $tools/keys; mount -t proc proc $tools/proc; \
             exec chroot $tools sh -euc \"cd /bench; $script\" sh \"$@\"";
        let mut command = Command::new("unshare");
        command
            .args([
                "--mount",
                "--propagation",
                "private",
                "sh",
                "-c",
                ENTER,
                "sh",
            ])
            .arg(&self.folder)
            .arg(&self.work)
            .arg(&self.keys)
            .arg(script)
            .args(arguments)
            .env("SOURCE_DATE_EPOCH", super::EPOCH)
            .env("LC_ALL", "C.UTF-8")
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::null());
        let printed = process::answer(&mut command)?;
        String::from_utf8(printed).context("what a tool printed is no text")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_a_name_a_line_and_comments() {
        assert_eq!(names("# all\none\n\n two # the second\n"), ["one", "two"]);
    }
}
