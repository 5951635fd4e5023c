//! A leaf as a syslog message (RFC 5424), with structured data or in the Common Event Format, in the framing of RFC 5425.

use std::fmt::Write as _;
use std::net::IpAddr;

use strongroom_audit::{Detail, Event};
use strongroom_keystore::FedLeaf;
use strongroom_wire::audit::Act;
use strongroom_wire::encoding::Timestamp;

use crate::config::SiemFormat;
use crate::syslog::{frame, one_line, parameter, printable};

/// The name of the structured data: `leaf`, under the private enterprise number that RFC 5612 keeps for examples, as the project has none.
const ELEMENT: &str = "leaf@32473";
/// The longest name of a host in a message (RFC 5424 section 6.2.4).
const LONGEST_HOST: usize = 255;

/// What the messages of one feed have in common.
#[derive(Debug, Clone)]
pub(super) struct Style {
    pub(super) format: SiemFormat,
    pub(super) facility: u8,
    /// The appliance's name.
    pub(super) host: String,
}

/// How serious something is (RFC 5424 section 6.2.1), and on the scale of CEF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Severity {
    Critical,
    Warning,
    Notice,
    Informational,
}

impl Severity {
    fn of(event: &Event) -> Self {
        let note = event.detail.note.as_deref().unwrap_or_default();
        match event.act {
            Act::AuditScrub => Self::Critical,
            _ if !event.done && note.starts_with("integrity-failure") => Self::Critical,
            _ if !event.done => Self::Warning,
            Act::KeyRelease
            | Act::KeySign
            | Act::KeyVerify
            | Act::KeyEncrypt
            | Act::KeyDecrypt
            | Act::KeyDerive
            | Act::SessionOpen
            | Act::SessionEnd
            | Act::SessionStepUp
            | Act::ObjectPut
            | Act::MailSend => Self::Informational,
            _ => Self::Notice,
        }
    }

    const fn syslog(self) -> u8 {
        match self {
            Self::Critical => 2,
            Self::Warning => 4,
            Self::Notice => 5,
            Self::Informational => 6,
        }
    }

    const fn cef(self) -> u8 {
        match self {
            Self::Critical => 10,
            Self::Warning => 6,
            Self::Notice => 4,
            Self::Informational => 2,
        }
    }
}

impl Style {
    /// A frame with the message of a leaf of this domain: its length in decimal, a space, and the message.
    pub(super) fn frame(&self, domain: &str, leaf: &FedLeaf) -> Vec<u8> {
        frame(&self.message(domain, leaf))
    }

    fn message(&self, domain: &str, leaf: &FedLeaf) -> String {
        let (severity, time, act) = match &leaf.event {
            Some(event) => (
                Severity::of(event),
                event.time.to_string(),
                event.act.as_str(),
            ),
            // The leaf was altered: that it is there is all that can be said.
            None => (Severity::Critical, "-".to_owned(), "unreadable"),
        };
        let priority = u32::from(self.facility) * 8 + u32::from(severity.syslog());
        let host = printable(&self.host, LONGEST_HOST);
        let mut message = format!("<{priority}>1 {time} {host} strongroomd - {act} ");
        match self.format {
            SiemFormat::Rfc5424 => {
                element(&mut message, domain, leaf);
                message.push(' ');
                message.push_str(&sentence(leaf));
            }
            SiemFormat::Cef => {
                message.push_str("- ");
                cef(&mut message, domain, leaf, severity);
            }
        }
        message
    }
}

fn sentence(leaf: &FedLeaf) -> String {
    let Some(event) = &leaf.event else {
        return format!("leaf {} of the audit log cannot be read", leaf.index);
    };
    let outcome = if event.done { "done" } else { "refused" };
    match &event.detail.note {
        Some(note) => format!("{} {outcome}: {}", event.act, one_line(note)),
        None => format!("{} {outcome}", event.act),
    }
}

