//! Making, rotating, changing and destroying keys. Each act shows first what it will change.

use actix_web::{HttpResponse, web};
use strongroom_wire::id::KeyId;
use strongroom_wire::key::{
    Algorithm, ChangeState, CreateKeys, GrantState, Key, KeyState, NewKey, Protection, Releasable,
    Right,
};
use strongroom_wire::problem::{Code, Problem};

use super::key::title;
use crate::form::Sent;
use crate::pieces::{
    Card, Choice, Facts, Field, Form, Html, Note, Tone, list, paragraph, plural, with_sub,
};
use crate::reader::{Page, Reader};
use crate::show;
use crate::stop::{Stop, problem_note};
use crate::words;

type Answer = Result<HttpResponse, Stop>;

pub(super) async fn show_new(reader: Reader) -> Answer {
    Ok(new_form(&reader, None, None))
}

pub(super) async fn create(reader: Reader, sent: Sent) -> Answer {
    let key = match read_new(&sent) {
        Ok(key) => key,
        Err(problem) => return Ok(new_form(&reader, Some(&sent), Some(&problem))),
    };
    let request = CreateKeys {
        keys: vec![key],
        release: false,
    };
    let created = reader
        .attempt(move |keystore, caller| keystore.create_keys(caller, request))
        .await?;
    match created {
        Ok(created) => Ok(created.keys.first().map_or_else(
            || show::go("/keys"),
            |made| {
                show::go(&format!(
                    "/keys/{}?done=created&leaf={}",
                    made.key.id, made.leaf
                ))
            },
        )),
        Err(problem) => Ok(new_form(&reader, Some(&sent), Some(&problem))),
    }
}

fn read_new(sent: &Sent) -> Result<NewKey, Problem> {
    let algorithm = Algorithm::ALL
        .iter()
        .find(|known| known.as_str() == sent.one("algorithm"))
        .ok_or_else(|| Problem::new(Code::Invalid, "Choose what the key is."))?;
    let length = match sent.some("length") {
        Some(length) if *algorithm == Algorithm::GenericSecret => {
            Some(length.parse().map_err(|_| {
                Problem::new(Code::Invalid, "A length is a number of bytes, up to 1024.")
            })?)
        }
        _ => None,
    };
    let recipients = sent.one("recipients").split_whitespace();
    Ok(NewKey {
        label: sent.one("label").to_owned(),
        content_type: sent.some("content_type").map(str::to_owned),
        recipients: recipients
            .map(|name| name.trim_matches([',', ';']).to_owned())
            .filter(|name| !name.is_empty())
            .collect(),
        length,
        // What is in the HSM never leaves it, whatever else is said.
        releasable: if sent.has("stays", "yes") || sent.has("in_hsm", "yes") {
            Releasable::Never
        } else {
            Releasable::ByPolicy
        },
        protection: if sent.has("in_hsm", "yes") {
            Protection::Hsm
        } else {
            Protection::Software
        },
        ..NewKey::new(*algorithm)
    })
}

fn new_form(reader: &Reader, sent: Option<&Sent>, refused: Option<&Problem>) -> HttpResponse {
    let said = |name: &str| sent.map_or("", |sent| sent.one(name)).to_owned();
    let chosen = said("algorithm");
    let algorithms = Algorithm::ALL.iter().map(|algorithm| {
        let value = algorithm.as_str();
        Choice::new(value, words::algorithm(*algorithm), chosen == value)
    });
    let has = |name: &str| sent.is_some_and(|sent| sent.has(name, "yes"));
    let form = Form::new("/keys/new", &reader.frame.form_token, "Make the key")
        .field(
            Field::text("label", "Label")
                .hint("What you will look for: a file's name, a project, a purpose. Those you share it with see it.")
                .value(said("label"))
                .focus(),
        )
        .field(Field::select("algorithm", "What it is", algorithms.collect()).hint("AES-256 protects data of any kind."))
        .field(Field::number("length", "Length in bytes").hint("Of a generic secret only; 32 where nothing is said.").value(said("length")))
        .field(Field::area("recipients", "Share it at once with").hint("Names of accounts or groups, one a line. Each may receive it and decrypt with it.").value(said("recipients")))
        .field(Field::checks(
            "stays",
            "Where it may go",
            vec![Choice::new("yes", "It never leaves the appliance", has("stays")).hint("The appliance uses it for its holders. This cannot be changed later.")],
        ))
        .field(Field::checks(
            "in_hsm",
            "What keeps it",
            vec![Choice::new("yes", "Keep it in the HSM", has("in_hsm")).hint("Generated there and never extracted: slower, lost with that HSM, and not every HSM does every kind of key.")],
        ))
        .back("/keys");
    let mut page = Page::new(&reader.frame, "New key")
        .under("/keys", "My keys")
        .intro("The appliance generates it. Its limits and its grants can be changed at any time.");
    if let Some(problem) = refused {
        page = page.block(problem_note(problem, "").html());
    }
    page.block(Card::new("").body(form.html()).html())
        .answer_with(status(refused))
}

