//! `ceremony recover`: the master KEKs come back in another HSM, the log goes on with a key of that HSM, and the appliance serves again.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, Seek as _};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use strongroom_custodians::Terminal;
use strongroom_hsm::Hsm;
use strongroom_keystore::backup::{Accepted, Manifest, Restored, read_backup, read_manifest};
use strongroom_keystore::recovery::{Recovery, read_recovery, recover_master_keks};
use strongroom_keystore::store::sqlite::SqliteStore;
use strongroom_keystore::{Clock as _, Keystore, Options, SystemClock, checkpoint_key_label};
use strongroom_wire::audit::Act;

use super::Stopped;
use super::custodians::{gather, kek_of};
use super::hold::{ended, note_log};
use super::hsm::Administrators;
use super::people::People;
use super::transcript::{self, Draft, clock_time};
use crate::config::{self, Place};
use crate::kept::KeptCheckpoint;
use crate::operator::backup_file::BackupFile;
use crate::operator::init::{self, Site, SiteArguments};
use crate::operator::progress::StageBar;
use crate::operator::restore::{KnownCheckpoint, RestoreQuorum};

/// `ceremony recover`: what there is to recover from.
#[derive(Debug, Subcommand)]
pub(crate) enum Recover {
    /// The machine and its HSM are gone: make a new appliance from a backup, in a new data folder, with a new HSM.
    Backup(Box<FromBackup>),
    /// The data folder is intact and the HSM is gone: the configuration names the new one.
    Folder(FromFolder),
}

/// `ceremony recover backup`.
#[derive(Debug, Args)]
pub(crate) struct FromBackup {
    #[command(flatten)]
    backup: BackupFile,
    #[command(flatten)]
    site: SiteArguments,
    #[command(flatten)]
    known: KnownCheckpoint,
    #[command(flatten)]
    quorum: RestoreQuorum,
    /// The SHA-256 of the seed that says all this, for the transcript.
    #[arg(long, value_name = "HEX", value_parser = init::sha256)]
    seed_sha256: Option<init::Sha256>,
    #[command(flatten)]
    people: People,
    #[command(flatten)]
    administrators: Administrators,
}

/// `ceremony recover folder`.
#[derive(Debug, Args)]
pub(crate) struct FromFolder {
    /// The domain; the first one unless it is said.
    #[arg(long, value_name = "NAME")]
    domain: Option<String>,
    #[command(flatten)]
    people: People,
    #[command(flatten)]
    administrators: Administrators,
}

impl Recover {
    pub(super) fn run(&self, config: &Path) -> anyhow::Result<ExitCode> {
        match self {
            Self::Backup(from) => from.run(),
            Self::Folder(from) => from.run(config),
        }
    }
}

impl FromBackup {
    fn run(&self) -> anyhow::Result<ExitCode> {
        let mut terminal = Terminal::open()?;
        self.known.check()?;
        let shown = self.backup.display();
        let mut backup = self.backup.open(&std::env::temp_dir())?;
        let manifest = read_manifest(&mut backup)?;
        backup.rewind()?;
        let who = if manifest.recovery.is_some() {
            "Custodians bring its master KEK into the HSM, unless that holds it;"
        } else {
            "It was made by an appliance without custodians: only an HSM that holds its master KEK opens it. Where it does,"
        };
        terminal.say(&format!(
            "\n{shown} is a backup of {}, with {} leaves of the log {}.\n\
             {who} then all of it is verified and a new appliance is made.\n\
             {STAYS}\n",
            manifest.created, manifest.leaves, manifest.origin
        ))?;
        let operators = self.people.ask_operators(&mut terminal)?;
        if !terminal.agrees("Begin?")? {
            bail!("nothing was begun");
        }
        let site = self.site.site()?;
        let made = self.make(&site, &mut terminal, &operators, &mut backup, &manifest);
        if let Err(error) = made {
            site.clear();
            let cause = format!("{error:#}");
            bail!(
                "nothing was recovered: {}; put that right and run it again",
                cause.trim_end_matches('.')
            );
        }
        let (client, admin) = self.site.urls();
        terminal.say(&format!(
            "\nThe appliance is recovered; start it.\n\
             configuration:    {}\n\
             certificate (CA): {}   (a new one: clients need it)\n\
             for clients:      {client}\n\
             administration:   {admin}\n",
            site.config().display(),
            site.tls().join("ca.pem").display(),
        ))?;
        Ok(ExitCode::SUCCESS)
    }

