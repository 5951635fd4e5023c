//! The machine as its administrators see it.

use std::fs;
use std::io::BufReader;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use sha2::{Digest as _, Sha256};
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
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::minutes;
use crate::backups;
use crate::config::{Config, Device, Level};
use crate::gate::Gate;
use crate::logging;
use crate::problems::Failure;
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
            .map_err(|error| sentence(&format!("{error:#}")))
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
            ..BackupsView::default()
        };
        match backups::made(&settings.folder, &self.config.domain) {
            Ok(names) => {
                let newest = names.iter().rev().take(MOST_BACKUPS);
                view.made = newest
                    .filter_map(|name| backup(&settings.folder, name))
                    .collect();
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
        let made = made.map_err(|error| sentence(&format!("{error:#}")))?;
        tracing::info!(path = %made.path.display(), leaves = made.manifest.leaves, "a backup was made from the console");
        let name = made.path.file_name().unwrap_or_default();
        let name = name.to_string_lossy().into_owned();
        backup(&settings.folder, &name)
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

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    let sentence: String = first.into_iter().chain(letters).collect();
    format!("{sentence}.")
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

fn backup(folder: &Path, name: &str) -> Option<BackupView> {
    let path = folder.join(name);
    let length = fs::metadata(&path).ok()?.len();
    let file = fs::File::open(&path).ok()?;
    let manifest = read_manifest(&mut BufReader::new(file)).ok();
    Some(BackupView {
        name: name.to_owned(),
        length,
        created: manifest.as_ref().map(|manifest| manifest.created)?,
        leaves: manifest.map(|manifest| manifest.leaves),
    })
}

fn certificates(path: &Path) -> Vec<CertificateView> {
    let Ok(certificates) = CertificateDer::pem_file_iter(path) else {
        return Vec::new();
    };
    certificates
        .flatten()
        .filter_map(|der| {
            let (_, parsed) = X509Certificate::from_der(&der).ok()?;
            let names = parsed.subject_alternative_name().ok().flatten();
            let names = names.map(|names| {
                let names = names.value.general_names.iter();
                names.filter_map(name).collect::<Vec<_>>()
            });
            let time = |seconds: i64| {
                Timestamp::from_millis(u64::try_from(seconds).unwrap_or_default() * 1000)
            };
            Some(CertificateView {
                subject: parsed.subject().to_string(),
                names: names.unwrap_or_default(),
                issuer: parsed.issuer().to_string(),
                not_before: time(parsed.validity().not_before.timestamp()),
                not_after: time(parsed.validity().not_after.timestamp()),
                fingerprint: hex::encode(Sha256::digest(&der)),
                file: path.display().to_string(),
            })
        })
        .collect()
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress([a, b, c, d]) => Some(format!("{a}.{b}.{c}.{d}")),
        GeneralName::IPAddress(bytes) => {
            let bytes: [u8; 16] = (*bytes).try_into().ok()?;
            Some(std::net::Ipv6Addr::from(bytes).to_string())
        }
        _ => None,
    }
}

/// The settings, table by table, without anything secret: files with secrets are named, what is in them is not.
#[expect(
    clippy::too_many_lines,
    reason = "a list of settings, one after the other"
)]
fn settings(config: &Config) -> Vec<(String, Vec<(String, String)>)> {
    let path = |path: &Path| path.display().to_string();
    let table = |name: &str, settings: Vec<(&str, String)>| {
        let settings = settings.into_iter();
        let settings = settings.map(|(name, value)| (name.to_owned(), value));
        (name.to_owned(), settings.collect::<Vec<_>>())
    };
    let mut tables = vec![
        table(
            "general",
            vec![
                ("data", path(&config.data)),
                ("name", config.name.clone()),
                ("domain", config.domain.clone()),
            ],
        ),
        table(
            "listen",
            vec![
                ("client", config.listen.client.to_string()),
                ("admin", config.listen.admin.to_string()),
            ],
        ),
        table(
            "tls",
            vec![
                ("certificate", path(&config.tls.certificate)),
                ("key", path(&config.tls.key)),
                ("client_ca", path(&config.tls.client_ca)),
                ("client_crl", path(&config.tls.client_crl)),
            ],
        ),
    ];
    for member in config.hsm.members().unwrap_or_default() {
        let mut rows = device(&member.device);
        rows.push(("PIN comes from", member.pin.to_string()));
        rows.push((
            "Deadline in seconds",
            config.hsm.deadline().as_secs().to_string(),
        ));
        tables.push(table(&format!("hsm, the {}", member.place.name()), rows));
    }
    let keystore = &config.keystore;
    let limits = &config.limits;
    let party = config.keystore_options().passkeys;
    tables.extend([
        table(
            "keystore",
            vec![
                ("kek_cache_ttl", keystore.kek_cache_ttl.to_string()),
                ("kek_cache_size", keystore.kek_cache_size.to_string()),
                ("session_lifetime", keystore.session_lifetime.to_string()),
                (
                    "session_idle_lifetime",
                    keystore.session_idle_lifetime.to_string(),
                ),
                (
                    "enrolment_lifetime",
                    keystore.enrolment_lifetime.to_string(),
                ),
                ("clock_skew", keystore.clock_skew.to_string()),
                ("rotation_rate", keystore.rotation_rate.to_string()),
            ],
        ),
        table(
            "limits",
            vec![
                ("body", limits.body.to_string()),
                ("keys_body", limits.keys_body.to_string()),
                ("account_failures", limits.account_failures.to_string()),
                (
                    "account_failure_seconds",
                    limits.account_failure_seconds.to_string(),
                ),
                ("address_failures", limits.address_failures.to_string()),
                (
                    "address_failure_seconds",
                    limits.address_failure_seconds.to_string(),
                ),
            ],
        ),
        table(
            "passkeys",
            vec![("rp_id", party.id), ("origins", party.origins.join(" "))],
        ),
        table(
            "mail",
            vec![
                ("relay", config.mail.relay.clone()),
                ("port", config.mail.port.to_string()),
                ("tls", format!("{:?}", config.mail.tls).to_lowercase()),
                ("from", config.mail.from.clone()),
                ("user", config.mail.user.clone()),
                ("password_file", path(&config.mail.password_file)),
            ],
        ),
        table(
            "audit",
            vec![("checkpoint_file", path(&config.kept_checkpoint()))],
        ),
        table(
            "backup",
            vec![
                ("folder", path(&config.backup.folder)),
                ("every_hours", config.backup.every_hours.to_string()),
                ("keep", config.backup.keep.to_string()),
            ],
        ),
        table("domains", vec![("open", config.domains.open.to_string())]),
        table(
            "log",
            vec![
                ("level", format!("{:?}", config.log.level).to_lowercase()),
                ("format", format!("{:?}", config.log.format).to_lowercase()),
            ],
        ),
    ]);
    for provider in &config.oidc {
        tables.push(table(
            "oidc",
            vec![
                ("name", provider.name.clone()),
                ("domain", provider.domain.clone()),
                ("issuer", provider.issuer.clone()),
                ("client_id", provider.client_id.clone()),
                ("redirect_uris", provider.redirect_uris.join(" ")),
            ],
        ));
    }
    tables
}