fn status(refused: Option<&Problem>) -> actix_web::http::StatusCode {
    refused.map_or(actix_web::http::StatusCode::OK, |problem| {
        actix_web::http::StatusCode::from_u16(problem.status).unwrap_or_default()
    })
}

pub(super) async fn show_rotate(reader: Reader, path: web::Path<KeyId>) -> Answer {
    let key = key_of(&reader, path.into_inner()).await?;
    Ok(rotate_page(&reader, &key, None))
}

fn rotate_page(reader: &Reader, key: &Key, refused: Option<&Problem>) -> HttpResponse {
    let to = format!("/keys/{}/rotate", key.id);
    let back = format!("/keys/{}", key.id);
    let what = list([
        Html::from(format!(
            "Version {} becomes the newest. What is protected from now on is protected with it.",
            key.version + 1
        )),
        format!(
            "Versions up to {} still open what they protected.",
            key.version
        )
        .into(),
        "Everybody who has a grant gets the new version at once.".into(),
    ]);
    let form = Form::new(&to, &reader.frame.form_token, "Rotate the key").back(&back);
    confirm(reader, key, "Rotate", what, &form.html(), false, refused)
}

pub(super) async fn rotate(reader: Reader, path: web::Path<KeyId>, _sent: Sent) -> Answer {
    let id = path.into_inner();
    match reader
        .attempt(move |keystore, caller| keystore.rotate(caller, id))
        .await?
    {
        Ok(changed) => Ok(show::go(&format!(
            "/keys/{id}?done=rotated&leaf={}",
            changed.leaf
        ))),
        Err(problem) => {
            let key = key_of(&reader, id).await?;
            Ok(rotate_page(&reader, &key, Some(&problem)))
        }
    }
}

/// The states that a key can be given by hand, from each (SP 800-57 part 1 section 7).
fn next_states(state: KeyState) -> Vec<KeyState> {
    use KeyState::{Active, Compromised, Deactivated, Destroyed, PreActive, Suspended};
    match state {
        PreActive => vec![Active, Compromised],
        Active => vec![Suspended, Deactivated, Compromised],
        Suspended => vec![Active, Deactivated, Compromised],
        Deactivated => vec![Compromised],
        Compromised | Destroyed => vec![],
    }
}

pub(super) async fn show_state(reader: Reader, path: web::Path<KeyId>) -> Answer {
    let key = key_of(&reader, path.into_inner()).await?;
    Ok(state_page(&reader, &key, None))
}

fn state_page(reader: &Reader, key: &Key, refused: Option<&Problem>) -> HttpResponse {
    let to = format!("/keys/{}/state", key.id);
    let back = format!("/keys/{}", key.id);
    let choices: Vec<Choice> = next_states(key.state)
        .into_iter()
        .map(|state| {
            Choice::new(
                words::key_state_value(state),
                words::key_state(state).1,
                false,
            )
            .hint(words::key_state_means(state))
        })
        .collect();
    let now = Facts::new().with(
        "Now",
        with_sub(
            words::key_state_badge(key.state),
            words::key_state_means(key.state),
        ),
    );
    if choices.is_empty() {
        let body = Html::all([
            now.html(),
            paragraph("From here a key can only be destroyed."),
        ]);
        return confirm(
            reader,
            key,
            "Change state",
            body,
            &Html::default(),
            false,
            refused,
        );
    }
    let form = Form::new(&to, &reader.frame.form_token, "Change the state")
        .field(Field::radios("state", "It becomes", choices))
        .back(&back);
    confirm(
        reader,
        key,
        "Change state",
        now.html(),
        &form.html(),
        false,
        refused,
    )
}

pub(super) async fn state(reader: Reader, path: web::Path<KeyId>, sent: Sent) -> Answer {
    let id = path.into_inner();
    let wanted = words::KEY_STATES
        .into_iter()
        .find(|state| words::key_state_value(*state) == sent.one("state"));
    let answer = match wanted {
        Some(state) => {
            reader
                .attempt(move |keystore, caller| {
                    keystore.change_state(caller, id, ChangeState { state })
                })
                .await?
        }
        None => Err(Problem::new(
            Code::Invalid,
            "Choose the state that it shall have.",
        )),
    };
    match answer {
        Ok(changed) => Ok(show::go(&format!(
            "/keys/{id}?done=state&leaf={}",
            changed.leaf
        ))),
        Err(problem) => {
            let key = key_of(&reader, id).await?;
            Ok(state_page(&reader, &key, Some(&problem)))
        }
    }
}

