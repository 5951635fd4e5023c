//! Which nonces of signed requests are spent.
//!
//! They are looked up in memory. A nonce becomes durable in the transaction of the first act that its request asks for, so that nothing which a
//! request did outlives the knowledge that it was made; at the start those in the database are taken into memory. A request that only asked,
//! and changed nothing, can be made again where the appliance was killed in between: it is answered as it was before, for its signer alone.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::AccountId;

use crate::store::SpentNonce;

/// The nonces of the requests that are still in time, and some that are not any more.
pub(crate) struct SpentNonces {
    kept: Mutex<Kept>,
    /// How long a request can be in time after it was admitted.
    within: Duration,
}

/// The first half of a SHA-256 is enough: only who knows a secret spends nonces, and only its own.
type Name = (AccountId, [u8; 16]);

/// Those that were spent lately, and those before them. Once the newer have been gathered for as long as a request can be in time, the older ones go.
#[derive(Default)]
struct Kept {
    newer: HashSet<Name>,
    older: HashSet<Name>,
    since: Option<Timestamp>,
}

impl SpentNonces {
    /// Those that are known to be spent, where clocks may differ by `skew`.
    pub(crate) fn new(skew: Duration, known: &[SpentNonce]) -> Self {
        let kept = Kept {
            newer: known.iter().map(name).collect(),
            ..Kept::default()
        };
        Self {
            kept: Mutex::new(kept),
            // From as long before the appliance's time to as long after it.
            within: skew * 2,
        }
    }

    /// Spends a nonce; `false` where it was spent before.
    pub(crate) fn spend(&self, nonce: &SpentNonce, now: Timestamp) -> bool {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let since = *kept.since.get_or_insert(now);
        let mut gone = HashSet::new();
        if since.plus_seconds(self.within.as_secs()) < now {
            gone = std::mem::take(&mut kept.older);
            kept.older = std::mem::take(&mut kept.newer);
            kept.since = Some(now);
        }
        let name = name(nonce);
        let is_new = !kept.older.contains(&name) && kept.newer.insert(name);
        drop(kept);
        // They may be many, and nobody waits for it.
        drop(gone);
        is_new
    }
}

fn name(nonce: &SpentNonce) -> Name {
    let mut first = [0; 16];
    first.copy_from_slice(&nonce.sha256[..16]);
    (nonce.account, first)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
        for time in [601, 1202, 1803] {
            assert!(spent.spend(&nonce(2, time), at(time)) || time == 1202);
        }
        let kept = spent.kept.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(kept.newer.len() + kept.older.len() <= 2);
    }
}
