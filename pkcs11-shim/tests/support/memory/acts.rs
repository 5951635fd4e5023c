//! What the token in memory does.

use cryptoki_sys::*;
use strongroom_pkcs11::mechanism::software;

use super::*;

impl Token for MemoryToken {
    fn info(&self) -> TokenResult<Answer<TokenInfo>> {
        self.enter()?;
        self.answer(TokenInfo {
            label: "memory".to_owned(),
            manufacturer: "tests".to_owned(),
            model: "memory".to_owned(),
            serial: "1".to_owned(),
            firmware: (0, 1),
            login_required: !self.pin_less.load(Ordering::SeqCst),
            pin_length: (4, 255),
            forbidden: vec![CKM_SHA1_RSA_PKCS],
            smallest_rsa: 2048,
        })
    }

    fn login(&self, _user: User, pin: Option<&Pin>) -> TokenResult<()> {
        self.enter()?;
        if pin.is_some_and(|Pin(pin)| self.is_pin(pin)) || self.pin_less.load(Ordering::SeqCst) {
            self.signed_in.store(true, Ordering::SeqCst);
            return Ok(());
        }
        Err(TokenError::new(
            TokenErrorKind::PinIncorrect,
            "the PIN is wrong",
        ))
    }

    fn logout(&self) -> TokenResult<()> {
        self.enter()?;
        self.signed_in.store(false, Ordering::SeqCst);
        Ok(())
    }

    fn set_pin(&self, _old: &Pin, _new: &Pin) -> TokenResult<()> {
        self.signed_in()?;
        Err(TokenError::new(
            TokenErrorKind::PinUnsuitable,
            "the PIN of tests stays",
        ))
    }

    fn change(&self) -> TokenResult<Change> {
        self.enter()?;
        Ok(Change(self.change.load(Ordering::SeqCst)))
    }

    fn find(&self, query: &Query<'_>) -> TokenResult<Answer<Page>> {
        self.enter()?;
        let after = query.after.map(|after| after.parse::<usize>().unwrap());
        let skipped = after.unwrap_or(0);
        let mut objects: Vec<_> = self
            .objects()
            .iter()
            .filter(|(_, entry)| query.private || !entry.attributes.is(CKA_PRIVATE))
            .filter(|(id, entry)| shown(**id, entry).attributes.matches(query.template))
            .skip(skipped)
            .take(query.limit + 1)
            .map(|(id, entry)| shown(*id, entry))
            .collect();
        let more = objects.len() > query.limit;
        objects.truncate(query.limit);
        let next = more.then(|| (skipped + query.limit).to_string());
        self.answer(Page { objects, next })
    }

    fn object(&self, id: ObjectId) -> TokenResult<Answer<ObjectRecord>> {
        self.enter()?;
        let entry = self.entry(id)?;
        self.answer(shown(id, &entry))
    }

    fn create(
        &self,
        request: RequestId,
        attributes: &Attributes,
    ) -> TokenResult<Answer<ObjectRecord>> {
        self.enter()?;
        self.add_one(request, attributes.clone())
    }

    fn copy(
        &self,
        request: RequestId,
        id: ObjectId,
        changes: &Attributes,
    ) -> TokenResult<Answer<ObjectRecord>> {
        self.enter()?;
        let mut attributes = self.entry(id)?.attributes;
        attributes.extend(changes.clone());
        self.add_one(request, attributes)
    }

    fn set(&self, id: ObjectId, changes: &Attributes) -> TokenResult<Answer<ObjectRecord>> {
        self.enter()?;
        self.entry(id)?;
        if let Some(entry) = self.objects().get_mut(&id) {
            entry.attributes.extend(changes.clone());
        }
        self.bump();
        self.object(id)
    }

    fn destroy(&self, id: ObjectId) -> TokenResult<Answer<()>> {
        self.enter()?;
        self.entry(id)?;
        self.objects().remove(&id);
        self.bump();
        self.answer(())
    }

    fn generate_key(
        &self,
        request: RequestId,
        _mechanism: &Mechanism,
        attributes: &Attributes,
    ) -> TokenResult<Answer<ObjectRecord>> {
        self.enter()?;
        let mut attributes = attributes.clone();
        software::make_key(&mut attributes).map_err(refused)?;
        self.add_one(request, attributes)
    }

    fn generate_key_pair(
        &self,
        request: RequestId,
        mechanism: &Mechanism,
        public: &Attributes,
        private: &Attributes,
    ) -> TokenResult<Answer<(ObjectRecord, ObjectRecord)>> {
        self.enter()?;
        let (mut public, mut private) = (public.clone(), private.clone());
        software::make_pair(mechanism, &mut public, &mut private).map_err(refused)?;
        let Answer {
            value: [public, private],
            change,
        } = self.add(request, [(Part::Public, public), (Part::Private, private)])?;
        Ok(Answer {
            value: (public, private),
            change,
        })
    }

    fn operate(
        &self,
        id: ObjectId,
        what: Use,
        mechanism: &Mechanism,
        input: Input<'_>,
    ) -> TokenResult<Answer<Zeroizing<Vec<u8>>>> {
        self.signed_in()?;
        self.operations.fetch_add(1, Ordering::SeqCst);
        let entry = self.entry(id)?;
        self.answer(software::operate(&entry.attributes, what, mechanism, input).map_err(refused)?)
    }

