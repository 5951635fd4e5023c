//! Devices, fleets, and the secrets of devices and services.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, ContentType};
use actix_web::{HttpRequest, HttpResponse, get, patch, post, web};
use serde::de::Error as _;
use strongroom_keystore::devices::DeviceImport;
use strongroom_keystore::{Keystore, Presented};
use strongroom_wire::device::{
    ChangedDevice, ChangedFleet, Device, DevicePage, DeviceQuery, ImportDevices, ImportLine,
    ImportQuery, IssuedSecret, NewDevice, UpdateDevice, UpdateFleet,
};
use strongroom_wire::id::AccountId;
use strongroom_wire::problem::Code;
use tokio::sync::mpsc;

use super::body::{self, Json, Object};
use super::{Answer, BodyLimits, acted, ask, shown};
use crate::auth::Caller;
use crate::gate::OpenKeystore;
use crate::problems::Failure;

/// Pieces of an answer that may wait for a slow client.
const WAITING_PIECES: usize = 4;

/// List devices.
///
/// Administrators see all of them; others see those that they paired.
#[utoipa::path(
    tag = "devices",
    operation_id = "list_devices",
    params(DeviceQuery),
    responses((status = 200, description = "A page of devices, the oldest first.", body = DevicePage)),
)]
#[get("/v1/devices")]
pub(super) async fn list(
    caller: Caller,
    query: web::Query<DeviceQuery>,
    keystore: OpenKeystore,
) -> Answer {
    let query = query.into_inner();
    let page = ask(keystore, move |keystore| keystore.devices(&caller, query)).await?;
    Ok(shown(&page))
}

/// Show a device.
///
/// For administrators and who paired it.
#[utoipa::path(
    tag = "devices",
    operation_id = "show_device",
    params(("device" = AccountId, Path, description = "The device's account.")),
    responses((status = 200, description = "The device.", body = Device)),
)]
#[get("/v1/devices/{device}")]
pub(super) async fn show(
    caller: Caller,
    device: web::Path<AccountId>,
    keystore: OpenKeystore,
) -> Answer {
    let device = device.into_inner();
    let device = ask(keystore, move |keystore| keystore.device(&caller, device)).await?;
    Ok(shown(&device))
}

/// Suspend, revoke or move a device.
///
/// By administrators and, but for its fleet, who paired it. What is revoked stays so.
#[utoipa::path(
    tag = "devices",
    operation_id = "update_device",
    params(("device" = AccountId, Path, description = "The device's account.")),
    request_body = UpdateDevice,
    responses((status = 200, description = "The device as it is now.", body = ChangedDevice)),
)]
#[patch("/v1/devices/{device}")]
pub(super) async fn update(
    caller: Caller,
    device: web::Path<AccountId>,
    Json(request): Json<UpdateDevice>,
    keystore: OpenKeystore,
) -> Answer {
    let device = device.into_inner();
    let changed = ask(keystore, move |keystore| {
        keystore.update_device(&caller, device, request)
    })
    .await?;
    Ok(acted(StatusCode::OK, &changed, changed.leaf))
}

/// Suspend or revoke all devices of a fleet.
///
/// Administrators only. All are changed or none.
#[utoipa::path(
    tag = "devices",
    operation_id = "update_fleet",
    params(("fleet" = String, Path, description = "The fleet's name.")),
    request_body = UpdateFleet,
    responses((status = 200, description = "How many devices were changed.", body = ChangedFleet)),
)]
#[patch("/v1/fleets/{fleet}")]
pub(super) async fn update_fleet(
    caller: Caller,
    fleet: web::Path<String>,
    Json(request): Json<UpdateFleet>,
    keystore: OpenKeystore,
) -> Answer {
    let fleet = fleet.into_inner();
    let changed = ask(keystore, move |keystore| {
        keystore.update_fleet(&caller, fleet, request.state)
    })
    .await?;
    Ok(acted(StatusCode::OK, &changed, changed.leaf))
}

/// Make a new secret for a device or service.
///
/// By itself, by who paired it, or, until its first request, by an administrator. The secret that signed the request counts until
/// the new one has been used; others are void at once.
#[utoipa::path(
    tag = "devices",
    operation_id = "issue_secret",
    params(("account" = AccountId, Path, description = "The device's or service's account.")),
    responses((status = 200, description = "The secret, wrapped under the caller's transport key.", body = IssuedSecret)),
)]
#[post("/v1/accounts/{account}/secret")]
pub(super) async fn issue_secret(
    caller: Caller,
    account: web::Path<AccountId>,
    keystore: OpenKeystore,
) -> Answer {
    let account = account.into_inner();
    let issued = ask(keystore, move |keystore| {
        keystore.issue_secret(&caller, account)
    })
    .await?;
    Ok(acted(StatusCode::OK, &issued, issued.leaf))
}

