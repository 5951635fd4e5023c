//! Making and deriving keys, and key encapsulation.

use cryptoki_sys::*;
use zeroize::Zeroizing;

use super::purpose::Purpose;
use super::{Module, Output, Session, new_request, ulong};
use crate::error::{CkResult, fail};
use crate::mechanism::soft::KeyUse;
use crate::mechanism::{Family, Mechanism, Parameter, making};
use crate::object::rules::{self, Origin};
use crate::object::{Attributes, Record, Value};
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
            let length = attributes
                .number(CKA_VALUE_LEN)
                .and_then(|length| usize::try_from(length).ok());
            let secret = session.secret_of(id, Outcome::Derived { length }, mechanism, &[])?;
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
    pub(super) fn new_key(
        &self,
        session: &Session,
        attributes: Attributes,
    ) -> CkResult<CK_OBJECT_HANDLE> {
        if attributes.is(CKA_TOKEN) {
            return self.add(session, attributes);
        }
        let record = Record::new(attributes, Place::Process);
        record.soft().map_err(|error| {
            error.told_as(CKR_ATTRIBUTE_VALUE_INVALID, CKR_TEMPLATE_INCONSISTENT)
        })?;
        self.add_session_object(session, record.attributes)
    }

    pub(super) fn in_token(
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
    pub(super) fn secret_of(
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

pub(super) fn set_secret(attributes: &mut Attributes, value: &[u8]) {
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
pub(super) fn with_template(
    mut template: Attributes,
    own: Option<&Attributes>,
) -> CkResult<Attributes> {
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
