//! The reader's groups, and who is in them.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use strongroom_wire::account::{AddMember, GroupMember, Membership};
use strongroom_wire::id::AccountId;
use strongroom_wire::problem::{Code, Problem};

use crate::form::{Fields, Sent};
use crate::own::done;
use crate::pieces::{
    Card, Choice, Empty, Field, Form, Html, Table, button, count, link, list as bullets,
    slim_button, tag,
};
use crate::reader::{Page, Reader};
use crate::show;
use crate::stop::{Stop, problem_note};

type Answer = Result<HttpResponse, Stop>;

const fn membership(membership: Membership) -> &'static str {
    match membership {
        Membership::Member => "Member",
        Membership::Manager => "Manager",
    }
}

pub(super) async fn list(reader: Reader) -> Answer {
    let groups = reader
        .ask(strongroom_keystore::Keystore::own_groups)
        .await?;
    let page = Page::new(&reader.frame, "Groups")
        .intro("What is shared with a group, all of its members can open. Managers add and remove members.");
    if groups.is_empty() {
        let empty = Empty::new(
            "You are in no group",
            "An administrator makes groups and names who manages them. Ask the manager of a group to add you.",
        );
        return Ok(page.block(Card::new("").body(empty.html()).html()).answer());
    }
    let rows = groups.iter().map(|group| {
        vec![
            link(&format!("/groups/{}", group.group), &group.name),
            tag(membership(group.membership)),
            count(group.members).into(),
        ]
    });
    let table = Table::new("My groups", &["Group", "You are", "#Members"]).rows(rows);
    Ok(page.block(Card::new("").table(table).html()).answer())
}

/// A group's name and members, and whether the reader manages it.
async fn group_of(
    reader: &Reader,
    group: AccountId,
) -> Result<(String, Vec<GroupMember>, bool), Stop> {
    let me = reader.presence.account.id;
    reader
        .ask(move |keystore, caller| {
            let members = keystore.group_members(caller, group)?.members;
            let groups = keystore.own_groups(caller)?;
            let name = groups.into_iter().find(|own| own.group == group);
            let name = name.map_or_else(|| group.to_string(), |own| own.name);
            let manages = members
                .iter()
                .any(|member| member.account == me && member.membership == Membership::Manager);
            Ok((name, members, manages))
        })
        .await
}

pub(super) async fn show(reader: Reader, path: web::Path<AccountId>, query: Fields) -> Answer {
    let group = path.into_inner();
    let (name, members, manages) = group_of(&reader, group).await?;
    let mut page = Page::new(&reader.frame, &name)
        .under("/groups", "Groups")
        .intro(if manages {
            "You manage this group: you add and remove its members."
        } else {
            "You are a member of this group."
        });
    if manages {
        page = page.acts(button(
            &format!("/groups/{group}/add"),
            "Add a member",
            "main",
        ));
    }
    if let Some(note) = done(&query) {
        page = page.block(note);
    }
    let rows = members.iter().map(|member| {
        let act = if manages && member.account != reader.presence.account.id {
            slim_button(
                &format!("/groups/{group}/remove/{}", member.account),
                "Remove",
                &member.name,
                "danger",
            )
        } else {
            Html::default()
        };
        vec![
            member.name.as_str().into(),
            tag(membership(member.membership)),
            act,
        ]
    });
    let table = Table::new("Members", &["Member", "As", ""]).rows(rows);
    Ok(page
        .block(Card::new("Members").table(table).html())
        .answer())
}

pub(super) async fn show_add(reader: Reader, path: web::Path<AccountId>) -> Answer {
    let group = path.into_inner();
    let (name, ..) = group_of(&reader, group).await?;
    reader.require_policy_recent()?;
    Ok(add_page(&reader, group, &name, None, None))
}

