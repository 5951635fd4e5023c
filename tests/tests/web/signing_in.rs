//! Signing in: enrolment, second factors, passkeys, stepping up, signing out.

use strongroom_tests::accounts::ADMINISTRATOR;
use strongroom_tests::authenticator_app::AuthenticatorApp;
use strongroom_tests::browser::Settings;
use strongroom_tests::identity_provider::IdentityProvider;
use strongroom_wire::account::AccountKind;
use strongroom_wire::session::{Sessions, SignInStrength};

use super::site::{ALICE, Site, Visit};

/// An account's holder enrols on the page, signs in, and is told what is wrong in between.
#[test]
fn people_enrol_and_sign_in() {
    let mut site = Site::start();
    let created = site
        .administrator
        .create_account(ALICE, AccountKind::Person, &[], None)
        .unwrap();
    let code = created.enrolment_code.unwrap();
    let visit = Visit::new(
        site.browser(Settings {
            javascript: false,
            ..Settings::default()
        }),
        &site.owners,
    );
    visit.open("/");
    assert_eq!(visit.heading(), "Sign in");
    visit.press("I have an enrolment code");
    let password = site.appliance.password_of(ALICE);
    let enrol = |code: &str, password: &str, again: &str| {
        visit.fill("account", ALICE);
        visit.fill("code", code);
        visit.fill("password", password);
        visit.fill("again", again);
        visit.press("Set the password");
    };
    enrol(&code, "short", "short");
    visit.expect("too short");
    enrol(&code, &password, "something else entirely");
    visit.expect("not the same");
    enrol("AAAA-AAAA-AAAA", &password, &password);
    visit.expect("The enrolment was refused");
    enrol(&code, &password, &password);
    visit.expect("Your account is ready");
    visit.sign_in(ALICE, "not the password at all");
    visit.expect("The sign-in was refused");
    assert_eq!(
        visit.find("[name=account]").attribute("value").as_deref(),
        Some(ALICE)
    );
    assert_eq!(
        visit.find("[name=password]").attribute("value").as_deref(),
        Some("")
    );
    // One goes on where one wanted to be.
    visit.open("/history?what=sign-ins");
    visit.fill("account", ALICE);
    visit.fill("password", &password);
    visit.press("Sign in");
    assert_eq!(visit.path(), "/history?what=sign-ins");
    visit.expect("Signed in");

    // The cookie is out of reach of scripts and of other sites.
    let cookies = visit.cookies();
    let session = cookies
        .iter()
        .find(|cookie| cookie["name"] == "__Host-strongroom")
        .unwrap();
    assert_eq!(
        (
            &session["httpOnly"],
            &session["secure"],
            &session["sameSite"]
        ),
        (&true.into(), &true.into(), &"Strict".into())
    );
    // The administration listener knows nothing of it.
    visit.go(&format!("{}/overview", site.office));
    assert_eq!(visit.heading(), "Sign in");
    another_password(&site, &visit, &password);
}

/// Somebody takes another password: the old one is of no use, and other sessions have ended.
fn another_password(site: &Site, visit: &Visit, old: &str) {
    let mut elsewhere = site.appliance.sign_in(ALICE);
    let new = "another horse, another battery";
    visit.open("/security");
    visit.press("Change the password");
    visit.expect("Every other session of yours ends");
    visit.fill("password", new);
    visit.fill("again", old);
    visit.press("Change the password");
    visit.expect("not the same");
    let _still: Sessions = elsewhere.get("/v1/sessions").unwrap();
    visit.fill("password", new);
    visit.fill("again", new);
    visit.press("Change the password");
    visit.expect("The password is changed");
    visit.expect("Recorded as leaf");
    elsewhere.get::<Sessions>("/v1/sessions").unwrap_err();
    visit.open("/history?what=accounts");
    visit.expect("Credential changed");
    visit.press("Sign out");
    visit.sign_in(ALICE, old);
    visit.expect("The sign-in was refused");
    visit.sign_in(ALICE, new);
    visit.expect("No keys yet");
}

