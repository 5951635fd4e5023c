//! Devices and fleets of the domain, and bulk import.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::HttpResponse;
use actix_web::body::{BodySize, MessageBody};
use actix_web::web::{self, Bytes, ServiceConfig};
use strongroom_keystore::{AccountSearch, Answer as KeystoreAnswer, Keystore, Presented};
use strongroom_wire::device::{Device, DeviceQuery, DeviceState, ImportQuery, UpdateDevice};
use strongroom_wire::encoding::Base64;
use strongroom_wire::id::AccountId;
use strongroom_wire::problem::{Code, Problem};
use tokio::sync::mpsc;

use super::status;
use crate::form::{Fields, Sent};
use crate::own::{devices as shared, done, search_form};
use crate::page;
use crate::pieces::{
    Card, Choice, Empty, Field, Form, Html, Table, address, button, link, list as bullets, mono,
    soft, when_or, with_sub,
};
use crate::reader::{Page, Reader};
use crate::show;
use crate::stop::{Stop, problem_note};

type Answer = Result<HttpResponse, Stop>;

const A_PAGE: u32 = 50;
/// The largest import, in bytes: a hundred thousand lines of CSV.
const LARGEST_IMPORT: usize = 16 * 1024 * 1024;

pub(super) fn routes(services: &mut ServiceConfig) {
    page(services, "/fleet", vec![web::get().to(list)]);
    page(
        services,
        "/fleet/import",
        vec![web::get().to(show_import), web::post().to(import)],
    );
    page(
        services,
        "/fleet/all",
        vec![web::get().to(show_all), web::post().to(change_all)],
    );
    page(
        services,
        "/fleet/{device}",
        vec![web::get().to(show), web::post().to(change)],
    );
}

async fn list(reader: Reader, query: Fields) -> Answer {
    let asked = DeviceQuery {
        fleet: query.some("fleet").map(str::to_owned),
        serial: query.some("serial").map(str::to_owned),
        after: query.some("after").and_then(|after| after.parse().ok()),
        limit: Some(A_PAGE),
    };
    let searched = asked.fleet.is_some() || asked.serial.is_some();
    // Those who administer nothing see what they paired, on the client listener.
    let found = reader
        .ask(move |keystore, caller| {
            require_administrator(keystore, caller)?;
            keystore.devices(caller, asked)
        })
        .await?;
    let mut acts = vec![button("/fleet/import", "Import devices", "main")];
    if let Some(fleet) = query.some("fleet").filter(|_| !found.devices.is_empty()) {
        acts.push(button(
            &address("/fleet/all", &[("fleet", fleet)]),
            "Suspend or revoke this fleet",
            "danger",
        ));
    }
    let mut page = Page::new(&reader.frame, "Devices")
        .intro("Machines that sign their requests with a secret of their own, one by one or in fleets.")
        .acts(Html::all(acts));
    if let Some(note) = done(&query) {
        page = page.block(note);
    }
    let fields = [
        Field::search("serial", "Serial number is").value(query.one("serial")),
        Field::text("fleet", "Fleet is").value(query.one("fleet")),
    ]
    .map(|field| field.html());
    page = page.block(search_form("/fleet", &fields));
    if found.devices.is_empty() {
        let empty = if searched {
            Empty::new(
                "No device matches",
                "Serial numbers and fleets are looked for as they are written.",
            )
            .acts(button("/fleet", "Show all devices", ""))
        } else {
            Empty::new("No devices yet", "Import many at once from a list of serial numbers; their secrets go to your factory, wrapped to its key.").acts(button("/fleet/import", "Import devices", "main"))
        };
        return Ok(page.block(Card::new("").body(empty.html()).html()).answer());
    }
    let rows = found.devices.iter().map(|device| {
        let name = link(
            &format!("/fleet/{}", device.account.id),
            &device.account.name,
        );
        vec![
            match &device.serial {
                Some(serial) => with_sub(name, mono(serial)),
                None => name,
            },
            shared::state_of(device),
            device.fleet.as_deref().map_or_else(
                || soft("—"),
                |fleet| link(&address("/fleet", &[("fleet", fleet)]), fleet),
            ),
            when_or(device.first_request, "Not yet"),
        ]
    });
    let table = Table::new("Devices", &["Device", "State", "Fleet", "First request"]).rows(rows);
    let mut card = Card::new("").table(table);
    if let Some(next) = found.next {
        let to = address(
            "/fleet",
            &[("fleet", query.one("fleet")), ("after", &next.to_string())],
        );
        card = card.foot(button(&to, "More devices", "slim"));
    }
    Ok(page.block(card.html()).answer())
}

