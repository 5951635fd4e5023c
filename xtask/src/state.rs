//! The state folder of an appliance: what is in it, initialising it, and the command that serves it.

use std::{
    fs,
    io::{self, ErrorKind, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::{listeners::Listeners, process, terminal::shown};

/// The first administrator's account.
pub(crate) const ADMINISTRATOR: &str = "admin@example.com";

/// The folder that holds all of one appliance's state.
pub(crate) struct State {
    folder: PathBuf,
}

/// What xtask reads of strongroom.toml.
#[derive(Debug, Deserialize)]
pub(crate) struct Settings {
    /// Where the appliance listens when nothing else is said.
    #[serde(default)]
    pub(crate) listen: Listeners,
    /// Which HSM it keeps its keys in.
    pub(crate) hsm: HsmSettings,
}

/// The `[hsm]` table, as far as it matters here.
#[derive(Debug, Deserialize)]
pub(crate) struct HsmSettings {
    pub(crate) module: PathBuf,
}

impl State {
    /// The state in this folder, whether anything is there yet or not.
    pub(crate) fn at(folder: &Path) -> Result<Self> {
        let folder = std::path::absolute(folder)
            .with_context(|| format!("{} is not a folder's name", folder.display()))?;
        Ok(Self { folder })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The certificate of the appliance's own CA, which clients check the server by.
    pub(crate) fn ca(&self) -> PathBuf {
        self.folder.join("tls/ca.pem")
    }

    /// Holds the first administrator's one-time enrolment code.
    pub(crate) fn enrolment_code(&self) -> PathBuf {
        self.folder.join("admin-enrolment-code")
    }

    fn config(&self) -> PathBuf {
        self.folder.join("strongroom.toml")
    }

    fn softhsm_config(&self) -> PathBuf {
        self.folder.join("softhsm2.conf")
    }

    /// What strongroom.toml says of listeners and HSM; `None` where no appliance was initialised yet.
    ///
    /// # Errors
    ///
    /// When the folder holds something that is no appliance's state, or the file cannot be understood.
    pub(crate) fn settings(&self) -> Result<Option<Settings>> {
        let file = self.config();
        match fs::read_to_string(&file) {
            // The parser's whole message has several lines.
            Ok(text) => toml::from_str(&text).map(Some).map_err(|error| {
                let reason = error.message().trim_end_matches('.');
                anyhow::anyhow!("{} cannot be understood: {reason}", shown(&file))
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.see_that_it_is_new().map(|()| None)
            }
            Err(error) => Err(error).with_context(|| format!("{} cannot be read", shown(&file))),
        }
    }

    fn see_that_it_is_new(&self) -> Result<()> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries.count(),
            Err(error) if error.kind() == ErrorKind::NotFound => 0,
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("{} cannot be read", shown(&self.folder)));
            }
        };
        if entries > 0 {
            bail!(
                "{} holds files but no strongroom.toml, so it is no appliance's state: remove it or choose another \
                 folder with --data",
                shown(&self.folder)
            );
        }
        Ok(())
    }

    /// Initialises the appliance in a new folder and gives the first administrator's one-time enrolment code, which
    /// is kept in [`Self::enrolment_code`] too. What was made is removed again where it does not succeed.
    pub(crate) fn initialise(
        &self,
        strongroomd: &Path,
        module: &Path,
        listeners: Listeners,
    ) -> Result<String> {
        self.claim()?;
        let made = self.initialise_claimed(strongroomd, module, listeners);
        if made.is_err() {
            fs::remove_dir_all(&self.folder).ok();
        }
        made
    }

    /// Makes the folder anew. Of several runs that begin at once one makes it, and the others stop: only who made it
    /// may remove it again.
    fn claim(&self) -> Result<()> {
        if let Some(parent) = self.folder.parent() {
            fs::create_dir_all(parent)
                .with_context(|| format!("{} cannot be made", shown(parent)))?;
        }
        match fs::remove_dir(&self.folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => fs::DirBuilder::new().mode(0o700).create(&self.folder),
        }
        .with_context(|| format!("{} cannot be made a new folder", shown(&self.folder)))
    }

    fn initialise_claimed(
        &self,
        strongroomd: &Path,
        module: &Path,
        listeners: Listeners,
    ) -> Result<String> {
        #[derive(Deserialize)]
        struct Initialised {
            enrolment_code: String,
        }
        if is_softhsm(module) {
            let tokens = self.folder.join("tokens");
            make_private_folder(&tokens)?;
            write_private(&self.softhsm_config(), softhsm_config(&tokens).as_bytes())?;
        }
        let mut init = self.strongroomd(strongroomd);
        init.arg("init")
            .arg("--data")
            .arg(&self.folder)
            .arg("--module")
            .arg(module);
        init.args(["--token", "strongroom", "--initialise-token", "--json"]);
        init.args(["--client-listen", &listeners.client.to_string()]);
        init.args(["--admin-listen", &listeners.admin.to_string()]);
        init.args(["--admin-account", ADMINISTRATOR]);
        let output = init
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| process::cannot_start(&init))?;
        if !output.status.success() {
            return Err(process::ToldWhy(output.status).into());
        }
        let Initialised { enrolment_code } = serde_json::from_slice(&output.stdout)
            .context("what `strongroomd init` printed cannot be read")?;
        write_private(
            &self.enrolment_code(),
            format!("{enrolment_code}\n").as_bytes(),
        )?;
        Ok(enrolment_code)
    }

    /// The command that serves this state.
    pub(crate) fn serve(&self, strongroomd: &Path, listeners: Listeners) -> Result<Command> {
        self.point_softhsm_here()?;
        let mut serve = self.strongroomd(strongroomd);
        serve.arg("serve");
        serve.args(["--client-listen", &listeners.client.to_string()]);
        serve.args(["--admin-listen", &listeners.admin.to_string()]);
        Ok(serve)
    }

    /// The command that tells, by its exit status, whether the appliance of this state serves.
    pub(crate) fn status(&self, strongroomd: &Path) -> Command {
        let mut status = self.strongroomd(strongroomd);
        status.arg("status");
        status
    }

    /// The path of the token folder in SoftHSM's configuration is absolute: a state folder that was moved has it
    /// written anew.
    fn point_softhsm_here(&self) -> Result<()> {
        let (file, tokens) = (self.softhsm_config(), self.folder.join("tokens"));
        match fs::read_to_string(&file) {
            Ok(text) if text.lines().any(|line| line == token_folder_line(&tokens)) => Ok(()),
            Ok(_) => write_private(&file, softhsm_config(&tokens).as_bytes()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error).with_context(|| format!("{} cannot be read", shown(&file))),
        }
    }

    fn strongroomd(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.arg("--config").arg(self.config());
        if self.softhsm_config().is_file() {
            command.env("SOFTHSM2_CONF", self.softhsm_config());
        }
        command
    }
}

