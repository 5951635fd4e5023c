//! Several addresses, and requests that are made again.
//!
//! A request is made again only where that does no harm: nothing of it was sent, the appliance said that it did nothing, or the request is one
//! that can be made twice. First the other addresses are tried, at once; then all of them again after a pause that doubles each time, with a
//! random part so that many clients do not come back together.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use strongroom_wire::problem::Code;

use super::Client;
use crate::ClientError;

/// How often, and for how long, a request is made again that came to nothing.
///
/// ```
/// use std::time::Duration;
/// use strongroom_client::Retries;
///
/// let patient = Retries {
///     rounds: 10,
///     within: Duration::from_mins(2),
///     ..Retries::default()
/// };
/// assert_eq!(Retries::none().rounds, 1);
/// # assert!(patient.within > Retries::default().within);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    /// How often every address is tried. 4 by default.
    pub rounds: u32,
    /// The pause after the first round; it doubles after each. A fifth of a second by default.
    pub first_pause: Duration,
    /// After so long no further attempt is begun. Twenty seconds by default.
    pub within: Duration,
}

impl Retries {
    /// Every address is tried once.
    ///
    /// ```
    /// use strongroom_client::Retries;
    ///
    /// assert_eq!(Retries::none().rounds, 1); // for a program that tries again by itself
    /// ```
    #[must_use]
    pub const fn none() -> Self {
        Self {
            rounds: 1,
            first_pause: Duration::ZERO,
            within: Duration::from_secs(20),
        }
    }

    /// The pause after the round with this number, from 0: half of it certain, half of it random.
    fn pause(&self, round: u32) -> Duration {
        let longest = self.first_pause.saturating_mul(1 << round.min(6));
        let mut random = [0; 1];
        // Without random numbers, everybody waits for the longest time.
        let part = match aws_lc_rs::rand::fill(&mut random) {
            Ok(()) => u32::from(random[0]),
            Err(_) => 255,
        };
        longest / 2 + longest / 2 * part / 255
    }
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            rounds: 4,
            first_pause: Duration::from_millis(200),
            within: Duration::from_secs(20),
        }
    }
}

/// What may come after an attempt that came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// The answer, or an error that another attempt does not change.
    Nothing,
    /// Another address may do better; this one will not soon.
    OtherAddress,
    /// This address may do better after so long.
    Again(Duration),
}

fn next<A>(answer: &Result<A, ClientError>) -> Next {
    match answer {
        Err(ClientError::Unreachable {
            safe_to_retry: true,
            ..
        }) => Next::Again(Duration::ZERO),
        Err(ClientError::NotTrusted { .. }) => Next::OtherAddress,
        Err(ClientError::Refused(problem)) => match problem.code {
            Code::Sealed => Next::OtherAddress,
            Code::HsmUnavailable | Code::Unavailable | Code::StorageFull => {
                Next::Again(Duration::from_secs(problem.retry_after.unwrap_or(0)))
            }
            _ => Next::Nothing,
        },
        _ => Next::Nothing,
    }
}

