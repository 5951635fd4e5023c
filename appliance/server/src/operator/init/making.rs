//! What `init`, a ceremony and a recovery have in common: a data folder, certificates, an HSM, and the configuration at the end.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf, absolute};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Args;
use strongroom_hsm::pkcs11::{Pin, PinSource, initialise_token};
use strongroom_hsm::{Hsm, HsmError};

use super::site::Site;
use crate::config::{self, Config, Device, InitialConfig, InitialListen, Settings};
use crate::operator::hsm_arguments::HsmArguments;
use crate::tls::{Names, always, authority, canonical};

/// Where an appliance is made, and with which HSM.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("login").required(true).args(["initialise_token", "pin"]))]
pub(in crate::operator) struct SiteArguments {
    /// The data folder to make.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    #[command(flatten)]
    hsm: HsmArguments,
    /// Initialise the first blank token behind the module under the label --token, with random PINs.
    #[arg(long)]
    pub(in crate::operator) initialise_token: bool,
    /// Where clients reach the appliance.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8443")]
    client_listen: SocketAddr,
    /// Where administrators and the monitoring reach it.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9443")]
    admin_listen: SocketAddr,
    /// A further host name or IP address for the server certificate. May be repeated.
    #[arg(long, value_name = "NAME")]
    hostname: Vec<String>,
    /// Further settings, in the form of the configuration: what no argument decides. "-" reads them from standard input.
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
}

/// How the HSM of an appliance that is being made is opened.
pub(in crate::operator) type OpenHsm<'a> =
    &'a mut dyn FnMut(&config::Hsm) -> anyhow::Result<Arc<dyn Hsm>>;

/// The HSM of an appliance that is being made.
pub(in crate::operator) struct Opened {
    pub(in crate::operator) hsm: Arc<dyn Hsm>,
    /// As the configuration will name it.
    settings: config::Hsm,
}

impl SiteArguments {
    /// Takes the data folder.
    pub(in crate::operator) fn site(&self) -> anyhow::Result<Site> {
        let data = absolute(&self.data).context("the data folder's path cannot be resolved")?;
        Site::prepare(data)
    }

    /// Further settings.
    pub(in crate::operator) fn further(&self) -> anyhow::Result<Settings> {
        self.settings.as_ref().map_or_else(
            || Ok(Settings::default()),
            |file| {
                Settings::from_file(file).with_context(|| {
                    if file == Path::new("-") {
                        return "the settings from standard input are of no use".to_owned();
                    }
                    format!("the file of settings {} is of no use", file.display())
                })
            },
        )
    }

    /// The configuration that these arguments and settings lead to, if it can be one.
    pub(in crate::operator) fn check(&self, name: &str, more: &Settings) -> anyhow::Result<Config> {
        let data = absolute(&self.data).context("the data folder's path cannot be resolved")?;
        let (hsm, _) = self.hsm_settings()?;
        let text = self.text(name, &config::default_domain(), &hsm, more)?;
        Ok(Config::read(&text, &data.join(Site::CONFIG))?)
    }

    /// Makes the certificates, and the token if that was asked for, and opens the HSM.
    pub(in crate::operator) fn open(
        &self,
        site: &Site,
        name: &str,
        open: OpenHsm<'_>,
    ) -> anyhow::Result<Opened> {
        fs::DirBuilder::new()
            .mode(0o700)
            .create(site.tls())
            .context("the folder for certificates cannot be made")?;
        authority::create(&site.tls(), name, &self.certificate_names(name)?)?;

        let (settings, token) = self.hsm_settings()?;
        if let Some((module, token)) = token {
            new_token(site, &module, &token)?;
        }
        let hsm = {
            // As the configuration will say, in the folder where it will stand.
            let mut resolved = settings.clone();
            resolved.resolve(site.folder());
            open(&resolved)?
        };
        Ok(Opened { hsm, settings })
    }

    /// Writes the configuration: from here on the appliance is whole.
    pub(in crate::operator) fn complete(
        &self,
        site: &Site,
        name: &str,
        domain: &str,
        opened: &Opened,
        more: &Settings,
    ) -> anyhow::Result<()> {
        let text = self.text(name, domain, &opened.settings, more)?;
        site.complete(&text)
            .context("the configuration cannot be written")
    }

    /// The `[hsm]` table that the configuration will have; and module and label of the token that is to be initialised.
    fn hsm_settings(&self) -> anyhow::Result<(config::Hsm, Option<(PathBuf, String)>)> {
        let mut settings = self.hsm.settings()?;
        let members = settings.members().map_err(anyhow::Error::msg)?;
        if !self.initialise_token {
            return Ok((settings, None));
        }
        let [
            config::Member {
                device: Device::Pkcs11 { module, token, .. },
                ..
            },
        ] = members.as_slice()
        else {
            bail!("only a token behind a PKCS#11 module can be initialised here");
        };
        // What is written names it, also where it is the default.
        settings.token = Some(token.clone());
        settings.pin = Some(PinSource::File(Site::PIN.into()));
        Ok((settings, Some((module.clone(), token.clone()))))
    }

    fn text(
        &self,
        name: &str,
        domain: &str,
        hsm: &config::Hsm,
        more: &Settings,
    ) -> anyhow::Result<String> {
        let initial = InitialConfig {
            name,
            domain: (domain != config::default_domain()).then_some(domain),
            listen: InitialListen {
                client: self.client_listen,
                admin: self.admin_listen,
            },
            hsm,
        };
        initial
            .text(more)
            .context("the configuration cannot be written")
    }

    /// Where clients reach it, and administrators.
    pub(in crate::operator) fn urls(&self) -> (String, String) {
        (
            url(self.client_listen, &self.hostname),
            url(self.admin_listen, &self.hostname),
        )
    }

    /// The names and addresses that the server certificate is for.
    pub(super) fn certificate_names(&self, name: &str) -> anyhow::Result<Names> {
        let mut names = always(name, &[self.client_listen, self.admin_listen]);
        for name in &self.hostname {
            let name = canonical(name)
                .with_context(|| format!("{name:?} is neither a host name nor an address"))?;
            names.insert(name);
        }
        Ok(names)
    }
}

/// Initialises a token with random PINs, which are in the data folder before the token has them. Where an earlier attempt got that
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

/// The URL under which a listener is reached: by its address, or by a host name where it listens on all addresses.
pub(super) fn url(listen: SocketAddr, hostnames: &[String]) -> String {
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
