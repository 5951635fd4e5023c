//! People with an authenticator app and recovery codes, at the command line and over HTTP.

use strongroom_tests::authenticator_app::AuthenticatorApp;
use strongroom_tests::{Api, Appliance, Entered, Failed, Person, Session};
use strongroom_wire::account::Done;
use strongroom_wire::credential::{
    ConfirmTotp, Credentials, FactorAdded, SecondFactor, TotpStarted,
};
use strongroom_wire::problem::Code;
use strongroom_wire::session::SecondFactorNeeded;

use crate::people::{Scene, assert_refused, scene};

/// Sets up an authenticator app.
fn set_up(session: &mut Session) -> (AuthenticatorApp, FactorAdded) {
    let started: TotpStarted = session
        .ask("POST", "/v1/accounts/me/totp/start", &())
        .unwrap();
    let app = AuthenticatorApp::new(&started.secret);
    let code = app.shows(0);
    let added = session.ask("POST", "/v1/accounts/me/totp", &ConfirmTotp { code });
    (app, added.unwrap())
}

fn to_second_factor(
    api: &Api,
    appliance: &Appliance,
    name: &str,
) -> (SecondFactorNeeded, strongroom_session::TransportKey) {
    match api.enter(name, &appliance.password_of(name)).unwrap() {
        Entered::SecondFactor(needed, transport) => (needed, transport),
        Entered::Session(_) => panic!("the password was enough"),
    }
}

fn code(outcome: Result<Session, Failed>) -> Code {
    outcome.map(drop).unwrap_err().code()
}

/// Takes another password at the command line, and the first one again: each opens sessions as long as it is the account's.
fn a_password_is_changed(appliance: &Appliance, alice: &Person) {
    let name = "alice@example.com";
    let first = appliance.password_of(name);
    let second = "another horse, another battery";
    let change = ["password", "change", "--password-file", "-"];
    for (new, old) in [(second, first.as_str()), (first.as_str(), second)] {
        let _ = alice.pipe(&change, new.as_bytes()).success();
        let api = appliance.api();
        assert!(api.sign_in(name, old).is_err());
        assert!(api.sign_in(name, new).is_ok());
    }
}

