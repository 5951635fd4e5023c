//! Between the two ends: TLS 1.3 with the hybrid key exchange, and inside it key material wrapped once more.

use std::io::{Read as _, Write as _};

use rustls::{HandshakeKind, NamedGroup, ProtocolVersion};
use serde_json::json;
use strongroom_tests::http::{self, Connection};
use strongroom_tests::scan::Secrets;
use strongroom_tests::{Appliance, Session};
use strongroom_wire::id::KeyId;

#[test]
fn tls_is_1_3_with_the_hybrid_key_exchange() {
    let appliance = Appliance::start();
    let api = appliance.api();
    for address in [api.client, api.admin] {
        let connection = Connection::open(address, &api.tls).unwrap();
        let tls = connection.tls();
        assert_eq!(tls.protocol_version(), Some(ProtocolVersion::TLSv1_3));
        let group = tls.negotiated_key_exchange_group().unwrap().name();
        assert_eq!(group, NamedGroup::X25519MLKEM768);
        assert_eq!(tls.handshake_kind(), Some(HandshakeKind::Full));

        let old = http::tls(&appliance.ca(), &[&rustls::version::TLS12]);
        let Err(error) = Connection::open(address, &old) else {
            unreachable!("TLS 1.2 was taken")
        };
        assert!(error.to_string().contains("ProtocolVersion"), "{error}");
    }
    // Another appliance's authority does not vouch for this one.
    let other = Appliance::new();
    let stranger = http::tls(&other.ca(), &[&rustls::version::TLS13]);
    assert!(Connection::open(api.client, &stranger).is_err());
    // Without TLS nothing is said.
    let mut plain = std::net::TcpStream::connect(api.client).unwrap();
    plain
        .set_read_timeout(Some(std::time::Duration::from_secs(20)))
        .unwrap();
    plain
        .write_all(b"GET /v1/health HTTP/1.1\r\nhost: a\r\n\r\n")
        .unwrap();
    let mut answer = Vec::new();
    plain.read_to_end(&mut answer).ok();
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
}

#[test]
fn material_travels_wrapped_for_one_session_only() {
    let appliance = Appliance::start();
    let mut admin = appliance.administrator();
    let mut alice = appliance.person(&mut admin, "alice@example.com");
    let mut elsewhere = appliance.sign_in("alice@example.com");

    let body =
        json!({"keys": [{"algorithm": "aes-256"}, {"algorithm": "hmac-sha-256"}], "release": true});
    let created = alice
        .send("POST", "/v1/keys", Some(body.to_string().as_bytes()))
        .unwrap();
    let raw = created.body.clone();
    let created: strongroom_wire::key::CreatedKeys = created.json();
    for created in created.keys {
        let key = created.key.id;
        let wrapped = created.material.unwrap();
        let material = alice.unwrap(&wrapped);
        assert_eq!(material.len(), 32);
        assert_eq!(wrapped.wrapped.0.len(), 40, "AES-KWP of 32 bytes");
        let mut secrets = Secrets::new();
        secrets.add_bytes("the material", &material);
        secrets.assert_absent("the answer to its creation", &raw);
        // Another session of the same account gets it wrapped otherwise, and cannot read what went to this one.
        let path = format!("/v1/keys/{key}/release");
        let response = elsewhere.send("POST", &path, Some(b"{}")).unwrap();
        secrets.assert_absent("the answer to its release", &response.body);
        let again: strongroom_wire::key::Material = response.json();
        assert_eq!(elsewhere.unwrap(&again), material);
        assert_ne!(again.wrapped, wrapped.wrapped);
        let bytes = &wrapped.wrapped.0;
        let unwraps = |session: &Session, key, version| {
            session.transport().unwrap(key, version, bytes).is_ok()
        };
        assert!(!unwraps(&elsewhere, key, 1));
        // Nor can it stand in another key's place, or in another version's.
        assert!(unwraps(&alice, key, 1));
        assert!(!unwraps(&alice, key, 2));
        assert!(!unwraps(&alice, KeyId::generate(), 1));
        // What is only looked at has no material at all.
        for path in [
            format!("/v1/keys/{key}"),
            format!("/v1/keys/{key}/grants"),
            "/v1/keys".to_owned(),
            "/v1/audit".to_owned(),
        ] {
            let response = alice.send("GET", &path, None).unwrap();
            assert_eq!(response.status, 200);
            secrets.assert_absent(&path, &response.body);
            assert!(!response.text().contains("wrapped"), "{path}");
        }
    }
}
