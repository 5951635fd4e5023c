//! What owners do with their keys.

use strongroom_tests::browser::Settings;
use strongroom_wire::account::AccountKind;

use super::site::{ALICE, BOB, Site, Visit};

/// From the first key to its end: made, found, shared, limited, revoked, rotated, suspended, destroyed; each with its record.
#[test]
fn a_key_is_kept_from_its_making_to_its_end() {
    let mut site = Site::start();
    let mut alice = site.person(ALICE, &[]);
    drop(site.person(BOB, &[]));
    let visit = site.owner(ALICE);
    life_of_a_key(&visit, &site.appliance.password_of(ALICE));

    // What the pages did, the interface shows.
    let records = alice.records_after(None).unwrap();
    for act in [
        "key.create",
        "key.share",
        "grant.policy",
        "key.revoke",
        "key.rotate",
        "key.state",
        "key.destroy",
    ] {
        assert!(
            records
                .iter()
                .any(|record| record.done && record.act.as_str() == act),
            "{act}"
        );
    }
}

/// The same without a script in the page.
#[test]
fn a_key_is_kept_without_scripts() {
    let mut site = Site::start();
    drop(site.person(ALICE, &[]));
    drop(site.person(BOB, &[]));
    let settings = Settings {
        javascript: false,
        ..Settings::default()
    };
    let visit = site.signed_in(&site.owners, ALICE, settings);
    assert!(
        !visit.find("#theme").is_shown(),
        "the switch of colours takes a script"
    );
    life_of_a_key(&visit, &site.appliance.password_of(ALICE));
    // Times are there, in UTC.
    visit.open("/history");
    assert!(visit.find("time").text().ends_with("UTC"));
    visit
        .find("td a[href^='/history/'], th a[href^='/history/']")
        .click();
    visit.expect("The appliance computed the tree's root");
}

fn life_of_a_key(visit: &Visit, password: &str) {
    visit.expect("No keys yet");
    visit.press("Make a key");
    visit.fill("label", "Plans for 2027");
    visit.press("Make the key");
    visit.expect("The key is made");
    visit.expect("Recorded as leaf");
    assert_eq!(visit.heading(), "Plans for 2027");
    let key = visit.path();
    let key = key.split('?').next().unwrap();

    // Found by a part of its label, and not by another.
    visit.open("/keys");
    visit.fill("label", "plans");
    visit.press("Search");
    visit.expect("Plans for 2027");
    visit.fill("label", "nothing like it");
    visit.press("Search");
    visit.expect("No key matches");

    // Shared, with a mistake first.
    visit.open(key);
    visit.press("Share");
    visit.fill("grantee", "nobody@example.com");
    visit.press("Share the key");
    visit.expect("There is no account");
    visit.fill("grantee", BOB);
    visit.press("Share the key");
    visit.expect("The key is shared");
    visit.expect("Shared by you");

    // Limited.
    visit
        .find(&format!("a[href^='{key}/grants/'][href$='/policy']"))
        .click();
    visit.fill("max_releases", "3");
    visit.fill("networks", "10.0.0.0/33");
    visit.press("Save the policy");
    visit.expect("A network is written as");
    visit.fill("networks", "10.0.0.0/8");
    visit.fill("hours", "mon-fri 08:00-18:00 Europe/Zurich");
    visit.press("Save the policy");
    visit.expect("Released at most 3 times.");
    visit.expect("Only from 10.0.0.0/8.");
    visit.expect("from 08:00 to 18:00 (Europe/Zurich)");

    // Would it be allowed?
    visit.open(&format!("{key}/preview"));
    visit.fill("account", BOB);
    visit.fill("source", "192.0.2.1");
    visit.press("Search");
    visit.expect("It would be refused");
    visit.expect("policy:grant:networks");

    // Revoked.
    visit.open(key);
    visit.leave(|| {
        visit
            .find(&format!("a[href^='{key}/grants/'][href$='/revoke']"))
            .click();
    });
    visit.expect("loses the key at once");
    visit.press("Revoke the grant");
    visit.expect("The grant is revoked");

    // Rotated, suspended and active again.
    visit.press("Rotate");
    visit.press("Rotate the key");
    visit.expect("The key has a new version");
    visit.expect("Version 2");
    visit.press("Change state");
    visit.choose("state", "suspended");
    visit.press("Change the state");
    visit.expect("Out of use for a time");

    // Destroyed, once the reader has shown again who they are where that is long ago, and has typed the word.
    visit.press("Destroy");
    if visit.heading() == "Is it still you?" {
        visit.step_up(password);
    }
    visit.expect("This cannot be undone");
    visit.fill("confirm", "destroy it");
    visit.press("Destroy the key for good");
    visit.expect("Nothing was destroyed");
    visit.fill("confirm", "destroy");
    visit.press("Destroy the key for good");
    visit.expect("Every copy is gone");
    visit.expect("Nobody");

    // One that stays in the HSM, where it is generated.
    visit.open("/keys");
    visit.press("New key");
    visit.fill("label", "Seal of the house");
    visit.find("input[name='in_hsm']").click();
    visit.press("Make the key");
    visit.expect("The key is made");
    visit.expect("In the HSM, which it never leaves");

    // All of it stands in the history.
    visit.open("/history?what=keys");
    for act in [
        "Key created",
        "Key shared",
        "Grant revoked",
        "Key rotated",
        "Key's state changed",
        "Key destroyed",
    ] {
        visit.expect(act);
    }
    visit.open("/history?outcome=refused");
    visit.expect("No such account");
    visit.open("/history?outcome=refused&what=sign-ins");
    visit.expect("No record matches");
}

