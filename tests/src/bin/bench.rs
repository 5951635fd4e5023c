//! `cargo xtask bench`: what a request costs, side by side with a bare HTTPS endpoint on the same stack.
//!
//! One run starts a real appliance on `SoftHSM` and, in a process of its own, a bare endpoint: the same HTTP server with the same TLS
//! settings and the same certificate, which answers 204 and does nothing. The measurements take turns in short rounds, so
//! that whatever else the machine does meanwhile hits all of them alike. Connections are kept alive, one a thread.

#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a benchmark: what does not work here ends it"
)]

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use serde::Serialize;
use strongroom_tests::http::Connection;
use strongroom_tests::session::new_key;
use strongroom_tests::yardsticks::{BareEndpoint, serve_bare, sync_p50};
use strongroom_tests::{Appliance, Session};
use strongroom_wire::id::KeyId;
use strongroom_wire::key::{Algorithm, CreateKeys, NewKey};
use strongroom_wire::operation::{Mechanism, Operate, Operation, SignatureEncoding};

/// Measures a bare HTTPS endpoint, key release and key creation side by side.
#[derive(Debug, Parser)]
#[command(name = "bench")]
struct Arguments {
    /// How long each measurement runs, over all rounds together.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// In how many rounds the measurements take turns.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How many connections make requests at once.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=1024))]
    concurrency: u32,
    /// How many accounts share the connections.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1024))]
    accounts: u32,
    /// How many keys each account has that are released.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    keys: u32,
    /// Measure signatures by the appliance instead, with 1 client and with 16.
    #[arg(long, conflicts_with = "concurrency")]
    operations: bool,
    /// Print the figures as JSON.
    #[arg(long)]
    json: bool,
    /// Be the bare endpoint, with the certificate and key in this folder.
    #[arg(long, hide = true, value_name = "DIR")]
    bare_endpoint: Option<PathBuf>,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Bare,
    Release,
    Create,
    CreateAndRelease,
    SignP256,
    SignRsa2048,
    EncryptAesGcm,
}

impl Work {
    /// What keys cost that are released.
    const OF_KEYS: &[Self] = &[
        Self::Bare,
        Self::Release,
        Self::Create,
        Self::CreateAndRelease,
    ];
    /// What keys cost that stay.
    const OF_OPERATIONS: &[Self] = &[
        Self::Bare,
        Self::SignP256,
        Self::SignRsa2048,
        Self::EncryptAesGcm,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare HTTPS endpoint",
            Self::Release => "key release",
            Self::Create => "key creation",
            Self::CreateAndRelease => "key creation with release",
            Self::SignP256 => "P-256 signature",
            Self::SignRsa2048 => "RSA-2048 signature",
            Self::EncryptAesGcm => "AES-256-GCM of 1 KiB",
        }
    }
}

/// The figures of one measurement.
#[derive(Debug, Serialize)]
struct Figures {
    what: &'static str,
    requests: usize,
    requests_per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    /// Throughput as a part of the bare endpoint's in the same run.
    throughput_to_bare: f64,
    /// Median latency as a multiple of the bare endpoint's in the same run.
    p50_to_bare: f64,
}

/// The whole report.
#[derive(Debug, Serialize)]
struct Report {
    note: &'static str,
    cores: usize,
    concurrency: u32,
    seconds: u64,
    rounds: u32,
    accounts: u32,
    /// The median time that this disk takes to make 4 KiB durable: no request that is recorded can be answered faster.
    sync_p50_ms: f64,
    figures: Vec<Figures>,
}

const NOTE: &str =
    "Client and servers share the cores of this machine; a server on its own has more.";

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(folder) = &arguments.bare_endpoint {
        serve_bare(folder).expect("the bare endpoint serves");
        return ExitCode::SUCCESS;
    }
    let text = if arguments.operations {
        let reports = measure_operations(&arguments);
        if arguments.json {
            serde_json::to_string_pretty(&reports).unwrap() + "\n"
        } else {
            reports.iter().map(as_text).collect::<Vec<_>>().join("\n")
        }
    } else {
        let report = measure(&arguments, &Appliance::start(), Work::OF_KEYS);
        if arguments.json {
            serde_json::to_string_pretty(&report).unwrap() + "\n"
        } else {
            as_text(&report)
        }
    };
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// With one client, and with as many as make a server busy.
fn measure_operations(arguments: &Arguments) -> Vec<Report> {
    let of = |concurrency| Arguments {
        concurrency,
        keys: 1,
        bare_endpoint: None,
        ..*arguments
    };
    let measured = [1, 16].map(|concurrency| {
        let appliance = Appliance::start();
        measure(&of(concurrency), &appliance, Work::OF_OPERATIONS)
    });
    measured.into()
}

