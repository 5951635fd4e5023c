//! `cargo xtask bench --sign-in-timing`: whether the time that a sign-in takes tells which accounts exist.
//!
//! Against a real appliance, with passwords that are wrong: accounts that exist and names that do not take turns in random order, on one
//! connection. For each of the two requests of a sign-in the two distributions are held against each other by the two-sample
//! Kolmogorov-Smirnov test: its statistic is how much better than by chance an onlooker could tell them apart by one look at
//! the clock. Beside it stands the same between two accounts that both exist: what chance alone does.

#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    reason = "a benchmark: what does not work here ends it"
)]

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use serde::Serialize;
use strongroom_session::opaque_ke::ClientLogin;
use strongroom_session::{OsRng, Suite};
use strongroom_tests::Appliance;
use strongroom_tests::api::Listener;
use strongroom_tests::http::Connection;
use strongroom_wire::session::{FinishSignIn, SignInStarted, StartSignIn};

/// Measures whether the time of a sign-in tells which accounts exist.
#[derive(Debug, Parser)]
#[command(name = "sign_in_timing")]
struct Arguments {
    /// How many sign-ins of each kind are tried.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(100..=30_000))]
    tries: u32,
    /// Print the figures as JSON.
    #[arg(long)]
    json: bool,
}

/// Whose name a sign-in names. All names have the same length.
#[derive(Debug, Clone, Copy)]
enum Whose {
    Known,
    OtherKnown,
    Unknown,
}

/// What the clock said of one of the two requests.
#[derive(Debug, Serialize)]
struct Figures {
    request: &'static str,
    known_p50_us: f64,
    unknown_p50_us: f64,
    /// Between accounts that exist and names that do not: 0 is alike, 1 is told apart at one look.
    statistic: f64,
    /// Between two accounts that both exist.
    chance: f64,
}

/// The whole report.
#[derive(Debug, Serialize)]
struct Report {
    tries: u32,
    /// What the statistic exceeds by chance once in a hundred times where the distributions are the same.
    critical: f64,
    figures: Vec<Figures>,
    separate: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let report = measure(arguments.tries);
    let text = if arguments.json {
        serde_json::to_string_pretty(&report).unwrap() + "\n"
    } else {
        as_text(&report)
    };
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) if !report.separate => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn measure(tries: u32) -> Report {
    // What is measured is the work of a sign-in, not the slowing down of those who fail.
    let appliance =
        Appliance::start_with("[limits]\naccount_failures = 100000\naddress_failures = 100000\n");
    let mut administrator = appliance.administrator();
    // Their sessions stay open, as an account's usually are.
    let _people = ["known-a@example.com", "known-b@example.com"]
        .map(|account| appliance.person(&mut administrator, account));
    let mut connection = appliance.api().connect(Listener::Client).unwrap();
    let mut times: [[Vec<Duration>; 3]; 2] = Default::default();
    // The first ones warm caches up and do not count.
    for round in 0..tries + tries / 20 {
        for whose in shuffled() {
            let took = sign_in(&mut connection, whose);
            if round >= tries / 20 {
                for (request, took) in took.into_iter().enumerate() {
                    times[request][whose as usize].push(took);
                }
            }
        }
    }
    let critical = 1.628 * (2.0 / f64::from(tries)).sqrt();
    let figures: Vec<Figures> = ["start", "finish"]
        .into_iter()
        .zip(times)
        .map(|(request, mut times)| {
            for times in &mut times {
                times.sort_unstable();
            }
            let [known, other, unknown] = times;
            Figures {
                request,
                known_p50_us: median(&known),
                unknown_p50_us: median(&unknown),
                statistic: statistic(&known, &unknown),
                chance: statistic(&known, &other),
            }
        })
        .collect();
    Report {
        tries,
        critical,
        separate: figures.iter().any(|figures| figures.statistic > critical),
        figures,
    }
}

/// Tries a wrong password and says how long each of the two requests took.
fn sign_in(connection: &mut Connection, whose: Whose) -> [Duration; 2] {
    let account = match whose {
        Whose::Known => "known-a@example.com".to_owned(),
        Whose::OtherKnown => "known-b@example.com".to_owned(),
        Whose::Unknown => format!("{}@example.com", hex::encode(random::<4>()).split_at(7).0),
    };
    let login = ClientLogin::<Suite>::start(&mut OsRng, b"not the password").unwrap();
    let start = serde_json::to_vec(&StartSignIn {
        account,
        ke1: login.message.serialize().as_slice().into(),
    });
    let began = Instant::now();
    let response = connection.send("POST", "/v1/sessions/start", None, Some(&start.unwrap()));
    let start = began.elapsed();
    let started: SignInStarted = response.unwrap().json();
    let finish = serde_json::to_vec(&FinishSignIn {
        sign_in: started.sign_in,
        ke3: vec![7; 64].into(),
    });
    let began = Instant::now();
    let response = connection.send("POST", "/v1/sessions/finish", None, Some(&finish.unwrap()));
    let finish = began.elapsed();
    assert_eq!(response.unwrap().status, 401);
    [start, finish]
}

/// All three in random order.
fn shuffled() -> [Whose; 3] {
    let mut order = [Whose::Known, Whose::OtherKnown, Whose::Unknown];
    let [first, second] = random::<2>();
    order.rotate_left(usize::from(first % 3));
    if second % 2 == 0 {
        order.swap(1, 2);
    }
    order
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).unwrap();
    bytes
}

fn median(sorted: &[Duration]) -> f64 {
    sorted[sorted.len() / 2].as_secs_f64() * 1e6
}

/// The greatest distance between the two distribution functions, both of as many sorted values.
fn statistic(a: &[Duration], b: &[Duration]) -> f64 {
    let (mut i, mut j, mut most) = (0_usize, 0_usize, 0_usize);
    while i < a.len() && j < b.len() {
        let next = a[i].min(b[j]);
        while a.get(i).is_some_and(|value| *value <= next) {
            i += 1;
        }
        while b.get(j).is_some_and(|value| *value <= next) {
            j += 1;
        }
        most = most.max(i.abs_diff(j));
    }
    let parts = |count: usize| f64::from(u32::try_from(count).unwrap());
    parts(most) / parts(a.len())
}

fn as_text(report: &Report) -> String {
    let mut text = format!(
        "sign-in with a wrong password, {} tries of each kind\n\
         {:<10} {:>14} {:>14} {:>12} {:>12}\n",
        report.tries, "request", "known p50", "unknown p50", "statistic", "by chance"
    );
    for figures in &report.figures {
        let _ = writeln!(
            text,
            "{:<10} {:>11.1} µs {:>11.1} µs {:>12.4} {:>12.4}",
            figures.request,
            figures.known_p50_us,
            figures.unknown_p50_us,
            figures.statistic,
            figures.chance
        );
    }
    let verdict = if report.separate {
        "The distributions separate: the clock tells which accounts exist."
    } else {
        "The distributions do not separate."
    };
    text + &format!("critical value (1 %): {:.4}\n{verdict}\n", report.critical)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(values: &[u64]) -> Vec<Duration> {
        values.iter().copied().map(Duration::from_micros).collect()
    }

    #[test]
    fn the_statistic_is_the_greatest_distance() {
        let alike = times(&[1, 2, 3, 4]);
        assert!(statistic(&alike, &alike) < 1e-9);
        let apart = statistic(&alike, &times(&[5, 6, 7, 8]));
        assert!((apart - 1.0).abs() < 1e-9, "{apart}");
        let half = statistic(&alike, &times(&[3, 4, 5, 6]));
        assert!((half - 0.5).abs() < 1e-9, "{half}");
    }
}
