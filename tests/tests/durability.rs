//! The appliance is killed in mid-load, again and again: what it acknowledged is there, and what it released has its leaf.
//!
//! Ten rounds; a hundred where `STRONGROOM_LONG` is set.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use strongroom_tests::session::new_key;
use strongroom_tests::{Api, Appliance, Failed, Session, long};
use strongroom_wire::account::{AccountKind, Role};
use strongroom_wire::audit::{Act, Record};
use strongroom_wire::id::{AccountId, KeyId};
use strongroom_wire::key::CreateKeys;
use zeroize::Zeroizing;

/// People who create and release keys at once.
const PEOPLE: usize = 6;

/// What the appliance acknowledged.
#[derive(Default)]
struct Acknowledged {
    keys: Vec<AcknowledgedKey>,
    /// Releases: the leaf, the key, who got it.
    releases: Vec<(u64, KeyId, AccountId)>,
}

struct AcknowledgedKey {
    id: KeyId,
    owner: usize,
    account: AccountId,
    leaf: u64,
    /// The material, where it was released.
    material: Option<Zeroizing<Vec<u8>>>,
}

#[test]
fn what_was_acknowledged_survives_kill_after_kill() {
    let mut appliance = Appliance::start();
    let mut admin = appliance.administrator();
    let mut people: Vec<Session> = (0..PEOPLE)
        .map(|number| appliance.person(&mut admin, &format!("person-{number}@example.com")))
        .collect();
    let auditor = admin
        .create_account(
            "auditor@example.com",
            AccountKind::Person,
            &[Role::Auditor],
            None,
        )
        .unwrap();
    let password = appliance.password_of("auditor@example.com");
    let code = auditor.enrolment_code.unwrap();
    appliance
        .api()
        .enrol("auditor@example.com", &code, &password)
        .unwrap();
    let mut auditor = appliance.sign_in("auditor@example.com");

    let acknowledged = Mutex::new(Acknowledged::default());
    let rounds = if long() { 100 } else { 10 };
    let mut checked = Progress::default();
    for round in 0..rounds {
        load_until_killed(&mut appliance, &people, &acknowledged, round);
        appliance.serve();
        let api = appliance.api();
        for person in &mut people {
            *person = person.at(&api);
        }
        auditor = auditor.at(&api);

        let mut acknowledged = acknowledged.lock().unwrap();
        let new = acknowledged.keys.len() - checked.keys;
        assert!(new > PEOPLE, "round {round}: only {new} keys");
        check_records(&mut auditor, &acknowledged, &mut checked);
        check_keys(&mut people, &mut acknowledged.keys[checked.keys..]);
        checked.keys = acknowledged.keys.len();
        drop(acknowledged);
        let report = appliance.verify_audit();
        assert_eq!(report["verified"], true, "round {round}: {report}");
    }

    // All of them once more, also those of the first rounds, after an orderly restart.
    let mut acknowledged = acknowledged.into_inner().unwrap();
    appliance.restart();
    let api = appliance.api();
    let mut people: Vec<Session> = people.iter().map(|person| person.at(&api)).collect();
    check_records(
        &mut auditor.at(&api),
        &acknowledged,
        &mut Progress::default(),
    );
    check_keys(&mut people, &mut acknowledged.keys);
    appliance.stop();
    let report = appliance.verify_audit();
    assert_eq!(report["verified"], true, "{report}");
    // Stopped in good order, the last checkpoint covers every leaf.
    assert_eq!(report["newest_checkpoint_size"], report["leaves"]);
    if long() {
        // Whoever waited so long may want to know for what; not captured by the test harness.
        let (keys, releases) = (acknowledged.keys.len(), acknowledged.releases.len());
        let text = format!(
            "{rounds} kills; {keys} keys and {releases} releases were acknowledged, {} leaves verified\n",
            report["leaves"]
        );
        io::stderr().write_all(text.as_bytes()).unwrap();
    }
}

/// How much of what was acknowledged has been checked, and how many leaves have been read for it.
#[derive(Default)]
struct Progress {
    keys: usize,
    releases: usize,
    leaves: u64,
}

/// Everybody works; after a while, another one each round, the appliance is killed.
fn load_until_killed(
    appliance: &mut Appliance,
    people: &[Session],
    acknowledged: &Mutex<Acknowledged>,
    round: usize,
) {
    let api = appliance.api();
    let killed = AtomicBool::new(false);
    thread::scope(|scope| {
        for (number, person) in people.iter().enumerate() {
            let (api, killed) = (&api, &killed);
            scope.spawn(move || work(number, &person.at(api), api, acknowledged, killed));
        }
        let pause = 60 + u64::try_from(round * 37 % 200).unwrap();
        thread::sleep(Duration::from_millis(pause));
        killed.store(true, Ordering::Release);
        appliance.kill();
    });
}

