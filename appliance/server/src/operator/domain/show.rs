//! How domains are shown to operators.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;

use crate::control::DomainAnswer;
use crate::domains::DomainReport;

/// How the answer is printed.
#[derive(Debug, Args)]
pub(crate) struct Output {
    /// Print it as JSON.
    #[arg(long)]
    json: bool,
}

impl Output {
    pub(super) fn print(
        &self,
        json: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> anyhow::Result<ExitCode> {
        if self.json {
            super::super::print_json(json)?;
        } else {
            super::super::print(&text())?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Tells of one domain.
    pub(super) fn tell(&self, answer: &DomainAnswer) -> anyhow::Result<ExitCode> {
        let domain = answer
            .domains
            .first()
            .context("the appliance answered something else")?;
        self.print(domain, || facts(domain))
    }
}

fn facts(domain: &DomainReport) -> String {
    let quotas = domain.quotas.unwrap_or_default();
    let counts = domain.counts;
    let of = |name: &str, count: Option<u64>, most: Option<u64>| {
        let count = count.map_or_else(|| "unknown".to_owned(), |count| count.to_string());
        let most = most.map_or_else(|| "no limit".to_owned(), |most| format!("at most {most}"));
        format!("{name:<16}{count} ({most})")
    };
    let mut lines = vec![
        format!("domain          {}", domain.name),
        format!("number          {}", domain.number),
        format!("state           {}", domain.state),
        format!("HSM slot        {}", domain.slot),
    ];
    if !domain.hosts.is_empty() {
        lines.push(format!("hosts           {}", domain.hosts.join(", ")));
    }
    if domain.failing {
        lines.push("it fails: the appliance's log says why".to_owned());
    }
    if let Some(left) = domain.rewraps_left {
        lines.push(format!("to be moved     {left} keys"));
    }
    lines.extend([
        of("accounts", counts.map(|of| of.accounts), quotas.accounts),
        of("keys", counts.map(|of| of.keys), quotas.keys),
        of("sessions", counts.map(|of| of.sessions), quotas.sessions),
        of("bytes", counts.map(|of| of.bytes), quotas.bytes),
        format!(
            "releases today  {}",
            counts.map_or_else(|| "unknown".to_owned(), |of| of.releases_today.to_string())
        ),
    ]);
    if let Some(most) = quotas.requests_per_second {
        lines.push(format!("requests        at most {most} a second"));
    }
    lines.join("\n") + "\n"
}

pub(super) fn table(domains: &[DomainReport]) -> String {
    let mut text = format!(
        "{:>6}  {:<24} {:<10} {:<12} {:>9} {:>9} {:>9} {:>9} {:>12}\n",
        "number", "domain", "state", "slot", "accounts", "keys", "sessions", "releases", "bytes"
    );
    for domain in domains {
        let counts = domain.counts.map_or_else(
            || ["?"; 5].map(str::to_owned),
            |of| {
                [
                    of.accounts,
                    of.keys,
                    of.sessions,
                    of.releases_today,
                    of.bytes,
                ]
                .map(|count| count.to_string())
            },
        );
        let [accounts, keys, sessions, releases, bytes] = counts;
        let failing = if domain.failing { "  fails" } else { "" };
        let _ = writeln!(
            text,
            "{:>6}  {:<24} {:<10} {:<12} {accounts:>9} {keys:>9} {sessions:>9} {releases:>9} {bytes:>12}{failing}",
            domain.number, domain.name, domain.state, domain.slot
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use strongroom_keystore::domains::Quotas;

    use super::*;

    #[test]
    fn operators_see_counts() {
        let report = DomainReport {
            number: 7,
            name: "acme".to_owned(),
            state: "active".to_owned(),
            slot: "default".to_owned(),
            hosts: vec!["keys.acme.example".to_owned()],
            created: None,
            open: true,
            failing: false,
            counts: Some(strongroom_keystore::domains::DomainCounts {
                accounts: 3,
                keys: 4,
                sessions: 5,
                releases_today: 6,
                bytes: 4096,
            }),
            quotas: Some(Quotas {
                keys: Some(10),
                ..Quotas::default()
            }),
            rewraps_left: None,
        };
        let text = facts(&report);
        for line in [
            "number          7",
            "keys            4 (at most 10)",
            "accounts        3 (no limit)",
            "releases today  6",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{text}");
        }
        assert!(table(&[report]).contains("acme"));
    }
}
