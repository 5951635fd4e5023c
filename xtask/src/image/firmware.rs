//! QEMU's UEFI firmware and its variables: as its maker gives it, or with our keys and Secure Boot.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use super::{Bench, keys, tools};
use crate::terminal::shown;

/// The firmware that can do Secure Boot.
pub(crate) const CODE: &str = "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd";
/// Its variables before any key is enrolled.
const VARIABLES: &str = "/usr/share/OVMF/OVMF_VARS_4M.fd";

/// Writes variables without any key: Secure Boot is off.
pub(crate) fn blank(variables: &Path) -> Result<()> {
    fs::copy(VARIABLES, variables)
        .map(|_| ())
        .with_context(|| format!("{VARIABLES} cannot be copied to {}", shown(variables)))
}

/// Writes variables with our keys in them and Secure Boot on. The list of what is refused that the tool puts beside them is taken out again: a machine on which
/// our keys alone are enrolled, as the papers have it, has none.
pub(crate) fn enrolled(bench: &Bench, variables: &Path) -> Result<()> {
    blank(&bench.work.join("variables.blank"))?;
    tools::ensure(bench)?.sh(
        "virt-fw-vars -i variables.blank -o variables.enrolled --set-pk $1 /keys/PK.pem --add-kek $1 /keys/KEK.pem \
           --add-db $1 /keys/db.pem --sb >/dev/null 2>&1; \
         virt-fw-vars --inplace variables.enrolled --delete dbx >/dev/null 2>&1",
        &[keys::OWNER],
    )?;
    fs::copy(bench.work.join("variables.enrolled"), variables)
        .map(|_| ())
        .with_context(|| format!("{} cannot be written", shown(variables)))
}
