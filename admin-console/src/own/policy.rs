//! Usage policies as forms: the key's, a grant's, and, for administrators, the domain's.

mod hours;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use strongroom_wire::account::AccountKind;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::{GrantId, KeyId};
use strongroom_wire::key::{Grant, Key, Right};
use strongroom_wire::operation::Mechanism;
use strongroom_wire::policy::{Network, UsagePolicy};
use strongroom_wire::problem::{Code, Problem};
use strongroom_wire::session::SignInStrength;

use self::hours::{hours_line, read_hours};
use super::key::title;
use super::key_acts::key_of;
use crate::form::{Fields, Sent};
use crate::pieces::{Card, Choice, Field, Form, Html};
use crate::reader::{Page, Reader};
use crate::show;
use crate::stop::{Stop, problem_note};
use crate::words;

type Answer = Result<HttpResponse, Stop>;

pub(super) async fn show_of_key(reader: Reader, path: web::Path<KeyId>) -> Answer {
    let key = key_of(&reader, path.into_inner()).await?;
    reader.require_policy_recent()?;
    let policy = key.policy.clone().unwrap_or_default();
    Ok(key_page(&reader, &key, &fields(&policy), None))
}

pub(super) async fn set_of_key(reader: Reader, path: web::Path<KeyId>, sent: Sent) -> Answer {
    let id = path.into_inner();
    let answer = match read(&sent) {
        Ok(policy) => {
            reader
                .attempt(move |keystore, caller| keystore.change_key_policy(caller, id, policy))
                .await?
        }
        Err(problem) => Err(problem),
    };
    match answer {
        Ok(changed) => Ok(show::go(&format!(
            "/keys/{id}?done=policy&leaf={}",
            changed.leaf
        ))),
        Err(problem) => {
            let key = key_of(&reader, id).await?;
            Ok(key_page(&reader, &key, &sent_fields(&sent), Some(&problem)))
        }
    }
}

fn key_page(
    reader: &Reader,
    key: &Key,
    fields: &[Field],
    refused: Option<&Problem>,
) -> HttpResponse {
    let to = format!("/keys/{}/policy", key.id);
    let back = format!("/keys/{}", key.id);
    let page = Page::new(&reader.frame, "Usage policy of the key")
        .under("/keys", "My keys")
        .under(back.as_str(), title(key))
        .intro("For every grant of this key. What is left empty restricts nothing. The strictest of domain, key and grant holds.");
    policy_page(page, reader, &to, &back, fields, refused)
}

pub(super) async fn show_of_grant(reader: Reader, path: web::Path<(KeyId, GrantId)>) -> Answer {
    let (key, grant) = path.into_inner();
    let (key, grant) = grant_of(&reader, key, grant).await?;
    reader.require_policy_recent()?;
    Ok(grant_page(
        &reader,
        &key,
        &grant,
        &fields(&grant.policy),
        None,
    ))
}

pub(super) async fn set_of_grant(
    reader: Reader,
    path: web::Path<(KeyId, GrantId)>,
    sent: Sent,
) -> Answer {
    let (key, grant) = path.into_inner();
    let answer = match read(&sent) {
        Ok(policy) => {
            reader
                .attempt(move |keystore, caller| {
                    keystore.change_grant_policy(caller, key, grant, policy)
                })
                .await?
        }
        Err(problem) => Err(problem),
    };
    match answer {
        Ok(changed) => Ok(show::go(&format!(
            "/keys/{key}?done=policy&leaf={}",
            changed.leaf
        ))),
        Err(problem) => {
            let (key, grant) = grant_of(&reader, key, grant).await?;
            Ok(grant_page(
                &reader,
                &key,
                &grant,
                &sent_fields(&sent),
                Some(&problem),
            ))
        }
    }
}

/// A key and one of its grants.
pub(super) async fn grant_of(
    reader: &Reader,
    key: KeyId,
    grant: GrantId,
) -> Result<(Key, Grant), Stop> {
    let (key, grants) = reader
        .ask(move |keystore, caller| {
            let grants = keystore.grants(caller, key)?;
            Ok((keystore.key(caller, key)?, grants.grants))
        })
        .await?;
    let grant = grants.into_iter().find(|known| known.id == grant);
    grant.map(|grant| (key, grant)).ok_or_else(|| {
        Stop::new(
            &reader.frame,
            Code::GrantNotFound,
            "This key has no such grant.",
        )
    })
}

