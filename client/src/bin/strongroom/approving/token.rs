//! A key pair in a PKCS #11 token.

use std::path::Path;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::Error;
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;

use super::{ED25519, P256, Signer, spki};
use crate::failure::Failure;
use crate::prompt;

/// DER's tag of an OCTET STRING, in which tokens keep points (PKCS #11 mechanisms, section 2.3.3).
const OCTET_STRING: u8 = 0x04;

/// The key pair with this label.
pub(super) fn signer(
    module: &Path,
    token: Option<&str>,
    label: &str,
    pin_file: Option<&Path>,
) -> Result<Signer, Failure> {
    let failed = |error: Error| Failure::Failed(format!("the token does not do it: {error}"));
    let context = Pkcs11::new(module).map_err(|error| {
        Failure::Failed(format!(
            "{} is no PKCS #11 module: {error}",
            module.display()
        ))
    })?;
    context
        .initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))
        .map_err(failed)?;
    let slot = find_token(&context, token)?;
    let session = context.open_ro_session(slot).map_err(failed)?;
    let pin = prompt::pin("PIN of the token: ", pin_file)?;
    session
        .login(UserType::User, Some(&AuthPin::new(pin.as_str().into())))
        .map_err(failed)?;
    let private = find(&session, ObjectClass::PRIVATE_KEY, label)?;
    let public = find(&session, ObjectClass::PUBLIC_KEY, label)?;
    let attributes = session
        .get_attributes(public, &[AttributeType::KeyType, AttributeType::EcPoint])
        .map_err(failed)?;
    let (mut kind, mut point) = (None, Vec::new());
    for attribute in attributes {
        match attribute {
            Attribute::KeyType(value) => kind = Some(value),
            Attribute::EcPoint(value) => point = value,
            _ => {}
        }
    }
    let unusable = || Failure::Usage(format!("{label:?} is no Ed25519 or P-256 key pair"));
    let point = match point.as_slice() {
        [OCTET_STRING, length, inner @ ..] if usize::from(*length) == inner.len() => inner,
        bare => bare,
    };
    let (public, eddsa) = match (kind, point.len()) {
        (Some(KeyType::EC_EDWARDS), 32) => (spki(&ED25519, point)?, true),
        (Some(KeyType::EC), 65) => (spki(&P256, point).map_err(|_| unusable())?, false),
        _ => return Err(unusable()),
    };
    let sign = move |message: &[u8]| {
        // The context lives as long as its session does.
        let _ = &context;
        if eddsa {
            let scheme = EddsaParams::new(EddsaSignatureScheme::Ed25519);
            session.sign(&Mechanism::Eddsa(scheme), private, message)
        } else {
            let digest = strongroom_approval::sha256(message);
            session.sign(&Mechanism::Ecdsa, private, &digest)
        }
        .map_err(failed)
    };
    Ok(Signer {
        public,
        sign: Box::new(sign),
    })
}

fn find_token(context: &Pkcs11, token: Option<&str>) -> Result<Slot, Failure> {
    let failed = |error: Error| Failure::Failed(format!("the tokens cannot be listed: {error}"));
    let mut found = Vec::new();
    for slot in context.get_slots_with_initialized_token().map_err(failed)? {
        let info = context.get_token_info(slot).map_err(failed)?;
        if token.is_none_or(|token| info.label() == token) {
            found.push(slot);
        }
    }
    match found.as_slice() {
        [slot] => Ok(*slot),
        [] => Err(Failure::Usage("the module has no such token".to_owned())),
        _ => Err(Failure::Usage(
            "the module has several such tokens: say which with --token".to_owned(),
        )),
    }
}

fn find(session: &Session, class: ObjectClass, label: &str) -> Result<ObjectHandle, Failure> {
    let template = [
        Attribute::Class(class),
        Attribute::Label(label.as_bytes().to_vec()),
    ];
    let found = session
        .find_objects(&template)
        .map_err(|error| Failure::Failed(format!("the token cannot be searched: {error}")))?;
    match found.as_slice() {
        [object] => Ok(*object),
        [] => Err(Failure::Usage(format!(
            "the token has no key pair {label:?}"
        ))),
        _ => Err(Failure::Usage(format!(
            "the token has several key pairs {label:?}"
        ))),
    }
}
