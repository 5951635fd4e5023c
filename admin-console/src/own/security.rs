//! How the reader signs in: password, passkeys, authenticator app, recovery codes, identities at OpenID providers.

use std::fmt::Write as _;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};
use qrcode::{Color, EcLevel, QrCode};
use serde_json::json;
use strongroom_wire::credential::{
    ConfirmTotp, Credential, CredentialKind, CredentialName, FactorAdded, RegisterPasskey,
    TotpStarted,
};
use strongroom_wire::encoding::Base64;
use strongroom_wire::problem::Problem;

use crate::door::complaint;
use crate::form::{Fields, Sent};
use crate::own::done;
use crate::page;
use crate::pieces::{
    Card, Facts, Field, Form, Html, Note, Table, Tone, address, button, link, list, paragraph,
    slim_button, soft, tags, when, when_or,
};
use crate::reader::{Page, Reader};
use crate::show;
use crate::stop::{Stop, problem_note};
use crate::words;

type Answer = Result<HttpResponse, Stop>;

pub(super) fn routes(services: &mut ServiceConfig) {
    page(services, "/security", vec![web::get().to(overview)]);
    page(
        services,
        "/security/passkey",
        vec![
            web::get().to(show_passkey),
            web::post().to(register_passkey),
        ],
    );
    page(
        services,
        "/security/passkey/start",
        vec![web::post().to(start_passkey)],
    );
    page(
        services,
        "/security/totp",
        vec![web::get().to(show_totp), web::post().to(confirm_totp)],
    );
    page(
        services,
        "/security/recovery-codes",
        vec![web::get().to(show_codes), web::post().to(make_codes)],
    );
    page(
        services,
        "/security/remove",
        vec![web::get().to(show_remove), web::post().to(remove)],
    );
    page(services, "/security/unlink", vec![web::post().to(unlink)]);
    page(
        services,
        "/security/cancel-recovery",
        vec![web::post().to(cancel_recovery)],
    );
}

async fn overview(reader: Reader, query: Fields) -> Answer {
    let (credentials, identities, recovery) = reader
        .ask(|keystore, caller| {
            Ok((
                keystore.credentials(caller)?.credentials,
                keystore.identities(caller)?.identities,
                keystore.present_recovery(caller, None)?.recovery,
            ))
        })
        .await?;
    let token = &reader.frame.form_token;
    let mut shown = Page::new(&reader.frame, "Sign-in and security")
        .intro("How you prove who you are. Whoever can sign in as you can open your keys.");
    if let Some(note) = done(&query) {
        shown = shown.block(note);
    }
    if let Some(recovery) = recovery {
        let cancel = Form::new("/security/cancel-recovery", token, "Cancel the recovery")
            .class("danger main");
        let body = Html::all([
            paragraph(Html::join(" ", [
                Html::from(format!("{} started it. It takes effect", recovery.started_by_name)),
                when(recovery.effective),
                "and gives whoever holds its codes a new password. If it was not you who asked for it, cancel it now.".into(),
            ])),
            Html::fixed(format!("<div class=\"after\">{}</div>", cancel.html())),
        ]);
        shown = shown
            .block(Note::new(Tone::Bad, "A recovery of your account is under way", body).html());
    }
    let has = |kind: CredentialKind| credentials.iter().any(|credential| credential.kind == kind);
    if !has(CredentialKind::Passkey) && !has(CredentialKind::Totp) {
        let note = Note::new(
            Tone::Warn,
            "Your password is all that protects your keys",
            "Add a passkey or an authenticator app: a password can be guessed, or typed into the wrong page.",
        )
        .acts(button("/security/passkey", "Add a passkey", "main"));
        shown = shown.block(note.html());
    }
    let account = &reader.presence.account;
    let mut you = Facts::new()
        .with("Name", account.name.as_str())
        .with("Signed in with", words::strength(reader.presence.strength))
        .with("Last proved", when(reader.presence.confirmed));
    if !account.roles.is_empty() {
        you = you.with(
            "Roles",
            tags(account.roles.iter().map(|role| words::role(*role))),
        );
    }
    let rows = credentials.iter().map(row);
    let table = Table::new("Ways to sign in", &["What", "Set up", "Last used", ""]).rows(rows);
    let acts = Html::all([
        slim_button("/security/passkey", "Add a passkey", "", ""),
        if has(CredentialKind::Totp) {
            Html::default()
        } else {
            slim_button("/security/totp", "Add an authenticator app", "", "")
        },
        slim_button("/security/recovery-codes", "New recovery codes", "", ""),
    ]);
    shown = shown
        .block(Card::new("You").body(you.html()).html())
        .block(Card::new("Ways to sign in").acts(acts).table(table).html());
    if !identities.is_empty() {
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
        shown = shown.block(
            Card::new("Identities elsewhere")
                .intro("Whoever signs in there with that identity signs in here.")
                .table(table)
                .html(),
        );
    }
    Ok(shown.answer())
}

