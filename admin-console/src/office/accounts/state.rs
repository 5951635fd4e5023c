//! Suspending an account, and making it active again.

use actix_web::{HttpResponse, web};
use strongroom_wire::account::{Account, AccountState, UpdateAccount};
use strongroom_wire::id::AccountId;
use strongroom_wire::problem::Problem;

use super::account_of;
use crate::form::Sent;
use crate::office::status;
use crate::pieces::{Card, Field, Form, Html, list as bullets};
use crate::reader::{Page, Reader};
use crate::show;
use crate::stop::{Stop, problem_note};

type Answer = Result<HttpResponse, Stop>;

pub(super) async fn show(reader: Reader, path: web::Path<AccountId>) -> Answer {
    let (account, _) = account_of(&reader, path.into_inner()).await?;
    Ok(state_page(&reader, &account, None))
}

fn state_page(reader: &Reader, account: &Account, refused: Option<&Problem>) -> HttpResponse {
    let suspends = account.state == AccountState::Active;
    let to = format!("/accounts/{}/state", account.id);
    let back = format!("/accounts/{}", account.id);
    let (heading, what, submit) = if suspends {
        (
            format!("Suspend {}", account.name),
            bullets([
                Html::from("Its sessions end at once, and nobody signs in to it."),
                "Its keys stay as they are: what others have of them, they keep.".into(),
                "You can make it active again.".into(),
            ]),
            "Suspend the account",
        )
    } else {
        (
            format!("Make {} active", account.name),
            bullets([Html::from(
                "Its holder can sign in again, with the credentials that they had.",
            )]),
            "Make it active",
        )
    };
    let mut form = Form::new(&to, &reader.frame.form_token, submit)
        .field(Field::hidden(
            "state",
            if suspends { "suspended" } else { "active" },
        ))
        .back(&back);
    if suspends {
        form = form.danger();
    }
    let mut page = Page::new(&reader.frame, &heading)
        .under("/accounts", "Accounts")
        .under(back.as_str(), account.name.as_str());
    if let Some(problem) = refused {
        page = page.block(problem_note(problem, &to).html());
    }
    let body = Html::all([
        what,
        Html::fixed(format!("<div class=\"after\">{}</div>", form.html())),
    ]);
    page.block(Card::new("What this changes").body(body).html())
        .answer_with(status(refused))
}

pub(super) async fn update(
    reader: &Reader,
    id: AccountId,
    request: UpdateAccount,
) -> Result<Result<HttpResponse, Problem>, Stop> {
    let changed = reader
        .attempt(move |keystore, caller| keystore.update_account(caller, id, request))
        .await?;
    Ok(changed.map(|changed| {
        show::go(&format!(
            "/accounts/{id}?done=account&leaf={}",
            changed.leaf
        ))
    }))
}

pub(super) async fn change(reader: Reader, path: web::Path<AccountId>, sent: Sent) -> Answer {
    let id = path.into_inner();
    let state = match sent.one("state") {
        "suspended" => AccountState::Suspended,
        _ => AccountState::Active,
    };
    match update(
        &reader,
        id,
        UpdateAccount {
            state: Some(state),
            roles: None,
        },
    )
    .await?
    {
        Ok(response) => Ok(response),
        Err(problem) => {
            let (account, _) = account_of(&reader, id).await?;
            Ok(state_page(&reader, &account, Some(&problem)))
        }
    }
}
