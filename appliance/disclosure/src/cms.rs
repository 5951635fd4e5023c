//! Sealing to an X.509 certificate: the Cryptographic Message Syntax (RFC 5652), as `AuthEnvelopedData` (RFC 5083) with AES-256-GCM
//! (RFC 5084), in DER.
//!
//! The content-encryption key goes to an RSA key by RSAES-OAEP with SHA-256 (RFC 4056, RFC 8017 section 7.1), and to a key on P-256,
//! P-384 or P-521 by ephemeral-static ECDH with the X9.63 key derivation function (RFC 5753 section 3.1), with SHA-256, SHA-384 and SHA-512,
//! and AES-256 key wrap (RFC 3394). `openssl cms -decrypt -inform DER` of OpenSSL 3.0 opens it.

mod open;

use aes_kw::{KeyInit as _, KwAes256};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{
    self, ECDH_P256, ECDH_P384, ECDH_P521, EphemeralPrivateKey, UnparsedPublicKey,
};
use aws_lc_rs::digest::{self, SHA256, SHA384, SHA512};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};
use cms::cert::IssuerAndSerialNumber;
use cms::content_info::{CmsVersion, ContentInfo};
use cms::enveloped_data::{
    EncryptedContentInfo, KeyAgreeRecipientIdentifier, KeyAgreeRecipientInfo,
    KeyTransRecipientInfo, OriginatorIdentifierOrKey, OriginatorPublicKey, RecipientEncryptedKey,
    RecipientIdentifier, RecipientInfo, RecipientInfos,
};
use der::asn1::{BitString, ObjectIdentifier, OctetString, SetOfVec};
use der::{Any, Decode as _, Encode as _, Sequence};
use spki::AlgorithmIdentifierOwned;
use strongroom_wire::encoding::Timestamp;
use x509_cert::Certificate;
use x509_cert::ext::pkix::{KeyUsage, KeyUsages};
use zeroize::Zeroizing;

pub use open::CmsPrivateKey;

use crate::DisclosureError;

/// `id-ct-authEnvelopedData` (RFC 5083 section 2).
const AUTH_ENVELOPED_DATA: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.23");
/// `id-data` (RFC 5652 section 4).
const DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
/// `id-aes256-GCM` (RFC 5084 section 3.2).
const AES_256_GCM_OID: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.46");
/// `id-aes256-wrap` (RFC 3565 section 2.3.2).
const AES_256_WRAP: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.45");
/// `rsaEncryption`, `id-RSAES-OAEP`, `id-mgf1` (RFC 8017 appendix A), `id-sha256`.
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const RSAES_OAEP: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.7");
const MGF1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.8");
const SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
/// `id-ecPublicKey` (RFC 5480 section 2.1.1).
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");

const KEY: usize = 32;
const NONCE: usize = 12;
const TAG: usize = 16;

/// A curve on which keys are agreed, and what it is used with.
struct Curve {
    /// Its name (RFC 5480 section 2.1.1.1).
    oid: ObjectIdentifier,
    /// `dhSinglePass-stdDH-*kdf-scheme` (RFC 5753 section 7.1.4).
    scheme: ObjectIdentifier,
    agreement: &'static agreement::Algorithm,
    hash: &'static digest::Algorithm,
}

static CURVES: [Curve; 3] = [
    Curve {
        oid: ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7"),
        scheme: ObjectIdentifier::new_unwrap("1.3.132.1.11.1"),
        agreement: &ECDH_P256,
        hash: &SHA256,
    },
    Curve {
        oid: ObjectIdentifier::new_unwrap("1.3.132.0.34"),
        scheme: ObjectIdentifier::new_unwrap("1.3.132.1.11.2"),
        agreement: &ECDH_P384,
        hash: &SHA384,
    },
    Curve {
        oid: ObjectIdentifier::new_unwrap("1.3.132.0.35"),
        scheme: ObjectIdentifier::new_unwrap("1.3.132.1.11.3"),
        agreement: &ECDH_P521,
        hash: &SHA512,
    },
];

/// `AuthEnvelopedData` (RFC 5083 section 2.1), without originator information and attributes.
#[derive(Sequence)]
struct AuthEnvelopedData {
    version: CmsVersion,
    recipient_infos: RecipientInfos,
    auth_encrypted_content_info: EncryptedContentInfo,
    mac: OctetString,
}

/// `GCMParameters` (RFC 5084 section 3.2). The length of the tag has another default than ours.
#[derive(Sequence)]
struct GcmParameters {
    nonce: OctetString,
    tag_length: u8,
}

/// `RSAES-OAEP-params` (RFC 8017 appendix A.2.1), without a label.
#[derive(Sequence)]
struct OaepParameters {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    hash: AlgorithmIdentifierOwned,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT")]
    mask: AlgorithmIdentifierOwned,
}

/// `ECC-CMS-SharedInfo` (RFC 5753 section 7.2), without keying material of the sender's.
#[derive(Sequence)]
struct SharedInfo {
    key_info: AlgorithmIdentifierOwned,
    #[asn1(context_specific = "2", tag_mode = "EXPLICIT")]
    length: OctetString,
}

