//! What the reader approves with: their approval keys and passkeys; registering a key by signing with it, and removing one.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};
use strongroom_approval::{ApprovalKey as PublicKey, Decision, Of, Statement};
use strongroom_wire::approval::{
    ADD_APPROVAL_KEY, AddApprovalKey, ApprovalCredentials, ApprovalKey,
};
use strongroom_wire::encoding::Base64;
use strongroom_wire::id::ApprovalKeyId;
use strongroom_wire::problem::{Code, Problem};

use crate::form::{Fields, Sent, Uploaded};
use crate::own::recorded;
use crate::page;
use crate::pieces::{
    Card, Empty, Facts, Field, Form, Html, Table, address, button, list, mono, paragraph, plural,
    slim_button, when, with_sub,
};
use crate::reader::{Page, Reader};
use crate::show;
use crate::signing::{self, LARGEST};
use crate::stop::{Stop, problem_note};

type Answer = Result<HttpResponse, Stop>;

/// For how long the statement of a new key can be handed in, in seconds.
const TO_HAND_IN: u64 = 24 * 3600;

pub(crate) fn routes(services: &mut ServiceConfig) {
    page(services, "/approval-keys", vec![web::get().to(overview)]);
    page(
        services,
        "/approval-keys/new",
        vec![web::get().to(show_new), web::post().to(start)],
    );
    page(services, "/approval-keys/add", vec![web::post().to(add)]);
    page(
        services,
        "/approval-keys/to-sign",
        vec![web::get().to(to_sign)],
    );
    page(
        services,
        "/approval-keys/remove",
        vec![web::get().to(show_remove), web::post().to(remove)],
    );
}

fn status(refused: Option<&Problem>) -> StatusCode {
    refused.map_or(StatusCode::OK, |problem| {
        StatusCode::from_u16(problem.status).unwrap_or_default()
    })
}

async fn credentials_of(reader: &Reader) -> Result<ApprovalCredentials, Stop> {
    reader
        .ask(strongroom_keystore::Keystore::approval_credentials)
        .await
}

fn scheme(key: &ApprovalKey) -> &'static str {
    match PublicKey::from_spki(&key.public_key.0) {
        Ok(key) if key.scheme().as_str() == "EdDSA" => "Ed25519",
        Ok(_) => "P-256",
        Err(_) => "Unreadable",
    }
}

async fn overview(reader: Reader, query: Fields) -> Answer {
    let credentials = credentials_of(&reader).await?;
    let mut page = Page::new(&reader.frame, "Approval keys")
        .intro("What you approve with. An approval is a signature of your own over the exact act, which anyone can verify years later.")
        .acts(button("/approval-keys/new", "Add an approval key", "main"));
    let said = match query.one("done") {
        "added" => Some((
            "The approval key is added",
            "You can approve with it from now on.",
        )),
        "removed" => Some((
            "The approval key is removed",
            "What was approved with it stays approved.",
        )),
        _ => None,
    };
    if let Some((title, more)) = said {
        page = page.block(recorded(title, more, &query));
    }
    let keys = Card::new("Approval keys").intro(
        "Public keys whose private halves lie in a card, a token or a file that is nobody else's.",
    );
    let keys = if credentials.keys.is_empty() {
        let empty = Empty::new(
            "No approval key yet",
            "With a passkey you need none. A key in a card or a file signs what you fetch here, without scripts.",
        );
        keys.body(empty.html())
    } else {
        let rows = credentials.keys.iter().map(|key| {
            let remove = address("/approval-keys/remove", &[("which", &key.id.to_string())]);
            vec![
                Html::from(key.name.as_str()),
                with_sub(scheme(key), mono(&key.sha256)),
                when(key.created),
                slim_button(&remove, "Remove", &key.name, "danger"),
            ]
        });
        keys.table(Table::new("Approval keys", &["Name", "Key", "Added", ""]).rows(rows))
    };
    let passkeys = credentials.passkeys.len() as u64;
    let words = if passkeys == 0 {
        "You have none here. A passkey approves on the page itself.".to_owned()
    } else {
        format!(
            "You have {}, which sign approvals on the page itself.",
            plural(passkeys, "passkey", "passkeys")
        )
    };
    let acts = Html::all([
        slim_button("/security/passkey", "Add a passkey", "", ""),
        slim_button("/security", "Manage", "passkeys", ""),
    ]);
    Ok(page
        .block(keys.html())
        .block(
            Card::new("Passkeys")
                .acts(acts)
                .body(paragraph(words))
                .html(),
        )
        .answer())
}

async fn show_new(reader: Reader) -> Answer {
    reader.require_recent()?;
    Ok(new_page(&reader, "", "", None))
}

