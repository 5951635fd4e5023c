//! The dashboard: whether the appliance works, what is done with it, and what is getting old.

mod standing;

use actix_web::HttpResponse;
use strongroom_keystore::{Figures, HourCounts};
use strongroom_wire::account::Role;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::health::{Health, State, Status};
use strongroom_wire::problem::Code;

use crate::chart::Chart;
use crate::form::Fields;
use crate::host::{BackupsView, CertificateView, HsmView, Minute, WatchView};
use crate::pieces::{
    Card, Empty, Facts, Html, Note, Tile, Tiles, Tone, badge, button, count, link, plural, soft,
    when,
};
use crate::reader::{Page, Reader};
use crate::stop::Stop;
use crate::words;

type Answer = Result<HttpResponse, Stop>;

/// Days before a certificate lapses in which it is warned of.
const SOON: u64 = 30;
const DAY: u64 = 86_400_000;

/// What the machine says of itself.
struct Machine {
    health: Health,
    hsms: Vec<HsmView>,
    minutes: Vec<Minute>,
    certificates: Vec<CertificateView>,
    backups: BackupsView,
    watched: Option<WatchView>,
}

pub(super) async fn show(reader: Reader, query: Fields) -> Answer {
    let hours = match query.one("span") {
        "week" => 7 * 24,
        "fortnight" => 14 * 24,
        _ => 48,
    };
    let figures = reader
        .attempt(move |keystore, caller| keystore.figures(caller, hours))
        .await?;
    let figures = match figures {
        Ok(figures) => figures,
        // Those for whom there are cases have those in place of the dashboard.
        Err(problem)
            if problem.code == Code::NotPermitted && crate::cases::are_for(&reader.frame) =>
        {
            return Ok(crate::show::go("/cases"));
        }
        Err(problem) if problem.code == Code::NotPermitted => return Ok(elsewhere(&reader)),
        Err(problem) => return Err(Stop::problem(&reader.frame, problem)),
    };
    let machine = machine(&reader).await?;
    let mut page = Page::new(&reader.frame, "Overview")
        .intro("Whether the appliance works, what is done with it, and what needs somebody.");
    page = page.blocks(warnings(&figures, machine.as_ref()));
    page = page.block(tiles(&figures, machine.as_ref()));
    let spans = Html::all([
        button(
            "/overview",
            "2 days",
            if hours == 48 { "slim main" } else { "slim" },
        ),
        button(
            "/overview?span=week",
            "1 week",
            if hours == 168 { "slim main" } else { "slim" },
        ),
        button(
            "/overview?span=fortnight",
            "2 weeks",
            if hours == 336 { "slim main" } else { "slim" },
        ),
    ]);
    page = page
        .block(
            Card::new("Keys: releases and creations")
                .intro("How often keys went to clients, were used by the appliance, and came to be, an hour each.")
                .acts(spans)
                .body(activity(&figures))
                .html(),
        )
        .block(
            Card::new("Sign-ins and refusals")
                .intro("Refused attempts leave records, too. A burst of them deserves a look into the log.")
                .body(refusals(&figures))
                .html(),
        );
    let watched = machine
        .as_ref()
        .and_then(|machine| machine.watched.as_ref());
    page = page.block(standing::checkpoints(&figures, watched));
    if keeps(&reader) {
        let rotation = reader
            .ask(strongroom_keystore::Keystore::rotation_status)
            .await?;
        page = page.block(standing::rotation(&rotation));
    }
    if let Some(machine) = &machine {
        page = page.block(match &machine.watched {
            Some(watched) => standing::scrub(&watched.scrub, figures.now),
            None => standing::unknown(),
        });
        page = page.blocks(machine.watched.as_ref().and_then(standing::receivers));
        page = page.block(latency(&machine.minutes));
        page = page.block(ages(machine, figures.now));
    }
    Ok(page.answer())
}

/// For those whose roles have nothing here.
fn elsewhere(reader: &Reader) -> HttpResponse {
    let empty = Empty::new(
        "There is nothing for you here",
        "This listener is for administrators, security officers and auditors. Your keys are on the appliance's client listener.",
    );
    Page::new(&reader.frame, "Administration")
        .block(Card::new("").body(empty.html()).html())
        .answer()
}

fn keeps(reader: &Reader) -> bool {
    reader.frame.has(Role::Administrator) || reader.frame.has(Role::SecurityOfficer)
}

/// What the machine says, for those who look after it.
async fn machine(reader: &Reader) -> Result<Option<Machine>, Stop> {
    let keeps = keeps(reader);
    let Some(appliance) = reader.visit.appliance.clone().filter(|_| keeps) else {
        return Ok(None);
    };
    let asked = reader
        .ask(move |keystore, caller| {
            keystore.may_see_machine(caller)?;
            Ok(Machine {
                health: appliance.health(),
                hsms: appliance.hsms(),
                minutes: appliance.minutes(),
                certificates: appliance.certificates(),
                backups: appliance.backups(),
                watched: appliance.watched(),
            })
        })
        .await?;
    Ok(Some(asked))
}

