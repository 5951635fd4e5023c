//! The authenticator of a real browser: Chromium's virtual one (Web Authentication Level 3 section 11).
//!
//! It is a second implementation of what a passkey needs of its platform; the one in [`passkey`](crate::passkey) is our own.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};
use strongroom_wire::credential::{
    PasskeyAssertion, PasskeyRegistration, PasskeyRequest, RegisterPasskey,
};
use strongroom_wire::encoding::Base64;

use crate::browser::{Browser, Settings};

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

/// An authenticator that has verified its user and keeps passkeys, in a browser that shows a page of an appliance.
pub struct Authenticator(Browser);

impl Authenticator {
    /// Opens a page of the site of this name, which is at this address and has this certificate.
    #[must_use]
    pub fn at(site: &str, address: SocketAddr, certificate: &Path, page: &str) -> Self {
        let settings = Settings {
            https: Some(address.port()),
            ..Settings::default()
        };
        let browser = Browser::start(site, certificate, settings);
        browser.go(&format!("https://{site}{page}"));
        let _ = browser.plug_authenticator();
        Self(browser)
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
        let answer = self.0.run_until_done(PAGE, std::slice::from_ref(asked));
        assert_eq!(answer["error"], Value::Null, "{answer} to {asked}");
        answer
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
