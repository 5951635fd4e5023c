//! Usage policies, rights and states decide what they say they decide.

use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use strongroom_tests::session::new_key;
use strongroom_tests::{Failed, Session};
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::KeyId;
use strongroom_wire::key::{
    CreateKeys, Key, KeyState, NewKey, Right, ShareKey, Shared, UsagePolicy,
};
use strongroom_wire::problem::Code;

use crate::people::{Scene, assert_refused, scene};

fn create(session: &mut Session, key: NewKey) -> Key {
    let request = CreateKeys {
        keys: vec![key],
        release: false,
    };
    session.create(&request).unwrap().keys.remove(0).key
}

fn share_as(
    session: &mut Session,
    key: KeyId,
    grantee: &str,
    rights: Option<Vec<Right>>,
    policy: UsagePolicy,
) -> Result<Shared, Failed> {
    let request = ShareKey {
        grantee: grantee.to_owned(),
        rights,
        policy,
    };
    session.ask("POST", &format!("/v1/keys/{key}/grants"), &request)
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(now.as_millis()).unwrap()
}

fn sleep_until(millis: u64) {
    thread::sleep(Duration::from_millis(millis.saturating_sub(now())));
}

#[test]
fn a_window_of_validity_opens_and_closes() {
    let Scene {
        mut alice,
        mut bob,
        appliance: _running,
        ..
    } = scene();
    let (from, until) = (now() + 2000, now() + 4500);
    let policy = UsagePolicy {
        not_before: Some(Timestamp::from_millis(from)),
        not_after: Some(Timestamp::from_millis(until)),
        ..UsagePolicy::default()
    };
    // Once as the key's policy, once as the grant's.
    let by_key = create(
        &mut alice,
        NewKey {
            policy: policy.clone(),
            ..new_key("window of the key", &["bob@example.com"])
        },
    );
    let by_grant = create(&mut alice, new_key("window of the grant", &[]));
    share_as(&mut alice, by_grant.id, "bob@example.com", None, policy).unwrap();

    for key in [&by_key, &by_grant] {
        assert_refused(bob.release(key.id), Code::PolicyNotYetValid);
    }
    assert_refused(alice.release(by_key.id), Code::PolicyNotYetValid);
    alice.release(by_grant.id).unwrap();

    sleep_until(from + 50);
    for key in [&by_key, &by_grant] {
        let (material, _) = bob.release(key.id).unwrap();
        // The client is told when to forget it.
        assert_eq!(material.not_after, Some(Timestamp::from_millis(until)));
    }

    sleep_until(until + 50);
    for key in [&by_key, &by_grant] {
        assert_refused(bob.release(key.id), Code::PolicyExpired);
    }
    assert_refused(alice.release(by_key.id), Code::PolicyExpired);
    alice.release(by_grant.id).unwrap();
}

#[test]
fn a_number_of_releases_is_used_up_and_stays_so() {
    let Scene {
        mut appliance,
        mut alice,
        mut bob,
        ..
    } = scene();
    let three = UsagePolicy {
        max_releases: Some(3),
        ..UsagePolicy::default()
    };
    let by_key = create(
        &mut alice,
        NewKey {
            policy: three.clone(),
            ..new_key("three in all", &["bob@example.com"])
        },
    );
    let by_grant = create(&mut alice, new_key("three for bob", &[]));
    share_as(&mut alice, by_grant.id, "bob@example.com", None, three).unwrap();

    // The key's are counted over all grants together.
    bob.release(by_key.id).unwrap();
    alice.release(by_key.id).unwrap();
    bob.release(by_key.id).unwrap();
    assert_refused(bob.release(by_key.id), Code::PolicyReleasesUsedUp);
    assert_refused(alice.release(by_key.id), Code::PolicyReleasesUsedUp);
    assert_eq!(alice.key(by_key.id).unwrap().releases, Some(3));

    // The grant's under that grant alone, and a restart does not start anew.
    bob.release(by_grant.id).unwrap();
    appliance.restart();
    let (mut alice, mut bob) = (alice.at(&appliance.api()), bob.at(&appliance.api()));
    bob.release(by_grant.id).unwrap();
    bob.release(by_grant.id).unwrap();
    assert_refused(bob.release(by_grant.id), Code::PolicyReleasesUsedUp);
    for _ in 0..5 {
        alice.release(by_grant.id).unwrap();
    }
    let grants = alice.grants(by_grant.id).unwrap().grants;
    assert_eq!(grants[1].grantee_name, "bob@example.com");
    assert_eq!(grants[1].releases, Some(3));
}

