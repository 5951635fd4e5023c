//! A key split among custodians: Shamir's secret sharing over GF(2^8) with the polynomial 0x11d, byte by byte.
//! `docs/ceremonies.md` specifies it for whoever reads a share without this program.
//!
//! M of the N shares restore the key. Fewer tell nothing of it: each key is as likely as any other.

use std::collections::BTreeSet;
use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::key::{KEY_BYTES, SharedKey};

/// The fewest shares that may restore a key.
pub const FEWEST_SHARES: u8 = 2;
/// The most shares that a key is split into.
pub const MOST_SHARES: u8 = 16;
/// The length of a share in bytes, as words and QR codes carry it: set, threshold, index, value.
pub(super) const SHARE_BYTES: usize = 2 + 1 + 1 + KEY_BYTES;

/// One custodian's share of a key.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Share {
    set: u16,
    threshold: u8,
    index: u8,
    value: Box<[u8; KEY_BYTES]>,
}

/// Why a key was not split or not restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShareError {
    /// The numbers of custodians make no sense.
    #[error(
        "there are {FEWEST_SHARES} to {MOST_SHARES} custodians, of whom at least {FEWEST_SHARES} and at most all are needed"
    )]
    Numbers,
    /// A share is of another set: another ceremony's, or another appliance's.
    #[error("the share is of the set {found:04x}, and the others are of {expected:04x}")]
    OtherSet {
        /// The set of this share.
        found: u16,
        /// The set that is being put together.
        expected: u16,
    },
    /// A share of the set says another threshold than the rest.
    #[error("the share does not belong to the others, although it has their set's number")]
    OtherThreshold,
    /// The same share was given twice.
    #[error("share {0} was given already")]
    Twice(u8),
    /// There are fewer shares than are needed.
    #[error("{needed} shares are needed, and these are {given}")]
    TooFew {
        /// How many there are.
        given: usize,
        /// How many are needed.
        needed: u8,
    },
}

impl Share {
    /// The number of the set that the share belongs to: random, and the same in all shares of one key.
    #[must_use]
    pub const fn set(&self) -> u16 {
        self.set
    }

    /// How many shares of the set restore the key.
    #[must_use]
    pub const fn threshold(&self) -> u8 {
        self.threshold
    }

    /// Which share it is: from 1, in the order of the custodians.
    #[must_use]
    pub const fn index(&self) -> u8 {
        self.index
    }

    pub(super) fn to_bytes(&self) -> Zeroizing<[u8; SHARE_BYTES]> {
        let mut bytes = Zeroizing::new([0; SHARE_BYTES]);
        let (head, value) = bytes.split_at_mut(4);
        let [s0, s1] = self.set.to_be_bytes();
        head.copy_from_slice(&[s0, s1, self.threshold, self.index]);
        value.copy_from_slice(&*self.value);
        bytes
    }

    /// None when the bytes say what no share says.
    pub(super) fn from_bytes(bytes: &[u8; SHARE_BYTES]) -> Option<Self> {
        let (&[s0, s1, threshold, index], value) = bytes.split_first_chunk::<4>()?;
        let possible = (FEWEST_SHARES..=MOST_SHARES).contains(&threshold)
            && (1..=MOST_SHARES).contains(&index);
        let mut share = Self {
            set: u16::from_be_bytes([s0, s1]),
            threshold,
            index,
            value: Box::new([0; KEY_BYTES]),
        };
        share.value.copy_from_slice(value);
        possible.then_some(share)
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Share(..)")
    }
}

/// Splits a key into shares of the set `set`, of which `threshold` restore it.
///
/// # Errors
///
/// [`ShareError::Numbers`].
pub fn split(
    key: &SharedKey,
    set: u16,
    threshold: u8,
    shares: u8,
) -> Result<Vec<Share>, ShareError> {
    if !(FEWEST_SHARES..=MOST_SHARES).contains(&shares)
        || !(FEWEST_SHARES..=shares).contains(&threshold)
    {
        return Err(ShareError::Numbers);
    }
    let dealt = blahaj::Sharks(threshold).dealer(key.as_bytes());
    Ok(dealt
        .take(shares.into())
        .map(|dealt| {
            // The number of the point, from 1, and the polynomials' values there.
            let bytes = Zeroizing::new(Vec::from(&dealt));
            let (index, value) = bytes.split_first().unwrap_or((&0, &[]));
            let mut share = Share {
                set,
                threshold,
                index: *index,
                value: Box::new([0; KEY_BYTES]),
            };
            share
                .value
                .iter_mut()
                .zip(value)
                .for_each(|(to, from)| *to = *from);
            share
        })
        .collect())
}