enum PublicKey {
    Rsa(OaepPublicEncryptingKey),
    Ec(&'static Curve, Vec<u8>),
}

/// A certificate to which keys are sealed.
pub struct SealingCertificate {
    der: Vec<u8>,
    certificate: Certificate,
    key: PublicKey,
}

impl SealingCertificate {
    /// The certificate of these bytes, in DER.
    ///
    /// # Errors
    ///
    /// [`DisclosureError::NoSealingKey`]; [`DisclosureError::KeyNotTaken`] and [`DisclosureError::KeyUsage`] for one to which nothing is
    /// sealed.
    pub fn from_der(der: &[u8]) -> Result<Self, DisclosureError> {
        let certificate = Certificate::from_der(der).map_err(|_| DisclosureError::NoSealingKey)?;
        let usage = certificate
            .tbs_certificate
            .get::<KeyUsage>()
            .map_err(|_| DisclosureError::NoSealingKey)?
            .map(|(_, usage)| usage.0);
        let info = &certificate.tbs_certificate.subject_public_key_info;
        let not_taken = |_| DisclosureError::KeyNotTaken;
        let (key, needs) = if info.algorithm.oid == RSA {
            let info = info.to_der().map_err(not_taken)?;
            let key = PublicEncryptingKey::from_der(&info)
                .map_err(|_| DisclosureError::KeyNotTaken)
                .and_then(|key| {
                    OaepPublicEncryptingKey::new(key).map_err(|_| DisclosureError::KeyNotTaken)
                })?;
            (PublicKey::Rsa(key), KeyUsages::KeyEncipherment)
        } else {
            let named = info.algorithm.parameters.as_ref();
            let named = named.and_then(|named| named.decode_as::<ObjectIdentifier>().ok());
            let curve = CURVES
                .iter()
                .find(|curve| info.algorithm.oid == EC && named == Some(curve.oid))
                .ok_or(DisclosureError::KeyNotTaken)?;
            let point = info.subject_public_key.raw_bytes().to_vec();
            agreement::ParsedPublicKey::try_from(UnparsedPublicKey::new(curve.agreement, &point))
                .map_err(|_| DisclosureError::KeyNotTaken)?;
            (PublicKey::Ec(curve, point), KeyUsages::KeyAgreement)
        };
        if usage.is_some_and(|usage| !usage.contains(needs)) {
            return Err(DisclosureError::KeyUsage);
        }
        Ok(Self {
            der: der.to_vec(),
            certificate,
            key,
        })
    }

    /// Its bytes.
    #[must_use]
    pub fn as_der(&self) -> &[u8] {
        &self.der
    }

    /// From when until when it is good, as it says itself.
    #[must_use]
    pub fn validity(&self) -> (Timestamp, Timestamp) {
        let validity = &self.certificate.tbs_certificate.validity;
        let millis = |time: &x509_cert::time::Time| {
            let seconds = time.to_unix_duration().as_secs();
            Timestamp::from_millis(seconds.saturating_mul(1000))
        };
        (millis(&validity.not_before), millis(&validity.not_after))
    }

    /// Whom it names, as RFC 4514 writes names.
    #[must_use]
    pub fn subject(&self) -> String {
        self.certificate.tbs_certificate.subject.to_string()
    }

    /// Seals to its key.
    ///
    /// # Errors
    ///
    /// [`DisclosureError::Failed`].
    pub fn seal(&self, content: &[u8]) -> Result<Vec<u8>, DisclosureError> {
        let failed = |_| DisclosureError::Failed;
        let mut key = Zeroizing::new([0; KEY]);
        aws_lc_rs::rand::fill(&mut *key).map_err(failed)?;
        let mut nonce = [0; NONCE];
        aws_lc_rs::rand::fill(&mut nonce).map_err(failed)?;
        let mut encrypted = content.to_vec();
        let tag = gcm(&key)?
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::empty(),
                &mut encrypted,
            )
            .map_err(failed)?;
        self.assemble(&key, &nonce, encrypted, tag.as_ref())
            .map_err(|_| DisclosureError::Failed)
    }

    fn assemble(
        &self,
        key: &[u8; KEY],
        nonce: &[u8],
        encrypted: Vec<u8>,
        tag: &[u8],
    ) -> Result<Vec<u8>, der::Error> {
        let parameters = GcmParameters {
            nonce: OctetString::new(nonce)?,
            tag_length: u8::try_from(tag.len()).unwrap_or_default(),
        };
        let recipients = SetOfVec::try_from(vec![self.recipient(key)?])?;
        let data = AuthEnvelopedData {
            version: CmsVersion::V0,
            recipient_infos: RecipientInfos(recipients),
            auth_encrypted_content_info: EncryptedContentInfo {
                content_type: DATA,
                content_enc_alg: algorithm(AES_256_GCM_OID, Some(&parameters))?,
                encrypted_content: Some(OctetString::new(encrypted)?),
            },
            mac: OctetString::new(tag)?,
        };
        ContentInfo {
            content_type: AUTH_ENVELOPED_DATA,
            content: Any::encode_from(&data)?,
        }
        .to_der()
    }

