//! The first password of an account, and a new one after its recovery.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use strongroom_wire::account::{FinishEnrolment, StartEnrolment};
use strongroom_wire::problem::{Code, Problem};
use strongroom_wire::recovery::{FinishRecovery, SecondCode, StartRecovery};
use zeroize::Zeroizing;

use super::opaque;
use super::sign_in::noted;
use crate::form::Sent;
use crate::pieces::{Card, Choice, Field, Form, Html, link};
use crate::reader::{Alone, Visitor};
use crate::show;
use crate::stop::{Stop, problem_note};

type Answer = Result<HttpResponse, Stop>;

/// The fewest characters of a new password, as at the command line.
const SHORTEST: usize = 8;

/// Asks for an enrolment code and a password.
pub(super) async fn show(visitor: Visitor) -> HttpResponse {
    let page = enrolment(&visitor, "", None);
    visitor.answer(page)
}

/// Takes them.
pub(super) async fn enrol(visitor: Visitor, sent: Sent) -> Answer {
    let account = opaque::account_name(sent.one("account"));
    let code = Zeroizing::new(sent.one("code").to_owned());
    let password = match new_password(&sent) {
        Ok(password) => password,
        Err(problem) => return Ok(enrolment(&visitor, &account, Some(&problem))),
    };
    let answer = match opaque::place().await {
        Ok(_place) => {
            let account = account.clone();
            visitor
                .wait(move |visit| {
                    let upload = opaque::register(&account, &password, |request| {
                        visit.sign_ins.start_enrolment(StartEnrolment {
                            account: account.clone(),
                            code: code.to_string(),
                            request,
                        })
                    })?;
                    visit.sign_ins.finish_enrolment(FinishEnrolment {
                        account: account.clone(),
                        code: code.to_string(),
                        upload,
                    })
                })
                .await
        }
        Err(problem) => Err(problem),
    };
    match answer {
        Ok(_) => Ok(show::go("/sign-in?done=enrolled")),
        Err(problem) if problem.status >= 500 => Err(Stop::problem(&visitor.frame, problem)),
        Err(problem) => Ok(enrolment(&visitor, &account, Some(&problem))),
    }
}

/// Asks for the codes of a recovery and a new password.
pub(super) async fn show_recovery(visitor: Visitor) -> HttpResponse {
    let page = recovery(&visitor, "", None);
    visitor.answer(page)
}

/// Takes them.
pub(super) async fn recover(visitor: Visitor, sent: Sent) -> Answer {
    let account = opaque::account_name(sent.one("account"));
    let code = Zeroizing::new(sent.one("code").to_owned());
    let second = sent.one("second").to_owned();
    let second = if sent.one("second_kind") == "approval" {
        SecondCode::ApprovalCode(second)
    } else {
        SecondCode::RecoveryCode(second)
    };
    let password = match new_password(&sent) {
        Ok(password) => password,
        Err(problem) => return Ok(recovery(&visitor, &account, Some(&problem))),
    };
    let answer = match opaque::place().await {
        Ok(_place) => {
            let account = account.clone();
            visitor
                .wait(move |visit| {
                    let upload = opaque::register(&account, &password, |request| {
                        visit.sign_ins.start_recovered_password(StartRecovery {
                            account: account.clone(),
                            code: code.to_string(),
                            second: second.clone(),
                            request,
                        })
                    })?;
                    visit.sign_ins.finish_recovery(FinishRecovery {
                        account: account.clone(),
                        code: code.to_string(),
                        second: second.clone(),
                        upload,
                    })
                })
                .await
        }
        Err(problem) => Err(problem),
    };
    match answer {
        Ok(_) => Ok(show::go("/sign-in?done=recovered")),
        Err(problem) if problem.status >= 500 => Err(Stop::problem(&visitor.frame, problem)),
        Err(problem) => Ok(recovery(&visitor, &account, Some(&problem))),
    }
}

fn new_password(sent: &Sent) -> Result<Zeroizing<String>, Problem> {
    let password = Zeroizing::new(sent.raw("password").to_owned());
    if password.chars().count() < SHORTEST {
        return Err(Problem::new(
            Code::Invalid,
            format!(
                "The password is too short: take at least {SHORTEST} characters, for example four or five words."
            ),
        ));
    }
    if password.as_str() != sent.raw("again") {
        return Err(Problem::new(
            Code::Invalid,
            "The two passwords are not the same.",
        ));
    }
    Ok(password)
}

fn password_fields() -> [Field; 2] {
    [
        Field::password("password", "New password", "new-password")
            .hint(format!("At least {SHORTEST} characters. A few words in a row are easier to remember than a short riddle."))
            .required(),
        Field::password("again", "The same once more", "new-password").required(),
    ]
}

fn enrolment(visitor: &Visitor, account: &str, refused: Option<&Problem>) -> HttpResponse {
    let [password, again] = password_fields();
    let form = Form::new("/enrol", &visitor.frame.form_token, "Set the password")
        .field(
            Field::text("account", "Name")
                .hint("As your administrator wrote it, usually your e-mail address.")
                .value(account)
                .autocomplete("username")
                .required()
                .focus(),
        )
        .field(
            Field::text("code", "Enrolment code")
                .hint("From your administrator or from the invitation. It is good once.")
                .class("code")
                .required(),
        )
        .field(password)
        .field(again)
        .class("main full");
    alone(
        visitor,
        "Enrol",
        "Set the password of a new account.",
        form.html(),
        refused,
    )
}

fn recovery(visitor: &Visitor, account: &str, refused: Option<&Problem>) -> HttpResponse {
    let [password, again] = password_fields();
    let form = Form::new(
        "/recover",
        &visitor.frame.form_token,
        "Set the new password",
    )
    .field(
        Field::text("account", "Name")
            .value(account)
            .autocomplete("username")
            .required()
            .focus(),
    )
    .field(
        Field::text(
            "code",
            "Code from the administrator who started the recovery",
        )
        .class("code")
        .required(),
    )
    .field(Field::radios(
        "second_kind",
        "Second code",
        vec![
            Choice::new("recovery", "One of my own recovery codes", true),
            Choice::new("approval", "The code from the second administrator", false),
        ],
    ))
    .field(
        Field::text("second", "The second code itself")
            .class("code")
            .required(),
    )
    .field(password)
    .field(again)
    .class("main full");
    alone(
        visitor,
        "Recover an account",
        "An administrator starts a recovery and gives you a code. It takes a second code, and a delay of which you are told by mail.",
        form.html(),
        refused,
    )
}

fn alone(
    visitor: &Visitor,
    title: &str,
    intro: &str,
    form: Html,
    refused: Option<&Problem>,
) -> HttpResponse {
    let mut page = Alone::new(&visitor.frame, title).intro(intro);
    if let Some(problem) = refused {
        page = page.block(problem_note(problem, "").html());
    }
    let page = page
        .block(Card::new("").body(form).html())
        .block(Html::fixed(format!(
            "<p class=\"small\">{}</p>",
            link("/sign-in", "Back to sign-in")
        )));
    let status = refused.map_or(StatusCode::OK, |problem| {
        StatusCode::from_u16(problem.status).unwrap_or(StatusCode::UNAUTHORIZED)
    });
    noted(page.answer_with(status), refused)
}
