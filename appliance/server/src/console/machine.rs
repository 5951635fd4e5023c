//! The machine as its administrators see it.
//!
//! | module | what lives there |
//! |---|---|
//! | `certificates` | the certificates that it shows to clients |
//! | `settings` | the configuration as it was loaded |

mod certificates;
mod settings;

use std::fs;
use std::io::BufReader;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use strongroom_console::Appliance;
use strongroom_console::host::{
    BackupView, BackupsView, CertificateView, HsmState as Shown, HsmView, LogLevelView,
    MechanismView, Minute, OutsideView, ScrubView, WatchView,
};
use strongroom_hsm::pkcs11::survey;
use strongroom_hsm::supervised::State as HsmState;
use strongroom_keystore::backup::read_manifest;
use strongroom_keystore::{Clock as _, Keystore, Presented, SystemClock};
use strongroom_wire::account::Done;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::health::Health;
use strongroom_wire::problem::Problem;
use strongroom_wire::update::{ApplianceRelease, OrderedInstall};

use self::certificates::certificates;
use self::settings::settings;
use super::minutes;
use crate::backups::{self, Sent};
use crate::config::{Backup, Config, Device, Level};
use crate::gate::Gate;
use crate::logging;
use crate::problems::{Failure, sentence};
use crate::routes::health::NewestStorage;
use crate::routes::updates::{Image, of_image};
use crate::updates::Updates;
use crate::watch::OutsideReport;

/// The most backups that are shown.
const MOST_BACKUPS: usize = 100;

pub(super) struct Machine {
    config: Config,
    gate: Arc<Gate>,
    storage: Arc<NewestStorage>,
    image: Image,
}

impl Machine {
    pub(super) const fn new(
        config: Config,
        gate: Arc<Gate>,
        storage: Arc<NewestStorage>,
        image: Image,
    ) -> Self {
        Self {
            config,
            gate,
            storage,
            image,
        }
    }

    fn updates(&self) -> Result<&Updates, Failure> {
        of_image(&self.image)
    }
}

impl Appliance for Machine {
    fn health(&self) -> Health {
        self.gate.health(&self.storage)
    }

    fn hsms(&self) -> Vec<HsmView> {
        let hsms = self.gate.hsms().into_iter();
        hsms.map(|(member, status)| HsmView {
            place: member.place.name(),
            device: device(&member.device),
            mechanisms: match (&member.device, &status) {
                (Device::Pkcs11 { module, token, .. }, Some(status))
                    if status.state == HsmState::Usable =>
                {
                    mechanisms(module, token)
                }
                _ => Vec::new(),
            },
            state: status.map(|status| Shown {
                usable: status.state == HsmState::Usable,
                serving: status.serving,
                reason: match status.state {
                    HsmState::Usable => None,
                    HsmState::Probing => Some("It is being opened".to_owned()),
                    HsmState::Unusable { reason } => Some(reason.to_string()),
                },
                since: moment(status.since),
                at_work: status.at_work as u64,
                abandoned: status.abandoned as u64,
                timed_out: status.timed_out,
            }),
        })
        .collect()
    }

    fn seal(&self, keystore: &Keystore, caller: &Presented) -> Result<(), Problem> {
        let by = keystore.may_seal(caller).map_err(Failure::from)?;
        let gate = Arc::clone(&self.gate);
        // Sealing waits for the requests that are being answered, and this is one of them.
        let started = thread::Builder::new()
            .name("seal".to_owned())
            .spawn(move || {
                let sealed = gate.seal(&by);
                tracing::warn!(
                    by,
                    leaf = sealed.leaf,
                    "the appliance was sealed from the console"
                );
            });
        started.map(drop).map_err(|_| Failure::internal().into())
    }

    fn minutes(&self) -> Vec<Minute> {
        minutes::minutes()
    }

    fn watched(&self) -> Option<WatchView> {
        let report = self.gate.watched()?;
        let outside = |reports: Vec<OutsideReport>| {
            let reports = reports.into_iter();
            let reports = reports.map(|report| OutsideView {
                name: report.name,
                address: report.address,
                failing: report
                    .failing
                    .map(|failing| (failing.since, failing.reason)),
                last: report.last,
                behind: report.behind,
            });
            reports.collect()
        };
        Some(WatchView {
            witnesses: outside(report.witnesses),
            receivers: outside(report.siem),
            scrub: ScrubView {
                every_hours: self.config.audit.scrub_every_hours,
                last: report.scrub.last,
                rows: report.scrub.rows,
                findings: report.scrub.findings,
                first: report.scrub.first,
                failed: report.scrub.failed,
            },
        })
    }

    fn log_level(&self) -> LogLevelView {
        let (now, until) = logging::level().unwrap_or((self.config.log.level, None));
        LogLevelView {
            configured: self.config.log.level.as_str(),
            now: now.as_str(),
            until,
        }
    }

    fn set_log_level(&self, level: &str, seconds: u64) -> Result<(), String> {
        let level = Level::from_name(level).ok_or("There is no such log level.")?;
        logging::set(level, Duration::from_secs(seconds))
            .map_err(|error| sentence(format_args!("{error:#}")))
    }

    fn configuration(&self) -> Vec<(String, Vec<(String, String)>)> {
        settings(&self.config)
    }

