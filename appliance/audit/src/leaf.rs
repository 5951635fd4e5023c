//! A leaf: an event sealed into a public envelope and a private detail.

use sha2::{Digest, Sha256};
use strongroom_wire::audit::Act;
use strongroom_wire::encoding::Timestamp;
use tlog_tiles::Hash;

use crate::codec::{DecodeError, Envelope, decode_detail, encode_detail};
use crate::event::Event;

/// A leaf as it is stored and exported.
///
/// Only the envelope is hashed into the tree; it commits to the detail by `SHA-256(salt || detail)`. So a leaf can be shown
/// to somebody without its detail, and the salt keeps its few likely details from being guessed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// The public part: the CBOR array `[1, time, act, done, commitment]`.
    pub envelope: Vec<u8>,
    /// 32 random bytes, drawn for this leaf alone.
    pub salt: [u8; 32],
    /// The private part: the CBOR map of the event's [`Detail`](crate::Detail).
    pub detail: Vec<u8>,
}

/// Why a leaf does not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LeafError {
    /// The envelope is no CBOR array of the right shape, or its time lies past the year 9999.
    #[error("the leaf's envelope is malformed")]
    Envelope,
    /// The leaf was written by a newer appliance, or altered.
    #[error("the leaf has the unknown version {0}")]
    Version(u64),
    /// The leaf was written by a newer appliance, or altered.
    #[error("the leaf has the unknown act number {0}")]
    Act(u64),
    /// Salt or detail are not those that the envelope commits to.
    #[error("the leaf's salt and detail do not match its commitment")]
    Commitment,
    /// The detail is no CBOR map of the right shape.
    #[error("the leaf's detail is malformed")]
    Detail,
    /// Envelope or detail say something sensible in another than the one permitted spelling.
    #[error("the leaf is not in deterministic encoding")]
    Encoding,
}

impl Leaf {
    /// The leaf of `event`. The salt must be random and used for no other leaf.
    ///
    /// Of a note longer than [`Detail::NOTE_MAX`](crate::Detail::NOTE_MAX) bytes the leaf keeps the beginning.
    #[must_use]
    pub fn seal(event: &Event, salt: [u8; 32]) -> Self {
        let detail = encode_detail(&event.detail);
        let envelope = Envelope {
            time: event.time.as_millis(),
            act: u64::from(event.act.number()),
            done: event.done,
            commitment: commitment(&salt, &detail),
        };
        Self {
            envelope: envelope.encode(),
            salt,
            detail,
        }
    }

    /// What the leaf says.
    ///
    /// # Errors
    ///
    /// When [`Leaf::seal`] cannot have made these bytes.
    pub fn open(&self) -> Result<Event, LeafError> {
        let envelope = Envelope::decode(&self.envelope).map_err(|error| match error {
            DecodeError::Malformed => LeafError::Envelope,
            DecodeError::Version(version) => LeafError::Version(version),
        })?;
        if envelope.commitment != commitment(&self.salt, &self.detail) {
            return Err(LeafError::Commitment);
        }
        let time = Timestamp::from_millis(envelope.time);
        if time.as_millis() != envelope.time {
            return Err(LeafError::Envelope);
        }
        let act = u16::try_from(envelope.act)
            .ok()
            .and_then(Act::from_number)
            .ok_or(LeafError::Act(envelope.act))?;
        let event = Event {
            time,
            act,
            done: envelope.done,
            detail: decode_detail(&self.detail).map_err(|_| LeafError::Detail)?,
        };
        // The one spelling: a leaf that means the same in other bytes is not this leaf.
        if Self::seal(&event, self.salt) != *self {
            return Err(LeafError::Encoding);
        }
        Ok(event)
    }

    /// The leaf hash of the envelope (RFC 6962 section 2.1): `SHA-256(0x00 || envelope)`.
    #[must_use]
    pub fn hash(&self) -> Hash {
        tlog_tiles::record_hash(&self.envelope)
    }
}

/// What an envelope tells by itself: when, what, and whether it was done.
///
/// # Errors
///
/// When [`Leaf::seal`] cannot have made these bytes.
pub fn outside(envelope: &[u8]) -> Result<(Timestamp, Act, bool), LeafError> {
    let decoded = Envelope::decode(envelope).map_err(|error| match error {
        DecodeError::Malformed => LeafError::Envelope,
        DecodeError::Version(version) => LeafError::Version(version),
    })?;
    let time = Timestamp::from_millis(decoded.time);
    if time.as_millis() != decoded.time {
        return Err(LeafError::Envelope);
    }
    let act = u16::try_from(decoded.act)
        .ok()
        .and_then(Act::from_number)
        .ok_or(LeafError::Act(decoded.act))?;
    if decoded.encode() != envelope {
        return Err(LeafError::Encoding);
    }
    Ok((time, act, decoded.done))
}