/// An authenticator app is set up from what the page shows, and asked for from then on, at sign-in and before what cannot be undone.
#[test]
fn codes_are_asked_for_once_they_are_set_up() {
    let mut site = Site::start_with("[keystore]\nsession_lifetime = 3600");
    let mut alice = site.person(ALICE, &[]);
    let key = alice.create_key("Report", &[]).unwrap().key.id;
    let settings = Settings {
        javascript: false,
        ..Settings::default()
    };
    let visit = site.signed_in(&site.owners, ALICE, settings);
    let password = site.appliance.password_of(ALICE);
    visit.open("/security");
    visit.expect("Your password is all that protects your keys");
    visit.leave(|| visit.find("a[href='/security/totp']").click());
    assert!(visit.find("svg.qr").is_shown());
    visit.find("details summary").click();
    let app = AuthenticatorApp::new(&visit.find(".secret").text());
    visit.fill("code", "000000");
    visit.press("Set it up");
    visit.expect("The second factor was refused");
    visit.find("details summary").click();
    let app_again = AuthenticatorApp::new(&visit.find(".secret").text());
    drop(app);
    visit.fill("code", &app_again.shows(0));
    visit.press("Set it up");
    assert_eq!(visit.heading(), "Keep these recovery codes");
    let codes: Vec<String> = visit
        .all(".codes li")
        .iter()
        .map(strongroom_tests::browser::Element::text)
        .collect();
    assert!(codes.len() >= 8, "{codes:?}");
    visit.press("Sign out");

    visit.sign_in(ALICE, &password);
    assert_eq!(visit.heading(), "Second factor");
    visit.fill("code", "123 456");
    visit.press("Continue");
    visit.expect("The second factor was refused");
    visit.fill("code", &app_again.shows(1));
    visit.press("Continue");
    visit.expect("Report");

    // A recovery code in its place, once.
    visit.press("Sign out");
    visit.sign_in(ALICE, &password);
    visit.fill("code", &codes[0]);
    visit.press("Continue");
    visit.expect("Report");
    visit.open("/security");
    visit.expect(&format!("Recovery codes ({} left)", codes.len() - 1));

    // Where the domain wants a fresh sign-in for it, sharing asks for one.
    let policy = r#"{"step_up_within":1}"#;
    let set: serde_json::Value = site
        .administrator
        .ask(
            "PUT",
            "/v1/domain/policy",
            &serde_json::from_str::<serde_json::Value>(policy).unwrap(),
        )
        .unwrap();
    assert!(set["leaf"].is_u64());
    std::thread::sleep(std::time::Duration::from_millis(1100));
    visit.open(&format!("/keys/{key}/share"));
    assert_eq!(visit.heading(), "Is it still you?");
    visit.fill("code", &codes[1]);
    visit.press("Continue");
    assert_eq!(visit.path(), format!("/keys/{key}/share"));
}

/// A passkey is made, opens a session alone, is a second factor, and confirms a session.
#[test]
fn passkeys_open_sessions() {
    let mut site = Site::start();
    let mut alice = site.person(ALICE, &[]);
    let visit = site.owner(ALICE);
    let _authenticator = visit.plug_authenticator();
    visit.open("/security/passkey");
    visit.fill("name", "laptop");
    visit.leave(|| visit.find("form[data-passkey] button").click());
    assert_eq!(visit.heading(), "Keep these recovery codes");
    visit.open("/security");
    visit.expect("Passkey: laptop");
    visit.press("Sign out");

    // Alone.
    visit.press("Sign in with a passkey");
    visit.expect("No keys yet");
    let strengths = |session: &mut strongroom_tests::Session| {
        let sessions: Sessions = session.get("/v1/sessions").unwrap();
        sessions
            .sessions
            .iter()
            .map(|session| session.strength)
            .collect::<Vec<_>>()
    };
    assert!(strengths(&mut alice).contains(&SignInStrength::Passkey));

    // As a second factor.
    visit.press("Sign out");
    visit.sign_in(ALICE, &site.appliance.password_of(ALICE));
    assert_eq!(visit.heading(), "Second factor");
    visit.press("Use a passkey");
    visit.expect("No keys yet");
    assert!(strengths(&mut alice).contains(&SignInStrength::TwoFactor));

    // To confirm the session.
    visit.open("/step-up?then=/sessions");
    visit.press("Use a passkey");
    assert_eq!(visit.path(), "/sessions");

    // On the other listener, too.
    visit.go(&format!("{}/sign-in", site.office));
    visit.press("Sign in with a passkey");
    visit.expect("There is nothing for you here");

    // Removed, and the password is enough again.
    visit.go(&format!("{}/security", site.owners));
    visit.leave(|| visit.find("a[href*='/security/remove?which='][href$='laptop'], tr:has(th) a.danger[href*='which=']").click());
    if visit.heading() == "Is it still you?" {
        visit.press("Use a passkey");
    }
}

/// The administrator enrols on the administration listener and signs in there; a session that is ended elsewhere is over.
#[test]
fn an_ended_session_leads_to_the_sign_in() {
    let site = Site::start();
    let visit = site.administers();
    assert_eq!(visit.heading(), "Overview");
    visit.expect(ADMINISTRATOR);
    let mut session = site.administrator;
    let sessions: Sessions = session.get("/v1/sessions").unwrap();
    for one in sessions.sessions.iter().filter(|one| !one.current) {
        let _done: serde_json::Value = session.delete(&format!("/v1/sessions/{}", one.id)).unwrap();
    }
    visit.open("/accounts");
    assert_eq!(visit.heading(), "Sign in");
    // Nobody is sent elsewhere after signing in.
    visit.open("/sign-in?then=https://evil.example/");
    visit.fill("account", ADMINISTRATOR);
    visit.fill("password", &site.appliance.password_of(ADMINISTRATOR));
    visit.press("Sign in");
    assert_eq!(visit.path(), "/overview");
}

