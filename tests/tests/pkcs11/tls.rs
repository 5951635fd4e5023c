//! nginx serves TLS with a key of the appliance, and `curl` shows a client certificate whose key is there, too.

use std::fs;
use std::process::Stdio;

use strongroom_tests::legacy::{Machine, Running, SignsIn, said};

use crate::pkcs11::openssl::{configure, private, self_signed};
use crate::pkcs11::{free_port, machine, pair, wait_until};

/// Starts nginx with two workers, which it forks after it has loaded the module and the key.
fn nginx(machine: &Machine, port: u16) -> Running {
    let folder = machine.folder().display();
    let key = private("server");
    // Workers begin with an empty environment, and initialise the module by themselves.
    let text = format!(
        "daemon off;\npid {folder}/nginx.pid;\nerror_log {folder}/nginx.log info;\nworker_processes 2;\n\
         env STRONGROOM_PKCS11_CONFIG;\nenv OPENSSL_CONF;\nssl_engine pkcs11;\nevents {{ }}\n\
         http {{\n  access_log off;\n  client_body_temp_path {folder}/t1;\n  proxy_temp_path {folder}/t2;\n  fastcgi_temp_path {folder}/t3;\n  \
         uwsgi_temp_path {folder}/t4;\n  scgi_temp_path {folder}/t5;\n  server {{\n    listen 127.0.0.1:{port} ssl;\n    ssl_protocols TLSv1.2 TLSv1.3;\n    \
         ssl_certificate {folder}/server.pem;\n    ssl_certificate_key \"engine:pkcs11:{key}\";\n    ssl_session_cache off;\n    \
         ssl_session_tickets off;\n    ssl_client_certificate {folder}/client.pem;\n    ssl_verify_client optional;\n    \
         location / {{ return 200 \"$ssl_client_verify $pid $ssl_protocol\"; }}\n  }}\n}}\n"
    );
    // Workers run as the user that starts them, where that is not root; root's must be able to read the module's configuration.
    let text = if rustix::process::getuid().is_root() {
        format!("user root;\n{text}")
    } else {
        text
    };
    fs::write(machine.file("nginx.conf"), text).unwrap();
    let mut command = machine.command("nginx");
    command
        .arg("-c")
        .arg(machine.file("nginx.conf"))
        .arg("-e")
        .arg(machine.file("nginx.log"))
        .env("OPENSSL_CONF", machine.file("openssl.cnf"))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    machine.starts(&mut command)
}

/// What the server answers: who the client is, which worker it was, by which protocol.
fn ask(machine: &Machine, port: u16, words: &[&str]) -> Option<Vec<String>> {
    let url = format!("https://localhost:{port}/");
    let mut command = machine.command("curl");
    command
        .args([
            "--silent",
            "--show-error",
            "--max-time",
            "10",
            "--cacert",
            "server.pem",
        ])
        .args(words)
        .arg(url)
        .env("OPENSSL_CONF", machine.file("openssl.cnf"));
    let said = said(&mut command);
    let text = said.success.then_some(said.text)?;
    Some(text.split(' ').map(str::to_owned).collect())
}

#[test]
fn nginx_and_curl_do_tls_with_keys_of_the_appliance() {
    let (_appliance, machine) = machine(SignsIn::ByPin);
    configure(&machine);
    pair(&machine, "EC:secp256r1", "01", "server");
    pair(&machine, "rsa:2048", "02", "client");
    self_signed(&machine, "server", "localhost", "server.pem");
    self_signed(&machine, "client", "client", "client.pem");
    let port = free_port();
    let server = nginx(&machine, port);
    wait_until("nginx listens", || ask(&machine, port, &[]).is_some());

    // Both workers serve.
    let mut workers = Vec::new();
    wait_until("two workers answer", || {
        let answer = ask(&machine, port, &[]).unwrap();
        assert_eq!((&*answer[0], &*answer[2]), ("NONE", "TLSv1.3"));
        workers.push(answer[1].clone());
        workers.iter().any(|worker| *worker != workers[0])
    });
    let key = private("client");
    let client = [
        "--engine",
        "pkcs11",
        "--key-type",
        "ENG",
        "--key",
        &key,
        "--cert",
        "client.pem",
    ];
    for (version, protocol) in [("--tlsv1.3", "TLSv1.3"), ("--tls-max=1.2", "TLSv1.2")] {
        let version = version.split('=').collect::<Vec<_>>();
        let answer = ask(&machine, port, &[&client[..], &version].concat()).unwrap();
        assert_eq!((&*answer[0], &*answer[2]), ("SUCCESS", protocol));
    }
    // New workers after a reload.
    let pid = rustix::process::Pid::from_child(&server.0);
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    wait_until("new workers answer", || {
        let answer = ask(&machine, port, &[]).unwrap();
        !workers.contains(&answer[1])
    });
    drop(server);
    let begun = machine.log().matches("begins with").count();
    assert!(begun >= 4, "{}", machine.log());
}
