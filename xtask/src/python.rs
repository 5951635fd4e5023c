//! The virtual environment with Python's `cryptography`, the other implementation that tests compare against, with the OpenID
//! provider that they sign in at, and with what makes and checks our own Python package.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{
    process,
    terminal::{Spinner, say},
};

/// The first release with the C2SP chunked-encryption format.
const CRYPTOGRAPHY: &str = "cryptography>=50";

/// An OpenID provider, for the tests of sign-in there; they know its pages.
const CANAILLE: &str = "canaille[front,oidc,server,sqlite]==0.3.6";

/// Makes the wheel of our Python package.
const MATURIN: &str = "maturin==1.16.0";

/// Checks its types.
const MYPY: &str = "mypy==2.4.1";

/// Succeeds where the virtual environment has what [`CRYPTOGRAPHY`], [`CANAILLE`], [`MATURIN`] and [`MYPY`] ask for, and a pip that installs into
/// another environment.
const HAS_ALL: &str = "import cryptography, sys, hypercorn, sqlalchemy; from importlib.metadata import version; \
    sys.exit(int(cryptography.__version__.split('.')[0]) < 50 or version('canaille') != '0.3.6' \
    or version('maturin') != '1.16.0' or version('mypy') != '2.4.1' or int(version('pip').split('.')[0]) < 23)";

/// Succeeds where Python is new enough and can make virtual environments.
const CAN_MAKE_VENV: &str = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 9))";

/// A Python that can make virtual environments: the one on the path, else the system's.
pub(crate) fn interpreter() -> Option<PathBuf> {
    let on_path = process::find("python3", &env::var_os("PATH").unwrap_or_default());
    let candidates = on_path
        .into_iter()
        .chain([PathBuf::from("/usr/bin/python3")]);
    candidates
        .into_iter()
        .find(|python| agrees(python, CAN_MAKE_VENV))
}

/// The Python of the virtual environment in `folder`, which is made anew unless it is good already.
pub(crate) fn environment(folder: &Path) -> Result<PathBuf> {
    let python = folder.join("bin/python");
    if agrees(&python, HAS_ALL) {
        return Ok(python);
    }
    let maker = interpreter().context("there is no Python 3.9 or newer with its venv module")?;
    say!(
        "Making a Python environment with {CRYPTOGRAPHY}, {CANAILLE}, {MATURIN} and {MYPY} for the tests."
    );
    let _spinner = Spinner::start("installing cryptography, canaille, maturin and mypy");
    process::answer(
        Command::new(maker)
            .args(["-m", "venv", "--clear"])
            .arg(folder),
    )?;
    let install = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "pip>=23",
        CRYPTOGRAPHY,
        CANAILLE,
        MATURIN,
        MYPY,
    ];
    process::answer(Command::new(&python).args(install))?;
    Ok(python)
}

fn agrees(python: &Path, program: &str) -> bool {
    process::answer(Command::new(python).args(["-c", program])).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_python_that_is_not_there_agrees_with_nothing() {
        assert!(!agrees(Path::new("/nonexistent/python"), "pass"));
    }
}
