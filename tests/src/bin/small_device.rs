//! How small the client library is on a small device: the sample sensor's size, and the memory that a run of it takes.
//!
//! The sensor seals readings with a real appliance's keys and puts them into a store; the sample gateway opens every one of them. The peak is what
//! the kernel says of the sensor (`VmHWM`) when all readings are in the store and it waits for more.

#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark: what does not work here ends it"
)]

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use serde::Serialize;
use strongroom_tests::device::{administrator, import};
use strongroom_tests::{Appliance, programs};

/// The sensor, stripped, has at most so many bytes.
const MOST_BYTES: u64 = 3 * 1024 * 1024;
/// A run of it takes at most so many bytes of memory.
const MOST_MEMORY: u64 = 8 * 1024 * 1024;
/// Several of the sensor's batches, and no part of one.
const READINGS: usize = 320;

/// Measures the size of the sample sensor and the memory that it takes, and fails past 3 MiB and 8 MiB.
#[derive(Debug, Parser)]
#[command(name = "small_device")]
struct Arguments {
    /// The sensor, as built for a small device.
    #[arg(long)]
    sensor: PathBuf,
    /// Print the figures as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    /// Whether it needs nothing of the system but the kernel.
    statically_linked: bool,
    /// Bytes of the program.
    program: u64,
    most_program: u64,
    /// Bytes of memory at the peak.
    peak: u64,
    most_peak: u64,
    /// How many readings were sealed, put into the store, taken out of it and opened.
    readings: usize,
    /// Seconds from the sensor's start until the last reading was in the store.
    seconds: f64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let report = measure(&arguments.sensor);
    let text = if arguments.json {
        serde_json::to_string_pretty(&report).unwrap() + "\n"
    } else {
        as_text(&report)
    };
    let small = report.program <= MOST_BYTES && report.peak <= MOST_MEMORY;
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) if small => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn as_text(report: &Report) -> String {
    let linked = if report.statically_linked {
        "static"
    } else {
        "dynamic"
    };
    let line = |what: &str, bytes: u64, most: u64| {
        let verdict = if bytes <= most { "" } else { "  TOO LARGE" };
        format!(
            "{what:<22} {:>8} KiB of {:>5}{verdict}\n",
            bytes.div_ceil(1024),
            most / 1024
        )
    };
    line(
        &format!("program, {linked}"),
        report.program,
        report.most_program,
    ) + &line("memory at the peak", report.peak, report.most_peak)
        + &format!(
            "{} readings sealed and stored in {:.2} s, and opened by the gateway\n",
            report.readings, report.seconds
        )
}

fn measure(sensor: &Path) -> Report {
    let appliance = Appliance::start();
    let admin = administrator(&appliance);
    let folder = admin.device();
    let [device, gateway] = ["sensor-1", "gateway-1"].map(|name| {
        let folder = folder.join(name);
        import(&admin, &[name])
            .remove(0)
            .keep_in(&folder, &appliance);
        folder
    });
    let store = folder.join("store");
    fs::create_dir(&store).unwrap();

    let started = Instant::now();
    let mut running = Command::new(sensor)
        .args([&device, &store])
        .arg("gateway-1")
        .stdin(Stdio::piped())
        .spawn()
        .expect("the sensor starts");
    let mut readings = running.stdin.take().unwrap();
    for number in 0..READINGS {
        writeln!(readings, "{number} C").unwrap();
    }
    while stored(&store) < READINGS {
        let ended = running.try_wait().unwrap();
        assert!(ended.is_none(), "the sensor ended: {ended:?}");
        assert!(
            started.elapsed() < Duration::from_mins(1),
            "the sensor is stuck"
        );
        thread::sleep(Duration::from_millis(5));
    }
    let seconds = started.elapsed().as_secs_f64();
    let peak = peak_memory(&running);
    drop(readings);
    assert!(running.wait().unwrap().success());

    let opened = Command::new(programs::example("gateway"))
        .args([&gateway, &store])
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let text = String::from_utf8(opened.stdout).unwrap();
    assert_eq!(text.lines().count(), READINGS);
    assert_eq!(stored(&store), 0);
    Report {
        statically_linked: !needs_an_interpreter(&fs::read(sensor).unwrap()),
        program: fs::metadata(sensor).unwrap().len(),
        most_program: MOST_BYTES,
        peak,
        most_peak: MOST_MEMORY,
        readings: READINGS,
        seconds,
    }
}

fn stored(store: &Path) -> usize {
    let entries = fs::read_dir(store).unwrap().flatten();
    entries
        .filter(|entry| {
            entry
                .path()
                .extension()
                .is_some_and(|ending| ending == "sealed")
        })
        .count()
}

/// The most memory that a running process has had, in bytes.
fn peak_memory(process: &Child) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kibibytes: u64 = kibibytes.unwrap().parse().unwrap();
    kibibytes * 1024
}

/// Whether an ELF program (64 bits, little-endian) has a program header of the type `PT_INTERP`: the dynamic linker that starts it.
fn needs_an_interpreter(program: &[u8]) -> bool {
    let number = |at: usize, length: usize| {
        let bytes = program[at..at + length].iter().rev();
        bytes.fold(0_usize, |number, byte| number << 8 | usize::from(*byte))
    };
    assert!(
        program.starts_with(b"\x7fELF\x02\x01"),
        "the sensor is no such program"
    );
    let (headers, size, count) = (number(32, 8), number(54, 2), number(56, 2));
    (0..count).any(|index| number(headers + index * size, 4) == 3)
}
