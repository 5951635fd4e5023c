//! Times on the command line.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::civil;
use jiff::tz::TimeZone;
use strongroom_wire::encoding::Timestamp;

const DAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

/// A moment from the command line: RFC 3339, a time or day of this machine's time zone, or a distance from now. A day is its beginning.
pub(crate) fn parse(text: &str) -> Result<Timestamp, String> {
    parse_at(text, now(), &TimeZone::system(), Edge::Beginning)
}

/// As [`parse`], but a day is its end: until Friday is until Friday is over.
pub(crate) fn parse_end(text: &str) -> Result<Timestamp, String> {
    parse_at(text, now(), &TimeZone::system(), Edge::End)
}

/// A span of time in seconds, such as 90s, 15m or 2h.
pub(crate) fn span(text: &str) -> Result<u32, String> {
    let wrong = || "a span of time is one such as 90s, 15m, 2h or 7d".to_owned();
    let seconds = seconds(text).ok_or_else(wrong)?;
    u32::try_from(seconds).map_err(|_| wrong())
}

/// The day of the week with this name, or its first three letters; Monday is 0.
pub(crate) fn weekday(text: &str) -> Option<usize> {
    let text = text.to_ascii_lowercase();
    DAYS.iter()
        .position(|day| *day == text || day[..3] == *text)
}

/// The present moment.
pub(crate) fn now() -> Timestamp {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
    let millis = elapsed.map_or(0, |elapsed| elapsed.as_millis());
    Timestamp::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

/// Which moment of a day is meant.
#[derive(Clone, Copy)]
enum Edge {
    Beginning,
    End,
}

fn parse_at(text: &str, now: Timestamp, zone: &TimeZone, edge: Edge) -> Result<Timestamp, String> {
    let wrong = || {
        "a time is one such as 2026-11-27T18:00:00Z, a day such as 2026-11-27, today, tomorrow or friday, or a distance from now \
         such as +90m, +12h or -7d"
            .to_owned()
    };
    if let Some(distance) = text.strip_prefix('+') {
        let seconds = seconds(distance).ok_or_else(wrong)?;
        return Ok(now.plus_seconds(seconds));
    }
    if let Some(distance) = text.strip_prefix('-') {
        let millis = seconds(distance)
            .and_then(|seconds| seconds.checked_mul(1000))
            .ok_or_else(wrong)?;
        return Ok(Timestamp::from_millis(
            now.as_millis().saturating_sub(millis),
        ));
    }
    if let Ok(moment) = text.parse() {
        return Ok(moment);
    }
    local(text, now, zone, edge).ok_or_else(wrong)
}

/// A day, or a time of a day, by the clock of this machine's time zone.
fn local(text: &str, now: Timestamp, zone: &TimeZone, edge: Edge) -> Option<Timestamp> {
    let millis = i64::try_from(now.as_millis()).ok()?;
    let now = jiff::Timestamp::from_millisecond(millis).ok()?;
    let today = now.to_zoned(zone.clone()).date();
    let time = if let Some(day) = day(text, today) {
        match edge {
            Edge::Beginning => day.to_datetime(civil::Time::midnight()),
            Edge::End => day.tomorrow().ok()?.to_datetime(civil::Time::midnight()),
        }
    } else {
        text.parse::<civil::DateTime>().ok()?
    };
    let moment = time.to_zoned(zone.clone()).ok()?.timestamp();
    let millis = u64::try_from(moment.as_millisecond()).ok()?;
    Some(Timestamp::from_millis(millis))
}

fn day(text: &str, today: civil::Date) -> Option<civil::Date> {
    if text.len() == "2026-11-27".len() {
        return text.parse().ok();
    }
    match text.to_ascii_lowercase().as_str() {
        "today" => Some(today),
        "tomorrow" => today.tomorrow().ok(),
        name => {
            // The next one, which may be today.
            let wanted = weekday(name)?;
            let present = usize::try_from(today.weekday().to_monday_zero_offset()).ok()?;
            let ahead = i64::try_from((wanted + 7 - present) % 7).ok()?;
            today.checked_add(jiff::Span::new().days(ahead)).ok()
        }
    }
}

fn seconds(distance: &str) -> Option<u64> {
    let unit = distance.chars().last()?;
    let number = distance.strip_suffix(unit)?;
    let number = number
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| number.parse::<u64>().ok())??;
    number.checked_mul(match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 24 * 3600,
        'w' => 7 * 24 * 3600,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn zurich() -> TimeZone {
        TimeZone::get("Europe/Zurich").unwrap()
    }

    #[test]
    fn every_form_of_a_time() {
        // A Friday.
        let now: Timestamp = "2026-11-27T18:00:00Z".parse().unwrap();
        for (text, beginning, end) in [
            ("2026-11-28T19:00:00+01:00", "2026-11-28T18:00:00Z", None),
            ("2026-12-01T08:30:00", "2026-12-01T07:30:00Z", None),
            ("+90m", "2026-11-27T19:30:00Z", None),
            ("+12h", "2026-11-28T06:00:00Z", None),
            ("-7d", "2026-11-20T18:00:00Z", None),
            ("+1w", "2026-12-04T18:00:00Z", None),
            ("+0s", "2026-11-27T18:00:00Z", None),
            (
                "2026-12-01",
                "2026-11-30T23:00:00Z",
                Some("2026-12-01T23:00:00Z"),
            ),
            // Over a change of the clock.
            (
                "2026-07-01",
                "2026-06-30T22:00:00Z",
                Some("2026-07-01T22:00:00Z"),
            ),
            (
                "today",
                "2026-11-26T23:00:00Z",
                Some("2026-11-27T23:00:00Z"),
            ),
            (
                "friday",
                "2026-11-26T23:00:00Z",
                Some("2026-11-27T23:00:00Z"),
            ),
            (
                "Tomorrow",
                "2026-11-27T23:00:00Z",
                Some("2026-11-28T23:00:00Z"),
            ),
            ("sat", "2026-11-27T23:00:00Z", Some("2026-11-28T23:00:00Z")),
            (
                "thursday",
                "2026-12-02T23:00:00Z",
                Some("2026-12-03T23:00:00Z"),
            ),
        ] {
            let at = |edge| parse_at(text, now, &zurich(), edge).unwrap();
            assert_eq!(at(Edge::Beginning), beginning.parse().unwrap(), "{text}");
            assert_eq!(
                at(Edge::End),
                end.unwrap_or(beginning).parse().unwrap(),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "+",
            "-",
            "+d",
            "+1",
            "+1y",
            "++1d",
            "+-1d",
            "someday",
            "fr",
            "2026-13-01",
            "+99999999999999999w",
        ] {
            assert!(parse(text).is_err(), "{text}");
            assert!(parse_end(text).is_err(), "{text}");
        }
        assert_eq!(span("15m"), Ok(900));
        for text in ["", "15", "-1m", "1y", "99999999999d"] {
            assert!(span(text).is_err(), "{text}");
        }
    }
}
