//! Previewing what an order reaches, executing it, releasing it, handing it out.

use actix_web::{HttpResponse, web};
use strongroom_keystore::CaseAct;
use strongroom_wire::account::Role;
use strongroom_wire::authorisation::Authorisation;
use strongroom_wire::disclosure::{
    Disclosure, DisclosurePreview, DisclosureState, MOST_DELIVERED, PREVIEWED,
};
use strongroom_wire::id::{AuthorisationId, DisclosureId};
use strongroom_wire::problem::Problem;

use super::show::disclosure_badge;
use super::{at, below, case_of, confirm, describe, done, require, status};
use crate::form::{Fields, Sent};
use crate::pieces::{
    Card, Empty, Facts, Form, Html, Note, Table, Tile, Tiles, Tone, button, count, list, mono,
    plural, soft, tags, when, when_or, with_sub,
};
use crate::reader::Reader;
use crate::show;
use crate::stop::{Stop, problem_note};
use crate::words;

type Answer = Result<HttpResponse, Stop>;

pub(super) async fn show_preview(reader: Reader, path: web::Path<AuthorisationId>) -> Answer {
    let id = path.into_inner();
    require(&reader, Some(id), CaseAct::Preview).await?;
    let case = case_of(&reader, id).await?;
    Ok(ask_preview(&reader, &case, None))
}

fn ask_preview(reader: &Reader, case: &Authorisation, refused: Option<&Problem>) -> HttpResponse {
    let (to, back) = (at(case.id, "preview"), at(case.id, ""));
    let form = Form::new(&to, &reader.frame.form_token, "Show what it reaches").back(&back);
    let what = list([
        Html::from("Counts and metadata of what the order reaches now. No key and no content."),
        "The log says that you looked.".into(),
    ]);
    confirm(reader, case, "Preview", what, &form.html(), false, refused)
}

/// It leaves a leaf, and so is no GET.
pub(super) async fn preview(
    reader: Reader,
    path: web::Path<AuthorisationId>,
    _sent: Sent,
) -> Answer {
    let id = path.into_inner();
    let preview = reader
        .attempt(move |keystore, caller| keystore.preview_disclosure(caller, id))
        .await?;
    let case = case_of(&reader, id).await?;
    Ok(match preview {
        Ok(preview) => preview_page(&reader, &case, &preview),
        Err(problem) => ask_preview(&reader, &case, Some(&problem)),
    })
}

fn preview_page(
    reader: &Reader,
    case: &Authorisation,
    preview: &DisclosurePreview,
) -> HttpResponse {
    let mut page = below(reader, case, "What it reaches").intro(
        "As it stands now. What is released is evaluated once more when it is, by somebody else.",
    );
    let over = !preview.more && preview.items > preview.left;
    if preview.items == 0 {
        page = page.block(
            Note::new(
                Tone::Warn,
                "There is nothing to disclose",
                "Nothing in scope that was not delivered already.",
            )
            .html(),
        );
    } else if over || (preview.more && preview.left < MOST_DELIVERED) {
        page = page.block(
            Note::new(
                Tone::Bad,
                "It reaches more than the order allows",
                "Nothing goes out at all. A case officer can change the order's scope or its cap, which has to be approved anew.",
            )
            .html(),
        );
    } else if reader.frame.has(Role::Executor) {
        page = page.acts(button(&at(case.id, "execute"), "Execute it", "main"));
    }
    page = page.block(tiles(case, preview)).block(withheld(preview));
    if !preview.owners.is_empty() {
        let rows = preview.owners.iter().map(|owned| {
            vec![
                owned.owner.as_str().into(),
                count(owned.items.into()).into(),
            ]
        });
        let table = Table::new("Whose they are", &["Owner", "#Items"]).rows(rows);
        page = page.block(Card::new("Whose they are").table(table).html());
    }
    if !preview.shown.is_empty() {
        page = page.block(items(preview));
    }
    page.answer()
}

