//! Passkeys, as the only factor and as the second one.

use strongroom_session::TransportKey;
use strongroom_session::passkey::{self, EphemeralKey};
use strongroom_tests::authenticator::Authenticator;
use strongroom_tests::passkey::Passkey;
use strongroom_tests::{Api, Entered, Failed, Session};
use strongroom_wire::account::Done;
use strongroom_wire::credential::{
    CredentialKind, Credentials, FactorAdded, PasskeyRegistration, PasskeyRequest, SecondFactor,
};
use strongroom_wire::problem::Code;
use strongroom_wire::session::{
    FinishPasskeySignIn, PasskeySignInStarted, PasskeySignedIn, StartPasskeySignIn,
};

use crate::people::{Scene, assert_refused, scene};

const START: &str = "/v1/sessions/passkey/start";
const FINISH: &str = "/v1/sessions/passkey/finish";
const ORIGIN: &str = "https://strongroom.local";

/// Something that an authenticator must not get away with.
type Trick = fn(&mut Passkey);

fn add_passkey(session: &mut Session) -> (Passkey, FactorAdded) {
    let request: PasskeyRegistration = session
        .ask("POST", "/v1/accounts/me/passkeys/start", &())
        .unwrap();
    let (passkey, register) = Passkey::make(&request, ORIGIN);
    let added = session.ask("POST", "/v1/accounts/me/passkeys", &register);
    (passkey, added.unwrap())
}

fn start(api: &Api, key: &EphemeralKey) -> PasskeySignInStarted {
    let request = StartPasskeySignIn {
        client_key: key.public().into(),
    };
    api.ask("POST", START, Some(&request)).unwrap()
}

fn challenge(request: &PasskeyRequest, binding: &[u8]) -> [u8; 32] {
    passkey::challenge(request.random.0.as_slice().try_into().unwrap(), binding)
}

fn finish(
    api: &Api,
    started: &PasskeySignInStarted,
    passkey: &mut Passkey,
    key: &EphemeralKey,
) -> Result<PasskeySignedIn, Failed> {
    let challenge = challenge(&started.request, key.public());
    let request = FinishPasskeySignIn {
        sign_in: started.sign_in,
        assertion: passkey.sign(&started.request, &challenge),
    };
    api.ask("POST", FINISH, Some(&request))
}

fn open(
    api: &Api,
    started: &PasskeySignInStarted,
    answer: PasskeySignedIn,
    key: &EphemeralKey,
) -> Option<Session> {
    assert_eq!(answer.transport_key.suite, passkey::SUITE);
    let sealed = passkey::SealedTransportKey {
        encapsulated: answer.transport_key.encapsulated.0,
        ciphertext: answer.transport_key.ciphertext.0,
    };
    let session = answer.signed_in.session;
    let transport: TransportKey = key.open(started.sign_in, session, &sealed).ok()?;
    Some(Session::of(api, answer.signed_in, transport))
}

