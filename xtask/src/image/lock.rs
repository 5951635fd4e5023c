//! `image/packages.lock`: which packages, of which version and with which hash, an image is made of.
//!
//! Debian's archive keeps the newest version only, so a build does not choose: it sees that what it got is what is locked.

use std::{collections::BTreeSet, fs, path::PathBuf};

use anyhow::{Result, bail};

use super::{Bench, kernel::Flavour, read, tools::Tools, write};

/// One package: where it goes, its name, its version, the SHA-256 of its archive.
type Line = String;

fn file(bench: &Bench) -> PathBuf {
    bench.sources.join("packages.lock")
}

/// Sees that the packages in the chroots are those that are locked, or locks them.
///
/// # Errors
///
/// When they are others; with the first of them and what to do.
pub(crate) fn hold(bench: &Bench, tools: &Tools, update: bool) -> Result<()> {
    let found = installed(bench, tools)?;
    let lock = file(bench);
    let others = of_other_kernels(&fs::read_to_string(&lock).unwrap_or_default(), bench.kernel);
    if update || !lock.exists() {
        let mut text = String::from(
            "# Written by `cargo xtask image --update-lock`: where it goes, package, version, SHA-256 of its archive.\n",
        );
        for line in found.union(&others) {
            text.push_str(line);
            text.push('\n');
        }
        return write(&lock, text);
    }
    let locked = read(&lock)?;
    match difference(&locked, &(&found | &others)) {
        None => Ok(()),
        Some(line) => bail!(
            "Debian's packages are others than image/packages.lock says, the first of them is `{line}`: run `cargo xtask image --update-lock` \
             and look at what has changed"
        ),
    }
}

/// The locked lines of kernels that this image does not have.
fn of_other_kernels(locked: &str, kernel: Flavour) -> BTreeSet<Line> {
    locked
        .lines()
        .filter(|line| line.starts_with("kernel"))
        .filter(|line| line.split(' ').next() != Some(kernel.mark()))
        .map(str::to_owned)
        .collect()
}

/// The first package that is locked and not there, or there and not locked.
fn difference(locked: &str, found: &BTreeSet<Line>) -> Option<String> {
    let locked: BTreeSet<Line> = locked
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(str::to_owned)
        .collect();
    locked.symmetric_difference(found).next().cloned()
}

/// What is installed: asked once for each pair of chroots and kernel.
fn installed(bench: &Bench, tools: &Tools) -> Result<BTreeSet<Line>> {
    let stamps =
        ["tools.stamp", "base.stamp", "tools/kernel.package"].map(|name| bench.chroots.join(name));
    let kept = bench.chroots.join("packages");
    let newer = |stamp: &PathBuf| -> Option<bool> {
        let time = |path: &PathBuf| fs::metadata(path).and_then(|about| about.modified()).ok();
        Some(time(&kept)? > time(stamp)?)
    };
    if !stamps.iter().all(|stamp| newer(stamp) == Some(true)) {
        let text = ask(tools)?;
        write(&kept, text)?;
    }
    Ok(read(&kept)?.lines().map(str::to_owned).collect())
}

/// Asks dpkg for names and versions, and apt, which checked them by Debian's signature, for the hashes.
fn ask(tools: &Tools) -> Result<String> {
    let said = tools.sh(
        "apt-get -q update >/dev/null; \
         list() { dpkg-query --admindir=\"$2\" -W -f=\"$1 \\${Package} \\${Version} \\${Architecture}\\n\"; }; \
         { list root /bench/base/var/lib/dpkg; list tools /var/lib/dpkg; cat /kernel.package; } >packages.wanted; \
         cut -d' ' -f2,3,4 packages.wanted | sed 's/\\([^ ]*\\) \\([^ ]*\\) .*/\\1=\\2/' | sort -u | xargs apt-cache show >packages.shown; \
         awk 'NR==FNR { if ($1==\"Package:\") p=$2; else if ($1==\"Version:\") v=$2; else if ($1==\"SHA256:\") h[p\" \"v]=$2; next } \
           { print $1, $2, $3, h[$2\" \"$3] }' packages.shown packages.wanted | sort -u; rm packages.wanted packages.shown",
        &[],
    )?;
    for line in said.lines() {
        if line.split(' ').count() != 4 || line.ends_with(' ') {
            bail!("apt has no hash of `{line}`");
        }
    }
    Ok(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_holds_the_kernels_of_both_flavours() {
        let locked = "kernel a 1 00\nkernel-metal b 1 00\nroot c 1 00\n";
        let metal = BTreeSet::from(["kernel-metal b 1 00".to_owned()]);
        assert_eq!(of_other_kernels(locked, Flavour::Vm), metal);
        let cloud = BTreeSet::from(["kernel a 1 00".to_owned()]);
        assert_eq!(of_other_kernels(locked, Flavour::Metal), cloud);
    }

    #[test]
    fn a_package_that_is_not_the_locked_one_is_named() {
        let found = BTreeSet::from(["root a 1 00".to_owned(), "root b 2 11".to_owned()]);
        assert_eq!(
            difference("# all\nroot a 1 00\nroot b 2 11\n", &found),
            None
        );
        assert_eq!(
            difference("root a 1 00\nroot b 1 22\n", &found),
            Some("root b 1 22".to_owned())
        );
        assert_eq!(
            difference("root a 1 00\n", &found),
            Some("root b 2 11".to_owned())
        );
    }
}
