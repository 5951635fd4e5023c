//! Versions of the master KEK: rotation, its progress, retiring, destroying; and the rotations of account KEKs.

use actix_web::HttpResponse;
use actix_web::web::{self, ServiceConfig};
use strongroom_wire::problem::Problem;
use strongroom_wire::rotation::{MasterKek, MasterKekState, RotationStatus};

use super::status;
use crate::form::{Fields, Sent};
use crate::own::done;
use crate::page;
use crate::pieces::{
    Card, Empty, Field, Form, Html, Table, Tone, badge, button, count, list as bullets, plural,
    slim_button, soft, with_sub,
};
use crate::reader::{Page, Reader};
use crate::show;
use crate::stop::{Stop, problem_note};

type Answer = Result<HttpResponse, Stop>;

pub(super) fn routes(services: &mut ServiceConfig) {
    page(services, "/master-key", vec![web::get().to(overview)]);
    page(
        services,
        "/master-key/rotate",
        vec![web::get().to(show_rotate), web::post().to(rotate)],
    );
    page(
        services,
        "/master-key/{version}/retire",
        vec![web::get().to(show_retire), web::post().to(retire)],
    );
    page(
        services,
        "/master-key/{version}/destroy",
        vec![web::get().to(show_destroy), web::post().to(destroy)],
    );
}

const fn state_of(state: MasterKekState) -> (Tone, &'static str, &'static str) {
    match state {
        MasterKekState::Newest => (Tone::Good, "Newest", "Wraps and unwraps."),
        MasterKekState::Older => (
            Tone::Plain,
            "Older",
            "Only unwraps what has not been moved yet.",
        ),
        MasterKekState::Retired => (
            Tone::Warn,
            "Retired",
            "Used for nothing; waits to be destroyed.",
        ),
        MasterKekState::Missing => (
            Tone::Bad,
            "Missing",
            "Something is wrapped by it, and the HSM does not hold it.",
        ),
        MasterKekState::Waiting => (
            Tone::Warn,
            "Waiting",
            "Wraps as soon as the second HSM has it, too.",
        ),
        MasterKekState::Unused => (
            Tone::Plain,
            "Unused",
            "The act that made it did not end; it wraps nothing.",
        ),
    }
}

async fn status_of(reader: &Reader) -> Result<RotationStatus, Stop> {
    reader
        .ask(strongroom_keystore::Keystore::rotation_status)
        .await
}

async fn overview(reader: Reader, query: Fields) -> Answer {
    let rotation = status_of(&reader).await?;
    let mut page = Page::new(&reader.frame, "Master key")
        .intro("The master KEK never leaves the HSM. It wraps the KEK of every account, and they seal everything else.")
        .acts(button("/master-key/rotate", "Rotate the master KEK", "main"));
    if let Some(note) = done(&query) {
        page = page.block(note);
    }
    if rotation.left > 0 {
        page = page.block(progress(&rotation));
    }
    let rows = rotation.master_keks.iter().map(|kek| {
        let (tone, name, means) = state_of(kek.state);
        let act = match kek.state {
            MasterKekState::Older if kek.wrapped == 0 => slim_button(
                &format!("/master-key/{}/retire", kek.version),
                "Retire",
                &format!("version {}", kek.version),
                "",
            ),
            MasterKekState::Retired => slim_button(
                &format!("/master-key/{}/destroy", kek.version),
                "Destroy",
                &format!("version {}", kek.version),
                "danger",
            ),
            _ => Html::default(),
        };
        vec![
            Html::from(format!("Version {}", kek.version)),
            with_sub(badge(tone, name), means),
            count(kek.wrapped).into(),
            if kek.recoverable {
                badge(Tone::Good, "By custodians")
            } else {
                soft("No")
            },
            act,
        ]
    });
    let table = Table::new(
        "Versions of the master KEK",
        &["Version", "State", "#Keys wrapped by it", "Recoverable", ""],
    )
    .rows(rows);
    page = page.block(
        Card::new("Versions")
            .intro("Keys that were destroyed are gone from old backups, too, once every version of the master KEK that wrapped what sealed them is destroyed.")
            .table(table)
            .html(),
    );
    let card = Card::new("Account KEKs under rotation");
    let card = if rotation.accounts.is_empty() {
        card.body(Empty::new("None", "An account's KEK is rotated when a member leaves a group, or by hand at the command line.").html())
    } else {
        let rows = rotation.accounts.iter().map(|account| {
            let whole = account.done + account.left;
            vec![
                account.name.as_str().into(),
                account.version.to_string().into(),
                bar(account.done, whole, &account.name),
                count(account.left).into(),
            ]
        });
        let mut card = card.table(
            Table::new(
                "Account KEKs under rotation",
                &["Account", "#Version", "Progress", "#Left"],
            )
            .rows(rows),
        );
        if rotation.accounts_under_way > rotation.accounts.len() as u64 {
            card = card.foot(soft(&format!(
                "{} in all.",
                count(rotation.accounts_under_way)
            )));
        }
        card
    };
    Ok(page.block(card.html()).answer())
}

