//! What the kernel says on the serial line.

use anyhow::{Result, bail};

use super::checks;

/// The kernel says nothing at or above the level of a warning, but for what is known and not ours.
///
/// That an emulated processor stood still for a while, or its clocks disagree by as much, says that the machine which emulates it was busy. Gives how often it did.
pub(crate) fn quiet(said: &str, emulated: bool) -> Result<usize> {
    let mut stalls = 0;
    let mut within = false;
    for line in said.lines().filter(|line| is_kernel_line(line)) {
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

/// `[    1.234567] …`
fn is_kernel_line(line: &str) -> bool {
    line.strip_prefix('[')
        .and_then(|line| line.split_once(']'))
        .is_some_and(|(time, _)| time.trim().parse::<f64>().is_ok())
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
        assert!(quiet(SLOW, false).is_err());
        assert_eq!(quiet(SLOW, true).ok(), Some(1));
    }
}
