//! All that concerns the reader, to keep.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::web::{self, Bytes};
use strongroom_wire::audit::{Record, RecordQuery};
use tokio::sync::mpsc;

use super::Answer;
use crate::form::Fields;
use crate::reader::Reader;
use crate::show;

/// How many records are read at once.
const A_PIECE: u32 = 1000;

/// All that concerns the reader, as CSV or as JSON lines.
pub(super) async fn download(reader: Reader, query: Fields) -> Answer {
    let as_json = query.one("as") == "json";
    let (sender, receiver) = mpsc::channel(4);
    let (visit, presented) = (reader.visit.clone(), reader.presented.clone());
    // Ends by itself: when all is sent, or nobody reads any more.
    drop(web::block(move || {
        let mut before = None;
        if !as_json && sender.blocking_send(Bytes::from_static(HEADING)).is_err() {
            return;
        }
        loop {
            let query = RecordQuery {
                before,
                limit: Some(A_PIECE),
                ..RecordQuery::default()
            };
            let page = match visit.keystore.records(&presented, query) {
                Ok(page) => page,
                Err(refusal) => {
                    tracing::warn!(error = %refusal.error, "a download of records stopped");
                    return;
                }
            };
            let mut piece = String::new();
            for record in &page.records {
                if as_json {
                    piece.push_str(&serde_json::to_string(record).unwrap_or_default());
                } else {
                    csv_line(record, &mut piece);
                }
                piece.push('\n');
            }
            if sender.blocking_send(piece.into()).is_err() {
                return;
            }
            before = page.next;
            if before.is_none() {
                return;
            }
        }
    }));
    let (name, kind) = if as_json {
        ("strongroom-records.jsonl", "application/x-ndjson")
    } else {
        ("strongroom-records.csv", "text/csv; charset=utf-8")
    };
    Ok(show::download(name, kind).body(Pieces(receiver)))
}

const HEADING: &[u8] =
    b"leaf,time,act,outcome,actor,source,subject,key,key_version,session,grant,note\n";

/// A line of CSV (RFC 4180). What a spreadsheet would take for a formula is given as text.
fn csv_line(record: &Record, line: &mut String) {
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    let fields = [
        record.index.to_string(),
        record.time.to_string(),
        record.act.as_str().to_owned(),
        if record.done { "done" } else { "refused" }.to_owned(),
        text(record.actor_name.as_deref()),
        text(record.source.as_deref()),
        text(record.subject_name.as_deref()),
        record.key.map(|key| key.to_string()).unwrap_or_default(),
        record
            .key_version
            .map(|version| version.to_string())
            .unwrap_or_default(),
        record
            .session
            .map(|session| session.to_string())
            .unwrap_or_default(),
        record
            .grant
            .map(|grant| grant.to_string())
            .unwrap_or_default(),
        text(record.note.as_deref()),
    ];
    for (at, field) in fields.iter().enumerate() {
        if at > 0 {
            line.push(',');
        }
        line.push('"');
        if field.starts_with(['=', '+', '-', '@', '\t', '\r']) {
            line.push('\'');
        }
        line.push_str(&field.replace('"', "\"\""));
        line.push('"');
    }
}

/// An answer that comes in pieces.
pub(crate) struct Pieces(pub(crate) mpsc::Receiver<Bytes>);

impl MessageBody for Pieces {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        self.0.poll_recv(context).map(|piece| piece.map(Ok))
    }
}
