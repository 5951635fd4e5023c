//! Groups that a directory keeps.

use rusqlite::Connection;
use serde_json::json;
use strongroom_keystore::Error;
use strongroom_scim::ScimType;
use strongroom_wire::account::{AddMember, Membership};
use strongroom_wire::id::AccountId;

use super::{account, directory, house, id, kind_of, patch};
use crate::house::House;
use crate::rotation::{finish, id_of, share_with};

pub(crate) const TRIALS: &[(&str, fn())] = &[(
    "directories_groups_open_what_was_shared_while_one_is_in_them",
    directories_groups_open_what_was_shared_while_one_is_in_them,
)];

fn directories_groups_open_what_was_shared_while_one_is_in_them() {
    let house = house("directory-groups");
    let entra = directory(&house, "entra");
    let [bob, carol] = ["bob", "carol"].map(|name| entra.person(name));
    let alice = house.person("alice");
    let [bob_id, carol_id] = [&bob, &carol].map(|person| id_of(&house, person));
    let made = entra.group("The Lawyers", &[bob_id, carol_id]).unwrap();
    let lawyers = id(&made);
    assert_eq!(account(&house, lawyers).name, "the-lawyers");
    let (key, material) = house.key(&alice, &[]);
    share_with(&house, &alice, key, "the-lawyers");
    assert_eq!(house.release(&bob, key).unwrap(), material);
    assert_eq!(house.release(&carol, key).unwrap(), material);
    let groups = &entra.show(bob_id).unwrap()["groups"];
    assert_eq!(groups[0]["value"], lawyers.to_string());

    // As Entra ID and Okta remove a member.
    let removal = patch(&json!([
        { "op": "Remove", "path": "members", "value": [{ "value": carol_id.to_string() }] }
    ]));
    let changed = entra.change_group(lawyers, removal).unwrap();
    assert_eq!(changed.resource["members"].as_array().unwrap().len(), 1);
    assert!(house.release(&carol, key).is_err());
    assert_eq!(account_kek(&house, lawyers), 2);
    finish(&house, 10);
    assert_eq!(house.release(&bob, key).unwrap(), material);
    let (later, _) = house.key(&alice, &[]);
    share_with(&house, &alice, later, "the-lawyers");
    assert!(house.release(&carol, later).is_err());
    let filtered = patch(&json!([
        { "op": "add", "path": "members", "value": [{ "value": carol_id.to_string() }] }
    ]));
    entra.change_group(lawyers, filtered).unwrap();
    assert!(house.release(&carol, later).is_ok());
    let filtered = patch(&json!([
        { "op": "remove", "path": format!("members[value eq \"{carol_id}\"]") }
    ]));
    entra.change_group(lawyers, filtered).unwrap();
    assert!(house.release(&carol, later).is_err());

    // Members are users of this directory; people add nobody to its groups, and may leave them.
    let alice_id = id_of(&house, &alice);
    let stranger = patch(&json!([
        { "op": "add", "path": "members", "value": [{ "value": alice_id.to_string() }] }
    ]));
    let refused = entra.change_group(lawyers, stranger).unwrap_err();
    assert_eq!(kind_of(&refused), Some(ScimType::InvalidValue));
    let request = AddMember {
        account: "alice".to_owned(),
        membership: Membership::Member,
    };
    for person in [&bob, &house.admin] {
        let added = house
            .keystore
            .add_member(&person.presented, lawyers, request.clone());
        assert!(matches!(added.unwrap_err().error, Error::NotPermitted(_)));
    }
    house
        .keystore
        .remove_member(&bob.presented, lawyers, bob_id)
        .unwrap();
    assert!(house.release(&bob, later).is_err());

    // A renamed group is still reached by the name that people shared with.
    let renamed = patch(&json!([
        { "op": "replace", "path": "displayName", "value": "Counsel" },
        { "op": "add", "path": "members", "value": [{ "value": bob_id.to_string() }] }
    ]));
    entra.change_group(lawyers, renamed).unwrap();
    assert_eq!(account(&house, lawyers).name, "the-lawyers");
    assert!(house.release(&bob, later).is_ok());
    house
        .keystore
        .delete_group(&entra.call, lawyers, None)
        .unwrap();
    assert!(house.release(&bob, later).is_err());
    assert_eq!(account(&house, lawyers).name, format!("deleted-{lawyers}"));
    // A deleted user leaves the groups, whose KEK gets a new version.
    let other = id(&entra.group("Others", &[bob_id, carol_id]).unwrap());
    house
        .keystore
        .delete_user(&entra.call, bob_id, None)
        .unwrap();
    assert_eq!(account_kek(&house, other), 2);
}

fn account_kek(house: &House, account: AccountId) -> u32 {
    let database = Connection::open(house.database()).unwrap();
    database
        .query_row(
            "SELECT kek_version FROM accounts WHERE id = ?1",
            [account.as_bytes()],
            |row| row.get(0),
        )
        .unwrap()
}
