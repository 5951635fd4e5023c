//! Updates of the image: what runs, what is staged and installed, what came of the last; installing, restarting, dropping.

use actix_web::HttpResponse;
use actix_web::web::{self, ServiceConfig};
use strongroom_wire::problem::{Code, Problem};
use strongroom_wire::update::{ApplianceRelease, TrialOutcome};

use super::machine::{NOT_OF_THIS_DOMAIN, asked};
use super::status;
use crate::form::{Fields, Sent};
use crate::host::Appliance;
use crate::own::done;
use crate::page;
use crate::pieces::{
    Card, Empty, Facts, Form, Html, Note, Tone, badge, button, count, list as bullets, mono, when,
};
use crate::reader::{Page, Reader};
use crate::show;
use crate::stop::{Stop, problem_note};

type Answer = Result<HttpResponse, Stop>;

/// How an update comes here: browsers do not go on where they were cut off.
const SEND: &str = "strongroom appliance update FILE";

pub(super) fn routes(services: &mut ServiceConfig) {
    page(services, "/updates", vec![web::get().to(overview)]);
    for act in [Order::Install, Order::Restart, Order::Drop] {
        page(
            services,
            act.path(),
            vec![
                web::get().to(move |reader: Reader| ask_for(reader, act)),
                web::post().to(move |reader: Reader, sent: Sent| carry_out(reader, sent, act)),
            ],
        );
    }
}

/// What can be ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Install,
    Restart,
    Drop,
}

impl Order {
    const fn path(self) -> &'static str {
        match self {
            Self::Install => "/updates/install",
            Self::Restart => "/updates/restart",
            Self::Drop => "/updates/drop",
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Install => "Install the update",
            Self::Restart => "Restart the machine",
            Self::Drop => "Drop the update",
        }
    }

    /// What it means, point by point; none where there is nothing to do it with.
    fn means(self, release: &ApplianceRelease) -> Option<Vec<Html>> {
        let running = &release.running.version;
        match self {
            Self::Install => {
                let staged = release.staged.as_ref()?;
                Some(vec![
                    Html::from(format!("Version {} is verified once more and written into the slot beside the one of version {running}.", staged.version)),
                    "Service goes on meanwhile, with what runs now. Nothing of it is overwritten.".into(),
                    "The next start of the machine puts the new version on trial: see to it that its HSM is reached then.".into(),
                ])
            }
            Self::Restart => Some(match &release.installed {
                Some(installed) => vec![
                    Html::from(format!("The machine starts again, with version {} on trial.", installed.version)),
                    "Nobody is answered before it has reached its HSM, migrated the database and verified the whole audit log, and was blessed: minutes, with a long log.".into(),
                    format!("Where it does not prove itself within ten minutes, the machine goes back to version {running} by itself, with all data as it is now.").into(),
                    "Where the HSM's PIN is entered at each start, it has to be entered again.".into(),
                ],
                None => vec![
                    Html::from(format!("The machine starts again with version {running}. Nobody is answered meanwhile.")),
                    "Where the HSM's PIN is entered at each start, it has to be entered again.".into(),
                ],
            }),
            Self::Drop => {
                let staged = release.staged.as_ref().map(|staged| &staged.version);
                let receiving = release.receiving.as_ref().map(|receiving| &receiving.version);
                let version = staged.or(receiving)?;
                Some(vec![
                    Html::from(format!("What has arrived of version {version} is deleted. It can be sent again.")),
                    "What is installed already stays.".into(),
                ])
            }
        }
    }
}

async fn release_of(reader: &Reader) -> Result<Option<ApplianceRelease>, Stop> {
    asked(reader, |appliance: &dyn Appliance| appliance.release())
        .await?
        .map_err(|problem| Stop::problem(&reader.frame, problem))
}

async fn overview(reader: Reader, query: Fields) -> Answer {
    let release = release_of(&reader).await?;
    Ok(overview_page(&reader, release.as_ref(), done(&query)))
}

fn overview_page(
    reader: &Reader,
    release: Option<&ApplianceRelease>,
    note: Option<Html>,
) -> HttpResponse {
    let mut page = Page::new(&reader.frame, "Updates").intro(
        "The whole image is replaced, never a part of it: a new release is written beside the one that runs, and stays once it has proved itself.",
    );
    if let Some(note) = note {
        page = page.block(note);
    }
    let Some(release) = release else {
        let empty = Empty::new(
            "This appliance does not run from Strongroom's image",
            "Only the image is updated here. Programs that were installed otherwise are updated as they were installed.",
        );
        return page.block(Card::new("").body(empty.html()).html()).answer();
    };
    page = page.block(running(release)).block(next(release));
    if let Some(last) = last(release) {
        page = page.block(last);
    }
    page.answer()
}

fn running(release: &ApplianceRelease) -> Html {
    let state = if release.restarting {
        badge(Tone::Warn, "About to restart")
    } else if release.trial {
        badge(Tone::Warn, "On trial")
    } else {
        badge(Tone::Good, "Stays")
    };
    let facts = Facts::new()
        .with("Version", mono(&release.running.version))
        .with("State", state)
        .with("Serves since", when(release.since))
        .with("Slot", release.running.slot.as_str().to_uppercase())
        .with(
            "Security version",
            count(release.running.security_version.into()),
        );
    Card::new("The release that runs")
        .acts(button("/updates/restart", "Restart", "slim"))
        .body(facts.html())
        .html()
}

