//! Sessions: how they end, from where they hold, stepping up.

use std::time::Duration;

use strongroom_keystore::{Clock, Error, Options, Presented};
use strongroom_wire::account::{AccountKind, AddMember, CreateAccount, Membership};
use strongroom_wire::audit::{Act, RecordQuery};
use strongroom_wire::key::{CreateKeys, ShareKey, UsagePolicy};
use strongroom_wire::policy::DomainPolicy;
use strongroom_wire::problem::Code;
use strongroom_wire::session::SignInStrength;

use crate::house::{House, PASSWORD, Person, new_key, sign_in, start_step_up, step_up};

pub(crate) const TRIALS: &[(&str, fn())] = &[
    (
        "idle_sessions_end_and_used_ones_stay",
        idle_sessions_end_and_used_ones_stay,
    ),
    ("the_last_use_survives_a_kill", the_last_use_survives_a_kill),
    (
        "a_session_ends_however_much_it_is_used",
        a_session_ends_however_much_it_is_used,
    ),
    (
        "a_stolen_token_opens_nothing_elsewhere",
        a_stolen_token_opens_nothing_elsewhere,
    ),
    (
        "grave_acts_need_a_recent_sign_in",
        grave_acts_need_a_recent_sign_in,
    ),
    ("stepping_up_opens_no_session", stepping_up_opens_no_session),
];

fn idle(minutes: u64) -> Options {
    Options {
        session_idle_lifetime: Duration::from_mins(minutes),
        session_lifetime: Duration::from_hours(8),
        ..Options::default()
    }
}

fn is_signed_in(house: &House, presented: &Presented) -> bool {
    house.keystore.own_account(presented).is_ok()
}

fn idle_sessions_end_and_used_ones_stay() {
    let house = House::with("idle", idle(30));
    let alice = house.person("alice");
    let other = sign_in(&house.keystore, "alice", PASSWORD).unwrap();
    for _ in 0..3 {
        house.clock.advance(29 * 60);
        assert!(is_signed_in(&house, &alice.presented));
    }
    assert!(!is_signed_in(&house, &other.presented));
    let sessions = house.keystore.sessions(&alice.presented).unwrap().sessions;
    assert_eq!(sessions.len(), 1, "the idle one is not listed");
    let session = &sessions[0];
    assert!(session.current);
    assert_eq!(session.strength, SignInStrength::Password);
    assert_eq!(session.last_seen, house.clock.now());
    assert_eq!(session.last_source, "127.0.0.1");
    assert_eq!(
        session.idle_expires,
        house.clock.now().plus_seconds(30 * 60)
    );
    assert_eq!(session.confirmed, session.created);
    house.clock.advance(30 * 60);
    assert!(!is_signed_in(&house, &alice.presented));
}

fn the_last_use_survives_a_kill() {
    let mut house = House::with("idle_kill", idle(30));
    let alice = house.person("alice");
    let bob = house.person("bob");
    house.clock.advance(20 * 60);
    assert!(is_signed_in(&house, &alice.presented));
    // Once a minute; no request waits for it.
    house.keystore.forget_expired().unwrap();
    house.reopen();
    house.clock.advance(20 * 60);
    assert!(is_signed_in(&house, &alice.presented));
    assert!(!is_signed_in(&house, &bob.presented));
    // Used, and killed before that was written: it ends as if it had not been used, not later.
    house.reopen();
    house.clock.advance(15 * 60);
    assert!(!is_signed_in(&house, &alice.presented));
    house.keystore.forget_expired().unwrap();
    let rows: u32 = rusqlite::Connection::open(house.database())
        .unwrap()
        .query_row("SELECT count(*) FROM sessions", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 0, "the ended ones are gone");
}

fn a_session_ends_however_much_it_is_used() {
    let options = Options {
        session_lifetime: Duration::from_hours(2),
        ..idle(30)
    };
    let house = House::with("absolute", options);
    let alice = house.person("alice");
    for _ in 0..5 {
        house.clock.advance(20 * 60);
        assert!(is_signed_in(&house, &alice.presented));
    }
    let sessions = house.keystore.sessions(&alice.presented).unwrap().sessions;
    assert_eq!(sessions[0].idle_expires, sessions[0].expires);
    house.clock.advance(20 * 60);
    assert!(!is_signed_in(&house, &alice.presented));
}

fn a_stolen_token_opens_nothing_elsewhere() {
    let house = House::new("elsewhere");
    let alice = house.person("alice");
    let stolen = Presented {
        source: "192.0.2.66".parse().unwrap(),
        ..alice.presented.clone()
    };
    // Devices that move change their address: the domain decides.
    assert!(is_signed_in(&house, &stolen));
    let sessions = house.keystore.sessions(&alice.presented).unwrap().sessions;
    assert_eq!(sessions[0].source, "127.0.0.1");
    let policy = DomainPolicy {
        bind_sessions_to_address: true,
        ..DomainPolicy::default()
    };
    let admin = &house.admin.presented;
    house.keystore.set_domain_policy(admin, policy).unwrap();

    let looked = house.keystore.own_account(&stolen).unwrap_err();
    let request = CreateKeys {
        keys: vec![new_key("k")],
        release: true,
    };
    let acted = house.keystore.create_keys(&stolen, request).unwrap_err();
    assert!(is_signed_in(&house, &alice.presented));
    let records = house
        .keystore
        .records(&alice.presented, RecordQuery::default())
        .unwrap()
        .records;
    for (refusal, act) in [(looked, Act::SessionUse), (acted, Act::KeyCreate)] {
        assert_eq!(refusal.error.code(), Code::SessionElsewhere);
        // Its holder sees it, and from where.
        let record = records
            .iter()
            .find(|record| Some(record.index) == refusal.leaf);
        let record = record.unwrap();
        assert_eq!((record.act, record.done), (act, false));
        assert_eq!(record.note.as_deref(), Some("session-elsewhere"));
        assert_eq!(record.source.as_deref(), Some("192.0.2.66"));
        assert_eq!(record.session, Some(sessions[0].id));
        assert_eq!(record.actor, None);
    }
    house
        .keystore
        .end_session(&alice.presented, Some(sessions[0].id))
        .unwrap();
    assert!(!is_signed_in(&house, &alice.presented));
}

