//! Changing the domain's policy: a form, then what it will change, in words, then the change.

use actix_web::HttpResponse;
use strongroom_wire::authorisation::LawfulPolicy;
use strongroom_wire::invitation::AccountPolicy;
use strongroom_wire::operation::Mechanism;
use strongroom_wire::policy::DomainPolicy;
use strongroom_wire::problem::{Code, Problem};
use strongroom_wire::proposal::ProposedRequest;

use super::policy::{policy_of, said};
use super::quorums;
use crate::form::Sent;
use crate::office::status;
use crate::own::policy as usage;
use crate::pieces::{Card, Choice, Field, Form, Html, button, list as bullets};
use crate::proposals;
use crate::reader::{Page, Reader, failed};
use crate::show;
use crate::stop::{Stop, problem_note};

type Answer = Result<HttpResponse, Stop>;

const HERE: &str = "/policy/change";
/// What a page shows: the policy as it was when the form was made, and the one that is asked for.
const BEFORE: &str = "before";
const AFTER: &str = "after";

pub(super) async fn show(reader: Reader) -> Answer {
    let domain = policy_of(&reader).await?;
    reader.require_recent()?;
    let witnesses = witnesses_of(&reader).await?;
    let entered = Entered::of(&domain);
    Ok(form_page(&reader, &entered, witnesses, None, None))
}

/// How many witnesses the configuration names.
async fn witnesses_of(reader: &Reader) -> Result<usize, Stop> {
    let figures = reader
        .ask(|keystore, caller| keystore.figures(caller, 1))
        .await?;
    Ok(figures.witnesses.len())
}

/// What stands in the form's fields.
struct Entered {
    usage: Vec<Field>,
    legacy: Vec<Mechanism>,
    bind: bool,
    /// The fields of text, by their names.
    texts: Vec<(&'static str, String)>,
}

/// The fields of text.
const TEXTS: [&str; 10] = [
    "step_up_within",
    "recovery_delay",
    "inviters",
    "invitees",
    "per_day",
    "lifetime",
    "quorums",
    "approvals",
    "ratify_within",
    "witnesses",
];

impl Entered {
    fn of(domain: &DomainPolicy) -> Self {
        let accounts = &domain.accounts;
        let rules: Vec<String> = domain.quorums.iter().map(quorums::line).collect();
        let texts = [
            domain.step_up_within.to_string(),
            accounts.recovery_delay.to_string(),
            accounts.inviters.join("\n"),
            accounts.invitees.join("\n"),
            accounts.invitations_per_day.to_string(),
            accounts.invitation_lifetime.to_string(),
            rules.join("\n"),
            domain.lawful.approvals.to_string(),
            domain.lawful.ratify_within.to_string(),
            domain.witnesses.to_string(),
        ];
        Self {
            usage: usage::fields(&domain.usage),
            legacy: domain.legacy_mechanisms.clone(),
            bind: domain.bind_sessions_to_address,
            texts: TEXTS.into_iter().zip(texts).collect(),
        }
    }

    fn sent(sent: &Sent) -> Self {
        Self {
            usage: usage::sent_fields(sent),
            legacy: sent_legacy(sent),
            bind: sent.has("bind", "yes"),
            texts: TEXTS
                .into_iter()
                .map(|name| (name, sent.one(name).to_owned()))
                .collect(),
        }
    }

