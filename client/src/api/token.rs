//! The token of a session.

use strongroom_wire::encoding::Base64;
use zeroize::Zeroizing;

/// The length of a session's token, in bytes.
pub(crate) const TOKEN_LEN: usize = 32;

/// What the appliance knows a session by.
pub(crate) struct Token(Zeroizing<[u8; TOKEN_LEN]>);

impl Token {
    pub(crate) fn from_bytes(bytes: Zeroizing<[u8; TOKEN_LEN]>) -> Self {
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; TOKEN_LEN] {
        &self.0
    }

    /// The value of the `Authorization` header (RFC 6750 section 2.1).
    pub(crate) fn header(&self) -> Zeroizing<String> {
        let bytes = Base64(self.0.to_vec());
        let text = Zeroizing::new(bytes.to_text());
        drop(Zeroizing::new(bytes.0));
        Zeroizing::new(format!("Bearer {}", *text))
    }
}
