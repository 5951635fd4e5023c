//! OpenSSH: `ssh-keygen -D`, `ssh`, `ssh-agent`, and a real `sshd` that lets them in.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use strongroom_tests::legacy::{Machine, SignsIn, module, said};

use crate::pkcs11::{free_port, machine, pair, wait_until};

/// Lets somebody in.
fn sshd(machine: &Machine, port: u16) -> Command {
    machine.does(
        "ssh-keygen",
        &["-q", "-t", "ed25519", "-N", "", "-f", "hostkey"],
    );
    let folder = machine.folder().display();
    let text = format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/hostkey\nAuthorizedKeysFile {folder}/authorized\nStrictModes no\n\
         PidFile none\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
    );
    fs::write(machine.file("sshd_config"), text).unwrap();
    let mut sshd = machine.command("/usr/sbin/sshd");
    sshd.args(["-D", "-e", "-f"])
        .arg(machine.file("sshd_config"))
        .stderr(fs::File::create(machine.file("sshd.log")).unwrap());
    sshd
}

fn ssh(machine: &Machine, port: u16, provider: bool, agent: Option<&Path>) -> String {
    let mut command = machine.command("ssh");
    let known = format!("UserKnownHostsFile={}", machine.file("known").display());
    command
        .args([
            "-F",
            "none",
            "-o",
            "BatchMode=yes",
            "-o",
            "IdentitiesOnly=no",
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            &known,
        ])
        .args(["-p", &port.to_string()]);
    if provider {
        command.args(["-o", &format!("PKCS11Provider={}", module())]);
    }
    match agent {
        Some(socket) => command.env("SSH_AUTH_SOCK", socket),
        None => command.env_remove("SSH_AUTH_SOCK"),
    };
    let user = rustix::process::getuid().as_raw();
    let user = said(Command::new("id").args(["-nu", &user.to_string()])).text;
    command
        .arg(format!("{}@127.0.0.1", user.trim()))
        .arg("echo let in");
    let said = said(&mut command);
    String::from_utf8_lossy(&said.out).into_owned()
}

#[test]
fn openssh_signs_in_with_keys_of_the_appliance() {
    let (_appliance, machine) = machine(SignsIn::ByItself);
    pair(&machine, "EC:secp256r1", "01", "ec");
    pair(&machine, "rsa:3072", "02", "rsa");
    let listed = machine.does("ssh-keygen", &["-D", &module()]);
    let keys = String::from_utf8(listed.out).unwrap();
    let keys: Vec<&str> = keys.lines().collect();
    assert_eq!(keys.len(), 2, "{keys:?}");
    // Without it `sshd` refuses to start.
    if rustix::process::getuid().is_root() {
        fs::create_dir_all("/run/sshd").unwrap();
    }
    let port = free_port();
    let _sshd = machine.starts(&mut sshd(&machine, port));
    wait_until("sshd listens", || {
        let log = fs::read_to_string(machine.file("sshd.log")).unwrap();
        log.contains("Server listening")
    });
    fs::write(machine.file("authorized"), "").unwrap();
    assert_eq!(ssh(&machine, port, true, None), "");
    for key in &keys {
        fs::write(machine.file("authorized"), key).unwrap();
        assert_eq!(ssh(&machine, port, true, None), "let in\n", "{key}");
        assert_eq!(ssh(&machine, port, false, None), "");
    }

    // The agent holds the token, and needs no secret of the account's.
    let socket = machine.file("agent");
    let mut agent = machine.command("ssh-agent");
    agent
        .args(["-D", "-P", "/*", "-a"])
        .arg(&socket)
        .stdout(Stdio::null());
    let _agent = machine.starts(&mut agent);
    wait_until("the agent listens", || socket.exists());
    let add = |words: &[&str]| {
        let mut command = machine.command("ssh-add");
        let said = said(command.args(words).env("SSH_AUTH_SOCK", &socket));
        assert!(
            said.success,
            "{}\n{}\n{}",
            said.command,
            said.text,
            machine.log()
        );
        said.text
    };
    add(&["-s", &module()]);
    assert!(add(&["-l"]).contains("(ECDSA)"));
    assert_eq!(ssh(&machine, port, false, Some(&socket)), "let in\n");
    add(&["-e", &module()]);
    assert_eq!(ssh(&machine, port, false, Some(&socket)), "");
}