fn name_of(credential: &Credential) -> (Html, Option<CredentialName>) {
    match credential.kind {
        CredentialKind::Password => ("Password".into(), Some(CredentialName::Password)),
        CredentialKind::Totp => ("Authenticator app".into(), Some(CredentialName::Totp)),
        CredentialKind::RecoveryCodes => {
            let left = credential.left.unwrap_or_default();
            (
                format!("Recovery codes ({left} left)").into(),
                Some(CredentialName::RecoveryCodes),
            )
        }
        CredentialKind::Passkey => {
            let name = credential.name.as_deref().unwrap_or("without a name");
            (
                format!("Passkey: {name}").into(),
                credential.passkey.map(CredentialName::Passkey),
            )
        }
    }
}

fn row(credential: &Credential) -> Vec<Html> {
    let (name, which) = name_of(credential);
    let act = which.map(|which| {
        let to = address("/security/remove", &[("which", &which.to_string())]);
        Html::fixed(
            slim_button(&to, "Remove", "", "danger")
                .to_string()
                .replace(
                    "</a>",
                    &format!("<span class=\"unseen\"> {name}</span></a>"),
                ),
        )
    });
    vec![
        name,
        when_or(credential.created, "Long ago"),
        when_or(credential.used, "Never"),
        act.unwrap_or_default(),
    ]
}

async fn show_passkey(reader: Reader) -> Answer {
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
        .scripts(&["passkey.js"]);
    if let Some(problem) = refused {
        page = page.block(problem_note(problem, "/security/passkey").html());
    }
    let status = refused.map_or(StatusCode::OK, |problem| {
        StatusCode::from_u16(problem.status).unwrap_or_default()
    });
    page.block(Card::new("").body(Html::all([hidden, without])).html())
        .answer_with(status)
}

