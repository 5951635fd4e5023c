//! Acts that several people have to approve.

mod world;

use strongroom_approval::Decision;
use strongroom_keystore::{Answer, Error, Keystore, Presented};
use strongroom_wire::account::{AccountKind, CreateAccount, Role};
use strongroom_wire::audit::{Act, RecordQuery};
use strongroom_wire::id::ObjectId;
use strongroom_wire::key::{Algorithm, CreateKeys, KeyRelease, KeyVersion, NewKey, ReleaseKey};
use strongroom_wire::object::ObjectPart;
use strongroom_wire::policy::DomainPolicy;
use strongroom_wire::problem::Code;
use strongroom_wire::proposal::{
    GuardedAct, ProposalQuery, ProposalState, ProposedRequest, QuorumRule,
};

use crate::lawful::Officer;
use world::{LABEL, World, many, roles, rule, with, wrap};

pub(crate) const TRIALS: &[(&str, fn())] = &[
    ("quorum_no_route_leads_around_it", no_route_leads_around_it),
    (
        "quorum_lets_the_exact_request_through_once",
        it_lets_the_exact_request_through_once,
    ),
    (
        "quorum_approvals_are_of_different_people_in_time",
        approvals_are_of_different_people_in_time,
    ),
    (
        "quorum_master_keks_take_several_people",
        master_keks_take_several_people,
    ),
    (
        "quorum_a_factory_reset_takes_several_people",
        a_factory_reset_takes_several_people,
    ),
    ("quorum_cannot_lock_a_domain_up", it_cannot_lock_a_domain_up),
    (
        "quorum_edited_proposals_are_refused",
        edited_proposals_are_refused,
    ),
];

type Attempt = fn(&World, &Keystore, &Presented) -> Answer<()>;

/// Every way to do what takes several people; by alice where it is about her key, by the administrator otherwise.
const ROUTES: &[(&str, bool, Attempt)] = &[
    ("destroy", true, |world, keystore, by| {
        keystore.destroy(by, world.key).map(drop)
    }),
    (
        "remove the object that the key is",
        true,
        |world, keystore, by| {
            let id = ObjectId::from_bytes(*world.key.as_bytes());
            keystore.remove_object(by, id, ObjectPart::Secret).map(drop)
        },
    ),
    ("release", true, |world, keystore, by| {
        keystore
            .release(by, world.key, ReleaseKey::default())
            .map(drop)
    }),
    ("release a version", true, |world, keystore, by| {
        keystore
            .release(by, world.key, ReleaseKey { version: Some(1) })
            .map(drop)
    }),
    ("create and release at once", true, |_, keystore, by| {
        let request = CreateKeys {
            keys: vec![NewKey {
                label: LABEL.to_owned(),
                ..NewKey::new(Algorithm::Aes256)
            }],
            release: true,
        };
        keystore.create_keys(by, request).map(drop)
    }),
    ("wrap under another key", true, |world, keystore, by| {
        keystore.operate(by, world.other, wrap(world.key)).map(drop)
    }),
    ("set the policy", false, |_, keystore, by| {
        keystore
            .set_domain_policy(by, DomainPolicy::default())
            .map(drop)
    }),
    ("give roles", false, |world, keystore, by| {
        let account = world.account("alice@example.com");
        keystore
            .update_account(by, account, roles(&[Role::Auditor]))
            .map(drop)
    }),
    ("create with roles", false, |_, keystore, by| {
        let request = CreateAccount {
            name: "mole@example.com".to_owned(),
            kind: AccountKind::Person,
            roles: vec![Role::LegalApprover],
            manager: None,
        };
        keystore.create_account(by, request).map(drop)
    }),
    ("rotate", false, |_, keystore, by| {
        keystore.rotate_master_kek(by).map(drop)
    }),
    ("retire", false, |_, keystore, by| {
        keystore.retire_master_kek(by, 1).map(drop)
    }),
];

