//! The scrub of a running appliance: nothing is found where people worked, and a row that was put back is found, told and recorded.

use std::process::Output;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use strongroom_tests::Appliance;
use strongroom_wire::account::{AccountKind, Role};
use strongroom_wire::audit::Act;

/// How long something in the background may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

fn scrub(appliance: &Appliance) -> (Output, Value) {
    let mut command = appliance.strongroomd();
    let output = command.args(["audit", "scrub", "--json"]).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(report["clean"], output.status.success());
    (output, report)
}

#[test]
#[expect(clippy::too_many_lines, reason = "one story, told in order")]
fn a_row_that_was_put_back_is_found_and_recorded() {
    let mut appliance = Appliance::start();
    let mut admin = appliance.administrator();
    let mut alice = appliance.person(&mut admin, "alice@example.com");
    let mut bob = appliance.person(&mut admin, "bob@example.com");
    let auditor = admin
        .create_account(
            "auditor@example.com",
            AccountKind::Person,
            &[Role::Auditor],
            None,
        )
        .unwrap();
    let password = appliance.password_of("auditor@example.com");
    appliance
        .api()
        .enrol(
            "auditor@example.com",
            &auditor.enrolment_code.unwrap(),
            &password,
        )
        .unwrap();
    let mut auditor = appliance.sign_in("auditor@example.com");
    let key = alice
        .create_key("report.pdf", &["bob@example.com"])
        .unwrap()
        .key
        .id;
    bob.release(key).unwrap();
    let (_, report) = scrub(&appliance);
    assert_eq!(report["clean"], true, "{report}");
    assert_eq!(report["from"], 0);
    assert!(report["rows"].as_u64().unwrap() > 10, "{report}");
    assert_eq!(appliance.api().health().unwrap().scrub_findings, 0);

    // Bob's grant as it was before it was revoked, with its right MAC, and its copy.
    let rows = appliance.database();
    for table in ["grants", "grant_copies"] {
        rows.execute_batch(&format!(
            "CREATE TEMP TABLE old_{table} AS SELECT * FROM main.{table}"
        ))
        .unwrap();
    }
    let bobs = alice.grants(key).unwrap().grants.pop().unwrap().id;
    alice.revoke(key, bobs).unwrap();
    assert!(bob.release(key).is_err());
    let (_, report) = scrub(&appliance);
    assert_eq!(report["clean"], true, "{report}");
    for table in ["grants", "grant_copies"] {
        rows.execute_batch(&format!(
            "INSERT OR REPLACE INTO main.{table} SELECT * FROM old_{table}"
        ))
        .unwrap();
    }
    // It grants what it granted then: nothing in the row says that it is old.
    bob.release(key).unwrap();

    let before = auditor.records_after(None).unwrap()[0].index;
    let (_, report) = scrub(&appliance);
    assert_eq!(report["count"], 2, "{report}");
    assert_eq!(report["told"], true, "{report}");
    let found: Vec<&str> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| finding["what"].as_str().unwrap())
        .collect();
    assert_eq!(found, ["grant", "sealed copy"]);
    assert!(
        report["findings"][0]["sentence"]
            .as_str()
            .unwrap()
            .contains(&bobs.to_string()),
        "{report}"
    );

    // The appliance finds it by itself, and says so everywhere.
    let started = Instant::now();
    while appliance.api().health().unwrap().scrub_findings != 2 {
        assert!(started.elapsed() < PATIENCE, "{}", appliance.status());
        thread::sleep(Duration::from_millis(50));
    }
    let records = auditor.records_after(Some(before)).unwrap();
    let record = records
        .iter()
        .find(|record| record.act == Act::AuditScrub)
        .unwrap();
    let note = record.note.as_deref().unwrap();
    assert!(
        note.starts_with("2 rows do not follow from the log of ")
            && note.contains(" leaves: grant "),
        "{note}"
    );
    assert!(
        appliance
            .metrics()
            .lines()
            .any(|line| line == "strongroom_scrub_findings 2")
    );
    let status = appliance.status();
    assert_eq!(status["watch"]["scrub"]["findings"], 2, "{status}");
    assert!(appliance.log().contains("do not follow from the log"));

    // Without an appliance that serves it is found as well, and nobody is told.
    appliance.stop();
    let (_, report) = scrub(&appliance);
    assert_eq!(
        (report["count"].as_u64(), report["told"].as_bool()),
        (Some(2), Some(false)),
        "{report}"
    );
    let mut command = appliance.strongroomd();
    let text = command.args(["audit", "scrub"]).output().unwrap();
    assert!(
        String::from_utf8_lossy(&text.stdout).contains("FOUND:   grant "),
        "{text:?}"
    );
}
