//! The key that is split.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

/// The length of a key that can be split, in bytes.
pub const KEY_BYTES: usize = 32;

/// A key that is split among custodians or was restored by them. It is zeroised when dropped, and stays at one address while it lives.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct SharedKey(Box<[u8]>);

impl SharedKey {
    /// Takes a key's bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; KEY_BYTES]) -> Self {
        let mut key = Self(vec![0; KEY_BYTES].into_boxed_slice());
        key.0.copy_from_slice(bytes);
        key
    }

    /// The key's bytes: as many as [`KEY_BYTES`] says.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedKey(..)")
    }
}
