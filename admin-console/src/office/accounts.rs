//! Accounts: search, one account, and what is done with it.
//!
//! | module | what lives there |
//! |---|---|
//! | `making` | a new account, and the code with which its holder enrols |
//! | `state` | suspending an account and making it active again |
//! | `roles` | its roles |
//! | `rotation` | a new version of its KEK, and how far that is |
//! | `recovery` | the way back for whoever has lost their password |

mod making;
mod recovery;
mod roles;
mod rotation;
mod state;

use actix_web::HttpResponse;
use actix_web::web::{self, ServiceConfig};
use strongroom_keystore::AccountSearch;
use strongroom_wire::account::{Account, AccountKind, AccountState, Role};
use strongroom_wire::id::AccountId;
use strongroom_wire::problem::Problem;
use strongroom_wire::recovery::Recovery;

use super::status;
use crate::form::Fields;
use crate::own::done;
use crate::page;
use crate::pieces::{
    Card, Choice, Empty, Facts, Field, Form, Html, Table, address, badge, button, day, link, mono,
    soft, tags, when,
};
use crate::reader::{Page, Reader};
use crate::stop::{Stop, problem_note};
use crate::words;

type Answer = Result<HttpResponse, Stop>;

const A_PAGE: u32 = 50;

pub(super) fn routes(services: &mut ServiceConfig) {
    page(services, "/accounts", vec![web::get().to(list)]);
    page(
        services,
        "/accounts/new",
        vec![
            web::get().to(making::show_new),
            web::post().to(making::create),
        ],
    );
    page(services, "/accounts/{account}", vec![web::get().to(show)]);
    page(
        services,
        "/accounts/{account}/state",
        vec![web::get().to(state::show), web::post().to(state::change)],
    );
    page(
        services,
        "/accounts/{account}/roles",
        vec![web::get().to(roles::show), web::post().to(roles::change)],
    );
    page(
        services,
        "/accounts/{account}/code",
        vec![web::post().to(making::code)],
    );
    page(
        services,
        "/accounts/{account}/recovery",
        vec![
            web::get().to(recovery::show),
            web::post().to(recovery::change),
        ],
    );
    page(
        services,
        "/accounts/{account}/rotate",
        vec![
            web::get().to(rotation::show),
            web::post().to(rotation::rotate),
        ],
    );
}

fn state_badge(state: AccountState) -> Html {
    let (tone, text) = words::account_state(state);
    badge(tone, text)
}

async fn list(reader: Reader, query: Fields) -> Answer {
    let kind = words::KINDS
        .into_iter()
        .find(|kind| words::kind_value(*kind) == query.one("kind"));
    let role = Role::ALL
        .into_iter()
        .find(|role| role.as_str() == query.one("role"));
    let state = [
        AccountState::Pending,
        AccountState::Active,
        AccountState::Suspended,
    ]
    .into_iter()
    .find(|state| words::account_state(*state).1 == query.one("state"));
    let search = AccountSearch {
        contains: query.some("name").map(str::to_owned),
        kind,
        state,
        role,
        after: query.some("after").map(str::to_owned),
        limit: A_PAGE,
    };
    let searched = search.contains.is_some() || kind.is_some() || state.is_some() || role.is_some();
    let found = reader
        .ask(move |keystore, caller| keystore.find_accounts(caller, search))
        .await?;
    let mut page = Page::new(&reader.frame, "Accounts")
        .intro("People, devices, services and groups of this domain. Managing an account opens none of its keys.")
        .acts(button("/accounts/new", "New account", "main"));
    if let Some(note) = done(&query) {
        page = page.block(note);
    }
    page = page.block(search_form(&query));
    let with = |after: &str| {
        address(
            "/accounts",
            &[
                ("name", query.one("name")),
                ("kind", query.one("kind")),
                ("state", query.one("state")),
                ("role", query.one("role")),
                ("after", after),
            ],
        )
    };
    if found.accounts.is_empty() {
        let further = found.next.as_deref().map(with);
        let empty = nothing(further, searched || query.some("after").is_some());
        return Ok(page.block(Card::new("").body(empty.html()).html()).answer());
    }
    let rows = found.accounts.iter().map(|account| {
        vec![
            link(&format!("/accounts/{}", account.id), &account.name),
            words::kind(account.kind).into(),
            state_badge(account.state),
            if account.roles.is_empty() {
                soft("—")
            } else {
                tags(account.roles.iter().map(|role| words::role(*role)))
            },
            day(account.created),
        ]
    });
    let table = Table::new("Accounts", &["Name", "Kind", "State", "Roles", "Created"]).rows(rows);
    let mut ways = Vec::new();
    if query.some("after").is_some() {
        ways.push(button(&with(""), "First page", "slim"));
    }
    if let Some(next) = &found.next {
        let text = if found.accounts.len() < A_PAGE as usize {
            "Search further on"
        } else {
            "More accounts"
        };
        ways.push(button(&with(next), text, "slim"));
    }
    let foot = Html::all([
        soft("By name."),
        Html::fixed(format!("<span class=\"acts\">{}</span>", Html::all(ways))),
    ]);
    Ok(page
        .block(Card::new("").table(table).foot(foot).html())
        .answer())
}

