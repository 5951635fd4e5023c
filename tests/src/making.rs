//! The commands that make an appliance: `init`, a ceremony, a recovery.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use crate::accounts::ADMINISTRATOR;
use crate::appliance::Appliance;
use crate::programs;

impl Appliance {
    /// `strongroomd init` as the tests use it, ready to run.
    #[must_use]
    pub fn init(&self) -> Command {
        let mut init = self.init_with(&["--initialise-token"]);
        init.arg("--module").arg(programs::softhsm());
        init
    }

    /// The same with the HSM that these arguments name.
    pub(crate) fn init_with(&self, hsm: &[&str]) -> Command {
        let mut init = self.making(&["init"]);
        init.args(hsm);
        init.args(["--admin-account", ADMINISTRATOR, "--json"]);
        init
    }

    /// `strongroomd ceremony new` in the same way; it wants a terminal.
    #[must_use]
    pub fn ceremony(&self) -> Command {
        let mut ceremony = self.making(&["ceremony", "new"]);
        ceremony.arg("--initialise-token");
        ceremony.arg("--module").arg(programs::softhsm());
        ceremony.args(["--admin-account", ADMINISTRATOR]);
        ceremony
    }

    /// `strongroomd ceremony recover backup` in the same way.
    #[must_use]
    pub fn recover(&self, backup: &Path) -> Command {
        let mut recover = self.recover_with(&["--initialise-token"], backup);
        recover.arg("--module").arg(programs::softhsm());
        recover
    }

    /// The same with the HSM that these arguments name, and a backup that may be a URL.
    #[must_use]
    pub fn recover_with<A: AsRef<OsStr>>(&self, hsm: &[A], backup: &Path) -> Command {
        let mut recover = self.making(&["ceremony", "recover", "backup"]);
        recover.args(hsm).arg(backup);
        recover
    }

    /// A subcommand that makes an appliance here.
    fn making(&self, subcommand: &[&str]) -> Command {
        let mut command = self.program();
        command
            .args(subcommand)
            .arg("--data")
            .arg(self.data())
            .args(["--client-listen", "127.0.0.1:0"])
            .args(["--admin-listen", "127.0.0.1:0"]);
        command
    }
}
