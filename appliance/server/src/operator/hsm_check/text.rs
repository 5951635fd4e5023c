//! The report for people.

use super::{Checked, Report};

/// The whole report.
pub(super) fn of(report: &Report) -> String {
    let hsms: Vec<String> = report
        .hsms
        .iter()
        .map(|hsm| lines(hsm).join("\n") + "\n")
        .collect();
    hsms.join("\n")
}

fn lines(hsm: &Checked) -> Vec<String> {
    let mut lines = vec![hsm.name.clone()];
    let mut fact = |name: &str, value: &str| lines.push(format!("  {name:<12}{value}"));
    if let Some(module) = &hsm.module {
        fact("module", module);
    }
    if let Some(token) = &hsm.token {
        fact(
            "token",
            &format!(
                "{}, serial {}, {} {}, firmware {}",
                token.label, token.serial, token.manufacturer, token.model, token.firmware
            ),
        );
    }
    match hsm.factory_key {
        Some(true) => fact("factory key", "still there: hold the ceremony"),
        Some(false) => fact("factory key", "removed"),
        None => {}
    }
    if !hsm.mechanisms.is_empty() {
        lines.push(format!(
            "  {:<30}{:<9}{:<6}for",
            "mechanism", "offered", "used"
        ));
        let yes = |so: bool| if so { "yes" } else { "no" };
        lines.extend(hsm.mechanisms.iter().map(|row| {
            format!(
                "  {:<30}{:<9}{:<6}{}",
                row.name,
                yes(row.offered),
                yes(row.used),
                row.purpose
            )
        }));
    }
    if let Some(scheme) = &hsm.scheme {
        lines.push(format!("  {:<12}{scheme}", "wraps by"));
        let keys = if hsm.named_keys.is_empty() {
            "none".to_owned()
        } else {
            hsm.named_keys.join(", ")
        };
        lines.push(format!("  {:<12}{keys}", "keeps keys"));
    }
    for (name, rate) in [
        ("wraps", hsm.wraps),
        ("unwraps", hsm.unwraps),
        ("signatures", hsm.signatures),
    ] {
        let rate = rate.iter();
        lines.extend(rate.map(|rate| format!("  {name:<12}{rate:.0} a second on one thread")));
    }
    lines.extend(hsm.notes.iter().map(|note| format!("  {note}")));
    lines.push(match &hsm.problem {
        None => "  The appliance can use it.".to_owned(),
        Some(problem) => format!("  The appliance cannot use it: {problem}"),
    });
    lines
}
