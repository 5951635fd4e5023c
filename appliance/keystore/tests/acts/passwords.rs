//! Another password, in a session.

use strongroom_keystore::{CredentialChange, Error, MailContent, Options};
use strongroom_session::OsRng;
use strongroom_session::opaque::{identifiers, server_identity};
use strongroom_session::opaque_ke::{
    ClientRegistration, ClientRegistrationFinishParameters, RegistrationResponse,
};
use strongroom_wire::audit::{Act, RecordQuery};
use strongroom_wire::credential::{CredentialName, FinishPassword, StartPassword};
use strongroom_wire::policy::DomainPolicy;

use crate::house::{House, PASSWORD, Person, Unstretched, enter, sign_in, step_up};
use crate::second_factor::{set_up, to_second_factor};

pub(crate) const TRIALS: &[(&str, fn())] = &[
    ("a_password_is_changed", a_password_is_changed),
    (
        "a_password_is_changed_after_a_fresh_sign_in_alone",
        a_password_is_changed_after_a_fresh_sign_in_alone,
    ),
    (
        "its_holder_is_told_by_mail_of_each_change",
        its_holder_is_told_by_mail_of_each_change,
    ),
    (
        "another_password_leaves_the_second_factor",
        another_password_leaves_the_second_factor,
    ),
];

const ALICE: &str = "alice@example.com";
const NEW: &str = "another horse battery staple";

/// Changes a password as a client does.
fn change(house: &House, person: &Person, password: &str) -> Result<u64, Error> {
    let start = ClientRegistration::<Unstretched>::start(&mut OsRng, password.as_bytes()).unwrap();
    let request = StartPassword {
        request: start.message.serialize().to_vec().into(),
    };
    let started = house
        .keystore
        .start_password(&person.presented, request)
        .map_err(|refusal| refusal.error)?;
    let server = server_identity(&started.domain);
    let response = RegistrationResponse::deserialize(&started.response.0).unwrap();
    let parameters =
        ClientRegistrationFinishParameters::new(identifiers(&person.name, &server), None);
    let finish = start
        .state
        .finish(&mut OsRng, password.as_bytes(), response, parameters)
        .unwrap();
    let request = FinishPassword {
        upload: finish.message.serialize().to_vec().into(),
    };
    house
        .keystore
        .finish_password(&person.presented, request)
        .map(|done| done.leaf)
        .map_err(|refusal| refusal.error)
}

fn a_password_is_changed() {
    let house = House::new("password changed");
    let alice = house.person(ALICE);
    let elsewhere = sign_in(&house.keystore, ALICE, PASSWORD).unwrap();
    let leaf = change(&house, &alice, NEW).unwrap();
    assert!(enter(&house.keystore, ALICE, PASSWORD).is_none());
    assert!(sign_in(&house.keystore, ALICE, NEW).is_some());
    // The session in which it was done goes on; others do not.
    let query = RecordQuery::default();
    let records = house.keystore.records(&alice.presented, query).unwrap();
    let record = records.records.iter().find(|record| record.index == leaf);
    let record = record.unwrap();
    assert_eq!(record.act, Act::CredentialChange);
    assert_eq!(record.note.as_deref(), Some("password"));
    let error = house.keystore.sessions(&elsewhere.presented).unwrap_err();
    assert!(matches!(error.error, Error::NotSignedIn), "{error}");
}

fn its_holder_is_told_by_mail_of_each_change() {
    let options = Options {
        sends_mail: true,
        ..Options::default()
    };
    let house = House::with("passwords told", options);
    let alice = house.person(ALICE);
    let told = || -> Vec<CredentialChange> {
        let mail = house.keystore.due_mail(10).unwrap();
        mail.into_iter()
            .map(|mail| {
                house.keystore.mail_sent(mail.id).unwrap();
                assert_eq!(mail.to, ALICE);
                match mail.content {
                    MailContent::CredentialChanged {
                        account,
                        change,
                        time,
                        ..
                    } => {
                        assert_eq!((account.as_str(), time), (ALICE, house.now()));
                        change
                    }
                    other => panic!("{other:?}"),
                }
            })
            .collect()
    };
    assert_eq!(told(), [], "enrolling is no change");
    change(&house, &alice, NEW).unwrap();
    assert_eq!(told(), [CredentialChange::Password]);
    let _ = set_up(&house, &alice);
    assert_eq!(told(), [CredentialChange::TotpAdded]);
    let _ = house
        .keystore
        .make_recovery_codes(&alice.presented)
        .unwrap();
    assert_eq!(told(), [CredentialChange::RecoveryCodes]);
    let _ = house
        .keystore
        .remove_credential(&alice.presented, CredentialName::Totp)
        .unwrap();
    assert_eq!(told(), [CredentialChange::Removed("totp".to_owned())]);
    // What was refused changed nothing, and whose name is no address is not written to.
    let last = house
        .keystore
        .remove_credential(&alice.presented, CredentialName::Password);
    assert!(last.is_err());
    let surgery = house.person("surgery");
    change(&house, &surgery, NEW).unwrap();
    assert_eq!(told(), []);
}

fn a_password_is_changed_after_a_fresh_sign_in_alone() {
    let house = House::new("password late");
    let alice = house.person(ALICE);
    house.clock.advance(300);
    let late = change(&house, &alice, NEW).unwrap_err();
    assert!(matches!(late, Error::StepUpRequired(300)), "{late}");
    // What was begun in time ends in time, too.
    step_up(&house.keystore, &alice, PASSWORD).unwrap().unwrap();
    house.clock.advance(299);
    change(&house, &alice, NEW).unwrap();
    // A domain may want it fresher, never less fresh.
    let policy = DomainPolicy {
        step_up_within: 60,
        ..DomainPolicy::default()
    };
    house
        .keystore
        .set_domain_policy(&house.admin.presented, policy)
        .unwrap();
    let late = change(&house, &alice, PASSWORD).unwrap_err();
    assert!(matches!(late, Error::StepUpRequired(60)), "{late}");
}

fn another_password_leaves_the_second_factor() {
    let house = House::new("password factor");
    let alice = house.person(ALICE);
    set_up(&house, &alice);
    // A sign-in with the old password that waits for its second factor.
    let waiting = to_second_factor(&house, ALICE);
    change(&house, &alice, NEW).unwrap();
    let (finished, _) = enter(&house.keystore, ALICE, NEW).unwrap();
    assert!(matches!(
        finished,
        strongroom_wire::session::SignInFinished::SecondFactor { .. }
    ));
    let challenge = house.keystore.second_factor_challenge(waiting.0.sign_in);
    assert!(challenge.is_none());
}
