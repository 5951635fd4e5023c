//! What becomes of people whom a directory adds, suspends and deletes.

use rusqlite::Connection;
use serde_json::json;
use strongroom_keystore::directories::Change;
use strongroom_keystore::{Error, MailContent};
use strongroom_scim::{ResourceType, ScimType};
use strongroom_wire::account::{AccountState, Role, UpdateAccount};
use strongroom_wire::audit::Act;
use strongroom_wire::directory::AdoptAccount;
use strongroom_wire::id::AccountId;

use super::{
    account, directory, enrolled, house, id, kind_of, leaves, mailbox, mailed, patch, read,
    set_active, set_state, user_body,
};
use crate::house::{House, PASSWORD, enrol, sign_in};
use crate::rotation::id_of;

pub(crate) const TRIALS: &[(&str, fn())] = &[
    (
        "a_directory_makes_people_who_enrol_by_mail",
        a_directory_makes_people_who_enrol_by_mail,
    ),
    (
        "deactivation_ends_sessions_and_is_undone",
        deactivation_ends_sessions_and_is_undone,
    ),
    (
        "an_administrators_suspension_is_not_a_directorys_to_lift",
        an_administrators_suspension_is_not_a_directorys_to_lift,
    ),
    (
        "who_was_suspended_before_enrolment_has_still_to_enrol",
        who_was_suspended_before_enrolment_has_still_to_enrol,
    ),
    (
        "deleted_users_leave_no_personal_data",
        deleted_users_leave_no_personal_data,
    ),
];

fn a_directory_makes_people_who_enrol_by_mail() {
    let house = house("directory-people");
    let auditor = house.person_with("auditor", &[Role::Auditor]);
    let entra = directory(&house, "entra");
    let made = entra.create("Bob@example.com", true).unwrap();
    assert_eq!(made.resource["active"], true);
    let bob = account(&house, id(&made));
    assert_eq!(
        (bob.name.as_str(), bob.state),
        ("bob@example.com", AccountState::Pending)
    );
    assert_eq!(
        kind_of(&entra.create("bob@EXAMPLE.com", true).unwrap_err()),
        Some(ScimType::Uniqueness)
    );
    assert_eq!(
        kind_of(&entra.create("admin@example.com", true).unwrap_err()),
        Some(ScimType::Uniqueness)
    );

    // The code is in the mail: neither in the answer nor for the administrator.
    let mail = house.keystore.due_mail(10).unwrap();
    let [mail] = &mail[..] else {
        panic!("{} messages", mail.len())
    };
    assert_eq!(mail.to, mailbox("Bob@example.com"));
    let MailContent::Account { code, by, .. } = &mail.content else {
        panic!("{:?}", mail.content)
    };
    assert_eq!(by, "entra");
    assert!(!format!("{made:?}").contains(code.as_str()));
    let again = house
        .keystore
        .invite_account(&house.admin.presented, bob.id)
        .unwrap();
    assert_eq!(again.enrolment_code, None);
    assert!(matches!(
        enrol(&house.keystore, "bob@example.com", code, PASSWORD),
        Err(Error::EnrolmentRefused)
    ));
    let mail = house.keystore.due_mail(10).unwrap();
    let mut codes = mail.iter().filter_map(|mail| match &mail.content {
        MailContent::Account { code: newer, .. } if newer != code => Some(newer),
        _ => None,
    });
    let newer = codes.next_back().unwrap();
    enrol(&house.keystore, "bob@example.com", newer, PASSWORD).unwrap();
    let bob = sign_in(&house.keystore, "bob@example.com", PASSWORD).unwrap();
    let (key, material) = house.key(&bob, &[]);
    assert_eq!(house.release(&bob, key).unwrap(), material);

    // Each act has a leaf that names the directory, and no personal data.
    let records = leaves(&house, &auditor);
    let by_directory: Vec<_> = records
        .iter()
        .filter(|leaf| leaf.actor == Some(AccountId::from_bytes(*entra.id.as_bytes())))
        .collect();
    let acts: Vec<_> = by_directory
        .iter()
        .map(|leaf| (leaf.act, leaf.done))
        .collect();
    assert_eq!(
        acts,
        [
            (Act::AccountCreate, false),
            (Act::AccountCreate, false),
            (Act::AccountInvite, true),
            (Act::AccountCreate, true)
        ]
    );
    assert!(!format!("{by_directory:?}").contains("mailbox-of"));
}

