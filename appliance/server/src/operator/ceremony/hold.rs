//! `ceremony new` and `ceremony renew`: a recovery KEK is made and shared out, and a master KEK that it can recover.

use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use strongroom_custodians::Terminal;
use strongroom_hsm::Hsm;
use strongroom_keystore::recovery::{NewRecovery, Transcript};
use strongroom_keystore::{Clock as _, Keystore, SystemClock};
use strongroom_wire::audit::Act;

use super::Stopped;
use super::custodians::{Settled, settle};
use super::hsm::Administrators;
use super::people::{People, Present};
use super::transcript::{self, Draft, clock_time};
use crate::backups;
use crate::config::{self, Place};
use crate::operator::init::{self, Attended};
use crate::operator::progress::StageBar;

/// How many account KEKs are wrapped again at once.
const STEP: u32 = 200;

/// `ceremony new`.
#[derive(Debug, Args)]
pub(crate) struct New {
    #[command(flatten)]
    init: init::Arguments,
    #[command(flatten)]
    people: People,
    #[command(flatten)]
    administrators: Administrators,
}

/// `ceremony renew`.
#[derive(Debug, Args)]
pub(crate) struct Renew {
    /// The domain; the first one unless it is said.
    #[arg(long, value_name = "NAME")]
    domain: Option<String>,
    #[command(flatten)]
    people: People,
    #[command(flatten)]
    administrators: Administrators,
}

impl New {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let mut terminal = Terminal::open()?;
        let present = self.people.ask(&mut terminal)?;
        terminal.say(&plan(
            &present,
            "a new appliance is made: its data folder, its certificates, and its keys inside the HSM",
        ))?;
        if !terminal.agrees("Begin?")? {
            bail!("nothing was begun");
        }
        let mut ceremony = Ceremony {
            draft: Draft::begin(
                "ceremony: a new appliance with custodians",
                &present.operators,
            ),
            administrators: &self.administrators,
            terminal: &mut terminal,
            present,
        };
        init::run_attended(&self.init, &mut ceremony)
    }
}

/// The ceremony of an appliance that is being made.
struct Ceremony<'a> {
    terminal: &'a mut Terminal,
    administrators: &'a Administrators,
    present: Present,
    draft: Draft,
}

impl Attended for Ceremony<'_> {
    fn open(&mut self, hsm: &config::Hsm) -> anyhow::Result<Arc<dyn Hsm>> {
        self.administrators.open(hsm, Place::Primary, self.terminal)
    }

    fn settle(&mut self, hsm: &dyn Hsm) -> anyhow::Result<Option<NewRecovery>> {
        self.draft.hsm("HSM", &hsm.token_info()?);
        self.draft.check_length(&self.present.custodians)?;
        let (new, settled) = settle(self.terminal, &self.present, hsm)?;
        note_settled(&mut self.draft, &self.present, &settled);
        Ok(Some(new))
    }

    fn record(&mut self, keystore: &Keystore, folder: &Path) -> anyhow::Result<()> {
        let kek = keystore.recovery_keks()?;
        let kek = kek.last().context("the recovery KEK is not recorded")?;
        self.draft
            .fact("recovery KEK", format!("version {}", kek.version));
        let master = keystore.newest_master_kek()?;
        self.draft.fact("master KEK", format!("version {master}"));
        note_log(&mut self.draft, keystore)?;
        let recorded = keystore.record_ceremony(Act::DomainCeremony, &self.draft.text())?;
        keystore.sign_checkpoint()?;
        let path = transcript::keep(folder, &recorded)?;
        Ok(self.terminal.say(&ended(&recorded, &path))?)
    }
}

