//! The papers beside the image: what is in it, what a TPM will have measured, and hashes with a signature over all.
//!
//! | file | what it is |
//! |---|---|
//! | `strongroom_VERSION.cdx.json` | bill of materials, CycloneDX 1.6 |
//! | `strongroom_VERSION.spdx.json` | the same, SPDX 2.3 |
//! | `strongroom_VERSION.pcr.json` | the values of PCR 7 and 11 |
//! | `SHA256SUMS`, `SHA256SUMS.sig`, `signer.pem` | hashes of image and papers, signed by the key that signs the kernel image, and its certificate |

mod bill;
pub(super) mod contents;
mod licences;

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::{Bench, measured, read, tools::Tools, update, write};
use crate::{process, terminal::shown};

/// Writes the papers of the image that was just built: the disk, and what else it was made into.
pub(crate) fn make(
    bench: &Bench,
    tools: &Tools,
    disk: &Path,
    others: &[PathBuf],
    unified: &Path,
) -> Result<()> {
    let hash = hash(disk)?;
    let components = contents::of(bench, tools)?;
    let image = bill::Image {
        version: &bench.version,
        sha256: &hash,
    };
    let text = |paper: &serde_json::Value| -> Result<String> {
        Ok(format!("{}\n", serde_json::to_string_pretty(paper)?))
    };
    let predicted = measured::predict(unified, &bench.keys)?;
    let papers = [
        ("cdx", text(&bill::cyclonedx(&image, &components))?),
        ("spdx", text(&bill::spdx(&image, &components))?),
        ("pcr", text(&serde_json::to_value(predicted)?)?),
    ];
    let mut sums = format!("{hash}  {}\n", name(disk)?);
    for other in others {
        writeln!(sums, "{}  {}", self::hash(other)?, name(other)?)?;
    }
    for (kind, text) in papers {
        let paper = paper(bench, kind);
        write(&paper, text)?;
        writeln!(sums, "{}  {}", self::hash(&paper)?, name(&paper)?)?;
    }
    write(&bench.out.join(SUMS), sums)?;
    sign(bench)
}

/// The values that a TPM will have measured, as they stand beside the image.
pub(crate) fn predicted(bench: &Bench) -> Result<measured::Predicted> {
    serde_json::from_str(&read(&paper(bench, "pcr"))?)
        .context("the predicted values cannot be read")
}

/// Where they stand.
pub(crate) fn expected(bench: &Bench) -> PathBuf {
    paper(bench, "pcr")
}

/// The certificate by whose key all that lies beside the image is signed.
pub(crate) fn signer(bench: &Bench) -> PathBuf {
    bench.out.join(SIGNER)
}

/// The hashes of image and papers, as they stand beside it: they tell one image from another.
pub(crate) fn sums(bench: &Bench) -> Result<String> {
    read(&bench.out.join(SUMS))
}

/// Checks image and papers as somebody would who was given them, and counts what the bills name.
///
/// # Errors
///
/// When the signature or a hash does not hold, or a bill does not name what is in the image.
pub(crate) fn check(bench: &Bench) -> Result<String> {
    let run = |program: &str, arguments: &[&str]| {
        process::answer(
            Command::new(program)
                .args(arguments)
                .current_dir(&bench.out),
        )
    };
    let public = bench.work.join("signer.pub");
    write(
        &public,
        run("openssl", &["x509", "-pubkey", "-noout", "-in", SIGNER])?,
    )?;
    let public = public.to_str().context("the path is no text")?;
    run(
        "openssl",
        &[
            "dgst",
            "-sha256",
            "-verify",
            public,
            "-signature",
            SIGNATURE,
            SUMS,
        ],
    )?;
    run("sha256sum", &["--check", "--strict", "--quiet", SUMS])?;
    let bill = |kind: &str| -> Result<serde_json::Value> {
        serde_json::from_str(&read(&paper(bench, kind))?).context("a bill cannot be read")
    };
    let count = |bill: &serde_json::Value, list: &str| bill[list].as_array().map_or(0, Vec::len);
    let (cyclonedx, spdx) = (bill("cdx")?, bill("spdx")?);
    // SPDX counts the image among the packages.
    let (named, again) = (count(&cyclonedx, "components"), count(&spdx, "packages"));
    if named + 1 != again {
        bail!("CycloneDX names {named} components and SPDX {again} packages, the image among them");
    }
    let module = bench
        .hsm_module
        .as_ref()
        .map(|module| contents::of_hsm(module).purl);
    let expected = [
        "pkg:deb/debian/systemd@",
        "pkg:deb/debian/linux-image-",
        "pkg:cargo/rustls@",
        "pkg:cargo/strongroomd@",
    ];
    for purl in expected.into_iter().chain(module.as_deref()) {
        for bill in [&cyclonedx, &spdx] {
            if !bill.to_string().contains(purl) {
                bail!("a bill does not name {purl}");
            }
        }
    }
    let licences = licences_of_debians(&cyclonedx)?;
    let update = update::check(bench)?;
    if update.version.to_string() != bench.version {
        bail!("the update is of version {}", update.version);
    }
    Ok(format!(
        "signature and hashes hold, those within the update, too; both bills name {named} packages and crates; {licences}"
    ))
}

