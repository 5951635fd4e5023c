//! `strongroomd hsm check`: what an HSM offers, what the appliance would use of it, and how fast it is. Nothing is left in the HSM.

mod text;

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use strongroom_hsm::pkcs11::{MechanismUse, Pin, PinSource, Pkcs11Hsm, survey};
use strongroom_hsm::yubihsm::{YubiHsm, YubiHsmConfig};
use strongroom_hsm::{Aes256Key, Hsm, HsmError, MasterKekId, TokenInfo, WrapScheme};
use strongroom_keystore::checkpoint_key_label;

use super::hsm_arguments::HsmArguments;
use super::pin_prompt::Prompt;
use crate::config::{self, Config, Device, Member, Place};
use crate::control::PinText;
use crate::estate::Openable;

/// What is signed to measure signing begins with this, which neither a checkpoint nor anything else that is signed does.
const MEASURED: &[u8] = b"strongroom/v1/measured\0";
/// The length of what is signed: that of a checkpoint.
const MESSAGE: usize = 200;

/// What `hsm check` takes. Where no HSM is named, those of the configuration are checked.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    hsm: HsmArguments,
    /// How long each figure is measured.
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, value_parser = seconds)]
    seconds: f64,
    /// Print it as JSON.
    #[arg(long)]
    json: bool,
}

/// What was found.
#[derive(Debug, Serialize)]
struct Report {
    hsms: Vec<Checked>,
}

/// What was found of one HSM.
#[derive(Debug, Serialize)]
struct Checked {
    hsm: Place,
    name: String,
    /// The PKCS#11 module.
    #[serde(skip_serializing_if = "Option::is_none")]
    module: Option<String>,
    token: Option<Token>,
    /// Empty for a YubiHSM 2, which has no PKCS#11 mechanisms.
    mechanisms: Vec<Mechanism>,
    /// By what account KEKs would be wrapped.
    scheme: Option<String>,
    /// What keys of the protection level `hsm` it would keep; empty where it keeps none.
    named_keys: Vec<String>,
    /// Whether the device still has the factory's authentication key.
    #[serde(skip_serializing_if = "Option::is_none")]
    factory_key: Option<bool>,
    /// How often a second, on one thread.
    wraps: Option<f64>,
    unwraps: Option<f64>,
    signatures: Option<f64>,
    /// Why a figure is missing.
    notes: Vec<String>,
    /// Why the appliance cannot use it.
    problem: Option<String>,
}

#[derive(Debug, Serialize)]
struct Token {
    label: String,
    manufacturer: String,
    model: String,
    serial: String,
    firmware: String,
}

#[derive(Debug, Serialize)]
struct Mechanism {
    name: &'static str,
    purpose: &'static str,
    offered: bool,
    used: bool,
}

