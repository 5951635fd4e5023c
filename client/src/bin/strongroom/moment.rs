//! Times on the command line.

use std::time::{SystemTime, UNIX_EPOCH};

use strongroom_wire::encoding::Timestamp;

/// A moment from the command line: RFC 3339, a date, or a distance from now.
pub(crate) fn parse(text: &str) -> Result<Timestamp, String> {
    parse_at(text, now())
}

/// The present moment.
pub(crate) fn now() -> Timestamp {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
    let millis = elapsed.map_or(0, |elapsed| elapsed.as_millis());
    Timestamp::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

fn parse_at(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let wrong = || {
        "a time is one such as 2026-11-27T18:00:00Z, a date such as 2026-11-27, or a distance from now such as +90m, +12h \
         or -7d"
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
    let full = if text.len() == "2026-11-27".len() {
        format!("{text}T00:00:00Z")
    } else {
        text.to_owned()
    };
    full.parse().map_err(|_| wrong())
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

    #[test]
    fn the_three_forms() {
        let now: Timestamp = "2026-11-27T18:00:00Z".parse().unwrap();
        for (text, moment) in [
            ("2026-11-28T19:00:00+01:00", "2026-11-28T18:00:00Z"),
            ("2026-12-01", "2026-12-01T00:00:00Z"),
            ("+90m", "2026-11-27T19:30:00Z"),
            ("+12h", "2026-11-28T06:00:00Z"),
            ("-7d", "2026-11-20T18:00:00Z"),
            ("+1w", "2026-12-04T18:00:00Z"),
            ("+0s", "2026-11-27T18:00:00Z"),
        ] {
            assert_eq!(parse_at(text, now), Ok(moment.parse().unwrap()), "{text}");
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
            "tomorrow",
            "2026-13-01",
            "+99999999999999999w",
        ] {
            assert!(parse_at(text, now()).is_err(), "{text}");
        }
    }
}
