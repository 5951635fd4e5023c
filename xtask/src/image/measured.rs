//! What a TPM has measured once this image has started: PCR 7 and PCR 11, computed from the image and the keys alone.
//!
//! PCR 7 is what the firmware says of Secure Boot (TCG PC Client Platform Firmware Profile 1.06, section 3.3.4.8), and holds for a machine on which
//! our keys are enrolled and nothing else. PCR 11 is what the kernel image's stub says of the image's sections, and systemd of the boot's phases
//! (systemd-stub(7), systemd-pcrphase.service(8)).

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::keys;
use crate::{process, terminal::shown};

/// The values of the bank of SHA-256, in 64 hexadecimal digits each.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Predicted {
    /// Secure Boot on, and the keys it checks with.
    pub(crate) pcr7: String,
    /// The kernel image, once the system has come up.
    pub(crate) pcr11: String,
}

/// The phases that systemd measures one after another until the system is up.
const PHASES: [&str; 4] = ["enter-initrd", "leave-initrd", "sysinit", "ready"];

/// The sections that the stub measures, in its order; what an image does not have is passed over. `.pcrsig` is left out, as it signs the rest.
const SECTIONS: [&str; 12] = [
    ".linux", ".osrel", ".cmdline", ".initrd", ".ucode", ".splash", ".dtb", ".uname", ".sbat",
    ".pcrpkey", ".dtbauto", ".hwids",
];

/// What a machine with the certificates in this folder will have measured when it has started this kernel image.
pub(crate) fn predict(unified: &Path, keys: &Path) -> Result<Predicted> {
    let image = fs::read(unified).with_context(|| format!("{} cannot be read", shown(unified)))?;
    let certificate = |name: &str| {
        process::answer(
            Command::new("openssl")
                .args(["x509", "-outform", "DER", "-in"])
                .arg(keys.join(format!("{name}.pem"))),
        )
    };
    Ok(Predicted {
        pcr7: secure_boot(
            &certificate("PK")?,
            &certificate("KEK")?,
            &certificate("db")?,
        )?
        .hex(),
        pcr11: kernel_image(&image)?.hex(),
    })
}

/// A register that only grows: what is measured is hashed together with what was there.
struct Register([u8; 32]);

impl Register {
    const fn new() -> Self {
        Self([0; 32])
    }

    fn measure(&mut self, what: &[u8]) {
        let measured = Sha256::new()
            .chain_update(self.0)
            .chain_update(Sha256::digest(what));
        self.0 = measured.finalize().into();
    }

    fn hex(&self) -> String {
        hex::encode(self.0)
    }
}

fn kernel_image(image: &[u8]) -> Result<Register> {
    let sections = sections(image).context("the kernel image is no PE file")?;
    let mut register = Register::new();
    for name in SECTIONS {
        let Some((_, content)) = sections.iter().find(|(found, _)| found == name) else {
            continue;
        };
        register.measure(format!("{name}\0").as_bytes());
        register.measure(content);
    }
    if !sections.iter().any(|(name, _)| name == ".cmdline") {
        bail!("the kernel image has no command line");
    }
    for phase in PHASES {
        register.measure(phase.as_bytes());
    }
    Ok(register)
}

/// Names and contents of a PE file's sections, as they lie in memory (PE format, "Section Table").
fn sections(image: &[u8]) -> Option<Vec<(String, &[u8])>> {
    let bytes = |at: usize, length: usize| image.get(at..at.checked_add(length)?);
    let short = |at| {
        Some(usize::from(u16::from_le_bytes(
            bytes(at, 2)?.try_into().ok()?,
        )))
    };
    let long = |at| usize::try_from(u32::from_le_bytes(bytes(at, 4)?.try_into().ok()?)).ok();
    let header = long(0x3c)?;
    if bytes(header, 4)? != b"PE\0\0" {
        return None;
    }
    let (count, optional) = (short(header + 6)?, short(header + 20)?);
    (0..count)
        .map(|index| {
            let at = header + 24 + optional + index * 40;
            let name = String::from_utf8_lossy(bytes(at, 8)?);
            let (in_memory, in_file) = (long(at + 8)?, long(at + 16)?);
            let content = bytes(long(at + 20)?, in_memory.min(in_file))?;
            Some((name.trim_end_matches('\0').to_owned(), content))
        })
        .collect()
}

/// `EFI_GLOBAL_VARIABLE` and `EFI_IMAGE_SECURITY_DATABASE_GUID` (UEFI 2.10 sections 3.3 and 32.6.1), and `EFI_CERT_X509_GUID` (32.4.1).
const GLOBAL: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
const SECURITY: &str = "d719b2cb-3d3a-4596-a3bc-dad00e67656f";
const X509: &str = "a5c059a1-94e4-4aa7-87b5-ab155c2bf072";