/// Shares that are being put together.
#[derive(Debug, Default)]
pub struct Shares {
    shares: Vec<Share>,
}

impl Shares {
    /// Adds a share.
    ///
    /// # Errors
    ///
    /// When it does not belong to those that are there, or is one of them. It is not added then.
    pub fn add(&mut self, share: Share) -> Result<(), ShareError> {
        if let Some(first) = self.shares.first() {
            if first.set != share.set {
                return Err(ShareError::OtherSet {
                    found: share.set,
                    expected: first.set,
                });
            }
            if first.threshold != share.threshold {
                return Err(ShareError::OtherThreshold);
            }
        }
        if self.indexes().contains(&share.index) {
            return Err(ShareError::Twice(share.index));
        }
        self.shares.push(share);
        Ok(())
    }

    /// Which shares are there.
    #[must_use]
    pub fn indexes(&self) -> BTreeSet<u8> {
        self.shares.iter().map(Share::index).collect()
    }

    /// Restores the key. Whether it is the right one, its check value tells: shares of other keys restore another.
    ///
    /// # Errors
    ///
    /// [`ShareError::TooFew`].
    pub fn restore(&self) -> Result<SharedKey, ShareError> {
        let needed = self.shares.first().map_or(FEWEST_SHARES, Share::threshold);
        let too_few = ShareError::TooFew {
            given: self.shares.len(),
            needed,
        };
        if self.shares.len() < needed.into() {
            return Err(too_few);
        }
        let points: Vec<blahaj::Share> = self
            .shares
            .iter()
            .filter_map(|share| {
                let mut bytes = Zeroizing::new(Vec::with_capacity(1 + KEY_BYTES));
                bytes.push(share.index);
                bytes.extend_from_slice(&*share.value);
                blahaj::Share::try_from(bytes.as_slice()).ok()
            })
            .collect();
        let sharks = blahaj::Sharks(needed);
        let restored = sharks.recover(&points).map(Zeroizing::new);
        restored
            .ok()
            .and_then(|bytes| {
                let bytes: &[u8; KEY_BYTES] = bytes.as_slice().try_into().ok()?;
                Some(SharedKey::from_bytes(bytes))
            })
            .ok_or(too_few)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    fn put_together<'a>(shares: impl IntoIterator<Item = &'a Share>) -> Shares {
        let mut together = Shares::default();
        for share in shares {
            together
                .add(Share::from_bytes(&share.to_bytes()).unwrap())
                .unwrap();
        }
        together
    }

    #[test]
    fn what_cannot_be_shared_is_refused() {
        let key = SharedKey::from_bytes(&[1; 32]);
        for (threshold, shares) in [(1, 3), (0, 0), (4, 3), (2, 1), (2, 17), (17, 17)] {
            assert_eq!(
                split(&key, 0, threshold, shares).unwrap_err(),
                ShareError::Numbers
            );
        }
        assert_eq!(split(&key, 0, 2, 16).unwrap().len(), 16);
    }

    #[test]
    fn what_does_not_belong_is_named() {
        let key = SharedKey::from_bytes(&[1; 32]);
        let ours = split(&key, 0xaaaa, 2, 3).unwrap();
        let theirs = split(&key, 0xbbbb, 2, 3).unwrap();
        let of_three = split(&key, 0xaaaa, 3, 3).unwrap();
        let mut together = put_together(&ours[..1]);
        let copy = |share: &Share| Share::from_bytes(&share.to_bytes()).unwrap();
        assert_eq!(
            together.add(copy(&theirs[1])).unwrap_err(),
            ShareError::OtherSet {
                found: 0xbbbb,
                expected: 0xaaaa
            }
        );
        assert_eq!(
            together.add(copy(&of_three[1])).unwrap_err(),
            ShareError::OtherThreshold
        );
        assert_eq!(
            together.add(copy(&ours[0])).unwrap_err(),
            ShareError::Twice(1)
        );
        assert_eq!(
            together.restore().unwrap_err(),
            ShareError::TooFew {
                given: 1,
                needed: 2
            }
        );
        together.add(copy(&ours[2])).unwrap();
        assert_eq!(together.restore().unwrap().as_bytes(), key.as_bytes());
        assert_eq!(format!("{:?}", ours[0]), "Share(..)");
    }

