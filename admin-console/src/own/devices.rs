//! Devices that the reader paired, and pairing another (RFC 8628).

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use strongroom_wire::device::{
    DecidePairing, Device, DeviceQuery, DeviceState, Pairing, UpdateDevice,
};
use strongroom_wire::id::AccountId;
use strongroom_wire::problem::{Code, Problem};

use crate::form::{Fields, Sent};
use crate::own::done;
use crate::pieces::{
    Card, Choice, Empty, Facts, Field, Form, Html, Note, Table, Tone, badge, button, link, mono,
    soft, when, when_or,
};
use crate::reader::{Page, Reader};
use crate::show;
use crate::stop::{Stop, problem_note};
use crate::words;

type Answer = Result<HttpResponse, Stop>;

const A_PAGE: u32 = 50;

/// How a device stands.
pub(crate) fn state_of(device: &Device) -> Html {
    if device.revoked.is_some() {
        return badge(Tone::Bad, "Revoked");
    }
    let (tone, text) = words::account_state(device.account.state);
    badge(tone, text)
}

pub(super) async fn list(reader: Reader, query: Fields) -> Answer {
    let after = query.some("after").and_then(|after| after.parse().ok());
    let devices = reader
        .ask(move |keystore, caller| {
            let query = DeviceQuery {
                after,
                limit: Some(A_PAGE),
                ..DeviceQuery::default()
            };
            keystore.devices(caller, query)
        })
        .await?;
    let mut page = Page::new(&reader.frame, "Devices")
        .intro("Machines that sign their requests with a secret of their own. Revoke one that is lost: no key is lost with it.")
        .acts(button("/pair", "Pair a device", "main"));
    if let Some(note) = done(&query) {
        page = page.block(note);
    }
    if devices.devices.is_empty() {
        let empty = Empty::new(
            "No devices yet",
            "Start Strongroom on the device; it shows a code of eight letters. Type that code here.",
        )
        .acts(button("/pair", "Pair a device", "main"));
        return Ok(page.block(Card::new("").body(empty.html()).html()).answer());
    }
    let rows = devices.devices.iter().map(|device| {
        vec![
            link(
                &format!("/devices/{}", device.account.id),
                &device.account.name,
            ),
            state_of(device),
            when(device.account.created),
            when_or(device.first_request, "Not yet"),
        ]
    });
    let table = Table::new(
        "My devices",
        &["Device", "State", "Paired", "First request"],
    )
    .rows(rows);
    let mut card = Card::new("").table(table);
    if let Some(next) = devices.next {
        card = card.foot(button(
            &format!("/devices?after={next}"),
            "More devices",
            "slim",
        ));
    }
    Ok(page.block(card.html()).answer())
}

pub(super) async fn show(reader: Reader, path: web::Path<AccountId>) -> Answer {
    let device = device_of(&reader, path.into_inner()).await?;
    Ok(device_page(&reader, &device, None))
}

async fn device_of(reader: &Reader, device: AccountId) -> Result<Device, Stop> {
    reader
        .ask(move |keystore, caller| keystore.device(caller, device))
        .await
}

/// What there is to say of a device.
pub(crate) fn facts(device: &Device) -> Html {
    Facts::new()
        .with("State", state_of(device))
        .with_some("Serial number", device.serial.as_deref().map(mono))
        .with_some("Fleet", device.fleet.as_deref())
        .with_some("Paired by", device.paired_by_name.as_deref())
        .with("Made", when(device.account.created))
        .with("First request", when_or(device.first_request, "Not yet"))
        .with_some(
            "Secret's generation",
            device.generation.map(|generation| generation.to_string()),
        )
        .with_some("Secret made", device.secret_created.map(when))
        .with_some("Revoked", device.revoked.map(when))
        .with("Identifier", mono(&device.account.id.to_string()))
        .html()
}

/// What a device can be made, as a form.
pub(crate) fn state_form(to: &str, token: &str, device: &Device) -> Option<Html> {
    if device.revoked.is_some() {
        return None;
    }
    let suspended = device.account.state == strongroom_wire::account::AccountState::Suspended;
    let mut choices = Vec::new();
    if suspended {
        choices
            .push(Choice::new("active", "Active", false).hint("Its requests are admitted again."));
    } else {
        choices.push(
            Choice::new("suspended", "Suspended", false)
                .hint("Its requests are refused until it is made active again."),
        );
    }
    choices.push(Choice::new("revoked", "Revoked", false).hint(
        "Its secrets are deleted, and it never comes back. For a device that is lost or sold.",
    ));
    let form = Form::new(to, token, "Change the device")
        .field(Field::radios("state", "It becomes", choices))
        .class("danger");
    Some(form.html())
}

pub(crate) fn wanted_state(sent: &Fields) -> Option<DeviceState> {
    match sent.one("state") {
        "active" => Some(DeviceState::Active),
        "suspended" => Some(DeviceState::Suspended),
        "revoked" => Some(DeviceState::Revoked),
        _ => None,
    }
}

