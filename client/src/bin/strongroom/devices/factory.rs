//! `devices factory-key` and `devices open`: what a factory does, with no account and far from the appliance.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use serde_json::json;
use strongroom_client::devices::{FactoryKey, FactoryPublicKey, GivenSecret, open_imported};
use strongroom_client::file::NewFile;
use strongroom_wire::account::Account;
use strongroom_wire::device::{ImportLine, ImportedDevice};
use strongroom_wire::encoding::Base64;
use strongroom_wire::id::AccountId;
use zeroize::Zeroizing;

use super::beside;
use crate::Context;
use crate::failure::Failure;
use crate::output::{complain, facts, plain};

/// What the files of keys begin with.
const PRIVATE: &str = "strongroom-factory-key-1:";
const PUBLIC: &str = "strongroom-factory-public-key-1:";

/// `strongroom devices factory-key`.
#[derive(Args, Debug)]
pub(crate) struct NewKey {
    /// The file of the private key; it must not be there yet.
    #[arg(long, value_name = "FILE", default_value = "factory.key")]
    out: PathBuf,
}

/// `strongroom devices open`.
#[derive(Args, Debug)]
pub(crate) struct Open {
    /// The file of the factory's private key.
    #[arg(long, value_name = "FILE", default_value = "factory.key")]
    factory_key: PathBuf,
    /// What `devices import` wrote.
    secrets: PathBuf,
    /// Only the device with this serial number.
    #[arg(long)]
    serial: Option<String>,
}

/// A device as the factory puts it into the device.
#[derive(Serialize)]
struct Opened<'a> {
    serial: &'a str,
    account: AccountId,
    secret: &'a str,
}

impl NewKey {
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        let key = FactoryKey::generate();
        let public_file = beside(&self.out, ".pub");
        let private = Zeroizing::new(Base64(key.to_bytes().to_vec()).to_text());
        let public = Base64(key.public_key().to_bytes()).to_text();
        let private = Zeroizing::new(format!("{PRIVATE}{}\n", *private));
        write(&self.out, NewFile::private(&self.out, false), &private)?;
        write(
            &public_file,
            NewFile::shared(&public_file, false),
            &format!("{PUBLIC}{public}\n"),
        )?;
        let (private, public) = (self.out.display(), public_file.display());
        context.output.answer(
            &json!({ "private": self.out, "public": public_file }),
            || {
                format!(
                    "The private key is in {private}: it stays with the factory. The public one is in {public}: strongroom devices import \
                     wraps secrets to it."
                )
            },
        )
    }
}

impl Open {
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        let text = Zeroizing::new(read(&self.factory_key)?);
        let key = parse(&text, PRIVATE)
            .and_then(|bytes| FactoryKey::from_bytes(&Zeroizing::new(bytes)).ok())
            .ok_or_else(|| no_key(&self.factory_key))?;
        let devices = read_imported(&self.secrets)?;
        let wanted = devices.values().filter(|device| {
            self.serial
                .as_ref()
                .is_none_or(|serial| device.serial == *serial)
        });
        let mut count = 0;
        for device in wanted {
            count += 1;
            let secret = open_imported(&key, device).map_err(|_| {
                Failure::Failed(format!(
                    "the secret of {} was not wrapped to this key, or was altered",
                    plain(&device.serial)
                ))
            })?;
            let secret = secret.to_text();
            let opened = Opened {
                serial: &device.serial,
                account: device.account,
                secret: &secret,
            };
            context.output.answer(&opened, || {
                format!(
                    "{}\t{}\t{}",
                    plain(opened.serial),
                    opened.account,
                    opened.secret
                )
            })?;
        }
        if count == 0 {
            return Err(Failure::Failed(format!(
                "{} holds no such secret",
                self.secrets.display()
            )));
        }
        Ok(())
    }
}

/// Prints a secret for whoever puts it into its device.
pub(crate) fn print_secret(
    context: &Context,
    account: &Account,
    given: GivenSecret,
) -> Result<(), Failure> {
    let secret = given.secret.to_text();
    let answer = json!({
        "account": account.id,
        "name": account.name,
        "generation": given.generation,
        "secret": *secret,
        "leaf": given.leaf,
    });
    context.output.answer(&answer, || {
        facts(&[
            ("account", plain(&account.name)),
            ("identifier", account.id.to_string()),
            ("generation", given.generation.to_string()),
            ("secret", secret.to_string()),
        ])
    })
}

/// The factory's public key in this file.
pub(super) fn read_public(file: &Path) -> Result<FactoryPublicKey, Failure> {
    parse(&read(file)?, PUBLIC)
        .and_then(|bytes| FactoryPublicKey::from_bytes(&bytes).ok())
        .ok_or_else(|| no_key(file))
}

/// The devices whose secrets are in a file, each with its newest, by serial number. A line that was cut is left out and told of.
pub(super) fn read_imported(file: &Path) -> Result<BTreeMap<String, ImportedDevice>, Failure> {
    let mut devices: BTreeMap<String, ImportedDevice> = BTreeMap::new();
    for (index, line) in read(file)?.lines().enumerate() {
        if line.is_empty() {
            continue;
        }
        let device = match serde_json::from_str(line) {
            Ok(ImportLine::Created(device) | ImportLine::Replaced(device)) => device,
            Ok(_) => continue,
            Err(_) => {
                complain(&format!(
                    "strongroom: line {} of {} is not whole and left out",
                    index + 1,
                    file.display()
                ));
                continue;
            }
        };
        match devices.get(&device.serial) {
            Some(other) if other.generation > device.generation => {}
            _ => {
                devices.insert(device.serial.clone(), device);
            }
        }
    }
    Ok(devices)
}

fn read(file: &Path) -> Result<String, Failure> {
    fs::read_to_string(file)
        .map_err(|error| Failure::local(format!("{} cannot be read", file.display()), &error))
}

fn write(file: &Path, new: std::io::Result<NewFile>, text: &str) -> Result<(), Failure> {
    new.and_then(|mut new| {
        new.write_all(text.as_bytes())?;
        new.complete().map(drop)
    })
    .map_err(|error| Failure::local(format!("{} cannot be written", file.display()), &error))
}

fn parse(text: &str, prefix: &str) -> Option<Vec<u8>> {
    let bytes: Base64 = text.trim().strip_prefix(prefix)?.parse().ok()?;
    Some(bytes.0)
}

fn no_key(file: &Path) -> Failure {
    Failure::Failed(format!(
        "{} holds no such key as strongroom devices factory-key makes",
        file.display()
    ))
}
