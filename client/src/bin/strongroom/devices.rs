//! `devices`.

mod factory;
mod import;

pub(crate) use self::factory::print_secret;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use strongroom_client::sign_in::account_name;
use strongroom_client::{ClientError, Session};
use strongroom_wire::device::{
    ChangedFleet, DecidePairing, Device, DevicePage, DeviceQuery, DeviceState, Pairing,
    UpdateDevice,
};
use strongroom_wire::problem::Code;

use crate::failure::{Failure, elsewhere};
use crate::output::{facts, plain, spelling, table};
use crate::{Context, prompt};

const HINT: &str = "fleets are managed, and devices imported, at the appliance's administration address, and devices paired at its client \
                    address; this home is signed in elsewhere: sign in there with strongroom login ACCOUNT --server URL, in another --home";
/// The most devices of one page.
const PAGE: u32 = 1000;

/// `strongroom devices`.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Make a factory's key pair: the private key in FILE, the public one, to which devices' secrets are wrapped, in FILE.pub.
    FactoryKey(factory::NewKey),
    /// Make the devices of a manifest, and keep their secrets, wrapped to the factory's key, in a file.
    Import(import::Import),
    /// Open the secrets of an import with the factory's private key, and print them.
    Open(factory::Open),
    /// List devices: as an administrator all of them, else those that one has paired.
    List {
        /// Only those of this fleet.
        #[arg(long)]
        fleet: Option<String>,
    },
    /// Show a device.
    Show {
        /// The device's name, serial number or identifier.
        device: String,
    },
    /// Refuse the requests of a device or of a whole fleet, until they are resumed.
    Suspend(Which),
    /// Admit the requests of a suspended device or fleet again.
    Resume(Which),
    /// Delete the secrets of a device or of a whole fleet, which never come back.
    Revoke(Revoke),
    /// Move a device to another fleet.
    Move {
        /// The device's name, serial number or identifier.
        device: String,
        /// The fleet; empty: none.
        #[arg(long)]
        fleet: String,
    },
    /// Make a new secret for a device that one has paired, or that has never made a request, and print it.
    RotateSecret {
        /// The device's name, serial number or identifier.
        device: String,
    },
    /// Approve a device that shows a code, or deny it.
    Pair(Pair),
}

/// A device or a fleet.
#[derive(Args, Debug)]
pub(crate) struct Which {
    /// The device's name, serial number or identifier.
    #[arg(required_unless_present = "fleet")]
    device: Option<String>,
    /// All devices of this fleet.
    #[arg(long, conflicts_with = "device")]
    fleet: Option<String>,
}

/// `strongroom devices revoke`.
#[derive(Args, Debug)]
pub(crate) struct Revoke {
    #[command(flatten)]
    which: Which,
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
}

/// `strongroom devices pair`.
#[derive(Args, Debug)]
pub(crate) struct Pair {
    /// The code that the device shows.
    code: String,
    /// The name of the device's account [default: what the device calls itself].
    #[arg(long)]
    name: Option<String>,
    /// Deny it.
    #[arg(long, conflicts_with = "name")]
    deny: bool,
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
}

impl Command {
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        let output = context.output;
        // The factory has no account.
        let command = match self {
            Self::FactoryKey(new) => return new.run(context),
            Self::Open(open) => return open.run(context),
            other => other,
        };
        let session = context.session()?;
        match command {
            Self::FactoryKey(_) | Self::Open(_) => Ok(()),
            Self::Import(import) => import.run(context, &session),
            Self::List { fleet } => {
                let devices = all(&session, fleet.as_deref())?;
                let page = DevicePage {
                    devices,
                    next: None,
                };
                output.answer(&page, || describe_all(&page.devices))
            }
            Self::Show { device } => {
                let device = find(&session, &device)?;
                output.answer(&device, || describe(&device))
            }
            Self::Suspend(which) => change(context, &session, &which, DeviceState::Suspended),
            Self::Resume(which) => change(context, &session, &which, DeviceState::Active),
            Self::Revoke(Revoke { which, yes }) => {
                if !yes {
                    confirm("Their secrets are deleted for good. Revoke them?")?;
                }
                change(context, &session, &which, DeviceState::Revoked)
            }
            Self::Move { device, fleet } => {
                let device = find(&session, &device)?;
                let update = UpdateDevice {
                    state: None,
                    fleet: Some(fleet),
                };
                let changed = session
                    .update_device(device.account.id, &update)
                    .map_err(here)?;
                output.answer(&changed, || describe(&changed.device))
            }
            Self::RotateSecret { device } => {
                let device = find(&session, &device)?;
                let given = session.new_secret_of(device.account.id).map_err(here)?;
                print_secret(context, &device.account, given)
            }
            Self::Pair(pair) => pair.run(context, &session),
        }
    }
}

/// The file beside another whose name goes on like this.
fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

