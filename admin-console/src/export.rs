//! Exporting the audit log: the bundle that the interface gives, which anyone verifies without the appliance. With a bar that shows how far it is where scripts run,
//! and as a plain download without. The reports that the command line makes of a bundle, CSV and PDF, are made here of the same.

mod report;

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};
use strongroom_keystore::{Export, Keystore};
use strongroom_wire::account::Role;
use strongroom_wire::audit::{Act, ExportQuery};
use strongroom_wire::problem::{Code, Problem};

use self::report::{Form as As, Report};
use crate::exporting::{Broken, Making, cosigned, pieces};
use crate::form::{Fields, Sent};
use crate::own::policy::moment;
use crate::page;
use crate::pieces::{Card, Choice, Field, Form, Html, list};
use crate::reader::{Page, Reader, failed};
use crate::show;
use crate::stop::{Stop, problem_note};
use crate::words;

type Answer = Result<HttpResponse, Stop>;

pub(crate) fn routes(services: &mut ServiceConfig) {
    page(
        services,
        "/export",
        vec![web::get().to(show), web::post().to(export)],
    );
}

async fn show(reader: Reader, query: Fields) -> Answer {
    Ok(export_page(&reader, &query, None))
}

fn export_page(reader: &Reader, said: &Fields, refused: Option<&Problem>) -> HttpResponse {
    let chosen = said.one("act");
    let mut acts = vec![Choice::new("", "Every act", chosen.is_empty())];
    acts.extend(
        Act::ALL
            .iter()
            .map(|act| Choice::new(act.as_str(), words::act(*act), chosen == act.as_str())),
    );
    let form = Form::new("/export", &reader.frame.form_token, "Export")
        .field(Field::moment("from", "Since (UTC)").value(said.one("from")))
        .field(Field::moment("to", "Before (UTC)").value(said.one("to")))
        .field(
            Field::text("case", "Case")
                .hint("Its identifier.")
                .value(said.one("case")),
        )
        .field(
            Field::text("account", "Account")
                .hint("Its identifier; as actor, subject or owner.")
                .value(said.one("account")),
        )
        .field(
            Field::text("key", "Key")
                .hint("Its identifier.")
                .value(said.one("key")),
        )
        .field(Field::select("act", "Act", acts))
        .field(
            Field::number("previous", "Continues an export of so many leaves")
                .hint("The size of an earlier export's checkpoint: the bundle then proves that the log has only grown since.")
                .value(said.one("previous")),
        )
        .field(Field::radios("as", "As", forms(said.one("as"))))
        .data(&[("export", "yes")]);
    let what = list([
        Html::from("A bundle: the records that you ask for, their proofs, the signed checkpoint, and the hashes of all others in the range, so that nothing can be left out unseen."),
        "Anyone verifies it without this appliance: strongroom audit verify FILE, or a program of their own by appliance/audit/FORMAT.md.".into(),
        "The log says that it was exported, and what.".into(),
    ]);
    let progress = Html::fixed("<div id=\"export-progress\" hidden><p data-words role=\"status\">Asking</p><p><progress max=\"1\" value=\"0\" aria-label=\"Progress of the export\"></progress></p><p class=\"acts after\"><a class=\"button main\" download=\"strongroom-audit.bundle\" hidden>Save the bundle</a></p></div>".to_owned());
    let intro = if reader.frame.has(Role::Auditor) {
        "The whole log, or what you ask for of it."
    } else {
        "What concerns you or your keys. Auditors get all of it."
    };
    let mut page = Page::new(&reader.frame, "Export the log")
        .intro(intro)
        .scripts(&["progress.js", "export.js"]);
    if let Some(problem) = refused {
        page = page.block(problem_note(problem, "").html());
    }
    let status = refused.map_or(StatusCode::OK, |problem| {
        StatusCode::from_u16(problem.status).unwrap_or_default()
    });
    page.block(Card::new("What this makes").body(what).html())
        .block(
            Card::new("What it holds")
                .intro("Empty: everything.")
                .body(Html::all([
                    form.html(),
                    Html::fixed(format!("<div class=\"after\">{progress}</div>")),
                ]))
                .html(),
        )
        .answer_with(status)
}