/// Make many devices.
///
/// Administrators only. The manifest is JSON, or CSV (`text/csv`) with the other members in the query. The answer comes line by line while the
/// devices are made; their secrets are wrapped to the factory's key and stand nowhere else. An import that was interrupted goes on when it is
/// sent again.
#[utoipa::path(
    tag = "devices",
    operation_id = "import_devices",
    params(ImportQuery),
    request_body(content((ImportDevices = "application/json"), (String = "text/csv"))),
    responses((status = 200, description = "What became of each device.", body = ImportLine, content_type = "application/x-ndjson")),
)]
#[post("/v1/devices/import")]
pub(super) async fn import(
    caller: Caller,
    request: HttpRequest,
    body: web::Payload,
    limits: web::Data<BodyLimits>,
    keystore: OpenKeystore,
) -> Answer {
    let body = body::bytes(&request, body, limits.of(true)).await?;
    let manifest = read_manifest(&request, &body)?;
    let shared = keystore.clone();
    let devices = ask(keystore, move |keystore| {
        keystore.import_devices(&caller, manifest)
    })
    .await?;
    Ok(HttpResponse::Ok()
        .content_type("application/x-ndjson")
        .body(Lines(lines(devices, shared))))
}

/// An import of a manifest in CSV, for the console: the lines of its answer. It may wait.
pub(crate) fn import_csv(
    keystore: &OpenKeystore,
    caller: &Presented,
    query: ImportQuery,
    csv: &[u8],
) -> Result<mpsc::Receiver<web::Bytes>, Failure> {
    let manifest = manifest_of(query, read_csv(csv)?);
    let devices = keystore.import_devices(caller, manifest)?;
    Ok(lines(devices, keystore.clone()))
}

/// Begins to make the devices of an import, and answers what is said of them.
fn lines(devices: DeviceImport, keystore: OpenKeystore) -> mpsc::Receiver<web::Bytes> {
    let (sender, receiver) = mpsc::channel(WAITING_PIECES);
    // Ends by itself: when all is done, or nobody reads any more.
    drop(web::block(move || make(devices, &keystore, &sender)));
    receiver
}

/// Makes the devices of an import and tells of them, as long as somebody listens.
fn make(mut wanted: DeviceImport, keystore: &Keystore, answer: &mpsc::Sender<web::Bytes>) {
    let say = |lines: &[ImportLine]| {
        let mut text = Vec::new();
        for line in lines {
            // Writing to memory does not fail, and these types have a JSON form.
            let _ = serde_json::to_writer(&mut text, line);
            text.push(b'\n');
        }
        answer.blocking_send(text.into()).is_ok()
    };
    let (mut created, mut replaced, mut existing, mut refused) = (0, 0, 0, 0);
    let devices = wanted.len() as u64;
    let mut heard = say(&[ImportLine::Started { devices }]);
    while heard && !wanted.is_empty() {
        let lines = match wanted.next(keystore) {
            Ok(lines) => lines,
            Err(refusal) => {
                tracing::warn!(error = %refusal.error, left = wanted.len(), "an import of devices stopped");
                say(&[ImportLine::Failed(refusal.problem())]);
                return;
            }
        };
        for line in &lines {
            match line {
                ImportLine::Created(_) => created += 1,
                ImportLine::Replaced(_) => replaced += 1,
                ImportLine::Existing { .. } => existing += 1,
                ImportLine::Refused { .. } => refused += 1,
                _ => {}
            }
        }
        heard = say(&lines);
    }
    if heard {
        say(&[ImportLine::Done {
            created,
            replaced,
            existing,
            refused,
        }]);
    } else {
        tracing::warn!(
            left = wanted.len(),
            "an import of devices stopped: nobody listens any more"
        );
    }
}

/// An answer that comes in pieces.
struct Lines(mpsc::Receiver<web::Bytes>);

impl MessageBody for Lines {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<web::Bytes, Infallible>>> {
        self.0.poll_recv(context).map(|piece| piece.map(Ok))
    }
}

