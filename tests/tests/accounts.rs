//! Groups, roles and suspended accounts: who may act for whom, and who may not although they manage accounts.

use strongroom_tests::{Failed, Session};
use strongroom_wire::account::{
    Account, AccountKind, AccountPage, AccountState, AddMember, ChangedAccount, Done, GroupMembers,
    Membership, Role, UpdateAccount,
};
use strongroom_wire::id::AccountId;
use strongroom_wire::problem::Code;

use crate::people::{Scene, assert_refused, scene};

fn add(
    session: &mut Session,
    group: AccountId,
    account: &str,
    membership: Membership,
) -> Result<Done, Failed> {
    let request = AddMember {
        account: account.to_owned(),
        membership,
    };
    session.ask("PUT", &format!("/v1/groups/{group}/members"), &request)
}

fn remove(session: &mut Session, group: AccountId, member: &Account) -> Result<Done, Failed> {
    session.delete(&format!("/v1/groups/{group}/members/{}", member.id))
}

#[test]
fn a_group_opens_for_its_members_as_long_as_they_are_members() {
    let Scene {
        mut appliance,
        mut admin,
        mut alice,
        mut bob,
    } = scene();
    let mut carol = appliance.person(&mut admin, "carol@example.com");
    let group = admin
        .create_account("surgery", AccountKind::Group, &[], Some("bob@example.com"))
        .unwrap();
    assert_eq!(group.enrolment_code, None);
    let group = group.account.id;

    let key = alice
        .create_key("for the group", &["surgery"])
        .unwrap()
        .key
        .id;
    let (_, of_alice) = alice.release(key).unwrap();
    let (_, of_bob) = bob.release(key).unwrap();
    assert_eq!(of_alice, of_bob);
    assert_refused(carol.release(key), Code::KeyNotFound);

    // The administrator made the group and is no member: they can neither open nor add anybody, not even themselves.
    assert_refused(admin.release(key), Code::KeyNotFound);
    for account in ["admin@example.com", "carol@example.com"] {
        assert_refused(
            add(&mut admin, group, account, Membership::Manager),
            Code::NotPermitted,
        );
    }
    let members: Result<GroupMembers, _> = admin.get(&format!("/v1/groups/{group}/members"));
    assert_eq!(members.unwrap_err().code(), Code::NotPermitted);

    add(&mut bob, group, "carol@example.com", Membership::Member).unwrap();
    let (_, of_carol) = carol.release(key).unwrap();
    assert_eq!(of_carol, of_alice);
    // A member is no manager.
    assert_refused(
        add(&mut carol, group, "admin@example.com", Membership::Member),
        Code::NotPermitted,
    );
    assert_refused(
        remove(&mut carol, group, &bob.account.clone()),
        Code::NotPermitted,
    );
    let members: GroupMembers = carol.get(&format!("/v1/groups/{group}/members")).unwrap();
    let names: Vec<_> = members
        .members
        .iter()
        .map(|member| (member.name.as_str(), member.membership))
        .collect();
    assert_eq!(
        names,
        [
            ("bob@example.com", Membership::Manager),
            ("carol@example.com", Membership::Member)
        ]
    );

    // A rotated key is sealed for the group anew.
    alice.rotate(key).unwrap();
    let (second, _) = carol.release(key).unwrap();
    assert_eq!(second.version, 2);

    remove(&mut bob, group, &carol.account.clone()).unwrap();
    assert_refused(carol.release(key), Code::KeyNotFound);
    appliance.restart();
    let (mut carol, mut bob) = (carol.at(&appliance.api()), bob.at(&appliance.api()));
    assert_refused(carol.release(key), Code::KeyNotFound);
    bob.release(key).unwrap();
    // The last manager stays.
    let bobs_account = bob.account.clone();
    assert_refused(remove(&mut bob, group, &bobs_account), Code::Conflict);
    // Nobody signs in as a group.
    let as_group = appliance.api().sign_in("surgery", "any password").map(drop);
    assert_eq!(as_group.unwrap_err().code(), Code::SignInRefused);
}

