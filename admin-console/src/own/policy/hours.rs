//! Hours as a line of text, such as `mon-fri 08:00-18:00 Europe/Zurich`.

use strongroom_wire::policy::{Hours, Weekday};

const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

pub(super) fn hours_line(hours: &Hours) -> String {
    let days = hours.days.as_ref().map_or_else(
        || "daily".to_owned(),
        |days| {
            let names: Vec<&str> = DAYS
                .iter()
                .filter(|(_, day)| days.contains(day))
                .map(|(name, _)| *name)
                .collect();
            names.join(",")
        },
    );
    format!("{days} {}-{} {}", hours.from, hours.until, hours.zone)
}

pub(super) fn read_hours(line: &str) -> Option<Hours> {
    let mut parts = line.split_whitespace();
    let (days, span) = (parts.next()?, parts.next()?);
    let zone = parts.next().unwrap_or("UTC").to_owned();
    let (from, until) = span.split_once('-')?;
    let days = days.to_lowercase();
    let place = |name: &str| {
        DAYS.iter()
            .position(|(known, _)| name.get(..3) == Some(known))
    };
    let days = if days == "daily" {
        None
    } else {
        let mut found = Vec::new();
        for part in days.split(',') {
            let (first, last) = match part.split_once('-') {
                Some((first, last)) => (place(first)?, place(last)?),
                None => (place(part)?, place(part)?),
            };
            let mut at = first;
            loop {
                found.push(DAYS.get(at)?.1);
                if at == last {
                    break;
                }
                at = (at + 1) % 7;
            }
        }
        found.sort_unstable();
        found.dedup();
        Some(found)
    };
    Some(Hours {
        days,
        from: from.parse().ok()?,
        until: until.parse().ok()?,
        zone,
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn hours_are_written_as_they_are_read() {
        for (line, again) in [
            (
                "mon-fri 08:00-18:00 Europe/Zurich",
                "mon,tue,wed,thu,fri 08:00-18:00 Europe/Zurich",
            ),
            ("daily 22:00-06:00", "daily 22:00-06:00 UTC"),
            ("Saturday,sun 00:00-24:00 UTC", "sat,sun 00:00-24:00 UTC"),
            ("sat-mon 09:00-10:00 UTC", "mon,sat,sun 09:00-10:00 UTC"),
        ] {
            let read = read_hours(line).unwrap();
            assert_eq!(hours_line(&read), again);
            assert_eq!(read_hours(again).unwrap(), read);
        }
        for wrong in [
            "",
            "mon",
            "mon 8-18",
            "someday 08:00-09:00",
            "mon 08:00",
            "mon- 08:00-09:00",
        ] {
            assert!(read_hours(wrong).is_none(), "{wrong}");
        }
    }
}