#[test]
fn many_at_once_get_no_more_releases_than_there_are() {
    let Scene {
        appliance,
        mut alice,
        bob,
        ..
    } = scene();
    let key = create(
        &mut alice,
        NewKey {
            policy: UsagePolicy {
                max_releases: Some(10),
                ..UsagePolicy::default()
            },
            ..new_key("ten in all", &["bob@example.com"])
        },
    );
    let api = appliance.api();
    let released: usize = thread::scope(|scope| {
        let tries: Vec<_> = (0..8)
            .map(|_| {
                let mut bob = bob.at(&api);
                scope.spawn(move || (0..5).filter(|_| bob.release(key.id).is_ok()).count())
            })
            .collect();
        tries.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(released, 10);
}

#[test]
fn rights_allow_what_they_name_and_cannot_grow() {
    let Scene {
        appliance,
        mut admin,
        mut alice,
        mut bob,
    } = scene();
    let mut carol = appliance.person(&mut admin, "carol@example.com");
    let key = alice.create_key("rights", &[]).unwrap().key.id;

    // Nobody who has no grant learns that there is such a key.
    assert_refused(bob.release(key), Code::KeyNotFound);
    assert_eq!(bob.key(key).unwrap_err().code(), Code::KeyNotFound);

    let policy = UsagePolicy::default();
    let shared = share_as(
        &mut alice,
        key,
        "bob@example.com",
        Some(vec![Right::Release, Right::Share]),
        policy.clone(),
    );
    let grant = shared.unwrap().grant;
    assert_eq!(bob.key(key).unwrap().rights, [Right::Release, Right::Share]);
    bob.release(key).unwrap();
    assert_refused(bob.rotate(key), Code::NotPermitted);
    assert_refused(bob.destroy(key), Code::NotPermitted);
    assert_refused(
        bob.change_state(key, KeyState::Suspended),
        Code::NotPermitted,
    );
    assert_refused(bob.revoke(key, grant.id), Code::NotPermitted);
    assert_eq!(bob.grants(key).unwrap_err().code(), Code::NotPermitted);

    // Bob passes on what he has and no more.
    for rights in [
        vec![Right::Destroy],
        vec![Right::Release, Right::Administer],
    ] {
        let more = share_as(
            &mut bob,
            key,
            "carol@example.com",
            Some(rights),
            policy.clone(),
        );
        assert_refused(more, Code::NotPermitted);
    }
    assert_refused(carol.release(key), Code::KeyNotFound);
    let only = share_as(
        &mut bob,
        key,
        "carol@example.com",
        Some(vec![Right::Release]),
        policy,
    );
    let only = only.unwrap().grant;
    carol.release(key).unwrap();
    assert_refused(carol.share(key, "admin@example.com"), Code::NotPermitted);
    // What he gave he takes back; then carol has nothing.
    bob.revoke(key, only.id).unwrap();
    assert_refused(carol.release(key), Code::GrantRevoked);
}

#[test]
fn what_is_passed_on_keeps_the_policy_of_whoever_passes_it_on() {
    let Scene {
        appliance,
        mut admin,
        mut alice,
        mut bob,
    } = scene();
    let mut carol = appliance.person(&mut admin, "carol@example.com");
    let key = alice.create_key("policies", &[]).unwrap().key.id;
    let once = UsagePolicy {
        max_releases: Some(1),
        ..UsagePolicy::default()
    };
    let rights = Some(vec![Right::Release, Right::Share]);
    share_as(&mut alice, key, "bob@example.com", rights, once).unwrap();
    let wide = UsagePolicy {
        max_releases: Some(1000),
        ..UsagePolicy::default()
    };
    let rights = Some(vec![Right::Release]);
    share_as(&mut bob, key, "carol@example.com", rights, wide).unwrap();
    carol.release(key).unwrap();
    assert_refused(carol.release(key), Code::PolicyReleasesUsedUp);
}

#[test]
fn states_decide_over_releases() {
    let Scene {
        mut alice,
        mut bob,
        appliance: _running,
        ..
    } = scene();
    let key = create(
        &mut alice,
        NewKey {
            state: KeyState::PreActive,
            ..new_key("states", &["bob@example.com"])
        },
    );
    let key = key.id;
    assert_refused(bob.release(key), Code::KeyStateForbids);
    assert_refused(bob.change_state(key, KeyState::Active), Code::NotPermitted);
    alice.change_state(key, KeyState::Active).unwrap();
    bob.release(key).unwrap();
    alice.change_state(key, KeyState::Suspended).unwrap();
    assert_refused(bob.release(key), Code::KeyStateForbids);
    alice.change_state(key, KeyState::Active).unwrap();
    bob.release(key).unwrap();
    alice.change_state(key, KeyState::Deactivated).unwrap();
    // It protects nothing new, but what it protected opens.
    bob.release(key).unwrap();
    assert_refused(alice.rotate(key), Code::KeyStateForbids);
    assert!(alice.change_state(key, KeyState::Active).is_err());
    alice.change_state(key, KeyState::Compromised).unwrap();
    assert_refused(bob.release(key), Code::KeyStateForbids);
    alice.release(key).unwrap();
    alice.destroy(key).unwrap();
    assert_refused(bob.release(key), Code::KeyDestroyed);
    assert_refused(alice.release(key), Code::KeyDestroyed);
    assert_refused(alice.share(key, "bob@example.com"), Code::KeyDestroyed);
}
