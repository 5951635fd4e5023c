//! Approval keys, and the detached JSON Web Signatures that they sign with.
//!
//! An approval key is an Ed25519 or a P-256 public key (RFC 8410; RFC 5480), whose private half lies in a smart card, a token or a file that is
//! nobody else's. It signs in JWS (RFC 7515) with a detached payload (appendix F): `BASE64URL(header)..BASE64URL(signature)`.

use aws_lc_rs::agreement;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use crate::sha256;

/// `SubjectPublicKeyInfo` of Ed25519 before the key's 32 bytes (RFC 8410 section 4).
const ED25519_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];
/// `SubjectPublicKeyInfo` of P-256 before the uncompressed point's 65 bytes (RFC 5480 section 2).
const P256_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// The first byte of an uncompressed point (SEC 1 section 2.3.3).
const UNCOMPRESSED: u8 = 4;
/// The longest JWS header that is read, in bytes.
const LONGEST_HEADER: usize = 1024;

/// How a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Ed25519, `EdDSA` in JWS (RFC 8037 section 3.1).
    EdDsa,
    /// ECDSA over P-256 with SHA-256, `ES256` in JWS (RFC 7518 section 3.4).
    Es256,
}

impl Scheme {
    /// Its name in a JWS header.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
        }
    }
}

/// Why a key or its signature is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The bytes are no `SubjectPublicKeyInfo` of Ed25519 or P-256 in DER, with an uncompressed point.
    #[error("an approval key is an Ed25519 or a P-256 public key, in DER as SubjectPublicKeyInfo")]
    PublicKey,
    /// The text is no JWS with a detached payload, or its header asks for what is not taken.
    #[error("the signature is no detached JWS by EdDSA or ES256")]
    Jws,
    /// The signature is not that of this key over this payload.
    #[error("the signature is not that of this key over this statement")]
    Signature,
}

/// A registered public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalKey {
    scheme: Scheme,
    spki: Vec<u8>,
}

/// The header's members that decide something. `crit`, which would change what is signed or how, is refused, whatever it names.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    #[serde(default)]
    #[expect(
        dead_code,
        reason = "taken and not looked at: the evidence names the key"
    )]
    kid: Option<String>,
    #[serde(default)]
    #[expect(dead_code, reason = "taken and not looked at")]
    typ: Option<String>,
}

impl ApprovalKey {
    /// Reads a `SubjectPublicKeyInfo` in DER.
    ///
    /// # Errors
    ///
    /// [`KeyError::PublicKey`].
    pub fn from_spki(spki: &[u8]) -> Result<Self, KeyError> {
        let scheme = if let Some(key) = spki.strip_prefix(&ED25519_PREFIX) {
            (key.len() == 32).then_some(Scheme::EdDsa)
        } else if let Some(point) = spki.strip_prefix(&P256_PREFIX) {
            let whole = point.len() == 65 && point.first() == Some(&UNCOMPRESSED);
            // A point that is not on the curve verifies nothing; it is found here, when the key is registered.
            let on_curve = || {
                agreement::ParsedPublicKey::try_from(agreement::UnparsedPublicKey::new(
                    &agreement::ECDH_P256,
                    point,
                ))
                .is_ok()
            };
            (whole && on_curve()).then_some(Scheme::Es256)
        } else {
            None
        };
        Ok(Self {
            scheme: scheme.ok_or(KeyError::PublicKey)?,
            spki: spki.to_vec(),
        })
    }