    fn certificates(&self) -> Vec<CertificateView> {
        let tls = &self.config.tls;
        [&tls.certificate, &tls.client_ca]
            .into_iter()
            .filter(|path| !path.as_os_str().is_empty())
            .flat_map(|path| certificates(path))
            .collect()
    }

    fn backups(&self) -> BackupsView {
        let settings = &self.config.backup;
        if settings.folder.as_os_str().is_empty() {
            return BackupsView::default();
        }
        let mut view = BackupsView {
            folder: Some(settings.folder.display().to_string()),
            every_hours: settings.every_hours.get(),
            keep: settings.keep.get(),
            target: settings.target.as_ref().map(|target| target.url.clone()),
            target_failing: self.gate.watched().and_then(|report| {
                let mut targets = report.backup_targets.into_iter();
                let failing = targets.find_map(|target| target.failing)?;
                Some((failing.since, failing.reason))
            }),
            ..BackupsView::default()
        };
        match backups::made(&settings.folder, &self.config.domain) {
            Ok(names) => {
                let newest = names.iter().rev().take(MOST_BACKUPS);
                view.made = newest.filter_map(|name| backup(settings, name)).collect();
            }
            Err(error) => view.failed = Some(format!("{error:#}")),
        }
        view
    }

    fn make_backup(&self) -> Result<String, String> {
        let settings = &self.config.backup;
        if settings.folder.as_os_str().is_empty() {
            return Err(
                "The configuration names no folder for backups: set backup.folder and restart."
                    .to_owned(),
            );
        }
        let Some(hsm) = self.gate.serving_hsm() else {
            return Err("The appliance does not serve at this moment.".to_owned());
        };
        let now = SystemClock.now();
        let to = settings
            .folder
            .join(backups::name(&self.config.domain, now));
        let made = backups::make(&self.config, hsm, now, &to, &mut |_, _, _| {
            ControlFlow::Continue(())
        });
        let made = made.map_err(|error| sentence(format_args!("{error:#}")))?;
        tracing::info!(path = %made.path.display(), leaves = made.manifest.leaves, "a backup was made from the console");
        let name = made.path.file_name().unwrap_or_default();
        let name = name.to_string_lossy().into_owned();
        backup(settings, &name)
            .and_then(|backup| backup.leaves)
            .map(|_| name)
            .ok_or_else(|| {
                "The backup was made and cannot be read back: look at the disk.".to_owned()
            })
    }

    fn release(&self) -> Result<Option<ApplianceRelease>, Problem> {
        let told = self.image.as_deref().map(Updates::told);
        Ok(told.transpose()?)
    }

    fn install_update(
        &self,
        keystore: &Keystore,
        caller: &Presented,
    ) -> Result<OrderedInstall, Problem> {
        Ok(self.updates()?.install_for(keystore, caller)?)
    }

    fn drop_update(&self, keystore: &Keystore, caller: &Presented) -> Result<Done, Problem> {
        Ok(self.updates()?.drop_for(keystore, caller)?)
    }

    fn restart(&self, keystore: &Keystore, caller: &Presented) -> Result<Done, Problem> {
        Ok(self.updates()?.restart_for(keystore, caller)?)
    }
}

/// What a token offers. Where it does not say now, it is shown without.
fn mechanisms(module: &Path, token: &str) -> Vec<MechanismView> {
    let Ok(survey) = survey(module, token) else {
        return Vec::new();
    };
    let offered = survey.mechanisms.iter();
    offered
        .map(|row| MechanismView {
            name: row.mechanism,
            purpose: row.purpose,
            offered: row.offered,
            used: row.used,
        })
        .collect()
}

fn moment(time: std::time::SystemTime) -> Timestamp {
    let since = time.duration_since(std::time::UNIX_EPOCH);
    let millis = since.map_or(0, |since| since.as_millis());
    Timestamp::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

fn device(device: &Device) -> Vec<(&'static str, String)> {
    match device {
        Device::Pkcs11 {
            module,
            token,
            sessions,
        } => vec![
            ("Kind", "PKCS #11".to_owned()),
            ("Module", module.display().to_string()),
            ("Token", token.clone()),
            ("Sessions at most", sessions.to_string()),
        ],
        Device::YubiHsm {
            connection,
            auth_key,
            device_domain,
        } => vec![
            ("Kind", "YubiHSM 2".to_owned()),
            ("Reached at", connection.to_string()),
            ("Authentication key", auth_key.to_string()),
            ("Device domain", device_domain.to_string()),
        ],
    }
}

fn backup(settings: &Backup, name: &str) -> Option<BackupView> {
    let path = settings.folder.join(name);
    let target = settings.target.as_ref();
    let sent = target.and_then(|target| Sent::of(&path, &target.url));
    let length = fs::metadata(&path).ok()?.len();
    let file = fs::File::open(&path).ok()?;
    let manifest = read_manifest(&mut BufReader::new(file)).ok();
    Some(BackupView {
        name: name.to_owned(),
        length,
        created: manifest.as_ref().map(|manifest| manifest.created)?,
        leaves: manifest.map(|manifest| manifest.leaves),
        sent: sent.map(|sent| sent.at),
    })
}
