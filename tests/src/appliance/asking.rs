//! What an appliance is asked from outside: by its operator's commands and at its listeners.

use std::io::Write as _;
use std::process::{Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use strongroom_wire::health::State;

use super::{Addresses, Appliance};
use crate::api::{Api, Listener};
use crate::http;

impl Appliance {
    /// The report of `strongroomd audit verify`, which must agree with its exit status.
    #[must_use]
    pub fn verify_audit(&self) -> Value {
        let mut verify = self.strongroomd();
        let output = verify.args(["audit", "verify", "--json"]).output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
        assert_eq!(report["verified"], output.status.success());
        report
    }

    /// Asks the running appliance how it is, as an operator at its machine does.
    #[must_use]
    pub fn status(&self) -> Value {
        let mut status = self.strongroomd();
        let output = status.args(["status", "--json"]).output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
        assert_eq!(report["state"] == "serving", output.status.success());
        report
    }

    /// Runs an operator's command with these lines on its standard input.
    #[must_use]
    pub fn operate(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = self.strongroomd();
        let mut child = command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that asks for nothing may have ended.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// Waits until it is in this state.
    pub fn wait_for(&self, state: State, patience: Duration) {
        let (api, started) = (self.api(), Instant::now());
        loop {
            let health = api.health().unwrap();
            if health.state == state {
                return;
            }
            assert!(started.elapsed() < patience, "{health:?}: {}", self.log());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// What it shows to the monitoring.
    #[must_use]
    pub fn metrics(&self) -> String {
        let api = self.api();
        let mut connection = api.connect(Listener::Administration).unwrap();
        let response = connection.send("GET", "/metrics", None, None).unwrap();
        assert_eq!(response.status, 200);
        response.text()
    }

    /// Where it is, for clients. It must have been started.
    #[must_use]
    pub fn api(&self) -> Api {
        let Addresses { client, admin } = self.addresses.expect("the appliance has been started");
        Api {
            client,
            admin,
            tls: http::tls(&self.ca(), &[&rustls::version::TLS13]),
            source: None,
            domain: None,
        }
    }

    /// Runs `strongroomd domain` with these words and `--json`: what it printed, or the sentence with which it failed.
    ///
    /// # Errors
    ///
    /// The sentence.
    pub fn domain(&self, words: &[&str]) -> Result<Value, String> {
        let mut command = self.strongroomd();
        let output = command.arg("domain").args(words).arg("--json").output();
        let output = output.unwrap();
        if output.status.success() {
            Ok(serde_json::from_slice(&output.stdout).expect("it answers JSON"))
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }
}
