//! Devices without a keyboard are paired by people (RFC 8628).

use std::fs;
use std::thread;
use std::time::Duration;

use strongroom_client::device::{self as client, PairingRefused};
use strongroom_client::{Client, Roots};
use strongroom_session::AccountSecret;
use strongroom_tests::api::Listener;
use strongroom_tests::device::Device;
use strongroom_tests::http::Response;
use strongroom_tests::{Api, Appliance, Person, Session};
use strongroom_wire::device::{DevicePage, PairedDevice, PairingError, PairingStarted};
use strongroom_wire::key::KeyQuery;
use strongroom_wire::problem::Code;

use crate::people::{Scene, assert_refused, scene};

/// Sends a form, as RFC 8628 has it.
fn form(api: &Api, path: &str, fields: &str) -> Response {
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: keys.example.com:8443\r\ncontent-type: application/x-www-form-urlencoded\r\n\
         content-length: {}\r\n\r\n{fields}",
        fields.len()
    );
    let mut connection = api.connect(Listener::Client).unwrap();
    connection.raw(request.as_bytes()).unwrap()
}

fn error(response: Response) -> String {
    assert_eq!(response.status, 400, "{}", response.text());
    assert_eq!(response.header("content-type"), Some("application/json"));
    response.json::<PairingError>().error
}

#[test]
fn a_person_pairs_a_device_that_has_no_keyboard() {
    let Scene {
        appliance,
        mut admin,
        mut alice,
        mut bob,
    } = scene();
    let api = appliance.api();
    let person = Person::new(&appliance, "alice@example.com");
    let _ = person.login().success();
    let start = || {
        let response = form(&api, "/v1/pairings", "client_id=Coffee+machine");
        assert_eq!(response.status, 200, "{}", response.text());
        assert_eq!(response.header("cache-control"), Some("no-store"));
        response.json::<PairingStarted>()
    };
    let token = |started: &PairingStarted| {
        let fields = format!(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&device_code={}&client_id=Coffee+machine",
            started.device_code
        );
        form(&api, "/v1/pairings/token", &fields)
    };
    let started = start();
    assert_eq!(
        started.verification_uri,
        "https://keys.example.com:8443/pair"
    );
    assert_eq!((started.expires_in, started.interval), (600, 5));
    assert_eq!(error(token(&started)), "authorization_pending");
    assert_eq!(error(token(&started)), "slow_down");
    let denied = start();
    let _ = person
        .run(&["devices", "pair", &denied.user_code, "--deny"])
        .success();
    assert_eq!(error(token(&denied)), "access_denied");
    let _ = person
        .run(&[
            "devices",
            "pair",
            &started.user_code.to_lowercase(),
            "--yes",
        ])
        .success();
    person.refused(
        &["devices", "pair", &started.user_code, "--yes"],
        "pairing-not-found",
    );
    // The interval, and five seconds more as it came too soon.
    thread::sleep(Duration::from_secs(11));
    let paired: PairedDevice = token(&started).json();
    assert_eq!(paired.name, "coffee-machine");
    assert_eq!(error(token(&started)), "invalid_grant");
    let device = Device {
        account: paired.account,
        secret: AccountSecret::from_text(&paired.access_token).unwrap(),
    };
    device.own_account(&api).unwrap();
    device.create_and_release(&api);
    // The owner shares a key with it.
    let key = alice.create_key("recipe", &["coffee-machine"]).unwrap();
    let path = format!("/v1/keys/{}/release", key.key.id);
    assert_eq!(device.send(&api, "POST", &path, "{}").0.status, 200);
    assert_refused(bob.release(key.key.id), Code::KeyNotFound);

    let sees = |session: &mut Session| {
        let page: DevicePage = session.get("/v1/devices").unwrap();
        page.devices.len()
    };
    assert_eq!((sees(&mut alice), sees(&mut bob)), (1, 0));
    assert_eq!(sees(&mut admin), 1);
    let shown = person.json(&["devices", "show", "coffee-machine"]);
    assert_eq!(shown["paired_by_name"], "alice@example.com");
    // It was lost: its owner gives it a new secret, and revokes it in the end.
    let rotated = person.json(&["devices", "rotate-secret", "coffee-machine"]);
    assert!(device.own_account(&api).is_err());
    let renewed = Device {
        account: device.account,
        secret: AccountSecret::from_text(rotated["secret"].as_str().unwrap()).unwrap(),
    };
    renewed.own_account(&api).unwrap();
    let _ = person
        .run(&["devices", "revoke", "coffee-machine", "--yes"])
        .success();
    assert!(renewed.own_account(&api).is_err());
}