fn measure(arguments: &Arguments, appliance: &Appliance, works: &[Work]) -> Report {
    let bare = BareEndpoint::start(&appliance.data().join("tls"));
    let clients = Clients::prepare(arguments, appliance);
    let share = Duration::from_secs(arguments.seconds) / arguments.rounds;
    // Caches, connections and the processor's clock come up to speed before anything counts.
    for work in works {
        clients.round(*work, bare.address, share.min(Duration::from_millis(500)));
    }
    let mut latencies = vec![Vec::new(); works.len()];
    let mut elapsed = vec![Duration::ZERO; works.len()];
    for _ in 0..arguments.rounds {
        for (place, work) in works.iter().enumerate() {
            let (took, round) = clients.round(*work, bare.address, share);
            latencies[place].extend(round);
            elapsed[place] += took;
        }
    }
    let mut figures = Vec::new();
    for (place, work) in works.iter().enumerate() {
        latencies[place].sort_unstable();
        figures.push(figures_of(
            *work,
            &latencies[place],
            elapsed[place],
            figures.first(),
        ));
    }
    Report {
        note: NOTE,
        cores: thread::available_parallelism().map_or(1, usize::from),
        concurrency: arguments.concurrency,
        seconds: arguments.seconds,
        rounds: arguments.rounds,
        accounts: arguments.accounts,
        sync_p50_ms: sync_p50(&appliance.data()),
        figures,
    }
}

/// The figures of sorted latencies in microseconds.
fn figures_of(work: Work, latencies: &[u32], elapsed: Duration, bare: Option<&Figures>) -> Figures {
    assert!(
        !latencies.is_empty(),
        "{}: no request came back",
        work.name()
    );
    let at = |part: usize| {
        f64::from(latencies[(latencies.len() * part / 100).min(latencies.len() - 1)]) / 1000.0
    };
    let count = u32::try_from(latencies.len()).expect("fewer requests than that");
    let requests_per_second = f64::from(count) / elapsed.as_secs_f64();
    let p50_ms = at(50);
    Figures {
        what: work.name(),
        requests: latencies.len(),
        requests_per_second,
        p50_ms,
        p99_ms: at(99),
        throughput_to_bare: bare.map_or(1.0, |bare| requests_per_second / bare.requests_per_second),
        p50_to_bare: bare.map_or(1.0, |bare| p50_ms / bare.p50_ms),
    }
}

fn as_text(report: &Report) -> String {
    let mut text = format!(
        "{} connections, {} accounts, {} s each in {} rounds, {} cores; 4 KiB are durable after {:.2} ms (median)\n{}\n\n\
         {:<26} {:>10} {:>10} {:>10} {:>14} {:>12}\n",
        report.concurrency,
        report.accounts,
        report.seconds,
        report.rounds,
        report.cores,
        report.sync_p50_ms,
        report.note,
        "",
        "requests/s",
        "p50 ms",
        "p99 ms",
        "rate to bare",
        "p50 to bare",
    );
    for figures in &report.figures {
        text.push_str(&format_line(figures));
    }
    text
}

fn format_line(figures: &Figures) -> String {
    format!(
        "{:<26} {:>10.0} {:>10.2} {:>10.2} {:>13.1}% {:>11.1}x\n",
        figures.what,
        figures.requests_per_second,
        figures.p50_ms,
        figures.p99_ms,
        figures.throughput_to_bare * 100.0,
        figures.p50_to_bare,
    )
}

/// The keys of an account.
struct Keys {
    /// Those that are released.
    released: Vec<KeyId>,
    p256: KeyId,
    rsa2048: KeyId,
    aes256: KeyId,
}

/// The accounts, and the connections that they share.
struct Clients<'a> {
    appliance: &'a Appliance,
    accounts: Vec<(Session, Keys)>,
    concurrency: usize,
}

impl<'a> Clients<'a> {
    fn prepare(arguments: &Arguments, appliance: &'a Appliance) -> Self {
        let mut admin = appliance.administrator();
        let accounts = (0..arguments.accounts)
            .map(|number| {
                let mut session =
                    appliance.person(&mut admin, &format!("person-{number}@example.com"));
                let keys = (0..arguments.keys).map(|key| new_key(&format!("key {key}"), &[]));
                let request = CreateKeys {
                    keys: keys.collect(),
                    release: false,
                };
                let created = session
                    .create(&request)
                    .unwrap_or_else(|failed| panic!("{failed}"));
                let released = created.keys.iter().map(|created| created.key.id).collect();
                let stay = [Algorithm::EcP256, Algorithm::Rsa2048, Algorithm::Aes256];
                let request = CreateKeys {
                    keys: stay.map(NewKey::new).to_vec(),
                    release: false,
                };
                let stay = session.create(&request).unwrap().keys;
                let keys = Keys {
                    released,
                    p256: stay[0].key.id,
                    rsa2048: stay[1].key.id,
                    aes256: stay[2].key.id,
                };
                (session, keys)
            })
            .collect();
        Self {
            appliance,
            accounts,
            concurrency: arguments.concurrency as usize,
        }
    }