    fn recipient(&self, key: &[u8; KEY]) -> Result<RecipientInfo, der::Error> {
        let failed = |_| der::Error::from(der::ErrorKind::Failed);
        let certificate = &self.certificate.tbs_certificate;
        let named = IssuerAndSerialNumber {
            issuer: certificate.issuer.clone(),
            serial_number: certificate.serial_number.clone(),
        };
        match &self.key {
            PublicKey::Rsa(public) => {
                let mut encrypted = vec![0; public.ciphertext_size()];
                public
                    .encrypt(&OAEP_SHA256_MGF1SHA256, key, &mut encrypted, None)
                    .map_err(failed)?;
                Ok(RecipientInfo::Ktri(KeyTransRecipientInfo {
                    version: CmsVersion::V0,
                    rid: RecipientIdentifier::IssuerAndSerialNumber(named),
                    key_enc_alg: oaep()?,
                    enc_key: OctetString::new(encrypted)?,
                }))
            }
            PublicKey::Ec(curve, point) => {
                let ephemeral =
                    EphemeralPrivateKey::generate(curve.agreement, &SystemRandom::new())
                        .map_err(failed)?;
                let ours = ephemeral.compute_public_key().map_err(failed)?;
                let peer = UnparsedPublicKey::new(curve.agreement, point);
                let failure = der::Error::from(der::ErrorKind::Failed);
                let kek = agreement::agree_ephemeral(ephemeral, peer, failure, |secret| {
                    curve.derive(secret)
                })?;
                let mut wrapped = [0; KEY + 8];
                KwAes256::new(&(*kek).into())
                    .wrap_key(key, &mut wrapped)
                    .map_err(|_| der::Error::from(der::ErrorKind::Failed))?;
                Ok(RecipientInfo::Kari(KeyAgreeRecipientInfo {
                    version: CmsVersion::V3,
                    originator: OriginatorIdentifierOrKey::OriginatorKey(OriginatorPublicKey {
                        algorithm: algorithm(EC, None::<&Any>)?,
                        public_key: BitString::from_bytes(ours.as_ref())?,
                    }),
                    ukm: None,
                    key_enc_alg: curve.key_encryption()?,
                    recipient_enc_keys: vec![RecipientEncryptedKey {
                        rid: KeyAgreeRecipientIdentifier::IssuerAndSerialNumber(named),
                        enc_key: OctetString::new(wrapped)?,
                    }],
                }))
            }
        }
    }

    /// Whether this names the certificate.
    fn is_named(&self, named: &IssuerAndSerialNumber) -> bool {
        let certificate = &self.certificate.tbs_certificate;
        named.issuer == certificate.issuer && named.serial_number == certificate.serial_number
    }
}

impl std::fmt::Debug for SealingCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SealingCertificate({})", self.subject())
    }
}

impl Curve {
    /// The key that wraps the content-encryption key (RFC 5753 section 7.2; SEC 1 section 3.6.1): one hash is as long as it takes.
    fn derive(&self, secret: &[u8]) -> Result<Zeroizing<[u8; KEY]>, der::Error> {
        let info = SharedInfo {
            key_info: algorithm(AES_256_WRAP, None::<&Any>)?,
            length: OctetString::new(256_u32.to_be_bytes())?,
        }
        .to_der()?;
        let mut hash = digest::Context::new(self.hash);
        hash.update(secret);
        hash.update(&1_u32.to_be_bytes());
        hash.update(&info);
        let hash = hash.finish();
        let mut key = Zeroizing::new([0; KEY]);
        // Every hash here has 32 bytes or more.
        for (byte, of_hash) in key.iter_mut().zip(hash.as_ref()) {
            *byte = *of_hash;
        }
        Ok(key)
    }

    fn key_encryption(&self) -> Result<AlgorithmIdentifierOwned, der::Error> {
        algorithm(self.scheme, Some(&algorithm(AES_256_WRAP, None::<&Any>)?))
    }
}

fn oaep() -> Result<AlgorithmIdentifierOwned, der::Error> {
    let hash = AlgorithmIdentifierOwned {
        oid: SHA_256,
        parameters: Some(Any::null()),
    };
    let parameters = OaepParameters {
        mask: algorithm(MGF1, Some(&hash))?,
        hash,
    };
    algorithm(RSAES_OAEP, Some(&parameters))
}

fn algorithm(
    oid: ObjectIdentifier,
    parameters: Option<&(impl der::EncodeValue + der::Tagged)>,
) -> Result<AlgorithmIdentifierOwned, der::Error> {
    Ok(AlgorithmIdentifierOwned {
        oid,
        parameters: parameters.map(Any::encode_from).transpose()?,
    })
}

fn gcm(key: &[u8; KEY]) -> Result<LessSafeKey, DisclosureError> {
    UnboundKey::new(&AES_256_GCM, key)
        .map(LessSafeKey::new)
        .map_err(|_| DisclosureError::Failed)
}
