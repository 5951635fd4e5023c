//! The count of releases: the least security version that this machine still starts, in the TPM, where an older release cannot lower it.
//!
//! It is an index of 64 bits, of which the TPM sets what it is told and clears none; the highest that is set is the count. To remove the index and
//! make it anew takes the password of the TPM's owner, which is made here and lies on the data partition: whoever has not the data cannot have it.
//! Whoever clears the TPM clears with it what opens the data. So where there is no index, nothing was ever kept on this machine.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::machine;
use crate::release::Release;
use crate::tpm::{self, Index, Tpm};

/// Of those that owners define as they like (TCG Registry of Reserved TPM 2.0 Handles and Localities, section 2.2).
const INDEX: u32 = 0x0180_5352;
/// Bits, which the owner sets and anybody reads; a wrong password locks nobody out (`TPMA_NV`: `OWNERWRITE`, `TPM_NT_BITS`, `OWNERREAD`,
/// `AUTHREAD`, `NO_DA`).
const KIND: Index = Index {
    attributes: 0x0206_0022,
    size: 8,
};
/// `TPMA_NV_WRITTEN`.
const WRITTEN: u32 = 1 << 29;
/// The highest security version that can be counted.
const MOST: u32 = 64;
/// The password of the TPM's owner.
const PASSWORD: &str = "/var/lib/strongroom/tpm-owner";
/// What the policy that opens the data is about, with the phases of the boot.
const REGISTER: u32 = 11;
/// How long the TPM may take to be there, where the firmware says that there is one.
const PATIENCE: Duration = Duration::from_mins(1);

/// The least security version that this machine still starts; 0 where nothing was counted yet.
pub(crate) fn least<C: Read + Write>(tpm: &mut Tpm<C>) -> Result<u32, tpm::Error> {
    match tpm.index(INDEX)? {
        Some(index) if index.attributes & WRITTEN != 0 => {
            Ok(u64::BITS - tpm.bits(INDEX)?.leading_zeros())
        }
        _ => Ok(0),
    }
}

/// In the initial RAM disk: whether this release may open the data. Where not, the TPM does not open it either until the machine is started anew, and
/// the console says why.
///
/// # Errors
/// When that cannot even be refused.
pub(crate) fn check() -> Result<()> {
    let release = Release::running()?;
    if !Path::new("/sys/firmware/acpi/tables/TPM2").exists() {
        // Nothing opens the data here.
        return Ok(());
    }
    for _ in 0..PATIENCE.as_secs() * 4 {
        if Path::new(tpm::DEVICE).exists() {
            break;
        }
        thread::sleep(Duration::from_millis(250));
    }
    let mut tpm = Tpm::open()?;
    let refusal = match least(&mut tpm) {
        Ok(least) => too_old(release.security_version, least),
        Err(error) => Some(error.to_string()),
    };
    let Some(why) = refusal else { return Ok(()) };
    tpm.extend(REGISTER, Sha256::digest(b"strongroom: refused").into())?;
    fs::create_dir_all("/run/strongroom").context("/run/strongroom cannot be made")?;
    fs::write(machine::REFUSED, &why)
        .with_context(|| format!("{} cannot be written", machine::REFUSED))
}

/// Why a release of this security version is not to open the data.
fn too_old(own: u32, least: u32) -> Option<String> {
    (own < least).then(|| {
        format!("this release has security version {own}, and this machine has run {least}")
    })
}

/// Counts up to this security version, and sees that nobody but this appliance can take that back.
///
/// # Errors
/// When the TPM does not do it, or its owner's password is not the one that is kept here.
pub(crate) fn raise(to: u32) -> Result<()> {
    raise_with(&mut Tpm::open()?, Path::new(PASSWORD), to)
}

/// Before all data is destroyed, and the password with it: the TPM's owner has none again. The count stays.
pub(crate) fn release_owner() -> Result<()> {
    let mut tpm = Tpm::open()?;
    if tpm.owner_has_password()? {
        let password = kept(Path::new(PASSWORD))?;
        tpm.change_owner_password(&password, &[])?;
    }
    Ok(())
}

fn raise_with<C: Read + Write>(tpm: &mut Tpm<C>, password: &Path, to: u32) -> Result<()> {
    if to > MOST {
        bail!("a TPM counts security versions up to {MOST}, and this release has {to}");
    }
    let (owned, kept) = (tpm.owner_has_password()?, kept(password)?);
    if owned && kept.is_empty() {
        bail!(
            "the TPM's owner has a password that this appliance does not know: clear the TPM in the firmware's settings before the first start"
        );
    }
    let owner: &[u8] = if owned { &kept } else { &[] };
    let index = tpm.index(INDEX)?;
    if index.map(|index| index.attributes & !WRITTEN) != Some(KIND.attributes) {
        // What somebody else left there would not count.
        if index.is_some() {
            tpm.undefine(INDEX, owner)?;
        }
        tpm.define(INDEX, KIND, owner)?;
    }
    if least(tpm)? < to {
        tpm.set_bits(INDEX, 1 << (to - 1), owner)?;
    }
    if !owned {
        // On the disk before the TPM has it.
        let new = if kept.is_empty() {
            make(password)?
        } else {
            kept
        };
        tpm.change_owner_password(&[], &new)?;
    }
    Ok(())
}

