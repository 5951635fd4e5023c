//! The reader's sessions, on every device.

use actix_web::HttpResponse;
use strongroom_wire::id::SessionId;

use crate::cookie;
use crate::form::{Fields, Sent};
use crate::own::done;
use crate::pieces::{Card, Html, Table, Tone, badge, source, when, with_sub};
use crate::reader::{Page, Reader};
use crate::show;
use crate::stop::Stop;
use crate::words;

type Answer = Result<HttpResponse, Stop>;

pub(super) async fn list(reader: Reader, query: Fields) -> Answer {
    let sessions = reader
        .ask(strongroom_keystore::Keystore::sessions)
        .await?
        .sessions;
    let mut page = Page::new(&reader.frame, "Sessions").intro(
        "Where you are signed in: in browsers, at command lines and in programs. End what you do not know, and change how you sign in.",
    );
    if let Some(note) = done(&query) {
        page = page.block(note);
    }
    let rows = sessions.iter().map(|session| {
        let mut since = when(session.created);
        if session.current {
            since = Html::join(" ", [since, badge(Tone::Good, "This one")]);
        }
        vec![
            with_sub(since, source(&session.source)),
            words::strength(session.strength).into(),
            with_sub(when(session.last_seen), source(&session.last_source)),
            when(session.idle_expires),
            end_form(&reader, session.id, session.current),
        ]
    });
    let table = Table::new(
        "My sessions",
        &["Signed in", "With", "Last used", "Ends unless used", ""],
    )
    .rows(rows);
    Ok(page.block(Card::new("").table(table).html()).answer())
}

/// A button of its own for each session.
fn end_form(reader: &Reader, session: SessionId, current: bool) -> Html {
    let text = if current {
        "Sign out"
    } else {
        "End this session"
    };
    Html::fixed(format!(
        "<form method=\"post\" action=\"/sessions\"><input type=\"hidden\" name=\"form_token\" value=\"{}\"><input type=\"hidden\" name=\"session\" value=\"{session}\"><button type=\"submit\" class=\"button slim danger\">{text}</button></form>",
        Html::from(&reader.frame.form_token)
    ))
}

pub(super) async fn end(reader: Reader, sent: Sent) -> Answer {
    let Ok(session) = sent.one("session").parse::<SessionId>() else {
        return Err(Stop::not_found(&reader.frame));
    };
    let ended = reader
        .ask(move |keystore, caller| keystore.end_session(caller, Some(session)))
        .await?;
    if session == reader.presence.session {
        let mut response = show::go("/sign-in?done=out");
        cookie::forget(&mut response, reader.frame.side.session_cookie());
        return Ok(response);
    }
    Ok(show::go(&format!(
        "/sessions?done=session&leaf={}",
        ended.leaf
    )))
}