    /// Multiplication in GF(2^8) with the polynomial 0x11d, as the documentation says it, and not as the library does it.
    fn times(mut one: u8, mut other: u8) -> u8 {
        let mut product = 0;
        while other != 0 {
            if other & 1 == 1 {
                product ^= one;
            }
            let carry = one & 0x80 != 0;
            one <<= 1;
            if carry {
                one ^= 0x1d;
            }
            other >>= 1;
        }
        product
    }

    fn inverse(of: u8) -> u8 {
        (1..=255).find(|other| times(of, *other) == 1).unwrap()
    }

    #[test]
    fn shares_are_read_by_the_documentation_alone() {
        let key = SharedKey::from_bytes(&std::array::from_fn(|at| u8::try_from(at * 7).unwrap()));
        let shares = split(&key, 1, 3, 5).unwrap();
        let chosen = [&shares[4], &shares[0], &shares[2]];
        let restored: [u8; 32] = std::array::from_fn(|at| {
            chosen.iter().fold(0, |sum, share| {
                // Lagrange: the product of x_j / (x_j - x_i) over the others, where minus is exclusive or.
                let others = chosen.iter().filter(|other| other.index != share.index);
                let weight = others.fold(1, |weight, other| {
                    times(
                        weight,
                        times(other.index, inverse(other.index ^ share.index)),
                    )
                });
                sum ^ times(weight, share.value[at])
            })
        });
        assert_eq!(&restored[..], key.as_bytes());
    }

    /// All ways to take `count` of so many.
    fn choices(of: usize, count: u32) -> impl Iterator<Item = Vec<usize>> {
        (0..1_u32 << of)
            .filter(move |bits| bits.count_ones() == count)
            .map(move |bits| (0..of).filter(|at| bits >> at & 1 == 1).collect())
    }

    #[test]
    fn any_two_of_three_restore_and_any_three_of_five() {
        for (threshold, count) in [(2, 3), (3, 5), (5, 5)] {
            let key = SharedKey::from_bytes(&[0xa7; 32]);
            let shares = split(&key, 1, threshold, count).unwrap();
            for choice in choices(count.into(), threshold.into()) {
                let together = put_together(choice.iter().map(|at| &shares[*at]));
                assert_eq!(
                    together.restore().unwrap().as_bytes(),
                    key.as_bytes(),
                    "{choice:?}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn any_threshold_of_shares_restore_and_one_less_does_not(
            key: [u8; 32], threshold in 2..=16_u8, more in 0..=14_u8, order: u64,
        ) {
            let count = (threshold + more).min(MOST_SHARES);
            let shares = split(&SharedKey::from_bytes(&key), 5, threshold, count).unwrap();
            let mut chosen: Vec<&Share> = shares.iter().collect();
            // Some order of them, different in each case.
            chosen.sort_by_key(|share| u64::from(share.index()).wrapping_mul(order | 1).rotate_left(17));
            chosen.truncate(threshold.into());
            let restored = put_together(chosen.iter().copied()).restore().unwrap();
            prop_assert_eq!(restored.as_bytes(), &key[..]);
            // All of them, too.
            let restored = put_together(&shares).restore().unwrap();
            prop_assert_eq!(restored.as_bytes(), &key[..]);

            chosen.pop();
            let too_few = ShareError::TooFew { given: chosen.len(), needed: threshold };
            prop_assert_eq!(put_together(chosen.iter().copied()).restore().unwrap_err(), too_few);
            // Even where somebody lowers the threshold in the shares that there are, they restore something else.
            if threshold > 2 {
                let mut together = Shares::default();
                for share in chosen {
                    let mut bytes = share.to_bytes();
                    bytes[2] -= 1;
                    together.add(Share::from_bytes(&bytes).unwrap()).unwrap();
                }
                let restored = together.restore().unwrap();
                prop_assert_ne!(restored.as_bytes(), &key[..]);
            }
        }
    }
}