fn tiles(case: &Authorisation, preview: &DisclosurePreview) -> Html {
    let more = if preview.more {
        "and more, which go out with further disclosures"
    } else {
        "would be delivered now"
    };
    Tiles(vec![
        Tile {
            what: "Items in scope",
            much: count(preview.items.into()).into(),
            more: more.into(),
        },
        Tile {
            what: "It may still deliver",
            much: count(preview.left.into()).into(),
            more: format!("of {} at most", count(case.record.order.max_items.into())).into(),
        },
        Tile {
            what: "The first was made",
            much: Html::default(),
            more: when_or(preview.first, "—"),
        },
        Tile {
            what: "The last was made",
            much: Html::default(),
            more: when_or(preview.last, "—"),
        },
    ])
    .html()
}

fn withheld(preview: &DisclosurePreview) -> Html {
    let withheld = preview.withheld;
    let facts = Facts::new()
        .with("Delivered before", count(withheld.delivered.into()))
        .with(
            "Destroyed before",
            with_sub(
                count(withheld.destroyed.into()),
                "Before the case kept them from it",
            ),
        )
        .with(
            "Keys that only sign",
            with_sub(
                count(withheld.signing.into()),
                "Never disclosed: they open nothing, and who has one speaks in its owner's name",
            ),
        )
        .with(
            "Keys in the HSM",
            with_sub(
                count(withheld.in_hsm.into()),
                "They never leave it; what they encrypted is opened there",
            ),
        )
        .with("Recorded as leaf", count(preview.leaf));
    Card::new("In scope, and not delivered")
        .body(facts.html())
        .html()
}

fn items(preview: &DisclosurePreview) -> Html {
    let rows = preview.shown.iter().map(|item| {
        let label = if item.label.is_empty() {
            soft("Without a label")
        } else {
            item.label.as_str().into()
        };
        vec![
            with_sub(label, mono(&item.key.to_string())),
            item.owner.as_str().into(),
            tags(&item.recipients),
            when(item.created),
            with_sub(
                words::algorithm(item.algorithm),
                words::key_state_badge(item.state),
            ),
            with_sub(format!("Task {}", item.task), item.matched.as_str()),
        ]
    });
    let table = Table::new(
        "Items",
        &["Item", "Owner", "Sent to", "Made", "What it is", "Why"],
    )
    .rows(rows);
    let mut card = Card::new("Items").table(table);
    if preview.items as usize > preview.shown.len() {
        card = card.foot(soft(&format!("The first {PREVIEWED}.")));
    }
    card.html()
}

pub(super) async fn show_execute(reader: Reader, path: web::Path<AuthorisationId>) -> Answer {
    let id = path.into_inner();
    require(&reader, Some(id), CaseAct::Execute).await?;
    let case = case_of(&reader, id).await?;
    reader.require_recent()?;
    Ok(execute_page(&reader, &case, None))
}

fn execute_page(reader: &Reader, case: &Authorisation, refused: Option<&Problem>) -> HttpResponse {
    let (to, back) = (at(case.id, "execute"), at(case.id, ""));
    let what = list([
        Html::from(
            "What the order reaches at this moment is what may be released: what is made later is not.",
        ),
        "Nothing goes out by this. Another person releases it.".into(),
        format!(
            "Over the cap of {} nothing is executed at all.",
            plural(case.record.order.max_items.into(), "item", "items")
        )
        .into(),
    ]);
    let form = Form::new(&to, &reader.frame.form_token, "Execute the disclosure").back(&back);
    confirm(reader, case, "Execute", what, &form.html(), false, refused)
}

pub(super) async fn execute(
    reader: Reader,
    path: web::Path<AuthorisationId>,
    _sent: Sent,
) -> Answer {
    let id = path.into_inner();
    reader.require_recent_then(&at(id, "execute"))?;
    let executed = reader
        .attempt(move |keystore, caller| keystore.execute_disclosure(caller, id))
        .await?;
    match executed {
        Ok(changed) => Ok(show::go(&format!(
            "/cases/{id}?done=executed&leaf={}",
            changed.leaf
        ))),
        Err(problem) => {
            let case = case_of(&reader, id).await?;
            Ok(execute_page(&reader, &case, Some(&problem)))
        }
    }
}

