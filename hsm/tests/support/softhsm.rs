//! A `SoftHSM` of our own.

use std::{fs, path::Path};

use crate::support::{PIN, run_in};

/// Set in the child: the folder of `SoftHSM`'s tokens.
pub(crate) const TOKENS: &str = "STRONGROOM_HSM_TEST_TOKENS";

/// Runs this binary again as `role`, with the arguments given and an empty `SoftHSM` in a temporary folder.
/// `extra` is added to its configuration. Gives the child's exit code and, where it was captured, its output.
pub(crate) fn run_again(
    role: &str,
    arguments: &[String],
    extra: &str,
    capture: bool,
) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    fs::create_dir(&tokens).unwrap();
    let configuration = folder.path().join("softhsm2.conf");
    let content = format!(
        "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n{extra}\n",
        tokens.display()
    );
    fs::write(&configuration, content).unwrap();
    let environment = [
        ("SOFTHSM2_CONF", configuration.as_path()),
        (TOKENS, tokens.as_path()),
        ("CREDENTIALS_DIRECTORY", folder.path()),
        ("STRONGROOM_HSM_TEST_PIN", Path::new(PIN)),
    ];
    run_in(role, arguments, &environment, capture)
}
