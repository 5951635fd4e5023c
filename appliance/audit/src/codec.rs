//! Envelope and detail as deterministic CBOR (RFC 8949 section 4.2.1).
//!
//! The decoders read any well-formed encoding of the right shape; [`Leaf::open`](crate::Leaf::open) then encodes again and
//! compares, so that each event has one spelling and no other is accepted.

use std::convert::Infallible;
use std::net::IpAddr;

use minicbor::{Decoder, Encoder, decode, encode};
use strongroom_wire::id::{AccountId, GrantId, KeyId, SessionId};

use crate::event::Detail;

/// The version of envelope and detail that is written here: the envelope's first element.
pub(crate) const VERSION: u64 = 1;

/// The public part of a leaf.
pub(crate) struct Envelope {
    /// Milliseconds since 1970.
    pub(crate) time: u64,
    /// The act's number.
    pub(crate) act: u64,
    /// Whether it was done.
    pub(crate) done: bool,
    /// The commitment to the detail.
    pub(crate) commitment: [u8; 32],
}

/// Why bytes could not be decoded.
pub(crate) enum DecodeError {
    /// Not CBOR of the right shape.
    Malformed,
    /// An envelope of another version.
    Version(u64),
}

impl From<decode::Error> for DecodeError {
    fn from(_: decode::Error) -> Self {
        Self::Malformed
    }
}

impl Envelope {
    /// `[version, time, act, done, commitment]`.
    pub(crate) fn encode(&self) -> Vec<u8> {
        encoded(|cbor| {
            cbor.array(5)?
                .u64(VERSION)?
                .u64(self.time)?
                .u64(self.act)?
                .bool(self.done)?
                .bytes(&self.commitment)?;
            Ok(())
        })
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut cbor = Decoder::new(bytes);
        let length = cbor.array()?;
        // The version comes before the length is judged: another version may have more elements.
        let version = cbor.u64()?;
        if version != VERSION {
            return Err(DecodeError::Version(version));
        }
        let envelope = Self {
            time: cbor.u64()?,
            act: cbor.u64()?,
            done: cbor.bool()?,
            commitment: array(cbor.bytes()?)?,
        };
        if length != Some(5) || cbor.position() != bytes.len() {
            return Err(DecodeError::Malformed);
        }
        Ok(envelope)
    }
}

/// What a proof's file has of its leaf: `[envelope, salt, detail]`, or `[envelope]`.
pub(crate) fn encode_extra(envelope: &[u8], inside: Option<(&[u8; 32], &[u8])>) -> Vec<u8> {
    encoded(|cbor| {
        match inside {
            None => cbor.array(1)?.bytes(envelope)?,
            Some((salt, detail)) => cbor.array(3)?.bytes(envelope)?.bytes(salt)?.bytes(detail)?,
        };
        Ok(())
    })
}

/// The envelope, and what is inside.
pub(crate) type Extra = (Vec<u8>, Option<([u8; 32], Vec<u8>)>);

pub(crate) fn decode_extra(bytes: &[u8]) -> Result<Extra, DecodeError> {
    let mut cbor = Decoder::new(bytes);
    let length = cbor.array()?;
    let envelope = cbor.bytes()?.to_vec();
    let inside = match length {
        Some(1) => None,
        Some(3) => Some((array(cbor.bytes()?)?, cbor.bytes()?.to_vec())),
        _ => return Err(DecodeError::Malformed),
    };
    if cbor.position() != bytes.len() {
        return Err(DecodeError::Malformed);
    }
    Ok((envelope, inside))
}

