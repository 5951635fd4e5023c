//! Invitations, and the mail that goes with them.

use strongroom_keystore::{Error, MailContent};
use strongroom_wire::account::Role;
use strongroom_wire::audit::{Act, RecordQuery};
use strongroom_wire::id::AccountId;
use strongroom_wire::invitation::Invite;
use strongroom_wire::key::{ShareKey, UsagePolicy};

use crate::account_recovery::{ALICE, DAY, due, house};
use crate::house::{House, PASSWORD, Person, enrol, sign_in};

pub(crate) const TRIALS: &[(&str, fn())] = &[
    (
        "what_was_shared_with_an_address_opens_once_it_has_enrolled",
        what_was_shared_with_an_address_opens_once_it_has_enrolled,
    ),
    (
        "the_domains_policy_says_who_invites_whom",
        the_domains_policy_says_who_invites_whom,
    ),
    (
        "mail_is_tried_again_and_given_up",
        mail_is_tried_again_and_given_up,
    ),
];

fn invite(house: &House, person: &Person, address: &str) -> Result<AccountId, Error> {
    let request = Invite {
        address: address.to_owned(),
    };
    let invited = house.keystore.invite(&person.presented, request);
    invited
        .map(|invited| invited.account)
        .map_err(|refusal| refusal.error)
}

/// The code in the newest invitation.
fn mailed_code(house: &House, address: &str) -> String {
    let mut mail = due(house).into_iter().filter(|mail| mail.to == address);
    let mut newest = mail.next().unwrap();
    for mail in mail {
        newest = mail;
    }
    match newest.content {
        MailContent::Invitation { code, .. } => code,
        other => panic!("{other:?}"),
    }
}

fn what_was_shared_with_an_address_opens_once_it_has_enrolled() {
    let mut house = house("invited");
    let alice = house.person(ALICE);
    let (key, material) = house.key(&alice, &[]);
    let address = "carol@partner.example";
    let share = ShareKey {
        grantee: address.to_owned(),
        rights: None,
        policy: UsagePolicy::default(),
    };
    let unknown = house.keystore.share(&alice.presented, key, share.clone());
    assert!(matches!(
        unknown.unwrap_err().error,
        Error::AccountNotFound(_)
    ));
    let account = invite(&house, &alice, "Carol@Partner.example").unwrap();
    house.keystore.share(&alice.presented, key, share).unwrap();
    // The administrator can have it mailed again, and does not see it.
    let first = mailed_code(&house, address);
    let again = house
        .keystore
        .invite_account(&house.admin.presented, account)
        .unwrap();
    assert_eq!(again.enrolment_code, None);
    assert!(again.enrolment_expires.is_some());
    // The outbox survives a restart, and the code stands nowhere in the database.
    house.reopen();
    let code = mailed_code(&house, address);
    assert_ne!(code, first);
    for file in ["strongroom.db", "strongroom.db-wal"] {
        let bytes = std::fs::read(house.database().with_file_name(file)).unwrap();
        for code in [&first, &code] {
            assert!(
                !bytes
                    .windows(code.len())
                    .any(|part| part == code.as_bytes())
            );
        }
    }
    let refused = enrol(&house.keystore, address, &first, PASSWORD);
    assert!(matches!(refused, Err(Error::EnrolmentRefused)));
    enrol(&house.keystore, address, &code, PASSWORD).unwrap();
    let carol = sign_in(&house.keystore, address, PASSWORD).unwrap();
    assert_eq!(house.release(&carol, key).unwrap(), material);
    let taken = invite(&house, &alice, address);
    assert!(matches!(taken, Err(Error::AccountExists(_))));
}

