//! Who reads a page: the session cookie, and calls into the keystore.
//!
//! | module | what lives there |
//! |---|---|
//! | `frame` | what stands around every page |
//! | `page` | pages |

mod frame;
mod page;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::Method;
use actix_web::http::header::HOST;
use actix_web::{FromRequest, HttpRequest, HttpResponse, web};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use strongroom_keystore::{Answer, Keystore, Presence, Presented, Refusal, SessionToken};
use strongroom_wire::problem::{Code, Problem};
use zeroize::Zeroizing;

use crate::cookie;
use crate::form::FormKey;
use crate::host::{Host, Side, Visit};
use crate::stop::Stop;

pub(crate) use self::frame::Frame;
pub(crate) use self::page::{Alone, Page};

/// Within so many seconds of a sign-in, acts that cannot be undone are done without another one; the domain's policy may want less.
const RECENT: u32 = 300;

/// Somebody with a browser, signed in or not.
pub(crate) struct Visitor {
    pub(crate) visit: Visit,
    pub(crate) frame: Frame,
    /// The origin that the browser asked, as it says.
    pub(crate) origin: String,
    /// The cookie to which forms are bound, where the browser has none yet.
    new_cookie: Option<String>,
}

impl Visitor {
    /// The answer with what the browser is to keep.
    pub(crate) fn answer(&self, mut response: HttpResponse) -> HttpResponse {
        if let Some(value) = &self.new_cookie {
            cookie::keep(&mut response, self.frame.side.visit_cookie(), value);
        }
        response
    }

    /// Makes a call that may wait.
    pub(crate) async fn wait<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Visit) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let visit = self.visit.clone();
        wait(move || call(&visit)).await
    }
}

impl FromRequest for Visitor {
    type Error = Stop;
    type Future = std::future::Ready<Result<Self, Stop>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(visitor(request))
    }
}

fn visitor(request: &HttpRequest) -> Result<Visitor, Stop> {
    let side = Side::of(request);
    let mut frame = Frame::outside(side);
    request.path().clone_into(&mut frame.path);
    let visit = visit(request).map_err(|problem| Stop::problem(&frame, problem))?;
    let known = cookie::sent(request.headers(), side.visit_cookie());
    let (value, new_cookie) = if let Some(value) = known.filter(|value| value.len() == 43) {
        (value, None)
    } else {
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(|_| Stop::problem(&frame, failed()))?;
        let value = URL_SAFE_NO_PAD.encode(random);
        (value.clone(), Some(value))
    };
    frame.form_token = form_key(request, &frame)?.of_visit(&value);
    Ok(Visitor {
        visit,
        frame,
        origin: origin(request),
        new_cookie,
    })
}

/// The origin of the page that was asked for, as the browser knows it.
fn origin(request: &HttpRequest) -> String {
    let host = request.headers().get(HOST);
    let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
    format!("https://{host}")
}

/// Somebody who is signed in.
pub(crate) struct Reader {
    pub(crate) visit: Visit,
    pub(crate) presented: Presented,
    pub(crate) frame: Frame,
    pub(crate) presence: Presence,
    /// The address of the page, with its query.
    pub(crate) here: String,
    pub(crate) origin: String,
}

impl Reader {
    /// Makes a call into the keystore as the reader.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Keystore, &Presented) -> Answer<T> + Send + 'static,
    ) -> Result<T, Stop> {
        self.attempt(call)
            .await?
            .map_err(|problem| Stop::problem(&self.frame, problem))
    }

    /// Makes a call whose refusal the page itself tells. Faults of the appliance and an ended session stop the page.
    pub(crate) async fn attempt<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Keystore, &Presented) -> Answer<T> + Send + 'static,
    ) -> Result<Result<T, Problem>, Stop> {
        let (visit, presented) = (self.visit.clone(), self.presented.clone());
        let answer = wait(move || call(&visit.keystore, &presented).map_err(problem_of)).await;
        self.sift(answer)
    }

    /// The same of what is counted against guessing, or asks the appliance.
    pub(crate) async fn wait<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Visit, &Presented) -> Result<T, Problem> + Send + 'static,
    ) -> Result<Result<T, Problem>, Stop> {
        let (visit, presented) = (self.visit.clone(), self.presented.clone());
        let answer = wait(move || call(&visit, &presented)).await;
        self.sift(answer)
    }

    fn sift<T>(&self, answer: Result<T, Problem>) -> Result<Result<T, Problem>, Stop> {
        match answer {
            Err(problem) if problem.code == Code::NotSignedIn => Err(Stop::SignIn(
                Box::new(self.frame.clone()),
                self.here.clone(),
            )),
            Err(problem) if problem.status >= 500 => Err(Stop::problem(&self.frame, problem)),
            answer => Ok(answer),
        }
    }

    /// Sends the reader to sign in again, if the last time is too long ago for an act that cannot be undone. They come back to this page.
    pub(crate) fn require_recent(&self) -> Result<(), Stop> {
        self.require_recent_then(&self.here)
    }

    /// As [`Self::require_recent`], and they go on there.
    pub(crate) fn require_recent_then(&self, then: &str) -> Result<(), Stop> {
        let within = match self.presence.step_up_within {
            0 => RECENT,
            within => within.min(RECENT),
        };
        if self.presence.now < self.presence.confirmed.plus_seconds(within.into()) {
            return Ok(());
        }
        Err(Stop::step_up(then))
    }

    /// As [`Self::require_recent`], only where the domain's policy wants it: for acts that can be undone.
    pub(crate) fn require_policy_recent(&self) -> Result<(), Stop> {
        let within = self.presence.step_up_within;
        if within == 0
            || self.presence.now
                < self
                    .presence
                    .confirmed
                    .plus_seconds(within.min(RECENT).into())
        {
            return Ok(());
        }
        Err(Stop::step_up(&self.here))
    }

    pub(crate) fn name(&self) -> &str {
        &self.presence.account.name
    }
}

