//! What must hold of bytes that are said to be a sealed message: one message has one envelope, and nothing opens but what was sealed.

use std::sync::LazyLock;

use strongroom_client::message::{Envelope, MessageHeader};

const MATERIAL: [u8; 32] = [7; 32];

/// The one envelope that was sealed under the key in this run.
pub(crate) static SEALED: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let header = MessageHeader {
        key: "01934c1e-7d5a-7cc0-8f3e-0123456789ab"
            .parse()
            .expect("an identifier"),
        key_version: 1,
        server: "https://keys.example.com:8443".to_owned(),
        content_type: Some("text/plain".to_owned()),
        sender: "01934c1e-7d5a-7cc0-8f3e-aaaaaaaaaaaa"
            .parse()
            .expect("an identifier"),
        recipients: vec!["bob@example.com".to_owned()],
        time: "2026-11-27T18:00:00Z".parse().expect("a moment"),
    };
    Envelope::seal(&header, &MATERIAL, b"at noon").expect("it can be sealed")
});

/// Holds these bytes against it.
pub(crate) fn check(data: &[u8]) {
    if let Ok(envelope) = Envelope::parse(data) {
        let opened = envelope.open(&MATERIAL);
        assert_eq!(opened.is_ok(), data == SEALED.as_slice());
    }
}
