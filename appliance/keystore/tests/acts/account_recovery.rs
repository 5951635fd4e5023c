//! Recovery of accounts, and the mail that goes with it.

use rusqlite::Connection;
use strongroom_keystore::{Error, Mail, MailContent, Options};
use strongroom_session::OsRng;
use strongroom_session::opaque::{identifiers, server_identity};
use strongroom_session::opaque_ke::{
    ClientRegistration, ClientRegistrationFinishParameters, RegistrationResponse,
};
use strongroom_wire::account::Role;
use strongroom_wire::audit::{Act, RecordQuery};
use strongroom_wire::id::AccountId;
use strongroom_wire::invitation::AccountPolicy;
use strongroom_wire::policy::DomainPolicy;
use strongroom_wire::recovery::{FinishRecovery, SecondCode, StartRecovery};

use crate::house::{House, PASSWORD, Person, SOURCE, Unstretched, sign_in};
use crate::second_factor::{prove, set_up, to_second_factor};

pub(crate) const TRIALS: &[(&str, fn())] = &[
    (
        "a_recovery_takes_two_codes_and_a_day",
        a_recovery_takes_two_codes_and_a_day,
    ),
    (
        "two_administrators_can_recover_an_account",
        two_administrators_can_recover_an_account,
    ),
    (
        "the_holder_cancels_a_recovery",
        the_holder_cancels_a_recovery,
    ),
    (
        "a_recovery_edited_in_the_database_is_refused",
        a_recovery_edited_in_the_database_is_refused,
    ),
    (
        "an_old_password_that_was_proved_in_time_opens_nothing",
        an_old_password_that_was_proved_in_time_opens_nothing,
    ),
];

pub(crate) const ALICE: &str = "alice@example.com";
const NEW: &str = "a wholly new password";
pub(crate) const DAY: u64 = 24 * 3600;

pub(crate) fn house(label: &str) -> House {
    let house = House::with(
        label,
        Options {
            sends_mail: true,
            ..Options::default()
        },
    );
    let policy = DomainPolicy {
        accounts: AccountPolicy {
            inviters: vec!["*@example.com".to_owned()],
            invitees: vec!["*@partner.example".to_owned()],
            invitations_per_day: 3,
            ..AccountPolicy::default()
        },
        ..DomainPolicy::default()
    };
    house
        .keystore
        .set_domain_policy(&house.admin.presented, policy)
        .unwrap();
    house
}

pub(crate) fn account_of(house: &House, person: &Person) -> AccountId {
    house.keystore.own_account(&person.presented).unwrap().id
}

/// Finishes a recovery as a client does.
fn recover(house: &House, code: &str, second: &SecondCode) -> Result<(), Error> {
    let start = ClientRegistration::<Unstretched>::start(&mut OsRng, NEW.as_bytes()).unwrap();
    let request = StartRecovery {
        account: ALICE.to_owned(),
        code: code.to_owned(),
        second: second.clone(),
        request: start.message.serialize().to_vec().into(),
    };
    let keystore = &house.keystore;
    let started = keystore
        .start_recovered_password(SOURCE, request)
        .map_err(|refusal| refusal.error)?;
    let server = server_identity(&started.domain);
    let finish = start
        .state
        .finish(
            &mut OsRng,
            NEW.as_bytes(),
            RegistrationResponse::deserialize(&started.response.0).unwrap(),
            ClientRegistrationFinishParameters::new(identifiers(ALICE, &server), None),
        )
        .unwrap();
    let request = FinishRecovery {
        account: ALICE.to_owned(),
        code: code.to_owned(),
        second: second.clone(),
        upload: finish.message.serialize().to_vec().into(),
    };
    keystore
        .finish_recovery(SOURCE, request)
        .map(drop)
        .map_err(|refusal| refusal.error)
}

fn own(code: &str) -> SecondCode {
    SecondCode::RecoveryCode(code.to_owned())
}

fn approval(code: &str) -> SecondCode {
    SecondCode::ApprovalCode(code.to_owned())
}

