//! Backups, certificates and the configuration: for those who look after the machine.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::web::{self, ServiceConfig};
use strongroom_wire::problem::{Code, Problem};

use super::{log_level, status};
use crate::form::{Fields, Sent};
use crate::host::{Appliance, BackupsView, CertificateView, VERIFY_BACKUP};
use crate::own::done;
use crate::page;
use crate::pieces::{
    Card, Empty, Facts, Form, Html, Note, Table, Tone, badge, count, mono, plural, soft, tags, when,
};
use crate::reader::{Page, Reader, wait};
use crate::stop::{Stop, problem_note};
use crate::words;

type Answer = Result<HttpResponse, Stop>;

/// Who looks after the machine, for administrators of other domains.
pub(super) const NOT_OF_THIS_DOMAIN: &str =
    "The machine is looked after by the administrators of its first domain.";

pub(super) fn routes(services: &mut ServiceConfig) {
    page(
        services,
        "/backups",
        vec![web::get().to(backups), web::post().to(make_backup)],
    );
    page(services, "/certificates", vec![web::get().to(certificates)]);
    page(
        services,
        "/configuration",
        vec![web::get().to(configuration)],
    );
    page(
        services,
        "/configuration/log-level",
        vec![web::post().to(log_level::change)],
    );
}

/// Asks the machine, for those who look after it: the keystore says who they are.
pub(super) async fn asked<T: Send + 'static>(
    reader: &Reader,
    ask: impl FnOnce(&dyn Appliance) -> T + Send + 'static,
) -> Result<T, Stop> {
    let Some(appliance) = reader.visit.appliance.clone() else {
        return Err(Stop::new(
            &reader.frame,
            Code::NotPermitted,
            NOT_OF_THIS_DOMAIN,
        ));
    };
    reader
        .ask(strongroom_keystore::Keystore::may_see_machine)
        .await?;
    let answer = wait(move || Ok(ask(&*appliance))).await;
    answer.map_err(|problem| Stop::problem(&reader.frame, problem))
}

async fn backups(reader: Reader, _query: Fields) -> Answer {
    let view = asked(&reader, |appliance: &dyn Appliance| appliance.backups()).await?;
    Ok(backups_page(&reader, &view, None, None))
}

fn backups_page(
    reader: &Reader,
    view: &BackupsView,
    made: Option<&str>,
    refused: Option<&Problem>,
) -> HttpResponse {
    let mut page = Page::new(&reader.frame, "Backups").intro(
        "Everything but the HSM: encrypted, and of use only with the master KEK. Keep them on another machine.",
    );
    if let Some(problem) = refused {
        page = page.block(problem_note(problem, "").html());
    }
    if let Some(name) = made {
        page = page.block(
            Note::new(
                Tone::Good,
                "The backup is made",
                Html::join(" ", [Html::from("Its header was read back:"), mono(name)]),
            )
            .html(),
        );
    }
    let Some(folder) = &view.folder else {
        let empty = Empty::new(
            "No backups are scheduled",
            "Name a folder in the configuration, on another disk or machine, and restart: [backup] folder = \"/srv/backups\".",
        );
        return page
            .block(Card::new("").body(empty.html()).html())
            .answer_with(status(refused));
    };
    let facts = Facts::new()
        .with("Folder", mono(folder))
        .with(
            "One every",
            plural(view.every_hours.into(), "hour", "hours"),
        )
        .with("Kept", plural(view.keep.into(), "backup", "backups"))
        .with("To verify one", mono(VERIFY_BACKUP))
        .with(
            "Sent to",
            view.target.as_ref().map_or_else(
                || soft("Nowhere: copy the folder to another machine yourself"),
                |target| mono(target),
            ),
        );
    if let Some((since, why)) = &view.target_failing {
        let said = Html::all([
            "Since ".into(),
            when(*since),
            format!(": {why}. It is tried again by itself.").into(),
        ]);
        page = page.block(Note::new(Tone::Bad, "The target does not take backups", said).html());
    }
    let form = Form::new("/backups", &reader.frame.form_token, "Make a backup now").class("");
    page = page.block(
        Card::new("Schedule")
            .body(Html::all([
                facts.html(),
                Html::fixed(format!("<div class=\"after\">{}</div>", form.html())),
            ]))
            .html(),
    );
    let card = Card::new("Backups in the folder");
    let card = if let Some(failed) = &view.failed {
        card.body(Note::new(Tone::Bad, "The folder cannot be read", failed.as_str()).html())
    } else if view.made.is_empty() {
        card.body(
            Empty::new(
                "None yet",
                "The schedule makes the first one within minutes of the start.",
            )
            .html(),
        )
    } else {
        let rows = view.made.iter().map(|backup| {
            vec![
                mono(&backup.name),
                when(backup.created),
                size(backup.length).into(),
                backup
                    .leaves
                    .map_or_else(|| soft("Cannot be read"), |leaves| count(leaves).into()),
                match (backup.sent, &view.target) {
                    (Some(at), _) => when(at),
                    (None, Some(_)) => soft("Not yet"),
                    (None, None) => soft("Nowhere"),
                },
            ]
        });
        card.table(
            Table::new(
                "Backups",
                &["File", "Begun", "#Size", "#Records in its log", "Sent"],
            )
            .rows(rows),
        )
    };
    page.block(card.html()).answer_with(status(refused))
}

