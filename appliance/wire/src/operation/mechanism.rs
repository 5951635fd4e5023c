//! How keys are used.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::key::Algorithm;

macro_rules! mechanisms {
    ($( $(#[$doc:meta])* $name:ident = $text:literal; )*) => {
        /// How a key is used.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
        pub enum Mechanism {
            $( $(#[$doc])* #[serde(rename = $text)] $name, )*
        }

        impl Mechanism {
            /// Every mechanism.
            pub const ALL: &'static [Self] = &[$( Self::$name, )*];

            /// Its name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$name => $text, )* }
            }
        }
    };
}

mechanisms! {
    /// ECDSA (FIPS 186-5) of a digest that the caller has made: always `prehashed`. Of a digest longer than the curve's order its leftmost bits
    /// count, as FIPS 186-5 section 6.4.1 says.
    Ecdsa = "ecdsa";
    /// ECDSA with SHA-256.
    EcdsaSha256 = "ecdsa-sha-256";
    /// ECDSA with SHA-384.
    EcdsaSha384 = "ecdsa-sha-384";
    /// ECDSA with SHA-512.
    EcdsaSha512 = "ecdsa-sha-512";
    /// Ed25519 (RFC 8032), of the message itself.
    Ed25519 = "ed25519";
    /// RSASSA-PKCS1-v1_5 (RFC 8017 section 8.2) with SHA-256.
    RsaPkcs1Sha256 = "rsa-pkcs1-sha-256";
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RsaPkcs1Sha384 = "rsa-pkcs1-sha-384";
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RsaPkcs1Sha512 = "rsa-pkcs1-sha-512";
    /// RSASSA-PSS (RFC 8017 section 8.1) with SHA-256, MGF1 with the same, and a salt of 32 bytes where no other length is asked for.
    RsaPssSha256 = "rsa-pss-sha-256";
    /// RSASSA-PSS with SHA-384, MGF1 with the same, and a salt of 48 bytes likewise.
    RsaPssSha384 = "rsa-pss-sha-384";
    /// RSASSA-PSS with SHA-512, MGF1 with the same, and a salt of 64 bytes likewise.
    RsaPssSha512 = "rsa-pss-sha-512";
    /// ML-DSA-65 (FIPS 204), of the message itself, with an empty context.
    MlDsa65 = "ml-dsa-65";
    /// HMAC (RFC 2104) with SHA-256.
    HmacSha256 = "hmac-sha-256";
    /// HMAC with SHA-384.
    HmacSha384 = "hmac-sha-384";
    /// HMAC with SHA-512.
    HmacSha512 = "hmac-sha-512";
    /// HMAC with SHA-1, as old applications have it. Its weakness to collisions does not concern MACs (NIST SP 800-131A).
    HmacSha1 = "hmac-sha-1";
    /// HMAC with SHA-224.
    HmacSha224 = "hmac-sha-224";
    /// CMAC with AES (NIST SP 800-38B).
    AesCmac = "aes-cmac";
    /// AES-GCM (NIST SP 800-38D) with a nonce of 12 bytes and a tag of 16, or as few as 12, which follows the ciphertext. Where the caller gives no
    /// nonce the appliance draws it; one key makes at most 2^32 ciphertexts so (section 8.3).
    AesGcm = "aes-gcm";
    /// AES-CBC (NIST SP 800-38A) of whole blocks. Nothing tells of an alteration.
    AesCbc = "aes-cbc";
    /// AES-CBC with the padding of PKCS #7 (RFC 5652 section 6.3). Nothing tells of an alteration.
    AesCbcPad = "aes-cbc-pad";
    /// AES-CTR with a first counter block of 16 bytes. Nothing tells of an alteration, and a counter block that comes twice reveals what it
    /// protects.
    AesCtr = "aes-ctr";
    /// AES-ECB of whole blocks: equal blocks are seen to be equal. For applications that build on it.
    AesEcb = "aes-ecb";
    /// RSAES-OAEP (RFC 8017 section 7.1) with SHA-1 and MGF1 with SHA-1, as many applications have it.
    RsaOaepSha1 = "rsa-oaep-sha-1";
    /// RSAES-OAEP with SHA-256 and MGF1 with the same.
    RsaOaepSha256 = "rsa-oaep-sha-256";
    /// RSAES-OAEP with SHA-384 and MGF1 with the same.
    RsaOaepSha384 = "rsa-oaep-sha-384";
    /// RSAES-OAEP with SHA-512 and MGF1 with the same.
    RsaOaepSha512 = "rsa-oaep-sha-512";
    /// RSAES-PKCS1-v1_5 (RFC 8017 section 7.2). Whoever may have chosen ciphertexts decrypted can decrypt and sign: for applications that have
    /// nothing else. To sign by it is RSASSA-PKCS1-v1_5 (section 8.2) of what the caller has hashed and encoded, usually a `DigestInfo`: always
    /// `prehashed`, and at least 11 bytes shorter than the modulus.
    RsaPkcs1 = "rsa-pkcs1";
    /// AES-KW (RFC 3394): of material whose length is a multiple of 8 bytes.
    AesKw = "aes-kw";
    /// AES-KWP (RFC 5649).
    AesKwp = "aes-kwp";
    /// Elliptic-curve Diffie-Hellman: on the P curves the x-coordinate (NIST SP 800-56A section 5.7.1.2), or X25519 (RFC 7748).
    Ecdh = "ecdh";
    /// HKDF (RFC 5869) of a secret key.
    Hkdf = "hkdf";
    /// ML-KEM-768 (FIPS 203).
    MlKem768 = "ml-kem-768";
    /// Legacy: RSA of a number, without an encoding (RFC 8017 sections 5.1 and 5.2; `CKM_RSA_X_509` of PKCS #11). What has fewer bytes than the
    /// modulus gets zeros before it; what is encrypted, decrypted or signed comes out at the modulus's length. To sign is to decrypt here, and
    /// whoever does not encode soundly can be forged: for applications that encode by themselves and have nothing else. To sign by it is always
    /// `prehashed`.
    RsaRaw = "rsa-raw";
    /// Legacy: RSASSA-PKCS1-v1_5 with SHA-1, whose collisions are found in practice (NIST SP 800-131A disallows it for new signatures).
    RsaPkcs1Sha1 = "rsa-pkcs1-sha-1";
    /// Legacy: RSASSA-PKCS1-v1_5 with SHA-224.
    RsaPkcs1Sha224 = "rsa-pkcs1-sha-224";
    /// Legacy: RSASSA-PSS with SHA-1, MGF1 with the same, and a salt of 20 bytes where no other length is asked for.
    RsaPssSha1 = "rsa-pss-sha-1";
    /// Legacy: RSASSA-PSS with SHA-224, MGF1 with the same, and a salt of 28 bytes likewise.
    RsaPssSha224 = "rsa-pss-sha-224";
    /// Legacy: ECDSA with SHA-1.
    EcdsaSha1 = "ecdsa-sha-1";
    /// Legacy: ECDSA with SHA-224.
    EcdsaSha224 = "ecdsa-sha-224";
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Mechanism {
    /// Those that the appliance does only where the domain's policy names them among its `legacy_mechanisms`.
    pub const LEGACY: [Self; 7] = [
        Self::RsaRaw,
        Self::RsaPkcs1Sha1,
        Self::RsaPkcs1Sha224,
        Self::RsaPssSha1,
        Self::RsaPssSha224,
        Self::EcdsaSha1,
        Self::EcdsaSha224,
    ];

    /// Whether it is one of [`LEGACY`](Self::LEGACY).
    #[must_use]
    pub const fn is_legacy(self) -> bool {
        matches!(
            self,
            Self::RsaRaw
                | Self::RsaPkcs1Sha1
                | Self::RsaPkcs1Sha224
                | Self::RsaPssSha1
                | Self::RsaPssSha224
                | Self::EcdsaSha1
                | Self::EcdsaSha224
        )
    }

    /// Whether it works with keys for this.
    #[must_use]
    pub const fn suits(self, algorithm: Algorithm) -> bool {
        use Algorithm as Key;
        match self {
            Self::Ecdsa
            | Self::EcdsaSha1
            | Self::EcdsaSha224
            | Self::EcdsaSha256
            | Self::EcdsaSha384
            | Self::EcdsaSha512 => {
                matches!(algorithm, Key::EcP256 | Key::EcP384 | Key::EcP521)
            }
            Self::Ecdh => matches!(
                algorithm,
                Key::EcP256 | Key::EcP384 | Key::EcP521 | Key::X25519
            ),
            Self::Ed25519 => matches!(algorithm, Key::Ed25519),
            Self::RsaRaw
            | Self::RsaPkcs1Sha1
            | Self::RsaPkcs1Sha224
            | Self::RsaPkcs1Sha256
            | Self::RsaPkcs1Sha384
            | Self::RsaPkcs1Sha512
            | Self::RsaPssSha1
            | Self::RsaPssSha224
            | Self::RsaPssSha256
            | Self::RsaPssSha384
            | Self::RsaPssSha512
            | Self::RsaOaepSha1
            | Self::RsaOaepSha256
            | Self::RsaOaepSha384
            | Self::RsaOaepSha512
            | Self::RsaPkcs1 => matches!(algorithm, Key::Rsa2048 | Key::Rsa3072 | Key::Rsa4096),
            Self::MlDsa65 => matches!(algorithm, Key::MlDsa65),
            Self::MlKem768 => matches!(algorithm, Key::MlKem768),
            Self::HmacSha256 => matches!(algorithm, Key::HmacSha256 | Key::GenericSecret),
            Self::HmacSha1
            | Self::HmacSha224
            | Self::HmacSha384
            | Self::HmacSha512
            | Self::Hkdf => matches!(algorithm, Key::GenericSecret),
            Self::AesCmac
            | Self::AesGcm
            | Self::AesCbc
            | Self::AesCbcPad
            | Self::AesCtr
            | Self::AesEcb
            | Self::AesKw
            | Self::AesKwp => matches!(algorithm, Key::Aes128 | Key::Aes192 | Key::Aes256),
        }
    }

    /// What a key for this signs with where nothing else is said.
    #[must_use]
    pub const fn of_signatures(algorithm: Algorithm) -> Option<Self> {
        match algorithm {
            Algorithm::EcP256 => Some(Self::EcdsaSha256),
            Algorithm::EcP384 => Some(Self::EcdsaSha384),
            Algorithm::EcP521 => Some(Self::EcdsaSha512),
            Algorithm::Ed25519 => Some(Self::Ed25519),
            Algorithm::Rsa2048 | Algorithm::Rsa3072 | Algorithm::Rsa4096 => {
                Some(Self::RsaPkcs1Sha256)
            }
            Algorithm::MlDsa65 => Some(Self::MlDsa65),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_legacy_mechanisms_are_those_of_their_list() {
        let legacy: Vec<_> = Mechanism::ALL
            .iter()
            .filter(|one| one.is_legacy())
            .collect();
        assert_eq!(legacy, Mechanism::LEGACY.iter().collect::<Vec<_>>());
    }
}
