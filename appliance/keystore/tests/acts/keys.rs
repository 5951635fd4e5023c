//! Keys and grants: created, released, shared, revoked, rotated, taken out of use, destroyed, found.

use std::time::Duration;

use strongroom_keystore::{Clock, Error, Options};
use strongroom_wire::id::KeyId;
use strongroom_wire::key::{
    ChangeState, CreateKeys, KeyQuery, KeyState, ReleaseKey, Right, ShareKey, UsagePolicy,
};

use strongroom_wire::problem::Code;

use crate::house::{House, Person, new_key};

pub(crate) const TRIALS: &[(&str, fn())] = &[
    (
        "a_key_goes_to_its_recipients_only",
        a_key_goes_to_its_recipients_only,
    ),
    (
        "a_share_gives_no_more_than_one_has",
        a_share_gives_no_more_than_one_has,
    ),
    (
        "revoked_and_destroyed_keys_say_so",
        revoked_and_destroyed_keys_say_so,
    ),
    ("older_versions_still_open", older_versions_still_open),
    (
        "states_allow_what_they_should",
        states_allow_what_they_should,
    ),
    ("policies_bite", policies_bite),
    (
        "all_keys_of_a_request_or_none",
        all_keys_of_a_request_or_none,
    ),
    ("keys_are_found_and_paged", keys_are_found_and_paged),
    (
        "without_a_cache_each_use_asks_the_hsm",
        without_a_cache_each_use_asks_the_hsm,
    ),
    ("many_threads_release_at_once", many_threads_release_at_once),
];

fn share(
    house: &House,
    who: &Person,
    key: KeyId,
    with: &Person,
    rights: &[Right],
) -> Result<(), Error> {
    let request = ShareKey {
        grantee: with.name.clone(),
        rights: (!rights.is_empty()).then(|| rights.to_vec()),
        policy: UsagePolicy::default(),
    };
    house
        .keystore
        .share(&who.presented, key, request)
        .map(|_| ())
        .map_err(|refusal| refusal.error)
}

fn a_key_goes_to_its_recipients_only() {
    let house = House::new("recipients");
    let [alice, bob, eve] = ["alice", "bob", "eve"].map(|name| house.person(name));
    let (key, material) = house.key(&alice, &[&bob]);
    assert_eq!(material.len(), 32);
    assert_eq!(house.release(&alice, key).unwrap(), material);
    assert_eq!(house.release(&bob, key).unwrap(), material);
    assert!(matches!(house.release(&eve, key), Err(Error::KeyNotFound)));
    assert!(matches!(
        house.release(&house.admin, key),
        Err(Error::KeyNotFound)
    ));
    assert!(matches!(
        house.release(&eve, KeyId::generate()),
        Err(Error::KeyNotFound)
    ));
    let seen = house.keystore.key(&bob.presented, key).unwrap();
    assert_eq!(
        (seen.owner_name.as_str(), seen.sender.as_str()),
        ("alice", "alice")
    );
    assert_eq!(seen.recipients, ["bob"]);
    assert_eq!(seen.rights, [Right::Release, Right::Decrypt, Right::Verify]);
    assert!(house.keystore.key(&eve.presented, key).is_err());
    let other = house.key(&alice, &[]).1;
    assert_ne!(material, other);
}

