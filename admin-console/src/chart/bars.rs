//! Bars side by side, with an axis and a table behind them.

use askama::Template;

use super::{WIDTH, ratio, rounded, scale};
use crate::pieces::{Html, Table, count};

const LEFT: f64 = 200.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 6.0;
/// From one bar to the next.
const STEP: f64 = 28.0;
/// Below the bars, for the axis' labels.
const BELOW: f64 = 26.0;
/// The most letters of a name that are drawn; the table has all of it.
const LETTERS: usize = 26;

/// Quantities of the same kind, each with its name.
pub(crate) struct Bars<'a> {
    /// What they show, for those who hear it.
    pub(crate) about: &'a str,
    /// Names and values.
    pub(crate) values: Vec<(String, u64)>,
    /// What stands behind them.
    pub(crate) table: Table,
}

struct Bar {
    name: String,
    y: f64,
    width: f64,
}

#[derive(Template)]
#[template(path = "bars.html")]
struct Drawn<'a> {
    about: &'a str,
    lines: Vec<(f64, String)>,
    bars: Vec<Bar>,
    table: Html,
    width: f64,
    height: f64,
    left: f64,
    top: f64,
    bottom: f64,
}

impl Bars<'_> {
    pub(crate) fn html(&self) -> Html {
        let most = self.values.iter().map(|(_, value)| *value).max();
        let (top, step) = scale(most.unwrap_or_default());
        let length = |value: u64| rounded((WIDTH - LEFT - RIGHT) * ratio(value, top));
        let mut lines = Vec::new();
        let mut value = 0;
        while value <= top {
            lines.push((LEFT + length(value), count(value)));
            value += step;
        }
        let mut y = TOP;
        let mut bars = Vec::with_capacity(self.values.len());
        for (name, value) in &self.values {
            bars.push(Bar {
                name: shortened(name),
                y,
                width: length(*value),
            });
            y += STEP;
        }
        let drawn = Drawn {
            about: self.about,
            lines,
            bars,
            table: self.table.html(),
            width: WIDTH,
            height: y + BELOW,
            left: LEFT,
            top: TOP,
            bottom: y,
        };
        Html::of(&drawn)
    }
}

fn shortened(name: &str) -> String {
    if name.chars().count() <= LETTERS {
        return name.to_owned();
    }
    let beginning: String = name.chars().take(LETTERS - 1).collect();
    format!("{beginning}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_have_their_axis_their_names_and_their_table() {
        let bars = Bars {
            about: "Leaves <b>",
            values: vec![
                ("The log".to_owned(), 40),
                ("w".repeat(40), 10),
                ("<img>".to_owned(), 0),
            ],
            table: Table::new("Leaves", &["Who", "#Leaves"]),
        };
        let html = bars.html().to_string();
        assert_eq!(html.matches("<rect").count(), 3, "{html}");
        assert!(html.contains("<table") && html.contains("class=\"axis\""));
        assert!(html.contains(&format!("{}…", "w".repeat(LETTERS - 1))));
        assert!(!html.contains("<img") && !html.contains("<b>"), "{html}");
        // The longest reaches to the axis' last line, a quarter of it a quarter as far.
        let widths: Vec<f64> = html
            .split("<rect")
            .skip(1)
            .filter_map(|rest| {
                rest.split("width=\"")
                    .nth(1)?
                    .split('"')
                    .next()?
                    .parse()
                    .ok()
            })
            .collect();
        let whole = WIDTH - LEFT - RIGHT;
        assert!((widths[0] - whole).abs() < 0.1, "{widths:?}");
        assert!((widths[1] - whole / 4.0).abs() < 0.1, "{widths:?}");
        assert!(widths[2].abs() < 0.1, "{widths:?}");
    }
}
