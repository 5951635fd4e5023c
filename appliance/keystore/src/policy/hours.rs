//! Hours of the day by the clock of a time zone. The zones are those of the IANA database that is built in: no file of the machine decides.

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
    let Some(zone) = zone(&hours.zone) else {
        return false;
    };
    let Some(moment) = i64::try_from(at.as_millis())
        .ok()
        .and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok())
    else {
        return false;
    };
    let local = moment.to_zoned(zone);
    let (hour, minute) = (local.hour().unsigned_abs(), local.minute().unsigned_abs());
    let now = u16::from(hour) * 60 + u16::from(minute);
    let today = usize::from(local.weekday().to_monday_zero_offset().unsigned_abs());
    let on = |day: usize| {
        let days = hours.days.as_ref();
        days.is_none_or(|days| days.contains(&Weekday::ALL[day % 7]))
    };
    let (from, until) = (hours.from.minutes(), hours.until.minutes());
    if from < until {
        on(today) && (from..until).contains(&now)
    } else {
        // Over midnight: the evening of today's, or the morning of yesterday's.
        (on(today) && from <= now) || (on(today + 6) && now < until)
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