fn a_share_gives_no_more_than_one_has() {
    let house = House::new("shares");
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| house.person(name));
    let (key, material) = house.key(&alice, &[]);
    share(&house, &alice, key, &bob, &[Right::Release, Right::Share]).unwrap();
    assert!(matches!(
        share(&house, &alice, key, &bob, &[]),
        Err(Error::Conflict(_))
    ));
    let more = share(&house, &bob, key, &carol, &[Right::Release, Right::Destroy]);
    assert!(matches!(more, Err(Error::NotPermitted(_))));
    share(&house, &bob, key, &carol, &[Right::Release]).unwrap();
    assert_eq!(house.release(&carol, key).unwrap(), material);
    assert!(matches!(
        share(&house, &carol, key, &house.admin, &[]),
        Err(Error::NotPermitted(_))
    ));
    for refused in [
        house.keystore.destroy(&bob.presented, key).err(),
        house.keystore.rotate(&bob.presented, key).err(),
        house.keystore.grants(&bob.presented, key).err(),
    ] {
        assert!(matches!(refused.unwrap().error, Error::NotPermitted(_)));
    }
    // Bob gave Carol hers and can take it back; Alice's own cannot be taken.
    let grants = house.keystore.grants(&alice.presented, key).unwrap().grants;
    let of = |name: &str| {
        grants
            .iter()
            .find(|grant| grant.grantee_name == name)
            .unwrap()
            .id
    };
    let refused = house
        .keystore
        .revoke(&bob.presented, key, of("alice"))
        .unwrap_err();
    assert!(matches!(refused.error, Error::NotPermitted(_)));
    house
        .keystore
        .revoke(&bob.presented, key, of("carol"))
        .unwrap();
    assert!(matches!(
        house.release(&carol, key),
        Err(Error::GrantRevoked)
    ));
    let refused = house
        .keystore
        .revoke(&alice.presented, key, of("alice"))
        .unwrap_err();
    assert!(matches!(refused.error, Error::Conflict(_)));
}

fn revoked_and_destroyed_keys_say_so() {
    let house = House::new("revoked");
    let [alice, bob, eve] = ["alice", "bob", "eve"].map(|name| house.person(name));
    let (key, material) = house.key(&alice, &[&bob]);
    let grants = house.keystore.grants(&alice.presented, key).unwrap().grants;
    let bobs = grants
        .iter()
        .find(|grant| grant.grantee_name == "bob")
        .unwrap()
        .id;
    house.keystore.revoke(&alice.presented, key, bobs).unwrap();
    let refused = house
        .keystore
        .release(&bob.presented, key, ReleaseKey::default())
        .unwrap_err();
    assert!(matches!(refused.error, Error::GrantRevoked));
    assert!(refused.leaf.is_some());
    assert!(refused.to_string().contains("revoked"));
    share(&house, &alice, key, &bob, &[]).unwrap();
    assert_eq!(house.release(&bob, key).unwrap(), material);

    house.keystore.destroy(&alice.presented, key).unwrap();
    for person in [&alice, &bob] {
        assert!(matches!(
            house.release(person, key),
            Err(Error::KeyDestroyed)
        ));
    }
    assert!(matches!(house.release(&eve, key), Err(Error::KeyNotFound)));
    let seen = house.keystore.key(&alice.presented, key).unwrap();
    assert_eq!(seen.state, KeyState::Destroyed);
    assert!(seen.rights.is_empty());
    let snapshot = house.store.snapshot().unwrap();
    for grant in snapshot.grants_of(key).unwrap() {
        assert!(snapshot.copy(grant.id, 1).unwrap().is_none());
    }
}

fn older_versions_still_open() {
    let house = House::new("rotation");
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| house.person(name));
    let (key, first) = house.key(&alice, &[&bob]);
    let rotated = house.keystore.rotate(&alice.presented, key).unwrap();
    assert_eq!(rotated.key.version, 2);
    let second = house.release(&bob, key).unwrap();
    assert_ne!(first, second);
    share(&house, &alice, key, &carol, &[]).unwrap();
    for person in [&alice, &bob, &carol] {
        for (version, material) in [(1, &first), (2, &second)] {
            let request = ReleaseKey {
                version: Some(version),
            };
            let released = house
                .keystore
                .release(&person.presented, key, request)
                .unwrap();
            assert_eq!(&person.unwrap(&released), material);
        }
    }
    for version in [0, 3, u32::MAX] {
        let request = ReleaseKey {
            version: Some(version),
        };
        let refused = house
            .keystore
            .release(&bob.presented, key, request)
            .unwrap_err();
        assert!(matches!(refused.error, Error::NoSuchVersion(_)));
    }
}

