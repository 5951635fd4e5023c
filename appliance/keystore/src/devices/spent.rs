//! Which nonces of signed requests are spent.
//!
//! They are looked up in memory. A nonce becomes durable in the transaction of the first act that its request asks for, so that nothing which a
//! request did outlives the knowledge that it was made; at the start those in the database are taken into memory. A request that only asked,
//! and changed nothing, can be made again where the appliance was killed in between: it is answered as it was before, for its signer alone.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use strongroom_wire::encoding::Timestamp;

use crate::seal;
use crate::store::SpentNonce;

/// In how many parts those of the requests that can be in time are kept: a part goes as a whole, so that much more is kept than has to be.
const PARTS: u32 = 4;

/// The nonces of the requests that are still in time, and some that are not any more.
pub(crate) struct SpentNonces {
    kept: Mutex<Kept>,
    /// How long nonces are gathered in one part.
    part: Duration,
}

/// Half of a SHA-256 over account and nonce: only who knows an account's secret spends nonces, and only that account's.
type Name = [u8; 16];

#[derive(Default)]
struct Kept {
    /// The newest last.
    parts: VecDeque<HashSet<Name>>,
    /// When the newest was begun.
    since: Option<Timestamp>,
}

impl SpentNonces {
    /// Those that are known to be spent, where clocks may differ by `skew`.
    pub(crate) fn new(skew: Duration, known: &[SpentNonce]) -> Self {
        let kept = Kept {
            parts: VecDeque::from([known.iter().map(name).collect()]),
            since: None,
        };
        Self {
            kept: Mutex::new(kept),
            // A request can be in time from so long before the appliance's time to as long after it; rounded up to whole seconds.
            part: Duration::from_secs((skew.as_secs() * 2).div_ceil(u64::from(PARTS))),
        }
    }

    /// Spends a nonce; `false` where it was spent before.
    pub(crate) fn spend(&self, nonce: &SpentNonce, now: Timestamp) -> bool {
        let name = name(nonce);
        let mut gone = None;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let since = *kept.since.get_or_insert(now);
        if since.plus_seconds(self.part.as_secs()) < now {
            kept.parts.push_back(HashSet::new());
            kept.since = Some(now);
            // The newest, and as many as hold a request's time together.
            if kept.parts.len() > PARTS as usize + 1 {
                gone = kept.parts.pop_front();
            }
        }
        let is_spent = kept.parts.iter().any(|part| part.contains(&name));
        if !is_spent && let Some(newest) = kept.parts.back_mut() {
            newest.insert(name);
        }
        drop(kept);
        // They may be many, and nobody waits for it.
        drop(gone);
        !is_spent
    }
}

fn name(nonce: &SpentNonce) -> Name {
    let both = [nonce.account.as_bytes().as_slice(), &nonce.sha256].concat();
    let mut half = [0; 16];
    half.copy_from_slice(&seal::sha256(&both)[..16]);
    half
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;
    use strongroom_wire::id::AccountId;

    use super::*;

    const SKEW: Duration = Duration::from_mins(5);

    fn nonce(number: u8, created: u64) -> SpentNonce {
        SpentNonce {
            account: AccountId::from_bytes([number & 1; 16]),
            sha256: [number >> 1; 32],
            expires: Timestamp::from_millis(1000 * (created + SKEW.as_secs())),
        }
    }

    proptest! {
        /// As long as a request is in time its nonce is known to be spent, whenever others come, and after a start that found it in the database.
        #[test]
        fn nobody_spends_a_nonce_twice_in_time(
            requests in prop::collection::vec((0_u8..6, 0_u64..400, -300_i64..=300, any::<bool>()), 1..60),
        ) {
            let mut now = 1_000_000;
            let mut spent = SpentNonces::new(SKEW, &[]);
            let mut known: Vec<(u8, SpentNonce)> = Vec::new();
            for (number, later, offset, starts) in requests {
                now += later;
                let in_time = Timestamp::from_millis(1000 * now);
                known.retain(|(_, nonce)| nonce.expires >= in_time);
                if starts {
                    let rows: Vec<_> = known.iter().map(|(_, nonce)| nonce.clone()).collect();
                    spent = SpentNonces::new(SKEW, &rows);
                }
                let request = nonce(number, now.checked_add_signed(offset).unwrap_or(now));
                let is_known = known.iter().any(|(known, _)| *known == number);
                let is_spent = spent.spend(&request, in_time);
                prop_assert!(!(is_known && is_spent));
                if is_spent {
                    known.push((number, request));
                }
            }
        }
    }

    #[test]
    fn they_are_forgotten_and_do_not_pile_up() {
        let spent = SpentNonces::new(SKEW, &[]);
        let at = |seconds: u64| Timestamp::from_millis(1000 * seconds);
        assert!(spent.spend(&nonce(1, 0), at(0)));
        assert!(!spent.spend(&nonce(1, 0), at(600)));
        for time in (601..6000).step_by(151) {
            let _ = spent.spend(&nonce(2, time), at(time));
        }
        assert!(spent.spend(&nonce(1, 5700), at(6000)));
        let kept = spent.kept.lock().unwrap();
        assert_eq!(kept.parts.len(), PARTS as usize + 1);
        assert!(kept.parts.iter().map(HashSet::len).sum::<usize>() <= 3);
    }
}
