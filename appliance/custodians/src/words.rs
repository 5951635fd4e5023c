//! A custodian's share as words that can be written down and typed again.
//!
//! ```text
//! 319 bits = 16 set | 8 threshold | 8 index | 256 value | 31 checksum
//!          = 29 words of 11 bits each, the most significant bit first
//! ```
//!
//! The words are those of the English list of BIP-39, in its order. Its first four letters tell each from all others. The checksum is
//! the first 31 bits of SHA-256 over the name of the kind of key, a byte 0x00 and the 36 bytes before the checksum: an altered word, two
//! that changed places, or a share of a key of another kind passes with a probability of 2^-31.

use std::fmt;
use std::sync::LazyLock;

use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::shares::{SHARE_BYTES, Share};

/// How many words a share has.
pub const SHARE_WORDS: usize = 29;
/// The bits of a word.
const BITS: usize = 11;
/// The fewest letters that tell a word from all others.
const LETTERS: usize = 4;
/// A share and its checksum, in whole bytes: the last bit is unused.
const WITH_CHECKSUM: usize = SHARE_BYTES + 4;

/// The list, a word a line, in alphabetical order.
const ENGLISH: &str = include_str!("english.txt");
static LIST: LazyLock<Vec<&str>> = LazyLock::new(|| ENGLISH.lines().collect());

/// What the key is for: a share of one kind is none of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A domain's recovery KEK, under which its master KEK is recoverable.
    RecoveryKek,
    /// The key that opens the data partition of an appliance's image on another machine.
    DataPartition,
}

impl Kind {
    const ALL: [Self; 2] = [Self::RecoveryKek, Self::DataPartition];

    /// What a share is of, in the middle of a sentence.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RecoveryKek => "a recovery KEK",
            Self::DataPartition => "a data partition's recovery key",
        }
    }

    /// What the checksum begins with.
    const fn context(self) -> &'static [u8] {
        match self {
            Self::RecoveryKek => b"strongroom/v1/share\0",
            Self::DataPartition => b"strongroom/v1/data-share\0",
        }
    }
}

/// Why words are no share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WordsError {
    /// A word stands in no share. Words are counted from 1.
    #[error("word {0} is not a word of the list")]
    Unknown(usize),
    /// There are too few words or too many.
    #[error("a share has {SHARE_WORDS} words, and these are {0}")]
    Count(usize),
    /// All are words of the list, and they do not belong together: one is another than was shown, or two have changed places.
    #[error("these words are not a share: one of them is wrong, or two have changed places")]
    Checksum,
    /// All belong together, as a share of a key of another kind: somebody brought the other paper.
    #[error("this is a share of {}, and one of {} is needed", .found.name(), .needed.name())]
    OtherKind {
        /// What it is a share of.
        found: Kind,
        /// What a share of is needed.
        needed: Kind,
    },
    /// The words belong together and say what no share says: a newer version made them.
    #[error("these words are a share of a form that this version of Strongroom does not know")]
    Malformed,
}

/// The words of a share. They are the share: whoever reads them has it.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Words([u16; SHARE_WORDS]);

impl Words {
    /// The words in their order.
    pub fn iter(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|number| word(*number))
    }
}

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Words(..)")
    }
}

impl Share {
    /// The share as words, of a key of this kind.
    #[must_use]
    pub fn to_words(&self, kind: Kind) -> Words {
        let bytes = with_checksum(kind, &self.to_bytes());
        let mut numbers = [0; SHARE_WORDS];
        for (at, number) in numbers.iter_mut().enumerate() {
            *number = (at * BITS..(at + 1) * BITS).fold(0, |number, bit| {
                number << 1 | u16::from(bit_of(&*bytes, bit))
            });
        }
        Words(numbers)
    }

