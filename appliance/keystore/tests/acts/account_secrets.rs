//! Secrets of devices and services, and the requests signed with them.

use strongroom_keystore::Error;
use strongroom_keystore::devices::SignedRequest;
use strongroom_session::AccountSecret;
use strongroom_session::signature::content_digest;
use strongroom_wire::account::{AccountKind, AccountState, CreateAccount, UpdateAccount};
use strongroom_wire::device::DeviceState;
use strongroom_wire::id::AccountId;
use strongroom_wire::key::CreateKeys;

use crate::house::{House, SOURCE, new_key};
use crate::pairing::pair;
use crate::signers::{Signer, admit, device, devices, issue, nonce, now, set, state};

pub(crate) const TRIALS: &[(&str, fn())] = &[
    (
        "a_request_is_admitted_once_and_in_time",
        a_request_is_admitted_once_and_in_time,
    ),
    (
        "what_is_not_the_devices_request_is_refused_alike",
        what_is_not_the_devices_request_is_refused_alike,
    ),
    (
        "nobody_else_gets_a_used_device_a_secret",
        nobody_else_gets_a_used_device_a_secret,
    ),
    (
        "what_a_request_did_is_not_done_again_after_a_start",
        what_a_request_did_is_not_done_again_after_a_start,
    ),
    (
        "secrets_move_with_their_accounts_kek",
        secrets_move_with_their_accounts_kek,
    ),
    ("a_service_has_a_secret", a_service_has_a_secret),
];

/// The nonce becomes durable with what a request does, or with the leaf that says why it did nothing.
fn what_a_request_did_is_not_done_again_after_a_start() {
    let mut house = House::new("after a start");
    let signer = device(&house, "SN-1");
    let first = signer.sign(now(&house), &nonce());
    let at_once = house.keystore.admit_at_once(SOURCE, &first);
    assert!(at_once.is_none(), "it makes the account active");
    admit(&house, first).unwrap();

    let good = signer.sign(now(&house), &nonce());
    let admission = house.keystore.admit_at_once(SOURCE, &good).unwrap();
    let own = CreateKeys {
        keys: vec![new_key("reading")],
        release: false,
    };
    let made = house.keystore.create_keys(&admission.presented, own);
    let made = made.unwrap().keys.remove(0).key.id;

    let bad = signer.sign(now(&house), &nonce());
    let admission = house.keystore.admit_at_once(SOURCE, &bad).unwrap();
    let alice = house.person("alice@example.com");
    let (hers, _) = house.key(&alice, &[]);
    let refused = house.keystore.destroy(&admission.presented, hers);
    assert!(refused.err().unwrap().leaf.is_some());

    for starts in [false, true] {
        if starts {
            house.reopen();
        }
        for request in [&good, &bad] {
            assert!(house.keystore.admit_at_once(SOURCE, request).is_none());
            let refused = admit(&house, request.clone()).err();
            assert!(matches!(refused, Some(Error::Replayed)));
        }
    }
    let next = signer.admitted(&house).unwrap();
    assert_eq!(house.keystore.key(&next.presented, made).unwrap().id, made);
}

