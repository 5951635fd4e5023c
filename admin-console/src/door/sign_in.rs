//! Sign-in and sign-out.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use strongroom_session::passkey::{self, EphemeralKey};
use strongroom_wire::encoding::Base64;
use strongroom_wire::id::SignInId;
use strongroom_wire::problem::{Code, Problem};
use strongroom_wire::session::{
    FinishPasskeySignIn, FinishSecondFactor, SignInFinished, SignedIn, StartPasskeySignIn,
    StartSignIn,
};
use zeroize::Zeroizing;

use super::factor::{self, Asked, Wanted};
use super::{opaque, provider};
use crate::cookie;
use crate::form::Sent;
use crate::host::Side;
use crate::pieces::{Card, Field, Form, Html, Note, Tone, address, link};
use crate::reader::{Alone, Reader, Visitor, failed, onwards};
use crate::show::{self, Refused};
use crate::stop::{Stop, problem_note};

type Answer = Result<HttpResponse, Stop>;

/// Where a page was asked for, and what has just been done.
#[derive(Deserialize, Default)]
pub(super) struct Query {
    #[serde(default)]
    pub(super) then: String,
    #[serde(default)]
    done: String,
}

/// The first page.
pub(super) async fn start(request: HttpRequest) -> HttpResponse {
    let side = Side::of(&request);
    show::go(
        if cookie::sent(request.headers(), side.session_cookie()).is_some() {
            side.home()
        } else {
            "/sign-in"
        },
    )
}

/// Asks for name and password.
pub(super) async fn show(visitor: Visitor, query: web::Query<Query>) -> HttpResponse {
    let note = match query.done.as_str() {
        "out" => Some(Note::new(
            Tone::Good,
            "Signed out",
            "This session is ended.",
        )),
        "enrolled" => Some(Note::new(
            Tone::Good,
            "Your account is ready",
            "Sign in with your new password.",
        )),
        "recovered" => Some(Note::new(
            Tone::Good,
            "Your account is recovered",
            "Sign in with your new password, and set up your second factor again.",
        )),
        _ => None,
    };
    let page = form(&visitor, "", &query.then, None, note, query.done == "again");
    visitor.answer(page)
}

/// Takes name and password.
pub(super) async fn password(visitor: Visitor, sent: Sent) -> Answer {
    let account = opaque::account_name(sent.one("account"));
    let password = Zeroizing::new(sent.raw("password").to_owned());
    let then = sent.one("then").to_owned();
    if account.is_empty() || password.is_empty() {
        let problem = Problem::new(
            Code::SignInRefused,
            "Give both your name and your password.",
        );
        return Ok(form(&visitor, &account, &then, Some(&problem), None, false));
    }
    let finished = match opaque::place().await {
        Ok(_place) => {
            let name = account.clone();
            visitor
                .wait(move |visit| {
                    let proof = opaque::prove(&name, &password, |ke1| {
                        visit.sign_ins.start_sign_in(StartSignIn {
                            account: name.clone(),
                            ke1,
                        })
                    })?;
                    let finished = visit.sign_ins.finish_sign_in(proof)?;
                    Ok(match finished {
                        SignInFinished::SignedIn(signed_in) => Outcome::In(signed_in),
                        SignInFinished::SecondFactor { second_factor } => {
                            Outcome::Wanted(Wanted::new(&visit.keystore, second_factor))
                        }
                    })
                })
                .await
        }
        Err(problem) => Err(problem),
    };
    match finished {
        Ok(Outcome::In(signed_in)) => Ok(opened(&visitor, &signed_in, &then)),
        Ok(Outcome::Wanted(wanted)) => Ok(ask_factor(&visitor, &wanted, &then, None)),
        Err(problem) if problem.status >= 500 => Err(Stop::problem(&visitor.frame, problem)),
        Err(problem) => Ok(form(&visitor, &account, &then, Some(&problem), None, false)),
    }
}

enum Outcome {
    In(SignedIn),
    Wanted(Wanted),
}

/// Takes a second factor.
pub(super) async fn second_factor(visitor: Visitor, sent: Sent) -> Answer {
    let then = sent.one("then").to_owned();
    let (Some(wanted), Some(proof)) = (Wanted::carried(&sent), factor::proof(&sent)) else {
        return Ok(show::go(&address("/sign-in", &[("then", &then)])));
    };
    let sign_in = wanted.sign_in;
    let answer = visitor
        .wait(move |visit| {
            visit
                .sign_ins
                .finish_second_factor(FinishSecondFactor { sign_in, proof })
        })
        .await;
    match answer {
        Ok(signed_in) => Ok(opened(&visitor, &signed_in, &then)),
        Err(problem) if problem.status >= 500 => Err(Stop::problem(&visitor.frame, problem)),
        Err(problem) => Ok(ask_factor(&visitor, &wanted, &then, Some(&problem))),
    }
}

/// Tells a script what to ask an authenticator for. The private half of the ephemeral key is dropped at once: nobody opens the session's
/// transport key.
pub(super) async fn start_passkey(visitor: Visitor, _sent: Sent) -> HttpResponse {
    let answer = visitor
        .wait(move |visit| {
            let key = EphemeralKey::generate();
            let client_key = Base64(key.public().to_vec());
            let started = visit.sign_ins.start_passkey_sign_in(StartPasskeySignIn {
                client_key: client_key.clone(),
            })?;
            let random = started
                .request
                .random
                .0
                .as_slice()
                .try_into()
                .map_err(|_| failed())?;
            let challenge = passkey::challenge(random, &client_key.0);
            Ok(Asked::new(
                started.sign_in,
                started.request,
                &challenge,
                true,
            ))
        })
        .await;
    match answer {
        Ok(asked) => {
            let mut response = HttpResponse::Ok();
            show::headers(&mut response);
            response.json(asked)
        }
        Err(problem) => refused_script(&problem),
    }
}