    fn make(
        &self,
        site: &Site,
        terminal: &mut Terminal,
        operators: &[String],
        backup: &mut File,
        manifest: &Manifest,
    ) -> anyhow::Result<()> {
        let domain = &manifest.domain;
        let name = manifest
            .origin
            .strip_suffix(&format!("/{domain}"))
            .context("the backup's log has a name that no appliance gives")?;
        config::check_name(name).map_err(anyhow::Error::msg)?;
        let more = self.site.further()?;
        self.site.check(name, &more)?;
        let opened = self.site.open(site, name, &mut |hsm| {
            self.administrators.open(hsm, Place::Primary, terminal)
        })?;
        let hsm = &opened.hsm;
        let mut draft = Draft::begin("ceremony: an appliance recovered from a backup", operators);
        draft.hsm("HSM", &hsm.token_info()?);
        draft.fact(
            "backup",
            format!("of {}, {} leaves", manifest.created, manifest.leaves),
        );
        if let Some(sha256) = &self.seed_sha256 {
            draft.fact("seed", format!("SHA-256 {}", hex::encode(sha256)));
        }
        if let Some(recovery) = &manifest.recovery {
            bring(terminal, &**hsm, domain, recovery, &mut draft)?;
        }

        let database = site.database();
        {
            let mut bar = StageBar::new();
            read_backup(
                &mut BufReader::new(backup),
                Arc::clone(hsm),
                domain,
                &database,
                &mut |stage, done, of| {
                    bar.show(stage, done, of);
                    ControlFlow::Continue(())
                },
            )?;
        }
        let store = Arc::new(SqliteStore::open(&database)?);
        let accepted = self.held_against_kept(&store, domain)?;
        let options = Options {
            domain: domain.clone(),
            ..Options::default()
        };
        let keystore = Keystore::attend(store, Arc::clone(hsm), Arc::new(SystemClock), options)?;
        let restored = Restored {
            restored: SystemClock.now(),
            created: manifest.created,
            leaves: manifest.leaves,
            accepted,
            approved: self.quorum.require(&keystore, manifest)?,
        };
        note_lost(&mut draft, &keystore)?;
        // The HSMs of the appliance that is gone sign nothing more.
        for change in keystore.adopt_checkpoint_key(Some(&[]))? {
            draft.fact("checkpoint key", change.to_string());
        }
        keystore
            .record_restore(&restored)
            .map_err(|refusal| refusal.error)?;
        note_log(&mut draft, &keystore)?;
        let recorded = keystore.record_ceremony(Act::DomainRecover, &draft.text())?;
        keystore.sign_checkpoint()?;
        let kept = KeptCheckpoint::at(site.path(config::CHECKPOINT));
        kept.keep(&keystore)?;
        let path = transcript::keep(site.folder(), &recorded)?;
        drop(keystore);
        self.site.complete(site, name, domain, &opened, &more)?;
        Ok(terminal.say(&ended(&recorded, &path))?)
    }

    fn held_against_kept(
        &self,
        store: &SqliteStore,
        domain: &str,
    ) -> anyhow::Result<Option<Accepted>> {
        let Some(path) = &self.known.checkpoint else {
            return Ok(None);
        };
        let note = KeptCheckpoint::at(path.clone())
            .read()?
            .with_context(|| format!("there is no checkpoint at {}", path.display()))?;
        self.known.hold(store, domain, &note, path)
    }
}

