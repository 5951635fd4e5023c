//! When and from where sessions were last used.
//!
//! Every request is a use, and none of them waits for a durable write because of it: uses are noted in memory, and those since the last time
//! are written together once in a while (`Keystore::forget_expired`). After a kill, a session counts as last used when that was last written:
//! it may end by idleness earlier than it should, never later.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::SessionId;
use strongroom_wire::policy::DomainPolicy;

use crate::act::{Scope, View};
use crate::error::Error;
use crate::store::SessionRecord;

/// A session's last use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Use {
    pub(crate) at: Timestamp,
    pub(crate) from: IpAddr,
}

/// The last uses of the sessions that were used since the appliance started.
pub(crate) struct Uses {
    idle_lifetime: Duration,
    held: Mutex<HashMap<SessionId, Noted>>,
}

struct Noted {
    last: Use,
    /// Whether the database has it.
    kept: bool,
}

impl Default for Uses {
    fn default() -> Self {
        Self::new(Duration::MAX)
    }
}

impl Uses {
    /// With sessions that end when they are not used for so long.
    pub(crate) fn new(idle_lifetime: Duration) -> Self {
        Self {
            idle_lifetime,
            held: Mutex::default(),
        }
    }

    /// Sessions last used at this moment or before have ended by idleness now.
    pub(crate) fn idle_since(&self, now: Timestamp) -> Timestamp {
        let idle = u64::try_from(self.idle_lifetime.as_millis()).unwrap_or(u64::MAX);
        Timestamp::from_millis(now.as_millis().saturating_sub(idle))
    }

    /// When a session that is last used at this moment ends by idleness.
    pub(crate) fn idle_end(&self, used: Timestamp) -> Timestamp {
        used.plus_seconds(self.idle_lifetime.as_secs())
    }

    /// A session's last use, if it was used since the appliance started.
    pub(crate) fn last(&self, session: SessionId) -> Option<Use> {
        self.held().get(&session).map(|noted| noted.last)
    }

    /// Notes a use.
    pub(crate) fn note(&self, session: SessionId, used: Use) {
        let noted = Noted {
            last: used,
            kept: false,
        };
        let mut held = self.held();
        let known = held.entry(session).or_insert(noted);
        if known.last.at < used.at {
            *known = Noted {
                last: used,
                kept: false,
            };
        }
    }

    /// The uses that the database does not have yet.
    pub(crate) fn unkept(&self) -> Vec<(SessionId, Use)> {
        let held = self.held();
        let unkept = held.iter().filter(|(_, noted)| !noted.kept);
        unkept
            .map(|(session, noted)| (*session, noted.last))
            .collect()
    }

    /// The database has these now.
    pub(crate) fn were_kept(&self, uses: &[(SessionId, Use)]) {
        let mut held = self.held();
        for (session, used) in uses {
            if let Some(noted) = held.get_mut(session) {
                noted.kept = noted.last == *used;
            }
        }
    }

    /// Sessions that have ended by idleness are forgotten, once the database has their last use.
    pub(crate) fn forget_ended(&self, now: Timestamp) {
        let idle_since = self.idle_since(now);
        self.held()
            .retain(|_, noted| !noted.kept || noted.last.at > idle_since);
    }

    fn held(&self) -> MutexGuard<'_, HashMap<SessionId, Noted>> {
        // A panic while the map was held leaves a whole map behind.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets a session in whose record has been checked, unless it ended by idleness or is used from elsewhere, and notes the use.
pub(crate) fn admit(
    view: &View<'_>,
    session: &SessionRecord,
    policy: &DomainPolicy,
    source: IpAddr,
) -> Result<(), Error> {
    let uses = &view.domain.uses;
    let last = last_use(view, session)?;
    if last.at <= uses.idle_since(view.now) {
        return Err(Error::NotSignedIn);
    }
    let opened_from: IpAddr = session
        .source
        .parse()
        .map_err(|_| Error::Integrity("session"))?;
    if policy.bind_sessions_to_address && !same_place(opened_from, source) {
        return Err(Error::SessionElsewhere(session.account, session.id));
    }
    uses.note(
        session.id,
        Use {
            at: view.now,
            from: source,
        },
    );
    Ok(())
}

/// A session's last use, by memory or else by its record, which is checked.
pub(crate) fn last_use(view: &View<'_>, session: &SessionRecord) -> Result<Use, Error> {
    if let Some(last) = view.domain.uses.last(session.id) {
        return Ok(last);
    }
    view.domain.check_session_use(session)?;
    let from = session
        .seen_from
        .parse()
        .map_err(|_| Error::Integrity("session"))?;
    Ok(Use {
        at: session.seen,
        from,
    })
}

/// Writes uses into the sessions' records. Sessions that are gone, and those that do not match their seal, are left.
pub(crate) fn keep_uses(scope: &mut Scope<'_>, uses: &[(SessionId, Use)]) -> Result<(), Error> {
    for (session, used) in uses {
        let Ok(Some(mut session)) = scope.tx.session_with(*session) else {
            continue;
        };
        session.seen = used.at;
        session.seen_from = used.from.to_string();
        scope.domain.authenticate_session_use(&mut session);
        scope.tx.note_use(&session)?;
    }
    Ok(())
}

/// Whether two addresses are one host's: the same, or for IPv6 of the same /64, of which one host has all.
fn same_place(a: IpAddr, b: IpAddr) -> bool {
    match (a, b) {
        (IpAddr::V6(a), IpAddr::V6(b)) => a.segments()[..4] == b.segments()[..4],
        (a, b) => a == b,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn used(seconds: u64) -> Use {
        Use {
            at: Timestamp::from_millis(seconds * 1000),
            from: IpAddr::from([192, 0, 2, 1]),
        }
    }

    #[test]
    fn the_last_use_counts_and_is_written_once() {
        let uses = Uses::new(Duration::from_mins(1));
        let session = SessionId::generate();
        assert_eq!(uses.last(session), None);
        for second in [10, 30, 20] {
            uses.note(session, used(second));
        }
        assert_eq!(uses.last(session), Some(used(30)));

        let unkept = uses.unkept();
        assert_eq!(unkept, [(session, used(30))]);
        // Used again while that was being written.
        uses.note(session, used(31));
        uses.were_kept(&unkept);
        assert_eq!(uses.unkept(), [(session, used(31))]);
        uses.were_kept(&uses.unkept());
        assert!(uses.unkept().is_empty());

        // It is remembered until it has ended.
        uses.forget_ended(used(90).at);
        assert!(uses.last(session).is_some());
        uses.forget_ended(used(91).at);
        assert_eq!(uses.last(session), None);
    }

    #[test]
    fn one_host_is_one_place() {
        let same = |a: &str, b: &str| same_place(a.parse().unwrap(), b.parse().unwrap());
        assert!(same("192.0.2.1", "192.0.2.1"));
        assert!(!same("192.0.2.1", "192.0.2.2"));
        assert!(same("2001:db8:1:2::1", "2001:db8:1:2:ffff::"));
        assert!(!same("2001:db8:1:2::1", "2001:db8:1:3::1"));
        assert!(!same("::1", "127.0.0.1"));
    }
}
