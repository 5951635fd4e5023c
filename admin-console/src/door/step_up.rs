//! Signing in again in a session: asked for before acts that cannot be undone.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use strongroom_wire::problem::{Code, Problem};
use strongroom_wire::session::{FinishSecondFactor, StartStepUp};
use zeroize::Zeroizing;

use super::factor::{self, Wanted};
use super::sign_in::{Query, noted};
use super::{opaque, provider};
use crate::form::Sent;
use crate::pieces::{Card, Empty, Field, Form, Html, button};
use crate::reader::{Alone, Reader, onwards};
use crate::show;
use crate::stop::{Stop, problem_note};

type Answer = Result<HttpResponse, Stop>;

/// Asks for the second factor, or for the password where there is none.
pub(super) async fn show(reader: Reader, query: web::Query<Query>) -> Answer {
    ask(&reader, &query.then, None).await
}

/// Takes the password.
pub(super) async fn password(reader: Reader, sent: Sent) -> Answer {
    let then = sent.one("then").to_owned();
    let password = Zeroizing::new(sent.raw("password").to_owned());
    let name = reader.name().to_owned();
    let answer = match opaque::place().await {
        Ok(_place) => {
            reader
                .wait(move |visit, caller| {
                    let proof = opaque::prove(&name, &password, |ke1| {
                        visit.sign_ins.start_step_up(caller, StartStepUp { ke1 })
                    })?;
                    visit.sign_ins.finish_step_up(caller, proof)
                })
                .await?
        }
        Err(problem) => return Err(Stop::problem(&reader.frame, problem)),
    };
    match answer {
        Ok(_) => Ok(show::go(&onwards(&then, reader.frame.side))),
        Err(problem) => {
            let problem = match problem.code {
                Code::SignInRefused => Problem::new(problem.code, "The password is wrong."),
                _ => problem,
            };
            Ok(ask_password(&reader, &then, Some(&problem)))
        }
    }
}

/// Takes a second factor.
pub(super) async fn second_factor(reader: Reader, sent: Sent) -> Answer {
    let then = sent.one("then").to_owned();
    let (Some(wanted), Some(proof)) = (Wanted::carried(&sent), factor::proof(&sent)) else {
        return Err(Stop::step_up(&then));
    };
    let sign_in = wanted.sign_in;
    let answer = reader
        .wait(move |visit, caller| {
            visit
                .sign_ins
                .finish_second_factor_step_up(caller, FinishSecondFactor { sign_in, proof })
        })
        .await?;
    match answer {
        Ok(_) => Ok(show::go(&onwards(&then, reader.frame.side))),
        Err(problem) => Ok(ask_factor(&reader, &wanted, &then, Some(&problem))),
    }
}

async fn ask(reader: &Reader, then: &str, refused: Option<&Problem>) -> Answer {
    let wanted = reader
        .attempt(|keystore, caller| {
            let needed = keystore.start_second_factor_step_up(caller)?;
            Ok(Wanted::new(keystore, needed))
        })
        .await?;
    match wanted {
        Ok(wanted) => Ok(ask_factor(reader, &wanted, then, refused)),
        Err(problem) if problem.code == Code::Conflict => Ok(ask_password(reader, then, refused)),
        Err(problem) => Err(Stop::problem(&reader.frame, problem)),
    }
}

fn ask_password(reader: &Reader, then: &str, refused: Option<&Problem>) -> HttpResponse {
    let form = Form::new("/step-up", &reader.frame.form_token, "Continue")
        .field(
            Field::password("password", "Password", "current-password")
                .wrong(refused.map(|problem| problem.detail.as_str()))
                .required()
                .focus(),
        )
        .field(Field::hidden("then", then))
        .class("main full");
    frame(
        reader,
        refused,
        vec![Card::new("").body(form.html()).html()],
    )
}

/// For an account that signs in at an OpenID provider alone.
fn ask_elsewhere(then: &str) -> Html {
    let empty = Empty::new(
        "Sign in again where you signed in before",
        "This account has neither a password nor a second factor here.",
    )
    .acts(button(&provider::again(then), "Sign in again", "main"));
    Card::new("").body(empty.html()).html()
}

fn ask_factor(
    reader: &Reader,
    wanted: &Wanted,
    then: &str,
    refused: Option<&Problem>,
) -> HttpResponse {
    let mut forms = wanted.forms(
        "/step-up/second-factor",
        &reader.frame.form_token,
        then,
        refused,
    );
    if forms.is_empty() {
        forms.push(ask_elsewhere(then));
    }
    if let Some(problem) = refused.filter(|problem| problem.code != Code::SecondFactorRefused) {
        forms.insert(0, problem_note(problem, "").html());
    }
    frame(reader, refused, forms)
}

fn frame(reader: &Reader, refused: Option<&Problem>, blocks: Vec<Html>) -> HttpResponse {
    let page = Alone::new(&reader.frame, "Is it still you?")
        .intro("What you are about to do matters, so the appliance asks you to sign in once more. Your session stays as it is.")
        .scripts(factor::PASSKEY_SCRIPTS)
        .blocks(blocks);
    let status = refused.map_or(StatusCode::OK, |_| StatusCode::UNAUTHORIZED);
    noted(page.answer_with(status), refused)
}
