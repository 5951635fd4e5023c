//! The part of the packet filter that follows from the appliance's configuration, and its witness's: the listeners, and whom it goes to. All else is
//! fixed, in `/etc/nftables.conf`, whose two chains `listeners` and `outgoing` are empty until this has filled them.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::seed::{self, Hsm, Restore};
use crate::{init, machine};

/// The witness's configuration, on the few appliances that are one.
const WITNESS: &str = "/var/lib/strongroom/witness/strongroom-witness.toml";

/// What `strongroomd connections --json` says, and `strongroom-witness connections` where there is a witness.
#[derive(Debug, Deserialize)]
struct Connections {
    listen: Vec<Listener>,
    outgoing: Vec<Peer>,
}

#[derive(Debug, Deserialize)]
struct Listener {
    address: SocketAddr,
}

#[derive(Debug, Deserialize)]
struct Peer {
    host: String,
    port: u16,
}

/// Fills the two chains, at once and as a whole.
pub(crate) fn run() -> Result<()> {
    let mut connections = ask(
        "strongroomd",
        &["--config", machine::CONFIG, "connections", "--json"],
    )?;
    if Path::new(WITNESS).exists() {
        match ask("strongroom-witness", &["--config", WITNESS, "connections"]) {
            Ok(witness) => connections.extend(witness),
            // The appliance serves without its witness.
            Err(error) => crate::complain(&format!("the witness's port stays closed: {error:#}")),
        }
    }
    let mut all = parsed(&connections)?;
    match seed::kept(Path::new(machine::HOME)) {
        Ok(seed) => all.extend(seed.map(|seed| of_module(&seed.document.hsm))),
        // With another HSM the appliance serves without it.
        Err(error) => crate::complain(&format!("the HSM's module is not let out: {error:#}")),
    }
    let service = fs::metadata(machine::CONFIG)
        .context("the configuration cannot be looked at")?
        .uid();
    put(&text(&all, service)?)
}

/// Lets the first start go to whom its seed names, so that it reaches its HSM. Nobody comes in yet.
pub(crate) fn first() -> Result<()> {
    let Some(seed) = seed::kept(Path::new(machine::HOME))? else {
        return Ok(());
    };
    let said = init::connections(&seed.document)?;
    let mut connections: Connections = serde_json::from_slice(&said)
        .context("what `strongroomd init --check` said cannot be read")?;
    connections.listen.clear();
    let restore = seed.document.restore.as_ref();
    let server = restore.and_then(Restore::server);
    connections
        .outgoing
        .extend(server.map(|(host, port)| Peer { host, port }));
    let module = of_module(&seed.document.hsm);
    // The service's own folder for updates is there before its configuration is.
    let service = fs::metadata("/var/lib/strongroom/updates/inbox")
        .context("the service's user is not known")?
        .uid();
    put(&text(&[connections, module], service)?)
}

/// Whom the HSM's module goes to by itself, which `strongroomd` does not know.
fn of_module(hsm: &Hsm) -> Connections {
    let peers = hsm.peers.iter().map(|peer| Peer {
        host: peer.host.clone(),
        port: peer.port,
    });
    Connections {
        listen: Vec::new(),
        outgoing: peers.collect(),
    }
}

fn put(rules: &str) -> Result<()> {
    let mut nft = Command::new("nft")
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .context("`nft` cannot be started")?;
    nft.stdin
        .take()
        .context("`nft` takes no input")?
        .write_all(rules.as_bytes())
        .context("the rules cannot be handed over")?;
    if !nft.wait().context("`nft` was lost")?.success() {
        bail!("the packet filter did not take the rules");
    }
    Ok(())
}

fn ask(program: &str, words: &[&str]) -> Result<Vec<u8>> {
    let output = Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("`{program}` cannot be started"))?;
    if !output.status.success() {
        bail!("`{program} connections` did not succeed");
    }
    Ok(output.stdout)
}

/// Prints the rules for connections that are given on standard input, for whom it concerns before there is a machine.
pub(crate) fn print() -> Result<()> {
    /// The user's number in the rules that are printed.
    const SOMEBODY: u32 = 999;
    let given = io::read_to_string(io::stdin()).context("standard input cannot be read")?;
    io::stdout()
        .write_all(rules(given.as_bytes(), SOMEBODY)?.as_bytes())
        .context("standard output cannot be written")
}

