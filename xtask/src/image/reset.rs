//! The matrix's cases of factory resets: by whoever stands before the machine, and by an administrator from anywhere.

use anyhow::{Result, bail};

use super::{
    checks,
    machine::Running,
    matrix::{Case, Matrix, STARTED, order, turn_off},
    play,
};

/// The name of an appliance that was set up without a seed.
const NAME: &str = "strongroom.local";

impl Matrix<'_> {
    /// The cases of factory resets.
    pub(super) fn resets(&self) -> Vec<Case<'_>> {
        vec![
            (
                "factory reset at the console: a new appliance, the old key slot gone from the disk",
                Box::new(|| self.factory_reset(|running| order(running, "x", "erase everything"))),
            ),
            (
                "factory reset by the CLI: a new appliance, the old key slot gone from the disk",
                Box::new(|| {
                    self.factory_reset(|_| {
                        let words = ["appliance", "factory-reset", "--name", NAME];
                        play::as_administrator(self.strongroom, &self.folder("people"), &words)
                            .map(drop)
                    })
                }),
            ),
        ]
    }

    fn factory_reset(&self, ask: impl Fn(&mut Running) -> Result<()>) -> Result<String> {
        let machine = self.settled()?.copy(self.folder("reset"))?;
        let old_slot = checks::key_slot(&machine)?;
        let mut running = machine.start(self.network())?;
        let old = play::until_it_serves(&mut running)?;
        running.mark()?;
        ask(&mut running)?;
        running.wait_for_words(STARTED)?;
        running.mark()?;
        let new = play::until_it_serves(&mut running)?;
        if new.authority == old.authority || new.code == old.code {
            bail!("the appliance is the old one");
        }
        turn_off(&mut running)?;
        if checks::contains(&machine, &old_slot)? {
            bail!("the old key slot is still on the data partition");
        }
        Ok("another CA and another enrolment code; of the old key slot nothing is left".to_owned())
    }
}
