//! What was counted in the last minutes, for the charts of the console.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use strongroom_console::host::Minute;
use strongroom_keystore::{Clock as _, SystemClock};

/// How many minutes are kept.
const KEPT: usize = 180;
/// The latencies that are told apart, in steps of a quarter of a power of two microseconds: the last holds what took longer than a minute.
const STEPS: usize = 108;

/// The minute that is going on.
struct Counting {
    requests: AtomicU64,
    refused: AtomicU64,
    took: [AtomicU64; STEPS],
}

static COUNTING: Counting = Counting {
    requests: AtomicU64::new(0),
    refused: AtomicU64::new(0),
    took: [const { AtomicU64::new(0) }; STEPS],
};

static MINUTES: Mutex<VecDeque<Minute>> = Mutex::new(VecDeque::new());

/// A request was answered.
pub(crate) fn count(status: u16, took: Duration) {
    COUNTING.requests.fetch_add(1, Ordering::Relaxed);
    if status >= 400 {
        COUNTING.refused.fetch_add(1, Ordering::Relaxed);
    }
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    COUNTING.took[step(micros)].fetch_add(1, Ordering::Relaxed);
}

/// A minute is over: `queued` acts wait for the database.
pub(crate) fn end_minute(queued: u64) {
    let took: Vec<u64> = COUNTING
        .took
        .iter()
        .map(|count| count.swap(0, Ordering::Relaxed))
        .collect();
    let minute = Minute {
        at: SystemClock.now(),
        requests: COUNTING.requests.swap(0, Ordering::Relaxed),
        refused: COUNTING.refused.swap(0, Ordering::Relaxed),
        most_took: most(&took),
        queued,
    };
    let mut minutes = lock();
    if minutes.len() == KEPT {
        minutes.pop_front();
    }
    minutes.push_back(minute);
}

/// The last minutes, the oldest first.
pub(crate) fn minutes() -> Vec<Minute> {
    lock().iter().copied().collect()
}

/// The time in microseconds by which 95 of 100 were answered: the end of the step that the 95th is in.
fn most(took: &[u64]) -> u64 {
    let all: u64 = took.iter().sum();
    let wanted = (all * 95).div_ceil(100);
    let mut seen = 0;
    for (at, count) in took.iter().enumerate() {
        seen += count;
        if wanted > 0 && seen >= wanted {
            return end(at);
        }
    }
    0
}

/// The step of a latency.
fn step(micros: u64) -> usize {
    (0..STEPS - 1)
        .find(|at| micros <= end(*at))
        .unwrap_or(STEPS - 1)
}

/// The end of a step in microseconds: 1, 1.25, 1.5, 1.75, 2, 2.5, ... times a power of two.
const fn end(step: usize) -> u64 {
    ((4 + step as u64 % 4) << (step / 4)) / 4
}

fn lock() -> MutexGuard<'static, VecDeque<Minute>> {
    // A panic while the list was held leaves a whole list behind.
    MINUTES.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_in_their_step() {
        for micros in [0, 1, 3, 7, 100, 999, 1_000_000, 50_000_000] {
            let at = step(micros);
            assert!(micros <= end(at), "{micros}");
            assert!(at == 0 || micros > end(at - 1), "{micros}");
            // No more than a quarter too much.
            assert!(
                micros < 8 || end(at) <= micros * 5 / 4 + 1,
                "{micros} {}",
                end(at)
            );
        }
        assert_eq!(step(u64::MAX), STEPS - 1);
    }

    #[test]
    fn ninety_five_of_a_hundred_are_within() {
        let mut took = vec![0; STEPS];
        took[step(100)] = 95;
        took[step(5000)] = 5;
        assert_eq!(most(&took), end(step(100)));
        took[step(100)] = 94;
        assert_eq!(most(&took), end(step(5000)));
        assert_eq!(most(&vec![0; STEPS]), 0);
    }
}