fn new_page(reader: &Reader, name: &str, key: &str, refused: Option<&Problem>) -> HttpResponse {
    let form = Form::new("/approval-keys/new", &reader.frame.form_token, "Go on")
        .field(
            Field::text("name", "What you call it")
                .hint("Such as: my card.")
                .value(name)
                .required()
                .focus(),
        )
        .field(
            Field::upload("key_file", "Public key, as a file")
                .hint("Ed25519 or P-256, in PEM or DER (SubjectPublicKeyInfo)."),
        )
        .field(Field::area("key", "Or pasted").value(key))
        .with_files()
        .back("/approval-keys");
    let how = "openssl genpkey -algorithm ed25519 -out key.pem\nopenssl pkey -in key.pem -pubout -out key.pub.pem";
    let mut page = Page::new(&reader.frame, "Add an approval key")
        .under("/approval-keys", "Approval keys")
        .intro("You show that you have its private half by signing with it. The private half never comes here.");
    if let Some(problem) = refused {
        page = page.block(problem_note(problem, "/approval-keys/new").html());
    }
    page.block(Card::new("").body(form.html()).html())
        .block(
            Card::new("A key in a file, made by openssl")
                .body(Html::fixed(format!(
                    "<pre class=\"wrapped\" tabindex=\"0\">{how}</pre>"
                )))
                .html(),
        )
        .answer_with(status(refused))
}

/// The public key, however it came.
fn read_key(bytes: &[u8]) -> Result<PublicKey, Problem> {
    let invalid = |sentence: &str| Problem::new(Code::Invalid, sentence);
    let text = String::from_utf8_lossy(bytes);
    if text.contains("PRIVATE KEY-----") {
        return Err(invalid(
            "That is a private key. Keep it to yourself: the public key belongs here. As it went over the network, make another one.",
        ));
    }
    let compact: String = text
        .lines()
        .filter(|line| !line.starts_with("-----"))
        .flat_map(str::chars)
        .filter(|letter| !letter.is_whitespace() && *letter != '=')
        .map(|letter| match letter {
            '+' => '-',
            '/' => '_',
            letter => letter,
        })
        .collect();
    let decoded = compact.parse::<Base64>().map(|bytes| bytes.0);
    let der = decoded.as_deref().unwrap_or(bytes);
    PublicKey::from_spki(der)
        .map_err(|_| invalid("This is no public key of Ed25519 or P-256, in PEM or DER."))
}

async fn start(reader: Reader, sent: Uploaded<LARGEST>) -> Answer {
    reader.require_recent_then("/approval-keys/new")?;
    let (name, pasted) = (sent.one("name").to_owned(), sent.raw("key").to_owned());
    let bytes = sent
        .file("key_file")
        .map_or(pasted.as_bytes(), |file| file.bytes.as_slice());
    match read_key(bytes) {
        Ok(key) => {
            let credentials = credentials_of(&reader).await?;
            let statement = Statement {
                domain_origin: credentials.domain_origin,
                subject: credentials.account.to_string(),
                of: Of::Request {
                    act: ADD_APPROVAL_KEY.to_owned(),
                    request_sha256: key.fingerprint(),
                },
                decision: Decision::Approve,
                valid_until: reader.presence.now.plus_seconds(TO_HAND_IN),
            };
            Ok(sign_page(&reader, &name, &key, &statement.to_bytes(), None))
        }
        Err(problem) => {
            // Not shown again: it may be what nobody should see.
            let again = if problem.detail.contains("private") {
                ""
            } else {
                &pasted
            };
            Ok(new_page(&reader, &name, again, Some(&problem)))
        }
    }
}

fn sign_page(
    reader: &Reader,
    name: &str,
    key: &PublicKey,
    statement: &[u8],
    refused: Option<&Problem>,
) -> HttpResponse {
    let (spki, statement) = (
        Base64(key.spki().to_vec()).to_text(),
        Base64(statement.to_vec()).to_text(),
    );
    let fetch = address(
        "/approval-keys/to-sign",
        &[("public_key", &spki), ("statement", &statement)],
    );
    let mut form = Form::new(
        "/approval-keys/add",
        &reader.frame.form_token,
        "Add the approval key",
    )
    .field(Field::hidden("name", name))
    .field(Field::hidden("public_key", spki.clone()))
    .field(Field::hidden("statement", statement.clone()));
    for field in signing::signature_fields() {
        form = form.field(field);
    }
    let form = form.with_files().back("/approval-keys");
    let facts = Facts::new()
        .with("Name", name)
        .with("SHA-256 of the key", mono(&hex::encode(key.fingerprint())));
    let body = Html::all([
        facts.html(),
        Html::fixed("<div class=\"after\"></div>".to_owned()),
        signing::two_steps([key.clone()].into_iter()),
        Html::fixed(format!(
            "<p class=\"acts after\">{}</p>",
            button(&fetch, "What it signs", "")
        )),
        Html::fixed(format!("<div class=\"after\">{}</div>", form.html())),
    ]);
    let mut page = Page::new(&reader.frame, "Sign with the new key")
        .under("/approval-keys", "Approval keys")
        .intro("Fetch what is to be signed, sign it where the key is, bring the signature.");
    if let Some(problem) = refused {
        page = page.block(problem_note(problem, "/approval-keys/new").html());
    }
    page.block(Card::new("").body(body).html())
        .answer_with(status(refused))
}

