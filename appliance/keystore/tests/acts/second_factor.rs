//! Authenticator apps and recovery codes.

use aws_lc_rs::hmac;
use rusqlite::Connection;
use strongroom_keystore::{Error, Refusal};
use strongroom_session::TransportKey;
use strongroom_wire::audit::{Act, Record, RecordQuery};
use strongroom_wire::credential::{
    ConfirmTotp, CredentialKind, CredentialName, FactorAdded, SecondFactor,
};
use strongroom_wire::policy::DomainPolicy;
use strongroom_wire::session::{
    FinishSecondFactor, SecondFactorNeeded, SignInFinished, SignInStrength,
};

use crate::house::{House, PASSWORD, Person, SOURCE, enter, entered, sign_in, step_up};

pub(crate) const TRIALS: &[(&str, fn())] = &[
    (
        "an_authenticator_app_is_asked_for",
        an_authenticator_app_is_asked_for,
    ),
    ("a_code_is_good_once", a_code_is_good_once),
    ("guessing_codes_is_slowed", guessing_codes_is_slowed),
    (
        "recovery_codes_replace_the_factor_once_each",
        recovery_codes_replace_the_factor_once_each,
    ),
    (
        "deleting_the_factor_in_the_database_opens_nothing",
        deleting_the_factor_in_the_database_opens_nothing,
    ),
    (
        "signing_in_again_takes_the_second_factor",
        signing_in_again_takes_the_second_factor,
    ),
    (
        "machines_have_no_second_factor",
        machines_have_no_second_factor,
    ),
];

const ALICE: &str = "alice@example.com";

/// An authenticator app: what it was told to remember.
pub(crate) struct App(Vec<u8>);

impl App {
    /// From base 32.
    fn new(secret: &str) -> Self {
        let (mut held, mut bits, mut bytes) = (0_u32, 0, Vec::new());
        for digit in secret.bytes() {
            let value = match digit {
                b'A'..=b'Z' => digit - b'A',
                _ => digit - b'2' + 26,
            };
            (held, bits) = (held << 5 | u32::from(value), bits + 5);
            if bits >= 8 {
                bits -= 8;
                bytes.push(u8::try_from(held >> bits & 0xff).unwrap());
            }
        }
        Self(bytes)
    }

    /// What it shows so many seconds after now.
    pub(crate) fn shows(&self, house: &House, seconds: i64) -> String {
        let now = i64::try_from(house.now().as_millis() / 1000).unwrap() + seconds;
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &self.0);
        let tag = hmac::sign(&key, &u64::try_from(now / 30).unwrap().to_be_bytes());
        let offset = usize::from(tag.as_ref()[19] & 15);
        let word = u32::from_be_bytes(tag.as_ref()[offset..offset + 4].try_into().unwrap());
        format!("{:06}", (word & 0x7fff_ffff) % 1_000_000)
    }
}

/// Sets up an authenticator app, and answers what that brought.
pub(crate) fn set_up(house: &House, person: &Person) -> (App, FactorAdded) {
    let started = house.keystore.start_totp(&person.presented).unwrap();
    assert!(started.uri.contains(&format!("secret={}", started.secret)));
    let app = App::new(&started.secret);
    assert_eq!(app.0.len(), 20);
    let code = app.shows(house, 0);
    let added = house
        .keystore
        .confirm_totp(&person.presented, ConfirmTotp { code })
        .unwrap();
    (app, added)
}

/// Gives the password and comes to the second factor.
pub(crate) fn to_second_factor(house: &House, name: &str) -> (SecondFactorNeeded, TransportKey) {
    match enter(&house.keystore, name, PASSWORD).unwrap() {
        (SignInFinished::SecondFactor { second_factor }, transport) => (second_factor, transport),
        (SignInFinished::SignedIn(_), _) => panic!("the password was enough"),
    }
}

pub(crate) fn prove(
    house: &House,
    waiting: &(SecondFactorNeeded, TransportKey),
    proof: SecondFactor,
) -> Result<Person, Refusal> {
    let request = FinishSecondFactor {
        sign_in: waiting.0.sign_in,
        proof,
    };
    let signed_in = house.keystore.finish_second_factor(SOURCE, request)?;
    Ok(entered(signed_in, waiting.1.clone()))
}

fn totp(code: &str) -> SecondFactor {
    SecondFactor::Totp(code.to_owned())
}

