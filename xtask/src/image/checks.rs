//! What is looked at in an image without starting it.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
};

use anyhow::{Context, Result, bail};

use super::{Bench, disk, machine::Machine, read, tools};

/// What the kernel says to warn of a machine in QEMU, and is not of our making.
pub(crate) const KNOWN_WARNINGS: &[&str] = &[
    // An emulated processor's clock, and what it says of its power states.
    "tsc: ",
    "clocksource: ",
    "hpet: ",
    "TSC found unstable",
    "amd_pstate: ",
    // How Debian built the kernel.
    "device-mapper: core: CONFIG_IMA_DISABLE_HTABLE",
    // The kernel for servers, of debugfs=off.
    "pinctrl core: failed to create debugfs directory",
    // An offer of DHCP, before there is an address to offer it to.
    "martian source 255.255.255.255 from",
    "ll header: ",
];

/// The highest exposure of our own units, and of any other.
const OURS: f64 = 1.5;
const OTHERS: f64 = 5.0;

/// A service that runs in the image, with its line in `image/exposure.list`.
struct Exposed<'a> {
    unit: &'a str,
    reason: &'a str,
}

/// Holds what `systemd-analyze security` says of each service against what is allowed.
pub(crate) fn exposure(bench: &Bench) -> Result<String> {
    let list = read(&bench.sources.join("exposure.list"))?;
    let tools = tools::ensure(bench)?;
    let mut seen = Vec::new();
    let mut wrong = Vec::new();
    for exposed in exposed(&list)? {
        let said = tools.sh(
            "systemd-analyze security --offline=yes --root=/bench/root --no-pager \"$1\" 2>/dev/null",
            &[exposed.unit],
        )?;
        let score = score(&said)
            .with_context(|| format!("systemd-analyze says nothing of {}", exposed.unit))?;
        let ours = exposed.unit.starts_with("strongroom");
        if score > if ours { OURS } else { OTHERS } {
            wrong.push(format!("{} has {score}", exposed.unit));
        }
        if score > OURS && exposed.reason.is_empty() {
            wrong.push(format!("{} has {score} and no reason for it", exposed.unit));
        }
        seen.push(format!(
            "{} {score}",
            exposed.unit.trim_end_matches(".service")
        ));
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("; "));
    }
    Ok(seen.join(", "))
}

/// A unit a line, and after a bar why it is exposed more than ours may be.
fn exposed(list: &str) -> Result<Vec<Exposed<'_>>> {
    list.lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
        .map(|line| {
            let (unit, reason) = line
                .split_once('|')
                .with_context(|| format!("there is no bar in `{line}`"))?;
            Ok(Exposed {
                unit: unit.trim(),
                reason: reason.trim(),
            })
        })
        .collect()
}

/// The number in `→ Overall exposure level for strongroomd.service: 1.2 OK`.
fn score(said: &str) -> Option<f64> {
    let (_, rest) = said.split_once("Overall exposure level for ")?;
    let (_, rest) = rest.split_once(": ")?;
    rest.split_whitespace().next()?.parse().ok()
}

/// Looks for what would give rights away: SUID and SGID files, accounts with a password or a shell, shells.
pub(crate) fn files(bench: &Bench) -> Result<String> {
    let tools = tools::ensure(bench)?;
    let found = tools.sh(
        "find root -xdev -perm /6000 -type f; find root -xdev -type f -perm -0002",
        &[],
    )?;
    if !found.is_empty() {
        bail!(
            "these files give rights away: {}",
            found.trim().replace('\n', " ")
        );
    }
    let root = bench.work.join("root");
    for line in read(&root.join("etc/passwd"))?.lines() {
        let shell = line.rsplit(':').next().unwrap_or_default();
        if !["/usr/sbin/nologin", "/bin/false"].contains(&shell) {
            bail!("an account has {shell} for a shell: {line}");
        }
    }
    let shadow = read(&root.join("etc/shadow"))?;
    let accounts = shadow.lines().count();
    for line in shadow.lines() {
        let password = line.split(':').nth(1).unwrap_or_default();
        if !password.starts_with(['!', '*']) {
            bail!(
                "the account {} is not locked",
                line.split(':').next().unwrap_or_default()
            );
        }
    }
    for shell in ["sh", "bash", "dash", "rbash", "busybox"] {
        if root.join("usr/bin").join(shell).symlink_metadata().is_ok() {
            bail!("the image has a shell: /usr/bin/{shell}");
        }
    }
    Ok(format!("none; all of {accounts} accounts are locked"))
}

