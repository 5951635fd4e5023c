//! How the reader signs in: password, passkeys, authenticator app, recovery codes, identities at OpenID providers.

mod identities;
mod passkey;
mod totp;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};
use strongroom_wire::credential::{Credential, CredentialKind, CredentialName, FactorAdded};
use strongroom_wire::problem::Problem;

use crate::form::{Fields, Sent};
use crate::own::done;
use crate::page;
use crate::pieces::{
    Card, Facts, Field, Form, Html, Note, Table, Tone, address, button, link, list, paragraph,
    slim_button, tags, when, when_or,
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
            web::get().to(passkey::show),
            web::post().to(passkey::register),
        ],
    );
    page(
        services,
        "/security/passkey/start",
        vec![web::post().to(passkey::start)],
    );
    page(
        services,
        "/security/totp",
        vec![web::get().to(totp::show), web::post().to(totp::confirm)],
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
    identities::routes(services);
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
        if has(CredentialKind::Password) {
            slim_button("/security/password", "Change the password", "", "")
        } else {
            Html::default()
        },
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
    shown = shown.blocks(identities::card(&reader, &identities));
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

async fn cancel_recovery(reader: Reader, _sent: Sent) -> Answer {
    let done = reader
        .ask(|keystore, caller| keystore.cancel_recovery(caller, None))
        .await?;
    Ok(show::go(&format!(
        "/security?done=recovery-cancelled&leaf={}",
        done.leaf
    )))
}
