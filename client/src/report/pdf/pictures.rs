//! The pictures of a report: how much happened in each week, and what happened when.

use std::collections::BTreeMap;

use strongroom_audit::Event;
use strongroom_wire::audit::Act;
use strongroom_wire::encoding::Timestamp;

use super::paper::{Colour, DONE, FAINT, GREY, INSIDE, MARGIN, PALE, Paper, REFUSED, SMALL};
use crate::report::gather::{Count, DAY, Gathered, monday};

/// Room for the numbers of an axis.
const AXIS: f32 = 40.0;
/// Room for the names of acts.
const NAMES: f32 = 130.0;
/// How high a row of the timeline is.
const ROW: f32 = 15.0;
/// The most rows of a timeline: the most frequent acts.
const ROWS: usize = 14;
/// Up to so many days are shown one by one.
const DAYS: u64 = 31;

/// Bars for what was done and what was refused in each week, or on each day of a short period.
pub(super) fn counts(paper: &mut Paper, gathered: &Gathered) {
    const HIGH: f32 = 150.0;
    let Some((from, to)) = gathered.span() else {
        return;
    };
    let (first, last) = (from / DAY, (to - 1) / DAY);
    let is_short = last - first < DAYS;
    let (step, begin): (u64, fn(u64) -> u64) = if is_short {
        (1, |day| day)
    } else {
        (7, monday)
    };
    paper.heading(if is_short {
        "Records by day"
    } else {
        "Records by week"
    });
    let mut bars = BTreeMap::<u64, Count>::new();
    for (day, count) in &gathered.by_day {
        let bar = bars.entry(begin(*day)).or_default();
        bar.done += count.done;
        bar.refused += count.refused;
    }
    paper.need(HIGH + 45.0);
    legend(paper);
    let top = paper.y() + 8.0;
    let floor = top + HIGH;
    let most = bars.values().map(|bar| bar.all()).max().unwrap_or_default();
    let ceiling = ticks(paper, most, top, HIGH);
    let begin = begin(first);
    let places = (last - begin) / step + 1;
    let wide = (INSIDE - AXIS) / real(places);
    let x = |day: u64| MARGIN + AXIS + wide * real((day - begin) / step);
    for (day, bar) in bars.range(begin..) {
        let height = |count: u64| HIGH * real(count) / real(ceiling);
        let (done, refused) = (height(bar.done), height(bar.refused));
        let (left, width) = (x(*day) + wide * 0.1, wide * 0.8);
        paper.fill(left, floor - done, width, done, DONE);
        paper.fill(left, floor - done - refused, width, refused, REFUSED);
    }
    paper.fill(MARGIN + AXIS, floor, INSIDE - AXIS, 0.8, GREY);
    // As many dates as there is room for.
    let every = (55.0 / wide).ceil().max(1.0);
    let mut place = 0.0;
    while place < real(places) {
        let left = MARGIN + AXIS + wide * place;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a place among the bars"
        )]
        let day = begin + step * place as u64;
        paper.fill(left, floor, 0.6, 4.0, GREY);
        label(paper, left, floor + 13.0, &date(day * DAY));
        place += every;
    }
    paper.skip(floor + 20.0 - paper.y());
    if !is_short {
        paper.line(FAINT, "Each bar is a week from its Monday on, in UTC.");
    }
}