impl Pair {
    fn run(self, context: &Context, session: &Session) -> Result<(), Failure> {
        let pairing = session.pairing(&self.code).map_err(here)?;
        if !self.deny && !self.yes {
            confirm(&format!(
                "{} asks from {} to be your device. Is it the one before you?",
                plain(&pairing.client),
                plain(&pairing.source)
            ))?;
        }
        let decision = DecidePairing {
            approve: !self.deny,
            name: self.name.as_deref().map(account_name),
        };
        let decided = session
            .decide_pairing(&self.code, &decision)
            .map_err(here)?;
        context.output.answer(&decided, || match &decided.device {
            Some(device) => describe(device),
            None => describe_denied(&pairing),
        })
    }
}

fn change(
    context: &Context,
    session: &Session,
    which: &Which,
    state: DeviceState,
) -> Result<(), Failure> {
    if let Some(fleet) = &which.fleet {
        let changed = session.update_fleet(fleet, state).map_err(here)?;
        return context
            .output
            .answer(&changed, || describe_fleet(fleet, state, &changed));
    }
    let device = find(session, which.device.as_deref().unwrap_or_default())?;
    let update = UpdateDevice {
        state: Some(state),
        fleet: None,
    };
    let changed = session
        .update_device(device.account.id, &update)
        .map_err(here)?;
    context
        .output
        .answer(&changed, || describe(&changed.device))
}

/// The device with this identifier, serial number or name.
fn find(session: &Session, device: &str) -> Result<Device, Failure> {
    if let Ok(id) = device.parse() {
        match session.device(id) {
            // A serial number may look like an identifier.
            Err(error) if error.code() == Some(Code::DeviceNotFound) => {}
            found => return found.map_err(here),
        }
    }
    let query = DeviceQuery {
        serial: Some(device.to_owned()),
        ..DeviceQuery::default()
    };
    if let Some(found) = session.devices(&query).map_err(here)?.devices.pop() {
        return Ok(found);
    }
    let name = account_name(device);
    all(session, None)?
        .into_iter()
        .find(|device| device.account.name == name)
        .ok_or_else(|| Failure::Failed(format!("there is no device named {device}")))
}

fn all(session: &Session, fleet: Option<&str>) -> Result<Vec<Device>, Failure> {
    let mut query = DeviceQuery {
        fleet: fleet.map(str::to_owned),
        limit: Some(PAGE),
        ..DeviceQuery::default()
    };
    let mut devices = Vec::new();
    loop {
        let page = session.devices(&query).map_err(here)?;
        devices.extend(page.devices);
        if page.next.is_none() || page.next == query.after {
            return Ok(devices);
        }
        query.after = page.next;
    }
}

fn confirm(question: &str) -> Result<(), Failure> {
    if !prompt::is_possible() {
        return Err(Failure::Usage(
            "nobody is there to be asked: say --yes".to_owned(),
        ));
    }
    match prompt::ask(&format!("{question} [y/N] "))?.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(Failure::Failed("nothing was done".to_owned())),
    }
}

fn state_of(device: &Device) -> String {
    match device.revoked {
        Some(_) => "revoked".to_owned(),
        None => spelling(&device.account.state),
    }
}

fn describe(device: &Device) -> String {
    let moment = |moment: Option<strongroom_wire::encoding::Timestamp>| {
        moment.map(|moment| moment.to_string()).unwrap_or_default()
    };
    facts(&[
        ("device", plain(&device.account.name)),
        ("identifier", device.account.id.to_string()),
        (
            "serial number",
            plain(device.serial.as_deref().unwrap_or_default()),
        ),
        ("fleet", plain(device.fleet.as_deref().unwrap_or_default())),
        (
            "paired by",
            plain(device.paired_by_name.as_deref().unwrap_or_default()),
        ),
        ("state", state_of(device)),
        ("first request", moment(device.first_request)),
        (
            "secret",
            device
                .generation
                .map(|generation| {
                    format!(
                        "generation {generation}, of {}",
                        moment(device.secret_created)
                    )
                })
                .unwrap_or_default(),
        ),
        ("revoked", moment(device.revoked)),
        ("created", device.account.created.to_string()),
    ])
}

fn describe_all(devices: &[Device]) -> String {
    let rows: Vec<_> = devices
        .iter()
        .map(|device| {
            [
                plain(&device.account.name),
                plain(device.serial.as_deref().unwrap_or_default()),
                plain(device.fleet.as_deref().unwrap_or_default()),
                state_of(device),
                device.account.id.to_string(),
            ]
        })
        .collect();
    table(
        ["DEVICE", "SERIAL NUMBER", "FLEET", "STATE", "IDENTIFIER"],
        &rows,
    )
}

fn describe_fleet(fleet: &str, state: DeviceState, changed: &ChangedFleet) -> String {
    let done = match state {
        DeviceState::Active => "made active again",
        DeviceState::Suspended => "suspended",
        DeviceState::Revoked => "revoked",
    };
    format!(
        "{} devices of the fleet {} were {done}.",
        changed.changed,
        plain(fleet)
    )
}

fn describe_denied(pairing: &Pairing) -> String {
    format!("{} was denied.", plain(&pairing.client))
}

fn here(error: ClientError) -> Failure {
    elsewhere(error, HINT)
}
