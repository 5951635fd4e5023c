//! One key: what it is, who can open it and why, what was done with it.

use actix_web::{HttpResponse, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use strongroom_wire::audit::{Act, RecordQuery};
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::KeyId;
use strongroom_wire::key::{Grant, GrantState, Key, KeyState, Right};
use strongroom_wire::policy::{PreviewQuery, UsagePolicy, Verdict};

use super::history;
use crate::form::Fields;
use crate::own::done;
use crate::pieces::{
    Card, Choice, Empty, Facts, Field, Html, Note, Table, Tone, badge, button, count, link, list,
    mono, paragraph, slim_button, soft, tags, when, with_sub,
};
use crate::reader::{Page, Reader};
use crate::stop::{Stop, problem_note};
use crate::words;

type Answer = Result<HttpResponse, Stop>;

/// How many records of the key its page shows.
const NEWEST: usize = 8;
/// How many are looked through for its versions.
const LOOKED_THROUGH: u32 = 1000;

pub(super) async fn show(reader: Reader, path: web::Path<KeyId>, query: Fields) -> Answer {
    let id = path.into_inner();
    let (key, grants, records) = reader
        .ask(move |keystore, caller| {
            let key = keystore.key(caller, id)?;
            let administers = key.rights.contains(&Right::Administer);
            let grants = if administers {
                Some(keystore.grants(caller, id)?.grants)
            } else {
                None
            };
            let records = keystore.records(
                caller,
                RecordQuery {
                    key: Some(id),
                    limit: Some(LOOKED_THROUGH),
                    ..RecordQuery::default()
                },
            )?;
            Ok((key, grants, records.records))
        })
        .await?;
    let title = title(&key).to_owned();
    let mut page = Page::new(&reader.frame, &title)
        .under("/keys", "My keys")
        .acts(acts(&key));
    if let Some(note) = done(&query) {
        page = page.block(note);
    }
    if let Some(note) = state_note(&key) {
        page = page.block(note);
    }
    page = page.block(facts(&key, reader.name()));
    if key.state == KeyState::Destroyed {
        let nobody = Empty::new("Nobody", "The key is destroyed: no copy is left.");
        page = page.block(Card::new("Who can open it").body(nobody.html()).html());
    } else if let Some(grants) = &grants {
        page = page.block(holders(&key, grants, reader.name()));
    } else {
        let own = Facts::new()
            .with("You may", rights_list(&key.rights))
            .with("Owner", key.owner_name.as_str());
        let intro = if key.rights.is_empty() {
            "It was shared with you once, and is not any more."
        } else {
            "Its owner shared it with you, or with a group that you are in. Only its owner, and who administers it, sees who else has it."
        };
        page = page.block(
            Card::new("Why you can open it")
                .intro(intro)
                .body(own.html())
                .html(),
        );
    }
    if let Some(policy) = &key.policy {
        page = page.block(policy_card(&key, policy));
    }
    page = page.block(versions(&key, &records));
    let newest = &records[..records.len().min(NEWEST)];
    let mut card = Card::new("What was done with it")
        .intro("The newest first. Each has a proof that it stands in the appliance's log.");
    card = if newest.is_empty() {
        card.body(Empty::new("Nothing yet", "Every use of this key will stand here.").html())
    } else {
        card.table(history::table(
            "/history",
            newest,
            &history::Labels::default(),
            false,
        ))
        .foot(link(
            &format!("/history?key={id}"),
            "Everything that was done with this key",
        ))
    };
    Ok(page.block(card.html()).answer())
}

/// A key's name for people.
pub(super) fn title(key: &Key) -> &str {
    if key.label.is_empty() {
        "Key without a label"
    } else {
        &key.label
    }
}

fn acts(key: &Key) -> Html {
    if key.state == KeyState::Destroyed {
        return Html::default();
    }
    let at = |what: &str| format!("/keys/{}/{what}", key.id);
    let mut acts = Vec::new();
    if key.rights.contains(&Right::Share) {
        acts.push(button(&at("share"), "Share", "main"));
    }
    if key.rights.contains(&Right::Administer) {
        acts.push(button(&at("rotate"), "Rotate", ""));
        acts.push(button(&at("state"), "Change state", ""));
    }
    if key.rights.contains(&Right::Destroy) {
        acts.push(button(&at("destroy"), "Destroy", "danger"));
    }
    Html::all(acts)
}

fn state_note(key: &Key) -> Option<Html> {
    let tone = match key.state {
        KeyState::Active => return None,
        KeyState::Compromised | KeyState::Destroyed => Tone::Bad,
        _ => Tone::Warn,
    };
    let (_, name) = words::key_state(key.state);
    let note = Note::new(tone, name, words::key_state_means(key.state));
    Some(Html::fixed(
        note.html()
            .to_string()
            .replace("role=\"alert\"", "role=\"status\""),
    ))
}

fn facts(key: &Key, me: &str) -> Html {
    let of = |name: &str| {
        if name == me {
            format!("{name} (you)")
        } else {
            name.to_owned()
        }
    };
    let mut facts = Facts::new()
        .with("State", words::key_state_badge(key.state))
        .with("What it is", words::algorithm(key.algorithm))
        .with_some("Length", key.length.map(|bytes| format!("{bytes} bytes")))
        .with("Owner", of(&key.owner_name))
        .with("Made by", of(&key.sender))
        .with("Made", when(key.created))
        .with_some("Content type", key.content_type.as_deref());
    if !key.recipients.is_empty() {
        facts = facts.with("For", tags(key.recipients.iter().map(|name| of(name))));
    }
    facts = facts
        .with("Goes to clients", words::releasable(key.releasable))
        .with("Kept", words::protection(key.protection))
        .with("Origin", words::origin(key.origin));
    if key.authenticate_each {
        facts = facts.with("Each use", "Asks anew who it is for");
    }
    if let Some(releases) = key.releases {
        facts = facts.with("Releases counted", count(releases));
    }
    facts = facts.with("Identifier", mono(&key.id.to_string()));
    let mut body = vec![facts.two().html()];
    if let Some(public_key) = &key.public_key {
        body.push(public_key_piece(&public_key.0));
    }
    Card::new("Key").body(Html::all(body)).html()
}

fn public_key_piece(der: &[u8]) -> Html {
    let encoded = STANDARD.encode(der);
    let mut pem = String::from("-----BEGIN PUBLIC KEY-----\n");
    for line in encoded.as_bytes().chunks(64) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem.push_str("-----END PUBLIC KEY-----");
    Html::fixed(format!(
        "<details class=\"more\"><summary>Public key</summary><pre id=\"public-key\" tabindex=\"0\">{}</pre><p class=\"acts\"><button type=\"button\" class=\"button slim\" data-copies=\"public-key\" hidden>Copy</button></p></details>",
        Html::from(pem)
    ))
}

fn rights_list(rights: &[Right]) -> Html {
    if rights.is_empty() {
        return soft("Nothing any more");
    }
    list(rights.iter().map(|right| words::right_means(*right).into()))
}

fn holders(key: &Key, grants: &[Grant], me: &str) -> Html {
    let name_of = |account| {
        grants
            .iter()
            .find(|grant| grant.grantee == account)
            .map(|grant| grant.grantee_name.as_str())
    };
    let mut table = Table::new(
        "Who can open this key",
        &["Who", "Why", "May", "Within", ""],
    );
    let held = grants
        .iter()
        .filter(|grant| grant.state == GrantState::Active);
    for grant in held {
        let owns = grant.grantee == key.owner;
        let who = if grant.grantee_name == me {
            format!("{me} (you)")
        } else {
            grant.grantee_name.clone()
        };
        let why = if owns {
            Html::from("Owns it")
        } else {
            let by = name_of(grant.granted_by).map_or_else(
                || "somebody".to_owned(),
                |name| {
                    if name == me {
                        "you".to_owned()
                    } else {
                        name.to_owned()
                    }
                },
            );
            with_sub(format!("Shared by {by}"), when(grant.created))
        };
        let all = grant.rights.len() == Right::ALL.len();
        let rights = if all {
            Html::from("Everything")
        } else {
            tags(grant.rights.iter().map(|right| words::right_value(*right)))
        };
        let within = words::policy(&grant.policy);
        let within = if within.is_empty() {
            soft("No limits of its own")
        } else {
            Html::from(within.join(" "))
        };
        let acts = if owns {
            Html::default()
        } else {
            let at = |what: &str| format!("/keys/{}/grants/{}/{what}", key.id, grant.id);
            Html::fixed(format!(
                "<span class=\"acts\">{}{}</span>",
                slim_button(&at("policy"), "Limit", &who, ""),
                slim_button(&at("revoke"), "Revoke", &who, "danger")
            ))
        };
        table.row(vec![who.into(), why, rights, within, acts]);
    }
    let revoked = grants
        .iter()
        .filter(|grant| grant.state == GrantState::Revoked)
        .count();
    let mut card = Card::new("Who can open it, and why")
        .intro("A grant is a sealed copy of the key for one account. A group's copy is for all of its members.")
        .acts(slim_button(&format!("/keys/{}/preview", key.id), "Try an account", "on this key", ""))
        .table(table);
    if revoked > 0 {
        card = card.foot(soft(&format!(
            "{} revoked before: see what was done with the key.",
            crate::pieces::plural(revoked as u64, "grant was", "grants were")
        )));
    }
    card.html()
}

fn policy_card(key: &Key, policy: &UsagePolicy) -> Html {
    let sentences = words::policy(policy);
    let body = if sentences.is_empty() {
        paragraph(
            "No limits: whoever has a grant may use the key at any time, from anywhere, as often as they like, within what the domain allows.",
        )
    } else {
        list(sentences.into_iter().map(Html::from))
    };
    let mut card = Card::new("Usage policy")
        .intro("When, how often, from where and by whom it may be used: for every grant of this key. The strictest of domain, key and grant holds.")
        .body(body);
    if key.rights.contains(&Right::Administer) && key.state != KeyState::Destroyed {
        card = card.acts(slim_button(
            &format!("/keys/{}/policy", key.id),
            "Change",
            "the usage policy",
            "",
        ));
    }
    card.html()
}

fn versions(key: &Key, records: &[strongroom_wire::audit::Record]) -> Html {
    let made = |version: u32| -> Option<Timestamp> {
        let makes = |act: Act| matches!(act, Act::KeyCreate | Act::KeyImport | Act::KeyRotate);
        records
            .iter()
            .find(|record| {
                record.done && makes(record.act) && record.key_version.unwrap_or(1) == version
            })
            .map(|record| record.time)
            .or((version == 1).then_some(key.created))
    };
    let rows = (1..=key.version).rev().take(50).map(|version| {
        let newest = version == key.version;
        vec![
            Html::from(format!("Version {version}")),
            if newest {
                badge(Tone::Good, "Newest")
            } else {
                soft("Opens what it protected")
            },
            made(version).map_or_else(|| soft("Longer ago"), when),
        ]
    });
    Card::new("Versions")
        .table(Table::new("Versions of this key", &["Version", "Use", "Made"]).rows(rows))
        .html()
}

/// What would be decided for an account.
pub(super) async fn preview(reader: Reader, path: web::Path<KeyId>, query: Fields) -> Answer {
    let id = path.into_inner();
    let account = query.some("account").map(str::to_owned);
    let source = query.some("source").map(str::to_owned);
    let right = Right::ALL
        .into_iter()
        .find(|right| words::right_value(*right) == query.one("right"));
    let asked = account.is_some() || right.is_some();
    let (key, preview) = reader
        .ask(move |keystore, caller| {
            let key = keystore.key(caller, id)?;
            let asked = asked.then(|| {
                let query = PreviewQuery {
                    account,
                    right,
                    source,
                    ..PreviewQuery::default()
                };
                keystore
                    .preview(caller, id, query)
                    .map_err(crate::reader::problem_of)
            });
            Ok((key, asked))
        })
        .await?;
    let chosen = query.one("right");
    let rights = Right::ALL.map(|right| {
        let value = words::right_value(right);
        Choice::new(value, words::right_means(right), value == chosen)
    });
    let fields = [
        Field::text("account", "Account")
            .value(query.one("account"))
            .hint("Empty: yourself."),
        Field::select("right", "Wants to", rights.into()),
        Field::text("source", "From the address")
            .value(query.one("source"))
            .hint("Empty: not known."),
    ]
    .map(|field| field.html());
    let mut page = Page::new(&reader.frame, "Would it be allowed?")
        .under("/keys", "My keys")
        .under(format!("/keys/{id}"), title(&key))
        .intro("Nothing is done and nothing is recorded: this only says what the appliance would decide now.")
        .block(super::keys::search_form(&format!("/keys/{id}/preview"), &fields));
    match preview {
        Some(Ok(preview)) => {
            let (tone, text) = match preview.verdict {
                Verdict::Allowed => (Tone::Good, "It would be allowed"),
                Verdict::Refused => (Tone::Bad, "It would be refused"),
                Verdict::Depends => (Tone::Warn, "It depends on what was not said"),
            };
            let mut facts = Facts::new()
                .with("Verdict", badge(tone, text))
                .with("Account", preview.account_name.as_str())
                .with("Wants to", words::right_means(preview.right));
            if let Some(code) = preview.code {
                facts = facts.with("It would be told", code.title());
            }
            facts = facts.with_some("Decided by", preview.decided_by.as_deref().map(mono));
            page = page.block(Card::new("Verdict").body(facts.html()).html());
            if !preview.rules.is_empty() {
                let rows = preview.rules.iter().map(|rule| {
                    let (tone, text) = match rule.verdict {
                        Verdict::Allowed => (Tone::Good, "allows"),
                        Verdict::Refused => (Tone::Bad, "refuses"),
                        Verdict::Depends => (Tone::Warn, "depends"),
                    };
                    vec![mono(&rule.rule), badge(tone, text)]
                });
                page = page.block(
                    Card::new("Each rule")
                        .table(Table::new("What each rule says", &["Rule", "Says"]).rows(rows))
                        .html(),
                );
            }
        }
        Some(Err(problem)) => page = page.block(problem_note(&problem, "").html()),
        None => {}
    }
    Ok(page.answer())
}
