//! Usage policies at their three levels, their changes, the domain's policy, previews.

pub(crate) mod changes;

use strongroom_keystore::Clock as _;
use strongroom_keystore::{Error, Presented};
use strongroom_wire::account::{AccountKind, Role};
use strongroom_wire::audit::RecordQuery;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::{GrantId, KeyId};
use strongroom_wire::key::{ReleaseKey, Right, ShareKey, UsagePolicy};
use strongroom_wire::operation::Mechanism;
use strongroom_wire::policy::{DomainPolicy, Hours};
use strongroom_wire::problem::Code;
use strongroom_wire::session::SignInStrength;

use crate::house::{House, Person};

pub(crate) const TRIALS: &[(&str, fn())] = &[
    (
        "the_strictest_of_three_levels_wins",
        the_strictest_of_three_levels_wins,
    ),
    (
        "the_owner_alone_learns_the_rule",
        the_owner_alone_learns_the_rule,
    ),
    (
        "clients_are_told_how_long_they_may_keep_material",
        clients_are_told_how_long_they_may_keep_material,
    ),
    (
        "clients_are_told_what_they_cannot_judge_for_themselves",
        clients_are_told_what_they_cannot_judge_for_themselves,
    ),
    (
        "what_is_passed_on_is_under_both_policies",
        what_is_passed_on_is_under_both_policies,
    ),
];

pub(crate) fn of(member: impl FnOnce(&mut UsagePolicy)) -> UsagePolicy {
    let mut policy = UsagePolicy::default();
    member(&mut policy);
    policy
}

pub(crate) fn networks(texts: &[&str]) -> UsagePolicy {
    let networks = texts.iter().map(|text| text.parse().unwrap()).collect();
    of(|policy| policy.networks = Some(networks))
}

pub(crate) fn set_domain(house: &House, usage: UsagePolicy) {
    let policy = DomainPolicy {
        usage,
        ..DomainPolicy::default()
    };
    let admin = &house.admin.presented;
    house.keystore.set_domain_policy(admin, policy).unwrap();
}

/// Allows these legacy mechanisms, and no others.
pub(crate) fn allow_legacy(house: &House, mechanisms: &[Mechanism]) {
    let admin = &house.admin.presented;
    let policy = DomainPolicy {
        legacy_mechanisms: mechanisms.to_vec(),
        ..house.keystore.domain_policy(admin).unwrap()
    };
    house.keystore.set_domain_policy(admin, policy).unwrap();
}

pub(crate) fn share(
    house: &House,
    owner: &Person,
    key: KeyId,
    with: &str,
    policy: UsagePolicy,
) -> GrantId {
    let request = ShareKey {
        grantee: with.to_owned(),
        rights: None,
        policy,
    };
    // From where the policies of these tests let their owners share.
    let shared = house.keystore.share(&from(owner, "10.1.2.3"), key, request);
    shared.unwrap().grant.id
}

pub(crate) fn from(person: &Person, address: &str) -> Presented {
    Presented {
        source: address.parse().unwrap(),
        ..person.presented.clone()
    }
}

/// The rule that refuses a release, or nothing.
pub(crate) fn refused(house: &House, who: &Presented, key: KeyId) -> Option<String> {
    match house.keystore.release(who, key, ReleaseKey::default()) {
        Ok(_) => None,
        Err(refusal) => match refusal.error {
            Error::PolicyRefused { rule, .. } => Some(rule.to_string()),
            error => panic!("{error:?}"),
        },
    }
}

