//! Signed checkpoints of the log, and two of them compared.

use actix_web::HttpResponse;
use actix_web::web::{self, ServiceConfig};
use strongroom_wire::problem::Problem;

use super::status;
use crate::form::Sent;
use crate::page;
use crate::pieces::{Card, Empty, Facts, Field, Form, Html, Note, Table, Tone, count, mono, soft};
use crate::reader::{Page, Reader};
use crate::stop::{Stop, problem_note};

type Answer = Result<HttpResponse, Stop>;

const SHOWN: u32 = 20;

pub(super) fn routes(services: &mut ServiceConfig) {
    page(
        services,
        "/checkpoints",
        vec![web::get().to(show), web::post().to(compare)],
    );
}

async fn show(reader: Reader) -> Answer {
    frame(&reader, None, None).await
}

async fn compare(reader: Reader, sent: Sent) -> Answer {
    let (old, new) = (sent.raw("old").to_owned(), sent.raw("new").to_owned());
    let answer = reader
        .attempt(move |keystore, caller| {
            keystore.compare_checkpoints(caller, &note(&old), &note(&new))
        })
        .await?;
    match answer {
        Ok(comparison) => {
            let (tone, title, words) = if comparison.consistent {
                (
                    Tone::Good,
                    "They belong together",
                    "The newer log begins with the older one: nothing that the older checkpoint covers was changed, taken out or put in between.",
                )
            } else {
                (
                    Tone::Bad,
                    "They do not belong together",
                    "Both are signed by this log's key, and the newer log does not begin with the older one: records were changed. Tell your security officer, and keep both checkpoints.",
                )
            };
            let facts = Facts::new()
                .with("Older covers", count(comparison.old_size))
                .with("Its root", mono(&hex::encode(comparison.old_root)))
                .with("Newer covers", count(comparison.new_size))
                .with("Its root", mono(&hex::encode(comparison.new_root)))
                .with("Hashes of the proof", count(comparison.proof.len() as u64));
            let result = Html::all([
                Note::new(tone, title, words).html(),
                Card::new("The two checkpoints").body(facts.html()).html(),
            ]);
            frame(&reader, Some(result), Some((&sent, None))).await
        }
        Err(problem) => frame(&reader, None, Some((&sent, Some(problem)))).await,
    }
}

/// Browsers send line ends as CR LF, and people lose the last one; a signed note has LF alone.
fn note(text: &str) -> String {
    let mut note = text.replace("\r\n", "\n").trim_start().to_owned();
    let end = note.trim_end().len();
    note.truncate(end);
    note.push('\n');
    note
}

async fn frame(
    reader: &Reader,
    result: Option<Html>,
    sent: Option<(&Sent, Option<Problem>)>,
) -> Answer {
    let checkpoints = reader
        .ask(|keystore, caller| keystore.recent_checkpoints(caller, SHOWN))
        .await?;
    let mut page = Page::new(&reader.frame, "Checkpoints").intro(
        "A checkpoint is the log's root, signed by a key in the HSM. Keep some outside of the appliance: whoever holds one can tell whether the log was changed.",
    );
    let said = |name: &str| {
        sent.as_ref()
            .map_or("", |(sent, _)| sent.raw(name))
            .to_owned()
    };
    let refused = sent.as_ref().and_then(|(_, refused)| refused.clone());
    if let Some(problem) = &refused {
        page = page.block(problem_note(problem, "").html());
    }
    if let Some(result) = result {
        page = page.block(result);
    }
    let form = Form::new("/checkpoints", &reader.frame.form_token, "Compare them")
        .field(
            Field::area("old", "The older checkpoint")
                .hint("The whole note, with its signature: one that you kept.")
                .value(said("old"))
                .required(),
        )
        .field(
            Field::area("new", "The newer checkpoint")
                .hint("Another one, such as the newest below.")
                .value(said("new"))
                .required(),
        );
    page = page.block(
        Card::new("Compare two checkpoints")
            .intro("Both signatures are verified, and it is proved that the newer log begins with the older one (RFC 9162 section 2.1.4).")
            .body(form.html())
            .html(),
    );
    let card = Card::new("The newest checkpoints");
    let card = if checkpoints.is_empty() {
        card.body(
            Empty::new(
                "None yet",
                "One is signed within seconds of the first record.",
            )
            .html(),
        )
    } else {
        let rows = checkpoints.iter().map(|(size, note)| {
            vec![
                count(*size).into(),
                Html::fixed(format!(
                    "<pre tabindex=\"0\">{}</pre>",
                    Html::from(note.as_str())
                )),
            ]
        });
        card.table(Table::new("The newest checkpoints", &["Leaves", "Signed note"]).rows(rows))
            .foot(soft(
                "A new one is signed within seconds whenever there are new records.",
            ))
    };
    Ok(page
        .block(card.html())
        .answer_with(status(refused.as_ref())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_survive_forms() {
        let pasted = "a.example/log\r\n5\r\nroot=\r\n\r\n\u{2014} a.example/log sig=\r\n\r\n";
        assert_eq!(
            note(pasted),
            "a.example/log\n5\nroot=\n\n\u{2014} a.example/log sig=\n"
        );
    }
}