fn the_domains_policy_says_who_invites_whom() {
    let house = house("invitations");
    let alice = house.person(ALICE);
    let stranger = house.person("mallory@elsewhere.example");
    for (person, address) in [
        (&stranger, "carol@partner.example"),
        (&alice, "carol@rival.example"),
        (&alice, "carol@partner.example.evil.example"),
    ] {
        let refused = invite(&house, person, address);
        assert!(matches!(refused, Err(Error::NotPermitted(_))), "{address}");
    }
    let refused = invite(&house, &alice, "*@partner.example@partner.example");
    assert!(matches!(refused, Err(Error::Invalid(_))));
    // Three a day, and inviting somebody again counts.
    invite(&house, &alice, "one@partner.example").unwrap();
    house.clock.advance(1);
    invite(&house, &alice, "two@partner.example").unwrap();
    house.clock.advance(1);
    invite(&house, &alice, "one@partner.example").unwrap();
    let refused = invite(&house, &alice, "three@partner.example");
    assert!(matches!(refused, Err(Error::InvitationsUsedUp(3))));
    house.clock.advance(DAY);
    let alice = sign_in(&house.keystore, ALICE, PASSWORD).unwrap();
    invite(&house, &alice, "three@partner.example").unwrap();
    // An account that an administrator made stays theirs to invite.
    house.clock.advance(1);
    let admin = sign_in(&house.keystore, "admin@example.com", PASSWORD).unwrap();
    let request = strongroom_wire::account::CreateAccount {
        name: "made@partner.example".to_owned(),
        kind: strongroom_wire::account::AccountKind::Person,
        roles: Vec::new(),
        manager: None,
    };
    house
        .keystore
        .create_account(&admin.presented, request)
        .unwrap();
    let refused = invite(&house, &alice, "made@partner.example");
    assert!(matches!(refused, Err(Error::AccountExists(_))));
    // The code lapses; the account can be invited again.
    let code = mailed_code(&house, "three@partner.example");
    house.clock.advance(7 * DAY);
    let refused = enrol(&house.keystore, "three@partner.example", &code, PASSWORD);
    assert!(matches!(refused, Err(Error::EnrolmentRefused)));
    let alice = sign_in(&house.keystore, ALICE, PASSWORD).unwrap();
    invite(&house, &alice, "three@partner.example").unwrap();
    let code = mailed_code(&house, "three@partner.example");
    enrol(&house.keystore, "three@partner.example", &code, PASSWORD).unwrap();
}

fn mail_is_tried_again_and_given_up() {
    let house = house("mail");
    let alice = house.person_with(ALICE, &[Role::Auditor]);
    invite(&house, &alice, "one@partner.example").unwrap();
    let mail = due(&house);
    assert_eq!(mail.len(), 1);
    house.keystore.mail_failed(mail[0].id, false).unwrap();
    assert!(due(&house).is_empty());
    house.clock.advance(60);
    assert_eq!(due(&house).len(), 1);
    house.keystore.mail_failed(mail[0].id, false).unwrap();
    house.clock.advance(60);
    assert!(due(&house).is_empty());
    house.clock.advance(60);
    assert_eq!(due(&house).len(), 1);
    house.keystore.mail_sent(mail[0].id).unwrap();
    assert!(due(&house).is_empty());
    // What the relay refuses for good, and what has waited until its code lapsed, is given up.
    invite(&house, &alice, "two@partner.example").unwrap();
    let mail = due(&house);
    house.keystore.mail_failed(mail[0].id, true).unwrap();
    assert!(due(&house).is_empty());
    invite(&house, &alice, "three@partner.example").unwrap();
    house.clock.advance(7 * DAY);
    assert!(due(&house).is_empty());
    let alice = sign_in(&house.keystore, ALICE, PASSWORD).unwrap();
    let records = house
        .keystore
        .records(&alice.presented, RecordQuery::default());
    let records = records.unwrap().records.into_iter();
    let sent: Vec<_> = records
        .filter(|record| record.act == Act::MailSend)
        .map(|record| (record.done, record.note))
        .collect();
    assert_eq!(
        sent,
        [
            (false, Some("lapsed".to_owned())),
            (false, Some("refused by the relay".to_owned())),
            (true, None),
        ]
    );
}