#[test]
fn a_person_sets_up_an_app_and_signs_in_with_it() {
    let Scene {
        appliance,
        mut admin,
        ..
    } = scene();
    let alice = Person::new(&appliance, "alice@example.com");
    let _ = alice.login().success();
    a_password_is_changed(&appliance, &alice);

    let shown = alice.run(&["second-factor", "set-up"]).success().stdout;
    assert!(shown.contains("otpauth://totp/Strongroom"), "{shown}");
    assert!(shown.contains('█') && shown.contains("secret: "), "{shown}");
    // Beginning again makes another secret.
    let started = alice.json(&["second-factor", "set-up"]);
    let secret = started["secret"].as_str().unwrap();
    assert!(!shown.contains(secret));
    let app = AuthenticatorApp::new(secret);
    alice.refused(
        &["second-factor", "confirm", "000000"],
        "second-factor-refused",
    );
    let added = alice.json(&["second-factor", "confirm", &app.shows(0)]);
    let codes: Vec<_> = added["recovery_codes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|code| code.as_str().unwrap().to_owned())
        .collect();
    assert_eq!(codes.len(), 10);

    // The password alone opens no session any more, and nobody is there to be asked.
    let sentence = alice.login().failure();
    assert_eq!(sentence.status.code(), Some(2), "{sentence:?}");
    assert!(sentence.stderr.contains("--totp"), "{sentence:?}");
    let used = alice.login_with(&["--totp", &app.shows(0)]).failure();
    assert_eq!(used.status.code(), Some(3), "{used:?}");
    let _ = alice.login_with(&["--totp", &app.shows(1)]).success();
    let listed = alice.json(&["second-factor", "list"]);
    let kinds: Vec<_> = listed["credentials"]
        .as_array()
        .unwrap()
        .iter()
        .map(|credential| credential["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["password", "totp", "recovery-codes"]);

    let _ = alice
        .login_with(&["--recovery-code", &codes[2].to_lowercase()])
        .success();
    let _ = alice.login_with(&["--recovery-code", &codes[2]]).failure();
    assert_eq!(alice.json(&["recovery-codes", "show"])["left"], 9);
    let new = alice.run(&["recovery-codes", "new"]).success().stdout;
    let new = new.lines().last().unwrap();
    let _ = alice.login_with(&["--recovery-code", &codes[3]]).failure();
    let _ = alice.login_with(&["--recovery-code", new]).success();

    let _ = alice.run(&["second-factor", "remove"]).success();
    let _ = alice.login().success();
    // An administrator has no part in it: these routes are about the caller's own account.
    let own: Credentials = admin.get("/v1/accounts/me/credentials").unwrap();
    assert_eq!(own.credentials.len(), 1);
    let none: Result<Done, _> = admin.delete("/v1/accounts/me/credentials/totp");
    assert_refused(none, Code::CredentialNotFound);
    let acts = alice.run(&["audit", "tail"]).success().stdout;
    assert!(acts.contains("credential.remove") && acts.contains("credential.add"));
}

#[test]
fn a_wrong_second_factor_costs_the_account_its_budget() {
    let Scene {
        appliance,
        mut alice,
        mut bob,
        ..
    } = scene();
    let api = appliance.api();
    let (app, _) = set_up(&mut alice);
    let wrong = || SecondFactor::Totp("x".to_owned());
    let waiting = to_second_factor(&api, &appliance, "alice@example.com");
    for _ in 0..waiting.0.tries {
        let refused = code(api.prove(&waiting.0, &waiting.1, wrong()));
        assert_eq!(refused, Code::SecondFactorRefused);
    }
    let waiting = to_second_factor(&api, &appliance, "alice@example.com");
    // Now the app's codes are not looked at for a minute.
    let locked = api.prove(&waiting.0, &waiting.1, SecondFactor::Totp(app.shows(1)));
    let problem = locked.map(drop).unwrap_err().problem();
    assert_eq!(problem.code, Code::TooManyAttempts);
    assert!(problem.retry_after.unwrap() > 50 && problem.leaf.is_some());
    // Another person's sign-in is not touched, and a sign-in that there is not is refused alike.
    let (bobs, _) = set_up(&mut bob);
    let waiting = to_second_factor(&api, &appliance, "bob@example.com");
    let never = SecondFactorNeeded {
        sign_in: strongroom_wire::id::SignInId::generate(),
        ..waiting.0.clone()
    };
    let refused = code(api.prove(&never, &waiting.1, wrong()));
    assert_eq!(refused, Code::SecondFactorRefused);
    let right = SecondFactor::Totp(bobs.shows(1));
    let mut bob = api.prove(&waiting.0, &waiting.1, right).unwrap();
    let key = bob.create_key("after two factors", &[]).unwrap().key.id;
    bob.release(key).unwrap();
    // The budget of failures in a row, ten, is nearly used up: five wrong codes and a locked one.
    let guesses = (0..10).find_map(|_| {
        let (needed, transport) = match api.enter(
            "alice@example.com",
            &appliance.password_of("alice@example.com"),
        ) {
            Ok(Entered::SecondFactor(needed, transport)) => (needed, transport),
            Ok(Entered::Session(_)) => panic!("the password was enough"),
            Err(failed) => return Some(failed.problem()),
        };
        let failed = api.prove(&needed, &transport, wrong()).map(drop);
        let problem = failed.unwrap_err().problem();
        problem.leaf.is_none().then_some(problem)
    });
    let slowed = guesses.expect("the account is slowed down");
    assert_eq!(slowed.code, Code::TooManyAttempts);
}
