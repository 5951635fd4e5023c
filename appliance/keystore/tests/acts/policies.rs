//! Usage policies at their three levels, their changes, the domain's policy, previews.

use strongroom_keystore::{Clock, Error, Presented};
use strongroom_wire::account::{
    AccountKind, AccountState, AddMember, CreateAccount, Membership, Role, UpdateAccount,
};
use strongroom_wire::audit::{Act, RecordQuery};
use strongroom_wire::id::{GrantId, KeyId};
use strongroom_wire::key::{KeyState, ReleaseKey, Right, ShareKey, UsagePolicy};
use strongroom_wire::policy::{DomainPolicy, PreviewQuery, Verdict};
use strongroom_wire::problem::Code;
use strongroom_wire::session::SignInStrength;

use crate::house::{House, Person, new_key};

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
    (
        "clients_are_told_how_long_they_may_keep_material",
        clients_are_told_how_long_they_may_keep_material,
    ),
    (
        "a_preview_says_what_is_decided",
        a_preview_says_what_is_decided,
    ),
    (
        "a_preview_tells_the_owner_what_is_in_the_way",
        a_preview_tells_the_owner_what_is_in_the_way,
    ),
    (
        "what_is_passed_on_is_under_both_policies",
        what_is_passed_on_is_under_both_policies,
    ),
];

fn of(member: impl FnOnce(&mut UsagePolicy)) -> UsagePolicy {
    let mut policy = UsagePolicy::default();
    member(&mut policy);
    policy
}

fn networks(texts: &[&str]) -> UsagePolicy {
    let networks = texts.iter().map(|text| text.parse().unwrap()).collect();
    of(|policy| policy.networks = Some(networks))
}

fn set_domain(house: &House, usage: UsagePolicy) {
    let policy = DomainPolicy {
        usage,
        ..DomainPolicy::default()
    };
    let admin = &house.admin.presented;
    house.keystore.set_domain_policy(admin, policy).unwrap();
}

fn share(house: &House, owner: &Person, key: KeyId, with: &str, policy: UsagePolicy) -> GrantId {
    let request = ShareKey {
        grantee: with.to_owned(),
        rights: None,
        policy,
    };
    // From where the policies of these tests let their owners share.
    let shared = house.keystore.share(&from(owner, "10.1.2.3"), key, request);
    shared.unwrap().grant.id
}

fn from(person: &Person, address: &str) -> Presented {
    Presented {
        source: address.parse().unwrap(),
        ..person.presented.clone()
    }
}

