//! `strongroomd init`: makes a new appliance.
//!
//! The configuration file is written last: where it stands, the appliance is whole. Until then a marker says that what lies in the
//! folder may be thrown away, so that a failed or killed `init` can simply be run again. The PINs alone are kept where
//! the token has been initialised with them, as PKCS#11 cannot undo that.

mod site;

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf, absolute};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use serde::Serialize;
use strongroom_hsm::HsmError;
use strongroom_hsm::pkcs11::{Pin, PinSource, initialise_token};
use strongroom_keystore::store::sqlite::SqliteStore;
use strongroom_keystore::{Keystore, NewDomain, Options, SystemClock};
use strongroom_wire::account::CreatedAccount;

use site::Site;

use super::hsm_arguments::HsmArguments;
use crate::config::{self, Device, InitialConfig, InitialListen};
use crate::tls::authority;

/// What `init` takes.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("login").required(true).args(["initialise_token", "pin"]))]
pub(crate) struct Arguments {
    /// The data folder to make.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    #[command(flatten)]
    hsm: HsmArguments,
    /// Initialise the first blank token behind the module under the label --token, with random PINs.
    #[arg(long)]
    initialise_token: bool,
    /// Where clients reach the appliance.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8443")]
    client_listen: SocketAddr,
    /// Where administrators and the monitoring reach it.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9443")]
    admin_listen: SocketAddr,
    /// The name of the first administrator's account, usually an e-mail address.
    #[arg(long, value_name = "NAME")]
    admin_account: String,
    /// The appliance's name; it stands in the checkpoints of the audit log, for good.
    #[arg(long, value_name = "NAME", default_value = "strongroom.local")]
    name: String,
    /// A further host name or IP address for the server certificate. May be repeated.
    #[arg(long, value_name = "NAME")]
    hostname: Vec<String>,
    /// Take over the master KEK and the checkpoint key that an init which did not end has left in the HSM.
    #[arg(long)]
    adopt_keys: bool,
    /// Print what was made as JSON.
    #[arg(long)]
    json: bool,
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
    config::check_name(&arguments.name).map_err(anyhow::Error::msg)?;
    let data = absolute(&arguments.data).context("the data folder's path cannot be resolved")?;
    let site = Site::prepare(data)?;
    let created = match make(&site, arguments) {
        Ok(created) => created,
        Err(error) => {
            site.clear();
            let cause = format!("{error:#}");
            bail!(
                "nothing was initialised: {}; put that right and run init again",
                cause.trim_end_matches('.')
            );
        }
    };
    let made = Made {
        administrator: created.account.name,
        enrolment_code: created
            .enrolment_code
            .context("the administrator's account has no enrolment code")?,
        ca: site.tls().join("ca.pem"),
        config: site.config(),
        client_url: url(arguments.client_listen, &arguments.hostname),
        admin_url: url(arguments.admin_listen, &arguments.hostname),
    };
    if arguments.json {
        super::print_json(&made)?;
    } else {
        super::print(&as_text(&made, arguments))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn make(site: &Site, arguments: &Arguments) -> anyhow::Result<CreatedAccount> {
    fs::DirBuilder::new()
        .mode(0o700)
        .create(site.tls())
        .context("the folder for certificates cannot be made")?;
    authority::create(&site.tls(), &arguments.name, &certificate_names(arguments))?;

    let mut hsm_settings = arguments.hsm.settings()?;
    let members = hsm_settings.members().map_err(anyhow::Error::msg)?;
    if arguments.initialise_token {
        let [
            config::Member {
                device: Device::Pkcs11 { module, token, .. },
                ..
            },
        ] = members.as_slice()
        else {
            bail!("only a token behind a PKCS#11 module can be initialised here");
        };
        new_token(site, module, token)?;
        // What is written names it, also where it is the default.
        hsm_settings.token = Some(token.clone());
        hsm_settings.pin = Some(PinSource::File(Site::PIN.into()));
    }
    let hsm = {
        // As the configuration will say, in the folder where it will stand.
        let mut hsm = hsm_settings.clone();
        hsm.resolve(site.folder());
        super::open_hsm(&hsm)?
    };

    let domain = NewDomain {
        name: config::default_domain(),
        origin: config::origin(&arguments.name, &config::default_domain()),
        administrator: arguments.admin_account.clone(),
        adopt_keys: arguments.adopt_keys || site.resumes(),
    };
    let options = Options {
        domain: domain.name.clone(),
        ..Options::default()
    };
    let created = {
        let store = SqliteStore::create(&site.database())?;
        Keystore::initialise(&store, hsm, &SystemClock, &domain, &options)?
    };

    let initial = InitialConfig {
        name: &arguments.name,
        listen: InitialListen {
            client: arguments.client_listen,
            admin: arguments.admin_listen,
        },
        hsm: &hsm_settings,
    };
    let text = format!(
        "# strongroomd's configuration. What is not said here keeps its default; strongroom.example.toml lists every setting.\n{}",
        toml::to_string(&initial).context("the configuration cannot be written")?
    );
    site.complete(&text)
        .context("the configuration cannot be written")?;
    Ok(created)
}

/// Initialises a token with random PINs, which are in the data folder before the token has them. Where an earlier `init` got that
/// far, its token is used.
fn new_token(site: &Site, module: &Path, label: &str) -> anyhow::Result<()> {
    let (pin_file, so_pin_file) = (site.path(Site::PIN), site.path(Site::SO_PIN));
    let again = pin_file.exists() && so_pin_file.exists();
    let (pin, so_pin) = if again {
        (Pin::from_file(&pin_file)?, Pin::from_file(&so_pin_file)?)
    } else {
        site.clear_pins();
        let (pin, so_pin) = (Pin::random()?, Pin::random()?);
        pin.write_new_file(&pin_file)?;
        so_pin.write_new_file(&so_pin_file)?;
        (pin, so_pin)
    };
    match initialise_token(module, label, &pin, &so_pin) {
        Ok(()) => Ok(()),
        Err(HsmError::TokenExists { .. }) if again => Ok(()),
        Err(error) => {
            if matches!(
                error,
                HsmError::TokenExists { .. }
                    | HsmError::ModuleNotFound { .. }
                    | HsmError::NoUninitialisedToken { .. }
                    | HsmError::Malformed { .. }
            ) {
                // Nothing has these PINs.
                site.clear_pins();
            }
            Err(error.into())
        }
    }
}

/// The names and addresses that the server certificate is for.
fn certificate_names(arguments: &Arguments) -> Vec<String> {
    let mut names = ["localhost", "127.0.0.1", "::1"]
        .map(str::to_owned)
        .to_vec();
    let listened = [arguments.client_listen, arguments.admin_listen];
    let listened = listened.iter().map(SocketAddr::ip);
    let listened = listened.filter(|address| !address.is_unspecified());
    let more = std::iter::once(arguments.name.clone())
        .chain(arguments.hostname.iter().cloned())
        .chain(listened.map(|address| address.to_string()));
    for name in more {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The URL under which a listener is reached: by its address, or by a host name where it listens on all addresses.
fn url(listen: SocketAddr, hostnames: &[String]) -> String {
    if !listen.ip().is_unspecified() {
        return format!("https://{listen}");
    }
    let host = hostnames.first().map_or("localhost", String::as_str);
    let port = listen.port();
    match host.parse() {
        Ok(address) => format!("https://{}", SocketAddr::new(address, port)),
        Err(_) => format!("https://{host}:{port}"),
    }
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
    if arguments.initialise_token {
        text += "The token's PIN is in hsm-pin and its security officer's in hsm-so-pin, both in the data folder: \
                 keep the latter elsewhere, as the appliance does not need it.\n";
    }
    text
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use clap::Parser;

    use super::*;

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
        assert_eq!(
            certificate_names(&given.unwrap()),
            [
                "localhost",
                "127.0.0.1",
                "::1",
                "strongroom.local",
                "vault.example.com",
                "192.0.2.1"
            ]
        );
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
    fn the_token_is_initialised_or_has_a_pin() {
        assert!(arguments(&["--initialise-token"]).is_ok());
        assert!(arguments(&["--pin", "prompt"]).is_ok());
        assert!(arguments(&[]).is_err());
        assert!(arguments(&["--initialise-token", "--pin", "prompt"]).is_err());
    }
}