/// A map from the numbers below to what is there, in ascending order.
pub(crate) fn encode_detail(detail: &Detail) -> Vec<u8> {
    let source = detail.source.map(|address| match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    });
    let members: Vec<(u8, Member<'_>)> = [
        (1, detail.actor.as_ref().map(|id| Member::id(id.as_bytes()))),
        (
            2,
            detail.session.as_ref().map(|id| Member::id(id.as_bytes())),
        ),
        (3, source.as_deref().map(Member::Bytes)),
        (
            4,
            detail.subject.as_ref().map(|id| Member::id(id.as_bytes())),
        ),
        (5, detail.key.as_ref().map(|id| Member::id(id.as_bytes()))),
        (6, detail.key_version.map(Member::Number)),
        (7, detail.owner.as_ref().map(|id| Member::id(id.as_bytes()))),
        (8, detail.grant.as_ref().map(|id| Member::id(id.as_bytes()))),
        (9, detail.note.as_deref().map(Member::note)),
        (10, detail.rows.as_ref().map(|hash| Member::Bytes(hash))),
    ]
    .into_iter()
    .filter_map(|(number, member)| member.map(|member| (number, member)))
    .collect();

    encoded(|cbor| {
        cbor.map(members.len() as u64)?;
        for (number, member) in members {
            cbor.u8(number)?;
            match member {
                Member::Bytes(bytes) => cbor.bytes(bytes)?,
                Member::Number(number) => cbor.u32(number)?,
                Member::Text(text) => cbor.str(text)?,
            };
        }
        Ok(())
    })
}

pub(crate) fn decode_detail(bytes: &[u8]) -> Result<Detail, DecodeError> {
    let mut cbor = Decoder::new(bytes);
    let mut detail = Detail::default();
    let length = cbor.map()?.ok_or(DecodeError::Malformed)?;
    for _ in 0..length {
        match cbor.u8()? {
            1 => detail.actor = Some(AccountId::from_bytes(array(cbor.bytes()?)?)),
            2 => detail.session = Some(SessionId::from_bytes(array(cbor.bytes()?)?)),
            3 => detail.source = Some(address(cbor.bytes()?)?),
            4 => detail.subject = Some(AccountId::from_bytes(array(cbor.bytes()?)?)),
            5 => detail.key = Some(KeyId::from_bytes(array(cbor.bytes()?)?)),
            6 => detail.key_version = Some(cbor.u32()?),
            7 => detail.owner = Some(AccountId::from_bytes(array(cbor.bytes()?)?)),
            8 => detail.grant = Some(GrantId::from_bytes(array(cbor.bytes()?)?)),
            9 => detail.note = Some(cbor.str()?.to_owned()),
            10 => detail.rows = Some(array(cbor.bytes()?)?),
            _ => return Err(DecodeError::Malformed),
        }
    }
    if cbor.position() != bytes.len() {
        return Err(DecodeError::Malformed);
    }
    Ok(detail)
}

/// A value of the detail's map.
enum Member<'a> {
    Bytes(&'a [u8]),
    Number(u32),
    Text(&'a str),
}

impl<'a> Member<'a> {
    fn id(bytes: &'a [u8; 16]) -> Self {
        Self::Bytes(bytes)
    }

    fn note(text: &'a str) -> Self {
        Self::Text(&text[..text.floor_char_boundary(Detail::NOTE_MAX)])
    }
}

fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N], DecodeError> {
    bytes.try_into().map_err(|_| DecodeError::Malformed)
}

fn address(bytes: &[u8]) -> Result<IpAddr, DecodeError> {
    match bytes.len() {
        4 => array::<4>(bytes).map(IpAddr::from),
        _ => array::<16>(bytes).map(IpAddr::from),
    }
}

type Written = Result<(), encode::Error<Infallible>>;

fn encoded(write: impl FnOnce(&mut Encoder<Vec<u8>>) -> Written) -> Vec<u8> {
    let mut cbor = Encoder::new(Vec::new());
    #[expect(
        clippy::expect_used,
        reason = "a Vec takes every write (its error type is Infallible), and the closures here call only the encoder"
    )]
    write(&mut cbor).expect("a vector takes every write");
    cbor.into_writer()
}
