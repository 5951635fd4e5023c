//! The log as a site's SIEM receives it: every leaf, in order, whoever is away or hangs meanwhile.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use sha2::Digest as _;
use strongroom_tests::{Appliance, Syslog};

/// How long something in the background may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

fn wait_until(what: &str, appliance: &Appliance, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(
            started.elapsed() < PATIENCE,
            "{what}: {}",
            appliance.status()
        );
        thread::sleep(Duration::from_millis(100));
    }
}

/// The value of a parameter of a message's structured data.
fn parameter<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = message.split_once(&format!(" {name}=\""))?;
    rest.split_once('"').map(|(value, _)| value)
}

/// The messages by the index of their leaf; a repeated one has to be the same.
fn by_index(syslog: &Syslog) -> BTreeMap<u64, String> {
    let mut received = BTreeMap::new();
    for message in syslog.messages() {
        let index = parameter(&message, "index").unwrap_or_else(|| panic!("{message}"));
        let before = received.insert(index.parse().unwrap(), message.clone());
        assert!(before.is_none_or(|before| before == message), "{message}");
    }
    received
}

/// How many leaves the appliance's log has.
fn leaves(appliance: &Appliance) -> u64 {
    let rows = appliance.database();
    rows.query_row("SELECT count(*) FROM leaves", [], |row| {
        row.get::<_, i64>(0)
    })
    .unwrap()
    .try_into()
    .unwrap()
}

fn whole(syslog: &Syslog, leaves: u64) -> bool {
    let received = by_index(syslog);
    received.len() as u64 == leaves && received.keys().copied().eq(0..leaves)
}

#[test]
fn every_leaf_arrives_whoever_is_away_meanwhile() {
    let mut syslog = Syslog::new();
    syslog.start();
    let appliance = Appliance::start_with(&syslog.setting("soc", "rfc5424"));
    let mut admin = appliance.administrator();
    let mut alice = appliance.person(&mut admin, "alice@example.com");
    let key = alice.create_key("report.pdf", &[]).unwrap().key.id;
    alice.release(key).unwrap();
    wait_until("all arrives", &appliance, || {
        whole(&syslog, leaves(&appliance))
    });

    let received = by_index(&syslog);
    let release = received
        .values()
        .find(|message| message.contains(" key.release "))
        .unwrap();
    // <facility 13, informational>, version 1.
    assert!(release.starts_with("<110>1 20"), "{release}");
    assert_eq!(parameter(release, "key"), Some(key.to_string().as_str()));
    assert_eq!(parameter(release, "done"), Some("true"));
    let hash = parameter(release, "hash").unwrap();
    let index: i64 = parameter(release, "index").unwrap().parse().unwrap();
    let envelope: Vec<u8> = appliance
        .database()
        .query_row(
            "SELECT envelope FROM leaves WHERE idx = ?1",
            [index],
            |row| row.get(0),
        )
        .unwrap();
    let expected = sha2::Sha256::new()
        .chain_update([0])
        .chain_update(&envelope)
        .finalize();
    assert_eq!(hash, hex::encode(expected));

    // The receiver dies in the middle of a load, and again; nothing is missing when it is back.
    for round in 0..3 {
        syslog.kill();
        for number in 0..30 {
            let key = alice
                .create_key(&format!("{round}-{number}"), &[])
                .unwrap()
                .key
                .id;
            alice.release(key).unwrap();
        }
        wait_until("it is seen to be away", &appliance, || {
            appliance.api().health().unwrap().failing_receivers == 1
        });
        assert!(
            appliance
                .metrics()
                .contains(r#"strongroom_siem_up{place="1"} 0"#)
        );
        syslog.start();
        wait_until("the rest arrives", &appliance, || {
            whole(&syslog, leaves(&appliance))
        });
    }
    wait_until("it works again", &appliance, || {
        let status = appliance.status();
        let feed = &status["watch"]["siem"][0];
        feed["failing"].is_null() && feed["behind"] == 0
    });
}

#[test]
fn a_killed_appliance_goes_on_where_it_was() {
    let mut syslog = Syslog::new();
    let mut appliance = Appliance::start_with(&syslog.setting("soc", "cef"));
    let mut admin = appliance.administrator();
    let mut alice = appliance.person(&mut admin, "alice@example.com");
    for number in 0..200 {
        alice.create_key(&format!("key {number}"), &[]).unwrap();
    }
    syslog.start();
    thread::sleep(Duration::from_millis(700));
    appliance.kill();
    appliance.serve();
    let indexes = |syslog: &Syslog| {
        let mut found: Vec<u64> = syslog
            .messages()
            .iter()
            .map(|message| {
                let (_, rest) = message
                    .split_once("|externalId=")
                    .unwrap_or_else(|| panic!("{message}"));
                rest.split(' ').next().unwrap().parse().unwrap()
            })
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    };
    wait_until("all arrives", &appliance, || {
        indexes(&syslog).into_iter().eq(0..leaves(&appliance))
    });
    let message = syslog.messages().pop().unwrap();
    assert!(
        message.contains(" - CEF:0|Strongroom|strongroomd|"),
        "{message}"
    );
}

#[test]
fn a_receiver_that_hangs_delays_no_request() {
    // It takes connections, and nothing that comes by them.
    let hung = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let syslog = Syslog::new();
    let setting = syslog.setting("hung", "rfc5424");
    let port = hung.local_addr().unwrap().port();
    let (before, after) = setting.split_once("127.0.0.1:").unwrap();
    let after = after.split_once('"').unwrap().1;
    let mut appliance = Appliance::start_with(&format!("{before}127.0.0.1:{port}\"{after}"));
    let mut admin = appliance.administrator();
    let mut alice = appliance.person(&mut admin, "alice@example.com");
    let key = alice.create_key("report.pdf", &[]).unwrap().key.id;
    let mut slowest = Duration::ZERO;
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(12) {
        let asked = Instant::now();
        alice.release(key).unwrap();
        slowest = slowest.max(asked.elapsed());
    }
    // The feed waits for five seconds at a time.
    assert!(slowest < Duration::from_secs(4), "{slowest:?}");
    wait_until("it is seen to hang", &appliance, || {
        appliance.api().health().unwrap().failing_receivers == 1
    });
    let status = appliance.status();
    assert_eq!(status["watch"]["siem"][0]["leaves"], 0, "{status}");
    // Stopping waits no longer than one such step.
    let started = Instant::now();
    appliance.stop();
    assert!(
        started.elapsed() < Duration::from_secs(20),
        "{:?}",
        started.elapsed()
    );
    drop(hung);
}
