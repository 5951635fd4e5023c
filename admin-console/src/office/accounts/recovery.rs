//! The recovery of an account whose holder has lost their password.

use actix_web::{HttpResponse, web};
use strongroom_wire::account::Account;
use strongroom_wire::id::AccountId;
use strongroom_wire::problem::Problem;
use strongroom_wire::recovery::{Recovery, RecoveryCode};

use super::{account_of, secret};
use crate::form::Sent;
use crate::office::status;
use crate::pieces::{
    Card, Facts, Field, Form, Html, Note, Tone, link, list as bullets, paragraph, when,
};
use crate::reader::{Page, Reader};
use crate::show;
use crate::stop::{Stop, problem_note};

type Answer = Result<HttpResponse, Stop>;

pub(super) fn note(recovery: &Recovery) -> Html {
    let approved = recovery.approved_by_name.as_deref().map_or_else(
        || "Nobody has approved it; its holder can use a recovery code instead.".to_owned(),
        |name| format!("{name} has approved it."),
    );
    let body = Html::join(
        " ",
        [
            Html::from(format!(
                "{} started it. {approved} It takes effect",
                recovery.started_by_name
            )),
            when(recovery.effective),
            "and lapses".into(),
            when(recovery.expires),
        ],
    );
    Note::new(
        Tone::Warn,
        "A recovery of this account is under way",
        paragraph(body),
    )
    .html()
}

pub(super) async fn show(reader: Reader, path: web::Path<AccountId>) -> Answer {
    let (account, recovery) = account_of(&reader, path.into_inner()).await?;
    reader.require_recent()?;
    Ok(recovery_page(&reader, &account, recovery.as_ref(), None))
}

fn recovery_page(
    reader: &Reader,
    account: &Account,
    recovery: Option<&Recovery>,
    refused: Option<&Problem>,
) -> HttpResponse {
    let to = format!("/accounts/{}/recovery", account.id);
    let back = format!("/accounts/{}", account.id);
    let token = &reader.frame.form_token;
    let heading = format!("Recover {}", account.name);
    let mut page = Page::new(&reader.frame, &heading)
        .under("/accounts", "Accounts")
        .under(back.as_str(), account.name.as_str());
    if let Some(problem) = refused {
        page = page.block(problem_note(problem, &to).html());
    }
    let body = match recovery {
        None => {
            let what = bullets([
                Html::from("You get a code for the account's holder. It alone opens nothing."),
                "It takes a second code: one of the holder's own recovery codes, or one of a second administrator or security officer who approves.".into(),
                "It takes effect after the domain's delay. The holder is told, and can cancel it from any session.".into(),
                "Afterwards the account has a new password, no second factor and no session.".into(),
            ]);
            let form = Form::new(&to, token, "Start the recovery")
                .field(Field::hidden("act", "start"))
                .back(&back);
            Html::all([
                what,
                Html::fixed(format!("<div class=\"after\">{}</div>", form.html())),
            ])
        }
        Some(recovery) => {
            let approve = Form::new(&to, token, "Approve it")
                .field(Field::hidden("act", "approve"))
                .back(&back);
            let cancel = Form::new(&to, token, "Cancel the recovery")
                .field(Field::hidden("act", "cancel"))
                .class("danger");
            Html::all([
                note(recovery),
                paragraph(
                    "Approving gives you the second code. Whoever started the recovery cannot approve it.",
                ),
                Html::fixed(format!(
                    "<div class=\"after\">{}</div><div class=\"after\">{}</div>",
                    approve.html(),
                    cancel.html()
                )),
            ])
        }
    };
    page.block(Card::new("What this does").body(body).html())
        .answer_with(status(refused))
}

pub(super) async fn change(reader: Reader, path: web::Path<AccountId>, sent: Sent) -> Answer {
    let id = path.into_inner();
    reader.require_recent_then(&format!("/accounts/{id}/recovery"))?;
    let refused = match sent.one("act") {
        "cancel" => match reader
            .attempt(move |keystore, caller| keystore.cancel_recovery(caller, Some(id)))
            .await?
        {
            Ok(done) => {
                return Ok(show::go(&format!(
                    "/accounts/{id}?done=recovery-cancelled&leaf={}",
                    done.leaf
                )));
            }
            Err(problem) => problem,
        },
        "approve" => match reader
            .attempt(move |keystore, caller| keystore.approve_recovery(caller, id))
            .await?
        {
            Ok(code) => {
                return Ok(recovery_code_page(
                    &reader,
                    &code,
                    "The recovery is approved",
                ));
            }
            Err(problem) => problem,
        },
        _ => match reader
            .attempt(move |keystore, caller| keystore.start_recovery(caller, id))
            .await?
        {
            Ok(code) => {
                return Ok(recovery_code_page(
                    &reader,
                    &code,
                    "The recovery is started",
                ));
            }
            Err(problem) => problem,
        },
    };
    let (account, recovery) = account_of(&reader, id).await?;
    Ok(recovery_page(
        &reader,
        &account,
        recovery.as_ref(),
        Some(&refused),
    ))
}

fn recovery_code_page(reader: &Reader, code: &RecoveryCode, title: &str) -> HttpResponse {
    let facts = Facts::new()
        .with(
            "Account",
            link(
                &format!("/accounts/{}", code.recovery.account),
                &code.recovery.account_name,
            ),
        )
        .with("Takes effect", when(code.recovery.effective))
        .with("Lapses", when(code.recovery.expires));
    Page::new(&reader.frame, title)
        .under("/accounts", "Accounts")
        .intro("Hand this code to the account's holder. It is shown this once, and opens nothing without the other one.")
        .block(Card::new("Your code").body(Html::all([secret("code", &code.code), Html::fixed(format!("<div class=\"after\">{}</div>", facts.html()))])).html())
        .answer()
}
