//! An authenticator app (RFC 6238), made from the RFC alone.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;

/// An authenticator app that was told a secret.
pub struct AuthenticatorApp(hmac::Key);

impl AuthenticatorApp {
    /// The app after it has read the secret, in base 32 (RFC 4648 section 6) without padding.
    #[must_use]
    pub fn new(secret: &str) -> Self {
        let mut bytes = Vec::new();
        let (mut held, mut bits) = (0_u32, 0);
        for digit in secret.bytes() {
            let value = match digit {
                b'A'..=b'Z' => digit - b'A',
                b'2'..=b'7' => digit - b'2' + 26,
                _ => panic!("{secret} is not base 32"),
            };
            held = held << 5 | u32::from(value);
            bits += 5;
            if bits >= 8 {
                bits -= 8;
                bytes.push(u8::try_from(held >> bits & 0xff).unwrap());
            }
        }
        let algorithm = hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY;
        Self(hmac::Key::new(algorithm, &bytes))
    }

    /// The code that it shows `steps` of 30 seconds after this moment's.
    #[must_use]
    pub fn shows(&self, steps: u64) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let tag = hmac::sign(&self.0, &(now.as_secs() / 30 + steps).to_be_bytes());
        let offset = usize::from(tag.as_ref()[19] & 15);
        let word: [u8; 4] = tag.as_ref()[offset..offset + 4].try_into().unwrap();
        format!(
            "{:06}",
            (u32::from_be_bytes(word) & 0x7fff_ffff) % 1_000_000
        )
    }
}
