//! Master KEK and account KEKs are rotated while people create and release keys: nobody notices, and what the old versions
//! wrapped opens under the new ones once those are gone.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use strongroom_tests::{Appliance, Session};
use strongroom_wire::account::Account;
use strongroom_wire::id::KeyId;
use strongroom_wire::rotation::{
    ChangedMasterKek, MasterKekState, RotatedAccountKek, RotationStatus,
};
use zeroize::Zeroizing;

/// People who create and release keys at once.
const PEOPLE: usize = 4;

#[test]
fn both_rotations_go_unnoticed() {
    // Nothing cached: every use of a KEK asks for it, whatever the rotations are doing.
    let mut appliance = Appliance::start_with("[keystore]\nkek_cache_ttl = 0\nrotation_rate = 200");
    let mut admin = appliance.administrator();
    let mut people: Vec<Session> = (0..PEOPLE)
        .map(|number| appliance.person(&mut admin, &format!("person-{number}@example.com")))
        .collect();
    let before: Vec<Vec<(KeyId, Zeroizing<Vec<u8>>)>> = people
        .iter_mut()
        .map(|person| (0..20).map(|_| create(person)).collect())
        .collect();
    let accounts: Vec<Account> = people
        .iter_mut()
        .map(|person| person.get("/v1/accounts/me").unwrap())
        .collect();

    let over = AtomicBool::new(false);
    let served = thread::scope(|scope| {
        let threads: Vec<_> = people
            .iter_mut()
            .map(|person| scope.spawn(|| use_keys(person, &over)))
            .collect();
        // Whatever becomes of the rotations, the others stop.
        let rotated = catch_unwind(AssertUnwindSafe(|| {
            rotate_everything(&mut admin, &accounts);
        }));
        over.store(true, Ordering::Relaxed);
        if let Err(panic) = rotated {
            resume_unwind(panic);
        }
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum::<u64>()
    });
    assert!(served > 100, "only {served} requests were served meanwhile");

    let open_all = |people: &mut [Session]| {
        for (person, keys) in people.iter_mut().zip(&before) {
            for (key, material) in keys {
                assert_eq!(&person.release(*key).unwrap().1, material);
            }
        }
    };
    open_all(&mut people);
    appliance.restart();
    let api = appliance.api();
    let mut people: Vec<Session> = people.iter().map(|person| person.at(&api)).collect();
    open_all(&mut people);
    let report = appliance.verify_audit();
    assert_eq!(report["verified"], true, "{report}");
}

/// A new master KEK, a new KEK for every account, and the end of the old master KEK.
fn rotate_everything(admin: &mut Session, accounts: &[Account]) {
    let new: ChangedMasterKek = admin
        .ask("POST", "/v1/master-kek/rotate", &serde_json::json!({}))
        .unwrap();
    assert_eq!(new.version, 2);
    for account in accounts {
        let path = format!("/v1/accounts/{}/kek/rotate", account.id);
        let rotated: RotatedAccountKek = admin.ask("POST", &path, &serde_json::json!({})).unwrap();
        assert_eq!(rotated.version, 2);
    }
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let status: RotationStatus = admin.get("/v1/rotation").unwrap();
        assert_eq!(status.damaged, 0);
        if status.left == 0 && status.accounts_under_way == 0 {
            break;
        }
        assert!(Instant::now() < deadline, "{status:?}");
        thread::sleep(Duration::from_millis(50));
    }
    let path = "/v1/master-kek/1/retire";
    let retired: ChangedMasterKek = admin.ask("POST", path, &serde_json::json!({})).unwrap();
    assert_eq!(retired.version, 1);
    let destroyed: ChangedMasterKek = admin.delete("/v1/master-kek/1").unwrap();
    assert_eq!(destroyed.version, 1);
    let status: RotationStatus = admin.get("/v1/rotation").unwrap();
    let newest = status
        .master_keks
        .iter()
        .find(|kek| kek.state == MasterKekState::Newest);
    assert_eq!(newest.map(|kek| kek.version), Some(2), "{status:?}");
}

/// Creates and releases keys until it is over, and says how often. Not one request may fail.
fn use_keys(person: &mut Session, over: &AtomicBool) -> u64 {
    let mut served = 0;
    while !over.load(Ordering::Relaxed) {
        let (key, material) = create(person);
        assert_eq!(person.release(key).unwrap().1, material);
        served += 2;
    }
    served
}

/// A new key and its material.
fn create(person: &mut Session) -> (KeyId, Zeroizing<Vec<u8>>) {
    let key = person.create_key("under way", &[]).unwrap().key.id;
    let (_, material) = person.release(key).unwrap();
    (key, material)
}
