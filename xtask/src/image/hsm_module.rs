//! A vendor's PKCS#11 module for the HSM of a site, given at build: what it has to be, and where it lies in the root.
//!
//! What is wrong with it is said while the image is built. On a machine the service would not reach its HSM, and nobody could look there why.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use goblin::elf::{
    Elf,
    header::{EM_X86_64, ET_DYN},
    program_header::{PF_X, PT_GNU_STACK},
    symver::{VER_FLG_WEAK, VerdefSection},
};
use sha2::{Digest as _, Sha256};

use crate::terminal::shown;

/// Where it lies in the root.
const FOLDER: &str = "usr/lib/strongroom/hsm";
/// What leads to it there, whatever its name.
const LINK: &str = "usr/lib/strongroom/hsm.module";
/// The one function by which all others of a module are found (PKCS#11 3.0 section 5.2).
const ENTRY: &str = "C_GetFunctionList";
/// Where the root's dynamic linker looks.
const LIBRARIES: [&str; 2] = ["usr/lib/x86_64-linux-gnu", "usr/lib"];

/// A module that was looked at.
#[derive(Debug, Clone)]
pub(crate) struct HsmModule {
    name: String,
    bytes: Vec<u8>,
    /// Its SHA-256, in hexadecimal digits.
    sha256: String,
}

impl HsmModule {
    /// Reads a module, and sees that it is one that the service could load.
    ///
    /// # Errors
    ///
    /// In one sentence, when it could not.
    pub(crate) fn read(file: &Path) -> Result<Self> {
        let bytes = fs::read(file).with_context(|| format!("{} cannot be read", shown(file)))?;
        let name = file
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if name.starts_with('.') || !name.bytes().all(is_plain) {
            bail!(
                "the HSM's module {} has a name with other characters than letters, digits and `.+_-`: give it another one",
                shown(file)
            );
        }
        see_kind(&bytes).with_context(|| format!("{} is no module for the HSM", shown(file)))?;
        Ok(Self {
            name: name.to_owned(),
            sha256: hex::encode(Sha256::digest(&bytes)),
            bytes,
        })
    }

    /// The name of its file.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Its SHA-256, in hexadecimal digits.
    pub(crate) fn sha256(&self) -> &str {
        &self.sha256
    }

    /// How many bytes it has.
    pub(crate) fn length(&self) -> u64 {
        u64::try_from(self.bytes.len()).unwrap_or(u64::MAX)
    }

    /// Lays it into a root, once it is sure that what it needs is there.
    ///
    /// # Errors
    ///
    /// When a library that it needs is not in the root, or is one without what it needs of it; the first of them.
    pub(crate) fn lay(&self, root: &Path) -> Result<()> {
        self.see_needs(root)?;
        let folder = root.join(FOLDER);
        let there = folder.join(&self.name);
        let lay = || -> std::io::Result<()> {
            fs::create_dir_all(&folder)?;
            fs::write(&there, &self.bytes)?;
            fs::set_permissions(&there, fs::Permissions::from_mode(0o644))?;
            symlink(format!("hsm/{}", self.name), root.join(LINK))
        };
        lay().with_context(|| format!("{} cannot be written", shown(&there)))
    }

    fn see_needs(&self, root: &Path) -> Result<()> {
        let elf = Elf::parse(&self.bytes)?;
        for library in &elf.libraries {
            if find(root, library).is_none() {
                bail!(
                    "the HSM's module {} needs {library}, which the image does not have: add Debian's package of it to image/root.packages, or \
                     have the vendor's module that needs less",
                    self.name
                );
            }
        }
        for (library, version) in versions_needed(&elf) {
            let Some(file) = find(root, library) else {
                continue;
            };
            let bytes =
                fs::read(&file).with_context(|| format!("{} cannot be read", shown(&file)))?;
            if !versions_of(&Elf::parse(&bytes)?).any(|has| has == version) {
                bail!(
                    "the HSM's module {} needs {version} of {library}, which the image's has not: have the vendor's module for Debian 13 or an \
                     older system",
                    self.name
                );
            }
        }
        Ok(())
    }
}

const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'+' | b'_' | b'-')
}

/// Sees that it is a PKCS#11 module for this processor which the service's unit can load.
fn see_kind(bytes: &[u8]) -> Result<()> {
    let elf = Elf::parse(bytes)
        .ok()
        .filter(|elf| elf.header.e_type == ET_DYN)
        .context("it is no shared object: it has to be the vendor's PKCS#11 module for Linux")?;
    if !elf.is_64 || elf.header.e_machine != EM_X86_64 {
        bail!("it is for another processor: it has to be a 64-bit one for x86-64");
    }
    let exports = elf.dynsyms.iter().any(|symbol| {
        symbol.is_function()
            && !symbol.is_import()
            && elf.dynstrtab.get_at(symbol.st_name) == Some(ENTRY)
    });
    if !exports {
        bail!("it exports no {ENTRY}, so that it is no PKCS#11 module");
    }
    // One that says nothing of its stack is taken to want it executable.
    let stack = elf
        .program_headers
        .iter()
        .find(|header| header.p_type == PT_GNU_STACK);
    if stack.is_none_or(|stack| stack.p_flags & PF_X != 0) {
        bail!("it needs an executable stack, and the service has none (MemoryDenyWriteExecute)");
    }
    if elf
        .dynamic
        .as_ref()
        .is_some_and(|dynamic| dynamic.info.textrel)
    {
        bail!(
            "it changes its own code while it is loaded, which the service may not (MemoryDenyWriteExecute)"
        );
    }
    Ok(())
}

