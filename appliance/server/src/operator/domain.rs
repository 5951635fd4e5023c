//! `strongroomd domain`: the domains (tenants) of the appliance that serves.
//!
//! All goes by way of the control socket. What comes back are numbers and what operators themselves have given names to.

mod show;

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use strongroom_keystore::domains::Quotas;

use self::show::{Output, table};
use crate::config::Config;
use crate::control::{DomainRequest, ask_domains};
use crate::domains::{DomainReport, NewDomain};

/// How often is asked how far a move is.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// `strongroomd domain`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a domain with keys of its own, and print its first administrator's one-time enrolment code.
    Create(Create),
    /// Tell of all domains: numbers, states and counts.
    List(Output),
    /// Tell of one domain, its quotas among it.
    Show(One),
    /// Suspend a domain: its sessions end, nobody is answered, and nothing goes on in it in the background.
    Suspend(One),
    /// Resume a suspended domain.
    Resume(One),
    /// Move a domain's master KEK to another HSM slot. The domain goes on serving.
    Move(Move),
    /// Remove a suspended domain for good: its keys in the HSM are destroyed and its folder is deleted.
    Remove(Remove),
    /// Set what a domain may have. What is not said stays as it is.
    Quota(Quota),
    /// Set the host names by which clients ask for a domain; none at all where none is said.
    Hosts(Hosts),
}

/// `domain create`.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Its name: lower-case letters, digits and hyphens. It stands in the checkpoints of its audit log, for good.
    name: String,
    /// The name of the first administrator's account, usually an e-mail address.
    #[arg(long, value_name = "NAME")]
    admin_account: String,
    /// The HSM slot for its master KEK: `default`, or one of [hsm.slots].
    #[arg(long, value_name = "SLOT")]
    slot: Option<String>,
    /// A host name by which clients ask for it. May be repeated. The server's certificate must be for it.
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<String>,
    #[command(flatten)]
    quotas: QuotaArguments,
    #[command(flatten)]
    output: Output,
}

/// A domain.
#[derive(Debug, Args)]
pub(crate) struct One {
    /// The domain.
    name: String,
    #[command(flatten)]
    output: Output,
}

/// `domain move`.
#[derive(Debug, Args)]
pub(crate) struct Move {
    /// The domain.
    name: String,
    /// The HSM slot to move to.
    #[arg(long, value_name = "SLOT")]
    to_slot: String,
    /// Do not wait until it has moved.
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    output: Output,
}

/// `domain remove`.
#[derive(Debug, Args)]
pub(crate) struct Remove {
    /// The domain.
    name: String,
    /// Its name once more, where nobody is there to type it.
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
    #[command(flatten)]
    output: Output,
}

/// `domain quota`.
#[derive(Debug, Args)]
pub(crate) struct Quota {
    /// The domain.
    name: String,
    #[command(flatten)]
    quotas: QuotaArguments,
    #[command(flatten)]
    output: Output,
}

/// `domain hosts`.
#[derive(Debug, Args)]
pub(crate) struct Hosts {
    /// The domain.
    name: String,
    /// The host names.
    #[arg(value_name = "HOST")]
    names: Vec<String>,
    #[command(flatten)]
    output: Output,
}

/// Quotas as arguments: a number, or `none`.
#[derive(Debug, Args)]
struct QuotaArguments {
    /// The most accounts, groups and devices among them.
    #[arg(long, value_name = "NUMBER", value_parser = limit)]
    accounts: Option<Limit>,
    /// The most keys that are not destroyed.
    #[arg(long, value_name = "NUMBER", value_parser = limit)]
    keys: Option<Limit>,
    /// The most sessions.
    #[arg(long, value_name = "NUMBER", value_parser = limit)]
    sessions: Option<Limit>,
    /// The most requests in a second.
    #[arg(long, value_name = "NUMBER", value_parser = limit)]
    requests_per_second: Option<Limit>,
    /// The most bytes of its database.
    #[arg(long, value_name = "NUMBER", value_parser = limit)]
    bytes: Option<Limit>,
}

/// A quota as an argument; none takes it away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Limit(Option<u64>);

