//! Who changes policies, and what a change leaves as it was.

use strongroom_keystore::Error;
use strongroom_wire::account::{AccountKind, AddMember, CreateAccount, Membership, Role};
use strongroom_wire::audit::{Act, RecordQuery};
use strongroom_wire::id::GrantId;
use strongroom_wire::key::{ReleaseKey, Right, ShareKey, UsagePolicy};
use strongroom_wire::policy::DomainPolicy;
use strongroom_wire::problem::Code;

use super::{networks, of, refused, set_domain, share};
use crate::house::{House, Person, new_key};

pub(crate) const TRIALS: &[(&str, fn())] = &[
    (
        "a_grants_policy_is_changed_and_its_copies_with_it",
        a_grants_policy_is_changed_and_its_copies_with_it,
    ),
    (
        "policies_are_changed_by_owners",
        policies_are_changed_by_owners,
    ),
    (
        "the_domains_policy_is_set_by_those_who_may",
        the_domains_policy_is_set_by_those_who_may,
    ),
    (
        "a_rotation_does_not_undo_a_policy",
        a_rotation_does_not_undo_a_policy,
    ),
    (
        "the_domains_policy_binds_what_comes_with_a_new_key",
        the_domains_policy_binds_what_comes_with_a_new_key,
    ),
];

fn a_grants_policy_is_changed_and_its_copies_with_it() {
    let house = House::new("grant_policy");
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| house.person(name));
    let group = house
        .keystore
        .create_account(
            &house.admin.presented,
            CreateAccount {
                name: "team".to_owned(),
                kind: AccountKind::Group,
                roles: Vec::new(),
                manager: Some("alice".to_owned()),
            },
        )
        .unwrap()
        .account
        .id;
    let member = AddMember {
        account: "carol".to_owned(),
        membership: Membership::Member,
    };
    house
        .keystore
        .add_member(&alice.presented, group, member)
        .unwrap();
    let (key, first) = house.key(&alice, &[]);
    let bobs = share(
        &house,
        &alice,
        key,
        "bob",
        of(|policy| policy.max_releases = Some(2)),
    );
    let teams = share(&house, &alice, key, "team", networks(&["10.0.0.0/8"]));
    house.keystore.rotate(&alice.presented, key).unwrap();
    house.release(&bob, key).unwrap();

    let change = |who: &Person, grant, policy| {
        house
            .keystore
            .change_grant_policy(&who.presented, key, grant, policy)
            .map_err(|refusal| refusal.error)
    };
    // Released once, and three times in all.
    change(&alice, bobs, of(|policy| policy.max_releases = Some(3))).unwrap();
    house.release(&bob, key).unwrap();
    let older = ReleaseKey { version: Some(1) };
    let released = house.keystore.release(&bob.presented, key, older).unwrap();
    assert_eq!(bob.unwrap(&released), first);
    let again = refused(&house, &bob.presented, key);
    assert_eq!(again.as_deref(), Some("policy:grant:max-releases"));

    let outside = refused(&house, &carol.presented, key);
    assert_eq!(outside.as_deref(), Some("policy:grant:networks"));
    let shared = change(&alice, teams, networks(&["127.0.0.0/8"])).unwrap();
    assert_eq!(shared.grant.policy, networks(&["127.0.0.0/8"]));
    house.release(&carol, key).unwrap();

    // Nobody relaxes what they were given, and the owner's own grant stands under the key's policy.
    let relaxed = change(&bob, bobs, UsagePolicy::default());
    assert!(matches!(relaxed, Err(Error::NotPermitted(_))));
    let grants = house.keystore.grants(&alice.presented, key).unwrap().grants;
    let own = change(&alice, grants[0].id, networks(&["10.0.0.0/8"]));
    assert!(matches!(own, Err(Error::Conflict(_))));
    house.keystore.revoke(&alice.presented, key, bobs).unwrap();
    let gone = change(&alice, bobs, UsagePolicy::default());
    assert!(matches!(gone, Err(Error::Conflict(_))));
    let unknown = change(&alice, GrantId::generate(), UsagePolicy::default());
    assert!(matches!(unknown, Err(Error::GrantNotFound)));
}

