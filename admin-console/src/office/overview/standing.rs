//! How far things are: checkpoints and witnesses, the scrub, rotations. Each with the table behind it.

use strongroom_keystore::Figures;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::rotation::RotationStatus;

use crate::chart::Bars;
use crate::host::{OutsideView, ScrubView, WatchView};
use crate::pieces::{
    Card, Empty, Facts, Html, Note, Table, Tone, badge, button, count, list as bullets, plural,
    soft, when, when_or, with_sub,
};
use crate::words;

/// `3 minutes ago`, and when that was.
fn ago(moment: Timestamp, now: Timestamp) -> Html {
    let seconds = now.as_millis().saturating_sub(moment.as_millis()) / 1000;
    with_sub(format!("{} ago", words::about(seconds)), when(moment))
}

fn ago_or(moment: Option<Timestamp>, now: Timestamp, otherwise: &str) -> Html {
    moment.map_or_else(|| soft(otherwise), |moment| ago(moment, now))
}

/// The log, its newest checkpoint, and how far each witness has cosigned it.
pub(super) fn checkpoints(figures: &Figures, watched: Option<&WatchView>) -> Html {
    let now = figures.now;
    let tree = figures.statistics.tree_size;
    let covered = figures.checkpoint.map_or(0, |checkpoint| checkpoint.size);
    let newest = figures.checkpoint.and_then(|checkpoint| checkpoint.last);
    let lacks = |size: u64| count(tree.saturating_sub(size)).into();
    let mut bars = vec![
        ("Records in the log".to_owned(), tree),
        ("Newest checkpoint".to_owned(), covered),
    ];
    let mut table = Table::new(
        "What covers how much of the log",
        &["What", "#Records", "#Not covered", "How old", "State"],
    );
    table.row(vec![
        "Records in the log".into(),
        count(tree).into(),
        soft("—"),
        soft("—"),
        Html::default(),
    ]);
    table.row(vec![
        "Newest checkpoint".into(),
        count(covered).into(),
        lacks(covered),
        ago_or(newest, now, "There is none yet"),
        Html::default(),
    ]);
    for witness in &figures.witnesses {
        bars.push((format!("Witness {}", witness.name), witness.size));
        let outside = watched.and_then(|watched| named(&watched.witnesses, &witness.name));
        table.row(vec![
            format!("Witness {}", witness.name).into(),
            count(witness.size).into(),
            lacks(witness.size),
            ago_or(witness.time, now, "It has cosigned nothing yet"),
            outside.map(state).unwrap_or_default(),
        ]);
    }
    let chart = Bars {
        about: "How many of the log's records the newest checkpoint covers, and each witness has cosigned",
        values: bars,
        table,
    };
    let mut facts = Facts::new()
        .with(
            "Newest checkpoint",
            match newest {
                Some(newest) => Html::join(
                    " ",
                    [
                        Html::from(format!(
                            "covers {}, the last of them from",
                            plural(covered, "record", "records")
                        )),
                        ago(newest, now),
                    ],
                ),
                None => soft("There is none yet"),
            },
        )
        .with(
            "Before a disclosure goes out",
            match figures.witnesses_demanded {
                0 => soft("No witness has to have cosigned it"),
                demanded => format!(
                    "{} of {} must have cosigned it",
                    count(demanded.into()),
                    plural(figures.witnesses.len() as u64, "witness", "witnesses")
                )
                .into(),
            },
        );
    for witness in &figures.witnesses {
        facts = facts.with(
            &format!("Witness {}", witness.name),
            ago_or(witness.time, now, "It has cosigned nothing yet"),
        );
    }
    let mut body = vec![facts.html(), chart.html()];
    if figures.witnesses.is_empty() {
        body.push(soft(
            "No witness is configured: nobody but this appliance can say that the log has one history.",
        ));
    }
    Card::new("Checkpoint and witnesses")
        .intro("How much of the audit log is signed, and how much of it others have seen.")
        .body(Html::all(body))
        .html()
}

fn named<'a>(outside: &'a [OutsideView], name: &str) -> Option<&'a OutsideView> {
    outside.iter().find(|one| one.name == name)
}

fn state(outside: &OutsideView) -> Html {
    match &outside.failing {
        None => badge(Tone::Good, "Works"),
        Some((since, reason)) => with_sub(
            badge(Tone::Bad, "Fails"),
            Html::join(" ", [Html::from(format!("{reason}, since")), when(*since)]),
        ),
    }
}