#[test]
fn roles_decide_over_accounts_and_the_audit_log() {
    let Scene {
        appliance,
        mut admin,
        mut alice,
        mut bob,
    } = scene();
    let created = admin
        .create_account(
            "auditor@example.com",
            AccountKind::Person,
            &[Role::Auditor],
            None,
        )
        .unwrap();
    appliance
        .api()
        .enrol(
            "auditor@example.com",
            &created.enrolment_code.unwrap(),
            &appliance.password_of("auditor@example.com"),
        )
        .unwrap();
    let mut auditor = appliance.sign_in("auditor@example.com");

    // Only administrators manage accounts.
    for session in [&mut alice, &mut auditor] {
        let refused = session.create_account("eve@example.com", AccountKind::Person, &[], None);
        assert_refused(refused, Code::NotPermitted);
        let page: Result<AccountPage, _> = session.get("/v1/accounts");
        assert_eq!(page.unwrap_err().code(), Code::NotPermitted);
        let own = session.account.id;
        let raise = UpdateAccount {
            state: None,
            roles: Some(vec![Role::Administrator]),
        };
        let raised: Result<ChangedAccount, _> =
            session.ask("PATCH", &format!("/v1/accounts/{own}"), &raise);
        assert_refused(raised, Code::NotPermitted);
    }
    // Nobody audits themselves.
    let both = admin.create_account(
        "both@example.com",
        AccountKind::Person,
        &[Role::Administrator, Role::Auditor],
        None,
    );
    assert_eq!(both.map(drop).unwrap_err().code(), Code::Conflict);

    // Owners see what concerns them; auditors see all; administrators see no more by being that.
    let key = alice.create_key("audited", &[]).unwrap();
    let sees = |session: &mut Session| {
        let records = session.records_after(None).unwrap();
        records.iter().any(|record| record.index == key.leaf)
    };
    assert!(sees(&mut alice) && sees(&mut auditor));
    assert!(!sees(&mut bob) && !sees(&mut admin));
    let bobs = bob.records_after(None).unwrap();
    let concerned = |record: &strongroom_wire::audit::Record| {
        [record.actor, record.subject, record.owner].contains(&Some(bob.account.id))
    };
    assert!(!bobs.is_empty() && bobs.iter().all(concerned));
    // The auditor sees every leaf there is, and no key.
    let all = auditor.records_after(None).unwrap();
    let newest = all[0].index;
    assert_eq!(u64::try_from(all.len()).unwrap(), newest + 1);
    assert_refused(auditor.release(key.key.id), Code::KeyNotFound);
    assert_refused(admin.release(key.key.id), Code::KeyNotFound);
}

#[test]
fn a_suspended_account_is_out_at_once_and_its_grants_wait() {
    let Scene {
        appliance,
        mut admin,
        mut alice,
        mut bob,
    } = scene();
    let key = alice
        .create_key("waits", &["bob@example.com"])
        .unwrap()
        .key
        .id;
    bob.release(key).unwrap();
    let change = |admin: &mut Session, account: AccountId, state| {
        let update = UpdateAccount {
            state: Some(state),
            roles: None,
        };
        admin.ask::<ChangedAccount>("PATCH", &format!("/v1/accounts/{account}"), &update)
    };
    change(&mut admin, bob.account.id, AccountState::Suspended).unwrap();
    assert_eq!(bob.release(key).unwrap_err().code(), Code::NotSignedIn);
    let again = appliance
        .api()
        .sign_in("bob@example.com", &appliance.password_of("bob@example.com"));
    assert_eq!(again.map(drop).unwrap_err().code(), Code::SignInRefused);
    change(&mut admin, bob.account.id, AccountState::Active).unwrap();
    // The old session is gone for good.
    assert_eq!(bob.release(key).unwrap_err().code(), Code::NotSignedIn);
    appliance.sign_in("bob@example.com").release(key).unwrap();
    // The last administrator cannot be suspended, nor lose the role.
    let own = admin.account.id;
    let last = change(&mut admin, own, AccountState::Suspended);
    assert_refused(last, Code::Conflict);
}