/// Reads the data partition of a machine that is off, as a thief of its disk would.
pub(crate) fn encrypted(bench: &Bench, machine: &Machine) -> Result<String> {
    let data = disk::data_partition(&machine.disk())?;
    let mut disk = File::open(machine.disk()).context("the machine's disk cannot be opened")?;
    disk.seek(SeekFrom::Start(data.start))?;
    let mut magic = [0; 8];
    disk.read_exact(&mut magic)?;
    // LUKS2's on-disk format, section 2.1: magic, then the version.
    if magic != *b"LUKS\xba\xbe\x00\x02" {
        bail!("the data partition does not begin with the header of LUKS2");
    }
    let tools = tools::ensure(bench)?;
    let disk = machine_disk_in_tools(bench, machine)?;
    let (skip, count) = (data.start >> 20, (data.end - data.start) >> 20);
    let arguments = [disk.as_str(), &skip.to_string(), &count.to_string()];
    let clear = tools.sh(
        "dd if=\"$1\" bs=1M skip=\"$2\" count=\"$3\" status=none | \
         grep -a -o -F -e 'SQLite format 3' -e strongroom.toml -e 'PRIVATE KEY' -e alice@example.com | sort -u || true",
        &arguments,
    )?;
    if !clear.is_empty() {
        bail!(
            "the data partition has in the clear: {}",
            clear.trim().replace('\n', ", ")
        );
    }
    let header = tools.sh(
        "dd if=\"$1\" bs=1M skip=\"$2\" count=16 of=luks.header status=none; cryptsetup luksDump --dump-json-metadata luks.header",
        &arguments[..2],
    )?;
    only_the_tpm(&serde_json::from_str(&header).context("the LUKS header cannot be read")?)?;
    Ok("LUKS2 with one key slot, which the TPM opens for PCR 7 and a signed PCR 11; nothing of the story in the clear".to_owned())
}

/// The beginning of the data partition's key slot, as it lies on the disk of a machine that is off.
pub(crate) fn key_slot(machine: &Machine) -> Result<Vec<u8>> {
    let data = disk::data_partition(&machine.disk())?;
    let mut disk = File::open(machine.disk()).context("the machine's disk cannot be opened")?;
    // Behind 4096 bytes its description in JSON, which ends with zeros (LUKS2's on-disk format, section 3).
    let mut text = vec![0; 12 << 10];
    disk.seek(SeekFrom::Start(data.start + 4096))?;
    disk.read_exact(&mut text)?;
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    let header: serde_json::Value =
        serde_json::from_slice(text).context("the LUKS header cannot be read")?;
    let offset: u64 = header["keyslots"]["0"]["area"]["offset"]
        .as_str()
        .and_then(|offset| offset.parse().ok())
        .context("the LUKS header has no key slot")?;
    let mut slot = vec![0; 4096];
    disk.seek(SeekFrom::Start(data.start + offset))?;
    disk.read_exact(&mut slot)?;
    Ok(slot)
}

/// Whether these bytes lie somewhere on the data partition, where a block of theirs begins.
pub(crate) fn contains(machine: &Machine, bytes: &[u8]) -> Result<bool> {
    let data = disk::data_partition(&machine.disk())?;
    let mut disk = File::open(machine.disk()).context("the machine's disk cannot be opened")?;
    disk.seek(SeekFrom::Start(data.start))?;
    let mut data = disk.take(data.end - data.start);
    let mut block = vec![0; bytes.len()];
    while data.read_exact(&mut block).is_ok() {
        if block == bytes {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Sees that a LUKS2 header has one key slot, and that the TPM has its key (systemd's token `systemd-tpm2`).
fn only_the_tpm(header: &serde_json::Value) -> Result<()> {
    let slots = header["keyslots"]
        .as_object()
        .map_or(0, serde_json::Map::len);
    let tokens: Vec<&serde_json::Value> = header["tokens"]
        .as_object()
        .map(|tokens| tokens.values().collect())
        .unwrap_or_default();
    let [token] = tokens.as_slice() else {
        bail!("the LUKS header has {} tokens", tokens.len());
    };
    if slots != 1 || token["type"] != "systemd-tpm2" {
        bail!(
            "the LUKS header has {slots} key slots, and a token of the kind {}",
            token["type"]
        );
    }
    if token["tpm2-pcrs"] != serde_json::json!([7])
        || token["tpm2_pubkey_pcrs"] != serde_json::json!([11])
    {
        bail!(
            "the TPM opens the data for the PCRs {} and, signed, {}",
            token["tpm2-pcrs"],
            token["tpm2_pubkey_pcrs"]
        );
    }
    Ok(())
}

fn machine_disk_in_tools(bench: &Bench, machine: &Machine) -> Result<String> {
    let disk = machine.disk();
    let inside = disk
        .strip_prefix(&bench.work)
        .context("the machine is elsewhere")?;
    Ok(format!("/bench/{}", inside.display()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn the_score_is_read() {
        let said = "…\n\u{2192} Overall exposure level for strongroomd.service: 1.2 OK \u{1f642}\n";
        assert_eq!(score(said), Some(1.2));
        assert_eq!(score("nothing"), None);
    }

    #[test]
    fn a_key_slot_that_somebody_else_opens_is_found() {
        let token = serde_json::json!({"type": "systemd-tpm2", "keyslots": ["0"], "tpm2-pcrs": [7], "tpm2_pubkey_pcrs": [11]});
        let mut header = serde_json::json!({"keyslots": {"0": {}}, "tokens": {"0": token}});
        assert!(only_the_tpm(&header).is_ok());
        header["keyslots"]["1"] = serde_json::json!({});
        assert!(only_the_tpm(&header).is_err());
        let without = serde_json::json!({"keyslots": {"0": {}}, "tokens": {}});
        assert!(only_the_tpm(&without).is_err());
    }

    #[test]
    fn each_unit_has_its_reason() {
        let list = "# all\nstrongroomd.service |\nsystemd-udevd.service | makes devices\n";
        let list = exposed(list).unwrap();
        assert_eq!((list[0].unit, list[0].reason), ("strongroomd.service", ""));
        assert_eq!(list[1].reason, "makes devices");
        assert!(exposed("no bar").is_err());
    }
}