/// The password that is kept here; empty where there is none.
fn kept(file: &Path) -> Result<Zeroizing<Vec<u8>>> {
    match fs::read(file) {
        Ok(password) => Ok(Zeroizing::new(password)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Zeroizing::new(Vec::new())),
        Err(error) => Err(error).context("the password of the TPM's owner cannot be read"),
    }
}

/// Makes a password and keeps it.
fn make(file: &Path) -> Result<Zeroizing<Vec<u8>>> {
    let mut password = Zeroizing::new(vec![0; 32]);
    fs::File::open("/dev/urandom")
        .and_then(|mut random| random.read_exact(&mut password))
        .context("the kernel gives no random bytes")?;
    // A TPM takes no notice of zeros at a password's end.
    if let Some(last) = password.last_mut() {
        *last |= 1;
    }
    crate::files::replace(file, 0o600, &password)?;
    Ok(password)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::tpm::software::Software;

    #[test]
    fn the_count_goes_up_and_never_down() {
        let software = Software::start();
        let folder = tempfile::tempdir().unwrap();
        let password = folder.path().join("owner");
        let mut tpm = software.open();
        assert_eq!(least(&mut tpm).unwrap(), 0);
        for (to, then) in [(1, 1), (3, 3), (2, 3), (3, 3), (64, 64)] {
            raise_with(&mut tpm, &password, to).unwrap();
            assert_eq!(least(&mut tpm).unwrap(), then);
        }
        assert!(raise_with(&mut tpm, &password, 65).is_err());
    }

    #[test]
    fn who_has_not_the_data_cannot_take_the_count_back() {
        let software = Software::start();
        let folder = tempfile::tempdir().unwrap();
        let password = folder.path().join("owner");
        let mut tpm = software.open();
        raise_with(&mut tpm, &password, 2).unwrap();
        assert!(tpm.undefine(INDEX, &[]).is_err());
        assert!(tpm.set_bits(INDEX, 1 << 40, &[]).is_err());
        let elsewhere = folder.path().join("none");
        let refused = raise_with(&mut tpm, &elsewhere, 3).unwrap_err();
        assert!(refused.to_string().contains("clear the TPM"), "{refused}");
        assert_eq!(least(&mut tpm).unwrap(), 2);
    }

    #[test]
    fn a_first_start_that_was_broken_off_is_done_again() {
        let software = Software::start();
        let folder = tempfile::tempdir().unwrap();
        let password = folder.path().join("owner");
        let mut tpm = software.open();
        // Killed when the password was kept, and the TPM did not have it yet.
        make(&password).unwrap();
        raise_with(&mut tpm, &password, 1).unwrap();
        raise_with(&mut tpm, &password, 2).unwrap();
        assert_eq!(least(&mut tpm).unwrap(), 2);
    }

    #[test]
    fn a_recovered_data_partition_sets_another_tpm_up() {
        let folder = tempfile::tempdir().unwrap();
        let password = folder.path().join("owner");
        let before = Software::start();
        raise_with(&mut before.open(), &password, 3).unwrap();
        let kept = fs::read(&password).unwrap();
        // The mainboard is another: its TPM knows no count, and its owner has no password.
        let software = Software::start();
        let mut tpm = software.open();
        assert_eq!(least(&mut tpm).unwrap(), 0);
        raise_with(&mut tpm, &password, 3).unwrap();
        assert_eq!(least(&mut tpm).unwrap(), 3);
        assert_eq!(fs::read(&password).unwrap(), kept);
        assert!(tpm.undefine(INDEX, &[]).is_err());
        raise_with(&mut tpm, &password, 4).unwrap();
        assert_eq!(least(&mut tpm).unwrap(), 4);
    }

    #[test]
    fn what_somebody_left_at_the_count_is_made_anew() {
        let software = Software::start();
        let folder = tempfile::tempdir().unwrap();
        let mut tpm = software.open();
        // One that anybody may set.
        let open = Index {
            attributes: KIND.attributes | 0x4,
            size: 8,
        };
        tpm.define(INDEX, open, &[]).unwrap();
        raise_with(&mut tpm, &folder.path().join("owner"), 1).unwrap();
        let index = tpm.index(INDEX).unwrap().unwrap();
        assert_eq!(index.attributes, KIND.attributes | WRITTEN);
    }

    #[test]
    fn an_older_release_is_refused_and_no_other() {
        assert!(too_old(1, 2).is_some());
        assert_eq!(too_old(2, 2), None);
        assert_eq!(too_old(3, 2), None);
        assert_eq!(too_old(1, 0), None);
    }
}