/// People sign in at their enterprise's provider: a real one, whose pages the same browser shows, with scripts or without.
#[test]
fn people_sign_in_at_their_provider() {
    let mut site = Site::start();
    let pages = [&site.owners, &site.office].map(|side| format!("{side}/sign-in/provider/back"));
    let pages: Vec<&str> = pages.iter().map(String::as_str).collect();
    let people = [("alice", ALICE)];
    let mut provider = IdentityProvider::start_for(&pages, &people, "team", &["alice"]);
    site.appliance
        .configure(&provider.settings("create = \"on\"\n"));
    site.appliance.restart();
    let settings = Settings {
        javascript: false,
        ..Settings::default()
    };
    let visit = Visit::new(
        site.browser_for(&provider.certificate(), settings),
        &site.owners,
    );
    visit.open("/history?what=sign-ins");
    visit.named("Sign in with corp").click();
    provider.sign_in_with(&visit, "alice");
    let there = (0..100).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        visit.address().ends_with("/history?what=sign-ins")
    });
    assert!(there, "{}: {}", visit.address(), visit.text());
    visit.expect("Signed in");
    visit.expect(ALICE);
    let cookies = visit.cookies();
    let names: Vec<&str> = cookies
        .iter()
        .filter_map(|cookie| cookie["name"].as_str())
        .collect();
    assert!(names.contains(&"__Host-strongroom"), "{names:?}");
    assert!(!names.contains(&"__Host-strongroom-provider"), "{names:?}");
    visit.open("/security");
    visit.expect(&provider.issuer());
    // What cannot be undone takes a fresh sign-in there, as there is none here.
    visit.open("/step-up?then=/sessions");
    visit.press("Sign in again");
    visit.named("Sign in with corp").click();
    provider.sign_in_with(&visit, "alice");
    let there = (0..100).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        visit.address().ends_with("/sessions")
    });
    assert!(there, "{}: {}", visit.address(), visit.text());

    // Whoever did not begin a sign-in in this browser is not signed in by an address that somebody gave them.
    visit.press("Sign out");
    visit.open("/sign-in/provider/back?code=somebody-elses&state=x");
    visit.expect("No sign-in at a provider is under way in this browser");
    // Nor does an answer count that is not to what was begun, and the log has no code.
    visit.open("/sign-in");
    provider.stop();
    visit.named("Sign in with corp").click();
    visit.open("/sign-in/provider/back?code=somebody-elses&state=x");
    visit.expect("You are not signed in");
    visit.open("/keys");
    assert_eq!(visit.heading(), "Sign in");
    assert!(!site.appliance.log().contains("somebody-elses"));
}

/// Somebody with a password links their identity at the provider on their own page, signs in with it, and removes the link.
#[test]
fn people_link_their_identity_on_their_page() {
    let mut site = Site::start();
    drop(site.person(ALICE, &[]));
    let page = format!("{}/sign-in/provider/back", site.owners);
    let people = [("alice", "whoever@elsewhere.example")];
    let mut provider = IdentityProvider::start_for(&[&page], &people, "team", &["alice"]);
    site.appliance.configure(&provider.settings(""));
    site.appliance.restart();
    let settings = Settings {
        javascript: false,
        ..Settings::default()
    };
    // Each in a browser that the provider does not know yet.
    let certificate = provider.certificate();
    let visit = || Visit::new(site.browser_for(&certificate, settings), &site.owners);
    let comes_to = |visit: &Visit, text: &str| {
        let there = (0..100).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(50));
            visit.says(text)
        });
        assert!(there, "{text}: {}: {}", visit.address(), visit.text());
    };
    let by_provider = |text: &str| {
        let visit = visit();
        visit.open("/sign-in");
        visit.named("Sign in with corp").click();
        provider.sign_in_with(&visit, "alice");
        comes_to(&visit, text);
        visit
    };

    let first = visit();
    first.sign_in(ALICE, &site.appliance.password_of(ALICE));
    first.open("/security");
    first.expect("None yet");
    first.named("Link with corp").click();
    provider.sign_in_with(&first, "alice");
    comes_to(&first, "Link this identity");
    first.expect(ALICE);
    // It is only looked at until they say that they mean it.
    let confirm = first.address();
    let confirm = confirm.trim_start_matches(site.owners.as_str());
    first.open("/security");
    assert!(!first.says(&provider.issuer()));
    first.open(confirm);
    first.press("Link this identity");
    first.expect("Your account is linked");
    first.expect(&provider.issuer());
    // What they came back with is good once.
    first.open(confirm);
    first.press("Link this identity");
    assert!(!first.says("Your account is linked"));

    let second = by_provider("My keys");
    second.open("/security");
    second.press("Remove the link");
    second.expect("The link is removed");
    second.expect("None yet");
    drop(by_provider("You are not signed in"));
    let code = confirm.split("code=").nth(1).unwrap();
    let code = code.split('&').next().unwrap();
    assert!(!site.appliance.log().contains(code));
    provider.stop();
}