fn no_route_leads_around_it() {
    let world = World::new("quorum-routes");
    let keystore = &world.house.keystore;
    let admin = &world.house.admin.presented;
    // A proposal that holds, of something else, helps with none of them.
    let approved = world.approved(
        &world.alice.presented,
        ProposedRequest::KeyDestroy { key: world.key },
    );
    let elsewhere = world.approved(admin, ProposedRequest::MasterKekDestroy { version: 7 });
    for (what, by_alice, attempt) in ROUTES {
        let by = if *by_alice {
            &world.alice.presented
        } else {
            admin
        };
        let wrong = Presented {
            proposal: if *by_alice {
                elsewhere.proposal
            } else {
                approved.proposal
            },
            ..by.clone()
        };
        for (by, expected) in [(by, Code::QuorumRequired), (&wrong, Code::ProposalNotFound)] {
            let refusal = attempt(&world, keystore, by).expect_err(what);
            assert_eq!(refusal.error.code(), expected, "{what}");
            let leaf = refusal
                .leaf
                .unwrap_or_else(|| panic!("{what} leaves no leaf"));
            let records = keystore
                .records(by, RecordQuery::default())
                .unwrap()
                .records;
            let record = records.iter().find(|record| record.index == leaf).unwrap();
            assert!(!record.done, "{what}");
            let note = record.note.as_deref().unwrap();
            assert!(note.starts_with(expected.as_str()), "{what}: {note}");
        }
    }
    // Of many at once, that one is refused.
    let released = keystore
        .release_keys(&world.alice.presented, many(world.key))
        .unwrap();
    let [KeyRelease::Refused(problem)] = released.keys.as_slice() else {
        panic!("it was released");
    };
    assert_eq!(problem.code, Code::QuorumRequired);
    // What the policy does not name goes on as ever.
    keystore
        .release(&world.alice.presented, world.other, ReleaseKey::default())
        .unwrap();
    keystore
        .destroy(&world.alice.presented, world.other)
        .unwrap();
}

fn it_lets_the_exact_request_through_once() {
    let world = World::new("quorum-once");
    let keystore = &world.house.keystore;
    let (alice, admin) = (&world.alice.presented, &world.house.admin.presented);

    let by = world.approved(alice, ProposedRequest::KeyRelease { key: world.key });
    keystore
        .release(&by, world.key, ReleaseKey::default())
        .unwrap();
    let records = keystore
        .records(alice, RecordQuery::default())
        .unwrap()
        .records;
    assert_eq!(
        (records[0].act, records[1].act),
        (Act::KeyRelease, Act::ProposalUse)
    );
    assert_eq!(records[0].index, records[1].index + 1);
    assert_eq!(
        records[1].note,
        Some(format!("proposal {}", by.proposal.unwrap()))
    );
    let again = keystore
        .release(&by, world.key, ReleaseKey::default())
        .unwrap_err();
    assert_eq!(again.error.code(), Code::QuorumRequired);
    assert_eq!(
        keystore
            .proposal(alice, by.proposal.unwrap())
            .unwrap()
            .state,
        ProposalState::Used
    );

    // What fails for another reason uses nothing up.
    let by = world.approved(alice, ProposedRequest::KeyRelease { key: world.key });
    let wrong = keystore
        .release(&by, world.key, ReleaseKey { version: Some(9) })
        .unwrap_err();
    assert!(matches!(wrong.error, Error::NoSuchVersion(9)));
    let mut two = many(world.key);
    two.keys.push(KeyVersion {
        key: world.key,
        version: None,
    });
    let released = keystore.release_keys(&by, two).unwrap();
    let [KeyRelease::Released(_), KeyRelease::Refused(problem)] = released.keys.as_slice() else {
        panic!("one proposal releases once");
    };
    assert_eq!(problem.code, Code::QuorumRequired);

    // Roles are those that were proposed, in whichever order.
    let account = world.account("alice@example.com");
    let proposed = ProposedRequest::AccountUpdate {
        account,
        roles: vec![Role::Executor],
    };
    let by = world.approved(admin, proposed);
    let other = keystore
        .update_account(&by, account, roles(&[Role::Releaser]))
        .unwrap_err();
    assert_eq!(other.error.code(), Code::QuorumRequired);
    keystore
        .update_account(&by, account, roles(&[Role::Executor]))
        .unwrap();

    // The policy, and the rule about changing it with it.
    let looser = DomainPolicy {
        quorums: vec![rule(GuardedAct::KeyDestroy, None, 1)],
        ..DomainPolicy::default()
    };
    let request = ProposedRequest::DomainPolicy {
        policy: Box::new(looser.clone()),
    };
    let by = world.approved(admin, request);
    let other = keystore
        .set_domain_policy(&by, DomainPolicy::default())
        .unwrap_err();
    assert_eq!(other.error.code(), Code::QuorumRequired);
    keystore.set_domain_policy(&by, looser).unwrap();
    keystore
        .set_domain_policy(admin, DomainPolicy::default())
        .unwrap();
    keystore.destroy(alice, world.key).unwrap();
}