    /// The share of a key of this kind of which these are the words, in their order. A word may be cut off behind its fourth letter, and capitals and white
    /// space do not matter.
    ///
    /// # Errors
    ///
    /// [`WordsError`], which names the word that is wrong where that can be told.
    pub fn from_words(kind: Kind, text: &str) -> Result<Self, WordsError> {
        let mut bytes = Zeroizing::new([0; WITH_CHECKSUM]);
        let mut count = 0;
        for typed in text.split_whitespace() {
            let number = number_of(typed).ok_or(WordsError::Unknown(count + 1))?;
            for bit in 0..BITS {
                let at = count * BITS + bit;
                if let Some(byte) = bytes.get_mut(at / 8) {
                    let value = (number >> (BITS - 1 - bit) & 1) as u8;
                    *byte |= value << (7 - at % 8);
                }
            }
            count += 1;
        }
        if count != SHARE_WORDS {
            return Err(WordsError::Count(count));
        }
        let mut share = Zeroizing::new([0; SHARE_BYTES]);
        share.copy_from_slice(bytes.split_at(SHARE_BYTES).0);
        let found = Kind::ALL
            .into_iter()
            .find(|kind| *with_checksum(*kind, &share) == *bytes);
        match found {
            Some(found) if found == kind => {}
            Some(found) => {
                return Err(WordsError::OtherKind {
                    found,
                    needed: kind,
                });
            }
            None => return Err(WordsError::Checksum),
        }
        Self::from_bytes(&share).ok_or(WordsError::Malformed)
    }
}

/// Whether this, as it was typed, stands for a word of the list.
#[must_use]
pub fn is_word(typed: &str) -> bool {
    number_of(typed).is_some()
}

/// The bytes with the checksum behind them, and an unused bit of 0.
fn with_checksum(kind: Kind, share: &[u8; SHARE_BYTES]) -> Zeroizing<[u8; WITH_CHECKSUM]> {
    let digest = Sha256::new()
        .chain_update(kind.context())
        .chain_update(share)
        .finalize();
    let mut bytes = Zeroizing::new([0; WITH_CHECKSUM]);
    let (front, checksum) = bytes.split_at_mut(SHARE_BYTES);
    front.copy_from_slice(share);
    for (to, from) in checksum.iter_mut().zip(digest.iter()) {
        *to = *from;
    }
    if let Some(last) = checksum.last_mut() {
        *last &= 0xfe;
    }
    bytes
}

fn bit_of(bytes: &[u8], bit: usize) -> bool {
    bytes
        .get(bit / 8)
        .is_some_and(|byte| byte >> (7 - bit % 8) & 1 == 1)
}

fn word(number: u16) -> &'static str {
    LIST.get(usize::from(number)).copied().unwrap_or_default()
}