fn grant_page(
    reader: &Reader,
    key: &Key,
    grant: &Grant,
    fields: &[Field],
    refused: Option<&Problem>,
) -> HttpResponse {
    let to = format!("/keys/{}/grants/{}/policy", key.id, grant.id);
    let back = format!("/keys/{}", key.id);
    let heading = format!("Limits for {}", grant.grantee_name);
    let page = Page::new(&reader.frame, &heading)
        .under("/keys", "My keys")
        .under(back.as_str(), title(key))
        .intro("For this one grant, beside the key's own policy and the domain's. What is left empty restricts nothing.");
    policy_page(page, reader, &to, &back, fields, refused)
}

fn policy_page(
    mut page: Page<'_>,
    reader: &Reader,
    to: &str,
    back: &str,
    fields: &[Field],
    refused: Option<&Problem>,
) -> HttpResponse {
    let mut form = Form::new(to, &reader.frame.form_token, "Save the policy").back(back);
    for piece in pieces(fields) {
        form = form.piece(piece);
    }
    if let Some(problem) = refused {
        page = page.block(problem_note(problem, to).html());
    }
    let status = refused.map_or(StatusCode::OK, |problem| {
        StatusCode::from_u16(problem.status).unwrap_or_default()
    });
    page.block(Card::new("").body(form.html()).html())
        .answer_with(status)
}

/// The fields of a policy as pieces of a form: the rarer ones folded.
pub(crate) fn pieces(fields: &[Field]) -> Vec<Html> {
    let mut pieces: Vec<Html> = fields.iter().map(Field::html).collect();
    let Some(mechanisms) = pieces.pop() else {
        return pieces;
    };
    let folded = Html::fixed(format!(
        "<details class=\"more\"><summary>Mechanisms</summary>{mechanisms}</details>"
    ));
    let mut pairs = Vec::new();
    let mut rest = pieces.into_iter();
    if let (Some(one), Some(other)) = (rest.next(), rest.next()) {
        pairs.push(Html::fixed(format!(
            "<div class=\"row\">{one}{other}</div>"
        )));
    }
    if let (Some(one), Some(other)) = (rest.next(), rest.next()) {
        pairs.push(Html::fixed(format!(
            "<div class=\"row\">{one}{other}</div>"
        )));
    }
    pairs.extend(rest);
    pairs.push(folded);
    pairs
}

/// The fields of a policy, with what it says.
pub(crate) fn fields(policy: &UsagePolicy) -> Vec<Field> {
    let text = |moment: Option<Timestamp>| moment.map(input).unwrap_or_default();
    let networks = policy.networks.as_ref().map(|networks| {
        let networks: Vec<String> = networks.iter().map(ToString::to_string).collect();
        networks.join("\n")
    });
    let hours: Vec<String> = policy.hours.iter().map(hours_line).collect();
    build(&Said {
        not_before: text(policy.not_before),
        not_after: text(policy.not_after),
        max_releases: policy
            .max_releases
            .map(|most| most.to_string())
            .unwrap_or_default(),
        keep_for: policy
            .keep_for
            .map(|seconds| seconds.to_string())
            .unwrap_or_default(),
        networks: networks.unwrap_or_default(),
        hours: hours.join("\n"),
        kinds: words::KINDS
            .into_iter()
            .filter(|kind| {
                policy
                    .kinds
                    .as_ref()
                    .is_some_and(|kinds| kinds.contains(kind))
            })
            .map(words::kind_value)
            .collect(),
        min_sign_in: policy.min_sign_in.map_or("", words::strength_value),
        rights: Right::ALL
            .into_iter()
            .filter(|right| {
                policy
                    .rights
                    .as_ref()
                    .is_some_and(|rights| rights.contains(right))
            })
            .map(words::right_value)
            .collect(),
        operations_only: policy.operations_only,
        mechanisms: policy
            .mechanisms
            .iter()
            .flatten()
            .map(|mechanism| mechanism.as_str())
            .collect(),
    })
}