    fn text(&self, name: &str) -> &str {
        self.texts
            .iter()
            .find(|(known, _)| *known == name)
            .map_or("", |(_, text)| text)
    }
}

/// The legacy mechanisms that a form names.
fn sent_legacy(sent: &Sent) -> Vec<Mechanism> {
    Mechanism::LEGACY
        .into_iter()
        .filter(|mechanism| sent.has("legacy", mechanism.as_str()))
        .collect()
}

fn heading(text: &str) -> Html {
    Html::fixed(format!("<h2>{}</h2>", Html::from(text)))
}

fn form_page(
    reader: &Reader,
    entered: &Entered,
    witnesses: usize,
    refused: Option<&Problem>,
    wanted: Option<DomainPolicy>,
) -> HttpResponse {
    let mut form = Form::new(HERE, &reader.frame.form_token, "See what it changes").back("/policy");
    form = form.piece(heading("Use of every key"));
    for piece in usage::pieces(&entered.usage) {
        form = form.piece(piece);
    }
    form = form.field(Field::checks(
        "legacy",
        "Legacy mechanisms that keys may be used by",
        Mechanism::LEGACY
            .into_iter()
            .map(|mechanism| {
                let name = mechanism.as_str();
                Choice::new(name, name, entered.legacy.contains(&mechanism))
            })
            .collect(),
    ));
    form = form.piece(heading("Sessions")).field(Field::checks(
        "bind",
        "Address",
        vec![
            Choice::new(
                "yes",
                "Refuse a session that is used from another address",
                entered.bind,
            )
            .hint("Devices that move change their address."),
        ],
    ));
    for (part, fields) in [
        ("", session_fields()),
        ("Accounts", account_fields()),
        ("Acts that take several people", quorum_fields()),
        ("Lawful access", lawful_fields(witnesses)),
    ] {
        if !part.is_empty() {
            form = form.piece(heading(part));
        }
        for (name, field) in fields {
            form = form.field(field.value(entered.text(name)));
        }
    }
    let mut page = Page::new(&reader.frame, "Change the domain policy")
        .under("/policy", "Domain policy")
        .intro("It holds at once, for every key and every account. Where it is stricter than an owner's policy, it wins. \
             What it changes is shown before anything is set.");
    if let Some(problem) = refused {
        page = page.block(problem_note(problem, HERE).html());
    }
    if let Some(policy) = wanted {
        let request = ProposedRequest::DomainPolicy {
            policy: Box::new(policy),
        };
        page = page.block(proposals::offer(
            &reader.frame.form_token,
            refused,
            &request,
        ));
    }
    page.block(Card::new("").body(form.html()).html())
        .answer_with(status(refused))
}

type Named = (&'static str, Field);

fn number(name: &'static str, label: &'static str) -> Named {
    (name, Field::number(name, label))
}

fn hinted((name, field): Named, hint: impl Into<String>) -> Named {
    (name, field.hint(hint))
}

fn area(name: &'static str, label: &'static str, hint: impl Into<String>) -> Named {
    hinted((name, Field::area(name, label)), hint)
}

fn session_fields() -> Vec<Named> {
    vec![hinted(
        number("step_up_within", "A fresh sign-in, in seconds"),
        "For sharing, destroying and policies; 0: at any time in the session.",
    )]
}

fn account_fields() -> Vec<Named> {
    vec![
        number(
            "recovery_delay",
            "A recovery takes effect after, in seconds",
        ),
        area(
            "inviters",
            "Who may invite",
            "Patterns of names, one a line, such as *@example.com; empty: nobody.",
        ),
        area(
            "invitees",
            "Who may be invited",
            "Patterns of addresses, one a line; empty: nobody.",
        ),
        number("per_day", "Invitations by one account in 24 hours"),
        number("lifetime", "An invitation's code lapses after, in seconds"),
    ]
}

fn quorum_fields() -> Vec<Named> {
    vec![area(
        "quorums",
        "Rules",
        format!(
            "One a line: act=people:role:time, such as key.destroy=2:security-officer:7d, or for keys with one label key.destroy/LABEL=2:security-officer:7d. \
             Acts: {}. Times in d, h, m or s.",
            quorums::acts()
        ),
    )]
}

fn lawful_fields(witnesses: usize) -> Vec<Named> {
    vec![
        hinted(
            number("approvals", "Legal approvers that a case takes"),
            "2 to 16.",
        ),
        number(
            "ratify_within",
            "An emergency is to be ratified within, in seconds",
        ),
        hinted(
            number(
                "witnesses",
                "Witnesses that must have cosigned before a disclosure goes out",
            ),
            format!("Of {witnesses} that the configuration names; 0: none has to."),
        ),
    ]
}

/// The policy that the form asks for.
fn read(sent: &Sent) -> Result<DomainPolicy, Problem> {
    let number = |name: &str, what: &str| {
        sent.one(name).parse::<u32>().map_err(|_| {
            Problem::new(
                Code::Invalid,
                format!("“{what}” is no number of seconds, or none that is possible."),
            )
        })
    };
    let many = |name: &str, what: &str| {
        number(name, what)
            .map_err(|_| Problem::new(Code::Invalid, format!("“{what}” is no number.")))
    };
    let patterns = |name: &str| {
        sent.one(name)
            .split_whitespace()
            .map(str::to_owned)
            .collect()
    };
    Ok(DomainPolicy {
        usage: usage::read(sent)?,
        bind_sessions_to_address: sent.has("bind", "yes"),
        step_up_within: number("step_up_within", "A fresh sign-in")?,
        accounts: AccountPolicy {
            recovery_delay: number("recovery_delay", "A recovery takes effect after")?,
            inviters: patterns("inviters"),
            invitees: patterns("invitees"),
            invitations_per_day: many("per_day", "Invitations by one account")?,
            invitation_lifetime: number("lifetime", "An invitation's code lapses after")?,
        },
        lawful: LawfulPolicy {
            approvals: many("approvals", "Legal approvers")?,
            ratify_within: number("ratify_within", "An emergency is to be ratified within")?,
        },
        quorums: quorums::read(sent.one("quorums"))?,
        witnesses: many("witnesses", "Witnesses")?,
        legacy_mechanisms: sent_legacy(sent),
    })
}

pub(super) async fn change(reader: Reader, sent: Sent) -> Answer {
    reader.require_recent_then(HERE)?;
    let before = policy_of(&reader).await?;
    if let Some(after) = sent.some(AFTER) {
        return set(&reader, &before, sent.one(BEFORE), after).await;
    }
    let refused = match read(&sent) {
        Ok(after) if after == before => Problem::new(Code::Invalid, "Nothing would change."),
        Ok(after) => return confirm_page(&reader, &before, &after),
        Err(problem) => problem,
    };
    let witnesses = witnesses_of(&reader).await?;
    let entered = Entered::sent(&sent);
    Ok(form_page(
        &reader,
        &entered,
        witnesses,
        Some(&refused),
        None,
    ))
}

/// What the change means, in words, and the form that makes it.
fn confirm_page(reader: &Reader, before: &DomainPolicy, after: &DomainPolicy) -> Answer {
    let (Ok(before_json), Ok(after_json)) =
        (serde_json::to_string(before), serde_json::to_string(after))
    else {
        return Err(Stop::problem(&reader.frame, failed()));
    };
    let form = Form::new(HERE, &reader.frame.form_token, "Set the policy")
        .field(Field::hidden(BEFORE, before_json))
        .field(Field::hidden(AFTER, after_json))
        .danger()
        .back("/policy");
    let mut body = Vec::new();
    let differences = differences(before, after);
    if differences.is_empty() {
        body.push(bullets([Html::from("Only how it is written down.")]));
    }
    for (part, new, gone) in differences {
        body.push(heading(part));
        body.push(bullets(
            new.into_iter()
                .map(|sentence| format!("From now on: {sentence}"))
                .chain(
                    gone.into_iter()
                        .map(|sentence| format!("No longer: {sentence}")),
                )
                .map(Html::from),
        ));
    }
    body.push(Html::fixed(format!(
        "<div class=\"after\">{}</div>",
        form.html()
    )));
    let page = Page::new(&reader.frame, "Change the domain policy")
        .under("/policy", "Domain policy")
        .under(HERE, "Change")
        .acts(button(HERE, "Start again", ""))
        .block(
            Card::new("What this changes")
                .body(Html::all(body))
                .danger()
                .html(),
        );
    Ok(page.answer())
}

/// Part by part, what is said of the one policy and not of the other: what is new, and what is gone.
fn differences(
    before: &DomainPolicy,
    after: &DomainPolicy,
) -> Vec<(&'static str, Vec<String>, Vec<String>)> {
    let without = |some: &[String], others: &[String]| -> Vec<String> {
        some.iter()
            .filter(|sentence| !others.contains(sentence))
            .cloned()
            .collect()
    };
    said(before)
        .into_iter()
        .zip(said(after))
        .map(|((part, old), (_, new))| (part, without(&new, &old), without(&old, &new)))
        .filter(|(_, new, gone)| !new.is_empty() || !gone.is_empty())
        .collect()
}

async fn set(reader: &Reader, present: &DomainPolicy, before: &str, after: &str) -> Answer {
    let read = |json: &str| serde_json::from_str::<DomainPolicy>(json).ok();
    let (Some(before), Some(after)) = (read(before), read(after)) else {
        return Err(Stop::not_found(&reader.frame));
    };
    let request = after.clone();
    let answer = if before == *present {
        reader
            .attempt(move |keystore, caller| keystore.set_domain_policy(caller, request))
            .await?
    } else {
        Err(Problem::new(
            Code::Conflict,
            "Somebody has changed the policy since you saw what yours changes. Nothing was set: look at it again.",
        ))
    };
    match answer {
        Ok(changed) => Ok(show::go(&format!(
            "/policy?done=domain-policy&leaf={}",
            changed.leaf
        ))),
        Err(problem) => {
            let witnesses = witnesses_of(reader).await?;
            let entered = Entered::of(&after);
            Ok(form_page(
                reader,
                &entered,
                witnesses,
                Some(&problem),
                Some(after),
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use strongroom_wire::policy::UsagePolicy;

    use super::*;

    /// Each part of the policy that can be changed shows in a sentence: else somebody would set what they were not told.
    #[test]
    fn every_change_is_said() {
        let before = DomainPolicy::default();
        let json = serde_json::to_value(&before).unwrap();
        let mut changed: Vec<DomainPolicy> = vec![
            DomainPolicy {
                usage: UsagePolicy {
                    mechanisms: Some(vec![Mechanism::ALL[0]]),
                    ..UsagePolicy::default()
                },
                ..before.clone()
            },
            DomainPolicy {
                legacy_mechanisms: vec![Mechanism::LEGACY[0]],
                ..before.clone()
            },
            DomainPolicy {
                quorums: quorums::read("key.destroy=2:auditor:7d").unwrap(),
                ..before.clone()
            },
        ];
        for (part, member, value) in [
            ("", "bind_sessions_to_address", serde_json::json!(true)),
            ("", "step_up_within", 61.into()),
            ("", "witnesses", 1.into()),
            ("accounts", "recovery_delay", 3601.into()),
            ("accounts", "inviters", serde_json::json!(["a"])),
            ("accounts", "invitees", serde_json::json!(["b"])),
            ("accounts", "invitations_per_day", 7.into()),
            ("accounts", "invitation_lifetime", 61.into()),
            ("lawful", "approvals", 3.into()),
            ("lawful", "ratify_within", 3601.into()),
        ] {
            let mut other = json.clone();
            if part.is_empty() {
                other[member] = value;
            } else {
                other[part][member] = value;
            }
            changed.push(serde_json::from_value(other).unwrap());
        }
        for after in changed {
            assert_ne!(after, before);
            assert!(!differences(&before, &after).is_empty(), "{after:?}");
        }
        assert!(differences(&before, &before).is_empty());
    }
}
