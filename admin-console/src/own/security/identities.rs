//! Identities at OpenID providers with which the reader signs in: which there are, linking another, removing a link.
//!
//! The way back from a provider brings no session's cookie ([`provider`]): so it leads on to a page of this site, on which the reader says that they mean it. What is
//! sent from there is redeemed for the account that was signed in when it began, and for no other.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};
use strongroom_session::passkey::EphemeralKey;
use strongroom_wire::encoding::Base64;
use strongroom_wire::oidc::{FinishOidc, Identity, StartOidc};
use strongroom_wire::problem::{Code, Problem};

use super::Answer;
use crate::door::provider;
use crate::form::{Fields, Sent};
use crate::page;
use crate::pieces::{Card, Field, Form, Html, Table, paragraph, when, when_or};
use crate::reader::{Page, Reader};
use crate::show;
use crate::stop::problem_note;

pub(super) fn routes(services: &mut ServiceConfig) {
    page(
        services,
        provider::LINK_PAGE,
        vec![web::get().to(show), web::post().to(start)],
    );
    page(
        services,
        "/security/link/finish",
        vec![web::post().to(finish)],
    );
    page(services, "/security/unlink", vec![web::post().to(unlink)]);
}

/// What the overview says of them; nothing where there are none and there is no provider.
pub(super) fn card(reader: &Reader, identities: &[Identity]) -> Option<Html> {
    let providers = providers(reader);
    if identities.is_empty() && providers.is_empty() {
        return None;
    }
    let token = &reader.frame.form_token;
    let acts = providers.iter().map(|provider| {
        Form::new(provider::LINK_PAGE, token, &format!("Link with {provider}"))
            .field(Field::hidden("provider", provider.as_str()))
            .class("slim")
            .html()
    });
    let card = Card::new("Identities elsewhere")
        .intro("Whoever signs in there with that identity signs in here.")
        .acts(Html::all(acts));
    if identities.is_empty() {
        let none =
            "None yet. Link one to sign in here with what you sign in with at your organisation.";
        return Some(card.body(paragraph(none)).html());
    }
    let rows = identities.iter().map(|identity| {
        let form = Form::new("/security/unlink", token, "Remove the link")
            .field(Field::hidden("issuer", identity.issuer.as_str()))
            .class("slim danger");
        vec![
            identity.issuer.as_str().into(),
            identity.subject.as_str().into(),
            when(identity.created),
            when_or(identity.used, "Never"),
            form.html(),
        ]
    });
    let table = Table::new(
        "Identities elsewhere",
        &["Provider", "Known there as", "Linked", "Last used", ""],
    )
    .rows(rows);
    Some(card.table(table).html())
}

/// The providers from which a browser may come back here.
fn providers(reader: &Reader) -> Vec<String> {
    let page = provider::page_at(&reader.origin);
    reader.visit.sign_ins.oidc_providers(&page)
}

/// Sends the browser to a provider. The private half of the ephemeral key is dropped at once: no session is opened here.
async fn start(reader: Reader, sent: Sent) -> Answer {
    reader.require_recent_then("/security")?;
    let name = sent.one("provider").to_owned();
    let request = StartOidc {
        provider: name.clone(),
        client_key: Base64(EphemeralKey::generate().public().to_vec()),
        redirect_uri: provider::page_at(&reader.origin),
        fresh: false,
    };
    let started = reader
        .wait(move |visit, caller| visit.sign_ins.start_identity_link(caller, request))
        .await?;
    Ok(match started {
        Ok(started) => provider::away(&reader.frame, &name, &started, provider::LINKS),
        Err(problem) => refused(&reader, &problem),
    })
}

/// What the reader came back with, for them to confirm: a page that is only looked at changes nothing.
async fn show(reader: Reader, query: Fields) -> Answer {
    if query.some("code").is_none() {
        return Ok(show::go("/security"));
    }
    let mut form = Form::new(
        "/security/link/finish",
        &reader.frame.form_token,
        "Link this identity",
    )
    .back("/security");
    for name in ["sign_in", "state", "code", "iss"] {
        form = form.field(Field::hidden(name, query.one(name)));
    }
    let body = Html::all([
        paragraph(
            "From then on, whoever signs in at the provider as you just did signs in to this account and can open its keys.",
        ),
        Html::fixed(format!("<div class=\"after\">{}</div>", form.html())),
    ]);
    Ok(link_page(&reader)
        .intro(format!(
            "You signed in there. This is the account {}.",
            reader.name()
        ))
        .block(Card::new("What this changes").body(body).html())
        .answer())
}

async fn finish(reader: Reader, sent: Sent) -> Answer {
    let Ok(sign_in) = sent.one("sign_in").parse() else {
        let problem = Problem::new(Code::Invalid, "This is no way back from a provider.");
        return Ok(refused(&reader, &problem));
    };
    let request = FinishOidc {
        sign_in,
        state: sent.one("state").to_owned(),
        code: sent.one("code").to_owned(),
        issuer: sent.some("iss").map(str::to_owned),
    };
    let done = reader
        .wait(move |visit, caller| visit.sign_ins.finish_identity_link(caller, request))
        .await?;
    Ok(match done {
        Ok(done) => show::go(&format!("/security?done=linked&leaf={}", done.leaf)),
        Err(problem) => refused(&reader, &problem),
    })
}

async fn unlink(reader: Reader, sent: Sent) -> Answer {
    let issuer = sent.one("issuer").to_owned();
    reader.require_recent_then("/security")?;
    let done = reader
        .attempt(move |keystore, caller| keystore.unlink_identity(caller, issuer))
        .await?;
    Ok(match done {
        Ok(done) => show::go(&format!("/security?done=unlinked&leaf={}", done.leaf)),
        Err(problem) => refused(&reader, &problem),
    })
}

fn link_page(reader: &Reader) -> Page<'_> {
    Page::new(&reader.frame, "Identities elsewhere").under("/security", "Sign-in and security")
}

fn refused(reader: &Reader, problem: &Problem) -> HttpResponse {
    let status = StatusCode::from_u16(problem.status).unwrap_or_default();
    link_page(reader)
        .block(problem_note(problem, "").html())
        .answer_with(status)
}