fn refused(outcome: Result<Person, Refusal>) -> Error {
    let refusal = outcome.map(drop).unwrap_err();
    assert!(refusal.leaf.is_some(), "{refusal}");
    refusal.error
}

fn records(house: &House, person: &Person) -> Vec<Record> {
    let query = RecordQuery::default();
    house
        .keystore
        .records(&person.presented, query)
        .unwrap()
        .records
}

fn an_authenticator_app_is_asked_for() {
    let house = House::new("totp");
    let alice = house.person(ALICE);
    let (key, material) = house.key(&alice, &[]);
    // An app that was never confirmed is not asked for.
    house.keystore.start_totp(&alice.presented).unwrap();
    assert!(sign_in(&house.keystore, ALICE, PASSWORD).is_some());
    let wrong = ConfirmTotp {
        code: "000000".to_owned(),
    };
    let error = house.keystore.confirm_totp(&alice.presented, wrong).err();
    assert!(matches!(error.unwrap().error, Error::SecondFactorRefused));

    let (app, added) = set_up(&house, &alice);
    assert_eq!(added.credential.kind, CredentialKind::Totp);
    assert_eq!(added.recovery_codes.len(), 10);
    assert!(sign_in(&house.keystore, ALICE, PASSWORD).is_none());
    house.clock.advance(60);
    let waiting = to_second_factor(&house, ALICE);
    assert_eq!(
        waiting.0.kinds,
        [CredentialKind::Totp, CredentialKind::RecoveryCodes]
    );
    let alice = prove(&house, &waiting, totp(&app.shows(&house, 0))).unwrap();
    assert_eq!(house.release(&alice, key).unwrap(), material);
    // The sign-in is used up.
    let again = prove(&house, &waiting, totp(&app.shows(&house, 30)));
    assert!(matches!(refused(again), Error::SecondFactorRefused));

    let listed = house.keystore.credentials(&alice.presented).unwrap();
    let kinds: Vec<_> = listed
        .credentials
        .iter()
        .map(|credential| (credential.kind, credential.used, credential.left))
        .collect();
    assert_eq!(kinds[1], (CredentialKind::Totp, Some(house.now()), None));
    assert_eq!(kinds[2], (CredentialKind::RecoveryCodes, None, Some(10)));

    house
        .keystore
        .remove_credential(&alice.presented, CredentialName::Totp)
        .unwrap();
    assert!(sign_in(&house.keystore, ALICE, PASSWORD).is_some());
    let gone = house
        .keystore
        .remove_credential(&alice.presented, CredentialName::Totp);
    assert!(matches!(gone.unwrap_err().error, Error::CredentialNotFound));
    let last = house
        .keystore
        .remove_credential(&alice.presented, CredentialName::Password);
    assert!(matches!(last.unwrap_err().error, Error::Conflict(_)));
    let notes: Vec<_> = records(&house, &alice)
        .into_iter()
        .filter(|record| matches!(record.act, Act::CredentialAdd | Act::CredentialRemove))
        .map(|record| (record.act, record.done, record.note.unwrap()))
        .collect();
    assert_eq!(
        notes,
        [
            (Act::CredentialRemove, false, "conflict".to_owned()),
            (
                Act::CredentialRemove,
                false,
                "credential-not-found".to_owned()
            ),
            (Act::CredentialRemove, true, "totp".to_owned()),
            (Act::CredentialAdd, true, "totp".to_owned()),
            (
                Act::CredentialAdd,
                false,
                "second-factor-refused".to_owned()
            ),
        ]
    );
}

fn a_code_is_good_once() {
    let mut house = House::new("totp-once");
    let alice = house.person(ALICE);
    let (app, _) = set_up(&house, &alice);
    // Not even the one that confirmed the app.
    let code = app.shows(&house, 0);
    let waiting = to_second_factor(&house, ALICE);
    assert!(matches!(
        refused(prove(&house, &waiting, totp(&code))),
        Error::SecondFactorRefused
    ));
    // A wrong code may be followed by the right one.
    let next = app.shows(&house, 30);
    prove(&house, &waiting, totp(&next)).unwrap();
    // Also not after a restart.
    house.reopen();
    let waiting = to_second_factor(&house, ALICE);
    refused(prove(&house, &waiting, totp(&next)));
    // Nor one of before it.
    refused(prove(&house, &waiting, totp(&app.shows(&house, -30))));
    house.clock.advance(30);
    refused(prove(&house, &waiting, totp(&app.shows(&house, 0))));
    prove(&house, &waiting, totp(&app.shows(&house, 30))).unwrap();
    // What waits too long is over.
    let waiting = to_second_factor(&house, ALICE);
    house.clock.advance(5 * 60);
    let late = prove(&house, &waiting, totp(&app.shows(&house, 0)));
    assert!(matches!(refused(late), Error::SecondFactorRefused));
}

