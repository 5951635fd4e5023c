//! A new account, and the code with which its holder enrols.

use actix_web::{HttpResponse, web};
use strongroom_keystore::AccountSearch;
use strongroom_wire::account::{AccountKind, CreateAccount, CreatedAccount};
use strongroom_wire::id::AccountId;
use strongroom_wire::problem::{Code, Problem};

use super::roles::{choices, sent_roles};
use super::{one, secret};
use crate::form::Sent;
use crate::office::status;
use crate::pieces::{Card, Choice, Facts, Field, Form, Html, button, link, soft, when};
use crate::reader::{Page, Reader};
use crate::show;
use crate::stop::{Stop, problem_note};
use crate::words;

type Answer = Result<HttpResponse, Stop>;

pub(super) async fn show_new(reader: Reader) -> Answer {
    // Whoever may not create accounts is told so before they fill in the form.
    reader
        .ask(|keystore, caller| {
            keystore.find_accounts(
                caller,
                AccountSearch {
                    limit: 1,
                    ..AccountSearch::default()
                },
            )
        })
        .await?;
    Ok(new_page(&reader, None, None))
}

fn new_page(reader: &Reader, sent: Option<&Sent>, refused: Option<&Problem>) -> HttpResponse {
    let said = |name: &str| sent.map_or("", |sent| sent.one(name));
    let kind = said("kind");
    let kinds = words::KINDS.map(|known| {
        let value = words::kind_value(known);
        let hint = match known {
            AccountKind::Person => {
                "A human being, who signs in with a password, passkeys or at your OpenID provider."
            }
            AccountKind::Device => {
                "A machine that signs its requests. Many at once: import them on the page Devices."
            }
            AccountKind::Service => "An application, such as one that uses the PKCS #11 module.",
            AccountKind::Group => {
                "What is shared with it, all of its members can open. You name who manages it."
            }
        };
        Choice::new(
            value,
            words::kind(known),
            value == kind || (kind.is_empty() && known == AccountKind::Person),
        )
        .hint(hint)
    });
    let form = Form::new(
        "/accounts/new",
        &reader.frame.form_token,
        "Create the account",
    )
    .field(
        Field::text("name", "Name")
            .hint("Usually an e-mail address; kept in lower case.")
            .value(said("name"))
            .required()
            .focus(),
    )
    .field(Field::radios("kind", "Kind", kinds.into()))
    .field(
        Field::text("manager", "Manager of the group")
            .hint("Of groups only: the account that adds and removes its members.")
            .value(said("manager")),
    )
    .field(
        Field::checks(
            "roles",
            "Roles",
            choices(|role| sent.is_some_and(|sent| sent.has("roles", role.as_str()))),
        )
        .hint("Of people only. Most people have none: their own keys need no role."),
    )
    .back("/accounts");
    let mut page = Page::new(&reader.frame, "New account")
        .under("/accounts", "Accounts")
        .intro("Its holder enrols with a code that you hand over; it is shown once.");
    if let Some(problem) = refused {
        page = page.block(problem_note(problem, "/accounts/new").html());
    }
    page.block(Card::new("").body(form.html()).html())
        .answer_with(status(refused))
}

pub(super) async fn create(reader: Reader, sent: Sent) -> Answer {
    let kind = words::KINDS
        .into_iter()
        .find(|kind| words::kind_value(*kind) == sent.one("kind"));
    let Some(kind) = kind else {
        let problem = Problem::new(Code::Invalid, "Choose what kind of account it is.");
        return Ok(new_page(&reader, Some(&sent), Some(&problem)));
    };
    let request = CreateAccount {
        name: sent.one("name").to_owned(),
        kind,
        roles: sent_roles(&sent),
        manager: sent.some("manager").map(str::to_owned),
    };
    match reader
        .attempt(move |keystore, caller| keystore.create_account(caller, request))
        .await?
    {
        Ok(created) if created.enrolment_code.is_some() => {
            Ok(code_page(&reader, &created, "The account is created"))
        }
        Ok(created) => Ok(show::go(&format!(
            "/accounts/{}?done=account&leaf={}",
            created.account.id, created.leaf
        ))),
        Err(problem) => Ok(new_page(&reader, Some(&sent), Some(&problem))),
    }
}

/// A page with a code that is shown once.
fn code_page(reader: &Reader, created: &CreatedAccount, title: &str) -> HttpResponse {
    let code = created.enrolment_code.as_deref().unwrap_or_default();
    let secret = secret("code", code);
    let facts = Facts::new()
        .with(
            "Account",
            link(
                &format!("/accounts/{}", created.account.id),
                &created.account.name,
            ),
        )
        .with_some("The code lapses", created.enrolment_expires.map(when));
    let mut body = vec![
        secret,
        Html::fixed(format!("<div class=\"after\">{}</div>", facts.html())),
    ];
    if created.account.name.contains('@') {
        let to = mail_address(&created.account.name, code);
        body.push(Html::fixed(format!(
            "<p class=\"acts after\">{}</p>",
            button(&to, "Write it in a mail", "")
        )));
    }
    Page::new(&reader.frame, title)
        .under("/accounts", "Accounts")
        .intro("Hand this code to the account's holder, and to nobody else: whoever enrols with it owns the account. It is shown this once.")
        .block(
            Card::new("Enrolment code")
                .body(Html::all(body))
                .foot(soft("They enrol with it on the sign-in page of the client listener, or with the command line.")).html())
        .answer()
}

pub(super) async fn code(reader: Reader, path: web::Path<AccountId>, _sent: Sent) -> Answer {
    let id = path.into_inner();
    match reader
        .attempt(move |keystore, caller| keystore.invite_account(caller, id))
        .await?
    {
        Ok(created) if created.enrolment_code.is_some() => {
            Ok(code_page(&reader, &created, "A new enrolment code"))
        }
        Ok(created) => Ok(show::go(&format!(
            "/accounts/{id}?done=account&leaf={}",
            created.leaf
        ))),
        Err(problem) => one(&reader, id, None, Some(&problem)).await,
    }
}

/// An address (RFC 6068) with which the reader's own mail program begins a mail to the account's holder. It holds what is on the page, and goes nowhere by
/// itself.
fn mail_address(name: &str, code: &str) -> String {
    let encoded = |text: &str| {
        let encoded: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
        encoded.replace('+', "%20")
    };
    let body = format!(
        "You have an account, {name}.\r\n\r\nEnrol with this code, which is good once, on the sign-in page (“I have an enrolment code”) or with `strongroom enrol {name}`:\r\n\r\n{code}\r\n"
    );
    format!(
        "mailto:{}?subject={}&body={}",
        encoded(name).replace("%40", "@"),
        encoded("Your account"),
        encoded(&body)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_a_mail_holds_its_text_and_no_more_fields() {
        let address = mail_address("al&ice+x@example.com", "AAAA-BBBB");
        let (to, rest) = address.split_once('?').unwrap_or_default();
        assert_eq!(to, "mailto:al%26ice%2Bx@example.com");
        assert_eq!(rest.matches('&').count(), 1, "{rest}");
        assert!(rest.contains("AAAA-BBBB") && !rest.contains('+'), "{rest}");
    }
}