/// A row for each act, with a mark wherever it was done or refused.
pub(super) fn timeline(paper: &mut Paper, gathered: &Gathered) {
    let Some((from, to)) = gathered.span() else {
        return;
    };
    let acts = gathered.acts();
    let rows = acts.len().min(ROWS);
    if rows == 0 {
        return;
    }
    paper.heading("Timeline");
    paper.need(ROW * real(rows as u64) + 50.0);
    let is_each = gathered.records.len() as u64 == gathered.total.all();
    if is_each {
        legend(paper);
    }
    let top = paper.y() + 8.0;
    let floor = top + ROW * real(rows as u64);
    let (left, width) = (MARGIN + NAMES, INSIDE - NAMES);
    let place = |millis: u64| {
        let millis = millis.clamp(from, to);
        left + width * share(millis - from, to - from)
    };
    for (position, (act, _)) in acts.iter().take(ROWS).enumerate() {
        let y = top + ROW * real(position as u64);
        paper.fill(left, y + ROW - 2.0, width, 0.4, PALE);
        let name = paper.clip(SMALL, act.as_str(), NAMES - 8.0);
        paper.text(MARGIN, y + 10.0, SMALL, &name);
        if is_each {
            let of_act = gathered
                .records
                .iter()
                .filter(|(_, event)| event.act == *act);
            for (_, Event { time, done, .. }) in of_act {
                let colour = if *done { DONE } else { REFUSED };
                let x = place(time.as_millis());
                paper.shade(x - 0.8, y + 2.0, 1.6, ROW - 5.0, colour, 0.8);
            }
        } else {
            days(paper, gathered, *act, (y, &place));
        }
    }
    paper.fill(left, floor, width, 0.8, GREY);
    for quarter in 0..=4 {
        let millis = from + (to - from) / 4 * quarter;
        let x = place(millis);
        paper.fill(x, floor, 0.6, 4.0, GREY);
        let text = if to - from <= 3 * DAY {
            Timestamp::from_millis(millis).to_string()[5..16].replace('T', " ")
        } else {
            date(millis)
        };
        label(paper, x, floor + 13.0, &text);
    }
    paper.skip(floor + 20.0 - paper.y());
    let mut note = if is_each {
        "Each mark is a record, in UTC.".to_owned()
    } else {
        "Each mark is a day with records, in UTC: the darker, the more.".to_owned()
    };
    if acts.len() > ROWS {
        note = format!("{note} The {ROWS} most frequent of {} acts.", acts.len());
    }
    paper.line(FAINT, &note);
}

/// A mark for each day on which an act was done or refused.
fn days(paper: &mut Paper, gathered: &Gathered, act: Act, (y, place): (f32, &impl Fn(u64) -> f32)) {
    let number = act.number();
    let of_act = || {
        gathered
            .days_of_acts
            .range((number, 0)..=(number, u64::MAX))
    };
    let most = of_act().map(|(_, count)| *count).max().unwrap_or(1);
    for ((_, day), count) in of_act() {
        let x = place(day * DAY);
        let width = (place((day + 1) * DAY) - x).max(0.8);
        // Each tenfold is as much darker as the one before.
        let dark = 0.25 + 0.75 * (1.0 + real(*count)).ln() / (1.0 + real(most)).ln();
        paper.shade(x, y + 2.0, width, ROW - 5.0, DONE, dark);
    }
}

fn legend(paper: &mut Paper) {
    let y = paper.y();
    let mut x = MARGIN;
    for (name, colour) in [("done", DONE), ("refused", REFUSED)] {
        let colour: Colour = colour;
        paper.fill(x, y + 1.0, 8.0, 8.0, colour);
        paper.text(x + 12.0, y + 8.5, SMALL, name);
        x += 24.0 + paper.width(SMALL, name);
    }
    paper.skip(14.0);
}

/// A date below a mark of an axis, in the middle below it as far as the page allows.
fn label(paper: &mut Paper, x: f32, y: f32, text: &str) {
    let width = paper.width(FAINT, text);
    let left = (x - width / 2.0).clamp(MARGIN, MARGIN + INSIDE - width);
    paper.text(left, y, FAINT, text);
}

/// Draws the lines and numbers of an axis that reaches up to `most`, and answers what its top stands for.
fn ticks(paper: &mut Paper, most: u64, top: f32, high: f32) -> u64 {
    let mut step = 1_u64;
    // 1, 2, 5, 10, 20, 50 and so on: at most five of them.
    while most.div_ceil(step) > 5 {
        step = match step.to_string().as_bytes().first() {
            Some(b'2') => step / 2 * 5,
            _ => step * 2,
        };
    }
    let lines = most.div_ceil(step).max(1);
    for line in 0..=lines {
        let y = top + high - high * real(line) / real(lines);
        paper.fill(MARGIN + AXIS, y, INSIDE - AXIS, 0.4, PALE);
        paper.text_to(
            MARGIN + AXIS - 5.0,
            y + 2.5,
            FAINT,
            &(line * step).to_string(),
        );
    }
    lines * step
}

fn date(millis: u64) -> String {
    Timestamp::from_millis(millis).to_string()[..10].to_owned()
}

/// A number for drawing.
#[expect(clippy::cast_precision_loss, reason = "for drawing")]
const fn real(number: u64) -> f32 {
    number as f32
}

/// How much of the whole a part is.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "for drawing"
)]
fn share(part: u64, whole: u64) -> f32 {
    (part as f64 / whole.max(1) as f64) as f32
}
