//! [`Token`] over the client library.

use std::sync::PoisonError;
use std::time::{Duration, SystemTime};

use cryptoki_sys::*;
use strongroom_client::objects::Objects;
use strongroom_client::operations::Operate;
use strongroom_client::{ClientError, Device};
use strongroom_wire::encoding::Base64;
use strongroom_wire::id::ObjectId as WireId;
use strongroom_wire::object::{ObjectPart, ObjectQuery};
use strongroom_wire::operation::OperationResult;
use zeroize::Zeroizing;

use super::failure::{failed, refused};
use super::keys::public_half;
use super::{HttpsToken, Who, key, objects, operations, secret_of, wire};
use crate::mechanism::{Mechanism, mac, making};
use crate::object::Attributes;
use crate::token::{
    Answer, Change, Encapsulated, Input, ObjectId, ObjectRecord, Outcome, Page, Part, Pin, Query,
    Released, RequestId, Token, TokenError, TokenErrorKind as Kind, TokenInfo, TokenResult, Use,
    User,
};

impl Token for HttpsToken {
    fn info(&self) -> TokenResult<Answer<TokenInfo>> {
        let serial = self.account.map(|account| account.to_string());
        let serial = serial.unwrap_or_default().replace('-', "");
        // The token is there, whether or not the appliance can be asked; and it is the appliance that forbids.
        let forbidden = match self.ask_forbidden() {
            Ok(forbidden) => forbidden,
            Err(_) => self.last_forbidden(),
        };
        let heard = *self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Answer {
            value: TokenInfo {
                label: self.label.clone(),
                manufacturer: "Strongroom".to_owned(),
                model: "appliance".to_owned(),
                // The last 16 digits are random.
                serial: serial
                    .get(serial.len().saturating_sub(16)..)
                    .unwrap_or_default()
                    .to_owned(),
                firmware: (0, 1),
                login_required: !self.by_itself,
                pin_length: (1, 255),
                forbidden,
                smallest_rsa: 2048,
            },
            change: heard.map(|(change, _)| change).unwrap_or_default(),
        })
    }

    fn login(&self, _user: User, pin: Option<&Pin>) -> TokenResult<()> {
        match (pin, self.account) {
            (Some(Pin(pin)), Some(account)) if !self.by_itself => {
                let secret = secret_of(pin)
                    .ok_or_else(|| TokenError::new(Kind::PinIncorrect, "the PIN is no secret"))?;
                let device = Device::new(self.client.clone(), account, secret);
                device.own_account().map_err(|error| match error {
                    ClientError::NotSignedIn => {
                        TokenError::new(Kind::PinIncorrect, "the account has another secret")
                    }
                    ClientError::Refused(problem) => problem.into(),
                    error => refused(error),
                })?;
                self.become_signed_in(Some(Who::Device(Box::new(device))));
                Ok(())
            }
            _ if self.by_itself => self.change().map(|_| ()),
            _ => Err(TokenError::new(Kind::PinIncorrect, "a PIN is needed")),
        }
    }

    fn logout(&self) -> TokenResult<()> {
        if !self.by_itself {
            self.become_signed_in(None);
        }
        Ok(())
    }

    fn set_pin(&self, _old: &Pin, _new: &Pin) -> TokenResult<()> {
        Err(TokenError::new(
            Kind::PinUnsuitable,
            "the account's secret is made by the appliance",
        ))
    }

    fn change(&self) -> TokenResult<Change> {
        let query = ObjectQuery {
            limit: Some(0),
            ..ObjectQuery::default()
        };
        let page = ask!(self, who => who.find_objects(&query))?;
        Ok(self.hear(page.change))
    }

    fn find(&self, query: &Query<'_>) -> TokenResult<Answer<Page>> {
        let template = query.template;
        let number = |attribute| {
            let number = template.number(attribute);
            number.map(|number| u32::try_from(number).unwrap_or(u32::MAX))
        };
        let bytes = |attribute| template.bytes(attribute).map(Base64::from);
        let wanted = ObjectQuery {
            class: number(CKA_CLASS),
            kind: number(CKA_KEY_TYPE).or_else(|| number(CKA_CERTIFICATE_TYPE)),
            label: bytes(CKA_LABEL),
            id: bytes(CKA_ID),
            after: query.after.map(str::to_owned),
            limit: u32::try_from(query.limit).ok(),
        };
        if !query.private && self.who().is_err() {
            // Nobody has signed in, and the appliance shows nothing to nobody.
            let objects = Vec::new();
            return Ok(Answer {
                value: Page {
                    objects,
                    next: None,
                },
                change: Change::default(),
            });
        }
        if let Some(unique) = template.bytes(CKA_UNIQUE_ID) {
            return self.find_unique(unique, template);
        }
        let page = ask!(self, who => who.find_objects(&wanted))?;
        let mut found = Vec::with_capacity(page.objects.len());
        for object in &page.objects {
            let record = objects::record(object)?;
            if record.attributes.matches(template) {
                found.push(record);
            }
        }
        Ok(Answer {
            value: Page {
                objects: found,
                next: page.next,
            },
            change: self.hear(page.change),
        })
    }

    fn object(&self, id: ObjectId) -> TokenResult<Answer<ObjectRecord>> {
        let part = objects::part_to_wire(id.part);
        let shown = ask!(self, who => who.object(wire(id), part))?;
        Ok(Answer {
            value: objects::record(&shown.object)?,
            change: self.hear(shown.change),
        })
    }

    fn create(
        &self,
        request: RequestId,
        attributes: &Attributes,
    ) -> TokenResult<Answer<ObjectRecord>> {
        let part = match attributes.number(CKA_CLASS) {
            Some(CKO_SECRET_KEY) => {
                let material = attributes.bytes(CKA_VALUE).unwrap_or_default();
                let parts = [(Part::Secret, attributes)];
                let new = objects::new_key(&parts, Some(material.len()))?;
                return self
                    .make(request, new, Some(material), [Part::Secret])
                    .map(Self::one);
            }
            Some(CKO_PRIVATE_KEY) => {
                let material = making::pkcs8(attributes)
                    .map_err(|error| TokenError::new(Kind::KeyType, error.what))?;
                let public = public_half(attributes);
                let parts = [(Part::Public, &public), (Part::Private, attributes)];
                let new = objects::new_key(&parts, None)?;
                return self
                    .make(request, new, Some(&material), [Part::Private])
                    .map(Self::one);
            }
            Some(CKO_PUBLIC_KEY) => ObjectPart::Public,
            _ => ObjectPart::Object,
        };
        let id = WireId::from_bytes(*request.0.as_bytes());
        let description = objects::describe(attributes);
        let changed = ask!(self, who => who.put_object(id, part, &description))?;
        Ok(Answer {
            value: objects::record(&changed.object)?,
            change: self.hear(changed.change),
        })
    }

    fn copy(
        &self,
        request: RequestId,
        id: ObjectId,
        changes: &Attributes,
    ) -> TokenResult<Answer<ObjectRecord>> {
        let mut attributes = self.object(id)?.value.attributes;
        attributes.extend(changes.clone());
        if matches!(id.part, Part::Secret | Part::Private) {
            return Err(TokenError::new(
                Kind::Prohibited,
                "keys of the appliance are shared, not copied",
            ));
        }
        self.create(request, &attributes)
    }

    fn set(&self, id: ObjectId, changes: &Attributes) -> TokenResult<Answer<ObjectRecord>> {
        let restricts = [
            CKA_ALLOWED_MECHANISMS,
            CKA_DECRYPT,
            CKA_DERIVE,
            CKA_ENCRYPT,
            CKA_EXTRACTABLE,
            CKA_SIGN,
            CKA_SIGN_RECOVER,
            CKA_UNWRAP,
            CKA_VERIFY,
            CKA_WRAP,
        ];
        let mut attributes = self.object(id)?.value.attributes;
        attributes.extend(changes.clone());
        if matches!(id.part, Part::Secret | Part::Private)
            && restricts.iter().any(|attribute| changes.has(*attribute))
        {
            self.restrict(id, &attributes, changes)?;
        }
        let part = objects::part_to_wire(id.part);
        let description = objects::describe(&attributes);
        let changed = ask!(self, who => who.put_object(wire(id), part, &description))?;
        Ok(Answer {
            value: objects::record(&changed.object)?,
            change: self.hear(changed.change),
        })
    }

    fn destroy(&self, id: ObjectId) -> TokenResult<Answer<()>> {
        let part = objects::part_to_wire(id.part);
        let removed = ask!(self, who => who.remove_object(wire(id), part))?;
        Ok(Answer {
            value: (),
            change: self.hear(removed.change),
        })
    }

    fn generate_key(
        &self,
        request: RequestId,
        _mechanism: &Mechanism,
        attributes: &Attributes,
    ) -> TokenResult<Answer<ObjectRecord>> {
        let length = making::secret_length(attributes, None)
            .map_err(|error| TokenError::new(Kind::KeySize, error.what))?;
        let new = objects::new_key(&[(Part::Secret, attributes)], Some(length))?;
        let new = objects::kept(new, self.protection);
        self.make(request, new, None, [Part::Secret]).map(Self::one)
    }

    fn generate_key_pair(
        &self,
        request: RequestId,
        _mechanism: &Mechanism,
        public: &Attributes,
        private: &Attributes,
    ) -> TokenResult<Answer<(ObjectRecord, ObjectRecord)>> {
        let parts = [(Part::Public, public), (Part::Private, private)];
        let new = objects::kept(objects::new_key(&parts, None)?, self.protection);
        let answer = self.make(request, new, None, [Part::Public, Part::Private])?;
        let [public, private] = answer.value;
        Ok(Answer {
            value: (public, private),
            change: answer.change,
        })
    }

    fn operate(
        &self,
        id: ObjectId,
        what: Use,
        mechanism: &Mechanism,
        input: Input<'_>,
    ) -> TokenResult<Answer<Zeroizing<Vec<u8>>>> {
        let operation = operations::operation(what, mechanism, input)?;
        let done = ask!(self, who => who.operate(key(id), None, operation.clone()))?;
        let made = match done.result {
            OperationResult::Signature { signature } => signature.0,
            OperationResult::Mac { mac } => {
                let length = mac::length(mechanism)
                    .map_err(|error| TokenError::new(Kind::MechanismParameter, error.what))?;
                mac.0.get(..length).unwrap_or(&mac.0).to_vec()
            }
            OperationResult::Ciphertext { data, .. } | OperationResult::Plaintext { data } => {
                data.0
            }
            _ => return Err(failed("the appliance answers something else")),
        };
        self.answer(Zeroizing::new(made))
    }

    fn verify(
        &self,
        id: ObjectId,
        mechanism: &Mechanism,
        data: &[u8],
        signature: &[u8],
    ) -> TokenResult<Answer<()>> {
        let operation = operations::verification(mechanism, data, signature)?;
        let done = ask!(self, who => who.operate(key(id), None, operation.clone()))?;
        match done.result {
            OperationResult::Verified { valid: true } => self.answer(()),
            OperationResult::Verified { valid: false } => Err(TokenError::new(
                Kind::SignatureInvalid,
                "the MAC is another's",
            )),
            _ => Err(failed("the appliance answers something else")),
        }
    }

    fn wrap(
        &self,
        wrapping: ObjectId,
        mechanism: &Mechanism,
        other: ObjectId,
    ) -> TokenResult<Answer<Zeroizing<Vec<u8>>>> {
        self.wrap_key(wrapping, mechanism, other)
    }

    fn unwrap(
        &self,
        request: RequestId,
        unwrapping: ObjectId,
        mechanism: &Mechanism,
        wrapped: &[u8],
        attributes: &Attributes,
    ) -> TokenResult<Answer<ObjectRecord>> {
        self.unwrap_key(request, unwrapping, mechanism, wrapped, attributes)
    }

    fn derive(
        &self,
        request: RequestId,
        base: ObjectId,
        mechanism: &Mechanism,
        attributes: &Attributes,
    ) -> TokenResult<Answer<ObjectRecord>> {
        self.derive_key(request, base, mechanism, attributes)
    }

    fn encapsulate(
        &self,
        request: RequestId,
        public: ObjectId,
        _mechanism: &Mechanism,
        attributes: &Attributes,
    ) -> TokenResult<Answer<Encapsulated>> {
        self.encapsulate_to(request, public, attributes)
    }

    fn decapsulate(
        &self,
        request: RequestId,
        private: ObjectId,
        _mechanism: &Mechanism,
        ciphertext: &[u8],
        attributes: &Attributes,
    ) -> TokenResult<Answer<ObjectRecord>> {
        self.decapsulate_with(request, private, ciphertext, attributes)
    }

    fn secret_of(
        &self,
        id: ObjectId,
        outcome: Outcome,
        mechanism: &Mechanism,
        data: &[u8],
    ) -> TokenResult<Answer<Zeroizing<Vec<u8>>>> {
        self.secret_from(id, outcome, mechanism, data)
    }

    fn release(&self, id: ObjectId) -> TokenResult<Answer<Released>> {
        let released = ask!(self, who => who.release_once(key(id)))?;
        let moment = released.not_after.and_then(|moment| {
            SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(moment.as_millis()))
        });
        self.answer(Released {
            material: released.material,
            not_after: moment,
            keep_for: released
                .keep_for
                .map(|seconds| Duration::from_secs(seconds.into())),
            ask_again: released.ask_again,
        })
    }

    fn close(&self) {
        self.become_signed_in(None);
    }
}

impl HttpsToken {
    /// The page of the one object that has this `CKA_UNIQUE_ID`, if it matches.
    fn find_unique(&self, unique: &[u8], template: &Attributes) -> TokenResult<Answer<Page>> {
        let found = match objects::of_unique_id(unique) {
            Some((id, part)) => match ask!(self, who => who.object(id, part)) {
                Ok(shown) => Some(shown),
                Err(error) if error.kind == Kind::NoSuchObject => None,
                Err(error) => return Err(error),
            },
            None => None,
        };
        let change = match &found {
            Some(shown) => self.hear(shown.change),
            None => self.change()?,
        };
        let records = found
            .map(|shown| objects::record(&shown.object))
            .transpose()?;
        let objects = records.into_iter();
        let objects = objects.filter(|record| record.attributes.matches(template));
        Ok(Answer {
            value: Page {
                objects: objects.collect(),
                next: None,
            },
            change,
        })
    }
}
