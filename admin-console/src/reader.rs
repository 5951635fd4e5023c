//! Who reads a page: the session cookie, the frame of pages, and calls into the keystore.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::{Method, StatusCode};
use actix_web::{FromRequest, HttpRequest, HttpResponse, web};
use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use strongroom_keystore::{Answer, Keystore, Presence, Presented, Refusal, SessionToken};
use strongroom_wire::account::{Account, Role};
use strongroom_wire::problem::{Code, Problem};
use zeroize::Zeroizing;

use crate::assets::VERSION;
use crate::cookie;
use crate::form::FormKey;
use crate::host::{Host, Side, Visit};
use crate::pieces::Html;
use crate::show;
use crate::stop::Stop;

/// Within so many seconds of a sign-in, acts that cannot be undone are done without another one; the domain's policy may want less.
const RECENT: u32 = 300;

/// What all pages of one answer have in common.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) side: Side,
    /// Who is signed in.
    pub(crate) account: Option<Arc<Account>>,
    /// Whether the pages about the appliance as a whole are for this reader's domain.
    pub(crate) whole_appliance: bool,
    pub(crate) form_token: String,
    pub(crate) path: String,
    pub(crate) scripts: &'static [&'static str],
}

/// A link in the rail.
pub(crate) struct RailLink {
    pub(crate) to: &'static str,
    pub(crate) text: &'static str,
    pub(crate) icon: Html,
}

impl Frame {
    /// Where nobody is signed in.
    pub(crate) fn outside(side: Side) -> Self {
        Self {
            side,
            account: None,
            whole_appliance: false,
            form_token: String::new(),
            path: String::new(),
            scripts: &[],
        }
    }

    #[expect(clippy::unused_self, reason = "templates call it by the frame")]
    pub(crate) fn assets(&self) -> &'static str {
        VERSION.as_str()
    }

    pub(crate) fn home(&self) -> &'static str {
        if self.account.is_some() {
            self.side.home()
        } else {
            "/"
        }
    }

    fn part(&self) -> &'static str {
        match self.side {
            Side::Owners => "My keys",
            Side::Administration => "Administration",
        }
    }

    pub(crate) fn has(&self, role: Role) -> bool {
        self.account
            .as_ref()
            .is_some_and(|account| account.roles.contains(&role))
    }

    fn is_at(&self, to: &str) -> bool {
        self.path == to
            || self
                .path
                .strip_prefix(to)
                .is_some_and(|rest| rest.starts_with('/'))
    }

    /// The links of the rail, in groups: those of the reader's roles. What is not linked is refused all the same, by the keystore.
    fn rail(&self) -> Vec<(&'static str, Vec<RailLink>)> {
        let link = |to, text, icon: &str| RailLink {
            to,
            text,
            icon: icon_of(icon),
        };
        let you = (
            "You",
            vec![
                link("/security", "Security", "lock"),
                link("/sessions", "Sessions", "screen"),
            ],
        );
        match self.side {
            Side::Owners => vec![
                (
                    "Keys",
                    vec![
                        link("/keys", "My keys", "key"),
                        link("/groups", "Groups", "people"),
                        link("/history", "History", "clock"),
                    ],
                ),
                (you.0, {
                    let mut links = you.1;
                    links.push(link("/devices", "Devices", "device"));
                    links
                }),
            ],
            Side::Administration => {
                let administers = self.has(Role::Administrator);
                let keeps = administers || self.has(Role::SecurityOfficer);
                let audits = self.has(Role::Auditor);
                let mut groups = vec![("Appliance", vec![link("/overview", "Overview", "chart")])];
                if administers {
                    groups.push((
                        "People and devices",
                        vec![
                            link("/accounts", "Accounts", "people"),
                            link("/fleet", "Devices", "device"),
                            link("/directories", "Directories", "folder"),
                        ],
                    ));
                }
                let mut rules = vec![link("/roles", "Roles", "badge")];
                if keeps {
                    rules.push(link("/policy", "Domain policy", "shield"));
                    rules.push(link("/master-key", "Master key", "key"));
                }
                groups.push(("Rules", rules));
                if audits {
                    groups.push((
                        "Audit",
                        vec![
                            link("/log", "Audit log", "clock"),
                            link("/checkpoints", "Checkpoints", "badge"),
                        ],
                    ));
                }
                if keeps && self.whole_appliance {
                    groups.push((
                        "Machine",
                        vec![
                            link("/hsm", "HSM", "chip"),
                            link("/backups", "Backups", "folder"),
                            link("/certificates", "Certificates", "badge"),
                            link("/configuration", "Configuration", "list"),
                        ],
                    ));
                }
                groups.push(you);
                groups
            }
        }
    }
}