/// Creates keys, some several at once and some with their release, and releases what was created; remembers what was acknowledged.
fn work(
    number: usize,
    session: &Session,
    api: &Api,
    acknowledged: &Mutex<Acknowledged>,
    killed: &AtomicBool,
) {
    let mut session = session.at(api);
    let mut own: Vec<KeyId> = Vec::new();
    for request in 0.. {
        let outcome = if request % 3 == 2 && !own.is_empty() {
            release(&mut session, own[request % own.len()], acknowledged)
        } else {
            create(&mut session, number, request, acknowledged).map(|created| own.extend(created))
        };
        match outcome {
            Ok(()) => {}
            Err(Failed::Broken(error)) => {
                assert!(
                    killed.load(Ordering::Acquire),
                    "hung up before it was killed: {error}"
                );
                return;
            }
            Err(Failed::Refused(problem)) => {
                panic!("refused: {}: {}", problem.code, problem.detail)
            }
        }
    }
}

fn create(
    session: &mut Session,
    number: usize,
    request: usize,
    acknowledged: &Mutex<Acknowledged>,
) -> Result<Vec<KeyId>, Failed> {
    let count = [1, 1, 4][request % 3];
    let keys: Vec<_> = (0..count)
        .map(|n| new_key(&format!("{number}/{request}/{n}"), &[]))
        .collect();
    let release = request.is_multiple_of(2);
    let created = session.create(&CreateKeys { keys, release })?;
    let account = session.account.id;
    let mut acknowledged = acknowledged.lock().unwrap();
    let mut ids = Vec::new();
    for created in created.keys {
        let id = created.key.id;
        ids.push(id);
        assert_eq!(created.material.is_some(), release);
        let material = created.material.map(|material| {
            acknowledged.releases.push((material.leaf, id, account));
            session.unwrap(&material)
        });
        acknowledged.keys.push(AcknowledgedKey {
            id,
            owner: number,
            account,
            leaf: created.leaf,
            material,
        });
    }
    Ok(ids)
}

fn release(
    session: &mut Session,
    key: KeyId,
    acknowledged: &Mutex<Acknowledged>,
) -> Result<(), Failed> {
    let (material, _) = session.release(key)?;
    let release = (material.leaf, key, session.account.id);
    acknowledged.lock().unwrap().releases.push(release);
    Ok(())
}

/// The leaves follow each other without a gap, and each that was acknowledged says what it was acknowledged for.
fn check_records(auditor: &mut Session, acknowledged: &Acknowledged, checked: &mut Progress) {
    let records: BTreeMap<u64, Record> = auditor
        .records_after(checked.leaves.checked_sub(1))
        .unwrap()
        .into_iter()
        .map(|record| (record.index, record))
        .collect();
    let size = checked.leaves + u64::try_from(records.len()).unwrap();
    assert!(
        records.keys().copied().eq(checked.leaves..size),
        "leaves are missing"
    );
    let check = |index: u64, act: Act, key: KeyId, actor: AccountId| {
        let record = records
            .get(&index)
            .unwrap_or_else(|| panic!("leaf {index} is gone: {act} of {key}"));
        assert!(record.done, "{record:?}");
        assert_eq!(
            (record.act, record.key, record.actor),
            (act, Some(key), Some(actor)),
            "leaf {index}"
        );
    };
    for (leaf, key, actor) in &acknowledged.releases[checked.releases..] {
        check(*leaf, Act::KeyRelease, *key, *actor);
    }
    for key in &acknowledged.keys[checked.keys..] {
        check(key.leaf, Act::KeyCreate, key.id, key.account);
    }
    checked.releases = acknowledged.releases.len();
    checked.leaves = size;
}

/// Every key that was acknowledged is there and releases the same material as before.
fn check_keys(people: &mut [Session], keys: &mut [AcknowledgedKey]) {
    thread::scope(|scope| {
        let mut by_owner: Vec<Vec<&mut AcknowledgedKey>> =
            people.iter().map(|_| Vec::new()).collect();
        for key in keys {
            by_owner[key.owner].push(key);
        }
        for (person, keys) in people.iter_mut().zip(by_owner) {
            scope.spawn(move || {
                for key in keys {
                    let (_, material) = person.release(key.id).unwrap();
                    match &key.material {
                        Some(before) => assert_eq!(before, &material, "{}", key.id),
                        None => key.material = Some(material),
                    }
                }
            });
        }
    });
}
