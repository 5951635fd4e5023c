//! A provider that answers whatever it is told to, over HTTPS.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeySize, PublicKeyComponents};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use strongroom_keystore::{Clock as _, SystemClock};
use strongroom_session::passkey::EphemeralKey;
use strongroom_wire::oidc::{FinishOidc, OidcStarted, StartOidc};
use url::Url;

use crate::auth::oidc::{Oidc, Proved, Unproved};
use crate::config;

pub(super) const SECRET: &str = "the appliance's secret at the provider";
pub(super) const CLIENT: &str = "strongroom";

/// A provider that answers whatever it is told to.
pub(super) struct Provider {
    says: Arc<Mutex<Says>>,
    pub(super) issuer: String,
    _folder: tempfile::TempDir,
    pub(super) oidc: Oidc,
    /// Whether sign-ins are to be fresh.
    pub(super) fresh: bool,
}

#[derive(Default)]
pub(super) struct Says {
    pub(super) keys: Vec<Value>,
    pub(super) token: String,
    /// The requests for a token: their header and body.
    pub(super) asked: Vec<String>,
    /// It takes requests and answers none.
    pub(super) hangs: bool,
}

/// A key with which ID tokens are signed.
pub(super) enum Key {
    Ec(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

impl Key {
    pub(super) fn new() -> Self {
        Self::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    pub(super) fn rsa() -> Self {
        Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    pub(super) fn jwk(&self, kid: &str) -> Value {
        match self {
            Self::Ec(key) => {
                let point = key.public_key().as_ref();
                json!({ "kty": "EC", "crv": "P-256", "kid": kid, "use": "sig",
                    "x": encode(&point[1..33]), "y": encode(&point[33..]) })
            }
            Self::Rsa(key) => {
                let public = PublicKeyComponents::<Vec<u8>>::from(key.public_key());
                json!({ "kty": "RSA", "kid": kid, "use": "sig",
                    "n": encode(&public.n), "e": encode(&public.e) })
            }
        }
    }

    pub(super) fn sign(&self, kid: &str, claims: &Value) -> String {
        let random = SystemRandom::new();
        match self {
            Self::Ec(key) => token(&json!({ "alg": "ES256", "kid": kid }), claims, |input| {
                key.sign(&random, input).unwrap().as_ref().to_vec()
            }),
            Self::Rsa(key) => token(&json!({ "alg": "RS256", "kid": kid }), claims, |input| {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, input, &mut signature)
                    .unwrap();
                signature
            }),
        }
    }
}

pub(super) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(super) fn token(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let input = format!(
        "{}.{}",
        encode(header.to_string().as_bytes()),
        encode(claims.to_string().as_bytes())
    );
    let signature = encode(&sign(input.as_bytes()));
    format!("{input}.{signature}")
}

pub(super) fn hs256(secret: &[u8], kid: &str, claims: &Value) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    token(&json!({ "alg": "HS256", "kid": kid }), claims, |input| {
        hmac::sign(&key, input).as_ref().to_vec()
    })
}

impl Provider {
    pub(super) fn new() -> Self {
        Self::with("")
    }

    /// With further settings of the appliance's, as TOML.
    pub(super) fn with(settings: &str) -> Self {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        std::fs::write(path("ca.pem"), made.cert.pem()).unwrap();
        std::fs::write(path("secret"), format!("{SECRET}\n")).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let key = made.signing_key.serialize_der().try_into().unwrap();
        let tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let issuer = format!(
            "https://127.0.0.1:{}",
            listener.local_addr().unwrap().port()
        );
        let says = Arc::new(Mutex::new(Says::default()));
        let (tls, shared, own) = (Arc::new(tls), Arc::clone(&says), issuer.clone());
        // It ends with the test's process.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (tls, says, issuer) = (Arc::clone(&tls), Arc::clone(&shared), own.clone());
                thread::spawn(move || answer(stream.unwrap(), tls, &says, &issuer));
            }
        });
        let text = format!(
            "name = \"corp\"\nissuer = {issuer:?}\nclient_id = {CLIENT:?}\nca = {:?}\nclient_secret_file = {:?}\n{settings}",
            path("ca.pem"),
            path("secret")
        );
        let settings: config::OidcProvider = toml::from_str(&text).unwrap();
        Self {
            says,
            issuer,
            _folder: folder,
            oidc: Oidc::within(&[settings], Duration::from_secs(2)).unwrap(),
            fresh: false,
        }
    }

    pub(super) fn says(&self) -> MutexGuard<'_, Says> {
        self.says.lock().unwrap()
    }

    pub(super) fn start(&self) -> (OidcStarted, HashMap<String, String>) {
        let request = StartOidc {
            provider: "corp".to_owned(),
            client_key: EphemeralKey::generate().public().into(),
            redirect_uri: "http://127.0.0.1:40000/signed-in".to_owned(),
            fresh: self.fresh,
        };
        let started = self.oidc.start("", request, None).unwrap();
        let url = Url::parse(&started.authorization_url).unwrap();
        let query = url.query_pairs().into_owned().collect();
        (started, query)
    }

    /// Finishes a sign-in for which the provider answers the token that `make` makes of good claims.
    pub(super) fn finish(&self, make: impl FnOnce(Value) -> String) -> Result<Proved, Unproved> {
        let (started, query) = self.start();
        self.says().token = make(self.claims(&query["nonce"]));
        self.oidc.finish("", &finish(&started), None)
    }

    pub(super) fn claims(&self, nonce: &str) -> Value {
        let now = SystemClock.now().as_millis() / 1000;
        json!({ "iss": self.issuer, "sub": "248289761001", "aud": CLIENT, "exp": now + 300, "iat": now, "nonce": nonce,
            "preferred_username": "alice@example.com", "email": "alice@example.com", "groups": ["crypto-team", "others"] })
    }
}