pub(crate) fn due(house: &House) -> Vec<Mail> {
    let mut mail = house.keystore.due_mail(100).unwrap();
    // Second factors are set up here as well, of which their holder is told.
    mail.retain(|mail| !matches!(mail.content, MailContent::CredentialChanged { .. }));
    mail
}

fn a_recovery_takes_two_codes_and_a_day() {
    let house = house("recovery");
    let alice = house.person(ALICE);
    let (key, material) = house.key(&alice, &[]);
    let (_, added) = set_up(&house, &alice);
    let codes = added.recovery_codes;
    let account = account_of(&house, &alice);
    let admin = &house.admin.presented;
    let started = house.keystore.start_recovery(admin, account).unwrap();
    assert_eq!(started.recovery.effective, house.now().plus_seconds(DAY));
    // One at a time; nobody's own; nobody but administrators; only the enrolled.
    let again = house.keystore.start_recovery(admin, account).map(drop);
    assert!(matches!(again.unwrap_err().error, Error::Conflict(_)));
    let own_account = account_of(&house, &house.admin);
    let refused = house.keystore.start_recovery(admin, own_account).map(drop);
    assert!(matches!(refused.unwrap_err().error, Error::NotPermitted(_)));
    let refused = house.keystore.start_recovery(&alice.presented, own_account);
    assert!(matches!(
        refused.map(drop).unwrap_err().error,
        Error::NotPermitted(_)
    ));

    // The holder sees it: in their account, in the log, by mail.
    let seen = house
        .keystore
        .present_recovery(&alice.presented, None)
        .unwrap();
    assert_eq!(seen.recovery.unwrap().started_by_name, "admin@example.com");
    let records = house
        .keystore
        .records(&alice.presented, RecordQuery::default());
    assert_eq!(records.unwrap().records[0].act, Act::RecoveryStart);
    let mail = due(&house);
    assert_eq!(mail[0].to, ALICE);
    assert!(matches!(
        mail[0].content,
        MailContent::RecoveryStarted { .. }
    ));

    // Both codes are right, and it is too early; then one of them is wrong.
    let early = recover(&house, &started.code, &own(&codes[0]));
    assert!(
        matches!(early, Err(Error::RecoveryTooEarly(_))),
        "{early:?}"
    );
    house.clock.advance(DAY);
    for (code, second) in [
        (started.code.as_str(), own("0000")),
        ("0000", own(&codes[0])),
        // The administrator has this one, and no other.
        (&started.code, approval(&started.code)),
        (&started.code, own(&started.code)),
    ] {
        let refused = recover(&house, code, &second);
        assert!(
            matches!(refused, Err(Error::RecoveryRefused)),
            "{refused:?}"
        );
    }
    recover(&house, &started.code, &own(&codes[0])).unwrap();

    // The old password, the app and the sessions are gone; keys are as they were.
    assert!(house.keystore.own_account(&alice.presented).is_err());
    assert!(sign_in(&house.keystore, ALICE, PASSWORD).is_none());
    let alice = sign_in(&house.keystore, ALICE, NEW).unwrap();
    assert_eq!(house.release(&alice, key).unwrap(), material);
    let credentials = house.keystore.credentials(&alice.presented).unwrap();
    assert_eq!(credentials.credentials.len(), 1);
    // Nor are the codes good again.
    let again = recover(&house, &started.code, &own(&codes[1]));
    assert!(matches!(again, Err(Error::RecoveryRefused)));
    let mail = due(&house);
    assert!(matches!(
        mail.last().unwrap().content,
        MailContent::RecoveryFinished { .. }
    ));
}