fn warnings(figures: &Figures, machine: Option<&Machine>) -> Vec<Html> {
    let mut warnings = Vec::new();
    let mut warn = |tone: Tone, title: &str, body: Html, to: Option<(&str, &str)>| {
        let mut note = Note::new(tone, title, body);
        if let Some((to, text)) = to {
            note = note.acts(button(to, text, "slim"));
        }
        warnings.push(note.html());
    };
    if figures.statistics.rotation_damage > 0 {
        warn(
            Tone::Bad,
            "Records do not match their seals",
            format!("{} keep a rotation from ending. Somebody may have changed the database: see the audit log.", plural(figures.statistics.rotation_damage, "record", "records")).into(),
            Some(("/master-key", "See the rotation")),
        );
    }
    let Some(machine) = machine else {
        return warnings;
    };
    let watched = machine.watched.as_ref();
    if let Some(findings) = watched
        .map(|watched| watched.scrub.findings)
        .filter(|findings| *findings > 0)
    {
        warn(
            Tone::Bad,
            "The scrub found rows that do not follow from the log",
            format!("{}. Somebody may have changed the database: the card Scrub below names the first, the audit log all.", plural(findings, "row", "rows")).into(),
            None,
        );
    }
    for witness in watched.map_or(&[][..], |watched| &watched.witnesses) {
        if let Some((since, reason)) = &witness.failing {
            warn(
                Tone::Warn,
                &format!("The witness {} does not cosign", witness.name),
                Html::join(" ", [Html::from(format!("{reason}, since")), when(*since)]),
                None,
            );
        }
    }
    if machine.health.hsm == Status::Failing {
        warn(Tone::Bad, "No HSM answers", "What needs the HSM fails until it comes back: keys of accounts that were not used lately, checkpoints, new accounts.".into(), Some(("/hsm", "See the HSM")));
    } else if machine
        .hsms
        .iter()
        .any(|hsm| hsm.state.as_ref().is_some_and(|state| !state.usable))
    {
        warn(
            Tone::Warn,
            "One of the HSMs does not answer",
            "The other one serves.".into(),
            Some(("/hsm", "See the HSMs")),
        );
    }
    if machine.health.storage == Status::Failing {
        warn(
            Tone::Bad,
            "The database takes no writes",
            "Look at the machine's disk: it may be full or broken.".into(),
            None,
        );
    }
    for certificate in &machine.certificates {
        let left = certificate
            .not_after
            .as_millis()
            .saturating_sub(figures.now.as_millis())
            / DAY;
        if left < SOON {
            warn(
                Tone::Warn,
                "A certificate lapses soon",
                format!(
                    "{} holds for {} more.",
                    certificate.subject,
                    plural(left, "day", "days")
                )
                .into(),
                Some(("/certificates", "See the certificates")),
            );
        }
    }
    if let Some((title, body)) = backups_warning(figures, machine) {
        warn(Tone::Warn, title, body, Some(("/backups", "See backups")));
    }
    warnings
}

/// What is wrong with the backups, if something is.
fn backups_warning(figures: &Figures, machine: &Machine) -> Option<(&'static str, Html)> {
    let backups = &machine.backups;
    match (&backups.folder, backups.made.first()) {
        (None, _) => Some((
            "No backups are scheduled",
            "Name a folder for them in the configuration: backup.folder.".into(),
        )),
        (Some(_), None) => Some((
            "No backup has been made yet",
            "The first one is made within minutes of the start, or by hand.".into(),
        )),
        (Some(_), Some(newest)) => {
            let age = figures
                .now
                .as_millis()
                .saturating_sub(newest.created.as_millis())
                / 3_600_000;
            let is_old = age > u64::from(backups.every_hours) * 2;
            is_old.then(|| {
                let body = format!(
                    "It is {} old, and one is due every {}.",
                    words::about(age * 3600),
                    plural(backups.every_hours.into(), "hour", "hours")
                );
                ("The newest backup is old", body.into())
            })
        }
    }
}

