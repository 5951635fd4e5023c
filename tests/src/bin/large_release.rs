//! `cargo xtask bench --large-release`: how long others wait while a disclosure of thousands of items is released.
//!
//! Against a real appliance: somebody has a key released again and again, at first alone and then while a releaser releases the
//! disclosure. Both are measured in one run, so that whatever else the machine does hits them alike. A release has to have its leaf before it is answered, and
//! there is one writer: the longest wait is how long the disclosure holds it.

#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    reason = "a benchmark: what does not work here ends it"
)]

use std::fs;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use serde::Serialize;
use serde_json::json;
use strongroom_tests::session::new_key;
use strongroom_tests::{Appliance, Person, Session};
use strongroom_wire::account::Role;
use strongroom_wire::encoding::Base64;
use strongroom_wire::id::KeyId;
use strongroom_wire::key::CreateKeys;

/// How many keys are created with one request.
const AT_ONCE: u32 = 500;
const TARGET: &str = "eve@example.com";

/// Measures how long others wait while a disclosure of thousands of items is released.
#[derive(Debug, Parser)]
#[command(name = "large_release")]
struct Arguments {
    /// How many items are disclosed.
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    items: u32,
    /// How long the other releases are measured alone, in seconds.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Print the figures as JSON.
    #[arg(long)]
    json: bool,
}

/// How long releases of one key took.
#[derive(Debug, Serialize)]
struct Waits {
    releases: usize,
    p50_ms: f64,
    longest_ms: f64,
}

#[derive(Debug, Serialize)]
struct Report {
    items: u32,
    /// The releaser's request, from its beginning to its answer.
    released_ms: f64,
    alone: Waits,
    meanwhile: Waits,
    /// The longest wait meanwhile as a part of the disclosure's time: 1 where others wait for all of it.
    longest_to_released: f64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let report = measure(&arguments);
    let text = if arguments.json {
        serde_json::to_string_pretty(&report).unwrap() + "\n"
    } else {
        as_text(&report)
    };
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn as_text(report: &Report) -> String {
    let line = |what: &str, waits: &Waits| {
        format!(
            "{what:<24} {:>6} releases, median {:>8.1} ms, longest {:>8.1} ms\n",
            waits.releases, waits.p50_ms, waits.longest_ms
        )
    };
    format!(
        "{} items released in {:.0} ms\n{}{}longest wait to the disclosure's time: {:.2}\n",
        report.items,
        report.released_ms,
        line("somebody else, alone", &report.alone),
        line("somebody else, meanwhile", &report.meanwhile),
        report.longest_to_released
    )
}

fn measure(arguments: &Arguments) -> Report {
    let appliance = Appliance::start();
    let mut admin = appliance.administrator();
    let mut target = appliance.person(&mut admin, TARGET);
    let bob = "bob@example.com";
    drop(appliance.person(&mut admin, bob));
    for first in (0..arguments.items).step_by(AT_ONCE as usize) {
        let count = AT_ONCE.min(arguments.items - first);
        let keys = (0..count).map(|_| new_key("mail", &[bob])).collect();
        let created = target.create(&CreateKeys {
            keys,
            release: false,
        });
        assert_eq!(created.unwrap().keys.len(), count as usize);
    }
    let (releaser, disclosure) = executed(&appliance, &mut admin, arguments.items);

    let mut other = appliance.person(&mut admin, "carol@example.com");
    let key = other.create_key("her own", &[]).unwrap().key.id;
    let begun = Instant::now();
    let alone = releases(&mut other, key, &|| {
        begun.elapsed() >= Duration::from_secs(arguments.seconds)
    });
    let over = AtomicBool::new(false);
    let (released, meanwhile) = thread::scope(|scope| {
        let meanwhile = scope.spawn(|| releases(&mut other, key, &|| over.load(Ordering::Relaxed)));
        let begun = Instant::now();
        let done = releaser.json(&["case", "release", &disclosure]);
        let released = begun.elapsed();
        over.store(true, Ordering::Relaxed);
        assert_eq!(done["disclosure"]["items"], arguments.items);
        (released, meanwhile.join().unwrap())
    });
    let released_ms = released.as_secs_f64() * 1000.0;
    Report {
        items: arguments.items,
        released_ms,
        longest_to_released: meanwhile.longest_ms / released_ms,
        alone,
        meanwhile,
    }
}

/// A disclosure of all that the target has sent, and who may release it.
fn executed(appliance: &Appliance, admin: &mut Session, items: u32) -> (Person, String) {
    let mut officer = |name: &str, role| {
        let name = format!("{name}@example.com");
        Person::officer(appliance, admin, &name, role)
    };
    let carl = officer("carl", Role::CaseOfficer);
    let approvers = ["ruth", "ruben"].map(|name| officer(name, Role::LegalApprover));
    let erin = officer("erin", Role::Executor);
    let releaser = officer("rick", Role::Releaser);
    let agency = rcgen::generate_simple_self_signed(["agency".to_owned()]).unwrap();
    let always = json!({ "start": "2020-01-01T00:00:00Z", "end": "2090-01-01T00:00:00Z" });
    let order = json!({
        "reference": "GS 17/2027",
        "legal_type": "disclosure of stored content",
        "legal_basis": "StPO 269",
        "jurisdiction": "ZH",
        "country_code": "CH",
        "issuing_authority": "Staatsanwaltschaft",
        "timespan": always,
        "necessity": "Nothing milder leads there.",
        "proportionality": "All of it.",
        "agency_key": { "certificate": Base64(agency.cert.der().to_vec()) },
        "max_items": items,
        "tasks": [ { "reference": "1", "scope": { "messages": { "person": TARGET, "direction": "from", "window": always } } } ],
    });
    fs::write(carl.file("order.json"), order.to_string()).unwrap();
    fs::write(carl.file("warrant.txt"), "In the name of the law").unwrap();
    let entered = carl.json(&["case", "enter", "order.json", "--warrant", "warrant.txt"]);
    let case = entered["authorisation"]["id"].as_str().unwrap();
    for approver in &approvers {
        let approve = ["case", "approve", case, "--key", "key.pem"];
        let _ = approver.run(&approve).success();
    }
    let executed = erin.json(&["case", "execute", case]);
    let disclosure = executed["disclosure"]["id"].as_str().unwrap().to_owned();
    (releaser, disclosure)
}

/// Has the key released until it is over, at least once.
fn releases(session: &mut Session, key: KeyId, over: &dyn Fn() -> bool) -> Waits {
    let mut times = Vec::new();
    loop {
        let begun = Instant::now();
        let _ = session.release(key).unwrap();
        times.push(begun.elapsed().as_secs_f64() * 1000.0);
        if over() {
            break;
        }
    }
    times.sort_unstable_by(f64::total_cmp);
    Waits {
        releases: times.len(),
        p50_ms: times[times.len() / 2],
        longest_ms: times[times.len() - 1],
    }
}