fn read_manifest(request: &HttpRequest, body: &[u8]) -> Result<ImportDevices, Failure> {
    let content_type = request.headers().get(CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    let content_type = content_type.and_then(|value| value.split(';').next());
    match content_type.map(|value| value.trim().to_ascii_lowercase()) {
        Some(csv) if csv == "text/csv" => {
            let query = web::Query::<ImportQuery>::from_query(request.query_string())?;
            Ok(manifest_of(query.into_inner(), read_csv(body)?))
        }
        Some(json) if json == ContentType::json().to_string() => serde_json::from_slice(body)
            .map(|Object(manifest)| manifest)
            .map_err(|error| {
                actix_web::error::JsonPayloadError::Deserialize(serde_json::Error::custom(error))
                    .into()
            }),
        _ => Err(Failure::new(
            Code::Malformed,
            "The manifest must be JSON with the content type application/json, or CSV with text/csv.",
        )),
    }
}

fn manifest_of(query: ImportQuery, devices: Vec<NewDevice>) -> ImportDevices {
    ImportDevices {
        factory_key: query.factory_key,
        fleet: query.fleet,
        replace_secrets: query.replace_secrets,
        devices,
    }
}

/// Lines of `serial,name,fleet`; the first may name the columns. Empty lines and those that begin with `#` do not count.
fn read_csv(body: &[u8]) -> Result<Vec<NewDevice>, Failure> {
    let mut columns = ["serial", "name", "fleet"].map(str::to_owned).to_vec();
    let mut devices = Vec::new();
    let records = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .comment(Some(b'#'))
        .from_reader(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body))
        .into_records();
    for (index, record) in records.enumerate() {
        let malformed = |what: &str| {
            let line = index + 1;
            Failure::new(
                Code::Malformed,
                format!("Line {line} of the manifest {what}."),
            )
        };
        let record = record.map_err(|_| malformed("is no CSV in UTF-8"))?;
        let is_heading = record
            .iter()
            .any(|field| field.eq_ignore_ascii_case("serial"));
        if index == 0 && is_heading {
            columns = record.iter().map(str::to_ascii_lowercase).collect();
            if columns
                .iter()
                .any(|column| !["serial", "name", "fleet"].contains(&column.as_str()))
            {
                return Err(malformed(
                    "names another column than serial, name and fleet",
                ));
            }
            continue;
        }
        if record.len() > columns.len() {
            return Err(malformed("has too many columns"));
        }
        let field = |name: &str| {
            let at = columns.iter().position(|column| column == name)?;
            let text = record.get(at).filter(|text| !text.is_empty())?;
            Some(text.to_owned())
        };
        devices.push(NewDevice {
            serial: field("serial").ok_or_else(|| malformed("has no serial number"))?,
            name: field("name"),
            fleet: field("fleet"),
        });
    }
    Ok(devices)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn device(serial: &str, name: Option<&str>, fleet: Option<&str>) -> NewDevice {
        NewDevice {
            serial: serial.to_owned(),
            name: name.map(str::to_owned),
            fleet: fleet.map(str::to_owned),
        }
    }

    #[test]
    fn manifests_are_read_with_and_without_a_heading() {
        let plain = read_csv(b"SN-1\nSN-2, oven ,kitchen\r\n\n# spare parts\nSN-3,,garden\n");
        let expected = [
            device("SN-1", None, None),
            device("SN-2", Some("oven"), Some("kitchen")),
            device("SN-3", None, Some("garden")),
        ];
        assert_eq!(plain.unwrap(), expected);
        let headed = read_csv(b"\xef\xbb\xbfFleet,Serial\nkitchen,SN-1\n,\"SN-2\"\n");
        let expected = [
            device("SN-1", None, Some("kitchen")),
            device("SN-2", None, None),
        ];
        assert_eq!(headed.unwrap(), expected);
        assert_eq!(read_csv(b"").unwrap(), []);
    }

    #[test]
    fn what_is_no_manifest_is_refused_with_its_line() {
        for (csv, expected) in [
            (&b"serial,colour\nSN-1,red\n"[..], "Line 1"),
            (b"SN-1\n,oven\n", "Line 2"),
            (b"SN-1,a,b,c\n", "Line 1"),
            (b"SN-1\n\xff\n", "Line 2"),
        ] {
            let refused = read_csv(csv).unwrap_err();
            assert_eq!(refused.code(), Code::Malformed);
            assert!(refused.to_string().contains(expected), "{refused}");
        }
    }
}
