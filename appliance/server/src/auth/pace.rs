//! Answers to strangers leave in even steps of time, so that the clock does not tell which accounts exist.
//!
//! The work for a name that exists and for one that does not differs by some twenty microseconds (a record more is read and
//! checked), which over many tries shows. `cargo xtask bench --sign-in-timing` measures what is left of it.

use std::thread;
use std::time::{Duration, Instant};

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{Error, web};

/// Well above what an unloaded appliance takes for one of these requests.
const STEP: Duration = Duration::from_millis(5);

/// The middleware around the routes of sign-in and enrolment, which need no session.
pub(crate) async fn evenly(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let came = Instant::now();
    let answer = next.call(request).await;
    let until = came + whole_steps(came.elapsed());
    // A thread's sleep ends at a moment that is its own. The runtime's ends so many milliseconds after it began, and so passes the
    // difference on. Where there is no thread, the answer leaves at once.
    let _ =
        web::block(move || thread::sleep(until.saturating_duration_since(Instant::now()))).await;
    answer
}

/// The time that so long a work is made to take: the next whole step.
fn whole_steps(taken: Duration) -> Duration {
    let steps = taken.as_nanos() / STEP.as_nanos() + 1;
    // Work of months is not made longer.
    u32::try_from(steps).map_or(taken, |steps| STEP * steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_work_takes_whole_steps() {
        for (taken, made) in [(0, 5_000), (400, 5_000), (4_999, 5_000), (5_000, 10_000)] {
            let taken = Duration::from_micros(taken);
            assert_eq!(whole_steps(taken), Duration::from_micros(made));
        }
        assert_eq!(whole_steps(Duration::MAX), Duration::MAX);
    }
}