async fn start_passkey(reader: Reader, _sent: Sent) -> Answer {
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

async fn register_passkey(reader: Reader, sent: Sent) -> Answer {
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

/// After a second factor was added: its recovery codes, where there are new ones, or back to the overview.
fn added_page(reader: &Reader, added: &FactorAdded, done: &str) -> HttpResponse {
    if added.recovery_codes.is_empty() {
        return show::go(&format!("/security?done={done}&leaf={}", added.leaf));
    }
    codes_page(reader, "Keep these recovery codes", &added.recovery_codes)
}

fn codes_page(reader: &Reader, title: &str, codes: &[String]) -> HttpResponse {
    let items = Html::all(
        codes
            .iter()
            .map(|code| Html::fixed(format!("<li>{}</li>", Html::from(code)))),
    );
    let body = Html::all([
        Html::fixed(format!("<ul class=\"codes\" id=\"codes\">{items}</ul>")),
        Html::fixed("<p class=\"acts after\"><button type=\"button\" class=\"button\" data-copies=\"codes\" hidden>Copy</button><button type=\"button\" class=\"button\" data-prints hidden>Print</button></p>".to_owned()),
    ]);
    Page::new(&reader.frame, title)
        .under("/security", "Sign-in and security")
        .intro("Each opens your account once in place of your second factor. They are shown this once: print them or write them down, and keep them where your devices are not.")
        .block(Card::new("Recovery codes").body(body).foot(link("/security", "I have kept them")).html())
        .answer()
}

async fn show_totp(reader: Reader) -> Answer {
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

async fn confirm_totp(reader: Reader, sent: Sent) -> Answer {
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

async fn show_codes(reader: Reader) -> Answer {
    reader.require_policy_recent()?;
    Ok(new_codes_page(&reader, None))
}

fn new_codes_page(reader: &Reader, refused: Option<&Problem>) -> HttpResponse {
    let what = list([
        Html::from("The codes that you have now are void at once."),
        "The new ones are shown once. Have paper or a printer at hand.".into(),
    ]);
    let form = Form::new(
        "/security/recovery-codes",
        &reader.frame.form_token,
        "Make new codes",
    )
    .back("/security");
    let mut page =
        Page::new(&reader.frame, "New recovery codes").under("/security", "Sign-in and security");
    if let Some(problem) = refused {
        page = page.block(problem_note(problem, "/security/recovery-codes").html());
    }
    let body = Html::all([
        what,
        Html::fixed(format!("<div class=\"after\">{}</div>", form.html())),
    ]);
    let status = refused.map_or(StatusCode::OK, |problem| {
        StatusCode::from_u16(problem.status).unwrap_or_default()
    });
    page.block(Card::new("What this changes").body(body).html())
        .answer_with(status)
}

async fn make_codes(reader: Reader, _sent: Sent) -> Answer {
    match reader
        .attempt(strongroom_keystore::Keystore::make_recovery_codes)
        .await?
    {
        Ok(made) => Ok(codes_page(&reader, "Your new recovery codes", &made.codes)),
        Err(problem) => Ok(new_codes_page(&reader, Some(&problem))),
    }
}

async fn show_remove(reader: Reader, query: Fields) -> Answer {
    reader.require_recent()?;
    remove_page(&reader, query.one("which"), None).await
}

async fn remove_page(reader: &Reader, which: &str, refused: Option<&Problem>) -> Answer {
    let credentials = reader
        .ask(strongroom_keystore::Keystore::credentials)
        .await?
        .credentials;
    let found = credentials
        .iter()
        .map(|credential| (credential, name_of(credential)))
        .find(|(_, (_, name))| name.is_some_and(|name| name.to_string() == which));
    let Some((credential, (name, _))) = found else {
        return Err(Stop::not_found(&reader.frame));
    };
    let factors = credentials
        .iter()
        .filter(|credential| {
            matches!(
                credential.kind,
                CredentialKind::Totp | CredentialKind::Passkey
            )
        })
        .count();
    let is_factor = matches!(
        credential.kind,
        CredentialKind::Totp | CredentialKind::Passkey
    );
    let mut what = vec![Html::join(
        " ",
        [name, "cannot be used to sign in any more.".into()],
    )];
    if is_factor && factors == 1 {
        what.push(
            "It is your last second factor: from then on your password alone opens your account."
                .into(),
        );
    }
    let form = Form::new("/security/remove", &reader.frame.form_token, "Remove it")
        .field(Field::hidden("which", which))
        .danger()
        .back("/security");
    let mut page = Page::new(&reader.frame, "Remove a way to sign in")
        .under("/security", "Sign-in and security");
    if let Some(problem) = refused {
        page = page.block(problem_note(problem, "").html());
    }
    let body = Html::all([
        list(what),
        Html::fixed(format!("<div class=\"after\">{}</div>", form.html())),
    ]);
    let status = refused.map_or(StatusCode::OK, |problem| {
        StatusCode::from_u16(problem.status).unwrap_or_default()
    });
    Ok(page
        .block(Card::new("What this changes").body(body).danger().html())
        .answer_with(status))
}

async fn remove(reader: Reader, sent: Sent) -> Answer {
    let which = sent.one("which").to_owned();
    reader.require_recent_then(&address("/security/remove", &[("which", &which)]))?;
    let Ok(name) = which.parse::<CredentialName>() else {
        return Err(Stop::not_found(&reader.frame));
    };
    match reader
        .attempt(move |keystore, caller| keystore.remove_credential(caller, name))
        .await?
    {
        Ok(done) => Ok(show::go(&format!(
            "/security?done=removed&leaf={}",
            done.leaf
        ))),
        Err(problem) => remove_page(&reader, &which, Some(&problem)).await,
    }
}

async fn unlink(reader: Reader, sent: Sent) -> Answer {
    let issuer = sent.one("issuer").to_owned();
    reader.require_recent_then("/security")?;
    let done = reader
        .ask(move |keystore, caller| keystore.unlink_identity(caller, issuer))
        .await?;
    Ok(show::go(&format!(
        "/security?done=unlinked&leaf={}",
        done.leaf
    )))
}

async fn cancel_recovery(reader: Reader, _sent: Sent) -> Answer {
    let done = reader
        .ask(|keystore, caller| keystore.cancel_recovery(caller, None))
        .await?;
    Ok(show::go(&format!(
        "/security?done=recovery-cancelled&leaf={}",
        done.leaf
    )))
}
