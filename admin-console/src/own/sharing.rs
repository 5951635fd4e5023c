//! Sharing a key, and revoking a grant.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use strongroom_wire::id::{GrantId, KeyId};
use strongroom_wire::key::{Key, Right, ShareKey};
use strongroom_wire::problem::{Code, Problem};

use super::key::title;
use super::key_acts::{confirm, key_of};
use super::policy::{self, grant_of};
use crate::form::Sent;
use crate::pieces::{Card, Choice, Field, Form, Html, list};
use crate::reader::{Page, Reader};
use crate::show;
use crate::stop::{Stop, problem_note};
use crate::words;

type Answer = Result<HttpResponse, Stop>;

/// What a grantee gets where nothing else is chosen.
const USUAL: [Right; 3] = [Right::Release, Right::Decrypt, Right::Verify];

pub(super) async fn show(reader: Reader, path: web::Path<KeyId>) -> Answer {
    let key = key_of(&reader, path.into_inner()).await?;
    reader.require_policy_recent()?;
    Ok(page(&reader, &key, None, None))
}

pub(super) async fn share(reader: Reader, path: web::Path<KeyId>, sent: Sent) -> Answer {
    let id = path.into_inner();
    let answer = match read(&sent) {
        Ok(request) => {
            reader
                .attempt(move |keystore, caller| keystore.share(caller, id, request))
                .await?
        }
        Err(problem) => Err(problem),
    };
    match answer {
        Ok(shared) => Ok(show::go(&format!(
            "/keys/{id}?done=shared&leaf={}",
            shared.leaf
        ))),
        Err(problem) => {
            let key = key_of(&reader, id).await?;
            Ok(page(&reader, &key, Some(&sent), Some(&problem)))
        }
    }
}

fn read(sent: &Sent) -> Result<ShareKey, Problem> {
    let rights: Vec<Right> = Right::ALL
        .into_iter()
        .filter(|right| sent.has("may", words::right_value(*right)))
        .collect();
    if rights.is_empty() {
        return Err(Problem::new(
            Code::Invalid,
            "Choose at least one thing that the grantee may do.",
        ));
    }
    Ok(ShareKey {
        grantee: sent.one("grantee").to_owned(),
        rights: Some(rights),
        policy: policy::read(sent)?,
    })
}

fn page(
    reader: &Reader,
    key: &Key,
    sent: Option<&Sent>,
    refused: Option<&Problem>,
) -> HttpResponse {
    let to = format!("/keys/{}/share", key.id);
    let back = format!("/keys/{}", key.id);
    let may = Right::ALL
        .into_iter()
        .filter(|right| key.rights.contains(right))
        .map(|right| {
            let value = words::right_value(right);
            let chosen = sent.map_or(USUAL.contains(&right), |sent| sent.has("may", value));
            Choice::new(value, words::right_means(right), chosen)
        });
    let limits = match sent {
        Some(sent) => policy::sent_fields(sent),
        None => policy::fields(&strongroom_wire::policy::UsagePolicy::default()),
    };
    let unknown = refused.filter(|problem| problem.code == Code::AccountNotFound);
    let mut form = Form::new(&to, &reader.frame.form_token, "Share the key")
        .field(
            Field::text("grantee", "With")
                .hint("The name of a person, device, service or group of this appliance.")
                .value(sent.map_or("", |sent| sent.one("grantee")))
                .wrong(unknown.map(|problem| problem.detail.as_str()))
                .required()
                .focus(),
        )
        .field(Field::checks("may", "They may", may.collect()))
        .back(&back);
    let folded = Html::all(
        policy::pieces(&limits)
            .into_iter()
            .map(|piece| Html::fixed(format!("<div class=\"after\">{piece}</div>"))),
    );
    form = form.piece(Html::fixed(format!(
        "<details class=\"more\"><summary>Limit when, how often and from where</summary>{folded}</details>"
    )));
    let heading = format!("Share: {}", title(key));
    let mut page = Page::new(&reader.frame, &heading)
        .under("/keys", "My keys")
        .under(back.as_str(), title(key))
        .intro("The grantee gets a sealed copy of their own, with no more than your own rights. You can revoke it at any time.");
    if let Some(problem) = refused.filter(|_| unknown.is_none()) {
        page = page.block(problem_note(problem, &to).html());
    }
    let status = refused.map_or(StatusCode::OK, |problem| {
        StatusCode::from_u16(problem.status).unwrap_or_default()
    });
    page.block(Card::new("").body(form.html()).html())
        .answer_with(status)
}

pub(super) async fn show_revoke(reader: Reader, path: web::Path<(KeyId, GrantId)>) -> Answer {
    let (key, grant) = path.into_inner();
    revoke_page(&reader, key, grant, None).await
}

pub(super) async fn revoke(
    reader: Reader,
    path: web::Path<(KeyId, GrantId)>,
    _sent: Sent,
) -> Answer {
    let (key, grant) = path.into_inner();
    match reader
        .attempt(move |keystore, caller| keystore.revoke(caller, key, grant))
        .await?
    {
        Ok(done) => Ok(show::go(&format!(
            "/keys/{key}?done=revoked&leaf={}",
            done.leaf
        ))),
        Err(problem) => revoke_page(&reader, key, grant, Some(&problem)).await,
    }
}

async fn revoke_page(
    reader: &Reader,
    key: KeyId,
    grant: GrantId,
    refused: Option<&Problem>,
) -> Answer {
    let (key, grant) = grant_of(reader, key, grant).await?;
    let to = format!("/keys/{}/grants/{}/revoke", key.id, grant.id);
    let back = format!("/keys/{}", key.id);
    let who = &grant.grantee_name;
    let what = list([
        Html::from(format!("{who} loses the key at once, from every device.")),
        "What they received before, they may have kept: rotate the key if what is protected from now on shall be closed to them.".into(),
        "If they shared it with others, those keep their own grants.".into(),
    ]);
    let form = Form::new(&to, &reader.frame.form_token, "Revoke the grant")
        .danger()
        .back(&back);
    Ok(confirm(
        reader,
        &key,
        &format!("Revoke {who}"),
        what,
        &form.html(),
        false,
        refused,
    ))
}