fn bar(done: u64, whole: u64, about: &str) -> Html {
    Html::fixed(format!(
        "<progress max=\"{}\" value=\"{done}\" aria-label=\"Progress of {}\"></progress>",
        whole.max(1),
        Html::from(about)
    ))
}

fn progress(rotation: &RotationStatus) -> Html {
    let whole: u64 = rotation.master_keks.iter().map(|kek| kek.wrapped).sum();
    let done = whole.saturating_sub(rotation.left);
    let mut words = format!(
        "{} of {} are wrapped by the newest version.",
        count(done),
        plural(whole, "key", "keys")
    );
    if rotation.damaged > 0 {
        words = format!(
            "{words} {} do not match their seals and keep the rotation from ending: see the audit log.",
            plural(rotation.damaged, "record", "records")
        );
    }
    let body = Html::all([
        bar(done, whole, "the rotation"),
        Html::fixed(format!("<p class=\"after\">{}</p>", Html::from(words))),
    ]);
    Card::new("A rotation is under way")
        .intro("It goes on in the background; service is not interrupted. Load the page again to see how far it is.")
        .acts(button("/master-key", "Look again", "slim"))
        .body(body)
        .html()
}

async fn show_rotate(reader: Reader) -> Answer {
    let rotation = status_of(&reader).await?;
    reader.require_recent()?;
    Ok(rotate_page(&reader, &rotation, None))
}

fn rotate_page(
    reader: &Reader,
    rotation: &RotationStatus,
    refused: Option<&Problem>,
) -> HttpResponse {
    let keys: u64 = rotation.master_keks.iter().map(|kek| kek.wrapped).sum();
    let next = rotation
        .master_keks
        .iter()
        .map(|kek| kek.version)
        .max()
        .unwrap_or_default()
        + 1;
    let what = vec![
        Html::from(format!("The HSM makes version {next} of the master KEK.")),
        format!("{} are wrapped again by it in the background. Nobody has to wait, and no key changes for its holders.", plural(keys, "account KEK", "account KEKs")).into(),
        "Once nothing is wrapped by an older version, you can retire it and destroy it.".into(),
        "Make a new backup afterwards, and a new ceremony where custodians hold shares.".into(),
    ];
    let form = Form::new(
        "/master-key/rotate",
        &reader.frame.form_token,
        "Rotate the master KEK",
    )
    .back("/master-key");
    confirm(
        reader,
        "Rotate the master KEK",
        what,
        &form.html(),
        false,
        refused,
    )
}

async fn rotate(reader: Reader, _sent: Sent) -> Answer {
    reader.require_recent_then("/master-key/rotate")?;
    match reader
        .attempt(strongroom_keystore::Keystore::rotate_master_kek)
        .await?
    {
        Ok(changed) => Ok(show::go(&format!(
            "/master-key?done=master-rotated&leaf={}",
            changed.leaf
        ))),
        Err(problem) => {
            let rotation = status_of(&reader).await?;
            Ok(rotate_page(&reader, &rotation, Some(&problem)))
        }
    }
}

async fn version_of(reader: &Reader, version: u32) -> Result<MasterKek, Stop> {
    let rotation = status_of(reader).await?;
    let found = rotation
        .master_keks
        .into_iter()
        .find(|kek| kek.version == version);
    found.ok_or_else(|| Stop::not_found(&reader.frame))
}

