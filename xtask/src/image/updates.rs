//! The matrix's cases of updates: one that is kept, one that is older, and three from which a machine goes back by itself.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{
    Bench, disk,
    machine::{Machine, Running},
    matrix::{Matrix, STARTED, turn_off},
    play, tamper,
    update::Fault,
};
use crate::terminal::duration;

/// How often a release on trial is started.
const TRIES: usize = 3;

impl Matrix<'_> {
    pub(super) fn good_update(&self) -> Result<String> {
        let newer = self.newer(None)?;
        let update = (self.build_update)(&newer)?;
        // Newer by its version, and with a flaw that was mended.
        let flawed = Bench {
            version: next(&newer.version)?,
            security_version: self.bench.security_version,
            ..newer.clone()
        };
        let flawed_update = (self.build_update)(&flawed)?;

        let machine = self.settled()?.copy(self.folder("updated"))?;
        let mut running = machine.start(self.network())?;
        play::until_it_serves(&mut running)?;
        running.mark()?;
        let since = running.time();
        self.update(&update)?;
        let took = running.time().saturating_sub(since);
        started(&mut running)?;
        play::until_it_serves(&mut running)?;
        running.wait_for_words(&format!("Strongroom {}", newer.version))?;
        running.wait_for_words("Release          in slot b\n")?;
        let release = self.release()?;
        expect(&release, "/running/version", &newer.version)?;
        expect(&release, "/running/slot", "b")?;
        expect(&release, "/last/outcome", "blessed")?;
        self.data_is_kept()?;
        let refused = self.update(&flawed_update);
        let why = match refused {
            Ok(_) => bail!("an update with a lower security version is taken"),
            Err(error) => format!("{error:#}"),
        };
        if !why.contains("security version") {
            bail!("an update with a lower security version is refused for another reason: {why}");
        }
        turn_off(&mut running)?;
        Ok(format!(
            "sent and installed by {}; version {} serves from slot b, blessed, with all data; one with a lower security version is refused",
            duration(took),
            newer.version
        ))
    }

    /// Goes on with the machine of the good update: what an administrator of the hypervisor can do, or a thief of the machine.
    pub(super) fn older_release(&self) -> Result<String> {
        let updated = self.folder("updated");
        if !updated.join("disk.img").exists() {
            bail!("the good update did not come to its end");
        }
        let machine = Machine::at(self.bench, self.disk, updated)?.copy(self.folder("older"))?;
        let newer = next(&self.bench.version)?;
        tamper::remove_file(self.bench, &machine, &disk::kernel(&newer))?;
        self.refuses(
            &machine,
            "This release is older than one that this machine has run",
        )
    }

    pub(super) fn gone_back_from(&self, fault: Fault) -> Result<String> {
        let newer = self.newer(Some(fault))?;
        let update = (self.build_update)(&newer)?;
        let machine = self.settled()?.copy(self.folder("gone-back"))?;
        let mut running = machine.start(self.network())?;
        play::until_it_serves(&mut running)?;
        running.mark()?;
        self.update(&update)?;
        let since = running.time();
        let tries = match fault {
            Fault::Kernel | Fault::Root => TRIES,
            // It comes up, and its trial ends when its time is over.
            Fault::Service => 1,
        };
        for _ in 0..tries {
            started(&mut running)?;
            match fault {
                Fault::Kernel | Fault::Root => running.wait_for_words("Kernel panic")?,
                Fault::Service => running.wait_for_words("on trial")?,
            }
        }
        started(&mut running)?;
        play::until_it_serves(&mut running)?;
        let took = running.time().saturating_sub(since);
        let release = self.release()?;
        expect(&release, "/running/version", &self.bench.version)?;
        expect(&release, "/running/slot", "a")?;
        expect(&release, "/last/version", &newer.version)?;
        expect(&release, "/last/outcome", "rolled-back")?;
        let why = text(&release, "/last/why")?.to_owned();
        self.data_is_kept()?;
        turn_off(&mut running)?;
        Ok(format!(
            "tried {}; the release before serves again after {}, with all data, and says: \"{why}\"",
            if tries == 1 {
                "once".to_owned()
            } else {
                format!("{tries} times")
            },
            duration(took)
        ))
    }

    /// A bench for the release after this one, whose security version is higher, too.
    fn newer(&self, fault: Option<Fault>) -> Result<Bench> {
        let work = self.folder("newer");
        Ok(Bench {
            out: work.join("out"),
            work,
            version: next(&self.bench.version)?,
            security_version: self.bench.security_version + 1,
            fault,
            ..self.bench.clone()
        })
    }

    /// Has the administrator send an update, install it and restart the machine.
    fn update(&self, file: &Path) -> Result<String> {
        let file = file.to_str().context("the path is no text")?;
        let words = [
            "appliance",
            "update",
            file,
            "--install",
            "--restart",
            "--json",
        ];
        play::as_administrator(self.strongroom, &self.folder("people"), &words)
    }

    fn release(&self) -> Result<Value> {
        let words = ["appliance", "release", "--json"];
        let said = play::as_administrator(self.strongroom, &self.folder("people"), &words)?;
        serde_json::from_str(&said).context("what the CLI says of the release is not JSON")
    }

    pub(super) fn data_is_kept(&self) -> Result<()> {
        let leaves = play::sign_in_again(self.strongroom, &self.folder("people"))?;
        if !leaves.contains("key.destroy") {
            bail!("the audit log has lost what was done in the story");
        }
        Ok(())
    }
}

/// Waits until a kernel is started; from there on only what is said later counts.
fn started(running: &mut Running) -> Result<()> {
    running.wait_for_words(STARTED)?;
    running.mark()
}

/// The version after this one.
fn next(version: &str) -> Result<String> {
    let (rest, patch) = version
        .rsplit_once('.')
        .with_context(|| format!("{version} is no version"))?;
    let patch: u64 = patch
        .parse()
        .with_context(|| format!("{version} is no release"))?;
    Ok(format!("{rest}.{}", patch + 1))
}

fn text<'a>(release: &'a Value, field: &str) -> Result<&'a str> {
    release
        .pointer(field)
        .and_then(Value::as_str)
        .with_context(|| format!("the release says nothing at {field}: {release}"))
}

fn expect(release: &Value, field: &str, value: &str) -> Result<()> {
    let found = text(release, field)?;
    if found != value {
        bail!("the release says {found} at {field}, and not {value}: {release}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn the_next_version_is_higher_by_one() {
        assert_eq!(next("0.1.0").unwrap(), "0.1.1");
        assert_eq!(next("1.2.9").unwrap(), "1.2.10");
        assert!(next("1").is_err());
        assert!(next("0.2.0-rc").is_err());
    }

    #[test]
    fn what_the_release_does_not_say_is_no_match() {
        let release = serde_json::json!({"running": {"slot": "a"}, "last": null});
        assert!(expect(&release, "/running/slot", "a").is_ok());
        assert!(expect(&release, "/running/slot", "b").is_err());
        assert!(expect(&release, "/last/outcome", "blessed").is_err());
    }
}
