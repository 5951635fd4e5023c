//! `accounts certificates`.

use std::fs;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use strongroom_client::Session;
use strongroom_client::certificates::fingerprint;
use strongroom_client::sign_in::account_name;
use strongroom_wire::account::Account;
use strongroom_wire::certificate::{CertificateName, CertificateNameKind, CertificateNames};

use super::{find, here};
use crate::Context;
use crate::failure::Failure;
use crate::output::{plain, spelling, table};

/// `strongroom accounts certificates`.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// List the names in client certificates by which a service or device is known.
    List {
        /// The account's name or identifier.
        account: String,
    },
    /// Let certificates with this name stand for a service or device that has never signed in, or for oneself.
    Add(Named),
    /// Let them stand for it no more, and end its sessions.
    Remove(Named),
}

/// A name in certificates, of an account.
#[derive(Args, Debug)]
pub(crate) struct Named {
    /// The account's name or identifier.
    account: String,
    /// This certificate and no other: a file in PEM.
    #[arg(long, value_name = "FILE", required_unless_present_any = ["fingerprint", "uri", "dns"])]
    file: Option<PathBuf>,
    /// The certificate with this SHA-256, in 64 hexadecimal digits.
    #[arg(long, value_name = "DIGITS", conflicts_with = "file")]
    fingerprint: Option<String>,
    /// Every certificate of the site's authority with this URI among its subject alternative names.
    #[arg(long, conflicts_with_all = ["file", "fingerprint"])]
    uri: Option<String>,
    /// Every certificate of the site's authority with this DNS name among them.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["file", "fingerprint", "uri"])]
    dns: Option<String>,
}

impl Command {
    pub(super) fn run(self, context: &Context, session: &Session) -> Result<(), Failure> {
        match self {
            Self::List { account } => {
                let account = find_or_own(session, &account)?;
                let names = session.certificate_names(account.id).map_err(here)?;
                context.output.answer(&names, || describe(&names))
            }
            Self::Add(named) => {
                let account = find_or_own(session, &named.account)?;
                let name = named.name()?;
                let done = session
                    .register_certificate(account.id, &name)
                    .map_err(here)?;
                context.output.answer(&done, || {
                    format!(
                        "Certificates with the {} {} stand for {}.",
                        spelling(&name.kind),
                        plain(&name.value),
                        plain(&account.name)
                    )
                })
            }
            Self::Remove(named) => {
                let account = find_or_own(session, &named.account)?;
                let done = session
                    .remove_certificate(account.id, &named.name()?)
                    .map_err(here)?;
                context.output.answer(&done, || {
                    format!("They stand for {} no more.", plain(&account.name))
                })
            }
        }
    }
}

impl Named {
    fn name(&self) -> Result<CertificateName, Failure> {
        if let Some(file) = &self.file {
            let pem = fs::read(file).map_err(|error| {
                Failure::local(format!("{} cannot be read", file.display()), &error)
            })?;
            return Ok(fingerprint(&pem)?);
        }
        let (kind, value) = match (&self.fingerprint, &self.dns, &self.uri) {
            (Some(digits), ..) => (
                CertificateNameKind::Fingerprint,
                digits.replace(':', "").to_lowercase(),
            ),
            (None, Some(name), _) => (CertificateNameKind::Dns, name.to_lowercase()),
            (None, None, uri) => (CertificateNameKind::Uri, uri.clone().unwrap_or_default()),
        };
        Ok(CertificateName { kind, value })
    }
}

/// Whoever is no administrator may not look for accounts, and knows its own.
pub(super) fn find_or_own(session: &Session, account: &str) -> Result<Account, Failure> {
    let own = session.own_account()?;
    if own.name == account_name(account) || own.id.to_string() == account {
        return Ok(own);
    }
    find(session, account)
}

fn describe(names: &CertificateNames) -> String {
    let rows: Vec<_> = names
        .names
        .iter()
        .map(|registered| {
            [
                spelling(&registered.name.kind),
                plain(&registered.name.value),
                registered.created.to_string(),
            ]
        })
        .collect();
    table(["KIND", "NAME", "SINCE"], &rows)
}
