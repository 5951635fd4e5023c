//! p11-kit's module files, and where the module itself is.

use std::env;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::readable;
use crate::failure::Failure;

/// The module's file name.
pub(super) const LIBRARY: &str = "libstrongroom_pkcs11.so";
/// The name of the module file.
const MODULE_FILE: &str = "strongroom.module";
/// What the files that this program writes begin with.
const HEAD: &str = "# Written by strongroom pkcs11 configure.";
/// Where the administrator's module files are.
const SYSTEM: &str = "/etc/pkcs11/modules";
/// Where packages put theirs.
const PACKAGES: &str = "/usr/share/p11-kit/modules";

/// A module file: what it has p11-kit load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Registration {
    /// The module file.
    pub(super) file: PathBuf,
    /// What it names; a bare name is looked for in p11-kit's own folder.
    pub(super) module: PathBuf,
    /// What `C_Initialize` is given as its reserved string.
    pub(super) reserved: Option<String>,
    /// Whether it is the user's own.
    pub(super) is_users: bool,
}

/// The folder of the system's module files, or else of the user's.
pub(super) fn folder(of_system: bool) -> Option<PathBuf> {
    if of_system {
        return Some(SYSTEM.into());
    }
    let absolute = |name: &str| {
        let folder = env::var_os(name).map(PathBuf::from);
        folder.filter(|folder| folder.is_absolute())
    };
    absolute("XDG_CONFIG_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".config")))
        .map(|config| config.join("pkcs11/modules"))
}

/// The module: next to this program, or in one of the folders where packages put such files.
pub(super) fn find_module() -> Option<PathBuf> {
    let program = env::current_exe().ok();
    let beside = program.as_deref().and_then(Path::parent);
    let beside = beside.into_iter().flat_map(|folder| {
        ["", "../lib", "../lib/pkcs11", "../lib/strongroom"].map(|name| folder.join(name))
    });
    let machine = format!("{}-linux-gnu", env::consts::ARCH);
    let usual = [
        format!("/usr/lib/{machine}/pkcs11"),
        format!("/usr/lib/{machine}"),
        "/usr/lib64/pkcs11".to_owned(),
        "/usr/lib64".to_owned(),
        "/usr/lib/pkcs11".to_owned(),
        "/usr/lib/strongroom".to_owned(),
        "/usr/lib".to_owned(),
        "/usr/local/lib/pkcs11".to_owned(),
        "/usr/local/lib".to_owned(),
    ];
    beside
        .chain(usual.into_iter().map(PathBuf::from))
        .map(|folder| folder.join(LIBRARY))
        .find(|path| path.is_file())
        .and_then(|path| path.canonicalize().ok())
}

/// What registers our module with p11-kit: the user's first, then the system's, then packages'.
pub(super) fn registrations() -> Vec<Registration> {
    let users = folder(false).map(|folder| (folder, true));
    let others = [SYSTEM, PACKAGES].map(|folder| (PathBuf::from(folder), false));
    let mut found = Vec::new();
    for (folder, is_users) in users.into_iter().chain(others) {
        let Ok(entries) = fs::read_dir(folder) else {
            continue;
        };
        for entry in entries.flatten() {
            let file = entry.path();
            if file.extension().is_none_or(|ending| ending != "module") {
                continue;
            }
            let Ok(text) = fs::read_to_string(&file) else {
                continue;
            };
            if let Some((module, reserved)) = parse(&text)
                && (module.ends_with(LIBRARY) || file.ends_with(MODULE_FILE))
            {
                found.push(Registration {
                    file,
                    module,
                    reserved,
                    is_users,
                });
            }
        }
    }
    found
}

/// The module file to write, its folder and text, looked over before anything is written.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) file: PathBuf,
    text: String,
}

impl Planned {
    /// Registers this module, with a configuration where it would not find that by itself.
    ///
    /// # Errors
    /// When the file is there and somebody else wrote it, and `replace` is false.
    pub(super) fn new(
        folder: &Path,
        module: &Path,
        config: Option<&Path>,
        replace: bool,
    ) -> Result<Self, Failure> {
        let file = folder.join(MODULE_FILE);
        let mut text = format!("{HEAD}\nmodule: {}\n", in_line(module)?);
        if let Some(config) = config {
            text = format!("{text}x-init-reserved: config={}\n", in_line(config)?);
        }
        match fs::read_to_string(&file) {
            Ok(present) if !present.starts_with(HEAD) && !replace => {
                return Err(Failure::Failed(format!(
                    "{} was not written by this program: give --replace to have it written anew, or --no-p11-kit to leave it",
                    file.display()
                )));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(Failure::local(
                    format!("{} cannot be read", file.display()),
                    &error,
                ));
            }
        }
        Ok(Self { file, text })
    }

    /// Writes it.
    pub(super) fn write(&self) -> Result<(), Failure> {
        let folder = self.file.parent().unwrap_or(Path::new("/"));
        let written = fs::create_dir_all(folder).and_then(|()| {
            let mut new = readable(&self.file, true)?;
            new.write_all(self.text.as_bytes())?;
            new.complete().map(drop)
        });
        written.map_err(|error| {
            Failure::local(format!("{} cannot be written", self.file.display()), &error)
        })
    }
}

/// The module that a module file names, and its reserved string.
fn parse(text: &str) -> Option<(PathBuf, Option<String>)> {
    let member = |wanted: &str| {
        text.lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.trim() == wanted)
            .map(|(_, value)| value.trim().to_owned())
    };
    Some((member("module")?.into(), member("x-init-reserved")))
}

/// A path as a line of such a file holds it.
fn in_line(path: &Path) -> Result<&str, Failure> {
    path.to_str()
        .filter(|text| !text.contains('\n') && text.trim() == *text)
        .ok_or_else(|| {
            Failure::Usage(format!(
                "p11-kit's module files cannot hold the path {}",
                path.display()
            ))
        })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_module_file_names_the_module_and_where_its_configuration_is() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("pkcs11/modules");
        let module = Path::new("/usr/lib/libstrongroom_pkcs11.so");
        let planned = Planned::new(&folder, module, Some(Path::new("/srv/p.toml")), false).unwrap();
        planned.write().unwrap();
        let text = fs::read_to_string(&planned.file).unwrap();
        assert_eq!(
            parse(&text),
            Some((module.to_owned(), Some("config=/srv/p.toml".to_owned())))
        );
        // One's own is written again.
        Planned::new(&folder, module, None, false)
            .unwrap()
            .write()
            .unwrap();
        let text = fs::read_to_string(&planned.file).unwrap();
        assert_eq!(parse(&text), Some((module.to_owned(), None)));
        // Another's is not, unless that is asked for.
        fs::write(&planned.file, "module: other.so\n").unwrap();
        let refused = Planned::new(&folder, module, None, false).unwrap_err();
        assert!(refused.sentence().contains("--replace"));
        assert!(Planned::new(&folder, module, None, true).is_ok());
        assert!(Planned::new(&folder, Path::new("/a\nb"), None, true).is_err());
    }

    #[test]
    fn comments_in_a_module_file_say_nothing() {
        let text = "# module: /a.so\n\nmodule : /b.so\ncritical: no\n";
        assert_eq!(parse(text), Some(("/b.so".into(), None)));
        assert_eq!(parse("critical: no\n"), None);
    }
}
