//! Named keys on the token. Each has what its type is for, and no other use; the public half of a pair stays on the token beside it.

mod making;
mod performing;

use cryptoki::{
    error::{Error, RvError},
    mechanism::{Mechanism, MechanismType},
    object::{Attribute, AttributeType, ObjectHandle},
    session::Session,
};
use zeroize::Zeroizing;

use self::making::{generate_pair, secret_template};
use self::performing::{perform, works};
use super::{
    Pkcs11Hsm,
    keys::{self, Kind},
    pool::CallError,
    rv, spki,
};
use crate::{HsmError, NamedKeyId, NamedKeyType, NamedKeys, NamedMechanism, NamedOffer, NamedWork};

/// 65537.
const EXPONENT: [u8; 3] = [1, 0, 1];

/// What generates keys of each type.
fn generates(key_type: NamedKeyType) -> MechanismType {
    match key_type {
        NamedKeyType::Aes256 => MechanismType::AES_KEY_GEN,
        NamedKeyType::HmacSha256 => MechanismType::GENERIC_SECRET_KEY_GEN,
        NamedKeyType::Rsa2048 | NamedKeyType::Rsa3072 | NamedKeyType::Rsa4096 => {
            MechanismType::RSA_PKCS_KEY_PAIR_GEN
        }
        NamedKeyType::EcP256 | NamedKeyType::EcP384 | NamedKeyType::EcP521 => {
            MechanismType::ECC_KEY_PAIR_GEN
        }
        NamedKeyType::Ed25519 => MechanismType::ECC_EDWARDS_KEY_PAIR_GEN,
    }
}

const USES: [(NamedMechanism, MechanismType, NamedKeyType); 8] = [
    (
        NamedMechanism::RsaPkcs1,
        MechanismType::RSA_PKCS,
        NamedKeyType::Rsa2048,
    ),
    (
        NamedMechanism::RsaPss,
        MechanismType::RSA_PKCS_PSS,
        NamedKeyType::Rsa2048,
    ),
    (
        NamedMechanism::RsaOaep,
        MechanismType::RSA_PKCS_OAEP,
        NamedKeyType::Rsa2048,
    ),
    (
        NamedMechanism::Ecdsa,
        MechanismType::ECDSA,
        NamedKeyType::EcP256,
    ),
    (
        NamedMechanism::Eddsa,
        MechanismType::EDDSA,
        NamedKeyType::Ed25519,
    ),
    (
        NamedMechanism::Hmac,
        MechanismType::SHA256_HMAC,
        NamedKeyType::HmacSha256,
    ),
    (
        NamedMechanism::AesGcm,
        MechanismType::AES_GCM,
        NamedKeyType::Aes256,
    ),
    (
        NamedMechanism::Ecdh,
        MechanismType::ECDH1_DERIVE,
        NamedKeyType::EcP256,
    ),
];

impl NamedKeys for Pkcs11Hsm {
    fn named_offer(&self) -> Result<NamedOffer, HsmError> {
        let present = self.token().mechanism_types()?;
        let offered: Vec<_> = USES
            .into_iter()
            .filter(|(_, mechanism, _)| present.contains(mechanism))
            .collect();
        let useful = |key_type| {
            offered
                .iter()
                .any(|(_, _, of)| generates(*of) == generates(key_type))
        };
        Ok(NamedOffer {
            key_types: NamedKeyType::ALL
                .into_iter()
                .filter(|key_type| present.contains(&generates(*key_type)) && useful(*key_type))
                .collect(),
            mechanisms: offered.iter().map(|(mechanism, ..)| *mechanism).collect(),
        })
    }

