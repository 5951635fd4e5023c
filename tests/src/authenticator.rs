//! A real browser: Chromium with nobody before it, driven by the W3C's protocol for that, with a virtual authenticator (Web Authentication
//! Level 3 section 11).
//!
//! It is a second implementation of what a passkey needs of its platform; the one in [`passkey`](crate::passkey) is our own.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use strongroom_wire::credential::{
    PasskeyAssertion, PasskeyRegistration, PasskeyRequest, RegisterPasskey,
};
use strongroom_wire::encoding::Base64;
use tempfile::TempDir;
use ureq::Agent;

use crate::identity_provider::free_port;

/// How long the browser may take for anything, before the test fails.
const PATIENCE: Duration = Duration::from_mins(1);

/// What the page does with passkeys: bytes cross as base64url.
const PAGE: &str = "
const bytes = text => Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), c => c.charCodeAt(0));
const text = buffer => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\\+/g, '-').replace(/\\//g, '_').replace(/=/g, '');
const [asked, done] = arguments;
const key = asked.publicKey;
key.challenge = bytes(key.challenge);
if (key.user) key.user.id = bytes(key.user.id);
for (const list of [key.allowCredentials, key.excludeCredentials])
    for (const one of list ?? []) one.id = bytes(one.id);
const act = key.user ? navigator.credentials.create(asked) : navigator.credentials.get(asked);
act.then(made => done({
    credential: text(made.rawId),
    client_data: text(made.response.clientDataJSON),
    attestation_object: made.response.attestationObject && text(made.response.attestationObject),
    authenticator_data: made.response.authenticatorData && text(made.response.authenticatorData),
    signature: made.response.signature && text(made.response.signature),
    user_handle: made.response.userHandle && text(made.response.userHandle),
})).catch(error => done({ error: String(error) }));
";

/// A browser that shows a page of an appliance. Dropping it ends it.
pub struct Browser {
    driver: Child,
    agent: Agent,
    session: String,
    /// Removed last.
    folder: TempDir,
}

impl Browser {
    /// Opens a page of the site of this name, which is at this address and whose certificate this authority vouches for. The authenticator has
    /// verified its user, and keeps passkeys.
    #[must_use]
    pub fn at(site: &str, address: SocketAddr, ca: &Path, page: &str) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("strongroom-browser-")
            .tempdir()
            .unwrap();
        trust(folder.path(), ca);
        let port = free_port();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .env("HOME", folder.path())
            .env("TMPDIR", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is installed");
        let config = Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .build();
        let mut browser = Self {
            driver,
            agent: config.into(),
            session: format!("http://127.0.0.1:{port}"),
            folder,
        };
        let started = Instant::now();
        while browser
            .agent
            .get(format!("{}/status", browser.session))
            .call()
            .is_err()
        {
            assert!(started.elapsed() < PATIENCE, "chromedriver does not start");
            thread::sleep(Duration::from_millis(50));
        }
        let profile = browser.folder.path().join("profile");
        let arguments = [
            "--headless=new".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-quic".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--no-first-run".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--disable-sync".to_owned(),
            format!("--user-data-dir={}", profile.display()),
            format!("--host-resolver-rules=MAP {site}:443 {address}"),
        ];
        let options = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": { "args": arguments },
        } } });
        let session = browser.ask("session", &options);
        let id = session["sessionId"].as_str().unwrap();
        browser.session = format!("{}/session/{id}", browser.session);
        browser.ask("url", &json!({ "url": format!("https://{site}{page}") }));
        let authenticator = json!({
            "protocol": "ctap2", "transport": "internal", "hasResidentKey": true, "hasUserVerification": true,
            "isUserVerified": true, "isUserConsenting": true,
        });
        browser.ask("webauthn/authenticator", &authenticator);
        browser
    }

    /// Has the browser make a passkey of one of these algorithms.
    pub fn make(&self, request: &PasskeyRegistration, algorithms: &[i64]) -> RegisterPasskey {
        let parameters = algorithms
            .iter()
            .map(|algorithm| json!({ "type": "public-key", "alg": algorithm }));
        let user = &request.user_name;
        let made = self.run(&json!({ "publicKey": {
            "rp": { "id": request.rp_id, "name": request.rp_name },
            "user": { "id": request.user.to_text(), "name": user, "displayName": user },
            "challenge": request.challenge.to_text(),
            "pubKeyCredParams": parameters.collect::<Vec<_>>(),
            "excludeCredentials": credentials(&request.exclude),
            "authenticatorSelection": { "residentKey": "required", "userVerification": "required" },
            "attestation": "none",
        } }));
        RegisterPasskey {
            registration: request.registration,
            name: "in the browser".to_owned(),
            client_data: bytes(&made, "client_data").unwrap(),
            attestation_object: bytes(&made, "attestation_object").unwrap(),
        }
    }

    /// Has the browser sign this challenge.
    pub fn sign(&self, request: &PasskeyRequest, challenge: &[u8]) -> PasskeyAssertion {
        let signed = self.run(&json!({ "publicKey": {
            "rpId": request.rp_id,
            "challenge": Base64::from(challenge).to_text(),
            "allowCredentials": credentials(&request.allow),
            "userVerification": "required",
        } }));
        PasskeyAssertion {
            credential: bytes(&signed, "credential").unwrap(),
            client_data: bytes(&signed, "client_data").unwrap(),
            authenticator_data: bytes(&signed, "authenticator_data").unwrap(),
            signature: bytes(&signed, "signature").unwrap(),
            user_handle: bytes(&signed, "user_handle"),
        }
    }

    fn run(&self, asked: &Value) -> Value {
        let answer = self.ask("execute/async", &json!({ "script": PAGE, "args": [asked] }));
        assert_eq!(answer["error"], Value::Null, "{answer} to {asked}");
        answer
    }

    /// A command of the browser's driver (W3C `WebDriver` section 6), and the value that it answers.
    fn ask(&self, command: &str, body: &Value) -> Value {
        let address = format!("{}/{command}", self.session);
        let answer = self.agent.post(address).send_json(body);
        let mut answer: Value = answer.unwrap().body_mut().read_json().unwrap();
        let value = answer["value"].take();
        assert_eq!(value.get("stacktrace"), None, "{command}: {value}");
        value
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends the browser with its session.
        let _ = self.agent.delete(&self.session).call();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// Lets the browser with this home folder believe an authority: as an administrator does, in its database of certificates.
fn trust(home: &Path, ca: &Path) {
    let folder = home.join(".pki/nssdb");
    fs::create_dir_all(&folder).unwrap();
    let database = format!("sql:{}", folder.display());
    for words in [
        &["-N", "--empty-password"][..],
        &["-A", "-n", "strongroom", "-t", "C,,", "-i"],
    ] {
        let mut certutil = Command::new("certutil");
        certutil.args(["-d", &database]).args(words);
        if words.contains(&"-i") {
            certutil.arg(ca);
        }
        let output = certutil.output().expect("certutil is installed");
        assert!(output.status.success(), "{output:?}");
    }
}

fn credentials(identifiers: &[Base64]) -> Vec<Value> {
    identifiers
        .iter()
        .map(|id| json!({ "type": "public-key", "id": id.to_text() }))
        .collect()
}

fn bytes(answer: &Value, name: &str) -> Option<Base64> {
    answer[name].as_str().map(|text| text.parse().unwrap())
}