fn deactivation_ends_sessions_and_is_undone() {
    let house = house("directory-deactivate");
    let entra = directory(&house, "entra");
    let bob = entra.person("bob");
    let (key, material) = house.key(&bob, &[]);
    let user = id_of(&house, &bob);
    // As Entra ID writes it.
    let inactive = patch(&json!([{ "op": "Replace", "path": "active", "value": "False" }]));
    let changed = entra.change(user, inactive).unwrap();
    assert_eq!(changed.resource["active"], false);
    assert!(matches!(house.release(&bob, key), Err(Error::NotSignedIn)));
    assert!(sign_in(&house.keystore, "bob", PASSWORD).is_none());
    // What says nothing of it lets nobody in again.
    let mut body = user_body("bob", true);
    body.as_object_mut().unwrap().remove("active");
    body["displayName"] = json!("Bob");
    let replaced = Change::Replace(read(ResourceType::User, &body));
    assert_eq!(
        entra.change(user, replaced).unwrap().resource["active"],
        false
    );
    let removed = patch(&json!([{ "op": "remove", "path": "active" }]));
    assert_eq!(
        entra.change(user, removed).unwrap().resource["active"],
        false
    );
    assert!(sign_in(&house.keystore, "bob", PASSWORD).is_none());

    let changed = entra.change(user, set_active(true)).unwrap();
    assert_eq!(changed.resource["active"], true);
    let bob = sign_in(&house.keystore, "bob", PASSWORD).unwrap();
    assert_eq!(house.release(&bob, key).unwrap(), material);
    // Nothing to change, nothing written.
    assert_eq!(entra.change(user, set_active(true)).unwrap().leaf, None);
    // A name may change; that with which one signs in stays.
    let renamed = patch(&json!([{ "op": "replace", "value": { "userName": "robert" } }]));
    let changed = entra.change(user, renamed).unwrap();
    assert_eq!(changed.resource["userName"], "robert");
    assert_eq!(account(&house, user).name, "bob");
    assert_eq!(entra.found("userName eq \"ROBERT\"").len(), 1);
    assert!(sign_in(&house.keystore, "bob", PASSWORD).is_some());
}

fn an_administrators_suspension_is_not_a_directorys_to_lift() {
    let house = house("directory-suspension");
    let entra = directory(&house, "entra");
    let bob = entra.person("bob");
    let user = id_of(&house, &bob);
    set_state(&house, user, AccountState::Suspended);
    assert_eq!(entra.show(user).unwrap()["active"], false);
    assert!(matches!(
        entra.change(user, set_active(true)),
        Err(Error::NotPermitted(_))
    ));
    // Nor after the directory's own, once an administrator has decided.
    set_state(&house, user, AccountState::Active);
    entra.change(user, set_active(false)).unwrap();
    set_state(&house, user, AccountState::Active);
    set_state(&house, user, AccountState::Suspended);
    assert!(matches!(
        entra.change(user, set_active(true)),
        Err(Error::NotPermitted(_))
    ));

    // Whoever has a role is not a directory's to lock out or delete.
    let carol = entra.person("carol");
    let roles = UpdateAccount {
        state: None,
        roles: Some(vec![Role::Administrator]),
    };
    let carol = id_of(&house, &carol);
    house
        .keystore
        .update_account(&house.admin.presented, carol, roles)
        .unwrap();
    assert!(matches!(
        entra.change(carol, set_active(false)),
        Err(Error::NotPermitted(_))
    ));
    let deleted = house.keystore.delete_user(&entra.call, carol, None);
    assert!(matches!(deleted.unwrap_err().error, Error::NotPermitted(_)));
    assert_eq!(account(&house, carol).state, AccountState::Active);
    let adopt = AdoptAccount {
        account: "admin@example.com".to_owned(),
    };
    let adopted = house
        .keystore
        .adopt_account(&house.admin.presented, entra.id, adopt);
    assert!(matches!(adopted.unwrap_err().error, Error::Conflict(_)));
}

