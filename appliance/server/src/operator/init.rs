//! `strongroomd init`: makes a new appliance.
//!
//! The configuration file is written last: where it stands, the appliance is whole. Until then a marker says that what lies in the
//! folder may be thrown away, so that a failed or killed `init` can simply be run again. The PINs alone are kept where
//! the token has been initialised with them, as PKCS#11 cannot undo that.

mod making;
mod site;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Args;
use serde::Serialize;
use strongroom_hsm::Hsm;
use strongroom_keystore::recovery::NewRecovery;
use strongroom_keystore::store::sqlite::SqliteStore;
use strongroom_keystore::{Keystore, NewDomain, Options, SystemClock};
use strongroom_wire::account::CreatedAccount;

pub(super) use making::SiteArguments;
pub(super) use site::Site;

use crate::config::{self, Settings};

/// What `init` takes.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    site: SiteArguments,
    /// The name of the first administrator's account, usually an e-mail address.
    #[arg(long, value_name = "NAME")]
    admin_account: String,
    /// The appliance's name; it stands in the checkpoints of the audit log, for good.
    #[arg(long, value_name = "NAME", default_value = "strongroom.local")]
    name: String,
    /// Take over the master KEK and the checkpoint key that an init which did not end has left in the HSM.
    #[arg(long)]
    adopt_keys: bool,
    /// The SHA-256 of the seed that says all this, for the first leaf of the audit log.
    #[arg(long, value_name = "HEX", value_parser = sha256)]
    seed_sha256: Option<Sha256>,
    /// Look whether arguments and settings lead to a configuration that can be used, print its connections, and make nothing.
    #[arg(long)]
    check: bool,
    /// Print what was made as JSON.
    #[arg(long)]
    json: bool,
}

/// A SHA-256 as it was given.
pub(super) type Sha256 = [u8; 32];

pub(super) fn sha256(text: &str) -> Result<Sha256, String> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes)
        .map(|()| bytes)
        .map_err(|_| "a SHA-256 has 64 hexadecimal digits".to_owned())
}

/// What a ceremony does while an appliance is made.
pub(super) trait Attended {
    /// Opens the HSM.
    fn open(&mut self, hsm: &config::Hsm) -> anyhow::Result<Arc<dyn Hsm>>;

    /// Before any key is made: gives custodians their shares of a recovery KEK, if there is to be one.
    fn settle(&mut self, hsm: &dyn Hsm) -> anyhow::Result<Option<NewRecovery>>;

    /// When all keys are made and nothing serves yet: records what happened.
    fn record(&mut self, keystore: &Keystore, folder: &Path) -> anyhow::Result<()>;
}

/// An appliance that is made without custodians.
struct Unattended;

impl Attended for Unattended {
    fn open(&mut self, hsm: &config::Hsm) -> anyhow::Result<Arc<dyn Hsm>> {
        super::open_hsm(hsm)
    }

    fn settle(&mut self, _: &dyn Hsm) -> anyhow::Result<Option<NewRecovery>> {
        Ok(None)
    }

    fn record(&mut self, _: &Keystore, _: &Path) -> anyhow::Result<()> {
        Ok(())
    }
}

/// What was made.
#[derive(Debug, Serialize)]
struct Made {
    administrator: String,
    enrolment_code: String,
    ca: PathBuf,
    config: PathBuf,
    client_url: String,
    admin_url: String,
}

/// Makes the appliance and says what was made.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    run_attended(arguments, &mut Unattended)
}

