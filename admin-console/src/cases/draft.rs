//! An order as the fields of a form, and back. What it may say is the keystore's to check; here values only get their types.

mod agency;
mod fields;
mod task;

use std::collections::BTreeMap;

use strongroom_wire::authorisation::{
    AuthorisationFlags, AuthorisationOrder, Direction, MOST_TASKS, Timespan, WarrantDocument,
};
use strongroom_wire::problem::{Code, Problem};

use self::agency::agency_text;
use super::describe;
use crate::form::Fields;
use crate::own::policy::{input, moment};

/// Seconds of the units in which a delay is typed.
const UNITS: [(&str, &str, u32); 3] = [
    ("days", "days", 86_400),
    ("hours", "hours", 3600),
    ("seconds", "seconds", 1),
];
const DIRECTIONS: [(Direction, &str); 3] = [
    (Direction::ToOrFrom, "to or from the person"),
    (Direction::To, "to the person"),
    (Direction::From, "from the person"),
];
const SCOPES: [(&str, &str); 3] = [
    ("messages", "Messages of a person in a window"),
    ("label", "All items of a person with a label"),
    ("item", "One data item"),
];

/// What the form holds, by field.
#[derive(Debug, Clone, Default)]
pub(super) struct Draft {
    said: BTreeMap<String, String>,
    pub(super) tasks: usize,
    pub(super) warrant: Option<WarrantDocument>,
}

/// The fields of a task, without their number.
const OF_TASK: [&str; 9] = [
    "task",
    "scope",
    "person",
    "direction",
    "counterparts",
    "label",
    "item",
    "from",
    "until",
];
const LINES: [&str; 18] = [
    "reference",
    "legal_type",
    "legal_basis",
    "jurisdiction",
    "type_of_case",
    "country_code",
    "issuing_authority",
    "validating_authority",
    "priority",
    "start",
    "end",
    "served",
    "necessity",
    "proportionality",
    "delay",
    "delay_unit",
    "delay_basis",
    "max_items",
];
const FLAGS: [&str; 3] = ["emergency", "consensual", "test"];

impl Draft {
    /// An empty one.
    pub(super) fn new() -> Self {
        let mut draft = Self {
            tasks: 1,
            ..Self::default()
        };
        draft.say("task-1", "1");
        draft.say("delay_unit", "days");
        draft
    }

    fn say(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.said.insert(name.into(), value.into());
    }

    fn said(&self, name: &str) -> &str {
        self.said.get(name).map_or("", String::as_str)
    }

    fn line(&self, name: &str) -> String {
        self.said(name).trim().to_owned()
    }

    fn optional(&self, name: &str) -> Option<String> {
        Some(self.line(name)).filter(|line| !line.is_empty())
    }

    fn has(&self, name: &str) -> bool {
        self.said(name) == "yes"
    }

    /// What was sent.
    pub(super) fn sent(fields: &Fields) -> Self {
        let mut draft = Self::default();
        for name in LINES {
            draft.say(name, fields.raw(name));
        }
        draft.say("agency", fields.raw("agency"));
        for flag in FLAGS {
            if fields.has("flags", flag) {
                draft.say(flag, "yes");
            }
        }
        let tasks = fields.one("tasks").parse().unwrap_or(1);
        draft.tasks = MOST_TASKS.min(tasks).max(1);
        for number in 1..=draft.tasks {
            for name in OF_TASK {
                let name = format!("{name}-{number}");
                let value = fields.raw(&name).to_owned();
                draft.say(name, value);
            }
        }
        draft.warrant = fields.some("warrant_sha256").map(|sha256| WarrantDocument {
            name: fields.one("warrant_name").to_owned(),
            media_type: fields.one("warrant_type").to_owned(),
            sha256: sha256.to_owned(),
        });
        draft
    }

