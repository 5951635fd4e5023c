//! Keys on the token: the templates that make them, finding them by label, and checking that they are protected.

mod templates;

use std::{collections::HashMap, sync::Mutex};

use cryptoki::{
    context::Function,
    error::{Error, RvError},
    mechanism::Mechanism,
    object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle},
    session::{Session, SessionState},
};

pub(super) use self::templates::{
    copy_master_kek, in_session, key_to_wrap, master_kek_template, master_kek_to_copy, read_value,
    recovered_master_kek, recovery_kek, recovery_kek_in_session, signing_key_templates,
    unwrapped_key,
};
use super::{module::lock, pool::CallError, rv, token::Token};
use crate::{Ed25519PublicKey, HsmError};

/// How a token may want Ed25519 named: by its object identifier 1.3.101.112 (RFC 8410 section 3), or as the
/// printable string "edwards25519" (PKCS#11 v3.0 mechanisms, section 2.3.5). Tokens know one, the other or both.
pub(super) const ED25519_NAMES: [&[u8]; 2] = [b"\x06\x03\x2b\x65\x70", b"\x13\x0cedwards25519"];

/// The kinds of key that Strongroom keeps on a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    MasterKek,
    RecoveryKek,
    SigningKey,
    SigningPublicKey,
    /// A named secret key, of whatever type.
    NamedSecret,
    /// The private half of a named key pair.
    NamedPrivate,
    /// Its public half.
    NamedPublic,
}

impl Kind {
    pub(super) fn template(self) -> Vec<Attribute> {
        let (class, key_type) = match self {
            Self::MasterKek | Self::RecoveryKek => (ObjectClass::SECRET_KEY, Some(KeyType::AES)),
            Self::SigningKey => (ObjectClass::PRIVATE_KEY, Some(KeyType::EC_EDWARDS)),
            Self::SigningPublicKey => (ObjectClass::PUBLIC_KEY, Some(KeyType::EC_EDWARDS)),
            Self::NamedSecret => (ObjectClass::SECRET_KEY, None),
            Self::NamedPrivate => (ObjectClass::PRIVATE_KEY, None),
            Self::NamedPublic => (ObjectClass::PUBLIC_KEY, None),
        };
        let mut template = vec![Attribute::Token(true), Attribute::Class(class)];
        template.extend(key_type.map(Attribute::KeyType));
        template
    }

    /// Refuses a key that could leave the HSM or do more than it is for.
    fn check(
        self,
        session: &Session,
        token: &Token,
        label: &str,
        key: ObjectHandle,
    ) -> Result<(), CallError> {
        use AttributeType as A;
        let rules: &[(AttributeType, bool, &str)] = match self {
            Self::MasterKek => &[
                (A::Sensitive, true, "it is not sensitive (CKA_SENSITIVE)"),
                (A::Extractable, false, "it is extractable (CKA_EXTRACTABLE)"),
                (A::Encrypt, false, "it may also encrypt (CKA_ENCRYPT)"),
                (A::Decrypt, false, "it may also decrypt (CKA_DECRYPT)"),
            ],
            Self::RecoveryKek => &[
                (A::Sensitive, true, "it is not sensitive (CKA_SENSITIVE)"),
                (A::Extractable, false, "it is extractable (CKA_EXTRACTABLE)"),
                (A::Unwrap, false, "it may also unwrap (CKA_UNWRAP)"),
                (A::Copyable, false, "a copy could do more (CKA_COPYABLE)"),
                (A::Encrypt, false, "it may also encrypt (CKA_ENCRYPT)"),
                (A::Decrypt, false, "it may also decrypt (CKA_DECRYPT)"),
            ],
            Self::SigningKey | Self::NamedSecret | Self::NamedPrivate => &[
                (A::Sensitive, true, "it is not sensitive (CKA_SENSITIVE)"),
                (A::Extractable, false, "it is extractable (CKA_EXTRACTABLE)"),
            ],
            Self::SigningPublicKey | Self::NamedPublic => &[],
        };
        for (attribute, wanted, reason) in rules {
            let found = session.get_attributes(key, &[*attribute])?;
            let value = match found.first() {
                Some(
                    Attribute::Sensitive(value)
                    | Attribute::Extractable(value)
                    | Attribute::Unwrap(value)
                    | Attribute::Copyable(value)
                    | Attribute::Encrypt(value)
                    | Attribute::Decrypt(value),
                ) => *value,
                // What a token does not tell is taken for the worst, except for a purpose that it does not know.
                _ => matches!(attribute, A::Extractable),
            };
            if value != *wanted {
                return Err(CallError::Known(HsmError::KeyUnprotected {
                    token: token.name(),
                    label: label.to_owned(),
                    reason,
                }));
            }
        }
        Ok(())
    }
}

/// The handles of keys that were found and checked. Token objects have one handle for all sessions of a process.
#[derive(Default)]
pub(super) struct Handles(Mutex<HashMap<Kind, HashMap<String, ObjectHandle>>>);

impl Handles {
    /// The key of that kind and label.
    pub(super) fn get(
        &self,
        session: &Session,
        token: &Token,
        kind: Kind,
        label: &str,
    ) -> Result<ObjectHandle, CallError> {
        let known = lock(&self.0)
            .get(&kind)
            .and_then(|keys| keys.get(label))
            .copied();
        if let Some(key) = known {
            return Ok(key);
        }
        let key = find_one(session, token, kind, label)?;
        lock(&self.0)
            .entry(kind)
            .or_default()
            .insert(label.to_owned(), key);
        Ok(key)
    }

