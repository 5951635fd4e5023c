//! The roles of an account.

use actix_web::{HttpResponse, web};
use strongroom_keystore::{role_conflicts, role_powers};
use strongroom_wire::account::{Account, Role, UpdateAccount};
use strongroom_wire::id::AccountId;
use strongroom_wire::problem::Problem;
use strongroom_wire::proposal::ProposedRequest;

use super::account_of;
use super::state::update;
use crate::form::Sent;
use crate::office::status;
use crate::pieces::{Card, Choice, Field, Form};
use crate::proposals;
use crate::reader::{Page, Reader};
use crate::stop::{Stop, problem_note};
use crate::words;

type Answer = Result<HttpResponse, Stop>;

/// What an account may be, with what each role may do and excludes.
pub(super) fn choices(chosen: impl Fn(Role) -> bool) -> Vec<Choice> {
    let conflicts = role_conflicts();
    role_powers()
        .into_iter()
        .map(|(role, powers)| {
            let excluded: Vec<&str> = conflicts
                .iter()
                .filter_map(|(one, other, _)| match role {
                    role if role == *one => Some(words::role(*other)),
                    role if role == *other => Some(words::role(*one)),
                    _ => None,
                })
                .collect();
            let hint = format!(
                "{}. Not together with {}.",
                words::capitalised(&powers.join("; ")),
                words::listed(&excluded, "or").to_lowercase()
            );
            Choice::new(role.as_str(), words::role(role), chosen(role)).hint(hint)
        })
        .collect()
}

/// The roles that a form names.
pub(super) fn sent_roles(sent: &Sent) -> Vec<Role> {
    Role::ALL
        .into_iter()
        .filter(|role| sent.has("roles", role.as_str()))
        .collect()
}

pub(super) async fn show(reader: Reader, path: web::Path<AccountId>) -> Answer {
    let (account, _) = account_of(&reader, path.into_inner()).await?;
    reader.require_recent()?;
    let chosen = account.roles.clone();
    Ok(roles_page(&reader, &account, &chosen, None))
}

fn roles_page(
    reader: &Reader,
    account: &Account,
    chosen: &[Role],
    refused: Option<&Problem>,
) -> HttpResponse {
    let to = format!("/accounts/{}/roles", account.id);
    let back = format!("/accounts/{}", account.id);
    let form = Form::new(&to, &reader.frame.form_token, "Save the roles")
        .field(Field::checks(
            "roles",
            "Roles",
            choices(|role| chosen.contains(&role)),
        ))
        .back(&back);
    let heading = format!("Roles of {}", account.name);
    let mut page = Page::new(&reader.frame, &heading)
        .under("/accounts", "Accounts")
        .under(back.as_str(), account.name.as_str())
        .intro("They hold from the next request on, in sessions that are open, too.");
    if let Some(problem) = refused {
        page = page.block(problem_note(problem, &to).html());
    }
    let request = ProposedRequest::AccountUpdate {
        account: account.id,
        roles: chosen.to_vec(),
    };
    page.block(proposals::offer(
        &reader.frame.form_token,
        refused,
        &request,
    ))
    .block(Card::new("").body(form.html()).html())
    .answer_with(status(refused))
}

pub(super) async fn change(reader: Reader, path: web::Path<AccountId>, sent: Sent) -> Answer {
    let id = path.into_inner();
    reader.require_recent_then(&format!("/accounts/{id}/roles"))?;
    let chosen = sent_roles(&sent);
    match update(
        &reader,
        id,
        UpdateAccount {
            state: None,
            roles: Some(chosen.clone()),
        },
    )
    .await?
    {
        Ok(response) => Ok(response),
        Err(problem) => {
            let (account, _) = account_of(&reader, id).await?;
            Ok(roles_page(&reader, &account, &chosen, Some(&problem)))
        }
    }
}