/// The fields of a policy, with what was sent.
pub(crate) fn sent_fields(sent: &Fields) -> Vec<Field> {
    build(&Said {
        not_before: sent.one("not_before").to_owned(),
        not_after: sent.one("not_after").to_owned(),
        max_releases: sent.one("max_releases").to_owned(),
        keep_for: sent.one("keep_for").to_owned(),
        networks: sent.one("networks").to_owned(),
        hours: sent.one("hours").to_owned(),
        kinds: sent.all("kinds"),
        min_sign_in: sent.one("min_sign_in"),
        rights: sent.all("rights"),
        operations_only: sent.has("operations_only", "yes"),
        mechanisms: sent.all("mechanisms"),
    })
}

/// What the fields hold.
struct Said<'a> {
    not_before: String,
    not_after: String,
    max_releases: String,
    keep_for: String,
    networks: String,
    hours: String,
    kinds: Vec<&'a str>,
    min_sign_in: &'a str,
    rights: Vec<&'a str>,
    operations_only: bool,
    mechanisms: Vec<&'a str>,
}

fn build(said: &Said<'_>) -> Vec<Field> {
    let kinds = [
        AccountKind::Person,
        AccountKind::Device,
        AccountKind::Service,
    ]
    .map(|kind| {
        let value = words::kind_value(kind);
        Choice::new(value, words::kind(kind), said.kinds.contains(&value))
    });
    let mut strengths = vec![Choice::new("", "However", said.min_sign_in.is_empty())];
    strengths.extend(SignInStrength::ALL.map(|strength| {
        let value = words::strength_value(strength);
        let text = match strength {
            SignInStrength::Secret => "A machine's secret at least",
            SignInStrength::Password => "A password at least",
            SignInStrength::TwoFactor => "A second factor at least",
            SignInStrength::Passkey => "A passkey",
        };
        Choice::new(value, text, value == said.min_sign_in)
    }));
    let rights = Right::ALL
        .into_iter()
        .filter(|right| *right != Right::Administer)
        .map(|right| {
            let value = words::right_value(right);
            Choice::new(value, value, said.rights.contains(&value))
        });
    let mechanisms = Mechanism::ALL.iter().map(|mechanism| {
        let value = mechanism.as_str();
        Choice::new(value, value, said.mechanisms.contains(&value))
    });
    vec![
        Field::moment("not_before", "Not before (UTC)").value(said.not_before.as_str()),
        Field::moment("not_after", "Not after (UTC)").value(said.not_after.as_str()),
        Field::number("max_releases", "Releases at most").hint("How often it may be received; empty: as often as they like.").value(said.max_releases.as_str()),
        Field::number("keep_for", "Forgotten after, in seconds").hint("A client forgets it so long after it came.").value(said.keep_for.as_str()),
        Field::checks("operations_only", "Where it may go", vec![Choice::new("yes", "It stays in the appliance, which uses it for its holders", said.operations_only)]),
        Field::select("min_sign_in", "Signed in with", strengths),
        Field::checks("kinds", "Only for", kinds.into()).hint("None chosen: for all."),
        Field::checks("rights", "Only to", rights.collect()).hint("None chosen: whatever the grant allows."),
        Field::area("networks", "Only from these networks").hint("One a line, such as 10.0.0.0/8 or 2001:db8::/32.").value(said.networks.as_str()),
        Field::area("hours", "Only in these hours").hint("One entry a line: days, from, until and time zone, such as mon-fri 08:00-18:00 Europe/Zurich. Every entry must allow the moment.").value(said.hours.as_str()),
        Field::checks("mechanisms", "By these mechanisms only", mechanisms.collect()).hint("None chosen: whatever the domain allows."),
    ]
}