pub(super) async fn show_destroy(reader: Reader, path: web::Path<KeyId>) -> Answer {
    let id = path.into_inner();
    let key = key_of(&reader, id).await?;
    reader.require_recent()?;
    destroy_page(&reader, &key, None).await
}

async fn destroy_page(reader: &Reader, key: &Key, refused: Option<&Problem>) -> Answer {
    let id = key.id;
    let administers = key.rights.contains(&Right::Administer);
    let holders = if administers {
        let grants = reader
            .ask(move |keystore, caller| keystore.grants(caller, id))
            .await?;
        Some(
            grants
                .grants
                .iter()
                .filter(|grant| grant.state == GrantState::Active)
                .count() as u64,
        )
    } else {
        None
    };
    let mut what = vec![Html::from(
        "What the key protected can never be opened again, by anyone: not by you, not by an administrator, not from the appliance's database.",
    )];
    if let Some(holders) = holders {
        what.push(match holders {
            0 | 1 => "Nobody else has it.".into(),
            holders => format!(
                "{} go at once: yours and those of {}.",
                plural(holders, "copy", "copies"),
                plural(
                    holders - 1,
                    "other account or group",
                    "other accounts and groups"
                )
            )
            .into(),
        });
    }
    what.push(
        match key.version {
            1 => "It has one version.".to_owned(),
            versions => format!("All of its {versions} versions go."),
        }
        .into(),
    );
    what.push("Programs that still hold a released copy may keep it until they forget it.".into());
    what.push("Old backups hold sealed copies until the version of the master KEK that sealed them is destroyed; your administrators see on the page Master key when that is.".into());
    let to = format!("/keys/{id}/destroy");
    let back = format!("/keys/{id}");
    let offer = crate::proposals::offer(
        &reader.frame.form_token,
        refused,
        &strongroom_wire::proposal::ProposedRequest::KeyDestroy { key: id },
    );
    let form = Form::new(&to, &reader.frame.form_token, "Destroy the key for good")
        .field(
            Field::text("confirm", "Type the word destroy to confirm")
                .required()
                .wrong(
                    refused
                        .filter(|problem| problem.code == Code::Invalid)
                        .map(|problem| problem.detail.as_str()),
                ),
        )
        .danger()
        .back(&back);
    Ok(confirm(
        reader,
        key,
        "Destroy",
        Html::all([offer, list(what)]),
        &form.html(),
        true,
        refused,
    ))
}

pub(super) async fn destroy(reader: Reader, path: web::Path<KeyId>, sent: Sent) -> Answer {
    let id = path.into_inner();
    reader.require_recent_then(&format!("/keys/{id}/destroy"))?;
    let answer = if sent.one("confirm").eq_ignore_ascii_case("destroy") {
        reader
            .attempt(move |keystore, caller| keystore.destroy(caller, id))
            .await?
    } else {
        Err(Problem::new(
            Code::Invalid,
            "Nothing was destroyed: the word was not typed.",
        ))
    };
    match answer {
        Ok(changed) => Ok(show::go(&format!(
            "/keys/{id}?done=destroyed&leaf={}",
            changed.leaf
        ))),
        Err(problem) if problem.code == Code::StepUpRequired => {
            Err(Stop::step_up(&format!("/keys/{id}/destroy")))
        }
        Err(problem) => {
            let key = key_of(&reader, id).await?;
            destroy_page(&reader, &key, Some(&problem)).await
        }
    }
}

/// The key, for the pages about it.
pub(super) async fn key_of(reader: &Reader, id: KeyId) -> Result<Key, Stop> {
    reader
        .ask(move |keystore, caller| keystore.key(caller, id))
        .await
}

/// A page that shows what an act will change before it is done.
pub(super) fn confirm(
    reader: &Reader,
    key: &Key,
    act: &str,
    what: Html,
    form: &Html,
    danger: bool,
    refused: Option<&Problem>,
) -> HttpResponse {
    let heading = format!("{act}: {}", title(key));
    let mut page = Page::new(&reader.frame, &heading)
        .under("/keys", "My keys")
        .under(format!("/keys/{}", key.id), title(key));
    if let Some(problem) = refused {
        page = page.block(problem_note(problem, &reader.here).html());
    }
    let mut card = Card::new("What this changes").body(Html::all([
        what,
        Html::fixed(format!("<div class=\"after\">{form}</div>")),
    ]));
    if danger {
        page = page.block(Note::new(Tone::Warn, "This cannot be undone", "").html());
        card = card.danger();
    }
    page.block(card.html()).answer_with(status(refused))
}
