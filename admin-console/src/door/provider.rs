//! Sign-in at an OpenID provider: the browser is sent there, and comes back with a code that the appliance redeems.
//!
//! The session's cookie is `SameSite=Strict`, so whoever comes back from another site does not send it, nor the one that forms are bound to. What binds
//! the way back to this browser is a cookie of its own, which is sent along and is good for this one sign-in; and the page that opens the session is one
//! of this site, from which the browser goes on by itself.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use strongroom_session::passkey::EphemeralKey;
use strongroom_wire::encoding::Base64;
use strongroom_wire::id::SignInId;
use strongroom_wire::oidc::{FinishOidc, OidcStarted, StartOidc};
use strongroom_wire::problem::{Code, Problem};

use super::sign_in::{form, noted};
use crate::PROVIDER_PAGE;
use crate::cookie;
use crate::form::{Fields, Sent};
use crate::pieces::{Card, Field, Form, Html, address, button, link, paragraph};
use crate::reader::{Alone, Frame, Visitor, onwards};
use crate::stop::{Stop, problem_note};

type Answer = Result<HttpResponse, Stop>;

/// The page on which an identity is linked with an account that is signed in.
pub(crate) const LINK_PAGE: &str = "/security/link";
/// What stands in place of an address to go on to, where an identity is to be linked and no session opened: none is one.
pub(crate) const LINKS: &str = "link";
/// The longest address that one comes back to.
const LONGEST: usize = 1024;

/// A button for each provider from which a browser may come back here.
pub(super) fn forms(visitor: &Visitor, then: &str, again: bool) -> Html {
    let providers = visitor.visit.sign_ins.oidc_providers(&page_of(visitor));
    let forms = providers.iter().map(|provider| {
        let submit = format!("Sign in with {provider}");
        let mut form = Form::new("/sign-in/provider", &visitor.frame.form_token, &submit)
            .field(Field::hidden("provider", provider.as_str()))
            .field(Field::hidden("then", then))
            .class("full");
        if again {
            form = form.field(Field::hidden("fresh", "yes"));
        }
        Card::new("").body(form.html()).html()
    });
    Html::all(forms)
}

fn page_of(visitor: &Visitor) -> String {
    page_at(&visitor.origin)
}

/// The page of an origin that browsers come back to.
pub(crate) fn page_at(origin: &str) -> String {
    format!("{origin}{PROVIDER_PAGE}")
}

/// Sends the browser to a provider. The private half of the ephemeral key is dropped at once: nobody opens the session's transport key.
pub(super) async fn start(visitor: Visitor, sent: Sent) -> Answer {
    let then = onwards(sent.one("then"), visitor.frame.side);
    let again = sent.has("fresh", "yes");
    let request = StartOidc {
        provider: sent.one("provider").to_owned(),
        client_key: Base64(EphemeralKey::generate().public().to_vec()),
        redirect_uri: page_of(&visitor),
        fresh: again,
    };
    let name = request.provider.clone();
    let started = visitor
        .wait(move |visit| visit.sign_ins.start_oidc(request))
        .await;
    match started {
        Ok(started) => {
            let response = away(&visitor.frame, &name, &started, &then);
            Ok(visitor.answer(response))
        }
        Err(problem) if problem.status >= 500 && problem.code != Code::ProviderUnavailable => {
            Err(Stop::problem(&visitor.frame, problem))
        }
        Err(problem) => Ok(form(&visitor, "", &then, Some(&problem), None, again)),
    }
}

/// The page from which the browser goes to the provider. No form leads elsewhere, by the pages' policy; so it is a link that is followed by itself.
pub(crate) fn away(
    frame: &Frame,
    provider: &str,
    started: &OidcStarted,
    then: &str,
) -> HttpResponse {
    let url = started.authorization_url.as_str();
    let title = format!("To {provider}");
    let page = Alone::new(frame, &title)
        .intro("You sign in there, and come back here.")
        .onwards(url)
        .block(
            Card::new("")
                .body(button(url, &format!("Go to {provider}"), "main full"))
                .html(),
        );
    let mut response = page.answer_with(StatusCode::OK);
    cookie::keep_across(
        &mut response,
        frame.side.provider_cookie(),
        &carried(started.sign_in, then),
    );
    response
}