/// The rule that refuses a release, or nothing.
fn refused(house: &House, who: &Presented, key: KeyId) -> Option<String> {
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

fn a_preview_says_what_is_decided() {
    let house = House::new("preview");
    let [alice, bob] = ["alice", "bob"].map(|name| house.person(name));
    let (key, _) = house.key(&alice, &[]);
    let grant = share(&house, &alice, key, "bob", UsagePolicy::default());
    let soon = house.clock.now().plus_seconds(100);
    let policies = [
        UsagePolicy::default(),
        networks(&["10.0.0.0/8"]),
        networks(&["127.0.0.0/8"]),
        of(|policy| policy.not_before = Some(soon)),
        of(|policy| policy.kinds = Some(vec![AccountKind::Service])),
        of(|policy| policy.min_sign_in = Some(SignInStrength::Password)),
        of(|policy| policy.min_sign_in = Some(SignInStrength::Passkey)),
        of(|policy| policy.rights = Some(vec![Right::Decrypt])),
        of(|policy| policy.operations_only = true),
    ];
    for of_key in &policies {
        house
            .keystore
            .change_key_policy(&alice.presented, key, of_key.clone())
            .unwrap();
        for of_grant in &policies {
            house
                .keystore
                .change_grant_policy(&alice.presented, key, grant, of_grant.clone())
                .unwrap();
            let asked = PreviewQuery {
                account: Some("bob".to_owned()),
                source: Some("127.0.0.1".to_owned()),
                sign_in: Some(SignInStrength::Password),
                ..PreviewQuery::default()
            };
            let for_bob = house
                .keystore
                .preview(&alice.presented, key, asked)
                .unwrap();
            let own = PreviewQuery::default();
            let by_bob = house.keystore.preview(&bob.presented, key, own).unwrap();
            let decided = refused(&house, &bob.presented, key);
            let verdict = if decided.is_some() {
                Verdict::Refused
            } else {
                Verdict::Allowed
            };
            assert_eq!((for_bob.verdict, by_bob.verdict), (verdict, verdict));
            assert_eq!(for_bob.decided_by, decided);
            assert_eq!(for_bob.code, by_bob.code);
            assert_eq!((by_bob.decided_by, by_bob.rules.len()), (None, 0));
        }
    }
}

fn a_preview_tells_the_owner_what_is_in_the_way() {
    let house = House::new("in_the_way");
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| house.person(name));
    let soon = house.clock.now().plus_seconds(100);
    let policy = of(|policy| {
        policy.networks = networks(&["10.0.0.0/8"]).networks;
        policy.not_before = Some(soon);
    });
    let (key, _) = house.key_with(&alice, &[&bob], policy);
    let ask =
        |who: &Person, query: PreviewQuery| house.keystore.preview(&who.presented, key, query);
    let about = |account: &str| PreviewQuery {
        account: Some(account.to_owned()),
        ..PreviewQuery::default()
    };
    let answer = |query| {
        let preview = ask(&alice, query).unwrap();
        (preview.verdict, preview.decided_by.unwrap_or_default())
    };
    let refused = |name: &str| (Verdict::Refused, name.to_owned());
    assert_eq!(answer(about("carol")), refused("grant:none"));
    assert_eq!(answer(about("bob")), refused("policy:key:not-before"));
    let later = |source: Option<&str>| PreviewQuery {
        at: Some(soon),
        source: source.map(str::to_owned),
        ..about("bob")
    };
    let depends = (Verdict::Depends, "policy:key:networks".to_owned());
    assert_eq!(answer(later(None)), depends);
    assert_eq!(
        answer(later(Some("192.0.2.1"))),
        refused("policy:key:networks")
    );
    assert_eq!(answer(later(Some("10.1.2.3"))).0, Verdict::Allowed);
    let sharing = PreviewQuery {
        right: Some(Right::Share),
        ..about("bob")
    };
    assert_eq!(answer(sharing), refused("grant:rights"));
    let rules = ask(&alice, later(None)).unwrap().rules;
    let rules: Vec<_> = rules
        .iter()
        .map(|rule| (rule.rule.as_str(), rule.verdict))
        .collect();
    assert_eq!(
        rules,
        [
            ("policy:key:networks", Verdict::Depends),
            ("policy:key:not-before", Verdict::Allowed)
        ]
    );
    let state = |state| {
        let request = strongroom_wire::key::ChangeState { state };
        house
            .keystore
            .change_state(&alice.presented, key, request)
            .unwrap();
    };
    state(KeyState::Suspended);
    assert_eq!(answer(later(Some("10.1.2.3"))), refused("key:state"));
    state(KeyState::Active);
    let bobs = house.keystore.grants(&alice.presented, key).unwrap().grants[1].clone();
    let suspend = UpdateAccount {
        state: Some(AccountState::Suspended),
        roles: None,
    };
    house
        .keystore
        .update_account(&house.admin.presented, bobs.grantee, suspend)
        .unwrap();
    assert_eq!(answer(about("bob")), refused("account:state"));
    house
        .keystore
        .revoke(&alice.presented, key, bobs.id)
        .unwrap();

    // Nobody asks about others' keys, nor a grantee about others.
    let error = |outcome: Result<_, strongroom_keystore::Refusal>| {
        outcome
            .map(|_: strongroom_wire::policy::Preview| ())
            .unwrap_err()
            .error
            .code()
    };
    assert_eq!(
        error(ask(&carol, PreviewQuery::default())),
        Code::KeyNotFound
    );
    share(&house, &alice, key, "carol", UsagePolicy::default());
    assert!(ask(&carol, about("Carol")).is_ok());
    assert_eq!(error(ask(&carol, about("alice"))), Code::NotPermitted);
    let nonsense = PreviewQuery {
        source: Some("somewhere".to_owned()),
        ..PreviewQuery::default()
    };
    assert_eq!(error(ask(&alice, nonsense)), Code::Invalid);
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
