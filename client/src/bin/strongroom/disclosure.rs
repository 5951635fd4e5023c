//! `disclosure`: what an agency does with a delivery, with no account and far from the appliance.

use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use strongroom_client::disclosure::{
    AgencyKey, DeliveryRecord, DisclosedKey, HpkePrivateKey, PRIVATE, Package, SealingCertificate,
    SealingKey, names,
};
use strongroom_client::file::NewFile;
use strongroom_wire::encoding::Base64;
use zeroize::Zeroizing;

use crate::Context;
use crate::failure::Failure;
use crate::objects::{cannot_write, shown};
use crate::output::{facts, plain, table};

/// `strongroom disclosure`.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Make a key pair to which keys can be disclosed, for an agency that has no X.509 certificate.
    AgencyKey(NewKey),
    /// Show what a delivery has in it, and that nothing was altered.
    Show {
        /// The package.
        package: PathBuf,
    },
    /// Open disclosed keys with the agency's private key: those of a package, or one that was sealed.
    Open(Open),
}

/// `strongroom disclosure agency-key`.
#[derive(Args, Debug)]
pub(crate) struct NewKey {
    /// The file of the private key; it must not be there yet.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// `strongroom disclosure open`.
#[derive(Args, Debug)]
pub(crate) struct Open {
    /// The package, or one sealed key of it.
    file: PathBuf,
    /// The file of the agency's private key: in PEM or DER (PKCS #8), or as `disclosure agency-key` made it.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The certificate that the keys have to be sealed to.
    #[arg(long, value_name = "FILE")]
    cert: Option<PathBuf>,
    /// Where to write the key; of a package, the folder for its keys, one file each.
    #[arg(short, long, value_name = "PATH")]
    output: PathBuf,
    /// Replace files where they exist.
    #[arg(long)]
    force: bool,
}

impl Command {
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::AgencyKey(new) => new.run(context),
            Self::Show { package } => show(context, &package),
            Self::Open(open) => open.run(context),
        }
    }
}

/// The disclosed key of a file that `disclosure open` wrote.
pub(crate) fn read_disclosed(file: &Path) -> Result<DisclosedKey, Failure> {
    DisclosedKey::from_bytes(&read(file)?)
        .map_err(|error| Failure::Failed(format!("{}: {error}", file.display())))
}

impl NewKey {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let key = HpkePrivateKey::generate();
        let mut name = OsString::from(&self.out);
        name.push(".pub");
        let public_file = PathBuf::from(name);
        let private = Zeroizing::new(Base64(key.to_bytes().to_vec()).to_text());
        let private = Zeroizing::new(format!("{PRIVATE}{}\n", *private));
        let sealing = SealingKey::Hpke(Box::new(key.public_key()));
        let mut public = sealing.to_bytes();
        public.push(b'\n');
        let fingerprint = hex::encode(sealing.fingerprint());
        write(
            &self.out,
            NewFile::private(&self.out, false),
            private.as_bytes(),
        )?;
        write(&public_file, NewFile::shared(&public_file, false), &public)?;
        let answer = json!({
            "private": self.out,
            "public": public_file,
            "sealing_key_sha256": fingerprint,
        });
        context.output.answer(&answer, || {
            format!(
                "The private key is in {}: it stays with the agency. The public one is in {}, and its fingerprint is {fingerprint}: an order \
                 names it.",
                self.out.display(),
                public_file.display(),
            )
        })
    }
}

