//! What a directory finds, and where its reach ends.

use std::env;
use std::net::{IpAddr, Ipv4Addr};

use rusqlite::Connection;
use serde_json::json;
use strongroom_keystore::Error;
use strongroom_keystore::directories::{DirectoryCall, DirectoryToken, Find, IfMatch};
use strongroom_scim::{ResourceType, ScimType};
use strongroom_wire::account::Role;
use strongroom_wire::audit::Act;
use strongroom_wire::directory::{AddDirectory, AdoptAccount, RenewToken};
use strongroom_wire::id::AccountId;

use super::{call, directory, house, id, kind_of, leaves, patch, read, set_active, user_body};
use crate::house::{House, PASSWORD, sign_in};
use crate::rotation::id_of;

pub(crate) const TRIALS: &[(&str, fn())] = &[
    (
        "directories_see_and_touch_their_own",
        directories_see_and_touch_their_own,
    ),
    (
        "tokens_are_held_to_networks_and_days",
        tokens_are_held_to_networks_and_days,
    ),
    (
        "resources_changed_meanwhile_are_not_overwritten",
        resources_changed_meanwhile_are_not_overwritten,
    ),
    ("many_users_are_found", many_users_are_found),
    (
        "edited_directory_records_are_refused",
        edited_directory_records_are_refused,
    ),
];

const DAY: u64 = 24 * 3600;

fn directories_see_and_touch_their_own() {
    let house = house("directory-own");
    let (entra, okta) = (directory(&house, "entra"), directory(&house, "okta"));
    let bob = entra.user("bob");
    let alice = house.person("alice");
    let alice_id = id_of(&house, &alice);
    for stranger in [bob, alice_id, AccountId::generate()] {
        assert!(matches!(
            okta.show(stranger),
            Err(Error::AccountNotFound(_))
        ));
        assert!(matches!(
            okta.change(stranger, set_active(false)),
            Err(Error::AccountNotFound(_))
        ));
        let deleted = house.keystore.delete_user(&okta.call, stranger, None);
        assert!(matches!(
            deleted.unwrap_err().error,
            Error::AccountNotFound(_)
        ));
    }
    assert!(okta.found("userName pr").is_empty());
    let refused = okta.group("Team", &[bob]).unwrap_err();
    assert_eq!(kind_of(&refused), Some(ScimType::InvalidValue));
    // What an administrator puts under its management it finds by name.
    let adopt = AdoptAccount {
        account: "alice".to_owned(),
    };
    house
        .keystore
        .adopt_account(&house.admin.presented, okta.id, adopt.clone())
        .unwrap();
    assert_eq!(okta.found("userName eq \"alice\"").len(), 1);
    let twice = house
        .keystore
        .adopt_account(&house.admin.presented, entra.id, adopt.clone());
    assert!(matches!(twice.unwrap_err().error, Error::Conflict(_)));
    okta.change(alice_id, set_active(false)).unwrap();
    assert!(sign_in(&house.keystore, "alice", PASSWORD).is_none());
    // People without the role register, renew and remove nothing.
    let carol = house.person("carol");
    let request = AddDirectory {
        name: "own".to_owned(),
        expires: None,
        networks: Vec::new(),
    };
    let keystore = &house.keystore;
    let by_carol = [
        keystore
            .add_directory(&carol.presented, request.clone())
            .map(drop),
        keystore
            .renew_directory_token(&carol.presented, okta.id, RenewToken::default())
            .map(drop),
        keystore
            .remove_directory(&carol.presented, okta.id)
            .map(drop),
        keystore
            .adopt_account(&carol.presented, okta.id, adopt)
            .map(drop),
        keystore
            .release_account(&carol.presented, okta.id, alice_id)
            .map(drop),
        keystore.directories(&carol.presented).map(drop),
    ];
    for outcome in by_carol {
        assert!(matches!(outcome.unwrap_err().error, Error::NotPermitted(_)));
    }
    let mut taken = request;
    "okta".clone_into(&mut taken.name);
    let taken = keystore.add_directory(&house.admin.presented, taken);
    assert!(matches!(taken.unwrap_err().error, Error::Conflict(_)));
}

fn tokens_are_held_to_networks_and_days() {
    let house = house("directory-tokens");
    let _ = house.person_with("auditor", &[Role::Auditor]);
    let admin = &house.admin.presented;
    let request = AddDirectory {
        name: "entra".to_owned(),
        expires: Some(house.now().plus_seconds(DAY)),
        networks: vec!["127.0.0.0/8".parse().unwrap()],
    };
    let added = house.keystore.add_directory(admin, request).unwrap();
    let directory = added.directory.id;
    let good = call(&added.token);
    let check = |call: &DirectoryCall| {
        house
            .keystore
            .check_directory(call)
            .map_err(|refusal| refusal.error)
    };
    check(&good).unwrap();
    let elsewhere = DirectoryCall {
        source: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        ..good.clone()
    };
    assert!(matches!(check(&elsewhere), Err(Error::DirectoryRefused)));
    house.clock.advance(DAY);
    assert!(matches!(check(&good), Err(Error::DirectoryRefused)));
    let used = leaves(
        &house,
        &sign_in(&house.keystore, "auditor", PASSWORD).unwrap(),
    );
    let used: Vec<_> = used
        .iter()
        .filter(|leaf| leaf.act == Act::DirectoryUse)
        .collect();
    assert_eq!(used.len(), 2);
    assert!(used.iter().all(|leaf| !leaf.done));
    let lapsed = RenewToken {
        expires: Some(house.now()),
    };
    let admin = crate::house::sign_in(&house.keystore, "admin@example.com", PASSWORD).unwrap();
    let renewed = house
        .keystore
        .renew_directory_token(&admin.presented, directory, lapsed);
    assert!(matches!(renewed.unwrap_err().error, Error::Invalid(_)));
    let renewed = house
        .keystore
        .renew_directory_token(&admin.presented, directory, RenewToken::default())
        .unwrap();
    check(&call(&renewed.token)).unwrap();
    assert!(matches!(check(&good), Err(Error::NotSignedIn)));
    for text in ["", "srd_", "srd_AAAA", &added.token[4..]] {
        assert!(DirectoryToken::parse(text).is_none(), "{text}");
    }
    assert!(!format!("{:?}", call(&renewed.token)).contains(&renewed.token[4..]));
}

