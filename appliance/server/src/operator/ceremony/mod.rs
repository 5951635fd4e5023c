//! `strongroomd ceremony`: operators and custodians at a terminal.
//!
//! | file | what is in it |
//! |---|---|
//! | `hold` | `new` and `renew`: a recovery KEK, its shares, the rehearsal, the keys |
//! | `recover` | master KEKs into an HSM that lost them, with the custodians' shares; the log goes on with a key of the new HSM |
//! | `replicate` | master KEKs into the replica |
//! | `people` | who holds the ceremony, and who gets a share |
//! | `custodians` | shares to custodians and back |
//! | `transcript` | what is signed and kept |
//! | `hsm` | the HSM, opened alone, as its administrators where putting a key into it takes that |
//!
//! What must never happen here: a share or a recovery KEK in a file, a log line, an argument or an error; a recovery KEK put into an HSM
//! before custodians have shown that their shares restore it.

mod custodians;
mod hold;
mod hsm;
mod people;
mod recover;
mod replicate;
mod transcript;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Subcommand;
use strongroom_hsm::Hsm;
use strongroom_keystore::store::sqlite::SqliteStore;
use strongroom_keystore::{Keystore, SystemClock};

use crate::config::Config;
use crate::folder::DataFolder;
use crate::kept::{self, KeptCheckpoint};

/// `strongroomd ceremony`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a new appliance, as init does, whose master KEK custodians can recover.
    New(Box<hold::New>),
    /// Give an appliance that is stopped a new recovery KEK: the first, or one with other custodians.
    Renew(hold::Renew),
    /// Bring the master KEK into another HSM, with the custodians' shares: from a backup, or beside an intact data folder.
    #[command(subcommand)]
    Recover(recover::Recover),
    /// Give the replica that the configuration names the master KEK, with the custodians' shares.
    Replicate(replicate::Replicate),
}

impl Command {
    pub(crate) fn run(&self, config: &Path) -> anyhow::Result<ExitCode> {
        match self {
            Self::New(new) => new.run(),
            Self::Renew(renew) => renew.run(config),
            Self::Recover(recover) => recover.run(config),
            Self::Replicate(replicate) => replicate.run(config),
        }
    }
}

/// An appliance that is stopped, for as long as this exists.
struct Stopped {
    config: Config,
    store: Arc<SqliteStore>,
    kept: KeptCheckpoint,
    _folder: DataFolder,
}

impl Stopped {
    /// Takes the appliance, unless it is running or its database is not as it should be.
    fn take(config: &Path, domain: Option<&str>) -> anyhow::Result<Self> {
        let site = Config::load(config)?;
        let folder = DataFolder::lock(&site.data)?;
        let config = Config::load_domain(config, domain)?;
        let database = config.database();
        let store = SqliteStore::open(&database)
            .with_context(|| format!("the database {} cannot be opened", database.display()))?;
        if config.data.join(kept::RESTORED).exists() {
            bail!(
                "the data folder was restored and has not served since: start the appliance once, stop it, and run this again"
            );
        }
        let kept = KeptCheckpoint::new(&config);
        kept.check(&store, &config.domain, None)?;
        Ok(Self {
            config,
            store: Arc::new(store),
            kept,
            _folder: folder,
        })
    }

    /// The keystore, with this HSM alone.
    fn attend(&self, hsm: &Arc<dyn Hsm>) -> anyhow::Result<Keystore> {
        Ok(Keystore::attend(
            Arc::clone(&self.store) as _,
            Arc::clone(hsm),
            Arc::new(SystemClock),
            self.config.keystore_options(),
        )?)
    }

    /// Signs what was done, and keeps the checkpoint outside of the database.
    fn seal(&self, keystore: &Keystore) -> anyhow::Result<()> {
        keystore.sign_checkpoint()?;
        self.kept.keep(keystore)
    }
}