/// What the cookie holds: which sign-in it is, and where the reader goes on.
fn carried(sign_in: SignInId, then: &str) -> String {
    let then = if then.len() > LONGEST { "" } else { then };
    URL_SAFE_NO_PAD.encode(format!("{sign_in} {then}"))
}

fn read_carried(value: &str) -> Option<(SignInId, String)> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(value).ok()?).ok()?;
    let (sign_in, then) = text.split_once(' ')?;
    Some((sign_in.parse().ok()?, then.to_owned()))
}

/// Takes what the browser came back with.
pub(super) async fn back(visitor: Visitor, request: HttpRequest, query: Fields) -> Answer {
    let side = visitor.frame.side;
    let carried = cookie::sent(request.headers(), side.provider_cookie());
    let Some((sign_in, then)) = carried.as_deref().and_then(read_carried) else {
        let problem = Problem::new(
            Code::SignInRefused,
            "No sign-in at a provider is under way in this browser, or it took too long.",
        );
        return Ok(refused(&visitor, &problem));
    };
    if then == LINKS {
        return Ok(on_to_link(&visitor, sign_in, &query));
    }
    let Some(code) = query.some("code") else {
        let problem = Problem::new(Code::SignInRefused, "The provider signed nobody in.");
        return Ok(refused(&visitor, &problem));
    };
    let request = FinishOidc {
        sign_in,
        state: query.one("state").to_owned(),
        code: code.to_owned(),
        issuer: query.some("iss").map(str::to_owned),
    };
    let finished = visitor
        .wait(move |visit| visit.sign_ins.finish_oidc(request))
        .await;
    let opened = match finished {
        Ok(opened) => opened.signed_in,
        Err(problem) => return Ok(refused(&visitor, &problem)),
    };
    let to = onwards(&then, side);
    let mut response = Alone::new(&visitor.frame, "You are signed in")
        .onwards(to.as_str())
        .block(Card::new("").body(button(&to, "Go on", "main full")).html())
        .answer_with(StatusCode::OK);
    cookie::keep(
        &mut response,
        side.session_cookie(),
        &opened.token.to_text(),
    );
    cookie::forget_across(&mut response, side.provider_cookie());
    Ok(response)
}

/// Leads on to the page on which whoever is signed in links the identity.
fn on_to_link(visitor: &Visitor, sign_in: SignInId, query: &Fields) -> HttpResponse {
    let to = match query.some("code") {
        Some(code) => address(
            LINK_PAGE,
            &[
                ("sign_in", &sign_in.to_string()),
                ("state", query.one("state")),
                ("code", code),
                ("iss", query.one("iss")),
            ],
        ),
        // The provider signed nobody in.
        None => "/security".to_owned(),
    };
    let mut response = Alone::new(&visitor.frame, "Back from the provider")
        .onwards(to.as_str())
        .block(Card::new("").body(button(&to, "Go on", "main full")).html())
        .answer_with(StatusCode::OK);
    cookie::forget_across(&mut response, visitor.frame.side.provider_cookie());
    response
}

fn refused(visitor: &Visitor, problem: &Problem) -> HttpResponse {
    let page = Alone::new(&visitor.frame, "You are not signed in")
        .block(problem_note(problem, "").html())
        .block(paragraph(link("/sign-in", "Back to sign-in")));
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::UNAUTHORIZED);
    let mut response = page.answer_with(status);
    cookie::forget_across(&mut response, visitor.frame.side.provider_cookie());
    noted(response, Some(problem))
}

/// Where an account that has neither a password nor a second factor here signs in again.
pub(super) fn again(then: &str) -> String {
    address("/sign-in", &[("done", "again"), ("then", then)])
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn what_a_browser_carries_is_read_as_it_was_written() {
        let sign_in = SignInId::generate();
        let then = "/keys?label=a%20b";
        let (read, goes) = read_carried(&carried(sign_in, then)).unwrap();
        assert_eq!((read, goes.as_str()), (sign_in, then));
        let (_, goes) = read_carried(&carried(sign_in, &"/".repeat(LONGEST + 1))).unwrap();
        assert_eq!(goes, "");
        for wrong in ["", "x", "!", &URL_SAFE_NO_PAD.encode("no-identifier /keys")] {
            assert!(read_carried(wrong).is_none(), "{wrong}");
        }
    }
}