fn limit(text: &str) -> Result<Limit, String> {
    if text == "none" {
        return Ok(Limit(None));
    }
    let number = text.parse();
    number
        .map(|number| Limit(Some(number)))
        .map_err(|_| "it is a number, or none".to_owned())
}

impl QuotaArguments {
    /// The quotas with what was said in place of what there was.
    fn over(&self, before: Quotas) -> anyhow::Result<Quotas> {
        let or = |said: Option<Limit>, before| said.map_or(before, |limit| limit.0);
        let requests = or(
            self.requests_per_second,
            before.requests_per_second.map(u64::from),
        );
        let requests = requests.map(u32::try_from).transpose();
        Ok(Quotas {
            accounts: or(self.accounts, before.accounts),
            keys: or(self.keys, before.keys),
            sessions: or(self.sessions, before.sessions),
            requests_per_second: requests.context("so many requests in a second are no limit")?,
            bytes: or(self.bytes, before.bytes),
        })
    }
}

impl Command {
    pub(crate) fn run(self, config: &Path) -> anyhow::Result<ExitCode> {
        let config = Config::load(config)?;
        let ask = |what| ask_domains(&config.data, what);
        match self {
            Self::Create(create) => create.run(&config),
            Self::List(output) => {
                let answer = ask(DomainRequest::List)?;
                output.print(&answer.domains, || table(&answer.domains))
            }
            Self::Show(one) => one.output.tell(&ask(DomainRequest::Show(one.name))?),
            Self::Suspend(one) => one.output.tell(&ask(DomainRequest::Suspend(one.name))?),
            Self::Resume(one) => one.output.tell(&ask(DomainRequest::Resume(one.name))?),
            Self::Move(moving) => moving.run(&config),
            Self::Remove(remove) => remove.run(&config),
            Self::Quota(quota) => {
                let before = ask(DomainRequest::Show(quota.name.clone()))?;
                let before = before.domains.first().and_then(|domain| domain.quotas);
                let quotas = quota.quotas.over(before.unwrap_or_default())?;
                let name = quota.name;
                quota
                    .output
                    .tell(&ask(DomainRequest::Quota { name, quotas })?)
            }
            Self::Hosts(Hosts {
                name,
                names: hosts,
                output,
            }) => output.tell(&ask(DomainRequest::Hosts { name, hosts })?),
        }
    }
}

/// What `create` answers as JSON.
#[derive(Serialize)]
struct Made<'a> {
    domain: &'a DomainReport,
    administrator: &'a str,
    enrolment_code: &'a str,
}

impl Create {
    fn run(self, config: &Config) -> anyhow::Result<ExitCode> {
        let spinner = spinner("making the domain's keys in the HSM and its database");
        let answer = ask_domains(
            &config.data,
            DomainRequest::Create(NewDomain {
                name: self.name,
                administrator: self.admin_account,
                slot: self.slot,
                hosts: self.hosts,
                quotas: self.quotas.over(Quotas::default())?,
            }),
        );
        spinner.finish_and_clear();
        let answer = answer?;
        let (Some(domain), Some(administrator)) =
            (answer.domains.first(), answer.administrator.as_ref())
        else {
            bail!("the appliance answered something else");
        };
        let made = Made {
            domain,
            administrator: &administrator.account,
            enrolment_code: administrator.enrolment_code.expose(),
        };
        self.output.print(&made, || {
            format!(
                "Domain {} is made: number {}, HSM slot {}.\n\
                 administrator:    {}\n\
                 enrolment code:   {}   (shown this once)\n\
                 To enrol: strongroom enrol {} --domain {} --server URL --ca FILE\n",
                domain.name,
                domain.number,
                domain.slot,
                made.administrator,
                made.enrolment_code,
                made.administrator,
                domain.name,
            )
        })
    }
}

