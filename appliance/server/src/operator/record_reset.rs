//! `strongroomd record-reset`: the leaf of a factory reset that is ordered at the machine's console.

use std::path::Path;
use std::process::ExitCode;

use strongroom_wire::reset::OrderedReset;

use crate::config::Config;
use crate::control;

/// Has the appliance that serves record it, and says who was told.
pub(crate) fn run(config: &Path) -> anyhow::Result<ExitCode> {
    let config = Config::load(config)?;
    let ordered = control::record_reset(&config.data)?;
    super::print(&as_text(&ordered))?;
    Ok(ExitCode::SUCCESS)
}

fn as_text(ordered: &OrderedReset) -> String {
    let mut lines = vec![format!("It is recorded, in leaf {}.", ordered.leaf)];
    for receiver in &ordered.receivers {
        let has = if receiver.told {
            "has"
        } else {
            "does NOT have"
        };
        lines.push(format!("The receiver {} {has} it.", receiver.name));
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use strongroom_wire::reset::ToldReceiver;

    use super::*;

    #[test]
    fn it_says_who_was_not_told() {
        let receiver = |name: &str, told| ToldReceiver {
            name: name.to_owned(),
            told,
        };
        let text = as_text(&OrderedReset {
            leaf: 7,
            receivers: vec![receiver("soc", true), receiver("vault", false)],
        });
        assert_eq!(
            text,
            "It is recorded, in leaf 7.\nThe receiver soc has it.\nThe receiver vault does NOT have it.\n"
        );
    }
}