/// The number of the word that this stands for: the word itself, or its first four letters and as many more as there are.
fn number_of(typed: &str) -> Option<u16> {
    let typed = Zeroizing::new(typed.to_ascii_lowercase());
    let at = LIST.partition_point(|word| *word < typed.as_str());
    let word = LIST.get(at)?;
    let meant =
        *word == typed.as_str() || (typed.len() >= LETTERS && word.starts_with(typed.as_str()));
    meant.then_some(u16::try_from(at).ok()?)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    const KEK: Kind = Kind::RecoveryKek;

    fn share(set: u16, threshold: u8, index: u8, value: [u8; 32]) -> Share {
        let mut bytes = [0; SHARE_BYTES];
        bytes[..2].copy_from_slice(&set.to_be_bytes());
        bytes[2] = threshold;
        bytes[3] = index;
        bytes[4..].copy_from_slice(&value);
        Share::from_bytes(&bytes).unwrap()
    }

    fn text(words: &Words) -> String {
        words.iter().collect::<Vec<_>>().join(" ")
    }

    prop_compose! {
        fn any_share()(set: u16, threshold in 2..=16_u8, index in 1..=16_u8, value: [u8; 32]) -> Share {
            share(set, threshold, index, value)
        }
    }

    #[test]
    fn the_list_is_that_of_bip_39() {
        let digest = "2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda";
        assert_eq!(hex::encode(Sha256::digest(ENGLISH)), digest);
        assert_eq!(ENGLISH.lines().count(), 1 << BITS);
        for (number, word) in ENGLISH.lines().enumerate() {
            assert_eq!(number_of(word).map(usize::from), Some(number));
            let four: String = word.chars().take(LETTERS).collect();
            assert_eq!(number_of(&four).map(usize::from), Some(number), "{word}");
        }
        assert!(!is_word("zo") && !is_word("abandons") && !is_word("") && !is_word("abax"));
    }

    #[test]
    fn a_share_has_the_documented_words() {
        let words = text(&share(0x1234, 2, 1, [0; 32]).to_words(KEK));
        // 0x1234 02 01 00…: 00010010001 10100000000 10000000010 00…, which are 145, 1280, 1026 and 0, counted from "abandon".
        let first: Vec<&str> = words.split(' ').take(4).collect();
        assert_eq!(first, ["banana", "parade", "leopard", "abandon"]);
        assert_eq!(words.split(' ').count(), SHARE_WORDS);
        assert_eq!(
            format!("{:?}", share(1, 2, 3, [7; 32]).to_words(KEK)),
            "Words(..)"
        );
    }

    #[test]
    fn each_mistake_is_told() {
        let share = share(7, 3, 2, [9; 32]);
        let words = text(&share.to_words(KEK));
        let mut typed: Vec<&str> = words.split(' ').collect();
        assert_eq!(
            Share::from_words(KEK, &typed[..28].join(" ")).unwrap_err(),
            WordsError::Count(28)
        );
        assert_eq!(
            Share::from_words(KEK, &format!("{words} zoo")).unwrap_err(),
            WordsError::Count(30)
        );
        typed[11] = "bananas";
        assert_eq!(
            Share::from_words(KEK, &typed.join(" ")).unwrap_err(),
            WordsError::Unknown(12)
        );
        assert_eq!(
            Share::from_words(KEK, "").unwrap_err(),
            WordsError::Count(0)
        );
    }

    #[test]
    fn a_share_of_another_kind_is_named() {
        let share = share(7, 3, 2, [9; 32]);
        for (made, wanted, says) in [
            (
                KEK,
                Kind::DataPartition,
                "this is a share of a recovery KEK, and one of a data partition's recovery key is needed",
            ),
            (
                Kind::DataPartition,
                KEK,
                "this is a share of a data partition's recovery key, and one of a recovery KEK is needed",
            ),
        ] {
            let words = text(&share.to_words(made));
            let read = Share::from_words(made, &words).unwrap();
            assert_eq!(read.to_bytes(), share.to_bytes());
            let refused = Share::from_words(wanted, &words).unwrap_err();
            assert_eq!(refused.to_string(), says);
        }
    }

    proptest! {
        #[test]
        fn words_read_back_however_they_are_typed(share in any_share(), upper: bool, short: bool, gap in "[ \t\n]{1,3}") {
            let words = share.to_words(KEK);
            let typed: Vec<String> = words
                .iter()
                .map(|word| {
                    let word: String = if short { word.chars().take(4).collect() } else { word.to_owned() };
                    if upper { word.to_uppercase() } else { word }
                })
                .collect();
            let typed = format!("{gap}{}{gap}", typed.join(&gap));
            prop_assert_eq!(Share::from_words(KEK, &typed).unwrap().to_bytes(), share.to_bytes());
        }

        #[test]
        fn one_wrong_word_is_found(share in any_share(), at in 0..SHARE_WORDS, other in 0..2048_usize) {
            let right = text(&share.to_words(KEK));
            let mut words: Vec<&str> = right.split(' ').collect();
            let wrong = ENGLISH.lines().nth(other).unwrap();
            prop_assume!(words[at] != wrong);
            words[at] = wrong;
            prop_assert_eq!(Share::from_words(KEK, &words.join(" ")).unwrap_err(), WordsError::Checksum);
        }

        #[test]
        fn two_words_that_changed_places_are_found(share in any_share(), one in 0..SHARE_WORDS, two in 0..SHARE_WORDS) {
            let right = text(&share.to_words(KEK));
            let mut words: Vec<&str> = right.split(' ').collect();
            prop_assume!(words[one] != words[two]);
            words.swap(one, two);
            prop_assert_eq!(Share::from_words(KEK, &words.join(" ")).unwrap_err(), WordsError::Checksum);
        }

        #[test]
        fn whatever_is_typed_is_answered(text in ".{0,300}") {
            let _ = Share::from_words(KEK, &text);
        }
    }

    #[test]
    fn every_word_of_one_share_in_place_of_each() {
        // All 29 times 2047 of them, for one share.
        let right = text(&share(0xbeef, 2, 3, [0x5a; 32]).to_words(KEK));
        let words: Vec<&str> = right.split(' ').collect();
        let mut found = 0;
        for at in 0..SHARE_WORDS {
            for wrong in ENGLISH.lines().filter(|word| *word != words[at]) {
                let mut words = words.clone();
                words[at] = wrong;
                found += u32::from(Share::from_words(KEK, &words.join(" ")).is_err());
            }
        }
        assert_eq!(found, 29 * 2047);
    }
}
