//! The history: what was done, with its proof. On the owners' side what concerns the reader, on the other, for auditors, all.

mod record;

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use actix_web::HttpResponse;
use actix_web::web::{self, ServiceConfig};
use strongroom_keystore::{FoundRecords, Keystore, Presented, RecordSearch};
use strongroom_wire::audit::{Act, Record};
use strongroom_wire::id::KeyId;

use crate::form::Fields;
use crate::host::Side;
use crate::own::keys::search_form;
use crate::own::policy::moment;
use crate::page;
use crate::pieces::{
    Card, Choice, Empty, Field, Html, Table, Tone, address, badge, button, count, link, mono,
    plural, soft, source, when, with_sub,
};
use crate::reader::{Page, Reader};
use crate::stop::Stop;
use crate::words;

type Answer = Result<HttpResponse, Stop>;

/// How many records a page shows.
const A_PAGE: usize = 50;

/// What a search can be narrowed to, by name.
const KINDS: [(&str, &str, &[Act]); 6] = [
    ("releases", "Releases of keys", &[Act::KeyRelease]),
    (
        "uses",
        "Uses by the appliance",
        &[
            Act::KeySign,
            Act::KeyVerify,
            Act::KeyEncrypt,
            Act::KeyDecrypt,
            Act::KeyWrap,
            Act::KeyUnwrap,
            Act::KeyDerive,
        ],
    ),
    (
        "keys",
        "Keys, grants and policies",
        &[
            Act::KeyCreate,
            Act::KeyImport,
            Act::KeyShare,
            Act::KeyRevoke,
            Act::KeyRotate,
            Act::KeyState,
            Act::KeyDestroy,
            Act::KeyPolicy,
            Act::GrantPolicy,
            Act::KeyTighten,
            Act::GroupAdd,
            Act::GroupRemove,
        ],
    ),
    (
        "sign-ins",
        "Sign-ins and sessions",
        &[
            Act::SessionOpen,
            Act::SessionEnd,
            Act::SessionStepUp,
            Act::SessionUse,
        ],
    ),
    (
        "accounts",
        "Accounts, credentials and devices",
        &[
            Act::AccountCreate,
            Act::AccountUpdate,
            Act::AccountInvite,
            Act::AccountEnrol,
            Act::CredentialAdd,
            Act::CredentialRemove,
            Act::CredentialChange,
            Act::RecoveryStart,
            Act::RecoveryApprove,
            Act::RecoveryCancel,
            Act::RecoveryFinish,
            Act::DeviceImport,
            Act::DeviceUpdate,
            Act::DeviceRevoke,
            Act::DevicePair,
            Act::AccountSecret,
            Act::IdentityLink,
            Act::IdentityUnlink,
            Act::DirectoryAdd,
            Act::DirectoryRemove,
            Act::DirectoryAdopt,
        ],
    ),
    (
        "domain",
        "The domain and its keys",
        &[
            Act::DomainInitialise,
            Act::DomainServe,
            Act::DomainPolicy,
            Act::DomainSeal,
            Act::DomainRestore,
            Act::DomainBackup,
            Act::DomainCeremony,
            Act::DomainRecover,
            Act::DomainCheckpointKey,
            Act::DomainReplicate,
            Act::MasterKekRotate,
            Act::MasterKekRewrapped,
            Act::MasterKekRetire,
            Act::MasterKekDestroy,
            Act::AccountKekRotate,
            Act::AccountKekResealed,
            Act::HsmDeviceLog,
        ],
    ),
];

/// The pages of the history at `path`.
pub(crate) fn routes(path: &'static str, services: &mut ServiceConfig) {
    page(services, path, vec![web::get().to(list)]);
    page(
        services,
        &format!("{path}/{{index}}"),
        vec![web::get().to(record::show)],
    );
    page(
        services,
        &format!("{path}/{{index}}/proof.json"),
        vec![web::get().to(record::proof)],
    );
}

