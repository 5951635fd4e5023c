//! The packet filter, checked before it is in an image: the fixed rules with those that our programs make of a configuration that has everything.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use super::{Bench, read, tools::Tools, write};
use crate::process;

/// One of each whom an appliance may go to, by name and by address.
const CONFIGURATION: &str = r#"
[listen]
client = "0.0.0.0:8443"
admin = "[fd00::1]:9443"
[hsm]
connector = "http://192.0.2.9:12345"
auth_key = 2
[mail]
relay = "mail.example.com"
from = "strongroom@example.com"
[[oidc]]
name = "corp"
issuer = "https://login.example.com"
client_id = "strongroom"
[[witness]]
url = "https://witness.example.com"
verifier_key = "witness.example.com/w1+04758baf+BIqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c"
[[siem]]
name = "soc"
address = "[2001:db8::1]:6514"
"#;

/// The witness beside it.
const WITNESS: &str = "listen = '[fd00::1]:7443'\n";

/// Has nft check the rules, in a network of its own; how many of them follow from the configuration.
///
/// # Errors
///
/// When a program of ours makes none, or fewer than the configuration has listeners and peers, or nft does not take them.
pub(crate) fn check(bench: &Bench, tools: &Tools, programs: &[PathBuf]) -> Result<usize> {
    let [strongroomd, setup, witness] = programs else {
        bail!("the image is not made of three programs");
    };
    let made = rules(bench, strongroomd, setup, witness)?;
    let all = read(&bench.sources.join("root/etc/nftables.conf"))? + &made;
    write(&bench.work.join("filter.nft"), all)?;
    tools.sh("unshare --net nft -c -f filter.nft", &[])?;
    let count = made.lines().filter(|line| line.starts_with("add ")).count();
    let (listeners, peers) = (3, 5);
    if count != listeners + peers {
        bail!("{count} rules were made for {listeners} listeners and {peers} peers");
    }
    Ok(count)
}

fn rules(bench: &Bench, strongroomd: &Path, setup: &Path, witness: &Path) -> Result<String> {
    let configuration = bench.work.join("filter.toml");
    let ask = |program: &Path, configured: &str, words: &[&str]| {
        write(&configuration, configured)?;
        process::answer(
            Command::new(program)
                .arg("--config")
                .arg(&configuration)
                .args(words),
        )
    };
    let mut connections = ask(strongroomd, CONFIGURATION, &["connections", "--json"])?;
    connections.extend(ask(witness, WITNESS, &["connections"])?);
    let mut print = Command::new(setup)
        .args(["filter", "print"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("`strongroom-setup` cannot be started")?;
    print
        .stdin
        .take()
        .context("`strongroom-setup` takes no input")?
        .write_all(&connections)?;
    let printed = print.wait_with_output()?;
    if !printed.status.success() {
        bail!(
            "`strongroom-setup filter print` {}",
            process::ended(printed.status)
        );
    }
    String::from_utf8(printed.stdout).context("the rules are no text")
}
