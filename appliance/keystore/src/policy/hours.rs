//! Hours of the day by the clock of a time zone. The zones are those of the IANA database that is built in: no file of the machine decides.

use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone};
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::policy::{Hours, Weekday};

use crate::error::Error;

/// The longest name of a zone, in bytes.
const LONGEST_ZONE: usize = 64;

/// Refuses what is in no hour at all, and a zone that is not known.
pub(super) fn check(hours: &Hours) -> Result<(), Error> {
    if hours.days.as_ref().is_some_and(Vec::is_empty) {
        return Err(Error::Invalid(
            "Hours on no day of the week allow nothing: leave days out for every day.".to_owned(),
        ));
    }
    if hours.zone.len() > LONGEST_ZONE || zone(&hours.zone).is_none() {
        return Err(Error::Invalid(
            "The time zone of a usage policy's hours is UTC or one of the IANA time zone database, such as Europe/Zurich."
                .to_owned(),
        ));
    }
    Ok(())
}

/// Whether the moment is in these hours. In a zone that is not known, no moment is.
pub(super) fn contain(hours: &Hours, at: Timestamp) -> bool {
    last_day(hours, at).is_some()
}

/// When the hours end in which this moment is; none when it is in none of them. Where they begin again at their end, that is an end too.
pub(super) fn end(hours: &Hours, at: Timestamp) -> Option<Timestamp> {
    let (day, zone) = last_day(hours, at)?;
    let until = hours.until.minutes();
    let (hour, minute) = (until / 60, until % 60);
    let midnight = if hour == 24 {
        day.tomorrow().ok()?
    } else {
        day
    };
    let end = midnight
        .at(
            i8::try_from(hour % 24).ok()?,
            i8::try_from(minute).ok()?,
            0,
            0,
        )
        .to_zoned(zone)
        .ok()?;
    let millis = u64::try_from(end.timestamp().as_millisecond()).ok()?;
    Some(Timestamp::from_millis(millis))
}

/// The day, in the zone of these hours, on which those end in which this moment is.
fn last_day(hours: &Hours, at: Timestamp) -> Option<(Date, TimeZone)> {
    let zone = zone(&hours.zone)?;
    let millis = i64::try_from(at.as_millis()).ok()?;
    let moment = jiff::Timestamp::from_millisecond(millis).ok()?;
    let local = moment.to_zoned(zone.clone());
    let (hour, minute) = (local.hour().unsigned_abs(), local.minute().unsigned_abs());
    let now = u16::from(hour) * 60 + u16::from(minute);
    let today = usize::from(local.weekday().to_monday_zero_offset().unsigned_abs());
    let on = |day: usize| {
        let days = hours.days.as_ref();
        days.is_none_or(|days| days.contains(&Weekday::ALL[day % 7]))
    };
    let (from, until) = (hours.from.minutes(), hours.until.minutes());
    if from < until {
        (on(today) && (from..until).contains(&now)).then(|| (local.date(), zone))
    } else if on(today) && from <= now {
        // Over midnight: the evening of today's …
        Some((local.date().tomorrow().ok()?, zone))
    } else {
        // … or the morning of yesterday's.
        (on(today + 6) && now < until).then(|| (local.date(), zone))
    }
}