/// Where the history is on a side.
pub(super) const fn at(side: Side) -> &'static str {
    match side {
        Side::Owners => "/history",
        Side::Administration => "/log",
    }
}

async fn list(reader: Reader, query: Fields) -> Answer {
    let side = reader.frame.side;
    let search = read(&query);
    let searches = search
        != RecordSearch {
            before: search.before,
            limit: A_PAGE,
            ..RecordSearch::default()
        };
    let (found, labels) = reader
        .ask(move |keystore, caller| {
            let found = keystore.search_records(caller, search)?;
            let labels = match side {
                Side::Owners => labels(keystore, caller, &found.records),
                Side::Administration => Labels::default(),
            };
            Ok((found, labels))
        })
        .await?;
    let (title, intro) = match side {
        Side::Owners => (
            "History",
            "Everything that was done with your keys and your account, by whom, from where and when. Nothing can be taken out of it: each record has a proof.",
        ),
        Side::Administration => (
            "Audit log",
            "Every act and every refused attempt in this domain. Each record has a proof that it stands in the signed log.",
        ),
    };
    let mut ways = vec![button("/export", "Export", "")];
    if side == Side::Owners {
        ways.push(button("/disclosures", "Disclosures", ""));
    }
    let mut shown = Page::new(&reader.frame, title)
        .intro(intro)
        .acts(Html::all(ways))
        .block(form(&query, side));
    if found.records.is_empty() && found.next.is_none() {
        let empty = if searches {
            Empty::new(
                "No record matches",
                "Try a longer span of time, or fewer conditions.",
            )
            .acts(button(at(side), "Show everything", ""))
        } else {
            Empty::new("Nothing yet", "What is done from now on will stand here.")
        };
        return Ok(shown
            .block(Card::new("").body(empty.html()).html())
            .answer());
    }
    let mut card = Card::new("");
    card = if found.records.is_empty() {
        let empty = Empty::new(
            "Nothing so far",
            "No record matched among those that were looked at; older ones have not been.",
        );
        card.body(empty.html())
    } else {
        card.table(table(
            at(side),
            &found.records,
            &labels,
            side == Side::Administration,
        ))
    };
    shown = shown.block(card.foot(foot(&query, &found, side)).html());
    Ok(shown.answer())
}

fn foot(query: &Fields, found: &FoundRecords, side: Side) -> Html {
    let looked = plural(found.looked_at, "record was", "records were");
    let said = match found.reached {
        Some(reached) => Html::join(
            " ",
            [soft(&format!("{looked} looked at, back to")), when(reached)],
        ),
        None => soft("Nothing was looked at."),
    };
    let mut ways = Vec::new();
    if query.some("before").is_some() {
        ways.push(button(&with(query, "", side), "Newest", "slim"));
    }
    if let Some(next) = found.next {
        let text = if found.records.len() < A_PAGE {
            "Search further back"
        } else {
            "Older records"
        };
        ways.push(button(&with(query, &next.to_string(), side), text, "slim"));
    }
    Html::all([
        Html::fixed(format!("<span>{said}</span>")),
        Html::fixed(format!("<span class=\"acts\">{}</span>", Html::all(ways))),
    ])
}

fn with(query: &Fields, before: &str, side: Side) -> String {
    let names = ["what", "account", "outcome", "from", "until", "key"];
    let mut pairs: Vec<(&str, &str)> = names.map(|name| (name, query.one(name))).into();
    pairs.push(("before", before));
    address(at(side), &pairs)
}

fn read(query: &Fields) -> RecordSearch {
    let what = KINDS.iter().find(|(name, ..)| *name == query.one("what"));
    RecordSearch {
        key: query.some("key").and_then(|key| key.parse().ok()),
        account: query.some("account").map(str::to_owned),
        acts: what.map(|(_, _, acts)| acts.to_vec()).unwrap_or_default(),
        done: match query.one("outcome") {
            "done" => Some(true),
            "refused" => Some(false),
            _ => None,
        },
        from: query.some("from").and_then(moment),
        until: query.some("until").and_then(moment),
        before: query.some("before").and_then(|before| before.parse().ok()),
        limit: A_PAGE,
    }
}

