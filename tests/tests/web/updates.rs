//! The page for updates of the image, without a script: what runs, what is here, installing, restarting, dropping, and what came of the last.

use serde_json::json;
use strongroom_tests::api::read;
use strongroom_tests::browser::Settings;
use strongroom_tests::image::{Image, RUNNING, Wanted};
use strongroom_wire::update::ReceivedUpdate;

use super::site::Site;

#[test]
fn an_administrator_updates_the_image() {
    let mut site = Site::start();
    let plain = site.administers();
    plain.open("/updates");
    plain.expect("does not run from Strongroom's image");
    drop(plain);

    let image = Image::of(&mut site.appliance);
    site.appliance.restart();
    let mut administrator = site.administrator.at(&site.appliance.api());
    let mut send = |version: &str, last: bool| {
        let update = image.update(Wanted {
            version,
            ..Wanted::default()
        });
        let piece = if last { &update[..] } else { &update[..5000] };
        let path = "/v1/appliance/update?offset=0";
        let answer = administrator.send("PUT", path, Some(piece)).unwrap();
        read::<ReceivedUpdate>(&answer).unwrap()
    };
    let settings = Settings {
        javascript: false,
        ..Settings::default()
    };
    let visit = site.signed_in(
        &site.office,
        strongroom_tests::accounts::ADMINISTRATOR,
        settings,
    );
    visit.open("/updates");
    visit.expect(RUNNING);
    visit.expect("None is here");
    visit.expect("strongroom appliance update FILE");
    visit.open("/updates/install");
    visit.expect("There is no update");

    send("0.2.0", true);
    visit.open("/updates");
    visit.expect("Verified, waits to be installed");
    visit.press("Install");
    visit.expect("Version 0.2.0 is verified once more");
    visit.press("Install the update");
    visit.expect("The update is being installed");
    visit.expect("Recorded as leaf");
    assert_eq!(
        image.take("install").unwrap(),
        json!({ "version": "0.2.0" })
    );
    visit.open("/updates");
    visit.expect("Being installed");

    let at = "2026-12-01T10:00:00Z";
    let installed = json!({ "version": "0.2.0", "security_version": 3, "at": at });
    image.say(&json!({ "installed": installed }));
    visit.open("/updates");
    visit.expect("At the next start of the machine");
    visit.press("Restart");
    visit.expect("with version 0.2.0 on trial");
    visit.press("Restart the machine");
    visit.expect("The machine restarts");
    assert_eq!(
        image.take("restart").unwrap(),
        json!({ "version": "0.2.0" })
    );

    let last = json!({ "version": "0.2.0", "outcome": "rolled-back", "why": "the kernel panicked", "at": at });
    let refused = json!({ "version": "0.3.0", "why": "the disk fails", "at": at });
    image.say(&json!({ "last": last, "refused": refused }));
    send("0.4.0", false);
    visit.open("/updates");
    visit.expect("Version 0.2.0 did not prove itself");
    visit.expect("the kernel panicked");
    visit.expect("Version 0.3.0 was not installed");
    visit.expect("0.4.0");
    visit.press("Drop");
    visit.press("Drop the update");
    visit.expect("The update is dropped");
    assert!(!image.inbox("incoming").exists());
}