type Path = web::Path<(AuthorisationId, DisclosureId)>;

/// A disclosure and its case, where the one belongs to the other.
async fn disclosure_of(
    reader: &Reader,
    (id, disclosure): (AuthorisationId, DisclosureId),
) -> Result<(Authorisation, Disclosure), Stop> {
    let (case, found) = reader
        .ask(move |keystore, caller| {
            let case = keystore.authorisation(caller, id)?;
            Ok((case, keystore.disclosure(caller, disclosure)?))
        })
        .await?;
    if found.authorisation == case.id {
        Ok((case, found))
    } else {
        Err(Stop::not_found(&reader.frame))
    }
}

fn of_disclosure(disclosure: &Disclosure, what: &str) -> String {
    at(
        disclosure.authorisation,
        &format!("disclosures/{}{what}", disclosure.id),
    )
}

pub(super) async fn show(reader: Reader, path: Path, query: Fields) -> Answer {
    let (case, disclosure) = disclosure_of(&reader, path.into_inner()).await?;
    Ok(disclosure_page(
        &reader,
        &case,
        &disclosure,
        done(&query),
        None,
    ))
}

fn facts(case: &Authorisation, disclosure: &Disclosure) -> Html {
    let facts = Facts::new()
        .with("State", disclosure_badge(disclosure.state))
        .with("Items", count(disclosure.items.into()))
        .with("Generation", disclosure.generation.to_string())
        .with("Executed by", disclosure.executor.as_str())
        .with("Executed", when(disclosure.executed))
        .with_some("Released by", disclosure.releaser.as_deref())
        .with_some("Released", disclosure.released.map(when))
        .with("Sealed to", describe::agency(&case.record.order.agency_key))
        .with_some(
            "Manifest",
            disclosure
                .manifest_sha256
                .as_deref()
                .map(|sha256| Html::join(" ", ["SHA-256".into(), mono(sha256)])),
        )
        .with_some("Recorded as leaf", disclosure.release_leaf.map(count))
        .with("Delivery", mono(&disclosure.id.to_string()));
    Card::new("The disclosure").body(facts.html()).html()
}

fn disclosure_page(
    reader: &Reader,
    case: &Authorisation,
    disclosure: &Disclosure,
    done: Option<Html>,
    refused: Option<&Problem>,
) -> HttpResponse {
    let releases = reader.frame.has(Role::Releaser);
    let mut page = below(reader, case, "Disclosure");
    if let Some(done) = done {
        page = page.block(done);
    }
    if let Some(problem) = refused {
        page = page.block(problem_note(problem, &of_disclosure(disclosure, "")).html());
    }
    page = page.block(facts(case, disclosure));
    match disclosure.state {
        DisclosureState::Executed => {
            let stale = disclosure.generation != case.generation;
            let note = if stale {
                Note::new(
                    Tone::Warn,
                    "It cannot be released any more",
                    "The order was changed since: an executor has to execute it anew.",
                )
            } else {
                Note::new(
                    Tone::Plain,
                    "Nothing has gone out",
                    "A releaser, another person than who executed it, looks at it and lets it out.",
                )
            };
            if releases && !stale {
                let release = of_disclosure(disclosure, "/release");
                page = page.acts(Html::all([
                    button(&release, "Release it", "main"),
                    button(&at(case.id, "preview"), "Preview", ""),
                ]));
            }
            page = page.block(note.html());
        }
        DisclosureState::Released if releases => {
            page = page.block(delivery_card(reader, disclosure));
        }
        DisclosureState::Released => {
            let empty = Empty::new(
                "Released",
                "Releasers fetch the package and hand it to the agency. Each time has a leaf.",
            );
            page = page.block(Card::new("").body(empty.html()).html());
        }
    }
    page.answer_with(status(refused))
}

