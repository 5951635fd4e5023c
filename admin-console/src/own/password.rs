//! Another password for the reader's own account.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};
use strongroom_wire::credential::{FinishPassword, StartPassword};
use strongroom_wire::problem::Problem;

use crate::door::{new_password, opaque, password_fields};
use crate::form::Sent;
use crate::page;
use crate::pieces::{Card, Form, Html, list};
use crate::reader::{Page, Reader};
use crate::show;
use crate::stop::{Stop, problem_note};

type Answer = Result<HttpResponse, Stop>;

const HERE: &str = "/security/password";

pub(super) fn routes(services: &mut ServiceConfig) {
    page(
        services,
        HERE,
        vec![web::get().to(show_change), web::post().to(change)],
    );
}

async fn show_change(reader: Reader) -> Answer {
    reader.require_recent()?;
    Ok(change_page(&reader, None))
}

fn change_page(reader: &Reader, refused: Option<&Problem>) -> HttpResponse {
    let [password, again] = password_fields();
    let form = Form::new(HERE, &reader.frame.form_token, "Change the password")
        .field(password)
        .field(again)
        .back("/security");
    let what = list([
        Html::from("The password that you have now opens nothing any more."),
        "Every other session of yours ends: sign in again there.".into(),
        "Passkeys, authenticator app and recovery codes stay as they are.".into(),
    ]);
    let body = Html::all([
        what,
        Html::fixed(format!("<div class=\"after\">{}</div>", form.html())),
    ]);
    let mut page =
        Page::new(&reader.frame, "Change the password").under("/security", "Sign-in and security");
    if let Some(problem) = refused {
        page = page.block(problem_note(problem, HERE).html());
    }
    let status = refused.map_or(StatusCode::OK, |problem| {
        StatusCode::from_u16(problem.status).unwrap_or_default()
    });
    page.block(Card::new("What this changes").body(body).html())
        .answer_with(status)
}

async fn change(reader: Reader, sent: Sent) -> Answer {
    reader.require_recent_then(HERE)?;
    let password = match new_password(&sent) {
        Ok(password) => password,
        Err(problem) => return Ok(change_page(&reader, Some(&problem))),
    };
    let name = reader.name().to_owned();
    let _place = match opaque::place().await {
        Ok(place) => place,
        Err(problem) => return Err(Stop::problem(&reader.frame, problem)),
    };
    let changed = reader
        .wait(move |visit, caller| {
            let upload = opaque::register(&name, &password, |request| {
                visit
                    .sign_ins
                    .start_password(caller, StartPassword { request })
            })?;
            visit
                .sign_ins
                .finish_password(caller, FinishPassword { upload })
        })
        .await?;
    match changed {
        Ok(done) => Ok(show::go(&format!(
            "/security?done=password&leaf={}",
            done.leaf
        ))),
        Err(problem) => Ok(change_page(&reader, Some(&problem))),
    }
}
