//! Making, wrapping, unwrapping and deriving keys, and key encapsulation.

use cryptoki_sys::*;
use zeroize::Zeroizing;

use super::crypt::Crypt;
use super::purpose::{Key, Purpose};
use super::{Module, Output, Session, new_request, ulong};
use crate::error::{CkError, CkResult, fail};
use crate::mechanism::soft::KeyUse;
use crate::mechanism::{Family, Mechanism, Parameter, making};
use crate::object::rules::{self, Origin};
use crate::object::{Attributes, Home, Record, Value};
use crate::token::{Answer, ObjectId, ObjectRecord, Outcome, Place, TokenResult};

impl Module {
    /// `C_GenerateKey`.
    pub(crate) fn generate_key(
        &self,
        session: CK_SESSION_HANDLE,
        mechanism: &Mechanism,
        mut template: Attributes,
    ) -> CkResult<CK_OBJECT_HANDLE> {
        let session = self.session(session)?;
        self.served(&*session.slot.info()?, mechanism.kind)?;
        let Family::MakeKey(key_type) = mechanism.family else {
            return fail(CKR_MECHANISM_INVALID, "the mechanism makes no secret key");
        };
        no_parameter(mechanism)?;
        says(&mut template, CKA_CLASS, CKO_SECRET_KEY)?;
        says(&mut template, CKA_KEY_TYPE, key_type)?;
        let mut attributes = rules::complete(template, Origin::Made(mechanism.kind))?;
        session.check_place(&attributes)?;
        let length = making::secret_length(&attributes, None)?;
        if attributes.is(CKA_TOKEN) {
            return self.in_token(&session, |token, request| {
                token.generate_key(request, mechanism, &attributes)
            });
        }
        attributes.set_bytes(CKA_VALUE, &making::random(length)?);
        self.add_session_object(&session, attributes)
    }

    /// `C_GenerateKeyPair`.
    pub(crate) fn generate_key_pair(
        &self,
        session: CK_SESSION_HANDLE,
        mechanism: &Mechanism,
        mut public: Attributes,
        mut private: Attributes,
    ) -> CkResult<[CK_OBJECT_HANDLE; 2]> {
        let session = self.session(session)?;
        let info = session.slot.info()?;
        self.served(&info, mechanism.kind)?;
        let Family::MakePair(key_type) = mechanism.family else {
            return fail(CKR_MECHANISM_INVALID, "the mechanism makes no key pair");
        };
        no_parameter(mechanism)?;
        says(&mut public, CKA_CLASS, CKO_PUBLIC_KEY)?;
        says(&mut private, CKA_CLASS, CKO_PRIVATE_KEY)?;
        for half in [&mut public, &mut private] {
            says(half, CKA_KEY_TYPE, key_type)?;
        }
        if public
            .number(CKA_MODULUS_BITS)
            .is_some_and(|bits| bits < info.smallest_rsa)
        {
            return fail(
                CKR_KEY_SIZE_RANGE,
                "policies do not allow so small a modulus",
            );
        }
        let mut public = rules::complete(public, Origin::Made(mechanism.kind))?;
        let mut private = rules::complete(private, Origin::Made(mechanism.kind))?;
        check_pair(key_type, &public)?;
        session.check_place(&public)?;
        session.check_place(&private)?;
        match (public.is(CKA_TOKEN), private.is(CKA_TOKEN)) {
            (true, true) => {
                let slot = &session.slot;
                let answer =
                    slot.token()?
                        .generate_key_pair(new_request()?, mechanism, &public, &private);
                let Answer {
                    value: (public, private),
                    change,
                } = answer.inspect_err(|error| slot.failed(error))?;
                slot.changed(change);
                Ok([
                    self.handle_of(slot, public, change)?,
                    self.handle_of(slot, private, change)?,
                ])
            }
            (in_token, false) => {
                making::pair(mechanism, &mut public, &mut private)?;
                let public = if in_token {
                    self.add(&session, public)?
                } else {
                    self.add_session_object(&session, public)?
                };
                Ok([public, self.add_session_object(&session, private)?])
            }
            (false, true) => {
                // The appliance makes both halves; the public one is known here for the session as well.
                let slot = &session.slot;
                let answer =
                    slot.token()?
                        .generate_key_pair(new_request()?, mechanism, &public, &private);
                let Answer {
                    value: (half, private),
                    change,
                } = answer.inspect_err(|error| slot.failed(error))?;
                slot.changed(change);
                public.extend(half.attributes);
                Ok([
                    self.add_session_object(&session, public)?,
                    self.handle_of(slot, private, change)?,
                ])
            }
        }
    }

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

