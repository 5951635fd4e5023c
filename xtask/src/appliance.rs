//! A running `strongroomd` as a child process: until it serves, until it ends.

use std::{
    io,
    net::TcpStream,
    os::unix::process::CommandExt as _,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::{
    consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

use crate::{listeners::Listeners, process};

/// How long the appliance may take from its start until it serves. SoftHSM takes half a second for 10,000 objects.
const START_LIMIT: Duration = Duration::from_mins(1);

/// How long it may take from SIGTERM until it has ended, before it is killed.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// A running `strongroomd`. Dropping it stops it.
pub(crate) struct Appliance {
    child: Child,
    status: Command,
    listeners: Listeners,
}

/// How waiting for the appliance came out.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It answers on both ports, and its HSM is open.
    Serving,
    /// It ended by itself.
    Ended(ExitStatus),
    /// Somebody asked us to stop, and it was stopped.
    Stopped(ExitStatus),
}

/// The signals that [`Appliance`] heeds. From here on Ctrl-C no longer ends this process by itself.
pub(crate) fn signals() -> Result<Signals> {
    Signals::new([SIGINT, SIGTERM, SIGHUP, SIGCHLD]).context("signals cannot be watched")
}

/// Whether one of [`signals`] has asked us to stop.
pub(crate) fn asked_to_stop(signals: &mut Signals) -> bool {
    signals.pending().any(|signal| signal != SIGCHLD)
}

impl Appliance {
    /// Starts it with the command `serve`, which makes it listen on `listeners`; `status` tells by its exit status whether it serves. Its log
    /// goes to `log`.
    pub(crate) fn start(
        mut serve: Command,
        mut status: Command,
        listeners: Listeners,
        log: Stdio,
    ) -> Result<Self> {
        // A process group of its own: Ctrl-C reaches xtask alone, which then stops the appliance once.
        serve
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let child = serve
            .spawn()
            .with_context(|| process::cannot_start(&serve))?;
        status
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Ok(Self {
            child,
            status,
            listeners,
        })
    }

    /// Waits until it answers on both ports and serves.
    pub(crate) fn wait_until_serving(&mut self, signals: &mut Signals) -> Result<Outcome> {
        let started = Instant::now();
        loop {
            if asked_to_stop(signals) {
                return Ok(Outcome::Stopped(self.stop()?));
            }
            let answers =
                |address| TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok();
            let serving = answers(self.listeners.client)
                && answers(self.listeners.admin)
                && self.status.status().is_ok_and(|status| status.success());
            // Asked after connecting: what answered might be somebody else who was faster to the port.
            if let Some(status) = self.child.try_wait()? {
                return Ok(Outcome::Ended(status));
            }
            if serving {
                return Ok(Outcome::Serving);
            }
            if started.elapsed() > START_LIMIT {
                self.stop()?;
                bail!(
                    "the appliance did not serve within {} seconds, so it was stopped",
                    START_LIMIT.as_secs()
                );
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until it ends, or until somebody asks us to stop: then it is stopped.
    pub(crate) fn wait_for_end(&mut self, signals: &mut Signals) -> Result<Outcome> {
        for signal in signals.forever() {
            if signal != SIGCHLD {
                return Ok(Outcome::Stopped(self.stop()?));
            }
            if let Some(status) = self.child.try_wait()? {
                return Ok(Outcome::Ended(status));
            }
        }
        Ok(Outcome::Ended(self.child.wait()?))
    }

    /// Asks it to end and waits for that; kills it where it takes too long.
    pub(crate) fn stop(&mut self) -> Result<ExitStatus> {
        let asked = Instant::now();
        if self.child.try_wait()?.is_none() {
            kill_process(Pid::from_child(&self.child), Signal::TERM).map_err(io::Error::from)?;
        }
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if asked.elapsed() > STOP_LIMIT {
                self.child.kill()?;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Appliance {
    fn drop(&mut self) {
        // Nobody is left to tell.
        self.stop().ok();
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn an_appliance_that_ends_is_noticed_and_one_that_runs_is_stopped() {
        let nowhere = Listeners::local(1, 2);
        let mut signals = Signals::new([SIGCHLD]).unwrap();
        let child = Command::new("sh").args(["-c", "exit 7"]).spawn().unwrap();
        let outcome = Appliance {
            child,
            status: Command::new("false"),
            listeners: nowhere,
        }
        .wait_until_serving(&mut signals);
        assert!(matches!(outcome.unwrap(), Outcome::Ended(status) if status.code() == Some(7)));

        let child = Command::new("sleep").arg("60").spawn().unwrap();
        let status = Appliance {
            child,
            status: Command::new("false"),
            listeners: nowhere,
        }
        .stop()
        .unwrap();
        assert_eq!(process::ended(status), "was ended by signal 15");
    }
}