fn guessing_codes_is_slowed() {
    let house = House::new("totp-guess");
    let alice = house.person(ALICE);
    let (app, added) = set_up(&house, &alice);
    house.clock.advance(60);
    let guess = |waiting: &(SecondFactorNeeded, TransportKey)| {
        let right = app.shows(&house, 0);
        let wrong = if right.starts_with('1') { "2" } else { "1" };
        refused(prove(
            &house,
            waiting,
            totp(&format!("{wrong}{}", &right[1..])),
        ))
    };
    let waiting = to_second_factor(&house, ALICE);
    assert_eq!(waiting.0.tries, 5);
    for _ in 0..5 {
        assert!(matches!(guess(&waiting), Error::SecondFactorRefused));
    }
    // The sign-in is used up, and another one does not help: not even the right code is looked at for a minute.
    let waiting = to_second_factor(&house, ALICE);
    let right = totp(&app.shows(&house, 0));
    let locked = refused(prove(&house, &waiting, right));
    assert!(matches!(locked, Error::SecondFactorLocked(60)), "{locked}");
    let locked = prove(&house, &waiting, totp(&app.shows(&house, 0))).map(drop);
    assert_eq!(locked.unwrap_err().problem().retry_after, Some(60));
    // A recovery code does help.
    let code = SecondFactor::RecoveryCode(added.recovery_codes[3].to_lowercase());
    prove(&house, &waiting, code).unwrap();
    // Each further five cost twice as long.
    house.clock.advance(60);
    let waiting = to_second_factor(&house, ALICE);
    for _ in 0..5 {
        assert!(matches!(guess(&waiting), Error::SecondFactorRefused));
    }
    let waiting = to_second_factor(&house, ALICE);
    assert!(matches!(guess(&waiting), Error::SecondFactorLocked(120)));
    house.clock.advance(120);
    let alice = prove(&house, &waiting, totp(&app.shows(&house, 0))).unwrap();
    // The owner sees every one.
    let records = records(&house, &alice);
    let noted = |note: &str| {
        let fits = |record: &&Record| record.note.as_deref() == Some(note);
        records.iter().filter(fits).count()
    };
    assert_eq!(noted("second-factor-refused"), 10);
    assert_eq!(noted("too-many-attempts"), 3);
    assert_eq!(noted("recovery code"), 1);
    // Somebody who knows the password and gives up is seen, too.
    let _ = to_second_factor(&house, ALICE);
    house.clock.advance(5 * 60);
    house.keystore.forget_expired().unwrap();
    let records = self::records(&house, &alice);
    assert_eq!(records[0].note.as_deref(), Some("abandoned"));
}

fn recovery_codes_replace_the_factor_once_each() {
    let house = House::new("recovery-codes");
    let alice = house.person(ALICE);
    let (_, added) = set_up(&house, &alice);
    let code = |codes: &[String], at: usize| SecondFactor::RecoveryCode(codes[at].clone());
    let codes = added.recovery_codes;
    for at in [0, 9] {
        let waiting = to_second_factor(&house, ALICE);
        prove(&house, &waiting, code(&codes, at)).unwrap();
    }
    let waiting = to_second_factor(&house, ALICE);
    refused(prove(&house, &waiting, code(&codes, 0)));
    refused(prove(
        &house,
        &waiting,
        SecondFactor::RecoveryCode(String::new()),
    ));
    let left = |person: &Person| {
        let listed = house.keystore.credentials(&person.presented).unwrap();
        let mut left = listed.credentials.iter().filter_map(|held| held.left);
        left.next()
    };
    assert_eq!(left(&alice), Some(8));
    // New ones make the old ones void.
    let new = house
        .keystore
        .make_recovery_codes(&alice.presented)
        .unwrap();
    refused(prove(&house, &waiting, code(&codes, 1)));
    let alice = prove(&house, &waiting, code(&new.codes, 1)).unwrap();
    assert_eq!(left(&alice), Some(9));
    // A second app brings no new ones.
    house.clock.advance(60);
    let (_, added) = set_up(&house, &alice);
    assert!(added.recovery_codes.is_empty());
}

