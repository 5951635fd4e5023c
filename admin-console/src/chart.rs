//! Charts as SVG, with axes, a legend and a table behind each.

use askama::Template;
use strongroom_wire::encoding::Timestamp;

use crate::pieces::{Html, Table, count, utc, when};

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 10.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 26.0;
/// How many spans the vertical axis has at most.
const SPANS: u64 = 4;
/// How many labels the horizontal axis has at most.
const LABELS: usize = 6;
/// The looks of series: colour and dashes, so that they are told apart without colour.
const LOOKS: [&str; 3] = ["a", "b", "c"];

/// A chart of numbers over time.
pub(crate) struct Chart<'a> {
    /// What it shows, for those who hear it.
    pub(crate) about: &'a str,
    /// The moments, the oldest first.
    pub(crate) moments: Vec<Timestamp>,
    /// Names and values; as many values as moments.
    pub(crate) series: Vec<(&'a str, Vec<u64>)>,
    /// What a value is counted in, such as `ms`; nothing for numbers.
    pub(crate) unit: &'a str,
}

#[derive(Template)]
#[template(path = "chart.html")]
struct Drawn<'a> {
    about: &'a str,
    lines: Vec<(f64, String)>,
    labels: Vec<(f64, String)>,
    curves: Vec<(&'static str, String)>,
    legend: Vec<(&'static str, &'a str)>,
    table: Html,
    width: f64,
    height: f64,
    left: f64,
    right: f64,
    bottom: f64,
}

impl Chart<'_> {
    pub(crate) fn html(&self) -> Html {
        let most = self
            .series
            .iter()
            .flat_map(|(_, values)| values)
            .copied()
            .max();
        let (top, step) = scale(most.unwrap_or_default());
        let y = |value: u64| HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * ratio(value, top);
        let last = self.moments.len().saturating_sub(1).max(1);
        let x = |at: usize| LEFT + (WIDTH - LEFT - RIGHT) * ratio(at as u64, last as u64);
        let mut lines = Vec::new();
        let mut value = 0;
        while value <= top {
            lines.push((rounded(y(value)), format!("{}{}", count(value), self.unit)));
            value += step;
        }
        let every = self.moments.len().div_ceil(LABELS).max(1);
        let labels = self
            .moments
            .iter()
            .enumerate()
            .filter(|(at, _)| at % every == every / 2)
            .map(|(at, moment)| (rounded(x(at)), self.label(*moment)));
        let curves = self.series.iter().zip(LOOKS).map(|((_, values), look)| {
            let points = values.iter().enumerate().map(|(at, value)| {
                format!(
                    "{}{:.1} {:.1}",
                    if at == 0 { 'M' } else { 'L' },
                    x(at),
                    y(*value)
                )
            });
            (look, points.collect::<String>())
        });
        let drawn = Drawn {
            about: self.about,
            lines,
            labels: labels.collect(),
            curves: curves.collect(),
            legend: LOOKS
                .into_iter()
                .zip(self.series.iter().map(|(name, _)| *name))
                .collect(),
            table: self.table(),
            width: WIDTH,
            height: HEIGHT,
            left: LEFT,
            right: WIDTH - RIGHT,
            bottom: HEIGHT - BOTTOM,
        };
        Html::of(&drawn)
    }

    /// A day where the chart is of days, else a time.
    fn label(&self, moment: Timestamp) -> String {
        let span = self.moments.last().zip(self.moments.first());
        let days = span
            .is_some_and(|(last, first)| last.as_millis() - first.as_millis() > 3 * 24 * 3_600_000);
        let (text, _) = utc(moment);
        let (day, time) = text.split_once(", ").unwrap_or((&text, ""));
        if days {
            day.rsplit_once(' ').map_or(day, |(day, _)| day).to_owned()
        } else {
            time.trim_end_matches(" UTC").to_owned()
        }
    }

    /// The numbers themselves, the newest first; moments at which nothing happened are left out.
    fn table(&self) -> Html {
        let mut columns = vec!["When".to_owned()];
        columns.extend(self.series.iter().map(|(name, _)| format!("#{name}")));
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        let mut table = Table::new(format!("The numbers of: {}", self.about), &columns);
        for (at, moment) in self.moments.iter().enumerate().rev() {
            let values: Vec<u64> = self
                .series
                .iter()
                .map(|(_, values)| values.get(at).copied().unwrap_or_default())
                .collect();
            if values.iter().all(|value| *value == 0) {
                continue;
            }
            let mut cells = vec![when(*moment)];
            cells.extend(
                values
                    .iter()
                    .map(|value| Html::from(format!("{}{}", count(*value), self.unit))),
            );
            table.row(cells);
        }
        if table.is_empty() {
            return Html::fixed("<p class=\"soft\">Nothing in this time.</p>".to_owned());
        }
        table.html()
    }
}

/// The top of an axis that holds `most`, and the step of its lines: 1, 2 or 5 times a power of ten.
fn scale(most: u64) -> (u64, u64) {
    let mut power = 1_u64;
    loop {
        for factor in [1, 2, 5] {
            let step = factor * power;
            if step.saturating_mul(SPANS) >= most.max(1) {
                return (step.saturating_mul(most.max(1).div_ceil(step)), step);
            }
        }
        power = power.saturating_mul(10);
    }
}

/// Exact up to 2^53, and drawn in a few hundred points.
#[expect(clippy::cast_precision_loss, reason = "a drawing")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

fn rounded(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_have_round_steps() {
        for (most, expected) in [
            (0, (1, 1)),
            (1, (1, 1)),
            (4, (4, 1)),
            (5, (6, 2)),
            (9, (10, 5)),
            (37, (40, 10)),
            (1001, (1500, 500)),
        ] {
            assert_eq!(scale(most), expected, "{most}");
        }
        assert!(scale(u64::MAX).0 > 0);
    }

    #[test]
    fn a_chart_has_its_axes_its_legend_and_its_table() {
        let hour = 3_600_000;
        let chart = Chart {
            about: "Releases <b>",
            moments: (0..48)
                .map(|at| Timestamp::from_millis(1_795_802_400_000 + at * hour))
                .collect(),
            series: vec![("Releases", (0..48).collect()), ("Creations", vec![0; 48])],
            unit: "",
        };
        let html = chart.html().to_string();
        assert!(
            html.contains("Releases &#60;b&#62;") || html.contains("Releases &lt;b&gt;"),
            "{html}"
        );
        assert!(
            html.contains("class=\"axis\"") && html.contains("<table"),
            "{html}"
        );
        assert!(html.matches("<path").count() >= 2, "{html}");
    }
}
