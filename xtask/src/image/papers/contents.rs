//! What is in the image: Debian's packages of which a file is left, and the crates that our programs were compiled from.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::super::{Bench, hsm_module::HsmModule, read, tools::Tools};
use super::licences::{self, Licences, Reference};
use crate::process;

/// A package or crate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Component {
    pub(super) name: String,
    pub(super) version: String,
    /// Its package URL, which no other component has.
    pub(super) purl: String,
    /// The SHA-256 of its archive, in hexadecimal digits; our own crates have none.
    pub(super) sha256: Option<String>,
    /// What its maker declares, as an SPDX expression; some of Debian's packages say it in a text for people alone.
    pub(super) licence: Option<String>,
    /// What the references in that stand for.
    pub(super) texts: Vec<Reference>,
    /// Where in the image it is.
    pub(super) parts: BTreeSet<&'static str>,
}

/// The programs of ours that are in the image.
const PROGRAMS: [&str; 3] = ["strongroomd", "strongroom-setup", "strongroom-witness"];

/// All that is in the image, in the order of the package URLs.
pub(super) fn of(bench: &Bench, tools: &Tools) -> Result<Vec<Component>> {
    let mut found: BTreeMap<String, Component> = BTreeMap::new();
    let module = bench.hsm_module.as_ref().map(of_hsm);
    let all = packages(bench, tools)?
        .into_iter()
        .chain(crates(bench)?)
        .chain(module);
    for component in all {
        let known = found
            .entry(component.purl.clone())
            .or_insert_with(|| component.clone());
        known.parts.extend(component.parts);
    }
    Ok(found.into_values().collect())
}

/// A vendor's module, which says nothing of itself but its name: its version is the beginning of its hash.
pub(super) fn of_hsm(module: &HsmModule) -> Component {
    let (name, sha256) = (module.name(), module.sha256());
    Component {
        name: name.to_owned(),
        version: sha256.chars().take(12).collect(),
        purl: format!("pkg:generic/{}?checksum=sha256:{sha256}", encoded(name)),
        sha256: Some(sha256.to_owned()),
        licence: None,
        texts: Vec::new(),
        parts: ["root"].into(),
    }
}

fn packages(bench: &Bench, tools: &Tools) -> Result<Vec<Component>> {
    let in_root = in_root(&bench.chroots.join("base"), &bench.work.join("root"))?;
    let in_initrd = in_initrd(tools)?;
    let mut found = Vec::new();
    for line in read(&bench.sources.join("packages.lock"))?.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let [chroot, name, version, sha256] = fields.as_slice() else {
            continue;
        };
        let parts: BTreeSet<&str> = match *chroot {
            kernel if kernel == bench.kernel.mark() => ["kernel", "root"].into(),
            "root" if in_root.contains(*name) => ["root"].into(),
            "tools" if *name == "systemd-boot-efi" => ["boot loader"].into(),
            "tools" if in_initrd.contains(*name) => ["initial RAM disk"].into(),
            _ => continue,
        };
        let chroot = if *chroot == "root" { "base" } else { "tools" };
        let declared = declared(&bench.chroots.join(chroot), name);
        let (licence, texts) = declared.map_or((None, Vec::new()), |declared| {
            (Some(declared.expression), declared.texts)
        });
        found.push(Component {
            name: (*name).to_owned(),
            version: (*version).to_owned(),
            purl: format!(
                "pkg:deb/debian/{name}@{}?distro={}",
                encoded(version),
                super::super::tools::SUITE
            ),
            sha256: Some((*sha256).to_owned()),
            licence,
            texts,
            parts,
        });
    }
    Ok(found)
}

/// The licences in a package's own file, by Debian's chroot that has the package; the root has the file no more.
fn declared(chroot: &Path, package: &str) -> Option<Licences> {
    let file = chroot.join("usr/share/doc").join(package).join("copyright");
    // People's names in it are not always in UTF-8.
    licences::read(package, &String::from_utf8_lossy(&fs::read(file).ok()?))
}