impl Move {
    fn run(self, config: &Config) -> anyhow::Result<ExitCode> {
        let (name, to) = (self.name.clone(), self.to_slot.clone());
        let mut answer = ask_domains(&config.data, DomainRequest::Move { name, to })?;
        if !self.no_wait {
            let bar = progress();
            loop {
                let domain = answer.domains.first();
                let domain = domain.context("the appliance answered something else")?;
                if !["moving", "leaving"].contains(&domain.state.as_str()) {
                    break;
                }
                let left = domain.rewraps_left.unwrap_or_default();
                if bar.length().unwrap_or_default() < left {
                    bar.set_length(left);
                }
                bar.set_position(bar.length().unwrap_or_default().saturating_sub(left));
                if domain.failing {
                    bar.finish_and_clear();
                    bail!(
                        "the move does not go on; the appliance's log says why, and it is tried again"
                    );
                }
                thread::sleep(ASK_AGAIN);
                answer = ask_domains(&config.data, DomainRequest::Show(self.name.clone()))?;
            }
            bar.finish_and_clear();
            let slot = answer.domains.first().map(|domain| domain.slot.as_str());
            if slot != Some(self.to_slot.as_str()) {
                bail!("the domain has not moved; the appliance's log says why");
            }
        }
        self.output.tell(&answer)
    }
}

/// What `remove` answers as JSON.
#[derive(Serialize)]
struct Gone<'a> {
    removed: &'a str,
    /// Whether its checkpoint key in the HSM is destroyed as well as its master KEKs.
    checkpoint_key_destroyed: bool,
}

impl Remove {
    fn run(self, config: &Config) -> anyhow::Result<ExitCode> {
        let typed = match &self.confirm {
            Some(name) => name.clone(),
            None => ask_name(&self.name)?,
        };
        if typed != self.name {
            bail!("that is not the domain's name; nothing was removed");
        }
        let answer = ask_domains(&config.data, DomainRequest::Remove(self.name.clone()))?;
        let gone = Gone {
            removed: &self.name,
            checkpoint_key_destroyed: answer.all_keys.unwrap_or_default(),
        };
        self.output.print(&gone, || {
            let key = if gone.checkpoint_key_destroyed {
                ""
            } else {
                "Its checkpoint key stays in the HSM, as the appliance may not delete it there; it opens nothing.\n"
            };
            format!(
                "Domain {} is removed: its master KEKs are destroyed in the HSM, and its folder is deleted.\n{key}\
                 Its backups are not: nobody opens them without the master KEK, which custodians alone can bring back if it had any. Delete \
                 them when they are not to be kept.\n",
                self.name
            )
        })
    }
}

/// Asks at the terminal.
fn ask_name(name: &str) -> anyhow::Result<String> {
    if !io::stdin().is_terminal() {
        bail!("nobody is there to type the domain's name: give it with --confirm {name}");
    }
    let mut out = io::stderr().lock();
    write!(
        out,
        "All keys of domain {name} will be destroyed for good. Type its name to go on: "
    )?;
    out.flush()?;
    let mut typed = String::new();
    io::stdin().lock().read_line(&mut typed)?;
    Ok(typed.trim().to_owned())
}

/// On a terminal only.
fn progress() -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
    // The template is a literal of ours; should it ever not parse, the bar has its usual looks.
    if let Ok(style) =
        ProgressStyle::with_template("moving {wide_bar} {human_pos}/{human_len} keys")
    {
        bar.set_style(style);
    }
    bar
}

fn spinner(what: &'static str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    bar.set_message(what);
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct CommandLine {
        #[command(subcommand)]
        command: Command,
    }

    fn quota(more: &[&str]) -> Option<Quotas> {
        let line = CommandLine::try_parse_from(["domain", "quota", "acme"].iter().chain(more));
        let before = Quotas {
            keys: Some(5),
            bytes: Some(6),
            ..Quotas::default()
        };
        match line.ok()?.command {
            Command::Quota(quota) => quota.quotas.over(before).ok(),
            _ => None,
        }
    }

    #[test]
    fn a_quota_that_is_not_said_stays() {
        let quotas = quota(&["--keys", "none", "--accounts", "7"]).unwrap();
        assert_eq!((quotas.keys, quotas.accounts), (None, Some(7)));
        assert_eq!((quotas.bytes, quotas.sessions), (Some(6), None));
        assert!(quota(&["--keys", "many"]).is_none());
        assert!(quota(&["--requests-per-second", "4294967296"]).is_none());
    }
}