impl FromFolder {
    fn run(&self, config: &Path) -> anyhow::Result<ExitCode> {
        let mut terminal = Terminal::open()?;
        let appliance = Stopped::take(config, self.domain.as_deref())?;
        let domain = &appliance.config.domain;
        let recovery = read_recovery(&*appliance.store, domain)?;
        let operators = self.people.ask_operators(&mut terminal)?;
        let settings = &appliance.config.hsm;
        let hsm = self
            .administrators
            .open(settings, Place::Primary, &mut terminal)?;
        terminal.say(&format!(
            "\nThe HSM {} gets the master KEK of this data folder from the custodians' shares.\n{STAYS}\n",
            hsm.token_info()?.label
        ))?;
        if !terminal.agrees("Begin?")? {
            bail!("nothing was begun");
        }
        let mut draft = Draft::begin("ceremony: an appliance gets another HSM", &operators);
        draft.hsm("HSM", &hsm.token_info()?);
        bring(&mut terminal, &*hsm, domain, &recovery, &mut draft)?;
        let keystore = appliance.attend(&hsm)?;
        note_lost(&mut draft, &keystore)?;
        // A replica that is still there goes on signing.
        let mut keep = Vec::new();
        if settings.replica.is_some() {
            let replica = self
                .administrators
                .open(settings, Place::Replica, &mut terminal)
                .context("the replica is to keep its checkpoint key, and cannot be asked for it")?;
            keep.extend(
                replica
                    .signing_public_key(&checkpoint_key_label(domain))
                    .ok(),
            );
        }
        for change in keystore.adopt_checkpoint_key(Some(&keep))? {
            draft.fact("checkpoint key", change.to_string());
        }
        note_log(&mut draft, &keystore)?;
        let recorded = keystore.record_ceremony(Act::DomainRecover, &draft.text())?;
        appliance.seal(&keystore)?;
        let path = transcript::keep(&appliance.config.data, &recorded)?;
        terminal.say(&ended(&recorded, &path))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// What nobody brings along.
const STAYS: &str = "Keys of the protection level hsm never left the HSM that made them: they do not come along, and are lost with it.";

/// Has the transcript say how many keys the HSM does not hold that were generated in one.
fn note_lost(draft: &mut Draft, keystore: &Keystore) -> anyhow::Result<()> {
    let lost = keystore.keys_lost_with_hsm()?.len();
    if lost > 0 {
        draft.fact("keys lost with their HSM", lost.to_string());
    }
    Ok(())
}

/// Has custodians recover every master KEK into the HSM that they can: those of each recovery KEK that wrapped any.
pub(super) fn bring(
    terminal: &mut Terminal,
    hsm: &dyn Hsm,
    domain: &str,
    recovery: &Recovery,
    draft: &mut Draft,
) -> anyhow::Result<()> {
    let held = hsm.master_kek_versions(domain)?;
    check_recoverable(recovery, &held)?;
    let mut missing: BTreeSet<u32> = BTreeSet::new();
    for master in &recovery.master_keks {
        if let Some(blob) = master.blob()?
            && !held.contains(&master.version)
        {
            missing.insert(blob.recovery_kek_version);
        }
    }
    // Without the newest recovery KEK the next rotation could not be recovered.
    let newest = recovery.recovery_keks.last().map(|kek| kek.version);
    let wraps = hsm.recovery_kek_versions(domain)?;
    missing.extend(newest.filter(|version| !wraps.contains(version)));
    if missing.is_empty() {
        terminal.say("\nThe HSM holds every master KEK already, from a ceremony that did not end: no custodian is needed.\n")?;
        draft.fact("master KEK", "held already");
    }
    // The newest last: the HSM goes on with that one.
    for version in missing {
        let kek = kek_of(&recovery.recovery_keks, version)?;
        terminal.say(&format!(
            "\nVersion {version} of the recovery KEK: any {} of {} are needed.\n",
            kek.threshold,
            kek.custodians.join(", ")
        ))?;
        let (key, given) = gather(terminal, kek)?;
        let outcome = recover_master_keks(hsm, domain, recovery, kek, &key)?;
        drop(key);
        for (index, when) in given {
            let name = kek.custodian(index).unwrap_or("unknown");
            draft.fact(
                "share",
                format!("{index} {name}, typed {}", clock_time(when)),
            );
        }
        let shown = |versions: &[u32]| {
            let versions: Vec<String> = versions.iter().map(ToString::to_string).collect();
            versions.join(", ")
        };
        draft.fact(
            "recovery KEK",
            format!("version {version}, set {:04x}", kek.set),
        );
        draft.fact(
            "master KEK",
            format!("version {}", shown(&outcome.recovered)),
        );
        terminal.say(&format!(
            "Recovered into the HSM: version {} of the master KEK.\n",
            shown(&outcome.recovered)
        ))?;
    }
    Ok(())
}

/// Refuses where anything is needed that the HSM does not hold and no custodian can recover.
fn check_recoverable(recovery: &Recovery, held: &[u32]) -> anyhow::Result<()> {
    let mut needed = recovery.master_keks.iter().map(|kek| kek.version);
    if needed.all(|version| held.contains(&version)) {
        return Ok(());
    }
    let mut lost = recovery.unrecoverable();
    lost.retain(|version| !held.contains(version));
    if recovery.recovery_keks.is_empty() {
        bail!("there are no custodians: no ceremony was held for this appliance");
    }
    if let Some(version) = lost.first() {
        bail!(
            "version {version} of the master KEK, which wraps some of it, was made before there were custodians: only an HSM that holds it opens that"
        );
    }
    Ok(())
}
