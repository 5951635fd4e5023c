//! What a page answers in place of itself: a problem, or the way to sign-in or step-up first.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use actix_web::{HttpResponse, ResponseError};
use strongroom_wire::problem::{Code, Problem};

use crate::cookie;
use crate::pieces::{Html, Note, Tone, address, button, count};
use crate::reader::{Alone, Frame, Page};
use crate::show::{self, Refused};
use crate::words;

/// Why a page is not shown.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Something is wrong.
    Problem(Box<Frame>, Box<Problem>),
    /// The reader goes elsewhere first.
    Go(String),
    /// The reader signs in first, and comes back there. The cookie of a session that has ended is removed.
    SignIn(Box<Frame>, String),
}

impl Stop {
    pub(crate) fn problem(frame: &Frame, problem: Problem) -> Self {
        Self::Problem(Box::new(frame.clone()), Box::new(problem))
    }

    pub(crate) fn new(frame: &Frame, code: Code, sentence: impl Into<String>) -> Self {
        Self::problem(frame, Problem::new(code, sentence))
    }

    /// There is no such page, or nothing of this name.
    pub(crate) fn not_found(frame: &Frame) -> Self {
        Self::new(
            frame,
            Code::NoSuchRoute,
            "There is no page at this address. It may have been mistyped, or what it showed is gone.",
        )
    }

    /// The reader signs in again first, then comes back there.
    pub(crate) fn step_up(then: &str) -> Self {
        Self::Go(address("/step-up", &[("then", then)]))
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Problem(_, problem) => f.write_str(&problem.detail),
            Self::Go(to) | Self::SignIn(_, to) => f.write_str(to),
        }
    }
}

impl ResponseError for Stop {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Problem(_, problem) => {
                StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            }
            Self::Go(_) | Self::SignIn(..) => StatusCode::SEE_OTHER,
        }
    }

    fn error_response(&self) -> HttpResponse {
        match self {
            Self::Problem(frame, problem) => problem_page(frame, problem),
            Self::Go(to) => show::go(to),
            Self::SignIn(frame, then) => {
                let mut response = show::go(&address("/sign-in", &[("then", then)]));
                cookie::forget(&mut response, frame.side.session_cookie());
                response
            }
        }
    }
}

/// The page that tells of a problem.
pub(crate) fn problem_page(frame: &Frame, problem: &Problem) -> HttpResponse {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let blocks = vec![problem_note(problem, "").html()];
    let mut response = if frame.account.is_some() {
        Page::new(frame, &problem.title)
            .blocks(blocks)
            .answer_with(status)
    } else {
        let home = button(frame.home(), "Go to the start page", "");
        let mut blocks = blocks;
        blocks.push(Html::fixed(format!("<div class=\"acts\">{home}</div>")));
        Alone::new(frame, &problem.title)
            .blocks(blocks)
            .answer_with(status)
    };
    if let Some(seconds) = problem.retry_after {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response.extensions_mut().insert(Refused {
        code: problem.code,
        leaf: problem.leaf,
    });
    response
}

/// A problem as a note on a page: what happened and what to do. `then` is where the reader goes on after signing in again.
pub(crate) fn problem_note(problem: &Problem, then: &str) -> Note {
    let mut body = Html::from(problem.detail.as_str());
    if let Some(advice) = words::advice(problem) {
        body = Html::join(" ", [body, advice.into()]);
    }
    if let Some(leaf) = problem.leaf {
        body = Html::join(
            " ",
            [
                body,
                format!("The attempt is recorded as leaf {}.", count(leaf)).into(),
            ],
        );
    }
    let note = Note::new(
        Tone::Bad,
        problem.title.as_str(),
        Html::all([crate::pieces::paragraph(body)]),
    );
    if problem.code == Code::StepUpRequired && !then.is_empty() {
        return note.acts(button(
            &address("/step-up", &[("then", then)]),
            "Sign in again",
            "main",
        ));
    }
    note
}
