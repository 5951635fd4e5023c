//! Documents of a case, and what it keeps from destruction.

use actix_web::{HttpResponse, web};
use strongroom_wire::authorisation::AuthorisationRecord;
use strongroom_wire::id::AuthorisationId;

use super::{at, below, case_of};
use crate::pieces::{Card, Empty, Table, button, mono, when};
use crate::reader::Reader;
use crate::show;
use crate::stop::Stop;

type Answer = Result<HttpResponse, Stop>;

/// A record, a warrant or the evidence of an approval, as a file: its bytes as they are, for whoever verifies them elsewhere.
pub(super) async fn document(reader: Reader, path: web::Path<(AuthorisationId, String)>) -> Answer {
    let (id, sha256) = path.into_inner();
    let (document, case) = reader
        .ask(move |keystore, caller| {
            let document = keystore.document_of_authorisation(caller, id, &sha256)?;
            Ok((document, keystore.authorisation(caller, id)?))
        })
        .await?;
    let warrant = case.record.order.warrant.as_ref();
    let warrant = warrant.filter(|warrant| warrant.sha256 == document.sha256);
    let short = document.sha256.get(..12).unwrap_or_default();
    let is_json = serde_json::from_slice::<serde_json::Value>(&document.content.0).is_ok();
    let name = match warrant {
        Some(warrant) => file_name(&warrant.name),
        None if serde_json::from_slice::<AuthorisationRecord>(&document.content.0).is_ok() => {
            format!("record-{short}.json")
        }
        None if is_json => format!("evidence-{short}.json"),
        None => format!("document-{short}"),
    };
    // Never as what its uploader says that it is: a browser is to keep it, not to show it.
    Ok(show::download(&name, "application/octet-stream").body(document.content.0))
}

/// A name that stands in a header and on a disk as it is.
fn file_name(name: &str) -> String {
    let kept: String = name
        .chars()
        .map(|letter| match letter {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' | '_' => letter,
            _ => '_',
        })
        .take(100)
        .collect();
    let kept = kept.trim_start_matches('.');
    if kept.is_empty() {
        "warrant".to_owned()
    } else {
        kept.to_owned()
    }
}

/// What the case keeps from destruction.
pub(super) async fn hold(reader: Reader, path: web::Path<AuthorisationId>) -> Answer {
    let id = path.into_inner();
    let hold = reader
        .ask(move |keystore, caller| keystore.hold(caller, id))
        .await?;
    let case = case_of(&reader, id).await?;
    let page = below(&reader, &case, "What it keeps from destruction").intro(
        "Keys in its scope that their owners destroyed and that it keeps. To the owner a destruction looks as ever: nobody outside of this case may learn of it.",
    );
    if hold.kept.is_empty() {
        let empty = if hold.in_force {
            Empty::new(
                "Nothing is kept so far",
                "A key in scope that is destroyed from now on stays here, in a copy that disclosures alone open.",
            )
        } else {
            Empty::new(
                "It keeps nothing",
                "A case keeps keys while it is approved or suspended.",
            )
        };
        let empty = empty.acts(button(&at(id, ""), "Back to the case", ""));
        return Ok(page.block(Card::new("").body(empty.html()).html()).answer());
    }
    let rows = hold.kept.iter().map(|key| {
        vec![
            if key.label.is_empty() {
                "Without a label".into()
            } else {
                key.label.as_str().into()
            },
            key.owner.as_str().into(),
            when(key.destroyed),
            mono(&key.key.to_string()),
        ]
    });
    let table = Table::new("Keys that are kept", &["Item", "Owner", "Destroyed", "Key"]).rows(rows);
    Ok(page.block(Card::new("Kept").table(table).html()).answer())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warrants_name_becomes_one_of_a_file() {
        for (name, file) in [
            ("warrant 17.pdf", "warrant_17.pdf"),
            ("../../etc/passwd", "_.._etc_passwd"),
            ("a\"; filename=\"b\r\nx: y", "a___filename__b__x__y"),
            ("…", "_"),
            ("", "warrant"),
            ("..", "warrant"),
        ] {
            assert_eq!(file_name(name), file, "{name:?}");
        }
    }
}