impl Client {
    /// Makes a request at one address after the other, as often as [`Retries`] says.
    pub(crate) fn attempt<A>(
        &self,
        once: impl Fn(&str) -> Result<A, ClientError>,
    ) -> Result<A, ClientError> {
        let deadline = Instant::now() + self.retries.within;
        let count = self.addresses.len();
        let mut round = 0;
        loop {
            let first = self.preferred.load(Ordering::Relaxed);
            let mut pause = None;
            let mut last = Err(ClientError::Library);
            for offset in 0..count {
                let index = (first + offset) % count;
                let answer = once(&self.addresses[index]);
                match next(&answer) {
                    Next::Nothing => {
                        self.preferred.store(index, Ordering::Relaxed);
                        return answer;
                    }
                    Next::OtherAddress => {}
                    Next::Again(after) => {
                        let after = after.max(self.retries.pause(round));
                        pause = Some(pause.map_or(after, |pause: Duration| pause.min(after)));
                    }
                }
                last = answer;
                if Instant::now() >= deadline {
                    return last;
                }
            }
            round += 1;
            match pause {
                Some(pause) if round < self.retries.rounds && Instant::now() + pause < deadline => {
                    self.pause(pause);
                }
                _ => return last,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::sync::Mutex;

    use strongroom_wire::problem::Problem;

    use super::*;
    use crate::session::tests::session;

    fn unreachable(safe_to_retry: bool) -> ClientError {
        ClientError::Unreachable {
            server: "x".to_owned(),
            reason: "gone".to_owned(),
            safe_to_retry,
        }
    }

    fn refused(code: Code, retry_after: Option<u64>) -> ClientError {
        let mut problem = Problem::new(code, "no");
        problem.retry_after = retry_after;
        ClientError::Refused(Box::new(problem))
    }

    /// Attempts at two addresses, which answer so one after the other; how it came out, and where it was tried.
    fn attempt(answers: Vec<Result<u32, ClientError>>) -> (Result<u32, ClientError>, Vec<String>) {
        let client = session()
            .client()
            .clone()
            .or_at("https://b.example")
            .unwrap();
        attempt_with(&client, answers)
    }

    fn attempt_with(
        client: &Client,
        answers: Vec<Result<u32, ClientError>>,
    ) -> (Result<u32, ClientError>, Vec<String>) {
        let quick = Retries {
            first_pause: Duration::from_millis(1),
            ..Retries::default()
        };
        let client = client.clone().retries(quick);
        let answers = Mutex::new(answers.into_iter());
        let tried = Mutex::new(Vec::new());
        let outcome = client.attempt(|address| {
            tried.lock().unwrap().push(address.to_owned());
            answers.lock().unwrap().next().unwrap()
        });
        (outcome, tried.into_inner().unwrap())
    }

    const A: &str = "https://keys.example.com:8443";
    const B: &str = "https://b.example";

    #[test]
    fn the_other_address_is_tried_at_once_and_then_comes_first() {
        let client = session().client().clone().or_at(B).unwrap();
        let (outcome, tried) = attempt_with(&client, vec![Err(unreachable(true)), Ok(7)]);
        assert_eq!(outcome.unwrap(), 7);
        assert_eq!(tried, [A, B]);
        let (_, tried) = attempt_with(&client, vec![Ok(8)]);
        assert_eq!(tried, [B]);
        assert!(client.is_known(A) && client.is_known(B));
        assert_eq!(client.origin(), A);
    }

    #[test]
    fn what_may_have_been_done_is_not_done_again() {
        let (outcome, tried) = attempt(vec![Err(unreachable(false))]);
        assert!(!outcome.unwrap_err().safe_to_retry());
        assert_eq!(tried, [A]);
        for code in [Code::GrantRevoked, Code::TooManyAttempts, Code::Internal] {
            let (outcome, tried) = attempt(vec![Err(refused(code, Some(1)))]);
            assert_eq!(outcome.unwrap_err().code(), Some(code));
            assert_eq!(tried, [A]);
        }
    }

    #[test]
    fn attempts_end() {
        let gone = || (0..100).map(|_| Err(unreachable(true))).collect();
        let (outcome, tried) = attempt(gone());
        assert!(outcome.is_err());
        assert_eq!(tried, [A, B].repeat(4));
        // A wait that is longer than there is time is not begun.
        let long = vec![
            Err(refused(Code::Unavailable, Some(3600))),
            Err(refused(Code::HsmUnavailable, Some(3600))),
        ];
        let (outcome, tried) = attempt(long);
        assert_eq!(outcome.unwrap_err().code(), Some(Code::HsmUnavailable));
        assert_eq!(tried, [A, B]);
        // Neither is another round where nobody will do better soon.
        let sealed = vec![
            Err(refused(Code::Sealed, None)),
            Err(refused(Code::Sealed, None)),
        ];
        assert_eq!(attempt(sealed).1, [A, B]);
    }

    #[test]
    fn pauses_double_and_differ() {
        let retries = Retries::default();
        for round in 0..10 {
            let longest = Duration::from_millis(200 << round.min(6));
            for _ in 0..20 {
                let pause = retries.pause(round);
                assert!(pause >= longest / 2 && pause <= longest, "{pause:?}");
            }
        }
        let pauses: Vec<_> = (0..20).map(|_| retries.pause(3)).collect();
        assert!(pauses.iter().any(|pause| *pause != pauses[0]));
    }
}
