//! Enrolment, sign-in, sessions, roles.

use strongroom_keystore::{Error, Presented};
use strongroom_wire::account::{AccountKind, AccountState, CreateAccount, Role, UpdateAccount};
use strongroom_wire::audit::{Act, RecordQuery};

use crate::house::{House, PASSWORD, enrol, sign_in};

pub(crate) const TRIALS: &[(&str, fn())] = &[
    (
        "an_enrolment_code_is_good_once",
        an_enrolment_code_is_good_once,
    ),
    ("a_lapsed_code_is_refused", a_lapsed_code_is_refused),
    (
        "wrong_passwords_and_strangers_are_alike",
        wrong_passwords_and_strangers_are_alike,
    ),
    ("sessions_end", sessions_end),
    ("suspension_ends_everything", suspension_ends_everything),
    ("the_last_administrator_stays", the_last_administrator_stays),
    (
        "administrators_alone_manage_accounts",
        administrators_alone_manage_accounts,
    ),
];

fn an_enrolment_code_is_good_once() {
    let house = House::new("codes");
    let code = house.invite("alice@example.com", &[]);
    let refused = enrol(&house.keystore, "alice@example.com", "0000-0000", PASSWORD);
    assert!(matches!(refused, Err(Error::EnrolmentRefused)));
    let refused = enrol(&house.keystore, "nobody@example.com", &code, PASSWORD);
    assert!(matches!(refused, Err(Error::EnrolmentRefused)));
    enrol(&house.keystore, "alice@example.com", &code, PASSWORD).unwrap();
    let again = enrol(&house.keystore, "alice@example.com", &code, "another one");
    assert!(matches!(again, Err(Error::EnrolmentRefused)));
    let alice = sign_in(&house.keystore, "alice@example.com", PASSWORD).unwrap();
    let account = house.keystore.own_account(&alice.presented).unwrap();
    assert_eq!(account.state, AccountState::Active);
    // Nor can an administrator make a new one, which would hand them the account and its keys.
    let refused = house
        .keystore
        .invite_account(&house.admin.presented, account.id);
    assert!(matches!(refused.err().unwrap().error, Error::Conflict(_)));
}

fn a_lapsed_code_is_refused() {
    let house = House::new("lapsed");
    let code = house.invite("alice@example.com", &[]);
    house.clock.advance(8 * 24 * 3600);
    let refused = enrol(&house.keystore, "alice@example.com", &code, PASSWORD);
    assert!(matches!(refused, Err(Error::EnrolmentRefused)));
    assert!(house.keystore.forget_expired().unwrap() >= 1);
}

fn wrong_passwords_and_strangers_are_alike() {
    let house = House::new("strangers");
    let alice = house.person("alice@example.com");
    assert!(sign_in(&house.keystore, "alice@example.com", "wrong").is_none());
    assert!(sign_in(&house.keystore, "nobody@example.com", PASSWORD).is_none());
    assert!(sign_in(&house.keystore, "alice@example.com", PASSWORD).is_some());
    // The client saw that the password was wrong and did not finish; when its time is over, that is recorded.
    house.clock.advance(60);
    house.keystore.forget_expired().unwrap();
    let query = RecordQuery::default();
    let records = house
        .keystore
        .records(&alice.presented, query)
        .unwrap()
        .records;
    let refused: Vec<_> = records.iter().filter(|record| !record.done).collect();
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].act, Act::SessionOpen);
    assert_eq!(refused[0].note.as_deref(), Some("abandoned"));
}

fn sessions_end() {
    let house = House::new("sessions");
    let alice = house.person("alice@example.com");
    let second = sign_in(&house.keystore, "alice@example.com", PASSWORD).unwrap();
    let sessions = house.keystore.sessions(&alice.presented).unwrap().sessions;
    assert_eq!(sessions.len(), 2);
    house.keystore.end_session(&second.presented, None).unwrap();
    let refused = house.keystore.own_account(&second.presented).unwrap_err();
    assert!(matches!(refused.error, Error::NotSignedIn));
    assert!(refused.leaf.is_none());
    house.keystore.own_account(&alice.presented).unwrap();
    house.clock.advance(8 * 3600);
    let refused = house.keystore.own_account(&alice.presented).unwrap_err();
    assert!(matches!(refused.error, Error::NotSignedIn));
    assert!(house.keystore.forget_expired().unwrap() >= 1);
}