fn a_request_is_admitted_once_and_in_time() {
    let mut house = House::new("once");
    let signer = device(&house, "SN-1");
    let first = signer.sign(now(&house), &nonce());
    admit(&house, first.clone()).unwrap();
    let refused = house.keystore.admit(SOURCE, first.clone()).err().unwrap();
    assert!(matches!(refused.error, Error::Replayed));
    assert!(refused.leaf.is_some(), "a refused attempt leaves a leaf");
    // Nor after the appliance was killed.
    house.reopen();
    assert!(matches!(
        admit(&house, first.clone()).err(),
        Some(Error::Replayed)
    ));

    // The bound is five minutes, on both sides.
    for (offset, good) in [(-300, true), (300, true), (-301, false), (301, false)] {
        let created = now(&house).checked_add_signed(offset).unwrap();
        match admit(&house, signer.sign(created, &nonce())) {
            Ok(_) => assert!(good, "{offset}"),
            Err(Error::ClockSkew(time)) => {
                assert!(!good, "{offset}");
                assert_eq!(time.as_millis() / 1000, now(&house));
            }
            Err(error) => panic!("{error}"),
        }
    }
    // A request of the far future, or of no time that there is.
    for created in [0, 9_000_000_000, 999_999_999_999_999] {
        let refused = admit(&house, signer.sign(created, &nonce()));
        assert!(matches!(refused.err(), Some(Error::ClockSkew(_))));
    }
    // At the last moment at which the captured request would be in time, its nonce is still known; then it is forgotten.
    house.clock.advance(300);
    house.keystore.forget_expired().unwrap();
    assert!(matches!(
        admit(&house, first.clone()).err(),
        Some(Error::Replayed)
    ));
    house.clock.advance(1);
    house.keystore.forget_expired().unwrap();
    assert!(matches!(
        admit(&house, first).err(),
        Some(Error::ClockSkew(_))
    ));
}

fn what_is_not_the_devices_request_is_refused_alike() {
    let house = House::new("alike");
    let signers = devices(&house, &["SN-1", "SN-2"]);
    let alice = house.person("alice@example.com");
    let alice_id = house.keystore.own_account(&alice.presented).unwrap().id;
    let refused = |request: SignedRequest| {
        let refusal = house.keystore.admit(SOURCE, request).err().unwrap();
        assert!(matches!(refusal.error, Error::SignatureRefused));
        let problem = refusal.problem();
        (problem.code, problem.detail)
    };
    let time = now(&house);
    let secret = |byte| AccountSecret::from_bytes([byte; 32]);
    let good = signers[0].sign(time, &nonce());
    let mut answers = Vec::new();
    for account in [signers[0].account, AccountId::generate(), alice_id] {
        let stranger = Signer {
            account,
            secret: secret(7),
        };
        answers.push(refused(stranger.sign(time, &nonce())));
        // Not even the time of the appliance.
        answers.push(refused(stranger.sign(0, &nonce())));
    }
    // Another device's secret, and the all-zero one that strangers are held against.
    for secret in [signers[1].secret.clone(), secret(0)] {
        for account in [signers[0].account, AccountId::generate()] {
            let other = Signer {
                account,
                secret: secret.clone(),
            };
            answers.push(refused(other.sign(time, &nonce())));
        }
    }
    for altered in [
        SignedRequest {
            path: "/v1/keys/1".to_owned(),
            ..good.clone()
        },
        SignedRequest {
            method: "GET".to_owned(),
            ..good.clone()
        },
        SignedRequest {
            query: "limit=1".to_owned(),
            ..good.clone()
        },
        SignedRequest {
            content_digest: content_digest(b"{ }"),
            ..good.clone()
        },
    ] {
        answers.push(refused(altered));
    }
    set(
        &house,
        &house.admin,
        signers[1].account,
        DeviceState::Suspended,
    )
    .unwrap();
    answers.push(refused(signers[1].sign(time, &nonce())));
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    // What was refused spends no nonce.
    admit(&house, good).unwrap();

    // Whoever is suspended or revoked after the admission is out before the act.
    let admitted = signers[0].admitted(&house).unwrap();
    for state in [DeviceState::Suspended, DeviceState::Revoked] {
        set(&house, &house.admin, signers[0].account, state).unwrap();
        let refused = house.keystore.own_account(&admitted.presented).unwrap_err();
        assert!(matches!(refused.error, Error::NotSignedIn));
    }
}