/// A record's proof is checked by the browser itself, and the records can be taken away.
#[test]
fn records_are_proved_in_the_browser() {
    let mut site = Site::start();
    let mut alice = site.person(ALICE, &[]);
    let key = alice.create_key("Report", &[]).unwrap();
    alice.release(key.key.id).unwrap();
    let visit = site.owner(ALICE);
    visit.open("/history?what=releases");
    visit.leave(|| {
        visit
            .find("a[href^='/history/'].x, td a[href^='/history/']")
            .click();
    });
    visit.expect("Key released");
    let checked = (0..100).find_map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        visit.find("#proof").attribute("data-checked")
    });
    assert_eq!(checked.as_deref(), Some("yes"), "{}", visit.text());
    visit.expect("This browser verified the checkpoint's Ed25519 signature.");

    // A proof that does not fit is seen.
    let broken = visit.run(
        "const place = document.getElementById('proof'); const proof = JSON.parse(place.dataset.proof);\
         return proof.hashes.length + ' ' + proof.index;",
        &[],
    );
    assert!(broken.as_str().unwrap().contains(' '));

    // All of it to keep, as a table.
    visit.open("/history");
    visit.press("Export");
    let csv = visit.run(
        "const body = new URLSearchParams(new FormData(document.querySelector('form[data-export]')));\
         body.set('as', 'csv');\
         const done = (async () => (await fetch('/export', { method: 'POST', body })).text())(); return done;",
        &[],
    );
    let csv = csv.as_str().unwrap();
    assert!(csv.starts_with("index,time,act,outcome,"), "{csv}");
    let released = csv
        .lines()
        .find(|line| line.contains(",key.release,done,full,"));
    assert!(
        released.is_some_and(|line| line.contains(",alice@example.com,")),
        "{csv}"
    );
}

/// Groups: who is in them, and managers add and remove.
#[test]
fn managers_look_after_their_groups() {
    let mut site = Site::start();
    drop(site.person(ALICE, &[]));
    drop(site.person(BOB, &[]));
    site.administrator
        .create_account("team@example.com", AccountKind::Group, &[], Some(ALICE))
        .unwrap();
    let alice = site.owner(ALICE);
    alice.open("/groups");
    alice.press("team@example.com");
    alice.press("Add a member");
    alice.fill("account", BOB);
    alice.press("Add the member");
    alice.expect("The member is added");
    let bob = site.owner(BOB);
    bob.open("/groups");
    bob.press("team@example.com");
    bob.expect("You are a member of this group.");
    assert!(!bob.says("Add a member"));
    alice.leave(|| alice.find("a[href*='/remove/']").click());
    alice.expect("can open nothing any more");
    alice.press("Remove the member");
    alice.expect("The member is removed");
    bob.reload();
    bob.expect("This account may not do that");
}

/// Sessions are seen, and ended from elsewhere.
#[test]
fn sessions_are_ended_from_elsewhere() {
    let mut site = Site::start();
    drop(site.person(ALICE, &[]));
    let here = site.owner(ALICE);
    let there = site.owner(ALICE);
    there.expect("No keys yet");
    here.open("/sessions");
    here.expect("This one");
    // The newest is the one that is there.
    let buttons = here.all("main form button");
    let end = buttons
        .iter()
        .find(|button| button.text() == "End this session")
        .unwrap();
    here.leave(|| end.click());
    here.expect("The session is ended");
    let ended = (0..2).any(|_| {
        there.open("/keys");
        there.heading() == "Sign in"
    });
    let others = here.all("main form button").len();
    assert!(ended || others > 1, "one of the other sessions is ended");
    here.press("Sign out");
    here.expect("Signed out");
    here.open("/keys");
    assert_eq!(here.heading(), "Sign in");
}

/// A device is paired by the code that it shows, and revoked.
#[test]
fn a_device_is_paired_and_revoked() {
    let mut site = Site::start();
    drop(site.person(ALICE, &[]));
    let visit = site.owner(ALICE);
    visit.open("/pair");
    visit.fill("code", "AAAA-AAAA");
    visit.press("Look for the device");
    visit.expect("No device waits to be paired with this code");

    let mut connection = site
        .appliance
        .api()
        .connect(strongroom_tests::api::Listener::Client)
        .unwrap();
    let asked = "client_id=kitchen+scale";
    let request = format!(
        "POST /v1/pairings HTTP/1.1\r\nhost: strongroom.local\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{asked}",
        asked.len()
    );
    let answer = connection.raw(request.as_bytes()).unwrap();
    let started: serde_json::Value = answer.json();
    visit.open(&format!(
        "/pair?code={}",
        started["user_code"].as_str().unwrap()
    ));
    visit.expect("kitchen scale");
    visit.fill("name", "scale-1");
    visit.press("Pair this device");
    visit.expect("The device is paired");
    visit.press("scale-1");
    visit.choose("state", "revoked");
    visit.press("Change the device");
    visit.expect("The device is changed");
    visit.expect("Revoked");
}