/// Checks, and says what was found.
pub(crate) fn run(config: &Path, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let (settings, domain) = if arguments.hsm.is_given() {
        (arguments.hsm.settings()?, config::default_domain())
    } else {
        let config = Config::load(config)?;
        (config.hsm, config.domain)
    };
    let mut check = Check {
        domain,
        each: Duration::from_secs_f64(arguments.seconds),
        prompt: Prompt::default(),
    };
    let members = settings.members().map_err(anyhow::Error::msg)?;
    let report = Report {
        hsms: members.iter().map(|member| check.member(member)).collect(),
    };
    if arguments.json {
        super::print_json(&report)?;
    } else {
        super::print(&text::of(&report))?;
    }
    let usable = report.hsms.iter().all(|hsm| hsm.problem.is_none());
    Ok(if usable {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

struct Check {
    domain: String,
    each: Duration,
    prompt: Prompt,
}

impl Check {
    fn member(&mut self, member: &Member) -> Checked {
        let mut checked = Checked {
            hsm: member.place,
            name: member.name(),
            module: None,
            token: None,
            mechanisms: Vec::new(),
            scheme: None,
            named_keys: Vec::new(),
            factory_key: None,
            wraps: None,
            unwraps: None,
            signatures: None,
            notes: Vec::new(),
            problem: None,
        };
        if let Err(error) = self.look(member, &mut checked) {
            checked.problem = Some(format!("{error:#}"));
        }
        checked
    }

    fn look(&mut self, member: &Member, checked: &mut Checked) -> anyhow::Result<()> {
        if let Device::Pkcs11 { module, token, .. } = &member.device {
            checked.module = Some(module.display().to_string());
            // Without the PIN, so that there is something to see where that is what is wrong.
            let survey = survey(module, token)?;
            checked.token = Some(survey.token.into());
            checked.mechanisms = survey.mechanisms.iter().map(Mechanism::from).collect();
        }
        let pin = self.pin(member)?;
        match member.with_pin(pin) {
            Openable::Pkcs11(config) => {
                let hsm = Pkcs11Hsm::open(config)?;
                checked.named_keys = named_keys(&hsm)?;
                let report = hsm.report(self.each)?;
                checked.scheme = Some(report.scheme.to_string());
                checked.wraps = Some(report.measured.wraps);
                checked.unwraps = Some(report.measured.unwraps);
                checked.signatures = Some(report.measured.signs);
            }
            Openable::YubiHsm(config) => self.yubihsm(config, checked)?,
        }
        Ok(())
    }

    fn pin(&mut self, member: &Member) -> anyhow::Result<Pin> {
        match &member.pin {
            PinSource::Prompt => Ok(PinText::new(&self.prompt.ask(member)?).read()?),
            source => source
                .read()?
                .ok_or_else(|| anyhow::anyhow!("no PIN comes from {source}")),
        }
    }

    fn yubihsm(&self, config: YubiHsmConfig, checked: &mut Checked) -> anyhow::Result<()> {
        let lenient = YubiHsmConfig {
            allow_factory_default: true,
            ..config.clone()
        };
        let hsm = YubiHsm::open(lenient)?;
        checked.token = Some(hsm.token_info()?.into());
        checked.scheme = Some(WrapScheme::YubiHsmCcm.to_string());
        checked.named_keys = named_keys(&hsm)?;
        let strict = YubiHsm::open(config);
        checked.factory_key = Some(matches!(strict, Err(HsmError::FactoryDefault { .. })));
        self.measure(&hsm, checked)?;
        strict?;
        Ok(())
    }

    /// Measures an HSM with the keys that it has. One of its own would stay in the device.
    fn measure(&self, hsm: &dyn Hsm, checked: &mut Checked) -> Result<(), HsmError> {
        let domain = &self.domain;
        match hsm.master_kek_versions(domain)?.last() {
            Some(&version) => {
                let kek = MasterKekId {
                    domain: domain.clone(),
                    version,
                };
                let key = Aes256Key::from_bytes([0x5a; 32]);
                let wrapped = hsm.wrap(&kek, &key)?;
                checked.wraps = Some(self.rate(|| hsm.wrap(&kek, &key).map(drop))?);
                checked.unwraps = Some(self.rate(|| hsm.unwrap(domain, &wrapped).map(drop))?);
            }
            None => checked.notes.push(format!(
                "wrapping is not measured, as the device holds no master KEK of the domain {domain} yet"
            )),
        }
        let label = checkpoint_key_label(domain);
        match hsm.signing_public_key(&label) {
            Ok(_) => {
                let mut message = MEASURED.to_vec();
                message.resize(MESSAGE, 0x2a);
                checked.signatures = Some(self.rate(|| hsm.sign(&label, &message).map(drop))?);
            }
            Err(HsmError::KeyNotFound { .. }) => checked.notes.push(format!(
                "signing is not measured, as the device holds no checkpoint key of the domain {domain} yet"
            )),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn rate(&self, mut call: impl FnMut() -> Result<(), HsmError>) -> Result<f64, HsmError> {
        let started = Instant::now();
        let mut calls = 0_u32;
        loop {
            call()?;
            calls += 1;
            let elapsed = started.elapsed();
            if elapsed >= self.each {
                return Ok(f64::from(calls) / elapsed.as_secs_f64());
            }
        }
    }
}

/// The types of keys of the protection level `hsm` that an HSM keeps.
fn named_keys(hsm: &dyn Hsm) -> Result<Vec<String>, HsmError> {
    match hsm.named() {
        Err(HsmError::NotOffered { .. }) => Ok(Vec::new()),
        named => {
            let offer = named?.named_offer()?;
            Ok(offer.key_types.iter().map(ToString::to_string).collect())
        }
    }
}

impl From<TokenInfo> for Token {
    fn from(token: TokenInfo) -> Self {
        let TokenInfo {
            label,
            manufacturer,
            model,
            serial,
            firmware,
        } = token;
        Self {
            label,
            manufacturer,
            model,
            serial,
            firmware,
        }
    }
}

impl From<&MechanismUse> for Mechanism {
    fn from(row: &MechanismUse) -> Self {
        Self {
            name: row.mechanism,
            purpose: row.purpose,
            offered: row.offered,
            used: row.used,
        }
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.01..=60.0).contains(&seconds) => Ok(seconds),
        _ => Err("it must be 0.01 to 60".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_measured_for_a_sensible_time() {
        assert_eq!(seconds("0.5"), Ok(0.5));
        for bad in ["0", "-1", "61", "NaN", "x"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
