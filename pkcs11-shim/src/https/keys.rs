//! Making keys, and holding them to what attributes say of them.

use cryptoki_sys::*;
use strongroom_client::objects::Objects;
use strongroom_wire::id::{IdempotencyKey, KeyId};
use strongroom_wire::key::{NewKey, Releasable, TightenKey, UsagePolicy};
use strongroom_wire::operation::{Operation, OperationResult};
use strongroom_wire::problem::Code;

use super::failure::failed;
use super::{HttpsToken, key, objects, wire};
use crate::object::{Attributes, Value};
use crate::token::{Answer, Change, ObjectId, ObjectRecord, Part, RequestId, Token, TokenResult};

impl HttpsToken {
    /// Has the appliance hold a key to what its attributes say from now on.
    pub(super) fn restrict(
        &self,
        id: ObjectId,
        attributes: &Attributes,
        changes: &Attributes,
    ) -> TokenResult<()> {
        if changes.get(CKA_EXTRACTABLE) == Some(&Value::Bool(false)) {
            let tighten = TightenKey {
                releasable: Some(Releasable::NoMore),
                ..TightenKey::default()
            };
            match ask!(self, who => who.tighten_key(key(id), &tighten)) {
                // It is not released already, or never was.
                Err(error)
                    if error
                        .problem
                        .as_ref()
                        .is_some_and(|problem| problem.code == Code::Conflict) => {}
                answer => drop(answer?),
            }
        }
        let shown = ask!(self, who => who.object(wire(id), objects::part_to_wire(id.part)))?;
        let Some(shown) = shown.object.key else {
            return Ok(());
        };
        let wanted = objects::usage_policy(shown.algorithm, attributes);
        let policy = UsagePolicy {
            rights: wanted.rights,
            mechanisms: wanted.mechanisms,
            ..shown.policy.unwrap_or_default()
        };
        ask!(self, who => who.set_key_policy(key(id), &policy))?;
        Ok(())
    }

    /// Makes a key, and says what its parts are.
    pub(super) fn make<const N: usize>(
        &self,
        request: RequestId,
        new: NewKey,
        material: Option<&[u8]>,
        parts: [Part; N],
    ) -> TokenResult<Answer<[ObjectRecord; N]>> {
        let once = IdempotencyKey::from_bytes(*request.0.as_bytes());
        let created = ask!(self, who => who.create_key_once(once, new.clone(), material))?;
        self.parts_of(created.key.id, parts)
    }

    pub(super) fn parts_of<const N: usize>(
        &self,
        key: KeyId,
        parts: [Part; N],
    ) -> TokenResult<Answer<[ObjectRecord; N]>> {
        let uuid = uuid::Uuid::from_bytes(*key.as_bytes());
        let mut records = Vec::with_capacity(N);
        let mut change = Change::default();
        for part in parts {
            let answer = self.object(ObjectId { uuid, part })?;
            records.push(answer.value);
            change = answer.change;
        }
        let value = records
            .try_into()
            .map_err(|_| failed("a key has another number of parts"))?;
        Ok(Answer { value, change })
    }

    pub(super) fn one(answer: Answer<[ObjectRecord; 1]>) -> Answer<ObjectRecord> {
        let [value] = answer.value;
        Answer {
            value,
            change: answer.change,
        }
    }

    /// A key that an operation makes.
    pub(super) fn key_of(
        &self,
        request: RequestId,
        with: ObjectId,
        operation: Operation,
        part: Part,
    ) -> TokenResult<Answer<ObjectRecord>> {
        let once = IdempotencyKey::from_bytes(*request.0.as_bytes());
        let done = ask!(self, who => who.operate_once(once, key(with), operation.clone()))?;
        match done.result {
            OperationResult::Created { key } => self.parts_of(key.id, [part]).map(Self::one),
            _ => Err(failed("the appliance answers something else than a key")),
        }
    }

    /// A secret that came here becomes a key of the appliance.
    pub(super) fn import(
        &self,
        request: RequestId,
        attributes: &Attributes,
        secret: &[u8],
    ) -> TokenResult<Answer<ObjectRecord>> {
        let new = objects::new_key(&[(Part::Secret, attributes)], Some(secret.len()))?;
        self.make(request, new, Some(secret), [Part::Secret])
            .map(Self::one)
    }
}

/// What is said of the public half of a pair whose private half alone an application brings.
pub(super) fn public_half(private: &Attributes) -> Attributes {
    let mut public = Attributes::new();
    public.set_number(CKA_CLASS, CKO_PUBLIC_KEY);
    for attribute in [CKA_KEY_TYPE, CKA_LABEL, CKA_ID] {
        if let Some(value) = private.get(attribute) {
            public.set(attribute, value.clone());
        }
    }
    public
}