/// `12.3 MB`.
fn size(bytes: u64) -> String {
    let tenths = bytes / 100_000;
    if tenths < 10 {
        return format!("{} kB", bytes.div_ceil(1000));
    }
    format!("{}.{} MB", count(tenths / 10), tenths % 10)
}

async fn make_backup(reader: Reader, _sent: Sent) -> Answer {
    let Some(appliance): Option<Arc<dyn Appliance>> = reader.visit.appliance.clone() else {
        return Err(Stop::not_found(&reader.frame));
    };
    reader
        .ask(strongroom_keystore::Keystore::begin_backup)
        .await?;
    let made = wait(move || Ok(appliance.make_backup()))
        .await
        .map_err(|problem| Stop::problem(&reader.frame, problem))?;
    let view = asked(&reader, |appliance: &dyn Appliance| appliance.backups()).await?;
    Ok(match made {
        Ok(name) => backups_page(&reader, &view, Some(&name), None),
        Err(sentence) => {
            let problem = Problem::new(Code::Conflict, sentence);
            backups_page(&reader, &view, None, Some(&problem))
        }
    })
}

async fn certificates(reader: Reader) -> Answer {
    let certificates: Vec<CertificateView> = asked(&reader, |appliance: &dyn Appliance| {
        appliance.certificates()
    })
    .await?;
    let now = reader.presence.now;
    let mut page = Page::new(&reader.frame, "Certificates").intro(
        "What the appliance shows to those who connect, and whom it trusts. Put new files in their place and restart before the old ones lapse.",
    );
    if certificates.is_empty() {
        return Ok(page
            .block(
                Card::new("")
                    .body(
                        Empty::new(
                            "None can be read",
                            "Look at the paths under [tls] on the page Configuration.",
                        )
                        .html(),
                    )
                    .html(),
            )
            .answer());
    }
    for certificate in &certificates {
        let left = certificate
            .not_after
            .as_millis()
            .saturating_sub(now.as_millis())
            / 1000;
        let tone = match left {
            0 => Tone::Bad,
            left if left < 30 * 86_400 => Tone::Warn,
            _ => Tone::Good,
        };
        let state = if left == 0 {
            "Lapsed".to_owned()
        } else {
            format!("Holds for {} more", words::about(left))
        };
        let facts = Facts::new()
            .with("State", badge(tone, &state))
            .with("For", tags(&certificate.names))
            .with("Issued by", certificate.issuer.as_str())
            .with("From", when(certificate.not_before))
            .with("Until", when(certificate.not_after))
            .with("SHA-256", mono(&certificate.fingerprint))
            .with("File", mono(&certificate.file));
        page = page.block(
            Card::new(certificate.subject.as_str())
                .body(facts.html())
                .html(),
        );
    }
    Ok(page.answer())
}

async fn configuration(reader: Reader, query: Fields) -> Answer {
    let (tables, level) = asked(&reader, |appliance: &dyn Appliance| {
        (appliance.configuration(), appliance.log_level())
    })
    .await?;
    let mut page = Page::new(&reader.frame, "Configuration").intro(
        "As it was loaded when the appliance was started. It is changed in strongroom.toml at the machine; a restart brings it into force.",
    );
    if let Some(note) = done(&query) {
        page = page.block(note);
    }
    page = page.block(log_level::card(&reader, &level));
    for (table, settings) in tables {
        let rows = settings.iter().map(|(name, value)| {
            vec![
                mono(name),
                if value.is_empty() {
                    soft("not set")
                } else {
                    mono(value)
                },
            ]
        });
        page = page.block(
            Card::new(format!("[{table}]"))
                .table(Table::new(format!("Settings of {table}"), &["Setting", "Value"]).rows(rows))
                .html(),
        );
    }
    Ok(page.answer())
}
