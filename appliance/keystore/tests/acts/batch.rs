//! Many keys in one request, and requests that are made again.

use strongroom_keystore::Error;
use strongroom_wire::account::{AccountKind, AddMember, CreateAccount, Membership};
use strongroom_wire::id::{IdempotencyKey, KeyId};
use strongroom_wire::key::{
    ChangeState, CreateKeys, CreatedKeys, KeyQuery, KeyRelease, KeyState, KeyVersion,
    REMEMBERED_FOR, ReleaseKeys, UsagePolicy,
};
use strongroom_wire::problem::Code;

use crate::house::{House, PASSWORD, Person, new_key, sign_in};

pub(crate) const TRIALS: &[(&str, fn())] = &[
    (
        "many_keys_are_released_each_by_its_own_decision",
        many_keys_are_released_each_by_its_own_decision,
    ),
    (
        "keys_of_many_groups_are_released_together",
        keys_of_many_groups_are_released_together,
    ),
    (
        "releases_are_counted_within_a_request",
        releases_are_counted_within_a_request,
    ),
    (
        "a_request_made_again_makes_one_key",
        a_request_made_again_makes_one_key,
    ),
    (
        "another_request_needs_another_name",
        another_request_needs_another_name,
    ),
    (
        "a_request_made_again_gives_no_more_than_now",
        a_request_made_again_gives_no_more_than_now,
    ),
];

fn release(house: &House, who: &Person, keys: &[KeyId]) -> Vec<KeyRelease> {
    let keys = keys.iter().map(|key| KeyVersion {
        key: *key,
        version: None,
    });
    let request = ReleaseKeys {
        keys: keys.collect(),
    };
    let released = house.keystore.release_keys(&who.presented, request);
    released.unwrap().keys
}

fn create(
    house: &House,
    who: &Person,
    label: &str,
    once: IdempotencyKey,
) -> Result<CreatedKeys, Error> {
    let request = CreateKeys {
        keys: vec![new_key(label)],
        release: true,
    };
    house
        .keystore
        .create_keys_once(&who.presented, request, once)
        .map_err(|refusal| refusal.error)
}

fn code(release: &KeyRelease) -> Option<Code> {
    match release {
        KeyRelease::Released(_) => None,
        KeyRelease::Refused(problem) => Some(problem.code),
    }
}

fn many_keys_are_released_each_by_its_own_decision() {
    let house = House::new("batch releases");
    let (alice, bob) = (house.person("alice"), house.person("bob"));
    let (first, material) = house.key(&alice, &[&bob]);
    let (destroyed, _) = house.key(&alice, &[&bob]);
    house.keystore.destroy(&alice.presented, destroyed).unwrap();
    let (hers, _) = house.key(&alice, &[]);
    let (last, last_material) = house.key(&alice, &[&bob]);
    let before = house.keystore.statistics().unwrap().tree_size;

    let released = release(&house, &bob, &[first, destroyed, hers, last]);
    let codes: Vec<_> = released.iter().map(code).collect();
    assert_eq!(
        codes,
        [
            None,
            Some(Code::KeyDestroyed),
            Some(Code::KeyNotFound),
            None
        ]
    );
    let mut leaves = Vec::new();
    for (release, expected) in
        released
            .iter()
            .zip([&material, &[].into(), &[].into(), &last_material])
    {
        match release {
            KeyRelease::Released(released) => {
                assert_eq!(bob.unwrap(released), *expected);
                leaves.push(released.leaf);
            }
            KeyRelease::Refused(problem) => leaves.push(problem.leaf.unwrap()),
        }
    }
    // One leaf each, refused ones too, and no more.
    assert_eq!(leaves, (before..before + 4).collect::<Vec<_>>());
    assert_eq!(house.keystore.statistics().unwrap().tree_size, before + 4);

    for count in [0, 1001] {
        let request = ReleaseKeys {
            keys: vec![
                KeyVersion {
                    key: first,
                    version: None
                };
                count
            ],
        };
        let refused = house.keystore.release_keys(&bob.presented, request);
        assert!(matches!(refused.unwrap_err().error, Error::Invalid(_)));
    }
}

