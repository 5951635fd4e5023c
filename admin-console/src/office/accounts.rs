//! Accounts: search, creation, state, roles, codes, recovery.

use actix_web::HttpResponse;
use actix_web::web::{self, ServiceConfig};
use strongroom_keystore::{AccountSearch, role_conflicts, role_powers};
use strongroom_wire::account::{
    Account, AccountKind, AccountState, CreateAccount, CreatedAccount, Role, UpdateAccount,
};
use strongroom_wire::id::AccountId;
use strongroom_wire::problem::{Code, Problem};
use strongroom_wire::recovery::{Recovery, RecoveryCode};

use super::status;
use crate::form::{Fields, Sent};
use crate::own::done;
use crate::page;
use crate::pieces::{
    Card, Choice, Empty, Facts, Field, Form, Html, Note, Table, Tone, address, badge, button, day,
    link, list as bullets, mono, paragraph, soft, tags, when,
};
use crate::reader::{Page, Reader};
use crate::show;
use crate::stop::{Stop, problem_note};
use crate::words;

type Answer = Result<HttpResponse, Stop>;

const A_PAGE: u32 = 50;

pub(super) fn routes(services: &mut ServiceConfig) {
    page(services, "/accounts", vec![web::get().to(list)]);
    page(
        services,
        "/accounts/new",
        vec![web::get().to(show_new), web::post().to(create)],
    );
    page(services, "/accounts/{account}", vec![web::get().to(show)]);
    page(
        services,
        "/accounts/{account}/state",
        vec![web::get().to(show_state), web::post().to(state)],
    );
    page(
        services,
        "/accounts/{account}/roles",
        vec![web::get().to(show_roles), web::post().to(roles)],
    );
    page(
        services,
        "/accounts/{account}/code",
        vec![web::post().to(code)],
    );
    page(
        services,
        "/accounts/{account}/recovery",
        vec![web::get().to(show_recovery), web::post().to(recovery)],
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
    if found.accounts.is_empty() {
        let empty = if searched || query.some("after").is_some() {
            Empty::new(
                "No account matches",
                "Try a part of the name, or fewer conditions.",
            )
            .acts(button("/accounts", "Show all accounts", ""))
        } else {
            Empty::new("No accounts yet", "Create the first one.").acts(button(
                "/accounts/new",
                "New account",
                "main",
            ))
        };
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
    if query.some("after").is_some() {
        ways.push(button(&with(""), "First page", "slim"));
    }
    if let Some(next) = &found.next {
        ways.push(button(&with(next), "More accounts", "slim"));
    }
    let foot = Html::all([
        soft("By name."),
        Html::fixed(format!("<span class=\"acts\">{}</span>", Html::all(ways))),
    ]);
    Ok(page
        .block(Card::new("").table(table).foot(foot).html())
        .answer())
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

async fn show_new(reader: Reader) -> Answer {
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

fn role_choices(chosen: impl Fn(Role) -> bool) -> Vec<Choice> {
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
                sentence(&powers.join("; ")),
                words::listed(&excluded, "or").to_lowercase()
            );
            Choice::new(role.as_str(), words::role(role), chosen(role)).hint(hint)
        })
        .collect()
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
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
            role_choices(|role| sent.is_some_and(|sent| sent.has("roles", role.as_str()))),
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

fn sent_roles(sent: &Sent) -> Vec<Role> {
    Role::ALL
        .into_iter()
        .filter(|role| sent.has("roles", role.as_str()))
        .collect()
}

async fn create(reader: Reader, sent: Sent) -> Answer {
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
    Page::new(&reader.frame, title)
        .under("/accounts", "Accounts")
        .intro("Hand this code to the account's holder, and to nobody else: whoever enrols with it owns the account. It is shown this once.")
        .block(Card::new("Enrolment code").body(Html::all([secret, Html::fixed(format!("<div class=\"after\">{}</div>", facts.html()))])).foot(soft("They enrol with it on the sign-in page of the client listener, or with the command line.")).html())
        .answer()
}

/// A secret that is shown once, with a button that copies it.
pub(super) fn secret(id: &str, text: &str) -> Html {
    Html::fixed(format!(
        "<p class=\"secret\" id=\"{id}\">{}</p><p class=\"acts after\"><button type=\"button\" class=\"button\" data-copies=\"{id}\" hidden>Copy</button></p>",
        Html::from(text)
    ))
}

async fn account_of(reader: &Reader, id: AccountId) -> Result<(Account, Option<Recovery>), Stop> {
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
    let (account, recovery) = account_of(&reader, id).await?;
    Ok(account_page(
        &reader,
        &account,
        recovery.as_ref(),
        done(&query),
        None,
    ))
}

fn account_page(
    reader: &Reader,
    account: &Account,
    recovery: Option<&Recovery>,
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
        page = page.block(recovery_note(recovery));
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
    page.answer_with(status(refused))
}

fn recovery_note(recovery: &Recovery) -> Html {
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

async fn show_state(reader: Reader, path: web::Path<AccountId>) -> Answer {
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

async fn update(
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

async fn state(reader: Reader, path: web::Path<AccountId>, sent: Sent) -> Answer {
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

async fn show_roles(reader: Reader, path: web::Path<AccountId>) -> Answer {
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
            role_choices(|role| chosen.contains(&role)),
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
    page.block(Card::new("").body(form.html()).html())
        .answer_with(status(refused))
}

async fn roles(reader: Reader, path: web::Path<AccountId>, sent: Sent) -> Answer {
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

async fn code(reader: Reader, path: web::Path<AccountId>, _sent: Sent) -> Answer {
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
        Err(problem) => {
            let (account, recovery) = account_of(&reader, id).await?;
            Ok(account_page(
                &reader,
                &account,
                recovery.as_ref(),
                None,
                Some(&problem),
            ))
        }
    }
}

async fn show_recovery(reader: Reader, path: web::Path<AccountId>) -> Answer {
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
                recovery_note(recovery),
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

async fn recovery(reader: Reader, path: web::Path<AccountId>, sent: Sent) -> Answer {
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