    /// Its `SubjectPublicKeyInfo` in DER.
    #[must_use]
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// How it signs.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// What it is named by in leaves: SHA-256 of its `SubjectPublicKeyInfo`.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        sha256(&self.spki)
    }

    /// The header of a JWS by this key.
    #[must_use]
    pub fn header(&self) -> String {
        format!(r#"{{"alg":"{}"}}"#, self.scheme.as_str())
    }

    /// What the key signs for a payload (RFC 7515 section 5.1): `BASE64URL(header) . BASE64URL(payload)`, in ASCII.
    #[must_use]
    pub fn signing_input(&self, payload: &[u8]) -> Vec<u8> {
        signing_input(&URL_SAFE_NO_PAD.encode(self.header()), payload)
    }

    /// The detached JWS with this signature over [`signing_input`](Self::signing_input): 64 bytes, or for P-256 also the DER that `openssl`
    /// writes (RFC 3279 section 2.2.3).
    ///
    /// # Errors
    ///
    /// [`KeyError::Jws`] when the signature is neither.
    pub fn jws(&self, signature: &[u8]) -> Result<String, KeyError> {
        let signature = match (signature.len(), self.scheme) {
            (64, _) => signature.to_vec(),
            (_, Scheme::Es256) => fixed(signature).ok_or(KeyError::Jws)?.to_vec(),
            _ => return Err(KeyError::Jws),
        };
        Ok(format!(
            "{}..{}",
            URL_SAFE_NO_PAD.encode(self.header()),
            URL_SAFE_NO_PAD.encode(signature)
        ))
    }

    /// Verifies a detached JWS over a payload.
    ///
    /// # Errors
    ///
    /// [`KeyError::Jws`], [`KeyError::Signature`].
    pub fn verify(&self, jws: &str, payload: &[u8]) -> Result<(), KeyError> {
        let (header, signature) = jws.split_once("..").ok_or(KeyError::Jws)?;
        let decoded = URL_SAFE_NO_PAD.decode(header).map_err(|_| KeyError::Jws)?;
        let signature = URL_SAFE_NO_PAD
            .decode(signature)
            .map_err(|_| KeyError::Jws)?;
        if decoded.len() > LONGEST_HEADER {
            return Err(KeyError::Jws);
        }
        let read: Header = serde_json::from_slice(&decoded).map_err(|_| KeyError::Jws)?;
        if read.alg != self.scheme.as_str() {
            return Err(KeyError::Jws);
        }
        let message = signing_input(header, payload);
        match self.scheme {
            Scheme::EdDsa => UnparsedPublicKey::new(&ED25519, &self.spki[ED25519_PREFIX.len()..])
                .verify(&message, &signature),
            Scheme::Es256 => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &self.spki[P256_PREFIX.len()..])
                    .verify(&message, &signature)
            }
        }
        .map_err(|_| KeyError::Signature)
    }
}

fn signing_input(header: &str, payload: &[u8]) -> Vec<u8> {
    format!("{header}.{}", URL_SAFE_NO_PAD.encode(payload)).into_bytes()
}

/// `ECDSA-Sig-Value` in DER as R and S of 32 bytes each (RFC 7518 section 3.4).
fn fixed(der: &[u8]) -> Option<[u8; 64]> {
    let (&[0x30, length], rest) = der.split_first_chunk::<2>()? else {
        return None;
    };
    if usize::from(length) != rest.len() {
        return None;
    }
    let mut signature = [0; 64];
    let rest = integer(rest, &mut signature[..32])?;
    let rest = integer(rest, &mut signature[32..])?;
    rest.is_empty().then_some(signature)
}

