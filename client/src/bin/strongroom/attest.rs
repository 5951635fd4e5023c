//! `appliance attest`: whether the machine runs the release that it should, by the word of its TPM.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use clap::Args;
use serde::Serialize;
use serde::de::DeserializeOwned;
use strongroom_audit::{Checkpoint, Hash};
use strongroom_client::Session;
use strongroom_client::attestation::{Attested, Fingerprint, differing, in_note, verify};
use strongroom_client::audit::{verify_growth, verify_proof};
use strongroom_client::file::NewFile;
use strongroom_wire::attestation::{Attestation, Registers};
use strongroom_wire::audit::Act;
use x509_parser::pem::Pem;

use crate::Context;
use crate::appliance::here;
use crate::audit;
use crate::failure::Failure;
use crate::output::{facts, plain};

/// Beside a release's values: the hashes of all its files, and their signature.
const SUMS: &str = "SHA256SUMS";
const SUMS_SIGNATURE: &str = "SHA256SUMS.sig";

/// `strongroom appliance attest`.
#[derive(Args, Debug)]
pub(crate) struct Attest {
    /// What the TPM has to have measured: the file of the release that ends in .pcr.json.
    #[arg(long, value_name = "FILE")]
    expect: Option<PathBuf>,
    /// The certificate by whose key the release is signed: that file is held against SHA256SUMS beside it, and that against SHA256SUMS.sig.
    #[arg(long, value_name = "PEM", requires = "expect")]
    signer: Option<PathBuf>,
    /// Which TPM it has to be, as the machine's console says when m is typed [default: the one that this device has seen first].
    #[arg(long, value_name = "FINGERPRINT")]
    tpm: Option<Fingerprint>,
    /// Keep the attestation in this file.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Overwrite that file.
    #[arg(long, requires = "save")]
    force: bool,
    /// Ask nobody: take the attestation that was kept in this file.
    #[arg(long, value_name = "FILE", conflicts_with = "save")]
    check: Option<PathBuf>,
    /// Take the attestation that the appliance has recorded in this leaf of its audit log (appliance.attest).
    #[arg(long, value_name = "INDEX", conflicts_with = "check")]
    leaf: Option<u64>,
}

/// How it is known which TPM it has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Known {
    /// It was said on the command line.
    Given,
    /// This device knows it.
    Remembered,
    /// This device sees it for the first time, and remembers it from now on.
    First,
    /// Nothing is known.
    Unknown,
}

/// What was found.
#[derive(Serialize)]
struct Report<'a> {
    attestation: &'a Attestation,
    /// How often the TPM was reset, which each start of the machine does.
    starts: u32,
    tpm_known: Known,
    /// Whether what was measured was held against a release's values.
    compared: bool,
    /// Whether those were found to be signed.
    signed: bool,
}

impl Attest {
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        let expected = self.expected()?;
        let (attestation, attested) = self.attestation(context)?;
        if let Some(file) = &self.save {
            save(file, self.force, &attestation)?;
        }
        let tpm_known = self.hold_tpm(context, &attested)?;
        if let Some(expected) = &expected {
            hold_registers(&attestation.registers, expected)?;
        }
        if self.check.is_none() {
            context.home.remember_tpm(&attested.tpm.to_string())?;
        }
        let report = Report {
            attestation: &attestation,
            starts: attested.starts,
            tpm_known,
            compared: expected.is_some(),
            signed: self.signer.is_some(),
        };
        context.output.answer(&report, || describe(&report))
    }

    /// The values of the release, where they were given.
    fn expected(&self) -> Result<Option<Registers>, Failure> {
        let Some(file) = &self.expect else {
            return Ok(None);
        };
        let text = read(file)?;
        if let Some(signer) = &self.signer {
            check_signed(file, &text, signer)?;
        }
        json(file, &text).map(Some)
    }

    /// The attestation, verified but for whose TPM it is and what that has measured.
    fn attestation(&self, context: &Context) -> Result<(Attestation, Attested), Failure> {
        let attestation = if let Some(file) = &self.check {
            json(file, &read(file)?)?
        } else {
            let session = context.session()?;
            let Some(index) = self.leaf else {
                return session.attest().map_err(here);
            };
            let proof = session.inclusion_proof(index)?;
            let key = audit::verifier_key(context, &proof.checkpoint)?;
            let (event, checkpoint) = verify_proof(&proof, &key)?;
            let note = event.detail.note.unwrap_or_default();
            if event.act != Act::ApplianceAttest || !event.done {
                return Err(Failure::Failed(format!(
                    "leaf {index} is of {} and has no attestation: {}",
                    event.act,
                    plain(&note)
                )));
            }
            let recorded = in_note(&note, &checkpoint.origin)?;
            check_tree(&session, index, &recorded, &checkpoint)?;
            recorded
        };
        let attested = verify(&attestation)?;
        Ok((attestation, attested))
    }

    /// Refuses another TPM than the one that it has to be.
    fn hold_tpm(&self, context: &Context, attested: &Attested) -> Result<Known, Failure> {
        let profile = context.home.profile()?;
        let remembered = profile
            .as_ref()
            .and_then(|profile| profile.tpm.as_deref())
            .map(str::parse::<Fingerprint>)
            .transpose()
            .map_err(|error| Failure::Failed(format!("the profile is damaged: {error}")))?;
        let tpm = attested.tpm;
        let (wanted, known) = match (self.tpm, remembered) {
            (Some(given), _) => (Some(given), Known::Given),
            (None, Some(remembered)) => (Some(remembered), Known::Remembered),
            // What was saved may be any machine's.
            (None, None) if self.check.is_some() => (None, Known::Unknown),
            (None, None) => (None, Known::First),
        };
        if let Some(wanted) = wanted.filter(|wanted| *wanted != tpm) {
            return Err(Failure::Failed(format!(
                "another TPM attests than {wanted}: {tpm}. It is another machine, or its mainboard was replaced; where m at its console says the \
                 same, say --tpm {tpm}"
            )));
        }
        Ok(known)
    }
}

