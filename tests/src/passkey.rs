//! An authenticator in software, as Web Authentication Level 3 section 6 describes one: a passkey for each account, ES256, with a
//! counter; and the browser's part around it.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use strongroom_wire::credential::{
    PasskeyAssertion, PasskeyRegistration, PasskeyRequest, RegisterPasskey,
};

const USER_PRESENT: u8 = 0x01;
const USER_VERIFIED: u8 = 0x04;
const ATTESTED: u8 = 0x40;

/// One passkey on one authenticator, used at one origin.
pub struct Passkey {
    /// The origin that the browser reports.
    pub origin: String,
    /// Whether the authenticator verifies its user.
    pub verifies: bool,
    /// How often it has signed.
    pub counter: u32,
    credential: Vec<u8>,
    user: Vec<u8>,
    pair: EcdsaKeyPair,
}

impl Passkey {
    /// Makes a passkey, and what registers it at the appliance.
    #[must_use]
    pub fn make(request: &PasskeyRegistration, origin: &str) -> (Self, RegisterPasskey) {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let mut credential = vec![0; 32];
        getrandom::fill(&mut credential).unwrap();
        let passkey = Self {
            origin: origin.to_owned(),
            verifies: true,
            counter: 0,
            credential,
            user: request.user.0.clone(),
            pair,
        };
        let mut data = passkey.authenticator_data(&request.rp_id, ATTESTED);
        // An authenticator of no known make, the credential's identifier, and its COSE_Key.
        data.extend_from_slice(&[0; 16]);
        data.extend_from_slice(&[0, 32]);
        data.extend_from_slice(&passkey.credential);
        let point = passkey.pair.public_key().as_ref();
        data.extend_from_slice(&[0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20]);
        data.extend_from_slice(&point[1..33]);
        data.extend_from_slice(&[0x22, 0x58, 0x20]);
        data.extend_from_slice(&point[33..]);
        // {"fmt": "none", "attStmt": {}, "authData": data}
        let mut object = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58".to_vec();
        object.push(u8::try_from(data.len()).unwrap());
        object.extend_from_slice(&data);
        let register = RegisterPasskey {
            registration: request.registration,
            name: "a key ring".to_owned(),
            client_data: passkey
                .client_data("webauthn.create", &request.challenge.0)
                .into(),
            attestation_object: object.into(),
        };
        (passkey, register)
    }

    /// Signs a challenge.
    #[must_use]
    pub fn sign(&mut self, request: &PasskeyRequest, challenge: &[u8]) -> PasskeyAssertion {
        self.counter += 1;
        let data = self.authenticator_data(&request.rp_id, 0);
        let client_data = self.client_data("webauthn.get", challenge);
        let signed = [&data[..], &Sha256::digest(&client_data)].concat();
        let signature = self.pair.sign(&SystemRandom::new(), &signed).unwrap();
        PasskeyAssertion {
            credential: self.credential.clone().into(),
            client_data: client_data.into(),
            authenticator_data: data.into(),
            signature: signature.as_ref().into(),
            user_handle: Some(self.user.clone().into()),
        }
    }

    fn authenticator_data(&self, rp_id: &str, flags: u8) -> Vec<u8> {
        let verified = if self.verifies { USER_VERIFIED } else { 0 };
        let mut data = Sha256::digest(rp_id).to_vec();
        data.push(USER_PRESENT | verified | flags);
        data.extend_from_slice(&self.counter.to_be_bytes());
        data
    }

    fn client_data(&self, ceremony: &str, challenge: &[u8]) -> Vec<u8> {
        let data = json!({
            "type": ceremony,
            "challenge": URL_SAFE_NO_PAD.encode(challenge),
            "origin": self.origin,
            "crossOrigin": false,
        });
        serde_json::to_vec(&data).unwrap()
    }
}
