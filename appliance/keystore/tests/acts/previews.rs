//! Previews of what usage policies decide.

use strongroom_keystore::Clock as _;
use strongroom_wire::account::{AccountKind, AccountState, UpdateAccount};
use strongroom_wire::key::{KeyState, Right, UsagePolicy};
use strongroom_wire::policy::{PreviewQuery, Verdict};
use strongroom_wire::problem::Code;
use strongroom_wire::session::SignInStrength;

use crate::house::{House, Person};
use crate::policies::{networks, of, refused, share};

pub(crate) const TRIALS: &[(&str, fn())] = &[
    (
        "a_preview_says_what_is_decided",
        a_preview_says_what_is_decided,
    ),
    (
        "a_preview_tells_the_owner_what_is_in_the_way",
        a_preview_tells_the_owner_what_is_in_the_way,
    ),
];

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
