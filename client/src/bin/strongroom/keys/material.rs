//! `keys import` and `keys public`.

use std::io::{Read as _, Write as _};
use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use strongroom_client::file::NewFile;
use strongroom_client::operations::{Operate as _, private_key_from_pem};
use strongroom_client::sign_in::account_name;
use strongroom_wire::key::{Algorithm, NewKey};
use zeroize::Zeroizing;

use super::{algorithm_parser, here, identify, releasable};
use crate::Context;
use crate::failure::Failure;
use crate::objects::{Target, is_stream, open_input, shown, tell};
use crate::policy::Policy;

/// The longest key that is read, in bytes: far above that of any algorithm.
const LONGEST: u64 = 64 * 1024;

/// `strongroom keys import`.
#[derive(Args, Debug)]
pub(crate) struct Import {
    /// The file with the key, or - for standard input: the bytes of a secret key; a private key in PEM or DER (PKCS #8).
    file: PathBuf,
    /// What it is for.
    #[arg(long, value_parser = algorithm_parser())]
    algorithm: Algorithm,
    /// A name for people.
    #[arg(long, default_value = "")]
    label: String,
    /// Who receives it, besides oneself; may be given several times.
    #[arg(long, value_name = "ACCOUNT", value_delimiter = ',')]
    to: Vec<String>,
    /// Never give its material to anybody: the appliance uses it for those who may. This cannot be changed later.
    #[arg(long)]
    no_release: bool,
    #[command(flatten)]
    policy: Policy,
}

/// `strongroom keys public`.
#[derive(Args, Debug)]
pub(crate) struct Public {
    /// The key.
    key: String,
    /// Which version [default: the newest].
    #[arg(long = "key-version", value_name = "NUMBER")]
    version: Option<u32>,
    /// Where to write it, or - for standard output [default: standard output].
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
    /// Replace the output where it exists.
    #[arg(long)]
    force: bool,
}

impl Import {
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        let (input, _) = open_input(&self.file)?;
        let mut read = Zeroizing::new(Vec::new());
        input
            .take(LONGEST)
            .read_to_end(&mut read)
            .map_err(|error| {
                Failure::local(format!("{} cannot be read", shown(&self.file)), &error)
            })?;
        let material = if self.algorithm.is_pair() {
            private_key_from_pem(&read).unwrap_or(read)
        } else {
            read
        };
        let session = context.session()?;
        let new = NewKey {
            label: self.label,
            recipients: self.to.iter().map(|name| account_name(name)).collect(),
            policy: self.policy.into_wire(),
            releasable: releasable(self.no_release),
            ..NewKey::new(self.algorithm)
        };
        let created = session.import_key(new, &material).map_err(here)?;
        context
            .output
            .answer(&created, || format!("Key {} is imported.", created.key.id))
    }
}

impl Public {
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        let id = identify(&self.key)?;
        let session = context.session()?;
        let public_key = session.public_key(id, self.version).map_err(here)?;
        let pem = public_key.pem();
        let answer = json!({
            "key_id": id,
            "version": public_key.version,
            "algorithm": public_key.algorithm,
            "public_key": pem,
        });
        if is_stream(&self.output) {
            return context.output.answer(&answer, || pem);
        }
        let mut target = Target::new(&self.output, self.force, NewFile::shared)?;
        target.write_all(pem.as_bytes()).map_err(|error| {
            Failure::local(format!("{} cannot be written", shown(&self.output)), &error)
        })?;
        target.complete(&self.output)?;
        tell(context, &self.output, &answer, || {
            format!(
                "{} is the public key of {id}, version {}.",
                shown(&self.output),
                public_key.version
            )
        })
    }
}