fn tiles(figures: &Figures, machine: Option<&Machine>) -> Html {
    let statistics = &figures.statistics;
    let mut tiles = Vec::new();
    let works = |good: bool, what: &str| badge(if good { Tone::Good } else { Tone::Bad }, what);
    if let Some(machine) = machine {
        tiles.push(Tile {
            what: "Appliance",
            much: match machine.health.state {
                State::Serving => badge(Tone::Good, "Serving"),
                State::Opening => badge(Tone::Warn, "Opening"),
                State::Sealed => badge(Tone::Bad, "Sealed"),
            },
            more: format!("Version {}", machine.health.version).into(),
        });
        tiles.push(Tile {
            what: "Parts",
            much: Html::join(
                " ",
                [
                    works(machine.health.hsm == Status::Ok, "HSM"),
                    works(machine.health.storage == Status::Ok, "Database"),
                ],
            ),
            more: if machine.health.hsm == Status::Ok && machine.health.storage == Status::Ok {
                "Both work".into()
            } else {
                link("/hsm", "Something fails")
            },
        });
    }
    let covered = figures.checkpoint.map_or(0, |checkpoint| checkpoint.size);
    let open = statistics.tree_size.saturating_sub(covered);
    tiles.push(Tile {
        what: "Records in the log",
        much: count(statistics.tree_size).into(),
        more: if open == 0 {
            "All under a signed checkpoint".into()
        } else {
            format!("{} not under a checkpoint yet", count(open)).into()
        },
    });
    let left = statistics.rewraps_left + statistics.reseals_left;
    tiles.push(Tile {
        what: "Rotation",
        much: if left == 0 {
            badge(Tone::Good, "None under way")
        } else {
            count(left).into()
        },
        more: if left == 0 {
            "Nothing is left to move".into()
        } else {
            "values still to be moved".into()
        },
    });
    tiles.push(Tile {
        what: "Acts in the queue",
        much: count(statistics.queued_acts).into(),
        more: format!("{} account KEKs in memory", count(statistics.cached_keks)).into(),
    });
    Tiles(tiles).html()
}

/// Which number of an hour a line of a chart shows.
type Counted = fn(&HourCounts) -> u64;

fn chart<'a>(figures: &Figures, about: &'a str, series: Vec<(&'a str, Counted)>) -> Html {
    Chart {
        about,
        moments: figures.hours.iter().map(|(hour, _)| *hour).collect(),
        series: series
            .into_iter()
            .map(|(name, of)| {
                (
                    name,
                    figures.hours.iter().map(|(_, counts)| of(counts)).collect(),
                )
            })
            .collect(),
        unit: "",
    }
    .html()
}

fn activity(figures: &Figures) -> Html {
    chart(
        figures,
        "Releases, uses and creations of keys, an hour each",
        vec![
            ("Releases", |counts| counts.released),
            ("Uses by the appliance", |counts| counts.used),
            ("New keys", |counts| counts.created),
        ],
    )
}

fn refusals(figures: &Figures) -> Html {
    chart(
        figures,
        "Sign-ins, refused sign-ins and other refusals, an hour each",
        vec![
            ("Sign-ins", |counts| counts.sign_ins),
            ("Refused sign-ins", |counts| counts.refused_sign_ins),
            ("Other refusals", |counts| counts.refused),
        ],
    )
}

fn latency(minutes: &[Minute]) -> Html {
    let card = Card::new("Latency and queue").intro("By when 95 of 100 requests were answered, and how many acts waited for the database, a minute each, since the start or for the last three hours.");
    if minutes.len() < 2 {
        let empty = Empty::new(
            "Not yet",
            "The first figures are there two minutes after the start.",
        );
        return card.body(empty.html()).html();
    }
    let moments: Vec<Timestamp> = minutes.iter().map(|minute| minute.at).collect();
    let took = Chart {
        about: "Milliseconds by which 95 of 100 requests were answered, and acts that waited, a minute each",
        moments,
        series: vec![
            (
                "95 of 100 answered within (ms)",
                minutes
                    .iter()
                    .map(|minute| minute.most_took.div_ceil(1000))
                    .collect(),
            ),
            (
                "Acts waiting",
                minutes.iter().map(|minute| minute.queued).collect(),
            ),
        ],
        unit: "",
    };
    card.body(took.html()).html()
}

fn ages(machine: &Machine, now: Timestamp) -> Html {
    let mut facts = Facts::new();
    for certificate in &machine.certificates {
        let left = certificate
            .not_after
            .as_millis()
            .saturating_sub(now.as_millis())
            / 1000;
        facts = facts.with(
            &format!("Certificate {}", certificate.subject),
            Html::join(
                " ",
                [
                    Html::from(format!("holds for {} more, until", words::about(left))),
                    when(certificate.not_after),
                ],
            ),
        );
    }
    let backup = match (&machine.backups.folder, machine.backups.made.first()) {
        (None, _) => soft("None are scheduled"),
        (_, None) => soft("None yet"),
        (_, Some(newest)) => {
            let age = now.as_millis().saturating_sub(newest.created.as_millis()) / 1000;
            Html::join(
                " ",
                [
                    Html::from(format!("{} ago,", words::about(age))),
                    when(newest.created),
                ],
            )
        }
    };
    facts = facts.with("Newest backup", backup);
    Card::new("Ages").body(facts.html()).html()
}
