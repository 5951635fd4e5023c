//! One task of an order: which items it reaches.

use strongroom_wire::authorisation::{LdTask, Scope, Timespan};
use strongroom_wire::problem::Problem;

use super::{DIRECTIONS, Draft, invalid};
use crate::own::policy::{input, moment};

impl Draft {
    pub(super) fn say_task(&mut self, number: usize, task: &LdTask) {
        let mut say = |name: &str, value: String| self.say(format!("{name}-{number}"), value);
        say("task", task.reference.clone());
        let window = match &task.scope {
            Scope::Item { item } => {
                say("scope", "item".to_owned());
                say("item", item.to_string());
                None
            }
            Scope::Label {
                owner,
                label,
                window,
            } => {
                say("scope", "label".to_owned());
                say("person", owner.clone());
                say("label", label.clone());
                *window
            }
            Scope::Messages {
                person,
                direction,
                counterparts,
                window,
            } => {
                say("scope", "messages".to_owned());
                say("person", person.clone());
                say("direction", direction.as_str().to_owned());
                let counterparts = counterparts.clone().unwrap_or_default();
                say("counterparts", counterparts.join("\n"));
                Some(*window)
            }
        };
        if let Some(window) = window {
            say("from", input(window.start));
            say("until", input(window.end));
        }
    }

    /// Whether a task was left empty.
    pub(super) fn is_blank(&self, number: usize) -> bool {
        ["person", "counterparts", "label", "item", "from", "until"]
            .iter()
            .all(|name| self.line(&format!("{name}-{number}")).is_empty())
    }

    pub(super) fn task(&self, number: usize) -> Result<LdTask, Problem> {
        let line = |name: &str| self.line(&format!("{name}-{number}"));
        let raw = |name: &str| self.said(&format!("{name}-{number}"));
        let of_task = |sentence: &str| invalid(format!("Task {number}: {sentence}"));
        let window = || {
            let (start, end) = (moment(raw("from")), moment(raw("until")));
            match (start, end) {
                (Some(start), Some(end)) => Ok(Timespan { start, end }),
                _ => Err(of_task("say from when until when its items were made.")),
            }
        };
        let scope = match raw("scope") {
            "item" => Scope::Item {
                item: line("item")
                    .parse()
                    .map_err(|_| of_task("the item's identifier is none of a key."))?,
            },
            "label" => Scope::Label {
                owner: line("person"),
                label: raw("label").to_owned(),
                window: match (line("from").is_empty(), line("until").is_empty()) {
                    (true, true) => None,
                    _ => Some(window()?),
                },
            },
            "messages" => {
                let direction = DIRECTIONS
                    .iter()
                    .find(|(direction, _)| direction.as_str() == raw("direction"));
                let counterparts: Vec<String> = raw("counterparts")
                    .split_whitespace()
                    .map(|name| name.trim_matches([',', ';']).to_owned())
                    .filter(|name| !name.is_empty())
                    .collect();
                Scope::Messages {
                    person: line("person"),
                    direction: direction
                        .map(|(direction, _)| *direction)
                        .ok_or_else(|| of_task("choose which way the messages go."))?,
                    counterparts: (!counterparts.is_empty()).then_some(counterparts),
                    window: window()?,
                }
            }
            _ => return Err(of_task("choose what it reaches.")),
        };
        Ok(LdTask {
            reference: line("task"),
            scope,
        })
    }
}
