//! Entering an order, by a form or from a file, and changing it.

use actix_web::{HttpResponse, web};
use strongroom_keystore::CaseAct;
use strongroom_wire::authorisation::{
    Authorisation, AuthorisationOrder, ChangeAuthorisation, ChangedAuthorisation, PutDocument,
    WarrantDocument,
};
use strongroom_wire::id::AuthorisationId;
use strongroom_wire::problem::{Code, Problem};

use super::draft::Draft;
use super::{at, below, case_of, require, status};
use crate::form::{File, Uploaded};
use crate::pieces::{Card, Field, Form, Html, Note, Tone, button, list, plural};
use crate::reader::{Page, Reader};
use crate::show;
use crate::stop::{Stop, problem_note};

type Answer = Result<HttpResponse, Stop>;

/// The largest form, in bytes: a warrant, an order of 64 tasks, and what stands around them.
const LARGEST: usize = 5 * 1024 * 1024;

type Sent = Uploaded<LARGEST>;

pub(super) async fn show_new(reader: Reader) -> Answer {
    require(&reader, None, CaseAct::Enter).await?;
    Ok(new_page(&reader, &Draft::new(), None))
}

fn new_page(reader: &Reader, draft: &Draft, refused: Option<&Problem>) -> HttpResponse {
    let form = Form::new("/cases/new", &reader.frame.form_token, "Enter the order");
    let form = draft.fields(form).back("/cases");
    let mut page = Page::new(&reader.frame, "Enter an order")
        .under("/cases", "Cases")
        .intro("What you enter awaits approval by legal approvers, who sign exactly this. Accounts are looked up once, by their names as they are now.")
        .acts(button("/cases/new/file", "From a file", ""));
    if let Some(problem) = refused {
        page = page.block(problem_note(problem, "").html());
    }
    page.block(Card::new("").body(form.html()).html())
        .answer_with(status(refused))
}

/// What a form leads to.
enum Read {
    /// It is shown again, with what was added or what is wrong.
    Again(Option<Problem>),
    /// It is an order.
    Order(Box<AuthorisationOrder>),
}

/// Reads the form. A warrant that came with it is uploaded first, so that it has not to be chosen again.
async fn read(reader: &Reader, sent: &Sent, draft: &mut Draft) -> Result<Read, Stop> {
    if let Some(file) = sent.file("agency_file") {
        draft.set_agency(&file.bytes);
    }
    if let Some(file) = sent.file("warrant") {
        match upload(reader, file).await? {
            Ok(warrant) => draft.warrant = Some(warrant),
            Err(problem) => return Ok(Read::Again(Some(problem))),
        }
    }
    if sent.one("more") == "task" {
        draft.add_task();
        return Ok(Read::Again(None));
    }
    Ok(match draft.order() {
        Ok(order) => Read::Order(Box::new(order)),
        Err(problem) => Read::Again(Some(problem)),
    })
}

/// Keeps a warrant, and says how orders name it.
async fn upload(reader: &Reader, file: &File) -> Result<Result<WarrantDocument, Problem>, Stop> {
    let content = file.bytes.clone().into();
    let put = reader
        .attempt(move |keystore, caller| keystore.put_warrant(caller, PutDocument { content }))
        .await?;
    let or = |text: &str, otherwise: &str| {
        let text: String = text.chars().filter(|letter| !letter.is_control()).collect();
        if text.trim().is_empty() {
            otherwise.to_owned()
        } else {
            text
        }
    };
    Ok(put.map(|put| WarrantDocument {
        name: or(&file.name, "warrant"),
        media_type: or(&file.media_type, "application/octet-stream"),
        sha256: put.sha256,
    }))
}

pub(super) async fn enter(reader: Reader, sent: Sent) -> Answer {
    let mut draft = Draft::sent(&sent);
    let order = match read(&reader, &sent, &mut draft).await? {
        Read::Again(problem) => return Ok(new_page(&reader, &draft, problem.as_ref())),
        Read::Order(order) => *order,
    };
    let entered = reader
        .attempt(move |keystore, caller| keystore.enter_authorisation(caller, order))
        .await?;
    Ok(match entered {
        Ok(entered) => on(&entered, "entered"),
        Err(problem) => new_page(&reader, &draft, Some(&problem)),
    })
}

fn on(changed: &ChangedAuthorisation, done: &str) -> HttpResponse {
    show::go(&format!(
        "/cases/{}?done={done}&leaf={}",
        changed.authorisation.id, changed.leaf
    ))
}

pub(super) async fn show_file(reader: Reader) -> Answer {
    require(&reader, None, CaseAct::Enter).await?;
    Ok(file_page(&reader, "", None))
}

