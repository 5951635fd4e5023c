//! Directories that manage accounts by SCIM.

use actix_web::HttpResponse;
use actix_web::web::{self, ServiceConfig};
use strongroom_wire::directory::{AddDirectory, DirectoryWithToken, RenewToken};
use strongroom_wire::id::DirectoryId;
use strongroom_wire::policy::Network;
use strongroom_wire::problem::{Code, Problem};

use super::accounts::secret;
use super::status;
use crate::form::{Fields, Sent};
use crate::own::done;
use crate::own::policy::moment;
use crate::page;
use crate::pieces::{
    Card, Empty, Facts, Field, Form, Html, Table, button, count, list as bullets, slim_button,
    soft, tags, when, when_or,
};
use crate::reader::{Page, Reader};
use crate::show;
use crate::stop::{Stop, problem_note};

type Answer = Result<HttpResponse, Stop>;

pub(super) fn routes(services: &mut ServiceConfig) {
    page(services, "/directories", vec![web::get().to(list)]);
    page(
        services,
        "/directories/new",
        vec![web::get().to(show_new), web::post().to(add)],
    );
    page(
        services,
        "/directories/{directory}/token",
        vec![web::get().to(show_renew), web::post().to(renew)],
    );
    page(
        services,
        "/directories/{directory}/remove",
        vec![web::get().to(show_remove), web::post().to(remove)],
    );
}

async fn list(reader: Reader, query: Fields) -> Answer {
    let found = reader
        .ask(strongroom_keystore::Keystore::directories)
        .await?
        .directories;
    let mut page = Page::new(&reader.frame, "Directories")
        .intro("Your enterprise's directory makes, changes and suspends accounts here by SCIM 2.0. It opens none of their keys.")
        .acts(button("/directories/new", "Register a directory", "main"));
    if let Some(note) = done(&query) {
        page = page.block(note);
    }
    if found.is_empty() {
        let empty = Empty::new("No directory yet", "Register yours to get the token that it presents, and give it this appliance's address with /scim/v2.")
            .acts(button("/directories/new", "Register a directory", "main"));
        return Ok(page.block(Card::new("").body(empty.html()).html()).answer());
    }
    let rows = found.iter().map(|directory| {
        let networks = if directory.networks.is_empty() {
            soft("From anywhere")
        } else {
            tags(directory.networks.iter().map(ToString::to_string))
        };
        let acts = [
            slim_button(
                &format!("/directories/{}/token", directory.id),
                "New token",
                &directory.name,
                "",
            ),
            slim_button(
                &format!("/directories/{}/remove", directory.id),
                "Remove",
                &directory.name,
                "danger",
            ),
        ];
        vec![
            directory.name.as_str().into(),
            count(directory.users).into(),
            count(directory.groups).into(),
            networks,
            when_or(directory.expires, "Never"),
            Html::fixed(format!("<span class=\"acts\">{}</span>", Html::all(acts))),
        ]
    });
    let table = Table::new(
        "Directories",
        &[
            "Name",
            "#Users",
            "#Groups",
            "Token used from",
            "Token lapses",
            "",
        ],
    )
    .rows(rows);
    Ok(page.block(Card::new("").table(table).html()).answer())
}

async fn show_new(reader: Reader) -> Answer {
    reader
        .ask(strongroom_keystore::Keystore::directories)
        .await?;
    reader.require_policy_recent()?;
    Ok(new_page(&reader, None, None))
}

fn new_page(reader: &Reader, sent: Option<&Sent>, refused: Option<&Problem>) -> HttpResponse {
    let said = |name: &str| sent.map_or("", |sent| sent.one(name));
    let form = Form::new("/directories/new", &reader.frame.form_token, "Register it")
        .field(
            Field::text("name", "Name")
                .hint("Such as entra or okta; it stands in the audit log.")
                .value(said("name"))
                .required()
                .focus(),
        )
        .field(
            Field::moment("expires", "Token lapses (UTC)")
                .hint("Empty: never.")
                .value(said("expires")),
        )
        .field(
            Field::area("networks", "Token used from these networks only")
                .hint("One a line, such as 10.0.0.0/8; empty: from anywhere.")
                .value(said("networks")),
        )
        .back("/directories");
    let mut page =
        Page::new(&reader.frame, "Register a directory").under("/directories", "Directories");
    if let Some(problem) = refused {
        page = page.block(problem_note(problem, "/directories/new").html());
    }
    page.block(Card::new("").body(form.html()).html())
        .answer_with(status(refused))
}

fn read(sent: &Sent) -> Result<AddDirectory, Problem> {
    let networks: Vec<Network> = sent
        .one("networks")
        .split_whitespace()
        .map(|text| {
            text.parse().map_err(|_| {
                Problem::new(
                    Code::Invalid,
                    "A network is written as 10.0.0.0/8 or 2001:db8::/32, one a line.",
                )
            })
        })
        .collect::<Result<_, _>>()?;
    Ok(AddDirectory {
        name: sent.one("name").to_owned(),
        expires: expires(sent)?,
        networks,
    })
}

fn expires(sent: &Sent) -> Result<Option<strongroom_wire::encoding::Timestamp>, Problem> {
    match sent.some("expires") {
        None => Ok(None),
        Some(text) => moment(text).map(Some).ok_or_else(|| {
            Problem::new(
                Code::Invalid,
                "The time at which the token lapses is no day and time.",
            )
        }),
    }
}

