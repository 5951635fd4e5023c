//! The virtual environment with what the tests take from Python: other implementations to compare against, an OpenID provider, a checker of
//! SCIM services, a mail server, and what makes and checks our own Python package.

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

/// What is installed, as pip takes it.
const PACKAGES: [&str; 10] = [
    // What installs into another environment.
    "pip>=23",
    // The first release with the C2SP chunked-encryption format.
    "cryptography>=50",
    // An OpenID provider; the tests know its pages.
    "canaille[front,oidc,server,sqlite]==0.3.6",
    // A checker of SCIM services, and the client that it asks with.
    "scim2-tester==0.5.2",
    "scim2-client[httpx2]==0.13.2",
    // A mail server.
    "aiosmtpd==1.4.6",
    // Applications of PKCS#11 modules.
    "python-pkcs11==0.10.1",
    "PyKCS11==1.5.20",
    // What makes the wheel of our Python package, and what checks its types.
    "maturin==1.16.0",
    "mypy==2.4.1",
];

/// Succeeds where the environment has all packages that are given as arguments.
const HAS_ALL: &str = "import sys; from importlib.metadata import version; \
    from pip._vendor.packaging.requirements import Requirement; \
    wanted = [Requirement(text) for text in sys.argv[1:]]; \
    sys.exit(not all(one.specifier.contains(version(one.name)) for one in wanted))";

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
        .find(|python| agrees(python, CAN_MAKE_VENV, &[]))
}

/// The Python of the virtual environment in `folder`, which is made anew unless it is good already.
pub(crate) fn environment(folder: &Path) -> Result<PathBuf> {
    let python = folder.join("bin/python");
    if agrees(&python, HAS_ALL, &PACKAGES) {
        return Ok(python);
    }
    let maker = interpreter().context("there is no Python 3.9 or newer with its venv module")?;
    say!("Making a Python environment for the tests.");
    let _spinner = Spinner::start("installing Python packages");
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
    ];
    process::answer(Command::new(&python).args(install).args(PACKAGES))?;
    Ok(python)
}

fn agrees(python: &Path, program: &str, arguments: &[&str]) -> bool {
    process::answer(Command::new(python).args(["-c", program]).args(arguments)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_python_that_is_not_there_agrees_with_nothing() {
        assert!(!agrees(Path::new("/nonexistent/python"), "pass", &[]));
    }
}