    fn verify(
        &self,
        id: ObjectId,
        mechanism: &Mechanism,
        data: &[u8],
        signature: &[u8],
    ) -> TokenResult<Answer<()>> {
        self.signed_in()?;
        self.operations.fetch_add(1, Ordering::SeqCst);
        let entry = self.entry(id)?;
        software::verify(&entry.attributes, mechanism, data, signature).map_err(refused)?;
        self.answer(())
    }

    fn wrap(
        &self,
        wrapping: ObjectId,
        mechanism: &Mechanism,
        key: ObjectId,
    ) -> TokenResult<Answer<Zeroizing<Vec<u8>>>> {
        self.signed_in()?;
        let material = software::material(&self.entry(key)?.attributes).map_err(refused)?;
        let wrapping = self.entry(wrapping)?.attributes;
        self.answer(
            software::operate(&wrapping, Use::Encrypt, mechanism, Input::Data(&material))
                .map_err(refused)?,
        )
    }

    fn unwrap(
        &self,
        request: RequestId,
        unwrapping: ObjectId,
        mechanism: &Mechanism,
        wrapped: &[u8],
        attributes: &Attributes,
    ) -> TokenResult<Answer<ObjectRecord>> {
        let plain = self
            .secret_of(unwrapping, Outcome::Unwrapped, mechanism, wrapped)?
            .value;
        let mut attributes = attributes.clone();
        software::set_material(&mut attributes, &plain).map_err(refused)?;
        self.add_one(request, attributes)
    }

    fn derive(
        &self,
        request: RequestId,
        base: ObjectId,
        mechanism: &Mechanism,
        attributes: &Attributes,
    ) -> TokenResult<Answer<ObjectRecord>> {
        let length = attributes
            .number(cryptoki_sys::CKA_VALUE_LEN)
            .and_then(|length| usize::try_from(length).ok());
        let secret = self
            .secret_of(base, Outcome::Derived { length }, mechanism, &[])?
            .value;
        let mut attributes = attributes.clone();
        software::set_material(&mut attributes, &secret).map_err(refused)?;
        self.add_one(request, attributes)
    }

    fn encapsulate(
        &self,
        request: RequestId,
        public: ObjectId,
        _mechanism: &Mechanism,
        attributes: &Attributes,
    ) -> TokenResult<Answer<Encapsulated>> {
        self.signed_in()?;
        let (secret, ciphertext) =
            software::encapsulate(&self.entry(public)?.attributes).map_err(refused)?;
        let mut attributes = attributes.clone();
        software::set_material(&mut attributes, &secret).map_err(refused)?;
        let Answer {
            value: object,
            change,
        } = self.add_one(request, attributes)?;
        Ok(Answer {
            value: Encapsulated { object, ciphertext },
            change,
        })
    }

    fn decapsulate(
        &self,
        request: RequestId,
        private: ObjectId,
        mechanism: &Mechanism,
        ciphertext: &[u8],
        attributes: &Attributes,
    ) -> TokenResult<Answer<ObjectRecord>> {
        let secret = self
            .secret_of(private, Outcome::Decapsulated, mechanism, ciphertext)?
            .value;
        let mut attributes = attributes.clone();
        software::set_material(&mut attributes, &secret).map_err(refused)?;
        self.add_one(request, attributes)
    }

    fn secret_of(
        &self,
        id: ObjectId,
        outcome: Outcome,
        mechanism: &Mechanism,
        data: &[u8],
    ) -> TokenResult<Answer<Zeroizing<Vec<u8>>>> {
        self.signed_in()?;
        self.operations.fetch_add(1, Ordering::SeqCst);
        let key = self.entry(id)?.attributes;
        let secret = match outcome {
            Outcome::Derived { length } => software::derive(&key, mechanism, length),
            Outcome::Decapsulated => software::decapsulate(&key, data),
            Outcome::Unwrapped => {
                software::operate(&key, Use::Decrypt, mechanism, Input::Data(data))
            }
        };
        self.answer(secret.map_err(refused)?)
    }

    fn release(&self, id: ObjectId) -> TokenResult<Answer<Released>> {
        self.signed_in()?;
        let entry = self.entry(id)?;
        if self.keeps_all.load(Ordering::SeqCst) {
            return Err(TokenError::new(
                TokenErrorKind::PolicyRefused,
                "no releases today",
            ));
        }
        if entry.place != Place::Process && !entry.attributes.is(CKA_EXTRACTABLE) {
            return Err(TokenError::new(
                TokenErrorKind::Unextractable,
                "it stays here",
            ));
        }
        self.releases.fetch_add(1, Ordering::SeqCst);
        let keep_for = self.keep_for.load(Ordering::SeqCst);
        self.answer(Released {
            material: software::material(&entry.attributes).map_err(refused)?,
            not_after: None,
            keep_for: (keep_for > 0).then(|| Duration::from_millis(keep_for)),
        })
    }

    fn close(&self) {}
}