fn secure_boot(platform: &[u8], exchange: &[u8], signing: &[u8]) -> Result<Register> {
    let mut register = Register::new();
    let data = |certificate: &[u8]| -> Result<Vec<u8>> {
        Ok([guid(keys::OWNER)?.as_slice(), certificate].concat())
    };
    // A signature list with one certificate.
    let list = |certificate: &[u8]| -> Result<Vec<u8>> {
        let data = data(certificate)?;
        let size = u32::try_from(data.len()).context("a certificate is too long")?;
        let head = [size + 28, 0, size].map(u32::to_le_bytes).concat();
        Ok([guid(X509)?.as_slice(), &head, &data].concat())
    };
    for (space, name, content) in [
        (GLOBAL, "SecureBoot", vec![1]),
        (GLOBAL, "PK", list(platform)?),
        (GLOBAL, "KEK", list(exchange)?),
        (SECURITY, "db", list(signing)?),
        (SECURITY, "dbx", Vec::new()),
    ] {
        register.measure(&variable(space, name, &content)?);
    }
    // What follows was measured on behalf of what was started; the boundary is four zeros.
    register.measure(&[0; 4]);
    // Loader and kernel image are signed by one certificate, which is measured the first time only.
    register.measure(&variable(SECURITY, "db", &data(signing)?)?);
    Ok(register)
}

/// `UEFI_VARIABLE_DATA`: name space, lengths of name (in characters) and content, name in UTF-16, content.
fn variable(space: &str, name: &str, content: &[u8]) -> Result<Vec<u8>> {
    let name: Vec<u16> = name.encode_utf16().collect();
    let mut data = guid(space)?.to_vec();
    data.extend((name.len() as u64).to_le_bytes());
    data.extend((content.len() as u64).to_le_bytes());
    data.extend(name.iter().flat_map(|unit| unit.to_le_bytes()));
    data.extend(content);
    Ok(data)
}

/// A GUID in the byte order of UEFI: the first three groups have their lowest byte first.
fn guid(text: &str) -> Result<[u8; 16]> {
    let digits = text.replace('-', "");
    let number = u128::from_str_radix(&digits, 16).with_context(|| format!("{text} is no GUID"))?;
    let mut bytes = number.to_be_bytes();
    for group in [0..4, 4..6, 6..8] {
        bytes[group].reverse();
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_guid_has_the_byte_order_of_uefi() {
        // As it begins each signature list of a certificate.
        let bytes = guid(X509).unwrap();
        assert_eq!(bytes[..8], [0xa1, 0x59, 0xc0, 0xa5, 0xe4, 0x94, 0xa7, 0x4a]);
        assert_eq!(bytes[8..], [0x87, 0xb5, 0xab, 0x15, 0x5c, 0x2b, 0xf0, 0x72]);
    }

    #[test]
    fn a_variable_is_measured_with_name_and_lengths() {
        // The event that a firmware leaves for `SecureBoot` being on; its digest stands in many published event logs.
        let digest = Sha256::digest(variable(GLOBAL, "SecureBoot", &[1]).unwrap());
        assert_eq!(
            hex::encode(digest),
            "ccfc4bb32888a345bc8aeadaba552b627d99348c767681ab3141f5b01e40a40e"
        );
    }

    #[test]
    fn another_command_line_gives_another_value() {
        let value = |command_line: &[u8]| kernel_image(&executable(command_line)).unwrap().hex();
        assert_eq!(value(b"quiet"), value(b"quiet"));
        assert_ne!(value(b"quiet"), value(b"quieT"));
        assert!(kernel_image(b"MZ").is_err());
    }

    /// A PE file with one section, `.cmdline`, padded in the file as linkers do.
    fn executable(command_line: &[u8]) -> Vec<u8> {
        let mut file = vec![0; 0x200];
        file[0x3c] = 0x40;
        file[0x40..0x44].copy_from_slice(b"PE\0\0");
        file[0x46] = 1;
        let section = 0x40 + 24;
        file[section..section + 8].copy_from_slice(b".cmdline");
        file[section + 8] = u8::try_from(command_line.len()).unwrap();
        file[section + 16..section + 18].copy_from_slice(&[0, 2]);
        file[section + 20..section + 22].copy_from_slice(&[0, 2]);
        file.extend(command_line);
        file.resize(0x400, 0);
        file
    }
}