/// The packages of which anything is left in the root file system, by dpkg's lists of files.
pub(in super::super) fn in_root(base: &Path, root: &Path) -> Result<BTreeSet<String>> {
    let info = base.join("var/lib/dpkg/info");
    let cannot = || format!("{} cannot be read", info.display());
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(&info).with_context(cannot)? {
        let path = entry.with_context(cannot)?.path();
        if path.extension().is_none_or(|kind| kind != "list") {
            continue;
        }
        let left = read(&path)?.lines().any(|file| {
            root.join(file.trim_start_matches('/'))
                .symlink_metadata()
                .is_ok_and(|about| !about.is_dir())
        });
        if let (true, Some(name)) = (left, path.file_stem().and_then(|name| name.to_str())) {
            // Of a package that several architectures can have at a time, the list's name says which.
            found.insert(name.split(':').next().unwrap_or(name).to_owned());
        }
    }
    Ok(found)
}

/// The packages of which dracut took a file, by dpkg in the chroot that it took them from.
fn in_initrd(tools: &Tools) -> Result<BTreeSet<String>> {
    // Folders belong to everybody, so files and links alone.
    let said = tools.sh(
        "/usr/lib/dracut/skipcpio initrd.img | zstd -dcq | cpio -tv --quiet | awk '!/^d/ { print \"/\" $9 }' | \
         xargs dpkg-query -S 2>/dev/null | sed 's#: /.*##; s#, #\\n#g; s#:[a-z0-9]*##g' | sort -u || true",
        &[],
    )?;
    let found: BTreeSet<String> = said.lines().map(|line| line.trim().to_owned()).collect();
    // One that dracut always takes from, and one that only makes images.
    if !found.contains("systemd") || found.contains("systemd-ukify") {
        bail!("the packages in the initial RAM disk cannot be told");
    }
    Ok(found)
}

/// What cargo says of a workspace and its dependencies.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    /// None where it is no dependency of tests or of a build script.
    kind: Option<String>,
}

fn crates(bench: &Bench) -> Result<Vec<Component>> {
    let workspace = bench
        .sources
        .parent()
        .context("the image's sources are in no workspace")?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let metadata = process::answer(
        Command::new(cargo)
            .args(["metadata", "--format-version=1", "--locked"])
            .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
            .current_dir(workspace),
    )?;
    let metadata = serde_json::from_slice(&metadata).context("what cargo says cannot be read")?;
    compiled_in(
        &metadata,
        &checksums(&read(&workspace.join("Cargo.lock"))?)?,
    )
}

/// The crates that our programs come to by dependencies that are compiled in.
fn compiled_in(
    metadata: &Metadata,
    checksums: &BTreeMap<(String, String), String>,
) -> Result<Vec<Component>> {
    let packages: BTreeMap<&str, &Package> = metadata
        .packages
        .iter()
        .map(|package| (package.id.as_str(), package))
        .collect();
    let nodes: BTreeMap<&str, &Node> = metadata
        .resolve
        .nodes
        .iter()
        .map(|node| (node.id.as_str(), node))
        .collect();
    let mut next: Vec<&str> = metadata
        .packages
        .iter()
        .filter(|package| PROGRAMS.contains(&package.name.as_str()))
        .map(|package| package.id.as_str())
        .collect();
    if next.len() != PROGRAMS.len() {
        bail!("cargo does not know all of {}", PROGRAMS.join(", "));
    }
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    while let Some(id) = next.pop() {
        if !seen.insert(id) {
            continue;
        }
        let (package, node) = packages
            .get(id)
            .zip(nodes.get(id))
            .with_context(|| format!("cargo does not say what {id} is"))?;
        let key = (package.name.clone(), package.version.clone());
        found.push(Component {
            name: package.name.clone(),
            version: package.version.clone(),
            purl: format!("pkg:cargo/{}@{}", package.name, encoded(&package.version)),
            sha256: checksums.get(&key).cloned(),
            // As it was written before there were expressions.
            licence: package
                .license
                .as_ref()
                .map(|text| text.replace('/', " OR ")),
            texts: Vec::new(),
            parts: ["our programs"].into(),
        });
        next.extend(
            node.deps
                .iter()
                .filter(|needed| needed.dep_kinds.iter().any(|kind| kind.kind.is_none()))
                .map(|needed| needed.pkg.as_str()),
        );
    }
    Ok(found)
}