fn share(house: &House, who: &Person, key: strongroom_wire::id::KeyId) -> Result<(), Code> {
    let request = ShareKey {
        grantee: "bob".to_owned(),
        rights: None,
        policy: UsagePolicy::default(),
    };
    let shared = house.keystore.share(&who.presented, key, request);
    shared.map(drop).map_err(|refusal| refusal.error.code())
}

fn grave_acts_need_a_recent_sign_in() {
    let house = House::new("step_up");
    let [alice, bob] = ["alice", "bob"].map(|name| house.person(name));
    let (key, _) = house.key(&alice, &[]);
    let policy = DomainPolicy {
        step_up_within: 300,
        ..DomainPolicy::default()
    };
    let set = |policy: DomainPolicy| {
        let set = house
            .keystore
            .set_domain_policy(&house.admin.presented, policy);
        set.map_err(|refusal| refusal.error.code())
    };
    set(policy.clone()).unwrap();
    share(&house, &alice, key).unwrap();
    house.clock.advance(300);
    let (presented, none) = (&alice.presented, UsagePolicy::default);
    let grant = house.keystore.grants(presented, key).unwrap().grants[1].id;
    let grave = || {
        let keystore = &house.keystore;
        [
            share(&house, &alice, house.key(&alice, &[]).0),
            keystore
                .change_key_policy(presented, key, none())
                .map(drop)
                .map_err(|refusal| refusal.error.code()),
            keystore
                .change_grant_policy(presented, key, grant, none())
                .map(drop)
                .map_err(|refusal| refusal.error.code()),
            keystore
                .destroy(presented, house.key(&alice, &[]).0)
                .map(drop)
                .map_err(|refusal| refusal.error.code()),
        ]
    };
    assert_eq!(grave(), [Err(Code::StepUpRequired); 4]);
    assert_eq!(set(policy), Err(Code::StepUpRequired));
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
    let add = || {
        let member = AddMember {
            account: "bob".to_owned(),
            membership: Membership::Member,
        };
        let added = house.keystore.add_member(presented, group, member);
        added.map(drop).map_err(|refusal| refusal.error.code())
    };
    assert_eq!(add(), Err(Code::StepUpRequired));
    // What is not grave goes on, and to revoke is never harder than that.
    house.release(&bob, key).unwrap();
    house.release(&alice, key).unwrap();

    let wrong = step_up(&house.keystore, &alice, "another password");
    assert!(
        wrong.is_none(),
        "the client sees by itself that it is wrong"
    );
    assert_eq!(grave(), [Err(Code::StepUpRequired); 4]);
    let stepped = step_up(&house.keystore, &alice, PASSWORD).unwrap().unwrap();
    assert_eq!(stepped.confirmed, house.clock.now());
    assert_eq!(grave(), [Ok(()); 4]);
    assert_eq!(add(), Ok(()));
    // The session is the same, with its transport key.
    house.release(&alice, key).unwrap();
    let sessions = house.keystore.sessions(presented).unwrap().sessions;
    assert_eq!(sessions.len(), 1);
    assert_eq!(sessions[0].confirmed, house.clock.now());
    house.clock.advance(300);
    assert_eq!(grave(), [Err(Code::StepUpRequired); 4]);
    house.keystore.revoke(presented, key, grant).unwrap();
}

fn stepping_up_opens_no_session() {
    let house = House::new("step_up_only");
    let [alice, bob] = ["alice", "bob"].map(|name| house.person(name));
    let other = sign_in(&house.keystore, "alice", PASSWORD).unwrap();
    let finish = || start_step_up(&house.keystore, &alice, PASSWORD).unwrap();
    let opened = house
        .keystore
        .finish_sign_in(alice.presented.source, finish());
    assert!(matches!(opened.unwrap_err().error, Error::SignInRefused));
    // It confirms the session in which it was started, no other.
    for who in [&other, &bob] {
        let refused = house.keystore.finish_step_up(&who.presented, finish());
        let refused = refused.unwrap_err();
        assert!(matches!(refused.error, Error::SignInRefused));
        assert!(refused.leaf.is_some());
    }
    let good = finish();
    house
        .keystore
        .finish_step_up(&alice.presented, good.clone())
        .unwrap();
    let again = house.keystore.finish_step_up(&alice.presented, good);
    assert!(matches!(again.unwrap_err().error, Error::SignInRefused));
    let late = finish();
    house.clock.advance(60);
    let late = house.keystore.finish_step_up(&alice.presented, late);
    assert!(matches!(late.unwrap_err().error, Error::SignInRefused));
}