impl Renew {
    pub(super) fn run(&self, config: &Path) -> anyhow::Result<ExitCode> {
        let mut terminal = Terminal::open()?;
        let appliance = Stopped::take(config, self.domain.as_deref())?;
        let present = self.people.ask(&mut terminal)?;
        terminal.say(&plan(
            &present,
            "the appliance gets a new version of its master KEK, and every account KEK is wrapped again by it.\n\
             The version before stays until an administrator retires and destroys it (strongroom rotation);\n\
             custodians of an earlier ceremony can still recover from backups that were made before this one",
        ))?;
        if !terminal.agrees("Begin?")? {
            bail!("nothing was begun");
        }
        let settings = &appliance.config.hsm;
        let hsm = self
            .administrators
            .open(settings, Place::Primary, &mut terminal)?;
        let keystore = appliance.attend(&hsm)?;
        let mut draft = Draft::begin("ceremony: custodians for an appliance", &present.operators);
        draft.hsm("HSM", &hsm.token_info()?);
        draft.check_length(&present.custodians)?;
        let (new, settled) = settle(&mut terminal, &present, &*hsm)?;
        note_settled(&mut draft, &present, &settled);
        note_log(&mut draft, &keystore)?;
        let (made, recorded) = keystore.establish_recovery(&new, &mut |made| {
            let mut draft = draft.clone();
            draft.fact("recovery KEK", format!("version {}", made.recovery_kek));
            draft.fact("master KEK", format!("version {}", made.master_kek));
            draft.text()
        })?;
        drop(new);
        terminal.say(&format!(
            "\nVersion {} of the master KEK is made, and custodians can recover it.\n",
            made.master_kek
        ))?;
        if settings.replica.is_some() {
            terminal.say(
                "The replica does not have it yet, so nothing is wrapped by it: run strongroomd ceremony replicate.\n\
                 When the appliance serves then, it wraps all account KEKs again.\n",
            )?;
        } else {
            rewrap(&keystore)?;
            terminal.say("Every account KEK is wrapped by it.\n")?;
        }
        appliance.seal(&keystore)?;
        let path = transcript::keep(&appliance.config.data, &recorded)?;
        terminal.say(&ended(&recorded, &path))?;
        if settings.replica.is_none() {
            terminal.say(&match back_up(&appliance, &keystore, hsm) {
                Ok(Some(made)) => format!("A backup that these custodians open: {}\n", made.display()),
                Ok(None) => "Make a backup now: those from before are not opened by these custodians.\n".to_owned(),
                Err(error) => format!(
                    "No backup could be made, and those from before are not opened by these custodians: {error:#}.\n"
                ),
            })?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Makes a backup where the configuration says, if it does: the first that these custodians open.
fn back_up(
    appliance: &Stopped,
    keystore: &Keystore,
    hsm: Arc<dyn Hsm>,
) -> anyhow::Result<Option<PathBuf>> {
    let config = &appliance.config;
    if config.backup.folder.as_os_str().is_empty() {
        return Ok(None);
    }
    backups::prepare_folder(config)?;
    let now = SystemClock.now();
    let to = config
        .backup
        .folder
        .join(backups::name(&config.domain, now));
    keystore.record_operation(Act::DomainBackup, backups::leaf_note("the ceremony", &to))?;
    appliance.seal(keystore)?;
    let mut bar = StageBar::new();
    let made = backups::make(config, hsm, now, &to, &mut |stage, done, of| {
        bar.show(stage, done, of);
        ControlFlow::Continue(())
    })?;
    Ok(Some(made.path))
}

/// What will happen, for everybody to read.
fn plan(present: &Present, what: &str) -> String {
    let mut text = format!(
        "\nThis is a key ceremony. When it ends, {what}.\n\n\
         operators:  {}\n\
         custodians: {}, of whom any {} together can recover\n",
        present.operators.join(", "),
        present.custodians.len(),
        present.threshold
    );
    for (at, name) in present.custodians.iter().enumerate() {
        // Writing to a String does not fail.
        let _ = writeln!(text, "  share {:2}: {name}", at + 1);
    }
    text += "\n\
        1. A recovery KEK is made of the HSM's and this machine's random numbers, and split.\n\
        2. Each custodian, alone at the screen, writes down a share: 29 words, shown once.\n\
        3. The rehearsal: some custodians type their shares, which must restore the key.\n\
        4. Only then are keys made in the HSM, and what happened is signed and recorded.\n\n\
        Until step 4 nothing is changed, and Ctrl-C ends it. No camera may see the screen or the papers.\n\n";
    text
}

fn note_settled(draft: &mut Draft, present: &Present, settled: &Settled) {
    draft.fact(
        "custodians",
        format!(
            "{}, any {} together recover",
            present.custodians.len(),
            present.threshold
        ),
    );
    draft.fact("set", format!("{:04x}", settled.set));
    draft.fact("check value", settled.check_value.as_str());
    draft.shares(&settled.shares);
    draft.fact(
        "rehearsal",
        format!(
            "the shares restored the key at {}, before the HSM had it",
            clock_time(settled.restored)
        ),
    );
}

/// The log, by the keys that sign it.
pub(super) fn note_log(draft: &mut Draft, keystore: &Keystore) -> anyhow::Result<()> {
    for key in keystore.verifier_keys()? {
        if key.to.is_none() {
            draft.fact("verifier key", key.verifier_key);
        }
    }
    Ok(())
}

pub(super) fn ended(recorded: &Transcript, path: &Path) -> String {
    format!(
        "\nThe ceremony has ended. Its signed transcript is leaf {} of the audit log, and a copy is\n{}\nGive everybody who was here a copy of that file: it holds no secret.\n",
        recorded.leaf,
        path.display()
    )
}

/// Wraps everything by the newest master KEK.
fn rewrap(keystore: &Keystore) -> anyhow::Result<()> {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if let Ok(style) =
        ProgressStyle::with_template("wrapping again {wide_bar} {pos}/{len} keys, {eta}")
    {
        bar.set_style(style);
    }
    let mut most = 0;
    while keystore.rewrap_some(STEP)? > 0 {
        let left = keystore.statistics()?.rewraps_left;
        most = most.max(left);
        bar.set_length(most);
        bar.set_position(most - left);
    }
    bar.finish_and_clear();
    let damaged = keystore.statistics()?.rotation_damage;
    if damaged > 0 {
        bail!(
            "{damaged} account KEKs do not match their seals and were left as they are; the master KEK is made and recoverable: see strongroom rotation status"
        );
    }
    Ok(())
}