fn keys_of_many_groups_are_released_together() {
    let house = House::new("batch groups");
    let (alice, bob) = (house.person("alice"), house.person("bob"));
    // More than there are runs of an act.
    let keys: Vec<KeyId> = (0..20)
        .map(|number| {
            let name = format!("group-{number}");
            let group = CreateAccount {
                name: name.clone(),
                kind: AccountKind::Group,
                roles: Vec::new(),
                manager: Some("bob".to_owned()),
            };
            let group = house
                .keystore
                .create_account(&house.admin.presented, group)
                .unwrap();
            let add = AddMember {
                account: "alice".to_owned(),
                membership: Membership::Member,
            };
            house
                .keystore
                .add_member(&bob.presented, group.account.id, add)
                .unwrap();
            let mut key = new_key("for a group");
            key.recipients = vec![name];
            let request = CreateKeys {
                keys: vec![key],
                release: false,
            };
            let created = house.keystore.create_keys(&bob.presented, request);
            created.unwrap().keys[0].key.id
        })
        .collect();
    house.keystore.wipe();
    let released = release(&house, &alice, &keys);
    assert!(released.iter().all(|release| code(release).is_none()));
}

fn releases_are_counted_within_a_request() {
    let house = House::new("batch counts");
    let alice = house.person("alice");
    let twice = UsagePolicy {
        max_releases: Some(2),
        ..UsagePolicy::default()
    };
    let (key, _) = house.key_with(&alice, &[], twice);
    let released = release(&house, &alice, &[key, key, key]);
    let codes: Vec<_> = released.iter().map(code).collect();
    assert_eq!(codes, [None, None, Some(Code::PolicyReleasesUsedUp)]);
    let KeyRelease::Refused(problem) = &released[2] else {
        panic!("it is refused");
    };
    assert_eq!(problem.rule.as_deref(), Some("policy:key:max-releases"));
}

fn a_request_made_again_makes_one_key() {
    let mut house = House::new("made again");
    let alice = house.person("alice");
    let once = IdempotencyKey::generate();
    let first = create(&house, &alice, "one", once).unwrap().keys.remove(0);
    // After a kill, too.
    house.reopen();
    let again = create(&house, &alice, "one", once).unwrap().keys.remove(0);
    assert_eq!(again.key, first.key);
    assert_eq!(again.leaf, first.leaf);
    let (first_material, material) = (first.material.unwrap(), again.material.unwrap());
    assert_eq!(alice.unwrap(&material), alice.unwrap(&first_material));
    assert!(
        material.leaf > first_material.leaf,
        "it is a release of its own"
    );
    let listed = house.keystore.keys(&alice.presented, KeyQuery::default());
    assert_eq!(listed.unwrap().keys.len(), 1);

    house.clock.advance(REMEMBERED_FOR);
    let alice = sign_in(&house.keystore, "alice", PASSWORD).unwrap();
    let later = create(&house, &alice, "one", once).unwrap().keys.remove(0);
    assert_ne!(later.key.id, first.key.id);
    house.clock.advance(REMEMBERED_FOR + 1);
    house.keystore.forget_expired().unwrap();
    let database = rusqlite::Connection::open(house.database()).unwrap();
    let left: i64 = database
        .query_row("SELECT count(*) FROM requests", [], |row| row.get(0))
        .unwrap();
    assert_eq!(left, 0);
}

fn another_request_needs_another_name() {
    let house = House::new("other names");
    let (alice, bob) = (house.person("alice"), house.person("bob"));
    let once = IdempotencyKey::generate();
    let first = create(&house, &alice, "one", once).unwrap();
    let refused = create(&house, &alice, "two", once).unwrap_err();
    assert!(matches!(refused, Error::IdempotencyKeyReused));
    assert_eq!(refused.code(), Code::IdempotencyKeyReused);
    // Somebody else's is another request.
    let his = create(&house, &bob, "one", once).unwrap();
    assert_ne!(his.keys[0].key.id, first.keys[0].key.id);
    // What was refused is not remembered.
    let once = IdempotencyKey::generate();
    let nobody = |recipient: &str| CreateKeys {
        keys: vec![strongroom_wire::key::NewKey {
            recipients: vec![recipient.to_owned()],
            ..new_key("three")
        }],
        release: false,
    };
    let create = |recipient| {
        house
            .keystore
            .create_keys_once(&alice.presented, nobody(recipient), once)
    };
    assert!(create("nobody").is_err());
    assert!(create("bob").is_ok());
}

fn a_request_made_again_gives_no_more_than_now() {
    let house = House::new("no more than now");
    let alice = house.person("alice");
    let once = IdempotencyKey::generate();
    let key = create(&house, &alice, "one", once).unwrap().keys[0].key.id;
    let suspend = ChangeState {
        state: KeyState::Suspended,
    };
    house
        .keystore
        .change_state(&alice.presented, key, suspend)
        .unwrap();
    let refused = create(&house, &alice, "one", once).unwrap_err();
    assert!(matches!(refused, Error::KeyStateForbids(_)));
    house.keystore.destroy(&alice.presented, key).unwrap();
    let refused = create(&house, &alice, "one", once).unwrap_err();
    assert!(matches!(refused, Error::KeyDestroyed));
}