/// What the newest scrub found.
pub(super) fn scrub(scrub: &ScrubView, now: Timestamp) -> Html {
    let every = match scrub.every_hours {
        0 => soft("Never by itself"),
        hours => plural(hours.into(), "hour", "hours").into(),
    };
    let facts = Facts::new()
        .with(
            "Newest scrub",
            ago_or(scrub.last, now, "None has ended since the start"),
        )
        .with("Rows held against the log", count(scrub.rows))
        .with(
            "Rows that do not follow from it",
            match (scrub.last, scrub.findings) {
                (None, _) => soft("Not known yet"),
                (_, 0) => badge(Tone::Good, "None"),
                (_, findings) => badge(Tone::Bad, &count(findings)),
            },
        )
        .with("One every", every);
    let mut body = vec![facts.html()];
    if let Some(failed) = &scrub.failed {
        body.push(
            Note::new(
                Tone::Bad,
                "The newest one did not come to its end",
                failed.as_str(),
            )
            .html(),
        );
    }
    if !scrub.first.is_empty() {
        let rows = scrub.first.iter().map(|found| vec![found.as_str().into()]);
        body.push(Table::new("The first of them", &["Row"]).rows(rows).html());
    }
    Card::new("Scrub")
        .intro("Holds every row of the database against what the audit log says of it.")
        .body(Html::all(body))
        .html()
}

/// How far rotations are.
pub(super) fn rotation(rotation: &RotationStatus) -> Html {
    let card = Card::new("Rotation")
        .intro("How many keys each version of the master KEK wraps, and account KEKs that are being rotated.")
        .acts(button("/master-key", "See the master key", "slim"));
    let bars: Vec<_> = rotation
        .master_keks
        .iter()
        .map(|kek| (format!("Version {}", kek.version), kek.wrapped))
        .collect();
    let mut table = Table::new(
        "Rotations and what they have left to do",
        &["What", "#Done", "#Left"],
    );
    let wrapped: u64 = rotation.master_keks.iter().map(|kek| kek.wrapped).sum();
    table.row(vec![
        "Keys wrapped by the master KEK".into(),
        count(wrapped.saturating_sub(rotation.left)).into(),
        count(rotation.left).into(),
    ]);
    for account in &rotation.accounts {
        table.row(vec![
            format!("KEK of {}", account.name).into(),
            count(account.done).into(),
            count(account.left).into(),
        ]);
    }
    let chart = Bars {
        about: "How many keys each version of the master KEK wraps",
        values: bars,
        table,
    };
    let state = [
        if rotation.left == 0 {
            "No rotation of the master KEK is under way.".to_owned()
        } else {
            format!(
                "{} to be wrapped by the newest version.",
                plural(rotation.left, "key is still", "keys are still")
            )
        },
        if rotation.accounts_under_way == 0 {
            "No account's KEK is being rotated.".to_owned()
        } else {
            format!(
                "{} being rotated.",
                plural(
                    rotation.accounts_under_way,
                    "account's KEK is",
                    "accounts' KEKs are"
                )
            )
        },
    ];
    card.body(Html::all([
        bullets(state.into_iter().map(Html::from)),
        chart.html(),
    ]))
    .html()
}

/// Receivers of the log, such as a site's SIEM.
pub(super) fn receivers(watched: &WatchView) -> Option<Html> {
    if watched.receivers.is_empty() {
        return None;
    }
    let rows = watched.receivers.iter().map(|receiver| {
        vec![
            with_sub(receiver.name.as_str(), receiver.address.as_str()),
            state(receiver),
            count(receiver.behind).into(),
            when_or(receiver.last, "Nothing since the start"),
        ]
    });
    let table = Table::new(
        "Receivers of the log",
        &[
            "Receiver",
            "State",
            "#Records that it lacks",
            "Last took one",
        ],
    )
    .rows(rows);
    Some(Card::new("Receivers of the log").table(table).html())
}

/// What is said while the appliance does not serve.
pub(super) fn unknown() -> Html {
    let empty = Empty::new(
        "Not known",
        "The appliance does not serve at this moment: look again.",
    );
    Card::new("Scrub").body(empty.html()).html()
}