fn policies_are_changed_by_owners() {
    let house = House::new("key_policy");
    let [alice, bob] = ["alice", "bob"].map(|name| house.person(name));
    let (key, _) = house.key(&alice, &[]);
    let request = ShareKey {
        grantee: "bob".to_owned(),
        rights: Some(vec![Right::Release, Right::Administer]),
        policy: UsagePolicy::default(),
    };
    house
        .keystore
        .share(&alice.presented, key, request)
        .unwrap();
    let change = |who: &Person, policy| {
        house
            .keystore
            .change_key_policy(&who.presented, key, policy)
            .map_err(|refusal| refusal.error)
    };
    let policy = networks(&["10.0.0.0/8"]);
    assert!(matches!(
        change(&bob, policy.clone()),
        Err(Error::NotPermitted(_))
    ));
    let changed = change(&alice, policy.clone()).unwrap();
    assert_eq!(changed.key.policy, Some(policy.clone()));
    // Who administers sees it.
    assert_eq!(
        house.keystore.key(&bob.presented, key).unwrap().policy,
        Some(policy)
    );
    assert!(refused(&house, &alice.presented, key).is_some());
    let empty = change(&alice, of(|policy| policy.networks = Some(Vec::new())));
    assert!(matches!(empty, Err(Error::Invalid(_))));

    let records = house
        .keystore
        .records(&alice.presented, RecordQuery::default())
        .unwrap()
        .records;
    let leaf = records
        .iter()
        .find(|record| record.index == changed.leaf)
        .unwrap();
    assert_eq!(leaf.act, Act::KeyPolicy);
    assert_eq!(leaf.note.as_deref(), Some(r#"{"networks":["10.0.0.0/8"]}"#));
    // It is lifted from wherever the owner is.
    change(&alice, UsagePolicy::default()).unwrap();
    assert_eq!(refused(&house, &alice.presented, key), None);
}

fn the_domains_policy_is_set_by_those_who_may() {
    let mut house = House::new("domain_policy");
    let alice = house.person("alice");
    let officer = house.person_with("officer", &[Role::SecurityOfficer]);
    let auditor = house.person_with("auditor", &[Role::Auditor]);
    let policy = DomainPolicy {
        usage: networks(&["10.0.0.0/8"]),
        step_up_within: 600,
        ..DomainPolicy::default()
    };
    let set = |who: &Person| {
        house
            .keystore
            .set_domain_policy(&who.presented, policy.clone())
            .map_err(|refusal| refusal.error)
    };
    for who in [&alice, &auditor] {
        assert!(matches!(set(who), Err(Error::NotPermitted(_))));
    }
    set(&officer).unwrap();
    // Its own networks do not lock it in.
    set(&house.admin).unwrap();
    let get = |house: &House, who: &Person| house.keystore.domain_policy(&who.presented);
    for who in [&officer, &auditor, &house.admin] {
        assert_eq!(get(&house, who).unwrap(), policy);
    }
    assert!(get(&house, &alice).is_err());

    house.reopen();
    assert_eq!(get(&house, &house.admin).unwrap(), policy);
    let request = strongroom_wire::key::CreateKeys {
        keys: vec![new_key("k")],
        release: true,
    };
    let created = house.keystore.create_keys(&alice.presented, request);
    assert_eq!(created.unwrap_err().error.code(), Code::PolicyRefused);
    let none = DomainPolicy::default();
    let admin = &house.admin.presented;
    house
        .keystore
        .set_domain_policy(admin, none.clone())
        .unwrap();
    house.reopen();
    assert_eq!(get(&house, &house.admin).unwrap(), none);
}

fn a_rotation_does_not_undo_a_policy() {
    let house = House::new("rewrap_and_policy");
    // A rotation has read the record and asks the HSM; meanwhile the policy is set.
    let read = house.store.snapshot().unwrap().domain("default").unwrap();
    let read = read.unwrap();
    set_domain(&house, networks(&["10.0.0.0/8"]));
    let rewrap = move |tx: &mut dyn strongroom_keystore::store::Transaction| {
        assert!(!tx.rewrap_domain_key(&read.domain_key, &read).unwrap());
        Ok(())
    };
    house.store.write(Box::new(rewrap)).unwrap();
    let policy = house.keystore.domain_policy(&house.admin.presented);
    assert_eq!(policy.unwrap().usage, networks(&["10.0.0.0/8"]));
    // The next step reads it anew, and does it.
    house
        .keystore
        .rotate_master_kek(&house.admin.presented)
        .unwrap();
    while house.keystore.rewrap_some(100).unwrap() > 0 {}
    let policy = house.keystore.domain_policy(&house.admin.presented);
    assert_eq!(policy.unwrap().usage, networks(&["10.0.0.0/8"]));
}

fn the_domains_policy_binds_what_comes_with_a_new_key() {
    let house = House::new("new_keys");
    let alice = house.person("alice");
    let create = |release, policy| {
        let request = strongroom_wire::key::CreateKeys {
            keys: vec![strongroom_wire::key::NewKey {
                policy,
                ..new_key("k")
            }],
            release,
        };
        let created = house.keystore.create_keys(&alice.presented, request);
        created.map_err(|refusal| refusal.error.code())
    };
    // The key's own does not: what is protected now opens later, or elsewhere.
    create(true, networks(&["10.0.0.0/8"])).unwrap();
    // But what is never released is not released now.
    let only = of(|policy| policy.operations_only = true);
    assert_eq!(create(true, only.clone()).unwrap_err(), Code::Invalid);
    create(false, only).unwrap();
    let signs = of(|policy| policy.rights = Some(vec![Right::Sign]));
    assert_eq!(create(true, signs).unwrap_err(), Code::Invalid);
    set_domain(&house, networks(&["10.0.0.0/8"]));
    let none = UsagePolicy::default;
    assert_eq!(create(true, none()).unwrap_err(), Code::PolicyRefused);
    create(false, none()).unwrap();
    // Recipients are shared with.
    set_domain(
        &house,
        of(|policy| policy.rights = Some(vec![Right::Release])),
    );
    let with = |recipients: &[&str]| {
        let request = strongroom_wire::key::CreateKeys {
            keys: vec![strongroom_wire::key::NewKey {
                recipients: recipients.iter().map(|&name| name.to_owned()).collect(),
                ..new_key("k")
            }],
            release: true,
        };
        let created = house.keystore.create_keys(&alice.presented, request);
        created.map(drop).map_err(|refusal| refusal.error.code())
    };
    assert_eq!(with(&["admin@example.com"]), Err(Code::PolicyRefused));
    assert_eq!(with(&["alice"]), Ok(()));
}