pub(super) fn finish(started: &OidcStarted) -> FinishOidc {
    FinishOidc {
        sign_in: started.sign_in,
        state: started.state.clone(),
        code: "the code".to_owned(),
        issuer: None,
    }
}

fn answer(stream: TcpStream, tls: Arc<ServerConfig>, says: &Mutex<Says>, issuer: &str) {
    let mut stream = StreamOwned::new(ServerConnection::new(tls).unwrap(), stream);
    let (mut request, mut part) = (Vec::new(), [0; 4096]);
    let whole = |request: &[u8]| {
        let text = String::from_utf8_lossy(request).to_lowercase();
        let (head, body) = text.split_once("\r\n\r\n")?;
        let length = head
            .split("content-length: ")
            .nth(1)
            .map_or(0, |rest| rest.lines().next().unwrap().parse().unwrap());
        (body.len() >= length).then_some(())
    };
    while whole(&request).is_none() {
        match stream.read(&mut part) {
            Ok(read @ 1..) => request.extend_from_slice(&part[..read]),
            _ => return,
        }
    }
    let text = String::from_utf8(request).unwrap();
    let path = text.split(' ').nth(1).unwrap();
    let mut says = says.lock().unwrap();
    if says.hangs {
        drop(says);
        thread::sleep(Duration::from_mins(1));
        return;
    }
    let body = match path {
        "/.well-known/openid-configuration" => json!({
            "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/jwks"),
            "response_types_supported": ["code"], "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["none", "HS256", "RS256", "ES256", "of-tomorrow"] }),
        "/jwks" => json!({ "keys": says.keys }),
        "/token" => {
            says.asked.push(text.clone());
            json!({ "access_token": "at", "token_type": "Bearer", "id_token": says.token })
        }
        other => json!({ "unexpected": other }),
    }
    .to_string();
    drop(says);
    // A client that has gone away needs no answer.
    let _ = write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.conn.send_close_notify();
    let _ = stream.flush();
}