async fn device_of(reader: &Reader, id: AccountId) -> Result<Device, Stop> {
    reader
        .ask(move |keystore, caller| keystore.device(caller, id))
        .await
}

async fn show(reader: Reader, path: web::Path<AccountId>) -> Answer {
    let device = device_of(&reader, path.into_inner()).await?;
    Ok(device_page(&reader, &device, None))
}

fn device_page(reader: &Reader, device: &Device, refused: Option<&Problem>) -> HttpResponse {
    let to = format!("/fleet/{}", device.account.id);
    let token = &reader.frame.form_token;
    let mut page = Page::new(&reader.frame, &device.account.name).under("/fleet", "Devices");
    if let Some(problem) = refused {
        page = page.block(problem_note(problem, &to).html());
    }
    page = page.block(Card::new("Device").body(shared::facts(device)).html());
    if device.revoked.is_none() {
        let fleet = Form::new(&to, token, "Move it")
            .field(
                Field::text("fleet", "Fleet")
                    .hint("Empty: none.")
                    .value(device.fleet.as_deref().unwrap_or_default()),
            )
            .field(Field::hidden("act", "move"))
            .class("");
        page = page.block(Card::new("Fleet").body(fleet.html()).html());
    }
    if let Some(form) = shared::state_form(&to, token, device) {
        page = page.block(Card::new("Suspend or revoke it").body(form).html());
    }
    page.answer_with(status(refused))
}

async fn change(reader: Reader, path: web::Path<AccountId>, sent: Sent) -> Answer {
    let id = path.into_inner();
    let request = if sent.one("act") == "move" {
        Some(UpdateDevice {
            state: None,
            fleet: Some(sent.one("fleet").to_owned()),
        })
    } else {
        shared::wanted_state(&sent).map(|state| UpdateDevice {
            state: Some(state),
            fleet: None,
        })
    };
    let answer = match request {
        Some(request) => {
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
            "/fleet?done=device&leaf={}",
            changed.leaf
        ))),
        Err(problem) => {
            let device = device_of(&reader, id).await?;
            Ok(device_page(&reader, &device, Some(&problem)))
        }
    }
}

async fn show_all(reader: Reader, query: Fields) -> Answer {
    let fleet = query.one("fleet").to_owned();
    let asked = DeviceQuery {
        fleet: Some(fleet.clone()),
        limit: Some(1),
        ..DeviceQuery::default()
    };
    let found = reader
        .ask(move |keystore, caller| {
            require_administrator(keystore, caller)?;
            keystore.devices(caller, asked)
        })
        .await?;
    if fleet.is_empty() || found.devices.is_empty() {
        let empty = if fleet.is_empty() {
            Empty::new(
                "No fleet is chosen",
                "Look for a fleet by its name: its devices then have a button by which all of them are changed.",
            )
        } else {
            Empty::new(
                "No device is in this fleet",
                "Fleets are looked for as they are written. Which fleet a device is in stands in the list of devices.",
            )
        };
        return Ok(Page::new(&reader.frame, "A whole fleet")
            .under("/fleet", "Devices")
            .block(
                Card::new("")
                    .body(
                        empty
                            .acts(button("/fleet", "Choose a fleet", "main"))
                            .html(),
                    )
                    .html(),
            )
            .answer());
    }
    reader.require_recent()?;
    Ok(all_page(&reader, &fleet, None))
}

fn all_page(reader: &Reader, fleet: &str, refused: Option<&Problem>) -> HttpResponse {
    let heading = format!("Fleet {fleet}");
    let choices = vec![
        Choice::new("suspended", "Suspended", false).hint(
            "Requests of every device in the fleet are refused until it is made active again.",
        ),
        Choice::new("active", "Active", false)
            .hint("Those that are suspended are admitted again. Those that are revoked stay so."),
        Choice::new("revoked", "Revoked", false)
            .hint("The secrets of all of them are deleted, and none comes back."),
    ];
    let form = Form::new(
        "/fleet/all",
        &reader.frame.form_token,
        "Change the whole fleet",
    )
    .field(Field::hidden("fleet", fleet))
    .field(Field::radios(
        "state",
        "Every device of the fleet becomes",
        choices,
    ))
    .danger()
    .back("/fleet");
    let mut page = Page::new(&reader.frame, &heading)
        .under("/fleet", "Devices")
        .intro("All devices of the fleet are changed, or none.");
    if let Some(problem) = refused {
        page = page.block(problem_note(problem, "").html());
    }
    page.block(Card::new("").body(form.html()).danger().html())
        .answer_with(status(refused))
}