/// Reads a DER integer into as many bytes as there are.
fn integer<'a>(der: &'a [u8], into: &mut [u8]) -> Option<&'a [u8]> {
    let (&[0x02, length], rest) = der.split_first_chunk::<2>()? else {
        return None;
    };
    let (digits, rest) = rest.split_at_checked(usize::from(length))?;
    let digits = match digits {
        [0, positive @ ..] if positive.first().is_some_and(|first| first & 0x80 != 0) => positive,
        [first, ..] if first & 0x80 == 0 => digits,
        _ => return None,
    };
    let from = into.len().checked_sub(digits.len())?;
    into[from..].copy_from_slice(digits);
    Some(rest)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
    };
    use proptest::prelude::*;

    use super::*;

    fn base64url(text: &str) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(text).unwrap()
    }

    fn ed25519(key: &[u8]) -> ApprovalKey {
        ApprovalKey::from_spki(&[&ED25519_PREFIX[..], key].concat()).unwrap()
    }

    fn p256(point: &[u8]) -> ApprovalKey {
        ApprovalKey::from_spki(&[&P256_PREFIX[..], point].concat()).unwrap()
    }

    /// RFC 8037 appendix A.4, its payload detached.
    #[test]
    fn the_example_of_rfc_8037_holds() {
        let key = ed25519(&base64url("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"));
        let payload = b"Example of Ed25519 signing";
        let jws = "eyJhbGciOiJFZERTQSJ9..hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
        assert_eq!(key.verify(jws, payload), Ok(()));
        assert_eq!(
            key.signing_input(payload),
            b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
        );
        let signature = jws.rsplit('.').next().unwrap();
        assert_eq!(key.jws(&base64url(signature)).unwrap(), jws);
        assert_eq!(
            key.verify(jws, b"Example of Ed25519 signinG"),
            Err(KeyError::Signature)
        );
        let attached = jws.replace("..", ".RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.");
        assert_eq!(key.verify(&attached, payload), Err(KeyError::Jws));
    }

    /// RFC 7515 appendix A.3, its payload detached.
    #[test]
    fn the_example_of_rfc_7515_holds() {
        let (x, y) = (
            base64url("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"),
            base64url("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"),
        );
        let key = p256(&[&[UNCOMPRESSED][..], &x, &y].concat());
        let payload =
            b"{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}";
        let jws = "eyJhbGciOiJFUzI1NiJ9..DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
        assert_eq!(key.verify(jws, payload), Ok(()));
        assert_eq!(key.verify(jws, &payload[1..]), Err(KeyError::Signature));
        assert_eq!(key.header(), r#"{"alg":"ES256"}"#);
        // A key of the other kind does not take the header.
        let other = ed25519(&[7; 32]);
        assert_eq!(other.verify(jws, payload), Err(KeyError::Jws));
    }

    #[test]
    fn headers_that_change_the_meaning_are_refused() {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[3; 32]).unwrap();
        let key = ed25519(pair.public_key().as_ref());
        let signed = |header: &str| {
            let header = URL_SAFE_NO_PAD.encode(header);
            let signature = pair.sign(&signing_input(&header, b"payload"));
            format!("{header}..{}", URL_SAFE_NO_PAD.encode(signature))
        };
        assert_eq!(
            key.verify(&signed(r#"{"alg":"EdDSA","kid":"card 7"}"#), b"payload"),
            Ok(())
        );
        for header in [
            r#"{"alg":"none"}"#,
            r#"{"alg":"EdDSA","crit":["b64"],"b64":false}"#,
            r#"{"alg":"EdDSA","b64":false}"#,
            r#"{"alg":"ES256"}"#,
            r#"{"alg":"EdDSA","alg":"EdDSA"}"#,
            r#"{"alg":"HS256"}"#,
            "[]",
            "",
        ] {
            assert_eq!(
                key.verify(&signed(header), b"payload"),
                Err(KeyError::Jws),
                "{header}"
            );
        }
    }

    #[test]
    fn keys_of_other_kinds_are_refused() {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let point = pair.public_key().as_ref().to_vec();
        let good = [&P256_PREFIX[..], &point].concat();
        assert_eq!(
            ApprovalKey::from_spki(&good).unwrap().scheme(),
            Scheme::Es256
        );
        let mut beside = good.clone();
        *beside.last_mut().unwrap() ^= 1;
        let longer = [&good[..], &[0]].concat();
        let short = [&ED25519_PREFIX[..], &[1; 31]].concat();
        let mut curve = good.clone();
        curve[20] ^= 1;
        for bytes in [&beside, &longer, &short, &curve, &point, &Vec::new()] {
            assert_eq!(ApprovalKey::from_spki(bytes), Err(KeyError::PublicKey));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Signatures in the DER that `openssl dgst -sign` writes become JWS signatures.
        #[test]
        fn what_openssl_signs_is_taken(payload: Vec<u8>) {
            let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
            let key = p256(pair.public_key().as_ref());
            let der = pair.sign(&SystemRandom::new(), &key.signing_input(&payload)).unwrap();
            let jws = key.jws(der.as_ref()).unwrap();
            prop_assert_eq!(key.verify(&jws, &payload), Ok(()));
        }

        #[test]
        fn strangers_get_nothing_but_a_refusal(jws: String, der: Vec<u8>, spki: Vec<u8>) {
            let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
            let key = p256(pair.public_key().as_ref());
            prop_assert!(key.verify(&jws, b"payload").is_err());
            if let Ok(jws) = key.jws(&der) {
                prop_assert!(key.verify(&jws, b"payload").is_err());
            }
            prop_assert!(ApprovalKey::from_spki(&spki).is_err());
        }
    }
}