fn suspension_ends_everything() {
    let house = House::new("suspension");
    let alice = house.person("alice@example.com");
    let id = house.keystore.own_account(&alice.presented).unwrap().id;
    let set = |state| {
        let request = UpdateAccount {
            state: Some(state),
            roles: None,
        };
        house
            .keystore
            .update_account(&house.admin.presented, id, request)
            .unwrap()
    };
    set(AccountState::Suspended);
    assert!(house.keystore.own_account(&alice.presented).is_err());
    assert!(sign_in(&house.keystore, "alice@example.com", PASSWORD).is_none());
    set(AccountState::Active);
    assert!(sign_in(&house.keystore, "alice@example.com", PASSWORD).is_some());
    assert!(
        house.keystore.own_account(&alice.presented).is_err(),
        "old sessions stay ended"
    );
}

fn the_last_administrator_stays() {
    let house = House::new("last-administrator");
    let id = house
        .keystore
        .own_account(&house.admin.presented)
        .unwrap()
        .id;
    let change = |who: &Presented, account, state, roles: Option<&[Role]>| {
        let request = UpdateAccount {
            state,
            roles: roles.map(<[Role]>::to_vec),
        };
        house.keystore.update_account(who, account, request)
    };
    let admin = &house.admin.presented;
    let step_down = || change(admin, id, None, Some(&[]));
    let becomes = |role| change(admin, id, None, Some(&[role]));
    let suspended = || change(admin, id, Some(AccountState::Suspended), None);
    let alone = || {
        for refused in [
            step_down(),
            becomes(Role::SecurityOfficer),
            becomes(Role::Auditor),
            suspended(),
        ] {
            let refused = refused.unwrap_err();
            assert!(matches!(refused.error, Error::Conflict(_)));
            assert!(refused.leaf.is_some(), "a refused attempt leaves a leaf");
        }
    };
    alone();
    // One who has not enrolled, or is suspended, is none who could take over.
    house.invite("pending@example.com", &[Role::Administrator]);
    alone();
    let second = house.person_with("second@example.com", &[Role::Administrator]);
    let own = house.keystore.own_account(&second.presented).unwrap();
    change(admin, own.id, Some(AccountState::Suspended), None).unwrap();
    alone();
    change(admin, own.id, Some(AccountState::Active), None).unwrap();
    let both = [Role::Administrator, Role::SecurityOfficer];
    change(admin, own.id, None, Some(&both)).unwrap();
    step_down().unwrap();
    let refused = house.keystore.accounts(admin, None, None).unwrap_err();
    assert!(matches!(refused.error, Error::NotPermitted(_)));
}

fn administrators_alone_manage_accounts() {
    let house = House::new("administrators");
    let alice = house.person("alice@example.com");
    let request = |name: &str, roles: Vec<Role>| CreateAccount {
        name: name.to_owned(),
        kind: AccountKind::Person,
        roles,
        manager: None,
    };
    let create = |who: &crate::house::Person, request| {
        house
            .keystore
            .create_account(&who.presented, request)
            .map_err(|refusal| refusal.error)
    };
    let refused = create(
        &alice,
        request("eve@example.com", vec![Role::Administrator]),
    );
    assert!(matches!(refused, Err(Error::NotPermitted(_))));
    let taken = create(&house.admin, request(" Alice@Example.com ", Vec::new()));
    assert!(matches!(taken, Err(Error::AccountExists(_))));
    let both = create(
        &house.admin,
        request("eve@example.com", vec![Role::Administrator, Role::Auditor]),
    );
    let Err(Error::Conflict(reason)) = both else {
        panic!("roles that exclude each other were given");
    };
    assert_eq!(
        reason,
        "The roles auditor and administrator exclude each other: nobody audits themselves."
    );
    for name in ["", "a b", "naïve@example.com", &"x".repeat(255)] {
        let refused = create(&house.admin, request(name, Vec::new()));
        assert!(matches!(refused, Err(Error::Invalid(_))), "{name:?}");
    }
    let page = house
        .keystore
        .accounts(&house.admin.presented, None, Some(1))
        .unwrap();
    assert_eq!(page.accounts.len(), 1);
    let rest = house
        .keystore
        .accounts(&house.admin.presented, page.next, None)
        .unwrap();
    assert_eq!(rest.accounts.len(), 1);
    assert_eq!(rest.next, None);
}