fn commitment(salt: &[u8; 32], detail: &[u8]) -> [u8; 32] {
    Sha256::new()
        .chain_update(salt)
        .chain_update(detail)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;
    use strongroom_wire::id::{AccountId, GrantId, KeyId, SessionId};

    use super::*;
    use crate::event::Detail;

    fn details() -> impl Strategy<Value = Detail> {
        let id = || prop::option::of(any::<[u8; 16]>());
        (
            (
                id(),
                id(),
                prop::option::of(any::<std::net::IpAddr>()),
                id(),
            ),
            (id(), prop::option::of(any::<u32>()), id(), id()),
            prop::option::of(".{0,64}"),
            prop::option::of(any::<[u8; 32]>()),
        )
            .prop_map(
                |(
                    (actor, session, source, subject),
                    (key, key_version, owner, grant),
                    note,
                    rows,
                )| {
                    Detail {
                        actor: actor.map(AccountId::from_bytes),
                        session: session.map(SessionId::from_bytes),
                        source,
                        subject: subject.map(AccountId::from_bytes),
                        key: key.map(KeyId::from_bytes),
                        key_version,
                        owner: owner.map(AccountId::from_bytes),
                        grant: grant.map(GrantId::from_bytes),
                        note,
                        rows,
                    }
                },
            )
    }

    fn events() -> impl Strategy<Value = Event> {
        let time = any::<u64>().prop_map(|time| Timestamp::from_millis(time >> 16));
        let act = prop::sample::select(Act::ALL);
        (time, act, any::<bool>(), details()).prop_map(|(time, act, done, detail)| Event {
            time,
            act,
            done,
            detail,
        })
    }

    /// What an attacker may do to bytes: alter, insert, remove or append one.
    fn mutate(bytes: &mut Vec<u8>, kind: u8, at: prop::sample::Index, value: u8) {
        match kind {
            0 => {
                let at = at.index(bytes.len());
                bytes[at] ^= value.max(1);
            }
            1 => bytes.insert(at.index(bytes.len() + 1), value),
            2 => {
                bytes.remove(at.index(bytes.len()));
            }
            _ => bytes.push(value),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn what_is_sealed_opens(event in events(), salt: [u8; 32]) {
            let leaf = Leaf::seal(&event, salt);
            prop_assert_eq!(leaf.open().unwrap(), event);
        }

        #[test]
        fn an_altered_envelope_is_refused_or_means_itself(
            event in events(), kind in 0u8..4, at: prop::sample::Index, value: u8,
        ) {
            let mut leaf = Leaf::seal(&event, [7; 32]);
            mutate(&mut leaf.envelope, kind, at, value);
            if let Ok(opened) = leaf.open() {
                prop_assert_ne!(&opened, &event);
                prop_assert_eq!(Leaf::seal(&opened, [7; 32]), leaf);
            }
        }

        #[test]
        fn an_altered_detail_is_refused(event in events(), kind in 0u8..4, at: prop::sample::Index, value: u8) {
            let mut leaf = Leaf::seal(&event, [7; 32]);
            mutate(&mut leaf.detail, kind, at, value);
            prop_assert_eq!(leaf.open(), Err(LeafError::Commitment));
        }

        /// Even who makes up a commitment to the altered detail gets no second spelling of an event.
        #[test]
        fn a_detail_has_one_spelling(event in events(), kind in 0u8..4, at: prop::sample::Index, value: u8) {
            let mut leaf = Leaf::seal(&event, [7; 32]);
            mutate(&mut leaf.detail, kind, at, value);
            recommit(&mut leaf);
            if let Ok(opened) = leaf.open() {
                prop_assert_ne!(&opened, &event);
                prop_assert_eq!(Leaf::seal(&opened, [7; 32]), leaf);
            }
        }

        #[test]
        fn no_bytes_make_it_fail_otherwise(envelope: Vec<u8>, detail: Vec<u8>) {
            let mut leaf = Leaf { envelope, salt: [0; 32], detail };
            prop_assert!(leaf.open().is_err());
            leaf.envelope = Leaf::seal(&event(), [0; 32]).envelope;
            recommit(&mut leaf);
            if let Ok(opened) = leaf.open() {
                prop_assert_eq!(Leaf::seal(&opened, [0; 32]), leaf);
            }
        }
    }

    fn event() -> Event {
        Event {
            time: Timestamp::from_millis(1_795_802_400_123),
            act: Act::KeyRelease,
            done: false,
            detail: Detail {
                key_version: Some(3),
                ..Detail::default()
            },
        }
    }

    /// Writes the commitment to the leaf's present detail into its envelope, where it is the last 32 bytes.
    fn recommit(leaf: &mut Leaf) {
        let at = leaf.envelope.len() - 32;
        let commitment = commitment(&leaf.salt, &leaf.detail);
        leaf.envelope[at..].copy_from_slice(&commitment);
    }

    fn with_detail(detail: &[u8]) -> Leaf {
        let mut leaf = Leaf::seal(&event(), [1; 32]);
        leaf.detail = detail.to_vec();
        recommit(&mut leaf);
        leaf
    }

    #[test]
    fn each_departure_from_the_deterministic_encoding_is_refused() {
        // {6: 3} as it must be, then in other spellings.
        assert_eq!(with_detail(&[0xa1, 0x06, 0x03]).open().unwrap(), event());
        for (what, detail) in [
            ("a longer integer", vec![0xa1, 0x06, 0x18, 0x03]),
            ("a longer map head", vec![0xb8, 0x01, 0x06, 0x03]),
            ("a longer member number", vec![0xa1, 0x18, 0x06, 0x03]),
            ("a member twice", vec![0xa2, 0x06, 0x03, 0x06, 0x03]),
            ("members out of order", vec![0xa2, 0x09, 0x60, 0x06, 0x03]),
        ] {
            let opened = with_detail(&detail).open();
            assert_eq!(opened, Err(LeafError::Encoding), "{what}");
        }
        for (what, detail) in [
            ("a map without end mark", vec![0xbf, 0x06, 0x03, 0xff]),
            ("an unknown member", vec![0xa1, 0x0b, 0x03]),
            ("a hash of rows of 3 bytes", vec![0xa1, 0x0a, 0x43, 1, 2, 3]),
            ("bytes after the end", vec![0xa1, 0x06, 0x03, 0x00]),
            ("a short map", vec![0xa2, 0x06, 0x03]),
            (
                "an address of 5 bytes",
                vec![0xa1, 0x03, 0x45, 1, 2, 3, 4, 5],
            ),
            ("text that is not UTF-8", vec![0xa1, 0x09, 0x61, 0xff]),
            ("a tag", vec![0xa1, 0x06, 0xc0, 0x03]),
        ] {
            let opened = with_detail(&detail).open();
            assert_eq!(opened, Err(LeafError::Detail), "{what}");
        }
    }

    #[test]
    fn versions_acts_and_times_of_another_age_are_refused() {
        let sealed = Leaf::seal(&event(), [1; 32]);
        let with_envelope = |envelope: &[u8]| Leaf {
            envelope: envelope.to_vec(),
            ..sealed.clone()
        };
        assert_eq!(
            with_envelope(&[0x82, 0x02, 0x00]).open(),
            Err(LeafError::Version(2))
        );
        let remade = |time, act| {
            let commitment = commitment(&sealed.salt, &sealed.detail);
            let envelope = Envelope {
                time,
                act,
                done: true,
                commitment,
            };
            with_envelope(&envelope.encode()).open()
        };
        assert_eq!(remade(0, 9999), Err(LeafError::Act(9999)));
        // The low 16 bits alone would be `key.release`.
        assert_eq!(remade(0, 65_536 + 31), Err(LeafError::Act(65_567)));
        assert_eq!(remade(u64::MAX, 31), Err(LeafError::Envelope));
        assert_eq!(remade(5, 31).unwrap().time, Timestamp::from_millis(5));
    }

    #[test]
    fn a_long_note_is_cut_at_a_character() {
        let mut long = event();
        // 1023 bytes, then a character of two bytes across the limit.
        long.detail.note = Some(format!("{}é and more", "x".repeat(1023)));
        let opened = Leaf::seal(&long, [2; 32]).open().unwrap();
        assert_eq!(opened.detail.note, Some("x".repeat(1023)));

        long.detail.note = Some("y".repeat(Detail::NOTE_MAX));
        assert_eq!(Leaf::seal(&long, [2; 32]).open().unwrap(), long);
    }

    #[test]
    fn a_note_longer_than_permitted_does_not_open() {
        let mut detail = vec![0xa1, 0x09, 0x79, 0x04, 0x01];
        detail.extend([b'z'; 1025]);
        assert_eq!(with_detail(&detail).open(), Err(LeafError::Encoding));
    }

    #[test]
    fn the_salt_hides_equal_details() {
        let (one, two) = (Leaf::seal(&event(), [1; 32]), Leaf::seal(&event(), [2; 32]));
        assert_eq!(one.detail, two.detail);
        assert_ne!(one.envelope, two.envelope);
        assert!(one.hash() != two.hash());
    }
}
