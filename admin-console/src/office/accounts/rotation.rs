//! A new version of an account's KEK, and how far it is.

use actix_web::{HttpResponse, web};
use strongroom_keystore::AccountKekFigure;
use strongroom_wire::account::Account;
use strongroom_wire::id::AccountId;
use strongroom_wire::problem::Problem;

use super::account_of;
use crate::form::Sent;
use crate::office::master_key::bar;
use crate::office::status;
use crate::pieces::{
    Card, Facts, Form, Html, button, count, list as bullets, paragraph, plural, slim_button,
};
use crate::reader::{Page, Reader};
use crate::show;
use crate::stop::{Stop, problem_note};

type Answer = Result<HttpResponse, Stop>;

async fn figure_of(reader: &Reader, id: AccountId) -> Result<AccountKekFigure, Stop> {
    reader
        .ask(move |keystore, caller| keystore.account_kek(caller, id))
        .await
}

/// What the account's page says of its KEK.
pub(super) async fn card(reader: &Reader, account: &Account) -> Result<Html, Stop> {
    let kek = figure_of(reader, account.id).await?;
    let facts = Facts::new().with("Version", count(kek.version.into()));
    let card = Card::new("Key-encryption key")
        .intro("It seals what the account holds. The master KEK wraps it; nobody sees it.");
    let Some((done, left)) = kek.rotation else {
        let to = format!("/accounts/{}/rotate", account.id);
        return Ok(card
            .acts(slim_button(&to, "Rotate the KEK", "of this account", ""))
            .body(facts.html())
            .html());
    };
    let whole = done + left;
    let words = format!(
        "A rotation is under way: {} of {} are sealed under the newest version.",
        count(done),
        plural(whole, "value", "values")
    );
    let body = Html::all([
        facts.html(),
        bar(done, whole, "the rotation of this account's KEK"),
        paragraph(words),
    ]);
    let here = format!("/accounts/{}", account.id);
    Ok(card
        .acts(button(&here, "Look again", "slim"))
        .body(body)
        .html())
}

pub(super) async fn show(reader: Reader, path: web::Path<AccountId>) -> Answer {
    let (account, _) = account_of(&reader, path.into_inner()).await?;
    let kek = figure_of(&reader, account.id).await?;
    reader.require_recent()?;
    Ok(rotate_page(&reader, &account, kek, None))
}

fn rotate_page(
    reader: &Reader,
    account: &Account,
    kek: AccountKekFigure,
    refused: Option<&Problem>,
) -> HttpResponse {
    let to = format!("/accounts/{}/rotate", account.id);
    let back = format!("/accounts/{}", account.id);
    let what = bullets([
        Html::from(format!(
            "The account's KEK gets version {}, wrapped by the master KEK.",
            kek.version + 1
        )),
        "What older versions sealed is sealed again in the background: copies of keys, memberships, sessions, secrets of devices.".into(),
        "Nobody has to wait, and no key changes for its holders. The older versions are deleted at the end.".into(),
    ]);
    let form = Form::new(&to, &reader.frame.form_token, "Rotate the KEK").back(&back);
    let heading = format!("Rotate the KEK of {}", account.name);
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

pub(super) async fn rotate(reader: Reader, path: web::Path<AccountId>, _sent: Sent) -> Answer {
    let id = path.into_inner();
    reader.require_recent_then(&format!("/accounts/{id}/rotate"))?;
    match reader
        .attempt(move |keystore, caller| keystore.rotate_account_kek(caller, id))
        .await?
    {
        Ok(rotated) => Ok(show::go(&format!(
            "/accounts/{id}?done=kek-rotated&leaf={}",
            rotated.leaf
        ))),
        Err(problem) => {
            let (account, _) = account_of(&reader, id).await?;
            let kek = figure_of(&reader, id).await?;
            Ok(rotate_page(&reader, &account, kek, Some(&problem)))
        }
    }
}