fn nobody_else_gets_a_used_device_a_secret() {
    let house = House::new("secrets");
    let signer = device(&house, "SN-1");
    let id = signer.account;
    let alice = house.person("alice@example.com");
    assert!(matches!(
        issue(&house, &alice, id),
        Err(Error::NotPermitted(_))
    ));
    // Before its first request an administrator can, and what was handed out before is void.
    let second = issue(&house, &house.admin, id).unwrap();
    assert!(matches!(
        signer.admitted(&house).err(),
        Some(Error::SignatureRefused)
    ));
    let request = second.admitted(&house).unwrap();
    assert!(matches!(
        issue(&house, &house.admin, id),
        Err(Error::Conflict(_))
    ));
    // Nor by way of a suspension.
    set(&house, &house.admin, id, DeviceState::Suspended).unwrap();
    assert!(matches!(
        issue(&house, &house.admin, id),
        Err(Error::Conflict(_))
    ));
    set(&house, &house.admin, id, DeviceState::Active).unwrap();
    assert_eq!(state(&house, id), AccountState::Active);

    // It gets one itself. Until the new one is used, the old one counts: the answer may have been lost.
    let lost = issue(&house, &request, id).unwrap();
    let request = second.admitted(&house).unwrap();
    let third = issue(&house, &request, id).unwrap();
    assert!(lost.admitted(&house).is_err(), "void since the next one");
    second.admitted(&house).unwrap();
    third.admitted(&house).unwrap();
    assert!(second.admitted(&house).is_err(), "the new one was used");
    // A person has no secret, and nobody learns whom there is.
    let alice_id = house.keystore.own_account(&alice.presented).unwrap().id;
    assert!(matches!(
        issue(&house, &alice, alice_id),
        Err(Error::Invalid(_))
    ));
    assert!(matches!(
        issue(&house, &alice, AccountId::generate()),
        Err(Error::NotPermitted(_))
    ));
}

fn secrets_move_with_their_accounts_kek() {
    let house = House::new("device-kek");
    let signer = device(&house, "SN-1");
    let request = signer.admitted(&house).unwrap();
    let next = issue(&house, &request, signer.account).unwrap();
    house
        .keystore
        .rotate_account_kek(&house.admin.presented, signer.account)
        .unwrap();
    let status = house
        .keystore
        .rotation_status(&house.admin.presented)
        .unwrap();
    assert_eq!(status.accounts[0].left, 2, "both secrets are counted");
    signer.admitted(&house).unwrap();
    // One record a step.
    while house.keystore.reseal_some(1).unwrap() > 0 {}
    let status = house
        .keystore
        .rotation_status(&house.admin.presented)
        .unwrap();
    assert_eq!(status.accounts_under_way, 0);
    signer.admitted(&house).unwrap();
    next.admitted(&house).unwrap();
    assert!(signer.admitted(&house).is_err());
    let owner = house.person("alice");
    let paired = pair(&house, &owner, "lamp");
    house
        .keystore
        .rotate_account_kek(&owner.presented, paired.account)
        .err()
        .unwrap();
}

fn a_service_has_a_secret() {
    let house = House::new("service");
    let request = CreateAccount {
        name: "payroll".to_owned(),
        kind: AccountKind::Service,
        roles: Vec::new(),
        manager: None,
    };
    let service = house
        .keystore
        .create_account(&house.admin.presented, request)
        .unwrap()
        .account
        .id;
    let signer = issue(&house, &house.admin, service).unwrap();
    let request = signer.admitted(&house).unwrap();
    let own = house.keystore.own_account(&request.presented).unwrap();
    assert_eq!((own.id, own.state), (service, AccountState::Active));
    let next = issue(&house, &request, service).unwrap();
    next.admitted(&house).unwrap();
    assert!(signer.admitted(&house).is_err());
    assert!(matches!(
        issue(&house, &house.admin, service),
        Err(Error::Conflict(_))
    ));
    let suspend = UpdateAccount {
        state: Some(AccountState::Suspended),
        roles: None,
    };
    house
        .keystore
        .update_account(&house.admin.presented, service, suspend)
        .unwrap();
    assert!(next.admitted(&house).is_err());
}