/// A library in the root, and not one that a link out of it leads to.
fn find(root: &Path, library: &str) -> Option<PathBuf> {
    let root = root.canonicalize().ok()?;
    LIBRARIES
        .iter()
        .filter_map(|folder| root.join(folder).join(library).canonicalize().ok())
        .find(|file| file.starts_with(&root) && file.is_file())
}

/// The versions of symbols that it cannot do without, each with the library that has to have it.
fn versions_needed<'a>(elf: &Elf<'a>) -> Vec<(&'a str, &'a str)> {
    let mut needed = Vec::new();
    let Some(section) = &elf.verneed else {
        return needed;
    };
    for need in section {
        for version in need
            .iter()
            .filter(|version| version.vna_flags & VER_FLG_WEAK == 0)
        {
            let names = elf
                .dynstrtab
                .get_at(need.vn_file)
                .zip(elf.dynstrtab.get_at(version.vna_name));
            needed.extend(names);
        }
    }
    needed
}

/// The versions of symbols that a library has.
fn versions_of<'a>(elf: &'a Elf<'_>) -> impl Iterator<Item = &'a str> {
    elf.verdef
        .iter()
        .flat_map(VerdefSection::iter)
        // The first name is its own, others are those of versions before it.
        .filter_map(|version| elf.dynstrtab.get_at(version.iter().next()?.vda_name))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::packages;

    /// A real module, under another name.
    fn module(folder: &Path) -> PathBuf {
        let file = folder.join("libcedar.so");
        fs::copy(packages::softhsm_module().unwrap(), &file).unwrap();
        file
    }

    /// Where this machine has the libraries of its own.
    const HERE: &str = "/usr/lib/x86_64-linux-gnu";

    /// A root with the libraries that it needs.
    fn root(folder: &Path, module: &Path) -> PathBuf {
        let root = folder.join("root");
        let libraries = root.join(LIBRARIES[0]);
        fs::create_dir_all(&libraries).unwrap();
        let bytes = fs::read(module).unwrap();
        for library in Elf::parse(&bytes).unwrap().libraries {
            fs::copy(Path::new(HERE).join(library), libraries.join(library)).unwrap();
        }
        root
    }

    fn why(result: Result<impl Sized>) -> String {
        result
            .map(|_| ())
            .map_err(|error| format!("{error:#}"))
            .unwrap_err()
    }

    #[test]
    fn a_module_is_laid_where_the_first_start_finds_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = module(folder.path());
        let root = root(folder.path(), &file);
        let module = HsmModule::read(&file).unwrap();
        module.lay(&root).unwrap();
        assert_eq!(module.name(), "libcedar.so");
        assert_eq!(fs::read(root.join(LINK)).unwrap(), fs::read(&file).unwrap());
        assert_eq!(
            fs::read_link(root.join(LINK)).unwrap(),
            Path::new("hsm/libcedar.so")
        );
        assert_eq!(module.sha256(), crate::image::papers::hash(&file).unwrap());
    }

    #[test]
    fn what_the_root_lacks_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = module(folder.path());
        let root = root(folder.path(), &file);
        let module = HsmModule::read(&file).unwrap();
        let libraries = root.join(LIBRARIES[0]);
        // One that has other versions than the one of its name.
        fs::copy(
            Path::new(HERE).join("libm.so.6"),
            libraries.join("libc.so.6"),
        )
        .unwrap();
        let said = why(module.lay(&root));
        assert!(
            said.contains("libcedar.so needs GLIBC_") && said.contains("of libc.so.6"),
            "{said}"
        );
        // A link that leads out of the root.
        fs::remove_file(libraries.join("libc.so.6")).unwrap();
        symlink(
            Path::new(HERE).join("libc.so.6"),
            libraries.join("libc.so.6"),
        )
        .unwrap();
        let said = why(module.lay(&root));
        assert!(
            said.contains("libcedar.so needs libc.so.6, which the image does not have"),
            "{said}"
        );
        assert!(!root.join(LINK).exists());
    }

    #[test]
    fn what_is_no_module_for_the_service_is_refused_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let good = fs::read(module(folder.path())).unwrap();
        let refused = |name: &str, bytes: &[u8]| {
            let file = folder.path().join(name);
            fs::write(&file, bytes).unwrap();
            why(HsmModule::read(&file))
        };
        assert!(refused("text.so", b"not a library").contains("no shared object"));
        assert!(refused("short.so", &good[..4096]).contains("no shared object"));
        // The processor in the header (e_machine): AArch64.
        let mut other = good.clone();
        other[18] = 183;
        assert!(refused("arm.so", &other).contains("another processor"));
        let here = fs::read(Path::new(HERE).join("libm.so.6")).unwrap();
        assert!(refused("libm.so", &here).contains("exports no C_GetFunctionList"));
        // The flags of the program header of the stack, 4 bytes behind its kind.
        let mut stack = good.clone();
        let elf = Elf::parse(&good).unwrap();
        let index = elf
            .program_headers
            .iter()
            .position(|header| header.p_type == PT_GNU_STACK);
        let at = usize::try_from(elf.header.e_phoff).unwrap() + 56 * index.unwrap() + 4;
        stack[at] |= 1;
        assert!(refused("stack.so", &stack).contains("executable stack"));
        assert!(refused("a module.so", &good).contains("a name with other characters"));
    }
}
