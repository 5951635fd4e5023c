//! A database with very much of everything, written by the store's own acts. No seal and no MAC in it is right.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use strongroom_approval::Decision;
use strongroom_audit::{Detail, Event};
use strongroom_keystore::domains::DomainSettings;
use strongroom_keystore::store::sqlite::SqliteStore;
use strongroom_keystore::store::{
    AccountKekRecord, AccountRecord, ApprovalRow, AuthorisationRow, DomainNumber, DomainRecord,
    GenerationRow, GrantRecord, KeyRecord, KeyTraits, ProposalRow, Store, StoreError, Transaction,
};
use strongroom_wire::account::{AccountKind, AccountState, Role};

use strongroom_wire::audit::Act;
use strongroom_wire::authorisation::AuthorisationState;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::{AccountId, AuthorisationId, GrantId, KeyId, ProposalId};
use strongroom_wire::key::{
    Algorithm, GrantState, KeyState, Origin, Protection, Releasable, Right, UsagePolicy,
};
use strongroom_wire::policy::DomainPolicy;
use strongroom_wire::proposal::ProposalState;

pub(crate) const DOMAIN: DomainNumber = 1;
/// Who holds every key.
pub(crate) const ALICE: AccountId = person(1);
/// Who sent one key in 100,000.
pub(crate) const BOB: AccountId = person(2);
/// To whom one key in 50,000 is.
pub(crate) const CAROL: AccountId = person(3);
/// Who entered every case.
pub(crate) const OFFICER: AccountId = person(4);
/// Who approved every case that is not the newest.
pub(crate) const APPROVER: AccountId = person(5);

/// How many rows are written at once.
const A_PIECE: u32 = 5000;
/// How many groups there are, each with a grant to one key in fifty.
const GROUPS: u32 = 10;

/// The time of the row of this number: one a minute.
pub(crate) fn moment(number: u32) -> Timestamp {
    Timestamp::from_millis(1_760_000_000_000 + u64::from(number) * 60_000)
}

/// One of the groups.
pub(crate) const fn group(number: u32) -> AccountId {
    person(100 + number)
}

/// The key of this number.
pub(crate) fn key(number: u32) -> KeyId {
    KeyId::from_bytes(identifier(number, 0))
}

const fn person(number: u32) -> AccountId {
    let [a, b, c, d] = number.to_be_bytes();
    AccountId::from_bytes([0x01, 0, 0, 0, 0, 0, 0x70, 0, 0x80, 0, 0, 0, a, b, c, d])
}

/// A `UUIDv7` of the row's time.
fn identifier(number: u32, more: u8) -> [u8; 16] {
    let mut id = [0; 16];
    id[..6].copy_from_slice(&moment(number).as_millis().to_be_bytes()[2..]);
    id[6] = 0x70;
    id[8] = 0x80;
    id[11] = more;
    id[12..].copy_from_slice(&number.to_be_bytes());
    id
}

/// Writes so many of everything.
pub(crate) fn fill(store: &SqliteStore, rows: u32) {
    act(store, |tx| {
        tx.create_domain(&domain())?;
        leaf(tx, 0, None)
    });
    in_pieces(store, rows, |tx, number| account(tx, number));
    act(store, |tx| {
        for number in 0..GROUPS {
            create(tx, group(number), &format!("group-{number}"), 2)?;
        }
        leaf(tx, 0, None)
    });
    in_pieces(store, rows, |tx, number| {
        create_key(tx, number)?;
        leaf(tx, number, Some(key(number)))
    });
    in_pieces(store, rows, move |tx, number| case(tx, number, rows));
    in_pieces(store, rows, move |tx, number| proposal(tx, number, rows));
}

/// Runs it and waits until it is durable.
fn act(
    store: &SqliteStore,
    run: impl FnOnce(&mut dyn Transaction) -> Result<(), StoreError> + Send + 'static,
) {
    let ran = Arc::new(AtomicBool::new(false));
    let done = ran.clone();
    let written = store.write(Box::new(move |tx| {
        run(tx).unwrap();
        done.store(true, Ordering::Release);
        Ok(())
    }));
    written.unwrap();
    assert!(ran.load(Ordering::Acquire), "the act was not run");
}

fn in_pieces(
    store: &SqliteStore,
    rows: u32,
    write: impl Fn(&mut dyn Transaction, u32) -> Result<(), StoreError> + Send + Sync + 'static,
) {
    let write = Arc::new(write);
    for first in (0..rows).step_by(A_PIECE as usize) {
        let write = write.clone();
        act(store, move |tx| {
            for number in first..(first + A_PIECE).min(rows) {
                write(tx, number)?;
            }
            // Rows that are written belong to a leaf.
            leaf(tx, first, None)
        });
    }
}

fn leaf(tx: &mut dyn Transaction, number: u32, key: Option<KeyId>) -> Result<(), StoreError> {
    let event = Event {
        time: moment(number),
        act: Act::KeyCreate,
        done: true,
        detail: Detail {
            actor: key.map(|_| ALICE),
            key,
            owner: key.map(|_| ALICE),
            ..Detail::default()
        },
    };
    tx.append_leaf(DOMAIN, event, [0; 32]).map(drop)
}