async fn show_retire(reader: Reader, path: web::Path<u32>) -> Answer {
    let kek = version_of(&reader, path.into_inner()).await?;
    reader.require_recent()?;
    Ok(retire_page(&reader, &kek, None))
}

fn retire_page(reader: &Reader, kek: &MasterKek, refused: Option<&Problem>) -> HttpResponse {
    let to = format!("/master-key/{}/retire", kek.version);
    let what = vec![
        Html::from(format!(
            "Version {} is used for nothing any more. It still is in the HSM.",
            kek.version
        )),
        "Backups that were made while it was in use can be restored until it is destroyed.".into(),
    ];
    let form = Form::new(&to, &reader.frame.form_token, "Retire the version").back("/master-key");
    confirm(
        reader,
        &format!("Retire version {}", kek.version),
        what,
        &form.html(),
        false,
        refused,
    )
}

async fn retire(reader: Reader, path: web::Path<u32>, _sent: Sent) -> Answer {
    let version = path.into_inner();
    reader.require_recent_then(&format!("/master-key/{version}/retire"))?;
    match reader
        .attempt(move |keystore, caller| keystore.retire_master_kek(caller, version))
        .await?
    {
        Ok(changed) => Ok(show::go(&format!(
            "/master-key?done=master-retired&leaf={}",
            changed.leaf
        ))),
        Err(problem) => {
            let kek = version_of(&reader, version).await?;
            Ok(retire_page(&reader, &kek, Some(&problem)))
        }
    }
}

async fn show_destroy(reader: Reader, path: web::Path<u32>) -> Answer {
    let kek = version_of(&reader, path.into_inner()).await?;
    reader.require_recent()?;
    Ok(destroy_page(&reader, &kek, None))
}

fn destroy_page(reader: &Reader, kek: &MasterKek, refused: Option<&Problem>) -> HttpResponse {
    let to = format!("/master-key/{}/destroy", kek.version);
    let what = vec![
        Html::from(format!("The HSM deletes version {}. This cannot be undone.", kek.version)),
        "Backups from before the rotation can never be opened again: be sure that you have a newer one.".into(),
        "What was destroyed before the rotation is gone from those backups, too, from then on.".into(),
    ];
    let form = Form::new(
        &to,
        &reader.frame.form_token,
        "Destroy the version in the HSM",
    )
    .field(Field::text("confirm", "Type the word destroy to confirm").required())
    .danger()
    .back("/master-key");
    confirm(
        reader,
        &format!("Destroy version {}", kek.version),
        what,
        &form.html(),
        true,
        refused,
    )
}

async fn destroy(reader: Reader, path: web::Path<u32>, sent: Sent) -> Answer {
    let version = path.into_inner();
    reader.require_recent_then(&format!("/master-key/{version}/destroy"))?;
    let answer = if sent.one("confirm").eq_ignore_ascii_case("destroy") {
        reader
            .attempt(move |keystore, caller| keystore.destroy_master_kek(caller, version))
            .await?
    } else {
        Err(Problem::new(
            strongroom_wire::problem::Code::Invalid,
            "Nothing was destroyed: the word was not typed.",
        ))
    };
    match answer {
        Ok(changed) => Ok(show::go(&format!(
            "/master-key?done=master-destroyed&leaf={}",
            changed.leaf
        ))),
        Err(problem) => {
            let kek = version_of(&reader, version).await?;
            Ok(destroy_page(&reader, &kek, Some(&problem)))
        }
    }
}

fn confirm(
    reader: &Reader,
    heading: &str,
    what: Vec<Html>,
    form: &Html,
    danger: bool,
    refused: Option<&Problem>,
) -> HttpResponse {
    let mut page = Page::new(&reader.frame, heading).under("/master-key", "Master key");
    if let Some(problem) = refused {
        page = page.block(problem_note(problem, &reader.here).html());
    }
    let body = Html::all([
        bullets(what),
        Html::fixed(format!("<div class=\"after\">{form}</div>")),
    ]);
    let mut card = Card::new("What this changes").body(body);
    if danger {
        card = card.danger();
    }
    page.block(card.html()).answer_with(status(refused))
}
