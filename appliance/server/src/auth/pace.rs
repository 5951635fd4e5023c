//! Answers to strangers leave after even steps of time and a delay drawn at random, so that the clock does not tell which accounts exist.
//!
//! The work for a name that exists and for one that does not differs by some twenty microseconds (a record more is read and
//! checked), which over many tries shows. Even steps hide all of it but two to five microseconds, by which a processor that worked longer
//! wakes later; the delay buries those. `cargo xtask bench --sign-in-timing` measures what is left.

use std::thread;
use std::time::{Duration, Instant};

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::middleware::Next;
use actix_web::{Error, web};

/// Well above what an unloaded appliance takes for one of these requests. The delay is at most as long, a thousand times what it is to hide.
const STEP: Duration = Duration::from_millis(5);

/// The middleware around the routes of sign-in and enrolment, which need no session.
pub(crate) async fn evenly(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let came = Instant::now();
    let answer = next.call(request).await;
    wait_evenly(came).await;
    answer
}

async fn wait_evenly(came: Instant) {
    let until = came + whole_steps(came.elapsed()) + delay();
    // A thread's sleep ends at a moment that is its own. The runtime's ends so many milliseconds after it began, and so passes the
    // difference on. Where there is no thread, the answer leaves at once.
    let _ =
        web::block(move || thread::sleep(until.saturating_duration_since(Instant::now()))).await;
}

/// The pages that need no session and take what can be guessed at.
const PAGES: [&str; 5] = [
    "/sign-in",
    "/sign-in/second-factor",
    "/sign-in/passkey/finish",
    "/enrol",
    "/recover",
];

/// [`evenly`] around these pages' forms, and nothing around other requests.
pub(crate) async fn pages_evenly(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let guessed = *request.method() == Method::POST && PAGES.contains(&request.path());
    let came = Instant::now();
    let answer = next.call(request).await;
    if guessed {
        wait_evenly(came).await;
    }
    answer
}

/// The time that so long a work is made to take: the next whole step.
fn whole_steps(taken: Duration) -> Duration {
    let steps = taken.as_nanos() / STEP.as_nanos() + 1;
    // Work of months is not made longer.
    u32::try_from(steps).map_or(taken, |steps| STEP * steps)
}

/// A delay up to a step, each as likely as any other.
fn delay() -> Duration {
    // Without random numbers there is no sign-in to hide, either.
    let drawn = getrandom::u32().unwrap_or_default();
    STEP.mul_f64(f64::from(drawn) / (f64::from(u32::MAX) + 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_spread_over_a_step() {
        let mut quarters = [0_u32; 4];
        for _ in 0..4000 {
            let delay = delay();
            assert!(delay < STEP, "{delay:?}");
            quarters[(delay.as_nanos() * 4 / STEP.as_nanos()) as usize] += 1;
        }
        // 1000 each are expected; 850 are more than five standard deviations away.
        assert!(quarters.iter().all(|drawn| *drawn > 850), "{quarters:?}");
    }

    #[test]
    fn every_work_takes_whole_steps() {
        for (taken, made) in [(0, 5_000), (400, 5_000), (4_999, 5_000), (5_000, 10_000)] {
            let taken = Duration::from_micros(taken);
            assert_eq!(whole_steps(taken), Duration::from_micros(made));
        }
        assert_eq!(whole_steps(Duration::MAX), Duration::MAX);
    }
}
