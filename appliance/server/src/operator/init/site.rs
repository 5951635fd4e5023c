//! The data folder while an appliance is being made in it.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::config::Config;
use crate::folder::{DataFolder, write_whole};

/// The data folder while it is being made, locked against others.
#[derive(Debug)]
pub(in crate::operator) struct Site {
    folder: PathBuf,
    made_folder: bool,
    resumes: bool,
    _lock: DataFolder,
}

impl Site {
    pub(in crate::operator) const PIN: &str = "hsm-pin";
    pub(in crate::operator) const SO_PIN: &str = "hsm-so-pin";
    /// Stands in the folder from before the first piece is made until after the configuration is written.
    const MARKER: &str = "init-in-progress";
    pub(in crate::operator) const CONFIG: &str = "strongroom.toml";
    const DATABASE: &str = "strongroom.db";
    const TLS: &str = "tls";

    /// Makes the folder or checks that it can be used, and clears what an interrupted `init` left.
    pub(in crate::operator) fn prepare(folder: PathBuf) -> anyhow::Result<Self> {
        let shown = folder.display().to_string();
        let made_folder = !folder.exists();
        if made_folder {
            fs::DirBuilder::new()
                .mode(0o700)
                .recursive(true)
                .create(&folder)
                .with_context(|| format!("the data folder {shown} cannot be made"))?;
        }
        if folder.join(Self::CONFIG).exists() {
            bail!("the data folder {shown} is initialised already");
        }
        let lock = DataFolder::lock(&folder)?;
        let mut site = Self {
            folder,
            made_folder,
            resumes: false,
            _lock: lock,
        };
        let marker = site.path(Self::MARKER);
        site.resumes = marker.exists();
        if site.resumes {
            site.clear_pieces();
        } else if site.database().exists() || site.tls().exists() {
            bail!(
                "the data folder {shown} holds a database or certificates and no strongroom.toml; restore that file, or choose another folder"
            );
        }
        fs::set_permissions(&site.folder, Permissions::from_mode(0o700))
            .with_context(|| format!("the data folder {shown} cannot be made private"))?;
        write_whole(&marker, b"strongroomd init was here and has not finished\n")
            .with_context(|| format!("the data folder {shown} cannot be written to"))?;
        Ok(site)
    }

    /// Whether an `init` that did not end was here before.
    pub(in crate::operator) const fn resumes(&self) -> bool {
        self.resumes
    }

    pub(in crate::operator) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(in crate::operator) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(in crate::operator) fn config(&self) -> PathBuf {
        self.path(Self::CONFIG)
    }

    pub(in crate::operator) fn database(&self) -> PathBuf {
        self.path(Self::DATABASE)
    }

    pub(in crate::operator) fn tls(&self) -> PathBuf {
        self.path(Self::TLS)
    }

    /// Writes the configuration: from here on the appliance is whole.
    pub(in crate::operator) fn complete(&self, config: &str) -> anyhow::Result<()> {
        write_whole(&self.config(), config.as_bytes())?;
        // That what was written can be read is part of being whole.
        if let Err(error) = Config::load(&self.config()) {
            remove_file(&self.config());
            return Err(error.into());
        }
        remove_file(&self.path(Self::MARKER));
        Ok(())
    }

    /// Removes what an `init` that failed has made. PINs of an initialised token stay, and with them the folder and the marker.
    pub(in crate::operator) fn clear(&self) {
        self.clear_pieces();
        if self.path(Self::PIN).exists() {
            return;
        }
        remove_file(&self.path(Self::MARKER));
        if self.made_folder {
            remove_file(&self.path("lock"));
            // Not empty where somebody else has put something there.
            let _ = fs::remove_dir(&self.folder);
        }
    }

    fn clear_pieces(&self) {
        for suffix in ["", "-wal", "-shm", "-journal"] {
            remove_file(&self.path(&format!("{}{suffix}", Self::DATABASE)));
        }
        match fs::remove_dir_all(self.tls()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => report(&self.tls(), &error),
            _ => {}
        }
    }

    pub(in crate::operator) fn clear_pins(&self) {
        remove_file(&self.path(Self::PIN));
        remove_file(&self.path(Self::SO_PIN));
    }
}

fn remove_file(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => report(path, &error),
        _ => {}
    }
}

fn report(path: &Path, error: &io::Error) {
    use io::Write as _;
    let _ = writeln!(
        io::stderr(),
        "strongroomd: {} could not be removed: {error}",
        path.display()
    );
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn names_in(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort_unstable();
        names
    }

    /// Makes pieces as an init that gets so far does.
    fn begin(folder: &Path) -> Site {
        let site = Site::prepare(folder.to_owned()).unwrap();
        fs::create_dir(site.tls()).unwrap();
        fs::write(site.tls().join("ca.pem"), "").unwrap();
        fs::write(site.database(), "").unwrap();
        fs::write(site.path("strongroom.db-wal"), "").unwrap();
        site
    }

    const CONFIG: &str = "[hsm]\nmodule = \"m.so\"\n";

    #[test]
    fn one_that_fails_leaves_nothing() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("data");
        begin(&folder).clear();
        assert!(!folder.exists());

        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("somebody-elses"), "").unwrap();
        begin(&folder).clear();
        assert_eq!(names_in(&folder), ["lock", "somebody-elses"]);
    }

    #[test]
    fn one_that_was_killed_is_begun_anew_with_its_pins() {
        let folder = tempfile::tempdir().unwrap();
        let site = begin(folder.path());
        fs::write(site.path(Site::PIN), "1234").unwrap();
        drop(site);
        let site = Site::prepare(folder.path().to_owned()).unwrap();
        assert_eq!(
            names_in(folder.path()),
            ["hsm-pin", "init-in-progress", "lock"]
        );
        site.complete(CONFIG).unwrap();
        assert_eq!(
            names_in(folder.path()),
            ["hsm-pin", "lock", "strongroom.toml"]
        );
    }

    #[test]
    fn what_somebody_needs_is_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(Site::DATABASE), "precious").unwrap();
        let error = Site::prepare(folder.path().to_owned()).unwrap_err();
        assert!(error.to_string().contains("no strongroom.toml"), "{error}");

        fs::write(folder.path().join(Site::CONFIG), CONFIG).unwrap();
        let error = Site::prepare(folder.path().to_owned()).unwrap_err();
        assert!(error.to_string().contains("initialised already"), "{error}");
        let database = fs::read(folder.path().join(Site::DATABASE)).unwrap();
        assert_eq!(database, b"precious");
    }

    #[test]
    fn a_configuration_that_cannot_be_read_is_not_left() {
        let folder = tempfile::tempdir().unwrap();
        let site = Site::prepare(folder.path().to_owned()).unwrap();
        site.complete("nonsense = 1").unwrap_err();
        assert_eq!(names_in(folder.path()), ["init-in-progress", "lock"]);
    }
}
