//! Naming an HSM at the command line, with the words of the `[hsm]` table.

use std::path::{PathBuf, absolute};

use anyhow::Context as _;
use clap::Args;
use strongroom_hsm::pkcs11::PinSource;

use crate::config::Hsm;

/// An HSM: a token behind a PKCS#11 module, or a YubiHSM 2.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct HsmArguments {
    /// The PKCS#11 module of the HSM's vendor.
    #[arg(long, value_name = "FILE")]
    module: Option<PathBuf>,
    /// The token: its label, or an RFC 7512 URI [default: strongroom].
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    /// The connector of a YubiHSM 2, such as <http://127.0.0.1:12345>, in place of a module.
    #[arg(long, value_name = "URL")]
    connector: Option<String>,
    /// The serial number of a YubiHSM 2 at a USB port, in place of a connector.
    #[arg(long, value_name = "SERIAL")]
    usb: Option<String>,
    /// The number of the appliance's authentication key in the YubiHSM 2.
    #[arg(long, value_name = "NUMBER")]
    auth_key: Option<u16>,
    /// The domain of the YubiHSM 2 that holds the appliance's objects [default: 1].
    #[arg(long, value_name = "NUMBER")]
    device_domain: Option<u8>,
    /// Where the PIN, or the authentication key's password, comes from.
    #[arg(long, value_name = "file:PATH|env:NAME|credential:NAME|prompt")]
    pin: Option<PinSource>,
}

impl HsmArguments {
    /// Whether an HSM is named.
    pub(crate) fn is_given(&self) -> bool {
        self.module.is_some() || self.connector.is_some() || self.usb.is_some()
    }

    /// The `[hsm]` table that says the same. Its paths are absolute; where no PIN is named, it is the default of the table.
    ///
    /// # Errors
    /// When the working folder is not known.
    pub(crate) fn settings(&self) -> anyhow::Result<Hsm> {
        let whole = |path: &PathBuf| absolute(path).context("a path cannot be resolved");
        let pin = match &self.pin {
            Some(PinSource::File(file)) => Some(PinSource::File(whole(file)?)),
            pin => pin.clone(),
        };
        Ok(Hsm {
            module: self.module.as_ref().map(whole).transpose()?,
            token: self.token.clone(),
            connector: self.connector.clone(),
            usb: self.usb.clone(),
            auth_key: self.auth_key,
            device_domain: self.device_domain,
            pin,
            ..Hsm::default()
        })
    }
}
