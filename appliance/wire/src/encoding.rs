//! Bytes and times as they stand in JSON.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use utoipa::ToSchema;

/// Bytes, in JSON as base64url without padding (RFC 4648 section 5).
///
/// `Debug` prints the length only: such bytes are often tokens, protocol messages or wrapped keys.
#[derive(Clone, PartialEq, Eq, Default, ToSchema)]
#[schema(value_type = String, format = Byte)]
pub struct Base64(pub Vec<u8>);

impl Base64 {
    /// The bytes in base64url.
    #[must_use]
    pub fn to_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.0)
    }
}

impl From<Vec<u8>> for Base64 {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<&[u8]> for Base64 {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl FromStr for Base64 {
    type Err = MalformedBase64;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        URL_SAFE_NO_PAD
            .decode(text)
            .map(Self)
            .map_err(|_| MalformedBase64)
    }
}

impl fmt::Debug for Base64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Base64({} bytes)", self.0.len())
    }
}

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_text())
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The text is not base64url without padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("bytes are written in base64url without padding")]
pub struct MalformedBase64;

/// A moment, in milliseconds since 1970-01-01T00:00:00Z; in JSON as RFC 3339 in UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ToSchema)]
#[schema(value_type = String, format = DateTime)]
pub struct Timestamp(u64);

/// RFC 3339 with three digits of a second, so that times have one length and sort as text.
const MILLISECONDS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// 9999-12-31T23:59:59.999Z, the last moment that RFC 3339 can write.
const LAST_MILLIS: u64 = 253_402_300_799_999;

impl Timestamp {
    /// The moment this many milliseconds after 1970; times past the year 9999 become its last millisecond.
    #[must_use]
    pub fn from_millis(millis: u64) -> Self {
        Self(millis.min(LAST_MILLIS))
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// This moment and `seconds` less; 1970 at the earliest.
    #[must_use]
    pub fn minus_seconds(self, seconds: u64) -> Self {
        Self(self.0.saturating_sub(seconds.saturating_mul(1000)))
    }

    /// This moment and `seconds` more.
    #[must_use]
    pub fn plus_seconds(self, seconds: u64) -> Self {
        Self::from_millis(self.0.saturating_add(seconds.saturating_mul(1000)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = i128::from(self.0) * 1_000_000;
        let moment = OffsetDateTime::from_unix_timestamp_nanos(nanos).map_err(|_| fmt::Error)?;
        f.write_str(&moment.format(MILLISECONDS).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Timestamp {
    type Err = MalformedTimestamp;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let moment = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| MalformedTimestamp)?;
        u64::try_from(moment.unix_timestamp_nanos() / 1_000_000)
            .map(Self::from_millis)
            .map_err(|_| MalformedTimestamp)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The text is no moment after 1970 in RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a time is written as in RFC 3339, such as 2026-11-27T18:00:00Z, and lies after 1970")]
pub struct MalformedTimestamp;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn times_are_rfc_3339_in_utc() {
        let moment = Timestamp::from_millis(1_795_802_400_123);
        let json = serde_json::to_string(&moment).unwrap();
        assert_eq!(json, "\"2026-11-27T18:00:00.123Z\"");
        assert_eq!(serde_json::from_str::<Timestamp>(&json).unwrap(), moment);
        assert_eq!(
            Timestamp::from_millis(0).to_string(),
            "1970-01-01T00:00:00.000Z"
        );
        let zoned: Timestamp = "2026-11-27T19:00:00.123+01:00".parse().unwrap();
        assert_eq!(zoned, moment);
    }

    #[test]
    fn bad_times_are_refused_and_absurd_ones_still_print() {
        for text in [
            "",
            "tomorrow",
            "1969-12-31T23:59:59Z",
            "2026-13-01T00:00:00Z",
        ] {
            assert_eq!(text.parse::<Timestamp>(), Err(MalformedTimestamp), "{text}");
        }
        let last = Timestamp::from_millis(u64::MAX);
        assert_eq!(last.to_string(), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn bytes_are_base64url_and_debug_hides_them() {
        let bytes = Base64(vec![0xfb, 0xff, 0x00]);
        assert_eq!(serde_json::to_string(&bytes).unwrap(), "\"-_8A\"");
        assert_eq!(serde_json::from_str::<Base64>("\"-_8A\"").unwrap(), bytes);
        assert!(serde_json::from_str::<Base64>("\"+/8A\"").is_err());
        assert_eq!(format!("{bytes:?}"), "Base64(3 bytes)");
    }
}
