//! `cargo xtask bench --throughput`: how fast objects are protected and opened on one core, side by side with `openssl speed`.
//!
//! Both encrypt with AES-256-GCM in pieces of 16 KiB, in memory, on one thread. They take turns in short rounds, so that whatever else the
//! machine does meanwhile hits both alike; the median of the rounds' quotients counts. It fails where that is below [`LEAST`].

#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    reason = "a benchmark: what does not work here ends it"
)]

use std::hint::black_box;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use serde::Serialize;
use strongroom_cobblestone::{CHUNK_LEN, DecryptReader, EncryptWriter, ObjectKey};
use strongroom_tests::yardsticks::openssl_speed;

/// Measures protecting and opening objects side by side with `openssl speed -evp aes-256-gcm -bytes 16384`.
#[derive(Debug, Parser)]
#[command(name = "throughput")]
struct Arguments {
    /// How long each measurement runs, over all rounds together.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Print the figures as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    /// What `openssl speed` reports, in bytes a second: the median of the rounds.
    openssl: f64,
    protect: Figures,
    open: Figures,
}

#[derive(Debug, Serialize)]
struct Figures {
    /// Plaintext bytes a second: the median of the rounds.
    bytes_per_second: f64,
    /// The median of the rounds' quotients to `openssl speed`.
    to_openssl: f64,
}

/// What protecting and opening must at least do of what `openssl speed` reports.
const LEAST: f64 = 0.8;

/// The object: as long as what stays in no cache.
const LENGTH: usize = 64 * 1024 * 1024;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let rounds = arguments.seconds;
    let second = Duration::from_secs(1);
    let key = ObjectKey::from_slice(&[7; 32]).unwrap();
    let content = vec![0x5a; LENGTH];
    let object = protected(&key, &content);
    // Caches and the processor's clock come up to speed before anything counts.
    measure(second / 4, || protect(&key, &content));
    let (mut openssl, mut protecting, mut opening) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        openssl.push(openssl_speed(CHUNK_LEN));
        protecting.push(measure(second, || protect(&key, &content)));
        opening.push(measure(second, || open(&key, &object)));
    }
    let figures = |rates: &[f64]| Figures {
        bytes_per_second: median(rates.to_vec()),
        to_openssl: median(
            rates
                .iter()
                .zip(&openssl)
                .map(|(ours, theirs)| ours / theirs)
                .collect(),
        ),
    };
    let report = Report {
        protect: figures(&protecting),
        open: figures(&opening),
        openssl: median(openssl.clone()),
    };
    let text = if arguments.json {
        serde_json::to_string_pretty(&report).unwrap() + "\n"
    } else {
        let line = |what: &str, rate: f64, part: f64| {
            format!(
                "{what:<22} {:>8.0} MB/s {:>8.1}%\n",
                rate / 1e6,
                part * 100.0
            )
        };
        let Report { protect, open, .. } = &report;
        line("openssl, 16384 bytes", report.openssl, 1.0)
            + &line(
                "protecting an object",
                protect.bytes_per_second,
                protect.to_openssl,
            )
            + &line("opening an object", open.bytes_per_second, open.to_openssl)
    };
    let slowest = report.protect.to_openssl.min(report.open.to_openssl);
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) if slowest >= LEAST => ExitCode::SUCCESS,
        Ok(()) => {
            let sentence = format!("throughput: below {:.0}% of openssl speed\n", LEAST * 100.0);
            let _ = io::stderr().write_all(sentence.as_bytes());
            ExitCode::FAILURE
        }
        Err(_) => ExitCode::FAILURE,
    }
}

fn protected(key: &ObjectKey, content: &[u8]) -> Vec<u8> {
    let mut writer = EncryptWriter::new(key, b"bench", Vec::new()).unwrap();
    writer.write_all(content).unwrap();
    writer.finish().unwrap()
}

/// Protects the content into nothing; the number of its bytes.
fn protect(key: &ObjectKey, content: &[u8]) -> usize {
    let mut writer = EncryptWriter::new(key, b"bench", Discard).unwrap();
    let mut content = content;
    writer.copy_from(&mut content).unwrap();
    writer.finish().unwrap();
    LENGTH
}

/// Opens the object into nothing; the number of its plaintext's bytes.
fn open(key: &ObjectKey, object: &[u8]) -> usize {
    let mut reader = DecryptReader::new(key, b"bench", object).unwrap();
    let length = reader.copy_to(&mut Discard).unwrap();
    usize::try_from(length).unwrap()
}

/// Takes what is written and looks at it, so that nothing of the work can be left out.
struct Discard;

impl Write for Discard {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        black_box(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Bytes a second over about so long.
#[expect(
    clippy::cast_precision_loss,
    reason = "a rate needs no more digits than a double has"
)]
fn measure(share: Duration, work: impl Fn() -> usize) -> f64 {
    let started = Instant::now();
    let mut bytes = 0;
    while started.elapsed() < share {
        bytes += work();
    }
    bytes as f64 / started.elapsed().as_secs_f64()
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}
