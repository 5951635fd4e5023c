//! Another passkey.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde_json::json;
use strongroom_wire::credential::RegisterPasskey;
use strongroom_wire::encoding::Base64;
use strongroom_wire::problem::Problem;

use super::{Answer, added_page};
use crate::door::{PASSKEY_SCRIPTS, complaint};
use crate::form::Sent;
use crate::pieces::{Card, Field, Form, Html};
use crate::reader::{Page, Reader};
use crate::show;
use crate::stop::problem_note;

pub(super) async fn show(reader: Reader) -> Answer {
    reader.require_policy_recent()?;
    Ok(passkey_page(&reader, None))
}

fn passkey_page(reader: &Reader, refused: Option<&Problem>) -> HttpResponse {
    let data = [("passkey", "create"), ("start", "/security/passkey/start")];
    let mut form = Form::new(
        "/security/passkey",
        &reader.frame.form_token,
        "Make the passkey",
    )
    .data(&data)
    .field(
        Field::text("name", "What you call it")
            .hint("Such as: laptop, blue security key.")
            .required()
            .focus(),
    );
    for name in ["ceremony", "client_data", "attestation_object"] {
        form = form.field(Field::hidden(name, ""));
    }
    let form = form.piece(complaint()).back("/security");
    let hidden = Html::fixed(
        form.html()
            .to_string()
            .replace("<form class", "<form hidden class"),
    );
    let without = Html::fixed("<p data-without-passkeys>Passkeys take a browser that runs scripts. Here you can still set up an authenticator app.</p>".to_owned());
    let mut page = Page::new(&reader.frame, "Add a passkey")
        .under("/security", "Sign-in and security")
        .intro("A key pair in your device or security key, opened by your finger, face or PIN. It works at this appliance only, so no imitated page can be given it.")
        .scripts(PASSKEY_SCRIPTS);
    if let Some(problem) = refused {
        page = page.block(problem_note(problem, "/security/passkey").html());
    }
    let status = refused.map_or(StatusCode::OK, |problem| {
        StatusCode::from_u16(problem.status).unwrap_or_default()
    });
    page.block(Card::new("").body(Html::all([hidden, without])).html())
        .answer_with(status)
}

pub(super) async fn start(reader: Reader, _sent: Sent) -> Answer {
    let registration = reader
        .ask(strongroom_keystore::Keystore::start_passkey_registration)
        .await?;
    let mut response = HttpResponse::Ok();
    show::headers(&mut response);
    Ok(response.json(json!({
        "ceremony": registration.registration,
        "challenge": registration.challenge,
        "rp_id": registration.rp_id,
        "rp_name": registration.rp_name,
        "user": registration.user,
        "user_name": registration.user_name,
        "algorithms": registration.algorithms,
        "exclude": registration.exclude,
    })))
}

pub(super) async fn register(reader: Reader, sent: Sent) -> Answer {
    let bytes = |name: &str| sent.some(name).and_then(|text| text.parse::<Base64>().ok());
    let (Ok(registration), Some(client_data), Some(attestation_object)) = (
        sent.one("ceremony").parse(),
        bytes("client_data"),
        bytes("attestation_object"),
    ) else {
        return Ok(passkey_page(&reader, None));
    };
    let request = RegisterPasskey {
        registration,
        name: sent.one("name").to_owned(),
        client_data,
        attestation_object,
    };
    match reader
        .attempt(move |keystore, caller| keystore.register_passkey(caller, request))
        .await?
    {
        Ok(added) => Ok(added_page(&reader, &added, "passkey")),
        Err(problem) => Ok(passkey_page(&reader, Some(&problem))),
    }
}