fn device_page(reader: &Reader, device: &Device, refused: Option<&Problem>) -> HttpResponse {
    let to = format!("/devices/{}", device.account.id);
    let mut page = Page::new(&reader.frame, &device.account.name).under("/devices", "Devices");
    if let Some(problem) = refused {
        page = page.block(problem_note(problem, &to).html());
    }
    page = page.block(Card::new("Device").body(facts(device)).html());
    if let Some(form) = state_form(&to, &reader.frame.form_token, device) {
        page = page.block(Card::new("Suspend or revoke it").body(form).html());
    }
    let status = refused.map_or(StatusCode::OK, |problem| {
        StatusCode::from_u16(problem.status).unwrap_or_default()
    });
    page.answer_with(status)
}

pub(super) async fn change(reader: Reader, path: web::Path<AccountId>, sent: Sent) -> Answer {
    let id = path.into_inner();
    let answer = match wanted_state(&sent) {
        Some(state) => {
            let request = UpdateDevice {
                state: Some(state),
                fleet: None,
            };
            reader
                .attempt(move |keystore, caller| keystore.update_device(caller, id, request))
                .await?
        }
        None => Err(Problem::new(
            Code::Invalid,
            "Choose what the device becomes.",
        )),
    };
    match answer {
        Ok(changed) => Ok(show::go(&format!(
            "/devices?done=device&leaf={}",
            changed.leaf
        ))),
        Err(problem) => {
            let device = device_of(&reader, id).await?;
            Ok(device_page(&reader, &device, Some(&problem)))
        }
    }
}

/// Asks for the code that a device shows, and shows what asks with it.
pub(super) async fn ask_pair(reader: Reader, query: Fields) -> Answer {
    let Some(code) = query.some("code").map(str::to_owned) else {
        return Ok(code_page(&reader, "", None));
    };
    let asked = code.clone();
    match reader
        .wait(move |visit, caller| visit.sign_ins.pairing(caller, &asked))
        .await?
    {
        Ok(pairing) => Ok(decide_page(&reader, &code, &pairing, None)),
        Err(problem) => Ok(code_page(&reader, &code, Some(&problem))),
    }
}

fn code_page(reader: &Reader, code: &str, refused: Option<&Problem>) -> HttpResponse {
    let field = Field::text("code", "Code")
        .hint("Eight letters, such as WDJB-MJHT.")
        .value(code)
        .class("code")
        .wrong(refused.map(|problem| problem.detail.as_str()))
        .required()
        .focus();
    let form = Html::fixed(format!(
        "<form class=\"stack\" method=\"get\" action=\"/pair\">{}<div class=\"acts\"><button type=\"submit\" class=\"button main\">Look for the device</button></div></form>",
        field.html()
    ));
    Page::new(&reader.frame, "Pair a device")
        .under("/devices", "Devices")
        .intro("Type the code that the device shows. You see what asks before anything happens.")
        .block(Card::new("").body(form).foot(soft("At a command line where you are signed in, strongroom devices pair CODE does the same.")).html())
        .answer()
}

fn decide_page(
    reader: &Reader,
    code: &str,
    pairing: &Pairing,
    refused: Option<&Problem>,
) -> HttpResponse {
    let facts = Facts::new()
        .with("It calls itself", pairing.client.as_str())
        .with("It asks from", mono(&pairing.source))
        .with("Asked", when(pairing.requested))
        .with("The code lapses", when(pairing.expires));
    let token = &reader.frame.form_token;
    let approve = Form::new("/pair", token, "Pair this device")
        .field(Field::text("name", "Name of its account").hint("Empty: what it calls itself."))
        .field(Field::hidden("code", code))
        .field(Field::hidden("decision", "approve"));
    let deny = Form::new("/pair", token, "Deny it")
        .field(Field::hidden("code", code))
        .field(Field::hidden("decision", "deny"))
        .class("danger");
    let mut page = Page::new(&reader.frame, "Pair this device?")
        .under("/devices", "Devices")
        .block(Note::new(Tone::Warn, "Only if you have it before you", "Whoever sent you a code wants to be let in with your keys' help. Pair only a device that you hold, or whose screen you see.").html());
    if let Some(problem) = refused {
        page = page.block(problem_note(problem, "").html());
    }
    page.block(Card::new("The device").body(facts.html()).html())
        .block(
            Card::new("Decide")
                .body(Html::all([
                    approve.html(),
                    Html::fixed(format!("<div class=\"after\">{}</div>", deny.html())),
                ]))
                .foot(soft("Its account is yours to suspend and to revoke."))
                .html(),
        )
        .answer()
}

pub(super) async fn pair(reader: Reader, sent: Sent) -> Answer {
    let code = sent.one("code").to_owned();
    let approve = sent.one("decision") == "approve";
    let request = DecidePairing {
        approve,
        name: sent.some("name").map(str::to_owned),
    };
    let asked = code.clone();
    match reader
        .wait(move |visit, caller| visit.sign_ins.decide_pairing(caller, &asked, request))
        .await?
    {
        Ok(decided) => {
            let done = if decided.device.is_some() {
                "paired"
            } else {
                "denied"
            };
            Ok(show::go(&format!(
                "/devices?done={done}&leaf={}",
                decided.leaf
            )))
        }
        Err(refused) => {
            let asked = code.clone();
            match reader
                .wait(move |visit, caller| visit.sign_ins.pairing(caller, &asked))
                .await?
            {
                Ok(pairing) => Ok(decide_page(&reader, &code, &pairing, Some(&refused))),
                Err(problem) => Ok(code_page(&reader, &code, Some(&problem))),
            }
        }
    }
}