/// The rules in the language of nft(8), of what one program says of its connections, or several after one another. Whoever is named by an address is
/// reached at that address; whoever has a name, at that port, as what the name stands for changes: both by the service's user alone.
fn rules(connections: &[u8], service: u32) -> Result<String> {
    text(&parsed(connections)?, service)
}

fn parsed(connections: &[u8]) -> Result<Vec<Connections>> {
    let all = serde_json::Deserializer::from_slice(connections)
        .into_iter()
        .collect::<Result<Vec<Connections>, _>>()
        .context("what was said of connections cannot be read")?;
    if all.is_empty() {
        bail!("nothing was said of connections");
    }
    Ok(all)
}

fn text(all: &[Connections], service: u32) -> Result<String> {
    const TABLE: &str = "inet strongroom";
    let mut rules = format!("flush chain {TABLE} listeners\nflush chain {TABLE} outgoing\n");
    for listener in all.iter().flat_map(|one| &one.listen) {
        let at = address(Some(listener.address.ip()).filter(|ip| !ip.is_unspecified()));
        writeln!(
            rules,
            "add rule {TABLE} listeners {at}tcp dport {} accept",
            listener.address.port()
        )?;
    }
    for peer in all.iter().flat_map(|one| &one.outgoing) {
        let at = address(peer.host.parse().ok());
        writeln!(
            rules,
            "add rule {TABLE} outgoing meta skuid {service} {at}tcp dport {} accept",
            peer.port
        )?;
    }
    Ok(rules)
}

fn address(ip: Option<IpAddr>) -> String {
    match ip {
        None => String::new(),
        Some(IpAddr::V4(ip)) => format!("ip daddr {ip} "),
        Some(IpAddr::V6(ip)) => format!("ip6 daddr {ip} "),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn only_what_is_configured_is_let_through() {
        let connections = r#"{
            "listen": [{"what": "clients", "address": "[::]:8443"}, {"what": "administration", "address": "10.0.5.10:9443"}],
            "outgoing": [
                {"what": "SIEM soc", "host": "siem.example.com", "port": 6514},
                {"what": "witness", "host": "2001:db8::1", "port": 443}
            ]
        }"#;
        assert_eq!(
            rules(connections.as_bytes(), 999).unwrap(),
            "flush chain inet strongroom listeners\n\
             flush chain inet strongroom outgoing\n\
             add rule inet strongroom listeners tcp dport 8443 accept\n\
             add rule inet strongroom listeners ip daddr 10.0.5.10 tcp dport 9443 accept\n\
             add rule inet strongroom outgoing meta skuid 999 tcp dport 6514 accept\n\
             add rule inet strongroom outgoing meta skuid 999 ip6 daddr 2001:db8::1 tcp dport 443 accept\n"
        );
        assert!(rules(b"{}", 999).is_err());
        assert!(rules(b"", 999).is_err());
    }

    #[test]
    fn a_witness_is_let_through_beside_the_appliance() {
        let said = concat!(
            r#"{"listen": [{"what": "clients", "address": "[::]:8443"}], "outgoing": []}"#,
            "\n",
            r#"{"listen": [{"what": "witness", "address": "10.0.5.10:7443"}], "outgoing": []}"#,
            "\n"
        );
        assert_eq!(
            rules(said.as_bytes(), 999).unwrap(),
            "flush chain inet strongroom listeners\n\
             flush chain inet strongroom outgoing\n\
             add rule inet strongroom listeners tcp dport 8443 accept\n\
             add rule inet strongroom listeners ip daddr 10.0.5.10 tcp dport 7443 accept\n"
        );
    }

    #[test]
    fn a_module_is_let_out_to_its_peers() {
        let seed =
            "[hsm]\nkind = \"module\"\npeers = [\"10.0.5.9:9004\", \"hsm.example.com:1792\"]";
        let module = of_module(&seed::Document::of(seed).hsm);
        let rules = text(&[module], 999).unwrap();
        let (_, rules) = rules
            .split_once("flush chain inet strongroom outgoing\n")
            .unwrap();
        assert_eq!(
            rules,
            "add rule inet strongroom outgoing meta skuid 999 ip daddr 10.0.5.9 tcp dport 9004 accept\n\
             add rule inet strongroom outgoing meta skuid 999 tcp dport 1792 accept\n"
        );
    }

    #[test]
    fn a_name_cannot_become_a_rule() {
        let connections =
            r#"{"listen": [], "outgoing": [{"what": "x", "host": "a; accept", "port": 1}]}"#;
        assert!(!rules(connections.as_bytes(), 1).unwrap().contains("a;"));
    }
}
