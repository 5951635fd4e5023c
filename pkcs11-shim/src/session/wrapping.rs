//! Wrapping and unwrapping keys.

use cryptoki_sys::*;
use zeroize::Zeroizing;

use super::crypt::Crypt;
use super::keys::{set_secret, with_template};
use super::purpose::{Key, Purpose};
use super::{Module, Output, Session};
use crate::error::{CkError, CkResult, fail};
use crate::mechanism::soft::KeyUse;
use crate::mechanism::{Family, Mechanism, making};
use crate::object::rules::{self, Origin};
use crate::object::{Attributes, Home, Record};
use crate::token::{Answer, Outcome, Place};

impl Module {
    /// `C_WrapKey`.
    pub(crate) fn wrap_key(
        &self,
        session: CK_SESSION_HANDLE,
        mechanism: Mechanism,
        wrapping: CK_OBJECT_HANDLE,
        handle: CK_OBJECT_HANDLE,
        output: Output<'_>,
    ) -> CkResult<()> {
        let session = self.session(session)?;
        let with = self
            .key_or(
                &session,
                wrapping,
                &mechanism,
                Purpose::Wrap,
                CKR_WRAPPING_KEY_HANDLE_INVALID,
            )
            .map_err(|error| {
                error.told_as(
                    CKR_KEY_TYPE_INCONSISTENT,
                    CKR_WRAPPING_KEY_TYPE_INCONSISTENT,
                )
            })?;
        let (object, record) = self.object(&session, handle, CKR_KEY_HANDLE_INVALID)?;
        check_wrappable(&with, &record)?;
        if let (Some(wrapping), Home::Token(id)) = (with.id(), object.home)
            && !with.is_public()
            && with.record.place != Place::Process
        {
            if output.room().is_none() {
                return output
                    .exactly(wrapped_length(&mechanism, &record), |_| Ok(()))
                    .map(|_| ());
            }
            let slot = &session.slot;
            let answer = slot.token()?.wrap(wrapping, &mechanism, id);
            let Answer { value, change } = answer.inspect_err(|error| slot.failed(error))?;
            slot.hear(change);
            return output.put(&value).map(|_| ());
        }
        let material = session.material(&object, &record)?;
        let mut whole = record.attributes.clone();
        whole.extend(material);
        let plain = if whole.number(CKA_CLASS) == Some(CKO_PRIVATE_KEY) {
            making::pkcs8(&whole)?
        } else {
            Zeroizing::new(whole.bytes(CKA_VALUE).unwrap_or_default().to_vec())
        };
        let size = |error: CkError| error.told_as(CKR_DATA_LEN_RANGE, CKR_KEY_SIZE_RANGE);
        if with.is_public() {
            let length = with.modulus_length().unwrap_or_default();
            if output.room().is_none() {
                return output.exactly(length, |_| Ok(())).map(|_| ());
            }
            let wrapped = with
                .record
                .public()?
                .encrypt(&mechanism, &plain)
                .map_err(size)?;
            return output.put(&wrapped).map(|_| ());
        }
        let place = self.key_use(&session, &with, &mechanism)?;
        // ECB and CBC without padding fill up the last block with zeros (PKCS#11 3.0 section 6.10).
        let mut plain = plain;
        if matches!(mechanism.family, Family::AesEcb | Family::AesCbc) {
            let whole = plain.len().next_multiple_of(16);
            plain.resize(whole, 0);
        }
        Crypt::of_secret(mechanism, place, true)?
            .whole(&plain, output)
            .map(|_| ())
            .map_err(size)
    }

