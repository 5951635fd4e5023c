//! The HSM of a ceremony: one alone, opened as its administrators where putting a key into it takes that.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Args;
use strongroom_custodians::Terminal;
use strongroom_hsm::Hsm;
use strongroom_hsm::pkcs11::{Pin, PinSource};
use strongroom_hsm::yubihsm::{AuthKey, YubiHsm, YubiHsmConfig, provision};

use crate::config::{self, Device, Member, Place};

/// The administrators of a YubiHSM 2. Of a token behind a PKCS#11 module the PIN suffices.
#[derive(Debug, Clone, Args)]
pub(super) struct Administrators {
    /// The number of the administrators' authentication key in a YubiHSM 2; its password is asked for.
    #[arg(long, value_name = "NUMBER")]
    admin_auth_key: Option<u16>,
    /// The YubiHSM 2 comes from the factory: give it the appliance's and the administrators' authentication keys, and remove the factory's.
    #[arg(long, requires = "admin_auth_key")]
    provision: bool,
}

impl Administrators {
    /// Opens the HSM of this place, and no other.
    pub(super) fn open(
        &self,
        settings: &config::Hsm,
        place: Place,
        terminal: &mut Terminal,
    ) -> anyhow::Result<Arc<dyn Hsm>> {
        let members = settings.members().map_err(anyhow::Error::msg)?;
        let member = members
            .iter()
            .find(|member| member.place == place)
            .with_context(|| format!("the configuration names no {} HSM", place.name()))?;
        match &member.device {
            Device::Pkcs11 { .. } => Ok(member.open(pin(member, terminal)?)?),
            Device::YubiHsm { .. } => self.open_yubihsm(member, terminal),
        }
    }

    fn open_yubihsm(
        &self,
        member: &Member,
        terminal: &mut Terminal,
    ) -> anyhow::Result<Arc<dyn Hsm>> {
        let Device::YubiHsm {
            connection,
            auth_key,
            device_domain,
        } = &member.device
        else {
            bail!("{} is no YubiHSM 2", member.name());
        };
        let Some(id) = self.admin_auth_key else {
            bail!(
                "only a YubiHSM 2's administrators put keys into it: say the number of their authentication key with --admin-auth-key"
            );
        };
        let question = format!("Password of the administrators' authentication key {id}: ");
        let typed = terminal.ask_hidden(&question)?;
        if self.provision && *terminal.ask_hidden("The same again: ")? != *typed {
            bail!("the two passwords differ; nothing was changed");
        }
        let password = Pin::new(typed.to_string())?;
        let administrators = AuthKey { id, password };
        if self.provision {
            let appliance = AuthKey {
                id: *auth_key,
                password: appliance_password(member, terminal)?,
            };
            let factory = AuthKey::factory_default()?;
            provision(
                connection,
                &factory,
                *device_domain,
                &appliance,
                &administrators,
            )?;
            terminal.say("The factory's authentication key is removed.\n")?;
        }
        Ok(Arc::new(YubiHsm::open(YubiHsmConfig {
            connection: connection.clone(),
            auth_key: administrators,
            device_domain: *device_domain,
            allow_factory_default: false,
        })?))
    }
}

/// The PIN, from where the configuration says, or from whoever is there.
fn pin(member: &Member, terminal: &mut Terminal) -> anyhow::Result<Pin> {
    match member.pin.read()? {
        Some(pin) => Ok(pin),
        None => ask_password(&format!("PIN of {}: ", member.name()), terminal),
    }
}

/// The password that the appliance is to have: the one in its file, or a random one that is written there.
fn appliance_password(member: &Member, terminal: &mut Terminal) -> anyhow::Result<Pin> {
    match &member.pin {
        PinSource::File(file) if !file.exists() => {
            let password = Pin::random()?;
            password.write_new_file(file)?;
            Ok(password)
        }
        _ => pin(member, terminal),
    }
}

fn ask_password(question: &str, terminal: &mut Terminal) -> anyhow::Result<Pin> {
    let typed = terminal.ask_hidden(question)?;
    Ok(Pin::new(typed.to_string())?)
}