async fn change_all(reader: Reader, sent: Sent) -> Answer {
    let fleet = sent.one("fleet").to_owned();
    reader.require_recent_then(&address("/fleet/all", &[("fleet", &fleet)]))?;
    let state: Option<DeviceState> = shared::wanted_state(&sent);
    let named = fleet.clone();
    let answer = match state {
        Some(state) => {
            reader
                .attempt(move |keystore, caller| keystore.update_fleet(caller, named, state))
                .await?
        }
        None => Err(Problem::new(
            Code::Invalid,
            "Choose what the devices become.",
        )),
    };
    match answer {
        Ok(changed) => Ok(show::go(&address(
            "/fleet",
            &[
                ("fleet", &fleet),
                ("done", "fleet"),
                ("leaf", &changed.leaf.to_string()),
            ],
        ))),
        Err(problem) => Ok(all_page(&reader, &fleet, Some(&problem))),
    }
}

async fn show_import(reader: Reader) -> Answer {
    reader.ask(require_administrator).await?;
    Ok(import_page(&reader, None, None))
}

fn import_page(
    reader: &Reader,
    sent: Option<&Sent<LARGEST_IMPORT>>,
    refused: Option<&Problem>,
) -> HttpResponse {
    let said = |name: &str| sent.map_or("", |sent| sent.one(name));
    let form = Form::new("/fleet/import", &reader.frame.form_token, "Import")
        .field(Field::area("factory_key", "Factory's public key").hint("Base64url, 1216 bytes, as strongroom devices factory-key prints it. The devices' secrets are wrapped to it.").value(said("factory_key")).required())
        .field(Field::text("fleet", "Fleet").hint("Of the devices whose line names none; may be empty.").value(said("fleet")))
        .field(Field::file("manifest_file", "Manifest as a file", "manifest"))
        .field(Field::area("manifest", "Manifest").hint("CSV: serial,name,fleet, one device a line; the last two may be missing.").value(said("manifest")).required())
        .field(Field::checks("replace", "Devices that exist", vec![Choice::new("yes", "Give new secrets to those that have made no request", sent.is_some_and(|sent| sent.has("replace", "yes"))).hint("For when the answer to an earlier import was lost.")]))
        .back("/fleet")
        .data(&[("import", "yes")]);
    let progress = Html::fixed("<div id=\"import-progress\" hidden><p data-words role=\"status\">Sending</p><p><progress max=\"1\" value=\"0\" aria-label=\"Progress of the import\"></progress></p><p class=\"acts after\"><a class=\"button main\" download=\"strongroom-devices.ndjson\" hidden>Save the devices and their secrets</a></p></div>".to_owned());
    let what = bullets([
        Html::from("Each device gets an account and a secret of its own."),
        "The answer is a file with a line for each device. The secrets stand there and nowhere else, wrapped to your factory's key: keep it for the factory.".into(),
        "An import that was interrupted goes on when it is sent again.".into(),
    ]);
    let mut page = Page::new(&reader.frame, "Import devices")
        .under("/fleet", "Devices")
        .scripts(&["progress.js", "import.js"]);
    if let Some(problem) = refused {
        page = page.block(problem_note(problem, "").html());
    }
    page.block(Card::new("What this does").body(what).html())
        .block(
            Card::new("")
                .body(Html::all([
                    form.html(),
                    Html::fixed(format!("<div class=\"after\">{progress}</div>")),
                ]))
                .html(),
        )
        .answer_with(status(refused))
}

async fn import(reader: Reader, sent: Sent<LARGEST_IMPORT>) -> Answer {
    let Ok(factory_key) = sent.one("factory_key").parse::<Base64>() else {
        let problem = Problem::new(Code::Invalid, "The factory's key is no base64url.");
        return Ok(import_page(&reader, Some(&sent), Some(&problem)));
    };
    let query = ImportQuery {
        factory_key,
        fleet: sent.some("fleet").map(str::to_owned),
        replace_secrets: sent.has("replace", "yes"),
    };
    let manifest = sent.raw("manifest").as_bytes().to_vec();
    let begun = reader
        .wait(move |visit, caller| visit.sign_ins.import_devices(caller, query, &manifest))
        .await?;
    match begun {
        Ok(lines) => Ok(
            show::download("strongroom-devices.ndjson", "application/x-ndjson").body(Pieces(lines)),
        ),
        Err(problem) => Ok(import_page(&reader, Some(&sent), Some(&problem))),
    }
}

/// Whoever may not manage accounts is told so before they fill in a form.
fn require_administrator(keystore: &Keystore, caller: &Presented) -> KeystoreAnswer<()> {
    let one = AccountSearch {
        limit: 1,
        ..AccountSearch::default()
    };
    keystore.find_accounts(caller, one).map(drop)
}

/// An answer that comes in pieces.
struct Pieces(mpsc::Receiver<Bytes>);

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
