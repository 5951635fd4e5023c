//! The root file system: Debian's packages, our programs and files, and what is taken out again; as squashfs under dm-verity.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::{Bench, EPOCH, read, remove, tools, tools::Tools, write};
use crate::{process, terminal::shown};

/// The root file system, as it goes to the disk.
pub(crate) struct Root {
    /// The squashfs.
    pub(crate) squashfs: PathBuf,
    /// Its dm-verity hash tree.
    pub(crate) verity: PathBuf,
    /// The root hash: SHA-256, 64 hexadecimal digits.
    pub(crate) hash: String,
}

/// What Debian brings and an appliance without users has no use for.
const TAKEN_OUT: &[&str] = &[
    "boot", "home", "media", "mnt", "opt", "srv",
    "etc/cron.d", "etc/cron.daily", "etc/dpkg", "etc/apt", "etc/skel", "etc/profile.d", "etc/update-motd.d",
    "usr/bin/apt", "usr/bin/apt-cache", "usr/bin/apt-cdrom", "usr/bin/apt-config", "usr/bin/apt-get", "usr/bin/apt-key", "usr/bin/apt-mark",
    "usr/bin/bash", "usr/bin/rbash", "usr/bin/chage", "usr/bin/chfn", "usr/bin/chsh", "usr/bin/expiry", "usr/bin/gpasswd", "usr/bin/login",
    "usr/bin/newgrp", "usr/bin/passwd", "usr/bin/perl", "usr/bin/perl5.40.1", "usr/bin/su", "usr/bin/mount", "usr/bin/umount", "usr/sbin/agetty",
    "usr/sbin/getty", "usr/sbin/sulogin", "usr/sbin/unix_chkpwd", "usr/lib/apt", "usr/lib/dpkg", "usr/libexec/dpkg", "usr/share/dpkg", "usr/share/perl5",
    "usr/lib/x86_64-linux-gnu/perl-base", "usr/share/bash-completion", "usr/share/zsh", "usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale",
    "usr/share/lintian", "usr/share/bug", "usr/lib/systemd/system-generators/systemd-getty-generator", "usr/lib/systemd/system/getty@.service",
    "usr/lib/systemd/system/serial-getty@.service", "usr/lib/systemd/system/debug-shell.service", "usr/lib/systemd/system/emergency.service",
    "usr/lib/systemd/system/rescue.service", "usr/lib/systemd/system/console-getty.service", "usr/lib/systemd/system/container-getty@.service",
    "usr/lib/systemd/system/autovt@.service",
];

/// Makes the root file system with these programs.
pub(crate) fn make(bench: &Bench, tools: &Tools, programs: &[&Path]) -> Result<Root> {
    let base = base(bench)?;
    let stage = bench.work.join("root");
    remove(&stage)?;
    copy(&base, &stage)?;
    // `cp -aT` lays our files over Debian's.
    copy(&bench.sources.join("root"), &stage)?;
    for program in programs {
        let name = program.file_name().context("a program has no name")?;
        let there = stage.join("usr/bin").join(name);
        fs::copy(program, &there).with_context(|| format!("{} cannot be copied", shown(program)))?;
    }
    write(&stage.join("usr/lib/os-release"), os_release(&bench.version))?;
    // Accounts and units are settled here: nothing is to be settled on the machine.
    tools.sh(
        "systemd-sysusers --root=root; systemctl --root=root preset-all >/dev/null 2>&1; \
         systemctl --root=root enable -q strongroomd.service strongroom-prepare.service strongroom-console@ttyS0.service strongroom-console@tty1.service nftables.service \
           systemd-networkd.service systemd-timesyncd.service; \
         systemctl --root=root mask -q getty.target systemd-firstboot.service systemd-userdbd.socket; \
         systemctl --root=root set-default -q multi-user.target; \
         strip --strip-debug root/usr/bin/strongroomd root/usr/bin/strongroom-setup; \
         cp -a /usr/lib/modules root/usr/lib/; rm -f root/usr/lib/modules/*/build root/usr/lib/modules/*/source; \
         find root -xdev \\( -perm -4000 -o -perm -2000 \\) -type f -exec chmod ug-s {} +",
        &[],
    )?;
    clear(&stage)?;
    squash(bench, tools)
}

/// Debian's part, which changes only with its list.
fn base(bench: &Bench) -> Result<PathBuf> {
    let folder = bench.work.join("base");
    let list = read(&bench.sources.join("root.packages"))?;
    let stamp = bench.work.join("base.stamp");
    if fs::read_to_string(&stamp).ok().as_deref() != Some(&list) {
        remove(&folder)?;
        tools::bootstrap(&folder, "essential", &tools::names(&list))?;
        write(&stamp, &list)?;
    }
    Ok(folder)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    process::answer(
        Command::new("cp")
            .args(["-aT", "--no-preserve=timestamps"])
            .arg(from)
            .arg(to),
    )
    .map(|_| ())
}

/// Takes out what is not needed, and what differs from build to build.
fn clear(stage: &Path) -> Result<()> {
    for what in TAKEN_OUT {
        let path = stage.join(what);
        let about = match path.symlink_metadata() {
            Ok(about) => about,
            Err(_) => continue,
        };
        let removed = if about.is_dir() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
        removed.with_context(|| format!("{} cannot be removed", shown(&path)))?;
    }
    // The data partition is mounted there; what belongs into it is made by systemd-tmpfiles.
    for folder in ["var", "tmp", "run", "root"] {
        let path = stage.join(folder);
        remove(&path)?;
        fs::create_dir(&path).with_context(|| format!("{} cannot be made", shown(&path)))?;
    }
    for (file, text) in [("etc/machine-id", "uninitialized\n"), ("etc/hostname", "strongroom\n")] {
        write(&stage.join(file), text)?;
    }
    write(
        &stage.join("etc/shells"),
        "# Nobody logs in here.\n",
    )
}

fn squash(bench: &Bench, tools: &Tools) -> Result<Root> {
    let made = tools.sh(
        // The salt and the identifier are constants: they only have to differ from image to image where hashes are compared, and those do.
        "rm -f root.squashfs root.verity; \
         env -u SOURCE_DATE_EPOCH mksquashfs root root.squashfs -noappend -comp zstd -no-xattrs -quiet -no-progress -all-time \"$1\" -mkfs-time \"$1\" >/dev/null; \
         veritysetup format --salt=5374726f6e67726f6f6d000000000000000000000000000000000000000000 \
           --uuid=53747267-726f-6f6d-0000-000000000001 root.squashfs root.verity",
        &[EPOCH],
    )?;
    let hash = made
        .lines()
        .find_map(|line| line.strip_prefix("Root hash:"))
        .map(|hash| hash.trim().to_owned());
    let Some(hash) = hash.filter(|hash| hash.len() == 64) else {
        bail!("veritysetup printed no root hash");
    };
    Ok(Root {
        squashfs: bench.work.join("root.squashfs"),
        verity: bench.work.join("root.verity"),
        hash,
    })
}

/// What the image says of itself (os-release(5)).
pub(crate) fn os_release(version: &str) -> String {
    format!(
        "NAME=Strongroom\nID=strongroom\nID_LIKE=debian\nVERSION_ID={version}\nIMAGE_ID=strongroom\nIMAGE_VERSION={version}\n\
         PRETTY_NAME=\"Strongroom {version}\"\n"
    )
}