/// Refuses a quote that is bound to another state of the log than one before its leaf.
fn check_tree(
    session: &Session,
    leaf: u64,
    recorded: &Attestation,
    newest: &Checkpoint,
) -> Result<(), Failure> {
    let stated = &recorded.statement;
    let not_before = || {
        Failure::Failed(format!(
            "leaf {leaf} has a quote over another state of the log"
        ))
    };
    let mut root = [0; 32];
    hex::decode_to_slice(&stated.root, &mut root).map_err(|_| not_before())?;
    if stated.size > leaf {
        return Err(not_before());
    }
    if stated.size == 0 {
        return Ok(());
    }
    let then = Checkpoint {
        origin: newest.origin.clone(),
        size: stated.size,
        root: Hash(root),
    };
    let proof = session.consistency_proof(then.size, newest.size)?;
    verify_growth(&then, newest, &proof).map_err(|_| not_before())
}

/// Refuses other values than the release's, and says what that means.
fn hold_registers(measured: &Registers, expected: &Registers) -> Result<(), Failure> {
    let told: Vec<String> = differing(measured, expected)
        .into_iter()
        .map(|register| match register {
            7 => format!(
                "PCR 7 is {} and not {}: Secure Boot is off, or the firmware checks with other keys than the release is signed by",
                measured.pcr7, plain(&expected.pcr7)
            ),
            _ => format!(
                "PCR 11 is {} and not {}: another kernel image was started than the release's",
                measured.pcr11, plain(&expected.pcr11)
            ),
        })
        .collect();
    if told.is_empty() {
        Ok(())
    } else {
        Err(Failure::Failed(told.join("; ")))
    }
}

/// Refuses a file that is not among those whose hashes this certificate's key has signed.
fn check_signed(file: &Path, content: &[u8], signer: &Path) -> Result<(), Failure> {
    let sums = read(&file.with_file_name(SUMS))?;
    let signature = read(&file.with_file_name(SUMS_SIGNATURE))?;
    let pem = read(signer)?;
    let no_certificate = || Failure::Failed(format!("{} holds no certificate", signer.display()));
    let pem = Pem::iter_from_buffer(&pem)
        .filter_map(Result::ok)
        .find(|pem| pem.label == "CERTIFICATE")
        .ok_or_else(no_certificate)?;
    let certificate = pem.parse_x509().map_err(|_| no_certificate())?;
    let key = &certificate.public_key().subject_public_key.data;
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key)
        .verify(&sums, &signature)
        .map_err(|_| {
            Failure::Failed(format!(
                "{SUMS} beside {} is not signed by the key in {}",
                file.display(),
                signer.display()
            ))
        })?;
    let hash = hex::encode(digest(&SHA256, content));
    let name = file.file_name().map(|name| name.to_string_lossy());
    // `HASH  NAME`, as sha256sum prints it.
    let is_listed = String::from_utf8_lossy(&sums).lines().any(|line| {
        line.split_once("  ")
            .is_some_and(|(sum, of)| sum == hash && Some(of) == name.as_deref())
    });
    if is_listed {
        Ok(())
    } else {
        Err(Failure::Failed(format!(
            "{} is not the file of its name in {SUMS}, which is signed",
            file.display()
        )))
    }
}

fn save(file: &Path, force: bool, attestation: &Attestation) -> Result<(), Failure> {
    let unwritable =
        |error| Failure::local(format!("{} cannot be written", file.display()), &error);
    let text = serde_json::to_vec_pretty(attestation)
        .map_err(|_| Failure::Failed("the attestation cannot be written as JSON".to_owned()))?;
    let mut new = NewFile::shared(file, force).map_err(unwritable)?;
    new.write_all(&text).map_err(unwritable)?;
    new.complete().map(drop).map_err(unwritable)
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(file)
        .map_err(|error| Failure::local(format!("{} cannot be read", file.display()), &error))
}

fn json<T: DeserializeOwned>(file: &Path, text: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(text).map_err(|error| {
        Failure::Failed(format!("{} cannot be understood: {error}", file.display()))
    })
}

fn describe(report: &Report<'_>) -> String {
    let Attestation {
        tpm,
        registers,
        statement,
        ..
    } = report.attestation;
    let of = |known| match known {
        Known::Given => "the one that was said",
        Known::Remembered => "the one that this device knows",
        Known::First => {
            "seen for the first time, and remembered: hold it against m at the machine's console"
        }
        Known::Unknown => "held against nothing: --tpm says which it has to be",
    };
    let rows = [
        ("release", plain(&statement.release)),
        ("PCR 7", registers.pcr7.clone()),
        ("PCR 11", registers.pcr11.clone()),
        ("TPM", tpm.clone()),
        ("TPM is", of(report.tpm_known).to_owned()),
        ("starts", report.starts.to_string()),
        ("certificate", statement.certificate.clone()),
        (
            "log",
            format!("{}, {} leaves", plain(&statement.log), statement.size),
        ),
    ];
    let verdict = match (report.compared, report.signed) {
        (true, true) => "The TPM has measured what this release's build computed, and signed.",
        (true, false) => {
            "The TPM has measured what is expected. Whether that file is the release's was not looked at: --signer does."
        }
        (false, _) => {
            "PCR 7 is Secure Boot and its keys, PCR 11 the kernel image, which vouches for all the rest. They were held against nothing: --expect does."
        }
    };
    format!("{}\n{verdict}", facts(&rows))
}