    /// Makes requests on all connections for so long: how long it took and the latencies in microseconds.
    fn round(&self, work: Work, bare: SocketAddr, share: Duration) -> (Duration, Vec<u32>) {
        let api = self.appliance.api();
        let address = if work == Work::Bare { bare } else { api.client };
        let (ready, over) = (
            std::sync::Barrier::new(self.concurrency + 1),
            AtomicBool::new(false),
        );
        thread::scope(|scope| {
            let threads: Vec<_> = (0..self.concurrency)
                .map(|number| {
                    let (session, keys) = &self.accounts[number % self.accounts.len()];
                    let (tls, ready, over) = (&api.tls, &ready, &over);
                    scope.spawn(move || {
                        let mut connection = Connection::open(address, tls).unwrap();
                        let requests = Requests::new(work, session, keys, number);
                        ready.wait();
                        requests.make(&mut connection, over)
                    })
                })
                .collect();
            ready.wait();
            let started = Instant::now();
            thread::sleep(share);
            over.store(true, Ordering::Relaxed);
            let all: Vec<u32> = threads
                .into_iter()
                .flat_map(|thread| thread.join().unwrap())
                .collect();
            (started.elapsed(), all)
        })
    }
}

/// What one connection sends.
struct Requests {
    method: &'static str,
    paths: Vec<String>,
    token: Option<String>,
    body: Option<Vec<u8>>,
    status: u16,
    first: usize,
}

impl Requests {
    fn new(work: Work, session: &Session, keys: &Keys, first: usize) -> Self {
        let token = Some(session.token.to_text());
        let create = |release| {
            let keys = vec![new_key("bench", &[])];
            serde_json::to_vec(&CreateKeys { keys, release }).unwrap()
        };
        let operate = |key: KeyId, operation| {
            let version = None;
            let body = serde_json::to_vec(&Operate { operation, version }).unwrap();
            let paths = vec![format!("/v1/keys/{key}/operations")];
            ("POST", paths, token.clone(), Some(body), 200)
        };
        let sign = |mechanism| Operation::Sign {
            mechanism,
            data: vec![7; 32].into(),
            prehashed: true,
            encoding: SignatureEncoding::Fixed,
            salt_length: None,
        };
        let (method, paths, token, body, status) = match work {
            Work::SignP256 => operate(keys.p256, sign(Mechanism::EcdsaSha256)),
            Work::SignRsa2048 => operate(keys.rsa2048, sign(Mechanism::RsaPkcs1Sha256)),
            Work::EncryptAesGcm => {
                let operation = Operation::Encrypt {
                    mechanism: Mechanism::AesGcm,
                    data: vec![7; 1024].into(),
                    iv: None,
                    associated_data: None,
                    tag_length: None,
                };
                operate(keys.aes256, operation)
            }
            Work::Bare => ("GET", vec!["/".to_owned()], None, None, 204),
            Work::Release => {
                let keys = keys.released.iter();
                let paths = keys.map(|key| format!("/v1/keys/{key}/release"));
                ("POST", paths.collect(), token, Some(b"{}".to_vec()), 200)
            }
            Work::Create | Work::CreateAndRelease => {
                let body = create(work == Work::CreateAndRelease);
                ("POST", vec!["/v1/keys".to_owned()], token, Some(body), 201)
            }
        };
        Self {
            method,
            paths,
            token,
            body,
            status,
            first,
        }
    }

    /// One request after the other until it is over; the latencies in microseconds.
    fn make(&self, connection: &mut Connection, over: &AtomicBool) -> Vec<u32> {
        let mut latencies = Vec::with_capacity(64 * 1024);
        let mut number = self.first;
        while !over.load(Ordering::Relaxed) {
            let path = &self.paths[number % self.paths.len()];
            let started = Instant::now();
            let response = connection
                .send(
                    self.method,
                    path,
                    self.token.as_deref(),
                    self.body.as_deref(),
                )
                .unwrap();
            let took = started.elapsed();
            assert_eq!(response.status, self.status, "{}", response.text());
            latencies.push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
            number += 1;
        }
        latencies
    }
}
