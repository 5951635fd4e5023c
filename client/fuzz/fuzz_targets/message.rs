//! A sealed message from a stranger: nothing panics, one message has one envelope, and nothing opens but what was sealed.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use strongroom_client::message::{Envelope, MessageHeader};

const MATERIAL: [u8; 32] = [7; 32];

/// The one envelope that was sealed under the key in this run.
static SEALED: LazyLock<Vec<u8>> = LazyLock::new(|| {
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

fuzz_target!(|data: &[u8]| {
    if let Ok(envelope) = Envelope::parse(data) {
        let opened = envelope.open(&MATERIAL);
        assert_eq!(opened.is_ok(), data == SEALED.as_slice());
    }
});

// What is mutated begins as the sealed envelope, now and then: noise alone is hardly ever an envelope.
fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mut size = size;
    if seed % 4 == 0 && SEALED.len() <= max_size {
        data[..SEALED.len()].copy_from_slice(&SEALED);
        size = SEALED.len();
    }
    fuzzer_mutate(data, size, max_size)
});