fn states_allow_what_they_should() {
    let house = House::new("states");
    let [alice, bob] = ["alice", "bob"].map(|name| house.person(name));
    let (key, _) = house.key(&alice, &[&bob]);
    let set = |state| {
        house
            .keystore
            .change_state(&alice.presented, key, ChangeState { state })
            .map(|_| ())
            .map_err(|refusal| refusal.error)
    };
    set(KeyState::Suspended).unwrap();
    let forbidden = house.release(&alice, key);
    assert!(matches!(
        forbidden,
        Err(Error::KeyStateForbids(KeyState::Suspended))
    ));
    let rotated = house.keystore.rotate(&alice.presented, key).unwrap_err();
    assert!(matches!(rotated.error, Error::KeyStateForbids(_)));
    set(KeyState::Active).unwrap();
    set(KeyState::Deactivated).unwrap();
    assert!(
        house.release(&bob, key).is_ok(),
        "what it protected can still be opened"
    );
    assert!(matches!(
        set(KeyState::Active),
        Err(Error::KeyStateForbids(_))
    ));
    set(KeyState::Compromised).unwrap();
    assert!(
        house.release(&alice, key).is_ok(),
        "its owner protects it anew"
    );
    assert!(matches!(
        house.release(&bob, key),
        Err(Error::KeyStateForbids(_))
    ));
}

fn policies_bite() {
    let house = House::new("policies");
    let [alice, bob] = ["alice", "bob"].map(|name| house.person(name));
    let now = house.clock.now();
    let policy = UsagePolicy {
        not_after: Some(now.plus_seconds(100)),
        max_releases: Some(3),
        ..UsagePolicy::default()
    };
    // The release that comes with the creation does not count.
    let (key, _) = house.key_with(&alice, &[&bob], policy);
    assert!(house.release(&bob, key).is_ok());
    let seen = |who: &Person| house.keystore.key(&who.presented, key).unwrap().releases;
    assert_eq!(seen(&alice), Some(1));
    assert_eq!(seen(&bob), None, "how much is left is the owner's to know");
    assert!(house.release(&alice, key).is_ok());
    assert!(house.release(&bob, key).is_ok());
    assert_eq!(
        house.release(&bob, key).unwrap_err().code(),
        Code::PolicyReleasesUsedUp
    );

    let (key, _) = house.key(&alice, &[]);
    let request = ShareKey {
        grantee: "bob".to_owned(),
        rights: None,
        policy: UsagePolicy {
            not_before: Some(now.plus_seconds(10)),
            not_after: Some(now.plus_seconds(20)),
            max_releases: Some(1),
            ..UsagePolicy::default()
        },
    };
    house
        .keystore
        .share(&alice.presented, key, request)
        .unwrap();
    assert_eq!(
        house.release(&bob, key).unwrap_err().code(),
        Code::PolicyNotYetValid
    );
    house.clock.advance(10);
    assert!(house.release(&bob, key).is_ok());
    assert_eq!(
        house.release(&bob, key).unwrap_err().code(),
        Code::PolicyReleasesUsedUp
    );
    house.clock.advance(10);
    assert_eq!(
        house.release(&bob, key).unwrap_err().code(),
        Code::PolicyExpired
    );
    assert!(
        house.release(&alice, key).is_ok(),
        "the grant's policy binds the grantee alone"
    );

    let empty = UsagePolicy {
        not_before: Some(now),
        not_after: Some(now),
        ..UsagePolicy::default()
    };
    let request = CreateKeys {
        keys: vec![strongroom_wire::key::NewKey {
            policy: empty,
            ..new_key("never")
        }],
        release: false,
    };
    let refused = house
        .keystore
        .create_keys(&alice.presented, request)
        .unwrap_err();
    assert!(matches!(refused.error, Error::Invalid(_)));
}