fn the_strictest_of_three_levels_wins() {
    let house = House::new("levels");
    let [alice, bob] = ["alice", "bob"].map(|name| house.person(name));
    let (key, _) = house.key_with(&alice, &[], networks(&["10.0.0.0/8", "2001:db8::/32"]));
    let grant = networks(&["10.1.0.0/16", "192.0.2.0/24"]);
    share(&house, &alice, key, "bob", grant);
    let rule = |who, address| refused(&house, &from(who, address), key);

    assert_eq!(rule(&bob, "10.1.2.3"), None);
    assert_eq!(
        rule(&bob, "10.2.0.1").as_deref(),
        Some("policy:grant:networks")
    );
    assert_eq!(
        rule(&bob, "192.0.2.1").as_deref(),
        Some("policy:key:networks")
    );
    assert_eq!(rule(&alice, "10.2.0.1"), None);
    assert_eq!(rule(&alice, "2001:db8::7"), None);
    set_domain(&house, networks(&["10.1.2.0/24"]));
    assert_eq!(
        rule(&alice, "10.2.0.1").as_deref(),
        Some("policy:domain:networks")
    );
    assert_eq!(rule(&bob, "10.1.2.3"), None);

    set_domain(
        &house,
        of(|policy| policy.kinds = Some(vec![AccountKind::Device])),
    );
    assert_eq!(
        rule(&bob, "10.1.2.3").as_deref(),
        Some("policy:domain:kinds")
    );
    set_domain(
        &house,
        of(|policy| policy.min_sign_in = Some(SignInStrength::TwoFactor)),
    );
    assert_eq!(
        rule(&bob, "10.1.2.3").as_deref(),
        Some("policy:domain:min-sign-in")
    );
    set_domain(&house, of(|policy| policy.operations_only = true));
    assert_eq!(
        rule(&bob, "10.1.2.3").as_deref(),
        Some("policy:domain:operations-only")
    );

    // The domain counts each key's releases by itself, from when it limits them.
    set_domain(&house, of(|policy| policy.max_releases = Some(1)));
    assert_eq!(rule(&bob, "10.1.2.3"), None);
    assert_eq!(
        rule(&alice, "10.1.2.3").as_deref(),
        Some("policy:domain:max-releases")
    );

    // Sharing and destroying are bound as well, but not by what limits uses alone.
    set_domain(
        &house,
        of(|policy| policy.rights = Some(vec![Right::Release])),
    );
    let destroyed = house.keystore.destroy(&from(&alice, "10.1.2.3"), key);
    assert_eq!(destroyed.unwrap_err().error.code(), Code::PolicyRefused);
    set_domain(&house, of(|policy| policy.max_releases = Some(1)));
    let elsewhere = house.keystore.destroy(&from(&alice, "192.0.2.1"), key);
    assert_eq!(elsewhere.unwrap_err().error.code(), Code::PolicyRefused);
    house
        .keystore
        .destroy(&from(&alice, "10.1.2.3"), key)
        .unwrap();
}

fn the_owner_alone_learns_the_rule() {
    let house = House::new("owners_learn");
    let [alice, bob] = ["alice", "bob"].map(|name| house.person(name));
    let auditor = house.person_with("auditor", &[Role::Auditor]);
    let (key, _) = house.key_with(&alice, &[&bob], networks(&["10.0.0.0/8"]));
    let release = |who: &Person| {
        let refused = house
            .keystore
            .release(&who.presented, key, ReleaseKey::default());
        let problem = refused.unwrap_err().problem();
        assert_eq!(problem.code, Code::PolicyRefused);
        (problem.detail, problem.leaf.unwrap())
    };
    let (to_bob, leaf) = release(&bob);
    assert_eq!(to_bob, "A usage policy does not allow this.");
    let note = |who: &Person| {
        let query = RecordQuery {
            key: Some(key),
            ..RecordQuery::default()
        };
        let records = house
            .keystore
            .records(&who.presented, query)
            .unwrap()
            .records;
        let record = records.into_iter().find(|record| record.index == leaf);
        record.unwrap().note.unwrap()
    };
    assert_eq!(note(&bob), "policy-refused");
    for who in [&alice, &auditor] {
        assert_eq!(note(who), "policy-refused policy:key:networks");
    }
    // Nor from the leaf itself, nor from what a grantee sees of the key.
    let proof = house.keystore.inclusion_proof(&bob.presented, leaf);
    assert!(matches!(proof.unwrap_err().error, Error::NotPermitted(_)));
    assert!(
        house
            .keystore
            .inclusion_proof(&alice.presented, leaf)
            .is_ok()
    );
    assert_eq!(
        house.keystore.key(&bob.presented, key).unwrap().policy,
        None
    );

    let (to_alice, _) = release(&alice);
    assert!(
        to_alice.ends_with("by the rule policy:key:networks."),
        "{to_alice}"
    );
    let own = house.keystore.key(&alice.presented, key).unwrap();
    assert_eq!(own.policy, Some(networks(&["10.0.0.0/8"])));
}