/// The members of a leaf that are there, under the names of `GET /v1/audit`.
fn members(leaf: &FedLeaf) -> Vec<(&'static str, String)> {
    let Some(Event {
        act, done, detail, ..
    }) = &leaf.event
    else {
        return Vec::new();
    };
    let Detail {
        actor,
        session,
        source,
        subject,
        key,
        key_version,
        owner,
        grant,
        note,
        ..
    } = detail;
    let mut members = vec![("act", act.to_string()), ("done", done.to_string())];
    let mut put = |name, value: Option<String>| members.extend(value.map(|value| (name, value)));
    put("actor", actor.map(|id| id.to_string()));
    put("session", session.map(|id| id.to_string()));
    put("source", source.map(|address| address.to_string()));
    put("subject", subject.map(|id| id.to_string()));
    put("key", key.map(|id| id.to_string()));
    put(
        "key_version",
        key_version.map(|version| version.to_string()),
    );
    put("owner", owner.map(|id| id.to_string()));
    put("grant", grant.map(|id| id.to_string()));
    put("note", note.clone());
    members
}

/// Structured data (RFC 5424 section 6.3).
fn element(to: &mut String, domain: &str, leaf: &FedLeaf) {
    let _ = write!(to, "[{ELEMENT}");
    let mut put = |name: &str, value: &str| parameter(to, name, value);
    put("domain", domain);
    put("index", &leaf.index.to_string());
    put("hash", &hex::encode(leaf.hash));
    for (name, value) in members(leaf) {
        put(name, &value);
    }
    to.push(']');
}

