//! `ceremony replicate`: the replica gets the master KEKs that custodians can recover, and a checkpoint key of its own.

use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use strongroom_custodians::Terminal;
use strongroom_keystore::checkpoint_key_label;
use strongroom_keystore::recovery::read_recovery;
use strongroom_wire::audit::Act;

use super::Stopped;
use super::hold::{ended, note_log};
use super::hsm::Administrators;
use super::people::People;
use super::recover::bring;
use super::transcript::{self, Draft};
use crate::config::Place;

/// `ceremony replicate`.
#[derive(Debug, Args)]
pub(crate) struct Replicate {
    /// The domain; the first one unless it is said.
    #[arg(long, value_name = "NAME")]
    domain: Option<String>,
    #[command(flatten)]
    people: People,
    #[command(flatten)]
    administrators: Administrators,
}

impl Replicate {
    pub(super) fn run(&self, config: &Path) -> anyhow::Result<ExitCode> {
        let mut terminal = Terminal::open()?;
        let appliance = Stopped::take(config, self.domain.as_deref())?;
        let domain = &appliance.config.domain;
        let recovery = read_recovery(&*appliance.store, domain)?;
        let operators = self.people.ask_operators(&mut terminal)?;
        let settings = &appliance.config.hsm;
        let replica = self
            .administrators
            .open(settings, Place::Replica, &mut terminal)?;
        let held = replica.master_kek_versions(domain)?;
        terminal.say(&format!(
            "\nThe replica {} gets every version of the master KEK that it lacks; it holds {} now.\n",
            replica.token_info()?.label,
            held.len()
        ))?;
        if !terminal.agrees("Begin?")? {
            bail!("nothing was begun");
        }
        let mut draft = Draft::begin("ceremony: a replica gets the master KEK", &operators);
        draft.hsm("replica", &replica.token_info()?);
        bring(&mut terminal, &*replica, domain, &recovery, &mut draft)?;

        // The replica holds what the domain is wrapped by, so it opens it, and signs with a key of its own.
        let keystore = appliance.attend(&replica)?;
        let primary = settings
            .members()
            .map_err(anyhow::Error::msg)?
            .into_iter()
            .find(|member| member.place == Place::Primary);
        // Keys of HSMs that are gone end, where it can be told which those are.
        let keep = primary
            .and_then(|member| member.pin.read().ok().flatten().map(|pin| (member, pin)))
            .and_then(|(member, pin)| member.open(pin).ok())
            .and_then(|hsm| hsm.signing_public_key(&checkpoint_key_label(domain)).ok())
            .map(|key| vec![key]);
        for change in keystore.adopt_checkpoint_key(keep.as_deref())? {
            draft.fact("checkpoint key", change.to_string());
        }
        note_log(&mut draft, &keystore)?;
        let recorded = keystore.record_ceremony(Act::DomainReplicate, &draft.text())?;
        appliance.seal(&keystore)?;
        let path = transcript::keep(&appliance.config.data, &recorded)?;
        terminal.say(&ended(&recorded, &path))?;
        Ok(ExitCode::SUCCESS)
    }
}