/// Whether this is SoftHSM's module, which keeps its tokens in a folder of ours.
pub(crate) fn is_softhsm(module: &Path) -> bool {
    module
        .file_name()
        .is_some_and(|name| name.to_string_lossy().contains("softhsm"))
}

/// Makes the folder, and those above it that are missing, readable by nobody else.
pub(crate) fn make_private_folder(folder: &Path) -> Result<()> {
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder);
    made.with_context(|| format!("{} cannot be made", shown(folder)))
}

/// Writes the file, readable by nobody else.
pub(crate) fn write_private(file: &Path, content: &[u8]) -> Result<()> {
    let write = || -> io::Result<()> {
        let mut options = fs::OpenOptions::new();
        options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(file)?
            .write_all(content)
    };
    write().with_context(|| format!("{} cannot be written", shown(file)))
}

fn softhsm_config(tokens: &Path) -> String {
    let folder = token_folder_line(tokens);
    format!("{folder}\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n")
}

fn token_folder_line(tokens: &Path) -> String {
    format!("directories.tokendir = {}", tokens.display())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_folder_is_new_initialised_or_refused() {
        let temp = tempfile::tempdir().unwrap();
        let state = State::at(&temp.path().join("data")).unwrap();
        assert!(state.settings().unwrap().is_none());
        make_private_folder(state.folder()).unwrap();
        assert!(state.settings().unwrap().is_none());
        fs::write(state.folder().join("stray"), "").unwrap();
        assert!(
            state
                .settings()
                .unwrap_err()
                .to_string()
                .contains("no strongroom.toml")
        );
        fs::write(state.config(), "nonsense").unwrap();
        let message = state.settings().unwrap_err().to_string();
        assert!(
            message.contains("strongroom.toml cannot be understood: "),
            "{message}"
        );
        assert_eq!(message.lines().count(), 1, "{message}");
    }

    #[test]
    fn an_initialisation_that_fails_leaves_nothing_behind() {
        let temp = tempfile::tempdir().unwrap();
        let state = State::at(&temp.path().join("data")).unwrap();
        let module = Path::new("/nonexistent/libsofthsm2.so");
        let error = state
            .initialise(Path::new("/bin/false"), module, Listeners::local(1, 2))
            .unwrap_err();
        let process::ToldWhy(status) = error.downcast_ref().unwrap();
        assert_eq!(status.code(), Some(1));
        assert!(!state.folder().exists());
    }

    #[test]
    fn a_folder_with_anything_in_it_is_never_removed() {
        let temp = tempfile::tempdir().unwrap();
        fs::write(temp.path().join("precious"), "").unwrap();
        let state = State::at(temp.path()).unwrap();
        let module = Path::new("/nonexistent/libsofthsm2.so");
        let made = state.initialise(Path::new("/bin/false"), module, Listeners::local(1, 2));
        assert!(made.is_err());
        assert!(temp.path().join("precious").exists());
    }

    #[test]
    fn initialising_keeps_the_enrolment_code_private() {
        let temp = tempfile::tempdir().unwrap();
        let state = State::at(&temp.path().join("data")).unwrap();
        let program = temp.path().join("strongroomd");
        let printed = r#"{"enrolment_code": "one-time", "more": 1}"#;
        process::make_script(&program, &format!("echo '{printed}'")).unwrap();
        let code = state.initialise(
            &program,
            Path::new("libsofthsm2.so"),
            Listeners::local(1, 2),
        );
        assert_eq!(code.unwrap(), "one-time");
        assert_eq!(
            fs::read_to_string(state.enrolment_code()).unwrap(),
            "one-time\n"
        );
        assert_eq!(mode(&state.enrolment_code()), 0o600);
        assert_eq!(mode(state.folder()), 0o700);
        assert_eq!(mode(&state.folder().join("tokens")), 0o700);
    }

    #[test]
    fn a_moved_folder_has_softhsm_pointed_at_it() {
        let temp = tempfile::tempdir().unwrap();
        let state = State::at(temp.path()).unwrap();
        state.point_softhsm_here().unwrap();
        assert!(
            !state.softhsm_config().exists(),
            "another HSM needs no SoftHSM configuration"
        );
        fs::write(
            state.softhsm_config(),
            softhsm_config(Path::new("/elsewhere/tokens")),
        )
        .unwrap();
        state.point_softhsm_here().unwrap();
        let expected = softhsm_config(&temp.path().join("tokens"));
        assert_eq!(
            fs::read_to_string(state.softhsm_config()).unwrap(),
            expected
        );
    }
}