/// The Common Event Format, version 0.
fn cef(to: &mut String, domain: &str, leaf: &FedLeaf, severity: Severity) {
    let act = leaf.event.as_ref().map(|event| event.act);
    let number = act.map_or(0, Act::number);
    let name = act.map_or("unreadable", Act::as_str);
    let _ = write!(
        to,
        "CEF:0|Strongroom|strongroomd|{}|{number}|{name}|{}|",
        env!("CARGO_PKG_VERSION"),
        severity.cef()
    );
    let mut first = true;
    let mut put = |name: &str, value: &str| {
        if !std::mem::take(&mut first) {
            to.push(' ');
        }
        let _ = write!(to, "{name}=");
        for c in value.chars() {
            match c {
                '=' | '\\' => to.extend(['\\', c]),
                '\n' => to.push_str("\\n"),
                c if c.is_control() => to.push(' '),
                c => to.push(c),
            }
        }
    };
    put("externalId", &leaf.index.to_string());
    put("dvchost", domain);
    put("cs6Label", "leafHash");
    put("cs6", &hex::encode(leaf.hash));
    let Some(event) = &leaf.event else {
        return;
    };
    put("rt", &Timestamp::as_millis(event.time).to_string());
    put("outcome", if event.done { "success" } else { "failure" });
    let detail = &event.detail;
    if let Some(actor) = detail.actor {
        put("suid", &actor.to_string());
    }
    match detail.source {
        Some(IpAddr::V4(address)) => put("src", &address.to_string()),
        Some(IpAddr::V6(address)) => {
            put("c6a2Label", "Source IPv6 Address");
            put("c6a2", &address.to_string());
        }
        None => {}
    }
    if let Some(subject) = detail.subject {
        put("duid", &subject.to_string());
    }
    let mut labelled = |key: &str, label: &str, value: Option<String>| {
        if let Some(value) = value {
            put(&format!("{key}Label"), label);
            put(key, &value);
        }
    };
    labelled("cs1", "key", detail.key.map(|id| id.to_string()));
    labelled(
        "cn1",
        "keyVersion",
        detail.key_version.map(|version| version.to_string()),
    );
    labelled("cs2", "owner", detail.owner.map(|id| id.to_string()));
    labelled("cs3", "grant", detail.grant.map(|id| id.to_string()));
    labelled("cs4", "session", detail.session.map(|id| id.to_string()));
    if let Some(note) = &detail.note {
        put("msg", note);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use strongroom_wire::id::{AccountId, KeyId};

    use super::*;

    fn leaf(done: bool, note: &str) -> FedLeaf {
        FedLeaf {
            index: 12,
            hash: [0xab; 32],
            event: Some(Event {
                time: Timestamp::from_millis(1_795_802_400_123),
                act: Act::KeyRelease,
                done,
                detail: Detail {
                    actor: Some(AccountId::from_bytes([1; 16])),
                    source: Some("192.0.2.7".parse().unwrap()),
                    key: Some(KeyId::from_bytes([2; 16])),
                    key_version: Some(3),
                    note: Some(note.to_owned()),
                    ..Detail::default()
                },
            }),
        }
    }

    fn message(format: SiemFormat, leaf: &FedLeaf) -> String {
        let style = Style {
            format,
            facility: 13,
            host: "keys.example.com".to_owned(),
        };
        let frame = String::from_utf8(style.frame("default", leaf)).unwrap();
        let (length, message) = frame.split_once(' ').unwrap();
        assert_eq!(length.parse::<usize>().unwrap(), message.len());
        message.to_owned()
    }

    const ACTOR: &str = "01010101-0101-0101-0101-010101010101";
    const KEY: &str = "02020202-0202-0202-0202-020202020202";

    #[test]
    fn a_leaf_is_structured_data() {
        let hash = "ab".repeat(32);
        assert_eq!(
            message(SiemFormat::Rfc5424, &leaf(true, "mail")),
            format!(
                "<110>1 2026-11-27T18:00:00.123Z keys.example.com strongroomd - key.release [leaf@32473 domain=\"default\" index=\"12\" hash=\"{hash}\" act=\"key.release\" done=\"true\" actor=\"{ACTOR}\" source=\"192.0.2.7\" key=\"{KEY}\" key_version=\"3\" note=\"mail\"] key.release done: mail"
            )
        );
        let hostile = message(SiemFormat::Rfc5424, &leaf(false, "a\"b]c\\d\ne é"));
        assert!(hostile.starts_with("<108>1 "), "{hostile}");
        assert!(
            hostile.contains(r#"note="a\"b\]c\\d e é"] key.release refused: a"b]c\d e é"#),
            "{hostile}"
        );
    }

    #[test]
    fn a_leaf_is_a_common_event() {
        let hash = "ab".repeat(32);
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            message(SiemFormat::Cef, &leaf(false, "a=b|c\\d\ne")),
            format!(
                "<108>1 2026-11-27T18:00:00.123Z keys.example.com strongroomd - key.release - CEF:0|Strongroom|strongroomd|{version}|31|key.release|6|externalId=12 dvchost=default cs6Label=leafHash cs6={hash} rt=1795802400123 outcome=failure suid={ACTOR} src=192.0.2.7 cs1Label=key cs1={KEY} cn1Label=keyVersion cn1=3 msg=a\\=b|c\\\\d\\ne"
            )
        );
    }

    #[test]
    fn what_is_grave_is_marked_so() {
        let critical = message(SiemFormat::Cef, &leaf(false, "integrity-failure"));
        assert!(
            critical.starts_with("<106>1 ") && critical.contains("|10|"),
            "{critical}"
        );
        let unreadable = FedLeaf {
            event: None,
            ..leaf(true, "")
        };
        let unreadable = message(SiemFormat::Rfc5424, &unreadable);
        assert!(
            unreadable.starts_with("<106>1 - keys.example.com strongroomd - unreadable ["),
            "{unreadable}"
        );
    }

    #[test]
    fn a_header_has_no_spaces() {
        assert_eq!(printable("a b\u{7}c", 255), "abc");
        assert_eq!(printable("é", 255), "-");
        assert_eq!(printable(&"x".repeat(300), 255).len(), 255);
    }
}
