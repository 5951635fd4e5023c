//! The templates of the keys that the token makes, copies, takes and gives.

use std::ops::Deref;

use cryptoki::{
    object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle},
    session::Session,
    types::Ulong,
};
use zeroize::Zeroize as _;

use super::super::{pool::CallError, token::Token};
use super::Kind;
use crate::{AES256_KEY_LEN, Aes256Key, HsmError};

/// The template of a master KEK that the token generates.
pub(in crate::pkcs11) fn master_kek_template(label: &str) -> Vec<Attribute> {
    let mut template = recovered_master_kek(label);
    template.push(Attribute::ValueLen(Ulong::new(32)));
    template
}

/// The template of a master KEK that `C_UnwrapKey` makes: its length comes from what is unwrapped.
pub(in crate::pkcs11) fn recovered_master_kek(label: &str) -> Vec<Attribute> {
    let mut template = Kind::MasterKek.template();
    template.push(Attribute::Label(label.as_bytes().to_vec()));
    template.extend([Attribute::Wrap(true), Attribute::Unwrap(true)]);
    template.extend(protected());
    template
}

/// The template of a master KEK from its generation until it is wrapped and copied: of this session, and extractable.
pub(in crate::pkcs11) fn master_kek_to_copy() -> Vec<Attribute> {
    let mut template = passing_key();
    template.extend([
        Attribute::ValueLen(Ulong::new(32)),
        Attribute::Sensitive(true),
        Attribute::Wrap(true),
        Attribute::Unwrap(true),
    ]);
    template.extend(no_other_use());
    template
}

/// Copies a master KEK of the session to the token, where it is not extractable; or, to see whether that can be done, to another one of the
/// session.
pub(in crate::pkcs11) fn copy_master_kek(
    session: &Session,
    key: ObjectHandle,
    label: &str,
    to_token: bool,
) -> Result<ObjectHandle, CallError> {
    let sealed = [Attribute::Extractable(false)];
    let mut template = vec![
        Attribute::Token(to_token),
        Attribute::Label(label.as_bytes().to_vec()),
    ];
    // Kryoptic 1.5.4 changes it before the copy only; a token that does not may change it while it copies.
    if session.update_attributes(key, &sealed).is_err() {
        template.extend(sealed);
    }
    template.push(Attribute::Modifiable(false));
    Ok(session.copy_object(key, &template)?)
}

/// The template of a recovery KEK that stays: it can only wrap, and so can no copy of it, since there is none. Tokens of PKCS#11 before v2.40
/// do not know that last attribute.
pub(in crate::pkcs11) fn recovery_kek(
    label: &str,
    key: &Aes256Key,
    knows_copyable: bool,
) -> SecretTemplate {
    let mut template = Kind::RecoveryKek.template();
    template.push(Attribute::Label(label.as_bytes().to_vec()));
    template.extend([
        Attribute::Value(key.as_bytes().to_vec()),
        Attribute::Wrap(true),
        Attribute::Unwrap(false),
    ]);
    if knows_copyable {
        template.push(Attribute::Copyable(false));
    }
    template.extend(protected());
    SecretTemplate(template)
}

/// The template of a recovery KEK that stays in the HSM for one `C_UnwrapKey`. Where `wraps`, it can be tried on something of one's own.
pub(in crate::pkcs11) fn recovery_kek_in_session(key: &Aes256Key, wraps: bool) -> SecretTemplate {
    let mut template = vec![
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::AES),
        Attribute::Token(false),
    ];
    template.extend([
        Attribute::Value(key.as_bytes().to_vec()),
        Attribute::Wrap(wraps),
        Attribute::Unwrap(true),
    ]);
    template.extend(protected());
    SecretTemplate(template)
}

/// A template of the same key, but one that ends with the session.
pub(in crate::pkcs11) fn in_session(mut template: Vec<Attribute>) -> Vec<Attribute> {
    for attribute in &mut template {
        if let Attribute::Token(stays) = attribute {
            *stays = false;
        }
    }
    template
}

/// What every secret key that stays has in common. It stands at the end of a template: `SoftHSM` takes nothing from the template of
/// `C_UnwrapKey` after `CKA_MODIFIABLE`.
pub(super) fn protected() -> Vec<Attribute> {
    let mut attributes = no_other_use().to_vec();
    attributes.extend([
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Modifiable(false),
    ]);
    attributes
}

/// What a key that wraps must not do.
pub(super) fn no_other_use() -> [Attribute; 5] {
    [
        Attribute::Encrypt(false),
        Attribute::Decrypt(false),
        Attribute::Sign(false),
        Attribute::Verify(false),
        Attribute::Derive(false),
    ]
}

/// The templates of the public and the private half.
pub(in crate::pkcs11) fn signing_key_templates(
    label: &str,
    curve: &[u8],
) -> (Vec<Attribute>, Vec<Attribute>) {
    let label = Attribute::Label(label.as_bytes().to_vec());
    let mut public = Kind::SigningPublicKey.template();
    public.extend([
        label.clone(),
        Attribute::EcParams(curve.to_vec()),
        Attribute::Private(false),
        Attribute::Modifiable(false),
        Attribute::Verify(true),
    ]);
    let mut private = Kind::SigningKey.template();
    private.extend([
        label,
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Modifiable(false),
        Attribute::Sign(true),
        Attribute::Unwrap(false),
        Attribute::Derive(false),
    ]);
    (public, private)
}

/// The template of a key that stays in the HSM for one `C_WrapKey`.
pub(in crate::pkcs11) fn key_to_wrap(key: &Aes256Key) -> SecretTemplate {
    let mut template = passing_key();
    template.extend([
        Attribute::Sensitive(true),
        Attribute::Value(key.as_bytes().to_vec()),
    ]);
    SecretTemplate(template)
}

/// The template of a key that stays in the HSM from `C_UnwrapKey` until it is read.
pub(in crate::pkcs11) fn unwrapped_key() -> Vec<Attribute> {
    let mut template = passing_key();
    template.push(Attribute::Sensitive(false));
    template
}

/// Reads and so takes the value of an unwrapped key out of the HSM.
pub(in crate::pkcs11) fn read_value(
    session: &Session,
    token: &Token,
    key: ObjectHandle,
) -> Result<Aes256Key, CallError> {
    let found = SecretTemplate(session.get_attributes(key, &[AttributeType::Value])?);
    let value = match found.first() {
        Some(Attribute::Value(value)) => <&[u8; AES256_KEY_LEN]>::try_from(value.as_slice()).ok(),
        _ => None,
    };
    value
        .map(|value| Aes256Key::from_bytes(*value))
        .ok_or_else(|| {
            CallError::Known(HsmError::WrongAnswer {
                token: token.name(),
                function: "C_GetAttributeValue",
                reason: "the key that it unwrapped has no CKA_VALUE of 32 bytes",
            })
        })
}

fn passing_key() -> Vec<Attribute> {
    vec![
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::AES),
        Attribute::Token(false),
        Attribute::Private(true),
        Attribute::Extractable(true),
    ]
}

/// Attributes of which one may be a key's value: zeroised when dropped.
pub(in crate::pkcs11) struct SecretTemplate(Vec<Attribute>);

impl Deref for SecretTemplate {
    type Target = [Attribute];

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Drop for SecretTemplate {
    fn drop(&mut self) {
        for attribute in &mut self.0 {
            if let Attribute::Value(value) = attribute {
                value.zeroize();
            }
        }
    }
}