    fn generate_named_key(
        &self,
        id: &NamedKeyId,
        key_type: NamedKeyType,
    ) -> Result<Option<Vec<u8>>, HsmError> {
        let label = id.label()?;
        let not_offered = || HsmError::NotOffered {
            token: self.token().name(),
            what: format!("{key_type} keys of the protection level hsm"),
        };
        if !self.named_offer()?.key_types.contains(&key_type) {
            return Err(not_offered());
        }
        let _alone = self.token().module().generating();
        self.pool.run(|session| {
            for kind in [Kind::NamedSecret, Kind::NamedPrivate, Kind::NamedPublic] {
                keys::check_free(session, self.token(), kind, &label)?;
            }
            Ok(())
        })?;
        self.pool.run_once(|session| {
            let generated = if key_type.is_pair() {
                generate_pair(session, &label, key_type)
            } else {
                let template = secret_template(&label, key_type);
                let mechanism = match key_type {
                    NamedKeyType::Aes256 => Mechanism::AesKeyGen,
                    _ => Mechanism::GenericSecretKeyGen,
                };
                let key = session.generate_key(&mechanism, &template);
                key.map(|key| (None, key))
            };
            let (public, private) = generated.map_err(|error| match error {
                Error::Pkcs11(
                    RvError::CurveNotSupported
                    | RvError::DomainParamsInvalid
                    | RvError::MechanismInvalid
                    | RvError::KeySizeRange,
                    _,
                ) => CallError::Known(not_offered()),
                error => CallError::Module(error),
            })?;
            let kind = if public.is_some() {
                Kind::NamedPrivate
            } else {
                Kind::NamedSecret
            };
            let checked = keys::check_new(session, self.token(), kind, &label, private);
            let Some(public) = public else {
                return checked.map(|()| None);
            };
            let read = checked.map_err(|error| (error, false)).and_then(|()| {
                keys::check_new(session, self.token(), Kind::NamedPublic, &label, public)
                    .and_then(|()| self.read_public(session, public, key_type))
                    .map_err(|error| (error, true))
            });
            read.map(Some).map_err(|(error, private_stays)| {
                // What is gone already is not found; what cannot be destroyed is found as an orphan.
                let _ = session.destroy_object(public);
                if private_stays {
                    let _ = session.destroy_object(private);
                }
                error
            })
        })
    }

    fn named_public_key(
        &self,
        id: &NamedKeyId,
        key_type: NamedKeyType,
    ) -> Result<Vec<u8>, HsmError> {
        let label = id.label()?;
        self.pool.run(|session| {
            let key = self.key(session, Kind::NamedPublic, &label)?;
            self.read_public(session, key, key_type)
        })
    }

    fn use_named_key(
        &self,
        id: &NamedKeyId,
        key_type: NamedKeyType,
        work: &NamedWork,
    ) -> Result<Zeroizing<Vec<u8>>, HsmError> {
        let label = id.label()?;
        work.check(key_type)?;
        let kind = if key_type.is_pair() {
            Kind::NamedPrivate
        } else {
            Kind::NamedSecret
        };
        let done = self.pool.run(|session| {
            let key = self.key(session, kind, &label)?;
            match perform(session, key, key_type, work) {
                Err(CallError::Module(error)) => Err(self.judge(session, key, &label, work, error)),
                done => done,
            }
        })?;
        self.check_length(key_type, work, &done)?;
        Ok(done)
    }

    fn destroy_named_key(&self, id: &NamedKeyId) -> Result<(), HsmError> {
        let label = id.label()?;
        // The public half first: where that was all that an attempt before this got to, the private one is still found.
        match self.destroy(Kind::NamedPublic, &label) {
            Err(HsmError::KeyNotFound { .. }) => {}
            destroyed => destroyed?,
        }
        match self.destroy(Kind::NamedPrivate, &label) {
            Err(HsmError::KeyNotFound { .. }) => self.destroy(Kind::NamedSecret, &label),
            destroyed => destroyed,
        }
    }

    fn named_keys(&self, domain: &str) -> Result<Vec<NamedKeyId>, HsmError> {
        let mut named = self.pool.run(|session| {
            let mut named = Vec::new();
            for kind in [Kind::NamedSecret, Kind::NamedPrivate, Kind::NamedPublic] {
                for key in keys::find(session, self.token(), kind, None)? {
                    if let Some(label) = keys::label_of(session, key)? {
                        named.extend(NamedKeyId::of_label(domain, &label)?);
                    }
                }
            }
            Ok(named)
        })?;
        named.sort_unstable();
        named.dedup();
        Ok(named)
    }
}