#[test]
fn a_passkey_alone_opens_a_session_with_a_transport_key() {
    let Scene {
        appliance,
        mut alice,
        bob,
        ..
    } = scene();
    let api = appliance.api();
    let id = alice.create_key("for a passkey", &[]).unwrap().key.id;
    let (_, material) = alice.release(id).unwrap();
    let (mut passkey, added) = add_passkey(&mut alice);
    assert_eq!(added.credential.kind, CredentialKind::Passkey);
    assert_eq!(added.recovery_codes.len(), 10);

    let key = EphemeralKey::generate();
    let started = start(&api, &key);
    assert!(started.request.allow.is_empty(), "nobody is named");
    let answer = finish(&api, &started, &mut passkey, &key).unwrap();
    assert_eq!(answer.signed_in.account.name, "alice@example.com");
    let mut session = open(&api, &started, answer, &key).unwrap();
    assert_eq!(session.release(id).unwrap().1, material);
    // Each started sign-in is good once.
    let again = finish(&api, &started, &mut passkey, &key);
    assert_refused(again, Code::SignInRefused);
    let listed: Credentials = session.get("/v1/accounts/me/credentials").unwrap();
    let used = listed.credentials.iter().find(|held| held.name.is_some());
    assert!(used.unwrap().used.is_some());

    // Somebody in between who puts a key of their own in is found: the assertion covers the client's.
    let other = EphemeralKey::generate();
    let started = start(&api, &other);
    assert_refused(
        finish(&api, &started, &mut passkey, &key),
        Code::SignInRefused,
    );
    // And whoever hears the answer cannot open what was sealed to the client.
    let started = start(&api, &key);
    let answer = finish(&api, &started, &mut passkey, &key).unwrap();
    assert!(open(&api, &started, answer, &other).is_none());

    // Another origin, no user verification, a copied authenticator, another one's user handle: all are refused.
    let tricks: [(&str, Trick); 3] = [
        ("origin", |passkey| {
            "https://strongroom.local.evil.example".clone_into(&mut passkey.origin);
        }),
        ("user", |passkey| passkey.verifies = false),
        ("counter", |passkey| passkey.counter = 0),
    ];
    for (what, trick) in tricks {
        let counter = passkey.counter;
        trick(&mut passkey);
        let started = start(&api, &key);
        let refused = finish(&api, &started, &mut passkey, &key);
        let problem = refused.map(drop).unwrap_err().problem();
        assert_eq!(problem.code, Code::SignInRefused, "{what}");
        assert!(problem.leaf.is_some(), "{what}");
        ORIGIN.clone_into(&mut passkey.origin);
        passkey.verifies = true;
        passkey.counter = counter + 1;
    }
    let started = start(&api, &key);
    let mut assertion = passkey.sign(&started.request, &challenge(&started.request, key.public()));
    assertion.user_handle = Some(bob.account.id.as_bytes().as_slice().into());
    let request = FinishPasskeySignIn {
        sign_in: started.sign_in,
        assertion,
    };
    let refused: Result<PasskeySignedIn, _> = api.ask("POST", FINISH, Some(&request));
    assert_refused(refused, Code::SignInRefused);
    let short = StartPasskeySignIn {
        client_key: vec![1; 32].into(),
    };
    let refused: Result<PasskeySignInStarted, _> = api.ask("POST", START, Some(&short));
    assert_eq!(refused.unwrap_err().code(), Code::Invalid);

    // The owner saw the attempts.
    let records = alice.records_after(None).unwrap();
    let refused = records.iter().filter(|record| {
        record.note.as_deref() == Some("sign-in-refused")
            && record.subject == Some(alice.account.id)
    });
    assert!(refused.count() >= 5);
}

#[test]
fn a_passkey_is_kept_over_a_restart_and_safe_in_the_database() {
    let Scene {
        mut appliance,
        mut alice,
        mut bob,
        ..
    } = scene();
    let (mut alices, _) = add_passkey(&mut alice);
    let (mut bobs, _) = add_passkey(&mut bob);
    let key = EphemeralKey::generate();
    for passkey in [&mut alices, &mut bobs] {
        let api = appliance.api();
        let started = start(&api, &key);
        finish(&api, &started, passkey, &key).unwrap();
    }
    // The counter is kept, too.
    let counter = alices.counter;
    appliance.restart();
    let api = appliance.api();
    alices.counter = 0;
    let started = start(&api, &key);
    assert_refused(
        finish(&api, &started, &mut alices, &key),
        Code::SignInRefused,
    );
    alices.counter = counter;
    let started = start(&api, &key);
    let answer = finish(&api, &started, &mut alices, &key).unwrap();
    assert_eq!(answer.signed_in.account.name, "alice@example.com");

    // Whoever writes to the database cannot make bob's passkey alice's, nor forget its counter.
    appliance.stop();
    for edit in [
        "UPDATE passkeys SET account = ?1 WHERE account = ?2",
        "UPDATE passkeys SET sign_count = 0 WHERE ?1 <> ?2",
    ] {
        let mut copy = appliance.copy();
        let (alice, bob) = (alice.account.id, bob.account.id);
        let edited = copy
            .database()
            .execute(edit, [alice.as_bytes(), bob.as_bytes()]);
        assert!(edited.unwrap() > 0);
        copy.serve();
        let api = copy.api();
        let started = start(&api, &key);
        let refused = finish(&api, &started, &mut bobs, &key);
        assert_refused(refused, Code::IntegrityFailure);
    }
}