/// How many of Debian's packages a bill in `CycloneDX` has the licence of: it says so for nearly all, as few have it in a text for people alone.
///
/// # Errors
///
/// When those are less than nine in ten: the files that say it were not there when the image was built.
fn licences_of_debians(bill: &serde_json::Value) -> Result<String> {
    let debians: Vec<&serde_json::Value> = bill["components"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|one| {
            one["purl"]
                .as_str()
                .is_some_and(|purl| purl.starts_with("pkg:deb/"))
        })
        .collect();
    let all = debians.len();
    let known = debians
        .iter()
        .filter(|one| one["licenses"].is_array())
        .count();
    if known * 10 < all * 9 {
        bail!("the bills have the licences of {known} of Debian's {all} packages alone");
    }
    Ok(format!("the licences of {known} of Debian's {all}"))
}

const SUMS: &str = "SHA256SUMS";
const SIGNATURE: &str = "SHA256SUMS.sig";
const SIGNER: &str = "signer.pem";

fn paper(bench: &Bench, kind: &str) -> PathBuf {
    bench.out.join(format!("{}.{kind}.json", bench.name()))
}

fn name(file: &Path) -> Result<&str> {
    file.file_name()
        .and_then(|name| name.to_str())
        .context("a file's name is no text")
}

/// The SHA-256 of a file, in hexadecimal digits.
pub(super) fn hash(file: &Path) -> Result<String> {
    use sha2::{Digest as _, Sha256};
    let mut hasher = Sha256::new();
    let mut content =
        fs::File::open(file).with_context(|| format!("{} cannot be read", shown(file)))?;
    std::io::copy(&mut content, &mut hasher)?;
    Ok(hex::encode(hasher.finalize()))
}

fn sign(bench: &Bench) -> Result<()> {
    process::answer(
        Command::new("openssl")
            .args(["dgst", "-sha256", "-sign"])
            .arg(bench.keys.join("db.key"))
            .args(["-out", SIGNATURE, SUMS])
            .current_dir(&bench.out),
    )?;
    write(&bench.out.join(SIGNER), read(&bench.keys.join("db.pem"))?)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn nearly_all_of_debians_packages_have_a_licence() {
        let bill = |with: usize, without: usize| {
            let known = serde_json::json!({"purl": "pkg:deb/debian/a@1", "licenses": [{"expression": "MIT"}]});
            let unknown = serde_json::json!({"purl": "pkg:deb/debian/b@1"});
            // Crates do not count.
            let mut all = vec![serde_json::json!({"purl": "pkg:cargo/c@1"}); 5];
            all.extend(vec![known; with]);
            all.extend(vec![unknown; without]);
            licences_of_debians(&serde_json::json!({"components": all}))
        };
        assert_eq!(bill(9, 1).unwrap(), "the licences of 9 of Debian's 10");
        assert!(bill(8, 1).is_err());
    }
}