fn form(query: &Fields, side: Side) -> Html {
    let chosen = query.one("what");
    let mut kinds = vec![Choice::new("", "Everything", chosen.is_empty())];
    kinds.extend(
        KINDS
            .iter()
            .map(|(name, text, _)| Choice::new(*name, *text, chosen == *name)),
    );
    let outcome = query.one("outcome");
    let outcomes = [
        ("", "Done or refused"),
        ("done", "Done"),
        ("refused", "Refused"),
    ]
    .map(|(value, text)| Choice::new(value, text, outcome == value));
    let mut fields = vec![
        Field::select("what", "What", kinds),
        Field::text("account", "Who").value(query.one("account")),
        Field::select("outcome", "Outcome", outcomes.into()),
        Field::text("from", "Since (2026-11-30)").value(query.one("from")),
        Field::text("until", "Before (2026-12-01)").value(query.one("until")),
    ];
    fields.push(Field::text("key", "Key's identifier").value(query.one("key")));
    let fields: Vec<Html> = fields.iter().map(Field::html).collect();
    search_form(at(side), &fields)
}

/// What keys are called, of those that the reader has or had.
pub(crate) type Labels = HashMap<KeyId, String>;

fn labels(keystore: &Keystore, caller: &Presented, records: &[Record]) -> Labels {
    let mut labels = Labels::new();
    for id in records.iter().filter_map(|record| record.key) {
        if let Entry::Vacant(place) = labels.entry(id)
            && let Ok(key) = keystore.key(caller, id)
        {
            place.insert(super::key::title(&key).to_owned());
        }
    }
    labels
}

/// Records as a table. `with_all` adds what auditors look for.
pub(crate) fn table(at: &str, records: &[Record], labels: &Labels, with_all: bool) -> Table {
    let columns: &[&str] = if with_all {
        &["Record", "When", "What", "Who", "Whom or which key", "From"]
    } else {
        &["What", "Key or account", "When", "Who", "From", "Record"]
    };
    // On a key's own page it is always that key.
    let columns: Vec<&str> = columns
        .iter()
        .copied()
        .filter(|column| with_all || !labels.is_empty() || *column != "Key or account")
        .collect();
    let rows = records.iter().map(|record| {
        let what = what_of(record);
        let who = record
            .actor_name
            .as_deref()
            .map_or_else(|| soft("Nobody signed in"), Html::from);
        let from = record
            .source
            .as_deref()
            .map_or_else(|| soft("the appliance"), source);
        let index = link(&format!("{at}/{}", record.index), &count(record.index));
        if with_all {
            let mut whom = Vec::new();
            if let Some(subject) = &record.subject_name {
                whom.push(Html::from(subject.as_str()));
            }
            if let Some(key) = record.key {
                whom.push(mono(&key.to_string()));
            }
            let whom = Html::join("<br>", whom);
            vec![index, when(record.time), what, who, whom, from]
        } else {
            let mut cells = vec![what, when(record.time), who, from, index];
            if !labels.is_empty() {
                let about = record.key.and_then(|key| {
                    let label = labels.get(&key)?;
                    Some(link(&format!("/keys/{key}"), label))
                });
                let subject = record.subject_name.as_deref().map(Html::from);
                cells.insert(1, about.or(subject).unwrap_or_default());
            }
            cells
        }
    });
    Table::new("Records", &columns).rows(rows)
}

/// What a record says was done, in words.
fn what_of(record: &Record) -> Html {
    let act = words::act(record.act);
    let said = record
        .note
        .as_deref()
        .map(|note| words::note(note, record.done));
    let over = if record.done {
        Html::from(act)
    } else {
        Html::join(" ", [Html::from(act), badge(Tone::Bad, "Refused")])
    };
    match said {
        Some(said) if !said.is_empty() => with_sub(over, said),
        _ => over,
    }
}
