//! Hours of the day, on days of the week, in a time zone.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

/// A day of the week.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Weekday {
    /// The first day of the week (ISO 8601).
    Monday,
    /// The second.
    Tuesday,
    /// The third.
    Wednesday,
    /// The fourth.
    Thursday,
    /// The fifth.
    Friday,
    /// The sixth.
    Saturday,
    /// The last.
    Sunday,
}

impl Weekday {
    /// Every day, from Monday on, in the order of their bits in the canonical encoding.
    pub const ALL: [Self; 7] = [
        Self::Monday,
        Self::Tuesday,
        Self::Wednesday,
        Self::Thursday,
        Self::Friday,
        Self::Saturday,
        Self::Sunday,
    ];
}

/// A span of hours that comes again on certain days of the week, by the clock of a time zone: it moves with daylight saving time there.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Hours {
    /// The days on which it begins; every day where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<Vec<Weekday>>,
    /// Its beginning.
    pub from: TimeOfDay,
    /// Its end, at which it is over. Where that is not later than its beginning, it is on the day after.
    pub until: TimeOfDay,
    /// The time zone: `UTC`, or a name of the IANA time zone database such as `Europe/Zurich`.
    pub zone: String,
}

/// A time of the day to the minute, from `00:00` to `24:00`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, ToSchema)]
#[schema(value_type = String, examples("08:00"))]
pub struct TimeOfDay(u16);

impl TimeOfDay {
    /// The end of the day.
    pub const MIDNIGHT: Self = Self(24 * 60);

    /// The time so many minutes after the beginning of the day; none beyond 24:00.
    #[must_use]
    pub const fn from_minutes(minutes: u16) -> Option<Self> {
        if minutes > Self::MIDNIGHT.0 {
            return None;
        }
        Some(Self(minutes))
    }

    /// Minutes since the beginning of the day, 0 to 1440.
    #[must_use]
    pub const fn minutes(self) -> u16 {
        self.0
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl fmt::Debug for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for TimeOfDay {
    type Err = MalformedTimeOfDay;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let part = |text: &str, most: u16| {
            let number = (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit()))
                .then(|| text.parse::<u16>().ok())??;
            (number <= most).then_some(number)
        };
        text.split_once(':')
            .and_then(|(hours, minutes)| Some(part(hours, 24)? * 60 + part(minutes, 59)?))
            .and_then(Self::from_minutes)
            .ok_or(MalformedTimeOfDay)
    }
}

impl Serialize for TimeOfDay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The text is no time of the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a time of the day is written as 08:00, from 00:00 to 24:00")]
pub struct MalformedTimeOfDay;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn times_of_the_day() {
        for (text, minutes) in [
            ("00:00", 0),
            ("08:30", 510),
            ("23:59", 1439),
            ("24:00", 1440),
        ] {
            let time: TimeOfDay = text.parse().unwrap();
            assert_eq!(time.minutes(), minutes);
            assert_eq!(time.to_string(), text);
        }
        for wrong in [
            "", "8:00", "08:60", "24:01", "25:00", "08", "+8:00", "08:00:00",
        ] {
            assert!(wrong.parse::<TimeOfDay>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn days_are_in_the_order_of_the_week() {
        assert!(Weekday::ALL.is_sorted());
    }
}
