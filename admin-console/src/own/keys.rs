//! The list of one's keys, with its search.

use actix_web::HttpResponse;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::key::{Key, KeyQuery, KeyState};

use crate::form::Fields;
use crate::own::done;
use crate::own::policy::moment;
use crate::pieces::{
    Card, Choice, Empty, Field, Html, Table, address, button, count, day, link, soft, with_sub,
};
use crate::reader::{Page, Reader};
use crate::stop::Stop;
use crate::words;

type Answer = Result<HttpResponse, Stop>;

/// How many keys a page shows.
const A_PAGE: u32 = 50;

pub(super) async fn list(reader: Reader, query: Fields) -> Answer {
    let (asked, wrong) = read(&query);
    let searched = asked
        != KeyQuery {
            after: asked.after,
            limit: asked.limit,
            ..KeyQuery::default()
        };
    let page = reader
        .ask(move |keystore, caller| keystore.keys(caller, asked))
        .await?;
    let me = reader.name().to_owned();
    let mut shown = Page::new(&reader.frame, "My keys")
        .intro("Keys that you own, and keys that others share with you. Your data is elsewhere: here are the keys that open it.")
        .acts(button("/keys/new", "New key", "main"));
    if let Some(note) = done(&query) {
        shown = shown.block(note);
    }
    shown = shown.block(search(&query, wrong.as_deref()));
    let mut card = Card::new("");
    if page.keys.is_empty() {
        let empty = if let Some(next) = page.next {
            Empty::new(
                "Nothing so far",
                "No key matched among those that were looked at; older ones have not been.",
            )
            .acts(button(
                &with(&query, &next.to_string()),
                "Search further back",
                "main",
            ))
        } else if query.some("after").is_some() {
            Empty::new(
                "No more keys",
                "There are none older than those of the page before.",
            )
            .acts(button("/keys", "To the first page", ""))
        } else if searched {
            Empty::new(
                "No key matches",
                "Try fewer words, another state, or a longer span of time.",
            )
            .acts(button("/keys", "Show all keys", ""))
        } else {
            Empty::new(
                "No keys yet",
                "Make your first key here, or let a program make them: every object or message that you protect with Strongroom gets a key of its own.",
            )
            .acts(button("/keys/new", "Make a key", "main"))
        };
        return Ok(shown.block(card.body(empty.html()).html()).answer());
    }
    let rows = page.keys.iter().map(|key| row(key, &me));
    card = card.table(
        Table::new(
            "Keys",
            &[
                "Label",
                "State",
                "From and to",
                "What you may do",
                "#Version",
                "Created",
            ],
        )
        .rows(rows),
    );
    let mut foot = vec![soft(&match page.keys.len() {
        1 => "One key on this page, the newest first.".to_owned(),
        keys => format!(
            "{} keys on this page, the newest first.",
            count(keys as u64)
        ),
    })];
    let mut ways = Vec::new();
    if query.some("after").is_some() {
        ways.push(button(&with(&query, ""), "Newest", "slim"));
    }
    if let Some(next) = page.next {
        let text = if page.keys.len() < A_PAGE as usize {
            "Search further back"
        } else {
            "Older keys"
        };
        ways.push(button(&with(&query, &next.to_string()), text, "slim"));
    }
    foot.push(Html::fixed(format!(
        "<span class=\"acts\">{}</span>",
        Html::all(ways)
    )));
    Ok(shown.block(card.foot(Html::all(foot)).html()).answer())
}

fn row(key: &Key, me: &str) -> Vec<Html> {
    let label = if key.label.is_empty() {
        "(no label)"
    } else {
        &key.label
    };
    let of = if key.owner_name == me {
        words::algorithm(key.algorithm).to_owned()
    } else {
        format!(
            "{} · owned by {}",
            words::algorithm(key.algorithm),
            key.owner_name
        )
    };
    vec![
        with_sub(link(&format!("/keys/{}", key.id), label), of),
        words::key_state_badge(key.state),
        between(key, me),
        rights(key, me),
        Html::from(key.version.to_string()),
        day(key.created),
    ]
}

/// Who sent what the key protects, and to whom.
pub(super) fn between(key: &Key, me: &str) -> Html {
    let of = |name: &str| {
        if name == me {
            "you".to_owned()
        } else {
            name.to_owned()
        }
    };
    if key.recipients.is_empty() {
        return soft(&format!("By {}", of(&key.sender)));
    }
    let shown: Vec<String> = key.recipients.iter().take(2).map(|name| of(name)).collect();
    let more = key.recipients.len().saturating_sub(shown.len());
    let mut to = shown.join(", ");
    if more > 0 {
        to = format!("{to} and {more} more");
    }
    Html::from(format!("{} → {to}", of(&key.sender)))
}

/// What the reader may do, shortly.
fn rights(key: &Key, me: &str) -> Html {
    if key.rights.is_empty() {
        return soft("Nothing any more");
    }
    if key.owner_name == me {
        return "Everything".into();
    }
    let rights: Vec<&str> = key
        .rights
        .iter()
        .map(|right| words::right_value(*right))
        .collect();
    Html::from(words::listed(&rights, "and"))
}

fn read(query: &Fields) -> (KeyQuery, Option<String>) {
    let mut wrong = None;
    let mut time = |name: &str| -> Option<Timestamp> {
        let text = query.some(name)?;
        let read = moment(text);
        if read.is_none() {
            wrong = Some("A day is written as 2026-11-30.".to_owned());
        }
        read
    };
    let from = time("from");
    let until = time("until");
    let state = query.some("state").and_then(|state| {
        words::KEY_STATES
            .into_iter()
            .find(|known| words::key_state_value(*known) == state)
    });
    let text = |name: &str| query.some(name).map(str::to_owned);
    (
        KeyQuery {
            label: text("label"),
            sender: text("sender"),
            recipient: text("recipient"),
            state,
            from,
            until,
            after: query.some("after").and_then(|after| after.parse().ok()),
            limit: Some(A_PAGE),
        },
        wrong,
    )
}

fn with(query: &Fields, after: &str) -> String {
    let names = ["label", "sender", "recipient", "state", "from", "until"];
    let mut pairs: Vec<(&str, &str)> = names.map(|name| (name, query.one(name))).into();
    pairs.push(("after", after));
    address("/keys", &pairs)
}

fn search(query: &Fields, wrong: Option<&str>) -> Html {
    let chosen = query.one("state");
    let mut states = vec![Choice::new("", "Any state", chosen.is_empty())];
    states.extend(words::KEY_STATES.map(|state: KeyState| {
        let value = words::key_state_value(state);
        Choice::new(value, words::key_state(state).1, chosen == value)
    }));
    let fields = [
        Field::search("label", "Label contains").value(query.one("label")),
        Field::text("sender", "From").value(query.one("sender")),
        Field::text("recipient", "To").value(query.one("recipient")),
        Field::select("state", "State", states),
        Field::text("from", "Since (2026-11-30)")
            .value(query.one("from"))
            .wrong(wrong),
        Field::text("until", "Before (2026-12-01)").value(query.one("until")),
    ]
    .map(|field| field.html());
    search_form("/keys", &fields)
}

/// A form that searches, by GET.
pub(crate) fn search_form(to: &str, fields: &[Html]) -> Html {
    let fields = Html::all(fields.iter().cloned());
    let form = Html::fixed(format!(
        "<form class=\"search\" method=\"get\" action=\"{}\" role=\"search\">{fields}<div class=\"acts\"><button type=\"submit\" class=\"button\">Search</button></div></form>",
        Html::from(to)
    ));
    Card::new("").body(form).html()
}