fn domain() -> DomainRecord {
    DomainRecord {
        number: DOMAIN,
        name: "example.com".to_owned(),
        origin: "example.com/strongroom".to_owned(),
        domain_key: Vec::new(),
        opaque_setup: Vec::new(),
        checkpoint_key: [0; 32],
        created: moment(0),
        policy: DomainPolicy::default(),
        settings: DomainSettings::default(),
        mac: [0; 32],
    }
}

fn account(tx: &mut dyn Transaction, number: u32) -> Result<(), StoreError> {
    // The groups have their identifiers.
    if (100..100 + GROUPS).contains(&number) {
        return Ok(());
    }
    let name = format!("person-{number:06}@example.com");
    create(tx, person(number), &name, 1)
}

fn create(tx: &mut dyn Transaction, id: AccountId, name: &str, what: u8) -> Result<(), StoreError> {
    let rare = name.ends_with("17@example.com") && name.starts_with("person-0000");
    let account = AccountRecord {
        id,
        domain: DOMAIN,
        name: name.to_owned(),
        kind: if what == 1 {
            AccountKind::Person
        } else {
            AccountKind::Group
        },
        state: if rare {
            AccountState::Suspended
        } else {
            AccountState::Active
        },
        roles: if rare {
            vec![Role::Auditor]
        } else {
            Vec::new()
        },
        kek_version: 1,
        oldest_kek_version: 1,
        created: moment(0),
        mac: [0; 32],
    };
    let kek = AccountKekRecord {
        account: id,
        version: 1,
        wrapped: vec![0; 45],
        mac: [0; 32],
    };
    tx.create_account(&account, &kek)
}

fn create_key(tx: &mut dyn Transaction, number: u32) -> Result<(), StoreError> {
    let id = key(number);
    let record = KeyRecord {
        id,
        domain: DOMAIN,
        owner: ALICE,
        sender: if number % 100_000 == 500 { BOB } else { ALICE },
        recipients: if number % 50_000 == 700 {
            vec![CAROL]
        } else {
            Vec::new()
        },
        algorithm: Algorithm::Aes256,
        state: if number % 100_000 == 900 {
            KeyState::Destroyed
        } else {
            KeyState::Active
        },
        label: format!("Report {number} of the series"),
        content_type: Some("application/pdf".to_owned()),
        version: 1,
        policy: UsagePolicy::default(),
        releases: 0,
        created: moment(number),
        traits: KeyTraits {
            length: None,
            releasable: Releasable::ByPolicy,
            origin: Origin::Generated,
            protection: Protection::Software,
            authenticate_each: false,
        },
        mac: [0; 32],
    };
    tx.create_key(&record)?;
    grant(tx, number, 1, ALICE)?;
    if number.is_multiple_of(5) {
        grant(tx, number, 2, group(number / 5 % GROUPS))?;
    }
    Ok(())
}

fn grant(
    tx: &mut dyn Transaction,
    number: u32,
    which: u8,
    grantee: AccountId,
) -> Result<(), StoreError> {
    let grant = GrantRecord {
        id: GrantId::from_bytes(identifier(number, which)),
        key: key(number),
        grantee,
        granted_by: ALICE,
        state: GrantState::Active,
        rights: vec![Right::Release],
        policy: UsagePolicy::default(),
        releases: 0,
        created: moment(number),
        mac: [0; 32],
    };
    tx.create_grant(&grant, &[])
}

/// The oldest case is cancelled, one in 100,000 is in effect, a thousand of the newest await approval, the rest have ended.
fn case(tx: &mut dyn Transaction, number: u32, rows: u32) -> Result<(), StoreError> {
    let id = AuthorisationId::from_bytes(identifier(number, 0));
    let awaits = number + 1000 >= rows;
    let state = match number {
        0 => AuthorisationState::Cancelled,
        _ if awaits => AuthorisationState::AwaitingApproval,
        _ if number % 100_000 == 100 => AuthorisationState::Approved,
        _ => AuthorisationState::Expired,
    };
    tx.put_authorisation(&AuthorisationRow {
        id,
        domain: DOMAIN,
        generation: 1,
        record: [0; 32],
        state,
        since: moment(number),
        resumes_to: None,
        reason: None,
        ratify_by: None,
        terminated: None,
        ends: moment(number + rows),
        mac: [0; 32],
    })?;
    tx.put_generation(&GenerationRow {
        authorisation: id,
        generation: 1,
        record: [0; 32],
        entered_by: OFFICER,
        entered: moment(number),
        mac: [0; 32],
    })?;
    if awaits && number + 20 >= rows {
        return Ok(());
    }
    tx.put_approval(&ApprovalRow {
        subject: *id.as_bytes(),
        generation: 1,
        account: APPROVER,
        decision: Decision::Approve,
        time: moment(number),
        valid_until: moment(number + rows),
        evidence: [0; 32],
        mac: [0; 32],
    })
}

/// All are over but the newest; one in 100,000 is for administrators, the rest for auditors.
fn proposal(tx: &mut dyn Transaction, number: u32, rows: u32) -> Result<(), StoreError> {
    tx.put_proposal(&ProposalRow {
        id: ProposalId::from_bytes(identifier(number, 0)),
        domain: DOMAIN,
        request: [0; 32],
        proposed_by: APPROVER,
        created: moment(number),
        expires: moment(number + 1000),
        count: 2,
        role: if number % 100_000 == 300 {
            Role::Administrator
        } else {
            Role::Auditor
        },
        state: if number + 10 >= rows {
            ProposalState::Open
        } else {
            ProposalState::Used
        },
        mac: [0; 32],
    })
}
