//! The root file system: Debian's packages, our programs and files, and what is taken out again; as squashfs under dm-verity.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::{Bench, EPOCH, kernel, read, remove, tools, tools::Tools, update::Fault, write};
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

impl Root {
    fn at(bench: &Bench, hash: &str) -> Self {
        Self {
            squashfs: bench.work.join("root.squashfs"),
            verity: bench.work.join("root.verity"),
            hash: hash.to_owned(),
        }
    }
}

/// Makes the root file system with these programs, where anything that it is made of has changed.
pub(crate) fn make(
    bench: &Bench,
    tools: &Tools,
    base: &Path,
    programs: &[PathBuf],
) -> Result<Root> {
    let stamp = bench.work.join("root.stamp");
    let of = inputs(bench, programs)? + &kernel::kernel(bench, tools)?;
    let made = fs::read_to_string(&stamp).unwrap_or_default();
    if let Some((hash, was_of)) = made.split_once('\n')
        && was_of == of
    {
        return Ok(Root::at(bench, hash));
    }
    let _ = fs::remove_file(&stamp);
    let root = make_anew(bench, tools, base, programs)?;
    write(&stamp, format!("{}\n{of}", root.hash))?;
    Ok(root)
}

/// What a root file system is made of: the chroots, our files and programs, each as it was last written.
fn inputs(bench: &Bench, programs: &[PathBuf]) -> Result<String> {
    let mut found = process::answer(
        Command::new("find")
            .arg(&bench.sources)
            .args(programs)
            .args(["-type", "f", "-printf", "%p %s %T@\n"]),
    )?;
    for stamp in ["tools.stamp", "base.stamp"] {
        found.extend(read(&bench.chroots.join(stamp))?.into_bytes());
    }
    if let Some(module) = &bench.hsm_module {
        found.extend([module.name(), module.sha256()].concat().into_bytes());
    }
    found.extend(release(bench)?.into_bytes());
    found.extend(signer(bench)?.into_bytes());
    found.extend(read(&bench.seed_key)?.into_bytes());
    for (file, text) in bench.fault.map_or(&[][..], Fault::files) {
        found.extend([*file, *text].concat().into_bytes());
    }
    String::from_utf8(found).context("a file's name is no text")
}

fn make_anew(bench: &Bench, tools: &Tools, base: &Path, programs: &[PathBuf]) -> Result<Root> {
    let stage = bench.work.join("root");
    remove(&stage)?;
    copy(base, &stage)?;
    // `cp -aT` lays our files over Debian's.
    copy(&bench.sources.join("root"), &stage)?;
    for program in programs {
        let name = program.file_name().context("a program has no name")?;
        let there = stage.join("usr/bin").join(name);
        fs::copy(program, &there)
            .with_context(|| format!("{} cannot be copied", shown(program)))?;
    }
    write(&stage.join("usr/lib/os-release"), os_release(bench))?;
    let ours = stage.join("usr/share/strongroom");
    write(&ours.join("release.json"), release(bench)?)?;
    write(&ours.join("updates.pem"), signer(bench)?)?;
    write(&ours.join("seed.pem"), read(&bench.seed_key)?)?;
    for (file, text) in bench.fault.map_or(&[][..], Fault::files) {
        let file = stage.join(file);
        fs::create_dir_all(file.parent().unwrap_or(&stage))?;
        write(&file, text)?;
    }
    // Accounts and units are settled here: nothing is to be settled on the machine.
    let masked = read(&bench.sources.join("masked.units"))?;
    tools.sh(
        &format!(
            "systemd-sysusers --root=root; rm -rf root/etc/systemd/system/*.wants; systemctl --root=root preset-all >/dev/null 2>&1; \
             systemctl --root=root mask -q {masked}; systemctl --root=root set-default -q multi-user.target; \
             sed -i 's#:[^:]*$#:/usr/sbin/nologin#' root/etc/passwd; chmod 0600 root/etc/crypttab; ln -sf ../run/systemd/resolve/stub-resolv.conf root/etc/resolv.conf; \
             strip root/usr/bin/strongroomd root/usr/bin/strongroom-setup root/usr/bin/strongroom-witness; \
             cp -a /usr/lib/modules root/usr/lib/; rm -f root/usr/lib/modules/*/build root/usr/lib/modules/*/source; \
             find root -xdev \\( -perm -4000 -o -perm -2000 \\) -type f -exec chmod ug-s {{}} +",
            masked = tools::names(&masked).join(" ")
        ),
        &[],
    )?;
    clear(bench, &stage)?;
    if let Some(module) = &bench.hsm_module {
        module.lay(&stage)?;
    }
    squash(bench, tools)
}

/// Debian's part, which changes only with its list.
pub(crate) fn base(bench: &Bench) -> Result<PathBuf> {
    let folder = bench.chroots.join("base");
    let list = read(&bench.sources.join("root.packages"))?;
    let stamp = bench.chroots.join("base.stamp");
    let of = tools::made_of(&list);
    if fs::read_to_string(&stamp).ok().as_ref() != Some(&of) {
        remove(&folder)?;
        tools::bootstrap(&folder, "essential", &tools::names(&list))?;
        write(&stamp, of)?;
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
fn clear(bench: &Bench, stage: &Path) -> Result<()> {
    let taken_out = read(&bench.sources.join("taken-out.list"))?;
    for what in tools::names(&taken_out) {
        let path = stage.join(what);
        let Ok(about) = path.symlink_metadata() else {
            continue;
        };
        let removed = if about.is_dir() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
        removed.with_context(|| format!("{} cannot be removed", shown(&path)))?;
    }
    // The data partition is mounted on /var; what belongs into it is made by systemd-tmpfiles. Where it stays locked, services still
    // look for /var/tmp.
    for folder in ["var", "tmp", "run", "root"] {
        remove(&stage.join(folder))?;
    }
    for folder in ["var", "var/tmp", "tmp", "run", "root", "efi"] {
        let path = stage.join(folder);
        fs::create_dir(&path).with_context(|| format!("{} cannot be made", shown(&path)))?;
    }
    for (file, text) in [("etc/machine-id", ""), ("etc/hostname", "strongroom\n")] {
        write(&stage.join(file), text)?;
    }
    write(&stage.join("etc/shells"), "# Nobody logs in here.\n")
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
    Ok(Root::at(bench, &hash))
}

/// What our programs read of the image: in the root, and in the initial RAM disk.
pub(crate) fn release(bench: &Bench) -> Result<String> {
    let release = serde_json::json!({
        "version": bench.version,
        "security_version": bench.security_version,
        "flavour": bench.kernel.flavour(),
    });
    Ok(format!("{}\n", serde_json::to_string(&release)?))
}

/// Whose key signs updates of the image: that of its kernel image.
fn signer(bench: &Bench) -> Result<String> {
    read(&bench.keys.join("db.pem"))
}

/// What the image says of itself (os-release(5)).
pub(crate) fn os_release(bench: &Bench) -> String {
    let version = &bench.version;
    let variant = bench
        .hsm_module
        .as_ref()
        .map_or_else(String::new, |module| {
            format!(
                "VARIANT=\"with the HSM's module {}\"\nVARIANT_ID=hsm\n",
                module.name()
            )
        });
    format!(
        "NAME=Strongroom\nID=strongroom\nID_LIKE=debian\nVERSION_ID={version}\nIMAGE_ID=strongroom\nIMAGE_VERSION={version}\n\
         PRETTY_NAME=\"Strongroom {version}\"\n{variant}"
    )
}