/// As [`run`], in the presence of custodians.
pub(super) fn run_attended(
    arguments: &Arguments,
    attended: &mut dyn Attended,
) -> anyhow::Result<ExitCode> {
    config::check_name(&arguments.name).map_err(anyhow::Error::msg)?;
    let more = arguments.site.further()?;
    let connections = arguments.site.check(&arguments.name, &more)?.connections();
    if arguments.check {
        super::connections::print(&connections, arguments.json)?;
        return Ok(ExitCode::SUCCESS);
    }
    let site = arguments.site.site()?;
    let created = match make(&site, arguments, &more, attended) {
        Ok(created) => created,
        Err(error) => {
            site.clear();
            let cause = format!("{error:#}");
            bail!(
                "nothing was initialised: {}; put that right and run it again",
                cause.trim_end_matches('.')
            );
        }
    };
    let (client_url, admin_url) = arguments.site.urls();
    let made = Made {
        administrator: created.account.name,
        enrolment_code: created
            .enrolment_code
            .context("the administrator's account has no enrolment code")?,
        ca: site.tls().join("ca.pem"),
        config: site.config(),
        client_url,
        admin_url,
    };
    if arguments.json {
        super::print_json(&made)?;
    } else {
        super::print(&as_text(&made, arguments))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn make(
    site: &Site,
    arguments: &Arguments,
    more: &Settings,
    attended: &mut dyn Attended,
) -> anyhow::Result<CreatedAccount> {
    let opened = arguments
        .site
        .open(site, &arguments.name, &mut |hsm| attended.open(hsm))?;
    let domain = NewDomain {
        name: config::default_domain(),
        origin: config::origin(&arguments.name, &config::default_domain()),
        administrator: arguments.admin_account.clone(),
        adopt_keys: arguments.adopt_keys || site.resumes(),
        recovery: attended.settle(&*opened.hsm)?,
        seed: arguments.seed_sha256,
    };
    let options = Options {
        domain: domain.name.clone(),
        ..Options::default()
    };
    let store = Arc::new(SqliteStore::create(&site.database())?);
    let hsm = Arc::clone(&opened.hsm);
    let created = Keystore::initialise(&*store, hsm, &SystemClock, &domain, &options)?;
    if domain.recovery.is_some() {
        let hsm = Arc::clone(&opened.hsm);
        let keystore = Keystore::attend(store, hsm, Arc::new(SystemClock), options)?;
        attended.record(&keystore, site.folder())?;
    }
    arguments
        .site
        .complete(site, &arguments.name, &domain.name, &opened, more)?;
    Ok(created)
}

fn as_text(made: &Made, arguments: &Arguments) -> String {
    let mut text = format!(
        "The appliance is initialised.\n\
         configuration:   {}\n\
         certificate (CA): {}\n\
         for clients:      {}\n\
         administration:   {}\n\
         administrator:    {}\n\
         enrolment code:   {}   (shown this once)\n",
        made.config.display(),
        made.ca.display(),
        made.client_url,
        made.admin_url,
        made.administrator,
        made.enrolment_code,
    );
    if arguments.site.initialise_token {
        text += "The token's PIN is in hsm-pin and its security officer's in hsm-so-pin, both in the data folder: \
                 keep the latter elsewhere, as the appliance does not need it.\n";
    }
    text
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use clap::Parser;

    use super::making::url;
    use super::*;
    use crate::tls::Names;

    #[derive(Parser)]
    struct CommandLine {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn arguments(more: &[&str]) -> Result<Arguments, clap::Error> {
        let needed = [
            "init",
            "--data",
            "d",
            "--module",
            "m.so",
            "--admin-account",
            "a",
        ];
        let parsed = CommandLine::try_parse_from(needed.iter().chain(more));
        parsed.map(|line| line.arguments)
    }

    #[test]
    fn the_certificate_is_for_every_name_once() {
        let given = arguments(&[
            "--initialise-token",
            "--client-listen",
            "192.0.2.1:8443",
            "--admin-listen",
            "[::]:9443",
            "--hostname",
            "vault.example.com",
            "--hostname",
            "localhost",
        ]);
        let given = given.unwrap();
        assert_eq!(
            given.site.certificate_names(&given.name).unwrap(),
            Names::from(
                [
                    "localhost",
                    "127.0.0.1",
                    "::1",
                    "strongroom.local",
                    "vault.example.com",
                    "192.0.2.1"
                ]
                .map(str::to_owned)
            )
        );
        let wrong = arguments(&["--initialise-token", "--hostname", "vault example"]).unwrap();
        assert!(wrong.site.certificate_names(&wrong.name).is_err());
    }

    #[test]
    fn urls_can_be_typed() {
        let hostnames = ["vault.example.com".to_owned()];
        for (listen, hostnames, expected) in [
            ("127.0.0.1:8443", &[][..], "https://127.0.0.1:8443"),
            ("[::1]:8443", &hostnames, "https://[::1]:8443"),
            ("0.0.0.0:8443", &[], "https://localhost:8443"),
            ("0.0.0.0:8443", &hostnames, "https://vault.example.com:8443"),
            (
                "[::]:8443",
                &["2001:db8::1".to_owned()],
                "https://[2001:db8::1]:8443",
            ),
        ] {
            assert_eq!(url(listen.parse().unwrap(), hostnames), expected);
        }
    }

    #[test]
    fn a_seed_is_named_by_its_sha256() {
        let given = |hex: &str| arguments(&["--initialise-token", "--seed-sha256", hex]);
        let named = given(&"0A".repeat(32)).unwrap();
        assert_eq!(named.seed_sha256, Some([10; 32]));
        for wrong in ["", "0a", &"0g".repeat(32)] {
            assert!(given(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_token_is_initialised_or_has_a_pin() {
        assert!(arguments(&["--initialise-token"]).is_ok());
        assert!(arguments(&["--pin", "prompt"]).is_ok());
        assert!(arguments(&[]).is_err());
        assert!(arguments(&["--initialise-token", "--pin", "prompt"]).is_err());
    }
}
