//! The agency's side: opening what was sealed to a certificate with its private key.

use aes_kw::{KeyInit as _, KwAes256};
use aws_lc_rs::aead::{Aad, Nonce};
use aws_lc_rs::agreement::{self, UnparsedPublicKey};
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use cms::cert::IssuerAndSerialNumber;
use cms::content_info::ContentInfo;
use cms::enveloped_data::{
    KeyAgreeRecipientIdentifier, OriginatorIdentifierOrKey, RecipientIdentifier, RecipientInfo,
};
use der::Decode as _;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use zeroize::Zeroizing;

use super::{
    AES_256_GCM_OID, AUTH_ENVELOPED_DATA, AuthEnvelopedData, CURVES, Curve, DATA, GcmParameters,
    KEY, NONCE, SealingCertificate, TAG, gcm, oaep,
};
use crate::DisclosureError;

/// The private key of a certificate. Whoever uses the appliance has none.
pub struct CmsPrivateKey(Private);

enum Private {
    Rsa(OaepPrivateDecryptingKey),
    Ec(&'static Curve, agreement::PrivateKey),
}

impl CmsPrivateKey {
    /// The key of this text: a private key in PEM or DER, in PKCS #8 (RFC 5958), of an elliptic curve in SEC 1 too.
    ///
    /// # Errors
    ///
    /// [`DisclosureError::NoAgencyKey`].
    pub fn parse(text: &[u8]) -> Result<Self, DisclosureError> {
        let der = match PrivateKeyDer::from_pem_slice(text) {
            Ok(key) => Zeroizing::new(key.secret_der().to_vec()),
            Err(_) => Zeroizing::new(text.to_vec()),
        };
        if let Ok(key) = PrivateDecryptingKey::from_pkcs8(&der) {
            let key =
                OaepPrivateDecryptingKey::new(key).map_err(|_| DisclosureError::NoAgencyKey)?;
            return Ok(Self(Private::Rsa(key)));
        }
        CURVES
            .iter()
            .find_map(|curve| {
                let key =
                    agreement::PrivateKey::from_private_key_der(curve.agreement, &der).ok()?;
                Some(Self(Private::Ec(curve, key)))
            })
            .ok_or(DisclosureError::NoAgencyKey)
    }

    /// Opens what was sealed to its certificate; `certificate`, where it is given, has to be the one that the message names.
    ///
    /// # Errors
    ///
    /// [`DisclosureError::Malformed`]; [`DisclosureError::NotAuthentic`].
    pub fn open(
        &self,
        message: &[u8],
        certificate: Option<&SealingCertificate>,
    ) -> Result<Zeroizing<Vec<u8>>, DisclosureError> {
        let malformed = |_| DisclosureError::Malformed;
        let info = ContentInfo::from_der(message).map_err(malformed)?;
        if info.content_type != AUTH_ENVELOPED_DATA {
            return Err(DisclosureError::Malformed);
        }
        let data: AuthEnvelopedData = info.content.decode_as().map_err(malformed)?;
        let content = data.auth_encrypted_content_info;
        let [recipient] = data.recipient_infos.0.as_slice() else {
            return Err(DisclosureError::Malformed);
        };
        if content.content_type != DATA || content.content_enc_alg.oid != AES_256_GCM_OID {
            return Err(DisclosureError::Malformed);
        }
        let parameters = content.content_enc_alg.parameters.as_ref();
        let parameters: GcmParameters = parameters
            .ok_or(DisclosureError::Malformed)?
            .decode_as()
            .map_err(malformed)?;
        let nonce: [u8; NONCE] = parameters
            .nonce
            .as_bytes()
            .try_into()
            .map_err(|_| DisclosureError::Malformed)?;
        if data.mac.as_bytes().len() != TAG || usize::from(parameters.tag_length) != TAG {
            return Err(DisclosureError::Malformed);
        }
        let key = self.content_key(recipient, certificate)?;
        let encrypted = content
            .encrypted_content
            .ok_or(DisclosureError::Malformed)?;
        let mut opened = Zeroizing::new(encrypted.as_bytes().to_vec());
        opened.extend_from_slice(data.mac.as_bytes());
        let length = gcm(&key)?
            .open_in_place(
                Nonce::assume_unique_for_key(nonce),
                Aad::empty(),
                &mut opened,
            )
            .map_err(|_| DisclosureError::NotAuthentic)?
            .len();
        opened.truncate(length);
        Ok(opened)
    }

    fn content_key(
        &self,
        recipient: &RecipientInfo,
        certificate: Option<&SealingCertificate>,
    ) -> Result<Zeroizing<[u8; KEY]>, DisclosureError> {
        let other = DisclosureError::NotAuthentic;
        let check = |named: Option<&IssuerAndSerialNumber>| match (certificate, named) {
            (Some(certificate), Some(named)) if !certificate.is_named(named) => Err(other),
            (_, None) => Err(DisclosureError::Malformed),
            _ => Ok(()),
        };
        match (&self.0, recipient) {
            (Private::Rsa(private), RecipientInfo::Ktri(info)) => {
                check(match &info.rid {
                    RecipientIdentifier::IssuerAndSerialNumber(named) => Some(named),
                    RecipientIdentifier::SubjectKeyIdentifier(_) => None,
                })?;
                if Ok(&info.key_enc_alg) != oaep().as_ref() {
                    return Err(DisclosureError::Malformed);
                }
                let mut room = Zeroizing::new(vec![0; private.min_output_size()]);
                let key = private
                    .decrypt(
                        &OAEP_SHA256_MGF1SHA256,
                        info.enc_key.as_bytes(),
                        &mut room,
                        None,
                    )
                    .map_err(|_| other)?;
                let key: &[u8] = key;
                key.try_into().map(Zeroizing::new).map_err(|_| other)
            }
            (Private::Ec(curve, private), RecipientInfo::Kari(info)) => {
                let [encrypted] = info.recipient_enc_keys.as_slice() else {
                    return Err(DisclosureError::Malformed);
                };
                check(match &encrypted.rid {
                    KeyAgreeRecipientIdentifier::IssuerAndSerialNumber(named) => Some(named),
                    KeyAgreeRecipientIdentifier::RKeyId(_) => None,
                })?;
                let OriginatorIdentifierOrKey::OriginatorKey(ephemeral) = &info.originator else {
                    return Err(DisclosureError::Malformed);
                };
                if Ok(&info.key_enc_alg) != curve.key_encryption().as_ref() {
                    return Err(other);
                }
                let point = ephemeral.public_key.raw_bytes();
                let peer = UnparsedPublicKey::new(curve.agreement, point);
                let kek = agreement::agree(private, peer, other, |secret| {
                    curve.derive(secret).map_err(|_| other)
                })?;
                let mut key = Zeroizing::new([0; KEY]);
                KwAes256::new(&(*kek).into())
                    .unwrap_key(encrypted.enc_key.as_bytes(), &mut *key)
                    .map_err(|_| other)?;
                Ok(key)
            }
            _ => Err(other),
        }
    }
}

impl std::fmt::Debug for CmsPrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CmsPrivateKey(hidden)")
    }
}