fn zone(name: &str) -> Option<TimeZone> {
    if name == "UTC" {
        return Some(TimeZone::fixed(Offset::UTC));
    }
    TimeZone::get(name).ok()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn hours(days: &[Weekday], from: &str, until: &str, zone: &str) -> Hours {
        Hours {
            days: (!days.is_empty()).then(|| days.to_vec()),
            from: from.parse().unwrap(),
            until: until.parse().unwrap(),
            zone: zone.to_owned(),
        }
    }

    #[test]
    fn the_clock_of_the_zone_decides() {
        let office = hours(&Weekday::ALL[..5], "08:00", "18:00", "Europe/Zurich");
        for (moment, inside) in [
            // Winter: UTC+1. 27 November 2026 is a Friday.
            ("2026-11-27T06:59:59.999Z", false),
            ("2026-11-27T07:00:00Z", true),
            ("2026-11-27T16:59:59.999Z", true),
            ("2026-11-27T17:00:00Z", false),
            ("2026-11-28T12:00:00Z", false),
            // Summer: UTC+2.
            ("2026-07-03T05:59:59Z", false),
            ("2026-07-03T06:00:00Z", true),
            ("2026-07-03T16:00:00Z", false),
        ] {
            assert_eq!(
                contain(&office, moment.parse().unwrap()),
                inside,
                "{moment}"
            );
        }
    }

    #[test]
    fn hours_over_midnight_belong_to_the_day_on_which_they_begin() {
        let night = hours(&[Weekday::Friday], "22:00", "06:00", "UTC");
        for (moment, inside) in [
            ("2026-11-27T05:00:00Z", false),
            ("2026-11-27T21:59:00Z", false),
            ("2026-11-27T22:00:00Z", true),
            ("2026-11-28T05:59:00Z", true),
            ("2026-11-28T06:00:00Z", false),
            ("2026-11-28T23:00:00Z", false),
        ] {
            assert_eq!(contain(&night, moment.parse().unwrap()), inside, "{moment}");
        }
        let always = hours(&[], "09:00", "09:00", "America/New_York");
        let never_missing = (0..7 * 24).all(|hour: u64| {
            contain(
                &always,
                Timestamp::from_millis(1_764_547_200_000 + hour * 3_600_000),
            )
        });
        assert!(never_missing);
        let sunday = hours(&[Weekday::Sunday], "20:00", "04:00", "UTC");
        // Early on Monday.
        assert!(contain(&sunday, "2026-11-30T03:00:00Z".parse().unwrap()));
    }

    #[test]
    fn hours_end_by_the_clock_of_the_zone() {
        let office = hours(&Weekday::ALL[..5], "08:00", "18:00", "Europe/Zurich");
        let night = hours(&[Weekday::Friday], "22:00", "06:00", "UTC");
        let whole = hours(&[], "00:00", "24:00", "America/New_York");
        for (hours, moment, wanted) in [
            (
                &office,
                "2026-11-27T07:00:00Z",
                Some("2026-11-27T17:00:00Z"),
            ),
            (
                &office,
                "2026-07-03T15:59:59.999Z",
                Some("2026-07-03T16:00:00Z"),
            ),
            (&office, "2026-11-27T17:00:00Z", None),
            (&office, "2026-11-28T12:00:00Z", None),
            // From the evening, and from the morning after.
            (&night, "2026-11-27T22:00:00Z", Some("2026-11-28T06:00:00Z")),
            (&night, "2026-11-28T05:59:00Z", Some("2026-11-28T06:00:00Z")),
            (&whole, "2026-11-28T04:59:00Z", Some("2026-11-28T05:00:00Z")),
        ] {
            let wanted: Option<Timestamp> = wanted.map(|end| end.parse().unwrap());
            assert_eq!(end(hours, moment.parse().unwrap()), wanted, "{moment}");
        }
        // Over a whole year, with both changes of the clock: inside until the end, and over then.
        for hours in [&office, &night] {
            for half_hour in 0..2 * 24 * 365_u64 {
                let at = Timestamp::from_millis(1_764_547_200_000 + half_hour * 1_800_000);
                assert_eq!(end(hours, at).is_some(), contain(hours, at), "{at}");
                if let Some(end) = end(hours, at) {
                    assert!(end > at && !contain(hours, end), "{at}");
                    assert!(contain(hours, Timestamp::from_millis(end.as_millis() - 1)));
                }
            }
        }
    }

    #[test]
    fn a_zone_that_is_not_known_is_refused_and_allows_nothing() {
        let nowhere = hours(&[], "00:00", "24:00", "Mars/Olympus");
        assert!(matches!(check(&nowhere), Err(Error::Invalid(_))));
        assert!(!contain(&nowhere, "2026-11-27T12:00:00Z".parse().unwrap()));
        for zone in ["UTC", "Europe/Zurich", "Asia/Kathmandu"] {
            assert!(check(&hours(&[], "00:00", "24:00", zone)).is_ok(), "{zone}");
        }
        let mut none = hours(&[], "00:00", "24:00", "UTC");
        none.days = Some(Vec::new());
        assert!(check(&none).is_err());
    }
}