fn deleting_the_factor_in_the_database_opens_nothing() {
    let mut house = House::new("totp-deleted");
    let alice = house.person(ALICE);
    set_up(&house, &alice);
    let database = Connection::open(house.database()).unwrap();
    database
        .execute("DELETE FROM credentials WHERE kind >= 10", [])
        .unwrap();
    house.reopen();
    let waiting = to_second_factor(&house, ALICE);
    assert!(waiting.0.kinds.is_empty());
    refused(prove(&house, &waiting, totp("123456")));
    // Nor can the password's record be made to say that it is enough.
    database
        .execute("UPDATE credentials SET second_factor = 0", [])
        .unwrap();
    assert!(enter(&house.keystore, ALICE, PASSWORD).is_none());
}

fn signing_in_again_takes_the_second_factor() {
    let house = House::new("totp-step-up");
    let policy = DomainPolicy {
        step_up_within: 300,
        ..DomainPolicy::default()
    };
    house
        .keystore
        .set_domain_policy(&house.admin.presented, policy)
        .unwrap();
    let alice = house.person(ALICE);
    let none = house.keystore.start_second_factor_step_up(&alice.presented);
    assert!(matches!(none.unwrap_err().error, Error::Conflict(_)));
    let (app, _) = set_up(&house, &alice);
    let strength = |person: &Person| {
        let sessions = house.keystore.sessions(&person.presented).unwrap().sessions;
        let mut current = sessions.into_iter().filter(|session| session.current);
        current.next().unwrap().strength
    };
    assert_eq!(strength(&alice), SignInStrength::Password);

    // Taking the app away needs a recent sign-in, and neither the password nor another session's second factor is one.
    house.clock.advance(300);
    let remove = |person: &Person| {
        let name = CredentialName::Totp;
        let removed = house.keystore.remove_credential(&person.presented, name);
        removed.map(drop).map_err(|refusal| refusal.error)
    };
    assert!(matches!(remove(&alice), Err(Error::StepUpRequired(300))));
    let by_password = step_up(&house.keystore, &alice, PASSWORD).unwrap();
    assert!(matches!(by_password, Err(Error::Conflict(_))));
    let started = house
        .keystore
        .start_second_factor_step_up(&alice.presented)
        .unwrap();
    let finish = |person: &Person, sign_in, code: &str| {
        let request = FinishSecondFactor {
            sign_in,
            proof: totp(code),
        };
        house
            .keystore
            .finish_second_factor_step_up(&person.presented, request)
            .map_err(|refusal| refusal.error)
    };
    let waiting = to_second_factor(&house, ALICE);
    let elsewhere = finish(&alice, waiting.0.sign_in, &app.shows(&house, 0));
    assert!(matches!(elsewhere, Err(Error::SecondFactorRefused)));
    let wrong = finish(&alice, started.sign_in, "x");
    assert!(matches!(wrong, Err(Error::SecondFactorRefused)));
    // What confirms a session opens none.
    let confirming = (started.clone(), alice.transport.clone());
    let opened = prove(&house, &confirming, totp(&app.shows(&house, 0)));
    assert!(matches!(refused(opened), Error::SecondFactorRefused));
    let stepped = finish(&alice, started.sign_in, &app.shows(&house, 0)).unwrap();
    assert_eq!(stepped.strength, SignInStrength::TwoFactor);
    assert_eq!(strength(&alice), SignInStrength::TwoFactor);
    remove(&alice).unwrap();
}

fn machines_have_no_second_factor() {
    let house = House::new("machines");
    let request = strongroom_wire::account::CreateAccount {
        name: "backup-service".to_owned(),
        kind: strongroom_wire::account::AccountKind::Service,
        roles: Vec::new(),
        manager: None,
    };
    let created = house
        .keystore
        .create_account(&house.admin.presented, request)
        .unwrap();
    let code = created.enrolment_code.unwrap();
    crate::house::enrol(&house.keystore, "backup-service", &code, PASSWORD).unwrap();
    let service = sign_in(&house.keystore, "backup-service", PASSWORD).unwrap();
    let totp = house.keystore.start_totp(&service.presented).map(drop);
    assert!(matches!(totp.unwrap_err().error, Error::Invalid(_)));
    let codes = house.keystore.make_recovery_codes(&service.presented);
    assert!(matches!(
        codes.map(drop).unwrap_err().error,
        Error::Invalid(_)
    ));
}
