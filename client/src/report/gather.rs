//! What a report says of a bundle.

use std::collections::{BTreeMap, HashMap};

use strongroom_audit::bundle::{Document, Header, Seen};
use strongroom_audit::{Checkpoint, Event};
use strongroom_wire::audit::Act;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::AccountId;

/// A day in milliseconds.
pub(super) const DAY: u64 = 86_400_000;
/// So many accounts are counted one by one; the acts of further ones count as those of others.
const ACCOUNTS: usize = 100_000;
/// So many documents are listed.
const DOCUMENTS: usize = 2000;

/// How often something was done and was refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) done: u64,
    pub(super) refused: u64,
}

/// A document of a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) leaf: u64,
    pub(super) kind: &'static str,
    pub(super) sha256: String,
    pub(super) bytes: usize,
}

/// What a report says, gathered from what the lines of a bundle say. Records are kept up to a limit; of all that are shown in full, counts by act, by account and by
/// day are.
///
/// ```
/// use strongroom_audit::{LogKey, bundle::Trust};
/// use strongroom_client::audit::bundle::verify;
/// use strongroom_client::report::Gathered;
///
/// let mut gathered = Gathered::new(1000);
/// let trust = Trust { keys: vec![LogKey::only("the verifier key that one was given")], previous: None };
/// verify(&b"no bundle\n"[..], trust, |seen, _| gathered.take(seen))?;
/// # Ok::<(), strongroom_client::ClientError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Gathered {
    limit: usize,
    pub(super) header: Option<Header>,
    pub(super) checkpoint: Option<Checkpoint>,
    pub(super) earlier: Vec<Checkpoint>,
    pub(super) names: HashMap<AccountId, String>,
    pub(super) records: Vec<(u64, Event)>,
    pub(super) documents: Vec<Listed>,
    pub(super) documents_left: u64,
    pub(super) by_act: BTreeMap<u16, Count>,
    pub(super) by_actor: HashMap<Option<AccountId>, Count>,
    pub(super) by_day: BTreeMap<u64, Count>,
    /// By act's number and day.
    pub(super) days_of_acts: BTreeMap<(u16, u64), u64>,
    pub(super) total: Count,
    /// The leaf that came last.
    latest: u64,
}

impl Gathered {
    /// Nothing yet; so many records will be kept.
    ///
    /// ```
    /// use strongroom_client::report::Gathered;
    ///
    /// let pictures_alone = Gathered::new(0);
    /// ```
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            ..Self::default()
        }
    }

    /// Takes what a line of the bundle says.
    ///
    /// ```
    /// use strongroom_audit::bundle::Seen;
    /// use strongroom_client::report::Gathered;
    ///
    /// let mut gathered = Gathered::new(1000);
    /// gathered.take(&Seen::Nothing); // each line of a bundle in turn
    /// ```
    pub fn take(&mut self, seen: &Seen) {
        match seen {
            Seen::Header(header) => self.header = Some(header.clone()),
            Seen::Checkpoint(checkpoint) if self.checkpoint.is_none() => {
                self.checkpoint = Some(checkpoint.clone());
            }
            Seen::Checkpoint(checkpoint) => self.earlier.push(checkpoint.clone()),
            Seen::Name(line) => {
                self.names.insert(line.account, line.name.clone());
            }
            Seen::Document(document) => self.list(document),
            Seen::Record { index, event } => self.count(*index, event),
            _ => {}
        }
    }

    fn count(&mut self, index: u64, event: &Event) {
        self.latest = index;
        // A key of the log is told of whatever was asked for.
        let asked = self
            .header
            .as_ref()
            .is_none_or(|header| header.filter.takes(event));
        if !asked {
            return;
        }
        let act = event.act.number();
        let day = event.time.as_millis() / DAY;
        let actor = event.detail.actor;
        let known = self.by_actor.len() < ACCOUNTS || self.by_actor.contains_key(&actor);
        for count in [
            &mut self.total,
            self.by_act.entry(act).or_default(),
            self.by_day.entry(day).or_default(),
            self.by_actor.entry(actor.filter(|_| known)).or_default(),
        ] {
            count.add(event.done);
        }
        *self.days_of_acts.entry((act, day)).or_default() += 1;
        if self.records.len() < self.limit {
            self.records.push((index, event.clone()));
        }
    }

    fn list(&mut self, document: &Document) {
        if self.documents.len() >= DOCUMENTS {
            self.documents_left += 1;
            return;
        }
        self.documents.push(Listed {
            leaf: self.latest,
            kind: document.kind.as_str(),
            sha256: document.sha256.clone(),
            bytes: document.content.0.len(),
        });
    }

    /// What an account is called, or its identifier.
    pub(super) fn name(&self, account: AccountId) -> String {
        let name = self.names.get(&account);
        name.cloned().unwrap_or_else(|| account.to_string())
    }

    /// The acts there are, the most frequent first.
    pub(super) fn acts(&self) -> Vec<(Act, Count)> {
        let mut acts: Vec<(Act, Count)> = self
            .by_act
            .iter()
            .filter_map(|(number, count)| Some((Act::from_number(*number)?, *count)))
            .collect();
        acts.sort_by_key(|(act, count)| (u64::MAX - count.all(), act.number()));
        acts
    }

    /// Who acted, the most active first.
    pub(super) fn actors(&self) -> Vec<(Option<AccountId>, Count)> {
        let mut actors: Vec<_> = self
            .by_actor
            .iter()
            .map(|(account, count)| (*account, *count))
            .collect();
        actors.sort_by_key(|(account, count)| (u64::MAX - count.all(), *account));
        actors
    }

    /// The first and the last moment of the pictures: those of the period, where the bundle is of one, or of the records.
    pub(super) fn span(&self) -> Option<(u64, u64)> {
        let filter = self.header.as_ref().map(|header| &header.filter)?;
        let first = self.by_day.first_key_value().map(|(day, _)| day * DAY);
        let last = self.by_day.last_key_value().map(|(day, _)| (day + 1) * DAY);
        let from = filter.from.map(Timestamp::as_millis).or(first)?;
        let to = filter.to.map(Timestamp::as_millis).or(last)?;
        (from < to).then_some((from, to))
    }
}

impl Count {
    /// Both together.
    pub(super) const fn all(self) -> u64 {
        self.done + self.refused
    }

    pub(super) fn add(&mut self, done: bool) {
        if done {
            self.done += 1;
        } else {
            self.refused += 1;
        }
    }
}

/// The week that a day is in: its Monday, in days since 1970.
pub(super) const fn monday(day: u64) -> u64 {
    // 1970-01-01 was a Thursday.
    day.saturating_sub((day + 3) % 7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_begin_on_mondays() {
        let date = |day: u64| Timestamp::from_millis(day * DAY).to_string()[..10].to_owned();
        // 2026-11-30 is a Monday.
        let day = 1_795_996_800_000 / DAY;
        assert_eq!(date(day), "2026-11-30");
        for later in 0..7 {
            assert_eq!(monday(day + later), day);
        }
        assert_eq!(monday(day + 7), day + 7);
        assert_eq!(monday(0), 0);
    }
}
