//! What the kernel says on the serial line.

use anyhow::{Result, bail};

use super::checks;

/// The kernel says nothing at or above the level of a warning, but for what is known and not ours.
///
/// That an emulated processor stood still for a while, or its clocks disagree by as much, says that the machine which emulates it was busy. Gives how often it did.
pub(crate) fn quiet(said: &str, emulated: bool) -> Result<usize> {
    let mut stalls = 0;
    let mut within = false;
    for line in said.lines().filter_map(kernel_line) {
        if emulated && line.contains("watchdog: BUG: soft lockup") {
            stalls += 1;
            within = true;
        }
        let slow = emulated && line.contains("APIC calibration not consistent with PM-Timer");
        stalls += usize::from(slow);
        let known = checks::KNOWN_WARNINGS
            .iter()
            .any(|known| line.contains(known));
        if !within && !known && !slow {
            bail!("the kernel warns: {}", line.trim());
        }
        // Where the processor was is told up to here.
        within &= !line.contains("</TASK>");
    }
    Ok(stalls)
}

/// `[    1.234567] …`, if there is one in a line: before it may stand what turned the terminal to the console's own.
fn kernel_line(line: &str) -> Option<&str> {
    line.match_indices('[').find_map(|(at, _)| {
        let line = &line[at..];
        let (time, _) = line[1..].split_once(']')?;
        let time = time.trim();
        let is_time = time.contains('.') && time.parse::<f64>().is_ok();
        is_time.then_some(line)
    })
}

/// A line without its time.
pub(crate) fn after_time(line: &str) -> String {
    line.split_once(']')
        .map_or(line, |(_, rest)| rest)
        .trim()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_of_the_kernel_is_found() {
        const QUIET: &str = "Strongroom 0.1.0\n  Service\n";
        const WARNS: &str = "[    1.250000] something is wrong\n";
        const STALL: &str = "[    9.1] watchdog: BUG: soft lockup - CPU#0 stuck for 22s!\n[    9.1] RIP: 0010:x\n[    9.1]  </TASK>\n";
        const SLOW: &str =
            "[    0.9] APIC calibration not consistent with PM-Timer: 101ms instead of 100ms\n";
        assert_eq!(quiet(QUIET, false).ok(), Some(0));
        assert!(quiet(WARNS, true).is_err());
        assert!(quiet(STALL, false).is_err());
        assert_eq!(quiet(STALL, true).ok(), Some(1));
        assert!(quiet(&format!("{STALL}{WARNS}"), true).is_err());
        // The terminal is turned to the console's own just before.
        let turned = format!("\u{1b}[!p\u{1b}]104\u{7}\u{1b}[?7h{STALL}");
        assert_eq!(quiet(&turned, true).ok(), Some(1));
        assert!(quiet(&format!("\u{1b}[?7h{WARNS}"), true).is_err());
        assert!(quiet(SLOW, false).is_err());
        assert_eq!(quiet(SLOW, true).ok(), Some(1));
    }
}