fn delivery_card(reader: &Reader, disclosure: &Disclosure) -> Html {
    let to = of_disclosure(disclosure, "/delivery");
    let form = Form::new(&to, &reader.frame.form_token, "Fetch the package");
    let body = Html::all([
        list([
            Html::from("A tape archive with a manifest, a delivery record for each item, and each key sealed to the agency's certificate or key. It is the same file each time."),
            "The log says each time that it was handed out.".into(),
        ]),
        Html::fixed("<pre class=\"wrapped after\" tabindex=\"0\">tar -xf delivery.tar\nopenssl cms -decrypt -binary -inform DER -in 00001.p7m -recip agency.pem -inkey agency.key</pre>".to_owned()),
        Html::fixed(format!("<div class=\"after\">{}</div>", form.html())),
    ]);
    Card::new("The package for the agency").body(body).html()
}

pub(super) async fn show_release(reader: Reader, path: Path) -> Answer {
    let (id, disclosure) = path.into_inner();
    require(&reader, Some(id), CaseAct::Release).await?;
    let (case, disclosure) = disclosure_of(&reader, (id, disclosure)).await?;
    reader.require_recent()?;
    Ok(release_page(&reader, &case, &disclosure, None))
}

fn release_page(
    reader: &Reader,
    case: &Authorisation,
    disclosure: &Disclosure,
    refused: Option<&Problem>,
) -> HttpResponse {
    let order = &case.record.order;
    let to = of_disclosure(disclosure, "/release");
    let back = of_disclosure(disclosure, "");
    let tasks = list(order.tasks.iter().map(|task| {
        Html::join(
            " ",
            [
                Html::from(format!("Task {}:", task.reference)),
                describe::scope(&task.scope),
            ],
        )
    }));
    let what = Html::all([
        list([
            Html::from(format!(
                "The keys of what the order reaches go out: {} when {} executed it. The scope is evaluated once more as it is released.",
                plural(disclosure.items.into(), "item", "items"),
                disclosure.executor
            )),
            Html::join(
                " ",
                [
                    "Whoever has the private key of this opens them:".into(),
                    describe::agency(&order.agency_key),
                ],
            ),
            "Each item has a delivery record and a leaf of its own. All of it goes out, or nothing.".into(),
            format!("Owners are told: {}.", describe::notification(order)).into(),
        ]),
        Html::fixed("<h3 class=\"after\">What the order reaches</h3>".to_owned()),
        tasks,
    ]);
    let form = Form::new(&to, &reader.frame.form_token, "Release the disclosure")
        .danger()
        .back(&back);
    confirm(reader, case, "Release", what, &form.html(), true, refused)
}

pub(super) async fn release(reader: Reader, path: Path, _sent: Sent) -> Answer {
    let (id, disclosure) = path.into_inner();
    let here = at(id, &format!("disclosures/{disclosure}"));
    reader.require_recent_then(&format!("{here}/release"))?;
    // The address names the case, too: they belong together, or there is no such page.
    let (case, found) = disclosure_of(&reader, (id, disclosure)).await?;
    let released = reader
        .attempt(move |keystore, caller| keystore.release_disclosure(caller, disclosure))
        .await?;
    Ok(match released {
        Ok(changed) => show::go(&format!("{here}?done=released&leaf={}", changed.leaf)),
        Err(problem) => release_page(&reader, &case, &found, Some(&problem)),
    })
}

/// The package, which leaves a leaf each time.
pub(super) async fn deliver(reader: Reader, path: Path, _sent: Sent) -> Answer {
    let (id, disclosure) = path.into_inner();
    let (case, found) = disclosure_of(&reader, (id, disclosure)).await?;
    let delivered = reader
        .attempt(move |keystore, caller| keystore.delivery(caller, disclosure))
        .await?;
    Ok(match delivered {
        Ok(delivery) => show::download(&format!("delivery-{disclosure}.tar"), "application/x-tar")
            .body(delivery.package),
        Err(problem) => disclosure_page(&reader, &case, &found, None, Some(&problem)),
    })
}