fn icon_of(name: &str) -> Html {
    let path = match name {
        "key" => "<circle cx=\"8\" cy=\"15\" r=\"4.5\"/><path d=\"M11.5 11.5 20 3M16 7l3 3\"/>",
        "people" => {
            "<circle cx=\"9\" cy=\"8\" r=\"3.5\"/><path d=\"M2.5 20c0-3.6 2.9-6 6.5-6s6.5 2.4 6.5 6M16 4.8a3.5 3.5 0 0 1 0 6.4M18 14.5c2.1.8 3.5 2.800 3.500 5.500\"/>"
        }
        "clock" => "<circle cx=\"12\" cy=\"12\" r=\"9\"/><path d=\"M12 7v5l3.500 2\"/>",
        "lock" => {
            "<rect x=\"4\" y=\"11\" width=\"16\" height=\"10\" rx=\"2\"/><path d=\"M8 11V7a4 4 0 0 1 8 0v4\"/>"
        }
        "screen" => {
            "<rect x=\"3\" y=\"4\" width=\"18\" height=\"12\" rx=\"2\"/><path d=\"M8 20h8M12 16v4\"/>"
        }
        "device" => {
            "<rect x=\"6\" y=\"2.500\" width=\"12\" height=\"19\" rx=\"2.500\"/><path d=\"M11 18h2\"/>"
        }
        "chart" => "<path d=\"M3 3v18h18M7 15l4-5 3 3 5-7\"/>",
        "folder" => {
            "<path d=\"M3 6a2 2 0 0 1 2-2h4l2 2.500h8a2 2 0 0 1 2 2V18a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2z\"/>"
        }
        "badge" => {
            "<circle cx=\"12\" cy=\"9\" r=\"6\"/><path d=\"m8.500 14-1.500 8 5-3 5 3-1.500-8\"/>"
        }
        "shield" => "<path d=\"M12 2.500 20 6v6c0 5-3.500 8-8 9.500C7.500 20 4 17 4 12V6z\"/>",
        "chip" => {
            "<rect x=\"6\" y=\"6\" width=\"12\" height=\"12\" rx=\"2\"/><path d=\"M9 2v4M15 2v4M9 18v4M15 18v4M2 9h4M2 15h4M18 9h4M18 15h4\"/>"
        }
        _ => "<path d=\"M8 6h13M8 12h13M8 18h13M3 6h.01M3 12h.01M3 18h.01\"/>",
    };
    Html::fixed(format!(
        "<svg viewBox=\"0 0 24 24\" aria-hidden=\"true\" fill=\"none\" stroke=\"currentColor\" stroke-width=\"2\" stroke-linecap=\"round\" stroke-linejoin=\"round\">{path}</svg>"
    ))
}

/// A page in the frame, with the rail.
#[derive(Template)]
#[template(path = "page.html")]
pub(crate) struct Page<'a> {
    frame: Frame,
    title: &'a str,
    intro: String,
    crumbs: Vec<(String, String)>,
    acts: Html,
    blocks: Vec<Html>,
}

impl<'a> Page<'a> {
    pub(crate) fn new(frame: &Frame, title: &'a str) -> Self {
        Self {
            frame: frame.clone(),
            title,
            intro: String::new(),
            crumbs: Vec::new(),
            acts: Html::default(),
            blocks: Vec::new(),
        }
    }

    pub(crate) fn intro(mut self, intro: impl Into<String>) -> Self {
        self.intro = intro.into();
        self
    }

    /// A page above this one.
    pub(crate) fn under(mut self, to: impl Into<String>, text: impl Into<String>) -> Self {
        self.crumbs.push((to.into(), text.into()));
        self
    }

    pub(crate) fn acts(mut self, acts: Html) -> Self {
        self.acts = acts;
        self
    }

    pub(crate) fn scripts(mut self, scripts: &'static [&'static str]) -> Self {
        self.frame.scripts = scripts;
        self
    }

    pub(crate) fn block(mut self, block: Html) -> Self {
        self.blocks.push(block);
        self
    }

    pub(crate) fn blocks(mut self, blocks: impl IntoIterator<Item = Html>) -> Self {
        self.blocks.extend(blocks);
        self
    }

    pub(crate) fn answer(&self) -> HttpResponse {
        show::page(self)
    }

    pub(crate) fn answer_with(&self, status: StatusCode) -> HttpResponse {
        show::page_with(status, self)
    }
}

/// A page with nothing beside it, such as sign-in.
#[derive(Template)]
#[template(path = "alone.html")]
pub(crate) struct Alone<'a> {
    frame: Frame,
    title: &'a str,
    intro: String,
    blocks: Vec<Html>,
}

impl<'a> Alone<'a> {
    pub(crate) fn new(frame: &Frame, title: &'a str) -> Self {
        Self {
            frame: frame.clone(),
            title,
            intro: String::new(),
            blocks: Vec::new(),
        }
    }

    pub(crate) fn intro(mut self, intro: impl Into<String>) -> Self {
        self.intro = intro.into();
        self
    }

    pub(crate) fn scripts(mut self, scripts: &'static [&'static str]) -> Self {
        self.frame.scripts = scripts;
        self
    }

    pub(crate) fn block(mut self, block: Html) -> Self {
        self.blocks.push(block);
        self
    }

    pub(crate) fn blocks(mut self, blocks: impl IntoIterator<Item = Html>) -> Self {
        self.blocks.extend(blocks);
        self
    }

    pub(crate) fn answer_with(&self, status: StatusCode) -> HttpResponse {
        show::page_with(status, self)
    }
}

/// Somebody with a browser, signed in or not.
pub(crate) struct Visitor {
    pub(crate) visit: Visit,
    pub(crate) frame: Frame,
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
        new_cookie,
    })
}

/// Somebody who is signed in.
pub(crate) struct Reader {
    pub(crate) visit: Visit,
    pub(crate) presented: Presented,
    pub(crate) frame: Frame,
    pub(crate) presence: Presence,
    /// The address of the page, with its query.
    pub(crate) here: String,
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
