//! Roles and their conflicts; the domain's policy.

use actix_web::HttpResponse;
use actix_web::web::{self, ServiceConfig};
use strongroom_keystore::{role_conflicts, role_powers};
use strongroom_wire::account::Role;
use strongroom_wire::invitation::AccountPolicy;
use strongroom_wire::policy::DomainPolicy;
use strongroom_wire::problem::{Code, Problem};

use super::status;
use crate::form::{Fields, Sent};
use crate::own::{done, policy};
use crate::page;
use crate::pieces::{
    Card, Choice, Field, Form, Html, Table, Tone, badge, button, list as bullets, soft,
};
use crate::reader::{Page, Reader};
use crate::show;
use crate::stop::{Stop, problem_note};
use crate::words;

type Answer = Result<HttpResponse, Stop>;

pub(super) fn routes(services: &mut ServiceConfig) {
    page(services, "/roles", vec![web::get().to(roles)]);
    page(services, "/policy", vec![web::get().to(show)]);
    page(
        services,
        "/policy/change",
        vec![web::get().to(show_change), web::post().to(change)],
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

async fn policy_of(reader: &Reader) -> Result<DomainPolicy, Stop> {
    reader
        .ask(|keystore, caller| {
            keystore.may_see_machine(caller)?;
            keystore.domain_policy(caller)
        })
        .await
}

async fn show(reader: Reader, query: Fields) -> Answer {
    let domain = policy_of(&reader).await?;
    let mut page = Page::new(&reader.frame, "Domain policy")
        .intro("What holds for every key, session and account of this domain, whatever their owners say.")
        .acts(button("/policy/change", "Change the policy", "main"));
    if let Some(note) = done(&query) {
        page = page.block(note);
    }
    let usage = words::policy(&domain.usage);
    let usage = if usage.is_empty() {
        soft("No limits: each key's owner decides.")
    } else {
        bullets(usage.into_iter().map(Html::from))
    };
    let sessions = [
        if domain.bind_sessions_to_address {
            "A session is refused when it is used from another address than the one from which it was opened."
        } else {
            "A session may be used from any address."
        }
        .to_owned(),
        if domain.step_up_within == 0 {
            "Sharing, destroying and changing policies need no fresh sign-in at the interface; these pages ask for one before what cannot be undone.".to_owned()
        } else {
            format!("Sharing, destroying and changing policies need a sign-in within the last {}.", words::span(domain.step_up_within.into()))
        },
    ];
    let accounts = &domain.accounts;
    let who = |patterns: &[String]| {
        if patterns.is_empty() {
            "nobody".to_owned()
        } else {
            words::listed(patterns, "and")
        }
    };
    let people = [
        format!(
            "A recovery takes effect after {}.",
            words::span(accounts.recovery_delay.into())
        ),
        format!("Who may invite: {}.", who(&accounts.inviters)),
        format!("Who may be invited: {}.", who(&accounts.invitees)),
        format!(
            "At most {} in 24 hours by one account.",
            crate::pieces::plural(
                accounts.invitations_per_day.into(),
                "invitation",
                "invitations"
            )
        ),
        format!(
            "An invitation's code lapses after {}.",
            words::span(accounts.invitation_lifetime.into())
        ),
    ];
    Ok(page
        .block(Card::new("Use of every key").body(usage).html())
        .block(
            Card::new("Sessions")
                .body(bullets(sessions.into_iter().map(Html::from)))
                .html(),
        )
        .block(
            Card::new("Accounts")
                .body(bullets(people.into_iter().map(Html::from)))
                .html(),
        )
        .answer())
}

async fn show_change(reader: Reader) -> Answer {
    let domain = policy_of(&reader).await?;
    reader.require_recent()?;
    let accounts = &domain.accounts;
    let fields = policy::fields(&domain.usage);
    let said = Said {
        bind: domain.bind_sessions_to_address,
        step_up_within: domain.step_up_within.to_string(),
        recovery_delay: accounts.recovery_delay.to_string(),
        inviters: accounts.inviters.join("\n"),
        invitees: accounts.invitees.join("\n"),
        per_day: accounts.invitations_per_day.to_string(),
        lifetime: accounts.invitation_lifetime.to_string(),
    };
    Ok(change_page(&reader, &fields, &said, None))
}

struct Said {
    bind: bool,
    step_up_within: String,
    recovery_delay: String,
    inviters: String,
    invitees: String,
    per_day: String,
    lifetime: String,
}

fn change_page(
    reader: &Reader,
    usage: &[Field],
    said: &Said,
    refused: Option<&Problem>,
) -> HttpResponse {
    let mut form =
        Form::new("/policy/change", &reader.frame.form_token, "Set the policy").back("/policy");
    form = form.piece(Html::fixed("<h2>Use of every key</h2>".to_owned()));
    for piece in policy::pieces(usage) {
        form = form.piece(piece);
    }
    let form = form
        .piece(Html::fixed("<h2>Sessions</h2>".to_owned()))
        .field(Field::checks(
            "bind",
            "Address",
            vec![
                Choice::new(
                    "yes",
                    "Refuse a session that is used from another address",
                    said.bind,
                )
                .hint("Devices that move change their address."),
            ],
        ))
        .field(
            Field::number("step_up_within", "A fresh sign-in, in seconds")
                .hint("For sharing, destroying and policies; 0: at any time in the session.")
                .value(said.step_up_within.as_str()),
        )
        .piece(Html::fixed("<h2>Accounts</h2>".to_owned()))
        .field(
            Field::number(
                "recovery_delay",
                "A recovery takes effect after, in seconds",
            )
            .value(said.recovery_delay.as_str()),
        )
        .field(
            Field::area("inviters", "Who may invite")
                .hint("Patterns of names, one a line, such as *@example.com; empty: nobody.")
                .value(said.inviters.as_str()),
        )
        .field(
            Field::area("invitees", "Who may be invited")
                .hint("Patterns of addresses, one a line; empty: nobody.")
                .value(said.invitees.as_str()),
        )
        .field(
            Field::number("per_day", "Invitations by one account in 24 hours")
                .value(said.per_day.as_str()),
        )
        .field(
            Field::number("lifetime", "An invitation's code lapses after, in seconds")
                .value(said.lifetime.as_str()),
        );
    let mut page = Page::new(&reader.frame, "Change the domain policy")
        .under("/policy", "Domain policy")
        .intro("It holds at once, for every key and every account. Where it is stricter than an owner's policy, it wins. \
             Approvals of cases, acts that take several people, and witnesses are set at the command line and stay as they are.");
    if let Some(problem) = refused {
        page = page.block(problem_note(problem, "/policy/change").html());
    }
    page.block(Card::new("").body(form.html()).html())
        .answer_with(status(refused))
}

/// The policy that the form asks for. What it has no field for stays as it is.
fn read(sent: &Sent, present: DomainPolicy) -> Result<DomainPolicy, Problem> {
    let number = |name: &str, what: &str| {
        sent.one(name).parse::<u32>().map_err(|_| {
            Problem::new(
                Code::Invalid,
                format!("“{what}” is no number of seconds, or none that is possible."),
            )
        })
    };
    let patterns = |name: &str| {
        sent.one(name)
            .split_whitespace()
            .map(str::to_owned)
            .collect()
    };
    Ok(DomainPolicy {
        usage: policy::read(sent)?,
        bind_sessions_to_address: sent.has("bind", "yes"),
        step_up_within: number("step_up_within", "A fresh sign-in")?,
        accounts: AccountPolicy {
            recovery_delay: number("recovery_delay", "A recovery takes effect after")?,
            inviters: patterns("inviters"),
            invitees: patterns("invitees"),
            invitations_per_day: number("per_day", "Invitations by one account")?,
            invitation_lifetime: number("lifetime", "An invitation's code lapses after")?,
        },
        ..present
    })
}

async fn change(reader: Reader, sent: Sent) -> Answer {
    reader.require_recent_then("/policy/change")?;
    let answer = match read(&sent, policy_of(&reader).await?) {
        Ok(request) => {
            reader
                .attempt(move |keystore, caller| keystore.set_domain_policy(caller, request))
                .await?
        }
        Err(problem) => Err(problem),
    };
    match answer {
        Ok(changed) => Ok(show::go(&format!(
            "/policy?done=policy&leaf={}",
            changed.leaf
        ))),
        Err(problem) => {
            let text = |name: &str| sent.one(name).to_owned();
            let said = Said {
                bind: sent.has("bind", "yes"),
                step_up_within: text("step_up_within"),
                recovery_delay: text("recovery_delay"),
                inviters: text("inviters"),
                invitees: text("invitees"),
                per_day: text("per_day"),
                lifetime: text("lifetime"),
            };
            Ok(change_page(
                &reader,
                &policy::sent_fields(&sent),
                &said,
                Some(&problem),
            ))
        }
    }
}
