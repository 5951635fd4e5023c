//! An authenticator app (RFC 6238), with the QR code that sets it up.

use std::fmt::Write as _;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use qrcode::{Color, EcLevel, QrCode};
use strongroom_wire::credential::{ConfirmTotp, TotpStarted};
use strongroom_wire::problem::Problem;

use super::{Answer, added_page};
use crate::form::Sent;
use crate::pieces::{Card, Field, Form, Html, paragraph, soft};
use crate::reader::{Page, Reader};

pub(super) async fn show(reader: Reader) -> Answer {
    reader.require_policy_recent()?;
    let started = reader
        .ask(strongroom_keystore::Keystore::start_totp)
        .await?;
    Ok(totp_page(&reader, &started, None))
}

fn totp_page(reader: &Reader, started: &TotpStarted, refused: Option<&Problem>) -> HttpResponse {
    let form = Form::new("/security/totp", &reader.frame.form_token, "Set it up")
        .field(
            Field::text("code", "The code that the app shows now")
                .class("code")
                .autocomplete("one-time-code")
                .wrong(refused.map(|problem| problem.detail.as_str()))
                .required(),
        )
        .back("/security");
    let body = Html::all([
        paragraph("Scan this with your authenticator app:"),
        Html::fixed(format!("<p class=\"after\">{}</p>", qr(&started.uri))),
        Html::fixed(format!(
            "<details class=\"more\"><summary>I cannot scan it</summary><p>Type this secret into the app:</p><p class=\"secret\">{}</p></details>",
            Html::from(&started.secret)
        )),
        Html::fixed(format!("<div class=\"after\">{}</div>", form.html())),
    ]);
    let status = refused.map_or(StatusCode::OK, |problem| {
        StatusCode::from_u16(problem.status).unwrap_or_default()
    });
    Page::new(&reader.frame, "Add an authenticator app")
        .under("/security", "Sign-in and security")
        .intro("An app on your phone that shows a new code every half minute. From then on it is asked for beside your password.")
        .block(Card::new("").body(body).html())
        .answer_with(status)
}

/// A QR code (ISO/IEC 18004) as a picture of squares.
fn qr(text: &str) -> Html {
    let Ok(code) = QrCode::with_error_correction_level(text, EcLevel::M) else {
        return soft("This cannot be shown as a QR code.");
    };
    let width = code.width();
    let mut path = String::new();
    for (at, color) in code.to_colors().into_iter().enumerate() {
        if color == Color::Dark {
            let _ = write!(path, "M{} {}h1v1h-1z", at % width + 4, at / width + 4);
        }
    }
    let size = width + 8;
    Html::fixed(format!(
        "<svg class=\"qr\" viewBox=\"0 0 {size} {size}\" role=\"img\" aria-label=\"QR code with the secret of the authenticator app\" shape-rendering=\"crispEdges\"><path d=\"{path}\" fill=\"#000000\"/></svg>"
    ))
}

pub(super) async fn confirm(reader: Reader, sent: Sent) -> Answer {
    let code: String = sent
        .one("code")
        .chars()
        .filter(|letter| !letter.is_whitespace())
        .collect();
    match reader
        .attempt(move |keystore, caller| keystore.confirm_totp(caller, ConfirmTotp { code }))
        .await?
    {
        Ok(added) => Ok(added_page(&reader, &added, "totp")),
        Err(problem) => {
            // A new secret, as the old one is not shown twice.
            let started = reader
                .ask(strongroom_keystore::Keystore::start_totp)
                .await?;
            Ok(totp_page(&reader, &started, Some(&problem)))
        }
    }
}
