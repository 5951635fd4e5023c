//! `cargo xtask run`: from a machine with Rust to a serving appliance, and the next commands to type.

use std::{
    path::{Path, PathBuf},
    process::{ExitCode, Stdio},
};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{
    appliance::{self, Appliance, Outcome},
    demo,
    listeners::Listeners,
    packages,
    process::ToldWhy,
    state::{ADMINISTRATOR, Settings, State},
    terminal::{Spinner, command_line, say, shown},
    workspace::Workspace,
};

/// The flags of `cargo xtask run`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The folder with the appliance's state, made on the first run [default: strongroom-data in the workspace].
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// The port for clients [default: 8443 for a new appliance, then what its configuration says].
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) client_port: Option<u16>,
    /// The port for administration [default: 9443 for a new appliance, then what its configuration says].
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) admin_port: Option<u16>,
    /// The PKCS#11 module of a new appliance's HSM [default: SoftHSM 2].
    #[arg(long, value_name = "PATH")]
    pub(crate) hsm_module: Option<PathBuf>,
    /// Play the story of two people and a file on an appliance of its own, and stop. Without --data it is played in
    /// a temporary folder, which is removed at the end.
    #[arg(long)]
    pub(crate) demo: bool,
}

/// The programs that are built for a run.
pub(crate) struct Programs {
    /// The appliance.
    pub(crate) strongroomd: PathBuf,
    /// The command-line client.
    pub(crate) strongroom: PathBuf,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let workspace = Workspace::find()?;
    if options.demo {
        return demo::run(&workspace, options);
    }
    let folder = options
        .data
        .clone()
        .unwrap_or_else(|| workspace.root().join("strongroom-data"));
    let state = State::at(&folder)?;
    let settings = state.settings()?;
    let listeners = listeners(settings.as_ref(), options);
    listeners.check_free()?;
    check_module(settings.as_ref(), options.hsm_module.as_deref())?;
    let programs = prepare(&workspace, options)?;

    let mut signals = appliance::signals()?;
    let code = match settings {
        Some(_) => None,
        None => Some(initialise(&state, &programs, options, listeners)?),
    };
    let mut appliance = Appliance::start(
        state.serve(&programs.strongroomd, listeners)?,
        state.status(&programs.strongroomd),
        listeners,
        Stdio::inherit(),
    )?;
    let started = {
        let _spinner = Spinner::start("starting the appliance");
        appliance.wait_until_serving(&mut signals)?
    };
    let outcome = match started {
        Outcome::Serving => {
            say!(
                "{}",
                greeting(&state, &programs, listeners, code.as_deref())
            );
            appliance.wait_for_end(&mut signals)?
        }
        other => other,
    };
    farewell(&outcome)
}

/// Installs and builds what a run needs.
pub(crate) fn prepare(workspace: &Workspace, options: &Options) -> Result<Programs> {
    let softhsm = options.hsm_module.is_none().then_some(&packages::SOFTHSM);
    packages::ensure(packages::BUILD.iter().chain(softhsm))?;
    let [strongroomd, strongroom] = workspace.build(["strongroomd", "strongroom"])?;
    Ok(Programs {
        strongroomd,
        strongroom,
    })
}

/// Initialises a new appliance and gives the first administrator's one-time enrolment code.
pub(crate) fn initialise(
    state: &State,
    programs: &Programs,
    options: &Options,
    listeners: Listeners,
) -> Result<String> {
    let module = match &options.hsm_module {
        Some(module) => std::path::absolute(module).context("the HSM module has no usable path")?,
        None => packages::softhsm_module()
            .context("SoftHSM's PKCS#11 module is not where it is looked for")?,
    };
    let _spinner = Spinner::start("initialising the appliance");
    state.initialise(&programs.strongroomd, &module, listeners)
}

/// Where to listen: what the flags say, else what the appliance's configuration says, else the usual ports.
pub(crate) fn listeners(settings: Option<&Settings>, options: &Options) -> Listeners {
    let mut listeners = settings.map(|settings| settings.listen).unwrap_or_default();
    if let Some(port) = options.client_port {
        listeners.client.set_port(port);
    }
    if let Some(port) = options.admin_port {
        listeners.admin.set_port(port);
    }
    listeners
}

/// A module that was named has to be there, and an appliance keeps the HSM it was initialised with.
pub(crate) fn check_module(settings: Option<&Settings>, named: Option<&Path>) -> Result<()> {
    let Some(named) = named else { return Ok(()) };
    if !named.is_file() {
        bail!(
            "there is no HSM module at {}: give the path of its PKCS#11 library with --hsm-module",
            shown(named)
        );
    }
    let kept = settings.map(|settings| settings.hsm.module.as_path());
    if let Some(kept) = kept.filter(|kept| std::path::absolute(named).ok().as_deref() != Some(kept))
    {
        bail!(
            "this appliance keeps its keys in the HSM behind {}: leave out --hsm-module, or begin another appliance \
             with --data",
            shown(kept)
        );
    }
    Ok(())
}

