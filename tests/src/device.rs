//! A device that signs its requests with its account's secret, as bytes.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;
use strongroom_session::signature::{Covered, content_digest};
use strongroom_session::{AccountSecret, RequestSignature, TransportKey};
use strongroom_wire::account::Account;
use strongroom_wire::id::AccountId;
use strongroom_wire::key::{CreatedKeys, Material};
use strongroom_wire::problem::Problem;

use crate::api::{Api, Listener};
use crate::http::Response;
use crate::{Appliance, Person};

/// A device.
pub struct Device {
    /// Its account.
    pub account: AccountId,
    /// Its secret.
    pub secret: AccountSecret,
}

/// A request that a device makes.
#[derive(Debug, Clone)]
pub struct SignedRequest {
    /// The method.
    pub method: String,
    /// The path and, after a question mark, the query.
    pub target: String,
    /// The body.
    pub body: String,
    /// The header Content-Digest.
    pub digest: String,
    /// The header Signature-Input.
    pub input: String,
    /// The header Signature.
    pub signature: String,
    /// The nonce.
    pub nonce: String,
}

/// The seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

impl Device {
    /// Puts what the client library's sample devices need into a folder of theirs.
    pub fn keep_in(&self, folder: &Path, appliance: &Appliance) {
        fs::create_dir(folder).unwrap();
        fs::copy(appliance.ca(), folder.join("ca.pem")).unwrap();
        let files = [
            ("server", appliance.client_url()),
            ("account", self.account.to_string()),
            ("secret", self.secret.to_text().to_string()),
        ];
        for (name, text) in files {
            fs::write(folder.join(name), text).unwrap();
        }
    }

    /// Signs a request as if it were made at this moment.
    pub fn sign_at(&self, created: u64, method: &str, target: &str, body: &str) -> SignedRequest {
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).unwrap();
        let nonce = hex::encode(nonce);
        let digest = content_digest(body.as_bytes());
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let covered = Covered {
            method,
            path,
            query,
            content_digest: &digest,
        };
        let signed = RequestSignature::sign(&self.secret, self.account, created, &nonce, &covered);
        let (input, signature) = signed.unwrap();
        SignedRequest {
            method: method.to_owned(),
            target: target.to_owned(),
            body: body.to_owned(),
            digest,
            input,
            signature,
            nonce,
        }
    }

    /// Signs a request.
    pub fn sign(&self, method: &str, target: &str, body: &str) -> SignedRequest {
        self.sign_at(now(), method, target, body)
    }

    /// Signs and makes a request: the answer and the transport key, where it was admitted.
    pub fn send(
        &self,
        api: &Api,
        method: &str,
        target: &str,
        body: &str,
    ) -> (Response, Option<TransportKey>) {
        let request = self.sign(method, target, body);
        let response = request.send(api, Listener::Client);
        let transport = response
            .header("strongroom-nonce")
            .map(|nonce| self.secret.transport_key(&request.nonce, nonce));
        (response, transport)
    }
}

impl SignedRequest {
    /// The request as it goes over the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let Self {
            method,
            target,
            body,
            digest,
            input,
            signature,
            ..
        } = self;
        format!(
            "{method} {target} HTTP/1.1\r\nhost: appliance\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
             content-digest: {digest}\r\nsignature-input: {input}\r\nsignature: {signature}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    }

    /// Makes the request on a connection of its own.
    pub fn send(&self, api: &Api, listener: Listener) -> Response {
        let mut connection = api.connect(listener).unwrap();
        let Some(domain) = &api.domain else {
            return connection.raw(&self.bytes()).unwrap();
        };
        let text = String::from_utf8(self.bytes()).unwrap();
        let named = format!("HTTP/1.1\r\nstrongroom-domain: {domain}\r\n");
        let text = text.replacen("HTTP/1.1\r\n", &named, 1);
        connection.raw(text.as_bytes()).unwrap()
    }
}

/// An administrator with a device, signed in at the administration listener, and a factory's key beside it.
pub fn administrator(appliance: &Appliance) -> Person {
    let admin = Person::administrator(appliance);
    let _ = admin.enrol(appliance.administrator_code()).success();
    factory(&admin);
    admin
}

/// Signs an administrator in who has enrolled, and makes a factory's key beside them.
pub fn factory(admin: &Person) {
    let _ = admin.login().success();
    let _ = admin.run(&["devices", "factory-key"]).success();
}

/// Imports devices with these serial numbers, and opens their secrets with the factory's key.
pub fn import(admin: &Person, serials: &[&str]) -> Vec<Device> {
    fs::write(admin.file("devices.csv"), serials.join("\n")).unwrap();
    let import = ["devices", "import", "devices.csv"];
    let _ = admin.run(&import).success();
    opened(admin, "devices.csv.secrets")
        .into_iter()
        .filter(|(serial, _)| serials.contains(&serial.as_str()))
        .map(|(_, device)| device)
        .collect()
}

/// The secrets in this file of an import, by serial number.
pub fn opened(admin: &Person, file: &str) -> Vec<(String, Device)> {
    let open = ["devices", "open", file, "--json"];
    let lines = admin.run(&open).success().json_lines();
    lines
        .into_iter()
        .map(|line| {
            let text = |name: &str| line[name].as_str().unwrap().to_owned();
            let device = Device {
                account: text("account").parse().unwrap(),
                secret: AccountSecret::from_text(&text("secret")).unwrap(),
            };
            (text("serial"), device)
        })
        .collect()
}

impl Device {
    /// Its own account, or why it is told nothing.
    pub fn own_account(&self, api: &Api) -> Result<Account, Box<Problem>> {
        let (response, _) = self.send(api, "GET", "/v1/accounts/me", "");
        match response.status {
            200 => Ok(response.json()),
            _ => Err(Box::new(response.problem())),
        }
    }

    /// Creates a key and has it released again in another request: the material must be the same and be wrapped differently.
    pub fn create_and_release(&self, api: &Api) -> Material {
        let body = json!({ "keys": [{ "algorithm": "aes-256", "label": "measurements" }], "release": true });
        let (response, transport) = self.send(api, "POST", "/v1/keys", &body.to_string());
        let mut created: CreatedKeys = response.json();
        let created = created.keys.remove(0).material.unwrap();
        let first = transport
            .unwrap()
            .unwrap(created.key, created.version, &created.wrapped.0)
            .unwrap();
        let path = format!("/v1/keys/{}/release", created.key);
        let (response, transport) = self.send(api, "POST", &path, "{}");
        let released: Material = response.json();
        let second = transport
            .unwrap()
            .unwrap(released.key, released.version, &released.wrapped.0)
            .unwrap();
        assert_eq!(first, second);
        assert_ne!(created.wrapped, released.wrapped);
        released
    }
}
