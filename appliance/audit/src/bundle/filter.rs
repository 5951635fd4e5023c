//! Which leaves of its range a bundle shows in full.

use serde::{Deserialize, Serialize};
use strongroom_wire::audit::Act;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::{AccountId, KeyId};

use crate::event::Event;

/// What a leaf must be to be shown in full: all that is said. A filter that says nothing lets every leaf through.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Not before this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Before this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
    /// Of this act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Act>,
    /// Of this case: its note begins with `case`, a space and this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<String>,
    /// With this account as actor, subject or owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// About this key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyId>,
    /// The bundle is for this account, and shows nothing but what concerns it: other leaves are hidden. Without it, every leaf of the range shows at least
    /// its envelope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concerning: Option<AccountId>,
}

impl Filter {
    /// Whether the leaf of this event is to be shown in full.
    #[must_use]
    pub fn takes(&self, event: &Event) -> bool {
        let detail = &event.detail;
        let concerns =
            |account| [detail.actor, detail.subject, detail.owner].contains(&Some(account));
        self.takes_outside(event.time, event.act)
            && self.key.is_none_or(|key| detail.key == Some(key))
            && self.account.is_none_or(concerns)
            && self.concerning.is_none_or(concerns)
            && self
                .case
                .as_deref()
                .is_none_or(|case| case_of(event) == Some(case))
    }

    /// Whether a leaf with this envelope may be one to be shown in full.
    #[must_use]
    pub fn takes_outside(&self, time: Timestamp, act: Act) -> bool {
        self.from.is_none_or(|from| time >= from)
            && self.to.is_none_or(|to| time < to)
            && self.act.is_none_or(|wanted| act == wanted)
    }

    /// Whether a leaf's envelope alone decides.
    #[must_use]
    pub const fn is_outside_only(&self) -> bool {
        self.case.is_none()
            && self.account.is_none()
            && self.key.is_none()
            && self.concerning.is_none()
    }
}

/// The case that an event belongs to.
#[must_use]
pub fn case_of(event: &Event) -> Option<&str> {
    let rest = event.detail.note.as_deref()?.strip_prefix("case ")?;
    rest.split(' ').next()
}