impl Open {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let key = AgencyKey::parse(&read(&self.key)?)
            .map_err(|error| Failure::Failed(format!("{}: {error}", self.key.display())))?;
        let certificate = self.cert.as_deref().map(certificate).transpose()?;
        let bytes = read(&self.file)?;
        let open = |sealed: &[u8], name: &str| -> Result<DisclosedKey, Failure> {
            key.open(sealed, certificate.as_ref())
                .and_then(|opened| DisclosedKey::from_bytes(&opened))
                .map_err(|error| Failure::Failed(format!("{name}: {error}")))
        };
        let Ok(package) = Package::read(&bytes) else {
            let disclosed = open(&bytes, &shown(&self.file))?;
            self.write(&self.output, &disclosed)?;
            let answer = json!({ "keys": [opened(&disclosed, &self.output)] });
            return context.output.answer(&answer, || {
                format!("The key {} is in {}.", disclosed.key, self.output.display())
            });
        };
        // All of it opens, or nothing is written.
        let mut keys = Vec::new();
        for (position, (record, sealed)) in package.items.iter().enumerate() {
            let [_, name] = names(position, package.manifest.form);
            let disclosed = open(sealed, &name)?;
            let record = DeliveryRecord::from_bytes(record);
            let is_it = record.is_ok_and(|record| record.item == disclosed.key)
                && disclosed.delivery == package.manifest.delivery
                && disclosed.sequence as usize == position + 1;
            if !is_it {
                return Err(Failure::Failed(format!(
                    "{name} holds another key than its record says"
                )));
            }
            keys.push(disclosed);
        }
        fs::create_dir_all(&self.output).map_err(|error| cannot_write(&self.output, &error))?;
        let mut answers = Vec::new();
        let mut rows = Vec::new();
        for (position, disclosed) in keys.iter().enumerate() {
            let file = self.output.join(format!("{:05}.key", position + 1));
            self.write(&file, disclosed)?;
            answers.push(opened(disclosed, &file));
            rows.push([disclosed.key.to_string(), shown(&file)]);
        }
        context.output.answer(&json!({ "keys": answers }), || {
            table(["KEY", "FILE"], &rows)
        })
    }

    fn write(&self, file: &Path, disclosed: &DisclosedKey) -> Result<(), Failure> {
        let bytes = disclosed
            .to_bytes()
            .map_err(|error| Failure::Failed(error.to_string()))?;
        write(file, NewFile::private(file, self.force), &bytes)
    }
}

fn opened(disclosed: &DisclosedKey, file: &Path) -> Value {
    json!({
        "key": disclosed.key,
        "algorithm": disclosed.algorithm,
        "versions": disclosed.versions.len(),
        "sequence": disclosed.sequence,
        "delivery": disclosed.delivery,
        "reference": disclosed.reference,
        "file": file,
    })
}

fn show(context: &Context, file: &Path) -> Result<(), Failure> {
    let package = Package::read(&read(file)?)
        .map_err(|error| Failure::Failed(format!("{}: {error}", file.display())))?;
    let mut records = Vec::new();
    let mut rows = Vec::new();
    for (bytes, _) in &package.items {
        let record = DeliveryRecord::from_bytes(bytes)
            .map_err(|error| Failure::Failed(error.to_string()))?;
        rows.push([
            record.sequence.to_string(),
            record.item.to_string(),
            record.created.to_string(),
            plain(&record.owner.name),
            plain(&record.matched.predicate),
            plain(&record.label),
            record.leaf.to_string(),
        ]);
        records.push(record);
    }
    let manifest = &package.manifest;
    let answer = json!({ "manifest": manifest, "records": records });
    context.output.answer(&answer, || {
        let about = facts(&[
            ("reference", plain(&manifest.reference)),
            ("delivery", manifest.delivery.to_string()),
            (
                "authorisation",
                format!(
                    "{}, generation {}",
                    manifest.authorisation, manifest.generation
                ),
            ),
            ("log", plain(&manifest.domain_origin)),
            ("released", manifest.released.to_string()),
            ("sealed to", manifest.sealing_key_sha256.clone()),
        ]);
        let heading = ["N", "KEY", "MADE", "OWNER", "MATCHED", "LABEL", "LEAF"];
        format!("{about}\n{}", table(heading, &rows))
    })
}

fn certificate(file: &Path) -> Result<SealingCertificate, Failure> {
    let no_certificate = || Failure::Failed(format!("{} is no certificate", file.display()));
    match SealingKey::parse(&read(file)?) {
        Ok(SealingKey::Certificate(certificate)) => Ok(*certificate),
        Ok(SealingKey::Hpke(_)) => Err(no_certificate()),
        Err(error) => Err(Failure::Failed(format!("{}: {error}", file.display()))),
    }
}

fn read(file: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    fs::read(file)
        .map(Zeroizing::new)
        .map_err(|error| Failure::local(format!("{} cannot be read", file.display()), &error))
}

fn write(file: &Path, made: std::io::Result<NewFile>, bytes: &[u8]) -> Result<(), Failure> {
    let mut target = made.map_err(|error| cannot_write(file, &error))?;
    target
        .write_all(bytes)
        .and_then(|()| target.complete().map(drop))
        .map_err(|error| cannot_write(file, &error))
}