    /// `C_DeriveKey`.
    pub(crate) fn derive_key(
        &self,
        session: CK_SESSION_HANDLE,
        mechanism: &Mechanism,
        base: CK_OBJECT_HANDLE,
        template: Attributes,
    ) -> CkResult<CK_OBJECT_HANDLE> {
        let session = self.session(session)?;
        let key = self.key(&session, base, mechanism, Purpose::Derive)?;
        check_derivation(mechanism)?;
        let mut template = with_template(template, key.attributes().template(CKA_DERIVE_TEMPLATE))?;
        says(&mut template, CKA_CLASS, CKO_SECRET_KEY)?;
        template.default_to(CKA_KEY_TYPE, || Value::Number(CKK_GENERIC_SECRET));
        let mut attributes = rules::complete(template, Origin::Derived(key.attributes()))?;
        session.check_place(&attributes)?;
        if let Some(id) = key.id()
            && key.record.place != Place::Process
        {
            if attributes.is(CKA_TOKEN) {
                return self.in_token(&session, |token, request| {
                    token.derive(request, id, mechanism, &attributes)
                });
            }
            let secret = session.secret_of(id, Outcome::Derived, mechanism, &[])?;
            return self.derived(&session, attributes, &secret, mechanism);
        }
        let place = self.key_use(&session, &key, mechanism)?;
        let asked = attributes
            .number(CKA_VALUE_LEN)
            .and_then(|length| usize::try_from(length).ok());
        let secret = making::derive(mechanism, &place, asked)?;
        let length = making::secret_length(&attributes, Some(secret.len()))?;
        set_secret(&mut attributes, secret.get(..length).unwrap_or(&secret));
        self.new_key(&session, attributes)
    }

    fn derived(
        &self,
        session: &Session,
        mut attributes: Attributes,
        secret: &[u8],
        mechanism: &Mechanism,
    ) -> CkResult<CK_OBJECT_HANDLE> {
        let length = making::secret_length(&attributes, Some(secret.len()))?;
        let Some(cut) = secret.len().checked_sub(length) else {
            return fail(
                CKR_KEY_SIZE_RANGE,
                "the mechanism does not give so many bytes",
            );
        };
        let value = match mechanism.parameter {
            Parameter::Ecdh { kdf: None, .. } => &secret[cut..],
            _ => &secret[..length],
        };
        set_secret(&mut attributes, value);
        self.new_key(session, attributes)
    }

    /// `C_EncapsulateKey`: where the ciphertext's length was asked for there is no key.
    pub(crate) fn encapsulate_key(
        &self,
        session: CK_SESSION_HANDLE,
        mechanism: &Mechanism,
        handle: CK_OBJECT_HANDLE,
        template: Attributes,
        output: Output<'_>,
    ) -> CkResult<Option<CK_OBJECT_HANDLE>> {
        let session = self.session(session)?;
        let key = self.key(&session, handle, mechanism, Purpose::Encapsulate)?;
        no_parameter(mechanism)?;
        let mut attributes =
            session.agreed(template, key.attributes(), CKA_ENCAPSULATE_TEMPLATE)?;
        if output.room().is_none_or(|room| room < ML_KEM_CIPHERTEXT) {
            output.exactly(ML_KEM_CIPHERTEXT, |_| Ok(()))?;
            return Ok(None);
        }
        let (secret, ciphertext) = key.record.public()?.encapsulate()?;
        let length = making::secret_length(&attributes, Some(secret.len()))?;
        set_secret(&mut attributes, secret.get(..length).unwrap_or(&secret));
        let made = self.new_key(&session, attributes)?;
        output.put(&ciphertext)?;
        Ok(Some(made))
    }

    /// `C_DecapsulateKey`.
    pub(crate) fn decapsulate_key(
        &self,
        session: CK_SESSION_HANDLE,
        mechanism: &Mechanism,
        handle: CK_OBJECT_HANDLE,
        template: Attributes,
        ciphertext: &[u8],
    ) -> CkResult<CK_OBJECT_HANDLE> {
        let session = self.session(session)?;
        let key = self.key(&session, handle, mechanism, Purpose::Decapsulate)?;
        no_parameter(mechanism)?;
        let mut attributes =
            session.agreed(template, key.attributes(), CKA_DECAPSULATE_TEMPLATE)?;
        if ciphertext.len() != ML_KEM_CIPHERTEXT {
            return fail(
                CKR_ENCRYPTED_DATA_LEN_RANGE,
                "an ML-KEM-768 ciphertext has 1088 bytes",
            );
        }
        let secret = match self.key_use(&session, &key, mechanism)? {
            KeyUse::Here(key) => key.decapsulate(ciphertext)?,
            KeyUse::There(_) => {
                let Some(id) = key.id() else {
                    return fail(CKR_KEY_HANDLE_INVALID, "the key is nowhere");
                };
                if attributes.is(CKA_TOKEN) {
                    return self.in_token(&session, |token, request| {
                        token.decapsulate(request, id, mechanism, ciphertext, &attributes)
                    });
                }
                session.secret_of(id, Outcome::Decapsulated, mechanism, ciphertext)?
            }
        };
        let length = making::secret_length(&attributes, Some(secret.len()))?;
        set_secret(&mut attributes, secret.get(..length).unwrap_or(&secret));
        self.new_key(&session, attributes)
    }

