//! What must hold of bytes that are said to be a protected object: only authentic plaintext is handed out, and the whole of it only where nothing was
//! altered.

use std::io::Cursor;
use std::sync::LazyLock;

use strongroom_client::object::{self, Header, ObjectKey};

static CONTENT: [u8; 20_000] = [0x5a; 20_000];

/// The one object that was protected under the key in this run.
pub(crate) static SEALED: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let id = "01934c1e-7d5a-7cc0-8f3e-0123456789ab"
        .parse()
        .expect("an identifier");
    let header = Header::new(id, 1, "https://keys.example.com:8443", None).expect("a header");
    let mut object = Vec::new();
    object::protect(&key(), &header, &mut CONTENT.as_slice(), &mut object)
        .expect("it can be protected");
    object
});

fn key() -> ObjectKey {
    ObjectKey::from_slice(&[7; 32]).expect("a key has 32 bytes")
}

/// Holds these bytes against it.
pub(crate) fn check(data: &[u8]) {
    let mut out = Vec::new();
    if let Ok(object) = object::open(data)
        && let Ok(mut reader) = object.with_key(&key())
    {
        let whole = reader.copy_to(&mut out).is_ok();
        assert!(CONTENT.starts_with(&out));
        assert_eq!(whole, data == SEALED.as_slice());
    }
    if let Ok(object) = object::open(Cursor::new(data))
        && let Ok(mut reader) = object.with_key_at(&key())
    {
        let mut part = [0; 100];
        let read = reader.read_at(17_000, &mut part).unwrap_or(0);
        assert!(CONTENT.starts_with(&part[..read]));
    }
}