fn who_was_suspended_before_enrolment_has_still_to_enrol() {
    let house = house("directory-pending");
    let admin = &house.admin.presented;
    let entra = directory(&house, "entra");
    // No code for whoever is made inactive, until they are active.
    let bob = id(&entra.create("bob", false).unwrap());
    assert_eq!(account(&house, bob).state, AccountState::Suspended);
    assert!(mailed(&house, "bob").is_empty());
    entra.change(bob, set_active(true)).unwrap();
    assert_eq!(account(&house, bob).state, AccountState::Pending);
    let code = mailed(&house, "bob").pop().unwrap();
    // A suspension voids the code.
    entra.change(bob, set_active(false)).unwrap();
    let refused = enrol(&house.keystore, "bob", &code, PASSWORD);
    assert!(matches!(refused, Err(Error::EnrolmentRefused)));
    // Activated by an administrator he can be invited as before.
    let activated = set_state(&house, bob, AccountState::Active);
    assert_eq!(activated.state, AccountState::Pending);
    let _ = house.keystore.invite_account(admin, bob).unwrap();
    let _ = enrolled(&house, "bob");

    // So can those who outlive their directory, or are taken from it.
    let [carol, dave, eve] = ["carol", "dave", "eve"].map(|name| {
        let user = entra.user(name);
        entra.change(user, set_active(false)).unwrap();
        user
    });
    let frank = entra.person("frank");
    entra
        .change(id_of(&house, &frank), set_active(false))
        .unwrap();
    house
        .keystore
        .release_account(admin, entra.id, carol)
        .unwrap();
    assert_eq!(account(&house, carol).state, AccountState::Pending);
    assert_eq!(account(&house, dave).state, AccountState::Suspended);
    house.keystore.remove_directory(admin, entra.id).unwrap();
    for user in [dave, eve] {
        assert_eq!(account(&house, user).state, AccountState::Pending);
        assert!(house.keystore.invite_account(admin, user).is_ok());
    }
    let frank = id_of_name(&house, "frank");
    assert_eq!(account(&house, frank).state, AccountState::Suspended);
    assert!(matches!(entra.show(dave), Err(Error::NotSignedIn)));
}

fn id_of_name(house: &House, name: &str) -> AccountId {
    let page = house
        .keystore
        .accounts(&house.admin.presented, None, None)
        .unwrap();
    let found = page.accounts.iter().find(|account| account.name == name);
    found.unwrap().id
}

fn deleted_users_leave_no_personal_data() {
    let house = house("directory-delete");
    let entra = directory(&house, "entra");
    let bob = entra.person("bob@example.com");
    let alice = house.person("alice");
    let (key, material) = house.key(&bob, &[&alice]);
    let user = id_of(&house, &bob);
    house.keystore.delete_user(&entra.call, user, None).unwrap();
    assert!(matches!(house.release(&bob, key), Err(Error::NotSignedIn)));
    assert!(sign_in(&house.keystore, "bob@example.com", PASSWORD).is_none());
    assert!(matches!(entra.show(user), Err(Error::AccountNotFound(_))));
    let again = house.keystore.delete_user(&entra.call, user, None);
    assert!(matches!(
        again.unwrap_err().error,
        Error::AccountNotFound(_)
    ));
    let left = account(&house, user);
    assert_eq!(left.name, format!("deleted-{user}"));
    assert_eq!(left.state, AccountState::Suspended);
    // What was shared before stays with whom it was shared.
    assert_eq!(house.release(&alice, key).unwrap(), material);
    let database = Connection::open(house.database()).unwrap();
    for table in ["credentials", "passkeys", "outbox", "sessions"] {
        let rows: i64 = database
            .query_row(
                &format!("SELECT count(*) FROM {table} WHERE account = ?1"),
                [user.as_bytes()],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(rows, 0, "{table}");
    }
    // The name is free, for another account.
    assert_ne!(entra.user("bob@example.com"), user);
}