    /// A key with its material becomes an object, here or in the token.
    fn new_key(&self, session: &Session, attributes: Attributes) -> CkResult<CK_OBJECT_HANDLE> {
        if attributes.is(CKA_TOKEN) {
            return self.add(session, attributes);
        }
        let record = Record::new(attributes, Place::Process);
        record.soft().map_err(|error| {
            error.told_as(CKR_ATTRIBUTE_VALUE_INVALID, CKR_TEMPLATE_INCONSISTENT)
        })?;
        self.add_session_object(session, record.attributes)
    }

    fn in_token(
        &self,
        session: &Session,
        make: impl FnOnce(
            &dyn crate::token::Token,
            crate::token::RequestId,
        ) -> TokenResult<Answer<ObjectRecord>>,
    ) -> CkResult<CK_OBJECT_HANDLE> {
        let slot = &session.slot;
        let Answer { value, change } =
            make(&**slot.token()?, new_request()?).inspect_err(|error| slot.failed(error))?;
        slot.changed(change);
        self.handle_of(slot, value, change)
    }
}

impl Session {
    fn agreed(
        &self,
        template: Attributes,
        key: &Attributes,
        own: CK_ATTRIBUTE_TYPE,
    ) -> CkResult<Attributes> {
        let mut template = with_template(template, key.template(own))?;
        says(&mut template, CKA_CLASS, CKO_SECRET_KEY)?;
        template.default_to(CKA_KEY_TYPE, || Value::Number(CKK_GENERIC_SECRET));
        let attributes = rules::complete(template, Origin::Unwrapped)?;
        self.check_place(&attributes)?;
        Ok(attributes)
    }

    /// A secret that the appliance's key gives, for a session object.
    fn secret_of(
        &self,
        id: ObjectId,
        outcome: Outcome,
        mechanism: &Mechanism,
        data: &[u8],
    ) -> CkResult<Zeroizing<Vec<u8>>> {
        let slot = &self.slot;
        let answer = slot.token()?.secret_of(id, outcome, mechanism, data);
        let Answer { value, change } = answer.inspect_err(|error| slot.failed(error))?;
        slot.hear(change);
        Ok(value)
    }
}

const ML_KEM_CIPHERTEXT: usize = 1088;

fn set_secret(attributes: &mut Attributes, value: &[u8]) {
    attributes.set_bytes(CKA_VALUE, value);
    attributes.set_number(CKA_VALUE_LEN, ulong(value.len()));
}

/// An attribute that the mechanism says: the template may say the same.
fn says(template: &mut Attributes, attribute: CK_ATTRIBUTE_TYPE, value: CK_ULONG) -> CkResult<()> {
    match template.number(attribute) {
        Some(other) if other != value => fail(
            CKR_TEMPLATE_INCONSISTENT,
            "the template and the mechanism say different things",
        ),
        _ => {
            template.set_number(attribute, value);
            Ok(())
        }
    }
}

/// What a template attribute of the key says of those that come from it.
fn with_template(mut template: Attributes, own: Option<&Attributes>) -> CkResult<Attributes> {
    for (attribute, value) in own.into_iter().flat_map(Attributes::iter) {
        template.add(attribute, value.clone())?;
    }
    Ok(template)
}

fn no_parameter(mechanism: &Mechanism) -> CkResult<()> {
    match mechanism.parameter {
        Parameter::None => Ok(()),
        _ => fail(
            CKR_MECHANISM_PARAM_INVALID,
            "the mechanism has no parameter",
        ),
    }
}

fn check_derivation(mechanism: &Mechanism) -> CkResult<()> {
    let fits = matches!(
        (mechanism.family, &mechanism.parameter),
        (Family::Ecdh, Parameter::Ecdh { .. })
            | (
                Family::AesEncryptData | Family::Concatenate,
                Parameter::Data { .. }
            )
            | (Family::Hkdf, Parameter::Hkdf { .. })
    );
    if fits {
        Ok(())
    } else {
        fail(
            CKR_MECHANISM_PARAM_INVALID,
            "the mechanism takes another parameter",
        )
    }
}

/// What a template for a key pair has to say.
fn check_pair(key_type: CK_KEY_TYPE, public: &Attributes) -> CkResult<()> {
    let needed = match key_type {
        CKK_RSA => CKA_MODULUS_BITS,
        CKK_ML_KEM | CKK_ML_DSA => CKA_PARAMETER_SET,
        _ => {
            return crate::mechanism::curves::of_attributes(public).map(|_| ());
        }
    };
    if public.has(needed) {
        Ok(())
    } else {
        fail(
            CKR_TEMPLATE_INCOMPLETE,
            "the size of the key pair is missing",
        )
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