fn resources_changed_meanwhile_are_not_overwritten() {
    let house = house("directory-match");
    let entra = directory(&house, "entra");
    let made = entra.create("bob", true).unwrap();
    let (user, seen) = (id(&made), made.resource["meta"]["version"].clone());
    let seen: IfMatch = Some(seen.as_str().unwrap().to_owned());
    let keystore = &house.keystore;
    let change = |name: &str, condition: &IfMatch| {
        let change = patch(&json!([{ "op": "replace", "path": "displayName", "value": name }]));
        keystore.change_user(&entra.call, user, change, condition.clone())
    };
    change("Bob", &seen).unwrap();
    let late = change("Robert", &seen).unwrap_err();
    assert!(matches!(late.error, Error::ChangedMeanwhile));
    assert!(late.leaf.is_some());
    let late = keystore.delete_user(&entra.call, user, seen).unwrap_err();
    assert!(matches!(late.error, Error::ChangedMeanwhile));
    assert_eq!(entra.show(user).unwrap()["displayName"], "Bob");
    change("Robert", &Some("*".to_owned())).unwrap();
}

fn many_users_are_found() {
    let house = House::new("directory-many");
    let entra = directory(&house, "entra");
    let count = if env::var_os("STRONGROOM_LONG").is_some() {
        10_000
    } else {
        250
    };
    for index in 0..count {
        let mut body = user_body(&format!("user{index:05}"), true);
        body["externalId"] = json!(format!("x{index}"));
        let wanted = read(ResourceType::User, &body);
        house.keystore.create_user(&entra.call, wanted).unwrap();
    }
    let mut seen: Vec<String> = Vec::new();
    loop {
        let find = Find {
            resource_type: ResourceType::User,
            filter: None,
            after: seen.len() as u64,
            limit: 100,
            with_members: true,
        };
        let page = house.keystore.directory_resources(&entra.call, &find);
        let (total, page) = page.unwrap();
        assert_eq!(total, count);
        if page.is_empty() {
            break;
        }
        let names = page.into_iter();
        seen.extend(names.map(|user| user["userName"].as_str().unwrap().to_owned()));
    }
    let expected: Vec<_> = (0..count).map(|index| format!("user{index:05}")).collect();
    seen.sort_unstable();
    assert_eq!(seen, expected);
    assert_eq!(
        entra.found("externalId eq \"x17\"")[0]["userName"],
        "user00017"
    );
    assert_eq!(entra.found("userName sw \"user0001\"").len(), 10);
    assert_eq!(entra.found("active eq false").len(), 0);
}

fn edited_directory_records_are_refused() {
    let house = house("directory-edited");
    let entra = directory(&house, "entra");
    let okta = directory(&house, "okta");
    let bob = entra.user("bob");
    let alice = id_of(&house, &house.person("alice"));
    let edit = |sql: &str, parameters: &[&dyn rusqlite::ToSql]| {
        let database = Connection::open(house.database()).unwrap();
        assert_eq!(database.execute(sql, parameters).unwrap(), 1, "{sql}");
    };
    // Another's token for a directory; its record is found not to match.
    let stolen = "UPDATE directories SET networks = '192.0.2.0/24' WHERE id = ?1";
    edit(stolen, &[&okta.id.as_bytes()]);
    assert!(matches!(okta.show(bob), Err(Error::Integrity(_))));
    // Somebody else's account under a directory's management.
    let planted = "INSERT INTO directory_accounts \
        (account, directory, kind, name, external_id, document, suspended, invited, created, updated, mac) \
        SELECT ?1, directory, kind, name, external_id, document, suspended, invited, created, updated, mac \
        FROM directory_accounts WHERE account = ?2";
    edit(planted, &[&alice.as_bytes(), &bob.as_bytes()]);
    assert!(matches!(entra.show(alice), Err(Error::Integrity(_))));
    assert!(matches!(
        entra.change(alice, set_active(false)),
        Err(Error::Integrity(_))
    ));
    // A suspension that the directory would lift.
    let lifted = "UPDATE directory_accounts SET suspended = 2 WHERE account = ?1";
    edit(lifted, &[&bob.as_bytes()]);
    assert!(matches!(
        entra.change(bob, set_active(true)),
        Err(Error::Integrity(_))
    ));
}