impl FromRequest for Reader {
    type Error = Stop;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Stop>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { reader(&request).await })
    }
}

async fn reader(request: &HttpRequest) -> Result<Reader, Stop> {
    let side = Side::of(request);
    let mut frame = Frame::outside(side);
    request.path().clone_into(&mut frame.path);
    let here = if request.method() == Method::GET {
        request
            .uri()
            .path_and_query()
            .map_or("/", |path| path.as_str())
            .to_owned()
    } else {
        request.path().to_owned()
    };
    let visit = visit(request).map_err(|problem| Stop::problem(&frame, problem))?;
    let sign_in = |frame: &Frame| Stop::SignIn(Box::new(frame.clone()), here.clone());
    let Some(cookie) = cookie::sent(request.headers(), side.session_cookie()).map(Zeroizing::new)
    else {
        return Err(sign_in(&frame));
    };
    let Some(token) = token_of(&cookie) else {
        return Err(sign_in(&frame));
    };
    let presented = Presented::in_session(token, visit.source);
    let asked = {
        let (visit, presented) = (visit.clone(), presented.clone());
        wait(move || visit.keystore.presence(&presented).map_err(problem_of)).await
    };
    let presence = asked.map_err(|problem| match problem.code {
        Code::NotSignedIn | Code::SessionElsewhere => sign_in(&frame),
        _ => Stop::problem(&frame, problem),
    })?;
    frame.account = Some(Arc::new(presence.account.clone()));
    frame.whole_appliance = visit.appliance.is_some();
    frame.form_token = form_key(request, &frame)?.of_session(&cookie);
    Ok(Reader {
        visit,
        presented,
        frame,
        presence,
        here,
        origin: origin(request),
    })
}

fn visit(request: &HttpRequest) -> Result<Visit, Problem> {
    let host = request
        .app_data::<web::Data<dyn Host>>()
        .ok_or_else(failed)?;
    host.visit(request)
}

fn form_key<'a>(request: &'a HttpRequest, frame: &Frame) -> Result<&'a FormKey, Stop> {
    request
        .app_data::<web::Data<FormKey>>()
        .map(|key| &***key)
        .ok_or_else(|| Stop::problem(frame, failed()))
}

/// The session token that a cookie holds.
fn token_of(value: &str) -> Option<SessionToken> {
    let mut token = Zeroizing::new([0; 48]);
    let length = URL_SAFE_NO_PAD
        .decode_slice(value, token.as_mut_slice())
        .ok()?;
    SessionToken::from_slice(&token[..length])
}

/// Runs what may wait on a thread that may.
pub(crate) async fn wait<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    // Where it fails the call panicked; the panic hook has logged where.
    web::block(call).await.unwrap_or_else(|_| Err(failed()))
}

/// The problem of a refusal, with faults in the log.
pub(crate) fn problem_of(refusal: Refusal) -> Problem {
    let problem = refusal.problem();
    if problem.status >= 500 {
        tracing::error!(code = %problem.code, error = %refusal.error, "the keystore failed");
    }
    problem
}

pub(crate) fn failed() -> Problem {
    Problem::new(
        Code::Internal,
        "The appliance failed; its log says more about it.",
    )
}

/// Where a reader goes on: a page of this site, or else the start page.
pub(crate) fn onwards(then: &str, side: Side) -> String {
    let is_ours = then.starts_with('/')
        && !then.starts_with("//")
        && !then.contains('\\')
        && then.bytes().all(|byte| byte.is_ascii_graphic())
        && !["/sign-in", "/sign-out", "/v1/", "/step-up"]
            .iter()
            .any(|path| then.starts_with(path));
    if is_ours {
        then.to_owned()
    } else {
        side.home().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_goes_on_within_this_site_only() {
        let home = Side::Owners.home();
        for ours in ["/keys", "/keys/1?label=a%20b", "/"] {
            assert_eq!(onwards(ours, Side::Owners), ours);
        }
        for other in [
            "",
            "keys",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/keys\r\nSet-Cookie: a=b",
            "/sign-in?then=/",
            "/v1/keys",
            "/step-up",
        ] {
            assert_eq!(onwards(other, Side::Owners), home, "{other}");
        }
    }
}