fn clients_are_told_how_long_they_may_keep_material() {
    let house = House::new("keep_for");
    let [alice, bob] = ["alice", "bob"].map(|name| house.person(name));
    let now = house.clock.now();
    let key = of(|policy| {
        policy.keep_for = Some(60);
        policy.not_after = Some(now.plus_seconds(90));
    });
    let (key, _) = house.key_with(&alice, &[], key);
    share(
        &house,
        &alice,
        key,
        "bob",
        of(|policy| policy.keep_for = Some(20)),
    );
    let told = |who: &Person| {
        let material = house
            .keystore
            .release(&who.presented, key, ReleaseKey::default());
        let material = material.unwrap();
        (material.keep_for, material.not_after)
    };
    assert_eq!(told(&alice), (Some(60), Some(now.plus_seconds(60))));
    assert_eq!(told(&bob), (Some(20), Some(now.plus_seconds(20))));
    house.clock.advance(80);
    // The end of the window is earlier.
    assert_eq!(told(&alice), (Some(60), Some(now.plus_seconds(90))));
    set_domain(&house, of(|policy| policy.keep_for = Some(5)));
    assert_eq!(told(&bob), (Some(5), Some(now.plus_seconds(85))));
}

fn clients_are_told_what_they_cannot_judge_for_themselves() {
    let house = House::new("ask_again");
    let [alice, bob] = ["alice", "bob"].map(|name| house.person(name));
    let told = |who: &Person, key| {
        let released = house
            .keystore
            .release(&who.presented, key, ReleaseKey::default());
        let material = released.unwrap();
        (material.ask_again, material.not_after)
    };
    let (free, _) = house.key(&alice, &[]);
    assert_eq!(told(&alice, free), (false, None));
    // How often, and from where.
    for policy in [
        of(|policy| policy.max_releases = Some(9)),
        networks(&["127.0.0.0/8"]),
    ] {
        let (key, _) = house.key_with(&alice, &[], policy);
        assert_eq!(told(&alice, key), (true, None));
    }
    // What a grant says is for its grantee.
    share(
        &house,
        &alice,
        free,
        "bob",
        of(|policy| policy.max_releases = Some(2)),
    );
    assert_eq!(told(&bob, free), (true, None));
    assert_eq!(told(&alice, free), (false, None));
    // At which hours, it can: it knows when they are over.
    let whole_days = Hours {
        days: None,
        from: "00:00".parse().unwrap(),
        until: "24:00".parse().unwrap(),
        zone: "UTC".to_owned(),
    };
    let (key, _) = house.key_with(&alice, &[], of(|policy| policy.hours = vec![whole_days]));
    let day = 24 * 3600 * 1000;
    let end = house.clock.now().as_millis() / day * day + day;
    assert_eq!(
        told(&alice, key),
        (false, Some(Timestamp::from_millis(end)))
    );
}

fn what_is_passed_on_is_under_both_policies() {
    let house = House::new("passed_on");
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| house.person(name));
    let (key, _) = house.key(&alice, &[]);
    let request = |grantee: &str, policy| ShareKey {
        grantee: grantee.to_owned(),
        rights: Some(vec![Right::Release, Right::Share]),
        policy,
    };
    let to_bob = request("bob", networks(&["10.0.0.0/8", "127.0.0.0/8"]));
    house.keystore.share(&alice.presented, key, to_bob).unwrap();
    let apart = request("carol", networks(&["192.0.2.0/24"]));
    let nothing = house.keystore.share(&bob.presented, key, apart);
    assert_eq!(nothing.unwrap_err().error.code(), Code::Invalid);
    let wider = request("carol", networks(&["10.1.0.0/16", "192.0.2.0/24"]));
    let shared = house.keystore.share(&bob.presented, key, wider).unwrap();
    assert_eq!(shared.grant.policy, networks(&["10.1.0.0/16"]));
    let at = |address: &str| refused(&house, &from(&carol, address), key).is_none();
    assert!(at("10.1.2.3"));
    assert!(!at("127.0.0.1"));
    assert!(!at("192.0.2.7"));
}