    pub(super) fn forget(&self) {
        lock(&self.0).clear();
    }
}

/// The one key of that kind and label, after checking that it is protected.
pub(super) fn find_one(
    session: &Session,
    token: &Token,
    kind: Kind,
    label: &str,
) -> Result<ObjectHandle, CallError> {
    let key = match *find(session, token, kind, Some(label))? {
        [] => {
            return Err(CallError::Known(HsmError::KeyNotFound {
                token: token.name(),
                label: label.to_owned(),
            }));
        }
        [key] => key,
        _ => {
            return Err(CallError::Known(HsmError::KeyAmbiguous {
                token: token.name(),
                label: label.to_owned(),
            }));
        }
    };
    kind.check(session, token, label, key)?;
    Ok(key)
}

/// All keys of that kind, and of that label where one is given.
pub(super) fn find(
    session: &Session,
    token: &Token,
    kind: Kind,
    label: Option<&str>,
) -> Result<Vec<ObjectHandle>, CallError> {
    let mut template = kind.template();
    if let Some(label) = label {
        template.push(Attribute::Label(label.as_bytes().to_vec()));
    }
    // A session that is logged out sees no private objects and says nothing about it. So a search counts only when the session
    // was logged in from its beginning to its end: it is at the end, and nobody logged in meanwhile.
    loop {
        let logins = *token.module().logins();
        let found = session.find_objects(&template)?;
        if session.get_session_info()?.session_state() != SessionState::RwUser {
            return Err(CallError::Module(Error::Pkcs11(
                RvError::UserNotLoggedIn,
                Function::FindObjects,
            )));
        }
        if *token.module().logins() == logins {
            return Ok(found);
        }
    }
}

/// Refuses to go on when a key of that kind and label exists.
pub(super) fn check_free(
    session: &Session,
    token: &Token,
    kind: Kind,
    label: &str,
) -> Result<(), CallError> {
    if find(session, token, kind, Some(label))?.is_empty() {
        return Ok(());
    }
    Err(CallError::Known(HsmError::KeyExists {
        token: token.name(),
        label: label.to_owned(),
    }))
}

/// Generates an AES key; once more where the module failed without a reason and left no key of that kind and label. `SoftHSM` does so now
/// and then while another process works on the same token: of two processes that wait for each other's locks on its files, the system
/// refuses one.
pub(super) fn generate_aes(
    session: &Session,
    token: &Token,
    kind: Kind,
    label: &str,
    template: &[Attribute],
) -> Result<ObjectHandle, CallError> {
    let generate = || session.generate_key(&Mechanism::AesKeyGen, template);
    match generate() {
        Err(error) if rv::gives_no_reason(&error) => {
            check_free(session, token, kind, label)?;
            Ok(generate()?)
        }
        generated => Ok(generated?),
    }
}

/// Checks a key that was just generated: it is protected, and no other process generated one under its label at the
/// same time. Where not, it is destroyed.
pub(super) fn check_new(
    session: &Session,
    token: &Token,
    kind: Kind,
    label: &str,
    key: ObjectHandle,
) -> Result<(), CallError> {
    let alone = match find(session, token, kind, Some(label)) {
        Ok(found) if found.len() == 1 => Ok(()),
        Ok(_) => Err(CallError::Known(HsmError::KeyExists {
            token: token.name(),
            label: label.to_owned(),
        })),
        Err(error) => Err(error),
    };
    let checked = alone.and_then(|()| kind.check(session, token, label, key));
    if checked.is_err() {
        session.destroy_object(key)?;
    }
    checked
}

pub(super) fn label_of(session: &Session, key: ObjectHandle) -> Result<Option<String>, CallError> {
    let found = session.get_attributes(key, &[AttributeType::Label])?;
    Ok(match found.into_iter().next() {
        Some(Attribute::Label(label)) => String::from_utf8(label).ok(),
        _ => None,
    })
}

pub(super) fn ed25519_point(
    session: &Session,
    token: &Token,
    key: ObjectHandle,
) -> Result<Ed25519PublicKey, CallError> {
    let found = session.get_attributes(key, &[AttributeType::EcPoint])?;
    let point = match found.first() {
        Some(Attribute::EcPoint(point)) => parse_point(point),
        _ => None,
    };
    point.ok_or_else(|| {
        CallError::Known(HsmError::WrongAnswer {
            token: token.name(),
            function: "C_GetAttributeValue",
            reason: "a signing key's CKA_EC_POINT is no Ed25519 point",
        })
    })
}

/// PKCS#11 v2.40 gave the point as a DER octet string, v3.0 as raw bytes or a DER bit string.
fn parse_point(point: &[u8]) -> Option<Ed25519PublicKey> {
    let raw = match point {
        [0x04, 0x20, raw @ ..] | [0x03, 0x21, 0x00, raw @ ..] if raw.len() == 32 => raw,
        raw => raw,
    };
    raw.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_point_is_read() {
        let raw = [0x77; 32];
        assert_eq!(parse_point(&raw), Some(raw));
        assert_eq!(parse_point(&[&[0x04, 0x20], &raw[..]].concat()), Some(raw));
        assert_eq!(
            parse_point(&[&[0x03, 0x21, 0x00], &raw[..]].concat()),
            Some(raw)
        );
        // A raw point may begin like a DER string.
        let mut alike = raw;
        alike[..2].copy_from_slice(&[0x04, 0x20]);
        assert_eq!(parse_point(&alike), Some(alike));
        for bad in [&raw[..31], &[0x04; 65], &[]] {
            assert_eq!(parse_point(bad), None);
        }
    }
}
