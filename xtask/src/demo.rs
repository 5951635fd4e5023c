//! `cargo xtask run --demo`: plays the story on an appliance of its own.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{ExitCode, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::{
    appliance::{self, Appliance, Outcome},
    player::Player,
    process,
    run::{self, Options},
    state::{ADMINISTRATOR, State},
    story::STORY,
    terminal::{complain, say, shown},
    workspace::Workspace,
};

/// Plays the story on an appliance of its own.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    // Declared before the appliance, and so removed after the appliance has stopped.
    let temporary = tempfile::Builder::new()
        .prefix("strongroom-demo-")
        .tempdir();
    let temporary = temporary.context("a temporary folder cannot be made")?;
    let folder = options
        .data
        .clone()
        .unwrap_or_else(|| temporary.path().join("strongroom-data"));
    let state = State::at(&folder)?;
    if state.settings()?.is_some() {
        bail!(
            "{} holds an appliance already, and the story begins with a new one: leave out --data or name a new folder",
            shown(&folder)
        );
    }
    let listeners = run::listeners(None, options);
    listeners.check_free()?;
    run::check_module(None, options.hsm_module.as_deref())?;
    let programs = run::prepare(workspace, options)?;

    let mut signals = appliance::signals()?;
    let code = run::initialise(&state, &programs, options, listeners)?;
    let log_file = folder.join("strongroomd.log");
    let log = fs::File::create(&log_file).context("the appliance's log cannot be written")?;
    let mut appliance = Appliance::start(
        state.serve(&programs.strongroomd, listeners)?,
        state.status(&programs.strongroomd),
        listeners,
        Stdio::from(log),
    )?;
    match appliance.wait_until_serving(&mut signals)? {
        Outcome::Serving => say!(
            "The appliance serves clients on {}.",
            listeners.client_url()
        ),
        Outcome::Ended(status) | Outcome::Stopped(status) => {
            complain!("{}", last_lines(&log_file, 5));
            bail!(
                "the appliance {} before the story began",
                process::ended(status)
            );
        }
    }

    let devices = folder.join("devices");
    let mut player = Player::new(&programs.strongroom, devices, |line| say!("{line}"))?;
    player.know_appliance(listeners, &state.ca(), ADMINISTRATOR, code)?;
    let told = STORY.iter().try_for_each(|act| {
        if appliance::asked_to_stop(&mut signals) {
            bail!("the story was broken off");
        }
        player.act(act)
    });
    fs::remove_file(state.enrolment_code()).ok();
    if told.is_err() {
        complain!("The appliance's last words:\n{}", last_lines(&log_file, 5));
    }
    told?;
    let status = appliance.stop()?;
    if !status.success() {
        bail!(
            "the story was told, but then the appliance {}",
            process::ended(status)
        );
    }
    say!(
        "\nThe story is told: {} commands, {} of them refused as they had to be. The appliance has stopped.",
        player.commands,
        player.refusals
    );
    if options.data.is_some() {
        say!(
            "Its state is in {}, with the three devices and their passwords.",
            shown(state.folder())
        );
    } else {
        say!("Its state and the three devices are removed.");
    }
    Ok(ExitCode::SUCCESS)
}

fn last_lines(file: &Path, count: usize) -> String {
    let lines: Vec<String> = match fs::File::open(file) {
        Ok(file) => BufReader::new(file).lines().map_while(Result::ok).collect(),
        Err(_) => Vec::new(),
    };
    lines[lines.len().saturating_sub(count)..].join("\n")
}