fn file_page(reader: &Reader, pasted: &str, refused: Option<&Problem>) -> HttpResponse {
    let form =
        Form::new(
            "/cases/new/file",
            &reader.frame.form_token,
            "Enter the order",
        )
        .field(Field::upload("order_file", "Order, as a file").hint(
            "JSON, as strongroom case show --order prints it and docs/lawful-access.md says it.",
        ))
        .field(Field::area("order", "Or pasted").value(pasted))
        .field(
            Field::upload("warrant", "Warrant")
                .hint("3,000,000 bytes at most. Only an emergency may be without."),
        )
        .with_files()
        .back("/cases/new");
    let mut page = Page::new(&reader.frame, "Enter an order from a file")
        .under("/cases", "Cases")
        .under("/cases/new", "Enter an order");
    if let Some(problem) = refused {
        page = page.block(problem_note(problem, "").html());
    }
    page.block(Card::new("").body(form.html()).html())
        .answer_with(status(refused))
}

pub(super) async fn enter_file(reader: Reader, sent: Sent) -> Answer {
    let pasted = sent.raw("order").to_owned();
    let text = sent
        .file("order_file")
        .map_or(pasted.as_bytes(), |file| file.bytes.as_slice());
    let mut order: AuthorisationOrder = match serde_json::from_slice(text) {
        Ok(order) => order,
        Err(error) => {
            let problem =
                Problem::new(Code::Invalid, format!("This is no order in JSON: {error}."));
            return Ok(file_page(&reader, &pasted, Some(&problem)));
        }
    };
    if let Some(file) = sent.file("warrant") {
        match upload(&reader, file).await? {
            Ok(warrant) => order.warrant = Some(warrant),
            Err(problem) => return Ok(file_page(&reader, &pasted, Some(&problem))),
        }
    }
    let entered = reader
        .attempt(move |keystore, caller| keystore.enter_authorisation(caller, order))
        .await?;
    Ok(match entered {
        Ok(entered) => on(&entered, "entered"),
        Err(problem) => file_page(&reader, &pasted, Some(&problem)),
    })
}

pub(super) async fn show_change(reader: Reader, path: web::Path<AuthorisationId>) -> Answer {
    let id = path.into_inner();
    require(&reader, Some(id), CaseAct::Enter).await?;
    let case = case_of(&reader, id).await?;
    let draft = Draft::of(&case.record.order);
    Ok(change_page(&reader, &case, case.generation, &draft, None))
}

fn change_page(
    reader: &Reader,
    case: &Authorisation,
    seen: u32,
    draft: &Draft,
    refused: Option<&Problem>,
) -> HttpResponse {
    let (to, back) = (at(case.id, "change"), at(case.id, ""));
    let form = Form::new(&to, &reader.frame.form_token, "Change the order")
        .field(Field::hidden("generation", seen.to_string()));
    let form = draft.fields(form).back(&back);
    let given = case.approvals.len() as u64;
    let mut what = vec![Html::from(format!(
        "The case gets generation {}, which awaits approval: until then nothing is executed or released under it.",
        case.generation.saturating_add(1)
    ))];
    what.push(if given == 0 {
        "Nobody has decided on the present generation.".into()
    } else {
        format!(
            "What {} decided on the present generation is void at once: everybody has to approve anew.",
            plural(given, "person has", "people have")
        )
        .into()
    });
    what.push(
        "What was executed and not released has to be executed anew. What was released stays released."
            .into(),
    );
    let mut page = below(reader, case, "Change the order");
    if let Some(problem) = refused {
        page = page.block(problem_note(problem, "").html());
    }
    page.block(Note::new(Tone::Warn, "What this changes", list(what)).html())
        .block(Card::new("").body(form.html()).html())
        .answer_with(status(refused))
}

pub(super) async fn change(reader: Reader, path: web::Path<AuthorisationId>, sent: Sent) -> Answer {
    let id = path.into_inner();
    let mut draft = Draft::sent(&sent);
    let generation = sent.one("generation").parse().unwrap_or_default();
    let read = read(&reader, &sent, &mut draft).await?;
    let refused = match read {
        Read::Again(problem) => problem,
        Read::Order(order) => {
            let request = ChangeAuthorisation {
                generation,
                order: *order,
            };
            let changed = reader
                .attempt(move |keystore, caller| keystore.change_authorisation(caller, id, request))
                .await?;
            match changed {
                Ok(changed) => return Ok(on(&changed, "changed")),
                Err(problem) => Some(problem),
            }
        }
    };
    let case = case_of(&reader, id).await?;
    Ok(change_page(
        &reader,
        &case,
        generation,
        &draft,
        refused.as_ref(),
    ))
}

/// The present order, as a file that can be changed and handed in again.
pub(super) async fn order(reader: Reader, path: web::Path<AuthorisationId>) -> Answer {
    let case = case_of(&reader, path.into_inner()).await?;
    let text = serde_json::to_string_pretty(&case.record.order).unwrap_or_default();
    Ok(show::download("order.json", "application/json").body(text))
}