#[test]
fn what_no_client_of_rfc_8628_would_send_is_refused() {
    let appliance = Appliance::start();
    let api = appliance.api();
    for (fields, expected) in [
        ("", "invalid_request"),
        (
            "grant_type=password&device_code=x",
            "unsupported_grant_type",
        ),
        (
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&device_code=x",
            "invalid_grant",
        ),
    ] {
        assert_eq!(error(form(&api, "/v1/pairings/token", fields)), expected);
    }
    assert_eq!(
        error(form(&api, "/v1/pairings", "client_id=")),
        "invalid_request"
    );
    let page = "GET /pair HTTP/1.1\r\nhost: keys.example.com\r\n\r\n";
    let page = api
        .connect(Listener::Client)
        .unwrap()
        .raw(page.as_bytes())
        .unwrap();
    // A person signs in first, and comes back there.
    assert_eq!(page.status, 303);
    assert_eq!(page.header("location"), Some("/sign-in?then=%2Fpair"));
    // Whoever asks for codes without end is slowed down.
    let mut statuses = (0..60).map(|_| form(&api, "/v1/pairings", "client_id=x").status);
    assert!(statuses.any(|status| status == 429));
}

#[test]
fn the_client_library_is_a_device() {
    let Scene {
        appliance,
        mut alice,
        ..
    } = scene();
    let ca = fs::read(appliance.ca()).unwrap();
    let client = Client::new(&appliance.client_url(), &Roots::from_pem(&ca).unwrap()).unwrap();
    let person = Person::new(&appliance, "alice@example.com");
    let _ = person.login().success();

    let codes = client.start_pairing("lamp").unwrap();
    let approved = person.json(&["devices", "pair", codes.user_code(), "--yes"]);
    let paired = client.finish_pairing(codes).unwrap();
    assert_eq!(paired.name, "lamp");
    assert_eq!(
        approved["device"]["account"]["id"],
        paired.account.to_string()
    );
    let device = client::Device::new(client.clone(), paired.account, paired.secret);
    let new = strongroom_tests::session::new_key("brightness", &["alice@example.com"]);
    let (created, mut released) = device.create_and_obtain(new).unwrap();
    let mut again = device.obtain(created.key.id, Some(1)).unwrap();
    assert_eq!(again.material().unwrap(), released.material().unwrap());
    let (_, hers) = alice.release(created.key.id).unwrap();
    assert_eq!(hers, released.material().unwrap());
    let query = KeyQuery {
        label: Some("bright & ness?".to_owned()),
        ..KeyQuery::default()
    };
    assert_eq!(device.find_keys(&query).unwrap().keys, []);
    assert_eq!(device.key(created.key.id).unwrap().label, "brightness");

    let next = device.new_secret().unwrap();
    assert_eq!(next.generation, 2);
    let renewed = client::Device::new(client.clone(), paired.account, next.secret);
    assert_eq!(renewed.own_account().unwrap().name, "lamp");
    let refused = device.own_account().unwrap_err();
    assert_eq!(refused.code(), Some(Code::SignInRefused));

    let codes = client.start_pairing("toaster").unwrap();
    let _ = person
        .run(&["devices", "pair", codes.user_code(), "--deny"])
        .success();
    let refused = client.finish_pairing(codes);
    assert!(matches!(refused, Err(PairingRefused::Denied)));
}
