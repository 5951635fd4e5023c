//! `strongroomd unseal`: gives the appliance that serves what it needs to open.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use strongroom_hsm::pkcs11::PinSource;
use strongroom_wire::health::State;

use super::pin_prompt::Prompt;
use crate::config::Config;
use crate::control::{GivenPin, PinText, Report, Request, ask};

/// What `unseal` takes.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Ask for the PINs even where the configuration says that they come from elsewhere.
    #[arg(long)]
    ask: bool,
    /// Print how the appliance is then as JSON.
    #[arg(long)]
    json: bool,
}

/// Unseals, and says how the appliance is then.
pub(crate) fn run(config: &Path, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let config = Config::load(config)?;
    // Before anybody is asked for a PIN.
    ask(&config.data, &Request::Status)?;
    let mut prompt = Prompt::default();
    let mut pins = Vec::new();
    for member in config.hsm.members().map_err(anyhow::Error::msg)? {
        if arguments.ask || member.pin == PinSource::Prompt {
            pins.push(GivenPin {
                hsm: member.place,
                pin: PinText::new(&prompt.ask(&member)?),
            });
        }
    }
    let report = ask(&config.data, &Request::Unseal { pins })?;
    if arguments.json {
        super::print_json(&report)?;
    } else {
        super::print(&as_text(&report))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn as_text(report: &Report) -> String {
    match report.state {
        State::Serving => "The appliance serves.\n".to_owned(),
        State::Opening | State::Sealed => format!(
            "The appliance has a PIN and waits for its HSM ({}). It opens by itself when the HSM is there.\n",
            report.reason.as_deref().unwrap_or("it is being opened")
        ),
    }
}