/// What is said once the appliance serves.
fn greeting(
    state: &State,
    programs: &Programs,
    listeners: Listeners,
    code: Option<&str>,
) -> String {
    let (client_url, admin_url) = (listeners.client_url(), listeners.admin_url());
    let (folder, code_file) = (shown(state.folder()), shown(&state.enrolment_code()));
    let (strongroom, ca) = (shown(&programs.strongroom), shown(&state.ca()));
    let command = |words: &[&str]| command_line([&[strongroom.as_str()], words].concat());
    let enrol = command(&["enrol", ADMINISTRATOR, "--server", &admin_url, "--ca", &ca]);
    let login = command(&["login", ADMINISTRATOR]);
    let create = command(&["accounts", "create", "alice@example.com"]);
    let next = command(&[
        "--home",
        "alice",
        "enrol",
        "alice@example.com",
        "--server",
        &client_url,
        "--ca",
        &ca,
    ]);
    let first = match code {
        Some(code) => format!(
            "The first administrator is {ADMINISTRATOR}; the one-time enrolment code is {code}\n\
             (kept in {code_file} as well; remove that file once the code is used)."
        ),
        None => format!(
            "The state that was there goes on. If {ADMINISTRATOR} has not enrolled yet,\n\
             the one-time enrolment code is in {code_file}."
        ),
    };
    format!(
        "\nStrongroom serves. Ctrl-C stops it.\n\n  \
           clients         {client_url}\n  \
           administration  {admin_url}\n  \
           state           {folder}\n\n\
         {first}\n\n\
         Next, in another terminal in this folder:\n\n  \
           {enrol}\n  \
           {login}\n  \
           {create}\n\n\
         Alice goes on with the code that this prints, on a device of her own or in a folder that stands for one:\n\n  \
           {next}\n\n\
         README.md tells the rest of the story.\n"
    )
}

/// Our exit status after the appliance has ended. Where that was a failure, it has told why.
fn farewell(outcome: &Outcome) -> Result<ExitCode> {
    match outcome {
        Outcome::Ended(status) | Outcome::Stopped(status) if !status.success() => {
            Err(ToldWhy(*status).into())
        }
        _ => {
            say!("Strongroom has stopped.");
            Ok(ExitCode::SUCCESS)
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    const OPTIONS: Options = Options {
        data: None,
        client_port: None,
        admin_port: None,
        hsm_module: None,
        demo: false,
    };

    fn settings() -> Settings {
        toml::from_str(
            "[listen]\nclient = \"127.0.0.1:18443\"\nadmin = \"127.0.0.1:19443\"\n\
             [hsm]\nmodule = \"/dev/null\"\nmore = 1\n[other]\n",
        )
        .unwrap()
    }

    #[test]
    fn ports_come_from_flags_then_configuration_then_custom() {
        let kept = settings();
        assert_eq!(listeners(None, &OPTIONS), Listeners::local(8443, 9443));
        assert_eq!(
            listeners(Some(&kept), &OPTIONS),
            Listeners::local(18443, 19443)
        );
        let options = Options {
            admin_port: Some(29443),
            ..OPTIONS
        };
        assert_eq!(
            listeners(Some(&kept), &options),
            Listeners::local(18443, 29443)
        );
    }

    #[test]
    fn a_module_that_is_not_there_is_named() {
        let error = check_module(None, Some(Path::new("/nonexistent/module.so"))).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("there is no HSM module at /nonexistent/module.so"),
            "{error}"
        );
    }

    #[test]
    fn an_appliance_keeps_its_hsm() {
        let another = tempfile::NamedTempFile::new().unwrap();
        let error = check_module(Some(&settings()), Some(another.path())).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("this appliance keeps its keys in the HSM behind /dev/null"),
            "{error}"
        );
        assert!(check_module(None, Some(another.path())).is_ok());
    }

    #[test]
    fn the_greeting_gives_three_commands_to_copy() {
        let state = State::at(Path::new("/srv/strongroom-data")).unwrap();
        let programs = Programs {
            strongroomd: "/srv/strongroomd".into(),
            strongroom: "/srv/strongroom".into(),
        };
        let text = greeting(
            &state,
            &programs,
            Listeners::local(8443, 9443),
            Some("CODE-1"),
        );
        for line in [
            "  /srv/strongroom enrol admin@example.com --server https://127.0.0.1:9443 --ca \
             /srv/strongroom-data/tls/ca.pem",
            "  /srv/strongroom login admin@example.com",
            "  /srv/strongroom accounts create alice@example.com",
            "  /srv/strongroom --home alice enrol alice@example.com --server https://127.0.0.1:8443 --ca \
             /srv/strongroom-data/tls/ca.pem",
        ] {
            assert!(text.lines().any(|found| found == line), "{text}");
        }
        assert!(text.contains("enrolment code is CODE-1"), "{text}");
    }
}
