//! Many domains on one appliance: making them, starting with them, and the memory that they take. 1,000 in the long version.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use strongroom_tests::accounts::ADMINISTRATOR;
use strongroom_tests::{Appliance, long};
use strongroom_wire::account::Account;

/// The memory that the appliance has in use, in KiB.
fn memory(appliance: &Appliance) -> u64 {
    let status = format!("/proc/{}/status", appliance.pid().as_raw_nonzero());
    let text = fs::read_to_string(status).unwrap();
    let line = text
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn create(appliance: &Appliance, name: &str) -> serde_json::Value {
    let command = ["create", name, "--admin-account", ADMINISTRATOR];
    appliance.domain(&command).unwrap()
}

#[test]
fn many_domains_cost_little() {
    let count: usize = if long() { 1000 } else { 50 };
    let mut appliance = Appliance::new();
    appliance.configure("[domains]\nopen = 16");
    let alone = Instant::now();
    appliance.serve();
    let alone = alone.elapsed();
    let memory_alone = memory(&appliance);

    let making = Instant::now();
    let mut codes = Vec::new();
    for number in 0..count {
        let name = format!("tenant-{number}");
        let made = create(&appliance, &name);
        codes.push(made["enrolment_code"].as_str().unwrap().to_owned());
    }
    let making = making.elapsed();
    let listing = Instant::now();
    let list = appliance.domain(&["list"]).unwrap();
    let listing = listing.elapsed();
    assert_eq!(list.as_array().unwrap().len(), count + 1);

    appliance.stop();
    let starting = Instant::now();
    appliance.serve();
    let starting = starting.elapsed();
    let memory_at_start = memory(&appliance);
    assert!(
        starting < alone + Duration::from_secs(2),
        "{starting:?} with {count} domains, {alone:?} alone"
    );

    // Every domain answers, and no more are open than there may be.
    let password = appliance.password_of(ADMINISTRATOR);
    let visiting = Instant::now();
    for (number, code) in codes.iter().enumerate() {
        let api = appliance.api().in_domain(&format!("tenant-{number}"));
        if number % 10 == 0 {
            api.enrol(ADMINISTRATOR, code, &password).unwrap();
            let mut admin = api.sign_in(ADMINISTRATOR, &password).unwrap();
            let account: Account = admin.get("/v1/accounts/me").unwrap();
            assert_eq!(account.name, ADMINISTRATOR);
        } else {
            api.ask::<serde_json::Value>("GET", "/v1/openapi.json", None::<&()>)
                .unwrap();
        }
    }
    let visiting = visiting.elapsed();
    thread::sleep(Duration::from_millis(2500));
    let list = appliance.domain(&["list"]).unwrap();
    let open = list
        .as_array()
        .unwrap()
        .iter()
        .filter(|domain| domain["open"] == true)
        .count();
    assert!(open <= 1 + 16 + 1, "{open} are open");
    let memory_after = memory(&appliance);
    // What a closed domain costs is an entry in a list.
    let most = memory_alone + 100 * 1024;
    assert!(
        memory_at_start.max(memory_after) < most,
        "{memory_alone} KiB alone, {memory_at_start} at the start with {count} domains, {memory_after} after all were used"
    );
    // Shown with --nocapture, for the record.
    std::io::Write::write_all(
        &mut std::io::stderr(),
        format!(
            "{count} domains: made in {making:?}, listed with counts in {listing:?}; start in {starting:?} ({alone:?} with one); \
             each asked once in {visiting:?}; memory {memory_alone} KiB with one, {memory_at_start} KiB at the start, {memory_after} KiB \
             with {open} open\n"
        )
        .as_bytes(),
    )
    .unwrap();
    let health = appliance.api().health().unwrap();
    assert_eq!(health.failing_domains, 0);
    appliance.stop();
}