impl Pkcs11Hsm {
    fn read_public(
        &self,
        session: &Session,
        key: ObjectHandle,
        key_type: NamedKeyType,
    ) -> Result<Vec<u8>, CallError> {
        let read = if let Some(bits) = key_type.modulus_bits() {
            let wanted = [AttributeType::Modulus, AttributeType::PublicExponent];
            let (mut modulus, mut exponent) = (Vec::new(), Vec::new());
            for attribute in session.get_attributes(key, &wanted)? {
                match attribute {
                    Attribute::Modulus(value) => modulus = value,
                    Attribute::PublicExponent(value) => exponent = value,
                    _ => {}
                }
            }
            let sound = modulus.len() == usize::from(bits / 8)
                && modulus.first().is_some_and(|first| *first >= 0x80)
                && exponent.ends_with(&EXPONENT);
            sound.then(|| spki::rsa(&modulus, &exponent))
        } else if let Some((curve, coordinate)) = key_type.curve() {
            let found = session.get_attributes(key, &[AttributeType::EcPoint])?;
            match found.first() {
                Some(Attribute::EcPoint(point)) => {
                    spki::point(point, coordinate).map(|point| spki::ec(curve, point))
                }
                _ => None,
            }
        } else {
            let point = keys::ed25519_point(session, self.token(), key)?;
            Some(spki::ed25519(&point))
        };
        read.ok_or_else(|| {
            CallError::Known(HsmError::WrongAnswer {
                token: self.token().name(),
                function: "C_GetAttributeValue",
                reason: "a named key's public half is not of the type that was asked for",
            })
        })
    }

    /// What a failed operation means.
    fn judge(
        &self,
        session: &Session,
        key: ObjectHandle,
        label: &str,
        work: &NamedWork,
        error: Error,
    ) -> CallError {
        let Error::Pkcs11(code, _) = &error else {
            return CallError::Module(error);
        };
        let lacking = match code {
            RvError::MechanismInvalid | RvError::MechanismParamInvalid => true,
            // So SoftHSM answers where OAEP is to be with another hash function than SHA-1.
            RvError::ArgumentsBad => matches!(work, NamedWork::RsaOaep { .. }),
            _ => false,
        };
        if lacking {
            return CallError::Known(HsmError::NotOffered {
                token: self.token().name(),
                what: format!("{} with keys of the protection level hsm", work.in_words()),
            });
        }
        let takes_foreign_input = matches!(
            work,
            NamedWork::RsaOaep { .. } | NamedWork::GcmDecrypt { .. } | NamedWork::Ecdh { .. }
        );
        let says_so = rv::rejects_wrapped_key(&error)
            || matches!(
                code,
                RvError::DataInvalid | RvError::DataLenRange | RvError::ArgumentsBad
            );
        if takes_foreign_input
            && (says_so || (rv::may_reject_wrapped_key(&error) && works(session, key, work)))
        {
            return CallError::Known(HsmError::InputRejected {
                token: self.token().name(),
                label: label.to_owned(),
                code: rv::answer(&error),
            });
        }
        CallError::Module(error)
    }

    /// Refuses a result that does not have the length which it must have.
    fn check_length(
        &self,
        key_type: NamedKeyType,
        work: &NamedWork,
        done: &[u8],
    ) -> Result<(), HsmError> {
        let coordinate = key_type.curve().map(|(_, coordinate)| coordinate);
        let wanted = match work {
            NamedWork::RsaPkcs1 { .. } | NamedWork::RsaPss { .. } => {
                key_type.modulus_bits().map(|bits| usize::from(bits / 8))
            }
            NamedWork::Ecdsa { .. } => coordinate.map(|coordinate| 2 * coordinate),
            NamedWork::Ecdh { .. } => coordinate,
            NamedWork::Eddsa { .. } => Some(64),
            NamedWork::Hmac { .. } => Some(32),
            NamedWork::GcmEncrypt {
                plaintext,
                tag_length,
                ..
            } => Some(plaintext.len() + usize::from(*tag_length)),
            NamedWork::RsaOaep { .. } | NamedWork::GcmDecrypt { .. } => None,
        };
        if wanted.is_none_or(|wanted| wanted == done.len()) {
            return Ok(());
        }
        Err(HsmError::WrongAnswer {
            token: self.token().name(),
            function: "an operation with a named key",
            reason: "the result does not have the length that it must have",
        })
    }
}
