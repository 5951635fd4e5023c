//! Roles and their conflicts; the domain's policy.
//!
//! | module | what lives there |
//! |---|---|
//! | `policy` | the policy in sentences |
//! | `change` | the form that changes it, and what it will change, said first |
//! | `quorums` | rules about acts that take several people |

mod change;
mod policy;
mod quorums;

use actix_web::HttpResponse;
use actix_web::web::{self, ServiceConfig};
use strongroom_keystore::{role_conflicts, role_powers};
use strongroom_wire::account::Role;

use crate::page;
use crate::pieces::{Card, Html, Table, Tone, badge, list as bullets, soft};
use crate::reader::{Page, Reader};
use crate::stop::Stop;
use crate::words;

type Answer = Result<HttpResponse, Stop>;

pub(super) fn routes(services: &mut ServiceConfig) {
    page(services, "/roles", vec![web::get().to(roles)]);
    page(services, "/policy", vec![web::get().to(policy::show)]);
    page(
        services,
        "/policy/change",
        vec![web::get().to(change::show), web::post().to(change::change)],
    );
}

async fn roles(reader: Reader) -> Answer {
    // Whoever is signed in here may know it: the documentation says the same.
    let powers = role_powers().into_iter().map(|(role, powers)| {
        let mine = if reader.frame.has(role) {
            badge(Tone::Good, "Yours")
        } else {
            Html::default()
        };
        vec![
            words::role(role).into(),
            bullets(powers.iter().map(|power| Html::from(*power))),
            mine,
        ]
    });
    let conflicts = role_conflicts();
    let reason = |one: Role, other: Role| {
        conflicts
            .iter()
            .find(|(a, b, _)| (*a, *b) == (one, other) || (*b, *a) == (one, other))
            .map(|(.., reason)| *reason)
    };
    let mut columns = vec!["Role"];
    columns.extend(Role::ALL.map(words::role));
    let rows = Role::ALL.map(|one| {
        let mut cells = vec![Html::from(words::role(one))];
        cells.extend(Role::ALL.map(|other| {
            if one == other {
                return soft("·");
            }
            match reason(one, other) {
                Some(_) => badge(Tone::Bad, "No"),
                None => badge(Tone::Good, "Yes"),
            }
        }));
        cells
    });
    let mut reasons: Vec<(&str, Vec<String>)> = Vec::new();
    for (one, other, reason) in &conflicts {
        let pair = format!(
            "{} and {}",
            words::role(*one),
            words::role(*other).to_lowercase()
        );
        match reasons.iter_mut().find(|(known, _)| known == reason) {
            Some((_, pairs)) => pairs.push(pair),
            None => reasons.push((reason, vec![pair])),
        }
    }
    let why = reasons
        .into_iter()
        .map(|(reason, pairs)| vec![Html::from(reason), Html::from(pairs.join("; "))]);
    Ok(Page::new(&reader.frame, "Roles")
        .intro("What each role may do beyond its holder's own keys, and which roles nobody has together. No role opens anybody's keys.")
        .block(Card::new("What each may do").table(Table::new("What each role may do", &["Role", "May", "You"]).rows(powers)).html())
        .block(Card::new("Which one account may have together").table(Table::new("Roles together", &columns).rows(rows)).html())
        .block(Card::new("Why").table(Table::new("Why roles exclude each other", &["Because", "Not together"]).rows(why)).html())
        .answer())
}