async fn add(reader: Reader, sent: Sent) -> Answer {
    let answer = match read(&sent) {
        Ok(request) => {
            reader
                .attempt(move |keystore, caller| keystore.add_directory(caller, request))
                .await?
        }
        Err(problem) => Err(problem),
    };
    match answer {
        Ok(made) => Ok(token_page(&reader, &made, "The directory is registered")),
        Err(problem) => Ok(new_page(&reader, Some(&sent), Some(&problem))),
    }
}

fn token_page(reader: &Reader, made: &DirectoryWithToken, title: &str) -> HttpResponse {
    let facts = Facts::new()
        .with("Directory", made.directory.name.as_str())
        .with(
            "Address",
            "https://, this appliance's administration listener, /scim/v2",
        )
        .with_some("The token lapses", made.directory.expires.map(when));
    Page::new(&reader.frame, title)
        .under("/directories", "Directories")
        .intro("Give this token to the directory. It is shown this once.")
        .block(
            Card::new("Token")
                .body(Html::all([
                    secret("token", &made.token),
                    Html::fixed(format!("<div class=\"after\">{}</div>", facts.html())),
                ]))
                .html(),
        )
        .answer()
}

async fn name_of(reader: &Reader, id: DirectoryId) -> Result<String, Stop> {
    let found = reader
        .ask(strongroom_keystore::Keystore::directories)
        .await?
        .directories;
    let found = found.into_iter().find(|directory| directory.id == id);
    found
        .map(|directory| directory.name)
        .ok_or_else(|| Stop::not_found(&reader.frame))
}

async fn show_renew(reader: Reader, path: web::Path<DirectoryId>) -> Answer {
    let id = path.into_inner();
    let name = name_of(&reader, id).await?;
    reader.require_recent()?;
    Ok(renew_page(&reader, id, &name, None))
}

fn renew_page(
    reader: &Reader,
    id: DirectoryId,
    name: &str,
    refused: Option<&Problem>,
) -> HttpResponse {
    let to = format!("/directories/{id}/token");
    let heading = format!("New token for {name}");
    let form = Form::new(&to, &reader.frame.form_token, "Make a new token")
        .field(Field::moment("expires", "It lapses (UTC)").hint("Empty: never."))
        .back("/directories");
    let mut page = Page::new(&reader.frame, &heading).under("/directories", "Directories").intro("The token that it has is void at once: the directory can do nothing until it has the new one.");
    if let Some(problem) = refused {
        page = page.block(problem_note(problem, &to).html());
    }
    page.block(Card::new("").body(form.html()).html())
        .answer_with(status(refused))
}

async fn renew(reader: Reader, path: web::Path<DirectoryId>, sent: Sent) -> Answer {
    let id = path.into_inner();
    reader.require_recent_then(&format!("/directories/{id}/token"))?;
    let answer = match expires(&sent) {
        Ok(expires) => {
            reader
                .attempt(move |keystore, caller| {
                    keystore.renew_directory_token(caller, id, RenewToken { expires })
                })
                .await?
        }
        Err(problem) => Err(problem),
    };
    match answer {
        Ok(made) => Ok(token_page(&reader, &made, "The directory has a new token")),
        Err(problem) => {
            let name = name_of(&reader, id).await?;
            Ok(renew_page(&reader, id, &name, Some(&problem)))
        }
    }
}

async fn show_remove(reader: Reader, path: web::Path<DirectoryId>) -> Answer {
    let id = path.into_inner();
    let name = name_of(&reader, id).await?;
    reader.require_recent()?;
    Ok(remove_page(&reader, id, &name, None))
}

fn remove_page(
    reader: &Reader,
    id: DirectoryId,
    name: &str,
    refused: Option<&Problem>,
) -> HttpResponse {
    let to = format!("/directories/{id}/remove");
    let heading = format!("Remove {name}");
    let what = bullets([
        Html::from("Its token is void at once."),
        "The accounts and groups that it manages stay as they are, and are managed here from then on.".into(),
    ]);
    let form = Form::new(&to, &reader.frame.form_token, "Remove the directory")
        .danger()
        .back("/directories");
    let mut page = Page::new(&reader.frame, &heading).under("/directories", "Directories");
    if let Some(problem) = refused {
        page = page.block(problem_note(problem, &to).html());
    }
    let body = Html::all([
        what,
        Html::fixed(format!("<div class=\"after\">{}</div>", form.html())),
    ]);
    page.block(Card::new("What this changes").body(body).danger().html())
        .answer_with(status(refused))
}

async fn remove(reader: Reader, path: web::Path<DirectoryId>, _sent: Sent) -> Answer {
    let id = path.into_inner();
    reader.require_recent_then(&format!("/directories/{id}/remove"))?;
    match reader
        .attempt(move |keystore, caller| keystore.remove_directory(caller, id))
        .await?
    {
        Ok(done) => Ok(show::go(&format!(
            "/directories?done=directory&leaf={}",
            done.leaf
        ))),
        Err(problem) => {
            let name = name_of(&reader, id).await?;
            Ok(remove_page(&reader, id, &name, Some(&problem)))
        }
    }
}