fn approvals_are_of_different_people_in_time() {
    let world = World::new("quorum-people");
    let keystore = &world.house.keystore;
    let (alice, sam) = (&world.alice.presented, &world.sam);
    let destroy = || ProposedRequest::KeyDestroy { key: world.key };
    // Whoever may not do it does not propose it.
    let refused = world.propose(&sam.person.presented, destroy());
    assert!(matches!(refused, Err(Error::KeyNotFound)), "{refused:?}");
    let refused = world.propose(alice, ProposedRequest::MasterKekRotate {});
    assert!(
        matches!(refused, Err(Error::NotPermitted(_))),
        "{refused:?}"
    );
    let needless = world.propose(alice, ProposedRequest::KeyDestroy { key: world.other });
    assert!(matches!(needless, Err(Error::Conflict(_))), "{needless:?}");

    let proposal = world.propose(alice, destroy()).unwrap();
    assert_eq!(proposal.label.as_deref(), Some(LABEL));
    let by = with(alice, &proposal);
    let refused = |by: &Presented| keystore.destroy(by, world.key).unwrap_err().error.code();
    assert_eq!(refused(&by), Code::QuorumRequired);
    world.decide(sam, &proposal, Decision::Approve).unwrap();
    let again = world.decide(sam, &proposal, Decision::Approve);
    assert!(matches!(again, Err(Error::Conflict(_))), "{again:?}");
    assert_eq!(refused(&by), Code::QuorumRequired);
    // Who has not the role, and whoever proposed it.
    let nobody = Officer::new(&world.house, "nobody@example.com", &[]);
    assert!(matches!(
        world.decide(&nobody, &proposal, Decision::Approve),
        Err(Error::ProposalNotFound)
    ));
    let own = world
        .propose(&sam.person.presented, ProposedRequest::MasterKekRotate {})
        .unwrap();
    assert!(matches!(
        world.decide(sam, &own, Decision::Approve),
        Err(Error::NotPermitted(_))
    ));
    // A signature about another proposal.
    let decide = world.sue.sign(&world.statement(&own, Decision::Approve));
    let crossed = keystore.decide_proposal(&world.sue.person.presented, proposal.id, decide);
    assert!(matches!(
        crossed.unwrap_err().error,
        Error::ApprovalRefused(_)
    ));
    // Somebody else's proposal is nobody's to use.
    let stolen = with(&world.house.admin.presented, &own);
    assert_eq!(
        keystore
            .rotate_master_kek(&stolen)
            .unwrap_err()
            .error
            .code(),
        Code::ProposalNotFound
    );

    // One against it ends it.
    let rejected = world
        .decide(&world.sue, &proposal, Decision::Reject)
        .unwrap();
    assert_eq!(rejected.state, ProposalState::Rejected);
    assert_eq!(refused(&by), Code::QuorumRequired);

    // Withdrawn by whoever made it, and by nobody else.
    let proposal = world.propose(alice, destroy()).unwrap();
    let withdraw = |by: &Presented| keystore.withdraw_proposal(by, proposal.id);
    assert!(matches!(
        withdraw(&sam.person.presented).unwrap_err().error,
        Error::NotPermitted(_)
    ));
    assert_eq!(
        withdraw(alice).unwrap().proposal.state,
        ProposalState::Withdrawn
    );

    // Too late.
    let by = world.approved(alice, destroy());
    world.house.clock.advance(3599);
    assert_eq!(
        keystore
            .proposal(alice, by.proposal.unwrap())
            .unwrap()
            .state,
        ProposalState::Open
    );
    world.house.clock.advance(1);
    let alice =
        crate::house::sign_in(keystore, "alice@example.com", crate::house::PASSWORD).unwrap();
    let late = Presented {
        proposal: by.proposal,
        ..alice.presented.clone()
    };
    assert_eq!(refused(&late), Code::QuorumRequired);
    let open = ProposalQuery {
        open: true,
        before: None,
    };
    assert!(
        keystore
            .proposals(&alice.presented, open)
            .unwrap()
            .proposals
            .is_empty()
    );
    let all = keystore
        .proposals(&alice.presented, ProposalQuery::default())
        .unwrap();
    assert_eq!(all.proposals.len(), 3);
}

