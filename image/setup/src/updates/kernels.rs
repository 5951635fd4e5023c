//! The kernel images in the EFI system partition. The boot loader tries the one with the highest version first; where the name of its file has a
//! count, it counts down before each try, and once none is left it tries the others first (UAPI.1 Boot Loader Specification, "Boot counting").

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use semver::Version;

use crate::files::sync_folder_of;

/// Where the EFI system partition is mounted, and the folder that the boot loader looks into.
pub(crate) const FOLDER: &str = "/efi/EFI/Linux";
/// How often a release is tried before the machine goes back to the one before it.
pub(crate) const TRIES: u32 = 3;

/// A kernel image, by the name of its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kernel {
    pub(crate) version: Version,
    /// None: it has proved itself, or came with the disk.
    pub(crate) tries: Option<Tries>,
}

/// How often it may still be tried, and was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tries {
    pub(crate) left: u32,
    pub(crate) done: u32,
}

impl Kernel {
    /// The name of its file: `strongroom_0.2.0.efi`, `strongroom_0.2.0+3.efi` or `strongroom_0.2.0+2-1.efi`.
    pub(crate) fn name(&self) -> String {
        let count = match self.tries {
            None => String::new(),
            Some(Tries { left, done: 0 }) => format!("+{left}"),
            Some(Tries { left, done }) => format!("+{left}-{done}"),
        };
        format!("strongroom_{}{count}.efi", self.version)
    }

    fn of(name: &str) -> Option<Self> {
        let name = name.strip_prefix("strongroom_")?.strip_suffix(".efi")?;
        let (version, count) = match name.split_once('+') {
            Some((version, count)) => (version, Some(count)),
            None => (name, None),
        };
        let tries = match count.map(|count| count.split_once('-').unwrap_or((count, "0"))) {
            Some((left, done)) => Some(Tries {
                left: left.parse().ok()?,
                done: done.parse().ok()?,
            }),
            None => None,
        };
        Some(Self {
            version: version.parse().ok()?,
            tries,
        })
    }
}

/// The folder with the kernel images.
pub(crate) struct Kernels(PathBuf);

impl Kernels {
    /// Those of this machine.
    pub(crate) fn here() -> Self {
        Self(PathBuf::from(FOLDER))
    }

    /// All that are there.
    pub(crate) fn all(&self) -> Result<Vec<Kernel>> {
        let cannot = || format!("{} cannot be read", self.0.display());
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.0).with_context(cannot)? {
            let name = entry.with_context(cannot)?.file_name();
            found.extend(name.to_str().and_then(Kernel::of));
        }
        Ok(found)
    }

    /// The one of this version.
    pub(crate) fn of(&self, version: &Version) -> Result<Option<Kernel>> {
        Ok(self
            .all()?
            .into_iter()
            .find(|kernel| kernel.version == *version))
    }

    /// Where this one lies.
    pub(crate) fn path(&self, kernel: &Kernel) -> PathBuf {
        self.0.join(kernel.name())
    }

    /// Where one is written that is not to be tried yet.
    pub(crate) fn incoming(&self) -> PathBuf {
        self.0.join("strongroom.incoming")
    }

    /// Gives it another count, or none.
    pub(crate) fn count(&self, kernel: &Kernel, tries: Option<Tries>) -> Result<Kernel> {
        let counted = Kernel {
            version: kernel.version.clone(),
            tries,
        };
        self.rename(&self.path(kernel), &counted)?;
        Ok(counted)
    }

    /// Has the boot loader find what was written as [`Self::incoming`].
    pub(crate) fn arrive(&self, kernel: &Kernel) -> Result<()> {
        self.rename(&self.incoming(), kernel)
    }

    /// Removes one, durably.
    pub(crate) fn remove(&self, kernel: &Kernel) -> Result<()> {
        remove(&self.path(kernel))
    }

    /// Removes what an update left that was broken off.
    pub(crate) fn clear_incoming(&self) -> Result<()> {
        remove(&self.incoming())
    }

    fn rename(&self, from: &Path, to: &Kernel) -> Result<()> {
        let to = self.path(to);
        fs::rename(from, &to)
            .and_then(|()| sync_folder_of(&to))
            .with_context(|| format!("{} cannot be renamed", from.display()))
    }
}

fn remove(file: &Path) -> Result<()> {
    match fs::remove_file(file).and_then(|()| sync_folder_of(file)) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{} cannot be removed", file.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    pub(crate) fn folder_with(names: &[&str]) -> (tempfile::TempDir, Kernels) {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let kernels = Kernels(folder.path().to_owned());
        (folder, kernels)
    }

    #[test]
    fn a_name_says_version_and_tries() {
        let tries = |left, done| Some(Tries { left, done });
        for (name, version, count) in [
            ("strongroom_0.1.0.efi", "0.1.0", None),
            ("strongroom_0.2.0+3.efi", "0.2.0", tries(3, 0)),
            ("strongroom_0.2.0-rc.1+2-1.efi", "0.2.0-rc.1", tries(2, 1)),
            ("strongroom_0.2.0+0-3.efi", "0.2.0", tries(0, 3)),
        ] {
            let kernel = Kernel::of(name).unwrap();
            assert_eq!(kernel.version, version.parse().unwrap());
            assert_eq!(kernel.tries, count);
            assert_eq!(kernel.name(), name);
        }
        for other in [
            "strongroom.efi",
            "strongroom_0.2.efi",
            "strongroom_0.2.0+x.efi",
            "other.efi",
            "strongroom.incoming",
        ] {
            assert_eq!(Kernel::of(other), None, "{other}");
        }
    }

    #[test]
    fn a_count_is_taken_off_and_put_on() {
        let (folder, kernels) =
            folder_with(&["strongroom_0.1.0.efi", "strongroom_0.2.0+2-1.efi", "other"]);
        assert_eq!(kernels.all().unwrap().len(), 2);
        let new = kernels.of(&Version::new(0, 2, 0)).unwrap().unwrap();
        let kept = kernels.count(&new, None).unwrap();
        assert!(folder.path().join("strongroom_0.2.0.efi").exists());
        let bad = Tries { left: 0, done: 1 };
        let bad = kernels.count(&kept, Some(bad)).unwrap();
        assert!(folder.path().join("strongroom_0.2.0+0-1.efi").exists());
        kernels.remove(&bad).unwrap();
        kernels.remove(&bad).unwrap();
        assert_eq!(kernels.of(&Version::new(0, 2, 0)).unwrap(), None);
    }
}