/// Why there is no account on the page, and where the search goes on, if it does.
fn nothing(further: Option<String>, searched: bool) -> Empty {
    match further {
        Some(further) => Empty::new(
            "Nothing so far",
            "No account matched among those that were looked at; those further on have not been.",
        )
        .acts(button(&further, "Search further on", "main")),
        None if searched => Empty::new(
            "No account matches",
            "Try a part of the name, or fewer conditions.",
        )
        .acts(button("/accounts", "Show all accounts", "")),
        None => Empty::new("No accounts yet", "Create the first one.").acts(button(
            "/accounts/new",
            "New account",
            "main",
        )),
    }
}

fn search_form(query: &Fields) -> Html {
    let any = |text: &str, chosen: &str| Choice::new("", text, chosen.is_empty());
    let kind = query.one("kind");
    let mut kinds = vec![any("Any kind", kind)];
    kinds.extend(words::KINDS.map(|known| {
        let value = words::kind_value(known);
        Choice::new(value, words::kind(known), value == kind)
    }));
    let state = query.one("state");
    let mut states = vec![any("Any state", state)];
    states.extend(
        ["Pending", "Active", "Suspended"].map(|text| Choice::new(text, text, text == state)),
    );
    let role = query.one("role");
    let mut roles = vec![any("Any role or none", role)];
    roles.extend(
        Role::ALL
            .map(|known| Choice::new(known.as_str(), words::role(known), known.as_str() == role)),
    );
    let fields = [
        Field::search("name", "Name contains").value(query.one("name")),
        Field::select("kind", "Kind", kinds),
        Field::select("state", "State", states),
        Field::select("role", "Role", roles),
    ]
    .map(|field| field.html());
    crate::own::search_form("/accounts", &fields)
}

/// A secret that is shown once, with a button that copies it.
pub(super) fn secret(id: &str, text: &str) -> Html {
    Html::fixed(format!(
        "<p class=\"secret\" id=\"{id}\">{}</p><p class=\"acts after\"><button type=\"button\" class=\"button\" data-copies=\"{id}\" hidden>Copy</button></p>",
        Html::from(text)
    ))
}

pub(super) async fn account_of(
    reader: &Reader,
    id: AccountId,
) -> Result<(Account, Option<Recovery>), Stop> {
    reader
        .ask(move |keystore, caller| {
            let account = keystore.account(caller, id)?;
            let recovery = if account.kind == AccountKind::Person {
                keystore.present_recovery(caller, Some(id))?.recovery
            } else {
                None
            };
            Ok((account, recovery))
        })
        .await
}

async fn show(reader: Reader, path: web::Path<AccountId>, query: Fields) -> Answer {
    let id = path.into_inner();
    one(&reader, id, done(&query), None).await
}

/// The page of one account.
async fn one(
    reader: &Reader,
    id: AccountId,
    note: Option<Html>,
    refused: Option<&Problem>,
) -> Answer {
    let (account, recovery) = account_of(reader, id).await?;
    let kek = rotation::card(reader, &account).await?;
    Ok(account_page(
        reader,
        &account,
        recovery.as_ref(),
        kek,
        note,
        refused,
    ))
}

fn account_page(
    reader: &Reader,
    account: &Account,
    recovery: Option<&Recovery>,
    kek: Html,
    note: Option<Html>,
    refused: Option<&Problem>,
) -> HttpResponse {
    let at = |what: &str| format!("/accounts/{}/{what}", account.id);
    let mut acts = Vec::new();
    match account.state {
        AccountState::Pending => {}
        AccountState::Active => acts.push(button(&at("state"), "Suspend", "danger")),
        AccountState::Suspended => acts.push(button(&at("state"), "Make active", "main")),
    }
    if account.kind == AccountKind::Person {
        acts.push(button(&at("roles"), "Change roles", ""));
        if account.state == AccountState::Active || recovery.is_some() {
            acts.push(button(&at("recovery"), "Recovery", ""));
        }
    }
    let mut page = Page::new(&reader.frame, &account.name)
        .under("/accounts", "Accounts")
        .acts(Html::all(acts));
    if let Some(note) = note {
        page = page.block(note);
    }
    if let Some(problem) = refused {
        page = page.block(problem_note(problem, &format!("/accounts/{}", account.id)).html());
    }
    if let Some(recovery) = recovery {
        page = page.block(recovery::note(recovery));
    }
    let facts = Facts::new()
        .with("Kind", words::kind(account.kind))
        .with("State", state_badge(account.state))
        .with(
            "Roles",
            if account.roles.is_empty() {
                soft("None: it has its own keys only")
            } else {
                tags(account.roles.iter().map(|role| words::role(*role)))
            },
        )
        .with("Created", when(account.created))
        .with("Identifier", mono(&account.id.to_string()));
    page = page.block(Card::new("Account").body(facts.html()).html());
    if account.state == AccountState::Pending && account.kind != AccountKind::Group {
        let code_at = at("code");
        let form = Form::new(&code_at, &reader.frame.form_token, "Make a new code").class("");
        page = page.block(
            Card::new("Enrolment")
                .intro("Its holder has not enrolled yet. A new code makes the old one void.")
                .body(form.html())
                .html(),
        );
    }
    page.block(kek).answer_with(status(refused))
}
