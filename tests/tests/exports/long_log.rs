//! A log of a million leaves, or in the usual run of some thousands: it streams, in memory that does not grow with it.

use std::fs;
use std::time::Instant;

use rusqlite::{Connection, params};
use strongroom_audit::{Detail, Event, Hash, Leaf, RightEdge};
use strongroom_tests::{Appliance, Person, long};
use strongroom_wire::account::{AccountKind, Role};
use strongroom_wire::audit::Act;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::{AccountId, KeyId};

use super::{AUDITOR, in_python, number};

/// Writes this many leaves behind those of a log, as the appliance would have, in a database that nobody has open.
fn fill(database: &mut Connection, leaves: u64) {
    let domain: u32 = database
        .query_row("SELECT number FROM domains", [], |row| row.get(0))
        .unwrap();
    let envelopes: Vec<Vec<u8>> = database
        .prepare("SELECT envelope FROM leaves ORDER BY idx")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let start = envelopes.len() as u64;
    let hashes: Vec<Hash> = envelopes
        .into_iter()
        .map(|envelope| {
            let leaf = Leaf {
                envelope,
                salt: [0; 32],
                detail: Vec::new(),
            };
            leaf.hash()
        })
        .collect();
    let mut edge = RightEdge::empty();
    let _ = edge.append(&hashes);
    let transaction = database.transaction().unwrap();
    {
        let mut leaf_row = transaction
            .prepare("INSERT INTO leaves (domain, idx, envelope, salt, detail) VALUES (?1, ?2, ?3, ?4, ?5)")
            .unwrap();
        let mut node_row = transaction
            .prepare("INSERT INTO tree_nodes (domain, idx, hash) VALUES (?1, ?2, ?3)")
            .unwrap();
        for index in start..start + leaves {
            let id = |seed: u64| {
                let mut bytes = [7; 16];
                bytes[8..].copy_from_slice(&seed.to_be_bytes());
                bytes
            };
            let event = Event {
                // Each a minute after the one before: two years of a busy site.
                time: Timestamp::from_millis(1_735_000_000_000 + 60_000 * index),
                act: Act::KeyRelease,
                done: !index.is_multiple_of(50),
                detail: Detail {
                    actor: Some(AccountId::from_bytes(id(index % 5000))),
                    source: Some("192.0.2.7".parse().unwrap()),
                    key: Some(KeyId::from_bytes(id(index))),
                    key_version: Some(1),
                    owner: Some(AccountId::from_bytes(id(index % 1000))),
                    ..Detail::default()
                },
            };
            let mut salt = [0; 32];
            getrandom::fill(&mut salt).unwrap();
            let leaf = Leaf::seal(&event, salt);
            leaf_row
                .execute(params![
                    domain,
                    index.cast_signed(),
                    leaf.envelope,
                    leaf.salt,
                    leaf.detail
                ])
                .unwrap();
            for (node, hash) in edge.append(&[leaf.hash()]) {
                node_row
                    .execute(params![domain, node.cast_signed(), hash.0])
                    .unwrap();
            }
        }
    }
    transaction.commit().unwrap();
}

/// The peak of a process's resident memory in KiB since it was last asked for.
fn peak_kib(appliance: &Appliance) -> u64 {
    let process = format!("/proc/{}", appliance.pid().as_raw_nonzero());
    let status = fs::read_to_string(format!("{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let peak = line.unwrap().split_whitespace().nth(1).unwrap();
    // 5: begin anew.
    fs::write(format!("{process}/clear_refs"), "5").unwrap();
    peak.parse().unwrap()
}

#[test]
fn a_long_log_takes_no_more_memory_than_a_short_one() {
    let (short, many) = if long() {
        (10_000, 990_000)
    } else {
        (2000, 78_000)
    };
    let mut appliance = Appliance::start();
    let mut admin = appliance.administrator();
    let created = admin
        .create_account(AUDITOR, AccountKind::Person, &[Role::Auditor], None)
        .unwrap();
    let auditor = Person::new(&appliance, AUDITOR);
    let _ = auditor.enrol(&created.enrolment_code.unwrap()).success();
    let _ = auditor.login().success();
    let mut peaks = Vec::new();
    for (name, leaves) in [("short.bundle", short), ("long.bundle", many)] {
        appliance.stop();
        fill(&mut appliance.database(), leaves);
        appliance.serve();
        let _ = auditor.login().success();
        let _ = peak_kib(&appliance);
        let started = Instant::now();
        let words = [
            "audit",
            "export",
            name,
            "--csv",
            &format!("{name}.csv"),
            "--json",
        ];
        let exported = auditor.run(&words).success();
        let took = started.elapsed();
        let (server, client) = (peak_kib(&appliance), exported.peak_kib);
        let report = exported.json();
        assert_eq!(report["verified"], true, "{report}");
        assert_eq!(number(&report, "records"), number(&report, "size"));
        let records = number(&report, "records");
        let rows = fs::read_to_string(auditor.file(&format!("{name}.csv"))).unwrap();
        assert_eq!(rows.lines().count() as u64, records + 1);
        let bytes = number(&report, "bytes");
        println!(
            "{records} leaves, {} MB in {took:.1?}: the appliance had at most {} MB, the client {} MB",
            bytes / 1_000_000,
            server / 1024,
            client / 1024
        );
        let key = report["verifier_key"].as_str().unwrap();
        let started = Instant::now();
        let verified = auditor
            .run(&["audit", "verify", name, "--verifier-key", key])
            .success();
        println!(
            "verified in {:.1?} with {} MB",
            started.elapsed(),
            verified.peak_kib / 1024
        );
        let started = Instant::now();
        assert_eq!(in_python(&auditor, &[name, "--verifier-key", key]).0, 0);
        println!("verified in Python in {:.1?}", started.elapsed());
        peaks.push((server, client, verified.peak_kib, bytes / 1024));
    }
    let [short, long] = peaks[..] else {
        unreachable!()
    };
    // The long one is larger than all that the memory may have grown by: the page caches of the database's connections, 2 MB each, fill
    // whatever is read.
    let more = 16 * 1024;
    assert!(long.3 > short.3 + more, "{peaks:?}");
    assert!(long.0 < short.0 + more, "the appliance: {peaks:?}");
    assert!(long.1 < short.1 + more, "the client: {peaks:?}");
    assert!(long.2 < short.2 + more, "the verifier: {peaks:?}");
    appliance.stop();
}