fn next(release: &ApplianceRelease) -> Html {
    let card = Card::new("The next release");
    let mut facts = Facts::new();
    let mut acts = Vec::new();
    if let Some(receiving) = &release.receiving {
        facts = facts.with("Arriving", mono(&receiving.version)).with(
            "Arrived",
            format!(
                "{} of {} bytes",
                count(receiving.offset),
                count(receiving.length)
            ),
        );
        acts.push(button("/updates/drop", "Drop", "slim"));
    }
    if let Some(staged) = &release.staged {
        let state = if release.installing {
            badge(Tone::Warn, "Being installed")
        } else {
            badge(Tone::Good, "Verified, waits to be installed")
        };
        facts = facts
            .with("Staged", mono(&staged.version))
            .with("State", state)
            .with("Security version", count(staged.security_version.into()));
        if !release.installing {
            acts = vec![
                button("/updates/install", "Install", "main"),
                button("/updates/drop", "Drop", "slim"),
            ];
        }
    }
    if let Some(installed) = &release.installed {
        facts = facts
            .with("Installed", mono(&installed.version))
            .with("On", when(installed.at))
            .with("It is tried", "At the next start of the machine");
    }
    if release.receiving.is_none() && release.staged.is_none() && release.installed.is_none() {
        return card
            .body(
                Empty::new(
                    "None is here",
                    "Send one from a command line: where it is cut off, it goes on by itself.",
                )
                .acts(mono(SEND))
                .html(),
            )
            .html();
    }
    card.acts(Html::all(acts))
        .body(facts.with("To send one", mono(SEND)).html())
        .html()
}

/// What came of the last ones.
fn last(release: &ApplianceRelease) -> Option<Html> {
    let mut notes = Vec::new();
    if let Some(refused) = &release.refused {
        let body = Html::join(" ", [Html::from(refused.why.as_str()), when(refused.at)]);
        let title = format!("Version {} was not installed", refused.version);
        notes.push(Note::new(Tone::Bad, title, body).html());
    }
    if let Some(last) = &release.last {
        let (tone, title) = match last.outcome {
            TrialOutcome::Blessed => (Tone::Good, "has proved itself"),
            TrialOutcome::RolledBack => (Tone::Bad, "did not prove itself"),
        };
        let why = last.why.as_deref().unwrap_or(match last.outcome {
            TrialOutcome::Blessed => "It was blessed and stays.",
            TrialOutcome::RolledBack => "The machine went back to the release before.",
        });
        let body = Html::join(" ", [Html::from(why), when(last.at)]);
        let title = format!("Version {} {title}", last.version);
        notes.push(Note::new(tone, title, body).html());
    }
    if notes.is_empty() {
        return None;
    }
    let card = Card::new("What came of the last").body(Html::all(notes));
    Some(card.html())
}

async fn ask_for(reader: Reader, order: Order) -> Answer {
    let release = release_of(&reader).await?;
    let Some(release) = release else {
        return Ok(overview_page(&reader, None, None));
    };
    reader.require_recent()?;
    Ok(order_page(&reader, order, &release, None))
}

fn order_page(
    reader: &Reader,
    order: Order,
    release: &ApplianceRelease,
    refused: Option<&Problem>,
) -> HttpResponse {
    let mut page = Page::new(&reader.frame, order.title());
    if let Some(problem) = refused {
        page = page.block(problem_note(problem, "").html());
    }
    let card = match order.means(release) {
        None => Card::new("").body(
            Empty::new(
                "There is no update",
                "None has arrived, or it is installed already.",
            )
            .acts(button("/updates", "Back to the updates", "slim"))
            .html(),
        ),
        Some(means) => {
            let form =
                Form::new(order.path(), &reader.frame.form_token, order.title()).back("/updates");
            Card::new("What happens").body(Html::all([bullets(means), form.html()]))
        }
    };
    page.block(card.html()).answer_with(status(refused))
}

async fn carry_out(reader: Reader, _sent: Sent, order: Order) -> Answer {
    let release = release_of(&reader).await?;
    let Some(release) = release else {
        return Err(Stop::new(
            &reader.frame,
            Code::NotAnImage,
            "This appliance does not run from Strongroom's image, and only the image is updated.",
        ));
    };
    reader.require_recent_then(order.path())?;
    let ordered = reader
        .wait(move |visit, caller| {
            let Some(appliance) = &visit.appliance else {
                return Err(Problem::new(Code::NotPermitted, NOT_OF_THIS_DOMAIN));
            };
            let keystore = &visit.keystore;
            Ok(match order {
                Order::Install => appliance.install_update(keystore, caller)?.leaf,
                Order::Restart => appliance.restart(keystore, caller)?.leaf,
                Order::Drop => appliance.drop_update(keystore, caller)?.leaf,
            })
        })
        .await?;
    Ok(match ordered {
        Ok(leaf) => {
            let name = match order {
                Order::Install => "update-install",
                Order::Restart => "update-restart",
                Order::Drop => "update-drop",
            };
            show::go(&format!("/updates?done={name}&leaf={leaf}"))
        }
        Err(problem) => order_page(&reader, order, &release, Some(&problem)),
    })
}
