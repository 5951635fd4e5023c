//! Interoperation with the Python package `cryptography` (50 or newer), which has its own implementation of
//! Cobblestone-256, in both directions: for the stream alone and for whole protected objects.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use strongroom_client::object::cobblestone::CHUNK_LEN;
use strongroom_client::object::{self, DecryptReader, EncryptWriter, Header, ObjectKey};
use strongroom_wire::id::KeyId;
use tempfile::TempDir;

/// The environment variable that names a Python with `cryptography` 50 or newer.
const PYTHON: &str = "STRONGROOM_TEST_PYTHON";

const LENGTHS: [usize; 7] = [
    0,
    1,
    CHUNK_LEN - 1,
    CHUNK_LEN,
    CHUNK_LEN + 1,
    5 * CHUNK_LEN,
    (1 << 20) + 7,
];

/// One plaintext with its key, and with a context or a header.
struct Case {
    name: String,
    key: [u8; 32],
    context: Vec<u8>,
    header: Header,
    plaintext: Vec<u8>,
}

impl Case {
    fn key(&self) -> ObjectKey {
        ObjectKey::from_slice(&self.key).unwrap()
    }
}

fn cases() -> Vec<Case> {
    LENGTHS
        .iter()
        .enumerate()
        .map(|(i, len)| {
            let n = u8::try_from(i).unwrap();
            let content_type = (i % 2 == 0).then_some("application/octet-stream");
            Case {
                name: format!("length-{len}"),
                key: std::array::from_fn(|j| n * 37 + u8::try_from(j).unwrap()),
                context: vec![n; i * 50],
                header: Header::new(
                    KeyId::generate(),
                    1 << (4 * i),
                    "https://keys.example.com:8443",
                    content_type,
                )
                .unwrap(),
                plaintext: (0..*len)
                    .map(|j| u8::try_from((j ^ (j >> 8) ^ ((j >> 14) * 31)) & 0xff).unwrap())
                    .collect(),
            }
        })
        .collect()
}

/// Runs the Python side over the cases: writes one file for each, returns the files it made.
fn python(act: &str, cases: &[Case], from: (&str, &[Vec<u8>]), to: &str) -> Vec<Vec<u8>> {
    let Some(python) = std::env::var_os(PYTHON) else {
        panic!(
            "{PYTHON} names no Python with the package cryptography, version 50 or newer: run `cargo xtask test`, which sets it up"
        );
    };
    let folder = TempDir::new().unwrap();
    let manifest: Vec<Value> = cases
        .iter()
        .map(|case| {
            json!({
                "name": case.name,
                "key": hex::encode(case.key),
                "context": hex::encode(&case.context),
                "header": {
                    "key": case.header.key().to_string(),
                    "key_version": case.header.key_version(),
                    "server": case.header.server(),
                    "content_type": case.header.content_type(),
                },
            })
        })
        .collect();
    fs::write(
        folder.path().join("manifest.json"),
        serde_json::to_vec(&manifest).unwrap(),
    )
    .unwrap();
    let file = |case: &Case, suffix: &str| folder.path().join(format!("{}.{suffix}", case.name));
    for (case, bytes) in cases.iter().zip(from.1) {
        fs::write(file(case, from.0), bytes).unwrap();
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cobblestone_interop.py");
    let output = Command::new(python)
        .arg(script)
        .arg(act)
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    cases
        .iter()
        .map(|case| fs::read(file(case, to)).unwrap())
        .collect()
}

fn plaintexts(cases: &[Case]) -> Vec<Vec<u8>> {
    cases.iter().map(|case| case.plaintext.clone()).collect()
}

fn assert_plaintexts(cases: &[Case], found: &[Vec<u8>]) {
    assert_eq!(found.len(), LENGTHS.len());
    for (case, found) in cases.iter().zip(found) {
        assert!(*found == case.plaintext, "{}", case.name);
    }
}

#[test]
fn python_decrypts_our_streams() {
    let cases = cases();
    let streams: Vec<Vec<u8>> = cases
        .iter()
        .map(|case| {
            let mut writer = EncryptWriter::new(&case.key(), &case.context, Vec::new()).unwrap();
            writer.write_all(&case.plaintext).unwrap();
            writer.finish().unwrap()
        })
        .collect();
    let found = python("decrypt", &cases, ("sealed", &streams), "plain");
    assert_plaintexts(&cases, &found);
}

#[test]
fn we_decrypt_streams_of_python() {
    let cases = cases();
    let streams = python("encrypt", &cases, ("plain", &plaintexts(&cases)), "sealed");
    let found: Vec<Vec<u8>> = cases
        .iter()
        .zip(&streams)
        .map(|(case, stream)| {
            let mut out = Vec::new();
            DecryptReader::new(&case.key(), &case.context, stream.as_slice())
                .unwrap()
                .copy_to(&mut out)
                .unwrap();
            out
        })
        .collect();
    assert_plaintexts(&cases, &found);
}

#[test]
fn python_opens_our_objects() {
    let cases = cases();
    let objects: Vec<Vec<u8>> = cases
        .iter()
        .map(|case| {
            let mut sealed = Vec::new();
            let mut content = case.plaintext.as_slice();
            object::protect(&case.key(), &case.header, &mut content, &mut sealed).unwrap();
            sealed
        })
        .collect();
    let found = python("open", &cases, ("sealed", &objects), "plain");
    assert_plaintexts(&cases, &found);
}

#[test]
fn we_open_objects_of_python() {
    let cases = cases();
    let objects = python("protect", &cases, ("plain", &plaintexts(&cases)), "sealed");
    let found: Vec<Vec<u8>> = cases
        .iter()
        .zip(&objects)
        .map(|(case, sealed)| {
            let object = object::open(sealed.as_slice()).unwrap();
            assert_eq!(object.header(), &case.header);
            let mut out = Vec::new();
            object
                .with_key(&case.key())
                .unwrap()
                .copy_to(&mut out)
                .unwrap();
            out
        })
        .collect();
    assert_plaintexts(&cases, &found);
}
