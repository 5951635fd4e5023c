//! Sending backups to their target: a `PUT` (RFC 9110 section 9.3.4) for each that it has not taken, the newest first.
//!
//! A backup is sent from its folder, which it stays in; that the target has taken all of it stands in a file beside it. The target is told nothing
//! but the bytes and their name, and what it has is never deleted from here: whoever takes over the appliance does not get at older backups there.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use ureq::SendBody;
use ureq::tls::TlsConfig;
use url::Url;

use super::{BackOff, OutsideReport};
use crate::backups::{Sent, made, written};
use crate::config::{BackupTarget, Config};
use crate::domains::registry;
use crate::https::{self, Patience, Shown};
use crate::tls::outgoing;

/// How often is looked whether there is a new backup.
pub(super) const EVERY: Duration = Duration::from_secs(10);
/// How long the target may take for each step, and for each piece of a backup.
const PATIENCE: Duration = Duration::from_secs(15);

const WHAT: &str = "the target of backups";

/// Sends the backups in a folder, and in the folders of further domains in it.
pub(super) struct Deposits {
    folder: PathBuf,
    domain: String,
    target: BackupTarget,
    url: Url,
    /// The appliance's name, and the folder with its own authority.
    name: String,
    authority: PathBuf,
    back_off: BackOff,
    report: OutsideReport,
}

impl Deposits {
    /// # Errors
    /// When the files that the configuration names cannot be used.
    pub(super) fn new(config: &Config, target: &BackupTarget) -> anyhow::Result<Self> {
        let url = Url::parse(&target.url).context("the URL of the target of backups")?;
        let authority = config.tls.certificate.parent().unwrap_or(Path::new("."));
        let deposits = Self {
            folder: config.backup.folder.clone(),
            domain: config.domain.clone(),
            name: config.name.clone(),
            authority: authority.to_owned(),
            target: target.clone(),
            back_off: BackOff::default(),
            report: OutsideReport {
                name: url.host_str().unwrap_or_default().to_owned(),
                address: target.url.clone(),
                ..OutsideReport::default()
            },
            url,
        };
        // That they can be used is known at the start; they are read anew each time, as certificates are renewed.
        deposits
            .tls()
            .context("the target of backups cannot be spoken to")?;
        Ok(deposits)
    }

    fn tls(&self) -> anyhow::Result<TlsConfig> {
        let target = &self.target;
        let own = target
            .own_certificate
            .then(|| outgoing::certificate(&self.authority, &self.name))
            .transpose()?;
        let own = own.as_ref().map(|own| Shown {
            certificate: &own.certificate,
            key: &own.key,
        });
        let brought = (!target.key.as_os_str().is_empty()).then_some(Shown {
            certificate: &target.certificate,
            key: &target.key,
        });
        Ok(https::trusting(&target.ca, own.or(brought))?)
    }

    pub(super) fn report(&self) -> &OutsideReport {
        &self.report
    }

    /// Sends what the target has not taken.
    pub(super) fn round(&mut self, stopping: &AtomicBool) {
        // Where the folder cannot be read the schedule says so, and here nothing is known.
        let Ok(all) = self.backups() else {
            return;
        };
        let (sent, waiting): (Vec<_>, Vec<_>) = all
            .into_iter()
            .partition(|backup| Sent::of(backup, &self.target.url).is_some());
        self.report.leaves = sent.len() as u64;
        self.report.behind = waiting.len() as u64;
        for backup in waiting {
            if self.back_off.waits() || stopping.load(Ordering::Relaxed) {
                return;
            }
            let ended = self.send(&backup, stopping);
            if stopping.load(Ordering::Relaxed) {
                // That it was broken off is no fault of the target.
                return;
            }
            if ended.is_ok() {
                self.report.leaves += 1;
                self.report.behind -= 1;
            }
            self.report.tell(WHAT, ended, &mut self.back_off);
        }
    }

    /// All that there are, the newest of each domain first, and the registry of domains as it is.
    fn backups(&self) -> anyhow::Result<Vec<PathBuf>> {
        let mut all = newest_first(&self.folder, &self.domain)?;
        for entry in fs::read_dir(&self.folder)?.flatten() {
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                all.extend(newest_first(&entry.path(), &name)?);
            }
        }
        let registry = registry::path(&self.folder);
        if registry.exists() {
            all.push(registry);
        }
        Ok(all)
    }

    fn send(&self, backup: &Path, stopping: &AtomicBool) -> anyhow::Result<()> {
        let name = backup.file_name().unwrap_or_default().to_string_lossy();
        // Before it is opened: what is written from then on is sent again.
        let opened = written(backup).and_then(|written| {
            let file = File::open(backup)?;
            let length = file.metadata()?.len();
            Ok((written, file, length))
        });
        let (written, file, length) = match opened {
            // The schedule has deleted it meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            opened => opened.with_context(|| format!("{} cannot be read", backup.display()))?,
        };
        let url = self.url.join(&name).context("the backup's URL")?;
        let mut body = WhileServing { file, stopping };
        let response = https::agent(Some(self.tls()?), Patience::Each(PATIENCE))
            .put(url.as_str())
            .content_type("application/octet-stream")
            .header("content-length", length)
            .send(SendBody::from_reader(&mut body))?;
        let status = response.status();
        if !status.is_success() {
            bail!("it answers with the status {status}");
        }
        Sent::keep(backup, &self.target.url, written)?;
        tracing::info!(backup = %name, "the target has taken a backup");
        Ok(())
    }
}

/// A backup, up to where the appliance stops: nobody waits until a large one has gone over a slow line.
struct WhileServing<'a> {
    file: File,
    stopping: &'a AtomicBool,
}

impl Read for WhileServing<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.stopping.load(Ordering::Relaxed) {
            return Err(io::Error::other("the appliance stops"));
        }
        self.file.read(into)
    }
}

fn newest_first(folder: &Path, domain: &str) -> anyhow::Result<Vec<PathBuf>> {
    let names = made(folder, domain)?;
    Ok(names.iter().rev().map(|name| folder.join(name)).collect())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_backup_that_is_being_sent_is_given_up_where_the_appliance_stops() {
        let stopping = AtomicBool::new(false);
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"backup").unwrap();
        io::Seek::rewind(&mut file).unwrap();
        let mut body = WhileServing {
            file,
            stopping: &stopping,
        };
        let mut piece = [0; 3];
        assert_eq!(body.read(&mut piece).unwrap(), 3);
        stopping.store(true, Ordering::Relaxed);
        let error = body.read(&mut piece).unwrap_err();
        assert_eq!(error.to_string(), "the appliance stops");
    }
}