fn master_keks_take_several_people() {
    let world = World::new("quorum-keks");
    let keystore = &world.house.keystore;
    let admin = &world.house.admin.presented;
    let before = world.house.hsm.master_kek_versions("default").unwrap();
    assert!(keystore.rotate_master_kek(admin).is_err());
    let unchanged = world.house.hsm.master_kek_versions("default").unwrap();
    assert_eq!(
        before, unchanged,
        "nothing is made in the HSM without its quorum"
    );

    let by = world.approved(admin, ProposedRequest::MasterKekRetire { version: 1 });
    assert_eq!(
        keystore.retire_master_kek(&by, 2).unwrap_err().error.code(),
        Code::Conflict
    );
    keystore.retire_master_kek(&by, 1).unwrap();
    assert_eq!(
        keystore
            .destroy_master_kek(admin, 1)
            .unwrap_err()
            .error
            .code(),
        Code::QuorumRequired
    );
    let by = world.approved(admin, ProposedRequest::MasterKekDestroy { version: 1 });
    keystore.destroy_master_kek(&by, 1).unwrap();
    let by = world.approved(admin, ProposedRequest::MasterKekRotate {});
    assert_eq!(keystore.rotate_master_kek(&by).unwrap().version, 3);
}

fn a_factory_reset_takes_several_people() {
    let world = World::new("quorum-reset");
    let keystore = &world.house.keystore;
    let admin = &world.house.admin.presented;
    let alone = keystore.order_reset(admin).unwrap_err();
    assert_eq!(alone.error.code(), Code::QuorumRequired);
    let stranger = keystore.order_reset(&world.alice.presented).unwrap_err();
    assert_eq!(stranger.error.code(), Code::NotPermitted);
    let refused = world.propose(&world.alice.presented, ProposedRequest::ApplianceReset {});
    assert!(refused.is_err(), "whoever may not do it");
    let other = world.approved(admin, ProposedRequest::MasterKekRotate {});
    let other = keystore.order_reset(&other).unwrap_err();
    assert_eq!(other.error.code(), Code::QuorumRequired, "another act's");

    let by = world.approved(admin, ProposedRequest::ApplianceReset {});
    let leaf = keystore.order_reset(&by).unwrap().leaf;
    let again = keystore.order_reset(&by).unwrap_err();
    assert_eq!(again.error.code(), Code::QuorumRequired, "once");
    let page = keystore.records(admin, RecordQuery::default());
    let mut records = page.unwrap().records;
    records.retain(|record| record.done && [leaf - 1, leaf].contains(&record.index));
    let acts: Vec<_> = records.iter().rev().map(|record| record.act).collect();
    assert_eq!(acts, [Act::ProposalUse, Act::ApplianceReset]);
}

fn it_cannot_lock_a_domain_up() {
    let world = World::new("quorum-lock");
    let keystore = &world.house.keystore;
    let with_rule = |count, role| DomainPolicy {
        quorums: vec![QuorumRule {
            role,
            ..rule(GuardedAct::DomainPolicy, None, count)
        }],
        ..DomainPolicy::default()
    };
    for (count, role) in [(3, Role::SecurityOfficer), (1, Role::Administrator)] {
        let refused =
            keystore.set_domain_policy(&world.house.admin.presented, with_rule(count, role));
        assert!(
            matches!(refused.unwrap_err().error, Error::Conflict(_)),
            "{count} {role:?}"
        );
    }
}

fn edited_proposals_are_refused() {
    let world = World::new("quorum-edits");
    let proposal = world
        .propose(
            &world.alice.presented,
            ProposedRequest::KeyDestroy { key: world.key },
        )
        .unwrap();
    world
        .decide(&world.sam, &proposal, Decision::Approve)
        .unwrap();
    let database = rusqlite::Connection::open(world.house.database()).unwrap();
    let by = with(&world.alice.presented, &proposal);
    for (edit, undo) in [
        ("count = 1", "count = 2"),
        ("role = 0", "role = 2"),
        ("expires = expires + 1", "expires = expires - 1"),
        (
            "request = (SELECT sha256 FROM documents WHERE kind = 3)",
            "",
        ),
    ] {
        let run = |change: &str| database.execute_batch(&format!("UPDATE proposals SET {change}"));
        run(edit).unwrap();
        let refused = world.house.keystore.destroy(&by, world.key).unwrap_err();
        assert!(
            matches!(refused.error, Error::Integrity(_)),
            "{edit}: {refused:?}"
        );
        if !undo.is_empty() {
            run(undo).unwrap();
        }
    }
}