    /// What an order says.
    pub(super) fn of(order: &AuthorisationOrder) -> Self {
        let mut draft = Self {
            tasks: order.tasks.len(),
            warrant: order.warrant.clone(),
            ..Self::default()
        };
        let optional = |text: &Option<String>| text.clone().unwrap_or_default();
        let delay = order.notification_delay;
        let unit = UNITS
            .iter()
            .find(|(_, _, seconds)| delay.is_multiple_of(*seconds));
        let (unit, _, seconds) = unit.copied().unwrap_or(UNITS[2]);
        for (name, value) in [
            ("reference", order.reference.clone()),
            ("legal_type", order.legal_type.clone()),
            ("legal_basis", order.legal_basis.clone()),
            ("jurisdiction", order.jurisdiction.clone()),
            ("type_of_case", optional(&order.type_of_case)),
            ("country_code", order.country_code.clone()),
            ("issuing_authority", order.issuing_authority.clone()),
            (
                "validating_authority",
                optional(&order.validating_authority),
            ),
            ("priority", describe::priority(order.priority).0.to_owned()),
            ("start", input(order.timespan.start)),
            ("end", input(order.timespan.end)),
            ("served", order.served.map(input).unwrap_or_default()),
            ("necessity", order.necessity.clone()),
            ("proportionality", order.proportionality.clone()),
            ("delay", (delay / seconds).to_string()),
            ("delay_unit", unit.to_owned()),
            ("delay_basis", optional(&order.notification_delay_basis)),
            ("max_items", order.max_items.to_string()),
            ("agency", agency_text(&order.agency_key)),
        ] {
            draft.say(name, value);
        }
        let flags = order.flags;
        for (name, set) in FLAGS
            .into_iter()
            .zip([flags.emergency, flags.consensual, flags.test])
        {
            if set {
                draft.say(name, "yes");
            }
        }
        for (at, task) in order.tasks.iter().enumerate() {
            draft.say_task(at + 1, task);
        }
        draft
    }

    /// One task more.
    pub(super) fn add_task(&mut self) {
        if self.tasks < MOST_TASKS {
            self.tasks += 1;
            let number = self.tasks;
            self.say(format!("task-{number}"), number.to_string());
        }
    }

    /// The order that it says.
    pub(super) fn order(&self) -> Result<AuthorisationOrder, Problem> {
        let time = |name: &str, what: &str| {
            moment(self.said(name))
                .ok_or_else(|| invalid(format!("“{what}” is no moment, such as 2027-01-15T08:00.")))
        };
        let priority = describe::PRIORITIES
            .into_iter()
            .find(|priority| describe::priority(*priority).0 == self.said("priority"));
        let tasks = (1..=self.tasks)
            .filter(|number| self.tasks == 1 || !self.is_blank(*number))
            .map(|number| self.task(number))
            .collect::<Result<Vec<_>, Problem>>()?;
        Ok(AuthorisationOrder {
            reference: self.line("reference"),
            legal_type: self.line("legal_type"),
            legal_basis: self.line("legal_basis"),
            jurisdiction: self.line("jurisdiction"),
            type_of_case: self.optional("type_of_case"),
            country_code: self.line("country_code").to_ascii_uppercase(),
            issuing_authority: self.line("issuing_authority"),
            validating_authority: self.optional("validating_authority"),
            priority: priority.unwrap_or_default(),
            flags: AuthorisationFlags {
                emergency: self.has("emergency"),
                consensual: self.has("consensual"),
                test: self.has("test"),
            },
            timespan: Timespan {
                start: time("start", "Disclosures from")?,
                end: time("end", "Disclosures until")?,
            },
            served: match self.optional("served") {
                Some(_) => Some(time("served", "Served")?),
                None => None,
            },
            warrant: self.warrant.clone(),
            necessity: self.said("necessity").trim().replace("\r\n", "\n"),
            proportionality: self.said("proportionality").trim().replace("\r\n", "\n"),
            notification_delay: self.delay()?,
            notification_delay_basis: self.optional("delay_basis"),
            agency_key: self.agency()?,
            max_items: self.line("max_items").parse().map_err(|_| {
                invalid(
                    "“At most so many items” is no number, or none that is possible.".to_owned(),
                )
            })?,
            tasks,
        })
    }

    fn delay(&self) -> Result<u32, Problem> {
        let unit = UNITS
            .iter()
            .find(|(unit, ..)| *unit == self.said("delay_unit"));
        let seconds = unit.map_or(1, |(_, _, seconds)| *seconds);
        let number = match self.optional("delay") {
            None => Some(0),
            Some(number) => number.parse::<u32>().ok(),
        };
        number
            .and_then(|number| number.checked_mul(seconds))
            .ok_or_else(|| {
                invalid(
                    "“Owners are told after” is no number, or none that is possible.".to_owned(),
                )
            })
    }
}