#[test]
fn a_passkey_is_a_second_factor_and_can_be_the_only_credential() {
    let Scene {
        appliance,
        mut admin,
        mut alice,
        mut bob,
    } = scene();
    let api = appliance.api();
    let (mut passkey, added) = add_passkey(&mut alice);
    let (mut bobs, _) = add_passkey(&mut bob);
    let enter = || match api.enter(
        "alice@example.com",
        &appliance.password_of("alice@example.com"),
    ) {
        Ok(Entered::SecondFactor(needed, transport)) => (needed, transport),
        _ => panic!("a second factor is asked for"),
    };
    let prove = |passkey: &mut Passkey, binding: Option<&[u8]>| {
        let (needed, transport) = enter();
        let request = needed.passkey.clone().unwrap();
        let own = transport.second_factor_binding();
        let challenge = challenge(&request, binding.unwrap_or(&own));
        let proof = SecondFactor::Passkey(passkey.sign(&request, &challenge));
        api.prove(&needed, &transport, proof)
    };
    // The password is a factor, so that the authenticator need not verify its user.
    passkey.verifies = false;
    let mut session = prove(&mut passkey, None).unwrap();
    let key = session.create_key("two factors", &[]).unwrap().key.id;
    session.release(key).unwrap();
    // Bound to another sign-in, or somebody else's passkey.
    assert_refused(
        prove(&mut passkey, Some(&[7; 32])),
        Code::SecondFactorRefused,
    );
    assert_refused(prove(&mut bobs, None), Code::SecondFactorRefused);

    // With a passkey the password can go, and then the passkey is the last credential.
    let remove = |session: &mut Session, what: &str| -> Result<Done, Failed> {
        session.delete(&format!("/v1/accounts/me/credentials/{what}"))
    };
    remove(&mut alice, "password").unwrap();
    let id = added.credential.passkey.unwrap().to_string();
    assert_refused(remove(&mut alice, &id), Code::Conflict);
    for other in [&mut bob, &mut admin] {
        assert_refused(remove(other, &id), Code::CredentialNotFound);
    }
    let gone = api
        .sign_in(
            "alice@example.com",
            &appliance.password_of("alice@example.com"),
        )
        .map(drop);
    assert_eq!(gone.unwrap_err().code(), Code::SignInRefused);
    passkey.verifies = true;
    let client = EphemeralKey::generate();
    let started = start(&api, &client);
    let answer = finish(&api, &started, &mut passkey, &client).unwrap();
    let mut alice = open(&api, &started, answer, &client).unwrap();
    alice.release(key).unwrap();

    // One registration makes one passkey, by the account that began it.
    let request: PasskeyRegistration = alice
        .ask("POST", "/v1/accounts/me/passkeys/start", &())
        .unwrap();
    assert_eq!(request.exclude.len(), 1);
    let (_, register) = Passkey::make(&request, ORIGIN);
    let stolen: Result<FactorAdded, _> = bob.ask("POST", "/v1/accounts/me/passkeys", &register);
    assert_refused(stolen.map(drop), Code::Conflict);
    let late: Result<FactorAdded, _> = alice.ask("POST", "/v1/accounts/me/passkeys", &register);
    assert_refused(late.map(drop), Code::Conflict);
    let (_, second) = add_passkey(&mut alice);
    // Now there are two, and one may go.
    remove(&mut alice, &id).unwrap();
    let left: Credentials = alice.get("/v1/accounts/me/credentials").unwrap();
    let left: Vec<_> = left.credentials.iter().map(|held| held.passkey).collect();
    assert_eq!(left, [None, second.credential.passkey]);
}

/// Chromium and its authenticator, which we did not write, register and sign with keys of each kind that the appliance takes.
#[test]
fn a_browser_registers_passkeys_and_signs_in_with_them() {
    let Scene {
        appliance,
        mut alice,
        ..
    } = scene();
    let api = appliance.api();
    let secret = alice.create_key("for a browser", &[]).unwrap().key.id;
    let (_, material) = alice.release(secret).unwrap();
    let certificate = appliance.data().join("tls/server.pem");
    let page = || Authenticator::at("strongroom.local", api.client, &certificate, "/pair");
    let start_registration = |alice: &mut Session| -> PasskeyRegistration {
        alice
            .ask("POST", "/v1/accounts/me/passkeys/start", &())
            .unwrap()
    };
    let offered = start_registration(&mut alice).algorithms;
    assert_eq!(offered.len(), 3);
    let key = EphemeralKey::generate();
    for algorithm in offered {
        // An authenticator of its own, so that there is one passkey to choose.
        let browser = page();
        let request = start_registration(&mut alice);
        let register = browser.make(&request, &[algorithm]);
        let _: FactorAdded = alice
            .ask("POST", "/v1/accounts/me/passkeys", &register)
            .unwrap();

        let started = start(&api, &key);
        let challenge = challenge(&started.request, key.public());
        let request = FinishPasskeySignIn {
            sign_in: started.sign_in,
            assertion: browser.sign(&started.request, &challenge),
        };
        let answer: PasskeySignedIn = api.ask("POST", FINISH, Some(&request)).unwrap();
        let mut session = open(&api, &started, answer, &key).unwrap();
        assert_eq!(session.account.name, "alice@example.com", "{algorithm}");
        assert_eq!(session.release(secret).unwrap().1, material);
    }
    let held: Credentials = alice.get("/v1/accounts/me/credentials").unwrap();
    let passkeys = held.credentials.iter();
    let passkeys = passkeys.filter(|held| held.kind == CredentialKind::Passkey);
    assert_eq!(passkeys.count(), 3);
}
