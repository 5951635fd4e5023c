//! Rotation against rows that are put back as they were, or damaged.

use rusqlite::{Connection, params};
use strongroom_hsm::{MasterKekId, WrappedKey};
use strongroom_keystore::Error;
use strongroom_wire::account::{AddMember, Membership};
use strongroom_wire::audit::{Act, RecordQuery};
use strongroom_wire::key::CreateKeys;

use crate::house::{House, new_key};

use crate::rotation::{finish, group, id_of, share_with, status};

pub(crate) const TRIALS: &[(&str, fn())] = &[
    (
        "an_old_kek_put_back_grants_nothing",
        an_old_kek_put_back_grants_nothing,
    ),
    (
        "what_a_retired_master_kek_wrapped_counts_no_more",
        what_a_retired_master_kek_wrapped_counts_no_more,
    ),
    (
        "a_removed_member_put_back_opens_nothing",
        a_removed_member_put_back_opens_nothing,
    ),
    (
        "a_damaged_record_keeps_its_rotation_from_ending",
        a_damaged_record_keeps_its_rotation_from_ending,
    ),
];

fn an_old_kek_put_back_grants_nothing() {
    let house = House::new("put-back");
    let [alice, bob] = ["alice", "bob"].map(|name| house.person(name));
    let (key, material) = house.key(&alice, &[&bob]);
    let bob_id = id_of(&house, &bob);
    let rows = Connection::open(house.database()).unwrap();
    let old_kek: (Vec<u8>, Vec<u8>) = rows
        .query_row(
            "SELECT wrapped, mac FROM account_keks WHERE account = ?1",
            [bob_id.as_bytes()],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    let (grant, old_copy): (Vec<u8>, Vec<u8>) = rows
        .query_row(
            "SELECT g.id, c.sealed FROM grants g JOIN grant_copies c ON c.grant_id = g.id WHERE g.grantee = ?1",
            [bob_id.as_bytes()],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();

    house
        .keystore
        .rotate_account_kek(&bob.presented, bob_id)
        .unwrap();
    finish(&house, 10);
    let versions: Vec<u32> = rows
        .prepare("SELECT version FROM account_keks WHERE account = ?1")
        .unwrap()
        .query_map([bob_id.as_bytes()], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(versions, [2], "the old version is gone");
    assert_eq!(house.release(&bob, key).unwrap(), material);

    // Somebody who has an old copy of the database puts both rows back: the KEK, and what it sealed.
    let put_back_kek = || {
        rows.execute(
            "INSERT INTO account_keks (account, version, wrapped, mac) VALUES (?1, 1, ?2, ?3)",
            params![bob_id.as_bytes(), old_kek.0, old_kek.1],
        )
        .unwrap();
    };
    put_back_kek();
    let new_copy: Vec<u8> = rows
        .query_row(
            "SELECT sealed FROM grant_copies WHERE grant_id = ?1",
            [&grant],
            |row| row.get(0),
        )
        .unwrap();
    let copy = |version: u32, sealed: &[u8]| {
        rows.execute(
            "UPDATE grant_copies SET kek_version = ?2, sealed = ?3 WHERE grant_id = ?1",
            params![grant, version, sealed],
        )
        .unwrap();
    };
    copy(1, &old_copy);
    let refused = house.release(&bob, key);
    assert!(
        matches!(refused, Err(Error::Integrity("account KEK"))),
        "{refused:?}"
    );
    // Nor does a rotation launder it.
    house
        .keystore
        .rotate_account_kek(&bob.presented, bob_id)
        .unwrap();
    finish(&house, 10);
    assert!(matches!(house.release(&bob, key), Err(Error::Integrity(_))));
    copy(2, &new_copy);
    assert!(matches!(house.release(&bob, key), Err(Error::Integrity(_))));
}

fn what_a_retired_master_kek_wrapped_counts_no_more() {
    let house = House::new("retired");
    let alice = house.person("alice");
    let (key, _) = house.key(&alice, &[]);
    let alice_id = id_of(&house, &alice);
    let rows = Connection::open(house.database()).unwrap();
    house
        .keystore
        .rotate_account_kek(&alice.presented, alice_id)
        .unwrap();
    finish(&house, 10);
    // A stray version of an account's KEK is cleared away, and does not hold up the rotation.
    rows.execute(
        "INSERT INTO account_keks SELECT account, 1, wrapped, mac FROM account_keks WHERE account = ?1",
        [alice_id.as_bytes()],
    )
    .unwrap();
    let admin = &house.admin.presented;
    house.keystore.rotate_master_kek(admin).unwrap();
    finish(&house, 10);
    let strays: u32 = rows
        .query_row(
            "SELECT count(*) FROM account_keks WHERE account = ?1 AND version < 2",
            [alice_id.as_bytes()],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(strays, 0);
    // An old wrapping put back is refused, although the HSM could still unwrap it; and it is not destroyed under it.
    let wrapped: Vec<u8> = rows
        .query_row(
            "SELECT wrapped FROM account_keks WHERE account = ?1",
            [alice_id.as_bytes()],
            |row| row.get(0),
        )
        .unwrap();
    house.keystore.rewrap_some(1).unwrap();
    house.keystore.retire_master_kek(admin, 1).unwrap();
    let master = MasterKekId {
        domain: "default".to_owned(),
        version: 1,
    };
    let new = WrappedKey::from_bytes(&wrapped).unwrap();
    let kek = house.hsm.unwrap("default", &new).unwrap();
    let old = house.hsm.wrap(&master, &kek).unwrap();
    let put = |wrapped: &[u8]| {
        rows.execute(
            "UPDATE account_keks SET wrapped = ?2 WHERE account = ?1",
            params![alice_id.as_bytes(), wrapped],
        )
        .unwrap();
    };
    put(&old.to_bytes());
    house.keystore.wipe();
    let refused = house.release(&alice, key);
    assert!(
        matches!(refused, Err(Error::Integrity("account KEK"))),
        "{refused:?}"
    );
    let destroyed = house.keystore.destroy_master_kek(admin, 1);
    assert!(matches!(destroyed.unwrap_err().error, Error::Conflict(_)));
    put(&wrapped);
    house.release(&alice, key).unwrap();
    house.keystore.destroy_master_kek(admin, 1).unwrap();
}

fn a_removed_member_put_back_opens_nothing() {
    let house = House::new("ex-member");
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| house.person(name));
    let team = group(&house, &alice, &[&bob, &carol]);
    let (key, material) = house.key(&alice, &[]);
    share_with(&house, &alice, key, "team");
    assert_eq!(house.release(&carol, key).unwrap(), material);
    let carol_id = id_of(&house, &carol);
    let rows = Connection::open(house.database()).unwrap();
    rows.execute_batch("CREATE TEMP TABLE kept AS SELECT * FROM memberships")
        .unwrap();
    house
        .keystore
        .remove_member(&alice.presented, team, carol_id)
        .unwrap();
    assert!(matches!(
        house.release(&carol, key),
        Err(Error::KeyNotFound)
    ));
    // The removal has begun a rotation. Half-way, members reach what has moved and what has not, and managers add members.
    house.keystore.reseal_some(1).unwrap();
    assert_eq!(house.release(&bob, key).unwrap(), material);
    let dave = house.person("dave");
    let request = AddMember {
        account: "dave".to_owned(),
        membership: Membership::Member,
    };
    house
        .keystore
        .add_member(&alice.presented, team, request)
        .unwrap();
    assert_eq!(house.release(&dave, key).unwrap(), material);
    finish(&house, 1);
    assert_eq!(house.release(&bob, key).unwrap(), material);
    rows.execute(
        "INSERT INTO memberships SELECT * FROM temp.kept WHERE member = ?1",
        [carol_id.as_bytes()],
    )
    .unwrap();
    let refused = house.release(&carol, key);
    assert!(
        matches!(refused, Err(Error::Integrity("membership"))),
        "{refused:?}"
    );
    assert_eq!(house.release(&dave, key).unwrap(), material);
}

fn a_damaged_record_keeps_its_rotation_from_ending() {
    let mut house = House::new("rotten");
    let alice = house.person("alice");
    let keys: Vec<_> = (0..6).map(|_| house.key(&alice, &[])).collect();
    let alice_id = id_of(&house, &alice);
    let rows = Connection::open(house.database()).unwrap();
    let flip = || {
        // One bit of one copy; twice is as if nothing had been.
        let (grant, mut sealed): (Vec<u8>, Vec<u8>) = rows
            .query_row(
                "SELECT grant_id, sealed FROM grant_copies ORDER BY grant_id LIMIT 1 OFFSET 3",
                [],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .unwrap();
        sealed[20] ^= 1;
        rows.execute(
            "UPDATE grant_copies SET sealed = ?2 WHERE grant_id = ?1",
            params![grant, sealed],
        )
        .unwrap();
    };
    flip();
    house
        .keystore
        .rotate_account_kek(&alice.presented, alice_id)
        .unwrap();
    let until_nothing_moves = |house: &House| while house.keystore.reseal_some(2).unwrap() > 0 {};
    until_nothing_moves(&house);
    let stuck = status(&house);
    assert_eq!((stuck.accounts[0].left, stuck.accounts_under_way), (1, 1));
    assert_eq!(house.keystore.reseal_some(2).unwrap(), 0, "it waits");
    assert_eq!(status(&house).damaged, 1);
    assert_eq!(house.keystore.statistics().unwrap().rotation_damage, 1);
    let opened = keys
        .iter()
        .filter(|(key, material)| {
            house
                .release(&alice, *key)
                .is_ok_and(|found| found == *material)
        })
        .count();
    assert_eq!(opened, 5);
    let records = house
        .keystore
        .records(&alice.presented, RecordQuery::default())
        .unwrap()
        .records;
    let refused = records
        .iter()
        .filter(|record| record.act == Act::AccountKekResealed && !record.done)
        .count();
    assert_eq!(refused, 1, "logged once");
    // The row comes back from a backup; the old KEK is still there to open it.
    flip();
    house.reopen();
    finish(&house, 2);
    for (key, material) in &keys {
        assert_eq!(house.release(&alice, *key).unwrap(), *material);
    }
    let request = CreateKeys {
        keys: vec![new_key("after")],
        release: true,
    };
    house
        .keystore
        .create_keys(&alice.presented, request)
        .unwrap();
}
