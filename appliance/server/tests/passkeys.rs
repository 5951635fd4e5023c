//! The client library signs in with a passkey, alone and as second factor, at an appliance that serves.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

#[expect(dead_code, reason = "shared with the tests of backups")]
mod site;

#[expect(unreachable_pub, reason = "shared with the end-to-end tests")]
#[path = "../../../tests/src/passkey.rs"]
mod passkey;

use strongroom_client::sign_in::SignIn;
use strongroom_wire::credential::SecondFactor;
use strongroom_wire::key::{Algorithm, NewKey};
use strongroom_wire::session::SignInStrength;

use passkey::Passkey;
use site::{PASSWORD, Site};

const ORIGIN: &str = "https://strongroom.local";

#[test]
fn the_library_signs_in_with_a_passkey() {
    let site = Site::initialise();
    let appliance = site.serve(&site.config());
    let admin = appliance.enrol_administrator();
    let alice = appliance.person(&admin, "alice@example.com", &[]);
    let key = NewKey {
        label: "for a passkey".to_owned(),
        ..NewKey::new(Algorithm::Aes256)
    };
    let (created, mut released) = alice.create_and_obtain(key).unwrap();
    let material = released.material().unwrap();
    let request = alice.start_passkey_registration().unwrap();
    let (mut passkey, made) = Passkey::make(&request, ORIGIN);
    alice.register_passkey(&made).unwrap();

    let client = alice.client();
    let session = client
        .sign_in_with_passkey(|request, challenge| Ok(passkey.sign(request, challenge)))
        .unwrap();
    assert_eq!(session.account().name, "alice@example.com");
    let mut again = session.obtain(created.key.id, None).unwrap();
    assert_eq!(again.material().unwrap(), material);
    let strength = |session: &strongroom_client::Session| {
        let sessions = session.sessions().unwrap().sessions.into_iter();
        let mut current = sessions.filter(|session| session.current);
        current.next().unwrap().strength
    };
    assert_eq!(strength(&session), SignInStrength::Passkey);

    let SignIn::SecondFactor(waiting) =
        client.begin_sign_in("alice@example.com", PASSWORD).unwrap()
    else {
        unreachable!("a second factor is asked for");
    };
    let (request, challenge) = waiting.passkey().unwrap().unwrap();
    let proof = SecondFactor::Passkey(passkey.sign(request, &challenge));
    let session = waiting.prove(proof).unwrap();
    assert_eq!(strength(&session), SignInStrength::TwoFactor);
    // And signs in again in that session.
    let waiting = session.begin_step_up().unwrap();
    let (request, challenge) = waiting.passkey().unwrap().unwrap();
    let proof = SecondFactor::Passkey(passkey.sign(request, &challenge));
    waiting.prove(proof).unwrap();
    appliance.stop();
}