async fn add(reader: Reader, sent: Uploaded<LARGEST>) -> Answer {
    reader.require_recent_then("/approval-keys/new")?;
    let name = sent.one("name").to_owned();
    let key = sent.one("public_key").parse::<Base64>();
    let key = key.ok().and_then(|key| PublicKey::from_spki(&key.0).ok());
    let (Some(key), Ok(statement)) = (key, signing::statement(&sent)) else {
        return Ok(new_page(&reader, &name, "", None));
    };
    let added = match signing::jws(&sent, &key, &statement.0) {
        Ok(jws) => {
            let request = AddApprovalKey {
                name: name.clone(),
                public_key: key.spki().into(),
                statement: statement.clone(),
                jws,
            };
            reader
                .attempt(move |keystore, caller| keystore.add_approval_key(caller, request))
                .await?
        }
        Err(problem) => Err(problem),
    };
    Ok(match added {
        Ok(added) => show::go(&format!("/approval-keys?done=added&leaf={}", added.leaf)),
        Err(problem) => sign_page(&reader, &name, &key, &statement.0, Some(&problem)),
    })
}

/// What a key signs for a statement, as a file: with one of the reader's, or one that is being added.
async fn to_sign(reader: Reader, query: Fields) -> Answer {
    let statement =
        signing::statement(&query).map_err(|problem| Stop::problem(&reader.frame, problem))?;
    let key = if let Ok(id) = query.one("by").parse::<ApprovalKeyId>() {
        let keys = credentials_of(&reader).await?.keys;
        let key = keys.into_iter().find(|key| key.id == id);
        key.map(|key| key.public_key)
    } else {
        query.one("public_key").parse::<Base64>().ok()
    };
    let key = key.and_then(|key| PublicKey::from_spki(&key.0).ok());
    let key = key.ok_or_else(|| Stop::not_found(&reader.frame))?;
    Ok(show::download("to-sign", "application/octet-stream").body(key.signing_input(&statement.0)))
}

async fn show_remove(reader: Reader, query: Fields) -> Answer {
    reader.require_recent()?;
    remove_page(&reader, query.one("which"), None).await
}

async fn remove_page(reader: &Reader, which: &str, refused: Option<&Problem>) -> Answer {
    let keys = credentials_of(reader).await?.keys;
    let key = keys.iter().find(|key| key.id.to_string() == which);
    let Some(key) = key else {
        return Err(Stop::not_found(&reader.frame));
    };
    let what = list([
        Html::from(format!("“{}” signs no approvals any more.", key.name)),
        "What was approved with it stays approved.".into(),
    ]);
    let form = Form::new(
        "/approval-keys/remove",
        &reader.frame.form_token,
        "Remove the approval key",
    )
    .field(Field::hidden("which", which))
    .danger()
    .back("/approval-keys");
    let mut page =
        Page::new(&reader.frame, "Remove an approval key").under("/approval-keys", "Approval keys");
    if let Some(problem) = refused {
        page = page.block(problem_note(problem, "").html());
    }
    let body = Html::all([
        what,
        Html::fixed(format!("<div class=\"after\">{}</div>", form.html())),
    ]);
    Ok(page
        .block(Card::new("What this changes").body(body).danger().html())
        .answer_with(status(refused)))
}

async fn remove(reader: Reader, sent: Sent) -> Answer {
    let which = sent.one("which").to_owned();
    reader.require_recent_then(&address("/approval-keys/remove", &[("which", &which)]))?;
    let Ok(id) = which.parse::<ApprovalKeyId>() else {
        return Err(Stop::not_found(&reader.frame));
    };
    match reader
        .attempt(move |keystore, caller| keystore.remove_approval_key(caller, id))
        .await?
    {
        Ok(done) => Ok(show::go(&format!(
            "/approval-keys?done=removed&leaf={}",
            done.leaf
        ))),
        Err(problem) => remove_page(&reader, &which, Some(&problem)).await,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    /// RFC 8410 section 10.1: an Ed25519 public key.
    const BODY: &str = "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=";

    #[test]
    fn public_keys_are_taken_as_they_come_and_private_ones_are_not() {
        let pem = format!("-----BEGIN PUBLIC KEY-----\r\n{BODY}\r\n-----END PUBLIC KEY-----\r\n");
        let key = read_key(pem.as_bytes()).unwrap();
        assert_eq!(key.scheme().as_str(), "EdDSA");
        for other in [BODY.as_bytes(), key.spki()] {
            assert_eq!(read_key(other).unwrap(), key);
        }
        let private = pem.replace("PUBLIC", "PRIVATE");
        let refused = read_key(private.as_bytes()).unwrap_err().detail;
        assert!(refused.contains("private key"), "{refused}");
        for wrong in ["", "nonsense", "AAAA"] {
            assert!(read_key(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