/// The policy that a form says.
pub(crate) fn read(sent: &Fields) -> Result<UsagePolicy, Problem> {
    let invalid = |sentence: String| Problem::new(Code::Invalid, sentence);
    let time = |name: &str, what: &str| match sent.some(name) {
        None => Ok(None),
        Some(text) => moment(text)
            .map(Some)
            .ok_or_else(|| invalid(format!("“{what}” is no day and time."))),
    };
    let networks: Vec<Network> = sent
        .one("networks")
        .split_whitespace()
        .map(|text| {
            text.parse().map_err(|_| {
                invalid(
                    "A network is written as 10.0.0.0/8 or 2001:db8::/32, one a line.".to_owned(),
                )
            })
        })
        .collect::<Result<_, _>>()?;
    let hours = sent
        .one("hours")
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| {
            read_hours(line).ok_or_else(|| {
                invalid(
                    "Hours are written as mon-fri 08:00-18:00 Europe/Zurich, one entry a line."
                        .to_owned(),
                )
            })
        })
        .collect::<Result<_, _>>()?;
    let kinds: Vec<AccountKind> = words::KINDS
        .into_iter()
        .filter(|kind| sent.has("kinds", words::kind_value(*kind)))
        .collect();
    let rights: Vec<Right> = Right::ALL
        .into_iter()
        .filter(|right| sent.has("rights", words::right_value(*right)))
        .collect();
    let mechanisms: Vec<Mechanism> = Mechanism::ALL
        .iter()
        .copied()
        .filter(|mechanism| sent.has("mechanisms", mechanism.as_str()))
        .collect();
    let number = |name: &str, what: &str| match sent.some(name) {
        None => Ok(None),
        Some(text) => text
            .parse::<u64>()
            .map(Some)
            .map_err(|_| invalid(format!("“{what}” is no number."))),
    };
    let keep_for = number("keep_for", "Forgotten after")?
        .map(|seconds| {
            u32::try_from(seconds).map_err(|_| invalid("“Forgotten after” is too long.".to_owned()))
        })
        .transpose()?;
    Ok(UsagePolicy {
        not_before: time("not_before", "Not before")?,
        not_after: time("not_after", "Not after")?,
        max_releases: number("max_releases", "Releases at most")?,
        networks: (!networks.is_empty()).then_some(networks),
        kinds: (!kinds.is_empty()).then_some(kinds),
        min_sign_in: SignInStrength::ALL
            .into_iter()
            .find(|strength| words::strength_value(*strength) == sent.one("min_sign_in")),
        hours,
        rights: (!rights.is_empty()).then_some(rights),
        operations_only: sent.has("operations_only", "yes"),
        mechanisms: (!mechanisms.is_empty()).then_some(mechanisms),
        keep_for,
    })
}

/// A day, or a day and a time, in UTC.
pub(crate) fn moment(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let whole = match text.len() {
        10 => format!("{text}T00:00:00Z"),
        16 => format!("{}T{}:00Z", text.get(..10)?, text.get(11..)?),
        _ if text.ends_with('Z') => text.to_owned(),
        _ => format!("{text}Z"),
    };
    whole.parse().ok()
}

/// A moment as a field holds it: as short as it can be said.
pub(crate) fn input(moment: Timestamp) -> String {
    let text = moment.to_string();
    let text = text.trim_end_matches('Z');
    let text = text.strip_suffix(".000").unwrap_or(text);
    text.strip_suffix(":00").unwrap_or(text).to_owned()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn moments_are_days_or_days_with_times() {
        let moment_of = |text: &str| moment(text).map(|moment| moment.to_string());
        assert_eq!(
            moment_of("2026-11-30").as_deref(),
            Some("2026-11-30T00:00:00.000Z")
        );
        assert_eq!(
            moment_of("2026-11-30T08:15").as_deref(),
            Some("2026-11-30T08:15:00.000Z")
        );
        assert_eq!(
            moment_of("2026-11-30 08:15").as_deref(),
            Some("2026-11-30T08:15:00.000Z")
        );
        assert_eq!(
            moment_of("2026-11-30T08:15:30").as_deref(),
            Some("2026-11-30T08:15:30.000Z")
        );
        assert_eq!(moment_of("30.11.2026"), None);
        assert_eq!(moment_of("ééééééééé"), None);
        assert_eq!(
            input(moment("2026-11-30T08:15").unwrap()),
            "2026-11-30T08:15"
        );
        assert_eq!(
            input(moment("2026-11-30T08:15:30").unwrap()),
            "2026-11-30T08:15:30"
        );
        // A policy that is looked at in its form, and not changed, stays what it was.
        let exact = "2026-11-30T08:15:30.789";
        assert_eq!(input(moment(exact).unwrap()), exact);
    }
}