    /// `C_UnwrapKey`.
    pub(crate) fn unwrap_key(
        &self,
        session: CK_SESSION_HANDLE,
        mechanism: Mechanism,
        unwrapping: CK_OBJECT_HANDLE,
        wrapped: &[u8],
        template: Attributes,
    ) -> CkResult<CK_OBJECT_HANDLE> {
        let session = self.session(session)?;
        let with = self
            .key_or(
                &session,
                unwrapping,
                &mechanism,
                Purpose::Unwrap,
                CKR_UNWRAPPING_KEY_HANDLE_INVALID,
            )
            .map_err(|error| {
                error.told_as(
                    CKR_KEY_TYPE_INCONSISTENT,
                    CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT,
                )
            })?;
        let template = with_template(template, with.attributes().template(CKA_UNWRAP_TEMPLATE))?;
        let attributes = rules::complete(template, Origin::Unwrapped)?;
        session.check_place(&attributes)?;
        if let Some(id) = with.id()
            && with.record.place != Place::Process
        {
            if attributes.is(CKA_TOKEN) {
                return self.in_token(&session, |token, request| {
                    token.unwrap(request, id, &mechanism, wrapped, &attributes)
                });
            }
            let plain = session.secret_of(id, Outcome::Unwrapped, &mechanism, wrapped)?;
            return self.unwrapped(&session, attributes, &plain);
        }
        let KeyUse::Here(key) = self.key_use(&session, &with, &mechanism)? else {
            return fail(
                CKR_UNWRAPPING_KEY_HANDLE_INVALID,
                "the key is not released any more",
            );
        };
        let told = |error: CkError| {
            error
                .told_as(CKR_ENCRYPTED_DATA_INVALID, CKR_WRAPPED_KEY_INVALID)
                .told_as(CKR_ENCRYPTED_DATA_LEN_RANGE, CKR_WRAPPED_KEY_LEN_RANGE)
                .told_as(CKR_DATA_LEN_RANGE, CKR_WRAPPED_KEY_LEN_RANGE)
        };
        let plain = if with.attributes().number(CKA_CLASS) == Some(CKO_PRIVATE_KEY) {
            key.decrypt(&mechanism, wrapped).map_err(told)?
        } else {
            let mut plain = Zeroizing::new(vec![0; wrapped.len()]);
            let mut length = 0;
            let mut crypt = Crypt::of_secret(mechanism.clone(), KeyUse::Here(key), false)?;
            crypt
                .whole(wrapped, Output::new(Some(&mut plain), &mut length))
                .map_err(told)?;
            plain.truncate(usize::try_from(length).unwrap_or_default());
            plain
        };
        self.unwrapped(&session, attributes, &plain)
    }

    /// The object that an unwrapped key becomes.
    fn unwrapped(
        &self,
        session: &Session,
        mut attributes: Attributes,
        plain: &[u8],
    ) -> CkResult<CK_OBJECT_HANDLE> {
        if attributes.number(CKA_CLASS) == Some(CKO_PRIVATE_KEY) {
            let wanted = attributes.number(CKA_KEY_TYPE);
            making::of_pkcs8(plain, &mut attributes)?;
            if attributes.number(CKA_KEY_TYPE) != wanted {
                return fail(CKR_TEMPLATE_INCONSISTENT, "the key is of another type");
            }
        } else {
            // What stands behind the length that was asked for is a block cipher's filling.
            let length =
                making::secret_length(&attributes, Some(plain.len())).map_err(|error| {
                    error.told_as(CKR_ATTRIBUTE_VALUE_INVALID, CKR_WRAPPED_KEY_INVALID)
                })?;
            let Some(value) = plain.get(..length) else {
                return fail(
                    CKR_WRAPPED_KEY_LEN_RANGE,
                    "the key is shorter than the template says",
                );
            };
            set_secret(&mut attributes, value);
        }
        self.new_key(session, attributes)
    }
}

/// Whether a key may be wrapped by another.
fn check_wrappable(with: &Key, record: &Record) -> CkResult<()> {
    let attributes = &record.attributes;
    if !matches!(
        attributes.number(CKA_CLASS),
        Some(CKO_SECRET_KEY | CKO_PRIVATE_KEY)
    ) {
        return fail(
            CKR_KEY_NOT_WRAPPABLE,
            "secret and private keys alone are wrapped",
        );
    }
    if !attributes.is(CKA_EXTRACTABLE) {
        return fail(CKR_KEY_UNEXTRACTABLE, "the key is not extractable");
    }
    if attributes.is(CKA_WRAP_WITH_TRUSTED) && !with.attributes().is(CKA_TRUSTED) {
        return fail(
            CKR_KEY_NOT_WRAPPABLE,
            "the key is wrapped by trusted keys alone",
        );
    }
    let template = with.attributes().template(CKA_WRAP_TEMPLATE);
    if template.is_some_and(|template| !attributes.matches(template)) {
        return fail(
            CKR_KEY_NOT_WRAPPABLE,
            "the wrapping key wraps other keys alone",
        );
    }
    Ok(())
}

/// How long a wrapped key is at most, without wrapping it.
fn wrapped_length(mechanism: &Mechanism, record: &Record) -> usize {
    let attributes = &record.attributes;
    let plain = match attributes
        .number(CKA_VALUE_LEN)
        .and_then(|length| usize::try_from(length).ok())
    {
        Some(length) => length,
        // PKCS #8 of the longest private key that is served.
        None => attributes
            .bytes(CKA_MODULUS)
            .map_or(256, |modulus| modulus.len() * 5 + 96),
    };
    match mechanism.family {
        Family::AesKw | Family::AesKwp => {
            crate::mechanism::wrapping::wrapped_length(mechanism.family, plain)
        }
        Family::AesCbcPad => plain / 16 * 16 + 16,
        Family::AesGcm => plain + 16,
        _ => plain.next_multiple_of(16),
    }
}