fn invalid(sentence: String) -> Problem {
    Problem::new(Code::Invalid, sentence)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

    use strongroom_wire::authorisation::AgencyKey;

    use super::*;

    const CERTIFICATE: &str = "MIIBwzCCAWmgAwIBAgIUCCWI5v2TODJue2lvVTEPDAhNuSIwCgYIKoZIzj0EAwIwNzELMAkGA1UEBhMCREUxFzAVBgNVBAoMDlBydTAwZmNmc3RlbGxlMQ8wDQYDVQQDDAZBZ2VuY3kwHhcNMjYxMTMwMDgwNjM4WhcNMjYxMjMwMDgwNjM4WjA3MQswCQYDVQQGEwJERTEXMBUGA1UECgwOUHJ1MDBmY2ZzdGVsbGUxDzANBgNVBAMMBkFnZW5jeTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABINAxqdv-ICedLgSMU-G8iz-O4KxvGVndPYdl8eXHzfYULc8czjhhxuzzkom-T2ppETlC0DL3E2LtqWxROYUHDSjUzBRMB0GA1UdDgQWBBQp1zOsoC0IPZ9dd03FvmelszE_yDAfBgNVHSMEGDAWgBQp1zOsoC0IPZ9dd03FvmelszE_yDAPBgNVHRMBAf8EBTADAQH_MAoGCCqGSM49BAMCA0gAMEUCIQDj6eg7rHGtlB_uktzl_hyFaeULmxVsKCAeRYiItKgROgIgNvWReqjVPWwnbVbm4T2WdQNl2CKGSaYIgPoPpi4EghA";

    fn order() -> AuthorisationOrder {
        serde_json::from_value(serde_json::json!({
            "reference": "GS 17/2027", "legal_type": "disclosure of stored content", "legal_basis": "StPO 269", "jurisdiction": "ZH",
            "type_of_case": "fraud", "country_code": "CH", "issuing_authority": "Staatsanwaltschaft", "validating_authority": "Gericht",
            "priority": "urgent", "flags": { "emergency": true, "test": true },
            "timespan": { "start": "2027-01-01T00:00:00Z", "end": "2027-02-01T12:34:56.789Z" }, "served": "2027-01-02T00:00:00Z",
            "warrant": { "name": "w.pdf", "media_type": "application/pdf", "sha256": "ab".repeat(32) },
            "necessity": "why\nindeed", "proportionality": "why so much", "notification_delay": 7200, "notification_delay_basis": "StPO 279",
            "agency_key": { "certificate": CERTIFICATE }, "max_items": 10,
            "tasks": [
                { "reference": "1", "scope": { "messages": { "person": "eve@example.com", "direction": "from", "counterparts": ["m@example.com"],
                    "window": { "start": "2026-11-01T00:00:00Z", "end": "2026-12-01T00:00:00Z" } } } },
                { "reference": "2", "scope": { "label": { "owner": "eve@example.com", "label": "plans" } } },
                { "reference": "3", "scope": { "item": { "item": "01939c2f-1a00-7a11-8111-111111111111" } } },
            ],
        }))
        .unwrap()
    }

    #[test]
    fn an_order_survives_its_form() {
        let order = order();
        let draft = Draft::of(&order);
        assert_eq!(draft.order().unwrap(), order);
        // As a browser sends it.
        let mut pairs: Vec<(String, String)> = draft
            .said
            .iter()
            .filter(|(name, _)| !FLAGS.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), value.replace('\n', "\r\n")))
            .collect();
        for (name, value) in [
            ("tasks", "3"),
            ("flags", "emergency"),
            ("flags", "test"),
            ("warrant_name", "w.pdf"),
            ("warrant_type", "application/pdf"),
            ("warrant_sha256", &"ab".repeat(32)),
        ] {
            pairs.push((name.to_owned(), value.to_owned()));
        }
        let sent = Draft::sent(&Fields::of(&pairs));
        assert_eq!(sent.order().unwrap(), order);
        // A task that was added and left empty is none.
        let mut more = sent.clone();
        more.add_task();
        assert_eq!(more.order().unwrap(), order);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let with = |name: &str, value: &str| {
            let mut draft = Draft::of(&order());
            draft.say(name, value);
            draft.order().unwrap_err().detail
        };
        for (name, value, said) in [
            ("start", "soon", "Disclosures from"),
            ("max_items", "many", "no number"),
            ("delay", "-1", "Owners are told after"),
            ("delay", "4294967295", "Owners are told after"),
            ("agency", "", "there is none"),
            ("agency", "nonsense!", "Nothing can be sealed"),
            ("direction-1", "sideways", "Task 1: choose which way"),
            ("until-1", "", "Task 1: say from when"),
            ("item-3", "x", "Task 3: the item"),
            ("scope-2", "", "Task 2: choose what"),
        ] {
            let detail = with(name, value);
            assert!(detail.contains(said), "{name} {value}: {detail}");
        }
    }

    #[test]
    fn certificates_are_taken_as_they_come() {
        let mut draft = Draft::of(&order());
        let pem = draft.said("agency").to_owned();
        assert!(pem.starts_with("-----BEGIN CERTIFICATE-----\nMIIB"));
        let expected = order().agency_key;
        for text in [CERTIFICATE.to_owned(), pem.replace('\n', "\r\n")] {
            draft.say("agency", text);
            assert_eq!(draft.order().unwrap().agency_key, expected);
        }
        let AgencyKey::Certificate(der) = &expected else {
            panic!("a certificate");
        };
        draft.set_agency(&der.0);
        assert_eq!(draft.said("agency"), pem);
    }
}