fn forms(chosen: &str) -> Vec<Choice> {
    let words = [
        (
            "Bundle",
            "What anyone verifies. A bar shows how far it is, where scripts run.",
        ),
        ("CSV", "A row for each record, for tables and programs."),
        (
            "PDF",
            "A report that a court can read: what was verified and how, pictures, counts, the newest 2,000 records.",
        ),
    ];
    As::ALL
        .into_iter()
        .zip(words)
        .map(|(form, (text, hint))| {
            let value = form.value();
            let chosen = chosen == value || (chosen.is_empty() && form == As::Bundle);
            Choice::new(value, text, chosen).hint(hint)
        })
        .collect()
}

fn read(sent: &Fields) -> Result<ExportQuery, Problem> {
    fn optional<T>(
        sent: &Fields,
        name: &str,
        what: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        match sent.some(name) {
            None => Ok(None),
            Some(text) => read(text).map(Some).ok_or_else(|| {
                Problem::new(Code::Invalid, format!("“{what}” cannot be read: {text}"))
            }),
        }
    }
    Ok(ExportQuery {
        from: optional(sent, "from", "Since", moment)?,
        to: optional(sent, "to", "Before", moment)?,
        first: None,
        case: sent.some("case").map(str::to_owned),
        account: optional(sent, "account", "Account", |text| text.parse().ok())?,
        key: optional(sent, "key", "Key", |text| text.parse().ok())?,
        act: optional(sent, "act", "Act", |text| {
            Act::ALL.iter().find(|act| act.as_str() == text).copied()
        })?,
        previous: optional(sent, "previous", "Continues an export", |text| {
            text.parse().ok()
        })?,
    })
}

async fn export(reader: Reader, sent: Sent) -> Answer {
    let begun = match read(&sent) {
        Ok(query) => {
            reader
                .attempt(move |keystore, caller| keystore.export_audit(caller, query))
                .await?
        }
        Err(problem) => Err(problem),
    };
    let form = As::ALL
        .into_iter()
        .find(|form| form.value() == sent.one("as"))
        .unwrap_or(As::Bundle);
    let open = Arc::downgrade(&reader.visit.keystore);
    let making = match begun {
        Ok(export) => {
            let export = cosigned(&open, export).await;
            export
                .and_then(|export| Reported::new(export, form))
                .map_err(|_| failed())
        }
        Err(problem) => Err(problem),
    };
    Ok(match making {
        Ok(making) => {
            let (name, kind) = form.file();
            show::download(name, kind).body(pieces(open, making, || ()))
        }
        Err(problem) => export_page(&reader, &sent, Some(&problem)),
    })
}

/// An export that is under way, and what is made of it.
struct Reported {
    export: Export,
    report: Option<Report>,
    ended: bool,
}

impl Reported {
    fn new(export: Export, form: As) -> Result<Self, Broken> {
        Ok(Self {
            export,
            report: Report::new(form)?,
            ended: false,
        })
    }
}

impl Making for Reported {
    fn next(&mut self, keystore: &Keystore) -> Result<Option<Vec<u8>>, Broken> {
        loop {
            if self.ended {
                return Ok(None);
            }
            let piece = self.export.next(keystore)?;
            let made = match (piece, &mut self.report) {
                (Some(piece), None) => piece,
                (Some(piece), Some(report)) => report.take(&piece)?,
                (None, _) => {
                    self.ended = true;
                    match self.report.take() {
                        Some(report) => report.finish()?,
                        None => return Ok(None),
                    }
                }
            };
            // Of a document nothing is there before its end.
            if !made.is_empty() {
                return Ok(Some(made));
            }
        }
    }
}
