//! What there is to see of the gate: for clients, monitoring and operators.

use std::sync::Arc;

use strongroom_hsm::Hsm;
use strongroom_hsm::supervised::{MemberStatus, State as HsmState};
use strongroom_keystore::Statistics;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::health::{Health, State, Status};

use super::{Gate, Name};
use crate::config::Member;
use crate::domains::Tally;
use crate::routes::health::NewestStorage;
use crate::tls::Renewal;
use crate::watch;

/// The gate at one moment, for operators.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub(crate) state: State,
    pub(crate) since: Timestamp,
    /// Why it does not serve.
    pub(crate) reason: Option<String>,
}

impl Gate {
    /// Whether the appliance works.
    pub(crate) fn health(&self, storage: &NewestStorage) -> Health {
        let of = |works: bool| if works { Status::Ok } else { Status::Failing };
        let (state, hsm, domains, watched) = {
            let phase = self.lock();
            let hsm = phase.hsm();
            let (domains, watched) = match &phase.name {
                Name::Serving(serving) => {
                    (Some(Arc::clone(&serving.domains)), serving.watch.report())
                }
                _ => (None, watch::Report::default()),
            };
            let usable = of(hsm.is_some_and(|hsm| hsm.is_usable()));
            (phase.state(), usable, domains, watched)
        };
        let tally = domains.map(|domains| domains.tally());
        let storage = storage
            .get(|| of(self.store.write(Box::new(|_| Ok(()))).is_ok() && !self.store.is_full()));
        let served = self.renewal.served();
        Health {
            status: of(state == State::Serving && hsm == Status::Ok && storage == Status::Ok),
            state,
            hsm,
            storage,
            failing_domains: tally.map_or(0, |tally| tally.failing),
            failing_witnesses: watched.failing_witnesses(),
            failing_receivers: watched.failing_receivers(),
            scrub_findings: watched.scrub.findings,
            certificate: of(served.trouble().is_none()),
            certificate_lapses: Some(served.lapses()),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// What there is to tell operators.
    pub(crate) fn view(&self) -> View {
        let phase = self.lock();
        let reason = match &phase.name {
            Name::Sealed { why } => Some(why.clone()),
            Name::Closing => Some("it is being closed".to_owned()),
            Name::Opening {
                reason: Some(reason),
                ..
            } => Some(reason.clone()),
            Name::Opening { hsm, .. } => Some(complaints(&hsm.status())),
            Name::Serving(_) => None,
        };
        View {
            state: phase.state(),
            since: phase.since,
            reason,
        }
    }

    /// The certificate that is shown, and its renewal.
    pub(crate) fn renewal(&self) -> &Renewal {
        &self.renewal
    }

    /// Renews the certificate for these names, or for those that are wanted.
    ///
    /// # Errors
    /// One sentence when it cannot be renewed, or nothing can be recorded as the gate is not open.
    pub(crate) fn renew_certificate(&self, names: &[String]) -> Result<(), String> {
        let keystore = match &self.lock().name {
            Name::Serving(serving) => Arc::clone(&serving.keystore),
            _ => return Err("the appliance does not serve".to_owned()),
        };
        self.renewal
            .now(names, &keystore)
            .map_err(|error| error.to_string())
    }

    /// The appliance's name.
    pub(crate) fn appliance(&self) -> &str {
        &self.config.name
    }

    /// The keystore's figures, while it is open and its storage can say.
    pub(crate) fn statistics(&self) -> Option<Statistics> {
        let keystore = match &self.lock().name {
            Name::Serving(serving) => Arc::clone(&serving.keystore),
            _ => return None,
        };
        keystore.statistics().ok()
    }

    /// The first domain's HSM, while the appliance serves.
    pub(crate) fn serving_hsm(&self) -> Option<Arc<dyn Hsm>> {
        match &self.lock().name {
            Name::Serving(serving) => Some(Arc::clone(&serving.hsm) as Arc<dyn Hsm>),
            _ => None,
        }
    }

    /// Whether nothing can be written because the disk is full.
    pub(crate) fn is_full(&self) -> bool {
        self.store.is_full()
    }

    /// How witnesses, receivers and the scrub are; nothing is known of them while it does not serve.
    pub(crate) fn watched(&self) -> Option<watch::Report> {
        match &self.lock().name {
            Name::Serving(serving) => Some(serving.watch.report()),
            _ => None,
        }
    }

    /// Has the scrub of a domain, the first one unless it is said, run as soon as it can. Answers whether the gate is open.
    pub(crate) fn scrub_soon(&self, domain: Option<&str>) -> bool {
        match &self.lock().name {
            Name::Serving(serving) => {
                let domain = domain.unwrap_or(&self.config.domain);
                serving.watch.scrub_soon(domain);
                true
            }
            _ => false,
        }
    }

    /// How many domains there are; none while it does not serve.
    pub(crate) fn tally(&self) -> Option<Tally> {
        self.domains().ok().map(|domains| domains.tally())
    }

    /// Each HSM, and what it is doing; nothing is known of that while the appliance is sealed.
    pub(crate) fn hsms(&self) -> Vec<(&Member, Option<MemberStatus>)> {
        let status = self.lock().hsm().map(|hsm| hsm.status());
        let mut status = status.unwrap_or_default().into_iter();
        self.estate
            .members()
            .map(|member| (member, status.next()))
            .collect()
    }
}

/// What the HSMs say, in one sentence.
pub(super) fn complaints(hsms: &[MemberStatus]) -> String {
    let said = hsms.iter().map(|hsm| match &hsm.state {
        HsmState::Probing => format!("{} is being opened", hsm.name),
        HsmState::Usable => format!("{} is usable", hsm.name),
        HsmState::Unusable { reason } => format!("{}: {reason}", hsm.name),
    });
    said.collect::<Vec<_>>().join("; ")
}
