//! A full disk: what would have to be recorded is refused with a clear answer, what needs no record goes on, and all goes on when there is room.
//!
//! The disk is a real one of 40 MiB: a tmpfs, mounted in namespaces of the test's own, in which it runs a second time. Nobody else sees it, it needs no
//! right of root, and it goes with the process. It has a write error like any other file system: `write` answers ENOSPC.

use std::env;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use strongroom_tests::api::Listener;
use strongroom_tests::session::new_key;
use strongroom_tests::{Appliance, Failed};
use strongroom_wire::health::{State, Status};
use strongroom_wire::key::{CreateKeys, KeyPage};
use strongroom_wire::problem::Code;

/// Says to the second run that it is in its namespaces.
const INSIDE: &str = "STRONGROOM_TEST_FULL_DISK";
const PATIENCE: Duration = Duration::from_mins(2);

#[test]
fn a_full_disk_stops_what_has_to_be_recorded_and_nothing_else() {
    if env::var_os(INSIDE).is_some() {
        return on_a_small_disk();
    }
    let this = env::current_exe().unwrap();
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "--"])
        .arg(this)
        .args([
            "--exact",
            "full_disk::a_full_disk_stops_what_has_to_be_recorded_and_nothing_else",
            "--nocapture",
        ])
        .env(INSIDE, "1")
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("unshare (util-linux) cannot be run: {error}"));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[expect(clippy::too_many_lines, reason = "one story, told in order")]
fn on_a_small_disk() {
    let mut appliance = Appliance::new();
    // The whole data folder moves to the small disk.
    let data = appliance.data();
    let aside = data.with_file_name("aside");
    fs::rename(&data, &aside).unwrap();
    fs::create_dir(&data).unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=40m,mode=700", "tmpfs"])
        .arg(&data)
        .status()
        .unwrap();
    assert!(mounted.success());
    let copied = Command::new("cp")
        .arg("-a")
        .arg(aside.join("."))
        .arg(&data)
        .status()
        .unwrap();
    assert!(copied.success());
    appliance.serve();
    let mut admin = appliance.administrator();
    let mut alice = appliance.person(&mut admin, "alice@example.com");
    let key = alice.create_key("report.pdf", &[]).unwrap().key.id;
    let (_, material) = alice.release(key).unwrap();

    let hundred = CreateKeys {
        keys: (0..100)
            .map(|number| new_key(&format!("one of many: {number}"), &[]))
            .collect(),
        release: false,
    };
    for round in 0..2 {
        let filler = data.join("filler");
        fill(&filler);
        // The write-ahead log has room of its own for a while, and again whenever it was emptied into the database: until that cannot grow either.
        let started = Instant::now();
        let (mut released, mut last) = (0_u32, None);
        let (problem, health) = loop {
            assert!(
                started.elapsed() < PATIENCE,
                "it is never full: {released} releases, then {last:?}"
            );
            // Keys by the hundred, and then what is smaller.
            let filled = match alice.create(&hundred) {
                Ok(_) => continue,
                Err(Failed::Refused(_)) => alice.release(key),
                Err(broken) => panic!("{broken}"),
            };
            let problem = match filled {
                Err(Failed::Refused(refused)) => refused,
                Err(broken) => panic!("{broken}"),
                Ok(_) => {
                    released += 1;
                    continue;
                }
            };
            let health = appliance.api().health().unwrap();
            last = Some((problem.code, health.storage));
            if health.storage == Status::Failing {
                break (problem, health);
            }
        };
        assert_eq!(
            (problem.code, problem.status),
            (Code::StorageFull, 503),
            "{problem:?}"
        );
        assert!(
            problem.detail.contains("full") && problem.leaf.is_none(),
            "{problem:?}"
        );
        assert!(problem.retry_after.is_some());
        // Whatever would leave a leaf: nothing else is answered but that.
        assert_eq!(
            alice.create_key("another", &[]).unwrap_err().code(),
            Code::StorageFull
        );
        let refused = appliance.api().sign_in(
            "alice@example.com",
            &appliance.password_of("alice@example.com"),
        );
        assert_eq!(refused.map(drop).unwrap_err().code(), Code::StorageFull);
        // What needs no write goes on, at both listeners.
        let page: KeyPage = alice.get("/v1/keys").unwrap();
        assert!(!page.keys.is_empty());
        assert_eq!(alice.key(key).unwrap().id, key);
        let accounts = admin.send("GET", "/v1/accounts", None).unwrap();
        assert_eq!(accounts.status, 200);
        assert_eq!(
            (health.state, health.storage, health.status),
            (State::Serving, Status::Failing, Status::Failing)
        );
        assert!(
            appliance
                .metrics()
                .lines()
                .any(|line| line == "strongroom_storage_full 1")
        );
        let mut connection = appliance.api().connect(Listener::Client).unwrap();
        assert_eq!(
            connection
                .send("GET", "/v1/openapi.json", None, None)
                .unwrap()
                .status,
            200
        );
        assert!(
            appliance.log().contains("The disk is full"),
            "{}",
            appliance.log()
        );

        // There is room again: it goes on by itself.
        fs::remove_file(&filler).unwrap();
        let started = Instant::now();
        while appliance.api().health().unwrap().status != Status::Ok {
            assert!(started.elapsed() < PATIENCE, "round {round}");
            thread::sleep(Duration::from_millis(50));
        }
        let (_, again) = alice.release(key).unwrap();
        assert_eq!(*again, *material);
        alice.create_key(&format!("round {round}"), &[]).unwrap();
        assert!(
            appliance
                .metrics()
                .lines()
                .any(|line| line == "strongroom_storage_full 0")
        );
    }
    // It can be killed while it is full, too.
    fill(&data.join("filler"));
    let _ = alice.release(key);
    appliance.kill();
    fs::remove_file(data.join("filler")).unwrap();
    appliance.serve();
    let mut alice = alice.at(&appliance.api());
    alice.release(key).unwrap();
    appliance.stop();
    assert_eq!(appliance.verify_audit()["verified"], true);
    let unmounted = Command::new("umount").arg(&data).status().unwrap();
    assert!(unmounted.success());
}

/// Writes a file until there is no room for a byte more.
fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    for size in [1024 * 1024, 4096, 1] {
        let bytes = vec![0x55; size];
        while file.write_all(&bytes).is_ok() {}
    }
}