fn all_keys_of_a_request_or_none() {
    let house = House::new("batches");
    let alice = house.person("alice");
    let mut keys = vec![new_key("one"), new_key("two")];
    keys[1].recipients = vec!["nobody".to_owned()];
    let request = CreateKeys {
        keys,
        release: false,
    };
    let refused = house
        .keystore
        .create_keys(&alice.presented, request)
        .unwrap_err();
    assert!(matches!(refused.error, Error::AccountNotFound(_)));
    let listed = house
        .keystore
        .keys(&alice.presented, KeyQuery::default())
        .unwrap();
    assert!(listed.keys.is_empty());
    let request = CreateKeys {
        keys: (0..1000)
            .map(|number| new_key(&number.to_string()))
            .collect(),
        release: true,
    };
    let created = house
        .keystore
        .create_keys(&alice.presented, request)
        .unwrap();
    let mut leaves: Vec<u64> = created.keys.iter().map(|key| key.leaf).collect();
    leaves.dedup();
    assert_eq!(leaves.len(), 1000);
    for count in [0, 1001] {
        let request = CreateKeys {
            keys: vec![new_key("x"); count],
            release: false,
        };
        assert!(
            house
                .keystore
                .create_keys(&alice.presented, request)
                .is_err()
        );
    }
}

fn keys_are_found_and_paged() {
    let house = House::new("finding");
    let [alice, bob] = ["alice", "bob"].map(|name| house.person(name));
    for _ in 0..5 {
        house.key(&alice, &[&bob]);
        house.clock.advance(10);
    }
    let (last, _) = house.key(&bob, &[]);
    let find = |query: KeyQuery| {
        let page = house.keystore.keys(&bob.presented, query).unwrap();
        (page.keys.len(), page.next)
    };
    assert_eq!(find(KeyQuery::default()).0, 6);
    let by = |change: fn(&mut KeyQuery)| {
        let mut query = KeyQuery::default();
        change(&mut query);
        find(query).0
    };
    assert_eq!(by(|query| query.sender = Some("Alice".to_owned())), 5);
    assert_eq!(by(|query| query.recipient = Some("bob".to_owned())), 5);
    assert_eq!(by(|query| query.sender = Some("nobody".to_owned())), 0);
    assert_eq!(by(|query| query.label = Some("REPORT".to_owned())), 6);
    assert_eq!(by(|query| query.label = Some("%".to_owned())), 0);
    assert_eq!(by(|query| query.state = Some(KeyState::Suspended)), 0);
    let start = house.clock.now().as_millis() - 50_000;
    let window = KeyQuery {
        from: Some(strongroom_wire::encoding::Timestamp::from_millis(
            start + 10_000,
        )),
        until: Some(strongroom_wire::encoding::Timestamp::from_millis(
            start + 30_000,
        )),
        ..KeyQuery::default()
    };
    assert_eq!(find(window).0, 2);

    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let query = KeyQuery {
            after,
            limit: Some(2),
            ..KeyQuery::default()
        };
        let page = house.keystore.keys(&bob.presented, query).unwrap();
        seen.extend(page.keys.iter().map(|key| key.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 6);
    assert_eq!(seen[0], last);
    assert!(seen.is_sorted_by(|a, b| a > b), "the newest first");
}

fn without_a_cache_each_use_asks_the_hsm() {
    let options = Options {
        kek_cache_ttl: Duration::ZERO,
        ..Options::default()
    };
    let house = House::with("uncached", options);
    let [alice, bob] = ["alice", "bob"].map(|name| house.person(name));
    let (key, material) = house.key(&alice, &[&bob]);
    assert_eq!(house.release(&bob, key).unwrap(), material);
    assert_eq!(house.keystore.statistics().unwrap().cached_keks, 0);
    house.keystore.rotate(&alice.presented, key).unwrap();
    assert_eq!(
        house
            .keystore
            .keys(&bob.presented, KeyQuery::default())
            .unwrap()
            .keys
            .len(),
        1
    );
}

fn many_threads_release_at_once() {
    let house = House::new("threads");
    let alice = house.person("alice");
    let (key, material) = house.key(&alice, &[]);
    let mut leaves: Vec<u64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    (0..50)
                        .map(|_| {
                            let released = house
                                .keystore
                                .release(&alice.presented, key, ReleaseKey::default())
                                .unwrap();
                            assert_eq!(alice.unwrap(&released), material);
                            released.leaf
                        })
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    leaves.sort_unstable();
    leaves.dedup();
    assert_eq!(leaves.len(), 400, "each release has a leaf of its own");
}
