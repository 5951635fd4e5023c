//! The backup that an operator names: a file, or where it is to be had over HTTPS.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;

use super::progress::FetchBar;
use crate::https::{self, Patience, Shown};

/// How long whoever has it may take for each step, and for each piece of it.
const PATIENCE: Duration = Duration::from_secs(30);

/// The backup, and whom to trust where it is fetched.
#[derive(Debug, Args)]
pub(super) struct BackupFile {
    /// The backup: a file, or its https URL.
    #[arg(value_name = "FILE_OR_URL")]
    backup: PathBuf,
    /// The certificates of the authorities that vouch for the server of the URL, in PEM.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/etc/ssl/certs/ca-certificates.crt"
    )]
    from_ca: PathBuf,
    /// The certificate chain to show to it, in PEM.
    #[arg(long, value_name = "FILE", requires = "from_key")]
    from_certificate: Option<PathBuf>,
    /// Its private key in PEM.
    #[arg(long, value_name = "FILE", requires = "from_certificate")]
    from_key: Option<PathBuf>,
}

impl BackupFile {
    /// As it was named.
    pub(super) fn display(&self) -> std::path::Display<'_> {
        self.backup.display()
    }

    /// Opens it, at its beginning. One that is fetched is without a name, on the disk of this folder, until it is closed.
    ///
    /// # Errors
    /// When it cannot be read, or not be had.
    pub(super) fn open(&self, work: &Path) -> anyhow::Result<File> {
        let shown = self.display();
        match self.backup.to_str().filter(|name| is_url(name)) {
            Some(url) => self
                .fetch(url, work)
                .with_context(|| format!("{shown} cannot be had")),
            None => File::open(&self.backup).with_context(|| format!("{shown} cannot be read")),
        }
    }

    fn fetch(&self, url: &str, work: &Path) -> anyhow::Result<File> {
        let own = self
            .from_certificate
            .as_deref()
            .zip(self.from_key.as_deref());
        let own = own.map(|(certificate, key)| Shown { certificate, key });
        let tls = https::trusting(&self.from_ca, own)?;
        let response = https::agent(Some(tls), Patience::Each(PATIENCE))
            .get(url)
            .call()?;
        let status = response.status();
        if !status.is_success() {
            bail!("the server answers with the status {status}");
        }
        let mut file = tempfile::tempfile_in(work)
            .with_context(|| format!("nothing can be written in {}", work.display()))?;
        let (_, body) = response.into_parts();
        let length = body.content_length();
        let bar = FetchBar::new(length);
        let mut reader = body.into_reader();
        let mut piece = vec![0; 64 * 1024];
        let mut done = 0;
        loop {
            let read = match reader.read(&mut piece) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error).context("it broke off"),
            };
            file.write_all(&piece[..read])
                .with_context(|| format!("it cannot be kept in {}", work.display()))?;
            done += read as u64;
            bar.show(done);
        }
        if length.is_some_and(|length| length != done) {
            bail!("it broke off after {done} bytes");
        }
        file.rewind()?;
        Ok(file)
    }
}

fn is_url(name: &str) -> bool {
    name.split_once("://").is_some()
}