/// Takes what an authenticator said.
pub(super) async fn finish_passkey(visitor: Visitor, sent: Sent) -> Answer {
    let then = sent.one("then").to_owned();
    let sign_in = sent.one("ceremony").parse::<SignInId>();
    let (Ok(sign_in), Some(assertion)) = (sign_in, factor::assertion(&sent)) else {
        return Ok(show::go(&address("/sign-in", &[("then", &then)])));
    };
    let answer = visitor
        .wait(move |visit| {
            visit
                .sign_ins
                .finish_passkey_sign_in(FinishPasskeySignIn { sign_in, assertion })
        })
        .await;
    match answer {
        Ok(opened_by) => Ok(opened(&visitor, &opened_by.signed_in, &then)),
        Err(problem) if problem.status >= 500 => Err(Stop::problem(&visitor.frame, problem)),
        Err(problem) => Ok(form(&visitor, "", &then, Some(&problem), None, false)),
    }
}

/// Ends the session.
pub(super) async fn out(reader: Reader, _sent: Sent) -> Answer {
    reader
        .ask(|keystore, caller| keystore.end_session(caller, None))
        .await?;
    let mut response = show::go("/sign-in?done=out");
    cookie::forget(&mut response, reader.frame.side.session_cookie());
    Ok(response)
}

/// A session is open: its token goes into a cookie that no script reads.
pub(super) fn opened(visitor: &Visitor, signed_in: &SignedIn, then: &str) -> HttpResponse {
    let side = visitor.frame.side;
    let mut response = show::go(&onwards(then, side));
    cookie::keep(
        &mut response,
        side.session_cookie(),
        &signed_in.token.to_text(),
    );
    visitor.answer(response)
}

pub(super) fn form(
    visitor: &Visitor,
    account: &str,
    then: &str,
    refused: Option<&Problem>,
    note: Option<Note>,
    again: bool,
) -> HttpResponse {
    let token = &visitor.frame.form_token;
    let password_form = Form::new("/sign-in", token, "Sign in")
        .field(
            Field::text("account", "Name")
                .hint("Usually your e-mail address.")
                .value(account)
                .autocomplete("username")
                .required()
                .focus(),
        )
        .field(Field::password("password", "Password", "current-password").required())
        .field(Field::hidden("then", then))
        .class("main full");
    let passkey = factor::passkey_form(
        "/sign-in/passkey/finish",
        token,
        then,
        "Sign in with a passkey",
        &[("passkey", "get"), ("start", "/sign-in/passkey")],
        None,
    );
    let providers = provider::forms(visitor, then, again);
    let links = Html::fixed(format!(
        "<p class=\"small\">{}</p><p class=\"small\">{}</p>",
        link("/enrol", "I have an enrolment code"),
        link("/recover", "I have lost my password")
    ));
    let mut page = Alone::new(&visitor.frame, "Sign in")
        .intro(match visitor.frame.side {
            Side::Owners => "Your keys, who can open them, and everything that was done with them.",
            Side::Administration => {
                "For administrators, security officers and auditors of this appliance."
            }
        })
        .scripts(factor::PASSKEY_SCRIPTS);
    if let Some(note) = note {
        page = page.block(note.html());
    }
    if let Some(problem) = refused {
        page = page.block(problem_note(problem, "").html());
    }
    let page = page
        .block(Card::new("").body(password_form.html()).html())
        .block(passkey)
        .block(providers)
        .block(links);
    let status = refused.map_or(StatusCode::OK, |problem| {
        StatusCode::from_u16(problem.status).unwrap_or(StatusCode::UNAUTHORIZED)
    });
    noted(page.answer_with(status), refused)
}

fn ask_factor(
    visitor: &Visitor,
    wanted: &Wanted,
    then: &str,
    refused: Option<&Problem>,
) -> HttpResponse {
    let page = Alone::new(&visitor.frame, "Second factor")
        .intro("Your password is right. This account asks for one thing more.")
        .scripts(factor::PASSKEY_SCRIPTS)
        .blocks(wanted.forms(
            "/sign-in/second-factor",
            &visitor.frame.form_token,
            then,
            refused,
        ))
        .block(Html::fixed(format!(
            "<p class=\"small\">{}</p>",
            link("/sign-in", "Start again")
        )));
    let status = refused.map_or(StatusCode::OK, |_| StatusCode::UNAUTHORIZED);
    noted(page.answer_with(status), refused)
}

/// A page that tells a refusal, which stands in the log and the metrics, too.
pub(super) fn noted(mut response: HttpResponse, refused: Option<&Problem>) -> HttpResponse {
    if let Some(problem) = refused {
        response.extensions_mut().insert(Refused {
            code: problem.code,
            leaf: problem.leaf,
        });
    }
    response
}

fn refused_script(problem: &Problem) -> HttpResponse {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    show::headers(&mut response);
    noted(response.json(problem), Some(problem))
}
