//! How much the appliance's own log says: shown with the configuration, and changed for a time.

use actix_web::HttpResponse;
use strongroom_wire::problem::{Code, Problem};

use crate::form::Sent;
use crate::host::{LOG_LEVELS, LogLevelView};
use crate::pieces::{Card, Choice, Facts, Field, Form, Html, mono, when};
use crate::reader::{Reader, wait};
use crate::show;
use crate::stop::Stop;

type Answer = Result<HttpResponse, Stop>;

/// For how many seconds it can be changed, and how that is called.
const LASTS: [(u64, &str); 4] = [
    (900, "15 minutes"),
    (3600, "1 hour"),
    (4 * 3600, "4 hours"),
    (24 * 3600, "24 hours"),
];

const fn means(level: &str) -> &'static str {
    match level.as_bytes() {
        b"error" => "Faults of the appliance.",
        b"warn" => "Also what an operator should look at.",
        b"info" => "Also start, stop and refusals.",
        _ => "Also a line for each request: no names, no secrets, and much of it.",
    }
}

pub(super) fn card(reader: &Reader, level: &LogLevelView) -> Html {
    let mut facts = Facts::new()
        .with("As configured", mono(level.configured))
        .with("Now", mono(level.now));
    if let Some(until) = level.until {
        facts = facts.with("Until", when(until));
    }
    let levels =
        LOG_LEVELS.map(|name| Choice::new(name, name, name == level.now).hint(means(name)));
    let lasts =
        LASTS.map(|(seconds, name)| Choice::new(seconds.to_string(), name, seconds == LASTS[0].0));
    let form = Form::new(
        "/configuration/log-level",
        &reader.frame.form_token,
        "Change the log level",
    )
    .field(Field::radios("level", "Log level", levels.into()))
    .field(
        Field::select("seconds", "For", lasts.into())
            .hint("Then it is as configured again; at a restart, too."),
    )
    .class("");
    Card::new("Log level")
        .intro("How much the appliance's own log says, on this machine. The audit log is another one: it says everything, always.")
        .body(Html::all([
            facts.html(),
            Html::fixed(format!("<div class=\"after\">{}</div>", form.html())),
        ]))
        .html()
}

pub(super) async fn change(reader: Reader, sent: Sent) -> Answer {
    let Some(appliance) = reader.visit.appliance.clone() else {
        return Err(Stop::not_found(&reader.frame));
    };
    reader.require_recent_then("/configuration")?;
    let level = LOG_LEVELS
        .into_iter()
        .find(|level| *level == sent.one("level"));
    let seconds = sent.one("seconds").parse::<u64>().ok();
    let lasts = LASTS.into_iter().find(|(known, _)| Some(*known) == seconds);
    let (Some(level), Some((seconds, _))) = (level, lasts) else {
        return Err(Stop::new(
            &reader.frame,
            Code::Invalid,
            "Choose a log level, and for how long.",
        ));
    };
    let note = format!("{level} for {seconds} seconds");
    let done = reader
        .ask(move |keystore, caller| keystore.record_log_level(caller, note))
        .await?;
    wait(move || {
        appliance
            .set_log_level(level, seconds)
            .map_err(|sentence| Problem::new(Code::Internal, sentence))
    })
    .await
    .map_err(|problem| Stop::problem(&reader.frame, problem))?;
    Ok(show::go(&format!(
        "/configuration?done=log-level&leaf={}",
        done.leaf
    )))
}