fn add_page(
    reader: &Reader,
    group: AccountId,
    name: &str,
    sent: Option<&Sent>,
    refused: Option<&Problem>,
) -> HttpResponse {
    let to = format!("/groups/{group}/add");
    let back = format!("/groups/{group}");
    let manager = sent.is_some_and(|sent| sent.one("as") == "manager");
    let form = Form::new(&to, &reader.frame.form_token, "Add the member")
        .field(
            Field::text("account", "Name")
                .hint("A person, a device or a service of this appliance.")
                .value(sent.map_or("", |sent| sent.one("account")))
                .wrong(
                    refused
                        .filter(|problem| problem.code == Code::AccountNotFound)
                        .map(|problem| problem.detail.as_str()),
                )
                .required()
                .focus(),
        )
        .field(Field::radios(
            "as",
            "As",
            vec![
                Choice::new("member", "Member", !manager).hint("Uses the group's keys."),
                Choice::new("manager", "Manager", manager).hint("Also adds and removes members."),
            ],
        ))
        .back(&back);
    let mut page = Page::new(&reader.frame, "Add a member")
        .under("/groups", "Groups")
        .under(back.as_str(), name)
        .intro(
            "They can open everything that is shared with the group, also what was shared before.",
        );
    if let Some(problem) = refused.filter(|problem| problem.code != Code::AccountNotFound) {
        page = page.block(problem_note(problem, &to).html());
    }
    page.block(Card::new("").body(form.html()).html())
        .answer_with(status(refused))
}

pub(super) async fn add(reader: Reader, path: web::Path<AccountId>, sent: Sent) -> Answer {
    let group = path.into_inner();
    let request = AddMember {
        account: sent.one("account").to_owned(),
        membership: if sent.one("as") == "manager" {
            Membership::Manager
        } else {
            Membership::Member
        },
    };
    match reader
        .attempt(move |keystore, caller| keystore.add_member(caller, group, request))
        .await?
    {
        Ok(done) => Ok(show::go(&format!(
            "/groups/{group}?done=member-added&leaf={}",
            done.leaf
        ))),
        Err(problem) => {
            let (name, ..) = group_of(&reader, group).await?;
            Ok(add_page(&reader, group, &name, Some(&sent), Some(&problem)))
        }
    }
}

pub(super) async fn show_remove(reader: Reader, path: web::Path<(AccountId, AccountId)>) -> Answer {
    let (group, member) = path.into_inner();
    remove_page(&reader, group, member, None).await
}

async fn remove_page(
    reader: &Reader,
    group: AccountId,
    member: AccountId,
    refused: Option<&Problem>,
) -> Answer {
    let (name, members, _) = group_of(reader, group).await?;
    let Some(known) = members.iter().find(|known| known.account == member) else {
        return Err(Stop::not_found(&reader.frame));
    };
    let to = format!("/groups/{group}/remove/{member}");
    let back = format!("/groups/{group}");
    let what = bullets([
        Html::from(format!("{} can open nothing any more that is shared with {name}.", known.name)),
        "The group's own key gets a new version, so that what they may have kept of the old one opens nothing new.".into(),
        "Keys that they received before, they may have kept.".into(),
    ]);
    let form = Form::new(&to, &reader.frame.form_token, "Remove the member")
        .danger()
        .back(&back);
    let heading = format!("Remove {}", known.name);
    let mut page = Page::new(&reader.frame, &heading)
        .under("/groups", "Groups")
        .under(back.as_str(), name.as_str());
    if let Some(problem) = refused {
        page = page.block(problem_note(problem, &to).html());
    }
    let body = Html::all([
        what,
        Html::fixed(format!("<div class=\"after\">{}</div>", form.html())),
    ]);
    Ok(page
        .block(Card::new("What this changes").body(body).html())
        .answer_with(status(refused)))
}

pub(super) async fn remove(
    reader: Reader,
    path: web::Path<(AccountId, AccountId)>,
    _sent: Sent,
) -> Answer {
    let (group, member) = path.into_inner();
    match reader
        .attempt(move |keystore, caller| keystore.remove_member(caller, group, member))
        .await?
    {
        Ok(done) => Ok(show::go(&format!(
            "/groups/{group}?done=member-removed&leaf={}",
            done.leaf
        ))),
        Err(problem) => remove_page(&reader, group, member, Some(&problem)).await,
    }
}

fn status(refused: Option<&Problem>) -> StatusCode {
    refused.map_or(StatusCode::OK, |problem| {
        StatusCode::from_u16(problem.status).unwrap_or_default()
    })
}