fn two_administrators_can_recover_an_account() {
    let house = house("approved");
    let alice = house.person(ALICE);
    let second = house.person_with("second@example.com", &[Role::Administrator]);
    let account = account_of(&house, &alice);
    let started = house
        .keystore
        .start_recovery(&house.admin.presented, account)
        .unwrap();
    // Not who started it, and not the holder.
    for person in [&house.admin, &alice] {
        let refused = house.keystore.approve_recovery(&person.presented, account);
        assert!(matches!(
            refused.map(drop).unwrap_err().error,
            Error::NotPermitted(_)
        ));
    }
    house.clock.advance(DAY - 60);
    let second = sign_in(&house.keystore, &second.name, PASSWORD).unwrap();
    let approved = house
        .keystore
        .approve_recovery(&second.presented, account)
        .unwrap();
    // The delay begins anew.
    assert_eq!(approved.recovery.effective, house.now().plus_seconds(DAY));
    house.clock.advance(60);
    let early = recover(&house, &started.code, &approval(&approved.code));
    assert!(matches!(early, Err(Error::RecoveryTooEarly(_))));
    house.clock.advance(DAY - 60);
    for (code, second) in [
        (&started.code, &started.code),
        (&approved.code, &approved.code),
        (&approved.code, &started.code),
    ] {
        let refused = recover(&house, code, &approval(second));
        assert!(matches!(refused, Err(Error::RecoveryRefused)));
    }
    recover(&house, &started.code, &approval(&approved.code)).unwrap();
    assert!(sign_in(&house.keystore, ALICE, NEW).is_some());
}

fn the_holder_cancels_a_recovery() {
    let house = house("cancelled");
    let alice = house.person(ALICE);
    let codes = house
        .keystore
        .make_recovery_codes(&alice.presented)
        .unwrap()
        .codes;
    let account = account_of(&house, &alice);
    let admin = &house.admin.presented;
    let started = house.keystore.start_recovery(admin, account).unwrap();
    let bob = house.person("bob@example.com");
    let refused = house
        .keystore
        .cancel_recovery(&bob.presented, Some(account));
    assert!(matches!(refused.unwrap_err().error, Error::NotPermitted(_)));
    let refused = house
        .keystore
        .present_recovery(&bob.presented, Some(account));
    assert!(matches!(refused.unwrap_err().error, Error::NotPermitted(_)));
    house
        .keystore
        .cancel_recovery(&alice.presented, None)
        .unwrap();
    let none = house.keystore.cancel_recovery(&alice.presented, None);
    assert!(matches!(none.unwrap_err().error, Error::Conflict(_)));
    house.clock.advance(DAY);
    let refused = recover(&house, &started.code, &own(&codes[0]));
    assert!(matches!(refused, Err(Error::RecoveryRefused)));
    // Another one, with another code, lapses a week after it could have been finished.
    let admin = sign_in(&house.keystore, "admin@example.com", PASSWORD).unwrap();
    let started = house
        .keystore
        .start_recovery(&admin.presented, account)
        .unwrap();
    house.clock.advance(8 * DAY);
    let refused = recover(&house, &started.code, &own(&codes[0]));
    assert!(matches!(refused, Err(Error::RecoveryRefused)));
    assert!(house.keystore.forget_expired().unwrap() >= 1);
    assert!(sign_in(&house.keystore, ALICE, PASSWORD).is_some());
}

fn a_recovery_edited_in_the_database_is_refused() {
    let house = house("recovery-edited");
    let alice = house.person(ALICE);
    let codes = house
        .keystore
        .make_recovery_codes(&alice.presented)
        .unwrap()
        .codes;
    let account = account_of(&house, &alice);
    let started = house
        .keystore
        .start_recovery(&house.admin.presented, account)
        .unwrap();
    let database = Connection::open(house.database()).unwrap();
    database
        .execute("UPDATE account_recoveries SET effective = started", [])
        .unwrap();
    let refused = recover(&house, &started.code, &own(&codes[0]));
    assert!(matches!(refused, Err(Error::Integrity(_))), "{refused:?}");
}

fn an_old_password_that_was_proved_in_time_opens_nothing() {
    let house = house("recovery-race");
    let alice = house.person(ALICE);
    let (app, added) = set_up(&house, &alice);
    let account = account_of(&house, &alice);
    let started = house
        .keystore
        .start_recovery(&house.admin.presented, account)
        .unwrap();
    house.clock.advance(DAY);
    let waiting = to_second_factor(&house, ALICE);
    recover(&house, &started.code, &own(&added.recovery_codes[0])).unwrap();
    let code = strongroom_wire::credential::SecondFactor::Totp(app.shows(&house, 0));
    let refused = prove(&house, &waiting, code).map(drop).unwrap_err();
    assert!(matches!(refused.error, Error::SecondFactorRefused));
}