/// The checksums of archives in a `Cargo.lock`, by name and version.
fn checksums(lock: &str) -> Result<BTreeMap<(String, String), String>> {
    #[derive(Deserialize)]
    struct Lock {
        package: Vec<Locked>,
    }
    #[derive(Deserialize)]
    struct Locked {
        name: String,
        version: String,
        checksum: Option<String>,
    }
    let lock: Lock = toml::from_str(lock).context("Cargo.lock cannot be read")?;
    Ok(lock
        .package
        .into_iter()
        .filter_map(|locked| Some(((locked.name, locked.version), locked.checksum?)))
        .collect())
}

/// A version in a package URL: what has a meaning there or may not stand there is written in percent signs.
fn encoded(version: &str) -> String {
    version
        .replace('%', "%25")
        .replace('+', "%2B")
        .replace(':', "%3A")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn only_what_is_compiled_in_is_named() {
        let metadata: Metadata = serde_json::from_value(serde_json::json!({
            "packages": [
                {"id": "d", "name": "strongroomd", "version": "0.1.0", "license": null},
                {"id": "s", "name": "strongroom-setup", "version": "0.1.0", "license": null},
                {"id": "w", "name": "strongroom-witness", "version": "0.1.0", "license": null},
                {"id": "a", "name": "a", "version": "1.0.0+b", "license": "MIT/Apache-2.0"},
                {"id": "t", "name": "t", "version": "1.0.0", "license": "MIT"},
            ],
            "resolve": {"nodes": [
                {"id": "d", "deps": [{"pkg": "a", "dep_kinds": [{"kind": "dev"}, {"kind": null}]}, {"pkg": "t", "dep_kinds": [{"kind": "dev"}]}]},
                {"id": "s", "deps": [{"pkg": "a", "dep_kinds": [{"kind": null}]}]},
                {"id": "w", "deps": []},
                {"id": "a", "deps": [{"pkg": "t", "dep_kinds": [{"kind": "build"}]}]},
                {"id": "t", "deps": []},
            ]},
        }))
        .unwrap();
        let lock =
            checksums("[[package]]\nname = \"a\"\nversion = \"1.0.0+b\"\nchecksum = \"00\"\n");
        let mut found = compiled_in(&metadata, &lock.unwrap()).unwrap();
        found.sort_by(|one, other| one.name.cmp(&other.name));
        let names: Vec<&str> = found.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(
            names,
            ["a", "strongroom-setup", "strongroom-witness", "strongroomd"]
        );
        assert_eq!(found[0].purl, "pkg:cargo/a@1.0.0%2Bb");
        assert_eq!(found[0].sha256.as_deref(), Some("00"));
        assert_eq!(found[0].licence.as_deref(), Some("MIT OR Apache-2.0"));
        assert_eq!(found[1].sha256, None);
    }

    #[test]
    fn a_package_without_a_file_left_is_not_in_the_root() {
        let folder = tempfile::tempdir().unwrap();
        let (base, root) = (folder.path().join("base"), folder.path().join("root"));
        let info = base.join("var/lib/dpkg/info");
        fs::create_dir_all(&info).unwrap();
        fs::create_dir_all(root.join("usr/bin")).unwrap();
        fs::write(root.join("usr/bin/left"), "").unwrap();
        fs::write(
            info.join("kept:amd64.list"),
            "/.\n/usr/bin\n/usr/bin/left\n",
        )
        .unwrap();
        fs::write(info.join("gone.list"), "/.\n/usr/bin\n/usr/bin/gone\n").unwrap();
        let found = in_root(&base, &root).unwrap();
        assert_eq!(found, BTreeSet::from(["kept".to_owned()]));
    }
}
